"""Whom to reach: each user in one play, contact rules kept, a random part held out, and what the hold-out then shows."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError, UsageError
from opslib.models.plays import Plan, Play
from opslib.text import say

COUNTS = ("fits", "elsewhere", "quiet", "capped", "beyond", "listed", "contacted", "holdout")


@dataclass(frozen=True)
class Outreach:
    """`lists`: play → user_id, reason, priority (1 first), holdout. `audit`: one row per play, whom the rules left out."""

    lists: dict[str, pd.DataFrame]
    audit: pd.DataFrame


def outreach(people: pd.DataFrame, plan: Plan, contacts: pd.DataFrame, *, as_of: str) -> Outreach:
    """The lists of one report.

    Parameters
    ----------
    people : one row per user (index user_id) with the columns that the plays name
    contacts : one row per contact in the past: user_id, days_ago (0 is the day of the lists)
    as_of : ISO day of the lists, part of the draw

    Definition: a user who fits several plays is in the first of them that has not left them alone. Left alone is who was
    contacted less than `quiet_days` ago, or `cap_contacts` times within `cap_days`. The hold-out is drawn by a keyed hash
    of the user's id (key: seed, day and play): anybody can draw it again. Of equally urgent users the one with the
    lower id comes first, whatever the order of the rows.
    """
    people = people.sort_index()
    ids = people.index.astype(str)
    quiet, capped = _left_alone(people.index, plan, contacts)
    free = np.ones(len(people), dtype=bool)
    lists, audit = {}, []
    for play in plan.plays:
        fits = _fits(people, play)
        mine = fits & free & ~quiet & ~capped
        order = _urgency(people, play)[mine]
        chosen = np.flatnonzero(mine)[np.argsort(order, kind="stable")][: plan.most]
        free[chosen] = False
        held = draw(ids[chosen], plan, play.id, as_of)
        rows = people.iloc[chosen]
        lists[play.id] = pd.DataFrame(
            {
                "user_id": ids[chosen],
                "reason": _reasons(rows, play),
                "priority": np.arange(1, len(chosen) + 1),
                "holdout": held,
            }
        )
        # Each who fits is counted once: with another play, left alone, beyond the length of the list, or listed.
        taken = fits & ~free & ~np.isin(np.arange(len(people)), chosen)
        alone = fits & free
        counts = {
            "fits": fits.sum(),
            "elsewhere": taken.sum(),
            "quiet": (alone & quiet).sum(),
            "capped": (alone & ~quiet & capped).sum(),
            "beyond": mine.sum() - len(chosen),
            "listed": len(chosen),
            "contacted": (~held).sum(),
            "holdout": held.sum(),
        }
        audit.append({"play": play.id} | {k: int(v) for k, v in counts.items()})
    table = pd.DataFrame(audit).assign(
        as_of=as_of,
        goal_days=plan.goal_days,
        seed=plan.seed,
        holdout_share=plan.holdout,
        quiet_days=plan.quiet_days,
        cap=f"{plan.cap_contacts}/{plan.cap_days}",
        rule=[rule(play) for play in plan.plays],
    )
    return Outreach(lists, table)


def draw(ids: Any, plan: Plan, play: str, as_of: str) -> np.ndarray:
    """True for the users who are held out."""
    keyed = hashlib.sha256(f"{plan.seed}|{as_of}|{play}".encode()).hexdigest()[:16]
    hashed = pd.util.hash_array(np.asarray(ids, dtype=object), hash_key=keyed, categorize=False)
    return hashed < np.uint64(int(plan.holdout * 2**64))


def rule(play: Play) -> str:
    """The conditions as one line."""
    return "; ".join(f"{name} {_said(value)}" for name, value in play.who.items())


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{'>=' if k == 'min' else '<='} {v}" for k, v in value.items())
    return "in " + ", ".join(map(str, value)) if isinstance(value, list) else f"= {value}"


def _fits(people: pd.DataFrame, play: Play) -> np.ndarray:
    holds = np.ones(len(people), dtype=bool)
    for name, wanted in play.who.items():
        if name not in people.columns:
            raise UsageError(f"play {play.id!r}: this data has no {name!r}", "take the condition out of the play")
        column = people[name]
        if isinstance(wanted, Mapping):
            number = column.astype(float)
            holds &= (number >= wanted.get("min", -np.inf)).to_numpy() & (
                number <= wanted.get("max", np.inf)
            ).to_numpy()
        elif isinstance(wanted, list):
            holds &= column.isin(wanted).to_numpy()
        else:
            holds &= (column == wanted).to_numpy()
    return holds


def _urgency(people: pd.DataFrame, play: Play) -> np.ndarray:
    """Smaller is more urgent; who has no value comes last."""
    sign = 1.0 if play.urgent.startswith("-") else -1.0
    values = sign * people[play.urgent.removeprefix("-")].astype(float).to_numpy()
    return np.where(np.isnan(values), np.inf, values)


def _reasons(rows: pd.DataFrame, play: Play) -> list[str]:
    names = sorted({f for _, f, _, _ in string.Formatter().parse(play.reason) if f})
    if not names:
        return [play.reason] * len(rows)
    columns = [[int(v) if isinstance(v, float) and v.is_integer() else v for v in rows[n].tolist()] for n in names]
    return [play.reason.format(**dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True)]


def _left_alone(index: pd.Index, plan: Plan, contacts: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    if contacts.empty:
        return np.zeros(len(index), dtype=bool), np.zeros(len(index), dtype=bool)
    last = contacts.groupby("user_id")["days_ago"].min().reindex(index)
    often = contacts[contacts["days_ago"] < plan.cap_days].groupby("user_id").size().reindex(index).fillna(0)
    return (last < plan.quiet_days).to_numpy(), (often >= plan.cap_contacts).to_numpy()


def made(lists: pd.DataFrame | None) -> str:
    """The day of the earlier lists.

    Raises
    ------
    TooLittleError  without an earlier list.
    """
    if lists is None or lists.empty or not lists.attrs.get("end"):
        raise TooLittleError(_no_list())
    return str(lists.attrs["end"])


def expected(found: Outreach, plan: Plan, value: float, before: pd.DataFrame | None = None) -> pd.DataFrame:
    """What the lists should bring.

    One row per play with users.

    Columns
    -------
    play     : str    its id
    contacted, holdout : int
    lift, lift_low, lift_high : float  points of share by which contact raises the goal
    extra, low, high : float  users won by it = contacted × lift
    worth    : float  extra × `value`
    basis    : str    measured (the plan's assumption corrected by the last hold-out) or assumed (as the plan says)
    detectable : float  the smallest lift that this hold-out will see with 80 % power, at a share of one half; blank
                 where fewer than 10 are held out

    `value`: what a user won is worth. `before`: the table of `effects`.
    Error: measured lifts have the interval of their difference; assumed ones the bounds of the plan, which are an opinion.
    """
    rows = []
    counts = found.audit.set_index("play")
    for play in plan.plays:
        n, held = int(counts.at[play.id, "contacted"]), int(counts.at[play.id, "holdout"])
        if n + held == 0:
            continue
        low, lift, high, basis = *play.assumed, "assumed"
        if before is not None and play.id in set(before["play"]):
            row = before[before["play"] == play.id].iloc[0]
            if np.isfinite(row["diff"]):
                low, lift, high = _updated(play.assumed, (row["low"], row["diff"], row["high"]))
                basis = "measured"
        spread = 2.8 * np.sqrt(0.25 * (1 / n + 1 / held)) if min(n, held) >= 10 else np.nan
        rows.append(
            {"play": play.id, "contacted": n, "holdout": held}
            | {"lift": lift, "lift_low": low, "lift_high": high}
            | {"extra": n * lift, "low": n * low, "high": n * high, "worth": n * lift * value}
            | {"basis": basis, "detectable": spread}
        )
    if not rows:
        raise TooLittleError(
            say(
                zh="没有用户符合任何打法，或都在静默期内",
                en="no user fits any play, or all who do were contacted lately",
            )
        )
    return pd.DataFrame(rows)


def _no_list() -> str:
    return say(
        zh="还没有上一期的名单：这一期的效果在下一期报告中显示",
        en="no earlier list of this report: what the present ones do shows in the next report",
    )


def _updated(assumed: tuple[float, float, float], seen: tuple[float, float, float]) -> tuple[float, float, float]:
    """What was assumed, corrected by what was measured: each by its precision, so that a small hold-out moves little."""
    spreads = [max((high - low) / 3.92, 1e-6) for low, _, high in (assumed, seen)]
    weights = [1 / s**2 for s in spreads]
    mean = (weights[0] * assumed[1] + weights[1] * seen[1]) / sum(weights)
    half = 1.96 / sum(weights) ** 0.5
    return mean - half, mean, mean + half


def needs_lists(table: pd.DataFrame | None) -> None:
    """Stop the part of a report that shows lists where none could be made (the reason was said where it failed).

    Raises
    ------
    TooLittleError  without lists.
    """
    if table is None:
        raise TooLittleError(say(zh="没有可展示的名单", en="there is no list to show"))


def outcomes(lists: pd.DataFrame | None, returned: pd.DataFrame | None, *, least: int = 1) -> pd.DataFrame:
    """What became of the users of earlier lists, contacted against held out; the rates are `stats.difference`'s.

    One row per play with users on both sides.

    Columns
    -------
    play : str
    of, hits : int            users contacted, and of them active (or buying) since
    base_of, base_hits : int  the same of the hold-out
    spent, base_spent : float net value per user since

    `lists`: list (the play), user_id, holdout; `returned` as `metrics.segments.returned`.
    Definition: everybody on the list counts as contacted (by intention), reached or not, so that the two sides differ by
    the draw alone.

    Raises
    ------
    TooLittleError  without an earlier list, or without a hold-out in it.
    """
    if lists is None or returned is None or lists.empty:
        raise TooLittleError(_no_list())
    won = returned.set_index("user_id")
    rows = lists.assign(
        back=lists["user_id"].isin(won.index), spent=lists["user_id"].map(won["spent"]).fillna(0.0).astype(float)
    )
    held = rows["holdout"].astype(str).str.lower() == "true"
    table = pd.concat(
        [
            rows[~held].groupby("list").agg(of=("back", "size"), hits=("back", "sum"), spent=("spent", "mean")),
            rows[held]
            .groupby("list")
            .agg(base_of=("back", "size"), base_hits=("back", "sum"), base_spent=("spent", "mean")),
        ],
        axis=1,
    )
    table = table.dropna(subset=["of", "base_of"]).rename_axis("play").reset_index()
    table = table[table["base_of"] >= least]
    if table.empty:
        raise TooLittleError(
            say(
                zh="上期名单没有留出组，无法判断效果",
                en="the earlier lists have no hold-out: without one no effect can be told",
            )
        )
    whole = ["of", "hits", "base_of", "base_hits"]
    return table.astype(dict.fromkeys(whole, "int64"))[["play", *whole, "spent", "base_spent"]]
