"""What was shown of each item and what came of it, with exposure as the denominator."""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib.metrics import _content
from opslib.metrics._content import NONE
from opslib.metrics._periods import Period, as_day, bounds, one_of

GROUPS = ("source", "category", "author_id", "topic", "placement")
COUNTS = ("impressions", "opens", "completes", *_content.REACTIONS.values())


def content_items(
    events: ir.Table,
    content: ir.Table,
    *,
    period: Period | None = None,
    opened: str = "read",
    recent: str | None = None,
    placements: Mapping[str, float] | None = None,
    positions: Mapping[int, float] | None = None,
    ages: Mapping[int, float] | None = None,
) -> ir.Table:
    """Each item's impressions and what came of them, and what those impressions were worth by their place and age.

    One row per item of the table `content` with an event in the period. Lazy to the end: it may be millions of rows.

    Columns
    -------
    content_id, title, source, category, author_id, topic : string   "(none)" where not named
    published_day : date
    originality   : float
    impressions, opens, completes, likes, comments, favorites, shares, follows : int
    worth         : float  impressions, each times the factors of its placement, position and band of age
    last_week     : int    impressions on `recent` or later
    dwell_log, dwell_var, dwells : float, float, int   mean and variance of ln(1 + seconds) over opens with a dwell time
    negative_dwells, unplaced, placements : int   opens with a dwell below 0; impressions without position; places shown in

    Definition: `opened` is the event of an opened item. Counts are of events, not users. Ages are whole local days since
    `published_day`. Factors that are not given are 1, so that `worth` is then the number of impressions.
    Error: binomial or Poisson on each count, see models.content and models.indices.
    Source: terms.yml, `content.index`.
    """
    day = None if recent is None else as_day(recent, "recent", "content_items")
    events, content = _content.keyed(events, content)
    rows = _content.item_rows(events, period, opened, "content_items")
    if ages:
        born = content.select(known="content_id", born=_.published_day)
        rows = rows.join(born, [("content_id", "known")])
        rows = rows.mutate(band=_content.band(_.day.delta(_.born, unit="day")))
    place = _content.placed(rows)
    shown = ibis.ifelse(_.event == "impression", 1, 0).cast("float64")  # engines read 1.0 as a decimal
    rows = rows.mutate(shown=shown, **place, bare=_.position.isnull())
    worth = rows.shown
    for column, factors in (("placement", placements), ("position", positions), ("band", ages)):
        if factors:
            worth = worth * _content.weight(rows[column], factors)
    stay = ibis.ifelse((_.event == opened) & (_.duration_s >= 0), _.duration_s, None)
    lasting = (stay + 1.0).ln()
    late = _.shown == 1.0 if day is None else (_.shown == 1.0) & (_.day >= ibis.date(day))
    sums = (
        rows.mutate(worth=worth, lasting=lasting)
        .group_by("content_id")
        .agg(
            **_content.counted(opened),
            worth=_.worth.sum(),
            last_week=ibis.ifelse(late, 1, 0).sum().cast("int64"),
            dwell_log=_.lasting.mean(),
            dwell_var=_.lasting.var(how="sample"),
            dwells=_.lasting.count(),
            negative_dwells=ibis.ifelse((_.event == opened) & (_.duration_s < 0), 1, 0).sum().cast("int64"),
            unplaced=ibis.ifelse((_.shown == 1.0) & _.bare, 1, 0).sum().cast("int64"),
            placements=ibis.ifelse(_.shown == 1.0, _.placement, None).nunique().cast("int64"),
        )
    )
    return _named(sums, content)


