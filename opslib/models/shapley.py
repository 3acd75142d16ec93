"""Shapley values: the credit of a channel is what it adds, averaged over all orders in which channels could join."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from opslib.models.paths import SEPARATOR, Credit, Table, amounts, credited, distinct, encoded


def shapley(paths: Table, amount: ArrayLike | None = None, *, separator: str = SEPARATOR) -> Credit:
    """Shapley values of the game in which a set of channels is worth the conversions of the paths within it.

    Definition: v(S) = conversions of paths whose channels all lie in S. Its Shapley value is simply 1 / (number of
    distinct channels) of every path, so no coalition needs to be enumerated. Order, repeats and paths that did not
    convert play no part.
    Source: Zhao, Mahboobi, Bagheri (2018), arXiv 1804.05327.
    """
    table = encoded(paths, separator=separator)
    total = amounts(amount, table, "amount")
    first = distinct(table)
    channels = np.bincount(table.row[first], minlength=table.length.size)
    share = np.zeros(table.row.size)
    share[first] = 1.0 / channels[table.row[first]]
    return credited(table, share, total)


def shapley_by_place(paths: Table, amount: ArrayLike | None = None, *, separator: str = SEPARATOR) -> pd.DataFrame:
    """The Shapley values of `shapley`, told apart by the place in the path: who opens and who closes.

    One row per channel, one column per place (1 is the first touch); a row sums to the channel's Shapley value.

    Definition: of every path each distinct channel has an equal share, spread evenly over the places where it occurs.
    Source: Zhao, Mahboobi, Bagheri (2018), arXiv 1804.05327, the ordered Shapley value.
    """
    table = encoded(paths, separator=separator)
    total = amounts(amount, table, "amount")
    pair = table.row * max(len(table.channels), 1) + table.channel
    kind, times = np.unique(pair, return_inverse=True, return_counts=True)[1:]
    channels = np.bincount(table.row[distinct(table)], minlength=table.length.size)
    credit = total[table.row] / (channels[table.row] * times[kind])
    found = np.zeros((len(table.channels), int(table.length.max(initial=0))))
    np.add.at(found, (table.channel, table.place), credit)
    return pd.DataFrame(found, table.channels, range(1, found.shape[1] + 1))


def shapley_values(worth: Mapping[frozenset[str], float]) -> pd.Series:
    """Shapley values of any game: what each player adds, averaged over all orders of joining.

    `worth` maps every coalition (the empty one may be left out and is worth 0) to its value.

    Raises
    ------
    ValueError  if a coalition is missing, or there are more than 20 players.
    """
    game = {frozenset(s): float(v) for s, v in worth.items()}
    game.setdefault(frozenset(), 0.0)
    players = sorted(frozenset().union(*game))
    n = len(players)
    if n > 20 or len(game) != 2**n:
        raise ValueError(f"shapley_values: {n} players need {2**n} coalitions (at most 20 players), got {len(game)}")
    values = dict.fromkeys(players, 0.0)
    for size in range(n):
        weight = factorial(size) * factorial(n - size - 1) / factorial(n)
        for team in map(frozenset, combinations(players, size)):
            for player in set(players) - team:
                values[player] += weight * (game[team | {player}] - game[team])
    return pd.Series(values, dtype=float)
