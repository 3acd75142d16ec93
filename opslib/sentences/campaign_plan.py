"""Sentences of a campaign's plan: the goal and its chance, what it rests on, what proves it, what it needs, what may go wrong."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np
import pandas as pd

from opslib import columns, text
from opslib.models import lessons
from opslib.models.campaign import Plan
from opslib.models.plan_outcome import Load, Proof, caps, safe_goal
from opslib.models.planning import Assumption, Design
from opslib.report.finding import Action, Finding
from opslib.sentences import campaign_origin as origin
from opslib.text import say

LIKELY, UNLIKELY = 0.7, 0.3  # from which chance on a goal is called likely, and under which unlikely


def title(plan: Design) -> str:
    return say(
        zh="活动策划：{name}", en="Campaign plan: {name}", name=plan.name or columns.value_name("kind", plan.kind)
    )


def period(plan: Design) -> str:
    return say(zh="{first} 至 {last}", en="{first} to {last}", first=str(plan.first), last=str(plan.last))


def counted(plan: Design) -> str:
    """What the goal counts, in a reader's words."""
    if plan.goal_metric == "revenue":
        return say(zh="增量收入", en="extra revenue")
    return columns.value_name("event", plan.goal_metric)


def _written(plan: Design, value: float) -> str:
    """A value of the goal: money, or people who did what it counts."""
    if plan.goal_metric == "revenue":
        return text.money(round(value))
    return origin.people(round(value))


def _span(plan: Design, low: float, high: float) -> text.Clean:
    kind = "money" if plan.goal_metric == "revenue" else "number"
    return text.Clean(text.interval(round(low), round(high), kind))


def verdict(plan: Design, played: Plan) -> str:
    """The page's one sentence: the goal's chance, and what to expect and to spend."""
    row, cost = played.table.loc[plan.quantity], played.table.loc["cost"]
    return say(
        zh="目标「{goal}」{value}，达成概率 {chance}；预计 {expected}（{span}），成本 {cost}（{least} 至 {most}）。",
        en="The goal of {value} ({goal}) has a chance of {chance}; expect {expected} ({span}) at a cost of {cost} ({least} to {most}).",
        goal=counted(plan), value=_written(plan, plan.goal), chance=text.percent(played.chance, 0), expected=_written(plan, row["median"]),
        span=_span(plan, row.low, row.high), cost=text.money(round(cost["median"])), least=text.money(round(cost.low)),
        most=text.money(round(cost.high)),
    )  # fmt: skip


def goal(plan: Design, played: Plan) -> list[Finding]:
    """The chance of the goal, and the goal that could be promised."""
    chance, row = played.chance, played.table.loc[plan.quantity]
    level = "good" if chance >= LIKELY else "act" if chance < UNLIKELY else "watch"
    judged = (
        say(zh="可以立项", en="it can be promised") if chance >= LIKELY
        else say(zh="目标偏高，应调低或加码", en="it is too high: lower it or add means") if chance < UNLIKELY
        else say(zh="没有把握", en="it is not safe")
    )  # fmt: skip
    safe = safe_goal(played, plan)
    return [
        Finding("plan.chance", level,
                say(zh="模拟中有 {chance} 达到目标「{name}」{goal}：{judged}。", en="{chance} of the simulated campaigns reach the goal of {goal} ({name}): {judged}.",
                    name=counted(plan), chance=text.percent(chance, 0), goal=_written(plan, plan.goal), judged=judged),
                metric="campaign.plan", value=round(chance, 2), format="percent", no_interval=_simulated(played)),
        Finding("plan.expected", "info",
                say(zh="预计 {value}，95% 的模拟在 {span}。", en="Expect {value}; 95% of the simulations lie in {span}.",
                    value=_written(plan, row["median"]), span=_span(plan, row.low, row.high)),
                metric="campaign.plan", value=row["median"], low=row.low, high=row.high, format="money" if plan.goal_metric == "revenue" else "number"),
        Finding("plan.safe_goal", "info",
                say(zh="若要有八成把握，目标宜定为 {value}。", en="A goal with a chance of 80% is {value}.", value=_written(plan, safe)),
                metric="campaign.plan", value=safe, format="money" if plan.goal_metric == "revenue" else "number", no_interval=_simulated(played)),
    ]  # fmt: skip


