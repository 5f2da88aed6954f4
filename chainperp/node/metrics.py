"""Figures for operators, in Prometheus text. No account is ever a label."""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from chainperp.model.decisions import (
    REASONS,
    Kind,
    LiquidationOutcome,
    Rejection,
)
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.node.effects import ORDER, Effects, Published, order_record
from chainperp.node.producer import Producer

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
LIQ_TEST: Final = Kind.LIQ_TEST.to_bytes(2, "big")
ADL_BEGIN: Final = Kind.ADL_BEGIN.to_bytes(2, "big")
CHECKS_PER_BLOCK: Final = 4
"""INV-1 to INV-4 hold after every block, or there is no block."""


class Metrics:
    """Counters of one node, filled from what the log says."""

    def __init__(self, producer: Producer, clients: Callable[[], int]) -> None:
        self.producer = producer
        self.registry = registry = CollectorRegistry()
        self.height = Gauge("chainperp_block_height", "Last block", registry=registry)
        self.seconds = Histogram(
            "chainperp_block_seconds",
            "Execution, flush and answers of a block",
            buckets=SECONDS,
            registry=registry,
        )
        self.actions = Counter(
            "chainperp_actions", "Transactions", ("type", "outcome"), registry=registry
        )
        self.rejections = Counter(
            "chainperp_rejections", "Refused actions and orders", ("reason",), registry=registry
        )
        self.liquidations = Counter(
            "chainperp_liquidations", "Scopes below maintenance", ("method",), registry=registry
        )
        self.adl = Counter("chainperp_adl", "Rounds of ADL", ("policy",), registry=registry)
        self.queue = Gauge("chainperp_queue_length", "Waiting actions", registry=registry)
        self.queue.set_function(lambda: producer.room.count)
        self.coming = Gauge(
            "chainperp_requests_coming", "Requests whose signer is looked for", registry=registry
        )
        self.coming.set_function(lambda: producer.coming())
        self.clients = Gauge("chainperp_ws_clients", "Open feeds", registry=registry)
        self.clients.set_function(clients)
        self.log_size = Gauge("chainperp_log_size", "Entries in the log", registry=registry)
        self.checks = Counter(
            "chainperp_invariant_checks", "Invariants that held", registry=registry
        )

    def on_block(self, published: Published) -> None:
        """Count a block."""
        self.height.set(published.height)
        self.seconds.observe(self.producer.seconds_last)
        self.log_size.set(published.first_index + len(published.entries))
        self.checks.inc(CHECKS_PER_BLOCK)
        for effects in published.effects:
            self._count(effects)
        for raw in published.entries:
            kind = raw[1:3]
            if kind == ORDER:
                record = order_record(raw)
                if record.is_refused:
                    self.rejections.labels(REASONS[record.rejection].status).inc()
            elif kind == LIQ_TEST:
                outcome = decode_payload(decode_entry(raw))["outcome"]
                self.liquidations.labels(LiquidationOutcome(outcome).name.lower()).inc()
            elif kind == ADL_BEGIN:
                self.adl.labels(str(decode_payload(decode_entry(raw))["policy_id"])).inc()

    def _count(self, effects: Effects) -> None:
        is_accepted = effects.code is Rejection.ACCEPTED
        outcome = "accepted" if is_accepted else "refused"
        self.actions.labels(effects.action_type(), outcome).inc()
        if not is_accepted:
            self.rejections.labels(effects.code.name.lower()).inc()

    def text(self) -> bytes:
        """Everything, in the format that is scraped."""
        return generate_latest(self.registry)
