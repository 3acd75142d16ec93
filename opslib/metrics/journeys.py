"""Attribution by several rules at once, and the usual paths to a conversion of each kind of user."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics import _touched
from opslib.metrics._filters import Step, column
from opslib.metrics._periods import Period
from opslib.metrics.attribution import credit

RULES = ("first", "last", "last_non_direct", "linear", "time_decay", "u")


def credits(
    events: ir.Table,
    touches: ir.Table,
    *,
    models: Sequence[str] = RULES,
    conversion: Step = "pay",
    lookback_days: int | None = 30,
    period: Period | None = None,
    weights: Sequence[float] | None = None,
    direct: Sequence[str] = ("direct",),
) -> ir.Table:
    """Conversions and their value by channel under each of several rules.

    One row per (model, channel with credit); a null channel for conversions without a touch in the look-back.

    Columns
    -------
    model       : string  see `attribution.shares`; "custom" takes `weights`
    channel     : string
    conversions : float   credited; under each model they sum to the conversions
    value       : float   the conversions' amount, shared out in the same way

    Definition: see `attribution.shares`.
    Error: none from sampling; the spread over models is larger than that. No rule shows what a channel caused.
    Source: terms.yml, `attribution.credit`.

    Raises
    ------
    ValueError  if there is no model, or one is unknown.
    """
    if not models:
        raise ValueError("credits: needs one model or more")
    rule = partial(
        credit,
        conversion=conversion,
        lookback_days=lookback_days,
        period=period,
        weights=weights,
        direct=direct,
    )
    tables = [rule(events, touches, model=model).mutate(model=ibis.literal(model)) for model in models]
    columns = ["model", "channel", "conversions", "value"]
    return ibis.union(*(t.select(columns) for t in tables)) if len(tables) > 1 else tables[0].select(columns)


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
