"""What a change is made of, and how values are spread."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pandas as pd

from opslib import columns, text
from opslib.figures import axes as ax_
from opslib.figures.bars import _key, _rows
from opslib.figures.theme import FIXED, INK, LINE, SOFT, Drawing, canvas, colour, grid, mixed, themed
from opslib.text import missing, say


@themed
def waterfall(
    frame: pd.DataFrame,
    *,
    label: str,
    value: str,
    start: float,
    end: float,
    start_label: str,
    end_label: str,
    low: str | None = None,
    high: str | None = None,
    format: str = "percent",
    change_format: str = "points",
    good: str = "up",
    title: str = "",
    value_title: str = "",
    labels: Mapping[str, str] | None = None,
) -> Drawing:
    """What a change from `start` to `end` is made of: one floating bar for each part, its number and interval at the right.

    Parameters
    ----------
    frame : one row per part, in the order drawn; the parts add up to end − start
    format, change_format : how the levels and the parts are written
    good : the direction that is good news, "up" or "down"; "" for neither
    """
    frame = ax_.needs(frame, label, value)
    low, high = ax_.optional(frame, low, "low"), ax_.optional(frame, high, "high")
    figure, ax = canvas(0.42 * (len(frame) + 2) + 0.75)
    edges = [start, *(start + frame[value].astype(float).fillna(0).cumsum())]
    rises = {"up": FIXED["good"], "down": FIXED["act"], "": colour()}[good]
    falls = {"up": FIXED["act"], "down": FIXED["good"], "": colour("android")}[good]
    for i, (before, after) in enumerate(pairwise(edges), start=1):
        ax.barh(i, after - before, left=before, height=0.6, color=rises if after >= before else falls)
        ax.plot([before, before], [i - 1.35, i + 0.3], color=SOFT, linewidth=0.9, zorder=0)
    last = len(frame) + 1
    ax.plot([edges[-1], edges[-1]], [last - 1.35, last + 0.3], color=SOFT, linewidth=0.9, zorder=0)
    ax.plot([start, end], [0, last], "D", color=SOFT, markersize=9, clip_on=False)
    names = [columns.value_name(label, v, 24) for v in frame[label]]
    _rows(ax, [text.shown(start_label, 24), *names, text.shown(end_label, 24)])
    said = [_part(row, value, low, high, change_format) for _, row in frame.iterrows()]
    for place, words in enumerate([text.write(start, format), *said, text.write(end, format)]):
        ax.annotate(
            words,
            (1, place),
            xycoords=("axes fraction", "data"),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
        )
    ax_.value_axis(ax, "x", format)
    ax.margins(x=0.06)
    ax_.titles(ax, title, "", ax_.with_unit(value_title, change_format))
    figure.alt = say(
        zh="瀑布图：从 {a}（{al}）到 {b}（{bl}）。{parts}。", en="Waterfall from {a} ({al}) to {b} ({bl}). {parts}.",
        a=text.write(start, format), b=text.write(end, format), al=start_label, bl=end_label,
        parts=ax_.listed([f"{name} {words}" for name, words in zip(names, said, strict=True)], 8),
    )  # fmt: skip
    figure.caption = say(zh="横轴不从零开始。", en="The axis does not start at zero.") if min(edges) > 0 else ""
    return figure


def _part(row: pd.Series, value: str, low: str, high: str, kind: str) -> str:
    words = ax_.brief(row[value], kind, sign=True)
    if not low or not high or missing(row[low]):
        return words
    return words + say(zh="（{span}）", en=" ({span})", span=ax_.spanned(row[low], row[high], kind, sign=True))


@themed
def histogram(
    frame: pd.DataFrame,
    *,
    left: str = "left",
    right: str = "right",
    count: str = "users",
    hue: str = "",
    format: str = "number",
    marks: Mapping[float, str] | None = None,
    x_title: str = "",
    y_title: str | None = None,
    title: str = "",
    labels: Mapping[str, str] | None = None,
) -> Drawing:
    """How values are spread: one bar for each bin (`left` inclusive to `right`), with marks such as the median."""
    ax_.needs(frame, left, right, count, hue)
    small, frame = ax_.hidden(frame), ax_.gaps(frame.reset_index(drop=True), count)
    figure, ax = canvas(3.0)
    for group in ax_.order_of(frame, hue) if hue else [None]:
        rows = frame[frame[hue] == group] if hue else frame
        heights, edges = rows[count].astype(float), [*rows[left].astype(float), float(rows[right].iloc[-1])]
        if hue:
            ax.stairs(heights, edges, color=colour(group), linewidth=2.2)
        else:
            ax.stairs(heights, edges, fill=True, color=mixed(colour(), "#ffffff", 0.25), edgecolor="white", linewidth=0)
            ax.vlines(
                edges[1:-1],
                0,
                [min(a, b) for a, b in pairwise(heights)],
                color="white",
                linewidth=0.8,
            )
    grid(ax, "y")
    ax.set_ylim(bottom=0)
    ax.margins(x=0.01)
    ax_.value_axis(ax, "y", "number", 4)
    ax_.value_axis(ax, "x", format, 7)
    for at, words in (marks or {}).items():
        ax.axvline(at, color=INK, linewidth=1.2)
        ax.annotate(
            text.shown(words, 30),
            (at, 1),
            xycoords=("data", "axes fraction"),
            xytext=(5, -2),
            textcoords="offset points",
            va="top",
        )
    ax.spines["bottom"].set_color(LINE)
    ax_.titles(ax, title, x_title, ax_.wording(count, labels, y_title))
    if hue:
        _key(ax, [(columns.value_name(hue, g, 16), colour(g)) for g in ax_.order_of(frame, hue)])
    top = frame.loc[frame[count].astype(float).idxmax()]
    figure.alt = say(
        zh="直方图，{what}。最多的一段是 {a} 到 {b}，{c}。{marks}", en="Histogram, {what}. The fullest bin is {a} to {b} with {c}. {marks}",
        what=x_title or ax_.wording(count, labels, y_title), a=text.write(top[left], format), b=text.write(top[right], format),
        c=text.number(top[count]), marks=text.Clean("; ".join(marks.values()) if marks else ""),
    ).strip()  # fmt: skip
    figure.caption = small
    return figure
