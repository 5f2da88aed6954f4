"""Go's sumdb code is the judge of our log: signature, inclusion, consistency, whole directory.

`go_verify(data_dir)` asks it about any data directory; the tests also show that it refuses what
has been tampered with, so that a yes means something.
"""

import functools
import json
import shutil
import subprocess
import tempfile
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chainperp.base.hashing import leaf_hash
from chainperp.base.units import Address
from chainperp.chain.proving.account import prove_account, sealed_state
from chainperp.chain.proving.log import prove_entry
from chainperp.evidence.checkpoint import Checkpoint, read_checkpoint, sign_checkpoint
from chainperp.evidence.merkle import Frontier, prove_consistency, prove_inclusion, root_at
from chainperp.evidence.note import format_vkey
from chainperp.storage.logkey import LogKey, find_verifier
from chainperp.storage.proof_source import open_source
from chainperp.storage.tiles import TileLog, load_checkpoint, load_vkey, open_reader, save_vkey
from tests.support.chain import DemoChain
from tests.support.mutations import tree_of

SOURCE = Path(__file__).parent / "go"
ORIGIN = "chainperp.example/go-test"
ENTRIES = 3000
PARTS = ("notes", "inclusions", "consistency", "directories")
Answer = dict[str, Any]


@functools.cache
def go_program() -> Path:
    """The verifier, built once per run. Skips the test when that is not possible here."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed")
    folder = Path(tempfile.mkdtemp(prefix="chainperp-go-"))
    for name in ("go.mod", "go.sum", "main.go"):
        shutil.copy(SOURCE / name, folder / name)
    fetched = _go(go, ["mod", "download"], folder)
    if fetched.returncode != 0:
        pytest.skip(f"golang.org/x/mod cannot be fetched: {fetched.stderr[-300:]}")
    built = _go(go, ["build", "-o", "verifier", "."], folder)
    assert built.returncode == 0, built.stderr
    return folder / "verifier"


def _go(go: str, words: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            [go, *words], cwd=folder, capture_output=True, text=True, timeout=180, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"go {' '.join(words)} took more than three minutes")


def ask_go(job: dict[str, list[Answer]]) -> dict[str, list[Answer]]:
    """Answers of the Go program to a job."""
    done = subprocess.run(
        [go_program()], input=json.dumps(job), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answers: dict[str, list[Answer]] = json.loads(done.stdout)
    return answers


def make_job(data_dir: Path, inclusions: int = 50, consistencies: int = 5) -> dict[str, Any]:
    """Questions about a data directory: proofs are made through its tiles by our code."""
    log = data_dir / "log"
    key = load_vkey(log)
    raw = load_checkpoint(log)
    assert raw is not None, f"{log} has no checkpoint"
    signed = read_checkpoint(raw, key, find_verifier())
    size, root = signed.checkpoint.size, signed.checkpoint.root.hex()
    reader = open_reader(log, size)
    places = sorted({(size - 1) * at // max(1, inclusions - 1) for at in range(inclusions)})
    olds = sorted({1 + (size - 1) * at // max(1, consistencies) for at in range(consistencies)})
    return {
        "notes": [{"vkey": format_vkey(key), "note": raw.decode()}],
        "inclusions": [
            {
                "index": index,
                "size": size,
                "root": root,
                "entry": reader.entry(index).hex(),
                "proof": [piece.hex() for piece in prove_inclusion(reader.node, index, size)],
            }
            for index in places
        ],
        "consistency": [
            {
                "old_size": old,
                "old_root": root_at(reader.node, old).hex(),
                "size": size,
                "root": root,
                "proof": [piece.hex() for piece in prove_consistency(reader.node, old, size)],
            }
            for old in olds
        ],
        "directories": [{"path": str(log.resolve()), "size": size, "root": root}],
    }


@dataclass(frozen=True)
class Verdict:
    """What Go said about a data directory."""

    size: int
    inclusions: int
    consistencies: int
    refused: tuple[str, ...]


def go_verify(data_dir: Path) -> Verdict:
    """Ask Go about `log/` of a data directory; `refused` is empty when it accepts everything."""
    job = make_job(data_dir)
    answers = ask_go(job)
    refused = [
        f"{part} {number}: {answer['reason']}"
        for part, rows in answers.items()
        for number, answer in enumerate(rows)
        if not answer["ok"]
    ]
    note = answers["notes"][0]
    if note["ok"]:
        said = (note["size"], note["root"])
        ours = (job["directories"][0]["size"], job["directories"][0]["root"])
        if said != ours:
            refused.append(f"checkpoint: Go reads {said}, we read {ours}")
    return Verdict(
        job["directories"][0]["size"],
        len(answers["inclusions"]),
        len(answers["consistency"]),
        tuple(refused),
    )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of a few thousand entries, grown in uneven steps over restarts."""
    folder = tmp_path_factory.mktemp("data")
    key = LogKey(ORIGIN, bytes(range(32)))
    save_vkey(folder / "log", key.verifier)
    frontier = Frontier()
    while frontier.size < ENTRIES:
        log = TileLog(folder / "log", frontier.size)
        for number in range(frontier.size, min(ENTRIES, frontier.size + 777)):
            entry = b"entry %d " % number * (1 + number % 40)
            frontier.append(leaf_hash(entry))
            log.append(entry, leaf_hash(entry))
        log.write()
        checkpoint = Checkpoint(ORIGIN, frontier.size, frontier.root())
        log.publish(sign_checkpoint(checkpoint, key.verifier, key.sign))
    return folder


