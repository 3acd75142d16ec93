"""A simple recommender and its honest quality: full ranking, seen items masked, against popularity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from opslib.errors import TooLittleError
from opslib.text import say

MOST_EASE = 10_000  # items; the model is a dense items × items matrix


def _seen(matrix: Any) -> sparse.csr_array:
    x = sparse.csr_array(matrix, dtype=float)
    if x.nnz and x.data.min() < 0:
        raise ValueError("recommend: a user × item table of 0 and positive numbers")
    x.eliminate_zeros()
    if x.nnz == 0:
        raise TooLittleError(
            say(
                zh="推荐至少要有 1 个内容被用户看过，现有 0 个",
                en="a recommender needs at least one item that a user has seen, has 0",
            )
        )
    return x


def popularity(seen: Any) -> np.ndarray:
    """Users × items: every user gets the number of users of each item. The bar that any recommender must clear."""
    x = _seen(seen)
    return np.broadcast_to((x > 0).sum(axis=0), x.shape)


def item_cosine(seen: Any) -> np.ndarray:
    """Users × items: the sum of an item's cosine similarities with what the user has seen (an item is not its own
    neighbour).

    Source: Sarwar et al. 2001; Deshpande & Karypis 2004.
    """
    x = _seen(seen)
    length = np.sqrt(np.asarray((x * x).sum(axis=0)).ravel())
    unit = x @ sparse.diags_array(1 / np.maximum(length, 1e-12))
    similar = (unit.T @ unit).tolil()
    similar.setdiag(0)
    return (x @ similar.tocsr()).toarray()


def ease(seen: Any, *, ridge: float = 100.0) -> np.ndarray:
    """Users × items: a linear model of each item on all others in closed form.

    Definition: B = I − P / diag(P), P = (XᵀX + ridge·I)⁻¹; scores are X·B.
    Source: Steck 2019, Embarrassingly Shallow Autoencoders.

    Raises
    ------
    ValueError  with more than 10,000 items, or a ridge that is not positive.
    """
    x = _seen(seen)
    if x.shape[1] > MOST_EASE or ridge <= 0:
        raise ValueError(f"ease: at most {MOST_EASE:,} items ({x.shape[1]:,}) and a positive ridge ({ridge})")
    p = np.linalg.inv((x.T @ x).toarray() + ridge * np.eye(x.shape[1]))
    b = -p / np.diag(p)
    np.fill_diagonal(b, 0)
    return x @ b


def ranked(scores: Any, seen: Any, k: int = 10) -> np.ndarray:
    """Positions of each user's `k` best items that the user has not seen, best first; −1 where there are no more.

    Equal scores go by position, so that a run can be repeated.
    """
    masked = np.where(sparse.csr_array(seen).toarray() > 0, -np.inf, np.asarray(scores, dtype=float))
    order = np.argsort(-masked, axis=1, kind="stable")[:, :k]
    return np.where(np.isneginf(np.take_along_axis(masked, order, axis=1)), -1, order)


@dataclass(frozen=True)
class Ranking:
    """Quality of lists of `k`, mean over `users` with something to find: hit (at least one found), recall, precision,
    ndcg, ap (average precision), rr (reciprocal rank of the first found); `ndcg_se` its standard error over users.
    """

    k: int
    users: int
    hit: float
    recall: float
    precision: float
    ndcg: float
    ap: float
    rr: float
    ndcg_se: float


def evaluate(scores: Any, seen: Any, wanted: Any, k: int = 10) -> Ranking:
    """How well scores rank what users then chose, among all items they had not seen.

    `seen`: user × item before the split in time; `wanted`: after it. All items compete: metrics on a sample of items do
    not order recommenders rightly.

    Definition: the ideal list holds all wanted items that had not been seen, up to `k`. Users with none are left out.
    Source: Järvelin & Kekäläinen 2002 (NDCG); Krichene & Rendle 2020 (no sampled metrics).

    Raises
    ------
    TooLittleError  if no user wants an unseen item.
    """
    past = sparse.csr_array(seen).toarray() > 0
    goal = (sparse.csr_array(wanted).toarray() > 0) & ~past
    users = np.flatnonzero(goal.any(axis=1))
    if len(users) == 0:
        raise TooLittleError(
            say(
                zh="检验推荐要求有用户后来选了自己没看过的内容，现有 0 人",
                en="a ranking needs a user who later chose an item that was new to them, has 0",
            )
        )
    lists = ranked(np.asarray(scores)[users], past[users], k)
    hits = np.take_along_axis(goal[users], np.maximum(lists, 0), axis=1) & (lists >= 0)
    each = pd.DataFrame([list_quality(h, int(g)).__dict__ for h, g in zip(hits, goal[users].sum(axis=1), strict=True)])
    mean = {str(name): float(each[name].mean()) for name in each}
    error = float(each.ndcg.std(ddof=1) / np.sqrt(len(each))) if len(each) > 1 else float("nan")
    return Ranking(k=k, users=len(users), hit=float((each.rr > 0).mean()), ndcg_se=error, **mean)


@dataclass(frozen=True)
class ListQuality:
    """Of one list: recall, precision, ndcg, ap and rr."""

    recall: float
    precision: float
    ndcg: float
    ap: float
    rr: float


def list_quality(hits: Any, relevant: int | None = None, k: int | None = None) -> ListQuality:
    """The quality of one list from what was hit at each place (1 or 0), best place first.

    `relevant`: how many items there were to find (left out: as many as the list hit, which flatters it); `k` cuts the
    list. Average precision divides by what there was to find, at most `k`.
    Source: Manning, Raghavan & Schütze, Introduction to Information Retrieval, chapter 8.
    """
    found = np.asarray(hits, dtype=float)
    total = int(found.sum()) if relevant is None else relevant
    found = found[:k]
    if total < found.sum():
        raise ValueError(f"list_quality: {found.sum():g} hits of {total} relevant items")
    if total == 0 or len(found) == 0:
        return ListQuality(*([float("nan")] * 5))
    place = np.arange(1, len(found) + 1)
    possible = min(total, len(found))
    ap = float((found * np.cumsum(found) / place).sum() / possible)
    first = np.flatnonzero(found)
    best = dcg(np.ones(possible))
    rr = 1 / (first[0] + 1) if len(first) else 0.0
    return ListQuality(float(found.sum() / total), float(found.mean()), dcg(found) / best, ap, float(rr))


def dcg(relevance: Any) -> float:
    """Discounted cumulative gain with linear gains: Σ rel_i / log₂(i + 1); give 2^rel − 1 for exponential ones."""
    gain = np.asarray(relevance, dtype=float)
    return float((gain / np.log2(np.arange(2, len(gain) + 2))).sum())


def ndcg_of_scores(relevance: Any, scores: Any, k: int | None = None) -> float:
    """NDCG of one user's items as their scores rank them, at most `k` of them; blank when nothing is relevant.

    One element per item there was to show. Equal scores share their places: each item has the mean gain of its tie, as
    the average over all orders of the tie would, so that the order of the rows cannot decide.
    Source: McSherry & Najork 2008; as scikit-learn's ndcg_score.

    Raises
    ------
    ValueError  if lengths differ.
    """
    gain, score = np.asarray(relevance, dtype=float), np.asarray(scores, dtype=float)
    if gain.shape != score.shape or gain.ndim != 1:
        raise ValueError(f"ndcg_of_scores: one relevance for each score, got {gain.shape} and {score.shape}")
    tie = np.unique(-score, return_inverse=True)[1]
    shared = (np.bincount(tie, gain) / np.maximum(np.bincount(tie), 1))[np.sort(tie)]
    ideal = dcg(np.sort(gain)[::-1][:k])
    return dcg(shared[:k]) / ideal if ideal else float("nan")


def ndcg(relevance: Any, judged: Any) -> float:
    """DCG over that of the best list of the same length; `judged` holds the relevance of everything there was to show.

    Raises
    ------
    ValueError  if the shown list is better than the ideal one, because `judged` lacks something shown.
    """
    shown = np.asarray(relevance, dtype=float)
    ideal = dcg(np.sort(np.asarray(judged, dtype=float))[::-1][: len(shown)])
    if dcg(shown) > ideal + 1e-9:
        raise ValueError("ndcg: `judged` must hold everything there was to show, the shown items among it")
    return dcg(shown) / ideal if ideal else float("nan")


def for_segments(scores: Any, seen: Any, segments: Any, k: int = 10) -> pd.DataFrame:
    """Candidates to show to each segment: items with the best mean score among its users who have not seen them.

    One row per (segment, rank).

    Columns
    -------
    segment : object
    rank    : int    1 is best
    item    : int    position
    score   : float  mean over the segment's users who have not seen it
    new_to  : float  share of the segment's users who have not seen it
    """
    unseen = sparse.csr_array(seen).toarray() <= 0
    values, names = np.asarray(scores, dtype=float), np.asarray(segments)
    rows = []
    for name in pd.unique(names):
        own = names == name
        fresh = unseen[own]
        with np.errstate(all="ignore"):
            mean = np.where(fresh, values[own], 0).sum(axis=0) / fresh.sum(axis=0)
        order = np.argsort(-np.nan_to_num(mean, nan=-np.inf), kind="stable")[:k]
        best = [i for i in order if fresh[:, i].any()]
        rows += [
            {"segment": name, "rank": r + 1, "item": int(i), "score": mean[i], "new_to": fresh[:, i].mean()}
            for r, i in enumerate(best)
        ]
    return pd.DataFrame(rows, columns=["segment", "rank", "item", "score", "new_to"])
