"""Every guard of the contracts, and the test that fails without it.

A mutant is one change of one source file that takes a guard away. `tests/evm/test_mutants.py`
recompiles the contracts that it touches and runs the named tests against them: each must fail.
A guard whose mutant survives is either not needed or not tested; both are findings.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.evm import (
    test_anchor,
    test_bridge,
    test_bridge_control,
    test_buyback,
    test_pool,
    test_registry,
    test_tokens,
)
from tests.evm.world import ACCOUNTS, ORIGIN

Test = Callable[[], None]


@dataclass(frozen=True)
class Mutant:
    """A guard taken away."""

    name: str
    file: str
    "Without .vy."
    old: str
    new: str
    tests: tuple[Test, ...]
    contract: str = ""
    "What must be compiled anew; the file itself when empty."
    count: int = 1
    "How often the old text is there; all are changed."
    is_quick: bool = False
    "Runs in make test; the others in make mutants."

    @property
    def compiled(self) -> str:
        """The contract that is compiled anew."""
        return self.contract or self.file


def gone(
    name: str,
    file: str,
    old: str,
    *tests: Test,
    contract: str = "",
    count: int = 1,
    is_quick: bool = False,
) -> Mutant:
    """A mutant without a line."""
    return Mutant(name, file, old, "pass", tests, contract, count, is_quick)


def turned(
    name: str,
    file: str,
    change: tuple[str, str],
    *tests: Test,
    contract: str = "",
    count: int = 1,
    is_quick: bool = False,
) -> Mutant:
    """A mutant with one text in place of another."""
    return Mutant(name, file, *change, tests, contract, count, is_quick)


ADDRESS = ACCOUNTS[0].address
DOMAIN = "abi_encode(DOMAIN, NAME, VERSION, chain.id, self)"

QUORUM = (
    turned(
        "signatures of another chain", "quorum",
        (DOMAIN, "abi_encode(DOMAIN, NAME, VERSION, convert(1, uint256), self)"),
        test_anchor.test_signatures_of_another_chain_contract_or_log_are_refused,
        contract="Anchor", is_quick=True,
    ),
    turned(
        "signatures of another contract", "quorum",
        (DOMAIN, f"abi_encode(DOMAIN, NAME, VERSION, chain.id, {ADDRESS})"),
        test_anchor.test_signatures_of_another_chain_contract_or_log_are_refused,
        contract="Anchor",
    ),
    gone(
        "malleable s", "quorum", 'assert sig.s <= HALF_ORDER, "quorum: s is high"',
        test_anchor.test_malleable_signature_is_refused, contract="Anchor",
    ),
    gone(
        "one signer twice", "quorum",
        'assert place >= least, "quorum: positions must ascend"',
        test_anchor.test_one_signer_counts_once, contract="Anchor",
    ),
    gone(
        "whoever signed", "quorum",
        'assert signer != empty(address) and signer == validators[place], "quorum: wrong signer"',
        test_anchor.test_signature_that_recovers_nobody_is_refused,
        test_anchor.test_signatures_of_another_chain_contract_or_log_are_refused,
        contract="Anchor",
    ),
    turned(
        "two thirds are enough", "quorum", ("3 * signed > 2 * total", "3 * signed >= 2 * total"),
        test_anchor.test_exactly_two_thirds_is_no_quorum, contract="Anchor",
    ),
    gone(
        "no quorum", "quorum", 'assert 3 * signed > 2 * total, "quorum: not reached"',
        test_anchor.test_two_of_four_are_no_quorum, contract="Anchor",
    ),
    gone(
        "a member twice", "quorum", 'assert one > last, "set: addresses must ascend"',
        test_anchor.test_set_must_be_sound, contract="Anchor",
    ),
    gone(
        "an empty set", "quorum", 'assert len(validators) != 0, "set: empty"',
        test_anchor.test_set_must_be_sound, contract="Anchor",
    ),
    gone(
        "a set without power", "quorum", 'assert total != 0, "set: no power"',
        test_anchor.test_set_must_be_sound, contract="Anchor",
    ),
    gone(
        "powers for some", "quorum", 'assert len(validators) == len(powers), "set: lengths differ"',
        test_anchor.test_set_must_be_sound, contract="Anchor",
    ),
)  # fmt: skip

MERKLE = (
    turned(
        "a proof cut short", "merkle",
        ("return last == 0 and running == root", "return running == root"),
        test_anchor.test_truncated_proof_to_a_root_fails, contract="Anchor", is_quick=True,
    ),
    turned(
        "a proof that goes on", "merkle",
        ("# The root is reached: what follows would be ignored, so the proof is refused.\n"
         "            return False", "return running == root"),
        test_anchor.test_padded_proof_after_the_root_fails, contract="Anchor",
    ),
    turned(
        "an index outside", "merkle",
        ("    if index >= size:\n        return False", "    pass"),
        test_anchor.test_proof_for_another_index_or_entry_fails, contract="Anchor",
    ),
    turned(
        "an index that is not looked at", "merkle",
        ("if place & 1 == 1 or place == last:\n            running = self._node(piece, running)",
         "if piece == empty(bytes32):\n            running = self._node(piece, running)"),
        test_anchor.test_entries_of_an_anchored_log_verify, contract="Anchor",
    ),
    turned(
        "any new root", "merkle", (" and running_new == new_root", ""),
        test_anchor.test_a_rewritten_log_is_not_an_extension, contract="Anchor",
    ),
    turned(
        "any old root", "merkle", (" and running_old == old_root", ""),
        test_anchor.test_a_rewritten_log_is_not_an_extension, contract="Anchor",
    ),
    turned(
        "consistency cut short", "merkle",
        ("return last == 0 and running_old", "return running_old"),
        test_anchor.test_root_of_a_smaller_tree_is_no_extension, contract="Anchor",
    ),
)  # fmt: skip

ANCHOR = (
    turned(
        "leaf and node confused", "Anchor", ('sha256(concat(b"\\x00", entry))', "sha256(entry)"),
        test_anchor.test_second_preimage_in_an_anchored_tree, count=2,
    ),
    gone(
        "no consistency", "Anchor",
        "assert merkle._extends(\n        convert(latest, uint256), convert(size, uint256), "
        'self.roots[latest], root, proof\n    ), "anchor: not an extension"',
        test_anchor.test_a_rewritten_log_is_not_an_extension,
    ),
    gone(
        "sizes that shrink", "Anchor", 'assert size > latest, "anchor: size must grow"',
        test_anchor.test_size_must_grow,
    ),
    gone(
        "a set of the caller's choice", "Anchor",
        "assert quorum._set_hash(vals, powers) == self.validator_set, "
        '"anchor: not the current set"',
        test_anchor.test_foreign_set_is_refused,
        test_anchor.test_validators_change_after_the_dispute_period,
    ),
    gone(
        "anchoring after a fork", "Anchor", 'assert not self.paused, "anchor: paused"',
        test_anchor.test_fork_stops_the_anchor_for_good, count=3,
    ),
    gone(
        "a fork of one root", "Anchor", 'assert root_a != root_b, "fork: one root"',
        test_anchor.test_fork_must_be_proven,
    ),
    gone(
        "a fork with one signed side", "Anchor",
        "quorum._check_quorum(digest_b, vals, powers, idx_b, sigs_b)",
        test_anchor.test_fork_must_be_proven,
    ),
    gone(
        "a fork with the other signed side", "Anchor",
        "quorum._check_quorum(digest_a, vals, powers, idx_a, sigs_a)",
        test_anchor.test_fork_must_be_proven,
    ),
    gone(
        "old epochs", "Anchor",
        'assert epoch > self.epoch and epoch > self.pending_epoch, "set: epoch must grow"',
        test_anchor.test_proposals_need_a_quorum_and_a_growing_epoch,
    ),
    gone(
        "new validators at once", "Anchor",
        "assert block.timestamp > self.pending_since + DISPUTE_S, "
        '"set: the dispute period runs"',
        test_anchor.test_validators_change_after_the_dispute_period,
    ),
    gone(
        "validators that nobody proposed", "Anchor",
        'assert self.pending_epoch > self.epoch, "set: none waits"',
        test_anchor.test_validators_change_after_the_dispute_period,
    ),
    gone(
        "a seal in the middle", "Anchor",
        'assert self._verify(size, size - 1, leaf, proof), "seal: not the last entry"',
        test_anchor.test_seal_is_proven_from_the_last_entry,
    ),
    gone(
        "any entry as a seal", "Anchor",
        'assert len(entry) == 411 and slice(entry, 0, 3) == b"\\x01\\x00\\x02", '
        '"seal: not a SEAL entry"',
        test_anchor.test_seal_is_proven_from_the_last_entry,
    ),
)  # fmt: skip

DEPOSITS = (
    turned(
        "a deposit inside a deposit", "Bridge",
        ("@external\n@nonreentrant\ndef deposit", "@external\ndef deposit"),
        test_bridge.test_deposit_inside_a_deposit_is_not_credited_twice, count=3, is_quick=True,
    ),
    gone(
        "less arrives than is credited", "Bridge",
        "assert staticcall Dollar(USDC).balanceOf(self) == before + amount, "
        '"deposit: amount differs"',
        test_bridge.test_dollar_that_keeps_a_fee_or_answers_no_is_refused,
    ),
    turned(
        "a dollar that says no", "Bridge",
        ("    assert extcall Dollar(USDC).transferFrom(\n        payer, self, amount, "
         'default_return_value=True\n    ), "deposit: the dollar refused"',
         "    extcall Dollar(USDC).transferFrom(\n        payer, self, amount, "
         "default_return_value=True\n    )"),
        test_bridge.test_dollar_that_keeps_a_fee_or_answers_no_is_refused,
    ),
    gone(
        "crumbs", "Bridge", 'assert amount >= MINIMUM, "deposit: below 5 USDC"',
        test_bridge.test_deposit_below_five_dollars_is_refused,
    ),
    gone(
        "nobody's deposit", "Bridge",
        'assert beneficiary != empty(address), "deposit: nobody\'s account"',
        test_bridge.test_deposit_below_five_dollars_is_refused,
    ),
    gone(
        "a stranger with a broken permit", "Bridge",
        'assert is_permitted or msg.sender == owner, "deposit: the permit failed"',
        test_bridge.test_broken_permit_of_a_stranger_spends_no_allowance,
    ),
    turned(
        "numbers with gaps", "Bridge",
        ("self.deposit_nonce += 1", "self.deposit_nonce += 2"),
        test_bridge.test_deposits_are_numbered_in_order,
    ),
)  # fmt: skip

IF_PAID = "    if status == PAID:\n        return 1\n"
IF_INVALID = "    if status == INVALID:\n        return 5\n"
SINCE = "self.requests[wid].since"
LEFT_OUT = (
    "        self.requests[wid].status = PENDING\n        self.paid -= amount\n"
    "        log Failed(wid=wid, code=7)"
)
WITHDRAWALS = (
    gone(
        "withdrawals without a quorum", "Bridge",
        "quorum._check_quorum(digest, vals, powers, one.idx, one.sigs)",
        test_bridge.test_bridge_quorum_counts_each_validator_once,
        test_bridge.test_signature_of_another_chain_or_contract_is_refused,
    ),
    turned(
        "another exchange's withdrawals", "Bridge",
        ("abi_encode(WITHDRAWAL, CHAIN, wid", f"abi_encode(WITHDRAWAL, 0x{ORIGIN.hex()}, wid"),
        test_bridge.test_signature_of_another_chain_or_contract_is_refused,
    ),
    gone(
        "a stale set", "Bridge",
        'assert quorum._set_hash(vals, powers) == self.hot_set, "bridge: not the hot set"',
        test_bridge.test_old_validators_cannot_request_after_a_change,
    ),
    turned(
        "requested twice", "Bridge", ("if status != UNKNOWN:", "if False:"),
        test_bridge.test_withdrawal_is_paid_after_time_and_blocks,
        test_bridge.test_fabricated_withdrawal_is_cancelled,
    ),
    turned(
        "entries that are not anchored", "Bridge", ("if entry_index >= anchored:", "if False:"),
        test_bridge.test_withdrawal_of_an_unanchored_entry_waits,
    ),
    turned(
        "paid twice", "Bridge",
        (IF_PAID + IF_INVALID + "    if block", IF_INVALID + "    if block"),
        test_bridge.test_withdrawal_is_paid_after_time_and_blocks,
    ),
    turned(
        "paid although struck out", "Bridge", (IF_INVALID + "    if block", "    if block"),
        test_bridge.test_fabricated_withdrawal_is_cancelled,
        test_bridge_control.test_cold_set_unlocks_with_new_sets,
    ),
    turned(
        "paid unasked", "Bridge", ("    if status == UNKNOWN:\n        return 2", "    pass"),
        test_bridge.test_withdrawal_is_paid_after_time_and_blocks,
    ),
    turned(
        "paid too early by time", "Bridge",
        ("block.timestamp <= self.requests[wid].since + self.dispute_s", "False"),
        test_bridge.test_withdrawal_is_paid_after_time_and_blocks,
    ),
    turned(
        "paid one second too early", "Bridge",
        (f"block.timestamp <= {SINCE}", f"block.timestamp < {SINCE}"),
        test_bridge.test_period_ends_strictly_after_its_last_second,
    ),
    turned(
        "paid too early by blocks", "Bridge",
        ("passed * self.block_ms <= 1000 * self.dispute_s", "False"),
        test_bridge.test_withdrawal_is_paid_after_time_and_blocks,
    ),
    turned(
        "a payout inside a payout, the book after the dollars", "Bridge",
        ("@external\n@nonreentrant\ndef finalize", "@external\ndef finalize"),
        test_bridge.test_finalize_inside_a_payout_pays_once,
    ),
    turned(
        "one refusal stops all", "Bridge",
        (LEFT_OUT, '        raise "refused"'),
        test_bridge.test_dollar_that_refuses_one_receiver_does_not_stop_the_others,
    ),
    gone(
        "payouts on a forked log", "Bridge",
        'assert not staticcall Log(self.log_anchor).paused(), "bridge: the log forked"',
        test_bridge.test_forked_log_stops_requests_and_payouts, count=2,
    ),
)  # fmt: skip

DISPUTES = (
    gone(
        "true withdrawals cancelled by their entry", "Bridge",
        'assert not self._is_request(wid, entry), "dispute: the log has this request"',
        test_bridge.test_true_withdrawal_cannot_be_cancelled,
    ),
    gone(
        "disputes with made-up entries", "Bridge",
        "assert staticcall Log(self.log_anchor).verify_leaf(\n        size, index, leaf, proof\n"
        '    ), "dispute: not the entry of the log"',
        test_bridge.test_true_withdrawal_cannot_be_cancelled,
    ),
    gone(
        "disputes at another index", "Bridge",
        'assert index == self.requests[wid].entry_index, "dispute: another index"',
        test_bridge.test_true_withdrawal_cannot_be_cancelled,
    ),
    gone(
        "disputes after the end", "Bridge",
        'assert self.requests[wid].status == PENDING, "dispute: not waiting"',
        test_bridge.test_only_a_waiting_withdrawal_is_disputed,
    ),
    turned(
        "other kinds of entries", "Bridge",
        ("slice(entry, 19, 64) == expected", "True"),
        test_bridge.test_fabricated_withdrawal_is_cancelled,
    ),
)  # fmt: skip

CONTROL = (
    gone(
        "business while stopped", "Bridge", 'assert not self.paused, "bridge: paused"',
        test_bridge_control.test_lockers_stop_everything_at_their_threshold, count=6,
    ),
    gone(
        "everybody a locker", "Bridge",
        'assert self.has_role[LOCKER][msg.sender], "lock: not a locker"',
        test_bridge_control.test_only_lockers_vote_and_each_once,
    ),
    gone(
        "one locker's two votes", "Bridge",
        'assert self.voted_in[msg.sender] != self.lock_round, "lock: voted already"',
        test_bridge_control.test_only_lockers_vote_and_each_once,
    ),
    gone(
        "votes that were not given", "Bridge",
        'assert self.voted_in[msg.sender] == self.lock_round, "lock: has not voted"',
        test_bridge_control.test_only_lockers_vote_and_each_once,
    ),
    gone(
        "commands of another set", "Bridge",
        "assert quorum._set_hash(approval.vals, approval.powers) == expected_set, "
        '"set: another set"',
        test_bridge_control.test_hot_set_or_a_third_of_the_cold_cannot_unlock,
    ),
    turned(
        "commands twice", "Bridge", ("self.hot_nonce = nonce + 1", "self.hot_nonce = nonce"),
        test_bridge_control.test_command_works_once,
    ),
    turned(
        "hot keys remove lockers", "Bridge", ("HOT if allowed else COLD", "HOT"),
        test_bridge_control.test_hot_adds_and_only_cold_removes,
    ),
    gone(
        "unlocking what runs", "Bridge", 'assert self.paused, "unlock: not paused"',
        test_bridge_control.test_unlock_needs_a_stop_and_a_larger_epoch,
    ),
    gone(
        "unlocking into the past", "Bridge",
        'assert epoch > self.epoch, "set: epoch must grow"',
        test_bridge_control.test_unlock_needs_a_stop_and_a_larger_epoch,
    ),
    turned(
        "proposals survive the emergency", "Bridge", ("self.pending_epoch = 0", "pass"),
        test_bridge_control.test_unlock_clears_the_waiting_sets,
    ),
    turned(
        "votes survive the emergency", "Bridge", ("self.lock_votes = 0", "pass"),
        test_bridge_control.test_cold_set_unlocks_with_new_sets,
    ),
    gone(
        "bridge sets of old epochs", "Bridge",
        'assert epoch > self.epoch and epoch > self.pending_epoch, "set: epoch must grow"',
        test_bridge_control.test_bridge_sets_change_only_by_growing_epochs_after_the_period,
    ),
    gone(
        "bridge sets at once", "Bridge",
        "assert block.timestamp > self.pending_since + self.dispute_s, "
        '"set: the dispute period runs"',
        test_bridge_control.test_bridge_sets_change_only_by_growing_epochs_after_the_period,
    ),
    gone(
        "payouts by anybody when closed", "Bridge",
        "assert self.open_finalize or self.has_role[FINALIZER][msg.sender], "
        '"bridge: not a finalizer"',
        test_bridge_control.test_closed_finalisation_asks_for_a_finalizer,
    ),
    gone(
        "striking out what does not wait", "Bridge",
        'assert self.requests[wid].status == PENDING, "invalidate: not waiting"',
        test_bridge_control.test_only_waiting_withdrawals_are_struck_out,
    ),
    turned(
        "deposits swept away", "Bridge", (" - (self.deposited - self.paid)", ""),
        test_bridge_control.test_sweep_returns_only_what_no_deposit_brought,
    ),
)  # fmt: skip

POOL = (
    turned(
        "rounding for the trader", "Pool",
        ("return net * reserve_out // (reserve_in * FEE_PER + net)",
         "return net * reserve_out // (reserve_in * FEE_PER + net) + 1"),
        test_pool.test_selling_rounds_the_same_way, is_quick=True,
    ),
    turned(
        "no fee", "Pool", ("(FEE_PER - FEE_BPS)", "FEE_PER"),
        test_pool.test_selling_rounds_the_same_way,
    ),
    turned(
        "no slippage bound", "Pool",
        ("assert amount_out >= least_out and amount_out != 0", "assert amount_out != 0"),
        test_pool.test_slippage_bound_and_deadline_hold,
    ),
    turned(
        "something for nothing", "Pool",
        ("assert amount_out >= least_out and amount_out != 0", "assert amount_out >= least_out"),
        test_pool.test_selling_rounds_the_same_way,
    ),
    gone(
        "no deadline", "Pool", 'assert block.timestamp <= deadline, "pool: too late"',
        test_pool.test_slippage_bound_and_deadline_hold,
    ),
    turned(
        "donations move the price", "Pool",
        ("reserve_in: uint256 = self.usd_reserve if",
         "reserve_in: uint256 = staticcall Coin(USD).balanceOf(self) if"),
        test_pool.test_donation_changes_no_price_and_no_share,
    ),
    turned(
        "donations go to the providers", "Pool",
        ("shares * self.usd_reserve // self.total_shares",
         "shares * staticcall Coin(USD).balanceOf(self) // self.total_shares"),
        test_pool.test_donation_changes_no_price_and_no_share,
    ),
    turned(
        "the first owns every share", "Pool", ("        made -= MINIMUM_SHARES\n", ""),
        test_pool.test_first_shares_belong_to_nobody,
    ),
    turned(
        "dollars rounded down", "Pool", ("return (number + by - 1) // by", "return number // by"),
        test_pool.test_liquidity_is_added_at_the_ratio_rounded_up,
    ),
    gone(
        "shares of others", "Pool",
        'assert self.shares[msg.sender] >= shares, "pool: not so many shares"',
        test_pool.test_liquidity_is_added_at_the_ratio_rounded_up,
    ),
    turned(
        "a swap inside a swap", "Pool",
        ("@external\n@nonreentrant\ndef swap", "@external\ndef swap"),
        test_pool.test_swap_inside_a_swap_is_refused,
    ),
    gone(
        "less arrives than is booked", "Pool",
        'assert staticcall Coin(coin).balanceOf(self) == before + amount, "pool: amount differs"',
        test_pool.test_pool_does_not_take_a_coin_that_keeps_a_fee,
    ),
    turned(
        "the price of one moment counts for all time", "Pool",
        ("    self.price_sum = self._price_sum()\n", ""),
        test_pool.test_price_sum_counts_time_at_each_price,
    ),
)  # fmt: skip

BUYBACK = (
    turned(
        "tokens kept", "BuybackVault",
        ("held: uint256 = staticcall Coin(TOKEN).balanceOf(self)", "held: uint256 = bought"),
        test_buyback.test_tokens_sent_to_the_vault_burn_with_the_next_purchase,
    ),
    turned(
        "nothing burned", "BuybackVault", ("extcall Coin(TOKEN).burn(held)", "pass"),
        test_buyback.test_purchase_spends_the_schedule_and_burns_all,
        test_buyback.test_quote_is_filled_and_burned, is_quick=True,
    ),
    turned(
        "any price in the pool", "BuybackVault",
        ("swap(True, usd, least,", "swap(True, usd, 0,"),
        test_buyback.test_price_moved_for_the_purchase_stops_it,
    ),
    turned(
        "no average", "BuybackVault",
        ('assert block.timestamp >= base.time + INTERVAL_S, "vault: no average price yet"', "pass"),
        test_buyback.test_average_needs_an_interval_and_starts_afresh,
    ),
    gone(
        "no distance", "BuybackVault",
        'assert block.timestamp >= self.last_time + INTERVAL_S, "vault: too early"',
        test_buyback.test_purchases_keep_their_distance,
        test_buyback.test_quote_keeps_the_schedule,
    ),
    gone(
        "crumbs of a purchase", "BuybackVault",
        'assert usd >= MINIMUM_USD, "vault: below the minimum"',
        test_buyback.test_too_little_is_not_spent,
        test_buyback.test_quote_keeps_the_schedule,
    ),
    gone(
        "all at once", "BuybackVault", 'assert usd <= self._most(), "vault: above the schedule"',
        test_buyback.test_quote_keeps_the_schedule,
    ),
    turned(
        "no share of the pool", "BuybackVault",
        ("return min(staticcall Coin(USD).balanceOf(self), share)",
         "return staticcall Coin(USD).balanceOf(self)"),
        test_buyback.test_purchase_spends_the_schedule_and_burns_all,
    ),
    gone(
        "dear quotes", "BuybackVault",
        "assert quote.tokens >= self._least_tokens(quote.usd), "
        '"quote: price above the bound"',
        test_buyback.test_quote_above_the_bound_is_refused,
    ),
    turned(
        "the bound rounded down", "BuybackVault",
        ("(usd * PRICE_ONE * BPS + most_price - 1) // most_price",
         "(usd * PRICE_ONE * BPS) // most_price"),
        test_buyback.test_quote_above_the_bound_is_refused,
    ),
    gone(
        "quotes used twice", "BuybackVault", 'assert not self.is_used[digest], "quote: used"',
        test_buyback.test_quote_works_once_for_its_signer_until_it_expires,
    ),
    gone(
        "old quotes", "BuybackVault", 'assert block.timestamp <= quote.expires, "quote: expired"',
        test_buyback.test_quote_works_once_for_its_signer_until_it_expires,
    ),
    gone(
        "anybody's quotes", "BuybackVault",
        'assert signer != empty(address) and signer == quote.maker, "quote: wrong signer"',
        test_buyback.test_quote_works_once_for_its_signer_until_it_expires,
    ),
    gone(
        "malleable quotes", "BuybackVault",
        'assert convert(s, uint256) <= HALF_ORDER, "quote: s is high"',
        test_buyback.test_quote_works_once_for_its_signer_until_it_expires,
    ),
    gone(
        "notes at any time", "BuybackVault",
        'assert block.timestamp >= self.newer.time + INTERVAL_S, "observe: too early"',
        test_buyback.test_average_needs_an_interval_and_starts_afresh,
    ),
)  # fmt: skip

TOKENS = (
    turned(
        "more than was allowed", "erc20",
        ("        assert allowed >= amount, \"allowance too small\"\n"
         "        self.allowance[owner][msg.sender] = allowed - amount", "        pass"),
        test_tokens.test_token_moves_and_burns_and_cannot_be_minted, contract="Token",
        is_quick=True,
    ),
    turned(
        "burning for show", "erc20", ("    self.totalSupply -= amount\n", ""),
        test_tokens.test_token_moves_and_burns_and_cannot_be_minted, contract="Token",
    ),
    turned(
        "permits twice", "TestUSD", ("self.nonces[owner] = nonce + 1", "pass"),
        test_tokens.test_permit_approves_once,
    ),
    gone(
        "late permits", "TestUSD", 'assert block.timestamp <= deadline, "permit: expired"',
        test_tokens.test_permit_approves_once,
    ),
    gone(
        "anybody's permits", "TestUSD",
        'assert signer != empty(address) and signer == owner, "permit: wrong signer"',
        test_tokens.test_permit_of_another_chain_or_signer_is_refused,
    ),
    gone(
        "anybody mints", "TestUSD", 'assert msg.sender == MINTER, "only the minter"',
        test_tokens.test_permit_of_another_chain_or_signer_is_refused,
    ),
)  # fmt: skip

REGISTRY = (
    turned(
        "no notice", "Registry", ("block.timestamp + NOTICE_S", "block.timestamp"),
        test_registry.test_version_counts_after_its_notice, is_quick=True,
    ),
    gone(
        "two announcements at once", "Registry",
        "assert block.timestamp >= self.versions[self.count].effective, "
        '"registry: one runs already"',
        test_registry.test_one_announcement_runs_at_a_time_with_growing_heights,
    ),
    gone(
        "heights that shrink", "Registry",
        'assert height > self.versions[self.count].height, "registry: height must grow"',
        test_registry.test_one_announcement_runs_at_a_time_with_growing_heights,
    ),
    gone(
        "announcements without a quorum", "Registry",
        "quorum._check_quorum(digest, vals, powers, idx, sigs)",
        test_registry.test_announcement_needs_the_validators,
    ),
    turned(
        "announcements repeated", "Registry", ("    self.step += 1\n", ""),
        test_registry.test_announcement_can_be_taken_back_and_not_repeated,
    ),
    gone(
        "taking back what counts", "Registry",
        'assert block.timestamp < self.versions[self.count].effective, "registry: none runs"',
        test_registry.test_announcement_can_be_taken_back_and_not_repeated,
    ),
    gone(
        "announcements on a forked log", "Registry",
        'assert not staticcall Log(ANCHOR).paused(), "registry: the log forked"',
        test_registry.test_forked_log_announces_nothing,
    ),
)  # fmt: skip

MUTANTS = (
    *QUORUM, *MERKLE, *ANCHOR, *DEPOSITS, *WITHDRAWALS, *DISPUTES, *CONTROL, *POOL, *BUYBACK,
    *TOKENS, *REGISTRY,
)  # fmt: skip
