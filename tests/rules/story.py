"""Plays a story table on the real engine and says in words what each step did.

| who | does |
|---|---|
| genesis | `Ann has 1000 CHP`: tokens from the beginning |
| fund | `shows purchase`: the last one that was due |
| token, pair | `shows burned`, `shows circulating`; `shows price` |
| genesis | `open_orders_base = 2`, `fee_tiers = zero`: another value of a parameter |
| genesis | `maker_rebate_tiers = none` |
| genesis | `ETH isolated-only` |
| genesis | `validators = 3` of the same power: `oracle`, `oracle2`, `oracle3` |
| oracle | `BTC 100, ETH 10`: a validator's prices; `BTC 100 everywhere`: elsewhere too |
| clock | `+3600 s`: the next block comes that much later |
| a name | `deposit 1000` |
| a name | `buy 1.0 BTC @ 100 gtc`, with `reduce-only` and `as c1` (a client order id) if wanted |
| a name | two orders of one action are joined by ` + ` |
| a name | `cancel BTC c1`, `cancel BTC #5`, `modify c1 to buy …` (with `always`) |
| a name | `leverage BTC 20 cross`, `margin BTC +5`, `send 5 to Ann`, `withdraw 5`, `… to nobody` |
| a name | `approve Ben 0.01%`: a builder; an action ends with ` through Ben at 10` to name it |
| a name | `schedule +10 s` (all orders are cancelled then), `schedule none` |
| a name | `open sub named desk`, `rename Ann/1 to desk`, `move 5 to Ann/1`, `move 5 from Ann/1` |
| `Ann for Ann/1` | anything: Ann signs for her first sub-account |
| a name | `shift 5 to spot`, `shift 5 to perps`, `shift 5 to spot of Ann/1`: `usdClassTransfer` |
| a name | `spot 5 to Ben`: `spotSend`; `shunt 5 to Ann/1`, `… from Ann/1`: of spot balances |
| a name | `asset 5 USDC from spot to Ben perps`, with `of Ann/1`: `sendAsset` |
| a name | `lead Calm with 1000`: a vault, `Ann$1` if she leads it; `Ann for Ann$1` trades it |
| a name | `put 5 into Ann$1`, `take 5 from Ann$1`, `distribute 5 from Ann$1`, `close Ann$1` |
| a name | `set Ann$1 deposits off closes on`; `-` leaves a setting as it is |
| a name | `signers Ben, Cat need 2` (a multi-sig user), `signers none` |
| `Ben with Ben, Cat as Ann` | anything: Ben sends it for Ann, Ben and Cat signed it |
| a name | `twap buy 10 BTC over 30`, with `reduce-only` or `random`; `untwap BTC 1` |
| a name | `register code ANN`, `use code ANN`, `claim rewards`, `call me Ann` |
| a name | `agent Bot named n1`, `noop`, `noop for a vault`, `reserveRequestWeight` (not offered) |
| a name | `sell 1 BTC @ 90 market reduce-only stop 95`, or `gtc`, or `profit 105`: waits for it |
| a name | `family buy … + sell …`: parent and children |
| a name | `position sell …`: of the position; size 0 is all of it |
| a name | `orders none`, `deposit 5 number 7`, `votes BTC 100`, `paid out 7` |
| genesis | `contracts`: the chain has a bridge and a vault on an EVM, named `bridge`, `vault` |
| a name | `bridged 5`, `bridged 5 number 7`, `bridged 5 by Ben`; `granted 5` |
| bridge | `payout 1 paid`, `payout 1 cancelled`, `payout 1 lost`; `nonsense 5`: type 5, no body |
| vault | `bought 1 for 40, 900 CHP, burned 900` |
| fund | `shows transfer`: the last one; `shows sent`, `shows vault spent`, `shows gifts` |
| custody | `shows custody`, `shows waiting` |
| a name | `shows withdrawable`, `shows value`, `shows spot`, `shows position BTC`, `shows orders` |
| a name | `shows rewards`: what it can claim |
| a name | `shows equity Ann$1`, `shows shares Ann$1`, `shows basis Ann$1` |
| market | `shows mark BTC`, `shows best BTC` |

Steps with the same number in the column `block` make one block. Names are accounts. What a step
did: `rests 1 @ 100`, `waits for 95`, `waits for its parent`, `#3 fires at 95`,
`filled`, `1 @ 100 with Ann` (a fill), `canceled: REASON`,
`Ann #6 canceled: REASON`, `refused: REASON`, `Ann below maintenance: BOOK`, or `done`.
"""

