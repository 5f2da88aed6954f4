"""What the state tree commits to besides accounts and markets: arrangements, by collection.

| name | key | what |
|---|---|---|
| cancel | address | dead man's switch |
| builder | address | builders that it approved, with their highest rates |
| msig | address | who signs for it, and how many must |
| twap | id u64 | a running TWAP order |
| name | address | the name that is shown for it |
| sub | address of the sub-account | master, number, name |
| mm | address of a child | what it was worth when its day began |
| ref | address | referral code, referrer, rewards; its column is what is not claimed yet |
| vault | address | a vault: leader, name, settings; its column is its shares |
| share | vault, holder | a holder's shares, basis and lock-up; the column is the shares |
| fund | "fund" | the books of the assistance fund |
| spot/<token u32> | address | balance beside the margin; its column is USDC's cell of custody |
| token | number u32 | supply and burned; its column is what circulates |
| pair | asset u32 | base token and last trade of a spot pair |

Each collection is described once: how a value is written, how it is read back from a snapshot, and
which keys there are. `State.note` marks a value that changed.
"""

from bisect import insort
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from chainperp.base import canonical
from chainperp.base.canonical import Record, Schema
from chainperp.base.errors import InvalidBytes
from chainperp.base.units import Address
from chainperp.model.arrangements import MultiSigUser, Referral, Schedule, SubAccount, Twap
from chainperp.model.fund import FUND_KEY
from chainperp.model.tokens import SPOT_FIRST, TOKENS_MAX, token_key
from chainperp.model.vaults import Share, Vault
from chainperp.state import day_values
from chainperp.state.schemas import (
    BUILDERS,
    DAY_VALUE,
    DISPLAY_NAME,
    FUND,
    MULTI_SIG,
    PAIR,
    REFERRAL,
    SCHEDULE,
    SHARE,
    SPOT,
    SUB_ACCOUNT,
    TOKEN,
    TWAP,
    VAULT,
    VERSION,
    spot_collection,
)
from chainperp.state.store import State


class Collection(NamedTuple):
    """One collection. `write` gives no fields for a key that is gone; `amount` is the field that is
    summed, empty for none."""

    schema: Schema
    keys: Callable[[State], Iterable[bytes]]
    write: Callable[[State, bytes], Record | None]
    read: Callable[[State, bytes, Record], None]
    amount: str = ""


def _schedule_keys(state: State) -> Iterable[bytes]:
    return state.schedules


def _write_schedule(state: State, key: bytes) -> Record | None:
    schedule = state.schedules.get(Address(key))
    if schedule is None:
        return None
    return {"at": schedule.at, "day": schedule.day, "fired": schedule.fired}


def _read_schedule(state: State, key: bytes, value: Record) -> None:
    address = state.accounts[Address(key)].address
    state.schedules[address] = Schedule(value["at"], value["day"], value["fired"])
    if value["at"]:
        insort(state.schedule_queue, (value["at"], address))


def _sub_keys(state: State) -> Iterable[bytes]:
    return state.sub_accounts


def _write_sub(state: State, key: bytes) -> Record | None:
    sub = state.sub_accounts[Address(key)]
    return {"master": sub.master, "number": sub.number, "name": sub.name.encode("ascii")}


def _read_sub(state: State, key: bytes, value: Record) -> None:
    address, master = state.accounts[Address(key)].address, Address(value["master"])
    name = value["name"].decode("ascii")
    state.add_sub_account(SubAccount(address, master, value["number"], name))


def _builder_keys(state: State) -> Iterable[bytes]:
    return state.builder_approvals


def _write_builders(state: State, key: bytes) -> Record | None:
    approvals = state.builder_approvals.get(Address(key))
    if approvals is None:
        return None
    rows = [{"builder": builder, "rate": approvals[builder]} for builder in sorted(approvals)]
    return {"builders": rows}


def _read_builders(state: State, key: bytes, value: Record) -> None:
    address = state.accounts[Address(key)].address
    state.builder_approvals[address] = {
        Address(row["builder"]): row["rate"] for row in value["builders"]
    }


def _multi_sig_keys(state: State) -> Iterable[bytes]:
    return state.multi_sigs


def _write_multi_sig(state: State, key: bytes) -> Record | None:
    terms = state.multi_sigs.get(Address(key))
    if terms is None:
        return None
    return {"threshold": terms.threshold, "users": [{"user": one} for one in terms.users]}


def _read_multi_sig(state: State, key: bytes, value: Record) -> None:
    users = tuple(Address(row["user"]) for row in value["users"])
    address = state.accounts[Address(key)].address
    state.multi_sigs[address] = MultiSigUser(users, value["threshold"])


def _twap_keys(state: State) -> Iterable[bytes]:
    return [twap.key() for twap in state.twaps.values()]


