"""Calls for the published examples of segmentation, lifecycle and survival."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from opslib import stats
from opslib.models.affinity import affinity, weighted_log_odds
from opslib.models.lifecycle import (
    absorbing,
    growth_accounting,
    mean_first_passage,
    states,
    stationary,
)
from opslib.models.personas import cluster
from opslib.models.profiles import discriminating
from opslib.models.scoring import lift, quality
from opslib.models.segments import rfm
from opslib.models.survival import cox, kaplan_meier, log_rank


def rfm_scores(case, data):
    orders = pd.read_csv(data(case["file"]), parse_dates=["order_date"])
    last = pd.Timestamp(case["analysis_date"])
    by = orders.groupby("customer_id").agg(day=("order_date", "max"), f=("order_date", "size"), m=("revenue", "sum"))
    by["r"] = (last - by.day).dt.days
    found = rfm(by.r, by.f, by.m, index=by.index)
    split = by.assign(score=found.scores.f).groupby("f").score.nunique()
    return {
        "n": len(by),
        "scores": found.scores.score.to_dict(),
        "rfm": {name: [row.r, row.f, row.m] for name, row in by.iterrows()},
        "recency_edges": found.recency_edges,
        "freq_edges": found.frequency_edges,
        "monetary_edges": found.monetary_edges,
        "split_values": int((split > 1).sum()),
        "split_customers": int(by.f.isin(split[split > 1].index).sum()),
    }


def clusters(case, data):
    from sklearn.datasets import load_iris

    iris = load_iris()
    found = {k: cluster(iris.data, k) for k in case["k"]}
    mixed = {k: cluster(iris.data, k, method="gmm") for k in case["k"]}
    result = {f"silhouette{k}": c.silhouette for k, c in found.items()} | {
        f"gmm_bic{k}": c.bic for k, c in mixed.items()
    }
    result |= {f"inertia{k}": c.inertia for k, c in found.items()}
    return result | {f"ari{k}": adjusted_rand_score(iris.target, c.labels) for k, c in found.items()}


def persona(case, data):
    from sklearn.datasets import load_iris

    iris = load_iris()
    names = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    kind = case["cluster"].split()[0]
    inside = iris.target == list(iris.target_names).index(kind)
    found = discriminating(pd.DataFrame(iris.data, columns=names), inside)
    return {"smd": dict(zip(found.feature, found.smd, strict=True)), "order": list(found.feature)}


def growth(case, data):
    panel = pd.DataFrame(case["panel"]).pivot(index="user", columns="day", values="active")
    table, named = growth_accounting(panel), states(panel)
    result = {"states": {user: list(row) for user, row in zip(panel.index, named, strict=True)}}
    for row in table.to_dict("records"):
        result[f"day{row['period']}"] = row
        result[f"quick_ratio_day{row['period']}"] = row["quick_ratio"]
    return result


def survival(case, data):
    treated = kaplan_meier(case["t_treat"], case["e_treat"])
    placebo = kaplan_meier(case["t_placebo"], case.get("e_placebo", [1] * len(case["t_placebo"])))
    times = case["t_treat"] + case["t_placebo"]
    events = case["e_treat"] + case.get("e_placebo", [1] * len(case["t_placebo"]))
    test = log_rank(times, events, [1] * len(case["t_treat"]) + [0] * len(case["t_placebo"]))
    curve = dict(zip(treated.table.time.astype(int), treated.table.survival, strict=True))
    medians = {"median": treated.median, "median_placebo": placebo.median}
    return {"S": curve, "logrank_chi2": test.chi2, "p": test.p} | medians


def hazards(case, data):
    if "file" in case:
        table = pd.read_csv(data(case["file"]))
        found = cox(table[case["features"]], table[case["time"]], table[case["event"]])
    else:
        found = cox(pd.DataFrame(case["features"]), case["time"], case["event"])
    named = dict(zip(found.table.feature, found.table.coefficient, strict=True))
    p = found.table.p.to_list()
    got = {"coef": list(named.values()), "c": found.concordance, "llf": found.log_likelihood}
    return got | named | {"p": p[0] if len(p) == 1 else p}


def chain(case, data):
    p = np.array(case["P"], dtype=float)
    if (np.diag(p) == 1).any():
        found = absorbing(p)
        return {"N": found.fundamental, "t": found.steps, "B": found.ends}
    powers = {f"P{k}_row{i}": np.linalg.matrix_power(p, k)[i] for k in range(1, 13) for i in range(len(p))}
    return {"pi": stationary(p), "mfp": mean_first_passage(p)} | powers


def scores(case, data):
    by_rank = quality(case["y"], case["s"])
    calibrated = quality(case.get("yb", case["y"]), case.get("pb", case["s"]))
    result = {"auc": by_rank.auc, "ap": by_rank.ap, "brier": calibrated.brier}
    return result | {f"lift_at_{k}": lift(case["y"], case["s"], k / 100) for k in range(1, 101)}


def effect(case, data):
    found = stats.effect_size(case["x"], case["y"])
    more = {"cohen": found.cohen_d, "hedges": found.hedges_g, "CLES": found.cles, "rbc": found.rank_biserial}
    return vars(found) | more | {"U": found.u}


CALLS = {
    "seg_affinity*": lambda case, data: affinity(case["table"]),
    "seg_churn_score*": scores,
    "seg_cox*": hazards,
    "seg_effect*": effect,
    "seg_mwu*": effect,
    "seg_growth*": growth,
    "seg_km_*": survival,
    "seg_kmeans*": clusters,
    "seg_markov*": chain,
    "seg_persona*": persona,
    "seg_rfm*": rfm_scores,
    "seg_weighted_log_odds*": lambda case, data: {
        "z": weighted_log_odds(case["segment"], case["rest"], case["prior_total"])
    },
}
