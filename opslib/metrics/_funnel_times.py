"""The times between the steps of tries: which pairs of steps, how long each try took, and what sums describe that."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib.metrics._funnel_rules import Funnel
from opslib.metrics._periods import numbers

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


def check_quantiles(quantiles: Sequence[float], metric: str) -> None:
    if isinstance(quantiles, str) or not all(0 <= q <= 1 for q in quantiles):
        raise ValueError(f"{metric}: quantiles must be between 0 and 1, got {quantiles!r}")


def step_pairs(funnel: Funnel, from_step: int | None = None, to_step: int | None = None) -> list[tuple[int, int]]:
    """The steps between which time is measured."""
    if from_step is None and to_step is None:
        last = funnel.required[-1]
        pairs = [(funnel.anchor(i), i) for i in funnel.numbers[1:]]
        return pairs if (1, last) in pairs or last == 1 else [*pairs, (1, last)]
    start, end = funnel.step(1 if from_step is None else from_step, "from_step"), funnel.step(to_step, "to_step")
    if start >= end:
        raise ValueError(f"{funnel.metric}: from_step must come before to_step, got {start} and {end}")
    return [(start, end)]


def timed(tried: ir.Table, pairs: list[tuple[int, int]], by: Sequence[str] = ()) -> ir.Table:
    """One row per try and pair of steps that it did, with the `seconds` between them."""
    if not pairs:  # a funnel of one step takes no time
        pairs = [(1, 1)]
        tried = tried.filter(ibis.literal(False))
    crossed = tried.cross_join(numbers(len(pairs), "pair"))

    def of_pair(values: Sequence[ir.Value | int]) -> ir.Value:
        return ibis.cases(*((crossed.pair == i, value) for i, value in enumerate(values)))

    start, end = of_pair([crossed[f"t{a}"] for a, _b in pairs]), of_pair([crossed[f"t{b}"] for _a, b in pairs])
    lasted = crossed.select(
        *by,
        from_step=of_pair([a for a, _b in pairs]),
        to_step=of_pair([b for _a, b in pairs]),
        seconds=end.delta(start, unit="millisecond") / 1000.0,
    )
    return lasted.filter(lasted.seconds.notnull())


def summed(lasted: ir.Table, quantiles: Sequence[float], by: Sequence[str] = ()) -> ir.Table:
    """One row per pair of steps of `timed`, and per value of `by`: users, mean_s, var_s, min_s, max_s and `p<percentage>_s`."""
    keys = [*by, "from_step", "to_step"]
    group = ibis.window(group_by=keys)
    lasted = lasted.mutate(
        place=ibis.row_number().over(ibis.window(group_by=keys, order_by="seconds")), last=_.count().over(group) - 1
    )
    # A quantile is a weighted sum of the ordered times, of which only the two neighbours have a weight.
    shares = {f"p{q * 100:g}_s": 1.0 - (_.place - _["last"] * q).abs() for q in quantiles}
    return (
        lasted.group_by(keys)
        .agg(
            users=_.count(),
            mean_s=_.seconds.mean(),
            var_s=_.seconds.var(how="sample"),
            min_s=_.seconds.min(),
            max_s=_.seconds.max(),
            **{name: (_.seconds * ibis.greatest(share, 0.0)).sum() for name, share in shares.items()},
        )
        .order_by(*keys)
    )
