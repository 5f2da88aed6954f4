"""Plays a dishonest operator on a copy: changes one fee and repairs the file's checksum."""

from pathlib import Path

from chainperp.base import canonical
from chainperp.model.decisions import Kind
from chainperp.model.entries import decode_entry, decode_payload, encode_entry
from chainperp.model.records import SCHEMAS
from chainperp.storage.segments import encode_block, list_segments, walk_segment


def forge_fee(directory: Path) -> None:
    """Lower the taker's fee of a fill in the middle of the first segment by one micro-dollar."""
    path = list_segments(directory / "segments")[0]
    raw = path.read_bytes()
    placed = [one for one in walk_segment(path) if _fill(one.block.entries) is not None]
    target = placed[len(placed) // 2]
    entries = list(target.block.entries)
    place = _fill(entries)
    if place is None:
        return
    entry = decode_entry(entries[place])
    fields = decode_payload(entry)
    fields["taker_fee"] -= 1
    payload = canonical.encode(SCHEMAS[Kind.FILL], fields)
    entries[place] = encode_entry(Kind.FILL, entry.height, entry.seq, payload)
    path.write_bytes(raw[: target.offset] + encode_block(entries) + raw[target.end :])


def _fill(entries: list[bytes]) -> int | None:
    """Place of the first fill in a block."""
    for place, raw in enumerate(entries):
        if int.from_bytes(raw[1:3], "big") == Kind.FILL:
            return place
    return None
