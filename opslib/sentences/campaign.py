"""Sentences of a campaign's retrospective, computed from the tables under them."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from opslib import text
from opslib.errors import capital
from opslib.models.retrospective import Campaign, Extra, Money
from opslib.report.finding import Action, Finding
from opslib.sentences import campaign_origin as origin
from opslib.text import missing, say


def title(this: Campaign) -> str:
    return say(zh="活动复盘：{name}", en="Campaign review: {name}", name=this.name)


def period(this: Campaign) -> str:
    return say(zh="{first} 至 {last}", en="{first} to {last}", first=str(this.first), last=str(this.last))


def verdict(this: Campaign, extra: Extra | None, why: str = "") -> str:
    """The page's one sentence: what the campaign brought, or why that cannot be known."""
    if this.running:
        return say(
            zh="活动仍在进行（到 {day}），只看进度，不下结论。",
            en="Still running (to {day}): progress only, no verdict.",
            day=str(this.last),
        )
    if extra is None and why:
        return say(
            zh="这次活动带来多少增量无从得知：{why}。",
            en="What the campaign brought beyond the usual cannot be known: {why}.",
            why=text.Clean(why),
        )
    if extra is None:
        return say(
            zh="这次活动带来多少增量无从得知：没有随机留出组；下次请留出。",
            en="What the campaign brought beyond the usual cannot be known: nobody was held out at random. Hold some out next time.",
        )
    if extra.roi is None or missing(extra.roi.value):
        return _gained(extra)
    return say(
        zh="{gained}投资回报率 {roi}（{span}）。",
        en="{gained} ROI {roi} ({span}).",
        gained=text.Clean(_gained(extra)),
        roi=origin.back(extra.roi.value),
        span=origin.back_span(extra.roi.low, extra.roi.high),
    )


def _gained(extra: Extra) -> str:
    low, high = (text.number(round(v)) for v in (extra.buyers.low or 0.0, extra.buyers.high or 0.0))
    if (extra.buyers.low or 0.0) <= 0 <= (extra.buyers.high or 0.0):
        return say(
            zh="留出组未显示出确定的增量（{low} 至 {high} 人）。",
            en="The hold-out shows no certain extra buyers ({low} to {high}).",
            low=low,
            high=high,
        )
    return say(
        zh="活动多带来约 {n} 名付费用户（{low} 至 {high}）。", en="The campaign brought about {n} extra buyers ({low} to {high}).",
        n=text.number(round(extra.buyers.value or 0)), low=low, high=high,
    )  # fmt: skip


def overlap(names: list[str]) -> Finding | None:
    """Other campaigns on the same days: their doing is mixed into these numbers."""
    if not names:
        return None
    words = say(
        zh="同期还有 {n} 个活动（{names}），各自的作用混在一起。",
        en="{n} ran on the same days ({names}): what they did is mixed in.",
        n=text.some(len(names), "other campaign"),
        names=text.names(names, most=5),
    )
    return Finding("campaign.overlap", "watch", words)


def goal(progress: pd.DataFrame, this: Campaign) -> Finding:
    """Goal against actual, or against the even pace while it runs; of a goal in money, what was ordered in its name."""
    last = progress.iloc[-1]
    if not this.goal_metric:
        words = say(zh="截至 {day} 共 {n} 人参与；活动没有登记目标，只看进度。", en="{n} took part by {day}; the campaign has no goal on record, so this is its pace alone.",
                    day=text.day(last.day), n=text.some(last.done, "user"))  # fmt: skip
        return Finding(
            "campaign.goal", "info", words, metric="campaign.participants", value=last.done, no_interval="census"
        )
    done = origin.goal_written(this, last.done)
    name = (
        say(zh="名下订单净额（不全是增量）", en="Ordered in its name (not all of it extra)")
        if this.in_money
        else origin.goal_name(this)
    )
    metric = "campaign.takings" if this.in_money else "campaign.participants"
    if missing(this.goal):
        words = say(zh="「{name}」{done}，活动没有登记目标。", en="{name}: {done}; the campaign has no goal on record.", name=name, done=done)  # fmt: skip
        return Finding("campaign.goal", "info", words, metric=metric, value=last.done, no_interval="census")
    share, target = last.done / this.goal, last.pace / this.goal
    if this.running:
        words = say(zh="「{name}」{done}，为目标的 {share}；按均匀进度此时应为 {target}。", en="{name}: {done}, {share} of the goal; an even pace would be at {target}.",
                    name=name, done=done, share=text.percent(share), target=text.percent(target))  # fmt: skip
    else:
        words = say(zh="「{name}」{done}，目标 {goal}，为目标的 {share}。", en="{name}: {done} against a goal of {goal}, {share}.",
                    name=name, done=done, goal=origin.goal_written(this, this.goal), share=text.percent(share))  # fmt: skip
    # Orders in its name are no extra revenue: however many there are, they do not reach a goal of that.
    reached = "info" if this.in_money else "good"
    level = ("watch" if share < target else "info") if this.running else reached if share >= 1 else "watch"
    return Finding("campaign.goal", level, words, metric=metric, value=share, n=None if this.in_money else last.done, format="percent", no_interval="census")  # fmt: skip


