"""Tokens outside of trades: moved between spot balances, and burned."""

from chainperp.base.errors import ensure
from chainperp.base.units import Address
from chainperp.model.decisions import Kind, LedgerType
from chainperp.model.tokens import token_key
from chainperp.rules.spot import burned_after, pair_mark
from chainperp.state.pairs import SpotPair
from chainperp.state.store import State
from chainperp.transition.recorder import Recorder

NOBODY = Address(bytes(20))


def burn(
    state: State, recorder: Recorder, token: int, address: Address, amount: int, kind: LedgerType
) -> None:
    """Take an amount out of a balance and out of the supply, with one entry: the only way in which
    supply shrinks (SPT-7). The amount is positive and free of holds."""
    burned = burned_after(state.tokens[token].burned, amount, state.tokens[token].supply)
    ensure(
        burned is not None and amount <= state.spot_free(token, address),
        "INV-5",
        "more is burned than there is",
        token=token,
        amount=amount,
    )
    if burned is not None:
        state.add_spot(token, address, -amount)
        state.tokens[token].burned = burned
        state.note("token", token_key(token))
        _record(state, recorder, token, (address, NOBODY), amount, kind)


def move_token(
    state: State,
    recorder: Recorder,
    token: int,
    ends: tuple[Address, Address],
    amount: int,
    kind: LedgerType,
) -> None:
    """Move an amount of a token from the first spot balance to the second, with one entry."""
    source, destination = ends
    # Every holder of a spot balance has an account, so that the balance is somebody's claim.
    state.touch(state.open_account(destination))
    state.add_spot(token, source, -amount)
    state.add_spot(token, destination, amount)
    _record(state, recorder, token, ends, amount, kind)


def _record(
    state: State,
    recorder: Recorder,
    token: int,
    ends: tuple[Address, Address],
    amount: int,
    kind: LedgerType,
) -> None:
    recorder.record(
        Kind.TOKEN,
        {
            "token": token,
            "source": ends[0],
            "destination": ends[1],
            "amount": amount,
            "type": kind,
            "circulating": state.tokens[token].circulating,
        },
    )


def mark_of(pair: SpotPair) -> int | None:
    """Price of a pair now (SPT-9)."""
    book = pair.book
    return pair_mark(book.bids.best_price(), book.asks.best_price(), book.price_last)
