"""Whom a verification trusts: a policy file's keys, and a signature check that is handed in.

Decides nothing about a proof. Without a policy or without a check the step is "not checked",
never "ok".
"""

from dataclasses import dataclass

from chainperp.base.errors import InvalidProof
from chainperp.evidence.checkpoint import Checkpoint, parse_checkpoint
from chainperp.evidence.note import Status, Verify, parse_note
from chainperp.evidence.policy import NONE, Policy, check_policy
from chainperp.evidence.verifier.steps import Steps

NO_POLICY = "no policy names a trusted log key"
NO_VERIFIER = "no Ed25519 here"


@dataclass(frozen=True, slots=True)
class Trust:
    """A policy, or None; and what checks a signature, None where nothing can."""

    policy: Policy | None = None
    verify: Verify | None = None


def read_note(steps: Steps, trust: Trust, raw: bytes, name: str = "checkpoint") -> Checkpoint:
    """Checkpoint of a note that the trusted log has signed, and enough of its cosigners.

    Raises: InvalidProof when the note is malformed or of another log, when a known signature
    fails, and when the policy's quorum is not met.
    """
    steps.begin(f"{name} signature")
    if trust.policy is None:
        checkpoint = parse_checkpoint(parse_note(raw).text)
        steps.skip(f"{NO_POLICY}; {checkpoint.origin} size {checkpoint.size}")
        return checkpoint
    answer = check_policy(trust.policy, raw, trust.verify)
    checkpoint = answer.checkpoint
    told = f"{checkpoint.origin} size {checkpoint.size} root {checkpoint.root.hex()}"
    if answer.log.status is Status.VERIFIED:
        steps.done(told)
    else:
        steps.skip(f"{NO_VERIFIER}; {told}")
    if trust.policy.quorum == NONE:
        return checkpoint
    steps.begin(f"{name} cosignatures")
    if not answer.is_met:
        raise InvalidProof(answer.sentence())
    if answer.is_verified:
        steps.done(answer.sentence())
    else:
        steps.skip(f"{NO_VERIFIER}; {answer.sentence()}")
    return checkpoint
