"""What sets a group of users apart from all others, and who is typical of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.text import say


def discriminating(features: pd.DataFrame, members: Any) -> pd.DataFrame:
    """How far a group lies from the rest in each feature, furthest first.

    One row per feature.

    Columns
    -------
    feature     : str
    mean, rest  : float  means of the group and of all others
    smd         : float  (mean − rest) / √((variance + variance of the rest) / 2); 0 where nothing varies and nothing
                         differs, infinite where only the difference is there

    `members`: one boolean per row of `features`. Missing values are left out.
    Definition: sample variances (divided by n − 1), weighted equally whatever the sizes.
    Error: none; with hundreds of users |smd| above 0.2 is rarely chance, with few use `stats.effect_sizes`.
    Source: Austin 2011, Multivariate Behavioral Research 46, 399-424.

    Raises
    ------
    ValueError      if `members` has another length.
    TooLittleError  if the group or the rest has fewer than two users.
    """
    inside = np.asarray(members, dtype=bool)
    if len(inside) != len(features):
        raise ValueError(f"discriminating: {len(inside)} members for {len(features)} users")
    if min(inside.sum(), (~inside).sum()) < 2:
        raise TooLittleError(
            say(
                zh="群内和群外各至少要 2 名用户，{n:,} 人中 {inside:,} 人在群内",
                en="a group and its rest need 2 users each, {inside:,} of {n:,} are in it",
                inside=int(inside.sum()),
                n=len(inside),
            )
        )
    numbers = features.apply(pd.to_numeric, errors="raise").astype(float)
    own, rest = numbers[inside], numbers[~inside]
    apart, spread = own.mean() - rest.mean(), np.sqrt((own.var() + rest.var()) / 2)
    with np.errstate(all="ignore"):
        smd = np.where(apart == 0, 0.0, apart / spread)
    table = pd.DataFrame({"feature": features.columns, "mean": own.mean().to_numpy(), "rest": rest.mean().to_numpy()})
    return table.assign(smd=smd).sort_values("smd", key=lambda c: -c.abs(), kind="stable", ignore_index=True)


def typical(x: Any, labels: Any, n: int = 3) -> dict[int, list[int]]:
    """For each group the positions of the `n` users nearest to its mean, nearest first."""
    x, labels = np.asarray(x, dtype=float), np.asarray(labels)
    found = {}
    for group in np.unique(labels[labels >= 0]):
        own = np.flatnonzero(labels == group)
        distance = ((x[own] - x[own].mean(axis=0)) ** 2).sum(axis=1)
        found[int(group)] = [int(i) for i in own[np.argsort(distance, kind="stable")[:n]]]
    return found
