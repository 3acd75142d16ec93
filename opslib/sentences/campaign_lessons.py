"""Sentences of what a campaign's review leaves behind: plan against actual, effects without a hold-out, keep, stop and try."""

from __future__ import annotations

import math

import pandas as pd

from opslib import columns, figures, text
from opslib.figures import Drawing
from opslib.models.campaign_effect import HELD, Guess
from opslib.models.lessons import Facts, Planned, honest_roi, rules, unit_costs
from opslib.models.retrospective import Campaign, Extra
from opslib.privacy import small_rows
from opslib.report.finding import Finding
from opslib.sentences import campaign
from opslib.sentences import campaign_origin as origin
from opslib.text import missing, say

LARGEST = 10  # trees whose share is said


def compared(rows: pd.DataFrame, plan: Planned, this: Campaign) -> list[Finding]:
    """Each planned number against what came: inside its range, above or below; times of unequal length are not judged."""
    if not plan.items:
        return [Finding("campaign.plan.none", "info",
                        say(zh="没有可读回的策划表；先运行活动策划，或用参数「plan」指定它的「plan.csv」。", en="No plan to read back: run campaign_plan first, or name its plan.csv in the parameter plan."))]  # fmt: skip
    if rows.empty:
        return [Finding("campaign.plan.nothing", "info",
                        say(zh="策划 {run} 所预计的数字，实际都无从得知，没有可比的。", en="Nothing that the plan {run} expects is known of what came: there is nothing to compare.", run=plan.run))]  # fmt: skip
    unequal = plan.apart(this) == "length"
    return [_compared(row, unequal) for row in rows.itertuples()]


def _compared(row, unequal: bool) -> Finding:  # type: ignore[no-untyped-def]
    kind = {"cost": "money", "revenue": "money", "ordered": "money", "roi": "multiple"}.get(row.quantity, "number")
    value, middle, low, high = (
        v if kind == "multiple" else round(v) for v in (row.actual, row.plan, row.plan_low, row.plan_high)
    )
    place = (say(zh="天数不同，不作判断", en="of unequally many days, not judged") if unequal
             else say(zh="在预计区间内", en="inside the range") if row.plan_low <= row.actual <= row.plan_high
             else say(zh="高于预计区间", en="above the range") if row.actual > row.plan_high else say(zh="低于预计区间", en="below the range"))  # fmt: skip
    bad = (row.actual > row.plan_high) if row.quantity == "cost" else (row.actual < row.plan_low)
    words = say(zh="{name}实际 {value}，策划预计 {middle}（{span}），{place}。", en="{name}: {value} against {middle} planned ({span}), {place}.",
                name=columns.value_name("quantity", row.quantity), value=text.write(value, kind), middle=text.write(middle, kind),
                span=text.Clean(text.interval(low, high, kind)), place=place)  # fmt: skip
    return Finding(f"campaign.plan.{row.quantity}", "watch" if bad and not unequal else "info", words, metric="campaign.plan", value=row.actual, base=row.plan, format=kind, no_interval="census")  # fmt: skip


def verdict(this: Campaign, extra: Extra | None, why: str, guess: Guess | None, unsure: str, event: str) -> str:
    """The page's one sentence: by the hold-out, else by a guess whose assumption stands, else why it cannot be known."""
    if this.running or extra is not None or (guess is None and not (why or unsure)):
        return campaign.verdict(this, extra, why)
    if guess is None or not guess.sound:
        return campaign.verdict(this, None, why or (unsure if guess is None else _why(guess)))
    low, high = guess.extra.low or 0.0, guess.extra.high or 0.0
    told = {
        "first": _held(why),
        "than": _than(guess),
        "n": text.write(round(guess.extra.value or 0), "number", sign=True),
        "name": columns.value_name("event", event),
        "span": text.Clean(text.interval(round(low), round(high), "number", sign=True)),
    }
    if low <= 0 <= high:
        return say(
            zh="{first}；{than}，「{name}」没有确定的差异：约 {n} 人天（{span}），只作参考。",
            en="{first}; {than} {name} shows no certain difference: about {n} user-days ({span}), a hint, no proof.",
            **told,
        )
    return say(
        zh="{first}；{than}，期内「{name}」相差约 {n} 人天（{span}），只作参考。",
        en="{first}; {than} {name} differs by about {n} user-days ({span}): a hint, no proof.",
        **told,
    )


def _than(guess: Guess) -> str:
    if guess.how == "did":
        return say(zh="与未触达用户相比", en="against users not touched")
    return say(zh="与此前走势相比", en="against its own past")


