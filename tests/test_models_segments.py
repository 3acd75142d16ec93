"""Segments, personas and affinities: ties together, planted groups found, no group invented."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, false_discovery_control, norm
from sklearn.metrics import adjusted_rand_score

from opslib.errors import TooLittleError
from opslib.models.affinity import affinity, weighted_log_odds
from opslib.models.personas import cluster, personas, scaled
from opslib.models.profiles import discriminating, typical
from opslib.models.segments import GRID, NAMES, movement, rfm, segment_name, segment_of
from opslib.text import speaking

amounts = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9), st.integers(1, 40)), min_size=1, max_size=60)


@given(amounts, st.integers(2, 9))
def test_equal_values_have_equal_scores_and_better_values_no_worse(rows, bins):
    r, f, m = np.array(rows, dtype=float).T
    found = rfm(r, f, m, bins=bins)
    for value, score, sign in ((r, found.scores.r, -1), (f, found.scores.f, 1), (m, found.scores.m, 1)):
        assert score.between(1, bins).all()
        ordered = pd.DataFrame({"v": sign * value, "s": score}).groupby("v").s
        assert (ordered.nunique() == 1).all() and ordered.first().is_monotonic_increasing
    assert (found.scores.score == 100 * found.scores.r + 10 * found.scores.f + found.scores.m).all()
    assert (found.scores.segment != "").all()


def test_a_value_on_an_edge_belongs_to_the_lower_bin():
    found = rfm([5, 4, 3, 2, 1], [1, 2, 3, 4, 5], [10, 20, 30, 40, 50])
    assert list(found.frequency_edges) == pytest.approx([1.8, 2.6, 3.4, 4.2])
    assert list(found.scores.score) == [111, 222, 333, 444, 555]
    assert list(rfm([0, 0, 0], [1, 2, 3], [1, 1, 1], bins=2).scores.f) == [1, 1, 2]


def test_the_grid_names_every_pair_of_scores_once_in_both_languages():
    pairs = [(r, f) for r in range(1, 6) for f in range(1, 6)]
    covering = [[s for s, (a, b, c, d) in GRID.items() if a <= r <= b and c <= f <= d] for r, f in pairs]
    assert all(len(names) == 1 for names in covering) and set(GRID) == set(NAMES)
    assert list(segment_of([5, 1, 3], [5, 5, 3])) == ["champions", "cannot_lose", "need_attention"]
    assert list(segment_of([3, 1], [3, 1], bins=3)) == ["champions", "hibernating"]
    with speaking("zh"):
        assert segment_name("at_risk") == "流失风险"
    with speaking("en"):
        assert segment_name("at_risk") == "At risk"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (([], [], []), TooLittleError),
        (([1], [1, 2], [1]), ValueError),
        (([1], [np.nan], [1]), ValueError),
    ],
)
def test_rfm_without_customers_or_values_is_refused(call, error):
    with pytest.raises(error):
        rfm(*call)
    with pytest.raises(ValueError, match="bins"):
        rfm([1], [1], [1], bins=1)


def test_one_customer_has_a_segment():
    assert list(rfm([10], [1], [5]).scores.segment) == ["new_customers"]


def test_movement_counts_who_came_and_who_left():
    before = pd.Series({"a": "loyal", "b": "loyal", "c": "at_risk"})
    after = pd.Series({"a": "loyal", "b": "at_risk", "d": "new_customers"})
    table = movement(before, after).set_index(["before", "after"])
    assert table.users.to_dict() == {
        ("", "new_customers"): 1,
        ("at_risk", ""): 1,
        ("loyal", "at_risk"): 1,
        ("loyal", "loyal"): 1,
    }
    assert table.share["loyal", "at_risk"] == 0.5


tables = st.lists(st.lists(st.integers(0, 60), min_size=3, max_size=3), min_size=2, max_size=5)


@given(tables)
def test_affinity_agrees_with_scipy_and_residuals_sum_to_nothing(rows):
    counts = np.array(rows)
    if min((counts.sum(axis=0) > 0).sum(), (counts.sum(axis=1) > 0).sum()) < 2:
        with pytest.raises(TooLittleError):
            affinity(counts)
        return
    found = affinity(counts)
    full = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    test = chi2_contingency(full, correction=False)
    assert (found.chi2, found.df, found.p) == (pytest.approx(test.statistic), test.dof, pytest.approx(test.pvalue))
    assert np.nansum(counts - found.expected) == pytest.approx(0, abs=1e-9)
    p = 2 * norm.sf(np.abs(found.adj[np.isfinite(found.adj)]))
    assert found.p_adjusted[np.isfinite(found.adj)] == pytest.approx(false_discovery_control(p), abs=1e-9)


def test_a_tiny_cell_has_a_high_index_and_no_evidence():
    found = affinity([[500, 500, 1], [500, 500, 0]])
    assert found.index[0, 2] == pytest.approx(200, abs=1) and found.p_adjusted[0, 2] > 0.3


def test_log_odds_hold_rare_words_back_and_change_sign_with_the_side():
    z = weighted_log_odds([50, 1, 100], [10, 0, 140])
    assert z[0] > 4 and abs(z[1]) < 1.5
    assert weighted_log_odds([10, 0, 140], [50, 1, 100]) == pytest.approx(-z)
    assert weighted_log_odds([5, 0], [5, 0])[1] == 0
    with pytest.raises(TooLittleError):
        weighted_log_odds([0, 0], [1, 2])
    with pytest.raises(ValueError):
        weighted_log_odds([1], [1, 2])


def planted(seed=0, n=1200):
    """Three kinds of users: heavy payers, night readers, passers-by."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(3, n, p=[0.2, 0.35, 0.45])
    features = pd.DataFrame(
        {
            "sessions": rng.negative_binomial(6, 6 / (6 + np.array([45, 15, 2])[kind])),
            "days": rng.binomial(28, np.array([0.85, 0.45, 0.08])[kind]),
            "spend": rng.lognormal(np.array([5, 1, 0.5])[kind], 0.5),
            "night": rng.beta(np.array([2, 9, 2])[kind], np.array([8, 2, 6])[kind]),
        }
    )
    return features, kind


