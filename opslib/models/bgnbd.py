"""BG/NBD: how often customers buy while they are customers, when nobody says goodbye."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from opslib.errors import OpsError, TooLittleError
from opslib.models.moments import Number, plain
from opslib.text import say

_ALIKE = 200.0  # `a` from which customers hardly differ in their chance to leave
_BOUND = 14.0  # of the logarithm of a parameter


@dataclass(frozen=True)
class BgNbd:
    """Rates of purchase are Gamma(r, alpha) over customers; after each repeat one leaves with a Beta(a, b) chance.

    `alpha` has the unit of time of the data.

    Source: Fader, Hardie, Lee (2005), "Counting your customers" the easy way, Marketing Science 24(2).
    """

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float = np.nan
    customers: int = 0

    def alive(self, x: ArrayLike, t_x: ArrayLike, age: ArrayLike) -> Number:
        """Chance that a customer with x repeats, the last at t_x, observed for `age`, has not left.

        It is 1 for x = 0 by construction (one can leave only after a repeat), which says nothing about one-time buyers.
        """
        x, t_x, age = _checked(x, t_x, age)
        return plain(1 / (1 + self._gone(x, t_x, age)))

    def _gone(self, x: np.ndarray, t_x: np.ndarray, age: np.ndarray) -> np.ndarray:
        """Odds of having left after the last purchase."""
        log_odds = (self.r + x) * np.log((self.alpha + age) / (self.alpha + t_x))
        with np.errstate(over="ignore"):  # gone for certain
            return np.where(x > 0, self.a / (self.b + np.maximum(x, 1) - 1) * np.exp(log_odds), 0.0)

    def expected(self, t: ArrayLike) -> Number:
        """Repeat purchases that a new customer makes within t, on average."""
        t = np.asarray(t, float)
        return plain(self._purchases(0.0, self.alpha, t))

    def expected_more(self, t: ArrayLike, x: ArrayLike, t_x: ArrayLike, age: ArrayLike) -> Number:
        """Purchases that a customer with history (x, t_x, age) makes within the next t, on average."""
        x, t_x, age = _checked(x, t_x, age)
        t = np.broadcast_to(np.asarray(t, float), x.shape)
        # Histories share few pairs (x, age), and the hypergeometric function needs only those.
        rows = pd.DataFrame({"x": x.ravel(), "age": age.ravel(), "t": t.ravel()})
        pair = rows.groupby(["x", "age", "t"], sort=False).ngroup().to_numpy()
        keys = rows.drop_duplicates()
        per_pair = self._purchases(*(keys[c].to_numpy() + add for c, add in (("x", 0), ("age", self.alpha), ("t", 0))))
        return plain(per_pair[pair].reshape(x.shape) / (1 + self._gone(x, t_x, age)))

    def _purchases(self, x: Number, scale: Number, t: Number) -> np.ndarray:
        """Expected purchases within t of a customer who is there, whose rate is Gamma(r + x, scale)."""
        a = self.a + 1e-7 if abs(self.a - 1) < 1e-7 else self.a  # the formula is 0 / 0 at a = 1
        left = scale / (scale + t)
        # Euler's transformation: the direct series overflows for frequent buyers.
        with np.errstate(over="ignore", invalid="ignore"):
            series = special.hyp2f1(a + self.b - 1 - self.r, a - 1, a + self.b + x - 1, 1 - left)
            found = (a + self.b + x - 1) / (a - 1) * (1 - left ** (a - 1) * series)
        alike = ~np.isfinite(found) | (self.a > _ALIKE)
        if np.any(alike):
            x, scale, t = (np.broadcast_to(v, np.shape(found))[alike] for v in (x, scale, t))
            found = np.array(found, float)
            found[alike] = self._averaged(x, scale, t)
        return found

    def _averaged(self, x: np.ndarray, scale: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The same as a mean over the chances p to leave, Beta(a, b + x): where all are alike the series is 0 × infinity.

        So narrow a Beta is nearly normal: Gauss-Hermite with its mean and variance.
        """
        nodes, weights = np.polynomial.hermite_e.hermegauss(9)
        b = self.b + x
        spread = np.sqrt(self.a * b / (self.a + b + 1)) / (self.a + b)
        p = np.clip((self.a / (self.a + b))[:, None] + spread[:, None] * nodes, 1e-9, 1.0)
        each = -np.expm1(-(self.r + x)[:, None] * np.log1p(p * (t / scale)[:, None])) / p
        return each @ weights / weights.sum()

    def pmf(self, x: ArrayLike, t: ArrayLike) -> Number:
        """Chance that a new customer makes exactly x repeat purchases within t."""
        x, t = np.asarray(x, float), np.asarray(t, float)
        stays = self.alpha / (self.alpha + t)
        log_beta = special.betaln(self.a, self.b)
        active = np.exp(special.betaln(self.a, self.b + x) - log_beta) * stats.nbinom.pmf(x, self.r, stays)
        left = np.exp(special.betaln(self.a + 1, self.b + np.maximum(x, 1) - 1) - log_beta)
        return plain(active + np.where(x > 0, left * stats.nbinom.sf(x - 1, self.r, stays), 0.0))


