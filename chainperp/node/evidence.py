"""`GET /proof/…` and `GET /explain/…`: evidence about the node's own log.

Proofs of an account's state re-execute blocks, which must not hold up the engine, so each request
is a short process of its own: the same command that an auditor runs on the directory.

    /proof/tx/0x…            a transaction with its result and all its effects
    /proof/entry/INDEX       one log entry, as C2SP .tlog-proof
    /proof/account/0x…       cash and positions (?height=H)
    /proof/absence/0x…       that an account did not exist (?height=H)
    /proof/solvency/0x…      an account's claim in all that is owed (?height=H)
    /proof/adl/0x…?block=H   why it was, or was not, auto-deleveraged
    /proof/liq/0x…?block=H   that a liquidation was due
    /explain/tx/0x… /explain/fill/TID /explain/liq/0x… /explain/adl/0x… /explain/rule/CODE
"""

import asyncio
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from chainperp.base.errors import EXIT_OK, EXIT_UNREACHABLE, EXIT_USAGE

AT_ONCE: Final = 2
SECONDS_MAX: Final = 60
HASH: Final = r"0x[0-9a-fA-F]{64}"
ADDRESS: Final = r"0x[0-9a-fA-F]{40}"
NUMBER: Final = r"[0-9]{1,15}"
CODE: Final = r"[A-Z]{3}-[0-9]{1,3}"

STATUS: Final = {EXIT_OK: 200, EXIT_USAGE: 400, EXIT_UNREACHABLE: 404}


class Form(NamedTuple):
    """What a path names: the argument's form, options it needs, and options it may have."""

    argument: str
    needed: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    has_directory: bool = True


FORMS: Final[dict[tuple[str, str], Form]] = {
    ("prove", "tx"): Form(HASH),
    ("prove", "entry"): Form(NUMBER),
    ("prove", "account"): Form(ADDRESS, optional=("height",)),
    ("prove", "absence"): Form(ADDRESS, optional=("height", "market")),
    ("prove", "solvency"): Form(ADDRESS, optional=("height",)),
    ("prove", "adl"): Form(ADDRESS, ("block",), ("market",)),
    ("prove", "liq"): Form(ADDRESS, ("block",), ("market",)),
    ("explain", "tx"): Form(HASH),
    ("explain", "fill"): Form(NUMBER),
    ("explain", "liq"): Form(ADDRESS, optional=("height",)),
    ("explain", "adl"): Form(ADDRESS, optional=("height",)),
    ("explain", "rule"): Form(CODE, has_directory=False),
}


class Found(NamedTuple):
    """An answer: its HTTP status, its bytes, and whether they are plain text."""

    status: int
    body: bytes
    is_text: bool


class Evidence:
    """Runs the commands, a few at a time."""

    def __init__(self, directory: Callable[[], Path]) -> None:
        self.directory = directory
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def answer(
        self, command: str, kind: str, argument: str, options: Mapping[str, str]
    ) -> Found:
        """The command's answer, or one line that says why there is none."""
        form = FORMS.get((command, kind))
        if form is None:
            return _text(404, "there is nothing here")
        refusal = _refusal(form, argument, options)
        if refusal is not None:
            return _text(400, refusal)
        arguments = [command, kind]
        if form.has_directory:
            arguments.append(str(self.directory()))
        arguments.append(argument)
        for name, value in options.items():
            arguments += [f"--{name}", value]
        if command == "explain":
            arguments.append("--json")
        async with self._turn:
            return await self._run(arguments, is_text=kind == "entry")

    async def _run(self, arguments: list[str], *, is_text: bool) -> Found:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "chainperp", *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(SECONDS_MAX):
                out, err = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            return _text(503, f"this takes longer than {SECONDS_MAX} s; ask the data directory")
        except asyncio.CancelledError:
            process.kill()
            raise
        status = STATUS.get(process.returncode or 0, 500)
        if status == 200:
            return Found(status, out, is_text)
        return _text(status, _reason(err.decode(errors="replace"), str(self.directory())))


def _refusal(form: Form, argument: str, options: Mapping[str, str]) -> str | None:
    """What is wrong with a request, or None."""
    if re.fullmatch(form.argument, argument, re.ASCII) is None:
        return "the last part of the path is not what this proof is about"
    for name in form.needed:
        if name not in options:
            return f"?{name}=NUMBER is needed"
    for name, value in options.items():
        if name not in (*form.needed, *form.optional):
            return f"there is no option {name[:20]!a} here"
        if re.fullmatch(NUMBER, value, re.ASCII) is None:
            return f"?{name} is a whole number"
    return None


def _reason(said: str, directory: str) -> str:
    """The sentence of a failed command, without the machine's own paths."""
    lines = [line for line in said.splitlines() if line.startswith("error: ")]
    sentence = lines[0].removeprefix("error: ") if lines else "a fault of the node"
    return sentence.replace(directory, "the log")[:1000]


def _text(status: int, text: str) -> Found:
    return Found(status, text.encode(), True)
