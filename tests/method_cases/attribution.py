"""Attribution: rules by place and age, Markov removal effects, Shapley values."""

from __future__ import annotations

from string import ascii_lowercase

import pandas as pd

from opslib.models import attribution, markov, shapley


def table(case, data):
    """Paths, conversions, journeys without one, and value; from the case itself or from the file that it names."""
    if "paths" in case:
        return case["paths"], case["conv"], case.get("null"), case.get("value")
    read = pd.read_csv(data(case["file"]), sep=case.get("sep", ";"))
    return read.path, read.total_conversions, read.total_null, read.total_conversion_value


def rules(case, data):
    paths, conversions, _, value = table(case, data)
    amount = value if "value" in case else conversions
    models = ("first", "last", "last_non_direct", "linear", "u", "j", "inverse_j", "participation")
    return {m: attribution.rule_credit(paths, amount, model=m).by_channel for m in models}


def removal_effects(case, data):
    paths, conversions, nulls, _ = table(case, data)
    got = markov.markov(paths, conversions, nulls, order=case.get("order", 1))
    credit = got.by_channel
    # A simulation of the same chain is matched by the exact answer, within its own noise.
    return {"base": got.base, "removal": got.removal, "attributed": credit, "channelattribution_sim": credit}


def sum_game(case, data):
    paths, conversions, *_ = table(case, data)
    return shapley.shapley(paths, conversions).by_channel


def by_place(case, data):
    paths, conversions, *_ = table(case, data)
    found = shapley.shapley_by_place(paths, conversions)
    return {name: row.to_list() for name, row in found.iterrows()}


def time_decay(case, data):
    got = {}
    for i, ages in enumerate(case["ages"], 1):
        path = list(ascii_lowercase[: len(ages)])
        credit = attribution.rule_credit([path], model="time_decay", ages=[ages], half_life_days=case["half_life"])
        got[f"p{i}"] = credit.by_channel
    return got


CALLS = {
    "attr_heuristics_*": rules,
    "attr_position_*": rules,
    "attr_last_*": rules,
    "attr_markov_*": removal_effects,
    "attr_shapley_*": sum_game,
    "attr_shapley_ordered*": by_place,
    "attr_shapley_general_*": lambda case, data: shapley.shapley_values(
        {frozenset(k): v for k, v in case["v"].items()}
    ),
    "attr_time_decay_*": time_decay,
}
