"""Where a large table is cut before it is made distinct, and that nothing else changes by it."""

from __future__ import annotations

import datetime as dt

import pytest
from pandas.testing import assert_frame_equal

from opslib import warehouse as houses
from opslib.engine import connect
from opslib.metrics.activity import active_users, stickiness
from opslib.metrics.habits import usage_gaps
from opslib.metrics.lifecycle import lifecycle
from opslib.metrics.retention import retention
from opslib.warehouse import Part


def month(name: str, rows: int, last: str) -> Part:
    return Part("", rows, name, f"{name}-01", f"{name}-{last}")


def test_a_table_is_cut_between_months_and_large_months_inside(monkeypatch):
    monkeypatch.setattr("opslib.warehouse.PIECE", 1000)
    parts = [
        month("2026-01", 300, "31"),
        month("2026-02", 600, "28"),
        month("2026-03", 3000, "30"),
        Part("", 5, "2026-05"),
    ]
    found = houses.cuts([*parts, month("2026-04", 100, "30")])
    assert [str(day) for day in found] == ["2026-03-01", "2026-03-11", "2026-03-21", "2026-04-01"]
    assert houses.cuts([]) == houses.cuts([month("2026-01", 900, "31")]) == []
    assert len(houses.cuts([month("2026-01", 10**6, "31"), month("2026-02", 10**6, "28")])) < houses.PIECES


IN_PIECES = {
    "active users": lambda t: active_users(t.events, windows=(1, 7, 30, "week", "month"), week_start="sunday"),
    "of one event": lambda t: active_users(t.events, event="pay", until=str(t.span()[1] - dt.timedelta(9))),
    "of daily": lambda t: active_users(t.daily, event="pay"),
    "weeks": lambda t: lifecycle(t.events, grain="week"),
    "months": lambda t: lifecycle(t.events, grain="month"),
    "cohorts": lambda t: retention(t.events, grain="week", periods=3),
    "days of users": lambda t: stickiness(t.events),
    "hours of users": lambda t: stickiness(t.events, grain="hour"),
    "days up to a day that is sought": lambda t: usage_gaps(t.events, days=40),
}

UNCUT = ("hours of users", "days up to a day that is sought")  # an hour lies in two days; the last day is of all rows


@pytest.mark.parametrize("name", IN_PIECES)
def test_what_is_made_distinct_in_pieces_is_the_same(warehouse, monkeypatch, name):
    whole = connect(warehouse)
    expected = IN_PIECES[name](whole).to_pandas()
    monkeypatch.setattr("opslib.warehouse.PIECE", 100)
    pieces = connect(warehouse)
    asked = IN_PIECES[name](pieces)
    by = list(expected.columns)
    assert_frame_equal(*(f.sort_values(by, ignore_index=True) for f in (asked.to_pandas(), expected)))
    assert (pieces.con.compile(asked).count("DISTINCT") > 5) == (name not in UNCUT)
