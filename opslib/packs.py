"""A pack names every load that turns one export into a warehouse: tables, files and mappings in one YAML file.

tz: Europe/London          # of the warehouse
currency: GBP
note: what a reader of the reports must know about this source
identity: same_person.csv  # alias → user_id
loads:
  - table: users
    files: [people.csv]
    columns: {user_id: id, registered_at: {column: joined, tz: Europe/London}}
  - table: orders
    files: {lines: sales.parquet}
    select: SELECT basket AS order_id, … FROM lines GROUP BY ALL
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from opslib import contract, yamlfile
from opslib.contract import LOADABLE
from opslib.errors import ContractError, UsageError, near
from opslib.importers.mapping import Mapping, parse
from opslib.load import LoadReport
from opslib.load import load as load_table

Say = Callable[[str], None]
_HEAD = ("tz", "currency", "note", "identity", "loads", "name", "licence", "url")


def load(pack: Path, source: str | Path, *, progress: bool = False, say: Say = lambda line: None) -> list[LoadReport]:
    """Run every load of a pack, in its order; files are named from the pack's own folder.

    Raises
    ------
    UsageError  if the pack has an unknown entry (near miss named), or a load of it names no table.
    """
    raw = yamlfile.read(pack)
    if not isinstance(raw, dict) or not isinstance(raw.get("loads"), list):
        raise UsageError(f"{pack}: has no list 'loads'", "see opslib/packs.py for an example")
    for name in raw:
        if name not in _HEAD:
            raise UsageError(f"{pack}: unknown entry {name!r}", near(name, _HEAD))
        if name != "loads" and not isinstance(raw[name], str | None):
            raise UsageError(f"{pack}: {name} is {raw[name]!r}, not a text", "quote it")
    for at, entry in enumerate(raw["loads"], start=1):
        if not isinstance(entry, dict) or not isinstance(entry.get("table"), str):
            raise UsageError(f"{pack}: load {at} names no table", "write 'table: events'")
        _parts(pack, raw, entry)  # a mistake in the last load is said before the first begins
    return [_one(pack, raw, entry, source, progress, say) for entry in raw["loads"]]


def _parts(pack: Path, raw: dict[str, Any], entry: dict[str, Any]) -> tuple[Mapping, list[Path]]:
    """The mapping of one load, and its files."""
    mapping = {"note": raw.get("note")} | {k: v for k, v in entry.items() if k != "format"}
    named = mapping.get("files")
    if not isinstance(named, dict):  # named files belong to the SELECT that reads them
        mapping.pop("files", None)
        listed = [named] if isinstance(named, str) else named or []
        if not isinstance(listed, list):
            raise UsageError(f"{pack}: {entry['table']}: files is {named!r}", "write a file's name or a list of them")
        named = dict(enumerate(listed))
    parsed = parse(mapping, contract.table(entry["table"]), f"{pack}: {entry['table']}")
    return parsed, [pack.parent / str(file) for file in named.values()]


def _one(
    pack: Path, raw: dict[str, Any], entry: dict[str, Any], source: str | Path, progress: bool, say: Say
) -> LoadReport:
    mapping, files = _parts(pack, raw, entry)
    report = load_table(
        entry["table"],
        files,
        source,
        format=entry.get("format"),
        mapping=mapping,
        identity=pack.parent / raw["identity"] if raw.get("identity") else None,
        tz=raw.get("tz"),
        currency=raw.get("currency"),
        progress=progress,
    )
    say(report.sentence())
    return report


def load_folder(
    folder: Path, source: str | Path, *, progress: bool = False, say: Say = lambda line: None
) -> list[LoadReport]:
    """Load every `TABLE.parquet`, `TABLE-*.parquet` (or .csv, .jsonl) of a folder into the table of that name.

    Raises
    ------
    ContractError  if no file of the folder is named after a table.
    """
    found = {
        table: sorted(p for p in folder.glob(f"{table}*") if p.name.split(".")[0].split("-")[0] == table)
        for table in LOADABLE
    }
    if not any(found.values()):
        raise ContractError(
            f"{folder} holds no file named after a table", f"name it TABLE.parquet; tables: {', '.join(LOADABLE)}"
        )
    reports = []
    for table, paths in found.items():
        if paths:
            reports.append(load_table(table, paths, source, progress=progress))
            say(reports[-1].sentence())
    return reports
