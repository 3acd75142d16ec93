"""A cheaper plan for the counted tries with their times, where the engine has ASOF joins (DuckDB): one join a step.

An ASOF join cannot break ties. Where a row and the one before it in the funnel share their instant, the unit is `tied` and
is answered by the portable plan, which reads the order from `event_id`. The others lose nothing, because only such a pair
could have been read in the wrong order.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import ibis
import ibis.expr.types as ir

from opslib.metrics._filters import few, where_holds
from opslib.metrics._funnel_rules import Funnel
from opslib.metrics._funnel_tries import Value, identified, in_time, may_take, unit


def deepest_tries(events: ir.Table, funnel: Funnel, further: Mapping[str, Value]) -> tuple[ir.Table, ir.Table]:
    """The counted try of each unit and value of the `further` columns of its entry; and the tied units, not among them.

    Read forwards: the tries that reach a step are those that reach the step before and whose next row of the step comes in
    time. Of the tries of one unit that reach a step the earliest is the earliest at all steps, so minima describe it.
    """
    keys = [*unit(funnel), *further]
    entries = step_rows(events, funnel, 1, further).rename(t1="ts").mutate(tie=False)
    if funnel.entry == "first":
        entries = _earliest(entries, keys, 1)
    levels, reached = [_earliest(entries, keys, 1)], entries
    for i in funnel.numbers[1:]:
        reached = _advance(reached, step_rows(events, funnel, i).semi_join(levels[-1], unit(funnel)), funnel, i)
        levels.append(_earliest(reached, keys, i))
    tied = _tied(levels[1:])
    ended = [level.anti_join(deeper, keys) for level, deeper in pairwise(levels)] + levels[-1:]
    parts = []
    for i, level in enumerate(ended, 1):
        times = {f"t{j}": level[f"t{j}"] if j <= i else ibis.null("timestamp(6)") for j in funnel.numbers}
        parts.append(level.select(*keys, "day", **times, depth=ibis.literal(i, "int64")))
    found = ibis.union(*parts) if parts[1:] else parts[0]
    return found.anti_join(tied, unit(funnel)), tied


def step_rows(events: ir.Table, funnel: Funnel, step: int, further: Mapping[str, Value] | None = None) -> ir.Table:
    """The rows of a step: the unit, `ts`, `day`; of the first step only those that may enter."""
    rows = events.filter(may_take(events, funnel, step))
    if funnel.where:
        rows = rows.filter(where_holds(rows, funnel.where))
    carried = {name: value(rows) for name, value in (further or {}).items()}
    who = identified(rows, funnel)
    rows = rows.select(**who, ts=rows.ts, day=rows.day, **carried)
    return rows.filter(*(rows[name].notnull() for name in who))


def _advance(reached: ir.Table, rows: ir.Table, funnel: Funnel, step: int) -> ir.Table:
    """The tries whose next row of the step comes in time."""
    before = f"t{step - 1}"
    there = rows.select(**{f"{k}_": rows[k] for k in unit(funnel)}, there=rows.ts)
    on = reached[before] <= there.there
    joined = reached.asof_join(there, on=on, predicates=[(k, f"{k}_") for k in unit(funnel)])
    joined = joined.select(*reached.columns, "there")
    joined = joined.filter(in_time(joined, funnel, step, joined.there))
    return joined.mutate(tie=joined.tie | (joined.there == joined[before])).rename({f"t{step}": "there"})


def _earliest(tries: ir.Table, keys: list[str], step: int) -> ir.Table:
    """The earliest try of each key, and whether any of its tries is tied."""
    times = {f"t{i}": tries[f"t{i}"].min() for i in range(1, step + 1)}
    return tries.group_by(keys).agg(day=tries.day.min(), **times, tie=tries.tie.max())


def _tied(levels: list[ir.Table]) -> ir.Table:
    """The units with a tie at any level."""
    tied = [level.filter(level.tie).select("u0") for level in levels]
    return few(ibis.union(*tied) if tied[1:] else tied[0])
