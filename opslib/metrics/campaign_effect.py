"""What is read where nobody was held out: the event's days, users touched against users not touched, and the invitation tree."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._periods import Day, as_day

WEEKS = 4  # weeks before the start that a change is measured from


def event_days(daily: ir.Table, *, event: str = "pay") -> ir.Table:
    """Users who did an event, by day.

    One row per local day on which anybody did anything.

    Columns
    -------
    day   : date
    users : int   distinct users with the event on the day; 0 for none

    Definition: by local day; days without any event of anybody are absent.
    Error: none, a census.
    Source: terms.yml, `campaign.counterfactual`.
    """
    daily = contract.keyed(daily)
    hit = ibis.ifelse(daily.event == event, daily.user_id, None)
    return daily.group_by("day").agg(users=hit.nunique()).order_by("day")


def takings(orders: ir.Table, *, campaign_id: str = "") -> ir.Table:
    """What was ordered in a campaign's name, by day.

    One row per local day with such an order.

    Columns
    -------
    day   : date
    first : float  amounts less refunds of the day's orders, so that their running sum is the money so far

    Definition: orders that carry the campaign's id, by the local day on which they were paid; a refund counts on the day of its order.
    Error: none, a census. They are not its effect: many would have come anyway.
    Source: terms.yml, `campaign.takings`.
    """
    paid = orders.filter(orders.campaign_id == campaign_id)
    return paid.group_by(day=paid.paid_day).agg(first=(_.amount - _.refunded.fill_null(0.0)).sum()).order_by("day")


def targeted_change(
    touches: ir.Table,
    daily: ir.Table,
    users: ir.Table,
    *,
    campaign_id: str = "",
    event: str = "pay",
    start: Day = "2026-02-01",
    end: Day = "2026-02-14",
) -> ir.Table:
    """How the habits of the users that a campaign touched changed, beside those of users whom it did not touch.

    One row per (targeted, period).

    Columns
    -------
    targeted : bool   the user has a touch of the campaign
    period   : int    0 is the campaign, −1, −2 and −3 the weeks before it
    n         : int    users
    mean, var : float  of the change of a user's days with the event a week: in period 0 against the four weeks before, in the
                       weeks before against the fourth week before; those should change alike

    Definition: users registered four weeks before `start` or earlier; days with at least one such event, a week; both days
    `start` and `end` included.
    Error: Welch over users; it is no random split, so it rests on equal changes before (`models.campaign_effect`).
    Source: terms.yml, `campaign.did`.
    """
    first, last = (as_day(d, name, "targeted_change") for d, name in ((start, "start"), (end, "end")))
    days = (last - first).days + 1
    touches, daily, users = contract.keyed(touches, daily, users)
    begin = ibis.date(str(first))
    there = users.filter(users.registered_day <= begin - ibis.interval(days=7 * WEEKS)).select("user_id").distinct()
    sent = touches.filter(touches.campaign_id == campaign_id).select("user_id").distinct().mutate(sent=ibis.literal(1))
    acts = daily.filter((daily.event == event) & (daily.day <= ibis.date(str(last))))
    acts = acts.filter(acts.day >= begin - ibis.interval(days=7 * WEEKS)).select("user_id", "day").distinct()
    gap = acts.day.delta(begin, unit="day")
    sums = {"y0": ibis.ifelse(gap >= 0, 7.0 / days, 0.0).sum()}
    for k in range(1, WEEKS + 1):
        sums[f"y{k}"] = ibis.ifelse((gap < 7 - 7 * k) & (gap >= -7 * k), 1.0, 0.0).sum()
    wide = there.left_join(sent, "user_id").drop("user_id_right")
    wide = wide.left_join(acts.group_by("user_id").agg(**sums), "user_id").drop("user_id_right")
    wide = wide.mutate(targeted=wide.sent.notnull(), **{y: wide[y].fill_null(0.0) for y in sums})
    before = (wide.y1 + wide.y2 + wide.y3 + wide.y4) / float(WEEKS)
    changes = {0: wide.y0 - before, -1: wide.y1 - wide.y4, -2: wide.y2 - wide.y4, -3: wide.y3 - wide.y4}
    parts = []
    for period, change in changes.items():
        rows = wide.select("targeted", change=change)
        told = rows.group_by("targeted").agg(n=_.count(), mean=_.change.mean(), var=_.change.var(how="sample"))
        parts.append(told.select("targeted", "n", "mean", "var", period=ibis.literal(period, "int64")))
    return ibis.union(*parts).order_by(ibis.desc("period"), "targeted")


def invitation_tree(
    events: ir.Table, users: ir.Table, *, campaign_id: str = "", start: Day = "2026-01-01", end: Day = "2026-01-31"
) -> ir.Table:
    """Everybody in a campaign's invitation tree, with who invited them.

    One row per user who took part in the campaign's name or was invited and registered while it ran; lazy, a list of users.

    Columns
    -------
    user_id    : str
    inviter_id : str        who invited the user; null for users who were there before it, or came by themselves
    joined     : timestamp  the registration of the invited, for others the first event in the campaign's name

    Definition: registrations from `start` to `end`, both days included, through whichever invitation.
    Error: Student's t over users, `models.referral.k_by_generation`.
    Source: terms.yml, `campaign.k`.
    """
    inside = (users.registered_day >= ibis.date(str(start))) & (users.registered_day <= ibis.date(str(end)))
    came = users.filter(inside & users.inviter_id.notnull()).select("user_id", "inviter_id", came=users.registered_at)
    joined = events.filter(events.campaign_id == campaign_id).group_by("user_id").agg(began=_.ts.min())
    both = came.outer_join(joined, "user_id")
    return both.select(
        user_id=ibis.coalesce(both.user_id, both.user_id_right),
        inviter_id=both.inviter_id,
        joined=ibis.coalesce(both.came, both.began),
    ).order_by("user_id")
