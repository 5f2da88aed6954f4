"""`chainperp tx deposit`, `claim` and `anchor`: transactions on the EVM, signed here.

Nobody has to wait for the node: what validators signed can be brought to the contracts by anybody,
with any key that has gas.
"""

import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from chainperp.base.errors import EXIT_FALSE, EXIT_REFUSED, EXIT_UNREACHABLE
from chainperp.base.units import USD_DECIMALS, parse_decimal, usd_text
from chainperp.cli import output
from chainperp.cli.asking import address_of_account, ask_node
from chainperp.cli.evm import Contracts, Evm, account_of, contracts_of, refusals, web3_of
from chainperp.cli.signing import Session, Signing, micro_usdc

if TYPE_CHECKING:
    from web3 import Web3

    from contracts_py.bridge import Bridge
    from contracts_py.digests import Signatures, ValidatorSet

POLL_SECONDS: Final = 0.5


def deposit(
    options: Signing,
    amount: Annotated[str, typer.Argument(help="USDC, at least 5.")],
    beneficiary: Annotated[
        str | None,
        typer.Option("--for", help="Account that is credited; the signer's if not given."),
    ] = None,
    evm: Evm = None,
) -> None:
    """Deposit on the EVM. Example: chainperp tx deposit 100 --from 0 --wait"""
    from contracts_py.bridge import MINIMUM, Bridge
    from contracts_py.tokens import TestUSD

    session = Session(options)
    micro = micro_usdc(amount, "amount")
    if micro < MINIMUM:
        output.fail(EXIT_REFUSED, f"the Bridge takes deposits from {usd_text(MINIMUM)} USDC on, "
                    f"was {amount}")  # fmt: skip
    receiver = session.signer if beneficiary is None else address_of_account(beneficiary)
    contracts, web3 = _chain(session, evm)
    with refusals():
        account = account_of(session.key)
        dollar = TestUSD(web3, contracts.addresses["usd"])
        bridge = Bridge(web3, contracts.addresses["bridge"])
        held = dollar.balance_of(session.signer)
        if held < micro:
            output.fail(
                EXIT_REFUSED,
                f"{session.signer} has {usd_text(held)} USDC on the EVM, {usd_text(micro)} wanted",
                f"on a development chain: chainperp dev evm-fund {session.signer} {amount}",
            )
        if dollar.allowance(session.signer, bridge.address) < micro:
            dollar.approve(account, bridge.address, micro)
        if receiver == session.signer:
            receipt = bridge.deposit(account, micro)
        else:
            receipt = bridge.deposit_for(account, receiver, micro)
    nonce = int(receipt.event("Deposit")["nonce"])
    document: dict[str, Any] = {
        "status": "ok",
        "transaction": "0x" + receipt.transaction_hash.hex(),
        "block": receipt.block,
        "nonce": nonce,
        "amount": usd_text(micro),
        "beneficiary": receiver,
        "credited": _wait(session, nonce) if options.wait else None,
    }
    lines = [f"deposited  {usd_text(micro)} USDC for {receiver}: number {nonce}, "
             f"EVM block {receipt.block}"]  # fmt: skip
    if document["credited"]:
        lines.append("credited   on the exchange")
    output.answer(document, lines, options.as_json)
    if document["credited"] is False:
        output.fail(EXIT_FALSE, f"deposit {nonce} was not credited in {options.wait_max} s")


def _wait(session: Session, nonce: int) -> bool:
    """Whether the chain credits a deposit in time."""
    end = time.monotonic() + session.options.wait_max
    while time.monotonic() < end:
        if ask_node(session.node, "bridgeStatus")["deposits"]["count"] >= nonce:
            return True
        time.sleep(POLL_SECONDS)
    return False


