"""Which of a team's numbers moved: silent where nothing did, and the planted number, day and size found where one did."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from diagnosis_worlds import daily_world

from opslib.models import kpi_days
from opslib.models.changepoint import change_point
from opslib.models.kpi_watch import Series, series_of, watch
from opslib.sentences import diagnosis_parts as parts
from opslib.sentences import diagnosis_watch as statements
from opslib.sentences.diagnosis import dated
from opslib.text import speaking

SPAN = ("2026-04-01", "2026-05-26")
FALL = pd.Timestamp("2026-05-11")


def test_at_least_95_of_100_worlds_in_which_nothing_moved_are_silent():
    claims = []
    for seed in range(100):
        found = watch(daily_world(seed), SPAN)
        claims.append(found.levels["moved"].any() or len(found.odd) > 0)
    print(f"silent: {100 - sum(claims)} of 100")
    assert sum(claims) <= 5


@pytest.mark.parametrize("moved", ["new_users", "active", "retention", "step.register"])
def test_a_number_that_fell_by_a_fifth_is_named_with_its_day(moved):
    named = dated = 0
    for seed in range(10):
        rows = watch(daily_world(seed, moved=moved), SPAN).levels.set_index("kpi")
        named += rows.loc[moved, "moved"]
        dated += rows.loc[moved, "since_low"] <= FALL <= rows.loc[moved, "since_high"]
        others = set(rows.index[rows["moved"]]) - {moved, "conversion"}
        assert not others, (seed, others)
    assert named >= 8 and dated >= 8


def test_levels_of_a_growing_number_are_those_of_the_day_of_change():
    """New users grow by 10 a day from 1,000 and lose 300 on the 40th day: 1,400 would have come, 1,100 did."""
    rng = np.random.default_rng(0)
    value = 1000 + 10.0 * np.arange(56) - 300 * (np.arange(56) >= 40) + rng.normal(0, 5, 56)
    point = change_point(pd.Series(value, index=pd.date_range("2026-03-01", periods=56)), trend=True)
    assert point.day == pd.Timestamp("2026-04-10")
    assert (point.before, point.after) == (pytest.approx(1400, abs=15), pytest.approx(1100, abs=15))


def test_the_number_asked_for_is_judged_by_itself_and_the_page_says_the_rule():
    world = daily_world(0, moved="retention", size=0.12)
    alone, among = watch(world, SPAN, asked="retention"), watch(world, SPAN)
    p = {name: w.levels.set_index("kpi").loc["retention"] for name, w in (("alone", alone), ("among", among))}
    assert p["alone"]["p_adjusted"] == p["alone"]["p"] < p["among"]["p_adjusted"]
    for found in (alone, among):
        moved = bool(found.levels.set_index("kpi").loc["retention", "moved"])
        assert (found.turn("retention") is not None) == moved
    with speaking("en"):
        assert "Day-1 retention, which is to be explained, is judged by its own p" in statements.left_out(alone)
        assert "judged by its own" not in statements.left_out(among)


def test_days_that_cannot_be_judged_are_counted_apart():
    """The holidays of April (3 days) and May (5) have no other year to be compared with; days that are worked instead are judged."""
    found = watch(daily_world(0), SPAN)
    values = sum(len(s.days[s.days["day"].between(*SPAN)]) for s in daily_world(0))
    assert found.judged + found.unjudged == values == 8 * 56 and found.unjudged == 8 * 8
    with speaking("en"):
        said = statements.odd_days(found).text
    assert "384 daily values of 8 numbers that can be judged" in said and "64 more cannot" in said
    with speaking("en"):
        assert statements.odd_days(watch([], SPAN)).id == "days.untested"


def test_that_no_single_day_is_odd_is_no_word_against_a_level_that_changed():
    still, fallen = watch(daily_world(0), SPAN), watch(daily_world(2, moved="active", size=0.3), SPAN, asked="active")
    assert fallen.levels["moved"].any() and still.odd.empty and not still.levels["moved"].any()
    with speaking("en"):
        assert statements.odd_days(still).text.startswith("No day is odd by itself")
        beside = statements.odd_days(replace(fallen, odd=fallen.odd.iloc[:0])).text
    assert beside.startswith("Apart from the changes of level, no day is odd by itself")


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_an_interval_of_one_day_is_that_day(lang):
    day, before = pd.Timestamp("2026-06-01"), pd.Timestamp("2026-05-30")
    with speaking(lang):
        assert dated(day, day, day) == "2026-06-01"
        assert "2026-05-30" in dated(day, before, day) and dated(day, before, day).count("2026-06-01") == 2


def test_users_counted_on_several_days_are_user_days():
    found = watch(daily_world(2, moved="active", size=0.3), SPAN, asked="active")
    with speaking("en"):
        (said,) = [f.text for f in statements.moved(found) if f.id == "watch.active"]
        row = statements.table(found).iloc[0]
    assert "user-days fewer" in said and row["off_by"].endswith("user-days")


def test_a_lost_day_is_found_and_ranked_by_users_before_money():
    world = daily_world(3)
    usual = world[1].days["value"][100]
    for series, share in ((world[1], 0.2), (world[2], 0.1)):
        series.days.loc[100, "value"] *= share
    odd = watch(world, SPAN).odd
    assert odd["kpi"].tolist() == ["new_users", "revenue"] and set(odd["day"]) == {pd.Timestamp("2026-04-11")}
    assert (odd["off"] < 0).all() and odd["off"][0] == pytest.approx(-0.8 * usual, rel=0.3)


def test_a_holiday_is_neither_an_odd_day_nor_a_change():
    world = daily_world(4)
    holiday = world[1].days["day"].between("2026-05-01", "2026-05-05")
    world[1].days.loc[holiday, "value"] *= 0.3
    found = watch(world, SPAN)
    assert found.odd.empty and not found.levels["moved"].any()


def test_series_leave_out_days_whose_window_is_not_over_and_money_without_orders():
    new = pd.DataFrame(
        [("2026-01-01", 0, 2, 0), ("2026-01-01", 2, 6, 3), ("2026-01-01", 3, 2, 2), ("2026-01-03", 1, 4, 0), ("2026-01-04", 0, 9, 0)],
        columns=["day", "reached", "users", "returned"],
    )  # fmt: skip
    active = pd.DataFrame({"end": ["2026-01-01", "2026-01-02"], "users": [10, 4]})
    none = pd.DataFrame(columns=["start", "orders", "total"])
    found = {s.kpi: s.days for s in series_of(new, active, none, ["open", "register", "activate"], until="2026-01-03")}
    assert list(found) == ["active", "new_users", "retention", "conversion", "step.register", "step.activate"]
    assert found["new_users"]["value"].tolist() == [10, 0, 4]
    assert found["retention"]["value"].tolist()[::2] == [0.5, 0] and np.isnan(found["retention"]["value"][1])
    assert found["step.register"]["value"][0] == 1 and found["step.activate"]["value"][0] == 0.25


def test_the_last_days_are_left_out_until_day_n_and_the_window_are_over():
    assert kpi_days.known_until(dt.date(2026, 1, 31), 1, 1.0) == dt.date(2026, 1, 30)
    assert kpi_days.known_until(dt.date(2026, 1, 31), 1, 6.5) == dt.date(2026, 1, 24)
    assert kpi_days.known_until(dt.date(2026, 1, 31), 7, 1.0) == dt.date(2026, 1, 24)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_a_rate_of_zero_or_one_and_a_short_series_claim_nothing(rate):
    days = pd.DataFrame({"day": pd.date_range("2026-03-01", periods=80), "value": rate, "n": 50})
    found = watch(
        [Series("retention", "rate", days), Series("active", "users", days[:10])], ("2026-03-20", "2026-05-10")
    )
    assert found.odd.empty and not found.levels["moved"].any() and found.left_out == ["active"]
    for lang in ("zh", "en"):
        with speaking(lang):
            assert statements.moved(found)[0].id == "watch.none" and statements.left_out(found)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_number_that_moved_has_a_sentence_with_its_size(lang):
    found = watch(daily_world(0, moved="step.register", size=0.3), SPAN)
    with speaking(lang):
        said = statements.moved(found)
        rows = statements.table(found)
    assert {f.id for f in said} >= {"watch.step.register"} and all(f.low < f.value < f.high for f in said)
    assert len(rows) == 8 and (rows["since"].notna() == found.levels["moved"]).all()


def test_days_too_few_to_judge_a_level_are_said_to_be_so_and_never_quiet():
    """A weekly report spans two weeks; a level needs more ordinary days than that."""
    watched = watch(daily_world(3, moved="retention", size=0.5), ("2026-05-13", "2026-05-26"))
    assert watched.levels.empty and "retention" not in watched.turns
    with speaking("en"):
        assert [f.id for f in statements.moved(watched)] == ["watch.untested"]
        assert statements.table(watched).empty
        found = parts.level(watched.turn("retention"), pd.DataFrame(), ("2026-05-13", "2026-05-26"), 100, tested=False)
    assert "too few ordinary days" in found.text
