"""Several definitions side by side: each tool's own number, and how much of its difference to ours each choice makes."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable

import pandas as pd

from opslib import arrays
from opslib.errors import TooLittleError
from opslib.text import say

OURS = "ours"


def closed(span: tuple[dt.date, dt.date], days: float) -> tuple[dt.date, dt.date]:
    """The days whose windows of so many days are over by the last one of `span`; at least the first."""
    first, last = span
    return first, max(first, last - dt.timedelta(days=math.ceil(days)))


def conversions(table: pd.DataFrame) -> pd.DataFrame:
    """Who entered and who converted, by each tool's own definition; `table` is the result of `funnel_definitions`.

    One row per tool, ours first, the others from few to many converted: tool, entered, converted, rate with Wilson's low and
    high, lost (converted minus ours: what is gained or lost by the definition alone).
    """
    last = table[table["step"] == table["step"].max()]
    own = _own(table, last)[["tool", "entered", "users"]].rename(columns={"users": "converted"})
    low, high = arrays.binomial_interval(own["converted"].to_numpy(float), own["entered"].to_numpy(float))
    own = own.assign(rate=own["converted"] / own["entered"], low=low, high=high)
    return _sorted(own.assign(lost=own["converted"] - _ours(own)["converted"]), "converted")


def returning(table: pd.DataFrame, n: int) -> pd.DataFrame:
    """The average share back on day n, by each tool's own definition; `table` is the result of `retention_definitions`.

    One row per tool that knows day n, ours first: tool, cohorts, users, size, rate, low, high, lost (rate minus ours). The
    interval is Wilson's on the pooled users; blank where a tool's average is not the pooled one.
    """
    own = _own(table, table[table["n"] == n])[["tool", "rule", "cohorts", "users", "size", "rate"]]
    low, high = arrays.binomial_interval(own["users"].to_numpy(float), own["size"].to_numpy(float))
    pooled = own["rule"] != "size_squared"
    rows = own.assign(low=pd.Series(low, own.index).where(pooled), high=pd.Series(high, own.index).where(pooled))
    return _sorted(rows.assign(lost=rows["rate"] - _ours(rows)["rate"]).drop(columns="rule"), "rate")


def choices(table: pd.DataFrame, value: str, *, step: int | None = None, n: int | None = None) -> pd.DataFrame:
    """What each choice of a tool changes, in the order in which they were made.

    One row per (tool, choice): tool, rule, arguments, before, now, effect (now minus before).
    """
    at = table["step"] == (step or table["step"].max()) if n is None else table["n"] == n
    rows = table[at].sort_values(["tool", "place"])
    before = rows.groupby("tool")[value].shift()
    found = rows.assign(before=before, now=rows[value], effect=rows[value] - before)
    return found.loc[rows["place"] > 0, ["tool", "rule", "arguments", "before", "now", "effect"]].reset_index(drop=True)


def _own(table: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows at the last place of each tool: its own definition. A tool of which that is not known is left out."""
    return rows[rows["place"] == rows["tool"].map(table.groupby("tool")["place"].max())]


def _ours(rows: pd.DataFrame) -> pd.Series:
    """The row that the others are compared with: ours, or the first; blanks where there is none."""
    mine = rows[rows["tool"] == OURS]
    return (mine if len(mine) else rows).head(1).reindex(columns=rows.columns).squeeze(axis=0)


def _sorted(rows: pd.DataFrame, value: str) -> pd.DataFrame:
    first = (rows["tool"] != OURS).astype(int)
    return rows.assign(_first=first).sort_values(["_first", value]).drop(columns="_first").reset_index(drop=True)


def excluded(events: Iterable[str]) -> list[dict[str, str]]:
    """Event names as exclusions of a funnel."""
    return [{"event": event} for event in events]


def needs_entries(converted: pd.DataFrame) -> pd.DataFrame:
    """The same table, if somebody entered.

    Raises
    ------
    TooLittleError  if nobody did: there is nothing to compare.
    """
    if not len(converted) or not converted.iloc[0]["entered"] > 0:
        raise TooLittleError(
            say(
                zh="统计期内没有人进入漏斗，请改参数 start、end 或 steps",
                en="nobody entered the funnel in the period; change start, end or steps",
            )
        )
    return converted


def needs_cohorts(returned: pd.DataFrame) -> pd.DataFrame:
    """The same table, if a cohort is old enough for the day.

    Raises
    ------
    TooLittleError  if none is.
    """
    if not len(returned):
        raise TooLittleError(
            say(
                zh="还没有群组到第 N 天，请改参数 day_n、start 或 end",
                en="no cohort has reached day N yet; change day_n, start or end",
            )
        )
    return returned
