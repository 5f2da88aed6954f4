"""Proofs that need the log alone: an entry, a transaction with its effects, growth, two histories.

    .tlog-proof   c2sp.org/tlog-proof@v1 with the entry as `extra`
    transaction   {checkpoint, hash, run}     the TX entry, all entries up to the next transaction
                  or phase, and the entry that ends them
    consistency   {old, new, proof}           two notes, the old log a prefix of the new one
    equivocation  {first, second, entries}    two notes of one log that cannot both be true:
                  one size and two roots, or two entries at one index

Source: audit-log-and-consensus 9.1, 9.3, 11.1.
"""

from typing import Final

from chainperp.base.canonical import Record
from chainperp.base.errors import InvalidProof
from chainperp.base.hashing import leaf_hash
from chainperp.base.units import address_text
from chainperp.evidence.merkle import verify_consistency, verify_inclusion
from chainperp.evidence.proof import parse_log_proof
from chainperp.evidence.verifier.bundle import Fields
from chainperp.evidence.verifier.pieces import Placed, read_entry, read_run
from chainperp.evidence.verifier.steps import Steps
from chainperp.evidence.verifier.trust import Trust, read_note
from chainperp.model.decisions import REASONS, Kind, OrderStatus, Rejection, rule_code
from chainperp.model.envelope import decode_envelope, transaction_hash
from chainperp.model.records import KIND_RULES
from chainperp.model.tokens import SPOT_FIRST

# A user transaction's effects end where the next phase of the block begins.
EFFECTS_END: Final = (
    Kind.TX_USER, Kind.TX_SYSTEM, Kind.VAULT, Kind.CHILDREN, Kind.QUOTE, Kind.BUYBACK,
    Kind.STATE_COMMIT, Kind.LIQ_TEST, Kind.SEAL,
)  # fmt: skip


def verify_log_proof(steps: Steps, raw: bytes, trust: Trust) -> None:
    """One entry is in the log: a `.tlog-proof` file that carries the entry."""
    proof = parse_log_proof(raw)
    steps.done("c2sp.org/tlog-proof@v1")
    checkpoint = read_note(steps, trust, proof.note)
    steps.begin("entry included")
    if proof.extra is None:
        raise InvalidProof("the file carries no entry (extra), so there is nothing to include")
    verify_inclusion(
        leaf_hash(proof.extra), proof.index, checkpoint.size, proof.hashes, checkpoint.root
    )
    steps.done(f"log index {proof.index} of {checkpoint.size}")
    steps.begin("entry well-formed")
    placed = Placed(proof.extra, proof.index)
    steps.done(f"{placed.kind.name} of block {placed.height}")
    steps.say(
        f"Log entry {proof.index} is a {placed.kind.name} of block {placed.height}", _rules(placed)
    )
    for name, value in placed.fields.items():
        steps.say(f"{name}: {_value(value)}")


def _rules(placed: Placed) -> str:
    number = placed.fields.get("rule")
    if type(number) is int and number:
        return rule_code(number)
    return ", ".join(KIND_RULES.get(placed.kind, ())[:3])


def _value(value: object) -> str:
    if isinstance(value, bytes):
        text = "0x" + value.hex()
        return text if len(text) <= 80 else f"{text[:66]}… ({len(value)} bytes)"
    if isinstance(value, list):
        return f"{len(value)} rows"
    return str(value)


def verify_transaction(steps: Steps, fields: Fields, trust: Trust) -> None:
    """A transaction is in the log, with its result and everything it did."""
    checkpoint = read_note(steps, trust, fields.note("checkpoint"))
    run = read_run(steps, fields.part("run"), checkpoint, "transaction and effects")
    claimed = fields.raw("hash")
    fields.finish()
    steps.begin("transaction hash")
    head = run[0].expect(Kind.TX_USER)
    envelope = head.fields["envelope"]
    found = transaction_hash(envelope)
    if found != claimed:
        raise InvalidProof(f"transaction hashes to {found.hex()}, claimed {claimed.hex()}")
    steps.done(f"0x{found.hex()}")
    steps.begin("effects complete")
    effects = _effects(run)
    steps.done(f"{len(effects)} entries, ended by a {run[-1].kind.name}")
    _tell_transaction(steps, head, effects)


def _effects(run: list[Placed]) -> list[Placed]:
    """What follows the transaction, whole: the entry that ends it is part of the proof."""
    head, tail = run[0], run[-1]
    if len(run) < 2 or tail.kind not in EFFECTS_END:
        raise InvalidProof("the run does not show where the effects end")
    for at, placed in enumerate(run[1:], 1):
        if placed.height != head.height or placed.entry.seq != head.entry.seq + at:
            raise InvalidProof(f"entry {placed.index} does not follow in block {head.height}")
        if placed.kind in EFFECTS_END and placed is not tail:
            raise InvalidProof(f"the effects end at entry {placed.index}, the run goes on")
    return run[1:-1]


