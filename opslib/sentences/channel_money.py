"""What the channel report says on attribution, response, the split of money, and on what does not meet."""

from __future__ import annotations

import pandas as pd

from opslib import columns, text
from opslib.models.budget import AllocationRisk
from opslib.models.credits import UNATTRIBUTED
from opslib.report.finding import Action, Finding
from opslib.text import say


def attribution(table: pd.DataFrame, counted: str = "all") -> list[Finding]:
    """Where the choice of a model matters most, and how much is credited to nobody."""
    whole = table.drop(columns=["channel", "low", "high", "spread"]).sum()
    rows = table[table["channel"] != UNATTRIBUTED]
    widest = rows.loc[(rows["high"] - rows["low"]).idxmax()]
    what = say(zh="首次转化", en="first conversions") if counted == "first" else say(zh="转化", en="conversions")
    found = [
        Finding(
            "attribution.spread",
            "info",
            say(
                zh="「{channel}」最依赖模型：不同模型给它 {low} 到 {high} 次{what}；各模型合计都是 {total} 次。",
                en="“{channel}” depends most on the model: {low} to {high} {what}; every model sums to {total}.",
                what=what,
                channel=text.shown(widest["channel"]),
                low=text.number(widest["low"], 0),
                high=text.number(widest["high"], 0),
                total=text.number(round(whole.iloc[0])),
            ),
            metric="attribution.credit",
            n=round(whole.iloc[0]),
        )
    ]
    nobody = table[table["channel"] == UNATTRIBUTED]
    if len(nobody):
        n = float(nobody["low"].iloc[0])
        words = say(
            zh="{share} 的{what}在回溯期内没有触点，不归任何渠道。",
            en="{share} of {what} had no touch in the look-back and are credited to nobody.",
            what=what,
            share=text.percent(n / whole.iloc[0]),
        )
        found.append(
            Finding(
                "attribution.none",
                "watch" if n > whole.iloc[0] / 4 else "info",
                words,
                value=n / whole.iloc[0],
                format="percent",
                no_interval="census",
            )
        )
    return found


def attribution_note() -> str:
    """What attribution cannot show."""
    return say(
        zh="各模型的范围不是抽样误差。归因只分配已观察到的转化，不能说明没有该渠道时会少多少；各模型间的差异是最低限度的不确定性。要知道因果，需停投测试。",
        en="The range over models is no sampling error. Attribution shares out conversions that were observed; it cannot show how many would be lost without a channel. The spread "
        "over models is the least uncertainty there is. Only a switch-off shows cause.",
    )


def journeys(paths: pd.DataFrame, by: str) -> Finding | None:
    """The most common path to a first payment."""
    rows = paths[paths["path"] != ""]
    if rows.empty:
        return None
    top = rows.sort_values("conversions", ascending=False).iloc[0]
    return Finding(
        "journeys.top",
        "info",
        say(
            zh="人群「{persona}」最常见的首次付费路径是「{path}」（{n} 次）。",
            en="The most common path to a first payment of “{persona}” is “{path}” ({n} times).",
            persona=columns.value_name(by, top["persona"]),
            path=text.shown(top["path"], 120),
            n=text.number(top["conversions"]),
        ),
        metric="attribution.journey",
        value=top["conversions"] / top["of"],
        n=top["of"],
        format="percent",
        no_interval="census",
    )


def named_paths(paths: pd.DataFrame, by: str) -> pd.DataFrame:
    """The paths as a reader sees them: whose they are in words, and one without a touch says so."""
    told = paths["path"].replace("", say(zh="（回溯期内无触点）", en="(no touch in the look-back)"))
    return paths.assign(path=told, persona=[columns.value_name(by, name) for name in paths["persona"]])


def response(table: pd.DataFrame) -> list[Finding]:
    """Where the next unit of money brings most, and where it does not come back."""
    best = table.loc[table["marginal"].idxmax()]
    rows = [("best", "info", best)]
    # A channel that loses as a whole has its verdict already; one that pays but has no room is news.
    lost = table[table["marginal_high"] < 1]
    rows += [("lost", "watch" if row["average"] >= 1 else "info", row) for _, row in lost.iterrows()]
    return [
        Finding(
            f"response.{kind}" + (f".{row['channel']}" if kind == "lost" else ""),
            level,
            say(
                zh="在「{channel}」再多花一元，约带来 {value} 元；平均每元 {average} 元。",
                en="The next unit of money on “{channel}” brings about {value}; the average unit {average}.",
                channel=text.shown(row["channel"]),
                value=text.number(row["marginal"], 2),
                average=text.number(row["average"], 2),
            ),
            metric="response.marginal",
            value=row["marginal"],
            low=row["marginal_low"],
            high=row["marginal_high"],
            format="times",
        )
        for kind, level, row in rows
    ]


