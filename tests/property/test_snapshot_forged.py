"""Forged snapshots: what is read from one has no second form, so the bytes of the file prove it.

Accounts and positions are not encoded again when a snapshot is restored. These tests encode them:
whatever the reader takes, changed by chance or with intent, is written with the same bytes.
"""

import random
from collections.abc import Callable
from typing import NamedTuple

import pytest

from chainperp.base.canonical import Reader, decode_from, encode_rows
from chainperp.base.errors import InvalidSnapshot
from chainperp.model.actions import ApproveAgent, UpdateLeverage
from chainperp.state.commitment import Commitment
from chainperp.state.schemas import BOOK_ORDER, ORDER_BUILDER, ORDER_GROUP, WAITING_ORDER
from chainperp.state.snapshot import Snapshot, decode_snapshot, encode_snapshot
from chainperp.state.store import INSURANCE
from tests.property.test_snapshot import LONG, fresh, grown, restored
from tests.support.world import World, address_of

Rows = list[tuple[bytes, bytes]]
Nonces = list[tuple[bytes, list[int]]]
TIMES = 4_000 if LONG else 500
HEAD_END = 24


class File(NamedTuple):
    """A snapshot in pieces: the leaves of its sections, the nonces of its keys, the rest."""

    head: bytes
    sections: dict[str, Rows]
    nonces: list[Nonces]
    books: bytes

    def raw(self) -> bytes:
        """The bytes of these pieces."""
        parts = [self.head]
        for rows in self.sections.values():
            parts.append(number(len(rows)))
            parts += [number(len(key)) + key + number(len(value)) + value for key, value in rows]
        for owners in self.nonces:
            parts.append(number(len(owners)))
            for owner, kept in owners:
                parts.append(owner + number(len(kept)))
                parts += [nonce.to_bytes(8, "big") for nonce in kept]
        return b"".join((*parts, self.books))


def number(value: int) -> bytes:
    """Four bytes."""
    return value.to_bytes(4, "big")


def taken_apart(world: World, raw: bytes) -> File:
    """The pieces of a snapshot."""
    reader = Reader(raw)
    reader.take(HEAD_END)
    for _ in range(2):
        reader.take(reader.unsigned(4))
    head = raw[: reader.at]
    names = ["acct", "agent", "val", "oracle", "wd", "exempt", "meta"]
    trees = world.engine.commitment.trees
    names += [name for name in trees if name not in ("param", *names) and "pos/" not in name]
    names += [name for name in trees if "pos/" in name]
    sections: dict[str, Rows] = {}
    for name in names:
        sections[name] = [
            (reader.take(reader.unsigned(4)), reader.take(reader.unsigned(4)))
            for _ in range(reader.unsigned(4))
        ]
    nonces: list[Nonces] = []
    for _ in range(3):
        nonces.append(
            [
                (reader.take(20), [reader.unsigned(8) for _ in range(reader.unsigned(4))])
                for _ in range(reader.unsigned(4))
            ]
        )
    return File(head, sections, nonces, raw[reader.at :])


def lively() -> tuple[World, bytes]:
    """A state with everything in it that is read by hand, and its snapshot."""
    world, snapshots = grown(3, 40)
    world.act("rich", ApproveAgent(address_of("other key"), "another"), user_signed=True)
    world.act("rich", UpdateLeverage(1, False, 3))
    world.act("rich", UpdateLeverage(2, False, 2))
    while not world.engine.is_snapshot_height(world.engine.height):
        world.block()
    raw = world.engine.snapshot()
    assert raw not in snapshots.values()
    return world, raw


def read(world: World, raw: bytes) -> Snapshot:
    """A snapshot as an engine of this chain reads it."""
    genesis = fresh(world).genesis
    return decode_snapshot(raw, genesis.parameters, genesis.terms, genesis.network, genesis.listing)


def written(snapshot: Snapshot) -> bytes:
    """Bytes of its state, every leaf of which is encoded."""
    commitment = Commitment(snapshot.state)
    commitment.commit(snapshot.state, with_books=True)
    return encode_snapshot(snapshot.state, commitment, snapshot.frontier, snapshot.seal)


