"""A campaign's effect where nobody was held out: touched against untouched users, or the series that would have been.

Neither is a random comparison. Each comes with a test of what it assumes; where the test fails, or cannot be made, the effect
cannot be known from these data, and the reason is said.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.models import prepost
from opslib.models.experiment import means
from opslib.models.ltv import Range
from opslib.models.moments import Moments
from opslib.models.readout import corrected
from opslib.text import say

LEAST = 30  # users touched, and users not touched
LONGEST = 84  # days before the start that the series is fitted on
HELD = 0.8  # share of pretended campaigns whose interval must hold 0
TRIED = 5  # pretended campaigns that must fit before the start


@dataclass(frozen=True)
class Guess:
    """An effect without a hold-out: `how` it was read (did, series), the extra user-days with the event in all, the test.

    `tested` is, for did, the smallest corrected p of the changes before the start; for a series, the share of pretended
    campaigns whose interval held 0, of `tried`. `sound` says whether the assumption stands.
    """

    how: str
    extra: Range
    relative: float
    tested: float
    tried: int
    sound: bool
    n: int
    table: pd.DataFrame


def by_touch(changes: pd.DataFrame, days: int, *, alpha: float = 0.05) -> Guess:
    """Difference-in-differences of the users touched against those not touched (`metrics.targeted_change`).

    Definition: difference of the mean changes × users touched × weeks of the campaign. The changes of the three weeks before
    are tested the same way (Holm): one that differs says that the groups went different ways anyway.
    Error: Welch over users.
    Source: Bertrand, Duflo, Mullainathan (2004) QJE 119:249.

    Raises
    ------
    TooLittleError  if fewer than `LEAST` users were touched, or not touched, or nobody did the event.
    """
    smallest = 0 if changes.targeted.nunique() < 2 else int(changes.groupby("targeted").n.max().min())
    if smallest < LEAST:
        raise TooLittleError(
            say(
                zh="活动前已注册四周且被触达（或未触达）的用户不足 {least} 人，无法对比前后变化",
                en="fewer than {least} users registered four weeks before were touched (or not touched): no changes to compare",
                least=LEAST,
            )
        )
    rows = []
    for period, arms in changes.groupby("period"):
        by_side = {bool(a.targeted): Moments(a.n, a.mean, a.var) for a in arms.itertuples()}
        effect = means(by_side[False], by_side[True], alpha=alpha)
        rows.append((int(period), effect.value, effect.low, effect.high, effect.p))
    table = pd.DataFrame(rows, columns=["period", "value", "low", "high", "p"])
    now, before = table[table.period == 0].iloc[0], table[table.period < 0]
    if not np.isfinite(now.p):
        raise TooLittleError(
            say(
                zh="前后都没有人做过该行为，没有变化可比",
                en="nobody did the event before or during it: no change to compare",
            )
        )
    worst = float(np.nanmin(np.append(corrected(before.p, "holm"), 1.0)))
    treated = int(changes[changes.targeted & (changes.period == 0)].n.iloc[0])
    times = treated * days / 7
    extra = Range(now.value * times, now.low * times, now.high * times)
    return Guess("did", extra, np.nan, worst, len(before), worst >= alpha, treated, table)


def by_series(series: pd.DataFrame, first: dt.date, last: dt.date, *, alpha: float = 0.05) -> Guess:
    """Against the series that the weeks before predict (`metrics.event_days`), checked on pretended campaigns before it.

    Definition: local level with a weekly pattern, fitted on up to `LONGEST` days before `first`; days of the data without
    the event count as zero.
    Error: `prepost.counterfactual`; other campaigns and seasons on the same days are in it.
    Source: Brodersen et al. (2015) Annals of Applied Statistics 9:247.

    Raises
    ------
    TooLittleError  if the days before do not hold `TRIED` pretended campaigns after a first half to fit on.
    """
    days = pd.to_datetime(series.day)
    every = pd.date_range(max(days.min(), pd.Timestamp(first) - pd.Timedelta(days=LONGEST)), pd.Timestamp(last))
    y = series.assign(day=days).set_index("day").users.reindex(every).fillna(0).to_numpy(float)
    after = (last - first).days + 1
    before = len(y) - after
    if before < max(28, 2 * after + TRIED):
        raise TooLittleError(
            say(
                zh="活动前只有 {n} 天数据，无法检验反事实序列（至少 {least} 天）",
                en="only {n} days lie before it: the counterfactual series cannot be tested (needs {least})",
                n=max(before, 0),
                least=max(28, 2 * after + TRIED),
            )
        )
    found = prepost.counterfactual(y, None, after, alpha=alpha, seasonal=7)
    placebo = prepost.placebo_coverage(y[:before], None, after=after, alpha=alpha, seasonal=7)
    sound = placebo.tried >= TRIED and placebo.share >= HELD
    table = found.series.assign(day=every)
    extra = Range(found.cumulative, found.cumulative_low, found.cumulative_high)
    return Guess("series", extra, found.relative, placebo.share, placebo.tried, sound, before, table)


def guess(changes: pd.DataFrame, series: pd.DataFrame, first: dt.date, last: dt.date) -> tuple[Guess | None, str]:
    """The effect without a hold-out: by touch where the campaign was sent to people, else by series; or None and why not."""
    try:
        if changes.targeted.any():
            return by_touch(changes, (last - first).days + 1), ""
        return by_series(series, first, last), ""
    except TooLittleError as error:
        return None, str(error)
