"""The Pool: rounding, slippage, donations, liquidity.

Tests here take no fixtures: tests/evm/mutants.py runs them against contracts without a guard.
"""

import pytest

from contracts_py.handle import Reverted
from contracts_py.pool import Pool
from tests.evm.hostile import Hostile
from tests.evm.world import ACCOUNTS, USD, Market, World

OWNER, ANN, BEN = ACCOUNTS[:3]
TOKEN = 10**18


def market(token: int = 1_000 * TOKEN, usd: int = 20_000 * USD) -> Market:
    """A pool with liquidity of the owner; Ann and Ben have both coins."""
    return Market(World(), token, usd)


def exact_out(amount_in: int, reserve_in: int, reserve_out: int, fee_bps: int = 30) -> int:
    """Constant product in whole numbers: what comes out, rounded down."""
    net = amount_in * (10_000 - fee_bps)
    return net * reserve_out // (reserve_in * 10_000 + net)


@pytest.mark.parametrize("amount", [1, 2, 999, USD, 333 * USD + 1, 4_000 * USD])
def test_swap_rounds_in_favour_of_the_pool(amount: int) -> None:
    """Out is the formula's floor, and the product of reserves never falls."""
    made = market()
    token, usd = made.pool.reserves()
    expected = exact_out(amount, usd, token)
    assert made.pool.quote(buys_token=True, amount_in=amount) == expected
    done = made.pool.swap(ANN, buys_token=True, amount_in=amount, least_out=expected)
    assert done.event("Swapped")["amount_out"] == expected
    after_token, after_usd = made.pool.reserves()
    assert (after_token, after_usd) == (token - expected, usd + amount)
    assert after_token * after_usd >= token * usd
    assert (token - expected - 1) * (usd * 10_000 + amount * 9_970) < token * usd * 10_000


def test_selling_rounds_the_same_way() -> None:
    """A sale so small that nothing comes out is refused rather than taken for nothing."""
    made = market()
    token, usd = made.pool.reserves()
    expected = exact_out(TOKEN, token, usd)
    made.pool.swap(ANN, buys_token=False, amount_in=TOKEN, least_out=expected)
    assert made.pool.reserves() == (token + TOKEN, usd - expected)
    with pytest.raises(Reverted, match="less than asked"):
        made.pool.swap(ANN, buys_token=False, amount_in=1, least_out=0)


def test_slippage_bound_and_deadline_hold() -> None:
    """One unit more than comes out, and one second too late."""
    made = market()
    out = made.pool.quote(buys_token=True, amount_in=100 * USD)
    with pytest.raises(Reverted, match="less than asked"):
        made.pool.swap(ANN, buys_token=True, amount_in=100 * USD, least_out=out + 1)
    made.pool.swap(BEN, buys_token=True, amount_in=50 * USD, least_out=0)
    with pytest.raises(Reverted, match="less than asked"):
        made.pool.swap(ANN, buys_token=True, amount_in=100 * USD, least_out=out)
    with pytest.raises(Reverted, match="too late"):
        made.pool.swap(
            ANN, buys_token=True, amount_in=USD, least_out=0, deadline=made.world.now - 1
        )


def test_there_and_back_never_pays() -> None:
    """Buying and selling what was bought returns less than was paid."""
    made = market()
    before = made.usd.balance_of(ANN.address)
    bought = made.pool.quote(buys_token=True, amount_in=500 * USD)
    made.pool.swap(ANN, buys_token=True, amount_in=500 * USD, least_out=bought)
    back = made.pool.quote(buys_token=False, amount_in=bought)
    made.pool.swap(ANN, buys_token=False, amount_in=bought, least_out=back)
    assert made.usd.balance_of(ANN.address) < before


def test_donation_changes_no_price_and_no_share() -> None:
    """Coins that are simply sent to the pool do not trade and belong to nobody's share."""
    made = market()
    reserves = made.pool.reserves()
    quoted = made.pool.quote(buys_token=True, amount_in=100 * USD)
    made.usd.transfer(BEN, made.pool.address, 5_000 * USD)
    made.token.transfer(BEN, made.pool.address, 100 * TOKEN)
    assert made.pool.reserves() == reserves
    assert made.pool.quote(buys_token=True, amount_in=100 * USD) == quoted
    made.pool.swap(ANN, buys_token=True, amount_in=100 * USD, least_out=quoted)
    shares = made.pool.shares(OWNER.address)
    done = made.pool.remove_liquidity(OWNER, shares).event("LiquidityRemoved")
    assert done["usd_amount"] < reserves[1] + 100 * USD


