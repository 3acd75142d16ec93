"""Which dimension explains a total that missed its forecast: explanatory power, succinctness and surprise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.text import say


@dataclass(frozen=True)
class Adtributor:
    """The most surprising dimension that explains enough, and its elements in order of surprise.

    `dimension` is None when no dimension explains enough. `dimensions`: one row per dimension (dimension, explains,
    ep, surprise, elements), the answer first. `elements`: one row per element of each dimension (dimension, element,
    forecast, actual, ep, surprise, chosen).
    """

    dimension: str | None
    found: list[Any]
    ep: float
    surprise: float
    dimensions: pd.DataFrame
    elements: pd.DataFrame


def adtributor(
    dims: Mapping[str, Mapping[Any, tuple[float, float]]],
    *,
    per: Mapping[str, Mapping[Any, tuple[float, float]]] | None = None,
    least_each: float = 0.1,
    least_together: float = 0.67,
) -> Adtributor:
    """Explain why a total differs from its forecast by the elements of one dimension.

    `dims`: dimension → element → (forecast, actual) of an additive measure. With `per`, of the same shape, the measure
    explained is the ratio of `dims` to `per` (revenue per visit).

    Definition: an element's explanatory power is its share of the change of the total (negative when it moved the
    other way); of a ratio, the change that the element alone would make, as a share of all such. Its surprise is its
    term of the Jensen-Shannon divergence between forecast and actual shares (of both measures for a ratio). In each
    dimension elements are taken by surprise, those with `least_each` of the power only, until they hold more than
    `least_together`; dimensions that get there are ranked by the surprise of what was taken. An element without
    forecast or without actual is surprising, not an error.
    Error: none; a ranking, not a test. `localize.locate` tests.
    Source: Bhagwan et al., Adtributor, NSDI 2014 (TEEP 10 %, TEP 67 %).

    Raises
    ------
    ValueError      if a value is negative, or `per` has other elements.
    TooLittleError  if the total did not change, or a dimension is empty.
    """
    tables = [_elements(name, values, per and per.get(name)) for name, values in dims.items()]
    if not tables:
        raise TooLittleError(say(zh="没有可供查找原因的维度", en="there is no dimension to look for causes in"))
    chosen = [_choose(table, least_each, least_together) for table in tables]
    elements = pd.concat([t.assign(chosen=c) for t, (c, _) in zip(tables, chosen, strict=True)], ignore_index=True)
    rows = [
        {
            "dimension": t.dimension.iloc[0],
            "explains": enough,
            "ep": t.ep[c].sum(),
            "surprise": t.surprise[c].sum(),
            "elements": list(t.element[c]),
        }
        for t, (c, enough) in zip(tables, chosen, strict=True)
    ]
    ranked = pd.DataFrame(rows).sort_values(["explains", "surprise"], ascending=False, kind="stable", ignore_index=True)
    first = ranked.iloc[0]
    if not first.explains:
        return Adtributor(None, [], 0.0, 0.0, ranked, elements)
    return Adtributor(first.dimension, first.elements, float(first.ep), float(first.surprise), ranked, elements)


def _elements(name: str, values: Mapping[Any, Any], per: Mapping[Any, Any] | None) -> pd.DataFrame:
    if not values:
        raise TooLittleError(
            say(zh="维度「{name}」没有任何取值", en="the dimension “{name}” has no elements", name=str(name))
        )
    if per is not None and set(per) != set(values):
        raise ValueError(f"adtributor: dimension {name!r} has other elements in `per`")
    forecast, actual = _pairs(name, values.values())
    surprise = _surprise(forecast, actual)
    if per is None:
        change = actual.sum() - forecast.sum()
        power = actual - forecast
    else:
        below, above = _pairs(name, (per[k] for k in values))
        surprise = surprise + _surprise(below, above)
        old, size = forecast.sum(), below.sum()
        moved = (size + above - below) * size
        top = (actual - forecast) * size - (above - below) * old
        power = np.divide(top, moved, out=np.zeros_like(moved), where=moved > 0)
        change = power.sum()
    if abs(change) < 1e-12:
        raise TooLittleError(
            say(
                zh="维度「{name}」的合计没有变化，无需解释",
                en="the total of the dimension “{name}” did not change, there is nothing to explain",
                name=str(name),
            )
        )
    columns = {"dimension": name, "element": list(values), "forecast": forecast, "actual": actual}
    table = pd.DataFrame(columns | {"ep": power / change, "surprise": surprise})
    return table.sort_values(["surprise", "ep"], ascending=False, kind="stable", ignore_index=True)


def _pairs(name: str, pairs: Any) -> tuple[np.ndarray, np.ndarray]:
    forecast, actual = np.array(list(pairs), dtype=float).reshape(-1, 2).T
    if not ((forecast >= 0) & (actual >= 0)).all():
        raise ValueError(f"adtributor: dimension {name!r} has a negative or missing value")
    if forecast.sum() == 0 or actual.sum() == 0:
        raise TooLittleError(
            say(
                zh="维度「{name}」的合计为 0，无法比较",
                en="the total of the dimension “{name}” is 0, there is nothing to compare",
                name=str(name),
            )
        )
    return forecast, actual


def _surprise(forecast: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """Each element's term of the Jensen-Shannon divergence (nats); 0·log 0 is 0."""
    from scipy.special import rel_entr

    p, q = forecast / forecast.sum(), actual / actual.sum()
    return (rel_entr(p, (p + q) / 2) + rel_entr(q, (p + q) / 2)) / 2


def _choose(table: pd.DataFrame, least_each: float, least_together: float) -> tuple[np.ndarray, bool]:
    chosen, power = np.zeros(len(table), dtype=bool), 0.0
    for i, ep in enumerate(table.ep):
        if ep > least_each:
            chosen[i], power = True, power + ep
        if power > least_together:
            return chosen, True
    return chosen, False
