"""Questions over many blocks: logs by address and topic, and the history of fees."""

from dataclasses import dataclass
from typing import Any, Final

from chainperp.base.errors import BadRequest
from chainperp.evm.hexes import invalid, quantity, read_data, read_quantity
from chainperp.evm.machine import GAS_LIMIT, Block, Machine
from chainperp.evm.views import gas_price, log_views

HEAD_TAGS: Final = ("latest", "pending", "safe", "finalized")
TOPICS_MAX: Final = 4
CHOICES_MAX: Final = 1_000
HISTORY_MAX: Final = 1_024
LOGS_MAX: Final = 10_000


def find_block(machine: Machine, name: Any) -> Block | None:
    """The block of a tag, a number or an EIP-1898 object; None when there is none.

    Raises: BadRequest `params`.
    """
    if isinstance(name, dict):
        if "blockHash" in name:
            return block_by_hash(machine, read_data(name["blockHash"], "blockHash", 32))
        name = name.get("blockNumber")
    if name is None or name in HEAD_TAGS:
        return machine.head
    if name == "earliest":
        return machine.blocks[0]
    number = read_quantity(name, "block")
    return machine.blocks[number] if number < len(machine.blocks) else None


def block_by_hash(machine: Machine, block_hash: bytes) -> Block | None:
    """The block with a hash; None when there is none."""
    number = machine.by_hash.get(block_hash)
    return None if number is None else machine.blocks[number]


@dataclass(frozen=True, slots=True)
class LogQuery:
    """What eth_getLogs asks for."""

    first: Any
    last: Any
    block_hash: bytes | None
    addresses: frozenset[bytes]
    "Empty for any."
    topics: tuple[frozenset[int], ...]
    "Per position, the values that match; empty for any."

    @staticmethod
    def read(value: Any) -> "LogQuery":
        """A filter object. Raises BadRequest `params`."""
        if not isinstance(value, dict):
            raise invalid("filter must be an object", value)
        block_hash = value.get("blockHash")
        if block_hash is not None and ("fromBlock" in value or "toBlock" in value):
            raise BadRequest("params", "blockHash excludes fromBlock and toBlock")
        topics = value.get("topics") or []
        if not isinstance(topics, list | tuple) or len(topics) > TOPICS_MAX:
            raise invalid(f"topics must be a list of at most {TOPICS_MAX}", topics)
        return LogQuery(
            value.get("fromBlock"),
            value.get("toBlock"),
            None if block_hash is None else read_data(block_hash, "blockHash", 32),
            _choices(value.get("address"), "address", 20),
            tuple(
                frozenset(int.from_bytes(raw, "big") for raw in _choices(one, "topic", 32))
                for one in topics
            ),
        )

    def names(self, block: Block) -> bool:
        """Whether a block that came after the question is one of those that it names."""
        if self.block_hash is not None:
            return block.hash == self.block_hash
        first, last = _bound(self.first), _bound(self.last)
        return (first is None or first <= block.number) and (last is None or block.number <= last)

    def matches(self, log: Any) -> bool:
        """Whether py-evm's log is asked for."""
        if self.addresses and bytes(log.address) not in self.addresses:
            return False
        found = log.topics
        if len(self.topics) > len(found):
            return False
        return all(not want or found[at] in want for at, want in enumerate(self.topics))


def _bound(name: Any) -> int | None:
    """The number of a block; None where no block to come is excluded. Raises BadRequest."""
    if name is None or name in HEAD_TAGS:
        return None
    return 0 if name == "earliest" else read_quantity(name, "block")


def _choices(value: Any, what: str, length: int) -> frozenset[bytes]:
    """Nothing, one value or a list of values."""
    if value is None:
        return frozenset()
    listed = value if isinstance(value, list | tuple) else [value]
    if len(listed) > CHOICES_MAX:
        raise BadRequest("params", f"more than {CHOICES_MAX} values of {what}")
    return frozenset(read_data(one, what, length) for one in listed)


def find_logs(query: LogQuery, blocks: list[Block]) -> list[dict[str, Any]]:
    """The logs of these blocks that a query asks for, in order.

    Raises: BadRequest when there are more than 10,000: ask for fewer blocks.
    """
    found: list[dict[str, Any]] = []
    for block in blocks:
        logs = () if block.receipt is None else block.receipt.logs
        wanted = [place for place, log in enumerate(logs) if query.matches(log)]
        if wanted:
            views = log_views(block)
            found += [views[place] for place in wanted]
        if len(found) > LOGS_MAX:
            raise BadRequest("limit", f"more than {LOGS_MAX} logs: ask for fewer blocks")
    return found


def logs_of(machine: Machine, query: LogQuery) -> list[dict[str, Any]]:
    """The logs of the blocks that a query names. Raises BadRequest, also for an unknown block."""
    if query.block_hash is not None:
        only = block_by_hash(machine, query.block_hash)
        if only is None:
            raise BadRequest("block", "unknown block")
        return find_logs(query, [only])
    first, last = find_block(machine, query.first), find_block(machine, query.last)
    if first is None:
        return []
    end = len(machine.blocks) if last is None else last.number + 1
    return find_logs(query, machine.blocks[first.number : end])


def fee_history(machine: Machine, newest: Block, count: Any, percentiles: Any) -> dict[str, Any]:
    """Base fees and how full blocks were; every percentile of one tip is that tip."""
    wanted = count if isinstance(count, int) else read_quantity(count, "block count")
    if not isinstance(percentiles, list | None):
        raise invalid("percentiles must be a list", percentiles)
    first = max(0, newest.number + 1 - max(1, min(wanted, HISTORY_MAX)))
    blocks = machine.blocks[first : newest.number + 1]
    fees = [int(block.header.base_fee_per_gas) for block in blocks]
    following = newest.number + 1
    is_head = following == len(machine.blocks)
    after = machine.base_fee() if is_head else machine.blocks[following].header.base_fee_per_gas
    history: dict[str, Any] = {
        "oldestBlock": quantity(first),
        "baseFeePerGas": [quantity(fee) for fee in [*fees, int(after)]],
        "gasUsedRatio": [block.gas_used / GAS_LIMIT for block in blocks],
    }
    if percentiles:
        history["reward"] = [[quantity(_tip(block))] * len(percentiles) for block in blocks]
    return history


def _tip(block: Block) -> int:
    if block.transaction is None:
        return 0
    return gas_price(block) - int(block.header.base_fee_per_gas)
