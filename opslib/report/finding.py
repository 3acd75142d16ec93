"""What a notebook states: findings, sections, cards and next actions, as data inside the cell's output.

The output holds the data (`MIME`) and, for JupyterLab, the same drawn as HTML. Nothing else carries findings, so the
executed notebook is the only source of a page, of `findings.json` and of the index.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from opslib.contract import TEAMS
from opslib.errors import TooLittleError, UsageError, capital, near
from opslib.text import FORMATS, Clean, checked, currency, language, missing, say, shown, term

if TYPE_CHECKING:
    import pandas as pd

    from opslib.report.tables import KeyTable

MIME = "application/vnd.opslib.part+json"
LEVELS = ("act", "watch", "good", "info")  # worst first
LABEL_LIMIT = 300
TEXT_LIMIT = 1_000  # characters of a sentence
PAGE_SCALE = (
    0.823  # CSS pixels for each pixel of a figure: nearly as wide as the page's text, 1.2 dots a pixel, 2 on a phone
)
PAGE_WIDTH = 728  # CSS pixels of the page's text


@dataclass(frozen=True)
class Finding:
    """One conclusion: a sentence, the number in it, how sure that is, and on how many it rests.

    Parameters
    ----------
    id : dotted name, the same in every run, such as `funnel.worst_step`
    level : act, watch, good or info
    text : the sentence, in the language in use (`say`)
    metric : a term of terms.yml; its definition is printed under the section
    value, low, high : the number and its interval; a value without an interval must say why in `no_interval`
    n : how many users, orders, … it rests on
    base : what it is compared with, if anything
    format : how value, low, high and base are written: number, percent, points, money, …
    spread : what low and high are, where they are no 95 % interval
    no_interval : "census" (every case is in the data), "definition" or "too few", in words a reader understands

    Raises
    ------
    UsageError  if the level, the metric or the format is not known, or a value has neither interval nor reason.
    """

    id: str
    level: str
    text: str
    metric: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: float | None = None
    base: float | None = None
    format: str = "number"
    no_interval: str = ""
    spread: str = ""

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise UsageError(f"finding {self.id}: level must be one of {', '.join(LEVELS)}, got {self.level!r}")
        if self.format not in FORMATS:
            raise UsageError(f"finding {self.id}: no format {self.format!r}", near(self.format, FORMATS))
        if self.metric:
            term(self.metric)
        open_ended = missing(self.low) and missing(self.high)
        if not missing(self.value) and open_ended and not self.no_interval:
            raise UsageError(
                f"finding {self.id} has a value and no interval",
                "give low and high, or say why not: no_interval='census'",
            )


@dataclass(frozen=True)
class Action:
    """A next step that the report proposes: what, who, on what evidence, how success will be seen.

    Raises
    ------
    UsageError  if the team is not one of the contract's.
    """

    title: str
    team: str
    evidence: str = ""
    metric: str = ""
    baseline: float | None = None
    target: float | None = None
    due_on: str = ""
    format: str = "number"

    def __post_init__(self) -> None:
        if self.team not in TEAMS:
            raise UsageError(f"action {self.title!r}: no team {self.team!r}", near(self.team, TEAMS))


def section(
    title: str,
    *findings: Finding | None,
    figure: Any = None,
    table: pd.DataFrame | KeyTable | None = None,
    labels: dict[str, str] | None = None,
    formats: dict[str, str] | None = None,
    note: str = "",
    actions: Sequence[Action | None] = (),
) -> None:
    """Show one section: sentence, figure, table, definition, uncertainty.

    Parameters
    ----------
    title : what the section answers
    findings : its conclusions, the first one first; None is left out
    figure : with its alt text set by `figures`; one that had nothing to draw is replaced by its reason
    table : its columns are written as columns.yml says (label, unit, format); `key_table(…)` sets a table's groups and heads
    labels, formats : labels and formats of columns that only this table has
    note : what else a reader must know to read it right
    actions : next steps that follow
    """
    from opslib.report import tables

    stated = [f for f in findings if f is not None]
    undrawn = getattr(figure, "why", "")
    show(
        {
            "kind": "section",
            "id": _anchor(stated, title),
            "title": shown(title, LABEL_LIMIT),
            "findings": [_clean(_readable(f)) for f in stated],
            "figure": None if figure is None or undrawn else picture(figure),
            "table": None if table is None else tables.payload(table, labels or {}, formats or {}),
            "definitions": [asdict(term(m)) for m in dict.fromkeys(f.metric for f in stated if f.metric)],
            "note": shown(
                note + (say(zh="{why}", en=" {why}", why=Clean(_sentence(undrawn))) if undrawn else ""), TEXT_LIMIT
            ),
            "actions": [_clean(_readable(a)) for a in actions if a is not None],
        }
    )


def cards(*items: dict[str, Any]) -> None:
    """Show headline numbers.

    Each item: `metric` (a term), `value`, `format`, and where known `change`, `low`, `high` (of the change), `change_format`,
    `series` (the last periods, oldest first), `n`, `note`.
    """
    show({"kind": "cards", "items": [_clean(item) | {"term": asdict(term(item["metric"]))} for item in items]})


def headline(title: str, verdict: str, *, period: str = "", fresh: str = "") -> None:
    """Show the page's title, the one sentence that a stakeholder must read, the period, and how fresh the data is."""
    show(
        {
            "kind": "headline",
            "title": shown(title, LABEL_LIMIT),
            "verdict": shown(verdict, TEXT_LIMIT),
            "period": shown(period, 120),
            "fresh": shown(fresh, 300),
        }
    )


