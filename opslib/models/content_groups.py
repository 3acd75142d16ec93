"""Groups of items: rates with items as the units, supply against demand, authors, and content standards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from opslib.errors import TooLittleError
from opslib.models.content import shrink_by_group
from opslib.models.indices import gamma_prior, indices
from opslib.text import number, say

REACTIONS = {"like": "likes", "comment": "comments", "favorite": "favorites", "share": "shares", "follow": "follows"}
RATES = {"read": ("opens", "impressions"), "complete": ("completes", "opens")} | {
    name: (column, "opens") for name, column in REACTIONS.items()
}


def funnel(counts: pd.DataFrame, by: str, *, items: float = float("nan")) -> pd.DataFrame:
    """From publishing to feedback, group by group and all together (the first row), the most opened first.

    Columns: (by), published (absent for placements), items, impressions, opens, completes, reactions.

    `counts`: as of `metrics.content.content_chain`. All together is the sum, except for `items` of placements, which
    show the same items: there it is `items`, blank unless given.
    """
    steps = ["published", "items", "impressions", "opens", "completes"]
    rows = counts.assign(reactions=counts[list(REACTIONS.values())].sum(axis=1)).sort_values("opens", ascending=False)
    total = rows[[*steps, "reactions"]].sum(min_count=1).to_frame().T.assign(**{by: say(zh="全部", en="All")})
    if by == "placement":
        total, steps = total.assign(items=items), steps[1:]
    return pd.concat([total, rows], ignore_index=True)[[by, *steps, "reactions"]]


def clustered(frame: pd.DataFrame, *, by: str | list[str], hits: str, of: str, level: float = 0.95) -> pd.DataFrame:
    """The rate of each group of items, with the interval that items as units give.

    One row per group.

    Columns
    -------
    (by)            : object
    items           : int    with exposure
    hits, of        : float  sums
    rate, low, high : float  hits / of; blank without exposure, and without interval for fewer than two items

    Definition: a ratio of sums over items. The many events of one item are not independent, so a binomial interval of the
    sums would be too narrow.
    Error: linearised variance over items, t interval of log(rate); of the rate itself where nothing was hit.
    Source: Cochran 1977, Sampling Techniques, section 6.4.
    """
    rows = frame[frame[of] > 0]
    keys = [by] if isinstance(by, str) else list(by)
    grouped = rows.groupby(keys, dropna=False, sort=True)
    sums = grouped[[hits, of]].sum().rename(columns={hits: "_x", of: "_n"}).join(grouped.size().rename("items"))
    rate = sums["_x"] / sums["_n"]
    own = rows.join(rate.rename("_rate"), on=keys)
    residual = (own[hits] - own["_rate"] * own[of]) ** 2
    spread = own.assign(_r=residual).groupby(keys, dropna=False)["_r"].sum()
    k = sums["items"].to_numpy(float)
    with np.errstate(all="ignore"):
        se = np.sqrt(spread.to_numpy() * k / (k - 1)) / sums["_n"].to_numpy()
        half = special.stdtrit(np.where(k > 1, k - 1, np.nan), (1 + level) / 2) * se / rate.to_numpy()
    table = sums.rename(columns={"_x": "hits", "_n": "of"}).assign(rate=rate)
    return table.assign(low=rate * np.exp(-half), high=rate * np.exp(half)).reset_index()


def chain(items: pd.DataFrame, by: str) -> pd.DataFrame:
    """Every rate of the chain by group: one row per (by, event) as `clustered`, with data only.

    Raises
    ------
    TooLittleError  if no item has a group, or nothing happened.
    """
    if (items[by] == "(none)").all():
        what = {"source": say(zh="来源", en="source"), "author_id": say(zh="作者", en="author")}.get(by, by)
        raise TooLittleError(
            say(zh="{n} 条内容都没有注明{what}，无从比较", en="no {what} is given for any of {n} items: nothing to compare", n=number(len(items)), what=what)
        )  # fmt: skip
    parts = []
    for name, (hits, of) in RATES.items():
        of = of if _opened(items) else "impressions"
        if hits in items and (items[hits] > 0).any() and (items[of] > 0).any():
            parts.append(clustered(items, by=by, hits=hits, of=of).assign(event=name))
    if not parts:
        raise TooLittleError(
            say(zh="没有打开、读完或互动，无法计算比率", en="no opens, completions or reactions: no rate")
        )
    return pd.concat(parts, ignore_index=True)


def _opened(items: pd.DataFrame) -> bool:
    """Posts tell reactions and reach, not who opened them: then an impression is what a reaction is counted against."""
    return "opens" in items and bool((items["opens"] > 0).any())


def weighted(items: pd.DataFrame, weights: dict[str, float], *, by: str = "category") -> pd.DataFrame:
    """Weighted interactions per open, by group: Σ weight × reactions / opens, or impressions where nobody opens; as `clustered`."""
    total = sum(items[REACTIONS[name]].fillna(0) * w for name, w in weights.items() if REACTIONS.get(name) in items)
    return clustered(items.assign(_w=total), by=by, hits="_w", of="opens" if _opened(items) else "impressions")


def leaders(items: pd.DataFrame, *, hits: str, of: str, most: int = 10) -> pd.DataFrame:
    """Items by the lower bound of their rate, drawn to their category's: `shrink_by_group`, best first."""
    if not items[hits].sum():
        raise TooLittleError(say(zh="没有读完数据，无法排序", en="nobody tracks completions: nothing to rank"))
    rows = items[items[of] >= items[hits]].sort_values("content_id")  # a fit's last digits show the order of its rows
    return shrink_by_group(rows, hits=hits, of=of, group="category").nlargest(most, "low").reset_index(drop=True)


