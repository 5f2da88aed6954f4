"""The keeper on somebody else's EVM: nothing in it needs our machine."""

import os
from pathlib import Path

import pytest
from web3 import HTTPProvider, Web3
from web3.types import RPCEndpoint

from chainperp.evm.contract_facts import header_hash
from chainperp.evm.deployment import ETHER, text
from chainperp.evm.facts import KeeperReport
from chainperp.state.store import ASSISTANCE_FUND
from tests.conformance.test_anvil import anvil
from tests.evm.bridged import KEYS, PEOPLE, USD, Bridged, account, prepare

pytestmark = pytest.mark.skipif(
    os.environ.get("CHAINPERP_CONFORM") != "1", reason="make conform runs this"
)


class OnAnvil(Bridged):
    """A ledger of ours whose contracts live on anvil. Its time is that of anvil's last block."""

    def __init__(self, path: Path, url: str) -> None:
        super().__init__(path)
        web3 = Web3(HTTPProvider(url))
        for address in (text(KEYS.operator_address), *(one.address for one in PEOPLE.values())):
            web3.provider.make_request(
                RPCEndpoint("anvil_setBalance"), [address, hex(10**6 * ETHER)]
            )
        prepare(web3, self.engine.chain_id)
        self.attach(web3)

    def tick(self) -> KeeperReport:
        """As its base, with an empty block at the ledger's time before."""
        self.now = max(self.now, int(self.web3.eth.get_block("latest")["timestamp"])) + 1
        self.web3.provider.make_request(RPCEndpoint("evm_mine"), [{"timestamp": self.now}])
        return super().tick()


def test_the_keeper_works_on_anvil(tmp_path: Path) -> None:
    """Deposit, payout and a purchase of the fund; every pair agrees; headers hash as ours do."""
    with anvil() as url:
        made = OnAnvil(tmp_path, url)
        made.bridge.deposit(account("ann"), 100 * USD)
        made.settle()
        assert made.cash("ann") == 100 * USD
        made.now += 100
        made.grant(ASSISTANCE_FUND, 500)
        made.withdraw("ann", 40)
        for _ in range(15):
            made.tick()
        assert made.usd.balance_of(account("ann").address) == (1_000 - 100 + 39) * USD
        assert made.engine.state.fund.evm_purchases == 1
        found = made.compare()
        assert (found.findings, found.open, found.remarks) == ([], [], [])
        assert found.checked["purchase"] == 1
        block = made.web3.eth.get_block("latest")
        assert header_hash(block) == bytes(block["hash"])
