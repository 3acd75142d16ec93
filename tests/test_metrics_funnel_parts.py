"""Funnels by segment, by day of entry and by time: equality with the oracle on generated data."""

from __future__ import annotations

import datetime as dt
import statistics

import numpy as np
import oracles_funnel as oracle
import pytest
from conftest import bound, rolled_up
from hypothesis import given, settings
from hypothesis import strategies as st

from opslib.errors import UsageError
from opslib.metrics.first_steps import step_times
from opslib.metrics.funnel import funnel, funnel_steps
from opslib.metrics.funnel_breakdown import funnel_breakdown
from opslib.metrics.funnel_time import time_histogram, time_to_convert
from opslib.metrics.funnel_trend import funnel_trend
from opslib.metrics.newcomers import newcomer_steps
from opslib.text import speaking

FIFTH = max(
    1, settings().max_examples // 5
)  # these compile the largest queries there are; each example holds many users
START = dt.datetime(2026, 1, 1)
STEPS = ["A", "B", "C"]
# Four hours are one step of time, so that a few days hold many ties.
seen = st.tuples(
    st.sampled_from("stuvwxyz"), st.sampled_from("AABCX"), st.integers(0, 30), st.sampled_from([None, "p", "p", "q", "r"])
)  # fmt: skip
histories = st.one_of(*[st.lists(seen, min_size=20, max_size=80)] * 5, st.lists(seen, max_size=2))
windows = st.sampled_from([None, 4, 24, 48])


def plain(drawn) -> list[dict]:
    return [
        {"user": u, "event": e, "ts": START + dt.timedelta(hours=4 * n), "id": f"{i:04d}", "item": v}
        for i, (u, e, n, v) in enumerate(drawn)
    ]


def table(rows):
    names = {"id": "event_id", "user": "user_id", "item": "content_id"}
    return bound("events", [{names.get(k, k): v for k, v in row.items()} for row in rows])


def daily(rows):
    return bound("daily", rolled_up([row | {"user_id": row["user"]} for row in rows]))


def asked(hours: int | None, entry: str = "best") -> tuple[oracle.Asked, dict]:
    seconds = None if hours is None else hours * 3600
    return oracle.Asked(STEPS, window=seconds, entry=entry), {
        "steps": STEPS,
        "window_days": None if hours is None else dt.timedelta(hours=hours),
        "entry": entry,
    }


