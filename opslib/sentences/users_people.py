"""What the report on users says about people: personas, their voices, and frequent against rare users."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pandas as pd

from opslib import columns, text
from opslib.models.personas import Personas
from opslib.report.finding import Finding
from opslib.text import say

_TIMES = {
    "morning": ("早间", "mornings"),
    "daytime": ("白天", "daytime"),
    "evening": ("晚间", "evenings"),
    "night": ("深夜", "nights"),
}
_MIX = {
    "reads": ("爱看", "reading"),
    "finished": ("爱看完", "finishing"),
    "social": ("爱互动", "social"),
    "buying": ("爱购买", "buying"),
    "tasks": ("爱做活动", "campaign tasks"),
    "other": ("随便逛", "browsing"),
}
_FEATURES = {
    "tenure_days": ("注册天数", "days since joining"),
    "days_away": ("离开天数", "days away"),
    "active_7": ("近 7 天活跃天数", "active days of 7"),
    "active_28": ("近 28 天活跃天数", "active days of 28"),
    "active_days": ("窗口内活跃天数", "active days in the window"),
    "kinds": ("做过的事件种类", "kinds of events done"),
    "per_day": ("每活跃日行为数", "actions per active day"),
    "spent_per_day": ("每活跃日消费", "money per active day"),
    "social_share": ("互动占比", "share of social actions"),
    "task_share": ("活动任务占比", "share of campaign tasks"),
    "orders": ("订单数", "orders"),
    "channel": ("渠道", "channel"),
    "platform": ("平台", "platform"),
}
NOBODY = ("未归类", "unclassified")


def _in_language(pair: tuple[str, str]) -> str:
    return pair[0] if text.language() == "zh" else pair[1]


def feature(name: str) -> str:
    """A feature as a reader calls it: tastes by their category, times of day, kinds of action, plain columns, attributes."""
    block, _, rest = name.partition(":")
    if block == "taste":
        return text.shown(rest, 20)
    pair = {"time": _TIMES, "mix": _MIX}.get(block, {}).get(rest) or _FEATURES.get(name)
    return _in_language(pair) if pair else attribute(name)


def attribute(name: str) -> str:
    """A further column of the users by its label, or as it was loaded."""
    return columns.known().get(name, {}).get(text.language()) or text.shown(name, 30)


def names(traits: pd.DataFrame) -> dict[int, str]:
    """Group → a name of its two most telling traits; never twice the same."""
    found: dict[int, str] = {}
    for group, rows in traits.groupby("group"):
        words = [feature(t) for t in rows["trait"]]
        name = " · ".join(words[:2])
        found[int(group)] = name if name not in found.values() else f"{name} {int(group) + 1}"
    return found


def persona_table(sizes: pd.DataFrame, traits: pd.DataFrame, called: dict[int, str]) -> pd.DataFrame:
    """Sizes with names, and the traits that name them."""
    told = {g: " · ".join(feature(t) for t in rows["trait"]) for g, rows in traits.groupby("group")}
    table = sizes.assign(persona=sizes["group"].map(called), traits=sizes["group"].map(told))
    return table[
        ["persona", "users", "share", "traits", "active_28", "tenure_days", "payers", "spent", "channel"]
    ].sort_values("users", ascending=False)


def personas(found: Personas, table: pd.DataFrame, of: int) -> Finding:
    """How many personas hold, and which is the largest."""
    top, rich = table.iloc[0], table.sort_values("spent").iloc[-1]
    most = (
        say(
            zh="，人均消费最高的是「{rich}」（{spent}）",
            en=", the one that spends most “{rich}” ({spent} a user)",
            rich=rich["persona"],
            spent=text.money(rich["spent"]),
        )
        if rich["spent"] > 0
        else ""
    )
    return Finding(
        "personas.found",
        "info",
        say(
            zh="行为稳定地分成 {k} 类人（重抽样一致性 {ari}），最大的是「{name}」（{share}）{most}。",
            en="Behaviour falls into {k} groups that hold (agreement when drawn again {ari}); the largest is “{name}” ({share}){most}.",
            k=found.k,
            ari=text.number(found.stability, 2),
            name=top["persona"],
            share=text.percent(top["share"]),
            most=text.Clean(most),
        ),
        metric="segment.persona",
        value=found.k,
        n=of,
        no_interval=say(zh="见稳定性", en="see the stability"),
    )


def criterion_note(found: Personas, least_days: int) -> str:
    """How the number was chosen."""
    held = found.criterion[found.criterion["holds"]]
    return say(
        zh="至少 {days} 个活跃日的用户，按做什么（内容口味、时段、行为种类的占比）聚类，多久来一次不参与。选数标准：轮廓系数高于无结构数据，且每组在重抽样中都能找回；通过的组数：{held}。",
        en="Users with {days} active days or more, grouped by what they do (shares of tastes, times of day, kinds of action); how often they come is left out. The number: the silhouette beats data without groups, and every group is found again when drawn again; numbers that pass: {held}.",
        days=least_days,
        held=say(zh="、", en=", ").join(str(int(k)) for k in held["k"]) or say(zh="无", en="none"),
    )


def traits_shown(apart: pd.DataFrame, called: dict[int, str]) -> pd.DataFrame:
    """Personas × traits for the picture, both under their names."""
    return apart.assign(persona=apart["group"].map(called), trait=[feature(t) for t in apart["trait"]])


def labelled(kinds: pd.Series, called: dict[int, str]) -> pd.Series:
    """The persona of each user by name."""
    return kinds.map(called) if called else kinds.astype(object)


def listed(kinds: pd.Series, called: dict[int, str]) -> pd.DataFrame:
    """Every user's persona, for the list beside the report."""
    return kinds.map(called).rename("persona").rename_axis("user_id").reset_index()


