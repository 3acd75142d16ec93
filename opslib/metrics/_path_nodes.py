"""Paths as rows: what a user did one after the other in a session, cut to where it starts, ends, and how long it may be."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.errors import near
from opslib.metrics._filters import Where, column, where_holds
from opslib.metrics._funnel_plan import counted_tries
from opslib.metrics._funnel_rules import STEPS, Funnel, checked
from opslib.metrics._periods import Period, bounds, one_of, whole
from opslib.metrics.sessions import LONG_AGO, ORDER, gap_of

ELIDED = "..."
MOST_STEPS = 50
LONG_AHEAD = dt.datetime(2200, 1, 1)  # where nothing follows; the default of a lead must be a constant
RELATIONS = ("before", "between", "after")


class PathRules(TypedDict, total=False):
    """The keyword arguments that every path metric takes, as `path_edges` explains them."""

    node: str
    session: str | None
    gap_minutes: float
    collapse: str | None
    groups: Sequence[str]
    exclude: Sequence[str]
    strip_slash: bool
    start: str | None
    end: str | None
    step_limit: int
    funnel: Mapping[str, Any] | None
    relation: str
    funnel_step: int
    where: Where | None
    period: Period | None


DEFAULTS = PathRules(
    node="event",
    session="gap",
    gap_minutes=30,
    collapse="keep_last",
    groups=(),
    exclude=(),
    strip_slash=False,
    start=None,
    end=None,
    step_limit=5,
    funnel=None,
    relation="after",
    funnel_step=1,
    where=None,
    period=None,
)


def rules_of(metric: str, given: Mapping[str, Any]) -> PathRules:
    """The rules with their defaults, checked.

    Raises
    ------
    ValueError  if an argument cannot be meant; names it, its value and what is allowed.
    """
    for unknown in set(given) - set(DEFAULTS):
        raise ValueError(f"{metric}: unknown argument {unknown!r}; {near(unknown, DEFAULTS)}".rstrip("; "))
    rules = PathRules(**{**DEFAULTS, **given})  # type: ignore[typeddict-item]
    one_of(rules["collapse"] or "none", ("keep_last", "keep_first", "none"), "collapse", metric)
    one_of(rules["relation"], RELATIONS, "relation", metric)
    whole(rules["step_limit"], 2, MOST_STEPS, "step_limit", metric)
    for name in ("groups", "exclude"):
        values = rules[name]  # type: ignore[literal-required]
        if isinstance(values, str) or not all(isinstance(v, str) and v for v in values):
            raise ValueError(f"{metric}: {name} must be a list of texts, got {values!r}")
    return rules


def path_rows(events: ir.Table, metric: str, given: Mapping[str, Any]) -> ir.Table:
    """The nodes of every path.

    One row per (user_id, session, position): `node`, `ts`; `target` and `arrived`, the node and time that follow where
    `goes_on`; `shown`: what follows is within the step limit.
    """
    rules = rules_of(metric, given)
    asked = _funnel(rules, metric)
    rows = _runs(_rows(events, rules, asked, metric), rules, asked)
    return _limited(_between(rows, rules), rules)


def _rows(events: ir.Table, rules: PathRules, asked: Funnel | None, metric: str) -> ir.Table:
    """The events as nodes."""
    rows = events.filter(where_holds(events, rules["where"])) if rules["where"] else events
    if within := bounds(rules["period"], metric):
        rows = rows.filter(rows.day.between(*map(ibis.date, within)))
    rows = contract.keyed(rows)
    if asked:
        rows = _around(rows, counted_tries(events, asked), rules, asked)
    own = {"session": column(rows, rules["session"]).cast("string")} if rules["session"] not in ("gap", None) else {}
    rows = rows.select("user_id", "event_id", "ts", "day", **own, node=named(column(rows, rules["node"]), rules))
    rows = rows.filter(*(rows[c].notnull() for c in ("node", *own)))
    return rows.filter(rows.node.notin(list(rules["exclude"]))) if rules["exclude"] else rows


def named(value: ir.Value, rules: PathRules) -> ir.StringValue:
    """What a node is called: without a slash at its end, and by the first group whose pattern is found in it."""
    name = value.cast("string")
    if rules["strip_slash"]:
        name = ibis.ifelse((name.length() > 1) & name.endswith("/"), name.substr(0, name.length() - 1), name)
    if not rules["groups"]:
        return name
    return ibis.cases(*((name.re_search(_pattern(g)), ibis.literal(g)) for g in rules["groups"]), else_=name)


def _pattern(group: str) -> str:
    """The regular expression of a group, in which only the asterisk means anything."""
    return re.sub(r"[][\\^$.|?+(){}]", r"\\\g<0>", group).replace("*", ".*")


def _funnel(rules: PathRules, metric: str) -> Funnel | None:
    """The funnel whose units are looked at, checked together with the step."""
    if rules["funnel"] is None:
        return None
    given = dict(rules["funnel"])
    asked = checked(metric, given.pop("steps", STEPS), given)
    if asked.attempts or asked.units != ("user_id",) or any(asked.optional):
        raise ValueError(f"{metric}: funnel must count users through required steps, got {rules['funnel']!r}")
    step, last = rules["funnel_step"], len(asked.steps)
    lowest = 2 if rules["relation"] == "between" else 1
    fits = lowest <= step <= last or (rules["relation"] != "between" and -last <= step <= -2)
    if type(step) is not int or not fits:
        dropped = (
            "" if rules["relation"] == "between" else f", or from -2 to {-last} for those who left before that step"
        )
        raise ValueError(f"{metric}: funnel_step must be from {lowest} to {last}{dropped}, got {step!r}")
    return asked


def _around(rows: ir.Table, tried: ir.Table, rules: PathRules, asked: Funnel) -> ir.Table:
    """The rows of the funnel's units that lie before, after or between its steps, the steps themselves included."""
    step = rules["funnel_step"]
    reached = abs(step) - (step < 0)
    tried = tried.filter(tried.depth == reached if step < 0 else tried.depth >= reached)
    at = tried.select(_unit=tried.u0, _from=tried[f"t{max(reached - 1, 1)}"], _at=tried[f"t{reached}"])
    joined = rows.join(at, [("user_id", "_unit")])
    if rules["relation"] == "after":
        kept = joined.filter(joined.ts >= joined._at)
    elif rules["relation"] == "between":
        kept = joined.filter(joined.ts.between(joined._from, joined._at))
    elif step > 0:
        kept = joined.filter(joined.ts <= joined._at)
    else:  # those who left may have gone on until their window was over
        open_ = asked.window is None
        kept = joined if open_ else joined.filter(joined.ts <= joined._at + ibis.interval(seconds=asked.window))
    return kept.select(*rows.columns)


