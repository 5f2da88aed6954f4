"""Policy files, line by line, and what they say of a signed note."""

import json
from pathlib import Path

import pytest

from chainperp.base.errors import BadRequest, InvalidProof
from chainperp.evidence.checkpoint import Checkpoint, cosign_checkpoint, sign_checkpoint
from chainperp.evidence.note import KIND_COSIGNATURE, VerifierKey, format_vkey
from chainperp.evidence.policy import check_policy, parse_policy
from chainperp.storage.logkey import LogKey, verify_ed25519

NOTE = json.loads(Path("fixtures/log/audit-log-vectors.json").read_text())["note"]
RAW: bytes = NOTE["checkpoint"].encode()
TIME = 1_700_000_002
LOG = LogKey("log.example/a", bytes(32))
OTHER_LOG = LogKey("log.example/b", b"\1" * 32)
KEYS = [LogKey(f"w{at}.example/w", bytes([50 + at]) * 32, KIND_COSIGNATURE) for at in range(6)]
CHECKPOINT = sign_checkpoint(Checkpoint(LOG.verifier.name, 9, b"\7" * 32), LOG.verifier, LOG.sign)


def vkey(key: LogKey) -> str:
    return format_vkey(key.verifier)


WITNESSES = "".join(f"witness w{at} {vkey(key)}\n" for at, key in enumerate(KEYS))
HEAD = f"log {vkey(LOG)}\n{WITNESSES}"
NESTED = (
    HEAD + "group x 2 w0 w1 w2\ngroup y any w3 w4\ngroup both all x y\ngroup top 1 both w5\n"
    "quorum top\n"
)


def signed_by(*places: int) -> bytes:
    raw = CHECKPOINT
    for at in places:
        raw = cosign_checkpoint(raw, KEYS[at].verifier, TIME, KEYS[at].sign)
    return raw


def test_the_policy_of_the_vectors_is_met_by_their_checkpoint() -> None:
    answer = check_policy(parse_policy(NOTE["policy"].encode()), RAW, verify_ed25519)
    assert answer.is_met
    assert answer.is_verified
    assert list(answer.signed) == ["w1", "w2"]
    assert {one.time for one in answer.signed.values()} == {TIME}
    assert answer.met == ("external",)
    assert "quorum external is met, cosigned by w1, w2" in answer.sentence()


@pytest.mark.parametrize("number", range(64))
def test_nested_groups_are_met_exactly_when_the_formula_says(number: int) -> None:
    """All 64 sets of signers, against the quorum written as one expression."""
    places = [at for at in range(6) if number >> at & 1]
    s = [at in places for at in range(6)]
    expected = (sum(s[:3]) >= 2 and any(s[3:5])) or s[5]
    answer = check_policy(parse_policy(NESTED.encode()), signed_by(*places), verify_ed25519)
    assert answer.is_met == expected
    assert sorted(answer.signed) == [f"w{at}" for at in places]
    assert ("NOT met" in answer.sentence()) == (not expected)


def test_no_quorum_needs_the_log_only() -> None:
    policy = parse_policy((HEAD + "quorum none").encode())
    assert check_policy(policy, signed_by(), verify_ed25519).is_verified
    single = parse_policy((HEAD + "quorum w4\n").encode())
    assert not check_policy(single, signed_by(3), verify_ed25519).is_met
    assert check_policy(single, signed_by(3, 4), verify_ed25519).is_met


def test_blank_lines_tabs_comments_and_urls() -> None:
    text = (
        f"# ours, é\n \t# more\n\n\tlog\t {vkey(LOG)} https://log.example/ \n{WITNESSES}"
        f"group g\t2  w0 w1 \nquorum \t g \n"
    )
    policy = parse_policy(text.encode())
    assert policy.logs[0].url == "https://log.example/"
    assert policy.witnesses[0].url is None
    assert check_policy(policy, signed_by(0, 1), verify_ed25519).is_met


def test_names_are_octets() -> None:
    """A name that is not UTF-8 is a name; the Kelvin sign is not the letter K."""
    head = f"log {vkey(LOG)}\n".encode()
    one = f" {vkey(KEYS[0])}\n".encode()
    two = f" {vkey(KEYS[1])}\n".encode()
    policy = parse_policy(head + b"witness \xff\xfe" + one + b"quorum \xff\xfe\n")
    assert check_policy(policy, signed_by(0), verify_ed25519).is_met
    kelvin = head + b"witness K" + one + b"witness \xe2\x84\xaa" + two + b"quorum \xe2\x84\xaa\n"
    assert not check_policy(parse_policy(kelvin), signed_by(0), verify_ed25519).is_met
    assert check_policy(parse_policy(kelvin), signed_by(1), verify_ed25519).is_met
    # A no-break space is not white space here.
    spaced = head + b"witness a\xc2\xa0b" + one + b"quorum a\xc2\xa0b\n"
    assert parse_policy(spaced).quorum == "a\xa0b"


