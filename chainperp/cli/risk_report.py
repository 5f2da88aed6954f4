"""The safety-net report: what a trader needs in order to size what he has at risk on a venue.

Old exchanges published how much was at risk, how often they tested, what their funds held, and a
light per position for its place in the queue. All of that is here, from the state at the tip: the
newest snapshot and the blocks after it executed again, or the whole chain where there is none.
Amounts are exact; a light and a distance are statements about this state, not forecasts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from chainperp.base.errors import InvalidBlock
from chainperp.base.units import address_text, price_text, size_text, usd_text
from chainperp.chain.replay import Replay
from chainperp.cli.chain_log import ChainLog, LoggedBlock, clock, nothing
from chainperp.model.accounts import Account
from chainperp.model.decisions import AdlReason, Kind, LiquidationOutcome
from chainperp.model.records import CROSS_SCOPE
from chainperp.rules.adl.choose import allocate, policy_with_id
from chainperp.rules.adl.policy import Round, terms_of
from chainperp.rules.liquidation import uncovered_deficit
from chainperp.rules.margin import is_liquidatable, maintenance_margin
from chainperp.state.store import BACKSTOP_VAULT, INSURANCE, State
from chainperp.storage.package import rules_hash
from chainperp.storage.segments import read_blocks
from chainperp.transition.exemptions import exemption_in_force
from chainperp.transition.receipts import candidate_of
from chainperp.transition.valuation import scope_value_and_maintenance

SHOCKS: Final = (-20, -10, -5, -2, -1, 1, 2, 5, 10, 20)
"""Percent by which one market's mark is moved, all others held."""
LIGHTS: Final = 5
Scope = tuple[Account, int]


def state_at_tip(path: Path, height: int | None = None) -> tuple[State, ChainLog, str]:
    """The state after the last sealed block, or after that of a height; the log, and from where it
    was executed.

    Signatures are not recovered here: `replay` does that. Raises InvalidBlock when a block does
    not come out as logged, NotFound when there is none of that height.
    """
    log = ChainLog(path)
    directory = log.directory
    run = Replay(log.genesis, rules_hash())
    first, note = 0, "executed from genesis"
    snapshots = [one for one in directory.list_snapshots() if height is None or one[0] <= height]
    if snapshots:
        begin, file = max(snapshots)
        seal = next(iter(read_blocks(directory.segments, begin, begin))).entries[-1]
        run.start_from(file.read_bytes(), seal)
        first, note = begin + 1, f"executed from the snapshot of block {begin}"
    for block in log.tail(first):
        if height is not None and block.height > height:
            break
        difference = run.feed(block.height, block.entries)
        if difference is not None:
            where = f"block {difference.height}, {difference.collection} {difference.field}"
            raise InvalidBlock(where, difference.expected, difference.found)
    if height is not None and run.engine.height != height:
        raise nothing(f"the last block of this log is {run.engine.height}, not {height}")
    return run.engine.state, log, "; ".join([note, *run.report.notes])


def scopes_of(state: State) -> list[Scope]:
    """Cross accounts with positions and isolated positions, by address."""
    found: list[Scope] = []
    for account in state.accounts_in_order():
        held = [one for one in account.exposures.values() if one.lots]
        if any(one.is_cross for one in held):
            found.append((account, CROSS_SCOPE))
        found += [(account, one.asset) for one in held if not one.is_cross]
    return found


def open_risk(state: State) -> dict[str, Any]:
    """Sums over all scopes: maintenance, value, and what is missing."""
    maintenance_total, value_total, below = 0, 0, 0
    values: list[int] = []
    scopes = scopes_of(state)
    for account, asset in scopes:
        value, maintenance = scope_value_and_maintenance(state, account, asset)
        maintenance_total += maintenance
        value_total += value
        below += is_liquidatable(value, maintenance)
        values.append(value)
    return {
        "maintenance": usd_text(maintenance_total),
        "value": usd_text(value_total),
        "scopes": len(scopes),
        "below_maintenance": below,
        "uncovered": usd_text(uncovered_deficit(values)),
    }


