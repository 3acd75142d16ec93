"""RFM: how recently, how often and for how much each customer bought, as scores and named segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.text import language, say

# (lowest R, highest R, lowest F, highest F) in fifths → segment; the ten cover every pair once.
GRID = {
    "champions": (5, 5, 4, 5),
    "loyal": (3, 4, 4, 5),
    "potential_loyalists": (4, 5, 2, 3),
    "new_customers": (5, 5, 1, 1),
    "promising": (4, 4, 1, 1),
    "need_attention": (3, 3, 3, 3),
    "about_to_sleep": (3, 3, 1, 2),
    "cannot_lose": (1, 2, 5, 5),
    "at_risk": (1, 2, 3, 4),
    "hibernating": (1, 2, 1, 2),
}
NAMES = {
    "champions": ("核心用户", "Champions"),
    "loyal": ("忠诚用户", "Loyal"),
    "potential_loyalists": ("潜力用户", "Potential loyalists"),
    "new_customers": ("新客", "New customers"),
    "promising": ("有望用户", "Promising"),
    "need_attention": ("需要关注", "Need attention"),
    "about_to_sleep": ("即将沉睡", "About to sleep"),
    "cannot_lose": ("不能失去", "Cannot lose them"),
    "at_risk": ("流失风险", "At risk"),
    "hibernating": ("沉睡用户", "Hibernating"),
}


@dataclass(frozen=True)
class Rfm:
    """`scores` has one row per customer (r, f, m: 1 is worst; score: the digits as one number; segment), in the order
    given; the edges are the values at or below which the next score begins, lowest first.
    """

    scores: pd.DataFrame
    recency_edges: np.ndarray
    frequency_edges: np.ndarray
    monetary_edges: np.ndarray


def rfm(recency: Any, frequency: Any, monetary: Any, *, bins: int = 5, index: Any = None) -> Rfm:
    """RFM scores by quantiles of each measure on its own.

    One element per customer: days since the last order, number of orders, and amount.

    Definition: edges are the quantiles 1/bins, 2/bins, … by linear interpolation (type 7); a value at an edge belongs
    to the lower bin, so equal values always have equal scores, and bins need not be equally large. Recency is reversed:
    few days are good. The segment is read from R and F in fifths (`GRID`); M orders people within it.
    Error: none; a description of these customers.
    Source: Hughes 1994, Strategic Database Marketing; edges as in the R package rfm.

    Raises
    ------
    ValueError      if lengths differ, a value is missing, or `bins` is not 2 to 9.
    TooLittleError  without customers.
    """
    columns = [np.asarray(v, dtype=float) for v in (recency, frequency, monetary)]
    if len({len(c) for c in columns}) != 1 or not all(np.isfinite(c).all() for c in columns):
        raise ValueError("rfm: recency, frequency and monetary need one value for each customer")
    if not 2 <= bins <= 9:
        raise ValueError(f"rfm: bins must be 2 to 9, got {bins}")
    if len(columns[0]) == 0:
        raise TooLittleError(
            say(zh="RFM 至少要 1 名有订单的用户，现有 0 名", en="RFM needs at least one customer with an order, has 0")
        )
    edges = [quantile_edges(c, bins) for c in columns]
    r, f, m = (1 + np.searchsorted(e, c, side="left") for c, e in zip(columns, edges, strict=True))
    r = bins + 1 - r
    scores = pd.DataFrame({"r": r, "f": f, "m": m, "score": 100 * r + 10 * f + m}, index=index)
    return Rfm(scores.assign(segment=segment_of(r, f, bins)), *edges)


def quantile_edges(values: np.ndarray, bins: int) -> np.ndarray:
    """The bins − 1 inner quantiles by linear interpolation (type 7)."""
    return np.quantile(values, np.arange(1, bins) / bins)


def segment_of(r: Any, f: Any, bins: int = 5) -> np.ndarray:
    """The named segment of each pair of scores, which are first brought to fifths."""
    r, f = (np.ceil(np.asarray(v) * 5 / bins).astype(int) for v in (r, f))
    names = np.full(r.shape, "", dtype=object)
    for name, (r_low, r_high, f_low, f_high) in GRID.items():
        names[(r >= r_low) & (r <= r_high) & (f >= f_low) & (f <= f_high)] = name
    return names


def segment_name(segment: str) -> str:
    """The segment in the language in use."""
    zh, en = NAMES[segment]
    return zh if language() == "zh" else en


def movement(before: pd.Series, after: pd.Series) -> pd.DataFrame:
    """Where the members of each segment went between two periods.

    One row per (before, after) pair that occurs.

    Columns
    -------
    before, after : str   segment, empty for a customer who was not (or is no longer) there
    users         : int
    share         : float users / everybody in `before`

    Definition: both series are indexed by customer.
    """
    both = pd.concat({"before": before, "after": after}, axis=1).fillna("")
    table = both.groupby(["before", "after"], sort=True).size().rename("users").reset_index()
    return table.assign(share=table.users / table.groupby("before").users.transform("sum"))
