"""Before and after with control series: what the series would have been, had the campaign not run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import optimize, stats

from opslib.errors import TooLittleError
from opslib.text import say


@dataclass(frozen=True)
class Counterfactual:
    """Mean actual and predicted level after the start, their difference with interval, and the series behind them.

    `effect` is per period, `cumulative` its sum; `relative` is to the predicted mean. `series` has a row per period:
    `actual`, `predicted`, `low`, `high`, `after`.
    """

    actual: float
    predicted: float
    effect: float
    low: float
    high: float
    se: float
    p: float
    relative: float
    relative_low: float
    relative_high: float
    cumulative: float
    cumulative_low: float
    cumulative_high: float
    series: pd.DataFrame


def counterfactual(
    y: ArrayLike,
    controls: ArrayLike | None,
    after: int,
    *,
    alpha: float = 0.05,
    level_sd: float = 0.01,
    seasonal: int | None = None,
) -> Counterfactual:
    """The effect on a series over its last `after` periods, against a forecast from the time before and from controls.

    `controls` has a column per control series, over the same periods; they must not be touched by the campaign.

    Definition: local level + regression (+ a fixed seasonal pattern of `seasonal` periods), fitted on the periods
    before. The level's step is `level_sd` × sd(y), as R's CausalImpact sets by default; left free, its estimate
    triples the interval in published examples. The interval is of the mean over the periods, whose errors are
    correlated.
    Error: it holds if the relation with the controls goes on. Its width depends on `level_sd`: print
    `placebo_coverage` beside it. There is no variable selection: give few controls.
    Source: Brodersen et al. (2015) Annals of Applied Statistics 9:247. Library: statsmodels UnobservedComponents.

    Raises
    ------
    TooLittleError  if fewer periods are before than the model has unknowns plus three, or a value is missing.
    """
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    series = np.asarray(y, float)
    x = None if controls is None else np.asarray(controls, float).reshape(series.size, -1)
    before = series.size - after
    unknowns = 2 + (0 if x is None else x.shape[1]) + (seasonal or 0)
    if after < 1 or before < unknowns + 3:
        raise TooLittleError(
            say(
                zh="前后对比要求活动前至少 {least} 期、活动后至少 1 期，现有 {before} 期和 {after} 期",
                en="comparing before and after needs {least} periods before and one after, has {before} and {after}",
                least=unknowns + 3,
                before=before,
                after=after,
            )
        )
    if not np.isfinite(series).all() or (x is not None and not np.isfinite(x).all()):
        raise TooLittleError(
            say(
                zh="前后对比中有一期没有数值，请在所有序列中补齐或去掉该期",
                en="comparing before and after: a period has no value; fill or drop it in all series",
            )
        )
    centre, scale = series[:before].mean(), series[:before].std(ddof=1)
    if not scale > 0:
        raise TooLittleError(
            say(
                zh="活动前的数值没有任何变化，无法推算活动期的预期",
                en="the series does not vary before the start: there is nothing to expect from it",
            )
        )
    hidden = np.where(np.arange(series.size) < before, (series - centre) / scale, np.nan)
    if x is not None:
        spread = x[:before].std(axis=0, ddof=1)
        x = (x - x[:before].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    model = UnobservedComponents(
        hidden, "llevel", exog=x, seasonal=seasonal, stochastic_seasonal=False, mle_regression=False
    )
    mean, pointwise, total = _forecast(_fitted(model, level_sd), before)
    return _read(series, centre + scale * mean, scale * pointwise, scale * total, before, alpha)


def _fitted(model: Any, level_sd: float) -> Any:
    """The model at the likeliest noise; one bounded unknown, where a general optimiser may not end."""

    def parameters(log_variance: float) -> list[float]:
        known = {"sigma2.irregular": np.exp(log_variance), "sigma2.level": level_sd**2}
        return [known[name] for name in model.param_names]

    found = optimize.minimize_scalar(lambda v: -model.loglike(parameters(v)), bounds=(-16, 3), method="bounded")
    return model.filter(parameters(found.x))


def _forecast(fit: Any, before: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Predictions of all periods, each one's standard error, and the standard error of their mean after the start.

    Errors after the start share the state at its beginning and the steps of the level since, so their mean is followed
    through the state space instead of being taken for independent.
    """
    filtered, ssm = fit.filter_results, fit.model.ssm
    mean, pointwise = filtered.forecasts[0], np.sqrt(filtered.forecasts_error_cov[0, 0])
    horizon = range(before, fit.nobs)
    loads = np.atleast_3d(ssm["design"])[0]
    design = [loads[:, min(t, loads.shape[1] - 1)] for t in horizon]
    noise = ssm["selection"] @ ssm["state_cov"] @ ssm["selection"].T
    passed, variance = np.zeros(design[0].size), 0.0
    for row in reversed(design):  # what a state at this period adds to the sum from here on
        variance += passed @ noise @ passed  # the step taken after this period
        passed = row + ssm["transition"].T @ passed
    variance += passed @ filtered.predicted_state_cov[:, :, before] @ passed
    variance += len(design) * float(ssm["obs_cov"][0, 0])
    return mean, pointwise, float(np.sqrt(variance)) / len(design)


