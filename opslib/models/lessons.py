"""What a campaign's review leaves for the next plan: what was planned against what came, keep, stop and try, and a template."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from opslib.errors import UsageError
from opslib.models.ltv import Range
from opslib.models.planning import JOIN
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
    def users(self) -> float:
        """Users who did what the goal counts; NaN where it counts money."""
        return float("nan") if self.this.in_money else self.done

    @property
    def unmasked(self) -> float:
        """Users of the goal without the accounts up for review: each of them was one at most."""
        return self.users - self.listed

    @property
    def reached(self) -> tuple[float, float]:
        """Share of the goal, at least and at most; NaN without one.

        A goal in money is extra revenue: the interval of the hold-out, else at most what was ordered in the campaign's name.
        """
        goal = self.this.goal if self.this.goal > 0 else float("nan")
        if not self.this.in_money:
            return self.done / goal, self.done / goal
        if self.extra is None:
            return float("nan"), self.spent.revenue / goal
        low, high = (np.nan if v is None else v for v in (self.extra.revenue.low, self.extra.revenue.high))
        return float(low / goal), float(high / goal)


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
        ("keep", "goal"): facts.reached[0] >= 1,
        ("keep", "roi"): low > 0,
        ("keep", "holdout"): facts.extra is not None,
        ("keep", "stayed"): facts.stayed is not None and facts.stayed[0] >= facts.stayed[1],
        ("stop", "roi"): high < 0,
        ("stop", "budget"): over,
        ("stop", "instant_rewards"): share > SUSPECT_SHARE,
        ("try", "holdout"): facts.extra is None,
        ("try", "goal"): facts.reached[1] < 1,
        ("try", "welcome"): facts.stayed is not None and facts.stayed[0] < facts.stayed[1],
        ("try", "second_invite"): facts.k is not None and (facts.k.value or 0.0) < 1,
        ("try", "bigger"): low > 0 and facts.reached[0] >= 1,
    }
    return [rule for rule, holds in met.items() if holds] or [("try", "holdout")]


def unit_costs(facts: Facts) -> tuple[float, float]:
    """Cost of one user who did what the goal counts: of everybody, and without the accounts up for review and what they took."""
    whole = facts.spent.cost / facts.users if facts.users > 0 and facts.spent.cost > 0 else float("nan")
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


@dataclass(frozen=True)
class Planned:
    """A filled plan as it is read back: item → (value, low, high), and the run that filled it; empty where there is none."""

    items: Mapping[str, tuple[str, float, float]] = field(default_factory=dict)
    run: str = ""

    def told(self, item: str) -> str:
        value = self.items[item][0] if item in self.items else ""
        return "" if missing(value) else str(value)

    def number(self, item: str) -> float:
        """What a hand has emptied or misspelt is no number."""
        return float(pd.to_numeric(self.told(item), errors="coerce"))

    @property
    def days(self) -> tuple[dt.date, dt.date] | None:
        """The first and the last planned day; None where the plan names none."""
        first, last = (pd.to_datetime(self.told(item), errors="coerce") for item in ("first", "last"))
        return None if pd.isna(first) or pd.isna(last) else (first.date(), last.date())

    def apart(self, this: Campaign) -> str:
        """How the planned days differ from the campaign's: not at all, `shifted`, of another `length`, or `disjoint`."""
        if self.days is None or self.days == (this.first, this.last):
            return ""
        first, last = self.days
        if last < this.first or first > this.last:
            return "disjoint"
        return "shifted" if (last - first).days + 1 == this.days else "length"


def planned(rows: pd.DataFrame) -> Planned:
    """The newest filled plan; empty where there is none.

    Raises
    ------
    UsageError  if the file has not the columns of a plan.
    """
    if rows.empty:
        return Planned()
    lacking = {"item", "value", "low", "high"} - set(rows.columns)
    if lacking:
        raise UsageError(
            f"plan: the file has no column {', '.join(sorted(lacking))}", "give lists/plan.csv of a campaign_plan"
        )
    newest = rows[rows.run == rows.run.iloc[0]]
    ends = newest[["low", "high"]].apply(pd.to_numeric, errors="coerce")
    items = {
        r.item: (r.value, float(e.low), float(e.high))
        for r, e in zip(newest.itertuples(), ends.itertuples(), strict=True)
    }
    return Planned(items, str(newest.run.iloc[0]))


def as_planned(this: Campaign, plan: Planned) -> Campaign:
    """The campaign with the goal and the budget of its plan, where its own record has none.

    A plan for other days than any of the campaign's lends nothing.
    """
    if plan.apart(this) == "disjoint":
        return this
    found: dict[str, Any] = {}
    metric, goal, budget = plan.told("goal_metric"), plan.number("goal_value"), plan.number("budget")
    if metric and goal > 0 and (not this.goal_metric or (this.goal_metric == metric and missing(this.goal))):
        found = {"goal_metric": metric, "goal": goal}
    if missing(this.budget) and budget > 0:
        found["budget"] = budget
    return replace(this, **found)


def against(plan: Planned, facts: Facts) -> pd.DataFrame:
    """Planned beside actual: `quantity`, `plan`, `plan_low`, `plan_high`, `actual`; a row where both are known.

    A plan that knew which share is extra promised extra revenue; one that did not promised what is ordered in its name.
    """
    roi = facts.extra.roi if facts.extra else None
    key = "expected_participants" if facts.this.goal_metric == JOIN else "expected_conversions"
    money: float | None = facts.spent.revenue if facts.spent.orders else np.nan
    if "incremental" in plan.items:
        money = facts.extra.revenue.value if facts.extra else np.nan
    actual = {key: facts.users, "expected_cost": facts.spent.cost or np.nan, "expected_revenue": money,
              "expected_roi": np.nan if roi is None or "incremental" not in plan.items else roi.value}  # fmt: skip
    rows = []
    for item, value in actual.items():
        if item in plan.items and not missing(value):
            middle, low, high = plan.items[item]
            name = item.removeprefix("expected_")
            name = "ordered" if name == "revenue" and "incremental" not in plan.items else name
            rows.append((name, float(middle), low, high, float(value or 0.0)))
    return pd.DataFrame(rows, columns=["quantity", "plan", "plan_low", "plan_high", "actual"])


def reviewed(templates: pd.DataFrame, kind: str, lang: str) -> pd.DataFrame:
    """Of the templates that reviews left (newest first), those of the kind: one a campaign, in the language asked for if there is one."""
    if "kind" not in templates or "lang" not in templates:
        return templates.iloc[:0]
    of_kind = templates[templates.kind == kind].reset_index(drop=True)
    asked = of_kind.assign(other=of_kind.lang != lang).sort_values("other", kind="stable")
    newest = asked.groupby("campaign_id").run.transform("first").sort_index()
    return of_kind[of_kind.run == newest]
