"""Items over time: how they fade, when they are best published, and which topics rise."""

from __future__ import annotations

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
from ibis import _

from opslib.metrics import _content
from opslib.metrics._acquired import earlier, lived
from opslib.metrics._content import NONE
from opslib.metrics._periods import Day, Period, as_day, observed_until, whole


def content_ages(
    events: ir.Table, content: ir.Table, *, days: int = 28, opened: str = "read", until: Day | None = None
) -> ir.Table:
    """Opens by the age of the item, category by category.

    One row per (category, age), for every age from 0 to `days`; an age without opens is a 0.

    Columns
    -------
    category : string
    age      : int    whole local days since publication
    opens    : int
    views    : float  opens, each weighted by the mean day's opens over those of its own day: a growing audience is no trend
    items    : int    items of the category observed over all ages

    Definition: only items published on the first day of `events` or later and at least `days` days before `until`, so
    that every item lives through every age.
    Error: quasi-Poisson on views, see models.decay.
    Source: terms.yml, `content.half_life`.

    Raises
    ------
    ValueError  if `days` is not 3 to 365.
    """
    opens, grown = _aged(events, content, days, opened, until, "content_ages")
    seen = opens.group_by("category", "age").agg(opens=_.n.sum().cast("int64"), views=_.views.sum())
    sizes = grown.group_by("category").agg(items=_.count())
    ages = ibis.range(days + 1).unnest().name("age").as_table().mutate(age=_.age.cast("int64"))
    frame = sizes.cross_join(ages).left_join(seen, ["category", "age"])
    return frame.select("category", "age", "items", opens=_.opens.fill_null(0), views=_.views.fill_null(0.0)).order_by(
        "category", "age"
    )


def item_ages(
    events: ir.Table,
    content: ir.Table,
    *,
    days: int = 28,
    opened: str = "read",
    until: Day | None = None,
    most: int = 200,
) -> ir.Table:
    """Opens by age of the most opened items: which of them are news, which evergreen.

    One row per (content_id, age) with an open; ages without one are absent, and 0.

    Columns
    -------
    content_id, title, category : string
    age   : int
    views : float  as in `content_ages`

    Definition: as `content_ages`; the `most` items with most opens at these ages.
    Error: quasi-Poisson, see models.decay.
    Source: terms.yml, `content.half_life`.

    Raises
    ------
    ValueError  if `days` is not 3 to 365.
    """
    opens, _grown = _aged(events, content, days, opened, until, "item_ages")
    top = opens.group_by("content_id", "id").agg(total=_.n.sum()).order_by(ibis.desc("total"), "id").limit(most)
    top = top.select("content_id")
    kept = opens.join(top, "content_id").group_by("id", "title", "category", "age").agg(views=_.views.sum())
    return kept.rename(content_id="id").order_by("content_id", "age")


def _aged(
    events: ir.Table, content: ir.Table, days: int, opened: str, until: Day | None, metric: str
) -> tuple[ir.Table, ir.Table]:
    """Opens per (item, age) and the items old enough."""
    whole(days, 3, 365, "days", metric)
    ends = _ends(events, until, metric)
    events, content = _content.keyed(events, content)
    rows = events.filter((_.event == opened) & _.content_id.notnull())
    rows = rows.group_by("content_id", "day").agg(n=_.count())
    grown = _content.described(content).cross_join(ends)
    grown = grown.filter((_.published_day >= _.first) & (_.published_day + ibis.interval(days=days) <= _.last))
    daily = rows.group_by("day").agg(total=_.n.sum())
    mean = daily.agg(mean=_.total.mean())
    daily = daily.cross_join(mean).select(opened_day="day", weight=_.mean / _.total)
    counts = rows.join(daily, [("day", "opened_day")])
    born = grown.select("id", "title", "category", "published_day", item="content_id")
    counts = counts.join(born, [("content_id", "item")]).mutate(age=_.day.delta(_.published_day, unit="day"))
    counts = counts.filter(_.age.between(0, days)).mutate(views=_.n * _.weight, age=_.age.cast("int64"))
    return counts, grown


def _ends(events: ir.Table, until: Day | None, metric: str) -> ir.Table:
    """One row: the first and the last day observed. A row, because a scalar is looked up again wherever it is used."""
    days = events.agg(first=_.day.min(), last=_.day.max())
    return days if until is None else days.mutate(last=ibis.date(as_day(until, "until", metric)))


