"""What the report on users says about habits and value: how often they come, RFM segments, the first steps of those who stay."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from opslib import columns, privacy, text
from opslib.models.rhythm import STATES as RULES
from opslib.models.segments import segment_name
from opslib.report.finding import Finding
from opslib.sentences.users import census, of_told, pp
from opslib.text import say

PERIODS = {
    "day": ("每天", "daily"),
    "three_days": ("每三天", "every three days"),
    "week": ("每周", "weekly"),
    "fortnight": ("每两周", "every two weeks"),
    "month": ("每月", "monthly"),
}


def rfm_labels(bought: bool) -> dict[str, str]:
    """Heads of the table by what RFM rests on."""
    stayed = say(zh="留在本群，人", en="Stayed in it (users)")
    value = say(zh="净收入", en="Net revenue") if bought else say(zh="行为数", en="Actions")
    often = (
        say(zh="订单数（中位）", en="Orders (median)")
        if bought
        else say(zh="活跃天数（中位）", en="Active days (median)")
    )
    return {"value": value, "frequency": often, "stayed": stayed}


def rfm_formats(bought: bool) -> dict[str, str]:
    return {"value": "money" if bought else "number", "frequency": "number"}


def named(table: pd.DataFrame) -> pd.DataFrame:
    """The table with segments under their names."""
    return of_told(table).assign(segment=[segment_name(s) for s in table["segment"]])


def rfm(table: pd.DataFrame, *, bought: bool) -> list[Finding]:
    """Which segment carries the value, and the valuable ones that slip."""
    top = table.iloc[0]
    found = [
        Finding(
            "rfm.top",
            "info",
            say(
                zh="「{name}」{users} 人（{share}）带来 {value} 的{what}。",
                en="“{name}”, {users} users ({share}), account for {value} of {what}.",
                name=segment_name(top["segment"]),
                users=text.number(top["users"]),
                share=text.percent(top["share"]),
                value=text.percent(top["value_share"]),
                what=say(zh="净收入", en="net revenue") if bought else say(zh="行为量", en="actions"),
            ),
            metric="segment.rfm",
            value=top["value_share"],
            n=privacy.total(table["users"]),
            format="percent",
            no_interval=census(),
        )
    ]
    slipping = table[table["segment"].isin(["cannot_lose", "at_risk"])]
    if len(slipping):
        users, share = slipping["users"].sum(), slipping["value_share"].sum()
        found.append(
            Finding(
                "rfm.slipping",
                "watch" if share >= 0.1 else "info",
                say(
                    zh="曾经的好客户正在离开：{names}共 {users} 人，占{what} {share}。",
                    en="Good customers who slip away: {names}, {users} users with {share} of {what}.",
                    names=say(zh="「", en="“")
                    + say(zh="」「", en="”, “").join(segment_name(s) for s in slipping["segment"])
                    + say(zh="」", en="”"),
                    users=text.number(users),
                    share=text.percent(share),
                    what=say(zh="净收入", en="net revenue") if bought else say(zh="行为量", en="actions"),
                ),
                metric="segment.rfm",
                value=share,
                n=users,
                format="percent",
                no_interval=census(),
            )
        )
    return found


def rfm_note(tied: float, *, bought: bool, days: int) -> str:
    basis = (
        say(zh="订单", en="orders")
        if bought
        else say(
            zh="活跃（没有订单表）：最近活跃、活跃天数、行为数",
            en="activity (there are no orders): last active day, active days, actions",
        )
    )
    return say(
        zh="依据近 {days} 天的{basis}。五分位按数值切分，数值相同者必同分；{tied} 的人频次相同，因此各档人数不等。",
        en="Based on {basis} of the last {days} days. Fifths by value, equal values have equal scores; {tied} share one frequency, so fifths are not equally large.",
        days=days,
        basis=basis,
        tied=text.percent(tied, 0),
    )


def first_steps(table: pd.DataFrame) -> Finding:
    """The early behaviour that goes most with staying, and the check that would make it causal."""
    top = table.iloc[0]
    clear = top["low"] > 0 and top["p_adjusted"] < 0.05
    event = columns.value_name("event", top["event"])
    if not clear:
        words = say(
            zh="没有哪种早期行为与留下有明显关联（活跃天数相同者相比）。",
            en="No early behaviour clearly goes with staying, among users active on equally many days.",
        )
    else:
        words = say(
            zh="早期做过「{event}」的新用户留下的比例高 {diff}（活跃天数相同者相比）；这是关联，需要随机引导一半新用户去做才能证明因果。",
            en="New users who did “{event}” early stay more often by {diff}, among users active on equally many days; an association: guide a random half of new users to it to see whether it is a cause.",
            event=event,
            diff=pp(top["diff"]),
        )
    return Finding(
        "users.first_steps",
        "info",
        words,
        metric="retention.early",
        value=top["diff"],
        low=top["low"],
        high=top["high"],
        n=top["did"] + top["others"],
        format="points",
    )


def thresholds(table: pd.DataFrame, rule: Mapping[str, int], asked: int) -> Finding | None:
    """Which thresholds the states have, where not the usual ones; that they are shorter than users' own rhythm, if so."""
    row, silent = table.iloc[0], rule["silent_days"]
    short, adapted = row["p80"] > silent, not asked and silent != RULES[0][0]
    if not short and not adapted:
        return None
    told = (
        say(
            zh="五分之一的间隔超过 {p80} 天，而 {silent} 天没来就记为沉默：门槛比用户的节奏短，建议把「silent_days」「churn_days」调长。",
            en="One gap in five is longer than {p80} days, yet after {silent} days a user counts as silent: raise “silent_days” and “churn_days” to the users' rhythm.",
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
            zh="近 {days} 天平均每天来的人占当月活跃的 {ratio}；{heavy} 人（{share}）四分之三以上的日子都来。"
            if heavy
            else "近 {days} 天平均每天来的人占当月活跃的 {ratio}；没有人四分之三以上的日子都来。",
            en="On an average day {ratio} of the active users of {days} days came; {heavy} ({share}) came on three days of four or more."
            if heavy
            else "On an average day {ratio} of the active users of {days} days came; nobody came on three days of four or more.",
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
