"""What earlier runs wrote beside their pages: one report's list is another one's input, by file, never by import."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opslib.errors import UsageError
from opslib.report.index import runs
from opslib.report.lists import read_list


def written(
    module: str,
    name: str,
    *,
    source: str = "",
    where: Mapping[str, Any] | None = None,
    path: str = "",
    outputs: str | Path = "outputs",
) -> Any:
    """The rows of `lists/NAME.csv` of a module's good runs, newest first, as texts; `run` says which run wrote each, `lang` in which
    language.

    Parameters
    ----------
    source : only runs on this warehouse
    where : only runs with these parameters
    path : this file instead of any run's; relative to the project

    Raises
    ------
    UsageError  if the file of `path` cannot be read.
    """
    import pandas as pd

    from opslib.project import resolved

    if path:
        return _read(resolved(path)).assign(run=Path(path).name)
    found, seen = [], set()
    for run in runs(Path(outputs)):
        file = Path(outputs) / run["folder"] / "lists" / f"{name}.csv"
        fits = all(str(run["parameters"].get(k, "")) == str(v) for k, v in (where or {}).items())
        if run["module"] != module or run["status"] != "ok" or run["source"] != source or not fits or not file.exists():
            continue
        rows = _read(file)
        said = rows.drop(columns=[c for c in rows if c == "run"]).to_csv()
        if said not in seen:  # the same report in the other language
            seen.add(said)
            found.append(rows.assign(run=run["folder"], lang=run["lang"]))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame({"run": pd.Series(dtype=str)})


def _read(file: Path) -> Any:
    try:
        return read_list(file, texts=True)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{file} cannot be read as a list ({type(error).__name__})", "give lists/NAME.csv of a run"
        ) from None
