"""Scoring a detector on labelled windows, and the simple detectors to beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

MOST_PROBATION = 750  # rows, 15 % of NAB's 5,000


@dataclass(frozen=True)
class NabScore:
    """`score`: 0 for never an alarm, 100 for one at the start of every window and nowhere else; it can be negative."""

    score: float
    windows: int
    hit: int
    alerts: int
    outside: int


def nab_score(
    alerts: Any,
    windows: Sequence[tuple[int, int]],
    *,
    false_alarm: float = 0.11,
    miss: float = 1.0,
    probation: float = 0.15,
) -> NabScore:
    """How well alarms meet labelled windows: early is better, far from any window is worse.

    `alerts` has one boolean per row of the series; `windows` are (first, last) positions, both inside.

    Definition: a window counts once, by its best alarm, 2 / (1 + e^{5x}) − 1 with x from −1 at its first row towards 0
    at its end (scaled to 1 at the start); a missed one costs `miss`. An alarm outside costs `false_alarm` times the
    same curve of its distance past the last window in window widths, all of it from 3 widths on or before the first
    window. The first 15 % of the rows are for learning and not counted, nor windows that lie wholly in them.
    Source: Lavin & Ahmad 2015, ICMLA, arXiv 1510.03336 (standard profile).

    Raises
    ------
    ValueError  if a window is outside the series, or windows overlap.
    """
    alarm = np.asarray(alerts, dtype=bool)
    learning = int(min(probation * len(alarm), MOST_PROBATION))
    spans = sorted((int(a), int(b)) for a, b in windows)
    edges = [e for span in spans for e in span]
    if edges != sorted(edges) or (edges and not 0 <= edges[0] <= edges[-1] < len(alarm)):
        raise ValueError(f"nab_score: windows must lie in 0..{len(alarm) - 1} and not overlap, got {spans}")
    counted = [s for s in spans if s[1] >= learning]
    at = np.flatnonzero(alarm)
    at = at[at >= learning]
    worth, inside = 0.0, np.zeros(len(at), dtype=bool)
    for first, last in counted:
        within = (at >= first) & (at <= last)
        inside |= within
        early = _curve(-(last - at[within] + 1) / (last - first + 1)) / _curve(np.array([-1.0]))
        worth += early.max() if within.any() else -miss
    for position in at[~inside]:
        before = [s for s in spans if s[1] < position]
        far = (position - before[-1][1]) / max(before[-1][1] - before[-1][0], 1) if before else 3.0
        worth += false_alarm * float(_curve(np.array([far]))[0])
    hit = sum(bool(((at >= a) & (at <= b)).any()) for a, b in counted)
    span = len(counted) * (1 + miss)
    score = 100 * (worth + miss * len(counted)) / span if span else float("nan")
    return NabScore(float(score), len(counted), hit, len(at), int((~inside).sum()))


def _curve(x: np.ndarray) -> np.ndarray:
    return np.where(x >= 3, -1.0, 2 / (1 + np.exp(5 * np.minimum(x, 3))) - 1)


def global_z(values: Any) -> np.ndarray:
    """Distance from the mean of the whole series in its standard deviations: the detector that is written first.

    0 everywhere in a series that does not vary.
    """
    x = np.asarray(values, dtype=float)
    known = x[np.isfinite(x)]
    sd = known.std(ddof=1) if len(known) > 1 else 0.0
    return (x - known.mean()) / sd if sd > 0 else x * 0


def rolling_z(values: Any, window: int = 28) -> np.ndarray:
    """Distance from the mean of the `window` rows before, in their standard deviations; the first rows are blank."""
    x = pd.Series(np.asarray(values, dtype=float))
    past = x.shift().rolling(window)
    return ((x - past.mean()) / past.std()).to_numpy()


def forest_alerts(values: Any, share: float = 0.05, *, weekly: bool = True, seed: int = 0) -> np.ndarray:
    """The `share` of rows that scikit-learn's isolation forest isolates fastest, by value, change and weekday."""
    from sklearn.ensemble import IsolationForest

    x = np.asarray(values, dtype=float)
    features = [x, np.diff(x, prepend=x[:1])] + ([np.arange(len(x)) % 7] if weekly else [])
    return IsolationForest(contamination=share, random_state=seed).fit_predict(np.column_stack(features)) == -1


def quieted(alerts: Any, rows: int) -> np.ndarray:
    """Alarms as people receive them: after one, silence for `rows` rows (itself included)."""
    alarm = np.asarray(alerts, dtype=bool)
    kept, free_from = np.zeros_like(alarm), 0
    for i in np.flatnonzero(alarm).tolist():
        if i >= free_from:
            kept[i], free_from = True, i + rows
    return kept
