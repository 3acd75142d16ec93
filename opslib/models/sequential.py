"""Always-valid readings: an experiment may be looked at every day and stopped at any look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from opslib.models.moments import Number, divided, plain


@dataclass(frozen=True)
class Sequential:
    """An interval that holds at all looks at once, and the always-valid p."""

    value: Number
    low: Number
    high: Number
    p: Number


def confidence_sequence(
    estimate: ArrayLike, se: ArrayLike, n: ArrayLike, *, alpha: float = 0.05, tuning: float = 5_000
) -> Sequential:
    """Asymptotic confidence sequence of an effect, whatever its scale, at each look.

    Definition: `n` is the users of both arms together, `se` the effect's standard error at that look, `tuning` the n at
    which the interval is to be tightest (set it before the test, near the planned size). With rho² = (−2 ln alpha +
    ln(1 − 2 ln alpha)) / tuning the half-width is se √(2 (n rho² + 1) / (n rho²) × ln(√(n rho² + 1) / alpha)).
    It is the mixture test of `mixture_ratio` with tau² = rho² n se².
    Error: wider than a fixed-horizon interval at every n; asymptotic, so start looking at some hundred users.
    Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (arXiv 2103.06476) eq. 9, 155, 161; as GrowthBook.
    """
    if not 0 < alpha < 1 or tuning <= 0:
        raise ValueError(f"confidence_sequence: alpha in (0, 1) and tuning > 0, got {alpha}, {tuning}")
    value, se, n = (np.asarray(v, float) for v in (estimate, se, n))
    weight = n * (-2 * np.log(alpha) + np.log1p(-2 * np.log(alpha))) / tuning
    spread = np.where(se > 0, se, np.nan)
    half = spread * np.sqrt(2 * (weight + 1) / weight * np.log(np.sqrt(weight + 1) / alpha))
    _, p = mixture_ratio(value, spread, weight * spread**2)
    return Sequential(plain(value), plain(value - half), plain(value + half), p)


def mixture_ratio(estimate: ArrayLike, se: ArrayLike, tau2: ArrayLike) -> tuple[Number, Number]:
    """Likelihood ratio of the mixture sequential test (mSPRT) with N(0, tau²) mixing, and its p = min(1, 1 / ratio).

    Source: Johari, Pekelis, Walsh, Always valid inference (arXiv 1512.04922).
    """
    value, v, tau2 = np.asarray(estimate, float), np.square(np.asarray(se, float)), np.asarray(tau2, float)
    log_ratio = 0.5 * np.log(v / (v + tau2)) + divided(tau2 * value**2, 2 * v * (v + tau2))
    return plain(np.exp(log_ratio)), plain(np.exp(-np.maximum(log_ratio, 0)))


def running(look: Sequential, *, axis: int = 0) -> Sequential:
    """The reading after each look, given all looks before it (along `axis`, oldest first).

    Definition: intervals may be intersected and p may only fall, because every look is valid at once. An empty
    intersection (low > high) means that the effect drifts: read it as such.
    """
    return Sequential(
        look.value,
        np.fmax.accumulate(look.low, axis=axis),
        np.fmin.accumulate(look.high, axis=axis),
        np.fmin.accumulate(look.p, axis=axis),
    )
