"""One event followed by another."""

from opslib.metrics.path_conversion import path_conversion
from peers import common
from peers.funnel import window

KEYS = (
    common.SEGMENT_KEYS
    | common.PERIOD_KEYS
    | {"start", "end", "start_occurrence", "within_events", "within_seconds", "unit"}
)


def with_ends(case: dict) -> dict:
    """The case with a peer's synthetic last event of every unit, where its query names that event."""
    query = case["query"]
    if "path_end" not in (query["start"], query["end"]):
        return case
    unit = (query.get("unit") or "user_id").removeprefix("props.")
    last = {
        common.person(case, event["user"]) if unit == "user_id" else (event.get("props") or {}).get(unit): event
        for event in sorted(case["events"], key=lambda event: common.utc(event["time"]))
    }
    return case | {"events": case["events"] + [event | {"event": "path_end"} for event in last.values()]}


def answer(case):
    query = case["query"]
    row = path_conversion(
        common.events(with_ends(case)),
        start=common.step(query["start"]),
        end=common.step(query["end"]),
        start_occurrence=query.get("start_occurrence", "first"),
        within_events=query.get("within_events"),
        within_days=window(query.get("within_seconds")),
        unit=query.get("unit") or "user_id",
        period=common.period(case),
    )
    found = row.to_pandas().iloc[0].to_dict()
    base = found["with_end"] / found["units"] if found["units"] else None
    rate = found["converted"] / found["with_start"] if found["with_start"] else None
    lift = rate / base if rate is not None and base else None
    return found | {"conversion_rate": rate, "base_rate": base, "lift": lift}
