"""A campaign ahead: what is planned, and what past campaigns say about it, with their spread."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from opslib import columns
from opslib.errors import TooLittleError, UsageError, near
from opslib.models import abtest
from opslib.models.campaign import Spread, spread_of
from opslib.models.moments import divided
from opslib.periods import iso_day
from opslib.text import Clean, say

NAMES = ("reach", "participation", "conversion", "incremental", "value", "reward")
JOIN = "join_campaign"
LONE = 0.5  # relative spread assumed where a single campaign is all the past there is


@dataclass(frozen=True)
class Design:
    """What is planned; `assumed` holds what was set by hand, name → [mean, spread]."""

    id: str
    name: str
    kind: str
    stage: str
    first: dt.date
    days: int
    goal_metric: str
    goal: float
    budget: float
    fixed_cost: float = 0.0
    margin: float = 1.0
    assumed: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def last(self) -> dt.date:
        return self.first + dt.timedelta(days=self.days - 1)

    @property
    def quantity(self) -> str:
        """Which row of the simulation the goal counts."""
        return {JOIN: "participants", "revenue": "revenue"}.get(self.goal_metric, "conversions")

    @property
    def counted(self) -> str:
        """The event that makes a conversion; money is made by paying."""
        return "pay" if self.goal_metric == "revenue" else self.goal_metric

    @property
    def by_invitation(self) -> bool:
        """One participant may bring several: conversions a participant are no rate."""
        return self.kind == "referral"


def design(parameters: Mapping, *, observed: dt.date, revenue: float) -> Design:
    """The plan from the notebook's parameters; a `goal_change` is a share of the revenue of as many days before.

    Raises
    ------
    UsageError  for a length, a goal or an assumption that cannot be meant.
    """
    p = dict(parameters)
    change = p.pop("goal_change")
    if change:
        p |= {"goal_metric": "revenue", "goal": change * revenue}
    if not 1 <= p["days"] <= 365:
        raise UsageError(f"campaign_plan: days must be between 1 and 365, got {p['days']}")
    if not p["goal"] > 0:
        raise UsageError(f"campaign_plan: the goal must be above 0, got {p['goal']:g}", "set goal_value or goal_change")
    for name, pair in p["assumed"].items():
        if name not in NAMES:
            raise UsageError(f"campaign_plan: no assumption {name!r}", near(name, NAMES))
        if len(pair) != 2 or min(pair) < 0:
            raise UsageError(f"campaign_plan: assumed.{name} must be [mean, spread], both 0 or above, got {list(pair)}")
    return Design(first=_first(p.pop("start"), observed), **p)


def known_until(start: str, *, observed: dt.date) -> dt.date:
    """The last day that a plan may know of: of one that starts in the past, the day before, so that it is not its own past."""
    return min(observed, _first(start, observed) - dt.timedelta(days=1))


def _first(start: str, observed: dt.date) -> dt.date:
    return iso_day(start, "start") if start else observed + dt.timedelta(days=1)


def past(history: pd.DataFrame, money: pd.DataFrame, extra: Mapping[str, float] | None = None) -> pd.DataFrame:
    """The past campaigns with the rates that a plan needs.

    `history` is `metrics.past_campaigns`, `money` `metrics.campaign_money`, `extra` the extra conversions by campaign where a
    hold-out showed them.

    Columns
    -------
    as `history`, and: growth (reach / before), participation, conversion, cost, reward (cost per conversion), value (revenue
    in its name per conversion), incremental (share of conversions that were extra; blank without a hold-out)
    """
    table = history.merge(money, on="campaign_id", how="left")
    rewards = table.booked.astype(float).fillna(table.claims.astype(float))
    cost = rewards + table.media.astype(float).fillna(0.0)
    table["cost"] = cost.where(cost > 0)  # no reward and no spend on record is a cost that nobody knows
    done = table.converted.astype(float)
    table["growth"] = divided(table.reach.astype(float), table.before.astype(float))
    table["participation"] = divided(table.participants.astype(float), table.reach.astype(float))
    table["conversion"] = divided(done, table.participants.astype(float))
    table["reward"] = divided(table.cost, done)
    table["value"] = divided(table.revenue.astype(float), done)
    shown = table.campaign_id.map(dict(extra or {})).astype(float)
    table["incremental"] = np.clip(divided(shown, done), 0.0, 1.0)
    return table.replace([np.inf, -np.inf], np.nan)


@dataclass(frozen=True)
class Assumption:
    """One assumption, how many past campaigns it rests on, and where from: both, kind, one, stage, all, hand, fixed or none."""

    name: str
    spread: Spread
    n: int
    source: str

    def ends(self, alpha: float = 0.05) -> tuple[float, float]:
        """The values between which it lies with chance 1 − alpha."""
        drawn = self.spread.draw(np.random.default_rng(0), 20_000)
        return float(np.quantile(drawn, alpha / 2)), float(np.quantile(drawn, 1 - alpha / 2))


def assumption(table: pd.DataFrame, name: str, plan: Design, *, rate: bool) -> Assumption:
    """What the past says: campaigns of the kind and stage; of the kind; one of the kind with the spread between all; of the
    stage; all; else by hand.

    Definition: two campaigns are the least that speak for themselves. Only those whose goal is counted by the same event say
    something about conversion, reward and value.

    Raises
    ------
    TooLittleError  if no past campaign has it and nothing was set by hand.
    """
    kind = "rate" if rate else "amount"
    if name in plan.assumed:
        mean, sd = plan.assumed[name]
        return Assumption(name, Spread(float(mean), _room(float(mean), float(sd), rate), kind), 0, "hand")
    known = _speaking(table, name, plan)
    values = known[_column(name)].astype(float)
    own = values[known.kind == plan.kind]
    if values.empty:
        raise _groundless([name])
    staged = known.stage == plan.stage
    both, of_stage = own[staged], values[staged]
    if len(both) >= 2:
        found, n, source = spread_of(both, kind=kind), len(both), "both"
    elif len(own) >= 2:
        found, n, source = spread_of(own, kind=kind), len(own), "kind"
    elif len(own) == 1:
        found, n, source = Spread(float(own.iloc[0]), _relative(values) * float(own.iloc[0]), kind), 1, "one"
    else:
        pool, source = (of_stage, "stage") if len(of_stage) >= 2 else (values, "all")
        found, n = Spread(float(pool.mean()), _relative(pool) * float(pool.mean()), kind), len(pool)
    return Assumption(name, Spread(found.mean, _room(found.mean, found.sd, rate), kind), n, source)


def _speaking(table: pd.DataFrame, name: str, plan: Design) -> pd.DataFrame:
    """The past campaigns that say something about an assumption of the plan."""
    known = table[table[_column(name)].notna()]
    return known if name in ("reach", "participation") else known[known.goal_metric == plan.counted]


def _groundless(names: Sequence[str]) -> TooLittleError:
    given = ", ".join(f"{name}: [0.3, 0.1]" for name in names)
    words = [columns.value_name("assumption", name) for name in names]
    return TooLittleError(
        say(
            zh="过往活动中没有「{names}」的依据，请用 opslib load 加载同目标的活动，或自行给出均值与离散，例如 -p 'assumed={{{given}}}'",
            en="no past campaign says anything about {names}: load campaigns with this goal by opslib load, or give mean and spread, as in -p 'assumed={{{given}}}'",
            names=Clean(say(zh="」「", en=", ").join(words)), given=Clean(given),
        )
    )  # fmt: skip


def _column(name: str) -> str:
    return "growth" if name == "reach" else name


def _relative(values: pd.Series) -> float:
    """Spread between campaigns over their mean, widened for the mean being estimated; of one alone, `LONE`."""
    if len(values) < 2 or not values.mean() > 0:
        return LONE
    return float(values.std(ddof=1) / values.mean() * np.sqrt(1 + 1 / len(values)))


def _room(mean: float, sd: float, rate: bool) -> float:
    """A rate's spread cannot exceed what fits between 0 and 1."""
    return min(sd, mean, 0.5 * float(np.sqrt(mean * (1 - mean)))) if rate and 0 < mean < 1 else 0.0 if rate else sd


