"""Purchases of the assistance fund, for the chain of refusals (`refusals.py`): their orders carry a
reason of their own, and those that cannot be made have an entry too."""

from collections.abc import Iterator

from chainperp.base.units import address_text
from chainperp.chain.decode import transaction_of
from chainperp.model.tokens import SPOT_FIRST, wire_name
from chainperp.state.store import ASSISTANCE_FUND
from tests.golden.refusals import Script, order, place
from tests.support.world import VALIDATOR, address_of

MINUTE = 60_000


def purchases(script: Script) -> Iterator[None]:
    """One without a mark, one that buys, one for which too little is offered."""
    script.block(
        system=[script.deposit("issuer", 1_000), script.deposit("buyer", 1_000),
                script.deposit(ASSISTANCE_FUND, 50)], gap=MINUTE,
    )  # fmt: skip
    gift = {"type": "spotSend", "destination": address_text(address_of("issuer")),
            "token": wire_name(1, "CHP"), "amount": "1000"}  # fmt: skip
    script.block(transaction_of(script.envelope(gift, scheme=2), VALIDATOR))
    shift = {"type": "usdClassTransfer", "amount": "500", "toPerp": False}
    script.block(script.by("buyer", shift, scheme=2))
    for name, side, size, price in (
        ("issuer", "sell", "10", "1"), ("buyer", "buy", "10", "1"), ("issuer", "sell", "100", "1"),
        ("buyer", "buy", "50", "0.99"),
    ):  # fmt: skip
        script.block(script.by(name, place(order(SPOT_FIRST, side, size, price))))
    script.block(gap=MINUTE)
    script.block(script.by("buyer", place(order(SPOT_FIRST, "buy", "85", "1", "Ioc"))), gap=MINUTE)
    yield
