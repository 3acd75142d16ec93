"""The five states of users: now and a month ago, who slipped away, and what the flows lead to."""

from __future__ import annotations

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.models.lifecycle import expected_states
from opslib.text import say

STATES = ("new", "active", "retained", "silent", "churned")
HERE, GONE = ("new", "active", "retained"), ("silent", "churned")
UNSEEN = "unseen"


def ledger(flows: pd.DataFrame) -> pd.DataFrame:
    """Users in each state before and after, from the flows between the two days.

    One row per state: state, users_before, users, users_change, share (of all users seen by now).

    Raises
    ------
    TooLittleError  without users.
    """
    if flows.empty or flows["users"].sum() == 0:
        raise TooLittleError(say(zh="没有用户有过行为", en="states need at least one user with an event"))
    before = flows.groupby("from_state")["users"].sum().reindex(STATES, fill_value=0)
    now = flows.groupby("to_state")["users"].sum().reindex(STATES, fill_value=0)
    table = pd.DataFrame({"state": STATES, "users_before": before.to_numpy(), "users": now.to_numpy()})
    return table.assign(
        users_change=table["users"] - table["users_before"], share=table["users"] / table["users"].sum()
    )


def lost(flows: pd.DataFrame, earlier: pd.DataFrame) -> pd.DataFrame:
    """Users who were here on the first day and are gone on the second, beside the month before.

    One row: hits (silent or churned), of (new, active or retained before), base_hits, base_of.
    """
    (hits, of), (base_hits, base_of) = (_lost(f) for f in (flows, earlier))
    return pd.DataFrame({"hits": [hits], "of": [of], "base_hits": [base_hits], "base_of": [base_of]})


def with_rate(lost: pd.DataFrame, rate: pd.DataFrame) -> pd.DataFrame:
    """The row of `lost` with the interval of its own share: rate_low, rate_high."""
    return lost.join(rate[["low", "high"]].add_prefix("rate_"))


def _lost(flows: pd.DataFrame) -> tuple[int, int]:
    here = flows[flows["from_state"].isin(HERE)]
    return int(here.loc[here["to_state"].isin(GONE), "users"].sum()), int(here["users"].sum())


def returning(flows: pd.DataFrame) -> pd.Series:
    """For each state the share of its users who were here again (new, active or retained) on the second day."""
    rows = flows.assign(here=flows["users"].where(flows["to_state"].isin(HERE), 0))
    sums = rows.groupby("from_state")[["here", "users"]].sum()
    return sums["here"] / sums["users"]


def forecast(flows: pd.DataFrame, earlier: pd.DataFrame) -> pd.DataFrame:
    """Users in each state after as long again as the flows took, and how far the same rule was off this time.

    One row per state.

    Columns
    -------
    state : str
    users : float            users today
    expected, low, high : float  users then, with the interval of the model
    foretold : float         what the flows of the month before foretold for today, in whole users
    off      : float         users − foretold, as a share of `foretold`

    Definition: one step of the transition matrix of the last flows; as many new users come as came, into the same
    states. One step of four weeks, not four of a week: a state's users differ in how long they have been in it.
    Error: the interval holds chance only. That flows change is not in it: `off` shows how much they did this time.

    Raises
    ------
    TooLittleError  if users are in a state out of which no flow was seen.
    """
    found = _step(flows, _now(flows))
    table = found.rename(columns={"now": "users"}).round({"expected": 0, "low": 0, "high": 0})
    try:
        told = _step(earlier, _now(earlier))["expected"].round()
    except TooLittleError:
        told = pd.Series(np.nan, index=range(len(STATES)))
    return table.assign(foretold=told, off=(table["users"] - told) / told.where(told > 0))


def _now(flows: pd.DataFrame) -> np.ndarray:
    return flows.groupby("to_state")["users"].sum().reindex(STATES, fill_value=0).to_numpy(float)


def _step(flows: pd.DataFrame, now: np.ndarray) -> pd.DataFrame:
    if flows.empty:
        raise TooLittleError(say(zh="预测需要两天之间的流转", en="a forecast needs flows between two days"))
    wide = flows.pivot_table(index="from_state", columns="to_state", values="users", aggfunc="sum")
    wide = wide.reindex(index=[*STATES, UNSEEN], columns=STATES).fillna(0.0)
    moves, inflow = wide.loc[list(STATES)].to_numpy(), wide.loc[UNSEEN].to_numpy()
    # Nobody becomes new again: what cannot happen gets no prior.
    possible = np.full((len(STATES), len(STATES)), 0.5)
    possible[:, STATES.index("new")] = 0.0
    return expected_states(moves, now, 1, names=STATES, inflow=inflow, prior=possible)
