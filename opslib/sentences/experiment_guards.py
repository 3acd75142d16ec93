"""Sentences of the readings beside the main one: ratios, money without its largest users, windows that are not alike."""

from __future__ import annotations

import pandas as pd

from opslib import text
from opslib.models.abguards import apart, even
from opslib.models.abtest import REVENUE, WHALE, Test
from opslib.report.finding import Finding
from opslib.sentences.experiment import arm_of, name_of
from opslib.text import missing, say


def windows(daily: pd.DataFrame, test: Test, window_days: int) -> Finding | None:
    """Whether the arms were exposed at different times while everybody is watched to the end of the data."""
    if even(daily, test, window_days):
        return None
    words = say(zh="各方案平均曝光日相差 {n} 天，又都观察到数据末日，观察时间不等，差异不能读作效果；请设定 window_days。",
                en="The variants were exposed {n} days apart on average and all watched to the end of the data: unequal windows, so the difference is no effect. Set window_days.",
                n=f"{apart(daily, test):.1f}")  # fmt: skip
    return Finding("experiment.windows", "act", words)


def ratio(found: pd.DataFrame, over: tuple[str, str], *, even: bool = True) -> list[Finding]:
    """A ratio of two events, by the delta method over users; never good or bad of windows not `even`."""
    if found.empty:
        words = say(
            zh="没有足够的「{per}」，无法读比率。",
            en="There is not enough {per} to read the ratio.",
            per=name_of(over[1]),
        )
        return [Finding("experiment.ratio.none", "info", words)]
    out = []
    for row in found.itertuples():
        sure = even and row.enough and (row.low > 0 or row.high < 0)
        words = say(
            zh="「{arm}」每百次「{per}」有 {b} 次「{what}」，对照组 {a} 次，相差 {diff}（{span}）；误差按用户计算。",
            en="“{arm}”: {b} {what} for every hundred {per}, the control {a}, {diff} apart ({span}); the error is that of users.",
            arm=arm_of(row.variant), what=name_of(over[0]), per=name_of(over[1]), b=_hundred(row.treatment), a=_hundred(row.control),
            diff=text.write(100 * row.diff, "decimal", sign=True), span=text.Clean(text.interval(100 * row.low, 100 * row.high, "decimal", sign=True)),
        )  # fmt: skip
        out.append(Finding(f"experiment.ratio.{row.variant}", "info" if not sure else "good" if row.diff > 0 else "watch", words, metric="experiment.ratio",
                           value=100 * row.diff, low=100 * row.low, high=100 * row.high, n=row.n + row.n_control, format="decimal", no_interval="too few"))  # fmt: skip
    return out


def _hundred(rate: float) -> str:
    return text.number(100 * rate, 1)


def _apart(value: float) -> str:
    """A difference of money with its direction, as in the table, to the cent."""
    return f"+{text.money(value, digits=2)}" if value >= 0.005 else text.money(value, digits=2)


def without_top(main: pd.DataFrame, again: pd.DataFrame) -> list[Finding]:
    """Whether the reading of money hangs on the largest user of each arm."""
    before = main[main.metric == REVENUE].set_index("variant")
    out = []
    for row in again.itertuples():
        was = before.loc[row.variant]
        if row.whale > WHALE:
            words = say(zh="各组去掉金额最大的一名用户后，余下金额中仍可能有一名用户占到 {share}，去掉后也不作判断。",
                        en="Without the largest user of each arm another one may still hold {share} of the money left: not judged either.",
                        share=text.percent(min(row.whale, 1.0)))  # fmt: skip
            out.append(
                Finding(
                    f"experiment.without_top.{row.variant}",
                    "watch",
                    words,
                    metric="experiment.effect",
                    value=row.diff,
                    n=row.n + row.n_control,
                    format="money",
                    no_interval="too few",
                )
            )
            continue
        if missing(row.low):
            continue
        same = (row.low > 0) == (was.low > 0) and (row.high < 0) == (was.high < 0)
        held = (
            say(zh="含这些用户时该指标不作判断", en="with them the metric is not judged")
            if missing(was.low)
            else say(zh="结论不变", en="the reading stays")
            if same
            else say(zh="结论改变，不要据此决定", en="the reading changes: do not decide on it")
        )
        same = same and not missing(was.low)
        words = say(zh="各组去掉金额最大的一名用户后，「{arm}」的{metric}相差 {diff}（{span}），{held}。", en="Without the largest user of each arm, “{arm}”: {metric} {diff} apart ({span}); {held}.",
                    arm=arm_of(row.variant), metric=name_of(REVENUE), diff=_apart(row.diff), span=text.Clean(text.interval(row.low, row.high, "money", sign=True)),
                    held=held)  # fmt: skip
        out.append(Finding(f"experiment.without_top.{row.variant}", "info" if same else "watch", words, metric="experiment.effect", value=row.diff, low=row.low, high=row.high,
                           n=row.n + row.n_control, format="money"))  # fmt: skip
    return out