def _simulated(played: Plan) -> str:
    return say(zh="{n} 次模拟", en="{n} simulations", n=text.Clean(text.write(len(played.draws), "count")))


def goal_mark(plan: Design) -> dict[float, str]:
    return {plan.goal: say(zh="目标", en="Goal")}


def drawn(plan: Design) -> str:
    """How the goal's quantity is written on the figure's axis."""
    return "money" if plan.goal_metric == "revenue" else "number"


def picture_title(plan: Design) -> str:
    return say(
        zh="模拟结果：{what}（高度为占全部模拟的比例）",
        en="Simulated: {what} (height: share of the simulations)",
        what=counted(plan),
    )


def basis(found: Assumption) -> str:
    """Where an assumption comes from, in words."""
    return {
        "both": say(zh="{n} 次同类同阶段活动", en="{n} of the kind in this stage", n=text.some(found.n, "past campaign")),
        "stage": say(zh="{n} 次同阶段各类活动", en="{n} of all kinds in this stage", n=text.some(found.n, "past campaign")),
        "kind": say(zh="{n} 次同类活动", en="{n} of the kind", n=text.some(found.n, "past campaign")),
        "one": say(zh="仅 1 次同类活动，波动范围取自各类活动", en="One past campaign of the kind, with the spread between all kinds"),
        "all": say(zh="{n} 次各类活动", en="{n} of all kinds", n=text.some(found.n, "past campaign")),
        "hand": say(zh="人工给定", en="Set by hand"),
        "fixed": say(zh="按定义", en="By definition"),
        "none": say(zh="没有依据", en="Nothing is known"),
    }[found.source]  # fmt: skip


def assumed(found: Mapping[str, Assumption]) -> list[Finding]:
    """How firm the ground is: which assumptions rest on fewer than two campaigns of the kind, and which nobody knows."""
    weak = [
        columns.value_name("assumption", a.name)
        for a in found.values()
        if a.source in ("one", "stage", "all") and a.name != "reach"
    ]
    out = []
    if weak:
        out.append(Finding("plan.assumptions.thin", "watch",
                           say(zh="同类活动不足两次，下列假设的波动范围借自各类活动：{names}。", en="Under two past campaigns of the kind: these assumptions borrow their spread from "
                               "all kinds: {names}.", names=text.names(weak)), metric="campaign.plan"))  # fmt: skip
    else:
        out.append(Finding("plan.assumptions.firm", "info",
                           say(zh="各项假设来自同类活动或人工给定。", en="The assumptions come from campaigns of the kind, or were set by hand."), metric="campaign.plan"))  # fmt: skip
    if found["incremental"].source == "none":
        out.append(Finding("plan.incremental.unknown", "watch",
                           say(zh="过往同目标活动没有留出组，增量占比无从得知；收入与回报按全部转化计，只是上限。",
                               en="No past campaign with this goal held anybody out, so the share that is extra is unknown: revenue and return count every "
                               "conversion and are upper bounds."), metric="campaign.incremental"))  # fmt: skip
    return out


def known(until: dt.date, last_day: dt.date) -> str:
    """Which days a plan that starts in the past may not know of; empty for one that starts after the data."""
    if until >= last_day:
        return ""
    return say(zh="活动开始于数据末日之前：只用到 {day} 为止的数据，之后的活动（包括它自己）不作依据。",
               en="It starts before the data ends: only data to {day} is used, and no campaign after that, itself included.", day=str(until))  # fmt: skip


def assumption_table(found: Mapping[str, Assumption]) -> pd.DataFrame:
    """One row per assumption with its value, range and basis in words; unknown ones are blank."""
    rows = []
    for a in found.values():
        known = a.source != "none"
        low, high = a.ends()
        span = _range(a, low, high) if known and a.spread.sd > 0 else None
        rows.append((a.name, _value(a, a.spread.mean) if known else None, span, basis(a)))
    return pd.DataFrame(rows, columns=["assumption", "estimate", "range", "basis"])


