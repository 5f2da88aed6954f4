"""Builds the package; with CHAINPERP_COMPILE=1 its floors 0 to 4 as compiled modules too.

`pip install .` runs this file through setuptools. `make compile` runs `python setup.py compile`,
which leaves a second copy of the package, compiled, in build/compiled and touches nothing else.
Both compile the same sources with mypyc. Where that cannot be (no C compiler, no Python.h, no
mypy) one line says why, and the package is pure Python as before. See docs/compiled.md.
"""

import hashlib
import json
import os
import shutil
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setuptools import Distribution, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
FLOORS = ("base", "model", "parameters", "rules", "state", "transition", "evidence", "chain")
MANIFEST = "chainperp/compiled.json"
MYPY = "mypy==2.4.1"  # brings mypyc; the version of constraints.txt
OUTPUT = Path("build/compiled")
WORK = Path("build/mypyc")


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


def sources() -> list[str]:
    """The modules that are compiled, as paths from the root. Empty packages stay as they are."""
    found = [path for floor in FLOORS for path in (ROOT / "chainperp" / floor).rglob("*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found if path.stat().st_size)


def extensions() -> list[Any]:
    """C sources of all modules as one group, written to build/mypyc; one extension per module."""
    from mypyc.build import mypycify

    WORK.mkdir(parents=True, exist_ok=True)
    found: list[Any] = mypycify(
        ["--config-file", "pyproject.toml", *sources()],
        opt_level=os.environ.get("MYPYC_OPT_LEVEL", "2"),
        debug_level="0",
        multi_file=True,
        target_dir=str(WORK),
        group_name="chainperp",
    )
    return found


class BuildModules(build_ext):
    """Compiles on all cores, only what changed, and notes which sources the modules are made of."""

    def build_extensions(self) -> None:
        """Compile everything at once, then link."""
        units = [(one, source) for one in self.extensions for source in one.sources]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(lambda unit: self._compile(*unit), units))
            list(pool.map(self._link, self.extensions))
        self._note_sources()

    def _compile(self, extension: Any, source: str) -> None:
        inputs = [source, *extension.depends]
        if self.force or _newest(inputs) >= _newest([self._object(source)]):
            self.compiler.compile(
                [source],
                output_dir=self.build_temp,
                include_dirs=extension.include_dirs,
                extra_postargs=extension.extra_compile_args,
            )

    def _link(self, extension: Any) -> None:
        target = self.get_ext_fullpath(extension.name)
        objects = [self._object(source) for source in extension.sources]
        if _newest(objects) >= _newest([target]):
            self.compiler.link_shared_object(objects, target, build_temp=self.build_temp)

    def _object(self, source: str) -> str:
        names: list[str] = self.compiler.object_filenames([source], output_dir=self.build_temp)
        return names[0]

    def _note_sources(self) -> None:
        digests = {
            name.removeprefix("chainperp/"): hashlib.sha256(Path(name).read_bytes()).hexdigest()
            for name in sources()
        }
        text = json.dumps({"sources": digests}, indent=1) + "\n"
        Path(self.build_lib, MANIFEST).write_text(text, encoding="ascii")


def _newest(paths: list[str]) -> float:
    """Time of the newest of these files; a file that is not there is older than all."""
    return max(os.path.getmtime(path) if os.path.exists(path) else 0.0 for path in paths)


def compile_copy() -> None:
    """Write build/compiled: the package as it is now, with its modules compiled beside it."""
    os.chdir(ROOT)
    reason = obstacle()
    if reason is not None:
        sys.stderr.write(f"warning: not compiled, {reason}; pure Python does the same work\n")
        return
    target = OUTPUT / "chainperp"
    for path in target.rglob("*") if target.exists() else ():
        if path.suffix in (".py", ".json", ".toml"):
            path.unlink()
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree("chainperp", target, ignore=skip, dirs_exist_ok=True)
    command = BuildModules(Distribution({"name": "chainperp", "ext_modules": extensions()}))
    command.build_lib, command.build_temp = str(OUTPUT), str(WORK / "objects")
    command.ensure_finalized()
    command.run()


def install() -> None:
    """What setuptools runs. An editable install is of the sources and never compiled."""
    if not wanted() or "editable_wheel" in sys.argv:
        setup()
        return
    reason = obstacle()
    asked = {"egg_info", "dist_info"} & set(
        sys.argv
    )  # setuptools asks what it needs before it builds
    if reason is not None and not asked:
        sys.stderr.write(f"warning: not compiled, {reason}; installing pure Python\n")
        setup()
        return
    setup(
        setup_requires=[MYPY],
        ext_modules=[] if asked else extensions(),
        cmdclass={"build_ext": BuildModules},
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["compile"]:
        compile_copy()
    else:
        install()
