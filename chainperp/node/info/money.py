"""Questions about fees, volume and how an account did over time."""

from dataclasses import dataclass
from typing import Any, Final

from chainperp.base.rounding import floor_div
from chainperp.base.units import DAY_MS, Address, day_of
from chainperp.model.accounts import Account
from chainperp.node.documents import fees
from chainperp.node.documents.accounts import rate_limit
from chainperp.node.documents.texts import Document, usd
from chainperp.node.index.schema import EXCHANGE
from chainperp.node.info.kinds import USER, account_of, raw_address
from chainperp.node.info.registry import Context, Fields, Past, Query

DAYS_SHOWN: Final = 15
POINTS_MAX: Final = 48
PERIODS: Final = (("day", DAY_MS), ("week", 7 * DAY_MS), ("month", 30 * DAY_MS), ("allTime", 0))
REWARD_DAYS: Final = 90


# --- fees ----------------------------------------------------------------------------------------


def volume_of_days(past: Past, fields: Fields) -> list[Document]:
    """Volume of the last days, the present one included, oldest first."""
    today = day_of(past.now_ms)
    user = past.user(fields["user"])
    rows = past.connection.execute(
        "SELECT user, day, taker, maker FROM days WHERE user IN (?, ?) AND day > ?",
        (user, EXCHANGE, today - DAYS_SHOWN),
    )
    found = {(number, day): (taker, maker) for number, day, taker, maker in rows}
    shown: list[Document] = []
    for day in range(max(today - DAYS_SHOWN + 1, 0), today + 1):
        taker, maker = (0, 0) if user is None else found.get((user, day), (0, 0))
        exchange = found.get((EXCHANGE, day), (0, 0))[0]
        shown.append(fees.volume_row(day, taker + maker, maker, exchange))
    return shown


def user_fees(context: Context, fields: Fields, days: list[Document]) -> Document:
    """The account's rates today, the schedule behind them, and its volume of the last days."""
    account = account_of(context, fields) or Account(Address(raw_address(fields)))
    return fees.user_fees(context.state(), account, days)


def requests_sent(past: Past, fields: Fields) -> Document:
    """Requests of an account, orders and cancels of a batch counted one by one, and their cap."""
    user = past.user(fields["user"])
    row = past.connection.execute("SELECT volume, requests FROM users WHERE id = ?", (user,))
    volume, requests = row.fetchone() or (0, 0)
    return rate_limit(volume, requests)


def reward_days(past: Past, fields: Fields) -> list[Document]:
    """What a referrer earned by UTC day, newest first, with its own and its accounts' volume."""
    user = past.user(fields["user"])
    rows = past.connection.execute(
        """SELECT r.day, sum(r.earned), sum(coalesce(d.taker, 0) + coalesce(d.maker, 0)),
           (SELECT taker + maker FROM days WHERE user = ?1 AND day = r.day)
           FROM rewards r LEFT JOIN days d ON d.user = r.user AND d.day = r.day
           WHERE r.referrer = ?1 GROUP BY r.day ORDER BY r.day DESC LIMIT ?2""",
        (user, REWARD_DAYS),
    )
    return [
        {"earned": usd(earned), "vlm": usd(own or 0), "referralVlm": usd(volume),
         "time": day * DAY_MS}
        for day, earned, volume, own in rows
    ]  # fmt: skip


def referral(context: Context, fields: Fields, history: list[Document]) -> Document:
    """The account's code, referrer, referred accounts and rewards."""
    return fees.referral(context.state(), Address(raw_address(fields)), history)


def fee_sums(past: Past, _fields: Fields) -> dict[str, int]:
    """Ways of fees since genesis."""
    return dict(past.connection.execute("SELECT name, amount FROM fee_flows").fetchall())


def exchange_fees(context: Context, _fields: Fields, sums: dict[str, int]) -> Document:
    """The schedule of fees, what came in by source and where it went."""
    state = context.state()
    return fees.exchange_fees(state.parameters, sums, state.tokens)


# --- portfolio -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Grid:
    """Instants at equal distances, the last one now; an event belongs to the first that is not
    before it."""

    start: int
    step: int
    points: int

    def times(self) -> list[int]:
        """All instants."""
        return [self.start + self.step * at for at in range(self.points)]


def portfolio(past: Past, fields: Fields) -> Any:
    """Value and profit of an account over a day, a week, a month and all time.

    Worked out from what the index keeps: cash moved, trades with their fees, funding, and marks of
    the minute. Profit is the change of value less what was paid in and plus what was taken out.
    """
    user = past.user(fields["user"])
    return portfolio_of(past, [] if user is None else [user])


def portfolio_of(past: Past, users: list[int]) -> list[list[Any]]:
    """The same of several accounts together, by their numbers."""
    found = [(name, _shown(history_of(past, users, length))) for name, length in PERIODS]
    names = {"allTime": "perpAllTime"}
    return [[name, one] for name, one in found] + [
        [names.get(name, f"perp{name.capitalize()}"), one] for name, one in found
    ]


@dataclass(frozen=True, slots=True)
class History:
    """Value and profit at instants, and volume, in micro-USDC."""

    values: list[tuple[int, int]]
    profits: list[tuple[int, int]]
    volume: int


