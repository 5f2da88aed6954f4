"""Promises of inclusion: asked for, kept, broken by a log without the transaction."""

import json
import shutil
from pathlib import Path
from typing import Any

from chainperp.evidence.note import parse_note
from chainperp.evidence.promise import Promise, parse_promise, sign_promise
from chainperp.storage.logkey import LogKey
from tests.support.chain import run_cli
from tests.support.node import Account, NodeProcess, account, limit_order, running_node


def promised(node: NodeProcess, who: Account, action: dict[str, Any]) -> tuple[Any, bytes]:
    """Reply and promise of an action that was sent with the header."""
    body = json.dumps(node.signed(who, action)).encode()
    headers = {"Content-Type": "application/json", "X-Promise": "1"}
    answered = node.request("POST", "/exchange", body, headers)
    assert answered.status == 200
    reply = answered.document
    return reply, reply.pop("promise").encode()


def test_a_kept_promise_and_a_broken_one(tmp_path: Path) -> None:
    """The doctored log is the same chain under the same key, with another order in its place."""
    honest, doctored = tmp_path / "honest", tmp_path / "doctored"
    promise = tmp_path / "promise"
    with running_node(honest, "--seed", "9"):
        pass
    shutil.copytree(honest, doctored, ignore=shutil.ignore_patterns("LOCK"))
    with running_node(honest) as node:
        vkey = node.request("GET", "/log/vkey").text.strip()
        plain = node.act(account(0), limit_order(0, True, "90000", "0.1"))
        assert "promise" not in plain
        reply, note = promised(node, account(1), limit_order(0, True, "90000", "0.3"))
        assert "resting" in reply["response"]["data"]["statuses"][0]
        promise.write_bytes(note)
        refused, other = promised(node, account(1), limit_order(0, True, "90000", "0"))
        assert "error" in str(refused)
        assert (
            parse_promise(parse_note(other).text).transaction
            != parse_promise(parse_note(note).text).transaction
        )
        malformed = node.request("POST", "/exchange", b"{}", {"X-Promise": "1"})
        assert malformed.status == 422
    kept = run_cli("verify", str(promise), "--against", str(honest), "--key", vkey, "--json")
    assert kept.code == 0, kept.out + kept.err
    assert kept.document["not_checked"] == []
    assert "the promise was kept" in kept.document["sentences"][0]["text"]
    with running_node(doctored) as node:
        for number in range(12):
            node.act(account(0), limit_order(0, True, "90000", f"0.{number + 1}"))
    broken = run_cli("verify", str(promise), "--against", str(doctored), "--key", vkey, "--json")
    assert broken.code == 1
    assert broken.document["failed_step"] == "promised transaction"
    what = parse_promise(parse_note(note).text)
    assert broken.document["reason"].startswith("BROKEN PROMISE: the signed log of size")
    assert f"promised was transaction 0x{what.transaction.hex()}" in broken.document["reason"]


def test_deadline_signature_and_key(tmp_path: Path) -> None:
    """Promises that a log cannot have kept, and notes that are no promises of it."""
    chain, path = tmp_path / "chain", tmp_path / "promise"
    with running_node(chain, "--seed", "9"):
        pass
    name = (chain / "log" / "vkey").read_text().partition("+")[0]
    key = LogKey(name, bytes.fromhex((chain / "log.key").read_text().strip()))

    def verdict(promise: Promise, *, spoil: bool = False) -> tuple[int, str | None, str]:
        note = sign_promise(promise, key.verifier, key.sign)
        path.write_bytes(note.replace(b"\n7\n", b"\n8\n", 1) if spoil else note)
        answer = run_cli(
            "verify", str(path), "--against", str(chain),
            "--key", str(chain / "log" / "vkey"), "--json",
        )  # fmt: skip
        return answer.code, answer.document["failed_step"], answer.document["reason"] or ""

    far = 1 << 50
    code, step, reason = verdict(Promise(name, bytes(32), 7, 1 << 40, 1 << 41, 1))
    assert (code, step) == (1, "checkpoint covers it")
    assert "after the deadline 1" in reason
    assert verdict(Promise(name, bytes(32), 7, 1 << 40, 1 << 41, far))[:2] == (0, None)
    assert verdict(Promise(name, bytes(32), 7, 0, 1, far))[:2] == (1, "promised transaction")
    spoiled = verdict(Promise(name, bytes(32), 7, 0, 1, far), spoil=True)
    assert spoiled[:2] == (1, "promise signature")
    path.write_bytes((chain / "log" / "checkpoint").read_bytes())
    other = run_cli("verify", str(path), "--against", str(chain), "--json")
    assert (other.code, other.document["failed_step"]) == (1, "promise signature")
    assert run_cli("verify", str(tmp_path / "no"), "--against", str(chain)).code == 3
