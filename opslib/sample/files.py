"""Arrays to Parquet, in the contract's own columns and types."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from opslib import contract
from opslib.sample.plan import CAMPAIGNS, CHANNELS

CHANNEL_NAMES = [c.name for c in CHANNELS]
CAMPAIGN_NAMES = [c.id for c in CAMPAIGNS]
ARROW = {
    "string": pa.string(),
    "json": pa.string(),
    "timestamp": pa.timestamp("us"),
    "date": pa.date32(),
    "int": pa.int64(),
    "float": pa.float64(),
}


def numbered(prefix: str, numbers: np.ndarray, width: int) -> pa.Array:
    """`prefix` and each number with leading zeros, as text; without a Python loop."""
    head = np.frombuffer(prefix.encode(), np.uint8)
    digits = (np.asarray(numbers, np.int64)[:, None] // 10 ** np.arange(width - 1, -1, -1)) % 10 + ord("0")
    flat = np.concatenate([np.broadcast_to(head, (len(digits), len(head))), digits.astype(np.uint8)], axis=1)
    offsets = np.arange(len(digits) + 1, dtype=np.int64) * (len(head) + width)
    if offsets[-1] >= 2**31:
        raise AssertionError("sample: a chunk is too large for one Arrow array")
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(np.ascontiguousarray(flat))]
    return pa.Array.from_buffers(pa.string(), len(digits), buffers)


def words(codes: np.ndarray, names: Any) -> pa.Array:
    """Text by number; a negative number is null."""
    indices = pa.array(np.asarray(codes, np.int32), mask=np.asarray(codes) < 0)
    return pa.DictionaryArray.from_arrays(
        indices, names if isinstance(names, pa.Array) else pa.array(names, pa.string())
    )


def numbers(values: np.ndarray) -> pa.Array:
    """Floats; NaN is null."""
    return pa.array(np.asarray(values, np.float64), from_pandas=True)


def integers(values: np.ndarray) -> pa.Array:
    """Integers; a negative one is null."""
    return pa.array(np.asarray(values, np.int64), mask=np.asarray(values) < 0)


def times(micros: np.ndarray) -> pa.Array:
    """UTC microseconds; 0 is null."""
    return pa.array(np.asarray(micros, np.int64), pa.timestamp("us"), mask=np.asarray(micros) == 0)


def dates(epoch_days: np.ndarray) -> pa.Array:
    return pa.array(np.asarray(epoch_days, np.int32), pa.int32()).cast(pa.date32())


def table(name: str, columns: Mapping[str, Any]) -> pa.Table:
    """The contract's table with these columns; missing ones are null, further ones are kept at the end."""
    spec = contract.table(name)
    length = len(next(iter(columns.values())))
    found: dict[str, pa.Array] = {}
    for column in spec.columns:
        kind, value = ARROW[column.type], columns.get(column.name)
        if value is None:
            value = pa.nulls(length, kind)
        elif not isinstance(value, pa.Array):
            value = pa.array(value, kind)
        found[column.name] = value
    return pa.table(found | {name: pa.array(v) for name, v in columns.items() if name not in spec.names})


def content_ids(n: int) -> pa.Array:
    return numbered("p", np.arange(n), 6)


def device_ids(numbers: np.ndarray) -> pa.Array:
    """Scattered numbers, so that a device does not spell its owner."""
    return numbered("d", (numbers.astype(np.int64) + 1) * 2_654_435_761 % 2**32, 10)


def addresses(numbers: np.ndarray) -> list[str]:
    """Addresses of the range for carriers' own networks (RFC 6598, 100.64.0.0/10), which belong to nobody."""
    scattered = (numbers.astype(np.int64) + 1) * 2_654_435_761 % 2**22
    return [f"100.{64 + (v >> 16)}.{v >> 8 & 255}.{v & 255}" for v in scattered.tolist()]


def nullable(values: pa.Array, absent: np.ndarray) -> pa.Array:
    return pc.if_else(pa.array(~absent), values, pa.scalar(None, pa.string()))


class Writers:
    """One Parquet file per table, a row group per chunk, moved into place when all is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open: dict[str, pq.ParquetWriter] = {}
        self.rows: dict[str, int] = {}

    def write(self, name: str, columns: Mapping[str, Any]) -> None:
        rows = table(name, columns)
        if name not in self.open:
            # Without the stored Arrow schema, readers see text where we wrote dictionaries.
            plain = [c for c in ("event_id", "order_id", "touch_id") if c in rows.column_names]
            coded: Any = [c for c in rows.column_names if c not in plain]
            self.open[name] = pq.ParquetWriter(
                self.folder / f"{name}.parquet.part",
                rows.schema,
                store_schema=False,
                use_dictionary=coded,
                compression="zstd",
            )
        self.open[name].write_table(rows)
        self.rows[name] = self.rows.get(name, 0) + len(rows)

    def close(self) -> None:
        for name, writer in self.open.items():
            writer.close()
            (self.folder / f"{name}.parquet.part").replace(self.folder / f"{name}.parquet")

    def discard(self) -> None:
        """Leave nothing half-written behind."""
        for name, writer in self.open.items():
            writer.close()
            (self.folder / f"{name}.parquet.part").unlink(missing_ok=True)
