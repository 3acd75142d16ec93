"""Paths to conversion as flat integer arrays: one entry per touch, so that every model is a few array operations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

SEPARATOR = " > "


@dataclass(frozen=True)
class Paths:
    """A table of paths. `channel`, `row` and `place` have one entry per touch, `length` one per path."""

    channels: pd.Index
    channel: np.ndarray  # index into `channels`
    row: np.ndarray  # which path
    place: np.ndarray  # 0 is the first touch of its path
    length: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """Of every touch, how many touches its path has."""
        return self.length[self.row]

    @property
    def last(self) -> np.ndarray:
        """Whether a touch is the last of its path."""
        return self.place == self.size - 1


# Text, sequences of names, or encoded already (by whoever asks several models of the same paths).
Table = Iterable[str | Sequence[str] | None] | Paths


@dataclass(frozen=True)
class Credit:
    """Conversions (or value) by channel. `by_channel` + `unattributed` = `total`; participation counts more than once.

    `unattributed` are the conversions of paths without a touch.
    """

    by_channel: pd.Series
    unattributed: float
    total: float


def encoded(paths: Table, *, separator: str = SEPARATOR) -> Paths:
    """Paths given as text (`"seo > ads"`) or as sequences of channel names, oldest touch first.

    An empty or missing path has no touch. Channels are trimmed of blanks and keep the order in which they appear.
    """
    if isinstance(paths, Paths):
        return paths
    mark = separator.strip() or separator
    split = [_touches(p, mark) for p in paths]
    length = np.fromiter(map(len, split), int, len(split))
    names = pd.Series([str(name).strip() for path in split for name in path], dtype="object")
    channel, channels = pd.factorize(names)
    row = np.repeat(np.arange(len(split)), length)
    place = np.arange(row.size) - (length.cumsum() - length)[row]
    return Paths(pd.Index(channels), channel, row, place, length)


def _touches(path: Any, mark: str) -> Sequence[str]:
    if isinstance(path, str):
        return path.split(mark) if path.strip() else []
    missing = path is None or path is pd.NA or (isinstance(path, float) and np.isnan(path))
    return [] if missing else path


def amounts(values: ArrayLike | None, paths: Paths, name: str) -> np.ndarray:
    """One amount per path (1 each when None).

    Raises
    ------
    ValueError  if there is not one for every path, or one is negative or missing.
    """
    if values is None:
        return np.ones(paths.length.size)
    found = np.asarray(values, float)
    if found.shape != paths.length.shape or not (found >= 0).all():
        raise ValueError(f"{name}: needs one number >= 0 for each of {paths.length.size} paths, got {found.size}")
    return found


def credited(paths: Paths, share: np.ndarray, total: np.ndarray) -> Credit:
    """Each path's total given to its touches by their shares, summed by channel."""
    credit = np.bincount(paths.channel, share * total[paths.row], minlength=len(paths.channels))
    missed = total[paths.length == 0].sum()
    return Credit(pd.Series(credit, paths.channels, dtype=float), float(missed), float(total.sum()))


def distinct(table: Paths) -> np.ndarray:
    """Indices of each path's first touch of each of its channels."""
    return np.unique(table.row * max(len(table.channels), 1) + table.channel, return_index=True)[1]
