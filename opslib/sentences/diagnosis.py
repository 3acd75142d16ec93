"""What the diagnosis says of a change: its causes with their contribution, what to check, who owns it, what repair brings."""

from __future__ import annotations

from typing import Any

import pandas as pd

from opslib import columns, text
from opslib.errors import capital
from opslib.models.diagnosis import Diagnosis
from opslib.report.finding import Finding
from opslib.text import Clean, say

METRIC = {"retention": "retention.n_day", "conversion": "funnel.conversion"}


def kpi_name(kpi: str, day_n: int = 1) -> str:
    """What is diagnosed, in words."""
    if kpi == "conversion":
        return say(zh="激活漏斗转化率", en="Activation conversion")
    if day_n == 1:
        return say(zh="次日留存率", en="Day-1 retention")
    return say(zh="{n} 日留存率", en="Day-{n} retention", n=day_n)


def headline(found: Diagnosis, facts: pd.DataFrame, day_n: int = 1) -> str:
    """From where to where, for which reasons, and whether it is real."""
    change = say(
        zh="{kpi}从 {a} {way}到 {b}（{diff}）",
        en="{kpi} {way} from {a} to {b} ({diff})",
        kpi=kpi_name(found.kpi, day_n),
        a=text.percent(found.before),
        b=text.percent(found.after),
        diff=text.points(found.change),
        way=_way(found.change),
    )
    if not found.moved and facts.empty:
        return say(
            zh="{change}，在随机波动之内，不指认原因。",
            en="{change}, within chance; no cause is claimed.",
            change=Clean(change),
        )
    if facts.empty:
        return say(
            zh="{change}，超出随机波动，但没有哪一群人突出。",
            en="{change}, more than chance, but no group of users stands out.",
            change=Clean(change),
        )
    return say(
        zh="{change}。{n} 个原因：{causes}；未解释 {rest}。",
        en="{change}. Causes found, {n}: {causes}; unexplained {rest}.",
        change=Clean(change),
        n=len(facts),
        causes=Clean(_joined([_brief(row) for row in facts.head(3).to_dict("records")])),
        rest=text.points(found.unexplained),
    )


def _way(change: float) -> str:
    if not change:
        return say(zh="", en="went")
    return say(zh="降", en="fell") if change < 0 else say(zh="升", en="rose")


def _joined(parts: list[str]) -> str:
    return ("；" if text.language() == "zh" else "; ").join(parts)


def _brief(row: dict[str, Any]) -> str:
    what = {"mix": say(zh="占比变化", en="share of users"), "rate": say(zh="留存变化", en="retention")}.get(
        row["kind"], ""
    )
    if row["step"]:
        what = say(zh="「{step}」这一步", en="the step “{step}”", step=columns.value_name("step", row["step"]))
    return say(
        zh="{who}的{what}（{points}）", en="{who}, {what} ({points})",
        who=Clean(who(row["segment"])), what=Clean(what), points=text.points(row["contribution"]),
    )  # fmt: skip


def who(segment: dict[str, Any]) -> str:
    """A segment in words: 平台「安卓」, platform “Android”; everybody where it has no condition."""
    if not segment:
        return say(zh="全体新用户", en="all new users")
    parts = [
        say(
            zh="{dimension}「{value}」", en="{dimension} “{value}”",
            dimension=_dimension(d), value=columns.value_name(d, "–" if v is None else v),
        )
        for d, v in segment.items()
    ]  # fmt: skip
    return ("且" if text.language() == "zh" else " and ").join(parts)


def _dimension(name: str) -> str:
    words = columns.value_name("dimension", name)
    return words if text.language() == "zh" else words.lower()


def causes(found: Diagnosis, facts: pd.DataFrame, day_n: int = 1) -> list[Finding]:
    """One finding per cause, the largest first; or one that says why none is claimed."""
    if facts.empty:
        return [_none(found, day_n)]
    told = [_cause(row, found) for row in facts.to_dict("records")]
    return [*told, _rest(found)]


