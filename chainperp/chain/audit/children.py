"""Rounds of the market-making child and the capital of the liquidity vault's children, re-derived.

Every round is planned again from the inputs that its record states, and from the orders that
rested before it; the inputs are compared with the committed leaves of the block. The same for each
daily split of capital and each netting. Source: VLT-20 to VLT-29.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from chainperp.base import canonical
from chainperp.base.canonical import Record
from chainperp.base.units import DAY_MS, address_text
from chainperp.chain.audit.leaves import Moment
from chainperp.model.decisions import Kind, LedgerType, OrderStatus, Rejection, rule_number
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.markets import MarketTerms
from chainperp.parameters.schema import Parameters
from chainperp.rules.children import Child, capital_share, netted_lots, plan_capital
from chainperp.rules.ordering import periods_due
from chainperp.rules.prices import is_price_fresh
from chainperp.rules.quoting import QuoteInputs, inventory_cap, may_take_on, plan_side
from chainperp.state.schemas import ACCOUNT, DAY_VALUE, MARKET, POSITION
from chainperp.state.store import HLP_MEMBERS, LIQUIDITY_VAULT, MARKET_MAKER, State
from chainperp.state.tree import Tree
from chainperp.transition.recorder import FLAG_NETTED

CHILDREN: Final = HLP_MEMBERS[1:]
WATCHED: Final = (Kind.QUOTE, Kind.CHILDREN)
MARKER: Final = bytes(MARKET_MAKER)
INPUTS: Final = (Kind.TX_USER, Kind.TX_SYSTEM)


class Resting(NamedTuple):
    """One order of the child before a round."""

    oid: int
    asset: int
    is_buy: bool
    price: int
    remaining: int


def is_watched(entries: Sequence[bytes]) -> bool:
    """Whether a block has anything to look at here."""
    return any(_kind(raw) in WATCHED for raw in entries)


def _kind(raw: bytes) -> int:
    return int.from_bytes(raw[1:3], "big")


def _fields(raw: bytes) -> Record:
    return decode_payload(decode_entry(raw))


class ChildrenCheck:
    """One block's rounds and moves: made before the block is executed, asked after."""

    __slots__ = ("entries", "parameters", "resting", "terms", "time_before")

    def __init__(
        self,
        state: State,
        parameters: Parameters,
        terms: Sequence[MarketTerms],
        entries: Sequence[bytes],
    ) -> None:
        self.parameters = parameters
        self.terms = terms
        self.time_before = state.time_ms
        self.entries = entries
        self.resting = {
            one.oid: Resting(one.oid, one.asset, one.is_buy, one.price, one.remaining)
            for one in state.accounts[MARKET_MAKER].orders.values()
        }

    def findings(self, moment: Moment | None) -> Iterator[str]:
        """All that is wrong; `moment` is the state at the block's SEAL, if it came to that."""
        yield from self.follow()
        if moment is not None:
            yield from self.inputs(moment)

    def follow(self) -> Iterator[str]:
        """What does not follow from the stated inputs, in the order of the entries."""
        time_ms = _fields(self.entries[-1])["time_ms"]
        for place, raw in enumerate(self.entries):
            kind = _kind(raw)
            # Only what names the child is decoded: a block may hold thousands of other entries.
            if kind == Kind.CHILDREN:
                fields = _fields(raw)
                is_split = fields["rule"] == rule_number("VLT-29")
                check = self._check_split if is_split else self._check_netting
                yield from check(place, fields, time_ms)
            elif MARKER not in raw:
                continue
            elif kind == Kind.FILL:
                self._fill(_fields(raw))
            elif kind == Kind.ORDER:
                self._order(_fields(raw))
            elif kind == Kind.QUOTE:
                yield from self._check_round(place, _fields(raw), time_ms)

    def _fill(self, fields: Record) -> None:
        found = self.resting.get(fields["maker_oid"])
        if fields["maker"] == MARKET_MAKER and found is not None:
            left = found.remaining - fields["lots"]
            self.resting[found.oid] = found._replace(remaining=left)
            if left <= 0:
                del self.resting[found.oid]

    def _order(self, fields: Record) -> None:
        if fields["status"] == OrderStatus.OPEN:
            self.resting[fields["oid"]] = Resting(
                *(fields[name] for name in ("oid", "asset", "is_buy", "price", "remaining"))
            )
        else:
            self.resting.pop(fields["oid"], None)

    def _after(self, place: int, kinds: Sequence[Kind]) -> list[Record]:
        """The entries of these kinds that follow a place without another kind between."""
        found: list[Record] = []
        for raw in self.entries[place + 1 :]:
            if _kind(raw) not in kinds:
                break
            found.append(_fields(raw))
        return found

    def _check_round(self, place: int, fields: Record, time_ms: int) -> Iterator[str]:
        """A round is due, comes after the users, and does what the rule gives for its inputs."""
        parameters = self.parameters
        if not periods_due(self.time_before, time_ms, max(parameters.quote_interval_ms, 1))[1]:
            yield "a round of quotes was not due"
        if any(_kind(raw) in INPUTS for raw in self.entries[place + 1 :]):
            yield "quotes were placed before a user's transaction"
        value, notional = fields["value"], fields["notional"]
        takes_on = may_take_on(
            value, notional, fields["day_value"], parameters.quote_leverage_max,
            parameters.quote_loss_bps,
        )  # fmt: skip
        cap = inventory_cap(value, parameters.quote_cap_bps, takes_on)
        orders = [one for one in self._after(place, (Kind.ORDER,)) if _is_quote(one)]
        ended = [one["oid"] for one in orders if one["reason"] == Rejection.QUOTE_MOVED]
        placed = [
            (one["asset"], one["is_buy"], one["price"], one["lots"])
            for one in orders
            if one["reason"] != Rejection.QUOTE_MOVED
        ]
        due_ended: list[int] = []
        due_placed: list[tuple[int, bool, int, int]] = []
        for row in fields["rows"]:
            gone, new, kept = self._due(row, value, cap, time_ms)
            due_ended += gone
            due_placed += new
            counted = (row["kept"], row["cancelled"], row["placed"])
            if counted != (kept, len(gone), len(new)):
                name = self.terms[row["asset"]].name
                yield (
                    f"quotes in {name} kept, cancelled and placed are {counted}, due were "
                    f"{(kept, len(gone), len(new))}"
                )
        yield from self._differences("cancelled order", ended, due_ended)
        yield from self._differences("quote", placed, due_placed)

    def _due(
        self, row: Record, value: int, cap: int, time_ms: int
    ) -> tuple[list[int], list[tuple[int, bool, int, int]], int]:
        """What goes, what is new, and how many stay in one market."""
        asset = row["asset"]
        terms = self.terms[asset]
        inputs = QuoteInputs(
            row["oracle"], row["mark"], terms.size_decimals, value, cap, row["lots"],
            row["entry_notional"], row["bid"], row["ask"],
        )  # fmt: skip
        limit = self.parameters.quote_stale_ms
        fresh = is_price_fresh(row["oracle_time"], time_ms, limit) and row["mark"] > 0
        gone: list[int] = []
        new: list[tuple[int, bool, int, int]] = []
        kept = 0
        for is_buy in (True, False):
            mine = [
                one for one in self.resting.values() if one.asset == asset and one.is_buy is is_buy
            ]
            mine.sort(key=_rank)
            stays: list[int] = []
            if fresh and not terms.is_isolated_only:
                resting = [(one.price, one.remaining) for one in mine]
                plan = plan_side(inputs, is_buy, resting, self.parameters)
                stays = plan.kept
                new += [(asset, is_buy, price, lots) for price, lots in plan.placed]
            gone += [one.oid for at, one in enumerate(mine) if at not in stays]
            kept += len(stays)
        return gone, new, kept

    def _differences(
        self, name: str, found: Sequence[object], due: Sequence[object]
    ) -> Iterator[str]:
        if list(found) != list(due):
            pairs = [(one, other) for one, other in zip(found, due, strict=False) if one != other]
            first = f": {pairs[0][0]}, due was {pairs[0][1]}" if pairs else ""
            yield f"{len(found)} of {name} in the round, due were {len(due)}{first}"

    def _check_split(self, place: int, fields: Record, time_ms: int) -> Iterator[str]:
        """The daily split moves what its figures give, and the ledger shows it."""
        parameters = self.parameters
        if not periods_due(self.time_before, time_ms, DAY_MS)[1]:
            yield "capital was split between the children twice on a day"
        whole, budget = fields["whole"], capital_share(fields["whole"], parameters.capital_day_bps)
        if fields["budget"] != budget:
            yield f"the day's capital was {fields['budget']}, due was {budget}"
        children: list[Child] = []
        for row, bps in zip(
            fields["children"], (parameters.child_backstop_bps, parameters.child_maker_bps),
            strict=False,
        ):  # fmt: skip
            target = capital_share(whole, bps)
            children.append(Child(row["value"], row["maintenance"], row["available"], target))
            if row["target"] != target:
                yield f"{address_text(row['child'])} had target {row['target']}, due was {target}"
        due = plan_capital(children, fields["available"], budget, parameters.capital_move_min)
        moved = [row["moved"] for row in fields["children"]]
        if moved != due:
            yield f"the split moved {moved} to the children, due was {due}"
        wanted = [move for move in _transfers(due) if move[2]]
        rows = self._after(place, (Kind.LEDGER,))
        told = [
            (row["source"], row["destination"], row["amount"])
            for row in rows
            if row["type"] == LedgerType.CHILD_CAPITAL
        ]
        if told != wanted:
            yield f"{len(told)} transfers of capital follow the split, due were {len(wanted)}"

    def _check_netting(self, place: int, fields: Record, time_ms: int) -> Iterator[str]:
        """Each netting closes the smaller position on both sides, without a fee."""
        interval = max(self.parameters.netting_interval_ms, 1)
        if not periods_due(self.time_before, time_ms, interval)[1]:
            yield "positions of the children were netted when it was not due"
        fills = [row for row in self._after(place, (Kind.FILL,)) if row["flags"] & FLAG_NETTED]
        found = [(row["asset"], row["lots"], row["price"]) for row in fills]
        wanted = [(row["asset"], row["lots"], row["price"]) for row in fields["netted"]]
        if found != wanted:
            yield f"{len(found)} netting trades, their record has {len(wanted)}, or others"
        for row in fills:
            due = netted_lots(row["maker_start"], row["taker_start"])
            parties = sorted((row["maker"], row["taker"]))
            if row["lots"] != due or parties != sorted(CHILDREN):
                yield f"netting trade {row['tid']} closed {row['lots']} lots, due were {due}"
            if row["maker_fee"] or row["taker_fee"]:
                yield f"netting trade {row['tid']} paid a fee"

    def inputs(self, moment: Moment) -> Iterator[str]:
        """The stated inputs are those of the committed leaves, where nothing came after them."""
        for place, raw in enumerate(self.entries):
            kind = _kind(raw)
            if kind == Kind.QUOTE and not self._touched(place, MARKET_MAKER):
                yield from _quote_inputs(moment.trees, _fields(raw), len(self.terms))
            elif kind == Kind.CHILDREN:
                yield from self._split_inputs(moment, place, _fields(raw))

    def _split_inputs(self, moment: Moment, place: int, fields: Record) -> Iterator[str]:
        for row in fields["children"]:
            value = _value(moment.trees, row["child"], len(self.terms))
            due = row["value"] + row["moved"]
            if value != due and not self._touched(place, row["child"]):
                yield (
                    f"{address_text(row['child'])} was worth {row['value']} in the split and got "
                    f"{row['moved']}, its leaf says {value}"
                )
        for row in fields["netted"]:
            mark = _market(moment.trees, row["asset"])["mark"]
            if row["price"] != mark:
                yield f"children were netted at {row['price']}, the mark was {mark}"

    def _touched(self, place: int, address: bytes) -> bool:
        """Whether a later entry of the block moves an account's money otherwise than by the entry
        at that place."""
        for raw in self.entries[place + 1 :]:
            kind = _kind(raw)
            if address not in raw:
                continue
            if kind == Kind.FILL:
                return True
            if kind == Kind.LEDGER and _fields(raw)["type"] != LedgerType.CHILD_CAPITAL:
                return True
        return False


