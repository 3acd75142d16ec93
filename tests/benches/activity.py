"""Active users, lifecycle, retention and the funnel against SQL written by hand for the same files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import ibis
import pandas as pd

from opslib import engine
from opslib.metrics import activity, funnel, lifecycle, retention, states
from tests.bench import Bench, Data

PROMISE = 1.1
ROLLED_UP = 0.3  # of the same on events
STEPS = ["app_open", "page_view", "add_to_cart", "pay"]

ACTIVE = """
WITH user_day AS (SELECT DISTINCT user_key, day FROM {rows}),
gap AS (
    SELECT day, least(coalesce(lead(day) OVER (PARTITION BY user_key ORDER BY day) - day, 30), 30) AS gap FROM user_day
), counted AS (SELECT day, gap, count(*) AS users FROM gap GROUP BY ALL)
SELECT w, day + least(gap, w)::INT AS day, -users AS users FROM counted, (SELECT unnest([1, 7, 30]) AS w)
UNION ALL SELECT w, day, users FROM counted, (SELECT unnest([1, 7, 30]) AS w)
"""
LIFECYCLE = """
WITH active AS (SELECT DISTINCT user_key, date_trunc('week', day)::DATE AS week FROM {rows}),
before AS (SELECT week, lag(week) OVER (PARTITION BY user_key ORDER BY week) AS before FROM active)
SELECT week, count(*), count(*) FILTER (before IS NULL), count(*) FILTER (before = week - 7) FROM before GROUP BY week ORDER BY week
"""
RETENTION = """
WITH user_day AS (SELECT DISTINCT user_key, day FROM {rows}),
first AS (SELECT user_key, min(day) AS cohort FROM user_day GROUP BY user_key),
hits AS (
    SELECT cohort, day - cohort AS n, count(*) AS users FROM user_day JOIN first USING (user_key)
    WHERE day - cohort <= 14 GROUP BY ALL
), sizes AS (SELECT cohort, users AS size FROM hits WHERE n = 0), seen AS (SELECT max(cohort + n::INT) AS last FROM hits)
SELECT sizes.cohort, t.n, coalesce(users, 0) AS users, size FROM sizes CROSS JOIN seen CROSS JOIN range(15) t(n)
LEFT JOIN hits ON hits.cohort = sizes.cohort AND hits.n = t.n WHERE sizes.cohort + t.n::INT <= last ORDER BY ALL
"""


STICKINESS = """
WITH days AS (SELECT user_key, count(DISTINCT day) AS n FROM {rows} GROUP BY user_key)
SELECT n, count(*) FROM days GROUP BY n ORDER BY n
"""
STATES = """
WITH last AS (SELECT max(day) AS d FROM {rows}), days AS (SELECT DISTINCT user_id, day FROM {rows}),
users AS (
    SELECT user_id, max(d - day) AS age, min(d - day) AS away, count(*) FILTER (d - day < 7) AS often
    FROM days, last GROUP BY user_id
)
SELECT CASE WHEN age < 7 THEN 'new' WHEN often >= 3 THEN 'active' WHEN away < 7 THEN 'retained' WHEN away < 30 THEN 'silent'
    ELSE 'churned' END AS state, count(*) FROM users GROUP BY state ORDER BY state
"""


def bench_stickiness_events(data: Data) -> Bench:
    def ours(frame: Any) -> list[tuple]:
        return [tuple(map(int, row)) for row in frame[["periods", "users"]].itertuples(index=False)]

    return _bench(data, "events", "stickiness", activity.stickiness, STICKINESS, ours, list)


def bench_states_events(data: Data) -> Bench:
    """Every user's state, counted: the list of users shows their ids, so both read these and not the integer keys."""

    def counted(table: ibis.Table) -> ibis.Table:
        return states.states(table).group_by("state").agg(users=ibis._.count()).order_by("state")

    def ours(frame: Any) -> list[tuple]:
        return [(row["state"], int(row["users"])) for row in frame.to_dict("records")]

    return _bench(data, "events", "states of every user", counted, STATES, ours, list)