def money(spent: Money, this: Campaign) -> Finding:
    """What was paid, against the budget and beside what was ordered in the campaign's name."""
    if not spent.cost:
        words = say(
            zh="没有登记奖励或投放，成本未知，不计算投资回报率。",
            en="No reward and no spend is on record: the cost is unknown, and no ROI is given.",
        )
        return Finding("campaign.cost", "watch", words, metric="campaign.cost")
    ordered = (
        say(zh="带活动编号的订单 {orders} 笔、净额 {revenue}，其中多少是增量见下文", en="{orders} orders in its name, {revenue} net, not all of it extra",
            orders=text.number(spent.orders), revenue=text.money(spent.revenue))
        if spent.orders
        else say(zh="没有带活动编号的订单", en="no order is in its name")
    )  # fmt: skip
    words = say(
        zh="成本 {cost}（奖励 {rewards}，投放 {media}）{budget}；{ordered}。",
        en="Cost {cost} (rewards {rewards}, media {media}){budget}; {ordered}.",
        cost=text.money(spent.cost), rewards=text.money(spent.rewards), media=text.money(spent.media), budget=text.Clean(_budget(spent, this)),
        ordered=text.Clean(ordered),
    )  # fmt: skip
    over = not missing(this.budget) and spent.cost > this.budget
    return Finding(
        "campaign.cost",
        "watch" if over else "info",
        words,
        metric="campaign.cost",
        value=spent.cost,
        format="money",
        no_interval="census",
    )


def _budget(spent: Money, this: Campaign) -> str:
    if missing(this.budget) or not this.budget:
        return ""
    return say(zh="，占预算 {share}", en=", {share} of the budget", share=text.percent(spent.cost / this.budget))


def extra(found: Extra, this: Campaign) -> list[Finding]:
    """What the hold-out shows: lift, extra buyers, extra revenue, ROI."""
    sure = (found.lift.low or 0) > 0
    out = [
        Finding("campaign.lift", "good" if sure else "info",
                say(zh="付费率与留出组相差 {lift}（{span}），活动组 {n} 人合计{way}约 {buyers} 名付费用户。",
                    en="The share who pay differs from the hold-out by {lift} ({span}): about {buyers} {way} buyers among the {n} who were not held out.",
                    lift=text.points(found.lift.value), span=text.Clean(text.interval(found.lift.low, found.lift.high, "points")),
                    n=text.number(found.treated), buyers=text.number(abs(round(found.buyers.value or 0))),
                    way=say(zh="多出", en="more") if (found.buyers.value or 0) >= 0 else say(zh="少了", en="fewer")),
                metric="campaign.incremental", value=found.lift.value, low=found.lift.low, high=found.lift.high, n=found.treated + found.held, format="points"),
        Finding("campaign.extra_revenue", "info",
                say(zh="增量收入约 {value}（{span}）。", en="Extra revenue about {value} ({span}).", value=text.money(found.revenue.value),
                    span=text.Clean(text.interval(found.revenue.low, found.revenue.high, "money"))),
                metric="campaign.incremental", value=found.revenue.value, low=found.revenue.low, high=found.revenue.high, n=found.treated, format="money"),
    ]  # fmt: skip
    if found.roi is not None:
        sure = (found.roi.low or 0) > 0
        words = say(zh="按增量收入计，投资回报率 {roi}（{span}）。", en="On the extra revenue, ROI is {roi} ({span}).", roi=origin.back(found.roi.value),
                    span=origin.back_span(found.roi.low, found.roi.high))  # fmt: skip
        out.append(
            Finding(
                "campaign.roi",
                "good" if sure else "watch",
                words,
                metric="campaign.roi",
                value=found.roi.value,
                low=found.roi.low,
                high=found.roi.high,
                format="multiple",
            )
        )
    return out


def caused(found: Extra | None, this: Campaign) -> list[Finding]:
    """The extra effect by the hold-out; nothing where there was none."""
    return [] if found is None else extra(found, this)


def actions(this: Campaign, known: Extra | None, until: dt.date, *, why: str = "", days: int = 7) -> list[Action]:
    """What to keep and what to try next time; due `days` after the campaign, or after the data that showed it.

    `why` the extra effect is not known is what a hold-out rests on; a campaign to keep rests on its return.
    """
    due = str(max(this.last, until) + dt.timedelta(days=days))
    if known is None and not this.running:
        return [
            Action(
                say(
                    zh="下一次活动随机留出一组用户，以便测出增量",
                    en="Hold out users at random in the next campaign, to measure its extra effect",
                ),
                "operations",
                evidence=capital(why) or say(zh="没有随机留出组", en="Nobody was held out at random"),
                metric="campaign.incremental",
                due_on=due,
            )
        ]
    if known is not None and known.roi is not None and (known.roi.low or 0) > 0:
        return [
            Action(
                say(zh="保留该玩法，下次继续留出对照组", en="Keep this kind of campaign, and the hold-out"),
                "operations",
                evidence=say(
                    zh="投资回报率的区间为 {span}",
                    en="ROI of {span}",
                    span=origin.back_span(known.roi.low, known.roi.high),
                ),
                metric="campaign.roi",
                baseline=known.roi.value,
                format="multiple",
                due_on=due,
            )
        ]
    return []
