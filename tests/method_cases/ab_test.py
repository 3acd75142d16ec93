"""A/B tests: sample ratio, proportions, means, ratios, lift, CUPED, Bayes, sequences, power, corrections."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np

from opslib.models import bayes, experiment, moments, power, readout, sequential
from opslib.models.moments import Moments


def arms(case, data, *columns):
    """Control and treatment of a table of users, in the case itself or in the one that it points to."""
    table = case.get("table")
    if table is None:
        table = json.loads(data(f"{case['table_from']}.json").read_text(encoding="utf-8"))["input"]["table"]
    variant = np.asarray(table["variant"])
    return {v: moments.arm(**{c: np.asarray(table[c])[variant == v] for c in columns}) for v in (0, 1)}


def sums(case):
    """Both arms' moments: from sums, from counts, or from the values themselves."""
    if "A" in case:
        return [Moments.of_sums(case[k]["n"], case[k]["sum"], case[k]["sum_squares"]) for k in "AB"]
    if "n" in case:
        return [Moments.of_counts(x, n) for x, n in zip(case["x"], case["n"], strict=True)]
    return [Moments.of(case[k]) for k in "xy"]


def welch(case, data):
    return interval(experiment.means(*sums(case), **sided(case)))


def lift(case, data):
    return interval(experiment.relative(*sums(case), **sided(case)))


def sided(case):
    return {"alternative": case["alternative"]} if "alternative" in case else {}


def interval(effect):
    return {**asdict(effect), "ci": [effect.low, effect.high], "diff": effect.value, "lift": effect.value}


def table_means(case, data):
    value, per, covariate = case.get("metric") or case["num"], case.get("den"), case.get("covariate")
    columns = [c for c in (value, per, covariate) if c]
    found = moments.adjusted(arms(case, data, *columns), value, per, covariate=covariate)
    control, treatment = found.arms[0], found.arms[1]
    lift = experiment.relative(control, treatment, scale="log")
    got = interval(experiment.means(control, treatment))
    return {**got, "theta": found.theta, "rel": lift.value, "rel_ci_log": [lift.low, lift.high]}


def proportions(case, data):
    x, n = case["x"], case["n"]
    z = experiment.proportions(x, n, alpha=case.get("alpha", 0.05), exact=False)
    return {
        "rate": [z.control, z.treatment],
        "diff": z.value,
        "z": z.statistic,
        "p": z.p,
        "z_p_nocorr": z.p,
        "newcombe_ci": [z.low, z.high],
        "fisher_p": experiment.proportions(x, n, exact=True).p,
        "z_p_yates": experiment.proportions(x, n, exact=False, correction=True).p,
    }


def newcombe(case, data):
    x1, n1, x0, n0 = np.array(case["cases"]).T
    found = experiment.proportions((x0, x1), (n0, n1))
    return {"ci": np.column_stack([found.low, found.high]), "diff": found.value}


def fisher(case, data):
    odds_ratio, p = experiment.fisher(case["table"])
    return {"odds_ratio": odds_ratio, "p": p}


def beta_binomial(case, data):
    found = bayes.beta_binomial(case["x"], case["n"], prior=case["prior"])
    return {"chance_to_win": found.chance_to_win, "expected_loss_A": found.loss[0], "expected_loss_B": found.loss[1]}


def gaussian(case, data):
    effect = experiment.relative(*sums(case))
    prior = {f"prior_{k}": v for k, v in case.get("prior", {}).items() if k != "variance"}
    if "variance" in case.get("prior", {}):
        prior["prior_sd"] = case["prior"]["variance"] ** 0.5
    found = bayes.gaussian(effect.value, effect.se, **prior)
    return {
        **interval(effect),
        **asdict(found),
        "ci": [found.low, found.high],
        "risk": [found.loss_keep_control, found.loss_ship_treatment],
    }


def confidence_sequence(case, data):
    control, treatment = sums(case)
    effect = experiment.relative(control, treatment)
    n = control.n + treatment.n
    found = sequential.confidence_sequence(effect.value, effect.se, n, alpha=case["alpha"], tuning=case["N_star"])
    return {"lift": found.value, "ci": [found.low, found.high], "ci_lo": found.low, "ci_hi": found.high, "p": found.p}


def msprt(case, data):
    ratio, p = sequential.mixture_ratio(case["est"], case["se"], case["tau2"])
    return {"LR": ratio, "p": p}


def multiplicity(case, data):
    got = {}
    for method in readout.CORRECTIONS:
        adjusted = readout.corrected(case["p"], method)
        got |= {f"{method}_adj": adjusted, f"n_reject_{method}": int((adjusted <= case["alpha"]).sum())}
    return got


def power_proportions(case, data):
    asked = {k: case[k] for k in ("power", "alpha") if k in case}
    if "n" in case and "p2" in case:
        return {"power": power.power_proportions(case["n"], case["p1"], case["p2"], alpha=case.get("alpha", 0.05))}
    if "n" in case:
        return {"p2": power.detectable_proportion(case["n"], case["p1"], **asked)}
    return {"n": power.size_proportions(case["p1"], case["p2"], **asked)}


def power_means(case, data):
    got = {}
    for one in case.get("cases", [case]):
        asked = {k: one[k] for k in ("power", "alpha") if k in one}
        if "d" not in one:
            got |= {"d": power.detectable_mean(one["n"], **asked), "n_for_d_half": power.size_means(0.5, **asked)}
        elif "n" in one:
            got["power"] = power.power_means(one["n"], one["d"], alpha=one.get("alpha", 0.05))
        else:
            got["n"] = power.size_means(one["d"], **asked)
    return got


CALLS = {
    "ab_srm_*": lambda case, data: experiment.sample_ratio(case["counts"], case["weights"]),
    "ab_prop_*": proportions,
    "ab_newcombe_*": newcombe,
    "ab_fisher_*": fisher,
    "ab_welch_*": welch,
    "ab_rel_lift_*": lift,
    "ab_mean_*": table_means,
    "ab_ratio_*": table_means,
    "ab_cuped_*": table_means,
    "ab_bayes_*": beta_binomial,
    "ab_bayes_gaussian_*": gaussian,
    "ab_sequential_*": confidence_sequence,
    "ab_msprt_*": msprt,
    "ab_multiplicity_*": multiplicity,
    "ab_power_prop_*": power_proportions,
    "ab_power_t_*": power_means,
}
