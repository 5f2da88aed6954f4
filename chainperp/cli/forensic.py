"""What `chainperp lab forensic` says of a data directory of ours.

It is the question asked of other venues' tables (`venue_forensic`), with more to go by. Positions
are followed from the fills, so a candidate who is missing is seen; reasons are given again from
the logged inputs; the exemption list is followed from its public changes; equal scores stand in
the order of the round's seed. What is then not explained is a violation. Account values are taken
as logged: whether they are those of the state is the question of `replay`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainperp.base.canonical import Record
from chainperp.cli.adl_round import AdlRound, candidate_of, round_of, rounds_of
from chainperp.cli.chain_log import ChainLog, LoggedBlock, who
from chainperp.cli.output import counted
from chainperp.lab.forensic import BY_NAME, Position, Ranking, examine
from chainperp.model.accounts import Exemption
from chainperp.model.decisions import AdlReason, Kind, LedgerType
from chainperp.rules.adl.allocate import tie_key
from chainperp.rules.adl.choose import allocate, policy_with_id
from chainperp.rules.adl.policy import Candidate, ExemptMode, Policy, Round, ScoreMode, survey
from chainperp.rules.exemptions import is_exempt
from chainperp.state.leaves import decode_exemptions
from chainperp.transition.receipts import SCOPE_LISTED
from chainperp.transition.recorder import FLAG_TAKER_BUYS

SCORE_RANKINGS = {
    ScoreMode.PRODUCT: "hyperliquid",
    ScoreMode.DOCUMENTED: "hyperliquid_documented",
    ScoreMode.LITERAL: "hyperliquid_literal",
}
HYPERLIQUID = 100
QUEUES = {200: "bitmex", 300: "binance", 350: "okx", 400: "huobi"}
Tell = Callable[[str, bytes, str], None]
Found = tuple[dict[str, Any], list[str]]


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing in a round of ours that the published rules do not explain."""

    height: int
    index: int
    kind: str
    account: str
    sentence: str

    def document(self) -> dict[str, Any]:
        """The violation with stable keys."""
        return {
            "height": self.height,
            "index": self.index,
            "kind": self.kind,
            "account": self.account,
            "sentence": self.sentence,
        }


def examine_own(path: Path) -> tuple[Found, bool]:
    """Every round of a data directory; False when something is not explained."""
    log = ChainLog(path)
    watch = Watch(log)
    rounds, positions, closures = 0, 0, 0
    violations: list[Violation] = []
    for block in log.blocks():
        for found in watch.read(block):
            rounds += 1
            positions += len(found.rows)
            closures += sum(row["take_lots"] > 0 for row in found.rows)
            violations += watch.violations(found)
    document = {
        "rounds": rounds,
        "positions": positions,
        "closures": closures,
        "violations": [one.document() for one in violations],
    }
    lines = [
        f"{counted(rounds, 'round')}, {positions} positions of the other side, {closures} closed "
        f"at least in part: {counted(len(violations), 'violation')}"
    ]
    lines += [
        f"block {one.height} (log {one.index}) {one.kind}: {one.sentence}" for one in violations
    ]
    return (document, lines), not violations


class Watch:
    """Follows positions and the exemption list through the log, as anybody can who reads it.

    Invariant: when a round is judged, `before` has what was open when it began, and `haircuts`
    what it took from each account in money.
    """

    def __init__(self, log: ChainLog) -> None:
        self.log = log
        self.held: dict[int, dict[bytes, int]] = {}
        self.listed: dict[bytes, list[Exemption]] = {}
        self.before: dict[int, dict[bytes, int]] = {}
        self.haircuts: dict[int, dict[bytes, int]] = {}

    def read(self, block: LoggedBlock) -> list[AdlRound]:
        """Rounds of a block."""
        self.before, self.haircuts = {}, {}
        begin = 0
        for entry in block.of(Kind.FILL, Kind.PARAM, Kind.ADL_BEGIN, Kind.LEDGER):
            fields = entry.fields()
            if entry.kind is Kind.FILL:
                self._fill(fields)
            elif entry.kind is Kind.ADL_BEGIN:
                begin = entry.index
                self.before[begin] = dict(self.held.get(fields["asset"], {}))
                self.haircuts[begin] = {}
            elif entry.kind is Kind.LEDGER:
                if fields["type"] == LedgerType.ADL_HAIRCUT:
                    taken = self.haircuts[begin]
                    taken[fields["source"]] = taken.get(fields["source"], 0) + fields["amount"]
            elif fields["name"].startswith("exempt/"):
                account = bytes.fromhex(fields["name"].removeprefix("exempt/"))
                self.listed[account] = decode_exemptions(fields["new"])
        return rounds_of(block)

    def _fill(self, fields: Record) -> None:
        held = self.held.setdefault(fields["asset"], {})
        bought = fields["lots"] if fields["flags"] & FLAG_TAKER_BUYS else -fields["lots"]
        for side, change in (("taker", bought), ("maker", -bought)):
            lots = held.get(fields[side], 0) + change
            held[fields[side]] = lots
            if lots == 0:
                del held[fields[side]]

    def violations(self, found: AdlRound) -> list[Violation]:
        """What the published rules do not explain in a round of the block read last."""
        told: list[Violation] = []

        def tell(kind: str, account: bytes, sentence: str) -> None:
            text = f"{who(account)} {sentence}"
            told.append(Violation(found.block.height, found.index, kind, who(account), text))

        case = _case(self, found)
        self._completeness(found, tell)
        _check_reasons(case, tell)
        _check_fills(case, tell)
        if case.ranking is None:
            _check_takes(case, self.haircuts[found.index], tell)
        else:
            _check_order(case, case.ranking, tell)
        return told

    def in_force(self, account: bytes, height: int) -> Exemption | None:
        """The public exemption of an account at a height."""
        for one in self.listed.get(account, []):
            if is_exempt(one.from_height, one.to_height, height):
                return one
        return None

    def _completeness(self, found: AdlRound, tell: Tell) -> None:
        sign = 1 if found.candidates_long else -1
        held = {
            account: lots * sign
            for account, lots in self.before[found.index].items()
            if lots * sign > 0
        }
        for row in found.rows:
            lots = held.pop(row["account"], 0)
            if lots != row["lots"]:
                tell(
                    "size",
                    row["account"],
                    f"stands in the list with {row['lots']} lots, its fills leave {lots}",
                )
        for account, lots in sorted(held.items()):
            tell("omitted", account, f"holds {lots} lots of that side and is not in the list")


