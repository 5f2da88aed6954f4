"""What `verify FILE` does, without a command line around it: the file, the policy, the answer.

Only the standard library and the verifier are imported, so that the same code is the bare command
line's and the stand-alone script's.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chainperp.base.errors import (
    EXIT_FALSE,
    EXIT_OK,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
    BadRequest,
    NotFound,
)
from chainperp.evidence.policy import parse_policy
from chainperp.evidence.verifier.bundle import FILE_BYTES_MAX
from chainperp.evidence.verifier.steps import Verdict
from chainperp.evidence.verifier.trust import Trust
from chainperp.evidence.verifier.verify import verify_proof
from chainperp.storage.ed25519 import find_verifier


def load_trust(policy: Path | None) -> Trust:
    """Trust in a policy file's keys; in nobody without one. Raises NotFound, BadRequest."""
    if policy is None:
        return Trust(None, find_verifier())
    return Trust(parse_policy(read_limited(policy)), find_verifier())


def read_limited(path: Path) -> bytes:
    """Bytes of a file. Raises NotFound when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror or error}") from error


def verify_file(path: Path, policy: Path | None) -> Verdict:
    """The verdict on a proof file."""
    trust = load_trust(policy)
    return verify_proof(read_limited(path), trust)


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """A verdict with stable keys."""
    failed = verdict.failed
    return {
        "ok": verdict.holds,
        "kind": verdict.kind,
        "failed_step": None if failed is None else failed.name,
        "reason": None if failed is None else failed.detail,
        "checks": [
            {"check": step.name, "result": step.result, "detail": step.detail}
            for step in verdict.steps
        ],
        "not_checked": [step.name for step in verdict.not_checked],
        "sentences": [{"text": one.text, "rule": one.rule} for one in verdict.sentences],
    }


def verdict_lines(verdict: Verdict) -> list[str]:
    """A verdict for people: the answer, what was decided, and every step."""
    failed = verdict.failed
    lines: list[str] = []
    if failed is not None:
        lines.append(f"NO         {verdict.kind}: step {failed.name!r} failed: {failed.detail}")
    else:
        missing = ", ".join(step.name for step in verdict.not_checked)
        but = f", but NOT CHECKED: {missing}" if missing else ""
        lines.append(f"yes        {verdict.kind}: all steps that were checked hold{but}")
    for one in verdict.sentences:
        lines.append(f"  {one.text}" + (f" [{one.rule}]" if one.rule else ""))
    width = max(len(step.name) for step in verdict.steps) + 2
    for step in verdict.steps:
        lines.append(f"{step.result:<13}{step.name:<{width}}{step.detail}")
    return lines


def main(arguments: Sequence[str]) -> int:
    """The stand-alone script: verify one proof file and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="verify.py",
        description="Check a chainperp proof file. Exit 0: yes, 1: no, 2: usage, 3: no such file.",
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--policy", type=Path, default=None, help="C2SP tlog-policy file")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    try:
        verdict = verify_file(options.file, options.policy)
    except (NotFound, BadRequest) as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_UNREACHABLE if isinstance(error, NotFound) else EXIT_USAGE
    text = (
        json.dumps(verdict_document(verdict), indent=1)
        if options.json
        else "\n".join(verdict_lines(verdict))
    )
    sys.stdout.write(text + "\n")
    return EXIT_OK if verdict.holds else EXIT_FALSE
