"""Every try at a funnel: the portable definition.

A row that can enter the funnel starts a try, and from each row reached the try goes on to the next row that fits the next
step. Rows are numbered within the counted unit in time, `event_id` deciding between rows of one instant, so that "next"
means the same on every engine and no row is used twice.

Columns of a try: the unit (`u0`, …), `day` and `rank` (the local day and the order of its first row), and for every step i
that was reached `r<i>` and `t<i>`: the number and the time of the row; `v<i>`: its value, when one is carried along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from itertools import pairwise
from operator import and_, or_
from typing import Any

import ibis
import ibis.expr.types as ir

from opslib.metrics._filters import column, numbered, step_holds, user, where_holds
from opslib.metrics._funnel_rules import Funnel
from opslib.metrics.sessions import sessionized

FAR = 2**62  # later than any row
Value = Callable[[ir.Table], ir.Value]


def unit(funnel: Funnel) -> list[str]:
    """The columns that identify a counted unit."""
    return [f"u{i}" for i in range(len(funnel.units))]


def held(funnel: Funnel) -> list[str]:
    """The columns that must stay the same through a try."""
    return [f"h{i}" for i in range(len(funnel.hold))]


def matching(events: ir.Table, funnel: Funnel) -> ir.Table:
    """The rows that the funnel looks at."""
    rows = sessionized(events) if "session" in funnel.units else events
    if funnel.where:
        rows = rows.filter(where_holds(rows, funnel.where))
    if funnel.within_period and funnel.period:
        rows = rows.filter(rows.day.between(*map(ibis.date, funnel.period)))
    if funnel.order != "strict":  # where any other row would be an interruption
        wanted = [*funnel.steps, *(e.event for e in funnel.exclusions)]
        rows = rows.filter(reduce(or_, (step_holds(rows, step) for step in wanted)))
    return rows


def identified(rows: ir.Table, funnel: Funnel, *, ids: bool = False) -> dict[str, ir.Value]:
    """The unit of each row; users are integers where the table has them, unless `ids` are asked for.

    A warehouse of ours numbers its users from 0: beside a moment such a number fits in 16 bytes, which the engine sorts in
    two thirds of the time of 24.
    """
    who = rows.user_id if ids else user(rows)
    who = who.cast("int32") if not ids and numbered(rows) else who
    named = zip(unit(funnel), funnel.units, strict=True)
    return {name: who if c == "user_id" else column(rows, c) for name, c in named}


def may_take(rows: ir.Table, funnel: Funnel, step: int) -> ir.BooleanValue:
    """Whether a row fits a step and, where a period is asked for, lies in it: that holds for entries, or for all steps."""
    fits = step_holds(rows, funnel.steps[step - 1])
    if funnel.period and (step == 1 or funnel.within_period):
        return fits & rows.day.between(*map(ibis.date, funnel.period))
    return fits


def marked(
    events: ir.Table,
    funnel: Funnel,
    *,
    further: Mapping[str, Value] | None = None,
    ids: bool = False,
    only: ir.Table | None = None,
) -> ir.Table:
    """The rows with their unit, what they are held by, and which steps (`m<i>`) and exclusions (`x<e>`) they fit.

    `further` columns come along. Users are integers where the warehouse has them, unless `ids` are asked for; `only` those
    units, if any are given.
    """
    rows = matching(events, funnel)
    fits = {f"m{i}": step_holds(rows, step) for i, step in enumerate(funnel.steps, 1)}
    fits |= {f"x{e}": step_holds(rows, exclusion.event) for e, exclusion in enumerate(funnel.exclusions)}
    along = {name: value(rows) for name, value in (further or {}).items()}
    who = identified(rows, funnel, ids=ids)
    same = {name: column(rows, c) for name, c in zip(held(funnel), funnel.hold, strict=True)}
    rows = rows.select("ts", "event_id", "day", **fits, **along, **who, **same)
    rows = rows.filter(*(rows[c].notnull() for c in [*who, *same]))
    return rows if only is None else rows.semi_join(only, [*who])


def tries(rows: ir.Table, funnel: Funnel, keys: list[str], further: Iterable[str] = ()) -> ir.Table:
    """Every try that the marked rows hold, with `further` columns of its first row.

    `keys` are the unit's columns, and a value's where each value has tries of its own.
    """
    rows = rows.mutate(n=ibis.row_number().over(ibis.window(group_by=keys, order_by=["ts", "event_id"])))
    if funnel.entry == "latest" and len(funnel.required) > 1:
        rows = rows.mutate(m1=_last_entry(rows, funnel, keys))
    after = _after(funnel, keys, 1 if funnel.order == "strict" else None)  # the very next row, or any row after
    sought = funnel.numbers if funnel.order == "unordered" else funnel.numbers[1:]
    first_later = {f"p{i}": _first(rows, f"m{i}", "n", after) for i in sought}
    for e in range(len(funnel.exclusions)):
        first_later |= {f"q{e}": _first(rows, f"x{e}", "n", after), f"qt{e}": _first(rows, f"x{e}", "ts", after)}
    rows = rows.mutate(**first_later)
    walk = _in_any_order if funnel.order == "unordered" else _in_order
    walked = walk(rows, funnel, keys, [c for c in further if c not in keys])
    return with_depth(_stopped(walked, funnel), funnel)


def _after(funnel: Funnel, keys: list[str], reach: int | None) -> Any:
    """So many rows after the own one, of those that share what is held."""
    return ibis.window(group_by=[*keys, *held(funnel)], order_by="n", rows=(1, reach))


def _last_entry(rows: ir.Table, funnel: Funnel, keys: list[str]) -> ir.BooleanValue:
    """Whether a row enters and no later entry takes over: one does unless the next required step came before it, or with it.

    Whatever else lies between, a window's end and what interrupts a strict funnel too, decides nothing here.
    """
    after = _after(funnel, keys, None)
    again, following = _first(rows, "m1", "n", after), _first(rows, f"m{funnel.required[1]}", "n", after)
    return rows.m1 & (again.isnull() | (following.notnull() & (following <= again)))


def _first(rows: ir.Table, flag: str, what: str, after: Any) -> ir.Value:
    return ibis.ifelse(rows[flag], rows[what], ibis.null()).min().over(after)


def _entries(rows: ir.Table, funnel: Funnel, fits: ir.BooleanValue, kept: list[str]) -> ir.Table:
    rows = rows.filter(fits)
    if funnel.period:
        rows = rows.filter(rows.day.between(*map(ibis.date, funnel.period)))
    return rows.select(*kept, "day", rank=rows.n, **_reached(rows, funnel, 1))


def _reached(rows: ir.Table, funnel: Funnel, step: int) -> dict[str, ir.Value]:
    """What a try takes along from the row of a step: the row, what comes next, and the next excluded rows."""
    taken = {f"r{step}": rows.n, f"t{step}": rows.ts} | ({f"v{step}": rows.v} if "v" in rows.columns else {})
    taken |= {f"p{i}": rows[f"p{i}"] for i in _next(funnel, step)}
    for e in _watched(funnel, step):
        taken |= {f"q{e}_{step}": rows[f"q{e}"], f"qt{e}_{step}": rows[f"qt{e}"]}
    return taken


def _next(funnel: Funnel, step: int) -> list[int]:
    """The steps that are looked for from the row of a step."""
    if funnel.order == "unordered":
        return list(funnel.numbers)
    return [i for i in funnel.numbers if i > 1 and not funnel.optional[step - 1] and funnel.anchor(i) == step]


def _watched(funnel: Funnel, step: int) -> list[int]:
    """The exclusions that are in force after a step."""
    return [e for e, x in enumerate(funnel.exclusions) if x.start <= step < x.end and not funnel.optional[step - 1]]


def _in_order(rows: ir.Table, funnel: Funnel, keys: list[str], further: list[str]) -> ir.Table:
    walked = _entries(rows, funnel, rows.m1, [*keys, *further])
    for i in funnel.numbers[1:]:
        walked = _advance(walked, rows.filter(rows[f"m{i}"]), funnel, i, f"p{i}", keys)
    return walked


def _advance(
    walked: ir.Table, rows: ir.Table, funnel: Funnel, step: int, pointer: str, keys: list[str], **further: ir.Value
) -> ir.Table:
    """The tries with what they take from the row that the pointer names, if that comes in time.

    `further` columns of the row come along under new names, in time or not; `ok` says which it was.
    """
    taken = _reached(rows, funnel, step)
    there = rows.select(**{f"{k}_": rows[k] for k in keys}, **{f"{c}_": v for c, v in taken.items()}, **further)
    joined = walked.left_join(there, [*((k, f"{k}_") for k in keys), (pointer, f"r{step}_")])
    # ibis 12 cannot join again to values that were computed in the select of a join: the select comes first.
    joined = joined.select(*walked.columns, *further, *(f"{c}_" for c in taken))
    ok = in_time(joined, funnel, step, joined[f"t{step}_"])
    kept = [c for c in walked.columns if c not in (*taken, pointer, "ok")]
    arrived = {c: ibis.ifelse(ok, joined[f"{c}_"], ibis.null()) for c in taken}
    return joined.select(*kept, *further, **arrived, ok=ok)


def in_time(walked: ir.Table, funnel: Funnel, step: int, ts: ir.TimestampValue) -> ir.BooleanValue:
    """Whether a moment lies inside the windows of a step, the far edge included; false where there is no moment."""
    return reduce(and_, (ts <= end for end in deadlines(walked, funnel, step)), ts.notnull()).fill_null(False)


def deadlines(walked: ir.Table, funnel: Funnel, step: int) -> list[ir.TimestampValue]:
    """The last moments at which a step still counts: by the funnel's window, and by its own."""
    limits = [(1, funnel.window), (funnel.anchor(step), funnel.step_windows[step - 1])]
    return [walked[f"t{i}"] + ibis.interval(seconds=length) for i, length in limits if length]


