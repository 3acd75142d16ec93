"""Items over time: half-lives with a growing audience taken out, publishing hours, rising topics, the topic calendar."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special

from opslib.errors import TooLittleError
from opslib.models.content_groups import clustered
from opslib.models.decay import half_lives
from opslib.text import say

LEAST_ITEMS = 5  # published in an hour, or of a kind
HIGHLY = 0.5  # a topic whose share surely grew by this much is one to act on


def fading(ages: pd.DataFrame) -> pd.DataFrame:
    """The half-life of each category: one row per category with items, half_life, low, high (days) and fading.

    `ages`: as of `metrics.content_time.content_ages`.

    Raises
    ------
    TooLittleError  if no category has five items old enough.
    """
    rows = ages[ages["items"] >= LEAST_ITEMS]
    if rows.empty or rows["views"].sum() == 0:
        raise TooLittleError(
            say(zh="半衰期需要某一类目有 5 条满龄内容", en="half-lives need a category with five items old enough")
        )
    table = half_lives(rows, item="category", day="age", views="views").merge(
        rows.groupby("category", as_index=False)["items"].first(), on="category"
    )
    table = table[table["half_life"].notna()].rename(columns={"kind": "fading"})
    return (
        table[["category", "items", "half_life", "low", "high", "fading"]]
        .sort_values("half_life")
        .reset_index(drop=True)
    )


def kinds(ages: pd.DataFrame, days: int) -> pd.DataFrame:
    """News and evergreen by category: one row per (category, fading) with the number of items.

    `ages`: as of `metrics.content_time.item_ages`; missing ages are days without an open.
    """
    if ages.empty:
        raise TooLittleError(say(zh="没有满龄且被打开过的内容", en="no item old enough has been opened"))
    known = ages.drop_duplicates("content_id")[["content_id", "category"]]
    every = known.merge(pd.DataFrame({"age": range(days + 1)}), how="cross")
    full = every.merge(ages[["content_id", "age", "views"]], how="left", on=["content_id", "age"]).fillna(
        {"views": 0.0}
    )
    each = half_lives(full, item="content_id", day="age", views="views").merge(known, on="content_id")
    each["fading"] = each["kind"].replace("", "unclear")
    return each.groupby(["category", "fading"], as_index=False).size().rename(columns={"size": "items"})


def hours(rows: pd.DataFrame, zone: str, *, width: int = 3, level: float = 0.95) -> pd.DataFrame:
    """How items do by the local hour of publishing.

    One row per band of `width` hours with at least five items.

    Columns
    -------
    hour            : str    the band's first local hour, 06:00
    items           : int
    lift, low, high : float  opens in the first days over the category's mean, − 1

    `rows`: as of `metrics.content_time.content_hours`.
    Definition: the mean over items. Authors choose their hours: this is not what moving an item would do to it.
    Error: t interval over items; wide, because items differ.

    Raises
    ------
    TooLittleError  if fewer than two bands have five items.
    """
    at = pd.to_datetime(rows["hour"]).dt.tz_localize("UTC").dt.tz_convert(zone).dt.hour // width * width
    k, mean = rows["items"].astype(float), rows["mean"].astype(float)
    within = rows["var"].fillna(0.0) * (k - 1).clip(lower=0)
    sums = pd.DataFrame({"hour": at, "k": k, "x": k * mean, "xx": within + k * mean**2}).groupby("hour").sum()
    sums = sums[sums["k"] >= LEAST_ITEMS]
    if len(sums) < 2:
        raise TooLittleError(
            say(zh="发布时段对比需要两个时段各有 5 条内容", en="publishing hours need five items in two bands")
        )
    average = sums["x"] / sums["k"]
    var = (sums["xx"] - sums["k"] * average**2).clip(lower=0) / (sums["k"] - 1)
    half = special.stdtrit(sums["k"] - 1, (1 + level) / 2) * np.sqrt(var / sums["k"])
    table = sums.assign(items=sums["k"].astype(int), lift=average - 1, low=average - half - 1, high=average + half - 1)
    table = table.reset_index().sort_values("hour").reset_index(drop=True)
    return table.assign(hour=table["hour"].map("{:02d}:00".format))[["hour", "items", "lift", "low", "high"]]


def post_hours(table: pd.DataFrame, zone: str, *, width: int = 3, level: float = 0.95) -> pd.DataFrame:
    """`hours` of items that carry their own counts: one row per band with at least five items, the same columns.

    `table`: as of `models.content_lists.judged`, with the UTC `hour` of publishing.
    Definition: responses over those of average items of the same categories with as much exposure, − 1.
    Error: over items, see `models.content_groups.clustered`.

    Raises
    ------
    TooLittleError  if fewer than two bands have five items.
    """
    at = pd.to_datetime(table["hour"]).dt.tz_localize("UTC").dt.tz_convert(zone).dt.hour // width * width
    found = clustered(table.assign(hour=at), by="hour", hits="hits", of="expected", level=level)
    found = found[found["items"] >= LEAST_ITEMS]
    if len(found) < 2:
        raise TooLittleError(
            say(zh="发布时段对比需要两个时段各有 5 条内容", en="publishing hours need five items in two bands")
        )
    ends = {name: found[column] - 1 for name, column in (("lift", "rate"), ("low", "low"), ("high", "high"))}
    named = found["hour"].map("{:02d}:00".format)
    return found.assign(hour=named, **ends)[["hour", "items", "lift", "low", "high"]].reset_index(drop=True)


def rising(weeks: pd.DataFrame, *, level: float = 0.95, least: int = 20) -> pd.DataFrame:
    """How fast topics change: the last seven days against the seven before.

    One row per topic with at least `least` opens in the two weeks, the fastest first by the lower end.

    Columns
    -------
    category, topic : str
    before, now     : float  opens
    change, low, high : float  relative change of the topic's share of all opens; high is infinite where nothing was before
    new             : bool   no open in any earlier week

    `weeks`: as of `metrics.content_time.topic_weeks`.
    Definition: of the share, so that a growing audience is no trend.
    Error: Poisson times the dispersion of the topics' shares from week to week, from the earlier weeks (at least 1).
    Source: Przyborowski & Wilenski 1940; terms.yml, `content.rising`.

    Raises
    ------
    TooLittleError  without opens in both weeks.
    """
    from opslib.arrays import binomial_interval, divided

    wide = weeks.pivot_table(index=["category", "topic"], columns="week", values="opens", aggfunc="sum", fill_value=0)
    if not {0, 1} <= set(wide.columns) or wide[0].sum() == 0 or wide[1].sum() == 0:
        raise TooLittleError(
            say(zh="上升话题需要最近两周都有打开", en="rising topics need opens in each of the last two weeks")
        )
    spread = _dispersion(wide)
    a, b = wide[0].to_numpy(float), wide[1].to_numpy(float)
    longer = a.sum() / b.sum()
    low, high = binomial_interval(a / spread, (a + b) / spread, level)
    ends = [divided(s, (1 - s) * longer, np.inf) - 1 for s in (low, high)]
    table = pd.DataFrame({"before": b, "now": a, "change": divided(a, b * longer) - 1, "low": ends[0], "high": ends[1]})
    table["new"] = (wide.drop(columns=0).sum(axis=1) == 0).to_numpy()
    table = pd.concat([wide.reset_index()[["category", "topic"]], table], axis=1)
    return table[a + b >= least].sort_values("low", ascending=False).reset_index(drop=True)


def _dispersion(wide: pd.DataFrame) -> float:
    """Variance over mean of the topics' opens from week to week, given the topic's and the week's totals; median."""
    old = wide[[c for c in wide.columns if c >= 1]].to_numpy(float)
    old = old[old.sum(axis=1) > 0]
    if old.shape[1] < 3 or len(old) < 3:
        return 1.0
    mean = old.sum(axis=1, keepdims=True) * old.sum(axis=0, keepdims=True) / old.sum()
    each = ((old - mean) ** 2 / np.maximum(mean, 1e-9)).sum(axis=1) / (old.shape[1] - 1)
    return float(max(1.0, np.median(each)))


