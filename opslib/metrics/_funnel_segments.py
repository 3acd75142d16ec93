"""A funnel split by a property: which value a try belongs to, and which values are shown by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib.errors import UsageError
from opslib.metrics._cohorts import NO_VALUE, OTHER
from opslib.metrics._filters import column
from opslib.metrics._funnel_counted import counted, deepest
from opslib.metrics._funnel_plan import counted_by_entry
from opslib.metrics._funnel_rules import Funnel
from opslib.metrics._funnel_tries import Value, marked, tries, unit
from opslib.metrics._periods import one_of, whole
from opslib.text import say

ATTRIBUTIONS = ("first_touch", "last_touch", "step", "entry", "all_events")
MOST_SEGMENTS = 1000


@dataclass(frozen=True)
class Split:
    """By what, and whose value counts."""

    columns: tuple[str, ...]
    attribution: str
    step: int
    limit: int

    @property
    def nothing(self) -> str:
        """The label of a row that has none of the properties."""
        return "|".join([NO_VALUE] * len(self.columns))


def split_of(
    funnel: Funnel, breakdown: str | Sequence[str], attribution: str, attribution_step: int, limit: int
) -> Split:
    """The split that the arguments describe.

    Raises
    ------
    ValueError  if the breakdown is empty, or an argument cannot be meant.
    """
    columns = (breakdown,) if isinstance(breakdown, str) else tuple(breakdown)
    if not columns or not all(isinstance(c, str) and c for c in columns):
        raise ValueError(f"{funnel.metric}: breakdown must name a column or 'props.NAME', got {breakdown!r}")
    one_of(attribution, ATTRIBUTIONS, "attribution", funnel.metric)
    whole(limit, 1, MOST_SEGMENTS, "limit", funnel.metric)
    return Split(columns, attribution, funnel.step(attribution_step, "attribution_step"), limit)


def with_users(events: ir.Table, users: ir.Table | None, split: Split) -> ir.Table:
    """The events with the users' own properties that the split names, "users.NAME"."""
    wanted = [c for c in split.columns if c.startswith("users.")]
    if not wanted:
        return events
    if users is None:
        raise UsageError(
            say(zh="按「{name}」拆分需要用户表", en="breakdown “{name}” needs the users table", name=wanted[0]),
            say(zh="请在 events 之后传入", en="give it after events"),
        )
    key = "user_key" if "user_key" in events.columns and "user_key" in users.columns else "user_id"
    known = users.select(**{"_user": users[key]}, **{c: column(users, c.removeprefix("users.")) for c in wanted})
    return events.left_join(known, [(key, "_user")]).drop("_user")


def label(rows: ir.Table, split: Split) -> ir.StringValue:
    """The value of a row as text; several values joined by "|"; "(none)" for one that is absent or empty."""
    parts = [column(rows, c).cast("string").nullif("").fill_null(NO_VALUE) for c in split.columns]
    return parts[0] if len(parts) == 1 else ibis.literal("|").join(parts)


def segmented(
    events: ir.Table,
    users: ir.Table | None,
    funnel: Funnel,
    split: Split | None,
    further: Mapping[str, Value] | None = None,
) -> ir.Table:
    """The counted tries by `segment`; `other` marks the pooled values, `values` says how many values a segment stands for.

    A unit counts once within each value of the `further` columns of its entry, such as the week.
    """
    further = dict(further or {})
    if split is None:
        return counted_by_entry(events, funnel, further)
    events = with_users(events, users, split)
    value = {"v": lambda rows: label(rows, split)}
    rows = marked(events, funnel, further=further | value)
    first_step = split.attribution == "step" and split.step == 1  # in any order too the entry
    if split.attribution.endswith("_touch") and not funnel.attempts:
        kept = _touched(counted_by_entry(events, funnel, further), rows, funnel, split)
    elif first_step and not funnel.attempts:
        kept = counted_by_entry(events, funnel, further | value).rename(segment="v")
    else:
        rows, keys = _by_value(rows, funnel, split)
        kept = _valued(counted(tries(rows, funnel, keys, further), funnel, keys, list(further)), funnel, split)
    return _pooled(kept, funnel, split, [*unit(funnel), *further])


