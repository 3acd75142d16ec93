"""Whom a campaign moves: scores of the difference that treatment makes, and curves that judge the scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from opslib.errors import TooLittleError
from opslib.text import say


@dataclass(frozen=True)
class UpliftCurve:
    """Gain when the users with the highest scores are targeted first; `targeted` counts users, from 0 to all of them.

    `qini` is in extra responses among the treated, `uplift` in extra responses among all targeted.
    """

    targeted: np.ndarray
    qini: np.ndarray
    uplift: np.ndarray


def uplift_curve(y: ArrayLike, treatment: ArrayLike, score: ArrayLike) -> UpliftCurve:
    """Qini and uplift curves of a score, on users whose treatment was random.

    Definition: with Y and N counted in the treated (T) and control (C) among the k users with the highest scores,
    Qini is Y_T − Y_C N_T / N_C and uplift (Y_T / N_T − Y_C / N_C) k; an empty group counts as no response. Users of
    equal score enter together, so that ties cannot be ordered in one's favour.
    Source: Radcliffe (2007), Using control groups to target on predicted lift; as scikit-uplift.

    Raises
    ------
    ValueError      if lengths differ, or treatment is not 0 / 1.
    TooLittleError  if a group is empty.
    """
    y, t, s = _checked(y, treatment, score)
    order = np.argsort(-s, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(s[order])), s.size - 1)  # last user of each score
    y_t, n_t, y_c, n_c = (np.append(0.0, v[order].cumsum()[ends]) for v in (y * t, t, y * (1 - t), 1 - t))
    mean_t, mean_c = (np.divide(a, b, out=np.zeros_like(a), where=b > 0) for a, b in ((y_t, n_t), (y_c, n_c)))
    targeted = np.append(0, ends + 1)
    return UpliftCurve(targeted, y_t - mean_c * n_t, (mean_t - mean_c) * targeted)


@dataclass(frozen=True)
class UpliftScore:
    """Areas between a score's curves and random targeting, per user, and as shares of the best possible."""

    qini: float
    auuc: float
    qini_coefficient: float
    auuc_coefficient: float


def uplift_score(y: ArrayLike, treatment: ArrayLike, score: ArrayLike) -> UpliftScore:
    """How much better than at random a score finds the users whom the treatment moves; 0 is random.

    Definition: area between curve and the straight line to its end, over all users; coefficients divide by that area
    of the best curve there is (treated responders first, control responders last), as scikit-uplift does. Other
    tools normalise otherwise: compare scores on the same users only.
    """
    y, t, s = _checked(y, treatment, score)
    curve = uplift_curve(y, t, s)
    best = uplift_curve(y, t, y * t - y * (1 - t))
    crossing = ((y == 1) & (t == 0)).sum() > ((y == 0) & (t == 1)).sum()
    ideal = uplift_curve(y, t, 2 * (y == t) + (y if crossing else t))
    qini, top_qini = (_area(c.targeted, c.qini) for c in (curve, best))
    auuc, top_auuc = (_area(c.targeted, c.uplift) for c in (curve, ideal))
    return UpliftScore(
        qini / y.size,
        auuc / y.size,
        qini / top_qini if top_qini else np.nan,
        auuc / top_auuc if top_auuc else np.nan,
    )


def uplift_at(
    y: ArrayLike, treatment: ArrayLike, score: ArrayLike, *, share: float = 0.3, by_group: bool = False
) -> float:
    """Difference of mean response between treated and control among the `share` of users with the highest scores.

    `by_group` takes the share of each group on its own instead of that of all users. Users tied at the edge share the
    places that are left, each counted in part. NaN when one group has nobody there.
    """
    y, t, s = _checked(y, treatment, score)
    if by_group:
        weight = np.zeros(s.size)
        for group in (0, 1):
            weight[t == group] = _top(s[t == group], share)
    else:
        weight = _top(s, share)
    (y_t, n_t), (y_c, n_c) = (((weight * y)[t == g].sum(), weight[t == g].sum()) for g in (1, 0))
    return float(y_t / n_t - y_c / n_c) if n_t and n_c else np.nan


def _top(score: np.ndarray, share: float) -> np.ndarray:
    """How much each user counts among the `share` with the highest scores."""
    places = int(score.size * share)
    if not places:
        return np.zeros(score.size)
    edge = np.sort(score)[-places]
    above, tied = score > edge, score == edge
    return above + tied * (places - above.sum()) / tied.sum()


def t_learner(
    features: ArrayLike, treatment: ArrayLike, y: ArrayLike, *, model: Any = None, folds: int = 5, seed: int = 0
) -> np.ndarray:
    """Each user's predicted uplift from two models, one of the treated and one of the control, fitted on other users.

    Definition: `model` (default: gradient boosting) is fitted per group on all folds but the user's own; the score
    is the difference of the two predictions. Scores of users that the models have seen would flatter every curve.
    Source: Künzel, Sekhon, Bickel, Yu (2019) PNAS 116:4156. Library: scikit-learn.

    Raises
    ------
    TooLittleError  if a group has fewer than `folds` users, or no response differs within it.
    """
    from sklearn.base import clone
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.model_selection import StratifiedKFold
    from threadpoolctl import threadpool_limits

    x = np.asarray(features, float).reshape(np.size(y), -1)
    y, t, _ = _checked(y, treatment, np.zeros(np.size(y)))
    binary = set(np.unique(y)) <= {0.0, 1.0}
    if min((t == 1).sum(), (t == 0).sum()) < folds or any(np.ptp(y[t == g]) == 0 for g in (0, 1)):
        raise TooLittleError(
            say(
                zh="增益模型要求每组至少 {least} 名用户，且有人响应、也有人未响应；现有实验组 {treated} 名、对照组 {control} 名",
                en="an uplift model needs {least} users and both responses in each group; has {treated} treated and {control} in control",
                least=folds,
                treated=int((t == 1).sum()),
                control=int((t == 0).sum()),
            )
        )
    if model is None:
        kind = HistGradientBoostingClassifier if binary else HistGradientBoostingRegressor
        model = kind(max_iter=100, learning_rate=0.05, max_leaf_nodes=8, min_samples_leaf=50, random_state=seed)

    def guess(use: np.ndarray, who: np.ndarray) -> np.ndarray:
        fitted = clone(model).fit(x[use], y[use])
        return fitted.predict_proba(x[who])[:, -1] if hasattr(fitted, "predict_proba") else fitted.predict(x[who])

    score = np.empty(y.size)
    split = StratifiedKFold(folds, shuffle=True, random_state=seed).split(x, t * 2 + (y > 0))
    with threadpool_limits(1):  # small trees lose more by waiting for each other than they win
        for train, test in split:
            score[test] = guess(train[t[train] == 1], test) - guess(train[t[train] == 0], test)
    return score


def _checked(y: ArrayLike, treatment: ArrayLike, score: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y, t, s = (np.asarray(v, float) for v in (y, treatment, score))
    if not y.shape == t.shape == s.shape or not np.isin(t, (0, 1)).all():
        raise ValueError("uplift: needs one response, one treatment (0 or 1) and one score per user")
    if not 0 < t.sum() < t.size:
        raise TooLittleError(
            say(
                zh="增益模型要求实验组和对照组都有用户；{n:,} 名用户中 {treated:,} 名在实验组",
                en="an uplift model needs treated and control users; {treated:,} of {n:,} are treated",
                treated=int(t.sum()),
                n=t.size,
            )
        )
    return y, t, s


def _area(x: np.ndarray, curve: np.ndarray) -> float:
    return float(np.trapezoid(curve - curve[-1] * x / x[-1], x))
