"""A chain in which transactions meet every refusal that the engine knows.

The actions are real canonical bytes, so that the chain is re-executed from its files; signatures
are blank, signers are named.
"""

import json
from collections.abc import Iterator
from typing import Any

from chainperp.base import msgpack
from chainperp.base.units import Address, address_text
from chainperp.chain.decode import transaction_of, vote_input
from chainperp.model.blocks import BlockInput, SystemInput, Transaction
from chainperp.model.decisions import SystemType
from chainperp.model.envelope import Envelope, encode_envelope
from chainperp.state.store import BACKSTOP_VAULT
from chainperp.storage.package import build_genesis, default_markets
from tests.support.world import START, VALIDATOR, address_of

BTC, ETH, ODD = 0, 1, 2
USER_SIGNED = (
    "usdSend", "withdraw3", "approveAgent", "approveBuilderFee", "convertToMultiSigUser",
    "usdClassTransfer", "spotSend", "sendAsset",
)  # fmt: skip
USDC = "USDC:0x6d1e7cde53ba9467b783cb7c530ce054"


class Script:
    """Collects the inputs of blocks, 200 ms apart."""

    def __init__(self) -> None:
        self.time_ms = START
        self.nonce = START
        self.deposits = 0
        self.blocks: list[BlockInput] = []

    def envelope(self, action: dict[str, Any], **changes: Any) -> bytes:
        """Canonical bytes of an action with a blank signature."""
        self.nonce += 1
        scheme = 2 if action["type"] in USER_SIGNED else 1
        if action["type"] == "multiSig":
            scheme = 3
        fields: dict[str, Any] = {
            "scheme": scheme,
            "nonce": self.nonce,
            "vault": None,
            "expires_after": None,
            **changes,
        }
        return encode_envelope(
            Envelope(
                fields["scheme"], fields["nonce"], fields["vault"], fields["expires_after"],
                msgpack.pack(action), 27, bytes(32), bytes(32),
            )
        )  # fmt: skip

    def by(self, name: str, action: dict[str, Any], **changes: Any) -> Transaction:
        """A transaction of a named signer."""
        inside = b"".join(address_of(one) for one in changes.pop("signers", ()))
        return transaction_of(self.envelope(action, **changes), address_of(name) + inside)

    def block(
        self, *transactions: Transaction, system: list[SystemInput] | None = None, gap: int = 200
    ) -> None:
        """Add a block."""
        self.time_ms += gap
        self.blocks.append(BlockInput(self.time_ms, VALIDATOR, system or [], list(transactions)))

    def deposit(self, name: str | Address, usdc: int, nonce: int | None = None) -> SystemInput:
        """A deposit for somebody with a name, or for an address."""
        self.deposits += nonce is None
        number = self.deposits if nonce is None else nonce
        address = address_of(name) if isinstance(name, str) else name
        body = address + (usdc * 10**6).to_bytes(16, "big")
        return SystemInput(
            SystemType.DEPOSIT, body + number.to_bytes(8, "big") + bytes(31) + b"\x05"
        )

    def vote(self, prices: dict[int, str], signer: Address = VALIDATOR) -> SystemInput:
        """A validator's prices."""
        rows = [{"a": asset, "p": price} for asset, price in prices.items()]
        return vote_input(self.envelope({"type": "setGlobal", "pxs": rows}), signer)


def order(asset: int, side: str, size: str, price: str, tif: str = "Gtc", **more: Any) -> Any:
    """One order in canonical form."""
    row = {"a": asset, "b": side == "buy", "p": price, "s": size, "r": more.get("r", False),
           "t": {"limit": {"tif": tif}}}  # fmt: skip
    return {**row, "c": more["c"]} if "c" in more else row


def place(*orders: Any) -> dict[str, Any]:
    """An order action."""
    return {"type": "order", "orders": list(orders), "grouping": "na"}


def stop(asset: int, size: str, at: str, tpsl: str = "sl", *, r: bool = True) -> dict[str, Any]:
    """A market order that sells when the mark falls to a price, or rises to it (`tp`)."""
    waits = {"trigger": {"isMarket": True, "triggerPx": at, "tpsl": tpsl}}
    return {**order(asset, "sell", size, "15", r=r), "p": "15" if asset == ODD else at, "t": waits}


