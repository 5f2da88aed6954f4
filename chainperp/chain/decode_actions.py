"""From the canonical map of an action to the action that the engine carries out, type by type.

Called by `chain/decode.py`, which turns the errors raised here into InvalidBytes.
Source: hyperliquid-api 4.3 to 4.5.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from chainperp.base.units import (
    E8_DECIMALS,
    I64_MAX,
    U64_MAX,
    USD_DECIMALS,
    Address,
    parse_decimal,
)
from chainperp.chain.decode_fields import (
    read_address,
    read_amount,
    read_cloid,
    read_decimal,
    read_flag,
    read_text,
    read_whole,
)
from chainperp.chain.decode_vaults import VAULT_DECODERS
from chainperp.model.actions import (
    Action,
    ApproveAgent,
    ApproveBuilderFee,
    BuilderTerms,
    CancelOrders,
    ClaimRewards,
    ClassTransfer,
    ConvertToMultiSig,
    CreateSubAccount,
    Grouping,
    ModifyOrders,
    Noop,
    OracleVote,
    OrderRequest,
    PlaceOrders,
    RegisterReferrer,
    RenameSubAccount,
    ScheduleCancel,
    SendAsset,
    SetDisplayName,
    SetReferrer,
    SubAccountSpotTransfer,
    SubAccountTransfer,
    TimeInForce,
    TriggerTerms,
    TwapCancel,
    TwapOrder,
    UpdateIsolatedMargin,
    UpdateLeverage,
    UsdSend,
    Withdraw,
)
from chainperp.model.tokens import USDC_NAME

Fields = Mapping[str, Any]

TIFS: Final = {
    "Gtc": TimeInForce.GTC,
    "Ioc": TimeInForce.IOC,
    "Alo": TimeInForce.ALO,
    "FrontendMarket": TimeInForce.IOC,
}
GROUPINGS: Final = {
    "na": Grouping.NONE,
    "normalTpsl": Grouping.PARENT,
    "positionTpsl": Grouping.POSITION,
}
U32_MAX: Final = 2**32 - 1
RATE_DECIMALS: Final = 3
# The cell that a dex stands for: the margin of perpetuals, or the spot balance.
DEXES: Final = {"": False, "spot": True}
# An address nobody can have a sub-account at: stands for a text that is no address.
NOWHERE: Final = Address(bytes(20))
ON_BEHALF: Final = re.compile(r"(.*) subaccount:(?:0x)?([0-9a-fA-F]{40})", re.ASCII)
ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
RATE: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3})?%", re.ASCII)


def _trigger(fields: Fields) -> TriggerTerms:
    """The trigger of an order: isMarket, triggerPx, tpsl."""
    return TriggerTerms(
        read_decimal(fields["triggerPx"], "triggerPx"),
        read_flag(fields["isMarket"], "isMarket"),
        {"sl": True, "tp": False}[fields["tpsl"]],
    )


def _order(fields: Fields) -> OrderRequest:
    """One order: a, b, p, s, r, t, c."""
    kind = fields["t"]
    if "trigger" in kind:
        trigger = _trigger(kind["trigger"])
        tif = TimeInForce.IOC if trigger.is_market else TimeInForce.GTC
    else:
        tif, trigger = TIFS[kind["limit"]["tif"]], None
    return OrderRequest(
        read_whole(fields["a"], "a", U32_MAX),
        read_flag(fields["b"], "b"),
        read_decimal(fields["p"], "p"),
        read_decimal(fields["s"], "s"),
        read_flag(fields["r"], "r"),
        tif,
        cloid=read_cloid(fields["c"], "c") if "c" in fields else None,
        trigger=trigger,
    )


def _place(fields: Fields) -> Action:
    grouping = fields["grouping"]
    if isinstance(grouping, str) and grouping not in GROUPINGS:
        raise ValueError(f"grouping {grouping!r} does not exist")
    named = GROUPINGS[grouping] if isinstance(grouping, str) else Grouping.NONE
    builder = _builder(fields["builder"]) if "builder" in fields else None
    return PlaceOrders([_order(one) for one in fields["orders"]], named, builder)


def _builder(fields: Fields) -> BuilderTerms | None:
    """A builder and its rate; one who charges nothing is as none."""
    rate = read_whole(fields["f"], "f", U64_MAX)
    builder = read_address(fields["b"], "b")
    return (builder, rate) if rate else None


def _cancel(fields: Fields) -> Action:
    return CancelOrders(
        [(read_whole(one["a"], "a", U32_MAX), read_whole(one["o"], "o", 2 * I64_MAX + 1))
         for one in fields["cancels"]]
    )  # fmt: skip


def _cancel_by_cloid(fields: Fields) -> Action:
    return CancelOrders(
        [(read_whole(one["asset"], "asset", U32_MAX), read_cloid(one["cloid"], "cloid"))
         for one in fields["cancels"]]
    )  # fmt: skip


def _target(value: object) -> int | bytes:
    return read_cloid(value, "oid") if isinstance(value, str) else read_whole(value, "oid", I64_MAX)


def _modify(fields: Fields) -> Action:
    modifies = [(_target(fields["oid"]), _order(fields["order"]))]
    return ModifyOrders(modifies, read_flag(fields.get("a", False), "a"))


def _batch_modify(fields: Fields) -> Action:
    modifies = [(_target(one["oid"]), _order(one["order"])) for one in fields["modifies"]]
    return ModifyOrders(modifies, read_flag(fields.get("a", False), "a"))


def _leverage(fields: Fields) -> Action:
    return UpdateLeverage(
        read_whole(fields["asset"], "asset", U32_MAX),
        read_flag(fields["isCross"], "isCross"),
        read_whole(fields["leverage"], "leverage", U32_MAX),
    )


def _isolated_margin(fields: Fields) -> Action:
    amount = fields["ntli"]
    if type(amount) is not int or abs(amount) > I64_MAX:
        raise ValueError(f"ntli is not a whole number: was {amount!r}")
    return UpdateIsolatedMargin(read_whole(fields["asset"], "asset", U32_MAX), amount)


def _schedule_cancel(fields: Fields) -> Action:
    at = fields.get("time")
    return ScheduleCancel(None if at is None else read_whole(at, "time", U64_MAX))


def _create_sub_account(fields: Fields) -> Action:
    return CreateSubAccount(read_text(fields["name"], "name"))


def _rename_sub_account(fields: Fields) -> Action:
    sub = read_address(fields["subAccountUser"], "subAccountUser")
    return RenameSubAccount(sub, read_text(fields["name"], "name"))


def _sub_account_transfer(fields: Fields) -> Action:
    return SubAccountTransfer(
        read_address(fields["subAccountUser"], "subAccountUser"),
        read_flag(fields["isDeposit"], "isDeposit"),
        read_whole(fields["usd"], "usd", U64_MAX),
    )


def _twap_order(fields: Fields) -> Action:
    """a, b, s, r, m, t; and `details`, whose trigger and stop prices may both be nothing."""
    twap = fields["twap"]
    order = TwapOrder(
        read_whole(twap["a"], "a", U32_MAX),
        read_flag(twap["b"], "b"),
        read_decimal(twap["s"], "s"),
        read_flag(twap["r"], "r"),
        read_whole(twap["m"], "m", U32_MAX),
    )
    order.randomize = read_flag(twap["t"], "t")
    details = fields.get("details", {})
    order.has_details = details.get("t") is not None or details.get("s") is not None
    return order


def _twap_cancel(fields: Fields) -> Action:
    return TwapCancel(read_whole(fields["a"], "a", U32_MAX), read_whole(fields["t"], "t", U64_MAX))


def _display_name(fields: Fields) -> Action:
    return SetDisplayName(read_text(fields["displayName"], "displayName"))


def _register_referrer(fields: Fields) -> Action:
    return RegisterReferrer(read_text(fields["code"], "code"))


def _set_referrer(fields: Fields) -> Action:
    return SetReferrer(read_text(fields["code"], "code"))


def _claim_rewards(fields: Fields) -> Action:
    return ClaimRewards()


def _noop(fields: Fields) -> Action:
    return Noop()


def _oracle_vote(fields: Fields) -> Action:
    return OracleVote(
        [(read_whole(one["a"], "a", U32_MAX), read_decimal(one["p"], "p"),
          read_decimal(one["x"], "x") if "x" in one else None)
         for one in fields["pxs"]]
    )  # fmt: skip


def _usd_send(fields: Fields) -> Action:
    return UsdSend(
        read_address(fields["destination"], "destination"), read_amount(fields["amount"])
    )


def _class_transfer(fields: Fields) -> Action:
    """The amount's text may name a sub-account; CCXT leaves its 0x out."""
    text = read_text(fields["amount"], "amount")
    found = ON_BEHALF.fullmatch(text)
    sub = None
    if found is not None:
        text, sub = found.group(1), Address(bytes.fromhex(found.group(2)))
    return ClassTransfer(read_amount(text), read_flag(fields["toPerp"], "toPerp"), sub)


