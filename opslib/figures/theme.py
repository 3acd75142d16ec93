"""The one look of every figure: fonts, colours by name, sizes; the drawing that carries its own alt text."""

from __future__ import annotations

import zlib
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from opslib.errors import TooLittleError

WIDTH = 7.0  # inches: a phone shows this at 390 px, where 13 points are 10 px
WIDE = 8.6  # where cells, panels or names beside names need the room
DPI = 112
COLOURS = (24, 32, 40, 64, 96)  # of a picture's palette, as many as keep
LEVELS_OFF, SHARE_OFF = 32, 0.003  # all but this share of pixels within so many of 255 levels
SHOWN = 80  # pixels of a desktop an inch
INK, SOFT, LINE = "#1b1f24", "#57606a", "#d8dee4"

# Eight colours that stay apart (ΔE ≥ 17) in normal sight and under protanopia, deuteranopia and tritanopia, and stand out
# from white at 3:1 or more; tests/test_figures.py measures both.
PALETTE = ("#0072B2", "#FE6100", "#009E73", "#785EF0", "#CC79A7", "#8C510A", "#332288", "#AA3377")
_BLUE, _ORANGE, _GREEN, _VIOLET, _PINK, _BROWN, _INDIGO, _WINE = PALETTE

# The same name has the same colour in every figure; these have theirs in every report too.
FIXED = {
    "act": "#b42318", "watch": "#9a5b00", "good": "#1a7f37", "info": SOFT,
    "ios": _BLUE, "android": _GREEN, "web": _ORANGE, "mini_program": _VIOLET,
    "new": _BLUE, "retained": _GREEN, "current": _GREEN, "resurrected": _VIOLET, "returning": _VIOLET, "dormant": _ORANGE, "lost": _BROWN,
    "active": _INDIGO, "silent": _PINK, "churned": _BROWN, "unseen": _ORANGE,
    "control": SOFT, "paid": _ORANGE, "free": _GREEN, "offline": _BROWN, "PGC": _BLUE, "UGC": _ORANGE,
    "actual": INK, "forecast": _BLUE, "pace": SOFT, "other": "#7d8590", "(none)": "#7d8590", "(other)": "#7d8590",
}  # fmt: skip

_given: dict[str, str] = {}


def colour(name: Any = None) -> str:
    """The colour of a name: fixed for known names; for others the name's own slot or the next free one, kept for the process."""
    if name is None:
        return PALETTE[0]
    text = str(name)
    if text in FIXED:
        return FIXED[text]
    if text not in _given:
        _given[text] = _free(zlib.crc32(text.encode()) % len(PALETTE))
    return _given[text]


def _free(start: int) -> str:
    """The first colour from `start` on that no other name has; after eight names darker and lighter kinds of the eight."""
    taken = set(_given.values())
    for amount, towards in ((0.0, INK), (0.45, INK), (0.35, "#ffffff"), (0.25, INK), (0.5, "#ffffff")):
        for step in range(len(PALETTE)):
            found = mixed(PALETTE[(start + step) % len(PALETTE)], towards, amount)
            if found not in taken:
                return found
    return PALETTE[start]


def mixed(first: str, second: str, amount: float) -> str:
    """`first` with `amount` (0..1) of `second` in it."""
    pairs = zip(mpl.colors.to_rgb(first), mpl.colors.to_rgb(second), strict=True)
    red, green, blue = ((1 - amount) * a + amount * b for a, b in pairs)
    return str(mpl.colors.to_hex((red, green, blue)))


def ink(fill: str) -> str:
    """A colour dark enough to be read as text on white."""
    return mixed(fill, "#000000", 0.35)


