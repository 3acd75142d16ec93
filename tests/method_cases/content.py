"""Calls for the published examples of content."""

from __future__ import annotations

import numpy as np

from opslib.models.content import BetaPrior, beta_prior, cull_boost, shrink, wilson_rank
from opslib.models.decay import half_life
from opslib.models.exposure import stratified_odds
from opslib.models.recommend import dcg, ease, evaluate, item_cosine, list_quality, ndcg, ndcg_of_scores, popularity


def empirical_bayes(case, data):
    y, n = np.array(case["y"], dtype=float), np.array(case["n"], dtype=float)
    moments, likely = beta_prior(y, n, method="moments"), beta_prior(y, n)
    # The book's posterior is that of the moments prior.
    new = shrink([case["new"][0]], [case["new"][1]], moments).iloc[0]
    return {
        "mean": (y / n).mean(),
        "sd": (y / n).std(ddof=1),
        "mom": [moments.alpha, moments.beta],
        "mle": [likely.alpha, likely.beta],
        "post_mean": new["mean"],
        "post_sd": new["sd"],
    }


def cull_and_boost(case, data):
    hits, shown, threshold = np.array(case["items"], dtype=float).T
    return cull_boost(hits, shown, threshold, BetaPrior(*case["prior"]))


def wilson(case, data):
    hits, shown = np.array(case["items"], dtype=float).T
    return wilson_rank(hits, shown)


def ranking(case, data):
    rel, judged = case["rel"], case["judged_ideal"]
    ideal = sorted(judged, reverse=True)[: len(rel)]
    found = list_quality(case["hits"])
    cuts = {k: list_quality(case["hits"], relevant=sum(case["hits"]), k=k) for k in range(1, len(case["hits"]) + 1)}
    result = {"dcg": dcg(rel), "idcg": dcg(ideal), "ndcg": ndcg(rel, judged), "ap": found.ap, "rr": found.rr}
    for k, cut in cuts.items():
        result |= {f"recall{k}": cut.recall, f"precision{k}": cut.precision, f"hit{k}": float(cut.rr > 0)}
    return result


def ndcg_ties(case, data):
    asked = zip(case["scores"], case["k"], strict=True)
    return {"ndcg": [ndcg_of_scores(case["relevance"], scores, k) for scores, k in asked]}


def recommenders(case, data):
    """The case names a generator without giving it: six tastes, 1,500 users, 200 items. Only the bound can be asked."""
    rng = np.random.default_rng(0)
    taste, kind, fame = rng.integers(6, size=1500), rng.integers(6, size=200), rng.gamma(1.0, 1.0, size=200)
    seen, wanted = np.zeros((2, 1500, 200))
    for user in range(1500):
        weight = fame * np.where(kind == taste[user], 8.0, 1.0)
        chosen = rng.choice(200, size=12, replace=False, p=weight / weight.sum())
        seen[user, chosen[:-1]], wanted[user, chosen[-1]] = 1, 1
    hit = {f.__name__: evaluate(f(seen), seen, wanted).hit for f in (popularity, item_cosine, ease)}
    return {"pop": ..., "itemcos": ..., "ratio": min(hit["item_cosine"], hit["ease"]) / hit["popularity"]}


CALLS = {
    "content_eb*": empirical_bayes,
    "content_cull_boost*": cull_and_boost,
    "content_half_life*": lambda case, data: half_life(case["day"], case["views"]),
    "content_ndcg_ties*": ndcg_ties,
    "content_rank_metrics*": ranking,
    "content_recsys*": recommenders,
    "content_stratified*": lambda case, data: stratified_odds(case["strata"]),
    "content_wilson*": wilson,
}
