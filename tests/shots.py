"""Pictures of every page as people see them: `python -m tests.shots` → outputs/shots.

Each report and the index, at desktop and phone width, light and dark; the example report of the tests in both languages.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
# Chromium for one page from disk: no update, no sync, no background request.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str | None:
    """The browser: CHROMIUM, or the usual place."""
    path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    return path if Path(path).exists() else None


@contextmanager
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            yield opened
        finally:
            opened.close()


def pages(root: Path) -> list[tuple[str, Path]]:
    """(name, file) of the newest report of each module and language, and of the index."""
    from opslib.report import index

    found: dict[str, Path] = {}
    for run in index.runs(root):
        found.setdefault(f"{run['module']}-{run['lang']}-{run['status']}", root / run["folder"] / "report.html")
    return [(name, path) for name, path in found.items() if path.exists()]


def shoot(browser: Any, file: Path, target: Path) -> list[Path]:
    """Four pictures of a page, whole length."""
    made = []
    for size, (width, height) in SIZES.items():
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(file.as_uri())
            made.append(target.with_name(f"{target.name}-{size}-{scheme}.png"))
            page.screenshot(path=made[-1], full_page=True)
            page.close()
    return made


def main() -> int:
    if not chromium():
        print("shots: no Chromium; install it or name it in CHROMIUM", file=sys.stderr)
        return 2
    from opslib.report import index

    outputs = ROOT / "outputs"
    target = outputs / "shots"
    target.mkdir(parents=True, exist_ok=True)
    with browser() as opened:
        for lang in ("zh", "en"):
            for path in shoot(opened, index.build(outputs, lang), target / f"index-{lang}"):
                print(path.relative_to(ROOT))
        for name, file in pages(outputs):
            for path in shoot(opened, file, target / name):
                print(path.relative_to(ROOT))
    index.build(outputs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
