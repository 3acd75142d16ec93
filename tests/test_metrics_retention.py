"""Retention: stories, equality with the oracle on generated data, invariances, wrong calls."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import replace
from zoneinfo import ZoneInfo

import ibis
import oracles_retention as oracle
import pytest
from conftest import at, bound, marked
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles_retention import Ask, Event

from opslib.errors import UsageError
from opslib.metrics.retention import average_row, retention, return_curve

D0 = dt.date(2026, 1, 1)
TENTH = max(1, settings().max_examples // 10)  # invariances need fewer examples than definitions


def day(n: int) -> dt.date:
    return D0 + dt.timedelta(n)


def visits(pairs) -> ibis.Table:
    """One event "open" at noon for each (user, day)."""
    rows = [{"event_id": f"e{i:03d}", "user_id": u, "event": "open", "ts": at(n)} for i, (u, n) in enumerate(pairs)]
    return bound("events", rows)


def table(events: list[Event]) -> ibis.Table:
    rows = [
        {"event_id": f"e{i:03d}", "user_id": e.user, "event": e.name, "ts": e.ts, "day": e.day, "channel": e.value}
        for i, e in enumerate(events)
    ]
    return bound("events", rows)


def rolled_up(events: list[Event], *, marks: bool = False) -> ibis.Table:
    """`daily` of the same events; with the `marks` of a load on request."""
    first: dict[tuple, dt.datetime] = {}
    for e in events:
        first[e.user, e.day, e.name] = min(e.ts, first.get((e.user, e.day, e.name), e.ts))
    times = Counter((e.user, e.day, e.name) for e in events)
    rows = [
        {"user_id": u, "day": d, "event": name, "n": times[u, d, name], "first_ts": ts}
        for (u, d, name), ts in first.items()
    ]
    return bound("daily", marked(rows) if marks else rows)


def cells(result: ibis.Table) -> dict:
    """(cohort, segment, n) → (users, size)."""
    return {
        (r.cohort.to_pydatetime(), getattr(r, "segment", ""), r.n): (r.users, r.size)
        for r in result.to_pandas().rename(columns={"size": "size_"}).rename(columns={"size_": "size"}).itertuples()
    }


def row(result: ibis.Table, cohort: int = 0) -> dict[int, int]:
    """n → users of one cohort."""
    return {n: users for (c, _, n), (users, _) in cells(result).items() if c.date() == day(cohort)}


def step(asked: tuple[str | None, str | None]):
    name, value = asked
    return name if value is None else {"event": name, "where": {"channel": value}}


def arguments(ask: Ask) -> dict:
    return {
        "start": step(ask.start),
        "back": step(ask.back),
        "mode": ask.mode,
        "grain": ask.grain,
        "brackets": ask.brackets,
        "on_or_after": ask.on_or_after,
        "clock": ask.clock,
        "min_returns": ask.min_returns,
        "breakdown": "channel" if ask.breakdown else None,
        "carry": ask.carry,
        "limit": ask.limit,
        "period": ask.period,
        "week_start": ask.week_start,
    }


def expected(events: list[Event], ask: Ask) -> dict:
    found = oracle.retention(events, ask)
    midnight = dt.time()
    return {
        (c if isinstance(c, dt.datetime) else dt.datetime.combine(c, midnight), segment, n): counts
        for (c, segment, n), counts in found.items()
    }


# Generated data: ties within an instant, a microsecond around a window's edge, evenings that are tomorrow elsewhere.
ZONES = ("UTC", "Asia/Shanghai", "America/New_York")
TIMES = (
    dt.timedelta(0),
    dt.timedelta(hours=6, microseconds=1),
    dt.timedelta(hours=6),
    dt.timedelta(hours=23, minutes=30),
)


BASE = dt.datetime(2026, 2, 20)  # before the clocks change in New York on 8 March


@st.composite
def histories(draw, hours: bool = False) -> list[Event]:
    """A busy fortnight with stragglers, or next to nothing; mostly with an event long after: then all is known."""
    offset = st.integers(0, 30) if hours else st.one_of(*[st.integers(0, 14)] * 3, st.integers(0, 60))
    row = st.tuples(
        st.sampled_from("aabbcdfgh"),
        st.sampled_from(["open", "pay"]),
        offset,
        st.sampled_from(TIMES),
        st.sampled_from("xxyz"),
    )
    rows = draw(st.one_of(*[st.lists(row, min_size=16, max_size=60)] * 5, st.lists(row, max_size=2)))
    if draw(st.integers(0, 3)):
        rows.append(("e", "open", 200, TIMES[0], "x"))
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    moments = [BASE + (dt.timedelta(hours=n) if hours else dt.timedelta(n) + time) for _, _, n, time, _ in rows]
    return [
        Event(user, name, ts, ts.replace(tzinfo=dt.UTC).astimezone(zone).date(), value)
        for (user, name, _, _, value), ts in zip(rows, moments, strict=True)
    ]


steps = st.sampled_from([(None, None), (None, None), ("open", None), ("pay", None), ("open", "x"), (None, "y")])
brackets = st.one_of(st.integers(3, 14).map(lambda n: [1] * n), st.lists(st.integers(1, 5), min_size=1, max_size=4))
reports = st.tuples(st.integers(-5, 12), st.integers(0, 15)).map(
    lambda p: tuple(BASE.date() + dt.timedelta(n) for n in (p[0], p[0] + p[1]))
)
asks = st.builds(
    Ask,
    start=steps,
    back=steps,
    mode=st.sampled_from(["first_ever", "first_time", "recurring"]),
    grain=st.sampled_from(["day", "day", "week", "month"]),
    brackets=brackets,
    on_or_after=st.booleans(),
    min_returns=st.sampled_from([1, 1, 1, 2]),
    breakdown=st.booleans(),
    carry=st.booleans(),
    limit=st.sampled_from([25, 25, 1, 2]),
    period=st.one_of(st.none(), reports),
    week_start=st.sampled_from(["monday", "sunday"]),
)


# Stories


def test_a_user_who_skips_a_day_counts_only_on_the_day_of_return():
    assert row(retention(visits([("ann", 0), ("ann", 2), ("bob", 0)]), periods=2)) == {0: 2, 1: 0, 2: 1}


def test_on_or_after_counts_the_same_return_for_every_day_before_it():
    result = retention(visits([("ann", 0), ("ann", 2), ("bob", 0)]), periods=2, on_or_after=True)
    assert row(result) == {0: 2, 1: 1, 2: 1}


def test_what_has_not_happened_yet_is_absent_not_zero():
    result = retention(visits([("ann", 0), ("bob", 1)]), periods=5)
    assert set(cells(result)) == {(dt.datetime(2026, 1, 1 + c), "", n) for c, n in [(0, 0), (0, 1), (1, 0)]}


def test_a_later_last_observed_day_turns_blanks_into_zeros():
    assert row(retention(visits([("ann", 0)]), periods=3, until=day(2))) == {0: 1, 1: 0, 2: 0}


def test_events_after_the_last_observed_day_are_not_looked_at():
    assert row(retention(visits([("ann", 0), ("ann", 5)]), periods=3, on_or_after=True, until=day(3))) == {
        0: 1,
        1: 0,
        2: 0,
        3: 0,
    }


def test_a_week_that_has_not_ended_is_blank():
    thursday, monday = 0, 4
    result = retention(visits([("ann", thursday), ("ann", monday)]), grain="week", periods=2)
    assert row(result, cohort=-3) == {0: 1}


def test_twenty_four_hours_to_the_microsecond_are_the_next_day():
    entry = at(0, 23)
    moments = {"early": dt.timedelta(hours=24, microseconds=-1), "on": dt.timedelta(hours=24)}
    rows = [
        {"event_id": f"{user}{i}", "user_id": user, "event": "open", "ts": ts}
        for user, wait in moments.items()
        for i, ts in enumerate((entry, entry + wait))
    ]
    events = bound("events", rows)
    assert row(retention(events, clock="rolling_24h", periods=1, until=day(9))) == {0: 2, 1: 1}
    assert row(retention(events, clock="calendar", periods=1, until=day(9))) == {0: 2, 1: 2}


@pytest.mark.parametrize("micros", [0, 1, 500_000, 999_999])
def test_just_before_the_second_window_ends_is_still_the_first_whatever_the_entry_s_fraction_of_a_second(micros):
    entry = at(0, 23) + dt.timedelta(microseconds=micros)
    moments = {"early": dt.timedelta(hours=48, microseconds=-1), "on": dt.timedelta(hours=48)}
    rows = [
        {"event_id": f"{user}{i}", "user_id": user, "event": "open", "ts": ts}
        for user, wait in moments.items()
        for i, ts in enumerate((entry, entry + wait))
    ]
    found = retention(bound("events", rows), mode="first_time", clock="rolling_24h", periods=2, until=day(9))
    assert row(found) == {0: 2, 1: 1, 2: 1}


def test_a_rolling_cell_waits_for_the_cohort_s_last_entrant():
    events = visits([("ann", 0), ("ann", 3)])
    assert row(retention(events, clock="rolling_24h", periods=5)) == {0: 1, 1: 0, 2: 0}


def test_first_ever_drops_a_user_whose_first_event_fails_the_filter_and_first_time_waits():
    events = table(
        [
            Event("ann", "pay", at(0), day(0), "web"),
            Event("ann", "pay", at(3), day(3), "ios"),
            Event("ann", "pay", at(4), day(4), "ios"),
        ]
    )
    start = {"event": "pay", "where": {"channel": "ios"}}
    assert cells(retention(events, start=start, mode="first_ever")) == {}
    assert row(retention(events, start=start, mode="first_time"), cohort=3) == {0: 1, 1: 1}


@pytest.mark.parametrize("names", [("ios", "web"), ("web", "ios")])
def test_of_two_first_events_in_one_instant_the_first_listed_decides(names):
    events = table([Event("ann", "open", at(0), day(0), name) for name in names])
    assert {segment for _, segment, _ in cells(retention(events, breakdown="channel"))} == {names[0]}


@pytest.mark.parametrize("mode", ["first_time", "recurring"])
def test_a_user_back_twice_within_a_bracket_counts_once(mode):
    events = visits([("ann", 0), ("ann", 2), ("ann", 3), ("bob", 9)])
    found = retention(events, mode=mode, brackets=(4, 2), period=(day(0), day(0))).to_pandas()
    assert found[["n", "n_last", "users"]].to_numpy().tolist() == [[0, 0, 1], [1, 4, 1], [5, 6, 0]]


@pytest.mark.parametrize(
    ("how", "late", "too_late"),
    [
        ({}, at(3, 23), at(4, 0)),
        ({"grain": "week"}, at(24, 23), at(25, 0)),
        ({"grain": "month"}, at(119, 23), at(120, 0)),
        ({"clock": "rolling_24h"}, at(4, 11, 59), at(4, 12)),
        ({"clock": "rolling_7d"}, at(28, 11, 59), at(28, 12)),
    ],
)
def test_the_last_cohort_reported_is_followed_to_the_end_of_its_last_period(how, late, too_late):
    """Of two who start at noon of New Year's Day, a Thursday, one is back at the last moment of period 3."""
    moments = [("ann", at(0)), ("ann", late), ("bob", at(0)), ("bob", too_late), ("cyd", at(200))]
    rows = [{"event_id": str(i), "user_id": u, "event": "open", "ts": ts} for i, (u, ts) in enumerate(moments)]
    found = cells(retention(bound("events", rows), periods=3, period=(day(0), day(0)), **how))
    assert [users for (_, _, n), (users, _) in found.items() if n == 3] == [1]


