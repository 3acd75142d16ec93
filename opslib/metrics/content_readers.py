"""Who reads what: segments against categories, and readers against items."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics import _content
from opslib.metrics._content import NONE
from opslib.metrics._periods import Day, Period, as_day, bounds, whole

FAVOURITE = "favourite"


def segment_reading(
    events: ir.Table,
    content: ir.Table,
    users: ir.Table,
    *,
    by: str = FAVOURITE,
    period: Period | None = None,
    opened: str = "read",
) -> ir.Table:
    """What each segment is shown of each category, and what it finishes.

    One row per (segment, category) shown to somebody of the segment in the period.

    Columns
    -------
    segment, category : string
    users    : int     users shown the category
    impressions, opens, completes : int
    finishers : int    users who finished one
    nn, nx, xx : float  sums over users of impressions², impressions × completes, completes²: what the variance of
                       completes / impressions needs, because the events of one user are not independent

    Definition: `by` "favourite": the category of which a user opened most before the period (of equals the first by
    name), so that the segment is not made of what is measured; users without an earlier open are in none. Else a column
    of `users`. Items that `content` does not know are left out.
    Error: over users, see models.content_readers.
    Source: terms.yml, `content.mismatch`.

    Raises
    ------
    ValueError  if `users` has no column `by`.
    """
    if by != FAVOURITE and by not in users.columns:
        raise ValueError(f"segment_reading: by must be {FAVOURITE!r} or a column of users, got {by!r}")
    before = _content.apart(events, "event", "day", "content_id", "user_id")
    before, _members = contract.keyed(before, users)
    before, _known = _content.keyed(before, content)
    events, users = contract.keyed(events, users)
    events, content = _content.keyed(events, content)
    named = _content.described(content).select("category", item="content_id")
    days = bounds(period, "segment_reading")
    now = _content.item_rows(events, period, opened, "segment_reading", ("impressions", "opens", "completes"))
    now = now.join(named, [("content_id", "item")])
    each = now.group_by("category", "user_id").agg(
        n=_content.times(_.event == "impression").cast("float64"),
        o=_content.times(_.event == opened),
        x=_content.times(_.event == "complete").cast("float64"),
    )
    if by == FAVOURITE:
        earlier = before if days is None else before.filter(_.day < ibis.date(days[0]))
        members = _favourites(_content.item_rows(earlier, None, opened, "segment_reading", ("opens",)), named)
    else:
        members = users.select(member="user_id", segment=users[by].cast("string").nullif("").fill_null(NONE))
    return (
        each.filter(_.n > 0)
        .join(members, [("user_id", "member")])
        .group_by("segment", "category")
        .agg(
            users=_.count(),
            impressions=_.n.sum().cast("int64"),
            opens=_.o.sum().cast("int64"),
            completes=_.x.sum().cast("int64"),
            finishers=ibis.ifelse(_.x > 0, 1, 0).sum().cast("int64"),
            nn=(_.n * _.n).sum(),
            nx=(_.n * _.x).sum(),
            xx=(_.x * _.x).sum(),
        )
        .order_by("segment", "category")
    )


def _favourites(opens: ir.Table, named: ir.Table) -> ir.Table:
    """Each user as `member`, and the category of which they opened most as `segment`; of equals the first by name."""
    counts = opens.join(named, [("content_id", "item")]).group_by("user_id", "category").agg(n=_.count())
    first = ibis.row_number().over(group_by="user_id", order_by=[ibis.desc("n"), "category"])
    return counts.mutate(place=first).filter(_.place == 0).select(member="user_id", segment="category")


def readings(
    events: ir.Table,
    content: ir.Table,
    *,
    split: Day | None = None,
    period: Period | None = None,
    opened: str = "read",
    most_items: int = 300,
    most_users: int = 3000,
) -> ir.Table:
    """Who opened which item before and after a day: what a recommender learns from, and what it is judged by.

    One row per (user_id, content_id) opened in the period; at most some hundred thousand.

    Columns
    -------
    user_id, content_id, title, category : string
    before, after : int   1 where the user opened it before `split`, on it or later

    Definition: the `most_items` known items with most openers in the period, and `most_users` of their users, drawn by the id
    read backwards, so that no cohort is preferred and a run can be repeated. Without `split` all of it is before.
    Error: none, a sample of users.
    Source: models.recommend.

    Raises
    ------
    ValueError  if a limit is not 2 to 100,000.
    """
    whole(most_items, 2, 100_000, "most_items", "readings")
    whole(most_users, 2, 100_000, "most_users", "readings")
    events, content = _content.keyed(contract.keyed(events.mutate(reader=_.user_id)), content)
    opens = _content.item_rows(events, period, opened, "readings", ("opens",))
    late = opens.day.isnull() if split is None else opens.day >= ibis.date(as_day(split, "split", "readings"))
    pairs = opens.group_by("content_id", "user_id").agg(
        reader=_.reader.min(), before=ibis.ifelse(late, 0, 1).max(), after=ibis.ifelse(late, 1, 0).max()
    )
    known = _content.described(content).select("id", "title", "category", item="content_id")
    top = pairs.group_by("content_id").agg(openers=_.count()).join(known, [("content_id", "item")])
    top = top.order_by(ibis.desc("openers"), "id").limit(most_items).drop("content_id", "openers")
    kept = pairs.join(top, [("content_id", "item")])
    who = kept.select("reader").distinct().mutate(back=_.reader.reverse())
    who = who.order_by("back", "reader").limit(most_users).select(drawn="reader")
    found = kept.join(who, [("reader", "drawn")]).select(
        "title",
        "category",
        user_id="reader",
        content_id="id",
        before=_.before.cast("int64"),
        after=_.after.cast("int64"),
    )
    return found.select("user_id", "content_id", "title", "category", "before", "after").order_by(
        "user_id", "content_id"
    )