def _by_value(rows: ir.Table, funnel: Funnel, split: Split) -> tuple[ir.Table, list[str]]:
    """The rows and their keys, with the rows of each value by themselves (`w`) where the attribution asks for it."""
    keys = unit(funnel)
    if split.attribution == "all_events":
        return rows.mutate(w=rows.v), [*keys, "w"]
    if split.attribution != "step" or funnel.attempts:
        return rows, keys
    # For each value of a user's rows that fit the step, the funnel in which only rows of that value are that step.
    fits = f"m{split.step}"
    values = rows.filter(rows[fits]).select(**{f"{k}_": rows[k] for k in keys}, w=rows.v).distinct()
    rows = rows.join(values, [(k, f"{k}_") for k in keys]).drop(*(f"{k}_" for k in keys))
    return rows.mutate(**{fits: rows[fits] & (rows.v == rows.w)}), [*keys, "w"]


def _valued(kept: ir.Table, funnel: Funnel, split: Split) -> ir.Table:
    """The counted tries with the `segment` that their own rows say."""
    if "w" in kept.columns:
        return kept.rename(segment="w")
    if split.attribution == "entry":
        return kept.mutate(segment=kept.v1)
    if split.attribution == "step":
        value = kept[f"v{split.step}"]
        return kept.filter(value.notnull()).mutate(segment=value)
    values = [kept[f"v{i}"].nullif(split.nothing) for i in funnel.numbers]
    ordered = values if split.attribution == "first_touch" else values[::-1]
    return kept.mutate(segment=ibis.coalesce(*ordered, split.nothing))


def _touched(kept: ir.Table, rows: ir.Table, funnel: Funnel, split: Split) -> ir.Table:
    """The counted tries with their unit's first (last) value that is there.

    It is looked for on the rows that fit a step, from the period's first day on.
    """
    keys, last = unit(funnel), split.attribution == "last_touch"
    rows = rows.filter(reduce(or_, (rows[f"m{i}"] for i in funnel.numbers)) & (rows.v != split.nothing))
    if funnel.period:
        rows = rows.filter(rows.day >= ibis.date(funnel.period[0]))
    moment = rows.group_by(keys).agg(moment=rows.ts.max() if last else rows.ts.min())
    moment = moment.rename({f"{k}_": k for k in keys})
    rows = rows.join(moment, [*((k, f"{k}_") for k in keys), ("ts", "moment")]).select(*keys, "event_id", "v")
    touch = rows.group_by(keys).agg(touch=rows.v.argmax(rows.event_id) if last else rows.v.argmin(rows.event_id))
    joined = kept.left_join(touch.rename({f"{k}_": k for k in keys}), [(k, f"{k}_") for k in keys])
    joined = joined.select(*kept.columns, "touch")
    return joined.mutate(segment=joined.touch.fill_null(split.nothing)).drop("touch")


def _pooled(kept: ir.Table, funnel: Funnel, split: Split, keys: list[str]) -> ir.Table:
    """The tries with the values beyond the largest ones pooled; a unit that stood under several of them counts once."""
    sizes = kept.group_by("segment").agg(size=_.count())
    place = ibis.row_number().over(ibis.window(order_by=[_.size.desc(), _.segment]))
    every = _.count().over(ibis.window())
    sizes = sizes.mutate(place=place, every=every).select(value="segment", place="place", every="every")
    joined = kept.join(sizes, [("segment", "value")])
    other = joined.place >= split.limit
    pooled = joined.mutate(
        segment=ibis.ifelse(other, OTHER, joined.segment),
        other=other,
        values=ibis.ifelse(other, joined.every - split.limit, 1),
    ).drop("value", "place", "every")
    in_one = funnel.attempts or split.attribution in ("first_touch", "last_touch", "entry")
    return pooled if in_one else deepest(pooled, [*keys, "segment", "other"])
