"""Sessions: runs of a user's events that belong together, by a gap, a property, bounds or a separator."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._filters import Where, column, where_holds
from opslib.metrics._periods import Period, bounds, one_of

RULES = ("gap", "property", "bounds", "separator")
ORDER = ["ts", "event_id"]
LONG_AGO = dt.datetime(
    1970, 1, 1
)  # the default of a lag must be a constant, and a missing neighbour is no null everywhere


def sessionized(
    events: ir.Table,
    *,
    rule: str = "gap",
    gap_minutes: float = 30,
    cut_at_midnight: bool = False,
    property: str = "session_id",
    start_event: str = "app_open",
    end_event: str | None = None,
    separator: str = "app_open",
    exclude: Sequence[str] = (),
    where: Where | None = None,
) -> ir.Table:
    """The events with the number of the session that each belongs to.

    One row per event that can belong to a session; the columns of `events`, and:

    Columns
    -------
    session : int  1, 2, … in time within the user; null outside every session

    Definition: rule "gap": an event opens a session when at least `gap_minutes` have passed since the user's event before
    it (exactly 30 minutes is a new session). "property": when the value of `property` is another one than at the event
    before; events without the property are left out, an empty text is a value. "bounds": `start_event` opens one unless
    one is open, `end_event` closes it; a start inside a session and an end outside are nothing of their own. "separator":
    every `separator` opens one, several in a row the same, and is itself left out. `cut_at_midnight` also ends a session
    with its local day (not for "separator"). Events named in `exclude` are left out before all that. Of events at one
    instant the smaller `event_id` comes first.
    Error: none, a census of what was tracked.
    Source: terms.yml, `sessions.sessions`.

    Raises
    ------
    ValueError  if `rule` is unknown, `gap_minutes` is not above 0, or an event that the rule needs is missing.
    UsageError  if a column does not exist.
    """
    one_of(rule, RULES, "rule", "sessionized")
    rows = events.filter(where_holds(events, where)) if where else events
    if exclude:
        rows = rows.filter(rows.event.notin(list(exclude)))
    if rule == "gap":  # events of one instant are in one session whatever their order: it need not be looked at
        late = _.ts >= _.ts.lag(1, LONG_AGO).over(_by_user("ts")) + gap_of(gap_minutes)
        return _numbered(rows, late, cut_at_midnight, "ts")
    if rule == "property":
        rows = rows.mutate(_value=column(rows, property).cast("string")).filter(_._value.notnull())
        changed = _._value != _._value.lag(1, "").over(_by_user())
        return _numbered(rows, changed, cut_at_midnight).drop("_value")
    if rule == "bounds":
        return _bounded(rows, start_event, end_event, cut_at_midnight)
    if cut_at_midnight:
        raise ValueError("sessionized: cut_at_midnight goes with rule gap, property or bounds, got 'separator'")
    opened = ibis.ifelse(_.event == separator, 1, 0).sum().over(_by_user(rows=(None, 0)))
    rows = rows.mutate(_opened=opened.nullif(0)).filter(_.event != separator)
    # Numbered anew: separators with nothing between them are no sessions.
    number = ibis.dense_rank().over(ibis.window(group_by=["user_id", _._opened.isnull()], order_by="_opened")) + 1
    return rows.mutate(session=ibis.ifelse(_._opened.notnull(), number, ibis.null("int64"))).drop("_opened")


def session_list(events: ir.Table, *, period: Period | None = None, **rules: Any) -> ir.Table:
    """The sessions themselves.

    One row per (user_id, session); stays lazy, because there are many.

    Columns
    -------
    user_id    : string     the user
    session    : int        1, 2, … in time within the user
    start      : timestamp  UTC, the first event
    end        : timestamp  UTC, the last event; null where the rule is "bounds" and no end event came
    day        : date       local day of the start
    events     : int        events in it
    duration_s : float      seconds from start to end, to the millisecond; 0 for a single event

    Definition: as `sessionized`, which takes the same `rules`; a session belongs to the local day on which it starts, and
    `period` keeps those that start in it.
    Error: none, a census.
    Source: terms.yml, `sessions.duration`.

    Raises
    ------
    ValueError  as `sessionized`, and if the period ends before it starts.
    """
    within = bounds(period, "session_list")
    rows = sessionized(events, **rules).filter(_.session.notnull())
    ended = rows.event == rules["end_event"] if rules.get("rule") == "bounds" else ibis.literal(True)
    listed = (
        rows.mutate(_ended=ibis.ifelse(ended, 1, 0))
        .group_by("user_id", "session")
        .agg(start=_.ts.min(), last=_.ts.max(), day=_.day.min(), events=_.count(), _ended=_._ended.max())
        .mutate(end=ibis.ifelse(_._ended == 1, _["last"], ibis.null("timestamp(6)")))
        .mutate(duration_s=_.end.delta(_.start, unit="millisecond") / 1000.0)
        .select("user_id", "session", "start", "end", "day", "events", "duration_s")
    )
    return listed.filter(_.day.between(*map(ibis.date, within))) if within else listed


def sessions(events: ir.Table, *, period: Period | None = None, **rules: Any) -> ir.Table:
    """Sessions of each local day, and how long they are.

    One row per local day on which a session starts.

    Columns
    -------
    day           : date   local day of the session's start
    sessions      : int    sessions that start on the day
    users         : int    distinct users who start one
    events        : int    events in them
    closed        : int    sessions with a duration (all of them, unless the rule is "bounds")
    duration_mean : float  seconds, over the closed ones
    duration_var  : float  seconds², sample variance; null for fewer than two
    events_mean   : float  events per session
    events_var    : float  sample variance; null for fewer than two

    Definition: as `sessionized`, which takes the same `rules`; 30 minutes' gap unless asked, not cut at midnight (Mixpanel
    cuts there). A session of one event lasts 0 seconds and counts.
    Error: the mean's, from var / sessions; sessions of one user resemble each other, so a test needs users.
    Source: terms.yml, `sessions.sessions`, `sessions.duration`.

    Raises
    ------
    ValueError  as `session_list`.
    """
    listed = session_list(contract.keyed(events), period=period, **rules)
    return (
        listed.group_by("day")
        .agg(
            sessions=_.count(),
            users=_.user_id.nunique(),
            events=_.events.sum(),
            closed=_.duration_s.count(),
            duration_mean=_.duration_s.mean(),
            duration_var=_.duration_s.var(how="sample"),
            events_mean=_.events.mean(),
            events_var=_.events.var(how="sample"),
        )
        .order_by("day")
    )


def _by_user(order: str | Sequence[str] = ORDER, **frame: Any) -> Any:
    return ibis.window(group_by="user_id", order_by=order, **frame)


def gap_of(minutes: float) -> ir.IntervalScalar:
    """The gap that ends a session, in whole seconds."""
    length = round(minutes * 60)
    if isinstance(minutes, bool) or length < 1 or abs(length - minutes * 60) > 1e-6:
        raise ValueError(f"sessions: gap_minutes must be above 0 and whole seconds, got {minutes!r}")
    return ibis.interval(seconds=length)


def _numbered(
    rows: ir.Table, opens: ir.BooleanValue, cut_at_midnight: bool, order: str | Sequence[str] = ORDER
) -> ir.Table:
    """Numbers sessions that tile a user's events: the first event opens one, and so does every row where `opens` holds."""
    if cut_at_midnight:
        opens = opens | (_.day != _.day.lag(1, LONG_AGO.date()).over(_by_user(order)))
    rows = rows.mutate(_n=ibis.row_number().over(_by_user(order)), _opens=opens)
    # In the order of `_n`, which is cheaper to sort by again than a time and a text.
    number = ibis.ifelse(_._opens | (_._n == 0), 1, 0).sum().over(_by_user("_n", rows=(None, 0)))
    return rows.mutate(session=number).drop("_n", "_opens")


def _bounded(rows: ir.Table, start_event: str, end_event: str | None, cut_at_midnight: bool) -> ir.Table:
    """Numbers sessions between a start event and the first end event after it."""
    if not end_event or end_event == start_event:
        raise ValueError(f"sessionized: rule 'bounds' needs an end_event other than {start_event!r}, got {end_event!r}")
    keys = ["user_id", "day"] if cut_at_midnight else ["user_id"]
    before = ibis.window(group_by=keys, order_by="_n", rows=(None, -1))

    def last(event: str) -> ir.IntegerValue:
        return ibis.ifelse(_.event == event, _._n, -1).max().over(before).fill_null(-1)

    placed = rows.mutate(_n=ibis.row_number().over(_by_user())).mutate(_open=last(start_event) > last(end_event))
    opens = (_.event == start_event) & ~_._open
    placed = placed.mutate(_opens=ibis.ifelse(opens, 1, 0))
    number = _._opens.sum().over(_by_user("_n", rows=(None, 0)))
    inside = _._open | (_._opens == 1)
    return placed.mutate(session=ibis.ifelse(inside, number, ibis.null("int64"))).drop("_n", "_open", "_opens")
