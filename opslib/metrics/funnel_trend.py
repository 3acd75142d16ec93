"""A funnel over time, by the period in which units entered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import ibis
import ibis.expr.types as ir

from opslib.metrics._funnel_rules import STEPS, Funnel, Rules, checked
from opslib.metrics._funnel_segments import segmented, split_of
from opslib.metrics._periods import Day, first_day, first_hour, hour_index, index, observed_until, one_of, span
from opslib.metrics.funnel import Steps

INTERVALS = ("hour", "day", "week", "month")


def funnel_trend(
    events: ir.Table,
    users: ir.Table | None = None,
    *,
    steps: Steps = STEPS,
    interval: str = "day",
    from_step: int = 1,
    to_step: int | None = None,
    breakdown: str | Sequence[str] | None = None,
    attribution: str = "first_touch",
    attribution_step: int = 1,
    limit: int = 25,
    until: Day | None = None,
    week_start: str = "monday",
    **rules: Unpack[Rules],
) -> ir.Table:
    """Units that entered a funnel in each period, and how many of them converted.

    One row per period, and per segment if there is a `breakdown`; periods without entries have a row of zeros, periods that
    have not begun have none.

    Columns
    -------
    start     : date  first local day of the period; with interval "hour" the UTC hour, a timestamp
    segment, other, values : as in `funnel_breakdown`, only with a breakdown
    entered   : int   counted units (or tries) that entered in the period and reached `from_step`
    converted : int   those that reached `to_step`; the rate is converted / entered
    closed    : bool  every window that opened in the period has ended; while false, `converted` is not final but a lower bound

    Definition: the funnel as `funnel`, which takes the same `rules`. A unit counts once in every period in which it enters,
    with the deepest of the tries that it started there, so a unit may count in several. Conversions are booked on the
    period of entry. The data are taken to be complete up to the local day `until` (default: the last day with an event);
    a period is closed when its end plus the window lies before the end of that day, and never without a window.
    Error: a binomial interval on converted / entered of the closed periods; neighbouring periods share units.
    Source: terms.yml, `funnel.conversion`.

    Raises
    ------
    ValueError  as `funnel_breakdown`; if `interval` is unknown, or from_step comes after to_step.
    UsageError  if a column does not exist.
    """
    asked = checked("funnel_trend", steps, rules)
    one_of(interval, INTERVALS, "interval", "funnel_trend")
    one_of(week_start, ("monday", "sunday"), "week_start", "funnel_trend")
    start, end = asked.step(from_step, "from_step"), asked.step(to_step, "to_step")
    if start > end:
        raise ValueError(f"funnel_trend: from_step must not come after to_step, got {start} and {end}")
    split = split_of(asked, breakdown, attribution, attribution_step, limit) if breakdown is not None else None
    by = ["segment", "other", "values"] if split else []

    def number(day: ir.DateValue, ts: ir.TimestampValue) -> ir.IntegerValue:
        return hour_index(ts) if interval == "hour" else index(day, interval, week_start)

    tried = segmented(events, users, asked, split, {"p": lambda rows: number(rows.day, rows.ts)})
    sums = {
        name: ibis.ifelse(tried[f"t{i}"].notnull(), 1, 0).sum() for name, i in (("entered", start), ("converted", end))
    }
    counts = tried.group_by("p", *by).agg(**sums)
    last_day = observed_until(events, until, "funnel_trend")
    seen = _end(events, until, interval, last_day)
    low, high = counts.p.min().as_scalar(), number(last_day, seen)
    if asked.period and interval != "hour":
        low, high = number(ibis.date(asked.period[0]), seen), ibis.least(number(ibis.date(asked.period[1]), seen), high)
    grid = span(low, high).rename(period="p")
    if split:
        grid = grid.cross_join(counts.select(**{f"{c}_": counts[c] for c in by}).distinct())
    found = grid.left_join(counts, [("period", "p"), *((f"{c}_", c) for c in by)])

    def begin(p: ir.IntegerValue) -> ir.Value:
        return first_hour(p) if interval == "hour" else first_day(p, interval, week_start)

    return found.select(
        start=begin(found.period),
        **{c: found[f"{c}_"] for c in by},
        entered=found.entered.fill_null(0),
        converted=found.converted.fill_null(0),
        closed=_closed(begin(found.period + 1).cast("timestamp"), seen, asked),
    ).order_by("start", *by)


def _end(events: ir.Table, until: Day | None, interval: str, last_day: ir.DateScalar) -> ir.TimestampScalar:
    """The moment up to which the data are complete: the end of the last local day; for hours the last event itself."""
    if interval == "hour" and until is None:
        return events.ts.max().as_scalar()
    return (last_day + ibis.interval(days=1)).cast("timestamp")


def _closed(period_end: ir.TimestampValue, seen: ir.TimestampScalar, funnel: Funnel) -> ir.BooleanValue:
    """Whether a try that started in the last moment of the period can no longer go on."""
    own = [funnel.step_windows[i - 1] for i in funnel.required[1:]]
    longest = [w for w in (funnel.window, None if None in own else sum(w for w in own if w)) if w is not None]
    if not longest:
        return ibis.literal(len(funnel.required) == 1)
    return period_end + ibis.interval(seconds=min(longest)) <= seen