def bench_rolled_up_active_users(data: Data) -> Bench:
    return _rolled_up(data, "active users", activity.active_users)


def bench_rolled_up_lifecycle(data: Data) -> Bench:
    return _rolled_up(data, "weekly lifecycle", lifecycle.lifecycle)


def bench_rolled_up_retention(data: Data) -> Bench:
    return _rolled_up(data, "retention of 14 days", retention.retention)


def bench_retention_pandas(data: Data) -> Bench:
    """The same in pandas, as an analyst without the workbench would write it; no promise, for scale."""
    rows = data.files("events")

    def reference() -> list[int]:
        seen = duckdb.connect().execute(f"SELECT user_key, day FROM {rows}").df().drop_duplicates()
        seen["cohort"] = seen.groupby("user_key")["day"].transform("min")
        seen["n"] = (seen["day"] - seen["cohort"]).dt.days
        counts = seen[seen["n"] <= 14].groupby(["cohort", "n"])["user_key"].nunique()
        return [int(n) for n in counts]

    def ours() -> list[int]:
        frame = retention.retention(engine.connect(data.warehouse).events).to_pandas()
        return [int(n) for n in frame.sort_values(["cohort", "n"])["users"] if n]

    return Bench("retention of 14 days, against pandas", ours, reference)


def _rolled_up(data: Data, what: str, metric: Callable[[ibis.Table], ibis.Table]) -> Bench:
    """A metric on `daily` against the same on `events`."""

    def on(name: str) -> Callable[[], Any]:
        return lambda: metric(getattr(engine.connect(data.warehouse), name)).to_pandas().to_dict("records")

    return Bench(f"{what}, daily against events", on("daily"), on("events"), ROLLED_UP)


def bench_active_users_daily(data: Data) -> Bench:
    return _active_users(data, "daily")


def bench_active_users_events(data: Data) -> Bench:
    return _active_users(data, "events")


def bench_lifecycle_daily(data: Data) -> Bench:
    return _lifecycle(data, "daily")


def bench_lifecycle_events(data: Data) -> Bench:
    return _lifecycle(data, "events")


def bench_retention_daily(data: Data) -> Bench:
    return _retention(data, "daily")


def bench_retention_events(data: Data) -> Bench:
    return _retention(data, "events")


def four_steps(data: Data) -> Callable[[], list[int]]:
    """Our side of every row about the funnel."""

    def ours() -> list[int]:
        table = engine.connect(data.warehouse).events
        return [int(n) for n in funnel.funnel(table, steps=STEPS, window_days=3).to_pandas()["users"]]

    return ours


def bench_funnel(data: Data) -> Bench:
    """Four steps, three days from the entry, any entry may start: ASOF joins, each to the row before with the latest entry."""
    rows = data.files("events")

    def reference() -> list[int]:
        picked = "SELECT user_key AS u, event, epoch_us(ts) AS t FROM {rows} WHERE event IN ({steps})"
        con = duckdb.connect()
        con.execute(f"CREATE VIEW picked AS {picked.format(rows=rows, steps=', '.join(map(repr, STEPS)))}")
        con.execute(f"CREATE TABLE s0 AS SELECT u, t, t AS entry FROM picked WHERE event = '{STEPS[0]}'")
        for at, step in enumerate(STEPS[1:], start=1):
            con.execute(
                f"CREATE TABLE s{at} AS SELECT p.u, p.t, s.entry FROM (FROM picked WHERE event = '{step}') p "
                f"ASOF JOIN s{at - 1} s ON p.u = s.u AND p.t > s.t WHERE p.t - s.entry <= 259200000000"
            )
        return [con.execute(f"SELECT count(DISTINCT u) FROM s{at}").fetchall()[0][0] for at in range(len(STEPS))]

    return Bench("funnel, four steps, three days", four_steps(data), reference, PROMISE)


