"""What the comparison of definitions says: which tool shows which number, and the choice that makes the difference."""

from __future__ import annotations

from typing import Any

import pandas as pd

from opslib import columns, text
from opslib.models.definitions import OURS
from opslib.report.finding import Finding
from opslib.text import Clean, say

NOTABLE = 0.2  # of our own number; a smaller gap is worth a line, not a look
TRIES = ("mixpanel_totals",)  # tools that count tries instead of people


def reason(rule: str) -> str:
    """The choice in one clause."""
    return {
        "inside_period": say(
            zh="统计期结束后才完成的步骤不算", en="steps done after the end of the period do not count"
        ),
        "drop_user": say(
            zh="做过排除事件的用户移出漏斗，除非另有一次未受排除且走得一样远",
            en="whoever does the excluded event leaves the whole funnel, unless another try of theirs came as far",
        ),
        "first_entry": say(
            zh="只从第一次进入开始计时，再次进入不重新计时",
            en="only the first entry starts the clock, a later one does not start it anew",
        ),
        "attempts": say(zh="数的是次数，不是人数", en="tries are counted, not users"),
        "window_each_step": say(
            zh="窗口不从第一步算起，而是每一步从前一步重新算",
            en="the window does not run from the first step but anew from each step",
        ),
        "rolling_24h": say(
            zh="一天是从进入那一刻起的 24 小时，不是日历日",
            en="a day is 24 hours from the moment of entry, not a calendar day",
        ),
        "rolling_24h_hour_floored": say(
            zh="一天是从进入的那个整点起的 24 小时，不是日历日",
            en="a day is 24 hours from the full hour of entry, not a calendar day",
        ),
        "on_or_after": say(
            zh="当天没来、之后任何一天来过也算", en="a return on any later day counts, not only one on the day itself"
        ),
        "first_matching": say(
            zh="从第一次符合条件的行为算起，首次行为不符合的用户也计入",
            en="the first event that passes the filter opens the cohort, also for users whose first event does not",
        ),
        "every_start": say(zh="每个有起始行为的日子都算一次新的开始", en="every day with a start opens a cohort again"),
        "size_squared": say(
            zh="平均行按群组规模加权两次，大群组更重",
            en="the average weighs cohorts by size twice, large ones count more",
        ),
    }[rule]


def headline(converted: pd.DataFrame, back: pd.DataFrame, n: int) -> str:
    """The page's one sentence: our number, and the one furthest from it, for both questions."""
    people = converted[~converted["tool"].isin(TRIES)]
    mine, other = _ours(people), _furthest(people)
    kept, shown = _ours(back), _furthest(back)
    if other["lost"] == 0 and shown["lost"] == 0:
        return say(
            zh="在这份数据上，各家定义给出同一个数：{users} 人转化，第 {n} 日留存 {rate}。",
            en="On this data all definitions give the same numbers: {users} converted, day-{n} retention {rate}.",
            users=text.number(mine["converted"]),
            n=n,
            rate=text.percent(kept["rate"]),
        )
    return say(
        zh="同一份数据，两个数：{converted}；{kept}。差别来自定义。",
        en="One data set, two numbers: {converted}; {kept}. The definitions make the difference.",
        converted=Clean(_sides_of_funnel(mine, other)),
        kept=Clean(_sides_of_retention(kept, shown, n)),
    )


def _sides_of_funnel(mine: pd.Series, other: pd.Series) -> str:
    """Our number of converted users and the furthest, or that there is but one."""
    if other["lost"] == 0:
        return say(zh="各家都是 {n} 人转化", en="{n} converted by every definition", n=text.number(mine["converted"]))
    return say(
        zh="我方 {users} 人转化，「{tool}」是 {other}",
        en="{users} converted by our definition, {other} by {tool}",
        users=text.number(mine["converted"]),
        tool=_tool(other),
        other=text.number(other["converted"]),
    )


