"""How fast an item's audience fades: half-life from daily views, news against evergreen."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from opslib.errors import TooLittleError
from opslib.text import say

LEAST, LEAST_WEEKLY = 3, 22  # days from the peak on


@dataclass(frozen=True)
class HalfLife:
    """Days in which the audience halves, with its interval; infinite where it does not fade.

    `peak` is the fitted audience of the day the fit starts from; `dispersion` how much more than Poisson days vary.
    """

    half_life: float
    low: float
    high: float
    slope: float
    se: float
    peak: float
    peak_day: float
    dispersion: float

    def kind(self, days: float = 7.0) -> str:
        """News halves in fewer than so many days for sure, evergreen does not for sure."""
        return _kind(self.low, self.high, days)


def half_life(day: Any, views: Any, *, from_peak: bool = True, weekly: bool = False, level: float = 0.95) -> HalfLife:
    """Exponential decay of an item's views by day.

    One element per day since publication and its views; a day without views is a 0, not a gap.

    Definition: Poisson regression with a log link, views = peak · e^(slope·(day − peak day)); half-life −ln 2 / slope.
    The fit starts at the day with most views (the first of equals), because the climb is not decay; `weekly` allows for
    weekdays (day modulo 7), for which three weeks are needed.
    Error: quasi-Poisson (variance proportional to the mean, at least Poisson), t interval of the slope turned over.
    Source: McCullagh & Nelder 1989; log-linear decay.

    Raises
    ------
    ValueError      if lengths differ, days repeat or a count is negative or missing.
    TooLittleError  with fewer than three days (22 with `weekly`) from the peak, or without views.
    """
    table = half_lives(
        pd.DataFrame({"item": 0, "day": np.asarray(day, dtype=float), "views": np.asarray(views, dtype=float)}),
        item="item",
        day="day",
        views="views",
        from_peak=from_peak,
        weekly=weekly,
        level=level,
    )
    needed = LEAST_WEEKLY if weekly else LEAST
    if len(table) == 0 or np.isnan(table.half_life[0]):
        days = int(table.days[0]) if len(table) else 0
        raise TooLittleError(
            say(
                zh="半衰期要求从峰值日起有 {least} 天数据且有浏览，现有 {has} 天",
                en="a half-life needs {least} days and views from the peak on, has {has} days",
                least=needed,
                has=days,
            )
        )
    return HalfLife(**{f.name: float(table[f.name].iloc[0]) for f in fields(HalfLife)})


def half_lives(
    frame: pd.DataFrame,
    *,
    item: str,
    day: str,
    views: str,
    from_peak: bool = True,
    weekly: bool = False,
    level: float = 0.95,
) -> pd.DataFrame:
    """`half_life` of many items at once.

    One row per item, in order of appearance; blanks where an item's days do not carry one.

    Columns
    -------
    (item)              : object
    half_life, low, high: float  days
    slope, se           : float  of log views per day
    peak, peak_day      : float
    dispersion          : float
    days                : int    days from the peak on
    kind                : str    news, evergreen or unclear, at 7 days; empty where blank

    Definition, Error, Source: see `half_life`.

    Raises
    ------
    ValueError  if an item's days repeat, or a count is negative or missing.
    """
    code, names = pd.factorize(frame[item])
    t, y = frame[day].to_numpy(dtype=float), frame[views].to_numpy(dtype=float)
    if pd.MultiIndex.from_arrays([code, t]).has_duplicates or not ((y >= 0) & np.isfinite(t)).all():
        raise ValueError("half_life: each day once for each item, with a count that is not negative or missing")
    first = _peak_days(code, t, y, len(names)) if from_peak else np.zeros(len(names))
    kept = t >= first[code]
    code, t, y = code[kept], (t - first[code])[kept], y[kept]
    days, total = np.bincount(code, minlength=len(names)), np.bincount(code, y, len(names))
    enough = (days >= (LEAST_WEEKLY if weekly else LEAST)) & (total > 0)
    fit = (_with_weekdays if weekly else _exponential)(code, t, y, len(names))
    spare = np.maximum(days - (8 if weekly else 2), 1)
    dispersion = np.maximum(fit["pearson"] / spare, 1)
    se = np.sqrt(fit["variance"] * dispersion)
    half = special.stdtrit(spare, (1 + level) / 2) * se
    slope = np.where(enough, fit["slope"], np.nan)
    table = pd.DataFrame(
        {item: names, "half_life": _days(slope), "low": _days(slope - half), "high": _days(slope + half)}
    )
    table = table.assign(slope=slope, se=se, peak=np.exp(fit["start"]), peak_day=first, dispersion=dispersion)
    table.loc[~enough, ["se", "peak", "dispersion"]] = np.nan
    kind = [_kind(low, high) for low, high in zip(table.low, table.high, strict=True)]
    return table.assign(days=days, kind=kind)


def _peak_days(code: np.ndarray, t: np.ndarray, y: np.ndarray, items: int) -> np.ndarray:
    """The first day with most views."""
    order = np.lexsort((t, -y, code))
    first = order[np.unique(code[order], return_index=True)[1]]
    days = np.zeros(items)
    days[code[first]] = t[first]
    return days


def _days(slope: np.ndarray) -> np.ndarray:
    """Infinite where nothing fades, blank where the slope is."""
    with np.errstate(divide="ignore"):
        return np.where(np.isnan(slope), np.nan, np.where(slope < 0, -np.log(2) / slope, np.inf))


def _kind(low: float, high: float, days: float = 7.0) -> str:
    if np.isnan(low):
        return ""
    return "news" if high < days else "evergreen" if low > days else "unclear"


def _exponential(code: np.ndarray, t: np.ndarray, y: np.ndarray, items: int) -> dict[str, np.ndarray]:
    """Poisson regression on the day, of all items at once: Newton's method for the slope, the level in closed form."""

    def sums(values: np.ndarray) -> np.ndarray:
        return np.bincount(code, values, items)

    total, moment = np.maximum(sums(y), 1e-300), sums(y * t)
    slope, lower, upper = np.zeros(items), np.full(items, -50.0), np.full(items, 50.0)
    for _ in range(200):
        weight = np.exp(np.clip(slope[code] * t, -700, 700))
        mass, first, second = sums(weight), sums(weight * t), sums(weight * t**2)
        with np.errstate(all="ignore"):
            centre = first / mass
            score = moment - total * centre
            step = score / (total * (second / mass - centre**2))
        lower, upper = np.where(score > 0, slope, lower), np.where(score < 0, slope, upper)
        new = slope + np.clip(np.nan_to_num(step), -1, 1)
        new = np.where((new > lower) & (new < upper), new, (lower + upper) / 2)
        moved, slope = np.abs(np.where(score == 0, 0, new - slope)), np.where(score == 0, slope, new)
        if moved.max(initial=0) < 1e-12:
            break
    shape = np.exp(np.clip(slope[code] * t, -700, 700))
    level = total / np.maximum(sums(shape), 1e-300)
    mean = level[code] * shape
    centre = sums(mean * t) / total
    with np.errstate(all="ignore"):
        variance = 1 / sums(mean * (t - centre[code]) ** 2)
    pearson = sums((y - mean) ** 2 / np.maximum(mean, 1e-12))
    return {"slope": slope, "start": np.log(level), "variance": variance, "pearson": pearson}


def _with_weekdays(code: np.ndarray, t: np.ndarray, y: np.ndarray, items: int) -> dict[str, np.ndarray]:
    """The same with an effect of each day modulo 7, item by item."""
    import warnings

    import statsmodels.api as sm

    found = {name: np.full(items, np.nan) for name in ("slope", "start", "variance", "pearson")}
    for i in range(items):
        own = code == i
        if own.sum() < LEAST_WEEKLY or y[own].sum() == 0:
            continue
        weekday = [(t[own] % 7 == d).astype(float) for d in range(1, 7)]
        x = np.column_stack([np.ones(own.sum()), t[own], *[w - w.mean() for w in weekday]])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an exact fit is no problem here
            fit = sm.GLM(y[own], x, family=sm.families.Poisson()).fit(maxiter=200, tol=1e-12)
        found["slope"][i], found["start"][i] = fit.params[1], fit.params[0]
        found["variance"][i], found["pearson"][i] = fit.bse[1] ** 2, fit.pearson_chi2
    return found
