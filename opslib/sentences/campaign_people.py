"""Sentences of a campaign's people: who answered, who came and stayed, who invited, and whose accounts are up for review."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from opslib import columns, text
from opslib.errors import TooLittleError
from opslib.models.abtest import LEAST
from opslib.models.ltv import Range
from opslib.models.retrospective import Campaign
from opslib.report.finding import Action, Finding
from opslib.text import say


def answered(rates: pd.DataFrame) -> list[Finding]:
    """The share of those touched who answered, by event."""
    if rates.empty:
        return [
            Finding(
                "campaign.response.none",
                "info",
                say(
                    zh="没有该活动的触达记录，无法计算响应率。",
                    en="Nobody was touched by the campaign on record: no response rate.",
                ),
            )
        ]
    known = rates[rates.event.notna()]
    if known.empty:
        targeted = text.some(rates.iloc[0].targeted, "user")
        return [
            Finding(
                "campaign.response.zero",
                "watch",
                say(zh="触达 {n} 人，无人响应。", en="None of the {n} touched answered.", n=targeted),
                metric="campaign.response",
            )
        ]
    return [_answer(rows) for _, rows in known.groupby("users", sort=False)]


def _answer(rows: pd.DataFrame) -> Finding:
    """One sentence for the events that equally many did."""
    row = rows.iloc[0]
    words = say(zh="触达 {n} 人，其中 {hits} 人做了{events}，响应率 {rate}。", en="Of {n} touched, {hits} did {events}: {rate}.",
                n=text.some(row.targeted, "user"), hits=text.number(row.users), rate=text.percent(row.rate),
                events=text.names(columns.value_name("event", event) for event in rows.event))  # fmt: skip
    return Finding(f"campaign.response.{row.event}", "info", words, metric="campaign.response", value=row.rate, low=row.low,
                   high=row.high, n=row.targeted, format="percent")  # fmt: skip


def came(who: pd.DataFrame) -> list[Finding]:
    """Who took part: new, back again or there before; and whether they stayed."""
    part = who[who.took_part]
    total = int(part.users.sum())
    if not total:
        return [Finding("campaign.who", "info", say(zh="期内没有参与者。", en="Nobody took part while it ran."))]
    mix = text.Clean(
        say(zh="、", en=", ").join(
            f"{columns.value_name('came_as', r.kind).lower()} {text.percent(r.users / total, 0)}"
            for r in part.itertuples()
        )
    )
    out = [
        Finding(
            "campaign.who",
            "info",
            say(zh="参与者 {n} 人：{mix}。", en="{n} took part: {mix}.", n=text.number(total), mix=mix),
            metric="campaign.participants",
            value=total,
            no_interval="census",
        )
    ]
    for row in part[part["size"] >= LEAST].itertuples():
        other = who[~who.took_part & (who.kind == row.kind) & (who["size"] > 0)]
        beside = (
            ""
            if other.empty
            else say(
                zh="，同期未参与者为 {rate}（自选人群，不是活动效果）",
                en=", against {rate} of those who did not take part (self-chosen, no effect)",
                rate=text.percent(other.iloc[0].rate),
            )
        )
        words = say(zh="参与者中的{kind}用户有 {rate} 在第二周仍活跃{beside}。", en="Of those who took part, {rate} ({kind}) were active in the second week{beside}.",
                    kind=columns.value_name("came_as", row.kind).lower(), rate=text.percent(row.rate), beside=text.Clean(beside))  # fmt: skip
        out.append(
            Finding(
                f"campaign.stayed.{row.kind}",
                "info",
                words,
                metric="campaign.stayed",
                value=row.rate,
                low=row.low,
                high=row.high,
                n=row.size,
                format="percent",
            )
        )
    return out


def suspected(listed: pd.DataFrame, claims: pd.DataFrame) -> Finding:
    """How many accounts are up for review, and what they took; never a verdict."""
    accounts = claims.user_id.nunique()
    if listed.empty:
        words = say(
            zh="{n} 个领奖账号中没有同时满足三类信号的可疑账号。",
            en="Of {n} that claimed none shows all three kinds of signals.",
            n=text.some(accounts, "account"),
        )
        return Finding(
            "campaign.suspects", "good", words, metric="campaign.suspects", value=0, n=accounts, no_interval="census"
        )
    taken, paid = listed.amount.sum(), claims.amount.sum()
    words = say(
        zh="{n} 个账号（{rings} 个团伙）需人工复核，领走奖励 {money}，占全部奖励 {share}。",
        en="Up for review: {n} in {rings}, with {money} of rewards, {share} of all.",
        n=text.some(len(listed), "account"), rings=text.some(listed.ring.nunique(), "ring"), money=text.money(taken), share=text.percent(taken / paid if paid else float("nan")),
    )  # fmt: skip
    return Finding(
        "campaign.suspects",
        "act",
        words,
        metric="campaign.suspects",
        value=len(listed),
        n=accounts,
        no_interval="census",
    )


def spreading(both: tuple[Range, Range], listed: pd.DataFrame, inviters: pd.DataFrame) -> list[Finding]:
    """K of the referral, and without the accounts up for review."""
    out = []
    names = (
        say(zh="全部邀请人", en="of all inviters"),
        say(zh="剔除待复核账号后", en="without the accounts up for review"),
    )
    for id, name, found in zip(("all", "honest"), names, both, strict=True):
        words = say(zh="{name}的 K 为 {k}（{span}）。", en="K {name} is {k} ({span}).", name=name, k=f"{found.value:.2f}",
                    span=text.Clean(text.interval(found.low, found.high, "decimal")))  # fmt: skip
        if id == "all" or len(listed):
            out.append(
                Finding(
                    f"campaign.k.{id}",
                    "info",
                    words,
                    metric="campaign.k",
                    value=found.value,
                    low=found.low,
                    high=found.high,
                    n=len(inviters) if id == "all" else int((~inviters.user_id.isin(listed.user_id)).sum()),
                    format="decimal",
                )
            )
    return out


def who_table(who: pd.DataFrame) -> pd.DataFrame:
    """Who came, with the groups in words."""
    side = {True: say(zh="参与", en="Took part"), False: say(zh="未参与", en="Did not")}
    return who.assign(took_part=who.took_part.map(side), came_as=who.kind)[
        ["took_part", "came_as", "users", "size", "stayed", "rate", "low", "high"]
    ]


def review_note() -> str:
    return say(
        zh="三类信号（互相关联、集中行动、领奖外无活动）须同时成立才列入；名单只供人工复核，家庭共用手机、校园网络都可能被误认。",
        en="Only accounts with all three kinds of signals (connected, together, empty otherwise) are listed, for review by people: a family's phone or a "
        "campus network may look alike.",
    )


def need_inviters(inviters: pd.DataFrame) -> None:
    """K needs invitations in the campaign's name.

    Raises
    ------
    TooLittleError  if fewer than two users invited.
    """
    if len(inviters) < 2:
        raise TooLittleError(
            say(
                zh="带该活动编号的邀请不足两次，不计算 K；有邀请的活动请用参数「campaign_id」指定",
                en="fewer than two users invited in the campaign's name: no K; name a campaign with invitations in campaign_id",
            )
        )


def review(this: Campaign, listed: pd.DataFrame, until: dt.date, *, days: int = 7) -> list[Action]:
    """Who looks at the list until nobody on it is left, when there is one; due `days` after the campaign, or after the data that showed it."""
    if listed.empty:
        return []
    due = str(max(this.last, until) + dt.timedelta(days=days))
    return [
        Action(
            say(
                zh="复核可疑账号名单，确认后再追回或冻结奖励",
                en="Review the listed accounts before any reward is frozen",
            ),
            "operations",
            evidence=say(
                zh="{n} 个账号，{rings} 个团伙，领走奖励 {money}",
                en="{n} in {rings}, with {money} of rewards",
                n=text.some(len(listed), "account"),
                rings=text.some(listed.ring.nunique(), "ring"),
                money=text.money(listed.amount.sum()),
            ),
            metric="campaign.suspects",
            baseline=len(listed),
            target=0,
            due_on=due,
        )
    ]
