"""Which of the numbers a team watches moved: since when, by how much, and on which days they were out of what was expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from opslib.errors import TooLittleError
from opslib.models.anomaly import bands
from opslib.models.changepoint import ChangePoint, change_point
from opslib.models.holidays import holiday_name, holidays

SURE = 0.01  # for all numbers together
DRAWS = 2000  # so many that a p corrected for a dozen numbers can be that small
LEAST_Z = 4.0
# What is left of a fit is narrower than the noise, and its robust scale is itself uncertain: measured on generated worlds.
WIDER = {"rate": 1.25, "users": 1.5, "money": 1.5}
STEP = "step."
LEVELS = ["kpi", "kind", "days", "before", "after", "change", "low", "high", "since", "since_low", "since_high"]
LEVELS += ["p", "p_adjusted", "off", "moved"]
ODD = ["kpi", "kind", "day", "value", "expected", "low", "high", "z", "off", "holiday"]


@dataclass(frozen=True)
class Series:
    """A daily number: `kind` users, rate or money; `days` with day and value, and n (users a rate is of)."""

    kpi: str
    kind: str
    days: pd.DataFrame


@dataclass(frozen=True)
class Watched:
    """What was seen of all series.

    `levels`: one row per number, those that moved first, the largest first: levels before and after at an average weekday,
    change with low and high, day with its interval, p and p_adjusted (the one number asked for by itself, the others by Holm), off
    (users, or money, more or fewer than at the old level and its trend over the days since; of active users user-days), moved.
    `odd`: days outside their band, the largest `off` first, users before money. `bands`: every day of every number, as
    `anomaly.bands`, with `kpi`, `users` and `off`. `judged`, `unjudged`: days of a number within the span that have a band to
    compare with, and those that have none (holidays without another like them, days without users). `left_out`: numbers with
    too few days for a band, `untested`: with too few for a level. `asked`: the number asked for.
    """

    levels: pd.DataFrame
    odd: pd.DataFrame
    bands: pd.DataFrame
    turns: dict[str, ChangePoint]
    left_out: list[str]
    untested: list[str]
    judged: int
    unjudged: int
    asked: str

    def of(self, kpi: str) -> pd.DataFrame:
        """The bands of one number."""
        return self.bands[self.bands["kpi"] == kpi].reset_index(drop=True)

    def turn(self, kpi: str) -> ChangePoint | None:
        """The day on which a number changed its level; None where it did not, by the same rule as `levels`."""
        rows = self.levels[self.levels["kpi"] == kpi]
        return self.turns[kpi] if len(rows) and bool(rows["moved"].iloc[0]) else None


def series_of(
    new: pd.DataFrame, active: pd.DataFrame, paid: pd.DataFrame, steps: Sequence[str], *, until: Any
) -> list[Series]:
    """Active users, new users, each step's rate, conversion, retention, and revenue where there are orders.

    `new` as `metrics.newcomer_steps`; `active` as `metrics.active_users` of one day; `paid` as `metrics.revenue` by day. New users'
    days after `until` are left out: their windows are not over.
    """
    new = new[pd.to_datetime(new["day"]) <= pd.Timestamp(until)]
    came = pd.DataFrame(
        {f"r{k}": new["users"].where(new["reached"] >= k, 0) for k in range(len(steps) + 1)}
        | {"day": pd.to_datetime(new["day"]), "returned": new["returned"]}
    )
    came = came.groupby("day").sum()
    if len(came):  # to the end: that nobody came any more is a number, too
        came = came.reindex(pd.date_range(came.index.min(), pd.Timestamp(until), name="day"), fill_value=0)
    found = [
        Series("active", "users", _plain(active["end"], active["users"])),
        Series("new_users", "users", _plain(came.index, came["r0"])),
        Series("retention", "rate", _rate(came, "returned", "r0")),
        Series("conversion", "rate", _rate(came, f"r{len(steps)}", "r1")),
    ]
    found += [Series(STEP + step, "rate", _rate(came, f"r{k}", f"r{k - 1}")) for k, step in enumerate(steps[1:], 2)]
    if len(paid) and paid["orders"].sum():
        found.append(Series("revenue", "money", _plain(paid["start"], paid["total"])))
    return found if len(steps) > 2 else [s for s in found if not s.kpi.startswith(STEP)]


def _plain(day: Any, value: Any) -> pd.DataFrame:
    return pd.DataFrame({"day": pd.to_datetime(day), "value": np.asarray(value, dtype=float)})


def _rate(came: pd.DataFrame, hits: str, of: str) -> pd.DataFrame:
    n = came[of].to_numpy(float)
    value = np.divide(came[hits].to_numpy(float), n, out=np.full(len(n), np.nan), where=n > 0)
    return pd.DataFrame({"day": came.index, "value": value, "n": n})


def watch(
    series: Sequence[Series],
    span: tuple[Any, Any],
    *,
    asked: str = "",
    own: Mapping[Any, str] | None = None,
    alpha: float = SURE,
    seed: int = 0,
) -> Watched:
    """Look for a change of level and for odd days within the span, in every series at once; earlier days teach what is usual.

    Definition: levels by `changepoint.change_point` on the ordinary days of the span (no holiday of China, no working weekend,
    none of the team's `own` days), weekdays taken out; of users and money a straight trend too, which growth is. The number
    `asked` for by name is judged by its own p, which no look at the others chose; the others by Holm; a number moved where
    that is at most `alpha`. Bands by `anomaly.bands` with the noise that counting alone
    makes as the least; the threshold is that which a normal day passes
    with the chance `alpha` in all days of all series together, at least 4, and a quarter wider for rates, half for users and money.
    `off` of a rate is in users: the difference times the users it is of.
    Error: on 100 worlds of eight numbers that only fluctuate, at least 95 are silent; see the tests.
    Source: Andrews 1993; Cleveland et al. 1990; Holm 1979.
    """
    judged = sum(len(s.days) for s in series)
    threshold = max(LEAST_Z, -float(special.ndtri(alpha / 2 / max(judged, 1))))
    rows, parts, turns, left_out, untested = [], [], {}, [], []
    for one in series:
        try:
            table = _bands(one, threshold * WIDER[one.kind], own)
        except TooLittleError:
            left_out.append(one.kpi)
            continue
        parts.append(table)
        try:
            turns[one.kpi] = point = _turn(one, table, span, seed)
        except TooLittleError:
            untested.append(one.kpi)
            continue
        rows.append(_level(one, table, point, span))
    levels = pd.DataFrame(rows, columns=[c for c in LEVELS if c not in ("p_adjusted", "moved")])
    p, others = levels["p"].to_numpy(float), (levels["kpi"] != asked).to_numpy()
    levels["p_adjusted"] = p
    levels.loc[others, "p_adjusted"] = _holm(p[others])
    levels["moved"] = levels["p_adjusted"] <= alpha
    every = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*ODD, "anomaly", "users"])
    inside = every[every["day"].between(pd.Timestamp(span[0]), pd.Timestamp(span[1]))]
    odd = _ranked(inside[inside["anomaly"].astype(bool)])[ODD]
    judged = int(inside["z"].notna().sum()) if len(inside) else 0
    levels = _ranked(levels, "moved")[LEVELS]
    return Watched(levels, odd, every, turns, left_out, untested, judged, len(inside) - judged, asked)


def _bands(one: Series, threshold: float, own: Mapping[Any, str] | None) -> pd.DataFrame:
    series = pd.Series(one.days["value"].to_numpy(float), index=pd.DatetimeIndex(one.days["day"])).asfreq("D")
    calendar = holidays(series.index, own).fillna("")
    users = np.full(len(series), np.nan)
    noise: Any = "poisson" if one.kind == "users" else None
    if one.kind == "rate":
        users = (
            pd.Series(one.days["n"].to_numpy(float), index=pd.DatetimeIndex(one.days["day"]))
            .reindex(series.index)
            .to_numpy()
        )
        known = series.notna().to_numpy()
        p = float(np.clip(np.average(series[known], weights=users[known]), 0, 1)) if users[known].sum() else 0.0
        p = (p * users[known].sum() + 1) / (users[known].sum() + 2)  # a rate of 0 or 1 has noise too
        noise = np.sqrt(p * (1 - p) / np.maximum(users, 1))
    table = bands(series, threshold=threshold, noise=noise, calendar=calendar)
    if one.kind == "rate":
        table = table.assign(low=table["low"].clip(0, 1), high=table["high"].clip(0, 1))
    else:
        table = table.assign(low=table["low"].clip(lower=0))
    off = table["size"].to_numpy() * (users if one.kind == "rate" else 1.0)
    names = [holiday_name(h) if h else "" for h in table["holiday"]]
    plain = (table["holiday"] == "").to_numpy()
    return table.assign(kpi=one.kpi, kind=one.kind, users=users, off=off, holiday=names, plain=plain)


def _turn(one: Series, table: pd.DataFrame, span: tuple[Any, Any], seed: int) -> ChangePoint:
    inside = table[table["day"].between(pd.Timestamp(span[0]), pd.Timestamp(span[1]))]
    series = pd.Series(inside["value"].where(inside["plain"]).to_numpy(float), index=pd.DatetimeIndex(inside["day"]))
    return change_point(series, trend=one.kind != "rate", draws=DRAWS, seed=seed)


def _level(one: Series, table: pd.DataFrame, point: ChangePoint, span: tuple[Any, Any]) -> dict[str, Any]:
    since = table["day"].between(pd.Timestamp(point.day), pd.Timestamp(span[1])) & table["value"].notna()
    times = float(table.loc[since, "users"].sum()) if one.kind == "rate" else float(since.sum())
    return {
        "kpi": one.kpi, "kind": one.kind, "days": int(table["value"].notna().sum()), "before": point.before, "after": point.after,
        "change": point.change, "low": point.low, "high": point.high, "since": point.day, "since_low": point.low_day,
        "since_high": point.high_day, "p": point.p, "off": point.change * times,
    }  # fmt: skip


def _holm(p: np.ndarray) -> np.ndarray:
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    found = np.empty(len(p))
    found[order] = np.minimum(steps, 1)
    return found


def _ranked(table: pd.DataFrame, first: str = "") -> pd.DataFrame:
    """The largest first; users before money, which are not the same; rows that are `first` before the others."""
    keys = {"_first": ~table[first].astype(bool) if first else False, "_money": table["kind"] == "money"}
    ordered = table.assign(**keys, _size=-table["off"].astype(float).abs())
    return ordered.sort_values(["_first", "_money", "_size"], kind="stable", ignore_index=True)
