"""Score models of two periods' counts, cell by cell: who came (growth) and how often a step succeeded (relative rate).

Both are log-linear in segment indicators, so that two causes in one cell multiply, as probabilities do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Triple = tuple[np.ndarray, np.ndarray, np.ndarray]


def over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """top / bottom, and 0 where there is nobody."""
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


class Model(Protocol):
    """At a linear predictor: each cell's score, its information, and the variance of the score."""

    def at(self, eta: np.ndarray) -> Triple: ...


class Counted(Protocol):
    """Two periods' counts as `localize` takes them apart: kind 0 is who came, the others are rates on the way."""

    def entries(self) -> tuple[np.ndarray, np.ndarray]: ...
    def change(self) -> float: ...
    def change_se(self) -> float: ...
    def redrawn(self, rng: np.random.Generator) -> Counted: ...
    def steps(self) -> list[StepModel]: ...
    def rows(self, kind: int, cells: Any) -> Any: ...
    def worth(self, kind: int) -> np.ndarray: ...
    def mean_rate(self) -> np.ndarray: ...
    def rates_of(self, kind: int, inside: np.ndarray) -> list[float]: ...


@dataclass(frozen=True)
class StepModel:
    """rate after = rate before × exp(eta): the Mantel-Haenszel score, which needs no estimate per cell."""

    n0: np.ndarray
    h0: np.ndarray
    n1: np.ndarray
    h1: np.ndarray

    def base(self, eta: np.ndarray) -> np.ndarray:
        """The rate before, estimated from both periods."""
        return np.minimum(over(self.h0 + self.h1, self.n0 + np.exp(eta) * self.n1), 1)

    def at(self, eta: np.ndarray) -> Triple:
        n, times = self.n0 + self.n1, np.exp(eta)
        base = self.base(eta)
        there = np.minimum(base * times, 1)
        noise = self.n0 * there * (1 - there) + times**2 * self.n1 * base * (1 - base)
        # A variance from the pooled rate of n users is too small by (n − 1) / n.
        spread = over(self.n0 * self.n1 * noise, n * np.maximum(n - 1, 1))
        score = over(self.h1 * self.n0 - times * self.h0 * self.n1, n)
        return score, over(times * base * self.n0 * self.n1, n), spread


@dataclass(frozen=True)
class MixModel:
    """entries after : before = exp(eta), by logistic regression; counts vary `dispersion` times as much as Poisson."""

    n0: np.ndarray
    n1: np.ndarray
    dispersion: float = 1.0

    def at(self, eta: np.ndarray) -> Triple:
        n, p = self.n0 + self.n1, 1 / (1 + np.exp(-np.clip(eta, -30, 30)))
        return self.n1 - n * p, n * p * (1 - p), n * p * (1 - p) * self.dispersion


def models(counts: Counted, dispersion: float = 1.0) -> list[Model]:
    """Who came, then each rate on the way."""
    return [MixModel(*counts.entries(), dispersion), *counts.steps()]


@dataclass(frozen=True)
class Design:
    """Cells × segments of 0 and 1, kept as its few different rows and which of them each cell has."""

    patterns: np.ndarray
    index: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray) -> Design:
        code = x @ 2.0 ** np.arange(x.shape[1])
        _, first, index = np.unique(code, return_index=True, return_inverse=True)
        return cls(x[first], index)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Per pattern."""
        return np.bincount(self.index, values, minlength=len(self.patterns))

    def at(self, beta: np.ndarray) -> np.ndarray:
        """The linear predictor of every cell."""
        return (self.patterns @ beta)[self.index]


def fit(model: Model, x: Design, start: np.ndarray | None = None) -> np.ndarray:
    """The coefficients of the segments that solve the score equations.

    A segment that vanished or appeared has no finite coefficient; it is held within ±10.
    """
    beta = np.zeros(x.patterns.shape[1]) if start is None else start
    for _ in range(50 if len(beta) else 0):
        score, information, _ = model.at(x.at(beta))
        slope = x.patterns.T @ (x.sums(information)[:, None] * x.patterns)
        step = np.linalg.pinv(slope) @ (x.patterns.T @ x.sums(score))
        beta = np.clip(beta + np.clip(step, -2, 2), -10, 10)
        if np.abs(step).max() < 1e-8:
            break
    return beta
