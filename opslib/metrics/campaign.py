"""What campaigns reached, brought and paid, who took part and stayed, and the claims among which rings are sought."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._periods import Day, observed_until, whole

REWARD = "claim_reward"


def participation(events: ir.Table) -> ir.Table:
    """What was done in the name of each campaign.

    One row per (campaign_id, event).

    Columns
    -------
    campaign_id, event : str
    count  : int    events that carry the campaign's id
    users  : int    distinct users of them
    amount : float  sum of their amounts (rewards of `claim_reward`); blank where none carries one

    Definition: an event belongs to a campaign when it carries its `campaign_id`, whenever it happened.
    Error: none, a census.
    Source: terms.yml, `campaign.participants`.
    """
    rows = contract.keyed(events).filter(_.campaign_id.notnull())
    sums = rows.group_by("campaign_id", "event").agg(count=_.count(), users=_.user_id.nunique(), amount=_.amount.sum())
    return sums.order_by("campaign_id", ibis.desc("users"), "event")


def response(touches: ir.Table, events: ir.Table) -> ir.Table:
    """How many of the users that a campaign was sent to did what it asked for.

    One row per (campaign_id, event); a campaign that was sent to people and got no event has one row without event.

    Columns
    -------
    campaign_id, event : str
    targeted : int   distinct users with a touch of the campaign
    users    : int   those of them with such an event in its name; the rate is users / targeted

    Definition: users who answered without having been targeted do not count, so the rate lies between 0 and 1.
    Error: a binomial interval on users / targeted.
    Source: terms.yml, `campaign.response`.
    """
    touches, events = contract.keyed(touches, events)
    sent = touches.filter(_.campaign_id.notnull()).select("campaign_id", "user_id").distinct()
    size = sent.group_by("campaign_id").agg(targeted=_.count())
    did = events.filter(_.campaign_id.notnull()).select("campaign_id", "user_id", "event").distinct()
    hits = did.join(sent, ["campaign_id", "user_id"]).group_by("campaign_id", "event").agg(users=_.count())
    return (
        size.left_join(hits, "campaign_id")
        .select("campaign_id", "event", "targeted", users=_.users.fill_null(0))
        .order_by("campaign_id", ibis.desc("users"), "event")
    )


def pacing(events: ir.Table, *, campaign_id: str = "") -> ir.Table:
    """How a campaign went day by day.

    One row per (day, event) on which an event carries the campaign's id.

    Columns
    -------
    day    : date
    event  : str
    count  : int    events
    users  : int    distinct users of the day
    first  : int    users who did it in the campaign's name for the first time; their running sum is the users so far
    amount : float  sum of amounts; 0 where none carries one

    Definition: by local day; days without such an event are absent.
    Error: none, a census.
    Source: terms.yml, `campaign.participants`.
    """
    rows = contract.keyed(events).filter(_.campaign_id == campaign_id)
    firsts = rows.mutate(began=_.day.min().over(ibis.window(group_by=["user_id", "event"])))
    return (
        firsts.group_by("day", "event")
        .agg(
            count=_.count(),
            users=_.user_id.nunique(),
            first=ibis.ifelse(_.began == _.day, _.user_id, None).nunique(),
            amount=_.amount.sum(),
        )
        .mutate(amount=_.amount.fill_null(0.0))
        .order_by("day", "event")
    )


def participants(events: ir.Table, *, campaign_id: str = "") -> ir.Table:
    """When each participant of a campaign did anything in its name for the first time.

    One row per day with one.

    Columns
    -------
    day   : date
    first : int   users whose first event that carries the campaign's id is of that day; their running sum is the participants so far

    Definition: by local day and whatever the event is; a user counts once.
    Error: none, a census.
    Source: terms.yml, `campaign.participants`.
    """
    rows = contract.keyed(events).filter(_.campaign_id == campaign_id)
    return rows.group_by("user_id").agg(day=_.day.min()).group_by("day").agg(first=_.count()).order_by("day")


def invited(users: ir.Table, *, start: Day = "2026-01-01", end: Day = "2026-01-31") -> ir.Table:
    """Invited users by the day they registered: the goal of a referral, which no event in its name counts.

    One row per day with one.

    Columns
    -------
    day   : date
    first : int   users who registered on the day and name an inviter

    Definition: registrations from `start` to `end`, both days included, whatever campaign the invitation was for.
    Error: none, a census.
    Source: terms.yml, `campaign.k`.
    """
    inside = (users.registered_day >= ibis.date(str(start))) & (users.registered_day <= ibis.date(str(end)))
    rows = users.filter(inside & users.inviter_id.notnull())
    return rows.group_by(day=rows.registered_day).agg(first=_.count()).order_by("day")


def newcomers(
    daily: ir.Table,
    events: ir.Table,
    users: ir.Table,
    *,
    campaign_id: str = "",
    start: Day = "2026-01-01",
    end: Day = "2026-01-31",
    away_days: int = 28,
    until: Day | None = None,
) -> ir.Table:
    """Who took part, who was only around, and how many of either came back in the second week after.

    One row per (took_part, kind) with users.

    Columns
    -------
    took_part : bool  some event of the user carries the campaign's id
    kind      : str   "new" (first active day no more than a day before the anchor), "resurrected" (not active in the
                      `away_days` before it), "existing"
    users     : int   users active from `start` to `end`
    size      : int   those whose second week is over on `until` (default: the last day with an event)
    stayed    : int   of `size`, those active on day 8 to 14 after their anchor; the rate is stayed / size

    Definition: the anchor is the first day of taking part, for others the first active day from `start` to `end`, both
    days included. Those who took part chose to: a difference to the others is no effect of the campaign.
    Error: a binomial interval on stayed / size.
    Source: terms.yml, `campaign.stayed`.

    Raises
    ------
    ValueError  if `away_days` is not between 1 and 365.
    """
    whole(away_days, 1, 365, "away_days", "newcomers")
    last_day = observed_until(daily, until, "newcomers")
    daily, events, users = contract.keyed(daily, events, users)
    first, last = ibis.date(str(start)), ibis.date(str(end))
    active = daily.select("user_id", "day").distinct()
    joined = events.filter(_.campaign_id == campaign_id).group_by("user_id").agg(joined=_.day.min())
    around = active.filter((_.day >= first) & (_.day <= last)).group_by("user_id").agg(seen=_.day.min())
    anchored = around.left_join(joined, "user_id").select(
        "user_id", anchor=ibis.coalesce(_.joined, _.seen), took_part=_.joined.notnull()
    )
    near = anchored.join(active, "user_id")
    gap = near.day.delta(near.anchor, unit="day")
    told = near.group_by("user_id", "anchor", "took_part").agg(
        born=near.day.min(),
        before=ibis.ifelse((gap < 0) & (gap >= -away_days), 1, 0).max(),
        after=ibis.ifelse((gap >= 8) & (gap <= 14), 1, 0).max(),
    )
    told = told.mutate(
        kind=ibis.cases(
            (told.born + ibis.interval(days=1) >= told.anchor, "new"),
            (told.before == 1, "existing"),
            else_="resurrected",
        ),
        whole=ibis.ifelse(told.anchor + ibis.interval(days=14) <= last_day, 1, 0),
    )
    return (
        told.group_by("took_part", "kind")
        .agg(users=_.count(), size=_["whole"].sum(), stayed=(_["whole"] * _.after).sum())
        .order_by(ibis.desc("took_part"), "kind")
    )


def campaign_money(spend: ir.Table, orders: ir.Table) -> ir.Table:
    """What each campaign cost in media, and what was ordered in its name.

    One row per campaign_id of either table.

    Columns
    -------
    campaign_id : str
    media   : float  spend booked on the campaign; 0 for none
    orders  : int    paid orders that carry the campaign's id
    revenue : float  their amount less refunds; 0 for none

    Definition: rewards are not in `media`: they are in `campaigns.reward_cost`, or the amounts of the claims.
    Error: none, a census. Orders in a campaign's name are not its effect: many would have come anyway.
    Source: terms.yml, `campaign.cost`.
    """
    cost = spend.filter(_.campaign_id.notnull()).group_by("campaign_id").agg(media=_.cost.sum())
    paid = (
        orders.filter(_.campaign_id.notnull())
        .group_by("campaign_id")
        .agg(orders=_.count(), revenue=(_.amount - _.refunded.fill_null(0.0)).sum())
    )
    return (
        cost.outer_join(paid, "campaign_id")
        .select(
            campaign_id=ibis.coalesce(_.campaign_id, _.campaign_id_right),
            media=_.media.fill_null(0.0),
            orders=_.orders.fill_null(0),
            revenue=_.revenue.fill_null(0.0),
        )
        .order_by("campaign_id")
    )


def invitations(
    events: ir.Table, users: ir.Table, *, campaign_id: str = "", start: Day = "2026-01-01", end: Day = "2026-01-31"
) -> ir.Table:
    """What each inviter of a campaign brought.

    One row per user with an `invite` in the campaign's name; lazy, a list of users.

    Columns
    -------
    user_id  : str
    sent     : int  invitations in the campaign's name
    accepted : int  users who registered from `start` to `end`, both days included, and name this user as their inviter

    Definition: an invitation counts as accepted when the invited registers while the campaign runs, through whichever
    invitation. Inviters without success count as zero.
    Error: Student's t over inviters, `models.referral.k_factor`.
    Source: terms.yml, `campaign.k`.
    """
    sent = events.filter((_.event == "invite") & (_.campaign_id == campaign_id)).group_by("user_id").agg(sent=_.count())
    inside = (users.registered_day >= ibis.date(str(start))) & (users.registered_day <= ibis.date(str(end)))
    came = users.filter(inside & users.inviter_id.notnull()).group_by("inviter_id").agg(accepted=_.count())
    joined = sent.left_join(came, sent.user_id == came.inviter_id)
    return joined.select("user_id", "sent", accepted=_.accepted.fill_null(0)).order_by("user_id")


def risk_signals(
    events: ir.Table, users: ir.Table, *, campaign_id: str = "", reward: str = REWARD, later_days: int = 14
) -> ir.Table:
    """The claims of a campaign's rewards with what tells a ring from honest users.

    One row per claim.

    Columns
    -------
    user_id, device_id, ip : str
    minute       : float  minutes of the claim since 2000-01-01 (UTC)
    amount       : float  the reward; 0 where none is given
    later_events : int    the account's events in the `later_days` × 24 hours after its first claim, without claims and joining
    rewards      : float  share of claims among all the account's events, 0–1
    inviter_id   : str    who invited the account; null for nobody

    Definition: signals only; the judgement is `models.abuse.abuse_scores`, which never lists anybody for one of them.
    Error: none, a census.
    Source: terms.yml, `campaign.suspects`.
    """
    whole(later_days, 1, 365, "later_days", "risk_signals")
    claims = events.filter((_.event == reward) & (_.campaign_id == campaign_id))
    began = claims.group_by("user_id").agg(began=_.ts.min())
    near = events.join(began, "user_id")
    idle = (near.event == reward) | (near.event == "join_campaign")
    after = (near.ts > near.began) & (near.ts < near.began + ibis.interval(days=later_days)) & ~idle
    usual = near.group_by("user_id").agg(
        later_events=ibis.ifelse(after, 1, 0).sum(),
        claims=ibis.ifelse(near.event == reward, 1, 0).sum(),
        every=near.count(),
    )
    origin = ibis.timestamp("2000-01-01 00:00:00")
    told = claims.join(usual, "user_id").left_join(users.select("user_id", "inviter_id"), "user_id")
    return told.select(
        "user_id",
        "device_id",
        "ip",
        "inviter_id",
        minute=told.ts.delta(origin, unit="second").cast("float64") / 60,
        amount=told.amount.fill_null(0.0),
        later_events=told.later_events,
        rewards=told.claims.cast("float64") / told.every,
    ).order_by("minute", "user_id")
