"""Checks a proof file: yes or no, which steps were checked, and what the proof says in words.

The verifier of the whole project: it needs the file, whom to trust, and nothing that made the
proof. A file that is damaged, forged or of an unknown kind gets a verdict, never a traceback.
"""

from collections.abc import Callable
from typing import Final

from chainperp.base.errors import ChainperpError, InvalidProof
from chainperp.evidence.proof import HEADER
from chainperp.evidence.verifier.accounts_proof import verify_absence, verify_account
from chainperp.evidence.verifier.adl_proof import verify_adl
from chainperp.evidence.verifier.adl_refutation import verify_adl_refutation
from chainperp.evidence.verifier.bundle import Fields, parse_bundle
from chainperp.evidence.verifier.liquidation_proof import (
    verify_liquidation,
    verify_liquidation_refutation,
)
from chainperp.evidence.verifier.log_proofs import (
    verify_equivocation,
    verify_growth,
    verify_log_proof,
    verify_transaction,
)
from chainperp.evidence.verifier.solvency_proof import verify_solvency
from chainperp.evidence.verifier.steps import Steps, Verdict
from chainperp.evidence.verifier.trust import Trust

Verifier = Callable[[Steps, Fields, Trust], None]

KINDS: Final[dict[str, Verifier]] = {
    "transaction": verify_transaction,
    "account": verify_account,
    "absence": verify_absence,
    "adl": verify_adl,
    "adl-refutation": verify_adl_refutation,
    "liquidation": verify_liquidation,
    "liquidation-refutation": verify_liquidation_refutation,
    "solvency": verify_solvency,
    "consistency": verify_growth,
    "equivocation": verify_equivocation,
}


def verify_proof(raw: bytes, trust: Trust) -> Verdict:
    """The verdict on a proof file's bytes."""
    steps = Steps("entry" if raw.startswith(HEADER) else "unknown")
    try:
        if raw.startswith(HEADER):
            verify_log_proof(steps, raw, trust)
            return steps.verdict
        fields = parse_bundle(raw)
        kind = fields.text("kind")
        if kind not in KINDS:
            raise InvalidProof(f"there is no proof of kind {kind[:40]!r}")
        steps.verdict.kind = kind
        steps.done(f"chainperp-proof/1, {kind}")
        KINDS[kind](steps, fields, trust)
    except ChainperpError as error:
        return steps.fail(str(error))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        # What a hash binds may still be something that no honest log holds.
        return steps.fail(f"it holds a value that has no meaning: {type(error).__name__}: {error}")
    return steps.verdict
