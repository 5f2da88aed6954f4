"""Tile names, which tiles a growth writes, and proofs read back through tiles."""

from hashlib import sha256

import pytest

from chainperp.base.errors import InvalidBytes, InvalidFile, InvariantBroken
from chainperp.base.hashing import leaf_hash
from chainperp.evidence.merkle import (
    CompleteNodes,
    prove_consistency,
    prove_inclusion,
    root_at,
    root_of,
)
from chainperp.evidence.tiles import (
    ENTRIES,
    Tile,
    TileBuilder,
    TileReader,
    decode_bundle,
    decode_tile,
    encode_bundle,
    format_tile_path,
    parse_tile_path,
    plan_growth,
    width_at,
)


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0, 256), "tile/0/000"),
        (Tile(0, 1234067, 256), "tile/0/x001/x234/067"),
        (Tile(0, 273, 112), "tile/0/273.p/112"),
        (Tile(1, 1, 17), "tile/1/001.p/17"),
        (Tile(ENTRIES, 1000, 256), "tile/entries/x001/000"),
        (Tile(ENTRIES, 999_999, 1), "tile/entries/x999/999.p/1"),
        (Tile(7, 5, 255), "tile/7/005.p/255"),
    ],
)
def test_tile_paths(tile: Tile, path: str) -> None:
    assert format_tile_path(tile) == path
    assert parse_tile_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/x002",
        "tile/0/001/002",
        "tile/0/001.p",
        "tile/0/001.p/0",
        "tile/0/001.p/256",
        "tile/0/001.p/01",
        "tile/0/001.p/-1",
        "tile/00/001",
        "tile/8/001",
        "tile/-1/001",
        "tile/data/001",
        "tile/0/../001",
        "/tile/0/001",
        "tile/0/001/",
        "tile/0/00\N{ARABIC-INDIC DIGIT ONE}",
        "tile/0/001.tmp",
        "tile/0/" + "x999/" * 9 + "999",
    ],
)
def test_other_paths_are_no_tiles(path: str) -> None:
    assert parse_tile_path(path) is None


def test_tiles_of_seventy_thousand_entries_are_those_of_the_reference() -> None:
    planned = plan_growth(0, 70_000)
    by_level = {
        level: [tile for tile in planned if tile.level == level] for level in (ENTRIES, 0, 1, 2)
    }
    assert [len(by_level[level]) for level in (ENTRIES, 0, 1, 2)] == [274, 274, 2, 1]
    assert by_level[0][-1] == Tile(0, 273, 112)
    assert by_level[1] == [Tile(1, 0, 256), Tile(1, 1, 17)]
    assert by_level[2] == [Tile(2, 0, 1)]
    assert [tile.level for tile in planned] == sorted(tile.level for tile in planned)


def test_a_growth_writes_only_what_changed() -> None:
    assert plan_growth(70_000, 70_000) == []
    assert plan_growth(70_000, 70_001) == [Tile(ENTRIES, 273, 113), Tile(0, 273, 113)]
    assert plan_growth(255, 257) == [
        Tile(ENTRIES, 0, 256),
        Tile(ENTRIES, 1, 1),
        Tile(0, 0, 256),
        Tile(0, 1, 1),
        Tile(1, 0, 1),
    ]
    assert plan_growth(256, 257) == [Tile(ENTRIES, 1, 1), Tile(0, 1, 1)]
    with pytest.raises(InvariantBroken, match="does not shrink"):
        plan_growth(2, 1)


def test_widths_of_tiles_at_a_size() -> None:
    assert [width_at(70_000, 0, index) for index in (0, 272, 273, 274)] == [256, 256, 112, 0]
    assert [width_at(70_000, 1, index) for index in (0, 1, 2)] == [256, 17, 0]
    assert width_at(70_000, ENTRIES, 273) == 112


def test_bundles_round_trip_and_refuse_other_lengths() -> None:
    raw = encode_bundle([b"", b"a", b"b" * 65_535])
    assert decode_bundle(raw, 3) == [b"", b"a", b"b" * 65_535]
    for width in (2, 4):
        with pytest.raises(InvalidBytes):
            decode_bundle(raw, width)
    with pytest.raises(InvariantBroken, match="too long"):
        encode_bundle([b"b" * 65_536])
    with pytest.raises(InvalidBytes, match="has 33 bytes, expected 32"):
        decode_tile(bytes(33), 1)


def entry(number: int) -> bytes:
    return sha256(number.to_bytes(4, "big")).digest()[: number % 33]


@pytest.mark.parametrize("step", [1, 7, 255, 256, 257, 70_000])
def test_proofs_read_through_tiles_equal_those_from_memory(step: int) -> None:
    total = 70_000 if step == 70_000 else 1100
    store: dict[str, bytes] = {}
    builder = TileBuilder()
    hashes: list[bytes] = []
    for number in range(total):
        hashes.append(leaf_hash(entry(number)))
        builder.append(entry(number), hashes[-1])
        if builder.size % step == 0 or builder.size == total:
            for tile, raw in builder.take():
                store[format_tile_path(tile)] = raw
            if builder.size % 100 == 0:
                builder = TileBuilder.resume(TileReader(store.get, builder.size))
    reader = TileReader(store.get, total)
    nodes = CompleteNodes(hashes)
    assert root_at(reader.node, total) == root_of(hashes)
    for index in (0, 1, 255, 256, 300, total - 1):
        expected = prove_inclusion(nodes.node, index, total)
        assert prove_inclusion(reader.node, index, total) == expected
        assert reader.entry(index) == entry(index)
    for old in (1, 200, 256, 257, 1000, total - 1):
        expected = prove_consistency(nodes.node, old, total)
        assert prove_consistency(reader.node, old, total) == expected


def test_an_older_size_is_read_from_the_full_tiles() -> None:
    builder = TileBuilder()
    store: dict[str, bytes] = {}
    hashes = [leaf_hash(entry(number)) for number in range(512)]
    for number, hashed in enumerate(hashes):
        builder.append(entry(number), hashed)
        if builder.size in (300, 512):
            store.update((format_tile_path(tile), raw) for tile, raw in builder.take())
    del store["tile/0/001.p/44"]
    del store["tile/entries/001.p/44"]
    old = TileReader(store.get, 300)
    assert root_at(old.node, 300) == root_of(hashes[:300])
    assert list(old.read_entries(250, 300)) == [entry(number) for number in range(250, 300)]


def test_missing_and_malformed_tiles_are_named() -> None:
    builder = TileBuilder()
    for number in range(300):
        builder.append(entry(number), leaf_hash(entry(number)))
    store = {format_tile_path(tile): raw for tile, raw in builder.take()}
    store["tile/0/000"] = store["tile/0/000"][:-1]
    del store["tile/0/001.p/44"]
    store["tile/entries/001.p/44"] += b"\0"
    reader = TileReader(store.get, 300)
    with pytest.raises(InvalidFile, match="tile/0/000: tile has 8191 bytes, expected 8192"):
        reader.node(0, 5)
    with pytest.raises(InvalidFile, match=r"tile/0/001\.p/44 is missing"):
        reader.node(0, 256)
    with pytest.raises(InvalidFile, match=r"tile/entries/001\.p/44: 1 bytes follow"):
        reader.entry(299)
    with pytest.raises(InvariantBroken, match="INV-L1"):
        reader.node(1, 150)
    with pytest.raises(InvariantBroken, match="INV-L1"):
        reader.entry(300)