def _value(found: Assumption, value: float) -> str:
    if found.spread.kind == "rate":
        return text.percent(value)
    return text.money(value) if found.name in ("value", "reward") else _count(value)


def _range(found: Assumption, low: float, high: float) -> str:
    kind = "percent" if found.spread.kind == "rate" else "money" if found.name in ("value", "reward") else ""
    return text.interval(low, high, kind) if kind else f"{_count(low)}{say(zh=' 至 ', en=' to ')}{_count(high)}"


def _count(value: float) -> str:
    return text.number(round(value)) if value >= 10 else text.number(round(value, 2))


def money(plan: Design, played: Plan, found: Mapping[str, Assumption]) -> list[Finding]:
    """Cost against the budget, and the return."""
    cost = played.table.loc["cost"]
    out = [_cost(plan, played, cost)]
    if found["value"].source == "none":
        out.append(Finding("plan.roi.unknown", "watch",
                           say(zh="过往同目标活动没有带来登记在名下的收入，一次转化值多少未知，不计算投资回报率；可在参数「assumed」中给出「value」。",
                               en="No money came in the name of past campaigns with this goal: what a conversion is worth is unknown, and no ROI is given. Set value in the "
                               "parameter assumed."), metric="campaign.roi"))  # fmt: skip
        return out
    back, bound = played.table.loc["roi"], found["incremental"].source == "none"
    lead = say(zh="投资回报率至多 {roi}", en="ROI is at most {roi}", roi=origin.back(back["median"])) if bound else say(
        zh="预计投资回报率 {roi}", en="Expected ROI {roi}", roi=origin.back(back["median"]))  # fmt: skip
    loss = float((played.draws.roi < 0).mean())
    out.append(Finding("plan.roi", "watch" if loss > 0.2 else "info",
                       say(zh="{lead}（{span}），亏本概率 {loss}；成本只含奖励、投放和固定成本，不含人工。", en="{lead} ({span}); the chance of a loss is {loss}. The cost is rewards, "
                           "media and fixed cost, no labour.", lead=text.Clean(lead), span=origin.back_span(back.low, back.high), loss="< 1%" if loss < 0.01 else text.percent(loss, 0)),
                       metric="campaign.roi", value=back["median"], low=back.low, high=back.high, format="multiple"))  # fmt: skip
    return out


def _cost(plan: Design, played: Plan, cost: pd.Series) -> Finding:
    over = float((played.draws.cost > plan.budget).mean()) if plan.budget > 0 else np.nan
    beside = "" if np.isnan(over) else say(zh="，超出预算 {budget} 的概率 {over}", en="; the chance to exceed the budget of {budget} is {over}",
                                           budget=text.money(plan.budget), over=text.percent(over, 0))  # fmt: skip
    words = say(zh="预计成本 {cost}（{low} 至 {high}）{beside}。", en="Expected cost {cost} ({low} to {high}){beside}.", cost=text.money(round(cost["median"])),
                low=text.money(round(cost.low)), high=text.money(round(cost.high)), beside=text.Clean(beside))  # fmt: skip
    return Finding("plan.cost", "watch" if over > 0.2 else "info", words, metric="campaign.cost", value=cost["median"], low=cost.low, high=cost.high, format="money")  # fmt: skip


def result_table(plan: Design, played: Plan, found: Mapping[str, Assumption]) -> pd.DataFrame:
    """Expected outcome, line by line, in words; what cannot be known is left out."""
    hidden = {"profit"} | ({"revenue", "roi"} if found["value"].source == "none" else set())
    hidden |= {"incremental"} if found["incremental"].source == "none" else set()
    hidden |= {"conversions"} if plan.quantity == "participants" else set()
    rows = []
    for name, row in played.table.drop(index=sorted(hidden)).iterrows():
        kind = {"revenue": "money", "cost": "money", "roi": "multiple"}.get(str(name), "number")
        low, middle, high = (v if kind == "multiple" else round(v) for v in (row.low, row["median"], row.high))
        rows.append((name, text.write(middle, kind), text.interval(low, high, kind)))
    return pd.DataFrame(rows, columns=["quantity", "estimate", "range"])