def test_an_earlier_first_event_keeps_a_user_out_of_the_reported_cohorts():
    events = visits([("ann", 0), ("ann", 10), ("bob", 10)])
    assert cells(retention(events, period=(day(5), day(10)))) == {(dt.datetime(2026, 1, 11), "", 0): (1, 1)}


def test_a_return_must_carry_the_start_s_value_or_need_not():
    events = table([Event("ann", "open", at(0), day(0), "seo"), Event("ann", "open", at(1), day(1), "ads")])

    def returned(carry: bool) -> int:
        found = cells(retention(events, breakdown="channel", carry=carry))
        return found[dt.datetime(2026, 1, 1), "seo", 1][0]

    assert (returned(carry=True), returned(carry=False)) == (0, 1)


def test_a_segment_of_the_user_comes_from_the_users_table():
    users = bound("users", [{"user_id": "ann", "channel": "seo"}, {"user_id": "bob", "channel": None}])
    found = cells(retention(visits([("ann", 0), ("bob", 0), ("cyd", 0), ("ann", 1)]), users, breakdown="users.channel"))
    first = dt.datetime(2026, 1, 1)
    assert found == {
        (first, "(none)", 0): (2, 2),
        (first, "(none)", 1): (0, 2),
        (first, "seo", 0): (1, 1),
        (first, "seo", 1): (1, 1),
    }


