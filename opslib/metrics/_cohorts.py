"""Who starts a cohort, and who comes back to it after how many periods: what retention counts.

A start has a user, the number `p` of the period in which it happens, and, where asked, a segment and the moment
`entry`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib.metrics._filters import Step, column, step_holds
from opslib.metrics._periods import Day, as_day, hour_index, index, whole_periods
from opslib.metrics._visits import marked, user_starts, visits

CLOCKS = {"calendar": 0, "rolling_24h": 1, "rolling_24h_hour_floored": 1, "rolling_7d": 7, "rolling_30d": 30}
NO_VALUE, OTHER = "(none)", "Other"
SEGMENT = ("segment", "other", "values")  # what a breakdown adds to a result


@dataclass(frozen=True)
class Question:
    """What the arguments of `retention` ask, in their own words."""

    start: Step
    back: Step
    mode: str
    grain: str
    clock: str
    last_n: int
    min_returns: int
    breakdown: str | None
    carry: bool
    asked: tuple[dt.date, dt.date] | None
    until: Day | None
    week_start: str

    @property
    def rolling(self) -> bool:
        return self.clock != "calendar"

    @property
    def once(self) -> bool:
        """Each user (or user and segment) starts one cohort, not one in every active period."""
        return self.rolling or self.mode != "recurring"

    @property
    def plain(self) -> bool:
        """Any event starts and any event is a return, once in a user's life and on whole local days."""
        named = self.start is not None or self.back is not None or self.breakdown or self.grain == "hour"
        return self.once and not (named or self.rolling) and self.min_returns == 1

    @property
    def repeats(self) -> bool:
        """`returns` holds a row for every event of a return, not one for each n."""
        return self.once and self.min_returns == 1

    @property
    def by_event(self) -> bool:
        """The segment is a value of the event that starts, not of the user."""
        return self.breakdown is not None and not self.breakdown.startswith("users.")

    @property
    def shared(self) -> list[str]:
        """What a return must have in common with its start."""
        return ["user_id", "segment"] if self.by_event and self.carry else ["user_id"]

    @property
    def cohort(self) -> list[str]:
        """What a row of the matrix stands for."""
        return ["p", "segment"] if self.breakdown else ["p"]

    def number(self, rows: ir.Table) -> ir.IntegerValue:
        return hour_index(rows.ts) if self.grain == "hour" else index(rows.day, self.grain, self.week_start)


def starts(events: ir.Table, users: ir.Table | None, q: Question) -> ir.Table:
    """One row per user and cohort (and segment): user_id, p[, segment][, entry]."""
    rows = _rows(events, q, segment=q.by_event)
    if q.mode == "recurring":
        matched = _reported(rows.filter(step_holds(rows, q.start)), q)
        found = _firsts(matched, q) if q.rolling else matched
    else:
        found = _reported(_firsts(rows, q), q)
    kept = found.select("user_id", p=q.number(found), **_extra(found, q))
    kept = kept if q.once else kept.distinct()
    return kept if q.breakdown is None or q.by_event else _by_user(kept, users, q.breakdown)


def first_visits(events: ir.Table, q: Question) -> ir.Table | None:
    """The plain question, counted: (p, k, users) for the users of cohort p who are active k ≥ 0 periods later.

    None for a question that is not plain, and for one about a few cohorts, whose returns are worth looking for first.
    """
    rows = visits(events, None, until=q.until, metric="retention")
    if not q.plain or (q.asked and not marked(rows)):
        return None
    if marked(rows):
        pairs = _marked_visits(rows, q)
    else:
        active = user_starts(rows, q.grain, q.week_start)
        first = active.group_by("user_id").agg(first=_.start.min())
        pairs = active.join(first, "user_id").select("first", "start")
    counts = pairs.group_by("first", "start").agg(users=_.count())
    p, back = (index(counts[name], q.grain, q.week_start) for name in ("first", "start"))
    counts = counts.select("users", p=p, k=back - p)
    if q.grain != "day" and marked(rows):
        counts = counts.group_by("p", "k").agg(users=_.users.sum())
    return counts


