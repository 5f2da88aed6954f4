"""Vaults with everything in them: a question of our own, which the real exchange does not know."""

from typing import Any, Final

from chainperp.base.units import Address
from chainperp.node.documents.vault_report import all_of, report_of
from chainperp.node.info.registry import Context, Fields, Query
from chainperp.wire.shapes import address, optional


def vault_report(context: Context, fields: Fields) -> Any:
    """All vaults; with an address that one, null for an address that is none."""
    state = context.state()
    asked = fields.get("vaultAddress")
    if asked is None:
        return all_of(state)
    vault = state.vaults.get(Address(bytes.fromhex(asked[2:])))
    return None if vault is None else report_of(state, vault)


QUERIES: Final = [
    Query(
        "vaultReport",
        (optional("vaultAddress", address),),
        vault_report,
        note="our own: value, shares, members, holders and quotes of a vault; of all without one",
    )
]
