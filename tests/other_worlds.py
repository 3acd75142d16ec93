"""Worlds with causes of other kinds than `diagnosis_worlds`: crossed segments, single days, hundreds of values, few users, noise.

Each is a population of day × dimensions, from which two periods of new users are drawn and counted as `metrics.newcomers`
counts them, with the week-to-week dispersion that the notebook would measure on the days of the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pandas as pd
from diagnosis_worlds import BACK, RATES, SHARES, STEPS

from opslib.models import kpi_days

DAYS, POOLED = 28, 100  # of a period; values of a dimension beyond which the metric pools them
WEEK = np.array([1, 0.95, 0.93, 0.97, 1.05, 1.25, 1.2])
CHANNELS, PLATFORMS = SHARES["channel"], SHARES["platform"]
LEAST_SHARE = 0.02  # of a value in which something is planted


@dataclass(frozen=True)
class Kind:
    """What sets these worlds apart: their size and noise, and how a cause is drawn."""

    what: str
    users: int = 12_000
    least: float = 0.02  # what a cause must move the whole by to be planted
    causes: int = 3  # at most
    noise: float = 0.0  # of channels and of all users from day to day
    factor: tuple[float, float] = (0.4, 0.7)
    growth: tuple[float, ...] = (2.5,)  # of a share
    kinds: tuple[str, ...] = ("rate", "step", "mix")
    dimensions: dict[str, dict[str, float]] = field(default_factory=lambda: SHARES)


def _many(letter: str, n: int) -> dict[str, float]:
    weights = 1 / np.arange(1, n + 1) ** 0.9
    return {f"{letter}{i}": float(w) for i, w in enumerate(weights / weights.sum())}


KINDS = {
    "mix": Kind("a channel grows or nearly vanishes", causes=1, kinds=("mix",), growth=(2.2, 3.5, 5.0, 0.3, 0.1)),
    "small": Kind(
        "1,500 users a period", users=1500, least=0.07, causes=2, factor=(0.1, 0.45), growth=(5.0,)
    ),
    "outage": Kind(
        "three to five bad days, for everybody or for a value", causes=1, kinds=("rate", "step"), factor=(0.0, 0.3)
    ),
    "uneven": Kind("periods of 14 and 28 days"),
    "noisy": Kind("channels that vary from day to day by 15 %", noise=0.15),
    "crossed": Kind(
        "a channel on one platform only", least=0.015, causes=2, kinds=("rate", "step"), factor=(0.1, 0.5)
    ),
    "midway": Kind("causes that begin on a day within the period", factor=(0.1, 0.5), growth=(5.0,)),
    "rise": Kind("rates that rise", kinds=("rate",), factor=(1.25, 1.6)),
    "wide": Kind(
        "220 channels and 250 cities", least=0.012, factor=(0.05, 0.35),
        dimensions={"channel": _many("c", 220), "city": _many("t", 250), "platform": PLATFORMS},
    ),
}  # fmt: skip


@dataclass(frozen=True)
class World:
    """`cells` of both periods; what was `planted`, the largest first: kind, segment, step, size; `dispersion` of shares."""

    cells: pd.DataFrame
    planted: list[dict[str, Any]]
    dimensions: list[str]
    dispersion: float


def world(seed: int, name: str, causes: int) -> World:
    """The world of a seed among those of a kind."""
    kind, rng = KINDS[name], np.random.default_rng([seed, *name.encode()])
    lengths = {"uneven": tuple(rng.permutation([DAYS, DAYS // 2]))}.get(name, (DAYS, DAYS))
    people = [_people(kind, int(days), rng) for days in lengths]
    habits = {
        d: {v: (rng.normal(0, 0.2), rng.normal(0, 0.06)) for v in values} for d, values in kind.dimensions.items()
    }
    now, planted, sizes = people[1], [], np.zeros(0)
    for _ in range(500):
        if len(planted) == causes:
            break
        trial = [*planted, _drawn(name, kind, int(lengths[1]), rng)]
        if not _apart(trial, kind):
            continue
        moved = _sizes(now, habits, trial)
        if np.abs(moved).min() >= kind.least:
            planted, sizes = trial, moved
    told = [cause | {"size": float(size)} for cause, size in zip(planted, sizes, strict=True)]
    sides = [
        _counted(side, habits, active, round(kind.users * days / DAYS), rng).assign(period=period)
        for side, active, days, period in zip(people, ([], planted), lengths, ("previous", "current"), strict=True)
    ]
    days = sides[0].groupby(["day", "channel"], as_index=False)["users"].sum().rename(columns={"channel": "value"})
    days["day"] = pd.Timestamp("2026-03-02") + pd.to_timedelta(days["day"], "D")
    dispersion = kpi_days.dispersion(days, (days["day"].min(), days["day"].max()))
    cells = _pooled(pd.concat(sides, ignore_index=True), list(kind.dimensions))
    return World(cells, sorted(told, key=lambda c: -abs(c["size"])), list(kind.dimensions), dispersion)


def _people(kind: Kind, days: int, rng: np.random.Generator) -> pd.DataFrame:
    """Every day and combination of values, with its share of the users; of wide worlds the days do not differ."""
    days = 1 if len(kind.dimensions) > 2 else days
    values = [range(days), *kind.dimensions.values()]
    frame = pd.MultiIndex.from_product(values, names=["day", *kind.dimensions]).to_frame(index=False)
    frame = frame.astype(dict.fromkeys(kind.dimensions, "category"))  # a wide world has 165,000 combinations
    each = WEEK[np.arange(days) % 7] * np.exp(rng.normal(0, kind.noise, days))
    own = pd.DataFrame(np.exp(rng.normal(0, kind.noise, (days, len(kind.dimensions["channel"])))))
    own.columns = list(kind.dimensions["channel"])
    share = np.prod([frame[d].map(shares).to_numpy(float) for d, shares in kind.dimensions.items()], axis=0)
    if kind.noise:
        share = share * own.stack().reindex(pd.MultiIndex.from_frame(frame[["day", "channel"]])).to_numpy()
    share = share / pd.Series(share).groupby(frame["day"]).transform("sum").to_numpy() * each[frame["day"]]
    return frame.assign(share=share / share.sum())


def _drawn(name: str, kind: Kind, days: int, rng: np.random.Generator) -> dict[str, Any]:
    """A cause: its kind, segment, days and what it multiplies."""
    own = str(rng.choice(kind.kinds))
    of = "channel" if own == "mix" else str(rng.choice(list(kind.dimensions)))
    names = {"crossed": ["channel", "platform"], "outage": [of] * int(rng.integers(2))}.get(name, [of])
    large = {d: [v for v, share in kind.dimensions[d].items() if share >= LEAST_SHARE] for d in names}
    first, last = 0, days
    if name == "midway":
        first = int(rng.integers(days // 4, days * 3 // 4))
    if name == "outage":
        first = int(rng.integers(3, days - 8))
        last = first + int(rng.integers(3, 6))
    return {
        "kind": own, "segment": {d: str(rng.choice(large[d])) for d in names}, "from": first, "to": last,
        "factor": float(rng.choice(kind.growth) if own == "mix" else rng.uniform(*kind.factor)),
        "step": str(rng.choice(STEPS[1:])) if own == "step" else "",
    }  # fmt: skip


def _apart(planted: list[dict[str, Any]], kind: Kind) -> bool:
    """Whether the last cause can be told from the others: no part of one another, one shift, never every value."""
    *others, new = planted
    own = set(new["segment"].items())
    for other in others:
        theirs = set(other["segment"].items())
        if own <= theirs or theirs <= own or new["kind"] == other["kind"] == "mix":
            return False
    alike = [p for p in others if set(p["segment"]) == set(new["segment"])]
    values = [len(kind.dimensions[d]) for d in new["segment"]]
    return len(values) != 1 or len(alike) < values[0] - 1


def _inside(people: pd.DataFrame, cause: dict[str, Any]) -> np.ndarray:
    members = people["day"].between(cause["from"], cause["to"] - 1).to_numpy()
    for d, value in cause["segment"].items():
        members = members & (people[d] == value).to_numpy()
    return members


def _chances(people: pd.DataFrame, habits: dict, causes: list[dict[str, Any]]) -> tuple[np.ndarray, ...]:
    """Each cell's share, the chance to stop at each step, and to come back from there."""
    stay, entry = (
        sum(people[d].map({v: h[i] for v, h in habits[d].items()}).to_numpy(float) for d in habits) for i in (0, 1)
    )
    times = {"stay": np.exp(stay), "open": np.ones(len(people))}
    times |= {step: np.clip(RATES[step] * np.exp(entry / 2), 0, 0.98) for step in STEPS[1:]}
    share = people["share"].to_numpy()
    for cause in causes:
        factor = np.where(_inside(people, cause), cause["factor"], 1)
        if cause["kind"] == "mix":
            share = share * factor
            daily = pd.Series(share).groupby(people["day"]).transform("sum").to_numpy()
            share = share * people.groupby("day")["share"].transform("sum").to_numpy() / daily
        else:
            own = cause["step"] or "stay"
            times[own] = times[own] * factor
    reach = np.cumprod(np.column_stack([np.ones(len(share)), *(times[s] for s in STEPS)]), axis=1)
    stop = reach - np.column_stack([reach[:, 1:], np.zeros(len(reach))])
    return share, stop, np.clip(times["stay"][:, None] * BACK, 0, 0.95)


