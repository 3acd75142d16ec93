"""What else happened: releases, campaigns, changes of spend and a team's own notes, on one line of time."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from opslib.errors import UsageError
from opslib.project import resolved
from opslib.text import say, shown

COLUMNS = ["day", "what", "name", "detail"]
SPEND_RATIO = 1.5  # a channel's spend changed when it is so many times more or less
ADOPTED = 0.05  # share of a day's new users from which a version counts as released


def releases(days: pd.DataFrame, span: tuple[Any, Any]) -> pd.DataFrame:
    """The day each version first had 5 % of the new users; `days` by version, as `metrics.newcomer_days` gives them."""
    total = days.groupby("day")["users"].transform("sum")
    seen = days[(days["users"] / total >= ADOPTED) & (days["value"] != "(none)")]
    first = seen.groupby("value")["day"].min()
    rows = [(day, "release", str(version), "") for version, day in first.items() if pd.Timestamp(day) > _start(days)]
    return _inside(rows, span)


def _start(days: pd.DataFrame) -> pd.Timestamp:
    return pd.Timestamp(days["day"].min())


def campaign_days(campaigns: pd.DataFrame, span: tuple[Any, Any], *, zone: str) -> pd.DataFrame:
    """The local day each campaign began and ended."""
    rows = []
    for row in campaigns.to_dict("records"):
        for column, words in (("starts_at", _begins()), ("ends_at", _ends())):
            if row.get(column) is not None and row[column] == row[column]:
                local = pd.Timestamp(row[column], tz="UTC").tz_convert(zone)
                rows.append((local.date(), "campaign", str(row["name"]), words))
    return _inside(rows, span)


def _begins() -> str:
    return say(zh="开始", en="begins")


def _ends() -> str:
    return say(zh="结束", en="ends")


def spend_changes(cost: pd.DataFrame, current: tuple[Any, Any], before: tuple[Any, Any]) -> pd.DataFrame:
    """Channels on which a day's spend became 1.5 times more or less, with the day on which it did.

    `cost` as `metrics.spend.channel_cost` by day gives it (start, channel, cost). The day is the one that parts the two levels best
    by least squares. Channels without a booking in one of the periods are left out: unknown is not zero.
    """
    rows = []
    for channel, own in cost.groupby("channel"):
        days = pd.Series(own["cost"].to_numpy(float), index=pd.DatetimeIndex(own["start"])).groupby(level=0).sum()
        new, old = (
            days[(days.index >= pd.Timestamp(a)) & (days.index <= pd.Timestamp(b))] for a, b in (current, before)
        )
        if len(new) < 7 or len(old) < 7 or old.mean() <= 0 or new.mean() <= 0:
            continue
        ratio = float(new.mean() / old.mean())
        if 1 / SPEND_RATIO < ratio < SPEND_RATIO:
            continue
        both = pd.concat([old, new]).sort_index()
        rows.append((_parting(both), "spend", str(channel), say(zh="日花费 ×{r}", en="×{r}", r=f"{ratio:.1f}")))
    return _inside(rows, (before[0], current[1]))


def _parting(series: pd.Series) -> dt.date:
    y = series.to_numpy(float)
    gains = [i * (len(y) - i) / len(y) * (y[:i].mean() - y[i:].mean()) ** 2 for i in range(3, len(y) - 2)]
    return series.index[int(np.argmax(gains)) + 3].date()


def notes(path: str, span: tuple[Any, Any]) -> pd.DataFrame:
    """A team's own notes: a CSV file with the columns day (2026-06-01) and text; none for an empty path.

    Raises
    ------
    UsageError  if the file is not there, or has no such columns, or a day is none.
    """
    if not path:
        return pd.DataFrame(columns=COLUMNS)
    file = resolved(Path(path))
    if not file.exists():
        raise UsageError(f"notes: no file {path!r}", "give a CSV with the columns day and text, or leave it empty")
    table = pd.read_csv(file, dtype=str, encoding="utf-8-sig").fillna("")
    if not {"day", "text"} <= set(table.columns):
        raise UsageError(f"notes: {path!r} has the columns {list(table.columns)}", "it needs day and text")
    try:
        days = [dt.date.fromisoformat(d.strip()) for d in table["day"]]
    except ValueError as error:
        raise UsageError(f"notes: {path!r}: {error}", "write days as 2026-06-01") from None
    return _inside([(d, "note", shown(t, 120), "") for d, t in zip(days, table["text"], strict=True)], span)


def together(*parts: pd.DataFrame) -> pd.DataFrame:
    """All that happened, by day: day, what (release, campaign, spend, note), name, detail."""
    return pd.concat([p for p in parts if len(p)] or [pd.DataFrame(columns=COLUMNS)]).sort_values(
        "day", kind="stable", ignore_index=True
    )


def near(events: pd.DataFrame, day: Any, *, days: int = 3) -> pd.DataFrame:
    """What happened within so many days of a day."""
    if day is None or events.empty:
        return events.iloc[:0]
    apart = (pd.to_datetime(events["day"]) - pd.Timestamp(day)).dt.days.abs()
    return events[apart <= days]


def _inside(rows: list[tuple[Any, ...]], span: tuple[Any, Any]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["day"] = pd.to_datetime(table["day"])
    return table[table["day"].between(pd.Timestamp(span[0]), pd.Timestamp(span[1]))].reset_index(drop=True)
