"""One round of another venue, however it was published."""

from dataclasses import dataclass, field
from typing import Final

from chainperp.lab.forensic import Position

MONEY: Final = 10**6
SIZE: Final = 10**8


@dataclass
class VenueRound:
    """One round of a venue: its positions, what is known of each, and who is exempt in public."""

    name: str
    known: frozenset[str]
    positions: list[Position] = field(default_factory=list)
    exempt: int = 0
    """Positions left out because the venue itself says that they are never closed."""
