"""From an experiment's sums (`metrics.experiment`) to what its readout says: split, effects, CUPED, chance, looks, power."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError, UsageError
from opslib.models import bayes, readout
from opslib.models.experiment import Effect, SampleRatio, sample_ratio
from opslib.models.moments import divided
from opslib.text import like, missing, say

REVENUE = "revenue"
LEAST = 30  # users that an arm must have for a verdict
WHALE = 0.2  # share of a metric's whole sum that one user may hold


@dataclass(frozen=True)
class Test:
    """One experiment as it was set up; `split` is empty where none was promised."""

    __test__ = False  # not pytest's

    id: str
    name: str
    control: str
    split: dict[str, float]
    metric: str
    first: dt.date
    last: dt.date | None  # the last local day it ran; None while it has no end
    running: bool


def memory_mb(exposures: int) -> int:
    """What the sums over so many exposed users are content with, in MB; with more they are hardly faster.

    >>> memory_mb(10_000_000), memory_mb(30_000_000)
    (1500, 4500)
    """
    return max(1_500, round(150e-6 * exposures))


def chosen(experiments: pd.DataFrame, experiment_id: str, metric: str, *, observed: dt.date) -> Test:
    """The experiment of that id, or the newest one; `metric` stands over the experiment's own.

    Raises
    ------
    UsageError      if there is no experiment of that id; names the near miss.
    TooLittleError  if there is none at all, or no metric is known.
    """
    if experiments.empty:
        raise TooLittleError(say(zh="数据里没有实验", en="there are no experiments in the data"))
    found = experiments.sort_values(["starts_at", "experiment_id"])
    if experiment_id:
        found = found[found.experiment_id == experiment_id]
    if found.empty:
        raise UsageError(
            say(zh="没有编号为「{id}」的实验", en="no experiment “{id}”", id=experiment_id),
            like(experiment_id, experiments.experiment_id),
        )
    row = found.iloc[-1].to_dict()
    metric = metric or ("" if missing(row["metric"]) else str(row["metric"]))
    if not metric:
        raise TooLittleError(
            say(
                zh="该实验没有登记指标，请用参数 metric 指定",
                en="the experiment names no metric: set the parameter metric",
            )
        )
    end = None if missing(row["ends_at"]) else pd.Timestamp(row["ends_day"]).date()
    name = row["experiment_id"] if missing(row["name"]) else row["name"]
    first = pd.Timestamp(row["starts_day"]).date()
    return Test(
        row["experiment_id"],
        str(name),
        row["control"],
        _split(row["split"]),
        metric,
        first,
        end,
        end is None or end > observed,
    )


def _split(text: Any) -> dict[str, float]:
    try:
        shares = json.loads(text)
        return {str(k): float(v) for k, v in shares.items() if float(v) > 0}
    except (TypeError, ValueError, AttributeError):
        return {}


def asked(test: Test, more: Sequence[str]) -> list[str]:
    """The metrics to compute, the primary one first, each once; revenue comes by itself."""
    names = [m for m in dict.fromkeys([test.metric, *more]) if m != REVENUE]
    return names or ["pay"]


def split_check(arms: pd.DataFrame, test: Test) -> tuple[SampleRatio, pd.DataFrame]:
    """Whether the arms have the promised sizes, and a table of them.

    Without a promised split the arms should be equal. A variant that the split does not name is a broken split.

    Raises
    ------
    TooLittleError  if fewer than two variants have users, or the control has none.
    """
    seen = arms.set_index("variant").users
    if len(seen) < 2 or test.control not in seen.index:
        raise TooLittleError(
            say(
                zh="实验 {id} 需要对照组 {control} 和至少一个实验组，实际只有 {n} 组",
                en="experiment {id} needs its control {control} and another variant, has {n} variants",
                id=test.id, control=test.control, n=len(seen),
            )
        )  # fmt: skip
    names = [test.control, *sorted((set(seen.index) | set(test.split)) - {test.control})]
    counts = seen.reindex(names).fillna(0).astype(int)
    share = pd.Series(test.split or dict.fromkeys(names, 1.0)).reindex(names)
    known = share.notna().all()
    found = sample_ratio(counts.to_list(), share.to_list() if known else None)
    crossed = arms.set_index("variant").crossed.reindex(names).fillna(0).astype(int)
    table = pd.DataFrame({"variant": names, "users": counts.to_numpy(), "share": (counts / counts.sum()).to_numpy(),
                          "promised": (share / share.sum()).to_numpy(), "crossed": crossed.to_numpy()})  # fmt: skip
    return (found if known else replace(found, ok=False)), table


def comparisons(sums: pd.DataFrame, test: Test, *, alpha: float = 0.05) -> pd.DataFrame:
    """Every variant against the control on every metric: share of users who did it, money a user for revenue.

    One row per (metric, variant); columns as `readout.readout`, and `whale`, the largest user's share of the metric's sum.
    `p_adjusted` stands for its two corrections: Holm over the variants of the primary metric, Benjamini-Hochberg over all others.
    Its interval and p are blank, and it is not judged, where an arm has under `LEAST` users, nobody in either arm did it, or one
    user holds over `WHALE`.

    Raises
    ------
    TooLittleError  if no user of the control, or of any treatment, has a whole window.
    """
    if test.control not in set(sums.variant):
        raise TooLittleError(
            say(
                zh="对照组还没有观察期满的用户；等数据更全，或减小 window_days",
                en="no user of the control has a whole window yet: wait for more data, or set fewer window_days",
            )
        )
    if set(sums.variant) == {test.control}:
        raise TooLittleError(
            say(
                zh="实验组还没有观察期满的用户；等数据更全，或减小 window_days",
                en="no user of any treatment has a whole window yet: wait for more data, or set fewer window_days",
            )
        )
    mean = sums.metric == REVENUE
    rate = divided(sums.hits, sums.n)
    table = pd.DataFrame(
        {
            "metric": sums.metric,
            "variant": sums.variant,
            "kind": np.where(mean, "mean", "proportion"),
            "n": sums.n,
            "mean": np.where(mean, sums["mean"], rate),
            "var": np.where(mean, sums["var"], rate * (1 - rate)),
        }
    )
    found = readout.readout(table, test.control, alpha=alpha, minimum=LEAST)
    total = (sums.n * sums["mean"]).groupby(sums.metric).sum()
    whale = divided(sums.groupby("metric").top.max(), total)
    found["whale"] = found.metric.map(pd.Series(whale, total.index)).where(found.kind == "mean")
    unsafe = (found[["n", "n_control"]].min(axis=1) < LEAST) | (found.whale > WHALE) | ~_done(found)
    judged = ["low", "high", "p", "lift_low", "lift_high", "lift_p"]
    found.loc[unsafe, judged], found.loc[unsafe, "enough"] = np.nan, False
    own = found.metric == test.metric
    holm, bh = readout.corrected(found.p.where(own), "holm"), readout.corrected(found.p.where(~own), "bh")
    return found.drop(columns=["p_holm", "p_bh"]).assign(p_adjusted=np.where(own, holm, bh))


def _done(table: pd.DataFrame) -> pd.Series:
    """Whether anybody in either arm did it: what nobody does neither moves nor holds."""
    return table[["control", "treatment"]].any(axis=1)


def guarding(table: pd.DataFrame, test: Test, guardrails: Sequence[str]) -> pd.DataFrame:
    """The comparisons that can hold a winner back: guardrails other than the primary metric that anybody did."""
    return table[table.metric.isin(guardrails) & (table.metric != test.metric) & _done(table)]


def lowest(row: Any) -> float:
    """How far a guardrail may have fallen: as a share of users, of money as a share of the control's."""
    return float(row.lift_low if row.metric == REVENUE else row.low)