def test_planted_personas_are_recovered_and_the_number_is_right():
    features, kind = planted()
    found = personas(scaled(features), ks=range(2, 6))
    assert found.k == 3 and adjusted_rand_score(kind, found.labels) >= 0.8
    assert found.stability > 0.9
    again = personas(scaled(features), ks=range(2, 6))
    assert (again.labels == found.labels).all()


def test_no_persona_is_invented_where_there_is_a_continuum():
    rng = np.random.default_rng(1)
    love = rng.gamma(2, 1, 1500)
    features = pd.DataFrame(
        {"sessions": rng.poisson(5 * love), "days": rng.poisson(2 * love), "spend": rng.lognormal(0, 1, 1500) * love}
    )
    found = personas(scaled(features), ks=range(2, 6))
    assert found.k == 1 and (found.labels == 0).all() and np.isnan(found.stability) and found.clustering is None
    assert not found.criterion.holds.any()


def test_a_segment_of_three_users_is_no_persona():
    rng = np.random.default_rng(2)
    x = np.vstack([rng.normal(0, 1, (900, 3)), rng.normal(30, 0.1, (3, 3))])
    assert personas(x, ks=[2]).k == 1
    with pytest.raises(TooLittleError, match="40 名用户才能分成 2 群，现有 10 名"):
        personas(x[:10])


def test_labels_are_ordered_by_size_and_new_users_find_their_group():
    rng = np.random.default_rng(3)
    x = np.vstack([rng.normal(0, 1, (50, 2)), rng.normal(9, 1, (150, 2))])
    found = cluster(x, 2)
    assert (np.bincount(found.labels) == [150, 50]).all()
    assert list(found.assign([[9, 9], [0, 0]])) == [0, 1]
    assert (found.assign(x) == found.labels).all()


def test_hdbscan_leaves_noise_out_and_a_mixture_has_a_bic():
    rng = np.random.default_rng(4)
    x = np.vstack([rng.normal(0, 0.3, (80, 2)), rng.normal(9, 0.3, (80, 2)), rng.uniform(-20, 30, (8, 2))])
    found = cluster(x, 10, method="hdbscan")
    assert found.k == 2 and (found.labels[160:] == -1).sum() >= 6 and np.isnan(found.inertia)
    assert np.isfinite(cluster(x, 2, method="gmm").bic)


def test_clusters_need_users_and_values():
    with pytest.raises(TooLittleError):
        cluster(np.zeros((2, 2)), 3)
    with pytest.raises(ValueError):
        cluster([[np.nan], [1]], 1)
    with pytest.raises(ValueError, match="method"):
        cluster(np.eye(4), 2, method="ward")


def test_scaling_logs_what_is_skewed_and_survives_gaps_and_constants():
    frame = pd.DataFrame({"skewed": [0, 1, 2, 3, 1000], "even": [1, 2, 3, None, 5], "constant": 7})
    got = scaled(frame)
    assert got.mean().abs().max() < 1e-12 and (got.constant == 0).all()
    assert got.skewed.to_numpy() == pytest.approx(scaled(frame, logged=["skewed"]).skewed.to_numpy())
    assert got.skewed.iloc[4] < scaled(frame, logged=[]).skewed.iloc[4]
    with pytest.raises(ValueError, match="'empty' has no value"):
        scaled(frame.assign(empty=np.nan))


def test_what_sets_a_group_apart_comes_first_and_the_typical_user_is_in_the_middle():
    features, kind = planted()
    table = discriminating(features, kind == 1)
    assert table.feature[0] == "night" and table.smd[0] > 2
    x = np.array([[0.0], [1.0], [2.0], [9.0], [10.0]])
    assert typical(x, [0, 0, 0, 1, -1], n=2) == {0: [1, 0], 1: [3]}
    flat = discriminating(pd.DataFrame({"same": [1, 1, 1, 1], "apart": [0, 0, 1, 1]}), [True, True, False, False])
    assert list(flat.smd) == [-np.inf, 0]
    with pytest.raises(TooLittleError):
        discriminating(features, np.arange(len(features)) == 0)
