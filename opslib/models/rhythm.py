"""How often users naturally come: the interval between visits, and who comes most days."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.text import say

PAIRS = 30
STATES = ((7, 30), (14, 60), (31, 120))  # days away from which a user is silent, and has churned
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


def rule(gaps: pd.DataFrame, *, new_days: int, active_days: int, silent_days: int, churn_days: int) -> dict[str, int]:
    """The thresholds of the states; `silent_days` and `churn_days` of 0 are taken from the users' own rhythm.

    Definition: the shortest of `STATES` whose silence is as long as four of five gaps, the last of them where none is, the
    first where too few gaps are known: nobody is called silent for coming as users do. A churn for a silence that was
    asked for is that of the shortest of `STATES` with one as long, else four times as long.
    """
    usual = _usual(gaps)
    silent = silent_days or next((silent for silent, _ in STATES if usual <= silent), STATES[-1][0])
    churn = churn_days or next((churn for at, churn in STATES if silent <= at), 4 * silent)
    return {"new_days": new_days, "active_days": active_days, "silent_days": silent, "churn_days": churn}


def short(gaps: pd.DataFrame, rule: Mapping[str, int]) -> bool:
    """Whether users count as silent sooner than one gap in five ends."""
    return _usual(gaps) > rule["silent_days"]


def _usual(gaps: pd.DataFrame) -> float:
    """The days within which four of five gaps end; 0 where too few are known."""
    known = len(gaps) and gaps["pairs"].sum() >= PAIRS
    return float(interval(gaps)["p80"].iloc[0]) if known else 0.0


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
