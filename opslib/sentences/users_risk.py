"""What the report on users says about leaving: who is at risk, why, and how good the risks are."""

from __future__ import annotations

import pandas as pd

from opslib import privacy, text
from opslib.models.churn import ChurnModel
from opslib.models.statebook import HERE
from opslib.report.finding import Finding
from opslib.sentences.users import pp
from opslib.sentences.users_people import feature
from opslib.text import say

ONE_WAY = 0.8  # rank correlation of a feature with its part of the risk from which one end of it raises the risk
CALIBRATED = 0.03  # the largest gap between predicted and observed in a tenth, as a share


def reason(name: str, effects: pd.DataFrame) -> str:
    """A feature with the end of it that goes with leaving, where one of them clearly does."""
    way = dict(zip(effects["feature"], effects["direction"], strict=True)).get(name, 0.0)
    if not abs(way) >= ONE_WAY:
        return feature(name)
    if way > 0:
        return say(zh="{f}偏高", en="{f} (high)", f=feature(name))
    return say(zh="{f}偏低", en="{f} (low)", f=feature(name))


def risk(
    scored: pd.DataFrame, drivers: pd.DataFrame, effects: pd.DataFrame, at_least: float, days: int, book: pd.DataFrame
) -> Finding:
    """How many of those here are about to leave, and why; of a `book` with a state withheld no whole sum is told."""
    n, of = int((scored["risk"].astype(float) >= at_least).sum()), len(scored)
    states = book.loc[book["state"].isin(HERE), "users"]
    part = privacy.total(states) < states.sum()
    why = (
        say(
            zh="首要原因多是「{why}」（{share}）",
            en="the first reason is mostly “{why}” ({share})",
            why=reason(drivers.iloc[0]["feature"], effects),
            share=text.percent(drivers.iloc[0]["share"], 0),
        )
        if len(drivers)
        else say(zh="没有突出的原因", en="no reason stands out")
    )
    return Finding(
        "churn.at_risk",
        "watch" if of and n / of >= 0.1 else "info",
        say(
            zh="在用的{of} 人中，{n} 人今后 {days} 天离开的可能性不低于 {least}；{why}。",
            en="Of {of} here, {n} have a chance of {least} or more to leave in the next {days} days; {why}.",
            of=_these(privacy.together(states) if part else text.number(of), part),
            n=text.number(n),
            days=days,
            least=text.percent(at_least, 0),
            why=why,
        ),
        metric="churn.risk",
        value=n,
        n=privacy.total(states) if part else of,
        no_interval=say(zh="校准见下图", en="see the calibration"),
    )


def _these(number: str, part: bool) -> text.Clean:
    """Those here, of whom only the registered have a risk; a total that hides a state is of all of them."""
    return (
        text.Clean(say(zh=" {n}", en="{n} users", n=number))
        if part
        else text.Clean(say(zh="注册用户 {n}", en="{n} registered users", n=number))
    )


def trust(model: ChurnModel) -> Finding:
    """How good such risks were on later days, each predicted from what was known on it."""
    found = model.quality
    assert found is not None
    worst, chance = found.worst, found.gap_by_chance()
    # In the digits that the sentence tells: 4.4 points are not beyond 4.4.
    good = round(worst["gap"], 3) <= max(CALIBRATED, round(chance, 3))
    verdict = (
        say(zh="，在 {most}以内", en=", within {most}", most=pp(CALIBRATED))
        if round(worst["gap"], 3) <= CALIBRATED
        else say(zh="，偶然即可解释", en=", which chance alone may explain")
        if good
        else say(zh="：风险只宜排序，不宜当作概率", en=": use the risks to rank users, not as chances")
    )
    return Finding(
        "churn.quality",
        "info" if good else "watch",
        say(
            zh="在之后的日子检验（{days} 天，{users} 人、{rows} 人次，只用当天已知的数据）：AUC {auc}，风险最高的一成人离开的比例是平均的 {lift} 倍。十等分中差得最多的一组预测 {told}、实际 {seen}（{low} 至 {high}），差 {gap}{so}；即使风险全对，最差一组也可能差到 {chance}。",
            en="Checked on later days ({days}; {rows} predictions for {users} users, each from what was known on the day): AUC {auc}, the tenth with the highest risk left {lift} times as often as the average. The tenth that is furthest off was predicted {told} and came to {seen} ({low} to {high}), off by {gap}{so}; even right risks would be off by up to {chance} in their worst tenth.",
            days=found.days,
            users=text.number(found.users),
            rows=text.number(found.n),
            auc=text.number(found.auc, 2),
            lift=text.number(found.lift(0.1), 1),
            told=text.percent(worst["predicted"]),
            seen=text.percent(worst["observed"]),
            low=text.percent(worst["low"]),
            high=text.percent(worst["high"]),
            gap=pp(worst["gap"]),
            chance=pp(chance),
            so=verdict,
        ),
        metric="churn.risk",
        value=found.auc,
        low=found.auc_low,
        high=found.auc_high,
        n=found.n,
        format="decimal",
    )


def risk_note(model: ChurnModel, days: int, part: int = 1) -> str:
    """What the model is, and what it is not; `part`: it learns from one user in so many."""
    effects = model.effects.head(3)
    learns = say(zh="，从每 {k} 人中取一人学习", en=", learning from one user in {k}", k=part) if part > 1 else ""
    return say(
        zh="加法逻辑回归{learns}，用最近已知结果的三天拟合并校准；检验时在每天之前已满 {days} 天的三天上重新拟合。区间计入同一人出现多次。信息最多的特征：{names}。原因是关联，不是因果。",
        en="An additive logistic model{learns}, fitted and calibrated on the three newest days whose outcome is known; to judge a day it is fitted anew on three days that were over by then ({days} days before it or more). Intervals allow for users who stand on several days. The most telling features: {names}. Reasons are associations, no causes.",
        learns=learns,
        days=days,
        names=text.Clean(say(zh="、", en=", ").join(text.shown(feature(f)) for f in effects["feature"])),
    )


def risk_list(scored: pd.DataFrame, effects: pd.DataFrame, at_least: float) -> pd.DataFrame:
    """Users at risk, the highest first, with what raises it most."""
    rows = scored[scored["risk"].astype(float) >= at_least].sort_values("risk", ascending=False, kind="stable")
    reasons = {c: [reason(v, effects) if isinstance(v, str) else "" for v in rows[c]] for c in ("reason_1", "reason_2")}
    return rows.assign(**reasons).rename_axis("user_id").reset_index()[["user_id", "risk", "reason_1", "reason_2"]]