def content_hours(
    events: ir.Table, content: ir.Table, *, period: Period | None = None, days: int = 3, opened: str = "read"
) -> ir.Table:
    """How items do in their first days, by the hour in which they were published.

    One row per UTC hour with an item published in it (a model turns it into the local hour, for which the zone is needed).

    Columns
    -------
    hour  : timestamp  the UTC hour
    items : int        items published in it, all of them observed for `days` days
    mean  : float      mean over items of opens in their first `days` days over the category's mean
    var   : float      sample variance of the same; null with one item

    Definition: opens on the local day of publication and the `days` − 1 days after; items without an open count as 0.
    The category's mean is over the same items, so that hours in which a strong category publishes are no better for it.
    Error: over items.
    Source: terms.yml, `content.hour`.

    Raises
    ------
    ValueError  if `days` is not 1 to 60.
    """
    whole(days, 1, 60, "days", "content_hours")
    ends = _ends(events, None, "content_hours")
    events, content = _content.keyed(events, content)
    category = _.category.nullif("").fill_null(NONE)
    items = content.select("content_id", "published_day", category=category, at=_.published_at)
    if period is not None:
        items = items.filter(items.published_day.between(*map(ibis.date, period)))
    items = items.cross_join(ends).filter(
        (_.published_day >= _.first) & (_.published_day + ibis.interval(days=days - 1) <= _.last)
    )
    rows = events.filter((_.event == opened) & _.content_id.notnull()).select("day", opened_item="content_id")
    rows = rows.join(items.select("content_id", "published_day"), [("opened_item", "content_id")])
    rows = rows.filter(_.day.delta(_.published_day, unit="day").between(0, days - 1))
    opens = rows.group_by("opened_item").agg(n=_.count())
    each = items.left_join(opens, [("content_id", "opened_item")]).mutate(n=_.n.fill_null(0).cast("float64"))
    each = each.mutate(usual=_.n.mean().over(group_by="category"))
    each = each.filter(_.usual > 0).mutate(value=_.n / _.usual, hour=_.at.truncate("h"))
    found = each.group_by("hour").agg(items=_.count(), mean=_.value.mean(), var=_.value.var(how="sample"))
    return found.order_by("hour")


def topic_weeks(
    events: ir.Table, content: ir.Table, *, until: Day | None = None, weeks: int = 8, opened: str = "read"
) -> ir.Table:
    """What topics publish and what is read of them, week by week back from the last day.

    One row per (category, topic, week) with an item published or an event.

    Columns
    -------
    category, topic : string   "(none)" where not named
    week      : int   0 is the seven days that end on `until`, 1 the seven before
    published : int   items
    impressions, opens, completes : int   events
    weekend   : int   opens on the two days of the week with number 5 and 6 counted from Monday

    Definition: by the local day of the event, and of publication.
    Error: Poisson on each count, more in truth: compare with the week-to-week dispersion.
    Source: terms.yml, `content.rising`.

    Raises
    ------
    ValueError  if `weeks` is not 2 to 53.
    """
    whole(weeks, 2, 53, "weeks", "topic_weeks")
    last = observed_until(events, until, "topic_weeks")
    events, content = _content.keyed(events, content)
    items = _content.described(content)
    rows = events.filter(_.event.isin(["impression", opened, "complete"]) & _.content_id.notnull())
    first = earlier(last, 7 * weeks - 1)
    rows = rows.select("content_id", "event", "day").filter((_.day >= first) & (_.day <= last))
    rows = rows.mutate(week=_week(rows.day, last, weeks))
    kinds = {"impressions": "impression", "opens": opened, "completes": "complete"}
    late = (_.event == opened) & (_.day.day_of_week.index() >= 5)
    counts = rows.group_by("content_id", "week").agg(
        **{name: _content.times(_.event == event) for name, event in kinds.items()}, weekend=_content.times(late)
    )
    known = items.select("category", "topic", item="content_id")
    counts = counts.mutate(week=_.week.cast("int64")).left_join(known, [("content_id", "item")])
    new = items.filter(items.published_day.between(first, last))
    zero = ibis.literal(0, "int64")
    numbers = (*kinds, "weekend")
    both = ibis.union(
        counts.select(
            "week", *numbers, category=_.category.fill_null(NONE), topic=_.topic.fill_null(NONE), published=zero
        ).select("category", "topic", "week", "published", *numbers),
        new.mutate(
            week=_week(new.published_day, last, weeks).cast("int64"),
            published=ibis.literal(1, "int64"),
            **dict.fromkeys(numbers, zero),
        ).select("category", "topic", "week", "published", *numbers),
    )
    total = both.group_by("category", "topic", "week").agg(
        **{name: _[name].sum().cast("int64") for name in ("published", *numbers)}
    )
    return total.order_by("category", "topic", "week")


def _week(day: ir.DateValue, last: ir.DateScalar, weeks: int) -> ir.IntegerValue:
    """Whole weeks from a day of the last `weeks` to the last day; where that is known, by their ends: cheaper than to divide."""
    if not isinstance(last.op(), ops.Literal):
        return lived(day, last) // 7
    return ibis.cases(*((day > earlier(last, 7 * back + 7), back) for back in range(weeks - 1)), else_=weeks - 1)
