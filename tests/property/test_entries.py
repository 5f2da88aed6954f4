"""Every record that the engine writes is the one canonical form of what it says.

Entries and leaves packed by hand are held to their schemas; foreign bytes raise only InvalidBytes.
The accountant knows no rules: he adds up what the log says and gets everybody's cash.
"""

import os
import random
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainperp.base import canonical
from chainperp.base.errors import InvalidBytes
from chainperp.base.units import DAY_MS, E8
from chainperp.evidence.verifier.pieces import sums_of
from chainperp.model.actions import (
    ApproveAgent,
    ApproveBuilderFee,
    ClassTransfer,
    ConvertToMultiSig,
    CreateSubAccount,
    Noop,
    PlaceOrders,
    RegisterReferrer,
    ScheduleCancel,
    SendAsset,
    SetDisplayName,
    SetReferrer,
    TwapOrder,
    Withdraw,
)
from chainperp.model.decisions import REASONS, Kind, LedgerType, Rejection, rule_number
from chainperp.model.entries import Entry, decode_entry, decode_payload, encode_entry
from chainperp.model.records import KIND_RULES, SCHEMAS
from chainperp.model.tokens import SPOT_FIRST, wire_name
from chainperp.model.vault_actions import CreateVault
from chainperp.state import leaves, schemas
from chainperp.state.store import ASSISTANCE_FUND, State
from tests.oracles.naive_exchange import Life
from tests.property.test_exchange_agrees import carry_out, live_orders, living_world
from tests.property.test_quoting_agrees import quoted_world
from tests.property.test_waterfall_invariants import BLOCKS, Fall, falling_world
from tests.support.world import VALIDATOR, World, address_of, order, trigger

LONG = os.environ.get("CHAINPERP_LONG") == "1"
SEEDS = range(40) if LONG else range(4)
CLEARING = bytes(20)
RISK_KINDS = {
    Kind.STATE_COMMIT, Kind.LIQ_TEST, Kind.BACKSTOP, Kind.VAULT, Kind.QUOTE, Kind.CHILDREN,
    Kind.ADL_NET, Kind.ADL_BEGIN, Kind.ADL_ROWS, Kind.ADL_END,
}  # fmt: skip


def lived(seed: int, blocks: int = 120) -> World:
    """A life with agents and several transactions per block."""
    world = living_world(referral_volume_min=0)
    world.act("rich", ApproveAgent(address_of("key"), "bot"), user_signed=True)
    world.act("key", PlaceOrders([order(0, "buy", "0.5", "90", cloid=bytes(16))]))
    world.place("rich", trigger("stop", 0, "buy", "0.5", "100.1", reduce_only=False))
    world.prices({0: "100.2"})
    life = Life(80_000 + seed, arranging=0.15)
    for _ in range(blocks):
        carry_out(world, life.block(live_orders(world), 5))
    world.fund(mid="9000", rich="1000")
    for action in (ClassTransfer(5_000_000, False), SendAsset(address_of("newcomer"), 1_000_000)):
        world.act("rich", action, user_signed=True)
    world.act("rich", Withdraw(address_of("rich"), 5_000_000), user_signed=True)
    world.act("rich", ScheduleCancel(None))
    world.act("rich", CreateSubAccount("last"))
    world.act("rich", ApproveBuilderFee(address_of("mid"), 10), user_signed=True)
    world.act("wide", ConvertToMultiSig([address_of("rich")], 1), user_signed=True)
    world.block([world.envelope("rich", "wide", ["rich"], Noop())])
    world.act("rich", TwapOrder(0, True, E8(10**10), False, 1))
    world.block()
    world.act("rich", SetDisplayName("Rich"))
    builder = (address_of("mid"), 10)
    world.act("rich", PlaceOrders([order(0, "buy", "1", "30")], builder=builder))
    live_with_tokens_and_vaults(world)
    return world


def live_with_tokens_and_vaults(world: World) -> None:
    """A referral, a vault with a deposit, tokens sent, sold and burned, a purchase of the fund."""
    world.fund(rich="20000", founder="20000")
    world.act("founder", RegisterReferrer("FOUNDER"))
    world.act("newcomer", SetReferrer("FOUNDER"))
    world.act("founder", CreateVault("A vault", "for the test of entries", 200_000_000))
    token = SendAsset(address_of("founder"), 1_000 * 10**8, wire_name(1, "CHP"))
    sent = world.transaction("founder", token, user_signed=True)
    sent.signer = VALIDATOR  # who has the tokens at the beginning
    world.block([sent])
    world.act("rich", ClassTransfer(1_000_000_000, False), user_signed=True)
    world.place("founder", order(SPOT_FIRST, "sell", "1000", "1"))
    world.place("rich", order(SPOT_FIRST, "buy", "100", "1"))
    world.block(at=world.state.time_ms + 60_000)


