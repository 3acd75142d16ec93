"""Metrics that need the order within a day: the funnel against ClickHouse's own, sessions and paths against SQL by hand."""

from __future__ import annotations

import os
from typing import Any

import duckdb

from opslib import engine, warehouse
from opslib.metrics import paths, sessions
from tests.bench import Bench, Data
from tests.benches.activity import PROMISE, STEPS, four_steps

WINDOW_US = 3 * 86_400 * 1_000_000

NUMBERED = """
late AS (
    SELECT user_key AS u, ts, event_id, event, day,
        ts >= lag(ts, 1, TIMESTAMP '1970-01-01') OVER (PARTITION BY user_key ORDER BY ts) + INTERVAL 30 MINUTE AS opens
    FROM {rows}
), numbered AS (
    SELECT *, sum(opens::INT) OVER (PARTITION BY u ORDER BY ts, event_id ROWS UNBOUNDED PRECEDING) AS s FROM late
)"""
SESSIONS = """
WITH {numbered}, listed AS (
    SELECT u, s, min(day) AS day, count(*) AS events, epoch_ms(max(ts)) - epoch_ms(min(ts)) AS took FROM numbered GROUP BY ALL
)
SELECT day, count(*), count(DISTINCT u), sum(events)::BIGINT, avg(took), var_samp(took), avg(events), var_samp(events)
FROM listed GROUP BY day ORDER BY day
"""
PATHS = """
WITH {numbered}, kept AS (
    SELECT * FROM numbered
    QUALIFY event IS DISTINCT FROM lead(event) OVER (PARTITION BY u, s ORDER BY ts, event_id)
), placed AS (
    SELECT u, event, ts, row_number() OVER w AS place, lead(event) OVER w AS target, lead(ts) OVER w AS arrived
    FROM kept WINDOW w AS (PARTITION BY u, s ORDER BY ts, event_id)
)
SELECT place, event, target, count(*) AS n, count(DISTINCT u), avg(epoch_ms(arrived) - epoch_ms(ts)) FROM placed
WHERE place < 5 AND target IS NOT NULL GROUP BY ALL ORDER BY n DESC, place, event, target LIMIT 50
"""


def bench_funnel_clickhouse(data: Data) -> Bench:
    """The same funnel in embedded ClickHouse, which has a function for it, on the same files and integer users."""
    files = [str(data.warehouse / part.path) for part in warehouse.read(data.warehouse).tables["events"]]

    def reference() -> list[int]:
        try:
            import chdb
        except ImportError:
            raise SystemExit("this row needs chdb, which could not be installed: pip install chdb") from None
        named = ", ".join(f"event = '{step}'" for step in STEPS)
        rows = " UNION ALL ".join(f"SELECT user_key, event, ts FROM file('{file}', Parquet)" for file in files)
        deepest = (
            f"SELECT windowFunnel({WINDOW_US})(toUInt64(toUnixTimestamp64Micro(ts)), {named}) AS level FROM ({rows}) "
            f"WHERE event IN ({', '.join(map(repr, STEPS))}) GROUP BY user_key"
        )
        sums = ", ".join(f"countIf(level >= {i})" for i in range(1, len(STEPS) + 1))
        return [int(n) for n in chdb.query(f"SELECT {sums} FROM ({deepest})", "CSV").data().split(",")]

    return Bench("funnel, against ClickHouse's windowFunnel", four_steps(data), reference, 1.0)


def bench_funnel_retentioneering(data: Data) -> Bench:
    """Four steps in order in retentioneering 5, whose funnel knows no window; no promise, for scale."""
    rows = data.files("events")

    def reference() -> list[int]:
        os.environ["RETENTIONEERING_NO_TRACK"] = "1"  # else it reports its use over the network
        try:
            from retentioneering import Eventstream
        except ImportError:
            missing = 'this row needs retentioneering, which is not installed: pip install "retentioneering>=5"'
            raise SystemExit(missing) from None
        frame = duckdb.connect().execute(f"SELECT user_key, event, ts FROM {rows}").df()
        schema = {"path_cols": ["user_key"], "event_col": "event", "timestamp_col": "ts"}
        return [
            int(step["unique_paths"]) for step in Eventstream(frame, schema=schema).funnel_data(steps=STEPS)["steps"]
        ]

    return Bench("funnel, no window, against retentioneering", four_steps(data, None), reference)


def bench_sessions(data: Data) -> Bench:
    rows = data.files("events")

    def reference() -> list[tuple]:
        sql = SESSIONS.format(numbered=NUMBERED.format(rows=rows))
        return [row[1:4] for row in duckdb.connect().execute(sql).fetchall()]

    def ours() -> list[tuple]:
        frame = sessions.sessions(engine.connect(data.warehouse).events).to_pandas()
        return [tuple(map(int, row)) for row in frame[["sessions", "users", "events"]].itertuples(index=False)]

    return Bench("sessions of every day", ours, reference, PROMISE)


def bench_path_edges(data: Data) -> Bench:
    rows = data.files("events")

    def reference() -> list[tuple]:
        sql = PATHS.format(numbered=NUMBERED.format(rows=rows))
        return [(p, e, t, int(n), int(u)) for p, e, t, n, u, _s in duckdb.connect().execute(sql).fetchall()]

    def ours() -> list[tuple]:
        frame = paths.path_edges(engine.connect(data.warehouse).events).to_pandas()
        kept = frame[["position", "source", "target", "count", "users"]].to_dict("records")
        return [tuple(_plain(v) for v in row.values()) for row in kept]

    return Bench("paths, the fifty largest edges", ours, reference, PROMISE)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else int(value)
