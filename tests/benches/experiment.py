"""The readout of an experiment, page and all its models, against SQL written by hand for the same moments.

`--events` is the number of events here; every fourth is a user of the experiment (`--events 40000000`: ten million), in two
variants and on ten metrics. CPU and peak memory of our side are the table's. `python -m tests.benches.experiment 40000000`
makes that data and nothing else, with `readout` behind it our side runs once on it.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from opslib import engine, load
from opslib import warehouse as store
from opslib.metrics import experiment as metrics
from opslib.models import abguards, ablooks, absegments, abtest
from tests.bench import FOLDER, Bench, Data

EVENTS = ["read", "complete", "click", "like", "share", "comment", "checkout", "pay", "search"]
UNTIL, WINDOW, BEFORE = "2026-02-28", 7, 14
HOURS, FIRST = 58 * 24, "TIMESTAMP '2026-01-01'"
RAW = {
    "users": """SELECT 'u' || i AS user_id, {first} - INTERVAL 90 DAY AS registered_at,
        ['ios', 'android', 'web'][1 + (hash(i, 1) % 3)::INT] AS platform FROM range({n} // 4) t(i)""",
    "experiments": """SELECT 'x' AS experiment_id, 'x' AS name, {first} AS starts_at, {first} + INTERVAL 40 DAY AS ends_at,
        'a' AS control, '{{"a": 0.5, "b": 0.5}}' AS split, 'pay' AS metric""",
    "exposures": """SELECT 'x' AS experiment_id, 'u' || i AS user_id, if(hash(i, 2) % 2 = 0, 'a', 'b') AS variant,
        {first} + INTERVAL 15 DAY + to_microseconds((hash(i, 3) % (20 * 86400000000))::BIGINT) AS ts FROM range({n} // 4) t(i)""",
    "orders": """SELECT 'o' || i AS order_id, 'u' || hash(i, 7) % ({n} // 4) AS user_id,
        {first} + to_microseconds((i * ({hours} * 36000000000 // {n}))::BIGINT) AS paid_at,
        round(5 + pow((hash(i, 8) % 10000) / 1e4, 3) * 200, 2) AS amount FROM range({n} // 10) t(i)""",
    # In the order of time, as trackers write it. Those of `b` pay a little more often: a tenth of their reading is paying.
    "events": """SELECT 'e' || i AS event_id, 'u' || u AS user_id,
        CASE WHEN name = 'read' AND hash(u, 2) % 2 = 1 AND hash(i, 6) % 10 = 0 THEN 'pay' ELSE name END AS event, ts
        FROM (SELECT i, hash(i, 4) % ({n} // 4) AS u, {names}[1 + (hash(i, 5) % 9)::INT] AS name,
              {first} + to_microseconds((i * ({hours} * 3600000000 // {n}))::BIGINT) AS ts FROM range({n}) t(i))""",
}  # fmt: skip
BY_HAND = """
WITH exposed AS (
    SELECT user_key, min(variant) AS variant, min(ts) AS since FROM {exposures} WHERE experiment_id = 'x'
    GROUP BY user_key HAVING min(variant) = max(variant) AND min(day) + {window} <= DATE '{until}'
), acts AS (
    SELECT user_key, ts, event, 1.0::DOUBLE AS amount FROM {events} WHERE event IN {names}
    UNION ALL SELECT user_key, paid_at, 'revenue', amount FROM {orders}
), sums AS (
    SELECT variant, event, user_key, sum(if(ts >= since, amount, 0)) AS a, sum(if(ts < since, amount, 0)) AS b
    FROM acts JOIN exposed USING (user_key)
    WHERE ts < since + INTERVAL {window} DAY AND ts >= since - INTERVAL {before} DAY GROUP BY ALL
), size AS (SELECT variant, count(*) AS n FROM exposed GROUP BY variant)
SELECT event, variant, any_value(n), count(*) FILTER (a > 0), sum(a), sum(a * a), sum(b), sum(b * b), sum(a * b)
FROM sums JOIN size USING (variant) GROUP BY ALL ORDER BY ALL
"""


def bench_experiment_readout(data: Data) -> Bench:
    """Everything that the page computes; by hand only the one table that its first section needs."""
    root = warehouse(data)
    what = f"A/B readout, {data.events / 4e6:g} M users × {len(EVENTS) + 1} metrics"
    return Bench(what, lambda: _readout(root), lambda: _by_hand(root))


