"""What every test shares: contract tables from plain rows, on an engine of one's own."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import ibis
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings

from opslib import contract, text

# Every example of a metric compiles and runs a query: 25 a test keep the whole run short; OPSLIB_EXAMPLES=500 digs deeper.
settings.register_profile(
    "opslib",
    deadline=None,
    derandomize="OPSLIB_EXAMPLES" not in os.environ,  # the usual run is the same every time; digging deeper is not
    max_examples=int(os.environ.get("OPSLIB_EXAMPLES", "25")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("opslib")


@pytest.fixture(scope="session")
def con():
    """One in-memory DuckDB."""
    return ibis.duckdb.connect()


@pytest.fixture(autouse=True)
def readers_language():
    """Every test begins in Chinese, whichever ran before it: the command line sets English for its whole process."""
    text.use("zh", "CNY")


@pytest.fixture(scope="module")
def quick_disk():
    """Loads do not wait for the disk: no power cut is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


def bound(name: str, rows: list[dict]) -> ibis.Table:
    """A contract table from plain rows; columns that no row has are null.

    A missing local day is cut from its UTC timestamp, as a load in the UTC zone would do.
    """
    types = contract.types(name)
    extra = sorted({k for row in rows for k in row} - set(types))
    frame = pd.DataFrame(rows, columns=[*types, *extra])
    for column in contract.table(name).columns:
        if column.type == "timestamp":
            frame[column.name] = (
                pd.to_datetime(frame[column.name], utc=True).dt.tz_localize(None).astype("datetime64[us]")
            )
            if column.day and column.day in types and frame[column.day].isna().all():
                frame[column.day] = frame[column.name].dt.date
    schema = dict(types) | {name: "date" if name in contract.MARKS else "string" for name in extra}
    return ibis.memtable(
        frame.astype({n: "object" for n, t in schema.items() if t in ("string", "date")}), schema=ibis.schema(schema)
    )


def rolled_up(events: list[dict]) -> list[dict]:
    """The rows of `daily` that a load in the UTC zone makes of events."""
    found: dict[tuple, dict] = {}
    for row in sorted(events, key=lambda r: r["ts"]):
        key = (row["user_id"], row["ts"].date(), row["event"])
        first = {"user_id": key[0], "day": key[1], "event": key[2], "n": 0, "first_ts": row["ts"]}
        found.setdefault(key, first)["n"] += 1
    return list(found.values())


def marked(rows: list[dict]) -> list[dict]:
    """Rows of `daily` with what the warehouse adds to one of each user and day: the first day, and the one before."""
    days: dict[str, set[dt.date]] = {}
    for row in rows:
        days.setdefault(row["user_id"], set()).add(row["day"])
    found, seen = [], set()
    for row in sorted(rows, key=lambda row: row["event"]):
        own, who = days[row["user_id"]], (row["user_id"], row["day"])
        before = max((day for day in own if day < row["day"]), default=None)
        marks = (None, None) if who in seen else (min(own), before)
        found.append(row | dict(zip(contract.MARKS, marks, strict=True)))
        seen.add(who)
    return found


def at(day: int, hour: int = 12, minute: int = 0, second: int = 0) -> dt.datetime:
    """A moment on the given day after 2026-01-01, UTC."""
    return dt.datetime(2026, 1, 1) + dt.timedelta(days=day, hours=hour, minutes=minute, seconds=second)


ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def raw_sample(tmp_path_factory):
    """The sample product, small: a folder of raw files."""
    from opslib import sample

    folder = tmp_path_factory.mktemp("raw")
    sample.make(folder, users=3_000)
    return folder


@pytest.fixture(scope="session")
def sampled(tmp_path_factory):
    """The sample product in its default size, for the tests of what is planted in it."""
    from sampled import Sampled

    from opslib import sample

    folder = tmp_path_factory.mktemp("sampled")
    sample.make(folder)
    return Sampled(folder)


@pytest.fixture(scope="session")
def warehouse(raw_sample, tmp_path_factory):
    """The small sample, loaded."""
    from opslib import packs

    folder = tmp_path_factory.mktemp("warehouse")
    packs.load_folder(raw_sample, folder)
    return folder


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A project of its own with this one's notebooks and params, so that runs write into a folder of the test's."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("notebooks", "params"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture(autouse=True, scope="session")
def kernels_find_the_library():
    """Kernels start in other folders; where opslib is not installed they still import this one."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
