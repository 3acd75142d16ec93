"""Rings that farm rewards: accounts that are connected, act together, and are empty otherwise.

No signal is a verdict: families share a phone, a campus shares an address, a flash sale is a burst, and newcomers are
idle. An account is listed only when all three families of signals agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from opslib.errors import TooLittleError, capital
from opslib.text import say

LISTED = 0.6  # score from which an account is put up for review
SIGNALS = ("shared_device", "shared_ip", "invited_together", "burst", "regular", "idle", "reward_only")


@dataclass(frozen=True)
class Rules:
    """What counts as connected, together, and empty.

    `window_minutes` is how close in time claims of one ring are, `hub_users` from how many users on an address may be a
    place (a campus, a carrier) instead of a ring, `ring` the smallest ring, `full` the size from which the
    connection alone counts fully.
    """

    window_minutes: float = 60.0
    hub_users: int = 10
    ring: int = 3
    full: int = 5


def abuse_scores(
    claims: pd.DataFrame,
    *,
    user: str = "user",
    device: str = "device",
    ip: str = "ip",
    minute: str = "t_min",
    later: str | None = "later_events",
    rewards: str | None = None,
    inviter: str | None = None,
    rules: Rules = Rules(),
) -> pd.DataFrame:
    """How much each account looks like part of a ring, with reasons.

    One row per account, highest score first. `claims` has a row per claim: `minute` is its time in minutes, `later` the
    account's events after its claims that have nothing to do with the reward, `rewards` (optional) the share of all
    its events that are claims of rewards, `inviter` (optional) who invited it.

    Columns
    -------
    <user>      : as given
    score       : float  0–1; `LISTED` (.6) and above is for review
    ring        : Int64  number of its ring, largest first; missing outside rings
    ring_size   : int    accounts in the ring, 1 for none
    connected   : float  0–1; 0 below `rules.ring` accounts, 1 from `rules.full`
    together    : float  0–1; the larger of: share of the ring's other accounts whose claims lie within the window,
                         and how evenly the ring's claims are spaced
    empty       : float  0–1; the larger of: how far the activity of account and ring falls short of the usual, and the
                         excess share of rewards
    reasons     : str    codes of the signals that apply, from `SIGNALS`, joined by `;`

    Definition: two accounts are connected when they share a device, or claimed within the window of each other from one
    address that is not a place, or within it by one inviter. An address is a place when `hub_users` users or more
    claimed from it over a time (between quartiles) longer than the window. A ring is a connected component. The
    score is the geometric mean of `connected`, `together` and `empty`, so one that is missing makes it 0.
    Error: none stated; it is a rule, not a probability. Rings that neither share a device nor an address stay
    unseen, and so do members of a ring behind a place who use phones of their own.

    Raises
    ------
    ValueError      if a column is missing.
    TooLittleError  if neither `later` nor `rewards` is given: without them nobody can be told from an eager honest
    user.
    """
    needed = [user, device, ip, minute, *(c for c in (later, rewards, inviter) if c)]
    absent = [c for c in needed if c not in claims]
    if absent:
        raise ValueError(f"abuse_scores: no column {', '.join(absent)}")
    if later is None and rewards is None:
        raise TooLittleError(
            say(
                zh="判断薅羊毛要有领奖之后的活跃或奖励占比，只凭账号之间的关联不够",
                en="spotting abuse needs later activity or the share of rewards, connections alone are not enough",
            )
        )
    code, users = pd.factorize(claims[user])
    time = claims[minute].to_numpy(float)
    links, signals = _links(claims, code, time, device, ip, inviter, rules)
    n = len(users)
    graph = sparse.coo_array((np.ones(links.shape[1], bool), links), shape=(n, n))
    ring = connected_components(graph, directed=False)[1]
    size = np.bincount(ring)[ring]
    near, even = _together(code, time, ring, size, rules)
    idle, only = _empty(claims, code, ring, size, n, later, rewards)
    signals |= {"burst": near >= 0.5, "regular": even >= 0.5, "idle": idle >= 0.5, "reward_only": only >= 0.5}
    connected = np.clip((size - rules.ring + 1) / (rules.full - rules.ring + 1), 0, 1)
    together, empty = np.maximum(near, even), np.maximum(idle, only)
    numbers = pd.Series(ring).where(size >= rules.ring)
    order = numbers.value_counts().index
    table = pd.DataFrame(
        {
            user: users,
            "score": np.cbrt(connected * together * empty),
            "ring": numbers.map(pd.Series(np.arange(1, len(order) + 1), order)).astype("Int64"),
            "ring_size": np.where(size >= rules.ring, size, 1),
            "connected": connected,
            "together": together,
            "empty": empty,
            "reasons": _reasons(signals),
        }
    )
    return table.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def _links(
    claims: pd.DataFrame, code: np.ndarray, time: np.ndarray, device: str, ip: str, inviter: str | None, rules: Rules
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Pairs of connected accounts, and which accounts share what."""
    place = _places(claims[ip], code, time, rules)
    found = {
        "shared_device": _pairs(claims[device], code, time, np.inf),
        "shared_ip": _pairs(claims[ip].where(~place), code, time, rules.window_minutes),
        "invited_together": _pairs(claims[inviter], code, time, rules.window_minutes)
        if inviter
        else np.empty((2, 0), int),
    }
    n = int(code.max()) + 1
    signals = {name: np.bincount(pairs.ravel(), minlength=n) > 0 for name, pairs in found.items()}
    return np.concatenate(list(found.values()), axis=1), signals