def kinds_of(world: World) -> set[Kind]:
    """Check every entry of a world against its schema; returns the kinds that there are."""
    kinds: set[Kind] = set()
    index = 0
    for block in world.blocks:
        assert block.first_index == index
        for seq, raw in enumerate(block.entries):
            entry = decode_entry(raw)
            fields = decode_payload(entry)
            assert (entry.height, entry.seq) == (block.height, seq)
            payload = entry.payload
            if entry.kind is not Kind.GENESIS:
                payload = canonical.encode(SCHEMAS[entry.kind], fields)
            assert encode_entry(entry.kind, entry.height, entry.seq, payload) == raw
            if entry.kind is Kind.ORDER:
                reason = REASONS[Rejection(fields["reason"])]
                assert fields["rule"] == rule_number(reason.rule)
            kinds.add(entry.kind)
        index += len(block.entries)
    return kinds


@pytest.mark.parametrize("seed", SEEDS)
def test_every_entry_decodes_by_its_schema_and_encodes_to_the_same_bytes(seed: int) -> None:
    """INV-G1 and G5: hand-packed entries are what the schemas say, in consecutive places."""
    unseen = {Kind.WITHDRAW_DONE, Kind.EVM_BUYBACK, Kind.AGENT, Kind.FUNDING, Kind.PARAM}
    assert set(KIND_RULES) - unseen - RISK_KINDS <= kinds_of(lived(seed))


