"""Gamma-Gamma: how much a customer spends per purchase, shrunk to the average the less was seen of the customer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from opslib.errors import OpsError, TooLittleError
from opslib.models.moments import Number, plain
from opslib.text import say

_BOUND = 14.0  # of the logarithm of a parameter


@dataclass(frozen=True)
class GammaGamma:
    """Purchases of a customer are Gamma(p, ν), and ν is Gamma(q, gamma) over customers.

    `customers` were fitted, `left_out` had no repeat purchase with a value; `correlation` is that of frequency and mean
    value among the fitted, which the model takes to be 0: look at it.

    Source: Fader, Hardie (2013), The Gamma-Gamma model of monetary value.
    """

    p: float
    q: float
    gamma: float
    log_likelihood: float = np.nan
    customers: int = 0
    left_out: int = 0
    correlation: float = np.nan

    @property
    def mean(self) -> float:
        """Mean purchase over all customers; NaN when q <= 1 and it has none."""
        return self.p * self.gamma / (self.q - 1) if self.q > 1 else np.nan

    def expected(self, x: ArrayLike, m: ArrayLike) -> Number:
        """Mean purchase to expect of a customer with x repeats of mean value m; the overall mean when x = 0."""
        x, m = np.asarray(x, float), np.nan_to_num(np.asarray(m, float))
        known = self.p * (self.gamma + x * m) / np.where(x > 0, self.p * x + self.q - 1, 1.0)
        return plain(np.where(x > 0, known, self.mean))


def fit_gamma_gamma(x: ArrayLike, m: ArrayLike, *, weights: ArrayLike | None = None) -> GammaGamma:
    """The Gamma-Gamma with the largest likelihood, from x repeat purchases of mean value m per customer.

    Definition: only customers with x > 0 and m > 0 can be fitted; the first purchase belongs to neither x nor m.

    Raises
    ------
    TooLittleError  if fewer than two such customers differ in their mean value.
    ValueError      if a value is negative.
    """
    x, m = np.asarray(x, float), np.asarray(m, float)
    n = np.ones_like(x) if weights is None else np.asarray(weights, float)
    if (x < 0).any() or (m < 0).any():
        raise ValueError("Gamma-Gamma: frequencies and values must not be negative")
    use = (x > 0) & (m > 0) & (n > 0)
    everyone, (x, m, n) = n.sum(), (v[use] for v in (x, m, n))
    if np.unique(m).size < 2:
        raise TooLittleError(
            say(
                zh="估计客单价要求复购用户的金额有差异，现有复购用户 {n:,} 名",
                en="the value of an order needs repeat buyers of different values, has {n:,} repeat buyers",
                n=use.sum(),
            )
        )
    counts, index = np.unique(x, return_inverse=True)
    customers = np.bincount(index, n)
    scale, total = np.average(m, weights=n), n.sum()

    def loss(log_parameters: np.ndarray) -> tuple[float, np.ndarray]:
        p, q, gamma = np.exp(log_parameters)
        px, value = p * x, m / scale
        spend = np.log(gamma + x * value)
        ll = (customers * (special.gammaln(p * counts + q) - special.gammaln(p * counts))).sum()
        ll += total * (q * np.log(gamma) - special.gammaln(q))
        ll += (n * (px * np.log(x * value) - np.log(value) - (px + q) * spend)).sum()
        both = special.psi(p * counts + q)
        d_p = (customers * counts * (both - special.psi(p * counts))).sum() + (
            n * x * (np.log(x * value) - spend)
        ).sum()
        d_q = (customers * both).sum() + total * (np.log(gamma) - special.psi(q)) - (n * spend).sum()
        d_gamma = total * q / gamma - (n * (px + q) / (gamma + x * value)).sum()
        return -ll / total, -np.array([d_p * p, d_q * q, d_gamma * gamma]) / total

    options = {"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-10}
    bounds = [(-_BOUND, _BOUND)] * 3
    found = optimize.minimize(
        loss, np.log([2.0, 3.0, 1.0]), jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    slope = np.where(np.abs(found.x) < _BOUND, found.jac, 0)
    if not np.isfinite(found.fun) or np.abs(slope).max() > 1e-4:
        raise OpsError(
            say(
                zh="客单价模型（Gamma-Gamma）拟合失败：找不到最大似然值（{why}）",
                en="Gamma-Gamma: no maximum of the likelihood found ({why})",
                why=str(found.message),
            ),
            say(zh="请检查购买次数和金额 x、m", en="check x and m"),
        )
    p, q, gamma = np.exp(found.x).tolist()
    ll = -found.fun * total - (n * np.log(scale)).sum()
    covariance = np.cov(x, m, aweights=n)
    spread = np.sqrt(np.prod(np.diag(covariance)))
    r = float(covariance[0, 1] / spread) if spread > 0 else np.nan
    return GammaGamma(p, q, float(gamma * scale), float(ll), round(total), round(everyone - total), r)
