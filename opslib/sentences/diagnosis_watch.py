"""What the diagnosis says of the numbers a team watches: which moved, since when, and which days were out of the expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from opslib import columns, text
from opslib.errors import capital
from opslib.models.kpi_watch import STEP, Watched
from opslib.report.finding import Finding
from opslib.sentences.diagnosis import dated, kpi_name
from opslib.text import Clean, say

MOST = 3
FORMATS = {"users": "number", "rate": "percent", "money": "money"}


def name(kpi: str, day_n: int = 1) -> str:
    """A watched number in words."""
    if kpi in ("retention", "conversion"):
        return kpi_name(kpi, day_n)
    if kpi.startswith(STEP):
        return say(
            zh="「{step}」转化率", en="Rate of “{step}”", step=columns.value_name("step", kpi.removeprefix(STEP))
        )
    words = {
        "active": say(zh="日活跃用户", en="Daily active users"),
        "new_users": say(zh="新增用户", en="New users"),
        "revenue": say(zh="支付金额", en="Gross revenue"),
    }
    return words[kpi]


def _inside(kpi: str, day_n: int) -> str:
    words = name(kpi, day_n)
    return words if text.language() == "zh" else words[:1].lower() + words[1:]


def moved(watched: Watched, day_n: int = 1) -> list[Finding]:
    """The numbers whose level changed, the largest first; or that none did, or that the days are too few to tell."""
    if watched.levels.empty:
        words = say(zh="这段时间的平日太少，无法判断指标是否换了水平。", en="These are too few ordinary days to tell whether a number changed its level.")  # fmt: skip
        return [Finding("watch.untested", "info", words)]
    rows = watched.levels[watched.levels["moved"]]
    if rows.empty:
        return [
            Finding(
                "watch.none", "info",
                say(
                    zh="{n} 个指标里没有哪一个在这段时间换了水平。",
                    en="None of the {n} numbers changed its level in these days.",
                    n=len(watched.levels),
                ),
            )
        ]  # fmt: skip
    return [_moved(row, day_n) for row in rows.head(MOST).to_dict("records")]


def level(value: float, kind: str) -> str:
    """A level as it is read: users in whole numbers."""
    return text.write(round(value) if kind == "users" else value, FORMATS[kind])


def _moved(row: dict[str, Any], day_n: int) -> Finding:
    kind = FORMATS[row["kind"]]
    words = say(
        zh="{kpi}从 {a} {way}到 {b}（{change}），始于 {day}；与原来的{old}相比，此后累计{more} {off}",
        en="{kpi} {way} from {a} to {b} ({change}) since {day}; against the old {old} that has been {off} {more} so far",
        kpi=name(row["kpi"], day_n), a=level(row["before"], row["kind"]), b=level(row["after"], row["kind"]),
        way=say(zh="降", en="fell") if row["change"] < 0 else say(zh="升", en="rose"), change=_step(row),
        day=Clean(dated(row["since"], row["since_low"], row["since_high"])),
        old=say(zh="水平", en="level") if row["kind"] == "rate" else say(zh="水平与趋势", en="level and its trend"),
        more=say(zh="少", en="less" if row["kind"] == "money" else "fewer") if row["off"] < 0 else say(zh="多", en="more"),
        off=amount(row["off"], row["kind"], days=row["kpi"] == "active"),
    )  # fmt: skip
    ends = [float(row[c]) for c in ("change", "low", "high")]
    rounded = [float(round(v)) for v in ends] if row["kind"] == "users" else ends
    return Finding(
        f"watch.{row['kpi']}", "watch" if row["change"] < 0 else "good",
        Clean(capital(words) + ("。" if text.language() == "zh" else ".")),
        metric="diagnosis.watch", format="points" if row["kind"] == "rate" else kind,
value=rounded[0], low=rounded[1], high=rounded[2],
    )  # fmt: skip


def _step(row: dict[str, Any]) -> str:
    if row["kind"] == "rate":
        return text.write(row["change"], "points")
    return ("−" if row["change"] < 0 else "+") + level(abs(row["change"]), row["kind"])


def amount(off: float, kind: str, *, days: bool = False) -> str:
    """So many users, or so much money, without a sign; `days`: a sum over days of users who come on several of them."""
    if kind == "money":
        return text.money(abs(off))
    if days:
        return say(zh="{n} 人日", en="{n} user-days", n=text.number(round(abs(off))))
    return say(zh="{n} 人", en="{n} users", n=text.number(round(abs(off))))


def odd_days(watched: Watched, day_n: int = 1) -> Finding:
    """The day that is off by most users, or that none of those that could be judged is."""
    if not watched.judged:
        words = say(zh="没有哪一天可以判断是否超出预期。", en="No day could be judged against an expected band.")
        return Finding("days.untested", "info", words)
    if watched.odd.empty:
        return Finding(
            "days.none", "info",
            say(
                zh="{beside}没有哪一天单独异常：{n} 个指标可以判断的 {days} 个日数值都在预期范围内{rest}。",
                en="{beside} day is odd by itself: all {days} daily values of {n} numbers that can be judged lie within their expected band{rest}.",
                # A band follows a changed level, so the days after it are as expected though the number moved.
                beside=say(zh="除水平变化外，", en="Apart from the changes of level, no") if watched.levels["moved"].any() else say(zh="", en="No"),
                n=watched.bands["kpi"].nunique(), days=text.number(watched.judged), rest=Clean(_unjudged(watched)),
            ),
        )  # fmt: skip
    row = watched.odd.iloc[0]
    kind = FORMATS[row["kind"]]
    return Finding(
        "days.odd", "watch",
        say(
            zh="可以判断的 {days} 个日数值里有 {n} 个超出预期范围{rest}；影响最大的是 {day} 的{kpi}：{value}，预期 {expected}（{low} 至 {high}），相差约 {off}。",
            en="Outside the expected band: {n} of the {days} daily values that can be judged{rest}; the largest is {kpi} on {day}: {value}, expected {expected} ({low} to {high}), off by about {off}.",
            n=len(watched.odd), days=text.number(watched.judged), rest=Clean(_unjudged(watched)), day=text.day(row["day"]), value=level(row["value"], row["kind"]), expected=level(row["expected"], row["kind"]),
            low=level(row["low"], row["kind"]), high=level(row["high"], row["kind"]), off=amount(row["off"], row["kind"]), kpi=_inside(row["kpi"], day_n),
        ),
        metric="diagnosis.expected", value=row["value"], format=kind,
        no_interval=say(zh="范围是预期，不是区间", en="the band is what was expected, no interval"),
    )  # fmt: skip


def _unjudged(watched: Watched) -> str:
    """How many days nothing can be said of, and why."""
    if not watched.unjudged:
        return ""
    return say(
        zh="（另有 {n} 个无法判断：节假日没有同类日子可比，或当天没有数据）",
        en=" ({n} more cannot be judged: holidays with no other like them, or days without a value)",
        n=text.number(watched.unjudged),
    )


def table(watched: Watched, day_n: int = 1) -> pd.DataFrame:
    """One row per number in words, each value written in its own unit."""
    rows = watched.levels.to_dict("records")
    written: dict[str, Sequence[Any]] = {
        "watched": [name(r["kpi"], day_n) for r in rows],
        "level_before": [level(r["before"], r["kind"]) for r in rows],
        "level_after": [level(r["after"], r["kind"]) for r in rows],
        "since": [r["since"] if r["moved"] else None for r in rows],
        "since_low": [r["since_low"] if r["moved"] else None for r in rows],
        "since_high": [r["since_high"] if r["moved"] else None for r in rows],
        "off_by": [_signed(r) if r["moved"] else text.BLANK for r in rows],
        "p_adjusted": [r["p_adjusted"] for r in rows],
        "odd_days": [int((watched.odd["kpi"] == r["kpi"]).sum()) for r in rows],
    }
    return pd.DataFrame(written)


def _signed(row: dict[str, Any]) -> str:
    return ("−" if row["off"] < 0 else "+") + amount(row["off"], row["kind"], days=row["kpi"] == "active")


def changes(watched: Watched, day_n: int = 1) -> pd.DataFrame:
    """The change of each number as a share of its level before, with its interval: watched, change, low, high."""
    levels = watched.levels[watched.levels["before"].abs() > 0]
    parts = {c: (levels[c] / levels["before"].abs()).to_numpy() for c in ("change", "low", "high")}
    return pd.DataFrame({"watched": [name(k, day_n) for k in levels["kpi"]], **parts})


def left_out(watched: Watched, day_n: int = 1) -> str:
    """What the bands know, and the numbers with too few days for one."""
    words = say(
        zh="预期范围与转折都扣除星期、中国法定节假日与调休；人数与金额另扣除直线趋势，换水平前后的数值是转折那天的。最后不完整的日子不判断。",
        en="Bands and levels know weekdays, Chinese holidays and working weekends; users and money a straight trend too, and their levels are those of the day of change. The last days, not yet complete, are not judged.",
    ) + _rule(watched, day_n)  # fmt: skip
    for kpis, zh, en in (
        (watched.left_out, "天数不足三周、未判断：{gone}。", " Fewer than three weeks, not judged: {gone}."),
        (
            watched.untested,
            "平日太少、未判断是否换了水平：{gone}。",
            " Too few ordinary days to judge the level: {gone}.",
        ),
    ):
        gone = ("、" if text.language() == "zh" else ", ").join(name(k, day_n) for k in kpis)
        words += say(zh=zh, en=en, gone=gone) if kpis else ""
    return words


def _rule(watched: Watched, day_n: int) -> str:
    """From which p a number counts as moved: the one asked for by itself, the others together."""
    if watched.asked not in watched.turns:
        return say(
            zh="p 值按 Holm 校正，不超过 1% 才算变了。", en=" p is corrected by Holm; at most 1 % counts as moved."
        )
    return say(
        zh="要解释的{kpi}按自身的 p 值判断，其余指标的 p 值按 Holm 校正；不超过 1% 才算变了。",
        en=" {kpi}, which is to be explained, is judged by its own p, the others by p corrected by Holm; at most 1 % counts as moved.",
        kpi=name(watched.asked, day_n),
    )


def named_odd(watched: Watched, day_n: int = 1) -> pd.DataFrame:
    """The odd days as a list: watched, and the columns of `Watched.odd`."""
    return watched.odd.assign(watched=[name(k, day_n) for k in watched.odd["kpi"]]).drop(columns=["kpi", "kind"])
