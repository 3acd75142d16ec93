"""What a campaign is worth: return on cost, cost per extra conversion, and what a plan may expect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from opslib.errors import TooLittleError
from opslib.models.ltv import Range
from opslib.text import number, say


def roi(effect: float, cost: float, *, se: float = 0.0, margin: float = 1.0, alpha: float = 0.05) -> Range:
    """(incremental revenue × margin − cost) / cost, with the interval of the effect.

    `effect` is the extra revenue that the campaign caused (not all revenue of its participants), `se` its standard
    error; `cost` has rewards, media and work in it.

    Raises
    ------
    TooLittleError  if nothing was spent, or a number is unknown: there is no return on no cost.
    """
    if not cost > 0 or not np.isfinite(effect):
        raise TooLittleError(
            say(
                zh="计算投资回报率要求成本大于 0 且效果已知；现在成本为 {cost}，效果为 {effect}",
                en="ROI needs a cost above 0 and a known effect: the cost is {cost}, the effect {effect}",
                cost=number(cost),
                effect=number(effect),
            )
        )
    half = stats.norm.isf(alpha / 2) * se
    value, low, high = (margin * (effect + d) / cost - 1 for d in (0.0, -half, half))
    return Range(float(value), float(low), float(high))


def cost_per_incremental(cost: float, effect: float, se: float, *, alpha: float = 0.05) -> Range:
    """Cost of one conversion that would not have come anyway.

    `cost` and `effect` are per targeted user, or both in total.

    Definition: cost / effect; the interval is the inverted interval of the effect, so it is open-ended (`high` None)
    when the effect may be 0, and all None when the effect is not positive: then no number of conversions was bought.
    Source: Fieller (1954) JRSSB 16:175, with a fixed numerator.

    Raises
    ------
    TooLittleError  if a number is unknown or the cost is negative.
    """
    if not (cost >= 0 and np.isfinite(effect) and se >= 0):
        raise TooLittleError(
            say(
                zh="计算单次转化成本要求成本、效果及其误差都已知；现在分别为 {cost}、{effect}、{se}",
                en="cost per conversion needs the cost, the effect and its error: they are {cost}, {effect} and {se}",
                cost=number(cost),
                effect=number(effect),
                se=number(se),
            )
        )
    half = stats.norm.isf(alpha / 2) * se
    if effect + half <= 0:
        return Range(None, None, None)
    value = cost / effect if effect > 0 else None
    return Range(value, cost / (effect + half), cost / (effect - half) if effect > half else None)


@dataclass(frozen=True)
class Spread:
    """An assumption with its spread: `rate` lies in (0, 1), an `amount` is positive, `fixed` does not vary."""

    mean: float
    sd: float = 0.0
    kind: str = "amount"

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """n values with this mean and sd: beta for a rate, gamma for an amount."""
        if self.sd == 0 or self.mean == 0:
            return np.full(n, float(self.mean))
        if self.kind == "rate":
            room = self.mean * (1 - self.mean) / self.sd**2 - 1
            if not 0 < self.mean < 1 or room <= 0:
                raise ValueError(f"a rate of {self.mean} cannot have the spread {self.sd}")
            return rng.beta(self.mean * room, (1 - self.mean) * room, n)
        return rng.gamma((self.mean / self.sd) ** 2, self.sd**2 / self.mean, n)


def spread_of(values: pd.Series, *, kind: str = "amount", weights: pd.Series | None = None) -> Spread:
    """What past campaigns of a kind say about the next one: their mean, and the spread between campaigns.

    Definition: the spread is that between campaigns, widened by √(1 + 1/n) for the mean being estimated from n of them.

    Raises
    ------
    TooLittleError  if there are fewer than two past campaigns with a value: one has no spread.
    """
    x = pd.to_numeric(values).to_numpy(float)
    known = np.isfinite(x)
    if known.sum() < 2:
        raise TooLittleError(
            say(
                zh="至少要 2 次同类的往期活动，现有 {n} 次；请自行填写假设值",
                en="needs two past campaigns of the kind, has {n}; set the assumption by hand",
                n=known.sum(),
            )
        )
    w = None if weights is None else np.asarray(weights, float)[known]
    x = x[known]
    return Spread(float(np.average(x, weights=w)), float(x.std(ddof=1) * np.sqrt(1 + 1 / x.size)), kind)


@dataclass(frozen=True)
class Plan:
    """Expected outcome of a plan: `table` has mean, low, median, high of each quantity; `chance` to reach the goal."""

    table: pd.DataFrame
    chance: float
    draws: pd.DataFrame


def plan(
    *,
    reach: Spread,
    participation: Spread,
    conversion: Spread,
    value: Spread,
    reward: Spread,
    baseline: Spread | None = None,
    incremental: Spread | None = None,
    fixed_cost: float = 0.0,
    margin: float = 1.0,
    goal: tuple[str, float] | None = None,
    draws: int = 20_000,
    seed: int = 0,
    alpha: float = 0.1,
) -> Plan:
    """What a campaign may bring, from assumptions with their spread.

    `reach` are users who see it, `participation` and `conversion` rates of the step before, `value` revenue per
    conversion, `reward` cost per conversion, `baseline` the rate at which participants would have converted anyway; or
    `incremental` the share of conversions that would not have come anyway. A `conversion` that is an amount and no rate
    (invited users per inviter) may exceed 1: then conversions are Poisson.
    `goal` names a quantity of the table and the value to reach.

    Columns of the table (rows: participants, conversions, incremental, revenue, cost, profit, roi)
    -------
    mean, low, median, high : float  over the draws; low and high enclose 1 − alpha

    Definition: assumptions are drawn independently, conversions follow from them with binomial noise. The reward is
    paid on every conversion, also those that would have come anyway; revenue, profit and ROI count incremental
    conversions only.
    """
    rng = np.random.default_rng(seed)
    seen = np.rint(reach.draw(rng, draws)).astype(np.int64)
    joined = rng.binomial(seen, participation.draw(rng, draws))
    each = conversion.draw(rng, draws)
    bought = (
        rng.binomial(joined, each) if (each <= 1).all() and conversion.kind == "rate" else rng.poisson(joined * each)
    )
    anyway = 0.0 if baseline is None else joined * baseline.draw(rng, draws)
    extra = bought - anyway if incremental is None else bought * incremental.draw(rng, draws)
    revenue, cost = extra * value.draw(rng, draws), bought * reward.draw(rng, draws) + fixed_cost
    profit = revenue * margin - cost
    found: Mapping[str, np.ndarray] = {
        "participants": joined,
        "conversions": bought,
        "incremental": extra,
        "revenue": revenue,
        "cost": cost,
        "profit": profit,
        "roi": np.divide(profit, cost, out=np.full(draws, np.nan), where=cost > 0),
    }
    sample = pd.DataFrame(found)
    if goal is not None and goal[0] not in sample:
        raise ValueError(f"plan: the goal must be one of {', '.join(found)}, got {goal[0]!r}")
    table = pd.DataFrame(
        {
            "mean": sample.mean(),
            "low": sample.quantile(alpha / 2),
            "median": sample.median(),
            "high": sample.quantile(1 - alpha / 2),
        }
    )
    chance = np.nan if goal is None else float((sample[goal[0]] >= goal[1]).mean())
    return Plan(table, chance, sample)


def peak_load(participants: float, *, requests_each: float, busiest_share: float, headroom: float = 2.0) -> float:
    """Requests per second that engineering should be ready for.

    `busiest_share` is the share of a campaign's requests that fell into its busiest minute in the past.
    """
    if not 0 < busiest_share <= 1 or min(participants, requests_each, headroom) < 0:
        raise ValueError(f"peak_load: busiest_share in (0, 1] and numbers >= 0, got {busiest_share}")
    return participants * requests_each * busiest_share / 60 * headroom
