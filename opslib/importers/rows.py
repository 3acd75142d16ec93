"""Lines → rows: CSV and JSON Lines, with the line where each row starts and nothing dropped.

Line numbers must survive quoted line breaks, ragged rows and broken lines, which is why this is no bulk CSV reader.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opslib.errors import ContractError
from opslib.importers.lines import MAX_LINE, Line

_MAX_RECORD_LINES = 10_000  # a quote that stays open longer was never meant to open
RESERVED = "~"  # names that begin so are the load's own
_DELIMITERS = ",\t;|"

Values = list[str | None]
Row = tuple[int, Any, str, str]  # line, its values (None for a broken row), what is wrong with it or "", raw text

csv.field_size_limit(2**31 - 1)


class Csv:
    """The rows of a CSV file: `header` once, then one list of values a row."""

    def __init__(self, path: Path, lines: Iterator[Line]) -> None:
        self._lines = _Pushback(lines)
        line, text, fault = next((line for line in self._lines if line[1].strip()), (0, "", ""))
        if not line:
            raise ContractError(f"{path} has no header line", "export it with column names in the first line")
        if fault or "\r" in text.rstrip("\r"):
            raise ContractError(
                f"{path} line {line}: {fault or 'lines end in CR alone'}", "save it as UTF-8 with LF or CRLF"
            )
        self._delimiter = max(_DELIMITERS, key=text.count)
        self.header = [name.strip() for name in next(csv.reader([text], delimiter=self._delimiter))]
        check_names(self.header, f"{path} line {line}")

    def __iter__(self) -> Iterator[Row]:
        width, delimiter = len(self.header), self._delimiter
        for line, raw, fault in self._lines:
            if fault or not raw or raw.isspace():
                if fault:
                    yield line, None, fault, raw
                continue
            if '"' in raw:
                values, raw, fault = self._quoted(raw)
            else:
                values = raw.removesuffix("\r").split(delimiter)
            if not fault and len(values) != width:
                fault = f"the row has {len(values)} fields and the header {width}"
            yield line, None if fault else values, fault, raw

    def _quoted(self, text: str) -> tuple[list[str], str, str]:
        """The values of the row that starts with `text`, its raw text, and what is wrong with it.

        A quoted line break takes further lines. They are given back when no row of the header's width comes of it: then
        the quote was never meant to open, and this line stands alone as broken.
        """
        values, fault = self._parsed([text])
        if fault != _OPEN:
            return values, text, fault
        taken = [text]
        for line in self._lines:
            taken.append(line[1])
            self._lines.hold(line)
            if line[2] or len(taken) > _MAX_RECORD_LINES or sum(map(len, taken)) > MAX_LINE:
                break
            if '"' in line[1]:
                values, fault = self._parsed(taken)
                if not fault and len(values) == len(self.header):
                    self._lines.accept()
                    return values, "\n".join(taken), ""
                if fault != _OPEN:
                    break
        self._lines.give_back()
        return [], text, _OPEN

    def _parsed(self, taken: list[str]) -> tuple[list[str], str]:
        pieces = [text + "\n" for text in taken[:-1]] + [taken[-1].removesuffix("\r")]
        reader = csv.reader(pieces, delimiter=self._delimiter, strict=True)
        try:
            values = next(reader)
        except csv.Error as error:
            return [], _OPEN if "unexpected end" in str(error) else "a quote stands where none may"
        return values, "" if reader.line_num == len(taken) else "a quote stands where none may"


_OPEN = "a quote opens and does not close"


def check_names(names: list[str], where: str) -> None:
    """Refuse columns that a table cannot tell apart, or that bear a name of the load's own.

    Raises
    ------
    ContractError  naming the place and the column.
    """
    folded: dict[str, str] = {}
    for name in names:
        if not name:
            raise ContractError(f"{where}: a column has no name", "give every column a name")
        if name.startswith(RESERVED):
            raise ContractError(f"{where}: the name of the column {name!r} begins with {RESERVED}", "rename it")
        if name in folded.values():
            raise ContractError(f"{where}: the column {name!r} is there twice", "give every column a name of its own")
        if (other := folded.setdefault(name.casefold(), name)) != name:
            raise ContractError(f"{where}: the columns {other!r} and {name!r} differ only in case", "rename one")


class _Pushback:
    """Lines that may be looked at ahead and given back."""

    def __init__(self, source: Iterator[Line]) -> None:
        self._source = source
        self._back: list[Line] = []
        self._held: list[Line] = []

    def __iter__(self) -> _Pushback:
        return self

    def __next__(self) -> Line:
        return self._back.pop() if self._back else next(self._source)

    def hold(self, line: Line) -> None:
        self._held.append(line)

    def accept(self) -> None:
        self._held.clear()

    def give_back(self) -> None:
        self._back += reversed(self._held)
        self._held.clear()


def jsonl(path: Path, lines: Iterator[Line]) -> Iterator[Row]:
    """The rows of a JSON Lines file, one dict a row; nested values are JSON text, numbers stay as they are spelled.

    Raises
    ------
    ContractError  if the file is one JSON array instead.
    """
    # A float would change 10000000000000001 and 1.10.
    decode = json.JSONDecoder(parse_int=_Number, parse_float=_Number, parse_constant=_Number, strict=False).decode
    begun = False
    for line, text, fault in lines:
        if not fault and not text.strip():
            continue
        if not begun and text.lstrip().startswith("["):
            raise ContractError(f"{path} is a JSON array, not JSON Lines", "export one object a line")
        begun = True
        values: Any = None
        if not fault:
            try:
                values = decode(text)
            except (ValueError, RecursionError) as error:
                fault = f"the line is not JSON, got {_words(error)}"
            else:
                fault = _object_fault(values, text)
        yield line, None if fault else {k: _as_text(v) for k, v in values.items()}, fault, text


def _words(error: Exception) -> str:
    return "too many nested brackets" if isinstance(error, RecursionError) else str(error)


def _object_fault(value: Any, text: str) -> str:
    if not isinstance(value, dict):
        return f"the line is not a JSON object, got {text[:40]}"
    if "\\ud" in text.lower():
        try:
            _dump(value).encode("utf-8")
        except UnicodeEncodeError:
            return "the line holds half of a \\u surrogate pair"
    return ""


class _Number(str):
    """A number in its source's spelling."""

    __slots__ = ()


def _as_text(value: Any) -> str | None:
    if value is None or type(value) is str:
        return value
    return str(value) if isinstance(value, str) else _dump(value)


def _dump(value: Any) -> str:
    """JSON text with numbers in their own spelling."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k, ensure_ascii=False)}: {_dump(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_dump, value)) + "]"
    if isinstance(value, _Number):
        return str(value)
    return json.dumps(value, ensure_ascii=False)
