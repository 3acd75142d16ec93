"""Sentences of an experiment's readout, computed from the tables under them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd

from opslib import columns, text
from opslib.models.abtest import LEAST, REVENUE, Test
from opslib.models.experiment import SRM_ALPHA, SampleRatio
from opslib.report.finding import Action, Finding
from opslib.text import say

WARNED = 0.01  # p of the split's check under which a reader is warned, though the reading goes on


def name_of(metric: str) -> str:
    """What a reader calls a metric: the event's name, or revenue."""
    if metric == REVENUE:
        return say(zh="人均支付金额", en="Revenue a user")
    return columns.value_name("event", metric)


def arm_of(variant: str) -> str:
    return columns.value_name("variant", variant)


def kind_of(metric: str) -> tuple[str, str]:
    """How a level and a difference of the metric are written."""
    return ("money", "money") if metric == REVENUE else ("percent", "points")


def split(check: SampleRatio, table: pd.DataFrame) -> Finding:
    """Whether the arms have the sizes that were promised; a broken split stops everything after it."""
    sizes = text.Clean(
        say(zh="、", en=", ").join(
            say(zh="「{arm}」{n} 人", en="“{arm}” {n}", arm=arm_of(r.variant), n=text.number(r.users))
            for r in table.itertuples()
        )
    )
    if check.ok and check.p < WARNED:
        words = say(
            zh="分流略偏：{sizes}，与约定比例有出入（p = {p}），未到停读的门槛 {least}，先查曝光上报再下结论。",
            en="The split is a little off: {sizes}, not quite as promised (p = {p}); above the threshold of {least} that stops the reading, but check how exposures are logged.",
            sizes=sizes, p=text.p_value(check.p), least=str(SRM_ALPHA),
        )  # fmt: skip
    elif check.ok:
        words = say(
            zh="分流正常：{sizes}，与约定比例相符（p = {p}）。", en="The split is sound: {sizes}, as promised (p = {p}).",
            sizes=sizes, p=text.p_value(check.p),
        )  # fmt: skip
    else:
        words = say(
            zh="分流异常：{sizes}，与约定比例不符（p {p}），不能读取效果。",
            en="The split is broken: {sizes}, not as promised (p {p}); no effect may be read.",
            sizes=sizes, p=below(check.p),
        )  # fmt: skip
    level = "act" if not check.ok else "watch" if check.p < WARNED else "good"
    return Finding("experiment.split", level, words, metric="experiment.split", n=float(table.users.sum()))


