"""The ADL rounds and state commits of one logged block, and the states behind them."""

from collections.abc import Callable, Mapping

from chainperp.base import canonical
from chainperp.base.canonical import Record
from chainperp.base.errors import InvalidProof
from chainperp.base.hashing import leaf_hash
from chainperp.chain.proving.pieces import Part, StateProver, list_inclusion, run_piece
from chainperp.chain.proving.source import BlockAt, Source, execute_watched
from chainperp.evidence.merkle import CompleteNodes, prove_inclusion
from chainperp.evidence.verifier.adl_proof import ADL_ITEM_TAG
from chainperp.evidence.verifier.adl_round import ROW_TAG
from chainperp.evidence.verifier.bundle import base64_list, base64_text
from chainperp.model.decisions import Kind
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.records import ADL_ROW
from chainperp.state.commitment import Commitment, Committed
from chainperp.state.store import State
from chainperp.transition.risk import mark_row


class Moment:
    """The state at one commit, for as long as the block has not gone on."""

    __slots__ = ("commitment", "committed", "state")

    def __init__(self, state: State, commitment: Commitment, committed: Committed) -> None:
        self.state = state
        self.commitment = commitment
        self.committed = committed

    def prover(self) -> StateProver:
        """A new prover of this state; it must be asked before the block goes on."""
        return StateProver(self.commitment.trees, self.committed)

    def marks_text(self) -> str:
        """The mark rows of all markets, as a proof carries them."""
        rows = [mark_row(self.state, market.asset) for market in self.state.markets]
        return base64_text(b"".join(rows))


# Asks for the leaves that proofs need, while the state is the one of that commit.
Ask = Callable[[Moment], None]


class LoggedRound:
    """One round as the log has it. `number` is its place in the block's list of rounds."""

    def __init__(self, number: int, index: int, begin: Record) -> None:
        self.number = number
        self.index = index
        self.begin = begin
        self.rows: list[Record] = []
        self.fills: dict[bytes, int] = {}
        self.end_index = 0

    @property
    def encoded_rows(self) -> list[bytes]:
        """The rows' bytes, as `queue_root` binds them, without the tag."""
        return [canonical.encode(ADL_ROW, row) for row in self.rows]

    def row_of(self, address: bytes) -> Record | None:
        """The row of an account."""
        return next((row for row in self.rows if row["account"] == address), None)


def rounds_of(block: BlockAt) -> list[LoggedRound]:
    """The rounds of a block, in order."""
    found: dict[int, LoggedRound] = {}
    for place, raw in enumerate(block.entries):
        kind = int.from_bytes(raw[1:3], "big")
        if kind not in (Kind.ADL_BEGIN, Kind.ADL_ROWS, Kind.ADL_END, Kind.FILL):
            continue
        index = block.first + place
        fields = decode_payload(decode_entry(raw))
        if kind == Kind.ADL_BEGIN:
            found[index] = LoggedRound(len(found), index, fields)
        elif kind == Kind.ADL_ROWS:
            found[fields["begin_index"]].rows.extend(fields["rows"])
        elif kind == Kind.ADL_END:
            found[fields["begin_index"]].end_index = index
        elif fields["cause_index"] in found:
            found[fields["cause_index"]].fills[fields["maker"]] = index
    return list(found.values())


def commits_of(block: BlockAt) -> list[tuple[int, Record]]:
    """Log index and fields of the block's STATE_COMMIT entries, in order."""
    wanted = Kind.STATE_COMMIT.to_bytes(2, "big")
    return [
        (block.first + place, decode_payload(decode_entry(raw)))
        for place, raw in enumerate(block.entries)
        if raw[1:3] == wanted
    ]


def ask_at_commits(source: Source, block: BlockAt, wanted: Mapping[int, Ask]) -> None:
    """Execute a block and ask at some of its STATE_COMMIT entries, by log index.

    Raises InvalidProof when the rules give another state there than the log committed to, or
    never commit: then the log is wrong before that point, and `replay` says where.
    """
    roots = [(index, fields["state_root"]) for index, fields in commits_of(block)]
    asked: dict[int, None] = {}
    seen = [0]

    def on_commit(state: State, commitment: Commitment, committed: Committed) -> None:
        at = seen[0]
        seen[0] += 1
        if at >= len(roots) or roots[at][0] not in wanted:
            return
        index, root = roots[at]
        if committed.state_root != root:
            raise InvalidProof(
                f"the state at log entry {index} has root {committed.state_root.hex()}, the log "
                f"committed to {root.hex()}: replay the log"
            )
        wanted[index](Moment(state, commitment, committed))
        asked[index] = None

    execute_watched(source, block.height, on_commit)
    for index in wanted:
        if index not in asked:
            raise InvalidProof(f"the rules do not commit the state at log entry {index}")


def round_piece(source: Source, block: BlockAt, one: LoggedRound, prover: StateProver,
                marks: str) -> Part:  # fmt: skip
    """STATE_COMMIT and ADL_BEGIN, marks and leaves of a round."""
    place = one.index - block.first
    return {
        "run": run_piece(source, one.index - 1, block.entries[place - 1 : place + 1]),
        "marks": marks,
        "state": prover.rows(),
    }


def listed_piece(block: BlockAt, rounds: list[LoggedRound], number: int) -> Part:
    """A round's place in the SEAL's list of rounds."""
    items = [ADL_ITEM_TAG + leaf_hash(block.entries[one.index - block.first]) for one in rounds]
    return {"index": number, "inclusion": list_inclusion(items, number)}


def row_pieces(one: LoggedRound, ranks: list[int]) -> list[Part]:
    """Rows at some ranks under the round's `queue_root`."""
    encoded = one.encoded_rows
    nodes = CompleteNodes([leaf_hash(ROW_TAG + row) for row in encoded])
    return [
        {
            "row": base64_text(encoded[rank]),
            "inclusion": base64_list(prove_inclusion(nodes.node, rank, len(encoded))),
        }
        for rank in ranks
    ]