def dwell(items: pd.DataFrame, by: str = "category") -> pd.DataFrame:
    """Typical dwell time of each group: the geometric mean over opens, which a few long stays cannot move.

    One row per group: (by), n opens with a dwell time, typical, low, high in seconds.

    Definition: exp(mean of ln(1 + seconds)) − 1; dwell times below 0 are left out. Error: over items.
    """
    rows = items[items["dwells"] > 0].assign(total=lambda t: t["dwell_log"] * t["dwells"])
    if rows.empty:
        raise TooLittleError(say(zh="没有停留时长", en="no dwell times"))
    table = clustered(rows, by=by, hits="total", of="dwells").rename(columns={"of": "n"})
    ends = {end: np.expm1(table[column]) for end, column in (("typical", "rate"), ("low", "low"), ("high", "high"))}
    return table[[by, "items", "n"]].assign(**ends)


def supply(counts: pd.DataFrame, items: pd.DataFrame, by: str) -> pd.DataFrame:
    """Share of publishing against share of opens.

    One row per group that publishes: (by), published, opens, supply, shown, demand (shares), demand_ratio, low, high.

    `counts`: as of `metrics.content.content_chain`; `items`: one row per item.
    Definition: demand_ratio = share of opens / share of items published in the period. `shown` is blank where nobody
    tells impressions.
    Error: of the opens of the group and of all others, over items; the number published is known.
    """
    table = counts[counts["published"] > 0]
    if len(table) < 2:
        raise TooLittleError(
            say(zh="供需对比需要至少两组在期内发布过的内容", en="supply against demand needs two groups that published")
        )
    table = table[[by, "published", "impressions", "opens"]].assign(
        supply=table["published"] / table["published"].sum(),
        shown=table["impressions"] / max(table["impressions"].sum(), 1.0),
        demand=table["opens"] / max(table["opens"].sum(), 1),
    )
    opens = items[items[by].isin(table[by])].groupby(by)["opens"]
    spread = table[by].map(opens.size() * opens.var(ddof=1))
    unsure = spread.fillna(table["opens"] ** 2)  # one item tells no spread: its opens may as well be none or double
    with np.errstate(all="ignore"):  # a share moves with its own sum, and against that of all others
        own = spread / table["opens"] ** 2
        rest = (unsure.sum() - unsure) / (table["opens"].sum() - table["opens"]) ** 2
    error = ((1 - table["demand"]) * np.sqrt(own + rest)).where(table["demand"].between(0, 1, inclusive="neither"))
    table["demand_ratio"] = table["demand"] / table["supply"]
    table = table.assign(
        low=table["demand_ratio"] * np.exp(-1.96 * error), high=table["demand_ratio"] * np.exp(1.96 * error)
    )
    return table.sort_values("demand_ratio", ascending=False).reset_index(drop=True)


