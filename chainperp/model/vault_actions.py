"""What a transaction may ask of vaults. Part of `Action` in `model/actions.py`."""

from chainperp.base.units import Address


class CreateVault:
    """`createVault`: a vault led by this account, with its first deposit in micro-USDC."""

    __slots__ = ("description", "initial", "name")

    def __init__(self, name: str, description: str, initial: int) -> None:
        self.name = name
        self.description = description
        self.initial = initial


class VaultTransfer:
    """`vaultTransfer`: micro-USDC into a vault (`is_deposit`), or back from it."""

    __slots__ = ("amount", "is_deposit", "vault")

    def __init__(self, vault: Address, is_deposit: bool, amount: int) -> None:
        self.vault = vault
        self.is_deposit = is_deposit
        self.amount = amount


class VaultModify:
    """`vaultModify`: a vault's settings; None leaves one as it is."""

    __slots__ = ("allow_deposits", "always_close", "vault")

    def __init__(
        self, vault: Address, allow_deposits: bool | None, always_close: bool | None
    ) -> None:
        self.vault = vault
        self.allow_deposits = allow_deposits
        self.always_close = always_close


class VaultDistribute:
    """`vaultDistribute`: micro-USDC to all holders of a vault; 0 closes it."""

    __slots__ = ("amount", "vault")

    def __init__(self, vault: Address, amount: int) -> None:
        self.vault = vault
        self.amount = amount
