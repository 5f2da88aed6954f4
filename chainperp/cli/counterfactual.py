"""What `chainperp lab replay` says of a block under several policies."""

from typing import Any

from chainperp.base.units import usd_text
from chainperp.lab.counterfactual import Replayed
from chainperp.lab.problem import code_of


def world_rows(found: Replayed) -> list[list[str]]:
    """One row per policy; the recorded one is marked."""
    return [
        [
            f"{code_of(world.policy)} {world.policy.name}"
            + (" (recorded)" if world.is_recorded else ""),
            str(world.rounds),
            str(len(world.payments)),
            usd_text(sum(world.payments)),
            usd_text(max(world.payments, default=0)),
            f"{world.gini:.4f}",
            usd_text(world.insolvent),
        ]
        for world in found.worlds
    ]


def account_rows(found: Replayed, top: int) -> list[list[str]]:
    """Accounts whose payment depends most on the policy."""
    names = sorted({name for world in found.worlds for name in world.paid})

    def spread(name: str) -> int:
        paid = [world.paid.get(name, 0) for world in found.worlds]
        return max(paid) - min(paid)

    names.sort(key=lambda name: (-spread(name), name))
    return [
        [name, *(usd_text(world.paid.get(name, 0)) for world in found.worlds)]
        for name in names[:top]
    ]


def replay_document(found: Replayed) -> dict[str, Any]:
    """The answer with stable keys; amounts in micro-USDC."""
    return {
        "height": found.height,
        "worlds": [
            {
                "policy": world.policy.name,
                "code": code_of(world.policy),
                "recorded": world.is_recorded,
                "rounds": world.rounds,
                "paid": world.paid,
                "below_zero": world.insolvent,
                "state_root": world.state_root,
            }
            for world in found.worlds
        ],
    }
