"""What the content report says of the rates of groups, and how these are written."""

from __future__ import annotations

import pandas as pd

from opslib import columns, text
from opslib.report.finding import Finding
from opslib.text import say


def rate_format(items: pd.DataFrame, table: pd.DataFrame | None = None) -> str:
    """Rates of what was shown are percent; where nobody says how often items were shown, they are reactions per item.

    `table`: the rates; where half of them are under 1 %, they need more digits.
    """
    if "exposed" in items and not items["exposed"].any():
        return "decimal"
    return "fine" if table is not None and table["rate"].median() < 0.01 else "percent"


def parts(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rates of reading, then that of sharing, each short enough for a page; all of them first where nobody tells opens."""
    read = table[table["event"].isin(["read", "complete"])]
    return (read, table[table["event"] == "share"]) if len(read) else (table, table.iloc[:0])


def rates_title(items: pd.DataFrame, table: pd.DataFrame) -> str:
    """What the rates of the chain's figure are shares of."""
    if rate_format(items) == "decimal":
        return say(zh="每条内容的平均次数", en="Mean number per item")
    if "read" not in set(table["event"]):
        return say(zh="互动率（占曝光）", en="Reactions of impressions")
    return say(
        zh="打开率（占曝光）、读完与互动率（占打开）", en="Open rate of impressions; completion and reactions of opens"
    )


def rate_words(kind: str) -> dict[str, str]:
    """What the column of rates is called; `kind` as of `rate_format`."""
    return {"rate": say(zh="每条平均", en="Per item")} if kind == "decimal" else {}


def rates(table: pd.DataFrame, by: str, kind: str = "percent") -> list[Finding]:
    """Which group is opened, finished and shared most and least, and whether their intervals meet; `kind` as of `rate_format`."""
    found = []
    for event in ("read", "complete", "share"):
        rows = table[(table["event"] == event) & table["low"].notna()].sort_values("rate")
        if len(rows) < 2:
            continue
        worst, best = rows.iloc[0], rows.iloc[-1]
        apart = worst["high"] < best["low"]
        found.append(
            Finding(
                f"content.rate.{by}.{event}",
                "watch" if apart else "info",
                say(
                    zh="{event}最高的是「{best}」（{high}），最低的是「{worst}」（{low}）{sure}。",
                    en="{event}: highest for “{best}” ({high}), lowest for “{worst}” ({low}){sure}.",
                    event=_rate_name(event) if kind != "decimal" else say(zh="每条内容的分享", en="Shares per item"),
                    best=columns.value_name(by, best[by]),
                    high=text.write(best["rate"], kind),
                    worst=columns.value_name(by, worst[by]),
                    low=text.write(worst["rate"], kind),
                    sure="" if apart else say(zh="，差异可能是偶然", en="; this may be chance"),
                ),
                metric="content.open_rate",
                value=best["rate"],
                low=best["low"],
                high=best["high"],
                n=best["of"],
                base=worst["rate"],
                format=kind,
            )
        )
    return found


def _rate_name(event: str) -> str:
    return {
        "read": say(zh="打开率", en="Open rate"),
        "complete": say(zh="读完率", en="Completion"),
        "share": say(zh="分享率", en="Share rate"),
    }[event]
