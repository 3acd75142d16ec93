"""Shares of touches in percent, first to last, by place or by age."""

from opslib.models.attribution import decay_weights, position_weights

KINDS = ("attribution_weights_times",)
KEYS = {"model", "n", "two_touch", "weights", "half_life_days", "days_before"}


def answer(case):
    query = case["query"]
    if query["model"] == "time_decay":
        named = {k: query[k] for k in ("half_life_days",) if k in query}
        return {"weights": (100 * decay_weights(query["days_before"], **named)).tolist()}
    named = {k: query[k] for k in ("two_touch", "weights") if k in query}
    n = query["n"] if "n" in query else len(query["days_before"])
    if query["model"] == "participation":
        return {"weights": [100.0] * n}
    return {"weights": (100 * position_weights(n, query["model"], **named)).tolist()}
