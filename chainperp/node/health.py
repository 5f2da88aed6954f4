"""Whether the node is alive and ready, and what keeps it from being so."""

from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

from chainperp.node.producer import Producer

TURN_SECONDS_MAX: Final = 15
"""The loop looks around at least every few seconds, even when nothing happens."""

Check = Callable[[], str | None]


class Health:
    """Answers for `/healthz` and `/readyz`. A check says what is wrong, or None."""

    def __init__(self, producer: Producer) -> None:
        self.producer = producer
        self.checks: dict[str, Check] = {"loop": self._loop, "storage": self._storage}
        """What has to be right before questions are answered."""

    def alive(self) -> tuple[bool, dict[str, Any]]:
        """Whether the engine loop turned recently."""
        return self._judge({"loop": self._loop})

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether everything that answers needs is there."""
        return self._judge(self.checks)

    def _judge(self, checks: dict[str, Check]) -> tuple[bool, dict[str, Any]]:
        found = {name: check() for name, check in checks.items()}
        is_well = not any(found.values())
        return is_well, {
            "ok": is_well,
            "height": self.producer.engine.height,
            "checks": {name: problem or "ok" for name, problem in found.items()},
        }

    def _loop(self) -> str | None:
        seconds = perf_counter() - self.producer.turned
        return f"the loop last turned {seconds:.0f} s ago" if seconds > TURN_SECONDS_MAX else None

    def _storage(self) -> str | None:
        return None if self.producer.store.has_room() else "the disk is nearly full"