def typical(faces: pd.DataFrame, called: dict[int, str]) -> pd.DataFrame:
    """The table of typical users, their personas named."""
    return faces.assign(persona=faces["group"].map(called))[
        ["persona", "user_id", "active_28", "tenure_days", "orders", "spent"]
    ]


def needs(table: pd.DataFrame, called: dict[int, str]) -> list[Finding]:
    """For each persona the answer that sets it apart most, if it does."""
    clear = table[table["low"] > 0]
    found = []
    for group in sorted(clear["group"].unique()):
        row = clear[clear["group"] == group].sort_values("diff").iloc[-1]
        found.append(
            Finding(
                f"personas.need.{int(group) + 1}",
                "info",
                say(
                    zh="「{name}」在「{question}」中多答「{answer}」：{rate}（其他人 {base}）。",
                    en="“{name}” answer “{answer}” to “{question}” more: {rate} (others {base}).",
                    name=called.get(int(group), ""),
                    question=text.shown(row["question"], 40),
                    answer=text.shown(row["answer"], 40),
                    rate=text.percent(row["rate"]),
                    base=text.percent(row["base_rate"]),
                ),
                metric="survey.answer",
                value=row["diff"],
                low=row["low"],
                high=row["high"],
                n=row["of"],
                format="points",
            )
        )
    return found or [
        Finding(
            "personas.need.none",
            "info",
            say(
                zh="问卷答案在各人群之间没有明显差异。",
                en="Answers to the survey do not clearly differ between personas.",
            ),
            metric="survey.answer",
        )
    ]


def answered(table: pd.DataFrame, called: dict[int, str]) -> pd.DataFrame:
    return table.assign(persona=table["group"].map(called))[
        ["persona", "question", "answer", "of", "rate", "base_rate", "diff", "low", "high"]
    ]


def spoken(quotes: pd.DataFrame, called: dict[int, str]) -> pd.DataFrame:
    """Quotes under their persona's name."""
    return quotes.assign(persona=quotes["group"].map(called))[["persona", "day", "text"]]


def voices(table: pd.DataFrame) -> Finding:
    return Finding(
        "personas.voices",
        "info",
        say(
            zh="{n} 段访谈原话可归到人群；是例子，不代表比例。",
            en="{n} interview quotes belong to a persona; they are examples, not shares.",
            n=len(table),
        ),
    )


