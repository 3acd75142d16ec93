"""Intervals and tests against published examples and second implementations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pingouin
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from opslib import stats
from opslib.errors import TooLittleError

pairs = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def one(call, row: dict, **names):
    return call(pd.DataFrame([row]), **names).iloc[0]


def compared(x1, n1, x0, n0, **more):
    row = {"a": x1, "an": n1, "b": x0, "bn": n0}
    return one(stats.difference, row, hits="a", of="an", base_hits="b", base_of="bn", **more)


def test_wilson_newcombe_1998_table_1_method_3():
    frame = pd.DataFrame({"hits": [81, 15, 0, 1], "of": [263, 148, 20, 29]})
    got = stats.proportion(frame, hits="hits", of="of")
    assert got[["low", "high"]].round(4).to_numpy().tolist() == [
        [0.2553, 0.3662],
        [0.0624, 0.1605],
        [0.0, 0.1611],
        [0.0061, 0.1718],
    ]


def test_a_row_without_anybody_is_blank_and_leaves_the_others_alone():
    got = stats.proportion(pd.DataFrame({"hits": [0, 5], "of": [0, 10]}), hits="hits", of="of")
    assert got.loc[0, ["rate", "low", "high"]].isna().all()
    assert got.rate[1] == 0.5 and 0 < got.low[1] < 0.5 < got.high[1] < 1


def test_an_empty_table_stays_empty_and_gains_the_columns():
    got = stats.proportion(pd.DataFrame({"hits": [], "of": []}), hits="hits", of="of")
    assert len(got) == 0 and list(got) == ["hits", "of", "rate", "low", "high"]


@given(pairs, st.sampled_from(["wilson", "beta", "jeffreys", "agresti_coull"]))
def test_the_interval_contains_the_rate(pair, method):
    got = one(stats.proportion, {"h": pair[0], "n": pair[1]}, hits="h", of="n", method=method)
    assert 0 <= got.low <= got.rate + 1e-12 and got.rate - 1e-12 <= got.high <= 1


@pytest.mark.parametrize(
    ("frame", "names", "says"),
    [
        ({"hits": [3], "of": [2]}, {}, "exceeds"),
        ({"hits": [-1], "of": [2]}, {}, "negative"),
        ({"hits": [1], "of": [2]}, {"hits": "hitz"}, "did you mean 'hits'"),
        ({"hits": [1], "of": [2]}, {"level": 95}, "level"),
    ],
)
def test_a_wrong_call_names_what_is_wrong(frame, names, says):
    with pytest.raises(ValueError, match=says):
        stats.proportion(pd.DataFrame(frame), **({"hits": "hits", "of": "of"} | names))


def test_too_little_is_said_with_numbers():
    with pytest.raises(TooLittleError, match="「of」至少要 30，现有 11"):
        stats.proportion(pd.DataFrame({"hits": [1], "of": [11]}), hits="hits", of="of", least=30)
    with pytest.raises(TooLittleError, match="现有 0 行"):
        stats.proportion(pd.DataFrame({"hits": [], "of": []}), hits="hits", of="of", least=30)


def test_difference_newcombe_1998_method_10_example_a():
    got = compared(56, 70, 48, 80)
    assert (round(got["diff"], 4), round(got.low, 4), round(got.high, 4)) == (0.2, 0.0524, 0.3339)


@given(pairs, pairs)
def test_difference_agrees_with_statsmodels_and_scipy(a, b):
    got = compared(*a, *b)
    low, high = confint_proportions_2indep(a[0], a[1], b[0], b[1], method="newcomb", compare="diff")
    assert got.low == pytest.approx(low, abs=1e-9) and got.high == pytest.approx(high, abs=1e-9)
    pooled = (a[0] + b[0]) / (a[1] + b[1])
    if min(a[1], b[1]) * min(pooled, 1 - pooled) >= 5:
        p = proportions_ztest([a[0], b[0]], [a[1], b[1]])[1]
    else:
        p = scipy_stats.fisher_exact([[a[0], a[1] - a[0]], [b[0], b[1] - b[0]]]).pvalue
    assert got.p == pytest.approx(p, abs=1e-9)


def test_a_difference_from_nobody_is_blank():
    assert compared(0, 0, 5, 10)[["diff", "low", "high", "p"]].isna().all()


def test_mean_interval_is_students():
    values = np.array([2.0, 4.0, 4.5, 7.0, 9.0])
    row = {"m": values.mean(), "v": values.var(ddof=1), "n": 5}
    got = one(stats.mean, row, mean="m", var="v", n="n")
    low, high = scipy_stats.t.interval(0.95, 4, values.mean(), scipy_stats.sem(values))
    assert (got.low, got.high) == (pytest.approx(low), pytest.approx(high))
    single = one(stats.mean, {"m": 3.0, "v": np.nan, "n": 1}, mean="m", var="v", n="n")
    assert np.isnan(single.low) and np.isnan(single.high)


def welch(first, second):
    row = {
        "mean": np.mean(first), "var": np.var(first, ddof=1), "n": len(first),
        "mean0": np.mean(second), "var0": np.var(second, ddof=1), "n0": len(second),
    }  # fmt: skip
    names = {k: k for k in ("mean", "var", "n")} | {f"base_{k}": f"{k}0" for k in ("mean", "var", "n")}
    return one(stats.mean_difference, row, **names)


def test_mean_difference_is_welchs_test():
    rng = np.random.default_rng(1)
    first, second = rng.normal(3, 1, 20), rng.normal(2, 4, 35)
    got, want = welch(first, second), scipy_stats.ttest_ind(first, second, equal_var=False)
    interval = want.confidence_interval(0.95)
    assert got.p == pytest.approx(want.pvalue) and got.df == pytest.approx(want.df)
    assert (got.low, got.high) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_two_means_that_do_not_vary_have_no_test():
    got = welch([1.0, 1.0], [2.0, 2.0])
    assert got["diff"] == -1 and got[["low", "high", "p"]].isna().all()


def changed(a, b, **more):
    return one(stats.ratio, {"a": a, "b": b, "t": 1, "s": 1} | more.pop("row", {}), count="a", base_count="b", **more)


@given(st.integers(0, 400), st.integers(0, 400))
def test_ratio_leaves_zero_out_just_when_p_is_small(a, b):
    got = changed(a, b)
    if a + b == 0:
        assert got[["change", "low", "high", "p"]].isna().all()
    else:
        assert (got.p < 0.05) == (got.low > 0 or got.high < 0)
        assert got.low >= -1 and (np.isnan(got.change) if b == 0 else got.low <= got.change <= got.high)


def test_ratio_interval_covers_the_truth_of_small_and_overdispersed_counts():
    rng = np.random.default_rng(2)
    for mean, dispersion in [(6, 1.0), (80, 1.0), (300, 4.0)]:
        draw = rng.poisson if dispersion == 1 else lambda m, size: rng.negative_binomial(m / 3, 1 / 4, size)
        frame = pd.DataFrame({"a": draw(1.3 * mean, 2000), "b": draw(mean, 2000)})
        got = stats.ratio(frame, count="a", base_count="b", dispersion=dispersion)
        assert 0.93 <= ((got.low <= 0.3) & (got.high >= 0.3)).mean() <= 0.98


def test_ratio_of_unequal_periods_compares_rates():
    got = changed(140, 20, row={"t": 7, "s": 1}, exposure="t", base_exposure="s")
    assert got.change == pytest.approx(0) and got.p == pytest.approx(1)


@given(st.lists(st.floats(0, 1) | st.just(float("nan")), max_size=30), st.sampled_from(["holm", "fdr_bh"]))
def test_correction_agrees_with_statsmodels_and_keeps_blanks(ps, method):
    from statsmodels.stats.multitest import multipletests

    got = stats.correct(pd.DataFrame({"p": np.array(ps, float)}), method=method).p_adjusted.to_numpy()
    seen = ~np.isnan(np.array(ps, float))
    assert np.isnan(got[~seen]).all()
    if seen.any():
        assert got[seen] == pytest.approx(multipletests(np.array(ps)[seen], method=method)[1], abs=1e-12)


@pytest.mark.parametrize(
    ("frame", "more"), [({"p": [1.2]}, {}), ({"p": [0.2]}, {"method": "sidak"}), ({"q": [0.1]}, {})]
)
def test_correction_refuses_what_is_no_p(frame, more):
    with pytest.raises(ValueError):
        stats.correct(pd.DataFrame(frame), **more)


numbers = st.lists(st.integers(-20, 20).map(float), min_size=2, max_size=30)


@given(numbers, numbers)
def test_effect_size_agrees_with_pingouin(x, y):
    got, test = stats.effect_size(x, y), pingouin.mwu(x, y).iloc[0]
    assert (got.cles, got.rank_biserial, got.u) == pytest.approx((test.CLES, test.RBC, test.U_val))
    if np.var(x) + np.var(y) > 0:
        assert got.hedges_g == pytest.approx(pingouin.compute_effsize(x, y, eftype="hedges"))
    else:
        assert np.isnan(got.hedges_g)


def test_effect_size_needs_two_values_a_side():
    with pytest.raises(TooLittleError, match="现有 1 个和 2 个"):
        stats.effect_size([1, None], [1, 2])


def heavy_users(n=400):
    rng = np.random.default_rng(3)
    heavy = rng.random(n) < 0.4
    return pd.DataFrame(
        {
            "heavy": heavy,
            "noise": rng.normal(size=n),
            "sessions": rng.poisson(np.where(heavy, 6, 2)),
            "platform": np.where(rng.random(n) < np.where(heavy, 0.8, 0.5), "ios", "android"),
            "constant": "x",
            "rare": np.where(np.arange(n) == 0, 1.0, np.nan),
        }
    )


def test_what_differs_comes_first_and_what_cannot_be_tested_stays_blank():
    frame = heavy_users()
    got = stats.effect_sizes(frame, group="heavy").set_index("feature")
    assert list(got.index[:2]) == ["sessions", "platform"] and set(got.index[-2:]) == {"constant", "rare"}
    assert got.loc[["constant", "rare"], "p_adjusted"].isna().all()
    assert got.p_adjusted["sessions"] < 0.001 < 0.05 < got.p_adjusted["noise"]
    tests = pingouin.chi2_independence(frame, "platform", "heavy", correction=False)[2].set_index("test")
    assert got.cramer_v["platform"] == pytest.approx(tests.cramer["pearson"])
    assert got.p["platform"] == pytest.approx(tests.pval["pearson"])


def test_one_group_alone_is_not_compared():
    with pytest.raises(TooLittleError, match="3 名用户都在同一组"):
        stats.effect_sizes(pd.DataFrame({"heavy": [True] * 3, "x": [1, 2, 3]}), group="heavy")


def test_hundred_thousand_users_a_side_do_not_need_a_matrix_of_pairs():
    rng = np.random.default_rng(4)
    assert stats.effect_size(rng.poisson(3, 100_000), rng.poisson(3, 100_000)).cles == pytest.approx(0.5, abs=0.01)
