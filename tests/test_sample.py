"""The sample product: deterministic, within the contract, believable."""

from __future__ import annotations

import datetime as dt
import json
import math
from itertools import pairwise

import pandas as pd
import pyarrow.parquet as pq
import pytest
from sampled import HOURS, day

from opslib import contract, sample
from opslib.errors import UsageError
from opslib.sample import files

# ── the same arguments, the same rows ───────────────────────────────────────


def tables_of(folder) -> dict[str, object]:
    return {path.name: pq.read_table(path) for path in sorted(folder.glob("*.parquet"))}


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(tmp_path):
    made = [sample.make(tmp_path / name, users=2_000, seed=seed) for name, seed in (("a", 3), ("b", 3), ("c", 4))]
    a, b, c = (tables_of(tmp_path / name) for name in "abc")
    assert a.keys() == b.keys() and all(a[name].equals(b[name]) for name in a)
    assert made[0] == made[1] != made[2]
    assert not a["events.parquet"].equals(c["events.parquet"])


def test_many_chunks_keep_keys_unique_and_memory_small(tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "CHUNK", 700)
    shares: list[float] = []
    truths = sample.make(tmp_path, users=2_000, progress=lambda what, share: shares.append(share))
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1 and len(shares) > 4
    events = pq.ParquetFile(tmp_path / "events.parquet")
    assert events.num_row_groups == math.ceil(truths["visitors"] / 700)
    rows = events.read().to_pandas()
    assert rows.event_id.nunique() == len(rows) - truths["quality"]["duplicate_events"]
    assert len(pd.read_parquet(tmp_path / "users.parquet").user_id.unique()) == 2_000
    for name in ("orders", "touches", "feedback"):
        frame = pd.read_parquet(tmp_path / f"{name}.parquet")
        assert not frame.duplicated(list(contract.table(name).key)).any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"users": 10}, "between 2,000 and"),
        ({"weeks": 12}, "between 26 and 104"),
        ({"end": "2026-06-27"}, "a Saturday"),
        ({"end": "June"}, "like 2026-06-28"),
    ],
)
def test_a_sample_that_cannot_be_is_refused_before_anything_is_written(tmp_path, arguments, words):
    with pytest.raises(UsageError, match=words):
        sample.make(tmp_path / "none", **arguments)
    assert not (tmp_path / "none").exists()


def test_a_failure_leaves_no_file_behind(tmp_path, monkeypatch):
    def fails(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sample.small, "write", fails)
    with pytest.raises(KeyboardInterrupt):
        sample.make(tmp_path, users=2_000)
    assert list(tmp_path.iterdir()) == []


def test_other_ends_and_lengths_carry_the_same_stories(tmp_path):
    truths = sample.make(tmp_path, users=2_000, weeks=30, end="2027-01-03", seed=1)
    assert truths["start"] == "2026-06-08" and truths["d1_drop"]["after"]["start"] == "2026-12-07"
    events = pd.read_parquet(tmp_path / "events.parquet", columns=["ts"])
    local = (events.ts + HOURS).dt.date
    assert local.min() == dt.date(2026, 6, 8) and local.max() == dt.date(2027, 1, 3)


# ── the contract ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", contract.LOADABLE)
def test_every_table_is_filled_and_keeps_the_contract(sampled, name):
    spec, raw = contract.table(name), pq.read_table(sampled.folder / f"{name}.parquet")
    assert raw.num_rows == sampled.truths["rows"][name] > 0
    assert set(spec.names) <= set(raw.column_names)
    for column in spec.columns:
        assert raw.schema.field(column.name).type == files.ARROW[column.type], column.name
    frame = raw.to_pandas()
    for column in spec.columns:
        values = frame[column.name].dropna()
        if column.required:
            assert len(values) == len(frame), column.name
        if column.low is not None:
            assert (values >= column.low).all(), column.name
        if column.high is not None:
            assert (values <= column.high).all(), column.name
        if column.choices:
            assert set(values.unique()) <= set(column.choices), column.name
        if column.at_most:
            assert (values <= frame.loc[values.index, column.at_most]).all(), column.name
        if column.after:
            assert (values > frame.loc[values.index, column.after]).all(), column.name
        if column.type == "json":
            assert all(isinstance(json.loads(text), dict) for text in values.unique())
    again = frame.duplicated(list(spec.key))
    assert again.sum() == (sampled.truths["quality"]["duplicate_events"] if name == "events" else 0)


def test_rows_sent_twice_are_the_same_row_and_late_rows_say_when_they_arrived(sampled):
    rows = pd.read_parquet(sampled.folder / "events.parquet")
    twice = rows[rows.duplicated("event_id", keep=False)]
    assert len(twice.drop_duplicates()) == sampled.truths["quality"]["duplicate_events"] == len(twice) / 2
    assert 0.0005 < sampled.truths["quality"]["duplicate_events"] / len(rows) < 0.002
    late = rows[rows.props.str.contains("received_at")].drop_duplicates("event_id")
    assert len(late) == sampled.truths["quality"]["late_events"]
    received = late.props.str.extract('"received_at":"([^"]+)Z"')[0].astype("datetime64[us]")
    assert (received - late.ts).between(pd.Timedelta(hours=12), pd.Timedelta(days=3)).all()


