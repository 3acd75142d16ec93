"""Where the next yuan goes: the split of a budget over channels whose returns diminish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import optimize

from opslib.models.moments import Number, plain

_STEPS = 400  # grid on which the whole budget is split before the polish


@dataclass(frozen=True)
class LogResponse:
    """a ln(1 + x / b): every further unit brings less, without an upper limit."""

    a: float
    b: float

    def at(self, x: ArrayLike) -> Number:
        """What spend x brings."""
        return plain(self.a * np.log1p(np.asarray(x, float) / self.b))

    def marginal(self, x: ArrayLike) -> Number:
        """What the next unit brings at spend x."""
        return plain(self.a / (self.b + np.asarray(x, float)))


@dataclass(frozen=True)
class HillResponse:
    """top x^slope / (half^slope + x^slope): saturates at `top`; S-shaped for a slope above 1."""

    top: float
    half: float
    slope: float = 1.0

    def at(self, x: ArrayLike) -> Number:
        """What spend x brings."""
        z = (np.asarray(x, float) / self.half) ** self.slope
        return plain(self.top * z / (1 + z))

    def marginal(self, x: ArrayLike) -> Number:
        """What the next unit brings at spend x."""
        spend = np.maximum(np.asarray(x, float), 1e-12 * self.half)
        z = (spend / self.half) ** self.slope
        return plain(self.top * self.slope * z / (spend * (1 + z) ** 2))


Response = LogResponse | HillResponse


@dataclass(frozen=True)
class Allocation:
    """Spend per channel, what it brings, and the return of the next unit (`marginal`) beside that of all (`average`).

    `unspent` is what the upper limits left over; `shadow` is the return of one more unit of budget, which is the
    marginal return of every channel that is neither at 0 nor at a limit.
    """

    spend: np.ndarray
    response: np.ndarray
    marginal: np.ndarray
    average: np.ndarray
    total: float
    unspent: float
    shadow: float


def allocate(
    curves: Sequence[Response],
    budget: float,
    *,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
) -> Allocation:
    """The split of the budget that brings the most.

    `lower` and `upper` bound each channel's spend. Set `upper` near the largest spend observed: beyond it a curve is
    a guess.

    Definition: at the best split the next unit brings the same in every channel (not the average unit). Logarithmic
    curves are solved in closed form; any others on a grid of the whole budget by dynamic programming, which S-shaped
    curves cannot trap as they trap a local search from an equal split, then polished (SLSQP).
    Error: that of the curves: see `allocation_risk`.

    Raises
    ------
    ValueError  if there is no channel, a bound is negative or crossed, or the lower bounds exceed the budget.
    """
    n = len(curves)
    low = np.zeros(n) if lower is None else np.broadcast_to(np.asarray(lower, float), n)
    high = np.full(n, np.inf) if upper is None else np.broadcast_to(np.asarray(upper, float), n)
    if not n or (low < 0).any() or (low > high).any() or not low.sum() <= budget < np.inf:
        raise ValueError(f"allocate: needs channels, 0 <= lower <= upper and a budget of {low.sum():g} or more")
    spent = min(budget, float(high.sum()))
    high = np.minimum(high, spent)
    if all(isinstance(c, LogResponse) for c in curves):
        spend = _water(curves, spent, low, high)
    else:
        spend = _polished(curves, _gridded(curves, spent, low, high), spent, low, high)
    return valued(curves, spend, budget, low, high)


def valued(
    curves: Sequence[Response],
    spend: ArrayLike,
    budget: float | None = None,
    lower: ArrayLike = 0.0,
    upper: ArrayLike = np.inf,
) -> Allocation:
    """What a given split brings, best or not."""
    x = np.asarray(spend, float)
    response, marginal = (
        np.array([getattr(c, f)(v) for c, v in zip(curves, x, strict=True)]) for f in ("at", "marginal")
    )
    average = np.divide(response, x, out=np.full_like(x, np.nan), where=x > 0)
    edge = 1e-6 * max(float(x.sum()), 1e-12)
    free = (x > np.asarray(lower) + edge) & (x < np.asarray(upper) - edge)
    shadow = float(np.median(marginal[free])) if free.any() else float(np.max(marginal))
    left = 0.0 if budget is None else float(max(budget - x.sum(), 0.0))
    return Allocation(x, response, marginal, average, float(response.sum()), left, 0.0 if left > edge else shadow)


def _water(curves: Sequence[Response], budget: float, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """x = a / λ − b within bounds; λ from the closed form on the channels that are not at a bound, until none moves."""
    a, b = (np.array([getattr(c, k) for c in curves]) for k in "ab")

    def spent(water: float) -> float:
        return float(np.clip(a * water - b, low, high).sum()) - budget

    top = float(((high + b) / a).max())
    if spent(top) <= 0:
        return high.copy()
    water = optimize.brentq(spent, 0.0, top, xtol=1e-14 * top, rtol=1e-14)
    x = np.clip(a * water - b, low, high)
    free = (x > low) & (x < high)
    if free.any():
        water = (budget - x[~free].sum() + b[free].sum()) / a[free].sum()
        x[free] = a[free] * water - b[free]
    return x


def _gridded(curves: Sequence[Response], budget: float, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The best split in steps of the budget, channel by channel: best(i, s) = max over k of best(i − 1, s − k) + gain(i, k)."""
    room = budget - low.sum()
    step = room / _STEPS
    if step <= 0:
        return low.copy()
    k = np.arange(_STEPS + 1)
    back = k[:, None] - k[None, :]
    best, choice = np.where(k == 0, 0.0, -np.inf), []
    for curve, lo, hi in zip(curves, low, high, strict=True):
        gain = np.where(lo + k * step <= hi + 1e-9 * budget, curve.at(lo + k * step), -np.inf)
        table = np.where(back >= 0, best[back] + gain[None, :], -np.inf)
        choice.append(table.argmax(axis=1))
        best = table.max(axis=1)
    x, left = low.copy(), int(np.flatnonzero(np.isfinite(best))[-1])
    for i in range(len(curves) - 1, -1, -1):
        x[i] += choice[i][left] * step
        left -= int(choice[i][left])
    return np.minimum(x, high)