def adjusted(sums: pd.DataFrame, test: Test, *, alpha: float = 0.05) -> pd.DataFrame:
    """The same comparisons with the users' own past taken out (CUPED).

    One row per (metric, variant): columns as `readout.readout` and `reduction`, the share of variance removed. A metric whose
    past does not vary (an event that nobody could do before) is left out: there is nothing to adjust by.

    Definition: y − theta (x − mean of x), with one theta a metric, pooled within arms; x is the same metric before exposure.
    Source: Deng, Xu, Kohavi, Walker (WSDM 2013).
    """
    rows = []
    for metric, arms in sums.groupby("metric", sort=False):
        moments = _joint(arms, metric == REVENUE)
        weight = moments.n - 1
        spread = (weight * moments.pre_var).sum()
        if not spread > 0 or moments.n.min() < LEAST:
            continue
        theta = (weight * moments["cov"]).sum() / spread
        centre = np.average(moments.pre_mean, weights=moments.n)
        var = moments["var"] + theta**2 * moments.pre_var - 2 * theta * moments["cov"]
        rows.append(
            pd.DataFrame(
                {
                    "metric": metric,
                    "variant": arms.variant,
                    "kind": "mean",
                    "n": moments.n,
                    "mean": moments["mean"] - theta * (moments.pre_mean - centre),
                    "var": var.clip(lower=0),
                    "reduction": 1 - divided((weight * var).sum(), (weight * moments["var"]).sum()),
                }
            )
        )
    if not rows:
        return pd.DataFrame()
    table = pd.concat(rows)
    found = readout.readout(table, test.control, alpha=alpha, minimum=LEAST)
    return found.assign(reduction=found.metric.map(table.groupby("metric").reduction.first()))


