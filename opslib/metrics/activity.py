"""How many users are active, and how often. Runs on `events` or on `daily`: both have user_id, day and event."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib.metrics._filters import Step
from opslib.metrics._periods import (
    GRAINS,
    WEEK_SHIFT,
    Day,
    Period,
    bounds,
    first_day,
    index,
    last_complete,
    observed_until,
    one_of,
    span,
    whole,
)
from opslib.metrics._visits import comings, user_starts, visits

Window = int | str
Days = tuple[dt.date, dt.date]


def active_users(
    events: ir.Table,
    *,
    event: Step = None,
    windows: Sequence[Window] = (1, 7, 30),
    period: Period | None = None,
    until: Day | None = None,
    week_start: str = "monday",
) -> ir.Table:
    """Distinct users active in each window: DAU, WAU, MAU, any other number of days, or calendar periods.

    One row per (window, last day). A window of n days ends on every local day, also on days without events; a window
    "week" or "month" is the calendar's own. Windows that have not ended are absent, never small.

    Columns
    -------
    window    : string  as asked: "1", "7", "30", "week", "month"
    start     : date    first local day of the window
    end       : date    last local day of the window
    days      : int     days in the window
    users     : int     distinct users with at least one event in the window
    user_days : int     sum of the daily active users over the window, days

    Definition: the trailing window of n days holds the day itself and the n − 1 days before it; an event n days ago is
    out. Events before `period` count in its first windows. Stickiness (DAU / MAU) is user_days / (days × users): the
    average DAU over the window, quiet days included, over the distinct users of the same window.
    Error: none, a census of what was tracked; neighbouring trailing windows share users.
    Source: terms.yml, `activity.dau`, `activity.wau`, `activity.mau`, `activity.dau_mau`.

    Raises
    ------
    ValueError  if a window is not a number of days from 1 to 366, "day", "week" or "month".
    """
    name = "active_users"
    trailing = [w for w in windows if type(w) is int]
    calendar = [str(w) for w in windows if type(w) is not int]
    if not windows or isinstance(windows, str):
        raise ValueError(f"{name}: windows must be a list such as (1, 7, 30) or ('week',), got {windows!r}")
    for days in trailing:
        whole(days, 1, 366, "windows", name)
    for grain in calendar:
        one_of(grain, GRAINS, "windows", name)
    one_of(week_start, WEEK_SHIFT, "week_start", name)

    asked = bounds(period, name)
    came = comings(visits(events, event, until=until, metric=name), longest=max([31, *trailing]))
    # Where every event counts, the last day with one is the last that was observed.
    last = observed_until(events, until, name) if event or until else None
    parts = [_trailing(came, trailing, *_reach(came, asked, last))] if trailing else []
    parts += [_calendar(came, g, week_start, *_reach(came, asked, last, g, week_start)) for g in calendar]
    found = ibis.union(*parts) if len(parts) > 1 else parts[0]
    size = ibis.ifelse(_.window == "month", 31, _.days)  # else February would stand before the longer months
    return found.order_by(size, "window", "end")


def dau_mau(
    events: ir.Table,
    *,
    event: Step = None,
    window_days: int = 30,
    period: Period | None = None,
    until: Day | None = None,
) -> ir.Table:
    """The share of a window's days on which its average user was active: the DAU / MAU ratio, as counts.

    One row per local day.

    Columns
    -------
    day       : date  last day of the window
    days      : int   days in the window
    users     : int   distinct users of the window (MAU)
    user_days : int   sum of DAU over the window, days; the ratio is user_days / (days × users)

    Definition: the average DAU over the window, quiet days included, over the window's distinct users; not the last
    day's DAU, which on a Sunday says something else than on a Monday.
    Error: users differ in their own share of days; bootstrap users, days of one user are not independent.
    Source: terms.yml, `activity.dau_mau`.

    Raises
    ------
    ValueError  if `window_days` is not between 1 and 366.
    """
    whole(window_days, 1, 366, "window_days", "dau_mau")
    found = active_users(events, event=event, windows=(window_days,), period=period, until=until)
    return found.select("days", "users", "user_days", day=_.end).relocate("day").order_by("day")


def stickiness(
    events: ir.Table,
    *,
    event: Step = None,
    grain: str = "day",
    period: Period | None = None,
    week_start: str = "monday",
) -> ir.Table:
    """Users by the number of days (weeks, months, hours) in which they were active in the reporting period.

    One row per number of active periods that some user has.

    Columns
    -------
    periods  : int  active days, weeks, months or UTC hours, at least 1
    users    : int  distinct users active in exactly that many
    at_least : int  distinct users active in that many or more

    Definition: a period counts once however many events it has; only events within `period` count, so a week or month
    that the reporting period cuts may hold few days.
    Error: none, a census of what was tracked.
    Source: terms.yml, `activity.stickiness`.

    Raises
    ------
    ValueError  if `grain` is not "day", "week", "month" or "hour", or hours are asked of `daily`.
    """
    one_of(grain, (*GRAINS, "hour"), "grain", "stickiness")
    one_of(week_start, WEEK_SHIFT, "week_start", "stickiness")
    rows = visits(events, event, until=None, metric="stickiness", timed=grain == "hour")
    if asked := bounds(period, "stickiness"):
        rows = rows.filter(rows.day.between(*map(ibis.date, asked)))
    each = user_starts(rows, grain, week_start).group_by("user_id").agg(periods=_.count())
    counts = each.group_by("periods").agg(users=_.count())
    or_more = ibis.cumulative_window(order_by=ibis.desc("periods"))
    return counts.mutate(at_least=_.users.sum().over(or_more).cast("int64")).order_by("periods")


def _reach(
    came: ir.Table, asked: Days | None, last: ir.DateScalar | None, grain: str = "day", week_start: str = "monday"
):
    """The first and last period to report: of those asked for, or of all since the first event, what has been observed."""
    newest = came.p.max().as_scalar()
    if last is None and grain == "day":
        complete = newest
    else:
        complete = last_complete(first_day(newest) if last is None else last, grain, week_start)
    if asked:
        low, high = (index(ibis.date(day), grain, week_start) for day in asked)
        return low, ibis.least(high, complete)
    first = came.p.min().as_scalar()
    return first if grain == "day" else index(first_day(first), grain, week_start), complete


def _trailing(came: ir.Table, windows: Sequence[int], low: ir.IntegerScalar, high: ir.IntegerScalar) -> ir.Table:
    """Running sums of comings and goings: linear in days × gaps, whatever the windows' lengths."""
    # Turn 0: a user-day begins, and the user, unless still in the window; 1: the user still in it does not leave it when
    # the user-day before does; 2: both leave.
    turns = ibis.array([3 * days + turn for days in windows for turn in range(3)]).unnest().name("k").as_table()
    turns = turns.select(days=turns.k // 3, turn=turns.k % 3)
    nobody = span(low, high, since=ibis.literal(0, "int64"), users=ibis.literal(0, "int64"))
    both = came.union(nobody).cross_join(turns)
    days, turn, p, since, users = both.days, both.turn, both.p, both.since, both.users
    moves = both.select(
        "days",
        p=p + ibis.cases((turn == 2, days), (turn == 1, ibis.greatest(days - since, 0)), else_=0),
        users=ibis.cases((turn == 2, -users), ((turn == 1) == (since < days), users), else_=0),
        user_days=ibis.cases((turn == 2, -users), (turn == 0, users), else_=0),
    )
    ends = moves.group_by("days", "p").agg(users=moves.users.sum(), user_days=moves.user_days.sum())
    so_far = ibis.cumulative_window(group_by="days", order_by="p")
    sums = ends.select("days", "p", users=ends.users.sum().over(so_far), user_days=ends.user_days.sum().over(so_far))
    shown = sums.filter(sums.p.between(low, high))
    return shown.select(
        window=shown.days.cast("string"),
        start=first_day(shown.p - shown.days + 1),
        end=first_day(shown.p),
        days=shown.days.cast("int64"),
        users=shown.users.cast("int64"),
        user_days=shown.user_days.cast("int64"),
    )


def _calendar(came: ir.Table, grain: str, week_start: str, low: ir.IntegerScalar, high: ir.IntegerScalar) -> ir.Table:
    """A user counts on the first day in the period: the one before which the last lies in an earlier period."""
    days = came.mutate(day=_.p, p=index(first_day(_.p), grain, week_start))
    counts = (
        days.mutate(first=index(first_day(_.p, grain, week_start)))
        .group_by("p")
        .agg(users=ibis.ifelse(_.day - _.since < _.first, _.users, 0).sum(), user_days=_.users.sum())
    )
    ends = span(low, high).mutate(start=first_day(_.p, grain, week_start), next=first_day(_.p + 1, grain, week_start))
    return ends.left_join(counts, "p").select(
        window=ibis.literal(grain),
        start=_.start,
        end=first_day(index(_.next) - 1),
        days=(index(_.next) - index(_.start)).cast("int64"),
        users=_.users.fill_null(0).cast("int64"),
        user_days=_.user_days.fill_null(0).cast("int64"),
    )
