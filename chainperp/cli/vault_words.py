"""Entries about vaults in sentences: shares with all their arithmetic, quotes, capital, netting."""

from collections.abc import Callable
from typing import Final

from chainperp.base.canonical import Record
from chainperp.base.units import format_decimal
from chainperp.cli.chain_log import ChainLog, Logged, Sentence, clock, money, who
from chainperp.model.decisions import Kind, rule_code
from chainperp.model.vaults import ShareEvent, VaultEvent
from chainperp.rules.vaults import equity, shares_redeemed

SHARE_DECIMALS: Final = 6
PLACES: Final = 10**SHARE_DECIMALS


def share_sentences(_log: ChainLog, entry: Logged) -> list[Sentence]:
    """A change of a holder's shares, step by step with its numbers."""
    fields = entry.fields()
    steps: dict[ShareEvent, Callable[[Record], list[tuple[str, str]]]] = {
        ShareEvent.DEPOSIT: _deposit,
        ShareEvent.SEED: _seed,
        ShareEvent.WITHDRAWAL: _withdrawal,
        ShareEvent.CLOSE: _withdrawal,
        ShareEvent.DISTRIBUTION: _distribution,
    }
    told = [_before(fields), *steps[ShareEvent(fields["event"])](fields)]
    return [Sentence(text, rule, entry.index) for text, rule in told]