def _marked_visits(rows: ir.Table, q: Question) -> ir.Table:
    """(first, start) of every user's every active period, days in it, from what the rows of `daily` tell of themselves."""
    rows = _within_reach(_reported(rows, q, "first_day"), q, later=False)
    if q.grain != "day":
        day, before = (index(rows[name], q.grain, q.week_start) for name in ("day", "previous_day"))
        rows = rows.filter((before < day).fill_null(True))
    return rows.select(first="first_day", start="day")


def _rows(events: ir.Table, q: Question, *, segment: bool) -> ir.Table:
    rows = events if q.until is None else events.filter(events.day <= ibis.date(as_day(q.until, "until", "retention")))
    if not segment:
        return rows
    return rows.mutate(segment=column(rows, str(q.breakdown)).cast("string").fill_null(NO_VALUE))


def _extra(found: ir.Table, q: Question) -> dict[str, ir.Value]:
    return ({"segment": found.segment} if q.by_event else {}) | ({"entry": found.ts} if q.rolling else {})


def _reported(rows: ir.Table, q: Question, day: str = "day") -> ir.Table:
    """Only what starts in the reporting period, widened to whole weeks or months."""
    if q.asked is None:
        return rows
    low, high = whole_periods(q.asked, q.grain, q.week_start)
    return rows.filter(rows[day].between(ibis.date(low), ibis.date(high)))


def _firsts(rows: ir.Table, q: Question) -> ir.Table:
    """The first start of each user; of each user and segment, where a return must carry the segment."""
    filtered = isinstance(q.start, Mapping) and bool(q.start.get("where"))
    ever = q.mode == "first_ever" and (filtered or q.by_event)
    if ever or (q.by_event and not q.carry):
        named = {"event": q.start.get("event")} if ever and isinstance(q.start, Mapping) else q.start
        first = _earliest(rows.filter(step_holds(rows, named)))
        return first.filter(step_holds(first, q.start))
    clock = {"ts": _.ts.min()} if q.rolling or q.grain == "hour" else {}
    return rows.filter(step_holds(rows, q.start)).group_by(q.shared).agg(day=_.day.min(), **clock)


def _earliest(rows: ir.Table) -> ir.Table:
    """The first row of each user; between rows of one instant, the smaller event_id, or in `daily` the event's name."""
    order = ["ts", "event_id"] if "ts" in rows.columns else ["day", "first_ts", "event"]
    place = ibis.row_number().over(ibis.window(group_by="user_id", order_by=order))
    return rows.mutate(place=place).filter(_.place == 0)


def _by_user(kept: ir.Table, users: ir.Table | None, breakdown: str) -> ir.Table:
    assert users is not None
    value = column(users, breakdown.removeprefix("users.")).cast("string")
    segments = users.select("user_id", segment=value)
    # ibis 12 cannot join again to values that were computed in the select of a join: the select comes first.
    joined = kept.left_join(segments, "user_id").select(*kept.columns, "segment")
    return joined.mutate(segment=_.segment.fill_null(NO_VALUE))


def pooled(begun: ir.Table, back: ir.Table, limit: int, *, later: bool) -> tuple[ir.Table, ir.Table]:
    """The starts and returns with the values beyond the largest ones pooled; a user in several of them is there once."""
    sizes = begun.group_by(value="segment").agg(size=_.count())
    place = ibis.row_number().over(ibis.window(order_by=[_["size"].desc(), _.value]))
    sizes = sizes.mutate(other=place >= limit, every=_.count().over(ibis.window()))
    named = sizes.select(
        "value",
        "other",
        label=ibis.ifelse(_.other, OTHER, _.value),
        values=ibis.ifelse(_.other, _.every - limit, 1).cast("int64"),
    )

    def labelled(rows: ir.Table, *more: str) -> ir.Table:
        joined = rows.join(named, [("segment", "value")])
        return joined.select("user_id", "p", *more, segment=joined.label, other=joined.other, values=joined["values"])

    begun, back = labelled(begun).distinct(), labelled(back, "n")
    if later:
        return begun, back.group_by("user_id", "p", *SEGMENT).agg(n=_.n.max())
    return begun, back.distinct()


