"""Golden chains give their roots, on this Python and on every other that is here."""

import json
from pathlib import Path

import pytest

from chainperp.model.decisions import REASONS, Kind, Rejection
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.wire.recovery import signers_of
from tests.golden import refusals, regenerate
from tests.golden.chains import Golden, all_chains, block_line, root_row, run
from tests.support.chain import ROOT

# Met only under conditions that a short chain does not have.
NOT_IN_THE_CHAIN = {
    Rejection.PERP_MAX_POSITION,  # needs a hundred million
    Rejection.MARGIN_CANCELED,  # property tests
    Rejection.REDUCE_ONLY_CANCELED,  # property tests
    Rejection.CROSS_MARGIN_FOR_LEVERAGE,  # rule tables
    Rejection.GRANT_FORBIDDEN,  # on Mainnet only: tests/attacks
    Rejection.VAULT_WORTHLESS,  # needs a vault that lost all but a millionth
}


def reasons_of(golden: Golden) -> set[int]:
    """Reasons and result codes of a chain."""
    met: set[int] = set()
    for sealed in run(golden):
        for raw in sealed.entries:
            entry = decode_entry(raw)
            fields = decode_payload(entry)
            if entry.kind is Kind.ORDER:
                met.add(fields["reason"])
            elif entry.kind in (Kind.TX_USER, Kind.TX_SYSTEM):
                met.add(fields["code"])
    return met


@pytest.mark.parametrize("golden", all_chains(), ids=lambda golden: golden.path.name)
def test_golden_chain_gives_its_roots(golden: Golden) -> None:
    """Every state root and every seal, at every height."""
    for sealed, expected in zip(run(golden), golden.roots, strict=True):
        assert root_row(sealed) == expected


def test_there_are_golden_chains() -> None:
    """The folder is not empty, and every maker's chain is there."""
    assert [golden.path.name for golden in all_chains()] == sorted(regenerate.MAKERS)


def test_signatures_of_the_crash_day_recover_to_their_signers() -> None:
    """The recorded signers are those that the signatures give."""
    golden = next(one for one in all_chains() if one.path.name == "crash-day")
    pairs = [pair for line in golden.lines() for pair in line["transactions"]]
    found = signers_of([bytes.fromhex(raw) for raw, _ in pairs], "Testnet")
    assert [signer.hex() if isinstance(signer, bytes) else signer for signer in found] == [
        signer for _, signer in pairs
    ]
    assert len(pairs) > 100


def test_refusal_inputs_are_those_of_the_script() -> None:
    """The chain of refusals is made by its script, byte for byte."""
    golden = next(one for one in all_chains() if one.path.name == "refusals")
    genesis, blocks = refusals.refused_blocks()
    assert genesis == golden.genesis
    assert [block_line(block) for block in blocks] == list(golden.lines())


def test_refusal_chain_meets_every_refusal() -> None:
    """Each reason occurs in some decision or result of the chain, or of the one with contracts."""
    met: set[int] = set()
    for golden in all_chains():
        if golden.path.name in ("refusals", "border"):
            met |= reasons_of(golden)
    missing = [reason.name for reason in REASONS if reason not in met | NOT_IN_THE_CHAIN]
    assert missing == []


def test_changed_roots_are_announced() -> None:
    """Golden roots change only together with a "Rule changes" entry that names them."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    section = text.partition("Rule changes")[2]
    assert regenerate.digest() in section, (
        f"golden roots are {regenerate.digest()}: add a Rule changes entry that says why"
    )


def test_a_changed_input_changes_the_roots(tmp_path: Path) -> None:
    """The comparison is not vacuous."""
    golden = next(one for one in all_chains() if one.path.name == "refusals")
    lines = list(golden.lines())
    lines[0]["time_ms"] += 1
    (tmp_path / "genesis.json").write_bytes(golden.genesis)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "blocks.jsonl").write_text(text, encoding="ascii")
    changed = [root_row(sealed) for sealed in run(Golden(tmp_path))]
    assert changed[0] == golden.roots[0]
    assert changed[1] != golden.roots[1]
