"""A chain without signatures or files: the real engine, driven by Python calls.

Signers are named, prices and sizes are decimals in text, every call that changes anything makes one
block. What the engine recorded comes back as decoded entries.
"""

from dataclasses import dataclass, field

from chainperp.base.canonical import Record
from chainperp.base.units import E8, Address, parse_decimal
from chainperp.chain.engine import Engine, SealedBlock
from chainperp.chain.genesis import parse_genesis
from chainperp.model.accounts import Account
from chainperp.model.actions import (
    Action,
    CancelOrders,
    Grouping,
    ModifyOrders,
    OracleVote,
    OrderRequest,
    PlaceOrders,
    TimeInForce,
    TriggerTerms,
)
from chainperp.model.blocks import BlockInput, MultiSigned, SystemInput, Transaction
from chainperp.model.bridge import EvmContracts
from chainperp.model.decisions import Kind, Rejection, SystemType
from chainperp.model.entries import Entry, decode_entry, decode_payload
from chainperp.model.envelope import Envelope, encode_envelope
from chainperp.rules.subaccounts import sub_account_address
from chainperp.rules.vaults import vault_address
from chainperp.state.store import Market
from chainperp.storage.package import build_genesis

START = 1_760_000_000_000
RULES = bytes(range(32))
VALIDATOR = Address(b"\xaa" * 20)
TIFS = {"Gtc": TimeInForce.GTC, "Ioc": TimeInForce.IOC, "Alo": TimeInForce.ALO}


def address_of(name: str) -> Address:
    """A stable address for a name; `rich/2` is the second sub-account of `rich`, `rich$1` the first
    vault that `rich` leads."""
    leader, dollar, number = name.partition("$")
    if dollar:
        return vault_address(address_of(leader), int(number) - 1)
    master, slash, number = name.partition("/")
    if slash:
        return sub_account_address(address_of(master), int(number) - 1)
    return Address(name.encode("ascii").ljust(20, b"\x11")[:20])


def order(
    asset: int,
    side: str,
    size: str,
    price: str,
    tif: str = "Gtc",
    *,
    reduce_only: bool = False,
    cloid: bytes | None = None,
) -> OrderRequest:
    """An order request from text."""
    return OrderRequest(
        asset,
        side == "buy",
        E8(parse_decimal(price, 8, "p")),
        E8(parse_decimal(size, 8, "s")),
        reduce_only,
        TIFS[tif],
        cloid=cloid,
    )


def trigger(
    kind: str,
    asset: int,
    side: str,
    size: str,
    at: str,
    price: str | None = None,
    *,
    market: bool = True,
    reduce_only: bool = True,
    cloid: bytes | None = None,
) -> OrderRequest:
    """A `stop` or a `profit` order; without a price its limit is the trigger."""
    request = order(asset, side, size, price or at, reduce_only=reduce_only, cloid=cloid)
    request.trigger = TriggerTerms(E8(parse_decimal(at, 8, "at")), market, kind == "stop")
    return request


@dataclass
class Result:
    """One block: what it added, decoded on demand."""

    block: SealedBlock
    entries: list[Entry] = field(default_factory=list)

    def of(self, kind: Kind) -> list[Record]:
        """Fields of all entries of one kind."""
        return [decode_payload(entry) for entry in self.entries if entry.kind is kind]

    @property
    def codes(self) -> list[Rejection]:
        """Results of the block's user transactions, in order."""
        return [Rejection(fields["code"]) for fields in self.of(Kind.TX_USER)]

    @property
    def orders(self) -> list[Record]:
        """Order decisions."""
        return self.of(Kind.ORDER)

    @property
    def fills(self) -> list[Record]:
        """Fills."""
        return self.of(Kind.FILL)


