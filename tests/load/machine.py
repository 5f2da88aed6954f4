"""What a process uses, from /proc, and how fast this machine recovers signers right now."""

import os
import time
from pathlib import Path
from typing import NamedTuple

import coincurve

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
RECOVER_SECONDS = 1.0


class Usage(NamedTuple):
    """CPU seconds and resident bytes of a process; CPU seconds of its children."""

    cpu: float
    resident: int
    children_cpu: float


def cpu_of(pid: int) -> float:
    """User and system time so far, in seconds; 0 when the process is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def children_of(pid: int) -> list[int]:
    """Processes that a process started and that still run."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(one) for one in (task / "children").read_text().split()]
    return found


def usage(pid: int) -> Usage:
    """What a process has used and holds."""
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    return Usage(cpu_of(pid), resident, sum(cpu_of(child) for child in children_of(pid)))


def recovers_per_second(seconds: float = RECOVER_SECONDS) -> float:
    """Signer recoveries a second on one core, with nothing around them."""
    key = coincurve.PrivateKey(b"\x01" * 32)
    digest = b"\x02" * 32
    signature = key.sign_recoverable(digest, hasher=None)
    recover = coincurve.PublicKey.from_signature_and_message
    end = time.perf_counter() + seconds
    start = time.perf_counter()
    count = 0
    while time.perf_counter() < end:
        for _ in range(100):
            recover(signature, digest, hasher=None)
        count += 100
    return count / (time.perf_counter() - start)


def slope(samples: list[tuple[float, int]]) -> float:
    """Bytes a second that fit the samples of the last two thirds best (least squares)."""
    late = samples[len(samples) // 3 :]
    if len(late) < 2:
        return 0.0
    mean_time = sum(when for when, _ in late) / len(late)
    mean_bytes = sum(held for _, held in late) / len(late)
    above = sum((when - mean_time) * (held - mean_bytes) for when, held in late)
    below = sum((when - mean_time) ** 2 for when, _ in late)
    return above / below if below else 0.0
