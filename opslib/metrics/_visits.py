"""Who was active when: the distinct (user, period) pairs that activity, stickiness and lifecycle are made of."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._filters import Step, step_holds
from opslib.metrics._periods import Day, as_day, index

FAR = 1_000_000  # periods; later than any next visit


def visits(events: ir.Table, event: Step, *, until: Day | None, metric: str, keyed: bool = True) -> ir.Table:
    """The rows that count, up to `until`, with the warehouse's integer users unless they will be shown."""
    check_step(event, "event", metric)
    rows = events.filter(step_holds(events, event))
    if until is not None:
        rows = rows.filter(rows.day <= ibis.date(as_day(until, "until", metric)))
    return contract.keyed(rows) if keyed else rows


def check_step(step: Step, name: str, metric: str) -> None:
    if not (step is None or isinstance(step, str | dict)) or step == "":
        raise ValueError(f"{metric}: {name} must be an event's name, {{'event': …, 'where': …}} or None, got {step!r}")


def user_periods(rows: ir.Table, grain: str = "day", week_start: str = "monday") -> ir.Table:
    """One row per (user_id, p): the user was active in period number p."""
    # Distinct over dates first would be a second pass; over numbers it is one.
    return rows.select("user_id", p=index(rows.day, grain, week_start)).distinct()


def gaps(user_days: ir.Table, longest: int, *, since: int | None = None) -> ir.Table:
    """One row per (p, gap): how many user-days p are followed by the user's next one after `gap` days.

    `longest` stands for that long and longer. Every distinct count over a window follows from this small table: a
    user-day counts until its window ends or the user's next active day, whichever comes first. With `since`, also by
    the days since the user's last one (`since` for that long and longer, FAR for a first).
    """
    in_order = ibis.window(group_by="user_id", order_by="p")
    if since is None:
        pairs = user_days.mutate(gap=ibis.least(_.p.lead(1, FAR).over(in_order) - _.p, longest))
        return pairs.group_by("p", "gap").agg(users=_.count())
    pairs = user_days.mutate(next=_.p.lead(1, FAR).over(in_order), last=_.p.lag(1, -FAR).over(in_order))
    pairs = pairs.mutate(
        gap=ibis.least(_.next - _.p, longest),
        since=ibis.ifelse(_.last == -FAR, FAR, ibis.least(_.p - _.last, since)),
    )
    return pairs.group_by("p", "gap", "since").agg(users=_.count())
