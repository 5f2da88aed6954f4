"""The state tree as a definition: sort the paths, split by the next bit. Our code is not used."""

from hashlib import sha256

Pairs = dict[bytes, tuple[bytes, tuple[int, ...]]]
Row = tuple[str, bytes, tuple[int, ...], bytes]  # path bits, h, (count, *sums), value hash
Node = tuple[bytes, tuple[int, ...]]


def rows(name: str, pairs: Pairs) -> list[Row]:
    """Leaves in path order."""
    listed: list[Row] = []
    for key, (value, sums) in pairs.items():
        label = name.encode()
        path = sha256(b"\x12" + bytes([len(label)]) + label + key).digest()
        hashed = sha256(b"\x13" + value).digest()
        numbers = (1, *sums)
        h = sha256(b"\x10" + path + packed(numbers) + hashed).digest()
        listed.append((f"{int.from_bytes(path, 'big'):0256b}", h, numbers, hashed))
    return sorted(listed)


def packed(numbers: tuple[int, ...]) -> bytes:
    """u64 count, then i128 sums."""
    return numbers[0].to_bytes(8, "big") + b"".join(
        amount.to_bytes(16, "big", signed=True) for amount in numbers[1:]
    )


def node(listed: list[Row], depth: int, columns: int) -> Node:
    """(h, numbers) over the leaves that share the first `depth` bits."""
    if not listed:
        return bytes(32), (0,) * (columns + 1)
    if len(listed) == 1:
        return listed[0][1], listed[0][2]
    left = node([row for row in listed if row[0][depth] == "0"], depth + 1, columns)
    right = node([row for row in listed if row[0][depth] == "1"], depth + 1, columns)
    h = sha256(b"\x11" + left[0] + packed(left[1]) + right[0] + packed(right[1])).digest()
    return h, tuple(a + b for a, b in zip(left[1], right[1], strict=True))


def root(name: str, columns: int, pairs: Pairs) -> tuple[bytes, int, tuple[int, ...]]:
    """h, count and sums of a collection."""
    h, numbers = node(rows(name, pairs), 0, columns)
    return h, numbers[0], numbers[1:]


def proof(name: str, columns: int, pairs: Pairs, key: bytes) -> bytes:
    """Proof of presence or absence in the format of section 5.4."""
    label = name.encode()
    digest = sha256(b"\x12" + bytes([len(label)]) + label + key).digest()
    path = f"{int.from_bytes(digest, 'big'):0256b}"
    here = rows(name, pairs)
    siblings: list[Node] = []
    while len(here) > 1:
        depth = len(siblings)
        other = [row for row in here if row[0][depth] != path[depth]]
        siblings.append(node(other, depth + 1, columns))
        here = [row for row in here if row[0][depth] == path[depth]]
    bits = "".join("1" if numbers[0] else "0" for _h, numbers in siblings)
    while len(bits) % 8:
        bits += "0"
    bitmap = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    body = b"".join(h + packed(numbers) for h, numbers in siblings if numbers[0])
    kind, tail = 0, b""
    if not here:
        kind = 1
    elif here[0][0] != path:
        kind = 2
        tail = int(here[0][0], 2).to_bytes(32, "big") + packed(here[0][2]) + here[0][3]
    return bytes([kind]) + len(siblings).to_bytes(2, "big") + bitmap + body + tail
