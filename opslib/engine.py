"""Where the tables live: a folder is DuckDB over its Parquet files, a URL is that engine.

A URL names an environment variable for its password (`postgres://reader:${PGPASSWORD}@host/db`), so that no secret is
ever a parameter.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from opslib import columns, contract, credentials, duck, warehouse
from opslib.check import Problem, check
from opslib.errors import ContractError, OpsError, TooLittleError, UsageError, near, nearest
from opslib.periods import iso_day
from opslib.project import resolved
from opslib.text import Clean, like, say
from opslib.text import names as quoted

__all__ = ["Problem", "Tables", "check", "connect"]

MEMORY = "OPSLIB_MEMORY_MB"  # what one report may use


@dataclass
class Tables:
    """The contract's tables on one engine: `tables.events`; a table that is not loaded is there, but empty."""

    con: Any
    source: str
    manifest: warehouse.Manifest
    _bound: dict[str, ir.Table] = field(default_factory=dict, repr=False)

    def __getattr__(self, name: str) -> ir.Table:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in contract.TABLES:
            raise UsageError(f"no table {name!r} in the contract", near(name, contract.TABLES))
        if name not in self._bound:
            self._bound[name] = self._bind(name)
        return self._bound[name]

    def _bind(self, name: str) -> ir.Table:
        if not self.is_folder and name == "daily" and not self.has("daily") and self.has("events"):
            return _rolled_up(self.events)
        if not self.has(name):
            return ibis.memtable([], schema=ibis.schema(contract.types(name)))
        if not self.is_folder:
            return _completed(self.con.table(name), name, self.source)
        return duck.viewed(self.con, name, Path(self.source), self.manifest.tables[name])

    @property
    def is_folder(self) -> bool:
        return "://" not in self.source

    def has(self, *names: str) -> bool:
        """True when every named table is there and, in a folder, has rows."""
        if self.is_folder:
            return all(self.manifest.rows(name) for name in names)
        return set(names) <= set(self.con.list_tables())

    def need(self, *names: str) -> None:
        """Stop a report, or one part of it, that cannot do without these tables.

        Raises
        ------
        TooLittleError  naming the missing tables and the command that loads them.
        """
        gone = [name for name in names if not self.has(name)]
        if gone:
            raise TooLittleError(
                say(
                    zh="缺少数据表 {names}，请先运行 opslib load {first} 文件 --source {source}",
                    en="needs the table {names}; run opslib load {first} FILE --source {source} first",
                    names=say(zh="、", en=", ").join(gone), first=gone[0], source=credentials.hidden(self.source),
                )
            )  # fmt: skip

    def need_events(self, *steps: Any) -> None:
        """Stop a report that asks for an event that never happens: a metric would answer with true zeros.

        `steps` are event names or mappings as the metrics take them; one without a name means any event.

        Raises
        ------
        UsageError      if an event of a similar name happens; names it.
        TooLittleError  if none does; names events that happen.
        """
        gone, known = self.unheard(*steps)
        for name in gone:
            if nearest(name, known)[0]:
                missing = say(zh="数据里没有事件「{name}」", en="no event “{name}” in the data", name=name)
                raise UsageError(missing, like(name, known))
        if gone:
            raise TooLittleError(
                say(
                    zh="数据里没有事件{gone}，有的是 {known}；请改参数，或先运行 opslib load events 文件",
                    en="no event {gone} in the data, there are {known}; change the parameter, or run opslib load events FILE first",
                    gone=quoted(map(columns.event_name, gone)),
                    known=Clean(say(zh="、", en=", ").join(columns.event_name(event) for event in sorted(known)[:8])),
                )
            )  # fmt: skip

    def unheard(self, *steps: Any) -> tuple[list[str], list[str]]:
        """Of the events asked for those that never happen, and all that do."""
        named = [step.get("event") if isinstance(step, dict) else step for step in steps]
        wanted = [n for names in named if names for n in ([names] if isinstance(names, str) else names)]
        seen = (self.daily if self.has("daily") else self.events).select("event").distinct() if wanted else None
        known = [] if seen is None else [str(name) for name in seen.to_pandas()["event"]]
        return [name for name in dict.fromkeys(wanted) if name not in known], known

    def ids(self, column: str, *, most: int) -> list[str]:
        """The ids of a table with that key alone (`campaign_id`: every campaign), sorted, the first `most` of them.

        Raises
        ------
        UsageError      if no table has such a key; names the near miss.
        TooLittleError  if the table has no rows.
        """
        keyed = {t.key[0]: name for name, t in contract.TABLES.items() if len(t.key) == 1}
        if column not in keyed:
            raise UsageError(f"no table has {column!r} as its key: its values must be named", near(column, keyed))
        self.need(keyed[column])
        rows = getattr(self, keyed[column]).select(column).distinct().order_by(column).limit(most)
        return [str(v) for v in rows.to_pandas()[column]]

    def span(self, name: str = "events") -> tuple[dt.date, dt.date]:
        """First and last local day of a table that have been observed to their end.

        The day on which the data was loaded was not over then, and clocks that run fast bring events of tomorrow: neither
        is observed. A table of which nothing else is there keeps its last day.

        Raises
        ------
        TooLittleError  if it has no rows.
        """
        self.need(name)
        day = contract.table(name).clock_day
        if day is None:
            raise UsageError(say(zh="数据表 {name} 没有日期列", en="the table {name} has no day", name=name))
        if known := warehouse.days(self.manifest.tables.get(name, []) if self.is_folder else []):
            return self._observed(name, *known)
        table = getattr(self, name)
        row = table.agg(first=table[day].min(), last=table[day].max()).to_pandas().iloc[0]
        if row["first"] is None or row["first"] != row["first"]:
            raise TooLittleError(say(zh="数据表 {name} 没有数据", en="the table {name} has no rows", name=name))
        return self._observed(name, pd.Timestamp(row["first"]).date(), pd.Timestamp(row["last"]).date())

    def observed(self, name: str, until: dt.date) -> dt.date:
        """The day up to which a table that may be silent for days has been observed; `until` where nothing speaks against it.

        An export that ends before the others would count its missing days as zeros. So a silence at the end that is
        longer than any silence before it is not taken for quiet days: the table ends with its last row.
        """
        day = contract.table(name).clock_day
        if day is None or not self.has(name):
            return until
        column = getattr(self, name)[day]
        held = column.name("day").as_table().distinct().to_pandas()["day"]
        days = pd.to_datetime(held).sort_values()
        days = days[days <= pd.Timestamp(until)]
        if days.empty:
            return until
        longest = max(1, int(days.diff().dt.days.max() or 1)) if len(days) > 1 else 1
        return until if (pd.Timestamp(until) - days.iloc[-1]).days <= longest else days.iloc[-1].date()

    def _observed(self, name: str, first: dt.date, last: dt.date) -> tuple[dt.date, dt.date]:
        own = "events" if name == "daily" else name
        brought = [load for load in self.manifest.loads if load["new"] or load.get("updated")]
        loads = [load["at"] for load in brought if load["table"] == own] or [load["at"] for load in self.manifest.loads]
        clock = dt.datetime.fromisoformat(max(loads)) if loads else dt.datetime.now(dt.UTC).replace(tzinfo=None)
        zone = warehouse.zone(self.manifest.tz)
        yesterday = clock.replace(tzinfo=dt.UTC).astimezone(zone).date() - dt.timedelta(days=1)
        return first, max(first, min(last, yesterday))

    def within(self, start: str, end: str, name: str = "events") -> None:
        """Stop when a period has no day in common with the data.

        Raises
        ------
        TooLittleError  naming the period asked for and the days that are there.
        UsageError      if the period is no period.
        """
        if iso_day(start, "start") > iso_day(end, "end"):
            raise UsageError(
                say(zh="时段到 {end} 结束，早于开始的 {start}", en="the period ends on {end}, before it begins on {start}", start=start, end=end),
                say(zh="请对调参数 start 和 end", en="exchange start and end"),
            )  # fmt: skip
        first, last = self.span(name)
        if iso_day(end, "end") < first or iso_day(start, "start") > last:
            raise TooLittleError(
                say(
                    zh="{start} 至 {end} 没有数据；现有数据为 {first} 至 {last}，请改参数 start、end",
                    en="no data from {start} to {end}; the data runs from {first} to {last}, change start and end",
                    start=start, end=end, first=str(first), last=str(last),
                )
            )  # fmt: skip

    @property
    def fingerprint(self) -> str:
        """Changes when the data changes: the manifest's own for a folder, row counts and last days for an engine."""
        if self.is_folder:
            return self.manifest.fingerprint
        seen = []
        for name in sorted(n for n in contract.TABLES if self.has(n)):
            day = contract.table(name).clock_day
            table = getattr(self, name)
            last = table[day].max() if day else ibis.null("date")
            seen.append((name, *table.agg(n=table.count(), last=last).to_pandas().iloc[0].astype(str)))
        return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


