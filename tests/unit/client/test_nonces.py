"""Nonces rise strictly: at a standing clock, across processes, after damage."""

import os
import subprocess
import sys
from pathlib import Path

from chainperp.client.nonces import AHEAD_MAX_MS, NonceSource
from tests.support.chain import ROOT

SIGNER = bytes(range(20))
NOW = 1_800_000_000_000


def source(folder: Path, now: int = NOW) -> NonceSource:
    """Nonces at a standing clock."""
    return NonceSource(folder, SIGNER, lambda: now)


def test_a_standing_clock_gives_rising_nonces(tmp_path: Path) -> None:
    taken = [source(tmp_path).take() for _ in range(5)]
    assert taken == [NOW, NOW + 1, NOW + 2, NOW + 3, NOW + 4]
    assert source(tmp_path, NOW - 1000).take() == NOW + 5  # a clock that was set back
    assert source(tmp_path, NOW + 1000).take() == NOW + 1000


def test_signers_do_not_share_nonces(tmp_path: Path) -> None:
    source(tmp_path).take()
    assert NonceSource(tmp_path, bytes(20), lambda: NOW).take() == NOW


def test_a_nonce_from_a_wrong_clock_is_forgotten(tmp_path: Path) -> None:
    """Else one command in a wrong year would make every later one invalid."""
    source(tmp_path, NOW + 10 * AHEAD_MAX_MS).take()
    assert source(tmp_path).take() == NOW


def test_a_damaged_file_counts_as_none(tmp_path: Path) -> None:
    path = source(tmp_path).path
    for content in (b"", b"abc", b"9" * 30, b"-5", "٣".encode()):
        path.write_bytes(content)
        assert source(tmp_path).take() == NOW
        assert path.read_bytes() == str(NOW).encode()


def test_processes_at_once_never_take_the_same_nonce(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from chainperp.client.nonces import NonceSource\n"
        f"source = NonceSource(Path(sys.argv[1]), bytes(20), lambda: {NOW})\n"
        "print(*(source.take() for _ in range(200)))\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for _ in range(4)
    ]  # fmt: skip
    taken = [int(word) for one in running for word in one.communicate()[0].split()]
    assert sorted(taken) == list(range(NOW, NOW + 800))
