"""Sentences and tables of what an experiment did to its metrics."""

from __future__ import annotations

from typing import Any

import pandas as pd

from opslib import columns, text
from opslib.models.ablooks import Reach
from opslib.models.abtest import REVENUE, Test, lowest
from opslib.models.readout import Trend
from opslib.report.finding import Finding
from opslib.sentences.experiment import arm_of, below, kind_of, name_of
from opslib.text import say

TERM = "experiment.effect"


def effects(table: pd.DataFrame, test: Test, *, even: bool = True) -> list[Finding]:
    """The primary metric: each variant against the control, absolute and relative; never good or bad of windows not `even`."""
    rows = table[table.metric == test.metric]
    return [_effect(row, even) for row in rows.to_dict("records")]


def _effect(row: dict[str, Any], even: bool) -> Finding:
    level_kind, diff_kind = kind_of(row["metric"])
    sure = even and row["enough"] and (row["low"] > 0 or row["high"] < 0) and row["p_adjusted"] < 0.05
    words = say(
        zh="「{arm}」的{metric}为 {b}，对照组 {a}，相差 {diff}（{span}），相对 {lift}（{lift_span}）。",
        en="“{arm}”: {metric} {b} against {a} of the control, {diff} apart ({span}), relatively {lift} ({lift_span}).",
        arm=arm_of(row["variant"]), metric=name_of(row["metric"]),
        b=text.write(row["treatment"], level_kind), a=text.write(row["control"], level_kind),
        diff=text.write(row["diff"], diff_kind, sign=True),
        span=text.Clean(text.interval(row["low"], row["high"], diff_kind, sign=True)),
        lift=text.percent(row["lift"], sign=True),
        lift_span=text.Clean(text.interval(row["lift_low"], row["lift_high"], "percent", sign=True)),
    )  # fmt: skip
    return Finding(
        f"experiment.effect.{row['variant']}", "info" if not sure else "good" if row["diff"] > 0 else "act", words, metric=TERM,
        value=row["diff"], low=row["low"], high=row["high"], n=row["n"] + row["n_control"], format=diff_kind, no_interval="too few",
    )  # fmt: skip


def cuped(table: pd.DataFrame, test: Test) -> list[Finding]:
    """The primary effect once users' own past is taken out, and how much noise that removed."""
    rows = table[table.metric == test.metric] if len(table) else table
    if rows.empty:
        words = say(
            zh="曝光前无人做过该行为，没有可用的协变量，不做 CUPED 调整。",
            en="Nobody could do it before exposure: there is no covariate, so no CUPED adjustment.",
        )
        return [Finding("experiment.cuped.none", "info", words, metric="experiment.cuped")]
    kind = kind_of(test.metric)[1]
    return [
        Finding(
            f"experiment.cuped.{row.variant}",
            "info",
            say(
                zh="用曝光前行为校正后，「{arm}」相差 {diff}（{span}），方差减少 {cut}。",
                en="With their past taken out, “{arm}” differs by {diff} ({span}); variance falls by {cut}.",
                arm=arm_of(row.variant), diff=text.write(row.diff, kind, sign=True),
                span=text.Clean(text.interval(row.low, row.high, kind, sign=True)), cut=text.percent(row.reduction),
            ),
            metric="experiment.cuped", value=row.diff, low=row.low, high=row.high, n=row.n + row.n_control, format=kind, no_interval="too few",
        )
        for row in rows.itertuples()
    ]  # fmt: skip


def chance(table: pd.DataFrame, test: Test) -> Finding:
    """Which arm is most likely the best, and what shipping it may lose."""
    best = table.loc[table.chance.idxmax()]
    return Finding(
        "experiment.chance",
        "info",
        say(
            zh="最可能最优的是「{arm}」，概率 {chance}；若选它，期望损失 {loss}。",
            en="“{arm}” is most likely the best, with a chance of {chance}; shipping it is expected to lose {loss}.",
            arm=arm_of(best.variant), chance=text.write(best.chance, "chance"), loss=_small(best.loss, test.metric),
        ),
        metric="experiment.chance", value=best.chance, n=float(table.n.sum()), format="chance",
        no_interval=say(zh="后验概率", en="a posterior probability"),
    )  # fmt: skip


def _small(loss: float, metric: str) -> str:
    if metric == REVENUE:
        return text.money(loss, digits=2)
    least = 0.001
    return (
        text.points(loss).lstrip("+")
        if loss >= least / 2
        else say(zh="不到 {some}", en="under {some}", some=text.points(least).lstrip("+"))
    )


def sequential(looks: pd.DataFrame, test: Test) -> list[Finding]:
    """What the always-valid interval says after the last look, and since when it has been decided."""
    return [_last_look(rows, test) for _, rows in looks.groupby("variant")]


