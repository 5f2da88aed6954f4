# pragma version 0.4.3
# pragma evm-version prague
"""
@title BuybackVault
@license MIT
@notice Receives the assistance fund's dollars, buys the token by a published schedule, and burns
        what it bought in the same transaction. There is no function that sells or sends the token,
        none that changes the schedule, and none that takes dollars out.
@dev The schedule is what the constructor was given. A purchase pays at most the average price of the
     pool over at least one interval, plus the slippage bound: a price that somebody moved just for
     this transaction does not count. Amounts are smallest units, prices dollar units per token unit
     times 2^96, times seconds. Source: hyperliquid-protocol 10, U-AF-1.
"""

interface Coin:
    def balanceOf(owner: address) -> uint256: view
    def approve(spender: address, amount: uint256) -> bool: nonpayable
    def transfer(receiver: address, amount: uint256) -> bool: nonpayable
    def transferFrom(owner: address, receiver: address, amount: uint256) -> bool: nonpayable
    def burn(amount: uint256): nonpayable


interface Market:
    def price_observation() -> (uint256, uint256): view
    def usd_reserve() -> uint256: view
    def swap(
        buys_token: bool, amount_in: uint256, least_out: uint256, deadline: uint256
    ) -> uint256: nonpayable


struct Observation:
    price_sum: uint256
    time: uint256


struct Quote:
    maker: address
    usd: uint256
    tokens: uint256
    expires: uint256
    salt: uint256


event Bought:
    number: indexed(uint256)
    decision: indexed(bytes32)
    maker: address
    usd_spent: uint256
    tokens_bought: uint256
    tokens_burned: uint256


event Observed:
    price_sum: uint256
    time: uint256


BPS: constant(uint256) = 10_000
PPM: constant(uint256) = 1_000_000
PRICE_ONE: constant(uint256) = 2**96
HALF_ORDER: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168
DOMAIN: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
QUOTE: constant(bytes32) = keccak256(
    "Quote(address maker,uint256 usd,uint256 tokens,uint256 expires,uint256 salt)"
)

TOKEN: public(immutable(address))
USD: public(immutable(address))
POOL: public(immutable(address))
INTERVAL_S: public(immutable(uint256))
MINIMUM_USD: public(immutable(uint256))
SHARE_PPM: public(immutable(uint256))
SLIPPAGE_BPS: public(immutable(uint256))

count: public(uint256)
last_time: public(uint256)
spent: public(uint256)
burned: public(uint256)
is_used: public(HashMap[bytes32, bool])
older: public(Observation)
newer: public(Observation)


@deploy
def __init__(
    token: address,
    usd: address,
    pool: address,
    interval_s: uint256,
    minimum_usd: uint256,
    share_ppm: uint256,
    slippage_bps: uint256,
):
    """
    @notice Publish the schedule; it never changes.
    @param interval_s least seconds between two purchases, and span of the average price
    @param minimum_usd least dollar units of a purchase
    @param share_ppm most of a purchase, in millionths of the pool's dollars
    @param slippage_bps most above the average price, in 1/10,000; the pool's fee counts
    """
    assert interval_s != 0 and minimum_usd != 0, "vault: schedule"
    assert share_ppm <= PPM and slippage_bps <= BPS, "vault: schedule"
    TOKEN = token
    USD = usd
    POOL = pool
    INTERVAL_S = interval_s
    MINIMUM_USD = minimum_usd
    SHARE_PPM = share_ppm
    SLIPPAGE_BPS = slippage_bps
    self.newer = self._observe()
    self.older = self.newer


@view
@internal
def _observe() -> Observation:
    price_sum: uint256 = 0
    time: uint256 = 0
    price_sum, time = staticcall Market(POOL).price_observation()
    return Observation(price_sum=price_sum, time=time)


@external
def observe():
    """
    @notice Note the pool's price sum, once per interval. Open to all.
    @dev After a long quiet time the average would reach far back; this lets it start afresh without
         ever leaving less than one interval to average over.
    """
    assert block.timestamp >= self.newer.time + INTERVAL_S, "observe: too early"
    self._shift()


@internal
def _shift():
    self.older = self.newer
    self.newer = self._observe()
    log Observed(price_sum=self.newer.price_sum, time=self.newer.time)


@view
@external
def average_price() -> uint256:
    """
    @notice The price that purchases are measured against now. Reverts before one interval is over.
    """
    return self._average_price()


@view
@internal
def _average_price() -> uint256:
    base: Observation = self.newer
    if block.timestamp < base.time + INTERVAL_S:
        base = self.older
    assert block.timestamp >= base.time + INTERVAL_S, "vault: no average price yet"
    now: Observation = self._observe()
    price: uint256 = (now.price_sum - base.price_sum) // (now.time - base.time)
    assert price != 0, "vault: the pool has no price"
    return price


