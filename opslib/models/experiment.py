"""Fixed-horizon readings of an experiment: sample ratio, proportions, means, ratios, relative lift, CUPED.

Every reading compares a treatment with a control by unit of randomisation (users), intention to treat. Numbers may be
arrays: a thousand simulated experiments are read in one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from opslib import arrays
from opslib.errors import TooLittleError
from opslib.models.moments import Moments, Number, divided, plain
from opslib.text import say

SRM_ALPHA = 0.001  # an uneven split below this p stops the verdict
ALTERNATIVES = ("two-sided", "greater", "less")


@dataclass(frozen=True)
class Effect:
    """Treatment against control, with interval and p.

    `value` is treatment − control, or its share of |control| in a relative reading; `low`, `high` enclose it at
    1 − alpha (one of them infinite in a one-sided reading); `df` is infinite for a normal statistic. NaN means that
    the data cannot say.
    """

    control: Number
    treatment: Number
    value: Number
    se: Number
    low: Number
    high: Number
    p: Number
    statistic: Number
    df: Number
    method: str


@dataclass(frozen=True)
class SampleRatio:
    """Whether the arms have the sizes that the split promised; `ok` is False when p < `SRM_ALPHA`."""

    counts: np.ndarray
    expected: np.ndarray
    statistic: float
    p: float
    ok: bool


def sample_ratio(
    counts: Sequence[float], weights: Sequence[float] | None = None, *, alpha: float = SRM_ALPHA
) -> SampleRatio:
    """Chi-square test of the arms' sizes against the promised split (sample-ratio mismatch, SRM).

    Definition: expected = total × weight / Σ weights; equal weights when none are given. p < alpha means a broken
    split: no effect may be read. The threshold is .001 and not .05 because the check runs on every experiment.
    Error: exact only for expected sizes of 5 and more.
    Source: Kohavi, Tang, Xu (2020) ch. 3; Fabijan et al. (KDD 2019).

    Raises
    ------
    ValueError  if fewer than two arms, or weights that are not positive, one for each arm.
    """
    seen = np.asarray(counts, float)
    share = np.ones_like(seen) if weights is None else np.asarray(weights, float)
    if seen.size < 2 or share.shape != seen.shape or (share <= 0).any() or (seen < 0).any():
        raise ValueError(
            f"sample_ratio: needs counts >= 0 and weights > 0 of two or more arms, got {counts}, {weights}"
        )
    expected = seen.sum() * share / share.sum()
    if not seen.sum():
        raise TooLittleError(
            say(zh="没有用户进入实验，无法检查分流", en="nobody was exposed: the split cannot be checked")
        )
    found = stats.chisquare(seen, expected)
    return SampleRatio(seen, expected, float(found.statistic), float(found.pvalue), bool(found.pvalue >= alpha))


def false_discovery(alpha: float, prior: float, power: float = 1.0) -> float:
    """Share of alarms that are false when a share `prior` of experiments is really broken.

    >>> round(false_discovery(0.05, 0.05), 3)
    0.487
    """
    false, true = alpha * (1 - prior), power * prior
    return false / (false + true)


def wilson(hits: ArrayLike, users: ArrayLike, *, alpha: float = 0.05) -> tuple[Number, Number]:
    """Wilson's score interval of a proportion."""
    x, n = np.broadcast_arrays(np.asarray(hits, float), np.asarray(users, float))
    low, high = arrays.binomial_interval(x.ravel(), n.ravel(), 1 - alpha)
    return plain(low.reshape(x.shape)), plain(high.reshape(x.shape))


