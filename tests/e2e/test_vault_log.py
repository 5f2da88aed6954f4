"""A log with vaults and quotes on disk: shown, explained and audited by the command line."""

from pathlib import Path
from typing import Any

import pytest

from chainperp.base.units import address_text, parse_decimal
from chainperp.chain.proving.log import find_transaction, prove_transaction
from chainperp.cli.chain_log import ChainLog
from chainperp.cli.entry_words import entry_sentences
from chainperp.cli.explain import explain_tx
from chainperp.cli.explain_fill import explain_fill
from chainperp.model.actions import CreateVault, PlaceOrders, VaultDistribute, VaultTransfer
from chainperp.model.decisions import Kind, Rejection
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.envelope import transaction_hash
from chainperp.rules.vaults import vault_address
from chainperp.state.store import BACKSTOP_VAULT, LIQUIDITY_VAULT, MARKET_MAKER
from chainperp.storage.datadir import DataDir
from chainperp.storage.store import ChainStore
from chainperp.transition.recorder import FLAG_NETTED
from tests.support.chain import run_cli
from tests.support.forced import ETH, usdc
from tests.support.proofs import LoggedStage, assert_yes, audited
from tests.support.world import address_of, order

DAY = 86_400_000
VAULT = vault_address(address_of("Lea"), 0)


class Built:
    """The chain, its data directory, and hashes of transactions by what they are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hashes: dict[str, bytes] = {}
        self.stage = LoggedStage(
            vault="100000", vault_lockup_ms=0, liquidity_vault_lockup_ms=0,
            unwind_interval_ms=10**9, snapshot_interval=20,
        )  # fmt: skip

    def act(self, name: str, action: Any, label: str = "", vault: bytes | None = None) -> None:
        """An action that passes; its hash is kept under the label."""
        one = self.stage.transaction(name, action)
        if vault is not None:
            one.vault = VAULT
            one.envelope = self.stage._envelope(action, 1, vault)
        result = self.stage.block([one])
        assert result.codes == [Rejection.ACCEPTED], (name, result.codes)
        self.hashes[label] = transaction_hash(one.envelope)

    def round(self, price: str) -> None:
        """The block of the next round of quotes."""
        stage = self.stage
        at = stage.state.time_ms // 3000 * 3000 + 3000
        stage.nonce = max(stage.nonce, at)
        stage.block(system=[stage.vote({ETH: price})], at=at)

    def live(self) -> None:
        """A vault is led, joined, traded and left; the liquidity vault quotes, is joined, splits
        its capital, and nets its children."""
        stage = self.stage
        for address, amount in ((MARKET_MAKER, "100000"), (LIQUIDITY_VAULT, "900000")):
            stage.block(system=[stage.deposit_to(address, amount)])
        for name in ("Lea", "Fay", "Ben", "Cas"):
            stage.person(name, "1000000")
        self.round("4000")
        self.act("Lea", CreateVault("Steady", "Buys low and sells high.", usdc("1000")), "create")
        self.act("Fay", VaultTransfer(VAULT, True, usdc("5000")), "deposit")
        for _ in range(3):
            stage.place("Ben", order(ETH, "buy", "0.6", "4100", "Ioc"))
            self.round("4000")
        stage.place("Ben", order(ETH, "sell", "1", "4020"))
        self.act("Lea", PlaceOrders([order(ETH, "buy", "1", "4020", "Ioc")]), "trade", VAULT)
        stage.person("Ann", "40000")
        stage.trade("Ann", "Cas", "100", "4003")
        for _ in range(50):
            self.round("4000")
        self.act("Fay", VaultTransfer(VAULT, True, usdc("333.333333")), "odd")
        self.round("4010")
        stage.mark("3632")
        stage.nonce = (stage.state.time_ms // 60_000 + 1) * 60_000
        stage.block(at=stage.nonce)
        self.round("4300")
        self.round("4300")
        self.act("Fay", VaultTransfer(VAULT, False, usdc("1234.567891")), "withdrawal")
        self.act("Fay", VaultTransfer(LIQUIDITY_VAULT, True, usdc("7000")), "join")
        self.act("Lea", VaultDistribute(VAULT, usdc("500")), "distribution")
        stage.nonce = (stage.state.time_ms // DAY + 1) * DAY
        stage.block(at=stage.nonce)
        self.round("4300")

    def write(self) -> None:
        """Put the chain on disk."""
        DataDir.create(self.path, self.stage.engine.genesis.raw, bytes(32)).close()
        store = ChainStore.open(self.path)
        for block in self.stage.blocks:
            store.commit(block)
        store.close()

    def told(self, label: str) -> list[str]:
        """What explain says of a transaction's effects."""
        found = explain_tx(self.path, self.hashes[label]).document
        return [one["text"] for one in found["effects"]]


