"""Where a large table is cut before it is made distinct, and that nothing else changes by it."""

from __future__ import annotations

import datetime as dt

import ibis
import pandas as pd
import pytest
from ibis import _
from pandas.testing import assert_frame_equal

from opslib import warehouse as houses
from opslib.engine import connect
from opslib.metrics._periods import last_day, observed_until
from opslib.metrics.activity import active_users, stickiness
from opslib.metrics.habits import usage_gaps
from opslib.metrics.lifecycle import lifecycle
from opslib.metrics.retention import retention
from opslib.warehouse import Part


def month(name: str, rows: int, last: str) -> Part:
    return Part("", rows, name, f"{name}-01", f"{name}-{last}")


def test_a_table_is_cut_where_so_many_more_rows_have_been_read(monkeypatch):
    monkeypatch.setattr("opslib.warehouse.PIECE", 1000)
    parts = [
        month("2026-01", 310, "31"),
        month("2026-02", 560, "28"),
        month("2026-03", 3000, "30"),
        Part("", 5, "2026-05"),
    ]
    found = houses.cuts([*parts, month("2026-04", 90, "30"), month("2026-04", 0, "30")])
    assert [str(day) for day in found] == ["2026-03-02", "2026-03-12", "2026-03-22"]
    assert (
        houses.cuts([]) == houses.cuts([month("2026-01", 900, "31")]) == houses.cuts([month("2026-01", 0, "31")]) == []
    )


@pytest.mark.parametrize("rows", [[10**6, 10**6], [99 * 10**6, 101 * 10**6] * 6, [1, 10**9, 1]])
def test_no_table_is_cut_into_more_pieces_than_can_be_planned(rows):
    found = houses.cuts([month(f"2026-{n:02d}", many, "28") for n, many in enumerate(rows, 1)])
    assert found == sorted(set(found)) and len(found) < houses.PIECES


def payers(t):
    return t.events.filter(t.events.user_id.isin(t.events.filter(t.events.event == "pay").user_id))


# Where a row is there because of others, or its day is another one, nothing may be cut.
DERIVED = {
    "users who ever paid": payers,
    "first rows": lambda t: t.events.mutate(n=ibis.row_number().over(group_by="user_id", order_by="ts")).filter(
        _.n == 0
    ),
    "rows of the first moment": lambda t: t.events.filter(t.events.ts == t.events.ts.min().over(group_by="user_id")),
    "another day": lambda t: t.events.mutate(day=(t.events.ts - ibis.interval(hours=5)).cast("date")),
    "another table": lambda t: t.orders.select("user_id", event=ibis.literal("pay"), day="paid_day"),
    "joined": lambda t: t.events.join(t.users.select("user_id", "registered_day"), "user_id"),
    "fewer columns and rows": lambda t: t.events.select("user_id", "event", day="day").filter(_.day > "2026-05-01"),
}


@pytest.mark.parametrize("name", DERIVED)
def test_derived_tables_count_the_same_in_pieces(warehouse, monkeypatch, name):
    def answer() -> pd.DataFrame:
        rows = DERIVED[name](connect(warehouse))
        found = active_users(rows, windows=(1, 7)).to_pandas()
        assert len(found)
        return found

    expected = answer()
    monkeypatch.setattr("opslib.warehouse.PIECE", 100)
    assert_frame_equal(answer(), expected)


IN_PIECES = {
    "active users": lambda t: active_users(t.events, windows=(1, 7, 30, "week", "month"), week_start="sunday"),
    "of one event": lambda t: active_users(t.events, event="pay", until=str(t.span()[1] - dt.timedelta(9))),
    "of daily": lambda t: active_users(t.daily, event="pay"),
    "weeks": lambda t: lifecycle(t.events, grain="week"),
    "months": lambda t: lifecycle(t.events, grain="month"),
    "cohorts": lambda t: retention(t.events, grain="week", periods=3),
    "days of users": lambda t: stickiness(t.events),
    "hours of users": lambda t: stickiness(t.events, grain="hour"),
    "days up to the last": lambda t: usage_gaps(t.events, days=40),
    "days up to a day that is sought": lambda t: usage_gaps(t.events.filter(_.user_id != ""), days=40),
}

UNCUT = ("hours of users", "days up to a day that is sought")  # an hour lies in two days; that day is of all rows


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


def test_the_last_day_of_a_stored_table_is_known_of_other_rows_sought(warehouse):
    t = connect(warehouse)
    held = t.events.agg(day=_.day.max()).to_pandas()["day"].item()
    fewer = t.events.filter(_.day < str(held))
    for rows, day, sought in ((t.events, held, False), (fewer, held - dt.timedelta(1), True)):
        asked = observed_until(rows, None, "test").as_table()
        assert asked.to_pandas().iloc[0].item() == day
        assert ("MAX(" in t.con.compile(asked).upper()) == sought


def test_the_days_of_files_are_known_where_all_say_them():
    told, silent, empty = Part("", 5, "", "2026-01-01", "2026-01-09"), Part("", 5), Part("", 0)
    earlier = Part("", 1, "", "2025-12-30", "2026-01-02")
    assert houses.days([told, earlier, empty]) == (dt.date(2025, 12, 30), dt.date(2026, 1, 9))
    assert houses.days([told, silent]) is houses.days([empty]) is houses.days([]) is None


def test_each_table_has_its_own_last_day_and_no_other_column_has_it(warehouse):
    t = connect(warehouse)
    for day, known in ((t.orders.paid_day, True), (t.users.registered_day, True), (t.daily.first_day, False)):
        asked = last_day(day, None, "test").as_table()
        assert asked.to_pandas().iloc[0].item() == day.max().to_pandas()
        assert ("MAX(" in t.con.compile(asked).upper()) != known


@pytest.mark.parametrize("grain", ["day", "week", "month"])
def test_daily_tells_the_same_as_events(warehouse, grain):
    t = connect(warehouse)
    for metric in (stickiness, lifecycle):
        for event in (None, "pay"):
            daily, events = (metric(rows, grain=grain, event=event).to_pandas() for rows in (t.daily, t.events))
            assert_frame_equal(daily, events)
