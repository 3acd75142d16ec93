"""Who came, what it cost and what they bought: equality with loops over users and orders."""

from __future__ import annotations

import datetime as dt
from statistics import mean, variance

import pandas as pd
import pytest
from conftest import at, bound
from hypothesis import given
from hypothesis import strategies as st

from opslib.metrics.habits import early
from opslib.metrics.spend import channel_cost, channel_days, channel_users
from opslib.metrics.staying import survivors
from opslib.metrics.value import channel_value, cohort_value, customers

D0 = dt.date(2026, 1, 1)
NAMES = "abcd"
arrivals = st.fixed_dictionaries({u: st.tuples(st.integers(0, 40), st.sampled_from(["ads", "seo", ""])) for u in NAMES})
orders = st.lists(
    st.tuples(st.sampled_from("abcdx"), st.integers(0, 60), st.integers(1, 30), st.sampled_from([0, 0, 5])),
    min_size=1,
    max_size=14,
)
visits = st.lists(
    st.tuples(st.sampled_from("abcdx"), st.integers(0, 60), st.sampled_from(["activate", "read"])),
    min_size=1,
    max_size=20,
)
periods = st.sampled_from([None, (5, 25), (0, 40)])
GRAINS = st.sampled_from(["day", "week", "month"])


def day(n: int) -> dt.date:
    return D0 + dt.timedelta(n)


def asked(period) -> tuple[dt.date, dt.date] | None:
    return period and (day(period[0]), day(period[1]))


def start_of(n: int, grain: str) -> dt.date:
    d = day(n)
    return d.replace(day=1) if grain == "month" else d - dt.timedelta(d.weekday() if grain == "week" else 0)


def users_table(people):
    return bound("users", [{"user_id": u, "channel": c, "registered_at": at(n)} for u, (n, c) in people.items()])


def orders_table(rows):
    return bound(
        "orders",
        [
            {"order_id": f"o{i}", "user_id": u, "paid_at": at(n), "amount": x, "refunded": back}
            for i, (u, n, x, back) in enumerate(rows)
        ],
    )


def cohort(people, period) -> dict[str, tuple[int, str]]:
    """The users registered in the period, with their channel named."""
    low, high = period or (0, 10**6)
    return {u: (n, c or "(none)") for u, (n, c) in people.items() if low <= n <= high}


def net(x: int, back: int) -> int:
    return max(x - back, 0)


def rows_of(con, table) -> list[tuple]:
    frame = con.to_pandas(table)
    return [
        tuple(v.date() if isinstance(v, pd.Timestamp) else None if pd.isna(v) else v for v in r)
        for r in frame.itertuples(index=False)
    ]


@given(arrivals, orders, periods, st.sampled_from([1, 7]), GRAINS, st.sampled_from([None, 45]))
def test_cohort_value_is_its_definition(con, people, bought, period, step, grain, until):
    how = {"grain": grain, "step_days": step, "ages": 3, "period": asked(period)}
    got = rows_of(con, cohort_value(users_table(people), orders_table(bought), **how, until=until and day(until)))
    last = until or max(n for _, n, _, _ in bought)
    groups: dict[tuple, list[str]] = {}
    for u, (n, c) in cohort(people, period).items():
        if n <= last:
            groups.setdefault((start_of(n, grain), c), []).append(u)
    want = []
    for (start, channel), members in sorted(groups.items()):
        for age in range(3):
            if max(people[u][0] for u in members) + (age + 1) * step - 1 > last:
                continue
            own = [
                (u, net(x, back))
                for u, n, x, back in bought
                if u in members and n <= last and n >= people[u][0] and (n - people[u][0]) // step == age
            ]
            want.append((start, channel, age, len(members), len({u for u, _ in own}), sum(x for _, x in own)))
    assert got == want


@given(arrivals, orders, periods, st.sampled_from([1, 7]), st.sampled_from([None, 45]))
def test_channel_value_is_its_definition(con, people, bought, period, step, until):
    how = {"step_days": step, "ages": 3, "period": asked(period), "until": until and day(until)}
    got = rows_of(con, channel_value(users_table(people), orders_table(bought), **how))
    last = until or max(n for _, n, _, _ in bought)
    own, want = cohort(people, period), []
    for channel in sorted({c for n, c in own.values() if n <= last}):
        for age in range(3):
            days = (age + 1) * step
            old = [u for u, (n, c) in own.items() if c == channel and n + days - 1 <= last]
            paid = [(u, net(x, b)) for u, n, x, b in bought if u in old and 0 <= n - people[u][0] < days and n <= last]
            each = [sum(x for v, x in paid if v == u) for u in old]
            if old:
                spread = variance(each) if each[1:] else None
                want.append((channel, age, len(old), len({u for u, _ in paid}), mean(each), spread))
    assert len(got) == len(want)
    for found, expected in zip(got, want, strict=True):
        assert found == pytest.approx(expected)


@given(arrivals, orders, periods, st.sampled_from([(None, None), (30, None), (30, 45)]))
def test_customers_are_their_definition(con, people, bought, period, ends):
    end, until = ends
    how = {"period": asked(period), "end": end and day(end), "until": until and day(until)}
    got = {r[0]: r[1:] for r in rows_of(con, customers(users_table(people), orders_table(bought), **how))}
    last = until or max(n for _, n, _, _ in bought)
    stop = last if end is None else end
    want = {}
    for u, (registered, channel) in cohort(people, period).items():
        days: dict[int, int] = {}
        for v, n, x, back in bought:
            if v == u and registered <= n <= last:
                days[n] = days.get(n, 0) + net(x, back)
        seen = sorted(n for n in days if n <= stop)
        if not seen:
            continue
        repeats = [days[n] for n in seen[1:]]
        money = (sum(days[n] for n in seen), len(repeats), (seen[-1] - seen[0]) / 7, (stop - seen[0]) / 7)
        want[u] = (channel, *money, mean(repeats) if repeats else None, sum(n > stop for n in days))
    assert {u: tuple(r) for u, r in got.items()} == {u: pytest.approx(r) for u, r in want.items()}


