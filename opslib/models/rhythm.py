"""How often users naturally come: the interval between visits, and who comes most days."""

from __future__ import annotations

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.text import say

PAIRS = 30
PERIODS = ((1, "day"), (3, "three_days"), (7, "week"), (14, "fortnight"), (31, "month"))


def interval(gaps: pd.DataFrame) -> pd.DataFrame:
    """The usual days from one active day to the next.

    One row: median, p80 (days; each user counts once), median_pairs (each pair once), period (the report's: the shortest of
    day, three_days, week, fortnight and month that holds four of five gaps), pairs.

    `gaps` as `metrics.habits.usage_gaps`.
    Source: the usage interval of Amplitude (80 % of users return within it).

    Raises
    ------
    TooLittleError  with fewer than 30 pairs of active days.
    """
    pairs = int(gaps["pairs"].sum()) if len(gaps) else 0
    if pairs < PAIRS:
        raise TooLittleError(
            say(
                zh="使用间隔至少需要 {need} 对相邻活跃日，现有 {n} 对",
                en="a usage interval needs {need} pairs of active days, has {n}",
                need=PAIRS,
                n=pairs,
            )
        )
    ordered = gaps.sort_values("gap")
    days = ordered["gap"].to_numpy(float)

    def at(column: str, share: float) -> float:
        so_far = ordered[column].to_numpy(float).cumsum()
        return float(days[np.searchsorted(so_far, share * so_far[-1] - 1e-9)])

    p80 = at("weight", 0.8)
    period = next((name for most, name in PERIODS if p80 <= most), "month")
    return pd.DataFrame(
        [{"median": at("weight", 0.5), "p80": p80, "median_pairs": at("pairs", 0.5), "period": period, "pairs": pairs}]
    )


def power_curve(counts: pd.DataFrame, *, days: int = 28, often: float = 0.75) -> pd.DataFrame:
    """Users by active days, for the picture: left, right, users, share; and of all, `often` marks the most frequent.

    `counts` as `metrics.activity.stickiness`.

    Raises
    ------
    TooLittleError  without active users.
    """
    if counts.empty:
        raise TooLittleError(say(zh="本期没有活跃用户", en="no user was active in the period"))
    users = counts.set_index("periods")["users"].reindex(range(1, days + 1), fill_value=0)
    table = pd.DataFrame({"left": users.index, "right": users.index + 1, "users": users.to_numpy()})
    return table.assign(share=table["users"] / table["users"].sum(), often=table["left"] >= often * days)
