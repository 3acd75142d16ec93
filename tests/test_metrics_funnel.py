from __future__ import annotations

import datetime as dt
from collections import Counter

import ibis
import oracles_funnel as oracle
import pandas as pd
import pytest
from conftest import bound
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opslib.metrics._funnel_plan import cheaper
from opslib.metrics._funnel_rules import checked
from opslib.metrics.funnel import funnel, funnel_tries

START = dt.datetime(2025, 12, 31, 23, 54)  # so that a period cuts what happens


def plain(drawn: list[tuple]) -> list[dict]:
    """(user, event, minute, held) → plain rows, as the oracle takes them."""
    return [
        {"user": u, "event": e, "ts": START + dt.timedelta(minutes=m), "id": f"{i:04d}", "item": h}
        for i, (u, e, m, h) in enumerate(drawn)
    ]


def table(rows: list[dict]):
    return bound(
        "events",
        [
            {"event_id": r["id"], "user_id": r["user"], "event": r["event"], "ts": r["ts"], "content_id": r["item"]}
            for r in rows
        ],
    )


# Compiling costs more than running, so an example holds the histories of many users; mostly with ties, or next to nothing.
seen = st.tuples(
    st.sampled_from("stuvwxyz"), st.sampled_from("ABCX"), st.integers(0, 12), st.sampled_from([None, "p", "q"])
)
drawn = st.one_of(*[st.lists(seen, min_size=20, max_size=80)] * 5, st.lists(seen, max_size=2))


@st.composite
def asked(draw, orders=("ordered", "strict", "unordered")):
    steps = draw(st.lists(st.sampled_from("ABC"), min_size=1, max_size=4))
    order = draw(st.sampled_from(orders))
    k = len(steps)
    optional = draw(st.lists(st.integers(2, k), unique=True, max_size=2)) if order == "ordered" and k > 1 else []
    required = [i for i in range(1, k + 1) if i not in optional]
    own = (
        draw(st.dictionaries(st.integers(2, k), st.integers(1, 9), max_size=2)) if order == "ordered" and k > 1 else {}
    )
    ranges = [(1, k)] if order == "unordered" else [(a, b) for a in required for b in required if a < b]
    exclusions = []
    if len(required) > 1:
        spans = st.sampled_from(ranges)
        exclusions = [(e, *span) for e, span in draw(st.lists(st.tuples(st.sampled_from("XAB"), spans), max_size=2))]
    return oracle.Asked(
        steps=steps,
        order=order,
        window=draw(st.sampled_from([None, 60, 240, 600])),
        entry=draw(st.sampled_from(["best", "first"] + ["latest"] * (order != "unordered"))),
        attempts=draw(st.booleans()),
        hold=draw(st.sampled_from([(), (), ("item",)])),
        optional=tuple(sorted(optional)),
        own_windows={i: 60 * m for i, m in own.items()},
        exclusions=exclusions,
        drop_users=draw(st.booleans()),
        period=draw(st.sampled_from([None, (dt.date(2026, 1, 1), dt.date(2026, 1, 1))])),
    )


def as_arguments(q: oracle.Asked) -> dict:
    steps = [
        {
            "event": e,
            "optional": i in q.optional,
            "window_days": dt.timedelta(seconds=q.own_windows[i]) if i in q.own_windows else None,
        }
        for i, e in enumerate(q.steps, 1)
    ]
    return {
        "steps": steps,
        "order": q.order,
        "window_days": None if q.window is None else dt.timedelta(seconds=q.window),
        "entry": q.entry,
        "count": "attempts" if q.attempts else "users",
        "hold": ["content_id"] if q.hold else [],
        "exclusions": [{"event": e, "from_step": a, "to_step": b} for e, a, b in q.exclusions],
        "exclusion_effect": "drop_user" if q.drop_users else "stop_user",
        "period": q.period,
    }


def counts(con, rows, **arguments) -> list[int]:
    return con.to_pandas(funnel(table(rows), **arguments)).users.tolist()


# An interrupted entry that a later one takes over is no try of its own.
INTERRUPTED = ([("s", "A", 0, "p"), ("s", "X", 0, "p"), ("s", "A", 0, "p")], oracle.Asked(["A", "B"], "strict", entry="latest", attempts=True))  # fmt: skip


@given(drawn, asked())
@example(*INTERRUPTED)
def test_a_funnel_is_its_definition(con, drawn, asked):
    rows = plain(drawn)
    assert counts(con, rows, **as_arguments(asked)) == oracle.funnel(rows, asked)


