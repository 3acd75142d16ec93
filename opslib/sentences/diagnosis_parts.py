"""What the diagnosis says of the parts of a change: mix against behaviour, the factors, the days, and what else happened."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pandas as pd

from opslib import columns, text
from opslib.models.changepoint import ChangePoint
from opslib.models.diagnosis import REST, Diagnosis, listed
from opslib.models.mix_views import ALL
from opslib.periods import Reporting
from opslib.report.finding import Finding
from opslib.sentences.diagnosis import dated, kpi_name, near, who
from opslib.text import Clean, say

MOST_MARKS = 5
OTHER = "Other"  # what the metrics call the values that they pool


def window(current: Reporting, compared: Reporting, last: dt.date, day_n: int, window_days: float = 1.0) -> str:
    """Which days are compared, and which newest ones, after `last`, are left out: their day N, or time for the steps, is not over."""
    days = (current.end - current.start).days + 1, (compared.end - compared.start).days + 1
    words = say(
        zh="本期 {now}，对比 {before}。{last} 之后来的新用户还没过完第 {n} 天与漏斗的 {window} 天时限，未计入。首日没有进入漏斗第一步的人算作没有进入：这样每一天的人时间相同。",
        en="{now} against {before}. New users who came after {last} have not lived their day {n} and the {window}-day window of the funnel yet and are left out. Who did not take the first step on the first day counts as not entered: so users of every day have the same time.",
        now=current.label(), before=compared.label(), last=str(last), n=day_n, window=f"{window_days:g}",
    )  # fmt: skip
    if days[0] == days[1]:
        return words
    return say(
        zh="{words}两期天数不同（{a} 与 {b} 天）：比例可比，人数不可直接相减。",
        en="{words} The periods differ in length ({a} and {b} days): rates compare, numbers of users do not.",
        words=Clean(words), a=days[0], b=days[1],
    )  # fmt: skip


def unfinished(reached: dt.date, last: dt.date) -> str:
    """That the newest day of the data breaks off and is left out whole; empty where it does not."""
    if reached <= last:
        return ""
    return say(
        zh="{day} 的数据当天没有到头就断了，整天不计入。",
        en=" The data of {day} break off before the end of the day: that day is left out whole.",
        day=str(reached),
    )


def cause_table(facts: pd.DataFrame) -> pd.DataFrame:
    """The causes as a reader's table: cause, effect_kind, step, before and after, contribution, interval, share, gain, owner."""
    return pd.DataFrame(
        {
            "cause": [who(s) for s in facts["segment"]], "effect_kind": facts["kind"], "step": facts["step"],
            "rate_before": facts["before"], "rate_after": facts["after"], "contribution": facts["contribution"],
            "low": facts["low"], "high": facts["high"], "of_change": facts["of_change"], "p": facts["p"],
            "gain_users": facts["gain_users"].clip(lower=0).round(), "owner": facts["owner"],
        }
    )  # fmt: skip


def bars_of(found: Diagnosis) -> pd.DataFrame:
    """The waterfall's parts: each cause, then the rest of mix and rate; label, contribution, low, high."""
    parts = listed(found)
    names = [_brief_name(s, k) for s, k in zip(found.causes["segment"], found.causes["kind"], strict=True)]
    rest = {"mix": say(zh="其余结构变化", en="Other mix"), "rate": say(zh="其余行为变化", en="Other behaviour")}
    names += [rest[kind] for kind in parts.loc[parts["dimension"] == REST, "kind"]]
    return parts.assign(cause=names)[["cause", "contribution", "low", "high"]]


def _brief_name(segment: dict[str, Any], kind: str) -> str:
    name = " · ".join(columns.value_name(d, "–" if v is None else v, 16) for d, v in segment.items())
    return f"{columns.value_name('effect_kind', kind)} · {name or say(zh='全体', en='all')}"


def pooled(cells: pd.DataFrame, dimensions: Sequence[str]) -> str:
    """That a dimension has more values than are told apart; empty where none has."""
    many = [d for d in dimensions if (cells[d] == OTHER).any()]
    if not many:
        return ""
    return say(
        zh="{names}的取值太多：人数最多的 {n} 个以外合为「{other}」。",
        en=" {names}: too many values; those beyond the {n} with most users are one, “{other}”.",
        names=("、" if text.language() == "zh" else ", ").join(columns.value_name("dimension", d) for d in many),
        n=int(cells[many[0]].nunique()) - 1, other=columns.value_name(many[0], OTHER),
    )  # fmt: skip


def mixes(found: Diagnosis, table: pd.DataFrame, day_n: int = 1) -> list[Finding]:
    """How much is who came and how much is how they behaved; then the dimensions in which Simpson's paradox shows."""
    row = table[table["dimension"] == ALL].iloc[0] if (table["dimension"] == ALL).any() else table.iloc[0]
    told = [
        Finding(
            "change." + name,
            "info",
            say(
                zh="在{kpi}的总变化（{total}）里，{what} {points}。",
                en="Of the change of {kpi}, {total}, {what} {points}.",
                kpi=kpi_name(found.kpi, day_n) if text.language() == "zh" else kpi_name(found.kpi, day_n).lower(),
                total=text.points(found.change),
                what=words,
                points=text.points(row[value]),
            ),
            metric="diagnosis.change", value=row[value], low=row[low], high=row[high], n=found.n0 + found.n1, format="points",
        )
        for name, words, value, low, high in (
            ("mix", say(zh="来自结构（谁来了）的为", en="mix (who came) makes"), "mix", "mix_low", "mix_high"),
            ("rate", say(zh="来自行为（各组自身变化）的为", en="behaviour within groups makes"), "rate_effect", "rate_low", "rate_high"),
        )
    ]  # fmt: skip
    return told + [_reversal(r, found.n0 + found.n1) for r in found.reversals.to_dict("records")]


