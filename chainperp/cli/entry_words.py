"""Log entries in sentences: orders, trades, transfers, triggers. One entry, one sentence."""

import json
from typing import Any, Final

from chainperp.base import msgpack
from chainperp.base.canonical import Record
from chainperp.base.errors import InvalidBytes
from chainperp.chain.divergence import show
from chainperp.cli.border_words import BORDER_SENTENCES
from chainperp.cli.chain_log import ChainLog, Logged, Sentence, money, who
from chainperp.cli.vault_words import VAULT_SENTENCES
from chainperp.model.decisions import (
    REASONS,
    Kind,
    LedgerType,
    OrderStatus,
    Rejection,
    rule_code,
)
from chainperp.model.envelope import SCHEMES, decode_envelope, transaction_hash
from chainperp.model.tokens import Token
from chainperp.transition.recorder import (
    FLAG_ADL,
    FLAG_BACKSTOP,
    FLAG_LIQUIDATION,
    FLAG_NETTED,
    FLAG_TAKER_BUYS,
)

# Refusals of a request's form: price and size stand in the record as signed, times 10^8.
AS_SIGNED: Final = frozenset(
    (
        Rejection.MARKET_UNKNOWN,
        Rejection.SIZE_INVALID,
        Rejection.SIZE_ZERO,
        Rejection.TICK,
        Rejection.NO_PRICE,
        Rejection.SPOT_REDUCE_ONLY,
        Rejection.SPOT_TRIGGER,
        Rejection.SPOT_BUILDER,
    )
)
MOVED: Final = {
    LedgerType.USD_SEND: ("sent", "TRF-1"),
    LedgerType.ACTIVATION_FEE: ("paid for a new address", "TRF-2"),
    LedgerType.WITHDRAWAL_FEE: ("paid for a withdrawal", "TRF-3"),
    LedgerType.FEE_SHARE: ("share of trading fees", "FEE-3"),
    LedgerType.FUNDING_ROUNDING: ("funding's rounding", "FND-3"),
    LedgerType.ISOLATED_MARGIN_ADDED: ("moved into an isolated position", "MRG-7"),
    LedgerType.ISOLATED_MARGIN_REMOVED: ("moved out of an isolated position", "MRG-7"),
    LedgerType.BACKSTOP_COLLATERAL: ("what was left of the margin, to the vault", "BKS-1"),
    LedgerType.INSURANCE_DRAW: ("paid by the insurance towards a deficit", "ADL-3"),
    LedgerType.LIQUIDATION_PROFIT: ("share of seized margin", "BKS-6"),
    LedgerType.ADL_HAIRCUT: ("profit taken by the ADL policy", "ADL-1"),
    LedgerType.SUB_ACCOUNT_TRANSFER: ("between a master and its sub-account", "SUB-3"),
    LedgerType.BUILDER_FEE: ("fee of the builder that the order names", "FEE-5"),
    LedgerType.CLASS_TO_PERP: ("out of the spot balance into the margin", "TRF-5"),
    LedgerType.CLASS_TO_SPOT: ("out of the margin into the spot balance", "TRF-5"),
    LedgerType.SPOT_SEND: ("sent from spot balance to spot balance", "TRF-6"),
    LedgerType.ASSET_PERP_TO_PERP: ("sent", "TRF-6"),
    LedgerType.ASSET_PERP_TO_SPOT: ("sent to the spot balance", "TRF-6"),
    LedgerType.ASSET_SPOT_TO_PERP: ("sent out of the spot balance", "TRF-6"),
    LedgerType.ASSET_SPOT_TO_SPOT: ("sent from spot balance to spot balance", "TRF-6"),
    LedgerType.SUB_ACCOUNT_SPOT_TRANSFER: (
        "between the spot balances of a master and its sub-account",
        "SUB-3",
    ),
    LedgerType.SPOT_ACTIVATION_FEE: ("paid out of the spot balance for a new address", "TRF-2"),
    LedgerType.SPOT_FEE_BURN: ("the buyer's fee, burned", "SPT-6"),
    LedgerType.BUYBACK_BURN: ("what the fund bought, burned", "BUY-6"),
    LedgerType.BUYBACK_MONEY: ("money for a purchase of the fund", "BUY-3"),
    LedgerType.BUYBACK_REST: ("what a purchase of the fund left", "BUY-3"),
    LedgerType.VAULT_CREATE: ("the leader's first deposit into the vault", "VLT-1"),
    LedgerType.VAULT_CREATION_FEE: ("paid for opening a vault", "VLT-1"),
    LedgerType.VAULT_DEPOSIT: ("deposited into the vault", "VLT-3"),
    LedgerType.VAULT_WITHDRAWAL: ("paid out by the vault", "VLT-5"),
    LedgerType.VAULT_COMMISSION: ("the leader's commission", "VLT-6"),
    LedgerType.VAULT_DISTRIBUTION: ("distributed by the vault", "VLT-13"),
    LedgerType.VAULT_ROUNDING: ("what whole units leave of a closed vault", "VLT-12"),
    LedgerType.CHILD_CAPITAL: ("capital of the liquidity vault's children", "VLT-29"),
    LedgerType.DEFICIT: ("owed by the insurance for a closed scope", "LIQ-8"),
}