def asked(found: Diagnosis) -> list[Finding]:
    """The same of a question asked by hand, without days and releases."""
    blank: dict[str, Any] = {"since": None, "nearby": [], "version": ""}
    return [_cause(row | blank, found) for row in found.causes.to_dict("records")] + (
        [_rest(found)] if len(found.causes) else [_none(found, 1)]
    )


def _cause(row: dict[str, Any], found: Diagnosis) -> Finding:
    # The share of mix is of all users, of a step of those who came to it.
    what = _mix_words(row) if row["kind"] == "mix" else _rate_words(row)
    told = [capital(words) for words in (what, _version(row), _since(row), _gain(row, found)) if words]
    level = "act" if row["contribution"] < 0 else "good"
    if row["low"] <= 0 <= row["high"]:
        level = "watch"
    return Finding(
        "cause." + _slug(row),
        level,
        Clean(
            "".join(f"{words}。" for words in told)
            if text.language() == "zh"
            else " ".join(f"{words}." for words in told)
        ),
        metric="diagnosis.cause",
        value=row["contribution"],
        low=row["low"],
        high=row["high"],
        n=row["n"],
        format="points",
        no_interval=say(zh="未做抽样", en="not resampled"),
    )


def _slug(row: dict[str, Any]) -> str:
    parts = [row["kind"], *(f"{d}.{v}" for d, v in row["segment"].items())] + ([row["step"]] if row["step"] else [])
    return ".".join(str(p) for p in parts)


def _mix_words(row: dict[str, Any]) -> str:
    return say(
        zh="{who}占新用户的比例从 {a} {way}到 {b}，{effect}整体 {points}",
        en="{who} {way} from {a} to {b} of new users, {effect} by {points}",
        who=Clean(who(row["segment"])), a=text.percent(row["before"]), b=text.percent(row["after"]),
        way=_way(row["after"] - row["before"]), effect=_effect(row), points=size(row["contribution"]),
    )  # fmt: skip


def size(points: float) -> str:
    """A contribution after a verb that says its direction: 5.4 个百分点."""
    return text.points(abs(points)).lstrip("+")


def _effect(row: dict[str, Any]) -> str:
    return (
        say(zh="拉低", en="pulling the whole down")
        if row["contribution"] < 0
        else say(zh="拉高", en="lifting the whole")
    )


def _rate_words(row: dict[str, Any]) -> str:
    what = say(zh="留存率", en="retention")
    if row["kind"] == "step":
        step = columns.value_name("step", row["step"])
        what = say(zh="「{step}」转化率", en="the rate of “{step}”", step=step)
    words = say(
        zh="{who}的{what}从 {a} {way}到 {b}，{effect}整体 {points}",
        en="{what} for {who} {way} from {a} to {b}, {effect} by {points}",
        who=Clean(who(row["segment"])), what=Clean(what), a=text.percent(row["before"]), b=text.percent(row["after"]),
        way=_way(row["after"] - row["before"]), effect=_effect(row), points=size(row["contribution"]),
    )  # fmt: skip
    if row["kind"] != "rate" or not row["step"]:
        return words
    return say(
        zh="{words}，其中「{step}」这一步占 {part}",
        en="{words}, {part} of it at the step “{step}”",
        words=Clean(words), step=columns.value_name("step", row["step"]), part=size(row["step_part"]),
    )  # fmt: skip


def _since(row: dict[str, Any]) -> str:
    if text.missing(row["since"]):
        return ""
    when = dated(row["since"], row["since_low"], row["since_high"])
    around = [near(what, name, detail) for what, name, detail in row["nearby"]]
    if not around:
        return say(zh="始于 {when}", en="it began on {when}", when=Clean(when))
    return say(
        zh="始于 {when}，同期有{what}", en="it began on {when}; around then: {what}",
        when=Clean(when), what=Clean(("、" if text.language() == "zh" else ", ").join(around)),
    )  # fmt: skip


