"""An auto-deleveraging round as proofs see it: its head, the state before it, its rows and keys.

    round   {run, marks, state}    run: STATE_COMMIT and ADL_BEGIN, which follow each other; marks:
            the mark rows of all markets under `marks_root`; state: leaves under STATE_COMMIT
    row     {row, inclusion}       one candidate's row under `queue_root`, at the rank it says

Scores, reasons, weights and prices are computed by the rules themselves (`rules/adl/`); here they
get their inputs from proven leaves or from a row. Source: audit-log-and-consensus 9.5.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from chainperp.base import canonical
from chainperp.base.canonical import Record
from chainperp.base.errors import InvalidProof
from chainperp.base.hashing import leaf_hash
from chainperp.base.units import Address
from chainperp.evidence.checkpoint import Checkpoint
from chainperp.evidence.merkle import verify_inclusion
from chainperp.evidence.verifier.accounts import AccountView, Held, Scope, Terms
from chainperp.evidence.verifier.bundle import Fields
from chainperp.evidence.verifier.pieces import Leaves, Placed, read_run, read_state
from chainperp.evidence.verifier.steps import Steps
from chainperp.model.decisions import AdlReason, CommitReason, Kind
from chainperp.model.records import ADL_ROW, CROSS_SCOPE, SCHEMAS
from chainperp.rules.adl.allocate import tie_key
from chainperp.rules.adl.policy import (
    Candidate,
    ExemptMode,
    PriceRule,
    Round,
    ScoreMode,
    survey,
)
from chainperp.rules.adl.policy import Terms as PolicyTerms
from chainperp.rules.adl.ranked import (
    SCORES,
    Score,
    binance_score,
    bitmex_score,
    leverage_score,
    okx_score,
)
from chainperp.rules.exemptions import is_exempt
from chainperp.rules.margin import maintenance_margin
from chainperp.state.root import list_root

ROW_TAG: Final = b"\x41"
MARK_TAG: Final = b"\x4d"
SCOPE_ISOLATED: Final = 1
SCOPE_LISTED: Final = 2
MARK_ROW: Final = SCHEMAS[Kind.MARK]
MARK_ROW_SIZE: Final = 28


class Queue(NamedTuple):
    """A policy that closes the highest score first: its name, rule, price and score."""

    name: str
    rule: str
    price_rule: PriceRule
    score: Callable[[Candidate], Score] | None
    """None: by the score mode of the policy's terms."""


QUEUES: Final = {
    100: Queue("hyperliquid", "ADL-11", PriceRule.PREVIOUS_MARK, None),
    200: Queue("bitmex", "ADL-12", PriceRule.BANKRUPTCY, bitmex_score),
    300: Queue("binance", "ADL-13", PriceRule.BANKRUPTCY, binance_score),
    350: Queue("okx", "ADL-31", PriceRule.MARK, okx_score),
    400: Queue("huobi", "ADL-14", PriceRule.BANKRUPTCY, leverage_score),
}
"""The policies whose order and takes can be judged from single rows. The others need the whole
list: `chainperp audit` has it."""


class RoundView:
    """One round with its head and the leaves proven under its STATE_COMMIT."""

    __slots__ = ("begin", "marks", "marks_now", "placed", "policy_terms", "question", "terms",
                 "view")  # fmt: skip

    def __init__(
        self, placed: Placed, marks: dict[int, Record], view: Leaves, terms: Terms
    ) -> None:
        self.placed = placed
        self.begin: Record = placed.fields
        self.marks = marks
        self.marks_now: dict[int, int] = {asset: row["mark"] for asset, row in marks.items()}
        self.view = view
        self.terms = terms
        self.policy_terms = policy_terms(terms)
        self.question: Round = self._question()

    @property
    def queue(self) -> Queue:
        """The round's policy. Raises InvalidProof when single rows do not show what it does."""
        number = self.begin["policy_id"]
        if number not in QUEUES:
            raise InvalidProof(
                f"policy {number} is not a queue: its takes need the whole list, see audit"
            )
        return QUEUES[number]

    @property
    def asset(self) -> int:
        """Market of the round."""
        asset: int = self.begin["asset"]
        return asset

    @property
    def candidates_long(self) -> bool:
        """Side of the candidates."""
        return bool(self.begin["candidate_side"] == 0)

    @property
    def collection(self) -> str:
        """Name of the collection that holds every candidate."""
        return f"pos/{self.asset:08x}/{'L' if self.candidates_long else 'S'}"

    @property
    def target_scope(self) -> int:
        """Scope of the bankrupt account."""
        return CROSS_SCOPE if self.begin["target_scope"] == 0 else self.asset

    def _question(self) -> Round:
        """What the policy was asked."""
        begin = self.begin
        return Round(
            seed=begin["seed"],
            asset=self.asset,
            is_target_long=not self.candidates_long,
            lots=begin["target_lots"],
            budget=begin["budget"],
            mark=begin["mark"],
            previous_mark=begin["previous_mark"],
            price=begin["adl_price"],
            open_interest=abs(begin["coll_lots"]) * begin["mark"],
            terms=self.policy_terms,
        )


