"""INV: what must hold after every block, whatever happened in it.

A failing check stops the process before anything of the block is published.
"""

from chainperp.base.errors import InvariantBroken, ensure
from chainperp.rules.catalogue import rule


@rule("INV-1")
def check_cash(cash_sum: int, custody: int) -> None:
    """Every micro-dollar in custody is in exactly one cell: accounts, isolated positions, system
    accounts, pending withdrawals.

    Source: reliability E1, INV-M1.
    """
    ensure(
        cash_sum == custody,
        "INV-1",
        "money was made or lost",
        cash_sum=cash_sum,
        custody=custody,
    )


@rule("INV-2")
def check_lots(asset: int, longs: int, shorts: int) -> None:
    """In each market the lots of all longs equal the lots of all shorts.

    Source: reliability E2, INV-P1.
    """
    # Not `ensure`: it would make a table of the numbers, for every market of every block.
    if longs != shorts:
        raise InvariantBroken(
            "INV-2", "lots do not sum to zero", asset=asset, longs=longs, shorts=shorts
        )


@rule("INV-3")
def check_book(asset: int, bid: int | None, ask: int | None) -> None:
    """A book at rest is neither crossed nor locked.

    Source: reliability INV-B2.
    """
    if bid is not None and ask is not None and bid >= ask:
        raise InvariantBroken("INV-3", "book is crossed", asset=asset, bid=bid, ask=ask)


@rule("INV-4")
def check_time(before_ms: int, now_ms: int) -> None:
    """Block time strictly rises.

    Source: reliability INV-C1.
    """
    ensure(now_ms > before_ms, "INV-4", "block time did not rise", before=before_ms, now=now_ms)


@rule("INV-5")
def check_supply(token: int, balances: int, burned: int, supply: int) -> None:
    """Of each token, what everybody has and what was burned is what genesis made. USDC is counted
    by INV-1.

    Source: reliability E4, INV-T1.
    """
    ensure(
        balances + burned == supply,
        "INV-5",
        "tokens were made or lost",
        token=token,
        balances=balances,
        burned=burned,
        supply=supply,
    )


@rule("INV-6")
def check_held(token: int, reserved: int, held: int, balance: int) -> None:
    """What is held of a balance is what its owner's resting orders reserve, and never more than
    there is.

    Source: reliability INV-M4.
    """
    ensure(
        reserved == held and held <= balance,
        "INV-6",
        "a hold differs from its orders",
        token=token,
        reserved=reserved,
        held=held,
        balance=balance,
    )


@rule("INV-7")
def check_shares(held: int, total: int) -> None:
    """The shares of all holders are the shares of all vaults.

    Source: reliability INV-V1.
    """
    ensure(held == total, "INV-7", "shares were made or lost", held=held, total=total)
