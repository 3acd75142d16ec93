"""All attribution models side by side: totals that agree, and the spread as the uncertainty of the choice."""

from __future__ import annotations

import pandas as pd

from opslib.errors import TooLittleError
from opslib.models.markov import markov
from opslib.models.shapley import shapley
from opslib.text import say

UNATTRIBUTED = "(none)"
_MOST = 200_000  # paths, the most travelled first; the credit of the rest goes by theirs


def attributed(credits: pd.DataFrame, journeys: pd.DataFrame, *, order: int = 1) -> pd.DataFrame:
    """Conversions by channel under every rule, by Markov removal effect and by Shapley value.

    One row per channel, most credit first, and the last one "(none)" for conversions without a touch, when there are.
    `credits` of `metrics.journeys.credits`, `journeys` of `metrics.attribution.journeys` over the same conversions.

    Columns
    -------
    channel   : string
    <model>   : float  conversions credited; every model sums to the conversions
    low, high : float  smallest and largest credit over the models
    spread    : float  (high − low) / mean credit

    Raises
    ------
    TooLittleError  if there is no conversion with a touch.
    """
    table = credits.assign(channel=credits["channel"].fillna(UNATTRIBUTED))
    table = table.pivot_table(index="channel", columns="model", values="conversions", aggfunc="sum").fillna(0.0)
    table = table[list(dict.fromkeys(credits["model"]))]
    touched = journeys[journeys["path"] != ""]
    seen = touched.head(_MOST)
    if not len(table) or not seen["conversions"].sum():
        raise TooLittleError(
            say(
                zh="回溯期内没有一次转化带有触点，无法归因",
                en="no conversion has a touch in the look-back: there is nothing to credit",
            )
        )
    whole = float(touched["conversions"].sum() / seen["conversions"].sum())
    table["markov"] = markov(seen["path"], seen["conversions"], seen["nulls"], order=order).by_channel * whole
    table["shapley"] = shapley(seen["path"], seen["conversions"]).by_channel * whole
    without = (
        float(table.drop(columns=["markov", "shapley"]).loc[UNATTRIBUTED].iloc[0])
        if UNATTRIBUTED in table.index
        else 0.0
    )
    table = table.fillna(0.0)
    if without:
        table.loc[UNATTRIBUTED, ["markov", "shapley"]] = without
    low, high, mean = table.min(axis=1), table.max(axis=1), table.mean(axis=1)
    found = table.assign(low=low, high=high, spread=(high - low) / mean.where(mean > 0), mean=mean)
    found = found.sort_values("mean", ascending=False).drop(columns="mean")
    last = found.index == UNATTRIBUTED
    return pd.concat([found[~last], found[last]]).reset_index(names="channel")


def totals(table: pd.DataFrame) -> pd.Series:
    """What each model shares out in all; they are the same, or the table is wrong."""
    return table.drop(columns=["channel", "low", "high", "spread"]).sum()


def middle(table: pd.DataFrame) -> pd.DataFrame:
    """The channels with credit and the middle of their range, for a figure: channel, middle, low, high."""
    rows = table[table["channel"] != UNATTRIBUTED]
    return rows[["channel", "low", "high"]].assign(middle=(rows["low"] + rows["high"]) / 2)
