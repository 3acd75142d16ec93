"""Small worlds with planted causes of a change, as the cells that `metrics.newcomers` would count in them."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd

from opslib.models.holidays import WORKDAY, holidays
from opslib.models.kpi_watch import Series

SHARES = {
    "channel": {"seo": 0.28, "ads": 0.2, "push": 0.1, "word": 0.25, "creator": 0.12, "campus": 0.05},
    "platform": {"ios": 0.4, "android": 0.45, "web": 0.15},
}
DIMENSIONS = list(SHARES)
STEPS = ["open", "register", "activate"]
RATES = {"open": 1.0, "register": 0.8, "activate": 0.7}
BACK = np.array([0.0, 0.1, 0.25, 0.55])  # chance to come back by steps reached


def world(seed: int, causes: int, users: int = 12_000) -> tuple[pd.DataFrame, list[dict]]:
    """The cells of two periods and what was planted between them, the largest first: kind, segment, step, size."""
    rng = np.random.default_rng(seed)
    frame = pd.MultiIndex.from_product(list(SHARES.values()), names=DIMENSIONS).to_frame(index=False)
    share = np.prod([frame[d].map(SHARES[d]).to_numpy(float) for d in DIMENSIONS], axis=0)
    share = share * np.exp(rng.normal(0, 0.2, len(share)))
    share /= share.sum()
    stay = np.exp(sum(frame[d].map({v: rng.normal(0, 0.25) for v in SHARES[d]}).to_numpy(float) for d in DIMENSIONS))
    before = {"share": share, "stay": stay, **{s: np.full(len(share), r) for s, r in RATES.items()}}
    after = {k: v.copy() for k, v in before.items()}
    planted: list[dict] = []
    while len(planted) < causes:
        cause = _drawn(rng)
        inside = (frame[cause["dimension"]] == cause["value"]).to_numpy()
        if any(p["dimension"] == cause["dimension"] and p["value"] == cause["value"] for p in planted):
            continue
        if sum(p["dimension"] == cause["dimension"] for p in planted) >= len(SHARES[cause["dimension"]]) - 1:
            continue  # when every value falls it is everybody who falls
        if cause["kind"] == "mix" and any(p["kind"] == "mix" for p in planted):
            continue
        trial = {k: v.copy() for k, v in after.items()}
        _apply(trial, inside, cause)
        size = _retention(trial) - _retention(after)
        if abs(size) < 0.02:
            continue  # what moves the whole by less than two points is no cause worth a name
        planted.append(cause | {"inside": inside})
        after = trial
    _sized(before, planted)
    sides = [_counted(rng, frame, side, users, name) for side, name in ((before, "previous"), (after, "current"))]
    return pd.concat(sides, ignore_index=True), sorted(planted, key=lambda p: -abs(p["size"]))


def _sized(before: dict[str, np.ndarray], planted: list[dict]) -> None:
    """Each cause's mean effect over all orders in which the causes can happen (Shapley)."""
    orders = list(permutations(planted))
    for cause in planted:
        cause["size"] = 0.0
    for order in orders:
        side = {k: v.copy() for k, v in before.items()}
        for cause in order:
            base = _retention(side)
            _apply(side, cause["inside"], cause)
            cause["size"] += (_retention(side) - base) / len(orders)


def _drawn(rng: np.random.Generator) -> dict:
    kind = str(rng.choice(["mix", "rate", "step"]))
    dimension = "channel" if kind == "mix" else str(rng.choice(DIMENSIONS))
    return {
        "kind": kind, "dimension": dimension, "value": str(rng.choice(list(SHARES[dimension]))),
        "step": str(rng.choice(STEPS[1:])) if kind == "step" else "", "factor": float(rng.uniform(0.45, 0.75)),
    }  # fmt: skip


