"""What the project promises beyond speed, measured anew: `make promises` or `python -m tests.promise [--only NAME,…]`.

Every function `promise_…` of tests/promises/*.py measures one promise over many seeds, whole worlds or large data and says what
it found, row by row. This takes minutes to an hour each, which is why it is not a test; the tests hold a small run of the same.
Ratios to a hand-written reference are tests/bench.py's. Ends with 1 where a promise does not hold.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from tests.bench import listed

ROOT = Path(__file__).parent.parent
FOLDER = Path(tempfile.gettempdir()) / "opslib-promises"  # what is made for it once and kept


@dataclass(frozen=True)
class Measured:
    """One row: what was measured, what is promised, what came out."""

    what: str
    promised: str
    found: str
    holds: bool


def within(
    what: str, found: float, *, least: float = float("-inf"), most: float = float("inf"), unit: str = ""
) -> Measured:
    """A number with the bounds that are promised for it; `unit` is `%` for a share, else it follows the number."""
    spell = (lambda x: f"{x:.2%}") if unit == "%" else lambda x: f"{x:.4g}{unit}"
    bounds = [f"≥ {spell(least)}"] * (least > float("-inf")) + [f"≤ {spell(most)}"] * (most < float("inf"))
    return Measured(what, " and ".join(bounds), spell(found), least <= found <= most)


@dataclass(frozen=True)
class Cost:
    """What a command took with everything it started: CPU seconds, and the GiB of its largest process."""

    cpu: float
    peak: float


@contextmanager
def project() -> Iterator[Path]:
    """A project of its own with this one's notebooks and params, so that measured pages do not come among the user's."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("notebooks", "params"):
            (Path(folder) / name).symlink_to(ROOT / name)
        yield Path(folder)


def cost(*words: str, folder: Path = ROOT) -> Cost:
    """Run a command of the project (`opslib.cli` or a module of the tests) in a process of its own, in `folder`, with no setting of its own.

    The peak is never less than what this process held when it began: what is large to make is made in a process of its own.

    Raises `RuntimeError` with the end of its output if it fails: a page that broke off has no cost to tell.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("OPSLIB_")}
    own["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", *words], cwd=folder, env=own, stdout=said, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}:\n{said.read().decode()[-2000:]}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20)


def found() -> dict[str, Callable[[], Iterator[Measured]]]:
    """Every promise there is, by name."""
    return listed("promises", "promise_")


def table(names: list[str]) -> bool:
    """Print each promise's rows as they come; whether all hold."""
    every = True
    for name in names:
        begun, cpu = time.time(), sum(os.times()[:4])
        print(f"{name}: {(found()[name].__doc__ or '').splitlines()[0]}", flush=True)
        for row in found()[name]():
            every &= row.holds
            print(
                f"  {'holds ' if row.holds else 'MISSED'}  {row.what}: {row.found} (promised {row.promised})",
                flush=True,
            )
        print(f"  {time.time() - begun:.0f} s, {sum(os.times()[:4]) - cpu:.0f} CPU s", flush=True)
    return every


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.promise", description=__doc__)
    parser.add_argument(
        "--only", default="*", metavar="NAME,…", help="only the promises of these names (* stands for any text)"
    )
    args = parser.parse_args()
    names = [name for name in found() if any(fnmatch(name, wanted) for wanted in args.only.split(","))]
    if not names:
        print(f"no such promise; there are: {', '.join(found())}", file=sys.stderr)
        return 2
    return 0 if table(names) else 1


if __name__ == "__main__":
    sys.exit(main())
