"""Why a rate moved: who came (mix) and how each group behaved (rate), to the last digit.

A segment seen in one period only has no rate in the other; it is given its own rate there, so that it counts as mix
and not as behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from opslib.errors import TooLittleError
from opslib.text import say


@dataclass(frozen=True)
class MixRate:
    """total = mix + rate + interaction; `segments` has one row per segment and sums to the same.

    `segments` columns: segment; share0, share1 (of all users); r0, r1; mix, rate, interaction, contribution (their
    sum); mix_se, rate_se. The standard errors are blank where they were not asked for.
    """

    total: float
    mix: float
    rate: float
    interaction: float
    mix_se: float
    rate_se: float
    total_se: float
    segments: pd.DataFrame


def mix_rate(
    n0: Any,
    r0: Any,
    n1: Any,
    r1: Any,
    *,
    segments: Any = None,
    interaction: bool = False,
    var0: Any = None,
    var1: Any = None,
) -> MixRate:
    """The change of an overall rate, split into who came and how each segment behaved.

    One element per segment in each of `n0, r0` (before) and `n1, r1` (after): size and rate. Rates may be any mean
    (amount per user); sizes may be shares.

    Definition: Kitagawa's midpoint weights: rate_i = (s0+s1)/2 · (r1−r0), mix_i = (s1−s0) · ((r0+r1)/2 − R), with R the
    mean of the two overall rates, so that a segment that grows counts only by how far it is from the whole; nothing is
    left over. With `interaction` the weights are of the period before (rate s0·(r1−r0), mix (s1−s0)·(r0−R0)) and what
    changed together is told apart, (s1−s0)·(r1−r0).
    Error: delta method on multinomial shares and independent rates of two separate samples. `var0`, `var1` are the
    variances of one user within a segment; left out, they are r(1−r) when all rates lie in 0..1 and sizes are counts,
    and otherwise there is no error. Not given for the three-part form.
    Source: Kitagawa 1955, JASA 50, 1168-1194; Das Gupta 1993, Census P23-186.

    Raises
    ------
    ValueError      if lengths differ or a size is negative or missing.
    TooLittleError  if a period has nobody.
    """
    n0, r0, n1, r1 = _periods(n0, r0, n1, r1)
    s0, s1 = n0 / n0.sum(), n1 / n1.sum()
    names = np.arange(len(n0)) if segments is None else list(segments)
    if len(names) != len(n0):
        raise ValueError(f"mix_rate: {len(n0)} segments have {len(names)} names")
    d, g, before, after = s1 - s0, r1 - r0, float(s0 @ r0), float(s1 @ r1)
    if interaction:
        parts = {"mix": d * (r0 - before), "rate": s0 * g, "interaction": d * g}
    else:
        centred = (r0 + r1) / 2 - (before + after) / 2
        parts = {"mix": d * centred, "rate": (s0 + s1) / 2 * g, "interaction": np.zeros_like(d)}
    variances = None if interaction else _variances(n0, r0, n1, r1, var0, var1)
    blank = np.full(len(d), np.nan)
    errors = (blank, blank, np.full(3, np.nan)) if variances is None else _errors(n0, r0, n1, r1, *variances)
    table = pd.DataFrame(
        {
            "segment": names,
            **{"share0": s0, "share1": s1, "r0": r0, "r1": r1},
            **parts,
            "contribution": sum(parts.values()),
            **{"mix_se": errors[0], "rate_se": errors[1]},
        }
    )
    sums = {name: float(part.sum()) for name, part in parts.items()}
    ses = dict(zip(("mix_se", "rate_se", "total_se"), map(float, errors[2]), strict=True))
    return MixRate(total=after - before, segments=table, **sums, **ses)


def _periods(n0: Any, r0: Any, n1: Any, r1: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    n0, r0, n1, r1 = (np.asarray(a, dtype=float) for a in (n0, r0, n1, r1))
    if not n0.shape == r0.shape == n1.shape == r1.shape or n0.ndim != 1:
        raise ValueError("mix_rate: n0, r0, n1, r1 must be lists of one length, one element per segment")
    if not ((n0 >= 0) & (n1 >= 0)).all():
        raise ValueError("mix_rate: a size is negative or missing")
    for n, when in ((n0, "before"), (n1, "after")):
        if n.sum() == 0:
            raise TooLittleError(
                say(
                    zh="变化分解要求前后两期都有用户，{when}没有用户",
                    en="a change needs users in both periods, there are none {when}",
                    when=say(zh="前一期", en="before") if when == "before" else say(zh="后一期", en="after"),
                )
            )
    r0, r1 = np.where(n0 > 0, r0, r1), np.where(n1 > 0, r1, r0)
    somewhere = (n0 > 0) | (n1 > 0)
    if not np.isfinite(r0[somewhere] + r1[somewhere]).all():
        raise ValueError("mix_rate: a segment with users has no rate")
    return n0, np.where(somewhere, r0, 0), n1, np.where(somewhere, r1, 0)


def _variances(
    n0: np.ndarray, r0: np.ndarray, n1: np.ndarray, r1: np.ndarray, var0: Any, var1: Any
) -> tuple[np.ndarray, np.ndarray] | None:
    if var0 is not None and var1 is not None:
        v0, v1 = np.asarray(var0, dtype=float), np.asarray(var1, dtype=float)
        return np.where(n0 > 0, v0, 0), np.where(n1 > 0, v1, 0)
    rates, sizes = np.concatenate([r0, r1]), np.concatenate([n0, n1])
    is_share = rates.min() >= 0 and rates.max() <= 1
    return (r0 * (1 - r0), r1 * (1 - r1)) if is_share and (sizes == np.rint(sizes)).all() else None


def _errors(
    n0: np.ndarray, r0: np.ndarray, n1: np.ndarray, r1: np.ndarray, v0: np.ndarray, v1: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standard errors of mix and rate of each segment, and of the totals (mix, rate, change)."""
    s0, s1 = n0 / n0.sum(), n1 / n1.sum()
    d, middle, rates = s1 - s0, (s0 + s1) / 2, (r0 + r1) / 2
    centred = rates - (s0 @ r0 + s1 @ r1) / 2
    mix, rate, totals = np.zeros_like(d), np.zeros_like(d), np.zeros(3)
    for n, s, r, v in ((n0, s0, r0, v0), (n1, s1, r1, v1)):
        size, noise = n.sum(), np.divide(v, n, out=np.zeros_like(v), where=n > 0)
        sign = 1 if n is n1 else -1
        # The gradient of mix_i by s_j is ±centred_i (j = i) − d_i r_j / 2, by r_j it is d_i ((j = i) − s_j) / 2.
        own = sign * centred
        square = s * own**2 - s * own * d * r + d**2 / 4 * (s @ r**2)
        mix += (square - (s * own - d / 2 * (s @ r)) ** 2) / size
        mix += d**2 / 4 * (noise * (1 - 2 * s) + s**2 @ noise)
        rate += (s * (1 - s) * (r1 - r0) ** 2 / 4) / size + middle**2 * noise
        for k, (by_share, by_rate) in enumerate([(rates, d / 2), ((r1 - r0) / 2, middle), (r, s)]):
            totals[k] += (s @ by_share**2 - (s @ by_share) ** 2) / size + by_rate**2 @ noise
    return np.sqrt(np.clip(mix, 0, None)), np.sqrt(rate), np.sqrt(totals)