def _record_queries() -> None:
    """Within a run every query that a metric becomes is written beside the report, each once."""
    folder, seen = os.environ.get("OPSLIB_RUN_DIR"), set()
    if not folder:
        return

    def note(sql: str) -> None:
        if sql.lstrip()[:6].upper() in ("SELECT", 'WITH "', "WITH T") and sql not in seen and Path(folder).is_dir():
            seen.add(sql)
            with (Path(folder) / "queries.sql").open("a", encoding="utf-8") as file:
                file.write(sql.strip().rstrip(";") + ";\n\n")

    ibis.options.verbose, ibis.options.verbose_log = True, note


def connect(source: str | Path = "data/warehouse", *, memory_mb: int = 0) -> Tables:
    """The tables of a warehouse folder or an engine's URL; `memory_mb` is what this report is content with, 0 for no such limit.

    Raises
    ------
    ContractError  if the folder holds no warehouse; says how to make one.
    OpsError       if the engine cannot be reached; never shows a password.
    """
    text = str(source)
    _record_queries()
    ibis.options.sql.fuse_selects = "://" in text  # DuckDB merges nested selects itself, and sooner
    if "://" in text:
        return Tables(_engine(text), text, warehouse.Manifest())
    folder = resolved(text)
    if not (folder / warehouse.MANIFEST).exists():
        none = say(zh="{folder} 里没有数据仓库", en="{folder} holds no warehouse", folder=Clean(folder))
        raise ContractError(none, _instead(folder))
    con = duck.opened()
    # Several reports run at once and share the machine; one that loses nothing by going to disk may take less than its share.
    if limits := [n for n in (memory_mb, _number(os.environ.get(MEMORY) or "0")) if n]:
        con.raw_sql(f"SET memory_limit = '{min(limits)}MB'")
    return Tables(con, str(folder), warehouse.read(folder))