def below(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {text.p_value(p)}"


def broken_where(table: pd.DataFrame, check: SampleRatio, segment: str) -> Finding | None:
    """Of a broken split: the segments in which it is broken, each with its users and its p."""
    bad = table[table.p < SRM_ALPHA]
    if check.ok or table.empty:
        return None
    names = text.Clean(say(zh="、", en=", ").join(_off(row, segment) for row in bad.itertuples()))
    words = (
        say(zh="各分群偏离程度相近，未能定位。", en="All segments are off alike: the cause is not located.")
        if bad.empty
        else say(
            zh="异常集中在{names}，先查那里的曝光上报。",
            en="It is broken in {names}: check how exposures are logged there.",
            names=names,
        )
    )
    users = float((table if bad.empty else bad).n.sum())
    return Finding(
        "experiment.split_where", "info" if bad.empty else "act", words, metric="experiment.split_where", n=users
    )


def _off(row, segment: str) -> str:  # type: ignore[no-untyped-def]
    """A segment whose split is broken: the control's share there beside the promised one."""
    told = {"n": text.number(row.n), "share": text.percent(row.share), "promised": text.percent(row.promised), "p": below(row.p)}  # fmt: skip
    return say(
        zh="「{name}」（{n} 人，对照组占 {share}，约定 {promised}，p {p}）", en="{name} ({n} users, {share} in the control against {promised} promised, p {p})",
        name=columns.value_name(segment, row.segment), **told,
    )  # fmt: skip


def hygiene(
    table: pd.DataFrame, sums: pd.DataFrame, found: pd.DataFrame, test: Test, window_days: int
) -> list[Finding]:
    """Users in two variants, users whose window is not over, arms too small, a whale: what the reading leaves out."""
    exposed, crossed = int(table.users.sum()), int(table.crossed.sum())
    counted = int(sums[sums.metric == test.metric].n.sum())
    people = exposed - crossed  # rows of users seen once; those in two variants are out
    out = [
        Finding(
            "experiment.crossed",
            "info" if crossed <= 0.01 * exposed else "watch",
            say(zh="没有人落在两个方案中。", en="No user was seen in two variants.")
            if not crossed
            else say(
                zh="{crossed} 人次落在两个方案中（占 {share}），已从效果读数中剔除。",
                en="{crossed} exposures are of users seen in two variants ({share}); the reading leaves them out.",
                crossed=text.number(crossed), share=text.percent(crossed / exposed),
            ),
            n=exposed,
        )
    ]  # fmt: skip
    out.append(_window(people - counted, counted, window_days))
    absent = table[~table.variant.isin(sums[sums.metric == test.metric].variant)]
    if len(absent):
        words = say(
            zh="{arms} 没有观察期满的用户，未参与比较。", en="{arms}: no user has a whole window, not compared.",
            arms=text.Clean(say(zh="、", en=", ").join(arm_of(v) for v in absent.variant)),
        )  # fmt: skip
        out.append(Finding("experiment.missing", "watch", words))
    small = sums[(sums.metric == test.metric) & (sums.n < LEAST)]
    if len(small):
        words = say(
            zh="{arms} 不足 {least} 人，不作判断。", en="{arms}: fewer than {least} users, not judged.",
            arms=text.Clean(say(zh="、", en=", ").join(arm_of(v) for v in small.variant)), least=LEAST,
        )  # fmt: skip
        out.append(Finding("experiment.few", "watch", words))
    whales = found[~found.enough & (found.whale > 0)].drop_duplicates("metric")
    for row in whales[whales[["n", "n_control"]].min(axis=1) >= LEAST].itertuples():
        words = say(
            zh="{metric}的 {share} 来自同一名用户，该指标不作判断。", en="One user holds {share} of {metric}: it is not judged.",
            metric=name_of(row.metric), share=text.percent(row.whale),
        )  # fmt: skip
        out.append(Finding(f"experiment.whale.{row.metric}", "watch", words))
    return out


def _window(left: int, counted: int, window_days: int) -> Finding:
    if not window_days:
        words = say(
            zh="观察期为曝光后至数据末日，早曝光的用户观察更久；各组曝光时间相近时可比。",
            en="Users are watched from exposure to the end of the data, early ones longer; comparable if arms were exposed alike in time.",
        )
    elif left <= 0:
        words = say(
            zh="每人观察曝光后 {days} 天；{n} 人全部观察期满。",
            en="Everybody is watched for {days} days after exposure; all {n} users are complete.",
            days=window_days, n=text.number(counted),
        )  # fmt: skip
    else:
        words = say(
            zh="每人观察曝光后 {days} 天；{n} 人观察期满，{left} 人未满、不计入。",
            en="Everybody is watched for {days} days after exposure; {n} users are complete, {left} are not and left out.",
            days=window_days, n=text.number(counted), left=text.number(left),
        )  # fmt: skip
    return Finding("experiment.window", "info", words, n=counted)


def decision(what: tuple[str, str], test: Test, *, window_days: int = 0, guarded: bool = True) -> str:
    """The page's one sentence; `guarded` says that at least one guardrail was observed."""
    held = (
        say(zh="护栏守住", en="and the guardrails hold")
        if guarded
        else say(zh="但没有可观察的护栏", en="but no guardrail was observed")
    )
    return {
        "stop": say(zh="停：分流异常，本次实验不能读取效果，修复后重做。", en="Stop: the split is broken; no effect can be read. Mend it and run again."),
        "running": say(zh="实验仍在进行，尚不下结论；中途只看随时可看的读数。", en="Still running: no verdict yet; until the end only the always-valid reading counts."),
        "uneven": say(zh="不能下结论：各方案观察时间不等，请设定 window_days 后重读。", en="No verdict: the variants were watched for unequal times. Set window_days and read again."),
        "nobody": _nobody(test, window_days),
        "whale": say(zh="不能下结论：{metric}由个别用户左右；各组去掉最大一名用户后的情况见下文。", en="No verdict: single users carry {metric}; what is left without the largest of each arm is below.", metric=name_of(test.metric)),
        "few": say(zh="样本太少，无法判断。", en="Too few users for a verdict."),
        "ship": say(zh="上线「{arm}」：{metric}确有提升，{held}。", en="Ship “{arm}”: {metric} rises for certain {held}.", arm=arm_of(what[1]), metric=name_of(test.metric), held=held),
        "reject": say(zh="暂不上线「{arm}」：{metric}有提升，但护栏可能受损。", en="Do not ship “{arm}” yet: {metric} rises, but a guardrail may be hurt.", arm=arm_of(what[1]), metric=name_of(test.metric)),
        "harm": say(zh="不上线「{arm}」：{metric}确有下降。", en="Do not ship “{arm}”: {metric} falls for certain.", arm=arm_of(what[1]), metric=name_of(test.metric)),
        "undecided": say(zh="不能下结论：{metric}的差异在误差之内，保留对照组。", en="Undecided: the difference in {metric} is within its error; keep the control.", metric=name_of(test.metric)),
    }[what[0]]  # fmt: skip


def _nobody(test: Test, window_days: int) -> str:
    within = (
        say(zh="在曝光后 {days} 天内", en=" within {days} days of exposure", days=window_days) if window_days else ""
    )
    if test.metric == REVENUE:
        return say(zh="不能下结论：各组{within}都没有人支付。", en="No verdict: nobody in any arm paid{within}.", within=text.Clean(within))  # fmt: skip
    return say(
        zh="不能下结论：各组{within}都没有人做过「{metric}」。",
        en="No verdict: nobody in any arm did {metric}{within}.",
        metric=name_of(test.metric),
        within=text.Clean(within),
    )


def where_labels() -> dict[str, str]:
    """Heads of the table of segments, whose share is the control's."""
    return {"n": say(zh="观察期满，人", en="Users with a whole window"), "share": say(zh="对照组占比", en="Share in the control"), "p": say(zh="p（已校正）", en="p, corrected")}  # fmt: skip


def on_split(check: SampleRatio, sizes: pd.DataFrame) -> dict[str, Any]:
    """What mending a broken split rests on: its p, and the control's share now and as promised."""
    control = sizes.iloc[0]
    words = say(zh="「{arm}」占比与约定不符，p {p}", en="The share of “{arm}” is not as promised, p {p}", arm=arm_of(control.variant), p=below(check.p))  # fmt: skip
    return {"evidence": words, "metric": "experiment.split", "baseline": control.share, "target": control.promised, "format": "percent"}  # fmt: skip


def on_effect(what: tuple[str, str], found: pd.DataFrame, test: Test) -> dict[str, Any]:
    """What a decision on a variant rests on: its effect on the primary metric, and the level now and after it is done.

    Taking a harmful variant down leads back to the control's level; nothing is promised of one that is not shipped yet.
    """
    rows = found[(found.metric == test.metric) & (found.variant == what[1])]
    if rows.empty:
        return {}
    row, (level, diff) = rows.iloc[0], kind_of(test.metric)
    words = say(zh="{metric}相差 {diff}（{span}）", en="{metric} {diff} ({span})", metric=name_of(test.metric), diff=text.write(row["diff"], diff, sign=True),
                span=text.Clean(text.interval(row.low, row.high, diff, sign=True)))  # fmt: skip
    now, then = {"ship": (row.control, row.treatment), "harm": (row.treatment, row.control)}.get(what[0], (None, None))
    return {"evidence": words, "baseline": now, "target": then, "format": level}


def actions(what: tuple[str, str], test: Test, proof: dict[str, Any], *, due: dt.date, days: int = 7) -> list[Action]:
    """What follows from the decision, who does it, and the `proof` it rests on (`on_split`, `on_effect`)."""
    team, title = {
        "stop": ("engineering", say(zh="排查「{name}」的分流与曝光上报，修复后重做", en="Mend the split and the exposure log of “{name}”, then run it again", name=test.name)),
        "ship": ("product", say(zh="全量上线「{arm}」，并保留小比例对照", en="Ship “{arm}” to everybody, keep a small hold-out", arm=arm_of(what[1]))),
        "reject": ("product", say(zh="为「{name}」补充护栏样本后再决定", en="Collect more users for the guardrail of “{name}” before deciding", name=test.name)),
        "harm": ("product", say(zh="下线「{arm}」并复盘原因", en="Take “{arm}” down and find out why", arm=arm_of(what[1]))),
    }.get(what[0], ("", ""))  # fmt: skip
    told = {"metric": "experiment.effect", "due_on": str(due + dt.timedelta(days=days))} | proof
    return [Action(title, team, **told)] if team else []


def title(test: Test) -> str:
    return say(zh="实验读数：{name}", en="Experiment: {name}", name=test.name)


def period(test: Test) -> str:
    end = say(zh="进行中", en="running")
    if test.last:  # an end is a moment: its day is the first without the experiment
        end = text.day(str(max(test.first, test.last - dt.timedelta(days=1))))
    return say(
        zh="{first} 至 {last} · 主指标：{metric}",
        en="{first} to {last} · primary: {metric}",
        first=str(test.first),
        last=end,
        metric=name_of(test.metric),
    )
