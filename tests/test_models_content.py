"""Items: small ones do not win, planted duds and gems are found, places do not decide."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from sklearn.metrics import ndcg_score
from statsmodels.stats.proportion import proportion_confint

from opslib.errors import TooLittleError
from opslib.models.content import KEEP, BetaPrior, beta_prior, cull_boost, priors, shrink, shrink_by_group, wilson_rank
from opslib.models.decay import half_life, half_lives
from opslib.models.exposure import coec, examination, standardised, stratified_lift, stratified_odds
from opslib.models.recommend import (
    dcg,
    ease,
    evaluate,
    for_segments,
    item_cosine,
    list_quality,
    ndcg,
    ndcg_of_scores,
    popularity,
    ranked,
)


def items(n=3000, alpha=3.0, beta=27.0, seed=0):
    rng = np.random.default_rng(seed)
    rate, shown = rng.beta(alpha, beta, n), rng.geometric(1 / 200, n)
    return rate, rng.binomial(shown, rate), shown


def test_the_prior_of_items_is_recovered_and_moments_exaggerate_the_spread():
    _, hits, shown = items()
    likely, moments = beta_prior(hits, shown), beta_prior(hits, shown, method="moments")
    assert likely.mean == pytest.approx(0.1, abs=0.005) and likely.strength == pytest.approx(30, rel=0.15)
    assert moments.strength < 0.8 * likely.strength


def test_items_that_do_not_differ_are_drawn_together_completely():
    rng = np.random.default_rng(1)
    shown = rng.integers(50, 500, 400)
    hits = rng.binomial(shown, 0.2)
    means = shrink(hits, shown, beta_prior(hits, shown))["mean"]
    assert means.std() < 0.01 and means.mean() == pytest.approx(0.2, abs=0.01)


def test_posterior_intervals_cover_the_true_rates():
    rate, hits, shown = items(seed=2)
    table = shrink(hits, shown, beta_prior(hits, shown))
    assert ((table.low <= rate) & (rate <= table.high)).mean() == pytest.approx(0.95, abs=0.015)


def test_three_of_three_does_not_lead_and_no_exposure_is_the_prior():
    table = shrink([3, 80, 0], [3, 200, 0], BetaPrior(3, 27))
    assert table["mean"].idxmax() == 1 and np.isnan(table.rate[2]) and table["mean"][2] == pytest.approx(0.1)
    assert wilson_rank([3, 80, 0], [3, 200, 0], level=0.95).order[-1] == 2
    assert wilson_rank([3, 180], [3, 200]).order == [1, 0]


@pytest.mark.parametrize(
    ("hits", "shown", "error"),
    [
        ([1], [5], TooLittleError),
        ([0, 0], [5, 5], TooLittleError),
        ([5, 5], [5, 5], TooLittleError),
        ([3], [2], ValueError),
    ],
)
def test_items_that_carry_no_prior_say_so(hits, shown, error):
    with pytest.raises(error):
        beta_prior(hits, shown)


def test_small_categories_borrow_the_prior_of_all():
    _, hits, shown = items(300)
    frame = pd.DataFrame({"hits": hits, "shown": shown, "category": ["news"] * 200 + ["music"] * 95 + [None] * 5})
    found = priors(frame, hits="hits", of="shown", group="category")
    assert found[None] == beta_prior(hits, shown) != found["news"]
    table = shrink_by_group(frame, hits="hits", of="shown", group="category")
    assert list(table.columns[:3]) == ["hits", "shown", "category"]
    assert table.prior_alpha[0] == found["news"].alpha and table.prior_alpha.iloc[-1] == found[None].alpha


def test_planted_duds_and_gems_are_listed_and_the_chance_of_being_wrong_is_honest():
    rng = np.random.default_rng(3)
    kind = rng.choice(["dud", "plain", "gem"], 2000, p=[0.05, 0.9, 0.05])
    rate = np.select([kind == "dud", kind == "gem"], [0.03, 0.25], rng.beta(40, 360, 2000))
    shown = rng.integers(300, 3000, 2000)
    hits = rng.binomial(shown, rate)
    table = cull_boost(hits, shown, np.where(kind == "gem", 0.15, 0.06), beta_prior(hits, shown))
    for decision, planted in (("cull", "dud"), ("boost", "gem")):
        listed = (
            cull_boost(hits, shown, 0.06 if planted == "dud" else 0.15, beta_prior(hits, shown)).decision == decision
        )
        assert (kind[listed] == planted).mean() >= 0.9 and listed[kind == planted].mean() >= 0.8
    assert table.wrong.dropna().between(0, 0.05).all() and table.wrong.isna().equals(table.decision == KEEP)


def test_the_expected_share_of_errors_is_the_share_that_happens():
    rate, hits, shown = items(20_000, seed=4)
    table = cull_boost(hits, shown, 0.1, beta_prior(hits, shown))
    boosted, culled = table.decision == "boost", table.decision == "cull"
    assert (rate[boosted] < 0.1).mean() == pytest.approx(table.wrong[boosted].mean(), abs=0.006)
    assert (rate[culled] > 0.1).mean() == pytest.approx(table.wrong[culled].mean(), abs=0.006)
    with pytest.raises(ValueError):
        cull_boost([1], [2], 1.5, BetaPrior(1, 1))


pairs = st.lists(
    st.integers(0, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=30
)


@given(pairs)
def test_the_wilson_bound_agrees_with_statsmodels_and_orders(rows):
    x, n = np.array(rows).T
    found = wilson_rank(x, n)
    shown = n > 0
    assert found.lower[shown] == pytest.approx(proportion_confint(x[shown], n[shown], method="wilson")[0], abs=1e-9)
    ordered = np.nan_to_num(found.lower[found.order], nan=-1)
    assert (np.diff(ordered) <= 1e-15).all() and sorted(found.order) == list(range(len(rows)))


def views(half=4.0, days=20, peak=300, seed=0, spread=3.0):
    rng = np.random.default_rng(seed)
    mean = peak * 0.5 ** (np.arange(days) / half)
    return rng.negative_binomial(mean / (spread - 1), 1 / spread)


def test_the_half_life_is_covered_by_its_interval_also_with_days_of_no_view():
    covered = 0
    for seed in range(100):
        found = half_life(np.arange(20), views(seed=seed, peak=60))
        covered += found.low <= 4 <= found.high
    assert covered >= 88 and (views(peak=60) == 0).any()


def test_the_climb_to_the_peak_is_no_decay():
    climb = [5, 40, 200]
    day, seen = np.arange(15), np.concatenate([climb, 400 * 0.5 ** (np.arange(12) / 3)])
    found = half_life(day, np.round(seen))
    assert (
        found.peak_day == 3
        and found.half_life == pytest.approx(3, rel=0.02)
        and found.peak == pytest.approx(400, rel=0.02)
    )
    assert half_life(day, np.round(seen), from_peak=False).half_life > 3.5


def test_an_item_that_does_not_fade_is_evergreen_and_a_flash_is_news():
    rng = np.random.default_rng(5)
    steady = half_life(np.arange(60), np.append(200, rng.poisson(100, 59)))
    assert steady.high == np.inf and steady.kind() == "evergreen"
    flash = half_life([0, 1, 2, 3, 4, 5], [900, 12, 0, 0, 0, 0])
    assert 0 < flash.half_life < 0.3 and flash.kind() == "news"
    assert half_life([0, 1, 2], [9, 8, 9], from_peak=True).kind() == "unclear"


def test_weekdays_are_allowed_for_when_there_are_three_weeks():
    wave = np.where(np.arange(35) % 7 >= 5, 2.0, 1.0)
    seen = np.round(1000 * wave * 0.5 ** (np.arange(35) / 10))
    weekly = half_life(np.arange(35), seen, from_peak=False, weekly=True)
    assert (
        weekly.half_life == pytest.approx(10, rel=0.02)
        and weekly.se < half_life(np.arange(35), seen, from_peak=False).se
    )
    with pytest.raises(TooLittleError, match="22 天数据且有浏览，现有 10 天"):
        half_life(np.arange(10), np.ones(10), weekly=True)


@pytest.mark.parametrize(
    ("day", "seen", "error"),
    [
        ([0, 1], [5, 3], TooLittleError),
        ([0, 1, 2], [0, 0, 0], TooLittleError),
        ([], [], TooLittleError),
        ([0, 0, 1], [1, 2, 3], ValueError),
        ([0, 1, 2], [1, -2, 3], ValueError),
        ([0, 1, 2], [1, np.nan, 3], ValueError),
    ],
)
def test_an_item_without_days_has_no_half_life(day, seen, error):
    with pytest.raises(error):
        half_life(day, seen)


def test_every_item_has_a_row_and_those_without_days_a_blank():
    frame = pd.DataFrame({"item": ["a"] * 6 + ["b"], "day": [*range(6), 0], "views": [64, 32, 16, 8, 4, 2, 9]})
    table = half_lives(frame, item="item", day="day", views="views").set_index("item")
    assert table.half_life["a"] == pytest.approx(1, abs=0.01) and np.isnan(table.half_life["b"])


def test_many_items_at_once_agree_with_statsmodels_one_by_one():
    import statsmodels.api as sm

    frames = [pd.DataFrame({"item": i, "day": np.arange(15), "views": views(1 + i, 15, 80, i)}) for i in range(8)]
    table = half_lives(pd.concat(frames), item="item", day="day", views="views", from_peak=False).set_index("item")
    for i, frame in enumerate(frames):
        fit = sm.GLM(frame.views, sm.add_constant(frame.day), family=sm.families.Poisson()).fit(tol=1e-12)
        assert table.slope[i] == pytest.approx(fit.params["day"], rel=1e-6)
        dispersion = max(1, fit.pearson_chi2 / 13)
        assert table.se[i] == pytest.approx(fit.bse["day"] * np.sqrt(dispersion), rel=1e-5)
        assert table.peak[i] == pytest.approx(np.exp(fit.params["const"]), rel=1e-6)


def shown_in_places(seed=0, lift=1.3, rows=400):
    """The algorithm gets the good places; within a place it is `lift` times as good."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(rows):
        for position, base in ((0, 0.3), (1, 0.1), (2, 0.04)):
            for who, n in (("algorithm", (90, 30, 5)[position]), ("editorial", (8, 30, 80)[position])):
                rate = base * (lift if who == "algorithm" else 1)
                shown = rng.poisson(n / 10)
                out.append((i, position, who, shown, rng.binomial(shown, min(rate, 1))))
    return pd.DataFrame(out, columns=["item", "position", "placement", "shown", "clicks"])