RENAMED = VerifierKey("other.example/w", KIND_COSIGNATURE, KEYS[0].verifier.public)
RELOGGED = VerifierKey("other.example/log", 1, LOG.verifier.public)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no quorum line"),
        (HEAD, "no quorum line"),
        (HEAD + "quorum w0\nquorum w0\n", "line 9: the quorum is 'w0' already"),
        (HEAD + "quorum none\nquorum w0\n", "the quorum is 'none' already"),
        (HEAD + "quorum w9\n", "line 8: the name 'w9' is not defined above"),
        ("quorum w0\n" + HEAD, "line 1: the name 'w0' is not defined above"),
        (HEAD + "quorum\n", "quorum takes one name, found 0 items"),
        (HEAD + "quorum w0 w1\n", "quorum takes one name, found 2 items"),
        (HEAD + "quorum w0 # mine\n", "quorum takes one name, found 3 items"),
        (HEAD + "Quorum w0\n", "unknown keyword 'Quorum'"),
        (HEAD + "group g 1 w9\nquorum g\n", "'w9' is not defined above"),
        (HEAD + "group g 1 g\nquorum g\n", "'g' is not defined above"),
        (HEAD + "group g 1 none\nquorum g\n", "'none' is not defined above"),
        (HEAD + "group g 0 w0\nquorum g\n", "threshold is 0, the group has 1 members"),
        (HEAD + "group g 2 w0\nquorum g\n", "threshold is 2, the group has 1 members"),
        (HEAD + "group g 01 w0\nquorum g\n", "leading zeros"),
        (HEAD + "group g -1 w0\nquorum g\n", "not a decimal"),
        (HEAD + "group g most w0\nquorum g\n", "not a decimal"),
        (HEAD + "group g 1\nquorum g\n", "group takes a name, a threshold and members"),
        (HEAD + "group g 2 w0 w0\nquorum g\n", "'w0' is a member of group 'g' already"),
        (HEAD + "group g 1 w0\ngroup h 1 w0\nquorum h\n", "'w0' is a member of group 'g' already"),
        (HEAD + "group w0 1 w1\nquorum w0\n", "'w0' is defined already"),
        (HEAD + "group none 1 w1\nquorum none\n", "the name none is taken"),
        (HEAD + f"witness none {vkey(KEYS[0])}\nquorum none\n", "is defined already, as that of"),
        (HEAD + f"witness v {format_vkey(RENAMED)}\nquorum v\n", "is defined already, as that of"),
        (HEAD + f"log {format_vkey(RELOGGED)}\nquorum w0\n", "is defined already, as that of"),
        (HEAD + f"log {vkey(KEYS[0])}\nquorum w0\n", "has kind 04, expected 01"),
        (f"witness w {vkey(OTHER_LOG)}\nquorum w\n", "has kind 01, expected 04"),
        (HEAD + "witness v\nquorum w0\n", "witness takes a name, a key"),
        (HEAD + "log\nquorum w0\n", "log takes a key"),
        (HEAD + "log x+1+AA== u v\nquorum w0\n", "log takes a key"),
        (HEAD + "log nonsense\nquorum w0\n", "verifier key is not name"),
        (HEAD + "quorum w0\r\n", "octet 0d is not allowed"),
        (HEAD + "# \x7f\nquorum w0\n", "octet 7f is not allowed"),
        (HEAD + "#\n" * 2000 + "quorum w0\n", "policy has 2009 lines, at most 1024"),
        ("#" * 300_000, "policy has 300000 bytes"),
    ],
)  # fmt: skip
def test_everything_else_is_refused_naming_the_line(text: str, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_policy(text.encode())
    assert message in str(caught.value)


def test_a_checkpoint_that_no_listed_log_signed_is_refused() -> None:
    policy = parse_policy((HEAD + "quorum none\n").encode())
    name = OTHER_LOG.verifier.name
    foreign = sign_checkpoint(Checkpoint(name, 1, bytes(32)), OTHER_LOG.verifier, OTHER_LOG.sign)
    with pytest.raises(InvalidProof, match="the policy has no such log"):
        check_policy(policy, foreign, verify_ed25519)
    assert check_policy(policy, foreign, verify_ed25519, OTHER_LOG.verifier).is_met
    posing = LogKey(LOG.verifier.name, b"\2" * 32)
    forged = sign_checkpoint(Checkpoint(LOG.verifier.name, 1, bytes(32)), posing.verifier,
                             posing.sign)  # fmt: skip
    with pytest.raises(InvalidProof, match="no signature of"):
        check_policy(policy, forged, verify_ed25519)


def test_a_known_witness_whose_signature_fails_spoils_the_note() -> None:
    policy = parse_policy((HEAD + "quorum w0\n").encode())
    raw = signed_by(0, 1)
    moved = raw.replace(b"\n9\n", b"\n8\n")
    with pytest.raises(InvalidProof, match="does not verify"):
        check_policy(policy, moved, verify_ed25519)
    line = raw.rstrip(b"\n").rsplit(b"\n", 1)[1]
    spoiled = raw.replace(line, line[:-12] + b"AAAAAAAAAA==")
    with pytest.raises(InvalidProof, match=r"w1\.example/w"):
        check_policy(policy, spoiled, verify_ed25519)


def test_without_a_verifier_the_answer_says_so() -> None:
    answer = check_policy(parse_policy(NESTED.encode()), signed_by(5), None)
    assert answer.is_met
    assert not answer.is_verified


def test_two_keys_of_one_log_are_each_enough() -> None:
    """While a log changes its key, either signature will do."""
    new = LogKey(LOG.verifier.name, b"\3" * 32)
    policy = parse_policy((f"log {vkey(new)}\n" + HEAD + "quorum none\n").encode())
    assert check_policy(policy, signed_by(), verify_ed25519).log.key == LOG.verifier
    with_new = sign_checkpoint(Checkpoint(LOG.verifier.name, 9, b"\7" * 32), new.verifier, new.sign)
    assert check_policy(policy, with_new, verify_ed25519).log.key == new.verifier
