"""The one try that each new user has: who took which step when, where only an entry on the first day counts.

An entry is bounded to the first day, so that users of every day have the same time to be seen: were it open, those who came
long ago would have had longer to enter than those who came last week, and a world that stands still would seem to fall.

With one try a unit, the next row of a step is a minimum over a join, on every engine, and nothing is sorted. A minimum
cannot break ties: users of whom a step and the one before it share their instant are looked at once more, by the numbers
of their rows in the order of `event_id`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._filters import few, step_holds
from opslib.metrics._funnel_plan import counted_by_entry
from opslib.metrics._funnel_rules import Funnel

KEY = contract.KEYS["user_id"]


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
    tried = _tries(events, people, funnel)
    tied = few(tried.filter(_ties(tried, funnel)).select(u0="user_id"))
    again = _tries(_numbered(events, funnel, tied), people, funnel)
    columns = ["user_id", "day", *(f"t{i}" for i in funnel.numbers), "depth"]
    return tried.filter(~_ties(tried, funnel)).select(columns).union(again.select(columns))


def _tries(events: ir.Table, people: ir.Table, funnel: Funnel) -> ir.Table:
    """The tries by the moments of the rows, or by their numbers `n` where they have these."""
    tried = _entries(events, people, funnel)
    for i in funnel.numbers[1:]:
        tried = _next(events, tried, funnel, i)
    depth = sum((ibis.ifelse(tried[f"t{i}"].notnull(), 1, 0) for i in funnel.numbers[1:]), ibis.literal(1, "int64"))
    return tried.mutate(depth=depth.cast("int64"))


def _ties(tried: ir.Table, funnel: Funnel) -> ir.BooleanValue:
    """Whether a step shares its instant with the one before it."""
    pairs = ((tried[f"t{i}"] == tried[f"t{i - 1}"]).fill_null(False) for i in funnel.numbers[1:])
    return reduce(or_, pairs, ibis.literal(False))


def _numbered(events: ir.Table, funnel: Funnel, units: ir.Table) -> ir.Table:
    """The rows of some users that fit a step, numbered in their order: of one instant the smaller `event_id` first."""
    fits = reduce(or_, (step_holds(events, step) for step in funnel.steps))
    rows = events.filter(fits, since(funnel)).semi_join(units, [("user_id", "u0")])
    return rows.mutate(n=ibis.row_number().over(ibis.window(group_by="user_id", order_by=["ts", "event_id"])))


def _step_rows(events: ir.Table, funnel: Funnel, step: int) -> ir.Table:
    taken = [step_holds(events, funnel.steps[step - 1]), events.user_id.notnull(), since(funnel)]
    return events.filter(*taken).select("user_id", "ts", "day", *({"n"} & set(events.columns)))


def _entries(events: ir.Table, people: ir.Table, funnel: Funnel) -> ir.Table:
    """The first row of step 1 of those people (_user, _day) who took it on their day: user_id, day, t1; n1, its number."""
    rows = _step_rows(events, funnel, 1)
    if funnel.period:
        rows = rows.filter(rows.day.between(*map(ibis.date, funnel.period)))
    rows = rows.semi_join(people, [("user_id", "_user"), ("day", "_day")])
    number = {"n1": _.n.min()} if "n" in rows.columns else {}
    return rows.group_by("user_id").agg(day=_.day.min(), t1=_.ts.min(), **number)


def _next(events: ir.Table, tried: ir.Table, funnel: Funnel, step: int) -> ir.Table:
    """The same tries with the time of their next row of the step, null where none comes in time."""
    there = _step_rows(events, funnel, step).rename(_user="user_id", _there="ts").drop("day")
    after, found = tried[f"t{step - 1}"] <= there._there, {f"t{step}": _._there.min()}
    if "n" in there.columns:
        after, found = tried[f"n{step - 1}"] < there.n, found | {f"n{step}": _.n.min()}
    on = [tried.user_id == there._user, after]
    if funnel.window is not None:
        on.append(tried.t1 + ibis.interval(seconds=funnel.window) >= there._there)
    known = {name: _[name].min() for name in tried.columns if name != "user_id"}
    return tried.left_join(there, on).group_by("user_id").agg(**known, **found)
