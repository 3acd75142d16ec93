"""Money and sign-ups by calendar period."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._periods import (
    GRAINS,
    WEEK_SHIFT,
    Day,
    Period,
    bounds,
    first_day,
    index,
    last_complete,
    one_of,
    span,
)


def revenue(
    orders: ir.Table,
    *,
    grain: str = "week",
    period: Period | None = None,
    until: Day | None = None,
    week_start: str = "monday",
) -> ir.Table:
    """What was paid in each calendar period, by how many, and how orders vary.

    One row per calendar period, also periods without orders; periods that have not ended are absent.

    Columns
    -------
    start    : date   first local day of the period
    orders   : int    paid orders
    payers   : int    distinct users with a paid order
    total    : float  sum of the orders' amounts before refunds, in the warehouse's currency
    refunded : float  sum refunded of these orders, whenever it was paid back; null where none of them tells it
    mean     : float  mean amount of an order; null without orders
    var      : float  sample variance of the amounts; null below two orders

    Definition: an order belongs to the local day on which it was paid; its refunds are taken from that day, not from the
    day they were paid back. Net revenue is total − refunded. Without an order nothing was refunded, which is 0.
    Error: compound Poisson, the standard error of `total` is sqrt(orders × (var + mean²)).
    Source: terms.yml, `revenue.gross`, `revenue.net`.

    Raises
    ------
    ValueError  if `grain` is not "day", "week" or "month".
    """
    one_of(grain, GRAINS, "grain", "revenue")
    one_of(week_start, WEEK_SHIFT, "week_start", "revenue")
    rows = contract.keyed(orders).mutate(p=index(_.paid_day, grain, week_start))
    sums = rows.group_by("p").agg(
        orders=_.count(),
        payers=_.user_id.nunique(),
        total=_.amount.sum(),
        refunded=_.refunded.sum(),
        mean=_.amount.mean(),
        var=_.amount.var(how="sample"),
    )
    every = _every(rows.p, rows.paid_day, grain, week_start, bounds(period, "revenue"), until)
    return (
        every.left_join(sums, "p")
        .select(
            start=first_day(_.p, grain, week_start),
            orders=_.orders.fill_null(0).cast("int64"),
            payers=_.payers.fill_null(0).cast("int64"),
            total=_.total.fill_null(0.0),
            refunded=_.orders.isnull().ifelse(0.0, _.refunded),
            mean=_.mean,
            var=_["var"],
        )
        .order_by("start")
    )


def signups(
    users: ir.Table,
    *,
    grain: str = "week",
    period: Period | None = None,
    until: Day | None = None,
    week_start: str = "monday",
) -> ir.Table:
    """How many users registered in each calendar period.

    One row per calendar period, also periods without any; periods that have not ended are absent.

    Columns
    -------
    start : date  first local day of the period
    users : int   users whose registration falls into it

    Definition: by the local day of `registered_at`; a user counts once, whatever became of the account.
    Error: none, a census.
    Source: terms.yml, `acquisition.new_users`.

    Raises
    ------
    ValueError  if `grain` is not "day", "week" or "month".
    """
    one_of(grain, GRAINS, "grain", "signups")
    one_of(week_start, WEEK_SHIFT, "week_start", "signups")
    rows = users.mutate(p=index(_.registered_day, grain, week_start))
    counts = rows.group_by("p").agg(users=_.count())
    every = _every(rows.p, rows.registered_day, grain, week_start, bounds(period, "signups"), until)
    return (
        every.left_join(counts, "p")
        .select(start=first_day(_.p, grain, week_start), users=_.users.fill_null(0).cast("int64"))
        .order_by("start")
    )


def _every(p: ir.IntegerColumn, day: ir.DateColumn, grain: str, week_start: str, asked, until: Day | None) -> ir.Table:
    """Every complete period from the first row, or of the period asked for, to the last day observed."""
    last = day.max().as_scalar() if until is None else ibis.date(str(until))
    complete = last_complete(last, grain, week_start)
    if asked is None:
        return span(p.min().as_scalar(), complete)
    low, high = (index(ibis.date(d), grain, week_start) for d in asked)
    return span(low, ibis.least(high, complete))