def bench_experiment_sums(data: Data) -> Bench:
    """The one table alone."""
    root = warehouse(data)
    return Bench(
        f"its moments alone, {data.events / 4e6:g} M users", lambda: _rows(_sums(root)), lambda: _by_hand(root)
    )


def _sums(root: Path) -> Any:
    tables = engine.connect(root, memory_mb=abtest.memory_mb(store.read(root).rows("exposures")))
    how: dict[str, Any] = {"experiment_id": "x", "metrics": EVENTS, "window_days": WINDOW, "pre_days": BEFORE}
    given = (tables.exposures, tables.events, tables.orders, tables.users)
    return metrics.outcome_sums(*given, until=UNTIL, **how).to_pandas()


def _readout(root: Path) -> list[tuple]:
    """As notebooks/ab_readout.ipynb, cell by cell."""
    tables = engine.connect(root, memory_mb=abtest.memory_mb(store.read(root).rows("exposures")))
    test = abtest.chosen(tables.experiments.to_pandas(), "x", "", observed=tables.span()[1])
    asked: dict[str, Any] = {
        "experiment_id": test.id, "metrics": abtest.asked(test, EVENTS), "window_days": WINDOW, "pre_days": BEFORE, "until": UNTIL,
    }  # fmt: skip
    given = [tables.exposures, tables.events, tables.orders, tables.users]
    sums = metrics.outcome_sums(*given, **asked).to_pandas()
    alone = asked | {"metrics": abtest.asked(test, [])}
    by_segment = metrics.outcome_sums(*given, by="platform", **alone).to_pandas()
    daily = metrics.outcome_sums(*given, by="day", **alone).to_pandas()
    over = {"experiment_id": test.id, "over": ("complete", "read"), "window_days": WINDOW, "until": UNTIL}
    rates = metrics.ratio_sums(tables.exposures, tables.events, tables.users, **over).to_pandas()
    check, _ = abtest.split_check(metrics.arms(tables.exposures).to_pandas(), test)
    found = abtest.comparisons(sums, test)
    abtest.verdict(found, test, split_ok=check.ok)
    abtest.adjusted(sums, test)
    abtest.chances(sums, test)
    ablooks.looks(daily, test)
    ablooks.fading(daily, test, "b")
    ablooks.reach(sums, test, lift=0.1)
    abguards.ratio(rates, test)
    abguards.without_top(sums, test)
    absegments.segmented(by_segment, test)
    return _rows(sums)


def _rows(sums: Any) -> list[tuple]:
    rows = zip(sums["metric"], sums["variant"], sums["n"], sums["hits"], sums["n"] * sums["mean"], strict=True)
    return sorted((m, v, int(n), int(h), round(float(total))) for m, v, n, h, total in rows)


def _by_hand(root: Path) -> list[tuple]:
    sql = BY_HAND.format(
        **{t: _files(root, t) for t in ("exposures", "events", "orders")},
        names=tuple(EVENTS), window=WINDOW, before=BEFORE, until=UNTIL,
    )  # fmt: skip
    return sorted(
        (m, v, int(n), int(h), round(total)) for m, v, n, h, total, *_ in duckdb.connect().execute(sql).fetchall()
    )


def _files(root: Path, table: str) -> str:
    return f"read_parquet({[str(root / part.path) for part in store.read(root).tables[table]]})"


@cache
def warehouse(data: Data) -> Path:
    root = data.folder / f"experiment-{data.events}"
    if len(store.read(root).tables) < len(RAW):
        data.folder.mkdir(parents=True, exist_ok=True)
        for table, sql in RAW.items():
            raw = data.folder / f"raw-{table}-{data.events}.parquet"
            query = sql.format(n=data.events, names=EVENTS, hours=HOURS, first=FIRST)
            duckdb.connect().execute(f"COPY ({query}) TO '{raw}' (FORMAT parquet)")
            load(table, raw, root, tz="UTC")
            raw.unlink()
    return root


if __name__ == "__main__":
    made = warehouse(Data(int(sys.argv[1]), FOLDER))
    print(_readout(made) if "readout" in sys.argv else made)
