"""What every kind of picture shares: checked columns, ticks in the reader's language, labels that do not overlap."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import matplotlib.dates as mdates
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import Formatter, MaxNLocator

from opslib import columns, privacy, text
from opslib.errors import TooLittleError, UsageError, near
from opslib.figures.theme import INK, LINE, SOFT, ink
from opslib.text import language, missing, say

SHOWN_NAMES = 4  # how many series an alt text spells out


def needs(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    """The frame, if it has rows and the columns.

    Raises
    ------
    UsageError      naming the missing column and the near miss.
    TooLittleError  if there is nothing to draw.
    """
    for name in filter(None, names):
        if name not in frame.columns:
            raise UsageError(f"figure: the table has no column {name!r}", near(name, map(str, frame.columns)))
    given, frame = len(frame), frame[~privacy.small_rows(frame)].reset_index(drop=True)
    if given and not len(frame):
        few = privacy.withheld()
        raise TooLittleError(say(zh="每一组都{few}，不画出", en="every group is of {few} and not drawn", few=few))
    if not len(frame):
        raise TooLittleError(
            say(zh="没有可画的数据：表中没有一行可以显示", en="nothing to draw: the table has no row that may be shown")
        )
    return frame


def gaps(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    """The frame with the values of groups too small to show left open, so that a line breaks there."""
    small = privacy.small_rows(frame)
    return frame.assign(**{n: frame[n].astype(float).mask(small) for n in names if n}) if small.any() else frame


def hidden(frame: pd.DataFrame) -> str:
    """How many groups are not drawn because they are too small."""
    count = int(privacy.small_rows(frame).sum())
    return (
        say(
            zh="{k} 组{few}，未画出。",
            en="{k} of {few} not drawn.",
            k=text.some(count, "group"),
            few=privacy.withheld(),
        )
        if count
        else ""
    )


def optional(frame: pd.DataFrame, name: str | None, default: str) -> str:
    """The column to use: the one named, or the usual one if the table has it, or none."""
    if name is None:
        return default if default in frame.columns else ""
    return name


def wording(name: str, labels: Mapping[str, str] | None, given: str | None = None) -> str:
    """An axis' words: what was given, or the column's label."""
    return columns.label(name, labels) if given is None else given


class Ticks(Formatter):
    """Tick labels as the language writes numbers: one unit for all ticks, no more digits than their spacing needs."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def format_ticks(self, values: Iterable[float]) -> list[str]:
        low, high = sorted(self.axis.get_view_interval()) if self.axis is not None else (float("-inf"), float("inf"))
        places = sorted({float(v) for v in values if low <= v <= high})
        return [self._word(float(value), places) for value in values]

    def __call__(self, value: float, pos: int | None = None) -> str:
        return self._word(float(value), [float(value)])

    def _word(self, value: float, locs: Sequence[float]) -> str:
        step = min((b - a for a, b in pairwise(locs)), default=1.0)
        if self.kind in ("percent", "fine", "change", "points"):
            sign = "+" if self.kind in ("change", "points") and value > 0 else ""
            return _plain(sign, value * 100, step * 100) + ("" if self.kind == "points" else "%")
        size, suffix = _unit(max(map(abs, locs), default=0.0))
        body = _plain("", value / size, step / size) + (suffix if value else "")
        return text.money(0)[:-1] + body if self.kind == "money" else body


def _unit(top: float) -> tuple[float, str]:
    if language() == "en" and 1e4 <= top < 1e6:
        return 1e3, "K"
    units = ((1e8, " 亿"), (1e4, " 万")) if language() == "zh" else ((1e9, "B"), (1e6, "M"))
    return next(((size, suffix) for size, suffix in units if top >= size), (1.0, ""))


def _plain(sign: str, value: float, step: float) -> str:
    if abs(value) < 1e-12:
        return "0"
    digits = next(
        (d for d in range(5) if abs(step * 10**d - round(step * 10**d)) < 1e-6 * 10**d and step * 10**d >= 1 - 1e-9), 4
    )
    body = f"{abs(value):,.{digits}f}"
    return ("−" if value < 0 and float(body.replace(",", "")) else sign if float(body.replace(",", "")) else "") + body


class _Room(MaxNLocator):
    """As many ticks as are asked for, or as the axis, once laid out, has room to label."""

    def __init__(self, most: int, **how: Any) -> None:
        super().__init__(most, **how)
        self.most = most

    def __call__(self) -> Any:
        if isinstance(self.axis, Axis):
            self.set_params(nbins=max(1, min(self.most, int(self.axis.get_tick_space() * 0.75))))
        return super().__call__()


def value_axis(ax: Axes, which: str, kind: str, bins: int = 5) -> None:
    """Number ticks of one axis."""
    axis = ax.xaxis if which == "x" else ax.yaxis
    whole = kind == "number" and max(map(abs, axis.get_view_interval())) >= bins
    axis.set_major_locator(_Room(bins, integer=whole, steps=[1, 2, 2.5, 5, 10] if not whole else [1, 2, 5, 10]))
    axis.set_major_formatter(Ticks(kind))


