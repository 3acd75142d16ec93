"""One notebook for many values of a parameter: every campaign of the data has a report of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from opslib import params
from opslib.errors import UsageError
from opslib.runner import plan

Asked = Mapping[str, Sequence[str] | None]
MOST = 500  # reports of one grid: more is a mistake in its values


def asked(texts: Iterable[str]) -> dict[str, list[str] | None]:
    """`NAME=VALUE,VALUE` texts as name → values; None for a bare NAME: all that the data has.

    Raises
    ------
    UsageError  if one has no name, or an equals sign and no value.
    """
    found: dict[str, list[str] | None] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        listed = [v.strip() for v in values.split(",") if v.strip()]
        if not name.strip() or (equals and not listed):
            raise UsageError(
                f"--each takes NAME or NAME=VALUE,VALUE, got {text!r}",
                "write --each campaign_id, or --each campaign_id=8,13",
            )
        had = found.get(name.strip(), [])
        if name.strip() in found and (had is None or not equals):
            raise UsageError(f"--each {name.strip()} is given with values and without", "leave one of them out")
        found[name.strip()] = list(dict.fromkeys([*(had or []), *listed])) if equals else None
    return found


def cells(root: Path, name: str, overrides: Mapping[str, str], each: Asked) -> list[dict[str, str]]:
    """The overrides of each report of a module: one for every combination of the values of those of `each` that it declares.

    Raises
    ------
    UsageError  if a parameter is given twice, its values stand in no table, or there are more than `MOST`.
    """
    if twice := sorted(set(each) & set(overrides)):
        raise UsageError(f"{twice[0]!r} is given by -p and by --each", "leave one of them out")
    declared = params.spec(plan.modules(root)[name])
    mine = {p: values for p, values in each.items() if p in declared}
    lists = {p: _written(declared[p], values) for p, values in mine.items() if values is not None}
    found = [{**overrides, **dict(zip(lists, values, strict=True))} for values in product(*lists.values())]
    for parameter in [p for p in mine if p not in lists]:  # of the data that each report is about
        found = [{**one, parameter: value} for one in found for value in _values(root, name, one, parameter)]
    if len(found) > MOST:
        raise UsageError(
            f"--each asks for {len(found)} reports of {name}, at most {MOST} are made", "name fewer values"
        )
    return found


def _written(parameter: params.Param, values: Sequence[str]) -> list[str]:
    """The values as YAML: those of a text are quoted, because an id may look like a number or like nothing."""
    return [json.dumps(v) if parameter.type is str else v for v in values]


def _values(root: Path, name: str, overrides: Mapping[str, str], parameter: str) -> list[str]:
    """Every id of that name in the data, quoted: what YAML would take for a number or for nothing is an id, too."""
    from opslib.engine import connect

    given: dict[str, Any] = params.load(plan.modules(root)[name], root / "params", overrides)
    return [json.dumps(v) for v in connect(plan.place(root, given)).ids(parameter, most=MOST + 1)]
