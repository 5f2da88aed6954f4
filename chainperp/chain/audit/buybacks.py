"""The assistance fund as an auditor follows it: its books and its purchases from entries alone.

Nothing here asks the engine. The fund's balance comes from logged fees and transfers, the book of
its pair from logged orders and trades; from them the rules say when a purchase is due and what it
comes to, and the log must say the same. At a SEAL the leaf of the fund's books must agree.
Source: reliability INV-T1..T5.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from chainperp.base import canonical
from chainperp.base.canonical import Record
from chainperp.base.units import address_text
from chainperp.chain.audit.leaves import Moment
from chainperp.chain.audit.pair_book import PairBook
from chainperp.model.bridge import CANCELLED
from chainperp.model.decisions import Kind, LedgerType, rule_number
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.fund import FUND_KEY, NATIVE, Fund
from chainperp.model.tokens import SPOT_FIRST, USDC, token_key
from chainperp.parameters.schema import Parameters
from chainperp.rules.buyback import (
    Quotes,
    is_purchase_due,
    plan_purchase,
    tokens_to_burn,
    vault_transfer,
)
from chainperp.rules.spot import pair_mark
from chainperp.state.schemas import ACCOUNT, FUND, SPOT, TOKEN, WITHDRAWAL, spot_collection
from chainperp.state.store import ASSISTANCE_FUND, State
from chainperp.state.tree import Tree
from chainperp.transition.buyback import books_record, native_pair, take_move
from chainperp.transition.recorder import FLAG_TAKER_BUYS
from chainperp.transition.tokens import NOBODY

READ: Final = (
    Kind.FILL, Kind.ORDER, Kind.LEDGER, Kind.DEPOSIT, Kind.TOKEN, Kind.BUYBACK,
    Kind.WITHDRAW_REQ, Kind.WITHDRAW_DONE, Kind.EVM_BUYBACK,
)  # fmt: skip
RISK_BEGINS: Final = (Kind.STATE_COMMIT, Kind.LIQ_TEST, Kind.SEAL)


def books_of(trees: Mapping[str, Tree]) -> Record:
    """The fund's books in a committed state."""
    return canonical.decode(FUND, trees["fund"].get(FUND_KEY) or b"")


class Bought:
    """What the entries behind a BUYBACK say that it did."""

    __slots__ = ("burned", "fields", "index", "lots", "spent", "wei")

    def __init__(self, fields: Record, index: int) -> None:
        self.fields = fields
        self.index = index
        self.lots = 0
        self.spent = 0
        self.wei = 0
        self.burned = 0