def proving(found: Proof | None, event: str) -> Finding:
    """How many to hold out so that the effect can be proven."""
    name = columns.value_name("event", event)
    if found is None:
        return Finding("plan.proof", "info", say(zh="最近没有人做「{name}」，无法计算所需样本；请换参数「proof_event」。", en="Nobody did {name} lately, so no sample size can be given: choose another "
                       "proof_event.", name=name))  # fmt: skip
    lead = say(zh="基准{name}率 {rate}，要看出相对提升 {lift}，留出组需 {held} 人", en="At a base rate of {rate} ({name}), seeing a relative lift of {lift} takes {held} users held out",
               name=name, rate=text.percent(found.rate), lift=text.percent(found.lift, 0), held=text.number(found.held))  # fmt: skip
    if found.enough:
        words = say(
            zh="{lead}；计划留出 {n} 人，足够。",
            en="{lead}; the {n} planned are enough.",
            lead=text.Clean(lead),
            n=text.number(found.planned),
        )
    elif found.shows is None:
        words = say(zh="{lead}；计划留出 {n} 人，任何提升都看不出来。", en="{lead}; the {n} planned show no lift at all.", lead=text.Clean(lead), n=text.number(found.planned))  # fmt: skip
    else:
        words = say(zh="{lead}；计划留出 {n} 人，只能看出 {shows} 以上的提升。", en="{lead}; the {n} planned only show lifts from {shows} on.",
                    lead=text.Clean(lead), n=text.number(found.planned), shows=text.percent(found.shows, 0))  # fmt: skip
    return Finding("plan.proof", "good" if found.enough else "watch", words, metric="experiment.power", value=found.held,
                   no_interval=say(zh="按样本量公式", en="by the formula for sample sizes"))  # fmt: skip


def pressing(found: Load, headroom: float) -> Finding:
    """What engineering must be ready for."""
    words = say(zh="请准备每秒 {high} 次请求的峰值（预计 {usual}，已含 {room} 倍余量）；过往最忙一分钟为每秒 {past} 次，依据 {n} 次活动。",
                en="Be ready for a peak of {high} requests a second ({usual} expected, {room}× headroom included); the busiest minute so far had {past} a second, over {n}.", high=_rate(found.high), usual=_rate(found.expected), room=text.number(headroom), past=_rate(found.past), n=text.some(found.n, "campaign"))  # fmt: skip
    return Finding("plan.load", "info", words, metric="campaign.load", value=found.high, n=found.n, format="count",
                   no_interval=say(zh="上限由过往最坏一次推出", en="an upper bound, from the worst so far"))  # fmt: skip


def _rate(value: float) -> str:
    return text.number(round(value)) if value >= 10 else text.number(value, 1)


def risks(plan: Design, played: Plan, found: Mapping[str, Assumption]) -> pd.DataFrame:
    """What may go wrong: the cap set in advance, the sign to act on, and the emergency plan."""
    c = caps(played, plan, found)
    rows = [
        (say(zh="超支", en="Overspending"), say(zh="总额 {money}，单日 {daily}", en="{money} in all, {daily} a day", money=text.money(round(c["money"])), daily=text.money(round(c["daily"]))),
         say(zh="花费进度比时间进度快三成", en="Spending runs 30% ahead of time"), say(zh="奖励减半，停止新参与，公示调整", en="Halve the reward, close to newcomers, say so openly")),
        (say(zh="薅羊毛", en="Reward farming"), say(zh="每人领奖不超过 {n}，每台设备不超过 2 个账号", en="At most {n} a person, two accounts a device", n=text.money(round(5 * c["reward"], 2))),
         say(zh="待复核账号超过领奖账号的 1%", en="Accounts up for review exceed 1% of claimants"), say(zh="奖励延后 7 天到账，复核后再发", en="Pay rewards after 7 days, once reviewed")),
        (say(zh="参与不足", en="Too few take part"), say(zh="第 3 天至少达到 {n}", en="By day 3 at least {n}", n=_written(plan, c["late"])),
         say(zh="第 3 天低于该数", en="Under that on day 3"), say(zh="追加触达和首页入口，仍不足则提前收尾", en="Add messages and a place on the home page; else end early")),
        (say(zh="系统过载", en="Overload"), say(zh="按峰值预估限流", en="Rate limit at the forecast peak"),
         say(zh="错误率超过 1% 或响应变慢一倍", en="Errors above 1% or answers twice as slow"), say(zh="排队页、关闭动效和排行榜，错峰发放", en="Queue page, switch off animations and rankings, stagger rewards")),
        (say(zh="口碑受损", en="Complaints"), say(zh="规则、名额、截止时间写明", en="Rules, quota and deadline in writing"),
         say(zh="相关反馈翻倍", en="Feedback about it doubles"), say(zh="一小时内公告，客服统一答复，按规则补发", en="Announce within an hour, one answer from support, make good by the rules")),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["risk", "cap", "sign", "response"])


