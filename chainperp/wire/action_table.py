"""Shapes of the actions that are signed as a hash (L1 actions): keys in canonical order.

`field` must be there, `optional` is left out of the hash when absent or null, `filled` is an
explicit null in the hash then. Decimals that the venue normalises are `decimal`; those that it
hashes as sent are `amount`. Actions that only deployers and validators of the venue use are
checked for form; the exchange refuses them when they are executed.

Source: hyperliquid-api 4.3 to 4.6.
"""

from typing import Any, Final

from chainperp.wire.shapes import (
    Field,
    Kind,
    address,
    amount,
    boolean,
    choice,
    cloid,
    decimal,
    either,
    field,
    filled,
    i64,
    listing,
    nil,
    optional,
    row,
    shape,
    text,
    u32,
    u64,
    variants,
)
from chainperp.wire.typed_data import ABSTRACTION_WORDS

MAX_ORDERS_PER_ACTION: Final = 1000
MAX_PRICES_PER_ACTION: Final = 1000

_name: Final = text(128)
_words: Final = text(2048, lines=True)
_amount_text: Final = text(128)
_order_id: Final = either(u64, cloid, str)
_pairs: Final = listing(row(_name, _amount_text), MAX_PRICES_PER_ACTION)


def _tag(value: Any) -> Any:
    """The action's type, by which its shape was chosen."""
    return value


TYPE: Final = field("type", _tag)

_limit: Final = shape(field("tif", choice("Gtc", "Alo", "Ioc", "FrontendMarket")))
_trigger: Final = shape(
    field("isMarket", boolean), field("triggerPx", decimal), field("tpsl", choice("tp", "sl"))
)
_order: Final = shape(
    field("a", u32),
    field("b", boolean),
    field("p", decimal),
    field("s", decimal),
    field("r", boolean),
    field("t", variants({"limit": _limit, "trigger": _trigger})),
    optional("c", cloid),
)
_grouping: Final = either(choice("na", "normalTpsl", "positionTpsl"), shape(field("p", u64)), dict)
_modify: Final = shape(field("oid", _order_id), field("order", _order))


def _batch(kind: Kind) -> Kind:
    return listing(kind, MAX_ORDERS_PER_ACTION)


def _l1(*fields: Field) -> Kind:
    return shape(TYPE, *fields)


_TRADING: Final[dict[str, Kind]] = {
    "order": _l1(
        field("orders", _batch(_order)),
        field("grouping", _grouping),
        optional("builder", shape(field("b", address), field("f", u64))),
    ),
    "cancel": _l1(
        field("cancels", _batch(shape(field("a", u32), field("o", u64)))), optional("f", boolean)
    ),
    "cancelByCloid": _l1(
        field("cancels", _batch(shape(field("asset", u32), field("cloid", cloid)))),
        optional("f", boolean),
    ),
    "modify": _l1(field("oid", _order_id), field("order", _order), optional("a", boolean)),
    "batchModify": _l1(field("modifies", _batch(_modify)), optional("a", boolean)),
    "scheduleCancel": _l1(optional("time", u64)),
    "updateLeverage": _l1(field("asset", u32), field("isCross", boolean), field("leverage", u32)),
    "updateIsolatedMargin": _l1(field("asset", u32), field("isBuy", boolean), field("ntli", i64)),
    "topUpIsolatedOnlyMargin": _l1(field("asset", u32), field("leverage", amount)),
    "twapOrder": _l1(
        field(
            "twap",
            shape(
                field("a", u32),
                field("b", boolean),
                field("s", decimal),
                field("r", boolean),
                field("m", u32),
                field("t", boolean),
            ),
        ),
        optional(
            "details",
            shape(
                filled("t", shape(field("p", decimal), field("a", boolean))),
                filled("s", decimal),
            ),
        ),
    ),
    "twapCancel": _l1(field("a", u32), field("t", u64)),
    "noop": _l1(),
    "reserveRequestWeight": _l1(field("weight", u64), optional("destination", address)),
    # Our own: a validator's oracle prices, and optionally prices of outside perpetuals.
    "setGlobal": _l1(
        field(
            "pxs",
            listing(
                shape(field("a", u32), field("p", decimal), optional("x", decimal)),
                MAX_PRICES_PER_ACTION,
            ),
        )
    ),
}

_ACCOUNTS: Final[dict[str, Kind]] = {
    "agentSendAsset": _l1(
        field("destination", address),
        field("sourceDex", _name),
        field("destinationDex", _name),
        field("token", _name),
        field("amount", amount),
        field("fromSubAccount", _name),
        field("nonce", u64),
    ),
    "subAccountTransfer": _l1(
        field("subAccountUser", address), field("isDeposit", boolean), field("usd", u64)
    ),
    "subAccountSpotTransfer": _l1(
        field("subAccountUser", address),
        field("isDeposit", boolean),
        field("token", _name),
        field("amount", amount),
    ),
    "vaultTransfer": _l1(
        field("vaultAddress", address), field("isDeposit", boolean), field("usd", u64)
    ),
    "borrowLend": _l1(
        field("operation", choice("supply", "withdraw", "repay", "borrow")),
        field("token", u32),
        filled("amount", amount),
    ),
    "createSubAccount": _l1(field("name", _name)),
    "subAccountModify": _l1(field("subAccountUser", address), field("name", _name)),
    "createVault": _l1(
        field("name", _name),
        field("description", _words),
        field("initialUsd", u64),
        field("nonce", u64),
    ),
    "vaultModify": _l1(
        field("vaultAddress", address),
        filled("allowDeposits", boolean),
        filled("alwaysCloseOnWithdraw", boolean),
    ),
    "vaultDistribute": _l1(field("vaultAddress", address), field("usd", u64)),
    "setReferrer": _l1(field("code", _name)),
    "registerReferrer": _l1(field("code", _name)),
    "claimRewards": _l1(),
    "agentEnableDexAbstraction": _l1(),
    "agentSetAbstraction": _l1(field("abstraction", choice(*ABSTRACTION_WORDS))),
    "setDisplayName": _l1(field("displayName", _name)),
    "spotUser": variants(
        {
            "toggleSpotDusting": shape(field("optOut", boolean)),
            "classTransfer": shape(field("usdc", u64), field("toPerp", boolean)),
        },
        typed=True,
    ),
    "evmUserModify": _l1(field("usingBigBlocks", boolean)),
}

