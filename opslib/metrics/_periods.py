"""Calendar periods as whole numbers, so that "the next week" is + 1 on every engine; and the arguments that name them.

Days are counted from Monday 1970-01-05; weeks, months and UTC hours in step with them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

from opslib.errors import near

GRAINS = ("day", "week", "month")
WEEK_SHIFT = {"monday": 0, "sunday": 1}  # days from the week's first day to Monday
EPOCH = dt.date(1970, 1, 5)
SHORT = 100  # its square, 10,000, is the longest series of periods

Day = str | dt.date
Period = tuple[Day, Day]


def index(day: ir.DateValue, grain: str = "day", week_start: str = "monday") -> ir.IntegerValue:
    """The number of the day, week or month that a local day lies in."""
    if grain == "month":
        return day.year().cast("int64") * 12 + day.month().cast("int64") - 1
    days = day.delta(ibis.date(EPOCH), unit="day").cast("int64")
    return days if grain == "day" else (days + WEEK_SHIFT[week_start]) // 7


def floor(day: ir.DateValue, grain: str, week_start: str = "monday") -> ir.DateValue:
    """The local day on which the day's own period begins: a day is less to compare and to keep than its number."""
    if grain == "week" and WEEK_SHIFT[week_start]:
        return first_day(index(day, grain, week_start), grain, week_start)
    return day if grain == "day" else day.truncate({"week": "W", "month": "M"}[grain])


def hour_index(ts: ir.TimestampValue) -> ir.IntegerValue:
    """The number of the UTC hour; floored first, because Postgres would round."""
    return ts.truncate("h").delta(ibis.timestamp(EPOCH.isoformat()), unit="hour").cast("int64")


def first_day(p: ir.IntegerValue, grain: str = "day", week_start: str = "monday") -> ir.DateValue:
    """The local day on which the period of that number begins."""
    if grain == "month":
        return ibis.date(p // 12, p % 12 + 1, 1)
    days = p if grain == "day" else p * 7 - WEEK_SHIFT[week_start]
    # DuckDB makes a timestamp of date + interval while ibis still says date: the way through a timestamp is cast.
    return (days.as_interval("D") + ibis.date(EPOCH)).cast("timestamp").date()


def first_hour(p: ir.IntegerValue) -> ir.TimestampValue:
    return p.as_interval("h") + ibis.timestamp(EPOCH.isoformat())


def last_complete(until: ir.DateValue, grain: str = "day", week_start: str = "monday") -> ir.IntegerValue:
    """The number of the last period that ends on `until` or before."""
    if grain == "day":
        return index(until)
    return index((until + ibis.interval(days=1)).cast("timestamp").date(), grain, week_start) - 1


def numbers(n: int, name: str = "k") -> ir.Table:
    """0, 1, …, n − 1."""
    return counting(name, n).select(**{name: ibis._[name].cast("int64")})


def counting(name: str, *ends: int) -> ir.Table:
    """The numbers of `range(*ends)` in the engine's smallest type: a select less than `numbers`, where each of them is seen."""
    return ibis.range(*ends).unnest().name(name).as_table()


def span(low: ir.IntegerScalar, high: ir.IntegerScalar, **further: ir.Value) -> ir.Table:
    """Every period number `p` from low to high, both included, with `further` columns; none where either is null.

    Of two short lists: one of 10,000 numbers is spelled out and copied for as long as DuckDB plans, 10 ms a query.
    """
    hundreds, ones = (counting(name, SHORT) for name in ("hundred", "one"))
    p = (ibis._.hundred * SHORT + ibis._.one).cast("int64") + low
    return hundreds.cross_join(ones).select(p=p, **further).filter(ibis._.p <= high)


def observed_until(table: ir.Table, until: Day | None, metric: str) -> ir.DateScalar:
    """The last local day that has been observed: as told, else the last day of the data."""
    return last_day(table.day, until, metric)


def last_day(day: ir.DateColumn, until: Day | None, metric: str) -> ir.DateScalar:
    """As told, else the last day in the column: of a folder's own table it is known without a look at the rows."""
    if until is not None:
        return ibis.date(as_day(until, "until", metric))
    found = stored_column(day.op(), ops.Project)  # narrowed, or with integer users
    known = getattr(found.rel.source, "last_days", {}).get((found.rel.name, found.name)) if found else None
    return ibis.date(known) if known else day.max().as_scalar()


def stored_column(of: ops.Value, *through: type[ops.Relation]) -> ops.Field | None:
    """The column of a stored table that a value is, found down through these kinds of tables; None where it is another."""
    while isinstance(of, ops.Field) and isinstance(of.rel, through):
        of = of.rel.values[of.name]
    return of if isinstance(of, ops.Field) and isinstance(of.rel, ops.DatabaseTable) else None


def bounds(period: Period | None, metric: str) -> tuple[dt.date, dt.date] | None:
    """The reporting period's first and last local day, both included."""
    if period is None:
        return None
    if isinstance(period, str) or len(period) != 2:
        raise ValueError(f"{metric}: period must be (first day, last day), got {period!r}")
    start, end = (as_day(day, "period", metric) for day in period)
    if start > end:
        raise ValueError(f"{metric}: period must end on or after its first day, got {start} to {end}")
    return start, end


def whole_periods(days: tuple[dt.date, dt.date], grain: str, week_start: str) -> tuple[dt.date, dt.date]:
    """The same days widened to whole weeks or months."""

    def floor(day: dt.date) -> dt.date:
        if grain == "week":
            return day - dt.timedelta((day.weekday() + WEEK_SHIFT[week_start]) % 7)
        return day.replace(day=1) if grain == "month" else day

    longest = {"week": 7, "month": 31}.get(grain, 1)
    return floor(days[0]), floor(floor(days[1]) + dt.timedelta(longest)) - dt.timedelta(1)


def as_day(day: Any, name: str, metric: str) -> dt.date:
    try:
        return day if type(day) is dt.date else dt.date.fromisoformat(day)
    except (TypeError, ValueError):
        raise ValueError(f"{metric}: {name} must be local days like '2026-01-31', got {day!r}") from None


def one_of(value: Any, allowed: Iterable[str], name: str, metric: str) -> None:
    """Raises ValueError, naming the near miss, unless the value is among those allowed."""
    if value not in (allowed := tuple(allowed)):
        hint = near(str(value), allowed)
        raise ValueError(f"{metric}: {name} must be one of {', '.join(allowed)}, got {value!r}; {hint}".rstrip("; "))


def whole(value: Any, low: int, high: int, name: str, metric: str) -> None:
    """Raises ValueError unless the value is a whole number from low to high."""
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{metric}: {name} must be a whole number from {low} to {high}, got {value!r}")
