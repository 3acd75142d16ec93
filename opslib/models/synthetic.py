"""Synthetic control: one treated region against the mix of others that was most like it before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize

from opslib.errors import TooLittleError, near
from opslib.text import say

_HARD = 1e4  # how much a weight sum other than 1 costs, against data scaled to 1


@dataclass(frozen=True)
class SyntheticControl:
    """The mix, what it says would have happened, and how the treated stands among placebo runs on the donors.

    `effect` is the mean gap after the start. `p` is the rank of its post / pre error ratio among all units: with J
    donors it cannot fall below 1 / (J + 1).
    """

    weights: pd.Series
    predictor_weights: pd.Series | None
    counterfactual: pd.Series
    gap: pd.Series
    effect: float
    relative: float
    rmspe_before: float
    ratio: float
    p: float
    placebos: pd.DataFrame


def synthetic_control(
    outcomes: pd.DataFrame,
    treated: str,
    start: Any,
    *,
    predictors: pd.DataFrame | None = None,
    fit_from: Any = None,
    placebos: bool = True,
) -> SyntheticControl:
    """What the treated unit would have done after `start`, as a convex mix of the others.

    `outcomes` has a row per period (sorted) and a column per unit; donors must not be touched by the campaign.
    `predictors` (a row per predictor, a column per unit), if given, are what the mix must match; without them it
    matches the outcomes from `fit_from` (default: the first period) up to `start`.

    Definition: weights >= 0 that sum to 1 minimise the squared distance. With predictors, each is divided by its spread
    over units and weighted; the predictor weights are those whose mix follows the earlier outcomes best, searched from
    equal and from regression weights as R's Synth does.
    Error: placebo runs: every donor is treated in turn, the same way. Predictor weights are fragile: leaving out one
    donor may change the mix, so show it.
    Source: Abadie, Gardeazabal (2003) AER 93:113; Abadie, Diamond, Hainmueller (2010) JASA 105:493.

    Raises
    ------
    ValueError      if the treated unit is no column.
    TooLittleError  if there are fewer than two donors, or fewer than two periods before or none after the start.
    """
    if treated not in outcomes:
        raise ValueError(f"synthetic control: no unit {treated!r}; {near(treated, map(str, outcomes.columns))}")
    table = outcomes.dropna(axis=1)
    before = table.index < start
    fitted = before if fit_from is None else before & (table.index >= fit_from)
    if table.shape[1] < 3 or fitted.sum() < 2 or before.all():
        raise TooLittleError(
            say(
                zh="合成对照至少要 2 个对照对象、活动前 2 期和活动后 1 期；现有 {donors} 个对照对象、活动前 {before} 期",
                en="a synthetic control needs two donors, two periods before the start and one after; has {donors} donors and {before} periods before",
                donors=table.shape[1] - 1,
                before=int(fitted.sum()),
            )
        )
    if treated not in table:
        raise TooLittleError(
            say(
                zh="合成对照的目标「{name}」有缺数据的时期",
                en="the unit “{name}” of the synthetic control has periods without an outcome",
                name=str(treated),
            )
        )
    found = _mix(table, treated, fitted, before, predictors)
    others = [d for d in table.columns if d != treated] if placebos else []
    rows = [_placebo(_mix(table[others], d, fitted, before, predictors), d) for d in others if len(others) > 2]
    tried = pd.DataFrame(rows, columns=["unit", "effect", "rmspe_before", "ratio"])
    p = float((1 + (tried.ratio >= found["ratio"]).sum()) / (1 + len(tried))) if len(tried) else np.nan
    return SyntheticControl(**found, p=p, placebos=tried)


def _placebo(found: dict[str, Any], unit: str) -> tuple[Any, ...]:
    return unit, found["effect"], found["rmspe_before"], found["ratio"]


def _mix(
    table: pd.DataFrame, treated: str, fitted: np.ndarray, before: np.ndarray, predictors: pd.DataFrame | None
) -> dict[str, Any]:
    donors = table.columns.drop(treated)
    target, pool = table.loc[fitted, treated].to_numpy(), table.loc[fitted, donors].to_numpy()
    chosen = None
    if predictors is None:
        weights = _simplex(pool, target)
    else:
        chosen, weights = _predictor_weighted(predictors, treated, donors, target, pool)
    fit = pd.Series(table[donors].to_numpy() @ weights, table.index)
    gap = table[treated] - fit
    early, late = (float(np.sqrt(np.square(gap[m]).mean())) for m in (before, ~before))
    effect = float(gap[~before].mean())
    return {
        "weights": pd.Series(weights, donors),
        "predictor_weights": chosen,
        "counterfactual": fit,
        "gap": gap,
        "effect": effect,
        "relative": effect / float(fit[~before].mean()),
        "rmspe_before": early,
        "ratio": late / early if early > 0 else np.inf,
    }


def _simplex(pool: np.ndarray, target: np.ndarray) -> np.ndarray:
    """argmin |target − pool w|² over w >= 0, Σ w = 1; the sum is a row that counts for very much."""
    scale = np.abs(pool).max() or 1.0
    rows = np.vstack([pool / scale, np.full(pool.shape[1], _HARD)])
    weights = optimize.nnls(rows, np.append(target / scale, _HARD))[0]
    return weights / weights.sum()


def _predictor_weighted(
    predictors: pd.DataFrame, treated: str, donors: pd.Index, target: np.ndarray, pool: np.ndarray
) -> tuple[pd.Series, np.ndarray]:
    used = predictors[[treated, *donors]]
    spread = used.std(axis=1, ddof=1)
    if used.isna().any(axis=None) or not (spread > 0).all():
        raise TooLittleError(
            say(
                zh="合成对照的预测变量有缺失，或在所有对象上都一样",
                en="a predictor of the synthetic control is missing for a unit, or the same for all",
            )
        )
    scaled = used.div(spread, axis=0)
    own, theirs = scaled[treated].to_numpy(), scaled[donors].to_numpy()

    def mix(v: np.ndarray) -> np.ndarray:
        root = np.sqrt(np.abs(v) / np.abs(v).sum())
        return _simplex(theirs * root[:, None], own * root)

    def loss(v: np.ndarray) -> float:
        return float(np.square(target - pool @ mix(v)).mean())

    both = np.column_stack([np.ones(len(donors) + 1), scaled.to_numpy().T])
    slopes = np.linalg.lstsq(both, np.vstack([target, pool.T]), rcond=None)[0][1:]
    starts = [np.full(own.size, 1 / own.size), np.square(slopes).sum(axis=1)]
    options = {"maxiter": 10_000, "maxfev": 20_000}

    def search(start: np.ndarray) -> Any:
        """Nelder-Mead, begun anew where it ended until that finds no better: it stops early in so many dimensions."""
        found = optimize.minimize(loss, start / start.sum(), method="Nelder-Mead", options=options)
        for _ in range(5):
            v = np.abs(found.x)
            again = optimize.minimize(loss, v / v.sum(), method="Nelder-Mead", options=options)
            better, found = again.fun < found.fun * (1 - 1e-6), min(found, again, key=lambda t: t.fun)
            if not better:
                break
        return found

    best = np.abs(min(map(search, starts), key=lambda t: t.fun).x)
    return pd.Series(best / best.sum(), predictors.index), mix(best)