def market_rows(state: State) -> list[dict[str, Any]]:
    """Open interest and what it must hold, by market."""
    rows: list[dict[str, Any]] = []
    for market in state.markets:
        needed = sum(
            maintenance_margin(abs(one.lots) * market.mark, market.terms)
            for one in market.holders.values()
        )
        decimals = market.terms.size_decimals
        longs = sum(1 for one in market.holders.values() if one.lots > 0)
        rows.append(
            {
                "market": market.terms.name,
                "mark": price_text(market.mark, decimals),
                "open_interest": size_text(market.lots_long, decimals),
                "open_interest_usdc": usd_text(market.lots_long * market.mark),
                "longs": longs,
                "shorts": len(market.holders) - longs,
                "maintenance": usd_text(needed),
            }
        )
    return rows


def funds(state: State) -> dict[str, Any]:
    """Insurance and backstop vault, and how much more the vault could take over."""
    vault = state.accounts[BACKSTOP_VAULT]
    value, maintenance = scope_value_and_maintenance(state, vault, CROSS_SCOPE)
    notional = sum(
        abs(one.lots) * state.markets[one.asset].mark for one in vault.exposures.values()
    )
    parameters = state.parameters
    room = min(value * parameters.backstop_leverage, parameters.backstop_notional_max) - notional
    return {
        "insurance": usd_text(state.accounts[INSURANCE].raw),
        "backstop_value": usd_text(value),
        "backstop_maintenance": usd_text(maintenance),
        "backstop_positions": usd_text(notional),
        "backstop_room": usd_text(max(0, room)),
    }


def light(rank: int, eligible: int) -> int:
    """A place in the queue as 5 (first fifth: closed first) to 1.

    >>> [light(rank, 10) for rank in (0, 1, 2, 9)], light(0, 1)
    ([5, 5, 4, 1], 5)
    """
    return LIGHTS - LIGHTS * rank // eligible


def lights(state: State) -> list[dict[str, Any]]:
    """Every position with its place in its side's queue; 0 lights when it is not eligible."""
    policy, terms = policy_with_id(state.parameters.adl_policy), terms_of(state.parameters)
    rows: list[dict[str, Any]] = []
    for market in state.markets:
        for is_long in (True, False):
            side = [
                candidate_of(state, market, address, one)
                for address, one in sorted(market.holders.items())
                if (one.lots > 0) is is_long
            ]
            this_round = Round(
                seed=bytes(32),
                asset=market.asset,
                is_target_long=not is_long,
                mark=market.mark,
                previous_mark=market.mark_previous,
                price=market.mark,
                open_interest=market.lots_long * market.mark,
                terms=terms,
            )
            allocation = allocate(policy, this_round, side)
            eligible = sum(1 for reason in allocation.reasons if not reason)
            for rank, index in enumerate(allocation.order):
                reason = AdlReason(allocation.reasons[index])
                one = side[index]
                rows.append(
                    {
                        "market": market.terms.name,
                        "side": "long" if is_long else "short",
                        "account": address_text(one.key),
                        "rank": rank + 1,
                        "of": eligible,
                        "lights": 0 if reason else light(rank, eligible),
                        "reason": reason.name.lower(),
                        "size": size_text(one.lots, market.terms.size_decimals),
                        "profit": usd_text(one.pnl),
                    }
                )
    return rows


def exempt_share(state: State) -> dict[str, Any]:
    """How many accounts, and how much open interest, the public list spares."""
    listed = [one for one in sorted(state.exempt) if exemption_in_force(state, one) is not None]
    total, spared = 0, 0
    for market in state.markets:
        for address, one in sorted(market.holders.items()):
            worth = abs(one.lots) * market.mark
            total += worth
            spared += worth if address in listed else 0
    holders = {address for market in state.markets for address in market.holders}
    return {
        "accounts": len(listed),
        "accounts_with_positions": len(holders),
        "open_interest_usdc": usd_text(spared),
        "open_interest_both_sides_usdc": usd_text(total),
        "list": [address_text(address) for address in listed],
    }


