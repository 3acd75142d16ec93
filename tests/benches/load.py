"""Loading a Parquet file against a bare copy of it and one look for repeated keys, which is the least that a load does."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb

from opslib import load
from tests.bench import Bench, Data


def bench_load(data: Data) -> Bench:
    """A fifth of the events (1 M by default), in the order of time, as trackers export them."""
    return _bench("load, in the order of time", data.raw(data.events // 5), 4.0)


def bench_load_shuffled(data: Data) -> Bench:
    """The same in no order at all: every month is scattered over the whole file."""
    return _bench("load, in no order", data.raw(data.events // 5, shuffled=True), 4.0)


def _bench(what: str, raw: Path, promise: float) -> Bench:
    def ours() -> int:
        with tempfile.TemporaryDirectory() as folder:
            return load("events", raw, folder).new

    def reference() -> int:
        con = duckdb.connect()
        with tempfile.TemporaryDirectory() as folder:
            con.execute(f"COPY (FROM read_parquet('{raw}')) TO '{folder}/copy.parquet' (FORMAT parquet)")
        con.execute(f"CREATE TABLE keys AS SELECT DISTINCT event_id FROM read_parquet('{raw}')")
        return con.execute("SELECT count(*) FROM keys").fetchall()[0][0]

    return Bench(f"{what}, {raw.stem.split('-')[1]} events", ours, reference, promise)