@pytest.fixture(name="log", scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """One chain for all tests."""
    built = Built(tmp_path_factory.mktemp("vaults") / "chain")
    built.live()
    built.write()
    return built


def said(texts: list[str], *parts: str) -> str:
    """The sentence that has all these parts."""
    (found,) = [text for text in texts if all(part in text for part in parts)]
    return found


def test_a_withdrawal_is_explained_with_all_its_numbers(log: Built) -> None:
    """Worth, redemption, profit, commission and pay: each figure is in the SHARES entry."""
    texts = log.told("withdrawal")
    fields = shares_entry(log, "withdrawal")
    part = -fields["basis_change"]
    assert fields["commission"] > 0
    said(texts, "was worth", f"with {fields['total']} shares in all", str(fields["value"]))
    said(texts, "he asked for 1234.567891 USDC", f"had {fields['held']} shares")
    said(texts, f"{-fields['change']} shares were redeemed", money(fields["gross"]))
    profit = fields["gross"] - fields["closing_cost"] - part
    said(texts, f"a profit of {money(profit)}", f"commission is {money(fields['commission'])}")
    said(texts, f"= {money(fields['net'])}", f"he keeps {fields['held'] + fields['change']} shares")
    said(texts, "paid out by the vault", money(fields["net"]))


def money(amount: int) -> str:
    """As sentences write it."""
    from chainperp.cli.chain_log import money as text

    return text(amount)


def shares_entry(log: Built, label: str) -> dict[str, Any]:
    """The SHARES entry of a transaction."""
    for block in log.stage.blocks:
        entries = [decode_entry(raw) for raw in block.entries]
        for at, one in enumerate(entries):
            if (
                one.kind is Kind.TX_USER
                and transaction_hash(decode_payload(one)["envelope"]) == log.hashes[label]
            ):
                for other in entries[at:]:
                    if other.kind is Kind.SHARES:
                        return decode_payload(other)
    raise AssertionError(label)


def test_a_deposit_and_a_distribution_are_explained(log: Built) -> None:
    """What an odd amount leaves with the depositor, the lock-up, and each holder's part."""
    texts = log.told("odd")
    fields = shares_entry(log, "odd")
    said(texts, "deposited 333.333333 USDC", f"{fields['change']} shares, rounded down")
    said(texts, "locked until")
    texts = log.told("distribution")
    assert len([text for text in texts if "Of 500.0 USDC for all" in text]) == 2
    said(log.told("create"), "Vault 0x", '"Steady"', "was opened with 1000.0 USDC")


def test_effects_of_a_transaction_end_where_the_exchange_begins(log: Built) -> None:
    """Quotes, netting and purchases are no effects of the user before them; the proof agrees."""
    source = log.stage.source
    for label in ("withdrawal", "join"):
        assert not any("market-making child" in text for text in log.told(label))
        assert_yes(prove_transaction(source, find_transaction(source, log.hashes[label])))


def sentences_of(log: Built, kind: Kind) -> list[str]:
    """All that the entries of a kind say."""
    chain = ChainLog(log.path)
    return [
        one.text
        for block in chain.blocks()
        for entry in block.of(kind)
        for one in entry_sentences(chain, entry)
    ]


def test_rounds_capital_and_netting_have_words(log: Built) -> None:
    """Each with its inputs."""
    rounds = sentences_of(log, Kind.QUOTE)
    said(rounds[:2], "worth 100000.0 USDC with positions of 0.0 USDC")
    assert any("0 quotes stay, 0 go, 6 are new" in text for text in rounds)
    moves = sentences_of(log, Kind.CHILDREN)
    assert any("closed against each other at the mark" in text for text in moves)
    assert any("may move today" in text for text in moves)
    assert any("for a target of" in text for text in moves)


def test_a_netting_trade_is_explained(log: Built) -> None:
    """Its price is the mark, its cause the netting."""
    tids = [
        fields["tid"]
        for block in log.stage.blocks
        for entry in map(decode_entry, block.entries)
        if entry.kind is Kind.FILL and (fields := decode_payload(entry))["flags"] & FLAG_NETTED
    ]
    (tid,) = tids
    told = [one["text"] for one in explain_fill(log.path, tid).document["sentences"]]
    said(told, "two children of the liquidity vault are netted")
    said(told, "Cause: positions of the children are netted")


def test_query_lists_all_vaults(log: Built) -> None:
    """Value, shares and price of each."""
    answer = run_cli("query", "vault", "--dir", str(log.path), "--json")
    assert answer.code == 0, answer.err
    rows = {row["address"]: row for row in answer.document["vaults"]}
    assert set(rows) == {address_text(VAULT), address_text(LIQUIDITY_VAULT)}
    assert rows[address_text(VAULT)]["name"] == "Steady"
    assert rows[address_text(VAULT)]["holders"] == 2
    text = run_cli("query", "vault", "--dir", str(log.path))
    assert text.code == 0
    assert "Steady" in text.out


def test_query_shows_the_liquidity_vault_with_its_quotes(log: Built) -> None:
    """Parent and children sum to the value; the last round is the last QUOTE entry."""
    address = address_text(LIQUIDITY_VAULT)
    answer = run_cli("query", "vault", address, "--dir", str(log.path), "--json")
    assert answer.code == 0, answer.err
    document = answer.document
    amounts = [parse_decimal(row["value"], 6, "v") for row in document["members"]]
    assert sum(amounts) == parse_decimal(document["value"], 6, "v")
    assert [row["name"] for row in document["members"]] == ["parent", "liquidator", "market maker"]
    assert document["quoting"]["rule"]["levels"] == 3
    last = document["quoting"]["lastRound"]
    entries = [raw for block in log.stage.blocks for raw in block.entries]
    assert decode_entry(entries[last["index"]]).kind is Kind.QUOTE
    assert not any(decode_entry(raw).kind is Kind.QUOTE for raw in entries[last["index"] + 1 :])
    assert len(document["quoting"]["resting"]) == len(log.stage.state.accounts[MARKET_MAKER].orders)
    equities = sum(parse_decimal(row["equity"], 6, "e") for row in document["followers"])
    assert 0 <= parse_decimal(document["value"], 6, "v") - equities < len(document["followers"])
    text = run_cli("query", "vault", address, "--dir", str(log.path))
    for words in ("quoting rule", "last round", "quotes at rest", "locked until", "positions"):
        assert words in text.out, words


def test_query_of_no_vault_is_not_found(log: Built) -> None:
    """Exit 3 and a sentence."""
    answer = run_cli("query", "vault", address_text(BACKSTOP_VAULT), "--dir", str(log.path))
    assert answer.code == 3
    assert "has no vault" in answer.err


def test_an_audit_is_clean_and_counts_them(log: Built) -> None:
    """Rounds, moves and changes of shares are in the report."""
    report = audited(log.stage)
    assert report.findings == []
    assert report.share_changes >= 6
    assert report.quotes >= 5
