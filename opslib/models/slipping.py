"""Who among the active is about to leave: features of a day, a fit on earlier days, its quality on a later one."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.models.churn import ChurnModel, fit_churn
from opslib.text import say

RISKY = 0.5  # a risk from which a user is more likely to leave than to stay
CHUNK = 200_000  # users scored at once: the model's terms take 50 numbers for each
MOST = 40_000  # rows that are fitted; more change nothing but the time
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
    """The later day on which the model is judged, and five earlier ones, a week apart, on which it is fitted."""
    return [horizon, *(2 * horizon + 7 * k for k in range(5))]


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


def learn(days: pd.DataFrame, *, seed: int = 0) -> ChurnModel:
    """Fit on all days but the last, judge on the last.

    `days` as `metrics.segments.slipping`: one row per (ago, user_id) with `left`.

    Raises
    ------
    TooLittleError  with fewer than two days, or as `models.churn.fit_churn`.
    """
    newest = days["ago"].min() if len(days) else 0
    past, later = days[days["ago"] > newest], days[days["ago"] == newest]
    if past.empty or later.empty:
        raise TooLittleError(
            say(
                zh="流失模型需要在更早与之后两段时期都有活跃用户，历史太短",
                en="a churn model needs users active on an earlier and on a later day; the history is too short",
            )
        )
    # A query gives its rows in any order, and the folds are drawn by place: the same data must give the same model.
    past = past.sort_values(["ago", "user_id"]).sample(min(MOST, len(past)), random_state=seed)
    x = features(past)
    x = x.loc[:, x.nunique() > 1]
    if x.shape[1] == 0:
        raise TooLittleError(
            say(zh="用户之间没有差别，无法判断谁会离开", en="a churn model needs something in which users differ")
        )
    return fit_churn(x, past["left"], features(later), later["left"], seed=seed)


def scored(model: ChurnModel, profiles: pd.DataFrame, *, recent_days: int = 7, top: int = 2) -> pd.DataFrame:
    """Today's risk of every user active lately, and what raises it most.

    One row per user, index as in `profiles`: risk, and reason_1 … reason_`top` (features; None where nothing raises it).
    """
    recent = profiles[profiles["days_away"] < recent_days]
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
    counts = risky["reason_1"].value_counts().rename_axis("feature").rename("users").reset_index()
    return counts.assign(share=counts["users"] / max(len(risky), 1))


def bands(table: pd.DataFrame, edges: Iterable[float] = (0.0, 0.2, 0.5, 1.0)) -> pd.DataFrame:
    """Users by risk: left, right, users."""
    marks = list(edges)
    counts = np.histogram(table["risk"].astype(float), marks)[0]
    return pd.DataFrame({"left": marks[:-1], "right": marks[1:], "users": counts})
