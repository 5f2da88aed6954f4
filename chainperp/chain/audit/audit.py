"""The auditor: executes a chain again and checks it from its committed leaves, block by block.

Two things at once. Execution must give the same bytes (T4). Beside it, and from the trees and the
logged entries alone, each claim of the log is checked by its own name: every liquidation that was
due is there and no other, every ADL round is complete and in order, money is conserved and routed
as published, exemptions change in the open. In a log that was forged, execution says *where* it
differs and these checks say *what* was done.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from chainperp.base import msgpack
from chainperp.base.canonical import Record
from chainperp.base.errors import InvalidBlock
from chainperp.base.units import address_text
from chainperp.chain.audit.border import BorderCounts, BorderTrail
from chainperp.chain.audit.buybacks import FundTrail
from chainperp.chain.audit.children import ChildrenCheck, is_watched
from chainperp.chain.audit.fees import FeeTrail
from chainperp.chain.audit.leaves import Census, Moment, liabilities_of
from chainperp.chain.audit.money import MoneyTrail
from chainperp.chain.audit.rounds import Fault, RoundRecord, check_round
from chainperp.chain.audit.shares import ShareTrail
from chainperp.chain.decode import Unpack
from chainperp.chain.genesis import Genesis
from chainperp.chain.proving.source import WatchedCommitment
from chainperp.chain.replay import Recover, Replay, ReplayReport
from chainperp.evidence.liabilities import liability_root
from chainperp.evidence.verifier.accounts import Terms
from chainperp.evidence.verifier.adl_round import RoundView
from chainperp.evidence.verifier.pieces import Placed
from chainperp.model.decisions import CommitReason, Kind
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.records import CROSS_SCOPE
from chainperp.parameters.schema import parameter_values
from chainperp.state.commitment import Commitment, Committed
from chainperp.state.store import INSURANCE, State

CHECKS: Final = (
    "execution", "liquidations", "adl rounds", "conservation", "deposits and payouts",
    "routing and exemptions",
    "fees", "fund and buybacks", "quotes and capital", "vault shares", "solvency",
)  # fmt: skip
FINDINGS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: which check found it, in which block, in words."""

    check: str
    height: int
    text: str


