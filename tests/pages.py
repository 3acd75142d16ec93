"""Executed notebooks made in memory, without a kernel, and a report that has everything a page can show."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import nbformat.v4 as nbf
import numpy as np
import pandas as pd

from opslib import figures, privacy, text
from opslib.report import Action, Finding, attempt, cards, headline, key_table, section
from opslib.text import say

RUN: dict[str, Any] = {
    "module": "funnel_diagnosis", "status": "ok", "error": "", "lang": "zh", "source": "data/sample", "started": "2026-11-16T06:02:11+00:00",
    "parameters": {"source": "data/sample", "lang": "zh", "end": "2026-11-15", "steps": ["app_open", "register", "pay"], "window_days": 7},
    "seconds": 4.1, "key": "3f9a11c2d4e5", "fingerprint": "3f9a11c2", "code": "82326c5a10", "commit": "82326c5", "notes": ["orders: 3 rows without a user"],
    "data": {
        "rows": {"events": 1_204_331, "users": 20_000}, "quarantined": 3, "loaded": "2026-11-16T06:00:00", "tz": "Asia/Shanghai", "currency": "CNY",
        "problems": ["events: 12 rows of platform are not usual values"],
    },
    "versions": {"python": "3.11.9", "pandas": "3.0.1"}, "title": "", "verdict": "", "period": "", "lists": [],
}  # fmt: skip


def executed(
    *cells: Callable[[], None],
    lang: str = "zh",
    heading: str = "# 漏斗诊断：用户在哪一步离开？ / Funnel: where do users leave?",
) -> Any:
    """A notebook whose cells have run: what each function publishes is its cell's output."""
    notebook = nbf.new_notebook(cells=[nbf.new_markdown_cell(heading)])
    for cell in cells:
        outputs: list[Any] = []

        def publish(data: dict[str, Any], into: list[Any] = outputs, **_: Any) -> None:
            into.append(nbf.new_output("display_data", data=data))

        with (
            patch("IPython.display.publish_display_data", publish),
            text.speaking(lang),
            patch.dict(privacy._asked, mask_users=True, min_group=5),
        ):
            cell()
        notebook.cells.append(
            nbf.new_code_cell(
                f"{cell.__name__}()  # {lang}\nrates = stats.proportion(steps, hits='users', of='entered')",
                outputs=outputs,
                execution_count=1,
            )
        )
    return notebook


def run_of(lang: str = "zh", **changed: Any) -> dict[str, Any]:
    return RUN | {"lang": lang, "parameters": RUN["parameters"] | {"lang": lang}} | changed


def days(count: int = 60) -> pd.DataFrame:
    """Day-1 retention by platform with its interval: four smooth lines, one of which falls."""
    rng = np.random.default_rng(4)
    rows = []
    for name, level in (("ios", 0.44), ("android", 0.41), ("mini_program", 0.37), ("web", 0.30)):
        walk = (
            level
            + np.cumsum(rng.normal(0, 0.004, count))
            - (0.08 * (np.arange(count) > 45) if name == "android" else 0)
        )
        for at, rate in enumerate(walk):
            day = dt.date(2026, 9, 14) + dt.timedelta(at)
            rows.append(
                {
                    "day": day,
                    "platform": name,
                    "rate": rate,
                    "low": rate - 0.012,
                    "high": rate + 0.012,
                    "users": 3_200 + 11 * at,
                }
            )
    return pd.DataFrame(rows)


def funnel() -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "event": ["app_open", "register", "verify_phone", "activate", "pay"],
            "users": [152_300, 91_230, 40_120, 31_010, 2_110],
        }
    )
    frame["entered"] = frame["users"].shift(fill_value=152_300)
    frame["rate"] = (frame["users"] / frame["entered"]).where(frame.index > 0)
    half = 1.96 * np.sqrt(frame["rate"] * (1 - frame["rate"]) / frame["entered"])
    return frame.assign(low=frame["rate"] - half, high=frame["rate"] + half)


def cohorts() -> pd.DataFrame:
    return pd.DataFrame(
        {"cohort": dt.date(2026, 9, 7) + dt.timedelta(7 * week), "day_n": day, "rate": 0.55 / (1 + day) ** 0.55 + 0.004 * week, "size": 1_000 + 31 * week}
        for week in range(8) for day in (0, 1, 2, 3, 7, 14, 30) if 7 * week + day < 60
    )  # fmt: skip


