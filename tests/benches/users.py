"""What user operations reads of every user, against SQL written by hand for the same files; users are a fiftieth of the events.

What both return is the sums of what was found, and of who was contacted the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import duckdb
import ibis
import pandas as pd

from opslib import engine
from opslib.metrics import contacts, habits, segments, states
from tests.bench import Bench, Data
from tests.benches._users_data import LAST, files, warehouse

PROMISE = 1.1
TABLES = ("events", "daily", "users", "orders", "content", "touches")
BEFORE = "2026-06-03"  # 28 days earlier
PAST = (28, 56, 63, 70, 77, 84)  # days ago

RFM = """
SELECT user_id, DATE '{last}' - max(paid_day) AS recency, count(*) AS frequency,
    sum(greatest(amount - coalesce(refunded, 0), 0)) AS monetary
FROM {orders} WHERE paid_day BETWEEN DATE '{last}' - 364 AND DATE '{last}' GROUP BY user_id
"""
ACTIVITY_RFM = """
SELECT any_value(user_id) AS user_id, DATE '{last}' - max(day) AS recency, count(DISTINCT day) AS frequency,
    coalesce(sum(n) FILTER (event NOT IN ('impression', 'page_view')), 0) AS monetary
FROM {daily} WHERE day BETWEEN DATE '{last}' - 89 AND DATE '{last}' GROUP BY user_key
"""
# A user's days and kinds of event as bits: one pass over the rows instead of three.
PROFILE = """
WITH did AS (
    SELECT user_key, DATE '{last}' - min(day) AS first, DATE '{last}' - max(day) AS days_away, bit_or(1::HUGEINT << (DATE '{last}' - day)) AS days,
        count(DISTINCT event) AS kinds, sum(n) FILTER (event NOT IN ('impression', 'page_view')) AS actions,
        sum(n) FILTER (event = 'read') AS reads, sum(n) FILTER (event = 'complete') AS finished,
        sum(n) FILTER (event IN ('like', 'comment', 'favorite', 'share', 'follow')) AS social,
        sum(n) FILTER (event IN ('add_to_cart', 'checkout', 'pay')) AS buying,
        sum(n) FILTER (event IN ('join_campaign', 'invite', 'check_in', 'claim_reward')) AS tasks, count(*) AS seen,
        count(*) FILTER ((hour(first_ts) + 8) % 24 BETWEEN 5 AND 10) AS morning,
        count(*) FILTER ((hour(first_ts) + 8) % 24 BETWEEN 18 AND 21) AS evening,
        count(*) FILTER ((hour(first_ts) + 8) % 24 >= 22 OR (hour(first_ts) + 8) % 24 < 5) AS night
    FROM {daily} WHERE day BETWEEN DATE '{last}' - 89 AND DATE '{last}' GROUP BY user_key
), paid AS (
    SELECT user_key, count(*) AS orders, sum(greatest(amount - coalesce(refunded, 0), 0)) AS spent
    FROM {orders} WHERE paid_day BETWEEN DATE '{last}' - 89 AND DATE '{last}' GROUP BY user_key
)
SELECT u.user_id, coalesce(nullif(channel, ''), '(none)') AS channel, platform, greatest(DATE '{last}' - registered_day, first) AS tenure_days,
    days_away, bit_count(days & 127) AS active_7, bit_count(days & 268435455) AS active_28, bit_count(days) AS active_days, kinds,
    {sums}, coalesce(orders, 0) AS orders, coalesce(spent, 0) AS spent
