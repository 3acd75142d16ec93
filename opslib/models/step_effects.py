"""What a change of a new users' rate owes to who came, to each step on the way in, and to coming back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from opslib.models.factors import factor_effects

_PERIODS = ("previous", "current")
STANDS_OUT = 0.5  # share of a segment's change from which one step is named as its place


@dataclass(frozen=True)
class Effects:
    """`table`: one row per factor (mix, the steps, returned), contributions summing to the change; `parts`: by cell."""

    table: pd.DataFrame
    parts: dict[str, np.ndarray]  # factor → draws + 1 × cells
    tails: tuple[float, float]

    def main_step(self, inside: np.ndarray) -> tuple[str, float]:
        """The step that took most of what changed in some cells, and its contribution; empty where none stands out."""
        sums = {k: v[:, inside].sum(axis=1) for k, v in self.parts.items() if k not in ("mix", "returned")}
        behaviour = sum(float(v[0]) for v in sums.values()) + float(self.parts["returned"][0, inside].sum())
        if not sums or not behaviour:
            return "", 0.0
        name = max(sums, key=lambda k: float(sums[k][0]) * np.sign(behaviour))
        low, high = np.quantile(sums[name][1:], self.tails) if len(sums[name]) > 1 else (np.nan, np.nan)
        if sums[name][0] / behaviour < STANDS_OUT or low <= 0 <= high:
            return "", 0.0
        return name, float(sums[name][0])


def step_effects(
    cells: pd.DataFrame,
    dimensions: Sequence[str],
    *,
    steps: Sequence[str],
    kpi: str = "retention",
    level: float = 0.95,
    draws: int = 300,
    seed: int = 0,
) -> Effects:
    """The change of day-N retention, or of conversion, by factor; exact.

    `cells` as `diagnosis.diagnose`. Factors: `mix` (who came), each step (the share of those at the step before who reach
    it) and, of retention, `returned` (how those who stopped at each step come back).

    Definition: Das Gupta's effects of retention = Σ share × Σ P(stopped at step) × P(back | stopped there), cell by cell;
    conversion leaves out the last factor and starts from those who did the first step. A rate that nobody could show in one
    period is taken from the other. Source: Das Gupta 1993.
    Error: percentiles of a multinomial bootstrap of each period.
    """
    old, new = (_counts(cells, list(dimensions), len(steps), p, kpi) for p in _PERIODS)
    rng = np.random.default_rng(seed)
    sides = [_factors(_with_draws(c, draws, rng), steps, kpi) for c in (old, new)]
    before, after = ({k: _known(a[k], b[k]) for k in a} for a, b in (sides, sides[::-1]))
    parts = factor_effects(before, after, _formula(list(before), kpi)).parts
    # One draw's sum over cells; the total of all of them has no meaning.
    sums = {k: np.asarray(v).sum(axis=1) for k, v in parts.items()}
    tails = ((1 - level) / 2, (1 + level) / 2)
    ends = {k: np.quantile(v[1:], tails) if len(v) > 1 else (np.nan, np.nan) for k, v in sums.items()}
    rows = [(k, float(v[0]), float(ends[k][0]), float(ends[k][1])) for k, v in sums.items()]
    return Effects(pd.DataFrame(rows, columns=["factor", "contribution", "low", "high"]), parts, tails)


def _counts(cells: pd.DataFrame, names: list[str], k: int, period: str, kpi: str) -> np.ndarray:
    """Cells × steps reached × (left, returned), the cells in the order of their names."""
    keys = cells.groupby(names, dropna=False).ngroup() if names else pd.Series(0, index=cells.index)
    order = cells.assign(_cell=keys)
    found = np.zeros((int(keys.max()) + 1, k + 1, 2))
    rows = order[order["period"] == period]
    if kpi == "conversion":
        rows = rows[rows["reached"] > 0].assign(returned=0)
    at = (rows["_cell"].to_numpy(), rows["reached"].to_numpy(int))
    np.add.at(found, (*at, 0), (rows["users"] - rows["returned"]).to_numpy(float))
    np.add.at(found, (*at, 1), rows["returned"].to_numpy(float))
    return found


def _with_draws(counts: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """The counts, then `draws` samples of them."""
    n = counts.sum()
    again = rng.multinomial(round(n), counts.ravel() / n, size=draws).reshape(draws, *counts.shape)
    return np.concatenate([counts[None], again.astype(float)])


def _factors(counts: np.ndarray, steps: Sequence[str], kpi: str) -> dict[str, np.ndarray]:
    """Share of users, the steps' rates (draws × cells), and the return rate by steps reached (one axis more)."""
    users = counts.sum(axis=3)
    at_least = users[..., ::-1].cumsum(axis=2)[..., ::-1]
    with np.errstate(invalid="ignore"):
        rates = at_least[..., 1:] / at_least[..., :-1]
        back = counts[..., 1] / users
        found = {"mix": at_least[..., 0] / at_least[..., 0].sum(axis=1, keepdims=True)}
    found |= {step: rates[..., i] for i, step in enumerate(steps)}
    return found | ({"returned": back} if kpi == "retention" else {})


def _known(values: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.nan_to_num(np.where(np.isnan(values), other, values))


def _formula(names: list[str], kpi: str):
    steps = [n for n in names if n not in ("mix", "returned")]

    def conversion(**f: np.ndarray) -> np.ndarray:
        return f["mix"] * np.prod([f[s] for s in steps], axis=0)

    def retention(**f: np.ndarray) -> np.ndarray:
        result, here = 0.0, np.ones_like(f["mix"])
        for i, step in enumerate(steps):
            result = result + here * (1 - f[step]) * f["returned"][..., i]
            here = here * f[step]
        return f["mix"] * (result + here * f["returned"][..., len(steps)])

    return conversion if kpi == "conversion" else retention