def _held(why: str) -> str:
    """How the hold-out failed, or that there was none."""
    return text.Clean(why) if why else say(zh="没有留出组", en="No hold-out")


def guessed(found: Guess, this: Campaign, event: str, why: str = "") -> list[Finding]:
    """The effect without the hold-out (`why` it cannot be read) if the guess' assumption stands the test, else why it cannot be known."""
    name, metric = (
        columns.value_name("event", event),
        "campaign.did" if found.how == "did" else "campaign.counterfactual",
    )
    if not found.sound:
        return [Finding("campaign.unknown", "watch", say(zh="{held}，增量无从得知：{why}。", en="{held}, and the extra effect cannot be known: {why}.",
                                                         held=_held(why), why=text.Clean(_why(found))), metric=metric)]  # fmt: skip
    span = text.Clean(text.interval(round(found.extra.low or 0), round(found.extra.high or 0), "number", sign=True))
    words = (
        say(zh="与未触达用户相比，期内「{name}」相差约 {n} 人天（{span}）；前三周两组变化一致（p = {p}），但不是随机分组，只作参考。",
            en="Against users not touched, {name} differs by about {n} user-days ({span}); both changed alike in the three weeks before (p = {p}), but nobody was split at "
            "random: a hint, no proof.", n=text.write(round(found.extra.value or 0), "number", sign=True), name=name, span=span, p=text.p_value(found.tested))
        if found.how == "did" else
        say(zh="与此前走势相比，期内「{name}」相差约 {n} 人天（{span}）；{tried} 次假想活动中有 {held} 的区间含 0，但同期的其他变化也算在内，只作参考。",
            en="Against its own past, {name} differs by about {n} user-days ({span}); {held} of {tried} pretended campaigns held 0, but whatever else happened is in it: a hint, "
            "no proof.", n=text.write(round(found.extra.value or 0), "number", sign=True), name=name, span=span, tried=found.tried, held=text.percent(found.tested, 0))
    )  # fmt: skip
    return [
        Finding(
            "campaign.guess",
            "info",
            words,
            metric=metric,
            value=_whole(found.extra.value),
            low=_whole(found.extra.low),
            high=_whole(found.extra.high),
            n=found.n,
        )
    ]


def _whole(days: float | None) -> float | None:
    """Nobody is active for a part of a day."""
    return days if missing(days) else round(days or 0.0)


def _why(found: Guess) -> str:
    if found.how == "did":
        return say(zh="触达与未触达用户在活动前的变化就不同（校正 p {p}）", en="users touched and not touched changed differently before it started (corrected p {p})", p=text.p_value(found.tested))  # fmt: skip
    return say(
        zh="在活动前假想 {n} 次同样长的活动，只有 {held} 的区间含 0（应不低于 {least}），走势不足以预测",
        en="of {n} pretended campaigns before it, the interval of only {held} held 0 (needs {least}): the past does not foretell the series",
        n=found.tried,
        held=text.percent(found.tested, 0),
        least=text.percent(HELD, 0),
    )


def caused(extra: list[Finding], found: Guess | None, why: str, this: Campaign, event: str) -> list[Finding]:
    """What the hold-out says, else what can be guessed, else why nothing can be known."""
    if extra:
        return extra
    if found is not None:
        return guessed(found, this, event, why)
    return [Finding("campaign.unknown", "watch",
                    say(zh="没有可用的留出组，增量无从得知：{why}。", en="There is no hold-out to read, and the extra effect cannot be known: {why}.", why=text.Clean(why)),
                    metric="campaign.incremental")]  # fmt: skip


def picture(found: Guess | None) -> Drawing | None:
    """The series beside what the past foretold, where the effect is read on it: a past that does not foretell it is not drawn."""
    if found is None or found.how != "series" or not found.sound:
        return None
    rows = found.table.tail(6 * int(found.table.after.sum()))
    actual = pd.DataFrame({"day": rows.day, "users": rows.actual, "course": "actual"})
    expected = pd.DataFrame({"day": rows.day, "users": rows.predicted, "course": "forecast", "low": rows.low, "high": rows.high})  # fmt: skip
    return figures.curve(
        pd.concat([actual, expected], ignore_index=True),
        x="day",
        y="users",
        hue="course",
        low="low",
        high="high",
        zero=True,
    )


