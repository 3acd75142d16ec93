"""What the content report says of time: how items fade, when they are published, which topics rise."""

from __future__ import annotations

from typing import Any

import pandas as pd

from opslib import text
from opslib.models.content_time import HIGHLY
from opslib.report.finding import Finding
from opslib.sentences.content import outcome_name
from opslib.text import say


def fading(table: pd.DataFrame) -> list[Finding]:
    """What fades first and what lasts."""
    fast, slow = table.iloc[0], table.iloc[-1]
    if len(table) < 2:
        return []
    return [
        Finding(
            "content.half_life",
            "info",
            say(
                zh="「{fast}」的打开 {days}减半，「{slow}」{long}：前者要趁新推，后者可以长期推。",
                en="Opens of “{fast}” halve in {days}, of “{slow}” in {long}: push the first while fresh, the second for long.",
                fast=fast["category"],
                days=text.write(fast["half_life"], "days"),
                slow=slow["category"],
                long=text.write(slow["half_life"], "days"),
            ),
            metric="content.half_life",
            value=fast["half_life"],
            low=fast["low"],
            high=fast["high"],
            n=fast["items"],
            base=slow["half_life"],
            format="days",
        )
    ]


def hours(table: pd.DataFrame, what: str = "") -> Finding:
    """Whether any hour of publishing is better for sure; by opens in the first days, or by `what` posts tell instead."""
    best = table.loc[table["low"].idxmax()]
    sure = best["low"] > 0
    return Finding(
        "content.hour",
        "info",
        say(
            zh="{start} 起的时段发布的内容，{what}与平均相比 {lift}；{sure}。",
            en="Items published from {start} on: {what} {lift} against the average; {sure}.",
            what=outcome_name(what) if what else say(zh="最初几天的打开数", en="opens in their first days"),
            start=best["hour"],
            lift=text.percent(best["lift"], sign=True),
            sure=say(
                zh="时段有差异，可以做一次随机排期来确认",
                en="hours differ, a randomised schedule would tell whether they matter",
            )
            if sure
            else say(zh="没有哪个时段确信更好，不必为此改排期", en="no hour is surely better, no reason to reschedule"),
        ),
        metric="content.hour",
        value=best["lift"],
        low=best["low"],
        high=best["high"],
        n=best["items"],
        format="change",
    )


def times(table: pd.DataFrame) -> pd.DataFrame:
    """The change of a topic's share as a multiple of what it was: +459 % is read wrong, 5.59× is not."""
    return table.assign(**{name: 1 + table[name] for name in ("change", "low", "high")})


def _against_before(row: dict[str, Any]) -> str:
    if not row["before"]:
        return say(zh="上周还没有", en="there was none the week before")
    return say(
        zh="占比是前一周的 {times}",
        en="its share is {times} that of the week before",
        times=text.write(1 + row["change"], "times"),
    )


def rising(table: pd.DataFrame) -> list[Finding]:
    """Topics that rise for sure; the fastest first."""
    rows = table[table["low"] > 0]
    found = [
        Finding(
            f"content.rising.{row['topic']}",
            "act" if row["low"] > HIGHLY else "watch",
            say(
                zh="话题「{topic}」（「{category}」）上升：一周打开从 {before} 次到 {now} 次，{change}。",
                en="Topic “{topic}” (“{category}”) rises from {before} to {now} opens a week; {change}.",
                topic=row["topic"],
                category=row["category"],
                before=text.number(row["before"]),
                now=text.number(row["now"]),
                change=text.Clean(_against_before(row)),
            ),
            metric="content.rising",
            value=1 + row["change"],
            low=1 + row["low"],
            high=1 + row["high"],
            n=row["before"] + row["now"],
            format="times",
        )
        for row in rows.head(3).to_dict("records")
    ]
    return found or [
        Finding("content.rising.none", "info", say(zh="本周没有确信上升的话题。", en="No topic rises for sure this week."), metric="content.rising")
    ]  # fmt: skip
