"""The one try that each new user has: who took which step when, where only an entry on the first day counts.

An entry is bounded to the first day, so that users of every day have the same time to be seen: were it open, those who came
long ago would have had longer to enter than those who came last week, and a world that stands still would seem to fall.

With one try a unit, the next row of a step is a minimum over a join, on every engine, and nothing is sorted. A minimum
cannot break ties: users of whom a step and the one before it share their instant are looked at once more, by the numbers
of their rows in the order of `event_id`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._filters import few, step_holds
from opslib.metrics._funnel_plan import counted_by_entry
from opslib.metrics._funnel_rules import Funnel
from opslib.metrics._funnel_tries import marked

KEY = contract.KEYS["user_id"]
# What a try keeps of the row of each step (`t1`, `n2`, …), and the row's column.
MOMENT, NUMBERED = {"t": "ts"}, {"t": "ts", "n": "n"}


def keyed(*tables: ir.Table) -> tuple[ir.Table, ...]:
    """The tables with integer users where all have them, and without the companion: no later step can key only some."""
    found = contract.keyed(*tables)
    found = (found,) if isinstance(found, ir.Table) else found
    return tuple(t.drop(KEY) if KEY in t.columns else t for t in found)


def narrow(events: ir.Table, further: Sequence[str] = ()) -> ir.Table:
    """Who did what when, and the `further` columns or properties: an engine that keeps the rows for several uses keeps them whole."""
    names = {"props" if name.startswith("props.") and name not in events.columns else name for name in further} | {KEY}
    own = ("user_id", "event_id", "event", "ts", "day")
    return events.select(*own, *sorted((names & set(events.columns)) - set(own)))


def read_by(funnel: Funnel) -> list[str]:
    """The columns and properties that the conditions of the steps name."""
    return [k for step in funnel.steps if isinstance(step, dict) for k in step.get("where") or ()]


def since(funnel: Funnel) -> ir.BooleanValue:
    """Which events can matter to tries of the period: no step lies before the first entry.

    To be asked in one filter with the rest of a condition: as a table of its own it would be shared by all the steps, and
    DuckDB writes down what is filtered once and read several times.
    """
    return _.day >= ibis.date(funnel.period[0]) if funnel.period else ibis.literal(True)


def first_tries(events: ir.Table, people: ir.Table, funnel: Funnel) -> ir.Table:
    """The tries of the people (user_id, keyed as the events are, and day, their first): user_id, day, t1, t2, …, depth.

    `events` are `narrow`: several steps read them.

    `funnel` has entry="first", ordered steps and no exclusion; who did not enter on the first day has no try.
    """
    people = people.select(_user="user_id", _day="day")
    if any(funnel.optional) or any(funnel.step_windows):
        own = events.filter(since(funnel)).semi_join(people, [("user_id", "_user")])
        tried = counted_by_entry(own, funnel, {}).rename(user_id="u0")
        return tried.semi_join(people, [("user_id", "_user"), ("day", "_day")])
    tried = _tries({i: _step_rows(events, funnel, i) for i in funnel.numbers}, people, funnel, MOMENT)
    tied = few(tried.filter(_ties(tried, funnel)).select(u0="user_id"))
    rows = _numbered(events, funnel, tied)
    again = _tries({i: rows.filter(rows[f"m{i}"]) for i in funnel.numbers}, people, funnel, NUMBERED)
    columns = ["user_id", "day", *(f"t{i}" for i in funnel.numbers), "depth"]
    return tried.filter(~_ties(tried, funnel)).select(columns).union(again.select(columns))


def _tries(rows: Mapping[int, ir.Table], people: ir.Table, funnel: Funnel, kept: Mapping[str, str]) -> ir.Table:
    """The tries through the rows of each step, in the order of their moments, or of their numbers where these are kept."""
    tried = _entries(rows[1], people, funnel, kept)
    for i in funnel.numbers[1:]:
        tried = _next(rows[i], tried, funnel, i, kept)
    depth = sum((ibis.ifelse(tried[f"t{i}"].notnull(), 1, 0) for i in funnel.numbers[1:]), ibis.literal(1, "int64"))
    return tried.mutate(depth=depth.cast("int64"))


def _ties(tried: ir.Table, funnel: Funnel) -> ir.BooleanValue:
    """Whether a step shares its instant with the one before it."""
    pairs = ((tried[f"t{i}"] == tried[f"t{i - 1}"]).fill_null(False) for i in funnel.numbers[1:])
    return reduce(or_, pairs, ibis.literal(False))


def _numbered(events: ir.Table, funnel: Funnel, units: ir.Table) -> ir.Table:
    """The marked rows of some users and their number: of one instant the smaller `event_id` first."""
    rows = marked(events, funnel, only=units).filter(since(funnel)).rename(user_id="u0")
    return rows.mutate(n=ibis.row_number().over(ibis.window(group_by="user_id", order_by=["ts", "event_id"])))


def _step_rows(events: ir.Table, funnel: Funnel, step: int) -> ir.Table:
    taken = [step_holds(events, funnel.steps[step - 1]), events.user_id.notnull(), since(funnel)]
    return events.filter(*taken).select("user_id", "ts", "day")


def _entries(rows: ir.Table, people: ir.Table, funnel: Funnel, kept: Mapping[str, str]) -> ir.Table:
    """The first row of step 1 of those people (_user, _day) who took it on their day: user_id, day, and what is kept of it."""
    if funnel.period:
        rows = rows.filter(rows.day.between(*map(ibis.date, funnel.period)))
    rows = rows.semi_join(people, [("user_id", "_user"), ("day", "_day")])
    return rows.group_by("user_id").agg(day=_.day.min(), **{f"{k}1": _[column].min() for k, column in kept.items()})


def _next(rows: ir.Table, tried: ir.Table, funnel: Funnel, step: int, kept: Mapping[str, str]) -> ir.Table:
    """The same tries with what is kept of their next row of the step, null where none comes in time."""
    there = rows.select(_user="user_id", **{f"_{k}": column for k, column in kept.items()})
    # Two rows of one instant might be one and the same; two numbers never are.
    after = tried[f"n{step - 1}"] < there._n if "n" in kept else tried[f"t{step - 1}"] <= there._t
    on = [tried.user_id == there._user, after]
    if funnel.window is not None:
        on.append(tried.t1 + ibis.interval(seconds=funnel.window) >= there._t)
    before = {name: _[name].min() for name in tried.columns if name != "user_id"}
    return (
        tried.left_join(there, on).group_by("user_id").agg(**before, **{f"{k}{step}": _[f"_{k}"].min() for k in kept})
    )
