"""How sign-ups follow each paid channel's spend: saturation, the return of the next unit, the split of the same money."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from opslib.errors import TooLittleError
from opslib.models.budget import AllocationRisk, HillResponse, allocation_risk
from opslib.models.response import HoldOutError, ResponseFit, fit_response, hold_out_error, response_draws
from opslib.text import say

WEEK = 7.0
_FEWEST_DAYS = 56


@dataclass(frozen=True)
class ChannelResponses:
    """`table` has a row per channel; `curves` and `draws` are in value per day, in the order of the table."""

    table: pd.DataFrame
    curves: list[HillResponse]
    draws: list[list[HillResponse]]


def responses(
    days: pd.DataFrame,
    economics: pd.DataFrame,
    *,
    left_out: pd.DataFrame | None = None,
    draws: int = 40,
    check_days: int = 28,
    seed: int = 0,
) -> ChannelResponses:
    """The response of each paid channel's own sign-ups to its own spend, day by day.

    One row per paid channel with at least eight weeks of spend. `days` of `metrics.spend.channel_days`; the (channel, day)
    rows of `left_out` (tracking breaks and odd spend, `models.channel_checks.doubtful`) are passed over.

    Columns
    -------
    channel : string
    spend   : float  mean per day
    half    : float  spend per day at which half of the most possible sign-ups come
    top     : float  most sign-ups per day
    marginal, marginal_low, marginal_high : float  value (LTV so far) of the next unit of money at the mean spend
    average : float  value per unit of money spent, LTV / CAC by the fitted curve
    used    : float  share of `top` that the mean spend reaches
    error, naive : float  mean absolute error on the last `check_days`, relative; naive repeats as many days before

    Definition: Hill curve of slope 1 with carry-over, trend and weekday rhythm, see `models.response`; value is LTV so
    far times sign-ups.
    Error: block bootstrap of residuals, with the LTV drawn from its own interval. Correlation in time, not proof.

    Raises
    ------
    TooLittleError  if no paid channel has eight weeks of spend and an LTV with interval.
    """
    rng, rows, curves, drawn = np.random.default_rng(seed), [], [], []
    worth = economics.set_index("channel")
    for channel, series in _series(days, left_out):
        ltv = worth.loc[channel] if channel in worth.index else None
        if ltv is None or not np.isfinite(ltv["ltv_se"]):
            continue
        spend = series[["cost"]]
        fit = fit_response(series["signups"], spend, season=WEEK)
        many = response_draws(fit, spend, season=WEEK, draws=draws, block=7, seed=seed)
        values = np.maximum(rng.normal(ltv["ltv"], ltv["ltv_se"], draws), 0.0)
        sampled = [_worth(f, v) for f, v in zip(many, values, strict=True)]
        with np.errstate(divide="ignore", invalid="ignore"):  # its own error is relative to each day, some have none
            check = hold_out_error(series["signups"], spend, last=check_days, season=WEEK)
        rows.append(_row(channel, fit, float(ltv["ltv"]), sampled, check, series))
        curves.append(_worth(fit, float(ltv["ltv"])))
        drawn.append(sampled)
    if not rows:
        raise TooLittleError(
            say(
                zh="没有付费渠道同时满足 8 周有花费且付费用户足够，无法估计花费与效果的关系",
                en="no paid channel has eight weeks of spend and enough payers to read a response from",
            )
        )
    return ChannelResponses(pd.DataFrame(rows), curves, [list(d) for d in zip(*drawn, strict=True)])


def _row(
    channel: str,
    fit: ResponseFit,
    ltv: float,
    sampled: list[HillResponse],
    check: HoldOutError,
    series: pd.DataFrame,
) -> dict:
    c = fit.channels.iloc[0]
    now = float(series["cost"].mean())
    ends = np.quantile([d.marginal(now) for d in sampled], [0.025, 0.975])
    return {
        "channel": channel,
        "spend": now,
        "half": c["half"],
        "top": c["top"],
        "marginal": float(c["marginal"]) * ltv,
        "marginal_low": float(ends[0]),
        "marginal_high": float(ends[1]),
        "average": ltv * float(c["roi"]),
        "used": now / (now + c["half"]),
        "largest": float(c["largest"]),
        "error": _off(check.predicted, check.actual),
        "naive": _off(series["signups"].to_numpy(float)[-2 * check.actual.size : -check.actual.size], check.actual),
    }


def _off(guess: np.ndarray, actual: np.ndarray) -> float:
    """Total absolute error over the total: days without a sign-up have no relative error of their own."""
    return float(np.abs(guess - actual).sum() / actual.sum()) if actual.sum() else np.nan


def _worth(fit: ResponseFit, value: float) -> HillResponse:
    c = fit.channels.iloc[0]
    return HillResponse(float(c["top"]) * value, float(c["half"]))


def _series(days: pd.DataFrame, left_out: pd.DataFrame | None) -> Iterator[tuple[str, pd.DataFrame]]:
    table = days.assign(day=pd.to_datetime(days["day"]), cost=days["cost"].astype(float))
    for channel, rows in table.groupby("channel"):
        rows = rows[rows["cost"].notna()].set_index("day").sort_index()
        if left_out is not None:
            rows = rows[~rows.index.isin(left_out.loc[left_out["channel"] == channel, "day"])]
        if len(rows) >= _FEWEST_DAYS and (rows["kind"] == "paid").any() and (rows["cost"] > 0).sum() >= _FEWEST_DAYS:
            yield str(channel), rows


def split(found: ChannelResponses, *, beyond: float = 1.0) -> tuple[AllocationRisk, pd.DataFrame]:
    """The best split of today's daily money over the paid channels, its interval, and the cost of being wrong.

    `beyond` bounds each channel by so many times the largest spend that it had on a day; further out a curve is a guess.
    The table has a row per channel: channel, current, best, best_low, best_high (money per day).
    """
    now = found.table["spend"].to_numpy(float)
    upper = np.maximum(found.table["largest"].to_numpy(float) * beyond, now)
    risk = allocation_risk(found.curves, found.draws, now, upper=upper, alpha=0.05)
    table = risk.channels.rename(columns={"low": "best_low", "high": "best_high"}).round(2)
    return risk, table.assign(channel=found.table["channel"].to_numpy())


def incremental(days: pd.DataFrame, *, left_out: pd.DataFrame | None = None) -> pd.DataFrame:
    """Whether sign-ups that a channel books are extra, as far as its spend varied from day to day.

    One row per paid channel. Columns: channel, own (booked sign-ups per 1,000 of money), extra, extra_low, extra_high
    (sign-ups of all channels together per 1,000), cv (how much its spend varies within a month, relative).

    Definition: least squares of daily sign-ups on every paid channel's spend, months and weekdays held fixed; `own` has
    the channel's sign-ups as outcome, `extra` all sign-ups. Where `extra` is surely below `own`, the channel books users
    who would have come anyway.
    Error: Newey-West with a week's lags, the intervals hold for all channels together (Bonferroni). Spend that follows demand looks like its effect; only a switch-off shows cause.

    Raises
    ------
    TooLittleError  if fewer than eight weeks have spend on every paid channel.
    """
    import statsmodels.api as sm

    paid = sorted(days.loc[(days["kind"] == "paid") & (days["cost"] > 0), "channel"].unique())
    table = days.assign(day=pd.to_datetime(days["day"]))
    spend = table[table["channel"].isin(paid)].pivot_table(index="day", columns="channel", values="cost").dropna()
    if left_out is not None:
        spend = spend[~spend.index.isin(left_out["day"])]
    if len(spend) < _FEWEST_DAYS or not paid:
        raise TooLittleError(
            say(
                zh="估计增量要求 {least} 天每个付费渠道都有花费，现有 {has} 天",
                en="incrementality needs {least} days with spend on every paid channel, has {has}",
                least=_FEWEST_DAYS,
                has=len(spend),
            )
        )
    signups = table.pivot_table(index="day", columns="channel", values="signups", aggfunc="sum").reindex(spend.index)
    signups = signups.fillna(0.0)
    month = pd.get_dummies(spend.index.to_period("M").astype(str), dtype=float).set_index(spend.index)
    rhythm = pd.get_dummies(spend.index.dayofweek, dtype=float).iloc[:, 1:].set_index(spend.index)
    x = pd.concat([spend.astype(float) / 1000, month, rhythm], axis=1)
    x.columns = [str(c) for c in x.columns]

    def fit(y: pd.Series):
        return sm.OLS(y, x).fit(cov_type="HAC", cov_kwds={"maxlags": 7})

    whole = fit(signups.sum(axis=1))
    half = stats.norm.isf(0.025 / len(paid)) * whole.bse
    inside = spend - spend.groupby(spend.index.to_period("M")).transform("mean")
    rows = [
        {
            "channel": c,
            "own": float(fit(signups[c]).params[c]) if c in signups else 0.0,
            "extra": float(whole.params[c]),
            "extra_low": float(whole.params[c] - half[c]),
            "extra_high": float(whole.params[c] + half[c]),
            "cv": float(inside[c].std() / spend[c].mean()),
        }
        for c in paid
    ]
    return pd.DataFrame(rows)
