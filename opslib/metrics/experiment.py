"""An experiment's arms, and what their users did after exposure and before it."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
from ibis import _

from opslib import contract
from opslib.metrics._filters import Step, column, step_holds, step_name
from opslib.metrics._periods import Day, numbers, observed_until, whole

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
    exposures = contract.keyed(exposures)
    days = {"first": _.day.min(), "last": _.day.max()}
    seen = exposures.group_by("experiment_id", "user_id").agg(variant=_.variant.min(), other=_.variant.max(), **days)
    # Hardly anybody is in two variants: only they are looked at variant by variant.
    twice = seen.filter(seen.variant != seen.other).select("experiment_id", "user_id")
    crossed = (
        exposures.join(twice, ["experiment_id", "user_id"]).group_by("experiment_id", "variant", "user_id").agg(**days)
    )
    columns = ("experiment_id", "variant", "first", "last")
    every = ibis.union(
        seen.filter(seen.variant == seen.other).select(*columns, crossed=ibis.literal(0, "int64")),
        crossed.select(*columns, crossed=ibis.literal(1, "int64")),
    )
    found = every.group_by("experiment_id", "variant").agg(
        users=_.count(), crossed=_.crossed.sum(), first=_["first"].min(), last=_["last"].max()
    )
    return found.order_by("experiment_id", "variant")


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
    exposed = _exposed(exposures, experiment_id, window_days, last_day, by)
    paid = orders.select("user_id", ts=_.paid_at, nr=ibis.literal(len(metrics), "int64"), value=_.amount)
    near = _around(ibis.union(*_acts(events, metrics), paid), exposed, window_days, pre_days)
    keys = ["variant", *{"day": ["start"], "": []}.get(by, ["segment"])]
    if by not in ("", "day"):  # only now: the join above is of everybody, and the narrower the less it has to hold
        segments = users.select("user_id", segment=column(users, by).cast("string"))
        near, exposed = (t.left_join(segments, "user_id").drop("user_id_right") for t in (near, exposed))
    found = _with_zeros(_moments(near, keys), exposed, keys, [*map(step_name, metrics), REVENUE])
    return found.order_by("nr", *reversed(keys)).drop("nr")


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
    were randomised, so its error comes from the users (`models.abguards.ratio`).
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
    exposed = _exposed(exposures, experiment_id, window_days, last_day)
    near = _around(ibis.union(*_acts(events, over)), exposed, window_days, 0)
    pair = near.group_by("user_id", "variant")
    pair = pair.agg(**{c: ibis.ifelse(_.nr == i, _.a, 0.0).sum() for i, c in enumerate("ab")})
    told = _with_zeros(_moments(pair.mutate(nr=ibis.literal(0, "int64")), ["variant"]), exposed, ["variant"], [""])
    return told.select("variant", "n", "mean", "var", "cov", per_mean=_.pre_mean, per_var=_.pre_var).order_by("variant")


def _exposed(
    exposures: ir.Table, experiment_id: str, window_days: int, last_day: ir.DateScalar, by: str = ""
) -> ir.Table:
    """Every user of one variant whose window is over: variant, since, and the start if asked for by day."""
    first = (
        exposures.filter(_.experiment_id == experiment_id)
        .group_by("user_id")
        .agg(variant=_.variant.min(), other=_.variant.max(), since=_.ts.min(), start=_.day.min())
    )
    clean = first.filter((first.variant == first.other) & (first.start + ibis.interval(days=window_days) <= last_day))
    return clean.select("user_id", "variant", "since", *["start"] * (by == "day"))


def _acts(events: ir.Table, steps: Sequence[Step]) -> list[ir.Table]:
    """Each event as often as it is counted: user_id, ts, nr (of the step), value.

    Names are told apart in one reading of the events; an event may keep the conditions of several other steps.
    """
    named: dict[str, int] = {}
    others: list[tuple[int, Step]] = []
    for i, step in enumerate(steps):
        if isinstance(step, str) and step not in named:
            named[step] = i
        else:
            others.append((i, step))
    parts = [(events.filter(step_holds(events, step)), ibis.literal(i, "int64")) for i, step in others]
    if named:
        kept = events.filter(events.event.isin(list(named)))
        parts.insert(0, (kept, kept.event.cases(*named.items()).cast("int64")))
    return [rows.select("user_id", "ts", nr=nr, value=ibis.literal(1.0)) for rows, nr in parts]


def _around(acts: ir.Table, exposed: ir.Table, window_days: int, pre_days: int) -> ir.Table:
    """One row per user and step with any act near the exposure: the sums of its values after (a) and before (b) it."""
    near = acts.join(exposed, "user_id")
    near = near.filter(near.ts >= near.since - ibis.interval(days=pre_days))
    if window_days:
        near = near.filter(near.ts < near.since + ibis.interval(days=window_days))
    sums = {"a": ibis.ifelse(_.ts >= _.since, _.value, 0.0).sum(), "b": ibis.ifelse(_.ts < _.since, _.value, 0.0).sum()}
    return near.group_by("user_id", "nr", *(c for c in exposed.columns if c not in ("user_id", "since"))).agg(**sums)


def _moments(near: ir.Table, keys: list[str]) -> ir.Table:
    """The moments of those who did anything, by step and keys."""
    a, b = near.a, near.b
    return near.group_by("nr", *keys).agg(
        some=near.count(),
        hits=ibis.ifelse(a > 0, 1, 0).sum(),
        pre_hits=ibis.ifelse(b > 0, 1, 0).sum(),
        both_hits=ibis.ifelse((a > 0) & (b > 0), 1, 0).sum(),
        mean=a.mean(),
        var=a.var(how="sample"),
        pre_mean=b.mean(),
        pre_var=b.var(how="sample"),
        cov=a.cov(b, how="sample"),
        top=a.max(),
    )


def _with_zeros(found: ir.Table, exposed: ir.Table, keys: list[str], names: Sequence[str]) -> ir.Table:
    """The moments of all users: those who did nothing are zeros, added by the formula and never as rows.

    Σ (x − mean)² of all = that of some + some × their mean² × (1 − some / n); the same for the product of two.
    """
    size = exposed.group_by(*keys).agg(n=_.count())
    every = size.cross_join(numbers(len(names), "nr"))
    every, found = (t.mutate(key=_matched(t)) if "segment" in keys else t for t in (every, found))
    on = ["nr", *("key" if k == "segment" else k for k in keys)]
    all_ = every.left_join(found, on)
    some = all_.some.fill_null(0).cast("float64")
    share = some / all_.n.cast("float64")

    def mean(name: str) -> ir.FloatingValue:
        return all_[name].fill_null(0.0)

    def spread(name: str, x: str, y: str) -> ir.FloatingValue:
        squares = (some - 1) * mean(name) + some * (mean(x) * mean(y) * (1 - share))
        return squares / (all_.n - 1).cast("float64").nullif(0.0)

    return all_.select(
        "nr",
        all_.nr.cases(*enumerate(names)).name("metric"),
        *keys,
        "n",
        **{c: all_[c].fill_null(0) for c in ("hits", "pre_hits", "both_hits")},
        mean=mean("mean") * share,
        var=spread("var", "mean", "mean"),
        pre_mean=mean("pre_mean") * share,
        pre_var=spread("pre_var", "pre_mean", "pre_mean"),
        cov=spread("cov", "mean", "pre_mean"),
        top=all_.top.fill_null(0.0),
    )


def _matched(table: ir.Table) -> ir.StringValue:
    """The segment as a key of a join: users without one are a segment of their own."""
    return (ibis.literal("=") + table.segment).fill_null("")
