"""Which rules share a conversion out over its touches, and the shares of those that go by place."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib.metrics._periods import one_of

# Shares of the first touch, of all touches between, and of the last.
SHAPES = {"u": (40.0, 20.0, 40.0), "j": (20.0, 20.0, 60.0), "inverse_j": (60.0, 20.0, 20.0)}
MODELS = ("first", "last", "last_non_direct", "linear", "time_decay", *SHAPES, "custom", "participation")


def check(
    metric: str,
    model: str,
    lookback_days: int | None,
    counted: str,
    weights: Sequence[float] | None,
    two_touch: str,
    half_life_days: float,
) -> None:
    one_of(model, MODELS, "model", metric)
    one_of(counted, ("all", "first", "last"), "counted", metric)
    one_of(two_touch, ("split_middle", "renormalise"), "two_touch", metric)
    if lookback_days is not None and not 1 <= lookback_days <= 3650:
        raise ValueError(f"{metric}: lookback_days must be between 1 and 3650 (or None), got {lookback_days}")
    if not half_life_days >= 0.1:
        raise ValueError(f"{metric}: half_life_days must be at least 0.1, got {half_life_days}")
    if model == "custom" and (weights is None or len(weights) != 3 or min(weights) < 0 or not sum(weights)):
        raise ValueError(f"{metric}: weights are three numbers >= 0 (first, between, last), got {weights}")


def shape(model: str, weights: Sequence[float] | None, two_touch: str) -> ir.FloatingValue:
    first, between, last = weights if model == "custom" and weights else SHAPES[model]
    total = first + between + last
    split = two_touch == "split_middle" or not first + last
    pair = (first + between / 2) / total if split else first / (first + last)
    return ibis.cases(
        (_.size == 1, 1.0),
        ((_.size == 2) & (_.place == 0), pair),
        (_.size == 2, 1 - pair),
        (_.place == 0, first / total),
        (_.place == _.size - 1, last / total),
        else_=between / total / (_.size - 2),
    )