def generations(rows: pd.DataFrame) -> list[Finding]:
    """How K falls from generation to generation, and how long a cycle takes."""
    if rows.empty:
        words = say(
            zh="还没有人观察满一个邀请周期，K 无从得知。",
            en="Nobody has been observed for a whole cycle yet, so K is not known.",
        )
        return [Finding("campaign.tree", "info", words, metric="campaign.k")]
    if not rows.accepted.any():
        words = say(zh="没有人通过邀请注册。", en="Nobody registered through an invitation.")
        return [Finding("campaign.tree", "info", words, metric="campaign.k")]
    first, later = rows.iloc[0], rows[(rows.generation > 0) & ~small_rows(rows)]  # a sum would tell the one withheld
    out = [Finding("campaign.k.first", "info",
                   say(zh="每个观察满一个周期的参与者带来 {k} 人（{span}），中位周期 {days} 天。", en="Each participant seen for a whole cycle brought {k} ({span}), at a median cycle of {days} days.", k=f"{first.k:.2f}",
                       span=text.Clean(text.interval(first.low, first.high, "decimal")), days=f"{first.cycle:.1f}"),
                   metric="campaign.generation", value=first.k, low=first.low, high=first.high, n=first.users, format="decimal", no_interval="too few")]  # fmt: skip
    if len(later):
        k = later.accepted.sum() / later.users.sum()
        words = (say(zh="被邀请来、观察满一个周期的 {n} 人平均再带来 {k} 人，低于 1：传播靠第一代，不会自己延续。", en="The {n} invited who were seen for a whole cycle brought {k} more each, under 1: it lives off the first generation and does not carry itself.",
                     n=text.number(later.users.sum()), k=f"{k:.2f}")
                 if k < 1 else say(zh="被邀请来、观察满一个周期的 {n} 人平均再带来 {k} 人，不低于 1：传播在自己延续。", en="The {n} invited who were seen for a whole cycle brought {k} more each, 1 or above: it carries itself.",
                                   n=text.number(later.users.sum()), k=f"{k:.2f}"))  # fmt: skip
        out.append(
            Finding(
                "campaign.k.later",
                "info",
                words,
                metric="campaign.generation",
                value=k,
                n=later.users.sum(),
                format="decimal",
                no_interval=say(zh="全部被邀请者", en="all who were invited"),
            )
        )
    return out


def grown(trees: pd.DataFrame) -> list[Finding]:
    """How much of what invitations brought hangs on the largest trees of many, and how deep the deepest goes."""
    if len(trees) <= LARGEST:
        return []  # they hold everything
    all_of_them, top = int(trees.invited.sum()), trees.head(LARGEST)
    words = say(zh="{n} 棵邀请树共带来 {all} 人；最大的 {k} 棵占 {share}，最深 {depth} 代。", en="{n} brought {all}; the largest {k} of them hold {share}, the deepest reaches generation {depth}.",
                n=text.some(len(trees), "invitation tree"), all=text.some(all_of_them, "user"), k=len(top), share=text.percent(share := float(top.invited.sum() / all_of_them)),
                depth=int(trees.depth.max()))  # fmt: skip
    return [Finding("campaign.trees", "info", words, metric="campaign.tree", value=share, n=all_of_them, format="percent", no_interval="census")]  # fmt: skip


def forest(trees: pd.DataFrame) -> Drawing | None:
    """Whether many trees brought a few each or a few trees many: the users brought by trees of each size."""
    if trees.empty:
        return None
    edges = [1, 2, 3, 5, 10, 20, math.inf]
    names = ["1", "2", "3–4", "5–9", "10–19", "≥ 20"]
    band = pd.cut(trees.invited, edges, right=False, labels=names)
    rows = trees.groupby(band, observed=True).invited.agg(users="sum", trees="size").rename_axis("band").reset_index()
    return figures.bars(
        rows.astype({"band": str}), label="band", value="users", n="trees",
        title=say(zh="每棵邀请树带来的人数（n：树的棵数）", en="Users that an invitation tree brought (n: trees)"),
        value_title=say(zh="合计带来，人", en="Users brought in all"),
    )  # fmt: skip


def honest(facts: Facts) -> list[Finding]:
    """Cost and return with and without the accounts up for review."""
    if not facts.listed:
        return []
    out, (whole, clean), back = [], unit_costs(facts), honest_roi(facts)
    if not missing(whole) and not missing(clean):
        out.append(Finding("campaign.unit_cost", "info",
                           say(zh="每完成一个目标花费 {whole}；剔除待复核账号及其所领奖励后为 {clean}。", en="One user of the goal cost {whole}; without the accounts up for review and what they took, "
                               "{clean}.", whole=text.money(whole), clean=text.money(clean)), metric="campaign.cost", value=clean, base=whole, format="money", no_interval="census"))  # fmt: skip
    if back is not None and facts.extra and facts.extra.roi:
        out.append(Finding("campaign.roi.honest", "info",
                           say(zh="若未向待复核账号发奖，投资回报率为 {clean}，现为 {whole}。", en="Had those accounts been paid nothing, ROI would be {clean}; it is {whole}.",
                               clean=origin.back(back.value), whole=origin.back(facts.extra.roi.value)),
                           metric="campaign.roi", value=back.value, low=back.low, high=back.high, format="multiple"))  # fmt: skip
    return out