WORLD, RAW = lively()
WHOLE = taken_apart(WORLD, RAW)


def test_the_pieces_are_the_whole_and_hold_what_is_forged_below() -> None:
    assert WHOLE.raw() == RAW
    assert written(read(WORLD, RAW)) == RAW
    assert restored(WORLD, RAW, WORLD.engine.height) is not None
    assert len([name for name, rows in WHOLE.sections.items() if name[:4] == "pos/" and rows]) > 2
    assert WHOLE.nonces[0]
    assert WHOLE.nonces[1]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_read_would_be_written_with_the_same_bytes(seed: int) -> None:
    """Rows changed in a bit, exchanged, doubled, left out or moved to another collection. What the
    engine encodes at every start (`is_snapshot_of`) may differ; accounts, positions and nonces,
    which it does not encode, may not."""
    draw = random.Random(seed)
    by_hand = [name for name in WHOLE.sections if name == "acct" or name.startswith("pos/")]
    verdicts = {True: 0, False: 0}
    for _ in range(TIMES):
        sections = {name: list(rows) for name, rows in WHOLE.sections.items()}
        nonces = [list(owners) for owners in WHOLE.nonces]
        for _ in range(draw.choice((1, 1, 2))):
            if draw.random() < 0.8:
                disturb(sections, draw.choice(by_hand), draw)
            else:
                disturb_nonces(nonces[draw.randrange(2)], draw)
        raw = File(WHOLE.head, sections, nonces, WHOLE.books).raw()
        try:
            snapshot = read(WORLD, raw)
        except InvalidSnapshot:
            verdicts[False] += 1
            continue
        assert written(snapshot) == raw, f"seed {seed}"
        verdicts[True] += raw != RAW
    assert min(verdicts.values()) > TIMES // 20, verdicts


def disturb(sections: dict[str, Rows], name: str, draw: random.Random) -> None:
    """Change something in a collection."""
    rows = sections[name]
    if not rows:
        return
    at = draw.randrange(len(rows))
    key, value = rows[at]
    kind = draw.randrange(12)
    if kind == 0:
        del rows[at]
    elif kind == 1:
        rows.insert(at, rows[at])
    elif kind == 2:
        rows[at], rows[at - 1] = rows[at - 1], rows[at]
    elif kind == 3:
        other = draw.choice([one for one in sections if one[:4] == name[:4]])
        sections[other].append(rows.pop(at))
    elif kind == 4:
        rows[at] = flipped(key, draw), value
    elif kind == 5:
        rows[at] = key, value[: draw.randrange(len(value))]
    elif kind == 6:
        rows[at] = key, value + bytes(draw.choice((1, 4)))
    else:
        rows[at] = key, flipped(value, draw)


def flipped(raw: bytes, draw: random.Random) -> bytes:
    """The same bytes but for one bit; most often one of the low bits of a field."""
    at = draw.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ (1 << draw.choice((0, 0, 0, 1, 2, 7)))]) + raw[at + 1 :]


def disturb_nonces(owners: Nonces, draw: random.Random) -> None:
    """Change something in the nonces of one kind of keys."""
    if not owners:
        return
    at = draw.randrange(len(owners))
    owner, kept = owners[at]
    kind = draw.randrange(5)
    if kind == 0:
        del owners[at]
    elif kind == 1:
        owners.insert(at, owners[at])
    elif kind == 2:
        owners[at], owners[at - 1] = owners[at - 1], owners[at]
    elif kind == 3:
        owners[at] = owner, kept[:-1]
    else:
        owners[at] = owner, [*kept[:-1], len(kept)]


# The lists at the end of an account's value: settings, agents, positions.
Lists = tuple[list[bytes], list[bytes], list[bytes]]
HEAD = 159
VERSION_2 = b"\x00\x02"


