"""Loading: all or nothing, the same once or twice, one row a key, and every row accounted for."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loading import NOW, aside, daily, event, keys, rolled_up, stored, user, write

import opslib
from opslib import contract, warehouse
from opslib.errors import ContractError, LockedError, UsageError

pytestmark = pytest.mark.usefixtures("quick_disk")
FORMATS = (".csv", ".jsonl", ".parquet")


def load(
    root: Path, rows: list[dict] | Path, table: str = "events", name: str = "rows.jsonl", **more
) -> opslib.LoadReport:
    path = rows if isinstance(rows, Path) else write(root.parent / name, rows)
    return opslib.load(table, path, root, now=NOW, **more)


def counts(report: opslib.LoadReport) -> tuple[int, int, int, int]:
    return report.read, report.new, report.already_there, report.quarantined


def ids(root: Path, table: str = "events", id: str = "event_id") -> list[str]:
    return sorted(row[id] for row in stored(root, table))


@pytest.fixture
def root(tmp_path):
    return tmp_path / "warehouse"


# Once, twice, overlapping


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_row_is_the_same_in_every_format(root, suffix):
    row = event(
        amount=12.5, position=3, channel="搜索", props='{"plan": "pro", "版本": 2}', app="1.0", note='a, "b"\nc'
    )
    load(root, [row], name=f"rows{suffix}")
    found = stored(root, "events")[0]
    assert {name: found[name] for name in row} == row | {"ts": dt.datetime(2026, 1, 5, 10)}
    assert found["day"] == dt.date(2026, 1, 5) and found["session_id"] is None


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_loaded_twice_leaves_one_row_a_key_and_one_quarantine(root, suffix):
    rows = [event("e1"), event("e2", amount=1.5), event("e3", user=None), event("e1"), event("e2", amount=2.5)]
    first = load(root, rows, name=f"rows{suffix}")
    again = load(root, rows, name=f"rows{suffix}")
    assert counts(first) == (5, 2, 1, 2) and counts(again) == (5, 0, 3, 2)
    assert ids(root) == ["e1", "e2"] and len(aside(root, "events")) == 2
    assert daily(root) == rolled_up(stored(root, "events"))


def test_the_same_rows_in_another_format_are_already_there(root):
    rows = [event("e1", amount=0.1, position=2, channel="", props='{"a": 1}'), event("e2", duration_s=1e-9)]
    for suffix in FORMATS:
        load(root, rows, name=f"rows{suffix}")
    assert ids(root) == ["e1", "e2"] and not aside(root, "events")


def test_files_that_overlap_leave_one_row_a_key(root, tmp_path):
    one = write(tmp_path / "monday.csv", [event("e1"), event("e2")])
    two = write(tmp_path / "tuesday.csv", [event("e2"), event("e3")])
    assert counts(opslib.load("events", [one, two], root, now=NOW)) == (4, 3, 1, 0)
    assert counts(load(root, two)) == (2, 0, 2, 0)
    assert ids(root) == ["e1", "e2", "e3"]


def test_files_of_one_name_stay_apart_in_the_quarantine(root, tmp_path):
    paths = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        paths.append(write(tmp_path / folder / "rows.csv", [event("e" + folder), event(None, user=folder)]))
    opslib.load("events", paths, root, now=NOW)
    assert {row["source"] for row in aside(root, "events")} == {str(path) for path in paths}


def test_nothing_of_a_load_is_seen_when_one_of_its_files_is_broken(root, tmp_path):
    load(root, [event("e1")])
    before = warehouse.read(root)
    good, bad = write(tmp_path / "good.csv", [event("e2")]), tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 not really")
    with pytest.raises(ContractError, match=r"bad\.parquet cannot be read"):
        opslib.load("events", [good, bad], root, now=NOW)
    assert warehouse.read(root) == before and ids(root) == ["e1"]


# Conflicts


def test_of_two_rows_with_one_key_and_other_values_the_first_stays(root):
    report = load(root, [event("e1", amount=1.0), event("e1", amount=2.0)])
    assert counts(report) == (2, 1, 0, 1)
    assert [row["amount"] for row in stored(root, "events")] == [1.0]
    put = aside(root, "events")[0]
    assert put["source"] == "rows.jsonl" and put["line"] == 2 and put["reason"].startswith("conflict")
    assert json.loads(put["row"])["amount"] == "2.0"


def test_a_row_that_is_there_is_known_also_behind_a_conflict_in_the_same_file(root):
    load(root, [event("e1", amount=1)])
    assert counts(load(root, [event("e1", amount=2), event("e1", amount=1)])) == (2, 0, 1, 1)


def test_a_row_that_came_earlier_stays_against_a_later_load(root):
    load(root, [event("e1", amount=1.0)])
    report = load(root, [event("e1", amount=2.0)], name="later.jsonl")
    assert counts(report) == (1, 0, 0, 1) and [row["amount"] for row in stored(root, "events")] == [1.0]
    assert aside(root, "events")[0]["reason"].startswith("conflict")


def test_a_key_may_hold_nulls_and_they_are_values(root):
    rows = [
        {"day": "2026-01-05", "channel": "seo", "kind": "free", "campaign_id": c, "cost": 1.0}
        for c in (None, "c1", None)
    ]
    assert counts(load(root, rows, "spend")) == (3, 2, 1, 0)


UPDATED = {
    "users": user("k", city_tier="one"),
    "content": {"content_id": "k", "published_at": "2026-01-01 00:00:00", "title": "old"},
    "campaigns": {"campaign_id": "k", "name": "old", "starts_at": "2026-01-01 00:00:00", "ends_at": "2026-02-01 00:00:00"},
    "experiments": {"experiment_id": "k", "name": "old", "starts_at": "2026-01-01 00:00:00", "control": "a"},
    "feedback": {"feedback_id": "k", "ts": "2026-01-01 00:00:00", "source": "review", "status": "open"},
    "actions": {
        "action_id": "k", "proposed_on": "2026-01-01", "report": "r", "team": "product", "title": "t", "status": "proposed",
    },
}  # fmt: skip
CHANGED = {"users": "city_tier", "content": "title", "feedback": "status", "actions": "status"}


@pytest.mark.parametrize("table", UPDATED)
def test_the_newest_load_wins_where_the_source_system_updates_rows(root, table):
    row, column = UPDATED[table], CHANGED.get(table, "name")
    other = {k: f"{v}x" if k.endswith("_id") else v for k, v in row.items()}
    load(root, [row, other], table)
    report = load(root, [row | {column: "changed"}], table)
    assert counts(report) == (1, 1, 0, 0) and report.updated == 1
    assert sorted(r[column] for r in stored(root, table)) == sorted(["changed", other[column]])
    assert not aside(root, table)


def test_the_last_of_one_load_wins_there_and_the_others_are_put_aside(root):
    report = load(root, [user(platform="ios"), user(platform="web"), user(platform="android")], "users")
    assert counts(report) == (3, 1, 0, 2) and stored(root, "users")[0]["platform"] == "android"
    assert {row["line"] for row in aside(root, "users")} == {1, 2}


def test_a_changed_attribute_is_a_change(root):
    load(root, [user(age_band="18-24")], "users")
    assert load(root, [user(age_band="25-34")], "users").updated == 1
    assert load(root, [user(age_band="25-34")], "users").already_there == 1
    assert stored(root, "users")[0]["age_band"] == "25-34"


def test_columns_that_a_load_does_not_bring_keep_their_values(root):
    load(root, [user(channel="seo", age_band="18-24"), user("u2", channel="ads")], "users")
    assert load(root, [user()], "users").already_there == 1
    load(root, [user(channel="ads", vip="yes")], "users")
    found = {row["user_id"]: row for row in stored(root, "users")}
    assert (found["u1"]["channel"], found["u1"]["age_band"], found["u1"]["vip"]) == ("ads", "18-24", "yes")
    assert (found["u2"]["channel"], found["u2"]["vip"]) == ("ads", None)
    assert found["u1"]["user_key"] == keys(root)["u1"]


# Any sequence of loads


AT = st.integers(0, 60 * 24 * 60).map(lambda minute: str(dt.datetime(2026, 1, 1) + dt.timedelta(minutes=minute)))
ROWS = st.lists(
    st.builds(
        event,
        st.sampled_from([*"abcdef", None]),
        st.sampled_from(["u1", "u2", "u3"]),
        st.sampled_from(["pay", "open"]),
        AT,
        amount=st.sampled_from([None, 1.5, 20.25]),
        duration_s=st.sampled_from([None, 3.0, -1.0]),
    ),
    min_size=1,
    max_size=8,
)


def fate(have: dict[str, dict], rows: list[dict]) -> tuple[int, int, int]:
    """The definition, read aloud: rows that went in, were there, were put aside; `have` is brought up to date."""
    new = there = put = 0
    for row in rows:
        if row["event_id"] is None or (row["duration_s"] or 0) < 0:
            put += 1
        elif row["event_id"] not in have:
            have[row["event_id"]] = row
            new += 1
        elif have[row["event_id"]] == row:
            there += 1
        else:
            put += 1
    return new, there, put


@settings(max_examples=18)
@given(st.lists(st.tuples(ROWS, st.sampled_from(FORMATS)), min_size=1, max_size=4))
def test_any_sequence_of_loads_is_its_definition(loads):
    with tempfile.TemporaryDirectory() as folder:
        root, have, put = Path(folder) / "warehouse", {}, 0
        for at, (rows, suffix) in enumerate(loads):
            new, there, bad = fate(have, rows)
            report = load(root, rows, name=f"{at}{suffix}")
            assert counts(report) == (len(rows), new, there, bad)
            put += bad
        found = stored(root, "events")
        assert {r["event_id"]: (str(r["ts"]), r["user_id"], r["event"], r["amount"]) for r in found} == {
            id: (row["ts"], row["user_id"], row["event"], row["amount"]) for id, row in have.items()
        }
        assert len(found) == len(have) and len(aside(root, "events")) == put
        assert daily(root) == rolled_up(found)
        assert all(row["user_key"] == keys(root)[row["user_id"]] for row in [*found, *stored(root, "daily")])


USERS = st.lists(
    st.builds(user, st.sampled_from("ab"), platform=st.sampled_from(["ios", "web"]), tier=st.sampled_from(["1", "2"])),
    min_size=1,
    max_size=4,
)


@settings(max_examples=10)
@given(st.lists(USERS, min_size=1, max_size=4))
def test_any_sequence_of_updates_leaves_the_newest(loads):
    with tempfile.TemporaryDirectory() as folder:
        root, have = Path(folder) / "warehouse", {}
        for rows in loads:
            newest = {row["user_id"]: row for row in rows}
            report = load(root, rows, "users")
            assert report.updated == sum(id in have and have[id] != row for id, row in newest.items())
            assert report.new == report.updated + sum(id not in have for id in newest)
            assert report.quarantined == sum(row != newest[row["user_id"]] for row in rows)
            assert report.read == len(rows) == report.new + report.already_there + report.quarantined
            have |= newest
        found = {r["user_id"]: (r["platform"], r["tier"]) for r in stored(root, "users")}
        assert found == {id: (row["platform"], row["tier"]) for id, row in have.items()}


# Keys, extra columns, late rows, places


def test_an_id_has_one_integer_in_every_table_and_load(root):
    load(root, [event("e1", "u2", content_id="c1"), event("e2", "u1")])
    load(root, [user("u3"), user("u1")], "users")
    load(root, [{"order_id": "o1", "user_id": "u4", "paid_at": "2026-01-01 00:00:00", "amount": 1.0}], "orders")
    load(root, [{"content_id": "c1", "published_at": "2026-01-01 00:00:00"}], "content")
    known = keys(root)
    assert sorted(known) == ["u1", "u2", "u3", "u4"] and sorted(known.values()) == [0, 1, 2, 3]
    for table in ("events", "users", "orders", "daily"):
        assert all(row["user_key"] == known[row["user_id"]] for row in stored(root, table))
    assert {row["content_key"] for row in stored(root, "events") if row["content_id"]} == {0}
    assert {row["content_key"] for row in stored(root, "content")} == {0}


def test_extra_columns_are_kept_and_may_come_later(root):
    load(root, [event("e1", app="1.0")])
    load(root, [event("e2", lang="zh")])
    assert {r["event_id"]: (r["app"], r["lang"]) for r in stored(root, "events")} == {
        "e1": ("1.0", None),
        "e2": (None, "zh"),
    }


def test_an_extra_column_keeps_its_type_and_loses_no_value(root, tmp_path):
    load(root, write(tmp_path / "a.parquet", [event("e1", build=7)]))
    load(root, write(tmp_path / "b.csv", [event("e2", build="8")]))
    with pytest.raises(ContractError, match=r"extra column 'build' as BIGINT; 1 values are not, such as '8.5'"):
        load(root, write(tmp_path / "c.csv", [event("e3", build="8.5")]))
    assert sorted(r["build"] for r in stored(root, "events")) == [7, 8]


def test_a_warehouse_s_own_files_can_be_loaded_into_another(root, tmp_path):
    load(root, [event("e1", content_id="c1"), event("e2", "u2")])
    copy = tmp_path / "copy"
    paths = [root / part.path for part in warehouse.read(root).tables["events"]]
    opslib.load("events", paths, copy, now=NOW)
    assert sorted(map(str, stored(copy, "events"))) == sorted(map(str, stored(root, "events")))


def test_rows_for_days_before_the_last_one_that_came_are_late(root):
    assert load(root, [event("e1", ts="2026-01-05 10:00:00"), event("e2", ts="2026-01-03 10:00:00")]).late == 0
    report = load(root, [event("e3", ts="2026-01-04 10:00:00"), event("e4", ts="2026-01-05 10:00:00")], name="b.jsonl")
    assert report.late == 1 and (report.first_day, report.last_day) == ("2026-01-04", "2026-01-05")


def test_events_lie_in_months_sorted_by_day(root, tmp_path):
    rows = [event(f"e{n}", ts=f"2026-0{1 + n % 2}-{1 + n * 7 % 28:02d} 10:00:00") for n in range(56)]
    load(root, write(tmp_path / "a.parquet", rows))
    parts = warehouse.read(root).tables["events"]
    assert [part.month for part in parts] == ["2026-01", "2026-02"] and sum(part.rows for part in parts) == 56
    for part in parts:
        days = [row["day"] for row in _in_order(root / part.path)]
        assert days == sorted(days) and {f"{day:%Y-%m}" for day in days} == {part.month}
        assert (str(days[0]), str(days[-1])) == (part.first_day, part.last_day)


def _in_order(path: Path) -> list[dict]:
    import pyarrow.parquet as pq

    return pq.read_table(path).to_pylist()


def test_a_roll_up_without_marks_gets_them_with_the_next_load(root):
    load(root, [event("e1", "u1", ts="2026-01-05 10:00:00"), event("e2", "u1", ts="2026-02-05 10:00:00")])
    for part in warehouse.read(root).tables["daily"]:  # as an earlier version wrote it
        bare = pq.read_table(root / part.path).drop_columns([*contract.MARKS])
        pq.write_table(bare, root / part.path)
    load(root, [event("e3", "u1", ts="2026-02-07 10:00:00")])
    assert daily(root) == rolled_up(stored(root, "events"))


def test_a_month_whose_users_came_no_earlier_keeps_its_roll_up(root):
    load(root, [event("e1", "u1", ts="2026-01-05 10:00:00"), event("e2", "u2", ts="2026-02-05 10:00:00")])
    february = warehouse.read(root).tables["daily"][1]
    load(root, [event("e3", "u1", ts="2026-01-03 10:00:00")])
    assert warehouse.read(root).tables["daily"][1] == february
    load(root, [event("e4", "u2", ts="2026-01-03 10:00:00")])
    assert warehouse.read(root).tables["daily"][1] != february
    assert daily(root) == rolled_up(stored(root, "events"))


def test_the_loads_are_remembered_and_the_fingerprint_follows_the_data(root):
    load(root, [event("e1")])
    before = warehouse.read(root)
    load(root, [event("e1")])
    again = warehouse.read(root)
    assert len(again.loads) == 2 and again.loads[1]["already_there"] == 1
    assert again.fingerprint == before.fingerprint
    load(root, [event("e2")])
    assert warehouse.read(root).fingerprint != before.fingerprint


def test_raw_files_beside_the_warehouse_are_never_removed(tmp_path):
    (tmp_path / "events").mkdir()
    raw = write(tmp_path / "events" / "raw.parquet", [event("e1")])
    load(tmp_path, raw)
    load(tmp_path, raw)
    assert raw.exists() and ids(tmp_path) == ["e1"]


def test_files_that_were_replaced_stay_a_day_for_readers_and_go_with_the_next_load(root, monkeypatch):
    load(root, [event("e0")])
    held = {root / part.path for part in warehouse.read(root).parts()}
    for at in range(1, 4):
        load(root, [event(f"e{at}")])
    assert held <= set(root.rglob("*.parquet")), "a reader that began before the loads still finds its files"
    monkeypatch.setattr(warehouse, "KEPT", dt.timedelta(0))
    load(root, [event("e9")])
    live = {root / part.path for part in warehouse.read(root).parts()}
    left = set(root.rglob("*.parquet"))
    assert live <= left and not (left - live) & held and ids(root) == ["e0", "e1", "e2", "e3", "e9"]


def test_rows_put_aside_change_the_fingerprint_for_a_report_shows_them(root):
    load(root, [event("e1")])
    before = warehouse.read(root).fingerprint
    load(root, [event(None)])
    assert warehouse.read(root).fingerprint != before


def test_one_warehouse_has_one_zone_and_one_currency(root):
    load(root, [event("e1")], tz="Europe/London", currency="GBP")
    with pytest.raises(ContractError, match="holds tz Europe/London, not Asia/Tokyo"):
        load(root, [event("e2")], tz="Asia/Tokyo")
    with pytest.raises(ContractError, match="holds currency GBP, not USD"):
        load(root, [event("e2")], currency="USD")
    with pytest.raises(UsageError, match="did you mean 'Asia/Shanghai'"):
        load(root, [event("e2")], tz="Asia/Shangai")
    assert ids(root) == ["e1"]


def test_a_table_that_the_load_makes_itself_cannot_be_loaded(root):
    with pytest.raises(UsageError, match="made by the load of events"):
        load(root, [], "daily")


def test_a_second_load_at_the_same_time_is_refused(root, tmp_path):
    path = write(tmp_path / "a.csv", [event("e1")])
    with warehouse.writing(root), pytest.raises(LockedError, match="being loaded by another process"):
        load(root, path)
    assert load(root, path).new == 1


def test_a_column_that_is_nearly_one_of_the_contract_s_is_named_at_load(root, tmp_path):
    (tmp_path / "e.csv").write_text("event_id,user_id,ts,event,ammount,mood\ne1,u1,2026-01-01 10:00:00,pay,5,fine\n")
    said = str(load(root, tmp_path / "e.csv"))
    assert "e.csv: 'ammount' is kept as a column of your own, and 'amount' stays empty" in said and "mood" not in said
