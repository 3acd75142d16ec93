"""Active users, lifecycle, retention and the funnel against SQL written by hand for the same files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
), counted AS (SELECT day, gap, count(*) AS users FROM gap GROUP BY ALL),
windows AS (SELECT unnest([1, 7, 30]) AS w),
moves AS (
    SELECT w, day, users, users AS user_days FROM counted, windows
    UNION ALL SELECT w, day + least(gap, w)::INT, -users, 0 FROM counted, windows
    UNION ALL SELECT w, day + w, 0, -users FROM counted, windows
    UNION ALL SELECT w, day::DATE, 0, 0
    FROM windows, (SELECT unnest(generate_series(min(day), max(day), INTERVAL 1 DAY)) AS day FROM counted)
), days AS (SELECT w, day, sum(users) AS users, sum(user_days) AS user_days FROM moves GROUP BY ALL)
SELECT w::VARCHAR AS "window", day - w + 1 AS start, day AS "end", w AS days,
    sum(users) OVER so_far AS users, sum(user_days) OVER so_far AS user_days
FROM days WINDOW so_far AS (PARTITION BY w ORDER BY day)
QUALIFY day <= (SELECT max(day) FROM counted) ORDER BY w, day
"""
LIFECYCLE = """
WITH active AS (SELECT DISTINCT user_key, date_trunc('week', day)::DATE AS week FROM {rows}),
before AS (SELECT week, lag(week) OVER (PARTITION BY user_key ORDER BY week) AS before FROM active),
weeks AS (
    SELECT week, count(*) AS active, count(*) FILTER (before IS NULL) AS new, count(*) FILTER (before = week - 7) AS retained
    FROM before GROUP BY week
), accounts AS (
    SELECT *, active - new - retained AS resurrected, lag(active, 1, 0) OVER (ORDER BY week) - retained AS dormant,
        sum(new) OVER (ORDER BY week) AS seen FROM weeks
)
SELECT week AS start, active, new, retained, resurrected, dormant, seen - active - dormant AS away
FROM accounts WHERE week + 6 <= (SELECT max(day) FROM {rows}) ORDER BY week
"""
RETENTION = """
WITH user_day AS (SELECT DISTINCT user_key, day FROM {rows}),
first AS (SELECT user_key, min(day) AS cohort FROM user_day GROUP BY user_key),
hits AS (
    SELECT cohort, day - cohort AS n, count(*) AS users FROM user_day JOIN first USING (user_key)
    WHERE day - cohort <= 14 GROUP BY ALL
), sizes AS (SELECT cohort, users AS size FROM hits WHERE n = 0), seen AS (SELECT max(day) AS last FROM user_day)
SELECT sizes.cohort, t.n, coalesce(users, 0) AS users, size FROM sizes CROSS JOIN seen CROSS JOIN range(15) t(n)
LEFT JOIN hits ON hits.cohort = sizes.cohort AND hits.n = t.n WHERE sizes.cohort + t.n::INT <= last ORDER BY ALL
"""
STICKINESS = """
WITH days AS (SELECT user_key, count(DISTINCT day) AS periods FROM {rows} GROUP BY user_key),
counted AS (SELECT periods, count(*) AS users FROM days GROUP BY periods)
SELECT periods, users, sum(users) OVER (ORDER BY periods DESC) AS at_least FROM counted ORDER BY periods
"""
STATE = """CASE WHEN {age} < 7 THEN 'new' WHEN {often} >= 3 THEN 'active' WHEN {away} < 7 THEN 'retained'
    WHEN {away} < 30 THEN 'silent' ELSE 'churned' END"""
STATES = f"""
WITH last AS (SELECT max(day) AS d FROM {{rows}}), days AS (SELECT DISTINCT user_id, day FROM {{rows}}),
users AS (
    SELECT user_id, max(d - day) AS age, min(d - day) AS away, count(*) FILTER (d - day < 7) AS often
    FROM days, last GROUP BY user_id
)
SELECT {STATE.format(age="age", away="away", often="often")} AS state, count(*) AS users FROM users GROUP BY state ORDER BY state
"""
BEFORE, AFTER = "2026-02-15", "2026-03-15"
FACTS = """max(DATE '{day}' - day) AS age_{n}, min(DATE '{day}' - day) FILTER (day <= DATE '{day}') AS away_{n},
    count(*) FILTER (DATE '{day}' - day BETWEEN 0 AND 6) AS often_{n}"""
