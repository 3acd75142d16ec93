"""What a page may show about people: ids are masked, groups of very few users are not broken down.

The rule is set once for a project, in `params/default.yml`, and holds for every page made from it:

    privacy:
      mask_users: true   # ids on pages read u***42; exported lists carry them in full
      min_group: 5       # users; a smaller group's numbers are withheld
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opslib import columns, yamlfile
from opslib.errors import UsageError, near
from opslib.text import missing, number, say, shown

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Privacy:
    """mask_users : mask ids on pages; min_group : the fewest users whose numbers a page shows."""

    mask_users: bool = True
    min_group: int = 5

    def __post_init__(self) -> None:
        if type(self.mask_users) is not bool:
            raise UsageError(f"privacy.mask_users must be true or false, got {self.mask_users!r}")
        if type(self.min_group) is not int or self.min_group < 0:
            raise UsageError(f"privacy.min_group must be a whole number of users from 0 on, got {self.min_group!r}")


_asked: dict[str, Any] = {}


def configure(*, mask_users: bool | None = None, min_group: int | None = None) -> Privacy:
    """Set the rule for this process, over the project's own; None leaves a setting as it is."""
    given: dict[str, Any] = {k: v for k, v in (("mask_users", mask_users), ("min_group", min_group)) if v is not None}
    Privacy(**given)
    _asked.update(given)
    return settings()


def settings() -> Privacy:
    """The rule in force: what `configure` set, else the nearest `params/default.yml`, else mask and five."""
    return replace(of_project(Path.cwd()), **_asked)


def of_project(here: Path) -> Privacy:
    """The rule that the nearest `params/default.yml`, from `here` upwards, sets."""
    for folder in (here, *here.parents):
        path = folder / "params" / "default.yml"
        if path.is_file():
            return _read(path, path.stat().st_mtime_ns)
    return Privacy()


@lru_cache(maxsize=8)
def _read(path: Path, _changed: int) -> Privacy:
    held = yamlfile.read(path)
    entry = (held.get("privacy") if isinstance(held, dict) else None) or {}
    if not isinstance(entry, dict):
        raise UsageError(f"{path.name}: privacy must hold 'name: value' lines, got {entry!r}", "mask_users: true")
    for name in entry:
        if name not in Privacy.__dataclass_fields__:
            raise UsageError(f"{path.name}: privacy has no setting {name!r}", near(name, Privacy.__dataclass_fields__))
    return Privacy(**entry)


def masked(id: Any) -> str:
    """A user's id with its middle hidden, however long it is; of a short one little or nothing is left."""
    text = shown(id, 200)
    if not settings().mask_users or missing(id):
        return text
    for least, first, last in ((8, 2, 2), (6, 1, 2), (4, 1, 0)):
        if len(text) >= least:
            return f"{text[:first]}***{text[len(text) - last :]}"
    return "***"


def small_rows(frame: pd.DataFrame) -> pd.Series:
    """True for each row that tells of fewer users than a page may show: its largest count of users is under `min_group`, not 0.

    A row without a count of users is never small.
    """
    import pandas as pd

    counts = [str(c) for c in frame.columns if columns.counts_people(str(c))]
    if not counts:
        return pd.Series(False, index=frame.index)
    most = frame[counts].apply(pd.to_numeric, errors="coerce").max(axis=1)
    return ((most > 0) & (most < settings().min_group)).fillna(False).astype(bool)


def withheld() -> str:
    """What stands in place of a number that is not shown."""
    return say(zh="少于 {n} 人", en="under {n} users", n=settings().min_group)


def people(count: float) -> str:
    """A number of users as a sentence or a label may tell it: withheld where a table would withhold it."""
    return withheld() if 0 < count < settings().min_group else number(count)


def total(counts: Iterable[float]) -> float:
    """The sum of the counts that may be shown: beside these the whole sum would tell the one that is withheld."""
    return sum(count for count in counts if not 0 < count < settings().min_group)


def together(counts: Iterable[float]) -> str:
    """The sum of counts that a page shows one by one, as a sentence may tell it."""
    given = list(counts)
    told = total(given)
    if told == sum(given) or not told:
        return people(sum(given))
    return say(zh="不少于 {n}", en="at least {n}", n=number(told))
