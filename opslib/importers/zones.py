"""Time zones as SQL: the offset's changes are looked up once for the span of the data, never row by row.

Engines disagree about zones, and silently; here Python's `zoneinfo` is the only authority.
"""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo

_DAY, _SECOND = dt.timedelta(days=1), dt.timedelta(seconds=1)


def local_day(sql: str, zone: ZoneInfo, first: dt.datetime, last: dt.datetime) -> str:
    """The local calendar date of a UTC timestamp that lies between `first` and `last`."""
    steps = offsets(zone, first, last)
    return f"CAST({_shifted(sql, [(at, seconds) for at, seconds in steps])} AS DATE)"


def utc(sql: str, zone: ZoneInfo, first: dt.datetime, last: dt.datetime) -> str:
    """The UTC moment of a local timestamp between `first` and `last`.

    A local time that happens twice is the first of the two; one that a clock change leaves out is taken as if the
    clock had not been changed yet (`zoneinfo` with fold=0).
    """
    steps = offsets(zone, first - _DAY, last + _DAY)
    until = [max(before, after) for (_, before), (_, after) in pairwise(steps)]
    local = [steps[0], *((at + dt.timedelta(seconds=s), o) for (at, o), s in zip(steps[1:], until, strict=True))]
    return _shifted(sql, [(at, -seconds) for at, seconds in local])


def _shifted(sql: str, steps: list[tuple[dt.datetime, int]]) -> str:
    def plus(seconds: int) -> str:
        # Arithmetic on the number of microseconds: an interval would cost three times as much.
        return f"make_timestamp(epoch_us({sql}) + {seconds * 1_000_000})"

    # The latest change first: most rows are recent.
    cases = [f"WHEN {sql} >= TIMESTAMP '{at}' THEN {plus(seconds)}" for at, seconds in reversed(steps[1:])]
    return f"CASE {' '.join(cases)} ELSE {plus(steps[0][1])} END" if cases else plus(steps[0][1])


def offsets(zone: ZoneInfo, first: dt.datetime, last: dt.datetime) -> list[tuple[dt.datetime, int]]:
    """(from this UTC moment on, seconds east of UTC) for every change of the zone's offset between two UTC moments."""
    at = first.replace(microsecond=0)
    found = [(at, _offset(zone, at))]
    while at < last:
        ahead = at + _DAY
        if _offset(zone, ahead) != found[-1][1]:
            change = _change(zone, at, ahead)
            found.append((change, _offset(zone, change)))
            ahead = change
        at = ahead
    return found


def _change(zone: ZoneInfo, low: dt.datetime, high: dt.datetime) -> dt.datetime:
    """The first whole second after `low` whose offset is another; there is one up to `high`."""
    before = _offset(zone, low)
    while high - low > _SECOND:
        middle = low + (high - low) // (2 * _SECOND) * _SECOND
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return high


def _offset(zone: ZoneInfo, utc: dt.datetime) -> int:
    shift = utc.replace(tzinfo=dt.UTC).astimezone(zone).utcoffset()
    assert shift is not None
    return int(shift.total_seconds())
