"""Dots: estimates with their intervals, and things placed by two numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from opslib import columns, text
from opslib.figures import axes as ax_
from opslib.figures.bars import _key, _rows
from opslib.figures.theme import INK, SOFT, WIDE, WIDTH, Drawing, canvas, colour, themed
from opslib.text import missing, say


@themed
def intervals(
    frame: pd.DataFrame,
    *,
    label: str,
    value: str,
    low: str = "low",
    high: str = "high",
    n: str = "",
    hue: str = "",
    format: str = "",
    reference: float | None = 0.0,
    reference_label: str = "",
    title: str = "",
    value_title: str | None = None,
    labels: Mapping[str, str] | None = None,
    limit: int = 24,
    meaning: str = "",
) -> Drawing:
    """Estimates with their intervals, one row each, and the line they are compared with; the numbers stand at the right.

    Parameters
    ----------
    frame : one row per label, in the order drawn
    reference : where "no difference" lies; None for no line
    hue : colours the dots (a verdict, a group)
    meaning : what dots and lines are, in a sentence, where they are no estimates with 95% intervals
    """
    small, frame = ax_.hidden(frame), ax_.needs(frame, label, value, low, high, n, hue).head(limit)
    each = "" if ax_.same_size(frame, n) else n
    kind = format or columns.format_of(value, default="number")
    figure, ax = canvas(0.4 * len(frame) + 0.8, WIDE if hue or reference_label else WIDTH)
    if reference is not None:
        ax_.zero_line(ax, "x", reference)
    said = []
    for place, row in frame.iterrows():
        shade = colour(row[hue]) if hue else colour()
        ax.hlines(place, row[low], row[high], color=shade, linewidth=2.2, capstyle="round")
        ax.plot(row[value], place, "o", color=shade, markersize=8)
        words = _both(row, value, low, high, kind)
        said.append(f"{columns.value_name(label, row[label])} {words}")
        ax.annotate(
            words,
            (1, place),
            xycoords=("axes fraction", "data"),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
        )
    _rows(
        ax,
        [
            ax_.named(columns.value_name(label, r[label], 28), ax_.sizes(frame.loc[[i]], each))
            for i, r in frame.iterrows()
        ],
    )
    ax_.value_axis(ax, "x", kind)
    ax_.titles(ax, title, "", ax_.with_unit(ax_.wording(value, labels, value_title), kind))
    if reference is not None and reference_label:
        ax.annotate(text.shown(reference_label, 24), (reference, 1), xycoords=("data", "axes fraction"), xytext=(4, 2), textcoords="offset points",
                    color=SOFT, fontsize=11)  # fmt: skip
    if hue:
        _key(ax, [(columns.value_name(hue, g, 16), colour(g)) for g in ax_.order_of(frame, hue)])
    clear = sum(
        1
        for _, r in frame.iterrows()
        if reference is not None and not missing(r[low]) and not r[low] <= reference <= r[high]
    )
    against = (
        say(zh="{c} 项的区间不含参照线", en="{c} intervals exclude the reference line", c=clear)
        if reference is not None
        else ""
    )
    figure.alt = say(
        zh="区间图，{what}，{k} 项，{against}。{parts}。" if against else "区间图，{what}，{k} 项。{parts}。{against}",
        en="Estimates with intervals, {what}, {k} rows, {against}. {parts}." if against else "Estimates with intervals, {what}, {k} rows. {parts}.{against}",
        what=ax_.wording(value, labels, value_title), k=len(frame), against=against, parts=ax_.listed(said, 6),
    )  # fmt: skip
    note = meaning or say(zh="圆点：估计值；横线：95% 区间。", en="Dot: estimate; line: 95% interval.")
    figure.caption = " ".join(filter(None, [note, "" if each else ax_.sizes(frame, n), small]))
    return figure


def _both(row: pd.Series, value: str, low: str, high: str, kind: str) -> str:
    words = ax_.brief(row[value], kind)
    if missing(row[low]) and missing(row[high]):
        return words
    return words + say(zh="（{span}）", en=" ({span})", span=ax_.spanned(row[low], row[high], kind))


@themed
def scatter(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    label: str = "",
    size: str = "",
    hue: str = "",
    x_format: str = "",
    y_format: str = "",
    x_title: str | None = None,
    y_title: str | None = None,
    title: str = "",
    labels: Mapping[str, str] | None = None,
    names: int = 12,
    splits: tuple[float, float] | None = None,
    corners: Sequence[str] = (),
) -> Drawing:
    """Things placed by two numbers, the first `names` of them labelled; `size` is told by the dots' area.

    Parameters
    ----------
    splits : where the lines of a quadrant stand (x, y)
    corners : the quadrants' names: top right, top left, bottom left, bottom right
    """
    small, frame = (
        ax_.hidden(frame),
        ax_.needs(frame, x, y, label, size, hue).dropna(subset=[x, y]).reset_index(drop=True),
    )
    ax_.needs(frame)
    figure, ax = canvas(4.4, WIDE)
    kinds = x_format or columns.format_of(x, default="number"), y_format or columns.format_of(y, default="number")
    groups = ax_.order_of(frame, hue) if hue else []
    sns.scatterplot(
        frame, x=x, y=y, size=size or None, sizes=(30, 420) if size else None, hue=hue or None, hue_order=groups or None, alpha=0.75,
        palette={g: colour(g) for g in groups} or None, color=None if hue else colour(), legend=False, linewidth=0.8, ax=ax,
        **({} if size else {"s": 55}),
    )  # fmt: skip
    ax.margins(0.1)
    for axis, kind in zip("xy", kinds, strict=True):
        ax_.value_axis(ax, axis, kind)
    ax.grid(visible=True)
    ax.spines["bottom"].set_visible(True)
    if splits:
        _quadrants(ax, splits, corners)
    words = ax_.wording(x, labels, x_title), ax_.wording(y, labels, y_title)
    ax.set_ylabel("")
    ax_.titles(ax, title, words[0], words[1])
    if label:
        _name_dots(ax, _dots(frame.head(names), x, y, label, frame[size] if size else None))
    if hue:
        _key(ax, [(columns.value_name(hue, g, 16), colour(g)) for g in groups])
    figure.alt = _alt(frame, x, y, label, kinds, words, splits, corners)
    area = say(zh="圆面积：{s}。", en="Dot area: {s}.", s=ax_.wording(size, labels)) if size else ""
    figure.caption = f"{area} {small}".strip()
    return figure


def _dots(
    rows: pd.DataFrame, x: str, y: str, label: str, sizes: pd.Series | None
) -> list[tuple[float, float, float, str]]:
    """Each dot's place, its radius in points and its name."""
    if sizes is None:
        radii = [4.0] * len(rows)
    else:
        spread = float(sizes.max() - sizes.min()) or 1.0
        radii = [((30 + 390 * float(v - sizes.min()) / spread) ** 0.5) / 2 for v in sizes.head(len(rows))]
    names = [columns.value_name(label, v, 14) for v in rows[label]]
    return list(zip(rows[x].astype(float), rows[y].astype(float), radii, names, strict=True))