def _read(
    series: np.ndarray, mean: np.ndarray, pointwise: np.ndarray, se: float, before: int, alpha: float
) -> Counterfactual:
    z, after = stats.norm.isf(alpha / 2), series.size - before
    actual, predicted = float(series[before:].mean()), float(mean[before:].mean())
    effect, base = actual - predicted, abs(predicted) if predicted else np.nan
    low, high = effect - z * se, effect + z * se
    table = pd.DataFrame(
        {"actual": series, "predicted": mean, "low": mean - z * pointwise, "high": mean + z * pointwise}
    )
    table["after"] = np.arange(series.size) >= before
    return Counterfactual(
        actual=actual,
        predicted=predicted,
        effect=effect,
        low=low,
        high=high,
        se=se,
        p=float(2 * stats.norm.sf(abs(effect) / se)),
        relative=effect / base,
        relative_low=low / base,
        relative_high=high / base,
        cumulative=effect * after,
        cumulative_low=low * after,
        cumulative_high=high * after,
        series=table,
    )


@dataclass(frozen=True)
class Coverage:
    """How often the interval held 0 at starts when nothing started; `tried` of them."""

    share: float
    tried: int
    effects: pd.DataFrame


def placebo_coverage(
    y: ArrayLike,
    controls: ArrayLike | None,
    *,
    after: int,
    starts: int = 10,
    alpha: float = 0.05,
    level_sd: float = 0.01,
    seasonal: int | None = None,
) -> Coverage:
    """The same reading at pretended starts before the real one: does its interval hold the truth, which is 0?

    `y` and `controls` are the periods before the start only; `after` is the length of each pretended campaign.

    Definition: `starts` pretended starts, spread evenly over the second half of the periods before. A share well under
    1 − alpha says that the interval is too narrow for this series.

    Raises
    ------
    TooLittleError  if the periods before do not hold one pretended campaign.
    """
    series = np.asarray(y, float)
    x = None if controls is None else np.asarray(controls, float).reshape(series.size, -1)
    first, last = series.size // 2, series.size - after
    if last < first:
        raise TooLittleError(
            say(
                zh="{n} 期数据放不下一次 {after} 期的模拟活动，无法检验方法的误差",
                en="{n} periods do not hold a pretended campaign of {after}: the method's error cannot be checked",
                n=series.size,
                after=after,
            )
        )
    rows = []
    for start in np.unique(np.linspace(first, last, starts).astype(int)):
        end = start + after
        part = None if x is None else x[:end]
        got = counterfactual(series[:end], part, after, alpha=alpha, level_sd=level_sd, seasonal=seasonal)
        rows.append((int(start), got.effect, got.low, got.high, got.low <= 0 <= got.high))
    effects = pd.DataFrame(rows, columns=["start", "effect", "low", "high", "held"])
    return Coverage(float(effects.held.mean()), len(effects), effects)
