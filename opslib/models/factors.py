"""How much each factor of a formula moved the result: exact, and the same in whatever order the factors are named.

A KPI tree (visitors × conversion × basket), a funnel (product of step rates) or any other formula of named factors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.text import say

MOST_FACTORS = 16  # 2^16 evaluations of the formula


@dataclass(frozen=True)
class Factors:
    """total = the sum of `effects`; `parts` holds each factor's effect element by element (per segment)."""

    total: float
    effects: dict[str, float]
    parts: dict[str, np.ndarray]


def product(**factors: np.ndarray) -> np.ndarray:
    """The default formula: the factors multiplied, element by element."""
    result: Any = 1.0
    for value in factors.values():
        result = result * value
    return np.asarray(result)


def factor_effects(
    before: Mapping[str, Any], after: Mapping[str, Any], formula: Callable[..., Any] = product
) -> Factors:
    """The contribution of each factor to the change of a formula.

    `before` and `after` name the same factors; each is a number or an array with one element per segment. `formula`
    takes the factors by name and returns a number or an array; the KPI is its sum.

    Definition: a factor's effect is its mean marginal change over all orders in which the factors can be switched
    from before to after (Shapley value), which equals Das Gupta's symmetrical decomposition. No residual.
    Error: none of its own; resample the inputs.
    Source: Das Gupta 1993, Standardization and Decomposition of Rates, US Census P23-186; Shapley 1953.

    Raises
    ------
    ValueError  if the names differ, there is no factor or more than 16, or the formula gives no finite number.
    """
    names = list(before)
    if set(names) != set(after) or not 1 <= len(names) <= MOST_FACTORS:
        raise ValueError(f"factors: the same 1 to {MOST_FACTORS} before and after, got {names} and {list(after)}")
    old, new = ({k: np.asarray(side[k], dtype=float) for k in names} for side in (before, after))
    worth: dict[frozenset[str], np.ndarray] = {}

    def value(switched: frozenset[str]) -> np.ndarray:
        if switched not in worth:
            chosen = {k: new[k] if k in switched else old[k] for k in names}
            with np.errstate(all="ignore"):  # what is no number is told below
                worth[switched] = np.asarray(formula(**chosen), dtype=float)
        return worth[switched]

    parts = {name: _shapley(name, names, value) for name in names}
    total = float(np.sum(value(frozenset(names)) - value(frozenset())))
    if not np.isfinite(total):
        raise ValueError("factors: the formula gives no finite number; a factor is missing or divides by zero")
    return Factors(total, {k: float(np.sum(v)) for k, v in parts.items()}, parts)


def _shapley(name: str, names: Sequence[str], value: Callable[[frozenset[str]], np.ndarray]) -> np.ndarray:
    others = [k for k in names if k != name]
    effect = np.asarray(0.0)
    for size in range(len(names)):
        weight = 1 / (len(names) * comb(len(others), size))
        for chosen in combinations(others, size):
            already = frozenset(chosen)
            effect = effect + weight * (value(already | {name}) - value(already))
    return effect