def lists_of(value: bytes) -> tuple[int, Lists]:
    """Where the lists of an account begin, and their rows."""
    reader = Reader(value)
    start = HEAD + 40 * int.from_bytes(value[HEAD - 4 : HEAD], "big")
    reader.at = start
    settings = [reader.take(9) for _ in range(reader.unsigned(4))]
    agents = []
    for _ in range(reader.unsigned(4)):
        size = reader.unsigned(4)
        agents.append(number(size) + reader.take(size + 20))
    positions = [reader.take(4) for _ in range(reader.unsigned(4))]
    reader.finish()
    return start, (settings, agents, positions)


def with_lists(value: bytes, lists: Lists) -> bytes:
    """An account's value with other lists."""
    start, _ = lists_of(value)
    return value[:start] + b"".join(number(len(rows)) + b"".join(rows) for rows in lists)


def rich_with(change: Callable[[Lists], None]) -> bytes:
    """The snapshot with other lists in the account that has all of them."""
    rows = list(WHOLE.sections["acct"])
    at = next(at for at, (key, _) in enumerate(rows) if key == address_of("rich"))
    key, value = rows[at]
    _, lists = lists_of(value)
    change(lists)
    rows[at] = key, with_lists(value, lists)
    return WHOLE._replace(sections={**WHOLE.sections, "acct": rows}).raw()


def replaced(name: str, rows: Rows) -> bytes:
    """The snapshot with other rows in a collection."""
    return WHOLE._replace(sections={**WHOLE.sections, name: rows}).raw()


def position_with(change: Callable[[bytes], bytes]) -> bytes:
    """The snapshot with another value in the first of some positions."""
    name = next(name for name, rows in WHOLE.sections.items() if name[:4] == "pos/" and rows)
    (key, value), *others = WHOLE.sections[name]
    return replaced(name, [(key, change(value)), *others])


def account_with(change: Callable[[bytes], bytes]) -> bytes:
    """The snapshot with another value in an account that has no nonces."""
    rows = list(WHOLE.sections["acct"])
    at = next(at for at, (key, _) in enumerate(rows) if key == INSURANCE)
    rows[at] = rows[at][0], change(rows[at][1])
    return replaced("acct", rows)


def with_nonces(kind: int, owners: Nonces) -> bytes:
    """The snapshot with the nonces of other accounts (0) or agents (1)."""
    nonces = list(WHOLE.nonces)
    nonces[kind] = owners
    return WHOLE._replace(nonces=nonces).raw()


def reverse(at: int) -> Callable[[Lists], None]:
    return lambda lists: lists[at].reverse()


def append(at: int, row: bytes) -> Callable[[Lists], None]:
    return lambda lists: lists[at].append(row)


