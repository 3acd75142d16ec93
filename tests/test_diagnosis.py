"""The diagnosis on hand-made rows, on the sample's planted drop, and on data that cannot be meant."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest
from conftest import at, bound, rolled_up
from diagnosis_worlds import DIMENSIONS, STEPS, world
from hypothesis import given, settings
from hypothesis import strategies as st

from opslib.errors import TooLittleError, UsageError
from opslib.metrics import first_steps, quality
from opslib.metrics.funnel import funnel_tries
from opslib.metrics.newcomers import newcomer_days, newcomer_steps, newcomers
from opslib.models import cause_facts, diagnosis, funnel_cells, kpi_days, timeline
from opslib.periods import Reporting, compared
from opslib.sentences import diagnosis as statements
from opslib.sentences import diagnosis_actions, diagnosis_funnel, diagnosis_parts
from opslib.text import speaking

WAY = ["app_open", "register", "activate"]
DAY0 = dt.date(2026, 1, 1)


def day(n: int) -> dt.date:
    return DAY0 + dt.timedelta(days=n)


def event(who: str, name: str, n: int, minute: int = 0, **more) -> dict:
    row = {"event_id": f"{who}-{name}-{n}-{minute}", "user_id": who, "event": name, "ts": at(n, 12, minute)}
    return row | {"channel": "ads", "platform": "ios"} | more


def tables(rows: list[dict]):
    """Events and the roll-up of them that a load keeps."""
    return bound("events", rows), bound("daily", rolled_up(rows))


def cells_of(con, rows, **how) -> set[tuple]:
    got = con.to_pandas(newcomers(*tables(rows), steps=WAY, **({"dimensions": ["channel"]} | how)))
    return {tuple(r) for r in got.itertuples(index=False)}


# Metrics on hand-made rows


def test_a_new_user_is_counted_with_the_steps_of_the_first_day_and_the_return_of_the_next(con):
    rows = [
        event("ann", "app_open", 0), event("ann", "register", 0, 5), event("ann", "read", 1),
        event("bob", "app_open", 0, channel=None), event("bob", "register", 2),
        event("cem", "app_open", 2), event("cem", "register", 2, 1), event("cem", "activate", 2, 2), event("cem", "read", 3),
    ]  # fmt: skip
    got = cells_of(con, rows, period=(str(day(2)), str(day(2))), compare=(str(day(0)), str(day(1))))
    assert got == {("current", "ads", 3, 1, 1), ("previous", "(none)", 1, 1, 0), ("previous", "ads", 2, 1, 1)}


@pytest.mark.parametrize("further", [{}, {"optional": True}])
def test_users_of_every_day_have_the_same_time_to_enter(con, further):
    """In a world that stands still half of the users enter days after they came, and do worse: no day differs from another."""
    rows = []
    for n in range(20):
        rows += [event(f"a{n}", "app_open", n), event(f"a{n}", "read", n, 1), event(f"a{n}", "register", n, 5)]
        rows += [event(f"a{n}", "activate", n, 9)]
        rows += [event(f"b{n}", "read", n)] + [event(f"b{n}", "app_open", n + 5)] * (n < 15)
    steps = ["app_open", "register", {"event": "read", **further}, "activate"] if further else WAY
    days = con.to_pandas(newcomer_steps(*tables(rows), steps=steps, until=str(day(19))))
    shape = {n: sorted(zip(own["reached"], own["users"], strict=True)) for n, own in days.groupby("day")}
    assert len(shape) == 19 and all(own == [(0, 1), (3, 1)] for own in shape.values())
    cells = newcomers(
        *tables(rows), steps=steps, period=(str(day(10)), str(day(18))), compare=(str(day(0)), str(day(8)))
    )
    sums = con.to_pandas(cells).groupby(["period", "reached"])["users"].sum()
    assert sums.to_dict() == {(p, r): 9 for p in ("current", "previous") for r in (0, 3)}
    took = con.to_pandas(first_steps.step_times(*tables(rows), steps=steps, period=(str(day(0)), str(day(18)))))
    assert set(took["users"]) == {19} and took["p50_s"].max() == 9 * 60


def test_users_whose_next_day_is_not_over_are_left_out(con):
    rows = [event("ann", "app_open", 0), event("bob", "app_open", 3)]
    assert {r[:4] for r in cells_of(con, rows)} == {("current", "ads", 1, 1)}
    assert (
        len(cells_of(con, rows, until=str(day(4)))) == 1
        and sum(r[3] for r in cells_of(con, rows, until=str(day(4)))) == 2
    )


def test_values_beyond_the_limit_are_one(con):
    rows = [event(f"u{i}", "app_open", 0, channel=f"c{i % 7}" if i > 20 else "big") for i in range(40)]
    rows.append(event("u0", "read", 1))
    got = cells_of(con, rows, limit=1)
    assert {r[1] for r in got} == {"big", "Other"} and sum(r[3] for r in got) == 40


def test_a_dimension_of_users_is_joined_to_everyone_and_blank_where_it_is_not_known(con):
    rows = [event(who, "app_open", 0) for who in ("ann", "bob", "cem")] + [event("ann", "read", 1)]
    users = bound("users", [{"user_id": "ann", "channel": "seo"}, {"user_id": "bob", "channel": ""}])
    got = con.to_pandas(newcomers(*tables(rows), users, steps=WAY, dimensions=["platform", "users.channel"]))
    assert {tuple(r) for r in got.itertuples(index=False)} == {
        ("current", "ios", "seo", 1, 1, 1), ("current", "ios", "(none)", 1, 2, 0)}  # fmt: skip


@pytest.mark.parametrize("metric", [newcomers, newcomer_days])
@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"dimensions": "channel"}, "dimensions must be columns"),
        ({"dimensions": []}, "dimensions must be columns"),
        ({"dimensions": ["users.channel"]}, "needs the table users"),
        ({"day_n": 0}, "day_n must be a whole number from 1 to 366"),
        ({"limit": 0}, "limit must be a whole number from 1 to 1000"),
    ],
)
def test_a_wrong_call_names_the_argument(metric, how, told):
    with pytest.raises(ValueError, match=told):
        metric(*tables([event("ann", "app_open", 0)]), **how)


@settings(max_examples=12)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from([*WAY, "read"]), st.integers(0, 4), st.integers(0, 59)),
        min_size=1, max_size=25, unique=True,
    )
)  # fmt: skip
def test_newcomers_are_their_definition(con, visits):
    rows = [event(who, name, n, minute, platform=("ios", "web")[minute % 2]) for who, name, n, minute in visits]
    got = cells_of(con, rows, dimensions=["platform"], period=(str(day(1)), str(day(3))))
    expected: dict[tuple, list[int]] = {}
    last = max(n for _, _, n, _ in visits)
    for user in {v[0] for v in visits}:
        own = sorted((r for r in rows if r["user_id"] == user), key=lambda r: (r["ts"], r["event_id"]))
        first = own[0]["ts"].date()
        if not day(1) <= first <= day(3) or first >= day(last):
            continue
        opens = [i for i, r in enumerate(own) if r["event"] == WAY[0] and r["ts"].date() == first]
        reached = 0
        if opens:
            reached, limit = 1, own[opens[0]]["ts"] + dt.timedelta(days=1)
            for row in own[opens[0] + 1 :]:
                if reached < len(WAY) and row["event"] == WAY[reached] and row["ts"] <= limit:
                    reached += 1
        cell = expected.setdefault(("current", own[0]["platform"], reached), [0, 0])
        cell[0] += 1
        cell[1] += any(r["ts"].date() == first + dt.timedelta(days=1) for r in own)
    assert got == {(*key, *value) for key, value in expected.items()}


@pytest.mark.parametrize("day_n", [1, 7])
def test_the_marks_of_a_warehouse_say_the_same_as_its_days(warehouse, day_n):
    from opslib.engine import connect

    tables = connect(str(warehouse))
    part = tables.daily.filter(tables.daily.n > 0)  # no whole table any more: its marks are not trusted
    marked, plain = (
        newcomer_days(tables.events, daily, dimensions=["platform"], day_n=day_n).to_pandas()
        for daily in (tables.daily, part)
    )
    assert len(marked) and marked["returned"].sum() and marked.equals(plain)


def test_days_hold_the_same_users_for_every_dimension(con):
    rows = [event(f"u{i}", "app_open", i % 3, platform=("ios", "web")[i % 2]) for i in range(12)] + [
        event("u0", "read", 9)
    ]
    got = con.to_pandas(newcomer_days(*tables(rows), dimensions=["channel", "platform"]))
    sums = got.groupby(["dimension", "day"]).users.sum().unstack("dimension")
    assert (sums["channel"] == sums["platform"]).all() and sums["channel"].tolist() == [4, 4, 4]


def test_only_the_times_of_new_users_count(con):
    rows = [
        event("old", "app_open", 0),
        event("old", "app_open", 5),
        event("old", "register", 5, 1),
        event("new", "app_open", 5),
        event("new", "register", 6),
    ]
    asked = {"steps": WAY, "period": (str(day(5)), str(day(6)))}
    got = con.to_pandas(first_steps.step_times(*tables(rows), **asked))
    assert got[["from_step", "to_step", "users", "p50_s"]].to_numpy().tolist() == [[1, 2, 1, 86_400]]
    with pytest.raises(ValueError, match="step_times: quantiles must be between 0 and 1"):
        first_steps.step_times(*tables(rows), quantiles=[50], **asked)


def test_a_step_after_the_window_takes_no_time(con):
    rows = [event("ann", "app_open", 0), event("ann", "register", 1, 1)]
    assert con.to_pandas(first_steps.step_times(*tables(rows), steps=WAY)).empty


def test_a_tracker_s_own_column_is_no_number_of_a_row(con):
    """The plan numbers the rows of users with ties as `n`."""
    rows = [
        event(who, name, 0, minute, position=n)
        for who, first in (("a", 9), ("b", 1))
        for name, minute, n in (
            ("app_open", 0, first),
            ("register", 0, 7),
            ("register", 1, 1),
            ("activate", 1, 5),
            ("activate", 2, 5),
        )
    ]
    events, daily = tables(rows)
    events = events.mutate(n=events.position)
    steps = ["app_open", {"event": "register", "where": {"n": {"max": 6}}}, "activate"]
    got = con.to_pandas(newcomer_steps(events, daily, steps=steps, until=str(day(3))))
    assert got[["reached", "users"]].to_numpy().tolist() == [[3, 2]]


def test_habits_count_what_came_before_the_step_and_nothing_after(con):
    rows = []
    for who, reads_first, passes in (("a", True, True), ("b", True, True), ("c", False, False), ("d", True, False)):
        rows += [event(who, "read", 0, 0)] if reads_first else []
        rows += [event(who, "app_open", 0, 1), event(who, "register", 0, 2)]
        rows += [event(who, "activate", 0, 3), event(who, "like", 0, 4)] if passes else []
    got = con.to_pandas(first_steps.step_habits(*tables(rows), steps=WAY, step=3)).set_index("event")
    assert got.loc["read"].tolist() == [2, 2, 1, 2] and "like" not in got.index


def test_who_came_with_two_values_in_one_instant_has_that_of_the_smaller_id(con):
    rows = [
        event("ann", "app_open", 0, channel="seo", event_id="2"),
        event("ann", "read", 0, channel="ads", event_id="1"),
        event("ann", "read", 0, 5, channel="tv", event_id="0"),
        event("ann", "read", 3),
    ]
    assert {r[1] for r in cells_of(con, rows)} == {"ads"}


# The planted drop of the sample


@pytest.fixture(scope="module")
def planted(sampled, con):
    """Cells and days of the sample around its drop, and what was planted."""
    import duckdb

    needed = ["event_id", "user_id", "event", "ts", "day", "channel", "platform", "props"]
    frame = sampled.table("events")[needed].astype(dict.fromkeys(["event", "channel", "platform", "props"], str))
    frame["day"] = frame["day"].dt.date
    drop = sampled.truths["d1_drop"]
    before, after = ((drop[w]["start"], drop[w]["end"]) for w in ("before", "after"))
    backend = type(con).from_connection(duckdb.connect())
    events = backend.create_table("events", frame)
    daily = events.group_by("user_id", "day", "event").agg(n=events.count())
    asked = ["channel", "platform", "props.version"]
    steps = ["app_open", "register", "verify_phone", "activate"]
    cells = newcomers(events, daily, steps=steps, dimensions=asked, period=after, compare=before).to_pandas()
    days = newcomer_days(events, daily, dimensions=asked, period=(before[0], after[1])).to_pandas()
    return diagnosis.named_cells(cells, asked), days, drop, steps, (before[0], after[1])


def test_the_two_planted_causes_of_the_sample_are_the_first_two(planted):
    cells, _, drop, steps, _ = planted
    found = diagnosis.diagnose(cells, ["channel", "platform"], steps=steps)
    rows = diagnosis.listed(found)
    assert [tuple(r) for r in rows[["dimension", "value", "kind"]].head(2).to_numpy()] == [
        (c["dimension"], c["value"], c["kind"]) for c in drop["causes"]
    ]
    for cause, row in zip(drop["causes"], rows.to_dict("records"), strict=False):
        assert abs(row["contribution"] - cause["contribution"]) < 0.02
    assert rows["step"][0] == drop["causes"][0]["step"]
    assert rows["contribution"].sum() == pytest.approx(found.change, abs=1e-9)
    assert found.unexplained_low < 0 < found.unexplained_high


def test_the_release_the_spend_and_the_day_are_told_with_the_cause(planted):
    cells, days, drop, steps, span = planted
    found = diagnosis.diagnose(cells, ["channel", "platform"], steps=steps, draws=50)
    happened = timeline.releases(days[days["dimension"] == "props.version"], span)
    assert {"5.2.0"} <= set(happened["name"])
    facts = cause_facts.facts(found, cells, days, happened, span, steps=steps, release="props.version")
    rate, mix = facts.iloc[0], facts.iloc[1]
    assert (rate["version"], rate["owner"], mix["owner"]) == ("5.2.0", "engineering", "marketing")
    for row in (rate, mix):
        assert row["since_low"] <= pd.Timestamp(drop["after"]["start"]) <= row["since_high"]
    assert rate["nearby"] == [("release", "5.2.0", "")]
    with speaking("en"):
        words = statements.causes(found, facts)[0].text
        actions = diagnosis_actions.actions(found, facts, due=dt.date(2026, 6, 28))
    assert (
        " of it at the step “Verify phone”. It lies in version 5.2.0: the rate of that step is " in words
    )  # a step's rate is not read as the retention beside it
    assert [a.team for a in actions] == ["engineering", "marketing"] and all(a.target > a.baseline for a in actions)


@pytest.mark.parametrize(
    ("lang", "spent", "released"),
    [
        ("zh", "投放「douyin」日花费 ×4.4", "版本发布「5.2.0」"),
        ("en", "daily spend on “douyin” ×4.4", "release “5.2.0”"),
    ],
)
def test_what_happened_is_said_in_the_words_of_the_language(lang, spent, released):
    days = pd.date_range("2026-05-01", periods=28)
    cost = pd.DataFrame({"start": days, "channel": "douyin", "cost": [100.0] * 14 + [440.0] * 14})
    with speaking(lang):
        row = timeline.spend_changes(cost, (days[14], days[27]), (days[0], days[13])).iloc[0]
        assert statements.near(row["what"], row["name"], row["detail"]) == spent
        assert statements.near("release", "5.2.0", "") == released


@pytest.mark.parametrize(
    ("scale", "kind", "words"),
    [
        (1, "seconds", "143 s on average, 111 s"),
        (120, "hours", "4.8 h on average, 3.7 h"),
        (2, "minutes", "4.8 min on average, 3.7 min"),
    ],
)
def test_the_longest_step_is_told_in_one_unit(scale, kind, words):
    times = {"p50_s": 111.0, "mean_s": 143.0, "p90_s": 277.0, "low": 138.0, "high": 148.0}
    waits = pd.DataFrame(
        [
            {"from_step": 1, "to_step": 2, "from_name": "a", "to_name": "b", "users": 900}
            | {k: v * scale for k, v in times.items()}
        ]
    )
    with speaking("en"):
        said = diagnosis_funnel.times(waits, pd.DataFrame({"diff": [0.0], "low": [-1.0], "high": [1.0]}))
    assert (
        said.format == kind
        and words in said.text
        and said.value == pytest.approx(143 * scale / {"seconds": 1, "minutes": 60, "hours": 3600}[kind])
    )


def test_the_step_that_all_took_by_definition_has_no_test():
    row = {
        "step": "open",
        "rate": 1.0,
        "low": 0.99,
        "high": 1.0,
        "diff": 0.0,
        "diff_low": -0.1,
        "diff_high": 0.1,
        "p": 1.0,
    }
    table = diagnosis_funnel.entry_blank(pd.DataFrame([row, row | {"step": "pay"}]))
    assert (
        table.loc[0, ["low", "high", "diff", "diff_low", "diff_high", "p"]].isna().all() and table["rate"].eq(1).all()
    )
    assert table.iloc[1].to_dict() == row | {"step": "pay"}


def test_the_day_of_the_change_is_found_in_the_sample(planted):
    _, days, drop, _, span = planted
    sums = days[days["dimension"] == "channel"].groupby("day")[["users", "returned"]].sum().reset_index()
    point = kpi_days.level_change(sums.assign(rate=sums["returned"] / sums["users"]), span)
    assert point is not None and point.change < -0.05
    assert point.low_day <= pd.Timestamp(drop["after"]["start"]) <= point.high_day


# What it says


def told(seed=2, causes=2, **how):
    cells, _ = world(seed, causes)
    found = diagnosis.diagnose(cells, DIMENSIONS, steps=STEPS, draws=30, **how)
    days = pd.DataFrame(columns=["dimension", "day", "value", "users", "returned"])
    facts = cause_facts.facts(found, cells, days, timeline.together(), ("2026-01-01", "2026-02-28"), steps=STEPS)
    return cells, found, facts


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_cause_has_a_sentence_an_interval_and_an_action(lang):
    _, found, facts = told()
    with speaking(lang):
        said = statements.causes(found, facts)
        actions = diagnosis_actions.actions(found, facts, due=day(0))
        title = statements.headline(found, facts)
    assert len(said) == len(facts) + 1 and all(f.low is not None and f.n for f in said[:-1])
    assert len(actions) == (facts["contribution"] < 0).sum()
    assert bool(any("\u4e00" <= c <= "\u9fff" for c in title)) == (lang == "zh")


def test_where_nothing_moved_no_cause_is_claimed():
    _, found, facts = told(seed=5, causes=0)
    with speaking("en"):
        (said,) = statements.causes(found, facts)
        assert "no cause is claimed" in said.text and "no cause is claimed" in statements.headline(found, facts)
    assert said.level == "info" and diagnosis_actions.actions(found, facts, due=day(0)) == []


def test_simpsons_paradox_is_named():
    """Both channels keep more users than before, the whole keeps fewer: the worse channel has grown."""
    rows = []
    for period, sizes, rates in (("previous", (2000, 8000), (0.30, 0.60)), ("current", (8000, 2000), (0.35, 0.65))):
        for channel, n, rate in zip(("ads", "seo"), sizes, rates, strict=True):
            rows.append((period, channel, 1, n, round(n * rate)))
    cells = pd.DataFrame(rows, columns=["period", "channel", "reached", "users", "returned"])
    found = diagnosis.diagnose(cells, ["channel"], steps=["open"], draws=0)
    assert found.change < 0 and found.reversals["strict"].tolist() == [True]
    with speaking("en"):
        words = [f.text for f in diagnosis_parts.mixes(found, pd.DataFrame([_whole(found)]))]
    assert any("Simpson" in w for w in words)


def _whole(found):
    parts = {"mix": found.mix, "mix_low": 0, "mix_high": 0, "rate_effect": found.rate, "rate_low": 0, "rate_high": 0}
    return parts | {"dimension": "(all)"}


# Bad input


def test_a_period_without_new_users_says_which_parameter_to_change():
    cells, _ = world(0, 0)
    for gone, hint in (("previous", "compare_start"), ("current", "start and end")):
        with speaking("en"), pytest.raises(TooLittleError, match=hint):
            diagnosis.diagnose(cells[cells["period"] != gone], DIMENSIONS, steps=STEPS)


def test_rates_of_zero_and_one_make_a_diagnosis():
    cells, _ = world(1, 0)
    never, always = cells.assign(returned=0), cells.assign(returned=cells["users"])
    for frame in (never, always):
        found = diagnosis.diagnose(frame, DIMENSIONS, steps=STEPS, draws=20)
        assert found.change == 0 and found.causes.empty and found.effects["contribution"].abs().max() < 1e-12
    gone = pd.concat([always[always.period == "previous"], never[never.period == "current"]])
    found = diagnosis.diagnose(gone, DIMENSIONS, steps=STEPS, draws=20)
    assert found.change == -1 and diagnosis.listed(found)["contribution"].sum() == pytest.approx(-1, abs=1e-9)


def test_ten_thousand_values_are_pooled_and_the_cause_is_still_named(con):
    import ibis

    rng = np.random.default_rng(0)
    n = 24_000
    users = pd.DataFrame(
        {"user_id": np.arange(n).astype(str), "d": rng.integers(0, 2, n), "platform": rng.choice(["ios", "web"], n)}
    )
    users["channel"] = np.where(rng.random(n) < 0.3, "ads", "c" + pd.Series(rng.integers(0, 10_000, n)).astype(str))
    stays = rng.random(n) < np.where((users["platform"] == "web") & (users["d"] == 1), 0.2, 0.4)
    first = users.assign(day=[day(0) if d == 0 else day(10) for d in users["d"]], event="app_open")
    back = first[stays].assign(day=lambda t: [d + dt.timedelta(days=1) for d in t["day"]])
    rows = pd.concat([first, back, first.head(1).assign(day=day(20))])
    rows = rows.assign(ts=pd.to_datetime(rows["day"]), event_id=np.arange(len(rows)).astype(str)).drop(columns="d")
    events = ibis.memtable(rows)
    daily = ibis.memtable(rows[["user_id", "day", "event"]])
    got = con.to_pandas(
        newcomers(
            events, daily, steps=["app_open"], period=(str(day(10)), str(day(10))), compare=(str(day(0)), str(day(0)))
        )
    )
    assert got["d0"].nunique() == 101 and len(got) < 1_000
    cells = diagnosis.named_cells(got, ["channel", "platform"])
    with speaking("en"):
        assert "Channel: too many values; those beyond the 100" in diagnosis_parts.pooled(
            cells, ["channel", "platform"]
        )
        assert diagnosis_parts.pooled(cells, ["platform"]) == ""
    found = diagnosis.diagnose(cells, ["channel", "platform"], steps=["app_open"], draws=20)
    assert [tuple(r) for r in found.causes[["dimension", "value"]].to_numpy()] == [("platform", "web")]


def test_unequal_periods_are_compared_by_rate_and_said(con):
    cells, _ = world(0, 0)
    short = cells.assign(users=np.where(cells["period"] == "previous", cells["users"] * 3, cells["users"]))
    short["returned"] = np.where(cells["period"] == "previous", cells["returned"] * 3, cells["returned"])
    assert diagnosis.diagnose(short, DIMENSIONS, steps=STEPS, draws=0).change == pytest.approx(
        diagnosis.diagnose(cells, DIMENSIONS, steps=STEPS, draws=0).change
    )
    with speaking("en"):
        words = diagnosis_parts.window(
            Reporting("days", day(30), day(36)), Reporting("days", day(0), day(20)), day(36), 1
        )
    assert "7 and 21 days" in words and "left out" in words


@pytest.mark.parametrize(("hour", "whole"), [(5, 8), (22, 9)])
def test_a_last_day_that_breaks_off_is_left_out_and_said(con, hour, whole):
    rows = [event("ann", "read", n) | {"ts": at(n, h, 30)} for n in range(9) for h in (1, 22)]
    rows = [r | {"event_id": str(i)} for i, r in enumerate([*rows, event("bob", "read", 9) | {"ts": at(9, hour, 29)}])]
    ends = con.to_pandas(quality.day_ends(bound("events", rows), days=9))
    assert [pd.Timestamp(d).date() for d in ends["day"]] == [day(n) for n in range(1, 10)]
    assert pd.Timestamp(ends["last_ts"].iloc[-1]) == pd.Timestamp(at(9, hour, 29))
    assert kpi_days.whole_until(ends, day(9)) == day(whole)
    assert kpi_days.whole_until(ends.tail(3), day(9)) == day(9)  # too few days before to know
    with speaking("en"):
        assert bool(diagnosis_parts.unfinished(day(9), day(whole))) == (whole == 8)


def test_the_drill_down_names_the_same_last_day_as_the_page(monkeypatch):
    """Data to the 60th day, a funnel of seven days: the last users whose days are over came on the 53rd."""
    from types import SimpleNamespace

    import opslib.sentences.diagnosis_explore as explore

    cells, _ = world(0, 0)
    cells = cells[[*DIMENSIONS, "period", "reached", "users", "returned"]].rename(columns={DIMENSIONS[0]: "d0"})
    notes = []
    monkeypatch.setattr(explore, "newcomers", lambda *a, **k: SimpleNamespace(to_pandas=lambda: cells))
    monkeypatch.setattr(explore, "section", lambda *a, note, **k: notes.append(note))
    nothing = SimpleNamespace(events=None, daily=None, users=None)
    with speaking("en"):
        compute = explore.answer(nothing, steps=STEPS, window_days=7, day_n=1, until=day(60))
        compute("retention", day(20), day(29), day(10), day(19), DIMENSIONS[0])
    assert f"after {day(53)}" in notes[0] and str(day(60)) not in notes[0]


def test_the_period_compared_with_is_as_long_and_right_before_unless_given():
    current = Reporting("days", day(28), day(41))
    assert compared(current, (day(0), day(60))).days == (str(day(14)), str(day(27)))
    assert compared(current, (day(0), day(60)), str(day(0)), str(day(6))).days == (str(day(0)), str(day(6)))
    assert compared(current, (day(20), day(60))).start == day(20)
    with pytest.raises(TooLittleError):
        compared(current, (day(28), day(60)))


def test_a_wrong_kpi_and_a_missing_column_say_so():
    cells, _ = world(0, 0)
    with pytest.raises(ValueError, match="retention or conversion"):
        diagnosis.diagnose(cells, DIMENSIONS, steps=STEPS, kpi="sales")
    with pytest.raises(ValueError, match="no column 'city'"):
        diagnosis.diagnose(cells, ["city"], steps=STEPS)


# What else happened


def test_notes_are_read_and_wrong_ones_say_what_is_wrong(tmp_path):
    path = tmp_path / "notes.csv"
    path.write_text("day,text\n2026-01-05,改价\n2026-03-05,out\n", encoding="utf-8")
    got = timeline.notes(str(path), (day(0), day(30)))
    assert got[["what", "name"]].values.tolist() == [["note", "改价"]]
    assert timeline.notes("", (day(0), day(30))).empty
    path.write_text("day,text\n5 Jan,x\n", encoding="utf-8")
    with pytest.raises(UsageError, match="2026-06-01"):
        timeline.notes(str(path), (day(0), day(30)))
    path.write_text("when,what\n", encoding="utf-8")
    with pytest.raises(UsageError, match="needs day and text"):
        timeline.notes(str(path), (day(0), day(30)))
    with pytest.raises(UsageError, match="no file"):
        timeline.notes(str(tmp_path / "none.csv"), (day(0), day(30)))


def test_a_jump_of_spend_is_told_with_its_day_and_unknown_spend_is_no_jump():
    days = [day(i) for i in range(28)]
    rows = [(d, "ads", 100.0 if i < 16 else 400.0) for i, d in enumerate(days)]
    rows += [(d, "seo", 50.0) for d in days] + [(d, "new", 70.0) for d in days[14:]]
    cost = pd.DataFrame(rows, columns=["start", "channel", "cost"])
    got = timeline.spend_changes(cost, (day(14), day(27)), (day(0), day(13)))
    assert got["name"].tolist() == ["ads"] and got["day"][0] == pd.Timestamp(day(16))


def test_marks_of_one_day_share_a_line_and_crowded_ones_are_left_out():
    rows = [(pd.Timestamp(day(i)), "note", name, "") for i, name in ((0, "a"), (0, "b"), (4, "c"), (15, "d"))]
    frame = pd.DataFrame(rows, columns=timeline.COLUMNS)
    with speaking("en"):
        marks = diagnosis_parts.marks(frame, None)
    assert list(marks.values()) == ["d", "c"] or list(marks.values()) == ["d", "a, b"]


def test_a_version_is_blamed_only_when_the_others_of_the_same_days_do_better():
    rows = [("previous", "v1", 2, 1000, 800), ("current", "v2", 2, 1000, 500), ("current", "v1", 2, 300, 150)]
    cells = pd.DataFrame(rows, columns=["period", "version", "reached", "users", "returned"])
    cause = {"kind": "rate", "segment": {}, "step": "", "contribution": -0.3}
    assert cause_facts._version(cause, cells, STEPS, "version", "retention")["version"] == ""
    cells.loc[2, "returned"] = 240
    assert cause_facts._version(cause, cells, STEPS, "version", "retention")["version"] == "v2"


# The way in


def test_the_step_to_look_at_is_the_one_that_took_most():
    cells, found, _ = told(seed=6, causes=1)
    step = funnel_cells.focus(found, cells, STEPS)
    assert step in STEPS[1:]
    table = funnel_cells.funnel_table(cells, STEPS)
    assert table["users"].is_monotonic_decreasing and (table["users"] <= table["entered"]).all()


def test_what_they_did_instead_counts_each_user_once(con):
    rows = []
    for who in "abcdef":
        rows += [event(who, "app_open", 0, 1), event(who, "register", 0, 2)]
    rows += [event("a", "activate", 0, 5), event("a", "like", 0, 6)]
    rows += [event("b", "read", 0, 4), event("b", "like", 0, 5), event("c", "register", 0, 3), event("c", "like", 0, 9)]
    rows += [event("d", "look", 0, 3), event("d", "read", 0, 4), event("e", "read", 2)]
    got = con.to_pandas(first_steps.step_instead(*tables(rows), steps=WAY, step=3, exclude=["look"]))
    assert got.values.tolist() == [["", 2, 5], ["read", 2, 5], ["like", 1, 5]]


def test_what_they_did_instead_needs_a_time_after_which_a_step_was_not_taken():
    with pytest.raises(ValueError, match="window_days must be a number of days, got None"):
        first_steps.step_instead(*tables([event("ann", "app_open", 0)]), steps=WAY, window_days=None)


def test_an_optional_step_before_is_passed_over_and_a_step_has_its_own_time(con):
    rows = [event(who, "app_open", 0) for who in "abcd"] + [event("a", "read", 0, 1), event("b", "activate", 0, 9)]
    rows += [
        event("c", "like", 0, 2),
        event("c", "read", 0, 3),
        event("d", "like", 0, 40),
        event("a", "activate", 0, 50),
    ]
    half = {"event": "activate", "window_days": 1 / 48}
    steps = ["app_open", {"event": "read", "optional": True}, half]
    got = con.to_pandas(first_steps.step_instead(*tables(rows), steps=steps, step=3))
    assert got.values.tolist() == [["", 1, 3], ["like", 1, 3], ["read", 1, 3]]
    habits = con.to_pandas(first_steps.step_habits(*tables(rows), steps=steps, step=3)).set_index("event")
    assert habits.loc["app_open"].tolist() == [1, 1, 3, 3]
    optional = con.to_pandas(first_steps.step_instead(*tables(rows), steps=steps, step=2))
    assert optional.values.tolist() == [["activate", 1, 2], ["like", 1, 2]]


@settings(max_examples=12)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from([*WAY, "read"]), st.integers(0, 3), st.integers(0, 3)),
        min_size=1, max_size=20, unique=True,
    )
)  # fmt: skip
def test_the_daily_steps_sum_to_the_cells_whatever_shares_an_instant(con, visits):
    rows = [event(*visit) for visit in visits]
    cells = con.to_pandas(newcomers(*tables(rows), steps=WAY, dimensions=["platform"], until=str(day(9))))
    days = con.to_pandas(newcomer_steps(*tables(rows), steps=WAY, until=str(day(9))))
    sums = [t.groupby("reached")[["users", "returned"]].sum() for t in (cells, days)]
    pd.testing.assert_frame_equal(*sums, check_dtype=False)
    tried = con.to_pandas(funnel_tries(tables(rows)[0], steps=WAY, entry="first", window_days=1))
    first = pd.DataFrame(rows).groupby("user_id")["ts"].min().dt.date
    tried = tried[tried["user_id"].map(first) == pd.to_datetime(tried["day"]).dt.date]
    assert sums[0]["users"].drop(0, errors="ignore").to_dict() == tried["reached"].value_counts().to_dict()


def test_times_are_written_in_the_unit_a_reader_would_choose():
    with speaking("en"):
        assert [diagnosis_funnel.span(s) for s in (30, 276, 7300, 3 * 86400)] == ["30 s", "4.6 min", "2.0 h", "3.0 d"]


# Drilling down


def test_widgets_ask_the_same_function_and_leave_nothing_in_a_run(monkeypatch, capsys):
    from opslib import whatif

    asked = []
    monkeypatch.delenv("OPSLIB_RUN_DIR", raising=False)
    with speaking("en"):
        box = whatif.explore(
            lambda **chosen: asked.append(chosen),
            kpi=diagnosis.KPIS,
            start=(day(3), day(0), day(9)),
            dimension=["channel"],
        )
    *choices, button, _ = box.children
    choices[0].value = "conversion"
    button.click()
    assert asked == [{"kpi": "conversion", "start": day(3), "dimension": "channel"}]
    monkeypatch.setenv("OPSLIB_RUN_DIR", "somewhere")
    assert whatif.explore(print, kpi=["a"]) is None


def test_the_page_of_the_diagnosis_lists_causes_and_holds_no_widget(project, warehouse):
    from pathlib import Path

    from opslib.runner import execute, plan

    record = execute.run(plan.job(project, "funnel_diagnosis", {"source": str(warehouse), "lang": "zh"}))
    assert record["status"] == "ok", record["error"]
    folder = Path(record["folder"])
    causes = pd.read_csv(folder / "lists" / "causes.csv", encoding="utf-8-sig")
    assert causes.columns[:6].tolist() == ["dimension", "value", "kind", "contribution", "low", "high"]
    assert set(causes["kind"]) <= {"mix", "rate", "step"}
    executed = json.loads((folder / "executed.ipynb").read_text(encoding="utf-8"))
    assert "widgets" not in executed["metadata"] and "widget-view" not in json.dumps(executed["cells"])
