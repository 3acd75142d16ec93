"""Bring raw files into the warehouse: all of a load or none of it, the same once or twice, with nothing lost.

Raw rows become contract rows in one staging database; rows that break the contract go to the quarantine with file, line
and reason; the rest is compared with what is already there. Only then are Parquet files written and the manifest moved.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opslib import contract, warehouse, yamlfile
from opslib import identity as identities
from opslib.errors import UsageError, near
from opslib.importers import lines, stage
from opslib.importers import mapping as mappings
from opslib.importers.stage import Raw, Tick
from opslib.importers.typed import Typed, put_aside, set_aside
from opslib.progress import Progress
from opslib.quoting import literal, quoted
from opslib.settle import settle
from opslib.store import Store
from opslib.warehouse import VALUE_OF_A_REASON, Part

if TYPE_CHECKING:
    import duckdb

_MEMORY = 4  # GiB; the staging database spills to disk beyond it


@dataclass
class LoadReport:
    """What became of the rows: `read = new + already_there + quarantined`, always."""

    table: str
    files: list[str]
    read: int = 0
    new: int = 0
    updated: int = 0  # of `new`: rows of an updatable table that replaced an older version
    already_there: int = 0
    quarantined: int = 0
    late: int = 0  # of `new`: rows for local days before the last day that an earlier load brought
    first_day: str | None = None
    last_day: str | None = None
    at: str = ""
    reasons: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)  # files of which every row was put aside

    def sentence(self) -> str:
        """One line: what went in, what was there, what was put aside and why."""
        counts = f"{self.new:,} new + {self.already_there:,} already there + {self.quarantined:,} put aside"
        text = f"{self.table}: read {self.read:,} = {counts}"
        if self.updated:
            text += f" ({self.updated:,} of the new rows replace older ones)"
        if self.reasons:
            shown = [
                f"{reason} ({count:,})" if count > 1 else reason for reason, count in list(self.reasons.items())[:3]
            ]
            rest = len(self.reasons) - 3
            more = f"; and {rest} more {'kind' if rest == 1 else 'kinds'} of reason" if rest > 0 else ""
            text += f". Put aside: {'; '.join(shown)}{more}"
            text += f". The rows are in _quarantine/{self.table}; mend the file and load it again"
        return ". ".join([text, *self.notes])


def load(
    table: str,
    files: str | Path | Sequence[str | Path],
    source: str | Path = "data/warehouse",
    *,
    format: str | None = None,
    mapping: mappings.Mapping | dict[str, Any] | str | Path | None = None,
    identity: identities.Identity | None = None,
    tz: str | None = None,
    currency: str | None = None,
    now: dt.datetime | None = None,
    progress: bool = False,
) -> LoadReport:
    """Load files into one contract table of a warehouse.

    Parameters
    ----------
    table : a table of `contract.LOADABLE`
    files : Parquet, CSV or JSON Lines files (`.gz` too); one or several, loaded together; none with an `identity` alone
    source : the warehouse's folder; made if it does not exist
    format : parquet, csv or jsonl; by default what each file's name says
    mapping : where each column comes from, as a YAML file or what it holds; see `importers.mapping`
    identity : alias → user_id, as a file with these two columns or a mapping; see `identity`
    tz : the warehouse's one time zone, for local days; fixed by its first load (default Asia/Shanghai)
    currency : the warehouse's one currency; fixed by its first load (default CNY)
    now : the load's clock, UTC; rows more than 24 h ahead of it are put aside
    progress : show a progress bar on stderr when it takes long

    Raises
    ------
    ContractError  if a file cannot be read or a column that must never be null is missing; nothing is loaded then.
    LockedError    if another load is running on the warehouse.
    UsageError     if the table, the format or the mapping is not known.
    """
    spec = contract.table(table)
    if spec.derived:
        raise UsageError(f"{table} is made by the load of events and cannot be loaded itself", "load events")
    paths = [Path(f) for f in ([files] if isinstance(files, str | Path) else files)]
    if not paths and identity is None:
        raise UsageError(f"load {table}: no file named", "name a Parquet, CSV or JSON Lines file")
    for path in [*paths, *([Path(identity)] if isinstance(identity, str | Path) else [])]:
        lines.guard(path)
        stage.format_of(path, format)
    parsed = mapping if isinstance(mapping, mappings.Mapping) else _parsed(mapping, spec)
    moment = _utc(now)
    report = LoadReport(table, [p.name for p in paths], at=moment.isoformat(timespec="seconds"))
    with (
        Progress(f"load {table}", progress) as bar,
        warehouse.writing(source, tz, currency) as (manifest, staging),
        _database(staging, bar) as con,
        stage.reading(", ".join(report.files) or "the identity map"),
    ):
        store = Store(con, manifest, Path(source), staging)
        note = identities.take(store, identity)
        report.notes = [note] if note else []
        if paths:
            raws = _open(con, paths, staging, format, parsed, bar.tick)
            typed = Typed(con, spec, parsed, _extras(manifest, spec), moment, staging)
            _load(store, spec, raws, typed, report, bar)
            report.notes += typed.notes
        if parsed.note and parsed.note not in manifest.notes:
            manifest.notes.append(parsed.note)
        manifest.loads.append(asdict(report))
        warehouse.commit(Path(source), manifest)
    return report


def _parsed(mapping: dict[str, Any] | str | Path | None, spec: contract.Table) -> mappings.Mapping:
    if isinstance(mapping, str | Path):
        return mappings.parse(yamlfile.read(Path(mapping)), spec, str(mapping))
    return mappings.parse(mapping, spec)


def _load(store: Store, spec: contract.Table, raws: list[Raw], typed: Typed, report: LoadReport, bar: Progress) -> None:
    """Check the rows, find the new ones, write them, and balance the books."""
    con, parts = store.con, store.manifest.tables.get(spec.name, [])
    bar.step("checking")
    select = typed.rows(raws)
    if spec.name in identities.TABLES and store.manifest.identity:
        select = identities.resolved(select)
    con.execute(f"CREATE VIEW typed AS {select}")
    settle(con, spec, list(typed.given), store.root, parts)
    put_aside(con, raws)
    broken = _aside(con)
    set_aside(con, raws)
    _count(con, raws, broken, report)
    store.quarantine(spec.name)
    if report.read > report.already_there + report.quarantined:
        report.new = store.write(spec, list(typed.given), bar.step)
        _note_days(con, spec, parts, report)
    if report.read != report.new + report.already_there + report.quarantined:
        raise AssertionError(f"load {spec.name}: the books do not balance: {report}")


def _aside(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    return dict(con.execute("SELECT source, count(*) FROM aside GROUP BY source").fetchall())


def _count(con: duckdb.DuckDBPyConnection, raws: list[Raw], broken: dict[str, int], report: LoadReport) -> None:
    fate = dict(con.execute("SELECT status, count(*) FROM fate GROUP BY status").fetchall())
    aside = _aside(con)
    report.read = sum(raw.rows for raw in raws) + sum(broken.values())
    report.already_there = fate.get("there", 0)
    report.updated = fate.get("update", 0)
    report.quarantined = sum(aside.values())
    report.reasons = _reasons(con)
    for raw in raws:
        rows = raw.rows + broken.get(raw.label, 0)
        if not rows:
            report.notes.append(f"{raw.label} holds no rows; export it again if it should")
        elif aside.get(raw.label) == rows:
            report.unusable.append(raw.label)
        if raw.note:
            report.notes.append(raw.note)


def _reasons(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Reason with its first place → rows, the most frequent first; reasons that differ in the value only are one."""
    return dict(
        con.execute(
            "SELECT concat(source, ' line ', min(line), ': ', arg_min(left(reason, 160), line)), count(*) AS n "
            f"FROM aside GROUP BY source, regexp_replace(reason, {literal(VALUE_OF_A_REASON)}, '', 'g') ORDER BY n DESC, 1"
        ).fetchall()
    )


