"""Who signed a request: every step in words, and the mistake that explains a stranger."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chainperp.base.errors import EXIT_UNREACHABLE
from chainperp.base.units import address_text
from chainperp.cli import output
from chainperp.cli.chain_log import parse_hex
from chainperp.cli.signing import json_object

if TYPE_CHECKING:
    from chainperp.client.diagnosis import Diagnosis, Tried

REMEDIES: Final = {
    "trailing_zeros": "remove trailing zeros before signing (PY: float_to_wire)",
    "point_zero": 'sign "95000", not "95000.0"',
    "float": "prices and sizes are text, signed as text",
    "mixed_case": "write addresses inside actions in lower case before signing",
    "key_order": "sign the keys in the order of the action's type, below; JSON may have any order",
    "null_keys": "leave empty keys out before signing",
    "network": "a local node has the rules of the test network: source b, Testnet",
    "v": "v is 27 plus the recovery bit",
    "vault": "vaultAddress is part of what is signed: the same in the request and in the hash",
    "expiry": "expiresAfter is part of what is signed: the same in the request and in the hash",
    "scheme": "this action is signed field by field as typed data, not as a hash",
    "type_name": 'the primary type begins with "HyperliquidTransaction:"',
    "nonce": "the action's own nonce or time repeats the request's",
    "chain": "L1 actions are signed under chain 1337; others under their signatureChainId",
}


def explain_signature(
    file: Path, expect: str | None, network: str
) -> tuple[dict[str, Any], list[str]]:
    """The steps from a request to its signer, as a document and in lines. Raises BadRequest."""
    from chainperp.client.diagnosis import diagnose

    if network not in ("Testnet", "Mainnet"):
        output.usage(f"network is Testnet or Mainnet, was {network!r}")
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        output.fail(EXIT_UNREACHABLE, f"the request cannot be read: {file} ({error})")
    body = json_object(text, "a request")
    expected = None if expect is None else address_text(parse_hex(expect, 20, "expect"))
    result = diagnose(body, "Mainnet" if network == "Mainnet" else "Testnet", expected)
    return _document(result, network), [*_steps(result, network), *_verdict(result)]


def _document(result: "Diagnosis", network: str) -> dict[str, Any]:
    return {
        "network": network,
        "scheme": result.scheme,
        "action": result.action,
        "packed": result.packed,
        "action_hash": result.action_hash,
        "typed_data": result.typed_data,
        "digest": result.digest,
        "recovered": result.recovered,
        "expected": result.expected,
        "refusal": result.refusal,
        "mistakes": None if result.found is None else _mistakes(result.found),
        "tried": [{"address": one.address, "mistakes": _mistakes(one)} for one in result.tried],
        "tried_count": result.count,
    }


def _mistakes(tried: "Tried") -> list[dict[str, str]]:
    return [
        {"code": one.code, "sentence": one.sentence, "remedy": REMEDIES[one.code]}
        for one in tried.mistakes
    ]


def _steps(result: "Diagnosis", network: str) -> list[str]:
    lines = [
        f"scheme       {result.scheme}, read as {network}",
        f"action       {json.dumps(result.action, separators=(',', ':'))}",
        f"packed       {result.packed}",
    ]
    if result.action_hash is not None:
        lines.append(f"action hash  {result.action_hash}")
    typed = json.dumps(result.typed_data, separators=(",", ":"))
    lines += [f"typed data   {typed}", f"digest       {result.digest}"]
    return lines


def _verdict(result: "Diagnosis") -> list[str]:
    lines = [f"recovered    {result.recovered or 'nobody: no key fits r, s and v'}"]
    if result.refusal is not None:
        lines.append(f"refused      before the signature is looked at: {result.refusal}")
    if result.expected is None:
        return lines + _who_else(result)
    if result.recovered == result.expected:
        return [*lines, "right        this is the address that was expected"]
    lines.append(f"expected     {result.expected}")
    if result.found is None:
        lines.append(
            f"not found    none of {result.count} readings of this signature gives that address: "
            "another key, another nonce, or another action was signed"
        )
        return lines
    for mistake in result.found.mistakes:
        lines += [f"mistake      {mistake.sentence}", f"  remedy     {REMEDIES[mistake.code]}"]
    return lines


def _who_else(result: "Diagnosis") -> list[str]:
    """Without an expectation: whom the signature names under each single mistake."""
    lines = ["if one mistake was made, it is the one whose address is yours (or use --expect):"]
    return lines + [f"  {one.address}  {one.mistakes[0].sentence}" for one in result.tried]
