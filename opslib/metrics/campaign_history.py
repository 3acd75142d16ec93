"""What earlier campaigns reached and how hard they pressed the servers: the ground on which the next one is planned."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._periods import Day, observed_until


def past_campaigns(
    campaigns: ir.Table,
    daily: ir.Table,
    events: ir.Table,
    users: ir.Table,
    *,
    goal: str = "pay",
    until: Day | None = None,
) -> ir.Table:
    """How many each campaign reached, how many took part, and how many did what its goal counts.

    One row per campaign that is over.

    Columns
    -------
    campaign_id, kind, stage, goal_metric : str
    first, last  : date   first and last local day, both included
    days         : int    last − first + 1
    before       : int    distinct users active in the same number of days before it
    reach        : int    distinct users active while it ran
    participants : int    distinct users with an event in its name
    converted    : int    distinct users with its goal's event in its name; for a referral whose goal is to register, the
                          invited who registered while it ran
    claims       : float  sum of the rewards claimed in its name; 0 for none
    booked       : float  rewards as booked on the campaign; null where none are

    Definition: a campaign that ends at local midnight ran to the day before. It is over when its last day is not after
    `until` (default: the last day with an event). A campaign without a goal on record is read on the event `goal`, one whose goal is revenue on `pay`.
    `before` is null where those days begin before the data do.
    Error: none, a census; what differs between campaigns is the error of the next one.
    Source: terms.yml, `campaign.plan`.
    """
    last_day = observed_until(daily, until, "past_campaigns")
    daily, events, users = contract.keyed(daily, events, users)
    runs = _runs(campaigns, last_day)
    counts = runs.goal_metric.fill_null(goal)
    runs = runs.mutate(goal_metric=ibis.ifelse(counts == "revenue", "pay", counts))
    active = daily.select("user_id", "day").distinct()
    near = active.cross_join(runs.select("campaign_id", "first", "last", "days"))
    gap = near.day.delta(near["first"], unit="day")
    seen = (
        near.filter((near.day <= near["last"]) & (gap >= -near.days))
        .mutate(during=ibis.ifelse(gap >= 0, 1, 0))
        .group_by("campaign_id", "user_id")
        .agg(during=_.during.max(), before=(1 - _.during).max())
        .group_by("campaign_id")
        .agg(reach=_.during.sum(), before=_.before.sum())
    )
    named = events.filter(_.campaign_id.notnull()).join(runs.select("campaign_id", "goal_metric"), "campaign_id")
    asked = ibis.ifelse(named.event == named.goal_metric, named.user_id, None)
    paid = ibis.ifelse(named.event == "claim_reward", named.amount, 0.0)
    did = named.group_by("campaign_id").agg(
        participants=named.user_id.nunique(), own=asked.nunique(), claims=paid.sum().fill_null(0.0)
    )
    came = users.filter(_.inviter_id.notnull()).cross_join(runs.select("campaign_id", "first", "last"))
    came = came.filter((came.registered_day >= came["first"]) & (came.registered_day <= came["last"]))
    came = came.group_by("campaign_id").agg(invited=_.count())
    began = active.agg(began=_.day.min())
    joined = runs.left_join(seen, "campaign_id").drop("campaign_id_right")
    joined = joined.left_join(did, "campaign_id").drop("campaign_id_right")
    joined = joined.left_join(came, "campaign_id").drop("campaign_id_right").cross_join(began)
    by_invitation = (joined.kind == "referral") & (joined.goal_metric == "register") & (joined.own.fill_null(0) == 0)
    whole = joined["first"].delta(joined.began, unit="day") >= joined.days
    return joined.select(
        "campaign_id",
        "kind",
        "stage",
        "goal_metric",
        "first",
        "last",
        "days",
        before=ibis.ifelse(whole, joined.before.fill_null(0), None),
        reach=joined.reach.fill_null(0),
        participants=joined.participants.fill_null(0),
        converted=ibis.ifelse(by_invitation, joined.invited, joined.own).fill_null(0),
        claims=joined.claims.fill_null(0.0),
        booked=joined.reward_cost,
    ).order_by("first", "campaign_id")


def _runs(campaigns: ir.Table, last_day: ir.DateScalar) -> ir.Table:
    """The campaigns that are over, with their local days."""
    midnight = campaigns.ends_at.delta(campaigns.starts_at, unit="second") % 86_400 == 0
    last = ibis.ifelse(midnight, campaigns.ends_day - ibis.interval(days=1), campaigns.ends_day)
    last = ibis.ifelse(last < campaigns.starts_day, campaigns.starts_day, last)
    runs = campaigns.select(
        "campaign_id", "kind", "stage", "goal_metric", "reward_cost", first=campaigns.starts_day, last=last.cast("date")
    )
    runs = runs.filter(_["last"] <= last_day)
    return runs.mutate(days=_["last"].delta(_["first"], unit="day") + 1)


def campaign_load(campaigns: ir.Table, events: ir.Table, *, until: Day | None = None) -> ir.Table:
    """How hard each campaign's days pressed the servers.

    One row per campaign that is over and has an event on its days.

    Columns
    -------
    campaign_id : str
    requests : int  events of everybody from its first to its last local day
    users    : int  distinct users of them
    busiest  : int  events in the busiest minute of those days

    Definition: a tracked event stands for one request; an app makes more of them than it tracks, so a plan multiplies.
    Error: none, a census; events that trackers send late stand at the moment they happened, not when they arrived.
    Source: terms.yml, `campaign.load`.
    """
    last_day = observed_until(events, until, "campaign_load")
    events = contract.keyed(events)
    runs = _runs(campaigns, last_day).select("campaign_id", "first", "last")
    near = events.select("user_id", "day", minute=events.ts.truncate("m")).cross_join(runs)
    near = near.filter((near.day >= near["first"]) & (near.day <= near["last"]))
    each = near.group_by("campaign_id", "minute").agg(n=_.count())
    peak = each.group_by("campaign_id").agg(busiest=_.n.max(), requests=_.n.sum())
    people = near.group_by("campaign_id").agg(users=_.user_id.nunique())
    return (
        peak.join(people, "campaign_id").select("campaign_id", "requests", "users", "busiest").order_by("campaign_id")
    )


def audience(
    daily: ir.Table, orders: ir.Table, *, days: int = 14, event: str = "pay", until: Day | None = None
) -> ir.Table:
    """Whom a campaign of so many days would find today, and what they do without it.

    One row.

    Columns
    -------
    users   : int    distinct users active in the last `days` local days
    did     : int    those with `event` on these days
    revenue : float  paid orders of these days less refunds; 0 for none

    Definition: the last day is `until` (default: the last day with an event), included.
    Error: none, a census.
    Source: terms.yml, `campaign.plan`.
    """
    last_day = observed_until(daily, until, "audience")
    start = last_day - ibis.interval(days=days - 1)
    daily = contract.keyed(daily)
    recent = daily.filter((_.day >= start) & (_.day <= last_day))
    people = recent.agg(users=_.user_id.nunique(), did=ibis.ifelse(_.event == event, _.user_id, None).nunique())
    paid = orders.filter((orders.paid_day >= start) & (orders.paid_day <= last_day))
    money = paid.agg(revenue=(paid.amount - paid.refunded.fill_null(0.0)).sum().fill_null(0.0))
    return people.cross_join(money)