def _tell_transaction(steps: Steps, head: Placed, effects: list[Placed]) -> None:
    code = Rejection(head.fields["code"])
    envelope = decode_envelope(head.fields["envelope"])
    signer = address_text(head.fields["signer"])
    reason = REASONS[code]
    outcome = "accepted" if code is Rejection.ACCEPTED else f"refused: {reason.text}"
    rule = "BLK-1" if code is Rejection.ACCEPTED else reason.rule
    steps.say(
        f"The transaction of {signer} with nonce {envelope.nonce} was executed in block "
        f"{head.height} as log entry {head.index}: {outcome}", rule,
    )  # fmt: skip
    steps.begin("signature of the signer")
    steps.skip(f"logged signer {signer}; replay recovers it from the envelope (needs secp256k1)")
    for placed in effects:
        if placed.kind is Kind.ORDER:
            steps.say(_order_words(placed.fields), rule_code(placed.fields["rule"]))
        elif placed.kind is Kind.FILL:
            steps.say(_fill_words(placed.fields), "MAT-1")
        else:
            steps.say(f"Then a {placed.kind.name} (log {placed.index})", _rules(placed))


def _order_words(fields: Record) -> str:
    status = OrderStatus(fields["status"]).name.lower().replace("_", " ")
    reason = REASONS[Rejection(fields["reason"])]
    side = "buy" if fields["is_buy"] else "sell"
    told = f": {reason.text}" if reason.text else ""
    compared = ""
    if fields["found"] or fields["needed"]:
        compared = f" (found {fields['found']}, needed {fields['needed']})"
    return (
        f"Order {fields['oid']} in market {fields['asset']}, {side} {fields['lots']} lots at "
        f"{fields['price']}: {status}{told}{compared}"
    )


def _fill_words(fields: Record) -> str:
    if fields["asset"] >= SPOT_FIRST:
        return (
            f"Trade {fields['tid']}: {fields['lots']} lots at {fields['price']} of spot pair "
            f"{fields['asset']}, maker {address_text(fields['maker'])} (fee {fields['maker_fee']}),"
            f" taker {address_text(fields['taker'])} (fee {fields['taker_fee']}); the buyer's fee "
            "in the token's smallest unit, the seller's in micro-USDC"
        )
    return (
        f"Trade {fields['tid']}: {fields['lots']} lots at {fields['price']} in market "
        f"{fields['asset']}, maker {address_text(fields['maker'])} (fee {fields['maker_fee']}, "
        f"profit {fields['maker_pnl']}), taker {address_text(fields['taker'])} "
        f"(fee {fields['taker_fee']}, profit {fields['taker_pnl']}), in micro-USDC"
    )


def verify_growth(steps: Steps, fields: Fields, trust: Trust) -> None:
    """The log of an old checkpoint is a prefix of the log of a new one: nothing was rewritten."""
    old = read_note(steps, trust, fields.note("old"), "old checkpoint")
    new = read_note(steps, trust, fields.note("new"), "new checkpoint")
    proof = fields.hashes("proof")
    fields.finish()
    steps.begin("consistency")
    if old.origin != new.origin:
        raise InvalidProof(f"checkpoints of two logs: {old.origin!r} and {new.origin!r}")
    verify_consistency(old.size, new.size, old.root, new.root, proof)
    steps.done(f"size {old.size} is a prefix of size {new.size}")
    steps.say(
        f"Between size {old.size} and size {new.size} the log {new.origin} only grew: none of the "
        f"first {old.size} entries was changed or taken out"
    )


def verify_equivocation(steps: Steps, fields: Fields, trust: Trust) -> None:
    """Two notes of one log contradict each other: its operator has shown two histories."""
    first = read_note(steps, trust, fields.note("first"), "first checkpoint")
    second = read_note(steps, trust, fields.note("second"), "second checkpoint")
    parts = fields.parts("entries")
    steps.begin("one log")
    if first.origin != second.origin:
        raise InvalidProof(f"checkpoints of two logs: {first.origin!r} and {second.origin!r}")
    steps.done(first.origin)
    if not parts:
        fields.finish()
        steps.begin("contradiction")
        if first.size != second.size or first.root == second.root:
            raise InvalidProof("the checkpoints do not contradict each other")
        steps.done(f"size {first.size} with roots {first.root.hex()} and {second.root.hex()}")
        steps.say(f"The log {first.origin} signed two different roots for size {first.size}")
        return
    if len(parts) != 2:
        raise InvalidProof(f"{len(parts)} entries, expected one of each history")
    fields.finish()
    one = read_entry(steps, parts[0], first, "entry of the first history")
    two = read_entry(steps, parts[1], second, "entry of the second history")
    steps.begin("contradiction")
    if one.index != two.index or one.raw == two.raw:
        raise InvalidProof("the entries do not contradict each other")
    steps.done(f"two entries at log index {one.index}")
    steps.say(
        f"The log {first.origin} holds a {one.kind.name} at index {one.index} in one history and "
        f"another entry, a {two.kind.name}, in the other"
    )
