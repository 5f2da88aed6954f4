"""What `chainperp query anchor`, `bridge` and `buyback` tell: the contracts beside the ledger.

Each answer sets what the contract holds beside what the node says of its own books, so that a
difference shows. With a data directory both sides are read from it: the ledger from its log, the
EVM by executing its journal again.
"""

from typing import Any

from chainperp.base.units import USD_DECIMALS, parse_decimal, usd_text
from chainperp.cli.asking import Asking, Table, ask_node, show
from chainperp.cli.evm import Contracts, contracts_of, refusals, web3_of
from chainperp.cli.signing import node_of

TOKEN_ONE = 10**18


def _opened(options: Asking, evm: str | None) -> tuple[Any, Contracts, Any]:
    """The node, its contracts and their EVM."""
    node = node_of(options.url, options.timeout)
    contracts = contracts_of(node)
    return node, contracts, web3_of(evm or node.url + "/evm", contracts.chain_id)


def show_anchor(options: Asking, evm: str | None) -> None:
    """The latest anchored checkpoint, and whether the node's log has that root there."""
    from contracts_py.anchor import Anchor

    node, contracts, web3 = _opened(options, evm)
    with refusals():
        contract = Anchor(web3, contracts.addresses["anchor"])
        size, root = contract.latest()
        document: dict[str, Any] = {
            "anchor": contract.address,
            "size": size,
            "root": "0x" + root.hex(),
            "paused": contract.paused(),
            "epoch": contract.epoch(),
        }
    ours = _root_at(node, size)
    document["log_has_this_root"] = None if ours is None else ours == root
    rows = [
        ["contract", contract.address],
        ["anchored size", str(size)],
        ["anchored root", root.hex()],
        ["the log's root at that size", "-" if ours is None else ours.hex()],
        ["equal", "-" if ours is None else "yes" if ours == root else "NO"],
        ["stopped by a fork", "YES" if document["paused"] else "no"],
        ["epoch of the validators", str(document["epoch"])],
    ]
    show(options, document, [Table("anchor", ["what", ""], rows)])


def _root_at(node: Any, size: int) -> bytes | None:
    """Root of the node's log at a size, from its tiles; None at size 0 or when it is shorter."""
    from chainperp.cli.anchoring import root_of_log
    from chainperp.client.log import open_log

    return root_of_log(open_log(node.url), size) if size else None


def show_bridge(options: Asking, evm: str | None) -> None:
    """Deposits, payouts and what waits: the Bridge's books beside the ledger's."""
    from contracts_py.bridge import Bridge
    from contracts_py.tokens import TestUSD

    node, contracts, web3 = _opened(options, evm)
    ledger = ask_node(node, "bridgeStatus")
    with refusals():
        bridge = Bridge(web3, contracts.addresses["bridge"])
        balance = TestUSD(web3, contracts.addresses["usd"]).balance_of(bridge.address)
        on_chain: dict[str, Any] = {
            "bridge": bridge.address,
            "balance": usd_text(balance),
            "deposits": {"count": bridge.deposit_nonce(), "amount": usd_text(bridge.deposited())},
            "paid": usd_text(bridge.paid()),
            "paused": bridge.paused(),
        }
        states = [bridge.request(one["wid"]).status.name.lower() for one in ledger["pending"]]
    document = {"ledger": ledger, "evm": on_chain}
    deposits, payouts = ledger["deposits"], ledger["payouts"]
    rows = [
        ["deposits", str(on_chain["deposits"]["count"]), str(deposits["count"])],
        ["deposited, USDC", on_chain["deposits"]["amount"], deposits["amount"]],
        ["paid out, USDC", on_chain["paid"], payouts["amount"]],
        ["held, USDC", on_chain["balance"], ledger["custody"]],
        ["of it from genesis, USDC", "-", ledger["genesis"]],
        ["of it from grants, USDC", "-", ledger["grants"]],
        ["stopped", "YES" if on_chain["paused"] else "no", "-"],
    ]
    waiting = [
        [str(one["wid"]), one["user"], one["destination"], one["amount"], str(one["entryIndex"]),
         state]
        for one, state in zip(ledger["pending"], states, strict=True)
    ]  # fmt: skip
    columns = ["number", "account", "to", "USDC", "log entry", "on the EVM"]
    notes = [[note] for note in (ledger["keeper"] or {}).get("notes", [])]
    tables = [Table("bridge", ["what", "EVM", "ledger"], rows)]
    tables += [Table("waiting withdrawals", columns, waiting)] if waiting else []
    tables += [Table("the keeper says", ["note"], notes)] if notes else []
    show(options, document, tables)


def show_buyback(options: Asking, evm: str | None) -> None:
    """The vault's schedule and purchases: its books beside the receipts in the ledger."""
    from contracts_py.buyback import BuybackVault
    from contracts_py.tokens import TestUSD, Token

    node, contracts, web3 = _opened(options, evm)
    receipts = ask_node(node, "evmBuybacks")
    with refusals():
        vault = BuybackVault(web3, contracts.addresses["vault"])
        token = Token(web3, contracts.addresses["token"])
        schedule = vault.schedule()
        on_chain: dict[str, Any] = {
            "vault": vault.address,
            "purchases": vault.count(),
            "spent": usd_text(vault.spent()),
            "burned": _tokens(vault.burned()),
            "dollars": usd_text(
                TestUSD(web3, contracts.addresses["usd"]).balance_of(vault.address)
            ),
            "tokens": _tokens(token.balance_of(vault.address)),
            "supply": _tokens(token.total_supply()),
            "initial_supply": _tokens(token.initial_supply()),
            "interval_s": schedule.interval_s,
            "slippage_bps": schedule.slippage_bps,
        }
    spent = sum(parse_decimal(one["spent"], USD_DECIMALS, "spent") for one in receipts)
    rows = [
        ["purchases", str(on_chain["purchases"]), str(len(receipts))],
        ["spent, USDC", on_chain["spent"], usd_text(spent)],
        ["burned, tokens", on_chain["burned"], "-"],
        ["dollars that wait in the vault", on_chain["dollars"], "-"],
        ["tokens in the vault", on_chain["tokens"], "-"],
        ["supply of the token", f"{on_chain['supply']} of {on_chain['initial_supply']}", "-"],
        ["least seconds between purchases", str(on_chain["interval_s"]), "-"],
        ["most above the average price", f"{on_chain['slippage_bps']} bps", "-"],
    ]
    columns = ["number", "USDC", "tokens", "burned", "EVM block", "log index", "decision"]
    done = [
        [str(one["number"]), one["spent"], one["bought"], one["burned"], str(one["block"]),
         str(one["logIndex"]), one["decision"]]
        for one in receipts
    ]  # fmt: skip
    tables = [Table("buyback vault", ["what", "EVM", "ledger"], rows)]
    tables += [Table("receipts in the ledger", columns, done)] if done else []
    show(options, {"evm": on_chain, "ledger": receipts}, tables)


def _tokens(units: int) -> str:
    """An amount of 18 decimals for people."""
    whole, part = divmod(units, TOKEN_ONE)
    return f"{whole}.{part:018d}".rstrip("0").rstrip(".")