def _spot_send(fields: Fields) -> Action:
    destination = read_address(fields["destination"], "destination")
    return SendAsset(destination, *_token_amount(fields))


def _send_asset(fields: Fields) -> Action:
    destination = read_address(fields["destination"], "destination")
    action = SendAsset(destination, *_token_amount(fields))
    action.from_spot = DEXES.get(read_text(fields["sourceDex"], "sourceDex"))
    action.to_spot = DEXES.get(read_text(fields["destinationDex"], "destinationDex"))
    action.is_plain = False
    sub = read_text(fields["fromSubAccount"], "fromSubAccount")
    if sub:
        action.sub = Address(bytes.fromhex(sub[2:])) if ADDRESS.fullmatch(sub) else NOWHERE
    return action


def _sub_account_spot_transfer(fields: Fields) -> Action:
    return SubAccountSpotTransfer(
        read_address(fields["subAccountUser"], "subAccountUser"),
        read_flag(fields["isDeposit"], "isDeposit"),
        *_token_amount(fields),
    )


def _token_amount(fields: Fields) -> tuple[int | None, str]:
    """An amount and its token: micro-USDC, or 10^-8 of whatever else is named."""
    token = read_text(fields["token"], "token")
    decimals = USD_DECIMALS if token == USDC_NAME else E8_DECIMALS
    return read_amount(fields["amount"], decimals), token


