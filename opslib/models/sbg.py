"""Shifted beta-geometric: how long subscribers stay, when those who stay are the loyal ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from opslib.errors import OpsError, TooLittleError
from opslib.models.moments import Number, plain
from opslib.text import say


@dataclass(frozen=True)
class ShiftedBetaGeometric:
    """Each subscriber leaves at every renewal with an own chance, which is Beta(alpha, beta) over subscribers.

    Source: Fader, Hardie (2007), How to project customer retention, J. Interactive Marketing 21(1).
    """

    alpha: float
    beta: float
    log_likelihood: float = np.nan

    def survival(self, t: ArrayLike) -> Number:
        """Share still there after t renewals; 1 at t = 0."""
        t = np.asarray(t, float)
        return plain(np.exp(special.betaln(self.alpha, self.beta + t) - special.betaln(self.alpha, self.beta)))

    def retention(self, t: ArrayLike) -> Number:
        """Share of those there after t − 1 renewals who stay at renewal t = 1, 2, …; it rises with t."""
        t = np.asarray(t, float)
        return plain((self.beta + t - 1) / (self.alpha + self.beta + t - 1))

    def lifetime(self, discount: float) -> float:
        """Discounted expected number of payments of a new subscriber (DEL), the first one now and undiscounted.

        `discount` is per period; at 0 the sum is (alpha + beta − 1) / (alpha − 1), infinite when alpha <= 1.
        """
        return self._payments(0, discount)

    def residual_lifetime(self, period: ArrayLike, discount: float) -> Number:
        """Discounted expected payments still to come at the end of paid period 1, 2, …, just before the renewal (DERL).

        The next payment is made with chance `retention(period)` and is not discounted.
        Source: Fader, Hardie (2010), Customer-base valuation in a contractual setting, Marketing Science 29(1).
        """
        return plain(np.asarray(self.retention(period)) * self._payments(period, discount))

    def _payments(self, age: ArrayLike, discount: float) -> Number:
        if discount < 0:
            raise ValueError(f"discount per period must be >= 0, got {discount}")
        a, b = self.alpha, self.beta + np.asarray(age, float)
        if discount == 0:
            return plain((a + b - 1) / (a - 1) if a > 1 else np.full(b.shape, np.inf))
        return plain(special.hyp2f1(1, b, a + b, 1 / (1 + discount)))


def fit_sbg(survivors: Sequence[float] | Sequence[Sequence[float]]) -> ShiftedBetaGeometric:
    """The shifted beta-geometric with the largest likelihood, from survivors at renewals 0, 1, 2, ….

    `survivors` are those of one cohort, or a list of cohorts, each with the renewals that it has seen.

    Definition: log L = Σ (left at t) ln P(leave at t) + (still there) ln S(last t). The survivors' term belongs to it.

    Raises
    ------
    ValueError      if survivors rise, or are negative.
    TooLittleError  if nobody left, or nobody stayed a renewal, or one renewal is all there is.
    """
    given: list[Any] = list(survivors)
    cohorts = [np.asarray(c, float) for c in (given if given and np.ndim(given[0]) else [given]) if len(c)]
    if any((np.diff(c) > 0).any() or (c < 0).any() for c in cohorts):
        raise ValueError("sBG: survivors must not rise and not be negative; count each subscriber once")
    longest = max((c.size for c in cohorts), default=0)
    left, stayed = np.zeros(longest), np.zeros(longest)  # by number of renewals
    for c in cohorts:
        left[1 : c.size] += -np.diff(c)
        stayed[c.size - 1] += c[-1]
    if not left.sum() or not (left[2:].sum() + stayed[2:].sum()):
        raise TooLittleError(
            say(
                zh="预测续订要求有人退订，也要有人经历过第二次续订",
                en="projecting renewals needs subscribers who left, and some who saw a second renewal",
            )
        )
    t = np.arange(longest)

    def loss(log_parameters: np.ndarray) -> float:
        a, b = np.exp(log_parameters)
        base = special.betaln(a, b)
        leaves = special.betaln(a + 1, b + np.maximum(t, 1) - 1) - base
        return -float((left * leaves + stayed * (special.betaln(a, b + t) - base)).sum())

    options = {"xatol": 1e-10, "fatol": 1e-10, "maxiter": 4000}
    found = optimize.minimize(loss, [0.0, 0.0], method="Nelder-Mead", options=options, bounds=[(-12, 12)] * 2)
    if not found.success:
        raise OpsError(
            say(
                zh="续订模型（sBG）拟合失败：找不到最大似然值（{why}）",
                en="sBG: no maximum of the likelihood found ({why})",
                why=str(found.message),
            ),
            say(zh="请检查各期的在订人数", en="check the survivors"),
        )
    alpha, beta = np.exp(found.x).tolist()
    return ShiftedBetaGeometric(alpha, beta, -float(found.fun))
