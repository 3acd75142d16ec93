"""The five states of users: now and a month ago, who slipped away, and what the flows lead to."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import t as student

from opslib.errors import TooLittleError
from opslib.models.lifecycle import expected_states
from opslib.text import say

STATES = ("new", "active", "retained", "silent", "churned")
HERE, GONE = ("new", "active", "retained"), ("silent", "churned")
UNSEEN = "unseen"
STEPS = 5  # of flows that are looked at: the last, and four before to see how far the rule was off
CHECKS = 2  # earlier forecasts from which their misses tell how much flows change


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


def step(moves: pd.DataFrame, number: int) -> pd.DataFrame:
    """The flows of one step of `metrics.states.past_transitions`; without rows where it is not there."""
    return moves[moves["step"] == number].drop(columns="step")


def forecast(moves: pd.DataFrame) -> pd.DataFrame:
    """Users in each state after as long again as the flows took, and how far the same rule was off before.

    `moves` as `metrics.states.past_transitions`. One row per state, and one for those here (new, active or retained)
    together.

    Columns
    -------
    state : str
    users : float            users today
    expected, low, high : float  users then, with the interval of the forecast
    foretold : float         what the flows of the month before foretold for today, in whole users
    off      : float         users − foretold, as a share of `foretold`
    checks   : int           earlier forecasts that could be compared with what came

    Definition: one step of the transition matrix of the last flows; as many new users come as came, into the same
    states. One step of four weeks, not four of a week: a state's users differ in how long they have been in it.
    Error: chance, and how far the same rule was off before (root mean square of the log ratios), as a t interval with as
    many degrees of freedom as checks; fewer than two checks cannot tell that flows change, and leave chance alone.

    Raises
    ------
    TooLittleError  if users are in a state out of which no flow was seen.
    """
    steps = [step(moves, k) for k in range(1 + int(moves["step"].max()))] if len(moves) else [moves]
    found = _totalled(_step(steps[0], _now(steps[0])))
    came = [_with_here(_now(flows)) for flows in steps[:-1]]
    told = [_foretold(flows) for flows in steps[1:]]
    misses = [np.log((a + 0.5) / (t + 0.5)) for a, t in zip(came, told, strict=True) if t is not None]
    if len(misses) >= CHECKS:
        chance = (found["high"] - found["low"]) / 2 / 1.96 / found["expected"].where(found["expected"] > 0)
        spread = np.sqrt(chance.fillna(0.0) ** 2 + np.mean(np.square(misses), axis=0))
        factor = np.exp(float(student.ppf(0.975, len(misses))) * spread)
        found = found.assign(low=found["expected"] / factor, high=found["expected"] * factor)
    last = told[0].round() if told and told[0] is not None else np.full(len(found), np.nan)
    table = found.rename(columns={"now": "users"}).round({"expected": 0, "low": 0, "high": 0})
    return table.assign(
        foretold=last, off=(table["users"] - last) / np.where(last > 0, last, np.nan), checks=len(misses)
    )


def by_state(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a forecast that are states."""
    return table[table["state"] != "here"]


def _with_here(users: np.ndarray) -> np.ndarray:
    """The users of each state, and those here together."""
    return np.append(users, users[[STATES.index(name) for name in HERE]].sum())


def _totalled(table: pd.DataFrame) -> pd.DataFrame:
    """With a row for those here; counts of states are negatively correlated, so the sum of half-widths is wide enough."""
    here = table[table["state"].isin(HERE)]
    now, expected, half = here["now"].sum(), here["expected"].sum(), (here["high"] - here["low"]).sum() / 2
    row = {"state": "here", "now": now, "expected": expected, "low": expected - half, "high": expected + half}
    return pd.concat([table, pd.DataFrame([row])], ignore_index=True)


def _foretold(flows: pd.DataFrame) -> np.ndarray | None:
    """What the rule foretold when a step was over; None where it could not yet."""
    try:
        return _with_here(_step(flows, _now(flows))["expected"].to_numpy())
    except TooLittleError:
        return None


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
