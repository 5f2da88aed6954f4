"""`GET /log/checkpoints`: what a node has published, with the cosignatures that came later."""

import json
from pathlib import Path
from typing import Any

from chainperp.evidence.checkpoint import read_checkpoint
from chainperp.evidence.note import format_vkey, parse_vkey
from chainperp.storage.logkey import verify_ed25519
from tests.support.live_node import until
from tests.support.node import NodeProcess, account, limit_order, running_node
from tests.support.witness import witness_process


def records(node: NodeProcess, query: str = "") -> list[dict[str, Any]]:
    """Served records."""
    answered = node.request("GET", f"/log/checkpoints{query}")
    assert answered.status == 200, answered
    return [json.loads(line) for line in answered.body.splitlines()]


def test_every_published_checkpoint_is_kept(tmp_path: Path) -> None:
    """Over a restart, in order, each signed; with a witness also the cosigned form."""
    chain = tmp_path / "chain"
    with running_node(chain) as node:
        vkey = node.request("GET", "/log/vkey").text.strip()
        node.act(account(0), limit_order(0, True, "90000", "0.1"))
        before = records(node)
    with (
        witness_process(tmp_path / "w", "--name", "a.example/w", "--log", vkey) as witness,
        running_node(chain, "--witness", f"{format_vkey(witness.key)}={witness.url}") as node,
    ):
        until(lambda: any("a.example/w" in one["note"] for one in records(node)))
        found = records(node)
        assert found[: len(before)] == before
        # A cosigned record may come after one of a later size.
        sizes = [one["size"] for one in found if "a.example/w" not in one["note"]]
        assert sizes == sorted(sizes)
        for one in found:
            signed = read_checkpoint(one["note"].encode(), parse_vkey(vkey), verify_ed25519)
            assert signed.checkpoint.size == one["size"]
        assert records(node, f"?after={sizes[0]}&limit=1")[0]["size"] > sizes[0]
        for query in ("?after=-1", "?limit=0", "?limit=1001", "?after=x", "?limit="):
            assert node.request("GET", f"/log/checkpoints{query}").status == 400