def response_error(table: pd.DataFrame) -> str:
    """How far the curves were off on days that they had not seen."""
    return say(
        zh="最近 28 天留出检验，各渠道日注册的绝对误差中位数：模型 {model}，重复此前同样多天 {naive}。曲线只在见过的花费范围内可信；相关不是因果。",
        en="On the last 28 days held out, the median absolute error of daily sign-ups: {model} for the curves, {naive} for repeating as "
        "many days before. Curves hold within the spend that was seen; correlation is not cause.",
        model=text.percent(table["error"].median()),
        naive=text.percent(table["naive"].median()),
    )


def split(risk: AllocationRisk) -> Finding:
    """What the best split of the same money brings, and the cost of being wrong."""
    if risk.gain < 0.005:
        words = say(zh="同样的钱，现在的分法已接近最优。", en="For the same money today's split is about the best.")
        return Finding("split.best_already", "info", words, metric="response.marginal")
    return Finding(
        "split.gain",
        "good" if risk.gain_low > 0 else "info",
        say(
            zh="同样的钱重新分配，估计每天多带来 {gain} 价值；曲线不确定，其中平均 {regret} 会落空。",
            en="The same money split anew is estimated to bring {gain} more a day; not knowing the curves costs {regret} of it on average.",
            gain=text.money(risk.gain),
            regret=text.money(risk.regret),
        ),
        metric="response.marginal",
        value=risk.gain,
        low=risk.gain_low,
        high=risk.gain_high,
        format="money",
    )


def incremental(table: pd.DataFrame) -> Finding:
    """Whether sign-ups that a channel books are extra, as far as its spend varied."""
    taken = table[table["extra_high"] < table["own"]]
    if taken.empty:
        words = say(
            zh="按花费的起伏看，没有渠道登记的注册明显多于它带来的新增；这只是相关检验。",
            en="As far as spend varied, no channel surely books more sign-ups than it adds; a check by correlation only.",
        )
        return Finding("incremental.none", "info", words)
    row = taken.iloc[0]
    words = say(
        zh="「{channel}」每千元登记 {own} 个注册，总注册却最多只多 {extra} 个，可能抢了别处的功劳，应做停投测试。",
        en="“{channel}” books {own} sign-ups per 1,000 spent, but all sign-ups rise by {extra} at most: it may take credit from others; "
        "test by switching it off.",
        channel=text.shown(row["channel"]),
        own=text.number(row["own"], 1),
        extra=text.number(row["extra_high"], 1),
    )
    return Finding(
        "incremental.taken", "watch", words, value=row["extra"], low=row["extra_low"], high=row["extra_high"], format="decimal"
    )  # fmt: skip


def issues(
    breaks: pd.DataFrame,
    odd: pd.DataFrame,
    alike: pd.DataFrame,
    lost: pd.DataFrame,
    gaps: pd.DataFrame,
    failures: pd.DataFrame,
) -> pd.DataFrame:
    """Everything that does not meet, one row each: issue, channel, day, n, amount, detail."""
    rows = [
        *(
            (_("break"), r["channel"], r["start"], round(r["expected"]), r["cost"], _run(r))
            for r in breaks.to_dict("records")
        ),
        *((_("odd"), r["channel"], r["day"], None, r["cost"], _odd(r)) for r in odd.to_dict("records")),
        *((_("alike"), r["channel"], None, None, None, _alike(r)) for r in alike.to_dict("records")),
        *((_(r["lacks"]), r["channel"], None, r["signups"], r["cost"], "") for r in lost.to_dict("records")),
        *((_("gap"), r["channel"], None, r["days"], None, "") for r in gaps.to_dict("records")),
        *(
            (_(r["failure"]), "", None, r["n"], r["amount"], text.shown(r["example"]))
            for r in failures.to_dict("records")
        ),
    ]
    return pd.DataFrame(rows, columns=["issue", "channel", "day", "n", "amount", "detail"])


