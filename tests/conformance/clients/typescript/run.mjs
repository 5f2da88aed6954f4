// `@nktkas/hyperliquid` against a node: `node run.mjs URL WS_URL KEYS`, KEYS a JSON list of private keys.
// Prints one JSON line for each call: [row, method, word, text].
import { ExchangeClient, HttpTransport, InfoClient, SubscriptionClient, WebSocketTransport } from "@nktkas/hyperliquid";
import { SymbolConverter } from "@nktkas/hyperliquid/utils";
import { privateKeyToAccount } from "viem/accounts";
import WebSocket from "ws";

globalThis.WebSocket ??= WebSocket;
const [url, wsUrl, keysText] = process.argv.slice(2);
const wallets = JSON.parse(keysText).map((key) => privateKeyToAccount(key));
const [me, , friend, , , converted, first, second] = wallets;
const user = me.address;
const EVENT_MS = 8000;
let hasDesk;

function say(row, method, word, text = "") {
  process.stdout.write(JSON.stringify([row, method, word, text.slice(0, 400)]) + "\n");
}

function judge(error) {
  const text = String(error?.message ?? error);
  const whole = text + " " + String(error?.response?.body ?? error?.body ?? "");
  if (/unknown variant|not offered|404 Not Found/.test(whole)) return ["not offered", whole.trim()];
  if (error?.name === "ApiRequestError") return ["refused", text];
  return ["failed", `${error?.name}: ${whole}`];
}

async function call(row, method, run, check = () => true) {
  try {
    const value = await run();
    if (!(await check(value))) throw new Error(`answer was ${JSON.stringify(value)}`);
    say(row, method, "worked");
    return value;
  } catch (error) {
    say(row, method, ...judge(error));
    return undefined;
  }
}

const transport = new HttpTransport({ apiUrl: url, rpcUrl: url, isTestnet: true });
const info = new InfoClient({ transport });
const exchangeOf = (wallet, through = transport) => new ExchangeClient({ transport: through, wallet });
const exchange = exchangeOf(me);

const limit = (a, b, p, s, extra = {}) => ({ a, b, p, s, r: false, t: { limit: { tif: "Gtc" } }, ...extra });
const one = (order, grouping = "na") => ({ orders: [order], grouping });
const status = (reply) => reply?.response?.data?.statuses?.[0];
const oidOf = (reply) => status(reply)?.resting?.oid ?? 1;
const openOids = async () => (await info.openOrders({ user })).map((row) => row.oid);
const position = async (coin) => {
  const state = await info.clearinghouseState({ user });
  const found = state.assetPositions.find((row) => row.position.coin === coin);
  return found ? Number(found.position.szi) : 0;
};

async function orders() {
  const placed = await call("order", "order", () => exchange.order(one(limit(0, true, "95000", "0.01"))),
    async (reply) => (await openOids()).includes(oidOf(reply)));
  await call("orderStatus", "orderStatus", () => info.orderStatus({ user, oid: oidOf(placed) }),
    (reply) => reply.status === "order" && reply.order.status === "open");
  const changed = await call("batchModify", "batchModify",
    () => exchange.batchModify({ modifies: [{ oid: oidOf(placed), order: limit(0, true, "94000", "0.02") }] }),
    async (reply) => (await openOids()).includes(oidOf(reply)));
  await call("modify", "modify",
    () => exchange.modify({ oid: oidOf(changed), order: limit(0, true, "93500", "0.02") }),
    (reply) => reply.response.type === "default");
  const last = (await openOids().catch(() => [1]))[0] ?? 1;
  await call("cancel", "cancel", () => exchange.cancel({ cancels: [{ a: 0, o: last }] }),
    async () => !(await openOids()).includes(last));
  const cloid = "0x" + "0d".repeat(16);
  await call("order", "order with cloid", () => exchange.order(one(limit(0, true, "93000", "0.01", { c: cloid }))),
    (reply) => status(reply).resting.cloid === cloid);
  await call("cancelByCloid", "cancelByCloid", () => exchange.cancelByCloid({ cancels: [{ asset: 0, cloid }] }));
  await call("order", "order Ioc", () => exchange.order(
    one(limit(0, true, "100100", "0.05", { t: { limit: { tif: "FrontendMarket" } } }))),
    async (reply) => status(reply).filled && (await position("BTC")) === 0.05);
  await call("order", "order positionTpsl", () => exchange.order({
    orders: [{ a: 0, b: false, p: "90000", s: "0.05", r: true, t: { trigger: { isMarket: true, triggerPx: "95000", tpsl: "sl" } } }],
    grouping: "positionTpsl",
  }), (reply) => status(reply) === "waitingForTrigger");
  await call("order", "order reduce-only close", () => exchange.order(
    one(limit(0, false, "99000", "0.05", { r: true, t: { limit: { tif: "Ioc" } } }))),
    async () => (await position("BTC")) === 0);
  const twap = await call("twapOrder", "twapOrder",
    () => exchange.twapOrder({ twap: { a: 0, b: true, s: "0.5", r: false, m: 30, t: false } }));
  await call("twapCancel", "twapCancel",
    () => exchange.twapCancel({ a: 0, t: twap?.response?.data?.status?.running?.twapId ?? 1 }));
}

