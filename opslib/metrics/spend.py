"""What channels cost, whom they brought, and what of the two does not meet."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._acquired import lived, named, within
from opslib.metrics._periods import GRAINS, Day, Period, first_day, index, last_day, one_of, whole


def channel_cost(
    spend: ir.Table, campaigns: ir.Table, *, grain: str = "week", period: Period | None = None
) -> ir.Table:
    """What was spent on each channel in each calendar period.

    One row per (start, channel, kind) with a row of spend; what was not booked is absent, never zero.

    Columns
    -------
    start         : date    first local day of the period
    channel, kind : string  kind is paid, free or offline
    cost          : float   spent on winning users
    campaign_cost : float   spent on a campaign of the table `campaigns`, which addresses users who are there already
    impressions, clicks : int    null where none was reported
    days          : int     days with a row of spend

    Definition: the days of `period`, both included; a period that it cuts holds only these days. Spend whose
    `campaign_id` is unknown to `campaigns` (an advertiser's own) is spent on winning users.
    Error: none, a census of what was booked.
    Source: terms.yml, `acquisition.cost`.

    Raises
    ------
    ValueError  if `grain` is not "day", "week" or "month".
    """
    one_of(grain, GRAINS, "grain", "channel_cost")
    rows = _split(within(spend, "day", period, "channel_cost"), campaigns).mutate(p=index(_.day, grain))
    sums = rows.group_by("p", "channel", "kind").agg(
        cost=_.won.sum(),
        campaign_cost=_.kept.sum(),
        impressions=_.impressions.sum().cast("int64"),
        clicks=_.clicks.sum().cast("int64"),
        days=_.day.nunique().cast("int64"),
    )
    sums = sums.mutate(start=first_day(_.p, grain)).order_by("start", "channel", "kind")
    return sums.select("start", "channel", "kind", "cost", "campaign_cost", "impressions", "clicks", "days")


def channel_days(spend: ir.Table, users: ir.Table, campaigns: ir.Table, *, period: Period | None = None) -> ir.Table:
    """Cost and sign-ups of each channel, day by day.

    One row per (day, channel) with a row of spend or a sign-up.

    Columns
    -------
    day     : date
    channel : string  "(none)" for users without one
    kind    : string  null where nothing was booked
    cost    : float   spent on winning users (see `channel_cost`); null where nothing was booked
    clicks  : int     null where none was reported
    signups : int     users of the channel registered on that day

    Definition: cost and users meet on the channel's exact spelling; see `models.channels.spellings` for those that miss.
    Error: none, a census.
    Source: terms.yml, `acquisition.cac`.
    """
    paid = _split(within(spend, "day", period, "channel_days"), campaigns)
    paid = paid.group_by("day", "channel").agg(kind=_.kind.min(), cost=_.won.sum(), clicks=_.clicks.sum())
    new = within(named(users), "registered_day", period, "channel_days")
    new = new.group_by(day=_.registered_day, channel=_.channel).agg(signups=_.count())
    both = ibis.union(
        paid.select("day", "channel", "kind", "cost", clicks=_.clicks.cast("int64"), signups=ibis.literal(0, "int64")),
        new.select(
            "day",
            "channel",
            kind=ibis.null("string"),
            cost=ibis.null("float64"),
            clicks=ibis.null("int64"),
            signups=_.signups.cast("int64"),
        ),
    )
    return (
        both.group_by("day", "channel")
        .agg(
            kind=_.kind.max(),
            cost=_.cost.sum(),
            clicks=_.clicks.sum().cast("int64"),
            signups=_.signups.sum().cast("int64"),
        )
        .order_by("day", "channel")
    )


def channel_users(
    users: ir.Table,
    daily: ir.Table,
    orders: ir.Table,
    *,
    grain: str = "week",
    period: Period | None = None,
    until: Day | None = None,
    activation: str = "activate",
    activation_days: int = 7,
) -> ir.Table:
    """Whom a channel brought in each calendar period: sign-ups, activated, payers, and who came back.

    One row per (start, channel) with a sign-up.

    Columns
    -------
    start      : date    first local day of the period
    channel    : string  "(none)" for users without one
    signups    : int     users registered
    activated  : int     of them, with an `activation` event up to `activation_days` days after the day they registered
    of_activated : int   users whose days for it have all been observed; the share is activated / of_activated
    payers     : int     with a paid order so far
    d1, d7, d30 : int    active on exactly that day after registration
    of_d1, of_d7, of_d30 : int  users for whom that day has been observed

    Definition: by the local day of registration and the user's own channel of acquisition. `activated` and `dN` count
    only users of their denominators; what has not been observed yet is in neither. `payers` grows with age.
    Error: binomial on each share (`stats.proportion`).
    Source: terms.yml, `acquisition.cac`, `retention.n_day`.

    Raises
    ------
    ValueError  if `grain` is not "day", "week" or "month", or `activation_days` not 0 to 365.
    """
    one_of(grain, GRAINS, "grain", "channel_users")
    whole(activation_days, 0, 365, "activation_days", "channel_users")
    users, daily, orders = contract.keyed(users, daily, orders)
    last = last_day(daily.day, until, "channel_users")
    new = within(named(users), "registered_day", period, "channel_users")
    new = new.select("user_id", "channel", registered=_.registered_day)
    seen = daily.filter(_.day <= last).select("user_id", "day", "event").join(new, "user_id")
    away = _.day.delta(_.registered, unit="day")
    flags = {f"d{n}": ibis.ifelse(away == n, 1, 0).max() for n in (1, 7, 30)}
    did = ibis.ifelse((_.event == activation) & away.between(0, activation_days), 1, 0)
    seen = seen.group_by("user_id").agg(activated=did.max(), **flags)
    paid = orders.filter(_.paid_day <= last).select("user_id").distinct().mutate(payer=ibis.literal(1))
    rows = new.left_join(seen, "user_id").drop("user_id_right").left_join(paid, "user_id").drop("user_id_right")
    old = {"activated": activation_days, "d1": 1, "d7": 7, "d30": 30}
    rows = rows.mutate(
        p=index(_.registered, grain),
        payer=_.payer.fill_null(0),
        **{f"of_{k}": ibis.ifelse(lived(_.registered, last) >= n, 1, 0) for k, n in old.items()},
    )
    rows = rows.mutate(**{k: rows[k].fill_null(0) * rows[f"of_{k}"] for k in old})
    counts = {k: rows[k].sum().cast("int64") for name in old for k in (name, f"of_{name}")}
    found = rows.group_by("p", "channel").agg(signups=_.count(), payers=_.payer.sum().cast("int64"), **counts)
    found = found.mutate(start=first_day(_.p, grain)).order_by("start", "channel")
    return found.select("start", "channel", "signups", "payers", *counts)


def join_failures(spend: ir.Table, users: ir.Table, orders: ir.Table) -> ir.Table:
    """Rows that money and users do not share: they are in no channel's numbers, or in them with a correction.

    One row per failure that happens.

    Columns
    -------
    failure : string  orders_without_user, orders_before_registration, refunds_over_amount, users_without_channel
    n       : int     rows
    amount  : float   money on them; null for users
    example : string  the smallest id

    Definition: see each name; the first two are left out of a user's value, a refund counts up to its order's amount.
    Error: none, a census.
    Source: terms.yml, `acquisition.join`.
    """
    known = users.select("user_id", registered=_.registered_day)
    rows = orders.select("order_id", "user_id", "paid_day", "amount", "refunded").left_join(known, "user_id")
    missing = rows.user_id_right.isnull()
    groups = {
        "orders_without_user": rows.filter(missing),
        "orders_before_registration": rows.filter(rows.paid_day < rows.registered),
        "refunds_over_amount": rows.filter(rows.refunded > rows.amount),
    }
    named = [
        t.agg(n=_.count(), amount=_.amount.sum(), example=_.order_id.min()).mutate(failure=ibis.literal(name))
        for name, t in groups.items()
    ]
    bare = users.filter(_.channel.isnull() | (_.channel == ""))
    named.append(
        bare.agg(n=_.count(), example=_.user_id.min()).mutate(
            amount=ibis.null("float64"), failure=ibis.literal("users_without_channel")
        )
    )
    columns = ["failure", "n", "amount", "example"]
    return ibis.union(*(t.select(columns) for t in named)).filter(_.n > 0).order_by("failure")


def currencies(spend: ir.Table, orders: ir.Table) -> ir.Table:
    """The currencies in which money is booked, where the tables name one.

    One row per (table, currency).

    Columns
    -------
    table    : string  spend or orders
    currency : string  null where none is named
    n        : int     rows

    Definition: the extra column `currency` of a table; the contract wants one currency per warehouse.
    Error: none, a census.
    Source: opslib.contract; money is in one currency per warehouse.
    """
    return ibis.union(_currency(spend, "spend"), _currency(orders, "orders")).order_by("table", "currency")


def _currency(table: ir.Table, name: str) -> ir.Table:
    value = table.currency.cast("string") if "currency" in table.columns else ibis.null("string")
    counted = table.select(currency=value).group_by("currency").agg(n=_.count())
    return counted.select("currency", "n", table=ibis.literal(name)).select("table", "currency", "n")


def _split(spend: ir.Table, campaigns: ir.Table) -> ir.Table:
    """Spend as `won` (on winning users) and `kept` (on a campaign of ours)."""
    ours = campaigns.select(ours=_.campaign_id).distinct()
    rows = spend.left_join(ours, spend.campaign_id == ours.ours)
    return rows.mutate(
        won=ibis.ifelse(rows.ours.isnull(), rows.cost, 0.0), kept=ibis.ifelse(rows.ours.isnull(), 0.0, rows.cost)
    )