FIRST, SECOND, *OTHERS = WHOLE.sections["acct"]
FIRST_NONCES, SECOND_NONCES, *OTHER_NONCES = WHOLE.nonces[0]
UNUSED_MARKET = number(len(WORLD.engine.state.markets) - 1)
FORGERIES = {
    "leaf 1 of acct is out of order": replaced("acct", [SECOND, FIRST, *OTHERS]),
    "leaf 2 of acct is out of order": replaced("acct", [FIRST, SECOND, SECOND, *OTHERS]),
    "account that every chain has": replaced(
        "acct", [row for row in WHOLE.sections["acct"] if row[0] != INSURANCE]
    ),
    "key has 19 bytes": replaced("acct", [(FIRST[0][:19], FIRST[1]), SECOND, *OTHERS]),
    "value version 2": account_with(lambda value: VERSION_2 + value[2:]),
    "another length than it says": account_with(lambda value: value + b"\x00"),
    "no nonces, and a digest": account_with(lambda value: value[:35] + b"\x01" + value[36:]),
    "setting of market 1 after 2": rich_with(reverse(0)),
    "setting of market 2 after 2": rich_with(
        lambda lists: lists[0].append(lists[0][-1])
    ),
    "flag 2": rich_with(
        lambda lists: lists[0].append(lists[0].pop()[:4] + b"\x02" + number(2))
    ),
    "is the default": rich_with(
        lambda lists: lists[0].insert(0, number(0) + b"\x01" + number(20))
    ),
    "agent 'another' is listed after 'bot'": rich_with(reverse(1)),
    "positions that accounts list are not there": rich_with(append(2, UNUSED_MARKET)),
    "position in market 99 after": rich_with(append(2, number(99))),
    "lists no position": rich_with(lambda lists: lists[2].clear()),
    "not in its one form": position_with(lambda value: VERSION_2 + value[2:]),
    "is not in its one": position_with(lambda value: value[:2] + bytes(8) + value[10:]),
    "has another setting": position_with(
        lambda value: value[:27] + number(int.from_bytes(value[27:31], "big") + 1) + value[31:]
    ),
    "another setting": position_with(lambda value: value[:26] + b"\x02" + value[27:]),
    "leaves i128": position_with(lambda value: value[:10] + b"\x80" + value[11:]),
    "are not those of its leaf": with_nonces(0, [SECOND_NONCES, FIRST_NONCES, *OTHER_NONCES]),
    "not those of its leaf": with_nonces(
        0, [(FIRST_NONCES[0], SECOND_NONCES[1]), SECOND_NONCES, *OTHER_NONCES]
    ),
    "those of its leaf": with_nonces(0, [FIRST_NONCES, FIRST_NONCES, *OTHER_NONCES]),
    "the nonces of [0-9a-f]* are not there": with_nonces(0, [SECOND_NONCES, *OTHER_NONCES]),
    "nonces of [0-9a-f]* are not there": with_nonces(1, []),
}  # fmt: skip


@pytest.mark.parametrize("reason", FORGERIES)
def test_what_has_a_second_form_or_contradicts_itself_is_not_read(reason: str) -> None:
    assert FORGERIES[reason] != RAW
    with pytest.raises(InvalidSnapshot, match=reason):
        read(WORLD, FORGERIES[reason])


def test_what_is_read_and_not_under_the_root_is_refused_by_its_own_check() -> None:
    """Height, time, the log's frontier, the SEAL; and a height at which no books are committed."""
    height = WORLD.engine.height
    for at, name in ((8 + 7, "height"), (16 + 7, "time_ms")):
        raw = RAW[:at] + bytes([RAW[at] ^ 7]) + RAW[at + 1 :]
        with pytest.raises(InvalidSnapshot, match=f"differs from its seal in {name}|no books"):
            fresh(WORLD).restore(raw, WORLD.blocks[height].entries[-1])
    with pytest.raises(InvalidSnapshot, match="another seal"):
        fresh(WORLD).restore(RAW, WORLD.blocks[height - 1].entries[-1])
    later, _ = grown(8, 9)
    engine = later.engine
    assert not engine.is_snapshot_height(engine.height)
    with pytest.raises(InvalidSnapshot, match="commits to no books"):
        fresh(later).restore(engine.snapshot(), later.blocks[engine.height].entries[-1])


def test_orders_in_another_order_are_refused() -> None:
    """Two orders of one price, exchanged, are another queue; of two prices, a second form."""
    height = WORLD.engine.height
    reader = Reader(WHOLE.books)
    seen = 0
    for _ in WORLD.engine.state.markets:
        start = reader.at
        orders = [decode_from(BOOK_ORDER, reader) for _ in range(reader.unsigned(4))]
        end = reader.at
        for schema in (WAITING_ORDER, ORDER_GROUP, ORDER_BUILDER):
            for _ in range(reader.unsigned(4)):
                decode_from(schema, reader)
        for at in range(len(orders) - 1):
            other = [*orders[:at], orders[at + 1], orders[at], *orders[at + 2 :]]
            books = WHOLE.books[:start] + encode_rows(BOOK_ORDER, other) + WHOLE.books[end:]
            raw = WHOLE._replace(books=books).raw()
            with pytest.raises(InvalidSnapshot, match=r"differs from its (seal|state)"):
                fresh(WORLD).restore(raw, WORLD.blocks[height].entries[-1])
            seen += 1
    assert seen
