"""Headline numbers of a period against earlier ones, with the interval of each change and whether it is out of the usual.

Every KPI comes down to a value and a standard error per period. How much a KPI moves for no reason is measured on its own
history: successive changes, squared and divided by what counting noise alone would give (the dispersion, from its median). Without that,
a week of 20,000 users would make every change of one per cent look like news.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from opslib.errors import TooLittleError
from opslib.periods import Reporting
from opslib.text import say

HISTORY = 12  # earlier periods that the dispersion is measured on
LEAST = 4  # of them needed
_CHI2_MEDIAN = 0.454936  # median of a squared standard normal


@dataclass(frozen=True)
class Kpi:
    """A series of periods: its term, and the columns of `frame` that give value and noise.

    Give `count`; or `hits` and `of`; or `n`, `mean` and `var` (their total, unless `per_head`).
    """

    metric: str
    frame: pd.DataFrame
    count: str = ""
    hits: str = ""
    of: str = ""
    n: str = ""
    mean: str = "mean"
    var: str = "var"
    per_head: bool = False
    start: str = "start"

    @property
    def kind(self) -> str:
        """How its value is written: number, percent or money."""
        return "percent" if self.hits else "money" if self.n else "number"

    def values(self) -> pd.DataFrame:
        """start → value, se, n: one row a period, oldest first."""
        frame = self.frame.sort_values(self.start)
        if self.hits:
            n = frame[self.of].to_numpy(float)
            hits = frame[self.hits].to_numpy(float)
            value = np.divide(hits, n, out=np.full(len(n), np.nan), where=n > 0)
            # Agresti and Caffo (2000): one hit and one miss more, or none of three would be 0 % for certain.
            p = (hits + 1) / (n + 2)
            se = np.where(n > 0, np.sqrt(p * (1 - p) / (n + 2)), np.nan)
        elif self.n:
            n, mean = frame[self.n].to_numpy(float), frame[self.mean].to_numpy(float)
            var = np.nan_to_num(frame[self.var].to_numpy(float))
            value = mean if self.per_head else np.where(n > 0, n * np.nan_to_num(mean), 0.0)
            se = np.sqrt(var / n) if self.per_head else np.sqrt(n * (var + np.nan_to_num(mean) ** 2))
        else:
            value = n = frame[self.count].to_numpy(float)
            se = np.sqrt(value)
        days = pd.to_datetime(frame[self.start]).dt.date
        return pd.DataFrame({"value": value, "se": se, "n": n}, index=pd.Index(days, name="start"))


def scorecard(
    kpis: Sequence[Kpi],
    at: Reporting,
    *,
    back: Sequence[int] = (1, 4),
    level: float = 0.95,
) -> pd.DataFrame:
    """Each KPI in the period `at`, against the periods `back` before it.

    Returns
    -------
    one row per (KPI, step back): metric, kind, value, n, back, grain, base, change, low, high, p, p_adjusted, notable,
    dispersion, series (the last 12 values up to `at`)

    Definition: `change` is relative for counts and money, and a difference of rates for shares; blank where the earlier
    period is not there or is 0. `notable` means that p, corrected by Holm over all KPIs of the same step, is below
    1 − level.
    Error: normal on the log scale (shares: on their own), widened by the dispersion of the KPI's own successive changes
    over up to 12 earlier periods; at least counting noise. Periods share users, which makes it wider than need be.
    Source: McCullagh & Nelder 1989, Generalized Linear Models, ch. 4.5 and 6.2 (quasi-likelihood dispersion).

    Raises
    ------
    TooLittleError  if no KPI has the period.
    """
    held = [(kpi, kpi.values()) for kpi in kpis]
    rows = [_row(kpi, values, at, step, level) for kpi, values in held for step in back if at.start in values.index]
    if not rows:
        raise TooLittleError(
            say(zh="{day} 起的这一期没有数据", en="no data for the period from {day}", day=str(at.start))
        )
    card = pd.DataFrame(rows)
    card["p_adjusted"] = card.groupby("back")["p"].transform(_holm)
    card["notable"] = card["p_adjusted"] < 1 - level
    return card


def whole(frame: pd.DataFrame, since: dt.date) -> pd.DataFrame:
    """The rows of periods that began (`start`) on the first day observed or after it: the others are seen in part."""
    return frame[pd.to_datetime(frame["start"]) >= pd.Timestamp(since)]


def _row(kpi: Kpi, values: pd.DataFrame, at: Reporting, step: int, level: float) -> dict[str, Any]:
    # By date, never by place: a period that is absent must not lend its place to the one before it.
    series = values.reindex([at.back(n).start for n in range(HISTORY + 1, -1, -1)])
    now, then = series.iloc[-1], values.reindex([at.back(step).start]).iloc[0]
    dispersion = _dispersion(series.iloc[:-1], kpi.kind)
    found = dict.fromkeys(("base", "change", "low", "high", "p"), np.nan)
    if then.notna().all():
        found |= _change(now, then, kpi.kind, dispersion, level)
    return {
        "metric": kpi.metric,
        "kind": kpi.kind,
        "value": now["value"],
        "n": now["n"],
        "back": step,
        "grain": at.grain,
        **found,
        "dispersion": dispersion,
        "series": _since_first(series["value"].iloc[-HISTORY:]),
    }


def _since_first(values: pd.Series) -> list[float]:
    return values.loc[values.first_valid_index() :].tolist()


def _step(now: pd.Series, then: pd.Series, kind: str) -> tuple[float, float]:
    """The change on the scale it is normal on, and its counting-noise standard error."""
    if kind == "percent":
        return now["value"] - then["value"], float(np.hypot(now["se"], then["se"]))
    if not (now["value"] > 0 and then["value"] > 0):
        return np.nan, np.nan
    noise = np.hypot(now["se"] / now["value"], then["se"] / then["value"])
    return float(np.log(now["value"] / then["value"])), float(noise)


def _dispersion(before: pd.DataFrame, kind: str) -> float:
    """How many times counting noise the KPI's own successive changes vary; 1 where history is too short to tell.

    From the median, whose expectation under plain noise is that of a squared normal: an earlier shock must not hide the next.
    """
    steps = [_step(before.iloc[i], before.iloc[i - 1], kind) for i in range(1, len(before))]
    z2 = np.array([(move / noise) ** 2 for move, noise in steps if noise > 0])
    return max(1.0, float(np.median(z2)) / _CHI2_MEDIAN) if len(z2) >= LEAST else 1.0


def _change(now: pd.Series, then: pd.Series, kind: str, dispersion: float, level: float) -> dict[str, float]:
    move, noise = _step(now, then, kind)
    wide = special.ndtri(0.5 + level / 2) * noise * np.sqrt(dispersion)
    ends = np.array([move, move - wide, move + wide])
    change, low, high = ends if kind == "percent" else np.expm1(ends)
    z = abs(move) / (noise * np.sqrt(dispersion)) if noise > 0 else np.nan
    return {"base": then["value"], "change": change, "low": low, "high": high, "p": 2 * special.ndtr(-z)}


def _holm(p: pd.Series) -> pd.Series:
    order = p.sort_values()
    m = order.notna().sum()
    steps = order.to_numpy() * (m - np.arange(len(order)))
    return pd.Series(np.minimum(1, np.fmax.accumulate(steps)), index=order.index).reindex(p.index).where(p.notna())


def by_period(frame: pd.DataFrame, *, day: str, sums: Sequence[str], grain: str = "week") -> pd.DataFrame:
    """Daily counts summed to weeks (from Monday), months or quarters, on weekdays that the last period has seen.

    Definition: where the last week lacks days (its Sunday's cohort has no day 1 yet), the same weekdays are left out of
    every week, so that weeks are compared on equal days. Months are summed as they are.
    """
    days = pd.to_datetime(frame[day])
    start = days.dt.to_period({"week": "W-SUN", "month": "M", "quarter": "Q"}[grain]).dt.start_time
    if grain == "week" and len(frame):
        seen = set(days[start == start.max()].dt.weekday)
        frame, start = frame[days.dt.weekday.isin(seen)], start[days.dt.weekday.isin(seen)]
    return frame.groupby(start.dt.date.rename("start"))[list(sums)].sum().reset_index()
