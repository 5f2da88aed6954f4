"""Builds the package; with CHAINPERP_COMPILE=1 floors 0 to 4 and wire compiled too.

`pip install .` runs this file through setuptools. `make compile` runs `python setup.py compile`,
which leaves a second copy of the package, compiled, in build/compiled and touches nothing else.
Both compile the same sources with mypyc. Where that cannot be (no C compiler, no Python.h, no
mypyc) one line says why, and the package is pure Python as before. See docs/compiled.md.
"""

import hashlib
import json
import os
import re
import shutil
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setuptools import Distribution, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from chainperp.build import (  # noqa: E402  (this checkout's, not another's)
    MANIFEST,
    compiled_modules,
    difference,
    source_files,
)

MYPY = "mypy==2.4.1"  # brings mypyc; the version of constraints.txt
QUICK = sys.argv[1:] == ["compile", "quick"]
LEVEL = "0" if QUICK else os.environ.get("MYPYC_OPT_LEVEL", "2")
COPIED = {".py", ".toml", ".json", ".html", ".typed"}
OUTPUT = ROOT / "build/compiled"
WORK = ROOT / "build/mypyc"
# What stays Python: errors, because floors above derive their own from them; tools of auditors that
# are not on the path from a transaction to its entry; calls of C with memory of each thread's own,
# which is a class that the compiler does not know.
PURE = ("base/errors.py", "evidence/verifier/", "chain/audit/", "chain/proving/", "wire/curve.py")
# These are compiled all the same: a class of theirs derives from a compiled one.
DERIVED = ("chain/proving/source.py",)
RULE = re.compile(r'^(@rule\("[A-Z]{3}-\w+"\))\n((?:@.*\n)*def (\w+)\()', re.MULTILINE)


def wanted() -> bool:
    """Whether the environment asks for compiled modules."""
    return os.environ.get("CHAINPERP_COMPILE", "") not in ("", "0")


def obstacle() -> str | None:
    """Why this machine cannot compile, or None."""
    command = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(command) is None:
        return f"no C compiler ({command})"
    if not Path(sysconfig.get_paths()["include"], "Python.h").is_file():
        return "no Python.h (the development files of this Python)"
    try:
        import mypyc.build  # noqa: F401
    except ImportError:
        return f"no mypyc ({MYPY} brings it)"
    return None


def staged(source: str) -> str:
    """A module as the compiler reads it: `@rule("MRG-1")` above a function becomes
    `rule("MRG-1")(function)` at the end of the module. It registers the same, and a call of an
    undecorated function is a plain C call."""
    registrations = "".join(f"{found[1][1:]}({found[3]})\n" for found in RULE.finditer(source))
    return RULE.sub(r"\n\2", source) + registrations


def stage_sources(stage: Path) -> list[str]:
    """Copy the package to where the compiler reads it; the modules to compile. Their list, with the
    hashes of all sources as they were at this moment, lies beside the copy."""
    package = stage / "chainperp"
    shutil.rmtree(stage, ignore_errors=True)
    shutil.copytree(ROOT / "chainperp", package, ignore=_caches)
    sources = {
        name: hashlib.sha256((package / name).read_bytes()).hexdigest()
        for name in source_files(package)
    }
    names = [
        name for name in sources
        if (name in DERIVED or not name.startswith(PURE)) and (package / name).stat().st_size
    ]  # fmt: skip
    modules = [name.removesuffix(".py") for name in names]
    made = {"modules": sorted(modules), "optimisation": LEVEL, "sources": sources}
    (stage / MANIFEST).write_text(json.dumps(made, indent=1) + "\n", encoding="ascii")
    for name in names:
        path = package / name
        path.write_text(staged(path.read_text(encoding="utf-8")), encoding="utf-8")
    return names


def extensions() -> list[Any]:
    """One extension per module and one with the code of all, as C below build/mypyc."""
    from mypyc.build import mypycify

    stage = WORK / "stage"
    names = stage_sources(stage)
    before = Path.cwd()
    os.chdir(stage)
    try:
        found: list[Any] = mypycify(
            ["--config-file", str(ROOT / "pyproject.toml"), f"--cache-dir={WORK / 'cache'}",
             *(f"chainperp/{name}" for name in names)],
            opt_level=LEVEL,
            debug_level="0",
            multi_file=True,
            target_dir=str(WORK / "c"),
            group_name="chainperp",
        )  # fmt: skip
    finally:
        os.chdir(before)
    for extension in found:
        extension.sources = _bundled(extension.sources)
    return found


