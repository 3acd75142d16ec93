"""One job: a notebook through papermill, its page beside it, written aside and moved into place.

The status is the runner's own: papermill's metadata says "completed" for cells of a kernel that was killed.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from opslib.runner.plan import Job, commit, described
from opslib.text import say, speaking

TIMEOUT = 1_800  # seconds a cell may take

# jsonschema pulls this in at every start for 1.1 s; no Jupyter schema uses it.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


def run(job: Job) -> dict[str, Any]:
    """Run a job and return its record (also written as run.json).

    status : "ok"; "lacking" (the data cannot carry the question: the page says what it needs); "failed"
    """
    job = described(job)
    started, clock = dt.datetime.now(dt.UTC), time.perf_counter()
    name = f"{started:%Y%m%dT%H%M%S%f}"[:18] + f"-{job.key[:6]}"
    aside = job.outputs / ".aside" / f"{job.module}-{name}-{os.getpid()}"
    aside.mkdir(parents=True)
    try:
        with speaking(job.lang):
            status, error = _execute(job, aside)
        record = _record(job, status, without_paths(error, job.root), started, time.perf_counter() - clock)
        _render(job, aside, record)
        executed = aside / "executed.ipynb"
        if executed.exists():
            executed.write_text(without_paths(executed.read_text(encoding="utf-8"), job.root), encoding="utf-8")
        final = job.outputs / job.module / name
        final.parent.mkdir(parents=True, exist_ok=True)
        aside.replace(final)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return record | {"folder": str(final)}


def _execute(job: Job, aside: Path) -> tuple[str, str]:
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    logging.getLogger("papermill").setLevel(logging.ERROR)
    os.environ["OPSLIB_RUN_DIR"] = str(aside.resolve())
    os.environ["OPSLIB_RUN_SOURCE"] = str(job.parameters.get("source", ""))
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # this environment's kernel, not one in the user's home
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    executed = aside / "executed.ipynb"
    sockets = tempfile.mkdtemp(prefix="ops-")  # short: a socket's path may have 107 characters
    try:
        papermill.execute_notebook(
            job.notebook,
            executed,
            parameters=job.parameters,
            kernel_name="python3",
            progress_bar=False,
            log_output=False,
            cwd=job.root,
            execution_timeout=TIMEOUT,
            start_timeout=120,
            kernel_manager_class=_kernel_class(sockets),
        )
    except PapermillExecutionError as error:
        return _judge(error.ename, error.evalue)
    except CellTimeoutError:
        return "failed", say(zh="一个单元格运行超过 {n} 秒", en="a cell took longer than {n} s", n=TIMEOUT)
    except DeadKernelError:
        return "failed", say(
            zh="内核中止（kernel died），多半是内存不足", en="the kernel died, most likely out of memory"
        )
    except Exception as error:  # whatever papermill or the kernel's start may raise must become a page, not a crash
        return "failed", f"{type(error).__name__}: {_one_line(str(error))}"
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
    return _pending(executed)


def _kernel_class(sockets: str) -> Any:
    """Kernels that talk through files of this user, not through ports that others can reach and two runs can race for."""
    from jupyter_client.manager import AsyncKernelManager
    from traitlets import default

    if os.name != "posix":
        return AsyncKernelManager

    class Kernel(AsyncKernelManager):
        @default("transport")
        def _transport_default(self) -> str:
            return "ipc"

        async def _async_pre_start_kernel(self, **kw: Any) -> Any:
            command, kw = await super()._async_pre_start_kernel(**kw)
            # At its end a kernel is interrupted, and would say so on the terminal as if something had gone wrong.
            return [*command, "--log-level=CRITICAL"], kw

        @default("connection_file")
        def _connection_file_default(self) -> str:
            return f"{sockets}/k.json"

    return Kernel


def _judge(ename: str, evalue: str) -> tuple[str, str]:
    if ename == "TooLittleError":
        return "lacking", _one_line(evalue)
    ours = ename in ("OpsError", "UsageError", "ContractError", "LockedError")
    return "failed", _one_line(evalue if ours else f"{ename}: {evalue}")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]


def _pending(executed: Path) -> tuple[str, str]:
    """A notebook that stopped half-way without an error (`sys.exit(0)`) is not a report."""
    cells = json.loads(executed.read_text(encoding="utf-8"))["cells"]
    left = [
        c for c in cells if c["cell_type"] == "code" and "".join(c["source"]).strip() and c["execution_count"] is None
    ]
    if not left:
        return "ok", ""
    return "failed", say(zh="提前停止，最后 {n} 个单元格没有运行", en="stopped before its last {n} cells", n=len(left))


def without_paths(text: str, root: str) -> str:
    """The text without this machine's folders: a report travels. Only whole folders, and none as short as `/` or `/app`."""
    try:
        home = str(Path.home())
    except RuntimeError:  # a user without a home
        home = ""
    for folder, name in ((root, "."), (home, "~")):
        if len(Path(folder).parts) > 2:
            written = json.dumps(folder)[1:-1]
            text = re.sub(re.escape(written) + r"(?![\w.-])", name, text)
    return text


