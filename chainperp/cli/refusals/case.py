"""A refused action with what is needed to explain it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from chainperp.base.errors import ChainperpError

if TYPE_CHECKING:
    from chainperp.cli.signing import Session
    from chainperp.client.markets import Market


@dataclass
class Case:
    """A refused action, with the order that the text is about if it is about one."""

    session: "Session"
    body: dict[str, Any]
    place: int | None
    text: str

    @property
    def action(self) -> dict[str, Any]:
        """The action as it was sent."""
        action: dict[str, Any] = self.body["action"]
        return action

    @cached_property
    def order(self) -> dict[str, Any]:
        """The refused order; empty when the refusal is about none."""
        action = self.action
        rows = action.get("orders") or [one["order"] for one in action.get("modifies", [])]
        if action["type"] == "modify":
            rows = [action["order"]]
        place = self.place or 0
        return rows[place] if place < len(rows) else {}

    @cached_property
    def market(self) -> "Market | None":
        """The market of the action, if it has one that the node knows."""
        return self.session.market_of(self.order.get("a", self.action.get("asset")))

    def ask(self, name: str, **fields: Any) -> Any:
        """A question to the node; None when it does not answer it."""
        try:
            return self.session.node.info(name, **fields)
        except ChainperpError:
            return None


def position_size(case: Case, coin: str) -> str:
    """Signed size of a position, for people."""
    state = case.ask("clearinghouseState", user=case.session.account)
    if state is None:
        return "not known"
    for row in state["assetPositions"]:
        if row["position"]["coin"] == coin:
            return str(row["position"]["szi"])
    return "0"


Lines = Iterator[str]
Helper = Callable[[Case], Lines]
