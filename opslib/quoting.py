"""Names and values as SQL spells them, for the few statements that are put together by hand."""

from __future__ import annotations

from typing import Any


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: Any) -> str:
    """A value as an SQL text literal; NULL for None."""
    if isinstance(value, bool):
        value = str(value).lower()
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"
