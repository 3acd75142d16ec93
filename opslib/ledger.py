"""What the warehouse knows of itself: its tables, its loads, and what was put aside. Small pandas tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from opslib import contract, privacy, reasons
from opslib.engine import Tables, check
from opslib.errors import nearest
from opslib.text import like, names, say
from opslib.warehouse import VALUE_OF_A_REASON


def overview(tables: Tables) -> pd.DataFrame:
    """One row a contract table that is there: table, rows, first_day, last_day, problems, problem (the gravest, in words)."""
    rows = []
    for name in contract.TABLES:
        if not tables.has(name):
            continue
        problems = sorted(check(tables, name), key=lambda p: -p.count)
        has_day = contract.table(name).clock_day is not None
        first, last = tables.span(name) if has_day else (None, None)
        rows.append((name, _rows(tables, name), first, last, len(problems), problems[0].sentence() if problems else ""))
    return pd.DataFrame(rows, columns=["table", "rows", "first_day", "last_day", "problems", "problem"])


def _rows(tables: Tables, name: str) -> int:
    if tables.is_folder:
        return tables.manifest.rows(name)
    return int(getattr(tables, name).count().to_pandas())


def freshness(tables: Tables, *events: Any) -> str:
    """How far the data reaches, when it was loaded, and which of the events asked for never happen, in the reader's words."""
    last = tables.span()[1]
    at = max((load["at"] for load in tables.manifest.loads), default="")[:16].replace("T", " ")
    aside = sum(part.rows for parts in tables.manifest.quarantine.values() for part in parts)
    loaded = say(zh="，{at} UTC 加载", en=", loaded {at} UTC", at=at) if at else ""
    kept = say(zh="，{n} 行在隔离区", en=", {n} rows put aside", n=aside) if aside else ""
    return (
        say(zh="数据截至 {last}（{tz}）", en="Data to {last} ({tz})", last=str(last), tz=tables.manifest.tz)
        + loaded
        + kept
        + _unheard(tables, events)
    )


def _unheard(tables: Tables, events: Sequence[Any]) -> str:
    gone, known = tables.unheard(*events)
    if not gone:
        return ""
    words = say(zh="；数据里没有事件{gone}", en="; no event {gone} in the data", gone=names(gone))
    return words + "".join(f"{say(zh='；', en='; ')}{like(name, known)}" for name in gone if nearest(name, known)[0])


def loads(tables: Tables, *, last: int = 50) -> pd.DataFrame:
    """One row a load, the newest first: loaded_at, table, files, read, new, updated, already_there, quarantined, late, first_day, last_day."""
    columns = [
        "at",
        "table",
        "files",
        "read",
        "new",
        "updated",
        "already_there",
        "quarantined",
        "late",
        "first_day",
        "last_day",
    ]
    frame = pd.DataFrame(tables.manifest.loads, columns=columns)
    frame["files"] = [", ".join(files) for files in frame["files"]]
    frame["at"] = frame["at"].astype(str).str[:16].str.replace("T", " ")
    return frame.iloc[::-1].head(last).rename(columns={"at": "loaded_at"}).reset_index(drop=True)


def quarantine(tables: Tables) -> pd.DataFrame:
    """One row a table, file and kind of reason: table, source, reason (an example, its value masked unless the
    project's privacy says otherwise), line (of the example), rows."""
    columns = ["table", "source", "reason", "line", "rows"]
    found = []
    for name, parts in tables.manifest.quarantine.items():
        if parts:
            paths = [str(Path(tables.source) / part.path) for part in parts]
            aside = tables.con.read_parquet(paths, table_name=f"quarantine_{name}")
            kind = aside.reason.re_replace(VALUE_OF_A_REASON, "")
            # A value may be an id or a telephone number.
            shown = kind if privacy.settings().mask_users else aside.reason
            groups = aside.group_by("source", kind=kind).agg(
                rows=aside.count(), reason=shown.argmin(aside.line), line=aside.line.min()
            )
            found.append(groups.to_pandas().assign(table=name)[columns])
    frame = pd.concat(found) if found else pd.DataFrame(columns=columns)
    frame["reason"] = [reasons.said(reason) for reason in frame["reason"]]
    return frame.sort_values("rows", ascending=False, ignore_index=True)