def _note_days(con: duckdb.DuckDBPyConnection, spec: contract.Table, before: list[Part], report: LoadReport) -> None:
    if not spec.clock_day:
        return
    # The last day of the load before was not over when it was exported.
    known = max((p.last_day for p in before if p.last_day), default="0001-01-01")
    day = quoted(spec.clock_day)
    first, last, report.late = con.execute(
        f"SELECT min({day})::VARCHAR, max({day})::VARCHAR, count(*) FILTER ({day} < DATE '{known}') FROM dated"
    ).fetchall()[0]
    report.first_day, report.last_day = first, last


def _open(
    con: duckdb.DuckDBPyConnection,
    paths: list[Path],
    staging: Path,
    format: str | None,
    mapping: mappings.Mapping,
    tick: Tick,
) -> list[Raw]:
    if not mapping.select:
        labels = _labels(paths)
        return [stage.open_file(con, p, labels[p], f"~raw-{n}", staging, format, tick) for n, p in enumerate(paths)]
    at_hand = {path.name: path for path in paths}
    files = {}
    for at, (alias, name) in enumerate(mapping.files.items()):
        path = at_hand.get(Path(name).name)
        if path is None:
            raise UsageError(f"the mapping reads {name!r}, which is not among the files", near(name, at_hand))
        files[alias] = stage.open_file(con, path, path.name, f"~file-{at}", staging, format, tick)
    return [stage.select(con, files, mapping.select, "~raw-0", staging)]


def _labels(paths: list[Path]) -> dict[Path, str]:
    """What to call each file: its name, or its whole path where two have the same name."""
    names = [path.name for path in paths]
    return {path: path.name if names.count(path.name) == 1 else str(path) for path in paths}


def _extras(manifest: warehouse.Manifest, spec: contract.Table) -> dict[str, str]:
    return manifest.columns.setdefault(spec.name, {})


@contextmanager
def _database(staging: Path, bar: Progress) -> Iterator[duckdb.DuckDBPyConnection]:
    """A throw-away database that spills to the staging folder when a load is larger than memory."""
    import duckdb

    with duckdb.connect(config={"temp_directory": str(staging / "spill")}) as con:
        con.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false; SET preserve_insertion_order = false")
        con.execute("SET python_enable_replacements = false")
        warehouse.cap_memory(con, _MEMORY)
        with bar.watching(con):
            yield con


def _utc(now: dt.datetime | None) -> dt.datetime:
    now = now or dt.datetime.now(dt.UTC)
    return now.astimezone(dt.UTC).replace(tzinfo=None) if now.tzinfo else now
