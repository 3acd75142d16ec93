"""What the channel report says: verdicts, cost and value, projection, attribution, response, and what does not meet."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd

from opslib import text
from opslib.models.projected import Projection
from opslib.report.finding import Action, Finding
from opslib.text import say

_LEVEL = {"cut": "act", "grow": "good", "hold": "info", "test": "watch"}
_ORDER = ("cut", "grow", "test", "hold")


def verdicts(table: pd.DataFrame, *, margin: float = 1.0) -> list[Finding]:
    """A finding for every channel with a verdict, those to act on first; then the channels without a cost."""
    found = [_verdict(row) for v in _ORDER for row in ranked(table, v).to_dict("records")]
    free, thin = table[~(table["cost"] > 0)], table[table["verdict"].isin(["grow", "hold"])]
    found += [_thinnest(thin.loc[thin["ltv_cac_low"].astype(float).idxmin()], margin)] if len(thin) else []
    unknown, zero = free[free["cost"].isna()], free[free["cost"] == 0]
    return found + ([_uncosted(unknown)] if len(unknown) else []) + ([_costless(zero)] if len(zero) else [])


def ranked(table: pd.DataFrame, verdict: str) -> pd.DataFrame:
    """The channels of a verdict: where the next unit of money does most first; those to cut by what they cost."""
    by = "cost" if verdict == "cut" or "marginal" not in table else "marginal"
    return table[table["verdict"] == verdict].sort_values([by, "cost"], ascending=False, na_position="last")


def _thinnest(row: pd.Series, margin: float) -> Finding:
    """How low the margin may be before the verdict on a channel that pays is no longer sure."""
    return Finding(
        "channel.margin",
        "info",
        say(
            zh="以上按毛利率 {margin} 计算；毛利率低于 {least} 时，「{channel}」就不再确定回本。",
            en="This is at a margin of {margin}; below {least} “{channel}” no longer surely pays.",
            margin=text.percent(margin, 0),
            least=text.percent(margin / row["ltv_cac_low"], 0),
            channel=text.shown(row["channel"]),
        ),
        metric="ltv.to_cac",
    )


def headline(table: pd.DataFrame) -> str:
    """The page's one sentence: what to cut, what to grow, and how the money as a whole does."""
    named = {v: text.names(ranked(table, v)["channel"]) for v in ("cut", "grow")}
    none, lost = say(zh="无", en="none"), table.loc[table["verdict"] == "cut", "cost"].sum() / table["cost"].sum()
    known = {"cost": text.money(table["cost"].sum()), "n": text.number(table.loc[table["cost"] > 0, "signups"].sum())}
    if not any(named.values()):
        return say(
            zh="共花费 {cost}，带来 {n} 个注册；证据还不足以加投或削减任何渠道。",
            en="{cost} won {n} sign-ups; for no channel is there evidence enough to grow or cut it.",
            **known,
        )
    share = text.Clean(
        say(zh="（占花费 {share}）", en=" ({share} of the money)", share=text.percent(lost, 0)) if lost else ""
    )
    return say(
        zh="共花费 {cost}，带来 {n} 个注册；应削减：{cut}{share}；可加投，按再多花一元的回报排列：{grow}。",
        en="{cost} won {n} sign-ups; cut: {cut}{share}; grow, best return of the next unit of money first: {grow}.",
        **known,
        cut=named["cut"] or none,
        share=share,
        grow=named["grow"] or none,
    )


def _verdict(row: dict[str, Any]) -> Finding:
    return Finding(
        f"channel.{row['verdict']}.{row['channel']}",
        _LEVEL[row["verdict"]],
        say(
            zh="「{channel}」{what}：每个注册成本 {cac}，迄今带来 {ltv}（成本的 {ratio}），{why}。",
            en="{what} “{channel}”: a sign-up costs {cac} and has brought {ltv} so far ({ratio} its cost); {why}.",
            channel=text.shown(row["channel"]),
            what=_name(row["verdict"]),
            cac=text.money(row["cac"]),
            ltv=text.money(row["ltv"]),
            ratio=text.write(row["ltv_cac"], "times"),
            why=_why(row),
        ),
        metric="ltv.to_cac",
        value=row["ltv_cac"],
        low=row["ltv_cac_low"],
        high=row["ltv_cac_high"],
        n=row["signups"],
        format="times",
        no_interval=say(zh="付费用户太少", en="too few payers"),
    )


def _name(verdict: str) -> str:
    return {
        "cut": say(zh="应削减", en="Cut"),
        "grow": say(zh="可加投", en="Grow"),
        "hold": say(zh="维持", en="Hold"),
        "test": say(zh="先测试", en="Test"),
    }[verdict]


