"""What the report on users says: states and flows, the months ahead, habits, RFM, first steps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from opslib import columns, privacy, text
from opslib.errors import TooLittleError
from opslib.models.rhythm import STATES as RULES
from opslib.models.statebook import CHECKS, STATES
from opslib.report.finding import Finding
from opslib.text import say

PERIODS = {
    "day": ("每天", "daily"),
    "three_days": ("每三天", "every three days"),
    "week": ("每周", "weekly"),
    "fortnight": ("每两周", "every two weeks"),
    "month": ("每月", "monthly"),
}


def pp(value: float) -> str:
    """A difference of shares whose direction the sentence says."""
    return say(zh="{v} 个百分点", en="{v} points", v=text.number(abs(value) * 100, 1))


def census() -> str:
    return say(zh="全量", en="census")


def slipped(lost: pd.DataFrame, days: int, *, short: bool = False) -> Finding | None:
    """The share of those here a month ago who are gone, against the month before.

    `short`: the thresholds are shorter than the users' rhythm, so that being away is no alarm.
    """
    row = lost.iloc[0]
    if not row["of"]:
        return None
    rate = row["hits"] / row["of"]
    worse, better = row["low"] > 0, row["high"] < 0
    level = ("watch" if short else "act") if worse else "good" if better else "info"
    base = row["base_hits"] / row["base_of"] if row["base_of"] else np.nan
    turn = (
        say(
            zh="比此前 {days} 天高 {by}",
            en="{by} more than in the {days} days before",
            days=days,
            by=pp(row["diff"]),
        )
        if worse
        else say(
            zh="比此前 {days} 天低 {by}",
            en="{by} less than in the {days} days before",
            days=days,
            by=pp(row["diff"]),
        )
        if better
        else say(zh="与此前 {days} 天没有显著差异", en="no clear change from the {days} days before", days=days)
    )
    return Finding(
        "users.slipped",
        level,
        say(
            zh="{days} 天前在用的 {of} 人中，{rate} 现在沉默或流失，{turn}。",
            en="Of the {of} users here {days} days ago, {rate} are silent or churned now, {turn}.",
            days=days,
            of=text.number(row["of"]),
            rate=text.percent(rate),
            turn=turn,
        ),
        metric="state.lost",
        value=rate,
        low=row["rate_low"],
        high=row["rate_high"],
        n=row["of"],
        base=base,
        format="percent",
    )


def standing(book: pd.DataFrame) -> Finding:
    """How many are here now."""
    rows = book.set_index("state")["users"]
    parts = {name: privacy.people(rows[name]) for name in ("new", "active", "retained")}
    if privacy.withheld() in parts.values():  # a sum beside the other parts would tell what is withheld
        told = say(
            zh="现在在用的用户：新增 {new}，活跃 {active}，留存 {retained}。",
            en="Users who are here now: {new} new, {active} active, {retained} retained.",
            **parts,
        )
        return Finding("users.here", "info", told, metric="state.active")
    here = book[book["state"].isin(parts)]
    now, before = here["users"].sum(), here["users_before"].sum()
    return Finding(
        "users.here",
        "info",
        say(
            zh="现在在用 {now} 人（新增：{new}，活跃：{active}，留存：{retained}），一个月前 {before} 人。",
            en="{now} users are here now ({new} new, {active} active, {retained} retained); a month ago {before}.",
            now=text.number(now),
            before=privacy.people(before),
            **parts,
        ),
        metric="state.active",
        value=now,
        n=book["users"].sum(),
        base=before,
        no_interval=census(),
    )


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """States in their order, the largest groups first."""
    order = pd.Categorical(table["state"], STATES)
    rows = table.assign(at=order).sort_values(["size", "group", "at"], ascending=[False, True, True])
    return rows.drop(columns="at").reset_index(drop=True)


def broken_down(*tables: pd.DataFrame) -> pd.DataFrame:
    """The tables with more than one group under each other.

    Raises
    ------
    TooLittleError  where all users are in one group.
    """
    told = [table for table in tables if table["group"].nunique() > 1]
    if not told:
        raise TooLittleError(
            say(zh="用户表没有记录渠道与平台", en="the table of users tells neither channels nor platforms apart")
        )
    return pd.concat(told, ignore_index=True)


def groups(table: pd.DataFrame, state: str, by: str) -> Finding | None:
    """The channel or platform with the largest share in a state, and the smallest one."""
    rows = table[(table["state"] == state) & (table["size"] >= 100)].sort_values("rate")
    if len(rows) < 2:
        return None
    best, worst = rows.iloc[0], rows.iloc[-1]
    return Finding(
        f"users.{state}.{by}",
        "watch" if by == "platform" and worst["low"] > best["high"] else "info",
        say(
            zh="{by}中，{state}占比最高的是「{worst}」（{rate}），最低的是「{best}」（{other}）。",
            en="By {by}, the largest share {state} is in “{worst}” ({rate}), the smallest in “{best}” ({other}).",
            by=columns.label(by).lower(),
            state=columns.value_name("state", state).lower(),
            worst=columns.value_name("platform", worst["group"]),
            rate=text.percent(worst["rate"]),
            best=columns.value_name("platform", best["group"]),
            other=text.percent(best["rate"]),
        ),
        metric=f"state.{state}",
        value=worst["rate"],
        low=worst["low"],
        high=worst["high"],
        n=worst["size"],
        base=best["rate"],
        format="percent",
    )


def ahead(table: pd.DataFrame, weeks: int) -> Finding:
    """How many will be here, and what this rule was worth last time."""
    row = table[table["state"] == "here"].iloc[0]
    check = (
        say(
            zh="同一算法对今天的预测偏差 {off}",
            en="for today the same rule was off by {off}",
            off=text.percent(row["off"], sign=True),
        )
        if np.isfinite(row["off"])
        else say(zh="历史太短，没有检验", en="the history is too short to check the rule")
    )
    return Finding(
        "users.ahead",
        "watch" if row["high"] < row["users"] else "info",
        say(
            zh="若流转不变，{weeks} 周后在用约 {then} 人（现在 {now}）；{check}。",
            en="If flows stay as they are, about {then} users will be here in {weeks} weeks (now {now}); {check}.",
            weeks=weeks,
            then=text.number(row["expected"], 0),
            now=text.number(row["users"]),
            check=check,
        ),
        metric="state.forecast",
        value=row["expected"],
        low=row["low"],
        high=row["high"],
        n=row["users"],
        base=row["users"],
    )


def ahead_note(table: pd.DataFrame, days: int) -> str:
    """What the interval of the forecast holds."""
    checks = int(table["checks"].iloc[0])
    held = (
        say(zh="区间含随机波动与此前 {k} 次预测的偏差", en="the interval holds chance and the misses of {k} earlier forecasts", k=checks)
        if checks >= CHECKS
        else say(zh="历史太短，看不出流转的变化，区间只含随机波动", en="too short a history to see flows change: the interval holds chance only")
    )  # fmt: skip
    return say(
        zh="用最近 {days} 天的流转再走一步，新增按同样人数；{held}。",
        en="One more step of the last {days} days' flows, with as many new users; {held}.",
        days=days,
        held=held,
    )


def thresholds(table: pd.DataFrame, rule: Mapping[str, int], asked: int) -> Finding | None:
    """Which thresholds the states have, where not the usual ones; that they are shorter than users' own rhythm, if so."""
    row, silent = table.iloc[0], rule["silent_days"]
    short, adapted = row["p80"] > silent, not asked and silent != RULES[0][0]
    if not short and not adapted:
        return None
    told = (
        say(
            zh="五分之一的间隔超过 {p80} 天，而 {silent} 天没来就记为沉默：门槛比用户的节奏短，建议把 silent_days、churn_days 调长。",
            en="One gap in five is longer than {p80} days, yet after {silent} days a user counts as silent: raise silent_days and churn_days to the users' rhythm.",
            p80=text.number(row["p80"]),
            silent=silent,
        )
        if short
        else say(
            zh="五分之四的间隔不超过 {p80} 天，所以沉默与流失的门槛按用户的节奏取 {silent} 天与 {churn} 天（常用的是 {usual} 天与 {gone} 天）。",
            en="Four of five gaps are {p80} days at most, so a user counts as silent after {silent} days and as churned after {churn}, by the users' own rhythm (usual: {usual} and {gone}).",
            p80=text.number(row["p80"]),
            silent=silent,
            churn=rule["churn_days"],
            usual=RULES[0][0],
            gone=RULES[0][1],
        )
    )
    return Finding(
        "users.threshold",
        "watch" if short else "info",
        told,
        metric="activity.usage_interval",
        value=row["p80"],
        n=row["pairs"],
        base=silent,
        no_interval=census(),
    )


