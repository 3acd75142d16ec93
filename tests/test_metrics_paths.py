"""Sessions and paths: stories, equality with the oracle on generated data, wrong calls."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from zoneinfo import ZoneInfo

import oracles_paths as oracle
import pandas as pd
import pytest
from conftest import at, bound
from hypothesis import given, settings
from hypothesis import strategies as st

from opslib.metrics.path_conversion import path_conversion
from opslib.metrics.paths import path_edges, path_nodes
from opslib.metrics.sessions import session_list, sessionized, sessions

HALF = max(1, settings().max_examples // 2)
NIGHT = dt.datetime(2026, 3, 28, 22)  # UTC; in Berlin the clocks go forward at 1:00 UTC, after local midnight at 23:00
ZONES = ("UTC", "Europe/Berlin")


@st.composite
def histories(draw) -> list[dict]:
    """Nights of several users, five minutes apart or none at all; or next to nothing."""
    seen = st.tuples(
        st.sampled_from("uuvwxyz"), st.sampled_from("ABBCX"), st.integers(0, 60), st.sampled_from([None, "p", "q"])
    )
    drawn = draw(st.one_of(*[st.lists(seen, min_size=20, max_size=80)] * 5, st.lists(seen, max_size=2)))
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    rows = []
    for i, (user, event, n, value) in enumerate(drawn):
        ts = NIGHT + dt.timedelta(minutes=5 * n)
        day = ts.replace(tzinfo=dt.UTC).astimezone(zone).date()
        rows.append({"id": f"{i:04d}", "user": user, "event": event, "ts": ts, "day": day, "value": value})
    return rows


def table(rows: list[dict]):
    names = {"id": "event_id", "user": "user_id", "value": "platform"}
    return bound("events", [{names.get(k, k): v for k, v in row.items()} for row in rows])


def night(*seen: tuple) -> list[dict]:
    """(user, event, minute) → rows."""
    return [
        {"id": f"{i:03d}", "user": u, "event": e, "ts": at(0, 20) + dt.timedelta(minutes=m), "day": (at(0, 20) + dt.timedelta(minutes=m)).date(), "value": None}
        for i, (u, e, m) in enumerate(seen)
    ]  # fmt: skip


# Stories


def test_thirty_minutes_to_the_second_open_a_new_session_and_midnight_does_not():
    rows = night(("ann", "A", 0), ("ann", "A", 30), ("ann", "B", 235), ("ann", "B", 245))
    found = session_list(table(rows)).to_pandas().sort_values("session")
    assert found[["events", "duration_s"]].to_numpy().tolist() == [[1, 0], [1, 0], [2, 600]]
    cut = session_list(table(rows), cut_at_midnight=True).to_pandas()
    assert len(cut) == 4 and sorted(map(str, cut["day"].dt.date)) == ["2026-01-01"] * 3 + ["2026-01-02"]


def test_a_session_that_no_end_event_closed_has_no_duration_and_is_not_in_the_mean():
    rows = night(("ann", "A", 0), ("ann", "X", 10), ("bob", "A", 0), ("bob", "B", 5))
    day = sessions(table(rows), rule="bounds", start_event="A", end_event="X").to_pandas().iloc[0]
    assert (day["sessions"], day["closed"], day["duration_mean"]) == (2, 1, 600)


def test_a_path_that_is_only_cut_by_the_step_limit_has_not_ended():
    rows = night(*(("ann", e, m) for m, e in enumerate("ABC")), ("bob", "A", 0), ("bob", "B", 1))
    found = path_nodes(table(rows), step_limit=2).to_pandas().set_index(["position", "node"])
    assert found.loc[(2, "B"), ["reached", "dropped", "continued"]].tolist() == [2, 1, 1]


def test_the_share_of_an_edge_is_over_all_paths_and_what_left_is_the_difference_at_the_source():
    rows = night(("ann", "A", 0), ("ann", "B", 1), ("bob", "A", 0), ("cyd", "C", 0))
    edge = path_edges(table(rows)).to_pandas().iloc[0]
    assert (edge["count"], edge["at_source"], edge["paths"], edge["mean_s"]) == (1, 2, 3, 60)


def test_no_events_give_no_sessions_and_no_paths():
    nothing = table([])
    assert sessions(nothing).to_pandas().empty and session_list(nothing).to_pandas().empty
    assert path_edges(nothing).to_pandas().empty and path_nodes(nothing).to_pandas().empty
    assert path_conversion(nothing).to_pandas().to_numpy().tolist() == [[0, 0, 0, 0]]


# Definitions


@given(
    histories(),
    st.sampled_from(["gap", "property", "bounds", "separator"]),
    st.booleans(),
    st.sampled_from([(), ("B",)]),
)
def test_sessions_are_their_definition(rows, rule, cut, exclude):
    cut = cut and rule != "separator"
    words = {"property": {"property": "platform"}, "bounds": {"start_event": "A", "end_event": "X"}, "separator": {"separator": "A"}}.get(rule, {})  # fmt: skip
    how = {"rule": rule, "exclude": exclude, "cut_at_midnight": cut, **words}
    expected = oracle.sessionized(rows, rule, cut=cut, start="A", end="X", exclude=exclude)
    found = sessionized(table(rows), **how).select("event_id", "session").to_pandas()
    numbers = {r.event_id: None if pd.isna(r.session) else int(r.session) for r in found.itertuples()}
    assert numbers == expected
    kept = [row for row in rows if row["id"] in expected]
    listed = oracle.listed(kept, expected, "X" if rule == "bounds" else None)
    got = session_list(table(rows), **how).to_pandas()
    assert {
        (r.user_id, r.session): (r.start.to_pydatetime(), None if pd.isna(r.end) else r.end.to_pydatetime(), r.day.date(), r.events)
        for r in got.itertuples()
    } == listed  # fmt: skip


@given(histories())
@settings(max_examples=HALF)
def test_a_day_s_sessions_are_those_that_start_on_it(rows):
    days = defaultdict(list)
    numbers = oracle.sessionized(rows, "gap", cut=False, start="", end="", exclude=())
    for (user, _n), (start, end, day, events) in oracle.listed(rows, numbers).items():
        days[day].append((user, (end - start).total_seconds(), events))
    found = sessions(table(rows)).to_pandas()
    assert {r.day.date(): (r.sessions, r.users, r.events, r.closed) for r in found.itertuples()} == {
        day: (len(own), len({u for u, _, _ in own}), sum(n for _, _, n in own), len(own)) for day, own in days.items()
    }
    for row in found.itertuples():
        own = pd.DataFrame(days[row.day.date()], columns=["user", "seconds", "events"])
        expected = [own["seconds"].mean(), own["seconds"].var(), own["events"].mean(), own["events"].var()]
        got = [row.duration_mean, row.duration_var, row.events_mean, row.events_var]
        assert got == pytest.approx(expected, nan_ok=True)


ways = st.fixed_dictionaries(
    {
        "session": st.sampled_from(["gap", "gap", None, "platform"]),
        "collapse": st.sampled_from(["keep_last", "keep_first", None]),
        "exclude": st.sampled_from([(), ("X",)]),
        "start": st.sampled_from([None, None, "A"]),
        "end": st.sampled_from([None, None, "C"]),
        "step_limit": st.sampled_from([2, 3, 5, 6]),
    }
)


def asked(how: dict) -> dict:
    return {k: v for k, v in how.items() if k != "step_limit"} | {"limit": how["step_limit"]}


@given(histories(), ways)
def test_path_edges_are_their_definition(rows, how):
    found = path_edges(table(rows), limit=None, **how).to_pandas()
    expected = oracle.edges(rows, **asked(how))
    assert _edges(found) == {key: _rounded(edge) for key, edge in expected.items()}


def _edges(found: pd.DataFrame) -> dict:
    return {
        (r["position"], r["source"], r["target"]): _rounded((r["count"], r["users"], r["mean_s"], r["at_source"], r["paths"]))
        for r in found.to_dict("records")
    }  # fmt: skip


def _rounded(edge: tuple) -> tuple:
    return (*edge[:2], round(edge[2], 6), *edge[3:])


@given(histories(), ways)
@settings(max_examples=HALF)
def test_path_nodes_are_their_definition(rows, how):
    found = path_nodes(table(rows), **how).to_pandas()
    assert {
        (r["position"], r["node"]): (r["reached"], r["dropped"], r["continued"], r["paths"])
        for r in found.to_dict("records")
    } == oracle.nodes(rows, **asked(how))


@given(histories(), st.integers(1, 8))
@settings(max_examples=HALF)
def test_the_edges_kept_are_the_most_frequent_that_hang_together(rows, limit):
    how = {"session": "gap", "collapse": "keep_last", "exclude": (), "start": None, "end": None, "limit": 5}
    found = path_edges(table(rows), limit=limit).to_pandas()
    assert set(_edges(found)) == oracle.largest(oracle.edges(rows, **how), limit)


@given(
    histories(),
    st.sampled_from(["AB", "AA", "BC"]),
    st.sampled_from(["first", "last", "any"]),
    st.sampled_from([None, 1, 3]),
    st.sampled_from([None, 20]),
)
def test_conversion_after_is_its_definition(rows, ends, which, within_events, minutes):
    within = None if minutes is None else dt.timedelta(minutes=minutes)
    found = path_conversion(
        table(rows), start=ends[0], end=ends[1], start_occurrence=which, within_events=within_events, within_days=within
    ).to_pandas()
    expected = oracle.converted(rows, *ends, which, within_events, within)
    assert tuple(found[["with_start", "converted", "with_end", "units"]].iloc[0]) == expected


def test_a_conversion_is_asked_of_the_events_of_its_period_and_filter_only():
    rows = [("A", 0, "ios"), ("A", 1, "ios"), ("B", 2, "web"), ("B", 3, "ios")]
    events = bound(
        "events",
        [
            {"event_id": str(i), "user_id": "u", "event": e, "ts": at(n), "platform": p}
            for i, (e, n, p) in enumerate(rows)
        ],
    )

    def asked(first: int, last: int, **how) -> list[int]:
        period = tuple((dt.date(2026, 1, 1) + dt.timedelta(n)).isoformat() for n in (first, last))
        found = path_conversion(events, start="A", end="B", within_events=1, period=period, **how).to_pandas()
        return found.iloc[0].tolist()

    assert asked(0, 0) == [1, 0, 0, 1] and asked(2, 3) == [0, 0, 1, 1] and asked(4, 9) == [0, 0, 0, 0]
    assert asked(1, 2) == [1, 1, 1, 1] and asked(1, 2, where={"platform": "ios"}) == [1, 0, 0, 1]


def test_a_slash_at_the_end_is_cut_and_one_alone_stays():
    events = bound(
        "events",
        [
            {"event_id": str(i), "user_id": "u", "event": e, "ts": at(0, 12, i)}
            for i, e in enumerate(["/", "/a/", "/a", "b/"])
        ],
    )
    found = path_nodes(events, strip_slash=True, collapse=None).to_pandas()
    assert found.sort_values("position")["node"].tolist() == ["/", "/a", "/a", "b"]


# Wrong calls


@pytest.mark.parametrize(
    ("metric", "how", "told"),
    [
        (sessionized, {"rule": "gaps"}, "did you mean 'gap'"),
        (sessionized, {"gap_minutes": 0}, "gap_minutes must be above 0"),
        (sessionized, {"gap_minutes": -5}, "gap_minutes must be above 0"),
        (sessionized, {"gap_minutes": 0.51}, "gap_minutes must be above 0 and whole seconds"),
        (sessionized, {"rule": "bounds"}, "needs an end_event"),
        (sessionized, {"rule": "separator", "cut_at_midnight": True}, "cut_at_midnight goes with"),
        (sessions, {"period": ("2026-02-02", "2026-02-01")}, "period must end on or after its first day"),
        (path_edges, {"collapse": "last"}, "collapse must be one of"),
        (path_edges, {"step_limit": 1}, "step_limit must be a whole number from 2"),
        (path_edges, {"limit": 0}, "limit must be a whole number from 1"),
        (path_edges, {"min_edge": 3, "max_edge": 2}, "max_edge must not be below min_edge"),
        (path_edges, {"groups": "a*"}, "groups must be a list of texts"),
        (path_edges, {"step_limits": 3}, "did you mean 'step_limit'"),
        (path_nodes, {"funnel": {"steps": ["A", "B"]}, "funnel_step": 3}, "funnel_step must be from 1 to 2"),
        (path_conversion, {"within_days": 0}, "within_days must be more than 0"),
        (path_conversion, {"start_occurrence": "second"}, "start_occurrence must be one of"),
    ],
)
def test_a_wrong_call_is_told_the_argument_and_what_is_allowed(metric, how, told):
    with pytest.raises(ValueError) as error:
        metric(table([]), **how)
    assert told in str(error.value)
