"""Where active users come from and go to, period by period. Runs on `events` or on `daily`."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib.metrics._filters import Step
from opslib.metrics._periods import (
    GRAINS,
    WEEK_SHIFT,
    Day,
    Period,
    bounds,
    first_day,
    index,
    last_complete,
    numbers,
    observed_until,
    one_of,
    span,
    whole,
)
from opslib.metrics._visits import FAR, comings, gaps, user_periods, visits


def lifecycle(
    events: ir.Table,
    *,
    event: Step = None,
    grain: str = "week",
    period: Period | None = None,
    until: Day | None = None,
    week_start: str = "monday",
) -> ir.Table:
    """Where each period's active users come from, and how many of the last period's are gone: growth accounting.

    One row per calendar period, also periods without events; periods that have not ended are absent.

    Columns
    -------
    start       : date  first local day of the period
    active      : int   distinct users active in the period = new + retained + resurrected
    new         : int   users whose first active period this is
    retained    : int   users active in the period before, too
    resurrected : int   users seen before, but not in the period before
    dormant     : int   users active in the period before and not in this one
    away        : int   users seen before and active neither in this period nor in the one before

    Definition: new is the first event ever that matches `event`, also before `period`; a user is dormant once, in the
    first period missed. active = active before + new + resurrected − dormant. The quick ratio is
    (new + resurrected) / dormant, undefined when nobody left.
    Error: none, a census; the first periods of the history count everybody as new.
    Source: terms.yml, `lifecycle.new`, `lifecycle.retained`, `lifecycle.resurrected`, `lifecycle.dormant`.

    Raises
    ------
    ValueError  if `grain` is not "day", "week" or "month".
    """
    one_of(grain, GRAINS, "grain", "lifecycle")
    one_of(week_start, WEEK_SHIFT, "week_start", "lifecycle")
    asked, last = bounds(period, "lifecycle"), observed_until(events, until, "lifecycle")
    came = comings(visits(events, event, until=until, metric="lifecycle"), FAR, grain, week_start)
    counts = came.group_by("p").agg(
        active=_.users.sum(), new=_.users.sum(where=_.since == FAR), retained=_.users.sum(where=_.since == 1)
    )
    # Whoever was seen before is found by a running sum, so the accounts open with the history, not with `period`.
    low = counts.p.min().as_scalar()
    if asked:
        first, final = (index(ibis.date(day), grain, week_start) for day in asked)
        low = ibis.least(low.fill_null(first), first)
    every = span(low, last_complete(last, grain, week_start)).left_join(counts, "p")
    so_far = ibis.cumulative_window(order_by="p")
    accounts = (
        every.select("p", *[every[c].fill_null(0).cast("int64").name(c) for c in ("active", "new", "retained")])
        .mutate(dormant=_.active.lag(1, 0).over(ibis.window(order_by="p")) - _.retained, seen=_.new.sum().over(so_far))
        .mutate(resurrected=_.active - _.new - _.retained, away=(_.seen - _.active - _.dormant).cast("int64"))
    )
    shown = accounts.filter(_.p.between(first, final)) if asked else accounts
    start = first_day(shown.p, grain, week_start).name("start")
    counted = ("active", "new", "retained", "resurrected", "dormant", "away")
    return shown.select(start, *counted).order_by("start")


def daily_states(
    events: ir.Table,
    *,
    event: Step = None,
    week_days: int = 7,
    month_days: int = 30,
    period: Period | None = None,
    until: Day | None = None,
) -> ir.Table:
    """Everyone ever seen, by what they do today and when they last came: the growth model's seven states.

    One row per local day, also days without events.

    Columns
    -------
    day         : date  the local day
    new         : int   users whose first active day this is
    current     : int   active today, last active 1 to `week_days` days ago
    reactivated : int   active today, last active `week_days` + 1 to `month_days` days ago
    resurrected : int   active today, last active longer ago
    at_risk_wau : int   not active today, last active 1 to `week_days` days ago
    at_risk_mau : int   not active today, last active `week_days` + 1 to `month_days` days ago
    dormant     : int   not active today, last active longer ago

    Definition: every user seen so far is in exactly one state; one last active exactly `week_days` days ago is still
    within the week. Users not yet seen are in none.
    Error: none, a census.
    Source: terms.yml, `lifecycle.daily_states`.

    Raises
    ------
    ValueError  if not 1 ≤ `week_days` < `month_days` ≤ 366.
    """
    name = "daily_states"
    whole(month_days, 2, 366, "month_days", name)
    whole(week_days, 1, month_days - 1, "week_days", name)
    asked, last = bounds(period, name), observed_until(events, until, name)
    by_gap = gaps(user_periods(visits(events, event, until=until, metric=name)), month_days + 1)
    low = by_gap.p.min().as_scalar()
    if asked:
        first, final = (index(ibis.date(day)) for day in asked)
        low = ibis.least(low.fill_null(first), first)

    active = by_gap.group_by("p").agg(
        active=_.users.sum(),
        new=_.users.sum(where=_.since == FAR),
        current=_.users.sum(where=_.since <= week_days),
        reactivated=_.users.sum(where=_.since.between(week_days + 1, month_days)),
        resurrected=_.users.sum(where=_.since == month_days + 1),
    )
    turns = numbers(3)  # the day after; the week is over or the user is back; the month is over or the user is back
    after = ibis.cases((turns.k == 0, 1), (turns.k == 1, week_days + 1), else_=month_days + 1)
    moves = by_gap.cross_join(turns.mutate(after=after)).group_by(p=_.p + ibis.least(_.gap, _.after))
    moves = moves.agg(
        at_risk_wau=ibis.cases((_.k == 0, _.users), (_.k == 1, -_.users), else_=0).sum(),
        at_risk_mau=ibis.cases((_.k == 1, _.users), (_.k == 2, -_.users), else_=0).sum(),
    )
    every = span(low, last_complete(last)).left_join(active, "p").drop("p_right").left_join(moves, "p")
    filled = every.select("p", *[every[c].fill_null(0).cast("int64").name(c) for c in every.columns if c[0] != "p"])
    so_far = ibis.cumulative_window(order_by="p")
    totals = filled.mutate(
        seen=_.new.sum().over(so_far),
        at_risk_wau=_.at_risk_wau.sum().over(so_far).cast("int64"),
        at_risk_mau=_.at_risk_mau.sum().over(so_far).cast("int64"),
    )
    shown = totals.filter(_.p.between(first, final)) if asked else totals
    return (
        shown.select(
            *("new", "current", "reactivated", "resurrected", "at_risk_wau", "at_risk_mau"),
            day=first_day(_.p),
            dormant=(_.seen - _.active - _.at_risk_wau - _.at_risk_mau).cast("int64"),
        )
        .relocate("day")
        .order_by("day")
    )