def dated(day: Any, low: Any, high: Any) -> str:
    """A day with its interval, which is left out where it is that day alone."""
    alone = text.day(day)
    if text.day(low) == alone == text.day(high):
        return alone
    return say(
        zh="{day}（{low} 至 {high}）", en="{day} ({low} to {high})", day=alone, low=text.day(low), high=text.day(high)
    )


def near(what: str, name: str, detail: str) -> str:
    """Something that happened, in a few words: 版本发布「5.2.0」, 投放「douyin_feed」日花费 ×4.4, daily spend on “douyin_feed” ×4.4."""
    kind = columns.value_name("what", what)
    quoted = text.names([text.shown(name, 40)])
    if text.language() == "zh":
        return f"{kind}{quoted}{detail}"
    return f"{kind.lower()}{' on' if what == 'spend' else ''} {quoted} {detail}".strip()


def _version(row: dict[str, Any]) -> str:
    """In which release it lies; the step was named by the sentence before."""
    if not row["version"]:
        return ""
    return say(
        zh="集中在版本 {version}：{what} {rate}（{n} 人），上期这群人为 {other}",
        en="it lies in version {version}: {what} is {rate} ({n} users), {other} for the same group in the period before",
        what=say(zh="该步转化率", en="the rate of that step") if row["step"] else say(zh="留存率", en="retention"),
        version=row["version"], rate=text.percent(row["version_rate"]), n=text.number(row["version_n"]),
        other=text.percent(row["other_rate"]),
    )  # fmt: skip


def _gain(row: dict[str, Any], found: Diagnosis) -> str:
    if row["contribution"] >= 0:
        return ""
    return say(
        zh="{once}，同样规模的一期可多{what}约 {n} 人",
        en="{once}, a period of this size would {what} about {n} more users",
        # A share of users is not broken: it can only be what it was.
        once=say(zh="若占比复原", en="with its share of before")
        if row["kind"] == "mix"
        else say(zh="若修复", en="if repaired"),
        n=text.number(round(row["gain_users"])),
        what=say(zh="留住", en="keep") if found.kpi == "retention" else say(zh="激活", en="activate"),
    )


def _none(found: Diagnosis, day_n: int) -> Finding:
    words = say(
        zh="{kpi}变化 {points}，在随机波动之内；没有指认任何原因。",
        en="{kpi} changed by {points}, within chance; no cause is claimed.",
        kpi=kpi_name(found.kpi, day_n),
        points=text.points(found.change),
    )
    if found.moved:
        words = say(
            zh="{kpi}变化 {points}，超出随机波动，但在所给维度里没有哪一群人突出；可换维度再查。",
            en="{kpi} changed by {points}, more than chance, but no group in the given dimensions stands out; try other dimensions.",
            kpi=kpi_name(found.kpi, day_n),
            points=text.points(found.change),
        )
    return Finding(
        "cause.none", "watch" if found.moved else "info", words, metric=METRIC[found.kpi],
        value=found.change, low=found.low, high=found.high, n=found.n1, format="points",
    )  # fmt: skip


def _rest(found: Diagnosis) -> Finding:
    inside = found.unexplained_low <= 0 <= found.unexplained_high
    return Finding(
        "cause.unexplained",
        "info" if inside else "watch",
        say(
            zh="未解释的部分为 {points}（总变化的 {share}），{words}。",
            en="{points} ({share} of the change) is unexplained, {words}.",
            points=text.points(found.unexplained),
            share=text.percent(found.unexplained / found.change if found.change else None, 0),
            words=say(zh="在随机波动之内", en="within chance")
            if inside
            else say(zh="超出随机波动", en="more than chance"),
        ),
        metric="diagnosis.cause",
        value=found.unexplained,
        low=found.unexplained_low,
        high=found.unexplained_high,
        n=found.n1,
        format="points",
    )
