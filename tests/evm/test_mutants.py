"""A contract without one of its guards fails the test that is there for it.

A few run with the suite, all of them with `make mutants`.
"""

import os
import shutil
from pathlib import Path

import pytest

from contracts_py import handle
from contracts_py.artifact import Artifact, load_artifact
from contracts_py.compile import SOURCES, compile_contract
from contracts_py.handle import Reverted
from tests.evm.mutants import MUTANTS, Mutant

ALL = os.environ.get("CHAINPERP_MUTANTS") == "1"
CHOSEN = [one for one in MUTANTS if ALL or one.is_quick]


def compile_mutant(mutant: Mutant, folder: Path) -> Artifact:
    """The contract without the guard."""
    sources = shutil.copytree(SOURCES, folder / "source")
    path = sources / f"{mutant.file}.vy"
    text = path.read_text(encoding="utf-8")
    found = text.count(mutant.old)
    assert found == mutant.count, f"{mutant.name}: the guard is there {found} times"
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    made = compile_contract(mutant.compiled, sources)
    return Artifact(mutant.compiled, made["abi"], made["bytecode"], made["runtime_bytecode"])


@pytest.mark.parametrize("mutant", CHOSEN, ids=[one.name for one in CHOSEN])
def test_guard_is_tested(mutant: Mutant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each named test fails without the guard; with it, it passes in its own file."""
    changed = compile_mutant(mutant, tmp_path)

    def load(contract: str) -> Artifact:
        return changed if contract == mutant.compiled else load_artifact(contract)

    monkeypatch.setattr(handle, "load_artifact", load)
    for test in mutant.tests:
        try:
            test()
        except (AssertionError, Reverted, LookupError, pytest.fail.Exception):
            continue
        raise AssertionError(f"{test.__name__} passes without the guard: {mutant.name}")


def test_names_are_unique() -> None:
    """A name stands for one guard."""
    names = [one.name for one in MUTANTS]
    assert len(set(names)) == len(names)
