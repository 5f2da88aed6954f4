# pragma version 0.4.3
# pragma evm-version prague
"""
@title RFC 6962 proofs
@license MIT
@notice Inclusion and consistency in an append-only SHA-256 tree, by the SHA-256 precompile.
@dev A leaf is SHA-256(00 || entry), a node SHA-256(01 || left || right): without the prefixes a
     node could be presented as an entry. Steps and names follow RFC 9162 2.1.3.2 and 2.1.4.2;
     chainperp/evidence/merkle.py is the same algorithm. Sizes and indexes count leaves.
"""

PROOF_MAX: constant(uint256) = 64


@pure
@internal
def _node(left: bytes32, right: bytes32) -> bytes32:
    """
    @notice Hash of an inner node.
    """
    return sha256(concat(b"\x01", left, right))


@pure
@internal
def _includes(
    leaf: bytes32, index: uint256, size: uint256, proof: DynArray[bytes32, PROOF_MAX], root: bytes32
) -> bool:
    """
    @notice Whether `leaf` is at `index` of the tree with this size and root.
    """
    if index >= size:
        return False
    place: uint256 = index
    last: uint256 = size - 1
    running: bytes32 = leaf
    for piece: bytes32 in proof:
        if last == 0:
            # The root is reached: what follows would be ignored, so the proof is refused.
            return False
        if place & 1 == 1 or place == last:
            running = self._node(piece, running)
            for _step: uint256 in range(64):
                if place & 1 == 1 or place == 0:
                    break
                place >>= 1
                last >>= 1
        else:
            running = self._node(running, piece)
        place >>= 1
        last >>= 1
    # A proof that ends early ends at an inner node, not at the root.
    return last == 0 and running == root


@pure
@internal
def _extends(
    old_size: uint256,
    new_size: uint256,
    old_root: bytes32,
    new_root: bytes32,
    proof: DynArray[bytes32, PROOF_MAX],
) -> bool:
    """
    @notice Whether the tree of the old size and root is a prefix of the new one.
    @dev The empty tree is a prefix of every tree; its proof is empty.
    """
    if old_size == new_size:
        return len(proof) == 0 and old_root == new_root
    if old_size == 0:
        return len(proof) == 0
    if old_size > new_size or len(proof) == 0:
        return False
    place: uint256 = old_size - 1
    last: uint256 = new_size - 1
    for _step: uint256 in range(64):
        if place & 1 == 0:
            break
        place >>= 1
        last >>= 1
    # A complete old tree is itself the first node; the proof then leaves it out.
    is_complete: bool = old_size & (old_size - 1) == 0
    running_old: bytes32 = old_root if is_complete else proof[0]
    running_new: bytes32 = running_old
    for at: uint256 in range(len(proof), bound=PROOF_MAX):
        if at == 0 and not is_complete:
            continue
        piece: bytes32 = proof[at]
        if last == 0:
            return False
        if place & 1 == 1 or place == last:
            running_old = self._node(piece, running_old)
            running_new = self._node(piece, running_new)
            for _step: uint256 in range(64):
                if place & 1 == 1 or place == 0:
                    break
                place >>= 1
                last >>= 1
        else:
            running_new = self._node(running_new, piece)
        place >>= 1
        last >>= 1
    return last == 0 and running_old == old_root and running_new == new_root
