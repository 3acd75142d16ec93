"""Column names as a reader sees them: label, unit, how values are written, and the names of well-known values.

`columns.yml` is the one list; tables, figures and downloads all read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from opslib.errors import UsageError, near
from opslib.text import language, shown


@cache
def known() -> dict[str, dict[str, Any]]:
    """columns.yml: column → zh, en, format, and where they apply: people, values."""
    from ruamel.yaml import YAML

    with resources.files("opslib").joinpath("columns.yml").open(encoding="utf-8") as file:
        return dict(YAML(typ="safe", pure=True).load(file))


def label(name: str, labels: Mapping[str, str] | None = None) -> str:
    """The column's head in the language in use; `labels` come first.

    Raises
    ------
    UsageError  if neither knows the column; names the near miss.
    """
    if labels and name in labels:
        return shown(labels[name])
    if name not in known():
        raise UsageError(
            f"the column {name!r} has no label", near(name, known()) or "add it to columns.yml or pass labels={…}"
        )
    return known()[name][language()]


def format_of(name: str, formats: Mapping[str, str] | None = None, default: str = "text") -> str:
    """How the column's values are written; `formats` come first."""
    return (formats or {}).get(name) or known().get(name, {}).get("format", default)


def counts_people(name: str) -> bool:
    """True for a column that counts users: a row whose largest such count is small is not shown on a page."""
    return bool(known().get(name, {}).get("people"))


def event_name(event: str) -> str:
    """An event as a reader calls it, with the name that a parameter takes: 支付（pay）; one of the data's own as it is."""
    called, own = value_name("event", event), shown(event)
    return own if called == own else f"{called}（{own}）" if language() == "zh" else f"{called} ({own})"


def value_name(column: str, value: Any, limit: int = 80) -> str:
    """A value as a reader calls it (`mini_program` → 小程序), or the value itself, cut and cleaned."""
    found = known().get(column, {}).get("values", {})
    if isinstance(found, str):  # the values of another column
        found = known()[found]["values"]
    names = found.get(str(value))
    return names[language()] if names else shown(value, limit)
