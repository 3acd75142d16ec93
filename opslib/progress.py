"""A progress bar on stderr, for a person who looks on: rows read from a text, then the share of each step."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

_SHOW_AFTER, _EVERY = 1.0, 0.25  # seconds


class Progress:
    """Shown on a terminal only, and only when it takes longer than a second."""

    def __init__(self, what: str, wanted: bool) -> None:
        from tqdm import tqdm

        self._what = what
        self._bar: Any = tqdm(
            desc=what, unit=" rows", unit_scale=True, delay=_SHOW_AFTER, leave=False, disable=None if wanted else True
        )
        self._begun = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def tick(self, rows: int) -> None:
        """So many more rows have been read."""
        self._bar.update(rows)

    @contextmanager
    def watching(self, con: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Inside, show how far the query is that runs on `con`."""
        if self._bar.disable:
            yield
            return
        con.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false")
        done = threading.Event()
        watcher = threading.Thread(target=self._poll, args=[con, done], daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    def step(self, name: str) -> None:
        """What is done from here on."""
        if not self._bar.disable:
            self._bar.n, self._bar.total = 0, 100
            self._bar.bar_format = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}"
            self._bar.desc = f"{self._what}, {name}"

    def _poll(self, con: duckdb.DuckDBPyConnection, done: threading.Event) -> None:
        while not done.wait(_EVERY):
            if self._bar.total and time.monotonic() - self._begun > _SHOW_AFTER:
                self._bar.n = max(con.query_progress(), 0)
                self._bar.refresh()
