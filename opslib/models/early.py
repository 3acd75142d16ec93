"""Which first steps go with staying, among users who were equally often there."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special

from opslib.errors import TooLittleError
from opslib.text import say


def early_signs(
    counts: pd.DataFrame, *, least: int = 50, most_share: float = 0.95, level: float = 0.95
) -> pd.DataFrame:
    """How much more often users stay who did something in their first days, most first.

    One row per event; `counts` as `metrics.habits.early` gives them, one row per (event, days_active).

    Columns
    -------
    event  : str
    did    : int    users who did it
    others : int    users who did not
    rate   : float  share of those who did it that stayed
    base   : float  the same of those who did not
    diff   : float  difference in strata of equally many active days, averaged (Mantel-Haenszel)
    low, high : float  interval
    p      : float  two-sided, of no difference

    Definition: strata where everybody or nobody did it say nothing and are left out of `diff`. Events that fewer than
    `least` did or did not do, or that more than `most_share` did, are left out.
    Error: Greenland & Robins' variance. An association: whoever means to stay may also do more.
    Source: Mantel & Haenszel 1959; Greenland & Robins 1985, Biometrics 41, 55-68.

    Raises
    ------
    TooLittleError  if no event is left.
    """
    rows = [_sign(event, part, level) for event, part in counts.sort_values(["event", "days_active"]).groupby("event")]
    table = pd.DataFrame(rows)
    if len(table):
        share = table["did"] / (table["did"] + table["others"])
        table = table[(table[["did", "others"]].min(axis=1) >= least) & (share <= most_share) & table["diff"].notna()]
    if table.empty:
        raise TooLittleError(
            say(
                zh="没有一种行为有至少 {n} 位新用户做过、{n} 位没做过，无法比较早期行为",
                en="early signs need an event that {n} new users did and {n} did not",
                n=least,
            )
        )
    return table.sort_values("diff", ascending=False, kind="stable", ignore_index=True)


def _sign(event: object, part: pd.DataFrame, level: float) -> dict[str, object]:
    a, n1, b, n0 = (part[c].to_numpy(float) for c in ("did_stayed", "did", "others_stayed", "others"))
    row = {
        "event": event,
        "did": int(n1.sum()),
        "others": int(n0.sum()),
        "rate": a.sum() / n1.sum() if n1.sum() else np.nan,
        "base": b.sum() / n0.sum() if n0.sum() else np.nan,
    }
    both = (n1 > 0) & (n0 > 0)
    a, n1, b, n0 = a[both], n1[both], b[both], n0[both]
    weight = (n1 * n0 / (n1 + n0)).sum()
    if not weight:
        return row | dict.fromkeys(("diff", "low", "high", "p"), np.nan)
    diff = ((a * n0 - b * n1) / (n1 + n0)).sum() / weight
    spread = (a * (n1 - a) * n0**3 + b * (n0 - b) * n1**3) / (n1 * n0 * (n1 + n0) ** 2)
    se = np.sqrt(spread.sum()) / weight
    half = special.ndtri((1 + level) / 2) * se
    p = 2 * special.ndtr(-abs(diff) / se) if se > 0 else np.nan
    return row | {"diff": diff, "low": diff - half, "high": diff + half, "p": p}
