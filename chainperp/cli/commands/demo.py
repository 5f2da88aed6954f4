"""`chainperp demo`: the main job, from genesis to a second process that checks everything."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chainperp.base.errors import EXIT_FALSE
from chainperp.base.units import address_text, usd_text
from chainperp.cli import output

if TYPE_CHECKING:
    from chainperp.cli.demo.border import Border
    from chainperp.cli.demo.run import Demo, Tally

Check = tuple[str, bool, str]


def demo(
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same bytes.")] = 1,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where to keep the chain; a new folder otherwise.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Run a real chain of signed trading, then replay and verify it. Example: chainperp demo"""
    start = perf_counter()
    parent = None
    if directory is None:
        parent = Path(tempfile.mkdtemp(prefix="chainperp-demo-"))
        directory = parent / "chain"
    output.say(
        "two hours of 10 October 2025: 4 validators, 8 market makers, 200 takers, 4 markets; "
        "every request signed through eth-account"
    )
    run, tally = _build(directory, seed)
    built = perf_counter() - start
    checks = [
        _timed("the waterfall ran, its sums are exact", lambda: _waterfall(run, tally)),
        _timed("where every dollar of the crash went", lambda: _money(run)),
        _timed("deposit, trade, payout, purchase on the EVM", lambda: _border(run)),
        _timed("replay from genesis, second process", lambda: _replayed(directory, tally)),
        _timed("replay from the last snapshot", lambda: _from_snapshot(directory)),
        _timed("verification of the log", lambda: _verified(directory)),
        _timed("the log against its Anchor contract", lambda: _anchored(directory)),
        _timed("one byte flipped in a copy", lambda: _flipped(directory)),
        _timed("one fee changed, checksum repaired", lambda: _forged(directory)),
    ]
    passed = all(ok for _, ok, _ in checks)
    document = {
        "ok": passed,
        "directory": str(directory),
        "seconds": round(perf_counter() - start, 1),
        "height": run.sequencer.engine.height,
        "log_size": run.sequencer.engine.frontier.size,
        "log_root": run.sequencer.engine.frontier.root().hex(),
        "tally": _tally_document(tally),
        "waterfall": tally.waterfall.document(run.sequencer.engine.state),
        "money": run.money_table().document(),
        "border": None if run.border is None else asdict(run.border),
        "try": _to_try(directory, tally, run.border),
        "checks": [{"check": name, "ok": ok, "detail": detail} for name, ok, detail in checks],
    }
    if as_json:
        output.answer(document, [], as_json=True)
    else:
        _report(document, run, tally, checks, built)
    if not passed:
        raise typer.Exit(EXIT_FALSE)


def _build(directory: Path, seed: int) -> "tuple[Demo, Tally]":
    from chainperp.cli.demo.run import Demo

    run = Demo(directory, seed, has_border=True)
    with output.progress("blocks") as step:
        tally = run.run(step)
    return run, tally


def _timed(name: str, check: Callable[[], tuple[bool, str]]) -> Check:
    output.say(f"checking: {name}")
    start = perf_counter()
    ok, detail = check()
    return name, ok, f"{detail} ({perf_counter() - start:.1f} s)"


