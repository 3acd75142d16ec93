"""Who each user is to an operations team: when, how often and for how much they bought, and what they do."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._acquired import earlier, identified, lived, named, recent
from opslib.metrics._periods import Day, last_day, observed_until, whole

SOCIAL = ("like", "comment", "favorite", "share", "follow")
BUYING = ("add_to_cart", "checkout", "pay")
TASKS = ("join_campaign", "invite", "check_in", "claim_reward")
PASSIVE = ("impression", "page_view")  # what is shown to a user is no action


def rfm(orders: ir.Table, *, until: Day | None = None, days: int = 365) -> ir.Table:
    """How recently, how often and for how much each customer bought.

    One row per customer with an order in the window; lazy to the end, it may be long.

    Columns
    -------
    user_id   : string
    recency   : int    days from the last order to `until`; 0 is that day
    frequency : int    orders in the window
    monetary  : float  amount less refunds of these orders, in the warehouse's currency

    Definition: the `days` days up to and with `until` (default: the last day with an order). A refund over its order's
    amount counts as that amount. Scores and segments are the model's (`models.segments.rfm`).
    Error: none, a census.
    Source: terms.yml, `segment.rfm`.

    Raises
    ------
    ValueError  if `days` is not 1 to 3650.
    """
    whole(days, 1, 3650, "days", "rfm")
    rows = recent(identified(orders), "paid_day", last_day(orders.paid_day, until, "rfm"), days)
    found = _bought(rows, shown_id=_.shown_id.min())
    return found.select("recency", "frequency", "monetary", user_id=_.shown_id).relocate("user_id")


def activity_rfm(daily: ir.Table, *, until: Day | None = None, days: int = 90) -> ir.Table:
    """The same for a product without orders: how recently, on how many days and how intensely each user was active.

    One row per user active in the window; lazy to the end, it may be long.

    Columns
    -------
    user_id   : string
    recency   : int    days from the last active day to `until`
    frequency : int    active days in the window
    monetary  : float  actions in the window; what was merely shown (impressions, page views) does not count

    Definition: the `days` days up to and with `until` (default: the last day of the data).
    Error: none, a census.
    Source: terms.yml, `segment.rfm`.

    Raises
    ------
    ValueError  if `days` is not 1 to 3650.
    """
    whole(days, 1, 3650, "days", "activity_rfm")
    last = observed_until(daily, until, "activity_rfm")
    rows = identified(recent(daily, "day", last, days))
    found = rows.group_by("user_id").agg(
        shown_id=_.shown_id.min(),
        recency=_.away.min(),
        frequency=_.away.nunique(),
        monetary=ibis.ifelse(_.event.isin(PASSIVE), 0, _.n).sum(),
    )
    return found.select(
        user_id=_.shown_id,
        recency=_.recency.cast("int64"),
        frequency=_.frequency.cast("int64"),
        monetary=_.monetary.cast("float64"),
    )


def profile(
    users: ir.Table,
    daily: ir.Table,
    orders: ir.Table,
    *,
    until: Day | None = None,
    days: int = 90,
    offset_hours: int = 0,
) -> ir.Table:
    """What each user has done lately, as numbers known at the end of a day.

    One row per registered user who was active in the window; lazy to the end, it may be long.

    Columns
    -------
    user_id     : string
    channel     : string  "(none)" for users without one
    platform    : string
    tenure_days : int     days since the registration, or since the first active day if that is earlier
    days_away   : int     days from the last active day to `until`
    active_7, active_28, active_days : int  active days among the last 7, the last 28, and in the window
    kinds       : int     different events done (breadth)
    actions     : int     actions; what was merely shown does not count
    reads, finished, social, buying, tasks : int  opened items, items read to the end, likes and the like, steps of
                          buying, campaign tasks
    seen        : int     (day, event) pairs; the denominator of the three below
    morning, evening, night : int  of them, those begun from 5 to 11, from 18 to 22, and from 22 to 5 o'clock local time
    orders      : int     paid orders in the window
    spent       : float   their net value

    Definition: the `days` days up to and with `until` (default: the last day of the data). Nothing that happened later
    is in it. Local time is UTC + `offset_hours`, the same all year: where clocks change, an hour's error half of it.
    Error: none, a census.
    Source: terms.yml, `segment.persona`.

    Raises
    ------
    ValueError  if `days` is not 28 to 3650, or `offset_hours` not −12 to 14.
    """
    whole(days, 28, 3650, "days", "profile")
    whole(offset_hours, -12, 14, "offset_hours", "profile")
    last = observed_until(daily, until, "profile")
    found = _profile(users, daily, orders, last, days, offset_hours)
    return found.mutate(user_id=_.shown).drop("shown")


def _profile(
    users: ir.Table,
    daily: ir.Table,
    orders: ir.Table,
    last: ir.DateScalar,
    days: int,
    offset_hours: int,
    one_in: int = 1,
) -> ir.Table:
    """As `profile`, with `shown` beside `user_id`, which may be an integer; of one user in so many."""
    # Everything is summed and joined by integers; the text of an id comes from the one row that the user has. Days come
    # first: what the profiles of several days have in common, the engine would write down whole.
    users = users.filter(users.registered_day <= last)
    came = daily.select("day", *(c for c in ("user_id", contract.KEYS["user_id"]) if c in daily.columns))
    tables = [recent(daily, "day", last, days), recent(came, "day", last, days), recent(orders, "paid_day", last, days)]
    tables = contract.keyed(users.mutate(shown=users.user_id), *tables)
    if one_in > 1 and tables[0].user_id.type().is_integer():
        tables = [table.filter(table.user_id % one_in == 0) for table in tables]
    users, rows, came, bought = tables
    hour = (rows.first_ts.hour().cast("int64") + (24 + offset_hours)) % 24
    rows = rows.mutate(hour=hour)
    # Days and the rest apart: grouped by user and day first, every sum would be made twice.
    here = came.select("user_id", "away").distinct().group_by("user_id")
    here = here.agg(
        first=_.away.max(),
        days_away=_.away.min(),
        active_7=_.away.count(where=_.away < 7),
        active_28=_.away.count(where=_.away < 28),
        active_days=_.count(),
    )
    did = rows.group_by("user_id").agg(kinds=rows.event.nunique(), **_counts(rows))
    paid = _bought(bought).select(buyer="user_id", orders="frequency", spent="monetary")
    who = named(users).select("user_id", "shown", "channel", "platform", since=lived(_.registered_day, last))
    joined = who.join(here, "user_id").join(did, "user_id").left_join(paid, _.user_id == paid.buyer)
    whole_numbers = ("days_away", "active_7", "active_28", "active_days", "kinds")
    return joined.select(
        "user_id",
        "shown",
        "channel",
        "platform",
        *[joined[c].cast("int64").name(c) for c in whole_numbers],
        *_counts(rows),
        tenure_days=ibis.greatest(joined["since"], joined["first"]).cast("int64"),
        orders=joined["orders"].fill_null(0).cast("int64"),
        spent=joined["spent"].fill_null(0.0),
    ).relocate("user_id", "channel", "platform", "tenure_days")


def _bought(recently: ir.Table, **further: ir.Deferred) -> ir.Table:
    rows = recently.group_by("user_id")
    left = _.amount - _.refunded.fill_null(0.0)
    net = ibis.ifelse(left > 0, left, 0.0)
    whole_numbers = {"recency": _.away.min().cast("int64"), "frequency": _.count().cast("int64")}
    return rows.agg(**whole_numbers, monetary=net.sum(), **further)


def _counts(rows: ir.Table) -> dict[str, ir.IntegerValue]:
    """What is summed over a user's rows."""

    def n(holds: ir.BooleanValue) -> ir.IntegerValue:
        return rows.n.sum(where=holds).fill_null(0).cast("int64")

    def began(holds: ir.BooleanValue) -> ir.IntegerValue:
        return rows.count(where=holds).cast("int64")

    event, hour = rows.event, rows["hour"]
    return {
        "actions": n(event.notin(PASSIVE)),
        "reads": n(event == "read"),
        "finished": n(event == "complete"),
        "social": n(event.isin(SOCIAL)),
        "buying": n(event.isin(BUYING)),
        "tasks": n(event.isin(TASKS)),
        "seen": rows.count().cast("int64"),
        "morning": began((hour >= 5) & (hour < 11)),
        "evening": began((hour >= 18) & (hour < 22)),
        "night": began((hour >= 22) | (hour < 5)),
    }


