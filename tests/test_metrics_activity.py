"""Active users, stickiness, lifecycle and states: stories, and equality with the oracles on generated data."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from zoneinfo import ZoneInfo

import ibis
import oracles_activity as oracle
import pytest
from conftest import at, bound, marked
from hypothesis import given, settings
from hypothesis import strategies as st

from opslib.errors import UsageError
from opslib.metrics.activity import active_users, dau_mau, stickiness
from opslib.metrics.lifecycle import daily_states, lifecycle
from opslib.metrics.states import past_transitions, states, transitions

D0 = dt.date(2026, 1, 1)
TENTH = max(1, settings().max_examples // 10)  # invariances need fewer examples than definitions
GRAINS, WEEKS = st.sampled_from(["day", "week", "month"]), st.sampled_from(["monday", "sunday"])
# Days from New Year on, dense at first and then far apart, so that gaps of every kind occur.
days = st.one_of(st.integers(0, 12), st.integers(0, 100))
visits = st.lists(st.tuples(st.sampled_from("abcde"), days), max_size=40)
some_visits = st.lists(st.tuples(st.sampled_from("abcde"), days), min_size=1, max_size=40)


def day(n: int) -> dt.date:
    return D0 + dt.timedelta(n)


def dated(visits) -> list[tuple[str, dt.date]]:
    return [(user, day(n)) for user, n in visits]


def events(visits):
    """One event for each visit, at noon."""
    rows = [{"event_id": f"e{i}", "user_id": u, "event": "open", "ts": at(n)} for i, (u, n) in enumerate(visits)]
    return bound("events", rows)


def daily(visits):
    """The roll-up of the same events."""
    rows = [
        {"user_id": u, "day": day(n), "event": "open", "n": times, "first_ts": at(n)}
        for (u, n), times in Counter(visits).items()
    ]
    return bound("daily", rows)


def windows(table) -> dict:
    rows = table.to_pandas()
    return {(r.start.date(), r.end.date()): (r.users, r.user_days) for r in rows.itertuples()}


def by_day(table, key: str) -> dict:
    frame = table.to_pandas().set_index(key)
    return {stamp.date(): row for stamp, row in frame.to_dict("index").items()}


def histogram(table) -> dict:
    return {r.periods: (r.users, r.at_least) for r in table.to_pandas().itertuples()}


# Stories


def test_a_window_of_seven_days_lets_a_user_go_on_the_eighth_day():
    seven = windows(active_users(events([("ann", 0)]), windows=(7,), until=day(8)))
    assert [seven[day(n - 6), day(n)][0] for n in (0, 6, 7)] == [1, 1, 0]


def test_a_quiet_day_still_carries_the_trailing_window():
    assert windows(active_users(events([("ann", 0), ("bob", 2)]), windows=(1, 7)))[day(1), day(1)] == (0, 0)
    assert windows(active_users(events([("ann", 0), ("bob", 2)]), windows=(7,)))[day(-5), day(1)] == (1, 1)


def test_days_after_the_last_observed_one_are_absent_not_zero():
    table = active_users(events([("ann", 0), ("bob", 3)]), windows=(1,), period=(day(0), day(9)))
    assert max(end for _, end in windows(table)) == day(3)


def test_a_week_that_has_not_ended_is_absent():
    weeks = windows(active_users(events([("ann", 0), ("ann", 5)]), windows=("week",)))  # Thursday, Tuesday
    assert weeks == {(day(-3), day(3)): (1, 1)}


def test_mau_of_february_is_the_calendar_s_not_thirty_days():
    table = active_users(
        events([("ann", 30), ("bob", 31), ("cyd", 58), ("dan", 59)]), windows=("month",), until=day(60)
    )
    assert windows(table)[dt.date(2026, 2, 1), dt.date(2026, 2, 28)] == (2, 2)


def test_months_and_windows_stand_in_the_order_of_time():
    table = active_users(events([("ann", n) for n in range(0, 120, 3)]), windows=("month", 30, 7)).to_pandas()
    assert table["window"].drop_duplicates().tolist() == ["7", "30", "month"]
    assert all(own["end"].is_monotonic_increasing for _, own in table.groupby("window"))
    assert table.loc[table["window"] == "month", "days"].tolist() == [31, 28, 31]


def test_a_user_of_the_first_and_the_last_day_of_a_month_is_one_user_of_it():
    table = active_users(events([("ann", 0), ("ann", 30), ("bob", 0), ("cyd", 31)]), windows=("month",))
    assert windows(table) == {(day(0), day(30)): (2, 3)}


def test_dau_over_mau_divides_the_average_day_and_not_the_last_one():
    """The L28 example of the power-user curve: 42 user-days, five users, 28 days."""
    of = {"a": [1, 2, 3, 5, 8, 15, 28], "b": [1, 8, 15, 22], "c": range(1, 29), "d": [10, 11], "e": [28]}
    table = events([(user, n) for user, active in of.items() for n in active] + [("a", 1)])
    last = dau_mau(table, window_days=28).to_pandas().iloc[-1]
    assert (last["users"], last["user_days"], last["days"]) == (5, 42, 28)
    assert last["user_days"] / (last["days"] * last["users"]) == pytest.approx(0.3)
    assert {n: users for n, (users, _) in histogram(stickiness(table)).items()} == {1: 1, 2: 1, 4: 1, 7: 1, 28: 1}


def test_stickiness_counts_only_days_of_the_reporting_period():
    table = events([("ann", 0), ("ann", 1), ("ann", 5), ("bob", 9)])
    assert histogram(stickiness(table, period=(day(1), day(8)))) == {2: (1, 1)}


def test_a_user_goes_dormant_once_and_comes_back_as_resurrected():
    """The growth-accounting panel of five days and three users."""
    table = events([("a", 0), ("a", 1), ("a", 4), ("b", 0), ("c", 1), ("c", 2), ("c", 3)])
    last = by_day(lifecycle(table, grain="day"), "start")[day(4)]
    assert last == {"active": 1, "new": 0, "retained": 0, "resurrected": 1, "dormant": 1, "away": 1}
    assert (last["new"] + last["resurrected"]) / last["dormant"] == 1.0


def test_a_first_event_before_the_reporting_period_is_not_new_in_it():
    table = events([("ann", 0), ("ann", 20)])
    found = by_day(lifecycle(table, grain="day", period=(day(10), day(20))), "start")
    assert min(found) == day(10)
    assert (found[day(20)]["new"], found[day(20)]["resurrected"]) == (0, 1)


def test_the_five_states_of_an_operations_team_on_their_boundaries():
    as_of = 60
    of = {
        "new": [as_of - 6],  # first seen on the first of the last seven days
        "active": [as_of - 50, as_of - 6, as_of - 3, as_of],
        "retained": [as_of - 7, as_of - 6],
        "silent": [as_of - 29],
        "churned": [as_of - 30],
        "unborn": [as_of + 1],
    }
    table = events([(user, n) for user, active in of.items() for n in active])
    found = states(table, as_of=day(as_of)).to_pandas().set_index("user_id")["state"].to_dict()
    assert found == {user: user for user in of if user != "unborn"}


def test_a_transition_matrix_counts_users_who_had_not_come_yet():
    table = events([("ann", 0), ("ann", 40), ("bob", 0), ("cyd", 39)])
    found = transitions(table, before=day(3), after=day(40)).to_pandas()
    moves = {(r.from_state, r.to_state): (r.users, r.size) for r in found.itertuples()}
    assert moves == {("new", "retained"): (1, 2), ("new", "churned"): (1, 2), ("unseen", "new"): (1, 1)}


def test_only_events_that_match_the_filter_make_a_user_active():
    rows = [
        {"event_id": "1", "user_id": "ann", "event": "pay", "ts": at(0), "platform": "ios", "props": '{"plan": "pro"}'},
        {
            "event_id": "2",
            "user_id": "bob",
            "event": "pay",
            "ts": at(0),
            "platform": "web",
            "props": '{"plan": "free"}',
        },
        {"event_id": "3", "user_id": "cyd", "event": "open", "ts": at(0)},
    ]
    table = bound("events", rows)

    def users(event) -> int:
        return windows(active_users(table, event=event, windows=(1,)))[D0, D0][0]

    assert users(None) == 3
    assert users("pay") == 2
    assert users({"event": "pay", "where": {"props.plan": "pro"}}) == 1
    assert users({"event": ["pay", "open"], "where": {"platform": {"not": "web"}}}) == 2


@pytest.mark.parametrize(
    ("zone", "clock_change"), [("America/New_York", (2026, 3, 8)), ("Europe/Berlin", (2026, 10, 25))]
)
def test_a_day_of_clock_change_is_one_local_day(zone, clock_change):
    local = [dt.datetime(*clock_change, hour, 30, tzinfo=ZoneInfo(zone)) for hour in (0, 4, 23)]
    rows = [
        {
            "event_id": str(i),
            "user_id": f"u{i}",
            "event": "open",
            "ts": moment.astimezone(dt.UTC).replace(tzinfo=None),
            "day": moment.date(),
        }
        for i, moment in enumerate(local)
    ]
    assert windows(active_users(bound("events", rows), windows=(1,))) == {(dt.date(*clock_change),) * 2: (3, 3)}


def test_no_events_give_no_rows_and_with_a_told_period_true_zeros():
    nothing = events([])
    assert windows(active_users(nothing)) == {}
    assert histogram(stickiness(nothing)) == {}
    assert by_day(lifecycle(nothing), "start") == {}
    assert states(nothing).to_pandas().empty
    told = {"period": (day(0), day(1)), "until": day(5)}
    assert windows(active_users(nothing, windows=(7,), **told)) == {(day(n - 6), day(n)): (0, 0) for n in (0, 1)}
    assert set(by_day(daily_states(nothing, **told), "day")[day(1)].values()) == {0}
    assert [sum(row.values()) for row in by_day(lifecycle(nothing, grain="day", **told), "start").values()] == [0, 0]


# Definitions


@given(some_visits, st.lists(st.integers(1, 40), min_size=1, max_size=3, unique=True))
def test_active_users_of_a_trailing_window_are_their_definition(visits, lengths):
    last = max(n for _, n in visits)
    table = active_users(events(visits), windows=tuple(lengths))
    first = min(n for _, n in visits)
    expected = [oracle.active_users(dated(visits), w, day(first), day(last)) for w in lengths]
    assert windows(table) == {span: counts for window in expected for span, counts in window.items()}


@given(some_visits, GRAINS, WEEKS, st.integers(0, 120), st.integers(0, 40))
def test_active_users_of_a_calendar_period_are_their_definition(visits, grain, week_start, last, length):
    seen = [(user, n) for user, n in visits if n <= last]
    period = (day(last - length), day(last + 10))
    table = active_users(events(visits), windows=(grain,), week_start=week_start, period=period, until=day(last))
    assert windows(table) == oracle.active_users(dated(seen), grain, period[0], day(last), week_start)


@given(visits, GRAINS, WEEKS)
def test_stickiness_is_its_definition(visits, grain, week_start):
    found = histogram(stickiness(events(visits), grain=grain, week_start=week_start))
    assert found == oracle.stickiness(dated(visits), grain, week_start)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 300)), max_size=40))
def test_stickiness_by_hour_is_its_definition(visits):
    """Minutes from 23:00 on, so that the hours run over a midnight."""
    minutes = [(user, at(0) + dt.timedelta(hours=11, minutes=m)) for user, m in visits]
    rows = [{"event_id": f"e{i}", "user_id": u, "event": "open", "ts": ts} for i, (u, ts) in enumerate(minutes)]
    found = histogram(stickiness(bound("events", rows), grain="hour"))
    assert found == oracle.stickiness_by_hour(minutes)


def test_hours_cannot_be_told_from_whole_days():
    with pytest.raises(ValueError, match="stickiness: hours need the table `events`; `daily` has no times of events"):
        stickiness(daily([("ann", 0)]), grain="hour")


@given(some_visits, GRAINS, WEEKS, st.integers(0, 30))
def test_lifecycle_is_its_definition(visits, grain, week_start, longer):
    first, last = min(n for _, n in visits), max(n for _, n in visits) + longer
    found = by_day(lifecycle(events(visits), grain=grain, week_start=week_start, until=day(last)), "start")
    assert found == oracle.lifecycle(dated(visits), day(first), day(last), grain, week_start)


@given(some_visits, st.integers(-10, 60), st.integers(0, 60))
def test_lifecycle_of_a_period_is_that_part_of_the_whole(visits, start, length):
    table, until = events(visits), day(130)
    whole = by_day(lifecycle(table, until=until, period=(day(-20), day(120))), "start")
    part = by_day(lifecycle(table, until=until, period=(day(start), day(start + length))), "start")
    monday = oracle.first_of(day(start), "week")
    assert part == {week: row for week, row in whole.items() if monday <= week <= day(start + length)}


@given(some_visits)
def test_growth_accounting_adds_up(visits):
    rows = lifecycle(events(visits), grain="day", until=day(101)).to_pandas()
    before = rows["active"].shift(fill_value=0)
    assert (rows["active"] == before + rows["new"] + rows["resurrected"] - rows["dormant"]).all()
    assert (rows["active"] == rows["new"] + rows["retained"] + rows["resurrected"]).all()
    assert (rows["active"] + rows["dormant"] + rows["away"] == rows["new"].cumsum()).all()


@given(some_visits, st.integers(1, 10), st.integers(1, 30))
def test_daily_states_are_their_definition(visits, week, more):
    first, last, month = min(n for _, n in visits), 105, week + more
    table = daily_states(events(visits), week_days=week, month_days=month, until=day(last))
    found = {on: {state: n for state, n in row.items() if n} for on, row in by_day(table, "day").items()}
    assert found == oracle.daily_states(dated(visits), day(first), day(last), week, month)


@given(visits, st.integers(0, 110), st.integers(1, 6), st.integers(1, 8), st.integers(1, 30))
def test_states_are_their_definition(visits, as_of, new, often, more):
    silent = max(new, often) + 1
    how = {"new_days": new, "active_days": often, "silent_days": silent, "churn_days": silent + more}
    found = states(events(visits), as_of=day(as_of), **how).to_pandas().set_index("user_id")["state"].to_dict()
    assert found == oracle.states(dated(visits), day(as_of), new, often, silent, silent + more)


@given(some_visits, st.integers(0, 60), st.integers(1, 60), st.integers(1, 6), st.integers(1, 8), st.integers(1, 30))
def test_transitions_join_the_states_of_two_days(visits, before, later, new, often, more):
    silent = max(new, often) + 1
    how = (new, often, silent, silent + more)
    first, second = (oracle.states(dated(visits), day(n), *how) for n in (before, before + later))
    expected = Counter((first.get(user, "unseen"), state) for user, state in second.items())
    named = dict(zip(("new_days", "active_days", "silent_days", "churn_days"), how, strict=True))
    found = transitions(events(visits), before=day(before), after=day(before + later), **named).to_pandas()
    assert {(r.from_state, r.to_state): r.users for r in found.itertuples()} == expected
    assert all(r.size == sum(n for (f, _), n in expected.items() if f == r.from_state) for r in found.itertuples())


@settings(max_examples=TENTH * 2)
@given(some_visits, st.integers(0, 60), st.integers(1, 20), st.integers(1, 3))
def test_past_transitions_are_the_moves_of_each_step(visits, after, days, steps):
    then = [oracle.states(dated(visits), day(after - days * k), 7, 3, 7, 30) for k in range(steps + 1)]
    expected = Counter(
        (k, then[k + 1].get(user, "unseen"), state) for k in range(steps) for user, state in then[k].items()
    )
    found = past_transitions(events(visits), after=day(after), days=days, steps=steps).to_pandas()
    assert {(r.step, r.from_state, r.to_state): r.users for r in found.itertuples()} == expected
    sizes = found.groupby(["step", "from_state"])["users"].transform("sum")
    assert (found["size"] == sizes).all()


# Invariances


@settings(max_examples=TENTH * 2)
@given(some_visits)
def test_order_repeats_and_the_roll_up_do_not_change_activity(visits):
    one, other, rolled = events(visits), events(visits[::-1] + visits), daily(visits)
    for metric in (active_users, stickiness, lifecycle, daily_states, states, dau_mau):
        expected = metric(one).to_pandas().to_dict("records")

        def rows(table, metric=metric):
            return metric(table).to_pandas().to_dict("records")

        if metric is states:  # per user, in no order
            assert sorted(rows(other), key=str) == sorted(rows(rolled), key=str) == sorted(expected, key=str)
        else:
            assert rows(other) == rows(rolled) == expected


two_events = st.lists(
    st.tuples(st.sampled_from("abcde"), days, st.sampled_from(["open", "pay"])), min_size=1, max_size=40
)
limits = st.one_of(st.none(), days.map(day))


def _both(visits) -> tuple:
    """Events, and the roll-up as a load leaves it, its marks and all."""
    rows = [{"event_id": f"e{i}", "user_id": u, "event": name, "ts": at(n)} for i, (u, n, name) in enumerate(visits)]
    rolled = {
        (u, n, name): {"user_id": u, "day": day(n), "event": name, "n": 1, "first_ts": at(n)} for u, n, name in visits
    }
    return bound("events", rows), bound("daily", marked(list(rolled.values())))


def _told(table) -> list[dict]:
    return sorted(table.to_pandas().astype(str).to_dict("records"), key=str)


@settings(max_examples=TENTH * 4)
@given(two_events, limits, GRAINS, WEEKS, st.sampled_from([None, "open"]))
def test_rows_that_tell_when_a_user_came_before_give_what_the_events_give(visits, until, grain, week_start, event):
    plain, rolled = _both(visits)
    period = (day(5), day(40))
    asked = [
        (active_users, {"windows": (1, 7, 33, grain), "week_start": week_start, "until": until, "event": event}),
        (active_users, {"windows": (2, grain), "period": period, "event": event}),
        (lifecycle, {"grain": grain, "week_start": week_start, "until": until, "event": event}),
        (lifecycle, {"grain": grain, "period": period, "event": event}),
        (stickiness, {"grain": grain, "week_start": week_start, "event": event}),
        (stickiness, {"grain": grain, "period": period, "event": event}),
        (daily_states, {"until": until, "event": event}),
        (states, {"as_of": until, "event": event}),
        (transitions, {"before": day(4), "after": until or day(50), "event": event}),
    ]
    for metric, how in asked:
        if metric is not transitions or until is None or until > day(4):
            assert _told(metric(rolled, **how)) == _told(metric(plain, **how)), (metric.__name__, how)


@settings(max_examples=TENTH)
@given(two_events)
def test_of_a_part_of_the_roll_up_the_marks_are_not_believed(visits):
    plain, rolled = _both(visits)
    for metric in (active_users, lifecycle, stickiness, states):
        own = [t.filter((t.event == "pay") & (t.day >= day(3))) for t in (plain, rolled)]
        assert _told(metric(own[1])) == _told(metric(own[0]))
        kept = ibis.memtable(own[1].to_pyarrow())
        assert _told(metric(kept)) == _told(metric(own[0]))


@settings(max_examples=TENTH * 2)
@given(some_visits)
def test_integer_keys_give_the_same_numbers_and_lists_still_show_the_text(visits):
    plain = events(visits)
    keyed = plain.mutate(user_key=plain.user_id.ascii_str().cast("int64"))
    assert windows(active_users(keyed)) == windows(active_users(plain))
    assert by_day(lifecycle(keyed), "start") == by_day(lifecycle(plain), "start")
    assert set(states(keyed).to_pandas()["user_id"]) == {user for user, _ in visits}


# Wrong calls


@pytest.mark.parametrize(
    ("metric", "how", "told"),
    [
        (active_users, {"windows": (0,)}, "windows must be a whole number from 1 to 366, got 0"),
        (active_users, {"windows": (-7,)}, "from 1 to 366, got -7"),
        (active_users, {"windows": ()}, "windows must be a list"),
        (active_users, {"windows": "week"}, "windows must be a list"),
        (active_users, {"windows": ("weeks",)}, "did you mean 'week'"),
        (active_users, {"event": ""}, "event must be"),
        (active_users, {"event": 7}, "event must be"),
        (active_users, {"period": ("2026-02-01", "2026-01-01")}, "period must end on or after its first day"),
        (active_users, {"period": "2026-02-01"}, "period must be"),
        (active_users, {"until": "yesterday"}, "until must be local days like"),
        (active_users, {"week_start": "tuesday"}, "week_start must be one of monday, sunday"),
        (dau_mau, {"window_days": 0}, "window_days must be a whole number from 1 to 366, got 0"),
        (stickiness, {"grain": "quarter"}, "grain must be one of day, week, month, hour, got 'quarter'"),
        (lifecycle, {"grain": "hour"}, "grain must be one of day, week, month"),
        (daily_states, {"week_days": 30, "month_days": 30}, "week_days must be a whole number from 1 to 29"),
        (states, {"silent_days": 30}, "silent_days (below churn_days) must be a whole number from 1 to 29, got 30"),
        (states, {"new_days": 8}, "new_days (at most silent_days) must be a whole number from 1 to 7, got 8"),
        (states, {"as_of": "2026-13-01"}, "must be local days like"),
        (transitions, {"before": "2026-02-01", "after": "2026-02-01"}, "after must be later than before"),
    ],
)
def test_a_wrong_call_is_told_the_argument_the_value_and_the_range(metric, how, told):
    with pytest.raises(ValueError) as error:
        metric(events([("ann", 0)]), **how)
    assert told in str(error.value) and str(error.value).startswith(metric.__name__)


def test_a_filter_on_an_unknown_column_names_the_near_miss():
    with pytest.raises(UsageError, match="「plattform」不存在；是不是「platform」"):
        active_users(events([("ann", 0)]), event={"event": "open", "where": {"plattform": "ios"}})
