"""All arms and metrics of an experiment in one table, with correction, and the decision that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from opslib.errors import TooLittleError, near
from opslib.models.experiment import Effect, means, proportions, relative
from opslib.models.moments import Moments, Number, divided
from opslib.text import say

CORRECTIONS = ("bonferroni", "holm", "bh")


def corrected(p: ArrayLike, method: str = "holm") -> np.ndarray:
    """p values adjusted for being read together; NaN stays NaN and is not counted.

    Definition: Bonferroni and Holm keep the chance of any false alarm (primary decisions), Benjamini–Hochberg (`bh`)
    the share of false ones among the alarms (secondary metrics, segments). Compare with the alpha of a single p.
    Source: Holm (1979); Benjamini, Hochberg (1995) JRSSB 57:289. Not by statsmodels, whose `multipletests` collects the
    interpreter's garbage at each call: 0.2 s for three numbers.
    """
    if method not in CORRECTIONS:
        raise ValueError(f"corrected: method must be one of {', '.join(CORRECTIONS)}, got {method!r}")
    raw = np.asarray(p, float)
    out, known = np.full(raw.shape, np.nan), ~np.isnan(raw)
    out[known] = np.minimum(_adjusted(raw[known], method), 1.0)
    return out


def _adjusted(p: np.ndarray, method: str) -> np.ndarray:
    """p values times what the method asks, in the order of p never falling; may exceed 1."""
    n, order = p.size, np.argsort(p)
    if method == "bonferroni":
        return p * n
    ranked = p[order]
    if method == "holm":
        stepped = np.maximum.accumulate(ranked * np.arange(n, 0, -1))
    else:
        stepped = np.minimum.accumulate((ranked * n / np.arange(1, n + 1))[::-1])[::-1]
    out = np.empty(n)
    out[order] = stepped
    return out


def bonferroni_level(confidence: float, comparisons: int) -> float:
    """The confidence at which each of several comparisons is judged so that all hold at `confidence` together.

    >>> round(bonferroni_level(0.95, 6), 4)
    0.9917
    """
    return 1 - (1 - confidence) / comparisons


def readout(table: pd.DataFrame, control: str, *, alpha: float = 0.05, minimum: int = 30) -> pd.DataFrame:
    """Every treatment against the control on every metric.

    One row per (metric, variant) other than the control. `table` has a row per (metric, variant): `metric`, `variant`,
    `kind` ("proportion" or "mean"), `n`, `mean`, `var` (`Moments`; adjusted by CUPED or not).

    Columns
    -------
    metric, variant, kind : str
    control, treatment    : float  what each arm measured
    diff, low, high, p    : float  absolute difference, 1 − alpha interval, p
    lift, lift_low, lift_high, lift_p : float  relative to |control|, delta method
    p_holm, p_bh          : float  p corrected over the whole table
    se                    : float  of diff
    n_control, n          : int    users per arm
    enough                : bool   False where an arm has under `minimum` users (a mean) or varies in neither arm: the
                                   interval and p are blank then, and the row does not count in the correction

    Raises
    ------
    ValueError  if the control is not among the variants of a metric.
    """
    rows = []
    for metric, arms in table.groupby("metric", sort=False):
        by_variant = {a.variant: a for a in arms.itertuples()}
        if control not in by_variant:
            raise ValueError(f"readout: {metric!r} has no variant {control!r}; {near(control, map(str, by_variant))}")
        base = by_variant.pop(control)
        rows += [_row(base, arm, alpha, minimum) for arm in by_variant.values()]
    out = pd.DataFrame(rows)
    out["p_holm"], out["p_bh"] = corrected(out.p, "holm"), corrected(out.p, "bh")
    return out


def _row(a: Any, b: Any, alpha: float, minimum: int) -> dict[str, Any]:
    control, treatment = Moments(a.n, a.mean, a.var), Moments(b.n, b.mean, b.var)
    if b.kind == "proportion":
        absolute = proportions((round(a.n * a.mean), round(b.n * b.mean)), (a.n, b.n), alpha=alpha)
        enough = min(a.n, b.n) > 0
    else:
        absolute = means(control, treatment, alpha=alpha)
        enough = min(a.n, b.n) >= minimum and np.isfinite(absolute.p)
    lift = relative(control, treatment, alpha=alpha)
    row = {"metric": b.metric, "variant": b.variant, "kind": b.kind, "control": a.mean, "treatment": b.mean}
    row |= {"diff": absolute.value, "lift": lift.value}
    judged = {**_judged("", absolute), **_judged("lift_", lift), "se": absolute.se}
    row |= judged if enough else dict.fromkeys(judged, np.nan)
    return row | {"n_control": int(a.n), "n": int(b.n), "enough": bool(enough)}


def _judged(prefix: str, effect: Effect) -> dict[str, float]:
    return {f"{prefix}{name}": getattr(effect, name) for name in ("low", "high", "p")}


@dataclass(frozen=True)
class Trend:
    """How an effect changes with the days since the start: its slope per day, and what was left of it at the end."""

    slope: float
    low: float
    high: float
    p: float
    first: float
    last: float


def novelty(day: ArrayLike, effect: ArrayLike, se: ArrayLike, *, alpha: float = 0.05) -> Trend:
    """Whether the effect fades (novelty) or grows (learning): a weighted line through the daily effects.

    Definition: least squares with weights 1 / se²; the slope's error comes from these standard errors, so the days
    must be independent readings (each user counted on the first day only, or daily metrics of disjoint users).

    Raises
    ------
    TooLittleError  if fewer than three days have an effect with an error.
    """
    x, y, s = (np.asarray(v, float) for v in (day, effect, se))
    use = np.isfinite(x) & np.isfinite(y) & (s > 0)
    if use.sum() < 3:
        raise TooLittleError(
            say(
                zh="判断新奇效应至少要 3 天有效果及其误差，现有 {n} 天",
                en="novelty needs 3 days with an effect and its error, has {n}",
                n=use.sum(),
            )
        )
    x, y, w = x[use], y[use], s[use] ** -2
    centre = np.average(x, weights=w)
    spread = (w * (x - centre) ** 2).sum()
    slope, error = (w * (x - centre) * y).sum() / spread, spread**-0.5
    half = stats.norm.isf(alpha / 2) * error
    level = np.average(y, weights=w)
    ends = level + slope * (np.array([x.min(), x.max()]) - centre)
    p = 2 * stats.norm.sf(abs(slope) / error)
    return Trend(float(slope), float(slope - half), float(slope + half), float(p), float(ends[0]), float(ends[1]))


def exposed_steps(exposed: float, users: Sequence[float]) -> pd.DataFrame:
    """Funnel steps of one arm over everybody exposed, and over the step before for contrast.

    One row per step: `users`, `over_exposed`, `over_previous`. Compare arms by `over_exposed` only: the users who reach
    a step differ between arms, so a step-to-step rate can fall while every treatment effect is good.
    """
    hits = np.asarray(users, float)
    before = np.concatenate([[exposed], hits[:-1]])
    return pd.DataFrame({"users": hits, "over_exposed": divided(hits, exposed), "over_previous": divided(hits, before)})


def mean_of_rates(hits: ArrayLike, of: ArrayLike) -> tuple[Number, Number]:
    """Plain mean over users of hits / of, and the pooled Σ hits / Σ of, which heavy users dominate.

    Users whose `of` is 0 have no rate and are left out of both.
    """
    hits, of = np.asarray(hits, float), np.asarray(of, float)
    use = of > 0
    return divided((hits[use] / of[use]).sum(), use.sum()), divided(hits[use].sum(), of[use].sum())


def decision(
    primary: Effect, *, split_ok: bool, guardrails: Sequence[Effect] = (), margin: float = 0.0, alpha: float = 0.05
) -> str:
    """What to do: `stop`, `reject`, `ship`, `harm` or `undecided`.

    Definition: `stop` when the split is broken (no effect is read); `harm` when the primary metric falls for certain;
    `reject` when a guardrail's interval reaches below −margin; `ship` when the primary metric rises with p < alpha and
    every guardrail holds; otherwise `undecided`. Effects are oriented so that up is good.
    """
    if not split_ok:
        return "stop"
    if not np.isfinite(primary.p) or primary.p >= alpha:
        return "undecided"
    if primary.value < 0:
        return "harm"
    return "ship" if all(g.low >= -margin for g in guardrails) else "reject"