def _places(address: pd.Series, code: np.ndarray, time: np.ndarray, rules: Rules) -> np.ndarray:
    """Whether each claim came from an address of many users who did not come at once."""
    by = pd.DataFrame({"address": address.to_numpy(), "user": code, "time": time}).groupby("address")
    users = by.user.nunique()
    spread = by.time.quantile(0.75) - by.time.quantile(0.25)
    places = users.index[(users >= rules.hub_users) & (spread > rules.window_minutes)]
    return address.isin(places).to_numpy()


def _pairs(shared: pd.Series, code: np.ndarray, time: np.ndarray, window: float) -> np.ndarray:
    """Neighbours in time that share a value and claimed within the window; chains of them make the component."""
    key = pd.factorize(shared)[0]
    order = np.lexsort((time, key))
    order = order[key[order] >= 0]
    a, b = order[:-1], order[1:]
    keep = (key[a] == key[b]) & (time[b] - time[a] <= window) & (code[a] != code[b])
    return np.stack([code[a[keep]], code[b[keep]]])


def _together(
    code: np.ndarray, time: np.ndarray, ring: np.ndarray, size: np.ndarray, rules: Rules
) -> tuple[np.ndarray, np.ndarray]:
    """Per account: share of its ring that claimed within the window of it, and evenness of the ring's claims."""
    first = np.full(ring.size, np.inf)
    np.minimum.at(first, code, time)
    near, even = np.zeros(ring.size), np.zeros(ring.size)
    order = np.lexsort((first, ring))
    order = order[size[order] >= rules.ring]
    for members in np.split(order, np.flatnonzero(np.diff(ring[order])) + 1) if order.size else []:
        t = first[members]
        within = np.searchsorted(t, t + rules.window_minutes, "right") - np.searchsorted(t, t - rules.window_minutes)
        near[members] = (within - 1) / (members.size - 1)
        gaps = np.diff(t)
        if gaps.size >= 4 and gaps.mean() > 0:  # a clock is even; people's gaps have a spread like their mean
            even[members] = np.clip(1 - 2 * gaps.std() / gaps.mean(), 0, 1)
    return near, even


def _empty(
    claims: pd.DataFrame,
    code: np.ndarray,
    ring: np.ndarray,
    size: np.ndarray,
    n: int,
    later: str | None,
    rewards: str | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Per account: how idle it and its ring are against the usual, and the excess share of rewards."""

    def per_user(name: str) -> np.ndarray:
        return claims[name].fillna(0).groupby(code).max().reindex(range(n)).to_numpy(float)

    idle, only = np.zeros(n), np.zeros(n)
    if later is not None:
        active = per_user(later)
        usual = float(np.median(active))
        group = np.bincount(ring, active)[ring] / size
        if usual > 0:
            idle = np.clip(1 - np.maximum(active, group) / usual, 0, 1)
    if rewards is not None:
        share = per_user(rewards)
        usual = float(np.median(share))
        if usual < 1:
            only = np.clip((share - usual) / (1 - usual), 0, 1)
    return idle, only


def explained(reasons: str) -> str:
    """The codes of `abuse_scores` as phrases in the language in use: all of them fit into a cell of a table."""
    phrases = {
        "shared_device": say(zh="与其他账号共用设备", en="same device"),
        "shared_ip": say(zh="与其他账号在短时间内用同一 IP 领取", en="same address at once"),
        "invited_together": say(zh="与其他账号在短时间内由同一人邀请", en="same inviter at once"),
        "burst": say(zh="同团伙账号集中领取", en="burst of claims"),
        "regular": say(zh="领取间隔过于均匀", en="even intervals"),
        "idle": say(zh="领取后几乎没有活动", en="idle afterwards"),
        "reward_only": say(zh="几乎只有领奖行为", en="mostly claims"),
    }
    return capital(say(zh="；", en="; ").join(phrases[code] for code in reasons.split(";") if code))


def _reasons(signals: dict[str, np.ndarray]) -> list[str]:
    table = np.stack([signals[s] for s in SIGNALS], axis=1)
    return [";".join(np.array(SIGNALS)[row]) for row in table]
