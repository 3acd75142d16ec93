"""How good predicted risks are: ranking, calibration, and what the highest risks bring."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.text import say


@dataclass(frozen=True)
class Quality:
    """How good risks are against what happened.

    `auc` 0.5 is chance; `brier` 0 is perfect; `ap` average precision; `slope` and `intercept` of the calibration (1 and
    0 are right; a slope below 1 is overconfident); `deciles` one row per tenth of the risks (decile, n, predicted,
    observed, low, high, spread: the standard error of `observed` if the risks are right). `n` rows are of `users` users
    on `days` days; `auc_low` and `auc_high` are the interval of `auc`.
    """

    n: int
    events: int
    auc: float
    brier: float
    ap: float
    slope: float
    intercept: float
    deciles: pd.DataFrame
    y: np.ndarray
    p: np.ndarray
    users: int
    auc_low: float
    auc_high: float
    days: int = 1

    def lift(self, share: float = 0.1) -> float:
        """Events among the `share` of users with the highest risks, against the average."""
        return lift(self.y, self.p, share)

    @property
    def worst(self) -> pd.Series:
        """The tenth whose observed share is furthest from the predicted one, with `gap`, their distance."""
        gap = (self.deciles["predicted"] - self.deciles["observed"]).abs()
        return self.deciles.assign(gap=gap).loc[gap.idxmax()]

    def gap_by_chance(self, level: float = 0.95) -> float:
        """The gap that the worst tenth of right risks stays below with this probability: so few users show no less."""
        from scipy.optimize import brentq
        from scipy.special import ndtr

        spread = self.deciles["spread"].to_numpy()
        spread = spread[spread > 0]
        if not len(spread):
            return 0.0
        return float(brentq(lambda x: np.prod(2 * ndtr(x / spread) - 1) - level, 0, 10 * spread.max()))


def lift(y: Any, p: Any, share: float = 0.1) -> float:
    """The event rate among the highest risks over that of all; 1 is chance. The number of users is rounded up; users
    tied at the edge count with their average.

    Raises
    ------
    ValueError  if `share` is not in 0..1, or lengths differ.
    """
    y, p = outcomes(y, p)
    if not 0 < share <= 1:
        raise ValueError(f"lift: share must be above 0 and at most 1, got {share}")
    top = int(np.ceil(share * len(y) - 1e-9))
    edge = np.sort(p)[-top]
    above, tied = p > edge, p == edge
    events = y[above].sum() + y[tied].mean() * (top - above.sum())
    return float(events / top / y.mean()) if y.any() else float("nan")


def outcomes(y: Any, p: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays of one length, the first of 0 and 1."""
    y, p = np.asarray(y, dtype=float), np.asarray(p, dtype=float)
    if y.shape != p.shape or y.ndim != 1 or not np.isin(y, (0, 1)).all() or not np.isfinite(p).all():
        raise ValueError("scoring: one outcome of 0 or 1 and one risk for each user")
    return y, p