def assumptions(table: pd.DataFrame, plan: Design, *, audience: float) -> dict[str, Assumption]:
    """Every assumption by name; `audience` are the users active in as many days before today.

    Those that nobody can know are marked `none`: what a conversion is worth where no money came in a campaign's name, and
    which share is extra where nobody was ever held out.

    Raises
    ------
    TooLittleError  as `assumption`, for reach, participation, conversion and reward.
    """
    found = {"reach": _reach(table, plan, audience)}
    if plan.goal_metric == JOIN and "conversion" not in plan.assumed:  # who takes part has done what the goal counts
        found["conversion"] = Assumption("conversion", Spread(1.0, 0.0, "rate"), 0, "fixed")
    needed = [name for name in ("participation", "conversion", "reward") if name not in found]
    if lacking := [name for name in needed if name not in plan.assumed and _speaking(table, name, plan).empty]:
        raise _groundless(lacking)
    for name in needed:
        rate = name == "participation" or (name == "conversion" and not plan.by_invitation)
        found[name] = assumption(table, name, plan, rate=rate)
    for name, unknown in (("incremental", 1.0), ("value", 0.0)):
        try:
            found[name] = assumption(table, name, plan, rate=name == "incremental")
        except TooLittleError:
            found[name] = Assumption(name, Spread(unknown, 0.0, "rate"), 0, "none")
    if found["value"].spread.mean == 0:
        found["value"] = Assumption("value", Spread(0.0), 0, "none")
    return {name: found[name] for name in NAMES}