def family(*orders: Any) -> dict[str, Any]:
    """A parent and its children."""
    return {"type": "order", "orders": list(orders), "grouping": "normalTpsl"}


def leverage(asset: int, times: int, is_cross: bool = True) -> dict[str, Any]:
    """A leverage action."""
    return {"type": "updateLeverage", "asset": asset, "isCross": is_cross, "leverage": times}


def margin(asset: int, amount: int) -> dict[str, Any]:
    """An isolated margin action."""
    return {"type": "updateIsolatedMargin", "asset": asset, "isBuy": True, "ntli": amount}


def send(to: str, amount: str) -> dict[str, Any]:
    """A send."""
    return {"type": "usdSend", "destination": address_text(address_of(to)), "amount": amount}


def agent(name: str, key: str) -> dict[str, Any]:
    """An approval."""
    address = address_text(address_of(key)) if key else "0x" + "00" * 20
    return {"type": "approveAgent", "agentAddress": address, "agentName": name}


def refused_blocks() -> tuple[bytes, list[BlockInput]]:
    """Genesis and blocks of the chain."""
    markets = default_markets()[:2]
    markets.append({**markets[0], "name": "ODD", "isolated_only": True, "size_decimals": 2})
    genesis = build_genesis(
        "golden/refusals", START, [(VALIDATOR, 1)], markets=markets,
        holders=[(address_of("alice"), 1_000)],
        parameters={"open_orders_base": 4, "orders_per_action_max": 6, "snapshot_interval": 10,
                    "exempt_notice_blocks": 5, "exempt_max": 1,
                    "schedule_cancel_volume_min": 10**9, "schedule_cancels_per_day": 1,
                    "sub_account_volume_min": 10**9, "sub_accounts_base": 1,
                    "builder_approvals_max": 1, "twaps_max": 1, "vault_holders_max": 2,
                    "vault_lockup_ms": 60_000, "liquidity_vault_lockup_ms": 0},
    )  # fmt: skip
    # They are written in this module's words.
    from tests.golden.tokens import tokens
    from tests.golden.vaults import vaults

    script = Script()
    for part in (_money, _orders, _positions, _agents, _nonces, _triggers, _waterfall, _accounts,
                 vaults, tokens):  # fmt: skip
        list(part(script))
    return genesis, script.blocks


def _money(script: Script) -> Iterator[None]:
    """Deposits, sends, withdrawals and prices, good and bad."""
    script.block(system=[script.deposit("alice", 100_000), script.deposit("bob", 50_000)])
    script.block(system=[script.deposit("carol", 1_000, nonce=9), script.deposit("carol", 500)])
    script.block(script.by("alice", place(order(BTC, "buy", "0.01", "100000"))))  # no price yet
    script.block(system=[script.vote({BTC: "100000"}, address_of("eve"))])
    script.block(system=[script.vote({BTC: "0"}), script.vote({9: "1"})])
    script.block(system=[script.vote({BTC: "100000", ETH: "4000", ODD: "50"})])
    for amount in ("1", "0", "99999999", "1.0000001", "1e3"):
        script.block(script.by("alice", send("bob", amount)))
    script.block(script.by("alice", send("alice", "1")))
    script.block(script.by("carol", send("dave", "500")))  # nothing left for the fee
    script.block(script.by("carol", send("dave", "20")))
    for amount in ("7", "1", "100000"):
        action = {"type": "withdraw3", "destination": "0x" + "12" * 20, "amount": amount}
        script.block(script.by("bob", action))
    script.block(
        system=[SystemInput(SystemType.WITHDRAWAL_DONE, (1).to_bytes(8, "big") + bytes(32))]
    )
    script.block(
        system=[SystemInput(SystemType.WITHDRAWAL_DONE, (7).to_bytes(8, "big") + bytes(32))]
    )
    yield


