"""Writes the verifier as one script that works without the package.

The script is the sources themselves, word for word, as strings, and a loader of a few lines: who
has read the package has read the script. Which files it needs is found by following imports from
`cli/proof_files.py`.
"""

import ast
from pathlib import Path
from typing import Final

from chainperp import __version__
from chainperp.base.errors import InvariantBroken

ENTRY: Final = "chainperp.cli.proof_files"
PACKAGE: Final = Path(__file__).resolve().parent.parent

HEAD: Final = '''#!/usr/bin/env python3
"""The proof verifier of chainperp {version} in one file; needs Python 3.11 and nothing else.

    python3 -S -I verify.py PROOF [--policy FILE] [--json]

Signatures are checked when the package `cryptography` can be imported, otherwise they are reported
as not checked. Below stand {count} files of the package, {lines} lines, word for word; made by
`chainperp verify --emit-script`.
"""

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec

SOURCES = {{}}
'''

TAIL: Final = '''

class Embedded(MetaPathFinder, Loader):
    """Loads the modules above; a name with no source is a package."""

    def find_spec(self, name, path=None, target=None):
        package = any(other.startswith(name + ".") for other in SOURCES)
        if name in SOURCES or package:
            return ModuleSpec(name, self, is_package=package)
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        code = compile(SOURCES.get(name, ""), f"<verify.py {name}>", "exec")
        exec(code, module.__dict__)


if __name__ == "__main__":
    sys.meta_path.insert(0, Embedded())
    from chainperp.cli.proof_files import main

    sys.exit(main(sys.argv[1:]))
'''


def script() -> str:
    """Text of the stand-alone verifier."""
    modules = closure(ENTRY)
    sources = {name: _path(name).read_text(encoding="utf-8") for name in modules}
    lines = sum(len(text.splitlines()) for text in sources.values())
    parts = [HEAD.format(version=__version__, count=len(sources), lines=lines)]
    for name, text in sources.items():
        if "'''" in text or not text.endswith("\n"):
            raise InvariantBroken("INV-0", "a source cannot be quoted as it stands", module=name)
        parts.append(f"\nSOURCES[{name!r}] = r'''{text}'''\n")
    return "".join([*parts, TAIL])


def closure(entry: str) -> list[str]:
    """Modules of the package that a module imports, itself included, what is needed first."""
    done: dict[str, None] = {}
    open_: dict[str, None] = {}

    def visit(name: str) -> None:
        if name in done or name in open_:
            return
        open_[name] = None
        for other in _imports(name):
            visit(other)
        done[name] = None

    visit(entry)
    return list(done)


def _imports(name: str) -> list[str]:
    """Modules of the package that a module's source names in an import."""
    found: dict[str, None] = {}
    for node in ast.walk(ast.parse(_path(name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chainperp"):
            module = node.module or ""
            if _path(module).is_file():
                found[module] = None
            else:
                for alias in node.names:
                    found[f"{module}.{alias.name}"] = None
    return list(found)


def _path(name: str) -> Path:
    return PACKAGE.parent.joinpath(*name.split(".")).with_suffix(".py")
