"""Items against the average item of their kind: responses over expected ones, drawn to 1, ranked by a bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, special

from opslib.errors import TooLittleError
from opslib.text import say


@dataclass(frozen=True)
class GammaPrior:
    """How the items' true indices are spread: Gamma with `shape` and `rate`, from `items` items with exposure."""

    shape: float
    rate: float
    items: int = 0

    @property
    def mean(self) -> float:
        return self.shape / self.rate


def _counts(hits: Any, expected: Any) -> tuple[np.ndarray, np.ndarray]:
    x, e = np.asarray(hits, dtype=float), np.asarray(expected, dtype=float)
    if x.shape != e.shape or not ((x >= 0) & (e >= 0)).all():
        raise ValueError("indices: one pair of hits and expected hits for each item, none negative or missing")
    return x, e


def gamma_prior(hits: Any, expected: Any, *, mean: float | None = None) -> GammaPrior:
    """The prior of the indices from the items' own counts (empirical Bayes).

    One element per item: hits, and the hits that the average item would have had in its place. Items that nothing was
    expected of are left out.

    Definition: maximum likelihood of the negative binomial, shape and rate both free; with a `mean` only the spread around it,
    where the items are to be held against that mean and not against each other.
    Source: Clayton & Kaldor 1987, Biometrics 43, 671-681, the Gamma model.

    Raises
    ------
    ValueError      if a number is negative or missing.
    TooLittleError  with fewer than two items with exposure, or without any hit.
    """
    x, e = _counts(hits, expected)
    x, e = x[e > 0], e[e > 0]
    if len(x) < 2 or x.sum() == 0:
        raise TooLittleError(
            say(
                zh="内容指数需要至少两条有曝光的内容和至少一次回应；现有 {n} 条、{x} 次",
                en="an index needs two items with exposure and a response; there are {n} items, {x} hits",
                n=len(x),
                x=int(x.sum()),
            )
        )

    def loss(theta: np.ndarray) -> float:
        a, b = np.exp(theta) if mean is None else (np.exp(theta[0]), np.exp(theta[0]) / mean)
        fit = special.gammaln(a + x) - special.gammaln(a) + a * np.log(b / (b + e)) + x * np.log(e / (b + e))
        return float(-fit.sum())

    limits = [(np.log(1e-3), np.log(1e6))] * 2
    middle = np.log(x.sum() / e.sum())
    fits = [optimize.minimize(loss, [s, s - middle], method="L-BFGS-B", bounds=limits) for s in (np.log(0.3), 1.0, 4.0)]
    shape, rate = np.exp(min(fits, key=lambda fit: fit.fun).x)
    return GammaPrior(float(shape), float(rate if mean is None else shape / mean), len(x))


def indices(hits: Any, expected: Any, prior: GammaPrior, *, level: float = 0.95) -> pd.DataFrame:
    """Each item's response over the expected one, drawn to the group by as much as its exposure leaves open.

    One row per item.

    Columns
    -------
    raw       : float  hits / expected; blank where nothing was expected
    index     : float  posterior mean; 1 is the average item in the same places
    low, high : float  equal-tailed posterior interval

    Definition: posterior Gamma(shape + hits, rate + expected). Three of three is not a triumph.
    Error: the interval, given the prior.
    Source: as `gamma_prior`.

    Raises
    ------
    ValueError  if a number is negative or missing.
    """
    x, e = _counts(hits, expected)
    a, b = prior.shape + x, prior.rate + e
    low, high = (special.gammaincinv(a, tail) / b for tail in ((1 - level) / 2, (1 + level) / 2))
    raw = np.divide(x, e, out=np.full(x.shape, np.nan), where=e > 0)
    return pd.DataFrame({"raw": raw, "index": a / b, "low": low, "high": high})


def above(hits: Any, expected: Any, prior: GammaPrior, threshold: float) -> np.ndarray:
    """The chance of each item that its true index is above `threshold`."""
    x, e = _counts(hits, expected)
    return special.gammaincc(prior.shape + x, (prior.rate + e) * threshold)
