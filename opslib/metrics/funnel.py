"""Funnels: how many units go through a row of steps, and where they leave."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib.metrics._filters import Step, Where, step_name
from opslib.metrics._funnel_plan import counted_tries, step_counts
from opslib.metrics._funnel_rules import STEPS, Funnel, Rules, checked
from opslib.metrics._funnel_tries import marked, unit
from opslib.metrics._periods import Period, bounds

Steps = Sequence[Step | Mapping[str, Any]]


def funnel(
    events: ir.Table,
    *,
    steps: Steps = STEPS,
    order: str = "ordered",
    window_days: float | dt.timedelta | None = 7,
    entry: str = "best",
    count: str = "users",
    unit: str | Sequence[str] = "user_id",
    hold: str | Sequence[str] = (),
    exclusions: Sequence[Mapping[str, Any]] = (),
    exclusion_effect: str = "stop_user",
    where: Where | None = None,
    period: Period | None = None,
    within_period: bool = False,
    everyone: bool = False,
    compare: str | Period | None = None,
) -> ir.Table:
    """Units that reach each step of a funnel.

    One row per step; with `compare`, one per (period, step).

    Columns
    -------
    step     : int     1, 2, …
    name     : string  the step's event and conditions; "any 2 of 3" where the order does not matter
    users    : int     counted units (or tries) that reached the step; 0 also where the event never happens (`funnel_steps`)
    entered  : int     those that reached step 1
    previous : int     those that reached the required step before; the step's rate is users / previous
    everyone : int     only if asked: units with any event in the period, the base for a share of all users
    period   : string  only with `compare`: "current" or "previous"

    Definition, ours: every entry is tried, a unit counts with its deepest try (of equals the earliest); other events may lie
    between the steps; the window runs from the first step and includes its far edge, seven days; one row serves one step; of
    rows at one instant the smaller `event_id` comes first. A step listed twice means done twice. Otherwise:
    `order` "strict": no other event between (PostHog); "unordered": any step enters, step i means i different steps done.
    `entry` "first": only the first entry of the period counts (Mixpanel's default); "latest": the last entry before the
    second step sets the clock (Mixpanel's optimized re-entry); it counts the same units in shorter times. An entry with
    another after it and no second step between is no try, even where its window ended or a strict row interrupted it.
    `count` "attempts": tries one after the other, the next entry after completion, time-out or exclusion (Mixpanel's
    totals); "sessions": each session of `sessionized` by itself, as unit="session". `unit`: what is counted instead of
    users, a column, a "props.NAME" or several; rows without it are out.
    A step may be a mapping with `event`, `where`, `optional` and `window_days`: an optional step counts when done in time
    after the required step before it and changes nothing for the others; a step's own window runs from that same step
    (GrowthBook). `hold`: columns or properties that all rows of a try must share; rows without them are out.
    `exclusions`: {"event", "where", "from_step", "to_step"}, steps from 1; the event must not come between them while the
    try is open. "stop_user" ends that try at the step before (Mixpanel, and Amplitude: another try may be clean);
    "drop_user" voids that try, and takes the unit out unless a clean one came as far as the voided one with its next step
    (PostHog; in any order only the try goes).
    `period`: local days of the entry, both included; later steps may follow after it, unless `within_period` (PostHog).
    `compare` "previous": the same number of days right before, or a period of your own. Recent entries have had less time:
    let the period end a window's length before the last day of the data, or look at `funnel_trend`.
    Error: a binomial interval on users / entered (`stats.proportion`); steps share units, so do not test one against the next.
    Source: terms.yml, `funnel.step_rate`, `funnel.conversion`.

    Raises
    ------
    ValueError  if an argument cannot be meant; names it, its value and what is allowed.
    UsageError  if a column does not exist.
    """
    rules = Rules(
        order=order,
        window_days=window_days,
        entry=entry,
        count=count,
        unit=unit,
        hold=hold,
        exclusions=exclusions,
        exclusion_effect=exclusion_effect,
        where=where,
        period=period,
        within_period=within_period,
    )
    asked = checked("funnel", steps, rules)
    if compare is None:
        return _one_period(events, asked, everyone).order_by("step")
    parts = {"current": asked, "previous": asked.during(_compared(asked, compare))}
    tables = [_one_period(events, part, everyone).mutate(period=ibis.literal(name)) for name, part in parts.items()]
    return ibis.union(*tables).order_by("period", "step")


def funnel_tries(events: ir.Table, *, steps: Steps = STEPS, **rules: Unpack[Rules]) -> ir.Table:
    """The tries that a funnel counts: who entered when, and how far they came.

    One row per counted unit, or per try with count="attempts"; stays lazy, because there are many.

    Columns
    -------
    user_id, … : string     the unit, under the names in `unit`
    day        : date       local day of the entry
    reached    : int        required steps reached
    step_1_at  : timestamp  UTC, when step 1 was done; one such column per step, null where it was not reached

    Definition: as `funnel`, which takes the same `rules`.
    Error: none, a census.
    Source: terms.yml, `funnel.conversion`.

    Raises
    ------
    ValueError  as `funnel`.
    """
    asked = checked("funnel_tries", steps, rules)
    tried = counted_tries(events, asked, ids=True)
    who = {name: tried[key] for name, key in zip(asked.units, unit(asked), strict=True)}
    return tried.select(
        **who, day=tried.day, reached=tried.depth, **{f"step_{i}_at": tried[f"t{i}"] for i in asked.numbers}
    )


def funnel_steps(
    events: ir.Table, *, steps: Steps = STEPS, where: Where | None = None, period: Period | None = None
) -> ir.Table:
    """How often each step's event happened at all, before any order or window.

    One row per step. A metric cannot look into the data before it runs, so a misspelt event is a row of zeros here and in
    `funnel`, not an error.

    Columns
    -------
    step  : int     1, 2, …
    name  : string  the step's event and conditions
    rows  : int     events that fit the step; 0 says that it is not in the data
    users : int     distinct users with such an event

    Definition: rows of `where` in the local days of `period` that fit the step; a row that fits two steps counts in both.
    Error: none, a census.
    Source: terms.yml, `funnel.step_rate`.

    Raises
    ------
    ValueError  as `funnel`.
    """
    asked = checked("funnel_steps", steps, {"where": where, "period": period, "within_period": True})
    rows = marked(events, asked)
    parts = [
        rows.filter(rows[f"m{i}"])
        .agg(rows=_.count(), users=_.u0.nunique())
        .mutate(step=i, name=ibis.literal(step_name(step)))
        for i, step in enumerate(asked.steps, 1)
    ]
    return ibis.union(*parts).select("step", "name", "rows", "users").order_by("step") if parts[1:] else parts[0]


def _one_period(events: ir.Table, funnel: Funnel, everyone: bool) -> ir.Table:
    table = step_counts(events, funnel)
    return table.cross_join(_everyone(events, funnel)) if everyone else table


def _everyone(events: ir.Table, funnel: Funnel) -> ir.Table:
    """The number of units with any event that the filter and the period let through."""
    whole = replace(funnel, steps=(None,), exclusions=(), within_period=True)
    return marked(events, whole).select(*unit(funnel)).distinct().agg(everyone=_.count())


def _compared(funnel: Funnel, compare: str | Period) -> Period:
    """The period to compare with: as asked, or as many days right before."""
    if compare != "previous":
        if isinstance(compare, str):
            raise ValueError(f"funnel: compare must be 'previous' or (first day, last day), got {compare!r}")
        return bounds(compare, "funnel") or compare
    if funnel.period is None:
        raise ValueError("funnel: compare='previous' needs a period to be previous to, got period=None")
    first, last = funnel.period
    return first - (last - first) - dt.timedelta(days=1), first - dt.timedelta(days=1)