def _is_quote(fields: Record) -> bool:
    return bool(fields["account"] == MARKET_MAKER)


def _rank(one: Resting) -> tuple[int, int]:
    return -one.price if one.is_buy else one.price, one.oid


def _transfers(moves: Sequence[int]) -> list[tuple[bytes, bytes, int]]:
    """The ledger's rows of a split: out of the children first."""
    rows: list[tuple[bytes, bytes, int]] = []
    for is_inflow in (False, True):
        for child, moved in zip(CHILDREN, moves, strict=False):
            if moved and (moved > 0) is is_inflow:
                ends = (LIQUIDITY_VAULT, child) if is_inflow else (child, LIQUIDITY_VAULT)
                rows.append((*ends, abs(moved)))
    return rows


def _market(trees: Mapping[str, Tree], asset: int) -> Record:
    return canonical.decode(MARKET, trees["oracle"].get(asset.to_bytes(4, "big")) or b"")


def _position(trees: Mapping[str, Tree], address: bytes, asset: int) -> tuple[int, int]:
    """Signed lots and entry notional of a position leaf."""
    for side, sign in (("L", 1), ("S", -1)):
        value = trees[f"pos/{asset:08x}/{side}"].get(address)
        if value is not None:
            fields = canonical.decode(POSITION, value)
            return sign * fields["lots"], fields["entry_notional"]
    return 0, 0


