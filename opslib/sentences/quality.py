"""What the data-quality report says: one finding for each way in which data can mislead, computed from its table."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from opslib import text
from opslib.report.finding import Action, Finding
from opslib.text import say

Findings = dict[str, list[Finding]]


def findings(
    overview: pd.DataFrame,
    loads: pd.DataFrame,
    aside: pd.DataFrame,
    daily: pd.DataFrame,
    filled: pd.DataFrame,
    twice: pd.DataFrame,
) -> Findings:
    """The report's findings by section: contract, volume, quarantine, loads, columns, repeats."""
    return {
        "contract": [_contract(overview)],
        "volume": [_volume(daily)],
        "quarantine": [_quarantine(aside, int(overview.loc[overview["table"] != "daily", "rows"].sum()))],
        "loads": [_late(loads)],
        "columns": [_columns(filled)],
        "repeats": [_repeats(twice, int(daily["rows"].sum()))],
    }


def _contract(overview: pd.DataFrame) -> Finding:
    broken = overview[overview["problems"] > 0]
    if broken.empty:
        words = say(zh="{n} 张表全部符合数据契约。", en="All {n} tables keep the contract.", n=len(overview))
        return Finding("quality.contract", "good", words)
    words = say(
        zh="{n} 张表不符合数据契约：{first}。",
        en="{n} tables break the contract: {first}.",
        n=len(broken),
        first=broken.iloc[0]["problem"],
    )
    return Finding("quality.contract", "act", words)


def _volume(daily: pd.DataFrame) -> Finding:
    holes, thin = daily[daily["kind"] == "hole"], daily[daily["kind"] == "thin"]
    if holes.empty and thin.empty:
        words = say(
            zh="{days} 天里没有空洞，也没有明显过少的日子。",
            en="No hole and no thin day among {days}.",
            days=len(daily),
        )
        level = "good"
    else:
        words = say(
            zh="{what}；最近一次是 {day}。",
            en="{what}; the latest is {day}.",
            what=_days(len(holes), len(thin)),
            day=text.day(max(group["day"].max() for group in (holes, thin) if len(group))),
        )
        level = "act" if len(holes) else "watch"
    return Finding(
        "quality.volume",
        level,
        words,
        metric="quality.rows",
        value=len(holes) + len(thin),
        n=len(daily),
        no_interval="census",
    )


def _days(holes: int, thin: int) -> text.Clean:
    told = [
        say(zh="{n} 天没有任何事件", en="{n} without a single event", n=text.some(holes, "day")) if holes else "",
        say(zh="{n} 天的事件明显过少", en="{n} with far fewer events than usual", n=text.some(thin, "day"))
        if thin
        else "",
    ]
    both = say(zh="{n} 天不寻常：", en="{n} unusual days: ", n=holes + thin) if holes and thin else ""
    return text.Clean(both + say(zh="，", en=", ").join(filter(None, told)))


def _quarantine(aside: pd.DataFrame, held: int) -> Finding:
    rows = int(aside["rows"].sum()) if len(aside) else 0
    read = held + rows  # each row once, however often its file was loaded
    if not rows:
        words = say(
            zh="隔离区是空的：{read} 行全部可用。",
            en="The quarantine is empty: all {read} rows can be used.",
            read=text.number(read),
        )
        return Finding(
            "quality.quarantine", "good", words, metric="quality.quarantined", value=0, n=read, no_interval="census"
        )
    first = aside.iloc[0]
    words = say(
        zh="{rows} 行在隔离区，最常见的原因见「{source}」第 {line} 行：{reason}。",
        en="{rows} rows are in the quarantine, the commonest reason as in “{source}” line {line}: {reason}.",
        rows=text.number(rows),
        source=first["source"],
        line=int(first["line"]),
        reason=first["reason"],
    )
    level = "act" if rows > 0.01 * max(read, 1) else "watch"
    return Finding(
        "quality.quarantine", level, words, metric="quality.quarantined", value=rows, n=read, no_interval="census"
    )


def _late(loads: pd.DataFrame) -> Finding:
    late = int(loads["late"].sum())
    new = int(loads["new"].sum())
    some = say(zh="其中 {late} 行迟到", en="{late} of them late", late=text.number(late))
    words = say(
        zh="最近 {loads} 次加载带来 {new} 行新数据，{late}。",
        en="The last {loads} brought {new} new rows, {late}.",
        loads=text.some(len(loads), "load"),
        new=text.number(new),
        late=some if late else say(zh="没有迟到的行", en="none of them late"),
    )
    level = "watch" if late > 0.01 * max(new, 1) else "info"
    return Finding("quality.late", level, words, metric="quality.late", value=late, n=new, no_interval="census")


