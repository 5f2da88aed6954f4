# pragma version 0.4.3
# pragma evm-version prague
"""
@title Pool
@license MIT
@notice A constant-product market between the token and the dollar, for everybody.
@dev Reserves are what was put in through these functions; tokens that are simply sent here belong to
     nobody and change no price. Rounding is always in favour of the pool. The price over time can be
     read from an accumulator, which one block cannot move. Amounts are smallest units; a price is
     dollar units per token unit, times 2^96.
"""

interface Coin:
    def balanceOf(owner: address) -> uint256: view
    def transfer(receiver: address, amount: uint256) -> bool: nonpayable
    def transferFrom(owner: address, receiver: address, amount: uint256) -> bool: nonpayable


event Swapped:
    sender: indexed(address)
    bought_token: bool
    amount_in: uint256
    amount_out: uint256


event LiquidityAdded:
    owner: indexed(address)
    token_amount: uint256
    usd_amount: uint256
    shares: uint256


event LiquidityRemoved:
    owner: indexed(address)
    token_amount: uint256
    usd_amount: uint256
    shares: uint256


MINIMUM_SHARES: public(constant(uint256)) = 1000
RESERVE_MAX: constant(uint256) = 2**112
PRICE_ONE: constant(uint256) = 2**96
FEE_PER: constant(uint256) = 10_000

TOKEN: public(immutable(address))
USD: public(immutable(address))
FEE_BPS: public(immutable(uint256))

token_reserve: public(uint256)
usd_reserve: public(uint256)
total_shares: public(uint256)
shares: public(HashMap[address, uint256])
price_sum: uint256
price_time: uint256


@deploy
def __init__(token: address, usd: address, fee_bps: uint256):
    """
    @notice Start empty.
    @param fee_bps part of what goes in that stays with the pool, in 1/10,000
    """
    assert token != usd and token != empty(address) and usd != empty(address), "pool: coins"
    assert fee_bps < FEE_PER, "pool: fee"
    TOKEN = token
    USD = usd
    FEE_BPS = fee_bps


@view
@external
def price_observation() -> (uint256, uint256):
    """
    @notice Sum of price times seconds until now, and now. Two of these give the average between.
    """
    return self._price_sum(), block.timestamp


@view
@internal
def _price_sum() -> uint256:
    if self.token_reserve == 0:
        return self.price_sum
    price: uint256 = self.usd_reserve * PRICE_ONE // self.token_reserve
    return self.price_sum + price * (block.timestamp - self.price_time)


@internal
def _set_reserves(token_reserve: uint256, usd_reserve: uint256):
    """
    @notice Close the books on the old price, then change the reserves.
    """
    assert token_reserve < RESERVE_MAX and usd_reserve < RESERVE_MAX, "pool: too large"
    self.price_sum = self._price_sum()
    self.price_time = block.timestamp
    self.token_reserve = token_reserve
    self.usd_reserve = usd_reserve


@internal
def _take(coin: address, amount: uint256):
    """
    @notice Take from the caller; what arrives must be what was said.
    """
    before: uint256 = staticcall Coin(coin).balanceOf(self)
    assert extcall Coin(coin).transferFrom(
        msg.sender, self, amount, default_return_value=True
    ), "pool: coin refused"
    assert staticcall Coin(coin).balanceOf(self) == before + amount, "pool: amount differs"


@internal
def _give(coin: address, receiver: address, amount: uint256):
    assert extcall Coin(coin).transfer(
        receiver, amount, default_return_value=True
    ), "pool: coin refused"


