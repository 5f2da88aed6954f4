"""The EVM's process: one writer, faults told as sentences, and a machine that comes back."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chainperp.evm.deployment import LogName, plan
from chainperp.evm.journal import FILE
from chainperp.evm.signers import development_keys
from chainperp.node import evm_child, evm_process
from chainperp.node.evm_child import Site
from chainperp.node.evm_process import EvmProcess, EvmUnavailable
from chainperp.node.gate import Gate
from chainperp.node.room import Busy
from chainperp.storage.datadir import free_lock, take_lock

START = 1_700_000_000
BLOCK = b'{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber"}'
MINE = b'{"jsonrpc":"2.0","id":1,"method":"evm_mine"}'


def site_at(directory: Path, network: str = "Testnet") -> Site:
    """A machine for a chain that nobody runs."""
    contracts = plan(development_keys("Testnet").operator_address)
    log = LogName(bytes(32), "chainperp.example/process", bytes(32), bytes(32))
    return Site(directory / "evm", network, contracts, log, START, (), is_dev=True)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[EvmProcess]:
    """A process for a machine that is not there yet."""
    site = site_at(tmp_path)
    made = EvmProcess(lambda: site, lambda: START + 60)
    yield made
    made.close()


async def failure(process: EvmProcess) -> str:
    """The sentence with which a request is turned away."""
    with pytest.raises(EvmUnavailable) as told:
        await process.answer(BLOCK)
    return str(told.value)


def test_a_machine_waits_for_its_lock_and_survives_its_process(
    process: EvmProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock of a process that still ends; a process that is killed; a journal that is
    not ours; a line that was cut. Each time what was told before is there again."""
    monkeypatch.setattr(evm_process, "REST_SECONDS", 0.0)
    told: list[int | None] = []
    process.on_blocks.append(lambda: told.append(process.head))
    journal = tmp_path / "evm" / FILE
    journal.parent.mkdir()

    async def story() -> None:
        lock = take_lock(journal.parent)
        asyncio.get_running_loop().call_later(1, free_lock, journal.parent, lock)
        began = time.monotonic()
        first = await process.answer(BLOCK)
        assert time.monotonic() - began > 0.9
        assert first == b'{"jsonrpc":"2.0","id":1,"result":"0xb"}'  # the contracts are there
        await process.answer(MINE)
        assert (process.head, told, process.blocks_written()) == (12, [11, 12], 13)

        os.kill(process._process, signal.SIGKILL)
        assert await failure(process) == "the process of the EVM ended; ask again"
        assert not process.is_open
        whole = journal.read_bytes()
        journal.write_bytes(whole.replace(b'"status":1', b'"status":0', 1))
        assert "evm block 1 status: expected 1, found 0" in await failure(process)
        journal.write_bytes(whole + b'{"number":')
        assert await process.answer(BLOCK) == first.replace(b"0xb", b"0xc")
        assert journal.read_bytes() == whole

    asyncio.run(story())


def test_who_cannot_be_served_is_told_at_once(tmp_path: Path) -> None:
    """A network whose keys nobody may know, a chain without contracts, too many who wait."""
    site = site_at(tmp_path, "Mainnet")
    process = EvmProcess(lambda: site, lambda: START)
    nowhere = EvmProcess(lambda: None, lambda: START)

    async def story() -> None:
        assert "the test keys are known to everybody" in await failure(process)
        began = time.monotonic()
        assert "the test keys are known to everybody" in await failure(process)
        assert time.monotonic() - began < 0.1, "it was tried again"
        assert await failure(nowhere) == evm_process.NO_CONTRACTS
        process._waiting = evm_process.WAITING_MAX
        with pytest.raises(Busy, match="too many requests wait for the EVM"):
            await process.answer(BLOCK)

    try:
        asyncio.run(story())
    finally:
        process.close()
    assert nowhere.blocks_written() == 0


def test_a_fault_lets_go_of_the_machine(tmp_path: Path) -> None:
    """Memory may differ from the disk then; the next piece of work makes it again."""
    child, site = evm_child.Child(), site_at(tmp_path)
    strange = replace(site, contracts=site.contracts._replace(usd=site.contracts.token))
    assert "not those that a node deploys" in child.run(strange, START, lambda _: 0).failure
    assert not site.directory.exists()

    def fault(_held: evm_child.Held) -> int:
        raise KeyError("lost")

    done = child.run(site, START, lambda held: held.now)
    assert (done.failure, done.head) == ("", 11)
    assert child.run(site, START, fault).failure == "KeyError: 'lost'"
    assert child.held is None
    assert child.run(site, START + 99, lambda held: held.now).result == START + 99
    # The clock of a node may go back; a machine's does not.
    assert child.run(site, START, lambda held: held.now).result == START + 11
    child.close()


def test_a_public_node_answers_pages_of_every_origin() -> None:
    """What changes the machine is signed, and there are no cookies."""
    public, local = Gate(is_loopback=False), Gate(is_loopback=True)
    page = "https://page.example"
    assert public.refusal("node.example", page, "/evm") is None
    assert public.cors(page) == {"access-control-allow-origin": "*"}
    assert local.refusal("localhost:3001", page, "/evm") is not None
    for origin in ("null", "chrome-extension", "https://chrome-extension:1", "moz-extension:/x"):
        assert local.refusal("localhost", origin, "/evm") is not None, origin
    assert local.refusal("page.example", "moz-extension://1", "/evm") is not None
    assert local.refusal("localhost", "moz-extension://1", "/exchange") is not None
    assert local.refusal("localhost", "moz-extension://1", "/evm") is None