def slipping(
    users: ir.Table,
    daily: ir.Table,
    orders: ir.Table,
    *,
    until: Day | None = None,
    ago: Sequence[int] = tuple(range(28, 155, 14)),
    horizon_days: int = 28,
    recent_days: int = 7,
    days: int = 90,
    offset_hours: int = 0,
    one_in: int = 1,
) -> ir.Table:
    """Users who were active lately on some past days, as they looked then, and whether they left.

    One row per (ago, user_id) with a user active in the last `recent_days` days; stays lazy, it may be long.

    Columns
    -------
    ago     : int  days from that day to `until`
    left    : int  1 without any activity in the `horizon_days` days after that day, else 0
    further : the columns of `profile` at the end of that day

    Definition: what happened after the day is in `left` only. Days whose horizon is not over by `until` are absent.
    `one_in` takes users whose integer in the warehouse divides by it; everybody on an engine without these integers.
    Error: rows of one user on several days are not independent.
    Source: terms.yml, `churn.risk`.

    Raises
    ------
    ValueError  if no day is `horizon_days` ago, `one_in` is below 1, or as `profile`.
    """
    whole(one_in, 1, 10**9, "one_in", "slipping")
    whole(horizon_days, 1, 365, "horizon_days", "slipping")
    whole(recent_days, 1, days, "recent_days", "slipping")
    over = [k for k in ago if k >= horizon_days]
    if not over:
        raise ValueError(f"slipping: ago must hold a number of days of at least {horizon_days}, got {list(ago)!r}")
    last = observed_until(daily, until, "slipping")
    parts = []
    for k in over:
        day = earlier(last, k)
        rows = _profile(users, daily, orders, day, days, offset_hours, one_in).filter(_.days_away < recent_days)
        back = recent(daily, "day", earlier(last, k - horizon_days), horizon_days)
        back = contract.keyed(back, users, orders)[0].select(back_id="user_id").distinct()
        joined = rows.left_join(back, rows.user_id == back.back_id)
        left = ibis.ifelse(joined.back_id.isnull(), 1, 0).cast("int64")
        parts.append(joined.mutate(left=left, ago=ibis.literal(k, "int64")).drop("back_id"))
    found = ibis.union(*parts) if len(parts) > 1 else parts[0]
    return found.mutate(user_id=_.shown).drop("shown").relocate("ago", "user_id", "left")