def rhythm(table: pd.DataFrame) -> Finding:
    """The natural interval of use, and the period of reporting that it suggests."""
    row = table.iloc[0]
    zh, en = PERIODS[row["period"]]
    return Finding(
        "users.interval",
        "info",
        say(
            zh="典型用户隔 {median} 天再来，五分之四的间隔不超过 {p80} 天：适合按「{period}」看活跃与留存。",
            en="The typical user is back after {median} days, four of five gaps are {p80} days at most: look at activity {period}.",
            median=text.number(row["median"]),
            p80=text.number(row["p80"]),
            period=zh if text.language() == "zh" else en,
        ),
        metric="activity.usage_interval",
        value=row["median"],
        n=row["pairs"],
        no_interval=census(),
    )


def sticky(active: pd.DataFrame, curve: pd.DataFrame) -> Finding | None:
    """DAU / MAU, and the share of heavy users."""
    if active.empty or not active["users"].iloc[-1]:
        return None
    row = active.iloc[-1]
    heavy = curve.loc[curve["often"], "users"].sum()
    ratio = row["user_days"] / (row["days"] * row["users"])
    return Finding(
        "users.stickiness",
        "info",
        say(
            zh="近 {days} 天平均每天来的人占当月活跃的 {ratio}；{heavy} 人（{share}）四分之三以上的日子都来。",
            en="On an average day {ratio} of the active users of {days} days came; {heavy} ({share}) came on three days of four or more.",
            days=int(row["days"]),
            ratio=text.percent(ratio),
            heavy=text.number(heavy),
            share=text.percent(heavy / curve["users"].sum()),
        ),
        metric="activity.dau_mau",
        value=ratio,
        n=row["users"],
        format="percent",
        no_interval=census(),
    )
