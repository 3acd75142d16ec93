"""What the report on users says about reaching out: plays, lists, and what the last lists did."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pandas as pd

from opslib import columns, text
from opslib.models.outreach import Outreach
from opslib.models.plays import Plan, Play
from opslib.models.segments import NAMES, segment_name
from opslib.report import write_list
from opslib.report.finding import Action, Finding
from opslib.sentences.users import here
from opslib.sentences.users_people import feature
from opslib.text import say

PLAY_FORMATS = {"lift": "points", "extra": "number"}


def play_labels() -> dict[str, str]:
    return {
        "lift": say(zh="提升", en="Lift"),
        "extra": say(zh="多留住，人", en="Should win (users)"),
        "lift_low": say(zh="提升的范围", en="Range of the lift"),
        "low": say(zh="范围，人", en="Range (users)"),
        "holdout": say(zh="留出，人", en="Held out"),
    }


def effect_labels() -> dict[str, str]:
    return {
        "of": say(zh="触达，人", en="Contacted"),
        "base_of": say(zh="留出，人", en="Held out"),
        "rate": say(zh="触达者之后来过", en="Came, contacted"),
        "base_rate": say(zh="留出组之后来过", en="Came, held out"),
    }


def play_table(table: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Plays under their names, whom they should win in whole users, and where plays differ in it how that is known."""
    by = {play.id: play for play in plan.plays}
    basis = {
        "measured": say(zh="经上期留出组校正", en="corrected by hold-out"),
        "assumed": say(zh="假设", en="assumed"),
    }
    known = {"basis": table["basis"].map(basis)} if table["basis"].nunique() > 1 else {}
    table = table.assign(
        play=[by[p].name for p in table["play"]],
        **{name: table[name].round() for name in ("extra", "low", "high")},
        **known,
    )
    columns = ["play", "contacted", "holdout", "lift", "lift_low", "lift_high", "extra", "low", "high", "worth"]
    return table[[*columns, *known, "detectable"]]


def plays(table: pd.DataFrame, plan: Plan) -> list[Finding]:
    """Whom to reach this time, and what it should bring."""
    n, held = table["contacted"].sum(), table["holdout"].sum()
    measured = (table["basis"] == "measured").any()
    basis = (
        say(zh="按假设并经上期留出组校正", en="as assumed and corrected by the last hold-out")
        if measured
        else say(zh="按假设的提升，待留出组检验", en="at the lift assumed, which the hold-out will test")
    )
    return [
        Finding(
            "outreach.plan",
            "act",
            say(
                zh="本期触达 {n} 人（另留出 {held} 人不触达），预计多留住 {extra} 人（{low} 至 {high}），{basis}。",
                en="Reach {n} users now ({held} more are held out); it should win {extra} ({low} to {high}), {basis}.",
                n=text.number(n),
                held=text.number(held),
                extra=text.number(table["extra"].sum(), 0),
                low=text.number(table["low"].sum(), 0),
                high=text.number(table["high"].sum(), 0),
                basis=basis,
            ),
            spread=span(table),
            metric="outreach.gain",
            value=round(table["extra"].sum()),
            low=round(table["low"].sum()),
            high=round(table["high"].sum()),
            n=n,
        )
    ]


def span(table: pd.DataFrame) -> str:
    """What the ranges of the gains are: an opinion of the plan until a hold-out has measured."""
    kinds = set(table["basis"])
    if kinds == {"assumed"}:
        return say(zh="假设的范围", en="assumed range")
    if kinds == {"measured"}:
        return say(zh="假设经留出组校正后的范围", en="range as assumed and corrected by the hold-out")
    return say(zh="范围（部分为假设）", en="range, assumed in part")


def spans_meaning(table: pd.DataFrame) -> str:
    return say(zh="圆点：预计；横线：{what}。", en="Dot: expected; line: {what}.", what=text.Clean(span(table)))


def actions(table: pd.DataFrame, plan: Plan, *, due: dt.date, most: int = 4) -> list[Action]:
    """The largest gains first."""
    by = {play.id: play for play in plan.plays}
    rows = table.sort_values("extra", ascending=False).head(most)
    return [
        Action(
            say(
                zh="「{play}」：向名单「{id}.csv」中 {n} 人发送{offer}，留出组不发",
                en="“{play}”: send {offer} to {n} users of “{id}.csv”, not to the hold-out",
                play=by[row["play"]].name,
                id=row["play"],
                n=text.number(row["contacted"]),
                offer=by[row["play"]].offer,
            ),
            by[row["play"]].team,
            evidence=say(
                zh="预计多留住 {low} 至 {high} 人",
                en="should win {low} to {high} users",
                low=text.number(row["low"], 0),
                high=text.number(row["high"], 0),
            ),
            metric="outreach.effect",
            target=row["lift"],
            due_on=str(due),
            format="points",
        )
        for row in rows.to_dict("records")
    ]


