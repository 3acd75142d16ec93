"""How long units take from one step of a funnel to another: sample moments, quantiles and a histogram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Unpack

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib.metrics._funnel_rules import STEPS, Rules, checked
from opslib.metrics._funnel_segments import segmented, split_of
from opslib.metrics._funnel_times import QUANTILES, check_quantiles, step_pairs, summed, timed
from opslib.metrics._periods import numbers, whole
from opslib.metrics.funnel import Steps

MOST_BINS = 60
ONE_MINUTE = 60  # the width of the bins when all times are equal


def time_to_convert(
    events: ir.Table,
    users: ir.Table | None = None,
    *,
    steps: Steps = STEPS,
    from_step: int | None = None,
    to_step: int | None = None,
    quantiles: Sequence[float] = QUANTILES,
    breakdown: str | Sequence[str] | None = None,
    attribution: str = "first_touch",
    attribution_step: int = 1,
    limit: int = 25,
    **rules: Unpack[Rules],
) -> ir.Table:
    """Seconds from one step to another, over the units that did both.

    One row per (from_step, to_step), and per segment if there is a `breakdown`: every step from the required one before it
    and the last step from the first, or only the pair that is asked. A pair that nobody did is absent.

    Columns
    -------
    segment, other, values : as in `funnel_breakdown`, only with a breakdown
    from_step : int    where the time starts
    to_step   : int    where it ends
    users     : int    counted units (or tries) that did both
    mean_s    : float  mean, seconds
    var_s     : float  sample variance, seconds²; null for one unit
    min_s     : float  fastest, seconds
    max_s     : float  slowest, seconds
    p50_s     : float  quantile, linear between neighbours; one column for each of `quantiles`, named after the percentage

    Definition: the funnel as `funnel`, which takes the same `rules`; the times are those of the try that counts, the deepest
    of the unit and of equals the earliest (entry="latest": the one that started last, Mixpanel's optimized re-entry). In any
    order step i is the i-th done. Units that have not converted are not in it: with open windows the times look short.
    Times are kept to the millisecond.
    Error: times are skewed; compare medians (bootstrap), or means from `mean_s` and `var_s` in large samples.
    Source: terms.yml, `funnel.time_to_convert`.

    Raises
    ------
    ValueError  as `funnel_breakdown`; if from_step does not come before to_step, or a quantile is not between 0 and 1.
    UsageError  if a column does not exist.
    """
    asked = checked("time_to_convert", steps, rules)
    pairs = step_pairs(asked, from_step, to_step)
    check_quantiles(quantiles, "time_to_convert")
    split = split_of(asked, breakdown, attribution, attribution_step, limit) if breakdown is not None else None
    by = ["segment", "other", "values"] if split else []
    return summed(timed(segmented(events, users, asked, split), pairs, by), quantiles, by)


def time_histogram(
    events: ir.Table,
    *,
    steps: Steps = STEPS,
    from_step: int = 1,
    to_step: int | None = None,
    bins: int | None = None,
    edges: Sequence[float] | None = None,
    **rules: Unpack[Rules],
) -> ir.Table:
    """How many units took how long from one step to another.

    One row per bin, from the fastest time up; no rows where nobody converted.

    Columns
    -------
    low_s : int    lower edge of the bin, seconds, included; its upper edge is the next row's lower one
    users : int    counted units (or tries) in the bin; 0 where there are none

    Definition: times as `time_to_convert`. `bins` equal bins, as many as the cube root of the number of units, rounded up,
    unless asked (at most 60), from the smallest time in whole seconds up, their width rounded up to whole seconds (PostHog);
    when all times are equal the width is one minute. The last row is the upper edge of the last bin and holds only times
    that equal it. `edges` set the lower edges instead, so that two periods can share them (`bin_edges`); the last of them
    then holds everything that long or longer, and times below the first are left out.
    Error: multinomial counts; compare two histograms by their quantiles.
    Source: terms.yml, `funnel.time_to_convert`.

    Raises
    ------
    ValueError  as `time_to_convert`; if `bins` is not between 1 and 60, or `edges` do not increase.
    """
    asked = checked("time_histogram", steps, rules)
    if bins is not None:
        whole(bins, 1, MOST_BINS, "bins", "time_histogram")
    times = timed(segmented(events, None, asked, None), step_pairs(asked, from_step, to_step))
    if edges is not None:
        return _between(times, edges)
    span = times.agg(low=_.seconds.min().floor(), high=_.seconds.max(), n=_.count()).filter(_.n > 0)
    # The cube root of 27 is not always 3: rounded before it is rounded up.
    count = bins or ibis.least((_.n.cast("float64") ** (1 / 3)).round(6).ceil(), float(MOST_BINS))
    span = span.mutate(count=count).mutate(width=((_.high - _.low) / _["count"]).ceil())
    span = span.mutate(width=ibis.ifelse(_.width > 0, _.width, float(ONE_MINUTE)))
    rows = span.cross_join(numbers(MOST_BINS + 1, "bin")).filter(_.bin <= _["count"])
    hits = times.cross_join(span).mutate(hit=((_.seconds - _.low) / _.width).floor().cast("int64"))
    hits = hits.group_by("hit").agg(users=_.count())
    found = rows.left_join(hits, [("bin", "hit")]).select("bin", "low", "width", "users")
    low = (found.low + found.width * found.bin).cast("int64")
    return found.select(low_s=low, users=found.users.fill_null(0)).order_by("low_s")


def bin_edges(*samples: tuple[float, float, int], bins: int | None = None) -> list[int]:
    """The edges that histograms of several samples (smallest time, largest time, size) can share; none without times.

    From the smallest time of all, as many bins as the cube root of all samples' sizes together, rounded up, unless asked, of
    a width rounded up to whole seconds (PostHog). Empty samples do not count.

    >>> bin_edges((100, 200, 8))
    [100, 150, 200]
    """
    samples = tuple(s for s in samples if s[2] > 0)
    if not samples:
        return []
    if bins is not None:
        whole(bins, 1, MOST_BINS, "bins", "bin_edges")
    low, high = math.floor(min(s[0] for s in samples)), max(s[1] for s in samples)
    size = sum(s[2] for s in samples)
    count = bins or next(i for i in range(1, MOST_BINS + 1) if i**3 >= size or i == MOST_BINS)
    width = math.ceil((high - low) / count) or ONE_MINUTE
    return [low + i * width for i in range(count + 1)]


def _between(times: ir.Table, edges: Sequence[float]) -> ir.Table:
    edges = list(edges)
    if not edges or any(a >= b for a, b in pairwise(edges)):
        raise ValueError(f"time_histogram: edges must increase, got {edges!r}")
    inside = [(times.seconds >= low) & (times.seconds < high) for low, high in pairwise(edges)]
    inside.append(times.seconds >= edges[-1])
    counts = {f"c{i}": ibis.ifelse(hit, 1, 0).sum().fill_null(0) for i, hit in enumerate(inside)}
    rows = times.agg(**counts).cross_join(numbers(len(edges), "bin"))
    return rows.select(
        low_s=ibis.cases(*((rows.bin == i, edge) for i, edge in enumerate(edges))),
        users=ibis.cases(*((rows.bin == i, rows[f"c{i}"]) for i in range(len(edges)))),
    ).order_by("low_s")