def risk(plan: Design, names: list[str]) -> list[Finding]:
    """How many risks are capped, and which other campaigns run on the same days."""
    out = [
        Finding(
            "plan.risks",
            "info",
            say(
                zh="五类风险各有上限、信号和应急办法，如下表。",
                en="Five risks, each with a cap, a sign and an emergency plan, as in the table.",
            ),
            metric="campaign.plan",
        )
    ]
    if names:
        out.append(Finding("plan.overlap", "watch",
                           say(zh="同期已有 {n} 个活动，作用会混在一起，建议错开或互斥分组。", en="On the same days {n} will run: effects will mix. Shift one, or keep their groups apart.",
                               n=text.some(len(names), "other campaign")), metric="campaign.plan"))  # fmt: skip
    return out


def named(names: list[str]) -> str:
    """Which campaigns run on the same days; their names stand as they were set up, in whatever language."""
    return say(zh="同期活动：{names}。", en="On the same days: {names}.", names=text.names(names)) if names else ""


def templates(rows: pd.DataFrame, plan: Design) -> Finding:
    """What the reviews of earlier campaigns left for the next one."""
    kept = lessons.reviewed(rows, plan.kind, text.language())
    if kept.empty:
        return Finding("plan.templates.none", "info",
                       say(zh="还没有同类活动的复盘模板；先对过往活动运行活动复盘。", en="No review of a campaign of this kind has left a template yet: run campaign_retrospective on the past ones."))  # fmt: skip
    return Finding("plan.templates", "info",
                   say(zh="{n} 份同类活动的复盘模板，供本次沿用。", en="{n} from reviews of this kind, to build on.", n=text.some(kept.run.nunique(), "template")), metric="campaign.plan")  # fmt: skip


def template_table(rows: pd.DataFrame, plan: Design, most: int = 12) -> pd.DataFrame | None:
    """The lessons of the kind: `campaign`, `lesson`, `text`."""
    kept = lessons.reviewed(rows, plan.kind, text.language())
    kept = kept[kept.lesson.isin(("keep", "stop", "try"))] if len(kept) else kept
    return kept[["campaign", "lesson", "advice"]].head(most) if len(kept) else None


def actions(plan: Design, played: Plan, proof: Proof | None, until: dt.date) -> list[Action]:
    """What has to be decided before the start: three days ahead, or at once where the data reach (`until`) into these days."""
    due = str(max(plan.first - dt.timedelta(days=3), until + dt.timedelta(days=1)))
    out = []
    if played.chance < LIKELY:
        out.append(Action(say(zh="把目标调到八成把握的水平，或追加预算与触达", en="Lower the goal to what has a chance of 80%, or add budget and reach"), "operations",
                          evidence=say(zh="达成概率 {chance}", en="a chance of {chance}", chance=text.percent(played.chance, 0)), metric="campaign.plan", baseline=plan.goal, target=safe_goal(played, plan), due_on=due))  # fmt: skip
    if proof is not None:
        out.append(Action(say(zh="开始前随机留出 {n} 名用户", en="Hold out {n} at random before the start", n=text.some(proof.proposed, "user")),
                          "operations", evidence="" if proof.proposed < proof.held else say(zh="看出相对提升 {lift} 所需", en="needed to see a lift of {lift}", lift=text.percent(proof.lift, 0)), metric="campaign.incremental", due_on=due))  # fmt: skip
    return out
