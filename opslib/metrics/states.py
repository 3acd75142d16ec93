"""What each user is to an operations team on a day: new, active, retained, silent or churned."""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib.metrics._filters import Step
from opslib.metrics._periods import Day, as_day, observed_until, whole
from opslib.metrics._visits import visits

STATES = ("new", "active", "retained", "silent", "churned")
UNSEEN = "unseen"


def states(
    events: ir.Table,
    *,
    as_of: Day | None = None,
    event: Step = None,
    new_days: int = 7,
    active_days: int = 3,
    silent_days: int = 7,
    churn_days: int = 30,
) -> ir.Table:
    """Each user's state at the end of a day: new (新增), active (活跃), retained (留存), silent (沉默), churned (流失).

    One row per user seen by then; lazy to the end, the engine writes the list.

    Columns
    -------
    user_id     : string  the user
    state       : string  new, active, retained, silent or churned
    first_day   : date    first active local day
    last_day    : date    last active local day up to `as_of`
    days_away   : int     days from `last_day` to `as_of`; 0 is active on that day
    active_days : int     active days among the last `silent_days` days

    Definition: the first that fits, at the end of local day `as_of` (default: the last day of the data). Days are
    counted from `as_of` backwards, itself included, so a threshold of 7 means that day and the 6 before it.

    - new: first active day within the last `new_days`;
    - active: active on at least `active_days` of the last `silent_days`;
    - retained: active in the last `silent_days`, less often than that;
    - silent: last active earlier than that, but within the last `churn_days`;
    - churned: not active for `churn_days` days or longer; one last active exactly `churn_days` days ago has churned.

    Error: none, a rule applied to every user; the thresholds are a choice, show them.
    Source: terms.yml, `state.new`, `state.active`, `state.retained`, `state.silent`, `state.churned`.

    Raises
    ------
    ValueError  unless 1 ≤ `new_days`, `active_days` ≤ `silent_days` < `churn_days` ≤ 3650.
    """
    _check("states", new_days, active_days, silent_days, churn_days)
    end = observed_until(events, as_of, "states")
    rows = visits(events, event, until=as_of, metric="states", keyed=False)
    return _states(rows, end, new_days, active_days, silent_days, churn_days)


def transitions(
    events: ir.Table,
    *,
    before: Day,
    after: Day,
    event: Step = None,
    new_days: int = 7,
    active_days: int = 3,
    silent_days: int = 7,
    churn_days: int = 30,
) -> ir.Table:
    """How many users went from each state on one day to each state on a later day.

    One row per (from_state, to_state) that some user took.

    Columns
    -------
    from_state : string  state at the end of `before`, or "unseen" for users who had not come yet
    to_state   : string  state at the end of `after`
    users      : int     distinct users
    size       : int     distinct users in `from_state`; the transition rate is users / size

    Definition: the states of `states`, each judged by what was known at the end of its own day.
    Error: a multinomial interval on each row of the matrix, users / size.
    Source: terms.yml, `state.transitions`.

    Raises
    ------
    ValueError  if `after` is not later than `before`, or as `states`.
    """
    _check("transitions", new_days, active_days, silent_days, churn_days)
    days = [as_day(before, "before", "transitions"), as_day(after, "after", "transitions")]
    if days[0] >= days[1]:
        raise ValueError(f"transitions: after must be later than before, got {days[0]} to {days[1]}")

    def at(day: dt.date, name: str) -> ir.Table:
        rows = visits(events, event, until=day, metric="transitions")
        found = _states(rows, ibis.date(day), new_days, active_days, silent_days, churn_days)
        return found.select("user_id", **{name: found.state})

    # Nobody is unseen: who was there before is still there after, be it as churned.
    later, earlier = at(days[1], "to_state"), at(days[0], "from_state")
    moved = later.left_join(earlier, "user_id")
    moved = moved.select("to_state", from_state=moved.from_state.fill_null(UNSEEN))
    counts = moved.group_by("from_state", "to_state").agg(users=_.count())
    size = _.users.sum().over(ibis.window(group_by="from_state")).cast("int64")
    return counts.mutate(size=size).order_by("from_state", "to_state")


def _check(metric: str, new_days: int, active_days: int, silent_days: int, churn_days: int) -> None:
    whole(churn_days, 2, 3650, "churn_days", metric)
    whole(silent_days, 1, churn_days - 1, "silent_days (below churn_days)", metric)
    whole(new_days, 1, silent_days, "new_days (at most silent_days)", metric)
    whole(active_days, 1, silent_days, "active_days (at most silent_days)", metric)


def _states(rows: ir.Table, end: ir.DateValue, new: int, often: int, silent: int, churn: int) -> ir.Table:
    days = rows.select("user_id", "day", away=end.delta(rows.day, unit="day").cast("int64"))
    user = days.group_by("user_id").agg(
        first_day=_.day.min(),
        last_day=_.day.max(),
        age=_.away.max(),
        days_away=_.away.min(),
        active_days=_.day.nunique(where=_.away < silent).cast("int64"),
    )
    state = ibis.cases(
        (user.age < new, "new"),
        (user.active_days >= often, "active"),
        (user.days_away < silent, "retained"),
        (user.days_away < churn, "silent"),
        else_="churned",
    )
    return user.select("user_id", "first_day", "last_day", "days_away", "active_days", state=state).relocate(
        "user_id", "state"
    )
