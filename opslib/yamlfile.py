"""YAML as people mean it (1.2): `no` is a word, `010` is ten, `12:30` is text; repeated keys are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from opslib.errors import UsageError


def read(path: Path) -> Any:
    """The content of a YAML file.

    Raises
    ------
    UsageError  if the file is missing or not YAML; names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist", "check the path") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror})", "check the path and its permissions") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text", "save it as UTF-8") from None
    return value(text, str(path))


def value(text: str, where: str) -> Any:
    """One YAML value, as `-p name=value` gives it.

    Raises
    ------
    UsageError  if it is not YAML, a value cannot be (the 30th of February), or one holds itself.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        found = YAML(typ="safe", pure=True).load(text)
        json.dumps(found, default=str, skipkeys=True)  # raises where a value holds itself
        return found
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        words = " ".join(str(getattr(error, "problem", None) or error).split())
        raise UsageError(f"{where}{line}: not YAML ({words})", "quote the text") from None
    except ValueError as error:
        raise UsageError(
            f"{where}: a value that cannot be ({error})", "mend it, or quote it where it is text"
        ) from None
