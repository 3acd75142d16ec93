"""Grids and flows: a cohort matrix, and who moves from which state to which."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from opslib import columns, privacy, text
from opslib.figures import axes as ax_
from opslib.figures.theme import INK, PALETTE, WIDE, Drawing, canvas, colour, themed
from opslib.text import missing, say

LEAN = 35  # degrees, of heads that are wider than their columns
WRITTEN = 130  # cells that carry their number; a larger grid shows colour only, the table has the numbers


@themed
def matrix(
    frame: pd.DataFrame,
    *,
    row: str = "cohort",
    column: str = "day_n",
    value: str = "rate",
    n: str = "size",
    format: str = "",
    center: float | None = None,
    title: str = "",
    value_title: str | None = None,
    row_title: str | None = None,
    column_title: str | None = None,
    labels: Mapping[str, str] | None = None,
    limit: int = 26,
) -> Drawing:
    """A heat map of one value for each (row, column); what has not been observed stays empty.

    Parameters
    ----------
    frame : one row per cell
    n : the row's size, shown beside its name
    center : the value of the neutral colour, for differences
    limit : the newest (last) rows that are drawn
    """
    small, frame = ax_.hidden(frame), ax_.needs(frame, row, column, value)
    kind = format or columns.format_of(value, default="percent")
    rows, cols = list(dict.fromkeys(frame[row]))[-limit:], list(dict.fromkeys(frame[column]))
    cells = (
        frame.drop_duplicates([row, column])
        .pivot(index=row, columns=column, values=value)
        .reindex(index=rows, columns=cols)
        .astype(float)
    )
    written: Any = (
        cells.map(lambda v: "" if missing(v) else _short(v, kind)).to_numpy() if cells.size <= WRITTEN else False
    )
    step = -(-len(cols) // 20)
    heads = [_head(column, c) for c in cols[::step]]
    sizes = frame.groupby(row, sort=False)[n].first() if n in frame.columns else None
    names = [_head(row, v) for v in rows]
    if sizes is not None:
        names = [
            ax_.named(name, f"n = {text.number(sizes[v])}" if not missing(sizes[v]) else "")
            for name, v in zip(names, rows, strict=True)
        ]
    lean = _lean(heads, WIDE - _widest(names) - (0.3 if written is not False else 1.5))  # a bar of colours takes more
    figure, ax = canvas(0.33 * len(rows) + 1.0 + lean, WIDE)
    shades = (
        sns.light_palette(PALETTE[0], as_cmap=True)
        if center is None
        else sns.diverging_palette(30, 250, s=90, l=45, as_cmap=True)
    )
    sns.heatmap(
        cells, cmap=shades, center=center, vmin=0 if center is None and cells.min().min() >= 0 else None, annot=written, fmt="",
        linewidths=1.2, linecolor="white", cbar=written is False, cbar_kws={"format": ax_.Ticks(kind), "shrink": 0.8}, ax=ax,
        annot_kws={"fontsize": 11},
    )  # fmt: skip
    for number in ax.texts:
        number.set_in_layout(False)  # they lie inside their cells: the layout need not measure them
    ax.set_yticks(np.arange(len(rows)) + 0.5, names, rotation=0, color=INK)
    how: Any = {"rotation": LEAN, "ha": "right", "rotation_mode": "anchor"} if lean else {"rotation": 0}
    ax.set_xticks(np.arange(0, len(cols), step) + 0.5, heads, **how)
    ax.set_ylabel("")
    ax.set_xlabel("")
    worded = column_title is None and all(isinstance(c, str) for c in cols)  # names say themselves what they are
    across = "" if worded else ax_.wording(column, labels, column_title)
    ax_.titles(ax, title, across, ax_.wording(value, labels, value_title))
    if title:
        ax.set_ylabel("")
    figure.alt = _matrix_alt(cells, row, column, kind, ax_.wording(value, labels, value_title))
    blank = say(zh="空白：尚未发生。", en="Blank: not yet observed.") if cells.isna().any().any() else ""
    figure.caption = f"{blank} {small}".strip()
    return figure


def _short(value: float, kind: str) -> str:
    return (
        text.percent(value, 0)
        if kind == "percent"
        else text.write(value, kind).replace(" 个百分点", "").replace(" pp", "")
    )


def _lean(heads: Sequence[str], room: float) -> float:
    """How far heads that are wider than their columns reach down when they lean, in inches; 0 where they fit upright."""
    widest = _widest(heads)
    return widest * float(np.sin(np.radians(LEAN))) if widest > room / max(len(heads), 1) else 0.0


def _widest(words: Sequence[str]) -> float:
    """About how wide the widest words beside an axis are, in inches."""
    ems = (sum(1.0 if unicodedata.east_asian_width(letter) in "WF" else 0.56 for letter in one) for one in words)
    return max(ems, default=0.0) * float(matplotlib.rcParams["xtick.labelsize"]) / 72


def _head(column: str, value: Any) -> str:
    return text.day(value) if hasattr(value, "isoformat") else columns.value_name(column, value, 20)


def _matrix_alt(cells: pd.DataFrame, row: str, column: str, kind: str, what: str) -> str:
    held = cells.stack().dropna()
    if held.empty:
        return say(zh="热力图，{what}，没有观察值。", en="Heat map, {what}, nothing observed.", what=what)
    (r1, c1), (r0, c0) = held.idxmax(), held.idxmin()
    return say(
        zh="热力图，{what}，{rows} 行 × {cols} 列。最高 {high}（{r1}，{c1}），最低 {low}（{r0}，{c0}）。",
        en="Heat map, {what}, {rows} rows × {cols} columns. Highest {high} ({r1}, {c1}), lowest {low} ({r0}, {c0}).",
        what=what, rows=len(cells), cols=len(cells.columns), high=text.write(held.max(), kind), low=text.write(held.min(), kind),
        r1=_head(row, r1), c1=_head(column, c1), r0=_head(row, r0), c0=_head(column, c0),
    )  # fmt: skip


@themed
def flows(
    frame: pd.DataFrame,
    *,
    source: str = "source",
    target: str = "target",
    value: str = "users",
    order: Sequence[Any] = (),
    source_title: str = "",
    target_title: str = "",
    title: str = "",
    labels: Mapping[str, str] | None = None,
) -> Drawing:
    """Who moves from which state to which: bands as thick as their users, from the left states to the right ones."""
    small, whole, frame = ax_.hidden(frame), frame, ax_.needs(frame, source, target, value)
    frame = frame[frame[value].astype(float) > 0].reset_index(drop=True)
    ax_.needs(frame)
    names = [*order, *(v for v in dict.fromkeys([*frame[source], *frame[target]]) if v not in order)]
    figure, ax = canvas(3.8, WIDE)
    total = float(frame[value].sum())
    left, right = _stack(frame, source, value, names, total), _stack(frame, target, value, names, total)
    used = {("l", k): b for k, (b, _) in left.items()} | {("r", k): b for k, (b, _) in right.items()}
    ranked = frame.assign(_s=frame[source].map(names.index), _t=frame[target].map(names.index)).sort_values(
        ["_s", "_t"]
    )
    for a, b, size in zip(ranked[source], ranked[target], ranked[value].astype(float), strict=True):
        share = size / total
        _band(ax, used["l", a], used["r", b], share, colour(a))
        used["l", a] += share
        used["r", b] += share
    # As a table tells them: less would tell the flow that is not drawn. Both sides sum to the same, so that the others
    # would tell the one state that is withheld: then the picture has no numbers.
    ends = [whole.groupby(column)[value].sum() for column in (source, target)]
    few = any(privacy.total(users) < users.sum() for users in ends)
    for x, side, ha, users in ((0.0, left, "right", ends[0]), (1.0, right, "left", ends[1])):
        for name, (bottom, share) in side.items():
            ax.add_patch(Rectangle((x - 0.012, bottom), 0.024, share, color=colour(name), linewidth=0))
            words = columns.value_name(source, name, 16) + ("" if few else f" {text.number(users[name])}")
            ax.annotate(
                words,
                (x, bottom + share / 2),
                xytext=(-12 if ha == "right" else 12, 0),
                textcoords="offset points",
                ha=ha,
                va="center",
            )
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(max(b + s for b, s in [*left.values(), *right.values()]) + 0.01, -0.01)
    ax.set_axis_off()
    ax_.titles(
        ax,
        title,
        "",
        "" if title else " → ".join(filter(None, [source_title, target_title])) or ax_.wording(value, labels),
    )
    top = frame.sort_values(value, ascending=False)
    said = [
        f"{columns.value_name(source, a)} → {columns.value_name(source, b)} {text.number(v)}"
        for a, b, v in zip(top[source], top[target], top[value], strict=True)
    ]
    figure.alt = say(
        zh="流向图，共 {t}。{parts}。",
        en="Flows, {t} in all. {parts}.",
        t=privacy.together(ends[1]),
        parts=ax_.listed(said, 6),
    )
    figure.caption = small
    return figure


def _stack(
    frame: pd.DataFrame, column: str, value: str, names: Sequence[Any], total: float
) -> dict[Any, tuple[float, float]]:
    """Each state's place from the top, with room between for its label."""
    sums = frame.groupby(column)[value].sum().astype(float)
    spots, at = {}, 0.0
    for name in (n for n in names if n in sums.index):
        share = float(sums[name]) / total
        room = max(0.0, 0.075 - share) / 2  # a thin state still needs a line of text
        spots[name] = (at + room, share)
        at += share + 2 * room + 0.02
    return spots


def _band(ax: Axes, top: float, other: float, share: float, shade: str) -> None:
    a, b = 0.012, 0.988
    mid = (a + b) / 2
    corners = [
        (a, top),
        (mid, top),
        (mid, other),
        (b, other),
        (b, other + share),
        (mid, other + share),
        (mid, top + share),
        (a, top + share),
        (a, top),
    ]
    codes = [
        Path.MOVETO,
        Path.CURVE4,
        Path.CURVE4,
        Path.CURVE4,
        Path.LINETO,
        Path.CURVE4,
        Path.CURVE4,
        Path.CURVE4,
        Path.CLOSEPOLY,
    ]
    ax.add_patch(PathPatch(Path(corners, codes), facecolor=shade, alpha=0.35, linewidth=0))