def returns(events: ir.Table, begun: ir.Table, q: Question, *, later: bool) -> ir.Table:
    """Starts with the number `n` ≥ 1 of periods until a return: user_id, p, n[, segment].

    One row for each n at which the user is back, or, with `later`, one for the last of all. Where the question says
    that rows repeat, whoever counts them makes them distinct: after the join there are fewer.
    """
    rows = _within_reach(_rows(events, q, segment="segment" in q.shared), q, later=later)
    back = rows.filter(step_holds(rows, q.back))
    if q.min_returns > 1:
        back = back.mutate(times=back.n if "first_ts" in back.columns else ibis.literal(1))
    return (_rolling if q.rolling else _calendar)(begun, back, q, later)


def _calendar(begun: ir.Table, rows: ir.Table, q: Question, later: bool) -> ir.Table:
    times = ["times"] if q.min_returns > 1 else []
    back = _enough(rows.select(*q.shared, *times, back=q.number(rows)), [*q.shared, "back"], q)
    if later:
        back = back.group_by(q.shared).agg(back=_.back.max())
    elif not q.repeats and q.min_returns == 1:
        back = back.distinct()
    found = begun.join(back, q.shared).mutate(n=_.back - _.p)
    found = found.filter(_.n >= 1) if later else found.filter(_.n.between(1, q.last_n))
    return found.select("user_id", *q.cohort, "n")


def _rolling(begun: ir.Table, rows: ir.Table, q: Question, later: bool) -> ir.Table:
    times = ["times"] if q.min_returns > 1 else []
    window = CLOCKS[q.clock]
    entry, ts = begun.entry, rows.ts
    if q.clock == "rolling_24h_hour_floored":
        entry, ts = entry.truncate("h"), ts.truncate("h")
    # The two edges are cheap to compare with, so only returns within reach have their windows counted.
    begun = begun.mutate(entry=entry, opens=entry + ibis.interval(days=window))
    begun = begun.mutate(closes=_.entry + ibis.interval(days=window * (q.last_n + 1)))
    found = begun.join(rows.select(*q.shared, *times, ts=ts), q.shared).filter(_.ts >= _.opens)
    found = found if later else found.filter(_.ts < _.closes)
    # Engines cut or round the seconds, so a return just before an edge may seem to lie on it; never the other way.
    n = found.ts.delta(found.entry, unit="second").cast("int64") // (window * 86_400)
    n = n - ibis.ifelse(found.ts < found.entry + (n * window).as_interval("D"), 1, 0)
    keys = ["user_id", *q.cohort]
    back = _enough(found.select(*keys, *times, n=n), [*keys, "n"], q)
    return back.group_by(keys).agg(n=_.n.max()) if later else back


def _within_reach(rows: ir.Table, q: Question, *, later: bool) -> ir.Table:
    """Only the days on which a return to a reported cohort can happen, so that months beyond it are not read."""
    if q.asked is None:
        return rows
    low, high = whole_periods(q.asked, q.grain, q.week_start)
    days = {"hour": 1, "day": 1, "week": 7, "month": 31}[q.grain] if not q.rolling else CLOCKS[q.clock]
    reach = high + dt.timedelta(days=days * (q.last_n + 2))
    rows = rows.filter(rows.day >= ibis.date(low))
    return rows if later else rows.filter(rows.day <= ibis.date(reach))


def _enough(rows: ir.Table, keys: list[str], q: Question) -> ir.Table:
    """One row per key that has at least `min_returns`; as they are where one is enough."""
    if q.min_returns == 1:
        return rows
    return rows.group_by(keys).agg(times=_.times.sum()).filter(_.times >= q.min_returns).drop("times")
