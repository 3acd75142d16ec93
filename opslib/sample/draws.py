"""Random streams and the draws that numpy lacks: reproducible, and each part of the sample on a stream of its own."""

from __future__ import annotations

from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike


def stream(seed: int, part: str, chunk: int = 0) -> np.random.Generator:
    """The generator of one part and chunk: a change in one part leaves the others as they were."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, crc32(part.encode()), chunk])))


def table_of(rows: ArrayLike) -> np.ndarray:
    """Cumulative shares of each row, row i running from i to i + 1, flat: what `pick` searches in."""
    shares = np.asarray(rows, float)
    running = np.cumsum(shares, axis=1)
    running /= running[:, -1:]
    running[:, -1] = 1.0
    return (running + np.arange(len(shares))[:, None]).ravel()


def pick(rng: np.random.Generator, table: np.ndarray, row: np.ndarray, width: int) -> np.ndarray:
    """One column for each entry of `row`, drawn by the shares of that row."""
    found = np.searchsorted(table, row + rng.random(len(row)), side="right")
    return np.minimum(found - row * width, width - 1)


def within(counts: np.ndarray) -> np.ndarray:
    """0, 1, … inside each group, for groups of the given sizes laid out one after the other."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)


def running_sum(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The sum of what came before inside each group: the first row has 0."""
    total = np.cumsum(values) - values
    starts = np.cumsum(counts) - counts
    return total - np.repeat(total[starts[counts > 0]], counts[counts > 0])
