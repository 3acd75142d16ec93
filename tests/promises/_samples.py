"""The tables of a raw sample as the contract has them, without a load: local days beside every moment, extra columns none."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ibis

from opslib import contract, sample

HOURS = 8  # Asia/Shanghai, which the sample lives in


@contextmanager
def made(seed: int, users: int) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A sample of that seed, and the truths planted in it; gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder), sample.make(folder, seed=seed, users=users)


@contextmanager
def tables(folder: Path, *names: str, without: Collection[str] = ()) -> Iterator[SimpleNamespace]:
    """Tables of a sample, and `ask`, which answers with a table of pandas; `without` leaves out some users."""
    con = ibis.duckdb.connect()
    con.raw_sql("SET threads = 1; SET memory_limit = '1500MB'")  # many samples, one after the other: no core to spare
    found = {}
    for name in names:
        rows = con.read_parquet(str(folder / f"{name}.parquet"), table_name=name)
        if without and "user_id" in rows.columns:
            rows = rows.anti_join(ibis.memtable({"user_id": sorted(without)}), "user_id")
        days = {
            column.day: (rows[column.name] + ibis.interval(hours=HOURS)).date()
            for column in contract.table(name).columns
            if column.day and column.name in rows.columns
        }
        found[name] = rows.mutate(**days)
    try:
        yield SimpleNamespace(ask=con.to_pandas, **found)
    finally:
        con.disconnect()
