"""What if: daily actives from retention, lifetime value, and the reward of a campaign."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from opslib.models.moments import Number, plain


def lifted(retention: ArrayLike, lever: float) -> np.ndarray:
    """The retention curve with day 1 and later raised by a relative `lever`; day 0 stays what it is.

    Raises
    ------
    ValueError  if a share leaves [0, 1].
    """
    curve = np.asarray(retention, float).copy()
    curve[1:] *= 1 + lever
    if not ((curve >= 0) & (curve <= 1 + 1e-12)).all():
        raise ValueError(f"retention must stay within 0 and 1, a lever of {lever:+.0%} takes it to {curve.max():.3f}")
    return curve


def project_dau(
    new: ArrayLike,
    retention: ArrayLike,
    *,
    existing: float = 0.0,
    existing_survival: ArrayLike | None = None,
    lever: float = 0.0,
) -> np.ndarray:
    """Daily active users from the users of today and those to come.

    `new` are the new users of each day from day 0, `retention` the share of them active k days later (k = 0 is 1),
    `existing` the users active before day 0 and `existing_survival` the share of them active on each day.

    Definition: DAU(t) = existing × survival(t) + Σ over k of new(t − k) × retention(k). A `lever` raises retention
    from day 1 on, for new users only. Beyond the end of the curve nobody is left: give a curve as long as the horizon.

    Raises
    ------
    ValueError  if a share leaves [0, 1], or there are existing users and no survival for each day.
    """
    arrivals, curve = np.asarray(new, float), lifted(retention, lever)
    found = np.convolve(arrivals, curve)[: arrivals.size]
    if not existing:
        return found
    survival = np.asarray([] if existing_survival is None else existing_survival, float)
    if survival.size < arrivals.size or not ((survival >= 0) & (survival <= 1)).all():
        raise ValueError(f"project_dau: existing users need a survival within 0 and 1 for {arrivals.size} days")
    return found + existing * survival[: arrivals.size]


def lifetime(retention: ArrayLike, *, lever: float = 0.0) -> float:
    """Active days of a new user within the curve, day 0 included (LT)."""
    return float(lifted(retention, lever).sum())


def lifetime_value(retention: ArrayLike, arpdau: float, *, lever: float = 0.0) -> float:
    """LT × revenue per daily active user, within the curve; take margin instead of revenue to compare it with cost."""
    return arpdau * lifetime(retention, lever=lever)


@dataclass(frozen=True)
class Reward:
    """Response to a reward r: `base` converts anyway, `extra` × r / (r + `half`) more; a conversion earns `margin`."""

    users: float
    base: float
    margin: float
    extra: float
    half: float

    def profit(self, reward: ArrayLike) -> Number:
        """Profit beyond that without a reward; the reward is paid to those who would have come anyway, too."""
        r = np.asarray(reward, float)
        rate = self.base + self.extra * r / (r + self.half)
        return plain(self.users * (rate * (self.margin - r) - self.base * self.margin))

    def best(self) -> float:
        """The most profitable reward; 0 when none pays."""
        root = np.sqrt(self.extra * self.half * (self.margin + self.half) / (self.base + self.extra))
        return float(max(root - self.half, 0.0))

    def break_even(self) -> float:
        """The reward above which the campaign loses money; 0 when every reward does."""
        level = (self.extra * self.margin - self.base * self.half) / (self.base + self.extra)
        return float(max(level, 0.0))


def tornado(
    model: Callable[..., float], base: Mapping[str, float], ranges: Mapping[str, tuple[float, float]]
) -> pd.DataFrame:
    """How much a plain function's result depends on each of its levers, one at a time.

    One row per lever, the most important first.

    Columns
    -------
    lever         : str
    from_, to     : float  the ends of its range
    low, high     : float  result at these ends, the others at `base`
    swing         : float  |high − low|

    Raises
    ------
    ValueError  if a range is given for what is no lever of `base`.
    """
    strange = set(ranges) - set(base)
    if strange:
        raise ValueError(f"tornado: no lever {', '.join(sorted(strange))}; known: {', '.join(base)}")
    rows: list[tuple[Any, ...]] = []
    for lever, (start, end) in ranges.items():
        low, high = (float(model(**{**base, lever: v})) for v in (start, end))
        rows.append((lever, start, end, low, high, abs(high - low)))
    table = pd.DataFrame(rows, columns=["lever", "from_", "to", "low", "high", "swing"])
    return table.sort_values("swing", ascending=False, kind="stable", ignore_index=True)
