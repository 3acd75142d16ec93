"""Two periods' new users by cell, counted along a funnel or until they came back, and what a change of each rate is worth."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from opslib.models.factors import factor_effects
from opslib.models.scores import StepModel, over

THIN = 0.9  # of what a comparison within cells tells; strata that leave less are too small


@dataclass(frozen=True)
class Counts:
    """Users who reached each step, steps × cells, before and after; the rate is the last step's over the first's."""

    before: np.ndarray
    after: np.ndarray

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each cell, before and after."""
        return self.before[0], self.after[0]

    def change(self) -> float:
        """Of the conversion from the first step to the last."""
        (n0, h0), (n1, h1) = ((side[0].sum(), side[-1].sum()) for side in (self.before, self.after))
        return float(h1 / n1 - h0 / n0)

    def change_se(self) -> float:
        """Standard error of the change: two binomial rates."""
        return _change_se([(side[0].sum(), side[-1].sum()) for side in (self.before, self.after)])

    def redrawn(self, rng: np.random.Generator) -> Counts:
        """A parametric bootstrap sample: multinomial entries, binomial steps."""
        return Counts(_redrawn(self.before, rng), _redrawn(self.after, rng))

    def steps(self) -> list[StepModel]:
        """The model of each step's rate."""
        return [
            StepModel(self.before[k - 1], self.before[k], self.after[k - 1], self.after[k])
            for k in range(1, len(self.before))
        ]

    def rows(self, kind: int, cells: Any) -> Any:
        """The cells of a matrix as the rows of a kind's model."""
        return cells

    def worth(self, kind: int) -> np.ndarray:
        """What a point of a step's rate is worth in the overall conversion, by cell: Das Gupta's mean of the rest."""
        before, after = (
            {"share": side[0] / side[0].sum()} | {str(j): r[j] for j in range(len(r)) if j != kind - 1}
            for side, r in zip((self.before, self.after), self._rates(), strict=True)
        )
        nothing, all_of_it = np.zeros_like(self.before[0]), np.ones_like(self.before[0])
        return factor_effects(before | {"own": nothing}, after | {"own": all_of_it}).parts["own"]

    def mean_rate(self) -> np.ndarray:
        """Of both periods, by cell."""
        r0, r1 = self._rates()
        return (r0.prod(axis=0) + r1.prod(axis=0)) / 2

    def rates_of(self, kind: int, inside: np.ndarray) -> list[float]:
        """The segment's share of entries, or its rate of a step, before and after."""
        return [_rate(side[kind][inside].sum(), (side[0] if kind == 0 else side[kind - 1][inside]).sum()) for side in (self.before, self.after)]  # fmt: skip

    def _rates(self) -> tuple[np.ndarray, np.ndarray]:
        """Step rates, steps × cells, before and after; a rate of nobody is the other period's."""
        return _borrowed(*((side[1:], side[:-1]) for side in (self.before, self.after)))


