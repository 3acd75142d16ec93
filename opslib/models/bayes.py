"""Bayesian readings of an experiment: the chance to win and the expected loss of shipping each arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from opslib.errors import TooLittleError
from opslib.text import say

_TAILS = 10.0 ** np.arange(-15, 0)
_KNOTS = np.concatenate([_TAILS, np.arange(0.2, 0.9, 0.1), 1 - _TAILS[::-1]])


@dataclass(frozen=True)
class Posterior:
    """Per arm, control first: posterior mean, chance to be the best, expected loss of shipping it (in rate points).

    `chance_to_win` is the chance of the last arm, which with two arms is the treatment's.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chance: np.ndarray
    loss: np.ndarray

    @property
    def chance_to_win(self) -> float:
        return float(self.chance[-1])


def beta_binomial(
    hits: Sequence[float], users: Sequence[float], *, prior: Sequence[float] = (1, 1), alpha: float = 0.05
) -> Posterior:
    """Conversion rates of two or more arms under a Beta prior.

    Definition: each posterior is Beta(a + hits, b + users − hits); chance = P(this rate is the largest); loss =
    E[largest rate − this rate], what one gives up on average by shipping the arm. Ties have probability 0.
    Error: exact to about 1e-10 (Gauss–Legendre between the posteriors' quantiles, no simulation).
    Source: Evan Miller, Formulas for Bayesian A/B testing; Stucchio (2015), Bayesian A/B testing at VWO (loss).

    Raises
    ------
    ValueError  if hits exceed users, or the prior is not positive.
    """
    x, n = np.asarray(hits, float), np.asarray(users, float)
    if x.size < 2 or (x < 0).any() or (x > n).any() or min(prior) <= 0:
        raise ValueError(f"beta_binomial: needs 0 <= hits <= users of two or more arms, got {hits} of {users}, {prior}")
    a, b = (x + prior[0])[:, None], (n - x + prior[1])[:, None]
    knots = special.betaincinv(a, b, _KNOTS)
    at, weight = _nodes(knots)
    below = special.betainc(a, b, at)
    loss = np.array([(below[k] * (1 - np.prod(np.delete(below, k, axis=0), axis=0))) @ weight for k in range(x.size)])
    chance = np.array([_chance(k, a, b, knots) for k in range(x.size)])
    q = special.betaincinv(a, b, np.array([alpha / 2, 1 - alpha / 2]))
    return Posterior((a / (a + b))[:, 0], q[:, 0], q[:, 1], chance / chance.sum(), loss)


def _chance(k: int, a: np.ndarray, b: np.ndarray, knots: np.ndarray) -> float:
    """P(rate k is the largest), integrated over its own probability, where no density can have a pole."""
    u, weight = _nodes(special.betainc(a[k], b[k], knots))
    rest = np.arange(len(a)) != k
    return float(np.prod(special.betainc(a[rest], b[rest], special.betaincinv(a[k], b[k], u)), axis=0) @ weight)


def _nodes(knots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gauss–Legendre nodes and weights on the intervals between all arms' quantiles, and to the ends of [0, 1]."""
    edges = np.unique(np.concatenate([[0.0], knots.ravel(), [1.0]]))
    x, w = np.polynomial.legendre.leggauss(12)
    half = np.diff(edges)[:, None] / 2
    middle = (edges[1:] + edges[:-1])[:, None] / 2
    return (middle + half * x).ravel(), (half * w).ravel()


@dataclass(frozen=True)
class NormalPosterior:
    """Posterior of an effect: mean, sd, interval, chance that it is above 0, and the expected loss of either choice."""

    mean: float
    sd: float
    low: float
    high: float
    chance_to_win: float
    loss_keep_control: float
    loss_ship_treatment: float


def gaussian(
    effect: float, se: float, *, prior_mean: float = 0.0, prior_sd: float = np.inf, alpha: float = 0.05
) -> NormalPosterior:
    """Posterior of an effect whose estimate is normal, under a flat (default) or normal prior.

    Definition: losses are E[max(effect, 0)] for keeping the control and E[max(−effect, 0)] for shipping, in the unit of
    the effect (relative lift in GrowthBook's reading: pass `relative(...).value` and `.se`).
    Source: GrowthBook statistics engine, EffectBayesianABTest.

    Raises
    ------
    TooLittleError  if the effect or its standard error is not known.
    """
    if not (np.isfinite(effect) and np.isfinite(se) and se > 0):
        raise TooLittleError(
            say(
                zh="效果或其标准误未知，无法给出贝叶斯读数：效果 {effect:g}，标准误 {se:g}",
                en="no Bayesian reading: the effect {effect:g} and its standard error {se:g} must be known",
                effect=effect,
                se=se,
            )
        )
    precision = 1 / se**2 + 1 / prior_sd**2
    sd = precision**-0.5
    mean = (effect / se**2 + prior_mean / prior_sd**2) / precision
    z = mean / sd
    gain = sd * (stats.norm.pdf(z) + z * stats.norm.cdf(z))
    half = stats.norm.isf(alpha / 2) * sd
    return NormalPosterior(
        float(mean),
        float(sd),
        float(mean - half),
        float(mean + half),
        float(stats.norm.cdf(z)),
        float(gain),
        float(gain - mean),
    )
