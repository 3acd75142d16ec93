"""New users by channel, and days since they came."""

from __future__ import annotations

import datetime as dt
from typing import Any

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._periods import Period, bounds, first_day, index

NO_CHANNEL = "(none)"


def named(users: ir.Table) -> ir.Table:
    return users.mutate(channel=_.channel.nullif("").fill_null(NO_CHANNEL))


def identified(*tables: ir.Table) -> Any:
    """The tables with `user_id` as the warehouse's integer where all have one, and `shown_id`, the id as people know it.

    To group by the integer and take the least of its equal texts costs less than to group by the text.
    """
    number = contract.KEYS["user_id"]
    key = number if all(number in table.columns for table in tables) else "user_id"
    found = tuple(table.mutate(user_id=table[key], shown_id=table.user_id) for table in tables)
    return found if found[1:] else found[0]


def lived(since: ir.DateValue, last: ir.DateScalar) -> ir.IntegerValue:
    """Days from a day to the last one; the column stands on the left, because a literal takes no deferred argument."""
    return since.delta(last, unit="day") * -1


def recent(rows: ir.Table, day: str, last: ir.DateScalar, days: int) -> ir.Table:
    """The rows of the `days` days up to and with `last`, with `away`, the days from the row's day to `last`.

    Bounds on the day itself, which an engine holds against the files' own statistics; on `away` it would read every file.
    """
    inside = rows.filter(rows[day].between(earlier(last, days - 1), last))
    return inside.mutate(away=lived(inside[day], last))


def earlier(last: ir.DateScalar, days: int) -> ir.DateScalar:
    """The day so many days before, counted back once: here if the day is known, else in the query that finds it, not for every row."""
    known = last.op()
    if isinstance(known, ops.Literal):
        return ibis.date(known.value - dt.timedelta(days))
    return first_day(index(last) - days)


def within(table: ir.Table, day: str, period: Period | None, metric: str) -> ir.Table:
    if (days := bounds(period, metric)) is None:
        return table
    return table.filter(table[day].between(*map(ibis.date, days)))
