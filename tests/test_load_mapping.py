"""Mappings and packs: where each contract column comes from."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from loading import NOW, aside, event, stored, write

import opslib
from opslib import packs, warehouse
from opslib.errors import ContractError, UsageError

pytestmark = pytest.mark.usefixtures("quick_disk")
PLAIN = {"event_id": "e1", "user_id": "u1", "event": "pay", "ts": "2026-01-05 10:00:00"}


def one(tmp_path: Path, row: dict, columns: dict, table: str = "events", suffix: str = ".jsonl", **more) -> dict:
    """The one stored row of a file with one row."""
    mapping = {"columns": columns, **more}
    report = opslib.load(table, write(tmp_path / f"rows{suffix}", [row]), tmp_path / "w", mapping=mapping, now=NOW)
    assert report.new == 1, report.sentence()
    return stored(tmp_path / "w", table)[0]


def test_a_column_is_renamed_and_the_others_are_kept(tmp_path):
    found = one(
        tmp_path, {"uuid": "e1", "user_id": "u1", "event": "pay", "ts": PLAIN["ts"], "app": "7"}, {"event_id": "uuid"}
    )
    assert found["event_id"] == "e1" and found["app"] == "7" and "uuid" not in found


def test_a_value_is_the_same_in_every_row(tmp_path):
    found = one(tmp_path, PLAIN, {"event": {"value": "purchase"}, "amount": {"value": 5}, "trial": {"value": True}})
    assert (found["event"], found["amount"], found["trial"]) == ("purchase", 5.0, "true")


def test_columns_are_put_together_and_half_an_id_is_none(tmp_path):
    rows = [PLAIN | {"shop": "s", "member": "7"}, PLAIN | {"event_id": "e2", "shop": "s", "member": ""}]
    mapping = {"columns": {"user_id": {"columns": ["shop", "member"], "join": "-"}}}
    report = opslib.load("events", write(tmp_path / "a.csv", rows), tmp_path / "w", mapping=mapping, now=NOW)
    assert (report.new, report.quarantined) == (1, 1)
    assert stored(tmp_path / "w", "events")[0]["user_id"] == "s-7"
    assert aside(tmp_path / "w", "events")[0]["reason"] == "user_id is missing"


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("unit, number", [("s", 1767607200), ("ms", 1767607200123), ("us", 1767607200123456)])
def test_a_number_is_a_time_once_its_unit_is_said(tmp_path, suffix, unit, number):
    found = one(tmp_path, PLAIN | {"ts": number}, {"ts": {"column": "ts", "unit": unit}}, suffix=suffix)
    fraction = {"s": 0, "ms": 123000, "us": 123456}[unit]
    assert found["ts"] == dt.datetime(2026, 1, 5, 10, 0, 0, fraction)


def test_seconds_may_have_a_fraction(tmp_path):
    found = one(tmp_path, PLAIN | {"ts": 1767607200.5}, {"ts": {"column": "ts", "unit": "s"}}, suffix=".parquet")
    assert found["ts"] == dt.datetime(2026, 1, 5, 10, 0, 0, 500000)


def test_a_local_time_names_its_zone(tmp_path):
    found = one(tmp_path, PLAIN, {"ts": {"column": "ts", "tz": "America/New_York"}})
    assert found["ts"] == dt.datetime(2026, 1, 5, 15)


def test_a_local_time_that_happens_twice_is_the_first_of_the_two(tmp_path):
    found = one(
        tmp_path,
        PLAIN | {"ts": dt.datetime(2025, 10, 26, 1, 30)},
        {"ts": {"column": "ts", "tz": "Europe/London"}},
        suffix=".parquet",
    )
    assert found["ts"] == dt.datetime(2025, 10, 26, 0, 30)


def test_a_date_in_a_time_column_is_its_local_midnight(tmp_path):
    found = one(
        tmp_path,
        PLAIN | {"ts": dt.date(2026, 1, 5)},
        {"ts": {"column": "ts", "tz": "Asia/Shanghai"}},
        suffix=".parquet",
    )
    assert found["ts"] == dt.datetime(2026, 1, 4, 16) and found["day"] == dt.date(2026, 1, 5)


@pytest.mark.parametrize(
    "text, entry, ts",
    [
        ("05/01/2026 10:00", {"format": "%d/%m/%Y %H:%M"}, dt.datetime(2026, 1, 5, 10)),
        ("05/01/2026 10:00", {"format": "%d/%m/%Y %H:%M", "tz": "Asia/Shanghai"}, dt.datetime(2026, 1, 5, 2)),
        ("20260105 10:00 +0800", {"format": "%Y%m%d %H:%M %z"}, dt.datetime(2026, 1, 5, 2)),
        ("2026年1月5日", {"format": "%Y年%m月%d日"}, dt.datetime(2026, 1, 5)),
        ("1/5/26 10:00", {"format": ["%m/%d/%y %H:%M", "%m/%d/%Y %H:%M"]}, dt.datetime(2026, 1, 5, 10)),
        ("1/5/2026 10:00", {"format": ["%m/%d/%y %H:%M", "%m/%d/%Y %H:%M"]}, dt.datetime(2026, 1, 5, 10)),
    ],
)
def test_a_time_may_have_a_spelling_of_its_own(tmp_path, text, entry, ts):
    assert one(tmp_path, PLAIN | {"ts": text}, {"ts": {"column": "ts"} | entry})["ts"] == ts


def test_a_moment_with_a_zone_needs_no_word(tmp_path):
    moment = dt.datetime(2026, 1, 5, 18, tzinfo=dt.timezone(dt.timedelta(hours=8)))
    assert one(tmp_path, PLAIN | {"ts": moment}, {}, suffix=".parquet")["ts"] == dt.datetime(2026, 1, 5, 10)


def test_a_renamed_time_without_a_zone_is_read_as_utc_and_the_load_says_so(tmp_path):
    row = {"event_id": "e1", "user_id": "u1", "event": "pay", "when": "2026-01-05 10:00:00"}
    path = write(tmp_path / "rows.csv", [row])
    report = opslib.load("events", path, tmp_path / "w", mapping={"columns": {"ts": "when"}}, now=NOW)
    assert "ts: times without a zone were read as UTC" in report.sentence() and "tz: Asia/Shanghai" in report.sentence()
    for mapping in (
        {"ts": {"column": "when", "tz": "Asia/Shanghai"}},
        {"ts": {"column": "when", "format": "%Y-%m-%d %H:%M:%S%z"}},
    ):
        told = opslib.load("events", path, tmp_path / "w2", mapping={"columns": mapping}, now=NOW).sentence()
        assert "read as UTC" not in told


@pytest.mark.parametrize(
    "ts, suffix, said",
    [
        ("2026-01-05 10:00:00", ".csv", True),
        ("2026-01-05T10:00:00Z", ".csv", False),
        ("2026-01-05 10:00:00+08:00", ".csv", False),
        (dt.datetime(2026, 1, 5, 10), ".parquet", False),  # as the contract stores it
    ],
)
def test_texts_without_a_zone_are_said_to_be_read_as_utc(tmp_path, ts, suffix, said):
    path = write(tmp_path / f"own{suffix}", [PLAIN | {"ts": ts}])
    report = opslib.load("events", path, tmp_path / "w", now=NOW).sentence()
    assert ("map ts: {column: ts, tz: Asia/Shanghai}" in report) == said


def test_a_misspelled_column_of_the_contract_is_not_taken_for_one_of_your_own(tmp_path):
    path = write(tmp_path / "rows.csv", [PLAIN | {"os": "ios"}])
    with pytest.raises(UsageError, match="'platfrom' is no column of events; did you mean 'platform'"):
        opslib.load("events", path, tmp_path / "w", mapping={"columns": {"platfrom": "os"}}, now=NOW)
    mapping = {"columns": {"platform": "os", "platform2": "os"}}  # both: then the second is meant
    assert opslib.load("events", path, tmp_path / "w", mapping=mapping, now=NOW).new == 1


@pytest.mark.parametrize(
    "format, says",
    [
        ("%Q", "format '%Q' is not understood"),
        (["%Y", "%Q"], "format '%Q' is not understood"),
        ([], "all have a zone"),
        ([7], "format must be text or a list of texts, got 7"),
        (7, "format must be text or a list of texts, got 7"),
        (["%Y %z", "%Y"], "all have a zone .%z. or all have none"),
    ],
)
def test_a_spelling_of_times_that_cannot_be_is_the_mapping_s_fault(tmp_path, format, says):
    path = write(tmp_path / "rows.csv", [PLAIN])
    with pytest.raises(UsageError, match=says):
        opslib.load(
            "events", path, tmp_path / "w", mapping={"columns": {"ts": {"column": "ts", "format": format}}}, now=NOW
        )


def test_a_currency_has_three_capital_letters(tmp_path):
    with pytest.raises(UsageError, match="no currency 'yuan'"):
        opslib.load("events", write(tmp_path / "rows.csv", [PLAIN]), tmp_path / "w", currency="yuan", now=NOW)


def test_a_date_may_have_a_spelling_of_its_own(tmp_path):
    row = {"day": 20260105, "channel": "seo", "kind": "free", "cost": 1.0}
    found = one(tmp_path, row, {"day": {"column": "day", "format": "%Y%m%d"}}, "spend", ".parquet")
    assert found["day"] == dt.date(2026, 1, 5)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_an_amount_is_scaled_and_whole_numbers_stay_whole(tmp_path, suffix):
    columns = {"amount": {"column": "cents", "scale": 0.01}, "position": {"column": "share", "scale": 100}}
    found = one(tmp_path, PLAIN | {"cents": 1999, "share": 0.07}, columns, suffix=suffix)
    assert found["amount"] == pytest.approx(19.99) and found["position"] == 7


def test_values_are_translated_and_others_stay(tmp_path):
    rows = [PLAIN | {"event_id": f"e{code}", "os": code} for code in (1, 2, 3)]
    mapping = {"columns": {"platform": {"column": "os", "map": {1: "ios", 2: None}}}}
    opslib.load("events", write(tmp_path / "a.parquet", rows), tmp_path / "w", mapping=mapping, now=NOW)
    assert {r["event_id"]: r["platform"] for r in stored(tmp_path / "w", "events")} == {
        "e1": "ios",
        "e2": None,
        "e3": "3",
    }


def test_extra_columns_may_be_left_out(tmp_path):
    found = one(tmp_path, PLAIN | {"app": "7", "amount": 1.0}, {**{n: n for n in PLAIN}, "sum": "amount"}, keep=False)
    assert "app" not in found and found["sum"] == "1.0" and found["amount"] is None


def test_ids_that_became_floats_are_the_same_ids(tmp_path):
    """pandas turns a whole number into a float as soon as one of the column is missing."""
    assert one(tmp_path, PLAIN | {"user_id": 7.0}, {}, suffix=".parquet")["user_id"] == "7"


def test_nested_values_of_a_parquet_file_become_json(tmp_path):
    found = one(tmp_path, PLAIN | {"props": {"plan": "pro", "n": 2}, "tags": ["a", "b"]}, {}, suffix=".parquet")
    assert json.loads(found["props"]) == {"plan": "pro", "n": 2} and json.loads(found["tags"]) == ["a", "b"]


def test_numbers_of_json_lines_keep_their_spelling(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(
        json.dumps(PLAIN)[:-1] + ', "big": 10000000000000000000001, "version": 1.10, "props": {"v": 1.10}}\n'
    )
    opslib.load("events", path, tmp_path / "w", now=NOW)
    found = stored(tmp_path / "w", "events")[0]
    assert (found["big"], found["version"], found["props"]) == ("10000000000000000000001", "1.10", '{"v": 1.10}')


def test_a_select_joins_and_groups_files_first(tmp_path):
    lines = write(
        tmp_path / "lines.csv", [{"basket": b, "member": "1", "sum": s} for b, s in (("a", 2), ("a", 3), ("b", 4))]
    )
    members = write(tmp_path / "members.jsonl", [{"member": "1", "user": "u1"}])
    mapping = {
        "files": {"fate": "lines.csv", "identity": "members.jsonl"},
        "select": 'SELECT basket, "user", sum(sum::DOUBLE) AS amount FROM fate JOIN identity USING (member) GROUP BY ALL;  -- a basket',
        "columns": {"order_id": "basket", "user_id": "user", "paid_at": {"value": "2026-01-05 10:00:00"}},
    }
    for new in (2, 0):
        report = opslib.load("orders", [lines, members], tmp_path / "w", mapping=mapping, now=NOW)
        assert (report.read, report.new) == (2, new)
    assert {r["order_id"]: r["amount"] for r in stored(tmp_path / "w", "orders")} == {"a": 5.0, "b": 4.0}


def test_what_a_select_puts_aside_is_put_aside_once(tmp_path):
    rows = [{"id": f"e{n}", "user": None if n % 2 else "u"} for n in range(50)]
    path = write(tmp_path / "a.parquet", rows)
    mapping = {
        "files": {"a": "a.parquet"},
        "select": "SELECT id AS event_id, \"user\" AS user_id, 'x' AS event, TIMESTAMP '2026-01-05' AS ts FROM a",
    }
    for _ in range(2):
        opslib.load("events", path, tmp_path / "w", mapping=mapping, now=NOW)
    assert len(aside(tmp_path / "w", "events")) == 25


# What cannot be meant


@pytest.mark.parametrize(
    "mapping, words",
    [
        ({"colunms": {}}, "unknown entry 'colunms'; did you mean 'columns'?"),
        ({"columns": {"ts": {"colum": "t"}}}, "ts: unknown 'colum'; did you mean 'column'?"),
        ({"columns": {"ts": {"column": "t", "unit": "min"}}}, "unit must be s, ms or us, got 'min'"),
        ({"columns": {"ts": {"column": "t", "tz": "Asia/Shangai"}}}, "did you mean 'Asia/Shanghai'"),
        ({"columns": {"ts": {"unit": "ms"}}}, "ts: needs exactly one of column, columns and value"),
        ({"columns": {"ts": {"column": "a", "value": "b"}}}, "ts: needs exactly one of"),
        ({"columns": {"event_id": {"columns": []}}}, "event_id: columns must name columns of the file, got []"),
        (
            {"columns": {"event_id": {"columns": [["a"]]}}},
            "event_id: columns must name columns of the file, got [['a']]",
        ),
        (
            {"columns": {"amount": {"column": "a", "scale": float("inf")}}},
            "amount: scale must be a finite number, got inf",
        ),
        ({"columns": {"ts": 5}}, "ts: must be a column's name or an entry"),
        ({"columns": {"user_id": {"columns": "shop"}}}, "columns must be a list, got 'shop'"),
        ({"columns": {"amount": {"column": "c", "scale": "0.01"}}}, "scale must be a number, got '0.01'"),
        ({"columns": ["event_id"]}, "columns must be 'name: value' lines"),
        ({"keep": "no"}, "keep must be true or false, got 'no'"),
        ({"table": "users"}, "is for the table 'users', not 'events'"),
        ({"select": "SELECT 1"}, "'select' and 'files' go together"),
        ({"tz": "UTC"}, "unknown entry 'tz'"),
        ([], "must hold 'name: value' lines"),
        ({"files": {"a": "b.csv"}, "select": "FROM a"}, "the mapping reads 'b.csv', which is not among the files"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(tmp_path, mapping, words):
    with pytest.raises(UsageError) as error:
        opslib.load("events", write(tmp_path / "a.csv", [event()]), tmp_path / "w", mapping=mapping, now=NOW)
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "mapping, words",
    [
        (
            {"columns": {"amount": "amuont"}},
            "amount is mapped to the column 'amuont', which is not there; did you mean 'amount'?",
        ),
        ({"files": {"a": "a.csv"}, "select": "SELECT nothing FROM a"}, "a.csv: the mapping's select does not run"),
        ({"files": {"a": "a.csv"}, "select": "SELEC"}, "mend the mapping"),
        ({"columns": {"Amount": {"value": 1}}}, "the columns 'Amount' and 'amount' differ only in case"),
    ],
)
def test_a_mapping_that_does_not_fit_the_file_is_refused(tmp_path, mapping, words):
    with pytest.raises(ContractError) as error:
        opslib.load("events", write(tmp_path / "a.csv", [event(amount=1)]), tmp_path / "w", mapping=mapping, now=NOW)
    assert words in str(error.value) and "\n" not in str(error.value)
    assert not warehouse.read(tmp_path / "w").tables


# Packs


def pack(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "pack.yml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_pack_runs_every_load_in_its_order(tmp_path):
    write(tmp_path / "people.csv", [{"id": "u1", "joined": "2026-01-05 10:00:00"}])
    write(
        tmp_path / "sales.parquet",
        [{"basket": "b1", "member": "device", "sum": 2.0}, {"basket": "b1", "member": "device", "sum": 3.0}],
    )
    write(tmp_path / "same.csv", [{"alias": "device", "user_id": "u1"}])
    path = pack(
        tmp_path,
        """
