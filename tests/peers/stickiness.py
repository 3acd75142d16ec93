"""Users by the number of active periods."""

from opslib.metrics.activity import stickiness
from peers import common

KEYS = common.UNIT_KEYS | common.PERIOD_KEYS | {"event", "interval", "week_start"}


def answer(case):
    query = case["query"]
    table = stickiness(
        common.by_unit(case),
        event=common.step(query.get("event")),
        grain=query.get("interval", "day"),
        week_start=query.get("week_start", "monday"),
        period=common.period(case),
    ).to_pandas()
    by_periods = table.set_index(table["periods"].astype(str))
    return {
        "users": int(table["users"].sum()),
        "histogram": by_periods["users"].to_dict(),
        "at_least": by_periods["at_least"].to_dict(),
    }
