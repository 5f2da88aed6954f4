"""The committed artifacts are what the committed sources compile to, wherever that happens."""

import re
import shutil
from pathlib import Path

import pytest

from contracts_py.artifact import load_artifact
from contracts_py.compile import (
    ARTIFACTS,
    CONTRACTS,
    RUNTIME_MAX,
    SOURCES,
    artifact_text,
    compile_contract,
)
from tests.evm.world import ORIGIN, World, deploy_anchor


@pytest.mark.parametrize("name", CONTRACTS)
def test_recompiling_gives_the_committed_artifact(name: str, tmp_path: Path) -> None:
    """From a copy of the sources at another path: no machine path is in an artifact."""
    elsewhere = shutil.copytree(SOURCES, tmp_path / "copy")
    committed = (ARTIFACTS / f"{name}.json").read_text(encoding="utf-8")
    assert artifact_text(compile_contract(name, elsewhere)) == committed, (
        "stale: run python -m contracts_py.compile"
    )


def test_every_contract_has_its_artifact_and_no_other() -> None:
    """Sources without a constructor are modules; the others are contracts."""
    made = sorted(path.stem for path in ARTIFACTS.glob("*.json"))
    deployed = sorted(path.stem for path in SOURCES.glob("[A-Z]*.vy"))
    assert made == deployed == sorted(CONTRACTS)


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_public_function_says_what_it_does(name: str) -> None:
    """The sources carry NatSpec for whatever can be called, and fit on a chain."""
    size = len(load_artifact(name).runtime_bytecode) // 2 - 1
    assert size <= RUNTIME_MAX
    for path in SOURCES.glob("*.vy"):
        text = path.read_text(encoding="utf-8")
        for part in text.split("@external\n")[1:]:
            comment = re.match(r'(?:@.*\n)*def [^"]*?:\n    """\n(.*?)"""', part, re.DOTALL)
            assert comment is not None, f"{path.name} lacks NatSpec: {part[:60]!r}"
            assert "@notice" in comment[1], f"{path.name}: {part[:60]!r}"


def test_deployed_code_is_the_artifact_with_its_immutables_behind() -> None:
    """How docs/contracts.md says that a deployment is checked."""
    world = World()
    anchor = deploy_anchor(world, dispute_s=100)
    code = bytes(world.web3.eth.get_code(anchor.address))
    immutables = ORIGIN + (100).to_bytes(32, "big")
    assert "0x" + code[: -len(immutables)].hex() == load_artifact("Anchor").runtime_bytecode
    assert code[-len(immutables) :] == immutables
