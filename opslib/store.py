"""From fresh rows to the files of the warehouse: local days, integer keys, months sorted by day, the daily roll-up."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from opslib import contract
from opslib.importers import rules, zones
from opslib.importers.mapping import USER_ALIAS
from opslib.importers.typed import FILE, LINE
from opslib.quoting import literal, quoted
from opslib.rollup import roll_up
from opslib.settle import columns, same_key, scan
from opslib.warehouse import Manifest, Part, new_name, place, zone

if TYPE_CHECKING:
    import duckdb

# The second version writes numbers that follow one another as their differences: times and keys are read in half the time.
_FORMAT = "FORMAT parquet, PARQUET_VERSION v2"


class Store:
    """Writes Parquet files that no manifest on disk names yet, and names them in the manifest at hand."""

    def __init__(self, con: duckdb.DuckDBPyConnection, manifest: Manifest, root: Path, staging: Path) -> None:
        self.con, self.manifest, self.root, self.staging = con, manifest, root, staging

    def write(self, spec: contract.Table, given: list[str], step: Callable[[str], None]) -> int:
        """Write the view `fresh` of a load that brings the columns `given`; how many rows. `step` hears of each."""
        self._date(spec)
        rows = self.keyed(spec.names, f"SELECT * EXCLUDE ({columns([FILE, LINE])}) FROM dated")
        old = self.manifest.tables.get(spec.name, [])
        if spec.name == "events":
            months = self.con.execute("SELECT DISTINCT date_trunc('month', day)::DATE FROM dated ORDER BY 1").fetchall()
            parts = [self._month(rows, month, step) for (month,) in months]
            step("rolling up")
            roll_up(self, {part.month: [part] for part in parts})
            return sum(part.rows for part in parts)
        step("writing")
        if spec.updates and old:
            new = self.con.execute("SELECT count(*) FROM fresh").fetchall()[0][0]
            self.manifest.tables[spec.name] = [self.file(spec.name, self._updated(spec, rows, given, old), spec)]
            return new
        part = self.file(spec.name, rows, spec)
        self.manifest.tables[spec.name] = [*old, part]
        return part.rows

    def _date(self, spec: contract.Table) -> None:
        """Create the view `dated`: the fresh rows with the local day of every timestamp."""
        days = []
        for column in (c for c in spec.columns if c.day):
            name = quoted(column.name)
            first, last = self.con.execute(f"SELECT min({name}), max({name}) FROM fresh").fetchall()[0]
            day = zones.local_day(name, zone(self.manifest.tz), first or rules.EARLIEST, last or rules.EARLIEST)
            days.append(f"{day} AS {quoted(column.day or '')}")
        self.con.execute(f"CREATE VIEW dated AS SELECT {', '.join(['*', *days])} FROM fresh")

    def _updated(self, spec: contract.Table, rows: str, given: list[str], old: list[Part]) -> str:
        """The table with the new rows in it; in columns that the load does not bring, a row keeps its old values."""
        existing = scan(self.root, old)
        have, new = self.columns_of(existing), self.columns_of(f"({rows})")
        brought = {*given, *(spec.column(n).day for n in given if n in spec.names)}
        brought |= {contract.KEYS[n] for n in given if n in contract.KEYS} | (
            {USER_ALIAS} if "user_id" in given else set()
        )
        kept = [n for n in have if n not in brought]
        select = ", ".join(f"{'o' if n in kept else 'n'}.{quoted(n)}" for n in dict.fromkeys([*new, *kept]))
        return (
            f"SELECT {select} FROM ({rows}) n LEFT JOIN {existing} o ON {same_key(spec, 'n', 'o')} "
            f"UNION ALL BY NAME SELECT o.* FROM {existing} o ANTI JOIN ({rows}) n ON {same_key(spec, 'n', 'o')}"
        )

    def _month(self, rows: str, month: dt.date, step: Callable[[str], None]) -> Part:
        """One file of events: a period reads its own months and row groups only."""
        after = (month + dt.timedelta(days=31)).replace(day=1)
        step(f"writing {month:%Y-%m}")
        # A bound on `ts` too, which the raw file has and can skip row groups by; no zone is a whole day off.
        near = f"ts >= TIMESTAMP '{month}' - INTERVAL 1 DAY AND ts < TIMESTAMP '{after}' + INTERVAL 1 DAY"
        inside = f"day >= DATE '{month}' AND day < DATE '{after}' AND {near}"
        part = self.file(
            "events", f"FROM ({rows}) WHERE {inside} ORDER BY day", contract.table("events"), f"{month:%Y-%m}"
        )
        self.manifest.tables.setdefault("events", []).append(part)
        return part

    def keyed(self, names: tuple[str, ...], rows: str) -> str:
        """The rows with an integer for every id that has a dictionary; the dictionaries grow by the new ids."""
        joins, keys = "", ["d.*"]
        for id, key in contract.KEYS.items():
            if id in names:
                dictionary = self._dictionary(id, rows)
                joins += f" LEFT JOIN {dictionary} {quoted(key)} ON {quoted(key)}.id = d.{quoted(id)}"
                keys.append(f"{quoted(key)}.key AS {quoted(key)}")
        return f"SELECT {', '.join(keys)} FROM ({rows}) d{joins}"

    def _dictionary(self, id: str, rows: str) -> str:
        parts = self.manifest.keys.setdefault(id, [])
        name = quoted(f"~keys {id}")
        known = (
            f"SELECT id, key FROM {scan(self.root, parts)}" if parts else "SELECT '' AS id, 0::BIGINT AS key LIMIT 0"
        )
        self.con.execute(f"CREATE OR REPLACE TABLE {name} AS {known}")
        fresh = f"SELECT DISTINCT {quoted(id)} AS id FROM ({rows}) WHERE {quoted(id)} IS NOT NULL"
        numbered = f"(SELECT coalesce(max(key) + 1, 0) FROM {name}) + row_number() OVER (ORDER BY id) - 1"
        self.con.execute(
            f"CREATE OR REPLACE TABLE grown AS SELECT id, {numbered} AS key "
            f"FROM ({fresh}) f ANTI JOIN {name} k USING (id)"
        )
        if self.con.execute("SELECT 1 FROM grown LIMIT 1").fetchall():
            parts.append(self.file(f"_keys/{id}", "FROM grown"))
            self.con.execute(f"INSERT INTO {name} FROM grown")
        return name

    def quarantine(self, table: str) -> None:
        """Keep what was put aside, once: the same row of the same file loaded again is not kept twice."""
        parts = self.manifest.quarantine.setdefault(table, [])
        known = f"ANTI JOIN {scan(self.root, parts)} k USING (source, line, reason, row)" if parts else ""
        now = f"TIMESTAMP '{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M:%S}'"
        rows = f"SELECT a.*, {now} AS put_aside_at FROM (SELECT DISTINCT * FROM aside) a {known}"
        if self.con.execute(f"SELECT 1 FROM ({rows}) LIMIT 1").fetchall():
            parts.append(self.file(f"_quarantine/{table}", rows))

    def file(self, folder: str, rows: str, spec: contract.Table | None = None, month: str = "") -> Part:
        """One Parquet file of `rows`; written in staging, then moved to its place, where nothing reads it yet."""
        inside = "/".join(filter(None, (folder, month, new_name())))
        aside = self.staging / Path(inside).name
        count = self.con.execute(f"COPY ({rows}) TO {literal(aside)} ({_FORMAT})").fetchall()[0][0]
        part = Part(inside, count, month)
        if spec and spec.clock_day:
            day = quoted(spec.clock_day)
            span = self.con.execute(f"SELECT min({day}), max({day}) FROM read_parquet({literal(aside)})").fetchall()[0]
            part.first_day, part.last_day = (str(d) if d else None for d in span)
        place(aside, self.root / inside)
        return part

    def columns_of(self, relation: str) -> list[str]:
        return [row[0] for row in self.con.execute(f"DESCRIBE FROM {relation}").fetchall()]