def lifted(frame, strata, **more):
    return stratified_lift(frame, strata=strata, group="placement", base="editorial", hits="clicks", of="shown", **more)


def test_the_lift_is_recovered_within_places_and_badly_wrong_without():
    covered = 0
    for seed in range(40):
        row = lifted(shown_in_places(seed), ["item", "position"]).iloc[0]
        covered += row.low <= 0.3 <= row.high
    assert covered >= 35
    crude = lifted(shown_in_places().assign(all=0), "all").iloc[0]
    assert crude.lift > 2 and row.used < 1


def test_strata_without_one_of_the_two_tell_nothing():
    frame = pd.DataFrame(
        {"position": [0, 0, 1, 2], "placement": ["algorithm", "editorial", "algorithm", "editorial"], "shown": 100}
    ).assign(clicks=[30, 20, 90, 1])
    row = lifted(frame, "position").iloc[0]
    assert row["diff"] == pytest.approx(0.1) and row.lift == pytest.approx(0.5) and row.used == 0.5
    with pytest.raises(TooLittleError, match="从未出现在同一层"):
        lifted(frame[frame.position > 0], "position")
    with pytest.raises(TooLittleError, match="没有可作对照的组「editorial」"):
        lifted(frame[frame.placement == "algorithm"], "position")
    with pytest.raises(ValueError):
        lifted(frame.assign(clicks=200), "position")


