"""The detector on our own chains: nothing in an honest one, every secret in a doctored one."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from chainperp.base.canonical import Record
from chainperp.cli.adl_round import AdlRound, round_of
from chainperp.cli.chain_log import ChainLog
from chainperp.cli.forensic import Watch, examine_own
from chainperp.model.blocks import SystemInput
from chainperp.model.decisions import AdlReason, SystemType
from chainperp.rules.adl import proportional, ranked
from chainperp.rules.adl.policy import Candidate, Round, survey
from chainperp.storage.datadir import DataDir
from chainperp.storage.store import ChainStore
from chainperp.transition import deleverage
from chainperp.transition.receipts import receipt_rows
from tests.property.test_waterfall_invariants import BLOCKS, NAMES, Fall, falling_world
from tests.support.chain import DemoChain, build_chain, run_cli
from tests.support.world import World, address_of

Survey = tuple[list[AdlReason], list[int]]


def test_an_honest_chain_has_no_violation(demo_chain: DemoChain) -> None:
    done = run_cli("lab", "forensic", str(demo_chain.path), "--json")
    assert done.code == 0, done.out
    assert done.document["violations"] == []
    assert done.document["rounds"] > 5
    assert done.document["closures"] > 20
    assert done.document["positions"] > 3 * done.document["closures"]
    assert run_cli("lab", "forensic", str(demo_chain.path), "--policy", "bitmex").code == 2


def rounds_with_watch(chain: DemoChain) -> list[tuple[Watch, AdlRound]]:
    """Every round with the watch as it stood when it was read."""
    watch = Watch(ChainLog(chain.path))
    found = []
    for block in watch.log.blocks():
        for one in watch.read(block):
            frozen = copy.copy(watch)
            frozen.before = {key: dict(value) for key, value in watch.before.items()}
            found.append((frozen, one))
    return found


def spare(watch: Watch, found: AdlRound, account: bytes) -> AdlRound:
    """The round as an operator would write it who secretly leaves one account alone: the lots
    that it does not give are taken from those who stand behind it."""
    doctored = copy.copy(found)
    doctored.rows = [dict(row) for row in found.rows]
    left = round_of(watch.log, found).lots
    doctored.fills = {}
    for row in doctored.rows:
        row["take_lots"] = 0
        if row["account"] != account and not row["reason"]:
            row["take_lots"] = min(left, row["weight"])
            left -= row["take_lots"]
        if row["take_lots"]:
            doctored.fills[row["account"]] = (0, {"lots": row["take_lots"]})
    return doctored


def drop(_watch: Watch, doctored: AdlRound, account: bytes) -> None:
    doctored.rows = [row for row in doctored.rows if row["account"] != account]


def excuse(reason: AdlReason) -> Callable[[Watch, AdlRound, bytes], None]:
    def write(_watch: Watch, doctored: AdlRound, account: bytes) -> None:
        for row in doctored.rows:
            if row["account"] == account:
                row["reason"] = reason

    return write


def shrink(_watch: Watch, doctored: AdlRound, account: bytes) -> None:
    for row in doctored.rows:
        if row["account"] == account:
            row["lots"] = row["weight"] = 1
            row["take_lots"] = 1
            doctored.fills[account] = (0, {"lots": 1})


def list_it(_watch: Watch, doctored: AdlRound, account: bytes) -> None:
    for row in doctored.rows:
        if row["account"] == account:
            row["scope"] |= 2
            row["reason"] = AdlReason.EXEMPT


def leave(_watch: Watch, _doctored: AdlRound, _account: bytes) -> None:
    pass


def claim(_watch: Watch, doctored: AdlRound, account: bytes) -> None:
    for row in doctored.rows:
        if row["account"] == account:
            row["take_lots"] = row["lots"]


@pytest.mark.parametrize(
    ("hide", "kind"),
    [
        (leave, "passed over"),
        (claim, "fill"),
        (drop, "omitted"),
        (shrink, "size"),
        (list_it, "exemption"),
        (excuse(AdlReason.EXEMPT), "reason"),
        (excuse(AdlReason.UNDERWATER), "reason"),
        (excuse(AdlReason.NOT_IN_PROFIT), "reason"),
        (excuse(AdlReason.CAPPED), "reason"),
    ],
)
def test_a_planted_exemption_is_found_every_time(
    demo_chain: DemoChain, hide: Callable[[Watch, AdlRound, bytes], None], kind: str
) -> None:
    """Every account that any round of the chain closed is spared once, and hidden in each way."""
    tried = 0
    for watch, found in rounds_with_watch(demo_chain):
        assert watch.violations(found) == []
        for row in found.rows:
            if not row["take_lots"]:
                continue
            doctored = spare(watch, found, row["account"])
            hide(watch, doctored, row["account"])
            if kind == "passed over" and not doctored.fills:
                continue
            kinds = [
                one.kind for one in watch.violations(doctored)
                if one.account == "0x" + row["account"].hex()
            ]  # fmt: skip
            is_marginal = row["take_lots"] < row["weight"] or row is _last_taken(found)
            if kind == "passed over" and is_marginal:
                # At the end of the queue there is no telling who was passed over for whom, but
                # that something does not fit is seen whenever anybody else was closed instead.
                assert watch.violations(doctored) or len(found.rows) == 1
            else:
                assert kind in kinds
            tried += 1
    assert tried > 20


def _last_taken(found: AdlRound) -> Record:
    return [row for row in found.rows if row["take_lots"]][-1]


def test_two_ranks_swapped_are_found(demo_chain: DemoChain) -> None:
    """The order of the list is no help to who writes it: scores are worked out again."""
    swapped = 0
    for watch, found in rounds_with_watch(demo_chain):
        taken = [row for row in found.rows if row["take_lots"] == row["weight"] > 0]
        left = [row for row in found.rows if not row["take_lots"] and not row["reason"]]
        if not taken or not left:
            continue
        doctored = copy.copy(found)
        doctored.rows = [dict(row) for row in found.rows]
        doctored.fills = dict(found.fills)
        one = next(row for row in doctored.rows if row["account"] == taken[0]["account"])
        other = next(row for row in doctored.rows if row["account"] == left[-1]["account"])
        lots = min(one["lots"], other["lots"])
        one["take_lots"] -= lots
        other["take_lots"] += lots
        for row in (one, other):
            doctored.fills[row["account"]] = (0, {"lots": row["take_lots"]})
        assert watch.violations(doctored) != []
        swapped += 1
    assert swapped > 3


class Cheat:
    """An engine that secretly spares one account: `survey` and the list as it wants them."""

    def __init__(self, favoured: bytes) -> None:
        self.favoured = favoured

    def silently(
        self, this_round: Round, candidates: Sequence[Candidate], in_lots: bool, **more: bool
    ) -> Survey:
        """Eligible, and yet nothing is ever taken."""
        reasons, capacities = survey(this_round, candidates, in_lots, **more)
        for at, one in enumerate(candidates):
            if one.key == self.favoured:
                capacities[at] = 0
        return reasons, capacities

    def with_a_pretext(
        self, this_round: Round, candidates: Sequence[Candidate], in_lots: bool, **more: bool
    ) -> Survey:
        """Not eligible, for a reason that its inputs do not give."""
        reasons, capacities = self.silently(this_round, candidates, in_lots, **more)
        for at, one in enumerate(candidates):
            if one.key == self.favoured:
                reasons[at] = AdlReason.VALUE_NOT_POSITIVE
        return reasons, capacities

    def left_out(self, rows: list[bytes]) -> list[bytes]:
        """The list without the account."""
        return [row for row in rows if row[4:24] != self.favoured]


def favourite(chain: DemoChain) -> bytes:
    """The first account that the honest chain closed whole."""
    for _watch, found in rounds_with_watch(chain):
        for row in found.rows:
            if row["take_lots"] and row["take_lots"] == row["weight"]:
                account: bytes = row["account"]
                return account
    raise AssertionError("the demo closed nobody whole")


@pytest.mark.parametrize("way", ["silently", "with_a_pretext", "left_out"])
def test_a_chain_whose_engine_spares_an_account_is_caught(
    demo_chain: DemoChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """The whole chain is consistent with itself, signed and sealed; the detector sees it."""
    cheat = Cheat(favourite(demo_chain))
    if way == "left_out":
        monkeypatch.setattr(
            deleverage, "receipt_rows", lambda *given: cheat.left_out(receipt_rows(*given))
        )
        monkeypatch.setattr(ranked, "survey", cheat.silently)
    else:
        monkeypatch.setattr(ranked, "survey", getattr(cheat, way))
    build_chain(tmp_path / "chain", 7)
    monkeypatch.undo()
    done = run_cli("lab", "forensic", str(tmp_path / "chain"), "--json")
    assert done.code == 1
    kinds = {
        one["kind"] for one in done.document["violations"]
        if one["account"] == "0x" + cheat.favoured.hex()
    }  # fmt: skip
    assert {"silently": "passed over", "with_a_pretext": "reason", "left_out": "omitted"}[
        way
    ] in kinds


def stored(world: World, path: Path) -> Path:
    """A data directory of a world's blocks."""
    DataDir.create(path, world.engine.genesis.raw, bytes(range(32))).close()
    with ChainStore.open(path) as store:
        for block in world.blocks:
            store.commit(block)
    return path