def _bundled(sources: list[str]) -> list[str]:
    """The C files of modules, gathered into two: fewer headers to read, and the compiler sees more
    at once. The files of mypyc's own library, which are small, are gathered into a third."""
    modules = [name for name in sources if "__native_chainperp___" in name]
    if not modules:
        return sources
    bundles: list[list[str]] = [[], []]
    sizes = [0, 0]
    for name in sorted(modules, key=os.path.getsize, reverse=True):
        least = sizes.index(min(sizes))
        bundles[least].append(name)
        sizes[least] += os.path.getsize(name)
    shared = [name for name in sources if "__native_chainperp.c" in name]
    bundles.append([name for name in sources if name not in modules and name not in shared])
    written = []
    for number, names in enumerate(bundles):
        path = WORK / "c" / f"bundle_{number}.c"
        path.write_text("".join(f'#include "{os.path.basename(name)}"\n' for name in sorted(names)))
        written.append(str(path))
    return [*written, *shared]


class BuildModules(build_ext):  # type: ignore[misc]  # setuptools has no types here
    """Compiles on all cores and notes which sources the modules are made of."""

    def build_extensions(self) -> None:
        """Compile everything at once, then link."""
        units = [(one, source) for one in self.extensions for source in one.sources]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            objects = dict(pool.map(lambda unit: self._compile(*unit), units))
            list(pool.map(lambda one: self._link(one, objects), self.extensions))
        shutil.copy(WORK / "stage" / MANIFEST, Path(self.build_lib, "chainperp"))

    def _compile(self, extension: Any, source: str) -> tuple[str, list[str]]:
        made: list[str] = self.compiler.compile(
            [source],
            output_dir=self.build_temp,
            include_dirs=extension.include_dirs,
            extra_postargs=extension.extra_compile_args,
        )
        return source, made

    def _link(self, extension: Any, objects: dict[str, list[str]]) -> None:
        parts = [name for source in extension.sources for name in objects[source]]
        target = self.get_ext_fullpath(extension.name)
        self.compiler.link_shared_object(parts, target, build_temp=self.build_temp)


def _caches(_folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name == "__pycache__"}


def compile_copy() -> None:
    """Write build/compiled: the package as it is now, with its modules compiled beside it."""
    if is_fresh():
        sys.stderr.write("build/compiled is up to date\n")
        return
    shutil.rmtree(OUTPUT, ignore_errors=True)
    reason = obstacle()
    if reason is not None:
        sys.stderr.write(f"warning: not compiled, {reason}; pure Python does the same work\n")
        return
    shutil.copytree(ROOT / "chainperp", OUTPUT / "chainperp", ignore=_caches)
    command = BuildModules(Distribution({"name": "chainperp", "ext_modules": extensions()}))
    command.build_lib, command.build_temp = str(OUTPUT), str(WORK / "objects")
    command.ensure_finalized()
    command.run()


def is_fresh() -> bool:
    """Whether build/compiled is made of this tree, file for file, by at least these options."""
    package, copy = ROOT / "chainperp", OUTPUT / "chainperp"
    listed = [path.relative_to(package) for path in package.rglob("*") if path.suffix in COPIED]
    here = [path for path in copy.rglob("*") if path.suffix in COPIED]
    same = len(here) == len(listed) + 1 and all(
        (copy / name).is_file() and (copy / name).read_bytes() == (package / name).read_bytes()
        for name in listed
    )
    if not same or difference(copy, compiled_modules(copy)):
        return False
    made: str = json.loads((copy / MANIFEST).read_bytes())["optimisation"]
    return made >= LEVEL


def install() -> None:
    """What setuptools runs. An editable install is of the sources and never compiled."""
    if not wanted() or "editable_wheel" in sys.argv:
        setup()
        return
    asked = "bdist_wheel" not in sys.argv  # setuptools asks what it needs before it builds
    reason = None if asked else obstacle()
    if reason is not None:
        sys.stderr.write(f"warning: not compiled, {reason}; installing pure Python\n")
        setup()
        return
    setup(
        setup_requires=[MYPY],
        ext_modules=[] if asked else extensions(),
        cmdclass={"build_ext": BuildModules},
    )


if __name__ == "__main__":
    if QUICK or sys.argv[1:] == ["compile"]:
        compile_copy()
    else:
        install()
