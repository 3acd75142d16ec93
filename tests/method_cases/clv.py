"""Customer lifetime value: purchase histories, BG/NBD, Gamma-Gamma, shifted beta-geometric, payback."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd

from opslib.models import clv, ltv
from opslib.models.bgnbd import BgNbd, fit_bgnbd
from opslib.models.gamma_gamma import fit_gamma_gamma
from opslib.models.sbg import ShiftedBetaGeometric, fit_sbg

CDNOW = "data/cdnow_customers_summary.csv"


def fitted(data, file=CDNOW):
    table = pd.read_csv(data(file))
    return fit_bgnbd(table.frequency, table.recency, table["T"])


def parameters(case, data):
    got = fitted(data, case["file"])
    return {**asdict(got), "LL": got.log_likelihood}


def conditional(case, data):
    model, one = BgNbd(*case["params"]), case["customer"]
    history = one["x"], one["t_x"], one["T"]
    return {"expected_purchases": model.expected_more(case["t"], *history), "p_alive": model.alive(*history)}


def probabilities(case, data):
    model = BgNbd(*case["params"])
    return {f"p{x}_{t}": model.pmf(x, t) for x, t in case["cases"]}


def history(case, data):
    orders = pd.read_csv(
        data(case["file"]), sep=r"\s+", names=["id", "user_id", "day", "n", "amount"], dtype={"day": str}
    )
    got = clv.customer_history(orders, end=case["calibration_end"], unit=case["unit"], day="day")
    return {
        "customers": len(got),
        "repeat_transactions": int(got.x.sum()),
        "repeat_buyers": int((got.x > 0).sum()),
        "first_customer": got.loc[0, ["x", "t_x", "age", "m"]].tolist(),
    }


def spend(case, data):
    table = pd.read_csv(data(case["file"]))
    got = fit_gamma_gamma(table.x, table.zbar)
    found = {**asdict(got), "n": got.customers, "corr_x_m": got.correlation, "LL": got.log_likelihood}
    return found | ({"expected": got.expected(case["x"], case["m"])} if "m" in case else {})


def subscription(case, data):
    got = fit_sbg(case["survivors"])
    survival = {f"S{t}": 100 * got.survival(t) for t in range(1, 25)}
    return {**asdict(got), "LL": got.log_likelihood, **survival, **{f"r{t}": got.retention(t) for t in range(1, 25)}}


def lifetime(case, data):
    model = ShiftedBetaGeometric(case["alpha"], case["beta"])
    got = {"DEL": model.lifetime(case["d"])}
    if "n" in case:
        got["DERL"] = model.residual_lifetime(case["n"], case["d"])
    return got


def payback(case, data):
    margin, cac = case["margin_per_user"], case["cac"]
    return {
        "payback": ltv.payback(margin, cac),
        "payback_discounted": ltv.payback(margin, cac, discount=case["discount_monthly"]),
        "never": ltv.payback(margin, sum(margin) + 1),
    }


CALLS = {
    "clv_bgnbd_*": parameters,
    "clv_bgnbd_conditional*": conditional,
    "clv_bgnbd_expectation*": lambda case, data: {"E": fitted(data).expected(case["t"])},
    "clv_bgnbd_pmf*": probabilities,
    "clv_*_rfm_summary": history,
    "clv_gamma_gamma_*": spend,
    "clv_sbg_*": subscription,
    "clv_sbg_del*": lifetime,
    "clv_sbg_derl*": lifetime,
    "clv_payback*": payback,
}
