"""`chainperp verify URL`: a served log is checked from outside, honest or doctored."""

from pathlib import Path

import pytest

from chainperp.evidence.checkpoint import Checkpoint, read_checkpoint, sign_checkpoint
from chainperp.evidence.note import format_vkey
from chainperp.evidence.tiles import Tile, format_tile_path
from chainperp.storage.logkey import LogKey, verify_ed25519
from tests.support.chain import DemoChain, run_cli
from tests.support.live_node import until
from tests.support.node import account, limit_order, running_node
from tests.support.static_log import static_log


def log_key(chain: Path) -> LogKey:
    """The private key of a chain's log, as its operator has it."""
    name = (chain / "log" / "vkey").read_text().partition("+")[0]
    return LogKey(name, bytes.fromhex((chain / "log.key").read_text().strip()))


@pytest.fixture
def chain(demo_chain: DemoChain, tmp_path: Path) -> Path:
    """A chain to doctor."""
    return demo_chain.copy(tmp_path / "chain")


def test_a_running_node_is_followed_and_its_key_kept(tmp_path: Path) -> None:
    """First use warns; the next time the key is known, and the log must have grown."""
    state = tmp_path / "state"
    with running_node() as node:
        first = run_cli("verify", node.url, "--state", str(state), "--json")
        assert first.code == 0, first.out + first.err
        assert "no key was given" in first.err
        assert first.document["not_checked"] == []
        kept = state.read_bytes()
        node.act(account(0), limit_order(0, True, "90000", "0.1"))
        # A checkpoint is published once a second at most.
        until(lambda: node.request("GET", "/log/checkpoint").body not in kept)
        second = run_cli("verify", node.url, "--state", str(state), "--json")
        assert (second.code, second.err) == (0, "")
        names = [one["check"] for one in second.document["checks"]]
        assert names[:4] == [
            "checkpoint signature", "log root", "continues the checkpoint kept", "last SEAL",
        ]  # fmt: skip
        assert state.read_bytes() != kept
        vkey = node.request("GET", "/log/vkey").text.strip()
        given = run_cli("verify", node.url, "--key", vkey, "--entries", "0:3")
        assert (given.code, given.err) == (0, "")
        assert "entries 0 to 3" in given.out
        other = format_vkey(LogKey("other.example/log", bytes(32)).verifier)
        assert run_cli("verify", node.url, "--key", other).code == 1
        assert run_cli("verify", node.url, "--key", other, "--state", str(state)).code == 1
        assert run_cli("verify", node.url, "--key", vkey, "--entries", "0:999999999").code == 2
        assert run_cli("verify", node.url, "--key", vkey, "--entries", "3").code == 2
        url = node.url
    assert run_cli("verify", url, "--key", vkey).code == 3
    assert run_cli("verify", "ftp://a.example").code == 2


def test_a_policy_names_the_key_and_the_quorum(chain: Path, tmp_path: Path) -> None:
    """The policy's own log key counts; a quorum that nobody met is a no."""
    vkey = format_vkey(log_key(chain).verifier)
    cosigner = format_vkey(LogKey("a.example/w", bytes(32), 4).verifier)
    lax, strict = tmp_path / "lax", tmp_path / "strict"
    lax.write_text(f"log {vkey}\nquorum none\n")
    strict.write_text(f"log {vkey}\nwitness w {cosigner}\nquorum w\n")
    with static_log(chain) as url:
        assert run_cli("verify", url, "--policy", str(lax)).code == 0
        refused = run_cli("verify", url, "--policy", str(strict), "--json")
    assert refused.code == 1
    assert refused.document["failed_step"] == "checkpoint cosignatures"


def test_a_changed_entry_is_found_in_its_range(chain: Path) -> None:
    """One octet of one bundle: its range fails, another range holds."""
    bundle = chain / "log" / format_tile_path(Tile(-1, 1, 256))
    raw = bytearray(bundle.read_bytes())
    raw[-1] ^= 1
    bundle.write_bytes(raw)
    vkey = format_vkey(log_key(chain).verifier)
    with static_log(chain) as url:
        bad = run_cli("verify", url, "--key", vkey, "--entries", "250:520", "--json")
        assert bad.code == 1
        assert bad.document["failed_step"] == "entries 250 to 520"
        assert "entry 511 has leaf hash" in bad.document["reason"]
        assert run_cli("verify", url, "--key", vkey, "--entries", "0:255").code == 0
        every = run_cli("verify", url, "--key", vkey, "--sample", "65536", "--json")
        assert (every.code, every.document["ok"]) == (1, False)


def test_a_changed_tile_or_a_missing_one_is_a_no(chain: Path) -> None:
    vkey = format_vkey(log_key(chain).verifier)
    tile = chain / "log" / format_tile_path(Tile(0, 0, 256))
    raw = bytearray(tile.read_bytes())
    raw[5] ^= 1
    tile.write_bytes(raw)
    with static_log(chain) as url:
        changed = run_cli("verify", url, "--key", vkey, "--entries", "0:9", "--json")
        assert (changed.code, changed.document["failed_step"]) == (1, "entries 0 to 9")
        tile.unlink()
        missing = run_cli("verify", url, "--key", vkey, "--entries", "0:9", "--json")
        assert missing.code == 1
        assert "is missing" in missing.document["reason"]


def test_a_log_that_takes_something_back_is_caught_by_what_was_kept(
    chain: Path, tmp_path: Path
) -> None:
    """The state file holds a checkpoint with another root: both notes are kept as evidence."""
    key = log_key(chain)
    raw = (chain / "log" / "checkpoint").read_bytes()
    size = read_checkpoint(raw, key.verifier, verify_ed25519).checkpoint.size
    forged = sign_checkpoint(
        Checkpoint(key.verifier.name, size - 7, bytes(32)), key.verifier, key.sign
    )
    state = tmp_path / "state"
    state.write_bytes(format_vkey(key.verifier).encode() + b"\n" + forged)
    with static_log(chain) as url:
        answer = run_cli("verify", url, "--state", str(state), "--json")
    assert answer.code == 1
    assert answer.document["failed_step"] == "continues the checkpoint kept"
    assert "SPLIT VIEW" in answer.err
    assert (tmp_path / "state.conflict").read_bytes() == forged + b"\n" + raw
    later = sign_checkpoint(
        Checkpoint(key.verifier.name, size + 7, bytes(32)), key.verifier, key.sign
    )
    state.write_bytes(format_vkey(key.verifier).encode() + b"\n" + later)
    with static_log(chain) as url:
        behind = run_cli("verify", url, "--state", str(state), "--json")
    assert behind.code == 1
    assert "it is behind, or it hides" in behind.document["reason"]
