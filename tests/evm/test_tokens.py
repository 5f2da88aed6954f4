"""Token and TestUSD through unmodified web3.py: balances, burning, permits."""

import pytest

from contracts_py.artifact import load_artifact
from contracts_py.handle import Reverted
from contracts_py.tokens import TestUSD, Token
from tests.evm.world import ACCOUNTS, KEYS, USD, World

ANN, BEN, CAT = ACCOUNTS[:3]
SUPPLY = 10**9 * 10**18


def test_token_moves_and_burns_and_cannot_be_minted() -> None:
    """The whole supply starts at one holder; burning alone changes it."""
    world = World()
    token = Token.deploy(world.web3, ANN, ("Example", "EX"), SUPPLY, ANN.address)
    token.transfer(ANN, BEN.address, 7)
    token.approve(BEN, CAT.address, 5)
    token.transfer_from(CAT, BEN.address, CAT.address, 4)
    burned = token.burn(CAT, 3)
    assert burned.event("Transfer")["value"] == 3
    assert [token.balance_of(one.address) for one in (ANN, BEN, CAT)] == [SUPPLY - 7, 3, 1]
    assert (token.burned(), token.total_supply()) == (3, SUPPLY - 3)
    assert token.allowance(BEN.address, CAT.address) == 1
    assert not [one for one in load_artifact("Token").abi if "mint" in one.get("name", "")]


@pytest.mark.parametrize(
    ("reason", "amount"), [("balance too small", SUPPLY + 1), ("receiver is nobody", 1)]
)
def test_token_refuses(reason: str, amount: int) -> None:
    """More than the balance, and the address of nobody."""
    world = World()
    token = Token.deploy(world.web3, ANN, ("Example", "EX"), SUPPLY, ANN.address)
    receiver = BEN.address if amount > 1 else "0x" + "00" * 20
    with pytest.raises(Reverted) as caught:
        token.transfer(ANN, receiver, amount)
    assert caught.value.reason == reason
    with pytest.raises(Reverted, match="allowance too small"):
        token.transfer_from(BEN, ANN.address, BEN.address, 1)
    with pytest.raises(Reverted, match="balance too small"):
        token.burn(BEN, 1)


def dollars() -> tuple[World, TestUSD]:
    """A dollar of which Ann has a thousand."""
    world = World()
    usd = TestUSD.deploy(world.web3, CAT, CAT.address)
    usd.mint(CAT, ANN.address, 1_000 * USD)
    return world, usd


def test_permit_approves_once() -> None:
    """Anybody brings the owner's signature; it works once, before its deadline."""
    world, usd = dollars()
    pair, until = (ANN.address, BEN.address), world.now + 100
    signature = usd.sign_permit(KEYS[0], *pair, 5 * USD, until)
    usd.permit(CAT, pair, 5 * USD, until, signature)
    assert usd.allowance(*pair) == 5 * USD
    with pytest.raises(Reverted, match="permit: wrong signer"):
        usd.permit(CAT, pair, 5 * USD, until, signature)
    late = usd.sign_permit(KEYS[0], *pair, 5 * USD, world.now - 1)
    with pytest.raises(Reverted, match="permit: expired"):
        usd.permit(CAT, pair, 5 * USD, world.now - 1, late)


def test_permit_of_another_chain_or_signer_is_refused() -> None:
    """A permit for another contract, by another key, or with a malleable s."""
    world, usd = dollars()
    other = TestUSD.deploy(world.web3, CAT, CAT.address)
    pair, until = (ANN.address, BEN.address), world.now + 100
    for signature in (
        other.sign_permit(KEYS[0], *pair, USD, until),
        usd.sign_permit(KEYS[1], *pair, USD, until),
    ):
        with pytest.raises(Reverted, match="permit: wrong signer"):
            usd.permit(CAT, pair, USD, until, signature)
    with pytest.raises(Reverted, match="only the minter"):
        usd.mint(ANN, ANN.address, 1)
