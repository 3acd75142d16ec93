"""Pictures of every page as people see them: `make shots` → outputs/shots, cut into pieces that can be looked at in their full size.

The newest report of each module, language, source and subject, and the index in both languages, at desktop and phone width. A few
seconds a page. `python -m tests.shots 'content*zh*' --media dark,print` takes some pages only, in the dark or as printed.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
WIDTHS = {"desktop": 1280, "phone": 390}
MEDIA: dict[str, dict[str, str]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "print": {"media": "print", "color_scheme": "light"},
}
SLICE = 1600  # pixels of height a piece
STRIPS = 4  # pieces of a phone's page side by side in one picture
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
    """(name, file) of the newest report of each module, source, subject, language and status."""
    from opslib.report import index

    found: dict[str, Path] = {}
    for run in index.runs(root):
        subject = [str(value) for value in run["identity"].values() if value]
        name = "-".join([run["module"], Path(run["source"]).name, *subject, run["lang"], run["status"]])
        found.setdefault(name, root / run["folder"] / "report.html")
    return [(name, path) for name, path in found.items() if path.exists()]


def shoot(browser: Any, file: Path, target: Path, media: str = "light") -> list[Path]:
    """The page's whole length at each width, in pieces."""
    made = []
    for size, width in WIDTHS.items():
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.emulate_media(**MEDIA[media])
        page.goto(file.as_uri())
        whole = target.with_name(f"{target.name}-{size}-{media}.png")
        page.screenshot(path=whole, full_page=True)
        page.close()
        made += cut(whole, 1 if size == "desktop" else STRIPS)
    return made


def cut(whole: Path, strips: int) -> list[Path]:
    """The picture in pieces of `strips` slices side by side; the whole is removed."""
    from PIL import Image

    made = []
    with Image.open(whole) as image:
        width, height = image.size
        tops = range(0, height, SLICE)
        for number, first in enumerate(tops[::strips], 1):
            row = [top for top in tops if first <= top < first + strips * SLICE]
            piece = Image.new("RGB", (len(row) * (width + 12) - 12, min(SLICE, height - first)), "#888")
            for place, top in enumerate(row):
                piece.paste(image.crop((0, top, width, min(top + SLICE, height))), (place * (width + 12), 0))
            made.append(whole.with_name(f"{whole.stem}-{number:02d}.png"))
            piece.save(made[-1])
    whole.unlink()
    return made


def indexes(outputs: Path, target: Path) -> Iterator[tuple[str, Path]]:
    """The index in both languages, set aside; the one in `outputs` is Chinese afterwards."""
    from opslib.report import index

    for lang in ("en", "zh"):
        aside = target / f"index-{lang}.html"
        aside.write_bytes(index.build(outputs, lang).read_bytes())
        yield f"index-{lang}", aside


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.shots", description=(__doc__ or "").splitlines()[0])
    asked.add_argument(
        "only", nargs="*", default=["*"], help="patterns of names, such as 'weekly_report*zh*' or 'index*'"
    )
    asked.add_argument("--media", default="light", help="light, dark or print, or some of them (default: light)")
    options = asked.parse_args()
    if not chromium():
        print("shots: no Chromium; install it or name it in CHROMIUM", file=sys.stderr)
        return 2
    outputs = ROOT / "outputs"
    target = outputs / "shots"
    target.mkdir(parents=True, exist_ok=True)
    with browser() as opened:
        for name, file in [*indexes(outputs, target), *pages(outputs)]:
            if any(fnmatch.fnmatch(name, pattern) for pattern in options.only):
                for media in options.media.split(","):
                    made = shoot(opened, file, target / name, media)
                    print(f"{made[0].relative_to(ROOT)} … {len(made)} pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