def percent_from(price: int, mark: int) -> str:
    """How far a price is from the mark, in words, cut to hundredths of a percent."""
    if price == mark or not mark:
        return "at the mark"
    bps = abs(price - mark) * 10_000 // mark
    return f"{bps // 100}.{bps % 100:02d} % {'above' if price > mark else 'below'} the mark"


def order_sentence(log: ChainLog, entry: Logged) -> Sentence:
    """A decision about an order."""
    fields = entry.fields()
    reason, status = Rejection(fields["reason"]), OrderStatus(fields["status"])
    rule = rule_code(fields["rule"])
    side = "buy" if fields["is_buy"] else "sell"
    asset = fields["asset"]
    if status is OrderStatus.REQUEST_REFUSED:
        text = REASONS[reason].text
        return Sentence(f"The request about order {fields['oid']} was refused: {text}", rule,
                        entry.index)  # fmt: skip
    if reason in AS_SIGNED:
        what = f"to {side} {fields['lots']}e-8 of {log.market(asset)} at {fields['price']}e-8"
    else:
        what = f"to {side} {log.size(asset, fields['lots'])} at {log.price(asset, fields['price'])}"
    name = f"Order {fields['oid']} {what}"
    if status is OrderStatus.REJECTED:
        told = REASONS[reason].text or REASONS[reason].status
        numbers = f" (compared {fields['found']} with {fields['needed']})"
        return Sentence(f"{name} was refused: {told}{numbers}", rule, entry.index)
    left = "" if reason in AS_SIGNED else log.size(asset, fields["remaining"])
    words = {
        OrderStatus.OPEN: f"rests in the book with {left}",
        OrderStatus.FILLED: "is filled",
        OrderStatus.CANCELED: f"is cancelled with {left} left ({reason.name.lower()})",
        OrderStatus.PARTIALLY_FILLED: f"is partly filled and rests with {left}",
        OrderStatus.WAITING_FOR_TRIGGER: "waits for the mark",
        OrderStatus.WAITING_FOR_FILL: "waits for its parent",
    }
    return Sentence(f"{name} {words[status]}", rule, entry.index)


def fill_rule(fields: Record) -> str:
    """The rule under which a trade's price was made."""
    flags = fields["flags"]
    if flags & FLAG_ADL:
        return "ADL-2"
    if flags & FLAG_BACKSTOP:
        return "BKS-1"
    if flags & FLAG_NETTED:
        return "VLT-27"
    return "LIQ-3" if flags & FLAG_LIQUIDATION else "MAT-1"


def fill_side(log: ChainLog, fields: Record, side: str) -> str:
    """One side of a trade: position before and after, profit, fee."""
    asset, lots = fields["asset"], fields["lots"]
    buys = bool(fields["flags"] & FLAG_TAKER_BUYS) == (side == "taker")
    before = fields[f"{side}_start"]
    base = log.base(asset)
    if base is not None:
        return _spot_side(log, base, fields, side)
    after = before + (lots if buys else -lots)
    extra = fields[f"{side}_builder_fee"]
    builders = f", to the builder {money(extra)}" if extra else ""
    return (
        f"{log.position(asset, before)} became {log.position(asset, after)}; realised "
        f"{money(fields[f'{side}_pnl'])}; fee {money(fields[f'{side}_fee'])}{builders}"
    )


def _spot_side(log: ChainLog, base: Token, fields: Record, side: str) -> str:
    """One side of a spot trade: balance of the token before and after, fee in what it receives."""
    buys = bool(fields["flags"] & FLAG_TAKER_BUYS) == (side == "taker")
    before, fee = fields[f"{side}_start"], fields[f"{side}_fee"]
    given = fields["lots"] * 10 ** (base.wei_decimals - base.size_decimals)
    after = before + given - fee if buys else before - given
    usdc = fields["price"] * fields["lots"]
    paid = f"paid {money(usdc)}" if buys else f"received {money(usdc)}"
    cost = log.amount(base.index, fee) if buys else money(fee)
    return (
        f"{log.amount(base.index, before)} became {log.amount(base.index, after)}; {paid}; "
        f"fee {cost}"
    )