def _quadrants(ax: Axes, splits: tuple[float, float], corners: Sequence[str]) -> None:
    ax.axvline(splits[0], color=SOFT, linewidth=1.1, zorder=1)
    ax.axhline(splits[1], color=SOFT, linewidth=1.1, zorder=1)
    places = ((1, 1, "right", "top"), (0, 1, "left", "top"), (0, 0, "left", "bottom"), (1, 0, "right", "bottom"))
    for name, (left, up, ha, va) in zip(corners, places, strict=False):
        ax.annotate(text.shown(name, 16), (left, up), xycoords="axes fraction", xytext=(5 - 10 * left, 4 - 8 * up), textcoords="offset points",
                    ha=ha, va=va, color=SOFT, fontsize=12)  # fmt: skip


def _name_dots(ax: Axes, dots: Sequence[tuple[float, float, float, str]]) -> None:
    """Names beside their dots: right, left, above or below, the first place where they cover no other; else left out."""
    taken: list[tuple[float, float, float, float]] = []
    wide, tall = 8.6 * 72 * 0.88, 4.4 * 72 * 0.8  # points, near enough to place words
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    spots = [((a - x0) / (x1 - x0) * wide, (b - y0) / (y1 - y0) * tall) for a, b, _, _ in dots]
    taken += [(px - r, py - r, px + r, py + r) for (px, py), (_, _, r, _) in zip(spots, dots, strict=True)]
    for (a, b, r, words), (px, py) in zip(dots, spots, strict=True):
        length = sum(12 if ord(c) > 0x2E80 else 7 for c in words)
        side, over = r + 5, r + 3
        for dx, dy, ha in (
            (side, -6, "left"),
            (-side - length, -6, "right"),
            (-length / 2, over, "center"),
            (-length / 2, -over - 12, "center"),
        ):
            box = (px + dx, py + dy, px + dx + length, py + dy + 13)
            if (
                box[0] < 0
                or box[2] > wide + 40
                or any(box[0] < t[2] and t[0] < box[2] and box[1] < t[3] and t[1] < box[3] for t in taken)
            ):
                continue
            at = {"left": side, "right": -side, "center": 0}[ha]
            ax.annotate(
                words,
                (a, b),
                xytext=(at, dy + 6),
                textcoords="offset points",
                ha=ha,
                va="center",
                fontsize=11.5,
                color=INK,
            )
            taken.append(box)
            break


def quadrant(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    x_split: float,
    y_split: float,
    corners: Sequence[str] = (),
    label: str = "",
    **more: Any,
) -> Drawing:
    """Things placed by two numbers against two dividing lines; `corners` names top right, top left, bottom left, bottom right."""
    return scatter(frame, x=x, y=y, label=label, splits=(x_split, y_split), corners=corners, **more)


def _alt(
    frame: pd.DataFrame,
    x: str,
    y: str,
    label: str,
    kinds: Sequence[str],
    words: Sequence[str],
    splits: Any,
    corners: Sequence[str],
) -> str:
    parts = []
    for _, row in frame.iterrows():
        name = columns.value_name(label, row[label]) if label else ""
        parts.append(f"{name} {text.write(row[x], kinds[0])} / {text.write(row[y], kinds[1])}".strip())
    return say(
        zh="散点图，{k} 个点；横轴 {x}，纵轴 {y}{q}。{parts}。", en="Scatter of {k} dots; across {x}, up {y}{q}. {parts}.",
        k=len(frame), x=words[0], y=words[1], q=_counts(frame, x, y, splits, corners), parts=ax_.listed(parts),
    )  # fmt: skip


def _counts(frame: pd.DataFrame, x: str, y: str, splits: Any, corners: Sequence[str]) -> str:
    if not splits or len(corners) != 4:
        return ""
    right, up = frame[x] >= splits[0], frame[y] >= splits[1]
    held = [(right & up).sum(), (~right & up).sum(), (~right & ~up).sum(), (right & ~up).sum()]
    return say(zh="；各区 ", en="; by quadrant ") + " · ".join(f"{c} {k}" for c, k in zip(corners, held, strict=True))
