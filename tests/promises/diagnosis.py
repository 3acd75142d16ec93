"""Diagnosis: what is named in a hundred worlds with planted causes, and in as many of other kinds, each with seeds of its own.

How long, on one core: two minutes for both. The seeds were never used for a choice: those that were stand in CHOSEN_ON.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from opslib.models.diagnosis import Diagnosis, diagnose, listed
from opslib.models.mix_views import by_dimension
from tests.promise import ROOT, Measured, within

sys.path.append(str(ROOT / "tests"))  # the worlds are modules of the tests, which have no package of their own

import diagnosis_worlds
import other_worlds

WORLDS, EACH = 100, 16  # of the first generator; of each other kind
SEED, SILENT = 700_000, 800_000  # the first of worlds with causes, and of those without
CHOSEN_ON = "0-1,034, 20,000-20,099 and 500,100-501,059"
FIRST, ALL, NONE, DIGITS = 0.95, 0.85, 0.95, 1e-9

Asked = tuple[pd.DataFrame, list[dict[str, Any]], dict[str, Any]]  # cells, planted causes, how `diagnose` is asked


def promise_diagnosis_worlds() -> Iterator[Measured]:
    """The largest cause first in 95, all in 85, none claimed in 95 of 100 worlds each, and parts that sum to the change."""
    caused = [_asked(SEED + i, 1 + i % 3) for i in range(WORLDS)]
    yield from _judged("worlds of one to three causes: ", caused, [_asked(SILENT + i, 0) for i in range(WORLDS)])


def promise_diagnosis_other_worlds() -> Iterator[Measured]:
    """The same of causes of other kinds: crossed, of some days, among hundreds of values, few users, noise."""
    every: list[list[Asked]] = [[], []]
    for name, kind in other_worlds.KINDS.items():
        own = [
            [_other(first + i, name, causes(i, kind.causes)) for i in range(EACH)]
            for first, causes in ((SEED, lambda i, most: 1 + i % most), (SILENT, lambda i, most: 0))
        ]
        told = "; ".join(f"{row.what} {row.found}" for row in _judged("", *own))
        yield Measured(kind.what, "nothing of one kind", told, True)
        every = [a + b for a, b in zip(every, own, strict=True)]
    yield from _judged("all other worlds: ", *every)


def _asked(seed: int, causes: int) -> Asked:
    cells, planted = diagnosis_worlds.world(seed, causes)
    segments = [cause | {"segment": {cause["dimension"]: cause["value"]}} for cause in planted]
    return cells, segments, {"dimensions": diagnosis_worlds.DIMENSIONS}


def _other(seed: int, kind: str, causes: int) -> Asked:
    world = other_worlds.world(seed, kind, causes)
    return world.cells, world.planted, {"dimensions": world.dimensions, "dispersion": world.dispersion}


def _judged(what: str, caused: Sequence[Asked], silent: Sequence[Asked]) -> Iterator[Measured]:
    """Worlds in which nothing could be planted count among neither."""
    first = complete = some = claimed = 0
    apart = 0.0
    for cells, planted, how in [*caused, *silent]:
        found = diagnose(cells, steps=diagnosis_worlds.STEPS, draws=0, **how)
        named = [_name(cause) for cause in found.causes.to_dict("records")]
        true = [_name(cause) for cause in planted]
        some += bool(true)
        first += bool(true) and named[:1] == true[:1]
        complete += bool(true) and set(true) <= set(named)
        claimed += not true and bool(named)
        apart = max(apart, _apart(found, cells, how["dimensions"]))
    none = len(caused) + len(silent) - some
    yield _share(f"{what}largest cause named first", first, some, FIRST)
    yield _share(f"{what}all causes named", complete, some, ALL)
    yield _share(f"{what}nothing named where nothing was planted", none - claimed, none, NONE)
    yield within(f"{what}farthest sum of parts from the change", apart, most=DIGITS)


def _share(what: str, right: int, of: int, least: float) -> Measured:
    row = within(what, right / of, least=least, unit="%")
    return Measured(row.what, row.promised, f"{right} of {of}, {row.found}", row.holds)


def _name(cause: dict[str, Any]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Who came or how they behaved, and in which segment; the step is told beside the cause."""
    segment = sorted((dimension, str(value)) for dimension, value in cause["segment"].items())
    return "mix" if cause["kind"] == "mix" else "behaviour", tuple(segment)


def _apart(found: Diagnosis, cells: pd.DataFrame, dimensions: list[str]) -> float:
    """How far the sum of any decomposition of the page is from the change."""
    views = by_dimension(cells, dimensions, steps=diagnosis_worlds.STEPS, interaction=True)
    sums = [
        found.after - found.before,
        found.mix + found.rate,
        listed(found)["contribution"].sum(),
        found.effects["contribution"].sum(),
        found.causes["contribution"].sum() + found.unexplained,
        *found.one_by_one.groupby("dimension")["contribution"].sum(),
        *(views["mix"] + views["rate_effect"] + views["interaction"]),
    ]
    return float(max(abs(part - found.change) for part in sums))