def test_of_five_hundred_values_the_largest_are_shown_and_the_rest_is_other():
    rows = [
        {"event_id": f"{i:04d}", "user_id": f"u{i}", "event": "open", "ts": at(0), "channel": f"c{i:03d}"}
        for i in range(500)
    ]
    rows.append({"event_id": "x", "user_id": "ann", "event": "open", "ts": at(0), "channel": "c499"})
    # One user under two of the small values is one user of the pooled ones.
    rows.append({"event_id": "y", "user_id": "u0", "event": "open", "ts": at(0, 13), "channel": "c001"})
    rows.append({"event_id": "z", "user_id": "ann", "event": "open", "ts": at(1), "channel": "c499"})
    found = retention(bound("events", rows), mode="recurring", breakdown="channel", limit=2, periods=1).to_pandas()
    first = found[(found["cohort"] == "2026-01-01") & (found["n"] == 0)].set_index("segment")
    assert first[["other", "values", "size"]].to_dict("index") == {
        "c001": {"other": False, "values": 1, "size": 2},
        "c499": {"other": False, "values": 1, "size": 2},
        "Other": {"other": True, "values": 498, "size": 498},
    }


def test_the_curve_pools_the_cohorts_that_are_old_enough():
    curve = return_curve(visits([("ann", 0), ("bob", 0), ("ann", 2), ("cyd", 1), ("cyd", 2)]), periods=3).to_pandas()
    points = {r.n: (r.cohorts, r.size_, r.users, r.later) for r in curve.rename(columns={"size": "size_"}).itertuples()}
    assert points == {0: (2, 3, 3, 3), 1: (2, 3, 1, 2), 2: (1, 2, 1, 1)}


