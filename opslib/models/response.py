"""What spend brings: carry-over and saturation of each paid channel from the series of spend and outcome.

Correlation in time, not proof: channels that were always raised together cannot be told apart, and demand that drives
spend looks like its effect. Vary spend on purpose to know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import optimize, signal

from opslib.errors import TooLittleError
from opslib.models.budget import HillResponse
from opslib.text import names, say

DECAYS = tuple(np.arange(0, 0.95, 0.1).round(1))
HALVES = tuple(np.geomspace(0.2, 5, 9))  # of the mean spend in periods with any


def carried(spend: ArrayLike, decay: float) -> np.ndarray:
    """Spend as it works: each period keeps `decay` of the one before. Weights sum to 1, so constant spend stays the same."""
    return signal.lfilter([1 - decay], [1, -decay], np.asarray(spend, float), axis=0)


def saturated(spend: ArrayLike, half: float) -> np.ndarray:
    """x / (half + x): at `half`, half of the most that a channel can bring."""
    x = np.asarray(spend, float)
    return x / (half + x)


@dataclass(frozen=True)
class ResponseFit:
    """A fitted model. `channels` has a row per channel; `fitted` and `residual` a value per period; `curves` are at constant
    spend.

    Columns of `channels`: `decay`, `half`, `top` (most it can bring in a period), `spend`, `contribution`, `roi`
    (contribution / spend), `marginal` (return of the next unit at mean spend), `largest` (spend in a period; beyond
    it the curve is a guess).
    """

    channels: pd.DataFrame
    fitted: np.ndarray
    residual: np.ndarray
    r2: float
    base: np.ndarray

    @property
    def curves(self) -> list[HillResponse]:
        """Each channel's outcome per period at constant spend; a guess beyond `channels.largest`."""
        return [HillResponse(*c) for c in zip(self.channels.top.tolist(), self.channels.half.tolist(), strict=True)]

    def features(self, spend: pd.DataFrame) -> np.ndarray:
        """Each channel's carried and saturated spend, from the first period of the fit on."""
        pairs = zip(spend.columns, self.channels.decay, self.channels.half, strict=True)
        return np.column_stack([saturated(carried(spend[c], d), h) for c, d, h in pairs])


def fit_response(
    y: ArrayLike, spend: pd.DataFrame, *, controls: pd.DataFrame | None = None, season: float | None = 365.25 / 7
) -> ResponseFit:
    """Outcome = base + trend + season + controls + Σ over channels of top × saturation(carry-over of spend), top >= 0.

    A row per period in all of them; `season` is the length of a year in periods (None for no season), followed by two
    harmonics; `controls` are series that spend does not move.

    Definition: least squares; for given carry-over and saturation the rest is linear (non-negative for channels).
    These are searched on a grid (`DECAYS`, `HALVES` × mean spend), channel after channel, until none improves.
    Error: see `response_draws` and `hold_out_error`; a fit alone says little.
    Source: Jin et al. (2017), Bayesian methods for media mix modeling with carryover and shape effects (the shapes).

    Raises
    ------
    TooLittleError  if there are fewer periods than unknowns + 10, or a channel has spend in fewer than five periods.
    ValueError      if spend is negative or a value is missing.
    """
    target = np.asarray(y, float)
    table = _checked(target, spend, controls)
    return _fit(target, table, _Search(table, _base(table, controls, season)))