def _in_any_order(rows: ir.Table, funnel: Funnel, keys: list[str], further: list[str]) -> ir.Table:
    """As in order, but any step not yet done may come next; a row that fits several does the first of them."""
    fits = [rows[f"m{i}"] for i in funnel.numbers]
    done = {f"d{i}": fit for i, fit in zip(funnel.numbers, _first_true(fits), strict=True)}
    rows = rows.mutate(**done)
    walked = _entries(rows, funnel, reduce(or_, fits), [*keys, *further, *done])
    for step in funnel.numbers[1:]:
        open_ = [ibis.ifelse(walked[f"d{i}"], FAR, walked[f"p{i}"].fill_null(FAR)) for i in funnel.numbers]
        marks = {f"m{i}_": rows[f"m{i}"] for i in funnel.numbers}
        pointed = walked.mutate(_next=ibis.least(*open_) if open_[1:] else open_[0])
        walked = _advance(pointed, rows, funnel, step, "_next", keys, **marks)
        fits = [walked.ok & ~walked[f"d{i}"] & walked[f"m{i}_"].fill_null(False) for i in funnel.numbers]
        done = {f"d{i}": walked[f"d{i}"] | fit for i, fit in zip(funnel.numbers, _first_true(fits), strict=True)}
        walked = walked.mutate(**done).drop(*marks)
    return walked


