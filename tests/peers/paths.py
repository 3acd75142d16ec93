"""Paths: edges between positions."""

from opslib.metrics.paths import path_edges
from peers import common, funnel

NODE_KEYS = {"node", "session_gap_seconds", "collapse_repeats", "strip_trailing_slash", "step_limit", "groups"}
CUT_KEYS = {"start", "end", "exclude_events", "funnel", "relation", "step"}
RULE_KEYS = common.UNIT_KEYS | common.PERIOD_KEYS | NODE_KEYS | CUT_KEYS
KEYS = RULE_KEYS | {"min_edge", "max_edge", "edge_limit"}


def rules(case: dict) -> dict:
    query = case["query"]
    gap = query.get("session_gap_seconds")
    asked = {
        "node": query.get("node") or "event",
        "session": None if gap is None else "gap",
        "gap_minutes": (gap or 1800) / 60,
        "collapse": query.get("collapse_repeats") or None,
        "groups": query.get("groups") or [],
        "exclude": query.get("exclude_events") or [],
        "strip_slash": query.get("strip_trailing_slash", False),
        "start": query.get("start"),
        "end": query.get("end"),
        "step_limit": query.get("step_limit", 5),
        "period": common.period(case),
    }
    if query.get("funnel"):
        given = query["funnel"] if isinstance(query["funnel"], dict) else {"steps": query["funnel"]}
        steps = funnel.rules({"window_seconds": 1_209_600} | given, case)
        asked |= {"funnel": steps, "relation": relation(query["relation"]), "funnel_step": query["step"]}
    return asked


def relation(name: str) -> str:
    """ "before", "between" or "after", however the peer spells it."""
    return next(word for word in ("before", "between", "after") if word in name)


def answer(case):
    query = case["query"]
    ends_given = query.get("start") and query.get("end")
    limits = {name: query.get(name) for name in ("min_edge", "max_edge")}
    edges = path_edges(
        common.by_unit(case), **rules(case), **limits, limit=query.get("edge_limit", None if ends_given else 50)
    ).to_pandas()
    return {
        "edges": [
            {
                "source": f"{edge.position}_{edge.source}",
                "target": f"{edge.position + 1}_{edge.target}",
                "count": edge.count_,
                "average_ms": edge.mean_s * 1000,
            }
            for edge in edges.rename(columns={"count": "count_"}).itertuples()
        ]
    }