async function accounts() {
  const USDC = "USDC:0x6d1e7cde53ba9467b783cb7c530ce054";
  await call("updateLeverage", "updateLeverage", () => exchange.updateLeverage({ asset: 0, isCross: true, leverage: 5 }));
  await call("updateLeverage", "updateLeverage isolated", () => exchange.updateLeverage({ asset: 1, isCross: false, leverage: 5 }));
  await call("order", "order isolated", () => exchange.order(one(limit(1, true, "4010", "1", { t: { limit: { tif: "Ioc" } } }))));
  await call("updateIsolatedMargin", "updateIsolatedMargin", () => exchange.updateIsolatedMargin({ asset: 1, isBuy: true, ntli: 50000000 }));
  await call("order", "order close isolated", () => exchange.order(one(limit(1, false, "3980", "1", { r: true, t: { limit: { tif: "Ioc" } } }))));
  await call("scheduleCancel", "scheduleCancel", () => exchange.scheduleCancel({ time: Date.now() + 60000 }));
  await call("scheduleCancel", "scheduleCancel off", () => exchange.scheduleCancel());
  await call("usdSend", "usdSend", () => exchange.usdSend({ destination: friend.address, amount: "10" }));
  await call("withdraw3", "withdraw3", () => exchange.withdraw3({ destination: friend.address, amount: "5" }));
  await call("usdClassTransfer", "usdClassTransfer", () => exchange.usdClassTransfer({ amount: "5", toPerp: false }));
  await call("spotSend", "spotSend", () => exchange.spotSend({ destination: friend.address, token: USDC, amount: "1" }));
  await call("sendAsset", "sendAsset", () => exchange.sendAsset(
    { destination: friend.address, sourceDex: "", destinationDex: "", token: USDC, amount: "1", fromSubAccount: "" }));
  await call("approveAgent", "approveAgent", () => exchange.approveAgent({ agentAddress: wallets[20].address, agentName: "ts" }),
    async () => (await info.extraAgents({ user })).some((row) => row.name === "ts"));
  await call("order", "order by agent", () => exchangeOf(wallets[20]).order(one(limit(0, true, "91000", "0.01"))),
    async (reply) => (await openOids()).includes(oidOf(reply)));
  await call("noop", "noop", () => exchange.noop());
  await call("approveBuilderFee", "approveBuilderFee", () => exchange.approveBuilderFee({ maxFeeRate: "0.01%", builder: friend.address }),
    async () => (await info.maxBuilderFee({ user, builder: friend.address })) === 10);
  await call("order", "order with builder", () => exchange.order({ ...one(limit(0, true, "90500", "0.01")), builder: { b: friend.address, f: 10 } }));
  await call("order", "order Ioc with builder", () => exchange.order({ ...one(limit(0, true, "100500", "0.01", { t: { limit: { tif: "Ioc" } } })), builder: { b: friend.address, f: 10 } }),
    async () => (await info.userFills({ user }))[0].builderFee === "0.10001");
  await call("reserveRequestWeight", "reserveRequestWeight", () => exchange.reserveRequestWeight({ weight: 1 }));
  await call("setDisplayName", "setDisplayName", () => exchange.setDisplayName({ displayName: "me" }));
  await call("userSetAbstraction", "userSetAbstraction", () => exchange.userSetAbstraction({ user, abstraction: "disabled" }));
  await call("agentSetAbstraction", "agentSetAbstraction", () => exchange.agentSetAbstraction({ abstraction: "u" }));
  const made = hasDesk = await call("createSubAccount", "createSubAccount", () => exchange.createSubAccount({ name: "desk" }));
  const desk = made?.response?.data ?? friend.address;
  await call("subAccountTransfer", "subAccountTransfer", () => exchange.subAccountTransfer({ subAccountUser: desk, isDeposit: true, usd: 1000000000 }));
  await call("subAccountSpotTransfer", "subAccountSpotTransfer", () => exchange.subAccountSpotTransfer({ subAccountUser: desk, isDeposit: true, token: USDC, amount: "1" }));
  await call("subAccountModify", "subAccountModify", () => exchange.subAccountModify({ subAccountUser: desk, name: "desk2" }));
  if (made) {
    await call("order", "order of sub-account", () => exchange.order(one(limit(0, true, "90000", "0.001")), { vaultAddress: desk }));
  }
  const opened = await call("createVault", "createVault", () => exchange.createVault({ name: "bank", description: "a vault of the run", initialUsd: 200000000, nonce: Date.now() }));
  const vault = opened?.response?.data ?? friend.address;
  await call("vaultTransfer", "vaultTransfer", () => exchange.vaultTransfer({ vaultAddress: vault, isDeposit: true, usd: 10000000 }),
    async () => (await info.userVaultEquities({ user })).some((row) => row.vaultAddress === vault));
  await call("order", "order of vault", () => exchange.order(one(limit(0, true, "90000", "0.001")), { vaultAddress: vault }));
  await call("vaultModify", "vaultModify", () => exchange.vaultModify({ vaultAddress: vault, allowDeposits: true, alwaysCloseOnWithdraw: null }));
  await call("vaultDistribute", "vaultDistribute", () => exchange.vaultDistribute({ vaultAddress: vault, usd: 1000000 }));
  const done = await call("convertToMultiSigUser", "convertToMultiSigUser", () => exchangeOf(converted).convertToMultiSigUser(
    { signers: { authorizedUsers: [first.address, second.address], threshold: 2 } }));
  if (done) {
    const several = new ExchangeClient({ transport, signers: [first, second], multiSigUser: converted.address });
    await call("multiSig", "order of multi-sig user", () => several.order(one(limit(0, true, "90000", "0.001"))));
  }
}

