"""Funnels by the values of a property."""

from opslib.metrics.funnel_breakdown import funnel_breakdown
from opslib.metrics.funnel_time import time_to_convert
from peers import common
from peers.funnel import RULE_KEYS, listed, prop, rules, times

SPLIT_KEYS = {"breakdown", "attribution", "attribution_step", "breakdown_limit"}
KEYS = RULE_KEYS | SPLIT_KEYS
COMPLETE = True  # no value that the peer has not


def split(query: dict) -> dict:
    return {
        "breakdown": [named(name, query) for name in listed(query["breakdown"])],
        "attribution": query.get("attribution", "first_touch"),
        "attribution_step": query.get("attribution_step", 0) + 1,
        "limit": query.get("breakdown_limit", 25),
    }


def named(name: str, query: dict) -> str:
    """A property of the event, unless it is said or known to be one of the user."""
    if name.startswith("user."):
        return "users." + name.removeprefix("user.")
    known = {key for properties in (query.get("user_props") or {}).values() for key in properties}
    return f"users.{name}" if name in known else prop(name.removeprefix("event."))


def value(segment: str) -> str:
    return "|".join("" if part == "(none)" else part for part in segment.split("|"))


def answer(case):
    query, tables = case["query"], (common.events(case), common.users(case))
    asked = rules(query, case) | split(query)
    counts = funnel_breakdown(*tables, **asked).to_pandas()
    taken = time_to_convert(*tables, **asked).to_pandas()
    return {
        value(segment): {"counts": part.users.tolist(), **times(taken[taken.segment == segment], len(part))}
        for segment, part in counts.groupby("segment")
    }
