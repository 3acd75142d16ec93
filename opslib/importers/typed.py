"""Raw relations → one relation of contract rows, each knowing whether it may go in."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opslib.contract import Column, Table
from opslib.errors import ContractError, nearest
from opslib.importers import rules, zones
from opslib.importers.mapping import Mapping, expression, sources
from opslib.importers.rows import RESERVED
from opslib.importers.rules import Given
from opslib.importers.stage import LINE, Raw, reading
from opslib.quoting import literal, quoted
from opslib.warehouse import zone

if TYPE_CHECKING:
    import duckdb

FILE, BAD, REASON = (RESERVED + name for name in ("file", "bad", "reason"))
KINDS = {"BOOLEAN": "BOOLEAN", "DATE": "date", "TIMESTAMP": "timestamp", "BIGINT": "int", "DOUBLE": "float"}


class Typed:
    """All files of a load as one relation: contract columns, extra ones, and ~file, ~line, ~bad, ~reason."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        spec: Table,
        mapping: Mapping,
        extras: dict[str, str],
        now: dt.datetime,
        staging: Path,
    ) -> None:
        """`extras` is the warehouse's memory of extra columns and their types; new ones are added to it."""
        self.con, self.spec, self.mapping, self.extras = con, spec, mapping, extras
        self.now, self.staging = now, staging
        self.given: dict[str, None] = {}  # every column that any of the files brings
        self.notes: dict[str, None] = {}  # what the person who loads should know

    def rows(self, raws: list[Raw]) -> str:
        """The SELECT over all files."""
        return " UNION ALL BY NAME ".join(self._one(at, raw) for at, raw in enumerate(raws))

    def _one(self, at: int, raw: Raw) -> str:
        entries = sources(self.mapping, self.spec, raw.columns, raw.label)
        self.given |= dict.fromkeys(entries)
        given = {t: self._given(raw, t, entry) for t, entry in entries.items()}
        came = ", ".join(f"{expression(entries[t], raw.columns)[0]} AS {g.sql}" for t, g in given.items())
        inner = f"SELECT {came}, {quoted(LINE)} FROM {quoted(raw.view)}"
        contract = {t: g for t, g in given.items() if t in self.spec.names}
        columns = [f"{self._typed(t, g, inner)} AS {quoted(t)}" for t, g in given.items()]
        self._note_near(raw.label, given)
        nulls = [
            f"NULL::{rules.SQL_TYPES[c.type]} AS {quoted(c.name)}" for c in self.spec.columns if c.name not in given
        ]
        kept = ", ".join(g.sql for g in contract.values())
        found = rules.faults(self.spec, contract, self.now)
        bad = " OR ".join(f"({condition}) IS TRUE" for condition, _ in found) or "false"
        reasons = ", ".join(f"CASE WHEN {condition} THEN {reason} END" for condition, reason in found) or "NULL"
        select = (
            f"SELECT * EXCLUDE ({kept}), {at} AS {quoted(FILE)}, {bad} AS {quoted(BAD)}, "
            f"CASE WHEN {quoted(BAD)} THEN concat_ws('; ', {reasons}) END AS {quoted(REASON)} "
            f"FROM (SELECT {', '.join([*columns, *nulls])}, {kept}, {quoted(LINE)} FROM ({inner}))"
        )
        plain = all(rules.bare(self.spec.column(t), g) for t, g in contract.items())
        return select if plain else self._staged(at, select, raw.label)

    def _staged(self, at: int, select: str, label: str) -> str:
        """What costs something to make is made once, and read several times."""
        target = self.staging / f"typed-{at}.parquet"
        with reading(label):
            self.con.execute(f"COPY ({select}) TO {literal(target)} (FORMAT parquet)")
        return f"SELECT * FROM read_parquet({literal(target)})"

    def _given(self, raw: Raw, target: str, entry: dict[str, Any]) -> Given:
        return Given(quoted(RESERVED + target), expression(entry, raw.columns)[1], entry, raw.label)

    def _typed(self, target: str, given: Given, inner: str) -> str:
        if target not in self.spec.names:
            return self._extra(target, given, inner)
        column = self.spec.column(target)
        if column.type != "timestamp":
            return rules.typed(column, given)
        self._note_clock(target, given, inner)
        return rules.typed(column, given, self._to_utc(given, inner))

    def _note_near(self, label: str, given: dict[str, Given]) -> None:
        """A column of nobody's whose name is nearly that of one which the file lacks: it is kept, and that one stays empty."""
        lacking = [name for name in self.spec.names if name not in given]
        for name in set(given) - set(self.spec.names):
            if miss := nearest(name, lacking, alike=0.85)[0]:
                self.notes[
                    f"{label}: {name!r} is kept as a column of your own, and {miss!r} stays empty; did you mean that? Rename it in the file, or by a mapping"
                ] = None

    def _note_clock(self, target: str, given: Given, inner: str) -> None:
        """Times without a zone whose clock may be local: of a column that a mapping renames, and of texts; ours is UTC."""
        name = given.entry.get("column", target)
        if "tz" in given.entry or not rules.has_no_zone(given):
            return
        if name != target or (given.base == "VARCHAR" and self._some(rules.stands_without_zone(given), inner, given)):
            known = f"{target}: {{column: {name}, tz: Asia/Shanghai}}"
            self.notes[f"{target}: times without a zone were read as UTC; if they are local, map {known}"] = None

    def _some(self, condition: str, inner: str, given: Given) -> bool:
        with reading(given.where):
            return bool(self.con.execute(f"SELECT 1 FROM ({inner}) WHERE {condition} LIMIT 1").fetchall())

    def _to_utc(self, given: Given, inner: str) -> rules.ToUtc | None:
        local = rules.local_time(given)
        if "tz" not in given.entry or local is None:
            return None
        inside = f"t BETWEEN TIMESTAMP '{rules.EARLIEST}' AND TIMESTAMP '{rules.LATEST}'"
        with reading(given.where):
            span = self.con.execute(f"SELECT min(t), max(t) FROM (SELECT {local} AS t FROM ({inner})) WHERE {inside}")
            first, last = span.fetchall()[0]
        first, last = first or rules.EARLIEST, last or rules.EARLIEST
        return lambda sql: zones.utc(sql, zone(given.entry["tz"]), first, last)

    def _extra(self, name: str, given: Given, inner: str) -> str:
        """An extra column keeps the type that it had first; values of another kind stop the load."""
        wanted = self.extras.setdefault(name, _plain_type(given))
        if wanted == given.kind and wanted != "VARCHAR":
            return given.sql
        kind = KINDS.get(wanted, "string")
        truth = f"TRY_CAST({given.sql} AS BOOLEAN)"
        sql = truth if wanted == "BOOLEAN" else rules.typed(Column(name, kind), given)
        if wanted != "VARCHAR":
            unfit = f"({sql}) IS NULL AND NOT {rules.is_missing(given)}"
            with reading(given.where):
                found = self.con.execute(
                    f"SELECT count(*), any_value(CAST({given.sql} AS VARCHAR)) FROM ({inner}) WHERE {unfit}"
                ).fetchall()
            if found[0][0]:
                raise ContractError(
                    f"{given.where}: {self.spec.name} keeps the extra column {name!r} as {wanted}; "
                    f"{found[0][0]:,} values are not, such as {found[0][1][:40]!r}",
                    "give the column another name in a mapping",
                )
        return sql


