"""Check what a node serves of its log, from outside and without executing anything.

    checkpoint signature      the log's key signed it, and enough witnesses where a policy wants
    log root                  the tiles have the signed root
    continues the one kept    the checkpoint seen last time is a prefix of this log
    last SEAL                 the log ends with a SEAL, included, whose sums are custody
    entries A to B            bundles have the leaf hashes that lead to the signed root

Decides which bundles to look at when nobody names a range: a server that damages some of them
cannot know which. What is not looked at is not checked, and the answer says how much that is.

Source: audit-log-and-consensus 7, 11.4 (light mode).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from chainperp.base.errors import BadRequest, Invalid, InvalidProof, NotFound
from chainperp.base.hashing import leaf_hash
from chainperp.client.log import Contradiction
from chainperp.evidence.checkpoint import Checkpoint, read_checkpoint
from chainperp.evidence.merkle import prove_inclusion, root_at, verify_inclusion
from chainperp.evidence.note import Status, VerifierKey, Verify
from chainperp.evidence.policy import Policy, PolicyAnswer, check_policy
from chainperp.evidence.tiles import WIDTH, Fetch, TileReader
from chainperp.evidence.verifier.steps import Steps, Verdict
from chainperp.model.decisions import Kind
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.storage.tiles import CHECKPOINT

ENTRIES_MAX: Final = 1 << 16
"""Most entries that one check reads."""
QUORUM_TRIES: Final = 6
QUORUM_PAUSE_S: Final = 0.5
"""Cosignatures come a moment after the checkpoint: a check waits for them a little."""
NO_VERIFIER: Final = "no Ed25519 here"

Pick = Callable[[int], int]
"""A number from 0 to below its argument."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What to check with: keys to trust, the note kept last time, which entries.

    `span` is a range of log indexes, first and behind last; without it `bundles` bundles of 256
    entries are drawn by `pick`.
    """

    key: VerifierKey
    verify: Verify | None
    pick: Pick
    policy: Policy | None = None
    kept: bytes | None = None
    span: tuple[int, int] | None = None
    bundles: int = 2


@dataclass(slots=True)
class LogAnswer:
    """The verdict, and the note that was judged. `conflict` holds two notes that contradict."""

    verdict: Verdict
    note: bytes = b""
    conflict: tuple[bytes, bytes] | None = field(default=None)


def check_log(fetch: Fetch, wishes: Wishes) -> LogAnswer:
    """Judge a served log. Never raises for what is served.

    Raises: NotFound when nobody answers or nothing is published; BadRequest for a range that the
    log has not or that is too long.
    """
    steps = Steps("log")
    answer = LogAnswer(steps.verdict)
    try:
        answer.note, checkpoint = _signed(fetch, wishes, steps)
        reader = TileReader(fetch, checkpoint.size)
        _root(reader, checkpoint, steps)
        if wishes.kept is not None:
            _continues(reader, checkpoint, (wishes.kept, answer.note), wishes, steps)
        if checkpoint.size:
            _last_seal(reader, checkpoint, steps)
            _entries(reader, checkpoint, wishes, steps)
    except Contradiction as error:
        answer.conflict = error.notes
        steps.fail(str(error))
    except Invalid as error:
        steps.fail(str(error))
    return answer


def _signed(fetch: Fetch, wishes: Wishes, steps: Steps) -> tuple[bytes, Checkpoint]:
    """The served checkpoint, once its own key and the policy's quorum have signed it."""
    steps.begin("checkpoint signature")
    raw = _published(fetch)
    signed = read_checkpoint(raw, wishes.key, wishes.verify)
    if wishes.policy is None:
        _tell(steps, signed.log_signature.status, _shown(signed.checkpoint))
        return raw, signed.checkpoint
    found = check_policy(wishes.policy, raw, wishes.verify, wishes.key)
    for _try in range(QUORUM_TRIES - 1):
        if found.is_met:
            break
        time.sleep(QUORUM_PAUSE_S)
        raw = _published(fetch)
        found = check_policy(wishes.policy, raw, wishes.verify, wishes.key)
    _tell(steps, found.log.status, _shown(found.checkpoint))
    steps.begin("checkpoint cosignatures")
    if not found.is_met:
        raise InvalidProof(found.sentence())
    _tell(steps, _status(found), found.sentence())
    return raw, found.checkpoint


def _published(fetch: Fetch) -> bytes:
    raw = fetch(CHECKPOINT)
    if raw is None:
        raise NotFound("the log has no checkpoint there")
    return raw


def _status(found: PolicyAnswer) -> Status:
    return Status.VERIFIED if found.is_verified else Status.NOT_CHECKED


def _tell(steps: Steps, status: Status, text: str) -> None:
    if status is Status.VERIFIED:
        steps.done(text)
    else:
        steps.skip(f"{NO_VERIFIER}; {text}")


def _shown(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.origin} size {checkpoint.size} root {checkpoint.root.hex()}"


