"""Posts that carry their own counts: what the average post has at as much reach, and how much of the spread is chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize, special

LEAST, SPREAD = 30, 0.5  # posts, and standard deviation of ln(reach), with which reach tells anything
DEGREES = 20  # of freedom, with which the kinds of reaction do


@dataclass(frozen=True)
class Noise:
    """How many times as variable as independent counts the counts of a post are, and what says so.

    `told`: kinds (the kinds of reaction of one post disagree by so much), reach (the spread falls so fast with reach), or
    nothing (neither does, or it would be more than all the spread there is: then the whole spread counts as chance).
    """

    dispersion: float
    told: str


def varied(reach: pd.Series) -> bool:
    """Enough posts, and reach that differs enough, to learn from it."""
    return len(reach) >= LEAST and float(np.log(reach).std()) >= SPREAD


def usual(hits: pd.Series, reach: pd.Series, group: pd.Series) -> tuple[pd.Series, float]:
    """What the average post of its group has at as much reach, and the power of reach that it grows with.

    Definition: Poisson quasi-likelihood of c(group) × reach ^ power, power from 0 to 1, so that each group's sum is that of
    its hits; 1 where reach does not tell. Wide reach goes beyond those who follow and react, and a post is not bad for it.
    Source: McCullagh & Nelder 1989, Generalized Linear Models, chapter 9.
    """

    def at(power: float) -> np.ndarray:
        worth = reach.to_numpy(float) ** power
        sums = pd.DataFrame({"g": group, "h": hits, "w": worth}).groupby("g")[["h", "w"]].transform("sum")
        return np.asarray(worth * sums["h"] / sums["w"])

    def loss(power: float) -> float:
        return -float((hits[hits > 0] * np.log(at(power)[hits > 0])).sum())

    power = optimize.minimize_scalar(loss, bounds=(0, 1), method="bounded").x if varied(reach) else 1.0
    return pd.Series(at(power), index=hits.index), float(power)


def noise(kinds: pd.DataFrame, expected: pd.Series, reach: pd.Series, group: pd.Series) -> Noise:
    """How over-dispersed posts are around their own true index: one number for all.

    `kinds`: a column for each kind of response, one row per post; `expected`: of their sum, as of `usual`.
    Definition: the larger of two. Kinds are parallel measures of one post: Pearson's factor of how its sum falls into
    kinds. Reach: chance fades with reach, true differences do not, so that φ of the variance φμ + τ²μ² of the sums can be
    told; likelihood of the gamma-Poisson model with counts divided by φ, plus one standard error. Never below 1.
    Error: what moves all kinds alike and by the same share at any reach is in neither: one total a post cannot tell it
    from appeal.
    Source: McCullagh & Nelder 1989, section 4.5 (factor); Clayton & Kaldor 1987 (model); Davidian & Carroll 1987, JASA 82,
    1079-1091 (variance functions are told by how the spread goes with the mean).
    """
    hits = kinds.sum(axis=1)
    found = {"kinds": _by_kinds(kinds, group), "reach": _by_reach(hits, expected) if varied(reach) else np.nan}
    told = {name: value for name, value in found.items() if np.isfinite(value)}
    if not told:
        return Noise(max(1.0, _whole(hits, expected)), "nothing")
    name, whole = max(told, key=lambda name: told[name]), _whole(hits, expected)
    return Noise(max(1.0, whole), "nothing") if told[name] >= whole else Noise(max(1.0, told[name]), name)


def _whole(hits: pd.Series, expected: pd.Series) -> float:
    """Pearson's factor of the sums: no chance is larger than all the spread there is."""
    rows = expected > 0
    return float(((hits - expected)[rows] ** 2 / expected[rows]).mean())


def _by_kinds(kinds: pd.DataFrame, group: pd.Series) -> float:
    hits = kinds.sum(axis=1)
    sums = kinds.groupby(group).transform("sum")
    usual = sums.div(sums.sum(axis=1), axis=0).mul(hits, axis=0)
    chi = ((kinds - usual) ** 2 / usual.where(usual > 0)).sum().sum()
    possible = (sums > 0).sum(axis=1) - 1
    degrees = possible[hits > 0].sum() - possible[hits > 0].groupby(group[hits > 0]).first().sum()
    return float(chi / degrees) if degrees >= DEGREES else np.nan


def _by_reach(hits: pd.Series, expected: pd.Series) -> float:
    """Plus one standard error, of its logarithm; blank where the likelihood has no maximum inside."""
    x, e = hits[expected > 0].to_numpy(float), expected[expected > 0].to_numpy(float)

    def loss(theta: np.ndarray) -> float:
        a, b, factor = np.exp(theta)
        k, m = x / factor, e / factor
        fit = special.gammaln(a + k) - special.gammaln(a) - special.gammaln(k + 1)
        return float(-(fit + a * np.log(b / (b + m)) + k * np.log(m / (b + m))).sum() + len(x) * theta[2])

    limits = [(-7.0, 14.0), (-7.0, 14.0), (-0.7, 10.0)]
    fits = [optimize.minimize(loss, [0.5, 0.5, s], method="L-BFGS-B", bounds=limits) for s in (0.0, 2.0)]
    best = min(fits, key=lambda fit: fit.fun).x
    return float(np.exp(best[2] + _error(loss, best)))


def _error(loss: Callable[[np.ndarray], float], best: np.ndarray, step: float = 0.05) -> float:
    """Standard error of the last parameter, from the curvature of the likelihood."""
    ways = np.eye(len(best)) * step
    ends = [
        [loss(best + a + b) - loss(best + a - b) - loss(best - a + b) + loss(best - a - b) for b in ways] for a in ways
    ]
    variance = np.linalg.pinv(np.array(ends) / (4 * step**2))[-1, -1]
    return float(np.sqrt(variance)) if variance > 0 else np.nan
