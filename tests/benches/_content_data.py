"""Items, readers and what these were shown, for the benches and the promises of content: made once and kept.

`python -m tests.benches._content_data 100000000` makes that many impressions and nothing else (some minutes, 3 GB).
There is an item for every thousand impressions and a reader for every 200. Up to ten million impressions are loaded as any
export is. More are laid by SQL into the files that a load would write (by month, in the order of days, with its integer
keys), because the load's checks of 128 M events would take longer than all that is measured on them. `daily`, which a load
makes beside them, is not there: nothing of the content report reads it.
"""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import duckdb

from opslib import contract, load
from opslib import warehouse as store
from opslib.settle import scan
from opslib.store import Store
from tests.bench import DAYS, FOLDER, Data

IMPRESSIONS_AN_ITEM, IMPRESSIONS_A_READER = 1_000, 200
LOADED = 10_000_000
FIRST, MEMORY = dt.date(2026, 1, 1), 3  # the first day in UTC; GiB

# Items are published all the time, a third of them before the first day; each is shown less and less as it ages. Duds and
# gems are one in a hundred each. `hash` makes the same data again on every machine.
CONTENT = """
SELECT 'c' || i AS content_id,
    TIMESTAMP '2026-01-01' + to_microseconds((({days} * 1.5 * i / {items} - {days} * 0.5) * 86400e6)::BIGINT) AS published_at,
    'Title of item ' || i AS title, 'a' || hash(i, 1) % ({items} // 20) AS author_id,
    ['PGC', 'UGC'][1 + (hash(i, 2) % 2)::INT] AS source, 'category ' || hash(i, 3) % 8 AS category,
    round((hash(i, 4) % 1000) / 1e3, 3) AS originality, 'topic ' || hash(i, 3) % 8 || '-' || hash(i, 5) % 8 AS topic
FROM range({items}) t(i)
"""
EVENTS = """
WITH shown AS (
    SELECT k, {days} * (k + 0.5) / {n} AS d, (hash(k) % 1000000) / 1e6 AS a, (hash(k, 1) % 1000000) / 1e6 AS b,
        (hash(k, 2) % 1000000) / 1e6 AS e, (hash(k, 3) % 1000000) / 1e6 AS f, (hash(k, 4) % 1000000) / 1e6 AS g
    FROM range({first}, {last}) t(k)
), placed AS (
    SELECT *, ((d + {days} * 0.5 - pow(a, 4) * (d + {days} * 0.5)) * {items} / ({days} * 1.5))::BIGINT AS i,
        (pow(b, 2) * 24)::BIGINT AS position,
        ['algorithm', 'algorithm', 'editorial', 'banner', 'search'][1 + (hash(k, 5) % 5)::INT] AS placement
    FROM shown
), judged AS (
    SELECT *, e < 0.3 * quality * exp(-position / 8.0) * (CASE WHEN placement = 'algorithm' THEN 1.3 ELSE 1 END) AS opened,
        f < 0.5 * quality AS finished
    FROM (SELECT *, CASE WHEN hash(i, 6) % 100 = 0 THEN 0.3 WHEN hash(i, 6) % 100 = 1 THEN 1.9
        ELSE 0.6 + (hash(i, 7) % 1000) / 1250 END AS quality FROM placed)
), event AS (
    SELECT *, unnest(CASE WHEN NOT opened THEN ['impression'] ELSE list_filter(['impression', 'read',
        CASE WHEN finished THEN 'complete' END, CASE WHEN g < 0.1 THEN 'like' END,
        CASE WHEN g > 0.98 THEN 'share' END], x -> x IS NOT NULL) END) AS event
    FROM judged
)
SELECT event[1] || k AS event_id, 'u' || (pow(g, 2) * {n} / {reader})::BIGINT AS user_id, event,
    TIMESTAMP '2026-01-01' + to_microseconds((d * 86400e6)::BIGINT) AS ts, 'c' || i AS content_id, placement,
    CASE WHEN hash(k, 8) % 50 > 0 THEN position END AS position,
    CASE WHEN event = 'read' THEN round(exp(3 + 2 * f), 1) END AS duration_s
FROM event
"""
USERS = """
SELECT 'u' || i AS user_id, TIMESTAMP '2025-12-01' AS registered_at, ['ios', 'android'][1 + (hash(i) % 2)::INT] AS platform
FROM range({n} // {reader} + 1) t(i)
"""