def _polished(
    curves: Sequence[Response], start: np.ndarray, budget: float, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    if not budget:
        return start
    scale = max(float(sum(c.at(budget) for c in curves)), 1e-12)

    def loss(share: np.ndarray) -> tuple[float, np.ndarray]:
        x = share * budget
        total = sum(c.at(v) for c, v in zip(curves, x, strict=True))
        return -total / scale, -np.array([c.marginal(v) for c, v in zip(curves, x, strict=True)]) * budget / scale

    whole = {"type": "eq", "fun": lambda s: s.sum() - 1, "jac": np.ones_like}
    bounds = list(zip(low / budget, high / budget, strict=True))
    options = {"ftol": 1e-14, "maxiter": 500}
    found = optimize.minimize(
        loss, start / budget, jac=True, method="SLSQP", bounds=bounds, constraints=whole, options=options
    )
    x = np.clip(found.x * budget, low, high)
    better = found.success and abs(x.sum() - budget) < 1e-6 * budget and found.fun <= loss(start / budget)[0]
    return x if better else start


@dataclass(frozen=True)
class AllocationRisk:
    """How sure the best split is. `channels` has a row per channel: `current`, `best`, `low`, `high` of its spend.

    `gain` is what the best split brings beyond the current one, `regret` what it misses on average because the curves
    are not known: the cost of being wrong.
    """

    channels: pd.DataFrame
    gain: float
    gain_low: float
    gain_high: float
    regret: float
    chance_better: float


def allocation_risk(
    curves: Sequence[Response],
    draws: Sequence[Sequence[Response]],
    current: ArrayLike,
    *,
    upper: ArrayLike | None = None,
    alpha: float = 0.1,
) -> AllocationRisk:
    """The best split of today's money, with interval, and the cost of being wrong.

    `curves` are the fitted ones, `draws` the same channels' curves in each bootstrap draw, `current` today's spend.

    Definition: the split of the fitted curves is judged under every draw against today's split (gain) and against the
    best split of that draw (regret). The interval of a channel's spend is that of the draws' best splits.
    """
    now = np.asarray(current, float)
    budget = float(now.sum())
    best = allocate(curves, budget, upper=upper).spend
    splits = [allocate(d, budget, upper=upper) for d in draws]
    totals = np.array([[valued(d, x).total for x in (now, best)] for d in draws])
    gain = totals[:, 1] - totals[:, 0]
    ends = np.quantile([s.spend for s in splits], [alpha / 2, 1 - alpha / 2], axis=0)
    low, high = np.quantile(gain, [alpha / 2, 1 - alpha / 2])
    return AllocationRisk(
        pd.DataFrame({"current": now, "best": best, "low": ends[0], "high": ends[1]}),
        float(valued(curves, best).total - valued(curves, now).total),
        float(low),
        float(high),
        float(np.mean([s.total for s in splits] - totals[:, 1])),
        float((gain > 0).mean()),
    )
