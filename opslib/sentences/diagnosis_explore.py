"""The diagnosis asked by hand: another number, other periods, another dimension, by the same functions as the page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

from opslib import columns, figures
from opslib.engine import Tables
from opslib.errors import UsageError
from opslib.metrics.newcomers import newcomers
from opslib.models import diagnosis, mix_views
from opslib.models.kpi_days import known_until
from opslib.periods import Reporting
from opslib.report import section
from opslib.sentences import diagnosis as statements
from opslib.sentences.diagnosis_parts import bars_of, window
from opslib.text import say

PAIR = " × "


def choices(dimensions: Sequence[str]) -> dict[str, str]:
    """Each dimension, and every two together, as one choice: its value → its words."""
    asked = [(d,) for d in dimensions] + list(combinations(dimensions, 2))
    return {PAIR.join(names): PAIR.join(columns.value_name("dimension", n) for n in names) for names in asked}


def answer(
    tables: Tables, *, steps: Sequence[str], window_days: float, day_n: int, until: dt.date
) -> Callable[..., diagnosis.Diagnosis]:
    """A function of kpi, two periods and a dimension that computes the change and shows its causes; `until`: last day of the data."""
    known = known_until(until, day_n, window_days)

    def compute(
        kpi: str, start: dt.date, end: dt.date, compare_start: dt.date, compare_end: dt.date, dimension: str
    ) -> diagnosis.Diagnosis:
        dimensions = dimension.split(PAIR)
        cells = newcomers(
            tables.events, tables.daily, tables.users, dimensions=dimensions, steps=steps, window_days=window_days, day_n=day_n,
            period=_period(start, end), compare=_period(compare_start, compare_end), until=str(until),
        ).to_pandas()  # fmt: skip
        cells = diagnosis.named_cells(cells, dimensions)
        found = diagnosis.diagnose(cells, dimensions, steps=steps, kpi=kpi)
        periods = Reporting("days", start, end), Reporting("days", compare_start, compare_end)
        _show(
            found,
            mix_views.by_dimension(cells, dimensions, steps=steps, kpi=kpi),
            window(*periods, known, day_n, window_days),
            day_n,
        )
        return found

    return compute


def _period(first: dt.date | None, last: dt.date | None) -> tuple[str, str]:
    if first is None or last is None or first > last:
        raise UsageError(
            say(zh="时期的首日须不晚于末日，现为 {a} 至 {b}", en="a period must end on or after its first day, got {a} to {b}", a=str(first), b=str(last))
        )  # fmt: skip
    return str(first), str(last)


def _show(found: diagnosis.Diagnosis, mixed: Any, note: str, day_n: int) -> None:
    section(
        statements.kpi_name(found.kpi, day_n),
        *statements.asked(found),
        figure=figures.waterfall(
            bars_of(found), label="cause", value="contribution", start=found.before, end=found.after,
            start_label=say(zh="上期", en="Before"), end_label=say(zh="本期", en="Now"),
        ),
        table=mixed[["dimension", "values", "mix", "rate_effect", "total_change"]],
        note=note,
    )  # fmt: skip