def attributes(users: ir.Table) -> ir.Table:
    """What else is known of users: columns of their table that are not the contract's, such as age or income.

    One row per user; stays lazy, it may be long.

    Columns
    -------
    user_id : string
    further : as loaded, as text; null where not known

    Error: none, what was loaded; often it is known of few.
    Source: opslib.contract; further columns of a table are kept.
    """
    own = {*contract.types("users"), *contract.KEYS.values()}
    return users.select("user_id", *[users[c].cast("string").name(c) for c in users.columns if c not in own])


def tastes(
    events: ir.Table, content: ir.Table, *, event: str = "read", until: Day | None = None, days: int = 90
) -> ir.Table:
    """How often each user opened items of each category.

    One row per (user_id, category) that occurs in the window; lazy to the end, it may be long.

    Columns
    -------
    user_id  : string
    category : string  of the item; items without one, or unknown to `content`, are absent
    n        : int     events `event` on its items

    Definition: the `days` days up to and with `until` (default: the last day of the data).
    Error: none, a census.
    Source: terms.yml, `segment.persona`.

    Raises
    ------
    ValueError  if `days` is not 1 to 3650.
    """
    whole(days, 1, 3650, "days", "tastes")
    last = observed_until(events, until, "tastes")
    rows = recent(events, "day", last, days).filter(_.event == event)
    rows, items = contract.keyed(rows, content, names=("content_id",))
    kind = items.filter(_.category.notnull() & (_.category != "")).select("content_id", "category")
    both = rows.select("user_id", "content_id").join(kind, "content_id")
    return both.group_by("user_id", "category").agg(n=_.count().cast("int64"))