def _advice(kind: str, what: str) -> str:
    return {
        ("keep", "goal"): say(zh="目标达成：沿用这类玩法、时长和人群", en="The goal was reached: keep the kind, its length and its audience"),
        ("keep", "roi"): say(zh="增量回报确定为正：保留奖励力度", en="The return on what was extra is above zero for certain: keep the reward"),
        ("keep", "holdout"): say(zh="保留随机留出组", en="Keep the random hold-out"),
        ("keep", "stayed"): say(zh="来的新用户留存不低于平常：保留拉新入口", en="New users stayed no worse than others: keep the way in"),
        ("stop", "roi"): say(zh="增量回报确定为负：停止按此力度发奖", en="The return is below zero for certain: stop rewards of this size"),
        ("stop", "budget"): say(zh="超出预算：停止不设上限的奖励", en="Over budget: stop rewards without a cap"),
        ("stop", "instant_rewards"): say(zh="待复核账号过多：停止即时到账，复核后再发", en="Too many accounts up for review: stop paying at once, pay after review"),
        ("try", "holdout"): say(zh="随机留出一组用户，测出增量", en="Hold users out at random, to measure what is extra"),
        ("try", "goal"): say(zh="目标未达成：扩大触达或延长时间，先小范围试", en="The goal was missed: try more reach or more days, in a small test first"),
        ("try", "welcome"): say(zh="来的新用户留存低于平常：试试分次发奖和新手引导", en="New users stayed less than others: try rewards in parts and onboarding"),
        ("try", "second_invite"): say(zh="被邀请的人很少再邀请：在首次完成核心行为后引导邀请", en="The invited seldom invite: ask them after their first core action"),
        ("try", "bigger"): say(zh="扩大人群，看回报是否随之下降", en="Widen the audience and see whether the return falls"),
    }[kind, what]  # fmt: skip


def lessons(facts: Facts) -> pd.DataFrame:
    """`lesson` (keep, stop, try) and `advice`, one row per rule that the facts meet."""
    return pd.DataFrame([(kind, _advice(kind, what)) for kind, what in rules(facts)], columns=["lesson", "advice"])


def learnt(rows: pd.DataFrame) -> Finding:
    """How much there is of each."""
    n = rows.lesson.value_counts()
    counted = [(n.get("keep", 0), say(zh="保留 {n} 条", en="{n} to keep", n=int(n.get("keep", 0)))), (n.get("stop", 0), say(zh="停止 {n} 条", en="{n} to stop", n=int(n.get("stop", 0)))),
               (n.get("try", 0), say(zh="尝试 {n} 条", en="{n} to try", n=int(n.get("try", 0))))]  # fmt: skip
    return Finding("campaign.lessons", "info",
                   say(zh="{lessons}，已写入模板供下次策划。", en="{lessons}; written to a template for the next plan.",
                       lessons=text.Clean(say(zh="、", en=", ").join(words for some, words in counted if some))))  # fmt: skip


def template(facts: Facts, rows: pd.DataFrame) -> pd.DataFrame:
    """The reusable template: the lessons, and the facts that they rest on."""
    this = facts.this
    known = {
        say(zh="天数", en="Days"): text.number(this.days),
        say(zh="目标", en="Goal"): "" if missing(this.goal) else f"{this.goal_metric} {this.goal:.10g}",
        say(zh="完成", en="Done"): "" if missing(facts.done) else origin.goal_written(this, facts.done),
        say(zh="成本", en="Cost"): text.money(facts.spent.cost) if facts.spent.cost else "",
        say(zh="投资回报率", en="ROI"): origin.back(facts.extra.roi.value) if facts.extra and facts.extra.roi else "",
        say(zh="待复核账号", en="Accounts up for review"): text.number(facts.listed),
    }
    said = [("fact", f"{name}: {value}") for name, value in known.items() if value]
    table = pd.concat([rows, pd.DataFrame(said, columns=["lesson", "advice"])], ignore_index=True)
    return table.assign(campaign=this.name, campaign_id=this.id, kind=this.kind)[
        ["campaign", "campaign_id", "kind", "lesson", "advice"]
    ]