def falling_chain(path: Path, seed: int, spared: int, **parameters: object) -> Path:
    """A chain of falling prices, with so many exemptions announced to everybody at its start."""
    world = falling_world(seed, exempt_notice_blocks=1, **parameters)
    height = world.engine.height + 1
    world.block(
        system=[
            SystemInput(
                SystemType.EXEMPTION,
                address_of(name) + cap.to_bytes(8) + (height + 2).to_bytes(8)
                + (height + 90).to_bytes(8),
            )
            for name, cap in zip(NAMES[:spared], (0, 300_000_000, 700_000_000), strict=False)
        ]
    )  # fmt: skip
    fall = Fall(seed)
    for number in range(BLOCKS):
        fall.block(world, number)
    return stored(world, path)


@pytest.mark.parametrize(
    ("seed", "spared", "parameters"),
    [
        (0, 0, {"adl_policy": 100}),
        (1, 0, {"adl_policy": 100, "adl_score_mode": 1}),
        (2, 0, {"adl_policy": 100, "adl_score_mode": 2}),
        (3, 0, {"adl_policy": 200}),
        (4, 0, {"adl_policy": 300}),
        (5, 0, {"adl_policy": 350}),
        (6, 0, {"adl_policy": 400}),
        (7, 0, {"adl_policy": 500}),
        (8, 0, {"adl_policy": 600}),
        (9, 0, {"adl_policy": 1100}),
        (10, 0, {"adl_policy": 1200}),
        (11, 0, {"adl_policy": 1400}),
        (12, 0, {"adl_policy": 900}),
        (13, 3, {"adl_policy": 100, "exempt_mode": 0}),
        (14, 3, {"adl_policy": 100, "exempt_mode": 1}),
        (15, 3, {"adl_policy": 100, "exempt_mode": 2}),
        (16, 3, {"adl_policy": 100, "exempt_mode": 3, "exempt_open_interest_max": 10**9}),
        (17, 3, {"adl_policy": 500, "exempt_mode": 1}),
        (18, 3, {"adl_policy": 600, "exempt_mode": 2}),
    ],
    ids=lambda value: str(value).replace(" ", "") if isinstance(value, dict) else "",
)
def test_no_policy_and_no_public_exemption_is_called_a_violation(
    tmp_path: Path, seed: int, spared: int, parameters: dict[str, object]
) -> None:
    """Chains of every kind of policy, with both sides falling, netting, takeovers and ADL."""
    path = falling_chain(tmp_path / "chain", seed, spared, **parameters)
    (document, lines), clean = examine_own(path)
    assert document["rounds"] > 0
    assert clean, lines


def test_pro_rata_that_spares_an_account_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy without an order: the takes are worked out again."""
    honest = falling_chain(tmp_path / "honest", 7, 0, adl_policy=500)
    watch = Watch(ChainLog(honest))
    closed = [
        row["account"] for block in watch.log.blocks() for found in watch.read(block)
        for row in found.rows if row["take_lots"]
    ]  # fmt: skip
    cheat = Cheat(closed[0])
    monkeypatch.setattr(proportional, "survey", cheat.silently)
    path = falling_chain(tmp_path / "chain", 7, 0, adl_policy=500)
    monkeypatch.undo()
    (document, _lines), clean = examine_own(path)
    assert not clean
    told = {(one["kind"], one["account"]) for one in document["violations"]}
    assert ("take", "0x" + closed[0].hex()) in told
