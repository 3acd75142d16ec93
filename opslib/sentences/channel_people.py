"""What the channel report says on the users: how good they are, how long they stay, and which may not be people."""

from __future__ import annotations

import pandas as pd

from opslib import text
from opslib.models.staying import Staying
from opslib.report.finding import Finding
from opslib.text import say

_MANY = 0.05  # share of a channel's sign-ups from which suspected accounts spoil its other numbers


def quality(shares: pd.DataFrame, suspects: pd.DataFrame | None) -> list[Finding]:
    """Which channel's users come back least, and where accounts are suspected; `shares` with rate, low, high."""
    return [f for f in (_worst(shares), _suspected(shares, suspects)) if f]


def _worst(shares: pd.DataFrame, measure: str = "d7") -> Finding | None:
    rows = shares[(shares["measure"] == measure) & shares["rate"].notna()].sort_values("rate")
    if len(rows) < 2:
        return None
    worst, best = rows.iloc[0], rows.iloc[-1]
    if worst["rate"] == best["rate"]:
        return None
    return Finding(
        "quality.worst",
        "watch" if worst["high"] < best["low"] else "info",
        say(
            zh="7 日留存最低的是「{channel}」（{rate}），最高的是「{other}」（{best}）。",
            en="“{channel}” has the lowest day-7 retention ({rate}), “{other}” the highest ({best}).",
            channel=text.shown(worst["channel"]),
            rate=text.percent(worst["rate"]),
            other=text.shown(best["channel"]),
            best=text.percent(best["rate"]),
        ),
        metric="retention.n_day",
        value=worst["rate"],
        low=worst["low"],
        high=worst["high"],
        n=worst["of"],
        base=best["rate"],
        format="percent",
    )


def _suspected(shares: pd.DataFrame, suspects: pd.DataFrame | None) -> Finding | None:
    rows = shares[(shares["measure"] == "suspected") & (shares["hits"] > 0)]
    if suspects is None or rows.empty:
        return None
    top = rows.loc[rows["rate"].idxmax()]
    taken = suspects.loc[suspects["channel"] == top["channel"], "amount"].sum()
    return Finding(
        "quality.suspected",
        "watch" if top["low"] >= _MANY else "info",
        say(
            zh="「{channel}」的注册中 {rate}（{n} 个）疑似一人多号，共领走奖励 {taken}；其注册数与成本应打折看。",
            en="{rate} of the sign-ups of “{channel}” ({n}) look like one person with many accounts and took {taken} of rewards; "
            "discount its sign-ups and cost.",
            channel=text.shown(top["channel"]),
            rate=text.percent(top["rate"]),
            n=text.number(top["hits"]),
            taken=text.money(taken),
        ),
        metric="campaign.suspects",
        value=top["rate"],
        low=top["low"],
        high=top["high"],
        n=top["of"],
        format="percent",
    )


def quality_note(shares: pd.DataFrame) -> str:
    """How wide the shares' intervals are, and what is in no denominator."""
    width = ((shares["high"] - shares["low"]) / 2).max()
    return say(
        zh="95% 区间最宽 ±{width} 个百分点，逐项与按周的数见 CSV。还没到观察日的用户不进分母；付费比例随时间上升。可疑比例只看领过奖励的账号，是下限。",
        en="95% intervals are at most ±{width} points, each one and the weeks are in the lists. Users whose day has not come yet are in no denominator; the "
        "paying share rises with age. Suspicion looks at accounts that claimed a reward only: a lower bound.",
        width=text.number(100 * width, 1),
    )


def staying(found: Staying, ahead: int, held: float) -> list[Finding]:
    """How far the same projection was off, and which channel's users leave first."""
    last = found.channels.iloc[-1]
    return [
        Finding(
            "staying.hold_out",
            "info" if abs(found.error) <= 0.15 else "watch",
            say(
                zh="留存预测用最后 {held} 周留出检验：仍在的人数误差 {error}；假定流失率不变的误差为 {naive}。",
                en="The projection of who stays, checked on the last {held} weeks: off by {error}; a constant rate of leaving by {naive}.",
                held=text.number(held),
                error=text.percent(found.error, sign=True),
                naive=text.percent(found.naive_error, sign=True),
            ),
            metric="ltv.staying",
            value=found.error,
            n=found.users,
            format="percent",
            no_interval=say(zh="只有一个留出期", en="one hold-out only"),
        ),
        Finding(
            "staying.shortest",
            "info",
            say(
                zh="「{channel}」的用户走得最快：预计 {ahead} 周后还在的占 {stay}，其他渠道至少 {other}。",
                en="Users of “{channel}” leave first: {stay} are expected to be there after {ahead} weeks, at least {other} of the other channels.",
                channel=text.shown(last["channel"]),
                ahead=text.number(ahead),
                stay=text.percent(last["stay"]),
                other=text.percent(found.channels["stay"].iloc[:-1].min()) if len(found.channels) > 1 else "–",
            ),
            metric="ltv.staying",
            value=last["stay"],
            low=last["stay_low"],
            high=last["stay_high"],
            n=last["users"],
            format="percent",
        ),
    ]
