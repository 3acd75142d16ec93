"""A table held against the contract, on whatever engine it lives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import ibis

from opslib import contract
from opslib.text import say

if TYPE_CHECKING:
    from ibis.expr.types import BooleanValue, Table, Value

    from opslib.engine import Tables


@dataclass(frozen=True)
class Problem:
    """One way in which a table departs from the contract."""

    table: str
    what: str
    count: int
    share: float
    examples: tuple[str, ...] = ()

    def sentence(self) -> str:
        if not self.count:
            return say(zh="{table}：{what}", en="{table}: {what}", table=self.table, what=self.what)
        examples = ", ".join(self.examples)
        shown = say(zh="，例如 {examples}", en=", such as {examples}", examples=examples) if examples else ""
        counted = say(
            zh="{table}：{what}，{count:,} 行（{share:.2%}）",
            en="{table}: {what} in {count:,} rows ({share:.2%})",
            table=self.table, what=self.what, count=self.count, share=self.share,
        )  # fmt: skip
        return counted + shown


def check(tables: Tables, name: str) -> list[Problem]:
    """Every departure of a table from the contract, from one aggregate query (and one more for examples, if any).

    Returns
    -------
    one Problem for each rule broken, with its count, its share of the rows, and up to five examples
    """
    spec, table = contract.table(name), getattr(tables, name)
    rules = _rules(spec, table)
    counts = {f"r{at}": rows.sum() for at, (_, _, rows) in enumerate(rules)}
    # A null is a value of a key of several columns; in a key of one it is a fault of its own.
    keyed = table.count() if len(spec.key) > 1 else table[spec.key[0]].count()
    row = table.agg(rows=table.count(), keyed=keyed, keys=_short(spec, table).nunique(), **counts).to_pandas().iloc[0]
    total = int(row["rows"])
    if not total:
        return [Problem(name, say(zh="没有数据", en="no rows"), 0, 0.0)] if spec.required else []
    found = []
    # Numbers that all differ come from keys that all differ; where two agree, the keys themselves are counted.
    alike = row["keyed"] != row["keys"]
    if alike and (repeated := int(row["keyed"] - table.agg(n=_key(spec, table).nunique()).to_pandas()["n"].iloc[0])):
        what = say(zh="键 {key} 不唯一", en="the key {key} is not unique", key="+".join(spec.key))
        groups = table.group_by(list(spec.key)).agg(_n=table.count())
        shown = _examples(groups.filter(groups["_n"] > 1), spec.key)
        found.append(Problem(name, what, repeated, repeated / total, shown))
    for at, (column, what, rows) in enumerate(rules):
        count = row[f"r{at}"]
        if count == count and count:
            shown = _examples(table.filter(rows), (column,))
            found.append(Problem(name, what, int(count), int(count) / total, shown))
    return found


def _examples(table: Table, names: tuple[str, ...]) -> tuple[str, ...]:
    texts = table.select(**{f"v{at}": table[name].cast("string") for at, name in enumerate(names)})
    rows = texts.distinct().limit(5).to_pandas().itertuples(index=False)
    shown = ["+".join("" if value is None or value != value else str(value) for value in row)[:40] for row in rows]
    return tuple(sorted(text for text in shown if text))


def _key(spec: contract.Table, table: Table) -> Any:
    """The key as one value; null where a key of one column is missing, which is a fault of its own."""
    if len(spec.key) == 1:
        return table[spec.key[0]]
    # Length-prefixed, so that ("a", "bc") and ("ab", "c") stay two keys; a null is a value of a key.
    parts = [(p.length().cast("string") + ":" + p).fill_null("-") for p in (table[k].cast("string") for k in spec.key)]
    return reduce(add, parts)


def _short(spec: contract.Table, table: Table) -> Any:
    """The key as a number of 64 bits where the engine is DuckDB, which counts these in half the memory; else the key."""
    if table.get_backend().name != "duckdb":
        return _key(spec, table)
    if len(spec.key) > 1:
        return ibis.struct({name: table[name] for name in spec.key}).hash()
    only = table[spec.key[0]]
    return only.isnull().ifelse(None, only.hash())


def _rules(spec: contract.Table, table: Table) -> list[tuple[str, str, BooleanValue]]:
    """(column, what is wrong, where it is) for every rule of the contract."""
    found = []

    def broken(name: str, what: str, rows: BooleanValue) -> None:
        found.append((name, f"{name} {what}", rows.fill_null(False)))

    fitting = [c for c in spec.columns if c.name in table.columns and _fits(c, table[c.name])]
    for column in (c for c in spec.columns if c.name in table.columns):
        value = table[column.name]
        if column.required:
            broken(column.name, say(zh="缺失", en="is missing"), value.isnull())
        if column not in fitting:
            other = say(
                zh="类型是 {have}，不是 {want}", en="is {have}, not {want}", have=str(value.type()), want=column.type
            )
            broken(column.name, other, value.notnull())
            continue
        if column.low is not None:
            broken(column.name, say(zh="小于 {low:g}", en="is below {low:g}", low=column.low), value < column.low)
        if column.high is not None:
            broken(column.name, say(zh="大于 {high:g}", en="is above {high:g}", high=column.high), value > column.high)
        if column.at_most and spec.column(column.at_most) in fitting:
            what = say(zh="超过 {other}", en="is more than {other}", other=column.at_most)
            broken(column.name, what, value > table[column.at_most])
        if column.after and spec.column(column.after) in fitting:
            what = say(zh="不晚于 {other}", en="is not after {other}", other=column.after)
            broken(column.name, what, value <= table[column.after])
    return found


def _fits(column: contract.Column, value: Value) -> bool:
    kind = value.type()
    fits = {
        "int": kind.is_integer(),
        "float": kind.is_numeric(),
        "date": kind.is_date(),
        "timestamp": kind.is_timestamp(),
    }
    return fits.get(column.type, kind.is_string() or kind.is_json() or kind.is_uuid())
