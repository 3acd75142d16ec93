"""Sentences of where a review's goal and budget come from, whether its plan was for the same days, and of a goal in money."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from opslib import columns, figures, text
from opslib.figures import Drawing
from opslib.models.lessons import Planned
from opslib.models.retrospective import Campaign, Extra, Money
from opslib.report.finding import Finding
from opslib.text import missing, say


def goal_written(this: Campaign, value: float) -> str:
    """A value of the goal: money, or people."""
    if this.in_money:
        return text.money(round(value))
    return people(round(value))


def people(n: float) -> str:
    return say(zh="{n} 人", en="{n}", n=text.some(n, "user"))


def back(value: float | None) -> str:
    """A return on the cost, as a multiple of it."""
    return text.write(value, "multiple")


def back_span(low: float | None, high: float | None) -> text.Clean:
    """Both ends of it; one that is not known is left open."""
    return text.Clean(text.interval(low, high, "multiple"))


def goal_name(this: Campaign) -> str:
    """What the goal counts, in a reader's words."""
    return say(zh="增量收入", en="extra revenue") if this.in_money else columns.value_name("event", this.goal_metric)


def origin(own: Campaign, this: Campaign, plan: Planned) -> list[Finding]:
    """Where goal and budget stand; and whether the plan that lends or promised them was for the campaign's days.

    `own` is the campaign as its record has it, `this` the one that the page judges.
    """
    words = say(zh="{goal}；{budget}。", en="{goal}; {budget}.", goal=text.Clean(_goal(own, this, plan)), budget=text.Clean(_budget(own, this, plan)))  # fmt: skip
    return [Finding("campaign.source", "info", words, metric="campaign.source"), *_days(this, plan)]


def _goal(own: Campaign, this: Campaign, plan: Planned) -> str:
    if missing(this.goal):
        return say(zh="没有登记目标", en="No goal is on record")
    told = say(
        zh="目标「{name}」{value}",
        en="The goal of {value} ({name})",
        name=goal_name(this),
        value=goal_written(this, this.goal),
    )
    if (own.goal_metric, own.goal) != (this.goal_metric, this.goal):
        return say(
            zh="{told}取自策划 {run}", en="{told} is that of the plan {run}", told=text.Clean(told), run=plan.run
        )
    own_words = say(zh="{told}取自活动自身的登记", en="{told} is the campaign's own", told=text.Clean(told))
    other = plan.number("goal_value")
    if not other > 0 or (plan.told("goal_metric"), other) == (this.goal_metric, this.goal):
        return own_words
    planned = replace(this, goal_metric=plan.told("goal_metric"))
    value = goal_written(planned, other)
    if planned.goal_metric != this.goal_metric:
        value = f"{goal_name(planned)} {value}"
    return say(zh="{own}，策划 {run} 写的是 {value}", en="{own} (the plan {run} has {value})", own=text.Clean(own_words), run=plan.run, value=text.Clean(value))  # fmt: skip


def _budget(own: Campaign, this: Campaign, plan: Planned) -> str:
    if missing(this.budget) or not this.budget:
        return say(zh="没有登记预算", en="no budget is on record")
    value, other = text.money(this.budget), plan.number("budget")
    if missing(own.budget) and (own.goal_metric, own.goal) != (this.goal_metric, this.goal) and not missing(this.goal):
        return say(zh="预算 {value} 也取自它", en="so is the budget of {value}", value=value)
    if missing(own.budget):
        return say(zh="预算 {value} 取自策划 {run}", en="the budget of {value} is that of the plan {run}", value=value, run=plan.run)  # fmt: skip
    if other > 0 and other != this.budget:
        return say(zh="预算 {value} 取自活动自身的登记（策划写的是 {other}）", en="the budget of {value} is the campaign's own (the plan has {other})",
                   value=value, other=text.money(other))  # fmt: skip
    return say(zh="预算 {value} 取自活动自身的登记", en="the budget of {value} is the campaign's own", value=value)


