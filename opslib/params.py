"""The parameters cell is the schema: names, types, defaults and meanings live there once, YAML only overrides.

A meaning that begins `week | month:` names the only values that the parameter takes; `1 to 366:`, `at least 0:` and `above 0:`
bound a number, or every number of a list that then may not be empty.

Order, later wins: the notebook, `params/default.yml`, `params/MODULE.yml`, `-p name=value`.
"""

from __future__ import annotations

import ast
import io
import json
import math
import re
import sys
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from opslib import credentials, yamlfile
from opslib.errors import UsageError, near

_CHOICES = re.compile(r"\w+( \| \w+)+")
_NUMBER = r"-?\d+(?:\.\d+)?"
_BOUNDS = re.compile(
    rf"((?P<low>{_NUMBER}) to (?P<high>{_NUMBER})|at least (?P<least>{_NUMBER})|above (?P<above>{_NUMBER})):"
)
_NAMES = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict, "None": None}


@dataclass(frozen=True)
class Param:
    """One parameter: its name, its type, its default, and what it means."""

    name: str
    type: Any
    default: Any
    doc: str

    @property
    def choices(self) -> list[str]:
        """The only values allowed, or nothing where any will do."""
        named = _CHOICES.match(self.doc)
        return named.group().split(" | ") if named else []

    def outside(self, value: Any) -> bool:
        """True for a number beyond the bounds of the meaning, or one that is no number at all (NaN, infinite)."""
        if isinstance(value, list):
            return any(map(self.outside, value)) or bool(self.bounds and not value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        named = _BOUNDS.match(self.doc)
        ends = {name: float(end) for name, end in (named.groupdict() if named else {}).items() if end}
        low = ends.get("low", ends.get("least", -math.inf))
        return not (low <= value <= ends.get("high", sys.float_info.max) and value > ends.get("above", -math.inf))

    @property
    def bounds(self) -> str:
        """The bounds of a number as the meaning words them, or an empty text."""
        named = _BOUNDS.match(self.doc)
        return named.group().removesuffix(":") if named else ""

    @property
    def type_name(self) -> str:
        return self.type.__name__ if isinstance(self.type, type) and not get_args(self.type) else str(self.type)


def spec(notebook: Path) -> dict[str, Param]:
    """The parameters that a notebook declares, in its order.

    Raises
    ------
    UsageError  if the notebook has no cell tagged `parameters`, or a line of it is not `name: type = default  # meaning`.
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{notebook} is not a notebook ({type(error).__name__})", "restore it") from None
    for cell in cells:
        if "parameters" in cell.get("metadata", {}).get("tags", []):
            source = cell["source"]
            return _parse(source if isinstance(source, str) else "".join(source), notebook.stem)
    raise UsageError(f"{notebook} has no cell tagged 'parameters'", "tag the cell that holds them")


def _parse(source: str, module: str) -> dict[str, Param]:
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        raise UsageError(f"{module}: line {error.lineno} of the parameters cell is not Python ({error.msg})") from None
    comments = {
        t.start[0]: t.string.lstrip("# ").strip()
        for t in tokenize.generate_tokens(io.StringIO(source).readline)
        if t.type == tokenize.COMMENT
    }
    found = {}
    for node in body:
        where = f"{module}: line {node.lineno} of the parameters cell"
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None):
            raise UsageError(f"{where} is not 'name: type = default  # meaning'")
        name = node.target.id
        doc = comments.get(node.end_lineno or node.lineno, "")
        param = Param(name, _type(node.annotation, module, name), _default(node.value, where), doc)
        fit(param, param.default, f"{module}: the default of {name!r}")
        found[name] = param
    return found


def _default(node: ast.expr, where: str) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise UsageError(f"{where}: {ast.unparse(node)} is not a plain value", "write the value itself") from None


def _type(node: ast.expr, module: str, name: str) -> Any:
    try:
        return eval(compile(ast.Expression(node), module, "eval"), {"__builtins__": {}}, _NAMES)
    except Exception:
        raise UsageError(
            f"{module}: the type of {name!r} is {ast.unparse(node)}", "use str, int, float, bool, list[…], dict[…]"
        ) from None


def load(notebook: Path, files: Path | None = None, overrides: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Every parameter with the value it will have; checked before anything runs.

    Parameters
    ----------
    notebook : the notebook that declares them
    files : the folder of `default.yml` and `MODULE.yml`
    overrides : name → value as text, read as YAML

    Raises
    ------
    UsageError  for an unknown name (near miss named) or a value of another type; says where it stands.
    """
    declared, module = spec(notebook), notebook.stem
    values = {name: p.default for name, p in declared.items()}
    for layer, where, strict in _layers(files, module, overrides or {}):
        for name, value in layer.items():
            if name not in declared:
                if strict:
                    raise UsageError(f"{module}: unknown parameter {name!r}{where}", near(name, declared))
                continue
            values[name] = fit(declared[name], value, f"{module}: {name!r}", where)
    return values


def _layers(
    files: Path | None, module: str, overrides: Mapping[str, str]
) -> Iterable[tuple[dict[str, Any], str, bool]]:
    for name, strict in (("default", False), (module, True)):
        path = (files or Path()) / f"{name}.yml"
        if files and path.exists():
            layer = yamlfile.read(path) or {}
            if not isinstance(layer, Mapping):
                raise UsageError(f"{path} must hold 'name: value' lines", "see params/default.yml")
            yield dict(layer), f" in {path}", strict
    yield {name: _given(text, f"-p {name}") for name, text in overrides.items()}, "", True


class _Number(int):
    """A whole number that remembers how it was written."""

    text = ""


def _given(text: str, where: str) -> Any:
    """The value of `-p name=value`."""
    value = yamlfile.value(text, where)
    if isinstance(value, int) and not isinstance(value, bool):
        value = _Number(value)
        value.text = text.strip()
    return value


def fit(param: Param, value: Any, what: str, where: str = "") -> Any:
    """The value, if it has the parameter's type; whole numbers do for floats, dates travel as ISO text.

    Raises
    ------
    UsageError  naming the parameter, its meaning and the value.
    """
    value = _plain(value)
    if any(map(credentials.holds_one, _texts(value))):
        # Parameters are stored in every executed notebook and printed on every page.
        raise UsageError(f"{what} holds a password", credentials.HINT)
    if param.type is str:
        value = _as_text(value)
    if not _is(value, param.type):
        meaning = f" ({param.doc})" if param.doc else ""
        raise UsageError(f"{what} must be {param.type_name}{meaning}, got {value!r}{where}")
    if param.outside(value):
        raise UsageError(f"{what} must be {param.bounds or 'a finite number'}, got {value!r}{where}", param.doc)
    if param.choices and value not in param.choices:
        raise UsageError(
            f"{what} must be {' or '.join(param.choices)}, got {value!r}{where}", near(value, param.choices)
        )
    if param.type is float:
        return float(value)
    return int(value) if isinstance(value, _Number) else value


def _as_text(value: Any) -> Any:
    """What YAML read for a text that looks like something else: nothing is the empty text, a whole number its digits.

    Ids are texts, and many are numbers to YAML: `campaign_id: 8`. On the command line they are taken as written; in a file
    an id with leading zeros needs its quotes. A number with a fraction is none: which text it was cannot be known.
    """
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return value.text if isinstance(value, _Number) else str(value)
    return value


def _plain(value: Any) -> Any:
    """YAML's days as ISO texts, wherever they stand."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def _is(value: Any, kind: Any) -> bool:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is list:
        return isinstance(value, list) and all(_is(v, inner[0]) for v in value)
    if origin is dict:
        return isinstance(value, dict) and all(_is(k, inner[0]) and _is(v, inner[1]) for k, v in value.items())
    if inner:  # a union such as str | dict
        return any(_is(value, k) for k in inner)
    if kind is type(None) or kind is None:
        return value is None
    if isinstance(value, bool):  # True is an int to Python, never to a person
        return kind is bool
    return isinstance(value, int | float) if kind is float else isinstance(value, kind)


def parse_overrides(pairs: Iterable[str]) -> dict[str, str]:
    """`name=value` texts as a mapping.

    Raises
    ------
    UsageError  if one has no equals sign.
    """
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"-p takes name=value, got {pair!r}", "write -p lang=en")
        found[name.strip()] = value
    return found
