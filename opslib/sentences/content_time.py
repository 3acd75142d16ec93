"""What the content report says of time: how items fade, when they are published, which topics rise."""

from __future__ import annotations

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
                zh="「{fast}」的打开 {days} 天减半，「{slow}」{long} 天：前者要趁新推，后者可以长期推。",
                en="Opens of “{fast}” halve in {days} days, of “{slow}” in {long}: push the first while fresh, the second for long.",
                fast=fast["category"],
                days=text.number(fast["half_life"], 1),
                slow=slow["category"],
                long=text.number(slow["half_life"], 1),
            ),
            metric="content.half_life",
            value=fast["half_life"],
            low=fast["low"],
            high=fast["high"],
            n=fast["items"],
            base=slow["half_life"],
            format="decimal",
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
            zh="{start} 起的时段发布的内容{what}比平均 {lift}；{sure}。",
            en="Items published from {start} on had {lift} {what} against the average; {sure}.",
            what=say(zh="的{what}", en="{what}", what=outcome_name(what))
            if what
            else say(zh="最初几天的打开数", en="opens in their first days"),
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
        format="percent",
    )


def rising(table: pd.DataFrame) -> list[Finding]:
    """Topics that rise for sure; the fastest first."""
    rows = table[table["low"] > 0]
    found = [
        Finding(
            f"content.rising.{row['topic']}",
            "act" if row["low"] > HIGHLY else "watch",
            say(
                zh="话题「{topic}」（「{category}」）上升：一周打开 {before} → {now}，占比 {change}。",
                en="Topic “{topic}” (“{category}”) rises: {before} → {now} opens a week, its share {change}.",
                topic=row["topic"],
                category=row["category"],
                before=text.number(row["before"]),
                now=text.number(row["now"]),
                change=text.percent(row["change"], 0, sign=True) if row["before"] else say(zh="为新出现", en="is new"),
            ),
            metric="content.rising",
            value=row["change"],
            low=row["low"],
            high=row["high"],
            n=row["before"] + row["now"],
            format="percent",
        )
        for row in rows.head(3).to_dict("records")
    ]
    return found or [
        Finding("content.rising.none", "info", say(zh="本周没有确信上升的话题。", en="No topic rises for sure this week."), metric="content.rising")
    ]  # fmt: skip
