"""Headline numbers: what moves is measured against how the number itself usually moves."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opslib.errors import TooLittleError
from opslib.models.scorecard import Kpi, by_period, scorecard, whole
from opslib.periods import Reporting

MONDAY = dt.date(2026, 1, 5)


def weeks(values: list[float], name: str = "users") -> pd.DataFrame:
    return pd.DataFrame({"start": [MONDAY + dt.timedelta(weeks=i) for i in range(len(values))], name: values})


def period(frame: pd.DataFrame) -> Reporting:
    start = frame["start"].iloc[-1]
    return Reporting("week", start, start + dt.timedelta(days=6))


def card(values: list[float]) -> pd.Series:
    frame = weeks(values)
    return scorecard([Kpi("activity.wau", frame, count="users")], at=period(frame), back=(1,)).iloc[0]


def test_a_fall_by_a_fifth_after_quiet_weeks_is_notable():
    row = card([10_000, 10_050, 9_980, 10_020, 10_010, 9_990, 8_000])
    assert row["notable"] and row["change"] == pytest.approx(8_000 / 9_990 - 1) and row["high"] < 0


def test_the_same_fall_after_restless_weeks_is_not():
    assert not card([10_000, 12_500, 9_000, 12_000, 9_500, 12_300, 9_990, 8_000])["notable"]


def test_a_week_that_repeats_the_one_before_has_a_change_of_zero_inside_its_interval():
    row = card([100, 120, 90, 110, 100, 100])
    assert row["change"] == 0 and row["low"] < 0 < row["high"]


def test_the_first_week_has_nothing_to_be_compared_with_and_shows_blanks():
    row = card([100])
    assert row["value"] == 100 and np.isnan(row["change"]) and np.isnan(row["base"]) and not row["notable"]


def test_a_missing_week_leaves_a_blank_and_does_not_lend_its_place_to_the_one_before():
    frame = weeks([100, 110, 120, 130]).drop(index=2)
    made = scorecard([Kpi("activity.wau", frame, count="users")], at=period(frame), back=(1, 2)).set_index("back")
    assert np.isnan(made.loc[1, "base"]) and made.loc[2, "base"] == 110


def test_a_week_of_zero_gives_no_relative_change():
    assert np.isnan(card([100, 100, 0])["change"]) and np.isnan(card([100, 0, 100])["change"])


def test_a_rate_changes_in_points_and_money_in_shares():
    frame = weeks([300, 240]).assign(
        users=[300, 240], size=[1000, 1000], orders=[50, 50], mean=[10.0, 11.0], var=[4.0, 4.0]
    )
    made = scorecard(
        [Kpi("retention.n_day", frame, hits="users", of="size"), Kpi("revenue.gross", frame, n="orders")],
        at=period(frame), back=(1,),
    ).set_index("metric")  # fmt: skip
    assert made.loc["retention.n_day", "change"] == pytest.approx(-0.06)
    assert made.loc["revenue.gross", "change"] == pytest.approx(0.1)
    assert made.loc["revenue.gross", "value"] == pytest.approx(550)


def test_none_of_three_users_is_not_zero_for_certain():
    frame = weeks([3, 3]).assign(users=[0, 0], size=[3, 3])
    row = scorecard([Kpi("retention.day_1", frame, hits="users", of="size")], at=period(frame), back=(1,)).iloc[0]
    assert row["change"] == 0 and row["low"] == pytest.approx(-row["high"])
    assert row["high"] == pytest.approx(1.96 * (2 * 0.2 * 0.8 / 5) ** 0.5, abs=1e-3)


def test_nothing_is_compared_with_a_week_of_which_only_the_end_was_seen():
    frame = weeks([10, 100, 100, 100, 100])
    thursday = frame["start"].iloc[0] + dt.timedelta(days=3)
    row = scorecard([Kpi("activity.wau", whole(frame, thursday), count="users")], at=period(frame), back=(4,)).iloc[0]
    assert np.isnan(row["change"])
    assert scorecard([Kpi("activity.wau", frame, count="users")], at=period(frame), back=(4,)).iloc[0]["change"] > 5


def test_holm_as_in_the_textbook_steps_down_and_never_decreases():
    from opslib.models.scorecard import _holm

    got = _holm(pd.Series([0.01, 0.04, 0.03, np.nan]))
    assert got.tolist()[:3] == pytest.approx([0.03, 0.06, 0.06]) and np.isnan(got[3])


def test_no_number_for_the_period_says_so():
    with pytest.raises(TooLittleError, match="2031"):
        scorecard(
            [Kpi("activity.wau", weeks([1, 2]), count="users")],
            at=Reporting("week", dt.date(2031, 1, 6), dt.date(2031, 1, 12)),
        )


def test_false_alarms_are_rare_when_weeks_are_only_noisy():
    """2,000 series of over-dispersed counts without any change: about 5 % are called notable, not 50."""
    rng = np.random.default_rng(3)
    draws = rng.negative_binomial(50, 50 / 10_050, size=(2_000, 14))  # variance 200 × the mean
    alarms = np.mean([card(list(map(float, row)))["notable"] for row in draws[:400]])
    assert 0.01 < alarms < 0.12


@given(st.lists(st.integers(0, 60), min_size=8, max_size=60))
def test_days_are_summed_to_weeks_on_the_weekdays_that_the_last_week_has(numbers):
    days = [MONDAY + dt.timedelta(days=i) for i in range(len(numbers))]
    made = by_period(pd.DataFrame({"day": days, "users": numbers}), day="day", sums=["users"])
    last = (len(numbers) - 1) % 7
    for week, total in zip(made["start"], made["users"], strict=True):
        first = (week - MONDAY).days
        assert total == sum(numbers[first : first + last + 1])
