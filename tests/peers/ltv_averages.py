"""Value per user of mature cohorts, and plain rates."""

import pandas as pd

from opslib import stats
from opslib.models.ltv import n_day_value

KINDS = ("n_day_ltv", "ratio")
KEYS = {"days", "cohorts", "numerator", "denominator"}


def answer(case):
    query, decimals = case["query"], case["expected"].get("decimals", 12)
    if case["kind"] == "ratio":
        row = pd.DataFrame({"hits": [query["numerator"]], "users": [query["denominator"]]})
        rate = stats.proportion(row, hits="hits", of="users").rate[0]
        return {"percent": round(100 * rate, decimals), "decimals": decimals}
    cohorts = pd.DataFrame(query["cohorts"])
    got = n_day_value(cohorts.users, cohorts.revenue, cohorts.observed, days=query["days"])
    return {
        "per_cohort": got.per_cohort.round(decimals).tolist(),
        "overall": round(got.overall, decimals),
        "decimals": decimals,
    }