def _orders(script: Script) -> Iterator[None]:
    """Every reason to refuse an order, in the order of the checks."""
    refused = [
        order(9, "buy", "1", "1"),
        order(BTC, "buy", "0.000001", "100000"),
        order(BTC, "buy", "0", "100000"),
        order(BTC, "buy", "0.01", "100000.5"),
        order(BTC, "buy", "0.01", "4000"),
        order(BTC, "buy", "0.00001", "100000"),
    ]
    script.block(script.by("alice", place(*refused)))
    script.block(script.by("alice", place()), script.by("alice", place(*[refused[0]] * 7)))
    script.block(
        script.by(
            "alice",
            place(
                order(BTC, "buy", "400", "100000", "Ioc"),
                order(BTC, "buy", "0.01", "100000", r=True),
                order(BTC, "buy", "0.01", "100000", "Ioc"),
                order(BTC, "buy", "50", "100000"),
                order(BTC, "buy", "0.1", "99000", c="0x" + "0a" * 16),
                order(BTC, "buy", "0.1", "98000", c="0x" + "0a" * 16),
            ),
        )
    )
    script.block(script.by("bob", place(order(BTC, "sell", "0.01", "98000", "Alo"))))
    script.block(script.by("bob", place(stop(BTC, "0.01", "110000"))))
    script.block(script.by("alice", {"type": "cancel", "cancels": [{"a": BTC, "o": 12345}]}))
    cloid = {"asset": ETH, "cloid": "0x" + "0a" * 16}
    script.block(script.by("alice", {"type": "cancelByCloid", "cancels": [cloid]}))
    for oid, tif, always in ((999, "Alo", False), ("0x" + "0a" * 16, "Ioc", False),
                             ("0x" + "0a" * 16, "Gtc", False), (999, "Gtc", True)):  # fmt: skip
        modify = {"oid": oid, "order": order(BTC, "buy", "0.2", "98500", tif)}
        action: dict[str, Any] = {"type": "batchModify", "modifies": [modify]}
        script.block(script.by("alice", {**action, "a": True} if always else action))
    script.block(script.by("alice", place(*[order(ETH, "buy", "1", "3000")] * 4)))  # too many
    yield


def _positions(script: Script) -> Iterator[None]:
    """Trades, self-trades, isolated margin and leverage."""
    script.block(script.by("bob", place(order(BTC, "sell", "0.3", "98000"))))
    script.block(script.by("alice", place(order(BTC, "sell", "0.2", "98500", "Ioc"))))  # own bid
    script.block(script.by("alice", place(order(BTC, "buy", "0.2", "100000", r=True))))
    for action in (
        leverage(BTC, 41), leverage(BTC, 0), leverage(BTC, 5, False), leverage(9, 5),
        leverage(ODD, 5), leverage(ODD, 5, False), leverage(BTC, 1),
        margin(BTC, 0), margin(BTC, 1_000_000), margin(ETH, 1_000_000), margin(9, 1),
    ):  # fmt: skip
        script.block(script.by("alice", action))
    script.block(script.by("bob", place(order(ODD, "sell", "100", "50"))))
    script.block(script.by("alice", place(order(ODD, "buy", "100", "50"))))
    for amount in (10_000_000, -5_000_000, -(10**12), 10**15):
        script.block(script.by("alice", margin(ODD, amount)))
    script.block(script.by("alice", leverage(ODD, 1, False)))
    script.block(script.by("alice", {"type": "cancel", "cancels": [{"a": ETH, "o": 18}]}))
    script.block(script.by("alice", leverage(ETH, 5, False)))
    script.block(script.by("bob", place(order(ETH, "sell", "2", "3000", "Ioc"))))
    script.block(script.by("alice", margin(ETH, -(10**9))))
    script.block(system=[script.vote({BTC: "40000", ETH: "1600", ODD: "20"})], gap=3_600_000)
    script.block(script.by("alice", place(order(BTC, "buy", "3", "40000"))))
    script.block(script.by("alice", {"type": "noop"}), script.by("alice", {"type": "claimRewards"}))
    yield


def _agents(script: Script) -> Iterator[None]:
    """Agents: approved, used, replaced, revoked, refused."""
    for action in (
        agent("", "key one"), agent("a", "key two"), agent("b", "key three"),
        agent("c", "key four"), agent("d", "key five"), agent("a", "bob"), agent("b", "key one"),
        agent("a valid_until 5", "key six"), agent("x" * 40, "key six"), agent("a", "key six"),
        agent("b", ""),
    ):  # fmt: skip
        script.block(script.by("alice", action))
    for key in ("key one", "key two", "key three", "key six"):
        script.block(script.by(key, place(order(ETH, "buy", "0.01", "1500"))))
    script.block(script.by("key one", send("bob", "1")))
    script.block(system=[script.deposit("key one", 10)])
    script.block(script.by("key one", {"type": "noop"}))
    yield


