"""Fair comparisons of what was shown in different places: stratified odds and lifts, standardised rates, COEC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from opslib.errors import TooLittleError
from opslib.text import say


@dataclass(frozen=True)
class StratifiedOdds:
    """The crude odds ratio, the common one within strata with its interval and test, and whether the odds ratios of
    the strata differ (`p_same`, Breslow-Day). `reversed`: crude and common point in opposite directions.
    """

    crude_or: float
    mh_or: float
    ci: tuple[float, float]
    chi2: float
    p: float
    p_same: float
    reversed: bool
    strata: int


def stratified_odds(strata: Any, *, level: float = 0.95) -> StratifiedOdds:
    """Two groups compared within strata (positions, categories), so that where they were shown cannot decide.

    `strata`: one table per stratum, [[hits, misses] of the first group, [hits, misses] of the second].

    Definition: Mantel-Haenszel common odds ratio; strata in which a group or an outcome is missing tell nothing and are
    left out of it (not of the crude one).
    Error: Robins-Breslow-Greenland interval; p by Cochran-Mantel-Haenszel with continuity correction.
    Source: Mantel & Haenszel 1959; Robins, Breslow & Greenland 1986; as R's mantelhaen.test.

    Raises
    ------
    ValueError      if a table is not 2 × 2 or has a negative count.
    TooLittleError  if no stratum has both groups and both outcomes.
    """
    from statsmodels.stats.contingency_tables import StratifiedTable

    tables = np.asarray(strata, dtype=float)
    if tables.ndim != 3 or tables.shape[1:] != (2, 2) or not (tables >= 0).all():
        raise ValueError(f"stratified_odds: a list of 2 × 2 tables of counts, got shape {tables.shape}")
    full = (tables.sum(axis=1) > 0).all(axis=1) & (tables.sum(axis=2) > 0).all(axis=1)
    if not full.any():
        raise TooLittleError(
            say(
                zh="分层对比要求至少一层里两组都有用户、两种结果都出现",
                en="a stratified comparison needs a stratum with both groups and both outcomes",
            )
        )
    (a, b), (c, d) = tables.sum(axis=0)
    crude = a * d / (b * c) if b * c else float("inf")
    table = StratifiedTable(list(tables[full]))
    test = table.test_null_odds(correction=True)
    common = float(table.oddsratio_pooled)
    ci = tuple(float(v) for v in table.oddsratio_pooled_confint(alpha=1 - level))
    same = float(table.test_equal_odds().pvalue) if full.sum() > 1 else float("nan")
    turned = bool((crude - 1) * (common - 1) < 0)
    return StratifiedOdds(
        crude, common, (ci[0], ci[1]), float(test.statistic), float(test.pvalue), same, turned, int(full.sum())
    )


def stratified_lift(
    frame: pd.DataFrame, *, strata: str | list[str], group: str, base: Any, hits: str, of: str, level: float = 0.95
) -> pd.DataFrame:
    """Each group's rate against the base group's within the same strata.

    One row per group other than `base`.

    Columns
    -------
    group : object
    diff, diff_low, diff_high : float   difference of rates
    lift, low, high           : float   ratio of rates − 1; blank where the base has no hit
    used                      : float   share of the group's exposures in strata that have both

    `frame`: one row per stratum and group (or finer) with hits and exposures; a missing stratum is one of its own.
    Definition: Mantel-Haenszel risk difference and risk ratio: weights n₁n₀/(n₁+n₀), right also when strata are many
    and small (item × position). Strata without both are left out, and `used` says how much that leaves.
    Error: Sato's variance of the difference, Greenland & Robins's of the log ratio.
    Source: Sato 1989; Greenland & Robins 1985, Biometrics 41, 55-68.

    Raises
    ------
    ValueError      if hits exceed exposures.
    TooLittleError  if the base is not there, or a group shares no stratum with it.
    """
    keys = [strata] if isinstance(strata, str) else list(strata)
    counts = frame.groupby([*keys, group], dropna=False)[[hits, of]].sum()
    if (counts[hits] > counts[of]).any() or (counts < 0).any().any():
        raise ValueError(f"stratified_lift: {hits!r} exceeds {of!r}, or a count is negative")
    wide = counts.unstack(group).fillna(0)
    if base not in wide[of].columns:
        raise TooLittleError(
            say(zh="没有可作对照的组「{base}」", en="there is no group “{base}” to compare with", base=str(base))
        )
    c, n0 = wide[hits, base].to_numpy(float), wide[of, base].to_numpy(float)
    rows = []
    for name in wide[of].columns:
        if name != base:
            rows.append(
                {"group": name}
                | _mantel_haenszel(wide[hits, name].to_numpy(float), wide[of, name].to_numpy(float), c, n0, level)
            )
    return pd.DataFrame(rows)


def _mantel_haenszel(a: np.ndarray, n1: np.ndarray, c: np.ndarray, n0: np.ndarray, level: float) -> dict[str, float]:
    both = (n1 > 0) & (n0 > 0)
    if not both.any():
        raise TooLittleError(
            say(
                zh="两组从未出现在同一层（如同一位置），无法比较",
                en="two groups were never shown in the same stratum, such as a position; nothing to compare",
            )
        )
    used = float(n1[both].sum() / n1.sum())
    a, n1, c, n0 = a[both], n1[both], c[both], n0[both]
    n, z = n1 + n0, special.ndtri((1 + level) / 2)
    weight = (n1 * n0 / n).sum()
    diff = float(((a * n0 - c * n1) / n).sum() / weight)
    p = ((n1**2 * c - n0**2 * a + n1 * n0 * (n0 - n1) / 2) / n**2).sum()
    q = ((a * (n0 - c) + c * (n1 - a)) / (2 * n)).sum()
    half = z * float(np.sqrt(max(diff * p + q, 0))) / weight
    top, bottom = (a * n0 / n).sum(), (c * n1 / n).sum()
    result = {
        "diff": diff,
        "diff_low": diff - half,
        "diff_high": diff + half,
        "lift": np.nan,
        "low": np.nan,
        "high": np.nan,
    }
    if top > 0 and bottom > 0:
        spread = np.sqrt((((a + c) * n1 * n0 - a * c * n) / n**2).sum() / (top * bottom))
        result |= {k: top / bottom * np.exp(s * z * spread) - 1 for k, s in (("lift", 0), ("low", -1), ("high", 1))}
    return result | {"used": used}


def standardised(
    frame: pd.DataFrame, *, strata: str | list[str], group: str, hits: str, of: str, level: float = 0.95
) -> pd.DataFrame:
    """What each group's rate would be if all had been shown in the same places.

    One row per group.

    Columns
    -------
    group     : object
    crude     : float  hits / exposures
    rate      : float  standardised rate; blank where no stratum has every group
    low, high : float  interval
    used      : float  share of the group's exposures in strata that all groups share

    Definition: direct standardisation: rates within strata, weighted by the exposures of all groups together, over the
    strata in which every group was shown.
    Error: normal, binomial within strata; too narrow where strata hold a few exposures only (`stratified_lift` is not).
    Source: Rothman, Greenland & Lash, Modern Epidemiology, chapter 4.

    Raises
    ------
    ValueError      if hits exceed exposures.
    TooLittleError  without rows.
    """
    keys = [strata] if isinstance(strata, str) else list(strata)
    counts = frame.groupby([*keys, group], dropna=False)[[hits, of]].sum()
    if (counts[hits] > counts[of]).any():
        raise ValueError(f"standardised: {hits!r} exceeds {of!r}")
    if len(counts) == 0:
        raise TooLittleError(
            say(zh="计算标准化比率要有曝光记录，现有 0 行", en="standardised rates need rows with exposures, has 0")
        )
    wide = counts.unstack(group).fillna(0)
    x, n = wide[hits].to_numpy(float), wide[of].to_numpy(float)
    shared = (n > 0).all(axis=1)
    total = n[shared].sum()
    weight = n[shared].sum(axis=1, keepdims=True) / total if total else np.zeros((0, 1))
    with np.errstate(all="ignore"):
        r = x[shared] / n[shared]
        rate = (weight * r).sum(axis=0) if total else np.full(n.shape[1], np.nan)
        half = special.ndtri((1 + level) / 2) * np.sqrt((weight**2 * r * (1 - r) / n[shared]).sum(axis=0))
        table = {"group": wide[of].columns, "crude": x.sum(axis=0) / n.sum(axis=0), "rate": rate}
        ends = {"low": np.clip(rate - half, 0, 1), "high": np.clip(rate + half, 0, 1)}
        return pd.DataFrame(table | ends | {"used": n[shared].sum(axis=0) / n.sum(axis=0)})


def examination(item: Any, position: Any, impressions: Any, clicks: Any) -> pd.Series:
    """How much each position is looked at, compared with the most shown one that others can be compared with.

    One element per (item, position) with its impressions and clicks; the result is indexed by position, blank for
    positions that share no item, even by way of others, with the most shown one.

    Definition: clicks are Poisson with mean impressions × appeal of the item × examination of the position; both by
    maximum likelihood, so that good items on top do not make the top look better than it is.
    Source: the examination hypothesis, Richardson, Dominowska & Ragno 2007; Craswell et al. 2008.

    Raises
    ------
    ValueError      if clicks exceed impressions or lengths differ.
    TooLittleError  if no item with clicks was shown in two positions.
    """
    frame = pd.DataFrame({"item": item, "position": position, "n": impressions, "x": clicks}).dropna()
    frame = frame[frame.n > 0].groupby(["item", "position"], as_index=False)[["n", "x"]].sum()
    if (frame.x > frame.n).any() or (frame.x < 0).any():
        raise ValueError("examination: clicks must lie between 0 and impressions")
    places = pd.Index(sorted(frame.position.unique()))
    frame = frame[frame.groupby("item").x.transform("sum") > 0]
    i, items = pd.factorize(frame.item)
    p = places.get_indexer(frame.position)
    n, x = frame.n.to_numpy(float), frame.x.to_numpy(float)
    linked = _linked(i, p, len(items), len(places), n)
    if linked.sum() < 2:
        raise TooLittleError(
            say(
                zh="估计位置影响至少要有一个内容在 2 个位置展示过且有点击",
                en="the effect of a position needs an item with clicks that was shown in two positions",
            )
        )
    look = np.ones(len(places))
    by_item, by_place = np.bincount(i, x, len(items)), np.bincount(p, x, len(places))
    for _ in range(2000):
        appeal = by_item / np.bincount(i, n * look[p], len(items))
        new = by_place / np.maximum(np.bincount(p, n * appeal[i], len(places)), 1e-300)
        new = new / new[_most(p, n, len(places), linked)]
        done = np.abs(new - look)[linked].max() < 1e-10
        look = np.maximum(new, 1e-12)
        if done:
            break
    return pd.Series(np.where(linked, look, np.nan), index=places.rename("position"), name="examination")


def _most(p: np.ndarray, n: np.ndarray, places: int, linked: np.ndarray) -> int:
    return int(np.argmax(np.where(linked, np.bincount(p, n, places), -1)))


def _linked(i: np.ndarray, p: np.ndarray, items: int, places: int, n: np.ndarray) -> np.ndarray:
    """Positions that hang together with the most shown one through items."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if len(i) == 0:
        return np.zeros(places, dtype=bool)
    graph = coo_array((np.ones(len(i)), (i, items + p)), shape=(items + places, items + places))
    part = connected_components(graph, directed=False)[1][items:]
    return (part == part[int(np.argmax(np.bincount(p, n, places)))]) & (np.bincount(p, n, places) > 0)


