"""What customers will bring on top of what they brought, with the error that the same forecast made before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from opslib.errors import TooLittleError
from opslib.models.bgnbd import BgNbd, fit_bgnbd
from opslib.models.clv import HoldOut, hold_out
from opslib.models.gamma_gamma import GammaGamma, fit_gamma_gamma
from opslib.models.moments import divided
from opslib.text import say

FEWEST_REPEATERS = 30


@dataclass(frozen=True)
class Projection:
    """The fitted models, the hold-out, and a row per channel: `future`, `projected`, `projected_low`, `projected_high`."""

    purchases: BgNbd
    spend: GammaGamma
    check: HoldOut
    channels: pd.DataFrame


def project(
    economics: pd.DataFrame,
    customers: pd.DataFrame,
    held_out: pd.DataFrame,
    *,
    weeks: float,
    check_weeks: float,
    margin: float = 1.0,
    yearly_discount: float = 0.1,
) -> Projection:
    """Value per sign-up so far and in the next `weeks`, by channel.

    `customers` are those of today, `held_out` the same table ended `check_weeks` earlier with what came `later`
    (`metrics.value.customers`).

    Definition: BG/NBD with Gamma-Gamma, fitted on all channels' customers together, foretells the purchases of each
    customer from the own history; margin, discounted to today by the year from the middle of the span. Users who have
    not bought yet are foretold nothing, so young channels are understated.
    Error: the spread over users, widened by the relative error of the hold-out. The hold-out is a fit on the past alone.

    Raises
    ------
    TooLittleError  if fewer than 30 customers bought again, now or before the hold-out.
    """
    for table in (held_out, customers):
        if (table["x"] > 0).sum() < FEWEST_REPEATERS:
            raise TooLittleError(
                say(
                    zh="预测至少要 {least} 名复购用户，现有 {has} 名",
                    en="a projection needs {least} customers who bought again, has {has}",
                    least=FEWEST_REPEATERS,
                    has=int((table["x"] > 0).sum()),
                )
            )
    past = fit_bgnbd(held_out["x"], held_out["t_x"], held_out["age"])
    check = hold_out(
        past, x=held_out["x"], t_x=held_out["t_x"], age=held_out["age"], actual=held_out["later"], length=check_weeks
    )
    purchases = fit_bgnbd(customers["x"], customers["t_x"], customers["age"])
    paid = customers[(customers["x"] > 0) & (customers["m"] > 0)]
    spend = fit_gamma_gamma(paid["x"], paid["m"])
    more = purchases.expected_more(weeks, customers["x"], customers["t_x"], customers["age"])
    worth = np.asarray(more) * np.asarray(spend.expected(customers["x"], customers["m"].fillna(0)))
    worth = worth * margin / (1 + yearly_discount) ** (weeks / 52.18 / 2)
    return Projection(purchases, spend, check, _by_channel(economics, customers, worth, check.error))


def _by_channel(economics: pd.DataFrame, customers: pd.DataFrame, worth: np.ndarray, error: float) -> pd.DataFrame:
    table = economics.set_index("channel")[["signups", "ltv", "ltv_se"]]
    by = pd.Series(worth).groupby(customers["channel"].to_numpy())
    n = table["signups"].astype(float)
    future = pd.Series(divided(by.sum().reindex(n.index).fillna(0.0), n), n.index)
    spread = pd.Series(divided(np.sqrt(by.apply(lambda w: (w**2).sum()).reindex(n.index).fillna(0.0)), n), n.index)
    # What a user brought and will bring go together, so their errors add up.
    sampling = table["ltv_se"] + spread
    half = stats.norm.isf(0.025) * sampling + abs(error) * future
    projected = table["ltv"] + future
    return pd.DataFrame(
        {
            "future": future,
            "projected": projected,
            "projected_low": (projected - half).clip(lower=table["ltv"] * 0),
            "projected_high": projected + half,
        }
    ).reset_index()
