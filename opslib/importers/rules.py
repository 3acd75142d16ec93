"""The contract's types and rules as SQL: what a value becomes, and why a row is put aside.

A reason reads `WHAT, got VALUE`, so that alike reasons can be counted together (`warehouse.VALUE_OF_A_REASON`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from opslib.contract import Column, Table
from opslib.errors import ContractError
from opslib.importers.mapping import UNITS, spellings, zoned
from opslib.quoting import literal, quoted

EARLIEST, LATEST = dt.datetime(2000, 1, 1), dt.datetime(2200, 1, 1)
AHEAD = dt.timedelta(hours=24)  # clients' clocks run fast
# Rows of these tables have happened; campaigns, tests and content may be planned ahead.
_HAPPENED = {"events", "users", "orders", "touches", "exposures", "feedback", "survey"}

INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
_NUMBERS = INTEGERS | {"HUGEINT", "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL", '"NULL"', "VARCHAR"}
_STAMPS = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATE", '"NULL"'}
# What a program writes where it has no user; taken for an id, all strangers would be one very busy user.
_NOBODY = ("nan", "null", "(null)", "none", "nil", "undefined", "[object object]", r"\n")
# A time of day followed by a zone: `10:00Z`, `10:00:00.5+08:00`, `10:00 Asia/Shanghai`.
_HAS_ZONE = r":\d{2}.*(Z|z|[+-]\d{2}(:?\d{2})?| [A-Za-z_/+-]+)\s*$"

SQL_TYPES = {
    "string": "VARCHAR",
    "json": "VARCHAR",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
    "int": "BIGINT",
    "float": "DOUBLE",
}
ToUtc = Callable[[str], str]  # a local timestamp as SQL → the UTC one


@dataclass(frozen=True)
class Given:
    """What a file gives for one contract column: an expression, its DuckDB type, and the mapping's entry."""

    sql: str
    kind: str
    entry: dict[str, Any] = field(default_factory=dict)
    where: str = ""  # the file, for messages

    @property
    def base(self) -> str:
        """The type without its parameters: DECIMAL(18,3) → DECIMAL; LIST, STRUCT and MAP are one, NESTED."""
        kind = self.kind.upper()
        nested = kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION"))
        return "NESTED" if nested else kind.split("(")[0]

    def refusal(self, column: Column) -> ContractError:
        wanted = {"timestamp": "a time", "date": "a date", "string": "a text"}.get(column.type, "a number")
        return ContractError(f"{self.where}: {column.name} is {self.kind}, not {wanted}", "map another column to it")


def bare(column: Column, given: Given) -> bool:
    """True where the file's own column is already what the contract wants, or costs next to nothing to become it."""
    return given.base != "VARCHAR" or column.type in ("string", "json")


def typed(column: Column, given: Given, to_utc: ToUtc | None = None) -> str:
    """The expression in the contract's type; NULL where there is no value or it cannot take the type.

    Raises
    ------
    ContractError  if no value of the column could ever take it, or a time is a bare number whose unit nobody has said.
    """
    if column.type in ("string", "json"):
        if given.base == "NESTED" and column.required:
            raise given.refusal(column)
        return _text(given)
    if column.type == "timestamp":
        return _timestamp(column, given, to_utc)
    if column.type == "date":
        return _date(column, given)
    return _number(column, given)


def _text(given: Given) -> str:
    if given.base == "VARCHAR":
        return f"nullif({given.sql}, '')"  # an empty text is no value, in whatever format it came
    if given.base == "NESTED":
        return f"CAST(to_json({given.sql}) AS VARCHAR)"
    text = f"CAST({given.sql} AS VARCHAR)"
    if given.base in ("DOUBLE", "FLOAT"):
        # Whole numbers that met a missing value on their way became floats; 7.0 and 7 are one id.
        whole = f"{given.sql} = floor({given.sql}) AND abs({given.sql}) < 1e15"
        text = f"CASE WHEN {whole} THEN CAST(CAST({given.sql} AS BIGINT) AS VARCHAR) ELSE {text} END"
        return f"CASE WHEN NOT isnan({given.sql}) THEN {text} END"
    return text


