"""What the content report says of groups, places, standards and readers."""

from __future__ import annotations

import pandas as pd

from opslib import columns, text
from opslib.errors import capital
from opslib.models.content_readers import Recommended
from opslib.report.finding import Finding
from opslib.sentences.content import outcome_name, titled
from opslib.text import say


def supply(table: pd.DataFrame, what: str = "opens") -> list[Finding]:
    """What readers want more of than is published, and what less; `what` they do: opens, or what posts tell instead."""
    ends = (("more", table[table["low"] > 1].head(1)), ("less", table[table["high"] < 1].tail(1)))
    return [
        Finding(
            f"content.supply.{name}",
            "act" if name == "more" else "watch",
            say(
                zh="{way}发「{group}」：占发布的 {supply}，占{what}的 {demand}，供需比 {ratio}。",
                en="Publish {way} of “{group}”: {supply} of what is published, {demand} of all {what}, ratio {ratio}.",
                way=say(zh="多", en="more") if name == "more" else say(zh="少", en="less"),
                what=outcome_name(what),
                group=row["category"],
                supply=text.write(row["supply"], "share"),
                demand=text.write(row["demand"], "share"),
                ratio=text.write(row["demand_ratio"], "times"),
            ),
            metric="content.supply",
            value=row["demand_ratio"],
            low=row["low"],
            high=row["high"],
            n=row["opens"],
            base=1.0,
            format="times",
        )
        for name, rows in ends
        for row in rows.to_dict("records")
    ]


def demand_words(what: str) -> dict[str, str]:
    """What the columns of supply against demand are called where `what` is counted instead of opens."""
    name = outcome_name(what)
    return {
        "opens": capital(name),
        "demand": say(zh="{what}占比", en="Of {what}", what=name),
    }


def leaders(table: pd.DataFrame) -> Finding:
    """The item with the best lower bound."""
    row = table.iloc[0].to_dict()
    return Finding(
        "content.leader",
        "info",
        say(
            zh="读完率（向类目收缩后按下限排序）领先的是「{title}」：{rate}。",
            en="Best completion, drawn to the category and ranked by the lower bound: “{title}”, {rate}.",
            title=titled(row),
            rate=text.percent(row["mean"]),
        ),
        metric="content.open_rate",
        value=row["mean"],
        low=row["low"],
        high=row["high"],
        n=row["opens"],
        format="percent",
    )


def placements(table: pd.DataFrame, crude: pd.Series, base: str) -> list[Finding]:
    """Each placement against editorial on the same items, the algorithm first; and whether the raw rates told another story."""
    found = []
    others = table.assign(last=table["placement"] != "algorithm")
    for row in others.sort_values(["last", "lift"], ascending=[True, False]).to_dict("records"):
        if text.missing(row["lift"]):
            continue
        raw = crude[row["placement"]] / crude[base] - 1
        turned = raw * row["lift"] < 0
        sure = row["low"] > 0 or row["high"] < 0
        found.append(
            Finding(
                f"content.placement.{row['placement']}",
                "info" if not sure else "good" if row["lift"] > 0 else "watch",
                say(
                    zh="同一内容、同一位置上，「{place}」的打开率比「{base}」{lift}；不扣除位置时{raw}{turned}。",
                    en="On the same items and positions, “{place}” is opened {lift} often than “{base}”; uncorrected, {raw}{turned}.",
                    place=columns.value_name("placement", row["placement"]),
                    base=columns.value_name("placement", base),
                    lift=_more(row["lift"]),
                    raw=_more(raw),
                    turned=say(zh="，方向相反", en=", the opposite") if turned else "",
                ),
                metric="content.placement_lift",
                value=row["lift"],
                low=row["low"],
                high=row["high"],
                n=crude.attrs.get("n"),
                format="change",
            )
        )
    return found


def _more(lift: float) -> str:
    size = text.percent(abs(lift))
    return (
        say(zh="高 {size}", en="{size} more", size=size)
        if lift > 0
        else say(zh="低 {size}", en="{size} less", size=size)
    )


def standards(table: pd.DataFrame) -> list[Finding]:
    """What completion goes with."""
    return [
        Finding(
            f"content.standard.{row['standard']}",
            "info" if row["low"] <= 0 <= row["high"] else "good" if row["change"] > 0 else "watch",
            say(
                zh="{what}：读完率 {change}（其余相同）{sure}。",
                en="{what}: completion {change}, all else equal{sure}.",
                what=columns.value_name("standard", row["standard"]),
                change=text.percent(row["change"], sign=True),
                sure=say(zh="，可能是偶然", en="; this may be chance") if row["low"] <= 0 <= row["high"] else "",
            ),
            metric="content.standards",
            value=row["change"],
            low=row["low"],
            high=row["high"],
            n=row["opens"],
            format="change",
        )
        for row in table.to_dict("records")
    ]