def _write_twap(state: State, key: bytes) -> Record | None:
    twap = state.twaps.get(int.from_bytes(key, "big"))
    if twap is None:
        return None
    return {
        "account": twap.account,
        "asset": twap.asset,
        "is_buy": twap.is_buy,
        "lots": twap.lots,
        "reduce_only": twap.reduce_only,
        "randomize": twap.randomize,
        "minutes": twap.minutes,
        "start": twap.start,
        "slices": twap.slices,
        "index": twap.index,
        "due": twap.due,
        "executed_lots": twap.executed_lots,
        "executed_notional": twap.executed_notional,
    }


def _read_twap(state: State, key: bytes, value: Record) -> None:
    """Leaves come in order of their keys, so ids are ascending."""
    account = state.accounts[Address(value["account"])].address
    if value["asset"] >= len(state.markets):
        raise InvalidBytes(f"asset {value['asset']} of {len(state.markets)} markets")
    twap = Twap(int.from_bytes(key, "big"), account, value["asset"], value["is_buy"], value["lots"])
    twap.reduce_only = value["reduce_only"]
    twap.randomize = value["randomize"]
    twap.minutes = value["minutes"]
    twap.start = value["start"]
    twap.slices = value["slices"]
    twap.index = value["index"]
    twap.due = value["due"]
    twap.executed_lots = value["executed_lots"]
    twap.executed_notional = value["executed_notional"]
    state.add_twap(twap)
    insort(state.twap_queue, (twap.due, twap.twap_id))


def _name_keys(state: State) -> Iterable[bytes]:
    return state.display_names


def _write_name(state: State, key: bytes) -> Record | None:
    name = state.display_names.get(Address(key))
    return None if name is None else {"name": name.encode("ascii")}


def _read_name(state: State, key: bytes, value: Record) -> None:
    address = state.accounts[Address(key)].address
    state.display_names[address] = value["name"].decode("ascii")


def _balances(token: int) -> "Collection":
    """The collection of a token's balances."""

    def keys(state: State) -> Iterable[bytes]:
        return state.spot[token]

    def write(state: State, key: bytes) -> Record | None:
        total = state.spot[token].get(Address(key))
        return None if total is None else {"total": total}

    def read(state: State, key: bytes, value: Record) -> None:
        state.spot[token][state.accounts[Address(key)].address] = value["total"]

    return Collection(SPOT, keys, write, read, "total")


def _token_keys(state: State) -> Iterable[bytes]:
    return [token_key(one.index) for one in state.tokens]


def _write_token(state: State, key: bytes) -> Record | None:
    token = state.tokens[int.from_bytes(key, "big")]
    return {
        "name": token.name.encode("ascii"),
        "size_decimals": token.size_decimals,
        "wei_decimals": token.wei_decimals,
        "supply": token.supply,
        "burned": token.burned,
        "circulating": token.circulating,
    }


def _read_token(state: State, key: bytes, value: Record) -> None:
    """Genesis says what a token is; only what is burned changes."""
    state.tokens[int.from_bytes(key, "big")].burned = value["burned"]


def _pair_keys(state: State) -> Iterable[bytes]:
    return [token_key(one.asset) for one in state.pairs]


def _write_pair(state: State, key: bytes) -> Record | None:
    pair = state.pairs[int.from_bytes(key, "big") - SPOT_FIRST]
    return {"base": pair.base, "price_last": pair.book.price_last}


def _read_pair(state: State, key: bytes, value: Record) -> None:
    state.pairs[int.from_bytes(key, "big") - SPOT_FIRST].book.price_last = value["price_last"]


FUND_FIELDS: Final = tuple(name for name, _ in FUND if name != "version")


def _fund_keys(_state: State) -> Iterable[bytes]:
    return (FUND_KEY,)


def _write_fund(state: State, _key: bytes) -> Record | None:
    return {str(name): getattr(state.fund, str(name)) for name in FUND_FIELDS}


def _read_fund(state: State, _key: bytes, value: Record) -> None:
    for name in FUND_FIELDS:
        setattr(state.fund, str(name), value[str(name)])


def _referral_keys(state: State) -> Iterable[bytes]:
    return state.referrals


def _write_referral(state: State, key: bytes) -> Record | None:
    one = state.referrals[Address(key)]
    return {
        "code": one.code.encode("ascii"),
        "users": one.users,
        "unclaimed": one.unclaimed,
        "claimed": one.claimed,
        "referrer": one.referrer,
        "joined": one.joined,
        "fees": one.fees,
        "rewarded": one.rewarded,
    }


