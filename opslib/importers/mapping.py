"""A mapping says where each contract column comes from.

    columns:
      event_id: uuid                                   # a column of the file
      event: {value: purchase}                         # the same in every row
      ts: {column: time, unit: ms}                     # s, ms or us since 1970
      ts: {column: local_time, tz: Asia/Shanghai}      # a local time without a zone
      ts: {column: when, format: "%d/%m/%Y %H:%M"}     # a spelling of its own
      ts: {column: when, format: ["%m/%d/%y %H:%M", "%m/%d/%Y %H:%M"]}  # or several: the first that fits
      user_id: {columns: [shop, member], join: "-"}    # put together
      amount: {column: cents, scale: 0.01}
      platform: {column: os, map: {1: ios, 2: android}}  # others stay as they are

Columns that no entry uses are kept under their own names, unless `keep: false`. Where rows must be grouped or joined
first, `files:` names the files and `select:` is a DuckDB SELECT over them; `columns:` then applies to its result.
A local time that a clock change makes happen twice is taken for the first of the two.
A mapping is written by the people who own the warehouse and is trusted like code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from typing import Any

from opslib import contract
from opslib.contract import Table
from opslib.errors import ContractError, UsageError, near, nearest
from opslib.quoting import literal, quoted
from opslib.warehouse import zone

_TOP = ("columns", "keep", "files", "select", "table", "note")
_SOURCES = ("column", "columns", "value")
_ENTRY: dict[str, Any] = {
    "column": str,
    "columns": list,
    "join": str,
    "value": object,
    "unit": str,
    "tz": str,
    "format": (str, list),
}
_ENTRY |= {"scale": (int, float), "map": MappingType}
UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}
USER_ALIAS = "user_alias"  # the id as it came, where the identity map gave the row to another user


@dataclass(frozen=True)
class Mapping:
    """The columns of one table, each with its entry; and the SELECT that makes the rows, if one is needed."""

    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    keep: bool = True
    files: dict[str, str] = field(default_factory=dict)  # name in the SELECT → file
    select: str | None = None
    note: str = ""  # what a reader of the reports must know about these rows


def parse(raw: MappingType[str, Any] | None, table: Table, where: str = "mapping") -> Mapping:
    """The mapping as given in YAML or Python.

    Raises
    ------
    UsageError  if an entry has a name, a type or a unit that is not known; names the near miss.
    """
    raw = {} if raw is None else raw
    if not isinstance(raw, MappingType):
        raise UsageError(f"{where}: must hold 'name: value' lines, got {str(raw)[:40]!r}", "begin with 'columns:'")
    for name in raw:
        if name not in _TOP:
            raise UsageError(f"{where}: unknown entry {name!r}", near(name, _TOP))
    for name, kind in (("columns", MappingType), ("files", MappingType), ("select", str), ("keep", bool)):
        if raw.get(name) is not None and not isinstance(raw[name], kind):
            raise UsageError(f"{where}: {name} must be {_words(kind)}, got {str(raw[name])[:40]!r}")
    if raw.get("table", table.name) != table.name:
        raise UsageError(f"{where}: is for the table {raw['table']!r}, not {table.name!r}", "name its own table")
    if bool(raw.get("select")) != bool(raw.get("files")):
        raise UsageError(f"{where}: 'select' and 'files' go together", "files names the files that select reads")
    columns = {str(t): _entry(e, f"{where}: {t}") for t, e in (raw.get("columns") or {}).items()}
    files = {str(alias): str(file) for alias, file in (raw.get("files") or {}).items()}
    keep = True if raw.get("keep") is None else raw["keep"]
    return Mapping(columns, keep, files, raw.get("select"), raw.get("note") or "")


def _entry(entry: Any, where: str) -> dict[str, Any]:
    entry = {"column": entry} if isinstance(entry, str) else entry
    if not isinstance(entry, MappingType):
        raise UsageError(f"{where}: must be a column's name or an entry such as {{value: …}}, got {entry!r}")
    for name, value in entry.items():
        if name not in _ENTRY:
            raise UsageError(f"{where}: unknown {name!r}", near(name, _ENTRY))
        if not isinstance(value, _ENTRY[name]) or (name == "scale" and isinstance(value, bool)):
            raise UsageError(f"{where}: {name} must be {_words(_ENTRY[name])}, got {value!r}")
    if len([name for name in _SOURCES if name in entry]) != 1:
        raise UsageError(f"{where}: needs exactly one of column, columns and value")
    if not all(isinstance(name, str) for name in entry.get("columns", [])) or entry.get("columns") == []:
        raise UsageError(f"{where}: columns must name columns of the file, got {entry['columns']!r}")
    if not math.isfinite(entry.get("scale", 1)):
        raise UsageError(f"{where}: scale must be a finite number, got {entry['scale']!r}")
    if entry.get("unit", "s") not in UNITS:
        raise UsageError(f"{where}: unit must be s, ms or us, got {entry['unit']!r}")
    if "tz" in entry:
        zone(entry["tz"])
    if "format" in entry:
        for one in spellings(entry):
            _spelling(one, where)
        if len({zoned(one) for one in spellings(entry)}) != 1:
            raise UsageError(f"{where}: format needs spellings that all have a zone (%z) or all have none")
    return dict(entry)


def spellings(entry: MappingType[str, Any]) -> list[str]:
    """The spellings of times in the order in which they are tried."""
    return [entry["format"]] if isinstance(entry["format"], str) else list(entry["format"])


def zoned(spelling: str) -> bool:
    """True where a time so written says its own zone."""
    return "%z" in spelling or "%Z" in spelling


def _spelling(format: Any, where: str) -> None:
    """A wrong spelling of times is the mapping's fault, not the file's."""
    import duckdb

    if not isinstance(format, str):
        raise UsageError(f"{where}: format must be text or a list of texts, got {format!r}")
    try:
        duckdb.execute("SELECT try_strptime('2026-01-01', ?)", [format])
    except duckdb.Error as error:
        what = " ".join(str(error).split())[:120]
        raise UsageError(
            f"{where}: format {format!r} is not understood ({what})", "see strptime, e.g. %Y-%m-%d %H:%M:%S"
        ) from None


def _words(kind: Any) -> str:
    if kind == (str, list):
        return "text or a list of texts"
    return {str: "text", list: "a list", bool: "true or false", MappingType: "'name: value' lines"}.get(
        kind, "a number"
    )


def sources(mapping: Mapping, table: Table, available: dict[str, str], where: str) -> dict[str, dict[str, Any]]:
    """Target column → entry, for every contract column the file can fill and every extra column it keeps.

    Parameters
    ----------
    available : column of the file → its DuckDB type

    Raises
    ------
    ContractError  if a column that must never be null has no source, an entry names a column that the file lacks (near
                   miss named), or two columns differ only in case.
    """
    for target, entry in mapping.columns.items():
        for name in _used(entry):
            if name not in available:
                raise ContractError(
                    f"{where}: {target} is mapped to the column {name!r}, which is not there", near(name, available)
                )
    found = dict(mapping.columns)
    used = {name for entry in mapping.columns.values() for name in _used(entry)}
    if mapping.keep:
        own = _made_by_the_load(table)
        found |= {n: {"column": n} for n in available if n not in found and n not in used and n not in own}
    for target in mapping.columns:
        miss, _ = nearest(target, [c for c in table.names if c not in found])
        if target not in table.names and miss:
            raise UsageError(
                f"{where}: {target!r} is no column of {table.name}",
                f"did you mean {miss!r}? A column of your own needs a name less like the contract's",
            )
    for column in table.columns:
        if column.required and column.name not in found:
            raise _missing(column.name, table, available, where)
    folded: dict[str, str] = {}
    for name in found:
        if (other := folded.setdefault(name.casefold(), name)) != name:
            raise ContractError(
                f"{where}: the columns {other!r} and {name!r} differ only in case",
                "name one otherwise in a mapping, or say keep: false",
            )
    return found


def _made_by_the_load(table: Table) -> set[str | None]:
    """Columns that a file may bring from another warehouse; the load makes its own."""
    return {column.day for column in table.columns} | {*contract.KEYS.values(), USER_ALIAS}


def _missing(name: str, table: Table, available: dict[str, str], where: str) -> ContractError:
    hint = near(name, [a for a in available if a not in table.names])
    hint = (
        f"{hint} A mapping can rename it" if hint.startswith("did") else f"the file has: {', '.join(available)[:200]}"
    )
    return ContractError(f"{where}: the column {name!r} of {table.name} is missing", hint)


def _used(entry: dict[str, Any]) -> list[str]:
    return [entry["column"]] if "column" in entry else list(entry.get("columns", []))


def expression(entry: dict[str, Any], available: dict[str, str]) -> tuple[str, str]:
    """(SQL expression, its DuckDB type) of an entry, before it takes the contract's type."""
    if "value" in entry:
        return f"{literal(entry['value'])}::VARCHAR", "VARCHAR"
    if "columns" in entry:
        parts = ", ".join(f"CAST({quoted(n)} AS VARCHAR)" for n in entry["columns"])
        # A part that is missing makes the whole missing: half an id is another id.
        whole = " AND ".join(f"nullif(CAST({quoted(n)} AS VARCHAR), '') IS NOT NULL" for n in entry["columns"])
        return f"CASE WHEN {whole} THEN concat_ws({literal(entry.get('join', ''))}, {parts}) END", "VARCHAR"
    sql, kind = quoted(entry["column"]), available[entry["column"]]
    if entry.get("map"):
        cases = " ".join(f"WHEN {literal(k)} THEN {literal(v)}" for k, v in entry["map"].items())
        return f"CASE CAST({sql} AS VARCHAR) {cases} ELSE CAST({sql} AS VARCHAR) END", "VARCHAR"
    return sql, kind
