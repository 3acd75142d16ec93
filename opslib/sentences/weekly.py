"""Sentences that every report needs, computed from the table under them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd

from opslib import text
from opslib.periods import Reporting, ago
from opslib.report.finding import Action, Finding
from opslib.report.tables import KeyTable, key_table
from opslib.text import say, term

FEW = 5  # users below which a relative change is no picture


def _write(value: Any, kind: str) -> str:
    writers: dict[str, Any] = {"percent": text.percent, "points": text.points, "money": text.money}
    return writers.get(kind, text.number)(value)


def _moved(value: float, kind: str) -> str:
    """A change as people write it: shares in percentage points, counts and money in per cent."""
    return text.points(value) if kind == "percent" else text.percent(value, sign=True)


def level(metric: str, change: float, *, notable: bool) -> str:
    """act for news that is bad and notable, good for news that is good and notable, info for the rest."""
    if not notable or change != change or term(metric).better == "neither":
        return "info"
    return "good" if (change > 0) == (term(metric).better == "up") else "act"


def changes(card: pd.DataFrame, *, back: int = 1, quiet: bool = False) -> list[Finding]:
    """A finding for every notable change against the period `back` before, the least likely one first.

    Parameters
    ----------
    card : as `models.scorecard.scorecard` gives it
    quiet : say nothing, instead of that nothing changed
    """
    rows = card[(card["back"] == back) & card["notable"]].sort_values("p")
    return [_change(row) for row in rows.to_dict("records")] or ([] if quiet else [_nothing(card, back)])


def _change(row: dict[str, Any]) -> Finding:
    kind = row["kind"]
    return Finding(
        f"change.{row['metric']}.{row['back']}",
        level(row["metric"], row["change"], notable=bool(row["notable"])),
        say(
            zh="{name}从 {base_name}的 {base} {way}到 {value}（{change}）。",
            en="{name} {way} to {value}: {change} against {base_name} ({base}).",
            name=term(row["metric"]).name,
            value=_write(row["value"], kind),
            base=_write(row["base"], kind),
            change=_moved(row["change"], kind),
            base_name=ago(row["back"], row["grain"]),
            way=say(zh="升", en="rose") if row["change"] > 0 else say(zh="降", en="fell"),
        ),
        metric=row["metric"],
        value=row["change"],
        low=row["low"],
        high=row["high"],
        n=row["n"] if kind == "percent" else None,
        format="points" if kind == "percent" else "change",
        no_interval="too few",
    )


def _nothing(card: pd.DataFrame, back: int) -> Finding:
    counted = card[card["back"] == back]
    return Finding(
        f"change.none.{back}",
        "info",
        say(
            zh="{n} 项核心指标与 {base}相比都在往常的波动之内。",
            en="All {n} headline numbers are within their usual movement against {base}.",
            n=len(counted),
            base=ago(back, card["grain"].iat[0]),
        ),
    )


def cards(card: pd.DataFrame, *, back: int = 1) -> list[dict[str, Any]]:
    """The scorecard as items for `report.cards`."""
    rows = card[card["back"] == back].to_dict("records")
    return [
        {
            "metric": r["metric"],
            "value": r["value"],
            "format": r["kind"],
            "change": r["change"],
            "low": r["low"],
            "high": r["high"],
            "change_format": "points" if r["kind"] == "percent" else "percent",
            "series": r["series"],
            "n": r["n"],
        }
        for r in rows
    ]


def table(card: pd.DataFrame) -> KeyTable:
    """The scorecard as a table of texts, because every row has a format of its own; each comparison under its own head."""
    rows = [_line(row) for row in card.sort_values("back", kind="stable").to_dict("records")]
    return key_table(pd.DataFrame(rows), group="against", trend=["series"])


def _line(row: dict[str, Any]) -> dict[str, Any]:
    kind, before = row["kind"], ago(row["back"], row["grain"])
    change = "points" if kind == "percent" else "percent"
    return {
        "kpi": term(row["metric"]).name,
        "against": say(zh="对比 {before}", en="Against {before}", before=before),
        "kpi_value": _write(row["value"], kind),
        "series": list(row["series"]),
        "base": _write(row["base"], kind),
        "change": _moved(row["change"], kind),
        "interval": text.interval(row["low"], row["high"], change, sign=True),
        "notable": say(zh="是", en="yes") if row["notable"] else "",
    }


def title(now: Reporting) -> str:
    """Whose report it is: the week's or the month's."""
    month = now.grain == "month"
    kind = say(zh="经营月报", en="Monthly report") if month else say(zh="经营周报", en="Weekly report")
    return f"{kind} {now.name}"


def retention_title(now: Reporting) -> str:
    each = say(zh="月", en="month") if now.grain == "month" else say(zh="周", en="week")
    return say(zh="次日留存率，按注册{each}", en="Day-1 retention by cohort {each}", each=each)


def verdict(card: pd.DataFrame) -> str:
    """The page's one sentence: the gravest notable change against any period compared with, or that nothing is unusual."""
    steps = sorted(card["back"].unique())
    told = [f for step in steps for f in changes(card, back=int(step), quiet=step != steps[0])]
    order = {"act": 0, "good": 1, "info": 2}
    notable = [f for f in told if f.value is not None]
    return min(notable or told, key=lambda f: order[f.level]).text


