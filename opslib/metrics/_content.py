"""What happened to items: the events that carry one, its place, its age, and the names of the counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._acquired import within
from opslib.metrics._periods import Period, whole

NONE = "(none)"  # an item, or a place, that the tracker does not name
REACTIONS = {"like": "likes", "comment": "comments", "favorite": "favorites", "share": "shares", "follow": "follows"}
FROM_DAYS = (0, 1, 3, 7, 14, 30, 60)  # the first days of age of the bands
LAST_POSITION = 20  # this place in the list and all behind it
NO_POSITION = -1
ITEM = ("source", "category", "author_id", "topic", "originality")


def names(opened: str) -> dict[str, str]:
    """Event → count: what an item goes through."""
    return {"impression": "impressions", opened: "opens", "complete": "completes", **REACTIONS}


def item_rows(
    events: ir.Table, period: Period | None, opened: str, metric: str, counts: Sequence[str] = ()
) -> ir.Table:
    """The events of the period that carry an item and say what became of it; only those that make these counts."""
    kinds = [event for event, count in names(opened).items() if not counts or count in counts]
    rows = within(events, "day", period, metric).filter(_.event.isin(kinds) & _.content_id.notnull())
    return rows.filter(_.content_id != "") if rows.content_id.type().is_string() else rows


def times(happens: ir.BooleanValue) -> ir.IntegerScalar:
    """How often something happens. A filtered count costs two thirds of a sum of 1 and 0."""
    return _.count(where=happens).cast("int64")


def counted(opened: str) -> dict[str, ir.IntegerScalar]:
    """One sum for each kind of event."""
    return {name: times(_.event == event) for event, name in names(opened).items()}


def tallied(rows: ir.Table, opened: str, *by: str) -> ir.Table:
    """One row per group with its counts: kinds of event are told apart once for each group, not for each event."""
    each = rows.group_by(*by, "event").agg(times=_.count())
    sums = {
        name: ibis.ifelse(_.event == event, _.times, 0).sum().cast("int64") for event, name in names(opened).items()
    }
    return each.group_by(*by).agg(**sums)


def keyed(rows: ir.Table, content: ir.Table) -> tuple[ir.Table, ir.Table]:
    """Integer ids inside, where both tables carry them; `content` keeps its text id as `id`."""
    content = content.mutate(id=content.content_id)
    rows, content = contract.keyed(rows, content, names=("content_id",))
    return rows, content


def apart(rows: ir.Table, *names: str) -> ir.Table:
    """The rows again, with these columns and their integer ids: what a query uses twice as it is, DuckDB holds in memory whole."""
    wanted = {*names, *(contract.KEYS[n] for n in names if n in contract.KEYS)}
    return rows.select([c for c in rows.columns if c in wanted])


def described(content: ir.Table) -> ir.Table:
    """One row per item: what it is, blanks named; with its text id as `id`, where `content` is `keyed`."""
    texts = {c: _[c].nullif("").fill_null(NONE) for c in ITEM if c != "originality"}
    own = ["id"] if "id" in content.columns else []
    return content.select("content_id", *own, "published_day", "title", "originality", **texts)


def placed(rows: ir.Table) -> dict[str, ir.Value]:
    """The place: its name, and the position, the far ones together."""
    behind = ibis.ifelse(_.position > LAST_POSITION, LAST_POSITION, _.position)
    unnamed = _.placement.isnull() | (_.placement == "")  # one question for each event, not two
    return {
        "placement": ibis.ifelse(unnamed, NONE, _.placement),
        "position": behind.fill_null(NO_POSITION).cast("int64"),
    }


def band(age: ir.IntegerValue) -> ir.IntegerValue:
    """The first day of the band that an age in days lies in; what is older than its publication counts as day 0."""
    return ibis.cases(*((age >= day, day) for day in reversed(FROM_DAYS[1:])), else_=0).cast("int64")


def weight(column: ir.Value, factors: Mapping | None) -> ir.FloatingValue:
    """Each value's factor as a literal of the expression; 1 where there is none."""
    if not factors:
        return ibis.literal(1.0)
    return ibis.cases(*((column == value, round(float(f), 6)) for value, f in factors.items()), else_=1.0)


def most_shown(shown: ir.Table, content: ir.Table, most: int, metric: str) -> ir.Table:
    """The known items with most impressions, `most` of them, as `item`; of equals the first by name.

    `shown`: impressions. `content`: both as of `keyed`.
    """
    whole(most, 1, 100_000, "most", metric)
    counts = shown.group_by("content_id").agg(shown=_.count())
    known = content.select("id", "published_day", item="content_id")
    both = known.join(counts, [("item", "content_id")]).drop("content_id")
    return both.order_by(ibis.desc("shown"), "id").limit(most)
