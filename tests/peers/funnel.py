"""Funnels: counts, times and users of each step. Peers number steps from 0, the metrics from 1."""

import datetime as dt

import pandas as pd

from opslib.metrics.funnel import funnel, funnel_tries
from opslib.metrics.funnel_time import time_to_convert
from peers import common

RULE_KEYS = (
    common.SEGMENT_KEYS
    | common.PERIOD_KEYS
    | {"steps", "order", "window_seconds", "exclusions", "exclusion_effect", "reentry", "count", "unit", "hold"}
)
KEYS = RULE_KEYS | {"compare"}
ENTRIES = {"best_entry": "best", "first_entry_only": "first", "latest_entry": "latest"}


def rules(query: dict, case: dict) -> dict:
    """The query as `funnel` takes it. A peer's date range holds for every step, not only for the entry."""
    order = query.get("order", "ordered")
    usual = "drop_user" if order == "unordered" else "stop_user"  # only PostHog excludes in any order
    return {
        "steps": [step(spec) for spec in query["steps"]],
        "order": order,
        "window_days": window(query.get("window_seconds")),
        "entry": ENTRIES[query.get("reentry", "best_entry")],
        "count": query.get("count", "users"),
        "unit": query.get("unit") or "user_id",
        "hold": [prop(name) for name in listed(query.get("hold"))],
        "exclusions": [exclusion(spec) for spec in query.get("exclusions") or []],
        "exclusion_effect": query.get("exclusion_effect", usual),
        "period": common.period(case),
        "within_period": True,
    }


def step(spec: dict | str) -> dict:
    spec = {"event": spec} if isinstance(spec, str) else spec
    own = {"optional": spec.get("optional", False), "window_days": window(spec.get("window_seconds"))}
    return common.step(spec) | own


def exclusion(spec: dict) -> dict:
    return common.step(spec) | {"from_step": spec["from_step"] + 1, "to_step": spec["to_step"] + 1}


def window(seconds: float | None) -> dt.timedelta | None:
    return None if seconds is None else dt.timedelta(seconds=seconds)


def listed(value) -> list:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def prop(name: str) -> str:
    return name if name.startswith("props.") else f"props.{name}"


def answer(case):
    events, query = common.events(case), case["query"]
    asked = rules(query, case)
    if "compare" in query:
        return compared(events, query["compare"], asked)
    table = funnel(events, **asked, everyone=True).to_pandas()
    before = [table.everyone[0], *table.previous[1:]]
    return {
        "counts": table.users.tolist(),
        "rate_of_all_users": (table.users / table.everyone).tolist(),
        "rate_of_previous": [users / base if base else None for users, base in zip(table.users, before, strict=True)],
        **times(time_to_convert(events, **asked).to_pandas(), len(table)),
        **({"users": users_of(events, asked)} if asked["unit"] == "user_id" else {}),
    }


def compared(events, compare: dict, asked: dict) -> dict:
    """One value of a property against another one, or against all others pooled."""
    name, against = prop(compare["property"]), compare["against"]
    rest = {"not": compare["value"]} if against == "rest" else against
    one, other = (
        funnel(events, **asked, where={name: value}).to_pandas().users.tolist() for value in (compare["value"], rest)
    )
    return {"counts": one, f"counts_{against}": other}


def times(table: pd.DataFrame, steps: int) -> dict:
    """Mean and median seconds of each step since the required one before it; none where nobody did it."""
    first = table.drop_duplicates("to_step", keep="last").set_index("to_step")  # the other is the whole way
    numbers = range(1, steps + 1)
    return {
        "average_seconds": [float(first.mean_s[i]) if i in first.index else None for i in numbers],
        "median_seconds": [float(first.p50_s[i]) if i in first.index else None for i in numbers],
    }


def users_of(events, asked: dict) -> list[list[str]]:
    tried = funnel_tries(events, **asked).to_pandas()
    numbers = range(1, len(asked["steps"]) + 1)
    return [sorted(set(tried.user_id[tried[f"step_{i}_at"].notna()])) for i in numbers]
