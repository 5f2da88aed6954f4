"""Which channel serves which subscription."""

from typing import Final

from chainperp.node.socket.channels import Channel, Maker
from chainperp.node.socket.market_feeds import (
    AllMids,
    BestFeed,
    BookFeed,
    ContextFeed,
    Contexts,
    ContextsOfAll,
    FastContexts,
    SpotContexts,
    TradesFeed,
)

MAKERS: Final[dict[str, Maker]] = {
    "allMids": AllMids,
    "l2Book": BookFeed,
    "bbo": BestFeed,
    "trades": TradesFeed,
    "activeAssetCtx": ContextFeed,
    "assetCtxs": Contexts,
    "spotAssetCtxs": SpotContexts,
    "allDexsAssetCtxs": ContextsOfAll,
    "fastAssetCtxs": FastContexts,
    "outcomeMetaUpdates": Channel,
    "notification": Channel,
}
