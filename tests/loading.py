"""What the tests of loading share: files from plain rows, and the warehouse as plain rows."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections import defaultdict
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from opslib import warehouse

NOW = dt.datetime(2026, 3, 1, 12)  # the clock of every load here, UTC


def event(
    id: object = "e1", user: str | None = "u1", name: str = "pay", ts: object = "2026-01-05 10:00:00", **more
) -> dict:
    """One event in the contract's own columns."""
    return {"event_id": id, "user_id": user, "event": name, "ts": ts, **more}


def user(id: str = "u1", at: str = "2026-01-01 00:00:00", **more) -> dict:
    return {"user_id": id, "registered_at": at, **more}


def write(path: Path, rows: list[dict]) -> Path:
    """The rows as CSV, JSON Lines or Parquet, by the file's name."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            out = csv.DictWriter(file, columns)
            out.writeheader()
            out.writerows(rows)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows), encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist([{name: row.get(name) for name in columns} for row in rows]), path)
    return path


def stored(root: Path, table: str) -> list[dict]:
    """The rows of a table, as the manifest names them; in no order."""
    return _rows(root, warehouse.read(root).tables.get(table, []))


def aside(root: Path, table: str) -> list[dict]:
    """The rows in quarantine."""
    return _rows(root, warehouse.read(root).quarantine.get(table, []))


def keys(root: Path, id: str = "user_id") -> dict[str, int]:
    """The dictionary of integer keys."""
    return {row["id"]: row["key"] for row in _rows(root, warehouse.read(root).keys.get(id, []))}


def _rows(root: Path, parts: list[warehouse.Part]) -> list[dict]:
    if not parts:
        return []
    paths = [str(root / part.path) for part in parts]
    found = duckdb.connect().execute("FROM read_parquet(?, union_by_name = true)", [paths])
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def rolled_up(events: list[dict]) -> dict[tuple, tuple]:
    """What `daily` must hold, read aloud: user, day, event → n, first_ts, amount, duration_s."""
    groups = defaultdict(list)
    for row in events:
        groups[row["user_id"], row["day"], row["event"]].append(row)

    def total(rows: list[dict], name: str) -> float | None:
        values = [row[name] for row in rows if row[name] is not None]
        return round(sum(values), 6) if values else None

    return {
        key: (len(rows), min(row["ts"] for row in rows), total(rows, "amount"), total(rows, "duration_s"))
        for key, rows in groups.items()
    }


def daily(root: Path) -> dict[tuple, tuple]:
    """What `daily` holds, in the same shape."""
    rows = stored(root, "daily")
    found = {
        (r["user_id"], r["day"], r["event"]): (
            r["n"],
            r["first_ts"],
            *(None if r[name] is None else round(r[name], 6) for name in ("amount", "duration_s")),
        )
        for r in rows
    }
    assert len(found) == len(rows), "daily holds a user, day and event twice"
    assert _marks(rows) == _came(rows), "daily is wrong about when a user came before"
    return found


def _marks(rows: list[dict]) -> dict[tuple, tuple]:
    """What `daily` says of itself: user, key, day → event that says so, first day, day before."""
    marked = [r for r in rows if r["first_day"]]
    found = {(r["user_id"], r["user_key"], r["day"]): (r["event"], r["first_day"], r["previous_day"]) for r in marked}
    assert len(found) == len(marked) and not any(r["previous_day"] for r in rows if not r["first_day"])
    return found


def _came(rows: list[dict]) -> dict[tuple, tuple]:
    """The same, read aloud."""
    days = defaultdict(set)
    names = defaultdict(list)
    for r in rows:
        days[r["user_id"], r["user_key"]].add(r["day"])
        names[r["user_id"], r["user_key"], r["day"]].append(r["event"])
    return {
        (*who, day): (min(names[*who, day]), min(seen), max((d for d in seen if d < day), default=None))
        for who, seen in days.items()
        for day in seen
    }
