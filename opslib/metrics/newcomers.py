"""New users, how far they came on their way in, and whether they came back: the cells in which a change is looked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._acquired import earlier
from opslib.metrics._cohorts import NO_VALUE
from opslib.metrics._filters import Step, column, few
from opslib.metrics._first_tries import first_tries, keyed, narrow, read_by
from opslib.metrics._funnel_rules import STEPS, Funnel, checked
from opslib.metrics._funnel_segments import OTHER
from opslib.metrics._periods import Day, Period, bounds, observed_until, whole

Dimensions = Sequence[str]


def newcomers(
    events: ir.Table,
    daily: ir.Table,
    users: ir.Table | None = None,
    *,
    steps: Sequence[Step | Mapping[str, Any]] = STEPS,
    dimensions: Dimensions = ("channel", "platform"),
    window_days: float = 1,
    day_n: int = 1,
    period: Period | None = None,
    compare: Period | None = None,
    limit: int = 100,
    until: Day | None = None,
) -> ir.Table:
    """New users by what they came with, how far they came, and whether they were back on day N.

    One row per (period, values of the dimensions, reached).

    Columns
    -------
    period      : string  "current" or "previous"
    d0, d1, …   : string  the value of each dimension on the user's first event; "(none)" where it is absent or empty;
                          "Other" beyond the `limit` values with most users
    reached     : int     steps of the funnel (required ones) reached in `window_days` from the entry; 0 for those who did
                          not enter on their first day
    users       : int     users whose first day ever lies in the period
    returned    : int     those active again on exactly the Nth local day after it

    Definition: a user's first day is the first in the whole history. Users whose Nth day lies after `until` (default: the
    last day of the data) are left out, their return is not known yet. Steps as `funnel` with entry="first", of entries on the
    user's first day only: so users of all days have the same time to enter.
    A dimension is a column of `events`, "props.NAME" or "users.NAME". Without `period` every new user is current.
    Error: a binomial interval on returned / users.
    Source: terms.yml, `retention.n_day`, `funnel.conversion`.

    Raises
    ------
    ValueError  if a period is none, `day_n` or `limit` is out of range, or there is no dimension.
    UsageError  if a column does not exist.
    """
    whole(limit, 1, 1000, "limit", "newcomers")
    rules = {"entry": "first", "window_days": window_days, "period": _span(period, compare)}
    asked = checked("newcomers", steps, rules)
    moments, steps_taken = _moments(events, dimensions, asked.period, "newcomers"), narrow(events, read_by(asked))
    given = keyed(moments, steps_taken, daily, _visits(daily), *([users] if users is not None else []))
    moments, steps_taken, daily, visits, *more = given
    people = _people(daily, day_n, period, compare, until, "newcomers")
    cells = _described(moments, more, people, dimensions, "newcomers")
    cells = _reached(_returned(cells, visits, day_n), people, steps_taken, asked)
    names = [f"d{i}" for i in range(len(dimensions))]
    cells = cells.group_by("period", *names, "reached").agg(users=_.count(), returned=_.returned.sum())
    for name in names:
        cells = _pooled(cells, name, limit)
    cells = cells.group_by("period", *names, "reached").agg(users=_.users.sum(), returned=_.returned.sum())
    return cells.order_by("period", *names, "reached")


def newcomer_steps(
    events: ir.Table,
    daily: ir.Table,
    *,
    steps: Sequence[Step | Mapping[str, Any]] = STEPS,
    window_days: float = 1,
    day_n: int = 1,
    period: Period | None = None,
    until: Day | None = None,
) -> ir.Table:
    """New users of each day by how far they came, and how many of them were back on day N.

    One row per (day, reached) with a new user.

    Columns
    -------
    day      : date  the users' first day ever
    reached  : int   as in `newcomers`
    users    : int   new users
    returned : int   those active again on exactly the Nth local day after it

    Definition: as `newcomers`, day by day; without `period` every day.
    Error: binomial intervals on the users of a step / those of the step before, and on returned / users.
    Source: terms.yml, `retention.n_day`, `funnel.step_rate`.

    Raises
    ------
    ValueError  as `newcomers`.
    """
    asked = checked("newcomer_steps", steps, {"entry": "first", "window_days": window_days, "period": period})
    events, daily, visits = keyed(narrow(events, read_by(asked)), daily, _visits(daily))
    people = _people(daily, day_n, period, None, until, "newcomer_steps")
    came = _reached(_returned(people, visits, day_n), people, events, asked)
    return came.group_by("day", "reached").agg(users=_.count(), returned=_.returned.sum()).order_by("day", "reached")


def newcomer_days(
    events: ir.Table,
    daily: ir.Table,
    users: ir.Table | None = None,
    *,
    dimensions: Dimensions = ("channel",),
    day_n: int = 1,
    period: Period | None = None,
    limit: int = 30,
    until: Day | None = None,
) -> ir.Table:
    """New users of each day by the value of one dimension at a time, and how many of them were back on day N.

    One row per (dimension, day, value).

    Columns
    -------
    dimension : string  as asked; each is a view of the same users
    day       : date    the users' first day ever
    value     : string  as in `newcomers`
    users     : int     new users
    returned  : int     those active again on the Nth local day after it

    Definition: as `newcomers`; days and values without a new user have no row.
    Error: a binomial interval on returned / users.
    Source: terms.yml, `retention.n_day`.

    Raises
    ------
    ValueError  as `newcomers`.
    UsageError  if the column does not exist.
    """
    whole(limit, 1, 1000, "limit", "newcomer_days")
    given = keyed(
        _moments(events, dimensions, bounds(period, "newcomer_days"), "newcomer_days"),
        daily,
        _visits(daily),
        *([users] if users is not None else []),
    )
    moments, daily, visits, *more = given
    people = _people(daily, day_n, period, None, until, "newcomer_days")
    people = _returned(_described(moments, more, people, dimensions, "newcomer_days"), visits, day_n)
    names = [f"d{i}" for i in range(len(dimensions))]
    # Counted once by all dimensions together: each dimension is a sum over these.
    cells = people.group_by("day", *names).agg(users=_.count(), returned=_.returned.sum())
    parts = []
    for name, dimension in zip(names, dimensions, strict=True):
        counts = cells.group_by("day", name).agg(users=_.users.sum(), returned=_.returned.sum())
        counts = _pooled(counts, name, limit).group_by("day", name).agg(users=_.users.sum(), returned=_.returned.sum())
        asked = {"dimension": ibis.literal(dimension), "value": counts[name]}
        parts.append(counts.select(**asked, day="day", users="users", returned="returned"))
    table = ibis.union(*parts) if parts[1:] else parts[0]
    return table.relocate("dimension", "day", "value").order_by("dimension", "day", "value")


def _span(period: Period | None, compare: Period | None) -> Period | None:
    """All days from the first to the last of both periods."""
    sides = [side for side in (bounds(period, "newcomers"), bounds(compare, "newcomers")) if side]
    return (min(s[0] for s in sides), max(s[1] for s in sides)) if period else None


def _people(
    daily: ir.Table, day_n: int, period: Period | None, compare: Period | None, until: Day | None, metric: str
) -> ir.Table:
    """One row per new user whose day N has been observed: user_id, day, period; `first_ts` where `daily` has it."""
    whole(day_n, 1, 366, "day_n", metric)
    last = observed_until(daily, until, metric)
    times = {"first_ts": _.first_ts.min()} if "first_ts" in daily.columns else {}
    first = daily.group_by("user_id").agg(day=_.day.min(), **times)
    first = first.filter(first.day <= earlier(last, day_n))
    return first.mutate(period=_period(first.day, period, compare, metric)).filter(_.period.notnull())


def _visits(daily: ir.Table) -> ir.Table:
    """The rows of `daily` that say who was there when: one a user and day where the warehouse marks these."""
    once = contract.marked(daily)
    return daily if once is None else once.rename(_came="first_day")


def _returned(people: ir.Table, visits: ir.Table, day_n: int) -> ir.Table:
    """The people with `returned`: 1 for those active on day N, else 0."""
    if "_came" in visits.columns:
        back = visits.filter(visits.day.delta(visits._came, unit="day") == day_n).select(_back="user_id")
    else:
        due = people.select(_user="user_id", _due=(_.day + ibis.interval(days=day_n)).cast("timestamp").date())
        back = visits.inner_join(due, [("user_id", "_user"), ("day", "_due")]).select(_back="user_id").distinct()
    came = people.left_join(back, [("user_id", "_back")])
    return came.mutate(returned=ibis.ifelse(_._back.notnull(), 1, 0)).drop("_back")


def _reached(people: ir.Table, first: ir.Table, events: ir.Table, asked: Funnel) -> ir.Table:
    """The people with the number of steps that they `reached`; `first` are the same people, plain."""
    depth = first_tries(events, first, asked).select(_user="user_id", reached="depth")
    return people.left_join(depth, [("user_id", "_user")]).mutate(reached=_.reached.fill_null(0)).drop("_user")


def _period(day: ir.DateValue, period: Period | None, compare: Period | None, metric: str) -> ir.StringValue:
    if period is None:
        return ibis.literal("current")
    sides = [("current", bounds(period, metric)), ("previous", bounds(compare, metric))]
    cases = [(day.between(*map(ibis.date, days)), ibis.literal(name)) for name, days in sides if days]
    return ibis.cases(*cases, else_=ibis.null("string"))


def _described(
    events: ir.Table, users: Sequence[ir.Table], people: ir.Table, dimensions: Dimensions, metric: str
) -> ir.Table:
    """The people with the values of their first event; of events at one instant the smaller `event_id` comes first."""
    own = {f"d{i}": d for i, d in enumerate(dimensions) if not d.startswith("users.")}
    if own:
        people = people.inner_join(_first_values(events, people, own), [("user_id", "_first")]).drop("_first")
    theirs = {f"d{i}": d.removeprefix("users.") for i, d in enumerate(dimensions) if d.startswith("users.")}
    if theirs:
        if not users:
            raise ValueError(f"{metric}: {dimensions} needs the table users")
        known = users[0].select(_known="user_id", **{n: _text(column(users[0], d)) for n, d in theirs.items()})
        people = people.left_join(known, [("user_id", "_known")]).drop("_known")
        people = people.mutate(**{n: _[n].fill_null(NO_VALUE) for n in theirs})
    return people


def _moments(events: ir.Table, dimensions: Dimensions, period: tuple | None, metric: str) -> ir.Table:
    """What a user's first moment is read from: it lies in the period, if there is one."""
    if isinstance(dimensions, str) or not dimensions or not all(isinstance(d, str) and d for d in dimensions):
        raise ValueError(
            f"{metric}: dimensions must be columns such as 'channel' or 'props.version', got {dimensions!r}"
        )
    own = [d for d in dimensions if not d.startswith("users.")]
    for name in own:
        column(events, name)  # an unknown one is named beside all that there are
    rows = narrow(events, own)
    return rows.filter(rows.day.between(*map(ibis.date, period))) if period else rows