def _days(this: Campaign, plan: Planned) -> list[Finding]:
    """The planned days beside the campaign's; nothing without a plan that names its days."""
    if plan.days is None:
        return []
    apart, (first, last) = plan.apart(this), plan.days
    told = {"run": plan.run, "first": str(first), "last": str(last), "days": (last - first).days + 1,
            "begun": str(this.first), "ended": str(this.last), "length": this.days}  # fmt: skip
    words = {
        "": say(zh="策划 {run} 的日期就是活动的日期（{first} 至 {last}）。", en="The plan {run} is for the campaign's own days ({first} to {last}).", **told),
        "shifted": say(zh="策划 {run} 的日期是 {first} 至 {last}，活动实际在 {begun} 至 {ended}，同为 {days} 天。",
                       en="The plan {run} is for {first} to {last}; the campaign's days are {begun} to {ended}, {days} likewise.", **told),
        "length": say(zh="策划 {run} 是 {days} 天（{first} 至 {last}），活动是 {length} 天（{begun} 至 {ended}）：两者的数字不是同样长的时间。",
                      en="The plan {run} is for {days} days ({first} to {last}), the campaign has {length} ({begun} to {ended}): their numbers are not of equally long times.", **told),
        "disjoint": say(zh="策划 {run} 的日期（{first} 至 {last}）与活动（{begun} 至 {ended}）没有重合，目标和预算不取自它。",
                        en="The plan {run} ({first} to {last}) has no day in common with the campaign ({begun} to {ended}): it lends neither goal nor budget.", **told),
    }[apart]  # fmt: skip
    return [Finding("campaign.plan.days", "watch" if apart in ("length", "disjoint") else "info", words, metric="campaign.source")]  # fmt: skip


def by_planned_length(progress: pd.DataFrame, this: Campaign, plan: Planned) -> list[Finding]:
    """How much of the goal was done in as many days as were planned, where the campaign ran longer."""
    days = plan.days
    planned = (days[1] - days[0]).days + 1 if days else this.days
    if missing(this.goal) or plan.apart(this) != "length" or not planned < len(progress):
        return []
    done = float(progress.done.iloc[planned - 1])
    words = say(zh="在策划的 {days} 天内完成 {done}，为目标的 {share}。", en="Within the {days} days planned, {done} were done: {share} of the goal.",
                days=planned, done=goal_written(this, done), share=text.percent(done / this.goal))  # fmt: skip
    return [
        Finding("campaign.goal.planned_days", "info", words, metric="campaign.participants", value=done / this.goal, format="percent", no_interval="census")
    ]  # fmt: skip


def money_goal(found: Extra | None, spent: Money, this: Campaign) -> list[Finding]:
    """A goal of extra revenue against the extra revenue that the hold-out shows, or why that cannot be said."""
    if not this.in_money or missing(this.goal) or this.running:
        return []
    goal = goal_written(this, this.goal)
    if found is None:
        words = say(zh="目标是增量收入 {goal}；名下订单 {revenue} 中有多少是增量无从得知，因此不能说目标已达成。",
                    en="The goal is {goal} of extra revenue; how much of the {revenue} ordered in its name is extra cannot be known, so the goal cannot be called reached.",
                    goal=goal, revenue=text.money(round(spent.revenue)))  # fmt: skip
        return [Finding("campaign.goal.extra", "watch", words, metric="campaign.incremental")]
    value, low, high = _extra_revenue(found)
    level, judged = _money_judged(low, high, this.goal)
    words = say(zh="留出组显示增量收入 {value}（{span}），目标 {goal}：{judged}。", en="The hold-out shows {value} of extra revenue ({span}) against a goal of {goal}: {judged}.",
                value=text.money(round(value)), span=text.Clean(text.interval(round(low), round(high), "money")), goal=goal, judged=judged)  # fmt: skip
    return [
        Finding("campaign.goal.extra", level, words, metric="campaign.incremental", value=value, low=low, high=high, n=found.treated, base=this.goal, format="money")
    ]  # fmt: skip


def _extra_revenue(found: Extra) -> tuple[float, ...]:
    """Value and interval of what the hold-out shows; NaN where it does not tell."""
    extra = found.revenue
    return tuple(float("nan") if v is None else v for v in (extra.value, extra.low, extra.high))


def _money_judged(low: float, high: float, goal: float) -> tuple[str, str]:
    """Level and words of an interval of extra revenue beside its goal."""
    if low >= goal:
        return "good", say(zh="达成", en="reached")
    if high < goal:
        return "watch", say(zh="未达成", en="missed")
    return "watch", say(zh="是否达成没有把握", en="reached or not is not certain")


