"""One entry day's retention in percent, read both ways."""

import pandas as pd

from peers import retention

KEYS = retention.KEYS


def answer(case):
    query = case["query"]
    row = query | {"first": query["entry_day"]}
    entry = retention.first(row)
    until = retention.last_needed(row, query["intervals"])

    def percents(**how) -> list[float]:
        found = retention.ask(case, until=until, periods=query["intervals"] - 1, **how)
        cells = found[found["cohort"] == pd.Timestamp(entry)]
        return (100 * cells["users"] / cells["size"]).tolist()

    return {"on_day": percents(on_or_after=False), "on_or_after": percents(on_or_after=True)}
