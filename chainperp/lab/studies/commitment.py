"""S12: an exemption list of which only a salted hash is published: what it lets an outsider refute,
and when.

Three moments. Before the opening the outsider has the closures, the inputs of all candidates and
the hashes: a closure is refuted when no list at all explains it. At the opening the list and its
salt come as well: the hash must match, and the round run again with the list must give the same
closures. At the deadline a commitment that nobody opened is itself the finding. The venue of this
study is not the engine's, whose lists are public: only the allocation is the engine's.

Source: adl-and-scenarios 5 (three disclosure regimes), 9 S4 and S12.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from math import comb
from typing import Final, NamedTuple

from chainperp.base.rounding import order_keys
from chainperp.lab.draws import Draws
from chainperp.lab.forensic import BY_NAME
from chainperp.lab.outcome import Cell, Table
from chainperp.lab.studies.queue_rounds import candidates_of, closed_in_round
from chainperp.rules.adl.policy import Candidate

SALT_BYTES: Final = 16
NOTICE: Final = 10
"""Blocks before the fall at which a list is written, where it is not written in the last one."""
SIZES: Final = (1, 2, 5)
Names = frozenset[bytes]


class Played(NamedTuple):
    """What a venue did in one round: whom it spared, what it had committed to, what it opens
    (`None`: nothing), its closures, and the hash of each block before the fall."""

    takes: list[int]
    hashes: list[bytes]
    opened: Names | None
    salt: bytes


class Findings(NamedTuple):
    """What an outsider refutes at each moment, and whether the change of the list was seen."""

    at_once: bool
    by_hash: bool
    by_rerun: bool
    by_deadline: bool
    change_seen: bool


def commit(names: Iterable[bytes], salt: bytes) -> bytes:
    """The published hash. Each name goes in as its own hash, so lists cannot run into each other.

    >>> commit([b"a", b"b"], b"s") == commit([b"b", b"a"], b"s")
    True
    >>> commit([b"ab"], b"s") == commit([b"a", b"b"], b"s")
    False
    """
    parts = sorted(sha256(name).digest() for name in names)
    return sha256(b"lab/exempt/" + sha256(salt).digest() + b"".join(parts)).digest()


def some_list_explains(candidates: Sequence[Candidate], takes: Sequence[int]) -> bool:
    """Whether there is a list under which the queue gives these closures: from the top, everybody
    is closed whole or untouched, but for the last who is closed. Equal scores may stand in any
    order."""
    keys = order_keys([BY_NAME["hyperliquid"].score(one) for one in candidates])
    touched = [key for key, take in zip(keys, takes, strict=True) if take > 0]
    part = [
        key for key, one, take in zip(keys, candidates, takes, strict=True) if 0 < take < one.lots
    ]
    return len(part) <= 1 and all(key <= min(touched) for key in part)


def judged(candidates: list[Candidate], need: int, played: Played) -> Findings:
    """The outsider's checks, of what is public alone."""
    at_once = not some_list_explains(candidates, played.takes)
    by_hash = by_rerun = False
    if played.opened is not None:
        by_hash = commit(played.opened, played.salt) != played.hashes[-1]
        again = closed_in_round(candidates, set(played.opened), need)
        by_rerun = again != played.takes
    changes = sum(
        one != other for one, other in zip(played.hashes, played.hashes[1:], strict=False)
    )
    # With a fresh salt each hash is another: nothing stands out.
    return Findings(at_once, by_hash, by_rerun, played.opened is None, changes == 1)


def hashes_of(names: Names, salt: bytes, changed: int, is_fresh: bool) -> list[bytes]:
    """Hashes of the blocks before a fall: an empty list, and the list in the last `changed`."""
    found: list[bytes] = []
    for block in range(2 * NOTICE):
        now = names if block >= 2 * NOTICE - changed else frozenset()
        is_last = block == 2 * NOTICE - 1
        fresh = salt if is_last or not is_fresh else sha256(salt + bytes([block])).digest()
        found.append(commit(now, fresh))
    return found


def plays(candidates: list[Candidate], need: int, draws: Draws) -> dict[str, Played]:
    """What a venue can do that spares one account which the queue would have closed."""
    plain = closed_in_round(candidates, set(), need)
    reached = [one.key for one, take in zip(candidates, plain, strict=True) if take == one.lots]
    spared = frozenset([reached[draws.whole(0, len(reached) - 1)]])
    others = [one.key for one in candidates if one.key not in spared]
    other = frozenset([others[draws.whole(0, len(others) - 1)]])
    nobody: Names = frozenset()
    salt = draws.bits().to_bytes(8) + draws.bits().to_bytes(8)
    takes = closed_in_round(candidates, set(spared), need)
    kept = hashes_of(spared, salt, NOTICE, is_fresh=False)
    wrong = hashes_of(other, salt, NOTICE, is_fresh=False)
    return {
        "keeps to its list": Played(takes, kept, spared, salt),
        "spares an account that is not on its list": Played(takes, wrong, other, salt),
        "opens another list than it committed to": Played(takes, wrong, spared, salt),
        "says that its list was empty": Played(takes, kept, nobody, salt),
        "never opens": Played(takes, kept, None, salt),
        "writes its list in the last block": Played(
            takes, hashes_of(spared, salt, 1, is_fresh=False), spared, salt
        ),
        "keeps to its list, a fresh salt each block": Played(
            takes, hashes_of(spared, salt, NOTICE, is_fresh=True), spared, salt
        ),
        "closes half of the spared account": Played(
            _half(candidates, plain, spared), kept, spared, salt
        ),
    }


def _half(candidates: list[Candidate], takes: list[int], names: Names) -> list[int]:
    """Closures in which some are closed to a half only, though the queue went on below them."""
    return [
        max(1, take // 2) if one.key in names else take
        for one, take in zip(candidates, takes, strict=True)
    ]


def commitment_table(rounds: int, positions: int, need_percent: int, seed: int) -> Table:
    """Shares of rounds in which each play is refuted, by moment."""
    found: dict[str, list[Findings]] = {}
    for number in range(rounds):
        draws = Draws(seed, f"S12/commitment/{number}")
        rows = candidates_of(positions, draws)
        need = sum(one.lots for one in rows) * need_percent // 100
        for name, played in plays(rows, need, draws).items():
            found.setdefault(name, []).append(judged(rows, need, played))
    table: list[list[Cell]] = [
        [name, *(sum(column) / len(column) * 100 for column in zip(*row, strict=True))]
        for name, row in found.items()
    ]
    columns = ["what the venue does", "refuted before the opening (% of rounds)",
               "refuted by the hash at the opening (%)", "refuted by running again (%)",
               "refuted by the deadline alone (%)", "change of the list seen (%)"]  # fmt: skip
    return Table("commitment", "A list committed to by a salted hash", columns, table)


def guessing_table(positions: int) -> Table:
    """Lists that an outsider must try to open a hash by himself, without a salt and with one."""
    rows: list[list[Cell]] = []
    for size in SIZES:
        lists = comb(positions, size)
        rows.append([size, lists, float(lists) * 2.0 ** (8 * SALT_BYTES)])
    columns = ["accounts on the list", "lists to try, no salt",
               f"lists to try, a salt of {SALT_BYTES} bytes"]  # fmt: skip
    title = f"Guessing a list among {positions} accounts"
    return Table("guessing", title, columns, rows)
