"""Links from each report to the same report of the period before and after, and in the other language.

A report cannot know the one that comes after it. So every page carries two marks, and whenever the index is built the links
between them are worked out anew from the runs' records. `.links.json` beside the index remembers what stands on each page; a page
is written again (aside, then moved into place) only when its links have changed: one or two old pages for each new run.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from opslib.report.html import PERIODS
from opslib.text import say, shown, speaking

_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?|-?W\d{2})")  # a bare year may as well be an id
_TIMES = re.compile(r"\d{4}-W\d{2}|\d{4}-Q[1-4]|\d{4}-\d{2}(?:-\d{2})?")
_MEMORY = ".links.json"

Run = dict[str, Any]


def series(run: Run) -> str:
    """What two runs share that differ in their period alone: module, source, language and all parameters that are no dates."""
    fixed = {k: v for k, v in run["parameters"].items() if k in run.get("identity", {}) or not _is_date(v)}
    return json.dumps(
        [run["module"], run["source"], run["lang"], fixed], sort_keys=True, ensure_ascii=False, default=str
    )


def subject(run: Run) -> str:
    """What parts the reports of one module from each other, in full: a key, not to be shown."""
    return json.dumps([run["module"], *_named(run)], ensure_ascii=False, default=str)


def label(run: Run) -> str:
    """The module, and what its parameters make it a report of, shortened: campaign_retrospective · campaign_id = c05."""
    return " · ".join([run["module"], *(f"{name} = {shown(value, 40)}" for name, value in _named(run))])


def _named(run: Run) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in sorted(run["identity"].items()) if value not in ("", None)]


def _is_date(value: Any) -> bool:
    return value == "" or (isinstance(value, str) and bool(_DATE.fullmatch(value)))


def period(run: Run) -> str:
    """The period's short name, such as 2026-W46; the day of the run where the report names no period."""
    return re.split(r"[（(]", run["period"])[0].strip() or run["started"][:10]


def when(run: Run) -> tuple[str, ...]:
    """The dates that the period names, the last one first: the same in every language, and in the order of time."""
    return tuple(reversed(_TIMES.findall(run["period"]))) or (run["started"][:10],)


def links(runs: Iterable[Run]) -> dict[str, str]:
    """For each good run's folder, the HTML that stands on its page.

    Of several runs of one period the newest counts; an older one of the same period links to the same neighbours.
    """
    groups: dict[str, dict[tuple[str, ...], list[Run]]] = {}
    good = [run for run in runs if run["status"] in ("ok", "lacking")]
    for run in sorted(good, key=lambda r: r["started"], reverse=True):
        groups.setdefault(series(run), {}).setdefault(when(run), []).append(run)
    twins = {(_unspoken(run), run["lang"]): run for run in reversed(good)}
    found = {}
    for by_period in groups.values():
        order = sorted(by_period)
        for at, name in enumerate(order):
            before = by_period[order[at - 1]][0] if at else None
            after = by_period[order[at + 1]][0] if at + 1 < len(order) else None
            for run in by_period[name]:
                twin = twins.get((_unspoken(run), "en" if run["lang"] == "zh" else "zh"))
                found[run["folder"]] = _html(run, before, after, twin)
    return found


def _unspoken(run: Run) -> tuple[str, tuple[str, ...]]:
    """The same report whatever its language."""
    silent = {k: v for k, v in run["parameters"].items() if k != "lang"}
    return series(run | {"lang": "", "parameters": silent}), when(run)


def _html(run: Run, before: Run | None, after: Run | None, twin: Run | None) -> str:
    with speaking(run["lang"]):
        named = ((before, "prev", say(zh="上一期", en="Previous")), (after, "next", say(zh="下一期", en="Next")))
        marks = [(other, f'rel="{rel}"', f"{words} {shown(period(other), 26)}") for other, rel, words in named if other]
    if twin:
        lang, words = ("en", "English") if twin["lang"] == "en" else ("zh-CN", "中文")
        marks.append((twin, f'lang="{lang}" hreflang="{lang}"', words))
    return "".join(
        f'<a {extra} href="../../{escape(other["folder"])}/report.html">{escape(words)}</a>'
        for other, extra, words in marks
    )


def link(outputs: Path, runs: Iterable[Run]) -> int:
    """Bring the links on every page up to date; the number of pages written."""
    memory = outputs / _MEMORY
    try:
        known = dict(json.loads(memory.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        known = {}
    wanted = links(runs)
    changed = [folder for folder, html in wanted.items() if known.get(folder, "") != html]
    written = sum(_fill(outputs / folder / "report.html", wanted[folder]) for folder in changed)
    if changed or set(known) - set(wanted):
        aside = memory.with_suffix(f".{os.getpid()}")  # two runs may end at once
        aside.write_text(json.dumps(wanted, ensure_ascii=False, indent=0), encoding="utf-8")
        aside.replace(memory)
    return written


def _fill(page: Path, links: str) -> bool:
    """Put the links between the page's marks; a page without marks stays as it is."""
    try:
        old = page.read_text(encoding="utf-8")
    except OSError:
        return False
    first, last = old.find(PERIODS[0]), old.find(PERIODS[1])
    if first < 0 or last < first:
        return False
    new = old[: first + len(PERIODS[0])] + links + old[last:]
    if new == old:
        return False
    aside = page.with_name(f".report.{os.getpid()}")
    aside.write_text(new, encoding="utf-8")
    aside.replace(page)
    return True