def step_back(card: pd.DataFrame) -> str:
    """What the figure's changes are against."""
    before = ago(int(card["back"].min()), card["grain"].iat[0])
    return say(zh="较 {before}的变化", en="Change against {before}", before=before)


def movement(card: pd.DataFrame) -> pd.DataFrame:
    """Each KPI's change with its interval, shares as relative changes too, so that one axis serves all; a handful of users,
    whose interval would press the others flat, stays in the table."""
    few = (card["kind"] == "number") & (card[["value", "base"]].min(axis=1) < FEW)
    rows = card[(card["back"] == card["back"].min()) & ~few].copy()
    share = rows["kind"] == "percent"
    for column in ("change", "low", "high"):
        rows[column] = rows[column].where(~share, rows[column] / rows["base"])
    return rows.assign(kpi=[term(m).name for m in rows["metric"]])[["kpi", "change", "low", "high", "notable"]].dropna()


def scorecard_note() -> str:
    """How the changes' intervals were made, in the reader's words."""
    return say(
        zh="变化：数量与金额为相对变化，比率为百分点差；95% 区间按该指标自身历史波动放宽（最多 12 期）；「超出往常」的标记另按 Holm 校正多次比较，因此更严。图中比率也按相对变化画出，不足 {few} 的数不画。",
        en="Changes are relative for counts and money and percentage points for rates; 95% intervals are widened by how much the "
        "number moved in up to 12 earlier periods; the mark “out of the usual” is corrected by Holm for the number of comparisons and so "
        "is stricter than one interval. The figure draws rates as "
        "relative changes too, and no number below {few}.",
        few=FEW,
    )


def short_tables(reach: dict[str, dt.date], until: dt.date) -> list[Finding]:
    """A finding for each table that ends before the events do: its numbers end there too."""
    words = {"orders": say(zh="订单与收入", en="orders and revenue"), "users": say(zh="新增用户", en="new users")}
    return [
        Finding(
            f"reach.{name}",
            "watch",
            say(
                zh="数据表 {name} 只到 {last}：{what}只算到最后一个完整周期，之后留空，不是 0。",
                en="The table {name} reaches only to {last}: {what} end with the last whole period, what follows is blank, not 0.",
                name=name, last=str(last), what=words[name],
            ),
        )
        for name, last in reach.items()
        if last < until
    ]  # fmt: skip


def quick_ratio(accounts: pd.DataFrame) -> Finding | None:
    """Whether more users came than left in the last period: (new + resurrected) / dormant."""
    if accounts.empty:
        return None
    row = accounts.iloc[-1]
    gained, lost = int(row["new"] + row["resurrected"]), int(row["dormant"])
    ratio = gained / lost if lost else float("nan")
    return Finding(
        "lifecycle.quick_ratio",
        "info" if lost == 0 or 0.9 <= ratio <= 1.1 else "good" if ratio > 1 else "watch",
        say(
            zh="首次来与回流 {gained} 人，流失 {lost} 人：{which}，增长速动比 {ratio:.2f}。",
            en="{gained} users came for the first time or came back and {lost} left: {which}, a quick ratio of {ratio:.2f}.",
            which=_more_came(gained, lost),
            gained=text.number(gained),
            lost=text.number(lost),
            ratio=ratio,
        ),
        metric="lifecycle.quick_ratio",
        value=ratio,
        n=gained + lost,
        format="decimal",
        no_interval="census",
    )


def _more_came(gained: int, lost: int) -> str:
    if gained == lost:
        return say(zh="来去相当", en="as many came as left")
    return (
        say(zh="来的比走的多", en="more came than left")
        if gained > lost
        else say(zh="走的比来的多", en="more left than came")
    )