@dataclass(frozen=True, slots=True)
class Case:
    """One round with everything that its rules are asked again about.

    Lists are by row. `ranking` is None for a policy that is no queue; `reasons` and `takes` are
    what the policy answers when it is run again.
    """

    found: AdlRound
    policy: Policy
    round: Round
    ranking: Ranking | None
    candidates: list[Candidate]
    listed: list[bool]
    sold: list[int]
    reasons: list[AdlReason]
    takes: list[int]


def _case(watch: Watch, found: AdlRound) -> Case:
    policy = policy_with_id(found.begin["policy_id"])
    this_round = round_of(watch.log, found)
    name = QUEUES.get(policy.policy_id)
    if policy.policy_id == HYPERLIQUID:
        name = SCORE_RANKINGS[this_round.terms.score_mode]
    candidates = [candidate_of(watch.log, found, row) for row in found.rows]
    listed: list[bool] = []
    for one in candidates:
        exemption = watch.in_force(one.key, found.block.height)
        listed.append(exemption is not None)
        one.exempt, one.cap_ppb = exemption is not None, exemption.cap_ppb if exemption else 0
    sold = [found.fills.get(one.key, (0, {"lots": 0}))[1]["lots"] for one in candidates]
    # The policy gets the candidates in address order, as the engine gives them.
    order = sorted(range(len(candidates)), key=lambda at: bytes(candidates[at].key))
    again = allocate(policy, this_round, [candidates[at] for at in order])
    place = {at: rank for rank, at in enumerate(order)}
    return Case(
        found,
        policy,
        this_round,
        None if name is None else BY_NAME[name],
        candidates,
        listed,
        sold,
        [again.reasons[place[at]] for at in range(len(candidates))],
        [again.takes[place[at]] for at in range(len(candidates))],
    )


def _check_reasons(case: Case, tell: Tell) -> None:
    """Each reason again from the inputs, with the exemptions that were announced."""
    for row, reason, listed in zip(case.found.rows, case.reasons, case.listed, strict=True):
        if bool(row["scope"] & SCOPE_LISTED) != listed:
            word = "is" if listed else "is not"
            tell("exemption", row["account"], f"{word} on the public list, its row says otherwise")
        said = AdlReason(row["reason"])
        if said is not reason:
            tell(
                "reason",
                row["account"],
                f"is called {said.name.lower()}, its inputs make it {reason.name.lower()}",
            )


def _check_fills(case: Case, tell: Tell) -> None:
    for row, sold in zip(case.found.rows, case.sold, strict=True):
        if sold != row["take_lots"]:
            tell(
                "fill",
                row["account"],
                f"is said to give {row['take_lots']} lots, its fills in this round are {sold}",
            )


def _check_order(case: Case, ranking: Ranking, tell: Tell) -> None:
    positions = own_positions(case)
    fit = examine(positions, ranking)
    for at in fit.passed_over:
        one = positions[at]
        tell(
            "passed over",
            one.candidate.key,
            f"ranks above closed positions and gave {one.taken} of {one.most} lots",
        )
    for at in fit.before_turn:
        one = positions[at]
        tell(
            "before turn",
            one.candidate.key,
            f"gave {one.taken} lots before positions that rank above it",
        )


def own_positions(case: Case) -> list[Position]:
    """A round of ours as the detector sees any venue's: candidates in play, and what they gave.

    Who is in play, and with how many lots, is worked out from the inputs, not taken from the row.
    """
    reasons, most = survey(case.round, case.candidates, in_lots=True)
    is_last = case.round.terms.exempt_mode is ExemptMode.LAST_RESORT
    return [
        Position(one, sold, lots, tie_key(case.round.seed, one.key), int(is_last and one.exempt))
        for one, reason, lots, sold in zip(case.candidates, reasons, most, case.sold, strict=True)
        if not reason
    ]


def _check_takes(case: Case, haircuts: dict[bytes, int], tell: Tell) -> None:
    """A policy that is no queue has no order to look at: its takes are compared."""
    for one, sold, take in zip(case.candidates, case.sold, case.takes, strict=True):
        gave = sold if case.policy.in_lots else haircuts.get(one.key, 0)
        if gave != take:
            unit = "lots" if case.policy.in_lots else "micro-USDC"
            tell("take", one.key, f"gave {gave} {unit}, {case.policy.name} takes {take}")
