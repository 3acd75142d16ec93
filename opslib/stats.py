"""Intervals and tests for small tables: a frame goes in, the same rows come out with more columns.

A row whose denominator is 0 has blanks (NaN), never a zero: nothing was observed there. `low` and `high` are two-sided.
Everywhere: ValueError if a column is missing or holds what cannot be (a negative count, more hits than chances);
TooLittleError if a row has fewer than `least`. The only file that knows pingouin, which takes seconds to import and is
therefore imported where it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import special

from opslib import arrays
from opslib.errors import TooLittleError
from opslib.text import say


def proportion(
    frame: pd.DataFrame, *, hits: str, of: str, level: float = 0.95, method: arrays.Interval = "wilson", least: int = 0
) -> pd.DataFrame:
    """The share `hits` / `of` of every row, with its interval.

    Columns added
    -------------
    rate : float   hits / of; blank where `of` is 0
    low, high : float   the interval

    Definition: a binomial share; each row stands for itself. 0 of n has a rate of 0 and an interval that starts at 0.
    Error: Wilson's score interval; `method` may be beta (Clopper-Pearson), jeffreys, agresti_coull or normal.
    Source: Newcombe 1998, Statistics in Medicine 17, 857-872, method 3.
    """
    x, n = arrays.shares(frame, hits, of)
    arrays.require(n, of, least)
    low, high = arrays.binomial_interval(x, n, level, method)
    return frame.assign(rate=arrays.divided(x, n), low=low, high=high)


def difference(
    frame: pd.DataFrame, *, hits: str, of: str, base_hits: str, base_of: str, level: float = 0.95, least: int = 0
) -> pd.DataFrame:
    """The difference of two independent shares, `hits` / `of` − `base_hits` / `base_of`, with interval and p.

    Columns added
    -------------
    diff : float   rate minus base rate; blank where either has nobody
    low, high : float   the interval
    p    : float   two-sided p-value of no difference

    Definition: the two groups share no user; for a before and after on the same users this is not the test.
    Error: Newcombe's hybrid score interval; p by the pooled z test, by Fisher's where an expected count is below 5. The
    two can disagree at the edge, because they answer by different approximations.
    Source: Newcombe 1998, Statistics in Medicine 17, 873-890, method 10.
    """
    (x1, n1), (x0, n0) = arrays.shares(frame, hits, of), arrays.shares(frame, base_hits, base_of)
    arrays.require(n1, of, least)
    arrays.require(n0, base_of, least)
    r1, r0 = arrays.divided(x1, n1), arrays.divided(x0, n0)
    (l1, u1), (l0, u0) = arrays.binomial_interval(x1, n1, level), arrays.binomial_interval(x0, n0, level)
    diff = r1 - r0
    low, high = diff - np.hypot(r1 - l1, u0 - r0), diff + np.hypot(u1 - r1, r0 - l0)
    return frame.assign(diff=diff, low=low, high=high, p=_two_shares_p(x1, n1, x0, n0))


def _two_shares_p(x1: np.ndarray, n1: np.ndarray, x0: np.ndarray, n0: np.ndarray) -> np.ndarray:
    from scipy.stats import fisher_exact

    seen, n = (n1 > 0) & (n0 > 0), n1 + n0
    pooled = arrays.divided(x1 + x0, n)
    with np.errstate(all="ignore"):
        z = (x1 / n1 - x0 / n0) / np.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n0))
        small = seen & (np.minimum(n1, n0) * np.minimum(pooled, 1 - pooled) < 5)
    p = np.where(seen, arrays.two_sided(z), np.nan)
    for i in np.flatnonzero(small):
        table = np.rint([[x1[i], n1[i] - x1[i]], [x0[i], n0[i] - x0[i]]]).astype(int)
        p[i] = fisher_exact(table).pvalue
    return p


def mean(frame: pd.DataFrame, *, mean: str, var: str, n: str, level: float = 0.95, least: int = 0) -> pd.DataFrame:
    """The interval of a mean from its sample moments.

    Columns added
    -------------
    low, high : float   the interval; blank where `n` < 2

    Definition: `var` is the sample variance (divided by n − 1), as `var_samp` gives it.
    Error: Student's t; good for skewed values only when `n` is large (amounts: hundreds).
    Source: Student 1908.
    """
    m, v, size = arrays.moments(frame, mean, var, n)
    arrays.require(size, n, least)
    half = arrays.t_quantile(level, size - 1) * np.sqrt(arrays.divided(v, size))
    return frame.assign(low=m - half, high=m + half)


def mean_difference(
    frame: pd.DataFrame,
    *,
    mean: str,
    var: str,
    n: str,
    base_mean: str,
    base_var: str,
    base_n: str,
    level: float = 0.95,
    least: int = 0,
) -> pd.DataFrame:
    """The difference of two independent means from their sample moments, with interval and p.

    Columns added
    -------------
    diff : float   mean minus base mean
    low, high : float   the interval; blank where either has n < 2 or neither varies
    df   : float   Welch-Satterthwaite degrees of freedom
    p    : float   two-sided p-value of no difference

    Definition: variances are not assumed equal; they are sample variances (divided by n − 1).
    Error: Welch's t.
    Source: Welch 1947, Biometrika 34, 28-35.
    """
    (m1, v1, n1), (m0, v0, n0) = arrays.moments(frame, mean, var, n), arrays.moments(frame, base_mean, base_var, base_n)
    arrays.require(n1, n, least)
    arrays.require(n0, base_n, least)
    a, b = arrays.divided(v1, n1), arrays.divided(v0, n0)
    se = np.where(a + b > 0, np.sqrt(a + b), np.nan)
    with np.errstate(all="ignore"):
        df = (a + b) ** 2 / (a**2 / (n1 - 1) + b**2 / (n0 - 1))
    diff, half = m1 - m0, arrays.t_quantile(level, df) * se
    p = 2 * special.stdtr(df, -np.abs(diff / se))
    return frame.assign(diff=diff, low=diff - half, high=diff + half, df=df, p=p)


def ratio(
    frame: pd.DataFrame,
    *,
    count: str,
    base_count: str,
    exposure: str | None = None,
    base_exposure: str | None = None,
    dispersion: float = 1.0,
    level: float = 0.95,
    least: int = 0,
) -> pd.DataFrame:
    """The relative change of a count, or of a count per exposure, against its base, with interval and p.

    Columns added
    -------------
    change : float   (count / exposure) / (base count / base exposure) − 1; blank where the base is 0
    low    : float   at least −1
    high   : float   infinite where the base is 0
    p      : float   two-sided p-value of no change; blank where both are 0

    Definition: without exposures the two counts cover equally long periods. Counts are Poisson, or `dispersion` times
    as variable: several events of one user are not independent, so give variance / mean of the counts per user or day.
    Error: given their sum, one count is binomial; Wilson's interval of its share, turned into a ratio. p by the score
    test of the same share, so it is below 1 − `level` just when the interval leaves 0 out.
    Source: Przyborowski & Wilenski 1940, Biometrika 31, 313-323 (the conditional argument).
    """
    if dispersion < 1:
        raise ValueError(f"ratio: dispersion must be at least 1, got {dispersion}")
    a, b = arrays.counts(frame, count), arrays.counts(frame, base_count)
    arrays.require(a + b, f"{count} + {base_count}", least)
    times = [arrays.counts(frame, name) if name else np.ones(len(frame)) for name in (exposure, base_exposure)]
    if any((t <= 0).any() for t in times):
        raise ValueError(f"ratio: an exposure is not positive ({exposure}, {base_exposure})")
    longer = times[0] / times[1]
    a, b = a / dispersion, b / dispersion
    low, high = (
        arrays.divided(share, (1 - share) * longer, np.inf) for share in arrays.binomial_interval(a, a + b, level)
    )
    equal = longer / (1 + longer)
    z = arrays.divided(a - (a + b) * equal, np.sqrt((a + b) * equal * (1 - equal)))
    return frame.assign(change=arrays.divided(a, b * longer) - 1, low=low - 1, high=high - 1, p=arrays.two_sided(z))


def correct(frame: pd.DataFrame, *, p: str = "p", method: Literal["holm", "fdr_bh"] = "holm") -> pd.DataFrame:
    """The p-values corrected for being many.

    Columns added
    -------------
    p_adjusted : float   adjusted p-value; blank where `p` is blank, and blanks do not count as tests

    Definition: `holm` keeps the chance of any false alarm (decisions), `fdr_bh` the share of false ones among the
    alarms (searches).
    Source: Holm 1979; Benjamini & Hochberg 1995.
    """
    if method not in ("holm", "fdr_bh"):
        raise ValueError(f"correct: method must be holm or fdr_bh, got {method!r}")
    values = arrays.column(frame, p)
    if ((values < 0) | (values > 1)).any():
        raise ValueError(f"correct: {p!r} holds values outside 0..1")
    adjusted, tested = np.full(len(frame), np.nan), ~np.isnan(values)
    if tested.any():
        adjusted[tested] = _pingouin().multicomp(values[tested], method=method)[1]
    return frame.assign(p_adjusted=adjusted)


@dataclass(frozen=True)
class EffectSize:
    """How far two groups of values lie apart; positive when the first is larger.

    `cles` is the chance that a random value of the first exceeds one of the second (ties half), `rank_biserial` is
    2·cles − 1, `u` and `p` are Mann-Whitney's (two-sided). Cohen's d and Hedges' g are blank when nothing varies.
    """

    cohen_d: float
    hedges_g: float
    eta_square: float
    cles: float
    rank_biserial: float
    u: float
    p: float
    n1: int
    n2: int


def effect_size(x: Any, y: Any) -> EffectSize:
    """Effect sizes of two independent groups of numbers; missing values are left out.

    Source: Hedges 1981; McGraw & Wong 1992 and Vargha & Delaney 2000 (CLES with ties); Kerby 2014 (rank-biserial).

    Raises
    ------
    TooLittleError  if a group has fewer than two values.
    """
    from scipy.stats import mannwhitneyu

    first, second = (pd.to_numeric(pd.Series(v), errors="raise").dropna().to_numpy(float) for v in (x, y))
    if min(len(first), len(second)) < 2:
        raise TooLittleError(
            say(
                zh="比较两组差异要求每组至少 2 个数值，现有 {first} 个和 {second} 个",
                en="effect size needs 2 values in each group, has {first} and {second}",
                first=len(first),
                second=len(second),
            )
        )
    test = mannwhitneyu(first, second)
    cles = float(test.statistic) / len(first) / len(second)  # pingouin's builds a matrix of all pairs
    varies, effect = np.var(first) + np.var(second) > 0, _pingouin().compute_effsize
    kinds = ("cohen", "hedges", "eta_square")
    cohen, hedges, eta = (float(effect(first, second, eftype=k)) if varies else np.nan for k in kinds)
    ranks = (cles, 2 * cles - 1, float(test.statistic), float(test.pvalue))
    return EffectSize(cohen, hedges, eta, *ranks, len(first), len(second))


def effect_sizes(frame: pd.DataFrame, *, group: str, features: list[str] | None = None) -> pd.DataFrame:
    """What differs between two groups of users, feature by feature, largest first.

    One row per feature.

    Columns
    -------
    feature       : str     column of `frame`
    kind          : str     number or category
    hedges_g      : float   standardised mean difference, true group minus false group; numbers only
    rank_biserial : float   −1..1 by ranks; numbers only
    cles          : float   chance that one of the true group has more; numbers only
    cramer_v      : float   0..1 association; categories only
    p             : float   Mann-Whitney, or chi-square without correction
    p_adjusted    : float   Benjamini-Hochberg over the features that could be tested
    n             : int     rows with a value

    Definition: `group` is boolean; rows without it are left out. A feature with fewer than two values in a group, or
    with a single category, stays in the table with blanks.
    Error: p-values only; an interval of an effect is the bootstrap's business.
    Source: see `effect_size`; Cramér 1946.

    Raises
    ------
    ValueError      if `group` or a feature is no column.
    TooLittleError  if one of the groups is empty.
    """
    frame = frame[frame[arrays.known(frame, group)].notna()]
    members = frame[group].astype(bool)
    if not members.any() or members.all():
        raise TooLittleError(
            say(
                zh="比较两组要求两组都有用户，{n:,} 名用户都在同一组",
                en="comparing two groups needs users in both, all {n:,} are in one",
                n=len(frame),
            )
        )
    names = features if features is not None else [c for c in frame.columns if c != group]
    rows = [_feature_effect(frame[arrays.known(frame, name)], members, name) for name in names]
    columns = ["feature", "kind", "hedges_g", "rank_biserial", "cles", "cramer_v", "p", "n"]
    table = correct(pd.DataFrame(rows, columns=columns).astype({"p": float}), method="fdr_bh")
    size = table.rank_biserial.astype(float).abs().fillna(table.cramer_v.astype(float))
    return table.loc[size.sort_values(ascending=False, kind="stable").index].reset_index(drop=True)


def _feature_effect(values: pd.Series, members: pd.Series, name: str) -> dict[str, Any]:
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    row = {"feature": name, "kind": "number" if numeric else "category", "n": int(values.notna().sum())}
    if not numeric:
        return row | _association(values.astype(object), members)
    try:
        found = effect_size(values[members], values[~members])
    except TooLittleError:
        return row
    return row | {k: getattr(found, k) for k in ("hedges_g", "rank_biserial", "cles", "p")}


def _association(values: pd.Series, members: pd.Series) -> dict[str, float]:
    from scipy.stats import chi2_contingency

    table = pd.crosstab(values, members)
    if min(table.shape) < 2:
        return {}
    test = chi2_contingency(table, correction=False)
    v = np.sqrt(test.statistic / table.to_numpy().sum() / (min(table.shape) - 1))
    return {"cramer_v": float(v), "p": float(test.pvalue)}


def _pingouin() -> Any:
    import pingouin

    return pingouin