def _why(row: dict[str, Any]) -> text.Clean:
    return text.Clean(_reason(row))


def _reason(row: dict[str, Any]) -> str:
    projected, marginal = text.money(row["projected"]), text.number(row["marginal"], 2)
    if row["reason"] == "losing":
        return say(
            zh="预测期末也只有 {projected}（最高 {most}），回不了本",
            en="even by the end of the projection it is {projected} (at most {most}), less than the cost",
            projected=projected,
            most=text.money(row["projected_high"]),
        )
    if row["reason"] == "room":
        return say(
            zh="再多花一元约带来 {marginal} 元（至少 {low} 元）",
            en="the next unit of money brings about {marginal} (at least {low})",
            marginal=marginal,
            low=text.number(row["marginal_low"], 2),
        )
    return {
        "elsewhere": say(
            zh="再多花一元约带来 {marginal} 元，但同样的钱投在别的渠道更多",
            en="the next unit of money brings about {marginal}, but more on other channels",
            marginal=marginal,
        ),
        "saturated": say(
            zh="但再多花一元约带来 {marginal} 元，不一定回本",
            en="but the next unit of money brings about {marginal}, which may not return it",
            marginal=marginal,
        ),
        "paying": say(zh="已回本；再加投的效果未知", en="it pays; what more money would bring is not known"),
        "unforeseen": say(
            zh="迄今未回本，日后能否回本无从预测",
            en="not paid back so far, and what is to come cannot be projected",
        ),
        "young": say(zh="迄今未回本，按预测能回本", en="not paid back so far, by the projection it will be"),
        "unsure": say(zh="区间包含 1，尚不能判断是否回本", en="the interval holds 1, it may or may not pay"),
        "unknown": say(zh="付费用户太少，无法判断", en="too few payers to tell"),
    }[row["reason"]]


def _uncosted(free: pd.DataFrame) -> Finding:
    return Finding(
        "channel.without_cost",
        "info",
        say(
            zh="{names} 没有花费记录，共 {n} 个注册：获客成本未知，不是 0。",
            en="No cost is booked on {names}, with {n} sign-ups: their cost per user is unknown, not 0.",
            names=text.names(free["channel"]),
            n=text.number(free["signups"].sum()),
        ),
    )


def _costless(zero: pd.DataFrame) -> Finding:
    return Finding(
        "channel.cost_of_zero",
        "info",
        say(
            zh="{names} 的花费记为 0，共 {n} 个注册：没有 LTV / CAC 和建议；若实际有花费，请补记。",
            en="A cost of 0 is booked on {names}, with {n} sign-ups: no LTV / CAC and no verdict; if money was spent, book it.",
            names=text.names(zero["channel"]),
            n=text.number(zero["signups"].sum()),
        ),
    )


def actions(table: pd.DataFrame, *, due: dt.date, days: int = 14) -> list[Action]:
    """What to do with the money: cut, grow step by step, test."""
    titles = {
        "cut": lambda c: say(
            zh="停投或大幅削减「{c}」，并观察总注册量", en="Stop or cut “{c}” and watch all sign-ups", c=c
        ),
        "grow": lambda c: say(
            zh="把「{c}」的预算分两步上调，每步核对 CAC", en="Raise “{c}” in two steps and check CAC after each", c=c
        ),
        "test": lambda c: say(zh="对「{c}」做分地区停投测试", en="Test “{c}” by switching it off in some regions", c=c),
    }
    return [
        Action(
            titles[row["verdict"]](text.shown(row["channel"])),
            "marketing",
            evidence=_evidence(row),
            metric="acquisition.cac",
            baseline=row["cac"],
            target=min(row["cac"], row["ltv"]) if row["verdict"] == "cut" else None,
            due_on=str(due + dt.timedelta(days=days)),
            format="money",
        )
        for verdict in ("cut", "grow", "test")
        for row in ranked(table, verdict).to_dict("records")
    ]


def _evidence(row: dict[str, Any]) -> str:
    ratio = say(
        zh="LTV / CAC {ratio}（{low} 至 {high}）",
        en="LTV / CAC {ratio} ({low} to {high})",
        ratio=text.number(row["ltv_cac"], 2),
        low=text.number(row["ltv_cac_low"], 2),
        high=text.number(row["ltv_cac_high"], 2),
    )
    if not row.get("best", float("nan")) >= 0:
        return ratio
    return say(
        zh="{ratio}；同样的总额下，日花费 {now} → {best}（{low} 至 {high}）",
        en="{ratio}; with the same money in all, {now} → {best} a day ({low} to {high})",
        ratio=text.Clean(ratio),
        now=text.money(row["current"]),
        best=text.money(row["best"]),
        low=text.money(row["best_low"]),
        high=text.money(row["best_high"]),
    )


