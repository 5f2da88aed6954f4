"""Was I deleveraged by the rules? `python verify_my_adl.py DIRECTORY 0xACCOUNT [HEIGHT]`

DIRECTORY is a copy of the venue's data directory. Prints every round in which the account had a
part, and checks for each that the list of candidates hashes to the receipt, that the policy run
again gives the same order and takes, and that each entry quoted is in the log under the signed
checkpoint. Exit code 1 if anything is not so.
"""

import sys
from pathlib import Path

from chainperp.base.errors import ChainperpError
from chainperp.base.hashing import leaf_hash
from chainperp.base.units import Address
from chainperp.cli.chain_log import parse_hex
from chainperp.cli.explain_adl import explain_adl
from chainperp.evidence.checkpoint import read_checkpoint
from chainperp.evidence.merkle import prove_inclusion, verify_inclusion
from chainperp.storage.logkey import verify_ed25519
from chainperp.storage.tiles import load_checkpoint, load_vkey, open_reader


def main(directory: Path, account: Address, height: int | None) -> bool:
    """Explain and check; true when everything holds."""
    found = explain_adl(directory, account, height)
    print("\n".join(found.lines))
    log = directory / "log"
    # The key should come from elsewhere, for example from a policy file: see docs/guide/auditor.md.
    signed = read_checkpoint(load_checkpoint(log) or b"", load_vkey(log), verify_ed25519)
    size, root = signed.checkpoint.size, signed.checkpoint.root
    reader = open_reader(log, size)
    quoted = {one["index"] for part in found.document["rounds"] for one in part["sentences"]}
    for index in sorted(quoted):
        proof = prove_inclusion(reader.node, index, size)
        verify_inclusion(leaf_hash(reader.entry(index)), index, size, proof, root)
    print(f"{len(quoted)} entries are in the log of size {size} that {signed.checkpoint.origin}")
    print(
        "signed. What they do not show: that the inputs are those of the state (chainperp replay)"
    )
    wrong = [part for part in found.document["rounds"] if not part["rechecked"]]
    for part in wrong:
        print(f"NOT BY THE RULES: round at height {part['height']}, log index {part['index']}")
    return not wrong


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    try:
        me = Address(parse_hex(sys.argv[2], 20, "account"))
        holds = main(Path(sys.argv[1]), me, int(sys.argv[3]) if len(sys.argv) == 4 else None)
    except (ChainperpError, ValueError) as error:
        sys.exit(f"NOT VERIFIED: {error}")
    sys.exit(0 if holds else 1)
