"""What the causes found by `localize` moved, in units of the overall conversion, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from opslib.models.factors import factor_effects
from opslib.models.scores import Counts, Design, MixModel, Model, StepModel, fit, over


@dataclass(frozen=True)
class Contributions:
    """Per kind (mix, then each step) the effect of each cause and its interval."""

    effects: list[np.ndarray]
    low: list[np.ndarray]
    high: list[np.ndarray]


def contributions(
    counts: Counts, causes: Sequence[np.ndarray], draws: int, rng: np.random.Generator, level: float
) -> Contributions:
    """The joint effects of the chosen causes; `causes` has one cells × causes 0/1 matrix per kind."""
    designs = [Design.of(np.column_stack([np.ones(len(causes[0])), causes[0]])), *map(Design.of, causes[1:])]
    betas = _coefficients(counts, designs)
    point = _effects(counts, designs, betas)
    sample = []
    for _ in range(draws if any(x.shape[1] for x in causes) else 0):
        again = counts.redrawn(rng)
        sample.append(_effects(again, designs, _coefficients(again, designs, betas)))
    tails = [(1 - level) / 2, (1 + level) / 2]
    ends = [
        np.quantile([s[k] for s in sample], tails, axis=0) if sample else np.full((2, len(effects)), np.nan)
        for k, effects in enumerate(point)
    ]
    return Contributions(point, [e[0] for e in ends], [e[1] for e in ends])


def _coefficients(
    counts: Counts, designs: Sequence[Design], start: Sequence[np.ndarray] | None = None
) -> list[np.ndarray]:
    """Log relative changes of each kind's causes; of mix, the growth of everybody comes first."""
    models: list[Model] = [MixModel(counts.before[0], counts.after[0])]
    models += [StepModel.of(counts, k) for k in range(1, len(designs))]
    return [
        fit(m, x, None if start is None else start[k]) for k, (m, x) in enumerate(zip(models, designs, strict=True))
    ]


def _effects(counts: Counts, designs: Sequence[Design], betas: Sequence[np.ndarray]) -> list[np.ndarray]:
    steps = [_step_effects(counts, k, designs[k], betas[k]) for k in range(1, len(designs))]
    return [_mix_effects(counts, designs[0], betas[0]), *steps]


def _rates(counts: Counts) -> tuple[np.ndarray, np.ndarray]:
    """Step rates, steps × cells, before and after; a rate of nobody is the other period's."""
    r0, r1 = (over(side[1:], side[:-1]) for side in (counts.before, counts.after))
    return np.where(counts.before[:-1] > 0, r0, r1), np.where(counts.after[:-1] > 0, r1, r0)


def _step_weight(counts: Counts, k: int) -> np.ndarray:
    """What a point of the step's rate is worth in the overall conversion, by cell: Das Gupta's mean of the rest."""
    rates = _rates(counts)
    before, after = (
        {"share": side[0] / side[0].sum()} | {str(j): r[j] for j in range(len(r)) if j != k - 1}
        for side, r in zip((counts.before, counts.after), rates, strict=True)
    )
    nothing, all_of_it = np.zeros_like(counts.before[0]), np.ones_like(counts.before[0])
    return factor_effects(before | {"own": nothing}, after | {"own": all_of_it}).parts["own"]


def _step_effects(counts: Counts, k: int, x: Design, beta: np.ndarray) -> np.ndarray:
    if len(beta) == 0:
        return np.zeros(0)
    worth = x.sums(_step_weight(counts, k) * StepModel.of(counts, k).base(x.at(beta)))
    return _switched(beta, lambda eta: float(worth @ np.exp(x.patterns @ eta)))


def _mix_effects(counts: Counts, x: Design, beta: np.ndarray) -> np.ndarray:
    """The conversion at mean rates, with each cause's growth of entries undone and put back."""
    if len(beta) == 1:
        return np.zeros(0)
    r0, r1 = _rates(counts)
    base = counts.after[0] * np.exp(-x.at(beta))
    entries, hits = x.sums(base), x.sums(base * (r0.prod(axis=0) + r1.prod(axis=0)) / 2)

    def conversion(eta: np.ndarray) -> float:
        growth = np.exp(x.patterns[:, 1:] @ eta)
        return float(hits @ growth / (entries @ growth))

    return _switched(beta[1:], conversion)


def _switched(beta: np.ndarray, value: Callable[[np.ndarray], float]) -> np.ndarray:
    """Each coefficient's effect on the value: the mean over all orders of switching them on."""
    names = [str(i) for i in range(len(beta))]
    on = dict(zip(names, beta, strict=True))
    effects = factor_effects(dict.fromkeys(names, 0.0), on, lambda **f: value(np.array(list(f.values())))).effects
    return np.array(list(effects.values()))