def problems(breaks: pd.DataFrame, odd: pd.DataFrame, alike: pd.DataFrame, table: pd.DataFrame) -> list[Finding]:
    """Findings on tracking breaks, odd spend and spellings; one on all of it where nothing is wrong."""
    found = [
        Finding(
            f"tracking.break.{row['channel']}",
            "act",
            say(
                zh="「{channel}」{start} 至 {end} 花了 {cost} 却没有一个注册，约少记 {missing} 个：多半是追踪中断。",
                en="“{channel}” spent {cost} from {start} to {end} without one sign-up, about {missing} missing: tracking was probably broken.",
                channel=text.shown(row["channel"]),
                start=text.day(row["start"]),
                end=text.day(row["end"]),
                cost=text.money(row["cost"]),
                missing=text.number(row["expected"], 0),
            ),
            metric="acquisition.join",
            value=row["cost"],
            format="money",
            no_interval="census",
        )
        for row in breaks.to_dict("records")
    ]
    found += [
        Finding(
            f"spend.odd.{row['channel']}.{text.day(row['day'])}",
            "watch",
            say(
                zh="「{channel}」{day} 花费 {cost}，是前后几天的 {times} 倍，请核对账单。",
                en="“{channel}” spent {cost} on {day}, {times} times the days around it; check the bill.",
                channel=text.shown(row["channel"]),
                day=text.day(row["day"]),
                cost=text.money(row["cost"]),
                times=text.number(row["times"], 1),
            ),
            metric="acquisition.cost",
            value=row["cost"],
            base=row["usual"],
            format="money",
            no_interval="census",
        )
        for row in odd.head(5).to_dict("records")
    ]
    found += [
        Finding(f"channel.spelling.{row['channel']}.{row['other']}", "act", _alike(row), metric="acquisition.join")
        for row in alike.to_dict("records")
    ]
    if not found:
        words = say(
            zh="花费与用户之间另有 {n} 处对不上。",
            en="{n} further things do not meet between cost and users.",
            n=len(table),
        )
        found = [Finding("channel.issues", "info" if len(table) else "good", words, metric="acquisition.join")]
    return found


def mending(breaks: pd.DataFrame) -> list[Action]:
    """Who mends what does not meet."""
    return [
        Action(
            say(
                zh="核对「{c}」的投放链接与归因参数",
                en="Check the links and parameters of “{c}”",
                c=text.shown(channel),
            ),
            "engineering",
            say(
                zh="花费 {cost}，没有一个注册",
                en="{cost} spent without one sign-up",
                cost=text.money(rows["cost"].sum()),
            ),
            metric="acquisition.join",
        )
        for channel, rows in breaks.groupby("channel", sort=False)
    ]


def _(name: str) -> str:
    return {
        "break": say(zh="有花费无注册（追踪中断）", en="Spend without sign-ups (tracking break)"),
        "odd": say(zh="花费异常", en="Odd spend"),
        "alike": say(zh="名称相近", en="Similar names"),
        "users": say(zh="有花费无用户", en="Cost but no user"),
        "cost": say(zh="有用户无花费", en="Users but no cost"),
        "gap": say(zh="缺花费记录的天数", en="Days without a booking"),
        "orders_without_user": say(zh="订单找不到用户", en="Orders of unknown users"),
        "orders_before_registration": say(zh="订单早于注册", en="Orders before registration"),
        "refunds_over_amount": say(zh="退款大于订单金额", en="Refunds over the amount"),
        "users_without_channel": say(zh="用户没有渠道", en="Users without a channel"),
    }[name]


def _run(row: dict) -> str:
    return say(zh="至 {end}，{n} 天", en="until {end}, {n} days", end=text.day(row["end"]), n=row["days"])


def _odd(row: dict) -> str:
    return say(zh="平时 {usual}", en="usually {usual}", usual=text.money(row["usual"]))


def _alike(row: dict) -> str:
    if row["alike"] == "same":
        return say(
            zh="「{a}」与「{b}」只差大小写或符号，应是同一渠道，现在分开计算。",
            en="“{a}” and “{b}” differ only in case or signs and should be one channel; they are counted apart.",
            a=text.shown(row["channel"]),
            b=text.shown(row["other"]),
        )
    return say(
        zh="「{a}」与「{b}」名称相近且有一边缺数据，请确认是否同一渠道。",
        en="“{a}” and “{b}” are spelled alike and one of them lacks a side; are they one channel?",
        a=text.shown(row["channel"]),
        b=text.shown(row["other"]),
    )