def of_posts(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """What `supply` takes for its counts, of items that carry their own: one row per group, `opens` being their responses.

    `table`: as of `models.content_lists.judged`.
    """
    sums = table.groupby(by, as_index=False).agg(published=("content_id", "size"), opens=("hits", "sum"))
    told = table["impressions"].where(table["exposed"]).groupby(table[by]).sum(min_count=1)
    return sums.assign(impressions=sums[by].map(told))


def authors(table: pd.DataFrame, *, least: int = 5) -> pd.DataFrame:
    """How authors do: their index, how even their items are, and where they are going.

    One row per author with at least `least` shown items, best lower bound first.

    Columns
    -------
    author_id, items, impressions, hits, expected
    index, low, high : float  against the average of the categories, drawn to 1
    steady      : float  share of the author's items with an index of 1 or more
    trend, trend_low, trend_high : float  raw index of the newer half of the items over that of the older half, − 1

    Definition: the author's items together, weighted by exposure. Error: the items of an author differ; hits count as
    `dispersion` times as variable as Poisson, estimated over the items of all authors.
    Source: models.indices.

    Raises
    ------
    TooLittleError  if fewer than two authors have so many items.
    """
    rows = table[(table["expected"] > 0) & (table["author_id"] != "(none)")]
    size = rows.groupby("author_id")["content_id"].transform("size")
    rows = rows[size >= least].sort_values(["author_id", "published_day", "content_id"])
    if rows["author_id"].nunique() < 2:
        raise TooLittleError(
            say(
                zh="作者对比需要至少两位作者各有 {n} 条内容",
                en="authors need {n} items each, at least two of them",
                n=least,
            )
        )
    grouped = rows.groupby("author_id")
    sums = grouped[["impressions", "hits", "expected"]].sum().join(grouped.size().rename("items"))
    own = rows.join((sums["hits"] / sums["expected"]).rename("own"), on="author_id")
    mean = own["own"] * own["expected"]
    dispersion = max(1.0, float(((own["hits"] - mean) ** 2).sum() / max(mean.sum(), 1e-9)))
    # Held against the average of the categories, not against each other: authors who differ little would all be "surely" where
    # they are together.
    prior = gamma_prior(sums["hits"] / dispersion, sums["expected"] / dispersion, mean=1.0)
    found = indices(sums["hits"] / dispersion, sums["expected"] / dispersion, prior).set_axis(sums.index)
    later = grouped.cumcount() >= (grouped["content_id"].transform("size") / 2)
    halves = rows.assign(later=later).groupby(["author_id", "later"])[["hits", "expected"]].sum().unstack()
    sums = sums.join(found[["index", "low", "high"]]).assign(
        steady=(rows["index"] >= 1).groupby(rows["author_id"]).mean(), **_trend(halves, dispersion)
    )
    return sums.reset_index().sort_values("low", ascending=False).reset_index(drop=True)


def _trend(halves: pd.DataFrame, dispersion: float) -> dict[str, Any]:
    a, b = halves["hits", True], halves["hits", False]
    with np.errstate(all="ignore"):
        ratio = (a / halves["expected", True]) / (b / halves["expected", False])
        half = 1.96 * np.sqrt(dispersion * (1 / a + 1 / b))
    ratio = ratio.where((a > 0) & (b > 0))
    return {"trend": ratio - 1, "trend_low": ratio * np.exp(-half) - 1, "trend_high": ratio * np.exp(half) - 1}


def standards(cells: pd.DataFrame, items: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """What completion goes with, everything else equal: PGC against UGC, originality, and age when opened.

    One row per factor.

    Columns
    -------
    standard : str    pgc, originality (per 0.1), age_week (per 7 days of age)
    change, low, high : float  relative change of the share of opens that are completed
    items, opens : int  on which it rests

    `cells`: as of `metrics.content.content_cells`; `items`: what the items are.
    Definition: Poisson regression of completions with opens as exposure, on category, source, originality and the age of
    the band, together. A factor that does not vary, is not known, or cannot be told from the others is absent.
    Error: sandwich by item. Source: Zou 2004, American Journal of Epidemiology 159, 702-706 (modified Poisson).

    Raises
    ------
    TooLittleError  with fewer than 20 items with opens, or without completions.
    """
    import statsmodels.api as sm

    sums = cells.groupby(["content_id", "age"], as_index=False)[["opens", "completes"]].sum()
    rows = sums[sums["opens"] > 0].merge(items[["content_id", "category", "source", "originality"]], on="content_id")
    if rows["content_id"].nunique() < 20 or rows["completes"].sum() == 0:
        raise TooLittleError(
            say(
                zh="内容标准需要 20 条有打开和读完的内容",
                en="content standards need 20 items with opens and completions",
            )
        )
    x = pd.get_dummies(rows["category"], drop_first=True, dtype=float)
    own = {"pgc": (rows["source"] == "PGC").astype(float), "age_week": rows["age"] / 7.0}
    if set(rows["source"]) - {"PGC", "UGC"}:
        own.pop("pgc")
    if rows["originality"].notna().all():
        own["originality"] = rows["originality"].astype(float) * 10
    own = _told_apart(x, {name: v for name, v in own.items() if v.nunique() > 1})
    design = sm.add_constant(pd.concat([x, pd.DataFrame(own)], axis=1))
    model = sm.GLM(rows["completes"], design, family=sm.families.Poisson(), offset=np.log(rows["opens"]))
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": pd.factorize(rows["content_id"])[0]})
    ends = fit.conf_int(1 - level)
    return pd.DataFrame(
        {
            "standard": list(own),
            "change": [np.expm1(fit.params[n]) for n in own],
            "low": [np.expm1(ends.loc[n, 0]) for n in own],
            "high": [np.expm1(ends.loc[n, 1]) for n in own],
            "items": rows["content_id"].nunique(),
            "opens": int(rows["opens"].sum()),
        }
    )


def _told_apart(given: pd.DataFrame, factors: dict[str, pd.Series]) -> dict[str, pd.Series]:
    """The factors that are no mixture of all the other columns, such as a source that alone makes some of the categories."""

    def rank(names: list[str]) -> int:
        columns = [np.ones(len(given)), *given.to_numpy().T, *(factors[name].to_numpy() for name in names)]
        return int(np.linalg.matrix_rank(np.column_stack(columns)))

    every = rank(list(factors))
    return {name: v for name, v in factors.items() if rank([other for other in factors if other != name]) < every}
