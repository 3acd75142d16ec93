"""What the content report says first: what to stop showing, what to show more, and what became of the last lists."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd

from opslib import text
from opslib.models.content_lists import Rules, chosen
from opslib.report.finding import Action, Finding
from opslib.text import say


def outcome_name(name: str) -> str:
    """What is counted as a success, as a reader calls it."""
    return {
        "completes": say(zh="读完", en="completions"),
        "opens": say(zh="打开", en="opens"),
        "reactions": say(zh="互动", en="reactions"),
    }[name]


def headline(table: pd.DataFrame, outcome: str) -> str:
    """The page's one sentence."""
    cull, boost = chosen(table, "cull"), chosen(table, "boost")
    if cull.empty and boost.empty and unexposed(table):
        return say(
            zh="{n} 条内容没有曝光或触达数：只能相互比较，不能判定该停还是该推。",
            en="{n} items without impressions or reach: they can be compared, but neither stopped nor pushed.",
            n=text.number(len(table)),
        )
    if cull.empty and boost.empty:
        return say(
            zh="{n} 条内容中，没有哪条能有把握地判为该停或该推；继续测试。",
            en="Of {n} items none is surely to be stopped or pushed; keep testing.",
            n=text.number(len(table)),
        )
    return say(
        zh="停止展示 {cull} 条、加大曝光 {boost} 条内容，预计每周多 {gain} 次{what}。",
        en="Stop showing {cull} items and push {boost}: about {gain} more {what} a week.",
        cull=len(cull),
        boost=len(boost),
        gain=text.number(_whole(cull) + _whole(boost)),
        what=outcome_name(outcome),
    )


def _whole(rows: pd.DataFrame) -> int:
    """What a list brings a week, as its own sentence says it: the two add up on the page."""
    return round(float(rows["gain"].sum()))


def evidence(table: pd.DataFrame, decision: str, outcome: str) -> list[str]:
    """For each item of a list, what speaks for it, in one line."""
    return [_evidence(row, outcome) for row in chosen(table, decision).to_dict("records")]


def _evidence(row: dict[str, Any], outcome: str) -> str:
    return say(
        zh="{shown} 次曝光得到 {hits} 次{what}，同类目平均内容{where}应有 {expected} 次；指数 {index}（{span}）",
        en="{shown} impressions brought {hits} {what}, an average item {where} {expected}; index {index} ({span})",
        where=say(zh="在相同位置", en="in the same places")
        if "worth" in row
        else say(zh="在同样曝光下", en="with as many impressions"),
        shown=text.number(row["impressions"]),
        hits=text.number(row["hits"]),
        what=outcome_name(outcome),
        expected=text.number(row["expected"], 1),
        index=text.write(row["index"], "times"),
        span=text.interval(row["low"], row["high"], "times"),
    )


def cull(table: pd.DataFrame, outcome: str, rules: Rules) -> list[Finding]:
    """What to stop showing: the list as a whole, then the item that wastes most."""
    rows = chosen(table, "cull")
    if rows.empty:
        return [_nothing("cull", table, rules.cull_below)]
    words = say(
        zh="有 {n} 条内容应停止展示：占{lately} {share} 的曝光，{what}不到应有的 {limit}；让出曝光每周约多 {gain} 次{what}；预计误判 {wrong} 条。",
        en="{n} items should no longer be shown: they take {share} of {lately} impressions and bring under {limit} of the {what} they should; freed, these are worth about {gain} more {what} a week; {wrong} of the items are to be expected wrong.",
        n=len(rows),
        lately=_lately(table),
        share=text.write(rows["week"].sum() / table["week"].sum(), "share"),
        limit=text.percent(rules.cull_below, 0),
        what=outcome_name(outcome),
        gain=text.number(_whole(rows)),
        wrong=_few(float(rows["wrong"].sum())),
    )
    return _listed("cull", words, rows, table, outcome)


def boost(table: pd.DataFrame, outcome: str, rules: Rules) -> list[Finding]:
    """What deserves more exposure: the list as a whole, then the item that would bring most.

    Nothing where nobody tells how often items were shown: `cull` has said so.
    """
    rows = chosen(table, "boost")
    if rows.empty and unexposed(table):
        return []
    if rows.empty:
        return [_nothing("boost", table, rules.boost_above)]
    words = say(
        zh="有 {n} 条内容值得加大曝光：占{lately} {share} 的曝光，指数都高于 {limit}；曝光增至 {times}，每周约多 {gain} 次{what}；预计误判 {wrong} 条。",
        en="{n} items deserve more exposure: they hold {share} of {lately} impressions, each with an index above {limit}; shown {times} as often they bring about {gain} more {what} a week; {wrong} of the items are to be expected wrong.",
        n=len(rows),
        lately=_lately(table),
        share=text.write(rows["week"].sum() / table["week"].sum(), "share"),
        limit=text.write(rules.boost_above, "times"),
        times=f"{rules.boost_times:g}×",
        what=outcome_name(outcome),
        gain=text.number(_whole(rows)),
        wrong=_few(float(rows["wrong"].sum())),
    )
    return _listed("boost", words, rows, table, outcome)


