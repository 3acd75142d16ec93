"""Retention in plain Python: loops and sets, no SQL, no windows. The definition of `retention`, read aloud."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from oracles_activity import first_of, following

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(1)
WINDOW = {"rolling_24h": 1, "rolling_24h_hour_floored": 1, "rolling_7d": 7, "rolling_30d": 30}


@dataclass(frozen=True)
class Event:
    """One tracked action: `ts` is UTC, `day` the local day, `value` what the breakdown reads."""

    user: str
    name: str
    ts: dt.datetime
    day: dt.date
    value: str


@dataclass(frozen=True)
class Ask:
    """The arguments of `retention`; a step is an event's name and, if not None, the value it must have."""

    start: tuple[str | None, str | None] = (None, None)
    back: tuple[str | None, str | None] = (None, None)
    mode: str = "first_ever"
    grain: str = "day"
    brackets: list[int] = field(default_factory=lambda: [1] * 14)
    on_or_after: bool = False
    clock: str = "calendar"
    min_returns: int = 1
    breakdown: bool = False
    carry: bool = True
    limit: int = 25
    period: tuple[dt.date, dt.date] | None = None
    week_start: str = "monday"


def means(event: Event, step: tuple[str | None, str | None]) -> bool:
    return step[0] in (None, event.name) and step[1] in (None, event.value)


def cohort_of(event: Event, ask: Ask) -> dt.date | dt.datetime:
    """The first local day, or the UTC hour, of the period that the event lies in."""
    if ask.grain == "hour":
        return event.ts.replace(minute=0, second=0, microsecond=0)
    return first_of(event.day, ask.grain, ask.week_start)


def next_period(cohort, ask: Ask):
    return cohort + HOUR if ask.grain == "hour" else following(cohort, ask.grain, ask.week_start)


def reported(event: Event, ask: Ask) -> bool:
    """The event's period touches the reporting period."""
    if ask.period is None:
        return True
    if ask.grain == "hour":
        return ask.period[0] <= event.day <= ask.period[1]
    begins = first_of(event.day, ask.grain, ask.week_start)
    return begins <= ask.period[1] and following(begins, ask.grain, ask.week_start) > ask.period[0]


def starts(events: list[Event], ask: Ask) -> list[tuple[str, str, Event]]:
    """(user, segment, starting event), one for each cohort that a user opens. `events` are in listing order."""
    found = {}
    for event in sorted(events, key=lambda e: e.ts):  # stable: listing order decides within an instant
        per_value = ask.breakdown and (ask.carry or ask.mode == "recurring") and ask.mode != "first_ever"
        if ask.mode == "recurring" and ask.clock != "calendar":
            per_value = ask.breakdown and ask.carry
        who = (event.user, event.value if per_value else "")
        if ask.mode == "first_ever":
            if ask.start[0] in (None, event.name) and who not in found:
                found[who] = event
        elif means(event, ask.start) and (ask.mode != "recurring" or reported(event, ask)):
            if ask.mode == "recurring" and ask.clock == "calendar":
                who = (*who, cohort_of(event, ask))
            found.setdefault(who, event)
    opened = [event for event in found.values() if means(event, ask.start) and reported(event, ask)]
    return [(event.user, event.value if ask.breakdown else "", event) for event in opened]


def periods_between(start: Event, back: Event, ask: Ask) -> int:
    """How many periods after its start the user is back; below 1 is no return."""
    if ask.clock == "calendar":
        n, cohort, target = 0, cohort_of(start, ask), cohort_of(back, ask)
        while cohort < target:
            n, cohort = n + 1, next_period(cohort, ask)
        return n
    entry, moment = start.ts, back.ts
    if ask.clock == "rolling_24h_hour_floored":
        entry, moment = (ts.replace(minute=0, second=0, microsecond=0) for ts in (entry, moment))
    return (moment - entry) // (WINDOW[ask.clock] * DAY)


def known(cohort, n: int, ask: Ask, until: dt.date, last_ts: dt.datetime) -> bool:
    """The last moment that could count for the cell has been observed."""
    end = next_period(cohort, ask)
    if ask.clock != "calendar":  # whoever enters last on the cohort's last day still needs n + 1 whole windows
        return end + (n + 1) * WINDOW[ask.clock] * DAY <= until + DAY
    for _ in range(n):
        end = next_period(end, ask)
    return (
        end <= last_ts.replace(minute=0, second=0, microsecond=0) + HOUR if ask.grain == "hour" else end <= until + DAY
    )


def retention(events: list[Event], ask: Ask) -> dict:
    """(cohort, segment, first n of the bracket) → (users, size), for the cells that are known."""
    if not events:
        return {}
    until, last_ts = max(e.day for e in events), max(e.ts for e in events)
    opened = starts(events, ask)
    opens = Counter(segment for _, segment, _ in opened)
    largest = sorted(opens, key=lambda segment: (-opens[segment], segment))[: ask.limit]
    shown = {segment: (segment if segment in largest else "Other") for segment in opens}
    size, users = defaultdict(set), defaultdict(set)
    for user, segment, event in opened:
        size[cohort_of(event, ask), shown[segment]].add(user)
    ends, low = [(0, 0)], 1
    for length in ask.brackets:
        ends.append((low, low + length - 1))
        low += length
    for user, segment, start in opened:
        times = Counter(
            periods_between(start, e, ask)
            for e in events
            if e.user == user and means(e, ask.back) and (not ask.breakdown or not ask.carry or e.value == start.value)
        )
        back = {n for n, count in times.items() if n >= 1 and count >= ask.min_returns}
        for first, last in ends[1:]:
            if any(n >= first and (ask.on_or_after or n <= last) for n in back):
                users[cohort_of(start, ask), shown[segment], first].add(user)
    return {
        (cohort, segment, first): (
            len(users[cohort, segment, first] if first else size[cohort, segment]),
            len(size[cohort, segment]),
        )
        for cohort, segment in size
        for first, last in ends
        if known(cohort, last, ask, until, last_ts)
    }
