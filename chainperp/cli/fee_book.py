"""Fee rates as the log alone gives them: volumes by day, families of accounts, referrers.

A second, slow way to what the state keeps: fed with the entries of a log from its first block on.
"""

from dataclasses import dataclass
from typing import Any

from chainperp.base.canonical import Record
from chainperp.base.units import usd_text
from chainperp.chain.audit.fees import FREE
from chainperp.cli.chain_log import who
from chainperp.model.decisions import Kind, ReferralEvent
from chainperp.parameters.schema import Parameters
from chainperp.rules.fees import fee_rates, maker_rate, volume_of_window
from chainperp.rules.referrals import referral_terms
from chainperp.rules.spot import counted_volume


@dataclass(frozen=True, slots=True)
class SideFee:
    """What decides one side's fee: rate in millionths, discount and reward in basis points."""

    rate: int
    tier: int
    volume: int
    made: int
    exchange: int
    window: int
    discount: int
    reward: int
    referrer: bytes | None

    def document(self) -> dict[str, Any]:
        """With stable keys."""
        return {
            "rate_millionths": self.rate,
            "tier": self.tier,
            "volume": usd_text(self.volume),
            "made": usd_text(self.made),
            "exchange_made": usd_text(self.exchange),
            "discount_bps": self.discount,
            "reward_bps": self.reward,
            "referrer": None if self.referrer is None else who(self.referrer),
        }


class FeeBook:
    """What entries have said so far."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.volumes: dict[bytes, list[tuple[int, int]]] = {}
        self.made: dict[bytes, list[tuple[int, int]]] = {}
        self.exchange: list[tuple[int, int]] = []
        self.traded: dict[bytes, int] = {}
        self.master: dict[bytes, bytes] = {}
        self.subs: dict[bytes, list[bytes]] = {}
        self.referrers: dict[bytes, bytes] = {}
        # The day for which terms hold, with discount and reward.
        self.terms: dict[bytes, tuple[int, int, int]] = {}

    def take(self, kind: Kind, fields: Record, today: int, *, is_spot: bool) -> None:
        """One entry."""
        if kind is Kind.SUB_ACCOUNT:
            if fields["sub"] not in self.master:
                self.master[fields["sub"]] = fields["master"]
                self.subs.setdefault(fields["master"], []).append(fields["sub"])
        elif kind is Kind.REFERRAL:
            if fields["event"] == ReferralEvent.REFERRED:
                account = fields["account"]
                self.referrers[account] = fields["referrer"]
                if self.terms.get(account, (-1,))[0] == today:
                    self.terms[account] = self._fresh_terms(account, today)
        elif not fields["flags"] & FREE:
            self._trade(fields, today, is_spot=is_spot)

    def _trade(self, fields: Record, today: int, *, is_spot: bool) -> None:
        notional = fields["price"] * fields["lots"]
        counted = notional
        if is_spot:
            counted = counted_volume(notional, self.parameters.spot_volume_weight)
        for side in ("maker", "taker"):
            account = fields[side]
            self.terms[account] = self._terms(account, today)
            _add(self.volumes.setdefault(account, []), today, counted)
            self.traded[account] = self.traded.get(account, 0) + notional
        _add(self.made.setdefault(fields["maker"], []), today, counted)
        _add(self.exchange, today, counted)

    def _terms(self, account: bytes, today: int) -> tuple[int, int, int]:
        known = self.terms.get(account)
        return (
            known if known is not None and known[0] == today else self._fresh_terms(account, today)
        )

    def _fresh_terms(self, account: bytes, today: int) -> tuple[int, int, int]:
        traded = self.traded.get(account, 0)
        terms = referral_terms(account in self.referrers, traded, self.parameters)
        return today, *terms

    def _family(self, account: bytes) -> list[bytes]:
        master = self.master.get(account, account)
        return [master, *self.subs.get(master, [])]

    def sides(self, fields: Record, today: int, *, is_spot: bool) -> dict[str, SideFee]:
        """What decides the fees of a trade that comes next."""
        return {
            side: self._side(fields[side], today, is_spot=is_spot, is_maker=side == "maker")
            for side in ("maker", "taker")
        }

    def _side(self, account: bytes, today: int, *, is_spot: bool, is_maker: bool) -> SideFee:
        parameters = self.parameters
        window = parameters.volume_window_days
        family = self._family(account)
        days = [row for one in family for row in self.volumes.get(one, [])]
        made_days = [row for one in family for row in self.made.get(one, [])]
        volume = volume_of_window(days, today, window)
        made = volume_of_window(made_days, today, window)
        exchange = volume_of_window(self.exchange, today, window)
        tiers = parameters.spot_fee_tiers if is_spot else parameters.fee_tiers
        rate = fee_rates(volume, tiers)[is_maker]
        if is_maker and not is_spot:
            rate = maker_rate(rate, made, exchange, parameters.maker_rebate_tiers)
        tier = sum(1 for row in tiers[1:] if volume > row[0])
        _, discount, reward = self._terms(account, today)
        referrer = self.referrers.get(account)
        return SideFee(rate, tier, volume, made, exchange, window, discount, reward, referrer)


def _add(days: list[tuple[int, int]], today: int, amount: int) -> None:
    if days and days[-1][0] == today:
        amount += days.pop()[1]
    days.append((today, amount))
