"""How many new users will still be there: shifted beta-geometric by channel, with the error that it made before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from opslib.errors import OpsError, TooLittleError
from opslib.models.moments import divided
from opslib.models.sbg import ShiftedBetaGeometric, fit_sbg
from opslib.text import say

FEWEST_USERS = 30
_DRAWS = 30


@dataclass(frozen=True)
class Staying:
    """`channels` has a row per channel, `curve` one per (basis, age): observed and projected share still there.

    `error` is the total forecast over what came, less 1; `naive_error` that of a constant rate of leaving; `cells` the
    number of (cohort, age) that the hold-out is about, `users` the people still there in them.
    """

    channels: pd.DataFrame
    curve: pd.DataFrame
    error: float
    naive_error: float
    users: int


def project_staying(
    now: pd.DataFrame, before: pd.DataFrame, *, ahead: int = 26, yearly_discount: float = 0.1, seed: int = 0
) -> Staying:
    """The share of each channel's users still there at age `ahead`, and their discounted weeks.

    `now` and `before` of `metrics.staying.survivors` by week, the second one ended some weeks earlier: the hold-out.

    Columns of `channels`
    ---------------------
    channel : string
    users   : int    users whose first week is known in full
    oldest  : int    age up to which anything is known
    kept    : float  observed share at half of `ahead`; blank where no cohort is old enough
    stay, stay_low, stay_high : float  projected share at `ahead`
    weeks_there : float  expected weeks until leaving, within twice `ahead`, discounted by the year

    Definition: one fit per channel over all its weekly cohorts, each as far as it is known.
    Error: bootstrap over users, widened by the relative error of the hold-out, which is that of all channels together.

    Raises
    ------
    TooLittleError  if no channel has 30 users followed for two weeks, or the hold-out has no cell of its own.
    """
    error, naive, users = _held_out(now, before)
    rng, rows = np.random.default_rng(seed), []
    for channel, cells in now.groupby("channel"):
        row = _channel(str(channel), cells, ahead, yearly_discount, abs(error), rng)
        if row:
            rows.append(row)
    if not rows:
        raise TooLittleError(
            say(
                zh="没有渠道有 {least} 名跟踪满两周的用户，无法预测留存",
                en="no channel has {least} users followed for two weeks: who stays cannot be projected",
                least=FEWEST_USERS,
            )
        )
    whole = fit_sbg(_cohorts(now))
    seen = now.groupby("age").agg(there=("there", "sum"), users=("users", "sum"))
    ages = np.arange(ahead + 1)
    curve = pd.concat(
        [
            pd.DataFrame({"basis": "observed", "age": seen.index, "rate": (seen["there"] / seen["users"]).to_numpy()}),
            pd.DataFrame({"basis": "projected", "age": ages, "rate": np.asarray(whole.survival(ages))}),
        ],
        ignore_index=True,
    )
    table = pd.DataFrame(rows).sort_values("stay", ascending=False).reset_index(drop=True)
    return Staying(table, curve, error, naive, users)


def _channel(
    channel: str, cells: pd.DataFrame, ahead: int, yearly_discount: float, error: float, rng: np.random.Generator
) -> dict | None:
    cohorts = _cohorts(cells)
    n = int(sum(c[0] for c in cohorts))
    try:
        model = fit_sbg(cohorts) if n >= FEWEST_USERS else None
    except (TooLittleError, OpsError):
        model = None
    if model is None:
        return None
    stay = float(model.survival(ahead))
    drawn = [float(m.survival(ahead)) for m in _again(cohorts, rng)]
    low, high = np.quantile(drawn, [0.025, 0.975]) if drawn else (np.nan, np.nan)
    half = cells[cells["age"] == ahead // 2]
    ages = np.arange(2 * ahead)
    worth = np.asarray(model.survival(ages)) / (1 + yearly_discount) ** (ages / 52.18)
    return {
        "channel": channel,
        "users": n,
        "oldest": int(cells["age"].max()),
        "kept": half["there"].sum() / half["users"].sum() if len(half) else np.nan,
        "stay": stay,
        "stay_low": max(low - stay * error, 0.0),
        "stay_high": min(high + stay * error, 1.0),
        "weeks_there": float(worth.sum()),
    }


def _cohorts(cells: pd.DataFrame) -> list[list[int]]:
    """Survivors of each cohort from age 0; cohorts of which a single age is known say nothing."""
    ordered = cells.sort_values("age").groupby(["cohort", "channel"])["there"]
    return [c for c in ordered.agg(list) if len(c) > 1]


def _again(cohorts: list[list[int]], rng: np.random.Generator) -> list[ShiftedBetaGeometric]:
    """Fits to users drawn anew: who left when, out of as many, cohort by cohort."""
    found = []
    for _ in range(_DRAWS):
        drawn = []
        for c in cohorts:
            left = rng.multinomial(c[0], np.append(-np.diff(c), c[-1]) / max(c[0], 1)) if c[0] else [0] * len(c)
            drawn.append((c[0] - np.concatenate([[0], np.cumsum(left[:-1])])).tolist())
        try:
            found.append(fit_sbg(drawn))
        except (TooLittleError, OpsError):
            continue
    return found


def _held_out(now: pd.DataFrame, before: pd.DataFrame) -> tuple[float, float, int]:
    """Relative error over the cells that have become known since, of the model and of a constant rate of leaving."""
    known = _cohorts(before)
    if not known:
        raise TooLittleError(
            say(
                zh="留出期之前还没有可用的留存记录，无法检验预测",
                en="before the hold-out nothing was known of who stays: a projection could not be checked",
            )
        )
    model = fit_sbg(known)
    left, exposed = sum(c[0] - c[-1] for c in known), sum(sum(c[:-1]) for c in known)
    stays = 1 - divided(left, exposed)
    old = before.sort_values("age").groupby(["cohort", "channel"]).agg(t0=("age", "max"), base=("there", "last"))
    later = now.merge(old.reset_index(), on=["cohort", "channel"])
    later = later[(later["age"] > later["t0"]) & (later["t0"] > 0)]
    actual = float(later["there"].sum())
    if not actual:
        raise TooLittleError(
            say(
                zh="留出期内没有用户仍在，无法检验留存预测",
                en="nobody is left in the hold-out: a projection of who stays cannot be checked",
            )
        )
    share = np.asarray(model.survival(later["age"])) / np.asarray(model.survival(later["t0"]))
    naive = (later["base"] * stays ** (later["age"] - later["t0"])).sum()
    return float((later["base"] * share).sum() / actual - 1), float(naive / actual - 1), int(actual)
