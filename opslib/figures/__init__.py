"""Small table in, figure out: one function for each kind of picture; nothing is computed here but axes.

Every figure has one theme, a colour for each name that stays the same, intervals drawn, and `alt`: a sentence in the
language in use that says what the picture shows.
"""

from opslib.figures.bars import bars, steps
from opslib.figures.change import histogram, waterfall
from opslib.figures.dots import intervals, quadrant, scatter
from opslib.figures.grids import flows, matrix
from opslib.figures.lines import calibration, curve, small_multiples
from opslib.figures.stacks import stacks
from opslib.figures.theme import Drawing, colour

__all__ = [
    "Drawing",
    "bars",
    "calibration",
    "colour",
    "curve",
    "flows",
    "histogram",
    "intervals",
    "matrix",
    "quadrant",
    "scatter",
    "small_multiples",
    "stacks",
    "steps",
    "waterfall",
]