def test_three_tools_print_three_averages_of_one_matrix():
    """Mixpanel's documented example: 500 of 1,000 and 400 of 500."""
    matrix = ibis.memtable([{"n": 1, "size": 1000, "users": 500}, {"n": 1, "size": 500, "users": 400}])
    found = average_row(matrix).to_pandas().iloc[0]
    assert [round(found[name], 9) for name in ("pooled", "simple", "size_squared")] == [0.6, 0.65, 0.56]
    assert (found["cohorts"], found["users"], found["size"]) == (2, 900, 1500)


def test_no_events_give_no_cells():
    nothing = visits([])
    for how in ({}, {"mode": "recurring"}, {"clock": "rolling_24h"}, {"until": day(9)}, {"grain": "hour"}):
        assert cells(retention(nothing, **how)) == {}
    assert average_row(retention(nothing)).to_pandas().empty


# The definition


@given(histories(), asks)
def test_calendar_retention_is_its_definition(events, ask):
    assert cells(retention(table(events), **arguments(ask))) == expected(events, ask)


@given(histories(), asks, st.sampled_from(sorted(oracle.WINDOW)))
def test_rolling_retention_is_its_definition(events, ask, clock):
    ask = replace(ask, clock=clock)
    assert cells(retention(table(events), **arguments(ask))) == expected(events, ask)


@given(histories(hours=True), asks)
@settings(max_examples=TENTH * 5)
def test_hourly_retention_is_its_definition(events, ask):
    ask = replace(ask, grain="hour")
    assert cells(retention(table(events), **arguments(ask))) == expected(events, ask)


# Invariances


@given(histories(), asks)
@settings(max_examples=TENTH * 2)
def test_the_roll_up_gives_what_the_events_give(events, ask):
    """Of what `daily` keeps: no values, no order within a day."""
    plain = [replace(e, value="") for e in events]
    ask = replace(ask, start=(ask.start[0], None), back=(ask.back[0], None), breakdown=False)
    how = arguments(ask)
    expected = cells(retention(table(plain), **how))
    assert cells(retention(rolled_up(plain), **how)) == expected
    assert cells(retention(rolled_up(plain, marks=True), **how)) == expected
    how |= {"start": None, "back": None, "mode": "first_ever", "min_returns": 1}
    expected = cells(retention(table(plain), **how))
    assert cells(retention(rolled_up(plain, marks=True), **how)) == expected


