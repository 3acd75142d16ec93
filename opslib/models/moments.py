"""Sufficient statistics of an experiment's arms: moments, ratios by the delta method, CUPED, winsorising."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import combinations_with_replacement
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from opslib.errors import TooLittleError
from opslib.text import say

if TYPE_CHECKING:
    from tea_tasting.aggr import Aggregates

Number = Any  # a float, or an array of floats


@dataclass(frozen=True)
class Moments:
    """Size, mean and sample variance of one arm's users."""

    n: Number
    mean: Number
    var: Number

    @classmethod
    def of(cls, values: ArrayLike) -> Moments:
        """From one value per user."""
        x = np.asarray(values, float)
        return cls(x.size, x.mean() if x.size else np.nan, x.var(ddof=1) if x.size > 1 else np.nan)

    @classmethod
    def of_counts(cls, hits: ArrayLike, users: ArrayLike) -> Moments:
        """From users who did it and all users; the variance is p(1 − p)."""
        rate = divided(hits, users)
        return cls(plain(users), rate, rate * (1 - rate))

    @classmethod
    def of_sums(cls, n: ArrayLike, total: ArrayLike, squares: ArrayLike) -> Moments:
        """From a published sum and sum of squares; loses digits when the mean is large against the spread."""
        n, total, squares = (np.asarray(v, float) for v in (n, total, squares))
        return cls(plain(n), divided(total, n), divided(squares - total**2 / n, n - 1))

    @property
    def error2(self) -> Number:
        """The squared standard error of the mean."""
        return divided(self.var, self.n)


@dataclass(frozen=True)
class Adjusted:
    """Each arm's moments after adjustment; `theta` is the slope, `reduction` the share of variance it took away."""

    arms: dict[str, Moments]
    theta: float
    reduction: float


def arm(**columns: ArrayLike) -> Aggregates:
    """Count, means, variances and covariances of one arm's users, one value per user in every column.

    Raises
    ------
    TooLittleError  if the arm has fewer than two users.
    """
    from tea_tasting.aggr import Aggregates

    names, values = list(columns), np.vstack([np.asarray(v, float) for v in columns.values()])
    n = values.shape[1]
    _enough(n)
    covariance = np.cov(values, ddof=1).reshape(len(names), len(names))
    pairs = [(i, j) for i in range(len(names)) for j in range(i + 1)]
    return Aggregates(
        n,
        dict(zip(names, values.mean(axis=1).tolist(), strict=True)),
        {name: float(covariance[i, i]) for i, name in enumerate(names)},
        {(names[i], names[j]): float(covariance[i, j]) for i, j in pairs},
    )


def arm_of_sums(n: float, sums: Mapping[str, float], products: Mapping[tuple[str, str], float]) -> Aggregates:
    """What `arm` makes, from published sums: of each column, and of the products of each pair (a column's own: squares).

    It loses digits when means are large against the spread: prefer `arm`, or variances of the database.

    Raises
    ------
    TooLittleError  if the arm has fewer than two users.
    ValueError      if the products are not those of every pair of columns, in either order.
    """
    from tea_tasting.aggr import Aggregates

    given = {frozenset(pair): p for pair, p in products.items()}
    pairs = list(combinations_with_replacement(sums, 2))
    if set(given) != set(map(frozenset, pairs)):
        raise ValueError(f"arm_of_sums: needs the products of {pairs}, got {list(products)}")
    _enough(n)
    covariance = {(a, b): (given[frozenset((a, b))] - sums[a] * sums[b] / n) / (n - 1) for a, b in pairs}
    return Aggregates(
        int(n),
        {name: total / n for name, total in sums.items()},
        {a: v for (a, b), v in covariance.items() if a == b},
        covariance,
    )


def _enough(n: float) -> None:
    if n < 2:
        raise TooLittleError(
            say(
                zh="每组至少要 2 名用户才能计算波动，现有 {n} 名",
                en="an arm needs 2 users for a variance, has {n}",
                n=n,
            )
        )


def adjusted(
    arms: Mapping[str, Aggregates],
    value: str,
    per: str | None = None,
    *,
    covariate: str | None = None,
    covariate_per: str | None = None,
) -> Adjusted:
    """Moments of a mean or of a ratio of means per arm, adjusted by a pre-period covariate (CUPED) when one is named.

    Definition: a ratio Σ value / Σ per has the delta-method variance of its users, because users and not sessions
    were randomised. CUPED subtracts theta × (x − mean of x over all arms), with one theta = cov(y, x) / var(x) pooled
    over all arms; the covariate must be measured strictly before exposure. One that does not vary leaves theta 0.
    Source: Deng, Xu, Kohavi, Walker (WSDM 2013); Deng, Knoblich, Lu (KDD 2018). Moment algebra: tea-tasting.
    """
    pooled = reduce(add, arms.values())
    theta = centre = 0.0
    if covariate is not None:
        spread = pooled.ratio_var(covariate, covariate_per)
        theta = pooled.ratio_cov(value, per, covariate, covariate_per) / spread if spread > 0 else 0.0
        centre = pooled.mean(covariate) / pooled.mean(covariate_per)

    def moments(a: Aggregates) -> Moments:
        mean, var = a.mean(value) / a.mean(per), a.ratio_var(value, per)
        if covariate is not None:
            mean -= theta * (a.mean(covariate) / a.mean(covariate_per) - centre)
            var += theta**2 * a.ratio_var(covariate, covariate_per)
            var -= 2 * theta * a.ratio_cov(value, per, covariate, covariate_per)
        return Moments(a.count(), mean, max(var, 0.0))

    found = {name: moments(a) for name, a in arms.items()}
    before = sum(a.ratio_var(value, per) for a in arms.values())
    reduction = 1 - sum(m.var for m in found.values()) / before if before > 0 else 0.0
    return Adjusted(found, float(theta), float(reduction))


def winsorised(
    arms: Mapping[str, ArrayLike], *, quantile: float = 0.99, cap: float | None = None
) -> tuple[dict[str, np.ndarray], float]:
    """Every arm's values cut at the same cap, and the cap: the `quantile` of all arms together unless given.

    A cap per arm would remove more of the arm that has the larger values, and with it the effect.
    """
    values = {name: np.asarray(v, float) for name, v in arms.items()}
    limit = float(np.quantile(np.concatenate(list(values.values())), quantile)) if cap is None else cap
    return {name: np.minimum(v, limit) for name, v in values.items()}, limit


def divided(a: ArrayLike, b: ArrayLike) -> Number:
    """a / b, and NaN where b is 0: a number that cannot be known is never infinite and never 0."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    return plain(np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=b != 0))


def plain(x: ArrayLike) -> Number:
    """An array stays one; a single number leaves numpy."""
    x = np.asarray(x)
    return x.item() if x.ndim == 0 else x
