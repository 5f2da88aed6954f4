"""What crosses the border of the exchange, in sentences: entries about deposits and payouts."""

from collections.abc import Callable
from typing import Final

from chainperp.base.units import strip_decimal
from chainperp.cli.chain_log import ChainLog, Logged, Sentence, money, who
from chainperp.model.bridge import EVM_TOKEN_DECIMALS, GRANT_MARK, GRANT_NONCE, PAID
from chainperp.model.decisions import Kind, rule_code
from chainperp.state.store import ASSISTANCE_FUND


def _deposit(_log: ChainLog, entry: Logged) -> Sentence:
    """Money that came in, and from where."""
    fields = entry.fields()
    user, amount = who(fields["user"]), money(fields["amount"])
    if (fields["l1_nonce"], fields["l1_ref"]) == (GRANT_NONCE, GRANT_MARK):
        text = f"{user} was granted {amount}, with nothing behind it"
        return Sentence(text, "TRF-7", entry.index)
    text = (
        f"Deposit {fields['l1_nonce']} of {amount} was credited to {user}; it was seen outside in "
        f"0x{fields['l1_ref'].hex()}"
    )
    return Sentence(text, "TRF-4", entry.index)


def _request(_log: ChainLog, entry: Logged) -> Sentence:
    """Money that is on its way out."""
    fields = entry.fields()
    is_transfer = fields["user"] == ASSISTANCE_FUND
    fee = f", for a fee of {money(fields['fee'])}" if fields["fee"] else ""
    what = " to buy with on the EVM" if is_transfer else ""
    text = (
        f"Withdrawal {fields['wid']}: {who(fields['user'])} sends {money(fields['amount'])} to "
        f"{who(fields['destination'])}{what}{fee}; it waits until it is paid"
    )
    return Sentence(text, "BUY-7" if is_transfer else "TRF-3", entry.index)


def _done(_log: ChainLog, entry: Logged) -> Sentence:
    """How a withdrawal ended."""
    fields = entry.fields()
    name, where = f"Withdrawal {fields['wid']}", f"0x{fields['l1_ref'].hex()}"
    if fields["outcome"] == PAID:
        text = f"{name} was paid outside in {where}: its amount left custody"
    else:
        text = f"{name} was cancelled outside in {where}: its amount is its account's again"
    return Sentence(text, "TRF-8", entry.index)


def tokens(amount: int) -> str:
    """An amount of the token on the EVM for people."""
    return strip_decimal(amount, EVM_TOKEN_DECIMALS)


def _purchase(_log: ChainLog, entry: Logged) -> Sentence:
    """A purchase of the vault."""
    fields = entry.fields()
    text = (
        f"Purchase {fields['number']} on the EVM: the vault spent {money(fields['spent'])}, bought "
        f"{tokens(fields['bought'])} tokens and burned {tokens(fields['burned'])}; log "
        f"{fields['log_index']} of block "
        f"{fields['block']}, 0x{fields['block_hash'].hex()}, for the transfer with leaf "
        f"0x{fields['decision'].hex()}"
    )
    return Sentence(text, rule_code(fields["rule"]), entry.index)


BORDER_SENTENCES: Final[dict[Kind, Callable[[ChainLog, Logged], Sentence]]] = {
    Kind.DEPOSIT: _deposit,
    Kind.WITHDRAW_REQ: _request,
    Kind.WITHDRAW_DONE: _done,
    Kind.EVM_BUYBACK: _purchase,
}
