"""The last touch of every conversion, oldest first, and how many are whose."""

from opslib.metrics.attribution import shares
from peers import attribution

KEYS = attribution.KEYS


def answer(case):
    found = shares(*attribution.tables(case), **attribution.rules(case)).order_by("ts", "event_id").to_pandas()
    last = found["channel"].fillna("(none)")
    counts = last.str.lower().value_counts().to_dict()
    return counts | {"last_touch": last.tolist(), "not_direct": int((last.str.lower() != "direct").sum())}
