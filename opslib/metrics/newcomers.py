"""New users, how far they came on their way in, and whether they came back: the cells in which a change is looked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib.metrics._cohorts import NO_VALUE
from opslib.metrics._filters import Step, column
from opslib.metrics._funnel_rules import STEPS
from opslib.metrics._funnel_segments import OTHER
from opslib.metrics._periods import Day, Period, as_day, bounds, whole
from opslib.metrics.funnel import funnel_tries

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
    reached     : int     steps of the funnel reached in `window_days` from the first entry; 0 for none
    users       : int     users whose first day ever lies in the period
    returned    : int     those active again on exactly the Nth local day after it

    Definition: a user's first day is the first in the whole history. Users whose Nth day lies after `until` (default: the
    last day of the data) are left out, their return is not known yet. Steps as `funnel` with entry="first".
    A dimension is a column of `events`, "props.NAME" or "users.NAME". Without `period` every new user is current.
    Error: a binomial interval on returned / users.
    Source: terms.yml, `retention.n_day`, `funnel.conversion`.

    Raises
    ------
    ValueError  if a period is none, `day_n` or `limit` is out of range, or there is no dimension.
    UsageError  if a column does not exist.
    """
    people = _people(events, daily, users, dimensions, day_n, period, compare, until, "newcomers")
    tried = funnel_tries(
        _around(events, people), steps=steps, entry="first", window_days=window_days, period=_span(period, compare)
    )
    depth = tried.select(_user=tried.user_id, reached=tried.reached)
    whole(limit, 1, 1000, "limit", "newcomers")
    names = [f"d{i}" for i in range(len(dimensions))]
    joined = people.left_join(depth, [("user_id", "_user")]).mutate(reached=_.reached.fill_null(0))
    cells = joined.group_by("period", *names, "reached").agg(users=_.count(), returned=_.returned.sum())
    for name in names:
        cells = _pooled(cells, name, limit)
    cells = cells.group_by("period", *names, "reached").agg(users=_.users.sum(), returned=_.returned.sum())
    return cells.order_by("period", *names, "reached")


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
    people = _people(events, daily, users, dimensions, day_n, period, None, until, "newcomer_days")
    whole(limit, 1, 1000, "limit", "newcomer_days")
    parts = []
    for i, dimension in enumerate(dimensions):
        value = f"d{i}"
        counts = people.group_by("day", value).agg(users=_.count(), returned=_.returned.sum())
        counts = (
            _pooled(counts, value, limit).group_by("day", value).agg(users=_.users.sum(), returned=_.returned.sum())
        )
        parts.append(
            counts.select("day", "users", "returned", value=value, dimension=ibis.literal(dimension)).relocate(
                "dimension", "day", "value"
            )
        )
    table = ibis.union(*parts) if parts[1:] else parts[0]
    return table.order_by("dimension", "day", "value")


def _span(period: Period | None, compare: Period | None) -> Period | None:
    """All days from the first to the last of both periods."""
    sides = [side for side in (bounds(period, "newcomers"), bounds(compare, "newcomers")) if side]
    return (min(s[0] for s in sides), max(s[1] for s in sides)) if period else None


def _people(
    events: ir.Table,
    daily: ir.Table,
    users: ir.Table | None,
    dimensions: Dimensions,
    day_n: int,
    period: Period | None,
    compare: Period | None,
    until: Day | None,
    metric: str,
) -> ir.Table:
    """One row per new user: user_id, day, period, d0, d1, …, returned (1 or 0)."""
    whole(day_n, 1, 366, "day_n", metric)
    if isinstance(dimensions, str) or not dimensions or not all(isinstance(d, str) and d for d in dimensions):
        raise ValueError(
            f"{metric}: dimensions must be columns such as 'channel' or 'props.version', got {dimensions!r}"
        )
    last = daily.day.max().as_scalar() if until is None else ibis.date(as_day(until, "until", metric))
    first = daily.group_by("user_id").agg(day=_.day.min())
    first = first.filter(first.day + ibis.interval(days=day_n) <= last)
    first = first.mutate(period=_period(first.day, period, compare, metric)).filter(_.period.notnull())
    active = daily.select("user_id", "day").distinct()
    back = active.select(_user="user_id", _back="day")
    due = first.mutate(due=(_.day + ibis.interval(days=day_n)).cast("timestamp").date())
    came = due.left_join(back, [("user_id", "_user"), ("due", "_back")])
    came = came.mutate(returned=ibis.ifelse(_._back.notnull(), 1, 0)).select("user_id", "day", "period", "returned")
    return _described(events, users, came, dimensions)


def _period(day: ir.DateValue, period: Period | None, compare: Period | None, metric: str) -> ir.StringValue:
    if period is None:
        return ibis.literal("current")
    sides = [("current", bounds(period, metric)), ("previous", bounds(compare, metric))]
    cases = [(day.between(*map(ibis.date, days)), ibis.literal(name)) for name, days in sides if days]
    return ibis.cases(*cases, else_=ibis.null("string"))


def _described(events: ir.Table, users: ir.Table | None, people: ir.Table, dimensions: Dimensions) -> ir.Table:
    """The people with the values of their first event; of events at one instant the smaller `event_id` comes first."""
    own = {f"d{i}": d for i, d in enumerate(dimensions) if not d.startswith("users.")}
    needed = people.select(_user="user_id", _day="day")
    rows = events.inner_join(needed, [("user_id", "_user"), ("day", "_day")])
    values = {name: _text(column(rows, d)) for name, d in own.items()}
    order = ibis.window(group_by="user_id", order_by=["ts", "event_id"])
    rows = rows.select("user_id", "ts", "event_id", **values).mutate(_n=ibis.row_number().over(order))
    rows = rows.filter(rows._n == 0).select(_first="user_id", **{n: n for n in own})
    people = people.inner_join(rows, [("user_id", "_first")]).drop("_first")
    theirs = {f"d{i}": d.removeprefix("users.") for i, d in enumerate(dimensions) if d.startswith("users.")}
    if theirs:
        if users is None:
            raise ValueError(f"newcomers: {dimensions} needs the table users")
        known = users.select(_known=users.user_id, **{n: _text(column(users, d)) for n, d in theirs.items()})
        people = people.left_join(known, [("user_id", "_known")]).drop("_known")
        people = people.mutate(**{n: _[n].fill_null(NO_VALUE) for n in theirs})
    return people


def _text(value: ir.Value) -> ir.StringValue:
    return value.cast("string").nullif("").fill_null(NO_VALUE)


def _around(events: ir.Table, people: ir.Table) -> ir.Table:
    return events.semi_join(people, "user_id")


def _pooled(cells: ir.Table, name: str, limit: int) -> ir.Table:
    """Values beyond the `limit` with most users (of equals the first by name) as one."""
    sizes = cells.group_by(_value=cells[name]).agg(_users=_.users.sum())
    ranked = sizes.mutate(_place=ibis.row_number().over(order_by=[ibis.desc("_users"), "_value"]))
    joined = cells.left_join(ranked.select("_value", "_place"), [(name, "_value")])
    return joined.mutate(**{name: ibis.ifelse(_._place < limit, _[name], OTHER)}).drop("_value", "_place")