def _sides_of_retention(kept: pd.Series, shown: pd.Series, n: int) -> str:
    """Our retention and the furthest, or that there is but one."""
    if shown["lost"] == 0:
        return say(
            zh="第 {n} 日留存各家都是 {rate}",
            en="day-{n} retention is {rate} by every definition",
            n=n,
            rate=text.percent(kept["rate"]),
        )
    return say(
        zh="第 {n} 日留存我方 {rate}，「{tool}」是 {shown}",
        en="day-{n} retention is {rate} by ours, {shown} by {tool}",
        n=n,
        rate=text.percent(kept["rate"]),
        tool=_tool(shown),
        shown=text.percent(shown["rate"]),
    )


def funnels(converted: pd.DataFrame, choices: pd.DataFrame) -> list[Finding]:
    """One finding for each tool that shows another number, the furthest first, and one for those that show ours."""
    mine = _ours(converted)
    apart, same = _split(converted, converted["entered"] != mine["entered"])
    found = [_funnel(row, mine, _effects(choices, row["tool"], text.number)) for row in apart]
    return found + _same("funnel", same, say(zh="{n} 人转化", en="{n} converted", n=text.number(mine["converted"])))


def _funnel(row: dict[str, Any], mine: pd.Series, why: str) -> Finding:
    unit = say(zh="次", en="tries") if row["tool"] in TRIES else say(zh="人", en="users")
    sides = {
        "tool": _tool(row),
        "n": text.number(row["converted"]),
        "entered": text.number(row["entered"]),
        "unit": Clean(unit),
        "ours": text.number(mine["converted"]),
        "all": text.number(mine["entered"]),
        "way": Clean(_way(row["lost"])),
        "gap": text.number(abs(row["lost"])),
        "why": Clean(why),
    }
    return Finding(
        f"definition.funnel.{row['tool']}",
        "watch" if abs(row["lost"]) >= NOTABLE * mine["converted"] else "info",
        say(
            zh="「{tool}」会显示 {entered} {unit}进入、{n} {unit}转化，转化比我方的 {ours}（{all} 人进入）{way} {gap}：{why}。",
            en="{tool} shows {n} converted of {entered} {unit}, {gap} {way} than our {ours} of {all}: {why}.",
            **sides,
        )
        if row["lost"]
        else say(
            zh="「{tool}」的转化数与我方相同（{n}），但进入的是 {entered} {unit}，我方 {all} 人：{why}。",
            en="{tool} shows as many converted as ours ({n}), but of {entered} {unit} that entered instead of {all}: {why}.",
            **sides,
        ),
        metric="funnel.conversion",
        value=row["rate"],
        low=row["low"],
        high=row["high"],
        n=row["entered"],
        base=mine["rate"],
        format="percent",
    )


def funnel_text(converted: pd.DataFrame, choices: pd.DataFrame) -> str:
    """The same for a terminal: a line for each tool, then the sentences."""
    lines = [
        f"{_tool(row)}: {text.number(row['converted'])} / {text.number(row['entered'])}"
        for row in converted.to_dict("records")
    ]
    return "\n".join([*lines, "", *(finding.text for finding in funnels(converted, choices))])


def retention_text(back: pd.DataFrame, choices: pd.DataFrame, n: int) -> str:
    """The same for a terminal: a line for each tool, then the sentences."""
    lines = [
        f"{_tool(row)}: {text.percent(row['rate'])} ({text.number(row['users'])} / {text.number(row['size'])})"
        for row in back.to_dict("records")
    ]
    return "\n".join([*lines, "", *(finding.text for finding in retentions(back, choices, n))])


def retentions(back: pd.DataFrame, choices: pd.DataFrame, n: int) -> list[Finding]:
    """One finding for each tool whose day-n retention is another, the furthest first, and one for those that show ours."""
    mine = _ours(back)
    apart, same = _split(back)
    found = [_retention(row, mine, n, _effects(choices, row["tool"], text.points)) for row in apart]
    return found + _same("retention", same, say(zh="{rate}", en="{rate}", rate=text.percent(mine["rate"])))