def _nonces(script: Script) -> Iterator[None]:
    """Nonces, expiry, vaults and strangers."""
    noop = {"type": "noop"}
    script.block(script.by("stranger", noop), script.by("stranger", send("bob", "1")))
    script.block(script.by("bob", noop, vault=bytes(19) + b"\xaa"))
    script.block(script.by("bob", noop, expires_after=script.time_ms - 1))
    same = script.time_ms
    script.block(script.by("bob", noop, nonce=same), script.by("bob", noop, nonce=same))
    script.block(script.by("bob", noop, nonce=script.time_ms - 172_800_000 - 1_000))
    script.block(script.by("bob", noop, nonce=script.time_ms + 86_400_000 + 1_000))
    yield


def _triggers(script: Script) -> Iterator[None]:
    """Children that end with their parent or their sibling, that fire, and that may not be."""
    script.block(
        system=[
            script.deposit("gus", 10_000),
            script.deposit("hal", 10_000),
            script.vote({ODD: "20"}),
        ]
    )
    children = [stop(ODD, "10", "19.7"), stop(ODD, "10", "25", "tp")]
    script.block(
        script.by("gus", family(order(ODD, "buy", "10", "20"), stop(ODD, "10", "18", r=False)))
    )
    script.block(script.by("gus", family(order(ODD, "buy", "10", "19", "Ioc"), *children)))
    script.block(script.by("hal", place(order(ODD, "sell", "10", "20"))))
    script.block(script.by("gus", family(order(ODD, "buy", "10", "20"), *children)))
    script.block(script.by("hal", place(order(ODD, "buy", "4", "19.6"))))
    script.block(system=[script.vote({ODD: "19.6"})], gap=600_000)
    yield


def _waterfall(script: Script) -> Iterator[None]:
    """A price that is too old, a takeover, the vault's unwinding, and a list of exemptions."""
    script.block(script.by("bob", place(order(ETH, "buy", "0.02", "1000"))))
    script.block(
        system=[
            script.deposit("ida", 2_000),
            script.deposit("jon", 100_000),
            script.deposit(BACKSTOP_VAULT, 50_000),
            script.vote({BTC: "100000", ETH: "4000", ODD: "19.6"}),
        ]
    )
    script.block(
        script.by("ida", leverage(ETH, 25)),
        script.by("jon", place(order(ETH, "sell", "10", "4000"))),
    )
    script.block(script.by("ida", place(order(ETH, "buy", "10", "4000"))))
    script.block(script.by("ida", place(order(ETH, "buy", "0.1", "3000"))))
    script.block(system=[script.vote({BTC: "100000", ETH: "3840", ODD: "19.6"})])
    script.block(script.by("jon", place(order(ETH, "buy", "10", "3840"))))
    script.block(gap=2_000)
    height = len(script.blocks) + 1
    for name, first in (("ida", 4), ("ida", 5), ("jon", 5)):
        body = address_of(name) + b"".join(
            number.to_bytes(8, "big") for number in (0, height + first, height + 100)
        )
        script.block(system=[SystemInput(SystemType.EXEMPTION, body)])
        height += 1
    yield


def schedule(at: int | None) -> dict[str, Any]:
    """A dead man's switch."""
    return {"type": "scheduleCancel"} if at is None else {"type": "scheduleCancel", "time": at}