def claim(
    options: Signing,
    wid: Annotated[int, typer.Argument(min=0, help="Number, as in query bridge.")],
    evm: Evm = None,
) -> None:
    """Request or collect a withdrawal on the EVM. Example: chainperp tx claim 1 --from 0"""
    from contracts_py.bridge import Bridge, Status

    session = Session(options)
    contracts, web3 = _chain(session, evm)
    with refusals():
        account = account_of(session.key)
        bridge = Bridge(web3, contracts.addresses["bridge"])
        status = bridge.request(wid).status
        if status is Status.UNKNOWN:
            receipt = _request(session, bridge, account, wid)
        elif status is Status.PENDING:
            receipt = bridge.finalize(account, [wid])
        else:
            output.fail(EXIT_REFUSED, f"withdrawal {wid} is {status.name.lower()} already")
    names = [event.name for event in receipt.events]
    document = {"status": "ok", "wid": wid, "block": receipt.block, "events": names,
                "transaction": "0x" + receipt.transaction_hash.hex()}  # fmt: skip
    failures = [one.fields["code"] for one in receipt.events if one.name == "Failed"]
    if failures:
        from contracts_py.bridge import Failure

        why = Failure(failures[0]).words
        output.fail(EXIT_REFUSED, f"the Bridge leaves withdrawal {wid} out: {why}")
    done = {"Requested": "requested  its dispute period runs", "Finalized": "paid       out"}
    lines = [f"{done.get(name, name)}: withdrawal {wid}, EVM block {receipt.block}"
             for name in names]  # fmt: skip
    output.answer(document, lines, options.as_json)


def _request(session: Session, bridge: "Bridge", account: Any, wid: int) -> Any:
    from contracts_py.bridge import Withdrawal

    found = ask_node(session.node, "withdrawalSignatures", wid=wid)
    if found is None:
        output.fail(EXIT_UNREACHABLE, f"there is no waiting withdrawal {wid}",
                    "chainperp query bridge lists them")  # fmt: skip
    row = found["withdrawal"]
    one = Withdrawal(
        wid,
        row["user"],
        row["destination"],
        parse_decimal(row["amount"], USD_DECIMALS, "amount"),
        row["entryIndex"],
    )
    validators, signed = _quorum(found)
    return bridge.request_withdrawals(account, [(one, signed)], validators)


def anchor(options: Signing, evm: Evm = None) -> None:
    """Bring the signed checkpoint to the Anchor. Example: chainperp tx anchor --from 0"""
    from contracts_py.anchor import Anchor

    session = Session(options)
    contracts, web3 = _chain(session, evm)
    found = ask_node(session.node, "anchorRequest")
    size, root = int(found["size"]), bytes.fromhex(found["root"][2:])
    proof = [bytes.fromhex(one[2:]) for one in found["proof"]]
    with refusals():
        contract = Anchor(web3, contracts.addresses["anchor"])
        if contract.latest()[0] >= size:
            output.fail(EXIT_REFUSED, f"size {size} is anchored already")
        receipt = contract.anchor(account_of(session.key), (size, root), proof, *_quorum(found))
    document = {"status": "ok", "size": size, "root": found["root"], "block": receipt.block,
                "transaction": "0x" + receipt.transaction_hash.hex()}  # fmt: skip
    lines = [f"anchored   size {size}, root {root.hex()}, EVM block {receipt.block}"]
    output.answer(document, lines, options.as_json)


def _chain(session: Session, evm: str | None) -> "tuple[Contracts, Web3]":
    """The contracts of the node's chain and a connection to their EVM."""
    if session.options.offline:
        output.usage("a transaction on the EVM asks it for gas and nonce: no --offline")
    contracts = contracts_of(session.node)
    return contracts, web3_of(evm or session.node.url + "/evm", contracts.chain_id)


def _quorum(found: dict[str, Any]) -> "tuple[ValidatorSet, Signatures]":
    """The validators and their signatures, as the node gives them."""
    from contracts_py.digests import Signatures, ValidatorSet

    rows = tuple((int(one["r"], 16), int(one["s"], 16), one["v"]) for one in found["signatures"])
    validators = ValidatorSet(tuple(found["validators"]), tuple(found["powers"]))
    return validators, Signatures(tuple(found["idx"]), rows)
