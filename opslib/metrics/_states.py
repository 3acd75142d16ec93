"""The five states of a user, judged from the days on which they were active."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from opslib.metrics._acquired import earlier
from opslib.metrics._periods import Day, observed_until, whole
from opslib.metrics._visits import marked, visits


def check(metric: str, new_days: int, active_days: int, silent_days: int, churn_days: int) -> None:
    whole(churn_days, 2, 3650, "churn_days", metric)
    whole(silent_days, 1, churn_days - 1, "silent_days (below churn_days)", metric)
    whole(new_days, 1, silent_days, "new_days (at most silent_days)", metric)
    whole(active_days, 1, silent_days, "active_days (at most silent_days)", metric)


def keyed_states(
    events: ir.Table,
    *,
    as_of: Day | None,
    new_days: int,
    active_days: int,
    silent_days: int,
    churn_days: int,
    metric: str,
) -> ir.Table:
    """`states` of the warehouse's integer users, where it has these, for metrics that only count them."""
    check(metric, new_days, active_days, silent_days, churn_days)
    end = observed_until(events, as_of, metric)
    rows = visits(events, None, until=as_of, metric=metric)
    return judged(rows, {"state": end}, new_days, active_days, silent_days, churn_days)


def judged(rows: ir.Table, ends: dict[str, ir.DateValue], new: int, often: int, silent: int, churn: int) -> ir.Table:
    """One row per user of `visits`: first and last active day, and for each named day the state at its end by what was known then.

    `days_away` and `active_days` are those of the last named day, up to which `rows` go.
    """
    once, last = marked(rows), list(ends)[-1]
    facts = {"first_day": rows.day.min(), "last_day": rows.day.max()}
    for name, end in ends.items():
        # Bounds on the day itself, here and below: to count its distance costs more than all the rest.
        late = rows.day > earlier(end, silent)
        late = late if name == last else late & (rows.day <= end)
        count = rows.count(where=late) if once else rows.day.nunique(where=late)
        facts[f"{name}_often"] = count.cast("int64")
        facts[f"{name}_day"] = facts["last_day"] if name == last else rows.day.max(where=rows.day <= end)
    if "shown_id" in rows.columns:
        facts["shown_id"] = rows.shown_id.min()
    user = rows.group_by("user_id").agg(**facts)
    state = {
        name: ibis.cases(
            (user.first_day > earlier(end, new), "new"),
            (user[f"{name}_often"] >= often, "active"),
            (user[f"{name}_day"] > earlier(end, silent), "retained"),
            (user[f"{name}_day"] > earlier(end, churn), "silent"),
            else_="churned",
        )
        for name, end in ends.items()
    }
    return user.select(
        *("first_day", "last_day"),
        user_id=user.shown_id if "shown_id" in user.columns else user.user_id,
        days_away=ends[last].delta(user.last_day, unit="day").cast("int64"),
        active_days=user[f"{last}_often"],
        **state,
    )
