"""Experiments: proportions, means, relative lift, one-sided and sequential readings, Bayes, corrections, exposure."""

import numpy as np

from opslib.models import bayes, experiment, readout, sequential
from opslib.models.moments import Moments
from peers.common import decimals

KINDS = (
    "ab_proportions",
    "ab_means",
    "ab_relative",
    "ab_one_sided",
    "ab_sequential",
    "ab_bayes",
    "relative_change",
    "multiple_tests",
    "multiple_tests_level",
    "exposed_funnel",
    "participation",
    "srm",
    "srm_fdr",
)
ARM_KEYS = {"a", "b", "type", "alpha", "se", "test", "scale", "alternative", "tuning"}
TABLE_KEYS = {"p_values", "method", "confidence", "comparisons", "exposed", "steps", "users"}
KEYS = ARM_KEYS | TABLE_KEYS | {"prior", "power", "counts", "weights"}


def moments(arm):
    if "x" in arm:
        return Moments.of_counts(arm["x"], arm["n"])
    if "sum" in arm:
        return Moments.of_sums(arm["n"], arm["sum"], arm["sum_squares"])
    return Moments(arm["n"], arm["mean"], arm["sd"] ** 2)


def arms(query):
    return moments(query["a"]), moments(query["b"])


def level(query):
    return {"alpha": query.get("alpha", 0.05)}


def proportions(query):
    (a, b), pooled = (query["a"], query["b"]), query.get("se") != "unpooled"
    got = experiment.proportions((a["x"], b["x"]), (a["n"], b["n"]), pooled=pooled, exact=False, **level(query))
    return {"z": got.statistic, "p_value": got.p, "difference": got.value, "ci": [got.low, got.high]}


def means(query):
    control, treatment = arms(query)
    got = experiment.means(control, treatment, **level(query))
    return {
        "difference": got.value,
        "ci": [got.low, got.high],
        "p_value": got.p,
        "relative": got.value / abs(control.mean),
        "relative_se_control_fixed": got.se / abs(control.mean),
    }


def relative(query):
    got = experiment.relative(*arms(query), **level(query))
    return {"relative": got.value, "se": got.se, "ci": [got.low, got.high], "p_value": got.p}


def scaled(query):
    """The reading of an effect on the query's scale; relative unless it says otherwise."""
    return experiment.means if query.get("scale") == "absolute" else experiment.relative


def one_sided(query):
    got = scaled(query)(*arms(query), alternative=query.get("alternative", "greater"), **level(query))
    return {"effect": got.value, "lower": got.low, "upper": got.high, "p_value": got.p}


def in_sequence(query):
    control, treatment = arms(query)
    fixed = scaled(query)(control, treatment)
    n, tuning = control.n + treatment.n, query.get("tuning", 5_000)
    got = sequential.confidence_sequence(fixed.value, fixed.se, n, tuning=tuning, **level(query))
    return {"relative": got.value, "effect": got.value, "ci": [got.low, got.high], "p_value": got.p}


def posterior(query):
    """Under a flat prior, or a normal one {"mean", "variance" or "sd"} of the effect."""
    effect, prior = scaled(query)(*arms(query)), query.get("prior")
    known = {}
    if prior:
        sd = prior["sd"] if "sd" in prior else prior["variance"] ** 0.5
        known = {"prior_mean": prior.get("mean", 0.0), "prior_sd": sd}
    got = bayes.gaussian(effect.value, effect.se, **known, **level(query))
    return {
        "effect": got.mean,
        "relative": got.mean,
        "sd": got.sd,
        "ci": [got.low, got.high],
        "chance_to_win": got.chance_to_win,
        "risk_keep_control": got.loss_keep_control,
        "risk_ship_treatment": got.loss_ship_treatment,
    }


def multiple(query):
    method = {"benjamini_hochberg": "bh", "fdr_bh": "bh", "holm_bonferroni": "holm"}.get(
        query["method"], query["method"]
    )
    adjusted = readout.corrected(query["p_values"], method)
    return {"adjusted": adjusted.tolist(), "significant": (adjusted <= query["alpha"]).tolist()}


def exposed(query):
    table = 100 * readout.exposed_steps(query["exposed"], query["steps"])
    return {c: table[c].tolist() for c in ("over_exposed", "over_previous")}


def participation(query):
    days = [[u[k] for u in query["users"]] for k in ("active_days", "eligible_days")]
    mean, pooled = readout.mean_of_rates(*days)
    return {"mean_of_rates": mean, "pooled": pooled}


def sample_ratio(query):
    got = experiment.sample_ratio(query["counts"], query.get("weights"))
    return {"p_value": got.p, "statistic": got.statistic, "ok": got.ok}


ANSWERS = {
    "ab_proportions": proportions,
    "ab_means": means,
    "ab_relative": relative,
    "ab_one_sided": one_sided,
    "ab_sequential": in_sequence,
    "ab_bayes": posterior,
    "relative_change": lambda q: {"relative": experiment.relative_change(q["a"], q["b"])},
    "multiple_tests": multiple,
    "multiple_tests_level": lambda q: {
        "adjusted_confidence": readout.bonferroni_level(q["confidence"], q["comparisons"])
    },
    "exposed_funnel": exposed,
    "participation": participation,
    "srm": sample_ratio,
    "srm_fdr": lambda q: {
        "false_discovery_rate": experiment.false_discovery(q["alpha"], q["prior"], q.get("power", 1.0))
    },
}


def printed(expected):
    """The decimals that the source names or prints, whichever are more; a trailing zero is not printed."""
    numbers = np.hstack([v for k, v in expected.items() if k != "decimals"]).astype(float)
    return max(expected["decimals"], *map(decimals, numbers))


def answer(case):
    found, expected = ANSWERS[case["kind"]](case["query"]), case["expected"]
    if "decimals" not in expected:
        return found
    digits = printed(expected)
    return {k: np.round(v, digits).tolist() for k, v in found.items()} | {"decimals": expected["decimals"]}
