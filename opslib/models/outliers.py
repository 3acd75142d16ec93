"""Values that do not belong: the median-based rule, and how many outliers there are (generalized ESD)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from opslib.errors import TooLittleError
from opslib.text import say

MAD_TO_SD = 1 / 0.6745  # Iglewicz and Hoaglin's constant, rounded as they print it, so that z agrees with tables


def robust_z(values: Any) -> np.ndarray:
    """How many robust standard deviations each value lies from the median; missing values stay missing.

    Definition: (x − median) / (1.4826 · MAD). When more than half of the values are equal the MAD is 0; then 1.2533
    times the mean absolute deviation is the scale, and when all are equal every z is 0.
    Source: Iglewicz & Hoaglin 1993, How to Detect and Handle Outliers.
    """
    x = np.asarray(values, dtype=float)
    apart = x - np.nanmedian(x) if np.isfinite(x).any() else x
    scale = robust_scale(apart)
    return apart / scale if scale > 0 else apart * 0


def robust_scale(apart: np.ndarray) -> float:
    """A normal's standard deviation from distances to the centre; 0 when nothing varies, or nothing is there."""
    size = np.abs(apart[np.isfinite(apart)])
    if len(size) == 0:
        return 0.0
    return float(np.median(size) * MAD_TO_SD or size.mean() * np.sqrt(np.pi / 2))


@dataclass(frozen=True)
class MadMedian:
    """Which values are outliers (positions), the largest |z|, and every z."""

    outliers: list[int]
    z_max: float
    z: np.ndarray


def mad_median(values: Any, cutoff: float | None = None) -> MadMedian:
    """The MAD-median rule: outliers are further than `cutoff` robust deviations from the median.

    Definition: the cutoff is √χ²(0.975; 1) = 2.2414 unless given; a value exactly at it is none.
    Source: Hall & Wellner 1991; Wilcox 2012, section 3.13; as pingouin's `madmedianrule`.
    """
    z = robust_z(values)
    limit = special.ndtri(1 - 0.025 / 2) if cutoff is None else cutoff
    size = np.abs(z)
    return MadMedian([int(i) for i in np.flatnonzero(size > limit)], float(np.nanmax(size, initial=0)), z)


@dataclass(frozen=True)
class Esd:
    """How many outliers there are, their positions in order of removal, and every statistic with its limit."""

    n_outliers: int
    outliers: list[int]
    statistics: np.ndarray
    limits: np.ndarray


def generalized_esd(values: Any, most: int, alpha: float = 0.05) -> Esd:
    """Rosner's test: up to `most` outliers in a sample that is otherwise normal, without masking.

    Definition: R_i is the largest |x − mean| / sd after the i − 1 most extreme values have left; the number of outliers
    is the largest i with R_i > λ_i, not the first i that fails. Missing values are left out.
    Error: the chance of any outlier in a normal sample is about `alpha`, from 25 values on.
    Source: Rosner 1983, Technometrics 25, 165-172; NIST/SEMATECH e-Handbook 1.3.5.17.3.

    Raises
    ------
    ValueError      if `most` < 1 or `alpha` is not between 0 and 1.
    TooLittleError  if fewer than `most` + 2 values are there.
    """
    if most < 1 or not 0 < alpha < 1:
        raise ValueError(f"generalized_esd: most ≥ 1 and 0 < alpha < 1, got {most} and {alpha}")
    x = np.asarray(values, dtype=float)
    left = np.flatnonzero(np.isfinite(x))
    n = len(left)
    if n < most + 2:
        raise TooLittleError(
            say(
                zh="检出最多 {most} 个异常值至少要 {least} 个数值，现有 {has} 个",
                en="looking for {most} outliers needs {least} values, has {has}",
                most=most,
                least=most + 2,
                has=n,
            )
        )
    removed, statistics = [], []
    for _ in range(most):
        apart = np.abs(x[left] - x[left].mean())
        sd, worst = x[left].std(ddof=1), int(np.argmax(apart))
        statistics.append(apart[worst] / sd if sd > 0 else 0.0)
        removed.append(int(left[worst]))
        left = np.delete(left, worst)
    i = np.arange(1, most + 1)
    t = special.stdtrit(n - i - 1, 1 - alpha / (2 * (n - i + 1)))
    limits = (n - i) * t / np.sqrt((n - i - 1 + t**2) * (n - i + 1))
    beyond = np.flatnonzero(np.array(statistics) > limits)
    count = int(beyond[-1]) + 1 if len(beyond) else 0
    return Esd(count, removed[:count], np.array(statistics), limits)
