"""Can the data be trusted: rows by day, columns that went empty, events that were sent twice."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib.contract import TABLES
from opslib.metrics._periods import WEEK_SHIFT, Day, first_day, index, observed_until, one_of, span, whole

_WATCHED = tuple(c.name for c in TABLES["events"].columns if not c.required)


def volume(events: ir.Table) -> ir.Table:
    """Rows and users of every local day from the first to the last, holes included.

    One row per local day.

    Columns
    -------
    day   : date  local day
    rows  : int   events of the day; 0 on a day of the span without any
    users : int   distinct users of the day

    Definition: the span is the data's own, so a hole is a day without a single event between two that have some.
    Error: none, a census.
    Source: terms.yml, `quality.rows`.
    """
    counts = events.group_by(p=index(events.day)).agg(rows=_.count(), users=_.user_id.nunique())
    every = span(events.day.min().as_scalar().pipe(index), events.day.max().as_scalar().pipe(index))
    return (
        every.left_join(counts, "p")
        .select(day=first_day(_.p), rows=_.rows.fill_null(0).cast("int64"), users=_.users.fill_null(0).cast("int64"))
        .order_by("day")
    )


def day_ends(events: ir.Table, *, days: int = 15, until: Day | None = None) -> ir.Table:
    """The last event of each of the newest days: whether the newest is over can be read from it.

    One row per local day with an event, of the last `days` days up to `until` (default: the last day of the data).

    Columns
    -------
    day     : date       local day
    last_ts : timestamp  the latest event of that day, UTC

    Definition: by the local day of the event; days without one have no row.
    Error: none, a census.
    Source: terms.yml, `quality.rows`.

    Raises
    ------
    ValueError  if `days` is not between 1 and 366, or `until` is no day.
    """
    whole(days, 1, 366, "days", "day_ends")
    last = observed_until(events, until, "day_ends")
    rows = events.filter((events.day <= last) & (events.day + ibis.interval(days=days) > last))
    return rows.group_by("day").agg(last_ts=_.ts.max()).order_by("day")


def completeness(events: ir.Table, *, week_start: str = "monday") -> ir.Table:
    """How many events of each week carry a value, for every column that may be empty.

    One row per (column, week that has events).

    Columns
    -------
    column : string  a column of `events` that the contract allows to be null
    start  : date    first local day of the week
    rows   : int     events of the week
    filled : int     of them, with a value in the column

    Definition: an empty text was made null by the load. A column that was filled before and is not any more went empty.
    Error: none, a census.
    Source: terms.yml, `quality.filled`.

    Raises
    ------
    ValueError  if `week_start` is not "monday" or "sunday".
    """
    one_of(week_start, WEEK_SHIFT, "week_start", "completeness")
    held = [name for name in _WATCHED if name in events.columns]
    weeks = events.group_by(p=index(events.day, "week", week_start)).agg(
        rows=_.count(), **{f"n {name}": events[name].count() for name in held}
    )
    parts = [
        weeks.select(
            column=ibis.literal(name), start=first_day(_.p, "week", week_start), rows=_.rows, filled=weeks[f"n {name}"]
        )
        for name in held
    ]
    return ibis.union(*parts).order_by("column", "start")


def repeats(events: ir.Table) -> ir.Table:
    """Events that look sent twice: the same user, event and instant under different ids.

    One row per event name that has any.

    Columns
    -------
    event : string  event name
    rows  : int     events of that name
    extra : int     of them, rows beyond the first of their user, instant, content and placement
    on_minute : int  rows of that name whose time is a whole minute: a clock so coarse cannot tell a repeat from a second act

    Definition: the contract keeps one row per event_id; these have ids of their own and are kept, but counted here.
    Error: none, a census; two true events in the same microsecond are counted too.
    Source: terms.yml, `quality.repeats`.
    """
    same = events.group_by("event", "user_id", "ts", "content_id", "placement").agg(n=_.count())
    sums = same.group_by("event").agg(
        rows=_.n.sum().cast("int64"),
        extra=(_.n - 1).sum().cast("int64"),
        on_minute=ibis.ifelse(_.ts == _.ts.truncate("m"), _.n, 0).sum().cast("int64"),
    )
    return sums.filter(_.extra > 0).order_by(_.extra.desc(), _.event)