def causes(
    frame: pd.DataFrame,
    dimensions: list[str],
    *,
    before: tuple[str, str] = ("n0", "hits0"),
    after: tuple[str, str] = ("n1", "hits1"),
    level: float = 0.95,
) -> pd.DataFrame:
    """Mix and rate contributions of every value of every dimension, largest first.

    One row per (dimension, value, kind). Within one dimension the contributions sum to the change; dimensions are
    views of the same change and do not add up.

    Columns
    -------
    dimension    : str
    value        : object  a missing value is a value of its own, None
    kind         : str     mix or rate
    contribution : float   change of the overall rate that it accounts for
    low, high    : float   interval
    users        : float   users of the value, both periods

    Definition: `mix_rate` over the values of one dimension at a time; `frame` holds counts, one row per cell.
    Error: normal, from the delta method; not corrected for the number of rows (`localize.locate` is).
    Source: Kitagawa 1955.

    Raises
    ------
    ValueError      if hits exceed their denominator.
    TooLittleError  if a period has nobody.
    """
    z = special.ndtri((1 + level) / 2)
    views = []
    for dimension in dimensions:
        cells = frame.groupby(dimension, dropna=False, sort=False)[[*before, *after]].sum()
        n0, h0, n1, h1 = (cells[c].to_numpy(float) for c in (*before, *after))
        if (h0 > n0).any() or (h1 > n1).any():
            raise ValueError(f"causes: {dimension!r} has more hits than users")
        r0, r1 = (np.divide(h, n, out=np.full(len(n), np.nan), where=n > 0) for h, n in ((h0, n0), (h1, n1)))
        values = [None if pd.isna(v) else v for v in cells.index]
        found = mix_rate(n0, r0, n1, r1, segments=values).segments
        for kind in ("mix", "rate"):
            size, error = found[kind], z * found[f"{kind}_se"]
            row = {"dimension": dimension, "value": found.segment.astype(object), "kind": kind, "contribution": size}
            views.append(pd.DataFrame(row | {"low": size - error, "high": size + error, "users": n0 + n1}))
    table = pd.concat(views, ignore_index=True)
    return table.sort_values("contribution", key=lambda c: -c.abs(), kind="stable", ignore_index=True)


@dataclass(frozen=True)
class Simpson:
    """Whether the whole moved against its parts.

    `reversal`: the rate effect and the total change have opposite signs. `strict`: moreover no segment seen in both
    periods moved with the total.
    """

    reversal: bool
    strict: bool
    total: float
    mix: float
    rate: float
    segments_up: int
    segments_down: int


def simpson(n0: Any, r0: Any, n1: Any, r1: Any) -> Simpson:
    """Simpson's paradox between two periods: every segment improves and the whole falls, or the reverse.

    Definition: segments of both periods only are counted; one that did not move is neither up nor down. A change of
    less than 1e-12 is none.
    Source: Simpson 1951; Kitagawa 1955 for the two effects.

    Raises
    ------
    ValueError, TooLittleError  as `mix_rate`.
    """
    found = mix_rate(n0, r0, n1, r1)
    seen = found.segments[(found.segments.share0 > 0) & (found.segments.share1 > 0)]
    moves = np.sign(np.where(np.abs(seen.r1 - seen.r0) < 1e-12, 0, seen.r1 - seen.r0))
    up, down = int((moves > 0).sum()), int((moves < 0).sum())
    total, rate = (0 if abs(v) < 1e-12 else v for v in (found.total, found.rate))
    with_total = up if total > 0 else down
    reversal = total * rate < 0
    return Simpson(reversal, reversal and with_total == 0, found.total, found.mix, found.rate, up, down)
