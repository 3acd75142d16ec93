"""Retention curves, invitations, activity and scores: limits, identities and coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from opslib.errors import TooLittleError
from opslib.models.engagement import activity, arpu, fit_retention, k_factor, viral_users
from opslib.models.nps import csat, nps, nps_difference, nps_of

DAYS = np.array([1, 2, 3, 4, 5, 6, 7, 14, 21, 28])


def test_days_with_many_users_count_for_more_than_a_noisy_tail():
    rng = np.random.default_rng(0)
    truth, size = 0.42 * DAYS**-0.45, np.array([20_000] * 7 + [60, 40, 20])
    errors = []
    for _ in range(40):
        r = rng.binomial(size, truth) / size
        naive = np.polyfit(np.log(DAYS), np.log(np.maximum(r, 1e-3)), 1)[0]
        errors.append((fit_retention(DAYS, r, size).b + 0.45, naive + 0.45))
    weighted, equal = np.abs(errors).mean(axis=0)
    assert weighted < 0.02 < equal


def test_the_interval_of_the_lifetime_covers_the_truth():
    rng = np.random.default_rng(1)
    truth, size = 0.42 * DAYS**-0.45, np.full(10, 800)
    lifetime = 1 + (0.42 * np.arange(1, 91) ** -0.45).sum()
    fits = [fit_retention(DAYS, rng.binomial(size, truth) / size, size) for _ in range(150)]
    assert 0.90 <= np.mean([f.low <= lifetime <= f.high for f in fits]) <= 1.0


def test_a_curve_that_starts_at_one_stays_a_share():
    found = fit_retention([1, 2, 4, 8], [0.99, 0.7, 0.5, 0.35], [500] * 4, horizon=30)
    assert (found.rate(np.arange(1, 31)) <= 1).all() and 1 < found.lt <= 31 and found.low < found.lt < found.high
    everybody = fit_retention([1, 2, 3], [1, 1, 1], [50] * 3, horizon=10)
    assert everybody.lt == pytest.approx(11, abs=0.5)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (([1, 2], [0.5, 0.4]), TooLittleError),
        (([1, 2, 3], [0, 0, 0]), TooLittleError),
        (([1, 2, 3], [0.5, 0.4, 0.3], [10, 10, 0]), TooLittleError),
        (([0, 1, 2], [1, 0.4, 0.3]), ValueError),
        (([1, 2, 3], [0.5, 1.4, 0.3]), ValueError),
    ],
)
def test_a_curve_of_two_days_or_of_no_shares_is_refused(call, error):
    with pytest.raises(error):
        fit_retention(*call)


@given(st.floats(0, 3), st.integers(0, 12))
def test_viral_growth_is_a_geometric_series_also_around_one(k, rounds):
    assert viral_users(10, k, rounds, 1) == pytest.approx(10 * sum(k**i for i in range(rounds + 1)), rel=1e-6)


def test_viral_growth_below_one_converges():
    assert viral_users(10, 0.5, 1e6, 1) == pytest.approx(20)
    assert list(viral_users(10, np.array([1.0, 2.0]), 2, 1)) == [30, 70]
    with pytest.raises(ValueError):
        viral_users(10, 2, 5, 0)


def test_the_k_factor_counts_users_who_invited_nobody():
    assert k_factor(invitations=30, users=20, accepted=6) == pytest.approx(30 / 20 * 6 / 30)
    assert np.isnan(k_factor(0, 0, 0))
    with pytest.raises(ValueError):
        k_factor(3, 5, 4)


amounts = st.integers(0, 500)


@given(amounts, amounts, amounts, st.floats(0, 1e6))
def test_the_revenue_tree_multiplies_up(users, payers, orders, revenue):
    if payers > min(users, orders):
        with pytest.raises(ValueError):
            arpu(users, payers, orders, revenue)
        return
    tree = arpu(users, payers, orders, revenue)
    if payers:
        assert tree.arpu == pytest.approx(tree.payer_rate * tree.orders_per_payer * tree.aov)
    else:
        assert np.isnan(tree.arppu) and np.isnan(tree.orders_per_payer)


visits = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 40)), min_size=0, max_size=60)


@given(visits, st.integers(1, 30))
def test_activity_is_its_definition(rows, window):
    last = 35
    found = activity([u for u, _ in rows], [d for _, d in rows], last, window=window)
    days = {d: {u for u, on in rows if on == d} for d in range(last - window + 1, last + 1)}
    users = set().union(*days.values())
    assert (found.dau, found.mau) == (len(days[last]), len(users))
    assert found.mean_dau == pytest.approx(sum(map(len, days.values())) / window)
    assert sum(found.histogram.values()) == len(users)
    assert sum(k * v for k, v in found.histogram.items()) == sum(map(len, days.values()))
    assert found.stickiness == pytest.approx(found.mean_dau / len(users)) if users else np.isnan(found.stickiness)


def test_a_day_without_anybody_counts_in_the_mean():
    assert activity(["a", "a"], [1, 28], 28).mean_dau == pytest.approx(2 / 28)


def test_net_promoter_intervals_cover_the_truth_of_few_answers():
    rng = np.random.default_rng(2)
    share = [0.35, 0.4, 0.25]
    counts = rng.multinomial(15, share, size=3000)
    adjusted = np.mean([f.low <= 10 <= f.high for f in (nps(*c) for c in counts)])
    wald = np.mean([f.wald[0] <= 10 <= f.wald[1] for f in (nps(*c) for c in counts)])
    assert 0.94 <= adjusted <= 0.98 and wald < adjusted


def test_net_promoters_at_the_edges_stay_in_range():
    best = nps(20, 0, 0)
    assert (best.nps, best.se, best.high) == (100, 0, 100) and best.low < 100
    assert nps_of([10, 9, 8, 6, 0, None]).nps == pytest.approx(0) and nps_of([10, np.nan]).n == 1
    with pytest.raises(ValueError, match="left out"):
        nps_of([10, 11])
    with pytest.raises(TooLittleError):
        nps_of([np.nan])
    with pytest.raises(ValueError):
        nps(-1, 0, 2)


def test_the_difference_of_two_scores_turns_its_sign_with_the_order():
    there, back = nps_difference((50, 30, 20), (60, 25, 15)), nps_difference((60, 25, 15), (50, 30, 20))
    assert there.diff == -back.diff and there.p == pytest.approx(back.p) and there.low == pytest.approx(-back.high)
    assert np.isnan(nps_difference((5, 0, 0), (7, 0, 0)).p)


def test_satisfaction_has_wilsons_interval():
    found = csat(81, 263)
    assert (found.low, found.high) == pytest.approx(proportion_confint(81, 263, method="wilson"))
    with pytest.raises(TooLittleError):
        csat(0, 0)
    with pytest.raises(ValueError):
        csat(3, 2)
