"""Why vaults refuse: the reasons of the VLT rules. Part of `REASONS` in `model/decisions.py`.

A text's {names} are filled in by who shows it. Source: hyperliquid-api 4.2; texts that it does not
publish are ours.
"""

from typing import Final

from chainperp.model.rejections import Reason, Rejection

VAULT_REASONS: Final[dict[Rejection, Reason]] = {
    Rejection.VAULT_TEXT_INVALID: Reason(
        "VLT-1", "rejected", "Vault name or description is invalid."
    ),
    Rejection.VAULT_INITIAL_TOO_SMALL: Reason(
        "VLT-1", "rejected", "Initial vault deposit must be at least ${required}."
    ),
    Rejection.VAULT_CREATION_BALANCE: Reason(
        "VLT-1", "rejected", "Insufficient balance to create vault"
    ),
    Rejection.VAULT_LEADER_SHARE: Reason(
        "VLT-7", "rejected", "Leader must hold at least {percent}% of the vault."
    ),
    Rejection.VAULT_LOCKED: Reason(
        "VLT-10", "rejected", "Cannot withdraw during the lock-up, which ends at {until}."
    ),
    Rejection.VAULT_AMOUNT_TOO_SMALL: Reason(
        "VLT-9", "rejected", "Vault transfer must be at least ${required}."
    ),
    Rejection.VAULT_DEPOSITS_OFF: Reason("VLT-9", "rejected", "Vault does not allow deposits."),
    Rejection.VAULT_DEPOSIT_LIQUIDATABLE: Reason(
        "VLT-9", "rejected", "Cannot deposit into liquidatable vault."
    ),
    Rejection.VAULT_NO_PRICE: Reason(
        "VLT-9", "rejected", "Vault holds positions without a fresh price."
    ),
    Rejection.VAULT_WORTHLESS: Reason(
        "VLT-9", "rejected", "Vault shares are worth too little for a deposit."
    ),
    Rejection.VAULT_FULL: Reason("VLT-9", "rejected", "Too many depositors in the vault."),
    Rejection.VAULT_DEPOSIT_BALANCE: Reason(
        "VLT-9", "rejected", "Insufficient balance for vault deposit."
    ),
    Rejection.VAULT_WITHDRAWAL_LIQUIDATABLE: Reason(
        "VLT-10", "rejected", "Cannot withdraw from liquidatable vault."
    ),
    Rejection.VAULT_EQUITY: Reason(
        "VLT-10", "rejected", "Insufficient vault equity for withdrawal. Equity: ${equity}."
    ),
    Rejection.VAULT_DAILY_LIMIT: Reason(
        "VLT-11", "rejected", "Vault pays out at most ${limit} more today."
    ),
    Rejection.VAULT_CASH: Reason("VLT-12", "rejected", "Vault can pay out at most ${limit} now."),
    Rejection.VAULT_NOT_LEADER: Reason(
        "VLT-12", "rejected", "Only leader can perform this vault action"
    ),
    Rejection.VAULT_PERPS_ONLY: Reason("VLT-14", "rejected", "Vaults trade perpetuals only."),
    Rejection.VAULT_WITHDRAWAL_CANCELED: Reason(
        "VLT-15", "vaultWithdrawalCanceled", "Canceled for a withdrawal from the vault."
    ),
    Rejection.VAULT_CLOSING: Reason("VLT-17", "filled", "Closed for a withdrawal from the vault."),
}
