"""Events of the contracts as system inputs of the ledger, and back.

`log_root` of a purchase is the receipts root in the header of its EVM block: the block hash beside
it commits to that root, and the root to every log of the block.
"""

from typing import Final

from chainperp.base import canonical
from chainperp.evm.events import Seen
from chainperp.model.bridge import (
    BRIDGE_DEPOSIT_BODY,
    BRIDGE_PAYOUT_BODY,
    CANCELLED,
    EVM_BUYBACK_BODY,
    PAID,
)
from chainperp.model.decisions import SystemType

OUTCOMES: Final = {"Finalized": PAID, "Cancelled": CANCELLED, "Invalidated": CANCELLED}

Input = tuple[int, bytes]


def deposit_input(seen: Seen) -> Input:
    """A Deposit of the Bridge. Raises InvalidBytes for an amount that the ledger cannot hold."""
    event = seen.fields
    fields = {
        "user": event["beneficiary"],
        "payer": event["user"],
        "amount": event["amount"],
        "nonce": event["nonce"],
        **seen.at.fields(),
    }
    return SystemType.BRIDGE_DEPOSIT, canonical.encode(BRIDGE_DEPOSIT_BODY, fields)


def payout_input(seen: Seen) -> Input:
    """A Finalized, Cancelled or Invalidated of the Bridge."""
    fields = {
        "wid": seen.fields["wid"],
        "outcome": OUTCOMES[seen.name],
        **seen.at.fields(),
    }
    return SystemType.BRIDGE_PAYOUT, canonical.encode(BRIDGE_PAYOUT_BODY, fields)


def buyback_input(seen: Seen, receipts_root: bytes) -> Input:
    """A Bought of the BuybackVault, with the receipts root of its block."""
    event = seen.fields
    fields = {
        "number": event["number"],
        "decision": event["decision"],
        "spent": event["usd_spent"],
        "bought": event["tokens_bought"],
        "burned": event["tokens_burned"],
        "log_root": receipts_root,
        **seen.at.fields(),
    }
    return SystemType.EVM_BUYBACK, canonical.encode(EVM_BUYBACK_BODY, fields)
