"""The command line of a bare interpreter: replay, verify, audit and fsck with nothing installed.

Signatures need secp256k1 and Ed25519, which the standard library has not: they are reported as
NOT CHECKED. Everything else is the same work with the same exit codes.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chainperp.base.errors import (
    EXIT_FALSE,
    EXIT_FAULT,
    EXIT_OK,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
    BadRequest,
    ChainperpError,
    DirectoryError,
    Invalid,
    NotFound,
)
from chainperp.cli.auditing import audit_document, audit_lines, run_audit
from chainperp.cli.checking import (
    problem_lines,
    problems_document,
    replay_document,
    replay_lines,
    run_fsck,
    verify_directory,
)
from chainperp.cli.proof_files import load_trust, verdict_document, verdict_lines, verify_file
from chainperp.cli.replaying import in_one_walk, run_part, run_replay

Answer = tuple[bool, dict[str, Any], list[str]]


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        ok, document, lines = _answer(options)
    except BadRequest as error:
        return _failed(EXIT_USAGE, error)
    except (NotFound, DirectoryError) as error:
        return _failed(EXIT_UNREACHABLE, error)
    except Invalid as error:
        return _failed(EXIT_FALSE, error)
    except ChainperpError as error:
        return _failed(EXIT_FAULT, error)
    text = json.dumps(document, indent=1) if options.json else "\n".join(lines)
    sys.stdout.write(text + "\n")
    return EXIT_OK if ok else EXIT_FALSE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chainperp",
        description="Bare command line: the packages of the full one are not installed.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("replay", "re-execute a chain and compare every byte; signers are taken as logged"),
        ("verify", "check a proof file, or a directory's checkpoint, log root and seals"),
        ("audit", "replay, and check every liquidation, ADL round and sum"),
        ("fsck", "re-derive every hash and file from the segments"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("directory", type=Path)
        command.add_argument("--json", action="store_true")
        if name == "verify":
            command.add_argument("--policy", type=Path, default=None)
        if name == "replay":
            command.add_argument("--from", dest="start", type=int, default=0)
            command.add_argument("--to", dest="end", type=int, default=None)
    return parser


def _answer(options: argparse.Namespace) -> Answer:
    if options.command == "replay":
        place = str(options.directory)
        report = run_replay(place, options.start, options.end, in_one_walk(place, run_part))
        return report.is_equal, replay_document(report), replay_lines(report)
    if options.command == "verify" and not options.directory.is_dir():
        verdict = verify_file(options.directory, options.policy)
        return verdict.holds, verdict_document(verdict), verdict_lines(verdict)
    if options.command == "verify":
        trust = load_trust(options.policy)
        document, lines = verify_directory(options.directory, trust=trust)
        return document["ok"], document, lines
    if options.command == "audit":
        audited = run_audit(options.directory)
        return audited.is_clean, audit_document(audited), audit_lines(audited)
    found = run_fsck(options.directory)
    document = {"ok": found.is_clean, "problems": problems_document(found)}
    lines = problem_lines(found) or [f"clean      {found.blocks} blocks, {found.entries} entries"]
    return found.is_clean, document, lines


def _failed(code: int, error: ChainperpError) -> int:
    sys.stderr.write(f"error: {error}\n")
    return code
