"""The command line as a person uses it: help, keys, offline signing, refusals."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chainperp.client.wallet import address_of, development_key
from chainperp.evidence.note import format_vkey
from chainperp.storage.logkey import load_key_file
from chainperp.wire.signing import admit, recover_envelope
from tests.support.chain import ROOT, run_cli

COMMANDS = (
    ("demo",), ("replay",), ("verify",), ("fsck",), ("rules",), ("bench",),
    ("keys", "new"), ("keys", "import"), ("keys", "list"), ("keys", "show"),
    ("tx", "order"), ("tx", "cancel"), ("tx", "modify"), ("tx", "leverage"), ("tx", "transfer"),
    ("tx", "withdraw"), ("tx", "agent"), ("tx", "oracle"), ("tx", "raw"), ("tx", "tpsl"),
    ("tx", "margin"), ("tx", "schedule-cancel"), ("tx", "send"),
    ("tx", "vault", "deposit"), ("tx", "vault", "withdraw"), ("tx", "vault", "create"),
    ("tx", "vault", "distribute"), ("tx", "vault", "modify"),
    ("explain", "liq"), ("explain", "adl"), ("explain", "tx"), ("explain", "fill"),
    ("explain", "rule"), ("explain", "signature"), ("tick",),
    ("query", "risk"), ("query", "account"), ("query", "book"), ("query", "markets"),
    ("query", "mids"), ("query", "orders"), ("query", "fills"), ("query", "funding"),
    ("query", "vault"), ("query", "fund"), ("query", "log"), ("query", "raw"),
    ("dev", "fund"), ("dev", "oracle"), ("dev", "path"), ("dev", "mine"), ("dev", "pause"),
    ("dev", "resume"), ("dev", "time", "set"), ("dev", "time", "add"), ("dev", "snapshot"),
    ("dev", "revert"), ("dev", "reset"), ("dev", "drop-connections"),
    ("witness",), ("witness", "submit"), ("lab", "forensic"), ("keys", "cosigner"),
)  # fmt: skip
HEAVY = ("web3", "eth_account", "pydantic", "eth", "cryptography", "coincurve")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command: tuple[str, ...]) -> None:
    """Help says what a command does and shows one call."""
    outcome = run_cli(*command, "--help")
    assert outcome.code == 0
    text = " ".join(outcome.out.split())
    assert f"Example: chainperp {' '.join(command)}" in text


def test_help_is_quick_and_loads_no_heavy_package() -> None:
    """`--help` answers without importing what only commands need."""
    script = (
        "import sys\nsys.argv = ['chainperp', '--help']\nfrom chainperp.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write(' '.join(sorted(name.partition('.')[0] for name in sys.modules)))\n"
    )
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
        )
        times.append(time.perf_counter() - start)
    assert not set(HEAVY) & set(done.stderr.split())
    assert min(times) < 1.0  # 0.3 s on an idle machine


def test_version_names_the_build() -> None:
    """`--version` is one line."""
    outcome = run_cli("--version")
    assert outcome.code == 0
    assert re.fullmatch(
        r"chainperp \d+\.\d+\.\d+ \((pure Python|compiled, \d+ modules)\)\n", outcome.out
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("order", "BTC", "buy", "0.01", "@", "95000"),
        ("order", "doge", "sell", "100", "@", "0.2", "--tif", "Ioc", "--reduce-only"),
        ("cancel", "ETH", "81"),
        ("cancel", "ETH", "0x0000000000000000000000000000c0de"),
        ("modify", "81", "BTC", "buy", "0.01", "@", "94000"),
        ("leverage", "BTC", "5", "--isolated"),
        ("order", "BTC", "sell", "0.01", "@", "89000", "--trigger", "sl:90000", "--reduce-only"),
        ("order", "BTC", "buy", "0.01", "95000", "--tp", "99000", "--sl", "91000"),
        ("tpsl", "BTC", "--tp", "99000", "--side", "sell"),
        ("margin", "BTC", "remove", "12.5"),
        ("schedule-cancel", "60"),
        ("schedule-cancel", "off"),
        ("vault", "deposit", "0x5e9ee1089755c3435139848e47e6635505d5a13a", "100"),
        ("vault", "withdraw", "0x5e9ee1089755c3435139848e47e6635505d5a13a", "0.5"),
        ("vault", "create", "Calm", "100", "--description", "slow"),
        ("vault", "distribute", "0x5e9ee1089755c3435139848e47e6635505d5a13a", "0"),
        ("vault", "modify", "0x5e9ee1089755c3435139848e47e6635505d5a13a", "--no-deposits"),
        ("transfer", "0x5e9ee1089755c3435139848e47e6635505d5a13a", "12.5"),
        ("withdraw", "0x5e9ee1089755c3435139848e47e6635505d5a13a", "7"),
        ("agent", "0x5050a4f4b3f9338c3472dcc01a87c76a144b3c9c", "--name", "bot1"),
        ("oracle", "BTC=95000", "ETH=3500.5"),
        ("raw", '{"type":"noop"}'),
    ],
    ids=lambda arguments: arguments[0],
)
def test_offline_transactions_are_signed_by_the_key_named(arguments: tuple[str, ...]) -> None:
    """The printed request is admitted, and its signature recovers the development account."""
    outcome = run_cli("tx", *arguments, "--from", "3", "--offline", "--nonce", "1760000000000")
    assert outcome.code == 0, outcome.err
    envelope = admit(json.loads(outcome.out), "Testnet")
    assert recover_envelope(envelope, "Testnet") == address_of(development_key(3))
    assert "development account 3" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ("order", "BTC", "buy", "0.01", "@", "95000.55"),
            4,
            "nearest valid prices 95000 and 95001",
        ),
        (("order", "BTC", "buy", "0.000001", "@", "95000"), 4, "one lot is 0.00001"),
        (("order", "BTC", "buy", "0", "@", "95000"), 4, "not a positive whole number of lots"),
        (("order", "BTC", "buy", "1e-5", "@", "95000"), 2, "not a plain decimal"),
        (("order", "XYZ", "buy", "1", "@", "1"), 2, "there is no market 'XYZ'"),
        (("order", "BTC", "hold", "1", "@", "1"), 2, "an order reads"),
        (("order", "BTC", "buy", "1", "@", "90000", "--cloid", "0x12"), 2, "client id"),
        (("leverage", "BTC", "41"), 4, "leverage of BTC is 1 to 40"),
        (("transfer", "0x5e9e", "1"), 2, "address"),
        (("transfer", "0x5e9ee1089755c3435139848e47e6635505d5a13a", "1.1234567"), 2, "decimals"),
        (("raw", '{"type":"ordr"}'), 2, "did you mean order"),
        (("raw", '{"type":"noop","x":1}'), 2, "x"),
        (("raw", "[1]"), 2, "JSON object"),
        (("raw", "{"), 2, "invalid JSON"),
    ],
)
def test_refusals_name_the_value_and_the_exit_code(
    arguments: tuple[str, ...], code: int, message: str
) -> None:
    """Bad input gets its own sentence, nothing on stdout, and no traceback."""
    outcome = run_cli("tx", *arguments, "--from", "0", "--offline")
    assert outcome.code == code, outcome.err
    assert message in outcome.err
    assert outcome.out == ""
    assert "Traceback" not in outcome.err


def test_transactions_without_a_node_say_that_nothing_was_sent() -> None:
    """Nobody listens: exit 3, and the trader knows that nothing happened."""
    outcome = run_cli("tx", "raw", '{"type":"noop"}', "--from", "0", "--url", "http://127.0.0.1:1")
    assert outcome.code == 3
    assert "no node at http://127.0.0.1:1" in outcome.err
    assert "nothing was sent" in outcome.err
    assert outcome.out == ""


def test_a_cosigner_key_is_made_once_and_never_shown(tmp_path: Path) -> None:
    """The answer is the verifier key; the file is the owner's alone and is not overwritten."""
    file = tmp_path / "a.key"
    made = run_cli("keys", "cosigner", "auditor.example/replay", str(file))
    assert made.code == 0, made.err
    assert made.out.strip() == format_vkey(load_key_file(file).verifier)
    assert file.stat().st_mode & 0o777 == 0o600
    kept = file.read_bytes()
    again = run_cli("keys", "cosigner", "auditor.example/replay", str(file))
    assert again.code == 2
    assert file.read_bytes() == kept
    assert run_cli("keys", "cosigner", "two words", str(tmp_path / "b.key")).code == 2


