"""Funnels with a window of its own for each step, counted from the nearest required step before; for one unit."""

from opslib.metrics.funnel import funnel
from peers import common
from peers.funnel import step, window

KEYS = common.SEGMENT_KEYS | {"start", "steps", "window_seconds"}


def answer(case):
    query = case["query"]
    steps = [common.step(query["start"]), *(step(spec) for spec in query["steps"])]
    asked = {"steps": steps, "window_days": window(query.get("window_seconds")), "entry": "first"}
    counts = funnel(common.events(case), **asked).to_pandas().users.tolist()[1:]
    return {"reached": [count > 0 for count in counts], "counts": counts}