FROM did JOIN {users} u USING (user_key) LEFT JOIN paid USING (user_key) WHERE registered_day <= DATE '{last}'
"""
SUMS = ("actions", "reads", "finished", "social", "buying", "tasks", "seen", "morning", "evening", "night")
TASTES = """
SELECT any_value(user_id) AS user_id, category, count(*) AS n
FROM (FROM {events} WHERE event = 'read' AND day BETWEEN DATE '{last}' - 89 AND DATE '{last}') JOIN {content} USING (content_key)
WHERE category <> '' GROUP BY user_key, category
"""
GAPS = """
WITH days AS (SELECT DISTINCT user_key, day FROM {daily} WHERE day BETWEEN DATE '{last}' - 89 AND DATE '{last}'),
gaps AS (SELECT user_key, day - lag(day) OVER (PARTITION BY user_key ORDER BY day) AS gap FROM days),
pairs AS (SELECT gap, count(*) OVER (PARTITION BY user_key) AS mine FROM gaps WHERE gap IS NOT NULL)
SELECT gap, count(*) AS pairs, sum(1 / mine) AS weight FROM pairs GROUP BY gap
"""
EARLY = """
WITH new AS (SELECT user_key, registered_day FROM {users} WHERE DATE '{last}' - registered_day BETWEEN 27 AND 116),
rows AS (
    SELECT user_key, event, day - registered_day AS n FROM {daily} JOIN new USING (user_key) WHERE day BETWEEN registered_day AND registered_day + 27
), each AS (
    SELECT user_key, count(DISTINCT n) FILTER (n < 7) AS days_active, max((n >= 21)::INT) AS stayed FROM rows GROUP BY user_key HAVING days_active > 0
), did AS (SELECT DISTINCT user_key, event FROM rows WHERE n < 7),
size AS (SELECT days_active, count(*) AS size, sum(stayed) AS size_stayed FROM each GROUP BY days_active)
SELECT event, days_active, count(*) AS did, sum(stayed) AS did_stayed, any_value(size) - count(*) AS others,
    any_value(size_stayed) - sum(stayed) AS others_stayed
FROM did JOIN each USING (user_key) JOIN size USING (days_active) GROUP BY event, days_active
"""
_STATE = """
    SELECT user_key, CASE WHEN age < 7 THEN 'new' WHEN often >= 3 THEN 'active' WHEN away < 7 THEN 'retained' WHEN away < 30 THEN 'silent'
        ELSE 'churned' END AS state
    FROM (
        SELECT user_key, DATE '{day}' - min(day) AS age, DATE '{day}' - max(day) AS away, count(DISTINCT day) FILTER (DATE '{day}' - day < 7) AS often
        FROM {daily} WHERE day <= DATE '{day}' GROUP BY user_key
    )
