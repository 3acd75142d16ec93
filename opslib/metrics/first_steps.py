"""New users on their way in: how long the steps take, what those who took one had done before it, and what others did instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib.metrics._filters import Step
from opslib.metrics._first_tries import first_tries, keyed, narrow, read_by, since
from opslib.metrics._funnel_rules import STEPS, Funnel, checked
from opslib.metrics._funnel_times import QUANTILES, check_quantiles, step_pairs, summed, timed
from opslib.metrics._funnel_tries import deadlines
from opslib.metrics._periods import Period, whole

Steps = Sequence[Step | Mapping[str, Any]]


def step_times(
    events: ir.Table,
    daily: ir.Table,
    *,
    steps: Steps = STEPS,
    window_days: float | None = 1,
    period: Period | None = None,
    quantiles: Sequence[float] = QUANTILES,
) -> ir.Table:
    """Seconds that new users take from one step to another.

    One row per (from_step, to_step) that somebody did: every step from the required one before it, and the last from the first.

    Columns
    -------
    from_step, to_step, users, mean_s, var_s, min_s, max_s, p50_s, … : as `funnel_time.time_to_convert`

    Definition: the times of `time_to_convert`, of the new users of `period` who entered on their first day, with that entry;
    older users who open the app again are no entries that fail to register. Steps as `newcomers`, within `window_days` of
    the entry, the far edge included; a day unless asked.
    Error: times are skewed; compare medians (bootstrap), or means from `mean_s` and `var_s` in large samples.
    Source: terms.yml, `funnel.time_to_convert`.

    Raises
    ------
    ValueError  as `funnel`; if a quantile is not between 0 and 1.
    """
    check_quantiles(quantiles, "step_times")
    _events, tried, asked = _tried(events, daily, steps, window_days, period, "step_times")
    return summed(timed(tried, step_pairs(asked)), quantiles)


def step_habits(
    events: ir.Table,
    daily: ir.Table,
    *,
    steps: Steps = STEPS,
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
    possible. Steps as `newcomers`, of the new users of `period`; an optional step does not count as the one before.
    Error: a difference of two shares (`stats.difference`), corrected for the number of events; users chose what they did, so
    a difference is a hint and no effect.
    Source: terms.yml, `funnel.step_rate`.

    Raises
    ------
    ValueError  as `funnel`; if `step` is not between 2 and the number of steps.
    """
    events, tried, asked = _tried(events, daily, steps, window_days, period, "step_habits")
    whole(step, 2, len(steps), "step", "step_habits")
    came = tried[f"t{asked.anchor(step)}"]
    tried = tried.filter(came.notnull())
    at = tried.select(_user="user_id", _at=came, _passed=ibis.ifelse(tried[f"t{step}"].notnull(), 1, 0))
    rows = events.filter(since(asked)).select("user_id", "event", "ts").inner_join(at, [("user_id", "_user")])
    rows = rows.filter(rows.ts <= rows._at)
    did = rows.select("user_id", "event", "_passed").distinct().group_by("event")
    sums = did.agg(passed_did=_._passed.sum(), did=_.count())
    totals = at.agg(passed=_._passed.sum(), everyone=_.count())
    return (
        sums.cross_join(totals)
        .select("event", "passed_did", "passed", stayed_did=_.did - _.passed_did, stayed=_.everyone - _.passed)
        .order_by("event")
    )


def step_instead(
    events: ir.Table,
    daily: ir.Table,
    *,
    steps: Steps = STEPS,
    step: int = 2,
    window_days: float = 1,
    exclude: Sequence[str] = (),
    period: Period | None = None,
) -> ir.Table:
    """What new users did next who came to a step's threshold and did not take it.

    One row per event name, and one with an empty name for those who did nothing else in that time; the largest first.

    Columns
    -------
    event : string  the first other event after the step before, while the step could still have been taken; "" for none
    users : int     users whose first other event it was; each user counts once
    of    : int     all users who reached the step before and not this one

    Definition: an event other than the step before's own, no name in `exclude`, later than the step before and within
    `window_days` of the entry (and the step's own window, if it has one); of events at one instant the first by name. What
    they did later is not looked at. Steps as `newcomers`, of the new users of `period`; an optional step does not count as the
    one before.
    Error: a binomial interval on users / of (`stats.proportion`); the rows share their users.
    Source: terms.yml, `diagnosis.instead`.

    Raises
    ------
    ValueError  as `step_habits`; if `exclude` is no list, or `window_days` is None.
    """
    if isinstance(exclude, str):
        raise ValueError(f"step_instead: exclude must be a list of event names, got {exclude!r}")
    events, tried, asked = _tried(events, daily, steps, window_days, period, "step_instead")
    whole(step, 2, len(steps), "step", "step_instead")
    if asked.window is None:
        raise ValueError("step_instead: window_days must be a number of days, got None: nobody would ever have stopped")
    last = asked.anchor(step)
    stopped = tried.filter(tried[f"t{last}"].notnull() & tried[f"t{step}"].isnull())
    ends = deadlines(stopped, asked, step)
    at = stopped.select(_user="user_id", _at=f"t{last}", _end=ibis.least(*ends) if ends[1:] else ends[0])
    other = events.event.notin([_event(steps[last - 1]), *exclude])
    rows = events.filter(other, since(asked)).select("user_id", "event", "ts")
    rows = rows.inner_join(at, [("user_id", "_user")])
    rows = rows.filter((rows.ts > rows._at) & (rows.ts <= rows._end))
    first = rows.group_by("user_id").agg(first=_.ts.min()).rename(_who="user_id")
    named = rows.inner_join(first, [("user_id", "_who"), ("ts", "first")]).group_by("user_id").agg(event=_.event.min())
    all_of = at.left_join(named, [("_user", "user_id")]).select(event=_.event.fill_null(""))
    counts = all_of.group_by("event").agg(users=_.count())
    return counts.cross_join(at.agg(of=_.count())).order_by(ibis.desc("users"), "event")


def _event(step: Step | Mapping[str, Any]) -> str:
    named = step if isinstance(step, str) else (step or {}).get("event")
    return named if isinstance(named, str) else ""


def _tried(
    events: ir.Table, daily: ir.Table, steps: Steps, window_days: float | None, period: Period | None, metric: str
) -> tuple[ir.Table, ir.Table, Funnel]:
    """The events, keyed and narrow, the new users' tries, and what was asked."""
    asked = checked(metric, steps, {"entry": "first", "window_days": window_days, "period": period})
    events, daily = keyed(narrow(events, read_by(asked)), daily)
    people = _first_days(daily, asked).select(user_id="_user", day="_day")
    return events, first_tries(events, people, asked), asked


def _first_days(daily: ir.Table, asked: Funnel) -> ir.Table:
    """The users whose first day lies in the period: _user, _day."""
    first = daily.group_by(_user="user_id").agg(_day=_.day.min())
    return first.filter(first._day.between(*map(ibis.date, asked.period))) if asked.period else first
