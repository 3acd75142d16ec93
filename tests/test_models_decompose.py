"""Decompositions are exact, agree with published examples and with brute force, and say what they cannot do."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.datasets import ccard
from statsmodels.stats.oaxaca import OaxacaBlinder

from opslib.errors import TooLittleError
from opslib.models.adtributor import adtributor
from opslib.models.decompose import causes, mix_rate, simpson
from opslib.models.factors import dimension_effects, factor_effects, funnel_effects
from opslib.models.oaxaca import oaxaca

counts = st.integers(0, 500).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))
periods = st.lists(st.tuples(counts, counts), min_size=1, max_size=12).filter(
    lambda rows: sum(a[0] for a, _ in rows) > 0 and sum(b[0] for _, b in rows) > 0
)


def arrays(rows):
    """n0, r0, n1, r1 of segments; the rate of nobody is missing."""
    return [np.array([side[0], side[1] / side[0] if side[0] else np.nan]) for row in rows for side in row]


def columns(rows):
    flat = np.array(arrays(rows)).reshape(len(rows), 4)
    return flat[:, 0], flat[:, 1], flat[:, 2], flat[:, 3]


@given(periods, st.booleans())
def test_parts_sum_to_the_change_to_the_last_digit(rows, interaction):
    n0, r0, n1, r1 = columns(rows)
    found = mix_rate(n0, r0, n1, r1, interaction=interaction)
    change = np.nansum(n1 * r1) / n1.sum() - np.nansum(n0 * r0) / n0.sum()
    assert found.total == pytest.approx(change, abs=1e-9)
    assert found.mix + found.rate + found.interaction == pytest.approx(change, abs=1e-9)
    assert found.segments.contribution.sum() == pytest.approx(change, abs=1e-9)
    assert found.segments[["mix", "rate", "interaction"]].sum().to_numpy() == pytest.approx(
        [found.mix, found.rate, found.interaction], abs=1e-12
    )


@given(periods)
def test_time_reversed_the_midpoint_form_only_changes_sign(rows):
    n0, r0, n1, r1 = columns(rows)
    there, back = mix_rate(n0, r0, n1, r1), mix_rate(n1, r1, n0, r0)
    assert (there.mix, there.rate) == (pytest.approx(-back.mix, abs=1e-12), pytest.approx(-back.rate, abs=1e-12))
    assert (there.rate_se, there.mix_se) == (pytest.approx(back.rate_se), pytest.approx(back.mix_se))


def test_a_segment_that_only_appears_counts_as_mix():
    found = mix_rate([100, 0], [0.2, np.nan], [100, 100], [0.2, 0.8])
    assert found.rate == 0 and found.mix == pytest.approx(0.3)


def test_the_three_part_form_keeps_apart_what_changed_together():
    found = mix_rate([800, 200], [0.1, 0.5], [900, 100], [0.11, 0.52], interaction=True)
    assert (found.rate, found.mix) == (pytest.approx(0.8 * 0.01 + 0.2 * 0.02), pytest.approx(0.1 * 0.1 - 0.1 * 0.5))
    assert found.interaction == pytest.approx(0.1 * 0.01 - 0.1 * 0.02)
    assert np.isnan(found.rate_se)


def test_standard_errors_agree_with_a_bootstrap():
    rng = np.random.default_rng(0)
    sizes, rates = np.array([[800, 200, 300], [900, 100, 500]]), np.array([[0.1, 0.5, 0.3], [0.11, 0.52, 0.2]])
    draws = []
    for _ in range(2000):
        n = [rng.multinomial(s.sum(), s / s.sum()) for s in sizes]
        found = mix_rate(n[0], rng.binomial(n[0], rates[0]) / n[0], n[1], rng.binomial(n[1], rates[1]) / n[1])
        draws.append([found.mix, found.rate, found.total, *found.segments.mix, *found.segments.rate])
    found = mix_rate(sizes[0], rates[0], sizes[1], rates[1])
    delta = [found.mix_se, found.rate_se, found.total_se, *found.segments.mix_se, *found.segments.rate_se]
    assert np.std(draws, axis=0) == pytest.approx(delta, rel=0.08)


def test_an_amount_per_user_has_an_error_only_when_its_variance_is_given():
    amounts = ([100, 100], [3.0, 8.0], [100, 100], [4.0, 8.0])
    assert np.isnan(mix_rate(*amounts).rate_se)
    found = mix_rate(*amounts, var0=[4, 4], var1=[4, 4])
    # Two halves, each with noise 4/100 in both periods; the gap between segments moves the rest.
    assert found.rate_se == pytest.approx(np.sqrt(2 * 2 * 0.25 * 0.04 + 2 * 0.25**2 / 200), rel=1e-9)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (([1], [0.5], [1, 2], [0.5, 0.5]), ValueError, "one length"),
        (([-1], [0.5], [1], [0.5]), ValueError, "negative"),
        (([5, 1], [0.5, np.nan], [1, 1], [0.5, 0.1]), ValueError, "no rate"),
        (([0], [np.nan], [5], [0.5]), TooLittleError, "前一期没有用户"),
        (([5], [0.1], [0], [0.5]), TooLittleError, "后一期没有用户"),
        (([], [], [], []), TooLittleError, "前一期没有用户"),
    ],
)
def test_what_cannot_be_decomposed_is_said(call, error, says):
    with pytest.raises(error, match=says):
        mix_rate(*call)


def test_simpsons_paradox_is_named_and_one_segment_with_the_total_makes_it_weak():
    assert simpson([800, 200], [0.1, 0.5], [900, 100], [0.11, 0.52]).strict
    weak = simpson([800, 200, 100], [0.1, 0.5, 0.3], [900, 100, 100], [0.11, 0.52, 0.29])
    assert weak.reversal and not weak.strict and (weak.segments_up, weak.segments_down) == (2, 1)
    plain = simpson([800, 200], [0.1, 0.5], [800, 200], [0.05, 0.4])
    assert not plain.reversal and not plain.strict


def cells(rng, *sizes):
    grid = pd.MultiIndex.from_product([[f"{d}{i}" for i in range(k)] for d, k in zip("abc", sizes, strict=False)])
    frame = grid.to_frame(index=False, name=list("abc")[: len(sizes)])
    for when in "01":
        frame[f"n{when}"] = rng.poisson(4, len(frame))
        frame[f"hits{when}"] = rng.binomial(frame[f"n{when}"], 0.4)
    return frame


@given(st.integers(0, 10_000))
def test_every_dimension_explains_the_whole_change(seed):
    frame = cells(np.random.default_rng(seed), 3, 2)
    frame.loc[0, "a"] = None
    change = frame.hits1.sum() / frame.n1.sum() - frame.hits0.sum() / frame.n0.sum()
    table = causes(frame, ["a", "b"])
    assert table.groupby("dimension").contribution.sum().to_numpy() == pytest.approx([change, change], abs=1e-9)
    assert (table.contribution.abs().diff().dropna() <= 1e-15).all()
    assert ((table.low <= table.contribution) & (table.contribution <= table.high)).all()
    assert table[table.dimension == "a"].value.isna().any()


def test_ten_thousand_values_of_a_dimension_take_no_time():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"city": [f"c{i}" for i in range(10_000)]})
    for when in "01":
        frame[f"n{when}"] = rng.poisson(20, len(frame))
        frame[f"hits{when}"] = rng.binomial(frame[f"n{when}"], 0.3)
    table = causes(frame, ["city"])
    change = frame.hits1.sum() / frame.n1.sum() - frame.hits0.sum() / frame.n0.sum()
    assert len(table) == 20_000 and table.contribution.sum() == pytest.approx(change, abs=1e-9)


def test_das_gupta_1993_example_2_3_four_factors():
    before = {"birth_preg": 25.3, "preg_actw": 0.214, "actw_prop": 0.279, "w_prop": 0.949}
    after = {"birth_preg": 32.7, "preg_actw": 0.290, "actw_prop": 0.473, "w_prop": 0.986}
    got = factor_effects(before, after)
    assert list(got.effects.values()) == pytest.approx([0.6889411, 0.8125381, 1.3829055, 0.1047547], abs=5e-8)
    assert got.total == pytest.approx(2.9891394, abs=5e-8)


def test_das_gupta_1993_example_4_4_a_ratio_of_sums():
    before = {
        "a": [0.200, 0.163, 0.146, 0.154, 0.168, 0.169],
        "b": [0.866, 0.325, 0.119, 0.099, 0.099, 0.121],
        "c": [0.007, 0.021, 0.023, 0.015, 0.008, 0.002],
        "d": [0.454, 0.326, 0.195, 0.107, 0.051, 0.015],
    }
    after = {
        "a": [0.169, 0.195, 0.190, 0.174, 0.150, 0.122],
        "b": [0.931, 0.563, 0.311, 0.216, 0.199, 0.191],
        "c": [0.018, 0.026, 0.023, 0.016, 0.008, 0.002],
        "d": [0.380, 0.201, 0.149, 0.079, 0.025, 0.006],
    }
    got = factor_effects(before, after, lambda a, b, c, d: sum(a * b * c) / (sum(a * b * c) + sum(a * (1 - b) * d)))
    assert list(got.effects.values()) == pytest.approx([-0.00620498, 0.04866154, 0.02705922, 0.02470928], abs=5e-9)


def test_das_gupta_1993_example_5_3_two_dimensions_and_the_rate():
    size1970 = [2968, 11484, 34614, 30992, 21983, 20314, 20928, 16897, 11339, 5720, 1315]
    size1970 += [535, 2162, 6120, 4781, 3096, 2718, 2363, 1767, 1149, 448, 117]
    size1985 = [3041, 11577, 27450, 32711, 35480, 27411, 19555, 19795, 15254, 8022, 2472]
    size1985 += [707, 2692, 6473, 6841, 6547, 4352, 3034, 2540, 1749, 804, 236]
    rate1970 = [18.469, 0.751, 0.391, 1.146, 1.287, 2.672, 6.636, 15.691, 34.723, 79.763, 176.837]
    rate1970 += [36.993, 1.352, 0.541, 2.040, 3.523, 6.746, 12.967, 24.471, 45.091, 74.902, 123.205]
    rate1985 = [9.163, 0.462, 0.248, 0.929, 1.084, 1.810, 4.715, 12.187, 27.728, 64.068, 157.570]
    rate1985 += [17.208, 0.738, 0.328, 1.103, 2.045, 3.724, 8.052, 17.812, 34.128, 68.276, 125.161]
    frame = pd.DataFrame({"race": np.repeat([1, 2], 11), "age": list(range(11)) * 2, "n0": size1970, "n1": size1985})
    frame["hits0"], frame["hits1"] = frame.n0 * rate1970, frame.n1 * rate1985
    got = dimension_effects(frame, ["race", "age"])
    assert got.effects == pytest.approx({"race": 0.0197749, "age": 1.5217347, "rate": -2.2277254}, abs=5e-8)


@given(st.integers(0, 10_000), st.integers(1, 3))
def test_dimensions_and_the_rate_sum_to_the_change_with_empty_cells(seed, dims):
    frame = cells(np.random.default_rng(seed), *[4, 3, 3][:dims])
    frame.loc[frame.index[1:3], ["n0", "hits0"]] = 0
    frame.loc[0, ["n0", "hits0"]] = 3, 1
    got = dimension_effects(frame, list("abc")[:dims])
    change = frame.hits1.sum() / frame.n1.sum() - frame.hits0.sum() / frame.n0.sum()
    assert sum(got.effects.values()) == pytest.approx(change, abs=1e-9) and got.total == pytest.approx(change, abs=1e-9)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=5), st.randoms())
def test_a_factors_effect_is_its_mean_change_over_all_orders(pairs, random):
    names = [f"f{i}" for i in range(len(pairs))]
    before, after = ({n: p[i] for n, p in zip(names, pairs, strict=True)} for i in (0, 1))

    def formula(**f):
        return np.prod(list(f.values())) + 0.5 * max(f.values())

    wanted = dict.fromkeys(names, 0.0)
    orders = list(permutations(names))
    for order in orders:
        state = dict(before)
        for name in order:
            old = formula(**state)
            state[name] = after[name]
            wanted[name] += (formula(**state) - old) / len(orders)
    shuffled = random.sample(names, len(names))
    got = factor_effects({n: before[n] for n in shuffled}, after, formula)
    assert got.effects == pytest.approx(wanted, abs=1e-8)
    assert sum(got.effects.values()) == pytest.approx(got.total, abs=1e-9)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ({"a": 1}, {"b": 1}, "same"),
        ({}, {}, "same"),
        ({"a": 1.0}, {"a": np.nan}, "finite"),
        ({f"f{i}": 1 for i in range(17)}, {f"f{i}": 2 for i in range(17)}, "16"),
    ],
)
def test_factors_that_make_no_formula_are_refused(before, after, says):
    with pytest.raises(ValueError, match=says):
        factor_effects(before, after)


chains = st.lists(st.integers(0, 300), min_size=3, max_size=3).map(lambda c: sorted(c, reverse=True))


@given(st.lists(st.tuples(chains, chains), min_size=1, max_size=4))
def test_funnel_contributions_sum_to_the_change_whatever_is_empty(rows):
    before, after = [a for a, _ in rows], [b for _, b in rows]
    old, new = np.array(before).sum(axis=0), np.array(after).sum(axis=0)
    if old[0] == 0 or new[0] == 0:
        with pytest.raises(TooLittleError):
            funnel_effects(before, after, draws=0)
        return
    got = funnel_effects(before, after, steps=["open", "register", "pay"], draws=0)
    assert got.contribution.sum() == pytest.approx(new[2] / new[0] - old[2] / old[0], abs=1e-9)
    assert list(got.factor[:3]) == ["mix", "register", "pay"]


def test_the_step_that_broke_is_blamed_and_its_interval_covers_the_truth():
    hits = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        chain = [[5000, a, rng.binomial(a, 0.3)] for a in (rng.binomial(5000, 0.5), rng.binomial(5000, 0.4))]
        got = funnel_effects(*chain, steps=["open", "register", "pay"], draws=300).set_index("factor")
        assert got.contribution.idxmin() == "register" and got.contribution["mix"] == 0
        hits += got.low["register"] <= -0.03 <= got.high["register"]
    assert hits >= 52


@pytest.mark.parametrize(
    ("before", "after", "steps", "says"),
    [
        ([10, 5], [10, 5, 1], None, "same segments"),
        ([10, 11], [10, 5], None, "than the one before"),
        ([10, 5], [10, 5], ["a", "mix"], "different names"),
        ([10], [10], None, "2 or more"),
    ],
)
def test_a_funnel_that_is_none_is_refused(before, after, steps, says):
    with pytest.raises(ValueError, match=says):
        funnel_effects(before, after, steps=steps)


def test_oaxaca_agrees_with_statsmodels_and_its_detail_sums_up():
    cards = ccard.load_pandas().data
    x = cards.drop(columns=["AVGEXP", "OWNRENT"])
    got = oaxaca(cards.AVGEXP, x, cards.OWNRENT)
    model = OaxacaBlinder(cards.AVGEXP, cards.drop(columns="AVGEXP"), "OWNRENT", hasconst=False)
    assert [got.unexplained, got.explained, got.gap] == pytest.approx(model.two_fold().params)
    assert [got.endowments, got.coefficients, got.interaction, got.gap] == pytest.approx(model.three_fold().params)
    assert got.features[["explained", "unexplained"]].sum().sum() == pytest.approx(got.gap)


def test_oaxaca_says_what_is_missing():
    x = np.arange(12.0).reshape(6, 2)
    with pytest.raises(ValueError, match="two groups"):
        oaxaca(np.arange(6), x, ["a"] * 6)
    with pytest.raises(TooLittleError, match="多于 3 名用户，最小的一组只有 3 名"):
        oaxaca(np.arange(6), x, list("aaabbb"))
    with pytest.raises(ValueError, match="missing"):
        oaxaca([np.nan, *range(5)], x, list("aaabbb"))


def test_the_biggest_segment_is_no_cause_when_it_moved_like_the_rest():
    got = adtributor({"size": {"big": (94, 47), "small": (6, 3)}})
    assert got.dimension == "size" and got.surprise == 0  # one dimension, one answer, and no surprise in it
    both = adtributor({"size": {"big": (94, 47), "small": (6, 3)}, "kind": {"x": (50, 3), "y": (50, 47)}})
    assert (both.dimension, both.found) == ("kind", ["x"])


def test_a_ratio_is_explained_by_the_element_whose_ratio_fell():
    revenue = {"channel": {"ads": (100, 40), "seo": (100, 100), "push": (100, 100)}}
    visits = {"channel": {"ads": (50, 50), "seo": (50, 50), "push": (50, 50)}}
    got = adtributor(revenue, per=visits)
    assert got.found == ["ads"] and got.ep == pytest.approx(1)


@pytest.mark.parametrize(
    ("dims", "error"),
    [
        ({"a": {"x": (10, 10)}}, TooLittleError),
        ({}, TooLittleError),
        ({"a": {}}, TooLittleError),
        ({"a": {"x": (0, 10)}}, TooLittleError),
        ({"a": {"x": (-1, 10)}}, ValueError),
    ],
)
def test_nothing_to_explain_is_said(dims, error):
    with pytest.raises(error):
        adtributor(dims)