@pytest.mark.parametrize("attribution", ["first_touch", "last_touch", "step", "entry", "all_events"])
@given(drawn=histories, hours=windows, step=st.integers(1, 3), limit=st.sampled_from([25, 25, 1, 2]))
@settings(max_examples=max(1, FIFTH // 2))
def test_a_breakdown_is_its_definition(drawn, hours, attribution, step, limit):
    rows, (question, arguments) = plain(drawn), asked(hours)
    how = {"attribution": attribution, "attribution_step": step, "limit": limit}
    found = funnel_breakdown(table(rows), breakdown="content_id", **how, **arguments).to_pandas()
    counts = {s: own.sort_values("step")["users"].tolist() for s, own in found.groupby("segment")}
    assert counts == oracle.segments(rows, question, attribution, step, limit)
    assert set(found.loc[found["other"], "segment"]) <= {"Other"}


def test_in_any_order_the_first_step_has_each_value_that_can_enter():
    """PostHog, test_funnel_unordered.py, test_funnel_step_breakdown_with_step_attribution."""
    rows = plain(
        [("s", "A", 3, "p"), ("s", "B", 4, None), ("t", "A", 4, None), ("t", "B", 10, "q"), ("u", "A", 11, "r")]
    )
    how = {"order": "unordered", "attribution": "step", "breakdown": "content_id"}
    found = funnel_breakdown(table(rows), steps=["A", "B"], **how).to_pandas()
    counts = {s: own.sort_values("step")["users"].tolist() for s, own in found.groupby("segment")}
    assert counts == {"p": [1, 1], "(none)": [2, 1], "q": [1, 0], "r": [1, 0]}


@given(histories, windows, st.sampled_from(["best", "first"]))
@settings(max_examples=FIFTH)
def test_a_trend_is_its_definition(drawn, hours, entry):
    rows, (question, arguments) = plain(drawn), asked(hours, entry)
    found = funnel_trend(table(rows), **arguments).to_pandas()
    days = [r["ts"].date() for r in rows]
    expected = oracle.trend(rows, question, min(days, default=START.date()), max(days, default=START.date()))
    got = {r.start.date(): (r.entered, r.converted, r.closed) for r in found.itertuples()}
    assert all(expected[day] == counts for day, counts in got.items())
    assert all(counts[0] == 0 for day, counts in expected.items() if day not in got)


@given(histories, windows)
@settings(max_examples=max(1, FIFTH // 2))
def test_times_and_their_histogram_are_their_definition(drawn, hours):
    rows, (question, arguments) = plain(drawn), asked(hours)
    seconds = oracle.times(rows, question, 1, 3)
    found = time_to_convert(table(rows), from_step=1, to_step=3, quantiles=(0.1, 0.5), **arguments).to_pandas()
    assert len(found) == bool(seconds)
    if seconds:
        row = found.iloc[0]
        assert (row["users"], row["min_s"], row["max_s"]) == (len(seconds), seconds[0], seconds[-1])
        shown = [row["mean_s"], row["p10_s"], row["p50_s"]]
        assert shown == pytest.approx([statistics.fmean(seconds), *np.quantile(seconds, [0.1, 0.5])])
        if len(seconds) > 1:
            assert row["var_s"] == pytest.approx(statistics.variance(seconds))
    edges = [0, 4 * 3600, 24 * 3600]
    bins = time_histogram(table(rows), from_step=1, to_step=3, edges=edges, **arguments).to_pandas()
    assert bins["users"].tolist() == oracle.histogram(seconds, edges)
    own = time_histogram(table(rows), from_step=1, to_step=3, **arguments).to_pandas()
    assert own["users"].sum() == len(seconds)
    assert own["users"].tolist() == oracle.histogram(seconds, own["low_s"].tolist())


# A first day of three instants: nearly every user has ties.
crowded = st.lists(
    st.tuples(st.sampled_from("stuvwxyz"), st.sampled_from("AABBC"), st.integers(0, 2), st.none()), min_size=30, max_size=60
)  # fmt: skip


def test_a_row_takes_one_step_of_the_way_in_and_ids_order_one_instant(con):
    def reached(*steps: str, order: str, later: str = "") -> list[int]:
        rows = plain([*(("s", e, 0, None) for e in order), *(("s", e, 1, None) for e in later), ("s", "X", 60, None)])
        found = newcomer_steps(table(rows[::-1]), daily(rows), steps=steps)
        return con.to_pandas(found)["reached"].tolist()

    assert reached("A", "A", order="A") == [1] and reached("A", "A", order="AA") == [2]
    assert reached("A", "B", "C", order="BAC") == [1] and reached("A", "B", "C", order="CABC") == [3]
    assert reached("A", "B", "C", order="A", later="CB") == [2]  # the second and the third step share their instant


@given(st.one_of(histories, crowded), windows)
@settings(max_examples=FIFTH)
def test_the_way_in_of_new_users_is_the_funnel_of_those_who_entered_on_their_first_day(drawn, hours):
    rows, (question, arguments) = plain(drawn), asked(hours, "first")
    del arguments["entry"]
    first = {user: min(r["ts"].date() for r in rows if r["user"] == user) for user in {r["user"] for r in rows}}
    entered = {r["user"] for r in rows if r["event"] == STEPS[0] and r["ts"].date() == first[r["user"]]}
    new = [r for r in rows if r["user"] in entered]

    reached = newcomer_steps(table(rows), daily(rows), until="2026-02-01", **arguments).to_pandas()
    expected = oracle.funnel(new, question)
    assert [reached.loc[reached["reached"] >= i, "users"].sum() for i in (1, 2, 3)] == expected
    assert reached["users"].sum() == len(first)

    found = step_times(table(rows), daily(rows), **arguments).to_pandas().set_index(["from_step", "to_step"])
    pairs = {pair: seconds for pair in ((1, 2), (2, 3), (1, 3)) if (seconds := oracle.times(new, question, *pair))}
    assert set(found.index) == set(pairs)
    for pair, seconds in pairs.items():
        row = found.loc[pair]
        assert (row["users"], row["min_s"], row["max_s"]) == (len(seconds), seconds[0], seconds[-1])
        assert row["p50_s"] == pytest.approx(np.quantile(seconds, 0.5))


@given(histories)
@settings(max_examples=FIFTH)
def test_how_often_a_step_happened_needs_no_order(drawn):
    rows = plain(drawn)
    found = funnel_steps(table(rows), steps=["C", "A", "none"]).to_pandas()
    expected = [[sum(r["event"] == e for r in rows), len({r["user"] for r in rows if r["event"] == e})] for e in ("C", "A", "none")]  # fmt: skip
    assert found[["rows", "users"]].to_numpy().tolist() == expected


def test_how_often_a_step_happened_is_asked_of_the_period_and_the_filter():
    rows = plain([("u", "A", 0, "p"), ("u", "A", 6, "p"), ("v", "A", 7, "q"), ("v", "C", 12, "p"), ("u", "C", 7, "p")])
    how = {"period": ("2026-01-02", "2026-01-02"), "where": {"content_id": "p"}}  # six steps of time are a day
    found = funnel_steps(table(rows), steps=["A", "C"], **how).to_pandas()
    assert found[["rows", "users"]].to_numpy().tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize(("users", "bins", "width"), [(27, 3, 35), (28, 4, 27), (8, 2, 14)])
def test_a_histogram_has_as_many_bins_as_the_cube_root_of_its_times(users, bins, width):
    rows = [
        {"user": f"u{i}", "event": e, "ts": START + dt.timedelta(seconds=s), "id": f"{i}{e}"}
        for i in range(users)
        for e, s in (("A", 0), ("B", 4 * i + 1))
    ]
    found = time_histogram(table(rows), steps=["A", "B"]).to_pandas()
    assert found["low_s"].tolist() == [1 + width * k for k in range(bins + 1)] and found["users"].sum() == users


def test_ten_years_are_the_longest_window():
    assert funnel(table([]), steps=STEPS, window_days=3660).to_pandas()["users"].tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="at most 3660 days"):
        funnel(table([]), steps=STEPS, window_days=dt.timedelta(days=3660, seconds=1))


@pytest.mark.parametrize(
    ("metric", "how", "told"),
    [
        (funnel, {"window_days": 0}, "window_days must be more than 0 and at most 3660 days, got 0"),
        (funnel, {"window_days": -1}, "window_days must be more than 0 and at most 3660 days, got -1"),
        (funnel, {"steps": []}, "steps must be a list of 1 to 20 steps, got []"),
        (funnel, {"steps": ["A", ""]}, "step 2 must be an event name, a mapping or None, got ''"),
        (funnel, {"period": ("2026-02-02", "2026-02-01")}, "period must end on or after its first day"),
        (funnel, {"compare": "last"}, "compare must be 'previous' or (first day, last day), got 'last'"),
        (funnel_breakdown, {"breakdown": ""}, "breakdown must name a column"),
        (funnel_breakdown, {"breakdown": []}, "breakdown must name a column"),
        (funnel_breakdown, {"limit": 0}, "limit must be a whole number from 1 to 1000, got 0"),
        (funnel_breakdown, {"attribution": "first"}, "attribution must be one of"),
        (funnel_breakdown, {"window_days": 0}, "window_days must be more than 0"),
        (funnel_breakdown, {"window_days": -1}, "window_days must be more than 0"),
        (funnel_trend, {"interval": "year"}, "interval must be one of"),
        (funnel_trend, {"period": ("2026-02-02", "2026-02-01")}, "period must end on or after its first day"),
        (funnel_trend, {"from_step": 3, "to_step": 2}, "from_step must not come after to_step"),
        (time_to_convert, {"from_step": 2, "to_step": 2}, "from_step must come before to_step"),
        (time_histogram, {"bins": 0}, "bins must be a whole number from 1 to 60"),
        (time_histogram, {"edges": [3, 2]}, "edges must increase"),
        (funnel_steps, {"steps": []}, "steps must be a list of 1 to 20 steps"),
    ],
)
def test_a_wrong_call_is_told_the_argument_and_what_is_allowed(metric, how, told):
    with pytest.raises(ValueError) as error:
        metric(table([]), **{"steps": STEPS, **how})
    assert told in str(error.value) and str(error.value).startswith(metric.__name__)


def test_a_breakdown_by_the_user_s_own_column_needs_the_users():
    with pytest.raises(UsageError, match="needs the users table"), speaking("en"):
        funnel_breakdown(table([]), steps=STEPS, breakdown="users.channel")


def test_five_hundred_values_become_the_largest_and_other_and_the_table_says_so():
    rows = plain([("s", "A", 0, "p")] + [(f"u{i}", "A", 0, f"v{i:03d}") for i in range(500)])
    found = funnel_breakdown(table(rows), steps=["A"], breakdown="content_id", limit=10).to_pandas()
    last = found.iloc[-1]
    assert len(found) == 11 and found["users"].sum() == 501
    assert (last["segment"], last["other"], last["values"], last["users"]) == ("Other", True, 491, 491)


def test_an_event_that_never_happens_is_a_true_zero_and_everything_after_it_too():
    rows = plain([("s", "A", 0, None), ("s", "C", 1, None), ("t", "A", 0, None)])
    assert funnel(table(rows), steps=["A", "zzz", "C"]).to_pandas()["users"].tolist() == [2, 0, 0]
    assert funnel(table(rows), steps=["zzz", "A"]).to_pandas()["users"].tolist() == [0, 0]


def test_a_step_listed_twice_must_be_done_twice():
    once, twice = plain([("s", "A", 0, None)]), plain([("s", "A", 0, None), ("s", "A", 1, None)])
    assert [funnel(table(rows), steps=["A", "A"]).to_pandas()["users"].tolist() for rows in (once, twice)] == [
        [1, 0],
        [1, 1],
    ]
