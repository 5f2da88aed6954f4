"""What the `prove` commands share: opening a directory, reading arguments, the state at a block."""

from pathlib import Path

from chainperp.base.errors import NotFound
from chainperp.base.units import Address
from chainperp.chain.proving.account import SealedState, sealed_state
from chainperp.chain.proving.liquidation import refute_liquidations
from chainperp.chain.proving.refutation import refute_rounds
from chainperp.chain.proving.source import Source
from chainperp.cli.chain_log import parse_hex
from chainperp.storage.proof_source import open_source


def open_fast(path: Path) -> Source:
    """A data directory as a source of proofs, with the fast decoder where it is installed."""
    try:
        import msgpack
    except ImportError:
        return open_source(path)
    return open_source(path, msgpack.unpackb)


def parse_account(text: str) -> Address:
    """An account argument. Raises BadRequest."""
    return Address(parse_hex(text, 20, "account"))


def state_at(source: Source, height: int | None) -> SealedState:
    """State at the end of a block; of the last one that the checkpoint covers without a height."""
    return sealed_state(source, source.height if height is None else height)


def refute_block(source: Source, height: int) -> bytes:
    """A refutation of a block. Raises NotFound when its liquidations and rounds are right."""
    reasons: list[str] = []
    for look in (refute_liquidations, refute_rounds):
        try:
            return look(source, height)
        except NotFound as error:
            reasons.append(str(error))
    raise NotFound("; ".join(reasons))
