"""The lists of an earlier report: whom the last one wanted to reach, so that this one can say whether it helped."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opslib.report.lists import read_list

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
        end = last_day(record)
        path = run / "lists" / f"{name}.csv"
        if path.exists() and not (before and end and end >= before):
            table = read_list(path)
            facts = {"run": run.name, "started": record.get("started", ""), "period": record.get("period", "")}
            table.attrs |= facts | {"end": end}
            return table
    return None


def last_day(record: dict[str, Any]) -> str:
    """The last ISO day of a run's period; empty where its report names none."""
    return max(_DAY.findall(record.get("period", "")), default="")


def earlier_lists(names: Iterable[str], *, before: str = "", **where: str) -> pd.DataFrame | None:
    """Several lists of one earlier run under each other, with a column `list`; None where no run has any of them.

    A list that this run lacks is left out; `attrs` are those of `earlier`.
    """
    import pandas as pd

    found = {name: earlier(name, before=before, **where) for name in names}
    kept = {name: table for name, table in found.items() if table is not None}
    if not kept:
        return None
    newest = max(kept.values(), key=lambda table: table.attrs["run"]).attrs
    same = [table.assign(list=name) for name, table in kept.items() if table.attrs["run"] == newest["run"]]
    for table in same:
        table.attrs = {}  # pandas compares them when it joins
    both = pd.concat(same, ignore_index=True)
    both.attrs |= newest
    return both


def _good(folder: Path, source: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Good runs of a module on a source, newest first; a record that cannot be read is passed over."""
    for run in sorted(folder.glob("*/"), key=lambda p: p.name, reverse=True):
        try:
            record = json.loads((run / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(record, dict) and record.get("status") == "ok" and record.get("source") == source:
            yield run, record
