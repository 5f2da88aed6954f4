"""Key files: encrypted, private, never overwritten, readable by other wallets."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from eth_account import Account

from chainperp.base.errors import BadRequest, InvalidFile
from chainperp.client.wallet import address_of
from chainperp.storage.keystore import import_key, list_keys, load_key, new_key

KEY = bytes([1]) * 32
QUICK = 4096


def answer(word: str) -> Callable[[], str]:
    return lambda: word


def never() -> str:
    raise AssertionError("the password was asked for too early")


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(BadRequest) as caught:
        action()
    return caught.value.code


def test_a_key_comes_back_with_its_password(tmp_path: Path) -> None:
    directory = tmp_path / "keys"
    stored = import_key(directory, "desk", KEY, answer("pässwörd 🗝"), work_factor=QUICK)
    assert stored.address == address_of(KEY)
    assert load_key(directory, "desk", answer("pässwörd 🗝")) == KEY
    assert stored.path.stat().st_mode & 0o777 == 0o600
    assert directory.stat().st_mode & 0o777 == 0o700
    assert KEY.hex() not in stored.path.read_text()


def test_new_keys_differ_and_are_listed_by_name(tmp_path: Path) -> None:
    second = new_key(tmp_path, "b", answer("x"), work_factor=QUICK)
    first = new_key(tmp_path, "a", answer("x"), work_factor=QUICK)
    assert first.address != second.address
    assert list_keys(tmp_path) == [first, second]
    assert list_keys(tmp_path / "nothing") == []
    assert address_of(load_key(tmp_path, "a", answer("x"))) == first.address


def test_other_wallets_read_our_files_and_we_read_theirs(tmp_path: Path) -> None:
    ours = import_key(tmp_path, "ours", KEY, answer("wörd"), work_factor=QUICK)
    assert bytes(Account.decrypt(json.loads(ours.path.read_text()), "wörd")) == KEY
    theirs = tmp_path / "theirs.json"
    theirs.write_text(json.dumps(Account.encrypt(KEY, "wörd", kdf="pbkdf2", iterations=1000)))
    theirs.chmod(0o600)
    assert load_key(tmp_path, "theirs", answer("wörd")) == KEY


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    stored = import_key(tmp_path, "desk", KEY, answer("x"), work_factor=QUICK)
    before = stored.path.read_bytes()
    assert code_of(lambda: import_key(tmp_path, "desk", KEY, never)) == "key_exists"
    assert code_of(lambda: new_key(tmp_path, "desk", never)) == "key_exists"
    assert stored.path.read_bytes() == before


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "-x", "a b", "a\x00", "ä", "x" * 65]
)
def test_names_stay_inside_the_directory(tmp_path: Path, name: str) -> None:
    assert code_of(lambda: import_key(tmp_path, name, KEY, never)) == "key_name"
    assert code_of(lambda: load_key(tmp_path, name, never)) == "key_name"


def test_wrong_password_unknown_name_and_bad_keys_are_named(tmp_path: Path) -> None:
    import_key(tmp_path, "desk", KEY, answer("right"), work_factor=QUICK)
    assert code_of(lambda: load_key(tmp_path, "desk", answer("wrong"))) == "password"
    assert code_of(lambda: load_key(tmp_path, "other", never)) == "key_unknown"
    assert code_of(lambda: import_key(tmp_path, "e", KEY, answer(""))) == "password"
    for wrong in (bytes(32), b"\xff" * 32, b"short"):
        assert code_of(lambda key=wrong: import_key(tmp_path, "w", key, never)) == "private_key"  # type: ignore[misc]
    assert not (tmp_path / "w.json").exists()


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    stored = import_key(tmp_path, "desk", KEY, answer("x"), work_factor=QUICK)
    stored.path.chmod(0o640)
    with pytest.raises(InvalidFile, match=r"mode is 0640.*chmod 600"):
        load_key(tmp_path, "desk", never)


def test_a_link_is_refused(tmp_path: Path) -> None:
    stored = import_key(tmp_path, "desk", KEY, answer("x"), work_factor=QUICK)
    os.symlink(stored.path, tmp_path / "link.json")
    with pytest.raises(InvalidFile, match="not a plain file"):
        load_key(tmp_path, "link", never)


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"version": 1}', "[" * 9000, "\x00"])
def test_files_that_are_no_key_files_are_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "desk.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(InvalidFile, match=r"desk\.json"):
        load_key(tmp_path, "desk", never)


def test_a_swapped_address_or_broken_secret_is_noticed(tmp_path: Path) -> None:
    stored = import_key(tmp_path, "desk", KEY, answer("x"), work_factor=QUICK)
    document = json.loads(stored.path.read_text())
    stored.path.write_text(json.dumps(document | {"address": "00" * 20}))
    with pytest.raises(InvalidFile, match="another address"):
        load_key(tmp_path, "desk", answer("x"))
    document["crypto"]["kdfparams"]["n"] = 3
    stored.path.write_text(json.dumps(document))
    with pytest.raises(InvalidFile, match="not a version 3 key file"):
        load_key(tmp_path, "desk", answer("x"))


def test_a_file_made_while_the_password_was_asked_for_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "desk.json"

    def slow() -> str:
        path.write_text("somebody else's")
        return "x"

    assert code_of(lambda: import_key(tmp_path, "desk", KEY, slow, work_factor=QUICK)) == (
        "key_exists"
    )
    assert path.read_text() == "somebody else's"
