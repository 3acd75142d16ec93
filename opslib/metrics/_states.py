"""The five states of a user, judged from the days on which they were active."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

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
    once = marked(rows)
    away = {f"{name}_away": end.delta(rows.day, unit="day").cast("int64") for name, end in ends.items()}
    days = rows.mutate(**away)
    facts = {"first_day": days.day.min(), "last_day": days.day.max()}
    for name in ends:
        since = days[f"{name}_away"]
        facts[f"{name}_age"] = since.max()
        facts[f"{name}_away"] = since.min(where=since >= 0) if len(ends) > 1 else since.min()
        late = since.between(0, silent - 1)
        count = ibis.ifelse(late, 1, 0).sum() if once else days.day.nunique(where=late)
        facts[f"{name}_often"] = count.cast("int64")
    if "shown_id" in days.columns:
        facts["shown_id"] = days.shown_id.min()
    user = days.group_by("user_id").agg(**facts)
    state = {
        name: ibis.cases(
            (user[f"{name}_age"] < new, "new"),
            (user[f"{name}_often"] >= often, "active"),
            (user[f"{name}_away"] < silent, "retained"),
            (user[f"{name}_away"] < churn, "silent"),
            else_="churned",
        )
        for name in ends
    }
    last = list(ends)[-1]
    return user.select(
        *("first_day", "last_day"),
        user_id=user.shown_id if "shown_id" in user.columns else user.user_id,
        days_away=user[f"{last}_away"],
        active_days=user[f"{last}_often"],
        **state,
    )
