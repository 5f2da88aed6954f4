"""Which build of the engine runs: compiled modules, or their sources (docs/compiled.md).

A compiled module is used only while all sources beside it are the ones it was made of: a list of
their hashes lies in the package. Otherwise one line on standard error says what differs, and the
sources run. Nothing here is imported by a rule; a tree without compiled modules pays nothing.
"""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
)
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

FLOORS: Final = (
    "base", "model", "parameters", "rules", "state", "transition", "evidence", "chain", "wire",
)  # fmt: skip
MANIFEST: Final = "compiled.json"
PACKAGE: Final = Path(__file__).resolve().parent


class Build(NamedTuple):
    """What runs: the number of compiled modules, 0 in pure Python, and why those here do not."""

    modules: int
    refused: str

    @property
    def words(self) -> str:
        """As `chainperp --version` says it."""
        if self.modules:
            return f"compiled, {self.modules} modules"
        return f"pure Python; {self.refused}" if self.refused else "pure Python"


class Sources:
    """Finds the source of a module of this package where a compiled module would come first."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The source file's spec, or None for what is not ours."""
        if not name.startswith("chainperp."):
            return None
        for entry in path or ():
            finder = FileFinder(entry, (SourceFileLoader, SOURCE_SUFFIXES))
            if (spec := finder.find_spec(name)) is not None:
                return spec
        return None


def choose_build() -> Build:
    """Look at what is in the package; where the compiled modules are stale, use the sources."""
    compiled = compiled_modules(PACKAGE)
    if not compiled:
        return Build(0, "")
    refused = difference(PACKAGE, compiled)
    if not refused:
        return Build(len(compiled), "")
    sys.meta_path.insert(0, Sources())
    sys.stderr.write(f"chainperp: {refused}; running pure Python (make compile renews it)\n")
    return Build(0, refused)


def compiled_modules(package: Path) -> list[str]:
    """Compiled modules that this interpreter could load, as `floor/module`, in order."""
    found = []
    for floor in FLOORS:
        for folder, _, names in os.walk(package / floor):
            place = Path(folder).relative_to(package).as_posix()
            for name in names:
                module, dot, suffix = name.partition(".")
                if dot + suffix in EXTENSION_SUFFIXES:
                    found.append(f"{place}/{module}")
    return sorted(found)


def difference(package: Path, compiled: list[str]) -> str:
    """How the package differs from what its modules were compiled from; empty when it does not."""
    import hashlib
    import json

    try:
        manifest = json.loads((package / MANIFEST).read_bytes())
        expected, modules = dict(manifest["sources"]), list(manifest["modules"])
    except (OSError, ValueError, KeyError, TypeError):
        return "compiled modules without a list of their sources are ignored"
    if compiled != modules:
        return "compiled modules are missing or left over"
    found = {
        name: hashlib.sha256((package / name).read_bytes()).hexdigest()
        for name in source_files(package)
    }
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            return f"compiled modules are stale, chainperp/{name} differs"
    return ""


def source_files(package: Path) -> list[str]:
    """Sources of the floors that are compiled, as paths in the package, in order."""
    found = [path for floor in FLOORS for path in (package / floor).rglob("*.py")]
    return sorted(path.relative_to(package).as_posix() for path in found)
