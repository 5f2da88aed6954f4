"""Key files of logs and cosigners: written once, readable by their owner, one line."""

from pathlib import Path

import pytest

from chainperp.base.errors import BadRequest, InvalidFile, NotFound
from chainperp.evidence.note import KIND_COSIGNATURE, KIND_ED25519
from chainperp.storage.logkey import load_key_file, save_key_file

# Made by Go's note.GenerateKey; the example of its documentation.
GO_KEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz\n"
GO_PUBLIC = "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


@pytest.mark.parametrize("kind", [KIND_ED25519, KIND_COSIGNATURE])
def test_a_saved_key_loads_and_signs_the_same(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "witness.key"
    made = save_key_file(path, "witness.example/w", bytes(range(32)), kind)
    loaded = load_key_file(path)
    assert loaded.verifier == made.verifier
    assert loaded.verifier.kind == kind
    assert loaded.sign(b"x") == made.sign(b"x")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().count("\n") == 1
    with pytest.raises(BadRequest, match="nothing is overwritten"):
        save_key_file(path, "witness.example/w", bytes(32))


def test_a_key_file_of_go_is_read(tmp_path: Path) -> None:
    from base64 import b64encode

    path = tmp_path / "go.key"
    path.write_text(GO_KEY)
    path.chmod(0o600)
    key = load_key_file(path).verifier
    assert (key.name, key.kind) == ("PeterNeumann", KIND_ED25519)
    assert b64encode(b"\1" + key.public).decode() == GO_PUBLIC


@pytest.mark.parametrize(
    "text",
    ["", "PRIVATE+KEY+", GO_KEY[12:], GO_KEY.replace("c74f", "c74e"), GO_KEY[:-3], "\xff" + GO_KEY,
     GO_KEY.replace("+AY", "+BY"), "PRIVATE+KEY+a b+00000000+AA==", GO_KEY + GO_KEY],
)  # fmt: skip
def test_other_files_are_refused_without_showing_them(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(InvalidFile) as caught:
        load_key_file(path)
    assert "EKFALVFG" not in str(caught.value)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.key"
    path.write_text(GO_KEY)
    path.chmod(0o640)
    with pytest.raises(InvalidFile, match="mode is 0640"):
        load_key_file(path)
    with pytest.raises(NotFound):
        load_key_file(tmp_path / "none.key")
