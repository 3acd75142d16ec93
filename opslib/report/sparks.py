"""A small line that shows where a number comes from: inline SVG, in the text's colour, with its sentence."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from opslib import text
from opslib.text import missing, say

WIDE, TALL = 120, 30


def line(series: Sequence[Any], *, kind: str, small: bool = False) -> str:
    """The last periods as a line, oldest first; a missing period is a gap; nothing if fewer than two are known."""
    known = [(at, float(v)) for at, v in enumerate(series or []) if not missing(v)]
    if len(known) < 2:
        return ""
    low, high = min(v for _, v in known), max(v for _, v in known)
    step = (WIDE - 6) / (len(series) - 1)

    def place(at: int, value: float) -> str:
        up = (value - low) / (high - low) if high > low else 0.5
        return f"{3 + at * step:.1f},{TALL - 4 - up * (TALL - 8):.1f}"

    runs: list[list[str]] = [[]]
    last = None
    for at, value in known:
        if last is not None and at != last + 1:
            runs.append([])
        runs[-1].append(place(at, value))
        last = at
    drawn = "".join(f'<path d="M{" ".join(run)}"/>' for run in runs)
    end = place(*known[-1])
    return (
        f'<svg class="spark{" small" if small else ""}" viewBox="0 0 {WIDE} {TALL}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(_said(series, known, kind))}">{drawn}<path class="dot" d="M{end}h0"/></svg>'
    )


def _said(series: Sequence[Any], known: Sequence[tuple[int, float]], kind: str) -> str:
    values = [v for _, v in known]
    return say(
        zh="最近 {n} 期：从 {a} 到 {b}，最低 {low}，最高 {high}",
        en="The last {n} periods: from {a} to {b}, lowest {low}, highest {high}",
        n=len(series),
        a=text.write(values[0], kind),
        b=text.write(values[-1], kind),
        low=text.write(min(values), kind),
        high=text.write(max(values), kind),
    )
