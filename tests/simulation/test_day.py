"""A short form of the simulated day: everything happens, replay and audit agree with it."""

from pathlib import Path

from chainperp.cli.auditing import run_audit
from chainperp.cli.replaying import in_one_walk, run_part, run_replay
from tests.simulation.day.chain import Day

HAPPENED = (
    "spot fills", "BUYBACK", "SHARES", "USER_VAULT", "REFERRAL", "FUNDING", "LIQ_TEST", "TWAP",
    "TOKEN",
)  # fmt: skip


def test_a_day_replays_and_its_audit_is_clean(tmp_path: Path) -> None:
    day = Day(tmp_path / "chain", seed=3, accounts=80, block_ms=900_000)
    day.run()
    missing = [name for name in HAPPENED if not day.tally[name]]
    assert not missing, day.tally
    assert day.tally["accepted"] > 10 * sum(
        count for name, count in day.tally.items() if name.startswith("refused")
    )
    place = str(tmp_path / "chain")
    replayed = run_replay(place, 0, None, in_one_walk(place, run_part))
    assert replayed.is_equal
    audited = run_audit(tmp_path / "chain")
    assert audited.is_clean, audited.findings
    state = day.sequencer.engine.state
    token = state.tokens[1]
    assert sum(state.spot[1].values()) == token.supply - token.burned
    assert state.fund.burned
    for vault in state.vaults.values():
        assert sum(share.shares for share in vault.holders.values()) == vault.shares
