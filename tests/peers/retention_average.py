"""The bottom row of a retention table, by three averages."""

import ibis

from opslib.metrics.retention import average_row

KINDS = ("retention_average_two",)
KEYS = {"cohorts"}


def answer(case):
    cells = [
        {"n": 1, "size": c["size"], "users": c["returned"] if "returned" in c else c["size"] * c["rate"] / 100}
        for c in case["query"]["cohorts"]
        if c.get("complete", True)  # an incomplete cell is absent from a matrix
    ]
    row = average_row(ibis.memtable(cells)).to_pandas().iloc[0]
    return {
        "pooled_percent": 100 * row["pooled"],
        "weighted_percent": 100 * row["pooled"],
        "simple_percent": 100 * row["simple"],
        "mixpanel_percent": 100 * row["size_squared"],
    }