def _reach(table: pd.DataFrame, plan: Design, audience: float) -> Assumption:
    """Users who will be active while it runs: those of as many days before, times the growth that past campaigns saw.

    That is the growth of the campaigns in the stage where there are two, else of all: what is launched grows otherwise than
    what is mature.
    """
    if "reach" in plan.assumed:
        return assumption(table, "reach", plan, rate=False)
    if not audience > 0:
        raise TooLittleError(say(zh="最近没有活跃用户，无从规划", en="nobody was active lately: nothing to plan on"))
    growth = table.growth.dropna().astype(float)
    of_stage = growth[table.stage.reindex(growth.index) == plan.stage]
    if len(growth) < 2:
        return Assumption("reach", Spread(audience, audience * LONE / 2), len(growth), "all")
    pool, source = (of_stage, "stage") if len(of_stage) >= 2 else (growth, "all")
    found = spread_of(pool)
    return Assumption("reach", Spread(audience * found.mean, audience * found.sd), len(pool), source)


@dataclass(frozen=True)
class Held:
    """A past campaign from which users were held out; all empty where there is none."""

    campaign_id: str = ""
    experiment_id: str = ""
    days: int = 1


def holdout_of(history: pd.DataFrame, experiments: pd.DataFrame, plan: Design) -> Held:
    """The past campaign with a hold-out that says most about this one: of the kind if there is one, then the newest."""
    held = history[
        ("holdout_" + history.campaign_id).isin(experiments.experiment_id) & (history.goal_metric == plan.counted)
    ]
    if held.empty:
        return Held()
    row = held.assign(same=held.kind == plan.kind).sort_values(["same", "last"]).iloc[-1]
    return Held(str(row.campaign_id), f"holdout_{row.campaign_id}", int(row.days))


def shown(sums: pd.DataFrame, campaign_id: str, goal_metric: str) -> dict[str, float]:
    """Extra conversions that the hold-out of a past campaign showed; empty where it shows none."""
    if sums.empty:
        return {}
    held = abtest.Test(f"holdout_{campaign_id}", "", "holdout", {}, goal_metric, dt.date.min, dt.date.min, False)
    try:
        found = abtest.comparisons(sums, held)
    except TooLittleError:
        return {}
    row = found[found.metric == goal_metric].iloc[0]
    return {campaign_id: float(row["diff"] * row.n)} if row.enough else {}