def quality(y: Any, p: Any, *, users: Any = None) -> Quality:
    """The quality of risks `p` (probabilities) for outcomes `y` (0 or 1).

    `users` names the user of each row where one user may have several, as on several days: these are not independent.

    Definition: AUC and average precision by ranks, Brier as the mean square error; calibration by a logistic regression
    of y on the log odds of p; deciles by rank of p, ties kept in the order given.
    Error: Wilson intervals of the observed rates, with n divided by the design effect of users' several rows;
    `gap_by_chance` for the worst of the ten together; the AUC's from its influence, summed over each user's rows.
    Source: scikit-learn's definitions; Cox 1958 (calibration slope); Obuchowski 1997 (AUC of clustered data); Kish 1965.

    Raises
    ------
    ValueError      if lengths differ, or an outcome is not 0 or 1.
    TooLittleError  when all outcomes are the same.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    y, p = outcomes(y, p)
    if y.min(initial=1) == y.max(initial=0):
        raise TooLittleError(
            say(
                zh="检验模型要求两种结果的用户都有，{n:,} 名用户的结果全部相同",
                en="judging a model needs users of both outcomes, all {n:,} are alike",
                n=len(y),
            )
        )
    who = np.arange(len(y)) if users is None else pd.factorize(np.asarray(users, dtype=object))[0]
    if len(who) != len(y):
        raise ValueError(f"scoring: {len(who)} users for {len(y)} outcomes")
    intercept, slope = calibration(y, p)
    auc = float(roc_auc_score(y, p))
    half = 1.959964 * _auc_error(y, p, auc, who)
    return Quality(
        len(y),
        int(y.sum()),
        auc,
        float(np.mean((y - p) ** 2)),
        float(average_precision_score(y, p)),
        slope,
        intercept,
        _deciles(y, p, who),
        y,
        p,
        int(who.max()) + 1,
        max(0.0, auc - half),
        min(1.0, auc + half),
    )


def pooled(parts: list[tuple[Any, Any, Any]]) -> Quality:
    """The quality over several days, each as (y, p, users), `p` being what was predicted on that day."""
    y, p, users = (np.concatenate([np.asarray(part[k], dtype=object) for part in parts]) for k in range(3))
    return replace(quality(y.astype(float), p.astype(float), users=users), days=len(parts))


def _auc_error(y: np.ndarray, p: np.ndarray, auc: float, who: np.ndarray) -> float:
    """The standard error of the AUC: each row moves it by how well it is placed among the rows of the other outcome."""
    with_event, without = np.sort(p[y == 1]), np.sort(p[y == 0])

    def below(others: np.ndarray, at: np.ndarray) -> np.ndarray:
        return (np.searchsorted(others, at) + np.searchsorted(others, at, side="right")) / 2 / len(others)

    placed = np.where(
        y == 1, (below(without, p) - auc) / len(with_event), (1 - below(with_event, p) - auc) / len(without)
    )
    return float(np.sqrt((np.bincount(who, weights=placed) ** 2).sum()))


def _logit(p: np.ndarray) -> np.ndarray:
    inside = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside))


def calibration(y: np.ndarray, p: np.ndarray) -> tuple[float, float]:
    """Intercept and slope of outcomes on log odds, by Newton's method; blank where the outcomes separate."""
    design, beta = np.column_stack([np.ones(len(y)), _logit(p)]), np.array([0.0, 1.0])
    for _ in range(50):
        fitted = 1 / (1 + np.exp(-np.clip(design @ beta, -30, 30)))
        slope = design.T @ ((fitted * (1 - fitted))[:, None] * design)
        step = np.linalg.pinv(slope) @ (design.T @ (y - fitted))
        beta = beta + step
        if np.abs(step).max() < 1e-8:
            return float(beta[0]), float(beta[1])
    return float("nan"), float("nan")


def _deciles(y: np.ndarray, p: np.ndarray, who: np.ndarray) -> pd.DataFrame:
    from statsmodels.stats.proportion import proportion_confint

    rank = np.argsort(np.argsort(p, kind="stable"), kind="stable")
    tenth = np.minimum(rank * 10 // len(p), 9) + 1
    rows = pd.DataFrame({"decile": tenth, "p": p, "y": y, "v": p * (1 - p)})
    table = rows.groupby("decile").agg(
        n=("y", "size"), predicted=("p", "mean"), hits=("y", "sum"), observed=("y", "mean"), v=("v", "sum")
    )
    effect = _design_effect(tenth, y - p, who)
    low, high = proportion_confint(table.hits / effect, table.n / effect, method="wilson")
    table = table.assign(low=low, high=high, spread=np.sqrt(table["v"] * effect) / table["n"])
    return table.drop(columns=["hits", "v"]).reset_index()


def _design_effect(tenth: np.ndarray, missed: np.ndarray, who: np.ndarray) -> pd.Series:
    """For each tenth by how much users with several rows in it widen its variance; never below 1."""
    rows = pd.DataFrame({"decile": tenth, "who": who, "e": missed})
    rows["e"] -= rows.groupby("decile")["e"].transform("mean")
    together = (rows.groupby(["decile", "who"])["e"].sum() ** 2).groupby("decile").sum()
    apart = (rows["e"] ** 2).groupby(rows["decile"]).sum()
    return (together / apart.where(apart > 0)).fillna(1.0).clip(lower=1.0)