@external
@nonreentrant
def add_liquidity(token_amount: uint256, usd_most: uint256, least_shares: uint256) -> uint256:
    """
    @notice Put in both coins at the present ratio; the first to do so sets it.
    @param token_amount token units put in
    @param usd_most most dollar units that may be taken; for the first, exactly those
    @param least_shares refuse when fewer shares come out
    @return shares received
    """
    usd_amount: uint256 = usd_most
    made: uint256 = 0
    if self.total_shares == 0:
        made = isqrt(token_amount * usd_amount)
        assert made > MINIMUM_SHARES, "pool: too small a start"
        # The first shares belong to nobody: a share can then never be made absurdly dear.
        made -= MINIMUM_SHARES
        self.total_shares = MINIMUM_SHARES
    else:
        usd_amount = self._divide_up(token_amount * self.usd_reserve, self.token_reserve)
        assert usd_amount <= usd_most, "pool: more dollars needed"
        made = token_amount * self.total_shares // self.token_reserve
    assert made >= least_shares and made != 0, "pool: fewer shares"
    self.total_shares += made
    self.shares[msg.sender] += made
    self._set_reserves(self.token_reserve + token_amount, self.usd_reserve + usd_amount)
    self._take(TOKEN, token_amount)
    self._take(USD, usd_amount)
    log LiquidityAdded(
        owner=msg.sender, token_amount=token_amount, usd_amount=usd_amount, shares=made
    )
    return made


@external
@nonreentrant
def remove_liquidity(shares: uint256, least_token: uint256, least_usd: uint256):
    """
    @notice Give back shares for their part of both reserves.
    @param shares shares given back
    @param least_token refuse below so many token units
    @param least_usd refuse below so many dollar units
    """
    assert self.shares[msg.sender] >= shares, "pool: not so many shares"
    token_amount: uint256 = shares * self.token_reserve // self.total_shares
    usd_amount: uint256 = shares * self.usd_reserve // self.total_shares
    assert token_amount >= least_token and usd_amount >= least_usd, "pool: less than asked"
    self.shares[msg.sender] -= shares
    self.total_shares -= shares
    self._set_reserves(self.token_reserve - token_amount, self.usd_reserve - usd_amount)
    self._give(TOKEN, msg.sender, token_amount)
    self._give(USD, msg.sender, usd_amount)
    log LiquidityRemoved(
        owner=msg.sender, token_amount=token_amount, usd_amount=usd_amount, shares=shares
    )


@pure
@internal
def _divide_up(number: uint256, by: uint256) -> uint256:
    return (number + by - 1) // by


@view
@external
def quote(buys_token: bool, amount_in: uint256) -> uint256:
    """
    @notice Units that come out for `amount_in` now.
    @param buys_token true: dollars in, tokens out; false: the other way
    """
    return self._out(buys_token, amount_in)


@view
@internal
def _out(buys_token: bool, amount_in: uint256) -> uint256:
    """
    @notice Constant product after the fee, rounded down.
    """
    reserve_in: uint256 = self.usd_reserve if buys_token else self.token_reserve
    reserve_out: uint256 = self.token_reserve if buys_token else self.usd_reserve
    if reserve_in == 0:
        return 0
    net: uint256 = amount_in * (FEE_PER - FEE_BPS)
    return net * reserve_out // (reserve_in * FEE_PER + net)


@external
@nonreentrant
def swap(buys_token: bool, amount_in: uint256, least_out: uint256, deadline: uint256) -> uint256:
    """
    @notice Exchange an exact amount.
    @param buys_token true: dollars in, tokens out; false: the other way
    @param amount_in units paid
    @param least_out refuse when fewer units come out
    @param deadline last second at which this may happen
    @return units received
    """
    assert block.timestamp <= deadline, "pool: too late"
    amount_out: uint256 = self._out(buys_token, amount_in)
    assert amount_out >= least_out and amount_out != 0, "pool: less than asked"
    if buys_token:
        self._set_reserves(self.token_reserve - amount_out, self.usd_reserve + amount_in)
        self._take(USD, amount_in)
        self._give(TOKEN, msg.sender, amount_out)
    else:
        self._set_reserves(self.token_reserve + amount_in, self.usd_reserve - amount_out)
        self._take(TOKEN, amount_in)
        self._give(USD, msg.sender, amount_out)
    log Swapped(
        sender=msg.sender, bought_token=buys_token, amount_in=amount_in, amount_out=amount_out
    )
    return amount_out
