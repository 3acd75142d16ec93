"""Anomalies, bands and change points: against published examples, planted days, and what naive code does."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pingouin
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opslib.errors import TooLittleError
from opslib.models.anomaly import bands, watch
from opslib.models.changepoint import change_point, change_points
from opslib.models.holidays import WORKDAY, holiday_name, holidays
from opslib.models.nab import forest_alerts, global_z, nab_score, quieted, rolling_z
from opslib.models.outliers import generalized_esd, mad_median, robust_z
from opslib.text import speaking

WEEKDAYS = np.array([100, 98, 97, 99, 110, 140, 135.0])


def daily(days=140, seed=0, noise=2.0, start="2026-01-05"):
    rng = np.random.default_rng(seed)
    values = WEEKDAYS[np.arange(days) % 7] + 0.05 * np.arange(days) + rng.normal(0, noise, days)
    return pd.Series(values, index=pd.date_range(start, periods=days))


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=40))
def test_the_mad_median_rule_agrees_with_pingouin(values):
    if pingouin.mad(np.array(values)) > 1e-9:  # else pingouin divides by zero
        got = mad_median(values)
        z = np.abs(got.z)
        clear = np.abs(z - 2.2414) > 1e-3  # the constant is printed as 0.6745
        assert (np.isin(np.arange(len(values)), got.outliers) == pingouin.madmedianrule(values))[clear].all()


def test_robust_z_of_a_mostly_constant_series_still_sees_the_spike():
    assert np.argmax(robust_z([5, 5, 5, 5, 9, 5])) == 4 and robust_z([5, 5, 5, 5, 9, 5])[4] > 3
    assert (robust_z([5, 5, 5]) == 0).all()
    assert np.isnan(robust_z([1, np.nan, 3])[1])


def test_esd_counts_masked_outliers_and_leaves_missing_values_out():
    sample = np.concatenate([np.random.default_rng(0).normal(0, 1, 50), [9.0, 9.1, np.nan]])
    found = generalized_esd(sample, 5)
    assert found.n_outliers == 2 and set(found.outliers) == {50, 51}


def test_esd_rarely_finds_an_outlier_in_a_normal_sample():
    rng = np.random.default_rng(1)
    assert np.mean([generalized_esd(rng.normal(size=60), 5).n_outliers > 0 for _ in range(400)]) <= 0.09


def test_esd_says_what_it_needs():
    with pytest.raises(TooLittleError, match="12 个数值，现有 3 个"):
        generalized_esd([1, 2, 3], 10)
    with pytest.raises(ValueError, match="most"):
        generalized_esd([1, 2, 3], 0)


def test_chinas_working_weekends_and_unknown_years():
    named = holidays(
        ["2026-02-14", "2026-02-17", "2026-03-04", "2026-03-07", "2099-01-01"], {"2026-03-04": "Member day"}
    )
    assert list(named[:4]) == [WORKDAY, "Spring Festival", "Member day", ""] and named.iloc[4] is None
    assert list(holidays(["2026-02-17"], china=False)) == [""]
    with speaking("zh"):
        assert (holiday_name("Spring Festival"), holiday_name("Member day")) == ("春节", "Member day")
    with speaking("en"):
        assert holiday_name("Spring Festival") == "Spring Festival"


def test_a_planted_day_is_found_and_ordinary_days_are_not():
    values = daily()
    values.iloc[60] -= 30
    table = bands(values)
    assert list(table.day[table.anomaly]) == [values.index[60]]
    row = table.iloc[60]
    assert row.value < row.low and row["size"] == pytest.approx(-30, abs=6)


def test_false_alarms_are_rare():
    alarms = sum(bands(daily(seed=s)).anomaly.sum() for s in range(20))
    assert alarms <= 0.005 * 20 * 140


def test_a_weekday_drop_is_no_anomaly_and_a_global_z_sees_nothing():
    values = daily()
    values.iloc[61] = WEEKDAYS[2]  # a Saturday as low as a weekday: unremarkable but for its weekday
    assert values.index[61].weekday() == 5
    assert list(np.flatnonzero(bands(values).anomaly)) == [61]
    assert abs(global_z(values)[61]) < 3 and not abs(rolling_z(values)[61]) > 3


def test_the_day_that_is_not_over_is_shown_and_not_judged():
    values = daily(days=70)
    values.iloc[-1] = 20
    table = bands(values, until=values.index[-2])
    assert not table.anomaly.any() and table.value.iloc[-1] == 20 and np.isnan(table.z.iloc[-1])
    assert bands(values).anomaly.iloc[-1]


def test_a_missing_day_is_blank_and_does_not_shift_the_weekdays():
    values = daily().drop(daily().index[[30, 31, 32]])
    table = bands(values)
    assert len(table) == 140 and table.z[30:33].isna().all() and not table.anomaly.any()


def holiday_series(effects):
    values, names = daily(days=800, start="2024-01-01"), {}
    for start, name, effect in effects:
        for offset in range(3):
            day = pd.Timestamp(start) + pd.Timedelta(days=offset)
            values[day] *= effect
            names[day] = name
    return values, holidays(values.index, names, china=False)


def test_a_holiday_is_expected_to_do_what_it_did_before():
    values, calendar = holiday_series([("2024-02-10", "fest", 0.5), ("2025-01-29", "fest", 0.5)])
    assert bands(values).anomaly.sum() == 6
    table = bands(values, calendar=calendar).set_index("day")
    assert not table.anomaly.any()
    assert table.expected["2025-01-29"] == pytest.approx(values["2025-01-29"], rel=0.1)
    broken = values.copy()
    broken["2025-01-30"] *= 0.4
    assert list(bands(broken, calendar=calendar).set_index("day").query("anomaly").index.year) == [2024, 2025]


def test_a_holiday_without_precedent_is_not_judged():
    values, calendar = holiday_series([("2024-02-10", "fest", 0.5)])
    table = bands(values, calendar=calendar).set_index("day")
    assert not table.anomaly.any() and table.z["2024-02-10":"2024-02-12"].isna().all()


def test_a_working_weekend_is_expected_to_be_a_weekday():
    values = daily()
    saturday = values.index[61]
    values[saturday] = 103
    assert bands(values).anomaly.iloc[61]
    assert not bands(values, calendar=holidays(values.index, {saturday: WORKDAY}, china=False)).anomaly.any()


def test_counts_near_zero_do_not_alarm():
    rng = np.random.default_rng(2)
    counts = pd.Series(rng.poisson(0.3, 120), index=pd.date_range("2026-01-05", periods=120))
    table = bands(counts, noise="poisson")
    assert not table.anomaly.any() and (table.low >= 0).all()
    counts.iloc[50] = 12
    assert list(np.flatnonzero(bands(counts, noise="poisson").anomaly)) == [50]


@pytest.mark.parametrize(
    ("values", "error", "says"),
    [
        (daily(days=20), TooLittleError, "21 天有数据，现有 20 天"),
        (pd.Series([np.nan] * 40), TooLittleError, "现有 0 天"),
        (pd.Series([1.0, 2.0], index=[dt.date(2026, 1, 1)] * 2), ValueError, "twice"),
    ],
)
def test_a_series_that_carries_no_band_says_why(values, error, says):
    with pytest.raises(error, match=says):
        bands(values)
    with pytest.raises(error):
        watch(values)


def test_a_constant_series_has_no_anomaly_and_an_even_window_is_refused():
    assert not bands(np.full(60, 7.0)).anomaly.any()
    with pytest.raises(ValueError, match="odd"):
        bands(daily(), seasonal=8)


def test_watching_uses_the_past_only():
    values = daily()
    values.iloc[90] += 40
    full, cut = watch(values), watch(values[:100])
    pd.testing.assert_frame_equal(full[:100], cut)
    assert list(np.flatnonzero(full.anomaly)) == [90]
    assert full.expected[:21].isna().all()


def test_nab_score_of_the_perfect_the_silent_and_the_late():
    n, windows = 200, [(50, 59), (120, 129)]
    alarm = np.zeros(n, dtype=bool)
    assert nab_score(alarm, windows).score == 0
    alarm[[50, 120]] = True
    perfect = nab_score(alarm, windows)
    assert (perfect.score, perfect.hit, perfect.outside) == (pytest.approx(100), 2, 0)
    late = np.zeros(n, dtype=bool)
    late[[59, 129]] = True
    assert 50 < nab_score(late, windows).score < 100
    alarm[[80, 190]] = True
    noisy = nab_score(alarm, windows)
    assert noisy.outside == 2 and noisy.score == pytest.approx(100 - 100 * 0.11 * (0.999991 + 1) / 4, abs=1e-3)


def test_nab_score_worked_by_hand():
    """One window of 10 rows, an alarm on its sixth row, one 9 rows past its end: Lavin & Ahmad's curve."""
    alarm = np.zeros(100, dtype=bool)
    alarm[[45, 58]] = True
    top = 2 / (1 + np.exp(-2.5)) - 1
    best = 2 / (1 + np.exp(-5)) - 1
    past = 2 / (1 + np.exp(5)) - 1
    assert nab_score(alarm, [(40, 49)]).score == pytest.approx(50 * (top / best + 0.11 * past + 1))


