"""Who gets the credit for a conversion: rules by place and age, beside Markov removal effects and Shapley values.

All of them share out what was observed; none of them shows what a channel caused. Only a test in which the channel was
withheld, or its spend varied on purpose, can show that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from opslib.errors import near
from opslib.models.markov import markov
from opslib.models.paths import SEPARATOR, Credit, Paths, Table, amounts, credited, distinct, encoded
from opslib.models.shapley import shapley

# Shares of the first touch, of all touches between, and of the last.
SHAPES = {"u": (40.0, 20.0, 40.0), "j": (20.0, 20.0, 60.0), "inverse_j": (60.0, 20.0, 20.0)}
RULES = ("first", "last", "last_non_direct", "linear", "time_decay", *SHAPES, "custom", "participation")


def position_weights(
    n: int, model: str = "u", *, weights: Sequence[float] | None = None, two_touch: str = "split_middle"
) -> np.ndarray:
    """Shares of n touches, first to last; they sum to 1.

    Definition: `u` gives 40 / 20 / 40 to the first, all the middle ones together (evenly) and the last, `j` 20 / 20 /
    60, `inverse_j` 60 / 20 / 20, `custom` the three `weights`; `first`, `last` and `linear` speak for themselves. One
    touch has everything. Two touches have no middle: `split_middle` (ours, Amplitude) halves its share between them,
    so J is 30 / 70; `renormalise` (Mixpanel) scales the ends up, so J is 25 / 75.

    >>> position_weights(4, "u").tolist()
    [0.4, 0.1, 0.1, 0.4]

    Raises
    ------
    ValueError  if the model is unknown, or the weights are not three numbers >= 0 with a sum > 0.
    """
    place, size = np.arange(n), np.full(n, n)
    if model in ("first", "last"):
        return (place == (0 if model == "first" else n - 1)).astype(float)
    if model == "linear":
        return np.full(n, 1 / n)
    return _shape(place, size, _ends(model, weights), two_touch)


def decay_weights(days_before: ArrayLike, *, half_life_days: float = 7.0) -> np.ndarray:
    """Shares of the touches of one path by age: a touch one half-life older weighs half as much.

    >>> decay_weights([14, 7, 0]).round(4).tolist()
    [0.1429, 0.2857, 0.5714]
    """
    age = np.asarray(days_before, float)
    weight = np.exp2(-(age - age.min()) / half_life_days)
    return weight / weight.sum()


def rule_credit(
    paths: Table,
    amount: ArrayLike | None = None,
    *,
    model: str = "linear",
    weights: Sequence[float] | None = None,
    two_touch: str = "split_middle",
    ages: Iterable[Sequence[float]] | None = None,
    half_life_days: float = 7.0,
    direct: str = "direct",
    separator: str = SEPARATOR,
) -> Credit:
    """Conversions (or value) by channel under a rule, from a table of paths.

    `amount` is each path's conversions or value (1 each when not given). Models: see `position_weights`, and
    `last_non_direct` (the last touch that is not `direct`; the direct one when there is no other), `time_decay` (`ages`
    are each path's touch ages in days before the conversion), `participation` (everything to every channel of it).

    Definition: a channel that is touched twice counts twice; linear is per touch, not per distinct channel.
    Error: none from sampling; the spread over models is the honest uncertainty (`compared`).

    Raises
    ------
    ValueError  if the model is unknown, or time decay has no age for every touch.
    """
    table = encoded(paths, separator=separator)
    total = amounts(amount, table, "amount")
    if model == "time_decay":
        share = _decayed(table, ages, half_life_days)
    else:
        share = _shares(table, model, weights, two_touch, direct)
    return credited(table, share, total)


def _shares(table: Paths, model: str, weights: Sequence[float] | None, two_touch: str, direct: str) -> np.ndarray:
    if model == "first":
        return (table.place == 0).astype(float)
    if model == "last":
        return table.last.astype(float)
    if model == "last_non_direct":
        return _last_of(table, table.channels[table.channel] != direct)
    if model == "linear":
        return 1.0 / table.size
    if model == "participation":
        share = np.zeros(table.row.size)
        share[distinct(table)] = 1.0
        return share
    return _shape(table.place, table.size, _ends(model, weights), two_touch)


def _last_of(table: Paths, wanted: np.ndarray) -> np.ndarray:
    """1 for the last wanted touch of each path; for its last touch when none is wanted."""
    best = np.full(table.length.size, -1)
    np.maximum.at(best, table.row, np.where(wanted, table.place, -1))
    best = np.where(best < 0, table.length - 1, best)
    return (table.place == best[table.row]).astype(float)


def _ends(model: str, weights: Sequence[float] | None) -> np.ndarray:
    if model != "custom" and model not in SHAPES:
        raise ValueError(f"attribution: no model {model!r}; {near(model, RULES)}".rstrip("; "))
    shares = np.asarray(weights if model == "custom" else SHAPES[model], float)
    if shares.shape != (3,) or (shares < 0).any() or not shares.sum():
        raise ValueError(f"attribution: weights are three numbers >= 0 (first, middle, last), got {weights}")
    return shares / shares.sum()


def _shape(place: np.ndarray, size: np.ndarray, ends: np.ndarray, two_touch: str) -> np.ndarray:
    if two_touch not in ("split_middle", "renormalise"):
        raise ValueError(f"attribution: two_touch must be split_middle or renormalise, got {two_touch!r}")
    first, middle, last = ends
    share = np.where(place == 0, first, np.where(place == size - 1, last, middle / np.maximum(size - 2, 1)))
    if two_touch == "split_middle" or not first + last:
        pair = np.array([first + middle / 2, last + middle / 2])
    else:
        pair = np.array([first, last]) / (first + last)
    return np.where(size == 1, 1.0, np.where(size == 2, pair[np.minimum(place, 1)], share))


def _decayed(table: Paths, ages: Iterable[Sequence[float]] | None, half_life_days: float) -> np.ndarray:
    age = np.array([a for path in ([] if ages is None else ages) for a in path], float)
    if age.shape != table.row.shape or not (age >= 0).all() or half_life_days <= 0:
        raise ValueError(f"time_decay: needs an age >= 0 for each of {table.row.size} touches, got {age.size}")
    youngest = np.full(table.length.size, np.inf)
    np.minimum.at(youngest, table.row, age)
    weight = np.exp2(-(age - youngest[table.row]) / half_life_days)
    return weight / np.bincount(table.row, weight, minlength=table.length.size)[table.row]


def compared(
    paths: Table,
    conversions: ArrayLike | None = None,
    nulls: ArrayLike | None = None,
    *,
    models: Sequence[str] = ("first", "last", "linear", "u", "markov", "shapley"),
    order: int = 1,
    separator: str = SEPARATOR,
) -> pd.DataFrame:
    """Every model's credit side by side, and their spread: what the choice of a model alone can change.

    One row per channel.

    Columns
    -------
    <model>     : float  conversions credited
    low, high   : float  smallest and largest credit over the models
    spread      : float  (high − low) / mean credit
    """
    same = encoded(paths, separator=separator)

    def credit(model: str) -> pd.Series:
        if model == "markov":
            return markov(same, conversions, nulls, order=order).by_channel
        return (
            shapley(same, conversions) if model == "shapley" else rule_credit(same, conversions, model=model)
        ).by_channel

    table = pd.DataFrame({model: credit(model) for model in models})
    low, high, mean = table.min(axis=1), table.max(axis=1), table.mean(axis=1)
    return table.assign(low=low, high=high, spread=((high - low) / mean.where(mean > 0)))