import re
from collections.abc import Callable

from chainperp.base.canonical import Record
from chainperp.base.units import (
    E8,
    Address,
    price_text,
    size_text,
    strip_decimal,
)
from chainperp.chain.decode import decode_action
from chainperp.model.actions import (
    Action,
    ApproveAgent,
    ApproveBuilderFee,
    CancelOrders,
    ClaimRewards,
    ClassTransfer,
    ConvertToMultiSig,
    CreateSubAccount,
    CreateVault,
    Grouping,
    ModifyOrders,
    Noop,
    NotOffered,
    OracleVote,
    OrderRequest,
    PlaceOrders,
    RegisterReferrer,
    RenameSubAccount,
    ScheduleCancel,
    SendAsset,
    SetDisplayName,
    SetReferrer,
    SubAccountSpotTransfer,
    SubAccountTransfer,
    TriggerTerms,
    TwapCancel,
    TwapOrder,
    UpdateIsolatedMargin,
    UpdateLeverage,
    UsdSend,
    VaultDistribute,
    VaultModify,
    VaultTransfer,
    Withdraw,
)
from chainperp.model.blocks import MultiSigned, SystemInput, Transaction
from chainperp.model.bridge import (
    CANCELLED,
    PAID,
    EvmContracts,
)
from chainperp.model.decisions import (
    BuybackOutcome,
    Kind,
    LiquidationOutcome,
    OrderStatus,
    Rejection,
    SystemType,
    TwapEvent,
)
from chainperp.model.entries import Entry, decode_payload
from chainperp.model.envelope import USER_SIGNED as USER_SCHEME
from chainperp.model.tokens import SPOT_FIRST, USDC_NAME, wire_name
from chainperp.model.vaults import Share, ShareEvent, Vault
from chainperp.state.store import (
    ASSISTANCE_FUND,
    BACKSTOP_VAULT,
    INSURANCE,
    LIQUIDITY_VAULT,
    MARKET_MAKER,
    REFERRALS,
    State,
)
from chainperp.storage.package import default_markets
from chainperp.transition.tokens import mark_of
from chainperp.transition.transfers import available
from chainperp.transition.valuation import account_value, refresh
from chainperp.transition.vaults import holder_equity
from tests.rules.cases import decimal
from tests.rules.runner import Row
from tests.support.border import CONTRACTS, Events
from tests.support.world import World, address_of, order

ORDER = re.compile(
    r"(buy|sell) ([\d.]+) (\w+) @ ([\d.]+) (gtc|ioc|alo|market)( reduce-only)?(?: as (\w+))?"
    r"(?: (stop|profit) ([\d.]+))?"
)
SYSTEM_NAMES = {
    "bridge-contract": CONTRACTS.bridge, "nobody": Address(bytes(20)),
    "liquidity-vault": LIQUIDITY_VAULT, "backstop-vault": BACKSTOP_VAULT, "insurance": INSURANCE,
    "market-maker": MARKET_MAKER, "assistance-fund": ASSISTANCE_FUND, "referrals": REFERRALS,
}  # fmt: skip
USER_SIGNED = (
    UsdSend, Withdraw, ApproveAgent, ApproveBuilderFee, ConvertToMultiSig, ClassTransfer, SendAsset,
)  # fmt: skip

FLAGS = {"deposits on": True, "deposits off": False, "closes on": True, "closes off": False}


