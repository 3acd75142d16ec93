"""One question under the definitions of several tools: what each of them counts on the same data, one difference at a time.

A tool is a list of changes to our own definition, each a few keyword arguments of `funnel` or `retention`. Known are only
choices that the tools publish; a tool of whose funnel nothing is published is not among the funnel's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir

from opslib.metrics._filters import Step
from opslib.metrics._funnel_rules import STEPS, checked
from opslib.metrics._periods import Day, Period, numbers, one_of, whole
from opslib.metrics.funnel import Steps, funnel
from opslib.metrics.retention import average_row, retention

OURS = "ours"


@dataclass(frozen=True)
class Change:
    """One choice in which a tool differs from ours, and the keyword arguments that make it."""

    rule: str
    arguments: Mapping[str, Any]


_INSIDE = Change("inside_period", {"within_period": True})
_DROP = Change("drop_user", {"exclusion_effect": "drop_user"})
_FIRST_ENTRY = Change("first_entry", {"entry": "first"})
_ATTEMPTS = Change("attempts", {"count": "attempts"})
_EACH_STEP = Change("window_each_step", {"step_windows": True})
FUNNELS: dict[str, tuple[Change, ...]] = {
    OURS: (),
    "amplitude": (),
    "posthog": (_INSIDE, _DROP),
    "mixpanel": (_FIRST_ENTRY,),
    "mixpanel_totals": (_ATTEMPTS,),
    "growthbook": (_EACH_STEP,),
}

_ROLLING = Change("rolling_24h", {"clock": "rolling_24h"})
_FLOORED = Change("rolling_24h_hour_floored", {"clock": "rolling_24h_hour_floored"})
_OR_AFTER = Change("on_or_after", {"on_or_after": True})
_SQUARED = Change("size_squared", {"average": "size_squared"})
_FIRST_MATCH = Change("first_matching", {"mode": "first_time"})
_EVERY_START = Change("every_start", {"mode": "recurring"})
RETENTIONS: dict[str, tuple[Change, ...]] = {
    OURS: (),
    "sensors": (),
    "umeng": (),
    "posthog": (_FIRST_MATCH,),
    "posthog_recurring": (_EVERY_START,),
    "amplitude": (_FLOORED,),
    "amplitude_or_after": (_FLOORED, _OR_AFTER),
    "mixpanel": (_ROLLING, _OR_AFTER, _SQUARED),
}


def funnel_definitions(
    events: ir.Table,
    *,
    steps: Steps = STEPS,
    window_days: float | None = 7,
    exclusions: Sequence[Mapping[str, Any]] = (),
    period: Period | None = None,
    tools: Sequence[str] = tuple(FUNNELS),
) -> ir.Table:
    """One funnel as several tools count it, and what each of their choices changes.

    One row per (tool, place, step). Place 0 is our definition; each place after it makes one more of the tool's choices,
    and the last one is the tool's own number. Choices that cannot matter here (no exclusions, no period) are left out.

    Columns
    -------
    tool      : string  ours, amplitude, posthog, mixpanel, mixpanel_totals, growthbook
    place     : int     0, 1, …
    rule      : string  the choice made at this place; empty at place 0
    arguments : string  its keyword arguments of `funnel`
    step, name, users, entered, previous : as `funnel`

    Definition: `funnel` with the arguments of all places up to this one. inside_period: later steps must fall in the
    period, too; drop_user: an excluded event takes the user out, unless another try came as far; first_entry: only the
    first entry starts the clock; attempts: tries are counted, not users; window_each_step: the window runs from the
    required step before, anew at each step.
    Error: none between the definitions, they count the same rows; a binomial interval on each users / entered.
    Source: the tools' own documentation; terms.yml, `funnel.conversion`.

    Raises
    ------
    ValueError  as `funnel`, or if a tool is not known; names the near miss.
    """
    _known(tools, FUNNELS, "funnel_definitions")
    asked = {"steps": steps, "window_days": window_days, "exclusions": exclusions, "period": period}
    checked("funnel_definitions", steps, {name: value for name, value in asked.items() if name != "steps"})
    needed = {"inside_period": period is not None, "drop_user": bool(exclusions), "window_each_step": len(steps) > 1}
    if window_days is None:
        needed["window_each_step"] = False

    def counted(given: Mapping[str, Any]) -> ir.Table:
        return funnel(events, **_each_step(given) if given.get("step_windows") else given)

    columns = ("step", "name", "users", "entered", "previous")
    table = _compared(counted, asked, {t: FUNNELS[t] for t in tools}, needed).relocate(*_HEAD)
    return table.select(*_HEAD, *columns).order_by("tool", "place", "step")


def retention_definitions(
    events: ir.Table,
    *,
    start: Step = None,
    back: Step = None,
    days: int = 14,
    period: Period | None = None,
    until: Day | None = None,
    tools: Sequence[str] = tuple(RETENTIONS),
) -> ir.Table:
    """The average day-n retention as several tools count it, and what each of their choices changes.

    One row per (tool, place, n); places as in `funnel_definitions`. Choices that cannot matter here are left out: the first
    matching event is the first ever where the start has no filter.

    Columns
    -------
    tool      : string  ours, sensors (神策), umeng (友盟), posthog, posthog_recurring, amplitude, amplitude_or_after, mixpanel
    place     : int     0, 1, …
    rule      : string  the choice made at this place; empty at place 0
    arguments : string  its keyword arguments of `retention`, or the column of `average_row`
    n         : int     days since the start
    cohorts   : int     cohorts known at n
    users     : int     users of these who are back
    size      : int     users in these
    rate      : float   the tool's average: users / size, unless its cohorts are weighted by size twice (Mixpanel)

    Definition: `average_row` of `retention` by day with the arguments of all places up to this one. rolling_24h: day 1 begins
    24 hours after the start; rolling_24h_hour_floored: both times cut to the hour before; on_or_after: a return counts for
    every day before it; first_matching: the first event that passes the filter; every_start: every day with a start opens a
    cohort; size_squared: users and sizes are weighted by size.
    Error: none between the definitions; a binomial interval on each users / size (not for size_squared).
    Source: the tools' own documentation; terms.yml, `retention.n_day`, `retention.average`.

    Raises
    ------
    ValueError  as `retention`, if `days` is not between 1 and 366, or if a tool is not known; names the near miss.
    """
    _known(tools, RETENTIONS, "retention_definitions")
    whole(days, 1, 366, "days", "retention_definitions")
    filtered = isinstance(start, Mapping) and bool(start.get("where"))

    def counted(given: Mapping[str, Any]) -> ir.Table:
        average = given.get("average", "pooled")
        row = average_row(retention(events, **{k: v for k, v in given.items() if k != "average"}))
        return row.select("n", "cohorts", "users", "size", rate=row[average])

    asked = {"start": start, "back": back, "periods": days, "period": period, "until": until}
    table = _compared(counted, asked, {t: RETENTIONS[t] for t in tools}, {"first_matching": filtered})
    return table.select(*_HEAD, "n", "cohorts", "users", "size", "rate").order_by("tool", "place", "n")


_HEAD = ("tool", "place", "rule", "arguments")


def _known(tools: Sequence[str], known: Iterable[str], metric: str) -> None:
    if isinstance(tools, str) or not tools:
        raise ValueError(f"{metric}: tools must be a list such as {tuple(known)[:3]!r}, got {tools!r}")
    for tool in tools:
        one_of(tool, known, "tools", metric)


def _compared(counted: Any, asked: dict[str, Any], tools: Mapping[str, tuple[Change, ...]], needed: dict[str, bool]):
    """The table under every tool's changes, one after the other; ours once for all."""
    names = list(tools)
    all_tools = numbers(len(names), "_tool")
    ours = counted(asked).cross_join(all_tools)
    named = ibis.cases(*((ours._tool == i, name) for i, name in enumerate(names)))
    empty = ibis.literal("")
    parts = [ours.mutate(tool=named, place=ibis.literal(0, "int64"), rule=empty, arguments=empty).drop("_tool")]
    for tool, changes in tools.items():
        given, place = dict(asked), 0
        for change in changes:
            if not needed.get(change.rule, True):
                continue
            given, place = {**given, **change.arguments}, place + 1
            parts.append(
                counted(given).mutate(
                    tool=ibis.literal(tool),
                    place=ibis.literal(place, "int64"),
                    rule=ibis.literal(change.rule),
                    arguments=ibis.literal(_spelled(change)),
                )
            )
    first = parts[0]
    return ibis.union(first, *(part.select(*first.columns) for part in parts[1:])) if parts[1:] else first


def _spelled(change: Change) -> str:
    """The arguments as one would write them."""
    if change.rule == "window_each_step":
        return "steps=[{'event': …, 'window_days': …}]"
    return ", ".join(f"{name}={value!r}" for name, value in change.arguments.items())


def _each_step(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same funnel with its window at every step after the first instead of over all of them."""
    window = given["window_days"]
    steps = [dict(step) if isinstance(step, Mapping) else {"event": step} for step in given["steps"]]
    own = [steps[0], *({**step, "window_days": step.get("window_days") or window} for step in steps[1:])]
    return {k: v for k, v in given.items() if k != "step_windows"} | {"steps": own, "window_days": None}