def proportions(
    hits: ArrayLike,
    users: ArrayLike,
    *,
    alpha: float = 0.05,
    alternative: str = "two-sided",
    pooled: bool = True,
    correction: bool = False,
    exact: bool | None = None,
) -> Effect:
    """Difference of two proportions; `hits` and `users` are (control, treatment), each a number or an array.

    Definition: p from the z statistic with the pooled variance (= chi-square without correction; Yates with
    `correction`; the arms' own variances without `pooled`), and from Fisher's exact test where any expected cell is
    under 5 (`exact` forces or forbids it); interval by Newcombe's hybrid of two Wilson intervals. `se` is the one of
    the z statistic.
    Error: interval and p come from different constructions and may disagree at the edge.
    Source: Newcombe (1998) Statistics in Medicine 17:873, method 10.

    Raises
    ------
    ValueError  if hits exceed users, or are negative.
    """
    (xa, xb), (na, nb) = (np.asarray(v, float) for v in (hits, users))
    if (xa > na).any() or (xb > nb).any() or (xa < 0).any() or (xb < 0).any():
        raise ValueError(f"proportions: hits must lie between 0 and users, got {hits!r} of {users!r}")
    a, b = Moments.of_counts(xa, na), Moments.of_counts(xb, nb)
    share = divided(xa + xb, na + nb)
    se = np.sqrt(share * (1 - share) * (divided(1, na) + divided(1, nb)) if pooled else a.error2 + b.error2)
    value = b.mean - a.mean
    shift = np.minimum(np.abs(value), (divided(1, na) + divided(1, nb)) / 2) if correction else 0.0
    z = divided(value - np.sign(value) * shift, se)
    p, tail = _p_value(stats.norm, z, alternative), alpha if alternative == "two-sided" else 2 * alpha
    (la, ua), (lb, ub) = wilson(xa, na, alpha=tail), wilson(xb, nb, alpha=tail)
    low = value - np.hypot(b.mean - lb, ua - a.mean)
    high = value + np.hypot(ub - b.mean, a.mean - la)
    low, high = _one_sided(low, high, alternative, -1.0, 1.0)
    small = _smallest_expected(xa, na, xb, nb) < (5 if exact is None else np.inf if exact else -1)
    if np.any(small):
        p = _fishers(xa, na, xb, nb, p, small, alternative)
    method = "fisher" if np.all(small) else "z" if not np.any(small) else "z or fisher"
    return _effect(a.mean, b.mean, value, se, low, high, p, z, np.inf, method)


def fisher(table: Sequence[Sequence[float]], *, alternative: str = "two-sided") -> tuple[float, float]:
    """Sample odds ratio and p of Fisher's exact test on a 2 × 2 table.

    Definition: two-sided p is the sum over tables as likely as the observed one or less, not twice one tail.
    """
    found = stats.fisher_exact(np.asarray(table), alternative=_checked(alternative))
    return float(found.statistic), float(found.pvalue)


def means(control: Moments, treatment: Moments, *, alpha: float = 0.05, alternative: str = "two-sided") -> Effect:
    """Difference of two means by Welch's t test from sufficient statistics.

    Definition: se² = var_c / n_c + var_t / n_t with Welch–Satterthwaite degrees of freedom; variances may differ.
    Error: NaN where an arm has fewer than two users, or neither arm varies.
    Source: Welch (1947) Biometrika 34:28.
    """
    value, se2 = treatment.mean - control.mean, control.error2 + treatment.error2
    return _t_effect(control, treatment, value, np.sqrt(se2), alpha, alternative, "welch")


def relative(
    control: Moments, treatment: Moments, *, alpha: float = 0.05, alternative: str = "two-sided", scale: str = "delta"
) -> Effect:
    """Relative lift (treatment − control) / |control| with an interval that carries the control's own noise.

    Definition: `scale="delta"` (ours, as GrowthBook) is the delta method on the ratio of means, symmetric around the
    lift; `"log"` (as tea-tasting) builds the interval on the log ratio, both means must be positive; its p is Welch's.
    Error: its p is not the p of the absolute difference, and the two may fall on both sides of .05: decide on the
    absolute one. NaN where the control's mean is 0.
    Source: Deng, Knoblich, Lu (KDD 2018), Applying the delta method in metric analytics.
    """
    base = np.abs(control.mean)
    value = divided(treatment.mean - control.mean, base)
    if scale == "log":
        return _log_lift(control, treatment, value, alpha, alternative)
    if scale != "delta":
        raise ValueError(f"relative: scale must be delta or log, got {scale!r}")
    se2 = divided(treatment.error2, base**2) + divided(control.error2 * treatment.mean**2, base**4)
    return _t_effect(control, treatment, value, np.sqrt(se2), alpha, alternative, "delta")