def calendar(weeks: pd.DataFrame, trends: pd.DataFrame) -> pd.DataFrame:
    """What to publish next week, topic by topic.

    One row per (category, topic) opened in the last four weeks, the most wanted first.

    Columns
    -------
    category, topic : str
    supply, demand  : float  shares of items published, and of opens, in the last four weeks
    change, low, high : float  as of `rising`; blank where too small for it
    weekend         : float  share of its opens that fall on a weekend
    published_a_week, suggested : float, int   items a week now; as many as its share of opens asks for, with as many in all

    Definition: demand follows what was shown; a topic that is not shown is not wanted here.
    """
    last = (
        weeks[weeks["week"] < 4].groupby(["category", "topic"], as_index=False)[["published", "opens", "weekend"]].sum()
    )
    last = last[last["opens"] > 0]
    if last.empty:
        raise TooLittleError(say(zh="最近四周没有打开", en="no opens in the last four weeks"))
    span = min(4, int(weeks["week"].max()) + 1)
    total = last["published"].sum()
    last = last.assign(
        supply=last["published"] / max(total, 1),
        demand=last["opens"] / last["opens"].sum(),
        weekend=last["weekend"] / last["opens"],
        published_a_week=last["published"] / span,
    )
    last["suggested"] = np.round(last["demand"] * total / span).astype(int)
    both = last.merge(trends[["category", "topic", "change", "low", "high"]], how="left", on=["category", "topic"])
    order = [
        "category",
        "topic",
        "supply",
        "demand",
        "change",
        "low",
        "high",
        "weekend",
        "published_a_week",
        "suggested",
    ]
    return both[order].sort_values("demand", ascending=False).reset_index(drop=True)
