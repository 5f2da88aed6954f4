"""Reads what a snapshot is mostly made of, accounts, positions and nonces, straight from its bytes.

The leaves of these trees are the rows as they stand in the file: their hashes, up to the root in
the SEAL, prove that they are what the sealing machine wrote. So they are not encoded again. That
they are the only way to write the state restored from them is seen to here: each row is read in its
one canonical form, and whatever is said twice (settings, lists of positions, digests) must agree.

    row      u32 length || key || u32 length || value       (`leaves.py` has the values)
    nonces   owner b20 || u32 count || u64 each             owners ascending
"""

from collections.abc import Mapping
from hashlib import sha256
from struct import Struct, unpack_from
from typing import Final, Union

from chainperp.base.canonical import Reader, pack_i128
from chainperp.base.errors import InvalidBytes
from chainperp.base.hashing import ZERO32
from chainperp.base.units import Address
from chainperp.model.accounts import (
    Account,
    Agent,
    Exposure,
    NonceSet,
    Rates,
    Validator,
)
from chainperp.state.leaves import DAY_ROW, SETTING_ROW, U32
from chainperp.state.schemas import VERSION
from chainperp.state.store import State
from chainperp.state.tree import Tree

ADDRESS: Final = 20
ACCOUNT_ROW: Final = Struct(">I20sIH16s16sB32s16sQqIqIIHH16s16sI")
VALUE_AT: Final = 28
LIST_HEADS: Final = Struct(">III")
POSITION_ROW: Final = Struct(">I20sIHQ16sBI16s")
ANY_POSITION_ROW: Final = Struct(f"{POSITION_ROW.size}s")
POSITION_SIZE: Final = POSITION_ROW.size - VALUE_AT
LOTS_AT: Final = VALUE_AT + 2
ENTRY_END: Final = LOTS_AT + 24
COUNT_ONE: Final = (1).to_bytes(8, "big")
HIGH_ZERO: Final = bytes(8)
HALF: Final = 2**127
# The fields of NO_RATES.
NEVER_TRADED: Final = (-1, 0, 0, 0, 0, 0, 0)


Owner = Union[Account, Agent, Validator]  # noqa: UP007 - the compiler evaluates it

# Number and hash of the nonces of a key.
Digests = dict[Address, tuple[int, bytes]]


class Loading:
    """A state while its accounts are read: what their leaves say of what comes later in the file.

    `listed` counts the positions that accounts list and that have not been read; their exposures
    are dirty so long. The number and digest of the nonces of each key that has any are kept apart
    for accounts, agents and validators: an address may be two of these.
    """

    __slots__ = ("defaults", "listed", "of_accounts", "of_agents", "of_validators", "state")

    def __init__(self, state: State) -> None:
        self.state = state
        self.listed = 0
        self.of_accounts: Digests = {}
        self.of_agents: Digests = {}
        self.of_validators: Digests = {}
        # Mode and leverage of a market that nobody has chosen.
        self.defaults = [
            (not one.terms.is_isolated_only,
             min(state.parameters.leverage_default, one.terms.leverage_max))
            for one in state.markets
        ]  # fmt: skip

    def finish(self) -> None:
        """Refuse positions that were listed and never came."""
        if self.listed:
            raise InvalidBytes(f"{self.listed} positions that accounts list are not there")


def read_accounts(reader: Reader, loading: Loading) -> Tree:
    """Restore all accounts, without positions; their leaves as a tree.

    Raises: InvalidBytes for a row in another than its one form, or an account that every chain has
    and this one has not; struct.error where the bytes end.
    """
    state = loading.state
    rows: list[bytes] = []
    annotations: list[bytes] = []
    for _ in range(reader.unsigned(4)):
        at = reader.at
        account = _read_account(reader, loading)
        rows.append(reader.raw[at : reader.at])
        annotations.append(COUNT_ONE + pack_i128(account.raw + account.raw_isolated_total))
    tree = Tree("acct", 1)
    tree.load(rows, annotations)
    if len(rows) != len(state.accounts):
        raise InvalidBytes("an account that every chain has is not there")
    # The first state was touched when it was made; its leaves are those of the file now.
    for account in state.changed_accounts:
        account.is_dirty = False
    state.changed_accounts = []
    return tree