class FundTrail:
    """What an auditor remembers of the fund, its pair and the tokens between blocks."""

    __slots__ = (
        "book", "books", "bought", "burned", "held", "is_decided", "pair", "parameters",
        "supplies", "time_ms", "vault", "waiting",
    )  # fmt: skip

    def __init__(self, parameters: Parameters, state: State, trees: Mapping[str, Tree]) -> None:
        """Begin after a committed state whose SEAL was checked, or after genesis."""
        self.parameters = parameters
        self.books = Fund()
        for name, value in books_of(trees).items():
            if name != "version":
                setattr(self.books, name, value)
        self.pair = native_pair(state)
        self.book = PairBook()
        if self.pair is not None:
            book = self.pair.book
            self.book.start_from([*book.bids.walk(), *book.asks.walk()], book.price_last)
        leaves = _token_leaves(trees, len(state.tokens))
        self.burned = [one["burned"] for one in leaves]
        self.supplies = [one["supply"] for one in leaves]
        self.held = spot_of(trees, NATIVE) if self.pair is not None else 0
        self.bought: Bought | None = None
        self.time_ms = 0
        self.vault = state.buyback_vault
        # Transfers to the vault that are on their way: amounts by number of withdrawal.
        self.waiting = _transfers(trees)
        # Whether the transfer that may follow a purchase of this block was made or ruled out.
        self.is_decided = True

    def follow(self, first_index: int, entries: Sequence[bytes]) -> Iterator[str]:
        """Entries of a block, in order; yields what does not fit."""
        self.time_ms = decode_payload(decode_entry(entries[-1]))["time_ms"]
        self.bought = None
        self.is_decided = True
        is_past = int.from_bytes(entries[0][1:3], "big") == Kind.GENESIS  # nothing happens there
        for place, raw in enumerate(entries):
            kind = int.from_bytes(raw[1:3], "big")
            if kind == Kind.TX_USER and is_past:
                yield "an action of a user follows the place of the fund's purchase"
            elif kind in RISK_BEGINS:
                if not is_past and self._is_due():
                    yield f"a purchase of the fund was due and is missing: it held {self._held()}"
                is_past = True
                yield from self._check_transfer(0)
            elif kind in READ:
                fields = decode_payload(decode_entry(raw))
                if kind == Kind.BUYBACK:
                    yield from self._check_place(is_past)
                    is_past = True
                    yield from self._check_plan(fields)
                    self.bought = Bought(fields, first_index + place)
                    self.is_decided = False
                else:
                    yield from self._take(Kind(kind), fields)
        yield from self._check_result()

    def _held(self) -> int:
        return self.books.balance

    def _is_due(self) -> bool:
        return self.pair is not None and is_purchase_due(
            self.books.balance, self.time_ms, self.books.tried_ms, self.parameters
        )

    def _check_place(self, is_past: bool) -> Iterator[str]:
        if is_past:
            yield "a purchase of the fund stands at the wrong place of the block"
        elif not self._is_due():
            yield (
                f"a purchase of the fund was not due: it held {self._held()}, the last one was due "
                f"at {self.books.tried_ms}, now it is {self.time_ms}"
            )

    def _check_plan(self, found: Record) -> Iterator[str]:
        """Every input and the size of a purchase follow from the state (BUY-1 to BUY-4)."""
        books, book, pair = self.books, self.book, self.pair
        if pair is None:
            yield "the fund bought on a chain without a pair of the exchange's own token"
            return
        quotes = Quotes(book.bid, book.ask, book.last, pair_mark(book.bid, book.ask, book.last))
        plan = plan_purchase(
            books.balance, quotes, pair.size_decimals, book.worth_within, self.parameters
        )
        filled, spent = book.cost_of(plan.lots, plan.limit)
        due: Record = {
            "asset": pair.asset,
            "outcome": int(plan.outcome),
            "rule": rule_number(plan.rule),
            **quotes._asdict(),
            "limit": plan.limit,
            "depth": plan.depth,
            "lots": plan.lots,
            "filled": filled,
            "spent": spent,
            "burned": tokens_to_burn(self.held, found["bought"]),
            **books_record(books),
        }
        for name, value in due.items():
            if found[name] != value:
                yield f"the fund's purchase says {name} {found[name]}, due was {value}"
        books.tried_ms = self.time_ms
        books.purchases += found["filled"] > 0

    def _take(self, kind: Kind, fields: Record) -> Iterator[str]:
        """One entry that moves the fund's money, its pair's book or a token."""
        if kind is Kind.FILL:
            yield from self._take_fill(fields)
        elif kind is Kind.ORDER:
            if self.pair is not None and fields["asset"] == self.pair.asset:
                self.book.order(fields)
            if fields["account"] == ASSISTANCE_FUND and not fields["is_buy"]:
                yield "the fund ordered a sale"
        elif kind is Kind.LEDGER:
            if fields["destination"] == ASSISTANCE_FUND:
                take_move(self.books, fields["type"], fields["amount"])
            if fields["source"] == ASSISTANCE_FUND:
                take_move(self.books, fields["type"], -fields["amount"])
        elif kind is Kind.TOKEN:
            yield from self._take_token(fields)
        else:
            yield from self._take_border(kind, fields)

    def _take_border(self, kind: Kind, fields: Record) -> Iterator[str]:
        """Money of the fund that came from outside, goes there, or is spent there."""
        if kind is Kind.WITHDRAW_DONE:
            amount = self.waiting.pop(fields["wid"], 0)
            self.books.sent -= amount if fields["outcome"] == CANCELLED else 0
        elif kind is Kind.EVM_BUYBACK:
            self._take_receipt(fields)
        elif fields["user"] == ASSISTANCE_FUND and kind is Kind.DEPOSIT:
            self.books.other += fields["amount"]
        elif fields["user"] == ASSISTANCE_FUND:
            yield from self._take_transfer(fields)

    def _check_transfer(self, sent: int) -> Iterator[str]:
        """After a purchase that was due, the fund sends the vault what BUY-7 says, once."""
        if self.is_decided:
            if sent:
                yield f"the fund sent {sent} away outside of a purchase"
            return
        self.is_decided = True
        books = self.books
        due = 0
        if self.vault is not None:
            unspent = books.sent - books.evm_spent
            due = vault_transfer(books.balance, unspent, self.parameters)
        if sent != due:
            yield f"the fund sent the vault {sent}, due were {due}"

    def _take_transfer(self, fields: Record) -> Iterator[str]:
        """Money that leaves the fund as a withdrawal goes to the vault, whole (BUY-7)."""
        yield from self._check_transfer(fields["amount"])
        if fields["destination"] != self.vault or fields["fee"]:
            yield (
                f"the fund's money goes to {address_text(fields['destination'])} for a fee of "
                f"{fields['fee']}"
            )
        self.books.sent += fields["amount"]
        self.waiting[fields["wid"]] = fields["amount"]

    def _take_receipt(self, fields: Record) -> None:
        """A purchase on the EVM: what it spent of what was paid to the vault, and the rest."""
        books = self.books
        own = min(fields["spent"], books.sent - sum(self.waiting.values()) - books.evm_spent)
        books.evm_spent += own
        books.evm_gifts += fields["spent"] - own
        books.evm_bought += fields["bought"]
        books.evm_burned += fields["burned"]
        books.evm_purchases += 1

    def _take_fill(self, fields: Record) -> Iterator[str]:
        """Fees of a trade are the fund's: both of a perpetual's, the seller's of a spot trade."""
        if fields["asset"] < SPOT_FIRST:
            self.books.fees += fields["maker_fee"] + fields["taker_fee"]
            return
        sides = ("maker", "taker") if fields["flags"] & FLAG_TAKER_BUYS else ("taker", "maker")
        seller, buyer = sides
        self.books.fees += fields[f"{seller}_fee"]
        if fields[seller] == ASSISTANCE_FUND:
            yield f"the fund sold in trade {fields['tid']}"
        pair = self.pair
        if pair is None or fields["asset"] != pair.asset:
            return
        self.book.fill(fields)
        if fields[buyer] != ASSISTANCE_FUND:
            return
        bought, cost = self.bought, fields["price"] * fields["lots"]
        wei = fields["lots"] * pair.wei_per_lot - fields[f"{buyer}_fee"]
        self.books.spent += cost
        self.books.bought += wei
        self.held += wei
        if bought is None or fields["cause_index"] != bought.index or buyer != "taker":
            yield f"the fund bought in trade {fields['tid']} outside of a purchase"
            return
        bought.lots += fields["lots"]
        bought.spent += cost
        bought.wei += wei
        if fields["price"] > bought.fields["limit"]:
            yield f"the fund paid {fields['price']}, its limit was {bought.fields['limit']}"

    def _take_token(self, fields: Record) -> Iterator[str]:
        """What is burned is gone; nothing else leaves the fund."""
        is_burn = fields["destination"] == NOBODY
        if is_burn:
            self.burned[fields["token"]] += fields["amount"]
        if fields["destination"] == ASSISTANCE_FUND and fields["token"] == NATIVE:
            self.held += fields["amount"]
        if fields["source"] != ASSISTANCE_FUND:
            return
        if is_burn and fields["type"] == LedgerType.SPOT_FEE_BURN:
            return
        if is_burn and fields["type"] == LedgerType.BUYBACK_BURN:
            self.books.burned += fields["amount"]
            self.held -= fields["amount"]
            if self.bought is not None:
                self.bought.burned += fields["amount"]
        else:
            yield f"{fields['amount']} of token {fields['token']} left the fund"

    def _check_result(self) -> Iterator[str]:
        """What a purchase says that it did is what the entries behind it did."""
        bought = self.bought
        if bought is None:
            return
        for name, value in (
            ("filled", bought.lots), ("spent", bought.spent), ("bought", bought.wei),
            ("burned", bought.burned),
        ):  # fmt: skip
            if bought.fields[name] != value:
                yield (
                    f"the fund's purchase says {name} {bought.fields[name]}, its entries {value}"
                )

    def close(self, moment: Moment) -> Iterator[str]:
        """The state at a SEAL: the fund's books, its cells, and what is left of each token."""
        for name, value in books_of(moment.trees).items():
            if name != "version" and value != getattr(self.books, name):
                yield (
                    f"the fund's books say {name} {value}, its entries give "
                    f"{getattr(self.books, name)}"
                )
        held = _fund_cells(moment.trees)
        if held != self.books.balance:
            yield f"the fund holds {held}, its entries leave {self.books.balance}"
        if self.books.spent + self.books.sent > self.books.credited:
            yield (
                f"the fund spent {self.books.spent} and sent {self.books.sent} of "
                f"{self.books.credited} that it got"
            )
        for index, leaf in enumerate(_token_leaves(moment.trees, len(self.burned))):
            if leaf["burned"] != self.burned[index] or leaf["supply"] != self.supplies[index]:
                yield (
                    f"token {index} has {leaf['supply']} less {leaf['burned']} burned, its entries "
                    f"give {self.supplies[index]} less {self.burned[index]}"
                )