@dataclass(slots=True)
class AuditReport:
    """What an audit did and found."""

    replay: ReplayReport
    findings: list[Finding] = field(default_factory=list)
    scopes_tested: int = 0
    """Scopes of all accounts and blocks that were tested for being due."""
    liquidations: int = 0
    rounds: int = 0
    rows: int = 0
    purchases: int = 0
    """Purchases of the fund that were due, with those that bought nothing."""
    quotes: int = 0
    """Rounds of quotes, nettings and splits of capital that were planned again."""
    share_changes: int = 0
    """Changes of shares of vaults that were re-derived."""
    border: BorderCounts = field(default_factory=BorderCounts)
    accounts: int = 0
    liabilities: int = 0
    deficit: int = 0
    pending: int = 0
    liabilities_root: bytes = b""
    custody: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found and execution was equal everywhere."""
        return not self.findings and self.replay.is_equal


class Auditor:
    """One audit of a chain, from genesis or a snapshot. Feed it blocks in order."""

    def __init__(
        self,
        genesis: Genesis,
        rules_hash: bytes,
        recover: Recover | None = None,
        unpack: Unpack = msgpack.unpack,
    ) -> None:
        self.run = Replay(genesis, rules_hash, recover, unpack)
        self.terms = Terms(genesis.terms, _numbers(genesis))
        self.census = Census(self.terms)
        self.report = AuditReport(self.run.report)
        self.trail: MoneyTrail | None = None
        self.fees = FeeTrail(genesis.parameters)
        self.border: BorderTrail | None = None
        self.fund: FundTrail | None = None
        self.shares: ShareTrail | None = None
        self.block = LoggedParts(0, 0, [])
        self.last: Moment | None = None
        self._watch()

    def start_from(self, raw: bytes, seal_entry: bytes) -> None:
        """Begin after a snapshot, which must be the state of its block's SEAL."""
        self.run.start_from(raw, seal_entry)
        self._watch()
        self._begin_trails()
        self._border()
        engine = self.run.engine
        self.shares = ShareTrail(engine.genesis.parameters, engine.commitment.trees)

    def feed(self, height: int, entries: list[bytes]) -> bool:
        """Audit one block; False when execution differs, after which nothing can be said."""
        frontier = self.run.engine.frontier
        self.block = LoggedParts(height, frontier.size, entries)
        self.block.parent = self.run.engine.seal_leaf
        self.last = None
        children = self._children(entries)
        try:
            difference = self.run.feed(height, entries)
        except InvalidBlock as error:
            self.find("execution", str(error))
            return False
        trail, fund = self._begin_trails()
        for text in trail.follow(height, entries):
            self.find("routing and exemptions", text)
        border = self._border()
        for text in border.follow(self.block.first, entries):
            self.find("deposits and payouts", text)
        for text in fund.follow(self.block.first, entries):
            self.find("fund and buybacks", text)
        self.report.purchases += fund.bought is not None
        self._check_vaults(children, entries)
        seal = decode_payload(decode_entry(entries[-1]))
        last = self._moment()
        if last is not None:
            for text in self.fees.follow(entries, last, seal["time_ms"]):
                self.find("fees", text)
        if difference is not None:
            self.find("execution", difference.sentence())
            return False
        if last is not None:
            self._close(last, seal)
        return True

    def _moment(self) -> Moment | None:
        """What the engine showed of this block while it was executed."""
        return self.last

    def _children(self, entries: list[bytes]) -> ChildrenCheck | None:
        """What there is to check of the liquidity vault's children in a block."""
        if not is_watched(entries):
            return None
        self.report.quotes += sum(1 for raw in entries if is_watched((raw,)))
        engine = self.run.engine
        genesis = engine.genesis
        return ChildrenCheck(engine.state, genesis.parameters, genesis.terms, entries)

    def _check_vaults(self, children: ChildrenCheck | None, entries: list[bytes]) -> None:
        """Quotes and capital of the liquidity vault, and everybody's shares of all vaults."""
        for text in () if children is None else children.findings(self.last):
            self.find("quotes and capital", text)
        if self.shares is None:
            engine = self.run.engine
            self.shares = ShareTrail(engine.genesis.parameters, engine.commitment.trees)
        for text in self.shares.follow(entries):
            self.find("vault shares", text)
        self.report.share_changes = self.shares.changes
        for text in () if self.last is None else self.shares.close(self.last, entries):
            self.find("vault shares", text)

    def _close(self, moment: Moment, seal: Record) -> None:
        """The state at a SEAL, as what follows the money sees it."""
        trail, fund = self._begin_trails()
        for text in trail.close(moment, seal):
            self.find("conservation", text)
        for text in trail.close_list(self.block.height, moment):
            self.find("routing and exemptions", text)
        for text in self._border().close(moment):
            self.find("deposits and payouts", text)
        for text in fund.close(moment):
            self.find("fund and buybacks", text)

    def finish(self) -> AuditReport:
        """The end of the chain, or of the part that was fed: who is owed what."""
        if self.last is not None and self.trail is not None and self.run.report.is_equal:
            self._check_solvency(self.last, self.trail)
        return self.report

    def _begin_trails(self) -> tuple[MoneyTrail, FundTrail]:
        """What follows the money from block to block; begun after genesis or a snapshot."""
        engine = self.run.engine
        if self.trail is None or self.fund is None:
            parameters, trees = engine.genesis.parameters, engine.commitment.trees
            self.trail = MoneyTrail(parameters, trees)
            self.fund = FundTrail(parameters, engine.state, trees)
        return self.trail, self.fund

    def _border(self) -> BorderTrail:
        """What follows deposits and payouts; begun after genesis or a snapshot."""
        if self.border is None:
            engine = self.run.engine
            self.border = BorderTrail(engine.genesis, engine.commitment.trees)
            self.border.counts = self.report.border
        return self.border

    def find(self, check: str, text: str) -> None:
        """Note what is wrong."""
        if len(self.report.findings) < FINDINGS_MAX:
            self.report.findings.append(Finding(check, self.block.height, text))

    def _watch(self) -> None:
        engine = self.run.engine
        engine.commitment = WatchedCommitment(engine.commitment, self._on_commit)

    def _on_commit(self, state: State, commitment: Commitment, committed: Committed) -> None:
        """One commit of the block at work: the phase's, a round's, or the SEAL's."""
        moment = Moment(state, commitment, committed)
        block = self.block
        commit = block.next_commit()
        if commit is None:
            self.last = moment
            if not block.has_phase_commit:
                self._check_due(moment)
            return
        index, fields = commit
        if fields["state_root"] != committed.state_root:
            return  # Execution has gone another way: the comparison of bytes will say where.
        if fields["reason"] == CommitReason.LIQUIDATION:
            self._check_due(moment)
        else:
            self._check_round(moment, index)

    def _check_due(self, moment: Moment) -> None:
        """The scopes that are due are those that the block has tested, no more and no fewer."""
        tested = dict.fromkeys(self.block.tested)
        for one in self.census.failing(moment.trees):
            key = (one.address, one.asset)
            if not one.has_positions:
                if one.address != INSURANCE:
                    self.find("solvency", f"{address_text(one.address)} holds {one.value} and no "
                                          "position: a debt that nobody carries")  # fmt: skip
            elif key in tested:
                del tested[key]
            else:
                told = f"value {one.value}, maintenance {one.maintenance}"
                self.find("liquidations", f"{_scope(key)} was due and not tested: {told}")
        for key in tested:
            self.find("liquidations", f"{_scope(key)} was tested and not due")
        self.report.liquidations += len(self.block.tested)
        roots = moment.committed.roots
        self.report.scopes_tested += roots["acct"].count

    def _check_round(self, moment: Moment, index: int) -> None:
        """The round that a STATE_COMMIT belongs to."""
        found = self.block.round_after(index)
        if found is None:
            self.find("adl rounds", f"no round follows the STATE_COMMIT at log index {index}")
            return
        placed, logged, number = found
        marks = {
            market.asset: {"mark": market.mark, "previous_mark": market.mark_previous}
            for market in moment.state.markets
        }
        view = RoundView(placed, marks, moment.leaves, self.terms)
        tree = moment.trees[view.collection]
        for fault in check_round(view, tree, logged, self.block.parent, number):
            self.find("adl rounds", _fault(placed, fault))
        self.report.rounds += 1
        self.report.rows += len(logged.rows)

    def _check_solvency(self, moment: Moment, trail: MoneyTrail) -> None:
        """Claims less deficits, with pending withdrawals, are exactly the custody."""
        rows = liabilities_of(moment.trees, self.census.equities(moment.trees))
        report = self.report
        total = liability_root(rows)
        report.accounts = len(rows)
        report.liabilities, report.deficit = total.claim, total.deficit
        report.liabilities_root = total.h
        report.pending = moment.committed.roots["wd"].sums[0]
        report.custody = moment.state.custody
        if total.claim - total.deficit + report.pending != report.custody:
            self.find("solvency", f"claims {total.claim} less deficits {total.deficit} with "
                                  f"{report.pending} pending are not custody "
                                  f"{report.custody}")  # fmt: skip
        for party in trail.strangers(moment.trees):
            self.find("solvency", f"{address_text(party)} has traded and has no account")


