"""`chainperp keys`: private keys in encrypted files (Web3 Secret Storage)."""

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from chainperp.base.units import address_text
from chainperp.cli import output

app = typer.Typer(
    help="Private keys in encrypted files (Web3 Secret Storage v3).", no_args_is_help=True
)

DEFAULT_DIR = Path("~/.chainperp/keys")
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Dir = Annotated[Path, typer.Option("--keys", help="Folder of the key files.")]
PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", help="Read the password from a file.")
]


def password_of(file: Path | None, confirm: bool = False) -> str:
    """The password: from a file, from CHAINPERP_PASSWORD, or from a prompt; never from a flag."""
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").rstrip("\n")
        except OSError as error:
            output.usage(f"password file cannot be read: {file} ({error.strerror})")
    if "CHAINPERP_PASSWORD" in os.environ:
        return os.environ["CHAINPERP_PASSWORD"]
    if not sys.stdin.isatty():
        output.usage(
            "a password is needed and there is no terminal to ask on",
            "give --password-file FILE or set CHAINPERP_PASSWORD",
        )
    first = getpass.getpass("password: ")
    if confirm and getpass.getpass("again: ") != first:
        output.usage("the two passwords differ")
    return first


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Name of the key.")],
    keys: Dir = DEFAULT_DIR,
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> None:
    """Make a new key. Example: chainperp keys new trader"""
    from chainperp.storage import keystore

    stored = keystore.new_key(
        keys.expanduser(), name, lambda: password_of(password_file, confirm=True)
    )
    _show(stored.name, address_text(stored.address), str(stored.path), as_json)


@app.command("import")
def import_(
    name: Annotated[str, typer.Argument(help="Name of the key.")],
    key_file: Annotated[Path, typer.Argument(help="File with 64 hex digits; - for stdin.")],
    keys: Dir = DEFAULT_DIR,
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> None:
    """Encrypt a private key that you have. Example: chainperp keys import trader key.hex"""
    from chainperp.storage import keystore

    text = sys.stdin.read() if str(key_file) == "-" else _read(key_file)
    digits = text.strip().removeprefix("0x")
    try:
        key = bytes.fromhex(digits)
    except ValueError:
        key = b""
    if len(key) != 32:
        output.usage(f"a private key has 64 hex digits, found {len(digits)} characters")
    stored = keystore.import_key(
        keys.expanduser(), name, key, lambda: password_of(password_file, confirm=True)
    )
    _show(stored.name, address_text(stored.address), str(stored.path), as_json)


@app.command("list")
def list_(keys: Dir = DEFAULT_DIR, as_json: Json = False) -> None:
    """List the keys. Example: chainperp keys list"""
    from chainperp.storage import keystore

    stored = keystore.list_keys(keys.expanduser())
    if as_json:
        rows = [{"name": one.name, "address": address_text(one.address)} for one in stored]
        output.answer({"keys": rows}, [], as_json=True)
        return
    output.table("", ["name", "address"], [[one.name, address_text(one.address)] for one in stored])


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="Name of the key.")],
    keys: Dir = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Show a key's address, never the key. Example: chainperp keys show trader"""
    from chainperp.storage import keystore

    for one in keystore.list_keys(keys.expanduser()):
        if one.name == name:
            _show(one.name, address_text(one.address), str(one.path), as_json)
            return
    output.fail(3, f"there is no key named {name!r} in {keys}")


@app.command("cosigner")
def cosigner(
    name: Annotated[str, typer.Argument(help="Name of the key, such as auditor.example/replay.")],
    file: Annotated[Path, typer.Argument(help="File to write; it must not exist.")],
    as_json: Json = False,
) -> None:
    """Make a key for cosignatures. Example: chainperp keys cosigner auditor.example/replay a.key"""
    import secrets

    from chainperp.evidence.note import format_vkey
    from chainperp.storage.logkey import save_key_file

    vkey = format_vkey(save_key_file(file, name, secrets.token_bytes(32)).verifier)
    output.answer({"vkey": vkey, "path": str(file)}, [vkey], as_json)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        output.usage(f"key file cannot be read: {path} ({error})")


def _show(name: str, address: str, path: str, as_json: bool) -> None:
    output.answer({"name": name, "address": address, "path": path}, [f"{name}  {address}"], as_json)
