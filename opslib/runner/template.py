"""A new module from the template."""

from __future__ import annotations

import re
from pathlib import Path

from opslib.errors import UsageError


def new(root: Path, name: str) -> list[Path]:
    """Copy `_template.ipynb` and start a params file; the two files that make a module.

    Raises
    ------
    UsageError  if the name is not lower_case, or is taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UsageError(f"a module's name is lower_case letters, digits and _, got {name!r}")
    notebook, params = root / "notebooks" / f"{name}.ipynb", root / "params" / f"{name}.yml"
    for path in (notebook, params):
        if path.exists():
            raise UsageError(f"{path.relative_to(root)} is there already", "choose another name")
    text = (root / "notebooks" / "_template.ipynb").read_text(encoding="utf-8")
    notebook.write_text(text.replace("{{name}}", name), encoding="utf-8")
    params.write_text(f"# What differs from the defaults in notebooks/{name}.ipynb.\n", encoding="utf-8")
    return [notebook, params]