def test_a_missing_position_is_a_stratum_of_its_own():
    frame = shown_in_places().assign(position=lambda f: f.position.where(f.position != 2))
    assert lifted(frame, "position").used[0] == 1


def test_standardised_rates_turn_the_crude_order_around():
    frame = pd.DataFrame(
        {
            "position": [0, 0, 1, 1],
            "source": ["PGC", "UGC"] * 2,
            "shown": [900, 100, 100, 900],
            "clicks": [270, 40, 10, 120],
        }
    )
    table = standardised(frame, strata="position", group="source", hits="clicks", of="shown").set_index("group")
    assert table.crude["PGC"] > table.crude["UGC"] and table.rate["PGC"] < table.rate["UGC"]
    assert table.rate["PGC"] == pytest.approx(0.5 * 0.3 + 0.5 * 0.1) and (table.used == 1).all()
    apart = standardised(frame.iloc[[0, 3]], strata="position", group="source", hits="clicks", of="shown")
    assert apart.rate.isna().all() and (apart.used == 0).all()
    with pytest.raises(TooLittleError):
        standardised(frame.iloc[:0], strata="position", group="source", hits="clicks", of="shown")


def test_odds_of_empty_strata_are_left_out_and_simpson_is_named():
    found = stratified_odds([[[10, 90], [60, 40]], [[60, 40], [1, 0]], [[5, 5], [0, 0]]])
    assert found.strata == 2 and np.isfinite(found.mh_or)
    turned = stratified_odds([[[81, 6], [234, 36]], [[192, 71], [55, 25]]])  # kidney stones, Charig et al. 1986
    assert turned.reversed and turned.mh_or > 1 > turned.crude_or
    with pytest.raises(TooLittleError):
        stratified_odds([[[0, 0], [1, 1]]])
    with pytest.raises(ValueError):
        stratified_odds([[1, 2], [3, 4]])


