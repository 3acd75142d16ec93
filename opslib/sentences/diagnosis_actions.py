"""What is to be done about each cause: the check to run next, who owns it, and where the rate would come to once repaired."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd

from opslib import columns, text
from opslib.models.diagnosis import Diagnosis
from opslib.report.finding import Action
from opslib.sentences.diagnosis import METRIC, who
from opslib.text import Clean, say


def actions(found: Diagnosis, facts: pd.DataFrame, *, due: dt.date, days: int = 14) -> list[Action]:
    """The check to run next for every cause that pulled the rate down: owner, evidence, where the rate would come to."""
    return [
        Action(
            _check(row),
            row["owner"],
            evidence=say(
                zh="贡献 {points}（{span}）；修复后约多 {n} 人",
                en="contributes {points} ({span}); about {n} more users once repaired",
                points=text.points(row["contribution"]),
                span=text.interval(row["low"], row["high"], "points"),
                n=text.number(round(row["gain_users"])),
            ),
            metric=METRIC[found.kpi],
            baseline=found.after,
            target=min(1.0, found.after - row["contribution"]),
            due_on=str(due + dt.timedelta(days=days)),
            format="percent",
        )
        for row in facts.to_dict("records")
        if row["contribution"] < 0
    ]


def _check(row: dict[str, Any]) -> str:
    name = Clean(who(row["segment"]))
    if row["kind"] == "mix":
        return say(
            zh="核对{who}的投放定向、素材与出价：为何来得多而留得少", en="Check targeting, creatives and bids of {who}: why it brings many who do not stay",
            who=name,
        )  # fmt: skip
    step = columns.value_name("step", row["step"]) if row["step"] else ""
    if row["owner"] == "engineering":
        return say(
            zh="在版本 {version} 上复现{who}的「{step}」，对照旧版本查错误日志", en="Reproduce “{step}” on version {version} for {who}; compare its error logs with the version before",
            version=row["version"], who=name, step=step or say(zh="首日流程", en="the first day"),
        )  # fmt: skip
    return say(
        zh="回看{who}在「{step}」的录屏与埋点，定位哪一屏在流失", en="Watch sessions of {who} at “{step}” and find the screen where they leave",
        who=name, step=step or say(zh="首日流程", en="the first day"),
    )  # fmt: skip