async function tokens() {
  const seller = exchangeOf(friend);
  const ioc = { t: { limit: { tif: "Ioc" } } };
  await exchange.usdClassTransfer({ amount: "500", toPerp: false });
  const offered = await call("order", "order of a spot pair, sell", () => seller.order(one(limit(10000, false, "1.25", "30"))),
    (reply) => status(reply).resting);
  await call("order", "order of a spot pair, buy", () => exchange.order(one(limit(10000, true, "1.25", "20", ioc))),
    (reply) => status(reply).filled.totalSz === "20.0");
  await call("userFills", "userFills of spot", () => info.userFills({ user }), (a) => a[0].coin === "CHP/USDC" && a[0].feeToken === "CHP");
  await call("spotClearinghouseState", "spotClearinghouseState with tokens", () => info.spotClearinghouseState({ user }),
    (a) => a.balances.some((row) => row.coin === "CHP" && row.entryNtl === "25.0"));
  const rests = await call("order", "order of a spot pair, resting", () => exchange.order(one(limit(10000, true, "1.1", "20"))),
    async (reply) => (await openOids()).includes(oidOf(reply)));
  await call("cancel", "cancel of a spot order", () => exchange.cancel({ cancels: [{ a: 10000, o: oidOf(rests) }] }));
  await seller.cancel({ cancels: [{ a: 10000, o: oidOf(offered) }] });
  const token = (await info.spotMeta()).tokens[1];
  await call("spotSend", "spotSend of a token", () => exchange.spotSend({ destination: friend.address, token: `${token.name}:${token.tokenId}`, amount: "1.5" }));
  await call("? tokenDetails", "tokenDetails", () => info.tokenDetails({ tokenId: token.tokenId }), (a) => a.name === "CHP" && a.markPx === "1.25");
  await call("meta", "SymbolConverter of a spot pair", async () => {
    const converter = await SymbolConverter.create({ transport });
    return converter.getAssetId("CHP/USDC");
  }, (id) => id === 10000);
}

async function referrals() {
  const maker = exchangeOf(wallets[9]);
  await call("registerReferrer", "registerReferrer", () => maker.registerReferrer({ code: "TSMAKER" }));
  await call("setReferrer", "setReferrer", () => exchange.setReferrer({ code: "TSMAKER" }),
    async () => (await info.referral({ user })).referredBy.code === "TSMAKER");
  await exchange.order(one(limit(0, true, "100500", "0.5", { t: { limit: { tif: "Ioc" } } })));
  await exchange.order(one(limit(0, false, "99500", "0.5", { t: { limit: { tif: "Ioc" } }, r: true })));
  await call("? referral", "referral of a referrer", () => info.referral({ user: wallets[9].address }),
    (a) => a.referrerState.stage === "ready" && Number(a.unclaimedRewards) > 1 && a.rewardHistory.length === 1);
  await call("claimRewards", "claimRewards", () => maker.claimRewards(),
    async () => Number((await info.referral({ user: wallets[9].address })).claimedRewards) > 1);
}

