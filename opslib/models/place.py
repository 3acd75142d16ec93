"""How much a place and an age are worth: factors of placement, position and age on the same items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from opslib.errors import TooLittleError
from opslib.text import say


@dataclass(frozen=True)
class Factors:
    """Relative responses by value of each dimension; the most shown value of each is 1. `covered`: hits in the fit."""

    of: dict[str, pd.Series]
    hits: float

    def __getitem__(self, name: str) -> dict:
        """Value → factor; empty for a dimension that was not fitted."""
        return {k: float(v) for k, v in self.of[name].items()} if name in self.of else {}


def positions(cells: pd.DataFrame, *, groups: int = 10, level: float = 0.95) -> pd.DataFrame:
    """What each position is worth against the most shown one, with its interval.

    One row per position: position, impressions, place_factor, low, high (blank for the most shown one, which is 1).

    `cells`: as of `metrics.content.content_cells`.
    Definition: the factors of `worth`. Error: jackknife of their logarithms with items as units, `groups` of items left
    out in turn, t interval; the responses of one item are not independent. Blank with fewer items than groups.
    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 11.

    Raises
    ------
    TooLittleError  if positions were not fitted, or there is one only.
    """
    found = worth(cells).of.get("position", pd.Series(dtype=float))
    if len(found) < 2:
        raise TooLittleError(
            say(zh="位置没有上报或只有一种取值，无从比较", en="positions are not sent, or one only: nothing to compare")
        )
    shown = cells.groupby("position")["impressions"].sum()
    table = pd.DataFrame({"impressions": shown.reindex(found.index), "place_factor": found})
    half = _jackknifed(cells, int(shown.idxmax()), groups, level)
    table = table.assign(low=found * np.exp(-half), high=found * np.exp(half)).rename_axis("position")
    table.loc[shown.idxmax(), ["low", "high"]] = np.nan
    return table.reset_index()


def _jackknifed(cells: pd.DataFrame, base: int, groups: int, level: float) -> pd.Series:
    """Half the interval of the log factor of each position; blank where leaving out items leaves none to compare."""
    item = pd.factorize(cells["content_id"], sort=True)[0]
    if item.max() + 1 < groups:
        return pd.Series(np.nan, index=sorted(cells["position"].unique()))
    fits = [worth(cells[item % groups != left]).of["position"] for left in range(groups)]
    logs = np.log(pd.concat([fit / fit.get(base, np.nan) for fit in fits], axis=1))
    spread = logs.var(axis=1, ddof=0, skipna=False) * (groups - 1)
    return special.stdtrit(groups - 1, (1 + level) / 2) * np.sqrt(spread)


def lifts(cells: pd.DataFrame, base: str) -> tuple[pd.DataFrame, pd.Series]:
    """Each placement against `base` on the same items, positions and ages, and everybody's raw open rate.

    `cells`: as of `metrics.content.content_cells`. The table is that of `exposure.stratified_lift`, its groups called
    placement.

    Raises
    ------
    TooLittleError  with one placement only, or without opens.
    """
    from opslib.models.exposure import stratified_lift

    if cells["placement"].nunique() < 2 or cells["opens"].sum() == 0:
        raise TooLittleError(
            say(zh="展示位对比需要两个展示位和打开", en="a comparison of placements needs two of them, and opens")
        )
    found = stratified_lift(
        cells, strata=["content_id", "position", "age"], group="placement", base=base, hits="opens", of="impressions"
    )
    sums = cells.groupby("placement")[["opens", "impressions"]].sum()
    crude = sums["opens"] / sums["impressions"]
    crude.attrs["n"] = int(sums["impressions"].sum())
    return found.rename(columns={"group": "placement"}), crude


def factors(
    frame: pd.DataFrame, *, item: str, dims: tuple[str, ...], hits: str, of: str, least: float = 20, steps: int = 500
) -> Factors:
    """What each placement, position and age multiplies the response of one and the same item by.

    `frame`: one row per item and place (or finer), with hits and impressions.

    Definition: hits are Poisson with mean impressions × appeal of the item × factor of each dimension, by maximum
    likelihood (iterative proportional fitting), so that good items in good places do not make the places look better.
    A value with fewer than `least` expected hits gets the factor 1 × that of the dimension's mean: its own says nothing.
    A dimension of one value only has the factor 1: with one placement there is nothing to correct.
    Source: the examination hypothesis, Richardson, Dominowska & Ragno 2007; Deming & Stephan 1940 (the fitting).

    Raises
    ------
    ValueError      if hits exceed impressions.
    TooLittleError  if there is no hit.
    """
    frame = frame[frame[of] > 0]
    n, x = frame[of].to_numpy(float), frame[hits].to_numpy(float)
    if (x > n).any() or (x < 0).any():
        raise ValueError(f"factors: {hits} must lie between 0 and {of}")
    if x.sum() == 0:
        raise TooLittleError(
            say(zh="没有打开或读完，无从估计位置的影响", en="no opens and no completions: no correction for places")
        )
    coded = [pd.factorize(frame[name], sort=True, use_na_sentinel=False) for name in (item, *dims)]
    codes, names = [c for c, _ in coded], [k for _, k in coded]
    values = [np.ones(len(k)) for k in names]
    seen = [np.bincount(c, x, len(k)) for c, k in zip(codes, names, strict=True)]
    for _ in range(steps):
        before = [v.copy() for v in values[1:]]
        for d, code in enumerate(codes):
            mean = n * np.prod([v[c] for v, c in zip(values, codes, strict=True)], axis=0)
            expected = np.bincount(code, mean, len(names[d]))
            ratio = np.divide(seen[d], expected, out=np.ones(len(expected)), where=expected > 0)
            values[d] = values[d] * (ratio if d == 0 else np.maximum(ratio, 1e-9))
        if max(np.abs(a / b - 1).max() for a, b in zip(values[1:], before, strict=True)) < 1e-7 if before else True:
            break
    found = {}
    for d, name in enumerate(dims, start=1):
        shown = np.bincount(codes[d], n, len(names[d]))
        found[name] = pd.Series(_settled(values[d], seen[d], shown, least), index=pd.Index(names[d], name=name))
    return Factors(found, float(x.sum()))


def worth(cells: pd.DataFrame) -> Factors:
    """The factors of placement, position and age for completions, or for opens where nobody tracks those; else none.

    `cells`: as of `metrics.content.content_cells`.
    """
    for hits in ("completes", "opens"):
        if cells[hits].sum() > 0:
            return factors(cells, item="content_id", dims=("placement", "position", "age"), hits=hits, of="impressions")
    return Factors({}, 0.0)


def _settled(value: np.ndarray, seen: np.ndarray, shown: np.ndarray, least: float) -> np.ndarray:
    """Against the most shown value; thin values take the mean."""
    thin = seen < least
    mean = np.average(value[~thin], weights=shown[~thin]) if (~thin).any() else 1.0
    value = np.where(thin, mean, value)
    return value / value[int(np.argmax(shown))]
