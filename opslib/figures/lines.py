"""Lines over time or over day N, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from opslib import columns, text
from opslib.figures import axes as ax_
from opslib.figures.theme import INK, LINE, SOFT, WIDE, Drawing, canvas, colour, grid, themed
from opslib.text import missing, say


@themed
def curve(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    hue: str = "",
    low: str | None = None,
    high: str | None = None,
    n: str = "",
    format: str = "",
    order: Sequence[Any] = (),
    marks: Mapping[Any, str] | None = None,
    reference: float | None = None,
    zero: bool = False,
    title: str = "",
    y_title: str | None = None,
    x_title: str | None = None,
    labels: Mapping[str, str] | None = None,
    band: str = "",
    height: float = 3.3,
) -> Drawing:
    """Lines over `x` (days, weeks, day N), one for each value of `hue`, with bands from `low` to `high`.

    Parameters
    ----------
    frame : one row per (x, hue), in order of x
    low, high : the band; by default the columns of these names, where the table has both
    n : sample size, shown beside the name
    format : how y is written; by default as columns.yml says
    marks : x → words, drawn as a vertical line (a release, a campaign)
    reference : a level to compare with
    zero : start the value axis at zero
    band : what the band is, where it is no 95 % interval
    """
    low, high = ax_.optional(frame, low, "low"), ax_.optional(frame, high, "high")
    ax_.needs(frame, x, y, hue, low, high, n)
    small, frame = ax_.hidden(frame), ax_.gaps(frame.reset_index(drop=True), y, low, high)
    figure, ax = canvas(height)
    kind = format or columns.format_of(y, default="number")
    names = _lines(ax, frame, x, y, hue, low, high, order)
    _frame(ax, frame, x, kind, zero)
    ax_.titles(
        ax,
        title,
        ax_.wording(x, labels, x_title) if not ax_.is_time(frame[x]) else x_title or "",
        ax_.with_unit(ax_.wording(y, labels, y_title), kind),
    )
    _marks(ax, frame[x], marks or {}, reference)
    if hue:
        each = "" if ax_.same_size(frame, n) else n
        ends = [_end(frame[frame[hue] == h], y, each, columns.value_name(hue, h, 18), colour(h)) for h in names]
        ax_.end_labels(ax, [e for e in ends if e], height)
    figure.alt = _alt(frame, x, y, hue, names, kind, labels, y_title)
    note = text.shown(band) if band else ""
    figure.caption = _caption(
        frame, bool(low and high) and not note, "" if hue and not ax_.same_size(frame, n) else n, note, small
    )
    return figure


def _lines(
    ax: Axes,
    frame: pd.DataFrame,
    x: str,
    y: str,
    hue: str,
    low: str,
    high: str,
    order: Sequence[Any] = (),
    shade: str = "",
) -> list[Any]:
    names = ax_.order_of(frame, hue, order) if hue else [None]
    shades = {h: shade or colour(h) for h in names}
    data = frame.assign(**{x: _places(frame[x])})
    for name in names:
        rows = data[data[hue] == name] if hue else data
        if low and high:
            band = rows.dropna(subset=[low, high])
            ax.fill_between(
                band[x], band[low].astype(float), band[high].astype(float), color=shades[name], alpha=0.16, linewidth=0
            )
        alone = rows[y].notna().sum() == 1
        ax.plot(rows[x], rows[y].astype(float), "o" if alone else "-", color=shades[name])
    return names


def _places(values: pd.Series) -> pd.Series:
    """Where x stands: days as days, numbers as numbers, other texts in their order."""
    if ax_.is_time(values):
        return pd.to_datetime(values)
    return values if pd.api.types.is_numeric_dtype(values) else values.astype(str)


def _frame(ax: Axes, frame: pd.DataFrame, x: str, kind: str, zero: bool) -> None:
    grid(ax, "y")
    if zero:
        ax.set_ylim(bottom=0)
    ax_.value_axis(ax, "y", kind)
    ax.margins(x=0.01)
    if ax_.is_time(frame[x]):
        ax_.time_axis(ax)
    elif pd.api.types.is_numeric_dtype(frame[x]):
        ax_.value_axis(ax, "x", "number", 8)
    else:
        found = list(dict.fromkeys(frame[x].astype(str)))
        step = -(-len(found) // 8)
        ax.set_xticks(range(0, len(found), step), [text.shown(v, 14) for v in found[::step]])


def _marks(ax: Axes, values: pd.Series, marks: Mapping[Any, str], reference: float | None) -> None:
    if reference is not None:
        ax.axhline(reference, color=SOFT, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
    for at, words in marks.items():
        place = pd.Timestamp(at) if ax_.is_time(values) else at
        ax.axvline(place, color=SOFT, linewidth=1.1, zorder=1)
        ax.annotate(text.shown(words, 24), (place, 1), xycoords=("data", "axes fraction"), xytext=(4, -2), textcoords="offset points",
                    va="top", color=SOFT, fontsize=11.5)  # fmt: skip


def _end(rows: pd.DataFrame, y: str, n: str, name: str, shade: str) -> tuple[float, str, str] | None:
    held = rows.dropna(subset=[y])
    if held.empty:
        return None
    return float(held[y].iloc[-1]), ax_.named(name, ax_.sizes(rows, n)), shade


def _alt(
    frame: pd.DataFrame, x: str, y: str, hue: str, names: list[Any], kind: str, labels: Any, y_title: str | None
) -> str:
    parts = [
        _said(frame[frame[hue] == h] if hue else frame, x, y, columns.value_name(hue, h) if hue else "", kind)
        for h in names
    ]
    return say(
        zh="折线图，{what}。{parts}。",
        en="Line chart, {what}. {parts}.",
        what=ax_.wording(y, labels, y_title),
        parts=ax_.listed(parts),
    )


def _said(rows: pd.DataFrame, x: str, y: str, name: str, kind: str) -> str:
    held = rows.dropna(subset=[y])
    if held.empty:
        return say(zh="{name}：没有观察值", en="{name}: nothing observed", name=name or "–")
    first, last, lowest, highest = held.iloc[0], held.iloc[-1], held.loc[held[y].idxmin()], held.loc[held[y].idxmax()]
    words = say(
        zh="{a}（{ax}）到 {b}（{bx}），最低 {l}（{lx}），最高 {h}（{hx}）",
        en="{a} ({ax}) to {b} ({bx}), lowest {l} ({lx}), highest {h} ({hx})",
        a=text.write(first[y], kind), ax=_x(first[x]), b=text.write(last[y], kind), bx=_x(last[x]),
        l=text.write(lowest[y], kind), lx=_x(lowest[x]), h=text.write(highest[y], kind), hx=_x(highest[x]),
    )  # fmt: skip
    return say(zh="{name}：{words}", en="{name}: {words}", name=name, words=text.Clean(words)) if name else words


def _x(value: Any) -> str:
    if missing(value):
        return text.BLANK
    return (
        text.day(value)
        if hasattr(value, "isoformat")
        else f"{value:g}"
        if isinstance(value, int | float)
        else text.shown(value, 20)
    )


def _caption(frame: pd.DataFrame, banded: bool, n: str, *more: str) -> str:
    return " ".join(filter(None, [ax_.interval_note(banded), *more, ax_.sizes(frame, n)]))


@themed
def small_multiples(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    by: str,
    hue: str = "",
    low: str | None = None,
    high: str | None = None,
    n: str = "",
    format: str = "",
    title: str = "",
    y_title: str | None = None,
    labels: Mapping[str, str] | None = None,
    limit: int = 12,
) -> Drawing:
    """The same curve for each value of `by`, on one scale, side by side; the first `limit` values are drawn."""
    low, high = ax_.optional(frame, low, "low"), ax_.optional(frame, high, "high")
    ax_.needs(frame, x, y, by, hue, n)
    small, frame = ax_.hidden(frame), ax_.gaps(frame.reset_index(drop=True), y, low, high)
    names = ax_.order_of(frame, by)[:limit]
    across = 2 if len(names) == 4 else min(len(names), 3)
    rows = -(-len(names) // across)
    figure, found = canvas(1.75 * rows + 0.3, WIDE, columns=across, rows=rows, sharex=True, sharey=True)
    panels = found if isinstance(found, list) else [found]
    kind = format or columns.format_of(y, default="number")
    for ax, name in zip(panels, names, strict=False):
        part = frame[frame[by] == name]
        _lines(ax, part, x, y, hue, low, high, shade="" if hue else colour(name))
        _frame(ax, part, x, kind, False)
        if ax_.is_time(frame[x]):
            ax_.end_days(ax, frame[x])  # of all panels: they share the axis
        ax.set_title(columns.value_name(by, name, 18), fontsize=12.5, color=INK)
        ax.xaxis.get_offset_text().set_visible(False)
    for ax in panels[len(names) :]:
        ax.set_visible(False)
    if title:
        figure.suptitle(text.shown(title, 60), x=0.01, ha="left", fontsize=13)
    parts = [_said(frame[frame[by] == b], x, y, columns.value_name(by, b), kind) for b in names]
    what = ax_.wording(y, labels, y_title)
    figure.alt = say(
        zh="{k} 幅同尺度小图，{what}。{parts}。",
        en="{k} small charts on one scale, {what}. {parts}.",
        k=len(names),
        what=what,
        parts=ax_.listed(parts),
    )
    figure.caption = " ".join(
        filter(None, [say(zh="{what}。", en="{what}.", what=what), _caption(frame, bool(low and high), n, small)])
    )
    return figure


@themed
def calibration(
    frame: pd.DataFrame,
    *,
    predicted: str = "predicted",
    observed: str = "observed",
    low: str | None = None,
    high: str | None = None,
    n: str = "n",
    format: str = "percent",
    title: str = "",
    labels: Mapping[str, str] | None = None,
) -> Drawing:
    """Predicted against observed rates by group, with the line on which a perfect model would lie."""
    small, frame = ax_.hidden(frame), ax_.needs(frame, predicted, observed)
    low, high = ax_.optional(frame, low, "low"), ax_.optional(frame, high, "high")
    n = n if n in frame.columns else ""
    figure, ax = canvas(4.2, 5.4)
    top = float(max(frame[predicted].max(), frame[high or observed].max())) * 1.05 or 1.0
    ax.plot([0, top], [0, top], color=LINE, linewidth=1.6, zorder=1)
    if low and high:
        ax.vlines(frame[predicted], frame[low], frame[high], color=colour(), linewidth=1.6)
    sns.scatterplot(frame, x=predicted, y=observed, color=colour(), s=46, ax=ax, legend=False, zorder=3)
    for axis in "xy":
        ax_.value_axis(ax, axis, format)
    grid(ax, "y")
    ax.set_xlim(0, top)
    ax.set_ylim(0, top)
    x_words, y_words = ax_.wording(predicted, labels), ax_.wording(observed, labels)
    ax.set_xlabel(x_words)
    ax.set_ylabel("")
    ax_.titles(ax, title, x_words, y_words)
    worst = frame.loc[(frame[observed] - frame[predicted]).abs().idxmax()]
    figure.alt = say(
        zh="校准图，{k} 组。偏差最大的一组：预测 {p}，实际 {o}。",
        en="Calibration chart, {k} groups. The largest miss: predicted {p}, observed {o}.",
        k=len(frame), p=text.write(worst[predicted], format), o=text.write(worst[observed], format),
    )  # fmt: skip
    line = say(zh="灰线：完全准确。", en="Grey line: perfectly calibrated.")
    figure.caption = _caption(frame, bool(low and high), n, line, small)
    return figure
