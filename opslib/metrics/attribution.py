"""Which touches came before a conversion, and who gets the credit under a rule.

Removal effects and Shapley values are computed from `journeys` (`models.markov`, `models.shapley`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics import _touched
from opslib.metrics._credit_rules import MODELS as MODELS
from opslib.metrics._credit_rules import check, shape
from opslib.metrics._filters import Step, _engine, column, step_holds
from opslib.metrics._periods import Day, Period, bounds, observed_until
from opslib.metrics._visits import check_step

SEPARATOR = " > "
NEVER = "2200-01-01"  # later than any touch


def touches(events: ir.Table, *, touch: Step = None, channel: str = "channel") -> ir.Table:
    """Tracked events as marketing contacts, for sources that export no table of touches.

    One row per touch, in the columns of the contract's `touches`; stays lazy, it may be long.

    Columns
    -------
    touch_id : string     the event's id
    user_id  : string
    ts, day  : timestamp, date
    channel  : string     the value of `channel`, a column or a tracker's property (`props.NAME`)

    Definition: an event that `touch` means (any, by default) and whose channel is neither absent nor empty.
    Error: none, a census of what was tracked.
    Source: terms.yml, `attribution.touch`.

    Raises
    ------
    UsageError  if there is no such column.
    """
    check_step(touch, "touch", "touches")
    rows = events.filter(step_holds(events, touch))
    rows = rows.mutate(channel=column(rows, channel).cast("string")).filter(_.channel.length() > 0)
    keys = ["user_key"] if "user_key" in events.columns else []
    return rows.select("user_id", *keys, "ts", "day", "channel", touch_id=_.event_id)


def shares(
    events: ir.Table,
    touches: ir.Table,
    *,
    conversion: Step = "pay",
    model: str = "linear",
    lookback_days: int | None = 30,
    counted: str = "all",
    period: Period | None = None,
    weights: Sequence[float] | None = None,
    two_touch: str = "split_middle",
    half_life_days: float = 7.0,
    direct: Sequence[str] = ("direct",),
) -> ir.Table:
    """Each conversion's credit, touch by touch.

    One row per (conversion, touch with credit), and one for a conversion without any touch; stays lazy, it may be long.

    Columns
    -------
    event_id : string     the conversion
    user_id  : string
    ts       : timestamp  of the conversion
    amount   : float      of the conversion
    channel  : string     of the touch; null where there was none
    share    : float      0–1; the shares of a conversion sum to 1, except under participation

    Definition: a touch counts when it came at the conversion's instant or before, at most `lookback_days` (None: any
    time) earlier, both ends included. Touches stand in order of time, equal times in order of `touch_id`. A touch may
    serve several conversions of its user; `counted` "first" or "last" keeps one conversion of each user. Models:
    first, last, last_non_direct (the last touch not in `direct`; the last one when all are), linear (per touch),
    u 40/20/40, j 20/20/60, inverse_j 60/20/20 and custom `weights` (first, all between, last; with two touches the
    share between is split, or under `two_touch="renormalise"` the ends are scaled up), time_decay (half the weight per
    `half_life_days`), participation (1 to every channel). `period` limits the conversions, not the touches.
    Error: none from sampling; the spread over models is larger than that. No rule shows what a channel caused.
    Source: terms.yml, `attribution.credit`.

    Raises
    ------
    ValueError  if a model, weight, look-back or half-life cannot be meant.
    """
    check("shares", model, lookback_days, counted, weights, two_touch, half_life_days)
    pairs = _touched.pairs(events, touches, conversion, lookback_days, counted, period, "shares")
    at, own = ibis.window(group_by="event_id", order_by=["touched", "touch_id"]), ibis.window(group_by="event_id")
    if model == "linear":
        found = pairs.mutate(share=1.0 / _.count().over(own))
    elif model == "participation":
        each = ibis.window(group_by=["event_id", "channel"], order_by=["touched", "touch_id"])
        found = pairs.mutate(rank=ibis.row_number().over(each)).filter(_.rank == 0).mutate(share=ibis.literal(1.0))
    elif model == "time_decay":
        days = _.ts.delta(_.touched, unit="millisecond") / 86_400_000.0
        pairs = pairs.mutate(weight=(days * (-math.log(2) / half_life_days)).exp().fill_null(1.0))
        found = pairs.mutate(share=_.weight / _.weight.sum().over(own))
    elif model in ("first", "last", "last_non_direct"):
        found = _one_touch(pairs, model, direct).mutate(share=ibis.literal(1.0))
    else:
        pairs = pairs.mutate(place=ibis.row_number().over(at), size=_.count().over(own))
        found = pairs.mutate(share=shape(model, weights, two_touch)).filter(_.share > 0)
    return found.select("event_id", "user_id", "ts", "amount", "channel", "share")


def credit(
    events: ir.Table,
    touches: ir.Table,
    *,
    conversion: Step = "pay",
    model: str = "linear",
    lookback_days: int | None = 30,
    counted: str = "all",
    period: Period | None = None,
    weights: Sequence[float] | None = None,
    two_touch: str = "split_middle",
    half_life_days: float = 7.0,
    direct: Sequence[str] = ("direct",),
) -> ir.Table:
    """Conversions and their value by channel, under a rule.

    One row per channel with credit, most conversions first; one with a null channel for what cannot be attributed.

    Columns
    -------
    channel     : string  null: conversions without a touch in the look-back
    conversions : float   credited; over all rows they sum to the conversions (more under participation)
    value       : float   the conversions' `amount`, shared out in the same way

    Definition: see `shares`.
    Error: none from sampling; the spread over models is larger than that. No rule shows what a channel caused.
    Source: terms.yml, `attribution.credit`.

    Raises
    ------
    ValueError  if a model, weight, look-back or half-life cannot be meant.
    """
    found = shares(
        *contract.keyed(events, touches),
        conversion=conversion,
        model=model,
        lookback_days=lookback_days,
        counted=counted,
        period=period,
        weights=weights,
        two_touch=two_touch,
        half_life_days=half_life_days,
        direct=direct,
    )
    return (
        found.group_by("channel")
        .agg(conversions=_.share.sum(), value=(_.amount * _.share).sum().fill_null(0.0))
        .order_by(_.conversions.desc(), "channel")
    )


def journeys(
    events: ir.Table,
    touches: ir.Table,
    *,
    conversion: Step = "pay",
    lookback_days: int = 30,
    counted: str = "all",
    period: Period | None = None,
    until: Day | None = None,
    max_touches: int = 12,
) -> ir.Table:
    """The paths of touches that led to a conversion, and those that did not.

    One row per distinct path, most conversions first.

    Columns
    -------
    path        : string  channels in order of time, joined by " > "; empty for conversions without a touch
    touches     : int     touches in the path as shown
    conversions : int     conversions that it led to
    value       : float   their `amount`
    nulls       : int     journeys of this path that led to none

    Definition: a conversion's path are its touches as in `shares`. The touches that lie in no conversion's look-back
    make up journeys without one, a new one after a pause longer than the look-back. A journey whose last touch is
    younger than the look-back on the last day observed may still convert and is absent. Of a longer path the last
    `max_touches` are shown.
    Error: none, a census; models of the paths have their own.
    Source: terms.yml, `attribution.journey`.

    Raises
    ------
    ValueError  if the look-back is not 1 to 3,650 days, or `max_touches` not 1 to 50.
    """
    check("journeys", "linear", lookback_days, counted, None, "split_middle", 1.0)
    if not 1 <= max_touches <= 50:
        raise ValueError(f"journeys: max_touches must be between 1 and 50, got {max_touches}")
    events, touches = contract.keyed(events, touches)
    won = _touched.pairs(events, touches, conversion, lookback_days, counted, period, "journeys")
    from_last = ibis.window(group_by="event_id", order_by=[_.touched.desc(), _.touch_id.desc()])
    won = won.mutate(back=ibis.row_number().over(from_last))
    won = _paths(won, ["event_id"], max_touches, amount=_.amount.max()).mutate(won=ibis.literal(1))
    lost = _unconverted(events, touches, conversion, lookback_days)
    lost = _paths(lost, ["user_id", "end"], max_touches, ended=_.day.max())
    lost = lost.filter(_.ended < observed_until(events, until, "journeys") - ibis.interval(days=lookback_days))
    if (days := bounds(period, "journeys")) is not None:
        lost = lost.filter(_.ended.between(*map(ibis.date, days)))
    lost = lost.select("path", "touches", amount=ibis.null("float64"), won=ibis.literal(0))
    return (
        ibis.union(won.select("path", "touches", "amount", "won"), lost)
        .group_by("path", "touches")
        .agg(
            conversions=_.won.sum().cast("int64"),
            value=_.amount.sum().fill_null(0.0),
            nulls=(1 - _.won).sum().cast("int64"),
        )
        .order_by(_.conversions.desc(), _.nulls.desc(), "path")
    )


@ibis.udf.agg.builtin
def arg_max(value: str, key: dt.Struct({"real": "int64", "touched": "timestamp(6)", "touch_id": "string"})) -> str:  # type: ignore[empty-body, valid-type]
    """DuckDB's own: the value in the row of the largest key."""