@given(histories(), asks)
@settings(max_examples=TENTH * 2)
def test_order_and_repeats_do_not_change_retention(events, ask):
    ask = replace(ask, min_returns=1, breakdown=False, start=(ask.start[0], None))
    how = arguments(ask)
    assert cells(retention(table(events[::-1] + events), **how)) == cells(retention(table(events), **how))


@given(histories(), asks)
@settings(max_examples=TENTH * 2)
def test_integer_keys_give_the_same_cells(events, ask):
    users = bound("users", [{"user_id": u, "platform": p} for u, p in (("a", "ios"), ("b", "web"), ("e", "web"))])
    how = arguments(ask) | {"breakdown": "users.platform"}
    keyed = [t.mutate(user_key=t.user_id.ascii_str().cast("int64")) for t in (table(events), users)]
    assert cells(retention(*keyed, **how)) == cells(retention(table(events), users, **how))


@given(histories(), asks)
@settings(max_examples=TENTH * 2)
def test_returns_never_exceed_the_cohort_and_on_or_after_never_falls_below_on_the_day(events, ask):
    exact = cells(retention(table(events), **arguments(replace(ask, on_or_after=False))))
    after = cells(retention(table(events), **arguments(replace(ask, on_or_after=True))))
    assert set(exact) == set(after)
    assert all(exact[cell][0] <= after[cell][0] <= after[cell][1] == exact[cell][1] for cell in exact)


# Wrong calls


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"periods": 0}, "periods must be a whole number from 1 to 366, got 0"),
        ({"periods": -3}, "got -3"),
        ({"periods": 2.5}, "got 2.5"),
        ({"brackets": ()}, "brackets must hold at least one length"),
        ({"brackets": (3, 0)}, "brackets must be a whole number from 1 to 366, got 0"),
        ({"min_returns": 0}, "min_returns must be a whole number from 1"),
        ({"mode": "first"}, "mode must be one of first_ever, first_time, recurring, got 'first'"),
        ({"grain": "year"}, "grain must be one of day, week, month, hour, got 'year'"),
        ({"clock": "rolling"}, "clock must be one of"),
        ({"clock": "rolling_24h", "grain": "hour"}, "clock must be calendar when grain is hour"),
        ({"week_start": "saturday"}, "week_start must be one of monday, sunday"),
        ({"breakdown": ""}, "breakdown must be a column"),
        ({"breakdown": "channel", "limit": 0}, "limit must be a whole number from 1 to 1000, got 0"),
        ({"breakdown": "users.channel"}, "needs the table `users`"),
        ({"start": ""}, "start must be an event's name"),
        ({"back": ["open"]}, "back must be an event's name"),
        ({"period": ("2026-02-02", "2026-02-01")}, "period must end on or after its first day"),
        ({"until": "soon"}, "until must be local days like '2026-01-31', got 'soon'"),
    ],
)
def test_a_wrong_call_is_told_the_argument_the_value_and_the_range(how, told):
    with pytest.raises(ValueError) as error:
        retention(visits([("ann", 0)]), **how)
    assert told in str(error.value) and str(error.value).startswith("retention: ")


def test_the_roll_up_cannot_answer_for_hours_or_moments():
    daily = rolled_up([Event("ann", "open", at(0), day(0), "")])
    for how in ({"grain": "hour"}, {"clock": "rolling_24h"}):
        with pytest.raises(ValueError, match="needs the table `events`"):
            retention(daily, **how)


def test_the_roll_up_has_no_properties_to_filter_on():
    daily = rolled_up([Event("ann", "open", at(0), day(0), "")])
    with pytest.raises(UsageError, match=r"「props\.plan」要用带埋点属性的数据表"):
        retention(daily, start={"event": "open", "where": {"props.plan": "pro"}})


def test_an_unknown_breakdown_names_the_near_miss():
    with pytest.raises(UsageError, match="「chanel」不存在；是不是「channel」"):
        retention(visits([("ann", 0)]), breakdown="chanel")


def test_the_curve_shows_both_readings_by_itself():
    with pytest.raises(ValueError, match="on_or_after must be left out"):
        return_curve(visits([("ann", 0)]), on_or_after=True)