TRANSITIONS = f"""
WITH days AS (SELECT DISTINCT user_key, day FROM {{rows}} WHERE day <= DATE '{AFTER}'),
users AS (SELECT user_key, {FACTS.format(day=BEFORE, n=1)}, {FACTS.format(day=AFTER, n=2)} FROM days GROUP BY user_key),
moved AS (
    SELECT CASE WHEN age_1 < 0 THEN 'unseen' ELSE {STATE.format(age="age_1", away="away_1", often="often_1")} END AS from_state,
        {STATE.format(age="age_2", away="away_2", often="often_2")} AS to_state FROM users
), counted AS (SELECT from_state, to_state, count(*) AS users FROM moved GROUP BY ALL)
SELECT *, sum(users) OVER (PARTITION BY from_state) AS size FROM counted ORDER BY ALL
"""


@dataclass(frozen=True)
class Answer:
    """A whole table, as text for whoever compares: made when the clock has stopped."""

    frame: pd.DataFrame

    def __repr__(self) -> str:
        rows = self.frame.to_dict("records")
        return repr(
            [{k: str(v)[:10] if not isinstance(v, float) else str(int(v)) for k, v in row.items()} for row in rows]
        )


def states_counted(table: ibis.Table) -> ibis.Table:
    """Every user's state, counted: the list of users shows their ids, so both read these and not the integer keys."""
    return states.states(table).group_by("state").agg(users=ibis._.count()).order_by("state")


def transitions(table: ibis.Table) -> ibis.Table:
    return states.transitions(table, before=BEFORE, after=AFTER)


def bench_active_users_events(data: Data) -> Bench:
    return _bench(data, "events", "active users, windows of 1, 7, 30", activity.active_users, ACTIVE)


def bench_active_users_daily(data: Data) -> Bench:
    return _bench(data, "daily", "active users, windows of 1, 7, 30", activity.active_users, ACTIVE)


def bench_lifecycle_events(data: Data) -> Bench:
    return _bench(data, "events", "weekly lifecycle", lifecycle.lifecycle, LIFECYCLE)


def bench_lifecycle_daily(data: Data) -> Bench:
    return _bench(data, "daily", "weekly lifecycle", lifecycle.lifecycle, LIFECYCLE)


def bench_retention_events(data: Data) -> Bench:
    return _bench(data, "events", "retention of 14 days", retention.retention, RETENTION)


def bench_retention_daily(data: Data) -> Bench:
    return _bench(data, "daily", "retention of 14 days", retention.retention, RETENTION)


def bench_stickiness_events(data: Data) -> Bench:
    return _bench(data, "events", "stickiness", activity.stickiness, STICKINESS)


def bench_stickiness_daily(data: Data) -> Bench:
    return _bench(data, "daily", "stickiness", activity.stickiness, STICKINESS)


def bench_states_events(data: Data) -> Bench:
    return _bench(data, "events", "states of every user", states_counted, STATES)


def bench_states_daily(data: Data) -> Bench:
    return _bench(data, "daily", "states of every user", states_counted, STATES)


def bench_transitions_events(data: Data) -> Bench:
    return _bench(data, "events", "moves between the states", transitions, TRANSITIONS)


def bench_transitions_daily(data: Data) -> Bench:
    return _bench(data, "daily", "moves between the states", transitions, TRANSITIONS)


def bench_rolled_up_active_users(data: Data) -> Bench:
    return _rolled_up(data, "active users, windows of 1, 7, 30", activity.active_users)


def bench_rolled_up_lifecycle(data: Data) -> Bench:
    return _rolled_up(data, "weekly lifecycle", lifecycle.lifecycle)


def bench_rolled_up_retention(data: Data) -> Bench:
    return _rolled_up(data, "retention of 14 days", retention.retention)


def bench_rolled_up_stickiness(data: Data) -> Bench:
    return _rolled_up(data, "stickiness", activity.stickiness)


def bench_rolled_up_states(data: Data) -> Bench:
    return _rolled_up(data, "states of every user", states_counted)


def bench_rolled_up_transitions(data: Data) -> Bench:
    return _rolled_up(data, "moves between the states", transitions)


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
        return lambda: Answer(metric(getattr(engine.connect(data.warehouse), name)).to_pandas())

    return Bench(f"{what}, daily against events", on("daily"), on("events"), ROLLED_UP)


def four_steps(data: Data, window_days: float | None = 3) -> Callable[[], list[int]]:
    """Our side of every row about the funnel."""

    def ours() -> list[int]:
        table = engine.connect(data.warehouse).events
        return [int(n) for n in funnel.funnel(table, steps=STEPS, window_days=window_days).to_pandas()["users"]]

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


def _bench(data: Data, name: str, what: str, metric: Callable[[ibis.Table], ibis.Table], sql: str) -> Bench:
    """A metric on one of the warehouse's tables; the same files, integer keys and all, are the hand-writer's."""
    rows = data.files(name)
    return Bench(
        f"{what}, on {name}",
        lambda: Answer(metric(getattr(engine.connect(data.warehouse), name)).to_pandas()),
        lambda: Answer(duckdb.connect().execute(sql.format(rows=rows)).df()),
        PROMISE,
    )
