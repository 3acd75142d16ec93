"""A PostgreSQL server of the tests' own: made in a temporary folder, reached by a socket in it, gone afterwards.

It needs Debian's package `postgresql` and the driver `psycopg`; `missing()` says what is not there.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

USER = "postgres"  # who runs the server where we are root, which PostgreSQL refuses


def tool(name: str) -> str | None:
    """A program of PostgreSQL, in the path or where Debian keeps them; the newest version."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: int(p.parts[-3]))
    return str(found[-1]) if found else shutil.which(name)


def missing() -> str:
    """What keeps the second engine from running; empty if nothing does."""
    if not (tool("initdb") and tool("pg_ctl")):
        return "PostgreSQL is not installed (Debian: apt-get install postgresql)"
    if importlib.util.find_spec("psycopg") is None:
        return "its driver is not installed (pip install 'psycopg[binary]')"
    return ""


@contextmanager
def server() -> Iterator[Any]:
    """A connection to a fresh server without any table; it listens on no port."""
    import ibis

    folder = Path(tempfile.mkdtemp(prefix="opslib-pg-", dir="/tmp"))  # a socket's path must be short
    other = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if os.geteuid() == 0 else []
    if other:
        shutil.chown(folder, USER)

    def run(name: str, *words: str) -> None:
        with (folder.parent / f"{folder.name}.log").open("a") as log:
            # The server keeps what it is given as output, so a pipe would never end.
            subprocess.run([*other, str(tool(name)), "-D", str(folder / "data"), *words], check=True, stdout=log, stderr=log)  # fmt: skip

    try:
        run("initdb", "-U", "opslib", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync")
        run("pg_ctl", "-w", "-o", f"-c listen_addresses='' -k {folder} -c fsync=off -c jit=off", "start")
        try:
            con = ibis.postgres.connect(host=str(folder), user="opslib", database="postgres")
            yield con
            con.disconnect()
        finally:
            run("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        (folder.parent / f"{folder.name}.log").unlink(missing_ok=True)