def _columns(filled: pd.DataFrame) -> Finding:
    gone = filled[filled["went_empty"]]
    if gone.empty:
        words = say(zh="没有字段变空。", en="No column went empty.")
        return Finding("quality.columns", "good", words, metric="quality.filled")
    first = gone.iloc[0]
    words = say(
        zh="{n} 个字段变空：{column} 的填充率从 {before} 降到 {now}。",
        en="{n} columns went empty: {column} is filled in {now} of rows, before in {before}.",
        n=len(gone),
        column=first["column"],
        before=text.percent(first["before"]),
        now=text.percent(first["now"]),
    )
    return Finding(
        "quality.columns",
        "act",
        words,
        metric="quality.filled",
        value=first["now"],
        n=first["rows"],
        format="percent",
        no_interval="census",
    )


def filled_title(filled: pd.DataFrame, last: dt.date) -> str:
    """What the figure of columns shows; the last week may have just begun, so its days and rows are said."""
    if filled.empty:
        return say(zh="最近一周的字段填充率", en="Share filled in the last week")
    first, days = text.day(filled["start"].max()), text.day(last)
    rows = text.number(filled["rows"].max())
    if first >= days:
        return say(zh="{day} 的字段填充率（{rows} 行）", en="Share filled on {day} ({rows} rows)", day=days, rows=rows)
    return say(
        zh="{first} 至 {last} 的字段填充率（{rows} 行）",
        en="Share filled, {first} to {last} ({rows} rows)",
        first=first,
        last=days,
        rows=rows,
    )


def _repeats(twice: pd.DataFrame, rows: int) -> Finding:
    extra = int(twice["extra"].sum()) if len(twice) else 0
    share = extra / rows if rows else 0.0
    if extra and twice["on_minute"].sum() >= 0.99 * twice["rows"].sum():
        words = say(
            zh="事件时间只精确到分钟，{extra} 行同分钟的事件无法与重复上报区分。",
            en="Times are kept to the minute only: {extra} events of one minute cannot be told from events sent twice.",
            extra=text.number(extra),
        )
        return Finding(
            "quality.repeats", "info", words, metric="quality.repeats", value=extra, n=rows, no_interval="census"
        )
    words = say(
        zh="{extra} 行疑似重复上报，占全部事件的 {share}。",
        en="Rows that look sent twice: {extra}, {share} of all events.",
        extra=text.number(extra),
        share=text.percent(share, 2),
    )
    if not extra:
        words = say(zh="没有疑似重复上报的事件。", en="No event looks sent twice.")
    level = "watch" if share > 0.005 else "good" if not extra else "info"
    return Finding("quality.repeats", level, words, metric="quality.repeats", value=extra, n=rows, no_interval="census")


def verdict(found: Findings) -> str:
    """The page's one sentence: the gravest finding, or that the data can be used."""
    every = [f for group in found.values() for f in group]
    for level in ("act", "watch"):
        grave = [f for f in every if f.level == level]
        if grave:  # of two of a level the one that touches the larger share of its rows
            return max(grave, key=lambda f: (f.value or 0) / f.n if f.n else 0.0).text
    return say(
        zh="数据可以放心使用：{n} 项检查都通过。", en="The data can be used: all {n} checks passed.", n=len(every)
    )


def period(daily: pd.DataFrame) -> str:
    """First and last local day of the events."""
    if daily.empty:
        return ""
    first, last = text.day(daily["day"].min()), text.day(daily["day"].max())
    return say(zh="{first} 至 {last}", en="{first} to {last}", first=first, last=last)


def actions(found: Findings) -> list[Action]:
    """A next step for engineering for every finding that needs one."""
    names = {
        "contract": say(zh="按契约修复导出", en="Mend the export to keep the contract"),
        "volume": say(zh="补传缺失日期的数据", en="Send the missing days again"),
        "quarantine": say(zh="修复隔离区里的行并重新加载", en="Mend the rows put aside and load them again"),
        "loads": say(zh="查清数据为何迟到", en="Find out why rows come late"),
        "columns": say(zh="恢复变空字段的采集", en="Restore tracking of the columns that went empty"),
        "repeats": say(zh="查重复上报的埋点", en="Find the tracking call that sends twice"),
    }
    graves = [(name, f) for name, group in found.items() for f in group if f.level in ("act", "watch")]
    return [Action(names[name], "engineering", evidence=f.text, metric=f.metric) for name, f in graves]