def bench_funnel_pandas(data: Data) -> Bench:
    """The same in pandas, as an analyst without the workbench would write it; no promise, for scale."""
    sql = f"SELECT user_key, event, ts FROM {data.files('events')} WHERE event IN ({', '.join(map(repr, STEPS))})"

    def reference() -> list[int]:
        picked = duckdb.connect().execute(sql).df().sort_values("ts")
        rows = {step: own.drop(columns="event") for step, own in picked.groupby("event")}
        tries = rows[STEPS[0]].assign(entry=lambda t: t["ts"])
        counts = [tries["user_key"].nunique()]
        for step in STEPS[1:]:
            later = rows[step].rename(columns={"ts": "then"})
            how = {"by": "user_key", "direction": "forward", "allow_exact_matches": False}
            tries = pd.merge_asof(tries, later, left_on="ts", right_on="then", **how)
            tries = tries[tries["then"] - tries["entry"] <= pd.Timedelta(days=3)]
            tries = tries.assign(ts=tries["then"]).drop(columns="then").sort_values("ts")
            counts.append(tries["user_key"].nunique())
        return [int(n) for n in counts]

    return Bench("funnel, four steps, against pandas", four_steps(data), reference)


def _active_users(data: Data, name: str) -> Bench:
    def users(ends: dict[tuple[int, Any], int]) -> list[int]:
        return [ends[key] for key in sorted(ends)]

    def reference(rows: list[tuple]) -> list[int]:
        changes: dict[tuple[int, Any], int] = {}
        for window, day, change in rows:
            changes[window, day] = changes.get((window, day), 0) + change
        last = max(day for window, day in changes if window == 1)
        running: dict[int, int] = {}
        ends = {}
        for window, day in sorted(changes):
            running[window] = running.get(window, 0) + changes[window, day]
            if day < last:
                ends[window, day] = running[window]
        return users(ends)

    def ours(frame: Any) -> list[int]:
        return users(
            {(int(w), end): int(n) for w, end, n in zip(frame["window"], frame["end"], frame["users"], strict=True)}
        )

    return _bench(data, name, "active users, windows of 1, 7, 30", activity.active_users, ACTIVE, ours, reference)


def _lifecycle(data: Data, name: str) -> Bench:
    def ours(frame: Any) -> list[tuple]:
        return [tuple(map(int, row)) for row in frame[["active", "new", "retained"]].itertuples(index=False)]

    def reference(rows: list[tuple]) -> list[tuple]:
        return [row[1:] for row in rows][: len(rows) - 1]  # the last week has not ended

    return _bench(data, name, "weekly lifecycle", lifecycle.lifecycle, LIFECYCLE, ours, reference)


def _retention(data: Data, name: str) -> Bench:
    def ours(frame: Any) -> list[tuple]:
        return [
            (int(n), int(users), int(size))
            for n, users, size in zip(frame["n"], frame["users"], frame["size"], strict=True)
        ]

    def reference(rows: list[tuple]) -> list[tuple]:
        return [row[1:] for row in rows]

    return _bench(data, name, "retention of 14 days", retention.retention, RETENTION, ours, reference)


def _bench(
    data: Data,
    name: str,
    what: str,
    metric: Callable[[ibis.Table], ibis.Table],
    sql: str,
    ours: Callable[[Any], Any],
    reference: Callable[[list[tuple]], Any],
) -> Bench:
    """A metric on one of the warehouse's tables; the same files, integer keys and all, are the hand-writer's."""
    rows = data.files(name)
    return Bench(
        f"{what}, on {name}",
        lambda: ours(metric(getattr(engine.connect(data.warehouse), name)).to_pandas()),
        lambda: reference(duckdb.connect().execute(sql.format(rows=rows)).fetchall()),
        PROMISE,
    )