@given(drawn, asked())
@example(*INTERRUPTED)
@settings(max_examples=max(1, settings().max_examples // 2))
def test_every_counted_try_is_its_definition(con, drawn, asked):
    rows = plain(drawn)
    found = con.to_pandas(funnel_tries(table(rows), **as_arguments(asked)))
    times = [f"step_{i}_at" for i in range(1, len(asked.steps) + 1)]
    tried = Counter(
        (r["user_id"], r["reached"], *(None if pd.isna(r[t]) else r[t].to_pydatetime() for t in times))
        for r in found.to_dict("records")
    )
    assert tried == Counter(
        (user, t.depth(asked), *(t.reached[i]["ts"] if i in t.reached else None for i in range(1, len(times) + 1)))
        for (user,), own in oracle.counted(rows, asked).items()
        for t in own
    )


@st.composite
def simple(draw):
    """What the cheaper plan answers: no two steps in a row alike."""
    steps = [draw(st.sampled_from("ABC"))]
    for _ in range(draw(st.integers(1, 3))):
        steps.append(draw(st.sampled_from([e for e in "ABC" if e != steps[-1]])))
    return oracle.Asked(
        steps=steps,
        window=draw(st.sampled_from([None, 60, 240, 600])),
        entry=draw(st.sampled_from(["best", "first"])),
        period=draw(st.sampled_from([None, (dt.date(2026, 1, 1), dt.date(2026, 1, 1))])),
    )


def portable(con, events, **arguments) -> list[int]:
    """The answer of the plan that every engine can run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("opslib.metrics._funnel_plan.cheaper", lambda events, funnel: False)
        return con.to_pandas(funnel(events, **arguments)).users.tolist()


@given(drawn, simple())
def test_the_cheaper_plan_gives_the_same_answer_ties_included(con, drawn, asked):
    rows = plain(drawn)
    assert cheaper(table(rows), checked("funnel", asked.steps, {}))
    expected = oracle.funnel(rows, asked)
    assert counts(con, rows, **as_arguments(asked)) == expected == portable(con, table(rows), **as_arguments(asked))


NOT_A = {"event": {"not": "A"}}


@pytest.mark.parametrize("steps", [[NOT_A, "B"], ["B", NOT_A]])
def test_a_row_that_two_steps_in_a_row_can_be_is_not_used_twice(con, steps):
    rows = table(
        plain([("s", "A", 0, None), ("s", "C", 1, None), ("s", "B", 2, None), ("t", "B", 2, None), ("t", "B", 3, None)])
    )
    assert con.to_pandas(funnel(rows, steps=steps)).users.tolist() == portable(con, rows, steps=steps)


MANY = """
CREATE TABLE events AS SELECT
    'e' || lpad(hash(i, 3)::VARCHAR, 20, '0') AS event_id, hash(i) % 40000 AS user_key, 'u' || hash(i) % 40000 AS user_id,
    CASE WHEN i % 9 > 0 THEN 'd' || hash(i) % 20000 END AS device_id, i % 7 AS position,
    chr((65 + hash(i, 1) % 4)::INT) AS event, TIMESTAMP '2026-01-01' + to_seconds((hash(i, 2) % 20000 * 100)::BIGINT) AS ts,
    ts::DATE AS day
FROM range(300000) t(i)
"""
HALF = {"period": ("2026-01-05", "2026-01-14")}
WALKED = {
    "two steps": {"steps": ["A", "B"]},
    "first entry": {"entry": "first"},
    "back to the first event": {"steps": ["A", "B", "C", "A"]},
    "entries of a period": HALF,
    "all of a period": HALF | {"within_period": True},
    "a unit that some rows lack": {"unit": "device_id"},
    "some rows only": {"where": {"position": {"min": 2}}, "window_days": None},
    "steps of several events": {
        "steps": [{"event": ["A", "D"]}, "B", {"event": "C", "where": {"position": [1, 2, 3]}}]
    },
    "eight steps": {"steps": ["A", "B"] * 4, "window_days": None},
}


@pytest.mark.parametrize("name", WALKED)
def test_the_walk_over_many_rows_and_threads_is_the_portable_plan(name):
    con = ibis.duckdb.connect(threads=4, preserve_insertion_order=name != "two steps")
    con.raw_sql(MANY)
    asked = {"steps": ["A", "B", "C"], "window_days": 3} | WALKED[name]
    walked = con.to_pandas(funnel(con.table("events"), **asked))["users"].tolist()
    assert walked == portable(con, con.table("events"), **asked)
    assert walked[0] > walked[1] > 50


@pytest.mark.parametrize("asked", [{"unit": "session"}, {"count": "sessions"}, {"unit": ["user_id", "session"]}])
def test_a_session_is_one_of_its_user(con, asked):
    """s does B an hour after A, in a session of its own; the first sessions of s and t are two."""
    rows = table(plain([("s", "A", 0, None), ("s", "B", 60, None), ("t", "A", 0, None), ("t", "B", 5, None)]))
    assert con.to_pandas(funnel(rows, steps=["A", "B"], **asked)).users.tolist() == [2, 1]


def test_a_tie_before_the_last_row_of_a_unit_is_seen(con):
    rows = table(plain([("s", "B", 0, None), ("s", "A", 0, None), ("s", "C", 1, None)]))
    assert con.to_pandas(funnel(rows, steps=["A", "B", "C"])).users.tolist() == [1, 0, 0]
