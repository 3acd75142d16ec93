"""Attribution metrics against their definitions in plain Python, and the stories that go wrong elsewhere."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

import ibis
import pytest
from conftest import at, bound
from hypothesis import given
from hypothesis import strategies as st

from opslib.metrics import attribution
from opslib.metrics.attribution import MODELS, credit, journeys, shares, touches
from opslib.models.attribution import decay_weights, position_weights

CUSTOM = [1, 2, 5]
hour = st.integers(0, 24 * 12)
seen = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["ads", "seo", "direct"]), hour), max_size=25)
few = seen.map(lambda contacts: contacts[:10])
paid = st.lists(st.tuples(st.sampled_from("abcd"), hour, st.sampled_from([None, 10.0, 25.0])), min_size=1, max_size=8)


def when(hours):
    return at(0, 0) + timedelta(hours=hours)


def tables(contacts, payments, last=None):
    rows = [
        {"event_id": f"e{i}", "user_id": u, "event": "pay", "ts": when(h), "amount": a}
        for i, (u, h, a) in enumerate(payments)
    ]
    if last is not None:
        rows.append({"event_id": "end", "user_id": "z", "event": "app_open", "ts": when(last)})
    marks = [
        {"touch_id": f"t{i:03d}", "user_id": u, "channel": c, "ts": when(h)} for i, (u, c, h) in enumerate(contacts)
    ]
    return bound("events", rows), bound("touches", marks)


def path_of(user, hours, contacts, lookback):
    """The touches of a conversion, oldest first; equal times in listing order."""
    inside = [
        (h, i, c)
        for i, (u, c, h) in enumerate(contacts)
        if u == user and h <= hours and (lookback is None or h >= hours - 24 * lookback)
    ]
    return sorted(inside)


def weights(path, hours, model):
    n, channels = len(path), [c for _, _, c in path]
    if model == "time_decay":
        return decay_weights([(hours - h) / 24 for h, _, _ in path], half_life_days=2.0)
    if model == "last_non_direct":
        chosen = ([i for i, c in enumerate(channels) if c != "direct"] or [n - 1])[-1]
        return [float(i == chosen) for i in range(n)]
    if model == "participation":
        return [float(c not in channels[:i]) for i, c in enumerate(channels)]
    return position_weights(n, model, weights=CUSTOM)


def oracle(contacts, payments, model, lookback, counted):
    conversions, value = defaultdict(float), defaultdict(float)
    ordered = sorted(enumerate(payments), key=lambda p: (p[1][1], f"e{p[0]}"))
    if counted != "all":
        one = {u: (i, (u, h, a)) for i, (u, h, a) in (ordered if counted == "last" else ordered[::-1])}
        ordered = list(one.values())
    for _, (user, hours, amount) in ordered:
        path = path_of(user, hours, contacts, lookback)
        credits = zip([c for _, _, c in path], weights(path, hours, model), strict=True) if path else [(None, 1.0)]
        for channel, share in credits:
            conversions[channel] += share
            value[channel] += share * (amount or 0)
    return {c: (pytest.approx(n), pytest.approx(value[c])) for c, n in conversions.items() if n}


def result(table):
    frame = table.to_pandas()
    channel = frame.channel.astype(object).where(frame.channel.notna(), None)
    return {c: (n, v) for c, n, v in zip(channel, frame.conversions, frame.value, strict=True)}


@given(seen, paid, st.sampled_from(MODELS), st.sampled_from([None, 2, 5]), st.sampled_from(["all", "first", "last"]))
def test_credit_is_its_definition(contacts, payments, model, lookback, counted):
    how = {"model": model, "lookback_days": lookback, "counted": counted, "weights": CUSTOM, "half_life_days": 2.0}
    got = result(credit(*tables(contacts, payments), **how))
    assert got == oracle(contacts, payments, model, lookback, counted)


@given(seen, paid, st.sampled_from([m for m in MODELS if m != "participation"]))
def test_every_conversion_and_its_value_is_given_away_once(contacts, payments, model):
    frame = credit(*tables(contacts, payments), model=model, weights=CUSTOM).to_pandas()
    assert frame.conversions.sum() == pytest.approx(len(payments))
    assert frame.value.sum() == pytest.approx(sum(a or 0 for _, _, a in payments))


def journeys_oracle(contacts, payments, lookback, last):
    found = defaultdict(lambda: [0, 0.0, 0])
    used = set()
    for user, hours, amount in payments:
        path = path_of(user, hours, contacts, lookback)
        used |= {i for _, i, _ in path}
        row = found[" > ".join(c for _, _, c in path)]
        row[0] += 1
        row[1] += amount or 0
    for user in "abc":
        alone = sorted((h, i, c) for i, (u, c, h) in enumerate(contacts) if u == user and i not in used)
        parts = []
        for touch in alone:
            if parts and touch[0] - parts[-1][-1][0] <= 24 * lookback:
                parts[-1].append(touch)
            else:
                parts.append([touch])
        for part in parts:
            if when(part[-1][0]).date() < when(last).date() - timedelta(days=lookback):
                found[" > ".join(c for _, _, c in part)][2] += 1
    return {p: (n, pytest.approx(v), lost) for p, (n, v, lost) in found.items()}


@given(few, paid, st.sampled_from([1, 3]))
def test_journeys_are_their_definition(contacts, payments, lookback):
    last = 24 * 12
    frame = journeys(*tables(contacts, payments, last), lookback_days=lookback, max_touches=10).to_pandas()
    rows = zip(frame.path, frame.conversions, frame.value, frame.nulls, strict=True)
    assert {p: (n, v, lost) for p, n, v, lost in rows} == journeys_oracle(contacts, payments, lookback, last)
    assert (frame.touches == [len(p.split(" > ")) if p else 0 for p in frame.path]).all()


def test_both_ends_of_the_look_back_count_and_a_touch_after_the_conversion_does_not():
    contacts = [("a", "old", 0), ("a", "edge", 1), ("a", "now", 49), ("a", "late", 50)]
    got = result(credit(*tables(contacts, [("a", 49, None)]), lookback_days=2))
    assert set(got) == {"edge", "now"}


def test_a_conversion_without_a_touch_is_a_row_of_its_own_and_not_dropped():
    got = result(credit(*tables([("a", "ads", 5)], [("a", 3, 7.0), ("b", 9, 3.0)])))
    assert got == {None: (2, 10)}


def test_a_touch_serves_every_conversion_in_its_look_back_unless_one_per_user_is_counted():
    data = tables([("a", "ads", 0)], [("a", 1, 1.0), ("a", 2, 1.0)])
    assert result(credit(*data))["ads"] == (2, 2)
    assert result(credit(*data, counted="first"))["ads"] == (1, 1)


def test_the_period_limits_conversions_and_not_the_touches_before_it():
    data = tables([("a", "ads", 10)], [("a", 20, 1.0), ("a", 30, 1.0), ("a", 60, 1.0)])
    got = result(credit(*data, period=("2026-01-02", "2026-01-02")))
    assert got == {"ads": (1, 1)}


def test_a_journey_without_a_conversion_is_of_the_period_that_its_last_touch_is_in():
    contacts = [("a", "ads", 0), ("a", "seo", 30), ("b", "ads", 12), ("c", "ads", 60), ("c", "seo", 80)]
    frame = journeys(*tables(contacts, [], 24 * 12), lookback_days=1, period=("2026-01-02", "2026-01-03")).to_pandas()
    assert dict(zip(frame.path, frame.nulls, strict=True)) == {"seo": 1}


def test_the_channel_with_most_credit_comes_first_and_equals_by_name():
    data = tables(
        [("a", "seo", 0), ("b", "ads", 0), ("c", "mail", 0), ("d", "mail", 0)], [(u, 1, None) for u in "abcd"]
    )
    assert credit(*data).to_pandas()["channel"].tolist() == ["mail", "ads", "seo"]


def test_tracked_events_become_touches_where_their_channel_is_known():
    rows = [
        {"event_id": "1", "user_id": "a", "event": "visit", "ts": at(0), "props": '{"source": "ads"}'},
        {"event_id": "2", "user_id": "a", "event": "visit", "ts": at(1), "props": '{"source": ""}'},
        {"event_id": "3", "user_id": "a", "event": "visit", "ts": at(1), "props": "{}", "channel": "seo"},
        {"event_id": "4", "user_id": "a", "event": "pay", "ts": at(2), "props": '{"source": "mail"}'},
    ]
    events = bound("events", rows)
    by_prop = touches(events, channel="props.source").to_pandas()
    assert dict(zip(by_prop.touch_id, by_prop.channel, strict=True)) == {"1": "ads", "4": "mail"}
    only_visits = touches(events, touch="visit", channel="props.source").to_pandas()
    assert only_visits.channel.tolist() == ["ads"]
    assert touches(events).to_pandas().channel.tolist() == ["seo"]


def test_shares_name_the_conversion_the_touch_and_the_part():
    got = shares(*tables([("a", "ads", 0), ("a", "seo", 1)], [("a", 5, 8.0)]), model="j").to_pandas()
    assert sorted(zip(got.event_id, got.channel, got.share.round(6), strict=True)) == [
        ("e0", "ads", 0.3),
        ("e0", "seo", 0.7),
    ]


def test_a_long_path_shows_its_last_touches_and_an_undecided_journey_is_absent():
    contacts = [("a", f"c{h}", h) for h in range(6)] + [("b", "ads", 24 * 11), ("c", "ads", 0)]
    frame = journeys(*tables(contacts, [("a", 9, 1.0)], 24 * 12), lookback_days=3, max_touches=2).to_pandas()
    assert sorted(zip(frame.path, frame.conversions, frame.nulls, strict=True)) == [("ads", 0, 1), ("c4 > c5", 1, 0)]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"model": "lats"}, "did you mean 'last'"),
        ({"lookback_days": 0}, "between 1 and 3650"),
        ({"model": "custom"}, "three numbers"),
        ({"counted": "once"}, "counted must be one of"),
        ({"half_life_days": 0}, "at least 0.1"),
        ({"two_touch": "half"}, "two_touch must be one of"),
    ],
)
def test_wrong_calls_are_refused(how, message):
    with pytest.raises(ValueError, match=message):
        credit(*tables([], [("a", 1, None)]), **how)
    with pytest.raises(ValueError, match="max_touches"):
        journeys(*tables([], [("a", 1, None)]), max_touches=0)


@given(few, paid, st.sampled_from(["first", "last", "last_non_direct"]))
def test_the_plan_without_a_sort_is_the_portable_one(contacts, payments, model):
    fast = result(credit(*tables(contacts, payments), model=model))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attribution, "_engine", lambda table: "")
        portable = credit(*tables(contacts, payments), model=model)
    assert "row_number" in ibis.to_sql(portable).lower()
    assert result(portable) == fast