def _read_account(reader: Reader, loading: Loading) -> Account:
    at = reader.at
    (key_size, key, size, version, cash, isolated, nonces, digest, volume, cooldown, day, taker,
     maker, spot_taker, spot_maker, discount, reward, volume_day, maker_day, days,
    ) = ACCOUNT_ROW.unpack_from(reader.raw, at)  # fmt: skip
    if key_size != ADDRESS or version != VERSION:
        raise InvalidBytes(f"an account's key has {key_size} bytes, its value version {version}")
    account = loading.state.open_account(Address(key))
    account.raw = int.from_bytes(cash, "big", signed=True)
    account.raw_isolated_total = int.from_bytes(isolated, "big", signed=True)
    account.volume_total = int.from_bytes(volume, "big")
    account.cooldown = cooldown
    account.volume_day = int.from_bytes(volume_day, "big")
    account.maker_day = int.from_bytes(maker_day, "big")
    rates = (day, taker, maker, spot_taker, spot_maker, discount, reward)
    if rates != NEVER_TRADED:
        account.rates = _read_rates(rates)
    if nonces:
        loading.of_accounts[account.address] = (nonces, digest)
    elif digest != ZERO32:
        raise InvalidBytes(f"account {key.hex()} has no nonces, and a digest of some")
    reader.at = at + ACCOUNT_ROW.size
    if days:
        account.days = _read_days(reader, days)
    _read_lists(reader, loading, account)
    if reader.at != at + VALUE_AT + size:
        raise InvalidBytes(f"the leaf of account {key.hex()} has another length than it says")
    return account


def _read_rates(fields: tuple[int, ...]) -> Rates:
    rates = Rates(fields[0], fields[1], fields[2], fields[3], fields[4])
    rates.discount, rates.reward = fields[5], fields[6]
    return rates


def _read_days(reader: Reader, count: int) -> tuple[tuple[int, int, int], ...]:
    days: list[tuple[int, int, int]] = []
    for _ in range(count):
        day, volume, maker = DAY_ROW.unpack(reader.take(DAY_ROW.size))
        days.append((day, int.from_bytes(volume, "big"), int.from_bytes(maker, "big")))
    return tuple(days)


def _read_lists(reader: Reader, loading: Loading, account: Account) -> None:
    """Settings that are not the default, agents, and the markets of positions; each ascending."""
    settings, agents, count = LIST_HEADS.unpack_from(reader.raw, reader.at)
    if settings or agents:
        # The usual case, two lists that are empty, is read at once.
        _read_settings(reader, loading, account)
        _read_agents(reader, account)
        count = reader.unsigned(4)
    else:
        reader.at += LIST_HEADS.size
    last = -1
    for asset in unpack_from(f">{count}I", reader.take(4 * count)):
        if asset <= last or asset >= len(loading.defaults):
            raise InvalidBytes(f"position in market {asset} after {last} of those of an account")
        last = asset
        exposure = account.exposures.get(asset)
        if exposure is None:
            is_cross, leverage = loading.defaults[asset]
            account.exposures[asset] = exposure = Exposure(asset, is_cross, leverage)
        exposure.is_dirty = True
    loading.listed += count


def _read_settings(reader: Reader, loading: Loading, account: Account) -> None:
    last = -1
    for _ in range(reader.unsigned(4)):
        row = reader.take(SETTING_ROW.size)
        asset, is_cross, leverage = SETTING_ROW.unpack(row)
        if asset <= last or asset >= len(loading.defaults) or row[U32.size] > 1:
            raise InvalidBytes(f"setting of market {asset} after {last}, flag {row[U32.size]}")
        if loading.defaults[asset] == (is_cross, leverage):
            raise InvalidBytes(f"setting of market {asset} is the default, which is not listed")
        last = asset
        account.exposures[asset] = Exposure(asset, is_cross, leverage)