def parts_of_change() -> pd.DataFrame:
    names = say(
        zh="安卓 · 手机验证|渠道结构 · 抖音|交互与其他",
        en="Android · phone check|Channel mix · Douyin|Interaction and rest",
    ).split("|")
    return pd.DataFrame(
        {
            "step": names,
            "diff": [-0.034, -0.017, -0.008],
            "low": [-0.041, -0.021, -0.014],
            "high": [-0.027, -0.013, -0.002],
        }
    )


def top() -> None:
    headline(
        say(zh="次日留存为什么下降？", en="Why did day-1 retention fall?"),
        say(
            zh="次日留存从 44.0% 降到 38.1%（−5.9 个百分点）：近六成来自安卓「手机验证」一步，近三成来自抖音信息流新用户占比上升。",
            en="Day-1 retention fell from 44.0% to 38.1% (−5.9 pp): nearly six tenths of it in Android's phone check, three tenths in the channel mix.",
        ),
        period=say(zh="2026-W46（2026-11-09 至 2026-11-15）", en="2026-W46 (2026-11-09 to 2026-11-15)"),
        fresh=say(
            zh="数据截至 2026-11-15 23:58（上海）· 3 行进入隔离区",
            en="Data up to 2026-11-15 23:58 (Shanghai) · 3 rows put aside",
        ),
    )
    weeks = [0.44, 0.441, 0.438, 0.443, None, 0.44, 0.402, 0.381]
    cards(
        {"metric": "retention.n_day", "value": 0.381, "format": "percent", "change": -0.059, "low": -0.069, "high": -0.049, "change_format": "points", "series": weeks, "n": 9_184},
        {"metric": "activity.wau", "value": 48_211, "format": "number", "change": 0.021, "low": -0.004, "high": 0.046, "change_format": "percent", "series": [45, 46, 44, 47, 48, 47, 48.2]},
        {"metric": "revenue.gross", "value": 1_284_300.5, "format": "money", "change": 0.041, "change_format": "percent", "series": [1.1e6, 1.2e6, 1.15e6, 1.28e6]},
        {"metric": "acquisition.new_users", "value": None, "format": "number"},
    )  # fmt: skip


def why() -> None:
    change = parts_of_change()
    section(
        say(zh="下降从哪里来", en="Where the fall comes from"),
        Finding(
            "retention.android", "act",
            say(zh="安卓「手机验证」通过率从 82.5% 降到 44.1%，拉低次日留存 3.4 个百分点。", en="Android's phone check passes 44.1% instead of 82.5% and costs 3.4 pp of day-1 retention."),
            metric="retention.n_day", value=-0.034, low=-0.041, high=-0.027, n=4_802, format="points",
        ),
        Finding(
            "retention.mix", "watch",
            say(zh="抖音信息流占新用户 44%（原 25%），结构变化拉低 1.7 个百分点。", en="Douyin ads bring 44% of new users (25% before); the mix costs 1.7 pp."),
            metric="retention.n_day", value=-0.017, low=-0.021, high=-0.013, format="points", base=0,
        ),
        figure=figures.waterfall(
            change, label="step", value="diff", start=0.44, end=0.381, start_label=say(zh="上期", en="Before"), end_label=say(zh="本期", en="Now"),
            value_title=say(zh="次日留存的变化", en="Change of day-1 retention"),
        ),
        table=change,
        note=say(zh="三部分相加正好是 −5.9 个百分点。", en="The three parts add up to −5.9 pp."),
        actions=[
            Action(say(zh="修复安卓短信验证（v5.2 起）", en="Mend Android's SMS check (since v5.2)"), "engineering", say(zh="通过率 44.1%", en="44.1% pass"), baseline=0.441, target=0.8, due_on="2026-11-20", format="percent"),
            Action(say(zh="抖音定向收窄，先 20% 预算试投", en="Narrow Douyin's targeting, try with 20% of the budget"), "marketing"),
        ],
    )  # fmt: skip


def steps() -> None:
    section(
        say(zh="每一步留住多少人", en="How many users each step keeps"),
        Finding("funnel.pay", "info", say(zh="付费一步只留住 6.8% 的用户。", en="The pay step keeps 6.8% of users."), metric="activity.dau", value=0.068, low=0.0652, high=0.0708, n=31_010, format="percent"),
        figure=figures.steps(funnel()),
        table=funnel(),
    )  # fmt: skip


