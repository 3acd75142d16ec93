"""Which rows a metric means: `"pay"`, or `{"event": "pay", "where": {"channel": "seo", "props.plan": ["pro", "team"]}}`.

A name is a column of the table; `props.NAME` is a key of the tracker's own JSON. A value is meant exactly; a list means
one of; None means absent; `{"min": 1, "max": 5}` is a closed range; `{"not": value}` is the opposite (absent included).
Values travel as literals of the expression, never as text of a query.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import and_
from typing import Any

import ibis
import ibis.expr.types as ir

from opslib import contract
from opslib.errors import UsageError
from opslib.text import like, names, say

Where = Mapping[str, Any]
Step = str | Mapping[str, Any] | None


@ibis.udf.scalar.builtin
def json_extract_string(document: str, path: str) -> str:  # type: ignore[empty-body]
    """DuckDB's own: the value at a path, as text."""


def prop(table: ir.Table, key: str) -> ir.StringValue:
    """The tracker's property `key` as text; null where it is absent or JSON null."""
    if f"props.{key}" in table.columns:
        return table[f"props.{key}"].cast("string")
    if "props" not in table.columns:
        raise UsageError(
            say(
                zh="筛选条件「props.{key}」要用带埋点属性的数据表，如 events",
                en="filter: “props.{key}” needs a table with the tracker's properties, such as events",
                key=key,
            )
        )
    if _engine(table) == "duckdb":
        # A quoted path: DuckDB would read a bare `$os` as a path of its own.
        quoted = key.replace("\\", "\\\\").replace('"', '\\"')
        return json_extract_string(table.props, f'$."{quoted}"')
    # A boolean or number does not unwrap to text everywhere; its JSON spelling does, without the quotes of a text.
    spelled = table.props.cast("json")[key].cast("string")
    return spelled.re_replace('^"|"$', "").nullif("null")


def _engine(table: ir.Table) -> str:
    try:
        return table.get_backend().name
    except Exception:  # an unbound table, as the compile test uses it
        return ""


def column(table: ir.Table, name: str) -> ir.Value:
    """The column, or the property `props.NAME`.

    Raises
    ------
    UsageError  if the table has no such column; names the near miss.
    """
    if name.startswith("props."):
        return prop(table, name.removeprefix("props."))
    if name not in table.columns:
        hint = like(name, table.columns)
        other = say(zh="埋点属性写作「props.{name}」", en="a tracker's property is “props.{name}”", name=name)
        raise UsageError(
            say(zh="筛选条件中的列「{name}」不存在", en="filter: no column “{name}”", name=name), hint or other
        )
    return table[name]


def user(table: ir.Table) -> ir.Value:
    """The user: the warehouse's integer where the table has it, for what is joined with no other table."""
    key = contract.KEYS["user_id"]
    return table[key if key in table.columns else "user_id"]


def numbered(table: ir.Table) -> bool:
    """Whether users are numbers from 0 on: in a folder of ours, not behind a URL, where a column of that name may be anything."""
    return (
        contract.KEYS["user_id"] in table.columns
        and _engine(table) == "duckdb"
        and hasattr(table.get_backend(), "cuts")
    )


def where_holds(table: ir.Table, where: Where | None) -> ir.BooleanValue:
    """True on the rows that keep every condition."""
    return reduce(and_, (_holds(column(table, n), v, n) for n, v in (where or {}).items()), ibis.literal(True))


def _holds(value: ir.Value, wanted: Any, name: str) -> ir.BooleanValue:
    if wanted is None:
        return value.isnull()
    if isinstance(wanted, Mapping):
        return _range_holds(value, wanted, name)
    if isinstance(wanted, Iterable) and not isinstance(wanted, str):
        return reduce(lambda a, b: a | b, (_holds(value, w, name) for w in wanted), ibis.literal(False))
    return _equals(value, wanted).fill_null(False)


def _range_holds(value: ir.Value, wanted: Mapping[str, Any], name: str) -> ir.BooleanValue:
    unknown = set(wanted) - {"min", "max", "not"}
    if unknown or not wanted:
        raise UsageError(
            say(
                zh="「{name}」的筛选条件只能用 min、max 或 not，现在是 {got}",
                en="filter on “{name}”: a condition has min, max or not, got {got}",
                name=name,
                got=names(sorted(map(str, wanted))),
            )
        )
    held = []
    if "not" in wanted:
        held.append(~_holds(value, wanted["not"], name))
    number = value.try_cast("float64") if value.type().is_string() and _numeric(wanted) else value
    if "min" in wanted:
        held.append((number >= wanted["min"]).fill_null(False))
    if "max" in wanted:
        held.append((number <= wanted["max"]).fill_null(False))
    return reduce(and_, held)


def _numeric(wanted: Mapping[str, Any]) -> bool:
    return all(isinstance(wanted[k], int | float) for k in ("min", "max") if k in wanted)


def _equals(value: ir.Value, wanted: Any) -> ir.BooleanValue:
    if not value.type().is_string() or isinstance(wanted, str):
        return value == wanted
    if isinstance(wanted, bool):
        return value == ("true" if wanted else "false")
    return value.try_cast("float64") == float(wanted)


def step_holds(table: ir.Table, step: Step) -> ir.BooleanValue:
    """True on the rows that a step means; None, or an event of None, means any event.

    Raises
    ------
    UsageError  if the step has other keys than `event` and `where`.
    """
    if step is None:
        return ibis.literal(True)
    if isinstance(step, str):
        return table.event == step
    unknown = set(step) - {"event", "where"}
    if unknown:
        raise UsageError(
            say(
                zh="一个步骤只能有 event 和 where，现在多了 {got}",
                en="a step has event and where, got {got}",
                got=names(sorted(unknown)),
            ),
            like(min(unknown), ["event", "where"]),
        )
    named = ibis.literal(True) if step.get("event") is None else _holds(table.event, step["event"], "event")
    return named & where_holds(table, step.get("where"))


def step_name(step: Step) -> str:
    """What to call a step in a table or figure."""
    if step is None or isinstance(step, str):
        return step or "*"
    conditions = ", ".join(f"{k}={v}" for k, v in (step.get("where") or {}).items())
    event = step.get("event") or "*"
    event = event if isinstance(event, str) else "|".join(event)
    return f"{event} ({conditions})" if conditions else event


def few(units: ir.Table) -> ir.Table:
    """The same units (`u0`), packed into one list and unpacked again where the engine is DuckDB.

    It then expects few and looks them up in the rows, not the rows in them: where there are none it reads no row again.
    """
    if _engine(units) != "duckdb":
        return units
    return units.agg(u0=units.u0.collect(distinct=True)).select(u0=ibis._.u0.unnest())
