"""What a planned campaign promises: its outcome by simulation, what proves it, the load it brings, its caps, the filled template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError, UsageError
from opslib.models import campaign, power
from opslib.models.campaign import Plan
from opslib.models.moments import divided
from opslib.models.planning import Assumption, Design
from opslib.text import say


def simulated(found: Mapping[str, Assumption], plan: Design, *, draws: int = 20_000) -> Plan:
    """The plan played through from its assumptions; `chance` is that of the goal."""
    return campaign.plan(
        reach=found["reach"].spread,
        participation=found["participation"].spread,
        conversion=found["conversion"].spread,
        incremental=found["incremental"].spread,
        value=found["value"].spread,
        reward=found["reward"].spread,
        fixed_cost=plan.fixed_cost,
        margin=plan.margin,
        goal=(plan.quantity, plan.goal),
        draws=draws,
        alpha=0.05,
    )


def bins(played: Plan, plan: Design, *, count: int = 30) -> pd.DataFrame:
    """The simulated goal quantity as `left`, `right`, `users` (share of the draws), cut at its 99.5th percentile."""
    x = played.draws[plan.quantity].to_numpy(float)
    top = max(float(np.quantile(x, 0.995)), float(x.min()) + 1.0)
    heights, edges = np.histogram(x[x <= top], bins=count, range=(float(x.min()), top))
    return pd.DataFrame({"left": edges[:-1], "right": edges[1:], "share": heights / len(x)})


def safe_goal(played: Plan, plan: Design, *, chance: float = 0.8) -> float:
    """The goal that is reached with this chance."""
    return float(played.draws[plan.quantity].quantile(1 - chance))


@dataclass(frozen=True)
class Proof:
    """What it takes to prove the effect: users to hold out, those planned, and the smallest lift that these would show."""

    rate: float
    lift: float
    held: int
    planned: int
    shows: float | None
    reach: float

    @property
    def proposed(self) -> int:
        """Users to hold out: as many as it takes while that is no more than half of those reached, else as planned."""
        return max(self.held, self.planned) if self.held <= self.reach / 2 else self.planned

    @property
    def enough(self) -> bool:
        return self.planned >= self.held


def proof(rate: float, reach: float, *, lift: float, holdout: float) -> Proof | None:
    """Held-out users for a two-sided 5 % test with power 80 % of `rate` against `rate` × (1 + lift).

    None where nobody does the event, or the lift would exceed 100 %: then no sample size can be given.
    """
    if not 0 < rate < 1 or rate * (1 + lift) >= 1:
        return None
    if not 0 < holdout < 1:
        raise UsageError(f"campaign_plan: holdout must lie between 0 and 1, got {holdout:g}")
    ratio = (1 - holdout) / holdout
    planned = int(reach * holdout)
    try:
        shows = power.detectable_proportion(planned, rate, ratio=ratio) / rate - 1 if planned > 1 else None
    except TooLittleError:
        shows = None
    return Proof(rate, lift, ceil(power.size_proportions(rate, rate * (1 + lift), ratio=ratio)), planned, shows, reach)


@dataclass(frozen=True)
class Load:
    """Requests per second to be ready for, from `n` past campaigns: expected, at the high end, and the past's own peak."""

    expected: float
    high: float
    past: float
    n: int


def load(pressed: pd.DataFrame, reach: Assumption, *, requests_each: float, headroom: float) -> Load:
    """Peak requests per second in the busiest minute.

    `pressed` is `metrics.campaign_load`. Expected: reach × events a user × share of the busiest minute, each the mean of past
    campaigns; at the high end the worst of them and the high end of reach; both times requests per event and headroom.

    Raises
    ------
    TooLittleError  if no past campaign has events.
    """
    if pressed.empty:
        raise TooLittleError(say(zh="没有已结束的活动，无法预估峰值", en="no campaign is over yet: no peak to go by"))
    each, share = divided(pressed.requests, pressed.users), divided(pressed.busiest, pressed.requests)
    rate = pd.Series(each * share)  # events of a user in the busiest minute, campaign by campaign
    usual, worst = (
        campaign.peak_load(people, requests_each=requests_each * r, busiest_share=1.0, headroom=headroom)
        for people, r in ((reach.spread.mean, rate.mean()), (reach.ends()[1], rate.max()))
    )
    return Load(float(usual), float(worst), float(pressed.busiest.max() * requests_each / 60), len(pressed))


def caps(played: Plan, plan: Design, found: Mapping[str, Assumption]) -> dict[str, float]:
    """Ceilings for the risk list: money in all and a day, and users by the third day under which help is due."""
    high = float(played.table.loc["cost", "high"])
    money = plan.budget if plan.budget > 0 else high
    goal = plan.goal * min(3, plan.days) / plan.days / 2
    return {"money": money, "daily": 2 * money / plan.days, "late": goal, "over": float((played.draws.cost > money).mean()),
            "reward": found["reward"].spread.mean}  # fmt: skip


def written(plan: Design, played: Plan, found: Mapping[str, Assumption], *, holdout: float) -> pd.DataFrame:
    """The filled template that the retrospective reads back: `item`, `value`, `low`, `high`, `basis`."""
    said = [("campaign_id", plan.id), ("name", plan.name), ("kind", plan.kind), ("stage", plan.stage), ("first", plan.first), ("last", plan.last),
            ("goal_metric", plan.goal_metric), ("goal_value", plan.goal), ("budget", plan.budget), ("holdout", holdout), ("chance", played.chance)]  # fmt: skip
    rows: list[tuple[str, str, float | None, float | None, str]] = [
        (name, str(value), None, None, "plan") for name, value in said
    ]
    rows += [(name, str(a.spread.mean), *a.ends(), a.source) for name, a in found.items() if a.source != "none"]
    unknown = {"revenue", "profit", "roi"} if found["value"].source == "none" else set()
    for name, row in played.table.iterrows():
        if name not in unknown and np.isfinite(row["mean"]):
            rows.append((f"expected_{name}", str(row["median"]), row.low, row.high, "simulation"))
    return pd.DataFrame(rows, columns=["item", "value", "low", "high", "basis"])
