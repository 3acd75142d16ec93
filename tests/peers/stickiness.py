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
    by_periods = table.set_index("periods")
    or_more = (
        by_periods["at_least"].reindex(range(1, max(by_periods.index, default=0) + 1)).bfill()
    )  # rows that nobody has
    return {
        "users": int(table["users"].sum()),
        "histogram": {str(n): int(users) for n, users in by_periods["users"].items()},
        "at_least": {str(n): int(users) for n, users in or_more.items()},
    }
