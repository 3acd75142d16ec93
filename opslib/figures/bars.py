"""Bars: amounts by name, and the steps of a funnel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from opslib import columns, text
from opslib.figures import axes as ax_
from opslib.figures.theme import INK, Drawing, canvas, colour, grid, mixed, themed
from opslib.text import missing, say

ROW = 0.36  # inches a bar takes


@themed
def bars(
    frame: pd.DataFrame,
    *,
    label: str,
    value: str,
    hue: str = "",
    low: str | None = None,
    high: str | None = None,
    n: str = "",
    format: str = "",
    order: Sequence[Any] = (),
    by_name: bool = False,
    title: str = "",
    value_title: str | None = None,
    labels: Mapping[str, str] | None = None,
    limit: int = 24,
) -> Drawing:
    """One bar for each row, in the table's order, with its number beside it and its interval as a whisker.

    Parameters
    ----------
    frame : one row per label, or per (label, hue)
    n : sample size, shown with the name
    by_name : each bar in the colour of its own name (channels, platforms) instead of one colour for all
    limit : so many rows are drawn; the table beside the figure holds the rest
    """
    small, frame = ax_.hidden(frame), ax_.needs(frame, label, value, hue, n)
    low, high = ax_.optional(frame, low, "low"), ax_.optional(frame, high, "high")
    each = "" if ax_.same_size(frame, n) else n
    kind = format or columns.format_of(value, default="number")
    heads = list(dict.fromkeys(frame[label]))[:limit]
    groups = ax_.order_of(frame, hue, order) if hue else [None]
    figure, ax = canvas(ROW * len(heads) * (1 if len(groups) < 2 else 0.72 * len(groups) + 0.25) + 0.75)
    tall = (0.68 if len(groups) == 1 else 0.84) / len(groups)
    said = []
    for i, group in enumerate(groups):
        rows = frame[frame[hue] == group] if hue else frame
        rows = rows[rows[label].isin(heads)].dropna(subset=[value])
        places = [heads.index(v) + (i - (len(groups) - 1) / 2) * tall for v in rows[label]]
        shades = [colour(group if hue else v if by_name else None) for v in rows[label]]
        ax.barh(places, rows[value].astype(float), height=tall * 0.92, color=shades)
        _whiskers(ax, rows, places, low, high)
        _numbers(ax, rows, places, value, low, high, kind)
        said += _pairs(rows, label, value, hue, group, kind)
    _rows(ax, [ax_.named(columns.value_name(label, h, 22), ax_.sizes(frame[frame[label] == h], each)) for h in heads])
    ax.margins(x=0.14)
    ax_.value_axis(ax, "x", kind)
    if frame[value].min() < 0:
        ax_.zero_line(ax, "x")
    ax_.titles(ax, title, "", ax_.with_unit(ax_.wording(value, labels, value_title), kind))
    if hue:
        _key(ax, [(columns.value_name(hue, g, 16), colour(g)) for g in groups])
    figure.alt = say(
        zh="条形图，{what}。{parts}。",
        en="Bar chart, {what}. {parts}.",
        what=ax_.wording(value, labels, value_title),
        parts=ax_.listed(said, 6),
    )
    notes = [ax_.interval_note(bool(low and high)), "" if each else ax_.sizes(frame, n), small]
    figure.caption = " ".join(filter(None, notes))
    return figure


def _pairs(rows: pd.DataFrame, label: str, value: str, hue: str, group: Any, kind: str) -> list[str]:
    extra = f"{columns.value_name(hue, group)} · " if hue else ""
    return [
        f"{extra}{columns.value_name(label, name)} {text.write(v, kind)}"
        for name, v in zip(rows[label], rows[value], strict=True)
    ]


def _whiskers(ax: Axes, rows: pd.DataFrame, places: Sequence[float], low: str, high: str) -> None:
    if low and high:
        ax.hlines(places, rows[low].astype(float), rows[high].astype(float), color=INK, linewidth=1.4, zorder=3)


def _numbers(ax: Axes, rows: pd.DataFrame, places: Sequence[float], value: str, low: str, high: str, kind: str) -> None:
    for place, (_, row) in zip(places, rows.iterrows(), strict=True):
        ends = [row[value]] + ([row[high], row[low]] if low and high else [])
        held = [e for e in ends if not missing(e)]
        back = row[value] < 0
        ax.annotate(ax_.brief(row[value], kind), (min([*held, 0]) if back else max([*held, 0]), place), xytext=(-5 if back else 5, 0),
                    textcoords="offset points", va="center", ha="right" if back else "left", fontsize=12)  # fmt: skip


def _rows(ax: Axes, names: Sequence[str]) -> None:
    """Names at the left, the first row on top."""
    ax.set_yticks(range(len(names)), names, color=INK)
    ax.set_ylim(len(names) - 0.45, -0.55)
    grid(ax, "x")
    ax_.bare(ax)


def _key(ax: Axes, names: Sequence[tuple[str, str]]) -> None:
    """The colours' names, above the drawing at the right."""
    from matplotlib.patches import Patch

    ax.legend(
        handles=[Patch(color=shade, label=name) for name, shade in names], loc="lower right", bbox_to_anchor=(1, 1), ncols=len(names),
        frameon=False, borderaxespad=0.1, handlelength=0.9, handleheight=0.9, columnspacing=1.2, fontsize=12,
    )  # fmt: skip