def authors(table: pd.DataFrame) -> list[Finding]:
    """How many authors stand out for sure, and who is falling."""
    above, below = int((table["low"] > 1).sum()), int((table["high"] < 1).sum())
    apart = (
        say(zh="{above} 位确信高于平均，{below} 位确信低于平均", en="{above} are surely above average and {below} surely below", above=above, below=below)
        if above or below
        else say(zh="没有谁确信高于或低于平均", en="none is surely above or below average")
    )  # fmt: skip
    best = table.iloc[0]
    found = [
        Finding(
            "content.author",
            "info",
            say(
                zh="{n} 位作者中，{apart}；排在首位的有 {items} 条内容，指数 {index}。",
                en="Of {n} authors {apart}; the first of the ranking has {items} items and an index of {index}.",
                n=len(table),
                apart=text.Clean(apart),
                items=int(best["items"]),
                index=text.write(best["index"], "times"),
            ),
            metric="content.author",
            value=best["index"],
            low=best["low"],
            high=best["high"],
            n=best["impressions"],
            format="times",
        )
    ]
    falling = table[table["trend_high"] < 0]
    if len(falling):
        words = say(
            zh="{n} 位作者较新的内容明显不如以前。",
            en="{n} authors do clearly worse with their newer items.",
            n=len(falling),
        )
        found.append(Finding("content.author.falling", "watch", words, metric="content.author"))
    return found


def likings_title() -> str:
    """What the numbers of segment × category are."""
    return say(
        zh="人群 × 类目：读完的用户（100 = 与全体一样）", en="Segment × category: finishers (100 = as among all)"
    )


def mismatch(table: pd.DataFrame) -> list[Finding]:
    """What a segment is shown too much of, and too little; sure ones only."""
    found = []
    for name, rows in (("much", table[table["high"] < 0]), ("little", table[table["low"] > 0])):
        for row in rows.head(1).to_dict("records"):
            found.append(
                Finding(
                    f"content.mismatch.{name}",
                    "act",
                    say(
                        zh="「{segment}」的读者看到的「{category}」{what}：占曝光 {shown}，只占读完的 {finished}。"
                        if name == "much"
                        else "「{segment}」的读者看到的「{category}」{what}：只占曝光 {shown}，却占读完的 {finished}。",
                        en="Readers of “{segment}” see too {what} of “{category}”: {shown} of their impressions, {finished} of what they finish.",
                        segment=row["segment"],
                        category=row["category"],
                        what=say(zh="太多", en="much") if name == "much" else say(zh="太少", en="little"),
                        shown=text.percent(row["shown"]),
                        finished=text.percent(row["finished"]),
                    ),
                    metric="content.mismatch",
                    value=row["gap"],
                    low=row["low"],
                    high=row["high"],
                    n=row["users"],
                    format="points",
                )
            )
    return found or [
        Finding("content.mismatch.none", "good", say(zh="没有哪个人群被明显给多或给少了某类内容。", en="No segment is clearly shown too much or too little of a category."), metric="content.mismatch")
    ]  # fmt: skip


def recommended(found: Recommended) -> Finding:
    """How the recommender did beside popularity."""
    rows = found.quality.set_index("recommender")
    best, bar = rows.loc[found.best], rows.loc["popularity"]
    wins = best["low"] > bar["ndcg"]
    return Finding(
        "content.recommend",
        "good" if wins else "info",
        say(
            zh="「{best}」推荐的排序质量（NDCG）为 {ndcg}，按热门推荐为 {bar}：{verdict}。",
            en="“{best}” ranks with a quality (NDCG) of {ndcg}, popularity with {bar}: {verdict}.",
            best=columns.value_name("recommender", found.best),
            ndcg=text.percent(best["ndcg"]),
            bar=text.percent(bar["ndcg"]),
            verdict=say(zh="值得上线对比实验", en="worth an experiment")
            if wins
            else say(zh="不比热门好，不必换", en="no better than popularity, no reason to change"),
        ),
        metric="content.recommend",
        value=best["ndcg"],
        low=best["low"],
        high=best["high"],
        n=best["users"],
        base=bar["ndcg"],
        format="percent",
    )