def _root(reader: TileReader, checkpoint: Checkpoint, steps: Steps) -> None:
    steps.begin("log root")
    root = root_at(reader.node, checkpoint.size)
    if root != checkpoint.root:
        raise InvalidProof(f"the tiles have root {root.hex()}, signed is {checkpoint.root.hex()}")
    steps.done("the tiles have the signed root")


def _continues(
    reader: TileReader, new: Checkpoint, notes: tuple[bytes, bytes], wishes: Wishes, steps: Steps
) -> None:
    """The note kept last time and this one are of one append-only log.

    The root of the tiles is known to be the signed one, so the root of their first entries is
    that of a prefix of the signed log.
    """
    steps.begin("continues the checkpoint kept")
    old = read_checkpoint(notes[0], wishes.key, wishes.verify).checkpoint
    if new.size < old.size:
        raise InvalidProof(
            f"the node shows size {new.size}, kept is a checkpoint of size {old.size} that the "
            f"log signed before: it is behind, or it hides what it had shown"
        )
    root = root_at(reader.node, old.size)
    if root != old.root:
        raise Contradiction(
            f"size {new.size} does not continue the checkpoint of size {old.size} that was kept: "
            f"root {root.hex()} against {old.root.hex()}, both signed by {new.origin}",
            notes,
        )
    steps.done(f"size {old.size} is a prefix of size {new.size}")


def _last_seal(reader: TileReader, checkpoint: Checkpoint, steps: Steps) -> None:
    steps.begin("last SEAL")
    last = checkpoint.size - 1
    raw = reader.entry(last)
    _include(reader, checkpoint, last, raw)
    entry = decode_entry(raw)
    if entry.kind is not Kind.SEAL:
        raise InvalidProof(f"entry {last}, the last of the log, is a {entry.kind.name}")
    fields = decode_payload(entry)
    if fields["first_index"] + fields["n_entries"] != last:
        raise InvalidProof(f"the SEAL at {last} says that it ends another block than it does")
    before = root_at(reader.node, last)
    if fields["log_root"] != before:
        raise InvalidProof(
            f"the SEAL says root {fields['log_root'].hex()} before it, the tiles {before.hex()}"
        )
    cash, custody = fields["cash_sum"] - fields["entry_sum"], fields["custody"]
    if cash != custody:
        raise InvalidProof(f"cash_sum - entry_sum is {cash}, custody is {custody}")
    steps.done(f"block {entry.height} at index {last}: cash_sum - entry_sum = custody = {custody}")


def _entries(reader: TileReader, checkpoint: Checkpoint, wishes: Wishes, steps: Steps) -> None:
    checked = 0
    for first, end in _spans(checkpoint.size, wishes):
        steps.begin(f"entries {first} to {end - 1}")
        start = first
        while start < end:
            # A range need not begin where a bundle does.
            behind = min(end, start - start % WIDTH + WIDTH)
            _bundle(reader, checkpoint, start, behind)
            start = behind
        steps.done("leaf hashes lead to the signed root")
        checked += end - first
    steps.say(f"{checked} of {checkpoint.size} entries were read and are the ones signed for")


def _spans(size: int, wishes: Wishes) -> list[tuple[int, int]]:
    """Ranges to look at: the one named, or whole bundles drawn without repetition."""
    if wishes.span is not None:
        first, end = wishes.span
        if not 0 <= first < end <= size:
            raise BadRequest("entries", f"the log has entries 0 to {size - 1}")
        if end - first > ENTRIES_MAX:
            raise BadRequest("entries", f"{end - first} entries, at most {ENTRIES_MAX}")
        return [(first, end)]
    count = (size + WIDTH - 1) // WIDTH
    drawn: dict[int, None] = {}
    while len(drawn) < min(wishes.bundles, count, ENTRIES_MAX // WIDTH):
        drawn[wishes.pick(count)] = None
    return [(one * WIDTH, min(one * WIDTH + WIDTH, size)) for one in sorted(drawn)]


def _bundle(reader: TileReader, checkpoint: Checkpoint, first: int, end: int) -> None:
    """Entries of one bundle. Its tile's hashes are bound by one inclusion proof: all the others
    are in the subtrees beside its way to the root."""
    for index in range(first, end):
        raw = reader.entry(index)
        leaf, listed = leaf_hash(raw), reader.node(0, index)
        if leaf != listed:
            raise InvalidProof(
                f"entry {index} has leaf hash {leaf.hex()}, its tile says {listed.hex()}"
            )
        decode_entry(raw)
    _include(reader, checkpoint, first, reader.entry(first))


def _include(reader: TileReader, checkpoint: Checkpoint, index: int, raw: bytes) -> None:
    proof = prove_inclusion(reader.node, index, checkpoint.size)
    verify_inclusion(leaf_hash(raw), index, checkpoint.size, proof, checkpoint.root)
