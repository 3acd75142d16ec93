"""Attribution by all rules at once against SQL written by hand; with Markov and Shapley, for the memory they take.

`--events` is the number of touches here; there is a payment for every tenth.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from opslib import engine, load, warehouse
from opslib.metrics import attribution, journeys
from opslib.models import credits
from tests.bench import Bench, Data

PROMISE = 1.2
CHANNELS = [f"channel_{n}" for n in range(11)] + ["direct"]
# Each user has eight touches in 90 days or so; few channels bring most.
TOUCHES = """
SELECT 't' || i AS touch_id, 'u' || hash(i) % ({n} // 8) AS user_id,
    TIMESTAMP '2026-01-01' + to_microseconds((hash(i, 1) % 7776000000000)::BIGINT) AS ts,
    {channels}[1 + (pow((hash(i, 2) % 100000) / 1e5, 2) * 11.99)::INT] AS channel
FROM range({n}) t(i)
"""
PAYMENTS = """
SELECT 'e' || i AS event_id, 'u' || hash(i, 3) % ({n} // 8) AS user_id, 'pay' AS event,
    TIMESTAMP '2026-01-01' + to_microseconds((hash(i, 4) % 7776000000000)::BIGINT) AS ts, (hash(i, 5) % 200)::DOUBLE AS amount
FROM range({n} // 10) t(i)
"""
BY_HAND = """
WITH pay AS (SELECT event_id, user_key, ts, amount FROM {events} WHERE event = 'pay'),
pair AS (
    SELECT p.event_id, p.amount, t.channel, t.ts AS touched, t.touch_id,
        coalesce(pow(2, (epoch_ms(t.ts) - epoch_ms(p.ts)) / 604800000.0), 1) AS weight
    FROM pay p LEFT JOIN {touches} t ON t.user_key = p.user_key AND t.ts <= p.ts AND t.ts >= p.ts - INTERVAL 30 DAY
), placed AS (
    SELECT *, row_number() OVER (PARTITION BY event_id ORDER BY touched, touch_id) AS place,
        count(*) OVER (PARTITION BY event_id) AS size, sum(weight) OVER (PARTITION BY event_id) AS weights FROM pair
), real AS (
    SELECT *, max(CASE WHEN channel = 'direct' THEN 0 ELSE place END) OVER (PARTITION BY event_id) AS real FROM placed
), share AS (
    SELECT channel, amount, (place = 1)::INT AS first, (place = size)::INT AS last,
        (place = CASE WHEN real > 0 THEN real ELSE size END)::INT AS last_non_direct, 1.0 / size AS linear,
        weight / weights AS time_decay,
        CASE WHEN size = 1 THEN 1 WHEN size = 2 THEN 0.5 WHEN place IN (1, size) THEN 0.4 ELSE 0.2 / (size - 2) END AS u
    FROM real
)
SELECT channel, sum(first), sum(last), sum(last_non_direct), sum(linear), sum(time_decay), sum(u),
    sum(amount * first), sum(amount * last), sum(amount * last_non_direct), sum(amount * linear), sum(amount * time_decay),
    sum(amount * u)
FROM share GROUP BY channel
"""


def bench_attribution_rules(data: Data) -> Bench:
    """First, last, last non-direct, linear, time decay and position, with their value."""
    root = _warehouse(data)
    return Bench("attribution, six rules", lambda: _rules(root), lambda: _by_hand(root), PROMISE)


def bench_attribution_all(data: Data) -> Bench:
    """The same, with the paths, Markov of order 1 and Shapley: no ratio is promised, 4 GiB at 20 M touches are."""
    root = _warehouse(data)

    def ours() -> list[tuple]:
        tables = engine.connect(root)
        paths = attribution.journeys(tables.events, tables.touches).to_pandas()
        ruled = journeys.credits(tables.events, tables.touches).to_pandas()
        table = credits.attributed(ruled, paths)
        totals = credits.totals(table)
        assert totals.max() - totals.min() < 1e-6 * totals.max(), "every model shares out the same conversions"
        return _rounded(ruled)

    return Bench("attribution, all models", ours, lambda: _by_hand(root))


def _rules(root: Path) -> list[tuple]:
    tables = engine.connect(root)
    return _rounded(journeys.credits(tables.events, tables.touches).to_pandas())


def _rounded(ruled: Any) -> list[tuple]:
    ruled = ruled[ruled["model"].isin(journeys.RULES)]
    return sorted(
        (str(c), m, round(float(n)), round(float(v) / 1000))
        for c, m, n, v in zip(
            ruled["channel"].fillna("–"), ruled["model"], ruled["conversions"], ruled["value"], strict=True
        )
    )


def _by_hand(root: Path) -> list[tuple]:
    sql = BY_HAND.format(events=_files(root, "events"), touches=_files(root, "touches"))
    k = len(journeys.RULES)
    return sorted(
        (row[0] or "–", model, round(float(row[1 + i])), round(float(row[1 + k + i]) / 1000))
        for row in duckdb.connect().execute(sql).fetchall()
        for i, model in enumerate(journeys.RULES)
    )


def _files(root: Path, table: str) -> str:
    return f"read_parquet({[str(root / part.path) for part in warehouse.read(root).tables[table]]})"


def _warehouse(data: Data) -> Path:
    root = data.folder / f"touches-{data.events}"
    if len(warehouse.read(root).tables) < 2:
        data.folder.mkdir(parents=True, exist_ok=True)
        for table, sql in (("touches", TOUCHES), ("events", PAYMENTS)):
            raw = data.folder / f"raw-{table}-{data.events}.parquet"
            query = sql.format(n=data.events, channels=CHANNELS)
            duckdb.connect().execute(f"COPY ({query}) TO '{raw}' (FORMAT parquet)")
            load(table, raw, root)
            raw.unlink()
    return root