@cache
def rc() -> Any:
    """Matplotlib's settings for a drawing; given to each drawing, never to the process."""
    fonts = find_spec("zhplot")  # only its font file is used: importing it would change matplotlib's settings
    for folder in fonts.submodule_search_locations or [] if fonts else []:
        font_manager.fontManager.addfont(str(Path(folder) / "fonts" / "NotoSansSC-Regular.ttf"))
    ours = {
        "font.family": ["DejaVu Sans", "Noto Sans SC"],  # the fallback works in font.family only
        "text.parse_math": False,  # a dollar sign is a dollar sign
        "font.size": 13, "axes.titlesize": 13, "axes.labelsize": 12.5, "xtick.labelsize": 12.5, "ytick.labelsize": 12.5,
        "text.color": INK, "axes.labelcolor": SOFT, "xtick.color": SOFT, "ytick.color": SOFT, "axes.edgecolor": LINE,
        "axes.linewidth": 1.0, "grid.color": "#e6eaef", "grid.linewidth": 0.9, "lines.linewidth": 2.2, "lines.solid_capstyle": "round",
        "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False, "axes.axisbelow": True,
        "xtick.major.size": 0, "ytick.major.size": 0, "xtick.major.width": 0, "xtick.major.pad": 7, "axes.titlelocation": "left", "axes.titlepad": 9,
        "figure.facecolor": "white", "axes.unicode_minus": True, "figure.dpi": 72,
    }  # fmt: skip
    return {**sns.plotting_context("notebook"), **sns.axes_style("white"), **ours}


class Drawing(Figure):
    """A figure with its alt text and caption; drawn under the theme's settings, whatever the process has."""

    alt: str = ""
    caption: str = ""

    def draw(self, renderer: Any) -> None:
        with mpl.rc_context(rc()):
            super().draw(renderer)

    def small(self, dpi: int = DPI) -> tuple[bytes, tuple[int, int]]:
        """The drawing as lossless WebP with a palette, and its size in pixels: no visible loss, a third less than PNG."""
        from PIL import Image

        agg = FigureCanvasAgg(self)
        self.dpi = dpi
        agg.draw()
        size = agg.get_width_height()
        image = _paletted(Image.frombuffer("RGBA", size, agg.buffer_rgba(), "raw", "RGBA", 0, 1).convert("RGB"))
        held = BytesIO()
        image.save(held, "WEBP", lossless=True, method=4, quality=100)
        return held.getvalue(), size

    def _repr_mimebundle_(self, **kw: Any) -> dict[str, str]:
        data = b64encode(self.small()[0]).decode()
        return {
            "text/html": f'<img src="data:image/webp;base64,{data}" alt="{escape(self.alt)}" width="{self.get_figwidth() * SHOWN:.0f}">',
            "text/plain": self.alt,
        }


def _paletted(image: Any) -> Any:
    """The picture in as few colours as it can bear: many hues, or transparent parts that overlap, need more of them."""
    from PIL import Image

    for colours in COLOURS:
        kept = image.quantize(colours, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        kept.putpalette([255 if level >= 248 else level for level in kept.getpalette()])  # paper stays white
        kept = kept.convert("RGB")
        off = np.abs(np.asarray(kept, dtype=np.int16) - np.asarray(image, dtype=np.int16)).max(axis=2)
        if (off > LEVELS_OFF).mean() <= SHARE_OFF:
            break
    return kept


def canvas(height: float, width: float = WIDTH, columns: int = 1, rows: int = 1, **shared: Any) -> tuple[Drawing, Any]:
    """An empty drawing and its axes (one, or a flat list)."""
    with mpl.rc_context(rc()):
        figure = Drawing(figsize=(width, height), layout="tight")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, squeeze=False, **shared).ravel().tolist()
    return figure, axes[0] if rows * columns == 1 else axes


@dataclass(frozen=True)
class Undrawn:
    """In the place of a drawing that has nothing to draw: a section says `why` and goes on without it."""

    why: str

    def _repr_mimebundle_(self, **kw: Any) -> dict[str, str]:
        return {"text/plain": self.why}


def themed(draw: Any) -> Any:
    """Run a drawing function under the theme's settings; a table without a row to draw gives an `Undrawn`."""
    from functools import wraps

    @wraps(draw)
    def inside(*args: Any, **kw: Any) -> Drawing | Undrawn:
        with mpl.rc_context(rc()):
            try:
                return draw(*args, **kw)
            except TooLittleError as error:
                return Undrawn(str(error))

    return inside


def grid(ax: Axes, axis: str) -> None:
    """Faint lines across one axis only."""
    ax.grid(visible=True, axis="x" if axis == "x" else "y")
    ax.grid(visible=False, axis="y" if axis == "x" else "x")