def _last_look(rows: pd.DataFrame, test: Test) -> Finding:
    last, decided = rows.iloc[-1], rows[(rows.low > 0) | (rows.high < 0)]
    kind = kind_of(test.metric)[1]
    span = text.Clean(text.interval(last.low, last.high, kind, sign=True))
    words = (
        say(zh="「{arm}」随时可看的区间为 {span}，仍含 0，天天看也不能下结论。", en="“{arm}”: the interval valid at every look is {span} and holds 0: not decided, however often one looks.",
            arm=arm_of(last.variant), span=span)
        if decided.empty
        else say(zh="「{arm}」随时可看的区间为 {span}，从 {day} 入组的用户起已可下结论。", en="“{arm}”: the interval valid at every look is {span}; decided since the users of {day}.",
                 arm=arm_of(last.variant), span=span, day=text.day(decided.iloc[0].start))
    )  # fmt: skip
    return Finding(
        f"experiment.sequential.{last.variant}", "info", words, metric="experiment.sequential",
        value=last.value, low=last.low, high=last.high, n=last.n, format=kind, no_interval="too few",
    )  # fmt: skip


def others(
    table: pd.DataFrame, test: Test, guardrails: list[str], margin: float, *, even: bool = True
) -> list[Finding]:
    """The other metrics: those that moved after correction (never good or bad of windows not `even`), and the guardrails."""
    rest = table[table.metric != test.metric]
    out = [_moved(row, even) for row in rest[rest.p_adjusted < 0.05].to_dict("records")]
    if not out and len(rest):
        words = (
            say(
                zh="其余 {n} 项可判断的比较，校正后都没有显著变化。",
                en="After correction none of {n} that could be judged is significant.",
                n=text.some(judged, "other comparison"),
            )
            if (judged := int(rest.p.notna().sum()))
            else say(zh="其余指标的比较都不足以判断。", en="None of the other comparisons could be judged.")
        )
        out.append(Finding("experiment.others.none", "info", words))
    watched = rest[rest.metric.isin(guardrails)]
    return out + [_guard(row, margin) for row in watched.itertuples()]


def _moved(row: dict[str, Any], even: bool) -> Finding:
    kind = kind_of(row["metric"])[1]
    words = say(
        zh="「{arm}」的{metric}变化 {diff}（校正 p {p}）。", en="“{arm}”: {metric} moved by {diff} (corrected p {p}).",
        arm=arm_of(row["variant"]), metric=name_of(row["metric"]), diff=text.write(row["diff"], kind, sign=True), p=below(row["p_adjusted"]),
    )  # fmt: skip
    return Finding(
        f"experiment.others.{row['metric']}.{row['variant']}", "info" if not even else "good" if row["diff"] > 0 else "watch", words, metric=TERM,
        value=row["diff"], low=row["low"], high=row["high"], n=row["n"] + row["n_control"], format=kind,
    )  # fmt: skip


def _guard(row: Any, margin: float) -> Finding:
    kind = kind_of(row.metric)[1]
    holds = row.enough and lowest(row) >= -margin
    said = {"arm": arm_of(row.variant), "metric": name_of(row.metric), "limit": text.write(-margin, "percent" if row.metric == REVENUE else kind)}  # fmt: skip
    if not (row.control or row.treatment):
        words = say(zh="护栏「{metric}」（「{arm}」）：各组都没有人做过，起不到护栏的作用。", en="Guardrail “{metric}” (“{arm}”): nobody in either arm did it, so it guards nothing.",
                    metric=said["metric"], arm=said["arm"])  # fmt: skip
    elif not row.enough:
        words = say(zh="护栏「{metric}」（「{arm}」）数据不足，无法判断是否守住。", en="Guardrail “{metric}” (“{arm}”): too little data to say whether it holds.",
                    metric=said["metric"], arm=said["arm"])  # fmt: skip
    elif holds:
        words = say(
            zh="护栏「{metric}」守住：「{arm}」的区间全在 {limit} 之上。",
            en="Guardrail “{metric}” holds: the interval of “{arm}” stays above {limit}.",
            **said,
        )
    else:
        words = say(
            zh="护栏「{metric}」未守住：不能排除「{arm}」比对照组的变化低于 {limit}。",
            en="Guardrail “{metric}” is not safe: for “{arm}” a fall beyond {limit} cannot be ruled out.",
            **said,
        )
    return Finding(
        f"experiment.guardrail.{row.metric}.{row.variant}", "info" if holds or (row.control and not row.enough) else "watch", words, metric=TERM,
        value=row.diff, low=row.low, high=row.high, n=row.n + row.n_control, format=kind, no_interval="too few",
    )  # fmt: skip


def segments(table: pd.DataFrame, segment: str) -> Finding:
    """Whether any segment differs from no effect after correction; never more than a hint."""
    sure = table[table.p_adjusted < 0.05]
    names = text.Clean(say(zh="、", en=", ").join(dict.fromkeys(columns.value_name(segment, s) for s in sure.segment)))
    judged = int(table.p.notna().sum())
    words = (
        say(zh="各分群的比较都不足以判断。", en="No comparison within segments could be judged.")
        if not judged
        else say(
            zh="{n} 个可判断的分群比较校正后都不显著。",
            en="None of {n} judged comparisons within segments is significant after correction.",
            n=judged,
        )
        if sure.empty
        else say(
            zh="校正后仍显著的分群：{names}；只作下一次实验的假设。",
            en="Significant after correction: {names}; a hypothesis for the next test, no more.",
            names=names,
        )
    )
    return Finding("experiment.segments", "info", words, metric=TERM)