def _apply(side: dict[str, np.ndarray], inside: np.ndarray, cause: dict) -> None:
    if cause["kind"] == "mix":
        side["share"] = np.where(inside, 2.5 * side["share"], side["share"])
        side["share"] = side["share"] / side["share"].sum()
    else:
        name = cause["step"] or "stay"
        side[name] = np.where(inside, cause["factor"] * side[name], side[name])


def _stopped(side: dict[str, np.ndarray]) -> np.ndarray:
    """Cells × steps reached: the chance to have stopped there."""
    reach = np.cumprod(np.column_stack([np.ones(len(side["share"])), *(side[s] for s in STEPS)]), axis=1)
    return reach - np.column_stack([reach[:, 1:], np.zeros(len(reach))])


def _back(side: dict[str, np.ndarray]) -> np.ndarray:
    return np.clip(side["stay"][:, None] * BACK, 0, 0.95)


def _retention(side: dict[str, np.ndarray]) -> float:
    return float(side["share"] @ (_stopped(side) * _back(side)).sum(axis=1))


def _counted(rng, frame: pd.DataFrame, side: dict[str, np.ndarray], users: int, period: str) -> pd.DataFrame:
    chance = side["share"][:, None] * _stopped(side)
    counts = rng.multinomial(users, (chance / chance.sum()).ravel()).reshape(chance.shape)
    returned = rng.binomial(counts, _back(side))
    rows = [
        frame.assign(period=period, reached=k, users=counts[:, k], returned=returned[:, k])
        for k in range(counts.shape[1])
    ]
    return pd.concat(rows)[lambda t: t["users"] > 0]


def daily_world(seed: int, *, moved: str = "", size: float = 0.2, day: int = 130, days: int = 146) -> list[Series]:
    """Eight daily numbers that only fluctuate: weekdays, growth, days that remember the day before, and chance.

    From `day` on the number `moved` is lower by `size` of its level; the days begin on 2026-01-01.
    """
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2026-01-01", periods=days)
    worked = (holidays(dates) == WORKDAY).to_numpy()  # a weekend that is worked is a weekday
    week = np.array([1, 0.98, 0.97, 0.99, 1.05, 1.2, 1.15])[np.where(worked, 0, dates.dayofweek)]
    growth = np.exp(rng.normal(0, 0.001) * np.arange(days))

    def remembered(sd: float, memory: float = 0.3) -> np.ndarray:
        noise = rng.normal(0, sd, days + 20)
        for i in range(1, days + 20):
            noise[i] += memory * noise[i - 1]
        return np.exp(noise[20:])

    def fallen(kpi: str) -> np.ndarray:
        return np.where((np.arange(days) >= day) & (kpi == moved), 1 - size, 1.0)

    new = rng.poisson(400 * week * growth * remembered(0.03) * fallen("new_users"))
    active = rng.poisson(3000 * week**0.5 * growth * remembered(0.02) * fallen("active"))
    orders = rng.poisson(120 * week * growth * remembered(0.03))
    money = np.array([rng.gamma(2.0, 40.0, n).sum() for n in orders]) * fallen("revenue")
    found = [
        Series("active", "users", pd.DataFrame({"day": dates, "value": active.astype(float)})),
        Series("new_users", "users", pd.DataFrame({"day": dates, "value": new.astype(float)})),
        Series("revenue", "money", pd.DataFrame({"day": dates, "value": money})),
    ]
    reached, steps = new, []
    for kpi, rate in (("step.register", 0.8), ("step.verify", 0.85), ("step.activate", 0.7)):
        hits = rng.binomial(reached, np.clip(rate * fallen(kpi) * remembered(0.01), 0, 1))
        steps.append(Series(kpi, "rate", pd.DataFrame({"day": dates, "value": hits / reached, "n": reached})))
        reached = hits
    back = rng.binomial(new, np.clip(0.35 * fallen("retention") * remembered(0.02), 0, 1))
    rates = {"retention": back, "conversion": reached}
    found += [Series(k, "rate", pd.DataFrame({"day": dates, "value": v / new, "n": new})) for k, v in rates.items()]
    return found + steps
