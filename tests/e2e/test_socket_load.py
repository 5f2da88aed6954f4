"""LOAD-11: 500 clients with ten subscriptions each at five blocks a second, for half a minute."""

import json
import os
import subprocess
import sys
import time

import pytest

from chainperp.node.producer import Pace
from tests.support.chain import ROOT
from tests.support.live_node import live_node, until

CLIENTS = 500
SECONDS = 30


@pytest.mark.skipif("CHAINPERP_LONG" not in os.environ, reason="half a minute of load")
def test_five_hundred_clients_with_ten_subscriptions() -> None:
    """Delay p99 at most a second, and nobody is dropped."""
    with live_node(Pace(interval_ms=200, idle_ms=0)) as node:
        command = [sys.executable, "-m", "tests.support.socket_crowd", node.socket_url]
        crowd = subprocess.Popen(
            [*command, str(CLIENTS), str(SECONDS)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        until(lambda: node.hub.figures()["subscriptions"] == CLIENTS * 10, 30)
        place = 0
        end = time.monotonic() + SECONDS - 12
        blocks = len(node.blocks)
        while time.monotonic() < end:
            price = 1 + place % 50
            for asset, base in enumerate((99_000, 3_900, 190, 39)):
                text = str(base + price) if asset < 2 else f"{base}.{price:02d}"
                node.order(place % 4, True, text, "1", asset)
                node.order(4 + place % 4, False, text, "1", asset)
            place += 1
        blocks = len(node.blocks) - blocks
        out, _ = crowd.communicate(timeout=60)
        figures, dropped = node.hub.figures(), node.hub.counters.dropped
    heard = json.loads(out)
    delays = heard["delays"]
    p50, p99 = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
    print(
        f"{CLIENTS} clients, {blocks} blocks, {heard['messages']} messages,"
        f" delay p50 {p50} ms, p99 {p99} ms, sent {figures['sent_bytes'] // 1000} kB"
    )
    assert heard["ended"] == 0
    assert dropped == {}
    assert p99 <= 1_000
