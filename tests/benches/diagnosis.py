"""The queries of the diagnosis against SQL written by hand for the same files, and what the models on top of them take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb

from opslib import engine
from opslib.metrics import first_steps
from opslib.metrics.newcomers import newcomer_days, newcomer_steps, newcomers
from tests.bench import Bench, Data
from tests.benches.activity import STEPS

PROMISE = 1.2
BEFORE, CURRENT, UNTIL = ("2026-01-01", "2026-01-28"), ("2026-01-29", "2026-02-25"), "2026-03-31"
DIMENSIONS = ["channel", "platform", "props.version"]

# New users of both periods, whether they were back on the next day, what they came with, and when they took each step.
PEOPLE = f"""
people AS MATERIALIZED (
    SELECT user_key AS u, min(day) AS day FROM {{daily}} GROUP BY ALL
    HAVING min(day) BETWEEN '{{first}}' AND '{{last}}' AND min(day) < '{UNTIL}'
)"""
BACK = """
back AS (SELECT DISTINCT u FROM people JOIN {daily} d ON d.user_key = u AND d.day = people.day + 1)"""
TRAITS = """
traits AS (
    SELECT u, arg_min({{'c': coalesce(channel, '(none)'), 'p': coalesce(platform, '(none)'),
        'v': coalesce(props ->> '$.version', '(none)')}}, ts) AS t
    FROM people JOIN {events} e ON e.user_key = u AND e.day = people.day GROUP BY ALL
)"""
STEP = """
picked AS MATERIALIZED (
    SELECT user_key AS u, event, ts, day FROM {events} e WHERE event IN {steps} AND day >= '{first}'
    AND user_key IN (SELECT u FROM people)
), t1 AS (SELECT u, min(ts) AS t1 FROM picked p JOIN people USING (u) WHERE event = '{s1}' AND p.day = people.day GROUP BY ALL),
t2 AS (SELECT u, t1, min(ts) AS t2 FROM picked JOIN t1 USING (u) WHERE event = '{s2}' AND ts > t1 AND ts <= t1 + INTERVAL 1 DAY GROUP BY ALL),
t3 AS (SELECT u, t1, t2, min(ts) AS t3 FROM picked JOIN t2 USING (u) WHERE event = '{s3}' AND ts > t2 AND ts <= t1 + INTERVAL 1 DAY GROUP BY ALL),
t4 AS (SELECT u, t1, t2, t3, min(ts) AS t4 FROM picked JOIN t3 USING (u) WHERE event = '{s4}' AND ts > t3 AND ts <= t1 + INTERVAL 1 DAY GROUP BY ALL),
tried AS (
    SELECT t1.*, t2.t2, t3.t3, t4.t4, 1 + (t2.t2 IS NOT NULL)::INT + (t3.t3 IS NOT NULL)::INT + (t4.t4 IS NOT NULL)::INT AS reached
    FROM t1 LEFT JOIN t2 USING (u) LEFT JOIN t3 USING (u) LEFT JOIN t4 USING (u)
)"""
CELLS = f"""
WITH {PEOPLE}, {BACK}, {TRAITS}, {STEP}
SELECT day >= '{CURRENT[0]}' AS now, t.c, t.p, t.v, coalesce(reached, 0) AS reached, count(*), count(back.u)
FROM people JOIN traits USING (u) LEFT JOIN back USING (u) LEFT JOIN tried USING (u) GROUP BY ALL
"""
DAYS = f"""
WITH {PEOPLE}, {BACK}, {TRAITS}
SELECT grouping_id(t.c, t.p, t.v) AS by, day, coalesce(t.c, t.p, t.v) AS v, count(*), count(back.u)
FROM people JOIN traits USING (u) LEFT JOIN back USING (u)
GROUP BY GROUPING SETS ((day, t.c), (day, t.p), (day, t.v))
"""
TIMES = f"""
WITH {PEOPLE}, {STEP}, pairs AS (
    SELECT 1 AS a, 2 AS b, t2 - t1 AS took FROM tried UNION ALL SELECT 2, 3, t3 - t2 FROM tried
    UNION ALL SELECT 3, 4, t4 - t3 FROM tried UNION ALL SELECT 1, 4, t4 - t1 FROM tried
)
SELECT a, b, count(took), round(quantile_cont(epoch_ms(took) / 1000, 0.5)::DOUBLE, 1) AS p50, stddev(epoch_ms(took)), avg(epoch_ms(took))
FROM pairs WHERE took IS NOT NULL GROUP BY ALL ORDER BY a, b
"""
HABITS = f"""
WITH {PEOPLE}, {STEP}, came AS (SELECT u, t2, (reached >= 3)::INT AS passed FROM tried WHERE reached >= 2),
did AS (SELECT DISTINCT u, event, passed FROM came JOIN {{events}} e ON e.user_key = u AND e.ts <= t2 WHERE e.day >= '{{first}}')
SELECT event, sum(passed)::BIGINT, count(*) FROM did GROUP BY event ORDER BY event
"""
INSTEAD = f"""
WITH {PEOPLE}, {STEP}, stopped AS (SELECT u, t2, t1 + INTERVAL 1 DAY AS ends FROM tried WHERE reached = 2),
came AS (
    SELECT u, arg_min(event, ts) AS event FROM stopped JOIN {{events}} e ON e.user_key = u AND e.ts > t2 AND e.ts <= ends
    WHERE e.day >= '{{first}}' AND event <> '{{s2}}' GROUP BY ALL
)
SELECT coalesce(event, ''), count(*) FROM stopped LEFT JOIN came USING (u) GROUP BY ALL
"""
SERIES = f"""
WITH {PEOPLE}, {BACK}, {STEP}
SELECT day, coalesce(reached, 0), count(*), count(back.u) FROM people LEFT JOIN back USING (u) LEFT JOIN tried USING (u) GROUP BY ALL
"""


def bench_diagnosis_cells(data: Data) -> Bench:
    """Retention and steps of new users by three dimensions in two periods: all that is decomposed, in one table."""

    def ours() -> list[tuple]:
        tables = engine.connect(data.warehouse)
        asked: dict[str, Any] = {"dimensions": DIMENSIONS, "steps": STEPS, "period": CURRENT, "compare": BEFORE}
        frame = newcomers(tables.events, tables.daily, until=UNTIL, **asked).to_pandas()
        rows = frame.assign(now=frame["period"] == "current")[["now", "d0", "d1", "d2", "reached", "users", "returned"]]
        return sorted(_plain(row) for row in rows.itertuples(index=False))

    return Bench("diagnosis: cells of two periods", ours, _by_hand(data, CELLS, (BEFORE[0], CURRENT[1])), PROMISE)


def bench_diagnosis_days(data: Data) -> Bench:
    """New users and their return day by day, by each of three dimensions."""

    def ours() -> list[tuple]:
        tables = engine.connect(data.warehouse)
        frame = newcomer_days(tables.events, tables.daily, dimensions=DIMENSIONS, until=UNTIL).to_pandas()
        by = frame["dimension"].map({"channel": 3, "platform": 5, "props.version": 6})
        rows = frame.assign(by=by, day=frame["day"].astype(str))[["by", "day", "value", "users", "returned"]]
        return sorted(_plain(row) for row in rows.itertuples(index=False))

    return Bench("diagnosis: days by each dimension", ours, _by_hand(data, DAYS, ("2000-01-01", UNTIL)), PROMISE)


def bench_diagnosis_times(data: Data) -> Bench:
    def ours() -> list[tuple]:
        tables = engine.connect(data.warehouse)
        frame = first_steps.step_times(tables.events, tables.daily, steps=STEPS, period=CURRENT).to_pandas()
        frame = frame.assign(p50=frame["p50_s"].round(1))
        return [_plain(row) for row in frame[["from_step", "to_step", "users", "p50"]].itertuples(index=False)]

    return Bench("diagnosis: times between steps", ours, _by_hand(data, TIMES, CURRENT, 4), PROMISE)


def bench_diagnosis_habits(data: Data) -> Bench:
    def ours() -> list[tuple]:
        tables = engine.connect(data.warehouse)
        frame = first_steps.step_habits(
            tables.events, tables.daily, steps=STEPS, step=3, window_days=1, period=CURRENT
        ).to_pandas()
        frame = frame.assign(did=frame["passed_did"] + frame["stayed_did"])
        return sorted(_plain(row) for row in frame[["event", "passed_did", "did"]].itertuples(index=False))

    return Bench("diagnosis: what passers had done", ours, _by_hand(data, HABITS, CURRENT), PROMISE)


def bench_diagnosis_instead(data: Data) -> Bench:
    def ours() -> list[tuple]:
        tables = engine.connect(data.warehouse)
        frame = first_steps.step_instead(
            tables.events, tables.daily, steps=STEPS, step=3, window_days=1, period=CURRENT
        ).to_pandas()
        return sorted(_plain(row) for row in frame[["event", "users"]].itertuples(index=False))

    return Bench("diagnosis: what others did instead", ours, _by_hand(data, INSTEAD, CURRENT), PROMISE)


def bench_diagnosis_series(data: Data) -> Bench:
    """The daily numbers of new users: how many, how far they came, and their return, over the whole history."""

    def ours() -> list[tuple]:
        tables = engine.connect(data.warehouse)
        frame = newcomer_steps(tables.events, tables.daily, steps=STEPS, until=UNTIL).to_pandas()
        rows = frame.assign(day=frame["day"].astype(str))[["day", "reached", "users", "returned"]]
        return sorted(_plain(row) for row in rows.itertuples(index=False))

    return Bench(
        "diagnosis: daily numbers of new users", ours, _by_hand(data, SERIES, ("2000-01-01", "2100-01-01")), PROMISE
    )


def _by_hand(data: Data, sql: str, days: tuple[str, str], columns: int | None = None) -> Callable[[], list[tuple]]:
    steps = {f"s{i}": step for i, step in enumerate(STEPS, 1)}
    sql = sql.format(
        events=data.files("events"), daily=data.files("daily"), first=days[0], last=days[1], steps=tuple(STEPS), **steps
    )

    def reference() -> list[tuple]:
        return sorted(_plain(row[:columns]) for row in duckdb.connect().execute(sql).fetchall())

    return reference


def _plain(row: Any) -> tuple:
    return tuple(v if isinstance(v, str | float) else str(v) if hasattr(v, "isoformat") else int(v) for v in row)
