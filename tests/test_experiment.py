"""Fixed-horizon, sequential and Bayesian readings of experiments, and what keeps them honest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from opslib.errors import TooLittleError
from opslib.models import bayes, experiment, moments, power, readout, sequential
from opslib.models.moments import Moments

counts = st.tuples(st.integers(0, 400), st.integers(1, 400)).map(lambda t: (min(t), max(t)))


def gaussian_arms(seed, n=(200, 260), shift=0.3):
    rng = np.random.default_rng(seed)
    x = [rng.normal(5, 2, size) for size in n]
    y = [0.8 * v + rng.normal(0, 1, v.size) + shift * i for i, v in enumerate(x)]
    sessions = [1 + rng.poisson(2, size) for size in n]
    return [moments.arm(y=y[i], x=x[i], s=sessions[i]) for i in (0, 1)], y, x


class TestProportions:
    @given(counts, counts)
    def test_the_interval_contains_the_difference_and_stays_between_minus_one_and_one(self, a, b):
        got = experiment.proportions((a[0], b[0]), (a[1], b[1]))
        assert -1 <= got.low <= got.value <= got.high <= 1
        assert 0 <= got.p <= 1

    @given(counts, counts)
    def test_swapping_the_arms_turns_the_sign_and_keeps_p(self, a, b):
        one = experiment.proportions((a[0], b[0]), (a[1], b[1]))
        two = experiment.proportions((b[0], a[0]), (b[1], a[1]))
        assert two.value == pytest.approx(-one.value)
        assert (two.low, two.high) == pytest.approx((-one.high, -one.low))
        assert two.p == pytest.approx(one.p)

    def test_it_is_statsmodels_z_and_newcombe(self):
        got = experiment.proportions((120, 156), (1000, 1100))
        z, p = proportions_ztest([156, 120], [1100, 1000])
        low, high = confint_proportions_2indep(156, 1100, 120, 1000, method="newcomb", compare="diff")
        assert (got.statistic, got.p, got.low, got.high) == pytest.approx((z, p, low, high))

    def test_small_expected_cells_are_read_by_fisher_and_arrays_element_by_element(self):
        got = experiment.proportions(([1, 300], [5, 360]), ([20, 1000], [20, 1000]))
        assert got.p[0] == pytest.approx(stats.fisher_exact([[5, 15], [1, 19]]).pvalue)
        assert got.p[1] == pytest.approx(proportions_ztest([360, 300], [1000, 1000])[1])

    def test_no_conversion_in_either_arm_is_no_evidence_and_still_has_an_interval(self):
        got = experiment.proportions((0, 0), (300, 300))
        assert got.p == 1
        assert np.isnan(got.statistic)
        assert got.low < 0 < got.high

    def test_an_empty_arm_is_blank(self):
        got = experiment.proportions((0, 3), (0, 30))
        assert np.isnan([got.control, got.value, got.low, got.p]).all()

    def test_more_hits_than_users_is_refused(self):
        with pytest.raises(ValueError, match="between 0 and users"):
            experiment.proportions((11, 1), (10, 10))

    def test_an_unknown_alternative_is_refused(self):
        with pytest.raises(ValueError, match="alternative must be one of"):
            experiment.proportions((1, 1), (10, 10), alternative="up")


class TestMeans:
    @given(st.integers(0, 10_000))
    def test_welch_from_moments_is_welch_from_values(self, seed):
        _, y, _ = gaussian_arms(seed, n=(12, 30))
        got = experiment.means(Moments.of(y[0]), Moments.of(y[1]))
        want = stats.ttest_ind(y[1], y[0], equal_var=False)
        interval = want.confidence_interval()
        assert (got.statistic, got.p, got.df) == pytest.approx((want.statistic, want.pvalue, want.df))
        assert (got.low, got.high) == pytest.approx((interval.low, interval.high))

    @pytest.mark.parametrize("alternative", ["greater", "less"])
    def test_one_sided_readings_agree_with_scipy(self, alternative):
        _, y, _ = gaussian_arms(3)
        got = experiment.means(Moments.of(y[0]), Moments.of(y[1]), alternative=alternative)
        want = stats.ttest_ind(y[1], y[0], equal_var=False, alternative=alternative)
        assert got.p == pytest.approx(want.pvalue)
        assert (got.low, got.high) == pytest.approx(tuple(want.confidence_interval()))

    def test_arms_that_do_not_vary_have_no_p_and_no_interval(self):
        got = experiment.means(Moments.of([2.0] * 9), Moments.of([3.0] * 9))
        assert got.value == 1
        assert np.isnan([got.p, got.low, got.high]).all()

    def test_one_user_has_no_variance_and_gives_blanks(self):
        got = experiment.means(Moments.of([1.0, 2.0, 4.0]), Moments.of([3.0]))
        assert np.isnan([got.p, got.low, got.high]).all()

    def test_a_whale_is_cut_at_the_same_cap_in_all_arms(self):
        arms, cap = moments.winsorised({"a": [1.0, 2, 3, 1_000_000], "b": [2.0, 3, 4, 50]}, quantile=0.75)
        assert cap == pytest.approx(np.quantile([1, 2, 3, 1e6, 2, 3, 4, 50], 0.75))
        assert arms["a"].max() == arms["b"].max() == cap


class TestRelative:
    def test_absolute_and_relative_can_fall_on_both_sides_of_five_percent(self):
        a, b = Moments(3407, 0.41, 3.9**2), Moments(3461, 0.7, 6.2**2)
        assert experiment.means(a, b).p < 0.05 < experiment.relative(a, b).p

    def test_the_delta_interval_covers_as_it_says(self):
        rng = np.random.default_rng(11)
        x = rng.gamma(2, 5, (4000, 2, 300))
        arms = [
            Moments(300, x[:, i].mean(axis=1) * (1 + 0.1 * i), x[:, i].var(axis=1, ddof=1) * (1 + 0.1 * i) ** 2)
            for i in (0, 1)
        ]
        got = experiment.relative(*arms)
        covered = ((got.low <= 0.1) & (got.high >= 0.1)).mean()
        assert 0.94 <= covered <= 0.96

    def test_a_baseline_of_zero_has_no_relative_lift(self):
        got = experiment.relative(Moments(100, 0.0, 0.0), Moments(100, 0.2, 0.1))
        assert np.isnan([got.value, got.low, got.high, got.p]).all()
        assert np.isnan(experiment.relative_change(0, 5))

    def test_a_rise_from_a_negative_baseline_is_positive(self):
        assert experiment.relative_change([-10, -10, -2, 10], [-5, -15, 3, 5]).tolist() == [0.5, -0.5, 2.5, -0.5]

    def test_log_scale_needs_positive_means(self):
        got = experiment.relative(Moments(50, -1.0, 1.0), Moments(50, 2.0, 1.0), scale="log")
        assert np.isnan([got.low, got.high]).all()


class TestAdjustment:
    @pytest.mark.parametrize("per", [None, "s"])
    def test_mean_ratio_and_cuped_are_tea_tastings(self, per):
        tea = pytest.importorskip("tea_tasting")
        arms, _, _ = gaussian_arms(5)
        found = moments.adjusted(dict(enumerate(arms)), "y", per, covariate="x", covariate_per=per)
        got = experiment.means(found.arms[0], found.arms[1])
        metric = tea.RatioOfMeans("y", per, "x", per) if per else tea.Mean("y", "x")
        want = metric.analyze_aggregates(*arms)
        assert (got.control, got.treatment, got.value, got.p) == pytest.approx(
            (want.control, want.treatment, want.effect_size, want.pvalue)
        )
        assert (got.low, got.high) == pytest.approx((want.effect_size_ci_lower, want.effect_size_ci_upper))

    def test_cuped_takes_away_the_variance_that_the_covariate_explains(self):
        arms, y, x = gaussian_arms(7, n=(4000, 4000))
        found = moments.adjusted(dict(enumerate(arms)), "y", covariate="x")
        r2 = np.corrcoef(np.concatenate(y), np.concatenate(x))[0, 1] ** 2
        assert found.reduction == pytest.approx(r2, abs=0.02)

    def test_a_covariate_that_does_not_vary_changes_nothing(self):
        arms = {v: moments.arm(y=[1.0, 2, 4], x=[3.0, 3, 3]) for v in "ab"}
        found = moments.adjusted(arms, "y", covariate="x")
        assert (found.theta, found.reduction) == (0, 0)
        assert found.arms["a"].mean == pytest.approx(7 / 3)

    def test_users_and_not_sessions_carry_the_error_of_a_ratio(self):
        rng = np.random.default_rng(2)
        habit = rng.beta(1, 3, 3000)
        sessions = 1 + rng.poisson(20, 3000)
        orders = rng.binomial(sessions, habit)
        users = moments.adjusted({0: moments.arm(o=orders, s=sessions)}, "o", "s").arms[0]
        naive = users.mean * (1 - users.mean) / sessions.sum()
        assert users.error2 > 3 * naive

    def test_published_sums_make_the_same_arm_as_its_users(self):
        arms, y, x = gaussian_arms(9)
        columns = [{"y": y[i], "x": x[i]} for i in (0, 1)]
        summed = [
            moments.arm_of_sums(
                len(c["y"]),
                {k: v.sum() for k, v in c.items()},
                {(i, j): (c[i] * c[j]).sum() for i, j in (("y", "y"), ("x", "y"), ("x", "x"))},
            )
            for c in columns
        ]
        want, got = (moments.adjusted(dict(enumerate(a)), "y", covariate="x") for a in (arms, summed))
        assert got.theta == pytest.approx(want.theta)
        for i in (0, 1):
            assert (got.arms[i].mean, got.arms[i].var) == pytest.approx((want.arms[i].mean, want.arms[i].var))

    def test_sums_without_a_product_of_every_pair_are_refused(self):
        with pytest.raises(ValueError, match=r"needs the products of .*'y', 'x'"):
            moments.arm_of_sums(10, {"y": 1.0, "x": 2.0}, {("y", "y"): 3.0, ("x", "x"): 4.0})

    def test_an_arm_of_one_user_is_refused(self):
        with pytest.raises(TooLittleError, match="2 名用户"):
            moments.arm(y=[1.0])
        with pytest.raises(TooLittleError, match="2 名用户"):
            moments.arm_of_sums(1, {"y": 1.0}, {("y", "y"): 1.0})


class TestSampleRatio:
    def test_an_uneven_split_stops_and_a_fair_one_passes(self):
        assert not experiment.sample_ratio([600, 400]).ok
        assert experiment.sample_ratio([44_700, 45_489]).ok  # p = .0086: a warning, not a stop
        assert experiment.sample_ratio([200, 103, 97], [2, 1, 1]).ok

    def test_nobody_exposed_is_too_little(self):
        with pytest.raises(TooLittleError, match="没有用户进入实验"):
            experiment.sample_ratio([0, 0])

    @pytest.mark.parametrize("weights", [[1, 0], [1], [1, -1]])
    def test_weights_must_be_positive_and_one_for_each_arm(self, weights):
        with pytest.raises(ValueError, match="weights"):
            experiment.sample_ratio([10, 10], weights)


class TestBayes:
    @given(counts, counts)
    def test_chances_sum_to_one_and_losses_differ_by_the_means(self, a, b):
        got = bayes.beta_binomial((a[0], b[0]), (a[1], b[1]))
        assert got.chance.sum() == pytest.approx(1)
        assert got.loss[0] - got.loss[1] == pytest.approx(got.mean[1] - got.mean[0], abs=1e-9)
        assert (got.low <= got.mean).all() and (got.mean <= got.high).all()

    @pytest.mark.parametrize("x,n", [((3, 5, 9), (40, 42, 39)), ((900, 1000, 2), (20_000, 20_100, 30))])
    def test_three_arms_agree_with_simulation(self, x, n):
        got = bayes.beta_binomial(x, n)
        draws = np.random.default_rng(0).beta(1 + np.array(x), 1 + np.subtract(n, x), (400_000, 3))
        assert got.chance == pytest.approx(np.bincount(draws.argmax(axis=1), minlength=3) / len(draws), abs=0.004)
        assert got.loss == pytest.approx((draws.max(axis=1, keepdims=True) - draws).mean(axis=0), abs=5e-4)

    def test_chances_are_exact_where_densities_have_a_pole(self):
        got = bayes.beta_binomial((0, 0), (0, 0), prior=(0.5, 0.5))
        assert got.chance == pytest.approx([0.5, 0.5], abs=1e-9)

    def test_a_proper_prior_pulls_the_effect_in(self):
        flat, tight = bayes.gaussian(0.2, 0.1), bayes.gaussian(0.2, 0.1, prior_sd=0.1)
        assert (tight.mean, tight.sd) == pytest.approx((0.1, 0.1 / np.sqrt(2)))
        assert flat.loss_keep_control - flat.loss_ship_treatment == pytest.approx(0.2)

    def test_an_unknown_effect_is_too_little(self):
        with pytest.raises(TooLittleError):
            bayes.gaussian(np.nan, 0.1)


def aa_tests(experiments=2_000, looks=20, users=200, seed=7):
    """Conversions and users per arm after each look of A/A tests: arrays (looks, experiments)."""
    rng = np.random.default_rng(seed)
    hits = [rng.binomial(users, 0.2, (looks, experiments)).cumsum(axis=0) for _ in range(2)]
    return hits, users * np.arange(1, looks + 1)[:, None]


class TestErrorRates:
    def test_the_fixed_reading_is_wrong_in_five_of_a_hundred(self):
        (a, b), n = aa_tests(experiments=20_000, looks=1, users=4_000)
        assert 0.045 <= (experiment.proportions((a[-1], b[-1]), (n[-1], n[-1])).p < 0.05).mean() <= 0.055
        x = np.random.default_rng(5).gamma(0.5, 10, (2, 10_000, 400))
        one, two = (Moments(400, v.mean(axis=1), v.var(axis=1, ddof=1)) for v in x)
        assert 0.045 <= (experiment.means(one, two).p < 0.05).mean() <= 0.055

    def test_peeking_at_the_fixed_reading_is_wrong_far_more_often_and_the_sequence_is_not(self):
        (a, b), n = aa_tests()
        arms = [Moments.of_counts(v, n) for v in (a, b)]
        peeked = experiment.means(*arms)
        assert ((peeked.p < 0.05).any(axis=0)).mean() > 0.15
        for effect in (peeked, experiment.relative(*arms)):
            look = sequential.confidence_sequence(effect.value, effect.se, 2 * n, tuning=4_000)
            stopped = sequential.running(look)
            assert (stopped.p[-1] < 0.05).mean() <= 0.05
            assert ((stopped.low[-1] > 0) | (stopped.high[-1] < 0)).mean() <= 0.05

    def test_the_sequence_still_finds_a_real_effect(self):
        rng = np.random.default_rng(1)
        hits = [rng.binomial(500, p, (20, 300)).cumsum(axis=0) for p in (0.2, 0.25)]
        n = 500 * np.arange(1, 21)[:, None]
        effect = experiment.means(*(Moments.of_counts(v, n) for v in hits))
        look = sequential.confidence_sequence(effect.value, effect.se, 2 * n, tuning=10_000)
        assert (sequential.running(look).p[-1] < 0.05).mean() > 0.95

    def test_the_mixture_ratio_is_its_integral(self):
        est, se, tau2 = 0.3, 0.12, 0.05
        grid = np.linspace(-3, 3, 60_001)
        prior = stats.norm.pdf(grid, 0, np.sqrt(tau2))
        want = np.trapezoid(prior * stats.norm.pdf(est, grid, se), grid) / stats.norm.pdf(est, 0, se)
        assert sequential.mixture_ratio(est, se, tau2)[0] == pytest.approx(want, rel=1e-8)

    def test_no_spread_gives_blanks(self):
        got = sequential.confidence_sequence(0.0, 0.0, 100)
        assert np.isnan([got.low, got.high, got.p]).all()


class TestPower:
    def test_simulated_tests_find_what_was_planned(self):
        n = int(np.ceil(power.size_proportions(0.10, 0.13, power=0.8)))
        rng = np.random.default_rng(4)
        x = rng.binomial(n, [[0.10], [0.13]], (2, 4_000))
        found = (experiment.proportions((x[0], x[1]), (n, n)).p < 0.05).mean()
        assert found == pytest.approx(0.8, abs=0.02)

    @pytest.mark.parametrize("ratio", [0.5, 1, 3])
    def test_size_power_and_detectable_effect_agree(self, ratio):
        n = power.size_proportions(0.2, 0.25, ratio=ratio)
        assert power.power_proportions(n, 0.2, 0.25, ratio=ratio) == pytest.approx(0.8)
        assert power.detectable_proportion(n, 0.2, ratio=ratio) == pytest.approx(0.25)
        m = power.size_means(0.4, ratio=ratio)
        assert power.power_means(m, 0.4, ratio=ratio) == pytest.approx(0.8)
        assert power.detectable_mean(m, ratio=ratio) == pytest.approx(0.4)

    def test_means_agree_with_statsmodels(self):
        from statsmodels.stats.power import TTestIndPower

        want = TTestIndPower().solve_power(effect_size=0.3, alpha=0.05, power=0.8, ratio=2)
        assert power.size_means(0.3, ratio=2) == pytest.approx(want)

    def test_no_effect_needs_users_without_end(self):
        assert np.isinf(power.size_proportions(0.1, 0.1))
        assert np.isinf(power.size_means(0.0))

    def test_three_users_show_nothing(self):
        with pytest.raises(TooLittleError, match="每组 3 人太少"):
            power.detectable_proportion(3, 0.1)


class TestReadout:
    table = pd.DataFrame(
        [
            ("activated", "a", "proportion", 1000, 0.20, 0.16),
            ("activated", "b", "proportion", 1000, 0.26, 0.1924),
            ("activated", "c", "proportion", 1000, 0.20, 0.16),
            ("revenue", "a", "mean", 1000, 5.0, 100.0),
            ("revenue", "b", "mean", 1000, 5.4, 100.0),
            ("revenue", "c", "mean", 3, 50.0, 900.0),
        ],
        columns=["metric", "variant", "kind", "n", "mean", "var"],
    )

    def test_every_treatment_is_read_on_every_metric_and_corrected_over_the_table(self):
        got = readout.readout(self.table, "a").set_index(["metric", "variant"])
        assert list(got.index) == [("activated", "b"), ("activated", "c"), ("revenue", "b"), ("revenue", "c")]
        known = got.p.dropna()
        assert got.p_holm.dropna().to_numpy() == pytest.approx(readout.corrected(known, "holm"))
        assert (got.p_holm.dropna() >= known).all()

    def test_a_variant_of_three_users_has_its_difference_but_no_p_and_does_not_count(self):
        got = readout.readout(self.table, "a").set_index(["metric", "variant"])
        small = got.loc[("revenue", "c")]
        assert not small.enough
        assert small["diff"] == 45
        assert small[["p", "low", "high", "p_holm", "p_bh"]].isna().all()
        first = got.loc[("activated", "b")]
        assert first.p_holm == pytest.approx(3 * first.p)

    def test_a_control_that_is_not_there_is_named(self):
        with pytest.raises(ValueError, match="no variant 'contrl'"):
            readout.readout(self.table.replace("a", "control"), "contrl")

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
    def test_corrections_never_lower_p_and_keep_its_order(self, p):
        for method in readout.CORRECTIONS:
            got = readout.corrected(p, method)
            assert (got >= np.array(p) - 1e-12).all()
            assert (np.diff(got[np.argsort(p, kind="stable")]) >= -1e-12).all()

    @pytest.mark.parametrize(("ours", "theirs"), [("bonferroni", "bonferroni"), ("holm", "holm"), ("bh", "fdr_bh")])
    def test_corrections_are_statsmodels(self, ours, theirs):
        from statsmodels.stats.multitest import multipletests

        for size in (1, 2, 7, 40):
            p = np.random.default_rng(size).beta(0.5, 3, size).round(2)  # with ties
            assert readout.corrected(p, ours) == pytest.approx(multipletests(p, method=theirs)[1], abs=1e-12)

    def test_a_blank_p_stays_blank_and_is_not_counted(self):
        assert readout.corrected([0.01, np.nan, 0.04], "bonferroni")[[0, 2]] == pytest.approx([0.02, 0.08])

    def test_a_fading_effect_is_seen_and_a_steady_one_is_not(self):
        day, se = np.arange(14), np.full(14, 0.01)
        fading, steady = readout.novelty(day, 0.10 - 0.006 * day, se), readout.novelty(day, 0.05 + 0 * day, se)
        assert fading.p < 0.001 and fading.slope == pytest.approx(-0.006)
        assert (fading.first, fading.last) == pytest.approx((0.10, 0.022))
        assert steady.p == pytest.approx(1)

    def test_two_days_show_no_trend(self):
        with pytest.raises(TooLittleError, match="3 天有效果及其误差"):
            readout.novelty([0, 1, 2], [0.1, 0.2, np.nan], [0.1, 0.1, 0.1])

    def test_steps_are_over_all_exposed(self):
        got = readout.exposed_steps(1000, [400, 140])
        assert got.over_exposed.tolist() == [0.4, 0.14]
        assert got.over_previous.tolist() == [0.4, 0.35]

    def test_decisions(self):
        up, flat = experiment.proportions((200, 260), (1000, 1000)), experiment.proportions((200, 202), (1000, 1000))
        down = experiment.proportions((260, 200), (1000, 1000))
        decide = readout.decision
        assert decide(up, split_ok=False) == "stop"
        assert decide(up, split_ok=True) == "ship"
        assert decide(up, split_ok=True, guardrails=[down], margin=0.01) == "reject"
        assert decide(down, split_ok=True) == "harm"
        assert decide(flat, split_ok=True) == "undecided"
