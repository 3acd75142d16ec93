"""Outreach: who was reached lately, and who came back since."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib.metrics._acquired import earlier, identified, lived
from opslib.metrics._periods import Day, as_day, observed_until, whole


def contacted(touches: ir.Table, *, until: Day | None = None, days: int = 28) -> ir.Table:
    """Who was lately reached by a campaign, and how long ago.

    One row per (user_id, day) with a touch of a campaign in the window; stays lazy, it may be long.

    Columns
    -------
    user_id  : string
    days_ago : int  days from the touch to `until`; 0 is that day

    Definition: the `days` days up to and with `until`; touches without a campaign (search, a store) are no contact of ours.
    Error: none, a census.
    Source: opslib.contract, touches.

    Raises
    ------
    ValueError  if `days` is not 1 to 3650.
    """
    whole(days, 1, 3650, "days", "contacted")
    last = observed_until(touches, until, "contacted")
    rows = touches.filter(touches.campaign_id.notnull(), touches.day.between(earlier(last, days - 1), last))
    # By the id itself: who lists users reads it anyway, and then a key beside it only costs.
    found = rows.select("user_id", "day").distinct()
    return found.select(found.user_id, days_ago=lived(found.day, last).cast("int64"))


def returned(daily: ir.Table, orders: ir.Table, *, after: Day, before: Day | None = None) -> ir.Table:
    """Who was active or bought after a day.

    One row per user who was either; stays lazy, it may be long. Everybody else was neither.

    Columns
    -------
    user_id : string
    active  : int    active days after `after`
    bought  : int    orders paid after `after`
    spent   : float  their net value

    Definition: days later than `after`, up to and with `before` (default: the last day of the data).
    Error: none, a census.
    Source: terms.yml, `outreach.effect`.

    Raises
    ------
    ValueError  if `after` is no day.
    """
    start = ibis.date(as_day(after, "after", "returned"))
    end = observed_until(daily, before, "returned")
    came, paid = identified(daily, orders)
    came = came.filter((_.day > start) & (_.day <= end))
    came = came.group_by("user_id").agg(active=_.day.nunique(), came_id=_.shown_id.min())
    paid = paid.filter((_.paid_day > start) & (_.paid_day <= end))
    left = paid.amount - paid.refunded.fill_null(0.0)
    net = ibis.ifelse(left > 0, left, 0.0).sum()
    paid = paid.group_by(buyer=paid.user_id).agg(bought=_.count(), spent=net, paid_id=_.shown_id.min())
    both = came.outer_join(paid, came.user_id == paid.buyer)
    return both.select(
        user_id=ibis.coalesce(both.came_id, both.paid_id),
        active=both.active.fill_null(0).cast("int64"),
        bought=both.bought.fill_null(0).cast("int64"),
        spent=both.spent.fill_null(0.0),
    )
