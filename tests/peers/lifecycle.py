"""New, returning, resurrecting and dormant (negative) users by period."""

from opslib.metrics.lifecycle import lifecycle
from peers import common

KEYS = common.UNIT_KEYS | common.PERIOD_KEYS | {"event", "interval", "week_start"}


def answer(case):
    query = case["query"]
    table = lifecycle(
        common.by_unit(case),
        event=common.step(query.get("event")),
        grain=query.get("interval", "day"),
        week_start=query.get("week_start", "monday"),
        period=common.period(case),
        until=common.ALL_TIME[1],
    ).to_pandas()
    return {
        "periods": table["start"].astype(str).tolist(),
        "new": table["new"].tolist(),
        "returning": table["retained"].tolist(),
        "resurrecting": table["resurrected"].tolist(),
        "dormant": (-table["dormant"]).tolist(),
    }
