"""A page as PDF, printed by a Chromium that is on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from opslib.errors import OpsError

TIMEOUT = 90  # seconds
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_MAC = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
# For one page from disk: no update, no sync, no request of its own.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--no-pdf-header-footer",
)  # fmt: skip


def browser() -> str:
    """The browser: CHROMIUM, or the first one found.

    Raises
    ------
    OpsError  if there is none.
    """
    named = os.environ.get("CHROMIUM")
    places = [named] if named else [*map(shutil.which, _NAMES), *(_MAC if sys.platform == "darwin" else ())]
    found = next((p for p in places if p and Path(p).exists()), None)
    if not found:
        raise OpsError("PDF: no Chromium found", "install chromium, or name it in the variable CHROMIUM")
    return found


def write(page: Path) -> Path:
    """Print `report.html` to `report.pdf` beside it and return that path.

    Raises
    ------
    OpsError  if there is no browser, or it gives no PDF.
    """
    target = page.with_suffix(".pdf")
    with tempfile.TemporaryDirectory(prefix="ops-pdf-") as scratch:
        aside = Path(scratch) / "page.pdf"
        command = [
            browser(),
            *FLAGS,
            f"--user-data-dir={scratch}/profile",
            f"--print-to-pdf={aside}",
            page.resolve().as_uri(),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
        except (OSError, subprocess.SubprocessError) as error:
            raise OpsError(
                f"PDF: the browser failed ({type(error).__name__})",
                "try it by hand: chromium --headless --print-to-pdf",
            ) from None
        if not aside.exists() or not aside.read_bytes().startswith(b"%PDF"):
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise OpsError(
                f"PDF: the browser wrote none ({last[:200]})", "try it by hand: chromium --headless --print-to-pdf"
            )
        shutil.move(aside, target)
    return target