def _sub_accounts() -> Iterator[tuple[str, dict[str, Any], str]]:
    """Who does what for which sub-account."""
    own, other = address_text(address_of("bob/1")), address_text(address_of("bob/2"))
    opened = {"type": "createSubAccount", "name": "desk"}
    moved = {"type": "subAccountTransfer", "subAccountUser": own, "isDeposit": True, "usd": 10**8}
    yield "carol", opened, ""
    yield "bob", {**opened, "name": "a name that is too long"}, ""
    yield "bob", opened, ""
    yield "bob", opened, ""
    yield "bob", {"type": "subAccountModify", "subAccountUser": own, "name": "desk two"}, ""
    yield "bob", {**moved, "subAccountUser": other}, ""
    yield "bob", {**moved, "usd": 0}, ""
    yield "bob", {**moved, "usd": 2**62}, ""
    yield "bob", moved, ""
    yield "bob", {**moved, "isDeposit": False, "usd": 10**7}, ""
    yield "bob", opened, "bob/1"
    yield "bob", agent("", "key nine"), ""
    yield "key nine", moved, ""
    yield "key nine", place(order(BTC, "buy", "0.001", "50000")), "bob/1"
    yield "carol", {"type": "noop"}, "bob/1"


def _spot() -> Iterator[tuple[str, dict[str, Any], str]]:
    """USDC between margin and spot balance, well and badly."""
    own, carol = address_text(address_of("bob/1")), address_text(address_of("carol"))
    to_spot = {"type": "usdClassTransfer", "amount": "50", "toPerp": False}
    sent = {"type": "spotSend", "destination": carol, "token": USDC, "amount": "5"}
    asset = {"type": "sendAsset", "destination": carol, "sourceDex": "spot", "destinationDex": "",
             "token": USDC, "amount": "5", "fromSubAccount": ""}  # fmt: skip
    shunted = {"type": "subAccountSpotTransfer", "subAccountUser": own, "isDeposit": True,
               "token": USDC, "amount": "5"}  # fmt: skip
    yield "bob", {**to_spot, "amount": "0.0000001"}, ""
    yield "bob", {**to_spot, "amount": "99999999999"}, ""
    yield "bob", to_spot, ""
    yield "bob", {**to_spot, "amount": f"7 subaccount:{own[2:]}"}, ""
    yield "carol", {**to_spot, "amount": f"7 subaccount:{own}"}, ""
    yield "bob", {**sent, "token": "PURR:0xc1fb593aeffbeb02f85e0308e9956a90"}, ""
    yield "bob", sent, ""
    yield "bob", {**sent, "destination": address_text(address_of("bob"))}, ""
    yield "bob", {**sent, "destination": address_text(address_of("fresh")), "amount": "44"}, ""
    yield "bob", asset, ""
    yield "bob", {**asset, "destinationDex": "dex"}, ""
    yield "bob", {**asset, "fromSubAccount": "nobody"}, ""
    yield "bob", {**asset, "sourceDex": "", "fromSubAccount": own}, ""
    yield "bob", shunted, ""
    yield "bob", {**shunted, "token": "PURR"}, ""
    yield "bob", {**shunted, "amount": "9" * 9}, ""
    yield "bob", shunted, "bob/1"


def _builders() -> Iterator[dict[str, Any]]:
    """Builders approved and charged, well and badly."""
    rich, poor = address_text(address_of("alice")), address_text(address_of("nobody"))
    approve = {"type": "approveBuilderFee", "maxFeeRate": "0.01%", "builder": rich}
    charged = {**place(order(BTC, "buy", "0.001", "50000")), "builder": {"b": rich, "f": 10}}
    yield charged
    yield {**charged, "builder": {"b": poor, "f": 0}}
    yield {**approve, "maxFeeRate": "1.1%"}
    yield {**approve, "builder": poor}
    yield approve
    yield {**approve, "builder": address_text(address_of("jon"))}
    yield charged
    yield place(order(BTC, "sell", "0.001", "50000", "Ioc"))
    yield {**approve, "maxFeeRate": "0%"}


