"""Reads a data directory's log block by block, for commands that explain what it says.

Nothing is executed here: what is said comes from the entries as they stand in the log. Whether
they are what the rules give is the question of `replay`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chainperp.base.canonical import Record
from chainperp.base.errors import BadRequest, NotFound
from chainperp.base.units import (
    address_text,
    format_decimal,
    price_text,
    size_text,
    usd_text,
)
from chainperp.model.decisions import Kind
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.markets import MarketTerms
from chainperp.model.tokens import SPOT_FIRST, Token, tokens_of
from chainperp.rules.spot import is_pair_known
from chainperp.storage.datadir import DataDir
from chainperp.storage.recovery import inspect
from chainperp.storage.segments import read_blocks


@dataclass(frozen=True, slots=True)
class Sentence:
    """One statement: its words, the rule behind it, and the log index of the entry it rests on."""

    text: str
    rule: str
    index: int

    def line(self) -> str:
        """The sentence for people: the rule and the log index stand at its end."""
        rule = f" [{self.rule}]" if self.rule else ""
        return f"{self.text}{rule} (log {self.index})"

    def document(self) -> dict[str, Any]:
        """The sentence with stable keys."""
        return {"text": self.text, "rule": self.rule, "index": self.index}


@dataclass(frozen=True, slots=True)
class Logged:
    """One entry with its place in the log."""

    index: int
    kind: Kind
    raw: bytes

    def fields(self) -> Record:
        """The named fields of its payload."""
        return decode_payload(decode_entry(self.raw))


class LoggedBlock:
    """One block's entries, with the log index of the first."""

    __slots__ = ("entries", "first_index", "height")

    def __init__(self, height: int, first_index: int, entries: list[bytes]) -> None:
        self.height = height
        self.first_index = first_index
        self.entries = entries

    @property
    def time_ms(self) -> int:
        """Time of the block, from its SEAL."""
        time_ms: int = decode_payload(decode_entry(self.entries[-1]))["time_ms"]
        return time_ms

    def at(self, place: int) -> Logged:
        """The entry at a place of the block."""
        raw = self.entries[place]
        kind = Kind(int.from_bytes(raw[1:3], "big"))
        return Logged(self.first_index + place, kind, raw)

    def has(self, kind: Kind) -> bool:
        """Whether the block has an entry of a kind."""
        wanted = kind.to_bytes(2, "big")
        return any(raw[1:3] == wanted for raw in self.entries)

    def of(self, *kinds: Kind) -> Iterator[Logged]:
        """Entries of some kinds, in order."""
        wanted = tuple(kind.to_bytes(2, "big") for kind in kinds)
        for place, raw in enumerate(self.entries):
            if raw[1:3] in wanted:
                yield self.at(place)

    def title(self) -> str:
        """Height and time for people."""
        return f"block {self.height}, {clock(self.time_ms)}"


@dataclass(frozen=True, slots=True)
class Mark:
    """A market's prices in force: mark, the one before, oracle, and the entry that set them."""

    mark: int
    previous: int
    oracle: int
    index: int


class ChainLog:
    """A chain's log and its genesis; `marks` are those in force in the block that is read."""

    def __init__(self, path: Path) -> None:
        self.directory = DataDir.open(path, write=False)
        self.genesis = self.directory.genesis
        self.terms: list[MarketTerms] = self.genesis.terms
        self.tokens = tokens_of(self.genesis.listing)
        self.marks: dict[int, Mark] = {}

    def blocks(self) -> Iterator[LoggedBlock]:
        """All sealed blocks from the first on."""
        tip, _ = inspect(self.directory.segments)
        first = 0
        for stored in read_blocks(self.directory.segments, 0, tip.height):
            block = LoggedBlock(stored.height, first, stored.entries)
            for entry in block.of(Kind.MARK):
                fields = entry.fields()
                self.marks[fields["asset"]] = Mark(
                    fields["mark"], fields["previous_mark"], fields["oracle"], entry.index
                )
            yield block
            first += len(stored.entries)

    def tail(self, height: int) -> Iterator[LoggedBlock]:
        """Sealed blocks from a height on; `marks` are left alone."""
        tip, _ = inspect(self.directory.segments)
        if height > tip.height:
            return
        for stored in read_blocks(self.directory.segments, height, tip.height):
            seal = decode_payload(decode_entry(stored.entries[-1]))
            yield LoggedBlock(stored.height, seal["first_index"], stored.entries)

    def base(self, asset: int) -> Token | None:
        """The token that a spot pair trades; None for a perpetual, and for no pair."""
        pairs = self.genesis.listing.pairs
        is_pair = is_pair_known(asset, len(pairs))
        return self.tokens[pairs[asset - SPOT_FIRST]] if is_pair else None

    def market(self, asset: int) -> str:
        """Name of a market or spot pair."""
        base = self.base(asset)
        if base is not None:
            return f"{base.name}/USDC"
        return self.terms[asset].name if asset < len(self.terms) else f"market {asset}"

    def decimals(self, asset: int) -> int:
        """Decimals of a size in a market or pair."""
        base = self.base(asset)
        return self.terms[asset].size_decimals if base is None else base.size_decimals

    def price(self, asset: int, price: int) -> str:
        """A grid price for people."""
        return price_text(price, self.decimals(asset))

    def units(self, asset: int, lots: int) -> str:
        """Lots in base units."""
        return size_text(lots, self.decimals(asset))

    def size(self, asset: int, lots: int) -> str:
        """Lots for people, with the name of what is traded."""
        base = self.base(asset)
        return f"{self.units(asset, lots)} {self.market(asset) if base is None else base.name}"

    def amount(self, token: int, amount: int) -> str:
        """An amount of a token for people."""
        terms = self.tokens[token]
        return f"{format_decimal(amount, terms.wei_decimals)} {terms.name}"

    def position(self, asset: int, lots: int) -> str:
        """A signed position in words."""
        if lots == 0:
            return f"no {self.market(asset)}"
        return f"{'long' if lots > 0 else 'short'} {self.size(asset, abs(lots))}"

    def marks_text(self) -> str:
        """The marks in force."""
        return ", ".join(
            f"{self.market(asset)} {self.price(asset, mark.mark)}"
            for asset, mark in sorted(self.marks.items())
        )


def clock(time_ms: int) -> str:
    """A time for people, UTC to the millisecond."""
    when = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{when:%Y-%m-%d %H:%M:%S}.{time_ms % 1000:03d} UTC"


def money(amount: int) -> str:
    """Micro-USDC for people, with the unit."""
    return f"{usd_text(amount)} USDC"


def who(address: bytes) -> str:
    """An address for people."""
    return address_text(address)


def parse_hex(text: str, size: int, name: str) -> bytes:
    """Bytes of a hex argument. Raises BadRequest naming it."""
    body = text.removeprefix("0x")
    if len(body) != 2 * size or not set(body.lower()) <= set("0123456789abcdef"):
        raise BadRequest(name, f"{name} is 0x and {2 * size} hex digits, was {text[:80]!r}")
    return bytes.fromhex(body)


def nothing(sentence: str) -> NotFound:
    """The error of a question that the log has no answer to: exit code 3."""
    return NotFound(sentence)