def _price(fields: Record) -> str:
    """Value over shares, to six places, rounded down."""
    value, total = fields["value"], fields["total"]
    return format_decimal(value * PLACES // total, SHARE_DECIMALS)


def _before(fields: Record) -> tuple[str, str]:
    value, total = fields["value"], fields["total"]
    vault = f"Vault {who(fields['vault'])} was worth {money(value)}"
    if not total:
        return f"{vault} and had no shares yet: the first make one of each 0.000001 USDC", "VLT-3"
    price = f"a share was worth {value} / {total} = {_price(fields)} of 0.000001 USDC"
    return f"{vault} with {total} shares in all: {price}", "VLT-4"


def _deposit(fields: Record) -> list[tuple[str, str]]:
    asked, cost = fields["requested"], fields["gross"]
    left = asked - cost
    rest = f"; {money(left)} pay for no whole share and stay with him" if left else ""
    until = fields["locked_until"]
    return [
        (f"{who(fields['holder'])} deposited {money(asked)}: {fields['change']} shares, rounded "
         f"down, which cost {money(cost)}, rounded up{rest}", "VLT-3"),
        (f"He now has {fields['held'] + fields['change']} shares that cost "
         f"{money(fields['basis'] + fields['basis_change'])}, locked until {clock(until)}",
         "VLT-8"),
    ]  # fmt: skip


def _seed(fields: Record) -> list[tuple[str, str]]:
    return [
        (f"{fields['change']} shares go to the insurance account for {money(fields['gross'])} that "
         "the vault's own accounts hold: they never leave", "VLT-3"),
    ]  # fmt: skip


def _withdrawal(fields: Record) -> list[tuple[str, str]]:
    """Worth, redemption, costs, commission, and what stays."""
    held, value, total = fields["held"], fields["value"], fields["total"]
    redeemed, gross, cost = -fields["change"], fields["gross"], fields["closing_cost"]
    is_close = fields["event"] == ShareEvent.CLOSE
    worth = gross if is_close else equity(held, value, total)
    asked = "the vault is closed" if is_close else f"he asked for {money(fields['requested'])}"
    told = [
        (f"{who(fields['holder'])} had {held} shares, worth {money(worth)}, which had cost "
         f"{money(fields['basis'])}; {asked}", "VLT-5"),
        (f"{redeemed} shares were redeemed, the fewest whole ones that are worth it, for "
         f"{money(gross)}, rounded down", "VLT-5"),
    ]  # fmt: skip
    due = gross if is_close else shares_redeemed(fields["requested"], held, value, total)[1]
    if gross < due:
        text = f"No more could be settled: {money(due - gross)} of what he asked stay his shares"
        told.append((text, "VLT-18"))
    if cost:
        text = f"Closing positions for him cost {money(cost)} against the mark: he bears it"
        told.append((text, "VLT-18"))
    part, paid = -fields["basis_change"], gross - cost
    profit = paid - part
    told.append(
        (f"The redeemed shares had cost {money(part)} of his basis: a "
         f"{'profit' if profit >= 0 else 'loss'} of {money(abs(profit))}, of which the leader's "
         f"commission is {money(fields['commission'])}, rounded down", "VLT-6")
    )  # fmt: skip
    told.append(
        (f"Paid to him: {money(gross)}{f' less {money(cost)}' if cost else ''} less "
         f"{money(fields['commission'])} = {money(fields['net'])}; he keeps {held - redeemed} "
         f"shares that cost {money(fields['basis'] - part)}", "VLT-5")
    )  # fmt: skip
    return told


def _distribution(fields: Record) -> list[tuple[str, str]]:
    part = -fields["basis_change"]
    return [
        (f"Of {money(fields['requested'])} for all, {fields['held']} shares of "
         f"{who(fields['holder'])} get {money(fields['gross'])}, rounded down; that part "
         f"had cost {money(part)}", "VLT-13"),
        (f"The leader's commission is {money(fields['commission'])}: paid to him "
         f"{money(fields['net'])}, and his shares stay as they are", "VLT-6"),
    ]  # fmt: skip


def vault_sentences(_log: ChainLog, entry: Logged) -> list[Sentence]:
    """What happened to a vault as a whole."""
    fields = entry.fields()
    words = {
        VaultEvent.CREATED: f"was opened with {money(fields['amount'])}",
        VaultEvent.MODIFIED: "has new settings: deposits "
        f"{'on' if fields['allow_deposits'] else 'off'}, closing "
        f"{'always' if fields['always_close'] else 'only when it must'} for who leaves",
        VaultEvent.DISTRIBUTED: f"pays {money(fields['amount'])} to all its holders",
        VaultEvent.CLOSING: "is to be closed; the book did not take all that it holds",
        VaultEvent.CLOSED: f"is closed, worth {money(fields['amount'])}",
    }
    name = fields["name"].decode(errors="replace")
    text = f'Vault {who(fields["vault"])} "{name}" of {who(fields["leader"])} '
    return [
        Sentence(text + words[VaultEvent(fields["event"])], rule_code(fields["rule"]), entry.index)
    ]


def quote_sentences(log: ChainLog, entry: Logged) -> list[Sentence]:
    """A round of the market-making child with its inputs."""
    fields = entry.fields()
    told = [
        (f"The market-making child, worth {money(fields['value'])} with positions of "
         f"{money(fields['notional'])}, was worth {money(fields['day_value'])} when its day began",
         "VLT-20"),
    ]  # fmt: skip
    for row in fields["rows"]:
        asset = row["asset"]
        others = " and ".join(
            "none" if row[side] is None else log.price(asset, row[side]) for side in ("bid", "ask")
        )
        told.append(
            (f"{log.market(asset)} at oracle price {log.price(asset, row['oracle'])}, mark "
             f"{log.price(asset, row['mark'])}, holding {log.position(asset, row['lots'])}, best "
             f"bid and ask of others {others}: {row['kept']} quotes stay, {row['cancelled']} go, "
             f"{row['placed']} are new", "VLT-26")
        )  # fmt: skip
    return [Sentence(text, rule, entry.index) for text, rule in told]


def children_sentences(log: ChainLog, entry: Logged) -> list[Sentence]:
    """The daily split of capital, or a netting of the children's positions."""
    fields = entry.fields()
    told = [
        (f"{log.size(row['asset'], row['lots'])} of the children's opposite positions are closed "
         f"against each other at the mark {log.price(row['asset'], row['price'])}", "VLT-27")
        for row in fields["netted"]
    ]  # fmt: skip
    if fields["children"]:
        told.append(
            (f"The liquidity vault is worth {money(fields['whole'])}: {money(fields['budget'])} "
             f"may move today; the parent can give {money(fields['available'])}", "VLT-28")
        )  # fmt: skip
    for row in fields["children"]:
        moved = row["moved"]
        what = f"gets {money(moved)}" if moved > 0 else f"gives {money(-moved)}"
        told.append(
            (f"Child {who(row['child'])}, worth {money(row['value'])} for a target of "
             f"{money(row['target'])}, {what if moved else 'neither gets nor gives'}", "VLT-29")
        )  # fmt: skip
    return [Sentence(text, rule, entry.index) for text, rule in told]


VAULT_SENTENCES: Final[dict[Kind, Callable[[ChainLog, Logged], list[Sentence]]]] = {
    Kind.SHARES: share_sentences,
    Kind.USER_VAULT: vault_sentences,
    Kind.QUOTE: quote_sentences,
    Kind.CHILDREN: children_sentences,
}