def warehouse(data: Data) -> Path:
    """A warehouse with so many impressions and what followed them."""
    folder = data.folder.parent / "opslib-bench-content"
    root, n = folder / f"warehouse-{data.events}", data.events
    how = {
        "n": n,
        "items": n // IMPRESSIONS_AN_ITEM,
        "reader": IMPRESSIONS_A_READER,
        "days": DAYS,
        "first": 0,
        "last": n,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, sql in (("content", CONTENT), ("users", USERS), ("events", EVENTS)):
        if store.read(root).tables.get(name):
            continue
        if name == "events" and n > LOADED:
            _lay(root, how)
            continue
        raw = folder / f"{name}-{n}.parquet"
        duckdb.connect().execute(f"COPY ({sql.format(**how)}) TO '{raw}' (FORMAT parquet)")
        load(name, raw, root)
        raw.unlink()
    return root


def files(root: Path, table: str) -> str:
    """The warehouse's own files of a table, as a DuckDB relation."""
    return f"read_parquet({[str(root / part.path) for part in store.read(root).tables[table]]})"


def _lay(root: Path, how: dict[str, int]) -> None:
    """Write the events as a load would, month by month, and name them in the manifest."""
    with (
        store.writing(root) as (manifest, staging),
        duckdb.connect(config={"temp_directory": str(staging / "spill")}) as con,
    ):
        store.cap_memory(con, MEMORY)
        con.execute("SET enable_progress_bar = false")
        aside = Store(con, manifest, root, staging)
        # One item is shown and not in the table of items, as happens; whoever reads is in that of users.
        unknown = f"SELECT 'c{how['items']}' AS id, {how['items']}::BIGINT AS key"
        manifest.keys["content_id"].append(aside.file("_keys/content_id", unknown))
        keys = {id: scan(root, manifest.keys[id]) for id in ("user_id", "content_id")}
        ahead = store.utc_hours(manifest.tz, FIRST)
        month = FIRST
        while (month - FIRST).days <= DAYS:
            after = (month + dt.timedelta(days=31)).replace(day=1)
            rows = _month(how, keys, ahead, month, after)
            part = aside.file("events", rows, contract.table("events"), f"{month:%Y-%m}")
            manifest.tables.setdefault("events", []).append(part)
            month = after
        store.commit(root, manifest)


def _month(how: dict[str, int], keys: dict[str, str], ahead: int, month: dt.date, after: dt.date) -> str:
    """The events of a month of local days: they are made in the order of time, so that few are made in vain."""
    a_day = how["n"] / how["days"]
    first, last = (int(((day - FIRST).days - ahead / 24) * a_day) for day in (month, after))
    span = {"first": max(0, first - 1), "last": min(how["n"], last + 2)}
    made = EVENTS.format(**how | span)
    have = {"event_id", "user_id", "event", "ts", "content_id", "placement", "position", "duration_s"}
    others = [c for c in contract.table("events").columns if c.name not in have]
    bare = ", ".join(f"NULL::{'DOUBLE' if c.type == 'float' else 'VARCHAR'} AS {c.name}" for c in others)
    return (
        f"SELECT e.*, {bare}, u.key AS user_key, c.key AS content_key "
        f"FROM (SELECT *, (ts + INTERVAL {ahead} HOUR)::DATE AS day FROM ({made})) e "
        f"JOIN {keys['user_id']} u ON u.id = e.user_id JOIN {keys['content_id']} c ON c.id = e.content_id "
        f"WHERE day >= DATE '{month}' AND day < DATE '{after}'"
    )


if __name__ == "__main__":
    print(warehouse(Data(int(sys.argv[1]), FOLDER)))
