"""The part of `chainperp audit` that needs an EVM: each recorded effect against the contracts.

The ledger replays without any EVM; this says which of the facts that it cites were compared, and
which were not. The EVM is the machine in the directory, executed again from its journal, or any
JSON-RPC endpoint.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from chainperp.base.errors import Invalid
from chainperp.chain.genesis import Genesis
from chainperp.cli.anchoring import read_log
from chainperp.cli.evm import refusals, web3_of, web3_of_directory
from chainperp.model.bridge import EvmContracts
from chainperp.storage.datadir import DataDir

LABEL: Final = "contracts on the EVM"


@dataclass(slots=True)
class BorderAudit:
    """What came of it. `checked` counts pairs by kind; `block` is None where nothing was asked."""

    block: int | None
    checked: dict[str, int]
    findings: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """With stable keys."""
        return {
            "compared": self.block is not None,
            "block": self.block,
            "pairs": self.checked,
            "findings": self.findings,
            "open": self.open,
            "remarks": self.remarks,
        }

    def lines(self) -> list[str]:
        """In sentences, as the other checks of an audit."""
        pairs = _counted(self.checked)
        if self.block is None:
            return [f"note     {LABEL}: {pairs} NOT CHECKED, there is no EVM here: --evm URL"]
        state = f"FAILED   {LABEL:<28}{len(self.findings)} findings" if self.findings else (
            f"ok       {LABEL:<28}{pairs} compared up to EVM block {self.block}"
        )  # fmt: skip
        lines = [state, *(f"found    {LABEL}: {one}" for one in self.findings)]
        lines += [f"open     {one}" for one in self.open]
        return lines + [f"note     {one}" for one in self.remarks]


def audit_border(directory: Path, evm: str | None) -> BorderAudit | None:
    """Compare a directory's chain with its contracts; None for a chain that has none.

    A machine that does not execute to what its journal says is a finding. Raises: InvalidFile.
    """
    genesis = DataDir.open(directory, write=False).genesis
    named = genesis.evm
    if named is None:
        return None
    try:
        web3: Any = (
            web3_of_directory(directory, lambda: int(time.time()))
            if evm is None
            else web3_of(evm, named.chain_id)
        )
    except Invalid as error:
        return BorderAudit(0, {}, [str(error)])
    if web3 is None:
        book, _ = read_log(directory, ())
        rows = (("deposit", book.deposits), ("payout", book.payouts), ("purchase", book.purchases))
        return BorderAudit(None, {name: len(one) for name, one in rows})
    with refusals():
        return _compared(directory, web3, genesis, named)


def _compared(directory: Path, web3: Any, genesis: Genesis, named: EvmContracts) -> BorderAudit:
    from chainperp.evm.contract_facts import read_contracts
    from chainperp.evm.deployment import check_ledger
    from chainperp.evm.pairs import compare

    try:
        check_ledger(web3, named, genesis.chain_id, genesis.origin)
    except Invalid as error:
        return BorderAudit(web3.eth.block_number, {}, [str(error)])
    facts = read_contracts(web3, named)
    sizes = [one.fields["size"] for one in facts.anchored]
    book, roots = read_log(directory, sizes)
    found = compare(book, facts, lambda size: roots[size])
    sentences = [one.sentence() for one in found.findings]
    return BorderAudit(found.block, found.checked, sentences, found.open, found.remarks)


def _counted(checked: dict[str, int]) -> str:
    """Such as `1 deposit, 25 payouts`."""
    rows = [f"{count} {name}{'' if count == 1 else 's'}" for name, count in checked.items()]
    return ", ".join(rows) or "nothing"