def _number(column: Column, given: Given) -> str:
    if given.base not in _NUMBERS:
        raise given.refusal(column)
    number = given.sql if given.base == "DOUBLE" else f"TRY_CAST({given.sql} AS DOUBLE)"
    scaled = "scale" in given.entry
    if scaled:
        number = f"({number} * {float(given.entry['scale'])!r})"
    if column.type == "float":
        return f"CASE WHEN isfinite({number}) THEN {number} END"
    if scaled:
        # 0.07 * 100 is 7.000000000000001
        return f"CASE WHEN abs({number} - round({number})) < 1e-6 THEN TRY_CAST(round({number}) AS BIGINT) END"
    if given.base in INTEGERS:
        return f"CAST({given.sql} AS BIGINT)"
    # A cast would round 3.7 to 4 without a word.
    return f"CASE WHEN {number} = floor({number}) THEN TRY_CAST({given.sql} AS BIGINT) END"


def _date(column: Column, given: Given) -> str:
    if given.entry.get("format"):
        return f"TRY_CAST({_strptime(given)} AS DATE)"
    if given.base in _NUMBERS - {"VARCHAR", '"NULL"'}:
        raise ContractError(
            f"{given.where}: {column.name} is a number, not a date",
            f'say its format in a mapping: {column.name}: {{column: …, format: "%Y%m%d"}}',
        )
    if given.base not in _STAMPS | {"VARCHAR"}:
        raise given.refusal(column)
    return f"TRY_CAST({given.sql} AS DATE)"


def _timestamp(column: Column, given: Given, to_utc: ToUtc | None) -> str:
    if "unit" in given.entry and given.base in _NUMBERS:
        factor = UNITS[given.entry["unit"]]
        if given.base in INTEGERS:
            return f"TRY(make_timestamp(CAST({given.sql} AS BIGINT) * {factor}))"
        return f"TRY(make_timestamp(CAST(round(TRY_CAST({given.sql} AS DOUBLE) * {factor}) AS BIGINT)))"
    if given.base == "TIMESTAMP WITH TIME ZONE":
        return f"make_timestamp(epoch_us({given.sql}))"
    local = local_time(given)
    if local is None:
        if given.base in _NUMBERS:
            raise ContractError(
                f"{given.where}: {column.name} is a number, not a time",
                f"say its unit in a mapping: {column.name}: {{column: …, unit: s|ms|us}}",
            )
        raise given.refusal(column)
    if given.base != "VARCHAR" or (given.entry.get("format") and not _zoned_format(given)):
        return to_utc(local) if to_utc else local
    placed = f"TRY_CAST({given.sql} AS TIMESTAMPTZ)" if not given.entry.get("format") else _strptime(given)
    moment = f"TRY(make_timestamp(epoch_us({placed})))"  # without a zone of its own a text is UTC
    if to_utc is None or given.entry.get("format"):
        return moment
    return f"CASE WHEN regexp_matches({given.sql}, {literal(_HAS_ZONE)}) THEN {moment} ELSE {to_utc(local)} END"


def has_no_zone(given: Given) -> bool:
    """True where the times may stand without a zone: texts and plain timestamps, not numbers, not zoned ones."""
    placed = given.entry.get("format") and _zoned_format(given)
    return "unit" not in given.entry and given.base in _STAMPS - {"DATE", '"NULL"'} | {"VARCHAR"} and not placed


def stands_without_zone(given: Given) -> str:
    """True where a text is a time without a zone."""
    return f"({local_time(given)}) IS NOT NULL AND NOT regexp_matches({given.sql}, {literal(_HAS_ZONE)})"


def local_time(given: Given) -> str | None:
    """The time as it stands, as a TIMESTAMP without a zone; None where the column holds no times."""
    if given.entry.get("format"):
        return f"TRY_CAST({_strptime(given)} AS TIMESTAMP)"
    if given.base in _STAMPS | {"VARCHAR"}:
        return given.sql if given.base == "TIMESTAMP" else f"TRY_CAST({given.sql} AS TIMESTAMP)"
    return None


