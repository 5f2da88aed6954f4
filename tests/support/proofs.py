"""A chain in memory as a source of proofs: its log, signed by a test key, and the trust in it."""

from collections.abc import Iterator
from typing import Any

from chainperp.base import canonical, msgpack
from chainperp.base.units import Address, address_text, strip_decimal
from chainperp.chain.audit.audit import Auditor, AuditReport, audit
from chainperp.chain.engine import SealedBlock
from chainperp.chain.genesis import Genesis
from chainperp.chain.proving.source import Source
from chainperp.evidence.checkpoint import Checkpoint, sign_checkpoint
from chainperp.evidence.merkle import CompleteNodes, root_at
from chainperp.evidence.note import format_vkey
from chainperp.evidence.policy import parse_policy
from chainperp.evidence.verifier.steps import Verdict
from chainperp.evidence.verifier.trust import Trust
from chainperp.evidence.verifier.verify import verify_proof
from chainperp.model.actions import (
    Action,
    CancelOrders,
    ClaimRewards,
    ClassTransfer,
    CreateVault,
    OracleVote,
    OrderRequest,
    PlaceOrders,
    RegisterReferrer,
    SendAsset,
    SetReferrer,
    TimeInForce,
    UpdateIsolatedMargin,
    UpdateLeverage,
    VaultDistribute,
    VaultTransfer,
    Withdraw,
)
from chainperp.model.blocks import SystemInput, Transaction
from chainperp.model.decisions import SystemType
from chainperp.model.envelope import Envelope, encode_envelope
from chainperp.model.tokens import USDC_NAME as USDC
from chainperp.storage.logkey import LogKey, find_verifier
from chainperp.transition.block import VOTE_BODY
from tests.support.forced import Stage, price_e8
from tests.support.world import RULES, World, address_of

ORIGIN = "test/world"
KEY = LogKey(ORIGIN, bytes(range(32)))
POLICY = f"log {format_vkey(KEY.verifier)}\nquorum none\n".encode()
TRUST = Trust(parse_policy(POLICY), find_verifier())


def source_of(genesis: Genesis, blocks: list[SealedBlock]) -> Source:
    """Blocks of an engine as a source, with a checkpoint over all of them."""
    leaves = [leaf for block in blocks for leaf in block.leaves]
    entries = [entry for block in blocks for entry in block.entries]
    nodes = CompleteNodes(leaves)
    checkpoint = Checkpoint(ORIGIN, len(leaves), root_at(nodes.node, len(leaves)))
    note = sign_checkpoint(checkpoint, KEY.verifier, KEY.sign)

    def walk(start: int, end: int) -> Iterator[tuple[int, list[bytes]]]:
        for block in blocks[start : end + 1]:
            yield block.height, block.entries

    return Source(genesis, RULES, note, nodes.node, entries.__getitem__, walk)


def action_map(action: Action) -> dict[str, Any]:
    """The map that a client signs for an action."""
    if isinstance(action, PlaceOrders):
        return {"type": "order", "orders": [_order_map(one) for one in action.orders],
                "grouping": "na"}  # fmt: skip
    if isinstance(action, UpdateLeverage):
        return {"type": "updateLeverage", "asset": action.asset, "isCross": action.is_cross,
                "leverage": action.leverage}  # fmt: skip
    if isinstance(action, UpdateIsolatedMargin):
        return {"type": "updateIsolatedMargin", "asset": action.asset, "isBuy": True,
                "ntli": action.amount}  # fmt: skip
    if isinstance(action, CancelOrders):
        return {"type": "cancel", "cancels": [{"a": a, "o": o} for a, o in action.targets]}
    if isinstance(action, Withdraw):
        return {"type": "withdraw3", "destination": address_text(action.destination),
                "amount": strip_decimal(action.amount or 0, 6)}  # fmt: skip
    if isinstance(action, ClassTransfer):
        return {"type": "usdClassTransfer", "amount": strip_decimal(action.amount or 0, 6),
                "toPerp": action.to_perp}  # fmt: skip
    if isinstance(action, SendAsset):
        decimals = 6 if action.token == USDC else 8
        return {"type": "spotSend", "destination": address_text(action.destination),
                "token": action.token,
                "amount": strip_decimal(action.amount or 0, decimals)}  # fmt: skip
    if isinstance(action, RegisterReferrer | SetReferrer):
        name = "registerReferrer" if isinstance(action, RegisterReferrer) else "setReferrer"
        return {"type": name, "code": action.code}
    if isinstance(action, ClaimRewards):
        return {"type": "claimRewards"}
    if isinstance(action, OracleVote):
        rows = [{"a": a, "p": strip_decimal(p, 8)} | ({"x": strip_decimal(x, 8)} if x else {})
                for a, p, x in action.prices]  # fmt: skip
        return {"type": "setGlobal", "pxs": rows}
    return _vault_map(action)