def verdict(effect: str, this: Campaign, done: float, found: Extra | None) -> str:
    """The page's first sentences: of a goal whether it was reached, and then `effect`, what the campaign brought."""
    if this.running or missing(this.goal) or not this.goal > 0:
        return effect
    told = _reached_in_money(this, found) if this.in_money else _reached(this, done)
    return say(zh="{told}{effect}", en="{told} {effect}", told=text.Clean(told), effect=text.Clean(effect))


def _reached(this: Campaign, done: float) -> str:
    """Goal and actual of a goal in people."""
    told = {"name": goal_name(this), "goal": goal_written(this, this.goal)}
    if missing(done):
        return say(zh="目标「{name}」{goal}，完成多少无从得知。", en="Goal of {goal} ({name}): what was done cannot be known.", **told)  # fmt: skip
    told |= {"done": text.number(round(done)), "share": text.percent(done / this.goal)}
    if done < this.goal:
        return say(zh="未达目标：「{name}」目标 {goal}，完成 {done} 人（{share}）。", en="Goal missed: {done} of {goal} ({name}), {share}.", **told)  # fmt: skip
    return say(zh="达成目标：「{name}」目标 {goal}，完成 {done} 人（{share}）。", en="Goal reached: {done} against {goal} ({name}), {share}.", **told)  # fmt: skip


def _reached_in_money(this: Campaign, found: Extra | None) -> str:
    """Goal and actual of a goal of extra revenue: what the hold-out shows of it, which is never what was ordered in its name."""
    goal = goal_written(this, this.goal)
    if found is None:
        return say(zh="目标增量收入 {goal}，是否达成无从得知。", en="Goal of {goal} of extra revenue: reached or not cannot be known.", goal=goal)  # fmt: skip
    value, low, high = _extra_revenue(found)
    return say(zh="目标增量收入 {goal}，留出组显示 {value}：{judged}。", en="Goal of {goal} of extra revenue, {value} by the hold-out: {judged}.", goal=goal,
               value=text.money(round(value)), judged=_money_judged(low, high, this.goal)[1])  # fmt: skip


def asked(this: Campaign) -> str:
    """What the section of the days answers."""
    if not this.goal_metric:
        return say(zh="每天有多少人参与", en="How many took part, day by day?")
    return say(zh="目标完成了吗", en="Was the goal reached?")


def by_day(progress: pd.DataFrame, this: Campaign) -> pd.DataFrame:
    """The last days towards the goal; without one, the last days on which somebody was new to the campaign, and how many were."""
    if this.goal_metric:
        return progress.tail(7).round()
    rows = progress.assign(first=progress.done.diff().fillna(progress.done))
    return rows[rows["first"] > 0][["day", "first", "done"]].tail(14)


def columns_of(this: Campaign) -> dict[str, dict[str, str]]:
    """How the days' table names and writes what was done: by default people."""
    if not this.goal_metric:
        return {"labels": {"first": say(zh="当日首次参与，人", en="New that day"), "done": say(zh="累计参与，人", en="Took part so far")}}  # fmt: skip
    if not this.in_money:
        return {}
    named = {"done": say(zh="累计名下订单净额", en="Ordered so far, net"), "pace": say(zh="均匀进度", en="Even pace")}
    return {"labels": named, "formats": dict.fromkeys(named, "money")}


def drawn(progress: pd.DataFrame, this: Campaign) -> Drawing:
    """What was done so far, beside the even pace where there is a goal."""
    rows = pd.DataFrame({"day": progress.day, "done": progress.done, "course": "actual"})
    if "pace" in progress:
        even = pd.DataFrame({"day": progress.day, "done": progress.pace, "course": "pace"})
        rows = pd.concat([rows, even], ignore_index=True)
    title = (
        say(zh="累计名下订单净额", en="Ordered in its name so far, net")
        if this.in_money
        else say(zh="累计完成目标行为的用户", en="Users so far who did what the goal counts")
        if this.goal_metric
        else say(zh="累计参与用户", en="Users so far who took part")
    )
    return figures.curve(
        rows, x="day", y="done", hue="course", zero=True, format="money" if this.in_money else "number", title=title
    )
