"""Conversions, each with its touches, and the touches of a journey as text."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib.metrics._filters import Step, step_holds
from opslib.metrics._periods import Period, bounds
from opslib.metrics._visits import check_step

SEPARATOR = " > "


def won(events: ir.Table, conversion: Step, counted: str, period: Period | None, metric: str) -> ir.Table:
    check_step(conversion, "conversion", metric)
    rows = events.filter(step_holds(events, conversion)).select("event_id", "user_id", "ts", "day", "amount")
    if (days := bounds(period, metric)) is not None:
        rows = rows.filter(_.day.between(*map(ibis.date, days)))
    if counted == "all":
        return rows
    order = [_.ts, _.event_id] if counted == "first" else [_.ts.desc(), _.event_id.desc()]
    ranked = rows.mutate(rank=ibis.row_number().over(ibis.window(group_by="user_id", order_by=order)))
    return ranked.filter(_.rank == 0).drop("rank")


def pairs(
    events: ir.Table,
    touches: ir.Table,
    conversion: Step,
    lookback_days: int | None,
    counted: str,
    period: Period | None,
    metric: str,
) -> ir.Table:
    """Every conversion with each of its touches; once with nulls where it has none."""
    bought = won(events, conversion, counted, period, metric).drop("day")
    seen = touches.select("touch_id", "channel", toucher=_.user_id, touched=_.ts)
    near = [bought.user_id == seen.toucher, seen.touched <= bought.ts]
    if lookback_days is not None:
        near.append(seen.touched >= bought.ts - ibis.interval(days=lookback_days))
    return bought.left_join(seen, near).drop("toucher")


def paths(rows: ir.Table, max_touches: int, *keep: str) -> ir.Table:
    """One row per journey: its last touches as text."""
    back = ibis.window(group_by="journey", order_by=[_.touched.desc(), _.touch_id.desc()])
    rows = rows.mutate(back=ibis.row_number().over(back)).filter(_.back < max_touches)
    steps = {f"c{k}": ibis.ifelse(_.back == k, _.channel, ibis.null("string")).max() for k in range(max_touches)}
    found = rows.group_by("journey").agg(
        amount=_.amount.max(), touches=_.channel.count(), **steps, **{k: rows[k].max() for k in keep}
    )
    text = found.c0.fill_null("")
    for k in range(1, max_touches):
        text = (found[f"c{k}"] + SEPARATOR).fill_null("") + text
    return found.select("amount", *keep, touches=_.touches.cast("int64"), path=text)
