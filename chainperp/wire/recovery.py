"""Who signed: the check that admission and replay hand to the floors below.

An envelope from a log or another proposer is believed only if its form is canonical and its
signatures recover; both refusals come back as a sentence in place of the signers. Signers are 20
bytes for the key that signed the envelope, and for a multi-sig envelope 20 more for each signature
inside it: what `chain.decode.transaction_of` takes.
"""

from chainperp.base.errors import BadRequest, InvalidBytes
from chainperp.model.envelope import (
    HEAD,
    L1,
    MULTI_SIG,
    PLAIN,
    TAIL,
    Envelope,
    decode_envelope,
    plain_head,
)
from chainperp.wire.plain_form import is_plain_form
from chainperp.wire.signature import recover
from chainperp.wire.signing import (
    open_multi_sig,
    recover_envelope,
    recover_formed,
    verify_envelope_form,
)
from chainperp.wire.typed_data import Network, agent_digest, keccak


def recover_signers(envelope: Envelope, network: Network) -> bytes:
    """Everybody who signed an envelope. Raises BadRequest for the first signature that is none."""
    signer = recover_envelope(envelope, network)
    if envelope.scheme != MULTI_SIG:
        return signer
    return signer + b"".join(open_multi_sig(envelope, network).signers)


def recover_admitted(envelope: Envelope, network: Network) -> bytes:
    """The same of an envelope that `admit` made, so that its form and its numbers are known."""
    if envelope.scheme == L1:
        return recover_formed(envelope, {}, network)
    return recover_signers(envelope, network)


def signers_of(envelopes: list[bytes], network: Network) -> list[bytes | str]:
    """Signers of each envelope, or why it has none: what a pool's process is given to do.

    All forms and digests first: the tables of the curve push everything else out of the caches.
    """
    digests = [_plain_digest(raw, network) for raw in envelopes]
    return [_signer(raw, digest, network) for raw, digest in zip(envelopes, digests, strict=True)]


def _signer(raw: bytes, plain_digest: bytes | None, network: Network) -> bytes | str:
    try:
        if plain_digest is not None:
            v, r, s = TAIL.unpack_from(raw, len(raw) - TAIL.size)
            return recover(plain_digest, v, r, s)
        envelope = decode_envelope(raw)
        action = verify_envelope_form(envelope)
        return recover_formed(envelope, action, network)
    except (BadRequest, InvalidBytes) as error:
        return f"no signer ({error})"


def _plain_digest(raw: bytes, network: Network) -> bytes | None:
    """What the signature of an envelope of the usual form signs, from the bytes as they lie: an L1
    action known at a look to be in canonical form, with neither vault nor expiry. Of None the whole
    check says what it is."""
    _, end = plain_head(raw)
    if not end or not is_plain_form(raw, PLAIN.size, end):
        return None
    # Behind the action its nonce is hashed, and a zero for the vault that is not there.
    return agent_digest(keccak(raw[PLAIN.size : end] + raw[1 : HEAD.size + 1]), network)


def admitted_signers(envelopes: list[Envelope], network: Network) -> list[bytes | BadRequest]:
    """Signers of a batch that `admit` made, or why an envelope has none."""
    found: list[bytes | BadRequest] = []
    for envelope in envelopes:
        try:
            found.append(recover_admitted(envelope, network))
        except BadRequest as error:
            found.append(error)
    return found
