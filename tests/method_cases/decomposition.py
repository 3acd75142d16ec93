"""Calls for the published examples of decomposition."""

from __future__ import annotations

import numpy as np
import pandas as pd

from opslib.models.adtributor import adtributor
from opslib.models.decompose import mix_rate, simpson
from opslib.models.factors import dimension_effects, factor_effects
from opslib.models.oaxaca import oaxaca


def mix_and_rate(case, data):
    found = mix_rate(case["n0"], case["r0"], case["n1"], case["r1"], interaction=case.get("interaction", False))
    errors = {"se_rate": found.rate_se, "se_mix": found.mix_se, "se_total": found.total_se}
    return vars(found) | errors | vars(simpson(case["n0"], case["r0"], case["n1"], case["r1"]))


def factors(case, data):
    formula = case.get("formula") or case.get("rate_function")
    more = {"formula": lambda **f: eval(formula, {"np": np, "sum": np.sum, "exp": np.exp, "log": np.log}, f)}
    found = factor_effects(case["before"], case["after"], **(more if formula else {}))
    return found.effects | {"total": found.total}


def cross_classified(case, data):
    cells = pd.DataFrame({k: v for k, v in case.items() if k not in ("r0", "r1")})
    cells = cells.assign(hits0=cells.n0 * case["r0"], hits1=cells.n1 * case["r1"])
    found = dimension_effects(cells, [c for c in case if c not in ("n0", "r0", "n1", "r1")])
    return found.effects | {"total": found.total}


def localization(case, data):
    found = adtributor(case["dims"])
    parts = {(row["dimension"], row["element"]): row["ep"] for row in found.elements.to_dict("records")}
    surprises = dict(zip(found.dimensions.dimension, found.dimensions.surprise, strict=True))
    return {
        "best_dim": found.dimension,
        "elements": found.found,
        "ep": found.ep,
        "surprise": found.surprise,
        "datacenter_ep_X": parts.get(("DataCenter", "X")),
        "datacenter_surprise": surprises.get("DataCenter"),
    }


def blinder(case, data):
    from statsmodels.datasets import ccard

    cards = ccard.load_pandas().data
    x = cards.drop(columns=[case["y"], case["group"]])
    found = oaxaca(cards[case["y"]], x, cards[case["group"]])
    three = [found.endowments, found.coefficients, found.interaction, found.gap]
    return {"two": [found.unexplained, found.explained, found.gap], "three": three}


CALLS = {
    "dec_mix_rate*": mix_and_rate,
    "dec_kitagawa*": mix_and_rate,
    "dec_simpson*": mix_and_rate,
    "dec_cross*": cross_classified,
    "dec_product*": factors,
    "dec_*product*": factors,
    "dec_shapley*": factors,
    "dec_das_gupta*": factors,
    "dec_oaxaca*": blinder,
    "dec_adtributor*": localization,
}
