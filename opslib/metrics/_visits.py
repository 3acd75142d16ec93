"""Who was active when: the distinct (user, period) pairs that activity, stickiness and lifecycle are made of."""

from __future__ import annotations

import itertools

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._filters import Step, step_holds, user
from opslib.metrics._periods import Day, as_day, floor, hour_index, index, stored_column, whole_periods

FAR = 1_000_000  # periods; later than any next visit


def visits(
    events: ir.Table, event: Step, *, until: Day | None, metric: str, shown: bool = False, timed: bool = False
) -> ir.Table:
    """Who came when: user_id, the warehouse's integer where it has one, and day, for the rows that count up to `until`.

    With `shown` the id itself, as people know it, is there as `shown_id`; with `timed` the moment, which `daily` lacks.
    Any event of `daily` is told by its marked rows alone: these have `contract.MARKS` too and are one per user and day.
    """
    check_step(event, "event", metric)
    once = contract.marked(events) if event is None else None
    rows = events if once is None else once
    if event is not None:
        rows = rows.filter(step_holds(rows, event))
    if until is not None:
        rows = rows.filter(rows.day <= ibis.date(as_day(until, "until", metric)))
    marks = () if once is None else contract.MARKS
    if timed and "ts" not in rows.columns:
        raise ValueError(f"{metric}: hours need the table `events`; `daily` has no times of events")
    own = {"shown_id": rows.user_id} if shown else {}
    return rows.select("day", *marks, *["ts"] * timed, user_id=user(rows), **own)


def marked(rows: ir.Table) -> bool:
    """Whether rows of `visits` are one per user and day and tell when the user came before."""
    return set(contract.MARKS).issubset(rows.columns)


def check_step(step: Step, name: str, metric: str) -> None:
    if not (step is None or isinstance(step, str | dict)) or step == "":
        raise ValueError(f"{metric}: {name} must be an event's name, {{'event': …, 'where': …}} or None, got {step!r}")


def user_starts(rows: ir.Table, grain: str = "day", week_start: str = "monday") -> ir.Table:
    """One row per (user_id, start): the user was active in the period that begins on that day.

    For UTC hours the rows must be `timed`, and the start is the hour's number.
    """
    if grain == "day" and marked(rows):
        return rows.select("user_id", start="day")
    if grain == "hour":  # one may lie in two local days
        return rows.select("user_id", start=hour_index(rows.ts)).distinct()
    pieces = _pieces(rows, grain, week_start)
    found = [piece.select("user_id", start=floor(piece.day, grain, week_start)).distinct() for piece in pieces]
    return ibis.union(*found) if found[1:] else found[0]


def _pieces(rows: ir.Table, grain: str, week_start: str) -> list[ir.Table]:
    """The rows of a large stored table cut at the days of `warehouse.cuts`, moved so that no period is cut."""
    stored = _stored(rows)
    days = getattr(stored.source, "cuts", {}).get(stored.name) if stored else None
    if not stored or not days:
        return [rows]
    table = stored.to_expr()
    cuts = [ibis.date(day) for day in sorted({whole_periods((day, day), grain, week_start)[0] for day in days})]
    between = [(table.day >= a) & (table.day < b) for a, b in itertools.pairwise(cuts)]
    inside = [table.day < cuts[0], *between, table.day >= cuts[-1]]
    # Each from the table itself: if they shared more, the engine would write that down before it reads the pieces.
    return [rows.op().replace({stored: table.filter(piece).op()}).to_expr() for piece in inside]


def _stored(rows: ir.Table) -> ops.DatabaseTable | None:
    """The stored table of which these are rows, with its own `day`; None where a row is there because of other rows."""
    if rows.op().find((ops.Analytic, ops.Reduction, ops.Subquery)):
        return None
    day = stored_column(rows.day.op(), ops.Filter, ops.Project)
    return day.rel if day and day.name == "day" else None


def user_periods(rows: ir.Table) -> ir.Table:
    """One row per (user_id, p): the user was active on day number p."""
    days = user_starts(rows)
    return days.select("user_id", p=index(days.start))


def comings(rows: ir.Table, longest: int = FAR, grain: str = "day", week_start: str = "monday") -> ir.Table:
    """One row per (p, since): how many users active in period p were so `since` periods earlier, and not in between.

    `longest` stands for that long and longer, and for never before. Every distinct count over a window follows from this
    small table: a user counts anew when the window, so long, has lost sight of the period before.
    """
    if marked(rows):
        pairs = rows.select(start="day", before="previous_day")
    else:
        starts = user_starts(rows, grain, week_start)
        before = starts.start.lag(1).over(ibis.window(group_by="user_id", order_by="start"))
        pairs = starts.select("start", before=before)
    counts = pairs.group_by("start", "before").agg(users=_.count())
    # Numbers and not days from here on: so few rows cost nothing.
    p, q = (index(counts[name], grain, week_start) for name in ("start", "before"))
    since = p - q.fill_null(-FAR)
    if marked(rows) and grain != "day":
        counts = counts.filter(since > 0)
    return counts.group_by(p=p, since=ibis.least(since, longest)).agg(users=counts.users.sum().cast("int64"))


def gaps(user_days: ir.Table, longest: int) -> ir.Table:
    """One row per (p, gap, since): user-days p, the days to the user's next one and those since the last one.

    `longest` stands for that long and longer; a first has been since FAR.
    """
    in_order = ibis.window(group_by="user_id", order_by="p")
    pairs = user_days.mutate(next=_.p.lead(1, FAR).over(in_order), last=_.p.lag(1, -FAR).over(in_order))
    pairs = pairs.mutate(
        gap=ibis.least(_.next - _.p, longest),
        since=ibis.ifelse(_.last == -FAR, FAR, ibis.least(_.p - _.last, longest)),
    )
    return pairs.group_by("p", "gap", "since").agg(users=_.count())
