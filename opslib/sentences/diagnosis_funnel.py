"""What the diagnosis says of the way in: which step loses whom, how long it takes, where they go, what others did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from opslib import columns, text
from opslib.report.finding import Finding
from opslib.text import Clean, say


def step_name(step: str) -> str:
    return columns.value_name("step", step)


def funnel(table: pd.DataFrame) -> list[Finding]:
    """The step that keeps fewest, and the step that changed most since the period before."""
    rows = table.iloc[1:]
    worst = rows.loc[rows["rate"].idxmin()]
    told = [
        Finding(
            "funnel.worst_step", "info",
            say(
                zh="「{step}」留住的人最少：上一步的 {rate}。",
                en="“{step}” keeps the smallest share: {rate} of those at the step before.",
                step=step_name(worst["step"]), rate=text.percent(worst["rate"]),
            ),
            metric="funnel.step_rate", value=worst["rate"], low=worst["low"], high=worst["high"], n=worst["entered"], format="percent",
        )
    ]  # fmt: skip
    sure = rows[(rows["diff_low"] > 0) | (rows["diff_high"] < 0)]
    if sure.empty:
        return told
    moved = sure.loc[sure["diff"].abs().idxmax()]
    return [
        Finding(
            "funnel.moved_step",
            "watch" if moved["diff"] < 0 else "good",
            say(
                zh="变化最大的一步是「{step}」：从 {a} 到 {b}（{diff}）。",
                en="The step that changed most is “{step}”: from {a} to {b} ({diff}).",
                step=step_name(moved["step"]), a=text.percent(moved["base_rate"]), b=text.percent(moved["rate"]),
                diff=text.points(moved["diff"]),
            ),
            metric="funnel.step_rate", value=moved["diff"], low=moved["diff_low"], high=moved["diff_high"],
            n=moved["entered"] + moved["base_entered"], format="points",
        ),
        *told,
    ]  # fmt: skip


def compared(rates: pd.DataFrame, differences: pd.DataFrame, base: pd.DataFrame) -> pd.DataFrame:
    """One table of a step's rate now, before, and their difference; the three have the same rows in the same order."""
    return rates.assign(
        base_rate=base["rate"], diff=differences["diff"], diff_low=differences["low"], diff_high=differences["high"],
        p=differences["p"],
    )  # fmt: skip


def entry_blank(table: pd.DataFrame) -> pd.DataFrame:
    """The funnel without a test of its first step, which all who are counted have taken by definition."""
    table = table.astype(dict.fromkeys(("low", "high", "diff", "diff_low", "diff_high", "p"), float))
    table.loc[table.index[0], ["low", "high", "diff", "diff_low", "diff_high", "p"]] = float("nan")
    return table


def values(table: pd.DataFrame, step: str) -> Finding | None:
    """The value of a dimension in which the step fell most, corrected for the number of values."""
    sure = table[(table["p_adjusted"] < 0.05) & (table["diff"] < 0)]
    if sure.empty:
        return Finding(
            "values.none", "info",
            say(
                zh="「{step}」在各渠道、平台、版本上都没有显著下降。",
                en="“{step}” has not fallen significantly in any channel, platform or version.",
                step=step_name(step),
            ),
        )  # fmt: skip
    row = sure.loc[(sure["diff"] * sure["of"]).idxmin()]
    return Finding(
        f"values.{row['dimension']}.{row['value']}",
        "watch",
        say(
            zh="「{step}」下跌损失人数最多的是{dimension}「{value}」：从 {a} 到 {b}。",
            en="The fall of “{step}” cost most users in {dimension} “{value}”: from {a} to {b}.",
            step=step_name(step), dimension=_dimension(row["dimension"]),
            value=columns.value_name(row["dimension"], row["value"]), a=text.percent(row["base_rate"]), b=text.percent(row["rate"]),
        ),
        metric="funnel.step_rate", value=row["diff"], low=row["diff_low"], high=row["diff_high"], n=row["of"], format="points",
    )  # fmt: skip


def _dimension(name: str) -> str:
    words = columns.value_name("dimension", name)
    return words if text.language() == "zh" else words.lower()


def ranked_values(table: pd.DataFrame) -> pd.DataFrame:
    """The values in words, those first in which the step's fall cost most users; then those without a period before."""
    lost = (table["diff"] * table["of"]).sort_values(kind="stable", na_position="last")
    return named_values(table.loc[lost.index].reset_index(drop=True))


