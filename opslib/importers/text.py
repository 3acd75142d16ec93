"""CSV and JSON Lines staged as Parquet: text columns and the line of every row; types are the load's business."""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opslib.errors import ContractError
from opslib.importers import rows
from opslib.importers.lines import encoding, lines

if TYPE_CHECKING:
    import pyarrow as pa

LINE = rows.RESERVED + "line"
_BATCH_ROWS, _BATCH_CHARS = 50_000, 64 * 2**20
Tick = Callable[[int], Any]


class Staged:
    """A raw file as Parquet files in `folder`: its rows, and the lines that are no rows (line, reason, row)."""

    def __init__(self, folder: Path, columns: list[str] | None = None) -> None:
        self.folder = folder
        self.columns = columns or []
        self.rows: list[Path] = []
        self.broken: list[Path] = []
        self.note = ""
        self._lines: list[int] = []
        self._values: list[Any] = []
        self._faults: list[tuple[int, str, str]] = []
        self._size = 0

    def fill(
        self, source: Iterable[rows.Row], to_columns: Callable[[list[Any]], dict[str, pa.Array]], tick: Tick
    ) -> None:
        """Take all rows in; `tick` hears of every batch."""
        for line, values, fault, raw in source:
            if fault:
                self._faults.append((line, fault, raw))
            else:
                self._lines.append(line)
                self._values.append(values)
            self._size += len(raw)
            if len(self._lines) >= _BATCH_ROWS or self._size > _BATCH_CHARS:
                self._flush(to_columns, tick)
        self._flush(to_columns, tick)

    def _flush(self, to_columns: Callable[[list[Any]], dict[str, pa.Array]], tick: Tick) -> None:
        if self._faults:
            numbers, reasons, raws = zip(*self._faults, strict=True)
            self._write(self.broken, "broken", numbers, {"reason": texts(reasons), "row": texts(raws)})
        if self._lines or not self.rows:
            self._write(self.rows, "rows", self._lines, to_columns(self._values))
        tick(len(self._lines) + len(self._faults))
        self._lines, self._values, self._faults, self._size = [], [], [], 0

    def _write(self, paths: list[Path], kind: str, numbers: Iterable[int], columns: dict[str, pa.Array]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        paths.append(self.folder / f"{kind}-{len(paths):05d}.parquet")
        table = pa.table({LINE: pa.array(numbers, pa.int64())} | columns)
        pq.write_table(table, paths[-1], use_dictionary=kind == "rows", write_statistics=False)  # lines can be long


def stage(path: Path, kind: str, folder: Path, tick: Tick) -> Staged:
    """Stage a `csv` or `jsonl` file in `folder`.

    Raises
    ------
    ContractError  if the file is not a text, has no header or no row, repeats a column, or ends in the middle of a
                   compressed stream.
    """
    try:
        name = encoding(path)
        staged = _csv(path, name, folder, tick) if kind == "csv" else _jsonl(path, name, folder, tick)
    except (EOFError, OSError, zlib.error) as error:
        full(error)
        what = getattr(error, "strerror", None) or error
        raise ContractError(f"{path} ends in the middle or is damaged ({what})", "export it again") from None
    if name != "utf-8":
        staged.note = f"{path.name} was read as {name.upper()}; save it as UTF-8 if that is wrong"
    return staged


def full(error: Exception) -> None:
    """A full disk is the warehouse's fault, not the file's: raise it as such, whoever met it."""
    said = os.strerror(errno.ENOSPC)
    if said in str(error):
        raise OSError(errno.ENOSPC, said) from None


def _csv(path: Path, name: str, folder: Path, tick: Tick) -> Staged:
    source = rows.Csv(path, lines(path, name))
    staged = Staged(folder, source.header)

    def to_columns(values: list[list[str]]) -> dict[str, pa.Array]:
        columns = zip(*values, strict=True) if values else ((),) * len(source.header)
        return {name: texts(column) for name, column in zip(source.header, columns, strict=True)}

    staged.fill(source, to_columns, tick)
    return staged


def _jsonl(path: Path, name: str, folder: Path, tick: Tick) -> Staged:
    staged = Staged(folder)

    def to_columns(values: list[dict[str, str | None]]) -> dict[str, pa.Array]:
        found = list(dict.fromkeys(name for row in values for name in row))
        staged.columns += [name for name in found if name not in staged.columns]
        rows.check_names(staged.columns, str(path))
        return {name: texts([row.get(name) for row in values]) for name in found}

    staged.fill(rows.jsonl(path, lines(path, name)), to_columns, tick)
    if not staged.columns:
        raise ContractError(f"{path} holds no row that can be read", "export one JSON object a line")
    return staged


def texts(values: Iterable[str | None]) -> pa.Array:
    import pyarrow as pa

    return pa.array(values, pa.large_string())