def content_chain(
    events: ir.Table,
    content: ir.Table,
    *,
    by: str = "category",
    period: Period | None = None,
    opened: str = "read",
) -> ir.Table:
    """From publishing to feedback: published, shown, opened, completed, interacted, of each group of items.

    One row per group with a published item or an event in the period.

    Columns
    -------
    (by)      : string  "(none)" where not named
    published : int     items published in the period; null for placements, which publish nothing
    items     : int     items shown in the period
    impressions, opens, completes, likes, comments, favorites, shares, follows : int   events

    Definition: events of the period whatever the item's age; an opened item is an event `opened`. Events of items that
    the table `content` does not know are in "(none)".
    Error: binomial on each rate, too narrow where few users make many events.
    Source: terms.yml, `content.open_rate`.

    Raises
    ------
    ValueError  if `by` is not source, category, author_id, topic or placement.
    """
    one_of(by, GROUPS, "by", "content_chain")
    events, content = _content.keyed(events, content)
    rows = _content.item_rows(events, period, opened, "content_chain")
    shown = {"items": _content.times(_.impressions > 0)} | {c: _[c].sum().cast("int64") for c in COUNTS}
    if by == "placement":
        place = _content.placed(rows)["placement"]
        each = rows.group_by("event", placement=place).agg(times=_.count(), items=_.content_id.nunique())
        each = each.mutate(items=ibis.ifelse(_.event == "impression", _["items"], 0))
        kinds = {name: ibis.ifelse(_.event == event, _.times, 0) for event, name in _content.names(opened).items()}
        sums = each.group_by("placement").agg(
            **{name: n.sum().cast("int64") for name, n in {"items": _["items"], **kinds}.items()}
        )
        sums = sums.mutate(published=ibis.null("int64"))
        return sums.select("placement", "published", "items", *COUNTS).order_by("placement")
    sums = _content.tallied(rows, opened, "content_id")
    known = _content.described(content).select(key="content_id", group=_[by])
    sums = sums.left_join(known, [("content_id", "key")]).mutate(group=_.group.fill_null(NONE))
    sums = sums.group_by("group").agg(**shown)
    days = bounds(period, "content_chain")
    fresh = content if days is None else content.filter(content.published_day.between(*map(ibis.date, days)))
    fresh = _content.described(fresh).group_by(group=_[by]).agg(published=_.count())
    both = ibis.union(
        sums.select("group", published=ibis.literal(0, "int64"), items="items", **{c: c for c in COUNTS}),
        fresh.select(
            "group", "published", items=ibis.literal(0, "int64"), **{c: ibis.literal(0, "int64") for c in COUNTS}
        ),
    )
    total = both.group_by("group").agg(**{c: _[c].sum().cast("int64") for c in ("published", "items", *COUNTS)})
    return total.select(**{by: "group"}, **{c: c for c in ("published", "items", *COUNTS)}).order_by(by)


def content_cells(
    events: ir.Table,
    content: ir.Table,
    *,
    period: Period | None = None,
    opened: str = "read",
    most: int = 500,
) -> ir.Table:
    """The most shown items, place by place and age by age: what a fair comparison of places is made of.

    One row per (content_id, placement, position, age) with an impression of that item there.

    Columns
    -------
    content_id, placement : string
    position : int   20 holds all from there on; −1 where the tracker sent none
    age      : int   first day of the band of age in days: 0, 1, 3, 7, 14, 30, 60
    impressions, opens, completes : int   each at most as many as the one before
    shown    : int   impressions of the item in the period, with those of other cells

    Definition: the `most` items of `content` with most impressions in the period. An open or completion without an
    impression in the same cell is left out: it has no denominator.
    Error: binomial in each cell.
    Source: terms.yml, `content.placement_lift`.

    Raises
    ------
    ValueError  if `most` is not 1 to 100,000.
    """
    shown, _known = _content.keyed(_content.apart(events, "event", "day", "content_id"), content)
    events, content = _content.keyed(events, content)
    rows = _content.item_rows(events, period, opened, "content_cells", ("impressions", "opens", "completes"))
    shown = _content.item_rows(shown, period, opened, "content_cells", ("impressions",))
    rows = rows.join(_content.most_shown(shown, content, most, "content_cells"), [("content_id", "item")])
    rows = rows.mutate(age=_content.band(_.day.delta(_.published_day, unit="day")), **_content.placed(rows))
    kinds = {k: v for k, v in _content.counted(opened).items() if k in ("impressions", "opens", "completes")}
    cells = rows.group_by("id", "placement", "position", "age").agg(**kinds, shown=_.shown.max())
    cells = cells.filter(_.impressions > 0).mutate(opens=ibis.least(_.opens, _.impressions))
    cells = cells.mutate(completes=ibis.least(_.completes, _.opens)).rename(content_id="id")
    return cells.order_by("content_id", "placement", "position", "age")