def named_values(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with dimension and value in words, as `trait`."""
    names = [
        f"{columns.value_name('dimension', d)} · {columns.value_name('event' if d == 'event' else d, v, 24)}"
        for d, v in zip(table["dimension"], table["value"], strict=True)
    ]
    return table.assign(trait=names)


def named_traits(table: pd.DataFrame) -> pd.DataFrame:
    """The traits in words with their shares, the largest difference first."""
    shares = {
        "passed_share": table["passed_did"] / table["passed"],
        "stayed_share": table["stayed_did"] / table["stayed"],
    }
    named = named_values(table).assign(**shares)
    return named.sort_values("diff", key=lambda d: -d.abs(), kind="stable", ignore_index=True)


def times(table: pd.DataFrame, differences: pd.DataFrame) -> Finding | None:
    """The longest wait between two neighbouring steps, and whether it has become longer."""
    near = table[table["to_step"] - table["from_step"] == 1]
    if near.empty:
        return None
    row = near.loc[near["p50_s"].idxmax()]
    change = differences.loc[row.name]
    size, kind = unit(min(row["p50_s"], row["mean_s"]))
    mean, p50, p90 = (_long(row[c] / size, kind) for c in ("mean_s", "p50_s", "p90_s"))
    words = say(
        zh="从「{a}」到「{b}」最久：平均 {mean}，中位 {p50}，九成不超过 {p90}。",
        en="“{a}” to “{b}” takes longest: {mean} on average, {p50} in the median, nine in ten within {p90}.",
        a=step_name(row["from_name"]), b=step_name(row["to_name"]), mean=mean, p50=p50, p90=p90,
    )  # fmt: skip
    if not text.missing(change["low"]) and not change["low"] <= 0 <= change["high"]:
        words = say(
            zh="{words}平均比上期{way} {by}。", en="{words} On average it takes {by} {way} than before.",
            words=Clean(words), by=span(abs(change["diff"])),
            way=say(zh="慢", en="longer") if change["diff"] > 0 else say(zh="快", en="less"),
        )  # fmt: skip
    return Finding(
        "times.longest", "info", Clean(words), metric="funnel.time_to_convert", value=row["mean_s"] / size,
        low=row["low"] / size, high=row["high"] / size, n=row["users"], format=kind,
    )  # fmt: skip


def unit(seconds: float) -> tuple[int, str]:
    """The unit that a reader would choose for a length of time: its seconds and its format."""
    return next((u for u in ((86400, "days"), (3600, "hours"), (60, "minutes")) if seconds >= 2 * u[0]), (1, "seconds"))


def span(seconds: float) -> str:
    """A length of time in its own unit."""
    size, kind = unit(seconds)
    return _long(seconds / size, kind)


def _long(value: float, kind: str) -> str:
    if kind == "seconds":
        return text.write(round(value), kind)
    return f"{value:.1f} {text.write(1, kind).split(' ', 1)[1]}"


def named_times(table: pd.DataFrame) -> pd.DataFrame:
    pairs = [f"{step_name(a)} → {step_name(b)}" for a, b in zip(table["from_name"], table["to_name"], strict=True)]
    return table.assign(step_pair=pairs)


def instead(table: pd.DataFrame, step: str, before: str) -> Finding | None:
    """Where those go who came to the step before and not on."""
    if table.empty or not table["of"].iloc[0]:
        return None
    row = table.iloc[0]
    where = say(zh="在时限内没有做别的事", en="did nothing else in time") if not row["node"] else say(
        zh="接着去做「{node}」", en="went on to “{node}”", node=columns.value_name("event", row["node"])
    )  # fmt: skip
    return Finding(
        "instead.first", "info",
        say(
            zh="走到「{before}」却没有「{step}」的 {n} 人中，{share} {where}。",
            en="Of the {n} users who reached “{before}” but not “{step}”, {share} {where}.",
            before=step_name(before), step=step_name(step), n=text.number(row["of"]), share=text.percent(row["rate"]), where=Clean(where),
        ),
        metric="diagnosis.instead", value=row["rate"], low=row["low"], high=row["high"], n=row["of"], format="percent",
    )  # fmt: skip


def event_names(events: Sequence[str]) -> str:
    """Events as a reader calls them, in one list."""
    return ("、" if text.language() == "zh" else ", ").join(columns.value_name("event", e) for e in events)


def named_nodes(table: pd.DataFrame) -> pd.DataFrame:
    left = say(zh="时限内没有做别的事", en="Nothing else in time")
    return table.assign(node=[columns.value_name("event", n) if n else left for n in table["node"]])


def traits(table: pd.DataFrame, step: str) -> Finding | None:
    """What tells those who took the step from those who did not, most."""
    sure = table[table["p_adjusted"] < 0.05]
    if sure.empty:
        return Finding(
            "traits.none", "info",
            say(
                zh="通过「{step}」的人与没通过的人，在来源和此前行为上没有显著差异。",
                en="Those who took “{step}” and those who did not differ in nothing they came with or had done before.",
                step=step_name(step),
            ),
        )  # fmt: skip
    row: Any = sure.loc[sure["diff"].abs().idxmax()]
    return Finding(
        "traits.most", "info",
        say(
            zh="「{step}」通过与否，差别最大的特征是「{trait}」：通过者中 {a}，未通过者中 {b}。",
            en="What parts those who took “{step}” from the others most is “{trait}”: {a} of them against {b}.",
            step=step_name(step), trait=row["trait"], a=text.percent(row["passed_share"]), b=text.percent(row["stayed_share"]),
        ),
        metric="diagnosis.habit", value=row["diff"], low=row["low"], high=row["high"], n=row["passed"] + row["stayed"], format="points",
    )  # fmt: skip
