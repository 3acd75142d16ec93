"""The edges that histograms of compared periods share."""

from opslib.metrics.funnel_time import bin_edges

KEYS = {"series", "bins"}


def answer(case):
    query = case["query"]
    samples = [(s["min"], s["max"], s["n"]) for s in query["series"] if s]
    return {"edges": bin_edges(*samples, bins=query.get("bins"))}
