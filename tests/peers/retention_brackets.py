"""One entry day's users by bracket of periods."""

import pandas as pd

from peers import retention

KEYS = retention.KEYS


def answer(case):
    query = case["query"]
    row = query | {"first": query["entry_day"]}
    entry = retention.first(row)
    found = retention.ask(case, until=retention.last_needed(row, 1 + sum(query["brackets"])))
    cells = found[found["cohort"] == pd.Timestamp(entry)]
    unit = query.get("period", "day").capitalize()
    spans = [(n, n_last) for n, n_last in zip(cells["n"], cells["n_last"], strict=True)]
    labels = [f"{unit} {low}" if low == high else f"{unit} {low}-{high}" for low, high in spans]
    return {"labels": labels, "counts": cells["users"].tolist()}