def is_time(values: pd.Series) -> bool:
    """True for dates and timestamps."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return True
    first = next((v for v in values if not missing(v)), None)
    return isinstance(first, dt.date)


class _Dates(mdates.ConciseDateFormatter):
    """Concise dates without leading zeros before 月."""

    def format_ticks(self, values: Any) -> list[str]:
        return [
            words[1:] if words.startswith("0") and words.endswith("月") else words
            for words in super().format_ticks(values)
        ]


def time_axis(ax: Axes) -> None:
    """Dates that do not overlap, in the language in use."""
    locator = mdates.AutoDateLocator(minticks=3, maxticks=7)
    if language() == "zh":
        words = _Dates(
            locator,
            formats=["%Y 年", "%m 月", "%m-%d", "%H:%M", "%H:%M", "%S.%f"],
            zero_formats=["", "%Y 年", "%m 月", "%m-%d", "%H:%M", "%H:%M"],
            offset_formats=["", "%Y 年", "%Y 年", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d %H:%M"],
        )
    else:
        words = _Dates(locator)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(words)


def end_days(ax: Axes, values: pd.Series) -> None:
    """The first and the last day alone, inside the axis: all that a narrow panel has room for."""
    first, last = values.min(), values.max()
    ax.set_xticks([first, last] if first != last else [first], [text.day(v) for v in dict.fromkeys((first, last))])
    sides: tuple[Literal["left", "right"], ...] = ("left", "right")
    for words, side in zip(ax.get_xticklabels(), sides, strict=False):  # a panel above another has no labels
        words.set_horizontalalignment(side)


def order_of(frame: pd.DataFrame, hue: str, order: Sequence[Any] = ()) -> list[Any]:
    """The series in the order asked for, the rest as they first appear."""
    found = list(dict.fromkeys(frame[hue]))
    return [h for h in order if h in found] + [h for h in found if h not in order]


def titles(ax: Axes, title: str = "", x: str = "", y: str = "") -> None:
    """The value axis' words stand level above it, where they can be read; a title comes before them."""
    head = text.shown(title, 60) if title else text.shown(y, 60)
    if head:
        ax.set_title(head, color=INK if title else SOFT, fontsize=13 if title else 12.5)
    if x:
        ax.set_xlabel(text.shown(x, 60))


def end_labels(ax: Axes, ends: Sequence[tuple[float, str, str]], height: float) -> None:
    """Names beside the lines' ends (value, words, colour), pushed apart until none covers another."""
    low, high = ax.get_ylim()
    gap = 18 / 72 / max(height - 0.9, 0.8)
    spots: list[float] = []
    ranked = sorted(ends, key=lambda e: e[0])
    for value, _, _ in ranked:
        wish = (value - low) / ((high - low) or 1)
        spots.append(max(wish, spots[-1] + gap) if spots else max(wish, 0.0))
    over = (spots[-1] if spots else 0) - 1.0
    if over > 0:
        for i in range(len(spots) - 1, -1, -1):
            limit = 1.0 if i == len(spots) - 1 else spots[i + 1] - gap
            spots[i] = min(spots[i], limit)
    for (_, words, fill), spot in zip(ranked, spots, strict=True):
        ax.annotate(
            words,
            (1, spot),
            xycoords="axes fraction",
            xytext=(6, 0),
            textcoords="offset points",
            color=ink(fill),
            va="center",
        )


def sizes(frame: pd.DataFrame, n: str) -> str:
    """n = 1,204, or the range that a series' sizes span."""
    if not n:
        return ""
    held = pd.to_numeric(frame[n], errors="coerce").dropna()
    if held.empty:
        return ""
    low, high = held.min(), held.max()
    return f"n = {text.number(low)}" if low == high else f"n = {text.number(low)}–{text.number(high)}"


def same_size(frame: pd.DataFrame, n: str) -> bool:
    """True if one sample size holds for all rows; then the caption says it once."""
    return bool(n) and frame[n].nunique(dropna=False) == 1


def brief(value: Any, kind: str, *, sign: bool = False) -> str:
    """A number without the unit that the axis' words carry."""
    return _no_unit(text.write(value, kind, sign=sign), kind)


def spanned(low: Any, high: Any, kind: str, *, sign: bool = False) -> str:
    return _no_unit(text.interval(low, high, kind, sign=sign), kind)


def _no_unit(words: str, kind: str) -> str:
    return words.removesuffix(" 个百分点").removesuffix(" pp") if kind == "points" else words


def with_unit(words: str, kind: str) -> str:
    """The axis' words with the unit that its numbers leave out."""
    if kind != "points" or "百分点" in words or "pp" in words:
        return words
    return say(zh="{words}，百分点", en="{words}, pp", words=words) if words else say(zh="百分点", en="pp")


def named(name: Any, size: str) -> str:
    if not size:
        return str(name)
    return f"{name}（{size}）" if language() == "zh" else f"{name} ({size})"


def zero_line(ax: Axes, which: str, at: float = 0.0) -> None:
    (ax.axvline if which == "x" else ax.axhline)(at, color=SOFT, linewidth=1.1, zorder=1.5)


def bare(ax: Axes) -> None:
    """No axis line under categories."""
    ax.spines["bottom"].set_visible(False)
    ax.spines["left"].set_visible(True)
    ax.spines["left"].set_color(LINE)


def listed(parts: Sequence[str], limit: int = SHOWN_NAMES) -> text.Clean:
    """The first parts of an alt text, and how many more there are."""
    mark = "；" if language() == "zh" else "; "
    more = len(parts) - limit
    end = say(zh="；另有 {n} 项", en="; {n} more", n=more) if more > 0 else ""
    return text.Clean(mark.join(parts[:limit]) + end)


def interval_note(has: bool) -> str:
    return say(zh="阴影或细线：95% 区间。", en="Bands and whiskers: 95% interval.") if has else ""
