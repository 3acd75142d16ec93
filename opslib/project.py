"""Where the project is: the folder that holds `notebooks/`."""

from __future__ import annotations

from pathlib import Path

from opslib.errors import UsageError


def root(start: Path | None = None) -> Path:
    """The folder that holds `notebooks/`: this one or the nearest above it.

    Raises
    ------
    UsageError  if there is none.
    """
    here = (start or Path()).resolve()
    for folder in (here, *here.parents):
        if (folder / "notebooks").is_dir():
            return folder
    raise UsageError(f"no notebooks/ folder in {here.name}/ or above it", "run opslib inside the project")


def resolved(path: str | Path) -> Path:
    """A relative path as it stands, or as it stands in the project: JupyterLab starts kernels inside notebooks/."""
    found = Path(path)
    if found.is_absolute() or found.exists():
        return found
    try:
        inside = root() / found
    except UsageError:
        return found
    return inside if inside.exists() else found
