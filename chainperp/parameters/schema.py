"""The constants of the exchange as one frozen record. All integers; the unit is in the name
or in the TOML file, where each value also has its source and its rule.

A chain's genesis holds the full set, and `rules_hash` covers it, so that an auditor can tell
which choice was made at every point that public sources leave open (`U-…`).
"""

from dataclasses import dataclass, fields

from chainperp.base.errors import InvalidGenesis


@dataclass(frozen=True, slots=True)
class Parameters:
    """Every constant that a rule reads. Field order is the order of the TOML file."""

    nonces_kept: int
    nonce_window_past_ms: int
    nonce_window_future_ms: int
    agent_validity_max_ms: int
    agent_validity_default_ms: int
    named_agents_max: int
    named_agents_per_sub_account: int
    sub_account_volume_min: int
    sub_accounts_base: int
    sub_accounts_volume_step: int
    sub_accounts_max: int
    multi_sig_users_max: int
    orders_per_action_max: int
    order_value_min: int
    order_band_numerator: int
    order_band_denominator: int
    order_value_classes: tuple[tuple[int, int], ...]
    limit_order_value_factor: int
    open_orders_base: int
    open_orders_volume_step: int
    open_orders_max: int
    schedule_cancel_volume_min: int
    schedule_cancel_notice_ms: int
    schedule_cancels_per_day: int
    schedule_cancels_per_block: int
    twap_minutes_min: int
    twap_minutes_max: int
    twap_value_min: int
    twaps_max: int
    twap_interval_ms: int
    twap_slice_value_min: int
    twap_jitter_percent: int
    twap_catch_up: int
    twap_slippage_bps: int
    twap_slices_per_block: int
    trigger_tolerance_numerator: int
    trigger_tolerance_denominator: int
    triggers_per_block: int
    user_fill_limit: int
    transfer_margin_divisor: int
    leverage_default: int
    fee_tiers: tuple[tuple[int, int, int], ...]
    spot_fee_tiers: tuple[tuple[int, int, int], ...]
    spot_volume_weight: int
    spot_order_value_min: int
    maker_rebate_tiers: tuple[tuple[int, int], ...]
    volume_window_days: int
    hlp_fee_share_bps: int
    referral_volume_min: int
    referral_discount_bps: int
    referral_discount_volume: int
    referral_reward_bps: int
    referral_reward_volume: int
    referral_claim_min: int
    builder_fee_max: int
    builder_approval_max: int
    builder_approvals_max: int
    builder_value_min: int
    withdrawal_fee: int
    activation_fee: int
    oracle_stale_ms: int
    price_stale_ms: int
    mark_band_bps: int
    ema_basis_tau_ms: int
    ema_book_tau_ms: int
    premium_sample_ms: int
    funding_interest: int
    funding_clamp: int
    funding_cap: int
    funding_hours_per_rate: int
    liq_partial_threshold: int
    liq_partial_percent: int
    liq_cooldown_ms: int
    liq_limit: int
    liquidations_per_block: int
    backstop_numerator: int
    backstop_denominator: int
    backstop_leverage: int
    backstop_notional_max: int
    unwind_interval_ms: int
    unwind_half_life_ms: int
    unwind_slippage_bps: int
    vault_creation_fee: int
    vault_initial_min: int
    vault_shares_min: int
    vault_transfer_min: int
    vault_leader_percent: int
    vault_commission_percent: int
    vault_lockup_ms: int
    vault_holders_max: int
    vault_close_percent: int
    vault_close_rounds: int
    vault_close_band_bps: int
    liquidity_vault_lockup_ms: int
    liquidity_vault_day_percent: int
    liquidation_fund_bps: int
    liquidation_insurance_bps: int
    buyback_balance_min: int
    buyback_interval_ms: int
    buyback_slippage_bps: int
    buyback_depth_bps: int
    buyback_value_min: int
    buyback_evm_bps: int
    buyback_evm_min: int
    quote_interval_ms: int
    quote_stale_ms: int
    quote_levels: int
    quote_half_spread_bps: int
    quote_step_bps: int
    quote_size_bps: int
    quote_skew_bps: int
    quote_drift_bps: int
    quote_cap_bps: int
    quote_leverage_max: int
    quote_loss_bps: int
    netting_interval_ms: int
    child_backstop_bps: int
    child_maker_bps: int
    capital_day_bps: int
    capital_move_min: int
    adl_policy: int
    adl_score_mode: int
    adl_tolerance: int
    exempt_mode: int
    exempt_open_interest_max: int
    exempt_max: int
    exempt_notice_blocks: int
    state_commit_every: int
    snapshot_interval: int
    recount_interval: int


