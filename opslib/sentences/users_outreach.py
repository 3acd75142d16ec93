"""What the report on users says about leaving and reaching out: risk, plays, lists, and what the last lists did."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from opslib import text
from opslib.models.churn import ChurnModel
from opslib.models.outreach import Outreach
from opslib.models.plays import Plan
from opslib.report import write_list
from opslib.report.finding import Action, Finding
from opslib.sentences.users import pp
from opslib.sentences.users_people import feature
from opslib.text import say

CALIBRATED = 0.03  # the largest gap between predicted and observed in a tenth, as a share


def risk(scored: pd.DataFrame, drivers: pd.DataFrame, at_least: float, days: int) -> Finding:
    """How many of those here are about to leave, and why."""
    n, of = int((scored["risk"].astype(float) >= at_least).sum()), len(scored)
    why = (
        say(
            zh="首要原因多是「{why}」（{share}）",
            en="the first reason is mostly “{why}” ({share})",
            why=feature(drivers.iloc[0]["feature"]),
            share=text.percent(drivers.iloc[0]["share"], 0),
        )
        if len(drivers)
        else say(zh="没有突出的原因", en="no reason stands out")
    )
    return Finding(
        "churn.at_risk",
        "watch" if of and n / of >= 0.1 else "info",
        say(
            zh="在用的 {of} 人中，{n} 人今后 {days} 天离开的可能性不低于 {least}；{why}。",
            en="Of {of} users here, {n} have a chance of {least} or more to leave in the next {days} days; {why}.",
            of=text.number(of),
            n=text.number(n),
            days=days,
            least=text.percent(at_least, 0),
            why=why,
        ),
        metric="churn.risk",
        value=n,
        n=of,
        no_interval=say(zh="校准见下图", en="see the calibration"),
    )


def trust(model: ChurnModel) -> Finding:
    """How good the risks were on a later period."""
    found = model.quality
    assert found is not None
    worst, chance = found.worst, found.gap_by_chance()
    good = worst["gap"] <= max(CALIBRATED, chance)
    verdict = (
        say(zh="：偶然即可解释", en=": chance alone may explain it")
        if worst["gap"] <= chance
        else say(zh="，但差得不多", en=", yet it is not far off")
        if good
        else say(zh="：风险只宜排序，不宜当作概率", en=": use the risks to rank users, not as chances")
    )
    return Finding(
        "churn.quality",
        "info" if good else "watch",
        say(
            zh="在之后的时期检验：AUC {auc}，风险最高的一成人离开的比例是平均的 {lift} 倍。十等分中差得最多的一组预测 {told}、实际 {seen}（{low} 至 {high}），差 {gap}；{n} 人的检验即使预测全对，最差一组也可能差到 {chance}{so}。",
            en="Checked on a later period: AUC {auc}, the tenth with the highest risk left {lift} times as often as the average. The tenth that is furthest off was predicted {told} and came to {seen} ({low} to {high}), off by {gap}; with {n} users even right risks would be off by up to {chance} in their worst tenth{so}.",
            auc=text.number(found.auc, 2),
            lift=text.number(found.lift(0.1), 1),
            told=text.percent(worst["predicted"]),
            seen=text.percent(worst["observed"]),
            low=text.percent(worst["low"]),
            high=text.percent(worst["high"]),
            gap=pp(worst["gap"]),
            n=text.number(found.n),
            chance=pp(chance),
            so=verdict,
        ),
        metric="churn.risk",
        value=found.auc,
        n=found.n,
        format="decimal",
        no_interval=say(zh="只有一个留出期", en="one hold-out period only"),
    )


def risk_note(model: ChurnModel, days: int) -> str:
    """What the model is, and what it is not."""
    effects = model.effects.head(3)
    return say(
        zh="加法逻辑回归，用更早的几天拟合并校准，在之后 {days} 天检验；信息最多的特征：{names}。原因是关联，不是因果。",
        en="An additive logistic model, fitted and calibrated on earlier days, judged on the {days} days after; the most telling features: {names}. Reasons are associations, no causes.",
        days=days,
        names=say(zh="、", en=", ").join(feature(f) for f in effects["feature"]),
    )


def risk_list(scored: pd.DataFrame, at_least: float) -> pd.DataFrame:
    """Users at risk, the highest first, with what raises it most."""
    rows = scored[scored["risk"].astype(float) >= at_least].sort_values("risk", ascending=False)
    reasons = {c: [feature(v) if isinstance(v, str) else "" for v in rows[c]] for c in ("reason_1", "reason_2")}
    return rows.assign(**reasons).rename_axis("user_id").reset_index()[["user_id", "risk", "reason_1", "reason_2"]]


PLAY_FORMATS = {"lift": "points", "extra": "number"}


def play_labels() -> dict[str, str]:
    return {
        "lift": say(zh="提升", en="Lift"),
        "extra": say(zh="预计多留住，人", en="Should win (users)"),
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
    """Plays under their names with what they offer; whom they should win in whole users."""
    by = {play.id: play for play in plan.plays}
    basis = {
        "measured": say(zh="经上期留出组校正", en="corrected by hold-out"),
        "assumed": say(zh="假设", en="assumed"),
    }
    return table.assign(
        offer=[by[p].offer for p in table["play"]],
        play=[by[p].name for p in table["play"]],
        basis=table["basis"].map(basis),
        **{name: table[name].round() for name in ("extra", "low", "high")},
    )


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
            metric="outreach.gain",
            value=round(table["extra"].sum()),
            low=round(table["low"].sum()),
            high=round(table["high"].sum()),
            n=n,
        )
    ]


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
    return found.audit.assign(play=[play.name for play in plan.plays])


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
    """The page's one sentence: who is here, who slipped, whom to reach."""
    rows = book.set_index("state")["users"]
    row = lost.iloc[0]
    slipped = text.percent(row["hits"] / row["of"]) if row["of"] else say(zh="（无）", en="(none)")
    reach = (
        say(
            zh="本期触达 {n} 人，留出 {held} 人检验效果",
            en="reach {n} users now, with {held} held out to see the effect",
            n=text.number(table["contacted"].sum()),
            held=text.number(table["holdout"].sum()),
        )
        if table is not None and len(table)
        else say(zh="本期没有可触达的名单", en="there is nobody to reach now")
    )
    return say(
        zh="在用 {here} 人；{days} 天前在用的人中 {slipped} 已沉默或流失；{reach}。",
        en="{here} users are here; of those here {days} days ago {slipped} are silent or gone; {reach}.",
        here=text.number(rows[["new", "active", "retained"]].sum()),
        days=days,
        slipped=slipped,
        reach=reach,
    )
