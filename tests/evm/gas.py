"""Gas and time of every operation, measured: `python -m tests.evm.gas` writes docs/contracts.md.

Gas follows from the sources and is compared by a test; times are those of the machine that ran the
command (one execution in py-evm, signing and JSON-RPC left out).
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from contracts_py.anchor import Anchor
from contracts_py.artifact import load_artifact
from contracts_py.digests import ValidatorSet, address_of, keccak
from contracts_py.handle import Handle, Receipt
from contracts_py.registry import Registry, Version
from tests.evm.world import (
    ACCOUNTS,
    CHAIN,
    ORIGIN,
    USD,
    VALIDATOR_KEYS,
    VALIDATORS,
    Custody,
    TestLog,
    World,
)

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "contracts.md"
BEGIN, END = "<!-- gas: begin -->\n", "<!-- gas: end -->\n"
TOLERANCE_PERCENT = 10
ANN = ACCOUNTS[1]
OWNER = ACCOUNTS[0]
MANY_KEYS = [keccak(b"chainperp/test/many/%d" % at) for at in range(20)]
MANY = ValidatorSet.of({address_of(key): 1 for key in MANY_KEYS})


@dataclass(frozen=True)
class Row:
    """One operation: its gas, the reference's range, and why it differs where it does."""

    name: str
    gas: int
    ms: float
    reference: tuple[int, int] | None = None
    why: str = ""

    @property
    def is_near(self) -> bool:
        """Whether the gas is within ten per cent of the reference's range."""
        if self.reference is None:
            return True
        low, high = self.reference
        return low * (100 - TOLERANCE_PERCENT) <= 100 * self.gas <= high * (100 + TOLERANCE_PERCENT)


class Meter:
    """A world that times the execution of what is sent to it."""

    def __init__(self) -> None:
        self.world = World()
        self.rows: list[Row] = []
        self.ms = 0.0
        machine = self.world.journal.machine
        submit = type(machine).submit
        meter = self

        class Timed(type(machine)):  # type: ignore[misc]
            __slots__ = ()

            def submit(self, raw: bytes, now: int) -> object:
                start = time.perf_counter()
                block = submit(self, raw, now)
                meter.ms = (time.perf_counter() - start) * 1_000
                return block

        machine.__class__ = Timed

    def add(
        self,
        name: str,
        action: Callable[[], Receipt | Handle],
        reference: tuple[int, int] | None = None,
        why: str = "",
    ) -> int:
        """Measure one operation."""
        action()
        gas = self.world.journal.machine.head.gas_used
        self.rows.append(Row(name, gas, self.ms, reference, why))
        return gas


def big_log() -> TestLog:
    """66,313 entries of 200 bytes, the size that the reference measured."""
    return TestLog([at.to_bytes(4, "big") * 50 for at in range(66_313)])


def with_proof_of(log: TestLog, length: int, new: int) -> int:
    """An old size whose consistency proof to `new` has so many hashes."""
    for old in range(new - 1, 0, -1):
        if len(log.consistency(old, new)) == length:
            return old
    raise LookupError(f"no proof of {length} hashes to {new}")


def anchor_from(
    anchor: Anchor, log: TestLog, checkpoint: int, validators: ValidatorSet, keys: list[bytes]
) -> Callable[[], Receipt]:
    """An anchoring of a size, ready to be sent."""
    latest = anchor.latest()[0]
    root = log.root(checkpoint)
    signed = validators.sign(anchor.checkpoint_digest(checkpoint, root), keys)
    proof = log.consistency(latest, checkpoint)
    return lambda: anchor.anchor(OWNER, (checkpoint, root), proof, validators, signed)


def measure_proofs(meter: Meter, log: TestLog) -> None:
    """Inclusion as a transaction, as the reference measured it."""
    web3 = meter.world.web3
    anchor = Anchor.deploy(web3, OWNER, ORIGIN, 100, VALIDATORS)
    for size in (1_000, 66_313):
        anchor_from(anchor, log, size, VALIDATORS, VALIDATOR_KEYS[:3])()
    used = []
    for size, index, reference in ((1_000, 333, 43_900), (66_313, 40_000, 52_900)):
        proof = log.inclusion(index, size)
        fields = (size, index, log.entries[index], proof)
        name = f"verify a 200-byte entry, {len(proof)} hashes (size {size:,})"
        action = lambda fields=fields: anchor.send(OWNER, "verify_entry", *fields)  # noqa: E731
        used.append((meter.add(name, action, (reference, reference)), len(proof)))
    (small, few), (large, many) = used
    each = (large - small) // (many - few)
    meter.rows.append(Row("per extra hash", each, 0, (1_250, 1_250)))


ONE_SLOT = "one storage slot fewer: the latest root is found under its size, not stored twice"


