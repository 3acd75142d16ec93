"""A folder of Parquet files that changes all at once.

`manifest.json` names the files that count. A load writes its new files beside the old ones and then replaces the
manifest in one step, so a reader, or a load killed at any moment, sees either the state before or the state after.
Files that a load replaces stay for a day, for readers that began before it; files that no manifest names are left-overs.
The next load removes both.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from opslib.errors import ContractError, LockedError, OpsError, UsageError, near

MANIFEST = "manifest.json"
PIECE, PIECES = 2_000_000, 32  # rows, and how many of them at most: see `cuts`
KEPT = dt.timedelta(days=1)  # longer than any report takes
STAGING = "_staging"
FORMAT = 1
_OURS = re.compile(r"\d{8}T\d{6}-[0-9a-f]{8}\.parquet")  # the names that loads give; no other file is ever removed
VALUE_OF_A_REASON = ", got [^;]*"  # why a row was put aside, without it, is the kind of the fault
DEFAULT_TZ = "Asia/Shanghai"
DEFAULT_CURRENCY = "CNY"


@dataclass
class Part:
    """One live Parquet file: its path inside the warehouse, rows, and the local days it spans."""

    path: str
    rows: int
    month: str = ""
    first_day: str | None = None
    last_day: str | None = None


@dataclass
class Manifest:
    """What the warehouse holds."""

    tz: str = DEFAULT_TZ
    currency: str = DEFAULT_CURRENCY
    tables: dict[str, list[Part]] = field(default_factory=dict)
    columns: dict[str, dict[str, str]] = field(default_factory=dict)  # table → extra column → DuckDB type
    keys: dict[str, list[Part]] = field(default_factory=dict)  # text id → its dictionary of integer keys
    quarantine: dict[str, list[Part]] = field(default_factory=dict)
    identity: list[Part] = field(default_factory=list)  # alias → user_id, as given
    loads: list[dict[str, Any]] = field(default_factory=list)  # one report a load, oldest first
    notes: list[str] = field(default_factory=list)  # what a reader must know about this source
    retired: dict[str, str] = field(default_factory=dict)  # replaced file → when; kept for readers that began before

    def rows(self, table: str) -> int:
        return sum(part.rows for part in self.tables.get(table, []))

    def parts(self) -> Iterator[Part]:
        for group in (self.tables, self.keys, self.quarantine):
            for parts in group.values():
                yield from parts
        yield from self.identity

    @property
    def fingerprint(self) -> str:
        """Changes when, and only when, the data changes."""
        groups = (self.tables, self.quarantine)  # rows put aside are data too: the data-quality report shows them
        live = [sorted((n, p.path, p.rows) for n, parts in group.items() for p in parts) for group in groups]
        seen = json.dumps([self.tz, self.currency, *live], sort_keys=True)
        return hashlib.sha256(seen.encode()).hexdigest()[:16]


def read(folder: Path | str) -> Manifest:
    """The manifest of a warehouse; an empty one where there is none yet.

    Raises
    ------
    ContractError  if the manifest cannot be read or was written by a newer version.
    """
    path = Path(folder) / MANIFEST
    if not path.exists():
        return Manifest()
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw.pop("format") != FORMAT:
            raise ContractError(
                f"{path} was written by another version of opslib", "load the raw files into a new folder"
            )
        for group in ("tables", "keys", "quarantine"):
            raw[group] = {name: [Part(**part) for part in parts] for name, parts in raw[group].items()}
        raw["identity"] = [Part(**part) for part in raw.get("identity", [])]
        return Manifest(**raw)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ContractError(f"{path} is not a manifest ({error})", "restore it, or load the raw files again") from None


def commit(folder: Path, manifest: Manifest) -> None:
    """Make the manifest the truth, in one step that survives a power cut."""
    live = {folder / part.path for part in manifest.parts()}
    _retire(folder, manifest)
    for named in {parent for path in live for parent in path.parents if folder in parent.parents}:
        _to_disk(named)
    aside = folder / f"{MANIFEST}.new"
    with aside.open("w", encoding="utf-8") as file:
        json.dump({"format": FORMAT} | asdict(manifest), file, ensure_ascii=False, indent=1)
    place(aside, folder / MANIFEST)
    _to_disk(folder)


def _retire(folder: Path, manifest: Manifest) -> None:
    """Note the files that `manifest` no longer names and its predecessor did; forget those that no reader can still hold."""
    now = dt.datetime.now(dt.UTC)
    manifest.retired = {p: at for p, at in manifest.retired.items() if now - dt.datetime.fromisoformat(at) < KEPT}
    live = {part.path for part in manifest.parts()}
    replaced = {part.path for part in read(folder).parts()} - live
    manifest.retired |= dict.fromkeys(sorted(replaced), now.isoformat(timespec="seconds"))


def place(aside: Path, target: Path) -> None:
    """Move a finished file to where it belongs: whole or not at all."""
    _to_disk(aside)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside.replace(target)


def _to_disk(path: Path) -> None:
    """What a file, or the list of a folder's files, holds survives a power cut from here on."""
    if path.is_dir() and os.name != "posix":  # elsewhere a folder cannot be opened
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def new_name() -> str:
    """A file name that nobody else has, and that `sweep` knows for one of ours."""
    return f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}.parquet"