def _joint(arms: pd.DataFrame, money: bool) -> pd.DataFrame:
    """Moments of metric and past: those of sums as they are, those of did-or-did-not from the counts."""
    if money:
        return arms[["n", "mean", "var", "pre_mean", "pre_var", "cov"]]
    p, q, both = (divided(arms[c], arms.n) for c in ("hits", "pre_hits", "both_hits"))
    out = {"n": arms.n, "mean": p, "var": p * (1 - p), "pre_mean": q, "pre_var": q * (1 - q), "cov": both - p * q}
    return pd.DataFrame(out, arms.index)


def chances(sums: pd.DataFrame, test: Test) -> pd.DataFrame:
    """Each arm's chance to be the best on the primary metric, and what shipping it is expected to lose.

    One row per variant, the control first: `variant`, `n`, `mean`, `low`, `high` (posterior), `chance`, `loss`.
    Rates have a flat Beta prior; money has a flat prior and only two arms.

    Raises
    ------
    TooLittleError  if the metric is money and there are more than two arms.
    """
    arms = control_first(sums, test)
    if test.metric != REVENUE:
        found = bayes.beta_binomial(arms.hits.to_list(), arms.n.to_list())
        values = (found.mean, found.low, found.high, found.chance, found.loss)
    else:
        if len(arms) != 2:
            raise TooLittleError(
                say(zh="金额指标的贝叶斯读数只支持两组", en="the Bayesian reading of money takes two arms")
            )
        se = np.sqrt(arms["var"] / arms.n).to_numpy()
        mean = arms["mean"].to_numpy()
        two = bayes.gaussian(mean[1] - mean[0], float(np.hypot(*se)))
        win = two.chance_to_win
        values = (
            mean,
            mean - 1.96 * se,
            mean + 1.96 * se,
            np.array([1 - win, win]),
            np.array([two.loss_keep_control, two.loss_ship_treatment]),
        )
    names = ("mean", "low", "high", "chance", "loss")
    return pd.DataFrame(
        {"variant": arms.variant.to_numpy(), "n": arms.n.to_numpy(), **dict(zip(names, values, strict=True))}
    )


def control_first(sums: pd.DataFrame, test: Test) -> pd.DataFrame:
    """The primary metric's row of each variant."""
    arms = sums[sums.metric == test.metric]
    return arms.sort_values("variant", key=lambda v: (v != test.control).astype(str) + v, ignore_index=True)


def verdict(
    table: pd.DataFrame,
    test: Test,
    *,
    split_ok: bool,
    even: bool = True,
    guardrails: Sequence[str] = (),
    margin: float = 0.01,
    alpha: float = 0.05,
) -> tuple[str, str]:
    """What to do, and with which variant: `ship`, `reject`, `harm` or `undecided`; or why there is no verdict: `stop` (a
    broken split), `running`, `few`, `uneven` (windows, `even`), `nobody` (no arm ever did it), `whale` (one user carries it).

    Definition: of several treatments each is judged on p corrected for their number (Holm); the best that may ship is
    shipped. A guardrail's interval must stay above −`margin` (`lowest`). While the test runs only the sequential reading counts.
    `whale` is said only where the arms are large enough to be read without their largest users (`abguards.without_top`).
    """
    if not split_ok:
        return "stop", ""
    if test.running:
        return "running", ""
    primary = table[table.metric == test.metric]
    least = primary[["n", "n_control"]].min(axis=1).max()  # users in the smaller arm of the largest comparison
    if primary.empty or least < LEAST:
        return "few", ""
    if not even:
        return "uneven", ""
    if not primary[["control", "treatment"]].to_numpy().any():
        return "nobody", ""
    if not primary.enough.any():
        return ("whale" if (primary.whale > WHALE).all() and least > LEAST else "few"), ""
    primary = primary.assign(p=primary.p_adjusted).sort_values("diff", ascending=False)
    said, watched = [], guarding(table, test, guardrails)
    for row in primary.itertuples():
        what = readout.decision(
            _effect(row),
            split_ok=True,
            guardrails=[
                replace(_effect(g), low=lowest(g)) for g in watched[watched.variant == row.variant].itertuples()
            ],
            margin=margin,
            alpha=alpha,
        )
        said.append((what, str(row.variant)))
    order = ("ship", "reject", "harm", "undecided") if len(said) == 1 else ("ship", "reject", "undecided", "harm")
    return min(said, key=lambda s: order.index(s[0]))


def _effect(row: Any) -> Effect:
    return Effect(row.control, row.treatment, row.diff, row.se, row.low, row.high, row.p, np.nan, np.inf, "")
