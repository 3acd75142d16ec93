"""What all chunks of visitors share, and what they add up."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from opslib.sample.catalogue import Catalogue, Shelf
from opslib.sample.people import People
from opslib.sample.plan import CAMPAIGNS, CHANNELS, Calendar
from opslib.sample.referral import Invitations


@dataclass
class World:
    """What all chunks share."""

    seed: int
    users: int
    calendar: Calendar
    people: People
    sent: Invitations
    items: Catalogue
    shelf: Shelf


@dataclass
class Tally:
    """What the chunks add up for the small tables and the truths."""

    days: int
    active: np.ndarray = field(init=False)  # users by day
    launches: np.ndarray = field(init=False)
    claimed: np.ndarray = field(default_factory=lambda: np.zeros(len(CAMPAIGNS)))
    sold: np.ndarray = field(default_factory=lambda: np.zeros(len(CAMPAIGNS)))  # orders
    revenue: np.ndarray = field(default_factory=lambda: np.zeros(len(CHANNELS)))  # net of refunds
    payers: np.ndarray = field(default_factory=lambda: np.zeros(len(CHANNELS)))
    lifted: dict[str, float] = field(default_factory=lambda: {"users": 0, "orders": 0, "revenue": 0.0})
    late: int = 0
    twice: int = 0
    active_days: list[np.ndarray] = field(default_factory=list)
    hostile: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.active, self.launches = np.zeros(self.days, int), np.zeros(self.days, int)