async function queries() {
  const now = Date.now();
  const hour = 3600000;
  const asked = {
    meta: [() => info.meta(), (a) => a.universe[0].name === "BTC"],
    spotMeta: [() => info.spotMeta(), (a) => a.tokens[0].name === "USDC"],
    metaAndAssetCtxs: [() => info.metaAndAssetCtxs(), (a) => a[0].universe.length === a[1].length],
    spotMetaAndAssetCtxs: [() => info.spotMetaAndAssetCtxs(), (a) => a.length === 2],
    perpDexs: [() => info.perpDexs(), (a) => a[0] === null],
    outcomeMeta: [() => info.outcomeMeta(), (a) => Array.isArray(a.outcomes)],
    exchangeStatus: [() => info.exchangeStatus(), (a) => Math.abs(a.time - now) < 60000],
    allMids: [() => info.allMids(), (a) => Number(a.BTC) > 0],
    l2Book: [() => info.l2Book({ coin: "BTC" }), (a) => a.levels[0].length > 0],
    recentTrades: [() => info.recentTrades({ coin: "BTC" }), (a) => a[0].users.length === 2],
    candleSnapshot: [() => info.candleSnapshot({ coin: "BTC", interval: "1m", startTime: now - hour }), (a) => a.length > 0],
    fundingHistory: [() => info.fundingHistory({ coin: "BTC", startTime: now - hour }), Array.isArray],
    clearinghouseState: [() => info.clearinghouseState({ user }), (a) => Number(a.marginSummary.accountValue) > 0],
    spotClearinghouseState: [() => info.spotClearinghouseState({ user }), (a) => Array.isArray(a.balances)],
    openOrders: [() => info.openOrders({ user }), Array.isArray],
    frontendOpenOrders: [() => info.frontendOpenOrders({ user }), Array.isArray],
    historicalOrders: [() => info.historicalOrders({ user }), (a) => a.length > 3],
    userFills: [() => info.userFills({ user }), (a) => a.length > 0 && "feeToken" in a[0]],
    userFillsByTime: [() => info.userFillsByTime({ user, startTime: now - hour }), (a) => a.length > 0],
    userFunding: [() => info.userFunding({ user, startTime: now - hour }), Array.isArray],
    userNonFundingLedgerUpdates: [() => info.userNonFundingLedgerUpdates({ user }), (a) => a.length > 0],
    userFees: [() => info.userFees({ user }), (a) => Number(a.userCrossRate) > 0],
    userRateLimit: [() => info.userRateLimit({ user }), (a) => a.nRequestsCap > 0],
    userRole: [() => info.userRole({ user }), (a) => a.role === "user"],
    extraAgents: [() => info.extraAgents({ user }), Array.isArray],
    activeAssetData: [() => info.activeAssetData({ user, coin: "BTC" }), (a) => a.maxTradeSzs.length === 2],
    userAbstraction: [() => info.userAbstraction({ user }), (a) => typeof a === "string"],
    "? maxBuilderFee": [() => info.maxBuilderFee({ user, builder: friend.address }), (a) => typeof a === "number"],
    "? subAccounts": [() => info.subAccounts({ user }), (a) => !hasDesk || a.some((row) => row.master === user.toLowerCase())],
    "? subAccounts2": [() => info.subAccounts2({ user }), (a) => !hasDesk || a[0].dexToClearinghouseState[0][0] === ""],
    "? userVaultEquities": [() => info.userVaultEquities({ user }), Array.isArray],
    "? vaultDetails": [() => info.vaultDetails({ vaultAddress: "0xdfc24b077bc1425ad1dea75bcb6f8158e10df303" }), (found) => found.relationship.type === "parent"],
    "? userToMultiSigSigners": [() => info.userToMultiSigSigners({ user }), () => true],
    "? portfolio": [() => info.portfolio({ user }), (a) => a[0][0] === "day"],
    "? referral": [() => info.referral({ user }), (a) => "referrerState" in a],
    "? userTwapSliceFills": [() => info.userTwapSliceFills({ user }), Array.isArray],
    "? twapHistory": [() => info.twapHistory({ user }), Array.isArray],
    "? webData2": [() => info.webData2({ user }), (a) => "clearinghouseState" in a],
    "? marginTable": [() => info.marginTable({ id: 51 }), (a) => a.marginTiers.length > 0],
    "? perpsAtOpenInterestCap": [() => info.perpsAtOpenInterestCap(), Array.isArray],
    "? predictedFundings": [() => info.predictedFundings(), Array.isArray],
    "? maxMarketOrderNtls": [() => info.maxMarketOrderNtls(), Array.isArray],
    "? allPerpMetas": [() => info.allPerpMetas(), (a) => a[0].universe.length > 0],
    "? userDexAbstraction": [() => info.userDexAbstraction({ user }), () => true],
    "? approvedBuilders": [() => info.approvedBuilders({ user }), Array.isArray],
    "? preTransferCheck": [() => info.preTransferCheck({ user, source: user }), (a) => "fee" in a],
    "? isVip": [() => info.isVip({ user }), () => true],
    "? legalCheck": [() => info.legalCheck({ user }), () => true],
    "? leadingVaults": [() => info.leadingVaults({ user }), Array.isArray],
    "? delegatorSummary": [() => info.delegatorSummary({ user }), (a) => "delegated" in a],
    "? delegations": [() => info.delegations({ user }), Array.isArray],
    "? delegatorRewards": [() => info.delegatorRewards({ user }), Array.isArray],
    "? delegatorHistory": [() => info.delegatorHistory({ user }), Array.isArray],
    "? liquidatable": [() => info.liquidatable(), Array.isArray],
    "? blockDetails": [() => info.blockDetails({ height: 1 }), (a) => a.blockDetails?.height === 1 || a.height === 1],
    "? userDetails": [() => info.userDetails({ user }), (a) => Array.isArray(a.txs)],
  };
  for (const [row, [run, check]] of Object.entries(asked)) {
    await call(row, row.replace("? ", ""), run, check);
  }
  await call("? txDetails", "txDetails", async () => {
    const fills = await info.userFills({ user });
    return info.txDetails({ hash: fills[0].hash });
  }, (a) => a.tx.user !== undefined);
  await call("meta", "SymbolConverter.create", async () => {
    const converter = await SymbolConverter.create({ transport });
    return converter.getAssetId("BTC");
  }, (id) => id === 0);
}

