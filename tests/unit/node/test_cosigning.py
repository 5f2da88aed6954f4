"""The pace of asking witnesses: a witness that hangs or is away holds up nothing else."""

import asyncio
import socket
from pathlib import Path

from chainperp.client.witness import Witness
from chainperp.node.clock import Clock
from chainperp.node.cosigning import Cosigning
from chainperp.node.home import open_chain
from chainperp.node.producer import Pace, Producer
from chainperp.storage.datadir import DataDir
from chainperp.storage.logkey import LogKey
from chainperp.storage.package import build_genesis

START_MS = 1_800_000_000_000


def run(path: Path, url: str, blocks: int) -> tuple[list[str], int]:
    """Blocks made, one checkpoint each, while one witness is asked; what was said."""
    raw = build_genesis("local/chainperp", START_MS, [(bytes([1]) * 20, 1)])
    DataDir.create(path, raw, bytes(32)).close()
    chain = open_chain(path)
    said: list[str] = []
    witness = Witness(url, LogKey("w.example/w", bytes(32), 4).verifier)

    async def live() -> None:
        producer = Producer(chain.engine, chain.store, Clock(), Pace())
        asked = Cosigning(producer, [witness], said.append)
        producer.listeners.append(asked.look)
        asked.start()
        for number in range(1, blocks + 1):
            await producer.make_block(START_MS + 2_000 * number)
            await asyncio.sleep(0.05)
        await asked.finish()

    asyncio.run(live())
    height = chain.store.height
    chain.store.close()
    return said, height


def test_a_witness_that_takes_and_never_answers_stops_nothing(tmp_path: Path) -> None:
    """Blocks go on, and the end waits for the witness no longer than it says."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        said, height = run(tmp_path / "chain", url, 10)
        silent.settimeout(1)
        silent.accept()[0].close()
        silent.settimeout(0.05)
        try:
            silent.accept()
            is_alone = False
        except TimeoutError:
            is_alone = True
    assert height == 10
    assert said == ["stopped before every witness had cosigned the last checkpoint"]
    assert is_alone, "two submissions were under way at once"


def test_a_witness_that_is_away_is_named_once(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        said, height = run(tmp_path / "chain", f"http://127.0.0.1:{nobody.getsockname()[1]}", 10)
    assert height == 10
    assert len(said) == 1
    assert said[0].startswith("witness w.example/w does not cosign: ")
    assert said[0].endswith("; it is asked again")