@ibis.udf.agg.builtin
def arg_min(value: str, key: dt.Struct({"real": "int64", "touched": "timestamp(6)", "touch_id": "string"})) -> str:  # type: ignore[empty-body, valid-type]
    """DuckDB's own: the value in the row of the smallest key."""


def _one_touch(pairs: ir.Table, model: str, direct: Sequence[str]) -> ir.Table:
    """Each conversion with the touch that takes everything."""
    real = ibis.ifelse(pairs.channel.isin(list(direct)), 0, 1) if model == "last_non_direct" else ibis.literal(1)
    if _engine(pairs) == "duckdb":  # no sort: two thirds of the time
        key = ibis.struct({"real": real.cast("int64"), "touched": pairs.touched, "touch_id": pairs.touch_id})
        chosen = (arg_min if model == "first" else arg_max)(pairs.channel, key)
        same = {name: pairs[name].max() for name in ("user_id", "ts", "amount")}
        return pairs.group_by("event_id").agg(**same, channel=chosen)
    order = [real.desc(), pairs.touched.desc(), pairs.touch_id.desc()]
    order = ["touched", "touch_id"] if model == "first" else order
    rank = ibis.row_number().over(ibis.window(group_by="event_id", order_by=order))
    return pairs.mutate(rank=rank).filter(_.rank == 0)


