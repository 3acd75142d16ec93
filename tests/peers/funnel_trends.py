"""Funnels by the period of entry: a list of periods, or of rates for each value of a property."""

import datetime as dt

import pandas as pd

from opslib.metrics.funnel_trend import funnel_trend
from peers import common
from peers.funnel import RULE_KEYS, rules
from peers.funnel_breakdown import SPLIT_KEYS, split, value

KEYS = RULE_KEYS | SPLIT_KEYS | {"interval", "only_entry_days", "from_step", "to_step", "week_start"}
COMPLETE = True


def answer(case):
    query, tables = case["query"], (common.events(case), common.users(case))
    asked = rules(query, case) | (split(query) if "breakdown" in query else {})
    table = funnel_trend(
        *tables,
        **asked,
        interval=query.get("interval", "day"),
        from_step=query.get("from_step", 0) + 1,
        to_step=query.get("to_step", len(query["steps"]) - 1) + 1,
        week_start=query.get("week_start", "monday"),
        until=query.get("date_to"),
    ).to_pandas()
    table["rate"] = (100 * table.converted / table.entered).fillna(0)
    if "breakdown" in query:
        return {value(segment): part.rate.tolist() for segment, part in table.groupby("segment")}
    if query.get("interval") == "hour" and query.get("date_to"):
        table = every_hour(table, query)
    if query.get("only_entry_days"):
        table = table[table.entered > 0]
    columns = (table.start, table.entered, table.converted, table.rate)
    hours = query.get("interval") == "hour"
    return [
        {"date": spelled(start, hours), "entered": int(entered), "converted": int(converted), "rate": float(rate)}
        for start, entered, converted, rate in zip(*columns, strict=True)
    ]


def every_hour(table: pd.DataFrame, query: dict) -> pd.DataFrame:
    """The peer's hours run over its whole date range, from midnight to midnight in its zone."""
    days = [dt.date.fromisoformat(query["date_from"]), dt.date.fromisoformat(query["date_to"]) + dt.timedelta(days=1)]
    low, high = pd.DatetimeIndex(days).tz_localize(query.get("timezone") or "UTC").tz_convert("UTC").tz_localize(None)
    hours = pd.date_range(low, high, freq="h", inclusive="left", unit="us", name="start")
    return table.set_index("start").reindex(hours, fill_value=0).reset_index()


def spelled(start, hours: bool) -> str:
    return start.strftime("%Y-%m-%dT%H:%M:%SZ") if hours else str(start)[:10]
