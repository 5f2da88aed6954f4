"""What the exchange owes: one account's claim inside the whole, and the whole against custody.

    solvency {checkpoint, seal, genesis, address, descriptors, state, root, index, path}

`descriptors` are all collections of the state, so the identities hold for everything there is:
cash_sum = custody, where cash is accounts, spot balances and pending withdrawals, and on every
market as many lots long as short. `root`, `index` and `path` place the account's own leaf, spot
balance included, in the liabilities tree; the sums that the path adds up to must be custody.

The root of the liabilities tree is not an entry of the log: it is derived from the state. Who holds
the whole state (an auditor) derives the same root; who holds one leaf compares it with theirs.
Source: audit-log-and-consensus 10.2, 10.3.
"""

from chainperp.base.errors import InvalidProof
from chainperp.base.units import address_text, usd_text
from chainperp.evidence.liabilities import Liability, Node, verify_liability
from chainperp.evidence.verifier.accounts import (
    AccountView,
    read_genesis,
    read_terms,
    spot_balance,
    state_marks,
)
from chainperp.evidence.verifier.bundle import Fields
from chainperp.evidence.verifier.pieces import Placed, read_seal, read_state
from chainperp.evidence.verifier.steps import Steps
from chainperp.evidence.verifier.trust import Trust, read_note
from chainperp.state.proof import Root
from chainperp.state.root import cash_of, decode_descriptor, list_root


def verify_solvency(steps: Steps, fields: Fields, trust: Trust) -> None:
    """An account's claim, and that all claims together are what is held."""
    checkpoint = read_note(steps, trust, fields.note("checkpoint"))
    seal = read_seal(steps, fields.part("seal"), checkpoint)
    read_terms(steps, read_genesis(fields), seal)
    roots = _read_descriptors(steps, fields, seal)
    _check_identities(steps, roots, seal)
    found = seal.fields
    view = read_state(
        steps, fields.parts("state"), found["state_root"], found["n_collections"], "state leaves"
    )
    address = fields.address("address")
    steps.begin("own claim")
    account = AccountView(view, address)
    equity = account.equity(state_marks(view, account.positions)) + spot_balance(view, address)
    value = view.value("acct", address)
    view.finish()
    leaf = Liability.of(address, equity, value or b"")
    steps.done(f"claim {usd_text(leaf.claim)}, deficit {usd_text(leaf.deficit)}")
    total = _read_total(steps, fields, leaf, roots["acct"].count)
    fields.finish()
    pending = roots["wd"].sums[0] if "wd" in roots else 0
    _check_total(steps, total, pending, found["custody"])
    steps.say(
        f"At the end of block {seal.height} the exchange owed {address_text(address)} "
        f"{usd_text(leaf.claim)} USDC" if not leaf.deficit else
        f"At the end of block {seal.height} {address_text(address)} owed the exchange "
        f"{usd_text(leaf.deficit)} USDC"
    )  # fmt: skip
    steps.say(
        f"This is one of {roots['acct'].count} accounts; together they claim "
        f"{usd_text(total.claim)}, owe {usd_text(total.deficit)} and wait for withdrawals of "
        f"{usd_text(pending)}: exactly the custody of {usd_text(found['custody'])} USDC", "INV-1",
    )  # fmt: skip
    steps.begin("custody on the settlement chain")
    steps.skip(f"compare {usd_text(found['custody'])} with the bridge's balance there")
    steps.begin("everybody's leaf in the liabilities tree")
    steps.skip(f"chainperp audit derives root {total.h.hex()} from the whole state")


def _read_descriptors(steps: Steps, fields: Fields, seal: Placed) -> dict[str, Root]:
    """Roots of all collections, which hash to the sealed state root."""
    steps.begin("all collections of the state")
    rows = fields.raws("descriptors")
    found = list_root(rows)
    named = (seal.fields["state_root"], seal.fields["n_collections"])
    if (found, len(rows)) != named:
        raise InvalidProof(f"{len(rows)} descriptors hash to {found.hex()}, sealed were "
                           f"{named[1]} with {named[0].hex()}")  # fmt: skip
    roots = dict(decode_descriptor(row) for row in rows)
    steps.done(f"{len(roots)} collections, {roots['acct'].count} accounts")
    return roots


def _check_identities(steps: Steps, roots: dict[str, Root], seal: Placed) -> None:
    """Cash is custody; on every market the lots of both sides are equal (INV-1, INV-2)."""
    steps.begin("cash is custody")
    cash = cash_of(roots)
    if (cash, seal.fields["cash_sum"]) != (seal.fields["custody"], seal.fields["custody"]):
        raise InvalidProof(f"the columns add up to {cash}, the SEAL says {seal.fields['cash_sum']} "
                           f"and custody {seal.fields['custody']}")  # fmt: skip
    steps.done(f"accounts, spot balances and withdrawals {usd_text(cash)}")
    steps.begin("open interest equal on both sides")
    markets = dict.fromkeys(name[:-2] for name in roots if name.startswith("pos/"))
    for market in markets:
        sides = [roots.get(f"{market}/{side}") for side in ("L", "S")]
        lots = [0 if root is None else root.sums[0] for root in sides]
        if lots[0] != lots[1]:
            raise InvalidProof(f"{market} has {lots[0]} lots long and {lots[1]} short")
    steps.done(f"{len(markets)} markets with positions")


def _read_total(steps: Steps, fields: Fields, leaf: Liability, count: int) -> Node:
    """The liabilities root that the account's leaf leads to."""
    steps.begin("own claim in the liabilities tree")
    claimed = fields.raw("root")
    total = verify_liability(leaf, fields.count("index"), count, fields.raws("path", 64))
    if total.h != claimed:
        raise InvalidProof(f"the path leads to {total.h.hex()}, the file names {claimed.hex()}")
    steps.done(f"one of {count} leaves under {total.h.hex()}")
    return total


def _check_total(steps: Steps, total: Node, pending: int, custody: int) -> None:
    steps.begin("claims less deficits are custody")
    if total.claim - total.deficit + pending != custody:
        raise InvalidProof(
            f"claims {total.claim} less deficits {total.deficit} with {pending} pending are not "
            f"custody {custody}"
        )
    steps.done(
        f"{usd_text(total.claim)} - {usd_text(total.deficit)} + {usd_text(pending)} = "
        f"{usd_text(custody)}"
    )
