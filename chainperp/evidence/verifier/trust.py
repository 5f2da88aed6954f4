"""Whom a verification trusts: the log's key, cosigners, and how many of them must have signed.

Decides nothing about a proof. The signature check and the quorum are handed in; without a key or
without a check the step is "not checked", never "ok".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chainperp.base.errors import InvalidProof
from chainperp.evidence.checkpoint import Checkpoint, parse_checkpoint, read_checkpoint
from chainperp.evidence.note import Signature, Status, VerifierKey, Verify, parse_note
from chainperp.evidence.verifier.steps import Steps

# None when the cosignatures suffice, else the sentence that says what is missing.
Quorum = Callable[[Sequence[Signature]], str | None]


@dataclass(frozen=True, slots=True)
class Trust:
    """A trusted log and its cosigners. `verify` is the signature check, None where there is none.

    `why_no_key` is said when `log_key` is None.
    """

    log_key: VerifierKey | None = None
    cosigners: tuple[VerifierKey, ...] = ()
    quorum: Quorum | None = None
    verify: Verify | None = None
    why_no_key: str = "no policy names the log's key"


def read_note(steps: Steps, trust: Trust, raw: bytes, name: str = "checkpoint") -> Checkpoint:
    """Checkpoint of a note that the trusted keys have signed, in two steps.

    Raises: InvalidProof when the note is malformed, of another log, or a known signature fails.
    """
    steps.begin(f"{name} signature")
    if trust.log_key is None:
        checkpoint = parse_checkpoint(parse_note(raw).text)
        steps.skip(f"{trust.why_no_key}; {checkpoint.origin} size {checkpoint.size}")
        return checkpoint
    signed = read_checkpoint(raw, trust.log_key, trust.verify, trust.cosigners)
    checkpoint = signed.checkpoint
    told = f"{checkpoint.origin} size {checkpoint.size} root {checkpoint.root.hex()}"
    if signed.verified:
        steps.done(told)
    else:
        steps.skip(f"no Ed25519 here; {told}")
    if trust.quorum is not None:
        steps.begin(f"{name} cosignatures")
        missing = trust.quorum(signed.cosignatures)
        if missing is not None:
            raise InvalidProof(f"cosignatures do not suffice: {missing}")
        names = ", ".join(one.key.name for one in signed.cosignatures) or "none needed"
        if all(one.status is Status.VERIFIED for one in signed.cosignatures):
            steps.done(names)
        else:
            steps.skip(f"no Ed25519 here; {names}")
    return checkpoint
