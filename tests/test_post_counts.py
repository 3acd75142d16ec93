"""Posts that tell totals only: over-dispersion of known size is found, and lists are as often wrong as they say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from opslib import text
from opslib.models import content_lists, post_counts
from opslib.models.content import KEEP
from opslib.models.indices import above, gamma_prior
from opslib.sentences import content_beside as beside

KINDS = {"likes": 0.8, "shares": 0.15, "comments": 0.05}
Counts = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def independent(rng: np.random.Generator, mean: np.ndarray) -> np.ndarray:
    return rng.poisson(np.outer(mean, list(KINDS.values())))


def bunches_of_a_kind(rng: np.random.Generator, mean: np.ndarray) -> np.ndarray:
    """Each like brings five more: six times the variance of independent ones, and so with the other kinds."""
    return 6 * rng.poisson(np.outer(mean / 6, list(KINDS.values())))


def bunches_of_all_kinds(rng: np.random.Generator, mean: np.ndarray) -> np.ndarray:
    """One share brings six reactions, whichever: the kinds of one post agree though its sum is over-dispersed."""
    return np.array([rng.multinomial(6 * n, list(KINDS.values())) for n in rng.poisson(mean / 6)])


def world(seed: int, counts: Counts, n: int = 500, power: float = 1.0) -> tuple[pd.DataFrame, pd.Series]:
    """Posts whose reach spans three powers of ten, as `clean` leaves them, and the true index of each."""
    rng = np.random.default_rng(seed)
    reach, category = np.exp(rng.normal(8.6, 1.1, n)), pd.Series(rng.choice(["photo", "video"], n))
    mean = pd.Series(rng.gamma(3, 1 / 3, n) * 0.02 * reach**power * 5_000 ** (1 - power))
    usual = pd.Series(reach**power)
    known = usual * mean.groupby(category).transform("sum") / usual.groupby(category).transform("sum")
    kinds = pd.DataFrame(counts(rng, mean.to_numpy()), columns=list(KINDS)).astype(float)
    items = kinds.assign(content_id=[f"p{i:04d}" for i in range(n)], category=category, impressions=reach)
    own = {"opens": np.nan, "completes": np.nan, "exposed": True, "last_week": reach}
    return items.assign(**own), mean / known


def errors(counts: Counts, seeds: range) -> pd.DataFrame:
    """Of each seed's two lists together: how many entries, how many are wrong, and how many say to be expected."""
    rows = []
    for seed in seeds:
        items, true = world(seed, counts)
        table = content_lists.judged(items)
        cull, boost = table["decision"] == "cull", table["decision"] == "boost"
        wrong = (cull & (true >= 0.5)) | (boost & (true <= 1.8))
        rows.append((int(cull.sum() + boost.sum()), int(wrong.sum()), float(table["wrong"].sum())))
    return pd.DataFrame(rows, columns=["listed", "wrong", "said"])


def test_lists_of_over_dispersed_posts_are_about_as_often_wrong_as_they_say():
    """Posts whose kinds come in bunches of six: counted as independent, one entry in six would be wrong."""
    sums = errors(bunches_of_a_kind, range(30)).sum()
    assert sums["listed"] > 500 and sums["said"] > 5
    assert sums["wrong"] <= 1.5 * sums["said"] and sums["wrong"] / sums["listed"] < 0.05, sums.to_dict()


def test_without_the_dispersion_many_of_the_same_entries_would_be_wrong():
    items, true = world(1, bunches_of_a_kind)
    table = content_lists.judged(items)
    prior = gamma_prior(table["hits"], table["expected"])
    sure = above(table["hits"], table["expected"], prior, 0.5) < 0.05
    assert (true[sure] >= 0.5).mean() > 0.1 and sure.sum() > 2 * (table["decision"] == "cull").sum()


def test_what_moves_all_kinds_is_told_by_reach_and_lists_stay_under_the_error_they_are_allowed():
    sums = errors(bunches_of_all_kinds, range(30)).sum()
    assert sums["listed"] > 500 and sums["wrong"] / sums["listed"] < 0.05, sums.to_dict()


@pytest.mark.parametrize(("counts", "true"), [(independent, 1.0), (bunches_of_a_kind, 6.0)])
def test_the_kinds_of_one_post_tell_the_dispersion_and_independent_counts_have_none(counts, true):
    for seed in range(5):
        items, _ = world(seed, counts)
        found = post_counts._by_kinds(items[list(KINDS)], items["category"])
        assert found == pytest.approx(true, rel=0.15)


def test_reach_alone_tells_the_dispersion_where_posts_have_one_kind_of_response():
    found = []
    for seed in range(20):
        items, _ = world(seed, bunches_of_a_kind)
        kinds = items[["likes"]]
        expected, _ = post_counts.usual(kinds["likes"], items["impressions"], items["category"])
        noise = post_counts.noise(kinds, expected, items["impressions"], items["category"])
        assert noise.told == "reach"
        found.append(noise.dispersion)
    assert 5 < np.median(found) < 12, "six, and a standard error on the safe side"


