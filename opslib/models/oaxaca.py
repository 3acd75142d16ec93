"""The Oaxaca-Blinder decomposition: how much of a gap between two groups goes with what they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.text import say


@dataclass(frozen=True)
class Oaxaca:
    """gap = explained + unexplained (two-fold) = endowments + coefficients + interaction (three-fold).

    `features` has one row per feature (and one for the constant) with columns feature, explained, unexplained,
    endowments, coefficients, interaction; each column sums to its total.
    """

    gap: float
    explained: float
    unexplained: float
    endowments: float
    coefficients: float
    interaction: float
    features: pd.DataFrame


def oaxaca(y: Any, x: pd.DataFrame | np.ndarray, group: Any) -> Oaxaca:
    """The gap of a mean between two groups, split by a linear model of each.

    One element per user: outcome `y`, features `x` (numbers; a constant is added), `group` with two values. The gap is
    mean(first) − mean(second), first being the group with the higher mean.

    Definition: two-fold with the pooled coefficients β of a model of both groups with the group as a further column
    (without it, part of the gap would be booked as explained): explained = (x̄₁−x̄₂)·β, unexplained the rest. Three-fold
    from the second group's view: endowments (x̄₁−x̄₂)·β₂, coefficients x̄₂·(β₁−β₂), interaction (x̄₁−x̄₂)·(β₁−β₂). The
    detail of a set of dummies depends on which value was left out.
    Error: none of its own; resample the users.
    Source: Oaxaca 1973; Blinder 1973; Jann 2008, Stata Journal 8, 453-479 (pooled).

    Raises
    ------
    ValueError      if lengths differ, a value is missing, or there are not two groups.
    TooLittleError  if a group has no more users than features.
    """
    y, group = np.asarray(y, dtype=float), np.asarray(group)
    names = [str(c) for c in x.columns] if isinstance(x, pd.DataFrame) else [str(i) for i in range(np.shape(x)[1])]
    design = np.column_stack([np.asarray(x, dtype=float), np.ones(len(y))])
    kinds = pd.unique(group)
    if len(group) != len(y) or len(kinds) != 2:
        raise ValueError(
            f"oaxaca: one of two groups for each of {len(y)} users, got {len(group)} of {len(kinds)} groups"
        )
    if not np.isfinite(design).all() or not np.isfinite(y).all():
        raise ValueError("oaxaca: a value is missing")
    if min((group == k).sum() for k in kinds) <= design.shape[1]:
        raise TooLittleError(
            say(
                zh="两组差异分解要求每组多于 {least} 名用户，最小的一组只有 {has} 名",
                en="splitting the gap of two groups needs more than {least} users in each group, the smaller has {has}",
                least=design.shape[1],
                has=min((group == k).sum() for k in kinds),
            )
        )
    first, second = sorted(kinds, key=lambda k: -y[group == k].mean())
    (mean1, beta1), (mean2, beta2) = (_fit(design[group == k], y[group == k]) for k in (first, second))
    pooled = _fit(np.column_stack([design, group == first]), y)[1][:-1]
    apart, other = mean1 - mean2, beta1 - beta2
    table = pd.DataFrame(
        {
            "feature": [*names, "constant"],
            "explained": apart * pooled,
            "unexplained": mean1 * beta1 - mean2 * beta2 - apart * pooled,
            "endowments": apart * beta2,
            "coefficients": mean2 * other,
            "interaction": apart * other,
        }
    )
    sums = {name: float(table[name].sum()) for name in table.columns[1:]}
    return Oaxaca(gap=float(mean1 @ beta1 - mean2 @ beta2), features=table, **sums)


def _fit(design: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return design.mean(axis=0), np.linalg.lstsq(design, y, rcond=None)[0]
