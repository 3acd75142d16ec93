"""Several jobs: two at a time, what is up to date skipped and said so, the index written at the end."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from opslib import params
from opslib.errors import OpsError, TooLittleError
from opslib.runner import grid, plan

Say = Callable[[str], None]


def run(
    root: Path,
    names: Sequence[str],
    overrides: dict[str, str],
    *,
    each: grid.Asked | None = None,
    force: bool = False,
    say: Say = print,
) -> list[dict[str, Any]]:
    """Run modules of a project and rebuild its index; one record for each report.

    With `each` (name → values, None for all ids of that name in the data) a module that declares the name has a report
    for every value. What has a report with the same parameters, data and code is skipped, unless `force`. With several modules
    an override, or a name of `each`, must be known to one of them; the others pass it over. Of several modules, one whose
    values the data lacks is said to lack them, and the others run.

    Raises
    ------
    UsageError      if a module, or a parameter of it, is not known; before anything runs.
    TooLittleError  if the data holds none of the values of the one module named.
    """
    waves = plan.ordered(names, root)
    mine = {name: plan.declared(root, name, overrides, alone=len(names) == 1) for name in names}
    plan.all_known(overrides, mine, root)
    plan.all_known(each or {}, {name: params.spec(plan.modules(root)[name]) for name in names}, root)
    cells, records = _cells(root, names, mine, each or {})
    for name, rows in cells.items():
        for row in rows:
            params.load(plan.modules(root)[name], root / "params", row)
    _sweep(root / "outputs" / ".aside")
    for record in records:
        say(_line(record, root))
    for wave in waves:
        jobs = []
        for job in (plan.job(root, name, row, each or ()) for name in wave for row in cells[name]):
            have = None if force else plan.done(job)
            if have:
                say(f"{plan.named(job.module, job.identity)}: up to date, skipped ({have.relative_to(root)})")
                told = {"module": job.module, "identity": job.identity, "parameters": job.parameters}
                records.append(told | {"status": "skipped", "error": "", "folder": str(have)})
            else:
                jobs.append(plan.described(job))  # here, where reports on the same data share the answer
        for record in _all(jobs):
            records.append(record)
            say(_line(record, root))
    return records


def _cells(
    root: Path, names: Sequence[str], mine: dict[str, dict[str, str]], each: grid.Asked
) -> tuple[dict[str, list[dict[str, str]]], list[dict[str, Any]]]:
    """The grid of every module, and a record for each of several whose values the data lacks."""
    cells: dict[str, list[dict[str, str]]] = {}
    lacking: list[dict[str, Any]] = []
    for name in names:
        try:
            cells[name] = grid.cells(root, name, mine[name], each)
        except TooLittleError as error:
            if len(names) == 1:
                raise
            cells[name] = []
            told = {"module": name, "identity": {}, "parameters": {}, "status": "lacking", "error": str(error)}
            lacking.append(told | {"seconds": 0.0, "folder": ""})
    return cells, lacking


def _sweep(aside: Path) -> None:
    """Remove what killed runs left; the folder of a run that is still at work ends with the number of its process."""
    for folder in aside.glob("*"):
        pid = folder.name.rpartition("-")[2]
        if not (pid.isdigit() and _alive(int(pid))):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's: it lives
        return True
    return True


def _line(record: dict[str, Any], root: Path) -> str:
    name = plan.named(record["module"], record["identity"])
    if not record["folder"]:
        return f"{name}: {'lacks data' if record['status'] == 'lacking' else 'FAILED'}: {record['error']}"
    where = Path(record["folder"]).relative_to(root) / "report.html"
    verdict = {"ok": "done", "lacking": f"lacks data: {record['error']}", "failed": f"FAILED: {record['error']}"}[
        record["status"]
    ]
    return f"{name}: {verdict} in {record['seconds']:.1f} s ({where})"


def _all(jobs: list[plan.Job]) -> Any:
    from opslib.runner.execute import run as run_one

    workers = min(len(jobs), os.cpu_count() or 1, 4)
    # What a report's queries may hold; with what Python holds beside them it stays below 4 GiB.
    os.environ.setdefault("OPSLIB_MEMORY_MB", str(min(3_000, _memory() // (2 * max(workers, 1)))))
    if workers <= 1:
        for job in jobs:
            try:
                yield run_one(job)
            except Exception as error:
                yield _broken(job, error)
        return
    # Processes, not threads: papermill changes the working directory and the environment of the whole process.
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    from tqdm import tqdm

    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(run_one, job): job for job in jobs}
        for future in tqdm(
            as_completed(futures), total=len(futures), desc="reports", disable=not sys.stderr.isatty(), leave=False
        ):
            try:
                yield future.result()
            except Exception as error:
                yield _broken(futures[future], error)


def _broken(job: plan.Job, error: Exception) -> dict[str, Any]:
    """A run that not even the runner could finish (a full disk, a killed process): the other reports go on."""
    words = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    record = {"module": job.module, "identity": job.identity, "status": "failed", "error": words}
    return record | {"seconds": 0.0, "folder": ""}


def _memory() -> int:
    """The machine's memory in MB; 8 GB where it cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    except (AttributeError, ValueError, OSError):
        return 8_192


def expand(root: Path, names: Sequence[str], everything: bool) -> list[str]:
    """The modules that a command line means.

    Raises
    ------
    OpsError  if the project has no notebook.
    """
    known = plan.modules(root)
    if not known:
        raise OpsError("notebooks/ holds no notebook", "opslib new NAME makes one")
    return list(known) if everything else list(names)