def frequency(table: pd.DataFrame, often: int, rarely: int) -> list[Finding]:
    """What differs most between frequent and rare users, beyond chance."""
    # Shares of few actions scatter more: a difference counts when means and ranks tell the same.
    alike = table["hedges_g"] * table["rank_biserial"] > 0
    large = ((table["hedges_g"].abs() >= 0.2) & (table["rank_biserial"].abs() >= 0.1) & alike) | (
        table["cramer_v"] >= 0.1
    )
    clear = table[(table["p_adjusted"] < 0.05) & large]
    if clear.empty:
        return [
            Finding(
                "frequency.none",
                "info",
                say(
                    zh="高频与低频用户在已知的特征上没有值得一提的差异。",
                    en="Frequent and rare users do not differ in what is known of them.",
                ),
                metric="segment.frequency",
            )
        ]
    found = []
    for row in clear.head(3).to_dict("records"):
        number = row["kind"] == "number"
        found.append(
            Finding(
                f"frequency.{row['feature']}",
                "info",
                _more(row, often, rarely) if number else _otherwise(row, often, rarely),
                metric="segment.frequency",
                value=row["cles"] if number else None,
                n=row["n"],
                base=0.5 if number else None,
                format="percent",
                no_interval=say(zh="见校正 p 值", en="see the adjusted p"),
            )
        )
    return found


def _more(row: dict[Hashable, Any], often: int, rarely: int) -> str:
    return say(
        zh="高频用户（近 28 天 {often} 天以上）的「{feature}」比低频用户（{rarely} 天以内）更{way}：两边随意各取一人，前者更高的可能性是 {chance}（校正 p {p}）。",
        en="Frequent users ({often} days of 28 or more) have {way} of “{feature}” than rare ones ({rarely} at most): of one user of each taken at random, the frequent one has more in {chance} of cases (adjusted p {p}).",
        often=often,
        rarely=rarely,
        way=say(zh="高", en="more") if row["cles"] > 0.5 else say(zh="低", en="less"),
        feature=feature(row["feature"]),
        chance=text.percent(row["cles"]),
        p=text.p_value(row["p_adjusted"]),
    )


def _otherwise(row: dict[Hashable, Any], often: int, rarely: int) -> str:
    return say(
        zh="高频用户（近 28 天 {often} 天以上）与低频用户（{rarely} 天以内）的「{feature}」分布不同（校正 p {p}）。",
        en="Frequent users ({often} days of 28 or more) and rare ones ({rarely} at most) differ in “{feature}” (adjusted p {p}).",
        often=often,
        rarely=rarely,
        feature=feature(row["feature"]),
        p=text.p_value(row["p_adjusted"]),
    )


def readable(table: pd.DataFrame, column: str = "feature") -> pd.DataFrame:
    """The table with features under their names."""
    return table.assign(**{column: [feature(str(f)) for f in table[column]]})


def coverage(attributes: pd.DataFrame, users: pd.Index, least: float) -> str:
    """How many users each further attribute is known of, and which are left out for being known of too few."""
    held = attributes.set_index("user_id").reindex(users)
    known = {c: float(held[c].notna().mean()) for c in held.columns}
    if not known:
        return say(zh="用户表没有其他属性。", en="The table of users holds no further attributes.")
    said = [f"{text.shown(attribute(c))} {text.percent(v, 0)}" for c, v in sorted(known.items())]
    few = [c for c, v in known.items() if v < least]
    end = (
        say(zh="；低于 {least} 的不参与比较", en="; those below {least} are not compared", least=text.percent(least, 0))
        if few
        else ""
    )
    return say(
        zh="只比较注册满 28 天的用户；成句的只有均值与排序方向一致的差异。用户属性的填充率：{said}{end}。",
        en="Users registered for 28 days or more; a sentence needs means and ranks to agree. Share of users of whom an attribute is known: {said}{end}.",
        said=text.Clean(say(zh="、", en=", ").join(said)),
        end=end,
    )
