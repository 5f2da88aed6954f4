"""The refusals of vaults, for the chain of refusals (`refusals.py`)."""

from collections.abc import Iterator
from typing import Any

from chainperp.base.units import address_text
from tests.golden.refusals import BTC, ETH, ODD, Script, leverage, order, place
from tests.support.world import address_of

VAULT = "lea$1"
LIQUIDITY = "0xdfc24b077bc1425ad1dea75bcb6f8158e10df303"
USDC = 10**6
PRICES = {BTC: "100000", ETH: "4000", ODD: "19.6"}


def create(name: str, usdc: int) -> dict[str, Any]:
    """A new vault."""
    return {"type": "createVault", "name": name, "description": "a vault of the chain",
            "initialUsd": usdc * USDC, "nonce": 1}  # fmt: skip


def transfer(is_deposit: bool, usdc: int, vault: str = "") -> dict[str, Any]:
    """Money into a vault, or out of it."""
    address = vault or address_text(address_of(VAULT))
    return {"type": "vaultTransfer", "vaultAddress": address, "isDeposit": is_deposit,
            "usd": usdc * USDC}  # fmt: skip


def modify(deposits: bool) -> dict[str, Any]:
    """Whether others may deposit."""
    return {"type": "vaultModify", "vaultAddress": address_text(address_of(VAULT)),
            "allowDeposits": deposits, "alwaysCloseOnWithdraw": None}  # fmt: skip


def vaults(script: Script) -> Iterator[None]:
    """Everything that a vault may refuse, in the order of its life."""
    script.block(
        system=[script.deposit("lea", 30_000), script.deposit("hal", 30_000),
                script.deposit("max", 200_000), script.vote(PRICES)]
    )  # fmt: skip
    for action in (create("no", 1_000), create("Calm", 99), create("Calm", 20_001),
                   create("Calm", 1_000)):  # fmt: skip
        script.block(script.by("lea", action))
    small = transfer(True, 0) | {"usd": 5}
    steps: tuple[tuple[str, dict[str, Any]], ...] = (
        ("hal", modify(False)), ("lea", modify(False)), ("hal", transfer(True, 10)),
        ("lea", modify(True)), ("hal", small), ("hal", transfer(True, 90_000)),
        ("hal", transfer(True, 19_500)), ("hal", transfer(False, 5)),
        ("hal", transfer(True, 1_000)), ("hal", transfer(False, 5)), ("max", transfer(True, 5)),
        ("hal", transfer(True, 1_000, LIQUIDITY)), ("hal", transfer(False, 900, LIQUIDITY)),
    )  # fmt: skip
    for who, action in steps:
        script.block(script.by(who, action))
    behalf = address_of(VAULT)
    spot = place(order(10_000, "buy", "10", "1"))
    script.block(script.by("lea", spot, vault=behalf))
    script.block(system=[script.vote(PRICES)], gap=61_000)
    yield from _closing(script)


def _closing(script: Script) -> Iterator[None]:
    """A position that nobody buys, prices that are too old, and a mark that ruins the vault."""
    behalf = address_of(VAULT)
    script.block(script.by("max", place(order(ETH, "sell", "10", "3840"))))  # what still bids
    script.block(
        script.by("lea", leverage(ETH, 25), vault=behalf),
        script.by("max", place(order(ETH, "sell", "9", "4000"))),
    )
    script.block(script.by("lea", place(order(ETH, "buy", "9", "4000", "Ioc")), vault=behalf))
    script.block(script.by("lea", place(order(ETH, "buy", "0.5", "3900", "Alo")), vault=behalf))
    script.block(script.by("hal", transfer(False, 900)))
    script.block(script.by("hal", transfer(False, 5)), gap=700_000)
    script.block(
        script.by("hal", transfer(True, 5)),
        script.by("hal", transfer(False, 5)),
        system=[script.vote({**PRICES, ETH: "3500"})],
    )
    script.block(system=[script.vote({**PRICES, ETH: "3500"})])
    yield
