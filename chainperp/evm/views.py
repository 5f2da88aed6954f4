"""Blocks, transactions, receipts and logs as JSON-RPC shows them.

Source: Ethereum JSON-RPC execution API; fixed lengths as in audit-log-and-consensus 19.
"""

from typing import Any, Final

from chainperp.evm.hexes import data, quantity
from chainperp.evm.machine import Block

BLOOM_BYTES: Final = 256


def block_view(block: Block, *, is_full: bool) -> dict[str, Any]:
    """A block, with its transactions or only their hashes."""
    header = block.header
    listed: list[Any] = []
    if block.transaction is not None:
        listed.append(transaction_view(block) if is_full else data(bytes(block.transaction.hash)))
    return {
        "number": quantity(block.number),
        "hash": data(block.hash),
        "parentHash": data(bytes(header.parent_hash)),
        "sha3Uncles": data(bytes(header.uncles_hash)),
        "miner": data(bytes(header.coinbase)),
        "stateRoot": data(bytes(header.state_root)),
        "transactionsRoot": data(bytes(header.transaction_root)),
        "receiptsRoot": data(bytes(header.receipt_root)),
        "logsBloom": data(int(header.bloom).to_bytes(BLOOM_BYTES, "big")),
        "difficulty": quantity(0),
        "totalDifficulty": quantity(0),
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "timestamp": quantity(header.timestamp),
        "extraData": data(bytes(header.extra_data)),
        "mixHash": data(bytes(header.mix_hash)),
        "nonce": data(bytes(header.nonce)),
        "baseFeePerGas": quantity(header.base_fee_per_gas),
        "withdrawalsRoot": data(bytes(header.withdrawals_root)),
        "withdrawals": [],
        "blobGasUsed": quantity(header.blob_gas_used),
        "excessBlobGas": quantity(header.excess_blob_gas),
        "parentBeaconBlockRoot": data(bytes(header.parent_beacon_block_root)),
        "requestsHash": data(bytes(header.requests_hash)),
        "size": quantity(len(block.raw) + 600),
        "transactions": listed,
        "uncles": [],
    }


def transaction_type(block: Block) -> int:
    """EIP-2718 type of a block's transaction."""
    return block.raw[0] if block.raw[0] < 0x80 else 0


def gas_price(block: Block) -> int:
    """Wei per gas that a block's transaction paid."""
    one: Any = block.transaction
    return int(
        min(one.max_fee_per_gas, block.header.base_fee_per_gas + one.max_priority_fee_per_gas)
    )


def transaction_view(block: Block) -> dict[str, Any]:
    """The transaction of a block."""
    one: Any = block.transaction
    kind = transaction_type(block)
    view: dict[str, Any] = {
        "hash": data(bytes(one.hash)),
        "blockHash": data(block.hash),
        "blockNumber": quantity(block.number),
        "transactionIndex": quantity(0),
        "type": quantity(kind),
        "chainId": quantity(one.chain_id),
        "nonce": quantity(one.nonce),
        "from": data(bytes(one.sender)),
        "to": data(bytes(one.to)) if one.to else None,
        "value": quantity(one.value),
        "gas": quantity(one.gas),
        "gasPrice": quantity(gas_price(block)),
        "input": data(bytes(one.data)),
        "r": quantity(one.r),
        "s": quantity(one.s),
        "v": quantity(one.v if kind == 0 else one.y_parity),
    }
    if kind != 0:
        view["yParity"] = quantity(one.y_parity)
        view["accessList"] = [
            {
                "address": data(bytes(address)),
                "storageKeys": [data(slot.to_bytes(32, "big")) for slot in slots],
            }
            for address, slots in one.access_list
        ]
    if kind >= 2:
        view["maxFeePerGas"] = quantity(one.max_fee_per_gas)
        view["maxPriorityFeePerGas"] = quantity(one.max_priority_fee_per_gas)
    return view


def receipt_view(block: Block) -> dict[str, Any]:
    """The receipt of a block's transaction."""
    one: Any = block.transaction
    receipt: Any = block.receipt
    return {
        "transactionHash": data(bytes(one.hash)),
        "transactionIndex": quantity(0),
        "blockHash": data(block.hash),
        "blockNumber": quantity(block.number),
        "from": data(bytes(one.sender)),
        "to": data(bytes(one.to)) if one.to else None,
        "contractAddress": data(block.created) if block.created else None,
        "cumulativeGasUsed": quantity(block.gas_used),
        "gasUsed": quantity(block.gas_used),
        "effectiveGasPrice": quantity(gas_price(block)),
        "logs": log_views(block),
        "logsBloom": data(int(receipt.bloom).to_bytes(BLOOM_BYTES, "big")),
        "status": quantity(1 if block.succeeded else 0),
        "type": quantity(transaction_type(block)),
    }


def log_views(block: Block) -> list[dict[str, Any]]:
    """The logs of a block's transaction, in order."""
    one: Any = block.transaction
    if block.receipt is None:
        return []
    return [
        {
            "address": data(bytes(log.address)),
            "topics": [data(int(topic).to_bytes(32, "big")) for topic in log.topics],
            "data": data(bytes(log.data)),
            "blockNumber": quantity(block.number),
            "blockHash": data(block.hash),
            "blockTimestamp": quantity(block.timestamp),
            "transactionHash": data(bytes(one.hash)),
            "transactionIndex": quantity(0),
            "logIndex": quantity(place),
            "removed": False,
        }
        for place, log in enumerate(block.receipt.logs)
    ]
