"""What each user is to an operations team on a day: new, active, retained, silent or churned."""

from __future__ import annotations

import datetime as dt
import itertools

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib.metrics._filters import Step
from opslib.metrics._periods import Day, as_day, observed_until, whole
from opslib.metrics._states import check, facts, judged, states_of
from opslib.metrics._visits import visits

STATES = ("new", "active", "retained", "silent", "churned")


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
    check("states", new_days, active_days, silent_days, churn_days)
    end = observed_until(events, as_of, "states")
    rows = visits(events, event, until=as_of, metric="states", shown=True)
    user = judged(rows, {"state": end}, new_days, active_days, silent_days, churn_days)
    return user.select("user_id", "state", "first_day", "last_day", "days_away", "active_days")


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
    rule = (new_days, active_days, silent_days, churn_days)
    return _moved(events, before, after, event, rule).order_by("from_state", "to_state")


def _moved(events: ir.Table, before: Day, after: Day, event: Step, rule: tuple[int, int, int, int]) -> ir.Table:
    """`transitions` in no order."""
    check("transitions", *rule)
    new, often, silent, churn = rule
    days = [as_day(before, "before", "transitions"), as_day(after, "after", "transitions")]
    if days[0] >= days[1]:
        raise ValueError(f"transitions: after must be later than before, got {days[0]} to {days[1]}")

    rows = visits(events, event, until=days[1], metric="transitions")
    ends = {"from_state": ibis.date(days[0]), "to_state": ibis.date(days[1])}
    user = facts(rows, ends, new, silent, churn)
    # Users of the same facts are judged once.
    alike = user.group_by("flags", *(f"{name}_often" for name in ends)).agg(users=_.count())
    counts = alike.group_by(**states_of(alike, ends, often)).agg(users=alike.users.sum().cast("int64"))
    size = _.users.sum().over(ibis.window(group_by="from_state")).cast("int64")
    return counts.mutate(size=size)


def past_transitions(
    events: ir.Table,
    *,
    after: Day,
    days: int = 28,
    steps: int = 5,
    event: Step = None,
    new_days: int = 7,
    active_days: int = 3,
    silent_days: int = 7,
    churn_days: int = 30,
) -> ir.Table:
    """The flows between states over several steps of equal length, one before the other.

    One row per (step, from_state, to_state) that some user took.

    Columns
    -------
    step       : int     0 is the step that ends on `after`, 1 the one that ends where it begins, and so on
    from_state, to_state, users, size : as `transitions`

    Definition: `transitions` of the `days` days of each step. Steps before the first event are absent.
    Error: a multinomial interval on each row of a step's matrix, users / size.
    Source: terms.yml, `state.transitions`.

    Raises
    ------
    ValueError  if `days` is not 1 to 3650 or `steps` not 1 to 60, or as `states`.
    """
    whole(days, 1, 3650, "days", "past_transitions")
    whole(steps, 1, 60, "steps", "past_transitions")
    rule = (new_days, active_days, silent_days, churn_days)
    ends = [as_day(after, "after", "past_transitions") - dt.timedelta(days * k) for k in range(steps + 1)]
    moves = [_moved(events, before, end, event, rule) for end, before in itertools.pairwise(ends)]
    parts = [table.mutate(step=ibis.literal(k, "int64")).relocate("step") for k, table in enumerate(moves)]
    found = ibis.union(*parts) if len(parts) > 1 else parts[0]
    return found.order_by("step", "from_state", "to_state")
