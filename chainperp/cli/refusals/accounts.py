"""Help for refusals about who signed, when, and with what money."""

import re

from chainperp.cli.chain_log import clock
from chainperp.cli.refusals.case import Case, Lines, position_size


def nonce_used(case: Case) -> Lines:
    """Which action the nonce belongs to."""
    yield (
        f"nonce {case.body['nonce']} was used by {case.session.signer} before: the action with it "
        "was executed, this one was not"
    )
    yield "sign again without --nonce; two programs with one key need one counter, or an agent each"


def nonce_window(case: Case) -> Lines:
    """The window, the chain's time, a nonce that fits."""
    found = re.search(r"(\d+) [<>] (\d+)", case.text)
    if found is None:
        return
    nonce, edge = int(found[1]), int(found[2])
    word = "begins at" if "too low" in case.text else "ends at"
    yield f"nonce {nonce} is {clock(nonce)}; the window of this node {word} {edge}, {clock(edge)}"
    yield "nonces are Unix times in milliseconds, from 2 days before to 1 day after the block"
    book = case.ask("l2Book", coin=case.session.markets[0].name)
    if book is not None:
        yield f"the chain's time is {clock(book['time'])}; try: --nonce {book['time']}"


def expired(case: Case) -> Lines:
    """When it expired."""
    yield f"--expires was {case.body['expiresAfter']}, {clock(case.body['expiresAfter'])}"


def stranger(case: Case) -> Lines:
    """Whose address it is, and why the exchange does not know it."""
    found = re.search(r"0x[0-9a-fA-F]{40}", case.text)
    if found is None:
        return
    recovered, signer = found[0].lower(), case.session.signer
    if recovered != signer:
        yield f"the node recovered {recovered} from the signature, the key is that of {signer}:"
        yield "what it hashed is not what was signed (network, vault, expiry, form of a number)"
        yield f"try: chainperp explain signature FILE --expect {signer}"
        return
    yield f"the signature is right: {signer} has no account on this node, and is no one's agent"
    yield f"on a local chain with --dev: chainperp dev fund {signer} 1000"
    yield f"or as the account's owner: chainperp tx agent {signer} --from OWNER"


def vault(case: Case) -> Lines:
    """Whom the key may act for."""
    named = case.body.get("vaultAddress")
    if named is None:
        yield f"{case.action.get('vaultAddress')} is no vault, or it is closed"
    else:
        yield f"{named} is no vault or sub-account that {case.session.signer} leads"


def network(case: Case) -> Lines:
    """Which network it was signed for."""
    yield f"signed for {case.session.network}: give the other one with --network"


def leverage(case: Case) -> Lines:
    """What the market allows."""
    if case.market is not None:
        yield (
            f"{case.market.name} allows 1 to {case.market.leverage_max}, "
            f"was {case.action.get('leverage')}"
        )


def switch(case: Case) -> Lines:
    """What has to be closed first."""
    if case.market is not None:
        size = position_size(case, case.market.name)
        yield f"the position in {case.market.name} is {size}: close it first"


def balance(case: Case) -> Lines:
    """What may leave the account."""
    state = case.ask("clearinghouseState", user=case.session.account)
    if state is not None:
        yield (
            f"account {case.session.account}: value {state['marginSummary']['accountValue']} USDC, "
            f"withdrawable {state['withdrawable']}; asked for {case.action.get('amount')}"
        )
    yield "a withdrawal costs 1 USDC of its amount; the first transfer to a new address 1 on top"


def not_offered(case: Case) -> Lines:
    """The action by its name."""
    yield f"this node knows {case.action['type']} and does not offer it"
