"""New users on their way in: their events, and what those who took a step had done before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib.metrics._filters import Step
from opslib.metrics._funnel_rules import STEPS
from opslib.metrics._periods import Period, bounds, whole
from opslib.metrics.funnel import funnel_tries


def arrivals(events: ir.Table, daily: ir.Table, *, period: Period | None = None) -> ir.Table:
    """The events of the users whose first day ever lies in the period, from that day on.

    One row per event, the columns of `events`; lazy, to be given to another metric of events.

    Definition: the first day is the first of `daily`, the whole history. Funnels and paths of new users take this table, so
    that older users who open the app again do not count as entries that fail to register.
    Error: none, a selection.
    Source: terms.yml, `acquisition.new_users`.

    Raises
    ------
    ValueError  if the period is none.
    """
    first = daily.group_by("user_id").agg(first=_.day.min())
    if days := bounds(period, "arrivals"):
        first = first.filter(first["first"].between(*map(ibis.date, days)))
    rows = events.inner_join(first.select(_user="user_id", _first="first"), [("user_id", "_user")])
    return rows.filter(rows.day >= rows._first).select(*events.columns)


def step_habits(
    events: ir.Table,
    daily: ir.Table,
    *,
    steps: Sequence[Step | Mapping[str, Any]] = STEPS,
    step: int = 2,
    window_days: float = 1,
    period: Period | None = None,
) -> ir.Table:
    """What new users had done before they came to a step, by whether they then took it.

    One row per event name that somebody did.

    Columns
    -------
    event       : string
    passed_did  : int  users who took the step and had done this event by the time they reached the step before it
    passed      : int  users who took the step
    stayed_did  : int  users who reached the step before, did not take this one, and had done the event by then
    stayed      : int  all of those

    Definition: only events up to the moment of the step before, so that nothing is counted that the step itself makes
    possible. Steps as `funnel` with entry="first", of the new users of `period`.
    Error: a difference of two shares (`stats.difference`), corrected for the number of events; users chose what they did, so
    a difference is a hint and no effect.
    Source: terms.yml, `funnel.step_rate`.

    Raises
    ------
    ValueError  as `funnel`; if `step` is not between 2 and the number of steps.
    """
    whole(step, 2, len(steps), "step", "step_habits")
    own = arrivals(events, daily, period=period)
    tried = funnel_tries(own, steps=steps, entry="first", window_days=window_days, period=period)
    at = tried.filter(_.reached >= step - 1).select(
        _user=tried.user_id, _at=tried[f"step_{step - 1}_at"], _passed=ibis.ifelse(tried.reached >= step, 1, 0)
    )
    rows = own.inner_join(at, [("user_id", "_user")]).filter(_.ts <= _._at)
    did = rows.select("user_id", "event", "_passed").distinct().group_by("event")
    sums = did.agg(passed_did=_._passed.sum(), did=_.count())
    totals = at.agg(passed=_._passed.sum(), everyone=_.count())
    return (
        sums.cross_join(totals)
        .select("event", "passed_did", "passed", stayed_did=_.did - _.passed_did, stayed=_.everyone - _.passed)
        .order_by("event")
    )
