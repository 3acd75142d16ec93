"""Who is slipping away: a calibrated additive logistic model, judged on a later period, with reasons per user."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.models.scoring import Quality, calibration, quality
from opslib.text import say

LEAST = 30  # users of either outcome


@dataclass(frozen=True)
class ChurnModel:
    """`risk` of users and `reasons` for each; `quality` on the later period (None without one).

    `effects` has one row per feature, strongest first: feature, strength (standard deviation of its part of the log
    odds over the users fitted) and direction (rank correlation of the feature with that part: +1 raises, −1 lowers).
    """

    features: list[str]
    effects: pd.DataFrame
    quality: Quality | None
    pipeline: Any
    centers: np.ndarray  # each feature's mean part
    recalibration: tuple[float, float]  # intercept and slope of the log odds

    def risk(self, users: pd.DataFrame) -> np.ndarray:
        """The chance that each user leaves."""
        intercept, slope = self.recalibration
        odds = intercept + slope * self.pipeline.decision_function(users[self.features].astype(float))
        return 1 / (1 + np.exp(-odds))

    def parts(self, users: pd.DataFrame) -> np.ndarray:
        """What each feature adds to a user's log odds (users × features), compared with the average user."""
        return (_parts(self.pipeline, users[self.features].astype(float)) - self.centers) * self.recalibration[1]

    def reasons(self, users: pd.DataFrame, top: int = 3) -> pd.DataFrame:
        """What raises each user's risk most.

        One row per (user, reason), strongest first; only what raises the risk.

        Columns
        -------
        user    : object  index of `users`
        feature : str
        value   : object  the user's own
        effect  : float   added log odds, compared with the average user
        """
        parts = self.parts(users)
        order = np.argsort(-parts, axis=1)[:, :top]
        row, column = np.repeat(np.arange(len(users)), order.shape[1]), order.ravel()
        columns = {
            "user": users.index.to_numpy()[row],
            "feature": np.array(self.features)[column],
            "value": users[self.features].to_numpy(dtype=object)[row, column],
            "effect": parts[row, column],
        }
        table = pd.DataFrame(columns)
        return table[table.effect > 0].reset_index(drop=True)


def fit_churn(
    past: pd.DataFrame,
    left: Any,
    later: pd.DataFrame | None = None,
    left_later: Any = None,
    *,
    knots: int = 4,
    seed: int = 0,
) -> ChurnModel:
    """Fit on an earlier period, judge on a later one.

    One row per user who was active on the day of the prediction; features (numbers) known on that day only; `left` is
    1 for those who then left. `later` and `left_later` are the same for a later day.

    Definition: logistic regression on a smooth curve of each feature (cubic spline, `knots` over its quantiles) with
    a light ridge and no class weights; the log odds are then stretched to be right for users the fit has not seen
    (5-fold). Missing values become the median. Effects are associations, not causes.
    Error: `quality` on the later period: AUC, Brier, calibration by decile, lift. A random split would let the future
    leak into the past and look better than it is.
    Source: Hastie & Tibshirani 1990 (additive models); Platt 1999; Steyerberg 2019 (validation in time).

    Raises
    ------
    ValueError      if columns or lengths differ, or an outcome is not 0 or 1.
    TooLittleError  with fewer than 30 users of either outcome in the earlier period, or one outcome only in the later.
    """
    y, x = np.asarray(left, dtype=float), past.astype(float)
    if len(y) != len(x) or not np.isin(y, (0, 1)).all():
        raise ValueError(f"fit_churn: {len(y)} outcomes of 0 or 1 for {len(x)} users")
    if min(y.sum(), len(y) - y.sum()) < LEAST:
        raise TooLittleError(
            say(
                zh="流失模型要求流失和留下的用户各满 {least} 人；{n:,} 人中流失 {gone:,.0f} 人",
                en="a churn model needs {least} who left and {least} who stayed: {gone:,.0f} of {n:,} left",
                least=LEAST,
                gone=y.sum(),
                n=len(y),
            )
        )
    if later is not None and (missing := [c for c in past.columns if c not in later.columns]):
        raise ValueError(f"fit_churn: the later period has no feature {missing[0]!r}")
    pipeline = _pipeline(knots).fit(x, y)
    parts = _parts(pipeline, x)
    effects = _effects(x, parts)
    stretch = _recalibration(x, y, knots, seed)
    model = ChurnModel(list(past.columns), effects, None, pipeline, parts.mean(axis=0), stretch)
    return model if later is None else replace(model, quality=quality(left_later, model.risk(later)))


def _pipeline(knots: int) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import QuantileTransformer, SplineTransformer

    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        QuantileTransformer(n_quantiles=200, subsample=100_000),
        SplineTransformer(n_knots=knots, degree=3, include_bias=False, knots="uniform"),
        LogisticRegression(C=10.0, max_iter=2000),
    )


def _parts(pipeline: Any, x: pd.DataFrame) -> np.ndarray:
    """Users × features: the spline terms of a feature, summed."""
    terms = pipeline[:-1].transform(x) * pipeline[-1].coef_[0]
    return terms.reshape(len(x), x.shape[1], -1).sum(axis=2)


def _effects(x: pd.DataFrame, parts: np.ndarray) -> pd.DataFrame:
    direction = [
        x[c].corr(pd.Series(part, index=x.index), method="spearman") for c, part in zip(x, parts.T, strict=True)
    ]
    table = pd.DataFrame({"feature": list(x.columns), "strength": parts.std(axis=0), "direction": direction})
    return table.sort_values("strength", ascending=False, kind="stable", ignore_index=True)


def _recalibration(x: pd.DataFrame, y: np.ndarray, knots: int, seed: int) -> tuple[float, float]:
    """Intercept and slope that make the log odds right for users outside the fit."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    odds = cross_val_predict(_pipeline(knots), x, y, cv=folds, method="decision_function")
    intercept, slope = calibration(y, 1 / (1 + np.exp(-odds)))
    return (intercept, slope) if np.isfinite(slope) and slope > 0 else (0.0, 1.0)
