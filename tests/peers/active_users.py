"""Active users in trailing windows by day, or in calendar periods."""

from opslib.metrics.activity import active_users
from peers import common

KEYS = common.UNIT_KEYS | common.PERIOD_KEYS | {"event", "window_days", "interval", "week_start"}


def answer(case):
    query, events = case["query"], common.by_unit(case)
    window, interval = query.get("window_days"), query.get("interval") or "total"
    if window is None and interval != "total":
        events, window = common.within(case, events), interval
    table = active_users(
        events,
        event=common.step(query.get("event")),
        windows=(window,),
        period=common.period(case),
        until=common.ALL_TIME[1],
        week_start=query.get("week_start", "monday"),
    )
    users = table.to_pandas()["users"].tolist()
    return {"values": users, "value": users[-1] if users else 0}
