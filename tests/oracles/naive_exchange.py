"""The whole exchange by definition: everything is recomputed from (raw, positions, orders).

Written from the rule texts and protocol 2 to 5 and 9, with Fractions where they speak of divisions.
Terms and parameters are read from the genesis file itself. `Life` draws what happens to a market:
the same blocks go to the engine and to this.
"""

import copy
import json
import math
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from fractions import Fraction
from hashlib import sha256
from typing import Any

from chainperp.base.units import E8, Address
from chainperp.model.actions import (
    Action,
    ApproveBuilderFee,
    CancelOrders,
    ClaimRewards,
    ClassTransfer,
    CreateSubAccount,
    ModifyOrders,
    Noop,
    OracleVote,
    OrderRequest,
    PlaceOrders,
    RegisterReferrer,
    RenameSubAccount,
    ScheduleCancel,
    SendAsset,
    SetReferrer,
    SubAccountSpotTransfer,
    SubAccountTransfer,
    TimeInForce,
    TwapCancel,
    TwapOrder,
    UpdateIsolatedMargin,
    UpdateLeverage,
    UsdSend,
    Withdraw,
)
from chainperp.model.blocks import BlockInput, SystemInput, Transaction
from chainperp.model.decisions import OrderStatus, Rejection, SystemType
from chainperp.model.tokens import USDC_NAME
from tests.oracles.naive_book import Event, NaiveBook, Resting, match, outcome, room

R = Rejection
FUND = b"\xfe" * 20
VAULT = bytes.fromhex("dfc24b077bc1425ad1dea75bcb6f8158e10df303")
ROUNDING = b"\x00" * 18 + b"\xff\x01"
POT = b"\x00" * 18 + b"\xff\x05"
# Refusals of a request that is not on a grid; they are recorded in the units that were signed.
FORM = (R.MARKET_UNKNOWN, R.SIZE_INVALID, R.SIZE_ZERO, R.TICK, R.NO_PRICE)
HOUR = 3_600_000
DAY = 86_400_000
START = 1_760_000_000_000


@dataclass
class Holding:
    """A position: signed lots, entry notional, and own cash when isolated."""

    lots: int = 0
    entry: int = 0
    cash: int = 0


@dataclass
class Person:
    """Cash, spot balance, positions, settings, used nonces, and every trade ever made as
    (day, notional); `made` are those as maker."""

    raw: int = 0
    spot: int = 0
    holdings: dict[int, Holding] = field(default_factory=dict)
    settings: dict[int, tuple[bool, int]] = field(default_factory=dict)
    nonces: set[int] = field(default_factory=set)
    trades: list[tuple[int, int]] = field(default_factory=list)
    made: list[tuple[int, int]] = field(default_factory=list)

    def held(self, asset: int) -> Holding:
        """The position in a market, made when it is not there."""
        return self.holdings.setdefault(asset, Holding())


@dataclass
class Slices:
    """A running TWAP order."""

    who: bytes
    action: TwapOrder
    lots: int
    start: int
    count: int
    sent: int = 0
    executed: int = 0

    def time(self, index: int) -> int:
        """When a slice is due."""
        share = Fraction(index, self.count - 1) if self.count > 1 else Fraction(0)
        return self.start + math.floor(share * self.action.minutes * 60_000)


@dataclass
class Place:
    """A market: its row of the genesis file, its book, and the history that prices come from."""

    asset: int
    row: dict[str, Any]
    book: NaiveBook = field(default_factory=NaiveBook)
    oracle: int = 0
    mark: int = 0
    updated: int = 0
    last: int | None = None
    premiums: list[int] = field(default_factory=list)
    basis: list[tuple[int, int]] = field(default_factory=list)
    middles: list[tuple[int, int]] = field(default_factory=list)

    @property
    def leverage_max(self) -> int:
        """Leverage of the first tier."""
        return int(self.row["margin_tiers"][0][1])

    def tier(self, notional: int) -> int:
        """Number of the tier that a notional falls into."""
        steps = self.row["margin_tiers"]
        return max(at for at, step in enumerate(steps) if notional >= step[0] * 10**6)


ABOUT_SUBS = (
    CreateSubAccount
    | RenameSubAccount
    | SubAccountTransfer
    | SubAccountSpotTransfer
    | RegisterReferrer
    | SetReferrer
    | ClaimRewards
)