def kinds(table: pd.DataFrame) -> Finding:
    """Paid, free and offline channels side by side; `table` of `models.channels.kinds`."""
    names = {
        "paid": say(zh="付费", en="paid"),
        "free": say(zh="免费", en="free"),
        "offline": say(zh="线下", en="offline"),
    }
    first, parts = table.iloc[0], [
        say(zh="{kind} {cac}（{n} 人）", en="{kind} {cac} ({n} users)", kind=names.get(row["kind"], row["kind"]),
            cac=text.money(row["cac"]), n=text.number(row["signups"]))
        for row in table.to_dict("records")
    ]  # fmt: skip
    return Finding(
        "cac.kinds",
        "info",
        say(
            zh="每个注册的成本：{parts}。",
            en="Cost per sign-up: {parts}.",
            parts=text.Clean(say(zh="，", en=", ").join(parts)),
        ),
        metric="acquisition.cac",
        value=first["cac"],
        low=first["low"],
        high=first["high"],
        n=first["signups"],
        format="money",
    )


def cost(table: pd.DataFrame) -> list[Finding]:
    """The dearest and the cheapest channel that money is spent on."""
    paid = table[table["cac"] > 0].sort_values("cac")
    ends = {"dearest": paid.tail(1), "cheapest": paid.head(1)} if len(paid) > 1 else {"dearest": paid}
    names = {"dearest": say(zh="最贵", en="dearest"), "cheapest": say(zh="最便宜", en="cheapest")}
    return [
        Finding(
            f"cac.{end}",
            "info",
            say(
                zh="每个注册成本{which}的是「{channel}」：{cac}；每个付费用户 {payer}。",
                en="The {which} sign-ups come from “{channel}”: {cac} each, {payer} per payer.",
                which=names[end],
                channel=text.shown(row["channel"]),
                cac=text.money(row["cac"]),
                payer=text.money(row["cac_payer"]),
            ),
            metric="acquisition.cac",
            value=row["cac"],
            low=row["cac_low"],
            high=row["cac_high"],
            n=row["signups"],
            format="money",
        )
        for end, rows in ends.items()
        for row in rows.to_dict("records")
    ]


def projection(found: Projection, weeks: float, held: float) -> Finding:
    """How far the same forecast was off, beside a naive one."""
    check = found.check
    return Finding(
        "ltv.hold_out",
        "info" if abs(check.error) <= 0.15 else "watch",
        say(
            zh="预测未来 {weeks} 周的购买；同一方法在最后 {held} 周留出检验：总数误差 {error}，按以往速度外推的误差为 {naive}。",
            en="Purchases of the next {weeks} weeks; the same method, checked on the last {held} weeks: off by {error} in total, going on as before by {naive}.",
            weeks=text.number(weeks),
            held=text.number(held),
            error=text.percent(check.error, sign=True),
            naive=text.percent(check.naive_error, sign=True),
        ),
        metric="ltv.projected",
        value=check.error,
        n=check.actual,
        format="percent",
        no_interval=say(zh="只有一个留出期", en="one hold-out only"),
    )


def paybacks(table: pd.DataFrame) -> list[Finding]:
    """Which channels have not come back yet, and how long the others take."""
    rows, never = table[table["payback"].notna()], table[table["payback"].isna() & (table["seen"] > 0)]
    found = [
        Finding(
            f"payback.never.{row['channel']}",
            "info",
            say(
                zh="「{channel}」在观察到的 {n} 个月内没有回本。",
                en="“{channel}” has not paid back so far (months observed: {n}).",
                channel=text.shown(row["channel"]),
                n=int(row["seen"]),
            ),
            metric="ltv.payback",
        )
        for row in never.to_dict("records")
    ]
    if len(rows):
        slow = rows.sort_values("payback").iloc[-1]
        found.append(
            Finding(
                "payback.slowest",
                "info",
                say(
                    zh="其余渠道中「{channel}」回本最慢：{months} 个月。",
                    en="Of the others “{channel}” takes longest to pay back: {months} months.",
                    channel=text.shown(slow["channel"]),
                    months=text.number(slow["payback"], 1),
                ),
                metric="ltv.payback",
                value=slow["payback"],
                low=slow["payback_low"],
                high=slow["payback_high"],
                format="decimal",
            )
        )
    return found