"""
GROUP_STATES = """
WITH states AS ({state_last})
SELECT *, sum(users) OVER (PARTITION BY "group") AS size
FROM (SELECT coalesce(nullif(channel, ''), '(none)') AS "group", state, count(*) AS users FROM states JOIN {users} USING (user_key) GROUP BY ALL)
"""
TRANSITIONS = """
WITH later AS ({state_last}), earlier AS ({state_before})
SELECT *, sum(users) OVER (PARTITION BY from_state) AS size
FROM (SELECT coalesce(e.state, 'unseen') AS from_state, l.state AS to_state, count(*) AS users FROM later l LEFT JOIN earlier e USING (user_key) GROUP BY ALL)
"""
RETURNED = """
WITH came AS (SELECT user_key, any_value(user_id) AS id, count(DISTINCT day) AS active FROM {daily} WHERE day > DATE '{before}' AND day <= DATE '{last}' GROUP BY 1),
paid AS (
    SELECT user_key, any_value(user_id) AS id, count(*) AS bought, sum(greatest(amount - coalesce(refunded, 0), 0)) AS spent
    FROM {orders} WHERE paid_day > DATE '{before}' AND paid_day <= DATE '{last}' GROUP BY 1
)
SELECT coalesce(c.id, p.id) AS user_id, coalesce(active, 0) AS active, coalesce(bought, 0) AS bought, coalesce(spent, 0) AS spent
FROM came c FULL JOIN paid p USING (user_key)
"""
CONTACTED = """
SELECT DISTINCT user_id, DATE '{last}' - day AS days_ago FROM {touches}
WHERE campaign_id IS NOT NULL AND day BETWEEN DATE '{last}' - 27 AND DATE '{last}'
"""


def bench_users_rfm(data: Data) -> Bench:
    return _bench(data, "RFM of every customer", lambda t: segments.rfm(t.orders, until=LAST), RFM)


def bench_users_activity_rfm(data: Data) -> Bench:
    return _bench(data, "RFM from activity", lambda t: segments.activity_rfm(t.daily, until=LAST), ACTIVITY_RFM)


def bench_users_profile(data: Data) -> Bench:
    def ours(t: engine.Tables) -> ibis.Table:
        return segments.profile(t.users, t.daily, t.orders, until=LAST, offset_hours=8)

    return _bench(data, "features of every user, 90 days", ours, PROFILE)


def bench_users_slipping(data: Data) -> Bench:
    """Six days in the past, each with its own features and what came after it."""

    def ours(t: engine.Tables) -> ibis.Table:
        return segments.slipping(t.users, t.daily, t.orders, until=LAST, ago=PAST, offset_hours=8)

    one = PROFILE.replace("'{last}'", "'{{at}}'")
    gone = "SELECT {{ago}} AS ago, (NOT EXISTS (FROM {daily} d WHERE d.user_key = p.user_key AND day > DATE '{{at}}' AND day <= DATE '{{at}}' + 28))::INT AS left, * EXCLUDE user_key"
    part = f"{gone} FROM ({one.replace('SELECT u.user_id,', 'SELECT u.user_key, u.user_id,')}) p WHERE days_away < 7"
    return _bench(data, "who left, six days of the past", ours, " UNION ALL ".join(_on(part, k) for k in PAST))


def _on(sql: str, ago: int) -> str:
    import datetime as dt

    return sql.replace("{{at}}", str(dt.date.fromisoformat(LAST) - dt.timedelta(ago))).replace("{{ago}}", str(ago))


def bench_users_tastes(data: Data) -> Bench:
    return _bench(
        data, "tastes of every user, on events", lambda t: segments.tastes(t.events, t.content, until=LAST), TASTES
    )


def bench_users_gaps(data: Data) -> Bench:
    return _bench(data, "usage interval", lambda t: habits.usage_gaps(t.daily, until=LAST), GAPS)


def bench_users_early(data: Data) -> Bench:
    return _bench(data, "first steps and staying", lambda t: habits.early(t.users, t.daily, until=LAST), EARLY)


def bench_users_group_states(data: Data) -> Bench:
    return _bench(data, "states by channel", lambda t: habits.group_states(t.users, t.daily, as_of=LAST), GROUP_STATES)


def bench_users_transitions(data: Data) -> Bench:
    return _bench(
        data, "flows between states", lambda t: states.transitions(t.daily, before=BEFORE, after=LAST), TRANSITIONS
    )


def bench_users_returned(data: Data) -> Bench:
    return _bench(
        data,
        "who came back since a list",
        lambda t: contacts.returned(t.daily, t.orders, after=BEFORE, before=LAST),
        RETURNED,
    )


def bench_users_contacted(data: Data) -> Bench:
    """Every row is read, as the lists do: of sums alone the engine would leave out the ids, which are most of this work."""
    by_hand = CONTACTED.format(last=LAST, touches=files(data, "touches"))

    def ours() -> Rows:
        return Rows(contacts.contacted(engine.connect(warehouse(data)).touches, until=LAST).to_pandas())

    return Bench("who was contacted lately", ours, lambda: Rows(duckdb.connect().sql(by_hand).df()), PROMISE)


@dataclass(frozen=True)
class Rows:
    """A list of users and days, compared when the clock has stopped."""

    frame: pd.DataFrame

    def __repr__(self) -> str:
        return repr((len(self.frame), int(pd.util.hash_pandas_object(self.frame, index=False).sum())))


def _bench(data: Data, what: str, metric: Callable[[engine.Tables], ibis.Table], sql: str) -> Bench:
    """The rows of a metric and the sums of all its numbers, ours and by hand."""
    at = {"last": LAST, "before": BEFORE, "sums": ", ".join(f"coalesce({s}, 0) AS {s}" for s in SUMS)}
    at |= {name: files(data, name) for name in TABLES}
    at |= {
        f"state_{name}": _STATE.format(day=day, daily=at["daily"]) for name, day in (("last", LAST), ("before", BEFORE))
    }
    by_hand = sql.format(**at)

    def ours() -> list[tuple]:
        table = metric(engine.connect(warehouse(data)))
        numbers = sorted(n for n, kind in table.schema().items() if kind.is_numeric())
        sums = {n: table[n].cast("float64").sum() for n in numbers}
        return _told(table.agg(rows=table.count(), **sums).to_pandas().iloc[0].to_dict())

    def reference() -> list[tuple]:
        con = duckdb.connect()
        table = con.sql(by_hand)
        numbers = sorted(
            n for n, kind in zip(table.columns, table.types, strict=True) if kind not in ("VARCHAR", "DATE")
        )
        sums = ", ".join(f'sum("{n}"::DOUBLE) AS "{n}"' for n in numbers)
        return _told(con.sql(f"SELECT count(*) AS rows, {sums} FROM ({by_hand})").df().iloc[0].to_dict())

    return Bench(what, ours, reference, PROMISE)


def _told(row: dict[str, Any]) -> list[tuple]:
    return [(name, round(float(value), 3)) for name, value in sorted(row.items())]
