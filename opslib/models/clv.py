"""Lifetime value of customers who buy when they like: histories from orders, value over a horizon, hold-out check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from opslib.errors import TooLittleError
from opslib.models.bgnbd import BgNbd
from opslib.models.gamma_gamma import GammaGamma
from opslib.models.moments import Number, plain
from opslib.text import say

DAYS = {"day": 1.0, "week": 7.0, "month": 365.25 / 12}


def customer_history(
    orders: pd.DataFrame,
    *,
    end: Any,
    unit: str = "week",
    user: str = "user_id",
    day: str = "paid_day",
    amount: str = "amount",
    refunded: str | None = "refunded",
) -> pd.DataFrame:
    """What the purchase models need to know of each customer.

    One row per customer with an order up to `end`, by customer. `orders` has a row per order.

    Columns
    -------
    <user> : as given
    x      : int    repeat purchases: days with an order, less the first one
    t_x    : float  time from the first to the last purchase, in `unit`
    age    : float  time from the first purchase to `end`, in `unit`
    m      : float  mean value of a repeat purchase, net of refunds; blank when x = 0

    Definition: orders of one day are one purchase; the first purchase counts neither in x nor in m; orders after
    `end` are for the hold-out.
    Source: Fader, Hardie, Lee (2005); Fader, Hardie (2013).

    Raises
    ------
    ValueError      if a refund exceeds its order, an amount is negative, or the unit is unknown.
    TooLittleError  if there is no order up to `end`.
    """
    if unit not in DAYS:
        raise ValueError(f"customer_history: unit must be one of {', '.join(DAYS)}, got {unit!r}")
    days, last = pd.to_datetime(orders[day]).dt.normalize(), pd.Timestamp(end).normalize()
    value = orders[amount].to_numpy(float)
    if refunded is not None and refunded in orders:
        value = value - orders[refunded].fillna(0).to_numpy(float)
    if (value < 0).any():
        at = int(np.flatnonzero(value < 0)[0])
        raise ValueError(f"customer_history: row {at} has {value[at]:.2f} left after refunds; mend the order")
    seen = (days <= last).to_numpy()
    if not seen.any():
        raise TooLittleError(say(zh="截至 {day} 没有订单", en="no order up to {day}", day=str(last.date())))
    kept = pd.DataFrame({user: orders[user], "day": days, "value": value})[seen]
    bought = kept.groupby([user, "day"], sort=True).value.sum().reset_index()
    by = bought.groupby(user, sort=False)
    table = by.agg(first=("day", "min"), last=("day", "max"), purchases=("day", "size"), total=("value", "sum"))
    x, per = table.purchases - 1, DAYS[unit]
    repeats = table.total - by.value.first()
    return pd.DataFrame(
        {
            "x": x,
            "t_x": (table["last"] - table["first"]).dt.days / per,
            "age": (last - table["first"]).dt.days / per,
            "m": repeats / x.where(x > 0),
        }
    ).reset_index()


def customer_value(
    purchases: BgNbd,
    spend: GammaGamma,
    *,
    x: ArrayLike,
    t_x: ArrayLike,
    age: ArrayLike,
    m: ArrayLike,
    periods: int = 12,
    length: float = 1.0,
    margin: float = 1.0,
    discount: float = 0.0,
) -> Number:
    """Value that each customer will bring over the next periods.

    `length` is a period in the unit of time of `age` (a month of weekly data is 4.345), `discount` is per period.

    Definition: Σ over k of (purchases expected in period k) × mean purchase × margin / (1 + discount)^k; the value of a
    period comes at its end.
    Error: a point forecast; resample customers (`bootstrap`) for an interval. It assumes that frequency and value are
    unrelated (`GammaGamma.correlation`).

    Raises
    ------
    ValueError  if there is no period, or its length is not positive.
    """
    if periods < 1 or length <= 0 or discount < 0:
        raise ValueError(
            f"customer_value: periods >= 1, length > 0, discount >= 0; got {periods}, {length}, {discount}"
        )
    before, total = np.zeros(np.shape(x)), np.zeros(np.shape(x))
    for k in range(1, periods + 1):
        upto = np.asarray(purchases.expected_more(k * length, x, t_x, age))
        total += (upto - before) / (1 + discount) ** k
        before = upto
    return plain(margin * total * spend.expected(x, m))


@dataclass(frozen=True)
class HoldOut:
    """A forecast against what came: totals, their relative errors, and the mean absolute error per customer.

    `naive` lets every customer go on at the rate of the past.
    """

    actual: float
    predicted: float
    error: float
    per_customer: float
    naive: float
    naive_error: float
    naive_per_customer: float


def hold_out(
    purchases: BgNbd, *, x: ArrayLike, t_x: ArrayLike, age: ArrayLike, actual: ArrayLike, length: float
) -> HoldOut:
    """How well the purchases of the `length` after the fit were foretold; `actual` counts them per customer."""
    seen, x, age = (np.asarray(v, float) for v in (actual, x, age))
    if not seen.sum():
        raise TooLittleError(
            say(
                zh="留作检验的时段内没有人购买，无法计算预测误差",
                en="nobody bought in the period held out: the projection has no error to compute",
            )
        )
    guess = np.asarray(purchases.expected_more(length, x, t_x, age))
    rate = np.divide(x, age, out=np.zeros_like(x), where=age > 0) * length
    return HoldOut(
        float(seen.sum()),
        float(guess.sum()),
        float(guess.sum() / seen.sum() - 1),
        float(np.abs(guess - seen).mean()),
        float(rate.sum()),
        float(rate.sum() / seen.sum() - 1),
        float(np.abs(rate - seen).mean()),
    )