async function watched(row, client, method, parameters, act) {
  await call(`ws ${row}`, `subscribe ${method}`, () => new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no event in ${EVENT_MS} ms`)), EVENT_MS);
    const listen = (event) => { clearTimeout(timer); resolve(event); };
    const given = parameters === undefined ? [listen] : [parameters, listen];
    client[method](...given).then(() => act && act(), (error) => { clearTimeout(timer); reject(error); });
  }));
}

async function sockets() {
  const wsTransport = new WebSocketTransport({ url: wsUrl, isTestnet: true });
  await wsTransport.ready?.();
  const client = new SubscriptionClient({ transport: wsTransport });
  const wsExchange = exchangeOf(me, wsTransport);
  const market = (b) => one(limit(0, b, b ? "100500" : "99500", "0.001", { t: { limit: { tif: "Ioc" } } }));
  const trade = async () => { await wsExchange.order(market(true)); await wsExchange.order(market(false)); };
  await call("ws post action", "order over WebSocketTransport", () => wsExchange.order(one(limit(0, true, "92000", "0.01"))));
  await call("ws post info", "allMids over WebSocketTransport", () => new InfoClient({ transport: wsTransport }).allMids(), (a) => Number(a.BTC) > 0);
  const at = { coin: "BTC" };
  const plan = [
    ["l2Book", at], ["trades", at, trade], ["allMids"], ["bbo", at, trade], ["candle", { coin: "BTC", interval: "1m" }, trade],
    ["activeAssetCtx", at], ["activeSpotAssetCtx", { coin: "CHP/USDC" }], ["userFills", { user }], ["orderUpdates", { user }, trade], ["userEvents", { user }, trade],
    ["clearinghouseState", { user }], ["userFundings", { user }], ["userNonFundingLedgerUpdates", { user }],
    ["activeAssetData", { user, coin: "BTC" }], ["openOrders", { user }], ["spotState", { user }], ["webData3", { user }],
    ["twapStates", { user }], ["userTwapSliceFills", { user }], ["userTwapHistory", { user }],
    ["userHistoricalOrders", { user }], ["assetCtxs"], ["spotAssetCtxs"], ["allDexsAssetCtxs"], ["allDexsClearinghouseState", { user }],
  ];
  for (const [method, parameters, act] of plan) await watched(method, client, method, parameters, act);
  await call("ws unsubscribe", "unsubscribe", async () => {
    let count = 0;
    const subscription = await client.trades({ coin: "ETH" }, () => { count += 1; });
    await subscription.unsubscribe();
    return true;
  });
  await wsTransport.close();
}

for (const part of [orders, accounts, tokens, referrals, queries, sockets]) {
  try {
    await part();
  } catch (error) {
    say(part.name, part.name, ...judge(error));
  }
}
process.exit(0);