class World:
    """An engine with helpers. Time advances by `step` ms per block."""

    def __init__(
        self,
        parameters: dict[str, object] | None = None,
        validators: int = 1,
        markets: list[dict[str, object]] | None = None,
        holders: dict[str, int] | None = None,
        evm: EvmContracts | None = None,
        network: str = "Testnet",
    ) -> None:
        keys = [(Address(bytes([0xAA + i]) * 20), 1) for i in range(validators)]
        # Tests jump over hours without prices; those about stale prices set the limit themselves.
        values = {"price_stale_ms": 0, **(parameters or {})}
        given: list[tuple[bytes, int]] = [
            (address_of(name), amount) for name, amount in (holders or {}).items()
        ]
        raw = build_genesis(
            "test/world",
            START,
            list(keys),
            parameters=values,
            markets=markets,
            holders=given,
            evm=evm,
            network=network,
        )
        self.engine = Engine(parse_genesis(raw), RULES)
        self.blocks = [self.engine.seal_genesis()]
        self.inputs: list[BlockInput] = []
        self.nonce = START
        self.deposits = 0
        self.step = 200

    @property
    def state(self):  # type: ignore[no-untyped-def]
        """The engine's state."""
        return self.engine.state

    def account(self, name: str) -> Account:
        """A named account."""
        return self.engine.state.accounts[address_of(name)]

    def market(self, asset: int) -> Market:
        """A market."""
        return self.engine.state.markets[asset]

    def transaction(
        self, name: str, action: Action, *, user_signed: bool = False, vault: str | None = None
    ) -> Transaction:
        """A transaction by a named signer with the next nonce and a blank signature. `vault` is the
        sub-account for which it is; the names `rich/1` and `rich$1` are short for `rich` acting for
        it."""
        for mark in "/$":
            if mark in name:
                name, vault = name.partition(mark)[0], name
        self.nonce += 1
        behalf = None if vault is None else address_of(vault)
        envelope = Envelope(2 if user_signed else 1, self.nonce, behalf, None, b"\x80", 27,
                            bytes(32), bytes(32))  # fmt: skip
        return Transaction(
            address_of(name), action, self.nonce, encode_envelope(envelope),
            is_user_signed=user_signed, vault=behalf,
        )  # fmt: skip

    def envelope(
        self, leader: str, user: str, signers: list[str], action: Action, *,
        user_signed: bool = False, vault: str | None = None, outer: str | None = None,
    ) -> Transaction:  # fmt: skip
        """A multi-sig envelope led by a name; `outer` is whom it names as its leader if another."""
        one = self.transaction(leader, action, user_signed=user_signed, vault=vault)
        one.multi_sig = MultiSigned(
            address_of(user), address_of(outer or leader), tuple(map(address_of, signers))
        )
        return one

    def block(
        self,
        transactions: list[Transaction] | None = None,
        system: list[SystemInput] | None = None,
        *,
        at: int | None = None,
    ) -> Result:
        """Make a block of these inputs."""
        time_ms = self.engine.state.time_ms + self.step if at is None else at
        self.inputs.append(
            BlockInput(time_ms, self.engine.genesis.proposer, system or [], transactions or [])
        )
        sealed = self.engine.execute(self.inputs[-1])
        self.blocks.append(sealed)
        return Result(sealed, [decode_entry(raw) for raw in sealed.entries])

    def deposit_input(self, name: str, usdc: str) -> SystemInput:
        """A deposit as a system input."""
        self.deposits += 1
        body = (
            address_of(name)
            + parse_decimal(usdc, 6, "usdc").to_bytes(16, "big")
            + self.deposits.to_bytes(8, "big")
            + bytes(32)
        )
        return SystemInput(SystemType.DEPOSIT, body)

    def fund(self, **amounts: str) -> Result:
        """Deposit USDC for named accounts."""
        return self.block(system=[self.deposit_input(name, usdc) for name, usdc in amounts.items()])

    def vote(self, prices: dict[int, str], validator: int = 0) -> SystemInput:
        """One validator's prices as a system input."""
        self.nonce += 1
        action = OracleVote(
            [(asset, E8(parse_decimal(text, 8, "p")), None) for asset, text in prices.items()]
        )
        envelope = encode_envelope(
            Envelope(1, self.nonce, None, None, b"\x80", 27, bytes(32), bytes(32))
        )
        signer = Address(bytes([0xAA + validator]) * 20)
        transaction = Transaction(signer, action, self.nonce, envelope)
        return SystemInput(SystemType.ORACLE_VOTE, envelope + signer, transaction)

    def prices(self, prices: dict[int, str], *, at: int | None = None) -> Result:
        """An oracle round by the first validator."""
        return self.block(system=[self.vote(prices)], at=at)

    def act(
        self, name: str, action: Action, *, user_signed: bool = False, vault: str | None = None
    ) -> Result:
        """One transaction in its own block."""
        return self.block([self.transaction(name, action, user_signed=user_signed, vault=vault)])

    def place(self, name: str, *orders: OrderRequest) -> Result:
        """Orders of one action."""
        return self.act(name, PlaceOrders(list(orders)))

    def place_family(self, name: str, *orders: OrderRequest) -> Result:
        """A parent and its children (`normalTpsl`)."""
        return self.act(name, PlaceOrders(list(orders), Grouping.PARENT))

    def place_for_position(self, name: str, *orders: OrderRequest) -> Result:
        """Trigger orders of a position (`positionTpsl`)."""
        return self.act(name, PlaceOrders(list(orders), Grouping.POSITION))

    def cancel(self, name: str, asset: int, target: int | bytes) -> Result:
        """Cancel one order."""
        return self.act(name, CancelOrders([(asset, target)]))

    def modify(
        self, name: str, target: int | bytes, request: OrderRequest, always: bool = False
    ) -> Result:
        """Modify one order."""
        return self.act(name, ModifyOrders([(target, request)], always))