def _sizes(people: pd.DataFrame, habits: dict, causes: list[dict[str, Any]]) -> np.ndarray:
    """Each cause's mean effect over all orders in which the causes can happen (Shapley)."""
    n = len(causes)
    value = {}
    for some in (set(s) for k in range(n + 1) for s in combinations(range(n), k)):
        share, stop, back = _chances(people, habits, [causes[i] for i in sorted(some)])
        value[frozenset(some)] = float(share @ (stop * back).sum(axis=1))
    sizes = np.zeros(n)
    for some, without in value.items():
        weight = factorial(len(some)) * factorial(n - len(some) - 1) / factorial(n) if len(some) < n else 0
        for own in set(range(n)) - some:
            sizes[own] += weight * (value[some | {own}] - without)
    return sizes


def _counted(people: pd.DataFrame, habits: dict, causes: list, users: int, rng: np.random.Generator) -> pd.DataFrame:
    """Users drawn from the population, counted by cell and step reached."""
    share, stop, back = _chances(people, habits, causes)
    chance = share[:, None] * stop
    counts = rng.multinomial(users, (chance / chance.sum()).ravel()).reshape(chance.shape)
    returned = rng.binomial(counts, back)
    parts = []
    for k in range(counts.shape[1]):
        some = counts[:, k] > 0
        labels = people.loc[some].drop(columns="share").astype(dict.fromkeys(habits, str))
        parts.append(labels.assign(reached=k, users=counts[some, k], returned=returned[some, k]))
    return pd.concat(parts)


def _pooled(rows: pd.DataFrame, dimensions: list[str]) -> pd.DataFrame:
    """Cells of both periods; of a dimension with many values those beyond the most frequent are one."""
    for d in dimensions:
        totals = rows.groupby(d)["users"].sum().sort_values(ascending=False)
        if len(totals) > POOLED:
            rows = rows.assign(**{d: rows[d].where(rows[d].isin(totals.index[: POOLED - 1]), "Other")})
    return rows.groupby(["period", *dimensions, "reached"], as_index=False)[["users", "returned"]].sum()