def _vault_map(action: Action) -> dict[str, Any]:
    if isinstance(action, CreateVault):
        return {"type": "createVault", "name": action.name, "description": action.description,
                "initialUsd": action.initial, "nonce": 0}  # fmt: skip
    if isinstance(action, VaultTransfer):
        return {"type": "vaultTransfer", "vaultAddress": address_text(action.vault),
                "isDeposit": action.is_deposit, "usd": action.amount}  # fmt: skip
    if isinstance(action, VaultDistribute):
        return {"type": "vaultDistribute", "vaultAddress": address_text(action.vault),
                "usd": action.amount}  # fmt: skip
    raise TypeError(type(action))


def _order_map(one: OrderRequest) -> dict[str, Any]:
    tif = {TimeInForce.GTC: "Gtc", TimeInForce.IOC: "Ioc", TimeInForce.ALO: "Alo"}[one.tif]
    return {"a": one.asset, "b": one.is_buy, "p": strip_decimal(one.price, 8),
            "s": strip_decimal(one.size, 8), "r": one.reduce_only,
            "t": {"limit": {"tif": tif}}}  # fmt: skip


class LoggedStage(Stage):
    """A stage whose envelopes carry their actions, so that its log can be executed again."""

    def transaction(
        self, name: str, action: Action, *, user_signed: bool = False, vault: str | None = None
    ) -> Transaction:
        """A transaction with a blank signature over real action bytes."""
        self.nonce += 1
        scheme = 2 if user_signed else 1
        behalf = None if vault is None else address_of(vault)
        raw = self._envelope(action, scheme, behalf)
        return Transaction(
            address_of(name), action, self.nonce, raw, is_user_signed=user_signed, vault=behalf
        )

    def _envelope(self, action: Action, scheme: int = 1, vault: bytes | None = None) -> bytes:
        packed = msgpack.pack(action_map(action))
        return encode_envelope(
            Envelope(scheme, self.nonce, vault, None, packed, 27, bytes(32), bytes(32))
        )

    def vote(self, prices: dict[int, str], validator: int = 0) -> SystemInput:
        """A vote that also names the price elsewhere."""
        self.nonce += 1
        action = OracleVote([(at, price_e8(text), price_e8(text)) for at, text in prices.items()])
        raw = self._envelope(action)
        signer = Address(bytes([0xAA + validator]) * 20)
        body = canonical.encode(VOTE_BODY, {"envelope": raw, "signer": signer})
        return SystemInput(
            SystemType.ORACLE_VOTE, body, Transaction(signer, action, self.nonce, raw)
        )

    @property
    def source(self) -> Source:
        """Its log as a source of proofs."""
        return source_of(self.engine.genesis, self.blocks)


def audited(stage: World) -> AuditReport:
    """An honest auditor's run over a stage's log."""
    auditor = Auditor(stage.engine.genesis, RULES)
    return audit(auditor, [(block.height, block.entries) for block in stage.blocks])


def verdict_of(raw: bytes, trust: Trust = TRUST) -> Verdict:
    """The verdict on a proof."""
    return verify_proof(raw, trust)


def assert_yes(raw: bytes) -> Verdict:
    """A proof that holds, its checkpoint's signature included."""
    verdict = verdict_of(raw)
    assert verdict.holds, verdict.failed
    assert all(step.name != "checkpoint signature" for step in verdict.not_checked)
    return verdict


def assert_no(raw: bytes, step: str) -> Verdict:
    """A proof that fails at a step."""
    verdict = verdict_of(raw)
    assert not verdict.holds
    assert verdict.failed is not None
    assert step in verdict.failed.name, verdict.failed
    return verdict
