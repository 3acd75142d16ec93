"""A believable product to try the workbench on: every table of the contract, with known truths planted in it.

An app for reading and shopping with about 20,000 users that was launched 26 weeks ago. What is planted is written
beside the tables (`truths.json`; its keys are described in `opslib.sample.truths`), so that a report can be checked.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from opslib.errors import UsageError
from opslib.sample import chunk, files, small, truths
from opslib.sample.catalogue import catalogue, shelf
from opslib.sample.people import demand, people
from opslib.sample.plan import SEGMENTS, Calendar
from opslib.sample.referral import invite
from opslib.sample.world import Tally, World
from opslib.text import say

Progress = Callable[[str, float], None]
CHUNK = 40_000  # visitors that are in memory at a time

__all__ = ["make"]


def make(
    folder: str | Path,
    *,
    seed: int = 7,
    users: int = 20_000,
    weeks: int = 26,
    end: str = "2026-06-28",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write `<table>.parquet` for every loadable table of the contract, and `truths.json`; return the truths.

    Raw export as a tracker would give it: the contract's own columns, UTC timestamps, no local days; believable in
    the zone Asia/Shanghai. The same arguments give the same rows. Time and size grow with `users`, memory does not.

    Raises
    ------
    UsageError  if `users` is not between 2,000 and 3,000,000, `weeks` not between 26 and 104, or `end` no Sunday.
    """
    if not 2_000 <= users <= 3_000_000:
        raise UsageError(f"sample: users must be between 2,000 and 3,000,000, got {users:,}")
    calendar = Calendar.ending(end, weeks)
    tell = progress or (lambda what, share: None)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)

    tell(say(zh="安排渠道、人群和内容", en="Planning channels, people and content"), 0.0)
    spent = demand(seed, users, calendar)
    everyone = people(seed, users, calendar, spent.signups)
    sent = invite(seed, calendar, everyone)
    items = catalogue(seed, users, calendar)
    world = World(seed, users, calendar, everyone, sent, items, shelf(calendar, items))
    tally = Tally(calendar.days)

    out = files.Writers(target)
    try:
        marks = small.before(world, spent)
        for number, base in enumerate(range(0, len(everyone), CHUNK)):
            tell(say(zh="生成行为数据", en="Generating behaviour"), 0.05 + 0.9 * base / len(everyone))
            chunk.write(world, number, base, min(base + CHUNK, len(everyone)), tally, out)
        small.write(world, spent, tally, marks, out)
    except BaseException:
        out.discard()
        raise
    out.close()
    _write_segments(target, world, tally)
    found = truths.truths(world, spent, tally, out.rows, marks)
    (target / "truths.json").write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    tell(say(zh="完成", en="Done"), 1.0)
    return found


def _write_segments(folder: Path, world: World, tally: Tally) -> None:
    """Which segment and ring each registered user belongs to."""
    p = world.people
    rows = np.flatnonzero(p.registered)
    ring = pa.array(p.ring[rows], mask=p.ring[rows] < 0)
    table = pa.table(
        {
            "user_id": files.numbered("u", rows, 7),
            "segment": files.words(p.segment[rows], [s.name for s in SEGMENTS]),
            "ring": ring,
            "active_days": np.concatenate(tally.active_days)[rows],
        }
    )
    pq.write_table(table, folder / truths.USERS_FILE, store_schema=False, compression="zstd")
