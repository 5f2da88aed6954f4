"""Questions of our own about the contracts on the EVM and what crosses the border to them.

What validators sign is handed to whoever asks: with `anchorRequest` anybody can anchor the log,
with `withdrawalSignatures` anybody can start a payout. Both say only what a durable block says.
Amounts of dollars are decimals, of the token on the EVM whole 10^-18.
"""

import asyncio
from typing import Any, Final

from chainperp.base.errors import ChainperpError
from chainperp.chain.engine import Engine
from chainperp.evidence.merkle import prove_consistency, root_at
from chainperp.evm.facts import Waiting, view_of
from chainperp.evm.signers import Keys, development_keys
from chainperp.model.accounts import Withdrawal
from chainperp.model.bridge import PAID, EvmContracts
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.node.documents.texts import Document, hex_text, usd
from chainperp.node.index.index import IndexUnavailable
from chainperp.node.info.registry import Context, Fields, Past, Query
from chainperp.wire.shapes import field, u64
from contracts_py.digests import Domain, Signatures

PURCHASES_MAX: Final = 2_000
READ_SECONDS: Final = 10
"""How long `anchorRequest` waits for a machine that is being opened."""
CONTRACTS: Final = EvmContracts._fields[1:]


def keys_of(engine: Engine) -> Keys | None:
    """The validators' keys that this node holds; None where the test keys may not be used."""
    try:
        return development_keys(engine.genesis.network)
    except ChainperpError:
        return None


def evm_contracts(context: Context, _fields: Fields) -> Document | None:
    """Addresses of the contracts, who signs for them, and the number of the ledger they are for."""
    engine = context.keeping().producer.engine
    contracts = engine.genesis.evm
    if contracts is None:
        return None
    keys = keys_of(engine)
    rows = [] if keys is None else zip(keys.set.vals, keys.set.powers, strict=True)
    return {
        "chainId": contracts.chain_id,
        "contracts": {name: hex_text(getattr(contracts, name)) for name in CONTRACTS},
        "validators": [{"address": address, "power": power} for address, power in rows],
        "ledgerChain": hex_text(engine.chain_id),
    }


# --- books ---------------------------------------------------------------------------------------


def count_payouts(past: Past, _fields: Fields) -> int:
    """How many withdrawals were paid."""
    return past.number("SELECT count(*) FROM payouts WHERE outcome = ?", PAID) or 0


def bridge_status(context: Context, _fields: Fields, payouts: int) -> Document:
    """Custody and where it comes from, what waits, and how far the keeper is."""
    keeping = context.keeping()
    state, report = context.state(), keeping.report
    genesis = state.custody - state.granted - state.credited + state.paid_out
    return {
        "custody": usd(state.custody),
        "genesis": usd(genesis),
        "grants": usd(state.granted),
        "deposits": {"count": state.deposits, "amount": usd(state.credited)},
        "payouts": {"count": payouts, "amount": usd(state.paid_out)},
        "pending": [_pending(one) for _, one in sorted(state.withdrawals.items())],
        "keeper": None
        if report is None
        else {
            "anchoredSize": report.anchored_size,
            "head": report.evm_block,
            "notes": [*report.notes, *([keeping.trouble] if keeping.trouble else [])],
        },
    }


def _pending(one: Withdrawal) -> Document:
    return {
        "wid": one.wid,
        "user": hex_text(one.user),
        "destination": hex_text(one.destination),
        "amount": usd(one.amount),
        "entryIndex": one.entry_index,
    }


# --- what validators sign ------------------------------------------------------------------------


async def keeper_read(context: Context) -> None:
    """Return when it is known what is anchored. Raises IndexUnavailable when that takes long."""
    keeping = context.keeping()
    try:
        async with asyncio.timeout(READ_SECONDS):
            await keeping.when_read()
    except TimeoutError as error:
        why = keeping.trouble or "it takes long"
        raise IndexUnavailable(f"the keeper has not read the Anchor yet: {why}") from error


