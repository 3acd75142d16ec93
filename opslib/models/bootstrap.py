"""Intervals for any number that is computed from users: resample the users."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from opslib.errors import TooLittleError
from opslib.text import say


@dataclass(frozen=True)
class Resampled:
    """A statistic, its standard error, bias, and interval; `draws` are its values in the resamples."""

    value: float
    se: float
    bias: float
    low: float
    high: float
    draws: np.ndarray


def bootstrap(
    statistic: Callable[..., float],
    *columns: ArrayLike,
    users: ArrayLike | None = None,
    draws: int = 2000,
    alpha: float = 0.05,
    seed: int = 0,
    method: str = "percentile",
) -> Resampled:
    """The bootstrap of `statistic(*columns)`.

    Without `users`, each row is a user. With `users` (whose row it is), whole users are drawn with all their rows:
    the events of a user are not independent, and resampling them gives intervals that are far too short.

    Definition: `percentile` takes the quantiles of the resamples; `bca` corrects them for bias and skewness
    (jackknife over users).
    Source: Efron, Tibshirani (1993), An introduction to the bootstrap.

    Raises
    ------
    TooLittleError  if there are fewer than two users.
    ValueError      if columns differ in length, or the method is unknown.
    """
    if method not in ("percentile", "bca"):
        raise ValueError(f"bootstrap: method must be percentile or bca, got {method!r}")
    rows, members = _users(columns, users)
    rng, n = np.random.default_rng(seed), len(members)
    value = float(statistic(*rows))
    found = np.empty(draws)
    for i in range(draws):
        take = members.rows(rng.integers(0, n, n))
        found[i] = statistic(*(c[take] for c in rows))
    ends = np.array([alpha / 2, 1 - alpha / 2])
    if method == "bca":
        ends = _bca(ends, value, found, _left_out(statistic, rows, members))
    low, high = np.nanquantile(found, ends)
    se, bias = float(np.nanstd(found, ddof=1)), float(np.nanmean(found) - value)
    return Resampled(value, se, bias, float(low), float(high), found)


def jackknife(
    statistic: Callable[..., float], *columns: ArrayLike, users: ArrayLike | None = None, alpha: float = 0.05
) -> Resampled:
    """The jackknife of a smooth statistic: every user is left out once.

    Definition: bias = (n − 1)(mean of the leave-one-outs − value), se² = (n − 1)/n Σ (leave-one-out − their mean)²;
    Student's t interval. Wrong for medians and other quantiles.
    """
    rows, members = _users(columns, users)
    n, value = len(members), float(statistic(*rows))
    left_out = _left_out(statistic, rows, members)
    se = float(np.sqrt((n - 1) / n * np.square(left_out - left_out.mean()).sum()))
    half = float(stats.t.isf(alpha / 2, n - 1)) * se
    return Resampled(value, se, float((n - 1) * (left_out.mean() - value)), value - half, value + half, left_out)


@dataclass(frozen=True)
class _Members:
    """Which rows each user has: a slice of `order` each."""

    order: np.ndarray
    start: np.ndarray
    size: np.ndarray

    def __len__(self) -> int:
        return self.size.size

    def rows(self, picked: np.ndarray) -> np.ndarray:
        size = self.size[picked]
        within = np.arange(size.sum()) - np.repeat(size.cumsum() - size, size)
        return self.order[np.repeat(self.start[picked], size) + within]


def _users(columns: tuple[ArrayLike, ...], users: ArrayLike | None) -> tuple[list[np.ndarray], _Members]:
    rows = [np.asarray(c) for c in columns]
    if not rows or len({len(r) for r in rows}) != 1 or (users is not None and len(np.asarray(users)) != len(rows[0])):
        raise ValueError("bootstrap: columns, and users if given, must have one value per row")
    code = np.arange(len(rows[0])) if users is None else pd.factorize(np.asarray(users))[0]
    size = np.bincount(code) if code.size else np.empty(0, int)
    if size.size < 2:
        raise TooLittleError(
            say(zh="计算区间至少要 2 名用户，现有 {n} 名", en="an interval needs two users, has {n}", n=size.size)
        )
    return rows, _Members(np.argsort(code, kind="stable"), size.cumsum() - size, size)


def _left_out(statistic: Callable[..., float], rows: list[np.ndarray], members: _Members) -> np.ndarray:
    everyone = np.arange(len(members))
    taken = (members.rows(np.delete(everyone, i)) for i in everyone)
    return np.array([float(statistic(*(c[t] for c in rows))) for t in taken])


def _bca(ends: np.ndarray, value: float, found: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    below = np.clip((found < value).mean() + (found == value).mean() / 2, 1e-6, 1 - 1e-6)
    shift, away = stats.norm.ppf(below), left_out.mean() - left_out
    spread = np.square(away).sum() ** 1.5
    skew = (away**3).sum() / (6 * spread) if spread > 0 else 0.0
    z = shift + stats.norm.ppf(ends)
    return stats.norm.cdf(shift + z / (1 - skew * z))
