"""Readings beside the main one: a ratio of two events, money without its largest users, and windows that are not alike."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError, UsageError
from opslib.models import abtest, readout
from opslib.models.moments import Moments, Number, divided
from opslib.text import say

APART = 1  # days by which the arms' first exposures may differ without a word


def pair(text: str) -> tuple[str, str]:
    """The two events of `click/impression`.

    Raises
    ------
    UsageError  if it is not two names with a slash between them.
    """
    parts = [p.strip() for p in text.split("/")]
    if len(parts) != 2 or not all(parts):
        raise UsageError(f"ratio must be two events such as 'click/impression', got {text!r}")
    return parts[0], parts[1]


def ratio_moments(n: Number, mean: Number, var: Number, per_mean: Number, per_var: Number, cov: Number) -> Moments:
    """A ratio of sums as the mean of its users' linearised values; each argument a number or an array."""
    r = divided(mean, per_mean)
    spread = var + r**2 * per_var - 2 * r * cov
    return Moments(n, r, np.maximum(divided(spread, np.square(per_mean)), 0.0))


def ratio(sums: pd.DataFrame, test: abtest.Test, *, alpha: float = 0.05) -> pd.DataFrame:
    """Every variant's Σ first / Σ second against the control's (`metrics.experiment.ratio_sums`); columns as `readout`.

    Definition: the variance of a ratio r = Σ y / Σ x over n users is (var y + r² var x − 2 r cov) / mean(x)² / n. Taking the
    events for independent would make it too small wherever users differ.
    Source: Deng, Knoblich, Lu (KDD 2018).
    """
    known = sums[(sums.per_mean > 0) & (sums.n > 0)]
    if test.control not in set(known.variant) or len(known) < 2:
        return pd.DataFrame()
    found = ratio_moments(*(known[c].to_numpy(float) for c in ("n", "mean", "var", "per_mean", "per_var", "cov")))
    table = pd.DataFrame(
        {
            "metric": "ratio",
            "variant": known.variant,
            "kind": "mean",
            "n": known.n,
            "mean": found.mean,
            "var": found.var,
        }
    )
    return readout.readout(table, test.control, alpha=alpha, minimum=abtest.LEAST)


def without_top(sums: pd.DataFrame, test: abtest.Test, *, alpha: float = 0.05) -> pd.DataFrame:
    """Money again, without the largest user of each arm: whether the reading hangs on single users.

    Definition: mean and variance with one value taken out, exactly, from the arm's own moments; the same in every arm, so that
    the comparison stays fair. It is a check of the main reading, never the reading.
    """
    money = sums[(sums.metric == abtest.REVENUE) & (sums.n > 2)]
    if test.control not in set(money.variant) or len(money) < 2:
        return pd.DataFrame()
    n, mean, top = money.n.astype(float), money["mean"], money.top.astype(float)
    left = (n * mean - top) / (n - 1)
    squares = money["var"] * (n - 1) - n / (n - 1) * (top - mean) ** 2
    table = pd.DataFrame({"metric": abtest.REVENUE, "variant": money.variant, "kind": "mean", "n": money.n - 1, "mean": left,
                          "var": (squares / (n - 2)).clip(lower=0.0)})  # fmt: skip
    return readout.readout(table, test.control, alpha=alpha, minimum=abtest.LEAST)


def apart(arms: pd.DataFrame) -> int:
    """Days between the first exposures of the variants: with windows to the end of the data, some were watched longer."""
    days = [d for d in arms["first"] if isinstance(d, dt.date)] or list(pd.to_datetime(arms["first"]))
    return int((max(days) - min(days)).days) if days else 0


def even(arms: pd.DataFrame, window_days: int) -> bool:
    """Whether all arms were watched alike: for so many days each, or to the end of the data and exposed at the same time."""
    return bool(window_days) or apart(arms) <= APART


def need_judged(found: pd.DataFrame, test: abtest.Test) -> None:
    """Further readings of the primary metric are made only where the main one is judged.

    Raises
    ------
    TooLittleError  if nobody did it, an arm is too small, or one user carries it.
    """
    primary = found[found.metric == test.metric]
    if not primary.enough.any() or not primary[["control", "treatment"]].to_numpy().any():
        raise TooLittleError(
            say(
                zh="主指标不作判断（无人做过、样本太少或由个别用户左右），不再做此项读数",
                en="the primary metric is not judged (nobody did it, too few users, or one user carries it): not read further",
            )
        )
