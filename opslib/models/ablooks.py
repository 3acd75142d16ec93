"""How an experiment's effect reads day by day, whether it fades, and what the test could have found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.models import power, readout, sequential
from opslib.models.abtest import LEAST, REVENUE, Test, control_first
from opslib.models.moments import Moments
from opslib.text import say


def looks(daily: pd.DataFrame, test: Test, *, alpha: float = 0.05) -> pd.DataFrame:
    """The effect after each day of enrolment, with the interval that holds at all looks together.

    One row per (variant, day): `start`, `n` (both arms so far), `value`, `low`, `high`, `p`; days with too few users to
    look at (under `LEAST` in an arm) are absent. `daily` is `outcome_sums(by="day")`.

    Definition: users count on the day of their first exposure; `models.sequential.confidence_sequence`, tightest at the
    users of the last day, its interval intersected over the looks; alpha is shared by the treatments (Bonferroni).
    """
    rows = daily[daily.metric == test.metric]
    treatments = sorted(set(rows.variant) - {test.control})
    base = _so_far(rows[rows.variant == test.control], test.metric == REVENUE)
    found = []
    for name in treatments:
        arm = _so_far(rows[rows.variant == name], test.metric == REVENUE)
        days = sorted(set(base.index) | set(arm.index))
        a, b = base.reindex(days).ffill(), arm.reindex(days).ffill()
        use = ((a.n >= LEAST) & (b.n >= LEAST)).to_numpy()
        a, b = a[use], b[use]
        if a.empty:
            continue
        n, se = (a.n + b.n).to_numpy(), np.sqrt(a["var"] / a.n + b["var"] / b.n).to_numpy()
        level = alpha / len(treatments)
        look = sequential.confidence_sequence(
            (b["mean"] - a["mean"]).to_numpy(), se, n, alpha=level, tuning=float(n[-1])
        )
        look = sequential.running(look)
        p = np.minimum(np.asarray(look.p) * len(treatments), 1.0)
        found.append(
            pd.DataFrame(
                {
                    "variant": name,
                    "start": a.index,
                    "n": n.astype(int),
                    "value": look.value,
                    "low": look.low,
                    "high": look.high,
                    "p": p,
                }
            )
        )
    if not found:
        raise TooLittleError(
            say(zh="每组不足 {n} 人，无法逐日查看", en="fewer than {n} users in an arm: nothing to look at", n=LEAST)
        )
    return pd.concat(found, ignore_index=True)


def _so_far(rows: pd.DataFrame, money: bool) -> pd.DataFrame:
    """Moments of the users enrolled up to each day, by merging the days' own."""
    rows = rows.sort_values("start").set_index("start")
    n = rows.n.astype(float)
    mean = rows["mean"] if money else rows.hits / n
    within = rows["var"].fillna(0) * (n - 1) if money else n * mean * (1 - mean)
    size, total = n.cumsum(), (n * mean).cumsum()
    centre = total / size
    squares = within.cumsum() + (n * mean**2).cumsum() - size * centre**2
    return pd.DataFrame({"n": size, "mean": centre, "var": (squares / (size - 1).clip(lower=1)).clip(lower=0)})


def fading(daily: pd.DataFrame, test: Test, variant: str) -> tuple[readout.Trend, pd.DataFrame]:
    """Whether the effect differs between users exposed early and late: the slope a day, and each day's own effect.

    The days are independent readings: a user belongs to the day of the first exposure, with a window as long as all others'.

    Raises
    ------
    TooLittleError  if fewer than three days have users in both arms.
    """
    rows = daily[daily.metric == test.metric].set_index("start")
    a, b = rows[rows.variant == test.control], rows[rows.variant == variant]
    days = sorted(set(a.index[a.n >= LEAST]) & set(b.index[b.n >= LEAST]))
    if len(days) < 3:
        raise TooLittleError(
            say(
                zh="只有 {n} 个入组日两组各满 {least} 人，看不出趋势（至少 3 天）",
                en="only {n} days of exposure have {least} users in both arms: no trend to see (needs 3)",
                n=len(days),
                least=LEAST,
            )
        )
    a, b = (_moments(part.loc[days], test.metric == REVENUE) for part in (a, b))
    effect, se = np.asarray(b.mean) - np.asarray(a.mean), np.sqrt(np.asarray(a.error2) + np.asarray(b.error2))
    since = np.array([(pd.Timestamp(d) - pd.Timestamp(test.first)).days for d in days], float)
    table = pd.DataFrame({"start": days, "value": effect, "low": effect - 1.96 * se, "high": effect + 1.96 * se})
    return readout.novelty(since, effect, se), table


def _moments(rows: pd.DataFrame, money: bool) -> Moments:
    if money:
        return Moments(rows.n.to_numpy(), rows["mean"].to_numpy(), rows["var"].to_numpy())
    n = rows.n.to_numpy(float)
    smoothed = (rows.hits.to_numpy() + 1) / (n + 2)  # a day without a hit would have no error
    return Moments(n, rows.hits.to_numpy() / n, smoothed * (1 - smoothed))


@dataclass(frozen=True)
class Reach:
    """What the test could have found: the smallest effect with 80 % power, the power for a wanted lift, its users an arm."""

    detectable: float
    wanted: float
    power: float
    needed: float
    n: float


def reach(sums: pd.DataFrame, test: Test, *, lift: float, alpha: float = 0.05) -> Reach:
    """Power of the smallest comparison on the primary metric, for a lift set beforehand (never the observed one).

    Raises
    ------
    TooLittleError  if the control never did it.
    """
    arms = control_first(sums, test)
    base, treated = arms.iloc[0], arms.iloc[1:]
    n, ratio, level = float(base.n), float(treated.n.min() / base.n), alpha / max(len(treated), 1)
    if test.metric == REVENUE:
        sd, shift = float(np.sqrt(base["var"])), lift * float(base["mean"])
        if not (sd > 0 and shift):
            raise TooLittleError(
                say(zh="对照组没有收入，无法计算功效", en="the control has no revenue: no power to compute")
            )
        return Reach(power.detectable_mean(n, sd=sd, ratio=ratio, alpha=level), shift,
                     float(power.power_means(n, shift, sd=sd, ratio=ratio, alpha=level)),
                     power.size_means(shift, sd=sd, ratio=ratio, alpha=level), n)  # fmt: skip
    p1 = float(base.hits / base.n)
    p2 = min(p1 * (1 + lift), 1.0)
    if not 0 < p1 < 1:
        raise TooLittleError(
            say(
                zh="对照组的转化为 {p:.0%}，无法计算功效", en="the control's rate is {p:.0%}: no power to compute", p=p1
            )
        )
    return Reach(power.detectable_proportion(n, p1, ratio=ratio, alpha=level) - p1, p2 - p1,
                 float(power.power_proportions(n, p1, p2, ratio=ratio, alpha=level)),
                 power.size_proportions(p1, p2, ratio=ratio, alpha=level), n)  # fmt: skip
