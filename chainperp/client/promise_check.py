"""Whether a signed promise of inclusion was kept, by a log that is served or in a directory.

    promise signature      the log's key made the promise
    checkpoint signature   the log's key signed this log
    checkpoint covers it   the log has the promised size; or it is not due yet
    promised transaction   the entry at the promised index is that transaction, in that block

A step after the signatures that fails is a broken promise: promise, checkpoint and the entry with
its inclusion are evidence against the holder of the log's key, whoever looks at them.

Source: audit-log-and-consensus 11.3; threat T18.
"""

from typing import Final

from chainperp.base.errors import Invalid, InvalidProof, NotFound
from chainperp.client.log_check import NO_VERIFIER, include
from chainperp.evidence.checkpoint import Checkpoint, read_checkpoint
from chainperp.evidence.note import Status, VerifierKey, Verify
from chainperp.evidence.promise import Promise, read_promise
from chainperp.evidence.tiles import Fetch, TileReader
from chainperp.evidence.verifier.steps import Steps, Verdict
from chainperp.model.decisions import Kind
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.envelope import transaction_hash
from chainperp.storage.tiles import CHECKPOINT

OVERDUE_MS: Final = 60_000
"""How far the reader's clock may be past the deadline before silence is a no."""


def check_promise(
    raw: bytes, fetch: Fetch, key: VerifierKey, verify: Verify | None, now_ms: int
) -> Verdict:
    """Kept, broken, or not due yet. Never raises for what the promise or the log says.

    `now_ms` is the reader's clock, Unix ms. Raises: NotFound when the log does not answer.
    """
    steps = Steps("promise")
    try:
        steps.begin("promise signature")
        promise, status = read_promise(raw, key, verify)
        name = "0x" + promise.transaction.hex()
        _tell(steps, status, f"{name} at log index {promise.index}, block {promise.height}")
        checkpoint = _checkpoint(fetch, key, verify, steps)
        reader = TileReader(fetch, checkpoint.size)
        if _is_covered(promise, checkpoint, reader, now_ms, steps):
            _compare(promise, checkpoint, reader, steps)
            steps.say(
                f"the promise was kept: {name} is entry {promise.index} of {promise.origin}, in "
                f"block {promise.height}"
            )
    except Invalid as error:
        return steps.fail(str(error))
    return steps.verdict


def _tell(steps: Steps, status: Status, text: str) -> None:
    if status is Status.VERIFIED:
        steps.done(text)
    else:
        steps.skip(f"{NO_VERIFIER}; {text}")


def _checkpoint(fetch: Fetch, key: VerifierKey, verify: Verify | None, steps: Steps) -> Checkpoint:
    steps.begin("checkpoint signature")
    raw = fetch(CHECKPOINT)
    if raw is None:
        raise NotFound("the log has no checkpoint there")
    signed = read_checkpoint(raw, key, verify)
    found = signed.checkpoint
    _tell(steps, signed.log_signature.status, f"{found.origin} size {found.size}")
    return found


def _is_covered(
    promise: Promise, checkpoint: Checkpoint, reader: TileReader, now_ms: int, steps: Steps
) -> bool:
    """Whether the log has the promised size. Raises InvalidProof when it is too late for that."""
    steps.begin("checkpoint covers it")
    if checkpoint.size >= promise.size:
        steps.done(f"size {checkpoint.size}, promised {promise.size}")
        return True
    time_ms = _time_of_log(checkpoint, reader)
    short = f"the log has size {checkpoint.size}, promised was {promise.size}"
    if time_ms > promise.deadline_ms:
        raise InvalidProof(
            f"BROKEN PROMISE: {short}, and its last block is of {time_ms}, after the deadline "
            f"{promise.deadline_ms}"
        )
    late = now_ms - promise.deadline_ms
    if late > OVERDUE_MS:
        raise InvalidProof(f"NOT KEPT: {short}, and by your clock it is due since {late} ms")
    steps.skip(f"{short}; it is due before a block later than {promise.deadline_ms}")
    steps.begin("promised transaction")
    steps.skip("no checkpoint covers it yet: ask again")
    return False


def _time_of_log(checkpoint: Checkpoint, reader: TileReader) -> int:
    """Time of the last block, from its SEAL."""
    if not checkpoint.size:
        return 0
    last = checkpoint.size - 1
    raw = reader.entry(last)
    include(reader, checkpoint, last, raw)
    entry = decode_entry(raw)
    if entry.kind is not Kind.SEAL:
        raise InvalidProof(f"entry {last}, the last of the log, is a {entry.kind.name}")
    time_ms: int = decode_payload(entry)["time_ms"]
    return time_ms


def _compare(promise: Promise, checkpoint: Checkpoint, reader: TileReader, steps: Steps) -> None:
    """What the signed log has at the promised index."""
    steps.begin("promised transaction")
    raw = reader.entry(promise.index)
    include(reader, checkpoint, promise.index, raw)
    entry = decode_entry(raw)
    what = f"a {entry.kind.name} of block {entry.height}"
    if entry.kind is Kind.TX_USER:
        found = transaction_hash(decode_payload(entry)["envelope"])
        if found == promise.transaction and entry.height == promise.height:
            steps.done(f"entry {promise.index} is included, {what}")
            return
        what = f"transaction 0x{found.hex()} of block {entry.height}"
    raise InvalidProof(
        f"BROKEN PROMISE: the signed log of size {checkpoint.size} has at index {promise.index} "
        f"{what}; promised was transaction 0x{promise.transaction.hex()} of block {promise.height}"
    )
