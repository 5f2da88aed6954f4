"""What vaults did to accounts' ledgers: one row for each side.

A holder's row comes from the SHARES record, which knows commission, cost and basis; the transfers
behind it are silent but for the leader's commission.
"""

from typing import Final

from chainperp.base.canonical import Record
from chainperp.model.decisions import LedgerType
from chainperp.model.vaults import ShareEvent
from chainperp.node.documents.texts import Document, hex_text, usd

# Transfers that a SHARES record or the row of a creation tells already.
TOLD: Final = (
    LedgerType.VAULT_CREATION_FEE,
    LedgerType.VAULT_WITHDRAWAL,
    LedgerType.VAULT_DISTRIBUTION,
)
PAID: Final = (ShareEvent.WITHDRAWAL, ShareEvent.CLOSE, ShareEvent.DISTRIBUTION)


def creation(vault: bytes, amount: int, fee: int) -> Document:
    """A vault's first deposit, with the fee for opening it."""
    return {"type": "vaultCreate", "vault": hex_text(vault), "usdc": usd(amount), "fee": usd(fee)}


def deposit(vault: bytes, amount: int) -> Document:
    """A deposit into a vault."""
    return {"type": "vaultDeposit", "vault": hex_text(vault), "usdc": usd(amount)}


def leader_commission(leader: bytes, amount: int) -> Document:
    """What the leader got of a holder's profit."""
    return {"type": "vaultLeaderCommission", "user": hex_text(leader), "usdc": usd(amount)}


def paid_out(fields: Record) -> Document:
    """What a holder got: his part of a distribution, or of the vault."""
    if fields["event"] == ShareEvent.DISTRIBUTION:
        vault = hex_text(fields["vault"])
        return {"type": "vaultDistribution", "vault": vault, "usdc": usd(fields["net"])}
    return {
        "type": "vaultWithdraw",
        "vault": hex_text(fields["vault"]),
        "user": hex_text(fields["holder"]),
        "requestedUsd": usd(fields["requested"]),
        "commission": usd(fields["commission"]),
        "closingCost": usd(fields["closing_cost"]),
        "basis": usd(-fields["basis_change"]),
        "netWithdrawnUsd": usd(fields["net"]),
    }


def moved(fields: Record, fee: int) -> Document | None:
    """What a vault's transfer is in both ledgers, None for another transfer. `fee` is that of the
    creation right before it."""
    kind, amount = fields["type"], fields["amount"]
    if kind == LedgerType.VAULT_CREATE:
        return creation(fields["destination"], amount, fee)
    if kind == LedgerType.VAULT_DEPOSIT:
        return deposit(fields["destination"], amount)
    return None
