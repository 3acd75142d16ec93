"""The five states of a user, judged from the days on which they were active."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_

import ibis
import ibis.expr.types as ir

from opslib.metrics._acquired import earlier
from opslib.metrics._periods import Day, observed_until, whole
from opslib.metrics._visits import marked, visits

UNSEEN = "unseen"
CAME, BEFORE, WITHIN = range(3)  # three bits of `flags` for each day


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
    user, last = facts(rows, ends, new, silent, churn), list(ends)[-1]
    return user.select(
        *("first_day", "last_day"),
        user_id=user.shown_id if "shown_id" in user.columns else user.user_id,
        days_away=ends[last].delta(user.last_day, unit="day").cast("int64"),
        active_days=user[f"{last}_often"],
        **states_of(user, ends, often),
    )


def facts(rows: ir.Table, ends: dict[str, ir.DateValue], new: int, silent: int, churn: int) -> ir.Table:
    """One row per user of `visits`: all that their states at the ends of the named days follow from.

    For each day the active days among the last `silent` (`<name>_often`), and in `flags` three bits: CAME, they had come by
    then; BEFORE, they had come before the last `new` days; WITHIN, they were there in the last `churn` days.
    """
    last = list(ends)[-1]
    known, flags = {"first_day": rows.day.min(), "last_day": rows.day.max()}, []
    for name, end in ends.items():
        # Bounds on the day itself: to count its distance costs more than all the rest.
        came = rows.day <= end if name != last else ibis.literal(True)
        late = came & (rows.day > earlier(end, silent))
        count = rows.count(where=late) if marked(rows) else rows.day.nunique(where=late)
        known[f"{name}_often"] = count.cast("int64")
        flags += [came, rows.day <= earlier(end, new), came & (rows.day > earlier(end, churn))]
    if "shown_id" in rows.columns:
        known["shown_id"] = rows.shown_id.min()
    # All of them in one number cost what one of them alone would.
    bits = [ibis.ifelse(flag, ibis.literal(1 << n, "int32"), ibis.literal(0, "int32")) for n, flag in enumerate(flags)]
    return rows.group_by("user_id").agg(**known, flags=reduce(or_, bits).bit_or())


def states_of(known: ir.Table, names: Iterable[str], often: int) -> dict[str, ir.StringValue]:
    """The state at the end of each named day, by the `facts` in their order."""
    return {
        name: ibis.cases(
            (~_held(known, n, CAME), UNSEEN),
            (~_held(known, n, BEFORE), "new"),
            (known[f"{name}_often"] >= often, "active"),
            (known[f"{name}_often"] > 0, "retained"),
            (_held(known, n, WITHIN), "silent"),
            else_="churned",
        )
        for n, name in enumerate(names)
    }


def _held(known: ir.Table, n: int, flag: int) -> ir.BooleanValue:
    return (known.flags & (1 << 3 * n + flag)) != 0