def policy_terms(terms: Terms) -> PolicyTerms:
    """The policy's terms as genesis sets them."""
    values = terms.parameters
    return PolicyTerms(
        score_mode=ScoreMode(values["adl_score_mode"]),
        exempt_mode=ExemptMode(values["exempt_mode"]),
        open_interest_limit=values["exempt_open_interest_max"],
    )


def read_round(
    steps: Steps, fields: Fields, checkpoint: Checkpoint, terms: Terms, name: str = "round"
) -> RoundView:
    """STATE_COMMIT and ADL_BEGIN in the log, next to each other, with marks and state."""
    run = read_run(steps, fields.part("run"), checkpoint, f"{name}: STATE_COMMIT and ADL_BEGIN")
    steps.begin(f"{name}: state committed just before")
    if len(run) != 2:
        raise InvalidProof(f"the run has {len(run)} entries, expected 2")
    commit, begin = run[0].expect(Kind.STATE_COMMIT), run[1].expect(Kind.ADL_BEGIN)
    if commit.fields["reason"] != CommitReason.ADL_ROUND or commit.height != begin.height:
        raise InvalidProof(f"entry {commit.index} does not commit the state of this round")
    if begin.fields["state_index"] != commit.index:
        raise InvalidProof(
            f"the round names state entry {begin.fields['state_index']}, it follows {commit.index}"
        )
    steps.done(f"entry {commit.index}, then entry {begin.index} of block {begin.height}")
    steps.begin(f"{name}: marks under marks_root")
    marks = _read_marks(fields.raw("marks"), begin.fields["marks_root"])
    row = marks.get(begin.fields["asset"])
    named = (begin.fields["mark"], begin.fields["previous_mark"])
    if row is None or (row["mark"], row["previous_mark"]) != named:
        raise InvalidProof(f"the round names marks {named}, the list says {row}")
    steps.done(f"{len(marks)} markets")
    view = read_state(
        steps,
        fields.parts("state"),
        commit.fields["state_root"],
        commit.fields["n_collections"],
        f"{name}: state leaves",
    )
    fields.finish()
    return RoundView(begin, marks, view, terms)


def _read_marks(raw: bytes, root: bytes) -> dict[int, Record]:
    """Mark rows of all markets, in order."""
    rows = [raw[at : at + MARK_ROW_SIZE] for at in range(0, len(raw), MARK_ROW_SIZE)]
    found = list_root([MARK_TAG + row for row in rows])
    if found != root:
        raise InvalidProof(f"marks hash to {found.hex()}, the round names {root.hex()}")
    return {at: canonical.decode(MARK_ROW, row) for at, row in enumerate(rows)}


def read_row(steps: Steps, fields: Fields, found: RoundView, name: str) -> Record:
    """A candidate's row, under the round's `queue_root` at its own rank."""
    steps.begin(f"{name} under queue_root")
    raw = fields.raw("row")
    hashes = fields.hashes("inclusion")
    fields.finish()
    row = canonical.decode(ADL_ROW, raw)
    count, root = found.begin["queue_count"], found.begin["queue_root"]
    verify_inclusion(leaf_hash(ROW_TAG + raw), row["rank"], count, hashes, root)
    steps.done(f"rank {row['rank'] + 1} of {count}")
    return row


