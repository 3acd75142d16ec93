"""How long until it happens, when for many it has not happened yet: Kaplan-Meier, log-rank, Cox.

`time` is how long each user was watched, `event` whether it happened at the end of that time; a user still active is
watched until today without an event, not left out and not counted as gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from opslib.errors import TooLittleError
from opslib.text import say


def _watched(time: Any, event: Any) -> tuple[np.ndarray, np.ndarray]:
    t, e = np.asarray(time, dtype=float), np.asarray(event, dtype=float)
    if t.shape != e.shape or t.ndim != 1 or not (t >= 0).all() or not np.isin(e, (0, 1)).all():
        raise ValueError("survival: one time ≥ 0 and one event of 0 or 1 for each user")
    if len(t) == 0:
        raise TooLittleError(say(zh="生存分析至少要 1 名用户，现有 0 名", en="survival needs at least one user, has 0"))
    return t, e.astype(bool)


@dataclass(frozen=True)
class Survival:
    """`table` has one row per time with an event (time, at_risk, events, survival, low, high); `median` is the first
    time at which survival is at most one half, blank when it never is.
    """

    table: pd.DataFrame
    median: float

    def at(self, time: float) -> float:
        """The share still without the event after `time`."""
        past = self.table[self.table.time <= time]
        return float(past.survival.iloc[-1]) if len(past) else 1.0


def kaplan_meier(time: Any, event: Any, *, level: float = 0.95) -> Survival:
    """The share of users without the event after each time.

    Definition: product over event times of 1 − events / at risk; who leaves the watch at an event time still counts as
    at risk there.
    Error: Greenwood's variance on the log(−log) scale, so that the interval stays in 0..1; blank once the curve is 0.
    Source: Kaplan & Meier 1958; Kalbfleisch & Prentice 1980.

    Raises
    ------
    ValueError      if lengths differ, a time is negative or an event is not 0 or 1.
    TooLittleError  without users.
    """
    t, e = _watched(time, event)
    times = np.unique(t[e])
    ordered = np.sort(t)
    at_risk = len(t) - np.searchsorted(ordered, times, side="left")
    events = np.searchsorted(np.sort(t[e]), times, side="right") - np.searchsorted(np.sort(t[e]), times, side="left")
    left = np.cumprod(1 - events / at_risk)
    with np.errstate(all="ignore"):
        spread = np.sqrt(np.cumsum(events / (at_risk * (at_risk - events)))) / np.abs(np.log(left))
        factor = np.exp(special.ndtri((1 + level) / 2) * spread)
        low, high = left**factor, left ** (1 / factor)
    table = pd.DataFrame({"time": times, "at_risk": at_risk, "events": events, "survival": left})
    table = table.assign(low=np.where(left > 0, low, np.nan), high=np.where(left > 0, high, np.nan))
    half = times[left <= 0.5 + 1e-12]
    return Survival(table, float(half[0]) if len(half) else float("nan"))


@dataclass(frozen=True)
class LogRank:
    """A test that two or more groups have the same survival."""

    chi2: float
    df: int
    p: float


def log_rank(time: Any, event: Any, group: Any) -> LogRank:
    """Compare whole survival curves; most able to see hazards that differ by a constant factor.

    Source: Mantel 1966; Peto & Peto 1972; statsmodels `survdiff`.

    Raises
    ------
    ValueError      as `kaplan_meier`.
    TooLittleError  with fewer than two groups, or without any event.
    """
    from statsmodels.duration.survfunc import survdiff

    t, e = _watched(time, event)
    names, codes = np.unique(np.asarray(group), return_inverse=True)
    if len(names) < 2 or not e.any():
        raise TooLittleError(
            say(
                zh="比较各组的流失快慢至少要 2 组且有人流失，现有 {groups} 组、{events} 人流失",
                en="comparing survival (log-rank) needs two groups and an event, has {groups} groups and {events} events",
                groups=len(names),
                events=int(e.sum()),
            )
        )
    chi2, p = survdiff(t, e.astype(int), codes)
    return LogRank(float(chi2), len(names) - 1, float(p))


@dataclass(frozen=True)
class Cox:
    """`table` has one row per feature (feature, coefficient, hazard_ratio, low, high, p); `concordance` is the share of
    comparable pairs in which the user with the higher risk had the event first (0.5 is chance).
    """

    table: pd.DataFrame
    concordance: float
    log_likelihood: float

    def risk(self, features: pd.DataFrame) -> np.ndarray:
        """Relative hazard of users, on the log scale."""
        return features[list(self.table.feature)].to_numpy(float) @ self.table.coefficient.to_numpy()


def cox(features: pd.DataFrame, time: Any, event: Any, *, level: float = 0.95) -> Cox:
    """What goes with an earlier event: proportional hazards.

    One row per user in `features` (numbers known at the start of the watch).

    Definition: Efron's treatment of ties; hazard ratios are per unit of the feature, association and no cause.
    Error: Wald intervals.
    Source: Cox 1972; Efron 1977; Harrell et al. 1982 (concordance; tied risks count one half).

    Raises
    ------
    ValueError      if lengths differ or a value is missing.
    TooLittleError  with fewer events than features plus one, or a feature that does not vary.
    """
    from statsmodels.duration.hazard_regression import PHReg

    t, e = _watched(time, event)
    x = features.to_numpy(dtype=float)
    if len(x) != len(t) or not np.isfinite(x).all():
        raise ValueError(f"cox: {len(x)} rows of features for {len(t)} users, and no missing value")
    if e.sum() <= x.shape[1]:
        raise TooLittleError(
            say(
                zh="Cox 模型有 {features} 个特征，流失人数要多于特征数，现有 {events} 人",
                en="a Cox model of {features} features needs more events than that, has {events}",
                features=x.shape[1],
                events=int(e.sum()),
            )
        )
    flat = np.flatnonzero(x.std(axis=0) == 0)
    if len(flat):
        raise TooLittleError(
            say(
                zh="特征「{name}」在所有用户上都一样，Cox 模型无法使用",
                en="the feature “{name}” does not vary: a Cox model cannot use it",
                name=str(features.columns[flat[0]]),
            )
        )
    fit = PHReg(t, x, status=e.astype(int), ties="efron").fit(disp=0)
    half = special.ndtri((1 + level) / 2) * fit.bse
    table = pd.DataFrame({"feature": features.columns.astype(str), "coefficient": fit.params})
    table["hazard_ratio"], table["low"], table["high"] = (np.exp(fit.params + s) for s in (0, -half, half))
    table["p"] = fit.pvalues
    return Cox(table, concordance(t, e, x @ fit.params), float(fit.llf))


def concordance(time: Any, event: Any, risk: Any) -> float:
    """Harrell's C: of pairs whose order of events is known, the share with the higher risk first; ties count half.

    Blank when no pair can be compared. Two events at one time are not compared; an event and someone who left the
    watch at that very time are.
    """
    t, e = _watched(time, event)
    score = np.asarray(risk, dtype=float)
    right, pairs = 0.0, 0
    for i in np.flatnonzero(e):
        later = (t > t[i]) | ((t == t[i]) & ~e)
        right += (score[later] < score[i]).sum() + 0.5 * (score[later] == score[i]).sum()
        pairs += int(later.sum())
    return float(right / pairs) if pairs else float("nan")
