"""What if: budgets, retention and rewards, and how sure a number is."""

from __future__ import annotations

import numpy as np

from opslib.models import bootstrap, budget, projection


def split(curves):
    def call(case, data):
        shapes = curves(case)
        got = budget.allocate(shapes, case["budget"])
        equal = budget.valued(shapes, np.full(len(shapes), case["budget"] / len(shapes)))
        return {"x": got.spend, "marginal": got.shadow, "total": got.total, "equal_split": equal.total}

    return call


def log_curves(case):
    return [budget.LogResponse(a, b) for a, b in zip(case["a"], case["b"], strict=True)]


def hill_curves(case):
    slopes = np.broadcast_to(case.get("slope", 1.0), len(case["K"]))
    return [budget.HillResponse(*c) for c in zip(case["max"], case["K"], slopes, strict=True)]


def dau(case, data):
    curve, lever = case["retention"], case.get("lever", 0.0)
    base = {k: case[k] for k in ("existing", "existing_survival") if k in case}
    got = {
        "dau": projection.project_dau(case["new"], curve, **base),
        "dau_lever": projection.project_dau(case["new"], curve, lever=lever, **base),
        "LT": projection.lifetime(curve),
    }
    if "arpdau" in case:
        got["LTV"] = projection.lifetime_value(curve, case["arpdau"])
        got["LTV_lever"] = projection.lifetime_value(curve, case["arpdau"], lever=lever)
    return got


def reward(case, data):
    plan = projection.Reward(case["N"], case["p0"], case["margin"], case["pmax"], case["K"])
    return {"r_opt": plan.best(), "profit": plan.profit(plan.best()), "breakeven": plan.break_even()}


def correlation(case, data):
    def r(x, y):
        return np.corrcoef(x, y)[0, 1]

    pairs = case["lsat"], case["gpa"]
    jack, boot = bootstrap.jackknife(r, *pairs), bootstrap.bootstrap(r, *pairs, draws=4000)
    return {"r": jack.value, "jack_se": jack.se, "jack_bias": jack.bias, "boot_se": boot.se}


CALLS = {
    "wi_budget_log_*": split(log_curves),
    "wi_budget_hill_*": split(hill_curves),
    "wi_dau_*": dau,
    "wi_reward_*": reward,
    "wi_bootstrap_*": correlation,
}