def _reversal(row: dict[str, Any], users: float) -> Finding:
    return Finding(
        f"simpson.{row['dimension']}",
        "watch",
        say(
            zh="辛普森悖论：整体变化 {total}，但按{dimension}看，各组自身的变化合计 {rate}（{up} 组上升、{down} 组下降）；整体主要是结构变化造成的。",
            en="Simpson's paradox: the whole changed by {total}, yet by {dimension} the groups' own change sums to {rate} ({up} up, {down} down); the whole is moved by who came.",
            total=text.points(row["total"]), rate=text.points(row["rate"]), up=row["up"], down=row["down"],
            dimension=columns.value_name("dimension", row["dimension"]),
        ),
        metric="diagnosis.change", value=row["rate"], n=users, format="points",
        no_interval=say(zh="两期全部用户", en="all users of both periods"),
    )  # fmt: skip


def factors(found: Diagnosis, day_n: int = 1) -> list[Finding]:
    """Which link of the chain moved: who came, each step, coming back."""
    table = found.effects.sort_values("contribution", key=lambda c: -c.abs())
    return [
        Finding(
            f"factor.{row['factor']}",
            "info",
            say(
                zh="按环节拆分，「{factor}」贡献 {points}。",
                en="By link of the chain, “{factor}” contributes {points}.",
                factor=factor_name(row["factor"]),
                points=text.points(row["contribution"]),
            ),
            metric="diagnosis.change", value=row["contribution"], low=row["low"], high=row["high"],
            n=found.n0 + found.n1, format="points",
        )
        for row in table.to_dict("records")
        if row["factor"] != "mix" and not row["low"] <= 0 <= row["high"]
    ][:2]  # fmt: skip


def factor_name(name: str) -> str:
    own = {"mix": say(zh="结构（谁来了）", en="Mix (who came)"), "returned": say(zh="回访意愿", en="Coming back")}
    return own.get(name) or columns.value_name("step", name)


def factor_bars(found: Diagnosis) -> pd.DataFrame:
    """The chain as a waterfall: label, contribution, low, high; links that nobody passes differently are left out."""
    table = found.effects[found.effects[["contribution", "low", "high"]].abs().max(axis=1) > 1e-12]
    table = table if len(table) else found.effects
    return table.assign(cause=[factor_name(f) for f in table["factor"]])[["cause", "contribution", "low", "high"]]


def level(
    point: ChangePoint | None,
    happened: pd.DataFrame,
    span: tuple[Any, Any],
    n: float,
    kpi: str = "retention",
    day_n: int = 1,
    *,
    tested: bool = True,
) -> Finding:
    """When the level changed, and what happened then; or that no day stands out, or, unless `tested`, that the days are too few."""
    kpi = kpi_name(kpi, day_n)
    if not tested:
        words = say(
            zh="{a} 至 {b} 的平日太少，无法判断{kpi}是否换了水平。",
            en="From {a} to {b} there are too few ordinary days to tell whether the level of {kpi} changed.",
            a=str(span[0]), b=str(span[1]), kpi=kpi if text.language() == "zh" else kpi.lower(),
        )  # fmt: skip
        return Finding("level.untested", "info", words)
    if point is None:
        return Finding(
            "level.none", "info",
            say(
                zh="{a} 至 {b} 的{kpi}没有哪一天起明显换了水平。",
                en="Between {a} and {b} the level of {kpi} changed on no day that stands out.",
                a=str(span[0]), b=str(span[1]), kpi=kpi if text.language() == "zh" else kpi.lower(),
            ),
        )  # fmt: skip
    words = say(
        zh="{kpi}的水平在 {day} 变了 {points}",
        en="The level of {kpi} changed on {day} by {points}",
        kpi=kpi if text.language() == "zh" else kpi.lower(),
        day=Clean(dated(point.day, point.low_day, point.high_day)), points=text.points(point.change),
    )  # fmt: skip
    around = [near(*row) for row in happened[["what", "name", "detail"]].itertuples(index=False)]
    if around:
        what = ("、" if text.language() == "zh" else ", ").join(around)
        words = say(zh="{words}，前后三天内有{what}", en="{words}; within three days there was: {what}", words=Clean(words), what=Clean(what))  # fmt: skip
    return Finding(
        "level.change", "watch" if point.change < 0 else "good", Clean(words + ("。" if text.language() == "zh" else ".")),
        metric="diagnosis.level", value=point.change, low=point.low, high=point.high, n=n, format="points",
    )  # fmt: skip


def marks(happened: pd.DataFrame, point: ChangePoint | None) -> dict[Any, str]:
    """What to draw into the series: at most one mark a week, what lies nearest to the change first; its words stay short."""
    if happened.empty:
        return {}
    day = pd.to_datetime(happened["day"])
    middle = pd.Timestamp(point.day) if point is not None else day.max()
    ranked = happened.assign(day=day, apart=(day - middle).dt.days.abs()).sort_values("apart", kind="stable")
    found: dict[Any, str] = {}
    for row in ranked.to_dict("records"):
        words = text.shown(row["name"], 12)
        at = next((d for d in found if abs((d - row["day"]).days) < 10), None)
        if at is None and len(found) < MOST_MARKS:
            found[row["day"]] = words
        elif at is not None and at == row["day"] and len(found[at]) + len(words) < 23:
            found[at] = f"{found[at]}、{words}" if text.language() == "zh" else f"{found[at]}, {words}"
    return found


def with_days(table: pd.DataFrame, first: Any, last: Any) -> pd.DataFrame:
    """The days of a series between two days, both included."""
    day = pd.to_datetime(table["day"])
    return table[day.between(pd.Timestamp(first), pd.Timestamp(last))].reset_index(drop=True)