def test_what_is_learnt_from_is_not_scored():
    alarm = np.zeros(100, dtype=bool)
    alarm[[3, 12]] = True
    got = nab_score(alarm, [(10, 13), (60, 65)])
    assert (got.windows, got.alerts, got.hit) == (1, 0, 0)
    assert np.isnan(nab_score(alarm, []).score)
    with pytest.raises(ValueError, match="overlap"):
        nab_score(alarm, [(10, 20), (15, 30)])


def test_on_nabs_taxi_series_the_bands_beat_the_simple_detectors():
    from method_cases.anomaly import TAXI_WINDOWS
    from test_methods import HERE

    taxi = pd.read_csv(HERE / "data" / "nyc_taxi_daily.csv").set_index("date").rides
    places = [(taxi.index.get_loc(a), taxi.index.get_loc(b)) for a, b in TAXI_WINDOWS]
    found = {
        "bands": bands(taxi).anomaly,
        "watch": watch(taxi).anomaly,
        "rolling z > 3": np.abs(rolling_z(taxi)) > 3,
        "isolation forest": forest_alerts(taxi, share=0.1),
    }
    scores = {name: nab_score(alerts, places) for name, alerts in found.items()}
    assert scores["bands"].hit == 5 and scores["watch"].hit >= 4
    assert scores["bands"].score == max(s.score for s in scores.values()) and scores["bands"].score > 90, scores
    assert scores["watch"].score > scores["rolling z > 3"].score  # both see the past only


