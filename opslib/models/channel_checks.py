"""What is wrong between money and users: spellings that miss each other, tracking breaks, days of odd spend."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from itertools import combinations

import numpy as np
import pandas as pd

from opslib.models.channels import dispersion

_ALIKE = 0.85  # share of letters in common from which two spellings may be one channel
_SURE = 0.01  # chance of one false alarm over all channels and days


def spellings(cost: Iterable[str], users: Iterable[str]) -> pd.DataFrame:
    """Pairs of channel names that may be one channel.

    One row per pair. `cost` are the names that money is booked on, `users` those that users carry.

    Columns
    -------
    channel, other : string
    alike : string  same: they differ only in case, width, spaces or signs; near: in a few letters

    Definition: `near` is said only of names of which at least one misses on one side, and not when they differ in a
    digit (feed_1, feed_2).
    """
    paid, seen = set(map(str, cost)), set(map(str, users))
    both, found = paid & seen, []
    for a, b in combinations(sorted(paid | seen), 2):
        x, y = _folded(a), _folded(b)
        if x == y:
            found.append((a, b, "same"))
        elif not {a, b} <= both and _digits(x) == _digits(y) and SequenceMatcher(None, x, y).ratio() >= _ALIKE:
            found.append((a, b, "near"))
    return pd.DataFrame(found, columns=["channel", "other", "alike"])


def unmatched(days: pd.DataFrame) -> pd.DataFrame:
    """Channels with money and no user, or with users and no money, in the whole period.

    One row per such channel. `days` as `metrics.spend.channel_days` gives them. Columns: channel, lacks (users or
    cost), cost (blank where none was booked), signups.
    """
    sums = days.groupby("channel").agg(cost=("cost", lambda c: c.sum(min_count=1)), signups=("signups", "sum"))
    lacks = np.where((sums["cost"] > 0) & (sums["signups"] == 0), "users", np.where(sums["cost"].isna(), "cost", ""))
    return sums.assign(lacks=lacks)[lacks != ""].reset_index()[["channel", "lacks", "cost", "signups"]]


def tracking_breaks(days: pd.DataFrame) -> pd.DataFrame:
    """Runs of days with spend and without a single sign-up, where sign-ups were to be expected.

    One row per run. Columns: channel, start, end, days, cost, expected (sign-ups missing), p.

    Definition: expected are the channel's own sign-ups per unit of money over all its other days, times the run's
    money. A run is named when no sign-up at all is less likely than 1 % over all channels and days together.
    Error: negative binomial with the channel's own variation from day to day (events bring their users in bursts); a
    channel that never had a sign-up expects none and stands in `unmatched`.
    """
    found = [run for channel, rows in _series(days) for run in _runs(channel, rows)]
    table = pd.DataFrame(found, columns=["channel", "start", "end", "days", "cost", "expected", "p"])
    return table[table["p"] < _SURE / max(len(days), 1)].reset_index(drop=True)


def _runs(channel: str, rows: pd.DataFrame) -> list[tuple]:
    dry = (rows["cost"] > 0) & (rows["signups"] == 0)
    found = []
    for _, run in rows[dry].groupby((dry != dry.shift()).cumsum()[dry]):
        rest, cost = rows.drop(run.index), float(run["cost"].sum())
        expected = cost * rest["signups"].sum() / max(rest["cost"].sum(), 1e-12)
        phi = dispersion(rest["cost"], rest["signups"])
        chance = float(np.exp(-expected * (np.log(phi) / (phi - 1) if phi > 1 else 1.0)))
        found.append((channel, run.index[0], run.index[-1], len(run), cost, expected, chance))
    return found


def odd_spend(days: pd.DataFrame) -> pd.DataFrame:
    """Days on which a channel's spend was far from what it spends around that day.

    One row per such day, the farthest first. Columns: channel, day, cost, usual (money on the days around it), times, z.

    Definition: the spend is at least twice, or at most half, the median of the five days before it and also that of the
    five days after it, on the same side; a new budget, which stays, differs from one of them only. `z` is the nearer of
    the two distances (of logarithms) in units of the channel's usual one (median absolute deviation, at least 10 %), and
    must reach six.
    """
    found = []
    for channel, rows in _series(days):
        spent = rows["cost"].where(rows["cost"] > 0).dropna()
        log = np.log(spent)
        before = log.shift(1).rolling(5, min_periods=3).median()
        after = log[::-1].shift(1).rolling(5, min_periods=3).median()[::-1]
        back, ahead = log - before, log - after
        off = np.sign(back) * np.minimum(back.abs(), ahead.abs()).where(np.sign(back) == np.sign(ahead), 0.0)
        z = off.abs() / max(1.4826 * float(off.abs().median()), 0.1)
        for day in log.index[(z >= 6) & (off.abs() >= np.log(2))]:
            usual = float(np.exp(log[day] - off[day]))
            found.append((channel, day, float(spent[day]), usual, float(spent[day] / usual), float(z[day])))
    table = pd.DataFrame(found, columns=["channel", "day", "cost", "usual", "times", "z"])
    return table.sort_values("z", ascending=False).reset_index(drop=True)


def doubtful(breaks: pd.DataFrame, odd: pd.DataFrame) -> pd.DataFrame:
    """The (channel, day) of `tracking_breaks` and `odd_spend`, whose cost and sign-ups do not belong together."""
    runs = [(b["channel"], day) for b in breaks.to_dict("records") for day in pd.date_range(b["start"], b["end"])]
    return pd.DataFrame([*runs, *zip(odd["channel"], odd["day"], strict=True)], columns=["channel", "day"])


def missing_spend(days: pd.DataFrame) -> pd.DataFrame:
    """Paid channels' days without a row of spend, between their first and last one: unknown, not 0.

    One row per channel that has such days. Columns: channel, days, signups.
    """
    found = []
    for channel, rows in _series(days):
        gap = rows.asfreq("D")
        lost = gap["cost"].isna()
        if (rows["kind"] == "paid").any() and lost.any():
            found.append((channel, int(lost.sum()), int(gap.loc[lost, "signups"].sum())))
    return pd.DataFrame(found, columns=["channel", "days", "signups"])


def _series(days: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each channel with money: its days from the first to the last one with a row of spend."""
    table = days.assign(day=pd.to_datetime(days["day"]), cost=days["cost"].astype(float))
    for channel, rows in table.groupby("channel"):
        booked = rows.loc[rows["cost"].notna(), "day"]
        if len(booked) and rows["cost"].sum() > 0:
            inside = rows[rows["day"].between(booked.min(), booked.max())]
            yield str(channel), inside.set_index("day").sort_index()


def _folded(name: str) -> str:
    """Without case, width, spaces and signs."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


def _digits(name: str) -> str:
    return "".join(re.findall(r"\d", name))
