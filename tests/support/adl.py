"""What the tests of the ADL policies share: short candidates, and the measure of inequality."""

from collections.abc import Sequence

from chainperp.rules.adl.policy import Candidate


def candidate(
    key: str | bytes,
    *,
    lots: int = 1,
    pnl: int = 0,
    value: int = 0,
    notional: int = 0,
    entry: int | None = None,
    cash: int | None = None,
    maintenance: int = 0,
    opened_at: int = 0,
    exempt: bool = False,
    cap_ppb: int = 0,
    is_long: bool = True,
    is_isolated: bool = False,
) -> Candidate:
    """A candidate with the fields that a test cares about."""
    return Candidate(
        key.encode() if isinstance(key, str) else key,
        lots,
        entry_notional=notional if entry is None else entry,
        notional=notional,
        account_value=value,
        pnl=pnl,
        cash=value - pnl if cash is None else cash,
        maintenance=maintenance,
        opened_at=opened_at,
        exempt=exempt,
        cap_ppb=cap_ppb,
        is_long=is_long,
        is_isolated=is_isolated,
    )


def gini(takes: Sequence[int]) -> tuple[int, int]:
    """Gini coefficient over all candidates, zeros included, as an exact fraction.

    Formula: 2 sum k x(k) / (n sum x) - (n + 1) / n, x ascending, k from 1.
    """
    count, total = len(takes), sum(takes)
    weighted = sum(place * take for place, take in enumerate(sorted(takes), start=1))
    return 2 * weighted - (count + 1) * total, count * total