def test_the_entries_of_a_fall_are_canonical_too() -> None:
    """Liquidations, takeovers and rounds; netting is rare, so several falls share the work."""
    seen: set[Kind] = set()
    for seed, make in enumerate((falling_world,) * 4 + (quoted_world,)):
        world, fall = make(seed), Fall(seed)
        for number in range(BLOCKS):
            fall.block(world, number)
        world.block(at=(world.state.time_ms // DAY_MS + 1) * DAY_MS)
        seen |= kinds_of(world)
    assert seen >= RISK_KINDS


def check_leaves(state: State, world: World) -> int:
    """Decode and re-encode every value in the trees; returns how many there are."""
    count = 0
    for name, tree in world.engine.commitment.trees.items():
        schema = schemas.schema_of(name)
        for _, value, _ in tree.items():
            assert canonical.encode(schema, canonical.decode(schema, value)) == value, name
            count += 1
    for market in state.markets:
        raw = leaves.encode_book(market)
        reader = canonical.Reader(raw)
        again = b""
        for schema in (
            schemas.BOOK_ORDER,
            schemas.WAITING_ORDER,
            schemas.ORDER_GROUP,
            schemas.ORDER_BUILDER,
        ):
            rows = [canonical.decode_from(schema, reader) for _ in range(reader.unsigned(4))]
            again += canonical.encode_rows(schema, rows)
        reader.finish()
        assert again == raw
        digest = leaves.encode_book_digest(market)
        decoded = canonical.decode(schemas.BOOK_DIGEST, digest)
        assert canonical.encode(schemas.BOOK_DIGEST, decoded) == digest
    return count


@pytest.mark.parametrize("seed", SEEDS)
def test_every_leaf_decodes_by_its_schema_and_encodes_to_the_same_bytes(seed: int) -> None:
    """INV-G5 for the state: accounts and positions are packed by hand."""
    world = lived(seed, 60)
    assert check_leaves(world.engine.state, world) > 50
    names = {name for name, tree in world.engine.commitment.trees.items() if len(tree)}
    assert {"acct", "agent", "val", "oracle", "param", "meta", "pos/00000000/L"} <= names


# The two numbers of a decision, as the rule compares them.
BELOW = (
    Rejection.MIN_TRADE_NOTIONAL, Rejection.PERP_MARGIN, Rejection.MARGIN_CANCELED,
)  # fmt: skip
ABOVE = (Rejection.MAX_ORDER_VALUE, Rejection.TOO_MANY_OPEN_ORDERS)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_two_numbers_of_an_order_decision_explain_it(seed: int) -> None:
    """A refusal can be re-evaluated from its record: what was found does not reach the need."""
    seen: dict[Rejection, int] = defaultdict(int)
    for block in lived(seed, 200).blocks:
        for entry in map(decode_entry, block.entries):
            if entry.kind is not Kind.ORDER:
                continue
            fields = decode_payload(entry)
            reason = Rejection(fields["reason"])
            seen[reason] += 1
            if reason in BELOW:
                assert fields["found"] < fields["needed"], f"seed {seed}: {fields}"
            if reason in ABOVE and not fields["reduce_only"]:
                assert fields["found"] > fields["needed"] - (reason is ABOVE[1]), fields
            if reason is Rejection.BAD_ALO_PRICE:
                best = fields["needed"]
                assert fields["found"] >= best if fields["is_buy"] else fields["found"] <= best
    assert all(seen[reason] for reason in BELOW)


@settings(derandomize=True, deadline=None, max_examples=2000 if LONG else 400)
@given(st.binary(max_size=120))
def test_random_bytes_as_an_entry_raise_nothing_but_invalid_bytes(raw: bytes) -> None:
    """Frame and payload of foreign bytes."""
    try:
        entry = decode_entry(raw)
        assert encode_entry(entry.kind, entry.height, entry.seq, entry.payload) == raw
        decode_payload(entry)
    except InvalidBytes:
        return


@settings(derandomize=True, deadline=None, max_examples=3000 if LONG else 600)
@given(st.sampled_from(sorted(SCHEMAS)), st.binary(max_size=260))
def test_random_bytes_as_a_payload_are_refused_or_canonical(kind: Kind, raw: bytes) -> None:
    """Whatever a schema accepts, it writes in the same bytes: no second form of a record."""
    try:
        fields = decode_payload(Entry(kind, 1, 0, raw))
    except InvalidBytes:
        return
    assert canonical.encode(SCHEMAS[kind], fields) == raw


@pytest.mark.parametrize("seed", SEEDS)
def test_a_changed_entry_is_refused_or_says_something_else(seed: int) -> None:
    """One byte changed in real entries: InvalidBytes, or other fields, never the same record."""
    draw = random.Random(seed)
    entries = [raw for block in lived(seed, 30).blocks[1:] for raw in block.entries]
    for raw in draw.sample(entries, min(len(entries), 250)):
        at = draw.randrange(len(raw))
        bad = raw[:at] + bytes([raw[at] ^ draw.randint(1, 255)]) + raw[at + 1 :]
        first, fields = decode_entry(raw), decode_payload(decode_entry(raw))
        try:
            entry = decode_entry(bad)
            found = decode_payload(entry)
        except InvalidBytes:
            continue
        head = (entry.kind, entry.height, entry.seq)
        assert (head, found) != ((first.kind, first.height, first.seq), fields)


# Which side of a transfer is a spot balance: source, destination.
SPOT_SIDES = {
    LedgerType.CLASS_TO_PERP: (True, False), LedgerType.CLASS_TO_SPOT: (False, True),
    LedgerType.SPOT_SEND: (True, True), LedgerType.SUB_ACCOUNT_SPOT_TRANSFER: (True, True),
    LedgerType.ASSET_PERP_TO_SPOT: (False, True), LedgerType.ASSET_SPOT_TO_PERP: (True, False),
    LedgerType.ASSET_SPOT_TO_SPOT: (True, True), LedgerType.SPOT_ACTIVATION_FEE: (True, False),
    LedgerType.BUYBACK_MONEY: (False, True), LedgerType.BUYBACK_REST: (True, False),
}  # fmt: skip


Amounts = dict[bytes, int]


def account_books(world: World) -> tuple[Amounts, Amounts, Amounts]:
    """Cash, spot USDC and tokens of every account, from nothing but the money that the log names
    and the tokens that genesis gives."""
    cash: Amounts = defaultdict(int)
    spot: Amounts = defaultdict(int)
    tokens: Amounts = defaultdict(int, {VALIDATOR: 10**17})
    for block in world.blocks:
        for raw in block.entries:
            entry = decode_entry(raw)
            fields = decode_payload(entry)
            if entry.kind is Kind.DEPOSIT:
                cash[fields["user"]] += fields["amount"]
            elif entry.kind is Kind.WITHDRAW_REQ:
                cash[fields["user"]] -= fields["amount"]
            elif entry.kind is Kind.LEDGER:
                sides = SPOT_SIDES.get(LedgerType(fields["type"]), (False, False))
                (spot if sides[0] else cash)[fields["source"]] -= fields["amount"]
                (spot if sides[1] else cash)[fields["destination"]] += fields["amount"]
            elif entry.kind is Kind.FUNDING:
                for row in fields["rows"]:
                    cash[row["account"]] -= row["payment"]
                    cash[CLEARING] += row["payment"]
            elif entry.kind is Kind.TOKEN:
                tokens[fields["source"]] -= fields["amount"]
                tokens[fields["destination"]] += fields["amount"]
            elif entry.kind is Kind.FILL and fields["asset"] >= SPOT_FIRST:
                buys, sells = ("taker", "maker") if fields["flags"] & 1 else ("maker", "taker")
                buyer, seller = fields[buys], fields[sells]
                cost, fee = fields["price"] * fields["lots"], fields[f"{sells}_fee"]
                spot[buyer] -= cost
                spot[seller] += cost - fee
                cash[ASSISTANCE_FUND] += fee
                tokens[buyer] += fields["lots"] * 10**6  # its fee is a TOKEN entry of its own
                tokens[seller] -= fields["lots"] * 10**6
            elif entry.kind is Kind.FILL:
                cost = fields["price"] * fields["lots"]
                paid = cost if fields["flags"] & 1 else -cost
                cash[fields["taker"]] -= paid + fields["taker_fee"]
                cash[fields["maker"]] += paid - fields["maker_fee"]
                cash[ASSISTANCE_FUND] += fields["taker_fee"] + fields["maker_fee"]
    return cash, spot, tokens


@pytest.mark.parametrize("seed", SEEDS)
def test_an_accountant_who_knows_no_rules_gets_everybodys_cash(seed: int) -> None:
    """INV-G7: deposits, fills, funding, transfers and withdrawals are all that moves money."""
    world = lived(seed)
    cash, spot, tokens = account_books(world)
    assert cash.pop(CLEARING, 0) == 0
    for address, account in world.engine.state.accounts.items():
        total = account.raw + account.raw_isolated_total
        assert cash.pop(address, 0) == total, f"seed {seed}, {address!r}"
    assert not {address: amount for address, amount in cash.items() if amount}
    assert {who: amount for who, amount in spot.items() if amount} == world.engine.state.spot[0]
    burned = tokens.pop(CLEARING)
    assert {who: amount for who, amount in tokens.items() if amount} == world.engine.state.spot[1]
    assert burned == world.engine.state.tokens[1].burned > 0
    assert spot


@pytest.mark.parametrize("seed", SEEDS)
def test_an_accountant_gets_every_position_and_pending_withdrawal(seed: int) -> None:
    """INV-G7 for lots and for money on its way out."""
    world = lived(seed)
    lots: dict[tuple[bytes, int], int] = defaultdict(int)
    pending: dict[int, int] = {}
    for block in world.blocks:
        for raw in block.entries:
            entry = decode_entry(raw)
            fields = decode_payload(entry)
            if entry.kind is Kind.FILL and fields["asset"] < SPOT_FIRST:
                signed = fields["lots"] if fields["flags"] & 1 else -fields["lots"]
                lots[fields["taker"], fields["asset"]] += signed
                lots[fields["maker"], fields["asset"]] -= signed
            elif entry.kind is Kind.WITHDRAW_REQ:
                pending[fields["wid"]] = fields["amount"]
            elif entry.kind is Kind.WITHDRAW_DONE:
                del pending[fields["wid"]]
    state = world.engine.state
    held = {
        (address, asset): one.lots
        for address, account in state.accounts.items()
        for asset, one in account.exposures.items()
        if one.lots
    }
    assert {place: amount for place, amount in lots.items() if amount} == held
    assert pending == {wid: one.amount for wid, one in state.withdrawals.items()}


def test_a_verifier_knows_the_amounts_of_every_leaf() -> None:
    """What a proof's leaf must carry is what the state's own trees sum."""
    world = lived(0)
    seen: set[str] = set()
    for name, tree in world.engine.commitment.trees.items():
        for _key, value, sums in tree.items():
            assert sums_of(name, value) == sums, name
            if sums:
                seen.add(name.partition("/")[0])
    assert seen >= {"acct", "pos", "wd", "spot", "token", "vault", "share", "ref"}
