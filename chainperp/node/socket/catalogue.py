"""Which channel serves which subscription."""

from typing import Final

from chainperp.node.socket import account_feeds, asked_feeds, market_feeds
from chainperp.node.socket.channels import Channel, Maker

MAKERS: Final[dict[str, Maker]] = {
    "allMids": market_feeds.AllMids,
    "l2Book": market_feeds.BookFeed,
    "bbo": market_feeds.BestFeed,
    "trades": market_feeds.TradesFeed,
    "candle": asked_feeds.CandleFeed,
    "activeAssetCtx": market_feeds.ContextFeed,
    "assetCtxs": market_feeds.Contexts,
    "spotAssetCtxs": market_feeds.SpotContexts,
    "allDexsAssetCtxs": market_feeds.ContextsOfAll,
    "fastAssetCtxs": market_feeds.FastContexts,
    "outcomeMetaUpdates": Channel,
    "orderUpdates": account_feeds.OrderUpdates,
    "userEvents": account_feeds.UserEvents,
    "userFills": account_feeds.UserFills,
    "userFundings": account_feeds.UserFundings,
    "userNonFundingLedgerUpdates": asked_feeds.LedgerUpdates,
    "userHistoricalOrders": asked_feeds.HistoricalOrders,
    "userTwapSliceFills": account_feeds.TwapSliceFills,
    "userTwapHistory": account_feeds.TwapHistory,
    "twapStates": asked_feeds.TwapStates,
    "clearinghouseState": asked_feeds.MarginState,
    "allDexsClearinghouseState": asked_feeds.MarginStates,
    "openOrders": asked_feeds.OpenOrders,
    "spotState": asked_feeds.SpotState,
    "activeAssetData": asked_feeds.AssetData,
    "webData2": asked_feeds.WebData2,
    "webData3": asked_feeds.WebData3,
    "notification": Channel,
}
