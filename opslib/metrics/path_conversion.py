"""How often one thing is followed by another, within some time or some events."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._filters import Step, Where, column, step_holds, where_holds
from opslib.metrics._funnel_rules import seconds
from opslib.metrics._periods import Period, bounds, one_of, whole


def path_conversion(
    events: ir.Table,
    *,
    start: Step = "add_to_cart",
    end: Step = "pay",
    start_occurrence: str = "first",
    within_events: int | None = None,
    within_days: float | dt.timedelta | None = None,
    unit: str | Sequence[str] = "user_id",
    where: Where | None = None,
    period: Period | None = None,
) -> ir.Table:
    """Units that did one thing, and did another after it.

    One row.

    Columns
    -------
    with_start : int  units with the start
    converted  : int  those with the end after it; the rate is converted / with_start
    with_end   : int  units with the end at all, before or after
    units      : int  all units; the base rate is with_end / units

    Definition: after the first occurrence of the start, or the last, or any of them ("any": one start that is followed is
    enough). The end must be a later event; where start and end are the same it must be done again. `within_events`: at most
    so many events later, the next one being 1; `within_days`: at most so much later; far edges included. `unit`: whose
    events follow each other: a column, a "props.NAME" or several; rows without it are out. `where` and `period` (local
    days, both included) choose the events. Of events at one instant the smaller `event_id` comes first.
    Error: a binomial interval on converted / with_start.
    Source: terms.yml, `paths.conversion`.

    Raises
    ------
    ValueError  if an argument cannot be meant; names it, its value and what is allowed.
    UsageError  if a column does not exist.
    """
    one_of(start_occurrence, ("first", "last", "any"), "start_occurrence", "path_conversion")
    if within_events is not None:
        whole(within_events, 1, 1_000_000, "within_events", "path_conversion")
    window = seconds(within_days, "within_days", "path_conversion")
    units = (unit,) if isinstance(unit, str) else tuple(unit)
    rows = events.filter(where_holds(events, where)) if where else events
    if days := bounds(period, "path_conversion"):
        rows = rows.filter(rows.day.between(*map(ibis.date, days)))
    rows = rows.mutate(starts=step_holds(rows, start), ends=step_holds(rows, end))
    keyed = contract.keyed(rows)
    who = {f"u{i}": column(keyed, name) for i, name in enumerate(units)}
    rows = keyed.select("ts", "event_id", "starts", "ends", **who).filter(*(_[u].notnull() for u in who))
    by_unit = {"group_by": list(who), "order_by": ["ts", "event_id"]}
    rows = rows.mutate(n=ibis.row_number().over(ibis.window(**by_unit)))
    after = ibis.window(group_by=list(who), order_by="n", rows=(1, None))
    rows = rows.mutate(
        end_n=ibis.ifelse(_.ends, _.n, ibis.null()).min().over(after),
        end_ts=ibis.ifelse(_.ends, _.ts, ibis.null()).min().over(after),
    )
    followed = rows.starts & rows.end_n.notnull()
    if within_events is not None:
        followed &= rows.end_n <= rows.n + within_events
    if window is not None:
        followed &= rows.end_ts <= rows.ts + ibis.interval(seconds=window)
    rows = rows.mutate(followed=followed.fill_null(False))
    if start_occurrence != "any":
        place = ibis.ifelse(rows.starts, rows.n, ibis.null())
        whole_unit = ibis.window(group_by=list(who))
        chosen = place.min() if start_occurrence == "first" else place.max()
        rows = rows.mutate(chosen=chosen.over(whole_unit)).mutate(followed=_.followed & (_.n == _.chosen))
    flags = {name: ibis.ifelse(_[name], 1, 0).max() for name in ("starts", "followed", "ends")}
    return (
        rows.group_by(list(who))
        .agg(**flags)
        .agg(
            with_start=_.starts.sum().fill_null(0),
            converted=_.followed.sum().fill_null(0),
            with_end=_.ends.sum().fill_null(0),
            units=_.count(),
        )
    )