def relative_change(control: ArrayLike, treatment: ArrayLike) -> Number:
    """(treatment − control) / |control|: a rise from a negative baseline stays positive; NaN from a baseline of 0."""
    return divided(np.subtract(treatment, control), np.abs(control))


def _t_effect(a: Moments, b: Moments, value: Number, se: Number, alpha: float, alternative: str, method: str) -> Effect:
    df = _welch_df(a.error2, a.n, b.error2, b.n)
    t = divided(value, se)
    q = stats.t.isf(alpha / 2 if _checked(alternative) == "two-sided" else alpha, df)
    half = np.where(np.asarray(se) > 0, q * se, np.nan)
    low, high = _one_sided(value - half, value + half, alternative, -np.inf, np.inf)
    return _effect(a.mean, b.mean, value, se, low, high, _p_value(stats.t, t, alternative, df), t, df, method)


def _log_lift(a: Moments, b: Moments, value: Number, alpha: float, alternative: str) -> Effect:
    ea, eb = divided(a.error2, np.square(a.mean)), divided(b.error2, np.square(b.mean))
    ratio = np.where((np.asarray(a.mean) > 0) & (np.asarray(b.mean) > 0), value + 1, np.nan)
    q = stats.t.isf(alpha / 2 if _checked(alternative) == "two-sided" else alpha, _welch_df(ea, a.n, eb, b.n))
    half = np.exp(q * np.sqrt(ea + eb))
    low, high = _one_sided(ratio / half - 1, ratio * half - 1, alternative, -1.0, np.inf)
    absolute = means(a, b, alpha=alpha, alternative=alternative)
    return _effect(
        a.mean, b.mean, value, ratio * np.sqrt(ea + eb), low, high, absolute.p, absolute.statistic, absolute.df, "log"
    )


def _welch_df(ea: Number, na: Number, eb: Number, nb: Number) -> Number:
    return divided((ea + eb) ** 2, divided(ea**2, np.subtract(na, 1)) + divided(eb**2, np.subtract(nb, 1)))


def _smallest_expected(xa: Number, na: Number, xb: Number, nb: Number) -> Number:
    hit, fewest = divided(xa + xb, na + nb), np.minimum(na, nb)
    return np.where(fewest > 0, np.minimum(hit, 1 - hit) * fewest, np.nan)


def _fishers(xa: Number, na: Number, xb: Number, nb: Number, p: Number, where: Number, alternative: str) -> Number:
    cells = np.broadcast_arrays(np.atleast_1d(xa), na, xb, nb)
    out = np.array(np.broadcast_to(p, cells[0].shape), float)
    for i in np.argwhere(np.broadcast_to(where, out.shape)):
        hit_a, all_a, hit_b, all_b = (c[tuple(i)] for c in cells)
        out[tuple(i)] = fisher([[hit_b, all_b - hit_b], [hit_a, all_a - hit_a]], alternative=alternative)[1]
    return out.reshape(np.shape(p))


def _p_value(family: Any, statistic: Number, alternative: str, *shape: Number) -> Number:
    if _checked(alternative) == "two-sided":
        return 2 * family.sf(np.abs(statistic), *shape)
    return family.sf(statistic, *shape) if alternative == "greater" else family.cdf(statistic, *shape)


def _one_sided(low: Number, high: Number, alternative: str, floor: float, ceiling: float) -> tuple[Number, Number]:
    if _checked(alternative) == "greater":
        high = np.where(np.isnan(high), np.nan, ceiling)
    elif alternative == "less":
        low = np.where(np.isnan(low), np.nan, floor)
    return low, high


def _checked(alternative: str) -> str:
    if alternative not in ALTERNATIVES:
        raise ValueError(f"alternative must be one of {', '.join(ALTERNATIVES)}, got {alternative!r}")
    return alternative


def _effect(*fields: Any) -> Effect:
    *numbers, method = fields
    a, b, value, se, low, high, p, statistic, df = map(plain, numbers)
    return Effect(a, b, value, se, low, high, p, statistic, df, method)
