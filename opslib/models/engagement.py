"""Engagement: what a retention curve is worth, how invitations spread, who is active, and what users pay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from opslib.errors import TooLittleError
from opslib.text import say


@dataclass(frozen=True)
class RetentionFit:
    """r(t) = a · t^b, and `lt`, the active days in days 0 to `horizon`, with its interval.

    `a`, `b` with `se_b`; the interval is blank when the sizes of the cohorts were not given.
    """

    a: float
    b: float
    se_b: float
    horizon: int
    lt: float
    low: float
    high: float

    def rate(self, t: Any) -> np.ndarray:
        """The fitted share active on day `t` ≥ 1, never above 1."""
        return np.minimum(self.a * np.asarray(t, dtype=float) ** self.b, 1.0)


def fit_retention(t: Any, rate: Any, size: Any = None, *, horizon: int = 90, level: float = 0.95) -> RetentionFit:
    """A power law through retention, and the days a user is active in the first `horizon` days.

    One element per day N ≥ 1: the day, the share active on it, and the users who could have been (`size`).

    Definition: binomial likelihood with a log link, log r = log a + b log t, so that days with many users count for
    more; without sizes all days count alike. LT_N = 1 + Σ r(k), k = 1..N: day 0 counts as one, days are summed, not
    integrated, and no day above 1. Beyond the last day observed it is an extrapolation.
    Error: delta method on the scaled information (overdispersion by Pearson's χ², at least 1), because the days share
    users.
    Source: McCullagh & Nelder 1989; the power law of retention curves, Fader & Hardie 2007 for why one fits.

    Raises
    ------
    ValueError      if a day is below 1, a rate outside 0..1, or lengths differ.
    TooLittleError  with fewer than three days, or without anybody who came back.
    """
    t, r = np.asarray(t, dtype=float), np.asarray(rate, dtype=float)
    n = np.ones_like(r) if size is None else np.asarray(size, dtype=float)
    if not t.shape == r.shape == n.shape or not ((t >= 1) & (r >= 0) & (r <= 1) & (n >= 0)).all():
        raise ValueError("fit_retention: days ≥ 1, rates in 0..1 and sizes of one length, none missing")
    t, r, n = t[n > 0], r[n > 0], n[n > 0]
    if len(t) < 3 or r.sum() == 0:
        raise TooLittleError(
            say(
                zh="留存曲线至少要 3 天有用户且有人回来，现有 {n} 天",
                en="a retention curve needs three days with users who came back, has {n} days",
                n=len(t),
            )
        )
    x = np.column_stack([np.ones_like(t), np.log(t)])
    beta, information = _log_binomial(x, r, n)
    fitted = np.exp(x @ beta)
    pearson = float((n * (r - fitted) ** 2 / (fitted * np.maximum(1 - fitted, 1e-9))).sum() / max(len(t) - 2, 1))
    covariance = np.linalg.inv(information) * max(pearson, 1.0)
    days = np.arange(1, horizon + 1)
    curve = np.exp(beta[0] + beta[1] * np.log(days))
    open_days = curve < 1
    lt = 1 + float(np.minimum(curve, 1).sum())
    slope = (curve[open_days][:, None] * np.column_stack([np.ones(horizon), np.log(days)])[open_days]).sum(axis=0)
    half = special.ndtri((1 + level) / 2) * np.sqrt(slope @ covariance @ slope) if size is not None else np.nan
    se = float(np.sqrt(covariance[1, 1])) if size is not None else np.nan
    return RetentionFit(float(np.exp(beta[0])), float(beta[1]), se, horizon, lt, float(lt - half), float(lt + half))


def _log_binomial(x: np.ndarray, r: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fisher scoring, with steps halved while a fitted rate would reach 1 (the log link does not forbid it)."""
    start = np.log(np.clip(r, 1e-4, 0.99))
    beta = np.linalg.lstsq(x * np.sqrt(n * r + 1e-9)[:, None], start * np.sqrt(n * r + 1e-9), rcond=None)[0]
    beta[0] -= max(0.0, (x @ beta).max() + 1e-3)
    for _ in range(200):
        mu = np.exp(x @ beta)
        weight = n * mu / (1 - mu)
        step = np.linalg.solve(x.T @ (weight[:, None] * x), x.T @ (n * (r - mu) / (1 - mu)))
        while (x @ (beta + step)).max() >= -1e-9 and np.abs(step).max() > 1e-14:
            step = step / 2
        beta = beta + step
        if np.abs(step).max() < 1e-13:
            break
    mu = np.exp(x @ beta)
    return beta, x.T @ ((n * mu / (1 - mu))[:, None] * x)


def viral_users(start: Any, k: Any, days: Any, cycle: Any) -> Any:
    """Users after some days when everybody invites once per cycle and `k` new users come of it.

    Definition: C₀ (K^(t/ct + 1) − 1) / (K − 1); C₀ (t/ct + 1) for K = 1; towards C₀ / (1 − K) for K < 1.
    Source: Skok, Lessons Learned: Viral Marketing.

    Raises
    ------
    ValueError  if a number is negative or the cycle is not positive.
    """
    c0, k, t, ct = (np.asarray(v, dtype=float) for v in (start, k, days, cycle))
    if not ((c0 >= 0) & (k >= 0) & (t >= 0) & (ct > 0)).all():
        raise ValueError("viral_users: start, k and days must not be negative, and the cycle must be positive")
    rounds = t / ct + 1
    near = np.abs(k - 1) < 1e-9
    with np.errstate(over="ignore"):
        total = np.where(near, c0 * rounds, c0 * (k**rounds - 1) / np.where(near, 1, k - 1))
    return float(total) if total.ndim == 0 else total


def k_factor(invitations: float, users: float, accepted: float) -> float:
    """New users per user and full cycle: invitations per user times the share accepted; blank without users.

    Definition: `users` are those whose whole cycle has been observed, whether they invited or not.
    """
    if min(invitations, users, accepted) < 0 or accepted > invitations:
        raise ValueError(f"k_factor: 0 ≤ accepted ≤ invitations, got {accepted} of {invitations}")
    return accepted / users if users else float("nan")


@dataclass(frozen=True)
class Arpu:
    """Revenue per user as a tree: arpu = payer_rate × arppu, arppu = orders_per_payer × aov."""

    arpu: float
    payer_rate: float
    arppu: float
    orders_per_payer: float
    aov: float


def arpu(users: float, payers: float, orders: float, revenue: float) -> Arpu:
    """The revenue tree of one period; blank where a denominator is 0.

    Definition: `users` are the active users of the period, `payers` those with an order in it.

    Raises
    ------
    ValueError  if payers exceed users or orders, or a number is negative.
    """
    if min(users, payers, orders, revenue) < 0 or payers > min(users, orders):
        raise ValueError(
            f"arpu: payers ({payers}) cannot exceed users ({users}) or orders ({orders}), nothing negative"
        )

    def per(top: float, bottom: float) -> float:
        return top / bottom if bottom else float("nan")

    return Arpu(
        per(revenue, users), per(payers, users), per(revenue, payers), per(orders, payers), per(revenue, orders)
    )


@dataclass(frozen=True)
class Activity:
    """Active users around one day. `daily` has one row per day of the window (day, users), days without anybody too;
    `histogram` maps the number of active days to users (the power-user curve); `stickiness` = mean of daily / mau.
    """

    dau: int
    wau: int
    mau: int
    mean_dau: float
    stickiness: float
    daily: pd.DataFrame
    histogram: dict[int, int]


def activity(user: Any, day: Any, last: int, *, window: int = 28, week: int = 7) -> Activity:
    """DAU, trailing WAU and MAU, stickiness and the power-user curve of the window that ends on day `last`.

    One element per action: who and on which (whole) day; repeats of a user on a day count once.

    Definition: the window is the `window` days up to and with `last`; the mean of daily users is over all of its days,
    also those without anybody; stickiness is blank without users.
    Source: rolling 28 days; power-user curve, Chen (a16z) 2018.

    Raises
    ------
    ValueError  if lengths differ or a window is below 1.
    """
    frame = pd.DataFrame({"user": np.asarray(user), "day": np.asarray(day)}).drop_duplicates()
    if min(window, week) < 1:
        raise ValueError(f"activity: window and week must be at least 1 day, got {window} and {week}")
    inside = frame[(frame.day > last - window) & (frame.day <= last)]
    daily = inside.groupby("day").user.size().reindex(range(last - window + 1, last + 1), fill_value=0)
    mau = int(inside.user.nunique())
    days = inside.groupby("user").size().value_counts().sort_index()
    return Activity(
        int(daily.iloc[-1]),
        int(inside.user[inside.day > last - week].nunique()),
        mau,
        float(daily.mean()),
        float(daily.mean() / mau) if mau else float("nan"),
        daily.rename("users").rename_axis("day").reset_index(),
        {int(k): int(v) for k, v in days.items()},
    )