def test_the_standard_events_that_modules_default_to_are_all_there(sampled):
    there = set(sampled.table("events").event.unique())
    assert there >= set(contract.EVENTS) - {"page_view"}


def test_events_lie_inside_the_days_and_nobody_acts_before_arriving(sampled):
    events, users = sampled.table("events"), sampled.table("users")
    assert events.day.min() == day(sampled.truths["start"]) and events.day.max() == day(sampled.truths["end"])
    first = events.groupby("user_id").ts.min()
    opened = sampled.did("app_open").groupby("user_id").ts.min()
    assert (opened.reindex(first.index) == first).all()
    registered = users.set_index("user_id").registered_at
    assert (
        sampled.did("register").set_index("user_id").ts == registered.reindex(sampled.did("register").user_id)
    ).all()
    assert len(sampled.did("register")) == len(users) == sampled.truths["users"]


def test_the_onboarding_steps_come_in_order_each_once(sampled):
    steps = [sampled.did(name).set_index("user_id").ts for name in ("register", "verify_phone", "activate")]
    for before, after in pairwise(steps):
        assert after.index.is_unique and (after > before.reindex(after.index)).all()


def test_what_is_opened_was_shown_and_what_is_finished_was_opened(sampled):
    key = ["user_id", "content_id", "placement", "position"]
    seen = {name: set(sampled.did(name)[key].itertuples(index=False)) for name in ("read", "complete", "like")}
    assert seen["complete"] <= seen["read"] and seen["like"] <= seen["read"]
    assert (
        len(sampled.did("impression"))
        > len(sampled.did("click"))
        > len(sampled.did("read"))
        > len(sampled.did("complete"))
    )
    assert sampled.did("read").duration_s.between(1, 900).all()


def test_nothing_is_shown_before_it_is_published(sampled):
    published = sampled.table("content").set_index("content_id").published_at
    assert (
        sampled.did("impression").ts.to_numpy() > published.reindex(sampled.did("impression").content_id).to_numpy()
    ).all()


def test_orders_are_the_pay_events(sampled):
    orders = sampled.table("orders").sort_values(["user_id", "paid_at"]).reset_index()
    paid = sampled.did("pay").sort_values(["user_id", "ts"]).reset_index()
    assert (orders.user_id == paid.user_id).all() and (orders.paid_at == paid.ts).all()
    assert (orders.amount == paid.amount).all()
    assert set(sampled.table("orders").user_id) <= set(sampled.did("activate").user_id)


def test_ids_point_to_rows_that_exist(sampled):
    users, events = set(sampled.table("users").user_id), sampled.table("events")
    assert set(sampled.table("users").inviter_id.dropna()) <= users
    assert set(events.content_id.dropna().unique()) <= set(sampled.table("content").content_id)
    assert set(events.campaign_id.dropna().unique()) <= set(sampled.table("campaigns").campaign_id)
    assert set(sampled.table("exposures").user_id) <= users
    assert set(sampled.table("exposures").experiment_id) == set(sampled.table("experiments").experiment_id)
    assert set(sampled.table("touches").user_id) <= set(events.user_id)


def test_the_trackers_own_totals_agree_with_the_events(sampled):
    stats, events = sampled.table("daily_stats"), sampled.table("events")
    active = stats[(stats.metric == "active_users")].set_index("day").value
    counted = events.groupby("day").user_id.nunique()
    assert (counted / active.to_numpy()).between(0.99, 1.01).all()


# ── a believable product ────────────────────────────────────────────────────


def test_headline_numbers_are_those_of_a_content_app(sampled):
    last = day(sampled.truths["end"])
    for n, low, high in ((1, 0.38, 0.45), (7, 0.18, 0.23), (30, 0.09, 0.12)):
        assert low < sampled.firsts.loc[sampled.firsts["first"] <= last - pd.Timedelta(days=n), f"d{n}"].mean() < high
    recent = sampled.table("events")[["user_id", "day"]].drop_duplicates()
    recent = recent[recent.day > last - pd.Timedelta(days=28)]
    assert 0.17 < len(recent) / 28 / recent.user_id.nunique() < 0.25
    assert 0.04 < sampled.table("orders").user_id.nunique() / len(sampled.table("users")) < 0.06
    assert 1.5e6 < len(sampled.table("events")) < 2.2e6


def test_evenings_are_the_peak_and_the_night_is_quiet(sampled):
    hours = (sampled.did("app_open").ts + HOURS).dt.hour.value_counts(normalize=True).sort_index()
    assert hours.loc[20:22].sum() > 0.2 > 0.02 > hours.loc[1:5].sum()
