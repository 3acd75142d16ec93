"""DuckDB over a folder's Parquet files: a connection, and the tables in it."""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir
from ibis.backends.sql.datatypes import DuckDBType

from opslib import contract, warehouse
from opslib.quoting import literal

_SETTINGS = {
    "TimeZone": "'UTC'",
    "enable_progress_bar": "false",
    "python_enable_replacements": "false",
    # The warehouse numbers its users from 0: groups of them find their place without a hash, up to so many bits of them.
    "perfect_ht_threshold": "20",
    # A query is bound several times before it runs; a live file never changes, so what it says of itself is read once.
    "parquet_metadata_cache": "true",
}


def opened() -> Any:
    """A connection of its own, as ibis knows it, that spills to disk before its process holds 4 GiB."""
    con = ibis.duckdb.connect()
    con.cuts, con.last_days = {}, {}
    con.raw_sql("; ".join(f"SET {name} = {value}" for name, value in _SETTINGS.items()))
    con.raw_sql(f"SET temp_directory = {literal(str(Path(tempfile.gettempdir()) / f'opslib-{os.getpid()}'))}")
    warehouse.cap_memory(con.con, 3.0)  # so that a process that is told nothing stays below 4
    return con


def viewed(con: Any, name: str, root: Path, parts: list[warehouse.Part]) -> ir.Table:
    """A table made of these files; the connection keeps its `warehouse.cuts` under `cuts`, and its last day under `last_days`.

    ibis' own `read_parquet` and `table` come to the same, but parse the text of every column's type each time.
    """
    files = ", ".join(literal(str(root / part.path)) for part in parts)
    # By name, the engine has the files' statistics too.
    con.raw_sql(f"CREATE TEMP VIEW {name} AS FROM read_parquet([{files}], union_by_name=true)")
    view = con.con.table(name)
    con.cuts[name] = warehouse.cuts(parts)
    if known := warehouse.days(parts):
        con.last_days[name, contract.table(name).clock_day] = known[1]
    columns = {column: _type(str(kind)) for column, kind in zip(view.columns, view.types, strict=True)}
    return ops.DatabaseTable(name, schema=ibis.schema(columns), source=con, namespace=ops.Namespace()).to_expr()


@functools.cache
def _type(text: str) -> dt.DataType:
    return DuckDBType.from_string(text)
