"""Raw files as relations of a staging database, every row with its line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from opslib.errors import ContractError, UsageError, near
from opslib.importers import text
from opslib.importers.rows import check_names
from opslib.importers.text import LINE, Tick
from opslib.quoting import literal, quoted

if TYPE_CHECKING:
    import duckdb

FORMATS = {"parquet": "parquet", "csv": "csv", "tsv": "csv", "txt": "csv"}
FORMATS |= {"jsonl": "jsonl", "ndjson": "jsonl", "json": "jsonl"}


@dataclass
class Raw:
    """A raw relation: view, name, its columns with DuckDB types, its rows, and the lines that are no rows."""

    view: str
    label: str
    columns: dict[str, str]
    rows: int
    broken: list[tuple[str, list[Path]]] = field(default_factory=list)  # file, Parquet of (line, reason, row)
    note: str = ""


def open_file(
    con: duckdb.DuckDBPyConnection, path: Path, label: str, view: str, folder: Path, format: str | None, tick: Tick
) -> Raw:
    """A Parquet, CSV or JSON Lines file as a view whose line counts from 1.

    Raises
    ------
    ContractError  if the file is missing, empty, truncated or not of its format.
    UsageError     if the format is not known.
    """
    kind = format_of(path, format)
    if kind == "parquet":
        # Row numbers do for lines: Parquet has none.
        select = f"* EXCLUDE (file_row_number), file_row_number + 1 AS {quoted(LINE)}"
        _view(con, view, [path], select, "file_row_number=true", label)
        check_names(_parquet_names(path), label)  # a name that is there twice comes from the engine as name_1
        return _raw(con, view, label)
    folder = folder / view
    folder.mkdir()
    staged = text.stage(path, kind, folder, tick)
    _view(con, view, staged.rows, "*", "union_by_name=true", label)
    raw = _raw(con, view, label, staged.note)
    raw.broken = [(label, staged.broken)] if staged.broken else []
    return raw


def _parquet_names(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    return list(pq.read_schema(path).names)


def format_of(path: Path, asked: str | None) -> str:
    """parquet, csv or jsonl: what was asked for, or what the file's name says."""
    if asked is not None:
        if asked not in FORMATS:
            raise UsageError(f"format {asked!r} is not known", near(asked, ("parquet", "csv", "jsonl")))
        return FORMATS[asked]
    suffixes = [s[1:].lower() for s in path.suffixes if s.lower() != ".gz"]
    if suffixes and suffixes[-1] in FORMATS:
        return FORMATS[suffixes[-1]]
    raise UsageError(f"{path}: cannot tell its format by its name", "say --format parquet, csv or jsonl")


def _view(con: duckdb.DuckDBPyConnection, name: str, paths: list[Path], select: str, option: str, label: str) -> None:
    listed = ", ".join(literal(p) for p in paths)
    with reading(label, fixed=False):
        con.execute(f"CREATE VIEW {quoted(name)} AS SELECT {select} FROM read_parquet([{listed}], {option})")


def _raw(con: duckdb.DuckDBPyConnection, view: str, label: str, note: str = "") -> Raw:
    columns = {row[0]: row[1] for row in con.execute(f"DESCRIBE {quoted(view)}").fetchall() if row[0] != LINE}
    check_names(list(columns), label)
    rows = con.execute(f"SELECT count(*) FROM {quoted(view)}").fetchall()[0][0]
    return Raw(view, label, columns, rows, note=note)


@contextmanager
def reading(
    label: str, failed: str = "cannot be read", hint: str = "export it again; nothing was loaded", *, fixed: bool = True
) -> Iterator[None]:
    """A fault that a query meets in raw data becomes one line that names the file.

    `fixed` means a query of our own: that it does not parse or bind is a fault of this program and stays what it is.
    """
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException:
        raise ContractError(f"{label}: not enough memory or disk to load it at once", "load it in parts") from None
    except duckdb.Error as error:
        text.full(error)
        if fixed and isinstance(error, duckdb.BinderException | duckdb.CatalogException | duckdb.ParserException):
            raise
        what = " ".join(str(error).split("LINE 1:")[0].split())[:160]
        raise ContractError(f"{label} {failed} ({what})", hint) from None


def select(con: duckdb.DuckDBPyConnection, files: dict[str, Raw], sql: str, view: str, folder: Path) -> Raw:
    """The result of a mapping's SELECT over named files; its lines are the result's own rows.

    It runs on one thread, so that the same files give the same rows in the same order, and the first of two stays the
    first.

    Raises
    ------
    ContractError  if the SELECT does not run; says what the database said.
    """
    con.execute("CREATE SCHEMA given")  # a schema of their own: the names are the mapping's
    for alias, raw in files.items():
        rows = f"SELECT * EXCLUDE ({quoted(LINE)}) FROM main.{quoted(raw.view)}"
        con.execute(f"CREATE VIEW given.{quoted(alias)} AS {rows}")
    label = "+".join(r.label for r in files.values())
    target = folder / f"{view}.parquet"
    before = con.execute("SELECT current_setting('threads'), current_setting('preserve_insertion_order')").fetchall()[0]
    con.execute("SET threads = 1; SET preserve_insertion_order = true; SET search_path = 'given'")
    with reading(f"{label}: the mapping's select", "does not run", "mend the mapping; nothing was loaded", fixed=False):
        con.execute(f'CREATE VIEW "~select" AS {sql}')
        numbered = f'SELECT *, row_number() OVER () AS {quoted(LINE)} FROM "~select"'
        con.execute(f"COPY ({numbered}) TO {literal(target)} (FORMAT parquet)")
    con.execute(f"SET threads = {before[0]}; SET preserve_insertion_order = {before[1]}; SET search_path = 'main'")
    _view(con, view, [target], "*", "union_by_name=true", label)
    raw = _raw(con, view, label, ". ".join(r.note for r in files.values() if r.note))
    raw.broken = [broken for r in files.values() for broken in r.broken]
    return raw