def test_one_kind_of_response_and_reach_that_does_not_differ_tell_nothing_and_nothing_is_sure():
    rng = np.random.default_rng(4)
    items, _ = world(4, bunches_of_a_kind)
    alike = items.assign(impressions=5_000.0, last_week=5_000.0, likes=rng.negative_binomial(3, 0.03, len(items)) * 1.0)
    table = content_lists.judged(alike.drop(columns=["shares", "comments"]))
    assert set(table["told"]) == {"nothing"} and (table["decision"] == KEEP).all()
    with text.speaking("en"):
        assert "the whole spread counts as chance" in beside.lists_note(content_lists.Rules(), table)


def test_posts_are_compared_with_those_of_as_much_reach():
    """Responses that grow with the 0.6th power of reach: small posts are no better for being small."""
    items, true = world(2, independent, power=0.6)
    table = content_lists.judged(items)
    assert table["power"].iloc[0] == pytest.approx(0.6, abs=0.08)
    assert abs(np.corrcoef(np.log(table["index"]), np.log(items["impressions"]))[0, 1]) < 0.15
    assert (table["index"] / true).median() == pytest.approx(1, abs=0.1)
    sums = table.groupby("category")[["hits", "expected"]].sum()
    assert sums["hits"].tolist() == pytest.approx(sums["expected"].tolist())


def test_a_gem_that_was_not_shown_last_week_stays_on_the_list():
    items, _ = world(2, independent)
    first = content_lists.chosen(content_lists.judged(items), "boost")["content_id"].iloc[0]
    gone = content_lists.judged(items.assign(last_week=items["last_week"].where(items["content_id"] != first, 0.0)))
    assert gone.set_index("content_id").loc[first, ["decision", "gain"]].tolist() == ["boost", 0.0]


def test_gains_of_posts_follow_reach_and_what_would_lose_is_on_no_list():
    items, _ = world(2, independent, power=0.6)
    table, rules = content_lists.judged(items), content_lists.Rules()
    power = table["power"].iloc[0]
    first = content_lists.chosen(table, "boost").iloc[0]
    assert first["gain"] == pytest.approx(first["expected"] * ((3**power - 1) * first["index"] - power * 2))
    last = content_lists.chosen(table, "cull").iloc[0]
    assert last["gain"] == pytest.approx(last["expected"] * (power - last["index"]))
    many = content_lists.judged(items, content_lists.Rules(boost_times=200.0))
    assert (many["decision"] == "boost").sum() < (table["decision"] == "boost").sum(), "200 times the reach is too much"
    assert (many.loc[many["decision"] != KEEP, "gain"] > 0).all() and rules.boost_times == 3


@pytest.mark.parametrize(("lang", "words"), [("zh", "次数的方差按独立计数的"), ("en", "times as much as independent")])
def test_the_page_says_what_is_assumed_of_posts_and_what_cannot_be_known(lang, words):
    items, _ = world(3, bunches_of_a_kind)
    table = content_lists.judged(items)
    with text.speaking(lang):
        told = beside.lists_note(content_lists.Rules(), table)
    assert words in told and text.write(2 ** table["power"].iloc[0], "times") in told
    assert ("chance of being wrong leaves that out" if lang == "en" else "判错概率不含这部分") in told


def test_a_push_that_would_bring_next_to_nothing_is_on_no_list():
    """Responses that do not grow with reach: three times the reach of a good post brings no more of them."""
    items, _ = world(1, independent, power=0.0)
    table = content_lists.judged(items)
    boosts = table[table["decision"] == "boost"]
    usual = (table["week"] * table["expected"] / table["impressions"])[boosts.index]
    assert table["power"].iloc[0] < 0.05 and (boosts["gain"] > 0.01 * usual).all() and (boosts["gain_low"] >= 0).all()


def test_no_dispersion_is_larger_than_all_the_spread_there_is_and_then_nothing_tells_it():
    rng = np.random.default_rng(3)
    kinds = pd.DataFrame({"likes": rng.poisson(20, 60), "shares": rng.poisson(5, 60)}).astype(float)
    reach = pd.Series(np.exp(rng.normal(8, 0.9, 60)))
    found = post_counts.noise(kinds, pd.Series(25.0, index=kinds.index), reach, pd.Series("a", index=kinds.index))
    assert found.told in ("kinds", "reach", "nothing") and 1.0 <= found.dispersion < 1.6
    same = kinds.assign(likes=20.0, shares=5.0)
    assert (
        post_counts.noise(same, pd.Series(25.0, index=kinds.index), reach, pd.Series("a", index=kinds.index)).told
        == "nothing"
    )
