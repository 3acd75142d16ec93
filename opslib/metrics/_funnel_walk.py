"""A cheaper plan for the same counts where the engine keeps the order of rows (DuckDB): one sort, and one walk over its rows.

Every row knows from the rows before it the entry that could have brought its unit to each step. A plain window would sort
the rows again for each step; one without a partition and an order streams, and takes the rows as the sort has left them.
Source: DuckDB's documentation, "Order Preservation".

The sort is of small integers. It cannot break ties, so a unit of which two different steps share their instant is
`TIED`, and is walked once more in the order of `event_id`.
"""

from __future__ import annotations

import itertools
from functools import reduce
from operator import add

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
from ibis.expr import datatypes

from opslib.metrics._filters import few, where_holds
from opslib.metrics._funnel_rules import Funnel, events_of
from opslib.metrics._funnel_tries import FAR, identified, may_take

TIED = 100  # deeper than any funnel, and still a small integer
NEVER = -FAR - FAR // 2  # further back than the longest window, and no overflow when it is subtracted
_WALKS = itertools.count(1)  # two walks in one query must not share a name


@ibis.udf.scalar.builtin
def epoch_us(ts: datatypes.timestamp) -> int:  # type: ignore[empty-body]
    """DuckDB's own: microseconds since 1970."""


def depths(events: ir.Table, funnel: Funnel) -> ir.Table:
    """How many steps each unit reaches: `depth`, one row a unit that has any of them; 0 where it never enters.

    For funnels of which `_funnel_plan.cheaper` is true, without windows of single steps.
    """
    units = _walked(_fitting(events, funnel), funnel, "steps", ties=True)
    tied = few(units.filter(units.depth == TIED))
    again = _walked(_fitting(events, funnel, "event_id").semi_join(tied, "u0"), funnel, "event_id", ties=False)
    return units.filter(units.depth != TIED).select("depth").union(again.select("depth"))


def _fitting(events: ir.Table, funnel: Funnel, *more: str) -> ir.Table:
    """The rows that fit a step and may take it: their unit `u0`, their moment `t`, and `steps`, a bit for each step that they fit."""
    rows = events.filter(where_holds(events, funnel.where)) if funnel.where else events
    bits = [(may_take(rows, funnel, i), 1 << (i - 1)) for i in funnel.numbers]
    names = [name for step in funnel.steps for name in events_of(step)]
    once = len({*names}) == len(names)  # no row fits two steps: the engine looks each event up, and adds nothing
    steps = ibis.cases(*bits, else_=0) if once else reduce(add, (ibis.ifelse(fit, bit, 0) for fit, bit in bits))
    steps = steps.cast("int8" if len(bits) < 8 else "int32")
    rows = rows.select(*more, **identified(rows, funnel), t=epoch_us(rows.ts), steps=steps)
    # Last, not first: the rows of both walks would be one table, which the engine writes down with all that both read.
    return rows.filter(rows.steps != 0, rows.u0.notnull())


def _walked(rows: ir.Table, funnel: Funnel, then: str, *, ties: bool) -> ir.Table:
    """(u0, depth) of the rows in the order of their unit, their moment, and `then`; with `ties`, those of a unit are told."""
    n = next(_WALKS)
    given = rows.alias(f"opslib_fitting_{n}")
    # Ordered in the text itself: a table that the engine writes down in between need not keep its order.
    query = _walk(f"(SELECT * FROM opslib_fitting_{n} ORDER BY u0, t, {then})", funnel, ties=ties)
    schema = ibis.schema({"u0": rows.u0.type(), "depth": "int32"})
    # Not `given.sql(query)`, which asks the engine for the schema.
    return ops.SQLStringView(parent=given.op(), query=query, schema=schema).to_expr().alias(f"opslib_walked_{n}")


def _walk(rows: str, funnel: Funnel, *, ties: bool) -> str:
    """The walk as SQL, which ibis cannot say: its windows do not ignore nulls."""
    tie = "lag(u0) OVER () = u0 AND lag(t) OVER () = t AND lag(steps) OVER () <> steps" if ties else "false"
    new, last = (f"{side}(u0) OVER () IS DISTINCT FROM u0" for side in ("lag", "lead"))
    walk = _carried(f"SELECT *, {new} AS new, {last} AS last, {tie} AS tie FROM {rows}", "steps & 1 = 1", "t", "e1")
    if funnel.entry == "first":
        walk = f"SELECT * EXCLUDE (e1), lag(e1) OVER () AS latest FROM ({walk})"
        walk = _carried(walk, f"steps & 1 = 1 AND (new OR latest = {NEVER})", "t", "e1")
    window = funnel.window * 1_000_000 if funnel.window else FAR
    reached = {i: f"steps & {1 << (i - 1)} = {1 << (i - 1)} AND t - e{i - 1} <= {window}" for i in funnel.numbers[1:]}
    last_step = funnel.numbers[-1]
    for i in funnel.numbers[1:-1]:
        walk = _carried(walk, reached[i], f"e{i - 1}", f"e{i}")
    # What a unit reached is known at its last row, but for the last step, which nothing carries on: few rows to group.
    deepest = " ".join(f"WHEN e{i} <> {NEVER} THEN {i}" for i in reversed(funnel.numbers[:-1]))
    return (
        f"SELECT u0, max(CASE WHEN tie THEN {TIED} WHEN {reached[last_step]} THEN {last_step} {deepest} ELSE 0 END) AS depth "
        f"FROM ({walk}) WHERE last OR tie OR {reached[last_step]} GROUP BY u0"
    )


def _carried(walk: str, when: str, value: str, name: str) -> str:
    """The walk with a value that every row takes from the last row of its unit for which it held, itself included."""
    kept = f"last_value(CASE WHEN {when} THEN {value} WHEN new THEN {NEVER} END IGNORE NULLS)"
    return f"SELECT *, {kept} OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS {name} FROM ({walk})"
