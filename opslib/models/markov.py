"""Removal effects in a Markov chain of touches: what share of conversions is lost when a channel leads nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse.linalg import spsolve

from opslib.errors import TooLittleError
from opslib.models.paths import SEPARATOR, Paths, Table, amounts, encoded
from opslib.text import say


@dataclass(frozen=True)
class Markov:
    """`base` is the chance that a journey converts, `removal` the share of it that is lost without each channel."""

    base: float
    removal: pd.Series
    by_channel: pd.Series
    unattributed: float
    total: float


def markov(
    paths: Table,
    conversions: ArrayLike | None = None,
    nulls: ArrayLike | None = None,
    *,
    order: int = 1,
    value: ArrayLike | None = None,
    separator: str = SEPARATOR,
) -> Markov:
    """Credit by removal effect in a Markov chain of the given order.

    `conversions` and `nulls` count, for each path, the journeys that converted and that did not; credit shares out the
    conversions, or `value` when it is given.

    Definition: a state is the last `order` touches (fewer at the start of a path). Removing a channel sends every state
    that contains it to "not converted"; the removal effect is the share of the base rate that is lost. Absorption is
    solved exactly, not simulated. Credits are removal effects scaled to the total.
    Error: without journeys that did not convert, the base is 1 and removal effects are inflated: give `nulls`.
    Source: Anderl, Becker, von Wangenheim, Schumann (2016) IJRM 33(3).

    Raises
    ------
    TooLittleError  if no path with a touch converted.
    """
    if order < 1:
        raise ValueError(f"markov: order must be at least 1, got {order}")
    table = encoded(paths, separator=separator)
    won = amounts(conversions, table, "conversions")
    lost = np.zeros_like(won) if nulls is None else amounts(nulls, table, "nulls")
    worth = won if value is None else amounts(value, table, "value")
    touched = table.length > 0
    if not won[touched].sum():
        raise TooLittleError(
            say(
                zh="没有一条带触点的路径带来转化，无法归因",
                en="no journey with a touch converted: there is nothing to credit",
            )
        )
    states, contains = _states(table, order)
    chain, wins = _chain(table, states, contains.shape[1], won, lost)
    base = _absorbed(chain, wins, np.zeros(contains.shape[1], bool))
    removal = pd.Series([1 - _absorbed(chain, wins, gone) / base for gone in contains], table.channels, dtype=float)
    shared = float(worth[touched].sum())
    credit = removal / removal.sum() * shared
    return Markov(base, removal, credit, float(worth[~touched].sum()), float(worth.sum()))


def _states(table: Paths, order: int) -> tuple[np.ndarray, np.ndarray]:
    """State after each touch, and which channels (rows) each state (columns) contains."""
    recent = np.full((table.row.size, order), -1)
    for back in range(min(order, int(table.length.max(initial=0)))):
        at = np.flatnonzero(table.place >= back)
        recent[at, back] = table.channel[at - back]
    grams, states = np.unique(recent, axis=0, return_inverse=True)
    contains = np.zeros((len(table.channels) + 1, len(grams)), bool)
    for column in grams.T:
        contains[column, np.arange(len(grams))] = True
    return states.ravel(), contains[:-1]  # the last row collects the blanks (-1)


def _chain(table: Paths, states: np.ndarray, n: int, won: np.ndarray, lost: np.ndarray) -> tuple[Any, np.ndarray]:
    """Transition matrix between states (the start is state n), and each state's chance to convert next."""
    weight, last = (won + lost)[table.row], table.last
    origin = np.where(table.place == 0, n, np.concatenate([[n], states[:-1]])[: states.size])
    moves = sparse.coo_array((weight, (origin, states)), shape=(n + 1, n + 1)).tocsr()
    wins = np.bincount(states[last], won[table.row[last]], minlength=n + 1)
    losses = np.bincount(states[last], lost[table.row[last]], minlength=n + 1)
    out = np.asarray(moves.sum(axis=1)).ravel() + wins + losses
    scale = np.divide(1.0, out, out=np.zeros_like(out), where=out > 0)
    return moves.multiply(scale[:, None]).tocsr(), wins * scale


def _absorbed(chain: Any, wins: np.ndarray, gone: np.ndarray) -> float:
    """Chance to reach a conversion from the start when some states lead nowhere: (I − Q)⁻¹ r at the start."""
    kept = np.flatnonzero(~np.append(gone, False))
    inner = sparse.identity(kept.size, format="csc") - chain[kept][:, kept].tocsc()
    return float(np.atleast_1d(spsolve(inner, wins[kept]))[-1])