def looked(seed=0, items=300):
    """Better items higher up; the look at a place falls with its depth."""
    rng = np.random.default_rng(seed)
    look, out = np.array([1, 0.6, 0.35, 0.2]), []
    appeal = rng.beta(4, 16, items)
    for i in range(items):
        favourite = int(np.clip(3 - appeal[i] * 12, 0, 3))
        for position in range(4):
            shown = rng.poisson(200 if position == favourite else 60)
            out.append((i, position, shown, rng.binomial(shown, appeal[i] * look[position])))
    return appeal, pd.DataFrame(out, columns=["item", "position", "shown", "clicks"])


def test_examination_is_recovered_though_good_items_are_on_top():
    appeal, frame = looked()
    look = examination(frame.item, frame.position, frame.shown, frame.clicks)
    assert (look / look[0]).to_numpy() == pytest.approx([1, 0.6, 0.35, 0.2], rel=0.05)
    raw = frame.groupby("position")[["clicks", "shown"]].sum().pipe(lambda t: t.clicks / t.shown)
    assert raw[3] / raw[0] < 0.18  # the top looks better than it is
    table = coec(frame.item, frame.position, frame.shown, frame.clicks, look)
    biased = coec(frame.item, frame.position, frame.shown, frame.clicks)
    fair, crude = (scipy_stats.pearsonr(t.coec, appeal).statistic for t in (table, biased))
    assert fair > 0.95 and fair > crude
    assert table.expected.sum() == pytest.approx(table.clicks.sum())


def test_coec_intervals_cover_and_what_is_unknown_is_left_out():
    appeal, frame = looked(1)
    look = examination(frame.item, frame.position, frame.shown, frame.clicks)
    table = coec(frame.item, frame.position, frame.shown, frame.clicks, look)
    truth = appeal * table.coec.mean() / appeal.mean()
    assert ((table.low <= truth) & (truth <= table.high)).mean() > 0.88
    gaps = coec(["a", "a", "b"], [0, None, None], [100, 50, 10], [10, 50, 3])
    assert gaps.impressions.to_list() == [100, 0] and gaps.coec[0] == 1 and np.isnan(gaps.coec[1])
    with pytest.raises(TooLittleError):
        coec(["a"], [0], [10], [0])
    with pytest.raises(ValueError):
        coec(["a"], [0], [10], [11])


