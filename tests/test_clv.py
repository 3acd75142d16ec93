"""Lifetime value: models against definitions, simulation and published data; averages over mature cohorts only."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from opslib.errors import OpsError, TooLittleError
from opslib.models import bgnbd, clv, ltv
from opslib.models.bgnbd import BgNbd, fit_bgnbd
from opslib.models.gamma_gamma import GammaGamma, fit_gamma_gamma
from opslib.models.sbg import ShiftedBetaGeometric, fit_sbg

DATA = Path(__file__).parent / "methods" / "data"
CDNOW = BgNbd(0.243, 4.414, 0.793, 2.426)
positive = st.floats(0.2, 5)


def buyers(n, model, age, seed=0):
    """Repeats and time of the last one of customers who buy and leave as the model says, one purchase at a time."""
    rng = np.random.default_rng(seed)
    rate, leaves = rng.gamma(model.r, 1 / model.alpha, n), rng.beta(model.a, model.b, n)
    x, t_x, clock, there = np.zeros(n), np.zeros(n), np.zeros(n), np.arange(n)
    while there.size:
        clock[there] += rng.exponential(1 / rate[there])
        there = there[clock[there] <= age[there]]
        x[there] += 1
        t_x[there] = clock[there]
        there = there[rng.random(there.size) >= leaves[there]]
    return x, t_x


@pytest.fixture(scope="module")
def orders():
    names = ["id", "user_id", "paid_day", "n", "amount"]
    return pd.read_csv(DATA / "cdnow_sample.txt", sep=r"\s+", names=names, dtype={"paid_day": str})


class TestBgNbd:
    def test_the_gradient_is_the_slope_of_the_likelihood(self):
        x, t_x = buyers(300, CDNOW, np.full(300, 39.0))
        data = bgnbd._Data(x, t_x, np.full(300, 39.0), np.ones(300))
        at = np.array([0.2, 1.1, -0.3, 0.7])
        want = optimize.approx_fprime(at, lambda p: data.loss(p)[0], 1e-7)
        assert data.loss(at)[1] == pytest.approx(want, abs=1e-5)

    def test_planted_parameters_are_found(self):
        age = np.random.default_rng(1).uniform(20, 80, 60_000)
        got = fit_bgnbd(*buyers(60_000, BgNbd(0.8, 6.0, 0.9, 2.5), age), age)
        assert (got.r, got.alpha, got.a, got.b) == pytest.approx((0.8, 6.0, 0.9, 2.5), rel=0.08)

    def test_a_weight_is_a_repeated_customer_and_time_units_only_scale_alpha(self):
        x, t_x = buyers(400, CDNOW, np.full(400, 39.0))
        age, n = np.full(400, 39.0), np.random.default_rng(3).integers(1, 4, 400)
        one = fit_bgnbd(x, t_x, age, weights=n)
        two = fit_bgnbd(*(np.repeat(v, n) for v in (x, t_x, age)))
        days = fit_bgnbd(x, 7 * t_x, 7 * age, weights=n)
        assert (one.r, one.alpha, one.a, one.b) == pytest.approx((two.r, two.alpha, two.a, two.b), rel=1e-4)
        assert (days.r, days.alpha / 7, days.b) == pytest.approx((one.r, one.alpha, one.b), rel=1e-3)

    @given(positive, st.floats(0.5, 20), positive, positive, st.floats(1, 60))
    def test_chances_sum_to_one_and_their_mean_is_the_expectation(self, r, alpha, a, b, t):
        model, x = BgNbd(r, alpha, a, b), np.arange(3000)
        p = model.pmf(x, t)
        assert p.sum() == pytest.approx(1, abs=1e-3)
        if p[1000:].sum() < 1e-9:
            assert (x * p).sum() == pytest.approx(model.expected(t), rel=1e-3)

    def test_conditional_expectations_are_those_of_simulated_customers(self):
        model, n = BgNbd(0.8, 6.0, 0.9, 2.5), 200_000
        age = np.full(n, 30.0)
        x, t_x = buyers(n, model, age, seed=5)
        more = buyers(n, model, age + 20, seed=5)[0]  # the same customers, watched longer: not their future
        guess = model.expected_more(20.0, x, t_x, age)
        assert guess.mean() == pytest.approx(model.expected(50.0) - model.expected(30.0), rel=0.02)
        assert guess.mean() == pytest.approx(more.mean() - x.mean(), rel=0.05)

    def test_a_frequent_buyer_who_fell_silent_is_gone_and_gives_a_number(self):
        assert CDNOW.alive(2000, 300, 320) == pytest.approx(0, abs=1e-12)
        assert CDNOW.expected_more(52, 2000, 300, 320) == pytest.approx(0, abs=1e-9)
        assert 200 < CDNOW.expected_more(52, 2000, 300, 300.001) < 52 * 2000 / 300

    def test_one_time_buyers_count_as_alive_by_construction(self):
        assert CDNOW.alive(0, 0, [1, 500]).tolist() == [1, 1]

    def test_a_equal_to_one_is_no_hole(self):
        below, at, above = (BgNbd(0.24, 4.4, a, 2.4).expected(10) for a in (0.999, 1.0, 1.001))
        assert below > at > above

    def test_nobody_who_came_back_is_too_little(self):
        with pytest.raises(TooLittleError, match="3 名买家中没有人复购"):
            fit_bgnbd([0, 0, 0], [0, 0, 0], [10, 20, 30])

    @pytest.mark.parametrize("row", [(1, 0, 5), (0, 2, 5), (1, 6, 5), (-1, 1, 5)])
    def test_impossible_histories_are_refused(self, row):
        with pytest.raises(ValueError, match="row 0 has"):
            fit_bgnbd(*([v] for v in row))

    def test_it_foretells_cdnows_second_half_better_than_going_on_as_before(self, orders):
        history = clv.customer_history(orders, end="1997-09-30")
        later = orders[orders.paid_day > "19970930"].drop_duplicates(["user_id", "paid_day"])
        actual = history.user_id.map(later.groupby("user_id").size()).fillna(0)
        model = fit_bgnbd(history.x, history.t_x, history.age)
        got = clv.hold_out(model, x=history.x, t_x=history.t_x, age=history.age, actual=actual, length=39)
        assert abs(got.error) < 0.13
        assert abs(got.naive_error) > 4 * abs(got.error)
        assert got.per_customer < got.naive_per_customer

    def test_a_million_customers_are_fitted_and_valued_in_under_sixty_cpu_seconds(self):
        n = 1_000_000
        age = np.random.default_rng(2).integers(1, 366, n).astype(float)
        x, t_x = buyers(n, BgNbd(0.8, 30.0, 0.8, 2.4), age)
        t_x = np.where(x > 0, np.minimum(np.ceil(t_x), age), 0)
        m = np.where(x > 0, np.random.default_rng(3).gamma(6, 5, n), np.nan)
        start = time.process_time()
        model, spend = fit_bgnbd(x, t_x, age), fit_gamma_gamma(x, m)
        value = clv.customer_value(model, spend, x=x, t_x=t_x, age=age, m=m, periods=12, length=30, discount=0.01)
        assert time.process_time() - start < 60
        assert np.isfinite(value).all()
        assert (model.r, model.alpha) == pytest.approx((0.8, 30.0), rel=0.05)


class TestHistory:
    def test_days_count_once_first_purchases_never_and_later_orders_wait(self):
        rows = [
            ("ann", "2026-01-01", 10, 0),
            ("ann", "2026-01-08", 20, 5),
            ("ann", "2026-01-08", 10, 0),
            ("ann", "2026-02-20", 99, 0),
            ("bob", "2026-01-10", 7, None),
            ("cat", "2026-02-01", 7, 0),
        ]
        table = pd.DataFrame(rows, columns=["user_id", "paid_day", "amount", "refunded"])
        got = clv.customer_history(table, end="2026-01-22", unit="day").set_index("user_id")
        assert got.loc["ann"].tolist() == [1, 7, 21, 25]
        assert got.loc["bob", ["x", "t_x", "age"]].tolist() == [0, 0, 12]
        assert np.isnan(got.loc["bob", "m"])
        assert list(got.index) == ["ann", "bob"]

    def test_a_refund_over_the_amount_is_refused(self):
        table = pd.DataFrame({"user_id": ["a"], "paid_day": ["2026-01-01"], "amount": [5.0], "refunded": [6.0]})
        with pytest.raises(ValueError, match="row 0 has -1"):
            clv.customer_history(table, end="2026-02-01")

    def test_no_order_is_too_little(self, orders):
        with pytest.raises(TooLittleError, match="1990-01-01"):
            clv.customer_history(orders, end="1990-01-01")


class TestSpend:
    def test_planted_parameters_are_found(self):
        rng = np.random.default_rng(0)
        x = rng.integers(1, 10, 20_000)
        m = rng.gamma(6 * x, 1 / rng.gamma(4, 1 / 15, 20_000)) / x
        got = fit_gamma_gamma(x, m)
        assert got.p * got.gamma == pytest.approx(90, rel=0.06)  # p alone is barely told apart from gamma
        assert (got.p, got.q) == pytest.approx((6, 4), rel=0.12)
        assert got.mean == pytest.approx(m.mean(), rel=0.02)

    def test_the_currency_only_scales_gamma(self):
        table = pd.read_csv(DATA / "cdnow_customers_summary_with_transactions.csv")
        one, cents = fit_gamma_gamma(table.x, table.zbar), fit_gamma_gamma(table.x, 100 * table.zbar)
        assert (cents.p, cents.q, cents.gamma / 100) == pytest.approx((one.p, one.q, one.gamma), rel=1e-4)
        assert (one.customers, one.left_out) == (946, len(table) - 946)

    def test_the_less_was_seen_the_more_a_customer_is_average(self):
        model = GammaGamma(6.25, 3.74, 15.44)
        guess = model.expected([0, 1, 5, 50], [np.nan, 100, 100, 100])
        assert guess[0] == pytest.approx(model.mean)
        assert (np.diff(guess) > 0).all() and guess[-1] < 100

    def test_equal_spenders_cannot_be_fitted(self):
        with pytest.raises(TooLittleError, match="金额有差异"):
            fit_gamma_gamma([1, 2, 0], [5.0, 5.0, np.nan])


class TestValue:
    def test_value_is_the_discounted_sum_of_its_periods(self):
        spend, history = GammaGamma(6.25, 3.74, 15.44), {"x": 2, "t_x": 30.43, "age": 38.86}
        got = clv.customer_value(CDNOW, spend, **history, m=22.35, periods=3, length=4.0, margin=0.3, discount=0.02)
        upto = [CDNOW.expected_more(4.0 * k, *history.values()) for k in range(4)]
        want = sum((upto[k] - upto[k - 1]) / 1.02**k for k in (1, 2, 3)) * spend.expected(2, 22.35) * 0.3
        assert got == pytest.approx(want)

    def test_without_periods_it_is_refused(self):
        with pytest.raises(ValueError, match="periods >= 1"):
            clv.customer_value(CDNOW, GammaGamma(6, 4, 15), x=1, t_x=1, age=2, m=3, periods=0)


class TestSubscriptions:
    def test_it_projects_better_than_constant_churn(self):
        seen, later = [1000, 869, 743, 653, 593, 551, 517, 491], [468, 445, 427, 409, 394]
        model = fit_sbg(seen)
        t = np.arange(8, 13)
        constant = 1000 * (seen[-1] / 1000) ** (t / 7)
        assert np.abs(1000 * model.survival(t) - later).max() < 18
        assert np.abs(constant - later).max() > 80

    def test_cohorts_of_different_age_are_one_likelihood(self):
        truth, rng = ShiftedBetaGeometric(0.8, 3.0), np.random.default_rng(4)
        cohorts = []
        for age in (3, 6, 9):
            alive = [20_000]
            for t in range(1, age + 1):
                alive.append(rng.binomial(alive[-1], truth.retention(t)))
            cohorts.append(alive)
        got = fit_sbg(cohorts)
        assert (got.alpha, got.beta) == pytest.approx((0.8, 3.0), rel=0.08)

    @given(positive, positive, st.floats(0.02, 0.5))
    def test_lifetimes_are_the_sums_of_discounted_survival(self, alpha, beta, d):
        model, t = ShiftedBetaGeometric(alpha, beta), np.arange(2000)
        discount = np.exp(-t * np.log1p(d))
        assert model.lifetime(d) == pytest.approx((model.survival(t) * discount).sum(), rel=1e-6)
        rest = model.survival(t + 3) / model.survival(2)
        assert model.residual_lifetime(3, d) == pytest.approx((rest * discount).sum(), rel=1e-6)
        assert model.residual_lifetime([3, 1], d)[0] == model.residual_lifetime(3, d)
        assert (np.diff(model.retention(t[1:])) > 0).all()

    def test_any_sequence_of_survivors_is_a_cohort_and_an_empty_one_says_nothing(self):
        seen = [1000, 869, 743, 653, 593]
        want = fit_sbg(seen)
        for survivors in (pd.Series(seen, index=range(1, 6)), np.array(seen), [seen, []], np.array([seen])):
            assert fit_sbg(survivors) == want
        for nothing in ([], [[]]):
            with pytest.raises(TooLittleError, match="第二次续订"):
                fit_sbg(nothing)

    def test_undiscounted_lifetime_may_have_no_end(self):
        assert ShiftedBetaGeometric(0.668, 3.806).lifetime(0) == np.inf
        assert ShiftedBetaGeometric(3.0, 4.0).lifetime(0) == pytest.approx(3.0)

    @pytest.mark.parametrize("survivors", [[100, 100, 100], [100, 50], [100, 0, 0]])
    def test_what_cannot_be_told_apart_is_too_little(self, survivors):
        with pytest.raises(TooLittleError, match="第二次续订"):
            fit_sbg(survivors)

    def test_rising_survivors_are_refused(self):
        with pytest.raises(ValueError, match="must not rise"):
            fit_sbg([100, 80, 90])


class TestCohorts:
    def test_no_mature_cohort_has_no_overall_value(self):
        assert np.isnan(ltv.n_day_value([10, 0], [5, 0], [1, 3], days=3).overall)

    def test_immature_cohorts_stay_out_of_the_overall_value(self):
        got = ltv.n_day_value([100, 120, 80], [500, 720, 200], [3, 2, 1], days=3)
        assert got.per_cohort.tolist() == [5, 6, 2.5]
        assert got.overall == 5

    def test_ages_that_no_cohort_has_lived_are_blank_and_young_cohorts_leave_the_denominator(self):
        cells = pd.DataFrame(
            [("jan", 0, 100, 200), ("jan", 1, 100, 100), ("feb", 0, 300, 300), ("jan", 3, 100, 50)],
            columns=["cohort", "age", "users", "revenue"],
        )
        got = ltv.value_curve(cells)
        assert got.value.tolist()[:2] == [500 / 400, 1]
        assert got.ltv.tolist()[:2] == [1.25, 2.25]
        assert got.ltv[2:].isna().all() and got.cohorts.tolist() == [2, 1, 0, 1]

    @given(st.lists(st.floats(0, 10), min_size=1, max_size=12), st.floats(0.1, 60))
    def test_payback_is_where_the_cumulated_margin_reaches_the_cost(self, margin, cac):
        got = ltv.payback(margin, cac)
        total = np.concatenate([[0], np.cumsum(margin)])
        if got is None:
            assert total[-1] < cac
        else:
            assert np.interp(got, np.arange(total.size), total) == pytest.approx(cac)

    def test_payback_bounds_are_open_when_the_lower_curve_never_pays(self):
        got = ltv.payback_range([10, 18, 24, 29, 33], [1, 2, 3, 4, 5], 26)
        assert got.low < got.value < 5
        assert got.high is None
        assert ltv.payback([5, 5], 0) == 0

    def test_value_to_cost_covers_as_it_says(self):
        rng = np.random.default_rng(6)
        value, cost = rng.normal(30, 3, 4000), rng.normal(10, 1.5, 4000)
        ranges = [ltv.value_to_cost(v, 3, c, 1.5) for v, c in zip(value, cost, strict=True)]
        assert np.mean([r.low <= 3 <= r.high for r in ranges]) == pytest.approx(0.95, abs=0.012)

    def test_a_free_channel_has_no_ratio_and_a_vague_cost_no_interval(self):
        with pytest.raises(TooLittleError, match="现在成本为 0"):
            ltv.value_to_cost(30, 3, 0)
        assert ltv.value_to_cost(30, 3, 10, 8).high is None

    def test_an_unknown_cost_is_refused(self):
        with pytest.raises(ValueError, match="must be known"):
            ltv.payback([1, 2], np.nan)


def test_a_likelihood_without_maximum_is_an_error_and_not_a_number():
    rng = np.random.default_rng(0)
    with pytest.raises((OpsError, ValueError)):
        fit_bgnbd([1.0], [np.nan], [3.0], weights=rng.random(1))


def test_negative_binomial_purchases_are_the_limit_of_customers_who_never_leave():
    model = BgNbd(2.0, 5.0, 1e-9, 10.0)
    assert model.pmf([0, 1, 4], 3.0) == pytest.approx(stats.nbinom.pmf([0, 1, 4], 2.0, 5 / 8), rel=1e-6)
    assert model.expected(3.0) == pytest.approx(2.0 / 5.0 * 3.0, rel=1e-6)


def test_customers_who_leave_alike_are_foretold_by_an_average_that_meets_the_series():
    model = BgNbd(0.8, 30.0, 150.0, 900.0)
    x, age = np.array([0.0, 3.0, 12.0]), np.full(3, 39.0)
    series = model._purchases(x, model.alpha + age, np.full(3, 26.0))
    assert model._averaged(x, model.alpha + age, np.full(3, 26.0)) == pytest.approx(series, rel=1e-3)
    alike = BgNbd(0.8, 30.0, 3e4, 17e4)
    one_chance = (1 - (1 + 0.15 * 26 / 69) ** -(0.8 + x)) / 0.15
    assert alike._purchases(x, alike.alpha + age, np.full(3, 26.0)) == pytest.approx(one_chance, rel=1e-3)