@dataclass(frozen=True)
class Returns:
    """Users who stopped at each step, steps + 1 × cells, and those of them who came back, before and after.

    The rate is those who came back over all. A change is looked for in each step and in coming back from where users stopped,
    where it is sharper than in the whole; how it moved the whole is the same question as ever.
    """

    users: tuple[np.ndarray, np.ndarray]
    back: tuple[np.ndarray, np.ndarray]

    def thin(self) -> bool:
        """Whether users who stopped alike are too few in a cell to be compared from one period to the other."""
        (n0, n1), (all0, all1) = self.users, self.entries()
        return bool(over(n0 * n1, n0 + n1).sum() < THIN * over(all0 * all1, all0 + all1).sum())

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        return self.users[0].sum(axis=0), self.users[1].sum(axis=0)

    def change(self) -> float:
        (n0, h0), (n1, h1) = self._sums()
        return float(h1 / n1 - h0 / n0)

    def change_se(self) -> float:
        return _change_se(self._sums())

    def _sums(self) -> list[tuple[float, float]]:
        return [(n.sum(), h.sum()) for n, h in zip(self.users, self.back, strict=True)]

    def redrawn(self, rng: np.random.Generator) -> Returns:
        """A parametric bootstrap sample: multinomial users, binomial returns."""
        users = [rng.multinomial(round(n.sum()), (n / n.sum()).ravel()).reshape(n.shape) for n in self.users]
        back = [
            rng.binomial(new, np.clip(over(h, n), 0, 1)) for new, n, h in zip(users, self.users, self.back, strict=True)
        ]
        return Returns((users[0].astype(float), users[1].astype(float)), (back[0].astype(float), back[1].astype(float)))

    def steps(self) -> list[StepModel]:
        """The model of each step, and of coming back, compared among those who stopped alike."""
        (up0, up1), k = self._reached(), len(self.users[0])
        steps = [StepModel(up0[i - 1], up0[i], up1[i - 1], up1[i]) for i in range(1, k)]
        back = StepModel(*(side.ravel() for pair in zip(self.users, self.back, strict=True) for side in pair))
        return [*steps, back]

    def _reached(self) -> tuple[np.ndarray, np.ndarray]:
        """Users who did at least so many steps."""
        return self.users[0][::-1].cumsum(axis=0)[::-1], self.users[1][::-1].cumsum(axis=0)[::-1]

    def rows(self, kind: int, cells: Any) -> Any:
        k = len(self.users[0])
        if kind < k:
            return cells
        return sparse.vstack([cells] * k, format="csc") if sparse.issparse(cells) else np.vstack([cells] * k)

    def worth(self, kind: int) -> np.ndarray:
        """What a point of a step's rate, or of coming back from each step, is worth in the whole."""
        before, after = self._factors()
        if kind < len(self.users[0]):
            own, whole = str(kind), self._whole
        else:
            own, whole = "back", self._came
        sides = before | {own: np.zeros_like(before[own])}, after | {own: np.ones_like(after[own])}
        return factor_effects(*sides, whole).parts[own].ravel()

    def mean_rate(self) -> np.ndarray:
        rates = _borrowed(*((h.sum(axis=0), n.sum(axis=0)) for n, h in zip(self.users, self.back, strict=True)))
        return (rates[0] + rates[1]) / 2

    def rates_of(self, kind: int, inside: np.ndarray) -> list[float]:
        """The segment's share of entries, or how many of it came back, before and after."""
        pairs = zip(self.users, self.back, strict=True)
        if kind == 0:
            return [_rate(n[:, inside].sum(), n.sum()) for n, _ in pairs]
        return [_rate(h[:, inside].sum(), n[:, inside].sum()) for n, h in pairs]

    def _factors(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Share of users, each step's rate and coming back; a rate of nobody is the other period's."""
        steps = _borrowed(*((up[1:], up[:-1]) for up in self._reached()))
        back = _borrowed(*((h, n) for n, h in zip(self.users, self.back, strict=True)))
        before, after = (
            {"mix": n / n.sum(), "back": b} | {str(i + 1): r for i, r in enumerate(rates)}
            for n, b, rates in zip(self.entries(), back, steps, strict=True)
        )
        return before, after

    def _whole(self, **f: np.ndarray) -> np.ndarray:
        """Those who came back, by cell."""
        return self._came(**f).sum(axis=0)

    def _came(self, **f: np.ndarray) -> np.ndarray:
        """Those who came back, by step at which they had stopped and cell."""
        here, found = f["mix"], []
        for i in range(1, len(f["back"])):
            found.append(here * (1 - f[str(i)]))
            here = here * f[str(i)]
        return np.array([*found, here]) * f["back"]


def _rate(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom else np.nan


def _change_se(sides: list[tuple[float, float]]) -> float:
    rates = [(h / n, n) for n, h in sides]
    return float(np.sqrt(sum(r * (1 - r) / n for r, n in rates)))


def _borrowed(*sides: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """top / bottom before and after; of nobody the other period's."""
    (t0, b0), (t1, b1) = sides
    r0, r1 = over(t0, b0), over(t1, b1)
    return np.where(b0 > 0, r0, r1), np.where(b1 > 0, r1, r0)


def _redrawn(side: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    entries = side[0]
    new = [rng.multinomial(round(entries.sum()), entries / entries.sum())]
    for below, reached in pairwise(side):
        new.append(rng.binomial(new[-1], np.clip(over(reached, below), 0, 1)))
    return np.array(new, dtype=float)