def _read_referral(state: State, key: bytes, value: Record) -> None:
    address = state.accounts[Address(key)].address
    one = state.referrals[address] = Referral()
    one.code = value["code"].decode("ascii")
    if one.code:
        state.referral_codes[one.code] = address
    if value["referrer"] is not None:
        one.referrer = state.accounts[Address(value["referrer"])].address
    one.users, one.joined = value["users"], value["joined"]
    one.unclaimed, one.claimed = value["unclaimed"], value["claimed"]
    one.fees, one.rewarded = value["fees"], value["rewarded"]


def _vault_keys(state: State) -> Iterable[bytes]:
    return state.vaults


def _write_vault(state: State, key: bytes) -> Record | None:
    vault = state.vaults[Address(key)]
    return {
        "leader": vault.leader,
        "number": vault.number,
        "name": vault.name.encode(),
        "description": vault.description.encode(),
        "created": vault.created,
        "shares": vault.shares,
        "allow_deposits": vault.allow_deposits,
        "always_close": vault.always_close,
        "is_closed": vault.is_closed,
        "day": vault.day,
        "day_value": vault.day_value,
        "day_paid": vault.day_paid,
    }


def _read_vault(state: State, key: bytes, value: Record) -> None:
    address, leader = state.accounts[Address(key)].address, Address(value["leader"])
    vault = Vault(address, leader, value["number"], value["name"].decode())
    vault.description = value["description"].decode()
    vault.created = value["created"]
    vault.shares = value["shares"]
    vault.allow_deposits = value["allow_deposits"]
    vault.always_close = value["always_close"]
    vault.is_closed = value["is_closed"]
    vault.day = value["day"]
    vault.day_value = value["day_value"]
    vault.day_paid = value["day_paid"]
    state.add_vault(vault)


def _share_keys(state: State) -> Iterable[bytes]:
    return [vault.address + holder for vault in state.vaults.values() for holder in vault.holders]


def _write_share(state: State, key: bytes) -> Record | None:
    share = state.vaults[Address(key[:20])].holders.get(Address(key[20:]))
    if share is None:
        return None
    return {
        "shares": share.shares,
        "basis": share.basis,
        "entered": share.entered,
        "locked_until": share.locked_until,
        "realised": share.realised,
    }


def _read_share(state: State, key: bytes, value: Record) -> None:
    """Vaults are restored before shares."""
    share = Share(value["entered"])
    share.shares = value["shares"]
    share.basis = value["basis"]
    share.locked_until = value["locked_until"]
    share.realised = value["realised"]
    state.vaults[Address(key[:20])].holders[Address(key[20:])] = share


COLLECTIONS: Final[dict[str, Collection]] = {
    "cancel": Collection(SCHEDULE, _schedule_keys, _write_schedule, _read_schedule),
    "sub": Collection(SUB_ACCOUNT, _sub_keys, _write_sub, _read_sub),
    "builder": Collection(BUILDERS, _builder_keys, _write_builders, _read_builders),
    "msig": Collection(MULTI_SIG, _multi_sig_keys, _write_multi_sig, _read_multi_sig),
    "twap": Collection(TWAP, _twap_keys, _write_twap, _read_twap),
    "name": Collection(DISPLAY_NAME, _name_keys, _write_name, _read_name),
    "ref": Collection(REFERRAL, _referral_keys, _write_referral, _read_referral, "unclaimed"),
    "vault": Collection(VAULT, _vault_keys, _write_vault, _read_vault, "shares"),
    "share": Collection(SHARE, _share_keys, _write_share, _read_share, "shares"),
    "fund": Collection(FUND, _fund_keys, _write_fund, _read_fund),
    "token": Collection(TOKEN, _token_keys, _write_token, _read_token, "circulating"),
    "pair": Collection(PAIR, _pair_keys, _write_pair, _read_pair),
    "mm": Collection(DAY_VALUE, day_values.keys, day_values.write, day_values.read),
}
BALANCES: Final = {spot_collection(token): _balances(token) for token in range(TOKENS_MAX)}


def collection_of(name: str) -> Collection:
    """The collection with this name."""
    return COLLECTIONS.get(name) or BALANCES[name]


def names(tokens: int) -> list[str]:
    """Collections of a state with so many tokens, in the order of its snapshot."""
    return [*COLLECTIONS, *(spot_collection(token) for token in range(tokens))]


def encode(state: State, name: str, key: bytes) -> tuple[bytes, tuple[int, ...]] | None:
    """Value of a key in a collection with its columns, None when it has none."""
    collection = collection_of(name)
    fields = collection.write(state, key)
    if fields is None:
        return None
    columns = (fields[collection.amount],) if collection.amount else ()
    return canonical.encode(collection.schema, {"version": VERSION, **fields}), columns


def restore(state: State, name: str, key: bytes, value: Record) -> None:
    """Take a value of a snapshot over. Its accounts are there already."""
    collection_of(name).read(state, key, value)