def audit(
    auditor: Auditor,
    blocks: Iterable[tuple[int, list[bytes]]],
    progress: Callable[[int], None] | None = None,
) -> AuditReport:
    """Feed every block until execution differs."""
    for height, entries in blocks:
        if not auditor.feed(height, entries):
            break
        if progress is not None:
            progress(height)
    return auditor.finish()


def _numbers(genesis: Genesis) -> dict[str, int]:
    values = parameter_values(genesis.parameters)
    return {name: value for name, value in values.items() if type(value) is int}


def _scope(key: tuple[bytes, int]) -> str:
    name = "cross account" if key[1] == CROSS_SCOPE else f"isolated position in market {key[1]}"
    return f"the {name} of {address_text(key[0])}"


def _fault(placed: Placed, fault: Fault) -> str:
    return f"round of log entry {placed.index}: {fault.kind}: {fault.text}"


class LoggedParts:
    """What an audit looks at in a logged block while it is executed again."""

    __slots__ = ("_commits", "_seen", "entries", "first", "has_phase_commit", "height", "parent",
                 "tested")  # fmt: skip

    def __init__(self, height: int, first: int, entries: Sequence[bytes]) -> None:
        self.height = height
        self.first = first
        self.entries = entries
        self.parent = b""
        self._commits: list[tuple[int, Record]] = []
        self._seen = 0
        self.tested: list[tuple[bytes, int]] = []
        for place, raw in enumerate(entries):
            kind = int.from_bytes(raw[1:3], "big")
            if kind == Kind.STATE_COMMIT:
                self._commits.append((first + place, decode_payload(decode_entry(raw))))
            elif kind == Kind.LIQ_TEST:
                fields = decode_payload(decode_entry(raw))
                self.tested.append((fields["account"], fields["asset"]))
        self.has_phase_commit = any(
            fields["reason"] == CommitReason.LIQUIDATION for _, fields in self._commits
        )

    def next_commit(self) -> tuple[int, Record] | None:
        """The next STATE_COMMIT of the log; None when only the SEAL is left."""
        if self._seen >= len(self._commits):
            return None
        self._seen += 1
        return self._commits[self._seen - 1]

    def round_after(self, index: int) -> tuple[Placed, RoundRecord, int] | None:
        """The round whose head follows a STATE_COMMIT, and its number in the block."""
        place = index - self.first + 1
        begin_kind = Kind.ADL_BEGIN.to_bytes(2, "big")
        if self.entries[place][1:3] != begin_kind:
            return None
        number = sum(1 for raw in self.entries[:place] if raw[1:3] == begin_kind)
        record = RoundRecord([], [], None)
        for raw in self.entries[place + 1 :]:
            entry = decode_entry(raw)
            if entry.kind is Kind.ADL_ROWS:
                record.rows.extend(decode_payload(entry)["rows"])
            elif entry.kind is Kind.FILL:
                record.fills.append(decode_payload(entry))
            elif entry.kind is Kind.ADL_END:
                record.end = decode_payload(entry)
                break
            elif entry.kind in (Kind.STATE_COMMIT, Kind.SEAL):
                break
        return Placed(self.entries[place], self.first + place), record, number
