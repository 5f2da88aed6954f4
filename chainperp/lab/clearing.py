"""Clearing of obligations among firms that may not pay in full, in whole units of money.

The greatest fixed point of p_i = min(owed_i, max(0, assets_i + sum_j floor(L_ji p_j / owed_j))),
found by going down from "everybody pays all" until nothing changes; sums are whole numbers, so it
ends. Senior creditors are paid before the others. What floors leave stays with the payer.
Source: Eisenberg and Noe 2001; adl-and-scenarios 11.1.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from chainperp.lab.refusals import refuse


@dataclass(frozen=True, slots=True)
class Debt:
    """What one firm owes another; `senior` debts are paid first."""

    debtor: str
    creditor: str
    amount: int
    senior: bool = False


@dataclass(frozen=True, slots=True)
class System:
    """Firms with their own assets, and what they owe each other."""

    assets: dict[str, int]
    debts: tuple[Debt, ...]
    keep: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Share of its own assets that a firm still has when it cannot pay in full (default cost)."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """Payments by debt, in the system's order, and what each firm has afterwards."""

    payments: tuple[int, ...]
    left: dict[str, int]
    unpaid: tuple[int, ...]
    """Of all debts after each round, the first one being that nobody has failed yet."""

    def paid(self, system: System, debtor: str) -> int:
        """All that a firm pays."""
        return sum(
            amount
            for debt, amount in zip(system.debts, self.payments, strict=True)
            if debt.debtor == debtor
        )

    def received(self, system: System, creditor: str) -> int:
        """All that a firm gets."""
        return sum(
            amount
            for debt, amount in zip(system.debts, self.payments, strict=True)
            if debt.creditor == creditor
        )


def check(system: System, where: str = "clearing") -> None:
    """Refuse what cannot be cleared: unknown firms, debts to oneself, amounts below zero."""
    for name, amount in system.assets.items():
        if amount < 0:
            refuse(f"{where}: assets.{name}", f"was {amount}, must not be below zero")
    for at, debt in enumerate(system.debts):
        place = f"{where}: debts[{at}]"
        for label, name in (("debtor", debt.debtor), ("creditor", debt.creditor)):
            if name not in system.assets:
                refuse(f"{place}.{label}", f"was {name}, which is no firm of the system")
        if debt.debtor == debt.creditor:
            refuse(f"{place}.creditor", f"was {debt.creditor}, which is the debtor itself")
        if debt.amount < 0:
            refuse(f"{place}.amount", f"was {debt.amount}, must not be below zero")


def clear(system: System) -> Cleared:
    """The greatest clearing payments. Raises BadRequest for a system that makes no sense."""
    check(system)
    payments = [debt.amount for debt in system.debts]
    owed = sum(payments)
    unpaid = [0]
    while True:
        income = dict(system.assets)
        for debt, amount in zip(system.debts, payments, strict=True):
            income[debt.creditor] += amount
        # Default costs are of own assets and begin with the first unit that is not paid.
        short = _short(system, payments)
        for name in short & system.keep.keys():
            share, whole = system.keep[name]
            income[name] -= system.assets[name] - system.assets[name] * share // whole
        new = _pay(system, income)
        if new == payments:
            break
        payments = new
        unpaid.append(owed - sum(payments))
    left = dict(system.assets)
    for name in short & system.keep.keys():
        share, whole = system.keep[name]
        left[name] = system.assets[name] * share // whole
    for debt, amount in zip(system.debts, payments, strict=True):
        left[debt.creditor] += amount
        left[debt.debtor] -= amount
    return Cleared(tuple(payments), left, tuple(unpaid))


def _short(system: System, payments: list[int]) -> set[str]:
    return {
        debt.debtor
        for debt, amount in zip(system.debts, payments, strict=True)
        if amount < debt.amount
    }


def _pay(system: System, income: dict[str, int]) -> list[int]:
    """What each debt gets when its debtor has so much: senior debts first, in proportion."""
    owed: dict[tuple[str, bool], int] = {}
    for debt in system.debts:
        key = (debt.debtor, debt.senior)
        owed[key] = owed.get(key, 0) + debt.amount
    payments: list[int] = []
    for debt in system.debts:
        able = max(0, income[debt.debtor])
        if not debt.senior:
            able = max(0, able - owed.get((debt.debtor, True), 0))
        total = owed[debt.debtor, debt.senior]
        payments.append(debt.amount if able >= total else debt.amount * able // total)
    return payments


def debt_rank(
    exposures: dict[tuple[str, str], float], shocked: dict[str, float]
) -> dict[str, float]:
    """Distress before default: share of equity lost, passed on once in proportion to exposure.

    `exposures` is (lender, borrower) -> exposure over the lender's equity. Source: DebtRank.
    """  # fmt: skip
    names = sorted({name for pair in exposures for name in pair} | set(shocked))
    level = {name: min(1.0, shocked.get(name, 0.0)) for name in names}
    fresh = dict(level)
    while any(change > 1e-12 for change in fresh.values()):
        after = dict(level)
        for (lender, borrower), weight in sorted(exposures.items()):
            after[lender] = min(1.0, after[lender] + weight * fresh[borrower])
        fresh = {name: after[name] - level[name] for name in names}
        level = after
    return level


@dataclass(frozen=True, slots=True)
class Pool:
    """Collateral at a custodian, and what each book says that it may take of it."""

    name: str
    amount: int
    claims: dict[str, int]

    @property
    def counted_twice(self) -> int:
        """Claims beyond what is there."""
        return max(0, sum(self.claims.values()) - self.amount)


def open_ledger(pools: Iterable[Pool], where: str = "custody") -> None:
    """Refuse to start on books that count a dollar twice."""
    for pool in pools:
        if pool.counted_twice:
            claims = ", ".join(f"{name} {amount}" for name, amount in pool.claims.items())
            refuse(
                f"{where}: pool {pool.name}",
                f"holds {pool.amount}, its books claim {claims}: {pool.counted_twice} too much",
            )
