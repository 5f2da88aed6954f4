"""`@nktkas/hyperliquid` for Node, installed by npm into a cache outside the tree at test time."""

import json
import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Final

from tests.conformance.clients.market import quote
from tests.conformance.clients.report import Recorder
from tests.support.node import NodeProcess, account

HERE: Final = Path(__file__).parent / "typescript"
INSTALL_SECONDS: Final = 180
RUN_SECONDS: Final = 240
KEYS: Final = 21


class NotInstalled(Exception):
    """npm is missing, or could not fetch the packages."""


def installed() -> Path:
    """A directory with the packages, made once. Raises NotInstalled saying why there is none."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise NotInstalled("npm is not installed")
    wanted = (HERE / "package.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME", "") or Path.home() / ".cache")
    target = cache / "chainperp-conform" / sha256(wanted).hexdigest()[:16]
    if not (target / "complete").exists():
        target.mkdir(parents=True, exist_ok=True)
        (target / "package.json").write_bytes(wanted)
        command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock"]
        try:
            done = subprocess.run(
                command, cwd=target, capture_output=True, text=True, timeout=INSTALL_SECONDS,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise NotInstalled(f"npm install took more than {INSTALL_SECONDS} s") from None
        if done.returncode:
            raise NotInstalled("npm install failed: " + done.stderr.strip().splitlines()[-1][:200])
        (target / "complete").touch()
    # Module resolution starts from the script, so it has to lie beside its packages.
    shutil.copy(HERE / "run.mjs", target / "run.mjs")
    return target


def run(node: NodeProcess) -> Recorder:
    """All of the TypeScript SDK against a node."""
    recorder = Recorder("TypeScript SDK")
    try:
        where = installed()
    except NotInstalled as error:
        recorder.skipped = str(error)
        return recorder
    quote(node)
    keys = json.dumps([account(index).secret for index in range(KEYS)])
    done = subprocess.run(
        ["node", "run.mjs", node.url, node.ws_url, keys],
        cwd=where, capture_output=True, text=True, timeout=RUN_SECONDS, check=False,
    )  # fmt: skip
    for line in done.stdout.splitlines():
        row, method, word, text = json.loads(line)
        recorder.note(row, method, word, text)
    if done.returncode:
        recorder.note("run", "run.mjs", "failed", done.stderr[-400:])
    return recorder
