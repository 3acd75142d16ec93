"""Readings beside the main one: a ratio of two events, money without its largest users, and windows that are not alike."""

from __future__ import annotations

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError, UsageError
from opslib.models import abtest, readout
from opslib.models.moments import Moments, Number, divided
from opslib.text import say

APART = 1.0  # days by which the arms' mean days of exposure may differ without a word
CHANCE = 3.0  # standard errors within which they may differ by the draw of a small test


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
    the comparison stays fair. It is a check of the main reading, never the reading. `whale` is the largest share of what is left
    that a second user may hold, by a bound: no user left is above the arm's top, nor above the root of the sum of squares left.
    Over `abtest.WHALE` the row is not judged again: its interval and p are blank.
    """
    money = sums[(sums.metric == abtest.REVENUE) & (sums.n > 2)]
    if test.control not in set(money.variant) or len(money) < 2:
        return pd.DataFrame()
    n, mean, top = money.n.astype(float), money["mean"], money.top.astype(float)
    left = (n * mean - top) / (n - 1)
    squares = money["var"] * (n - 1) - n / (n - 1) * (top - mean) ** 2
    table = pd.DataFrame({"metric": abtest.REVENUE, "variant": money.variant, "kind": "mean", "n": money.n - 1, "mean": left,
                          "var": (squares / (n - 2)).clip(lower=0.0)})  # fmt: skip
    found = readout.readout(table, test.control, alpha=alpha, minimum=abtest.LEAST)
    second = np.minimum(top, np.sqrt(squares.clip(lower=0.0) + (n - 1) * left**2)).max()
    found["whale"] = float(divided(second, ((n - 1) * left).sum()))
    judged = ["low", "high", "p", "lift_low", "lift_high", "lift_p", "p_holm", "p_bh"]
    unsafe = found.whale > abtest.WHALE
    found.loc[unsafe, judged], found.loc[unsafe, "enough"] = np.nan, False
    return found


def apart(daily: pd.DataFrame, test: abtest.Test) -> float:
    """Days between the mean day of exposure of the control and of the treatment furthest from it, beyond chance; else 0.

    `daily` is `outcome_sums(by="day")`. Definition: the users' mean day of first exposure, compared arm by arm with the
    control's. A difference within `CHANCE` standard errors of two means is the draw of the users and not counted, nor is an
    arm under `abtest.LEAST` users, which is not judged anyhow. So a ramp counts, and one late first user does not.
    """
    rows = daily[daily.metric == test.metric]
    day = (pd.to_datetime(rows.start) - pd.Timestamp(test.first)) / pd.Timedelta(days=1)
    sums = pd.DataFrame({"variant": rows.variant, "n": rows.n, "day": rows.n * day, "square": rows.n * day**2})
    arms = sums.groupby("variant").sum()
    arms = arms[arms.n >= abtest.LEAST]
    if test.control not in arms.index:
        return 0.0
    mean = arms.day / arms.n
    error = (arms.square / arms.n - mean**2).clip(lower=0.0) / arms.n  # squared standard error of the mean day
    off = (mean - mean[test.control]).abs()
    return float(off.where(off > CHANCE * np.sqrt(error + error[test.control]), 0.0).max())


def even(daily: pd.DataFrame, test: abtest.Test, window_days: int) -> bool:
    """Whether all arms were watched alike: for so many days each, or to the end of the data and exposed at the same time.

    Definition: mean days of exposure over `APART` days apart, beyond chance (`apart`), are not the same time.
    """
    return bool(window_days) or apart(daily, test) <= APART


def need_judged(found: pd.DataFrame, test: abtest.Test, even: bool) -> None:
    """Further readings of the primary metric are made only where the main one is judged.

    Raises
    ------
    TooLittleError  if the windows are not `even`, nobody did it, an arm is too small, or one user carries it.
    """
    primary = found[found.metric == test.metric]
    if not even:
        raise TooLittleError(
            say(
                zh="各方案观察时间不等，不再做此项读数；请设定 window_days",
                en="the variants were watched for unequal times: not read further; set window_days",
            )
        )
    if not primary.enough.any() or not primary[["control", "treatment"]].to_numpy().any():
        raise TooLittleError(
            say(
                zh="主指标不作判断（无人做过、样本太少或由个别用户左右），不再做此项读数",
                en="the primary metric is not judged (nobody did it, too few users, or one user carries it): not read further",
            )
        )
