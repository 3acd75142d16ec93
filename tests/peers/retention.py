"""Retention tables, in the shapes that peers print: triangles, rectangles, segments, prefixes."""

import datetime as dt

import ibis
import pandas as pd

from opslib.metrics.retention import retention
from peers import common

KEYS = (
    common.UNIT_KEYS
    | common.PERIOD_KEYS
    | {"start", "back", "mode", "clock", "period", "week_start", "first", "intervals", "shape", "rows_shown"}
    | {"min_returns", "brackets", "on_or_after", "entry_day", "breakdown", "breakdown_limit"}
)


def answer(case):
    query = case["query"]
    rows, columns = query.get("rows_shown") or query["intervals"], query["intervals"]
    labels = [step_on(first(query), query.get("period", "day"), i) for i in range(rows)]
    found = ask(case, until=last_needed(query, rows + columns))
    widths = [columns if query.get("shape") == "rectangular" else columns - i for i in range(rows)]

    def matrix(part: pd.DataFrame) -> list[list[int]]:
        users = part.set_index(["cohort", "n"])["users"].to_dict()
        return [[users.get((label, n), 0) for n in range(w)] for label, w in zip(labels, widths, strict=True)]

    if "breakdown" not in query:
        return prefixed("rows", matrix(found))
    shown = found[found["cohort"].isin(labels)]
    parts = {"" if value == "(none)" else value: matrix(part) for value, part in shown.groupby("segment")}
    prefixes = {value: prefixed("rows", part)["rows_prefix"] for value, part in parts.items()}
    return {"segments": parts, "segments_prefix": prefixes}


def ask(case: dict, **how) -> pd.DataFrame:
    """The cells of `retention`, with cohorts as timestamps."""
    query = case["query"]
    breakdown = query.get("breakdown")
    if breakdown and breakdown.startswith("event."):
        breakdown = "props." + breakdown.removeprefix("event.")
    elif breakdown and breakdown.startswith("user."):
        breakdown = "users." + breakdown.removeprefix("user.")
    options = {
        "start": common.step(query.get("start")),
        "back": common.step(query.get("back")),
        "mode": query.get("mode", "first_ever"),
        "grain": query.get("period", "day"),
        "periods": query.get("intervals", 60),
        "brackets": query.get("brackets"),
        "on_or_after": query.get("on_or_after", False),
        "clock": query.get("clock", "calendar"),
        "min_returns": query.get("min_returns", 1),
        "breakdown": breakdown,
        # A first event ever puts a user in one segment for good; otherwise a return belongs to its own value.
        "carry": query.get("mode") != "first_ever",
        "limit": query.get("breakdown_limit", 25),
        "week_start": query.get("week_start", "monday"),
        "period": common.period(case) or entry_days(query),
    }
    found = retention(on_the_clock(case), common.users(case), **options | how).to_pandas()
    return found.assign(cohort=pd.to_datetime(found["cohort"]))


def on_the_clock(case: dict) -> ibis.Table:
    """The case's events; for hours, which the metrics count in UTC, by the clock of its zone at the first row."""
    query, table = case["query"], common.by_unit(case)
    if query.get("period") != "hour" or "first" not in query:
        return table
    ahead = first(query).tz_localize(query.get("timezone") or "UTC").utcoffset()
    return table.mutate(ts=table.ts + ibis.interval(seconds=int(ahead.total_seconds())))


def entry_days(query: dict) -> tuple[dt.date, dt.date] | None:
    """The local days of the rows shown; hours are not days."""
    if "first" not in query or query.get("period") == "hour":
        return None
    rows = query.get("rows_shown") or query["intervals"]
    end = step_on(first(query), query.get("period", "day"), rows) - pd.Timedelta(days=1)
    return first(query).date(), end.date()


def first(query: dict) -> pd.Timestamp:
    """The beginning of the period that the first row stands for."""
    moment, grain = pd.Timestamp(query["first"]), query.get("period", "day")
    if grain == "week":
        shift = 1 if query.get("week_start") == "sunday" else 0
        return moment.normalize() - pd.Timedelta(days=(moment.weekday() + shift) % 7)
    return moment.normalize().replace(day=1) if grain == "month" else moment.floor("h" if grain == "hour" else "D")


def step_on(moment: pd.Timestamp, grain: str, periods: int) -> pd.Timestamp:
    return moment + pd.DateOffset(**{f"{grain}s": periods})


def last_needed(query: dict, periods: int) -> dt.date:
    """The last local day of a report of so many periods; a rolling window ends one later."""
    periods += query.get("clock", "calendar") != "calendar"
    end = step_on(first(query), query.get("period", "day"), periods)
    return (end - pd.Timedelta(seconds=1)).date() if query.get("period") != "hour" else end.date()


def prefixed(name: str, matrix: list[list[int]]) -> dict:
    """The matrix, and the first two columns of it."""
    return {name: matrix, f"{name}_prefix": [row[:2] for row in matrix]}
