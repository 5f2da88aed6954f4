"""Questions about vaults: what they are worth, who holds them, and how they did."""

from typing import Any, Final

from chainperp.base.units import DAY_MS
from chainperp.node.documents import vaults
from chainperp.node.documents.texts import Document
from chainperp.node.info.kinds import USER, raw_address
from chainperp.node.info.money import History, history_of, portfolio_of
from chainperp.node.info.registry import Context, Fields, Past, Query
from chainperp.state.store import HLP_MEMBERS, LIQUIDITY_VAULT
from chainperp.wire.shapes import address, field, optional

SUMMARIES_MAX: Final = 1_000
MONTH_MS: Final = 30 * DAY_MS
YEAR_MS: Final = 365 * DAY_MS


def look_for_vault(past: Past, fields: Fields) -> tuple[list[Any], float]:
    """The vault's portfolio and yearly rate, of all members of the liquidity vault together."""
    raw = bytes.fromhex(fields["vaultAddress"][2:])
    members = HLP_MEMBERS if raw == LIQUIDITY_VAULT else (raw,)
    users = [past.user("0x" + member.hex()) for member in members]
    known = [user for user in users if user is not None]
    return portfolio_of(past, known), yearly_rate(history_of(past, known, MONTH_MS))


def yearly_rate(month: History) -> float:
    """Profit of the last 30 days, or since there is a vault, over its average value then, for a
    year; 0 while there is less than a day."""
    times = [time_ms for time_ms, _ in month.values]
    if not times or times[-1] - times[0] < DAY_MS:
        return 0.0
    average = sum(value for _, value in month.values) / len(month.values)
    if average <= 0:
        return 0.0
    return month.profits[-1][1] / average * YEAR_MS / (times[-1] - times[0])


def vault_details(context: Context, fields: Fields, found: tuple[list[Any], float]) -> Any:
    """A vault with its holders; null for an address that is none."""
    state = context.state()
    raw = bytes.fromhex(fields["vaultAddress"][2:])
    vault = state.vaults.get(raw)  # type: ignore[call-overload]
    if vault is None:
        return vaults.child_details(state, raw, *found) if raw in vaults.CHILDREN else None
    user = fields.get("user")
    asked = None if user is None else bytes.fromhex(user[2:])
    return vaults.details(state, vault, asked, *found)


def user_vault_equities(context: Context, fields: Fields) -> list[Document]:
    """What an account has in vaults."""
    return vaults.equities(context.state(), raw_address(fields))


def leading_vaults(context: Context, fields: Fields) -> list[Document]:
    """Vaults that an account leads."""
    return vaults.led_by(context.state(), raw_address(fields))


def vault_summaries(context: Context, _fields: Fields) -> list[Document]:
    """All vaults, the newest first."""
    state = context.state()
    found = sorted(state.vaults.values(), key=lambda one: (-one.created, one.address))
    return [vaults.summary(state, vault) for vault in found[:SUMMARIES_MAX]]


QUERIES: Final = [
    Query("userVaultEquities", (USER,), user_vault_equities),
    Query(
        "vaultDetails",
        (field("vaultAddress", address), optional("user", address)),
        look=look_for_vault,
        combine=vault_details,
        note="the 100 largest holders; `apr` is the profit of 30 days over the average value",
    ),
    Query("leadingVaults", (USER,), leading_vaults),
    Query("vaultSummaries", (), vault_summaries, note="all vaults, at most 1,000"),
]