_token_only: Final = shape(field("token", u32))
_profile: Final[tuple[Field, ...]] = (
    field("node_ip", shape(field("Ip", _name))),
    field("name", _name),
    field("description", _words),
    field("delegations_disabled", boolean),
    field("commission_bps", u32),
    field("signer", address),
)
_outcome: Final = shape(field("outcome", u32), filled("amount", decimal))

_DEPLOYERS: Final[dict[str, Kind]] = {
    "spotDeploy": variants(
        {
            "registerToken2": shape(
                field(
                    "spec",
                    shape(
                        field("name", _name), field("szDecimals", u32), field("weiDecimals", u32)
                    ),
                ),
                field("maxGas", u64),
                optional("fullName", _name),
            ),
            "userGenesis": shape(
                field("token", u32),
                field("userAndWei", listing(row(address, _amount_text), 10_000)),
                field("existingTokenAndWei", listing(row(u32, _amount_text), 1000)),
            ),
            "genesis": shape(
                field("token", u32),
                field("maxSupply", _amount_text),
                optional("noHyperliquidity", boolean),
            ),
            "registerSpot": shape(field("tokens", row(u32, u32))),
            "registerHyperliquidity": shape(
                field("spot", u32),
                field("startPx", _amount_text),
                field("orderSz", _amount_text),
                field("nOrders", u32),
                optional("nSeededLevels", u32),
            ),
            "setDeployerTradingFeeShare": shape(field("token", u32), field("share", _name)),
            "enableQuoteToken": _token_only,
            "enableFreezePrivilege": _token_only,
            "revokeFreezePrivilege": _token_only,
            "freezeUser": shape(
                field("token", u32), field("user", address), field("freeze", boolean)
            ),
        },
        typed=True,
    ),
    "perpDeploy": variants(
        {
            "registerAsset": shape(
                filled("maxGas", u64),
                field(
                    "assetRequest",
                    shape(
                        field("coin", _name),
                        field("szDecimals", u32),
                        field("oraclePx", _amount_text),
                        field("marginTableId", u32),
                        field("onlyIsolated", boolean),
                    ),
                ),
                field("dex", _name),
                filled(
                    "schema",
                    shape(
                        field("fullName", _name),
                        field("collateralToken", u32),
                        filled("oracleUpdater", address),
                    ),
                ),
            ),
            "setOracle": shape(
                field("dex", _name),
                field("oraclePxs", _pairs),
                field("markPxs", listing(_pairs, 2)),
                field("externalPerpPxs", _pairs),
            ),
            "haltTrading": shape(field("coin", _name), field("isHalted", boolean)),
        },
        typed=True,
    ),
    "CSignerAction": variants({"jailSelf": nil, "unjailSelf": nil}, typed=True),
    "CValidatorAction": variants(
        {
            "register": shape(
                field("profile", shape(*_profile)),
                field("unjailed", boolean),
                field("initial_wei", u64),
            ),
            "changeProfile": shape(
                *(filled(key, kind) for key, kind, _ in _profile[:3]),
                field("unjailed", boolean),
                filled("disable_delegations", boolean),
                *(filled(key, kind) for key, kind, _ in _profile[4:]),
            ),
            "unregister": nil,
        },
        typed=True,
    ),
    "finalizeEvmContract": _l1(
        field("token", u32),
        field(
            "input",
            either(
                choice("firstStorageSlot", "customStorageSlot"),
                shape(field("create", shape(field("nonce", u64)))),
                dict,
            ),
        ),
    ),
    "validatorL1Stream": _l1(field("riskFreeRate", amount)),
    "gossipPriorityBid": _l1(field("slotId", u32), field("ip", _name), field("maxGas", u64)),
    "hip3LiquidatorTransfer": _l1(
        field("dex", _name), field("ntl", u64), field("isDeposit", boolean)
    ),
    "activateOutcomeDeployer": _l1(field("isDeactivate", boolean)),
    "authorizeAqav2Role": _l1(field("token", u32), field("role", choice("technical", "treasury"))),
    "userOutcome": variants(
        {
            "splitOutcome": _outcome,
            "mergeOutcome": _outcome,
            "mergeQuestion": shape(field("question", u32), filled("amount", decimal)),
            "negateOutcome": shape(
                field("question", u32), field("outcome", u32), field("amount", decimal)
            ),
        },
        typed=True,
    ),
}

L1_SHAPES: Final[dict[str, Kind]] = _TRADING | _ACCOUNTS | _DEPLOYERS
