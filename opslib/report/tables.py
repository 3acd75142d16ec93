"""A pandas table as data for a page: labels, formats and cells, cut to what a page can carry and may show."""

from __future__ import annotations

import csv
import gzip
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING, Any

from opslib import columns, privacy, text
from opslib.errors import UsageError, near
from opslib.text import missing

if TYPE_CHECKING:
    import pandas as pd

ROWS = 20  # rows drawn on the page; all rows travel as CSV up to CSV_ROWS
CSV_ROWS = 5_000
CELL_LIMIT = 10_000  # characters of a cell

# A spreadsheet takes a text that starts like this for a formula; so do the full-width signs in some languages.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


@dataclass(frozen=True)
class KeyTable:
    """A table with a layout of its own; see `key_table`."""

    frame: pd.DataFrame
    group: str = ""
    spans: Mapping[str, Sequence[str]] = field(default_factory=dict)
    trend: Sequence[str] = ()


def key_table(
    frame: pd.DataFrame, *, group: str = "", spans: Mapping[str, Sequence[str]] | None = None, trend: Sequence[str] = ()
) -> KeyTable:
    """A table that people read closely: rows under group heads, columns under shared heads, small lines to compare.

    For the few key tables of a report; it costs the page about twice the bytes of a plain one.

    Parameters
    ----------
    frame : its first column names the rows
    group : the column whose values become heads within the table
    spans : words → the columns (side by side) that stand under them
    trend : columns whose cells hold a list of numbers, drawn as a line

    Raises
    ------
    UsageError  if a column is not in the table; names the near miss.
    """
    for name in (*filter(None, [group]), *(c for names in (spans or {}).values() for c in names), *trend):
        if name not in frame.columns:
            raise UsageError(f"key_table: the table has no column {name!r}", near(name, map(str, frame.columns)))
    return KeyTable(frame, group, dict(spans or {}), tuple(trend))


def payload(table: pd.DataFrame | KeyTable, labels: Mapping[str, str], formats: Mapping[str, str]) -> dict[str, Any]:
    """Columns with label and format, and rows of plain values; ids are masked, rows of very few people are emptied.

    Raises
    ------
    UsageError  if a column has no label in columns.yml or in `labels`; names the near miss.
    """
    layout = table if isinstance(table, KeyTable) else None
    frame = layout.frame if layout else table
    assert not isinstance(frame, KeyTable)
    heads = _columns(frame, labels, formats, layout)
    cut = frame.head(CSV_ROWS)
    rows = [[_value(v, c["format"]) for v, c in zip(row, heads, strict=True)] for row in cut.itertuples(index=False)]
    few = [at for at, small in enumerate(privacy.small_rows(cut)) if small]
    for at in few:
        rows[at] = [_held_back(v, c) for v, c in zip(rows[at], heads, strict=True)]
    data = {"columns": heads, "rows": rows, "total": len(frame), "withheld": few}
    data["csv"] = _packed(csv_text(data))
    if layout:
        data["layout"] = {"group": layout.group, "spans": {text.shown(k): list(v) for k, v in layout.spans.items()}}
    return data


def _columns(
    frame: pd.DataFrame, labels: Mapping[str, str], formats: Mapping[str, str], layout: KeyTable | None
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    last = "number"
    for name in map(str, frame.columns):
        kind = columns.format_of(name, formats, "number" if frame[name].dtype.kind in "iuf" else "text")
        if layout and name in layout.trend:
            kind = "trend"
        elif kind == "same":  # the ends of an interval are written as the number before them
            kind = last
        elif kind not in text.FORMATS:
            raise UsageError(f"the table's column {name!r} has no format {kind!r}", near(kind, text.FORMATS))
        if kind not in ("text", "user", "day", "trend"):
            last = kind
        people = columns.counts_people(name)
        own = {"own": True} if name in labels else {}
        found.append({"name": name, "label": columns.label(name, labels), "format": kind, "people": people} | own)
    return found


def _value(value: Any, kind: str) -> Any:
    from opslib.report.finding import _clean

    if kind == "trend":
        return [_clean(v) for v in value] if isinstance(value, list | tuple) else []
    value = _clean(value)
    if kind == "user" and value is not None:
        return privacy.masked(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    return text.shown(value, CELL_LIMIT)


def _held_back(value: Any, column: dict[str, Any]) -> Any:
    """What a row of very few people keeps: its names, and that they are few."""
    if column["format"] == "trend":
        return []
    if column["people"]:
        return privacy.withheld()
    return value if column["format"] in ("text", "day", "user") else None


def safe(value: Any) -> Any:
    """A text that a spreadsheet will not take for a formula: an apostrophe stands before =, +, - and @."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def csv_text(data: dict[str, Any]) -> str:
    """The table as CSV with its labels as heads, formula-safe."""
    held = StringIO()
    writer = csv.writer(held, lineterminator="\r\n")
    writer.writerow([safe(c["label"]) for c in data["columns"]])
    for row in data["rows"]:
        writer.writerow([_plain(v) for v in row])
    return held.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join("" if v is None else f"{v:g}" for v in value)
    return "" if missing(value) else safe(value)


def _packed(words: str) -> str:
    """UTF-8 with the mark that spreadsheets look for, compressed; the same text gives the same bytes."""
    return b64encode(gzip.compress(words.encode("utf-8-sig"), mtime=0)).decode()