def test_first_shares_belong_to_nobody() -> None:
    """So a first provider cannot make a share absurdly dear and round others to nothing."""
    made = Market(World(), 0, 0)
    with pytest.raises(Reverted, match="too small a start"):
        made.pool.add_liquidity(ANN, 1_000, 1_000)
    made.pool.add_liquidity(ANN, 1_000_000, 1_000_000)
    assert made.pool.shares(ANN.address) == 1_000_000 - 1_000
    assert made.pool.total_shares() == 1_000_000
    made.pool.remove_liquidity(ANN, 999_000)
    assert made.pool.reserves() == (1_000, 1_000)


def test_liquidity_is_added_at_the_ratio_rounded_up() -> None:
    """Dollars taken are rounded up, shares down; less than the share of both comes back."""
    made = market()
    token, usd = made.pool.reserves()
    shares = made.pool.total_shares()
    amount = 7 * TOKEN + 1
    done = made.pool.add_liquidity(ANN, amount, 200 * USD).event("LiquidityAdded")
    assert done["usd_amount"] == -(-amount * usd // token)
    assert done["shares"] == amount * shares // token
    with pytest.raises(Reverted, match="more dollars needed"):
        made.pool.add_liquidity(ANN, amount, 100 * USD)
    with pytest.raises(Reverted, match="fewer shares"):
        made.pool.add_liquidity(ANN, amount, 200 * USD, done["shares"] + 10**9)
    back = made.pool.remove_liquidity(ANN, done["shares"]).event("LiquidityRemoved")
    assert back["token_amount"] <= amount
    assert back["usd_amount"] <= done["usd_amount"]
    with pytest.raises(Reverted, match="not so many shares"):
        made.pool.remove_liquidity(ANN, 1)


def test_price_sum_counts_time_at_each_price() -> None:
    """What one block does counts for the seconds that it lasted."""
    made = market()
    start, at = made.pool.price_observation()
    made.world.wait(100)
    middle, then = made.pool.price_observation()
    token, usd = made.pool.reserves()
    assert middle - start == (usd * 2**96 // token) * (then - at)
    made.pool.swap(ANN, buys_token=True, amount_in=10_000 * USD, least_out=0)
    swapped = made.world.journal.machine.head.timestamp
    before, now = made.pool.price_observation()
    token, usd = made.pool.reserves()
    calm = 20_000 * USD * 2**96 // (1_000 * TOKEN)
    assert before - middle == calm * (swapped - then) + (usd * 2**96 // token) * (now - swapped)


def test_swap_inside_a_swap_is_refused() -> None:
    """Reentrancy: a dollar that calls back in the middle finds the door shut."""
    made = market()
    odd = Hostile(made.world, "Reentrant")
    pool = Pool.deploy(made.world.web3, OWNER, made.token.address, odd.address, 30)
    odd.send("mint", OWNER.address, 10**12)
    odd.send("mint", ANN.address, 10**12)
    made.token.approve(OWNER, pool.address, 2**256 - 1)
    pool.add_liquidity(OWNER, 10**9, 10**9)
    again = pool.contract.encode_abi("quote", [True, 10])
    odd.send("arm", pool.address, again, False)
    pool.swap(ANN, buys_token=True, amount_in=1_000, least_out=0)
    assert odd.call("called_back"), "reading is allowed"
    odd.send("mint", odd.address, 10**6)
    again = pool.contract.encode_abi("swap", [True, 10**6, 0, 2**64])
    odd.send("arm", pool.address, again, False)
    pool.swap(ANN, buys_token=True, amount_in=1_000, least_out=0)
    assert not odd.call("called_back")


def test_pool_does_not_take_a_coin_that_keeps_a_fee() -> None:
    """What arrives must be what is booked."""
    made = market()
    odd = Hostile(made.world, "Reentrant")
    pool = Pool.deploy(made.world.web3, OWNER, made.token.address, odd.address, 30)
    odd.send("mint", OWNER.address, 10**12)
    odd.send("configure", 1, True)
    made.token.approve(OWNER, pool.address, 2**256 - 1)
    with pytest.raises(Reverted, match="amount differs"):
        pool.add_liquidity(OWNER, 10**9, 10**9)