@contextmanager
def writing(folder: Path | str, tz: str | None = None, currency: str | None = None) -> Iterator[tuple[Manifest, Path]]:
    """The manifest to change and an empty staging folder, while no other process may write.

    Raises
    ------
    LockedError    if another load is running on this warehouse.
    ContractError  if the warehouse was made in another time zone or currency.
    UsageError     if `folder` is the URL of an engine, which its own tools fill.
    OpsError       if the folder cannot be written.
    """
    if "://" in str(folder):
        raise UsageError("a load writes into a folder, not into an engine", "load there with the engine's own tools")
    root = Path(folder)
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root} is a file", "--source names a folder")
    try:
        with _lock(root):
            manifest, staging = read(root), root / STAGING
            _settle(manifest, root, tz, currency)
            sweep(root, manifest)
            staging.mkdir()
            try:
                yield manifest, staging
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise OpsError(f"{root} cannot be written ({error.strerror})", "check its permissions and free space") from None


@contextmanager
def _lock(root: Path) -> Iterator[None]:
    import filelock

    root.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(root / ".lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise LockedError(f"{root} is being loaded by another process", "wait for it to end") from None
    try:
        yield
    finally:
        lock.release()


def _settle(manifest: Manifest, root: Path, tz: str | None, currency: str | None) -> None:
    if tz is not None:
        zone(tz)
    if currency is not None and not re.fullmatch("[A-Z]{3}", currency):
        raise UsageError(f"no currency {currency!r}", "three capital letters as in ISO 4217: CNY, USD, EUR")
    for name, asked in (("tz", tz), ("currency", currency)):
        have = getattr(manifest, name)
        if asked is None or asked == have:
            continue
        if manifest.tables:
            raise ContractError(
                f"{root} holds {name} {have}, not {asked}", "one warehouse has one; load into another folder"
            )
        setattr(manifest, name, asked)


def zone(name: str) -> ZoneInfo:
    """The time zone of that name.

    Raises
    ------
    UsageError  if there is none; names the near miss.
    """
    from zoneinfo import available_timezones

    if name not in available_timezones():
        raise UsageError(f"no time zone {name!r}", near(name, available_timezones()))
    return ZoneInfo(name)


def cap_memory(con: Any, most: float) -> None:
    """Let a DuckDB connection hold at most so many GiB before it spills to disk; less where the machine has less."""
    limit, unit = con.execute("SELECT current_setting('memory_limit')").fetchall()[0][0].split()
    if unit == "TiB" or (unit == "GiB" and float(limit) > most):
        con.execute(f"SET memory_limit = '{most}GiB'")


def utc_hours(name: str, day: dt.date) -> int:
    """Whole hours by which the zone's clocks are ahead of UTC at noon of a day."""
    noon = dt.datetime.combine(day, dt.time(12), tzinfo=zone(name))
    offset = noon.utcoffset() or dt.timedelta()
    return round(offset / dt.timedelta(hours=1))


def cuts(parts: Iterable[Part]) -> list[dt.date]:
    """First days of the pieces, all but the first, in which a table's rows are best made distinct by user and day.

    A hash table for `PIECE` rows still fits the processor's cache: of 50 M events the pairs of user and day are found in
    three fifths of the time. `PIECES` at most, because each is a query of its own to plan.
    """
    months: dict[str, list[tuple[dt.date, dt.date, int]]] = {}
    for part in parts:
        if part.first_day and part.last_day:
            days = (dt.date.fromisoformat(part.first_day), dt.date.fromisoformat(part.last_day))
            months.setdefault(part.month, []).append((*days, part.rows))
    most = max(PIECE, sum(rows for month in months.values() for *_, rows in month) / PIECES)
    found: list[dt.date] = []
    read = 0.0
    for _month, files in sorted(months.items()):
        firsts, lasts, rows = zip(*files, strict=True)
        # A month that is no more than a piece stays whole: its files are read for one piece only.
        steps = (max(lasts) - min(firsts)).days + 1 if sum(rows) > most else 1
        for n in range(steps):
            size = sum(rows) / steps  # as if each day had as many
            if read and (read + size / 2) // most > len(found):
                found.append(min(firsts) + dt.timedelta(n))
            read += size
    return found


def days(parts: Iterable[Part]) -> tuple[dt.date, dt.date] | None:
    """First and last local day in these files; None where one of them does not say which days it holds."""
    told = [(part.first_day or "", part.last_day or "") for part in parts if part.rows]
    if not told or not all(first and last for first, last in told):
        return None
    firsts, lasts = zip(*told, strict=True)
    return dt.date.fromisoformat(min(firsts)), dt.date.fromisoformat(max(lasts))


def sweep(root: Path, manifest: Manifest) -> None:
    """Remove what a killed load left behind, and the files that a load replaced more than a day ago."""
    shutil.rmtree(root / STAGING, ignore_errors=True)
    (root / f"{MANIFEST}.new").unlink(missing_ok=True)
    now = dt.datetime.now(dt.UTC)
    young = {p for p, at in manifest.retired.items() if now - dt.datetime.fromisoformat(at) < KEPT}
    live = {root / part.path for part in manifest.parts()} | {root / path for path in young}
    for path in root.glob("*/**/*.parquet"):
        if path not in live and _OURS.fullmatch(path.name):
            path.unlink(missing_ok=True)