def _withdraw(fields: Fields) -> Action:
    return Withdraw(
        read_address(fields["destination"], "destination"), read_amount(fields["amount"])
    )


def _approve_agent(fields: Fields) -> Action:
    name = fields.get("agentName") or ""
    if not isinstance(name, str) or not name.isascii() or len(name) > 60:
        raise ValueError(f"agentName is not a short ASCII name: was {str(name)[:70]!r}")
    return ApproveAgent(read_address(fields["agentAddress"], "agentAddress"), name)


def _approve_builder_fee(fields: Fields) -> Action:
    builder = read_address(fields["builder"], "builder")
    return ApproveBuilderFee(builder, _rate(read_text(fields["maxFeeRate"], "maxFeeRate")))


def _rate(text: str) -> int | None:
    """Tenths of a basis point of a text such as `0.01%`, None when it is not one."""
    if RATE.fullmatch(text) is None:
        return None
    return parse_decimal(text.removesuffix("%"), RATE_DECIMALS, "maxFeeRate")


def _convert_to_multi_sig(fields: Fields) -> Action:
    return _multi_sig_terms(read_text(fields["signers"], "signers"))


def _multi_sig_terms(text: str) -> ConvertToMultiSig:
    """Users and threshold of the signed JSON text; `null` and no users convert back. What is
    neither comes out without users and is refused by the rules."""
    try:
        tree = json.loads(
            text, parse_float=_no_number, parse_constant=_no_number, object_pairs_hook=_once
        )
    except (ValueError, RecursionError):
        return ConvertToMultiSig(None, 0)
    if tree is None:
        return ConvertToMultiSig([], 0)
    if not isinstance(tree, dict) or sorted(tree) != ["authorizedUsers", "threshold"]:
        return ConvertToMultiSig(None, 0)
    users, threshold = tree["authorizedUsers"], tree["threshold"]
    if not isinstance(users, list) or type(threshold) is not int:
        return ConvertToMultiSig(None, 0)
    if not all(isinstance(one, str) and ADDRESS.fullmatch(one) is not None for one in users):
        return ConvertToMultiSig(None, 0)
    return ConvertToMultiSig([Address(bytes.fromhex(one[2:])) for one in users], threshold)


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is not a whole number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key occurs twice")
    return table


L1_DECODERS: Final[dict[str, Callable[[Fields], Action]]] = {
    "order": _place,
    "cancel": _cancel,
    "cancelByCloid": _cancel_by_cloid,
    "modify": _modify,
    "batchModify": _batch_modify,
    "updateLeverage": _leverage,
    "updateIsolatedMargin": _isolated_margin,
    "scheduleCancel": _schedule_cancel,
    "twapOrder": _twap_order,
    "twapCancel": _twap_cancel,
    "createSubAccount": _create_sub_account,
    "subAccountModify": _rename_sub_account,
    "subAccountTransfer": _sub_account_transfer,
    "subAccountSpotTransfer": _sub_account_spot_transfer,
    **VAULT_DECODERS,
    "setDisplayName": _display_name,
    "registerReferrer": _register_referrer,
    "setReferrer": _set_referrer,
    "claimRewards": _claim_rewards,
    "noop": _noop,
    "setGlobal": _oracle_vote,
}
USER_DECODERS: Final[dict[str, Callable[[Fields], Action]]] = {
    "usdSend": _usd_send,
    "usdClassTransfer": _class_transfer,
    "spotSend": _spot_send,
    "sendAsset": _send_asset,
    "withdraw3": _withdraw,
    "approveAgent": _approve_agent,
    "approveBuilderFee": _approve_builder_fee,
    "convertToMultiSigUser": _convert_to_multi_sig,
}