def fill_sentence(log: ChainLog, entry: Logged, account: bytes | None = None) -> Sentence:
    """A trade; seen from one of its accounts when that is given."""
    fields = entry.fields()
    asset, price = fields["asset"], fields["price"]
    side = "maker" if fields["maker"] == account else "taker"
    other = fields["taker" if side == "maker" else "maker"]
    buys = bool(fields["flags"] & FLAG_TAKER_BUYS) == (side == "taker")
    subject = "" if account else f"{who(fields['taker'])} "
    verb = ("bought" if buys else "sold") if subject else ("Bought" if buys else "Sold")
    # A spot pair has no mark that matters to anybody.
    mark = f" ({percent_from(price, log.marks[asset].mark)})" if asset in log.marks else ""
    text = (
        f"{subject}{verb} {log.size(asset, fields['lots'])} at {log.price(asset, price)}"
        f"{mark} {'from' if buys else 'to'} {who(other)}: {fill_side(log, fields, side)}"
    )
    return Sentence(text, fill_rule(fields), entry.index)


def ledger_sentence(entry: Logged) -> Sentence:
    """A transfer between two cells."""
    fields = entry.fields()
    words, rule = MOVED[LedgerType(fields["type"])]
    return Sentence(
        f"{money(fields['amount'])} from {who(fields['source'])} to "
        f"{who(fields['destination'])}: {words}",
        rule,
        entry.index,
    )


def token_sentence(log: ChainLog, entry: Logged) -> Sentence:
    """An amount of a token that moved without a trade, or is gone."""
    fields = entry.fields()
    words, rule = MOVED[LedgerType(fields["type"])]
    amount, source = log.amount(fields["token"], fields["amount"]), who(fields["source"])
    if not any(fields["destination"]):
        left = log.amount(fields["token"], fields["circulating"])
        return Sentence(f"{amount} of {source}: {words}; {left} are left", rule, entry.index)
    text = f"{amount} from {source} to {who(fields['destination'])}: {words}"
    return Sentence(text, rule, entry.index)


def entry_sentence(log: ChainLog, entry: Logged) -> Sentence:
    """Any entry: in its own words where there are any, else its fields."""
    if entry.kind is Kind.ORDER:
        return order_sentence(log, entry)
    if entry.kind is Kind.FILL:
        return fill_sentence(log, entry)
    if entry.kind is Kind.LEDGER:
        return ledger_sentence(entry)
    if entry.kind is Kind.TOKEN:
        return token_sentence(log, entry)
    if entry.kind in BORDER_SENTENCES:
        return BORDER_SENTENCES[entry.kind](log, entry)
    fields = entry.fields()
    told = ", ".join(f"{name} {show(value)}" for name, value in fields.items() if name != "rule")
    rule = rule_code(fields["rule"]) if "rule" in fields else ""
    return Sentence(f"{entry.kind.name.lower()}: {told}", rule, entry.index)


def entry_sentences(log: ChainLog, entry: Logged) -> list[Sentence]:
    """Any entry, with all steps of its arithmetic where it has some."""
    tell = VAULT_SENTENCES.get(entry.kind)
    return [entry_sentence(log, entry)] if tell is None else tell(log, entry)


def transaction_sentences(entry: Logged) -> tuple[list[Sentence], dict[str, Any]]:
    """Who signed what, and how it was admitted."""
    fields = entry.fields()
    envelope = decode_envelope(fields["envelope"])
    name = "0x" + transaction_hash(fields["envelope"]).hex()
    try:
        action = json.dumps(msgpack.unpack(envelope.action_bytes), default=show)
    except InvalidBytes:
        action = "0x" + envelope.action_bytes.hex()
    code = Rejection(fields["code"])
    reason = REASONS[code]
    shown = action if len(action) <= 300 else action[:300] + "…"
    sentences = [
        Sentence(f"Transaction {name} was signed by {who(fields['signer'])} "
                 f"({SCHEMES[envelope.scheme]}, nonce {envelope.nonce})", "ADM-1", entry.index),
        Sentence(f"It asked: {shown}", "", entry.index),
    ]  # fmt: skip
    if code is Rejection.ACCEPTED:
        sentences.append(Sentence("It was admitted and carried out", "ADM-2", entry.index))
    else:
        told = reason.text or reason.status
        sentences.append(Sentence(f"It was refused: {told}", reason.rule, entry.index))
    document = {
        "hash": name,
        "signer": who(fields["signer"]),
        "nonce": envelope.nonce,
        "action": action,
        "code": code.name.lower(),
        "rule": reason.rule,
    }
    return sentences, document
