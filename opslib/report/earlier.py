"""The lists of an earlier report: whom the last one wanted to reach, so that this one can say whether it helped."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opslib.report.lists import UNGUARD

if TYPE_CHECKING:
    import pandas as pd

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def earlier(
    name: str, *, before: str = "", module: str = "", source: str = "", outputs: str | Path = ""
) -> pd.DataFrame | None:
    """The list `name` that the last good run of this module on this source left behind; None without one.

    Parameters
    ----------
    name : of the list, as `write_list` was given it
    before : ISO day; only runs whose reporting period ended before it, so that a report run twice does not read itself
    module, source, outputs : of the run in progress where not given; outside a run there is no such, and no list

    Definition: the newest run with status "ok" that has the list; failed runs and other sources are passed over. Columns
    that end in `_id` are texts as they were written, the signs that guard a spreadsheet against formulas taken off
    again; days stay ISO texts. `attrs` of the table name the run: `run` (its folder), `started`, `period`, `end` (the
    period's last day, empty where the report names none).
    """
    current = Path(os.environ.get("OPSLIB_RUN_DIR", ""))
    inside = current.parent.name == ".aside"
    module = module or (current.name.split("-")[0] if inside else "")
    source = source or os.environ.get("OPSLIB_RUN_SOURCE", "")
    folder = Path(outputs) if outputs else current.parents[1] if inside else Path("outputs")
    for run, record in _good(folder / module, source) if module else ():
        end = max(_DAY.findall(record.get("period", "")), default="")
        path = run / "lists" / f"{name}.csv"
        if path.exists() and not (before and end and end >= before):
            table = _read(path)
            facts = {"run": run.name, "started": record.get("started", ""), "period": record.get("period", "")}
            table.attrs |= facts | {"end": end}
            return table
    return None


def _good(folder: Path, source: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Good runs of a module on a source, newest first; a record that cannot be read is passed over."""
    for run in sorted(folder.glob("*/"), key=lambda p: p.name, reverse=True):
        try:
            record = json.loads((run / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(record, dict) and record.get("status") == "ok" and record.get("source") == source:
            yield run, record


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    heads = pd.read_csv(path, nrows=0, encoding="utf-8-sig").columns
    table = pd.read_csv(
        path,
        encoding="utf-8-sig",
        keep_default_na=False,
        na_values=[""],
        dtype={c: "string" for c in heads if c.endswith("_id")},
    )
    for name in table.columns:
        if pd.api.types.is_string_dtype(table[name]):
            table[name] = table[name].astype(object).str.replace(UNGUARD, "", regex=True)
    return table
