"""What comes and what goes, period by period: parts stacked upwards from zero, losses downwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from opslib import columns, text
from opslib.figures import axes as ax_
from opslib.figures.theme import Drawing, canvas, colour, grid, themed
from opslib.text import say


@themed
def stacks(
    frame: pd.DataFrame,
    *,
    x: str,
    up: Sequence[str],
    down: Sequence[str] = (),
    format: str = "",
    title: str = "",
    labels: Mapping[str, str] | None = None,
    height: float = 3.6,
) -> Drawing:
    """Stacked bars over time: the columns `up` above zero, `down` below it; each column has the colour of its name.

    Parameters
    ----------
    frame : one row a period, in order of x; the columns hold counts, 0 or more
    """
    frame = ax_.needs(frame, x, *up, *down)
    figure, ax = canvas(height)
    places = np.arange(len(frame))
    for names, sign in ((up, 1), (down, -1)):
        base = np.zeros(len(frame))
        for name in names:
            tall = sign * frame[name].to_numpy(float)
            ax.bar(places, tall, 0.72, bottom=base, color=colour(name))
            base += tall
    ax_.zero_line(ax, "y")
    grid(ax, "y")
    ax_.value_axis(ax, "y", format or columns.format_of(up[0], default="number"))
    step = -(-len(frame) // 8)
    ax.set_xticks(
        places[::step], [text.shown(str(v)[5:10] if ax_.is_time(frame[x]) else v, 14) for v in frame[x].iloc[::step]]
    )
    ax.margins(x=0.01)
    ax_.titles(ax, title)
    _name(ax, frame, up, down, labels, height)
    figure.alt = _alt(frame, x, [*up, *down], labels)
    return figure


def _name(
    ax, frame: pd.DataFrame, up: Sequence[str], down: Sequence[str], labels: Mapping[str, str] | None, height: float
) -> None:
    """Names at the right, level with the last bar's parts."""
    ends = []
    for names, sign in ((up, 1), (down, -1)):
        base = 0.0
        for name in names:
            tall = sign * float(frame[name].iloc[-1])
            ends.append((base + tall / 2, ax_.wording(name, labels), colour(name)))
            base += tall
    ax_.end_labels(ax, ends, height)


def _alt(frame: pd.DataFrame, x: str, names: Sequence[str], labels: Mapping[str, str] | None) -> str:
    last = frame.iloc[-1]
    parts = [f"{ax_.wording(name, labels)} {text.number(last[name])}" for name in names]
    return say(
        zh="堆叠柱状图，{n} 期；最后一期（{at}）：{parts}。",
        en="Stacked bars over {n} periods; the last one ({at}): {parts}.",
        n=len(frame),
        at=str(last[x])[:10],
        parts=ax_.listed(parts, 8),
    )