def _read_agents(reader: Reader, account: Account) -> None:
    agents: dict[str, Address] = {}
    last = ""
    for _ in range(reader.unsigned(4)):
        name = reader.take(reader.unsigned(4)).decode("ascii")
        if agents and name <= last:
            raise InvalidBytes(f"agent {name!r} is listed after {last!r}")
        last = name
        agents[name] = Address(reader.take(ADDRESS))
    if agents:
        account.agents = agents


def read_positions(reader: Reader, loading: Loading, asset: int, side: str) -> Tree:
    """Restore all positions of one side of a market; their leaves as a tree.

    Raises: InvalidBytes for a row in another than its one form, or a position that its account does
    not list with this mode and leverage.
    """
    market = loading.state.markets[asset]
    accounts = loading.state.accounts
    holders = market.holders
    is_long = side == "L"
    section = reader.take(reader.unsigned(4) * POSITION_ROW.size)
    rows = [row for (row,) in ANY_POSITION_ROW.iter_unpack(section)]
    annotations: list[bytes] = []
    total = 0
    for row, fields in zip(rows, POSITION_ROW.iter_unpack(section), strict=True):
        key_size, key, size, version, lots, entry, is_cross, leverage, isolated = fields
        if key_size != ADDRESS or size != POSITION_SIZE or version != VERSION or not lots:
            raise InvalidBytes(f"a position of market {asset} is not in its one form")
        account = accounts.get(key)
        exposure = None if account is None else account.exposures.get(asset)
        if account is None or exposure is None or not exposure.is_dirty:
            raise InvalidBytes(f"account {key.hex()} lists no position in market {asset} {side}")
        if (exposure.is_cross, exposure.leverage) != (is_cross, leverage):
            raise InvalidBytes(f"position of {key.hex()} in market {asset} has another setting")
        exposure.is_dirty = False
        exposure.entry_notional = notional = int.from_bytes(entry, "big")
        exposure.raw_isolated = int.from_bytes(isolated, "big", signed=True)
        if notional >= HALF:
            raise InvalidBytes(f"entry notional {notional} in market {asset} leaves i128")
        # The columns lots and entry notional: its own bytes for a long.
        if is_long:
            exposure.lots = lots
            annotations.append(COUNT_ONE + HIGH_ZERO + row[LOTS_AT:ENTRY_END])
        else:
            exposure.lots = -lots
            both = row[LOTS_AT : LOTS_AT + 8] + pack_i128(-notional)
            annotations.append(COUNT_ONE + HIGH_ZERO + both)
        holders[account.address] = exposure
        total += lots
    loading.listed -= len(rows)
    if is_long:
        market.lots_long = total
    else:
        market.lots_short = total
    tree = Tree(f"pos/{asset:08x}/{side}", 2)
    tree.load(rows, annotations)
    return tree


def read_nonces(reader: Reader, digests: Digests, owners: Mapping[Address, Owner]) -> None:
    """Restore the nonces of one kind of keys. Raises InvalidBytes unless they are those of the
    digests in their leaves."""
    last = b""
    for _ in range(reader.unsigned(4)):
        owner = Address(reader.take(ADDRESS))
        count = reader.unsigned(4)
        raw = reader.take(8 * count)
        if owner <= last or digests.pop(owner, None) != (count, sha256(raw).digest()):
            raise InvalidBytes(f"the nonces of {owner.hex()} are not those of its leaf")
        last = owner
        owners[owner].nonces = NonceSet(list(unpack_from(f">{count}Q", raw)))
    for owner in digests:
        raise InvalidBytes(f"the nonces of {owner.hex()} are not there")