def test_keys_are_made_listed_and_used(tmp_path: Path) -> None:
    """A key file made here signs, and the key itself is never shown."""
    secret = {"CHAINPERP_PASSWORD": "correct horse"}
    folder = str(tmp_path / "keys")
    key = "0x" + "01" * 32
    made = run_cli(
        "keys", "import", "trader", "-", "--keys", folder, "--json",
        environment=secret, text_in=key,
    )  # fmt: skip
    assert made.code == 0, made.err
    address = "0x1a642f0e3c3af545e7acbd38b07251b3990914f1"
    assert made.document["address"] == address
    listed = run_cli("keys", "list", "--keys", folder, "--json")
    assert listed.document == {"keys": [{"name": "trader", "address": address}]}
    shown = run_cli("keys", "show", "trader", "--keys", folder)
    assert address in shown.out
    signed = run_cli(
        "tx", "raw", '{"type":"noop"}', "--from", "trader", "--keys", folder, "--offline",
        environment=secret,
    )  # fmt: skip
    assert signed.code == 0, signed.err
    envelope = admit(json.loads(signed.out), "Testnet")
    assert "0x" + recover_envelope(envelope, "Testnet").hex() == address
    wrong = run_cli(
        "tx", "raw", '{"type":"noop"}', "--from", "trader", "--keys", folder, "--offline",
        environment={"CHAINPERP_PASSWORD": "wrong"},
    )  # fmt: skip
    assert wrong.code == 2
    assert key[2:] not in made.out + made.err + listed.out + shown.out + signed.err + wrong.err
    again = run_cli(
        "keys", "import", "trader", "-", "--keys", folder, environment=secret, text_in=key
    )
    assert again.code == 2
    missing = run_cli("keys", "show", "nobody", "--keys", folder)
    assert missing.code == 3


def test_rules_are_listed_and_explained() -> None:
    """The rule book is on the command line too."""
    listed = run_cli("rules", "--json")
    codes = [row["code"] for row in listed.document["rules"]]
    assert "MRG-2" in codes
    one = run_cli("rules", "MRG-2")
    assert one.code == 0
    assert "maintenance" in one.out.lower()
    assert run_cli("rules", "XYZ-9").code == 3