def response_draws(
    fit: ResponseFit,
    spend: pd.DataFrame,
    *,
    controls: pd.DataFrame | None = None,
    season: float | None = 365.25 / 7,
    draws: int = 100,
    block: int = 8,
    seed: int = 0,
) -> list[ResponseFit]:
    """The same fit on resampled residuals, for intervals of anything that follows from it.

    Definition: blocks of `block` neighbouring residuals are drawn and added to the fitted values, because neighbouring
    periods err alike; every draw searches carry-over and saturation anew.
    """
    rng, n = np.random.default_rng(seed), fit.fitted.size
    search = _Search(spend, _base(spend, controls, season))
    noise = fit.residual - fit.residual.mean()
    found = []
    for _ in range(draws):
        starts = rng.integers(0, max(n - block, 1), -(-n // block))
        shuffled = np.concatenate([noise[s : s + block] for s in starts])[:n]
        found.append(_fit(fit.fitted + shuffled, spend, search))
    return found


@dataclass(frozen=True)
class HoldOutError:
    """Mean absolute percentage error of the model and of a naive forecast over the periods that the fit did not see."""

    model: float
    naive: float
    naive_rule: str
    predicted: np.ndarray
    actual: np.ndarray


def hold_out_error(
    y: ArrayLike,
    spend: pd.DataFrame,
    *,
    last: int,
    controls: pd.DataFrame | None = None,
    season: float | None = 365.25 / 7,
) -> HoldOutError:
    """How far the model is off on the `last` periods, beside the value of a season before (or the last one seen).

    Spend and controls of these periods are taken as known, which flatters the model where they have to be forecast.
    """
    target, train = np.asarray(y, float), np.size(y) - last
    base = _base(spend, controls, season)
    seen = None if controls is None else controls.iloc[:train]
    table = _checked(target[:train], spend.iloc[:train], seen)
    fit = _fit(target[:train], table, _Search(table, base[:train]))
    linear = fit.features(spend) @ fit.channels.top.to_numpy() + base @ fit.base
    lag = round(season) if season else 0
    yearly = 0 < last <= lag < train
    naive = target[train - lag : train - lag + last] if yearly else np.repeat(target[train - 1], last)
    actual = target[train:]
    off = [float(np.mean(np.abs(guess - actual) / np.abs(actual))) for guess in (linear[train:], naive)]
    return HoldOutError(off[0], off[1], "season before" if yearly else "last value", linear[train:], actual)


def _checked(y: np.ndarray, spend: pd.DataFrame, controls: pd.DataFrame | None) -> pd.DataFrame:
    values = [y, spend.to_numpy(float), *([] if controls is None else [controls.to_numpy(float)])]
    if any(len(v) != y.size or not np.isfinite(v).all() for v in values) or (values[1] < 0).any():
        raise ValueError("response: outcome, spend (>= 0) and controls need a value for every period")
    idle = [str(c) for c in spend if (spend[c] > 0).sum() < 5]
    if idle:
        raise TooLittleError(
            say(
                zh="{names}有花费的期数不足 5 期，请去掉后再算",
                en="{names} had spend in fewer than five periods; leave it out",
                names=names(idle),
            )
        )
    unknowns = 3 * spend.shape[1] + 6 + (0 if controls is None else controls.shape[1])
    if y.size < unknowns + 10:
        raise TooLittleError(
            say(
                zh="估计花费与效果的关系要 {least} 期数据，现有 {has} 期（待估参数 {unknowns} 个）",
                en="a response with {unknowns} unknowns needs {least} periods, there are {has}",
                unknowns=unknowns,
                least=unknowns + 10,
                has=y.size,
            )
        )
    return spend


def _base(spend: pd.DataFrame, controls: pd.DataFrame | None, season: float | None) -> np.ndarray:
    t = np.arange(len(spend))
    columns = [np.ones(t.size), t / 100.0]
    for harmonic in (1, 2) if season else ():
        angle = 2 * np.pi * harmonic * t / (season or 1)
        columns += [np.sin(angle), np.cos(angle)]
    if controls is not None:
        scale = np.abs(controls.to_numpy(float)).max(axis=0)
        columns += list((controls.to_numpy(float) / np.where(scale > 0, scale, 1)).T)
    return np.column_stack(columns)


class _Search:
    """Every channel's candidate features, with the base taken out once; only the outcome changes between draws."""

    def __init__(self, spend: pd.DataFrame, base: np.ndarray) -> None:
        self.base, self.q = base, np.linalg.qr(base)[0]
        self.shapes, self.features, self.inner = [], [], []
        for channel in spend:
            x = spend[channel].to_numpy(float)
            shapes = [(d, h * x[x > 0].mean()) for d in DECAYS for h in HALVES]
            features = np.column_stack([saturated(carried(x, d), h) for d, h in shapes])
            self.shapes.append(shapes)
            self.features.append(features)
            self.inner.append(features - self.q @ (self.q.T @ features))

    def best(self, y: np.ndarray) -> tuple[list[int], np.ndarray]:
        """Which candidate each channel takes, and the channels' tops."""
        target = y - self.q @ (self.q.T @ y)
        chosen = [len(s) // 2 for s in self.shapes]
        columns = np.column_stack([f[:, k] for f, k in zip(self.inner, chosen, strict=True)])
        tops, loss = optimize.nnls(columns, target)
        improved = True
        while improved:
            improved = False
            for i, candidates in enumerate(self.inner):
                for k in range(candidates.shape[1]):
                    tried = columns.copy()
                    tried[:, i] = candidates[:, k]
                    found, off = optimize.nnls(tried, target)
                    if off < loss * (1 - 1e-9):
                        columns, tops, loss, chosen[i], improved = tried, found, off, k, True
        return chosen, tops


def _fit(y: np.ndarray, spend: pd.DataFrame, search: _Search) -> ResponseFit:
    chosen, tops = search.best(y)
    features = np.column_stack([f[:, k] for f, k in zip(search.features, chosen, strict=True)])
    base = np.linalg.lstsq(search.base, y - features @ tops, rcond=None)[0]
    fitted = search.base @ base + features @ tops
    shapes = np.array([s[k] for s, k in zip(search.shapes, chosen, strict=True)])
    table = pd.DataFrame({"decay": shapes[:, 0], "half": shapes[:, 1], "top": tops}, index=spend.columns)
    table["spend"] = spend.sum()
    table["contribution"] = (features * tops).sum(axis=0)
    table["roi"] = table.contribution / table.spend
    table["marginal"] = table.top * table.half / (table.half + spend.mean()) ** 2
    table["largest"] = spend.max()
    return ResponseFit(table, fitted, y - fitted, float(1 - np.var(y - fitted) / np.var(y)), base)