def funnel_effects(
    before: Any,
    after: Any,
    *,
    steps: Sequence[str] | None = None,
    segments: Sequence[Any] | None = None,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """How much each step, in each segment, and who came, moved the conversion of a funnel from end to end.

    One row per (segment, factor); the contributions sum to the change of the overall conversion.

    Columns
    -------
    segment      : object
    factor       : str     mix, or the name of the step that was reached
    before, after: float   the segment's share of entries (mix), or the rate of the step; blank where nobody could
    contribution : float   change of the overall conversion that it accounts for
    low, high    : float   interval

    `before`, `after`: users who reached step 0, 1, … (one row per segment, or a plain list for a single segment).
    Definition: Das Gupta over the entries' shares and the step rates, summed over segments; mix is centred on the mean
    conversion of the whole, so that a segment that grows counts only by how far it is from the whole. A rate that
    nobody could show in one period is taken from the other, and then explains nothing.
    Error: percentiles of a parametric bootstrap (multinomial entries, binomial steps, `draws` times, `seed`).
    Source: Das Gupta 1993.

    Raises
    ------
    ValueError      if the shapes differ, or more users reach a step than the one before.
    TooLittleError  if a period has no entries.
    """
    old, new = (np.atleast_2d(np.asarray(side, dtype=float)) for side in (before, after))
    _check_funnel(old, new)
    names = list(steps)[1:] if steps is not None else [str(i) for i in range(1, old.shape[1])]
    factors = ["mix", *names]
    if len(set(factors)) != old.shape[1]:
        raise ValueError(f"funnel: {old.shape[1]} steps need as many different names (none of them mix), got {steps}")
    rng = np.random.default_rng(seed)
    sides = [_with_draws(side, draws, rng) for side in (old, new)]
    effects = _funnel_parts(*(_rates(side) for side in sides))
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(effects[1:], tails, axis=0) if draws else np.full((2, *effects.shape[1:]), np.nan)
    seen = [_rates(side[None])[0] for side in (old, new)]
    labels = list(range(len(old))) if segments is None else list(segments)
    columns = {"before": seen[0], "after": seen[1], "contribution": effects[0], "low": low, "high": high}
    index = pd.MultiIndex.from_product([labels, factors], names=["segment", "factor"])
    return pd.DataFrame({k: v.ravel() for k, v in columns.items()}, index=index).reset_index()


def _check_funnel(old: np.ndarray, new: np.ndarray) -> None:
    if old.shape != new.shape or old.shape[1] < 2:
        raise ValueError(f"funnel: the same segments and 2 or more steps on both sides, got {old.shape}, {new.shape}")
    for side in (old, new):
        if not (side >= 0).all() or (np.diff(side, axis=1) > 0).any():
            raise ValueError("funnel: a count is negative or missing, or a step has more users than the one before")
        if side[:, 0].sum() == 0:
            raise TooLittleError(
                say(zh="漏斗变化分解要求前后两期都有人进入第一步", en="a funnel's change needs entries in both periods")
            )


def _with_draws(counts: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """The counts themselves, then `draws` samples of them: (1 + draws) × segments × steps."""
    rates = np.nan_to_num(_rates(counts[None])[0][:, 1:])
    entries = counts[:, 0]
    sample = np.empty((draws, *counts.shape))
    sample[:, :, 0] = rng.multinomial(round(entries.sum()), entries / entries.sum(), size=draws)
    for k in range(1, counts.shape[1]):
        sample[:, :, k] = rng.binomial(sample[:, :, k - 1].astype(np.int64), rates[:, k - 1])
    return np.concatenate([counts[None], sample])


def _rates(counts: np.ndarray) -> np.ndarray:
    """Share of entries, then the rate of each step; blank where nobody could."""
    share = counts[:, :, :1] / counts[:, :, :1].sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.concatenate([share, counts[:, :, 1:] / counts[:, :, :-1]], axis=2)


def _funnel_parts(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Contributions of (draw, segment, factor); blanks borrow the other period's rate."""
    old, new = (np.nan_to_num(np.where(np.isnan(a), b, a)) for a, b in ((old, new), (new, old)))
    before, after = ({str(k): side[:, :, k] for k in range(side.shape[2])} for side in (old, new))
    parts = np.stack(list(factor_effects(before, after).parts.values()), axis=2)
    overall = sum(side.prod(axis=2).sum(axis=1) for side in (old, new)) / 2
    parts[:, :, 0] -= (new[:, :, 0] - old[:, :, 0]) * overall[:, None]
    return parts


def dimension_effects(
    frame: pd.DataFrame,
    dimensions: Sequence[str],
    *,
    before: tuple[str, str] = ("n0", "hits0"),
    after: tuple[str, str] = ("n1", "hits1"),
) -> Factors:
    """The change of an overall rate by several dimensions at once: one mix effect each, and the rate within cells.

    `frame` has one row per cell of the dimensions with counts of users and hits (or any total, as an amount). The
    effects are named after the dimensions and `rate`, and sum to the change.

    Definition: the rate effect is `mix_rate`'s over the cells. The mix effect is divided: a cell's share of users is
    written as a product with one factor per dimension (the geometric mean over all orders of its share given the
    dimensions already named), and Das Gupta's effects of these factors are weighted by the mean of the cell's rates.
    A cell of one period only has its own rate in the other.
    Error: none of its own; resample the cells.
    Source: Das Gupta 1993, chapter 5 (cross-classified data).

    Raises
    ------
    ValueError      if a dimension is missing or called rate.
    TooLittleError  if a period has nobody.
    """
    if "rate" in dimensions or not set(dimensions) <= set(frame.columns):
        raise ValueError(f"dimension_effects: {list(dimensions)} must be columns, none of them called rate")
    cells = frame.groupby(list(dimensions), dropna=False, sort=False)[[*before, *after]].sum().reset_index()
    rates, sides = [], []
    for n, hits in (before, after):
        size, hit = cells[n].to_numpy(float), cells[hits].to_numpy(float)
        if size.sum() == 0:
            raise TooLittleError(
                say(
                    zh="变化分解要求前后两期都有用户，其中一期为 0 人",
                    en="a change needs users in both periods, one has none",
                )
            )
        rates.append(np.divide(hit, size, out=np.full(len(size), np.nan), where=size > 0))
        sides.append(_share_factors(cells, list(dimensions), size / size.sum()))
    r0, r1 = np.where(np.isnan(rates[0]), rates[1], rates[0]), np.where(np.isnan(rates[1]), rates[0], rates[1])
    r0, r1 = np.nan_to_num(r0), np.nan_to_num(r1)
    mix = factor_effects(sides[0], sides[1]).parts
    parts = {d: np.asarray(part * (r0 + r1) / 2) for d, part in mix.items()}
    parts["rate"] = (product(**sides[0]) + product(**sides[1])) / 2 * (r1 - r0)
    effects = {name: float(part.sum()) for name, part in parts.items()}
    return Factors(sum(effects.values()), effects, parts)


def _share_factors(cells: pd.DataFrame, dimensions: list[str], share: np.ndarray) -> dict[str, np.ndarray]:
    """Per dimension the factor whose product over dimensions is each cell's share."""
    weights = pd.Series(share)

    def marginal(named: frozenset[str]) -> np.ndarray:
        keys = [cells[d] for d in dimensions if d in named]
        total = weights.groupby(keys, dropna=False).transform("sum") if keys else pd.Series(1.0, index=cells.index)
        with np.errstate(divide="ignore"):
            return np.log(total.to_numpy(float))

    with np.errstate(invalid="ignore"):
        return {d: np.nan_to_num(np.exp(_shapley(d, dimensions, marginal))) for d in dimensions}