def _record(job: Job, status: str, error: str, started: dt.datetime, seconds: float) -> dict[str, Any]:
    from importlib.metadata import version

    packages = ("opslib", "pandas", "ibis-framework", "duckdb", "papermill", "nbconvert", "seaborn", "pingouin")
    return {
        "module": job.module,
        "status": status,
        "error": error,
        "lang": job.lang,
        "identity": job.identity,
        "reads_others": job.reads_others,
        "source": str(job.parameters.get("source", "")),
        "parameters": job.parameters,
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(seconds, 2),
        "key": job.key,
        "fingerprint": job.fingerprint,
        "code": job.code,
        "commit": commit(job.root),
        "notes": list(job.notes),
        "data": job.data,
        "versions": {"python": sys.version.split()[0]} | {p: _version(version, p) for p in packages},
    }


def _version(version: Any, package: str) -> str:
    from importlib.metadata import PackageNotFoundError

    try:
        return version(package)
    except PackageNotFoundError:
        return "source"


def _render(job: Job, aside: Path, record: dict[str, Any]) -> None:
    """The page, the findings and the record; a run that failed before its first cell still gets a page."""
    import nbformat

    from opslib.report import html

    executed = aside / "executed.ipynb"
    notebook = nbformat.read(executed if executed.exists() else job.notebook, as_version=4)  # type: ignore[no-untyped-call]
    head = next((p for p in html.parts(notebook) if p["kind"] == "headline"), {})
    record |= {
        "title": html.titled(head, notebook, job.lang),
        "verdict": head.get("verdict", ""),
        "period": head.get("period", ""),
    }
    queries = aside / "queries.sql"
    record["queries"] = [_one_page(queries.read_text(encoding="utf-8"))] if queries.exists() else []
    record["lists"] = sorted(p.name for p in (aside / "lists").glob("*.csv"))
    try:
        html.write(notebook, record, aside / "report.html")
    except Exception as error:  # one page that cannot be drawn must not take the batch with it
        record |= {
            "status": "failed",
            "error": f"the page could not be drawn ({type(error).__name__}: {_one_line(str(error))})",
        }
        html.write(nbformat.v4.new_notebook(), record, aside / "report.html")  # type: ignore[no-untyped-call]
    _json(aside / "findings.json", html.findings(notebook))
    _json(aside / "actions.json", html.actions(notebook))
    _json(aside / "run.json", record)


def _one_page(sql: str, most: int = 3_000) -> str:
    """The first queries whole; the others are in the file beside the page."""
    if len(sql) <= most:
        return sql
    cut = sql.rfind(";\n\n", 0, most)
    left = sql.count(";\n\n", max(cut + 3, 0))
    shown = sql[: cut + 1] if cut > 0 else sql[:most]
    return f"{shown}\n\n-- queries.sql: + {left}"


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