def trend() -> None:
    section(
        say(zh="各平台的次日留存", en="Day-1 retention by platform"),
        Finding(
            "retention.ios",
            "good",
            say(zh="iOS 保持 44% 上下。", en="iOS stays around 44%."),
            value=0.441,
            no_interval="census",
            format="percent",
        ),
        figure=figures.curve(days(), x="day", y="rate", hue="platform", marks={dt.date(2026, 10, 29): "v5.2"}),
        table=days()[lambda d: d["day"] == d["day"].max()].drop(columns="day"),
    )


def grid() -> None:
    section(
        say(zh="同期群", en="Cohorts"), figure=figures.matrix(cohorts()), table=cohorts()[lambda d: d["day_n"] == 7]
    )


def key() -> None:
    frame = pd.DataFrame(
        {
            "channel": [say(zh="抖音信息流", en="Douyin ads"), say(zh="应用商店", en="App stores"), say(zh="线下地推", en="Field teams"), say(zh="老带新", en="Referral")],
            "kind": [say(zh="付费", en="Paid"), say(zh="免费", en="Free"), say(zh="线下", en="Offline"), say(zh="免费", en="Free")],
            "users": [8_120, 5_210, 640, 3], "rate": [0.31, 0.44, 0.29, 0.5], "low": [0.30, 0.427, 0.255, 0.1], "high": [0.32, 0.453, 0.327, 0.9],
            "value": [[3, 2, 4, 5], [5, 5, 6, 5], [1, 2, 1, None], [1, 1, 1, 1]],
        }
    )  # fmt: skip
    section(
        say(zh="渠道对比", en="Channels compared"),
        Finding("channel.first", "info", say(zh="应用商店的留存最高。", en="App stores keep most users."), value=0.44, low=0.427, high=0.453, n=5_210, format="percent"),
        figure=figures.intervals(frame, label="channel", value="rate", n="users", reference=0.381, reference_label=say(zh="全部", en="All")),
        table=key_table(frame, group="kind", spans={say(zh="次日留存", en="Day-1 retention"): ["rate", "low", "high"]}, trend=["value"]),
        labels={"kind": say(zh="类型", en="Kind"), "value": say(zh="近四周", en="Last weeks")},
    )  # fmt: skip


def people() -> None:
    frame = pd.DataFrame({"user_id": [f"u{n:07d}" for n in range(30)], "value": np.linspace(900, 10, 30)})
    section(
        say(zh="付费最多的用户", en="Users who paid most"),
        table=frame,
        labels={"value": say(zh="支付，元", en="Paid, CNY")},
        formats={"value": "money"},
    )


def moves() -> None:
    frame = pd.DataFrame(
        [("new", "retained", 3_000), ("new", "dormant", 5_200), ("retained", "retained", 11_000), ("retained", "dormant", 2_300), ("dormant", "resurrected", 900), ("dormant", "dormant", 14_000)],
        columns=["from_state", "to_state", "users"],
    )  # fmt: skip
    section(
        say(zh="用户在状态之间怎么流动", en="How users move between states"), figure=figures.flows(frame, source="from_state", target="to_state"),
        table=frame,
    )  # fmt: skip


def spread() -> None:
    bins = pd.DataFrame(
        {
            "left": range(0, 60, 5),
            "right": range(5, 65, 5),
            "users": [900, 2300, 3100, 2500, 1800, 1200, 700, 410, 300, 200, 90, 50],
        }
    )
    section(
        say(zh="从注册到付费要多久", en="How long from registration to paying"),
        figure=figures.histogram(
            bins, x_title=say(zh="小时", en="Hours"), marks={17: say(zh="中位数 17 小时", en="Median 17 hours")}
        ),
    )


def lacking() -> None:
    from opslib.errors import TooLittleError

    with attempt(say(zh="实验读数", en="Experiment")):
        raise TooLittleError(say(zh="每组至少要 30 次转化，现有 11 次", en="needs 30 conversions per variant, has 11"))


def several() -> None:
    section(
        say(zh="分平台小图", en="Small charts by platform"),
        figure=figures.small_multiples(days(), x="day", y="rate", by="platform", n="users"),
    )


FULL = (top, why, steps, trend, grid, key, people, moves, spread, several, lacking)
