"""What the other reports found last: the weekly report repeats their conclusions, it never runs them."""

from __future__ import annotations

from pathlib import Path

from opslib.report.finding import Finding
from opslib.report.index import runs
from opslib.report.neighbours import subject

_FIELDS = ("level", "text", "metric", "value", "low", "high", "n", "base", "format", "no_interval")


def latest(
    source: str,
    *,
    lang: str,
    outputs: str | Path = "outputs",
    levels: tuple[str, ...] = ("act", "watch", "good"),
    most: int = 10,
) -> list[Finding]:
    """The findings of the newest good run of every module (each campaign, each experiment of it) on the same data and in
    the same language, worst first; none of a report that itself repeats others.

    Parameters
    ----------
    source : the warehouse, as the runs' own parameter names it
    outputs : the folder of the runs
    levels, most : which levels, and how many findings in all; at most two of a module, so that one does not fill the page
    """
    found: list[tuple[int, Finding]] = []
    seen = set()
    for run in runs(Path(outputs)):
        module, what = run["module"], subject(run)
        wanted = run["status"] == "ok" and run["source"] == source and run["lang"] == lang
        if not wanted or run["reads_others"] or what in seen:
            continue
        seen.add(what)
        told = [f for f in run["findings"] if f["level"] in levels][:2]
        for f in told:
            stated = Finding(f"{module}.{f['id']}", **{k: f[k] for k in _FIELDS})
            found.append((levels.index(f["level"]), stated))
    return [finding for _, finding in sorted(found, key=lambda pair: pair[0])][:most]