def _token_leaves(trees: Mapping[str, Tree], tokens: int) -> list[Record]:
    return [
        canonical.decode(TOKEN, trees["token"].get(token_key(index)) or b"")
        for index in range(tokens)
    ]


def _transfers(trees: Mapping[str, Tree]) -> dict[int, int]:
    """The fund's own withdrawals that wait, by number."""
    found: dict[int, int] = {}
    for key, value, _sums in trees["wd"].items():
        fields = canonical.decode(WITHDRAWAL, value)
        if fields["user"] == ASSISTANCE_FUND:
            found[int.from_bytes(key, "big")] = fields["amount"]
    return found


def _fund_cells(trees: Mapping[str, Tree]) -> int:
    """Cash and spot USDC of the fund, from its leaves."""
    cash = canonical.decode(ACCOUNT, trees["acct"].get(ASSISTANCE_FUND) or b"")
    total: int = cash["raw"] + cash["raw_isolated"]
    return total + spot_of(trees, USDC)


def spot_of(trees: Mapping[str, Tree], token: int) -> int:
    """What the fund's spot balance holds of a token, from its leaf."""
    leaf = trees[spot_collection(token)].get(ASSISTANCE_FUND)
    return 0 if leaf is None else canonical.decode(SPOT, leaf)["total"]