def _value(trees: Mapping[str, Tree], address: bytes, markets: int) -> int:
    """Value of a cross account from its leaves."""
    total: int = canonical.decode(ACCOUNT, trees["acct"].get(address) or b"")["raw"]
    for asset in range(markets):
        lots = _position(trees, address, asset)[0]
        if lots:
            total += lots * _market(trees, asset)["mark"]
    return total


def _quote_inputs(trees: Mapping[str, Tree], fields: Record, markets: int) -> Iterator[str]:
    """The figures of a round, against account, position, market and day leaf."""
    notional = sum(
        abs(_position(trees, MARKET_MAKER, asset)[0]) * _market(trees, asset)["mark"]
        for asset in range(markets)
    )
    day = trees["mm"].get(MARKET_MAKER)
    found = (
        _value(trees, MARKET_MAKER, markets), notional,
        None if day is None else canonical.decode(DAY_VALUE, day)["value"],
    )  # fmt: skip
    stated = (fields["value"], fields["notional"], fields["day_value"])
    if found != stated:
        yield f"a round states value, positions and day's value {stated}, the leaves say {found}"
    for row in fields["rows"]:
        market = _market(trees, row["asset"])
        leaf = (
            market["oracle"], market["mark"], market["oracle_time"],
            *_position(trees, MARKET_MAKER, row["asset"]),
        )  # fmt: skip
        told = (row["oracle"], row["mark"], row["oracle_time"], row["lots"], row["entry_notional"])
        if leaf != told:
            yield f"a round states {told} of market {row['asset']}, the leaves say {leaf}"