def history_of(past: Past, users: list[int], length: int) -> History:
    """How accounts did together over the last `length` milliseconds, or since they began when it is
    0 or longer than that."""
    births = [past.number("SELECT min(time_ms) FROM ledger WHERE user = ?", user) for user in users]
    known = [time_ms for time_ms in births if time_ms is not None]
    if not known:
        return History([], [], 0)
    born = min(known)
    start = max(past.now_ms - length, born) if length else born
    return _period(past, users, _grid(start, past.now_ms))


def _grid(start: int, now_ms: int) -> Grid:
    span = max(now_ms - start, 0)
    step = max(floor_div(span, POINTS_MAX - 1), 1)
    points = floor_div(span, step) + 1
    return Grid(now_ms - step * (points - 1), step, points)


# Which instant an event belongs to; those before the first belong to it.
AT: Final = "max(0, (time_ms - ?1 + ?2 - 1) / ?2)"


def _period(past: Past, users: list[int], grid: Grid) -> History:
    cash = [0] * grid.points
    paid_in = [0] * grid.points
    lots: list[dict[int, int]] = [{} for _ in range(grid.points)]
    volume = sum(_add_user(past, user, grid, (cash, paid_in), lots) for user in users)
    values = _values(past, grid, cash, lots)
    profits: list[int] = []
    total = 0
    for at, value in enumerate(values):
        total += paid_in[at] if at else 0
        profits.append(value - values[0] - total)
    times = grid.times()
    return History(
        list(zip(times, values, strict=True)), list(zip(times, profits, strict=True)), volume
    )


def _add_user(
    past: Past,
    user: int,
    grid: Grid,
    money: tuple[list[int], list[int]],
    lots: list[dict[int, int]],
) -> int:
    """Add what an account did to cash, to money paid in, and to lots; returns its volume."""
    cash, paid_in = money
    arguments = (grid.start, grid.step, user)
    run = past.connection.execute
    for at, amount, own in run(
        f"""SELECT {AT} at, sum(cash), sum(CASE WHEN hash IS NULL AND idx > 0 THEN 0 ELSE cash END)
            FROM ledger WHERE user = ?3 GROUP BY at""",  # noqa: S608
        arguments,
    ):
        cash[at] += amount
        paid_in[at] += own
    for at, amount in run(
        f"SELECT {AT} at, sum(payment) FROM funding_payments WHERE user = ?3 GROUP BY at",  # noqa: S608
        arguments,
    ):
        cash[at] -= amount
    volume = 0
    for at, asset, signed, amount, traded in run(_TRADED, arguments):
        cash[at] += amount
        lots[at][asset] = lots[at].get(asset, 0) + signed
        # What came before the first instant is not of the period, unless it began with it.
        volume += traded if at else 0
    return volume


# Lots bought less lots sold, and what they cost with their fees.
_TRADED: Final = f"""
 SELECT {AT} at, asset, sum(lots * way), sum(-lots * price * way - fee),
 sum(CASE WHEN flags & 88 THEN 0 ELSE lots * price END)
 FROM (SELECT t.time_ms, t.asset, t.lots, t.price, t.flags,
 CASE WHEN (t.flags & 1) = f.is_taker THEN 1 ELSE -1 END way,
 CASE f.is_taker WHEN 1 THEN t.taker_fee + t.taker_builder_fee
 ELSE t.maker_fee + t.maker_builder_fee END fee
 FROM fills f JOIN trades t ON t.tid = f.tid WHERE f.user = ?3 AND t.asset < 10000)
 GROUP BY at, asset
"""  # noqa: S608


def _values(past: Past, grid: Grid, cash: list[int], lots: list[dict[int, int]]) -> list[int]:
    """Value at each instant: cash so far and positions at the marks of then."""
    values: list[int] = []
    held: dict[int, int] = {}
    money = 0
    for at, time_ms in enumerate(grid.times()):
        money += cash[at]
        for asset, change in lots[at].items():
            held[asset] = held.get(asset, 0) + change
        value = money
        for asset, count in held.items():
            if count:
                value += count * _mark(past, asset, time_ms)
        values.append(value)
    return values


def _mark(past: Past, asset: int, time_ms: int) -> int:
    """The mark of the minute that a time is in, or the last one before it."""
    query = """SELECT mark FROM marks WHERE asset = ? AND minute <= ?
               ORDER BY minute DESC LIMIT 1"""
    return past.number(query, asset, time_ms) or 0


def _shown(history: History) -> Document:
    return {
        "accountValueHistory": [[time_ms, usd(value)] for time_ms, value in history.values],
        "pnlHistory": [[time_ms, usd(profit)] for time_ms, profit in history.profits],
        "vlm": usd(history.volume),
    }


QUERIES: Final = [
    Query("userFees", (USER,), look=volume_of_days, combine=user_fees),
    Query("userRateLimit", (USER,), look=requests_sent),
    Query(
        "portfolio",
        (USER,),
        look=portfolio,
        note="at most 48 points a period; spot balances are not in it",
    ),
    Query("referral", (USER,), look=reward_days, combine=referral),
    Query(
        "exchangeFees",
        (),
        look=fee_sums,
        combine=exchange_fees,
        note="our own: the schedule, what fees brought in and where they went",
    ),
]
