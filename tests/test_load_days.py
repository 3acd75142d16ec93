"""Local days and local times against Python's zoneinfo, row by row, also on days on which the clocks change."""

from __future__ import annotations

import datetime as dt
from functools import cache
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loading import NOW, event, stored, write

import opslib
from opslib.importers import zones

pytestmark = pytest.mark.usefixtures("quick_disk")
CON = duckdb.connect()
ZONES = [
    "Asia/Shanghai",
    "UTC",
    "Europe/London",
    "America/New_York",
    "Asia/Kathmandu",  # 5:45 east
    "Australia/Lord_Howe",  # clocks change by half an hour
    "Pacific/Apia",  # left out 30 December 2011
    "America/Caracas",  # half an hour in 2007, back in 2016
    "Africa/Casablanca",  # two more changes round every Ramadan
    "Antarctica/Troll",  # clocks change by two hours
    "Pacific/Kiritimati",  # 14 hours east
    "Etc/GMT+12",
]


@cache
def changes(zone: str) -> list[dt.datetime]:
    return [at for at, _ in zones.offsets(ZoneInfo(zone), dt.datetime(2005, 1, 1), dt.datetime(2028, 1, 1))][1:]


@st.composite
def moments(draw: st.DrawFn) -> tuple[str, list[dt.datetime]]:
    """A zone and UTC moments, many of them near a change of its clocks."""
    zone = draw(st.sampled_from(ZONES))
    anywhen = st.datetimes(dt.datetime(2005, 1, 1), dt.datetime(2027, 12, 31))
    near = [st.sampled_from(changes(zone))] if changes(zone) else []
    hours = st.timedeltas(dt.timedelta(hours=-26), dt.timedelta(hours=26))
    around = [st.builds(lambda at, by: at + by, some, hours) for some in near]
    exact = [st.builds(lambda at, by: at + dt.timedelta(microseconds=by), some, st.integers(-1, 1)) for some in near]
    return zone, draw(st.lists(st.one_of(anywhen, *around, *exact), min_size=1, max_size=30))


def computed(sql: str, values: list[dt.datetime]) -> list:
    listed = ", ".join(f"TIMESTAMP '{value}'" for value in values)
    return [row[0] for row in CON.execute(f"SELECT {sql} FROM (SELECT unnest([{listed}]) AS ts)").fetchall()]


@given(moments())
def test_a_local_day_is_the_zone_s_own(case):
    zone, values = case
    sql = zones.local_day("ts", ZoneInfo(zone), min(values), max(values))
    expected = [value.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(zone)).date() for value in values]
    assert computed(sql, values) == expected


@given(moments())
def test_a_local_time_is_the_zone_s_own_and_the_first_of_two(case):
    zone, values = case
    sql = zones.utc("ts", ZoneInfo(zone), min(values), max(values))
    expected = [value.replace(tzinfo=ZoneInfo(zone)).astimezone(dt.UTC).replace(tzinfo=None) for value in values]
    assert computed(sql, values) == expected


@settings(max_examples=10)
@given(moments())
def test_every_row_of_a_load_has_its_local_day(tmp_path_factory, case):
    zone, values = case
    folder = tmp_path_factory.mktemp("days")
    rows = [event(f"e{at}", ts=value) for at, value in enumerate(values)]
    opslib.load("events", write(folder / "rows.parquet", rows), folder / "w", tz=zone, now=dt.datetime(2028, 1, 1))
    found = stored(folder / "w", "events")
    assert len(found) == len(values)
    for row in found:
        assert row["day"] == row["ts"].replace(tzinfo=dt.UTC).astimezone(ZoneInfo(zone)).date()


def test_every_timestamp_has_its_own_local_day(tmp_path):
    row = {
        "feedback_id": "f1", "ts": "2026-01-05 15:59:59", "source": "review",
        "resolved_at": "2026-01-05 16:00:00", "replied_at": None,
    }  # fmt: skip
    opslib.load("feedback", write(tmp_path / "f.jsonl", [row]), tmp_path / "w", now=NOW)
    found = stored(tmp_path / "w", "feedback")[0]
    assert (found["day"], found["resolved_day"], found["replied_day"]) == (
        dt.date(2026, 1, 5),
        dt.date(2026, 1, 6),
        None,
    )


def test_without_a_word_the_zone_is_shanghai(tmp_path):
    opslib.load("events", write(tmp_path / "e.csv", [event(ts="2026-01-05 16:00:00")]), tmp_path / "w", now=NOW)
    assert stored(tmp_path / "w", "events")[0]["day"] == dt.date(2026, 1, 6)


@pytest.mark.parametrize(
    "text, utc",
    [
        ("2026-01-05 10:00:00", dt.datetime(2026, 1, 5, 10)),
        ("2026-01-05T10:00:00Z", dt.datetime(2026, 1, 5, 10)),
        ("2026-01-05T10:00:00.123456+08:00", dt.datetime(2026, 1, 5, 2, 0, 0, 123456)),
        ("2026-01-05 10:00:00-03:30", dt.datetime(2026, 1, 5, 13, 30)),
        ("2026-01-05 10:00:00+08", dt.datetime(2026, 1, 5, 2)),
        ("2026-01-05", dt.datetime(2026, 1, 5)),
        ("2026/1/5 9:05", dt.datetime(2026, 1, 5, 9, 5)),
    ],
)
@pytest.mark.parametrize("tz", [None, "America/St_Johns"])
def test_a_text_says_its_own_offset_and_is_utc_without_one(tmp_path, text, utc, tz):
    """With `tz`, a text without an offset is a local time of that zone; one with an offset keeps its own."""
    path = write(tmp_path / "e.csv", [event(ts=text)])
    mapping = {"columns": {"ts": {"column": "ts", "tz": tz}}} if tz else None
    opslib.load("events", path, tmp_path / "w", mapping=mapping, now=NOW)
    has_offset = "Z" in text or "+" in text or "-03:30" in text
    late = dt.timedelta(hours=3, minutes=30) if tz and not has_offset else dt.timedelta()
    assert stored(tmp_path / "w", "events")[0]["ts"] == utc + late
