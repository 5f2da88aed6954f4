"""Unmodified web3.py with its own HTTP provider and its own signing: no code of ours in between."""

from typing import Any

import pytest
from web3 import HTTPProvider, Web3
from web3.exceptions import ContractLogicError
from web3.middleware import SignAndSendRawMiddlewareBuilder

from contracts_py.artifact import load_artifact
from tests.evm.http import served
from tests.evm.world import ACCOUNTS, USD, World

ANN, BEN = ACCOUNTS[:2]


def test_web3_deploys_sends_and_reads_over_http() -> None:
    """The way its documentation shows: transact, wait, call, read events, fail."""
    world = World()
    with served(world) as url:
        web3 = Web3(HTTPProvider(url))
        web3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(ANN), layer=0)
        web3.eth.default_account = ANN.address
        assert web3.is_connected()
        found = load_artifact("TestUSD")
        maker = web3.eth.contract(abi=found.abi, bytecode=found.bytecode)
        made = web3.eth.wait_for_transaction_receipt(maker.constructor(ANN.address).transact())
        usd = web3.eth.contract(made["contractAddress"], abi=found.abi)
        sent = usd.functions.mint(BEN.address, 5 * USD).transact()
        receipt: Any = web3.eth.wait_for_transaction_receipt(sent)
        assert receipt["status"] == 1
        assert usd.functions.balanceOf(BEN.address).call() == 5 * USD
        events = usd.events.Transfer().process_receipt(receipt)
        assert events[0]["args"]["value"] == 5 * USD
        logs = usd.events.Transfer().get_logs(from_block=0)
        assert [one["args"]["receiver"] for one in logs] == [BEN.address]
        with pytest.raises(ContractLogicError, match="only the minter"):
            usd.functions.mint(BEN.address, 1).call({"from": BEN.address})
        block: Any = web3.eth.get_block("latest", full_transactions=True)
        assert block["transactions"][0]["hash"] == sent