TABLES = {
    "order_value_classes": 2, "fee_tiers": 3, "spot_fee_tiers": 3, "maker_rebate_tiers": 2,
}  # fmt: skip
BPS_ONE = 10_000


def parameters_from(values: dict[str, object]) -> Parameters:
    """Parameters from a complete table of values.

    Rejects: a missing or unknown name, anything but non-negative integers (or rows of them
    for the tables), naming the parameter and the value.
    """
    names = [field.name for field in fields(Parameters)]
    for name in sorted(values):
        if name not in names:
            raise InvalidGenesis(f"parameters.{name} does not exist: was {values[name]!r}")
    checked: dict[str, object] = {}
    for name in names:
        if name not in values:
            raise InvalidGenesis(f"parameters.{name} is missing")
        value = values[name]
        if name in TABLES:
            checked[name] = _rows(name, value)
        else:
            checked[name] = _number(name, value)
    parameters = Parameters(**checked)  # type: ignore[arg-type]
    routed = parameters.liquidation_fund_bps + parameters.liquidation_insurance_bps
    if routed > BPS_ONE:
        raise InvalidGenesis(
            "parameters.liquidation_fund_bps and liquidation_insurance_bps route more than there "
            f"is: were {routed} of {BPS_ONE}"
        )
    _check_quoting(parameters)
    for name in ("hlp_fee_share_bps", "referral_discount_bps", "referral_reward_bps",
                 "buyback_evm_bps"):  # fmt: skip
        if checked[name] > BPS_ONE:  # type: ignore[operator]
            raise InvalidGenesis(
                f"parameters.{name} is more than the whole: was {checked[name]} of {BPS_ONE}"
            )
    return parameters


def _check_quoting(parameters: Parameters) -> None:
    """The ladder of quotes has positive prices and its sides stay apart; shares are at most all."""
    farthest = (
        parameters.quote_half_spread_bps
        + parameters.quote_levels * parameters.quote_step_bps
        + parameters.quote_skew_bps
    )
    for name, found, most in (
        ("quote_half_spread_bps, quote_levels times quote_step_bps and quote_skew_bps",
         farthest, BPS_ONE - 1),
        ("quote_drift_bps", parameters.quote_drift_bps, parameters.quote_half_spread_bps),
        ("quote_cap_bps", parameters.quote_cap_bps, BPS_ONE),
        ("child_backstop_bps and child_maker_bps",
         parameters.child_backstop_bps + parameters.child_maker_bps, BPS_ONE),
        ("capital_day_bps", parameters.capital_day_bps, BPS_ONE),
    ):  # fmt: skip
        if found > most:
            raise InvalidGenesis(f"parameters.{name} are more than {most}: were {found}")


def _number(name: str, value: object) -> int:
    if type(value) is not int or value < 0:
        raise InvalidGenesis(f"parameters.{name} is not a non-negative integer: was {value!r}")
    return value


def _rows(name: str, value: object) -> tuple[tuple[int, ...], ...]:
    if not isinstance(value, list) or not value:
        raise InvalidGenesis(f"parameters.{name} is not a list of rows: was {value!r}")
    width = TABLES[name]
    rows: list[tuple[int, ...]] = []
    for row in value:
        if not isinstance(row, list) or len(row) != width:
            raise InvalidGenesis(f"parameters.{name} needs rows of {width}: was {row!r}")
        rows.append(tuple(_number(name, cell) for cell in row))
    return tuple(rows)


def parameter_values(parameters: Parameters) -> dict[str, object]:
    """The table of values, as genesis writes it."""
    values: dict[str, object] = {}
    for field in fields(Parameters):
        value = getattr(parameters, field.name)
        values[field.name] = [list(row) for row in value] if field.name in TABLES else value
    return values