class Story:
    """One engine and the names that occur on it."""

    def __init__(
        self, parameters: dict[str, object], isolated: list[str], holders: dict[str, int],
        evm: EvmContracts | None = None,
    ) -> None:  # fmt: skip
        markets = [
            {**market, "isolated_only": market["name"] in isolated} for market in default_markets()
        ]
        validators = parameters.pop("validators", 1)
        self.world = World(parameters, int(str(validators)), markets, holders, evm)
        self.names: dict[bytes, str] = {}
        self.resting: set[int] = set()
        self.later = 0
        self.purchase = ["none"]
        self.transfer = "none"
        self.events = Events()

    def asset(self, name: str) -> int:
        """Index of a market; `NONE` is one that does not exist, `SPOT` a pair."""
        if name == "NONE":
            return 999
        if name == "SPOT":
            return 10_001
        """Index of a market; `NONE` is one that does not exist."""
        if name in ("NONE", "CHP"):
            return 999 if name == "NONE" else SPOT_FIRST
        for market in self.world.engine.state.markets:
            if market.terms.name == name:
                return market.asset
        raise ValueError(f"no market {name}")

    def address(self, name: str) -> Address:
        """Address of a name, remembered."""
        address = SYSTEM_NAMES.get(name) or address_of(name)
        self.names[address] = name
        return address

    def play(self, rows: list[Row]) -> list[str]:
        """Make one block of these steps and say what each did."""
        system: list[SystemInput] = []
        transactions: list[Transaction] = []
        sources: list[bytes] = []
        for row in rows:
            who, does = row["who"], row["does"]
            signer, _, behalf = who.partition(" for ")
            signer, _, multi_sig = signer.partition(" with ")
            self.address(signer)
            if behalf:
                self.address(behalf)
            item = self.system_input(signer, does)
            if item is not None:
                system.append(item)
                sources.append(item.body)
                continue
            action = self.action(does)
            user_signed = isinstance(action, USER_SIGNED)
            one = self.world.transaction(
                signer, action, user_signed=user_signed, vault=behalf or None
            )
            if does.endswith(" for a vault"):
                one.vault = address_of("vault")
            if multi_sig:
                inside, _, user = multi_sig.partition(" as ")
                one.multi_sig = MultiSigned(
                    self.address(user), one.signer,
                    tuple(self.address(name) for name in inside.split(", ") if name != "nobody"),
                )  # fmt: skip
            transactions.append(one)
            sources.append(one.envelope)
        time_ms = self.time_next()
        self.later = 0
        result = self.world.block(transactions, system, at=time_ms)
        told = self.told(result.entries)
        return [told[source] for source in sources]

    def system_input(self, who: str, does: str) -> SystemInput | None:
        """The input of a step that no user signs, or None."""
        words = does.split()
        is_oracle = re.fullmatch(r"oracle(\d?)", who)
        if is_oracle or words[0] == "votes":
            prices = does.removeprefix("votes ").removesuffix(" everywhere")
            priced = dict(part.split() for part in prices.split(", "))
            number = int(is_oracle[1] or 1) - 1 if is_oracle else 0
            vote = self.world.vote({self.asset(name): px for name, px in priced.items()}, number)
            action = None if vote.vote is None else vote.vote.action
            if does.endswith(" everywhere") and isinstance(action, OracleVote):
                action.prices = [(asset, price, price) for asset, price, _ in action.prices]
            if is_oracle or vote.vote is None:
                return vote
            vote.vote.signer = address_of(who)
            return vote
        if words[0] == "deposit":
            if "number" in words:
                self.world.deposits = int(words[3]) - 1
            item = self.world.deposit_input(who, words[1])
            return SystemInput(item.type, self.address(who) + item.body[20:])
        if words[0] in ("bridged", "granted", "payout", "nonsense", "bought"):
            return self.border_input(who, words)
        if words[0] == "paid":
            return SystemInput(SystemType.WITHDRAWAL_DONE, int(words[2]).to_bytes(8) + bytes(32))
        return None

    def border_input(self, who: str, words: list[str]) -> SystemInput:
        """An event of the chain's contracts, or a grant."""
        events = self.events
        if words[0] == "nonsense":
            events.block += 1
            return SystemInput(SystemType(int(words[1])), bytes([events.block]))
        if words[0] == "granted":
            return events.grant(self.address(who), decimal(words[1], 6))
        if words[0] == "payout":
            return events.payout(
                int(words[1]), {"paid": PAID, "cancelled": CANCELLED}.get(words[2], 3)
            )
        if words[0] == "bought":
            bought, burned = decimal(words[4], 8), decimal(words[7], 8)
            return events.bought(int(words[1]), decimal(words[3][:-1], 6), bought, burned)
        if "number" in words:
            self.world.deposits = int(words[3]) - 1
        self.world.deposits += 1
        payer = self.address(words[-1]) if "by" in words else None
        return events.deposit(self.address(who), decimal(words[1], 6), self.world.deposits, payer)

    def told(self, entries: list[Entry]) -> dict[bytes, str]:
        """What each input did, by its bytes: the entries up to the next input are its effects."""
        events: dict[bytes, list[str]] = {}
        current: list[str] = []
        for entry in entries:
            fields = decode_payload(entry)
            if entry.kind in (Kind.TX_USER, Kind.TX_SYSTEM):
                current = []
                source = fields["envelope" if entry.kind is Kind.TX_USER else "body"]
                events[source] = current
                if fields["code"]:
                    current.append(f"refused: {Rejection(fields['code']).name}")
            elif entry.kind is Kind.TRIGGER:
                decimals = self.world.state.size_decimals(fields["asset"])
                current.append(f"#{fields['oid']} fires at {price_text(fields['mark'], decimals)}")
            elif entry.kind is Kind.TWAP:
                current.append(twap_text(fields))
            elif entry.kind is Kind.BUYBACK:
                # It is nobody's effect; a step may ask for it.
                current = self.purchase = [buyback_text(fields)]
            elif entry.kind is Kind.WITHDRAW_REQ and fields["user"] == ASSISTANCE_FUND:
                self.transfer = (
                    f"{strip_decimal(fields['amount'], 6)} as withdrawal {fields['wid']}"
                )
            elif entry.kind is Kind.LIQ_TEST:
                outcome = LiquidationOutcome(fields["outcome"]).name
                current.append(f"{self.names[fields['account']]} below maintenance: {outcome}")
            elif entry.kind is Kind.FILL:
                current.append(self.fill_text(fields))
            elif entry.kind is Kind.SHARES:
                current.append(self.shares_text(fields))
            elif entry.kind is Kind.ORDER:
                current.append(self.order_text(fields))
        return {source: "; ".join(found) or "done" for source, found in events.items()}

    def shares_text(self, fields: Record) -> str:
        """A change of a holder's shares in words."""
        event = ShareEvent(fields["event"])
        who = self.names.get(fields["holder"], "insurance")
        if event in (ShareEvent.DEPOSIT, ShareEvent.SEED):
            bought = strip_decimal(fields["change"], 6)
            return f"{who} gets {bought} M shares for {strip_decimal(fields['gross'], 6)}"
        text = f"{who} is paid {strip_decimal(fields['net'], 6)}"
        for name in ("commission", "closing_cost"):
            if fields[name]:
                text += f", {name.replace('_', ' ')} {strip_decimal(fields[name], 6)}"
        return text

    def fill_text(self, fields: Record) -> str:
        """A fill in words."""
        decimals = self.world.state.size_decimals(fields["asset"])
        return (
            f"{size_text(fields['lots'], decimals)} @ {price_text(fields['price'], decimals)}"
            f" with {self.names[fields['maker']]}"
        )

    def order_text(self, fields: Record) -> str:
        """A decision about an order in words."""
        status = OrderStatus(fields["status"])
        reason = Rejection(fields["reason"]).name
        if status in (OrderStatus.REJECTED, OrderStatus.REQUEST_REFUSED):
            return f"refused: {reason}"
        if status is OrderStatus.FILLED:
            return "filled"
        decimals = self.world.state.size_decimals(fields["asset"])
        if status is OrderStatus.CANCELED:
            if fields["oid"] not in self.resting:
                return f"canceled: {reason}"
            return f"{self.names[fields['account']]} #{fields['oid']} canceled: {reason}"
        self.resting.add(fields["oid"])
        if status is OrderStatus.WAITING_FOR_FILL:
            return "waits for its parent"
        if status is OrderStatus.WAITING_FOR_TRIGGER:
            return f"waits for {price_text(fields['needed'], decimals)}"
        left = size_text(fields["remaining"], decimals)
        return f"rests {left} @ {price_text(fields['price'], decimals)}"

    def order(self, text: str) -> OrderRequest:
        """An order of a story."""
        found = ORDER.fullmatch(text)
        if found is None:
            raise ValueError(f"not an order: {text}")
        side, size, market, price, tif, reduce_only, cloid, kind, at = found.groups()
        request = order(
            self.asset(market), side, size, price, "Gtc" if kind else tif.capitalize(),
            reduce_only=reduce_only is not None,
            cloid=None if cloid is None else cloid.encode().ljust(16, b"\0"),
        )  # fmt: skip
        if kind is not None:
            request.trigger = TriggerTerms(E8(decimal(at, 8)), tif == "market", kind == "stop")
        return request

    def action(self, does: str) -> Action:
        """The action that a step asks for."""
        does, _, builder = does.partition(" through ")
        action = self.plain_action(does)
        if builder and isinstance(action, PlaceOrders):
            name, _, rate = builder.partition(" at ")
            return PlaceOrders(action.orders, action.grouping, (self.address(name), int(rate)))
        return action

    def plain_action(self, does: str) -> Action:
        """The action of a step without a builder."""
        verb, *words = does.split()
        if verb in {"buy", "sell"}:
            return PlaceOrders([self.order(one) for one in does.split(" + ")])
        makers: dict[str, Callable[[list[str]], Action]] = {
            "cancel": lambda w: CancelOrders([(self.asset(w[0]), target(w[1]))]),
            "modify": lambda w: self.modify(does, w),
            "leverage": lambda w: UpdateLeverage(self.asset(w[0]), w[2] == "cross", int(w[1])),
            "margin": lambda w: UpdateIsolatedMargin(self.asset(w[0]), decimal(w[1], 6)),
            "send": lambda w: UsdSend(self.address(w[2]), decimal(w[0], 6)),
            "withdraw": lambda w: Withdraw(
                self.address(w[2] if len(w) > 2 else "outside"), decimal(w[0], 6)
            ),
            "agent": lambda w: ApproveAgent(self.address(w[0]), w[2]),
            "noop": lambda w: Noop(),
            "open": lambda w: CreateSubAccount(does.partition(" named ")[2]),
            "rename": lambda w: RenameSubAccount(self.address(w[0]), does.partition(" to ")[2]),
            "move": lambda w: SubAccountTransfer(
                self.address(w[2]), w[1] == "to", decimal(w[0], 6)
            ),
            "shift": lambda w: ClassTransfer(decimal(w[0], 6), w[2] == "perps", self.behalf(w)),
            "spot": lambda w: SendAsset(self.address(w[-1]), *token_amount(w)),
            "shunt": lambda w: SubAccountSpotTransfer(
                self.address(w[-1]), w[-2] == "to", *token_amount(w)
            ),
            "asset": lambda w: self.send_asset(w),
            "approve": lambda w: ApproveBuilderFee(self.address(w[0]), rate_of(w[1])),
            "signers": lambda w: self.convert(does.partition(" ")[2]),
            "twap": lambda w: self.twap(w),
            "untwap": lambda w: TwapCancel(self.asset(w[0]), int(w[1])),
            "schedule": lambda w: ScheduleCancel(self.ahead(w[0])),
            "orders": lambda w: PlaceOrders([]),
            "register": lambda w: RegisterReferrer(does.partition(" code ")[2]),
            "use": lambda w: SetReferrer(w[1]),
            "claim": lambda w: ClaimRewards(),
            "reserveRequestWeight": lambda w: NotOffered(verb),
            "lead": lambda w: CreateVault(
                does.partition(" with ")[0][5:], "a vault of the story", decimal(w[-1], 6)
            ),
            "put": lambda w: VaultTransfer(self.address(w[2]), True, decimal(w[0], 6)),
            "take": lambda w: VaultTransfer(self.address(w[2]), False, decimal(w[0], 6)),
            "set": lambda w: VaultModify(
                self.address(w[0]), FLAGS.get(f"{w[1]} {w[2]}"), FLAGS.get(f"{w[3]} {w[4]}")
            ),
            "distribute": lambda w: VaultDistribute(self.address(w[2]), decimal(w[0], 6)),
            "close": lambda w: VaultDistribute(self.address(w[0]), 0),
            "call": lambda w: SetDisplayName(does.removeprefix("call me").removeprefix(" ")),
            "family": lambda w: self.grouped(does, Grouping.PARENT),
            "position": lambda w: self.grouped(does, Grouping.POSITION),
        }
        return makers[verb](words)

    def send_asset(self, words: list[str]) -> SendAsset:
        """`5 USDC from spot to Ben perps`, perhaps with `of Ann/1`."""
        cells = {"spot": True, "perps": False}
        action = SendAsset(self.address(words[5]), *token_amount(words))
        action.from_spot, action.to_spot = cells.get(words[3]), cells.get(words[6])
        action.is_plain = False
        action.sub = self.behalf(words)
        return action

    def behalf(self, words: list[str]) -> Address | None:
        """The sub-account behind `of`, None without one."""
        return self.address(words[-1]) if words[-2] == "of" else None

    def twap(self, words: list[str]) -> TwapOrder:
        """`buy 10 BTC over 30`, with `reduce-only`, `random` or `details`."""
        size = E8(decimal(words[1], 8))
        is_buy, asset = words[0] == "buy", self.asset(words[2])
        action = TwapOrder(asset, is_buy, size, "reduce-only" in words, int(words[4]))
        action.randomize = "random" in words
        action.has_details = "details" in words
        return action

    def convert(self, text: str) -> ConvertToMultiSig:
        """`Ben, Cat need 2`, or `none`."""
        if text == "none":
            return ConvertToMultiSig([], 0)
        names, _, threshold = text.partition(" need ")
        return ConvertToMultiSig([self.address(one) for one in names.split(", ")], int(threshold))

    def ahead(self, text: str) -> int | None:
        """The time of the block that is made next, and so many seconds; None for `none`."""
        if text == "none":
            return None
        return self.time_next() + int(text.removeprefix("+")) * 1000

    def time_next(self) -> int:
        """Time of the block that is made next."""
        return int(self.world.engine.state.time_ms + self.world.step + self.later)

    def grouped(self, text: str, grouping: Grouping) -> PlaceOrders:
        """Orders that belong together."""
        orders = text.partition(" ")[2].split(" + ")
        return PlaceOrders([self.order(one) for one in orders], grouping)

    def holding(self, holder: Address, what: str, name: str) -> str:
        """Equity, shares or basis of a holder in a vault."""
        state = self.world.engine.state
        vault = state.vaults[self.address(name)]
        share = vault.holders.get(holder)
        if share is None:
            return "none"
        return strip_decimal(_share_number(state, vault, share, what), 6)

    def modify(self, does: str, words: list[str]) -> ModifyOrders:
        """`modify c1 to buy …`, with `always` at the end if wanted."""
        text = does.partition(" to ")[2]
        request = self.order(text.removesuffix(" always"))
        return ModifyOrders([(target(words[0]), request)], text.endswith(" always"))

    def shows(self, who: str, what: str) -> str:
        """A number of an account or a market, in words."""
        state = self.world.engine.state
        words = what.split()
        if words[0] == "purchase":
            return "; ".join(self.purchase)
        if who in ("fund", "custody"):
            return (
                self.transfer
                if words[0] == "transfer"
                else strip_decimal(_border_number(state, what), 6)
            )
        if who == "token":
            token = state.tokens[1]
            amount = token.burned if words[0] == "burned" else token.circulating
            return strip_decimal(amount, token.wei_decimals)
        if who == "pair":
            mark = mark_of(state.pairs[0])
            return "none" if mark is None else price_text(mark, state.pairs[0].size_decimals)
        if who == "market":
            market = self.world.market(self.asset(words[1]))
            decimals = market.terms.size_decimals
            if words[0] == "mark":
                return price_text(market.mark, decimals)
            sides = (market.book.bids.best_price(), market.book.asks.best_price())
            return " / ".join("none" if p is None else price_text(p, decimals) for p in sides)
        account = state.accounts[self.address(who)]
        refresh(state, account)
        if words[0] == "withdrawable":
            return strip_decimal(available(state, account), 6)
        if words[0] == "value":
            return strip_decimal(account_value(account), 6)
        if words[0] in ("equity", "shares", "basis"):
            return self.holding(account.address, words[0], words[1])
        if words[0] in ("spot", "free"):
            token = state.tokens[1 if words[-1] == "CHP" else 0]
            total = state.spot[token.index].get(account.address, 0)
            if words[0] == "free":
                total = state.spot_free(token.index, account.address)
            return strip_decimal(total, token.wei_decimals)
        if words[0] == "rewards":
            return strip_decimal(state.referrals[account.address].unclaimed, 6)
        if words[0] == "orders":
            return " ".join(f"#{oid}" for oid in sorted(account.orders)) or "none"
        exposure = account.exposures[self.asset(words[1])]
        decimals = self.world.market(exposure.asset).terms.size_decimals
        text = f"{size_text(exposure.lots, decimals)}, entry {entry_text(exposure.entry_notional)}"
        if not exposure.is_cross:
            text += f", own margin {strip_decimal(exposure.raw_isolated + exposure.value, 6)}"
        return text


