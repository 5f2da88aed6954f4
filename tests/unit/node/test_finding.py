"""Every request of a batch is found to be what it is alone, whatever stands beside it."""

import json
from typing import Any

from chainperp.client.wallet import address_of, sign_action
from chainperp.model.envelope import encode_envelope
from chainperp.node.finding import Refusal, findings
from chainperp.wire.signing import admit
from tests.unit.wire.samples import SAMPLES

KEY = bytes([1]) * 32
NONCE = 1_700_000_000_000
PLAIN = {"type": "cancel", "cancels": [{"a": 0, "o": 5}]}


def signed(action: dict[str, Any], **beside: Any) -> dict[str, Any]:
    return sign_action(KEY, action, NONCE, "Testnet", **beside)


def test_good_and_bad_requests_keep_their_places_in_a_batch() -> None:
    no_point = {"r": "0x5", "s": "0x1", "v": 27}
    good = [signed(PLAIN), signed(SAMPLES["usdSend"]), signed(SAMPLES["order"])]
    bad = [signed(PLAIN) | {"signature": no_point}, signed(SAMPLES["noop"]) | {"nonce": "1"}]
    bodies = [
        json.dumps(one).encode() for pair in zip(good, [*bad, signed(PLAIN)], strict=True)
        for one in pair
    ]  # fmt: skip
    bodies.insert(1, b'{"action":1,"action":1}')
    found = findings(bodies, "Testnet")
    assert found == [findings([body], "Testnet")[0] for body in bodies]
    codes = [one.code if isinstance(one, Refusal) else "" for one in found]
    assert codes == ["", "duplicate_key", "signature", "", "wrong_type", "", ""]
    assert [one.is_json for one in found if isinstance(one, Refusal)] == [False, True, True]
    raw = encode_envelope(admit(good[1], "Testnet"))
    assert found[3] == (raw, address_of(KEY))