def shocked_mark(mark: int, percent: int) -> int:
    """The mark after a move by whole percents, down to the grid, at least 1."""
    return max(1, mark * (100 + percent) // 100)


def distances(state: State) -> list[dict[str, Any]]:
    """How much of each market would be liquidatable if its mark alone moved."""
    rows: list[dict[str, Any]] = []
    known: dict[tuple[bytes, int], tuple[int, int]] = {}
    for account, asset in scopes_of(state):
        known[account.address, asset] = scope_value_and_maintenance(state, account, asset)
    for market in state.markets:
        for percent in (0, *SHOCKS):
            mark = shocked_mark(market.mark, percent) if percent else market.mark
            scopes, notional = 0, 0
            for address, one in sorted(market.holders.items()):
                value, maintenance = known[address, CROSS_SCOPE if one.is_cross else one.asset]
                before = maintenance_margin(abs(one.lots) * market.mark, market.terms)
                after = maintenance_margin(abs(one.lots) * mark, market.terms)
                moved = value + one.lots * (mark - market.mark)
                if is_liquidatable(moved, maintenance - before + after):
                    scopes += 1
                    notional += abs(one.lots) * mark
            rows.append(
                {
                    "market": market.terms.name,
                    "move_percent": percent,
                    "mark": price_text(mark, market.terms.size_decimals),
                    "scopes": scopes,
                    "notional_usdc": usd_text(notional),
                }
            )
    return rows


@dataclass
class Tests:
    """Liquidation tests of a chain by minute, and how long scopes waited for their turn."""

    minutes: dict[int, dict[str, int]] = field(default_factory=dict)
    waits: dict[int, int] = field(default_factory=dict)
    waiting: dict[tuple[bytes, int], int] = field(default_factory=dict)
    total: int = 0

    def add(self, block: LoggedBlock) -> None:
        """Count a block's tests."""
        if not block.has(Kind.LIQ_TEST):
            return
        minute = self.minutes.setdefault(block.time_ms // 60_000, {})
        for entry in block.of(Kind.LIQ_TEST):
            fields = entry.fields()
            outcome = LiquidationOutcome(fields["outcome"])
            name = outcome.name.lower()
            minute[name] = minute.get(name, 0) + 1
            self.total += 1
            scope = (fields["account"], fields["asset"])
            if outcome is LiquidationOutcome.WAITING:
                self.waiting[scope] = self.waiting.get(scope, 0) + 1
            else:
                blocks = self.waiting.pop(scope, 0)
                self.waits[blocks] = self.waits.get(blocks, 0) + 1

    def document(self) -> dict[str, Any]:
        """Totals, the busiest minute, all minutes with tests, and the waits in blocks."""
        busiest = max(self.minutes.values(), key=lambda one: sum(one.values()), default={})
        return {
            "total": self.total,
            "minutes_with_tests": len(self.minutes),
            "busiest_minute": sum(busiest.values()),
            "per_minute": [
                {"minute": clock(minute * 60_000)[:16], **dict(sorted(counts.items()))}
                for minute, counts in sorted(self.minutes.items())
            ],
            "latency_blocks": [
                {"blocks": blocks, "tests": count} for blocks, count in sorted(self.waits.items())
            ],
            "still_waiting": len(self.waiting),
        }


def count_tests(blocks: Iterable[LoggedBlock]) -> Tests:
    """All liquidation tests in a log."""
    tests = Tests()
    for block in blocks:
        tests.add(block)
    return tests


def risk_report(path: Path) -> dict[str, Any]:
    """The whole report with stable keys; amounts are decimal strings of USDC."""
    state, log, note = state_at_tip(path)
    policy = policy_with_id(state.parameters.adl_policy)
    return {
        "height": state.height,
        "time_ms": state.time_ms,
        "time": clock(state.time_ms),
        "source": note,
        "open_risk": open_risk(state),
        "markets": market_rows(state),
        "tests": count_tests(log.blocks()).document(),
        "funds": funds(state),
        "policy": policy.name,
        "lights": lights(state),
        "exempt": exempt_share(state),
        "distance": distances(state),
        "uncovered_at_seal": usd_text(state.uncovered),
    }