def _first_values(events: ir.Table, people: ir.Table, own: Mapping[str, str]) -> ir.Table:
    """The values of each user's first event: _first (the user), d0, d1, …"""
    rows = _first_events(events, people)
    rows = rows.select(_first="user_id", event_id="event_id", **{n: _text(column(rows, d)) for n, d in own.items()})
    found = (
        rows.select("_first", *own).distinct().group_by("_first").agg(**{n: _[n].min() for n in own}, ways=_.count())
    )
    # The order of one instant is read only where its rows differ: the texts of `event_id` are the dearest to read.
    apart = few(found.filter(found.ways > 1).select(u0="_first"))
    tied = (
        rows.inner_join(apart, [("_first", "u0")]).group_by("_first").agg(**{n: _[n].argmin(_.event_id) for n in own})
    )
    return found.filter(found.ways == 1).select("_first", *own).union(tied)


def _first_events(events: ir.Table, people: ir.Table) -> ir.Table:
    """The events of each user's first instant, which `daily` knows already."""
    if "first_ts" not in people.columns:
        days = events.inner_join(people.select(_user="user_id", _day="day"), [("user_id", "_user"), ("day", "_day")])
        people = days.group_by("user_id").agg(first_ts=_.ts.min())
    at = people.select(_user="user_id", _ts="first_ts")
    return events.inner_join(at, [("user_id", "_user"), ("ts", "_ts")])


def _text(value: ir.Value) -> ir.StringValue:
    return value.cast("string").nullif("").fill_null(NO_VALUE)


def _pooled(cells: ir.Table, name: str, limit: int) -> ir.Table:
    """Values beyond the `limit` with most users (of equals the first by name) as one."""
    sizes = cells.mutate(_users=_.users.sum().over(ibis.window(group_by=name)))
    ranked = sizes.mutate(_place=ibis.dense_rank().over(ibis.window(order_by=[ibis.desc("_users"), name])))
    return ranked.mutate(**{name: ibis.ifelse(_._place < limit, _[name], OTHER)}).drop("_users", "_place")
