"""The spine: how soon the command answers, and how long the sample product takes. Half a minute."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.promise import Measured, cost, within


def promise_help() -> Iterator[Measured]:
    """`opslib --help` answers in under half a second."""
    taken = []
    for _ in range(5):
        begun = time.perf_counter()
        cost("opslib.cli", "--help")
        taken.append(time.perf_counter() - begun)
    yield within("opslib --help, the slowest of five", max(taken), most=0.5, unit=" s")


def promise_sample() -> Iterator[Measured]:
    """The sample product of 20,000 users is generated in under 20 s."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        took = cost("opslib.cli", "sample", str(Path(folder) / "raw"))
        yield within("wall time", time.perf_counter() - begun, most=20, unit=" s")
        yield Measured("its cost", "–", f"{took.cpu:.1f} CPU s, {took.peak:.2f} GiB", True)
