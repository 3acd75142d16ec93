"""Difference-in-differences: what changed for the treated beyond what changed for the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from opslib.errors import TooLittleError
from opslib.models.experiment import Effect, means
from opslib.models.moments import Moments
from opslib.text import say


def did_of_means(
    treated: Sequence[float], control: Sequence[float], *, se: Sequence[float] | None = None, alpha: float = 0.05
) -> Effect:
    """The 2 × 2 difference-in-differences of group means, each group given as (before, after).

    `se` holds the four means' standard errors (treated before, after, control before, after), if they are known.

    Definition: (treated after − before) − (control after − before).
    Error: with `se`, that of four independent samples. Where the same units are seen before and after, it is too large:
    use `did`, which differences each unit first.
    """
    (t0, t1), (c0, c1) = treated, control
    value, error = (t1 - t0) - (c1 - c0), np.nan if se is None else float(np.sqrt(np.square(se).sum()))
    half = stats.norm.isf(alpha / 2) * error
    z = value / error
    p = 2 * stats.norm.sf(abs(z))
    return Effect(c1 - c0, t1 - t0, value, error, value - half, value + half, float(p), z, np.inf, "did of means")


def did(
    panel: pd.DataFrame,
    *,
    y: str = "y",
    unit: str = "unit",
    treated: str = "treated",
    post: str = "post",
    cluster: str | None = None,
    alpha: float = 0.05,
) -> Effect:
    """Difference-in-differences of units that are seen before and after.

    `panel` has a row per (unit, period); `treated` and `post` are boolean; a unit's rows on one side are averaged.

    Definition: each unit's mean after − mean before, then treated against control. Units seen on one side only are
    left out.
    Error: over units (Welch), or clustered by a column that groups units, with G − 1 degrees of freedom: rows of one
    unit are never taken for independent. It rests on parallel trends: see `event_study`.
    Source: Bertrand, Duflo, Mullainathan (2004) QJE 119:249.

    Raises
    ------
    TooLittleError  if a group has fewer than two units on both sides.
    """
    before, after = (panel[panel[post].astype(bool) == side].groupby(unit)[y].mean() for side in (False, True))
    change = (after - before).dropna()
    group = panel.groupby(unit)[treated].first().astype(bool).loc[change.index]
    arms = [Moments.of(change[group == side]) for side in (False, True)]
    if min(a.n for a in arms) < 2:
        raise TooLittleError(
            say(
                zh="双重差分要求每组至少 2 个对象前后都有数据，现有实验组 {treated}、对照组 {control}",
                en="difference in differences needs two units per group seen before and after, has {treated} treated and {control} in control",
                treated=arms[1].n,
                control=arms[0].n,
            )
        )
    welch = means(arms[0], arms[1], alpha=alpha)
    if cluster is None:
        return welch
    return _clustered(welch, change, group, panel.groupby(unit)[cluster].first().loc[change.index], alpha)


def _clustered(plain: Effect, change: pd.Series, group: pd.Series, clusters: pd.Series, alpha: float) -> Effect:
    import statsmodels.api as sm

    if clusters.nunique() < 3:
        raise TooLittleError(
            say(
                zh="双重差分至少要 3 个群组，现有 {n} 个",
                en="difference in differences needs three clusters at least, has {n}",
                n=clusters.nunique(),
            )
        )
    design = sm.add_constant(group.to_numpy(float))
    codes = pd.factorize(clusters)[0]
    fit = sm.OLS(change.to_numpy(), design).fit(cov_type="cluster", cov_kwds={"groups": codes}, use_t=True)
    se, df = float(fit.bse[1]), clusters.nunique() - 1
    t, half = plain.value / se, stats.t.isf(alpha / 2, df) * se
    p = float(2 * stats.t.sf(abs(t), df))
    low, high = plain.value - half, plain.value + half
    return Effect(plain.control, plain.treatment, plain.value, se, low, high, p, t, df, "clustered")


def event_study(
    panel: pd.DataFrame,
    *,
    start: Any,
    y: str = "y",
    unit: str = "unit",
    time: str = "time",
    treated: str = "treated",
) -> pd.DataFrame:
    """Treated against control in every period, both measured from the last period before `start`.

    One row per period but the base. Before `start` the effect should be 0: what is not, is a trend of its own, and the
    campaign's effect cannot be told from it.

    Columns
    -------
    period         : as given
    post           : bool   at or after `start`
    value, low, high, p : float   difference of mean changes since the base, Welch's interval and p
    """
    wide = panel.pivot_table(index=unit, columns=time, values=y)
    group = panel.groupby(unit)[treated].first().astype(bool).loc[wide.index].to_numpy()
    earlier = [t for t in wide.columns if t < start]
    if not earlier:
        raise TooLittleError(
            say(
                zh="{start} 之前没有数据，无法检查活动前的趋势",
                en="no period before {start}: the trend before it cannot be checked",
                start=str(start),
            )
        )
    base = earlier[-1]
    rows = []
    for period in wide.columns.drop(base):
        change = (wide[period] - wide[base]).to_numpy()
        arms = [Moments.of(change[(group == side) & np.isfinite(change)]) for side in (False, True)]
        effect = means(arms[0], arms[1])
        rows.append((period, period >= start, effect.value, effect.low, effect.high, effect.p))
    return pd.DataFrame(rows, columns=["period", "post", "value", "low", "high", "p"])


@dataclass(frozen=True)
class Staggered:
    """Effects by (group, period), by time since the start, by group, and overall (each treated unit-period counts once)."""

    cells: pd.DataFrame
    by_age: pd.DataFrame
    by_group: pd.DataFrame
    value: float
    se: float
    low: float
    high: float


def staggered_did(
    panel: pd.DataFrame,
    *,
    y: str = "y",
    unit: str = "unit",
    time: str = "time",
    first: str = "first_treated",
    not_yet: bool = False,
    draws: int = 400,
    seed: int = 0,
    alpha: float = 0.05,
) -> Staggered:
    """Difference-in-differences when units start at different times (Callaway–Sant'Anna, without covariates).

    `first` is the period in which a unit is first treated; missing, 0, infinite or after the last period means never.
    The panel is balanced.

    Definition: the effect on the group that starts at g, in period t, is its mean change since g − 1 against that of
    units never treated (or also of those not yet treated at t). Before g the change is since t − 1: it should be 0.
    The usual two-way fixed-effects regression is wrong here, because it takes already treated units for controls.
    Error: units are resampled (`draws` times), normal intervals.
    Source: Callaway, Sant'Anna (2021) J. Econometrics 225:200.

    Raises
    ------
    TooLittleError  if nobody is treated after the first period, or there is no control.
    """
    wide = panel.pivot_table(index=unit, columns=time, values=y).dropna()
    start = panel.groupby(unit)[first].first().loc[wide.index].fillna(0).to_numpy(float)
    periods = wide.columns.to_numpy(float)
    start = np.where(start > periods[-1], 0, start)
    groups = [g for g in np.unique(start) if g > periods[0]]
    if not groups or not ((start == 0).any() or not_yet):
        raise TooLittleError(
            say(
                zh="分批上线的对比要求有首期之后才上线的对象，也要有尚未上线的对象",
                en="a staggered comparison needs units treated after the first period, and units not treated",
            )
        )
    pairs = [(g, t) for g in groups for t in periods[1:]]
    weights = np.random.default_rng(seed).multinomial(len(start), np.full(len(start), 1 / len(start)), draws)
    values, post = wide.to_numpy(), np.array([t >= g for g, t in pairs])
    resampled = np.vstack([np.ones_like(start), weights])
    table = np.array([_cell(values, periods, start, g, t, not_yet, resampled) for g, t in pairs])
    size = np.array([(start == g).sum() for g, _ in pairs])
    error = np.nanstd(table[:, 1:], axis=1, ddof=1)
    z = stats.norm.isf(alpha / 2)
    cells = pd.DataFrame(pairs, columns=["group", "period"]).assign(
        post=post, size=size, value=table[:, 0], se=error, low=table[:, 0] - z * error, high=table[:, 0] + z * error
    )
    age = np.array([t - g for g, t in pairs])
    by_age = pd.DataFrame([_aggregate(table, size, age == a, z) | {"age": a} for a in np.unique(age)])
    group = np.array([g for g, t in pairs])
    by_group = pd.DataFrame([_aggregate(table, size, post & (group == g), z) | {"group": g} for g in groups])
    total = _aggregate(table, size, post, z)
    columns = ["value", "se", "low", "high"]
    return Staggered(cells, by_age[["age", *columns]], by_group[["group", *columns]], **total)


def _cell(
    values: np.ndarray, periods: np.ndarray, start: np.ndarray, g: float, t: float, not_yet: bool, weights: np.ndarray
) -> np.ndarray:
    """The effect on group g in period t under every row of unit weights."""
    base = np.flatnonzero(periods < (g if t >= g else t))[-1]
    change = values[:, np.flatnonzero(periods == t)[0]] - values[:, base]
    control = (start == 0) | ((start > t) & (start != g) if not_yet else False)
    means = [(weights[:, m] @ change[m]) / np.maximum(weights[:, m].sum(axis=1), 1) for m in (start == g, control)]
    return means[0] - means[1]


def _aggregate(table: np.ndarray, size: np.ndarray, use: np.ndarray, z: float) -> dict[str, float]:
    found = np.average(table[use], weights=size[use], axis=0)
    value, se = float(found[0]), float(np.std(found[1:], ddof=1))
    return {"value": value, "se": se, "low": value - z * se, "high": value + z * se}