def fit_bgnbd(x: ArrayLike, t_x: ArrayLike, age: ArrayLike, *, weights: ArrayLike | None = None) -> BgNbd:
    """The BG/NBD with the largest likelihood.

    `x` counts repeat purchases (the first one is not counted, purchases of a day are one), `t_x` is the time of the
    last one and `age` the time observed (T in the paper), both since the first purchase; `clv.customer_history`
    makes them. `weights` says how many customers a row stands for. Equal rows are merged, so a million customers
    take seconds.

    Definition: maximum likelihood over log parameters with exact gradients; no penalty and no prior, which would move
    the published numbers.

    Raises
    ------
    TooLittleError  if nobody bought again.
    OpsError        if the likelihood has no maximum that can be found.
    """
    x, t_x, age = _checked(x, t_x, age)
    rows = pd.DataFrame({"x": x, "t_x": t_x, "age": age, "n": 1.0 if weights is None else np.asarray(weights, float)})
    merged = rows.groupby(["x", "t_x", "age"], sort=False).n.sum().reset_index()
    data = _Data(*(merged[c].to_numpy() for c in ("x", "t_x", "age", "n")))
    if not (data.n * data.x).sum():
        raise TooLittleError(
            say(
                zh="{n:,.0f} 名买家中没有人复购，无法预测后续购买",
                en="none of {n:,.0f} customers bought again: later purchases cannot be projected",
                n=data.n.sum(),
            )
        )
    start = np.log([1.0, np.average(data.age, weights=data.n), 1.0, 2.0])
    bounds = [(-_BOUND, _BOUND)] * 4
    options = {"maxiter": 1000, "ftol": 1e-15, "gtol": 1e-10}
    found = optimize.minimize(data.loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    slope = np.where(np.abs(found.x) < _BOUND, found.jac, 0)
    if not np.isfinite(found.fun) or np.abs(slope).max() > 1e-4:
        raise OpsError(
            say(
                zh="复购模型（BG/NBD）拟合失败：找不到最大似然值（{why}）",
                en="BG/NBD: the likelihood has no maximum that can be found ({why})",
                why=str(found.message),
            ),
            say(zh="请检查购买次数和时间 x、t_x、age", en="check x, t_x and age"),
        )
    r, alpha, a, b = np.exp(found.x).tolist()
    return BgNbd(r, alpha, a, b, float(-found.fun * data.n.sum()), round(data.n.sum()))


@dataclass(frozen=True)
class _Data:
    x: np.ndarray
    t_x: np.ndarray
    age: np.ndarray
    n: np.ndarray

    def __post_init__(self) -> None:
        counts, index = np.unique(self.x, return_inverse=True)
        object.__setattr__(self, "_counts", (counts, np.bincount(index, self.n)))

    def loss(self, log_parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Minus the mean log-likelihood, and its gradient in the log parameters."""
        r, alpha, a, b = np.exp(log_parameters)
        x, n, total = self.x, self.n, self.n.sum()
        c, k = self._counts  # type: ignore[attr-defined]
        long, short = np.log(alpha + self.age), np.log(alpha + self.t_x)
        before = b + np.maximum(x, 1) - 1
        left = np.where(x > 0, np.log(a / before) + (r + x) * (long - short), -np.inf)
        gone = n * special.expit(left)
        there = n - gone
        ll = (n * (np.logaddexp(0, left) - (r + x) * long)).sum()
        log_beta = special.gammaln(a + b) - special.gammaln(b) + special.gammaln(b + c) - special.gammaln(a + b + c)
        ll += (k * (special.gammaln(r + c) - special.gammaln(r) + r * np.log(alpha) + log_beta)).sum()
        psi = special.psi
        d_r = (k * (psi(r + c) - psi(r) + np.log(alpha))).sum() - (there * long + gone * short).sum()
        d_alpha = total * r / alpha - ((r + x) * (there / (alpha + self.age) + gone / (alpha + self.t_x))).sum()
        both = (k * (psi(a + b) - psi(a + b + c))).sum()
        d_a = both + gone.sum() / a
        d_b = both + (k * (psi(b + c) - psi(b))).sum() - (gone / before).sum()
        gradient = np.array([d_r * r, d_alpha * alpha, d_a * a, d_b * b])
        return -ll / total, -gradient / total


def _checked(x: ArrayLike, t_x: ArrayLike, age: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, t_x, age = np.broadcast_arrays(*(np.asarray(v, float) for v in (x, t_x, age)))
    bad = ~((x >= 0) & (t_x >= 0) & (t_x <= age)) | ((x > 0) & (t_x <= 0)) | ((x == 0) & (t_x > 0))
    if bad.any():
        i = int(np.flatnonzero(bad.ravel())[0])
        seen = (float(v.ravel()[i]) for v in (x, t_x, age))
        raise ValueError(
            f"BG/NBD: needs 0 <= t_x <= age, and t_x > 0 just when x > 0; row {i} has x, t_x, age = {tuple(seen)}"
        )
    return x, t_x, age