def who_is_new() -> str:
    """Why the new users here are not the sign-ups above."""
    return say(
        zh="这里的「新增」是首次有任何行为的人，含未注册的访客；上面的「新增用户」只数注册。",
        en="New here means active for the first time, visitors who never signed up included; new users above are sign-ups only.",
    )


def retention(curve: pd.DataFrame, days: list[int]) -> list[Finding]:
    """A sentence for each day N that is known: the pooled share of new users who are back on it."""
    known = curve[curve["n"].isin(days) & (curve["n"] > 0) & (curve["size"] > 0)]
    return [
        Finding(
            f"retention.day_{row['n']}",
            "info",
            say(
                zh="历来的新用户中，第 {n} 日回来的有 {rate}。",
                en="Of all new users so far, {rate} are back on day {n}.",
                n=int(row["n"]),
                rate=text.percent(row["rate"]),
            ),
            metric="retention.n_day",
            value=row["rate"],
            low=row["low"],
            high=row["high"],
            n=row["size"],
            format="percent",
        )
        for row in known.to_dict("records")
    ]


def refunds(paid: pd.DataFrame, start: object) -> Finding | None:
    """How much of the period's money went back, or that the data does not tell."""
    rows = paid[pd.to_datetime(paid["start"]).dt.date == start]
    if rows.empty or not rows.iloc[0]["total"]:
        return None
    row = rows.iloc[0]
    told = not text.missing(row["refunded"])
    left = row["total"] - row["refunded"] if told else row["total"]
    orders, total = text.number(row["orders"]), text.money(row["total"])
    words = say(
        zh="{orders} 笔订单共支付 {total}，退款 {refunded}（{share}），净收入 {net}。",
        en="{orders} orders paid {total}, of which {refunded} ({share}) was refunded: {net} net.",
        net=text.money(left), orders=orders, total=total,
        refunded=text.money(row["refunded"]), share=text.percent(row["refunded"] / row["total"]),
    ) if told else say(
        zh="{orders} 笔订单共支付 {total}；数据里没有退款，净收入未知。",
        en="{orders} orders paid {total}; the data does not tell refunds, so what is left of it is not known.",
        orders=orders, total=total,
    )  # fmt: skip
    metric = "revenue.net" if told else "revenue.gross"
    return Finding(
        "revenue.refunds",
        "info",
        words,
        metric=metric,
        value=left,
        n=row["orders"],
        format="money",
        no_interval="census",
    )


def actions(card: pd.DataFrame, *, due: dt.date, days: int = 7) -> list[Action]:
    """What to look into next for every notable fall, and who does it; nothing when nothing fell."""
    notable = card[card["notable"]].sort_values("back")
    fallen = [r for r in notable.to_dict("records") if level(str(r["metric"]), r["change"], notable=True) == "act"]
    falls = {r["metric"]: r for r in reversed(fallen)}.values()  # the shortest step back on which it shows
    return [_look_into(row, due + dt.timedelta(days=days)) for row in falls]


def _look_into(row: dict[Any, Any], due: dt.date) -> Action:
    owner = {
        "acquisition": (
            "marketing",
            say(zh="查渠道投放与落地页（渠道报告）", en="Check channels and landing pages (channel report)"),
        ),
        "retention": (
            "product",
            say(zh="查新用户激活的每一步（漏斗诊断）", en="Check each step of activation (funnel diagnosis)"),
        ),
        "revenue": (
            "sales",
            say(zh="查付费用户与客单价的构成（用户画像）", en="Check payers and order values (user profile)"),
        ),
    }
    team, what = owner.get(
        str(row["metric"]).split(".")[0],
        ("operations", say(zh="查用户构成与流失（用户画像）", en="Check who left (user profile)")),
    )
    return Action(
        f"{term(row['metric']).name}: {what}" if text.language() == "en" else f"{term(row['metric']).name}：{what}",
        team,
        evidence=_moved(row["change"], row["kind"]),
        metric=row["metric"],
        baseline=row["value"],
        target=row["base"],
        due_on=str(due),
        format=row["kind"],
    )


def others(found: list[Finding]) -> list[Finding]:
    """The other reports' findings, or that there are none yet."""
    words = say(
        zh="还没有其他报告的结论；运行 opslib run --all 之后会出现在这里。",
        en="No other report has found anything yet; run opslib run --all.",
    )
    return found or [Finding("others.none", "info", words)]
