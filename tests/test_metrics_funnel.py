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

from opslib.metrics.funnel import funnel, funnel_tries

START = dt.datetime(2026, 1, 1)


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


simple = asked(orders=("ordered",)).map(
    lambda q: oracle.Asked(q.steps, window=q.window, entry=q.entry if q.entry != "latest" else "best", period=q.period)
)


@given(drawn, simple)
def test_the_cheaper_plan_gives_the_same_answer_ties_included(con, drawn, asked):
    rows = plain(drawn)
    with pytest.MonkeyPatch.context() as patch:
        cheap = counts(con, rows, **as_arguments(asked))
        patch.setattr("opslib.metrics._funnel_asof.possible", lambda events, funnel: False)
        assert counts(con, rows, **as_arguments(asked)) == cheap == oracle.funnel(rows, asked)


MANY = """
CREATE TABLE events AS SELECT
    'e' || lpad(i::VARCHAR, 7, '0') AS event_id, hash(i) % 40000 AS user_key, 'u' || hash(i) % 40000 AS user_id,
    chr((65 + hash(i, 1) % 4)::INT) AS event, TIMESTAMP '2026-01-01' + to_seconds((hash(i, 2) % 2000000)::BIGINT) AS ts,
    ts::DATE AS day
FROM range(600000) t(i)
"""


@pytest.mark.parametrize("entry", ["best", "first"])
@pytest.mark.parametrize("kept", [True, False], ids=["order kept", "order not kept"])
def test_the_walk_keeps_its_order_over_many_rows_and_threads(entry, kept):
    con = ibis.duckdb.connect(threads=4, preserve_insertion_order=kept)
    con.raw_sql(MANY)
    asked = {"steps": ["A", "B", "C", "A"], "window_days": 3, "entry": entry}
    walked = con.to_pandas(funnel(con.table("events"), **asked))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("opslib.metrics._funnel_asof.possible", lambda events, funnel: False)
        portable = con.to_pandas(funnel(con.table("events"), **asked))
    assert walked["users"].tolist() == portable["users"].tolist()
    assert walked["users"][0] > walked["users"][3] > 100
