"""What new users paid since they came, by cohort and channel, and the histories that purchase models need."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._acquired import lived, named, within
from opslib.metrics._periods import GRAINS, Day, Period, as_day, first_day, index, last_day, numbers, one_of, whole


def cohort_value(
    users: ir.Table,
    orders: ir.Table,
    *,
    grain: str = "month",
    step_days: int = 30,
    ages: int = 12,
    period: Period | None = None,
    until: Day | None = None,
) -> ir.Table:
    """Net revenue of each cohort of new users at each age.

    One row per (cohort, channel, age) that has been observed in full; the rest is absent, never zero.

    Columns
    -------
    cohort  : date    first local day of the week or month in which its users registered
    channel : string  "(none)" for users without one
    age     : int     steps of `step_days` days since the user's own registration, from 0
    users   : int     users of the cohort
    payers  : int     of them, with an order at this age
    revenue : float   amount less refunds of their orders at this age, in the warehouse's currency

    Definition: age 0 is the day of registration and the `step_days` − 1 days after it. A cell counts as observed when
    even the cohort's last user has lived the whole step by `until`. Orders before the registration are not counted; a
    refund over its order's amount counts as that amount. Orders of users unknown to `users` belong to no cohort.
    Error: see `channel_value` for the moments.
    Source: terms.yml, `ltv.observed`.

    Raises
    ------
    ValueError  if `grain` is unknown, `step_days` is not 1 to 366, or `ages` not 1 to 120.
    """
    one_of(grain, GRAINS, "grain", "cohort_value")
    new, bought, last = _aged(users, orders, step_days, ages, period, until, "cohort_value")
    new = new.mutate(p=index(_.registered, grain))
    size = new.group_by("p", "channel").agg(users=_.count(), newest=_.registered.max())
    cells = size.cross_join(numbers(ages, "age"))
    cells = cells.filter(lived(_.newest, last) >= (_.age + 1) * step_days - 1)
    sums = bought.mutate(p=index(_.registered, grain)).group_by("p", "channel", "age")
    sums = sums.agg(payers=_.user_id.nunique(), revenue=_.net.sum())
    return (
        cells.left_join(sums, ["p", "channel", "age"])
        .select(
            "channel",
            "age",
            "users",
            cohort=first_day(_.p, grain),
            payers=_.payers.fill_null(0).cast("int64"),
            revenue=_.revenue.fill_null(0.0),
        )
        .order_by("cohort", "channel", "age")
        .select("cohort", "channel", "age", "users", "payers", "revenue")
    )


def channel_value(
    users: ir.Table,
    orders: ir.Table,
    *,
    step_days: int = 30,
    ages: int = 12,
    period: Period | None = None,
    until: Day | None = None,
) -> ir.Table:
    """Net revenue per new user of each channel, cumulated up to each age, with its variance over users.

    One row per (channel, age) that any of its users has lived in full.

    Columns
    -------
    channel : string
    age     : int    as in `cohort_value`
    users   : int    users observed to the end of this age; the only ones counted in this row
    payers  : int    of them, with an order by then
    mean    : float  net revenue per user by the end of this age, payers or not
    var     : float  its sample variance over users; null below two users

    Definition: as `cohort_value`, user by user: who is younger is absent from the row, in both sums. Rows of different
    ages rest on different users, so the mean need not rise with age.
    Error: `stats.mean`; values are skewed, so it holds for many payers only.
    Source: terms.yml, `ltv.observed`.

    Raises
    ------
    ValueError  if `step_days` is not 1 to 366, or `ages` not 1 to 120.
    """
    new, bought, last = _aged(users, orders, step_days, ages, period, until, "channel_value")
    every = numbers(ages, "step")
    observed = lived(_.registered, last) >= (_.step + 1) * step_days - 1
    size = new.cross_join(every).filter(observed).group_by("channel", "step").agg(users=_.count())
    each = bought.cross_join(every).filter((_.age <= _.step) & observed)
    each = each.group_by("channel", "step", "user_id").agg(net=_.net.sum())
    sums = each.group_by("channel", "step").agg(payers=_.count(), m=_.net.mean(), v=_.net.var(how="sample"))
    rows = size.left_join(sums, ["channel", "step"])
    n, k, m, v = (rows[c].fill_null(0).cast("float64") for c in ("users", "payers", "m", "v"))
    # Most users buy nothing: their zeros are added to the buyers' moments instead of being carried as rows.
    spread = (ibis.ifelse(k > 1, k - 1, 0.0) * v + k * m * m * (1.0 - k / n)) / (n - 1).nullif(0.0)
    found = rows.select("channel", "users", age=rows.step, payers=k.cast("int64"), mean=k * m / n, var=spread)
    return found.select("channel", "age", "users", "payers", "mean", "var").order_by("channel", "age")


def customers(
    users: ir.Table,
    orders: ir.Table,
    *,
    end: Day | None = None,
    until: Day | None = None,
    period: Period | None = None,
) -> ir.Table:
    """What the purchase models need to know of each customer, and what the customer bought after `end`.

    One row per user of `users`, registered in `period`, with an order up to `end` (`until` if not given); stays lazy,
    it may be long.

    Columns
    -------
    user_id : string
    channel : string  "(none)" for users without one
    x       : int     repeat purchases up to `end`: days with an order, less the first one
    t_x     : float   weeks from the first to the last purchase
    age     : float   weeks from the first purchase to `end`
    m       : float   mean net value of a repeat purchase; null when x = 0
    value   : float   net value of all purchases up to `end`
    later   : int     purchases after `end`, up to `until`

    Definition: orders of one local day are one purchase; values are net of refunds, orders before the
    registration are not counted (see `cohort_value`).
    Error: none, a census.
    Source: Fader, Hardie, Lee (2005); Fader, Hardie (2013). The same rows as `models.clv.customer_history`.
    """
    users, orders = contract.keyed(users, orders)
    last = last_day(orders.paid_day, until, "customers")
    day = last if end is None else ibis.date(as_day(end, "end", "customers"))
    new = within(named(users), "registered_day", period, "customers").select("user_id", "channel", "registered_day")
    bought = orders.join(new, "user_id").filter((_.paid_day <= last) & (_.paid_day >= _.registered_day))
    bought = bought.select("user_id", "channel", "paid_day", net=_net(_))
    bought = bought.group_by("user_id", "channel", "paid_day").agg(net=_.net.sum())
    bought = bought.mutate(first=_.paid_day.min().over(group_by="user_id"), seen=_.paid_day <= day)
    found = (
        bought.filter(_.first <= day)
        .group_by("user_id", "channel")
        .agg(
            first=_.first.min(),
            latest=_.paid_day.max(where=_.seen),
            days=_.count(where=_.seen),
            value=_.net.sum(where=_.seen),
            repeats=_.net.sum(where=_.seen & (_.paid_day > _.first)),
            later=_.count(where=~_.seen),
        )
    )
    return found.select(
        "user_id",
        "channel",
        "value",
        x=_.days - 1,
        t_x=_.latest.delta(_.first, unit="day") / 7.0,
        age=lived(_.first, day) / 7.0,
        m=_.repeats / (_.days - 1).nullif(0),
        later=_.later,
    )


def _net(row: ir.Table) -> ir.FloatingValue:
    left = row.amount - row.refunded.fill_null(0.0)
    return ibis.ifelse(left > 0, left, 0.0)


def _aged(
    users: ir.Table,
    orders: ir.Table,
    step_days: int,
    ages: int,
    period: Period | None,
    until: Day | None,
    metric: str,
) -> tuple[ir.Table, ir.Table, ir.DateScalar]:
    """The new users, their orders with their age in steps, and the last day observed."""
    whole(step_days, 1, 366, "step_days", metric)
    whole(ages, 1, 120, "ages", metric)
    users, orders = contract.keyed(users, orders)
    last = last_day(orders.paid_day, until, metric)
    new = within(named(users), "registered_day", period, metric).filter(_.registered_day <= last)
    new = new.select("user_id", "channel", registered=_.registered_day)
    paid = orders.filter(_.paid_day <= last).select("user_id", "paid_day", net=_net(_))
    bought = paid.join(new, "user_id")
    bought = bought.mutate(day_n=_.paid_day.delta(_.registered, unit="day")).filter(_.day_n >= 0)
    return new, bought.mutate(age=_.day_n // step_days), last
