"""The segments that could be named as the place of a change: which there are, who is in them, and which part which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse


def candidates(values: pd.DataFrame, depth: int) -> tuple[list[dict[str, Any]], sparse.csc_array]:
    """All segments of up to `depth` conditions that are different sets of cells, and who is in them (cells × segments).

    Of segments that hold the same cells the one with the fewest conditions stays; the first is everybody.
    """
    segments: list[dict[str, Any]] = []
    blocks = []
    for size in range(depth + 1):
        for names in combinations(values.columns, size):
            code, keys = _grouped(values, names)
            segments += [dict(zip(names, key, strict=True)) for key in keys]
            shape = (len(values), len(keys))
            blocks.append(sparse.csc_array((np.ones(len(values)), (np.arange(len(values)), code)), shape=shape))
    members = sparse.hstack(blocks, format="csc")
    print_of = members.T @ np.random.default_rng(0).random((len(values), 2))
    first = np.sort(np.unique(print_of.round(9), axis=0, return_index=True)[1])
    return [segments[i] for i in first], members[:, first]


def _grouped(values: pd.DataFrame, names: Sequence[str]) -> tuple[np.ndarray, list[tuple]]:
    if not names:
        return np.zeros(len(values), dtype=int), [()]
    grouped = values.groupby(list(names), dropna=False, sort=False)
    first = grouped.head(1)[list(names)].itertuples(index=False)
    return grouped.ngroup().to_numpy(), [tuple(None if pd.isna(v) else v for v in row) for row in first]


def by_chance(segments: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """What the best of as many segments with as many conditions would gain by chance."""
    conditions = np.array([len(s) for s in segments])
    return 2 * np.log(np.bincount(conditions)[conditions])


def families(segments: Sequence[Mapping[str, Any]]) -> list[tuple[int, list[int]]]:
    """Each segment that one more dimension parts into two or three, with these parts."""
    places = {frozenset(s.items()): i for i, s in enumerate(segments)}
    parts: dict[tuple[int, str], list[int]] = {}
    for i, segment in enumerate(segments):
        for name in segment:
            parent = places.get(frozenset((d, v) for d, v in segment.items() if d != name))
            if parent is not None:
                parts.setdefault((parent, name), []).append(i)
    return [(parent, own) for (parent, _), own in parts.items() if 2 <= len(own) <= 3]
