"""Paths: what users do next, from which node to which, and where they leave."""

from __future__ import annotations

from typing import Unpack

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib.metrics._path_nodes import PathRules, path_rows, rules_of
from opslib.metrics._periods import whole


def path_edges(
    events: ir.Table,
    *,
    min_edge: int | None = None,
    max_edge: int | None = None,
    limit: int | None = 50,
    **rules: Unpack[PathRules],
) -> ir.Table:
    """Transitions from one node of a path to the next, by position.

    One row per (position, source, target), the most frequent first.

    Columns
    -------
    position  : int     place of the source in the path, from 1
    source    : string  node at that place
    target    : string  node at the next place
    count     : int     transitions: a user with two paths may count twice
    users     : int     distinct users with this transition
    mean_s    : float   mean seconds from source to target
    var_s     : float   sample variance, seconds²; null for one transition
    at_source : int     paths that are at the source at this place; the rest left, or went elsewhere
    paths     : int     all paths; the path share of an edge is count / paths

    Definition, ours (PostHog's, as far as it has one): a path is what one user does in one session, its nodes are events.
    `node`: another column or "props.NAME" (rows without it are no nodes); `strip_slash` ignores a slash at its end;
    `groups`: patterns found anywhere in the name, in which * stands for any text, the first that fits names the node;
    `exclude` leaves nodes out, after that. `session`: "gap", cut where nothing happened for `gap_minutes` or more (30);
    None, all a user did; or a column or "props.NAME" whose values are the sessions. `collapse`: of a run of the same node
    only the last counts, with its time ("keep_last"), or the first ("keep_first"), or all (None). `start`: paths begin at
    its first occurrence, `end`: they end at the first one (after the start); paths without it are out. `step_limit`: the
    first so many nodes, or the last before `end`; with `start` and `end` the first and last half of a longer path, with a
    node "..." between (its time is that of the first node left out).
    `funnel` (its `steps` and rules as a mapping), `relation` and `funnel_step` look at what its users did "before" or
    "after" reaching that step, or "between" it and the step before, both included; a negative step −i means those who left
    before reaching step i, "before" up to the end of their window. Such paths are cut only where nothing happens for the
    length of the funnel's window. `where` and `period` (local days, both included) choose the events.
    `min_edge` and `max_edge` keep edges of that many transitions; `limit` keeps the most frequent (of equals the first by
    place and name; None for all), and without the former two also only what can be reached from a path's first node.
    Error: none, a census; users repeat themselves, so test on users, not on transitions.
    Source: terms.yml, `paths.edge`, `paths.share`.

    Raises
    ------
    ValueError  if an argument cannot be meant; names it, its value and what is allowed.
    UsageError  if a column does not exist.
    """
    for name, value in (("min_edge", min_edge), ("max_edge", max_edge), ("limit", limit)):
        if value is not None:
            whole(value, 1, 1_000_000_000 if name != "limit" else 10_000, name, "path_edges")
    if min_edge and max_edge and min_edge > max_edge:
        raise ValueError(f"path_edges: max_edge must not be below min_edge, got {max_edge} and {min_edge}")
    rows = path_rows(events, "path_edges", rules)
    moves = rows.filter(rows.shown)
    moves = moves.mutate(seconds=moves.arrived.delta(moves.ts, unit="millisecond") / 1000.0)
    edges = moves.group_by("position", "node", "target").agg(
        count=_.count(), users=_.user_id.nunique(), mean_s=_.seconds.mean(), var_s=_.seconds.var(how="sample")
    )
    there = rows.group_by(at="position", here="node").agg(at_source=_.count())
    total = rows.filter(_.position == 1).agg(paths=_.count())
    edges = edges.join(there, [("position", "at"), ("node", "here")]).drop("at", "here").cross_join(total)
    edges = edges.select(
        "position", "target", "count", "users", "mean_s", "var_s", "at_source", "paths", source="node"
    ).relocate("source", after="position")
    if min_edge:
        edges = edges.filter(_["count"] >= min_edge)
    if max_edge:
        edges = edges.filter(_["count"] <= max_edge)
    if limit:
        edges = edges.order_by(_["count"].desc(), "position", "source", "target").limit(limit)
        if not min_edge and not max_edge:
            edges = _connected(edges, rules_of("path_edges", rules)["step_limit"])
    return edges.order_by(_["count"].desc(), "position", "source", "target")


def path_nodes(events: ir.Table, **rules: Unpack[PathRules]) -> ir.Table:
    """Users who reach each node of their paths, and who leave there.

    One row per (position, node), the most frequent first.

    Columns
    -------
    position  : int     place in the path, from 1
    node      : string  node at that place
    reached   : int     distinct users with a path that is there at that place
    dropped   : int     distinct users with a path that ends there
    continued : int     distinct users with a path that goes on, also beyond the step limit
    paths     : int     paths that are there

    Definition: paths as `path_edges`, which takes the same `rules`. A user with several paths may both leave and go on. A
    path that is only cut by the step limit has not ended (PostHog counts it as a drop-off).
    Error: a binomial interval on dropped / reached.
    Source: terms.yml, `paths.drop_off`.

    Raises
    ------
    ValueError  as `path_edges`.
    UsageError  if a column does not exist.
    """
    rows = path_rows(events, "path_nodes", rules)
    return (
        rows.mutate(
            gone=ibis.ifelse(rows.goes_on, ibis.null(), rows.user_id),
            on=ibis.ifelse(rows.goes_on, rows.user_id, ibis.null()),
        )
        .group_by("position", "node")
        .agg(reached=_.user_id.nunique(), dropped=_.gone.nunique(), continued=_.on.nunique(), paths=_.count())
        .order_by(_.reached.desc(), "position", "node")
    )


def _connected(edges: ir.Table, step_limit: int) -> ir.Table:
    """The edges that can be reached from a first node over other edges."""
    level = edges.filter(edges.position == 1)
    levels = [level]
    for position in range(2, step_limit + 1):
        reached = level.select(node="target").distinct()
        # A semi join would say the same; sqlglot writes none for Postgres where the joined table is a limited one.
        level = edges.filter(edges.position == position).join(reached, [("source", "node")]).drop("node")
        levels.append(level)
    return ibis.union(*levels)
