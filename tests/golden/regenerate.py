"""Makes the golden chains again: `python -m tests.golden.regenerate`.

Inputs are made only when a folder has none: changed rules change roots, never inputs. Changed roots
need a "Rule changes" entry in CHANGELOG.md with the new digest, which this prints.
"""

import json
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from chainperp.chain.replay import read_block
from chainperp.cli.demo.run import Demo
from chainperp.model.blocks import BlockInput
from chainperp.storage.segments import read_blocks
from tests.golden.border import border_blocks
from tests.golden.chains import FOLDER, Golden, all_chains, block_line, root_row, run
from tests.golden.refusals import refused_blocks
from tests.simulation.day.chain import Day

Inputs = tuple[bytes, list[BlockInput]]


def crash_day() -> Inputs:
    """A short run of the demo: real signatures, four markets, two funding hours."""
    with TemporaryDirectory(prefix="chainperp-golden-") as scratch:
        path = Path(scratch) / "chain"
        Demo(path, 2025, calm_ms=400_000, crash_ms=60_000).run(lambda done, total=None: None)
        return _inputs_of(path)


def vault_day() -> Inputs:
    """A day of few people in few blocks: spot, two vaults, referrals, quotes, purchases."""
    with TemporaryDirectory(prefix="chainperp-golden-") as scratch:
        path = Path(scratch) / "chain"
        Day(path, 2026, accounts=30, block_ms=2_400_000).run()
        return _inputs_of(path)


def _inputs_of(path: Path) -> Inputs:
    blocks = [
        read_block(stored.height, stored.entries).block
        for stored in read_blocks(path / "segments", 1)
    ]
    return (path / "genesis.json").read_bytes(), blocks


MAKERS: dict[str, tuple[str, Callable[[], Inputs]]] = {
    "border": ("a chain with contracts: all that crosses its border, and may not", border_blocks),
    "crash-day": ("a short run of the demo: real signatures and two funding hours", crash_day),
    "refusals": ("every refusal that a transaction can meet, unsigned", refused_blocks),
    "vault-day": ("24 hours in 36 blocks: spot, vaults, referrals, quotes, purchases", vault_day),
}


def make_inputs(name: str) -> None:
    """Write the inputs of a chain that has none."""
    about, maker = MAKERS[name]
    folder = FOLDER / name
    if (folder / "blocks.jsonl").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    genesis, blocks = maker()
    (folder / "genesis.json").write_bytes(genesis)
    lines = "".join(json.dumps(block_line(block)) + "\n" for block in blocks)
    (folder / "blocks.jsonl").write_text(lines, encoding="ascii")
    (folder / "meta.toml").write_text(f'name = "{name}"\nabout = "{about}"\n', encoding="ascii")


def roots_text(golden: Golden) -> str:
    """The roots file of a chain under the rules at hand."""
    return json.dumps([root_row(sealed) for sealed in run(golden)], indent=0) + "\n"


def digest() -> str:
    """One short name for the roots of all golden chains."""
    parts = [(golden.path / "roots.json").read_bytes() for golden in all_chains()]
    return sha256(b"".join(parts)).hexdigest()[:16]


def main() -> None:
    """Make inputs where there are none, and all roots."""
    for name in MAKERS:
        make_inputs(name)
    for golden in all_chains():
        (golden.path / "roots.json").write_text(roots_text(golden), encoding="ascii")
    sys.stdout.write(f"golden roots {digest()}\n")


if __name__ == "__main__":
    main()
