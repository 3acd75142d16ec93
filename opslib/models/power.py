"""How many users a test needs, what a given number of users can show, and how likely it is to show it.

Sizes are per arm, for the control; the treatment gets `ratio` times as many. They are not rounded: `math.ceil` them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from opslib.errors import TooLittleError
from opslib.models.moments import Number, plain
from opslib.text import say


def power_proportions(
    n: ArrayLike, p1: ArrayLike, p2: ArrayLike, *, alpha: float = 0.05, tails: int = 2, ratio: float = 1.0
) -> Number:
    """Chance that a test of two proportions finds p2 against p1.

    Definition: the pooled variance under the null, the arms' own under the alternative; of a two-sided test only the
    tail of the true direction counts, as in R's power.prop.test without `strict`.
    Source: R stats, power.prop.test; Fleiss, Levin, Paik (2003) ch. 4.

    Raises
    ------
    ValueError  if a rate is not in [0, 1], alpha not in (0, 1), or tails not 1 or 2.
    """
    n, p1, p2 = (np.asarray(v, float) for v in (n, p1, p2))
    null, real = _deviations(p1, p2, alpha, tails, ratio)
    with np.errstate(divide="ignore", invalid="ignore"):
        return plain(stats.norm.cdf((np.sqrt(n) * np.abs(p2 - p1) - _cut(alpha, tails) * null) / real))


def size_proportions(
    p1: float, p2: float, *, power: float = 0.8, alpha: float = 0.05, tails: int = 2, ratio: float = 1.0
) -> float:
    """Users per arm for which `power_proportions` reaches `power`; infinite when p1 = p2."""
    null, real = _deviations(p1, p2, alpha, tails, ratio)
    if p1 == p2:
        return np.inf
    return float(((_cut(alpha, tails) * null + stats.norm.ppf(power) * real) / (p2 - p1)) ** 2)


def detectable_proportion(
    n: float,
    p1: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    tails: int = 2,
    ratio: float = 1.0,
    below: bool = False,
) -> float:
    """Smallest p2 above p1 (or largest `below` it) that n users per arm find with the given power.

    The minimum detectable effect is p2 − p1.

    Raises
    ------
    TooLittleError  if n users cannot show any rate there is.
    """
    end = 0.0 if below else 1.0

    def missing(p2: float) -> float:
        return float(power_proportions(n, p1, p2, alpha=alpha, tails=tails, ratio=ratio)) - power

    near = p1 + (end - p1) * 1e-9
    if p1 == end or missing(end) < 0:
        raise TooLittleError(
            say(
                zh="每组 {n:,.0f} 人太少：以 {power:.0%} 的功效，{p:.1%} 的转化无论怎么变都看不出来",
                en="{n:,.0f} users per arm show no change from {p:.1%} with power {power:.0%}",
                n=n,
                p=p1,
                power=power,
            )
        )
    return float(optimize.brentq(missing, near, end, xtol=1e-12))


def power_means(
    n: ArrayLike, effect: ArrayLike, *, sd: float = 1.0, alpha: float = 0.05, tails: int = 2, ratio: float = 1.0
) -> Number:
    """Chance that a two-sample t test finds a difference of means.

    Definition: noncentral t with n (1 + ratio) − 2 degrees of freedom, both tails counted; sd is the same in both arms.
    Source: Cohen (1988); R stats, power.t.test with `strict` (without it the far tail, under 1e-6 here, is left out).
    """
    if tails not in (1, 2) or sd <= 0 or not 0 < alpha < 1:
        raise ValueError(f"power_means: tails 1 or 2, sd > 0, alpha in (0, 1), got {tails}, {sd}, {alpha}")
    n, shift = np.asarray(n, float), np.abs(np.asarray(effect, float)) / sd
    df, away = n * (1 + ratio) - 2, shift * np.sqrt(n * ratio / (1 + ratio))
    cut = stats.t.isf(alpha / tails, df)
    far = stats.nct.cdf(-cut, df, away) if tails == 2 else 0.0
    return plain(stats.nct.sf(cut, df, away) + np.nan_to_num(far))


def size_means(
    effect: float, *, sd: float = 1.0, power: float = 0.8, alpha: float = 0.05, tails: int = 2, ratio: float = 1.0
) -> float:
    """Users per arm for which `power_means` reaches `power`; infinite for an effect of 0."""
    normal = (1 + 1 / ratio) * ((_cut(alpha, tails) + stats.norm.ppf(power)) * sd / effect) ** 2 if effect else np.inf
    if normal > 1e6:  # t is normal there, and the noncentral t loses its digits
        return float(normal)

    def missing(n: float) -> float:
        return float(power_means(n, effect, sd=sd, alpha=alpha, tails=tails, ratio=ratio)) - power

    fewest = 2.0  # an arm of one has no variance
    return fewest if missing(fewest) > 0 else float(optimize.brentq(missing, fewest, normal + 20, xtol=1e-9))


def detectable_mean(
    n: float, *, sd: float = 1.0, power: float = 0.8, alpha: float = 0.05, tails: int = 2, ratio: float = 1.0
) -> float:
    """Smallest difference of means that n users per arm find with the given power."""
    if n * (1 + ratio) <= 2:
        raise TooLittleError(
            say(
                zh="每组 {n:,.0f} 人太少，无法估计能看出多大的差异",
                en="{n:,.0f} users per arm are too few to say which difference would show",
                n=n,
            )
        )

    def missing(d: float) -> float:
        return float(power_means(n, d, alpha=alpha, tails=tails, ratio=ratio)) - power

    scale = (_cut(alpha, tails) + stats.norm.ppf(power)) * np.sqrt((1 + 1 / ratio) / n)
    high = scale
    while missing(high) < 0:
        high *= 2
    return float(sd * optimize.brentq(missing, 0.0, high, xtol=1e-12))


def _deviations(p1: ArrayLike, p2: ArrayLike, alpha: float, tails: int, ratio: float) -> tuple[Number, Number]:
    p1, p2 = np.asarray(p1, float), np.asarray(p2, float)
    if not (((p1 >= 0) & (p1 <= 1) & (p2 >= 0) & (p2 <= 1)).all() and 0 < alpha < 1 and tails in (1, 2) and ratio > 0):
        raise ValueError(f"power: rates in [0, 1], alpha in (0, 1), tails 1 or 2, got {p1!r}, {p2!r}, {alpha}, {tails}")
    pooled = (p1 + ratio * p2) / (1 + ratio)
    return np.sqrt(pooled * (1 - pooled) * (1 + 1 / ratio)), np.sqrt(p1 * (1 - p1) + p2 * (1 - p2) / ratio)


def _cut(alpha: float, tails: int) -> float:
    return float(stats.norm.isf(alpha / tails))
