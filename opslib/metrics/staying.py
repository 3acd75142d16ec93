"""How long new users stay, and which of them look like one person with many accounts; both by channel."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._acquired import NO_CHANNEL, lived, named, within
from opslib.metrics._periods import GRAINS, Day, Period, bounds, first_day, index, last_day, numbers, one_of, whole
from opslib.metrics.campaign import risk_signals


def survivors(
    users: ir.Table,
    daily: ir.Table,
    *,
    grain: str = "week",
    step_days: int = 7,
    ages: int = 52,
    pause_days: int = 28,
    period: Period | None = None,
    until: Day | None = None,
) -> ir.Table:
    """How many of each cohort of new users had not left yet at each age.

    One row per (cohort, channel, age) of which it is known; the rest is absent, never zero.

    Columns
    -------
    cohort  : date    first local day of the week or month in which its users registered
    channel : string  "(none)" for users without one
    age     : int     steps of `step_days` days since the user's own registration, from 0
    users   : int     users of the cohort
    there   : int     of them, seen on a day `age` steps after the registration, or later; all at age 0

    Definition: a user has left when no day of activity follows up to the last day observed. A cell is known when every
    user of the cohort has had `pause_days` days in which to come back, so a pause shorter than that is no loss. Counts
    fall with age.
    Error: binomial on there / users; a user who comes back after a longer pause counts as gone, if that is not over yet.
    Source: terms.yml, `ltv.staying`.

    Raises
    ------
    ValueError  if `grain` is unknown, or a length cannot be meant.
    """
    one_of(grain, GRAINS, "grain", "survivors")
    for value, most, name in ((step_days, 366, "step_days"), (ages, 520, "ages"), (pause_days, 366, "pause_days")):
        whole(value, 1, most, name, "survivors")
    users, daily = contract.keyed(users, daily)
    last = last_day(daily.day, until, "survivors")
    new = within(named(users), "registered_day", period, "survivors").filter(_.registered_day <= last)
    new = new.select("user_id", "channel", registered=_.registered_day)
    seen = daily.filter(_.day <= last).group_by("user_id").agg(seen=_.day.max())
    rows = new.left_join(seen, "user_id").mutate(p=index(_.registered, grain))
    life = (rows.seen.delta(rows.registered, unit="day") // step_days).fill_null(0)
    counted = rows.group_by("p", "channel", life=ibis.ifelse(life > 0, life, 0)).agg(
        n=_.count(), newest=_.registered.max()
    )
    size = counted.group_by("p", "channel").agg(users=_.n.sum(), newest=_.newest.max())
    cells = size.cross_join(numbers(ages + 1, "age"))
    cells = cells.filter((_.age == 0) | (lived(_.newest, last) >= _.age * step_days + pause_days - 1))
    stay = counted.select("n", "life", p2="p", channel2="channel")
    found = cells.join(stay, [cells.p == stay.p2, cells.channel == stay.channel2, stay.life >= cells.age], how="left")
    found = found.group_by("p", "channel", "age").agg(users=_.users.max(), there=_.n.sum().fill_null(0).cast("int64"))
    found = found.mutate(cohort=first_day(_.p, grain)).order_by("cohort", "channel", "age")
    return found.select("cohort", "channel", "age", "users", "there")


def claims(
    events: ir.Table,
    users: ir.Table,
    *,
    campaigns: Sequence[str],
    period: Period | None = None,
    later_days: int = 14,
) -> ir.Table:
    """The claims of rewards in several campaigns, with the channel that brought the account.

    One row per claim, in the columns of `campaign.risk_signals`, and:

    Columns
    -------
    campaign_id : string
    channel     : string  "(none)" for accounts without one
    new         : int     1 for accounts registered in `period`; the others help to see a ring, and are not counted

    Definition: see `campaign.risk_signals`; the judgement is `models.channel_quality.suspected`.
    Error: none, a census.
    Source: terms.yml, `campaign.suspects`.
    """
    days = bounds(period, "claims")
    inside = ibis.literal(True) if days is None else _.registered_day.between(*map(ibis.date, days))
    who = named(users).select("user_id", "channel", new=inside.ifelse(1, 0))
    each = [
        risk_signals(events, users, campaign_id=id, later_days=later_days).mutate(campaign_id=ibis.literal(id))
        for id in campaigns or [""]
    ]
    rows = (ibis.union(*each) if len(each) > 1 else each[0]).left_join(who, "user_id").drop("user_id_right")
    return rows.mutate(channel=_.channel.fill_null(NO_CHANNEL), new=_.new.fill_null(0))
