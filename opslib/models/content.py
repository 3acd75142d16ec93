"""Rates of items with exposure as denominator: drawn to their group, ranked by a bound, culled or boosted by chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import optimize, special

from opslib.errors import TooLittleError
from opslib.text import say

WIDEST = 1e6  # the prior's strength where items do not differ
KEEP = "keep testing"


def _counts(hits: Any, of: Any) -> tuple[np.ndarray, np.ndarray]:
    x, n = (np.atleast_1d(np.asarray(v, dtype=float)) for v in (hits, of))
    if x.shape != n.shape or not ((x >= 0) & (x <= n)).all():
        raise ValueError("content: hits between 0 and exposures, one pair for each item, none missing")
    return x, n


@dataclass(frozen=True)
class BetaPrior:
    """How the true rates of comparable items are spread: Beta(alpha, beta), from `items` items with exposure."""

    alpha: float
    beta: float
    items: int = 0

    @property
    def mean(self) -> float:
        return self.alpha / (self.alpha + self.beta)

    @property
    def strength(self) -> float:
        """How many exposures an item's own rate must have to weigh as much as the group's."""
        return self.alpha + self.beta


def beta_prior(hits: Any, of: Any, *, method: Literal["mle", "moments"] = "mle") -> BetaPrior:
    """The prior of a group of items from their own counts (empirical Bayes).

    One element per item: hits and exposures. Items without exposure are left out.

    Definition: maximum likelihood of the beta-binomial; `moments` matches mean and sample variance (n − 1) of the raw
    rates, which takes the noise of small items for difference between items. Where items do not differ the strength is
    capped at a million. Only pool what is comparable: a category, not the whole site.
    Source: Gelman et al., Bayesian Data Analysis 3, section 5.1; Tarone 1982 (data).

    Raises
    ------
    ValueError      if hits are not between 0 and exposures.
    TooLittleError  with fewer than two items with exposure, or when nobody, or everybody, responded.
    """
    x, n = _counts(hits, of)
    x, n = x[n > 0], n[n > 0]
    if len(x) < 2 or x.sum() == 0 or x.sum() == n.sum():
        raise TooLittleError(
            say(
                zh="估计整体水平至少要 2 个有曝光的内容，且有人响应、也有人未响应；现有 {n:,} 个内容、{hits:,.0f} 次响应",
                en="a prior needs two items with exposure and both outcomes, has {n:,} items and {hits:,.0f} hits",
                n=len(x),
                hits=x.sum(),
            )
        )
    rate = x / n
    m, v = rate.mean(), rate.var(ddof=1)
    strength = np.clip(m * (1 - m) / v - 1 if v > 0 else WIDEST, 1e-3, WIDEST)
    if method == "moments":
        return BetaPrior(float(m * strength), float((1 - m) * strength), len(x))
    if method != "mle":
        raise ValueError(f"beta_prior: method must be mle or moments, got {method!r}")

    def loss(theta: np.ndarray) -> float:
        a, b = special.expit(theta[0]) * np.exp(theta[1]), special.expit(-theta[0]) * np.exp(theta[1])
        return float(-(special.betaln(a + x, b + n - x) - special.betaln(a, b)).sum())

    middle = special.logit(np.clip(x.sum() / n.sum(), 1e-6, 1 - 1e-6))
    starts = [np.log(strength), 0.0, 5.0]
    limits = [(-20, 20), (np.log(1e-3), np.log(WIDEST))]
    fits = [optimize.minimize(loss, [middle, s], method="L-BFGS-B", bounds=limits) for s in starts]
    best = min(fits, key=lambda fit: fit.fun)
    polished = optimize.minimize(
        loss, best.x, method="Nelder-Mead", bounds=limits, options={"xatol": 1e-9, "fatol": 1e-11}
    )
    where, size = polished.x if polished.fun <= best.fun else best.x
    total = float(np.exp(size))
    return BetaPrior(float(special.expit(where)) * total, float(special.expit(-where)) * total, len(x))


def shrink(hits: Any, of: Any, prior: BetaPrior, *, level: float = 0.95) -> pd.DataFrame:
    """Each item's rate, drawn to its group's by as much as its exposure leaves open.

    One row per item.

    Columns
    -------
    rate      : float  hits / exposures; blank without exposure
    mean, sd  : float  of the posterior; without exposure they are the prior's
    low, high : float  equal-tailed posterior interval

    Definition: posterior Beta(alpha + hits, beta + exposures − hits). 3 of 3 is not a rate of 1.
    Error: the interval, given the prior; the prior's own uncertainty is small with 30 items or more.
    Source: as `beta_prior`.

    Raises
    ------
    ValueError  if hits are not between 0 and exposures.
    """
    x, n = _counts(hits, of)
    a, b = prior.alpha + x, prior.beta + n - x
    rate = np.divide(x, n, out=np.full(x.shape, np.nan), where=n > 0)
    sd = np.sqrt(a * b / (a + b + 1)) / (a + b)
    low, high = (special.betaincinv(a, b, tail) for tail in ((1 - level) / 2, (1 + level) / 2))
    return pd.DataFrame({"rate": rate, "mean": a / (a + b), "sd": sd, "low": low, "high": high})


def priors(frame: pd.DataFrame, *, hits: str, of: str, group: str, least: int = 10) -> dict[Any, BetaPrior]:
    """The prior of each group (a category); one with fewer than `least` items with exposure has that of all together.

    Raises
    ------
    TooLittleError  when even all together carry none.
    """
    everybody = beta_prior(frame[hits], frame[of])
    found = {}
    for name, items in frame.groupby(group, dropna=False):
        try:
            own = beta_prior(items[hits], items[of])
        except TooLittleError:
            own = everybody
        found[None if pd.isna(name) else name] = own if own.items >= least else everybody
    return found


def shrink_by_group(
    frame: pd.DataFrame, *, hits: str, of: str, group: str, least: int = 10, level: float = 0.95
) -> pd.DataFrame:
    """`shrink` with the prior of each item's group; adds rate, mean, sd, low, high, prior_alpha, prior_beta.

    Raises
    ------
    ValueError, TooLittleError  as `priors`.
    """
    known = priors(frame, hits=hits, of=of, group=group, least=least)
    own = [known[None if pd.isna(g) else g] for g in frame[group]]
    prior = BetaPrior(np.array([p.alpha for p in own]), np.array([p.beta for p in own]))  # type: ignore[arg-type]
    got = shrink(frame[hits], frame[of], prior, level=level).set_axis(frame.index)
    return pd.concat([frame, got.assign(prior_alpha=prior.alpha, prior_beta=prior.beta)], axis=1)


def cull_boost(
    hits: Any, of: Any, threshold: Any, prior: BetaPrior, *, cull: float = 0.05, boost: float = 0.95
) -> pd.DataFrame:
    """What to stop showing, what to show more, and what to keep testing.

    One row per item.

    Columns
    -------
    p        : float  chance that the item's true rate is above `threshold`
    mean     : float  posterior mean of the rate
    decision : str    cull where p < `cull`, boost where p > `boost`, else keep testing
    wrong    : float  chance that the decision is wrong: p of a cull, 1 − p of a boost; blank while testing

    `threshold`: one rate, or one per item (its category's average, its position's).
    Definition: posterior Beta as in `shrink`; at exactly `cull` or `boost` an item is kept.
    Error: the chance itself; of a list, the mean of `wrong` is the share of errors to expect.
    Source: posterior tail probability of the beta-binomial.

    Raises
    ------
    ValueError  if hits exceed exposures, a threshold is not in 0..1, or `cull` ≥ `boost`.
    """
    x, n = _counts(hits, of)
    limit = np.broadcast_to(np.asarray(threshold, dtype=float), x.shape)
    if not ((limit >= 0) & (limit <= 1)).all() or not 0 <= cull < boost <= 1:
        raise ValueError(f"cull_boost: thresholds in 0..1 and cull < boost, got {cull} and {boost}")
    a, b = prior.alpha + x, prior.beta + n - x
    p = special.betaincc(a, b, limit)
    decision = np.where(p < cull, "cull", np.where(p > boost, "boost", KEEP))
    wrong = np.where(p < cull, p, np.where(p > boost, 1 - p, np.nan))
    return pd.DataFrame({"p": p, "mean": a / (a + b), "decision": decision.astype(object), "wrong": wrong})


@dataclass(frozen=True)
class WilsonRank:
    """Lower bounds in the order given, and the positions of the items from best to worst."""

    lower: np.ndarray
    order: list[int]


def wilson_rank(hits: Any, of: Any, *, level: float = 0.95) -> WilsonRank:
    """Items by the lower end of the two-sided Wilson interval of their rate, best first.

    Definition: an item without exposure has no bound and comes last; of equal bounds the one with more exposure first.
    Source: Miller 2009, How Not To Sort By Average Rating; Wilson 1927.

    Raises
    ------
    ValueError  if hits are not between 0 and exposures.
    """
    x, n = _counts(hits, of)
    z2 = special.ndtri((1 + level) / 2) ** 2
    with np.errstate(all="ignore"):
        p = x / n
        lower = (p + z2 / (2 * n) - np.sqrt(z2 * (p * (1 - p) + z2 / (4 * n)) / n)) / (1 + z2 / n)
    lower = np.where(n > 0, np.clip(lower, 0, 1), np.nan)
    order = np.lexsort((-n, -np.nan_to_num(lower, nan=-1.0)))
    return WilsonRank(lower, [int(i) for i in order])
