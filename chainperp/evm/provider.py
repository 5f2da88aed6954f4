"""web3.py on a machine in the same process, without a socket.

Imports web3, which takes seconds: import this module only where web3 is wanted anyway.
"""

from collections.abc import Callable
from typing import Any

from web3 import Web3
from web3.providers import BaseProvider
from web3.types import RPCEndpoint, RPCResponse

from chainperp.evm.journal import Journal
from chainperp.evm.rpc import answer


class MachineProvider(BaseProvider):
    """What web3 asks is answered by the same function as `POST /evm`."""

    def __init__(self, journal: Journal, clock: Callable[[], int]) -> None:
        super().__init__()
        self.journal = journal
        self.clock = clock

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """One JSON-RPC call."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        found: RPCResponse = answer(self.journal, request, self.clock(), is_dev=True)
        return found

    def is_connected(self, show_traceback: bool = False) -> bool:
        """Always: there is nothing between."""
        return True


def connect(journal: Journal, clock: Callable[[], int]) -> Web3:
    """A web3 whose chain is this machine; `clock` gives the present second."""
    return Web3(MachineProvider(journal, clock))
