"""Why a signature names a stranger: what the exchange hashes, and what was signed instead.

A wrong signature always recovers somebody, a new address each time. Here is every step from the
request to that address, and a search over the usual mistakes for the one that gives the address
that was expected. What it finds is certain: nobody hits an address by chance.
Source: hyperliquid-api 3.2 to 3.5; ecosystem 2.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final

from chainperp.base.errors import BadRequest
from chainperp.base.units import address_text
from chainperp.client.variants import Mistake, forms, text_forms
from chainperp.model.envelope import L1, MULTI_SIG, USER_SIGNED, Envelope
from chainperp.wire.actions import canonical_action, scheme_of
from chainperp.wire.signature import recover
from chainperp.wire.signing import (
    action_hash,
    admit,
    check_user_signed,
    multi_sig_hash,
    recover_envelope,
)
from chainperp.wire.typed_data import (
    USER_SIGNED_TYPES,
    Fields,
    Network,
    agent_digest,
    keccak,
    nonce_key,
)

ZERO_ADDRESS: Final = "0x" + 40 * "0"
AGENT_CHAIN: Final = 1337
CHAINS: Final = (421614, 42161, 1, 998, 999, 1337)
"""Chains that clients put into typed data: test and main Arbitrum, Ethereum, both HyperEVMs."""

SOURCES: Final[dict[Network, str]] = {"Mainnet": "a", "Testnet": "b"}
DOMAIN_TYPE: Final = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]
_DOMAIN_HASH: Final = keccak(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)

OTHER_NETWORK: Final = Mistake("network", "it was signed for the other network")
FLIPPED: Final = Mistake("v", "v is the other one of 27 and 28")
NO_VAULT: Final = Mistake("vault", "vaultAddress was sent but not signed")
OWN_VAULT: Final = Mistake("vault", "the account's own address was signed as vaultAddress")
NO_EXPIRY: Final = Mistake("expiry", "expiresAfter was sent but not signed")
AS_L1: Final = Mistake("scheme", "a user-signed action was signed as an L1 action")
NO_PREFIX: Final = Mistake("type_name", 'the type was signed without "HyperliquidTransaction:"')
OUTER_NONCE: Final = Mistake("nonce", "the request's nonce was signed, not the action's")


@dataclass(frozen=True, slots=True)
class Tried:
    """A signature read with some mistakes, and whom it then names."""

    mistakes: tuple[Mistake, ...]
    address: str


@dataclass(slots=True)
class Diagnosis:
    """All steps from a request to its signer, and what else was tried."""

    action: dict[str, Any]
    scheme: str
    packed: str
    action_hash: str | None
    typed_data: dict[str, Any]
    digest: str
    recovered: str | None
    refusal: str | None
    "What the exchange says before it looks at the signature, if it does."
    expected: str | None
    found: Tried | None = None
    "The fewest mistakes that give the expected address."
    tried: list[Tried] = field(default_factory=list)
    "Whom the signature names under each single mistake."
    count: int = 0


@dataclass(frozen=True, slots=True)
class _Request:
    """A request taken apart, as sent and in canonical form."""

    sent: dict[str, Any]
    action: dict[str, Any]
    envelope: Envelope
    network: Network
    outer_nonce: int


def recovered_signer(body: dict[str, Any], network: Network) -> str:
    """Address that signed a request, as the exchange sees it. Raises BadRequest."""
    return address_text(recover_envelope(admit(body, network), network))


def diagnose(body: dict[str, Any], network: Network, expected: str | None) -> Diagnosis:
    """Take a request apart. Raises BadRequest when it is not even one."""
    request, refusal = _read(body, network)
    envelope = request.envelope
    typed = typed_data(request)
    digest = _digest_of_typed(typed)
    recovered = _who(request, digest)
    result = Diagnosis(
        action=request.action,
        scheme={L1: "L1 action", USER_SIGNED: "user-signed action", MULTI_SIG: "multi-sig"}[
            envelope.scheme
        ],
        packed=envelope.action_bytes.hex(),
        action_hash=_hash_text(request),
        typed_data=typed,
        digest="0x" + digest.hex(),
        recovered=recovered,
        refusal=refusal,
        expected=expected,
    )
    if recovered != expected:
        _search(request, result)
    return result


def _read(body: dict[str, Any], network: Network) -> tuple[_Request, str | None]:
    """The request, and the text with which an exchange refuses it unread."""
    action = canonical_action(body.get("action"))
    refusal = None
    # The network and nonce of a user-signed action are looked at before its signature.
    lenient = dict(body)
    if scheme_of(action["type"]) == USER_SIGNED:
        try:
            check_user_signed(action, body.get("nonce", 0), network)
        except BadRequest as error:
            refusal = str(error)
        lenient["nonce"] = action[nonce_key(action["type"])]
        read_as: Network = action["hyperliquidChain"]
    else:
        read_as = network
    envelope = admit(lenient, read_as)
    nonce = body.get("nonce")
    outer = nonce if type(nonce) is int else envelope.nonce
    return _Request(body["action"], action, envelope, network, outer), refusal


def _hash_text(request: _Request) -> str | None:
    envelope = request.envelope
    if envelope.scheme == USER_SIGNED:
        return None
    if envelope.scheme == MULTI_SIG:
        return "0x" + multi_sig_hash(envelope).hex()
    hashed = action_hash(
        envelope.action_bytes, envelope.nonce, envelope.vault, envelope.expires_after
    )
    return "0x" + hashed.hex()


def typed_data(request: _Request) -> dict[str, Any]:
    """The EIP-712 document that a wallet shows for a request."""
    envelope, action = request.envelope, request.action
    if envelope.scheme == L1:
        message: dict[str, Any] = {
            "source": SOURCES[request.network],
            "connectionId": _hash_text(request),
        }
        members = [
            {"name": "source", "type": "string"}, {"name": "connectionId", "type": "bytes32"},
        ]  # fmt: skip
        return _typed("Exchange", AGENT_CHAIN, "Agent", members, message)
    chain = int(action["signatureChainId"], 16)
    fields: Fields
    if envelope.scheme == MULTI_SIG:
        name = "SendMultiSig"
        fields = (
            ("hyperliquidChain", "string"), ("multiSigActionHash", "bytes32"), ("nonce", "uint64"),
        )  # fmt: skip
        message = {
            "hyperliquidChain": request.network,
            "multiSigActionHash": _hash_text(request),
            "nonce": envelope.nonce,
        }
    else:
        name, fields = USER_SIGNED_TYPES[action["type"]]
        message = {key: action.get(key, "") for key, _ in fields}
    members = [{"name": key, "type": kind} for key, kind in fields]
    primary = f"HyperliquidTransaction:{name}"
    return _typed("HyperliquidSignTransaction", chain, primary, members, message)


def _typed(
    name: str, chain: int, primary: str, members: list[dict[str, str]], message: dict[str, Any]
) -> dict[str, Any]:
    return {
        "domain": {
            "name": name, "version": "1", "chainId": chain, "verifyingContract": ZERO_ADDRESS,
        },
        "types": {"EIP712Domain": DOMAIN_TYPE, primary: members},
        "primaryType": primary,
        "message": message,
    }  # fmt: skip


def _digest_of_typed(typed: dict[str, Any]) -> bytes:
    """EIP-712 digest of a document with one flat type: the second way to the same bytes."""
    domain, primary = typed["domain"], typed["primaryType"]
    members = typed["types"][primary]
    listed = ",".join(f"{one['type']} {one['name']}" for one in members)
    words = [keccak(f"{primary}({listed})".encode())]
    words += [_word(one["type"], typed["message"][one["name"]]) for one in members]
    separator = keccak(
        _DOMAIN_HASH
        + keccak(domain["name"].encode())
        + keccak(domain["version"].encode())
        + domain["chainId"].to_bytes(32, "big")
        + bytes(32)
    )
    return keccak(b"\x19\x01" + separator + keccak(b"".join(words)))


def _word(kind: str, value: Any) -> bytes:
    if kind == "string":
        return keccak(value.encode())
    if kind == "bytes":
        return keccak(bytes.fromhex(value[2:]))
    if kind in ("address", "bytes32"):
        return bytes.fromhex(value[2:]).rjust(32, b"\x00")
    return int(value).to_bytes(32, "big")


def _who(request: _Request, digest: bytes, *, is_flipped: bool = False) -> str | None:
    envelope = request.envelope
    v = 55 - envelope.v if is_flipped else envelope.v
    try:
        return address_text(recover(digest, v, envelope.r, envelope.s))
    except BadRequest:
        return None


# --- the search ----------------------------------------------------------------------------------


def _search(request: _Request, result: Diagnosis) -> None:
    """Read the signature under every set of mistakes; keep the smallest that fits."""
    singles: dict[str, Tried] = {}
    candidates = sorted(_candidates(request, result.expected), key=lambda one: len(one[0]))
    for mistakes, digest in candidates:
        for is_flipped in (False, True):
            if is_flipped and len(mistakes) > 1:
                continue
            made = (*mistakes, FLIPPED) if is_flipped else mistakes
            address = _who(request, digest, is_flipped=is_flipped)
            result.count += 1
            if address is None or not made:
                continue
            if len(made) == 1:
                singles.setdefault(address, Tried(made, address))
            is_better = result.found is None or len(made) < len(result.found.mistakes)
            if address == result.expected and is_better:
                result.found = Tried(made, address)
    result.tried = list(singles.values())


def _candidates(
    request: _Request, expected: str | None
) -> Iterator[tuple[tuple[Mistake, ...], bytes]]:
    scheme = request.envelope.scheme
    if scheme == USER_SIGNED:
        yield from _user_candidates(request)
        for mistakes, digest in _l1_candidates(request, expected):
            yield (AS_L1, *mistakes), digest
    elif scheme == L1:
        yield from _l1_candidates(request, expected)
    else:
        yield from _leader_candidates(request)


def _l1_candidates(
    request: _Request, expected: str | None
) -> Iterator[tuple[tuple[Mistake, ...], bytes]]:
    envelope = request.envelope
    vaults: list[tuple[Mistake | None, bytes | None]] = [(None, envelope.vault)]
    if envelope.vault is not None:
        vaults.append((NO_VAULT, None))
    elif expected is not None:
        vaults.append((OWN_VAULT, bytes.fromhex(expected[2:])))
    expiries: list[tuple[Mistake | None, int | None]] = [(None, envelope.expires_after)]
    if envelope.expires_after is not None:
        expiries.append((NO_EXPIRY, None))
    for (packed, made), vault, expiry in product(
        forms(request.action, request.sent).items(), vaults, expiries
    ):
        hashed = action_hash(packed, envelope.nonce, vault[1], expiry[1])
        base = (*made, *(one for one in (vault[0], expiry[0]) if one is not None))
        for network, source in SOURCES.items():
            extra = () if network == request.network else (OTHER_NETWORK,)
            yield (*base, *extra), agent_digest(hashed, network)
            if base:
                continue
            message = {"source": source, "connectionId": "0x" + hashed.hex()}
            for chain in CHAINS[:-1]:
                typed = typed_agent(chain, message)
                yield (*extra, _chain_mistake(chain)), _digest_of_typed(typed)


def typed_agent(chain: int, message: dict[str, Any]) -> dict[str, Any]:
    """Typed data of an L1 action under another chain than 1337."""
    members = [
        {"name": "source", "type": "string"}, {"name": "connectionId", "type": "bytes32"},
    ]  # fmt: skip
    return _typed("Exchange", chain, "Agent", members, message)


def _chain_mistake(chain: int) -> Mistake:
    return Mistake("chain", f"the typed data named chain {chain}")


def _user_candidates(request: _Request) -> Iterator[tuple[tuple[Mistake, ...], bytes]]:
    """Every way to write the fields; chain, type's name and nonce as sent or not."""
    right = typed_data(request)
    members = right["types"][right["primaryType"]]
    choices: list[list[tuple[Any, Mistake | None]]] = []
    for member in members:
        value = right["message"][member["name"]]
        if member["name"] == "hyperliquidChain":
            other = "Testnet" if value == "Mainnet" else "Mainnet"
            choices.append([(value, None), (other, OTHER_NETWORK)])
        elif member["name"] == nonce_key(request.action["type"]):
            choices.append([(value, None)])
            if request.outer_nonce != value:
                choices[-1].append((request.outer_nonce, OUTER_NONCE))
        elif member["type"] == "string":
            choices.append(list(text_forms(value, request.sent.get(member["name"]))))
        else:
            choices.append([(value, None)])
    chains = [right["domain"]["chainId"]]
    chains += [chain for chain in CHAINS if chain not in chains]
    short = right["primaryType"].partition(":")[2]
    for chosen in product(*choices):
        message = {one["name"]: value for one, (value, _) in zip(members, chosen, strict=True)}
        made = tuple(mistake for _, mistake in chosen if mistake is not None)
        for place, chain in enumerate(chains):
            extra = () if place == 0 else (_chain_mistake(chain),)
            for primary in (right["primaryType"], short):
                named = () if primary != short else (NO_PREFIX,)
                typed = _typed(right["domain"]["name"], chain, primary, members, message)
                yield (*made, *extra, *named), _digest_of_typed(typed)


def _leader_candidates(request: _Request) -> Iterator[tuple[tuple[Mistake, ...], bytes]]:
    """A multi-sig leader's signature: network and chain."""
    right = typed_data(request)
    members = right["types"][right["primaryType"]]
    for network, chain in product(SOURCES, (right["domain"]["chainId"], *CHAINS)):
        message = right["message"] | {"hyperliquidChain": network}
        made: tuple[Mistake, ...] = () if network == request.network else (OTHER_NETWORK,)
        if chain != right["domain"]["chainId"]:
            made = (*made, _chain_mistake(chain))
        typed = _typed(right["domain"]["name"], chain, right["primaryType"], members, message)
        yield made, _digest_of_typed(typed)