def row_candidate(found: RoundView, row: Record) -> Candidate:
    """What the policy saw, as a row itself says it."""
    lots, entry = row["lots"], row["entry_notional"]
    notional = lots * found.begin["mark"]
    pnl = notional - entry if found.candidates_long else entry - notional
    return Candidate(
        row["account"],
        lots,
        entry_notional=entry,
        notional=notional,
        account_value=row["account_value"],
        pnl=pnl,
        cash=row["account_value"] - pnl,
        maintenance=maintenance_margin(notional, found.terms.market(found.asset)),
        exempt=bool(row["scope"] & SCOPE_LISTED),
        is_long=found.candidates_long,
        is_isolated=bool(row["scope"] & SCOPE_ISOLATED),
    )


def state_candidate(found: RoundView, address: Address) -> Candidate:
    """What the policy had to see of an account: its leaves under the round's STATE_COMMIT."""
    account = AccountView(found.view, address)
    held = account.held(found.asset)
    if held is None or (held.lots > 0) is not found.candidates_long:
        raise InvalidProof("the account has no position of the candidates' side")
    scope = account.scope(CROSS_SCOPE if held.is_cross else found.asset, found.marks_now,
                          found.terms)  # fmt: skip
    notional = abs(held.lots) * found.begin["mark"]
    pnl = notional - held.entry_notional
    pnl = pnl if held.lots > 0 else -pnl
    cap = exemption_cap(found, address)
    return Candidate(
        address,
        abs(held.lots),
        entry_notional=held.entry_notional,
        notional=notional,
        account_value=scope.value,
        pnl=pnl,
        cash=scope.value - pnl,
        maintenance=maintenance_margin(notional, found.terms.market(found.asset)),
        exempt=cap is not None,
        cap_ppb=0 if cap is None else cap,
        is_long=held.lots > 0,
        is_isolated=not held.is_cross,
    )


def exemption_cap(found: RoundView, address: Address) -> int | None:
    """The cap of the exemption in force at the round's height; None when there is none."""
    fields = found.view.record("exempt", address)
    for row in [] if fields is None else fields["ranges"]:
        if is_exempt(row["from_height"], row["to_height"], found.placed.height):
            cap: int = row["cap_ppb"]
            return cap
    return None


def judge(found: RoundView, candidate: Candidate) -> tuple[AdlReason, int]:
    """Reason and weight of a candidate, by ADL-1, ADL-5 and ADL-6."""
    reasons, weights = survey(found.question, [candidate], in_lots=True)
    return reasons[0], weights[0]


class RankKey(NamedTuple):
    """Where a candidate stands: group, score, and what breaks ties."""

    group: int
    """0 eligible; 1 eligible but on a list that goes last; 2 not eligible."""
    score: Score
    tie: bytes


def rank_key(found: RoundView, candidate: Candidate, reason: AdlReason) -> RankKey:
    """The place of a candidate in the order of the round's policy."""
    if reason is not AdlReason.ELIGIBLE:
        return RankKey(2, (0, 1), bytes((reason,)) + candidate.key)
    score = found.queue.score or SCORES[found.policy_terms.score_mode]
    goes_last = candidate.exempt and found.policy_terms.exempt_mode is ExemptMode.LAST_RESORT
    tie = tie_key(found.begin["seed"], candidate.key) + candidate.key
    return RankKey(1 if goes_last else 0, score(candidate), tie)


def is_before(one: RankKey, other: RankKey) -> bool:
    """Whether a candidate stands strictly before another: group, exact score downward, tie."""
    if one.group != other.group:
        return one.group < other.group
    mine = one.score[0] * other.score[1]
    theirs = other.score[0] * one.score[1]
    if mine != theirs:
        return mine > theirs
    return one.tie < other.tie


def scope_of(found: RoundView, account: AccountView) -> Scope:
    """The bankrupt account's scope under the round's state."""
    return account.scope(found.target_scope, found.marks_now, found.terms)


def target_held(found: RoundView, account: AccountView) -> Held:
    """The position that the round closes. Raises InvalidProof when it is not there."""
    held = account.held(found.asset)
    lots = 0 if held is None else held.lots
    if (
        held is None
        or abs(lots) != found.begin["target_lots"]
        or ((lots > 0) is found.candidates_long)
    ):
        raise InvalidProof(
            f"the target holds {lots} lots, the round closes {found.begin['target_lots']} on the "
            "side against its candidates"
        )
    return held
