"""What customers will bring on top of what they brought, with the error that the same forecast made before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from opslib.errors import OpsError, TooLittleError
from opslib.models.bgnbd import BgNbd, fit_bgnbd
from opslib.models.clv import HoldOut, hold_out
from opslib.models.gamma_gamma import GammaGamma, fit_gamma_gamma
from opslib.models.moments import divided
from opslib.text import say

FEWEST_REPEATERS = 30
_REFITTED = 20_000  # customers from which the parameters' own error is nothing beside the spread over users


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
    draws: int = 40,
    seed: int = 0,
) -> Projection:
    """Value per sign-up so far and in the next `weeks`, by channel.

    `customers` are those of today, `held_out` the same table ended `check_weeks` earlier with what came `later`
    (`metrics.value.customers`).

    Definition: BG/NBD with Gamma-Gamma, fitted on all channels' customers together, foretells the purchases of each
    customer from the own history; margin, discounted to today by the year from the middle of the span. Users who have
    not bought yet are foretold nothing, so young channels are understated.
    Error: bootstrap over customers (Poisson weights), both models fitted anew in each draw up to 20,000 customers,
    widened by the relative error of the hold-out. The hold-out is a fit on the past alone.

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
    customers = customers.sort_values(["channel", "x", "t_x", "age", "value", "m"], ignore_index=True)  # the same draws
    past = fit_bgnbd(held_out["x"], held_out["t_x"], held_out["age"])
    check = hold_out(
        past, x=held_out["x"], t_x=held_out["t_x"], age=held_out["age"], actual=held_out["later"], length=check_weeks
    )
    scale = margin / (1 + yearly_discount) ** (weeks / 52.18 / 2)
    purchases, spend = _models(customers, None)
    future = scale * _worth(purchases, spend, customers, weeks)
    rng, totals = np.random.default_rng(seed), []
    code, names = pd.factorize(customers["channel"])
    so_far = margin * customers["value"].to_numpy(float)
    for _ in range(draws):
        weight = rng.poisson(1.0, len(customers)).astype(float)
        more = future
        if len(customers) <= _REFITTED:
            try:
                more = scale * _worth(*_models(customers, weight), customers, weeks)
            except (OpsError, TooLittleError):
                continue
        totals.append(np.bincount(code, weight * (so_far + more), minlength=len(names)))
    spread = pd.Series(np.std(totals, axis=0, ddof=1) if len(totals) > 1 else np.nan, names)
    sums = pd.Series(np.bincount(code, future, minlength=len(names)), names)
    return Projection(purchases, spend, check, _by_channel(economics, sums, spread, check.error))


def _models(customers: pd.DataFrame, weight: np.ndarray | None) -> tuple[BgNbd, GammaGamma]:
    kept = np.ones(len(customers), bool) if weight is None else weight > 0
    c, w = customers[kept], None if weight is None else weight[kept]
    paid = ((c["x"] > 0) & (c["m"] > 0)).to_numpy()
    spend = fit_gamma_gamma(c["x"][paid], c["m"][paid], weights=None if w is None else w[paid])
    if weight is not None and spend.q <= 1:
        raise OpsError("projection: a draw whose purchases have no mean", "draw again")
    return fit_bgnbd(c["x"], c["t_x"], c["age"], weights=w), spend


def _worth(purchases: BgNbd, spend: GammaGamma, customers: pd.DataFrame, weeks: float) -> np.ndarray:
    """Each customer's expected value in the next weeks, before margin and discount."""
    more = purchases.expected_more(weeks, customers["x"], customers["t_x"], customers["age"])
    return np.asarray(more) * np.asarray(spend.expected(customers["x"], customers["m"].fillna(0)))


def _by_channel(economics: pd.DataFrame, sums: pd.Series, spread: pd.Series, error: float) -> pd.DataFrame:
    table = economics.set_index("channel")[["signups", "ltv", "ltv_se"]]
    n = table["signups"].astype(float)
    future = pd.Series(divided(sums.reindex(n.index, fill_value=0.0), n), n.index)
    sampling = pd.Series(divided(spread.reindex(n.index), n), n.index).where(table["ltv_se"].notna())
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
