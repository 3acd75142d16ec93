"""How a referral spreads: generations of the invitation tree, K by generation, and the time that a cycle takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from opslib.errors import TooLittleError
from opslib.models.ltv import Range
from opslib.text import say


def generations(users: pd.DataFrame, *, user: str = "user_id", inviter: str = "inviter_id") -> pd.DataFrame:
    """Each user's place in the invitation tree.

    One row per user of `users` (one row per user there).

    Columns
    -------
    <user>     : as given
    generation : Int64  0 for users whom nobody in `users` invited, 1 for their invitees, …; missing inside a circle
    root       : as <user>   the user of generation 0 at the top; missing inside a circle
    invitees   : int    users whom this one invited, directly

    Definition: an inviter who is not in `users`, or is the user, counts as none; users who invited each other in a
    circle (broken data) have no generation.
    """
    index = pd.Index(users[user])
    n = len(index)
    parent = index.get_indexer(users[inviter]) if n else np.empty(0, int)
    parent = np.where(parent == np.arange(n), -1, parent)
    jump, steps = np.where(parent >= 0, parent, np.arange(n)), (parent >= 0).astype(int)
    for _ in range(max(n, 2).bit_length()):  # pointer doubling: after k rounds, 2^k steps up the tree
        steps = steps + steps[jump]
        jump = jump[jump]
    circle = parent[jump] >= 0
    invitees = np.bincount(parent[parent >= 0], minlength=n)
    return pd.DataFrame(
        {
            user: index,
            "generation": pd.Series(steps).where(~circle).astype("Int64"),
            "root": pd.Series(index[jump]).where(~circle),
            "invitees": invitees,
        }
    )


def k_factor(accepted: pd.Series, *, alpha: float = 0.05) -> Range:
    """Accepted invitations per user within a full cycle, with interval.

    `accepted` has a number for every user who had a full cycle to invite, also the many zeros; users whose cycle has
    not passed must be left out by the caller, they would lower K for no reason.

    Error: Student's t over users; inviters differ widely, so it needs hundreds of them.

    Raises
    ------
    TooLittleError  if fewer than two users had a full cycle.
    """
    x = accepted.to_numpy(float)
    if x.size < 2:
        raise TooLittleError(
            say(
                zh="计算 K 因子至少要 2 名用户走完一个邀请周期，现有 {n} 名",
                en="K needs two users with a full cycle, has {n}",
                n=x.size,
            )
        )
    mean, half = x.mean(), stats.t.isf(alpha / 2, x.size - 1) * x.std(ddof=1) / np.sqrt(x.size)
    return Range(float(mean), float(max(mean - half, 0.0)), float(mean + half))


def k_by_generation(
    users: pd.DataFrame,
    *,
    end: Any,
    cycle_days: float,
    user: str = "user_id",
    inviter: str = "inviter_id",
    joined: str,
) -> pd.DataFrame:
    """K of each generation, over the users who had a full cycle before `end`.

    One row per generation.

    Columns
    -------
    generation : int
    users      : int    with a full cycle observed
    accepted   : int    invitees who joined within `cycle_days` of their inviter
    k, low, high : float   accepted / users; blank bounds under two users
    cycle      : float  median days from the inviter's joining to the invitee's
    """
    tree = generations(users, user=user, inviter=inviter)
    at = pd.to_datetime(users[joined])
    by_user = pd.Series(at.to_numpy(), users[user])
    since = (at - users[inviter].map(by_user).to_numpy()).dt.total_seconds().to_numpy() / 86_400
    in_time = (since >= 0) & (since <= cycle_days)
    accepted = users[inviter].where(in_time).value_counts()
    full = (at <= pd.Timestamp(end) - pd.Timedelta(days=cycle_days)).to_numpy() & tree.generation.notna().to_numpy()
    table = tree.assign(accepted=users[user].map(accepted).fillna(0).to_numpy())[full]
    days = pd.Series(np.where(since >= 0, since, np.nan)).groupby(users[inviter].to_numpy()).median()
    rows = []
    for generation, part in table.groupby("generation"):
        k = k_factor(part.accepted) if len(part) > 1 else Range(float(part.accepted.mean()), np.nan, np.nan)
        cycle = float(part[user].map(days).median())
        rows.append((generation, len(part), int(part.accepted.sum()), k.value, k.low, k.high, cycle))
    return pd.DataFrame(rows, columns=["generation", "users", "accepted", "k", "low", "high", "cycle"])


def trees(users: pd.DataFrame, *, user: str = "user_id", inviter: str = "inviter_id") -> pd.DataFrame:
    """The invitation trees, the largest first: one row per user of generation 0 who invited somebody.

    Columns
    -------
    root    : as <user>  the user at the top
    invited : int  users below the root, directly or through others
    direct  : int  of them those whom the root invited
    depth   : int  the last generation
    """
    below = generations(users, user=user, inviter=inviter).query("generation > 0")
    found = below.groupby("root").generation.agg(
        invited="size", direct=lambda g: int((g == 1).sum()), depth="max"
    )  # a circle has no root and is in no tree
    return (
        found.reset_index()
        .astype({"depth": int})
        .sort_values(["invited", "root"], ascending=[False, True], ignore_index=True)
    )