def content_numbers(content: ir.Table, *, period: Period | None = None) -> ir.Table:
    """Items whose own rows carry their counts: posts exported with reach, likes, comments and shares, without events.

    One row per item published in the period.

    Columns
    -------
    content_id, title, source, category, author_id, topic : string
    published_day : date
    hour          : timestamp  the UTC hour of publishing
    originality   : float
    impressions   : float  the extra column `impressions`, else `reach`; null where there is none
    opens, completes, likes, comments, favorites, shares : float  extra columns of these names; null where there is none

    Definition: extra columns that the load kept; text that is no number is null. Negative counts are null.
    Error: Poisson on each count.
    Source: terms.yml, `content.index`.
    """
    rows = content
    if (days := bounds(period, "content_numbers")) is not None:
        rows = rows.filter(rows.published_day.between(*map(ibis.date, days)))
    wanted = ("impressions", "opens", "completes", "likes", "comments", "favorites", "shares")
    numbers = {name: _number(rows, name) for name in wanted}
    if "impressions" not in rows.columns:
        numbers["impressions"] = _number(rows, "reach")
    known = {c: rows[c].nullif("").fill_null(NONE) for c in _content.ITEM if c != "originality"}
    numbers["hour"] = rows.published_at.truncate("h")
    return rows.select("content_id", "title", "published_day", "originality", **known, **numbers).order_by("content_id")


def _number(rows: ir.Table, name: str) -> ir.Value:
    if name not in rows.columns:
        return ibis.null("float64").name(name)
    value = rows[name].try_cast("float64") if rows[name].type().is_string() else rows[name].cast("float64")
    return ibis.ifelse(value >= 0, value, None)


def _named(sums: ir.Table, content: ir.Table) -> ir.Table:
    """With what the item is, under its text id."""
    texts = {c: _[c].nullif("").fill_null(NONE) for c in _content.ITEM if c != "originality"}
    known = content.select("id", "published_day", "title", "originality", key=content.content_id, **texts)
    joined = known.join(sums, [("key", "content_id")])
    return joined.drop("key", "content_id").rename(content_id="id")


def content_unknown(
    events: ir.Table, content: ir.Table, *, period: Period | None = None, opened: str = "read"
) -> ir.Table:
    """Events that no item can answer for, and items that no exposure explains.

    One row per problem that happens.

    Columns
    -------
    issue   : string  unknown_item, opens_without_impressions, negative_dwell, no_position
    n       : int     events; for opens_without_impressions, opens of items without any impression in the period
    of      : int     events of that kind in the period
    example : string  the smallest content_id

    Definition: unknown items and opens without impressions enter no item's rate; an open with a negative dwell time counts
    as an open, its time does not; impressions without a position have a place of their own in the correction.
    Error: none, a census.
    Source: opslib.contract, events.
    """
    rows = _content.item_rows(events, period, opened, "content_unknown")
    shown, read = _.event == "impression", _.event == opened
    items = rows.group_by("content_id").agg(
        all=_.count(),
        impressions=_content.times(shown),
        opens=_content.times(read),
        negative=_content.times(read & (_.duration_s < 0)),
        bare=_content.times(shown & _.position.isnull()),
    )
    items = items.left_join(content.select(known="content_id").distinct(), [("content_id", "known")])
    found = {
        "unknown_item": (_.known.isnull(), "all", "all"),
        "opens_without_impressions": (_.impressions == 0, "opens", "opens"),
        "negative_dwell": (ibis.literal(True), "negative", "opens"),
        "no_position": (ibis.literal(True), "bare", "impressions"),
    }
    parts = []
    for name, (where, count, of) in found.items():
        n = ibis.ifelse(where, _[count], 0)
        told = items.mutate(n=n).agg(
            n=_.n.sum(), of=_[of].sum(), example=ibis.ifelse(_.n > 0, _.content_id, None).min()
        )
        parts.append(told.select(n=_.n.fill_null(0), of=_.of.fill_null(0), example="example", issue=ibis.literal(name)))
    total = ibis.union(*parts).mutate(n=_.n.cast("int64"), of=_.of.cast("int64"))
    return total.select("issue", "n", "of", "example").filter(_.n > 0).order_by("issue")
