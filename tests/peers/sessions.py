"""Sessions: how many events and minutes each has, and which event belongs to which."""

from opslib.metrics.sessions import session_list, sessionized
from opslib.text import missing
from peers import common

KEYS = (
    common.SEGMENT_KEYS
    | common.PERIOD_KEYS
    | {"rule", "gap_seconds", "reset_at_midnight", "start_event", "end_event", "separator", "property"}
    | {"exclude_events"}
)
RULES = {"timeout": "gap"}


def rules(query: dict) -> dict:
    name = query.get("property")
    given = {
        "rule": RULES.get(query["rule"], query["rule"]),
        "gap_minutes": query["gap_seconds"] / 60 if "gap_seconds" in query else None,
        "cut_at_midnight": query.get("reset_at_midnight", False),
        "start_event": query.get("start_event"),
        "end_event": query.get("end_event"),
        "separator": query.get("separator"),
        "property": None if name is None else f"props.{name.removeprefix('props.')}",
        "exclude": query.get("exclude_events"),
    }
    return {key: value for key, value in given.items() if value is not None}


def answer(case):
    events, asked = common.within(case, common.events(case)), rules(case["query"])
    found = session_list(events, **asked).order_by("user_id", "session").to_pandas()
    minutes = (found.duration_s / 60).tolist()
    numbered = sessionized(events, **asked).order_by("user_id", "ts", "event_id").to_pandas()
    shown = numbered[~numbered.event.isin([asked.get("start_event"), asked.get("end_event")])]
    return {
        "sessions": [{"events": int(n), "minutes": m} for n, m in zip(found.events, minutes, strict=True)],
        "durations": [m for m in minutes if m == m],
        "index": [[e, None if missing(s) else int(s)] for e, s in zip(shown.event, shown.session, strict=True)],
    }
