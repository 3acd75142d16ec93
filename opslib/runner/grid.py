"""One notebook for many values of a parameter: every campaign of the data has a report of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from opslib import params
from opslib.errors import UsageError
from opslib.runner import plan

Asked = Mapping[str, Sequence[str] | None]
MOST = 500  # reports of one grid: more is a mistake in its values
_REFUSED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def asked(texts: Iterable[str]) -> dict[str, list[str] | None]:
    """`NAME=VALUE,VALUE` texts as name → values, of a name given twice all of them; None for a bare NAME: all that the data has.

    Raises
    ------
    UsageError  if one has no name, or an equals sign and no value, or a name stands with values and without.
    """
    found: dict[str, list[str] | None] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name, listed = name.strip(), [v.strip() for v in values.split(",") if v.strip()]
        if not name or (equals and not listed):
            raise UsageError(
                f"--each takes NAME or NAME=VALUE,VALUE, got {text!r}",
                "write --each campaign_id, or --each campaign_id=8,13",
            )
        before = found.get(name, listed if equals else None)
        if (before is None) == bool(equals):
            raise UsageError(f"--each {name} stands with values and without", "leave one of them out")
        found[name] = None if before is None else list(dict.fromkeys([*before, *listed]))
    return found


def cells(root: Path, name: str, overrides: Mapping[str, str], each: Asked) -> list[dict[str, str]]:
    """The overrides of each report of a module: one for every combination of the values of those of `each` that it declares.

    Named values come first: the ids of a bare name are those of the cell's own source. A module whose report makes a new id
    of that name (`makes` in its metadata) has none for the ids that the data holds already.

    Raises
    ------
    UsageError      if a parameter is given twice, its values stand in no table, or there are more than `MOST` reports.
    TooLittleError  if the table that holds the values has no rows.
    """
    if twice := sorted(set(each) & set(overrides)):
        raise UsageError(f"{twice[0]!r} is given by -p and by --each", "leave one of them out")
    declared, new = params.spec(plan.modules(root)[name]), plan.makes(root, name)
    mine = {p: values for p, values in each.items() if p in declared and not (values is None and p in new)}
    found = [dict(overrides)]
    for parameter, values in sorted(mine.items(), key=lambda item: item[1] is None):
        before, found = found, []
        for cell in before:
            listed = _values(root, name, cell, parameter) if values is None else values
            written = [_quoted(v) for v in listed] if declared[parameter].type is str else listed
            found += [{**cell, parameter: v} for v in dict.fromkeys(written)]
            if len(found) > MOST:
                raise UsageError(f"--each asks for more than {MOST} reports of {name}", "name fewer values")
    return found


def _quoted(text: str) -> str:
    """A text that YAML reads as it stands: what looks like a number or nothing is an id, too.

    Only what YAML refuses or folds is escaped: of JSON's pairs of escapes for one letter beyond U+FFFF it would make two.
    """
    return _REFUSED.sub(lambda m: f"\\u{ord(m[0]):04x}", json.dumps(text, ensure_ascii=False))


def _values(root: Path, name: str, cell: Mapping[str, str], parameter: str) -> list[str]:
    """Every id of that name in the data that this cell reads."""
    from opslib.engine import connect

    given: dict[str, Any] = params.load(plan.modules(root)[name], root / "params", cell)
    if "source" not in given:
        raise UsageError(f"{name} reads no source: the values of {parameter!r} must be named", f"--each {parameter}=…")
    return connect(plan.place(root, given)).ids(parameter, most=MOST + 1)
