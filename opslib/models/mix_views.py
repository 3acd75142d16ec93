"""The same change seen by each dimension, and by all of them at once: mix, rate and interaction, to the last digit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special

from opslib.models.decompose import mix_rate
from opslib.models.diagnosis import wide_cells

ALL = "(all)"


def by_dimension(
    cells: pd.DataFrame,
    dimensions: Sequence[str],
    *,
    steps: Sequence[str],
    kpi: str = "retention",
    interaction: bool = False,
    level: float = 0.95,
) -> pd.DataFrame:
    """Mix, rate and interaction of the change, dimension by dimension and over all their combinations.

    One row per dimension, and "(all)" for the cells that all of them make. `cells` as `diagnosis.diagnose`.

    Columns
    -------
    dimension    : str
    weights      : str    "both" periods' mean, or those of the period "before" (with `interaction`)
    values       : int    values (or combinations) with users
    mix, rate_effect, interaction : float   their sum is the change in every row
    mix_low, mix_high, rate_low, rate_high : float   intervals; blank with `interaction`
    total_change : float

    Definition: `decompose.mix_rate`. Finer cells move what is mix within a value from rate to mix, so rows differ in their parts,
    never in their sum.
    Source: Kitagawa 1955.
    """
    wide, last = wide_cells(cells, list(dimensions), len(steps), kpi)
    views = [(d, [d]) for d in dimensions] + ([(ALL, list(dimensions))] if len(dimensions) > 1 else [])
    z, rows = special.ndtri((1 + level) / 2), []
    for name, keys in views:
        sums = wide.groupby(keys, dropna=False)[["s0_0", f"{last}_0", "s0_1", f"{last}_1"]].sum().to_numpy(float).T
        with np.errstate(invalid="ignore"):
            found = mix_rate(sums[0], sums[1] / sums[0], sums[2], sums[3] / sums[2], interaction=interaction)
        rows.append(
            {
                "dimension": name, "weights": "before" if interaction else "both", "values": sums.shape[1], "mix": found.mix, "rate_effect": found.rate,
                "interaction": found.interaction,
                "mix_low": found.mix - z * found.mix_se, "mix_high": found.mix + z * found.mix_se,
                "rate_low": found.rate - z * found.rate_se, "rate_high": found.rate + z * found.rate_se,
                "total_change": found.total,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)