@view
@external
def next_purchase() -> uint256:
    """
    @notice Dollar units that a purchase would spend now; zero when the schedule allows none.
    """
    if block.timestamp < self.last_time + INTERVAL_S:
        return 0
    most: uint256 = self._most()
    return most if most >= MINIMUM_USD else 0


@view
@internal
def _most() -> uint256:
    """
    @notice The balance, but no more than the share of the pool's dollars.
    """
    share: uint256 = staticcall Market(POOL).usd_reserve() * SHARE_PPM // PPM
    return min(staticcall Coin(USD).balanceOf(self), share)


@view
@internal
def _check_schedule(usd: uint256):
    assert block.timestamp >= self.last_time + INTERVAL_S, "vault: too early"
    assert usd >= MINIMUM_USD, "vault: below the minimum"
    assert usd <= self._most(), "vault: above the schedule"


@view
@internal
def _least_tokens(usd: uint256) -> uint256:
    """
    @notice Token units that `usd` must buy: at most the average price plus the slippage bound,
            rounded up in favour of the fund.
    """
    most_price: uint256 = self._average_price() * (BPS + SLIPPAGE_BPS)
    return (usd * PRICE_ONE * BPS + most_price - 1) // most_price


@external
@nonreentrant
def buy_from_pool(decision: bytes32) -> uint256:
    """
    @notice Spend what the schedule allows in the pool, and burn everything. Open to all.
    @param decision the ledger's record of this purchase; not checked here, an audit pairs the two
    @return token units bought
    """
    usd: uint256 = self._most()
    self._check_schedule(usd)
    least: uint256 = self._least_tokens(usd)
    self._begin(usd)
    extcall Coin(USD).approve(POOL, usd)
    bought: uint256 = extcall Market(POOL).swap(True, usd, least, block.timestamp)
    self._burn(decision, POOL, usd, bought)
    return bought


@external
@nonreentrant
def buy_from_quote(quote: Quote, v: uint8, r: bytes32, s: bytes32, decision: bytes32) -> uint256:
    """
    @notice Fill a maker's signed quote within schedule and price bound, and burn. Open to all.
    @param quote who sells how many token units for how many dollar units, until when
    @param v signature of the maker over Quote(...), with r and s
    @param decision the ledger's record of this purchase
    @return token units bought
    """
    assert block.timestamp <= quote.expires, "quote: expired"
    digest: bytes32 = self._digest(quote)
    assert convert(s, uint256) <= HALF_ORDER, "quote: s is high"
    signer: address = ecrecover(digest, v, r, s)
    assert signer != empty(address) and signer == quote.maker, "quote: wrong signer"
    assert not self.is_used[digest], "quote: used"
    self._check_schedule(quote.usd)
    assert quote.tokens >= self._least_tokens(quote.usd), "quote: price above the bound"
    self.is_used[digest] = True
    self._begin(quote.usd)
    before: uint256 = staticcall Coin(TOKEN).balanceOf(self)
    assert extcall Coin(TOKEN).transferFrom(
        quote.maker, self, quote.tokens, default_return_value=True
    ), "quote: the token refused"
    bought: uint256 = staticcall Coin(TOKEN).balanceOf(self) - before
    assert bought == quote.tokens, "quote: amount differs"
    assert extcall Coin(USD).transfer(
        quote.maker, quote.usd, default_return_value=True
    ), "quote: the dollar refused"
    self._burn(decision, quote.maker, quote.usd, bought)
    return bought


@view
@internal
def _digest(quote: Quote) -> bytes32:
    domain: bytes32 = keccak256(
        abi_encode(DOMAIN, keccak256("chainperp"), keccak256("1"), chain.id, self)
    )
    hashed: bytes32 = keccak256(
        abi_encode(QUOTE, quote.maker, quote.usd, quote.tokens, quote.expires, quote.salt)
    )
    return keccak256(concat(b"\x19\x01", domain, hashed))


@internal
def _begin(usd: uint256):
    """
    @notice Everything that is remembered, before anybody else is called.
    """
    self.last_time = block.timestamp
    self.spent += usd
    self.count += 1
    if block.timestamp >= self.newer.time + INTERVAL_S:
        self._shift()


@internal
def _burn(decision: bytes32, maker: address, usd: uint256, bought: uint256):
    """
    @notice Burn the whole token balance, also what somebody sent here.
    """
    held: uint256 = staticcall Coin(TOKEN).balanceOf(self)
    extcall Coin(TOKEN).burn(held)
    self.burned += held
    log Bought(
        number=self.count,
        decision=decision,
        maker=maker,
        usd_spent=usd,
        tokens_bought=bought,
        tokens_burned=held,
    )
