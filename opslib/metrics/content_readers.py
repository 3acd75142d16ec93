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
    events, users = contract.keyed(events, users)
    kinds = _content.item_rows(events, None, opened, "segment_reading").filter(
        _.event.isin(["impression", opened, "complete"])
    )
    named = _content.described(content).select("category", item="content_id")
    rows = kinds.join(named, [("content_id", "item")]).select("user_id", "event", "day", "category")
    days = bounds(period, "segment_reading")
    now = rows if days is None else rows.filter(_.day.between(*map(ibis.date, days)))
    if by == FAVOURITE:
        before = rows.filter((_.event == opened) & (rows.day < ibis.date(days[0]) if days else ibis.literal(True)))
        counts = before.group_by("user_id", "category").agg(n=_.count())
        first = ibis.row_number().over(group_by="user_id", order_by=[ibis.desc("n"), "category"])
        members = counts.mutate(place=first).filter(_.place == 0).select(member="user_id", segment="category")
    else:
        members = users.select(member="user_id", segment=users[by].cast("string").nullif("").fill_null(NONE))
    each = (
        now.join(members, [("user_id", "member")])
        .group_by("segment", "category", "user_id")
        .agg(
            n=ibis.ifelse(_.event == "impression", 1, 0).sum().cast("float64"),
            o=ibis.ifelse(_.event == opened, 1, 0).sum(),
            x=ibis.ifelse(_.event == "complete", 1, 0).sum().cast("float64"),
        )
    )
    each = each.filter(_.n > 0)
    return (
        each.group_by("segment", "category")
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

    Definition: the `most_items` items with most openers in the period, and `most_users` of their users, drawn by the id
    read backwards, so that no cohort is preferred and a run can be repeated. Without `split` all of it is before.
    Error: none, a sample of users.
    Source: models.recommend.

    Raises
    ------
    ValueError  if a limit is not 2 to 100,000.
    """
    whole(most_items, 2, 100_000, "most_items", "readings")
    whole(most_users, 2, 100_000, "most_users", "readings")
    rows = _content.item_rows(events, period, opened, "readings").filter(_.event == opened)
    rows = rows.select("user_id", "content_id", "day")
    known = _content.described(content).select("title", "category", item="content_id")
    top = rows.group_by("content_id").agg(openers=_.user_id.nunique())
    top = top.order_by(ibis.desc("openers"), "content_id").limit(most_items).select(best="content_id")
    kept = rows.join(known, [("content_id", "item")]).join(top, [("content_id", "best")])
    who = kept.select("user_id").distinct().mutate(back=_.user_id.reverse())
    who = who.order_by("back", "user_id").limit(most_users).select(reader="user_id")
    kept = kept.join(who, [("user_id", "reader")])
    late = kept.day.isnull() if split is None else kept.day >= ibis.date(as_day(split, "split", "readings"))
    found = kept.group_by("user_id", "content_id", "title", "category").agg(
        before=ibis.ifelse(late, 0, 1).max().cast("int64"), after=ibis.ifelse(late, 1, 0).max().cast("int64")
    )
    return found.order_by("user_id", "content_id")