def test_one_placement_only_says_nothing_about_looking():
    with pytest.raises(TooLittleError, match="2 个位置"):
        examination(["a", "b"], [0, 0], [10, 10], [1, 2])
    with pytest.raises(TooLittleError, match="2 个位置"):
        examination(["a", "b"], [0, 1], [10, 10], [1, 2])
    islands = examination(["a", "a", "b"], [0, 1, 5], [100, 100, 10], [20, 10, 3])
    assert islands[1] == pytest.approx(0.5) and np.isnan(islands[5])


def tastes(seed=0, users=300, things=60, each=10):
    rng = np.random.default_rng(seed)
    taste, kind, fame = rng.integers(4, size=users), rng.integers(4, size=things), rng.gamma(1.0, 1.0, things)
    seen, wanted = np.zeros((2, users, things))
    for u in range(users):
        weight = fame * np.where(kind == taste[u], 10.0, 1.0)
        chosen = rng.choice(things, each, replace=False, p=weight / weight.sum())
        seen[u, chosen[:-2]], wanted[u, chosen[-2:]] = 1, 1
    return seen, wanted, taste, kind


def test_recommenders_beat_popularity_and_do_not_show_what_was_seen():
    seen, wanted, taste, kind = tastes()
    quality = {f.__name__: evaluate(f(seen), seen, wanted, k=10) for f in (popularity, item_cosine, ease)}
    assert min(quality["item_cosine"].ndcg, quality["ease"].ndcg) > 1.3 * quality["popularity"].ndcg
    lists = ranked(item_cosine(seen), seen, 5)
    assert not np.take_along_axis(seen, lists, axis=1).any()
    segments = for_segments(item_cosine(seen), seen, taste, k=3)
    assert (kind[segments.item] == segments.segment).mean() > 0.9 and segments.new_to.between(0, 1).all()


def test_ease_is_ridge_regression_without_the_item_itself():
    seen, *_ = tastes(users=80, things=12)
    scores = ease(seen, ridge=5.0)
    for j in (0, 7):
        others = np.delete(np.arange(12), j)
        x = seen[:, others]
        beta = np.linalg.solve(x.T @ x + 5 * np.eye(11), x.T @ seen[:, j])
        assert scores[:, j] == pytest.approx(x @ beta)
    with pytest.raises(ValueError):
        ease(seen, ridge=0)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=12), st.integers(1, 12), st.randoms())
def test_ndcg_agrees_with_scikit_learn(relevance, k, random):
    scores = random.sample(range(100), len(relevance))
    order = np.argsort(-np.array(scores))
    shown = np.array(relevance)[order][:k]
    got = ndcg(shown, relevance)
    if sum(relevance):
        assert got == pytest.approx(ndcg_score([relevance], [scores], k=k))
    else:
        assert np.isnan(got)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=9), st.integers(1, 9))
def test_ndcg_of_scores_with_ties_agrees_with_scikit_learn_in_any_order_of_rows(rows, k):
    relevance, scores = map(list, zip(*rows, strict=True))
    got = ndcg_of_scores(relevance, scores, k)
    assert ndcg_of_scores(relevance[::-1], scores[::-1], k) == pytest.approx(got, nan_ok=True)
    if sum(relevance):
        assert got == pytest.approx(ndcg_score([relevance], [scores], k=k))
    else:
        assert np.isnan(got)


def test_an_ideal_list_from_the_shown_items_only_is_refused():
    with pytest.raises(ValueError, match="everything there was to show"):
        ndcg([3, 3, 3], [3, 1, 1])
    assert dcg([]) == 0 and np.isnan(list_quality([0, 0]).ap)
    assert list_quality([1, 0], relevant=2).recall == 0.5
    with pytest.raises(ValueError):
        list_quality([1, 1], relevant=1)


def test_a_recommender_needs_something_seen_and_something_wanted():
    with pytest.raises(TooLittleError):
        popularity(np.zeros((3, 3)))
    with pytest.raises(TooLittleError):
        evaluate(np.ones((2, 2)), np.eye(2), np.eye(2))