name: A shop
tz: Europe/London
currency: GBP
note: sums are net of tax
identity: same.csv
loads:
  - table: users
    files: [people.csv]
    columns: {user_id: id, registered_at: {column: joined, tz: Europe/London}}
  - table: orders
    files: {lines: sales.parquet}
    select: SELECT basket AS order_id, member AS user_id, TIMESTAMP '2026-01-05' AS paid_at, sum(sum) AS amount FROM lines GROUP BY ALL
""",
    )
    said: list[str] = []
    reports = packs.load(path, tmp_path / "w", say=said.append)
    assert [(r.table, r.new) for r in reports] == [("users", 1), ("orders", 1)] and len(said) == 2
    manifest = warehouse.read(tmp_path / "w")
    assert (manifest.tz, manifest.currency, manifest.notes) == ("Europe/London", "GBP", ["sums are net of tax"])
    order = stored(tmp_path / "w", "orders")[0]
    assert (order["user_id"], order["user_alias"], order["amount"]) == ("u1", "device", 5.0)


@pytest.mark.parametrize(
    "text, words",
    [
        ("timezone: UTC\nloads: []", "unknown entry 'timezone'"),
        ("loads: [{files: [a.csv]}]", "load 1 names no table"),
        ("events", "has no list 'loads'"),
        ("loads: [{table: evnts, files: [a.csv]}]", "no table 'evnts' in the contract; did you mean 'events'?"),
        ("loads: [{table: events, files: [a.csv], colums: {}}]", "did you mean 'columns'?"),
        ("loads: [{table: events, files: 7}]", "events: files is 7; write a file's name or a list of them"),
        ("tz: {a: 1}\nloads: []", "tz is {'a': 1}, not a text"),
        ("loads: [", "not YAML"),
    ],
)
def test_a_pack_that_cannot_be_meant_is_refused(tmp_path, text, words):
    write(tmp_path / "a.csv", [event()])
    with pytest.raises(UsageError) as error:
        packs.load(pack(tmp_path, text), tmp_path / "w")
    assert words in str(error.value)


def test_a_folder_loads_each_file_into_the_table_of_its_name(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    write(folder / "events-1.csv", [event("e1")])
    write(folder / "events-2.jsonl", [event("e2")])
    write(folder / "users.csv", [{"user_id": "u1", "registered_at": "2026-01-01"}])
    write(folder / "notes.csv", [{"a": 1}])
    reports = packs.load_folder(folder, tmp_path / "w")
    assert {r.table: r.new for r in reports} == {"events": 2, "users": 1}
    with pytest.raises(ContractError, match="holds no file named after a table"):
        packs.load_folder(tmp_path, tmp_path / "w")
