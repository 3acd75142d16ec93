"""Which days are no ordinary weekdays: China's public holidays with their working weekends, and a team's own days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from opslib.text import language

WORKDAY = "workday"  # a weekend day that is worked to make up for a holiday
CHINESE = {
    "New Year's Day": "元旦",
    "Spring Festival": "春节",
    "Tomb-sweeping Day": "清明节",
    "Labour Day": "劳动节",
    "Dragon Boat Festival": "端午节",
    "Mid-autumn Festival": "中秋节",
    "National Day": "国庆节",
    "Anti-Fascist 70th Day": "抗战胜利 70 周年纪念日",
    WORKDAY: "调休上班",
}


def holidays(days: Iterable[Any], own: Mapping[Any, str] | None = None, *, china: bool = True) -> pd.Series:
    """The holiday's name for each day: empty on an ordinary day, `workday` on a working weekend.

    One element per day, indexed by date; None where the year's calendar is not known to the installed library (a new
    one is published every autumn). `own` (day → name) comes first.

    Source: notices of the State Council of China, by the package chinesecalendar.
    """
    dates = [pd.Timestamp(d).date() for d in days]
    mine = {pd.Timestamp(day).date(): name for day, name in (own or {}).items()}
    names = [mine.get(d, _china(d) if china else "") for d in dates]
    return pd.Series(names, index=pd.DatetimeIndex(dates), dtype=object, name="holiday")


def _china(day: dt.date) -> str | None:
    import chinese_calendar

    try:
        free, name = chinese_calendar.get_holiday_detail(day)
    except NotImplementedError:
        return None
    if free:
        return name or ""
    return WORKDAY if day.weekday() >= 5 else ""


def holiday_name(name: str) -> str:
    """A holiday of China in the language in use; any other name as it is."""
    return CHINESE.get(name, name) if language() == "zh" else name
