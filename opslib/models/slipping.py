"""Who among the active is about to leave: features of a day, a fit on earlier days, its quality on several later ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.models.churn import ChurnModel, fit_churn
from opslib.models.scoring import pooled
from opslib.text import say

RISKY = 0.5  # a risk from which a user is more likely to leave than to stay
CHUNK = 200_000  # users scored at once: the model's terms take 50 numbers for each
MOST = 40_000  # rows that are fitted; more change nothing but the time
A_DAY = 20_000  # users of a past day that are asked for, about
JUDGED, STEP = 6, 14  # later days on which the model is judged, a whole number of weeks apart
LAGS = (0, 14, 28)  # days that a fit takes together, counted back from the newest whose outcome is known
FEATURES = (
    "tenure_days",
    "days_away",
    "active_7",
    "active_28",
    "active_days",
    "kinds",
    "per_day",
    "social_share",
    "task_share",
    "orders",
)


def days_ago(horizon: int) -> list[int]:
    """All past days that are looked at: those judged, and those that were known by then and are fitted."""
    judged = _judged(horizon)
    return sorted({*judged, *(day for j in judged for day in _fitted(j, horizon))})


def one_in(profiles: pd.DataFrame, *, recent_days: int = 7) -> int:
    """Which part of the users is enough to learn from: every user, or one in so many where there are many."""
    return max(1, int((profiles["days_away"] < recent_days).sum()) // A_DAY)


def _judged(horizon: int) -> list[int]:
    return [horizon + STEP * k for k in range(JUDGED)]


def _fitted(judged: int, horizon: int) -> list[int]:
    """Days whose outcome was known on a day: over by then."""
    return [judged + horizon + lag for lag in LAGS]


def unknown() -> pd.DataFrame:
    """Risks of nobody, for where no model can be fitted."""
    return pd.DataFrame({"risk": pd.Series(dtype=float)})


def features(profiles: pd.DataFrame) -> pd.DataFrame:
    """The model's columns from rows of `metrics.segments.profile`; what does not vary is left to the caller."""
    actions = profiles["actions"].clip(lower=1)
    return profiles.assign(
        per_day=profiles["actions"] / profiles["active_days"].clip(lower=1),
        social_share=profiles["social"] / actions,
        task_share=profiles["tasks"] / actions,
    )[list(FEATURES)].astype(float)


def learn(days: pd.DataFrame, *, horizon: int = 28, seed: int = 0) -> ChurnModel:
    """Fit on the newest days whose outcome is known; judge by what the same would have said on days of the past.

    `days` as `metrics.segments.slipping`: one row per (ago, user_id) with `left`.

    Definition: on each day that is judged the model is fitted anew on what was known on that day, never on what came
    later. A day before which too little was known is not judged.
    Error: `quality` over all judged days; a user may stand on several, which its intervals allow for.
    Source: rolling origin (Tashman 2000).

    Raises
    ------
    TooLittleError  without a day to fit and a later one to judge, or as `models.churn.fit_churn`.
    """
    # A query gives its rows in any order, and the folds are drawn by place: the same data must give the same model.
    days, have = days.sort_values(["ago", "user_id"]), set(days["ago"])
    past = [j for j in _judged(horizon) if j in have]
    judged = [part for j in past if (part := _predicted(days, j, horizon, seed)) is not None]
    if not judged:
        _fit(days, _fitted(horizon, horizon), seed)  # says what a fit lacks, if it is that
        raise _short()
    return replace(_fit(days, _fitted(0, horizon), seed), quality=pooled(judged))


def _short() -> TooLittleError:
    return TooLittleError(
        say(
            zh="流失模型需要在更早与之后两段时期都有活跃用户，历史太短",
            en="a churn model needs users active on an earlier and on a later day; the history is too short",
        )
    )


def _predicted(days: pd.DataFrame, judged: int, horizon: int, seed: int) -> tuple[Any, Any, Any] | None:
    """Who left after a day, what was predicted on it, and who they are; None where too little was known to predict."""
    day = days[days["ago"] == judged]
    try:
        return day["left"], _fit(days, _fitted(judged, horizon), seed).risk(features(day)), day["user_id"]
    except TooLittleError:
        return None


def _fit(days: pd.DataFrame, on: list[int], seed: int) -> ChurnModel:
    past = days[days["ago"].isin(on)]
    if past.empty:
        raise _short()
    past = past.sample(min(MOST, len(past)), random_state=seed)
    x = features(past)
    x = x.loc[:, x.nunique() > 1]
    if x.shape[1] == 0:
        raise TooLittleError(
            say(zh="用户之间没有差别，无法判断谁会离开", en="a churn model needs something in which users differ")
        )
    return fit_churn(x, past["left"], seed=seed)


def scored(model: ChurnModel, profiles: pd.DataFrame, *, recent_days: int = 7, top: int = 2) -> pd.DataFrame:
    """Today's risk of every user active lately, and what raises it most.

    One row per user (index user_id, in its order): risk, and reason_1 … reason_`top` (features; None where nothing raises it).
    """
    recent = profiles[profiles["days_away"] < recent_days].sort_index()
    parts = [_scored(model, recent.iloc[i : i + CHUNK], top) for i in range(0, len(recent), CHUNK)]
    empty = pd.DataFrame(columns=["risk", *_reasons(top)], index=recent.index)
    return pd.concat(parts) if parts else empty


def _reasons(top: int) -> list[str]:
    return [f"reason_{k + 1}" for k in range(top)]


def _scored(model: ChurnModel, profiles: pd.DataFrame, top: int) -> pd.DataFrame:
    x = features(profiles)
    parts = model.parts(x)
    order = np.argsort(-parts, axis=1)[:, :top]
    names = np.array([*model.features, None], dtype=object)
    raising = np.take_along_axis(parts, order, axis=1) > 0
    reasons = names[np.where(raising, order, len(model.features))]
    table = pd.DataFrame(reasons, columns=_reasons(order.shape[1]), index=profiles.index)
    return table.reindex(columns=_reasons(top)).assign(risk=model.risk(x))


def drivers(table: pd.DataFrame, *, at_least: float = RISKY) -> pd.DataFrame:
    """First reasons of those at risk: feature, users, share; most frequent first."""
    risky = table[table["risk"].astype(float) >= at_least]
    counts = risky.groupby("reason_1").size().rename_axis("feature").rename("users").reset_index()
    counts = counts.sort_values("users", ascending=False, kind="stable", ignore_index=True)
    return counts.assign(share=counts["users"] / max(len(risky), 1))


def bands(table: pd.DataFrame, edges: Iterable[float] = (0.0, 0.2, 0.5, 1.0)) -> pd.DataFrame:
    """Users by risk: left, right, users."""
    marks = list(edges)
    counts = np.histogram(table["risk"].astype(float), marks)[0]
    return pd.DataFrame({"left": marks[:-1], "right": marks[1:], "users": counts})