def _runs(rows: ir.Table, rules: PathRules, asked: Funnel | None) -> ir.Table:
    """The nodes numbered within the path, one of each run of the same node.

    Everything that needs the full order is read in one pass: the neighbours of each row say whether a path opens or closes
    there and whether a run does.
    """
    own = "session" in rows.columns
    line = ["user_id", "session"] if own else ["user_id"]
    in_time = ibis.window(group_by=line, order_by=ORDER)
    rows = rows.mutate(
        n=ibis.row_number().over(in_time),
        before=_.ts.lag(1, LONG_AGO).over(in_time),
        after=_.ts.lead(1, LONG_AHEAD).over(in_time),
        node_before=_.node.lag(1, "").over(in_time),
        node_after=_.node.lead(1, "").over(in_time),
    )
    gap = None if own else _gap(rules, asked)
    opens, closes = rows.before == ibis.literal(LONG_AGO), rows.after == ibis.literal(LONG_AHEAD)
    if gap is not None:
        opens, closes = rows.ts >= rows.before + gap, rows.after >= rows.ts + gap
    rows = rows.mutate(edge=closes if rules["collapse"] == "keep_last" else opens)
    if rules["collapse"] == "keep_last":
        rows = rows.filter(closes | (rows.node != rows.node_after))
    elif rules["collapse"] == "keep_first":
        rows = rows.filter(opens | (rows.node != rows.node_before))
    rows = rows.select(*line, "n", "ts", "node", "edge")
    if not own:
        # Of a path that keeps its last rows the closing one is there for sure, else the opening one.
        upto = (None, -1) if rules["collapse"] == "keep_last" else (None, 0)
        edges = ibis.ifelse(rows.edge, 1, 0).sum().over(ibis.window(group_by="user_id", order_by="n", rows=upto))
        rows = rows.mutate(session=edges.fill_null(0))
    return rows.drop("edge")


