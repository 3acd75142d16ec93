"""When the level of a daily series changed: the day, its interval, and whether it changed at all."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.text import say


@dataclass(frozen=True)
class ChangePoint:
    """The first day of the new level, and how sure that is.

    `day` is a label of the series (its date, or position); `low_day`..`high_day` its interval; `before`, `after` the
    levels on that day if it were an average weekday (with a trend: where the trend had come to by then), `change` their
    difference with `low`, `high`; `p` the chance of so large a change where there is none.
    """

    day: Any
    low_day: Any
    high_day: Any
    position: int
    before: float
    after: float
    change: float
    low: float
    high: float
    p: float


def change_point(
    values: Any,
    *,
    weekly: bool = True,
    trend: bool = False,
    least: int = 7,
    level: float = 0.95,
    draws: int = 500,
    seed: int = 0,
) -> ChangePoint:
    """The most likely single change of level of a series, given its weekdays and its memory.

    `values`: one number per day, a series indexed by day (in any order) or a list of consecutive days. Missing days are left
    out, and the others keep their weekday.

    Definition: least squares of weekday effects (`weekly`), a straight `trend` if asked for, and one step; the day is
    the one with the largest likelihood ratio, at least `least` days from either end.
    Error: the remainder is first-order autoregressive, its memory taken from a fit with up to three steps (else a
    second change would pass for memory); p compares the likelihood ratio with the largest of `draws` series of the
    same remainder without a step, the intervals are percentiles of `draws` series with the step. At a nominal 5 % it
    claims a change in 3 to 10 % of changeless series of 60 days, the more the longer their memory (up to 0.7).
    Source: Andrews 1993, Econometrica 61, 821-856 (supremum test); Bai 1997; parametric bootstrap.

    Raises
    ------
    TooLittleError  with fewer than 2·`least` + 8 values.
    ValueError      if `least` < 2, or a day is there twice.
    """
    if least < 2:
        raise ValueError(f"change_point: least must be 2 days or more, got {least}")
    series = _by_day(values)
    kept = np.flatnonzero(series.notna().to_numpy())
    y = series.to_numpy(dtype=float)[kept]
    if len(y) < 2 * least + 8:
        raise TooLittleError(
            say(
                zh="判断趋势转折至少要 {least} 天，现有 {has} 天",
                en="a change point needs {least} days, has {has}",
                least=2 * least + 8,
                has=len(y),
            )
        )
    nuisance = _nuisance(kept, weekly, trend)
    steps = _steps(nuisance, least)
    best, _, shift = _largest(y, steps)
    noise, phi = _memory(y, nuisance, steps)
    error = _remainders(noise, phi, (draws, len(y)), np.random.default_rng(seed))
    null, seen = (_statistic(series, nuisance, steps) for series in (error, y[None]))
    fitted = nuisance @ (nuisance.T @ y) + shift[0] * steps[best[0]]
    again, _, shifts = _largest(fitted + error, steps)
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(shifts, tails)
    at = int(best[0]) + least
    days = [at, *(np.quantile(again, tails, method="inverted_cdf").astype(int) + least)]
    day, low_day, high_day = (series.index[kept[i]] for i in days)
    plain = nuisance @ (nuisance.T @ (fitted - shift[0] * (np.arange(len(y)) >= at)))
    before = float(plain.mean() + (_slope(plain, kept, weekly) * (kept[at] - kept.mean()) if trend else 0.0))
    p = float((1 + (null >= seen[0]).sum()) / (1 + draws))
    if np.ptp(y) <= 1e-9 * np.abs(y).max():
        p = 1.0  # a constant: what differs is rounding
    change = float(shift[0])
    return ChangePoint(day, low_day, high_day, at, before, before + change, change, float(low), float(high), p)


def _by_day(values: Any) -> pd.Series:
    """The values in the order of their days, one for each from the first to the last; a list as it is."""
    series = values if isinstance(values, pd.Series) else pd.Series(np.asarray(values, dtype=float))
    if len(series) == 0 or not isinstance(series.index[0], dt.date):
        return series
    series = series.set_axis(pd.DatetimeIndex(series.index).normalize())
    if series.index.has_duplicates:
        raise ValueError(f"change_point: the day {series.index[series.index.duplicated()][0]:%Y-%m-%d} is there twice")
    return series.sort_index().asfreq("D")


def _nuisance(day: np.ndarray, weekly: bool, trend: bool) -> np.ndarray:
    """Orthonormal columns for weekday effects (or a constant) and the trend."""
    columns = [(day % 7 == d).astype(float) for d in range(7)] if weekly else [np.ones(len(day))]
    columns += [day - day.mean()] if trend else []
    kept = np.column_stack([c for c in columns if c.any()])
    return np.linalg.qr(kept)[0]


def _slope(plain: np.ndarray, day: np.ndarray, weekly: bool) -> float:
    """The trend a day of a series made of weekdays and a straight trend."""
    weekdays = _nuisance(day, weekly, False)
    along, rest = (v - weekdays @ (weekdays.T @ v) for v in (day.astype(float), plain))
    return float(along @ rest / (along @ along))


def _steps(nuisance: np.ndarray, least: int) -> np.ndarray:
    """Every admissible step, free of the nuisance; row i is the step on day `least` + i."""
    n = len(nuisance)
    step = (np.arange(n)[None] >= np.arange(least, n - least + 1)[:, None]).astype(float)
    return step - (step @ nuisance) @ nuisance.T


def _largest(y: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each series: which step fits best, its gain, and its size."""
    length = (steps**2).sum(axis=1)
    along = np.atleast_2d(y) @ steps.T
    gain = along**2 / np.where(length > 1e-9, length, np.inf)
    best = gain.argmax(axis=1)
    rows = np.arange(len(best))
    return best, gain[rows, best], along[rows, best] / length[best]


