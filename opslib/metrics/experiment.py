"""An experiment's arms, and what their users did after exposure and before it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._filters import Step, column, step_holds, step_name
from opslib.metrics._periods import Day, observed_until, whole

REVENUE = "revenue"


def arms(exposures: ir.Table) -> ir.Table:
    """How many users each experiment put into each variant, and how many of them it also put into another.

    One row per (experiment_id, variant).

    Columns
    -------
    experiment_id, variant : str
    users   : int   distinct users exposed to the variant
    crossed : int   those of them who were also exposed to another variant of the experiment
    first, last : date   first and last local day of an exposure

    Definition: a user counts once in every variant that they were exposed to; the check of the split takes `users`,
    the reading of an effect leaves `crossed` out.
    Error: none, a census; the split is tested by `models.experiment.sample_ratio`.
    Source: terms.yml, `experiment.split`.
    """
    seen = (
        contract.keyed(exposures)
        .group_by("experiment_id", "variant", "user_id")
        .agg(first=_.day.min(), last=_.day.max())
    )
    seen = seen.mutate(variants=_.count().over(ibis.window(group_by=["experiment_id", "user_id"])))
    return (
        seen.group_by("experiment_id", "variant")
        .agg(
            users=_.count(),
            crossed=ibis.ifelse(_.variants > 1, 1, 0).sum(),
            first=_["first"].min(),
            last=_["last"].max(),
        )
        .order_by("experiment_id", "variant")
    )


def outcome_sums(
    exposures: ir.Table,
    events: ir.Table,
    orders: ir.Table,
    users: ir.Table,
    *,
    experiment_id: str = "",
    metrics: Sequence[Step] = ("pay",),
    window_days: int = 0,
    pre_days: int = 14,
    by: str = "",
    until: Day | None = None,
) -> ir.Table:
    """What the users of each variant did after their exposure, with the moments that a readout needs.

    One row per (metric, variant), and per segment or day with `by`; the last metric is always `revenue` (paid orders).

    Columns
    -------
    metric, variant : str   the step's name, or "revenue"
    start     : date   with by="day": local day of the first exposure
    segment   : str    with `by` a column of `users`
    n         : int    users of the variant whose window is over
    hits      : int    those with at least one such event (order) in the window; the rate is hits / n
    pre_hits  : int    those with one before exposure
    both_hits : int    those with one on both sides, for the covariance that CUPED needs
    mean, var         : float  events (or money) a user in the window, sample variance over users
    pre_mean, pre_var : float  the same before exposure
    cov       : float  sample covariance of the two
    top       : float  the largest single user's value; beside n × mean it shows a whale

    Definition: the window runs from a user's first exposure, the moment itself included, for `window_days` × 24 hours, the
    end excluded; 0 means to the end of the data. Users whose window is not over on the local day `until` (default: the last
    day with an event) are left out, so that all windows are equally long. The time before exposure is `pre_days` × 24
    hours, the moment of exposure excluded. Intention to treat: users without any event count as zero; users seen in two
    variants are left out. Orders count by `paid_at` with their amount before refunds.
    Error: Welch or a two-proportion test over users; see `models.readout`.
    Source: terms.yml, `experiment.effect`.

    Raises
    ------
    ValueError  if a number of days is out of range, or no metric is named.
    UsageError  if `by` is neither "day" nor a column of `users`.
    """
    whole(window_days, 0, 365, "window_days", "outcome_sums")
    whole(pre_days, 1, 365, "pre_days", "outcome_sums")
    if not metrics:
        raise ValueError("outcome_sums: name at least one metric")
    last_day = observed_until(events, until, "outcome_sums")
    exposures, events, orders, users = contract.keyed(exposures, events, orders, users)
    exposed = _exposed(exposures, experiment_id, window_days, last_day, users, by)
    acts = events.filter(reduce(or_, (step_holds(events, m) for m in metrics)))
    acts = acts.select(
        "user_id", "ts", **{f"v{i}": ibis.ifelse(step_holds(acts, m), 1.0, 0.0) for i, m in enumerate(metrics)}
    )
    paid = orders.select("user_id", ts=_.paid_at, **{f"v{len(metrics)}": _.amount})
    wide = _counted(_counted(exposed, acts, window_days, pre_days), paid, window_days, pre_days)
    names = [*map(step_name, metrics), REVENUE]
    return _moments(wide, names, {"day": ["start"], "": []}.get(by, ["segment"]))


def ratio_sums(
    exposures: ir.Table,
    events: ir.Table,
    users: ir.Table,
    *,
    experiment_id: str = "",
    over: Sequence[Step] = ("click", "impression"),
    window_days: int = 0,
    until: Day | None = None,
) -> ir.Table:
    """What a ratio of two events needs: the moments of both over users, and how they go together.

    One row per variant.

    Columns
    -------
    variant : str
    n       : int    users of the variant whose window is over
    mean, var         : float  the first event of `over`, times a user
    per_mean, per_var : float  the second event, times a user
    cov     : float  sample covariance of the two over users

    Definition: window and users as in `outcome_sums`. The ratio is Σ first / Σ second over all users; users and not events
    were randomised, so its error comes from the users (`models.abtest.ratio`).
    Error: delta method over users.
    Source: terms.yml, `experiment.ratio`.

    Raises
    ------
    ValueError  if `over` is not a pair.
    """
    whole(window_days, 0, 365, "window_days", "ratio_sums")
    if len(over) != 2:
        raise ValueError(f"ratio_sums: over must be two events, got {list(over)}")
    last_day = observed_until(events, until, "ratio_sums")
    exposures, events, users = contract.keyed(exposures, events, users)
    exposed = _exposed(exposures, experiment_id, window_days, last_day, users, "")
    acts = events.filter(step_holds(events, over[0]) | step_holds(events, over[1]))
    acts = acts.select(
        "user_id", "ts", **{f"v{i}": ibis.ifelse(step_holds(acts, m), 1.0, 0.0) for i, m in enumerate(over)}
    )
    wide = _counted(exposed, acts, window_days, 1)
    sums = wide.group_by("variant").agg(
        n=_.count(),
        mean=_.a0.mean(),
        var=_.a0.var(how="sample"),
        per_mean=_.a1.mean(),
        per_var=_.a1.var(how="sample"),
        cov=wide.a0.cov(wide.a1, how="sample"),
    )
    return sums.order_by("variant")


def _exposed(
    exposures: ir.Table, experiment_id: str, window_days: int, last_day: ir.DateScalar, users: ir.Table, by: str
) -> ir.Table:
    """Every user of one variant whose window is over: variant, since, start, and the segment asked for."""
    first = (
        exposures.filter(_.experiment_id == experiment_id)
        .group_by("user_id")
        .agg(variant=_.variant.min(), variants=_.variant.nunique(), since=_.ts.min(), start=_.day.min())
    )
    clean = first.filter((first.variants == 1) & (first.start + ibis.interval(days=window_days) <= last_day)).drop(
        "variants"
    )
    if by in ("", "day"):
        return clean
    segments = users.select("user_id", segment=column(users, by).cast("string"))
    return clean.left_join(segments, "user_id").drop("user_id_right")


def _counted(exposed: ir.Table, rows: ir.Table, window_days: int, pre_days: int) -> ir.Table:
    """The users with the sums of every value column before (b…) and after (a…) their exposure; none is zero."""
    values = [c for c in rows.columns if c.startswith("v")]
    near = rows.join(exposed.select("user_id", "since"), "user_id")
    after = near.ts >= near.since
    if window_days:
        after = after & (near.ts < near.since + ibis.interval(days=window_days))
    before = (near.ts < near.since) & (near.ts >= near.since - ibis.interval(days=pre_days))
    sums = {f"a{v[1:]}": ibis.ifelse(after, near[v], 0.0).sum() for v in values}
    sums |= {f"b{v[1:]}": ibis.ifelse(before, near[v], 0.0).sum() for v in values}
    joined = exposed.left_join(near.group_by("user_id").agg(**sums), "user_id").drop("user_id_right")
    return joined.mutate(**{name: joined[name].fill_null(0.0) for name in sums})


def _moments(wide: ir.Table, names: Sequence[str], by: list[str]) -> ir.Table:
    """One wide row per group, then one row for each metric of it."""
    sums = {"n": wide.count()}
    for i in range(len(names)):
        a, b = wide[f"a{i}"], wide[f"b{i}"]
        sums |= {
            f"hits{i}": ibis.ifelse(a > 0, 1, 0).sum(),
            f"pre_hits{i}": ibis.ifelse(b > 0, 1, 0).sum(),
            f"both_hits{i}": ibis.ifelse((a > 0) & (b > 0), 1, 0).sum(),
            f"mean{i}": a.mean(),
            f"var{i}": a.var(how="sample"),
            f"pre_mean{i}": b.mean(),
            f"pre_var{i}": b.var(how="sample"),
            f"cov{i}": a.cov(b, how="sample"),
            f"top{i}": a.max(),
        }
    found = wide.group_by("variant", *by).agg(**sums)
    kept = ("hits", "pre_hits", "both_hits", "mean", "var", "pre_mean", "pre_var", "cov", "top")
    parts = [
        found.select(nr=ibis.literal(i, "int64"), metric=ibis.literal(name), variant=_.variant, **{c: found[c] for c in by}, n=_.n,
                     **{c: found[f"{c}{i}"] for c in kept})
        for i, name in enumerate(names)
    ]  # fmt: skip
    return ibis.union(*parts).order_by("nr", *by, "variant").drop("nr")