def _retention(row: dict[str, Any], mine: pd.Series, n: int, why: str) -> Finding:
    return Finding(
        f"definition.retention.{row['tool']}",
        "watch" if abs(row["lost"]) >= NOTABLE * mine["rate"] else "info",
        say(
            zh="「{tool}」的第 {n} 日留存是 {rate}，我方 {ours}：{why}。",
            en="Day-{n} retention by {tool} is {rate}, by ours {ours}: {why}.",
            tool=_tool(row),
            n=n,
            rate=text.percent(row["rate"]),
            ours=text.percent(mine["rate"]),
            why=Clean(why),
        ),
        metric="retention.n_day",
        value=row["rate"],
        low=row["low"],
        high=row["high"],
        n=row["size"],
        base=mine["rate"],
        format="percent",
        no_interval=say(
            zh="按规模加权两次的平均没有简单区间", en="no simple interval for an average weighted by size twice"
        ),
    )


def largest(choices: pd.DataFrame, kind: str) -> Finding | None:
    """The single choice that moves the number most."""
    moved = choices[choices["effect"] != 0]
    moved = moved[~moved["tool"].isin(TRIES)]
    if moved.empty:
        return None
    row = moved.loc[moved["effect"].abs().idxmax()]
    write = text.points if kind == "retention" else text.number
    return Finding(
        f"definition.choice.{kind}",
        "info",
        say(
            zh="改变最大的一个选择是「{rule}」（{tool}）：{why}，{effect}。",
            en="The one choice that changes most is “{rule}” ({tool}): {why}, {effect}.",
            rule=columns.value_name("rule", row["rule"]),
            tool=_tool(row),
            why=Clean(reason(row["rule"])),
            effect=_signed(row["effect"], write),
        ),
    )


def _ours(rows: pd.DataFrame) -> pd.Series:
    mine = rows[rows["tool"] == OURS]
    return mine.iloc[0] if len(mine) else rows.iloc[0]


def _furthest(rows: pd.DataFrame) -> pd.Series:
    return rows.loc[rows["lost"].abs().idxmax()]


def _split(rows: pd.DataFrame, also: pd.Series | None = None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The tools that show another number, or of which `also` says so, the furthest first; and those that show ours."""
    differs = (rows["lost"] != 0) | (False if also is None else also)
    others = rows["tool"] != OURS
    apart = rows[others & differs].sort_values("lost", key=lambda gap: -gap.abs(), kind="stable")
    return apart.to_dict("records"), rows[others & ~differs].to_dict("records")


def _effects(choices: pd.DataFrame, tool: str, write: Any) -> str:
    """What each of a tool's choices changes, as clauses."""
    rows = choices[choices["tool"] == tool].to_dict("records")
    parts = [
        say(
            zh="{why}（{effect}）",
            en="{why} ({effect})",
            why=Clean(reason(row["rule"])),
            effect=_signed(row["effect"], write),
        )
        for row in rows
    ]
    return say(zh="；", en="; ").join(parts)


def _signed(value: float, write: Any) -> str:
    words = write(value)
    return words if value <= 0 or words.startswith("+") else f"+{words}"


def _same(kind: str, rows: list[dict[str, Any]], what: str) -> list[Finding]:
    if not rows:
        return []
    names = say(zh="、", en=", ").join(_tool(row) for row in rows)
    return [
        Finding(
            f"definition.{kind}.same",
            "info",
            say(
                zh="在这份数据上与我方一致（{what}）：{names}。",
                en="The same as ours on this data ({what}): {names}.",
                what=Clean(what),
                names=Clean(names),
            ),
        )
    ]


def _tool(row: Any) -> Clean:
    return Clean(columns.value_name("tool", row["tool"]))


def _way(gap: float) -> str:
    return say(zh="多", en="more") if gap > 0 else say(zh="少", en="fewer")