def write(found: Outreach, plan: Plan) -> pd.DataFrame:
    """Every play's list and the audit, beside the report; gives back the audit as the page shows it."""
    for play in plan.plays:
        write_list(play.id, found.lists[play.id], title=f"{play.name} · {play.offer}")
    write_list("outreach_audit", found.audit, title=say(zh="触达名单的审计", en="Audit of the lists"))
    return found.audit.assign(play=[play.name for play in plan.plays], rule=[rule(play) for play in plan.plays])


def rule(play: Play) -> str:
    """A play's conditions in words."""
    return say(zh="；", en="; ").join(_condition(name, wanted) for name, wanted in play.who.items())


def _condition(name: str, wanted: Any) -> str:
    own = {"risk": say(zh="流失风险", en="risk of leaving"), "spent": say(zh="消费", en="money spent")}
    head = own.get(name) or feature(name)
    if isinstance(wanted, Mapping):
        ends = [(sign, wanted[end]) for sign, end in (("≥", "min"), ("≤", "max")) if end in wanted]
        told = [f"{sign} {text.percent(v, 0) if name == 'risk' else text.number(v)}" for sign, v in ends]
        return " ".join([head, *told])
    values = wanted if isinstance(wanted, list) else [wanted]
    called = [segment_name(v) if name == "segment" and v in NAMES else columns.value_name(name, v) for v in values]
    return say(zh="{head}为{values}", en="{head}: {values}", head=head, values=say(zh="、", en=" or ").join(called))


def rules(plan: Plan, worth: float) -> str:
    """Who is left alone, and what is drawn how."""
    return say(
        zh="一人只进一个名单；{quiet} 天内触达过、或 {days} 天内触达满 {cap} 次的人不打扰；随机留出 {held}（种子 {seed}）用来度量效果。多留住一人按 {goal} 天净收入 {worth} 计。",
        en="A user is in one list only; whoever was contacted within {quiet} days, or {cap} times within {days}, is left alone; a random {held} (seed {seed}) are held out to measure the effect. A user won counts {worth}, the net revenue of {goal} days.",
        quiet=plan.quiet_days,
        days=plan.cap_days,
        cap=plan.cap_contacts,
        held=text.percent(plan.holdout, 0),
        seed=str(plan.seed),
        goal=plan.goal_days,
        worth=text.money(worth),
    )


def effects(table: pd.DataFrame, plan: Plan, made: str) -> list[Finding]:
    """What the last lists did, play by play, against their hold-outs."""
    by = {play.id: play.name for play in plan.plays}
    found = []
    for row in table.sort_values("diff", ascending=False).to_dict("records"):
        clear = row["p_adjusted"] < 0.05  # one of twenty lists without any effect would stand out by chance
        worked, harmed = clear and row["diff"] > 0, clear and row["diff"] < 0
        verdict = (
            say(zh="有效", en="it worked")
            if worked
            else say(zh="适得其反", en="it did harm")
            if harmed
            else say(zh="看不出效果", en="no effect to be seen")
        )
        found.append(
            Finding(
                f"outreach.effect.{row['play']}",
                "good" if worked else "act" if harmed else "info",
                say(
                    zh="{made} 的名单「{play}」：触达者 {rate} 之后来过，留出组 {base}，{verdict}。",
                    en="List “{play}” of {made}: {rate} of those contacted have come since, {base} of the hold-out; {verdict}.",
                    made=made,
                    play=by.get(row["play"], row["play"]),
                    rate=text.percent(row["hits"] / row["of"]),
                    base=text.percent(row["base_hits"] / row["base_of"]),
                    verdict=verdict,
                ),
                metric="outreach.effect",
                value=row["diff"],
                low=row["low"],
                high=row["high"],
                n=row["of"] + row["base_of"],
                format="points",
            )
        )
    return found


def effect_table(table: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    by = {play.id: play.name for play in plan.plays}
    named = table.assign(
        play=[by.get(p, p) for p in table["play"]],
        rate=table["hits"] / table["of"],
        base_rate=table["base_hits"] / table["base_of"],
    )
    return named[
        ["play", "of", "rate", "base_of", "base_rate", "diff", "low", "high", "p_adjusted", "spent", "base_spent"]
    ]


def headline(book: pd.DataFrame, lost: pd.DataFrame, table: pd.DataFrame | None, days: int) -> str:
    """The page's one sentence: whom to reach, who slipped, who is here."""
    row = lost.iloc[0]
    slipped = text.percent(row["hits"] / row["of"]) if row["of"] else say(zh="（无）", en="(none)")
    reach = (
        say(
            zh="本期触达 {n} 人，留出 {held} 人检验效果",
            en="Reach {n} users now, with {held} held out to see the effect",
            n=text.number(table["contacted"].sum()),
            held=text.number(table["holdout"].sum()),
        )
        if table is not None and len(table)
        else say(zh="本期没有可触达的名单", en="There is nobody to reach now")
    )
    return say(
        zh="{reach}；{days} 天前在用的人中 {slipped} 已沉默或流失；现在在用 {here} 人。",
        en="{reach}; of those here {days} days ago {slipped} are silent or gone; {here} users are here now.",
        here=here(book),
        days=days,
        slipped=slipped,
        reach=reach,
    )
