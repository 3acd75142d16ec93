"""Which plan answers a funnel: the portable definition, or on DuckDB a walk in order or ASOF joins. The answer is the same."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import ibis.expr.types as ir

from opslib.metrics import _funnel_asof as asof
from opslib.metrics import _funnel_walk as walk
from opslib.metrics._filters import _engine
from opslib.metrics._funnel_counted import counted, spread, step_sums
from opslib.metrics._funnel_rules import Funnel, events_of
from opslib.metrics._funnel_tries import Value, marked, tries, unit


def cheaper(events: ir.Table, funnel: Funnel) -> bool:
    """Whether the cheaper plans answer the question.

    They need required steps in order, of which no two in a row can be the same row; the deepest or the first try of each
    unit; nothing excluded, nothing held.
    """
    in_order = funnel.order == "ordered" and funnel.entry in ("best", "first") and not funnel.attempts
    plain = not (funnel.exclusions or funnel.hold or any(funnel.optional)) and len(funnel.units) == 1
    plain = plain and "session" not in funnel.units  # sessions are found first
    names = [events_of(step) for step in funnel.steps]
    apart = len(names) > 1 and all(names) and all(not a & b for a, b in pairwise(names))
    return in_order and plain and apart and _engine(events) == "duckdb"


def step_counts(events: ir.Table, funnel: Funnel) -> ir.Table:
    """One row per step: how many counted tries reached it."""
    if not cheaper(events, funnel) or any(funnel.step_windows):
        tried = counted_tries(events, funnel)
        return spread(tried.agg(**step_sums(tried, funnel)), funnel)
    units = walk.depths(events, funnel)
    own = {f"c{i}": units.count(where=units.depth >= i) for i in funnel.numbers}
    return spread(units.agg(**own), funnel)


def counted_tries(events: ir.Table, funnel: Funnel, *, ids: bool = False, only: ir.Table | None = None) -> ir.Table:
    """The counted tries by the definition; of `only` those units, if any are given."""
    rows = marked(events, funnel, ids=ids, only=only)
    return counted(tries(rows, funnel, unit(funnel)), funnel, unit(funnel))


def counted_by_entry(events: ir.Table, funnel: Funnel, further: Mapping[str, Value]) -> ir.Table:
    """The counted tries of each unit and value of `further`, which are columns of the rows that enter.

    Columns: the unit, those of `further`, `day`, `t<i>` and `depth`.
    """
    if not cheaper(events, funnel):
        return _by_entry(events, funnel, further)
    found, tied = asof.deepest_tries(events, funnel, further)
    return found.union(_by_entry(events, funnel, further, only=tied).select(*found.columns))


def _by_entry(events: ir.Table, funnel: Funnel, further: Mapping[str, Value], only: ir.Table | None = None) -> ir.Table:
    rows = marked(events, funnel, further=further, only=only)
    return counted(tries(rows, funnel, unit(funnel), further), funnel, unit(funnel), list(further))
