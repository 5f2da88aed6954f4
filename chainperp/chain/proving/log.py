"""Proofs made of the log alone: an entry, a transaction with its effects, growth, equivocation."""

from collections.abc import Iterator

from chainperp.base.errors import NotFound
from chainperp.chain.proving.pieces import entry_piece, note_text, run_piece
from chainperp.chain.proving.source import BlockAt, Source
from chainperp.evidence.checkpoint import parse_checkpoint
from chainperp.evidence.merkle import prove_consistency, prove_inclusion
from chainperp.evidence.note import parse_note
from chainperp.evidence.proof import LogProof, encode_log_proof
from chainperp.evidence.verifier.bundle import base64_list, base64_text, encode_bundle
from chainperp.evidence.verifier.log_proofs import EFFECTS_END
from chainperp.model.decisions import Kind
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.envelope import transaction_hash


def prove_entry(source: Source, index: int) -> bytes:
    """A `.tlog-proof` of one entry, the entry inside it. Raises NotFound."""
    source.height_of(index)
    hashes = prove_inclusion(source.node, index, source.checkpoint.size)
    return encode_log_proof(LogProof(index, tuple(hashes), source.note, source.entry(index)))


def find_transaction(source: Source, name: bytes) -> int:
    """Log index of the transaction with a hash, by reading the log. Raises NotFound.

    Whoever keeps an index of hashes need not call this.
    """
    for block in _blocks(source):
        for place, raw in enumerate(block.entries):
            if raw[1:3] == Kind.TX_USER.to_bytes(2, "big"):
                envelope = decode_payload(decode_entry(raw))["envelope"]
                if transaction_hash(envelope) == name:
                    return block.first + place
    raise NotFound(f"no transaction 0x{name.hex()} in the blocks that the checkpoint covers")


def _blocks(source: Source) -> Iterator[BlockAt]:
    first = 0
    for height, entries in source.blocks(0, source.height):
        yield BlockAt(height, first, entries)
        first += len(entries)


def prove_transaction(source: Source, index: int) -> bytes:
    """Proof of the transaction at a log index, with its result and all its effects."""
    block = source.block(source.height_of(index))
    place = index - block.first
    head = decode_entry(block.entries[place])
    if head.kind is not Kind.TX_USER:
        raise NotFound(f"log entry {index} is a {head.kind.name}, not a user's transaction")
    end = place + 1
    while int.from_bytes(block.entries[end][1:3], "big") not in EFFECTS_END:
        end += 1
    envelope = decode_payload(head)["envelope"]
    return encode_bundle(
        "transaction",
        {
            "checkpoint": note_text(source),
            "hash": base64_text(transaction_hash(envelope)),
            "run": run_piece(source, index, block.entries[place : end + 1]),
        },
    )


def prove_growth(source: Source, old: bytes) -> bytes:
    """Proof that the log of an old note of the same log is a prefix of the present one."""
    before = parse_checkpoint(parse_note(old).text)
    proof = prove_consistency(source.node, before.size, source.checkpoint.size)
    return encode_bundle(
        "consistency",
        {
            "old": old.decode("utf-8"),
            "new": note_text(source),
            "proof": base64_list(proof),
        },
    )


def prove_equivocation(first: bytes, second: bytes) -> bytes:
    """Evidence of two notes of one log with one size and two roots; the verifier judges it."""
    return encode_bundle(
        "equivocation",
        {"first": first.decode("utf-8"), "second": second.decode("utf-8"), "entries": []},
    )


def prove_fork(one: Source, two: Source, index: int) -> bytes:
    """Evidence of two histories of one log, of any sizes, that differ in one entry."""
    return encode_bundle(
        "equivocation",
        {
            "first": note_text(one),
            "second": note_text(two),
            "entries": [entry_piece(one, index), entry_piece(two, index)],
        },
    )
