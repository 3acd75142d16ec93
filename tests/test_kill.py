"""A load killed at any moment leaves the warehouse as it was or as it will be; loading again mends everything."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from loading import NOW, event, write

import opslib
from opslib import warehouse

MOMENTS, SEED = 20, 2026
SERVER = """
import datetime, os, sys
import duckdb, filelock, pyarrow.parquet, tqdm, opslib  # imported once; every load is a process of its own
for root in sys.stdin:
    child = os.fork()
    if not child:
        os.write(1, b"%d\\n" % os.getpid())
        opslib.load("events", sys.argv[1], root.rstrip("\\n"), now=datetime.datetime.fromisoformat(sys.argv[2]))
        os._exit(0)
    os.write(1, b"%d\\n" % os.waitpid(child, 0)[1])
"""


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> tuple[Path, Path, Path]:
    """A file to load, a warehouse that holds part of it, and the warehouse that an undisturbed load makes of it."""
    folder = tmp_path_factory.mktemp("kill")
    rows = [
        event(
            f"e{n}",
            f"u{n * 7 % 100}",
            "pay",
            f"2026-0{1 + n % 2}-{1 + n % 28:02d} 10:00:00",
            amount=n % 10,
            content_id=f"c{n % 50}",
        )
        for n in range(6_000)
    ]
    earlier, new = rows[:1_500], rows[750:]
    new[100] |= {"amount": -1.5, "event_id": "e100"}  # a conflict
    new[200] |= {"user_id": None}
    before = folder / "before"
    opslib.load("events", write(folder / "earlier.parquet", earlier), before, now=NOW)
    path, after = write(folder / "new.jsonl", new), folder / "after"
    shutil.copytree(before, after)
    opslib.load("events", path, after, now=NOW)
    return path, before, after


def content(root: Path) -> dict[str, list]:
    """Everything that a warehouse holds, whatever its files are called."""
    manifest = warehouse.read(root)

    def rows(parts: list[warehouse.Part]) -> list[str]:
        import duckdb

        paths = [str(root / part.path) for part in parts]
        select = "SELECT * EXCLUDE (put_aside_at)" if any("_quarantine" in p for p in paths) else "SELECT *"
        return sorted(map(str, duckdb.sql(f"{select} FROM read_parquet({paths}, union_by_name = true)").fetchall()))

    groups = {"tables": manifest.tables, "keys": manifest.keys, "quarantine": manifest.quarantine}
    return {f"{group} {name}": rows(parts) for group, held in groups.items() for name, parts in held.items() if parts}


def left_over(root: Path) -> list[str]:
    """Files that nobody needs."""
    manifest = warehouse.read(root)
    named = {*(part.path for part in manifest.parts()), *manifest.retired, ".lock", warehouse.MANIFEST}
    live = {root / path for path in named}
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path not in live)


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):  # it has just ended by itself
        os.kill(process, signal.SIGKILL)


class Loads:
    """Loads of one file, each in a process of its own."""

    def __init__(self, path: Path) -> None:
        words = [sys.executable, "-c", SERVER, path, NOW.isoformat()]
        self._server = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def run(self, root: Path, kill_after: float = 60) -> tuple[bool, float]:
        """Whether the load ended by itself, and how long it ran."""
        assert self._server.stdin and self._server.stdout
        print(root, file=self._server.stdin, flush=True)
        child, begun = int(self._server.stdout.readline()), time.monotonic()
        killer = threading.Timer(kill_after, _kill, [child])
        killer.start()
        status = int(self._server.stdout.readline())
        killer.cancel()
        assert status in (0, signal.SIGKILL), "the load failed by itself"
        return status == 0, time.monotonic() - begun

    def close(self) -> None:
        assert self._server.stdin
        self._server.stdin.close()
        self._server.wait()


def test_kill_at_any_moment_and_load_again(case, tmp_path):
    path, before, after = case
    whole, was = content(after), content(before)
    assert whole["quarantine events"] and whole != was
    again, moments, seen = (
        write(tmp_path / "again.csv", [event("e0", "u0", ts="2026-01-01 10:00:00", content_id="c0", amount=0)]),
        random.Random(SEED),
        set(),
    )
    loads = Loads(path)
    shutil.copytree(before, tmp_path / "timed")
    ended, lasts = loads.run(tmp_path / "timed")
    assert ended
    for at in range(MOMENTS):
        root = tmp_path / f"killed-{at}"
        shutil.copytree(before, root)
        ended, _ = loads.run(root, lasts * (at + moments.random()) / MOMENTS)
        now = content(root)
        assert now == whole or (now == was and not ended), f"moment {at}: a reader sees half a load"
        seen.add(now == whole)
        opslib.load("events", path, root, now=NOW)
        assert content(root) == whole, f"moment {at}"
        opslib.load("events", again, root, now=NOW)  # removes what the killed one left
        assert not left_over(root), f"moment {at}"
        shutil.rmtree(root)
    loads.close()
    assert False in seen, "no load was killed before its end"