def _statistic(y: np.ndarray, nuisance: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The largest gain against what is left: F without its degrees of freedom."""
    gain = _largest(y, steps)[1]
    rest = (y**2).sum(axis=1) - ((y @ nuisance) ** 2).sum(axis=1) - gain
    return gain / np.maximum(rest, 1e-300)


def _memory(y: np.ndarray, nuisance: np.ndarray, steps: np.ndarray, most: int = 3) -> tuple[np.ndarray, float]:
    """Innovations and first-order memory of what is left after the weekdays and up to three steps."""
    chosen: list[int] = []
    rest = y - nuisance @ (nuisance.T @ y)
    for _ in range(most):
        chosen.append(int(_largest(rest, steps)[0][0]))
        x = steps[chosen].T
        rest = y - nuisance @ (nuisance.T @ y) - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    square = float(rest[:-1] @ rest[:-1])
    phi = float(rest[1:] @ rest[:-1]) / square if square > 0 else 0.0
    # Least squares finds too little memory in a short series, the less the more was fitted; checked by simulation.
    phi = float(np.clip(phi + (1 + 4 * phi + 3 * most) / len(y), 0, 0.95))
    innovations = rest[1:] - phi * rest[:-1]
    spare = len(y) / max(len(y) - nuisance.shape[1] - most, 1)
    return (innovations - innovations.mean()) * np.sqrt(spare), phi


def _remainders(noise: np.ndarray, phi: float, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    from scipy.signal import lfilter

    drawn = rng.choice(noise, size=(shape[0], shape[1] + 50))
    return lfilter([1.0], [1.0, -phi], drawn, axis=1)[:, 50:]


def change_points(values: Any, *, most: int = 3, alpha: float = 0.01, **how: Any) -> list[ChangePoint]:
    """Several changes of level, earliest first: each half of a significant split is searched again.

    Definition: binary segmentation with `change_point`; `alpha` is divided by the number of stretches looked at. How many
    series are drawn by chance follows from that, unless `draws` says more: a p from fewer could not be so small.

    Raises
    ------
    ValueError  as `change_point`.
    """
    series = _by_day(values)
    how["draws"] = max(how.get("draws", 500), int(np.ceil((2 * most - 1) / alpha)))
    stretches = [(0, len(series))]
    found: list[ChangePoint] = []
    while stretches and len(found) < most:
        first, last = stretches.pop(0)
        try:
            point = change_point(series.iloc[first:last], **how)
        except TooLittleError:
            continue
        if point.p <= alpha / (2 * len(found) + 1):
            found.append(point)
            at = int(series.index.get_loc(point.day))
            stretches += [(first, at), (at, last)]
    return sorted(found, key=lambda p: series.index.get_loc(p.day))
