"""What a campaign's review leaves for the next plan: what was planned against what came, keep, stop and try, and a template."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from opslib.errors import UsageError
from opslib.models.ltv import Range
from opslib.models.retrospective import Campaign, Extra, Money
from opslib.text import missing

SUSPECT_SHARE = 0.01  # of the rewards' claimants, from which on paying at once is to be stopped


@dataclass(frozen=True)
class Facts:
    """What a review knows by its end; what it does not know is None or NaN."""

    this: Campaign
    spent: Money
    done: float = float("nan")
    extra: Extra | None = None
    claimants: int = 0
    listed: int = 0
    taken: float = 0.0
    k: Range | None = None
    stayed: tuple[float, float] | None = None

    @property
    def unmasked(self) -> float:
        """Users of the goal without the accounts up for review: each of them was one at most."""
        return self.done - self.listed

    @property
    def reached(self) -> float:
        """Share of the goal; NaN without one."""
        return self.done / self.this.goal if self.this.goal > 0 else float("nan")


def stayed(who: pd.DataFrame, *, least: int = 30) -> tuple[float, float] | None:
    """Second-week retention of new users who took part and of new users who did not; None where either is too few."""
    new = who[(who.kind == "new") & (who["size"] >= least)].set_index("took_part").rate
    return (float(new[True]), float(new[False])) if {True, False} <= set(new.index) else None


def rules(facts: Facts) -> list[tuple[str, str]]:
    """(keep, stop or try; which advice): every rule whose condition the facts meet, at least one `try`."""
    this, roi = facts.this, facts.extra.roi if facts.extra else None
    low, high = (np.nan, np.nan) if roi is None else (roi.low or 0.0, roi.high or 0.0)
    share = facts.listed / facts.claimants if facts.claimants else 0.0
    over = not missing(this.budget) and this.budget > 0 and facts.spent.cost > this.budget
    met = {
        ("keep", "goal"): facts.reached >= 1,
        ("keep", "roi"): low > 0,
        ("keep", "holdout"): facts.extra is not None,
        ("keep", "stayed"): facts.stayed is not None and facts.stayed[0] >= facts.stayed[1],
        ("stop", "roi"): high < 0,
        ("stop", "budget"): over,
        ("stop", "instant_rewards"): share > SUSPECT_SHARE,
        ("try", "holdout"): facts.extra is None,
        ("try", "goal"): facts.reached < 1,
        ("try", "welcome"): facts.stayed is not None and facts.stayed[0] < facts.stayed[1],
        ("try", "second_invite"): facts.k is not None and (facts.k.value or 0.0) < 1,
        ("try", "bigger"): low > 0 and facts.reached >= 1,
    }
    return [rule for rule, holds in met.items() if holds] or [("try", "holdout")]


def unit_costs(facts: Facts) -> tuple[float, float]:
    """Cost of one user who did what the goal counts: of everybody, and without the accounts up for review and what they took."""
    whole = facts.spent.cost / facts.done if facts.done > 0 and facts.spent.cost > 0 else float("nan")
    honest = facts.unmasked
    if not honest > 0 or not facts.spent.cost > 0:
        return whole, float("nan")
    return whole, (facts.spent.cost - facts.taken) / honest


def honest_roi(facts: Facts) -> Range | None:
    """ROI had the accounts up for review been paid nothing; None where ROI is unknown or nobody is listed."""
    roi, kept = facts.extra.roi if facts.extra else None, facts.spent.cost - facts.taken
    if roi is None or not facts.listed or not kept > 0 or not facts.taken > 0:
        return None
    value, low, high = ((1 + (v or 0.0)) * facts.spent.cost / kept - 1 for v in (roi.value, roi.low, roi.high))
    return Range(value, low, high)


def planned(rows: pd.DataFrame) -> dict[str, tuple[str, float, float]]:
    """The newest filled plan as item → (value, low, high); empty where there is none.

    Raises
    ------
    UsageError  if the file has not the columns of a plan.
    """
    if rows.empty:
        return {}
    lacking = {"item", "value", "low", "high"} - set(rows.columns)
    if lacking:
        raise UsageError(
            f"plan: the file has no column {', '.join(sorted(lacking))}", "give lists/plan.csv of a campaign_plan"
        )
    newest = rows[rows.run == rows.run.iloc[0]]
    ends = newest[["low", "high"]].apply(pd.to_numeric, errors="coerce")
    return {
        r.item: (r.value, float(e.low), float(e.high))
        for r, e in zip(newest.itertuples(), ends.itertuples(), strict=True)
    }


def as_planned(this: Campaign, plan: dict[str, tuple[str, float, float]]) -> Campaign:
    """The campaign with the goal and the budget of its plan, where its own record has none."""
    told = {item: value for item, (value, _, _) in plan.items()}
    found: dict[str, Any] = {}
    goal, budget = (pd.to_numeric(told.get(item), errors="coerce") for item in ("goal_value", "budget"))
    # What a hand has emptied or misspelt lends nothing; a goal in money is no count of an event.
    if not this.goal_metric and told.get("goal_metric") not in (None, "", "revenue") and goal > 0:
        found = {"goal_metric": told["goal_metric"], "goal": float(goal)}
    if missing(this.budget) and budget > 0:
        found["budget"] = float(budget)
    return replace(this, **found)


def against(plan: dict[str, tuple[str, float, float]], facts: Facts) -> pd.DataFrame:
    """Planned beside actual: `quantity`, `plan`, `plan_low`, `plan_high`, `actual`; a row where both are known."""
    roi = facts.extra.roi if facts.extra else None
    key = "expected_participants" if facts.this.goal_metric == "join_campaign" else "expected_conversions"
    actual = {key: facts.done, "expected_cost": facts.spent.cost or np.nan, "expected_roi": np.nan if roi is None else roi.value,
              "expected_revenue": np.nan if facts.extra is None else facts.extra.revenue.value}  # fmt: skip
    rows = []
    for item, value in actual.items():
        if item in plan and not missing(value):
            middle, low, high = plan[item]
            rows.append((item.removeprefix("expected_"), float(middle), low, high, float(value or 0.0)))
    return pd.DataFrame(rows, columns=["quantity", "plan", "plan_low", "plan_high", "actual"])
