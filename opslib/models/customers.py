"""RFM segments of all customers: their scores, sizes and value, and who moved."""

from __future__ import annotations

import pandas as pd

from opslib.errors import TooLittleError
from opslib.models.segments import movement, rfm
from opslib.text import say


def unscored(measures: pd.DataFrame) -> pd.DataFrame:
    """Customers without segments, for where there are too few to score."""
    return measures.set_index("user_id").assign(segment=None)


def scored(measures: pd.DataFrame, *, least: int = 25) -> pd.DataFrame:
    """RFM scores and segment of every customer.

    `measures`: user_id, recency, frequency, monetary. Index: user_id, in its order; adds r, f, m, score, segment.

    Raises
    ------
    TooLittleError  with fewer than `least` customers: fifths of a handful are no segments.
    """
    if len(measures) < least:
        raise TooLittleError(
            say(
                zh="RFM 至少需要 {need} 位用户，现有 {n} 位，不硬分",
                en="RFM needs {need} customers, has {n}",
                need=least,
                n=len(measures),
            )
        )
    known = measures.set_index("user_id").sort_index()
    return known.join(rfm(known["recency"], known["frequency"], known["monetary"], index=known.index).scores)


def sizes(now: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Each segment's size and value, and how it changed.

    One row per segment with users, most valuable first: segment, users, share, value (sum), value_share, recency and
    frequency (medians), users_before, stayed (of those before, still in it), left (no customers any more).
    """
    by = now.sort_index().groupby("segment")
    table = by.agg(users=("monetary", "size"), value=("monetary", "sum"), recency=("recency", "median"))
    table["frequency"] = by["frequency"].median()
    both = movement(before["segment"], now["segment"])
    moved = both[both["before"] != ""]
    table = table.assign(
        share=table["users"] / len(now),
        value_share=table["value"] / max(float(table["value"].sum()), 1e-12),
        users_before=moved.groupby("before")["users"].sum(),
        stayed=moved[moved["before"] == moved["after"]].groupby("before")["users"].sum(),
    ).fillna({"users_before": 0, "stayed": 0})
    return (
        table.sort_values("value", ascending=False, kind="stable")
        .reset_index()
        .astype({"users_before": int, "stayed": int})
    )


def ties(measures: pd.DataFrame) -> float:
    """The share of customers who have the most frequent number of orders: so many cannot be told apart by frequency."""
    return float(measures["frequency"].value_counts(normalize=True).iloc[0]) if len(measures) else float("nan")
