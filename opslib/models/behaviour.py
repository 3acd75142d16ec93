"""What users do as shares: of tastes, of times of day, of kinds of action; what sets a group apart is named by them.

How often users come is left to states and RFM: mixed in, it would split every group into frequent and rare. A query
gives its rows in any order and samples are drawn by place, so users are put in order of their ids first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.models.personas import Personas, personas
from opslib.models.profiles import discriminating, typical
from opslib.text import say

TIMES = ("morning", "daytime", "evening", "night")
MIX = ("reads", "finished", "social", "buying", "tasks", "other")
SHRUNK = 4  # a share of few actions is drawn to everybody's, as if this many more had been seen
APART = 0.5  # standardised difference from which a trait names a group
SMALLEST = 20
RECENT = 28  # days: whom one could still talk to


@dataclass(frozen=True)
class Behaviour:
    """`shares` (users × traits; each block sums to 1) and `roots`, their square roots, on which distances are Hellinger's.

    `raw` are the shares as counted, blank where there is nothing to share.
    """

    shares: pd.DataFrame
    roots: pd.DataFrame
    raw: pd.DataFrame


def behaviour(profiles: pd.DataFrame, tastes: pd.DataFrame, *, least_days: int = 5, categories: int = 15) -> Behaviour:
    """Shares of every user seen often enough to have a behaviour.

    `profiles` as `metrics.segments.profile` (indexed by user_id), `tastes` one row per (user_id, category) with n.

    Definition: users with at least `least_days` active days; blocks taste (the `categories` most read), time of day and
    kind of action; a block in which only one trait occurs is left out. Shares are shrunk: (n + 4 · overall share) /
    (total + 4), so that two readings do not make a taste.

    Raises
    ------
    TooLittleError  with too few such users, or nothing in which they differ.
    """
    known = profiles[profiles["active_days"] >= least_days].sort_index()
    if len(known) < SMALLEST:
        raise TooLittleError(
            say(
                zh="人群画像需要至少 {need} 位活跃 {days} 天以上的用户，现有 {n} 位",
                en="personas need {need} users with {days} active days, has {n}",
                need=SMALLEST,
                days=least_days,
                n=len(known),
            )
        )
    times = known[["morning", "evening", "night"]].assign(
        daytime=known["seen"] - known[["morning", "evening", "night"]].sum(axis=1)
    )
    mix = known[list(MIX[:-1])].assign(other=known["actions"] - known[list(MIX[:-1])].sum(axis=1))
    top = tastes.groupby("category")["n"].sum().nlargest(categories).index
    wide = tastes[tastes["category"].isin(top)].pivot_table(
        index="user_id", columns="category", values="n", aggfunc="sum", observed=True
    )
    blocks = {"taste": wide.reindex(known.index).fillna(0.0), "time": times[list(TIMES)], "mix": mix[list(MIX)]}
    varied = {name: block.loc[:, block.sum() > 0] for name, block in blocks.items() if (block.sum() > 0).sum() > 1}
    if not varied:
        raise TooLittleError(
            say(
                zh="用户在内容口味、时段与行为种类上没有差别，无从分群",
                en="personas need something in which users differ: tastes, times of day or kinds of action",
            )
        )
    shares = pd.concat([_shares(block, name, SHRUNK) for name, block in varied.items()], axis=1)
    raw = pd.concat([_shares(block, name, 0) for name, block in varied.items()], axis=1)
    return Behaviour(shares, np.sqrt(shares), raw)


def _shares(block: pd.DataFrame, name: str, more: float) -> pd.DataFrame:
    counts = block.astype(float).clip(lower=0)
    prior = counts.sum() / counts.to_numpy().sum()
    total = counts.sum(axis=1) + more
    shares = (counts + more * prior).div(total.where(total > 0), axis=0)
    return shares.add_prefix(f"{name}:")


def found(behaviour: Behaviour, *, seed: int = 0) -> Personas:
    """Personas on the roots (see `models.personas`).

    Raises
    ------
    TooLittleError  when no grouping holds: none is invented.
    """
    groups = personas(behaviour.roots.to_numpy(), ks=range(2, 8), seed=seed)
    if groups.k < 2:
        raise TooLittleError(
            say(
                zh="行为没有分成稳定的人群：{n} 人是一个连续体，不硬分",
                en="behaviour does not fall into groups that hold: {n} users are a continuum, none is invented",
                n=len(behaviour.roots),
            )
        )
    return groups


def cuts(active: pd.Series, often: int = 0, rarely: int = 0) -> tuple[int, int]:
    """Active days from which a user is frequent and up to which rare; 0 takes the top and the bottom fifth of the active.

    Raises
    ------
    TooLittleError  where the two do not lie apart.
    """
    here = active[active > 0]
    high = often or (int(np.ceil(here.quantile(0.8))) if len(here) else 0)
    low = rarely or (int(here.quantile(0.2)) if len(here) else 0)
    if not 0 < low < high:
        raise TooLittleError(
            say(
                zh="活跃天数没有拉开，分不出高频与低频用户",
                en="active days do not differ enough to tell frequent users from rare ones",
            )
        )
    return high, low


def traits(shares: pd.DataFrame, labels: np.ndarray, *, most: int = 3) -> pd.DataFrame:
    """What each group does more than the rest, most telling first.

    One row per (group, trait), at most `most` of a group.

    Columns
    -------
    group : int
    trait : str    block:name
    mean, rest : float  the group's and the others' mean share
    smd   : float  standardised mean difference

    Definition: traits with a difference above 0.5; a group without one keeps its largest, so that it has a name.
    """
    rows = []
    for group in np.unique(labels):
        table = discriminating(shares, labels == group)
        more = table[table["smd"] > 0].sort_values("smd", ascending=False, kind="stable")
        kept = more[more["smd"] >= APART].head(most)
        rows.append((kept if len(kept) else more.head(1)).assign(group=int(group)))
    table = pd.concat(rows, ignore_index=True).rename(columns={"feature": "trait"})
    return table[["group", "trait", "mean", "rest", "smd"]]


def sizes(profiles: pd.DataFrame, labels: pd.Series) -> pd.DataFrame:
    """How large, how often there and of what value each group is.

    One row per group: group, users, share, active_28 (mean), days_away (median), payers, spent (mean per user),
    tenure_days (median), channel (the one over-represented most, blank where none is beyond chance: 3 standard errors).
    """
    labels = labels.sort_index()
    frame = profiles.loc[labels.index].assign(group=labels.to_numpy())
    by = frame.groupby("group")
    table = pd.DataFrame(
        {
            "users": by.size(),
            "share": by.size() / len(frame),
            "active_28": by["active_28"].mean(),
            "days_away": by["days_away"].median(),
            "payers": by["orders"].agg(lambda n: int((n > 0).sum())),
            "spent": by["spent"].mean(),
            "tenure_days": by["tenure_days"].median(),
        }
    )
    cross = pd.crosstab(frame["group"], frame["channel"], normalize="index")
    expected = np.outer(by.size(), frame["channel"].value_counts(normalize=True)[cross.columns])
    excess = (cross.mul(by.size(), axis=0) - expected) / np.sqrt(expected)
    table["channel"] = excess.idxmax(axis=1).where(excess.max(axis=1) >= 3)
    return table.reset_index()


def faces(behaviour: Behaviour, labels: np.ndarray, profiles: pd.DataFrame, n: int = 3) -> pd.DataFrame:
    """The `n` users nearest to the middle of each group among those seen in the last 28 days.

    One row per user: group, user_id, active_28, tenure_days, orders, spent.
    """
    seen = np.flatnonzero(profiles["days_away"].reindex(behaviour.shares.index).to_numpy() < RECENT)
    picked = typical(behaviour.roots.to_numpy()[seen], labels[seen], n)
    rows = [(group, behaviour.shares.index[seen[at]]) for group, places in picked.items() for at in places]
    table = pd.DataFrame(rows, columns=["group", "user_id"])
    columns = ["active_28", "tenure_days", "orders", "spent"]
    return table.join(profiles[columns], on="user_id")


def needs_groups(kinds: pd.Series) -> None:
    """Stop a part of a report that speaks of groups where there are none.

    Raises
    ------
    TooLittleError  with fewer than two groups.
    """
    if kinds.nunique() < 2:
        raise TooLittleError(
            say(
                zh="没有稳定的人群，无从比较",
                en="behaviour does not fall into groups that hold, so there is nobody to compare",
            )
        )


def apart(shares: pd.DataFrame, labels: np.ndarray, traits: pd.DataFrame) -> pd.DataFrame:
    """How far each group lies from the rest in every trait that names one of them: group, trait, smd."""
    kept = list(dict.fromkeys(traits["trait"]))
    tables = [discriminating(shares[kept], labels == group).assign(group=int(group)) for group in np.unique(labels)]
    both = pd.concat(tables).rename(columns={"feature": "trait"})
    both["trait"] = pd.Categorical(both["trait"], kept)
    return both.sort_values(["group", "trait"]).astype({"trait": str})[["group", "trait", "smd"]]


def compared(
    values: pd.DataFrame,
    attributes: pd.DataFrame,
    acts: Behaviour | None,
    *,
    often: int,
    rarely: int,
    least: float,
) -> pd.DataFrame:
    """Frequent and rare users (column `frequent`) with what they are compared in: nothing that is frequency itself.

    Definition: frequent is active on at least `often` of 28 days, rare on 1 to `rarely`; users known for less than 28 days
    could not have been and are left out. Attributes known of less than `least` of the users are left out, and so is what
    is the same for everybody. Shares are known of users with a behaviour only (see `behaviour`).
    """
    values = values[values["tenure_days"] >= 28].sort_index()
    shares = acts.raw.reindex(values.index) if acts else pd.DataFrame(index=values.index)
    known = attributes.set_index("user_id").reindex(values.index)
    kept = [c for c in known if known[c].notna().mean() >= least]
    days = values["active_days"]
    table = values.assign(per_day=values["actions"] / days, spent_per_day=values["spent"] / days)
    table = table[["per_day", "spent_per_day", "tenure_days", "channel", "platform"]].join(shares).join(known[kept])
    frequent = pd.Series(None, index=values.index, dtype="object")
    frequent[values["active_28"].between(1, rarely)] = False
    frequent[values["active_28"] >= often] = True
    table = table.assign(frequent=frequent).dropna(subset="frequent")
    return table.loc[:, (table.nunique() > 1) | (table.columns == "frequent")]
