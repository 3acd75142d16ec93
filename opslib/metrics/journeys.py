"""Attribution by several rules at once, and the usual paths to a conversion of each kind of user."""

from __future__ import annotations

import math
from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics import _touched
from opslib.metrics._credit_rules import check, shape
from opslib.metrics._filters import Step, column
from opslib.metrics._periods import Period, numbers

RULES = ("first", "last", "last_non_direct", "linear", "time_decay", "u")


def credits(
    events: ir.Table,
    touches: ir.Table,
    *,
    models: Sequence[str] = RULES,
    conversion: Step = "pay",
    lookback_days: int | None = 30,
    counted: str = "all",
    period: Period | None = None,
    weights: Sequence[float] = (),
    two_touch: str = "split_middle",
    half_life_days: float = 7.0,
    direct: Sequence[str] = ("direct",),
) -> ir.Table:
    """Conversions and their value by channel under each of several rules, in one pass over the touches.

    One row per (model, channel with a touch); a null channel for conversions without a touch in the look-back.

    Columns
    -------
    model       : string  see `attribution.shares`; "custom" is added when `weights` (first, all between, last) are given
    channel     : string
    conversions : float   credited; under each model they sum to the conversions
    value       : float   the conversions' amount, shared out in the same way

    Definition: see `attribution.shares`, model by model.
    Error: none from sampling; the spread over models is larger than that. No rule shows what a channel caused.
    Source: terms.yml, `attribution.credit`.

    Raises
    ------
    ValueError  if there is no model, one is unknown, or a weight, look-back or half-life cannot be meant.
    """
    named = list(dict.fromkeys([*models, *(["custom"] if weights else [])]))
    if not named or "participation" in named:
        raise ValueError("credits: needs one model or more, of those that share a conversion out (no participation)")
    for model in named:
        check("credits", model, lookback_days, counted, weights, two_touch, half_life_days)
    events, touches = contract.keyed(events, touches)
    rows = _touched.pairs(events, touches, conversion, lookback_days, counted, period, "credits")
    at, own = ibis.window(group_by="event_id", order_by=["touched", "touch_id"]), ibis.window(group_by="event_id")
    rows = rows.mutate(place=ibis.row_number().over(at), size=_.count().over(own))
    if "time_decay" in named:
        days = _.ts.delta(_.touched, unit="millisecond") / 86_400_000.0
        rows = rows.mutate(weight=(days * (-math.log(2) / half_life_days)).exp().fill_null(1.0))
        rows = rows.mutate(weights=_.weight.sum().over(own))
    if "last_non_direct" in named:
        real = ibis.ifelse(_.channel.isin(list(direct)), -1, _.place)
        rows = rows.mutate(real=real.max().over(own))
    share = {model: _share(model, weights, two_touch) for model in named}
    rows = rows.select("channel", "amount", **share)
    sums = {f"{m}_n": rows[m].sum() for m in named} | {f"{m}_v": (rows.amount * rows[m]).sum() for m in named}
    wide = rows.group_by("channel").agg(**sums).cross_join(numbers(len(named), "which"))

    def pick(kind: str) -> ir.FloatingValue:
        return ibis.cases(*((wide.which == k, wide[f"{m}_{kind}"]) for k, m in enumerate(named)), else_=0.0)

    model = ibis.cases(*((wide.which == k, ibis.literal(m)) for k, m in enumerate(named)), else_="")
    return wide.select("channel", model=model, conversions=pick("n"), value=pick("v").fill_null(0.0)).select(
        "model", "channel", "conversions", "value"
    )


def _share(model: str, weights: Sequence[float], two_touch: str) -> ir.FloatingValue:
    """A touch's share of its conversion, of `place` (from 0) and `size`; a conversion without a touch has a row of its own."""
    if model == "linear":
        return 1.0 / _.size
    if model == "time_decay":
        return _.weight / _.weights
    if model in ("first", "last", "last_non_direct"):
        last = ibis.ifelse(_.real >= 0, _.real, _.size - 1) if model == "last_non_direct" else _.size - 1
        return ibis.ifelse(_.place == (0 if model == "first" else last), 1.0, 0.0)
    return shape(model, weights, two_touch)


def persona_journeys(
    events: ir.Table,
    touches: ir.Table,
    users: ir.Table,
    *,
    by: str = "platform",
    conversion: Step = "pay",
    lookback_days: int = 30,
    counted: str = "first",
    period: Period | None = None,
    max_touches: int = 6,
    top: int = 5,
) -> ir.Table:
    """The most common paths to a conversion, for each kind of user.

    One row per (persona, path) among the `top` of the persona, most conversions first.

    Columns
    -------
    persona     : string  the user's value of `by`; "(none)" without one
    path        : string  channels in order of time, joined by " > "; empty for conversions without a touch
    conversions : int     conversions that it led to
    of          : int     conversions of the persona
    value       : float   their amount

    Definition: a conversion's path as in `attribution.journeys`; `counted` "first" takes each user's first conversion.
    Equal counts stand in order of the path's text.
    Error: binomial on conversions / of.
    Source: terms.yml, `attribution.journey`.

    Raises
    ------
    UsageError  if `users` has no column `by`; names the near miss.
    ValueError  if `top` is below 1.
    """
    if top < 1:
        raise ValueError(f"persona_journeys: top must be at least 1, got {top}")
    value = column(users, by).cast("string")
    events, touches, kinds = contract.keyed(events, touches, users.mutate(persona=value.nullif("").fill_null("(none)")))
    won = _touched.pairs(events, touches, conversion, lookback_days, counted, period, "persona_journeys")
    won = won.join(kinds.select("user_id", "persona"), "user_id")
    won = won.select("channel", "touched", "touch_id", "amount", "persona", journey=_.event_id)
    found = _touched.paths(won, max_touches, "persona").group_by("persona", "path")
    found = found.agg(conversions=_.count(), value=_.amount.sum().fill_null(0.0))
    order = ibis.window(group_by="persona", order_by=[_.conversions.desc(), "path"])
    found = found.mutate(of=_.conversions.sum().over(group_by="persona"), rank=ibis.row_number().over(order))
    found = found.filter(_.rank < top).order_by(_.of.desc(), "persona", "rank")
    return found.select("persona", "path", "conversions", "of", "value")
