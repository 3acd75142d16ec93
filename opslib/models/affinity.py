"""What goes with what: segments and categories that meet more often than chance would have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from opslib.errors import TooLittleError
from opslib.text import say


@dataclass(frozen=True)
class Affinity:
    """A chi-square test of the whole table with Cramér's V (0..1, how strong) and, cell by cell, index (100 = as
    expected), residual and corrected p.
    """

    chi2: float
    df: int
    p: float
    cramer_v: float
    expected: np.ndarray
    adj: np.ndarray
    index: np.ndarray
    p_adjusted: np.ndarray


def affinity(table: Any) -> Affinity:
    """Adjusted residuals of a segments × categories table of independent counts (users, not events).

    Definition: expected = row total × column total / total; index = 100 · observed / expected; the adjusted residual
    (observed − expected) / √(expected (1−row share)(1−column share)) is a standard normal where there is no affinity.
    A high index of a tiny cell is no finding: read the residual. Empty rows and columns have blanks.
    Error: p per cell from the residual, Benjamini-Hochberg over the cells; approximate where an expected count is
    below 5.
    Source: Haberman 1973; Agresti 2007, An Introduction to Categorical Data Analysis, section 2.4.5.

    Raises
    ------
    ValueError      if a count is negative or missing.
    TooLittleError  if fewer than two rows or columns hold anything.
    """
    counts = np.asarray(table, dtype=float)
    if counts.ndim != 2 or not (counts >= 0).all():
        raise ValueError("affinity: needs a table of counts, none negative or missing")
    row, column, total = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    kinds = (int((row > 0).sum()), int((column > 0).sum()))
    if min(kinds) < 2:
        raise TooLittleError(
            say(
                zh="偏好分析至少要 2 个分群和 2 个类别有用户，现有 {rows} 个分群、{columns} 个类别",
                en="affinity needs 2 segments and 2 categories with users, has {rows} and {columns}",
                rows=kinds[0],
                columns=kinds[1],
            )
        )
    df = (kinds[0] - 1) * (kinds[1] - 1)
    expected = np.outer(row, column) / total
    with np.errstate(all="ignore"):
        adj = (counts - expected) / np.sqrt(expected * np.outer(1 - row / total, 1 - column / total))
        terms = (counts - expected) ** 2 / expected
        index = 100 * counts / expected
    chi2 = float(np.nansum(terms))
    v, p = float(np.sqrt(chi2 / total / (min(kinds) - 1))), float(special.chdtrc(df, chi2))
    return Affinity(chi2, df, p, v, expected, adj, index, _benjamini_hochberg(adj))


def _benjamini_hochberg(z: np.ndarray) -> np.ndarray:
    p = 2 * special.ndtr(-np.abs(z.ravel()))
    order = np.argsort(p)  # missing last
    m = int(np.isfinite(p).sum())
    ranked = p[order[:m]] * m / np.arange(1, m + 1)
    adjusted = np.full(p.shape, np.nan)
    adjusted[order[:m]] = np.minimum(np.minimum.accumulate(ranked[::-1])[::-1], 1)
    return adjusted.reshape(z.shape)


def weighted_log_odds(segment: Any, rest: Any, prior_total: float = 100.0) -> np.ndarray:
    """How much more often each category (word, topic) comes up in a segment than in the rest, in standard errors.

    Two lists of counts over the same categories.

    Definition: log odds with a Dirichlet prior of `prior_total` counts spread as the two together, over their standard
    error: rare categories are held back by their own uncertainty. A category that nobody has is 0.
    Source: Monroe, Colaresi & Quinn 2008, Political Analysis 16, 372-403, equations 15, 16, 22.

    Raises
    ------
    ValueError      if lengths differ, a count is negative, or `prior_total` is not positive.
    TooLittleError  if a side has no counts.
    """
    a, b = np.asarray(segment, dtype=float), np.asarray(rest, dtype=float)
    if a.shape != b.shape or not ((a >= 0) & (b >= 0)).all() or not prior_total > 0:
        raise ValueError("weighted_log_odds: two lists of one length, no negative counts, and a positive prior")
    if a.sum() == 0 or b.sum() == 0:
        raise TooLittleError(
            say(
                zh="比较用词要求该分群和其余用户都有记录，现有 {inside:,.0f} 条和 {rest:,.0f} 条",
                en="comparing words needs counts in the segment and in the rest, has {inside:,.0f} and {rest:,.0f}",
                inside=a.sum(),
                rest=b.sum(),
            )
        )
    prior = prior_total * (a + b) / (a + b).sum()
    with np.errstate(all="ignore"):
        odds = [np.log((y + prior) / (y.sum() + prior_total - y - prior)) for y in (a, b)]
        z = (odds[0] - odds[1]) / np.sqrt(1 / (a + prior) + 1 / (b + prior))
    return np.where(a + b > 0, z, 0.0)
