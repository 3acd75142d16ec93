"""Observed value of cohorts: averages over mature ones only, payback, and value against cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from opslib.errors import TooLittleError
from opslib.text import number, say


@dataclass(frozen=True)
class NDayValue:
    """Revenue per user in the first days: of each cohort so far, and over the cohorts observed for all the days."""

    per_cohort: np.ndarray
    mature: np.ndarray
    overall: float


def n_day_value(users: ArrayLike, revenue: ArrayLike, observed: ArrayLike, *, days: int) -> NDayValue:
    """Revenue of a cohort's first `days` days per user of the cohort; payers or not.

    Definition: `overall` pools the mature cohorts (`observed` >= `days`); a younger one is shown as it stands and left
    out of it, because its missing days are unknown and not 0. NaN for an empty cohort, or when none is mature.
    """
    n, money, seen = (np.asarray(v, float) for v in (users, revenue, observed))
    mature = (seen >= days) & (n > 0)
    per_cohort = np.divide(money, n, out=np.full_like(money, np.nan), where=n > 0)
    return NDayValue(per_cohort, mature, float(money[mature].sum() / n[mature].sum()) if mature.any() else np.nan)


def value_curve(cells: pd.DataFrame) -> pd.DataFrame:
    """Cumulated revenue per user by age, each age averaged over the cohorts that are old enough.

    One row per age. `cells` has a row per (cohort, age) that has been observed in full: `cohort`, `age` from 0,
    `users` of the cohort, `revenue` at that age.

    Columns
    -------
    age     : int    periods since acquisition
    users   : float  users of the cohorts observed at this age
    cohorts : int    how many cohorts these are
    value   : float  revenue per user at this age
    ltv     : float  cumulated; blank from the first age that no cohort has reached

    Definition: at every age the denominator is the users of cohorts old enough, then the ages are cumulated.
    Dividing by all users would count what young cohorts have not lived yet as 0.
    """
    by = cells.groupby("age").agg(users=("users", "sum"), cohorts=("cohort", "nunique"), revenue=("revenue", "sum"))
    by = by.reindex(range(int(by.index.max()) + 1)) if len(by) else by
    value = by.revenue / by.users.where(by.users > 0)
    ltv = value.cumsum(skipna=False)
    return pd.DataFrame(
        {"users": by.users, "cohorts": by.cohorts.fillna(0).astype(int), "value": value, "ltv": ltv}
    ).reset_index()


def payback(margin_per_user: ArrayLike, cac: float, *, discount: float = 0.0) -> float | None:
    """Periods until the cumulated margin of an acquired user reaches what the user cost; None if it never does.

    Definition: the period's margin comes evenly, so the crossing is interpolated within it; period k = 0, 1, … is
    discounted by (1 + discount)^k (start of the period). Margin, not revenue. A cost of 0 is paid back at 0.

    >>> payback([10, 8, 6, 5, 4, 3], 30)
    4.25

    Raises
    ------
    ValueError  if the cost is negative or unknown, or a margin is unknown.
    """
    margin = np.asarray(margin_per_user, float)
    if not cac >= 0 or np.isnan(margin).any():
        raise ValueError(f"payback: cost {cac} and margins must be known, the cost not negative")
    earned = np.concatenate([[0.0], np.cumsum(margin / (1 + discount) ** np.arange(margin.size))])
    reached = np.flatnonzero(earned >= cac)
    if not reached.size:
        return None
    k = int(reached[0])
    return 0.0 if k == 0 else float(k - 1 + (cac - earned[k - 1]) / (earned[k] - earned[k - 1]))


@dataclass(frozen=True)
class Range:
    """An estimate with its interval; None where a bound is never reached."""

    value: float | None
    low: float | None
    high: float | None


def payback_range(cumulative: Sequence[float], se: Sequence[float], cac: float, *, alpha: float = 0.05) -> Range:
    """Payback with interval, from the cumulated (discounted) margin per user after each period and its standard error.

    Definition: the interval holds every time at which the cost lies inside the 1 − alpha band around the cumulated
    margin; `high` is None when the lower edge of the band never pays the cost back within the periods seen.
    """
    curve, half = np.asarray(cumulative, float), stats.norm.isf(alpha / 2) * np.asarray(se, float)

    def crossing(edge: np.ndarray) -> float | None:
        return payback(np.diff(np.maximum.accumulate(np.concatenate([[0.0], edge]))), cac)

    return Range(crossing(curve), crossing(curve + half), crossing(curve - half))


def value_to_cost(ltv: float, ltv_se: float, cac: float, cac_se: float = 0.0, *, alpha: float = 0.05) -> Range:
    """LTV / CAC with Fieller's interval; `high` is None when the cost may be 0.

    Source: Fieller (1954) JRSSB 16:175, independent numerator and denominator.

    Raises
    ------
    TooLittleError  if the cost is 0 or unknown: a free channel has no LTV / CAC.
    """
    if not cac > 0 or not np.isfinite(ltv):
        raise TooLittleError(
            say(
                zh="计算 LTV / CAC 要求获客成本大于 0 且价值已知；现在成本为 {cost}，价值为 {value}",
                en="LTV / CAC needs a cost above 0 and a known value: cost {cost}, value {value}",
                cost=number(cac),
                value=number(ltv),
            )
        )
    z2 = stats.norm.isf(alpha / 2) ** 2
    g = z2 * (cac_se / cac) ** 2
    if g >= 1:
        return Range(ltv / cac, None, None)
    root = np.sqrt(z2 * (ltv_se**2 * (1 - g) + (ltv / cac * cac_se) ** 2)) / cac
    return Range(ltv / cac, float((ltv / cac - root) / (1 - g)), float((ltv / cac + root) / (1 - g)))