class NaiveExchange:
    """State and one function per action. `events` are the orders and fills of the last block."""

    def __init__(self, genesis: bytes) -> None:
        tree = json.loads(genesis)
        # Codes, referrers, the number of trades before they were named; rewards due and unclaimed.
        self.codes: dict[str, bytes] = {}
        self.referrers: dict[bytes, bytes] = {}
        self.referred_at: dict[bytes, int] = {}
        self.owed_rewards: list[tuple[bytes, int]] = []
        self.rewards: dict[bytes, int] = {}
        self.p: dict[str, Any] = tree["parameters"]
        self.places = [Place(asset, row) for asset, row in enumerate(tree["markets"])]
        holders = [bytes.fromhex(one["address"][2:]) for token in tree["spot"]["tokens"]
                   for one in token["balances"]]  # fmt: skip
        self.people: dict[bytes, Person] = {
            who: Person() for who in (FUND, VAULT, ROUNDING, POT, *holders)
        }
        self.voters: dict[str, set[int]] = {one["address"]: set() for one in tree["validators"]}
        self.time = tree["time_ms"]
        self.custody = 0
        self.deposits = 0
        self.pending: dict[int, int] = {}
        self.oid = 1
        self.wid = 1
        self.owed_to_vault = 0
        self.switches: dict[bytes, int] = {}
        self.fired: list[tuple[bytes, int]] = []
        self.subs: dict[bytes, list[bytes]] = {}
        self.twaps: dict[int, Slices] = {}
        self.twap = 1
        self.builders: dict[tuple[bytes, bytes], int] = {}
        self.events: list[Event] = []

    # --- what an account is worth, from scratch -------------------------------------------------

    def setting(self, who: bytes, asset: int) -> tuple[bool, int]:
        """Margin mode and leverage; the default when never set."""
        place = self.places[asset]
        default = min(self.p["leverage_default"], place.leverage_max)
        return self.people[who].settings.get(asset, (not place.row["isolated_only"], default))

    def orders(self, who: bytes) -> list[tuple[int, Resting]]:
        """All live orders of an account, oldest first."""
        found = [
            (place.asset, order)
            for place in self.places
            for order in place.book.orders
            if order.owner == who
        ]
        return sorted(found, key=lambda pair: pair[1].oid)

    def value(self, who: bytes) -> int:
        """Cross account value: cash plus cross positions at mark."""
        person = self.people[who]
        return person.raw + sum(
            one.lots * self.places[asset].mark
            for asset, one in person.holdings.items()
            if self.setting(who, asset)[0]
        )

    def reserved(self, who: bytes, asset: int, is_buy: bool) -> int:
        """Notional of resting orders at their own limit; reduce-only orders hold nothing."""
        return sum(
            order.remaining * order.price
            for at, order in self.orders(who)
            if at == asset and order.is_buy is is_buy and not order.reduce_only
        )

    def margin_in(self, who: bytes, asset: int, extra: tuple[int, int] = (0, 0)) -> int:
        """Initial margin that one market holds from the cross balance, with `extra` orders."""
        is_cross, leverage = self.setting(who, asset)
        value = self.people[who].held(asset).lots * self.places[asset].mark
        bids = self.reserved(who, asset, True) + extra[0]
        asks = self.reserved(who, asset, False) + extra[1]
        worst = max(value + bids, asks - value)
        return math.ceil(Fraction(worst if is_cross else worst - abs(value), leverage))

    def margin(self, who: bytes) -> int:
        """Initial margin of everything open."""
        return sum(self.margin_in(who, place.asset) for place in self.places)

    def free(self, who: bytes) -> int:
        """What may leave the account."""
        notional = sum(
            abs(one.lots) * self.places[asset].mark
            for asset, one in self.people[who].holdings.items()
            if self.setting(who, asset)[0]
        )
        floor = math.ceil(Fraction(notional, self.p["transfer_margin_divisor"]))
        return max(0, self.value(who) - max(self.margin(who), floor))

    def maintenance(self, asset: int, notional: int) -> int:
        """Maintenance margin of one position: tiers with half the initial rate, continuous."""
        steps = self.places[asset].row["margin_tiers"]
        need, before = Fraction(0), Fraction(0)
        for lower, leverage in steps:
            rate = Fraction(1, 2 * leverage)
            if notional >= lower * 10**6:
                need += (notional - lower * 10**6) * (rate - before)
                before = rate
        return math.ceil(need)

    def rates(self, who: bytes) -> tuple[int, int]:
        """Taker and maker rate of today."""
        today = self.time // DAY
        window = self.p["volume_window_days"]

        def counted(trades: list[tuple[int, int]]) -> int:
            return sum(n for day, n in trades if today - window <= day < today)

        family = [self.people[one] for one in self.family(who)]
        volume = sum(counted(one.trades) for one in family)
        fit = [row for row in self.p["fee_tiers"][1:] if volume > row[0]]
        _, taker, maker = fit[-1] if fit else self.p["fee_tiers"][0]
        everybody = sum(counted(one.made) for one in self.people.values())
        if everybody:
            share = Fraction(sum(counted(one.made) for one in family), everybody)
            for above, rebate in self.p["maker_rebate_tiers"]:
                maker = -rebate if share > Fraction(above, 10_000) else maker
        return taker, maker

    def fee(self, order: Resting, notional: int, is_maker: bool) -> int:
        """The exchange's fee of one side, less its discount; a rebate has no limit here."""
        rate = self.rates(order.owner)[is_maker]
        if order.owner in self.referrers and self.terms_of(order.owner)[0] and rate > 0:
            return int(
                Fraction(notional * rate * (10_000 - self.p["referral_discount_bps"]), 10**10)
            )
        return int(Fraction(notional * rate, 10**6))

    def terms_of(self, who: bytes) -> tuple[bool, bool]:
        """Whether a referred account has its discount today, and its referrer a reward."""
        today, trades = self.time // DAY, self.people[who].trades
        before = sum(n for _, n in trades[: self.referred_at[who]])
        before = max(before, sum(n for day, n in trades if day < today))
        return (
            before < self.p["referral_discount_volume"],
            before < self.p["referral_reward_volume"],
        )

    def family(self, who: bytes) -> list[bytes]:
        """A master and its sub-accounts."""
        for master, subs in self.subs.items():
            if who == master or who in subs:
                return [master, *subs]
        return [who]

    def volume(self, who: bytes) -> int:
        """All that a family ever traded."""
        return sum(n for one in self.family(who) for _, n in self.people[one].trades)

    # --- blocks -----------------------------------------------------------------------------------

    def block(self, block: BlockInput) -> list[Rejection]:
        """Carry out one block; returns the results of its user transactions in execution order."""
        before, self.time, self.events = self.time, block.time_ms, []
        voted: dict[int, int] = {}
        for item in block.system:
            self.system(item, voted)
        for asset in sorted(voted):
            self.move_mark(self.places[asset], voted[asset])
        if self.time // HOUR > before // HOUR:
            for place in self.places:
                self.fund(place)
        period = self.p["premium_sample_ms"]
        if self.time // period > before // period:
            for place in self.places:
                self.sample(place)
        self.fire_switches()
        self.send_slices()
        results = [self.transaction(one) for one in sorted(block.transactions, key=urgency)]
        self.close_block(before)
        return results

    def fire_switches(self) -> None:
        """ORD-16 for every account, by time and address."""
        due = [(at, who) for who, at in self.switches.items() if at <= self.time]
        for _, who in sorted(due):
            del self.switches[who]
            self.fired.append((who, self.time // DAY))
            for asset, order in self.orders(who):
                self.end(self.places[asset], order, R.SCHEDULED_CANCEL)

    def begin_twap(self, who: bytes, action: TwapOrder) -> Rejection:
        """TWP-1 and TWP-2, without randomised sizes."""
        if not 0 <= action.asset < len(self.places):
            return R.MARKET_UNKNOWN
        place = self.places[action.asset]
        lots = Fraction(action.size, 10 ** (8 - int(place.row["size_decimals"])))
        if lots.denominator != 1 or lots == 0:
            return R.SIZE_INVALID if lots else R.SIZE_ZERO
        if not self.p["twap_minutes_min"] <= action.minutes <= self.p["twap_minutes_max"]:
            return R.TWAP_DURATION
        worth = int(lots) * place.mark
        if worth < self.p["twap_value_min"]:
            return R.TWAP_TOO_SMALL
        held = self.people[who].held(action.asset).lots
        if action.reduce_only and room(held, action.is_buy) == 0:
            return R.TWAP_REDUCE_ONLY
        if len([one for one in self.twaps.values() if one.who == who]) >= self.p["twaps_max"]:
            return R.TWAP_TOO_MANY
        count = min(
            action.minutes * 60_000 // self.p["twap_interval_ms"] + 1,
            worth // self.p["twap_slice_value_min"],
            int(lots),
        )
        self.twaps[self.twap] = Slices(who, action, int(lots), self.time, max(1, count))
        self.twap += 1
        return R.ACCEPTED

    def send_slices(self) -> None:
        """TWP-3 to TWP-5: by time, then id."""
        waiting = sorted((one.time(one.sent), number) for number, one in self.twaps.items())
        for due, number in waiting:
            if due <= self.time:
                self.send_slice(number, self.twaps[number])

    def send_slice(self, number: int, twap: Slices) -> None:
        """The last slice that is due, with what is missing."""
        action, place = twap.action, self.places[twap.action.asset]
        index = max(at for at in range(twap.count) if twap.time(at) <= self.time)
        share = math.floor(Fraction(twap.lots * (index + 1), twap.count))
        most = self.p["twap_catch_up"] * math.ceil(Fraction(twap.lots, twap.count))
        lots = min(share - twap.executed, most)
        if lots > 0:
            limit = Fraction(self.p["twap_slippage_bps"], 10_000)
            limit = place.mark * (1 + limit if action.is_buy else 1 - limit)
            price = math.floor(limit) if action.is_buy else math.ceil(limit)
            step = 1 if not action.is_buy else -1
            while on_grid(Fraction(price), int(place.row["size_decimals"])) != price:
                price += step
            request = OrderRequest(
                action.asset, action.is_buy, E8(price * self.tick(action.asset)),
                E8(lots * int(10 ** (8 - int(place.row["size_decimals"])))),
                action.reduce_only, TimeInForce.IOC,
            )  # fmt: skip
            before = len(self.events)
            self.place(twap.who, request, None)
            for event in self.events[before:]:
                twap.executed += int(str(event[3])) if event[0] == "fill" else 0
        twap.sent = index + 1
        if twap.sent == twap.count:
            del self.twaps[number]

    def schedule(self, who: bytes, action: ScheduleCancel) -> Rejection:
        """ORD-15."""
        if action.at is not None:
            if self.volume(who) < self.p["schedule_cancel_volume_min"]:
                return R.SCHEDULE_VOLUME
            if action.at < self.time + self.p["schedule_cancel_notice_ms"]:
                return R.SCHEDULE_TOO_EARLY
            if self.fired.count((who, action.at // DAY)) >= self.p["schedule_cancels_per_day"]:
                return R.SCHEDULE_TOO_OFTEN
        self.switches.pop(who, None)
        if action.at is not None:
            self.switches[who] = action.at
        return R.ACCEPTED

    def close_block(self, before: int) -> None:
        """What follows the users' actions; `before` is the time of the block before."""
        self.pay_share()

    def pay_share(self) -> None:
        """What referrers and the liquidity vault get of the fees so far."""
        for referrer, reward in self.owed_rewards:
            self.people[FUND].raw -= reward
            self.people[POT].raw += reward
            self.rewards[referrer] = self.rewards.get(referrer, 0) + reward
        self.owed_rewards = []
        self.people[FUND].raw -= self.owed_to_vault
        self.people[VAULT].raw += self.owed_to_vault
        self.owed_to_vault = 0

    def system(self, item: SystemInput, voted: dict[int, int]) -> None:
        """Votes, deposits and payouts."""
        if item.vote is not None:
            action = item.vote.action
            assert isinstance(action, OracleVote)
            used = self.voters["0x" + item.vote.signer.hex()]
            if self.check_nonce(used, item.vote.nonce) is R.ACCEPTED:
                for asset, price, _ in action.prices:
                    voted[asset] = price // self.tick(asset)
        elif item.type is SystemType.DEPOSIT:
            who, amount = item.body[:20], int.from_bytes(item.body[20:36], "big")
            if int.from_bytes(item.body[36:44], "big") == self.deposits + 1 and amount > 0:
                self.deposits += 1
                self.people.setdefault(who, Person()).raw += amount
                self.custody += amount
        else:
            self.custody -= self.pending.pop(int.from_bytes(item.body[:8], "big"), 0)

    def check_nonce(self, used: set[int], nonce: int) -> Rejection:
        """ADM-1 over everything ever used."""
        kept = sorted(used)[-self.p["nonces_kept"] :]
        if nonce <= self.time - self.p["nonce_window_past_ms"]:
            return R.NONCE_TOO_LOW
        if nonce >= self.time + self.p["nonce_window_future_ms"]:
            return R.NONCE_TOO_HIGH
        if nonce in kept:
            return R.NONCE_DUPLICATE
        if len(kept) == self.p["nonces_kept"] and nonce < kept[0]:
            return R.NONCE_TOO_LOW
        used.add(nonce)
        return R.ACCEPTED

    def transaction(self, one: Transaction) -> Rejection:
        """Admit and execute one transaction."""
        if one.signer not in self.people:
            return R.MUST_DEPOSIT if one.is_user_signed else R.SIGNER_UNKNOWN
        verdict = self.check_nonce(self.people[one.signer].nonces, one.nonce)
        if verdict is not R.ACCEPTED:
            return verdict
        who: bytes = one.signer
        if one.vault is not None and not one.is_user_signed:
            who = one.vault
            if who not in self.subs.get(one.signer, []):
                return R.VAULT_NOT_REGISTERED
            if isinstance(one.action, ABOUT_SUBS):
                return R.NOT_FOR_SUB
        if one.expires_after is not None and self.time > one.expires_after:
            return R.EXPIRED
        return self.act(who, one.action)

    def act(self, who: bytes, action: Action) -> Rejection:
        """Carry out what an account asks."""
        if isinstance(action, PlaceOrders):
            if action.orders and not self.may_charge(who, action.builder):
                return R.BUILDER_NOT_APPROVED
            for request in action.orders:
                self.place(who, request, None)
            return R.ACCEPTED if action.orders else R.ORDERS_EMPTY
        if isinstance(action, CancelOrders):
            return self.cancel(who, action)
        if isinstance(action, ModifyOrders):
            return self.modify(who, action)
        if isinstance(action, UpdateLeverage):
            return self.set_leverage(who, action)
        if isinstance(action, UpdateIsolatedMargin):
            return self.move_margin(who, action)
        if isinstance(action, UsdSend):
            return self.send(who, action)
        if isinstance(action, ClassTransfer | SendAsset | SubAccountSpotTransfer):
            return self.move_spot(who, action)
        if isinstance(action, Withdraw):
            return self.withdraw(who, action)
        if isinstance(action, ScheduleCancel):
            return self.schedule(who, action)
        if isinstance(action, TwapOrder):
            return self.begin_twap(who, action)
        if isinstance(action, TwapCancel):
            found = self.twaps.get(action.twap_id)
            if found is None or (found.who, found.action.asset) != (who, action.asset):
                return R.TWAP_MISSING
            del self.twaps[action.twap_id]
            return R.ACCEPTED
        if isinstance(action, ApproveBuilderFee):
            return self.approve_builder(who, action)
        if isinstance(action, CreateSubAccount | RenameSubAccount | SubAccountTransfer):
            return self.sub_account(who, action)
        if isinstance(action, RegisterReferrer | SetReferrer | ClaimRewards):
            return self.refer(who, action)
        return R.ACCEPTED

    def refer(self, who: bytes, action: RegisterReferrer | SetReferrer | ClaimRewards) -> Rejection:
        """REF-1, REF-2, REF-5."""
        if isinstance(action, RegisterReferrer):
            if self.volume(who) < self.p["referral_volume_min"]:
                return R.REFERRAL_VOLUME
            if who in self.codes.values():
                return R.REFERRAL_CODE_HELD
            if re.fullmatch("[A-Z0-9]{1,20}", action.code) is None:
                return R.REFERRAL_CODE_INVALID
            if action.code in self.codes:
                return R.REFERRAL_CODE_TAKEN
            self.codes[action.code] = who
        elif isinstance(action, SetReferrer):
            if action.code not in self.codes:
                return R.REFERRAL_UNKNOWN
            if self.codes[action.code] == who:
                return R.REFERRER_SELF
            if who in self.referrers:
                return R.REFERRER_HELD
            self.referrers[who] = self.codes[action.code]
            self.referred_at[who] = len(self.people[who].trades)
        else:
            amount = self.rewards.get(who, 0)
            if amount == 0 or amount < self.p["referral_claim_min"]:
                return R.NO_REWARDS
            del self.rewards[who]
            self.people[POT].raw -= amount
            self.people[who].raw += amount
        return R.ACCEPTED

    # --- orders -----------------------------------------------------------------------------------

    def tick(self, asset: int) -> int:
        """One step of the price grid, times 10^8."""
        return int(10 ** (2 + int(self.places[asset].row["size_decimals"])))

    def lots(self, request: OrderRequest) -> int:
        """Size of a well-formed request in lots."""
        return request.size // int(10 ** (8 - self.places[request.asset].row["size_decimals"]))

    def place(self, who: bytes, request: OrderRequest, replaced: Resting | None) -> None:
        """Judge one request, then match it, then rest or cancel what is left."""
        oid, self.oid = self.oid, self.oid + 1
        hidden = self.hide(replaced)
        order, reason = self.judge(who, oid, request, replaced)
        self.show(hidden)
        if order is None:
            lots = None if reason in FORM else self.lots(request)
            self.say(oid, who, OrderStatus.REJECTED, reason, lots)
            return
        place = self.places[request.asset]
        if replaced is not None:
            self.end(place, replaced, R.MODIFIED)
        stopped = R.ACCEPTED
        if order.tif != TimeInForce.ALO:
            stopped = match(
                place.book,
                order,
                lambda owner: self.people[owner].held(place.asset).lots,
                lambda maker, why: self.end(place, maker, why),
                lambda maker, taker, lots: self.trade(place, maker, taker, lots),
            )
        left = room(self.people[who].held(place.asset).lots, order.is_buy)
        status, reason = outcome(order, stopped, left)
        if status is OrderStatus.PARTIALLY_FILLED and not self.covers_rest(who, place, order):
            status, reason = OrderStatus.CANCELED, R.MARGIN_CANCELED
        if status in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED):
            place.book.orders.append(order)
        self.say(oid, who, status, reason, order.remaining)

    def hide(self, replaced: Resting | None) -> list[list[Resting]]:
        """An order to be replaced counts as gone in every check."""
        queues = [list(place.book.orders) for place in self.places]
        for place in self.places:
            place.book.orders = [one for one in place.book.orders if one is not replaced]
        return queues

    def show(self, queues: list[list[Resting]]) -> None:
        """Undo `hide`."""
        for place, queue in zip(self.places, queues, strict=True):
            place.book.orders = queue

    def judge(
        self, who: bytes, oid: int, request: OrderRequest, replaced: Resting | None
    ) -> tuple[Resting | None, Rejection]:
        """The order on its market's grid, or the first reason to refuse it (U-ORD-3)."""
        for reason in self.objections(who, request):
            return None, reason
        lots = self.lots(request)
        price = request.price // self.tick(request.asset)
        order = Resting(oid, who, request.is_buy, price, lots, lots, request.reduce_only,
                        int(request.tif), request.cloid, request.builder)  # fmt: skip
        return order, R.ACCEPTED

    def objections(self, who: bytes, request: OrderRequest) -> Iterator[Rejection]:
        """Every reason to refuse, in the fixed order; later ones are not asked after the first."""
        if not 0 <= request.asset < len(self.places):
            yield R.MARKET_UNKNOWN
        place = self.places[request.asset]
        decimals = int(place.row["size_decimals"])
        lots = Fraction(request.size, 10 ** (8 - decimals))
        if lots.denominator != 1:
            yield R.SIZE_INVALID
        if lots == 0:
            yield R.SIZE_ZERO
        price = Fraction(request.price, self.tick(place.asset))
        whole = Fraction(request.price, 10**8).denominator == 1
        figures = len(str(request.price).strip("0"))
        if price.denominator != 1 or price <= 0 or (figures > 5 and not whole):
            yield R.TICK
        if place.oracle == 0:
            yield R.NO_PRICE
        yield from self.value_objections(who, request, place, int(price), int(lots))

    def value_objections(
        self, who: bytes, request: OrderRequest, place: Place, price: int, lots: int
    ) -> Iterator[Rejection]:
        """ORD-4 to ORD-9."""
        band = Fraction(self.p["order_band_numerator"], self.p["order_band_denominator"])
        if abs(price - place.oracle) > place.oracle * band:
            yield R.ORACLE_BAND
        notional = price * lots
        position = self.people[who].held(place.asset).lots
        reducible = room(position, request.is_buy)
        if notional < self.p["order_value_min"] and not (
            request.reduce_only and 0 < reducible <= lots
        ):
            yield R.MIN_TRADE_NOTIONAL
        largest = next(
            value for least, value in self.p["order_value_classes"] if place.leverage_max >= least
        )
        if request.tif != TimeInForce.IOC:
            largest *= self.p["limit_order_value_factor"]
        if notional > largest:
            yield R.MAX_ORDER_VALUE
        live = self.orders(who)
        volume = sum(one for _, one in self.people[who].trades)
        base = self.p["open_orders_base"]
        limit = min(base + volume // self.p["open_orders_volume_step"], self.p["open_orders_max"])
        if len(live) >= limit or (len(live) >= base and request.reduce_only):
            yield R.TOO_MANY_OPEN_ORDERS
        if request.cloid is not None and request.cloid in [one.cloid for _, one in live]:
            yield R.CLOID_IN_USE
        if request.reduce_only and reducible == 0:
            yield R.REDUCE_ONLY
        met = place.book.crossing(request.is_buy, price)
        if request.tif == TimeInForce.ALO and met:
            yield R.BAD_ALO_PRICE
        if not request.reduce_only:
            yield from self.margin_objections(who, request.is_buy, place, price, lots)

    def margin_objections(
        self, who: bytes, is_buy: bool, place: Place, price: int, lots: int
    ) -> Iterator[Rejection]:
        """ORD-10 and ORD-11."""
        position = self.people[who].held(place.asset).lots
        after = abs(position + (lots if is_buy else -lots))
        leverage = self.setting(who, place.asset)[1]
        allowed = place.row["margin_tiers"][place.tier(after * place.mark)][1]
        if after > abs(position) and leverage > allowed:
            yield R.PERP_MAX_POSITION
        met = place.book.crossing(is_buy, price)
        matching = min(lots, sum(one.remaining for one in met))
        held = (lots - matching) * price + matching * place.mark
        if not self.covers(who, place, is_buy, held, lots):
            yield R.PERP_MARGIN

    def covers(self, who: bytes, place: Place, is_buy: bool, held: int, lots: int) -> bool:
        """Margin for everything open with this order; an order that only reduces is not asked."""
        same_side = sum(
            one.remaining
            for at, one in self.orders(who)
            if at == place.asset and one.is_buy is is_buy and not one.reduce_only
        )
        if same_side + lots <= room(self.people[who].held(place.asset).lots, is_buy):
            return True
        extra = (held, 0) if is_buy else (0, held)
        others = self.margin(who) - self.margin_in(who, place.asset)
        return self.value(who) >= others + self.margin_in(who, place.asset, extra)

    def covers_rest(self, who: bytes, place: Place, order: Resting) -> bool:
        """The same for what is left after fills, at its limit."""
        if order.reduce_only:
            return True
        held = order.remaining * order.price
        return self.covers(who, place, order.is_buy, held, order.remaining)

    def end(self, place: Place, order: Resting, reason: Rejection) -> None:
        """Take a resting order away."""
        place.book.orders.remove(order)
        self.say(order.oid, order.owner, OrderStatus.CANCELED, reason, order.remaining)

    def say(
        self, oid: int, who: bytes, status: OrderStatus, reason: Rejection, remaining: int | None
    ) -> None:
        """Note what became of an order."""
        self.events.append(("order", oid, who, status, reason, remaining))

    def cancel(self, who: bytes, action: CancelOrders) -> Rejection:
        """Cancel own orders by id or client id."""
        for asset, target in action.targets:
            order = self.own(who, asset, target)
            if order is None:
                oid = 0 if isinstance(target, bytes) else target
                self.say(oid, who, OrderStatus.REQUEST_REFUSED, R.MISSING_ORDER, 0)
            else:
                self.end(self.places[asset], order, R.CANCELED_BY_USER)
        return R.ACCEPTED if action.targets else R.ORDERS_EMPTY

    def own(self, who: bytes, asset: int, target: int | bytes) -> Resting | None:
        """An own live order of a market."""
        for at, order in self.orders(who):
            if at == asset and target in (order.oid, order.cloid):
                return order
        return None

    def modify(self, who: bytes, action: ModifyOrders) -> Rejection:
        """Replace orders (ORD-13)."""
        for target, request in action.modifies:
            order = self.own(who, request.asset, target)
            oid = 0 if isinstance(target, bytes) else target
            if not action.always_place:
                if order is None:
                    self.say(oid, who, OrderStatus.REQUEST_REFUSED, R.MODIFY_MISSING, 0)
                    continue
                if request.tif == TimeInForce.IOC:
                    self.say(oid, who, OrderStatus.REQUEST_REFUSED, R.MODIFY_INVALID, 0)
                    continue
                request = self.post_only(request)
            self.place(who, request, order)
        return R.ACCEPTED if action.modifies else R.ORDERS_EMPTY

    @staticmethod
    def post_only(request: OrderRequest) -> OrderRequest:
        """The same request, only to rest."""
        found = OrderRequest(
            request.asset, request.is_buy, request.price, request.size,
            request.reduce_only, TimeInForce.ALO, cloid=request.cloid, trigger=request.trigger,
        )  # fmt: skip
        found.builder = request.builder
        return found

    # --- trades -----------------------------------------------------------------------------------

    def trade(self, place: Place, maker: Resting, taker: Resting, lots: int) -> Rejection:
        """One match: try it on a copy of each side, then carry it out for both."""
        notional = lots * maker.price
        fees: dict[bytes, int] = {}
        costs: dict[bytes, int] = {}
        for order in (maker, taker):
            fees[order.owner] = self.fee(order, notional, order is maker)
            if order is maker:
                fees[order.owner] = max(fees[order.owner], -self.fee(taker, notional, False))
            extra = order.builder[1] if order.builder else 0
            costs[order.owner] = fees[order.owner] + int(Fraction(notional * extra, 10**5))
            if not self.affords(place, order, maker, lots, costs[order.owner]):
                return R.MARGIN_CANCELED if order is maker else R.PERP_MARGIN
        event: list[object] = ["fill", place.asset, maker.price, lots]
        for order in (maker, taker):
            held = self.people[order.owner].held(place.asset)
            start = held.lots
            pnl = self.book_fill(place, order, lots, maker.price, costs[order.owner])
            self.people[order.owner].trades.append((self.time // DAY, notional))
            order.remaining -= lots
            event += [order.owner, order.oid, fees[order.owner], start, pnl]
        self.events.append(tuple(event))
        for order in (maker, taker):
            if order.builder:
                paid = costs[order.owner] - fees[order.owner]
                self.people.setdefault(order.builder[0], Person()).raw += paid
        self.people[maker.owner].made.append((self.time // DAY, notional))
        left = sum(fees.values())
        self.people[FUND].raw += left
        for order in (taker, maker):
            if order.owner in self.referrers and self.terms_of(order.owner)[1]:
                share = Fraction(max(fees[order.owner], 0) * self.p["referral_reward_bps"], 10_000)
                reward = min(math.floor(share), left)
                left -= reward
                self.owed_rewards.append((self.referrers[order.owner], reward))
        share = Fraction(left * self.p["hlp_fee_share_bps"], 10_000)
        self.owed_to_vault += math.floor(share)
        place.last = maker.price
        if maker.remaining == 0:
            place.book.orders.remove(maker)
        for owner in (maker.owner, taker.owner):
            for at, order in self.orders(owner):
                useless = room(self.people[owner].held(at).lots, order.is_buy) == 0
                if at == place.asset and order.reduce_only and useless:
                    self.end(place, order, R.REDUCE_ONLY_CANCELED)
        return R.ACCEPTED

    def affords(self, place: Place, order: Resting, maker: Resting, lots: int, fee: int) -> bool:
        """MAT-3 for one side, on its state after the trade."""
        who, asset = order.owner, place.asset
        before = self.value(who)
        kept = copy.deepcopy(self.people[who])
        held = kept.held(asset)
        start, own_before = held.lots, held.cash + held.lots * maker.price
        if order is maker:
            order.remaining -= lots
        self.book_fill(place, order, lots, maker.price, fee)
        after = self.people[who].held(asset)
        value, margin = self.value(who), self.margin(who)
        own = after.cash + after.lots * place.mark
        needed = self.maintenance(asset, abs(after.lots) * place.mark)
        self.people[who] = kept
        if order is maker:
            order.remaining += lots
        limited = self.p["user_fill_limit"] == 1
        shrinks = abs(after.lots) < abs(start)
        if not self.setting(who, asset)[0]:
            closes = start * (1 if order.is_buy else -1) < 0
            if closes and limited and own_before < 0:
                return False
            # A flip is a full close and an open, and opening an isolated position needs margin.
            shrinks = closes and lots <= abs(start)
            if not shrinks and own < needed:
                return False
        if shrinks:
            return not limited or value >= 0 or value >= before
        return value >= margin

    def book_fill(self, place: Place, order: Resting, lots: int, price: int, fee: int) -> int:
        """Move cash and lots of one side; returns the realised profit."""
        person = self.people[order.owner]
        held = person.held(place.asset)
        is_cross, leverage = self.setting(order.owner, place.asset)
        sign = 1 if order.is_buy else -1
        closed = min(lots, room(held.lots, order.is_buy))
        opened = lots - closed
        pnl = 0
        person.raw -= fee
        if closed:
            released = math.floor(
                Fraction((held.cash + held.lots * price) * closed, abs(held.lots))
            )
            left = abs(held.lots) - closed
            entry = math.floor(Fraction(held.entry * left, abs(held.lots)))
            pnl = -sign * (closed * price - (held.entry - entry))
            held.entry = entry
            held.lots += sign * closed
            if is_cross:
                person.raw -= sign * closed * price
            else:
                person.raw += released
                held.cash -= sign * closed * price + released
        if opened:
            held.entry += opened * price
            held.lots += sign * opened
            if is_cross:
                person.raw -= sign * opened * price
            else:
                margin = math.ceil(Fraction(opened * price, leverage))
                person.raw -= margin
                held.cash += margin - sign * opened * price
        return pnl

    # --- settings and money -----------------------------------------------------------------------

    def set_leverage(self, who: bytes, action: UpdateLeverage) -> Rejection:
        """MRG-6."""
        if not 0 <= action.asset < len(self.places):
            return R.MARKET_UNKNOWN
        place = self.places[action.asset]
        if not 1 <= action.leverage <= place.leverage_max:
            return R.LEVERAGE_INVALID
        if action.is_cross and place.row["isolated_only"]:
            return R.CROSS_NOT_ALLOWED
        person, old = self.people[who], self.setting(who, action.asset)
        held = person.held(action.asset)
        if held.lots and old[0] is not action.is_cross:
            return R.LEVERAGE_SWITCH_WITH_POSITION
        before = self.margin(who)
        kept = dict(person.settings)
        person.settings[action.asset] = (action.is_cross, action.leverage)
        after, value = self.margin(who), self.value(who)
        verdict = R.ACCEPTED
        if after > before and value < after:
            verdict = R.CROSS_MARGIN_FOR_LEVERAGE
        elif held.lots and not action.is_cross and action.leverage < old[1]:
            notional = abs(held.lots) * place.mark
            needed = math.ceil(Fraction(notional, action.leverage))
            if held.cash + held.lots * place.mark < needed:
                verdict = R.ISOLATED_MARGIN_FOR_LEVERAGE
        if verdict is not R.ACCEPTED:
            person.settings = kept
        return verdict

    def move_margin(self, who: bytes, action: UpdateIsolatedMargin) -> Rejection:
        """MRG-7."""
        if not 0 <= action.asset < len(self.places):
            return R.MARKET_UNKNOWN
        place, person = self.places[action.asset], self.people[who]
        held = person.held(action.asset)
        is_cross, leverage = self.setting(who, action.asset)
        if action.amount == 0:
            return R.ISOLATED_UPDATE_ZERO
        if held.lots == 0:
            return R.ISOLATED_NO_POSITION
        if is_cross:
            return R.ISOLATED_NOT_USED
        if action.amount > self.free(who) and action.amount > 0:
            return R.ISOLATED_ADD_TOO_MUCH
        if action.amount < 0:
            if place.row["isolated_only"]:
                return R.ISOLATED_REMOVE_FORBIDDEN
            notional = abs(held.lots) * place.mark
            most = Fraction(notional, min(leverage, self.p["transfer_margin_divisor"]))
            if -action.amount > max(0, held.cash + held.lots * place.mark - math.ceil(most)):
                return R.ISOLATED_REMOVE_TOO_MUCH
        person.raw -= action.amount
        held.cash += action.amount
        return R.ACCEPTED

    def send(self, who: bytes, action: UsdSend) -> Rejection:
        """TRF-1 and TRF-2."""
        if action.destination in (FUND, VAULT, ROUNDING):
            return R.DESTINATION_INVALID
        if action.amount is None or action.amount <= 0:
            return R.AMOUNT_INVALID
        if action.destination == who:
            return R.DESTINATION_INVALID
        if action.amount > self.free(who):
            return R.BALANCE_TRANSFER
        fee = 0 if action.destination in self.people else self.p["activation_fee"]
        if action.amount + fee > self.free(who):
            return R.BALANCE_TRANSFER_GAS
        self.people[who].raw -= action.amount + fee
        self.people.setdefault(action.destination, Person()).raw += action.amount
        self.people[FUND].raw += fee
        return R.ACCEPTED

    def move_spot(
        self, who: bytes, action: ClassTransfer | SendAsset | SubAccountSpotTransfer
    ) -> Rejection:
        """TRF-5, TRF-6 and what of SUB-3 is about spot balances."""
        if isinstance(action, SubAccountSpotTransfer):
            if action.token != USDC_NAME:
                return R.TOKEN_UNKNOWN
            if action.amount is None:
                return R.AMOUNT_INVALID
            if action.sub not in self.subs.get(who, []):
                return R.SUB_NOT_REGISTERED
            if action.amount == 0:
                return R.SUB_TRANSFER_INVALID
            ends = (who, action.sub) if action.is_deposit else (action.sub, who)
            return self.carry(ends[0], True, ends[1], True, action.amount)
        if action.sub is not None and action.sub not in self.subs.get(who, []):
            return R.SUB_NOT_REGISTERED
        owner: bytes = who if action.sub is None else action.sub
        if isinstance(action, ClassTransfer):
            return self.carry(owner, action.to_perp, owner, not action.to_perp, action.amount)
        if action.destination in (FUND, VAULT, ROUNDING):
            return R.DESTINATION_INVALID
        if action.token != USDC_NAME:
            return R.TOKEN_UNKNOWN
        if action.from_spot is None or action.to_spot is None:
            return R.DEX_UNKNOWN
        if action.destination == owner and action.from_spot == action.to_spot:
            return R.DESTINATION_INVALID
        return self.carry(owner, action.from_spot, action.destination, action.to_spot,
                          action.amount)  # fmt: skip

    def carry(
        self, source: bytes, from_spot: bool, target: bytes, to_spot: bool, amount: int | None
    ) -> Rejection:
        """Move USDC between two cells; a new address costs the fee, from the same cell."""
        free = self.people[source].spot if from_spot else self.free(source)
        if amount is None or amount <= 0:
            return R.AMOUNT_INVALID
        if amount > free:
            return R.BALANCE_TRANSFER
        fee = 0 if target in self.people else self.p["activation_fee"]
        if amount + fee > free:
            return R.BALANCE_TRANSFER_GAS
        if from_spot:
            self.people[source].spot -= amount + fee
        else:
            self.people[source].raw -= amount + fee
        person = self.people.setdefault(target, Person())
        if to_spot:
            person.spot += amount
        else:
            person.raw += amount
        self.people[FUND].raw += fee
        return R.ACCEPTED

    def withdraw(self, who: bytes, action: Withdraw) -> Rejection:
        """TRF-3."""
        fee = self.p["withdrawal_fee"]
        if action.amount is None or action.amount <= fee:
            return R.AMOUNT_INVALID
        if action.amount > self.free(who):
            return R.BALANCE_WITHDRAWAL
        self.people[who].raw -= action.amount
        self.people[FUND].raw += fee
        self.pending[self.wid] = action.amount - fee
        self.wid += 1
        return R.ACCEPTED

    def approve_builder(self, who: bytes, action: ApproveBuilderFee) -> Rejection:
        """FEE-6."""
        if action.builder in (FUND, VAULT, ROUNDING):
            return R.DESTINATION_INVALID
        if action.rate is None or action.rate > self.p["builder_approval_max"]:
            return R.BUILDER_RATE_INVALID
        mine = [one for one in self.builders if one[0] == who and one[1] != action.builder]
        if action.rate == 0:
            self.builders.pop((who, action.builder), None)
            return R.ACCEPTED
        if len(mine) >= self.p["builder_approvals_max"]:
            return R.BUILDER_TOO_MANY
        known = action.builder in self.people
        if not known or self.value(action.builder) < self.p["builder_value_min"]:
            return R.BUILDER_BALANCE
        self.builders[who, action.builder] = action.rate
        return R.ACCEPTED

    def may_charge(self, who: bytes, builder: tuple[bytes, int] | None) -> bool:
        """FEE-7."""
        if builder is None:
            return True
        approved = self.builders.get((self.family(who)[0], builder[0]), 0)
        return builder[1] <= approved and builder[1] <= self.p["builder_fee_max"]

    def sub_account(
        self, who: bytes, action: CreateSubAccount | RenameSubAccount | SubAccountTransfer
    ) -> Rejection:
        """SUB-1 to SUB-3."""
        subs = self.subs.get(who, [])
        if isinstance(action, SubAccountTransfer):
            if action.sub not in subs:
                return R.SUB_NOT_REGISTERED
            if action.amount == 0:
                return R.SUB_TRANSFER_INVALID
            source, target = (who, action.sub) if action.is_deposit else (action.sub, who)
            if action.amount > self.free(source):
                return R.BALANCE_TRANSFER
            self.people[source].raw -= action.amount
            self.people[target].raw += action.amount
            return R.ACCEPTED
        if isinstance(action, CreateSubAccount):
            if self.volume(who) < self.p["sub_account_volume_min"]:
                return R.SUB_VOLUME
            most = self.p["sub_accounts_base"]
            most += self.volume(who) // self.p["sub_accounts_volume_step"]
            if len(subs) >= min(most, self.p["sub_accounts_max"]):
                return R.SUB_TOO_MANY
        elif action.sub not in subs:
            return R.SUB_NOT_REGISTERED
        if not re.fullmatch(r"[!-~]([ -~]{0,14}[!-~])?", action.name):
            return R.SUB_NAME_INVALID
        if isinstance(action, CreateSubAccount):
            number = len(self.subs.setdefault(who, []))
            self.subs[who].append(sub_address(who, number))
            self.people.setdefault(sub_address(who, number), Person())
        return R.ACCEPTED

    # --- prices and funding -----------------------------------------------------------------------

    def move_mark(self, place: Place, oracle: int) -> None:
        """PRC-4 from the whole history of samples (one validator, no outside prices)."""
        elapsed = self.time - place.updated if place.updated else 0
        bid, ask = place.book.best(True), place.book.best(False)
        if bid is not None and ask is not None:
            place.basis.append((bid + ask - 2 * oracle, elapsed))
            if place.last is not None:
                place.middles.append((sorted((bid, ask, place.last))[1], elapsed))
        basis = average(place.basis, self.p["ema_basis_tau_ms"])
        values = [oracle + (basis or Fraction(0)) / 2]
        if bid is not None and ask is not None and place.last is not None:
            values.append(Fraction(place.middles[-1][0]))
            third = average(place.middles, self.p["ema_book_tau_ms"])
            values.append(sum(values) / Fraction(2) if third is None else third)
        middle = sorted(values)[len(values) // 2]
        place.mark = self.bounded(
            max(1, on_grid(middle, int(place.row["size_decimals"]))), oracle, place
        )
        place.oracle, place.updated = oracle, self.time

    def bounded(self, mark: int, oracle: int, place: Place) -> int:
        """PRC-10: the grid prices that lie within the band are searched outright."""
        away = math.floor(Fraction(oracle * self.p["mark_band_bps"], 10_000))
        if self.p["mark_band_bps"] == 0 or abs(mark - oracle) <= away:
            return mark
        step = 1 if mark < oracle else -1
        price = oracle + away if mark > oracle else oracle - away
        while price > 1 and on_grid(Fraction(price), int(place.row["size_decimals"])) != price:
            price += step
        return max(1, price)

    def sample(self, place: Place) -> None:
        """FND-1: what trading the impact notional would cost beyond the oracle."""
        if place.oracle == 0:
            return
        bid, ask = self.impact(place, True), self.impact(place, False)
        if bid is None and ask is None:
            return
        above = max(bid - place.oracle, Fraction(0)) if bid is not None else Fraction(0)
        below = max(place.oracle - ask, Fraction(0)) if ask is not None else Fraction(0)
        place.premiums.append(round((above - below) / place.oracle * 10**12))

    def impact(self, place: Place, is_buy: bool) -> Fraction | None:
        """Average price of trading the impact notional into one side."""
        todo = Fraction(place.row["impact_notional"] * 10**6)
        lots = Fraction(0)
        for order in place.book.side(is_buy):
            part = min(todo, Fraction(order.remaining * order.price))
            todo -= part
            lots += part / order.price
            if todo == 0:
                return Fraction(place.row["impact_notional"] * 10**6) / lots
        return None

    def fund(self, place: Place) -> None:
        """FND-2 and FND-3 for one market."""
        if place.oracle == 0:
            return
        one = 10**12
        rate = Fraction(0)
        if place.premiums:
            premium = Fraction(sum(place.premiums), len(place.premiums) * one)
            clamp = Fraction(self.p["funding_clamp"], one)
            gap = Fraction(self.p["funding_interest"], one) - premium
            rate = (premium + max(-clamp, min(clamp, gap))) / self.p["funding_hours_per_rate"]
            cap = Fraction(self.p["funding_cap"], one)
            rate = max(-cap, min(cap, rate))
        published = Fraction(round(rate * 10**8), 10**8)
        place.premiums = []
        for who, person in self.people.items():
            held = person.held(place.asset)
            payment = math.ceil(held.lots * place.oracle * published)
            if self.setting(who, place.asset)[0]:
                person.raw -= payment
            else:
                held.cash -= payment
            self.people[ROUNDING].raw += payment


def urgency(transaction: Transaction) -> int:
    """BLK-1: passive actions, then cancels, then whatever may take."""
    action = transaction.action
    if isinstance(action, CancelOrders):
        return 2
    requests: list[OrderRequest] = []
    if isinstance(action, PlaceOrders):
        requests = action.orders
    elif isinstance(action, ModifyOrders):
        requests = [request for _, request in action.modifies]
    takes = any(one.tif != TimeInForce.ALO and one.trigger is None for one in requests)
    return 3 if takes else 1


def average(samples: list[tuple[int, int]], tau: int) -> Fraction | None:
    """Samples weighted by their time and by exp(-age / tau), kept in units of 2^-64 (PRC-5)."""
    one = 2**64
    top, bottom = 0, 0
    for value, elapsed in samples:
        with localcontext() as context:
            context.prec = 60
            decay = math.floor((Decimal(-min(elapsed, 10 * tau)) / tau).exp() * one)
        top = math.floor(Fraction(top * decay, one)) + value * elapsed * one
        bottom = math.floor(Fraction(bottom * decay, one)) + elapsed * one
    return Fraction(top, bottom) if bottom else None


def on_grid(price: Fraction, size_decimals: int) -> int:
    """Five significant figures, half to even; whole numbers keep all their figures."""
    extra = len(str(round(price))) - 5
    step = int(10 ** max(0, min(extra, 6 - size_decimals)))
    return round(price / step) * step


# --- a life for both ------------------------------------------------------------------------------

MARKETS: list[dict[str, object]] = [
    {"name": "AAA", "size_decimals": 2, "margin_tiers": [[0, 25]], "impact_notional": 400,
     "isolated_only": False},
    {"name": "BBB", "size_decimals": 0, "margin_tiers": [[0, 10], [2000, 5]],
     "impact_notional": 300, "isolated_only": True},
    {"name": "CCC", "size_decimals": 3, "margin_tiers": [[0, 15], [1500, 3]],
     "impact_notional": 300, "isolated_only": False},
]  # fmt: skip
PARAMETERS: dict[str, object] = {
    "open_orders_base": 6,
    "open_orders_max": 8,
    "open_orders_volume_step": 5_000_000_000,
    "order_value_classes": [[25, 6_000_000_000], [10, 1_000_000_000], [0, 500_000_000]],
    "limit_order_value_factor": 2,
    "fee_tiers": [[0, 450, 150], [2_000_000_000, 400, 120], [9_000_000_000, 350, 0]],
    "nonces_kept": 20,
    "hlp_fee_share_bps": 700,
    "recount_interval": 1,
    "schedule_cancel_volume_min": 1_000_000_000,
    "schedule_cancels_per_day": 2,
    "twap_minutes_min": 1,
    "twap_minutes_max": 3,
    "twap_value_min": 30_000_000,
    "twaps_max": 2,
    "twap_interval_ms": 5_000,
    "builder_approvals_max": 2,
    "builder_value_min": 50_000_000,
    "sub_account_volume_min": 300_000_000,
    "sub_accounts_base": 1,
    "sub_accounts_volume_step": 3_000_000_000,
    "sub_accounts_max": 2,
    "maker_rebate_tiers": [[500, 20], [2_500, 50], [6_000, 900]],
    "referral_volume_min": 400_000_000,
    "referral_discount_volume": 6_000_000_000,
    "referral_reward_volume": 20_000_000_000,
    "referral_reward_bps": 2_500,
    "referral_claim_min": 20_000,
    "liquidations_per_block": 0,  # the risk phase has its own slow twin, slow_waterfall
}
PURSES = {"rich": "60000", "wide": "20000", "mid": "900", "less": "350", "poor": "60", "dry": "12"}
START_PRICES = {0: Decimal(100), 1: Decimal("0.5"), 2: Decimal(20)}


@dataclass
class Drawn:
    """What goes into one block: system inputs, (signer, action, user-signed), and its time."""

    votes: dict[int, str] = field(default_factory=dict)
    deposits: list[tuple[str, str]] = field(default_factory=list)
    payouts: list[int] = field(default_factory=list)
    actions: list[tuple[str, Any, bool]] = field(default_factory=list)
    elapsed: int = 200


class Life:
    """Draws blocks. Prices wander and sometimes jump by -60 % to +200 %; time mostly creeps.

    `arranging` is how often somebody arranges for something instead of trading,
    `spot` how often somebody moves USDC between cells instead of anything else.
    """

    def __init__(
        self,
        seed: int,
        names: tuple[str, ...] = tuple(PURSES),
        arranging: float = 0.01,
        spot: float = 0.0,
    ) -> None:
        self.draw = random.Random(seed)
        self.names = names
        self.prices = dict(START_PRICES)
        self.cloid = 0
        self.clock = START
        self.arranging = arranging
        self.moving = spot

    def block(self, live: dict[str, list[tuple[int, int]]], transactions: int) -> Drawn:
        """One block; `live` are each name's orders as (asset, oid)."""
        draw = self.draw
        drawn = Drawn(elapsed=draw.choice((50, 200, 200, 1_000, 3_000)))
        dice = draw.random()
        if dice < 0.02:
            drawn.elapsed = draw.choice((HOUR, HOUR // 2, 3 * HOUR, DAY))
        self.clock += drawn.elapsed
        if draw.random() < 0.12:
            for asset in draw.sample(range(3), draw.randint(1, 3)):
                self.wander(asset)
                drawn.votes[asset] = f"{self.prices[asset]:f}"
        if draw.random() < 0.02:
            drawn.deposits.append((draw.choice(self.names), str(draw.randint(5, 300))))
        if draw.random() < 0.03:
            drawn.payouts.append(draw.randint(1, 12))
        for _ in range(transactions):
            name = draw.choice(self.names)
            if draw.random() < 0.1:
                name += draw.choice(("/1", "/1", "/2"))
            drawn.actions.append((name, *self.action(name, live.get(name, []))))
        return drawn

    def wander(self, asset: int) -> None:
        """A step, or a jump."""
        draw = self.draw
        step = draw.randint(-60, 200) if draw.random() < 0.1 else draw.randint(-30, 30) / 10
        moved = self.prices[asset] * (100 + Decimal(str(step))) / 100
        low, high = START_PRICES[asset] / 8, START_PRICES[asset] * 8
        self.prices[asset] = five_figures(max(low, min(high, moved)))

    def action(self, name: str, live: list[tuple[int, int]]) -> tuple[Any, bool]:
        """Something to do, and whether it is signed as a user-signed action."""
        draw = self.draw
        if self.moving and draw.random() < self.moving:
            return self.spot(name.partition("/")[0])
        if draw.random() < self.arranging:
            return self.arrangement(name)
        dice = draw.random()
        if dice < 0.55:
            count = draw.choice((1, 1, 1, 2, 3))
            return PlaceOrders(
                [self.request() for _ in range(count)], builder=self.builder()
            ), False
        if dice < 0.70:
            targets: list[tuple[int, int | bytes]] = [*draw.sample(live, min(len(live), 2))]
            if draw.random() < 0.1:
                targets.append((draw.randint(0, 3), draw.randint(1, 900)))
            if draw.random() < 0.3:
                targets.append((draw.randint(0, 2), self.any_cloid()))
            return CancelOrders(targets), False
        if dice < 0.80:
            asset, oid = draw.choice(live) if live else (0, draw.randint(1, 900))
            modified = self.request(asset if draw.random() < 0.95 else None)
            target = self.any_cloid() if draw.random() < 0.2 else oid
            return ModifyOrders([(target, modified)], draw.random() < 0.5), False
        if dice < 0.87:
            leverage = draw.choice((0, 1, 2, 3, 5, 10, 15, 20, 25, 40))
            return UpdateLeverage(draw.randint(0, 3), draw.random() < 0.35, leverage), False
        if dice < 0.92:
            amount = draw.choice((0, 1, -1, -(10**9), draw.randint(-(10**8), 10**8)))
            return UpdateIsolatedMargin(draw.randint(0, 3), amount), False
        return self.money(name)

    def any_cloid(self) -> bytes:
        """One of the last client ids used."""
        return max(0, self.cloid - self.draw.randint(0, 3)).to_bytes(16, "big")

    def money(self, name: str) -> tuple[Any, bool]:
        """A send, a withdrawal, or nothing."""
        draw = self.draw
        amount = draw.choice((None, 0, 10**6, 10**6 + 1, draw.randint(1, 10**9)))
        dice = draw.random()
        if dice < 0.45:
            other = draw.choice((*self.names, "late", name))
            return UsdSend(address(other), amount), True
        if dice < 0.9:
            return Withdraw(address(name), amount), True
        return Noop(), False

    def arrangement(self, name: str) -> tuple[Any, bool]:
        """Spot balances, a TWAP order, a dead man's switch, a builder, or something about a
        sub-account."""
        draw = self.draw
        if draw.random() < 0.2:
            return self.spot(name.partition("/")[0])
        if draw.random() < 0.15:
            return self.referral(name), False
        if draw.random() < 0.3:
            return self.twap(), False
        if draw.random() < 0.3:
            rate = draw.choice((None, 0, 10, 100, 1001))
            return ApproveBuilderFee(address(draw.choice((*PURSES, "late"))), rate), True
        if draw.random() < 0.3:
            ahead = draw.choice((None, 0, 5_000, 6_000, 7_000, 60_000, 60_000))
            return ScheduleCancel(None if ahead is None else self.clock + ahead), False
        return self.sub_account(name.partition("/")[0]), False

    def referral(self, name: str) -> Any:
        """A code, a referrer, or rewards."""
        draw = self.draw
        dice = draw.random()
        if dice < 0.35:
            return RegisterReferrer(draw.choice((name.upper(), "RICH", "rich", "", "X" * 21)))
        code = draw.choice(("RICH", "RICH", "MID", "NOBODY"))
        return SetReferrer(code) if dice < 0.8 else ClaimRewards()

    def spot(self, name: str) -> tuple[Any, bool]:
        """USDC from one cell to another, mostly between those that there are."""
        draw = self.draw
        amount = draw.choice((None, 0, 1, 10**6, draw.randint(1, 10**8), draw.randint(1, 10**9)))
        sub = address(f"{name}/1")
        behalf = sub if draw.random() < 0.2 else None
        dice = draw.random()
        if dice < 0.45:
            return ClassTransfer(amount, draw.random() < 0.3, behalf), True
        token = USDC_NAME if draw.random() < 0.95 else "PURR:0xc1fb593aeffbeb02f85e0308e9956a90"
        if dice < 0.6:
            return SubAccountSpotTransfer(sub, draw.random() < 0.6, amount, token), False
        other = draw.choice((*self.names, *self.names, "late", name, f"{name}/1"))
        action = SendAsset(address(other), amount, token)
        if dice < 0.75:
            return action, True
        cells = (True, True, True, False, False, False, None)
        action.from_spot, action.to_spot = draw.choice(cells), draw.choice(cells)
        action.is_plain = False
        action.sub = behalf
        return action, True

    def twap(self) -> Any:
        """A TWAP order, or the end of one."""
        draw = self.draw
        if draw.random() < 0.3:
            return TwapCancel(draw.randint(0, 2), draw.randint(1, 30))
        asset = draw.randint(0, 3)
        decimals = int(str(MARKETS[asset % 3]["size_decimals"]))
        lots = round(draw.randint(10, 900) / float(self.prices.get(asset, 1)) * 10**decimals)
        size = lots * 10 ** (8 - decimals) * (draw.random() >= 0.05)
        size += draw.random() < 0.05
        minutes = draw.choice((0, 1, 1, 2, 3, 4))
        return TwapOrder(asset, draw.random() < 0.5, E8(size), draw.random() < 0.2, minutes)

    def builder(self) -> tuple[Address, int] | None:
        """Sometimes a builder, among those who arrange much."""
        if self.arranging < 0.1 or self.draw.random() < 0.6:
            return None
        return address(self.draw.choice(("rich", "mid"))), self.draw.choice((1, 10, 100, 101))

    def sub_account(self, name: str) -> Any:
        """Something about a sub-account, mostly money for it."""
        draw = self.draw
        sub = address(f"{draw.choice((name, name, name, self.names[0]))}/{draw.randint(1, 2)}")
        dice = draw.random()
        if dice < 0.3:
            return CreateSubAccount(draw.choice(("desk", "desk", "desk", " desk", "")))
        if dice < 0.4:
            return RenameSubAccount(sub, draw.choice(("x" * 16, "x" * 17)))
        amount = draw.choice((0, 1, draw.randint(1, 10**9), 20_000_000, 10_000_000))
        return SubAccountTransfer(sub, draw.random() < 0.7, amount)

    def request(self, asset: int | None = None) -> OrderRequest:
        """An order near the price, mostly well formed."""
        draw = self.draw
        if asset is None:
            asset = draw.choices((0, 1, 2, 3), weights=(10, 8, 8, 0.3))[0]
        is_buy = draw.random() < 0.5
        middle = self.prices.get(asset, Decimal(1))
        near, far = draw.randint(-14, 14), draw.randint(-400, 400)
        away = Decimal(draw.choices((near, far, 2_000), weights=(40, 3, 0.3))[0]) / 1000
        price = five_figures(middle * (1 - away if is_buy else 1 + away))
        decimals = int(str(MARKETS[asset % 3]["size_decimals"]))
        small, middling, large = draw.randint(8, 60), draw.randint(60, 700), draw.randint(700, 9000)
        worth = draw.choices((small, middling, large), weights=(12, 8, 1))[0]
        lots = max(0, round(worth / float(max(price, Decimal("0.0001"))) * 10**decimals))
        size = lots * 10 ** (8 - decimals)
        size *= draw.random() >= 0.01
        if draw.random() < 0.01:
            size, price = size + 1, price + Decimal("0.00000001")
        cloid = None
        if draw.random() < 0.1:
            self.cloid += draw.randint(0, 1)
            cloid = self.cloid.to_bytes(16, "big")
        tif = draw.choices(
            (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.ALO), weights=(6, 3, 2)
        )[0]  # fmt: skip
        return OrderRequest(
            asset, is_buy, E8(max(0, int(price * 10**8))), E8(size), draw.random() < 0.15, tif,
            cloid=cloid,
        )  # fmt: skip


def five_figures(price: Decimal) -> Decimal:
    """A price with five significant figures and at most three decimals."""
    with localcontext() as context:
        context.prec = 5
        short = +price
    return short.quantize(Decimal("0.001")) if short >= 1 else short


def address(name: str) -> Address:
    """The address of a name, as the harness makes it; `rich/1` is a sub-account."""
    master, slash, number = name.partition("/")
    if slash:
        return sub_address(address(master), int(number) - 1)
    return Address(name.encode("ascii").ljust(20, b"\x11")[:20])


def sub_address(master: bytes, number: int) -> Address:
    """SUB-2."""
    return Address(sha256(b"chainperp/v1/sub\x00" + master + number.to_bytes(4)).digest()[:20])
