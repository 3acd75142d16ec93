"""Daily rates of new users: since when a segment has been different, and how much days vary for no reason."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import pandas as pd

from opslib.errors import TooLittleError
from opslib.models.changepoint import ChangePoint, change_point

LEAST_BEFORE, BREAKS_OFF = 7, pd.Timedelta(hours=2).to_timedelta64()
SURE = 0.05  # p from which a change of level is told


def known_until(last_day: dt.date, day_n: int, window_days: float) -> dt.date:
    """The last day whose new users have lived their day N and the whole window of the funnel."""
    return last_day - dt.timedelta(days=max(day_n, math.ceil(window_days)))


def whole_until(ends: pd.DataFrame, last_day: dt.date) -> dt.date:
    """The last day that the data holds to its end: `last_day`, or the day before it where its events break off early.

    `ends` has the day and the last moment (last_ts) of each of the newest days, as `metrics.quality.day_ends`. A day breaks off
    where its last event comes more than two hours earlier in the day than that of every one of at least seven days before.
    """
    rows = ends.assign(day=pd.to_datetime(ends["day"])).sort_values("day")
    late = (pd.to_datetime(rows["last_ts"]) - rows["day"]).to_numpy()
    if len(rows) <= LEAST_BEFORE or rows["day"].iloc[-1] != pd.Timestamp(last_day):
        return last_day
    return last_day - dt.timedelta(days=1) if late[-1] < late[:-1].min() - BREAKS_OFF else last_day


def level_change(days: pd.DataFrame, span: tuple[Any, Any], *, column: str = "rate") -> ChangePoint | None:
    """The day on which the level of a daily rate changed within the span, or None where it did not, at 5 %.

    `days` has a row per day; days without users are gaps. `span`: first and last day, both included.
    """
    inside = days[pd.to_datetime(days["day"]).between(pd.Timestamp(span[0]), pd.Timestamp(span[1]))]
    if inside.empty:
        return None
    series = pd.Series(inside[column].to_numpy(float), index=pd.DatetimeIndex(inside["day"])).asfreq("D")
    try:
        found = change_point(series)
    except TooLittleError:
        return None
    return found if found.p <= SURE else None


def since(days: pd.DataFrame, value: str, kind: str, span: tuple[Any, Any]) -> ChangePoint | None:
    """When the share (mix) or the rate of one value changed; `days` as `metrics.newcomer_days` gives them."""
    total = days.groupby("day")["users"].sum()
    rows = days[days["value"].astype(str) == str(value)].set_index("day").reindex(total.index)
    if kind == "mix":
        series = (rows["users"].fillna(0) / total).rename("rate")
    else:
        series = (rows["returned"] / rows["users"]).rename("rate")
    return level_change(series.reset_index(), span)


def dispersion(days: pd.DataFrame, span: tuple[Any, Any], *, level: int = 7) -> float:
    """How much more the shares of a dimension's values vary from week to week than independent visits would, at least 1.

    Pearson's chi-square of weeks × values over its degrees of freedom, in the span, which should be free of the change.
    """
    when = pd.to_datetime(days["day"])
    rows = days[when.between(pd.Timestamp(span[0]), pd.Timestamp(span[1]))]
    if rows.empty:
        return 1.0
    week = (pd.to_datetime(rows["day"]) - pd.Timestamp(span[0])).dt.days // level
    table = rows.assign(week=week).pivot_table(
        index="week", columns="value", values="users", aggfunc="sum", fill_value=0
    )
    counts = table.to_numpy(float)
    counts = counts[:, counts.sum(axis=0) >= 5 * len(counts)]
    if min(counts.shape) < 2:
        return 1.0
    fitted = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    chi2 = float(((counts - fitted) ** 2 / fitted).sum())
    return max(1.0, chi2 / ((counts.shape[0] - 1) * (counts.shape[1] - 1)))


def day_of(point: ChangePoint | None) -> dt.date | None:
    """The change's first day as a date."""
    return None if point is None else pd.Timestamp(point.day).date()
