"""What a new user of each channel costs and brings, how sure that is, and what to do with the channel."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from opslib.errors import OpsError, TooLittleError
from opslib.models.ltv import Range, payback_range, value_curve, value_to_cost
from opslib.models.moments import divided
from opslib.text import say

VERDICTS = ("grow", "hold", "cut", "test")
FEWEST_PAYERS = 5  # below it the spread of value over users says nothing
_LEVEL = 0.95


def one_currency(found: pd.DataFrame) -> str:
    """The one currency of `metrics.spend.currencies`; empty where the tables name none.

    Raises
    ------
    OpsError  if money is booked in several: sums over them would mean nothing.
    """
    named = sorted({str(c) for c in found["currency"].dropna() if str(c)})
    if len(named) > 1:
        raise OpsError(
            say(
                zh="花费与订单中有多种币种（{names}），不能相加",
                en="spend and orders are in several currencies ({names}) and cannot be summed",
                names=", ".join(named),
            ),
            say(zh="请换算成一种币种后重新加载", en="convert them to one and load again"),
        )
    return named[0] if named else ""


def count_range(n: ArrayLike, dispersion: ArrayLike = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """95% interval of the mean of a count that is `dispersion` times as variable as Poisson (Garwood 1936)."""
    n, phi = np.broadcast_arrays(np.asarray(n, float), np.asarray(dispersion, float))
    tail = (1 - _LEVEL) / 2
    low = np.where(n > 0, phi * stats.chi2.ppf(tail, 2 * np.maximum(n, 1e-9) / phi) / 2, 0.0)
    return low, phi * stats.chi2.isf(tail, 2 * n / phi + 2) / 2


def cost_per(cost: pd.Series, n: pd.Series, dispersion: ArrayLike = 1.0) -> pd.DataFrame:
    """Cost per head with its 95% interval.

    Columns
    -------
    value, low, high : float  blank where no cost is known; with nobody won, only `low` is known

    Definition: cost / n; the money is known, the interval is that of how many the same money wins.
    """
    fewest, most = count_range(n, dispersion)
    return pd.DataFrame(
        {"value": divided(cost, n), "low": divided(cost, most), "high": divided(cost, np.where(n > 0, fewest, 0))},
        index=cost.index,
    )


def dispersion(cost: ArrayLike, n: ArrayLike) -> float:
    """How much more counts vary from period to period than Poisson counts in proportion to the cost; at least 1."""
    spent, count = np.asarray(cost, float), np.asarray(n, float)
    expected = spent * count.sum() / spent.sum() if spent.sum() > 0 else np.full(count.size, count.mean())
    known = expected > 0
    if known.sum() < 4:
        return 1.0
    return max(1.0, float(((count - expected)[known] ** 2 / expected[known]).sum() / (known.sum() - 1)))


def weekly_cac(cost: pd.DataFrame, users: pd.DataFrame) -> pd.DataFrame:
    """Cost per new user of every period and channel, of `metrics.spend.channel_cost` and `channel_users`.

    One row per (start, channel) of either. Columns: start, channel, kind, cost, signups, activated, payers, cac, low,
    high; cost is blank where none was booked, counts are 0 where nobody registered.
    """
    spent = cost.groupby(["start", "channel"], as_index=False).agg(kind=("kind", "max"), cost=("cost", "sum"))
    counted = users[["start", "channel", "signups", "activated", "of_activated", "payers"]]
    table = spent.merge(counted, on=["start", "channel"], how="outer").sort_values(["start", "channel"])
    counts = ["signups", "activated", "of_activated", "payers"]
    table[counts] = table[counts].fillna(0).astype(int)
    per_head = cost_per(table["cost"], table["signups"])
    table = table.assign(cac=per_head["value"], low=per_head["low"], high=per_head["high"])
    return table.reset_index(drop=True)


def economics(cost: pd.DataFrame, users: pd.DataFrame, customers: pd.DataFrame, *, margin: float = 1.0) -> pd.DataFrame:
    """Cost and value per new user of each channel over the whole period.

    One row per channel of either table, dearest first. `customers` as `metrics.value.customers` gives them.

    Columns
    -------
    channel, kind : string  kind is blank where nothing was booked
    cost, campaign_cost : float  blank where nothing was booked
    signups, activated, payers : int
    cac, cac_low, cac_high : float  per sign-up; blank where nothing was booked
    cac_activated, cac_payer (with _low, _high) : float
    ltv, ltv_low, ltv_high : float  margin per sign-up so far; the interval is blank below five payers
    ltv_cac, ltv_cac_low, ltv_cac_high : float  blank where the cost is 0 or unknown
    dispersion : float  by which the count's interval is widened

    Definition: the same users stand below and above the line. Value is what is left of net revenue by `margin`, up to
    the last day observed; young users have not lived it all, so the ratio can still grow.
    Error: Garwood's interval of the counts, widened by their variation from week to week; normal for the value over
    users; Fieller's for the ratio.

    Raises
    ------
    ValueError  if `margin` is not above 0 and at most 1.
    """
    if not 0 < margin <= 1:
        raise ValueError(f"economics: margin must be above 0 and at most 1, got {margin}")
    weeks = weekly_cac(cost, users)
    booked = cost.groupby("channel").agg(kind=("kind", "max"), campaign_cost=("campaign_cost", "sum"))
    sums = weeks.groupby("channel").agg(
        cost=("cost", lambda c: c.sum(min_count=1)),
        signups=("signups", "sum"),
        activated=("activated", "sum"),
        payers=("payers", "sum"),
    )
    table = sums.join(booked)
    table["dispersion"] = [
        dispersion(w["cost"], w["signups"]) if w["cost"].notna().all() else 1.0
        for _, w in weeks.groupby("channel", sort=True)
    ]
    for name, count in (("cac", "signups"), ("cac_activated", "activated"), ("cac_payer", "payers")):
        # Of users who come in bursts, a share was activated or paid: the bursts thin out with it.
        share = np.clip(divided(table[count], table["signups"]), 0, 1)
        bursts = 1 + (table["dispersion"] - 1) * np.nan_to_num(share)
        table[[name, f"{name}_low", f"{name}_high"]] = cost_per(table["cost"], table[count], bursts).to_numpy()
    table = table.join(_value(customers, table["signups"], margin))
    ratios = [_ratio(row) for row in table.to_dict("records")]
    table[["ltv_cac", "ltv_cac_low", "ltv_cac_high"]] = np.array(ratios, float).reshape(-1, 3)
    return table.reset_index().sort_values(["cost", "channel"], ascending=[False, True]).reset_index(drop=True)


def _value(customers: pd.DataFrame, signups: pd.Series, margin: float) -> pd.DataFrame:
    """Mean value per sign-up, its standard error and interval; those who bought nothing count as 0."""
    by = customers.assign(value=customers["value"].astype(float) * margin).groupby("channel")["value"]
    moments = by.agg(["size", "mean", "var"]).reindex(signups.index).fillna(0.0)
    n, k = signups.astype(float), moments["size"]
    mean = pd.Series(divided(k * moments["mean"], n), signups.index)
    spread = (k - 1).clip(lower=0) * moments["var"] + k * moments["mean"] ** 2 * (1 - k / n.where(n > 0))
    error = np.sqrt(spread / (n - 1).where(n > 1) / n).where(k >= FEWEST_PAYERS)
    half = stats.norm.isf((1 - _LEVEL) / 2) * error
    return pd.DataFrame({"ltv": mean, "ltv_low": (mean - half).clip(lower=0), "ltv_high": mean + half, "ltv_se": error})


def _ratio(row: dict) -> tuple[float | None, ...]:
    if not row["cac"] > 0 or not np.isfinite(row["ltv"]):
        return None, None, None
    if not np.isfinite(row["ltv_se"]):
        return row["ltv"] / row["cac"], None, None
    error = (row["cac_high"] - row["cac_low"]) / 2 / stats.norm.isf((1 - _LEVEL) / 2)
    found = value_to_cost(row["ltv"], row["ltv_se"], row["cac"], error)
    return found.value, found.low, found.high


def paybacks(cells: pd.DataFrame, moments: pd.DataFrame, costs: pd.DataFrame, *, margin: float = 1.0) -> pd.DataFrame:
    """In how many steps of age each channel's users have brought what they cost.

    One row per channel with a cost above 0. `cells` of `metrics.value.cohort_value`, `moments` of `channel_value`, `costs` of
    `economics`.

    Columns
    -------
    channel  : string
    payback, payback_low, payback_high : float  steps of age (30 days by default); blank where not reached so far
    seen     : int    steps of age observed

    Definition: the first time at which the cumulated value of cohorts old enough reaches the cost (see `payback`).
    """
    found = []
    for row in costs[costs["cac"] > 0].to_dict("records"):
        curve = value_curve(cells[cells["channel"] == row["channel"]]).dropna(subset=["ltv"])
        errors = moments[moments["channel"] == row["channel"]].set_index("age")
        error = np.sqrt(errors["var"] / errors["users"]).reindex(curve["age"])
        seen = int(error.notna().cumprod().sum())
        span = Range(None, None, None)
        if seen:
            span = payback_range(margin * curve["ltv"][:seen], margin * error[:seen], row["cac"])
        found.append((row["channel"], span.value, span.low, span.high, seen))
    table = pd.DataFrame(found, columns=["channel", "payback", "payback_low", "payback_high", "seen"])
    return table.astype(dict.fromkeys(("payback", "payback_low", "payback_high"), float))


def verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """Grow, hold, cut or test each channel that money is spent on, and why.

    `table` is `economics`, with `projected` (see `models.projected`) and `marginal`, `marginal_low`,
    `marginal_high` (value of the next unit of money; see `models.channel_response`) where they are known.

    Columns added
    -------------
    verdict : string  blank for channels without a cost: there is no money to move
    reason  : string  unknown, losing, unforeseen, young, unsure, saturated, elsewhere, room, paying

    Definition: cut (losing) when LTV / CAC so far is surely below 1 and what the users are expected to have brought by
    the end of the projection still is less than they cost. test when nobody came or fewer than five paid (unknown), when
    only the projection pays (young), when it does not pay and there is no projection (unforeseen), or when the interval of
    LTV / CAC holds 1 (unsure). Otherwise the
    channel pays: grow (room) when the next unit of money still returns more than itself for sure, hold when it does not
    (saturated), is not known (paying), or brings more on other channels: the best split of the same money, `best`
    where it is known, gives this channel no more than it has now, `current` (elsewhere).
    """
    for name in ("projected", "projected_high", "marginal", "marginal_low", "marginal_high", "current", "best"):
        if name not in table:
            table = table.assign(**{name: np.nan})
    pairs = [_verdict(row) for row in table.to_dict("records")]
    return table.assign(verdict=[v for v, _ in pairs], reason=[r for _, r in pairs])


def _verdict(row: dict) -> tuple[str, str]:
    if not row["cost"] > 0:
        return "", ""
    if not row["ltv_cac_low"] >= 0:
        return "test", "unknown"
    if row["ltv_cac_high"] is not None and row["ltv_cac_high"] < 1 and not row["projected"] >= row["cac"]:
        return ("test", "unforeseen") if np.isnan(row["projected"]) else ("cut", "losing")
    if row["ltv_cac_low"] <= 1:
        return "test", "young" if row["ltv_cac_high"] < 1 else "unsure"
    if row["marginal_low"] > 1:
        return ("hold", "elsewhere") if row["best"] <= row["current"] else ("grow", "room")
    return "hold", "paying" if np.isnan(row["marginal"]) else "saturated"


LISTED = (
    "channel", "kind", "cost", "campaign_cost", "signups", "activated", "payers", "suspected", "cac", "cac_low", "cac_high",
    "cac_activated", "cac_activated_low", "cac_activated_high", "cac_payer", "cac_payer_low", "cac_payer_high", "ltv", "ltv_low", "ltv_high", "projected", "projected_low", "projected_high", "ltv_cac",
    "ltv_cac_low", "ltv_cac_high", "payback", "payback_low", "payback_high", "marginal", "marginal_low",
    "marginal_high", "current", "best", "best_low", "best_high", "verdict",
)  # fmt: skip


def with_columns(table: pd.DataFrame, more: pd.DataFrame, *names: str) -> pd.DataFrame:
    """The channels with further columns of another table of channels; blank where it does not know the channel."""
    return table.merge(more[["channel", *names]], on="channel", how="left", validate="one_to_one")


def listed(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of the list of channels, those that could be made; amounts to the cent."""
    return table[[c for c in LISTED if c in table]].round(4)


