"""What the report on users says: states and flows, and the months ahead."""

from __future__ import annotations

import numpy as np
import pandas as pd

from opslib import columns, privacy, text
from opslib.errors import TooLittleError
from opslib.models.statebook import CHECKS, HERE, STATES
from opslib.report.finding import Finding
from opslib.text import say


def pp(value: float) -> str:
    """A difference of shares whose direction the sentence says."""
    return say(zh="{v} 个百分点", en="{v} points", v=text.number(abs(value) * 100, 1))


def census() -> str:
    return say(zh="全量", en="census")


def slipped(lost: pd.DataFrame, days: int, book: pd.DataFrame, *, short: bool = False) -> Finding | None:
    """The share of those here a month ago who are gone, against the month before.

    `book`: the states under it, so that the sentence tells no count that the table withholds. `short`: the thresholds are shorter than the users' rhythm, so that being away is no alarm.
    """
    row = lost.iloc[0]
    if not row["of"]:
        return None
    rate = row["hits"] / row["of"]
    worse, better = row["low"] > 0, row["high"] < 0
    level = ("watch" if short else "act") if worse else "good" if better else "info"
    base = row["base_hits"] / row["base_of"] if row["base_of"] else np.nan
    were = _here(book, "users_before")
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
            of=privacy.together(were),
            rate=text.percent(rate),
            turn=turn,
        ),
        metric="state.lost",
        value=rate,
        low=row["rate_low"],
        high=row["rate_high"],
        n=privacy.total(were) or None,
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
    now, before = here["users"].sum(), here["users_before"]
    return Finding(
        "users.here",
        "info",
        say(
            zh="现在在用 {now} 人（新增：{new}，活跃：{active}，留存：{retained}），一个月前 {before} 人。",
            en="{now} users are here now ({new} new, {active} active, {retained} retained); a month ago {before}.",
            now=text.number(now),
            before=privacy.together(before),
            **parts,
        ),
        metric="state.active",
        value=now,
        n=privacy.total(book["users"]),
        base=privacy.total(before),
        no_interval=census(),
    )


def _here(book: pd.DataFrame, column: str = "users") -> pd.Series:
    """The users of each state that counts as here."""
    return book.loc[book["state"].isin(HERE), column]


def here(book: pd.DataFrame) -> str:
    """How many are here now, as a sentence may tell it beside the states."""
    return privacy.together(_here(book))


def of_told(table: pd.DataFrame) -> pd.DataFrame:
    """The table with shares of the users it shows: shares of all would tell how many are withheld."""
    return table.assign(share=table["users"] / (privacy.total(table["users"]) or np.nan))


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
    row, states = table[table["state"] == "here"].iloc[0], table.set_index("state").loc[list(HERE)]
    told = ~states["users"].between(0, privacy.settings().min_group, inclusive="neither")
    part = states.loc[told, "expected"].sum() / states["expected"].sum() if told.any() else 1.0
    check = (
        say(
            zh="上次用同一算法预测今天，实际比预测{way} {off}",
            en="the last time the same rule foretold today, {off} {way} came",
            way=say(zh="多", en="more") if row["off"] >= 0 else say(zh="少", en="fewer"),
            off=text.percent(abs(row["off"])),
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
            then=text.number(row["expected"] * part, 0),
            now=here(table),
            check=check,
        ),
        metric="state.forecast",
        value=round(row["expected"] * part),
        low=round(row["low"] * part),
        high=round(row["high"] * part),
        n=privacy.total(states["users"]),
        base=privacy.total(states["users"]),
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
