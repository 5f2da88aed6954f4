"""The bot in README runs as it stands there, against a node at another port."""

import re
import subprocess
import sys
from pathlib import Path

from tests.support.node import ROOT, account, running_node

BLOCK = re.compile(r"^## A bot\n.*?^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
URL = "http://127.0.0.1:3001"


def test_the_bot_in_readme_trades(tmp_path: Path) -> None:
    """Fifteen lines: six quotes rest and are canceled, and the money is still there."""
    found = BLOCK.search((ROOT / "README.md").read_text())
    assert found is not None
    code = found[1]
    assert code.count(URL) == 1
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) <= 15
    with running_node() as node:
        script = tmp_path / "bot.py"
        script.write_text(code.replace(URL, node.url))
        done = subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("resting") == 6
        assert float(done.stdout.split()[-1]) == 1_000_000
        orders = node.info("historicalOrders", user=account(0).address).document
        assert [one["status"] for one in orders].count("canceled") == 6
        assert node.info("openOrders", user=account(0).address).document == []
