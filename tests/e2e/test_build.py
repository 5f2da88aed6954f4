"""Compiled modules run only beside the sources they were made of.

The modules here are not compiled at all but a few bytes under the name of one: whoever loads them
fails, so it shows which of the two was chosen.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from chainperp.build import FLOORS, MANIFEST, source_files
from tests.support.chain import ROOT
from tests.tidy.test_tree import LOW_FLOORS

SUFFIX = EXTENSION_SUFFIXES[0]
ASK = (
    "import chainperp; print(chainperp.BUILD.words); import chainperp.base.units as u; print(u.E8)"
)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package whose `base.units` claims to be compiled from these sources."""
    found = tmp_path / "chainperp"
    found.mkdir()
    for name in ("__init__.py", "build.py"):
        shutil.copy(ROOT / "chainperp" / name, found)
    shutil.copytree(ROOT / "chainperp" / "base", found / "base")
    for path in found.rglob(f"*{SUFFIX}"):
        path.unlink()
    (found / "base" / f"units{SUFFIX}").write_bytes(b"not a module")
    sources = {
        name: hashlib.sha256((found / name).read_bytes()).hexdigest()
        for name in source_files(found)
    }
    made = {"modules": ["base/units"], "optimisation": "2", "sources": sources}
    (found / MANIFEST).write_text(json.dumps(made), encoding="ascii")
    return found


def ask(package: Path) -> subprocess.CompletedProcess[str]:
    """Which build a process says it runs, and whether it can import the module."""
    environment = {"PYTHONPATH": str(package.parent), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-S", "-c", ASK]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_fresh_modules_are_used(package: Path) -> None:
    """The file that is no module is what Python is told to load."""
    done = ask(package)
    assert "compiled, 1 modules" in done.stdout
    assert "ImportError" in done.stderr


def test_a_changed_source_is_run_itself(package: Path) -> None:
    """One byte in another file of the floors is enough, and one line says which."""
    path = package / "base" / "rounding.py"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    done = ask(package)
    assert done.returncode == 0
    assert done.stdout.startswith("pure Python; compiled modules are stale")
    assert done.stderr == (
        "chainperp: compiled modules are stale, chainperp/base/rounding.py differs; "
        "running pure Python (make compile renews it)\n"
    )


@pytest.mark.parametrize("spoil", ["no list", "left over", "new source"])
def test_whatever_does_not_fit_is_ignored(package: Path, spoil: str) -> None:
    """No list of sources, a module too many, a source that the compiler never saw."""
    if spoil == "no list":
        (package / MANIFEST).unlink()
    elif spoil == "left over":
        (package / "base" / f"gone{SUFFIX}").write_bytes(b"not a module")
    else:
        (package / "base" / "added.py").write_text("", encoding="ascii")
    done = ask(package)
    assert done.returncode == 0
    assert done.stdout.startswith("pure Python; compiled modules")
    assert done.stderr.startswith("chainperp: compiled modules")
    assert done.stderr.count("\n") == 1


def test_the_floors_are_those_of_the_tidy_test() -> None:
    """A floor that is renamed there and not here would be compiled and never checked."""
    assert (*LOW_FLOORS, "wire") == FLOORS
