"""Can the data be trusted: what the metrics count, against answers counted by hand and in plain Python."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import pandas as pd
import pytest
from conftest import at, bound
from hypothesis import given
from hypothesis import strategies as st

from opslib.metrics.quality import completeness, repeats, volume

D0 = dt.date(2026, 1, 1)
seen = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 20), st.sampled_from(["ios", None])), min_size=1, max_size=15
)


def events(rows) -> object:
    return bound(
        "events",
        [
            {"event_id": str(i), "user_id": u, "event": "read", "ts": at(n), "platform": p}
            for i, (u, n, p) in enumerate(rows)
        ],
    )


@given(seen)
def test_volume_is_its_definition(con, rows):
    got = con.to_pandas(volume(events(rows)))
    days = [n for _, n, _ in rows]
    counts = {n: (days.count(n), len({u for u, m, _ in rows if m == n})) for n in range(min(days), max(days) + 1)}
    assert [(pd.Timestamp(d).date(), (r, u)) for d, r, u in got.itertuples(index=False)] == [
        (D0 + dt.timedelta(n), counts[n]) for n in sorted(counts)
    ]


@given(seen, st.sampled_from(["monday", "sunday"]))
def test_completeness_is_its_definition(con, rows, week_start):
    got = con.to_pandas(completeness(events(rows), week_start=week_start))
    week = [D0 + dt.timedelta(n - (D0 + dt.timedelta(n + (week_start == "sunday"))).weekday()) for _, n, _ in rows]
    filled = Counter(w for w, (_, _, p) in zip(week, rows, strict=True) if p)
    for column, n in (("platform", filled), ("channel", Counter())):
        own = got[got["column"] == column]
        told = {
            pd.Timestamp(s).date(): (r, f) for s, r, f in zip(own["start"], own["rows"], own["filled"], strict=True)
        }
        assert told == {w: (week.count(w), n[w]) for w in week}
    assert "user_id" not in set(got["column"])  # it may not be empty


def test_a_repeat_has_the_user_the_instant_and_the_item_of_another_row(con):
    rows = [("read", 0, "a"), ("read", 0, "a"), ("read", 0, "a"), ("read", 0, "b"), ("read", 1, "a"), ("like", 0, "a")]
    rows += [("share", 30, "a"), ("share", 30, "a"), ("share", 60.5, "a")]
    table = bound(
        "events",
        [
            {"event_id": str(i), "user_id": "u", "event": e, "ts": at(0) + dt.timedelta(seconds=s), "content_id": c}
            for i, (e, s, c) in enumerate(rows)
        ],
    )
    got = con.to_pandas(repeats(table))
    assert [tuple(r) for r in got.itertuples(index=False)] == [("read", 5, 2, 4), ("share", 3, 1, 0)]


def test_a_wrong_week_is_refused():
    with pytest.raises(ValueError, match="week_start must be one of"):
        completeness(events([("a", 0, None)]), week_start="sundays")
