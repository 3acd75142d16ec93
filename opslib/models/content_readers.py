"""Segments against categories: what goes with what, what is shown too much or too little, what to show instead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse, special

from opslib.errors import TooLittleError
from opslib.models.affinity import affinity
from opslib.models.recommend import Ranking, ease, evaluate, for_segments, item_cosine, popularity
from opslib.text import say

LEAST_USERS = 30


def mismatch(reading: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """What each segment is shown against what it finishes.

    One row per (segment, category) with at least 30 users, the largest gap first.

    Columns
    -------
    segment, category : str
    users, impressions, completes : int
    shown, finished   : float  share of the segment's impressions, and of its completions
    gap, low, high    : float  finished − shown, as a difference of shares; below 0 it is shown too much
    fit               : float  completions per impression over those of the segment's other categories

    `reading`: as of `metrics.content_readers.segment_reading`.
    Error: of the category's completions per impression, over users; what the segment does elsewhere counts as known.
    Source: terms.yml, `content.mismatch`.

    Raises
    ------
    TooLittleError  if no cell has 30 users, or nothing was finished.
    """
    total = reading.groupby("segment")[["impressions", "completes"]].transform("sum")
    rows = reading[(reading["users"] >= LEAST_USERS) & (total["completes"] > 0)].copy()
    total = total.loc[rows.index]
    if rows.empty:
        raise TooLittleError(
            say(
                zh="分群与类目的对比需要一格有 {n} 人和读完",
                en="segments need {n} users in a cell, and completions",
                n=LEAST_USERS,
            )
        )
    n, x = rows["impressions"], rows["completes"]
    rate = x / n
    var = (rows["xx"] - 2 * rate * rows["nx"] + rate**2 * rows["nn"]).clip(lower=0) / n**2
    shown, finished = n / total["impressions"], x / total["completes"]
    half = special.ndtri((1 + level) / 2) * np.sqrt(var) * n / total["completes"] * (1 - finished)
    gap, other = finished - shown, total - rows[["impressions", "completes"]]
    with np.errstate(all="ignore"):
        fit = rate / (other["completes"] / other["impressions"])
    columns = rows[["segment", "category", "users", "impressions", "completes"]]
    table = columns.assign(shown=shown, finished=finished, gap=gap, low=gap - half, high=gap + half, fit=fit)
    return table.sort_values("gap", key=np.abs, ascending=False).reset_index(drop=True)


def likings(reading: pd.DataFrame) -> pd.DataFrame:
    """Which categories a segment's users finish more often than chance: one row per (segment, category).

    Columns: segment, category, users (finishers), affinity (100 = as expected), p_adjusted, residual.

    Definition: users who finished at least one; see `models.affinity.affinity`. A user counts in each category he
    finished in, so the columns are not quite independent.
    """
    wide = reading.pivot_table(index="segment", columns="category", values="finishers", fill_value=0)
    found = affinity(wide.to_numpy())
    cells = wide.stack().rename("users").reset_index()
    return cells.assign(
        affinity=np.round(found.index.ravel()), residual=found.adj.ravel(), p_adjusted=found.p_adjusted.ravel()
    )


@dataclass(frozen=True)
class Recommended:
    """Candidates by segment, and how the recommender did offline beside popularity on the same users and items."""

    candidates: pd.DataFrame
    quality: pd.DataFrame
    best: str


def candidates(readings: pd.DataFrame, *, k: int = 5, ridge: float = 100.0) -> Recommended:
    """What to show to each segment: the better of two simple recommenders, judged on what users opened later.

    `readings`: as of `metrics.content_readers.readings`. A user's segment is the category of which most items were opened
    before the split.

    Columns of `quality`: recommender, ndcg, low, high, hit, recall, users. Of `candidates`: as `recommend.for_segments`, with
    content_id, title and category.

    Definition: learnt from what was opened before the split, judged on new items opened after it, ranked among all
    items; the winner of NDCG at `k` × 2 then ranks for the segments.
    Source: models.recommend.

    Raises
    ------
    TooLittleError  if fewer than 30 users opened something before the split and something new after it.
    """
    # In order of their ids: equal scores go by position, which the order of rows must not decide.
    users, people = pd.factorize(readings["user_id"], sort=True)
    items, names = pd.factorize(readings["content_id"], sort=True)
    shape = (len(people), len(names))
    seen = sparse.csr_array((readings["before"].to_numpy(float), (users, items)), shape=shape)
    later = sparse.csr_array((readings["after"].to_numpy(float), (users, items)), shape=shape)
    known = np.flatnonzero(np.asarray((seen > 0).sum(axis=1)).ravel() > 0)
    if len(known) == 0 or (later[known] > seen[known]).nnz < LEAST_USERS:
        raise TooLittleError(
            say(
                zh="推荐需要 {n} 名在分割日前后都打开过内容的用户",
                en="a recommender needs {n} users who opened items before and after the split",
                n=LEAST_USERS,
            )
        )
    seen, later = seen[known], later[known]
    scores = {"popularity": popularity(seen), "item_cosine": item_cosine(seen), "ease": ease(seen, ridge=ridge)}
    quality = pd.DataFrame([_row(name, evaluate(s, seen, later, 2 * k)) for name, s in scores.items()])
    best = str(quality.sort_values("ndcg")["recommender"].iloc[-1])
    segments = _favourites(readings)[people[known]].to_numpy()
    both = ((seen + later) > 0).astype(float)
    chosen = for_segments(scores[best], both, segments, k)
    about = readings.drop_duplicates("content_id").set_index("content_id")[["title", "category"]]
    chosen["content_id"] = names[chosen["item"]]
    return Recommended(chosen.join(about, on="content_id").drop(columns="item"), quality, best)


def _row(name: str, found: Ranking) -> dict:
    half = 1.96 * found.ndcg_se
    ends = {"low": max(0.0, found.ndcg - half), "high": found.ndcg + half}
    return {
        "recommender": name,
        "ndcg": found.ndcg,
        **ends,
        "hit": found.hit,
        "recall": found.recall,
        "users": found.users,
    }


def _favourites(readings: pd.DataFrame) -> pd.Series:
    """User → the category of which most items were opened before the split."""
    past = readings[readings["before"] > 0].groupby(["user_id", "category"]).size().rename("n").reset_index()
    past = past.sort_values(["user_id", "n", "category"], ascending=[True, False, True])
    return past.drop_duplicates("user_id").set_index("user_id")["category"]
