"""Lines of a text file, whatever its encoding and line ends, with none lost."""

from __future__ import annotations

import codecs
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from opslib.errors import ContractError, near

MAX_LINE = 16 * 2**20  # bytes; a longer line is not a row of data
_BLOCK = 2**20
_MAGIC = {
    b"PK\3\4": "a zip or an Excel file",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a gzip file without .gz in its name",
}

Line = tuple[int, str, str]  # number from 1, text without its line feed, what is wrong with it or ""


def open_bytes(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked when its name ends in .gz."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def encoding(path: Path) -> str:
    """UTF-8 unless a byte-order mark or the bytes themselves say otherwise.

    A file is taken for Chinese GBK (read as its superset GB18030) when that breaks less than half as many lines as
    UTF-8 does; a few broken lines in a UTF-8 file stay broken lines.

    Raises
    ------
    ContractError  if the file is not a text.
    """
    with open_bytes(path) as file:
        head = file.read(4096)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    what = next((what for start, what in _MAGIC.items() if head.startswith(start)), "")
    if what or head.count(0) > len(head) / 10:
        raise ContractError(f"{path} is {what or 'not a text file'}", "save it as CSV or JSON Lines in UTF-8")
    if _decodes(path, "utf-8"):
        return "utf-8"
    return "gb18030" if 2 * _broken_lines(path, "gb18030") < _broken_lines(path, "utf-8") else "utf-8"


def _decodes(path: Path, name: str) -> bool:
    decoder = codecs.getincrementaldecoder(name)()
    with open_bytes(path) as file:
        try:
            while block := file.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _broken_lines(path: Path, name: str) -> int:
    with open_bytes(path) as file:
        return sum(not line.isascii() and not _line_decodes(line, name) for line in file)


def _line_decodes(line: bytes, name: str) -> bool:
    try:
        line.decode(name)
    except UnicodeDecodeError:
        return False
    return True


def lines(path: Path, name: str) -> Iterator[Line]:
    """Every line with its number and what is wrong with it."""
    with open_bytes(path) as file:
        if name == "utf-16":
            yield from _utf16(file)
        else:
            yield from _bytes(file, name)


def _bytes(file: IO[bytes], name: str) -> Iterator[Line]:
    for at, raw in enumerate(file, start=1):
        if at == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        raw = raw.removesuffix(b"\n")
        fault = _too_long(len(raw))
        try:
            text = raw.decode(name)
        except UnicodeDecodeError as error:
            text, fault = raw.decode("latin-1"), f"the line is not valid {name.upper()}, got byte {raw[error.start]:#x}"
        yield at, text, fault


def _utf16(file: IO[bytes]) -> Iterator[Line]:
    # A two-byte line end cannot be found in the bytes; what is not UTF-16 becomes U+FFFD.
    decoded = io.TextIOWrapper(file, encoding="utf-16", errors="replace", newline="\n")
    for at, text in enumerate(decoded, start=1):
        fault = "the line is not valid UTF-16" if "\ufffd" in text else _too_long(len(text))
        yield at, text.removesuffix("\n"), fault


def _too_long(length: int) -> str:
    return f"the line is longer than {MAX_LINE:,} bytes, got {length:,}" if length > MAX_LINE else ""


def guard(path: Path) -> None:
    """Say it when the file is missing, empty, a folder, or not to be read.

    Raises
    ------
    ContractError  naming the file and what to do.
    """
    try:
        if path.is_dir():
            raise ContractError(f"{path} is a folder", "name the files in it")
        with path.open("rb") as file:
            first = file.read(1)
    except FileNotFoundError:
        if path.is_symlink():
            raise ContractError(f"{path} is a link to what does not exist", f"check {path.readlink()}") from None
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = near(path.name, siblings)
        raise ContractError(f"{path} does not exist", hint if hint.startswith("did") else "check the path") from None
    except OSError as error:
        raise ContractError(f"{path} cannot be read ({error.strerror})", "check its permissions") from None
    if not first:
        raise ContractError(f"{path} is empty", "export it again")
