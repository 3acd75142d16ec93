"""Activity, lifecycle and states in plain Python: loops and sets, no SQL, no windows.

A visit is (user, local day as date). Every oracle reads its definition aloud.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable

Visits = Iterable[tuple[str, dt.date]]
DAY = dt.timedelta(1)


def first_of(day: dt.date, grain: str, week_start: str = "monday") -> dt.date:
    """The first day of the calendar period that `day` lies in."""
    while (grain == "week" and day.strftime("%A").lower() != week_start) or (grain == "month" and day.day != 1):
        day -= DAY
    return day


def following(start: dt.date, grain: str, week_start: str = "monday") -> dt.date:
    """The first day of the next calendar period."""
    day = start + DAY
    while first_of(day, grain, week_start) == start:
        day += DAY
    return day


def calendar(first: dt.date, last: dt.date, grain: str, week_start: str = "monday") -> list[tuple[dt.date, dt.date]]:
    """Every period from the one that holds `first`, as (first day, last day), that is over by `last`."""
    found, start = [], first_of(first, grain, week_start)
    while (end := following(start, grain, week_start) - DAY) <= last:
        found.append((start, end))
        start = end + DAY
    return found


def in_window(visits: Visits, start: dt.date, end: dt.date) -> tuple[int, int]:
    """Distinct users and distinct user-days from start to end, both included."""
    inside = {(user, day) for user, day in visits if start <= day <= end}
    return len({user for user, _ in inside}), len(inside)


def active_users(visits: Visits, window: int | str, first: dt.date, last: dt.date, week_start: str = "monday") -> dict:
    """(start, end) → (users, user_days), for windows that end between first and last; calendar ones begin there."""
    if isinstance(window, str):
        spans = calendar(first, last, window, week_start)
    else:
        ends = [first + i * DAY for i in range((last - first).days + 1)]
        spans = [(end - (window - 1) * DAY, end) for end in ends]
    return {span: in_window(visits, *span) for span in spans}


def stickiness(visits: Visits, grain: str, week_start: str = "monday") -> dict[int, tuple[int, int]]:
    """Number of active periods → (users with exactly that many, users with that many or more)."""
    periods = {(user, first_of(day, grain, week_start)) for user, day in visits}
    counts = Counter(Counter(user for user, _ in periods).values())
    return {n: (counts[n], sum(users for m, users in counts.items() if m >= n)) for n in counts}


def stickiness_by_hour(moments: Iterable[tuple[str, dt.datetime]]) -> dict[int, tuple[int, int]]:
    """The same by UTC hours; a visit is (user, moment)."""
    hours = {(user, moment.replace(minute=0, second=0, microsecond=0)) for user, moment in moments}
    counts = Counter(Counter(user for user, _ in hours).values())
    return {n: (counts[n], sum(users for m, users in counts.items() if m >= n)) for n in counts}


def lifecycle(visits: Visits, first: dt.date, last: dt.date, grain: str, week_start: str = "monday") -> dict:
    """Period's first day → users by what they did before."""
    active = {}
    for user, day in visits:
        active.setdefault(first_of(day, grain, week_start), set()).add(user)
    found = {}
    for start, _end in calendar(first, last, grain, week_start):
        now = active.get(start, set())
        before = active.get(first_of(start - DAY, grain, week_start), set())
        seen = {user for period, users in active.items() if period < start for user in users}
        found[start] = {
            "active": len(now),
            "new": len(now - seen),
            "retained": len(now & before),
            "resurrected": len((now & seen) - before),
            "dormant": len(before - now),
            "away": len(seen - before - now),
        }
    return found


def daily_states(visits: Visits, first: dt.date, last: dt.date, week: int, month: int) -> dict[dt.date, dict[str, int]]:
    """Day → how many users are in each of the seven states."""
    days_of: dict[str, set[dt.date]] = {}
    for user, day in visits:
        days_of.setdefault(user, set()).add(day)
    found = {}
    for i in range((last - first).days + 1):
        today = first + i * DAY
        found[today] = Counter(state for days in days_of.values() if (state := _daily_state(days, today, week, month)))
    return found


def _daily_state(days: set[dt.date], today: dt.date, week: int, month: int) -> str | None:
    earlier = [day for day in days if day < today]
    if not earlier:
        return "new" if today in days else None
    away = (today - max(earlier)).days
    if today in days:
        return "current" if away <= week else "reactivated" if away <= month else "resurrected"
    return "at_risk_wau" if away <= week else "at_risk_mau" if away <= month else "dormant"


def states(visits: Visits, as_of: dt.date, new: int, often: int, silent: int, churn: int) -> dict[str, str]:
    """User → what they are at the end of `as_of`, for users seen by then."""
    found = {}
    for user in {user for user, day in visits if day <= as_of}:
        days = {(as_of - day).days for u, day in visits if u == user and day <= as_of}  # 0 is as_of itself
        if max(days) < new:
            found[user] = "new"
        elif sum(d < silent for d in days) >= often:
            found[user] = "active"
        elif min(days) < silent:
            found[user] = "retained"
        else:
            found[user] = "silent" if min(days) < churn else "churned"
    return found
