"""`chainperp tick`: is a price on a market's grid, and which are next to it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chainperp.base.errors import EXIT_FALSE
from chainperp.cli import output
from chainperp.cli.asking import Asking
from chainperp.cli.options import takes
from chainperp.cli.signing import Genesis, genesis_markets, genesis_pairs, node_of

if TYPE_CHECKING:
    from chainperp.client.markets import Market


@takes(Asking)
def tick(
    options: Asking,
    coin: Annotated[str, typer.Argument(help="Market, such as BTC, or CHP/USDC.")],
    price: Annotated[str, typer.Argument(help="Price.")],
    genesis: Genesis = None,
    size_decimals: Annotated[
        int | None,
        typer.Option("--size-decimals", min=0, max=6, help="Of a market that no node lists."),
    ] = None,
) -> None:
    """Valid prices around a price; exit 1 if it is none. Example: chainperp tick BTC 95000.55"""
    from chainperp.base.units import E8_DECIMALS, parse_decimal, strip_decimal
    from chainperp.client.markets import Market, find_market, is_valid_price, neighbours

    if size_decimals is not None:
        market, source = Market(coin, 0, size_decimals, 1), f"{size_decimals} size decimals"
    elif genesis is not None:
        market, source = find_market(_of_genesis(genesis, coin), coin), str(genesis)
    else:
        found, source = _markets(options, coin)
        market = find_market(found, coin)
    value = parse_decimal(price, E8_DECIMALS, "price")
    if value <= 0:
        output.usage(f"a price is above zero, was {price}")
    is_valid = is_valid_price(market, value)
    below, above = (strip_decimal(one, E8_DECIMALS) if one else None
                    for one in neighbours(market, value))  # fmt: skip
    document: dict[str, Any] = {
        "coin": market.name,
        "price": price,
        "valid": is_valid,
        "below": below,
        "above": above,
        "lot": market.lot,
        "size_decimals": market.size_decimals,
        "rule": "PRC-1",
        "markets_from": source,
    }
    near = " and ".join(one for one in (below, above) if one)
    verdict = "is valid" if is_valid else f"is not valid; nearest valid prices {near}"
    lines = [
        f"{price} {verdict} for {market.name}",
        f"  {market.price_rule} (PRC-1: chainperp rules PRC-1)",
        f"  sizes are whole multiples of {market.lot}; markets of {source}",
    ]
    output.answer(document, lines, options.as_json)
    if not is_valid:
        raise typer.Exit(EXIT_FALSE)


def _of_genesis(genesis: Path | None, coin: str) -> "list[Market]":
    """Perpetuals of a genesis file, or its pairs for a name with a slash."""
    return genesis_pairs(genesis) if "/" in coin else genesis_markets(genesis)


def _markets(options: Asking, coin: str) -> "tuple[list[Market], str]":
    """The node's markets or pairs; without a node and without --url the default ones, said so."""
    import os

    from chainperp.client.markets import markets_of_meta, pairs_of_meta
    from chainperp.client.refusal import Unreachable

    node = node_of(options.url, options.timeout)
    try:
        if "/" in coin:
            return pairs_of_meta(node.info("spotMeta")), node.url
        return markets_of_meta(node.info("meta")), node.url
    except Unreachable:
        if options.url or os.environ.get("CHAINPERP_URL"):
            raise
    output.say(f"no node at {node.url}: these are the grids of the default genesis")
    return _of_genesis(None, coin), "the default genesis"
