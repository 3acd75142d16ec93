"""Lists of users or items beside the report: every row, full ids, as CSV; the page links to them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opslib.errors import UsageError
from opslib.report.finding import show
from opslib.report.tables import _FORMULA
from opslib.text import shown

# A text that a guard would make of another one is guarded too, so that `earlier` reads every text back as it was.
_STARTS = "^('*[" + re.escape("".join(_FORMULA)) + "])"
_UNGUARD = "^'(?=" + _STARTS[1:] + ")"  # the apostrophe to take off again

_OF_THINGS = ("content_id", "campaign_id", "experiment_id")  # ids of no person


def write_list(name: str, frame: Any, *, title: str = "") -> Path:
    """Write `lists/NAME.csv` beside the report (UTF-8 with BOM, formula-safe) and link to it from the page.

    Ids stand in full here, and only here; the page masks them. A lazy table is streamed by its engine, so that millions of rows
    never stand in memory. Outside a run the file goes to `outputs/_interactive/`.

    Parameters
    ----------
    name : lower-case letters, digits, _ and -; also the file's name
    frame : a pandas table, or a lazy (ibis) one
    title : what the list holds, in the reader's words

    Raises
    ------
    UsageError  if the name is not a plain file name.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,80}", name):
        raise UsageError(
            f"write_list: a name is lower-case letters, digits, _ and -, got {name!r}", "write 'at_risk_users'"
        )
    folder = Path(os.environ.get("OPSLIB_RUN_DIR") or Path("outputs") / "_interactive") / "lists"
    folder.mkdir(parents=True, exist_ok=True)
    path, aside = folder / f"{name}.csv", folder / f".{name}.new"
    rows = _write(aside, frame)
    aside.replace(path)
    ids = any(str(column).endswith("id") and str(column) not in _OF_THINGS for column in frame.columns)
    show({"kind": "list", "name": name, "title": shown(title), "rows": rows, "ids": ids})
    return path


def read_list(path: Path, *, texts: bool = False) -> Any:
    """What `write_list` wrote, as a pandas table: the apostrophes that guard a spreadsheet taken off again.

    Columns that end in `_id` are texts as they were written, days stay ISO texts; with `texts` every column is a text, and
    what is empty an empty one.

    Raises
    ------
    OSError, ValueError  if the file is not there or not a table.
    """
    import pandas as pd

    asked: dict[str, Any] = {"encoding": "utf-8-sig", "keep_default_na": False}
    if texts:
        table = pd.read_csv(path, dtype=str, **asked)
    else:
        ids = [c for c in pd.read_csv(path, nrows=0, **asked).columns if c.endswith("_id")]
        table = pd.read_csv(path, na_values=[""], dtype=dict.fromkeys(ids, "string"), **asked)
    for name in table.columns:
        if pd.api.types.is_string_dtype(table[name]):
            table[name] = table[name].astype(object).str.replace(_UNGUARD, "", regex=True)
    return table


def _write(path: Path, frame: Any) -> int:
    """Every batch of the table to the file; the number of rows."""
    import pyarrow.csv

    rows, writer = 0, None
    with path.open("wb") as file:
        file.write(b"\xef\xbb\xbf")
        for batch in _batches(frame):
            batch = _safe(batch)
            if writer is None:
                writer = pyarrow.csv.CSVWriter(file, batch.schema)
            writer.write(batch)
            rows += batch.num_rows
        if writer is not None:
            writer.close()
    return rows


def _batches(frame: Any) -> Iterator[Any]:
    """Arrow tables of the frame, one after the other; at least one, so that an empty list has its heads."""
    import pyarrow as pa

    if hasattr(frame, "to_pyarrow_batches"):
        with frame.to_pyarrow_batches(chunk_size=100_000) as reader:
            yield reader.schema.empty_table()
            for batch in reader:
                yield pa.Table.from_batches([batch])
        return
    try:
        yield pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # a column of mixed types
        mixed = dict.fromkeys(frame.select_dtypes("object").columns, "string")
        yield pa.Table.from_pandas(frame.astype(mixed), preserve_index=False)


def _safe(batch: Any) -> Any:
    """Texts that a spreadsheet would take for a formula get an apostrophe; what CSV cannot carry becomes text; numbers are steady."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for at, column in enumerate(batch.columns):
        kind = column.type
        if pa.types.is_dictionary(kind):
            column, kind = column.cast(kind.value_type), kind.value_type
        if pa.types.is_nested(kind):
            column, kind = (
                pa.chunked_array([pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.string())]),
                pa.string(),
            )
        if pa.types.is_float64(kind):
            column = pa.chunked_array([pa.array(_steady(column.to_numpy()), from_pandas=True)])
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            column = pc.replace_substring_regex(column.cast(pa.string()), _STARTS, r"'\1")
        batch = batch.set_column(at, batch.schema.field(at).name, column)
    return batch


def _steady(values: Any) -> Any:
    """The numbers with 12 digits: the further ones show in which order a sum was taken, which is another in every run."""
    import numpy as np

    with np.errstate(all="ignore"):
        scale = 10.0 ** (11 - np.floor(np.log10(np.abs(values))))
        kept = np.round(values * scale) / scale
    return np.where(np.isfinite(scale) & (scale > 0) & (values != np.floor(values)), kept, values)
