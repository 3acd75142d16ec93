"""Survival and churn: published curves, second implementations, and a model that is judged on what came later."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from statsmodels.duration.survfunc import SurvfuncRight

from opslib.errors import TooLittleError
from opslib.models.churn import fit_churn
from opslib.models.scoring import lift, quality
from opslib.models.survival import concordance, cox, kaplan_meier, log_rank

watched = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=40)


@given(watched)
def test_kaplan_meier_agrees_with_statsmodels(rows):
    t, e = np.array([r[0] for r in rows]), np.array([r[1] for r in rows], dtype=int)
    found = kaplan_meier(t, e)
    if not e.any():
        assert len(found.table) == 0 and np.isnan(found.median) and found.at(99) == 1
        return
    other = SurvfuncRight(t, e)
    mine = [found.at(x) for x in other.surv_times]
    assert mine == pytest.approx(other.surv_prob)
    assert ((found.table.low <= found.table.survival) | found.table.low.isna()).all()


def test_dropping_users_who_are_still_there_would_bias_survival_down():
    rng = np.random.default_rng(0)
    life, until = rng.exponential(30, 4000), rng.uniform(5, 40, 4000)
    t, e = np.minimum(life, until), (life <= until).astype(int)
    assert kaplan_meier(t, e).at(20) == pytest.approx(np.exp(-20 / 30), abs=0.03)
    assert kaplan_meier(t[e == 1], e[e == 1]).at(20) < 0.3


def test_log_rank_needs_groups_and_finds_none_where_there_is_none():
    rng = np.random.default_rng(1)
    t = rng.exponential(10, 300)
    assert log_rank(t, np.ones(300), np.arange(300) % 3).df == 2
    assert log_rank(t, np.ones(300), np.arange(300) % 2).p > 0.01
    with pytest.raises(TooLittleError):
        log_rank(t, np.ones(300), np.zeros(300))


def cohort(n=1500, seed=2):
    rng = np.random.default_rng(seed)
    x = pd.DataFrame({"sessions": rng.normal(size=n), "invited": rng.integers(0, 2, n)})
    life = rng.exponential(20 * np.exp(0.7 * x.sessions - 0.4 * x.invited))
    until = rng.uniform(5, 60, n)
    return x, np.ceil(np.minimum(life, until)), (life <= until).astype(int)


def test_cox_finds_the_planted_hazards_and_agrees_with_the_concordance_of_risks():
    x, t, e = cohort()
    found = cox(x, t, e)
    assert list(found.table.coefficient) == pytest.approx([-0.7, 0.4], abs=0.12)
    assert ((found.table.low < found.table.hazard_ratio) & (found.table.hazard_ratio < found.table.high)).all()
    assert found.concordance == pytest.approx(concordance(t, e, found.risk(x))) and found.concordance > 0.65


@given(watched, st.randoms())
def test_concordance_is_its_definition(rows, random):
    risk = [random.randint(0, 3) for _ in rows]
    good = pairs = 0.0
    for (t1, e1), r1 in zip(rows, risk, strict=True):
        for (t2, e2), r2 in zip(rows, risk, strict=True):
            if e1 and (t2 > t1 or (t2 == t1 and not e2)):
                pairs += 1
                good += (r1 > r2) + 0.5 * (r1 == r2)
    got = concordance([r[0] for r in rows], [r[1] for r in rows], risk)
    assert got == pytest.approx(good / pairs) if pairs else np.isnan(got)


def test_survival_says_what_is_missing():
    with pytest.raises(TooLittleError):
        kaplan_meier([], [])
    with pytest.raises(ValueError):
        kaplan_meier([1, 2], [1, 2])
    with pytest.raises(TooLittleError, match="1 个特征，流失人数要多于特征数，现有 1 人"):
        cox(pd.DataFrame({"x": [1.0, 2.0]}), [1, 2], [0, 1])
    with pytest.raises(TooLittleError, match="特征「x」在所有用户上都一样"):
        cox(pd.DataFrame({"x": [1.0] * 9}), range(1, 10), [1] * 9)


scores = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=2, max_size=50)


@given(scores)
def test_quality_agrees_with_scikit_learn(rows):
    y, p = np.array([r[0] for r in rows]), np.array([r[1] / 20 for r in rows])
    if y.min() == y.max():
        with pytest.raises(TooLittleError, match=f"{len(y)} 名用户的结果全部相同"):
            quality(y, p)
        return
    found = quality(y, p)
    assert found.auc == pytest.approx(roc_auc_score(y, p)) and found.brier == pytest.approx(np.mean((y - p) ** 2))
    assert found.deciles.n.sum() == len(y) and found.lift(1.0) == pytest.approx(1)


def test_lift_of_ties_is_their_average_and_does_not_depend_on_order():
    y, p = np.array([1, 0, 0, 0]), np.full(4, 0.3)
    assert lift(y, p, 0.25) == lift(y[::-1], p, 0.25) == pytest.approx(1)
    assert lift([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1], 0.5) == 2
    with pytest.raises(ValueError):
        lift(y, p, 0)


def period(seed, n=6000):
    """Active users of one day and who of them left: curved and skewed effects, and a feature without any."""
    rng = np.random.default_rng(seed)
    x = pd.DataFrame(
        {
            "days_since": rng.geometric(0.2, n) - 1,
            "sessions": rng.negative_binomial(2, 0.2, n),
            "tenure": rng.integers(0, 700, n),
            "noise": rng.normal(size=n),
        },
        index=[f"u{i}" for i in range(n)],
    ).astype(float)
    odds = -1.2 + 0.25 * np.minimum(x.days_since, 8) - 0.9 * np.log1p(x.sessions) + 1.2 * (x.tenure < 60)
    left = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(int)
    x.loc[rng.random(n) < 0.05, "tenure"] = np.nan
    return x, left.to_numpy()


def test_risks_are_calibrated_in_every_decile_of_a_later_period():
    model = fit_churn(*period(0, 20_000), *period(1, 20_000))
    q = model.quality
    assert (q.deciles.predicted - q.deciles.observed).abs().max() <= 0.03
    assert q.auc > 0.75 and q.lift(0.1) > 2 and q.slope == pytest.approx(1, abs=0.1)
    assert set(model.effects.feature[:2]) == {"sessions", "days_since"} and model.effects.feature.iloc[-1] == "noise"
    assert model.effects.set_index("feature").direction["sessions"] < -0.9


def test_the_worst_tenth_of_right_risks_stays_below_the_gap_of_chance_as_often_as_said():
    rng = np.random.default_rng(5)
    p = rng.beta(1, 4, 2_000)
    draws = [quality(rng.random(len(p)) < p, p) for _ in range(300)]
    below = np.mean([q.worst["gap"] <= q.gap_by_chance() for q in draws])
    assert 0.91 < below < 0.985
    off = [quality(rng.random(len(p)) < p, np.clip(1.6 * p, 0, 0.99)) for _ in range(20)]
    assert all(q.worst["gap"] > q.gap_by_chance() for q in off), "risks that are wrong are not excused"


def test_a_user_on_several_days_makes_no_risk_look_better_known():
    rng = np.random.default_rng(7)
    p = rng.beta(1, 4, 3_000)
    y = (rng.random(len(p)) < p).astype(int)
    once, who = quality(y, p), np.repeat(np.arange(len(p)), 3)
    thrice = quality(np.repeat(y, 3), np.repeat(p, 3), users=who)
    assert thrice.users == 3_000 and thrice.n == 9_000
    assert (thrice.auc_low, thrice.auc_high) == pytest.approx((once.auc_low, once.auc_high), abs=1e-9)
    assert list(thrice.deciles.spread) == pytest.approx(list(once.deciles.spread), rel=0.02)
    widths = thrice.deciles.high - thrice.deciles.low
    assert list(widths) == pytest.approx(list(once.deciles.high - once.deciles.low), rel=0.02)
    careless = quality(np.repeat(y, 3), np.repeat(p, 3))
    assert careless.gap_by_chance() < 0.65 * thrice.gap_by_chance()


def test_the_interval_of_the_auc_holds_the_true_one_as_often_as_said():
    rng = np.random.default_rng(11)
    p = rng.beta(1, 4, 400_000)
    true = roc_auc_score(rng.random(len(p)) < p, p)
    hits = 0
    for _ in range(300):
        risk = rng.choice(p, 400)
        found = quality((rng.random(400) < risk).astype(int), risk)
        hits += found.auc_low <= true <= found.auc_high
    assert 0.91 < hits / 300 < 0.985


def test_reasons_name_what_raises_this_users_risk():
    x, left = period(2)
    model = fit_churn(x, left)
    user = pd.DataFrame({"days_since": [9.0], "sessions": [12.0], "tenure": [400.0], "noise": [0.0]}, index=["ann"])
    reasons = model.reasons(user)
    assert reasons.feature[0] == "days_since" and reasons.value[0] == 9 and (reasons.effect > 0).all()
    assert "sessions" not in set(reasons.feature) and set(reasons.user) == {"ann"}
    own = np.log(model.risk(x) / (1 - model.risk(x)))
    assert own - model.parts(x).sum(axis=1) == pytest.approx(own[0] - model.parts(x)[0].sum())
    assert model.quality is None


def test_a_shift_between_periods_shows_in_the_quality():
    later, left = period(3)
    more = np.maximum(left, (np.arange(len(left)) % 4 == 0).astype(int))
    model = fit_churn(*period(2), later, more)
    assert model.quality.slope < 0.7 and (model.quality.deciles.observed > model.quality.deciles.predicted).mean() > 0.7


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda x, y: (x, y * 0), TooLittleError, "各满 30 人；6,000 人中流失 0 人"),
        (lambda x, y: (x[:5], y), ValueError, "outcomes"),
        (lambda x, y: (x, y, x.drop(columns="noise"), y), ValueError, "no feature 'noise'"),
        (lambda x, y: (x, y, x, y * 0), TooLittleError, "6,000 名用户的结果全部相同"),
    ],
)
def test_a_churn_model_says_what_it_lacks(change, error, says):
    with pytest.raises(error, match=says):
        fit_churn(*change(*period(4)))
