"""The progress bar: there for a person who looks on, for text files and for Parquet, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from loading import event, write

CODE = """
import sys
from opslib import load, progress
progress._SHOW_AFTER, progress._EVERY = 0, 0.002  # a bar for a load that does not take long
load("events", sys.argv[1], sys.argv[2], progress=True)
"""


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return [event(f"e{n}", f"u{n % 99}", ts=f"2026-01-{1 + n % 28:02d} 10:00:00") for n in range(30_000)]


def load(path: Path, stderr: int) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", CODE, path, path.parent / "w"], stderr=stderr, check=True)


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_terminal_shows_how_far_a_load_is(tmp_path, rows, suffix):
    import fcntl
    import struct
    import termios

    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    # A pseudo-terminal holds a few kilobytes: somebody has to read while the load writes.
    reader = subprocess.Popen(["cat"], stdin=ours, stdout=subprocess.PIPE)
    load(write(tmp_path / f"rows{suffix}", rows), theirs)
    os.close(theirs)
    os.close(ours)
    assert reader.stdout
    shown = reader.stdout.read().decode()
    reader.wait()
    assert "load events, writing 2026-01: " in shown and "%|" in shown
    assert ("30.0k rows" in shown) == (suffix == ".csv")
    assert shown.split("\r")[-1].strip() == "", "the bar goes when the load is done"


def test_a_pipe_shows_nothing(tmp_path, rows):
    assert load(write(tmp_path / "rows.csv", rows[:100]), subprocess.PIPE).stderr == b""
