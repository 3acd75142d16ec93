"""Credit by channel: percent of the conversions, or unique users."""

from opslib.metrics.attribution import credit, touches
from peers import common

KINDS = ("attribution_unique",)
RULE_KEYS = {"model", "lookback_days", "two_touch", "weights", "half_life_days", "qualify", "direct"}
KEYS = common.SEGMENT_KEYS | common.PERIOD_KEYS | RULE_KEYS | {"conversion", "touch", "property"}
COMPLETE = True
COUNTED = {None: "all", "last_conversion": "last", "first_conversion": "first"}


def tables(case):
    """The case's events, and the touches among them."""
    query, events = case["query"], common.events(case)
    return events, touches(events, touch=common.step(query.get("touch")), channel=f"props.{query['property']}")


def rules(case):
    query = case["query"]
    named = {k: query[k] for k in ("model", "weights", "two_touch", "half_life_days", "direct") if k in query}
    return named | {
        "conversion": common.step(query["conversion"]),
        "lookback_days": query.get("lookback_days"),
        "counted": COUNTED[query.get("qualify")],
        "period": common.period(case),
    }


def answer(case):
    events, seen = tables(case)
    found = credit(events, seen, **rules(case)).to_pandas()
    found["channel"] = found["channel"].fillna("(none)")
    if case["kind"] == "attribution":
        whole = credit(events, seen, **rules(case) | {"model": "last"}).to_pandas()["conversions"].sum()
        found["conversions"] *= 100 / whole
    return found.set_index("channel")["conversions"].to_dict()