def measure_anchoring(meter: Meter, log: TestLog) -> None:
    """Anchoring with 4 and with 20 validators."""
    web3 = meter.world.web3
    first = Anchor.deploy(web3, OWNER, ORIGIN, 100, VALIDATORS)
    keys = VALIDATOR_KEYS[:3]
    meter.add(
        "anchor, 4 validators, 3 signatures, first",
        anchor_from(first, log, with_proof_of(log, 16, 66_313), VALIDATORS, keys),
        (118_600, 118_600),
        ONE_SLOT,
    )
    few = meter.add(
        "anchor, 4 validators, 3 signatures, 16 consistency hashes",
        anchor_from(first, log, 66_313, VALIDATORS, keys),
        (106_900, 112_600),
    )
    second = Anchor.deploy(web3, OWNER, ORIGIN, 100, MANY)
    anchor_from(second, log, with_proof_of(log, 16, 66_313), MANY, MANY_KEYS[:14])()
    many = meter.add(
        "anchor, 20 validators, 14 signatures, 16 consistency hashes",
        anchor_from(second, log, 66_313, MANY, MANY_KEYS[:14]),
        (178_000, 183_800),
    )
    name = "per extra signature, with its share of the larger set"
    meter.rows.append(Row(name, (many - few) // 11, 0, (6_500, 6_500)))


def measure_deployments(meter: Meter) -> None:
    """Every contract."""
    from tests.evm.test_buyback import SCHEDULE
    from tests.evm.world import Market

    web3 = meter.world.web3
    market = Market(meter.world, 0, 0)
    made = Custody(meter.world)
    contracts = (market.token.address, market.usd.address, market.pool.address)
    version = Version(keccak(b"r"), keccak(b"p"), 0)
    from contracts_py.buyback import BuybackVault
    from contracts_py.pool import Pool
    from contracts_py.tokens import TestUSD, Token

    supply = 10**27
    for name, action in (
        ("Anchor", lambda: Anchor.deploy(web3, OWNER, ORIGIN, 100, VALIDATORS)),
        ("Bridge", lambda: made.another(made.usd.address)),
        ("BuybackVault", lambda: BuybackVault.deploy(web3, OWNER, contracts, SCHEDULE)),
        ("Pool", lambda: Pool.deploy(web3, OWNER, contracts[0], contracts[1], 30)),
        (
            "Registry",
            lambda: Registry.deploy(web3, OWNER, (CHAIN, made.anchor.address), 100, version),
        ),
        ("TestUSD", lambda: TestUSD.deploy(web3, OWNER, OWNER.address)),
        ("Token", lambda: Token.deploy(web3, OWNER, ("Example", "EX"), supply, OWNER.address)),
    ):
        size = len(load_artifact(name).runtime_bytecode) // 2 - 1
        meter.add(f"deploy {name} ({size:,} bytes)", action)


def measure_bridge(meter: Meter) -> None:
    """A deposit, a withdrawal from request to payout, a dispute."""
    made = Custody(meter.world)
    made.fund()
    bridge = made.bridge
    meter.add("Bridge.deposit, first", lambda: bridge.deposit(ANN, 500 * USD))
    meter.add("Bridge.deposit, later", lambda: bridge.deposit(ANN, 100 * USD))
    rows = [made.write(wid, 50 * USD, ANN.address) for wid in (1, 2)]
    false = made.write(3, 50 * USD, ACCOUNTS[2].address)
    made.anchor_all()
    meter.add("Bridge.request_withdrawals, one, 3 signatures", lambda: made.request(rows[0]))
    forged = type(false)(false.wid, false.user, false.destination, 51 * USD, false.entry_index)
    meter.add(
        "Bridge.request_withdrawals, two, 3 signatures each",
        lambda: made.request(rows[1], forged),
    )
    size, place = len(made.log.entries), false.entry_index
    entry, proof = made.log.entries[place], made.log.inclusion(place, size)
    meter.add(
        f"Bridge.dispute, {len(proof)} hashes",
        lambda: bridge.dispute(ANN, 3, (size, place), entry, proof),
    )
    made.world.wait(200, blocks=11)
    meter.add("Bridge.finalize, one", lambda: bridge.finalize(ANN, [1]))


def measure_market(meter: Meter) -> None:
    """Liquidity, a swap, both ways to buy back."""
    from tests.evm.test_buyback import DECISION, Fund

    made = Fund(world=meter.world)
    meter.add("Pool.swap", lambda: made.pool.swap(ANN, buys_token=True, amount_in=USD, least_out=0))
    vault = made.vault
    meter.add("BuybackVault.buy_from_pool", lambda: vault.buy_from_pool(ANN, DECISION))
    made.world.wait(61)
    quote = made.quote(40 * USD, 3 * 10**18)
    signature = vault.sign_quote(quote, keccak(b"chainperp/test/account/2"))
    meter.add(
        "BuybackVault.buy_from_quote", lambda: vault.buy_from_quote(ANN, quote, signature, DECISION)
    )
    meter.add("Token.burn", lambda: made.token.burn(ANN, 1))
    meter.add("Token.transfer", lambda: made.token.transfer(ANN, ACCOUNTS[2].address, 1))


def measure() -> list[Row]:
    """Every row."""
    meter, log = Meter(), big_log()
    measure_proofs(meter, log)
    measure_anchoring(meter, log)
    measure_bridge(meter)
    measure_market(meter)
    measure_deployments(meter)
    return meter.rows


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| Operation | Gas | Reference 13.2 | Difference | Time |", "|---|---:|---:|---|---:|"]
    for row in rows:
        known, difference = "", ""
        if row.reference is not None:
            low, high = row.reference
            known = f"{low:,}" if low == high else f"{low:,} to {high:,}"
            nearest = min(max(row.gas, low), high)
            percent = round(100 * (row.gas - nearest) / nearest)
            difference = f"{percent:+d} %" if percent else "none"
            difference += f": {row.why}" if row.why else ""
        ms = f"{row.ms:.0f} ms" if row.ms else ""
        lines.append(f"| {row.name} | {row.gas:,} | {known} | {difference} | {ms} |")
    return "\n".join(lines) + "\n"


def without_times(text: str) -> list[str]:
    """Rows of a table without their last column."""
    return [line.rsplit("|", 2)[0] for line in text.splitlines() if line.startswith("|")]


def main() -> int:
    """Put the table into the document."""
    text = DOCUMENT.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    made = table(measure())
    DOCUMENT.write_text(head + BEGIN + made + END + tail, encoding="utf-8")
    sys.stdout.write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
