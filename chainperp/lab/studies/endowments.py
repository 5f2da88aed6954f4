"""Winners for studies: drawn from a power law, or the real ones from a folder of tables."""

from pathlib import Path

from chainperp.lab.draws import Draws
from chainperp.lab.oct10 import BAD_DEBT, USERS, deficit_once, open_tables, winners_of
from chainperp.lab.problem import PPM, Winner

USD = 10**6


def drawn(count: int, alpha: float, seed: int) -> list[Winner]:
    """Winners with Pareto profits from 100 dollars; equity 2 to 15 times profit, leverage 0.1 to 3.

    Profits stand at the quantiles i / count, without noise: below a tail index of one a single
    draw would be the whole market. The spread of equity over profit is that of the public study
    (p10 2.28, p90 14.96).
    """
    draws = Draws(seed, "endowments")
    found: list[Winner] = []
    for place in range(count):
        w = int(100 * USD * ((place + 1) / count) ** (-1 / alpha))
        e = w * draws.whole(228, 1496) // 100
        n = max(1, int(e * draws.log_even(0.1, 3.0)))
        found.append(Winner(f"w{place:05d}", w, e, n, min(w, e), n * PPM // e))
    return found


def endowments(data: str, count: int, alpha: float, seed: int) -> tuple[list[Winner], str]:
    """Winners and where they come from; a folder is named by the hash of its table."""
    if not data:
        return drawn(count, alpha, seed), f"{count} winners at the quantiles of a Pareto {alpha:g}"
    tables = open_tables(Path(data))
    origin = f"October 2025, table sha256 {tables.hash(USERS)}"
    if tables.has(BAD_DEBT):
        printed, once = deficit_once(tables.rows(BAD_DEBT))
        origin += (
            f" (deficits of that study's waves: {printed:,.2f} USD as printed, {once:,.2f} USD "
            "with the repeated account counted once)"
        )
    return winners_of(tables.rows(USERS)), origin
