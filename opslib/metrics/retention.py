"""Who comes back: cohorts by first (or every) start, and their returns period by period."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._cohorts import CLOCKS, SEGMENT, Question, first_visits, pooled, returns, starts
from opslib.metrics._filters import Step
from opslib.metrics._periods import (
    GRAINS,
    WEEK_SHIFT,
    Day,
    Period,
    as_day,
    bounds,
    counting,
    first_day,
    first_hour,
    hour_index,
    index,
    last_complete,
    observed_until,
    one_of,
    whole,
)
from opslib.metrics._visits import check_step

MODES = ("first_ever", "first_time", "recurring")
MOST_SEGMENTS = 1000


def retention(
    events: ir.Table,
    users: ir.Table | None = None,
    *,
    start: Step = None,
    back: Step = None,
    mode: str = "first_ever",
    grain: str = "day",
    periods: int = 14,
    brackets: Sequence[int] | None = None,
    on_or_after: bool = False,
    clock: str = "calendar",
    min_returns: int = 1,
    breakdown: str | None = None,
    carry: bool = True,
    limit: int = 25,
    period: Period | None = None,
    until: Day | None = None,
    week_start: str = "monday",
) -> ir.Table:
    """Users of each cohort who come back n periods later.

    One row per (cohort, n), and segment if there is a `breakdown`; cells that have not happened yet are absent, never
    zero. `events` may be `daily`, except for hours and rolling clocks.

    Columns
    -------
    cohort  : date    first local day of the period in which the cohort starts (`grain` "hour": its UTC hour)
    segment : string  value of `breakdown`, "(none)" where it is absent; only with a breakdown
    other   : bool    the row pools the values beyond the `limit` largest; its segment is "Other"; only with a breakdown
    values  : int     how many values the row stands for, 1 unless it is the pooled one; only with a breakdown
    n       : int     periods since the start; 0 is the cohort itself; with `brackets`, the bracket's first
    n_last  : int     the bracket's last period; only with brackets
    users   : int     distinct users of the cohort who came back; at n = 0 all of them
    size    : int     distinct users in the cohort; the rate is users / size

    Definition: exact-day ("N-day") retention on local calendar days, cohorts by first event ever: a user away on day 3
    and back on day 4 counts on day 4 only. Each choice that peers make differently is an argument:

    - `mode`: "first_ever", the first event named in `start` opens the user's one cohort, and none if that first event
      fails the filter of `start`; "first_time", the first event that passes it; "recurring", every period with one.
    - `clock`: "calendar"; or windows of 24 hours ("rolling_24h", "rolling_24h_hour_floored" with both times cut to the
      hour), 7 or 30 days ("rolling_7d", "rolling_30d") from the moment of entry, where exactly 24 hours later is n = 1
      and a user enters once, at the first start (in `period`, if recurring). `grain` then only groups the entries.
    - `on_or_after`: a return counts for its own n and for every earlier one.
    - `brackets`: lengths of consecutive ranges of periods from n = 1, such as (6, 7, 16); once per bracket counts once.
    - `min_returns`: so many return events within one period, checked per period also inside a bracket.
    - `breakdown`: a column or "props.NAME" of the start, or "users.NAME". A return must `carry` the start's value;
      with carry=False any return counts. A user may stand in several segments. Values beyond the `limit` with most starts
      (of equals the first by name) are pooled, and a user in several of them counts once.
    - `period` says which cohorts are shown, in whole periods; first starts and returns are looked up in all events.
    - `until` is the last local day observed (default: the last in the data); a cell is there once its last period ends.

    Error: a binomial interval on users / size (`stats.proportion`); the columns of one row share users, so do not test
    neighbouring cells against each other.
    Source: terms.yml, `retention.n_day`, `retention.on_or_after`, `retention.bracket`, `retention.rolling`.

    Raises
    ------
    ValueError  if an argument is none of its choices, `periods` is not between 1 and 366, `brackets` is empty or holds
                a length below 1, `limit` is below 1, or the table lacks what the clock or the breakdown needs.
    """
    _check(events, users, mode, grain, clock, breakdown, week_start)
    for name, step in (("start", start), ("back", back)):
        check_step(step, name, "retention")
    whole(periods, 1, 366, "periods", "retention")
    whole(min_returns, 1, 1000, "min_returns", "retention")
    whole(limit, 1, MOST_SEGMENTS, "limit", "retention")
    lengths = [1] * periods if brackets is None else list(brackets)
    if not lengths:
        raise ValueError("retention: brackets must hold at least one length, such as (6, 7, 16), got none")
    for length in lengths:
        whole(length, 1, 366, "brackets", "retention")
    edges = [0, *accumulate(lengths)]

    asked = bounds(period, "retention")
    q = Question(start, back, mode, grain, clock, edges[-1], min_returns, breakdown, carry, asked, until, week_start)
    counts = None if on_or_after or _bracketed(edges) else first_visits(events, q)
    if counts is None:
        sizes, hits = _asked(events, users, edges, on_or_after, limit, q)
    else:
        sizes, hits = counts.filter(counts.k == 0).select("p", size=counts.users), counts
    if counts is not None and grain == "day" and not (until or asked):
        last = (counts.p + counts.k).max().as_scalar()  # any event counts, and all do
    else:
        last = _last_complete(events, until, grain, clock, week_start)
    cells = _cells(sizes, hits, edges, on_or_after)
    cells = cells.filter(_needs(cells, q) <= last)
    return _named(cells, q, bracketed=brackets is not None)


def _check(events, users, mode, grain, clock, breakdown, week_start) -> None:
    one_of(mode, MODES, "mode", "retention")
    one_of(grain, (*GRAINS, "hour"), "grain", "retention")
    one_of(clock, CLOCKS, "clock", "retention")
    one_of(week_start, WEEK_SHIFT, "week_start", "retention")
    if clock != "calendar" and grain == "hour":
        raise ValueError(f"retention: clock must be calendar when grain is hour, got {clock!r}")
    if "ts" not in events.columns and (clock != "calendar" or grain == "hour"):
        raise ValueError(
            f"retention: clock {clock!r} by {grain} needs the table `events`; `daily` has no times of events"
        )
    if breakdown == "" or not isinstance(breakdown, str | None):
        raise ValueError(f"retention: breakdown must be a column, 'props.NAME' or 'users.NAME', got {breakdown!r}")
    if breakdown and breakdown.startswith("users.") and users is None:
        raise ValueError(f"retention: breakdown {breakdown!r} needs the table `users` as the second argument")


def _last_complete(events: ir.Table, until: Day | None, grain: str, clock: str, week_start: str) -> ir.IntegerScalar:
    """The number of the last period observed to its end; of the last day, for windows that start at any moment."""
    if grain == "hour":
        if until is None:
            return hour_index(events.ts.max().as_scalar())
        return hour_index(ibis.timestamp(f"{as_day(until, 'until', 'retention')}T23:00:00"))
    last = observed_until(events, until, "retention")
    return index(last) if clock != "calendar" else last_complete(last, grain, week_start)


def _needs(cells: ir.Table, q: Question) -> ir.IntegerValue:
    """The number of the period (of the day, on a rolling clock) that must be over before a cell is known."""
    if not q.rolling:
        return cells.p + cells.n_last
    last_entry = index(first_day(cells.p + 1, q.grain, q.week_start)) - 1
    return last_entry + (cells.n_last + 1) * CLOCKS[q.clock]


def _asked(events, users, edges: list[int], on_or_after: bool, limit: int, q: Question) -> tuple[ir.Table, ir.Table]:
    """The sizes of cohorts and their returns, whatever the question."""
    if users is not None and q.breakdown and not q.by_event:
        events, users = contract.keyed(events, users)
    else:
        events = contract.keyed(events)
    begun = starts(events, users, q)
    back = returns(events, begun, q, later=on_or_after)
    if q.breakdown:
        begun, back = pooled(begun, back, limit, later=on_or_after)
    return _counted(begun, back, edges, on_or_after, q)


def _counted(begun: ir.Table, back: ir.Table, edges: list[int], on_or_after: bool, q: Question) -> tuple:
    """Users of each cohort, and of each (cohort, bracket k) with returns."""
    by = ["p", *SEGMENT] if q.breakdown else ["p"]
    # Bracket k holds n from edges[k-1] + 1 to edges[k]; a later return is in the last one.
    bracketed = _bracketed(edges)
    bracket = ibis.least(back.n, len(edges) - 1)
    if bracketed:
        bracket = sum((ibis.ifelse(back.n > edge, 1, 0) for edge in edges[1:-1]), ibis.literal(1, "int64"))
    hits = back.select("user_id", *by, k=bracket)
    if not on_or_after and (bracketed or q.repeats):
        hits = hits.distinct()
    return begun.group_by(by).agg(size=_.count()), hits.group_by(*by, "k").agg(users=_.count())


def _bracketed(edges: list[int]) -> bool:
    return edges != list(range(len(edges)))


def _cells(sizes: ir.Table, hits: ir.Table, edges: list[int], on_or_after: bool) -> ir.Table:
    """Every (cohort, bracket) with its users and size, zeros included, whether observed or not."""
    by = [name for name in sizes.columns if name != "size"]
    ranges = counting("k", len(edges))
    every = sizes.cross_join(ranges).left_join(hits, [*by, "k"])
    n = n_last = ranges.k.cast("int64")
    if _bracketed(edges):
        firsts = [(0, 0), *((k, low + 1) for k, low in enumerate(edges[:-1], start=1))]
        n, n_last = _case(ranges.k, firsts), _case(ranges.k, enumerate(edges))
    if on_or_after:
        cells = every.select(*by, "k", "size", n=n, n_last=n_last, users=every.users.fill_null(0))
        later = ibis.cumulative_window(group_by=by, order_by=ibis.desc("k"))
        back = cells.users.sum().over(later)
        return cells.mutate(users=ibis.ifelse(cells.k == 0, cells["size"], back).cast("int64"))
    back = ibis.ifelse(ranges.k == 0, every["size"], every.users.fill_null(0)).cast("int64")
    return every.select(*by, "size", n=n, n_last=n_last, users=back)


def _case(value: ir.IntegerValue, results: Iterable[tuple[int, int]]) -> ir.IntegerValue:
    return ibis.cases(*[(value == key, result) for key, result in results]).cast("int64")


def _named(cells: ir.Table, q: Question, *, bracketed: bool) -> ir.Table:
    cohort = first_hour(cells.p) if q.grain == "hour" else first_day(cells.p, q.grain, q.week_start)
    segment = list(SEGMENT) if q.breakdown else []
    n = ["n", "n_last"] if bracketed else ["n"]
    return cells.select(cohort.name("cohort"), *segment, *n, "users", "size").order_by("cohort", *segment[:2], "n")


def return_curve(events: ir.Table, users: ir.Table | None = None, **how: Any) -> ir.Table:
    """The share of starters who are back n periods later, on the day and on or after it, over all cohorts.

    One row per n (and segment).

    Columns
    -------
    n       : int  periods since the start
    cohorts : int  cohorts old enough to be known at n
    size    : int  users in these cohorts
    users   : int  of these, back in period n itself; the pooled rate is users / size
    later   : int  of these, back in period n or any later one so far

    Definition: cohorts are pooled, large ones count more; a cohort too young for n is in neither users nor size, so the
    curve of exact days may rise, and `later` still grows while the youngest cohorts have time to come back.
    `how` is any argument of `retention` but `on_or_after`.
    Error: binomial intervals on users / size and later / size; neighbouring points share users.
    Source: terms.yml, `retention.n_day`, `retention.on_or_after`.

    Raises
    ------
    ValueError  as `retention`.
    """
    if "on_or_after" in how:
        raise ValueError("return_curve: on_or_after must be left out, the curve shows both readings")
    exact = retention(events, users, **how)
    keys = [c for c in (*SEGMENT, "n", "n_last") if c in exact.columns]
    pooled = exact.group_by(keys).agg(cohorts=_.count(), size=_.size.sum(), users=_.users.sum())
    after = retention(events, users, on_or_after=True, **how).group_by(keys).agg(later=_.users.sum())
    return pooled.join(after, keys).order_by(keys)


def average_row(matrix: ir.Table) -> ir.Table:
    """The bottom row of a retention matrix, by each of the three averages that tools print.

    One row per n (and segment) of `matrix`, a result of `retention` or any table with n, users and size.

    Columns
    -------
    n         : int    periods since the start
    cohorts   : int    cohorts with users that are known at n
    users     : int    sum of users
    size      : int    sum of sizes
    pooled    : float  users / size: every user counts the same; ours
    simple    : float  mean of the cohorts' rates: every cohort counts the same
    size_squared : float  Σ size·users / Σ size²: users and sizes are weighted by size before dividing (Mixpanel)

    Definition: over cohorts known at n only; an incomplete cell is in none of the sums. On cohorts of 500 / 1,000 and
    400 / 500 the three are 60 %, 65 % and 56 %.
    Error: a binomial interval holds for `pooled` only.
    Source: terms.yml, `retention.average`.
    """
    keys = [c for c in (*SEGMENT, "n", "n_last") if c in matrix.columns]
    known = matrix.filter(_["size"] > 0).mutate(size=_["size"].cast("float64"), users=_.users.cast("float64"))
    sums = known.group_by(keys).agg(
        cohorts=_.count(),
        users=_.users.sum(),
        size=_["size"].sum(),
        simple=(_.users / _["size"]).mean(),
        size_squared=(_["size"] * _.users).sum() / (_["size"] * _["size"]).sum(),
    )
    return sums.select(
        *keys,
        "cohorts",
        users=_.users.cast("int64"),
        size=_["size"].cast("int64"),
        pooled=_.users / _["size"],
        simple=_.simple,
        size_squared=_.size_squared,
    ).order_by(keys)