@contextmanager
def attempt(title: str) -> Iterator[None]:
    """One part of a report that may lack data: then the page says what it lacks, and the report goes on."""
    try:
        yield
    except TooLittleError as error:
        section(title, Finding("too_little." + slug(title), "info", _sentence(shown(str(error), LABEL_LIMIT))))


def _sentence(error: str) -> str:
    """An error's words follow a name; on a page they stand alone."""
    lack = error.rstrip("。.")
    return say(zh="{lack}。", en="{lack}.", lack=Clean(capital(lack)))


def picture(figure: Any) -> dict[str, Any]:
    """A figure as an image small enough for a page, with the sentence that stands for it and its caption."""
    from base64 import b64encode

    if not hasattr(figure, "small"):
        raise UsageError(
            f"section: the figure is a {type(figure).__name__}",
            "make it with opslib.figures, which gives it its alt text",
        )
    data, (width, height) = figure.small()
    scale = min(PAGE_SCALE, PAGE_WIDTH / width)
    return {
        "mime": "image/webp",
        "data": b64encode(data).decode(),
        "alt": figure.alt,
        "caption": figure.caption,
        "width": round(width * scale),
        "height": round(height * scale),
    }


def show(part: dict[str, Any]) -> None:
    """Put a part into the cell's output: the data, and for JupyterLab the same drawn."""
    from IPython.display import publish_display_data

    from opslib.report import render

    part |= {"lang": checked(language()), "currency": currency()}
    publish_display_data({MIME: part, "text/html": render.part(part), "text/plain": part.get("title") or part["kind"]})


def _readable(item: Finding | Action) -> dict[str, Any]:
    """Its fields, texts cleaned and cut to what a reader can take in."""
    return {k: shown(v, TEXT_LIMIT) if isinstance(v, str) else v for k, v in asdict(item).items()}


def _anchor(findings: list[Finding], title: str) -> str:
    return slug(findings[0].id if findings else title)


def slug(text: str) -> str:
    """A name for an address or a file: letters and digits of any script, joined by dashes."""
    plain = "".join(c if c.isalnum() else "-" for c in text.lower())
    return "-".join(filter(None, plain.split("-")))[:60] or "part"


def _clean(value: Any) -> Any:
    """Plain JSON: what is missing or not finite becomes null, numpy's numbers Python's, days ISO text."""
    if isinstance(value, dict):
        return {k: _clean(v) for k, v in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple | set):
        return [_clean(v) for v in value]
    if missing(value):
        return None
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return value if value.is_integer() else float(f"{value:.12g}")  # further digits show the order of a sum
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | float) else str(value)
