"""Habits: how long users stay away between two active days, what they do first, and which states groups are in."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._acquired import lived, named, recent
from opslib.metrics._filters import Step
from opslib.metrics._periods import Day, observed_until, one_of, whole
from opslib.metrics._states import keyed_states
from opslib.metrics._visits import user_periods, visits


def usage_gaps(events: ir.Table, *, event: Step = None, until: Day | None = None, days: int = 90) -> ir.Table:
    """How many days lie between two neighbouring active days of a user.

    One row per length that occurs.

    Columns
    -------
    gap    : int    days from one active day to the user's next; 1 is the day after
    pairs  : int    pairs of neighbouring active days
    weight : float  the same with every user counting as one: a pair counts 1 / the user's pairs

    Definition: both days in the `days` days up to and with `until`; a gap still open at the end is not there, so gaps are
    a little too short, and users with one active day have none. Runs on `daily`, too.
    Error: users differ; pairs of one user are not independent.
    Source: terms.yml, `activity.usage_interval`.

    Raises
    ------
    ValueError  if `days` is not 2 to 3650.
    """
    whole(days, 2, 3650, "days", "usage_gaps")
    last = observed_until(events, until, "usage_gaps")
    rows = visits(events, event, until=until, metric="usage_gaps")
    in_order = ibis.window(group_by="user_id", order_by="p")
    pairs = user_periods(recent(rows, "day", last, days)).mutate(
        gap=_.p - _.p.lag(1, -1).over(in_order), before=_.p.lag(1, -1).over(in_order)
    )
    pairs = pairs.filter(_.before >= 0)
    pairs = pairs.mutate(mine=_.count().over(ibis.window(group_by="user_id")).cast("float64"))
    one = pairs.mutate(one=_.mine**-1)
    return one.group_by("gap").agg(pairs=_.count().cast("int64"), weight=_.one.sum()).order_by("gap")


def early(
    users: ir.Table,
    daily: ir.Table,
    *,
    until: Day | None = None,
    days: int = 7,
    stay_from: int = 21,
    stay_to: int = 27,
    cohort_days: int = 90,
) -> ir.Table:
    """What new users did in their first days, and whether they stayed.

    One row per (event, days_active) that somebody did.

    Columns
    -------
    event         : string
    days_active   : int  on how many of the first `days` days the user was active: users alike in this are compared
    did           : int  users who did it in the first `days` days
    did_stayed    : int  of them, active on any of the days `stay_from` to `stay_to`
    others        : int  users of the same `days_active` who did not
    others_stayed : int  of them, those who stayed

    Definition: day 0 is the registration; users registered within `cohort_days` before the last day whose `stay_to` has
    been observed. Users without any activity in the first days are left out.
    Error: `models.early.early_signs`. An association: who means to stay may do more.
    Source: terms.yml, `retention.early`.

    Raises
    ------
    ValueError  unless 1 ≤ `days` ≤ `stay_from` ≤ `stay_to` ≤ 365.
    """
    whole(stay_to, 1, 365, "stay_to", "early")
    whole(stay_from, 1, stay_to, "stay_from (at most stay_to)", "early")
    whole(days, 1, stay_from, "days (at most stay_from)", "early")
    last = observed_until(daily, until, "early")
    users, daily = contract.keyed(users, daily)
    new = users.mutate(age=lived(users.registered_day, last)).filter(_.age.between(stay_to, stay_to + cohort_days - 1))
    rows = daily.select("user_id", "day", "event").join(new.select("user_id", "registered_day"), "user_id")
    rows = rows.mutate(n=_.day.delta(_.registered_day, unit="day"))
    first = rows.filter(_.n.between(0, days - 1))
    active = first.select("user_id", "n").distinct().group_by("user_id").agg(days_active=_.count())
    stayed = rows.filter(_.n.between(stay_from, stay_to)).select(stay_id=_.user_id).distinct()
    each = active.left_join(stayed, active.user_id == stayed.stay_id)
    each = each.select("user_id", "days_active", stayed=ibis.ifelse(each.stay_id.isnull(), 0, 1))
    size = each.group_by("days_active").agg(size=_.count(), size_stayed=_.stayed.sum())
    did = first.select("user_id", "event").distinct().join(each, "user_id")
    did = did.group_by("event", "days_active").agg(did=_.count(), did_stayed=_.stayed.sum())
    both = did.join(size, "days_active")
    return both.select(
        "event",
        days_active=_.days_active.cast("int64"),
        did=_.did.cast("int64"),
        did_stayed=_.did_stayed.cast("int64"),
        others=(_.size - _.did).cast("int64"),
        others_stayed=(_.size_stayed - _.did_stayed).cast("int64"),
    ).order_by("event", "days_active")


def group_states(
    users: ir.Table,
    daily: ir.Table,
    *,
    by: str = "channel",
    as_of: Day | None = None,
    new_days: int = 7,
    active_days: int = 3,
    silent_days: int = 7,
    churn_days: int = 30,
) -> ir.Table:
    """How many users of each channel or platform are in each state.

    One row per (group, state) that some user is in.

    Columns
    -------
    group : string  the value of `by`; "(none)" where there is none
    state : string  as `states`
    users : int     registered users
    size  : int     registered users of the group in any state; the share is users / size

    Definition: the states of `states`; users unknown to the table `users` are left out.
    Error: a multinomial interval on users / size.
    Source: terms.yml, `state.new` and the others.

    Raises
    ------
    ValueError  if `by` is not "channel" or "platform", or as `states`.
    """
    one_of(by, ("channel", "platform"), "by", "group_states")
    key = contract.KEYS["user_id"]
    if key not in users.columns and key in daily.columns:
        daily = daily.drop(key)  # both or none
    found = keyed_states(
        daily,
        as_of=as_of,
        new_days=new_days,
        active_days=active_days,
        silent_days=silent_days,
        churn_days=churn_days,
        metric="group_states",
    )
    who = named(contract.keyed(users, daily)[0]).mutate(platform=_.platform.nullif("").fill_null("(none)"))
    rows = found.select("user_id", "state").join(who.select("user_id", group=who[by]), "user_id")
    counts = rows.group_by("group", "state").agg(users=_.count().cast("int64"))
    size = _.users.sum().over(ibis.window(group_by="group")).cast("int64")
    return counts.mutate(size=size).order_by("group", "state")
