"""Does the venue hold what it owes? `python solvency.py DIRECTORY`

DIRECTORY is a copy of the venue's data directory. Executes the blocks after the newest snapshot
again, then adds up every account at the marks in force. What accounts are owed and what some of
them lack are added apart: one sum of both would hide a hole behind an invented debtor. Exit code 1
unless claims - deficit = custody, as the last leaf of the log's signed checkpoint has it.
"""

import sys
from pathlib import Path

from chainperp.base.errors import ChainperpError, NotFound
from chainperp.base.hashing import leaf_hash
from chainperp.base.units import usd_text
from chainperp.cli.risk_report import state_at_tip
from chainperp.evidence.checkpoint import read_checkpoint
from chainperp.evidence.merkle import prove_inclusion, verify_inclusion
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.tokens import USDC
from chainperp.storage.logkey import verify_ed25519
from chainperp.storage.tiles import load_checkpoint, load_vkey, open_reader


def main(directory: Path) -> bool:
    """Print both sides; true when they are equal."""
    log = directory / "log"
    signed = read_checkpoint(load_checkpoint(log) or b"", load_vkey(log), verify_ed25519)
    size, reader = signed.checkpoint.size, open_reader(log, signed.checkpoint.size)
    raw, proof = reader.entry(size - 1), prove_inclusion(reader.node, size - 1, size)
    verify_inclusion(leaf_hash(raw), size - 1, size, proof, signed.checkpoint.root)
    entry = decode_entry(raw)
    seal = decode_payload(entry)
    state, _log, executed = state_at_tip(directory)
    if entry.height != state.height:
        raise NotFound(f"block {state.height} has no checkpoint yet, block {entry.height} has one")
    claims = sum(one.amount for one in state.withdrawals.values())
    print(f"{executed}\npending withdrawals   {usd_text(claims):>24} USDC")
    deficit = 0
    for account in state.accounts.values():
        value = account.raw + sum(one.raw_isolated for one in account.exposures.values())
        value += sum(one.lots * state.markets[one.asset].mark for one in account.exposures.values())
        claims += state.spot[USDC].get(account.address, 0)
        claims, deficit = claims + max(0, value), deficit + max(0, -value)
    for what, amount in (("claims", claims), ("deficit", deficit), ("custody", state.custody)):
        print(f"{what:<22}{usd_text(amount):>24} USDC")
    same: bool = claims - deficit == state.custody == seal["custody"] == seal["cash_sum"]
    print(f"claims - deficit = custody, as the last seal says: {'yes' if same else 'NO'}")
    print("Not shown: that custody is really held; compare it with the balance on chain.")
    return same


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        holds = main(Path(sys.argv[1]))
    except ChainperpError as error:
        sys.exit(f"NOT VERIFIED: {error}")
    sys.exit(0 if holds else 1)