def stepped(size, at=60, days=120, phi=0.4, seed=0):
    rng = np.random.default_rng(seed)
    noise = np.zeros(days)
    for i, e in enumerate(rng.normal(0, 2, days)):
        noise[i] = phi * noise[i - 1] + e
    values = WEEKDAYS[np.arange(days) % 7] + noise - size * (np.arange(days) >= at)
    return pd.Series(values, index=pd.date_range("2026-01-05", periods=days))


def test_the_interval_of_the_day_and_of_the_size_cover_the_truth():
    covered = sized = 0
    for seed in range(40):
        values = stepped(5, seed=seed)
        found = change_point(values, draws=200)
        covered += found.low_day <= values.index[60] <= found.high_day
        sized += found.low <= -5 <= found.high
        assert found.after == pytest.approx(found.before + found.change)
    assert covered >= 35 and sized >= 33


def test_a_change_is_rarely_claimed_where_there_is_none_despite_memory():
    claimed = sum(change_point(stepped(0, seed=s), draws=200).p <= 0.05 for s in range(60))
    assert claimed <= 8


def test_a_clear_change_has_its_day_and_its_size():
    values = stepped(20)
    found = change_point(values)
    assert found.day == found.low_day == found.high_day == values.index[60] and found.position == 60
    assert found.change == pytest.approx(-20, abs=2) and found.p < 0.01


def test_a_trend_is_no_change_of_level_when_it_is_allowed_for():
    values = stepped(0) + 0.3 * np.arange(120)
    assert change_point(values).p < 0.01 < change_point(values, trend=True).p


def test_several_changes_come_in_order_and_none_is_none():
    values = stepped(15, at=40, days=150) + 12 * (np.arange(150) >= 100)
    assert [p.day for p in change_points(values)] == [values.index[40], values.index[100]]
    assert change_points(stepped(0)) == []
    assert change_points(np.arange(10.0)) == []


def test_missing_days_do_not_move_the_date():
    values = stepped(20)
    values.iloc[[10, 11, 61]] = np.nan
    assert change_point(values).day == values.index[60]
    with pytest.raises(TooLittleError, match="22 天，现有 18 天"):
        change_point(values[:20])


def test_days_in_any_order_and_days_left_out_keep_their_date_and_weekday():
    series = daily(63, noise=1.0) - 30.0 * (np.arange(63) >= 35)
    whole = change_point(series, draws=100)
    shuffled = change_point(series.sample(frac=1, random_state=3), draws=100)
    assert vars(whole) == vars(shuffled) and whole.day == series.index[35]
    # Without the Sundays the other days must not move up a weekday: the levels stay those of the days that are there.
    without = change_point(series[series.index.dayofweek != 6].drop(series.index[[9, 44]]), draws=100)
    assert without.day == whole.day and without.change == pytest.approx(whole.change, abs=1)
    with pytest.raises(ValueError, match="2026-01-05 is there twice"):
        change_point(pd.concat([series, series[:1]]))


def test_the_nile_fell_in_1899():
    """Cobb 1978, Biometrika 65, 243-251: the annual flow at Aswan, 1871-1970, has one change, after 1898 (from 1,098 to 850)."""
    from statsmodels.datasets import nile

    flow = nile.load_pandas().data["volume"].to_numpy()
    point = change_point(flow, weekly=False)
    assert 1871 + point.day == 1899 and point.p < 0.01
    assert (point.before, point.after) == (pytest.approx(1097.75, abs=0.01), pytest.approx(849.97, abs=0.01))


def test_few_draws_do_not_hide_a_second_change():
    values = np.r_[np.zeros(30), np.full(30, 5.0), np.zeros(30)] + np.random.default_rng(0).normal(0, 0.5, 90)
    assert [p.day for p in change_points(values, draws=50)] == [30, 60]


def test_a_spike_in_a_constant_series_is_an_anomaly_for_all_that_rounding_leaves():
    found = bands([5.0] * 30 + [50.0] + [5.0] * 20)
    assert np.flatnonzero(found["anomaly"]).tolist() == [30]
    inside = found["value"].between(found["low"], found["high"])
    assert (inside == ~found["anomaly"]).all()


def test_a_series_that_does_not_vary_is_nowhere_far_from_its_mean():
    assert global_z([2, 2, 2]).tolist() == [0, 0, 0] and global_z([2]).tolist() == [0]


def test_after_an_alarm_there_is_silence():
    assert list(np.flatnonzero(quieted([1, 1, 0, 1, 1, 0, 0, 1], 3))) == [0, 3, 7]
