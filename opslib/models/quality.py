"""Which days are thinner than they should be, and which columns lost their values."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

CHANCE = 0.001  # of so few values in a column that is filled as before
WEEKS = 8  # a day is compared with the same weekday of so many weeks before it


def thin_days(volume: pd.DataFrame, *, day: str = "day", rows: str = "rows", below: float = 0.5) -> pd.DataFrame:
    """Days with far fewer rows than the same weekday of the weeks before.

    Columns added
    -------------
    expected : float  median of the same weekday over up to 8 weeks before; blank with fewer than 2
    share    : float  rows / expected
    kind     : string "hole" (no row at all), "thin" (below the share) or "" (as expected, or not known)

    Definition: a hole is a day of 0 rows, whatever was expected; thin is rows below `below` × expected.
    """
    frame = volume.sort_values(day).reset_index(drop=True)
    days = pd.to_datetime(frame[day])
    expected = np.full(len(frame), np.nan)
    for weekday in range(7):
        at = np.flatnonzero(days.dt.weekday == weekday)
        past = frame[rows].iloc[at].shift().rolling(WEEKS, min_periods=2).median()
        expected[at] = past.to_numpy()
    share = np.divide(frame[rows], expected, out=np.full(len(frame), np.nan), where=expected > 0)
    kind = np.where(frame[rows] == 0, "hole", np.where(share < below, "thin", ""))
    return frame.assign(expected=expected, share=share, kind=kind)


def emptied(completeness: pd.DataFrame, *, drop: float = 0.5) -> pd.DataFrame:
    """Columns that carried values and have lost them in the last week.

    Parameters
    ----------
    completeness : column, start, rows, filled, as `metrics.quality.completeness` gives them
    drop : the share of its usual filling that a column must have lost

    Returns
    -------
    one row a column that ever carried a value, the greatest loss first: column, before (median share filled over up to
    8 weeks before), now (share filled in the last week), lost (1 − now / before), rows (of the last week), start (its first
    day), went_empty

    Definition: a column went empty when it lost more than `drop`, and so few values among so many rows are no chance: the
    last week may have just begun.
    """
    frame = completeness.assign(share=completeness["filled"] / completeness["rows"]).sort_values("start")
    found = []
    for column, group in frame.groupby("column"):
        before = group["share"].iloc[:-1].tail(WEEKS).median()
        now, rows, filled, start = group[["share", "rows", "filled", "start"]].iloc[-1]
        if before and before > 0:
            chance = stats.binom.cdf(filled, rows, before)
            found.append(
                (column, before, now, 1 - now / before, int(rows), start, 1 - now / before > drop and chance < CHANCE)
            )
    table = pd.DataFrame(found, columns=["column", "before", "now", "lost", "rows", "start", "went_empty"])
    return table.astype({"went_empty": bool}).sort_values("lost", ascending=False, ignore_index=True)
