"""What the content report says of its data: what spoils rates, and what became of it."""

from __future__ import annotations

import pandas as pd

from opslib import columns, text
from opslib.report.finding import Finding
from opslib.text import say


def _treated(trouble: str) -> str:
    """What the rates of this page make of a trouble."""
    treated = {
        "no_position": say(zh="按「位置未知」单独校正", en="corrected for as a place of their own"),
        "negative_dwell": say(zh="打开照计，停留时长不计", en="the opens count, their dwell times do not"),
        "no_exposure": say(zh="不参与按曝光的判断", en="not judged by exposure"),
    }
    return treated.get(trouble, say(zh="未计入比率", en="in no rate"))


def held_back(aside: pd.DataFrame) -> list[Finding]:
    """Events whose dwell time broke the contract, such as one below zero: loading put them aside, so no rate has them.

    `aside`: as `ledger.quarantine` gives it.
    """
    rows = aside[(aside["table"] == "events") & aside["reason"].astype(str).str.contains("duration_s", regex=False)]
    if rows.empty:
        return []
    first = rows.iloc[0]
    words = say(
        zh="{n} 行事件因停留时长在加载时进了隔离区，不在本页任何数字中：「{source}」第 {line} 行，{reason}。",
        en="Loading put {n} aside for their dwell time, no number here has them: “{source}” line {line}, {reason}.",
        n=text.some(int(rows["rows"].sum()), "event"), source=first["source"], line=int(first["line"]), reason=first["reason"],
    )  # fmt: skip
    return [Finding("content.tracking.dwell", "watch", words, value=int(rows["rows"].sum()), no_interval="census")]


def without_events() -> Finding:
    """What a page of items that carry their own counts cannot say: once, instead of part by part."""
    words = say(
        zh="没有用户行为数据（events 表），本页没有：全链路、展示位对比、衰减、人群错配、候选内容、热点话题。",
        en="There are no events, so this page has no chain, no placements, no fading, no segments, no candidates and no rising topics.",
    )
    return Finding("content.without_events", "info", words)


def troubles(table: pd.DataFrame, aside: pd.DataFrame, *, by_post: bool = False) -> list[Finding]:
    """What of the tracking spoils rates, and what of it loading put aside; or that nothing does.

    `by_post`: items carry their own counts, so that nobody looked at events.
    """
    grave, away = table[table["trouble"] != "one_placement"], held_back(aside)
    if grave.empty and not away:
        words = (
            say(zh="每条内容都有曝光或触达数；没有用户行为可供核对。", en="Every item tells impressions or reach; there are no events to check.")
            if by_post
            else say(zh="曝光、打开与停留的数据没有发现问题。", en="No problem found in impressions, opens and dwell times.")
        )  # fmt: skip
        return [Finding("content.tracking", "info" if by_post else "good", words)]
    return away + [
        Finding(
            f"content.tracking.{row['trouble']}",
            "watch",
            say(
                zh="{what}：{n}（占 {share}），例如 {example}；{so}。",
                en="{what}: {n} ({share}), such as {example}; {so}.",
                so=_treated(row["trouble"]),
                what=columns.value_name("trouble", row["trouble"]),
                n=text.number(row["n"]),
                share=text.percent(row["n"] / row["of"]) if row["of"] else text.BLANK,
                example=row["example"],
            ),
        )
        for row in grave.to_dict("records")
    ]