def cohort_curves(cells: pd.DataFrame) -> pd.DataFrame:
    """Each cohort's cumulated value per user over all channels: cohort, age, users, ltv; only what has been observed.

    A cohort's age counts as observed when it is for every channel of the cohort.
    """
    sums = cells.groupby(["cohort", "age"], as_index=False).agg(users=("users", "sum"), revenue=("revenue", "sum"))
    whole = sums.groupby("cohort")["users"].transform("max")
    seen = sums[sums["users"] == whole].sort_values(["cohort", "age"])
    seen = seen.assign(ltv=seen.groupby("cohort")["revenue"].cumsum() / seen["users"])
    return seen.assign(cohort=pd.to_datetime(seen["cohort"]).dt.strftime("%Y-%m")).reset_index(drop=True)


def kinds(table: pd.DataFrame) -> pd.DataFrame:
    """Cost, sign-ups and cost per sign-up of paid, free and offline channels together; only channels with a cost.

    One row per kind, dearest first. Columns: kind, cost, signups, cac, low, high.
    """
    rows = table[table["cost"] > 0]
    sums = rows.groupby("kind").agg(cost=("cost", "sum"), signups=("signups", "sum"), phi=("dispersion", "mean"))
    per_head = cost_per(sums["cost"], sums["signups"], sums["phi"])
    found = sums.assign(cac=per_head["value"], low=per_head["low"], high=per_head["high"]).drop(columns="phi")
    return found.sort_values("cost", ascending=False).reset_index()


def needs_rows(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The same table, if it has any value in the column.

    Raises
    ------
    TooLittleError  if an earlier section could not make it.
    """
    if column not in table or table[column].isna().all():
        raise TooLittleError(say(zh="没有可用的响应曲线", en="there is no response curve to go by"))
    return table


def needs_cost(table: pd.DataFrame) -> pd.DataFrame:
    """The same table, if any channel has a cost.

    Raises
    ------
    TooLittleError  if none has.
    """
    if not (table["cost"] > 0).any():
        raise TooLittleError(say(zh="没有任何渠道有花费", en="no channel has any cost"))
    return table
