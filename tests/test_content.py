"""Content: bad tracking, fair comparison of items and places, lists, and the truths planted in the sample."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest
from conftest import at, bound
from hypothesis import given
from hypothesis import strategies as st
from loading import NOW, event, write

from opslib import columns, connect, ledger, load, sample, text
from opslib.errors import TooLittleError
from opslib.metrics import content, content_readers, content_time
from opslib.models import content_groups, content_lists, indices, place
from opslib.models import content_readers as readers
from opslib.models import content_time as over_time
from opslib.models.content import KEEP
from opslib.sentences import content as statements
from opslib.sentences import content_beside as beside
from opslib.sentences import content_more as more
from opslib.sentences import content_rates as rates
from opslib.sentences import content_time as timing
from opslib.sentences import content_tracking as tracking

NONE_ASIDE = pd.DataFrame(columns=["table", "source", "reason", "line", "rows"])


def happened(event: str, item: str | None, n: int = 1, day: int = 5, user: str = "u", **more) -> list[dict]:
    where = {"placement": "algorithm", "position": 0} | more
    return [
        {"event_id": f"{event}{item}{day}{user}{i}{sorted(where.items())}", "user_id": user, "event": event, "ts": at(day), "content_id": item}
        | where
        for i in range(n)
    ]  # fmt: skip


def item(name: str, day: int = 0, **more) -> dict:
    return {"content_id": name, "published_at": at(day), "category": "news", "source": "PGC", "title": name} | more


def items_of(con, events: list[dict], *ids: str, **how) -> pd.DataFrame:
    shown = content.content_items(bound("events", events), bound("content", [item(i) for i in ids]), **how)
    return con.to_pandas(shown).set_index("content_id").sort_index()


# Bad tracking is stated and enters no rate


def test_opens_without_impressions_and_items_never_shown_have_no_rate_and_are_listed(con):
    events = happened("impression", "a", 10) + happened("read", "a", 4) + happened("read", "blind", 3)
    found = items_of(con, events, "a", "blind", "unseen")
    assert list(found.index) == ["a", "blind"]  # nothing happened to "unseen"
    assert list(content_lists.clean(found.reset_index())["content_id"]) == ["a"]
    told = con.to_pandas(content.content_unknown(bound("events", events), bound("content", [item("a"), item("blind")])))
    assert told[["issue", "n", "of", "example"]].values.tolist() == [["opens_without_impressions", 3, 7, "blind"]]


def test_more_opens_than_impressions_means_missing_impressions_not_a_rate_above_one(con):
    events = happened("impression", "a", 2) + happened("read", "a", 5) + happened("impression", "b", 9)
    found = items_of(con, events, "a", "b").reset_index()
    assert list(content_lists.clean(found)["content_id"]) == ["b"]
    told = content_lists.troubles(pd.DataFrame(columns=["issue", "n", "of", "example"]), found)
    assert told[["trouble", "n"]].values.tolist() == [["more_opens", 1], ["one_placement", 2]]


def test_negative_dwell_times_are_counted_and_left_out_of_the_typical_one(con):
    events = happened("impression", "a", 9) + happened("read", "a", 2, duration_s=9.0)
    events += happened("read", "a", 1, duration_s=-50.0, user="v")
    row = items_of(con, events, "a").loc["a"]
    assert (row["opens"], row["dwells"], row["negative_dwells"]) == (3, 2, 1)
    assert np.expm1(row["dwell_log"]) == pytest.approx(9.0)


def test_events_of_an_unknown_item_or_of_none_are_in_no_item(con):
    events = happened("impression", "a") + happened("impression", "gone", 4) + happened("impression", None, 2)
    assert list(items_of(con, events, "a").index) == ["a"]
    told = con.to_pandas(content.content_unknown(bound("events", events), bound("content", [item("a")])))
    assert told[["issue", "n"]].values.tolist() == [["unknown_item", 4]]
    chain = con.to_pandas(content.content_chain(bound("events", events), bound("content", [item("a")])))
    assert dict(zip(chain["category"], chain["impressions"], strict=True)) == {"news": 1, "(none)": 4}


def test_an_impression_without_a_position_has_a_place_of_its_own(con):
    events = happened("impression", "a", 3) + happened("impression", "a", 2, position=None)
    assert items_of(con, events, "a").loc["a", "unplaced"] == 2
    cells = con.to_pandas(content.content_cells(bound("events", events), bound("content", [item("a")])))
    assert dict(zip(cells["position"], cells["impressions"], strict=True)) == {0: 3, -1: 2}


def test_the_bands_of_age_begin_where_the_columns_say(con):
    days = [0, 1, 2, 3, 6, 7, 13, 14, 29, 30, 59, 60, 90]
    events = [e for n in days for e in happened("impression", "a", 1, day=n)] + happened("impression", "x", 1, day=40)
    items = [item("a"), item("x", published_at=None)]
    cells = con.to_pandas(content.content_cells(bound("events", events), bound("content", items)))
    known = cells[cells["content_id"] == "a"]
    assert dict(zip(known["age"], known["impressions"], strict=True)) == {0: 1, 1: 2, 3: 2, 7: 2, 14: 2, 30: 2, 60: 2}
    assert cells.loc[cells["content_id"] == "x", "age"].tolist() == [0]  # nobody knows how old it is


def test_one_placement_only_cannot_be_compared_and_needs_no_correction(con):
    events = [
        e for i in "ab" for e in happened("impression", i, 50) + happened("read", i, 9) + happened("complete", i, 5)
    ]
    cells = con.to_pandas(content.content_cells(bound("events", events), bound("content", [item("a"), item("b")])))
    assert place.worth(cells)["placement"] == {"algorithm": 1.0}
    with pytest.raises(TooLittleError):
        place.lifts(cells, "editorial")


def frame(*rows: tuple) -> pd.DataFrame:
    """(content_id, impressions, opens, completes) as items of one category."""
    table = pd.DataFrame(rows, columns=["content_id", "impressions", "opens", "completes"])
    return table.assign(
        title=table["content_id"], source="PGC", category="c", author_id="a", last_week=table["impressions"]
    )


def crowd(seed: int = 0, n: int = 60) -> list[tuple]:
    rng = np.random.default_rng(seed)
    return [(f"i{k:03}", 2_000, 300, int(rng.poisson(100 * rng.gamma(30, 1 / 30)))) for k in range(n)]


def test_three_of_three_leads_no_ranking_and_is_on_no_list():
    items = frame(*crowd(), ("lucky", 3, 3, 3))
    table = content_lists.judged(items)
    lucky = table[table["content_id"] == "lucky"].iloc[0]
    assert lucky["raw"] > 5 and lucky["decision"] == KEEP
    assert table.sort_values("low")["content_id"].iloc[-1] != "lucky"
    assert "lucky" not in set(content_groups.leaders(items, hits="completes", of="opens", most=10)["content_id"])


# Metrics


def test_worth_is_the_product_of_the_factors_of_place_and_age(con):
    events = happened("impression", "a", 2, day=1) + happened(
        "impression", "a", 3, day=8, placement="banner", position=4
    )
    got = items_of(con, events, "a", placements={"banner": 0.5}, positions={4: 0.1}, ages={7: 0.8, 1: 1.5})
    assert got.loc["a", "worth"] == pytest.approx(2 * 1.5 + 3 * 0.5 * 0.1 * 0.8)
    assert items_of(con, events, "a").loc["a", "worth"] == 5


def test_the_chain_counts_what_is_published_in_the_period_and_what_happens_whatever_the_age(con):
    known = bound("content", [item("old", 0), item("new", 9), item("sport", 9, category="sport")])
    events = bound("events", happened("impression", "old", 4, day=9) + happened("share", "new", 2, day=10))
    got = con.to_pandas(content.content_chain(events, known, period=("2026-01-09", "2026-01-31")))
    cells = got.set_index("category")[["published", "items", "impressions", "shares"]]
    assert cells.loc["news"].tolist() == [1, 1, 4, 2] and cells.loc["sport"].tolist() == [1, 0, 0, 0]


def test_the_chain_on_the_page_begins_with_all_groups_together(con):
    events = [
        *happened("impression", "a", 4, placement="algorithm"), *happened("impression", "b", 2, placement=""),
        *happened("impression", "b", 1, day=6, placement=None), *happened("read", "a", 3), *happened("like", "a", 2), *happened("share", "b", 1),
    ]  # fmt: skip
    tables = bound("events", events), bound("content", [item("a"), item("b", source="UGC")])
    by_source = content_groups.funnel(con.to_pandas(content.content_chain(*tables, by="source")), "source")
    assert by_source["source"].tolist()[1:] == ["PGC", "UGC"]
    assert by_source.iloc[0, 1:].tolist() == [2, 2, 7, 3, 0, 3] == by_source.iloc[1:, 1:].sum().tolist()
    counts = con.to_pandas(content.content_chain(*tables, by="placement"))
    places = content_groups.funnel(counts, "placement")
    assert "published" not in places and pd.isna(places["items"].iloc[0]), "places show the same items"
    assert content_groups.funnel(counts, "placement", items=2)["items"].iloc[0] == 2, "all items, where they are known"
    shown = places.set_index("placement")[["items", "impressions"]].to_dict("index")
    assert shown["(none)"] == {"items": 1, "impressions": 3}, "an empty place and a missing one are one place"


def test_the_chain_of_placements_has_what_each_showed_and_publishes_nothing(con):
    events = happened("impression", "a", 3) + happened("impression", "b", 2) + happened("like", "a", 1)
    events += happened("impression", "a", 4, placement="banner") + happened("read", "a", 2, placement="")
    known = bound("content", [item("a"), item("b")])
    got = con.to_pandas(content.content_chain(bound("events", events), known, by="placement"))
    cells = [tuple(r) for r in got[["placement", "items", "impressions", "opens", "likes"]].itertuples(index=False)]
    assert cells == [("(none)", 0, 0, 2, 0), ("algorithm", 2, 5, 0, 1), ("banner", 1, 4, 0, 0)]
    assert got["published"].isna().all()


lives = st.lists(
    st.tuples(
        st.sampled_from(["impression", "read", "complete", "like", "pay"]),
        st.sampled_from(["a", "b", "x"]),
        st.sampled_from(["algorithm", "editorial", None]),
        st.sampled_from([0, 3, 40, None]),
        st.integers(0, 12),
    ),
    min_size=1,
    max_size=30,
)


@given(lives, st.integers(0, 12), st.integers(0, 12), st.sampled_from([2, 3]))
def test_topic_weeks_are_their_definition(con, rows, born, last, weeks):
    shift = 8  # so that two weeks do not hold everything
    events = [
        {"event_id": str(i), "user_id": "u", "event": e, "ts": at(2 * d), "content_id": c}
        for i, (e, c, _, _, d) in enumerate(rows)
    ]
    items = {"a": ("news", born, "price"), "b": ("sport", born + shift, None)}
    known = bound("content", [item(i, n, category=c, topic=t) for i, (c, n, t) in items.items()])
    until = dt.date(2026, 1, 1) + dt.timedelta(last + shift)
    happened_to = bound("events", events)
    found = con.to_pandas(content_time.topic_weeks(happened_to, known, until=until, weeks=weeks))
    end = dt.date(2026, 1, 1) + dt.timedelta(
        max(2 * row[4] for row in rows)
    )  # the day that is taken where none is named
    named, taken = (
        con.to_pandas(content_time.topic_weeks(happened_to, known, weeks=weeks, **u)) for u in ({"until": end}, {})
    )
    pd.testing.assert_frame_equal(named, taken)
    want: dict[tuple, list[int]] = {}
    for i, (kind, n, topic) in items.items():
        if 0 <= last + shift - n < 7 * weeks:
            want.setdefault((kind, topic or "(none)", (last + shift - n) // 7), [0] * 5)[0] += 1
        for e, c, _, _, d in rows:
            if c == i and e in ("impression", "read", "complete") and 0 <= (ago := last + shift - 2 * d) < 7 * weeks:
                own = want.setdefault((kind, topic or "(none)", ago // 7), [0] * 5)
                own[["published", "impression", "read", "complete"].index(e)] += 1
                own[4] += e == "read" and (dt.date(2026, 1, 1) + dt.timedelta(2 * d)).weekday() >= 5
    columns = ["published", "impressions", "opens", "completes", "weekend"]
    got = {tuple(r[:3]): list(r[3:]) for r in found[["category", "topic", "week", *columns]].itertuples(index=False)}
    got = {k: v for k, v in got.items() if k[0] != "(none)"}  # the item "x", which nobody knows
    assert got == want


@given(lives)
def test_content_items_is_its_definition(con, rows):
    weights = {"algorithm": 1.5, "(none)": 0.5}
    spots = {3: 0.5, 20: 0.1, -1: 0.25}
    events = [
        {"event_id": str(i), "user_id": "u", "event": e, "ts": at(d), "content_id": c, "placement": p, "position": s}
        for i, (e, c, p, s, d) in enumerate(rows)
    ]
    got = items_of(con, events, "a", "b", placements=weights, positions=spots, period=("2026-01-02", "2026-01-10"))
    want: dict[str, list[float]] = {}
    for e, c, p, s, d in rows:
        if c == "x" or e == "pay" or not 1 <= d <= 9:
            continue
        own = want.setdefault(c, [0, 0, 0, 0, 0.0])
        own[["impression", "read", "complete", "like"].index(e)] += 1
        if e == "impression":
            spot = -1 if s is None else min(s, 20)
            own[4] += weights.get(p or "(none)", 1.0) * spots.get(spot, 1.0)
    columns = ["impressions", "opens", "completes", "likes", "worth"]
    assert {k: list(v) for k, v in got[columns].T.items()} == {k: pytest.approx(v) for k, v in want.items()}


def test_a_favourite_is_what_was_opened_before_the_period(con):
    known = bound("content", [item("n"), item("s", category="sport")])
    events = happened("read", "n", 2, day=1) + happened("read", "s", 9, day=6) + happened("impression", "s", 9, day=6)
    got = con.to_pandas(
        content_readers.segment_reading(
            bound("events", events), known, bound("users", []), period=("2026-01-05", "2026-01-20")
        )
    )
    assert got[["segment", "category", "impressions", "opens"]].values.tolist() == [["news", "sport", 9, 9]]


def test_segments_of_a_column_of_users_count_their_readers_and_the_squares_of_their_events(con):
    known, users = bound("content", [item("n")]), [{"user_id": u, "channel": c} for u, c in zip("uvwx", ["ads", "ads", "", "seo"], strict=True)]  # fmt: skip
    events = happened("impression", "n", 3) + happened("read", "n", 2) + happened("complete", "n", 1)
    events += happened("impression", "n", 2, user="v") + happened("impression", "n", 1, user="w")
    events += happened("read", "n", 4, user="x") + happened(
        "impression", "n", 7, day=25
    )  # never shown; after the period
    how = {"by": "channel", "period": ("2026-01-05", "2026-01-20")}
    got = con.to_pandas(
        content_readers.segment_reading(bound("events", events), known, bound("users", users), **how)
    ).set_index("segment")
    columns = ["category", "users", "impressions", "opens", "completes", "finishers", "nn", "nx", "xx"]
    assert got[columns].T.to_dict("list") == {
        "(none)": ["news", 1, 1, 0, 0, 0, 1, 0, 0], "ads": ["news", 2, 5, 2, 1, 1, 9 + 4, 3, 1]}  # fmt: skip
    with pytest.raises(ValueError, match="by must be 'favourite' or a column of users, got 'city'"):
        content_readers.segment_reading(bound("events", []), known, bound("users", []), by="city")


def test_readers_are_split_by_the_day_and_items_by_their_openers(con):
    known = bound("content", [item("n"), item("s")])
    events = happened("read", "n", day=1) + happened("read", "n", day=6) + happened("read", "s", day=6, user="v")
    events += happened("read", "n", day=6, user="v")
    got = con.to_pandas(content_readers.readings(bound("events", events), known, split="2026-01-04", most_items=2))
    assert got[["user_id", "content_id", "before", "after"]].values.tolist() == [
        ["u", "n", 1, 1], ["v", "n", 0, 1], ["v", "s", 0, 1]]  # fmt: skip


def test_an_age_counts_only_for_items_that_have_lived_it(con):
    known = bound("content", [item("old", 0), item("young", 6)])
    events = happened("read", "old", 2, day=0) + happened("read", "young", 5, day=6) + happened("read", "old", 1, day=8)
    got = con.to_pandas(content_time.content_ages(bound("events", events), known, days=4))
    assert got[["age", "items", "opens"]].values.tolist() == [[0, 1, 2], [1, 1, 0], [2, 1, 0], [3, 1, 0], [4, 1, 0]]


def test_the_ages_of_the_most_opened_items_weigh_each_day_against_the_mean_day(con):
    new = [item("big", 0), item("small", 1), item("least", 1), item("edge", 3), item("young", 4)]
    opens = [("big", 0, 3), ("big", 3, 4), ("big", 4, 9), ("small", 1, 2), ("least", 1, 1), ("least", 4, 9)]
    opens += [("edge", 6, 8), ("young", 6, 20)]
    events = [e for i, day, n in opens for e in happened("read", i, n, day=day)]
    got = con.to_pandas(content_time.item_ages(bound("events", events), bound("content", new), days=3, most=3))
    mean = 56 / 5  # opens of a day with any: 3, 3, 4, 18, 28
    want = [
        ("big", 0, mean),
        ("big", 3, mean),
        ("edge", 3, 8 * mean / 28),
        ("least", 0, mean / 3),
        ("least", 3, mean / 2),
    ]
    assert [tuple(r) for r in got[["content_id", "age", "views"]].itertuples(index=False)] == [
        (i, age, pytest.approx(views)) for i, age, views in want
    ]


def test_an_hour_is_measured_by_its_categories_over_items_seen_for_all_their_days(con):
    new = [item("a", 1), item("b", 1), item("c", 1, published_at=at(1, 13)), item("d", 1, category="sport")]
    new += [item("early", 0), item("young", 4), item("e", 2, category="sport")]
    opens = {"a": 4, "b": 0, "c": 2, "d": 3, "early": 9, "young": 9, "e": 1}
    events = [e for i, n in opens.items() for e in happened("read", i, n, day=4 if i == "young" else 2)]
    events += (
        happened("read", "a", 50, day=3) + happened("read", "a", 50, day=0) + happened("impression", "c", 5, day=1)
    )
    how = {"days": 2, "period": ("2026-01-02", "2026-01-31")}
    got = con.to_pandas(content_time.content_hours(bound("events", events), bound("content", new), **how))
    hours = {(h.day, h.hour): (n, m, v) for h, n, m, v in got.itertuples(index=False)}
    # News means 2 opens an item, sport 2: at noon a, b and d, an hour later c, the next noon e.
    noon = [4 / 2, 0 / 2, 3 / 2]
    assert hours[2, 12] == (3, pytest.approx(np.mean(noon)), pytest.approx(np.var(noon, ddof=1)))
    assert hours[2, 13][:2] == (1, 1.0) and hours[3, 12][:2] == (1, 0.5) and len(hours) == 3
    assert np.isnan(hours[2, 13][2])


def test_hours_of_publishing_are_local_ones():
    rows = pd.DataFrame(
        {"hour": pd.to_datetime(["2026-01-01 01:00", "2026-01-01 23:00"]), "items": 9, "mean": [1.4, 0.6], "var": 0.01}
    )
    got = over_time.hours(rows, "Asia/Shanghai", width=1)
    assert got["hour"].tolist() == ["07:00", "09:00"] and got["lift"].tolist() == pytest.approx([-0.4, 0.4])


# Models


def test_the_spread_of_indices_is_found_again_and_small_items_are_drawn_to_it():
    rng = np.random.default_rng(1)
    true, expected = rng.gamma(8, 1 / 8, 4_000), rng.uniform(1, 60, 4_000)
    hits = rng.poisson(true * expected)
    prior = indices.gamma_prior(hits, expected)
    assert prior.mean == pytest.approx(1, abs=0.03) and prior.shape == pytest.approx(8, rel=0.15)
    got = indices.indices(hits, expected, prior)
    assert ((got["low"] <= true) & (true <= got["high"])).mean() == pytest.approx(0.95, abs=0.015)
    assert ((got["index"] - true) ** 2).mean() < ((got["raw"] - true) ** 2).mean() * 0.6


def test_places_are_compared_on_the_same_items_though_good_items_are_placed_better():
    rng = np.random.default_rng(2)
    appeal = rng.uniform(0.05, 0.4, 80)
    rows = []
    for i, a in enumerate(appeal):
        for spot, look in enumerate((1.0, 0.6, 0.3)):
            n = int(4_000 * (a if spot == 0 else 0.45 - a))  # the top goes to the good ones
            rows.append((i, "algorithm", spot, 0, n, rng.binomial(n, a * look)))
    cells = pd.DataFrame(rows, columns=["content_id", "placement", "position", "age", "impressions", "opens"])
    cells["completes"] = 0
    found = place.worth(cells).of["position"]
    assert (found / found[0]).tolist() == pytest.approx([1, 0.6, 0.3], rel=0.05)
    sums = cells.groupby("position")[["opens", "impressions"]].sum()
    raw = sums["opens"] / sums["impressions"]
    assert raw[1] / raw[0] < 0.5  # what the raw rates would have said


def test_an_item_no_longer_shown_is_not_culled_and_gains_are_those_of_the_exposure_it_takes():
    rows = frame(*crowd(), ("dud", 2_000, 60, 5), ("gone", 2_000, 60, 5), ("gem", 500, 200, 120))
    rows.loc[rows["content_id"] == "gone", "last_week"] = 0
    table = content_lists.judged(rows).set_index("content_id")
    assert table.loc["dud", "decision"] == "cull" and table.loc["gone", "decision"] == KEEP
    assert table.loc["gem", "decision"] == "boost" and table.loc["gem", "gain"] > 0
    dud = table.loc["dud"]
    assert dud["gain"] == pytest.approx(dud["expected"] * (1 - dud["index"]))
    assert dud["gain_low"] < dud["gain"] < dud["gain_high"] and dud["wrong"] < 0.05
    assert table.loc[table["decision"] == KEEP, ["gain", "wrong"]].isna().all().all()


def test_rules_that_contradict_themselves_are_refused():
    for wrong in ({"cull_below": 2.0}, {"sure": 1.0}, {"boost_times": 1.0}):
        with pytest.raises(ValueError, match="lists"):
            content_lists.Rules(**wrong)


def test_the_next_report_tells_what_became_of_the_last_lists():
    rows = frame(*crowd(), ("dud", 2_000, 60, 5), ("gem", 500, 200, 120))
    table = content_lists.judged(rows)
    then = [
        content_lists.listed(table, name, [""] * int((table["decision"] == name).sum())) for name in ("cull", "boost")
    ]
    later = table.assign(week=table["week"].where(table["content_id"] != "dud", 0.0))
    got = content_lists.followed(later, *then).set_index("content_id")["became"]
    assert got.to_dict() == {"dud": "followed", "gem": "not_followed"}
    gone = content_lists.followed(table[table["content_id"] != "dud"], then[0], None)
    assert gone[["week", "became"]].values.tolist() == [[0.0, "followed"]] and gone["index"].isna().all()
    with pytest.raises(TooLittleError):
        content_lists.followed(table, None, None)


def test_items_as_units_make_the_interval_of_a_group_wider_than_its_events_do():
    rows = pd.DataFrame({"g": "x", "hits": [5.0, 60, 100], "of": [100.0, 100, 100]})
    got = content_groups.clustered(rows, by="g", hits="hits", of="of").iloc[0]
    assert got["rate"] == pytest.approx(0.55) and got["high"] - got["low"] > 0.5
    alone = content_groups.clustered(rows.head(1), by="g", hits="hits", of="of").iloc[0]
    assert alone["rate"] == 0.05 and np.isnan(alone["low"])


def test_a_topic_that_only_grows_with_the_audience_does_not_rise():
    base = {"category": "c", "published": 0, "impressions": 0, "completes": 0, "weekend": 0}
    opens = {
        ("calm", 1): 400,
        ("calm", 0): 800,
        ("rising", 1): 20,
        ("rising", 0): 200,
        ("big", 1): 4_000,
        ("big", 0): 8_000,
    }
    rows = pd.DataFrame([base | {"topic": t, "week": w, "opens": n} for (t, w), n in opens.items()])
    got = over_time.rising(rows).set_index("topic")
    assert got.index[0] == "rising" and got.loc["rising", "low"] > 1
    assert got.loc["calm", "low"] < 0 < got.loc["calm", "high"]


# Items that carry their own counts


def posts(*rows: dict) -> ibis.Table:
    known = [item(f"p{i}", i % 20, **{k: str(v) for k, v in row.items()}) for i, row in enumerate(rows)]
    return bound("content", known)


def test_posts_with_reach_are_listed_without_any_event(con):
    rng = np.random.default_rng(3)
    usual = [{"reach": 5_000, "likes": int(rng.poisson(50)), "shares": 3, "comments": 1} for _ in range(40)]
    odd = [
        {"reach": 5_000, "likes": 4, "shares": 0, "comments": 0},
        {"reach": 5_000, "likes": 400, "shares": 9, "comments": 9},
    ]
    got = con.to_pandas(
        content.content_numbers(posts(*usual, *odd, {"reach": "n/a", "likes": 9, "shares": 0, "comments": 0}))
    )
    table = content_lists.judged(content_lists.clean(content_lists.posts(got))).set_index("content_id")
    assert table.loc["p40", "decision"] == "cull" and table.loc["p41", "decision"] == "boost"
    assert "p42" not in table.index  # nobody knows how often it was shown
    assert (table.loc["p0":"p39", "decision"] == KEEP).all()


def test_posts_without_reach_are_compared_and_on_no_list(con):
    rows = [{"likes": 50 + i, "comments": 2} for i in range(20)] + [{"likes": 4_000, "comments": 90}]
    got = con.to_pandas(content.content_numbers(posts(*rows)))
    table = content_lists.judged(content_lists.clean(content_lists.posts(got)))
    assert (table["decision"] == KEEP).all() and table.loc[table["index"].idxmax(), "content_id"] == "p20"
    first = content_lists.leading(table, 3)
    assert first["content_id"].iloc[0] == "p20" and first["impressions"].isna().all(), "nobody told how often"
    likes = content_groups.chain(table, "category").set_index("event").loc["like", "rate"]
    assert likes == pytest.approx(table["likes"].mean()), "per item"
    rules = content_lists.Rules()
    with text.speaking("en"):
        assert "no impressions and no reach" in statements.cull(table, "reactions", rules)[0].text
        assert statements.boost(table, "reactions", rules) == [] and "neither" in statements.headline(
            table, "reactions"
        )
        shared = table.assign(shares=range(len(table)))
        both = pd.concat([shared, shared.assign(category="d", shares=90)])
        said = rates.rates(content_groups.chain(both, "category"), "category", rates.rate_format(table))
    assert said and "%" not in said[0].text and said[0].format == "decimal"


def test_posts_tell_the_hour_of_publishing_and_supply_against_demand(con):
    def post(at: str, category: str, likes: int, reach: int = 1_000) -> dict:
        return {"published_at": at, "category": category, "likes": str(likes), "reach": str(reach)}

    early = [
        post(f"2026-01-{d:02d} 22:30:00", c, n) for d in range(1, 11) for c, n in (("a", 30 + d), ("b", 3 + d % 2))
    ]
    late = [post(f"2026-01-{d:02d} 13:10:00", "a", 10 + d % 3) for d in range(1, 11)]
    rows = [item(f"p{i}") | row | {"title": f"p{i}"} for i, row in enumerate([*early, *late])]
    got = con.to_pandas(content.content_numbers(bound("content", rows)))
    table = content_lists.judged(content_lists.clean(content_lists.posts(got)))
    # By hand: 06:30 and 21:10 in Shanghai; expected are the category's likes for each impression.
    likes = {(r["published_at"][11:13], r["category"]): [] for r in rows}
    for r in rows:
        likes[r["published_at"][11:13], r["category"]].append(int(r["likes"]))
    usual = (sum(likes["22", "a"]) + sum(likes["13", "a"])) / 20
    found = over_time.post_hours(table, "Asia/Shanghai").set_index("hour")
    assert found.index.tolist() == ["06:00", "21:00"] and found["items"].tolist() == [20, 10]
    assert found.loc["21:00", "lift"] == pytest.approx(sum(likes["13", "a"]) / (10 * usual) - 1)
    every = sum(likes["22", "a"]) + sum(likes["22", "b"])
    assert found.loc["06:00", "lift"] == pytest.approx(every / (10 * usual + sum(likes["22", "b"])) - 1)
    assert (found["low"] < found["lift"]).all() and (found["lift"] < found["high"]).all()
    supply = content_groups.supply(
        content_groups.of_posts(table, "category"), table.assign(opens=table["hits"]), "category"
    )
    total = sum(map(sum, likes.values()))
    want = supply.set_index("category").loc["b", ["published", "impressions", "supply", "demand"]].tolist()
    assert want == pytest.approx([10, 10_000, 1 / 3, sum(likes["22", "b"]) / total])
    with text.speaking("en"):
        words = more.supply(supply, "reactions")
        assert [w.id for w in words] == ["content.supply.more", "content.supply.less"] and "reactions" in words[0].text
        assert "first days" not in timing.hours(found.reset_index(), "reactions").text


def test_the_share_of_a_group_moves_with_the_others_too_and_its_interval_holds():
    """Video has nine tenths of the responses, by many alike items; what is left depends on a few of the photos."""
    inside = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        video, photo = rng.gamma(4, 90 / 4, 150), rng.gamma(0.3, 10 / 0.3, 150)
        items = pd.DataFrame({"category": ["video"] * 150 + ["photo"] * 150, "opens": np.r_[video, photo]})
        counts = items.groupby("category", as_index=False)["opens"].sum().assign(published=150, impressions=np.nan)
        got = content_groups.supply(counts, items, "category").set_index("category").loc["video"]
        inside += got["low"] <= 0.9 / 0.5 <= got["high"]
    assert 0.9 <= inside / 200 <= 0.99


def test_a_share_that_is_little_is_not_nothing():
    table = pd.DataFrame({"category": ["link"], "supply": [0.005], "demand": [0.0002], "demand_ratio": [0.04]})
    with text.speaking("en"):
        told = more.supply(table.assign(low=0.01, high=0.09, opens=137), "reactions")[0].text
        assert "<0.1% of all reactions" in told and "0.5% of what is published" in told
    assert text.write(0.0, "share") == "0.0%" and columns.format_of("demand") == "share"


def test_posts_without_reach_are_a_trouble_and_have_no_share_of_impressions(con):
    got = con.to_pandas(content.content_numbers(posts(*[{"likes": 5 + i} for i in range(12)])))
    every = content_lists.posts(got)
    told = content_lists.troubles(pd.DataFrame(columns=["issue", "n", "of", "example"]), every)
    assert told[["trouble", "n", "of", "example"]].values.tolist() == [["no_exposure", 12, 12, "p0"]]
    counts = content_groups.of_posts(content_lists.judged(content_lists.clean(every)), "category")
    assert counts["impressions"].isna().all()
    with text.speaking("en"):
        assert "not judged by exposure" in tracking.troubles(told, NONE_ASIDE)[0].text


def test_what_became_of_a_trouble_is_said_as_it_is():
    rows = [
        {"trouble": name, "n": 2, "of": 8, "example": "c1"} for name in ("no_position", "negative_dwell", "more_opens")
    ]
    with text.speaking("en"):
        said = [finding.text for finding in tracking.troubles(pd.DataFrame(rows), NONE_ASIDE)]
    assert "a place of their own" in said[0] and "the opens count" in said[1] and "in no rate" in said[2]


@pytest.mark.parametrize(
    ("lang", "words"), [("zh", "2 行事件因停留时长"), ("en", "2 events aside for their dwell time")]
)
def test_dwell_times_below_zero_that_loading_put_aside_are_told_on_the_content_page(tmp_path, lang, words):
    rows = [event(f"e{i}", name="read", content_id="c1", duration_s=s) for i, s in enumerate((3.5, -1.0, -7.5))]
    load("events", write(tmp_path / "events.csv", rows), tmp_path / "w", now=NOW)
    with text.speaking(lang):
        told = tracking.troubles(pd.DataFrame(columns=["trouble"]), ledger.quarantine(connect(tmp_path / "w")))
    assert [(f.id, f.level, f.value) for f in told] == [("content.tracking.dwell", "watch", 2)]
    assert words in told[0].text and "events.csv" in told[0].text and "duration_s" in told[0].text


def test_the_gains_of_the_two_lists_add_up_to_the_headline(con):
    table = pd.DataFrame({"decision": ["cull", "boost"], "gain": [142.6, 132.6], "content_id": ["a", "b"]})
    with text.speaking("en"):
        assert "about 276 more" in statements.headline(table, "completes")


def test_the_algorithm_is_told_first_and_no_author_stands_out_is_said_in_words():
    lift = pd.DataFrame({"placement": ["search", "algorithm"], "lift": [0.5, -0.1], "low": [0.4, -0.2], "high": [0.6, -0.05]})  # fmt: skip
    crude = pd.Series({"search": 0.1, "algorithm": 0.12, "editorial": 0.1})
    one = pd.DataFrame({"low": [0.9], "high": [1.2], "index": [1.1], "items": [8], "impressions": [900], "trend_high": [0.4]})  # fmt: skip
    with text.speaking("en"):
        first = more.placements(lift, crude, "editorial")[0].text
        assert "“Algorithm” is opened 10.0% less often" in first and "20.0% more, the opposite" in first
        assert "none is surely above or below average" in more.authors(one)[0].text


def test_weighted_interactions_of_posts_are_counted_against_their_reach(con):
    got = con.to_pandas(
        content.content_numbers(posts({"reach": 100, "likes": 4, "shares": 2}, {"reach": 300, "likes": 6, "shares": 0}))
    )
    items = content_lists.clean(content_lists.posts(got))
    assert content_groups.weighted(items, {"like": 1, "share": 3})["rate"].tolist() == [pytest.approx(16 / 400)]


def test_posts_are_those_of_the_period_with_numbers_where_text_is_a_number(con):
    rows = [{"reach": "50", "likes": "3.5"}, {"reach": "none", "likes": "-1"}, {"reach": "8", "likes": ""}]
    got = con.to_pandas(content.content_numbers(posts(*rows), period=("2026-01-02", "2026-01-03")))
    assert got["content_id"].tolist() == ["p1", "p2"] and got["likes"].isna().all() and got["opens"].isna().all()
    assert got["impressions"].fillna(-1).tolist() == [-1, 8]


def test_posts_without_titles_go_by_their_ids_and_columns_that_tell_nothing_stay_away(con):
    rows = [{"likes": 50 + i, "comments": 2, "title": ""} for i in range(12)]
    got = con.to_pandas(content.content_numbers(posts(*rows))).assign(title=None)
    table = content_lists.judged(content_lists.clean(content_lists.posts(got)))
    drawn = beside.picture(table, lambda frame, **how: frame["title"].tolist())
    assert drawn == table["content_id"].head(8).tolist() and beside.picture(table.iloc[:0], None) is None
    told = beside.telling(content_lists.leading(table), "title", "impressions", "index", "content_id")
    assert list(told) == ["content_id", "index"], "no titles, and nobody told impressions"
    titled = beside.telling(content_lists.leading(table.assign(title="t")), "title", "index", "content_id")
    assert list(titled) == ["title", "index", "content_id"]
    with text.speaking("en"):
        assert "Nobody told impressions" in beside.leading_note(table)
        assert "vary" in beside.leading_note(table) and beside.lists_note(content_lists.Rules(), table) == ""
        assert "bought reach" not in beside.lists_note(content_lists.Rules(), table.drop(columns="exposed"))
        known = table.assign(exposed=True)
        assert [beside.leading_title(t) for t in (table, known)] == ["Who leads", "Who leads beside the list"]
        assert "bought reach" in beside.lists_note(content_lists.Rules(), known)
        assert "bought reach" not in beside.lists_note(content_lists.Rules(), known, again=True), "said once"


def test_rates_of_posts_are_called_what_they_are_and_small_ones_have_the_digits_they_need(con):
    many = [{"reach": 10_000, "likes": 40 + i, "shares": 9 + i} for i in range(12)]
    items = content_lists.clean(content_lists.posts(con.to_pandas(content.content_numbers(posts(*many)))))
    table = content_groups.chain(items, "category")
    assert rates.rate_format(items, table) == "fine" and text.write(0.0024, "fine") == "0.24%"
    assert rates.rate_format(items, table.assign(rate=0.2)) == "percent"
    bare = [{"likes": 40 + i, "shares": 9} for i in range(12)]
    alone = content_lists.clean(content_lists.posts(con.to_pandas(content.content_numbers(posts(*bare)))))
    with text.speaking("en"):
        assert rates.rates_title(items, table) == "Reactions of impressions"
        assert rates.rates_title(alone, table) == "Mean number per item" and rates.rate_words("decimal")
        assert rates.rates_title(items, table.assign(event="read")).startswith("Open rate")
        assert [len(part) for part in rates.parts(table)] == [2, 0] and set(table["event"]) == {"like", "share"}
        opened = pd.concat([table, table.iloc[:1].assign(event="read")])
        assert [part["event"].tolist() for part in rates.parts(opened)] == [["read"], ["share"]]
        assert "no events to check" in tracking.troubles(pd.DataFrame(columns=["trouble"]), NONE_ASIDE, by_post=True)[0].text  # fmt: skip
        with pytest.raises(TooLittleError, match="no source is given for any of 12 items"):
            content_groups.chain(items.assign(source="(none)"), "source")


def test_a_list_is_told_with_the_interval_of_what_it_brings():
    rng = np.random.default_rng(5)
    items = frame(*crowd(), *[(f"dud{k}", 2_000, 300, int(rng.poisson(8))) for k in range(6)])
    table = content_lists.judged(items)
    whole = statements.cull(table, "completes", content_lists.Rules())[0]
    true = 6 * (items["completes"].mean() - 8)  # more a week, if average items had the places of the six duds
    assert whole.low < whole.value < whole.high and whole.low < true < whole.high


def places_seen(seed: int, items: int = 60) -> pd.DataFrame:
    """Impressions and opens in five positions, each half as good as the one before the last; items differ widely."""
    rng = np.random.default_rng(seed)
    factor = np.array([1.0, 0.8, 0.6, 0.5, 0.4])
    seen, appeal = rng.poisson(300, (items, 5)) + 200 * (np.arange(5) == 0), rng.gamma(4, 0.02, items)
    own = rng.gamma(50, 1 / 50, (items, 5))  # an item does a bit better here and worse there
    hits = np.minimum(rng.poisson(seen * factor * own * appeal[:, None]), seen)
    cell = pd.MultiIndex.from_product([[f"i{k}" for k in range(items)], range(5)], names=["content_id", "position"])
    table = pd.DataFrame({"impressions": seen.ravel(), "opens": hits.ravel()}, index=cell).reset_index()
    return table.assign(placement="algorithm", age=0, completes=0)


def test_what_a_position_is_worth_lies_in_its_interval_and_the_most_shown_one_has_none():
    true, inside = {1: 0.8, 2: 0.6, 3: 0.5, 4: 0.4}, 0
    for seed in range(25):
        table = place.positions(places_seen(seed)).set_index("position")
        assert table.loc[0, "place_factor"] == 1 and table.loc[0, ["low", "high"]].isna().all()
        inside += sum(table.loc[k, "low"] <= v <= table.loc[k, "high"] for k, v in true.items())
    assert 0.9 <= inside / 100 <= 1.0
    few = place.positions(places_seen(1, items=6))
    assert few["place_factor"].notna().all() and few["low"].isna().all(), "six items have no interval"
    with pytest.raises(TooLittleError):
        place.positions(places_seen(1).query("position == 0"))


REAL = os.environ.get("OPSLIB_REAL_DATA", "")


@pytest.mark.skipif(not REAL, reason="OPSLIB_REAL_DATA names no folder")
@pytest.mark.parametrize("name", ["facebook_metrics_cosmetics.csv", "facebook_live_sellers_thailand.csv"])
def test_real_posts_are_judged(con, name):
    path = Path(REAL) / name
    if not path.exists():
        pytest.skip(f"{name} is not in the folder")
    if "cosmetics" in name:
        raw = pd.read_csv(path, sep=";")
        names = {
            "Lifetime Post Total Reach": "reach",
            "like": "likes",
            "share": "shares",
            "comment": "comments",
            "Type": "category",
        }
    else:
        raw = pd.read_csv(path)
        names = {
            "num_reactions": "likes",
            "num_comments": "comments",
            "num_shares": "shares",
            "status_type": "category",
        }
    raw = raw.rename(columns=names)[list(names.values())].fillna(0)
    rows = [item(f"p{i}", **{k: str(v) for k, v in row.items()}) for i, row in enumerate(raw.to_dict("records"))]
    got = content_lists.posts(con.to_pandas(content.content_numbers(bound("content", rows))))
    table = content_lists.judged(content_lists.clean(got))
    assert len(table) >= 0.99 * len(raw) and table["index"].between(0, np.inf).all()
    assert content_groups.weighted(table, {"like": 1, "share": 3})["rate"].gt(0).all()
    if "cosmetics" in name:
        decided = set(table["decision"])
        assert decided == {"cull", "boost", KEEP}
    else:
        assert set(table["decision"]) == {KEEP}


def test_a_source_that_alone_makes_its_categories_is_no_standard_of_its_own():
    rng, names = np.random.default_rng(2), [f"c{i}" for i in range(40)]
    of = {name: ("news", "PGC") if i % 2 else ("sport", "UGC") for i, name in enumerate(names)}
    kinds = {"category": [c for c, _ in of.values()], "source": [s for _, s in of.values()]}
    items = pd.DataFrame({"content_id": names, "originality": rng.random(40)} | kinds)
    cells = pd.DataFrame([{"content_id": name, "age": age, "opens": 50, "completes": int(rng.binomial(50, 0.4))}
                          for name in names for age in (0, 7)])  # fmt: skip
    found = content_groups.standards(cells, items)
    assert list(found["standard"]) == ["age_week", "originality"]
    assert np.isfinite(found[["change", "low", "high"]].to_numpy()).all() and (found["low"] < found["high"]).all()
    mixed = content_groups.standards(cells, items.assign(source=["PGC", "UGC", "UGC", "PGC"] * 10))
    assert list(mixed["standard"]) == ["pgc", "age_week", "originality"]


# The truths planted in the sample


@pytest.fixture(scope="module")
def planted(sampled):
    return found_in(sampled.folder)


def found_in(folder: Path) -> tuple:
    """Connection, events, content, period, cells and clean items of a sample."""
    con = ibis.duckdb.connect()

    def read(name: str, clock: str, day: str) -> ibis.Table:
        rows = con.read_parquet(str(folder / f"{name}.parquet"), table_name=name)
        return rows.mutate(**{day: (rows[clock] + ibis.interval(hours=8)).date()})

    events, known = read("events", "ts", "day"), read("content", "published_at", "published_day")
    last = dt.date.fromisoformat(str(con.to_pandas(events.agg(last=events.day.max()))["last"][0])[:10])
    period = (str(last - dt.timedelta(days=55)), str(last))
    cells = con.to_pandas(content.content_cells(events, known, period=period))
    worth = place.worth(cells)
    how = {"placements": worth["placement"], "positions": worth["position"], "ages": worth["age"]}
    recent = str(last - dt.timedelta(days=6))
    items = con.to_pandas(content.content_items(events, known, period=period, recent=recent, **how))
    return con, events, known, period, cells, content_lists.clean(items)


def test_duds_are_culled_and_gems_boosted(planted, sampled):
    table, told = content_lists.judged(planted[5]), sampled.truths["content"]
    for decision, truth in (("cull", set(told["duds"])), ("boost", set(told["gems"]))):
        listed = set(content_lists.chosen(table, decision)["content_id"])
        assert len(listed & truth) >= 0.9 * len(listed), f"{decision}: precision"
        assert len(listed & truth) >= 0.8 * len(truth), f"{decision}: recall"


def test_the_lists_and_the_lift_hold_for_other_samples_than_the_one_they_were_made_on(tmp_path):
    listed, right, true = (dict.fromkeys(("cull", "boost"), 0) for _ in range(3))
    for seed in (11, 12, 13):
        told = sample.make(tmp_path / str(seed), seed=seed, users=12_000)["content"]
        *_, cells, items = found_in(tmp_path / str(seed))
        table = content_lists.judged(items)
        for decision, truth in (("cull", set(told["duds"])), ("boost", set(told["gems"]))):
            own = set(content_lists.chosen(table, decision)["content_id"])
            listed[decision], right[decision] = listed[decision] + len(own), right[decision] + len(own & truth)
            true[decision] += len(truth)
        lift = place.lifts(cells, "editorial")[0].set_index("placement").loc["algorithm"]
        assert lift["low"] < told["algorithm_lift"] - 1 < lift["high"], f"seed {seed}"
    for decision in listed:
        assert right[decision] >= 0.9 * listed[decision], f"{decision}: precision"
        assert right[decision] >= 0.8 * true[decision], f"{decision}: recall"


def test_the_algorithms_lift_lies_in_its_interval_though_raw_rates_say_otherwise(planted, sampled):
    found, crude = place.lifts(planted[4], "editorial")
    lift, told = found.set_index("placement").loc["algorithm"], sampled.truths["content"]["algorithm_lift"] - 1
    assert lift["low"] < told < lift["high"] and lift["low"] > 0.2
    assert crude["algorithm"] < crude["editorial"]


def test_positions_are_worth_what_was_planted(planted, sampled):
    cells, told = planted[4], sampled.truths["content"]["examination"]
    dims = ("placement", "position", "age")
    found = place.factors(cells, item="content_id", dims=dims, hits="opens", of="impressions").of["position"]
    assert found.reindex(range(6)).tolist() == pytest.approx(told[:6], rel=0.08)


def test_pgc_is_finished_more_often_by_what_was_planted(planted, sampled):
    _, _, _, _, cells, items = planted
    row = content_groups.standards(cells, items).set_index("standard").loc["pgc"]
    assert row["low"] < sampled.truths["content"]["pgc_finish_ratio"] - 1 < row["high"] and row["low"] > 0


def test_the_rising_topic_leads_and_the_mismatch_is_found(planted, sampled):
    con, events, known, period, *_ = planted
    told = sampled.truths["content"]
    weeks = con.to_pandas(content_time.topic_weeks(events, known))
    assert over_time.rising(weeks).iloc[0]["topic"] == told["rising_topic"]["topic"]
    users = con.read_parquet(str(sampled.folder / "users.parquet"), table_name="users")
    gaps = readers.mismatch(con.to_pandas(content_readers.segment_reading(events, known, users, period=period)))
    goods = gaps[gaps["segment"] == "好物"].sort_values("gap")["category"].tolist()  # bargain hunters read about goods
    assert (goods[0], goods[-1]) == (told["mismatch"]["shown_too_much"], told["mismatch"]["shown_too_little"])


def test_news_fade_first_and_at_the_planted_speed(planted, sampled):
    con, events, known, *_ = planted
    found = over_time.fading(con.to_pandas(content_time.content_ages(events, known))).set_index("category")["half_life"]
    told = pd.Series(sampled.truths["content"]["half_life_days"])
    assert found.index[0] == told.idxmin() and (found / told.reindex(found.index) - 1).abs().max() < 0.25


def test_similar_items_beat_popularity_on_later_reading(planted):
    con, events, known, period, *_ = planted
    split = str(dt.date.fromisoformat(period[1]) - dt.timedelta(days=13))
    got = readers.candidates(con.to_pandas(content_readers.readings(events, known, period=period, split=split)))
    quality = got.quality.set_index("recommender")
    assert quality.loc[got.best, "low"] > quality.loc["popularity", "ndcg"]
    assert set(got.candidates["segment"]) <= set(sampled_categories(con, known))


def sampled_categories(con, known) -> list[str]:
    return con.to_pandas(known.select("category").distinct())["category"].tolist()


def test_authors_alike_are_not_all_surely_above_average_and_one_far_above_is():
    rng = np.random.default_rng(5)
    true = np.repeat([1.04] * 29 + [2.5], 8)
    expected = rng.uniform(5, 30, len(true))
    hits = rng.poisson(true * expected)
    table = pd.DataFrame({
        "content_id": [f"i{k}" for k in range(len(true))], "author_id": np.repeat([f"a{k:02d}" for k in range(30)], 8),
        "published_day": "2026-03-01", "impressions": 1000, "hits": hits, "expected": expected, "index": hits / expected,
    })  # fmt: skip
    found = content_groups.authors(table).set_index("author_id")
    assert found.low["a29"] > 1.8
    assert (found.drop("a29").low > 1).sum() <= 3, "as many as chance allows of 29, not all of them"


def test_a_group_of_one_item_leaves_the_share_of_the_others_unsure():
    """Nothing tells how much the opens of a single item vary: its neighbour's share is not surer for that."""

    def of(sizes: dict[str, list[float]]) -> pd.DataFrame:
        items = pd.DataFrame([(by, n) for by, all_ in sizes.items() for n in all_], columns=["category", "opens"])
        counts = items.groupby("category").agg(published=("opens", "size"), opens=("opens", "sum")).reset_index()
        return content_groups.supply(counts.assign(impressions=100.0), items, "category").set_index("category")

    alone = of({"a": [100.0], "b": [4.0, 5.0, 6.0]})
    assert np.isnan(alone.low["a"]) and alone.high["b"] / alone.low["b"] > 10
    steady = of({"a": [50.0, 50.0], "b": [4.0, 5.0, 6.0]})
    assert steady.high["b"] / steady.low["b"] < 1.6