def _strptime(given: Given) -> str:
    formats = ", ".join(literal(one) for one in spellings(given.entry))
    return f"try_strptime(CAST({given.sql} AS VARCHAR), [{formats}])"


def _zoned_format(given: Given) -> bool:
    return any(zoned(one) for one in spellings(given.entry))


def is_nobody(sql: str) -> str:
    """True where the text stands for no user."""
    return f"lower({sql}) IN ({', '.join(map(literal, _NOBODY))})"


def is_missing(given: Given) -> str:
    """True where the source has no value: NULL, an empty text, or a float that is not a number."""
    if given.base == "VARCHAR":
        return f"({given.sql} IS NULL OR {given.sql} = '')"
    if given.base in ("DOUBLE", "FLOAT"):
        return f"({given.sql} IS NULL OR isnan({given.sql}))"
    return f"({given.sql} IS NULL)"


def faults(table: Table, given: dict[str, Given], now: dt.datetime) -> list[tuple[str, str]]:
    """(condition, reason as an SQL expression) for every way in which a row can break the contract.

    Conditions speak of the typed columns under their own names, and of the values as they came in `given`.
    """
    found: list[tuple[str, str]] = []
    for column in table.columns:
        if column.name not in given:
            continue
        name, source = quoted(column.name), given[column.name]
        if column.required:
            found.append((is_missing(source), literal(f"{column.name} is missing")))
        if column.required and column.name == "user_id" and source.base == "VARCHAR":
            found.append((is_nobody(name), _reason("user_id is no id", name)))
        if _can_fail(column, source):
            found.append((f"{name} IS NULL AND NOT {is_missing(source)}", _misfit(column, source)))
        if column.type == "json":
            bad = f"{name} IS NOT NULL AND coalesce(TRY(json_type({name})), '') <> 'OBJECT'"
            found.append((bad, _reason(f"{column.name} is not a JSON object", name)))
        for bad, what in _bounds(table, column, given, now):
            found.append((bad, _reason(f"{column.name} {what}", name)))
    return found


def _reason(what: str, value: str) -> str:
    # A semicolon separates the reasons of one row.
    shown = f"replace(left(CAST({value} AS VARCHAR), 60), ';', ',')"
    return f"concat({literal(what + ', got ')}, {shown})"


def _misfit(column: Column, source: Given) -> str:
    what = {"timestamp": "a time", "date": "a date", "int": "a whole number", "float": "a finite number"}[column.type]
    plain = _reason(f"{column.name} is not {what}", source.sql)
    if column.type != "timestamp" or {"unit", "format"} & source.entry.keys():
        return plain
    unit = _reason(f"{column.name} is a number and a mapping must say its unit (s, ms or us)", source.sql)
    number = f"isfinite(TRY_CAST(CAST({source.sql} AS VARCHAR) AS DOUBLE))"
    return f"CASE WHEN {number} THEN {unit} ELSE {plain} END"


def _can_fail(column: Column, source: Given) -> bool:
    same = {"timestamp": "TIMESTAMP", "date": "DATE", "int": "BIGINT"}.get(column.type)
    return column.type not in ("string", "json") and source.base != same


def _bounds(table: Table, column: Column, given: dict[str, Given], now: dt.datetime) -> list[tuple[str, str]]:
    name = quoted(column.name)
    found = []
    if column.low is not None:
        found.append((f"{name} < {column.low!r}", f"is below {column.low:g}"))
    if column.high is not None:
        found.append((f"{name} > {column.high!r}", f"is above {column.high:g}"))
    if column.at_most in given:
        found.append((f"{name} > {quoted(column.at_most)}", f"is more than {column.at_most}"))
    if column.after in given:
        found.append((f"{name} <= {quoted(column.after)}", f"is not after {column.after}"))
    if column.type in ("timestamp", "date"):
        found.append((f"{name} < TIMESTAMP '{EARLIEST}'", f"is before {EARLIEST.year}"))
        found.append((f"{name} >= TIMESTAMP '{LATEST}'", f"is not before {LATEST.year}"))
    if column.name == table.clock and table.name in _HAPPENED:
        found.append((f"{name} > TIMESTAMP '{now + AHEAD}'", "is more than 24 h ahead of the clock"))
    return found