def _first_true(flags: list[ir.BooleanValue]) -> list[ir.BooleanValue]:
    """The same flags, of which only the first that holds still holds."""
    return [reduce(and_, (~f for f in flags[:i]), flag) for i, flag in enumerate(flags)]


def _stopped(walked: ir.Table, funnel: Funnel) -> ir.Table:
    """The tries up to the first excluded row (`hit`, at `hit_ts`) that came while its exclusion was in force.

    `full` is the depth that they would have without it.
    """
    if not funnel.exclusions:
        return walked
    hits = []
    for start, end in pairwise(funnel.required):
        for e in _watched(funnel, start):
            q, qt, reached = walked[f"q{e}_{start}"], walked[f"qt{e}_{start}"], walked[f"r{end}"]
            before = ibis.ifelse(reached.notnull(), q < reached, in_time(walked, funnel, end, qt))
            hits.append((ibis.ifelse(before.fill_null(False), q, FAR), qt))
    hit = ibis.least(*(q for q, _ in hits)) if len(hits) > 1 else hits[0][0]
    at = ibis.coalesce(*(ibis.ifelse((q == hit) & (q != FAR), qt, ibis.null()) for q, qt in hits))
    walked = with_depth(walked, funnel).rename(full="depth").mutate(hit=hit, hit_ts=at)
    kept = [f"{c}{i}" for i in funnel.numbers[1:] for c in "rtv" if f"{c}{i}" in walked.columns]
    clean = {c: ibis.ifelse(walked[f"r{c[1:]}"] < walked.hit, walked[c], ibis.null()) for c in kept}
    return walked.mutate(**clean, hit=walked.hit.nullif(FAR))


def with_depth(walked: ir.Table, funnel: Funnel) -> ir.Table:
    """The tries with the number of required steps reached."""
    return walked.mutate(depth=sum(ibis.ifelse(walked[f"t{i}"].notnull(), 1, 0) for i in funnel.required).cast("int64"))