def novelty(trend: Trend, test: Test, variant: str) -> Finding:
    """Whether the effect of a variant fades or grows over the days of exposure."""
    kind = kind_of(test.metric)[1]
    sure = trend.p < 0.05
    words = (
        say(zh="「{arm}」的效果在各入组日之间没有明显趋势。", en="The effect of “{arm}” shows no trend over the days of exposure.", arm=arm_of(variant))
        if not sure
        else say(
            zh="「{arm}」入组越晚效果越{way}：从 {first} 到 {last}。", en="The effect of “{arm}” {way} over the days of exposure: from {first} to {last}.", arm=arm_of(variant),
            way=say(zh="小" if trend.slope < 0 else "大", en="falls" if trend.slope < 0 else "rises"),
            first=text.write(trend.first, kind, sign=True), last=text.write(trend.last, kind, sign=True),
        )
    )  # fmt: skip
    return Finding(
        "experiment.novelty",
        "watch" if sure else "info",
        words,
        metric="experiment.novelty",
        value=trend.slope,
        low=trend.low,
        high=trend.high,
        format=kind,
    )


def power(reach: Reach, test: Test, lift: float, verdict: str = "undecided") -> Finding:
    """What the test could have found with the users it got; too few are a worry only where it did not decide."""
    kind = kind_of(test.metric)[1]
    enough = reach.n >= reach.needed
    return Finding(
        "experiment.power",
        "info" if enough or verdict in ("ship", "reject", "harm") else "watch",
        say(
            zh="以现有样本，八成把握能发现的最小差异为 {mde}；发现相对 {lift} 的提升的把握为 {power}，达到八成需每组 {needed} 人。",
            en="With these users the smallest difference found with four-in-five power is {mde}; a lift of {lift} is found with {power}, and needs "
            "{needed} users an arm for four in five.",
            mde=text.write(reach.detectable, kind).lstrip("+"), lift=text.percent(lift, sign=True), power=text.percent(reach.power),
            needed=text.number(round(reach.needed)),
        ),
        metric="experiment.power", value=reach.power, n=reach.n, format="percent",
        no_interval=say(zh="按样本量公式", en="by the formula for sample sizes"),
    )  # fmt: skip


def table(found: pd.DataFrame) -> pd.DataFrame:
    """The comparisons as a table of texts, because every metric has a format of its own."""
    rows = []
    for row in found.to_dict("records"):
        level, diff = kind_of(row["metric"])
        rows.append(
            {
                "kpi": name_of(row["metric"]),
                "variant": row["variant"],
                "control": text.write(row["control"], level),
                "treatment": text.write(row["treatment"], level),
                "change": text.write(row["diff"], diff, sign=True),
                "interval": text.interval(row["low"], row["high"], diff, sign=True),
                "lift": row["lift"],
                "p": row["p"],
                "p_adjusted": row["p_adjusted"],
                "n_control": row["n_control"],
                "n_treatment": row["n"],
            }
        )
    return pd.DataFrame(rows)


def lifts(found: pd.DataFrame) -> pd.DataFrame:
    """Every comparison's relative lift with its interval, so that one axis serves all metrics."""
    many = found.variant.nunique() > 1
    names = [f"{name_of(r.metric)} · {arm_of(r.variant)}" if many else name_of(r.metric) for r in found.itertuples()]
    return found.assign(kpi=names)[["kpi", "lift", "lift_low", "lift_high"]].dropna()


def drawn(test: Test) -> str:
    """How the primary metric's differences are written in figures."""
    return kind_of(test.metric)[1]


def primary(found: pd.DataFrame, test: Test) -> pd.DataFrame:
    """The primary metric's judged comparisons, for a figure."""
    return found[(found.metric == test.metric) & found.low.notna()]


def best(found: pd.DataFrame, test: Test) -> str:
    """The variant with the largest primary effect."""
    rows = found[found.metric == test.metric]
    return str(rows.loc[rows["diff"].idxmax()].variant)


def posterior_formats(test: Test) -> dict[str, str]:
    level = kind_of(test.metric)[0]
    return {"mean": level, "low": level, "high": level, "loss": drawn(test)}


def segment_formats(test: Test) -> dict[str, str]:
    return {"diff": drawn(test)}


def looks_note() -> str:
    return say(
        zh="每一点为截至该入组日的累计差异；带状区间对所有时点同时成立（多个方案按 Bonferroni 分摊）。",
        en="Each point is the difference over all users enrolled so far; the band holds at all looks together (shared by Bonferroni among variants).",
    )


def correction_note() -> str:
    return say(
        zh="其余指标按 Benjamini–Hochberg 校正，主指标的多个方案按 Holm 校正；样本不足或被单个用户左右的指标不作判断。",
        en="Other metrics are corrected by Benjamini–Hochberg, several variants of the primary one by Holm; a metric with too few users, or carried by "
        "one user, is not judged.",
    )