def _chainperp(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a command in a new process and read its JSON answer."""
    command = [sys.executable, "-m", "chainperp", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        return done.returncode, {"error": done.stderr.strip()}
    document: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, document


def _waterfall(run: "Demo", tally: "Tally") -> tuple[bool, str]:
    """Book, backstop and auto-deleveraging in two markets were reached; every sum is exact."""
    found = tally.waterfall
    if not found.is_whole():
        return False, (
            f"{found.book.fills} liquidation fills, {found.takeovers} takeovers, "
            f"auto-deleveraging in {len(found.rounds)} markets"
        )
    for name, one, other in found.equalities(run.sequencer.engine.state):
        if one != other:
            return False, f"{name}: {one} is not {other}"
    return True, (
        f"{len(found.scopes)} scopes failed their test, {found.takeovers} takeovers, "
        f"{sum(found.rounds.values())} ADL rounds in {len(found.rounds)} markets, uncovered 0"
    )


def _money(run: "Demo") -> tuple[bool, str]:
    """The fund turned fees into tokens and burned them; every row of the money table is exact."""
    table = run.money_table()
    if not table.grown("burned"):
        return False, "the fund bought nothing in the crash"
    for name, one, other in table.equalities():
        if one != other:
            return False, f"{name}: {one} is not {other}"
    bought = table.token_text(table.grown("burned"))
    return True, f"every row is exact; {bought} bought with fees and burned"


def _border(run: "Demo") -> tuple[bool, str]:
    """What crossed the border is equal on both sides, and all of it arrived."""
    told = run.border
    if told is None or not (told.purchases and told.traded and told.anchored):
        return False, f"something did not happen: {told}"
    for name, one, other in told.equalities():
        if one != other:
            return False, f"{name}: {one} is not {other}"
    return True, (
        f"{usd_text(told.deposited)} in, {usd_text(told.received)} out to the newcomer, "
        f"{usd_text(told.spent)} bought tokens that were burned"
    )


def _anchored(directory: Path) -> tuple[bool, str]:
    code, found = _chainperp("verify", str(directory), "--anchor", "genesis")
    if "error" in found:
        return False, found["error"]
    return code == 0 and found["ok"], f"{found['checks'][1]['detail']}; the EVM executed again"


def _to_try(directory: Path, tally: "Tally", border: "Border | None" = None) -> list[str]:
    """One command line about a winner who was closed, one about a loser who was sold, and so on."""
    found = tally.waterfall
    lines = [
        f"chainperp explain {what} {directory} {address_text(case.address)} --height {case.height}"
        for what, case in (("adl", found.taken), ("liq", found.liquidated))
        if case.address
    ]
    lines += [
        f"chainperp query fund {directory} --history",
        f"chainperp explain buyback {directory}",
    ]
    if border is not None:
        lines.append(f"chainperp verify {directory} --anchor genesis")
        lines.append(f"chainperp audit {directory} --jobs 2")
    return lines


def _replayed(directory: Path, tally: "Tally") -> tuple[bool, str]:
    code, found = _chainperp("replay", str(directory))
    checked = found.get("signatures_checked", 0)
    ok = code == 0 and found["equal"] and checked == tally.transactions + tally.votes
    return ok, found.get("error") or (
        f"{found['entries']} entries equal, {checked} signatures recovered"
    )


def _from_snapshot(directory: Path) -> tuple[bool, str]:
    code, found = _chainperp("replay", str(directory), "--from", "1000000000")
    ok = code == 0 and found["equal"] and 0 < found["blocks"] < found["height"]
    return ok, found.get("error") or f"{found['blocks']} blocks equal; {found['notes'][0]}"


def _verified(directory: Path) -> tuple[bool, str]:
    code, found = _chainperp("verify", str(directory))
    if "error" in found:
        return False, found["error"]
    signature = found["checks"][0]["result"]
    return code == 0 and found["ok"], f"checkpoint signature {signature}, seals, tiles, custody"


def _flipped(directory: Path) -> tuple[bool, str]:
    """Flip one byte in the middle of a segment of a copy: a checksum names the place."""
    with tempfile.TemporaryDirectory(prefix="chainperp-tamper-") as scratch:
        copy = _copy(directory, scratch)
        segment = sorted((copy / "segments").iterdir())[0]
        raw = bytearray(segment.read_bytes())
        raw[len(raw) // 2] ^= 0x01
        segment.write_bytes(raw)
        code, found = _chainperp("fsck", str(copy))
        if code != EXIT_FALSE or not found.get("problems"):
            return False, f"not found: exit {code}"
        problem = found["problems"][0]
        name = Path(problem["file"]).name
        return True, f"found: {name} at {problem['where']}, {problem['found']}"


def _forged(directory: Path) -> tuple[bool, str]:
    """Change a fee in a copy and repair the checksum, as an operator could: replay names it."""
    from chainperp.cli.demo.forge import forge_fee

    with tempfile.TemporaryDirectory(prefix="chainperp-tamper-") as scratch:
        copy = _copy(directory, scratch)
        forge_fee(copy)
        code, found = _chainperp("replay", str(copy))
        if code != EXIT_FALSE or not found.get("divergence"):
            return False, f"not found: exit {code}"
        where = found["divergence"]
        return True, (
            f"found: block {where['height']} entry {where['entry']}, {where['collection']} "
            f"{where['record']}, {where['field']} {where['found']} instead of {where['expected']}"
        )


def _copy(directory: Path, scratch: str) -> Path:
    copy = Path(scratch) / "copy"
    shutil.copytree(directory, copy, ignore=shutil.ignore_patterns("LOCK", "log.key"))
    return copy


def _tally_document(tally: "Tally") -> dict[str, Any]:
    return {
        "blocks": tally.blocks,
        "entries": tally.entries,
        "transactions": tally.transactions,
        "oracle_votes": tally.votes,
        "fills": tally.fills,
        "volume": usd_text(tally.volume),
        "fees": usd_text(tally.fees),
        "funding_payments": tally.fundings,
        "funding_paid": usd_text(tally.funding_paid),
        "orders": dict(sorted(tally.orders.items())),
        "refused": dict(sorted(tally.refused.items())),
    }


def _report(
    document: dict[str, Any], run: "Demo", tally: "Tally", checks: list[Check], built: float
) -> None:
    money = [
        ["signed transactions", f"{tally.transactions:,}"],
        ["signed oracle votes", f"{tally.votes:,}"],
        ["blocks", f"{tally.blocks:,}"],
        ["log entries", f"{tally.entries:,}"],
        ["fills", f"{tally.fills:,}"],
        ["volume, USDC", f"{tally.volume // 1_000_000:,}"],
        ["fees, USDC", usd_text(tally.fees)],
        ["funding paid, USDC", usd_text(tally.funding_paid)],
        ["seconds to make it durable", f"{built:.1f}"],
    ]
    output.table("the chain", ["what", "how much"], money)
    coins = [
        [coin, f"{fills:,}", f"{volume // 1_000_000:,}"]
        for coin, (fills, volume) in sorted(tally.coins.items())
    ]
    output.table("trading", ["market", "fills", "volume, USDC"], coins)
    outcomes = sorted({**tally.orders, **tally.refused}.items(), key=lambda row: (-row[1], row[0]))
    rows = [
        [name, "refused" if name in tally.refused else "accepted", f"{count:,}"]
        for name, count in outcomes
    ]
    output.table("decisions", ["outcome", "", "count"], rows)
    state = run.sequencer.engine.state
    waterfall = tally.waterfall
    columns = ["step", "count", "USDC"]
    output.table("the waterfall in money", columns, waterfall.money_rows())
    output.table("the backstop vault", ["cell", "USDC"], waterfall.vault_rows(state))
    equal = [[name, "yes" if one == other else f"NO: {one} and {other}"]
             for name, one, other in waterfall.equalities(state)]  # fmt: skip
    table = run.money_table()
    output.table("where every dollar of the crash went", ["from 21:13 on", "USDC"], table.rows())
    equalities = table.equalities()
    if run.border is not None:
        output.table("the border to the EVM", ["what", "USDC"], run.border.rows())
        equalities += run.border.equalities()
    equal += [[name, "yes" if one == other else f"NO: {one} and {other}"]
              for name, one, other in equalities]  # fmt: skip
    output.table("equal to the micro-dollar", ["what", ""], equal)
    funds = [
        ["custody", usd_text(state.custody)],
        ["sum of all accounts and pending withdrawals", usd_text(_cash(run))],
        ["difference", usd_text(state.custody - _cash(run))],
    ]
    output.table("money", ["cell", "USDC"], funds)
    verdicts = [[name, "yes" if ok else "NO", detail] for name, ok, detail in checks]
    output.table("checks", ["check", "passed", "what was seen"], verdicts)
    lines = [
        f"chain      {document['directory']}",
        f"log        size {document['log_size']}, root {document['log_root']}",
        f"took       {document['seconds']} s",
        f"the fund   {table.tokens_line()}",
        f"routing    {table.routing_line()}",
        *(f"try        {line}" for line in document["try"]),
    ]
    output.answer(document, lines, as_json=False)


def _cash(run: "Demo") -> int:
    """Every cell, added up again from the accounts."""
    state = run.sequencer.engine.state
    total = sum(account.raw + account.raw_isolated_total for account in state.accounts.values())
    total += sum(state.spot[0].values())
    return total + sum(pending.amount for pending in state.withdrawals.values())
