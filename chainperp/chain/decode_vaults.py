"""The actions about vaults, from their canonical maps. Part of `chain/decode_actions.py`."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from chainperp.base.units import U64_MAX
from chainperp.chain.decode_fields import read_address, read_flag, read_text, read_whole
from chainperp.model.actions import (
    Action,
    CreateVault,
    VaultDistribute,
    VaultModify,
    VaultTransfer,
)

Fields = Mapping[str, Any]


def _create_vault(fields: Fields) -> Action:
    return CreateVault(
        read_text(fields["name"], "name"),
        read_text(fields["description"], "description"),
        read_whole(fields["initialUsd"], "initialUsd", U64_MAX),
    )


def _vault_transfer(fields: Fields) -> Action:
    return VaultTransfer(
        read_address(fields["vaultAddress"], "vaultAddress"),
        read_flag(fields["isDeposit"], "isDeposit"),
        read_whole(fields["usd"], "usd", U64_MAX),
    )


def _vault_modify(fields: Fields) -> Action:
    """The two flags are signed as nil where they change nothing."""
    deposits, closes = fields["allowDeposits"], fields["alwaysCloseOnWithdraw"]
    return VaultModify(
        read_address(fields["vaultAddress"], "vaultAddress"),
        None if deposits is None else read_flag(deposits, "allowDeposits"),
        None if closes is None else read_flag(closes, "alwaysCloseOnWithdraw"),
    )


def _vault_distribute(fields: Fields) -> Action:
    return VaultDistribute(
        read_address(fields["vaultAddress"], "vaultAddress"),
        read_whole(fields["usd"], "usd", U64_MAX),
    )


VAULT_DECODERS: Final[dict[str, Callable[[Fields], Action]]] = {
    "createVault": _create_vault,
    "vaultTransfer": _vault_transfer,
    "vaultModify": _vault_modify,
    "vaultDistribute": _vault_distribute,
}