def anchor_request(context: Context, _fields: Fields) -> Document | None:
    """The published state of the log, signed for the Anchor, and its proof from the anchored."""
    keeping = context.keeping()
    engine, store = keeping.producer.engine, keeping.producer.store
    contracts, keys = engine.genesis.evm, keys_of(engine)
    if contracts is None or keys is None:
        return None
    anchored = 0 if keeping.report is None else keeping.report.anchored_size
    log = view_of(store)
    root = root_at(log.node, log.size)
    domain = Domain(contracts.chain_id, hex_text(contracts.anchor))
    signed = keys.sign_checkpoint(domain, engine.genesis.origin, log.size, root)
    proof = prove_consistency(log.node, anchored, log.size) if anchored <= log.size else []
    return {
        "anchoredSize": anchored,
        "size": log.size,
        "root": hex_text(root),
        "proof": [hex_text(one) for one in proof],
        **_approval(keys, signed),
    }


def withdrawal_signatures(context: Context, fields: Fields) -> Document | None:
    """A waiting withdrawal, signed for the Bridge; null when none of this number waits."""
    engine = context.keeping().producer.engine
    contracts, keys = engine.genesis.evm, keys_of(engine)
    one = context.state().withdrawals.get(fields["wid"])
    if contracts is None or keys is None or one is None:
        return None
    waiting = Waiting(one.wid, one.user, one.destination, one.amount, one.entry_index)
    domain = Domain(contracts.chain_id, hex_text(contracts.bridge))
    signed = keys.sign_withdrawal(domain, engine.chain_id, waiting)
    return {"withdrawal": _pending(one), **_approval(keys, signed)}


def _approval(keys: Keys, signed: Signatures) -> Document:
    return {
        "validators": list(keys.set.vals),
        "powers": list(keys.set.powers),
        "idx": list(signed.idx),
        "signatures": [{"r": _word(r), "s": _word(s), "v": v} for r, s, v in signed.sigs],
    }


def _word(number: int) -> str:
    return hex_text(number.to_bytes(32, "big"))


# --- purchases -----------------------------------------------------------------------------------


def evm_buybacks(past: Past, _fields: Fields) -> list[Any]:
    """What the vault bought on the EVM, as the ledger recorded it, oldest first."""
    rows = past.connection.execute(
        "SELECT time_ms, entry FROM evm_buybacks ORDER BY idx DESC LIMIT ?", (PURCHASES_MAX,)
    ).fetchall()
    return [_purchase(time_ms, entry) for time_ms, entry in reversed(rows)]


def _purchase(time_ms: int, entry: bytes) -> Document:
    fields = decode_payload(decode_entry(entry))
    return {
        "number": fields["number"],
        "decision": hex_text(fields["decision"]),
        "spent": usd(fields["spent"]),
        "bought": str(fields["bought"]),
        "burned": str(fields["burned"]),
        "block": fields["block"],
        "logIndex": fields["log_index"],
        "time": time_ms,
    }


QUERIES: Final = [
    Query("evmContracts", answer=evm_contracts, note="our own: the contracts of the chain"),
    Query(
        "bridgeStatus",
        look=count_payouts,
        combine=bridge_status,
        note="our own: custody, what waits for a payout, how far the keeper is",
    ),
    Query(
        "anchorRequest",
        answer=anchor_request,
        prepare=keeper_read,
        note="our own: the log's state, signed for the Anchor; anybody may bring it there",
    ),
    Query(
        "withdrawalSignatures",
        (field("wid", u64),),
        answer=withdrawal_signatures,
        note="our own: a withdrawal, signed for the Bridge; anybody may bring it there",
    ),
    Query(
        "evmBuybacks",
        look=evm_buybacks,
        note=f"our own: purchases on the EVM, the newest {PURCHASES_MAX:,}",
    ),
]