def test_go_accepts_the_log(data_dir: Path) -> None:
    verdict = go_verify(data_dir)
    assert verdict.refused == ()
    assert (verdict.size, verdict.inclusions, verdict.consistencies) == (ENTRIES, 50, 5)


def test_go_accepts_the_log_that_the_demo_made(demo_chain: DemoChain) -> None:
    """A chain of signed transactions: checkpoint, 50 inclusion and 5 consistency proofs."""
    verdict = go_verify(demo_chain.path)
    assert verdict.refused == ()
    assert verdict.size == demo_chain.log_size
    assert verdict.inclusions >= 50
    assert verdict.consistencies >= 5


def test_go_accepts_the_checkpoint_of_the_vectors() -> None:
    vectors = json.loads(Path("fixtures/log/audit-log-vectors.json").read_text())
    note = {"vkey": vectors["note"]["log_vkey"], "note": vectors["note"]["checkpoint"]}
    (answer,) = ask_go({"notes": [note]})["notes"]
    assert answer["ok"]
    assert (answer["size"], answer["root"]) == (6, vectors["log"]["roots"][1])


def test_go_refuses_each_tampering(data_dir: Path) -> None:
    job = make_job(data_dir)
    note, text = job["notes"][0], job["notes"][0]["note"]
    at = text.rindex(" ") + 20
    other_letter = "A" if text[at] != "A" else "B"
    stranger = LogKey("chainperp.example/other", bytes(32)).verifier
    namesake = LogKey(ORIGIN, bytes(32)).verifier
    notes = [
        {**note, "note": text[:at] + other_letter + text[at + 1 :]},
        {**note, "note": text.replace(f"\n{ENTRIES}\n", f"\n{ENTRIES - 1}\n")},
        {**note, "vkey": format_vkey(stranger)},
        {**note, "vkey": format_vkey(namesake)},
    ]
    inclusion, consistency = job["inclusions"][17], job["consistency"][2]
    inclusions = [
        {**inclusion, "proof": _flipped(inclusion["proof"], 3)},
        {**inclusion, "proof": inclusion["proof"][:-1]},
        {**inclusion, "index": inclusion["index"] + 1},
        {**inclusion, "root": "00" * 32},
        {**inclusion, "entry": inclusion["entry"] + "00"},
    ]
    consistencies = [
        {**consistency, "proof": _flipped(consistency["proof"], 0)},
        {**consistency, "old_size": consistency["old_size"] + 1},
        {**consistency, "old_root": "00" * 32},
        {**consistency, "root": "00" * 32},
    ]
    directories = [{**job["directories"][0], "root": "00" * 32}]
    answers = ask_go(
        {
            "notes": notes,
            "inclusions": inclusions,
            "consistency": consistencies,
            "directories": directories,
        }
    )
    accepted = [
        (part, number)
        for part, rows in answers.items()
        for number, answer in enumerate(rows)
        if answer["ok"]
    ]
    assert accepted == []
    assert [len(answers[part]) for part in PARTS] == [4, 5, 4, 1]


def test_go_accepts_our_proof_files_and_refuses_changed_ones(demo_chain: DemoChain) -> None:
    """`.tlog-proof` files as `chainperp prove entry` writes them, from their bytes alone."""
    source = open_source(demo_chain.path)
    vkey = format_vkey(load_vkey(demo_chain.path / "log"))
    size = source.checkpoint.size
    files = [prove_entry(source, size * at // 40).decode() for at in range(40)]
    answers = ask_go({"proofs": [{"vkey": vkey, "file": file} for file in files]})["proofs"]
    assert [answer["reason"] for answer in answers] == [""] * len(files)
    file = files[17]
    index = f"index {size * 17 // 40}\n"
    changed = [
        file.replace(index, f"index {size * 17 // 40 + 1}\n"),
        file.replace("extra AQ", "extra AR"),
        file.replace(f"\n{size}\n", f"\n{size - 1}\n"),
        file.replace("@v1", "@v2"),
    ]
    refused = ask_go({"proofs": [{"vkey": vkey, "file": one} for one in changed]})["proofs"]
    assert [answer["ok"] for answer in refused] == [False] * len(changed)
    assert file not in changed


def test_go_accepts_the_pieces_of_our_bundles(demo_chain: DemoChain) -> None:
    """The ways of a SEAL and of an old checkpoint inside JSON bundles are RFC 6962's too."""
    source = open_source(demo_chain.path)
    state = sealed_state(source, source.height)
    address = next(Address(key) for key, _, _ in state.commitment.trees["acct"].items())
    piece = tree_of(prove_account(source, address, state))["seal"]
    size, root = source.checkpoint.size, source.checkpoint.root.hex()
    inclusion = {
        "index": piece["index"],
        "size": size,
        "root": root,
        "entry": b64decode(piece["entry"]).hex(),
        "proof": [b64decode(one).hex() for one in piece["inclusion"]],
    }
    (answer,) = ask_go({"inclusions": [inclusion]})["inclusions"]
    assert answer["ok"], answer["reason"]


def _flipped(proof: list[str], step: int) -> list[str]:
    """The proof with the lowest bit of one hash turned over."""
    hashed = f"{int(proof[step], 16) ^ 1:064x}"
    return [*proof[:step], hashed, *proof[step + 1 :]]
