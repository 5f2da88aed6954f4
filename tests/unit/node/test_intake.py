"""The way in: the same bytes for any number of processes, bounds, and a process that dies."""

import asyncio
import json
import multiprocessing
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from chainperp.base.errors import BadRequest
from chainperp.client.wallet import address_of, development_key, sign_action
from chainperp.node import intake
from chainperp.node.answers import Reply
from chainperp.node.clock import Clock
from chainperp.node.exchange import Exchange
from chainperp.node.finding import NotJson
from chainperp.node.home import open_chain
from chainperp.node.producer import Pace, Producer
from chainperp.node.promises import Promiser
from chainperp.node.room import WAITING_PER_SIGNER_MAX, Busy, Replies
from chainperp.storage.datadir import DataDir
from chainperp.storage.package import build_genesis

START = 1_760_000_000_000
TRADERS = [development_key(index) for index in range(3)]
VALIDATOR = development_key(9)
SECONDS = 60

Story = Callable[[Exchange], Coroutine[Any, Any, Any]]


def run(path: Path, processes: int, story: Story) -> Any:
    """A story with an exchange that makes blocks only when the story says so."""
    genesis = build_genesis(
        "local/intake", START, [(address_of(VALIDATOR), 1)],
        accounts=[(address_of(key), 1_000_000) for key in TRADERS],
    )  # fmt: skip
    DataDir.create(path, genesis, sha256(b"intake").digest()).close()
    chain = open_chain(path)
    producer = Producer(chain.engine, chain.store, Clock(lambda: START), Pace(is_mining=False))
    exchange = Exchange(producer, "Testnet", processes, Promiser(lambda: chain.store))

    async def told() -> Any:
        exchange.intake.start()
        return await asyncio.wait_for(story(exchange), SECONDS)

    try:
        return asyncio.run(told())
    finally:
        exchange.intake.close()
        chain.store.close()


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until something is so, and once in any case."""
    await asyncio.sleep(0)
    while not condition():  # noqa: ASYNC110 (nothing tells of what is looked at here)
        await asyncio.sleep(0.001)


def body(trader: int, action: dict[str, Any], nonce: int) -> bytes:
    """A signed request."""
    key = VALIDATOR if trader < 0 else TRADERS[trader]
    return json.dumps(sign_action(key, action, START + nonce, "Testnet")).encode()


def order(number: int, orders: int = 1) -> dict[str, Any]:
    """An action with orders around the oracle price, of which some trade."""
    rows = [
        {"a": 0, "b": (number + place) % 2 == 0, "p": str(100_000 + (number * 7 + place) % 9),
         "s": "0.001", "r": False, "t": {"limit": {"tif": "Gtc"}}}
        for place in range(orders)
    ]  # fmt: skip
    return {"type": "order", "orders": rows, "grouping": "na"}


def requests() -> list[bytes]:
    """Good and bad ones; the first batch is the heaviest."""
    prices = {"type": "setGlobal", "pxs": [{"a": 0, "p": "100000"}]}
    found = [body(-1, prices, 1)]
    found += [body(n % 3, order(n, 12), 10 + n) for n in range(intake.BATCH_MAX)]
    for n in range(intake.BATCH_MAX, 3 * intake.BATCH_MAX):
        good = body(n % 3, order(n), 10 + n)
        found += [good, good[:-9], good.replace(b'"0.001"', b'"0.002"')] if n % 9 == 0 else [good]
    found += [body(0, {"type": "cancel", "cancels": [{"a": 0, "o": 2}]}, 5_000), b"{}", b"\xff"]
    return found


def told_of(reply: Reply | Exception) -> object:
    """A reply, or the name, code and text of an error."""
    if isinstance(reply, Exception):
        return type(reply).__name__, getattr(reply, "code", ""), str(reply)
    return reply


def test_the_number_of_processes_changes_no_byte(tmp_path: Path) -> None:
    """The same requests in the same order give the same log and the same replies."""
    sent = requests()

    async def story(exchange: Exchange) -> list[object]:
        together = asyncio.ensure_future(exchange.handle_many(sent))
        alone = [asyncio.ensure_future(exchange.handle(one)) for one in sent[-40:-3]]
        await until(lambda: exchange.producer.room.count and not exchange.intake.count)
        await exchange.producer.make_block(START + 1_000)
        await exchange.producer.make_block(START + 2_000)
        replies = [*await together, *await asyncio.gather(*alone, return_exceptions=True)]
        return [told_of(one) for one in replies if not isinstance(one, BaseException)
                or isinstance(one, Exception)]  # fmt: skip

    found = []
    for processes in (0, 1, 2):
        path = tmp_path / str(processes)
        replies = run(path, processes, story)
        segments = [file.read_bytes() for file in sorted((path / "segments").iterdir())]
        found.append((replies, segments))
    assert found[0] == found[1] == found[2]
    names = {one[0] for one in found[0][0] if isinstance(one, tuple)}
    assert names == {"NotJson", "BadRequest"}
    assert len(found[0][0]) == len(sent) + 37


def test_batches_are_delivered_in_the_order_of_arrival() -> None:
    """The first takes longest: the others are looked at before it and wait for it."""
    heavy = [body(0, order(n, 20), n) for n in range(intake.BATCH_MAX)]
    light = [b"%d" % number for number in range(3 * intake.BATCH_MAX)]
    looked_at: list[bytes] = []
    delivered: list[bytes] = []

    class Watched(ThreadPoolExecutor):
        """Notes which batch was looked at first."""

        def submit(self, work: Any, /, *arguments: Any, **named: Any) -> Any:
            job = super().submit(work, *arguments, **named)
            job.add_done_callback(lambda _done: looked_at.extend(arguments[0]))
            return job

    async def story(pool: Watched) -> None:
        way_in = intake.Intake(
            "Testnet", 2, lambda asked, _found: delivered.extend(one for one, _, _ in asked)
        )
        way_in.start(pool)
        way_in.put([*heavy, *light], Replies(len(heavy) + len(light)))
        await until(lambda: not way_in.count)

    with Watched(2) as pool:
        asyncio.run(story(pool))
    assert looked_at != delivered
    assert delivered == [*heavy, *light]


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_flood_is_bounded_and_everyone_is_told(tmp_path: Path, size: int) -> None:
    """Number and bytes of what is on its way in have a limit; a share of it is for cancels."""
    junk = b'"' + b"x" * size
    full = min(intake.ARRIVED_MAX, intake.BYTES_MAX // len(junk))
    share = full - full // 5

    async def story(exchange: Exchange) -> None:
        flood = asyncio.ensure_future(exchange.handle_many([junk] * (full + 50)))
        await asyncio.sleep(0)
        assert share - 1 <= exchange.intake.count <= share
        assert exchange.intake.size <= intake.BYTES_MAX
        cancel = body(0, {"type": "scheduleCancel"}, 1)
        leaving = asyncio.ensure_future(exchange.handle(cancel))
        with pytest.raises(Busy):
            await exchange.handle(junk)
        replies = await flood
        kinds = [type(one) for one in replies]
        assert share - 1 <= kinds.count(NotJson) <= share + 1
        assert kinds.count(NotJson) + kinds.count(Busy) == len(replies)
        # Refused were the last, for want of room, not some at random.
        assert kinds == sorted(kinds, key=lambda kind: kind is Busy)
        await until(lambda: exchange.producer.room.count)
        await exchange.producer.make_block()
        assert (await leaving)["status"] in ("ok", "err")
        assert (exchange.intake.count, exchange.intake.size) == (0, 0)

    run(tmp_path / "chain", 0, story)


def test_a_signer_who_floods_is_told_which_were_not_taken(tmp_path: Path) -> None:
    """His line in the waiting room is full; others still have room."""
    over = 30
    sent = [body(0, {"type": "noop"}, n) for n in range(WAITING_PER_SIGNER_MAX + over)]

    async def story(exchange: Exchange) -> None:
        flood = asyncio.ensure_future(exchange.handle_many(sent))
        other = asyncio.ensure_future(exchange.handle(body(1, {"type": "noop"}, 1)))
        await until(lambda: not exchange.intake.count)
        assert exchange.producer.room.count == WAITING_PER_SIGNER_MAX + 1
        while exchange.producer.room.count:
            await exchange.producer.make_block()
        replies = await flood
        assert all(isinstance(one, Busy) for one in replies[-over:])
        assert not any(isinstance(one, Exception) for one in replies[:-over])
        assert (await other)["status"] == "ok"

    run(tmp_path / "chain", 2, story)


@pytest.mark.parametrize("is_busy", [True, False])
def test_a_process_that_is_killed_loses_nothing(tmp_path: Path, is_busy: bool) -> None:
    """Whether it had work before it or not: every request has its reply, in order."""
    sent = [body(n % 3, order(n), 10 + n) for n in range(5 * intake.BATCH_MAX)]

    async def story(exchange: Exchange) -> list[Reply | Exception]:
        prices = {"type": "setGlobal", "pxs": [{"a": 0, "p": "100000"}]}
        vote = asyncio.ensure_future(exchange.handle(body(-1, prices, 1)))
        replies = asyncio.ensure_future(exchange.handle_many(sent if is_busy else sent[:50]))
        await until(lambda: exchange.producer.room.count)
        kill_processes()
        if not is_busy:
            await asyncio.sleep(0.5)
            rest = asyncio.ensure_future(exchange.handle_many(sent[50:]))
        await until(lambda: not exchange.intake.count)
        while exchange.producer.room.count:
            await exchange.producer.make_block()
        await vote
        return [*await replies, *([] if is_busy else await rest)]

    found = run(tmp_path / "chain", 2, story)
    oids = [one["response"]["data"]["statuses"][0] for one in found]
    assert len(oids) == len(sent)
    assert all("resting" in one or "filled" in one for one in oids)


def kill_processes() -> None:
    """SIGKILL to every process of the pool."""
    killed = 0
    for process in multiprocessing.active_children():
        process.kill()
        killed += 1
    assert killed
    time.sleep(0.05)


def test_what_is_wrong_with_one_of_a_batch_is_told_to_its_sender(tmp_path: Path) -> None:
    """The others go on."""
    good = body(0, {"type": "noop"}, 1)

    async def story(exchange: Exchange) -> list[Reply | Exception]:
        replies = asyncio.ensure_future(exchange.handle_many([b"[]", good, b"{}"]))
        await until(lambda: exchange.producer.room.count)
        await exchange.producer.make_block()
        return await replies

    first, middle, last = run(tmp_path / "chain", 0, story)
    assert isinstance(first, BadRequest)
    assert isinstance(last, BadRequest)
    assert not isinstance(first, NotJson)
    assert middle == {"status": "ok", "response": {"type": "default"}}
