"""Lifecycle states: who is new, stays, comes back or is gone, and what the flows between states lead to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.text import say

STATES = ("new", "retained", "resurrected", "churned", "dormant")


def states(active: Any) -> np.ndarray:
    """The state of each user in each period; None before the user's first.

    `active` has one row per user and one boolean per period, in order.

    Definition: active for the first time is new; active now and in the period before retained; active now, not before,
    but earlier, resurrected; not active now but in the period before, churned (once); longer away, dormant. The first
    period of the data is new for all: give enough history.
    Source: growth accounting, Social Capital (Hsu 2015).

    Raises
    ------
    ValueError  if `active` is no table.
    """
    now = np.asarray(active, dtype=bool)
    if now.ndim != 2:
        raise ValueError("states: needs one row per user and one column per period")
    before = np.zeros_like(now)
    before[:, 1:] = now[:, :-1]
    ever = np.zeros_like(now)
    ever[:, 1:] = np.maximum.accumulate(now, axis=1)[:, :-1]
    named = np.full(now.shape, None, dtype=object)
    named[now & ~ever] = "new"
    named[now & before] = "retained"
    named[now & ~before & ever] = "resurrected"
    named[~now & before] = "churned"
    named[~now & ~before & ever] = "dormant"
    return named


def growth_accounting(active: Any) -> pd.DataFrame:
    """Users in each state, period by period.

    One row per period.

    Columns
    -------
    period : int
    active : int    new + retained + resurrected
    new, retained, resurrected, churned, dormant : int
    quick_ratio : float   (new + resurrected) / churned; infinite when nobody churned, blank when nobody moved at all

    Definition: see `states`; active = active of the period before + new + resurrected − churned, always.
    Source: Hsu 2015; quick ratio after Hamid 2015.
    """
    named = states(active)
    table = pd.DataFrame({state: (named == state).sum(axis=0) for state in STATES})
    table.insert(0, "period", np.arange(named.shape[1]))
    table.insert(1, "active", table.new + table.retained + table.resurrected)
    return table.assign(quick_ratio=quick_ratio(table.new, table.resurrected, table.churned))


def quick_ratio(new: Any, resurrected: Any, churned: Any) -> Any:
    """(new + resurrected) / churned: gains per loss; infinite when nothing is lost, blank when nothing moves."""
    gained, lost = np.asarray(new, dtype=float) + np.asarray(resurrected), np.asarray(churned, dtype=float)
    with np.errstate(all="ignore"):
        ratio = np.where((gained == 0) & (lost == 0), np.nan, gained / lost)
    return float(ratio) if ratio.ndim == 0 else ratio


def transition_matrix(counts: Any, prior: Any = 0.0) -> np.ndarray:
    """Shares of each row; `prior` is added to every cell. A row without users has blanks."""
    table = _square(counts) + prior
    total = table.sum(axis=1, keepdims=True)
    return np.divide(table, total, out=np.full_like(table, np.nan), where=total > 0)


def _square(matrix: Any) -> np.ndarray:
    table = np.asarray(matrix, dtype=float)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or not (table >= 0).all():
        raise ValueError(f"a transition table is square and has no negative or missing cell, got shape {table.shape}")
    return table


def _stochastic(matrix: Any) -> np.ndarray:
    p = _square(matrix)
    if not np.allclose(p.sum(axis=1), 1, atol=1e-6):
        raise ValueError("the rows of a transition matrix sum to 1; use `transition_matrix` on counts")
    return p


def stationary(matrix: Any) -> np.ndarray:
    """The shares of the states that the chain keeps, where it ends up whatever it starts with.

    Source: Grinstead & Snell, Introduction to Probability, chapter 11.

    Raises
    ------
    ValueError  if rows do not sum to 1, or the chain has several closed parts and so no single answer.
    """
    p = _stochastic(matrix)
    system = np.vstack([p.T - np.eye(len(p)), np.ones(len(p))])
    if np.linalg.matrix_rank(system[:-1], tol=1e-9) < len(p) - 1:
        raise ValueError("stationary: states fall into parts that never meet; there is no single distribution")
    return np.linalg.lstsq(system, np.append(np.zeros(len(p)), 1), rcond=None)[0].clip(0)


def mean_first_passage(matrix: Any) -> np.ndarray:
    """Expected steps from each state (row) until each other (column) is first reached; the diagonal is 0.

    Definition: m_ij = (z_jj − z_ij) / w_j with the fundamental matrix Z = (I − P + W)⁻¹ of an ergodic chain.
    Source: Grinstead & Snell, chapter 11, theorem 11.16.
    """
    p = _stochastic(matrix)
    w = stationary(p)
    z = np.linalg.inv(np.eye(len(p)) - p + w)
    with np.errstate(all="ignore"):
        return (np.diag(z) - z) / w


@dataclass(frozen=True)
class Absorbing:
    """Of a chain that ends: `fundamental` expected visits, `steps` until the end, `ends` the chance of each end.

    Rows of all three are the `transient` states, columns of `ends` the `absorbing` ones (positions in the matrix).
    """

    transient: list[int]
    absorbing: list[int]
    fundamental: np.ndarray
    steps: np.ndarray
    ends: np.ndarray


def absorbing(matrix: Any) -> Absorbing:
    """What becomes of users in a chain with states that nobody leaves.

    Definition: N = (I − Q)⁻¹, t = N·1, B = N·R.
    Source: Grinstead & Snell, section 11.2.

    Raises
    ------
    ValueError  if no state is absorbing, or some state never reaches one.
    """
    p = _stochastic(matrix)
    ends = np.flatnonzero(np.isclose(np.diag(p), 1))
    rest = np.setdiff1d(np.arange(len(p)), ends)
    q = p[np.ix_(rest, rest)]
    if len(ends) == 0 or (len(rest) and np.abs(np.linalg.eigvals(q)).max() >= 1 - 1e-12):
        raise ValueError("absorbing: every state must lead to one that nobody leaves")
    n = np.linalg.inv(np.eye(len(rest)) - q)
    return Absorbing(rest.tolist(), ends.tolist(), n, n.sum(axis=1), n @ p[np.ix_(rest, ends)])


def expected_states(
    counts: Any,
    now: Any,
    periods: int,
    *,
    names: Any = None,
    inflow: Any = None,
    prior: Any = 0.5,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """How many users will be in each state after some periods, if the flows stay as they were.

    One row per state.

    Columns
    -------
    state      : object
    now        : float   users today
    expected   : float   users after `periods`
    low, high  : float   interval

    `counts`: users who went from state (row) to state (column) in one period; `inflow`: new users per period and state.
    Definition: rows are Dirichlet with `prior` (a number, or one for each cell) added to each count; the users then move at random.
    Error: percentiles over `draws` of matrix and moves. That the flows will change is not in it, and is the larger
    error over a long time.
    Source: Anderson & Goodman 1957; Dirichlet posterior of multinomial rows.

    Raises
    ------
    ValueError      if shapes differ, `periods` < 1 or a number is negative.
    TooLittleError  if a state that users are in now has no observed flow.
    """
    table, start = _square(counts), np.asarray(now, dtype=float)
    arriving = np.zeros(len(table)) if inflow is None else np.asarray(inflow, dtype=float)
    if (
        start.shape != (len(table),)
        or arriving.shape != start.shape
        or periods < 1
        or min(start.min(), arriving.min()) < 0
    ):
        raise ValueError(f"expected_states: {len(table)} states need as many users now and arriving, and periods ≥ 1")
    unseen = np.flatnonzero((start > 0) & (table.sum(axis=1) == 0))
    labels = list(range(len(table))) if names is None else list(names)
    if len(unseen):
        raise TooLittleError(
            say(
                zh="没有观察到用户离开状态「{state}」的去向，无法推算",
                en="no flow was observed out of the state “{state}”: it cannot be projected",
                state=str(labels[unseen[0]]),
            )
        )
    rng = np.random.default_rng(seed)
    matrices = (
        rng.standard_gamma(table + prior, size=(draws, *table.shape)) if np.any(prior) else np.array([table] * draws)
    )
    matrices = np.nan_to_num(matrices / matrices.sum(axis=2, keepdims=True))
    users = np.tile(np.rint(start).astype(np.int64), (draws, 1))
    mean, matrix = start, np.nan_to_num(transition_matrix(table, prior))
    for _ in range(periods):
        users = rng.multinomial(users, _exact(matrices)).sum(axis=1) + rng.poisson(arriving, size=users.shape)
        mean = mean @ matrix + arriving
    low, high = np.quantile(users, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return pd.DataFrame({"state": labels, "now": start, "expected": mean, "low": low, "high": high})


def _exact(matrices: np.ndarray) -> np.ndarray:
    """Rows that do not exceed 1 by rounding, which numpy's multinomial refuses."""
    return matrices / np.maximum(matrices.sum(axis=2, keepdims=True), 1e-300) * (1 - 1e-12)
