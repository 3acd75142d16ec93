"""Campaigns: effects with and without randomisation, cost, uplift, abuse."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd

from opslib.models import abuse, campaign, did, experiment, prepost, synthetic, uplift
from opslib.models.moments import Moments

# Abadie & Gardeazabal (2003), as R's Synth and pysyncon set the example up: predictor → years that it is averaged over.
BASQUE = {
    **dict.fromkeys(
        ["school.illit", "school.prim", "school.med", "school.high", "school.post.high", "invest"], range(1964, 1970)
    ),
    "gdpcap": range(1960, 1970),
    **{
        f"sec.{name}": range(1961, 1970, 2)
        for name in ["agriculture", "energy", "industry", "construction", "services.venta", "services.nonventa"]
    },
    "popdens": [1969],
}


def rings(case, data):
    from sklearn.metrics import average_precision_score

    claims = pd.read_csv(data(case["file"]))
    found = abuse.abuse_scores(claims).merge(claims[["user", "label"]], on="user")
    listed = found.score >= abuse.LISTED
    return {
        "precision": found.label[listed].mean(),
        "recall": listed[found.label == 1].mean(),
        "ap": average_precision_score(found.label, found.score),
    }


def pre_post(case, data):
    series = pd.read_csv(data(case["file"])).select_dtypes("number")
    got = prepost.counterfactual(series.iloc[:, 0], series.iloc[:, 1:], case["n_post"])
    return {**asdict(got), "pred": got.predicted, "rel": got.relative}


def cost_per_incremental(case, data):
    sure = campaign.cost_per_incremental(case["cost"], case["diff"], case["se"])
    open_ended = campaign.cost_per_incremental(case["cost"], case["diff2"], case["se2"])
    return {"cpic": sure.value, "ci": [sure.low, sure.high], "ci_nonsig": [open_ended.low, open_ended.high]}


def two_by_two(case, data):
    treated, control = (case["treat_pre"], case["treat_post"]), (case["ctrl_pre"], case["ctrl_post"])
    errors = case.get("se")
    got = did.did_of_means(treated, control, se=errors)
    return {"did": got.value, "se": got.se, "ci": [got.low, got.high]}


def arms_against_the_unmailed(case, data):
    control, got = case["No E-Mail"], {}
    for arm, metrics in case.items():
        for metric, sums in metrics.items() if arm != "No E-Mail" else ():
            pair = [Moments.of_sums(m["n"], m["sum"], m["sum_squares"]) for m in (control[metric], sums)]
            effect = experiment.means(*pair)
            got[f"{arm}:{metric}"] = [effect.value, effect.low, effect.high]
    return got


def curves(case, data):
    users = case["y"], case["treatment"], case["score"]
    at = {
        f"uplift_at_{k}_{name}": uplift.uplift_at(*users, share=k / 100, by_group=by_group)
        for k in (10, 20, 30, 50)
        for name, by_group in (("overall", False), ("by_group", True))
    }
    return {**asdict(uplift.uplift_curve(*users)), **at}


def areas(case, data):
    found = [uplift.uplift_score(*users) for users in case["cases"]]
    return {"auuc": [f.auuc_coefficient for f in found], "qini": [f.qini_coefficient for f in found]}


def staggered(case, data):
    found = did.staggered_did(pd.DataFrame(case), draws=20)
    cells = {f"{c.group:.0f},{c.period:.0f}": c.value for c in found.cells.itertuples()}
    ages = {f"{a.age:.0f}": a.value for a in found.by_age.itertuples()}
    groups = {f"{g.group:.0f}": g.value for g in found.by_group.itertuples()}
    return {"att": cells, "by_age": ages, "by_group": groups, "overall": found.value}


def basque(case, data):
    panel = pd.read_csv(data(case["file"]))
    panel = panel[~panel.regionname.isin(case.get("without", []))]
    outcomes = panel.pivot(index="year", columns="regionname", values="gdpcap")
    rows = {n: panel[panel.year.isin(years)].groupby("regionname")[n].mean() for n, years in BASQUE.items()}
    got = synthetic.synthetic_control(
        outcomes, case["treated"], case["t0"], predictors=pd.DataFrame(rows).T, fit_from=1960, placebos=False
    )
    return {name.split(" (")[0]: weight for name, weight in got.weights.items()}


CALLS = {
    "camp_abuse_*": rings,
    "camp_causalimpact_*": pre_post,
    "camp_cost_per_incremental*": cost_per_incremental,
    "camp_did_*": two_by_two,
    "camp_did_staggered*": staggered,
    "camp_hillstrom_*": arms_against_the_unmailed,
    "camp_qini_*": curves,
    "camp_uplift_auc*": areas,
    "camp_synth_basque*": basque,
}
