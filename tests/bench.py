"""Speed as ratios to a hand-written reference in the same run: `python -m tests.bench [--events N] [--only NAME] [--runs N]`.

Every function `bench_…` of tests/benches/*.py is one row. Each side has a process of its own; they run in turn, three
times or `--runs`. Counted is the CPU time (user and system, all threads) of the work alone, the least of the runs. A bench whose two
sides do not agree says so. No test asserts a time.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

ROOT = Path(__file__).parent.parent
FOLDER = Path(tempfile.gettempdir()) / "opslib-bench"  # what is made for it once and kept
RUNS = 3
DAYS, EVENTS_A_USER, EVENTS_A_VISIT = 90, 25, 6

# A visit is a handful of events of one user within an hour; few users come often, most seldom. `hash` makes the same
# data again on every machine.
SYNTHETIC = """
WITH visit AS (
    SELECT v, (hash(v) % 1000000) / 1e6 AS a, (hash(v, 1) % 1000000) / 1e6 AS b, (hash(v, 2) % 1000000) / 1e6 AS c
    FROM range({events} // {visit}) t(v)
), event AS (
    SELECT *, TIMESTAMP '2026-01-01' + to_microseconds(
        (({days} * 86400e6 * v * {visit}) / {events})::BIGINT + (3600e6 * (n + b) / {visit})::BIGINT) AS ts,
        (hash(v, n, 3) % 1000000) / 1e6 AS d, (hash(v, n, 4) % 1000000) / 1e6 AS e
    FROM visit, range({visit}) s(n)
)
SELECT
    concat('e', lpad((hash(v, n) % 1000000000000)::VARCHAR, 12, '0'), n) || v AS event_id,
    'u' || lpad((a * a * {events} / {user})::BIGINT::VARCHAR, 8, '0') AS user_id,
    CASE WHEN n = 0 THEN 'app_open' WHEN d < 0.4 THEN 'page_view' WHEN d < 0.7 THEN 'read' WHEN d < 0.85 THEN 'like'
         WHEN d < 0.95 THEN 'add_to_cart' ELSE 'pay' END AS event,
    ts,
    's' || v AS session_id,
    'd' || (a * a * {events} / {user})::BIGINT AS device_id,
    concat_ws('.', 10, (a * 255)::INT, (b * 255)::INT, (c * 255)::INT) AS ip,
    ['ios', 'android', 'web', 'mini_program'][1 + (b * 3.99)::INT % 4] AS platform,
    ['organic', 'search_ads', 'social', 'push'][1 + (c * 3.99)::INT % 4] AS channel,
    CASE WHEN d BETWEEN 0.1 AND 0.8 THEN 'c' || (e * e * 5000)::INT END AS content_id,
    CASE WHEN d BETWEEN 0.1 AND 0.8 THEN ['algorithm', 'editorial', 'search'][1 + (e * 2.99)::INT % 3] END AS placement,
    CASE WHEN d BETWEEN 0.1 AND 0.8 THEN (e * 20)::BIGINT END AS position,
    CASE WHEN d BETWEEN 0.4 AND 0.7 THEN round(e * 300, 1) END AS duration_s,
    CASE WHEN d >= 0.95 THEN round(e * 200, 2) END AS amount,
    CASE WHEN e < 0.3 THEN concat('{{"version": "3.', (e * 30)::INT, '", "screen": "home"}}') END AS props
FROM event {order}
"""


@dataclass(frozen=True)
class Bench:
    """Two ways to one answer: each takes nothing, does the work, and returns what both must agree on."""

    what: str
    ours: Callable[[], Any]
    reference: Callable[[], Any]
    promise: float | None = None  # the ratio that the project promises not to exceed


@dataclass(frozen=True)
class Data:
    """Synthetic events, made once and kept in a temporary folder."""

    events: int
    folder: Path

    def raw(self, events: int, *, shuffled: bool = False) -> Path:
        """A raw export of so many events: in the order of time, as trackers write it, or in none."""
        path = self.folder / f"events-{events}{'-shuffled' * shuffled}.parquet"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            order = "ORDER BY hash(v, n, 5)" if shuffled else ""
            sql = SYNTHETIC.format(events=events, days=DAYS, user=EVENTS_A_USER, visit=EVENTS_A_VISIT, order=order)
            aside = path.with_suffix(".new")
            duckdb.connect().execute(f"COPY ({sql}) TO '{aside}' (FORMAT parquet)")
            aside.rename(path)
        return path

    @cached_property
    def warehouse(self) -> Path:
        """A warehouse that holds them."""
        from opslib import load, warehouse

        root = self.folder / f"warehouse-{self.events}"
        if not warehouse.read(root).tables:
            load("events", self.raw(self.events), root)
        return root

    def files(self, table: str) -> str:
        """The warehouse's own files of a table, as a DuckDB relation."""
        from opslib import warehouse

        paths = [str(self.warehouse / part.path) for part in warehouse.read(self.warehouse).tables[table]]
        return f"read_parquet({paths})"


def found() -> dict[str, Callable[[Data], Bench]]:
    """Every bench there is, by name."""
    return listed("benches", "bench_")


def listed(folder: str, prefix: str) -> dict[str, Callable[..., Any]]:
    """The functions of the files in a folder of tests/ whose names begin so, by the rest of their names."""
    modules = [
        importlib.import_module(f"tests.{folder}.{path.stem}")
        for path in sorted((ROOT / "tests" / folder).glob("*.py"))
    ]
    return {
        name.removeprefix(prefix): function
        for module in modules
        for name, function in vars(module).items()
        if name.startswith(prefix)
    }


def serve(name: str, side: str, data: Data) -> None:
    """One side of one bench: a run for every line that comes in; CPU seconds, peak memory and the answer go out."""
    work = getattr(found()[name](data), side)
    for _ in sys.stdin:
        begun = time.process_time()
        answer = work()
        cpu = time.process_time() - begun
        print(json.dumps({"cpu": cpu, "peak": _peak(), "answer": repr(answer)}), flush=True)


def _peak() -> float:
    """The most memory that this process has held, in GiB.

    Not `ru_maxrss` on Linux: it starts with what the parent held, which may just have loaded the data.
    """
    status = Path("/proc/self/status")
    if status.exists():
        held = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(held.split()[1]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**30


def measured(name: str, data: Data, times: int = RUNS) -> dict[str, dict[str, Any]]:
    """Both sides in turn, each in a process of its own; the run that took least."""
    words = [sys.executable, "-m", "tests.bench", "--events", str(data.events), "--only", name, "--side"]
    pipes: dict[str, Any] = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "text": True,
        "bufsize": 1,
        "cwd": ROOT,
    }
    sides = {side: subprocess.Popen([*words, side], **pipes) for side in ("ours", "reference")}
    try:
        runs = _in_turn(sides, times)
    finally:
        for process in sides.values():
            process.stdin.close()
            process.wait()
    if not runs:
        return {}
    return {side: min(done, key=lambda run: run["cpu"]) for side, done in runs.items()}


def _in_turn(sides: dict[str, Any], times: int) -> dict[str, list[dict[str, Any]]]:
    """What each run of each side said; nothing if a side could not go on, which has said why."""
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    for _ in range(times):
        for side, process in sides.items():
            print("run", file=process.stdin, flush=True)
            line = process.stdout.readline()
            if not line:
                return {}
            runs[side].append(json.loads(line))
    return runs


def growth(name: str, cpu: float, data: Data) -> str:
    """Remember what a bench took; how many times that is what it took with fewer events, if it was run with fewer."""
    path = data.folder / "taken.json"
    taken = json.loads(path.read_text()) if path.exists() else {}
    own = taken.setdefault(name, {})
    own[str(data.events)] = cpu
    path.parent.mkdir(parents=True, exist_ok=True)  # not there where only benches with data of their own ran
    path.write_text(json.dumps(taken, indent=1))
    fewer = max((int(events) for events in own if int(events) < data.events), default=None)
    return f"{cpu / own[str(fewer)]:.1f}× of {fewer / 1e6:g} M" if fewer else ""


def table(names: list[str], data: Data, times: int) -> None:
    heads = ("ours CPU s", "reference", "ratio", "promise", "peak GiB", "grows to")
    print(f"{'what':<44}{heads[0]:>11}{heads[1]:>11}{heads[2]:>8}{heads[3]:>9}{heads[4]:>10}{heads[5]:>16}")
    for name in names:
        bench = found()[name](data)
        both = measured(name, data, times)
        if not both:
            print(f"{bench.what:<44}   left out", flush=True)
            continue
        ours, reference = both["ours"], both["reference"]
        promise = f"{bench.promise:.1f}×" if bench.promise else ""
        differ = "" if ours["answer"] == reference["answer"] else "   the two do not agree"
        ratio, grows = ours["cpu"] / reference["cpu"], growth(name, ours["cpu"], data)
        print(
            f"{bench.what:<44}{ours['cpu']:>11.2f}{reference['cpu']:>11.2f}{ratio:>7.2f}×{promise:>9}{ours['peak']:>10.2f}"
            f"{grows:>16}{differ}",
            flush=True,
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--events", type=int, default=5_000_000, help="synthetic events of the metrics (default: 5 M)")
    parser.add_argument("--only", action="append", metavar="NAME", help="only the benches whose name begins so")
    parser.add_argument("--runs", type=int, default=RUNS, metavar="N", help="of each side (default: 3)")
    parser.add_argument("--fresh", action="store_true", help="make the synthetic data and the warehouse anew")
    parser.add_argument("--side", choices=("ours", "reference"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    data = Data(args.events, FOLDER)
    if args.side:
        serve(args.only[0], args.side, data)
        return 0
    if args.fresh:
        shutil.rmtree(data.folder, ignore_errors=True)
    names = [name for name in found() if not args.only or name.startswith(tuple(args.only))]
    if not names:
        print(f"no such bench; there are: {', '.join(found())}", file=sys.stderr)
        return 2
    table(names, data, max(1, args.runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