def _unconverted(events: ir.Table, touches: ir.Table, conversion: Step, lookback_days: int) -> ir.Table:
    """Touches in no conversion's look-back, with the `end` of their journey and how many places `back` from it they are."""
    won, reach = _touched.won(events, conversion, "all", None, "journeys"), ibis.interval(days=lookback_days)
    seen = touches.select("user_id", "day", "touch_id", "channel", touched=_.ts)
    ahead = [seen.user_id == won.user_id, seen.touched <= won.ts, seen.touched >= won.ts - reach]
    alone = seen.anti_join(won, ahead)
    order = [_.touched.desc(), _.touch_id.desc()]
    back, so_far = (w(group_by="user_id", order_by=order) for w in (ibis.window, ibis.cumulative_window))
    alone = alone.mutate(at=ibis.row_number().over(back), later=_.touched.lag(1, ibis.timestamp(NEVER)).over(back))
    ends = ibis.ifelse(_.later > _.touched + reach, _["at"], 0)
    alone = alone.mutate(end=ends.max().over(so_far))
    return alone.select("user_id", "end", "channel", "day", back=_["at"] - _.end)


def _paths(rows: ir.Table, keys: Sequence[str], max_touches: int, **sums: ir.Value) -> ir.Table:
    """One row per journey: its last touches as text, by their places `back` from its end."""
    rows = rows.filter(_.back < max_touches)
    steps = {f"c{k}": ibis.ifelse(_.back == k, _.channel, ibis.null("string")).max() for k in range(max_touches)}
    found = rows.group_by(*keys).agg(touches=_.channel.count(), **sums, **steps)
    text = found.c0.fill_null("")
    for k in range(1, max_touches):
        text = (found[f"c{k}"] + SEPARATOR).fill_null("") + text
    return found.select(*sums, touches=_.touches.cast("int64"), path=text)