@themed
def steps(
    frame: pd.DataFrame,
    *,
    step: str = "event",
    users: str = "users",
    rate: str = "rate",
    low: str | None = None,
    high: str | None = None,
    n: str = "entered",
    hue: str = "",
    title: str = "",
    labels: Mapping[str, str] | None = None,
) -> Drawing:
    """A funnel: a bar of users for each step, and the share of the step before that arrives, with its interval.

    Parameters
    ----------
    frame : one row per step in its order, or per (step, hue); with `hue` the bars are the step rates
    n : users who could arrive (the step before); the pale part of a bar is who did not
    """
    small, frame = ax_.hidden(frame), ax_.needs(frame, step, users, hue)
    if hue:
        rates = frame.dropna(subset=[rate])
        return bars(
            rates, label=step, value=rate, hue=hue, low=low, high=high, format="percent", title=title, labels=labels
        )
    low, high = ax_.optional(frame, low, "low"), ax_.optional(frame, high, "high")
    figure, ax = canvas(0.5 * len(frame) + 0.75)
    places = list(range(len(frame)))
    if n in frame.columns:
        ax.barh(places, frame[n].astype(float), height=0.62, color=mixed(colour(), "#ffffff", 0.82))
        if low and high:
            whisker = frame.dropna(subset=[low, high, n])
            ax.hlines(
                whisker.index, whisker[low] * whisker[n], whisker[high] * whisker[n], color=INK, linewidth=1.5, zorder=3
            )
    ax.barh(places, frame[users].astype(float), height=0.62, color=colour())
    said = [_kept(row, users, rate, low, high, first=place == 0) for place, row in frame.iterrows()]
    edges = [float(max(v for v in (row[users], row.get(n, 0)) if not missing(v))) for _, row in frame.iterrows()]
    for place, (words, edge) in enumerate(zip(said, edges, strict=True)):
        ax.annotate(words, (edge, place), xytext=(6, 0), textcoords="offset points", va="center")
    _rows(ax, [columns.value_name(step, s, 22) for s in frame[step]])
    ax_.value_axis(ax, "x", "number")
    ax.set_xlim(0, _room(said, edges))
    ax.set_xticks([t for t in ax.get_xticks() if t <= float(frame[users].max()) * 1.05])
    ax_.titles(ax, title, "", ax_.wording(users, labels))
    told = [f"{columns.value_name(step, name)} {words}" for name, words in zip(frame[step], said, strict=True)]
    figure.alt = say(
        zh="漏斗图，{k} 步：{parts}。", en="Funnel of {k} steps: {parts}.", k=len(frame), parts=ax_.listed(told, 8)
    )
    figure.caption = say(
        zh="每步旁：人数 · 占上一步的比例（95% 区间）。浅色：没有走到这一步的人。",
        en="Beside each step: users · share of the step before (95% interval). Pale: users who did not arrive.",
    )
    figure.caption = f"{figure.caption} {small}".strip()
    return figure


def _room(words: Sequence[str], ends: Sequence[float], wide: float = 470.0) -> float:
    """Where the axis must end so that the words beside each bar fit (`wide`: the axis in points)."""
    lengths = [sum(13.5 if c > "\u2e80" else 7.6 for c in w) + 10 for w in words]
    return max(end / max(1 - length / wide, 0.3) for end, length in zip(ends, lengths, strict=True))


def _kept(row: pd.Series, users: str, rate: str, low: str, high: str, *, first: bool) -> str:
    words = text.number(row[users])
    if first or rate not in row.index or missing(row[rate]):
        return words
    words += f" · {text.percent(row[rate])}"
    if low and high and not missing(row[low]):
        span = text.interval(row[low], row[high], "percent")
        words += say(zh="（{span}）", en=" ({span})", span=span)
    return words