@given(arrivals, visits, orders, periods, GRAINS, st.sampled_from([0, 3]))
def test_channel_users_are_their_definition(con, people, seen, bought, period, grain, within):
    daily = bound("daily", [{"user_id": u, "day": day(n), "event": e, "n": 1} for u, n, e in sorted(set(seen))])
    how = {"grain": grain, "period": asked(period), "activation_days": within, "until": day(60)}
    got = {r[:2]: r[2:] for r in rows_of(con, channel_users(users_table(people), daily, orders_table(bought), **how))}
    want: dict[tuple, list[int]] = {}
    for u, (n, channel) in cohort(people, period).items():
        sums = want.setdefault((start_of(n, grain), channel), [0] * 10)
        ages = {m - n for v, m, _ in seen if v == u}
        early = any(v == u and e == "activate" and 0 <= m - n <= within for v, m, e in seen)
        dn = [x for k in (1, 7, 30) for x in (k in ages and n + k <= 60, n + k <= 60)]
        paid = any(v == u for v, *_ in bought)
        for i, x in enumerate([1, paid, early and n + within <= 60, n + within <= 60, *dn]):
            sums[i] += int(x)
    assert got == {k: tuple(v) for k, v in want.items()}


@given(arrivals, visits, periods, GRAINS, st.sampled_from([1, 7]), st.sampled_from([1, 10]))
def test_survivors_are_their_definition(con, people, seen, period, grain, step, pause):
    daily = bound("daily", [{"user_id": u, "day": day(n), "event": e, "n": 1} for u, n, e in sorted(set(seen))])
    how = {"grain": grain, "period": asked(period), "step_days": step, "pause_days": pause, "ages": 4, "until": day(50)}
    got = rows_of(con, survivors(users_table(people), daily, **how))
    groups: dict[tuple, list[str]] = {}
    for u, (n, channel) in cohort(people, period).items():
        groups.setdefault((start_of(n, grain), channel), []).append(u)
    want = []
    for key, members in sorted(groups.items()):
        newest = max(people[u][0] for u in members)
        for age in range(5):
            if age == 0 or newest + age * step + pause - 1 <= 50:
                lives = [max([m for v, m, _ in seen if v == u and m <= 50], default=-1) - people[u][0] for u in members]
                want.append((*key, age, len(members), sum(age == 0 or life >= age * step for life in lives)))
    assert got == want


@given(arrivals, visits, st.sampled_from([(1, 1, 5, 90), (3, 5, 10, 20)]))
def test_early_steps_are_their_definition(con, people, seen, rule):
    days, stay_from, stay_to, cohort_days = rule
    daily = bound("daily", [{"user_id": u, "day": day(n), "event": e, "n": 1} for u, n, e in sorted(set(seen))])
    how = {"days": days, "stay_from": stay_from, "stay_to": stay_to, "cohort_days": cohort_days, "until": day(45)}
    got = {r[:2]: r[2:] for r in rows_of(con, early(users_table(people), daily, **how))}
    alike: dict[int, list[tuple[set[str], bool]]] = {}
    for u, (n, _) in people.items():
        if not stay_to <= 45 - n < stay_to + cohort_days:
            continue
        own = [(m - n, e) for v, m, e in seen if v == u]
        first = [(m, e) for m, e in own if 0 <= m < days]
        if first:
            stayed = any(stay_from <= m <= stay_to for m, _ in own)
            alike.setdefault(len({m for m, _ in first}), []).append(({e for _, e in first}, stayed))
    want = {}
    for active, members in alike.items():
        for name in {e for events, _ in members for e in events}:
            did = [stayed for events, stayed in members if name in events]
            others = [stayed for events, stayed in members if name not in events]
            want[name, active] = (len(did), sum(did), len(others), sum(others))
    assert got == want


def test_money_and_sign_ups_are_those_of_the_period_and_what_was_not_reported_is_blank(con):
    booked = [("ads", 0, 10.0, 5), ("ads", 3, 7.0, None), ("ads", 4, 1.0, 2), ("seo", 3, 2.0, None), ("ads", 9, 5.0, 1)]
    spend = bound(
        "spend",
        [{"day": day(n), "channel": c, "kind": "paid", "cost": x, "clicks": k} for c, n, x, k in booked],
    )
    none = bound("campaigns", [])
    got = rows_of(con, channel_cost(spend, none, grain="month", period=(day(3), day(8))))
    assert got == [(D0, "ads", "paid", 8.0, 0.0, None, 2, 2), (D0, "seo", "paid", 2.0, 0.0, None, None, 1)]
    people = users_table({"a": (0, "ads"), "b": (3, "ads"), "c": (3, "ads"), "d": (8, "")})
    days = rows_of(con, channel_days(spend, people, none, period=(day(3), day(8))))
    assert days == [
        (day(3), "ads", "paid", 7.0, None, 2),
        (day(3), "seo", "paid", 2.0, None, 0),
        (day(4), "ads", "paid", 1.0, 2, 0),
        (day(8), "(none)", None, None, None, 1),
    ]