def _instead(folder: Path) -> str:
    """What to do about a folder that holds no warehouse: a slip of the pen, the path of a file, or nothing loaded yet."""
    if folder.suffix and not folder.exists():
        return say(zh="请检查路径", en="check the path")
    beside = [] if folder.exists() else [path.parent.name for path in folder.parent.glob(f"*/{warehouse.MANIFEST}")]
    miss = nearest(folder.name, beside, alike=0.8)[0]
    asked = say(zh="是不是「{miss}」？如果不是，", en="did you mean “{miss}”? If not, ", miss=miss) if miss else ""
    return say(
        zh="{asked}请先载入数据：opslib load events 文件 --source {folder}",
        en="{asked}load data first: opslib load events FILE --source {folder}",
        asked=Clean(asked),
        folder=Clean(folder),
    )


def _number(memory: str) -> int:
    if not memory.isdecimal():
        raise UsageError(f"{MEMORY} must be a number of megabytes, got {memory!r}", f"export {MEMORY}=4000")
    return int(memory)


def _engine(url: str) -> Any:
    if credentials.holds_one(url):
        raise UsageError(f"the URL of {credentials.hidden(url)} holds a password", credentials.HINT)
    settings = {"join_use_nulls": 1} if url.startswith("clickhouse") else {}
    try:
        con = ibis.connect(credentials.filled(url), **({"settings": settings} if settings else {}))
    except OpsError:
        raise
    except Exception as error:
        # The engine's own message may repeat the URL with its password.
        raise OpsError(
            say(
                zh="连不上 {url}（{kind}）",
                en="cannot connect to {url} ({kind})",
                url=Clean(credentials.hidden(url)),
                kind=type(error).__name__,
            ),
            say(
                zh="请检查地址、存密码的环境变量和驱动", en="check the address, the password's variable and the driver"
            ),
        ) from None
    return con


def _completed(table: ir.Table, name: str, source: str) -> ir.Table:
    """A view of another engine with every column of the contract: what may be null and is absent is null.

    Raises
    ------
    ContractError  if a column that must never be null, or the local day of one, is absent; names the near miss.
    """
    spec = contract.table(name)
    days = {c.day for c in spec.columns if c.required and c.day and not spec.derived}
    for column in sorted(({c.name for c in spec.columns if c.required} | days) - set(table.columns)):
        where = credentials.hidden(source)
        raise ContractError(
            say(
                zh="{where}：数据表 {name} 缺少列「{column}」",
                en="{where}: the table {name} lacks the column “{column}”",
                where=Clean(where),
                name=name,
                column=str(column),
            ),
            like(str(column), table.columns),
        )
    absent = {n: ibis.null(t) for n, t in contract.types(name).items() if n not in table.columns}
    return table.mutate(**absent) if absent else table


def _rolled_up(events: ir.Table) -> ir.Table:
    """`daily` where nobody keeps it up to date: the same rows, made from events at every query."""
    return events.group_by("user_id", "day", "event").agg(
        n=events.count(), first_ts=events.ts.min(), amount=events.amount.sum(), duration_s=events.duration_s.sum()
    )
