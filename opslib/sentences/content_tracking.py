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


def troubles(table: pd.DataFrame) -> list[Finding]:
    """What of the tracking spoils rates; or that nothing does."""
    grave = table[table["trouble"] != "one_placement"]
    if grave.empty:
        return [Finding("content.tracking", "good", say(zh="曝光、打开与停留的数据没有发现问题。", en="No problem found in impressions, opens and dwell times."))]  # fmt: skip
    return [
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