def _border_number(state: State, what: str) -> int:
    fund = state.fund
    return {
        "sent": fund.sent,
        "vault spent": fund.evm_spent,
        "gifts": fund.evm_gifts,
        "custody": state.custody,
        "waiting": sum(one.amount for one in state.withdrawals.values()),
    }[what]


def buyback_text(fields: Record) -> str:
    """A purchase of the fund in words."""
    if not fields["lots"]:
        return f"nothing: {BuybackOutcome(fields['outcome']).name}"
    size = strip_decimal(fields["filled"], 2)
    return f"{size} for {strip_decimal(fields['spent'], 6)}"


def _share_number(state: State, vault: Vault, share: Share, what: str) -> int:
    if what == "equity":
        return holder_equity(state, vault, share)
    return share.shares if what == "shares" else share.basis


def token_amount(words: list[str]) -> tuple[int | None, str]:
    """`5 CHP` as an amount and a token of an action; `5` alone is USDC."""
    if words[1] in ("USDC", "to", "from"):
        return decimal(words[0], 6), USDC_NAME
    name = wire_name(1, words[1]) if words[1] == "CHP" else f"{words[1]}:0x{16 * '00'}"
    return decimal(words[0], 8), name


def entry_text(notional: int) -> str:
    """Entry notional in USDC."""
    return strip_decimal(notional, 6)


