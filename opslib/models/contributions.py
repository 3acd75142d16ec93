"""What the causes found by `localize` moved, in units of the overall rate, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from opslib.models.factors import factor_effects
from opslib.models.scores import Counted, Design, StepModel, fit, models


@dataclass(frozen=True)
class Contributions:
    """Per kind (mix, then each step) the effect of each cause, and the same of each bootstrap sample (draws × causes)."""

    effects: list[np.ndarray]
    sample: list[np.ndarray]
    level: float

    def interval(self, causes: Sequence[tuple[int, int]]) -> tuple[float, float]:
        """Of what some causes, each by kind and place, moved together; blank without a sample."""
        together = sum((self.sample[kind][:, i] for kind, i in causes), np.zeros(len(self.sample[0])))
        if not len(together):
            return np.nan, np.nan
        low, high = np.quantile(together, [(1 - self.level) / 2, (1 + self.level) / 2])
        return float(low), float(high)


def contributions(
    counts: Counted, causes: Sequence[np.ndarray], draws: int, rng: np.random.Generator, level: float
) -> Contributions:
    """The joint effects of the chosen causes; `causes` has one rows × causes 0/1 matrix per kind."""
    designs = [Design.of(np.column_stack([np.ones(len(causes[0])), causes[0]])), *map(Design.of, causes[1:])]
    betas = _coefficients(counts, designs)
    point = _effects(counts, designs, betas)
    sample = []
    for _ in range(draws if any(x.shape[1] for x in causes) else 0):
        again = counts.redrawn(rng)
        sample.append(_effects(again, designs, _coefficients(again, designs, betas)))
    return Contributions(
        point, [np.array([s[k] for s in sample]).reshape(len(sample), len(own)) for k, own in enumerate(point)], level
    )


def _coefficients(
    counts: Counted, designs: Sequence[Design], start: Sequence[np.ndarray] | None = None
) -> list[np.ndarray]:
    """Log relative changes of each kind's causes; of mix, the growth of everybody comes first."""
    pairs = zip(models(counts), designs, strict=True)
    return [fit(m, x, None if start is None else start[k]) for k, (m, x) in enumerate(pairs)]


def _effects(counts: Counted, designs: Sequence[Design], betas: Sequence[np.ndarray]) -> list[np.ndarray]:
    steps = [_step_effects(counts, k, step, designs[k], betas[k]) for k, step in enumerate(counts.steps(), start=1)]
    return [_mix_effects(counts, designs[0], betas[0]), *steps]


def _step_effects(counts: Counted, k: int, step: StepModel, x: Design, beta: np.ndarray) -> np.ndarray:
    if len(beta) == 0:
        return np.zeros(0)
    worth, base = counts.worth(k), step.base(x.at(beta))
    # No rate is above 1, whatever a cause that counters another would make of it alone.
    return _switched(beta, lambda eta: float(worth @ np.minimum(base * np.exp(x.at(eta)), 1)))


def _mix_effects(counts: Counted, x: Design, beta: np.ndarray) -> np.ndarray:
    """The conversion at mean rates, with each cause's growth of entries undone and put back."""
    if len(beta) == 1:
        return np.zeros(0)
    base = counts.entries()[1] * np.exp(-x.at(beta))
    entries, hits = x.sums(base), x.sums(base * counts.mean_rate())

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