def _gap(rules: PathRules, asked: Funnel | None) -> ir.IntervalScalar | None:
    """How long nothing must happen for a path to end; around a funnel its window; None for never."""
    if rules["session"] is None:
        return None
    if asked is None:
        return gap_of(rules["gap_minutes"])
    return None if asked.window is None else ibis.interval(seconds=asked.window)


def _by_path(**frame: Any) -> Any:
    return ibis.window(group_by=["user_id", "session"], order_by="n", **frame)


def _between(rows: ir.Table, rules: PathRules) -> ir.Table:
    """The paths from their first `start` on, up to the first `end` after it; paths without them are out."""
    for name, inside in (("start", _.n >= _.bound), ("end", _.n <= _.bound)):
        if rules[name] is not None:  # type: ignore[literal-required]
            wanted = named(ibis.literal(rules[name]), rules)  # type: ignore[literal-required]
            bound = ibis.ifelse(rows.node == wanted, rows.n, ibis.null()).min().over(_by_path(rows=(None, None)))
            rows = rows.mutate(bound=bound).filter(_.bound.notnull() & inside).drop("bound")
    return rows


def _limited(rows: ir.Table, rules: PathRules) -> ir.Table:
    """The first nodes of each path; the last ones before an `end`; between `start` and `end` the first and last half."""
    limit, half = rules["step_limit"], rules["step_limit"] // 2
    placed = rows.mutate(place=ibis.row_number().over(_by_path()) + 1, **_following())
    if rules["end"] is None:
        return _shown(placed.mutate(position=_.place), limit)
    placed = placed.mutate(length=_.n.count().over(_by_path(rows=(None, None))))
    long, from_end = _.length > limit, _.length - _.place  # 0 for the last
    if rules["start"] is None:
        return _shown(
            placed.filter(from_end < limit).mutate(position=_.place - ibis.greatest(_.length - limit, 0)), limit
        )
    kept = placed.filter(~long | (_.place <= half + 1) | (from_end < half))
    kept = kept.mutate(
        position=ibis.ifelse(long & (_.place > half + 1), 2 * half + 1 - from_end, _.place),
        node=ibis.ifelse(long & (_.place == half + 1), ELIDED, _.node),
    )
    return _shown(kept.mutate(**_following()), limit + 1)


def _following() -> dict[str, ir.Value]:
    """The node and the time that come next in the path, and whether there are any."""
    arrived = _.ts.lead(1, LONG_AHEAD).over(_by_path())
    return {
        "target": _.node.lead(1, "").over(_by_path()),
        "arrived": arrived,
        "goes_on": arrived != ibis.literal(LONG_AHEAD),
    }


def _shown(rows: ir.Table, limit: int) -> ir.Table:
    rows = rows.filter(rows.position <= limit)
    columns = ("user_id", "session", "position", "node", "ts", "target", "arrived", "goes_on")
    return rows.select(*columns, shown=rows.goes_on & (rows.position < limit))
