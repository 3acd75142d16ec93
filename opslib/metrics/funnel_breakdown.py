"""A funnel by the values of a property: which channel, which item, which city converts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import ibis.expr.types as ir

from opslib.metrics._funnel_counted import per_step
from opslib.metrics._funnel_rules import STEPS, Rules, checked
from opslib.metrics._funnel_segments import segmented, split_of
from opslib.metrics.funnel import Steps


def funnel_breakdown(
    events: ir.Table,
    users: ir.Table | None = None,
    *,
    steps: Steps = STEPS,
    breakdown: str | Sequence[str] = "channel",
    attribution: str = "first_touch",
    attribution_step: int = 1,
    limit: int = 25,
    **rules: Unpack[Rules],
) -> ir.Table:
    """Units that reach each step of a funnel, for each value of a property.

    One row per (segment, step), the largest segments first.

    Columns
    -------
    segment  : string  the value; several properties joined by "|"; "(none)" where it is absent or empty
    other    : bool    the row pools the values beyond the `limit` largest; its segment is called "Other"
    values   : int     how many values the row stands for, 1 unless it is the pooled one
    step     : int     1, 2, …
    name     : string  the step's event and conditions
    users    : int     counted units (or tries) of the segment that reached the step
    entered  : int     those that reached step 1
    previous : int     those that reached the required step before

    Definition: the funnel as `funnel`, which takes the same `rules`. `breakdown` is a column, "props.NAME" or
    "users.NAME" (needs `users`), or several. `attribution` says whose value counts. "first_touch", ours: the first value
    that is there on the unit's rows that fit any step, from the period's first day on (with count="attempts": on the
    try's own rows); "last_touch": the last one (PostHog; Mixpanel's first and last defined). "entry": the value at the
    entry of the try that counts (Amplitude). "step": the funnel in which step `attribution_step` has that value: a unit
    stands under every value that it has on rows that fit the step (in any order, for step 1: on any row that can enter),
    under none if it has no such row, so the segments do not add up to the funnel. "all_events": every row of a try has
    that value, a unit may stand under several. A 0 is a value. Segments beyond the `limit` with most entries (of equals
    the first by name) are pooled, and a unit in several of them counts once.
    Error: a binomial interval on users / entered (`stats.proportion`); many segments need a correction (`stats.correct`).
    Source: terms.yml, `funnel.step_rate`.

    Raises
    ------
    ValueError  as `funnel`; if the breakdown is empty; if `attribution`, its step or `limit` cannot be meant.
    UsageError  if a column does not exist, or "users.NAME" is asked without `users`.
    """
    asked = checked("funnel_breakdown", steps, rules)
    split = split_of(asked, breakdown, attribution, attribution_step, limit)
    table = per_step(segmented(events, users, asked, split), asked, by=["segment", "other", "values"])
    return table.order_by(table.other, table.entered.desc(), table.segment, table.step)
