"""Which tries count: the deepest of each unit, or one after the other; and how many of them reach each step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib.metrics._funnel_rules import Funnel
from opslib.metrics._funnel_tries import FAR, deadlines
from opslib.metrics._periods import counting

ROUNDS = 12  # doublings: 2 ** 12 tries of one unit, one after the other


def counted(tried: ir.Table, funnel: Funnel, keys: Sequence[str], per: Sequence[str] = ()) -> ir.Table:
    """The tries that count: one per unit (and value of `per`), the deepest, of equals the earliest; or one after the other.

    `keys` are the columns within which a try's `rank` orders it.
    """
    if funnel.entry == "first":
        first = _.rank.min().over(ibis.window(group_by=[*keys, *per]))
        tried = tried.mutate(_first=first).filter(_.rank == _._first).drop("_first")
    dropped = funnel.exclusions and funnel.drop_users
    if funnel.attempts:
        tried = _one_after_the_other(tried, funnel, keys)
        return tried.filter(_.hit.isnull()) if dropped else tried
    if dropped:
        tried = _clean(tried, funnel, keys, per)
    return deepest(tried, [*keys, *per])


def deepest(tried: ir.Table, keys: Sequence[str]) -> ir.Table:
    """The deepest try of each key; of equals the earliest."""
    order = [tried.depth.desc(), tried.t1, *([tried["rank"]] if "rank" in tried.columns else [])]
    place = ibis.row_number().over(ibis.window(group_by=list(keys), order_by=order))
    return tried.mutate(_place=place).filter(_._place == 0).drop("_place")


def _clean(tried: ir.Table, funnel: Funnel, keys: Sequence[str], per: Sequence[str]) -> ir.Table:
    """The tries that no exclusion hit, where none that was hit goes deeper; that one has its next step too, if it came.

    A try that was hit and completes takes those with it that do not complete, whatever their `per`. In any order only the
    tries that were hit go: a later step may still enter on its own.
    """
    if funnel.order == "unordered":
        return tried.filter(_.hit.isnull())
    everything = len(funnel.required)
    tried = tried.mutate(_reach=ibis.least(_.full, _.depth + 1))
    tried = tried.mutate(
        _top=_._reach.max().over(ibis.window(group_by=[*keys, *per])),
        _void=ibis.ifelse(_.hit.notnull() & (_._reach == everything), 1, 0)
        .max()
        .over(ibis.window(group_by=list(keys))),
    )
    kept = tried.filter(_.hit.isnull(), _.depth == _._top, (_.depth == everything) | (_._void == 0))
    return kept.drop("_reach", "_top", "_void")


def _one_after_the_other(tried: ir.Table, funnel: Funnel, keys: Sequence[str]) -> ir.Table:
    """The tries of a unit that do not overlap: the first, then always the first that starts after the one before has ended.

    Which tries follow each other is found by doubling: after round n the first 2 ** n of every unit are known.
    """
    keys = list(keys)
    jump = _next_tries(tried, funnel, keys)
    reached = tried.group_by(keys).agg(rank=_.rank.min())
    for _round in range(ROUNDS):
        further = reached.join(jump, [*keys, "rank"]).select(*keys, rank="next")
        reached = reached.union(further)
        landed = jump.select(**{f"{k}_": jump[k] for k in keys}, middle=jump.rank, last=jump.next)
        on = [*((k, f"{k}_") for k in keys), ("next", "middle")]
        jump = jump.join(landed, on).select(*keys, "rank", next="last")
    return tried.semi_join(reached, [*keys, "rank"])


def _next_tries(tried: ir.Table, funnel: Funnel, keys: list[str]) -> ir.Table:
    """Try → the first try that starts after it has ended, where there is one.

    A try ends with its last step, with an excluded row, in a strict funnel with the row that interrupts it, or when its
    window is over. An entry may follow the interruption itself, but not use the row that completed or excluded.
    """
    complete, last = tried.depth == len(funnel.required), funnel.required[-1]
    ends = [(complete, tried[f"t{last}"], tried[f"r{last}"])]
    if funnel.exclusions:
        ends.append((tried.hit.notnull(), tried.hit_ts, tried.hit))
    for depth, (step, following) in enumerate(pairwise(funnel.required), 1):
        stuck = tried.depth == depth
        if funnel.order == "strict":
            ends.append((stuck, tried[f"t{step}"], tried[f"r{step}"]))
        elif limits := deadlines(tried, funnel, following):
            ends.append((stuck, ibis.least(*limits) if limits[1:] else limits[0], ibis.literal(FAR)))
    at = ibis.cases(*((when, ts) for when, ts, _n in ends), else_=ibis.null())
    row = ibis.cases(*((when, n) for when, _ts, n in ends), else_=ibis.null())
    starts = tried.select(*keys, "rank", at=tried.t1, n=tried.rank, kind=0)
    ended = tried.select(*keys, "rank", at=at, n=row, kind=1).filter(_.n.notnull())
    after = ibis.window(group_by=keys, order_by=["at", "n", "kind"], rows=(1, None))
    both = starts.union(ended).mutate(next=ibis.ifelse(_.kind == 0, _.n, ibis.null()).min().over(after))
    return both.filter((_.kind == 1) & _.next.notnull()).select(*keys, "rank", "next")


def per_step(counted: ir.Table, funnel: Funnel, by: Sequence[str] = ()) -> ir.Table:
    """One row per step (and value of `by`): how many of the counted tries reached it."""
    totals = (
        counted.group_by(list(by)).agg(**step_sums(counted, funnel))
        if by
        else counted.agg(**step_sums(counted, funnel))
    )
    return spread(totals, funnel, by)


def step_sums(counted: ir.Table, funnel: Funnel) -> dict[str, ir.IntegerScalar]:
    """`c<i>`: how many of the tries reached step i."""
    return {f"c{i}": ibis.ifelse(counted[f"t{i}"].notnull(), 1, 0).sum().fill_null(0) for i in funnel.numbers}


def spread(totals: ir.Table, funnel: Funnel, by: Sequence[str] = ()) -> ir.Table:
    """One row per step of one row with `c1`, `c2`, … (per value of `by`)."""
    table = totals.cross_join(counting("step", 1, len(funnel.steps) + 1))

    def of_step(values: Sequence[ir.Value]) -> ir.Value:
        return ibis.cases(*((table.step == i, value) for i, value in zip(funnel.numbers, values, strict=True)))

    before = [1, *(funnel.anchor(i) for i in funnel.numbers[1:])]
    return table.select(
        *by,
        step=table.step.cast("int64"),
        name=of_step([ibis.literal(name) for name in funnel.names]),
        users=of_step([table[f"c{i}"] for i in funnel.numbers]),
        entered=table.c1,
        previous=of_step([table[f"c{i}"] for i in before]),
    )