def twap_text(fields: Record) -> str:
    """An event of a TWAP order in words."""
    name, event = f"TWAP {fields['twap_id']}", TwapEvent(fields["event"])
    if event is TwapEvent.ACTIVATED:
        return f"{name} begins, {fields['slices']} slices"
    if event is TwapEvent.SLICE:
        return f"{name} slice {fields['slice'] + 1}"
    return f"{name} {event.name.lower()}"


def rate_of(text: str) -> int | None:
    """A rate as its text is read from a signed action."""
    action = decode_action(
        {"type": "approveBuilderFee", "maxFeeRate": text, "builder": "0x" + "11" * 20}, USER_SCHEME
    )
    return action.rate if isinstance(action, ApproveBuilderFee) else None


def target(text: str) -> int | bytes:
    """An order id `#5`, or a client order id."""
    return int(text[1:]) if text.startswith("#") else text.encode().ljust(16, b"\0")


# Tables that a story sets as a whole.
TABLES: dict[tuple[str, str], object] = {
    ("fee_tiers", "zero"): [[0, 0, 0]],
    ("spot_fee_tiers", "zero"): [[0, 0, 0]],
    ("maker_rebate_tiers", "none"): [[10_000, 0]],
}


def play(rows: list[Row]) -> list[str]:
    """Play a whole story; the answers are in the rows' order."""
    parameters: dict[str, object] = {}
    isolated: list[str] = []
    holders: dict[str, int] = {}
    evm: EvmContracts | None = None
    for row in rows:
        if row["who"] == "genesis":
            if row["does"] == "contracts":
                evm = CONTRACTS
                continue
            if row["does"].endswith(" CHP"):
                holders[row["does"].split()[0]] = int(row["does"].split()[2])
                continue
            name, _, value = row["does"].partition(" = ")
            if name.endswith(" isolated-only"):
                isolated.append(name.split()[0])
                continue
            parameters[name] = TABLES.get((name, value)) or int(value)
    story = Story(parameters, isolated, holders, evm)
    answers: list[str] = []
    waiting: list[Row] = []
    for row in rows:
        is_shown = row["does"].startswith("shows ")
        if waiting and (is_shown or row["block"] != waiting[0]["block"]):
            answers += story.play(waiting)
            waiting = []
        if row["who"] == "genesis":
            answers.append("done")
        elif row["who"] == "clock":
            story.later = int(row["does"].removeprefix("+").removesuffix(" s")) * 1000
            answers.append("done")
        elif is_shown:
            answers.append(story.shows(row["who"], row["does"].removeprefix("shows ")))
        else:
            waiting.append(row)
    return answers + (story.play(waiting) if waiting else [])