def coec(
    item: Any, position: Any, impressions: Any, clicks: Any, look: pd.Series | None = None, *, level: float = 0.95
) -> pd.DataFrame:
    """Clicks over expected clicks: an item's appeal with its positions taken out.

    One row per item, in order of appearance.

    Columns
    -------
    item        : object
    impressions : float  with a known position
    clicks      : float
    expected    : float  clicks of the average item in the same positions
    coec        : float  clicks / expected; 1 is average; blank without impressions
    low, high   : float  interval

    `look`: relative examination by position (see `examination`); left out, the average click rate of each position.
    Definition: expected clicks are impressions × examination × a constant that makes all expected clicks together equal
    all clicks. Rows without a position, or with one of unknown examination, are left out.
    Error: exact Poisson interval of the clicks.
    Source: Zhang & Jones 2007 (COEC); Garwood 1936.

    Raises
    ------
    ValueError      if clicks exceed impressions.
    TooLittleError  if there is no click.
    """
    frame = pd.DataFrame({"item": item, "position": position, "n": impressions, "x": clicks})
    if (frame.x > frame.n).any() or (frame.x < 0).any():
        raise ValueError("coec: clicks must lie between 0 and impressions")
    if look is None:
        sums = frame.groupby("position")[["n", "x"]].sum()
        look = sums.x / sums.n
    frame["look"] = frame.position.map(look)
    frame = frame.assign(known=frame.look.notna()).fillna({"look": 0.0})
    frame[["n", "x"]] = frame[["n", "x"]].where(frame.known, 0.0)
    if frame.x.sum() == 0:
        raise TooLittleError(
            say(
                zh="校正位置影响后的点击比要求已知位置上有点击，现有 0 次",
                en="clicks over expected clicks (COEC) needs clicks in known positions, has 0",
            )
        )
    frame["expected"] = frame.n * frame.look
    frame["expected"] *= frame.x.sum() / frame.expected.sum()
    table = frame.groupby("item", sort=False)[["n", "x", "expected"]].sum().reset_index()
    table.columns = pd.Index(["item", "impressions", "clicks", "expected"])
    e = table.expected.where(table.expected > 0).to_numpy()
    tail, x = (1 - level) / 2, table.clicks.to_numpy()
    low, high = special.gammaincinv(np.maximum(x, 1e-12), tail), special.gammaincinv(x + 1, 1 - tail)
    return table.assign(coec=x / e, low=np.where(x > 0, low, 0) / e, high=high / e)
