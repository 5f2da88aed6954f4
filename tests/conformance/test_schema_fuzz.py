"""schemathesis drives the node from its own description, for a bounded time.

Every answer must have a status, a type and a shape that `/openapi.json` names, and never be a 5xx.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.node import ROOT, running_node

SECONDS = int(os.environ.get("CHAINPERP_FUZZ_SECONDS", "15"))
CASES_MIN = 20
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,unsupported_method"
)


def test_the_node_keeps_to_its_own_description(tmp_path: Path) -> None:
    """Bodies that fit the description and bodies that do not, to every operation."""
    with running_node(None, "--dev") as node:
        script = Path(sys.executable).with_name("schemathesis")
        command = [
            str(script), "run", f"{node.url}/openapi.json", "--checks", CHECKS,
            "--max-time", str(SECONDS), "--phases", "coverage,fuzzing", "--max-examples", "1000",
            "--workers", "2", "--no-color", "--warnings", "off", "--no-shrink", "--seed", "1",
            "--generation-database", ":memory:",
        ]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS + 90,
            env=environment, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        found = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
        assert found is not None
        assert found[1] == found[2]
        assert int(found[1]) >= CASES_MIN
        assert node.info("meta").status == 200