def _multi_sig() -> Iterator[tuple[str, dict[str, Any], tuple[str, ...]]]:
    """Who sends what, and who signed inside."""
    for users, threshold in ((("alice", "jon"), 3), (("alice",) * 11, 1), (("bob",), 1),
                             (("alice", "nobody"), 1), (("alice", "jon"), 2)):  # fmt: skip
        yield "bob", convert(users, threshold), ()
    yield "bob", {"type": "noop"}, ()
    both = ("alice", "jon")
    noop = {"type": "noop"}
    yield "nobody", wrapped("nobody", "bob", noop, 2), both
    yield "alice", wrapped("alice", "carol", noop, 2), both
    yield "carol", wrapped("carol", "bob", noop, 2), both
    yield "alice", wrapped("jon", "bob", noop, 2), both
    yield "alice", wrapped("alice", "bob", noop, 2), ("alice", "carol")
    yield "alice", wrapped("alice", "bob", noop, 1), ("alice",)
    yield "alice", wrapped("alice", "bob", noop, 2), ("alice", "alice")
    yield "alice", wrapped("alice", "bob", place(order(BTC, "buy", "0.001", "50000")), 2), both
    yield "alice", wrapped("alice", "bob", send("carol", "1"), 2), both
    yield "alice", wrapped("alice", "bob", convert((), 0), 2), both
    yield "bob", {"type": "noop"}, ()


def convert(users: tuple[str, ...], threshold: int) -> dict[str, Any]:
    """A conversion to a multi-sig user, or back."""
    listed = [address_text(address_of(one)) for one in users]
    terms = {"authorizedUsers": listed, "threshold": threshold} if users else None
    return {"type": "convertToMultiSigUser", "signers": json.dumps(terms)}


def wrapped(leader: str, user: str, action: dict[str, Any], count: int) -> dict[str, Any]:
    """An envelope with so many blank signatures."""
    return {
        "type": "multiSig",
        "signatures": [{"r": "0x0", "s": "0x0", "v": 27}] * count,
        "payload": {
            "multiSigUser": address_text(address_of(user)),
            "outerSigner": address_text(address_of(leader)),
            "action": action,
        },
    }


def twap(asset: int, size: str, minutes: int, **more: Any) -> dict[str, Any]:
    """A TWAP order that buys."""
    terms = {"a": asset, "b": True, "s": size, "r": False, "m": minutes, "t": True}
    return {"type": "twapOrder", "twap": {**terms, **more}}


def _twaps() -> Iterator[dict[str, Any]]:
    """TWAP orders that are refused, and one that runs."""
    yield twap(9, "0.1", 5)
    yield twap(BTC, "0", 5)
    yield twap(BTC, "0.1", 4)
    yield twap(BTC, "0.0001", 5)
    yield twap(ODD, "100", 5, b=False, r=True)
    yield {**twap(BTC, "0.1", 5), "details": {"t": {"p": "1", "a": True}, "s": None}}
    yield {"type": "twapCancel", "a": BTC, "t": 1}
    yield {**twap(BTC, "0.1", 5), "details": {"t": None, "s": None}}
    yield twap(BTC, "0.1", 5)


def _accounts(script: Script) -> Iterator[None]:
    """What accounts arrange for: dead man's switches."""
    script.block(script.by("carol", schedule(script.time_ms + 60_000)))  # never traded
    script.block(script.by("bob", schedule(script.time_ms + 5_000)))
    script.block(script.by("bob", schedule(script.time_ms + 6_000)))
    script.block(script.by("bob", place(order(BTC, "buy", "0.001", "50000"))))
    script.block(gap=6_000)
    script.block(script.by("bob", schedule(script.time_ms + 60_000)))
    script.block(script.by("bob", schedule(None)))
    for who, action, behalf in _sub_accounts():
        vault = address_of(behalf) if behalf else None
        script.block(script.by(who, action, vault=vault))
    for who, action, behalf in _spot():
        vault = address_of(behalf) if behalf else None
        script.block(script.by(who, action, vault=vault))
    for action in _builders():
        script.block(script.by("bob", action))
    for who, action, signers in _multi_sig():
        script.block(script.by(who, action, signers=signers))
    for action in _twaps():
        script.block(script.by("alice", action))
    script.block(script.by("bob", place(order(BTC, "sell", "0.1", "100000"))))
    script.block(gap=300_000)
    script.block(script.by("alice", twap(BTC, "0.1", 5)), gap=1_000)
    script.block(script.by("alice", {"type": "twapCancel", "a": BTC, "t": 2}))
    for kind in ("setReferrer", "registerReferrer", "reserveRequestWeight"):
        script.block(script.by("alice", {"type": kind, "code": "no code"}))
    for name in ("Alice", "a name of too many letters"):
        script.block(script.by("alice", {"type": "setDisplayName", "displayName": name}))
    yield
