"""The arithmetic of vault shares once more, slowly: exact fractions, rounded at the very end.

It shares no code with `rules/vaults.py`. A `SHARES` record is judged from what it says of the state
before; a `Holder` is what a person would keep in a notebook.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Any

from chainperp.model.vaults import ShareEvent

Record = dict[str, Any]


@dataclass
class Holder:
    """Shares, what they cost, and what was paid out."""

    shares: int = 0
    basis: int = 0


def price(fields: Record) -> Fraction:
    """What one share was worth before the change, in units."""
    return Fraction(fields["value"], fields["total"]) if fields["total"] else Fraction(1)


def deposit(fields: Record) -> tuple[int, int, int]:
    """Shares bought, what they cost, and what that adds to the basis."""
    if not fields["total"]:
        whole = fields["requested"] + fields["value"]
        return whole, fields["requested"], fields["requested"]
    bought = floor(Fraction(fields["requested"]) / price(fields))
    cost = ceil(bought * price(fields))
    return bought, cost, cost


def redeemed(fields: Record, amount: int) -> int:
    """Shares that an amount takes."""
    if amount == floor(fields["held"] * price(fields)):
        return int(fields["held"])
    return min(int(fields["held"]), ceil(Fraction(amount) / price(fields)))


def charge(paid: int, used: Fraction, percent: int) -> int:
    """Commission on what was made over the part of the basis that went."""
    profit = paid - ceil(used)
    return floor(Fraction(percent, 100) * profit) if profit > 0 else 0


def expected(fields: Record, percent: int) -> Record:
    """What a record must say, from what it says of the state before and of what was asked."""
    event = ShareEvent(fields["event"])
    if event in (ShareEvent.DEPOSIT, ShareEvent.SEED):
        bought, cost, basis = deposit(fields)
        if event is ShareEvent.SEED:
            cost = basis = fields["requested"]
            bought = floor(Fraction(cost) / price(fields))
        return {"change": bought, "gross": cost, "net": cost, "basis_change": basis,
                "commission": 0, "closing_cost": 0}  # fmt: skip
    if event is ShareEvent.DISTRIBUTION:
        part = floor(Fraction(fields["requested"] * fields["held"], fields["total"]))
        used = Fraction(fields["basis"] * fields["requested"], fields["value"])
        fee = charge(part, used, percent)
        return {"change": 0, "gross": part, "net": part - fee, "basis_change": -ceil(used),
                "commission": fee, "closing_cost": 0}  # fmt: skip
    shares = redeemed(fields, fields["requested"])
    gross = floor(shares * price(fields))
    if fields["gross"] < gross:  # the margin did not cover it all: the record says how much it did
        gross = fields["gross"]
        shares = redeemed(fields, gross)
    used = Fraction(fields["basis"] * shares, fields["held"])
    paid = gross - fields["closing_cost"]
    fee = charge(paid, used, percent)
    return {"change": -shares, "gross": gross, "net": paid - fee, "basis_change": -ceil(used),
            "commission": fee, "closing_cost": fields["closing_cost"]}  # fmt: skip


class Notebook:
    """Who holds what of every vault, kept from the records alone."""

    def __init__(self, percent: int) -> None:
        self.percent = percent
        self.leaders: dict[bytes, bytes] = {}
        self.holders: dict[tuple[bytes, bytes], Holder] = {}
        # Shares of each vault when it was closed, before anybody was paid.
        self.closing: dict[bytes, int] = {}

    def total(self, vault: bytes) -> int:
        """All shares of a vault."""
        return sum(one.shares for (which, _), one in self.holders.items() if which == vault)

    def add(self, fields: Record) -> None:
        """Judge a record against the notebook and the arithmetic, and take it over."""
        key = fields["vault"], fields["holder"]
        holder = self.holders.setdefault(key, Holder())
        assert (fields["held"], fields["basis"]) == (holder.shares, holder.basis)
        total = self.total(fields["vault"])
        if fields["event"] == ShareEvent.CLOSE:
            total = self.closing.setdefault(fields["vault"], total)
        assert fields["total"] == total
        is_leader = self.leaders.get(fields["vault"]) in (fields["holder"], None)
        told = expected(fields, 0 if is_leader else self.percent)
        assert told == {name: fields[name] for name in told}, fields
        holder.shares += fields["change"]
        holder.basis += fields["basis_change"]
        assert holder.shares >= 0
        assert holder.basis >= 0
        if not holder.shares:
            del self.holders[key]
