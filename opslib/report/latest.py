"""What the other reports found and proposed last: the weekly report repeats it, it never runs them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from opslib.report.earlier import last_day
from opslib.report.finding import Action, Finding
from opslib.report.index import runs
from opslib.report.neighbours import subject
from opslib.text import Clean, say

_FIELDS = ("level", "text", "metric", "value", "low", "high", "n", "base", "format", "no_interval", "spread")
_STEP = tuple(f.name for f in fields(Action))


def latest(
    source: str,
    *,
    lang: str,
    data: str = "",
    until: str = "",
    observed: str = "",
    outputs: str | Path = "outputs",
    levels: tuple[str, ...] = ("act", "watch", "good"),
    most: int = 10,
) -> list[Finding]:
    """The findings of the newest good run of every module (each campaign, each experiment of it) on the same data and in
    the same language, worst first, each after the name of its report; none of a report that itself repeats others.

    Parameters
    ----------
    source : the warehouse, as the runs' own parameter names it
    data : the data's fingerprint; what was found on other data, last month's, is left out
    until : ISO day; what was found about days after it is left out
    observed : ISO day, the last of the data: of a period that ends later (a plan, a campaign still running) only so much is known
    outputs : the folder of the runs
    levels, most : which levels, and how many findings in all; at most two of a module, so that one does not fill the page
    """
    found: list[tuple[int, Finding]] = []
    for run in _newest(Path(outputs), source, lang, data, until, observed):
        told = [f for f in run["findings"] if f["level"] in levels][:2]
        for f in told:
            said = say(
                zh="「{of}」：{text}", en="“{of}”: {text}", of=run["title"] or run["module"], text=Clean(f["text"])
            )
            stated = Finding(f"{run['module']}.{f['id']}", **{k: f[k] for k in _FIELDS if k in f} | {"text": said})
            found.append((levels.index(f["level"]), stated))
    return [finding for _, finding in sorted(found, key=lambda pair: pair[0])][:most]


def proposed(
    source: str,
    *,
    lang: str,
    data: str = "",
    until: str = "",
    observed: str = "",
    outputs: str | Path = "outputs",
    each: int = 2,
    most: int = 8,
) -> list[Action]:
    """The next actions of the same runs, the first `each` of every one, `most` in all; a run without a record of them has none."""
    found = []
    for run in _newest(Path(outputs), source, lang, data, until, observed):
        try:
            items = json.loads((Path(outputs) / run["folder"] / "actions.json").read_text(encoding="utf-8"))
            found += [_of(run, Action(**{k: item[k] for k in _STEP if k in item})) for item in items[:each]]
        except (OSError, ValueError, TypeError):
            continue
    return found[:most]


def _of(run: dict[str, Any], step: Action) -> Action:
    """The action after the name of its report, as findings stand: a campaign's step does not name its campaign."""
    title = say(zh="「{of}」：{title}", en="“{of}”: {title}", of=run["title"] or run["module"], title=Clean(step.title))
    return replace(step, title=title)


def _newest(outputs: Path, source: str, lang: str, data: str, until: str, observed: str) -> Iterator[dict[str, Any]]:
    seen = set()
    for run in runs(outputs):
        wanted = run["status"] == "ok" and run["source"] == source and run["lang"] == lang
        wanted = wanted and str(run.get("fingerprint", "")).startswith(data)
        known = min(last_day(run), observed or "9999")
        wanted = wanted and (not until or known <= until)
        if wanted and not run["reads_others"] and subject(run) not in seen:
            seen.add(subject(run))
            yield run
