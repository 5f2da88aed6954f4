# pragma version 0.4.3
# pragma evm-version prague
"""
@title A dollar that calls back
@notice For tests: it keeps honest balances but, when told, calls somebody in the middle of a
        transfer, like tokens with hooks do; it can also keep a fee, answer false, or refuse.
"""

balanceOf: public(HashMap[address, uint256])
target: address
payload: Bytes[2048]
skips_outer: bool
fee: uint256
answer: bool
is_blocked: HashMap[address, bool]
called_back: public(bool)


@deploy
def __init__():
    self.answer = True


@external
def mint(receiver: address, amount: uint256):
    self.balanceOf[receiver] += amount


@external
def arm(target: address, payload: Bytes[2048], skips_outer: bool):
    self.target = target
    self.payload = payload
    self.skips_outer = skips_outer


@external
def configure(fee: uint256, answer: bool):
    self.fee = fee
    self.answer = answer


@external
def block(account: address, is_blocked: bool):
    self.is_blocked[account] = is_blocked


@external
def transfer(receiver: address, amount: uint256) -> bool:
    assert not self.is_blocked[receiver], "blocked"
    self._call_back()
    self._move(msg.sender, receiver, amount)
    return self.answer


@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    skips: bool = self._call_back() and self.skips_outer
    if not skips:
        self._move(owner, receiver, amount)
    return self.answer


@internal
def _call_back() -> bool:
    target: address = self.target
    if target == empty(address):
        return False
    self.target = empty(address)
    self.called_back = raw_call(target, self.payload, revert_on_failure=False)
    return True


@internal
def _move(owner: address, receiver: address, amount: uint256):
    self.balanceOf[owner] -= amount
    self.balanceOf[receiver] += amount - self.fee
