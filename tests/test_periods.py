"""The reporting period: whole weeks and months, and runs of days."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opslib import periods
from opslib.errors import TooLittleError, UsageError

SPAN = (dt.date(2025, 12, 29), dt.date(2026, 6, 28))


def test_the_last_week_that_is_over_is_reported_when_nothing_is_asked():
    assert periods.reporting(SPAN).days == ("2026-06-22", "2026-06-28")
    assert periods.reporting((SPAN[0], dt.date(2026, 6, 27))).days == ("2026-06-15", "2026-06-21")


def test_a_month_that_is_not_over_is_not_reported():
    assert periods.reporting(SPAN, "month").days == ("2026-05-01", "2026-05-31")


def test_a_week_of_which_only_the_end_was_seen_is_no_whole_week():
    seen = (dt.date(2026, 6, 4), dt.date(2026, 6, 7))  # Thursday to Sunday
    with pytest.raises(TooLittleError, match="2026-06-04"):
        periods.reporting(seen, "week")
    assert periods.between(seen).days == ("2026-06-04", "2026-06-07"), (
        "days before the first are not quiet, they are unseen"
    )


def test_an_end_inside_a_week_means_the_week_before():
    assert periods.reporting(SPAN, "week", "2026-05-30").days == ("2026-05-18", "2026-05-24")


def test_a_period_without_data_says_which_days_there_are():
    with pytest.raises(TooLittleError, match="2026-06-28"):
        periods.reporting(SPAN, "week", "2031-01-05")
    with pytest.raises(TooLittleError, match="2025-12-29"):
        periods.between(SPAN, "2020-01-01", "2020-01-31")


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: periods.reporting(SPAN, "weeks"), "现在是「weeks」；是不是「week」？"),
        (lambda: periods.reporting(SPAN, "week", "31.5.2026"), "end 要写成 2026-01-31 这样的日期，现在是「31.5.2026」"),
        (lambda: periods.between(SPAN, "2026-05-02", "2026-05-01"), "现在是 2026-05-02 至 2026-05-01；请改参数"),
    ],
)
def test_a_wrong_period_is_refused_in_words(call, words):
    with pytest.raises(UsageError, match=words):
        call()


def test_days_not_observed_yet_are_left_out_of_a_run_of_days():
    found = periods.between(SPAN, "2026-06-20", "2026-07-10")
    assert found.days == ("2026-06-20", "2026-06-28") and found.back(1).days == ("2026-06-11", "2026-06-19")


@given(st.dates(dt.date(2020, 1, 1), dt.date(2030, 1, 1)), st.sampled_from(periods.GRAINS), st.integers(1, 9))
def test_periods_follow_each_other_without_gap_or_overlap(last, grain, steps):
    now = periods.reporting((dt.date(2000, 1, 1), last), grain)
    assert now.end <= last < now.end + dt.timedelta(days=93)
    later = now
    for _ in range(steps):
        earlier = later.back(1)
        assert earlier.end + dt.timedelta(days=1) == later.start
        later = earlier
    assert later == now.back(steps)


def test_young_data_is_halved_so_that_the_days_before_are_as_many():
    span = (dt.date(2026, 1, 1), dt.date(2026, 1, 21))
    assert periods.half(span, "", 28) == 10 and periods.half(span, "", 7) == 7
    assert periods.half(span, "2026-01-11", 28) == 5 and periods.half(span, "2027-01-01", 28) == 10
    assert periods.half((span[0], span[0]), "", 28) == 1
    now = periods.between(span, days=periods.half(span, "", 28))
    before = periods.compared(now, span)
    assert (now.end - now.start, before.end + dt.timedelta(days=1)) == (before.end - before.start, now.start)


def test_what_is_found_in_the_period_after_is_news_of_the_one_before():
    span = (dt.date(2026, 1, 1), dt.date(2026, 6, 28))
    assert periods.reporting(span, "week", "2026-01-25").open_until == dt.date(2026, 2, 1)
    assert periods.reporting(span, "month", "2026-01-31").open_until == dt.date(2026, 2, 28)
    assert periods.between(span, "2026-01-01", "2026-01-14").open_until == dt.date(2026, 1, 28)
