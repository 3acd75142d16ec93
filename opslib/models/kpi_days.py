"""A daily rate of new users against what was to be expected, and since when it has been different."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.models.anomaly import bands
from opslib.models.changepoint import ChangePoint, change_point
from opslib.models.holidays import holiday_name, holidays

SURE = 0.05  # p from which a change of level is told


def rate_days(matrix: pd.DataFrame, day_n: int = 1) -> pd.DataFrame:
    """One row per day of `metrics.retention`: day, users (who could return), returned, rate."""
    rows = matrix[matrix["n"] == day_n]
    table = pd.DataFrame({"day": pd.to_datetime(rows["cohort"]), "users": rows["size"], "returned": rows["users"]})
    table = table[table["users"] > 0].sort_values("day", ignore_index=True)
    return table.assign(rate=table["returned"] / table["users"])


def expected(days: pd.DataFrame, *, threshold: float = 4.0, own: dict[Any, str] | None = None) -> pd.DataFrame:
    """Each day's rate with its expected band.

    One row per calendar day: as `anomaly.bands`, with `users`, `off` (users more or fewer than expected), and the
    holiday in the language in use. `own` are a team's own special days.

    Definition: `anomaly.bands` with the binomial standard deviation of the day's users as the least noise, and China's
    calendar. Raises TooLittleError with fewer than three weeks.
    """
    series = pd.Series(days["rate"].to_numpy(float), index=pd.DatetimeIndex(days["day"])).asfreq("D")
    size = pd.Series(days["users"].to_numpy(float), index=pd.DatetimeIndex(days["day"])).reindex(series.index)
    p = float(days["returned"].sum() / days["users"].sum())
    noise = np.sqrt(p * (1 - p) / size.to_numpy())
    calendar = holidays(series.index, own).fillna("")
    table = bands(series, threshold=threshold, noise=noise, calendar=calendar)
    table["holiday"] = [holiday_name(h) if h else "" for h in table["holiday"]]
    table = table.assign(low=table["low"].clip(0, 1), high=table["high"].clip(0, 1))
    return table.assign(users=size.to_numpy(), off=table["size"].to_numpy() * size.to_numpy())


def anomalies(table: pd.DataFrame) -> pd.DataFrame:
    """The days outside their band, those first that are off by most users: day, value, expected, low, high, z, users, off, holiday."""
    rows = table[table["anomaly"]]
    rows = rows.sort_values("off", key=lambda v: -v.abs(), ignore_index=True)
    return rows[["day", "value", "expected", "low", "high", "z", "users", "off", "holiday"]]


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
