"""Synthetic users who come for some weeks and leave, for the benches of user operations: one for 50 events, half a year.

Four kinds of users differ in what they do, when and in what they read; few users come often, most seldom. `hash` makes the same
data again on every machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

from tests.bench import FOLDER, Data

DAYS, EVENTS_A_USER, EVENTS_A_VISIT, ITEMS = 182, 50, 5, 4000
FIRST, LAST = "2026-01-01", "2026-07-01"  # the last day is one of the data, in the warehouse's zone

# A visit's user is drawn with a density that falls by half, its day from the weeks that the user stays.
_WHO = """
SELECT u, (u % 4)::INT AS kind, (hash(u, 1) % {days})::INT AS since, ['search', 'social', 'store', 'friends'][1 + (hash(u, 2) % 4)::INT] AS channel,
    least(1 - ln((hash(u, 3) % 1000000 + 1) / 1e6) * 60, {days} - (hash(u, 1) % {days})::INT)::INT AS stays,
    ['ios', 'android', 'web', 'mini_program'][1 + (hash(u, 4) % 4)::INT] AS platform
FROM range({users}) t(u)
"""
_EVENTS = """
WITH who AS ({who}), visit AS (
    SELECT v, least(pow((hash(v) % 1000000) / 1e6, 2) * {users}, {users} - 1)::BIGINT AS u, (hash(v, 1) % 9973)::INT AS a, (hash(v, 2) % 7)::INT AS b
    FROM range({events} // {visit}) t(v)
), event AS (
    SELECT v, u, n, kind, platform, channel, (hash(v, n, 3) % 100)::INT AS d, (hash(v, n, 4) % 1000)::INT AS e,
        TIMESTAMP '{first}' + to_days(since + a % stays) + to_minutes(((kind * 5 + b) * 60 + n * 7)::INT % 960) AS ts
    FROM visit JOIN who USING (u), range({visit}) s(n)
)
SELECT concat(v, '-', n) AS event_id, 'u' || lpad(u::VARCHAR, 8, '0') AS user_id, platform, channel, ts,
    CASE WHEN n = 0 THEN 'app_open' WHEN d < 30 THEN 'page_view' WHEN d < 60 - 5 * kind THEN 'read' WHEN d < 75 THEN 'like'
         WHEN d < 88 THEN 'complete' WHEN d < 90 THEN 'join_campaign' ELSE 'add_to_cart' END AS event,
    CASE WHEN n > 0 THEN 'c' || (CASE WHEN e < 700 THEN kind * {items} // 4 + e ELSE e * 4 END % {items}) END AS content_id
FROM event
"""
_USERS = """
SELECT 'u' || lpad(u::VARCHAR, 8, '0') AS user_id, TIMESTAMP '{first}' + to_days(since) AS registered_at, channel, platform
FROM ({who})
"""
_ORDERS = """
WITH who AS ({who}), bought AS (
    SELECT o, least(pow((hash(o, 5) % 1000000) / 1e6, 2) * {users}, {users} - 1)::BIGINT AS u, (hash(o, 6) % 9973)::INT AS a, (hash(o, 7) % 5000)::INT AS c
    FROM range({users} // 2) t(o)
)
SELECT 'o' || o AS order_id, 'u' || lpad(u::VARCHAR, 8, '0') AS user_id, 5 + c / 32.0 AS amount,
    TIMESTAMP '{first}' + to_days(since + a % stays) + INTERVAL 6 HOUR AS paid_at, CASE WHEN c % 20 = 0 THEN 4.0 END AS refunded
FROM bought JOIN who USING (u)
"""
_CONTENT = """
SELECT 'c' || c AS content_id, TIMESTAMP '{first}' AS published_at, ['news', 'sport', 'deals', 'music'][1 + c * 4 // {items}] AS category
FROM range({items}) t(c)
"""
_TOUCHES = """
SELECT 't' || t AS touch_id, 'u' || lpad((hash(t, 8) % {users})::VARCHAR, 8, '0') AS user_id, 'push' AS channel, 'c1' AS campaign_id,
    TIMESTAMP '{first}' + to_days((hash(t, 9) % {days})::INT) + INTERVAL 3 HOUR AS ts
FROM range({users}) t(t)
"""


def warehouse(data: Data) -> Path:
    """A warehouse with so many events, and users, orders, items and touches to them; made once."""
    from opslib import load
    from opslib import warehouse as store

    root, raw = data.folder / f"users-{data.events}", data.folder / f"users-{data.events}-raw"
    sizes = {"events": data.events, "users": data.events // EVENTS_A_USER, "days": DAYS, "visit": EVENTS_A_VISIT}
    words = sizes | {"items": ITEMS, "first": FIRST}
    words["who"] = _WHO.format(**words)
    tables = {"users": _USERS, "orders": _ORDERS, "content": _CONTENT, "touches": _TOUCHES, "events": _EVENTS}
    for name, sql in tables.items():
        if store.read(root).rows(name):
            continue
        raw.mkdir(parents=True, exist_ok=True)
        path = raw / f"{name}.parquet"
        con = duckdb.connect(config={"temp_directory": str(raw / "spill")})
        con.execute("SET preserve_insertion_order = false; SET memory_limit = '3GB'; SET enable_progress_bar = false")
        con.execute(f"COPY ({sql.format(**words)}) TO '{path}' (FORMAT parquet)")
        load(name, path, root)
        path.unlink()
    return root


def files(data: Data, table: str) -> str:
    """The warehouse's own files of a table, as a DuckDB relation."""
    from opslib import warehouse as store

    root = warehouse(data)
    return f"read_parquet({[str(root / part.path) for part in store.read(root).tables[table]]})"


if __name__ == "__main__":  # large data is made in a process of its own: what it held is not what a bench holds
    warehouse(Data(int(sys.argv[1]), FOLDER))