def _plain_type(given: Given) -> str:
    if given.base in rules.INTEGERS:
        return "BIGINT"
    if given.base in ("FLOAT", "DECIMAL"):
        return "DOUBLE"
    return given.kind if given.kind in KINDS else "VARCHAR"


def put_aside(con: duckdb.DuckDBPyConnection, raws: list[Raw]) -> None:
    """Create the table `aside` (source, line, reason, row): every line that is no row, as it was in its file."""
    con.execute("CREATE OR REPLACE TABLE aside (source VARCHAR, line BIGINT, reason VARCHAR, row VARCHAR)")
    for source, paths in (broken for raw in raws for broken in raw.broken):
        files = ", ".join(map(literal, paths))
        con.execute(f"INSERT INTO aside SELECT {literal(source)}, * FROM read_parquet([{files}])")


def set_aside(con: duckdb.DuckDBPyConnection, raws: list[Raw]) -> None:
    """Add the rows that `fate` sets aside, as they stand in their raw relations."""
    line = quoted(LINE)
    for at, raw in enumerate(raws):
        which = f"SELECT {line}, reason FROM fate WHERE {quoted(FILE)} = {at} AND status = 'aside'"
        if con.execute(f"SELECT 1 FROM ({which}) LIMIT 1").fetchall():
            pairs = ", ".join(f"{literal(name)}, r.{quoted(name)}" for name in raw.columns)
            row = f"CAST(json_object({pairs}) AS VARCHAR)"
            con.execute(
                f"INSERT INTO aside SELECT {literal(raw.label)}, r.{line}, w.reason, {row} "
                f"FROM {quoted(raw.view)} r JOIN ({which}) w ON w.{line} = r.{line}"
            )
