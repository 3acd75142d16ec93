"""Times from one step to another: of each user, on average, in bins."""

from opslib.metrics.funnel import funnel_tries
from opslib.metrics.funnel_time import time_histogram, time_to_convert
from peers import common
from peers.funnel import RULE_KEYS, rules

KEYS = RULE_KEYS | {"from_step", "to_step", "bins"}


def answer(case):
    query, events = case["query"], common.events(case)
    asked = rules(query, case)
    start, end = query.get("from_step", 0) + 1, query.get("to_step", len(asked["steps"]) - 1) + 1
    span = {"from_step": start, "to_step": end}
    tried = funnel_tries(events, **asked).to_pandas()
    seconds = (tried[f"step_{end}_at"] - tried[f"step_{start}_at"]).dt.total_seconds()
    summary = time_to_convert(events, **asked, **span).to_pandas()
    bins = time_histogram(events, **asked, **span, bins=query.get("bins")).to_pandas()
    return {
        "seconds": {user: s for user, s in zip(tried.user_id, seconds, strict=True) if s == s},
        "average_seconds": float(summary.mean_s[0]) if len(summary) else None,
        "median_seconds": float(summary.p50_s[0]) if len(summary) else None,
        "bins": bins.to_numpy().tolist(),
    }