def _listed(decision: str, words: str, rows: pd.DataFrame, table: pd.DataFrame, outcome: str) -> list[Finding]:
    """The list as a whole, which is what is to be done; then its first item, to show what the evidence looks like.

    The interval is that of the gain: items' errors are independent, given the prior that they share.
    """
    gain, half = rows["gain"].sum(), np.sqrt((((rows["gain_high"] - rows["gain_low"]) / 2) ** 2).sum())
    whole = Finding(
        f"content.{decision}",
        "act",
        words,
        metric=f"content.{decision}",
        value=round(float(gain)),
        low=round(float(gain - half)),
        high=round(float(gain + half)),
        n=len(table),
    )
    return [whole, _item(decision, rows.iloc[0].to_dict(), outcome)]


def _item(decision: str, row: dict[str, Any], outcome: str) -> Finding:
    return Finding(
        f"content.{decision}.{row['content_id']}",
        "info",
        say(
            zh="最该{verb}的是「{title}」（「{category}」）：{why}；判错概率 {wrong}。",
            en="First to {verb}: “{title}” (“{category}”), {why}; chance of being wrong {wrong}.",
            verb=say(zh="停止展示", en="stop showing") if decision == "cull" else say(zh="多展示", en="push"),
            title=titled(row),
            category=row["category"],
            why=text.Clean(_evidence(row, outcome)),
            wrong=text.write(row["wrong"], "chance"),
        ),
        metric="content.index",
        value=row["index"],
        low=row["low"],
        high=row["high"],
        n=row["impressions"],
        base=1.0,
        format="times",
    )


def titled(row: dict[str, Any]) -> str:
    """What an item is called: its title; one without goes by its id."""
    return text.shown(row["title"] if not text.missing(row["title"]) and row["title"] else row["content_id"], 40)


def _few(number: float) -> str:
    return "<0.1" if number < 0.1 else text.number(number, 1)


def _lately(table: pd.DataFrame) -> str:
    """Posts tell how often they were shown in all, not last week."""
    return say(zh="期内", en="all") if "exposed" in table else say(zh="近期", en="recent")


def unexposed(table: pd.DataFrame) -> bool:
    """Nobody told how often items were shown."""
    return "exposed" in table and not table["exposed"].any()


def _nothing(decision: str, table: pd.DataFrame, limit: float) -> Finding:
    if unexposed(table):
        words = say(
            zh="数据里没有曝光或触达数：{n} 条内容只能相互比较，不能判定该停还是该推（展示多的互动自然多）；请载入 impressions 或 reach 列。",
            en="The data tells no impressions and no reach: {n} items can be compared, but neither stopped nor pushed, because what is shown more gets more reactions; load a column impressions or reach.",
            n=text.number(len(table)),
        )
        return Finding(f"content.{decision}.none", "info", words, metric=f"content.{decision}")
    what = {
        "cull": say(zh="没有内容能有把握地判为该停止展示", en="No item is surely bad enough to stop showing it"),
        "boost": say(zh="没有内容能有把握地判为该加大曝光", en="No item is surely good enough to push it"),
    }
    return Finding(
        f"content.{decision}.none",
        "info",
        say(
            zh="{what}（界限为平均的 {limit}）；{n} 条继续测试。",
            en="{what} (the line is {limit} the average); {n} items keep testing.",
            what=what[decision],
            limit=text.write(limit, "times"),
            n=text.number(len(table)),
        ),
        metric=f"content.{decision}",
    )


def actions(table: pd.DataFrame, outcome: str, due: dt.date) -> list[Action]:
    """Who does what with the two lists."""
    when = str(due + dt.timedelta(days=7))
    cull, boost = chosen(table, "cull"), chosen(table, "boost")
    found = []
    if len(cull):
        title = say(
            zh="按停止展示名单停止推荐 {n} 条内容",
            en="Take the {n} items of the cull list out of all lists",
            n=len(cull),
        )
        found.append(Action(title, "operations", say(zh="每周浪费 {n} 次曝光", en="{n} impressions a week wasted", n=text.number(cull["week"].sum())), "content.cull", due_on=when))  # fmt: skip
    if len(boost):
        title = say(
            zh="为加大曝光名单的 {n} 条内容提高推荐权重",
            en="Raise the weight of the {n} items of the boost list",
            n=len(boost),
        )
        found.append(Action(title, "product", say(zh="预计每周多 {n} 次{what}", en="About {n} more {what} a week", n=text.number(_whole(boost)), what=outcome_name(outcome)), "content.boost", due_on=when))  # fmt: skip
    return found


def followed(table: pd.DataFrame) -> list[Finding]:
    """What became of the items of the last lists."""
    found = []
    for name, words in (("cull", say(zh="停止展示", en="stop showing")), ("boost", say(zh="加大曝光", en="push"))):
        rows = table[table["listed_as"] == name]
        if rows.empty:
            continue
        done, left = int((rows["became"] == "followed").sum()), int((rows["became"] == "not_followed").sum())
        found.append(
            Finding(
                f"content.followed.{name}",
                "good" if done == len(rows) else "watch" if left else "info",
                say(
                    zh="上次建议{what}的 {n} 条中，{done} 条已照办，{left} 条未照办且仍在名单上；周曝光由 {before} 变为 {now}。",
                    en="Of {n} items that the last report wanted to {what}, {done} were acted on and {left} were not and are still listed; impressions a week went from {before} to {now}.",
                    what=words,
                    n=len(rows),
                    done=done,
                    left=left,
                    before=text.number(rows["week_before"].sum()),
                    now=text.number(rows["week"].sum()),
                ),
                metric=f"content.{name}",
            )
        )
    return found
