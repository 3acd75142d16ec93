"""Bad input ends in one line that says what, where and what to do, with its exit code, and loses nothing."""

from __future__ import annotations

import errno
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loading import aside, event, stored, user, write

import opslib
from opslib import cli, warehouse
from opslib.importers import stage

pytestmark = pytest.mark.usefixtures("quick_disk")
HEAD = "event_id,user_id,event,ts"
GOOD = "e1,u1,pay,2026-01-05 10:00:00"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "warehouse"


@pytest.fixture
def ops(root, capsys):
    """`opslib …` on this warehouse: exit code and what it said, out and err, always one line."""

    def run(*words: object) -> tuple[int, str]:
        code = cli.main([*map(str, words), "--source", str(root)])
        said = capsys.readouterr()
        text = said.err or said.out
        assert not (said.err and said.out) and text.count("\n") == 1, text
        return code, text.strip()

    return run


def text(path: Path, *lines: str, encoding: str = "utf-8", end: str = "\n") -> Path:
    path.write_bytes(end.join([*lines, ""]).encode(encoding))
    return path


# Files that cannot be read: nothing is loaded


def truncated(path: Path) -> Path:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    return path


def parquet(path: Path) -> Path:
    return write(path, [event(f"e{n}") for n in range(1000)])


def gz(path: Path) -> Path:
    path.write_bytes(
        gzip.compress("\n".join([HEAD, *(GOOD.replace("e1", f"e{n * 7919}") for n in range(5000))]).encode())
    )
    return path


def link(path: Path, to: str) -> Path:
    path.symlink_to(to)
    return path


def twice(path: Path) -> Path:
    """Engines read the second as user_id_1 without a word."""
    whole = pq.read_table(parquet(path))
    pq.write_table(whole.append_column("user_id", whole["event"]), path)
    return path


def nested(path: Path) -> Path:
    rows = pq.read_table(parquet(path)).to_pylist()
    return write(path, [row | {"user_id": {"x": 1}} for row in rows])


UNREADABLE = {
    "missing": (lambda p: p / "evnts.csv", "does not exist; did you mean 'events.csv'?"),
    "folder": (lambda p: p, "is a folder; name the files in it"),
    "empty": (lambda p: text(p / "empty.csv", end=""), "is empty; export it again"),
    "truncated parquet": (lambda p: truncated(parquet(p / "a.parquet")), "a.parquet cannot be read"),
    "not parquet": (lambda p: text(p / "a.parquet", HEAD, GOOD), "a.parquet cannot be read"),
    "truncated gz": (lambda p: truncated(gz(p / "a.csv.gz")), "a.csv.gz ends in the middle or is damaged"),
    "not gz": (lambda p: text(p / "a.csv.gz", HEAD, GOOD), "a.csv.gz ends in the middle or is damaged"),
    "parquet called csv": (lambda p: parquet(p / "a.csv.parquet").rename(p / "a.csv"), "a.csv is a Parquet file"),
    "gzip called csv": (lambda p: gz(p / "a.csv.gz").rename(p / "a.csv"), "a.csv is a gzip file without .gz in its name"),
    "link to nothing": (lambda p: link(p / "a.csv", "gone.csv"), "a.csv is a link to what does not exist; check gone.csv"),
    "a name twice": (
        lambda p: twice(p / "a.parquet"),
        "a.parquet: the column 'user_id' is there twice; give every column a name of its own",
    ),
    "nested id": (lambda p: nested(p / "a.parquet"), "a.parquet: user_id is STRUCT(x BIGINT), not a text"),
    "UTF-16 without a mark": (lambda p: text(p / "a.csv", HEAD, GOOD, encoding="utf-16-le"), "is not a text file"),
    "unknown name": (lambda p: text(p / "a.xlsx", HEAD), "cannot tell its format by its name; say --format"),
    "no header": (lambda p: text(p / "a.csv", "", "  "), "a.csv has no header line"),
    "header twice": (lambda p: text(p / "a.csv", HEAD + ",TS", GOOD + ",x"), "line 1: the columns 'ts' and 'TS' differ only in case"),
    "header without a name": (lambda p: text(p / "a.csv", "," + HEAD, "0," + GOOD), "line 1: a column has no name"),
    "CR alone": (lambda p: text(p / "a.csv", HEAD, GOOD, end="\r"), "line 1: lines end in CR alone"),
    "JSON array": (lambda p: text(p / "a.json", "[", json.dumps(event()), "]"), "is a JSON array, not JSON Lines"),
    "no JSON at all": (lambda p: text(p / "a.jsonl", "nope", "{", "5"), "holds no row that can be read"),
    "keys in two cases": (lambda p: text(p / "a.jsonl", json.dumps(event(TS="x"))), "differ only in case"),
    "column missing": (lambda p: text(p / "a.csv", HEAD.replace("user_id", "userid"), GOOD), "the column 'user_id' of events is missing; did you mean 'userid'? A mapping can rename it"),
    "column missing, none near": (lambda p: text(p / "a.csv", "x,y", "1,2"), "the file has: x, y"),
    "number as a time": (lambda p: write(p / "a.parquet", [event(ts=1767607200)]), "ts is a number, not a time; say its unit in a mapping"),
    "number as a date": (lambda p: write(p / "a.parquet", [event(ts=True)]), "a.parquet: ts is BOOLEAN, not a time"),
    "wrong type": (lambda p: write(p / "a.parquet", [event(amount=[1.0])]), "a.parquet: amount is DOUBLE[], not a number"),
    "reserved name": (lambda p: text(p / "a.csv", HEAD + ",~line", GOOD + ",1"), "begins with ~"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_file_that_cannot_be_read_stops_the_load_and_changes_nothing(ops, root, tmp_path, case):
    make, words = UNREADABLE[case]
    good = text(tmp_path / "events.csv", HEAD, GOOD)
    path = make(tmp_path)
    code, said = ops("load", "events", good, path)
    assert code == (2 if case == "unknown name" else 3)
    assert said.startswith("opslib: ") and words in said and "; " in said
    assert not warehouse.read(root).tables


def test_a_data_page_that_is_damaged_is_said_to_be(ops, root, tmp_path):
    path = parquet(tmp_path / "a.parquet")
    whole = bytearray(path.read_bytes())
    whole[40:400] = b"\xff" * 360
    path.write_bytes(whole)
    code, said = ops("load", "events", path)
    assert code == 3 and "a.parquet cannot be read" in said and not warehouse.read(root).tables


# Wrong words


@pytest.mark.parametrize(
    "words, code, said",
    [
        (["evnts", "a.csv"], 2, "no table 'evnts' in the contract; did you mean 'events'?"),
        (["daily", "a.csv"], 2, "daily is made by the load of events"),
        (["events"], 2, "load events: no file named"),
        (["events", "a.csv", "--mapping", "nope.yml"], 2, "nope.yml does not exist"),
        (["events", "a.csv", "--mapping", "bad.yml"], 2, "bad.yml: unknown entry 'colums'; did you mean 'columns'?"),
        (["events", "a.csv", "--mapping", "twice.yml"], 2, "twice.yml line 2: not YAML"),
        (["events", "a.csv", "--mapping", "gbk.yml"], 2, "gbk.yml is not UTF-8 text; save it as UTF-8"),
        (["events", "a.csv", "--tz", "Asia/Shangai"], 2, "no time zone 'Asia/Shangai'; did you mean 'Asia/Shanghai'?"),
        (["pack.yml"], 2, "pack.yml does not exist"),
        (["late.yml"], 2, "late.yml: users: unknown entry 'colums'; did you mean 'columns'?"),
    ],
)
def test_words_that_cannot_be_meant_end_with_2(ops, root, tmp_path, monkeypatch, words, code, said):
    monkeypatch.chdir(tmp_path)
    text(tmp_path / "a.csv", HEAD, GOOD)
    text(tmp_path / "bad.yml", "colums: {}")
    text(
        tmp_path / "late.yml", "loads:", "- {table: events, files: a.csv}", "- {table: users, files: a.csv, colums: {}}"
    )
    text(tmp_path / "twice.yml", "keep: true", "keep: false")
    text(tmp_path / "gbk.yml", "note: 数据", encoding="gbk")
    found, message = ops("load", *words)
    assert found == code and said in message and not warehouse.read(root).tables


def test_a_format_that_is_not_known_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["load", "events", str(text(tmp_path / "a.csv", HEAD)), "--format", "excel"])
    assert (
        stop.value.code == 2 and "--format 'excel' is not known; known: csv, jsonl, parquet" in capsys.readouterr().err
    )


def test_an_engine_is_not_a_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = text(tmp_path / "a.csv", HEAD, GOOD)
    assert cli.main(["load", "events", str(path), "--source", "postgres://reader:${PW}@host/db"]) == 2
    assert "a load writes into a folder, not into an engine" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_a_place_that_cannot_be_written_is_named(tmp_path, capsys):
    path = text(tmp_path / "a.csv", HEAD, GOOD)
    assert cli.main(["load", "events", str(path), "--source", str(path / "inside")]) == 1
    said = capsys.readouterr().err
    assert "inside cannot be written" in said and "check its permissions" in said and said.count("\n") == 1


def test_a_warehouse_that_is_a_file_is_refused(tmp_path, capsys):
    path = text(tmp_path / "a.csv", HEAD, GOOD)
    assert cli.main(["load", "events", str(path), "--source", str(path)]) == 2
    assert "a.csv is a file; --source names a folder" in capsys.readouterr().err


def no_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_not_called_a_damaged_file(ops, root, tmp_path, monkeypatch):
    monkeypatch.setattr(pq, "write_table", no_space)  # while the raw file is staged
    code, said = ops("load", "events", text(tmp_path / "a.csv", HEAD, GOOD))
    assert code == 1 and f"{root} cannot be written (No space left on device)" in said
    with pytest.raises(OSError, match="No space left"), stage.reading("a.parquet"):  # while the engine writes
        raise duckdb.IOException('Could not write file "x": No space left on device')


def test_two_loads_at_once_end_with_75(ops, root, tmp_path):
    path = text(tmp_path / "a.csv", HEAD, GOOD)
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys; from opslib import warehouse\nwith warehouse.writing(sys.argv[1]): print('in', flush=True); sys.stdin.read()", root],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout.readline() == b"in\n"
    assert ops("load", "events", path) == (75, f"opslib: {root} is being loaded by another process; wait for it to end")
    holder.communicate()
    assert ops("load", "events", path)[0] == 0


# Rows that break the contract


ROWS = {
    "null key": ({"event_id": None}, "event_id is missing"),
    "empty key": ({"event_id": ""}, "event_id is missing"),
    "no user": ({"user_id": None}, "user_id is missing"),
    "no user, written out": ({"user_id": "NaN"}, "user_id is no id, got NaN"),
    "no user, as Postgres dumps it": ({"user_id": r"\N"}, r"user_id is no id, got \N"),
    "2031": ({"ts": "2031-01-01 00:00:00"}, "ts is more than 24 h ahead of the clock, got 2031-01-01 00:00:00"),
    "1999": ({"ts": "1999-12-31 23:59:59"}, "ts is before 2000, got 1999-12-31 23:59:59"),
    "no time": ({"ts": "yesterday"}, "ts is not a time, got yesterday"),
    "number as a time": ({"ts": "1767607200"}, "ts is a number and a mapping must say its unit (s, ms or us), got 1767607200"),
    "infinity as a time": ({"ts": "infinity"}, "ts is not a time, got infinity"),
    "a 30th of February": ({"ts": "2026-02-30 10:00:00"}, "ts is not a time, got 2026-02-30 10:00:00"),
    "3.7 as a whole number": ({"position": "3.7"}, "position is not a whole number, got 3.7"),
    "text as a number": ({"amount": "¥12"}, "amount is not a finite number, got ¥12"),
    "NaN": ({"amount": "NaN"}, "amount is not a finite number, got NaN"),
    "inf": ({"amount": "-inf"}, "amount is not a finite number, got -inf"),
    "too large": ({"amount": "1e999"}, "amount is not a finite number, got 1e999"),
    "below zero": ({"duration_s": "-0.5"}, "duration_s is below 0, got -0.5"),
    "no JSON": ({"props": "{plan: pro}"}, "props is not a JSON object, got {plan: pro}"),
    "JSON list": ({"props": "[1]"}, "props is not a JSON object, got [1]"),
    "two faults": ({"user_id": None, "position": "x"}, "user_id is missing; position is not a whole number, got x"),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("case", ROWS)
def test_a_row_that_breaks_the_contract_is_put_aside_as_it_was(ops, root, tmp_path, case, suffix):
    broken, reason = ROWS[case]
    row = event("e2", app="7") | broken
    path = write(tmp_path / f"rows{suffix}", [event("e1", app="7"), row])
    code, said = ops("load", "events", path)
    line = 3 if suffix == ".csv" else 2  # Parquet has rows instead of lines
    assert (
        code == 0 and f"rows{suffix} line {line}: {reason}" in said and "1 new + 0 already there + 1 put aside" in said
    )
    put = aside(root, "events")[0]
    assert (put["source"], put["line"], put["reason"]) == (
        f"rows{suffix}",
        line,
        reason,
    )
    kept = {name: value or None for name, value in json.loads(put["row"]).items()}
    assert kept == {name: value or None for name, value in row.items()}
    assert ops("load", "events", path, "--strict")[0] == 3
    assert len(aside(root, "events")) == 1 and len(stored(root, "events")) == 1


def test_a_file_of_which_nothing_can_be_used_ends_with_3(ops, root, tmp_path):
    good = write(tmp_path / "good.csv", [event("e1")])
    bad = write(tmp_path / "bad.csv", [event("e2", user=None), event("e3", ts="never")])
    assert ops("load", "events", bad)[0] == 3
    code, said = ops("load", "events", good, bad)
    assert code == 3 and "1 new + 0 already there + 2 put aside" in said
    assert len(stored(root, "events")) == 1 and len(aside(root, "events")) == 2


def test_missing_numbers_of_a_parquet_file_are_missing_and_infinite_ones_are_faults(ops, root, tmp_path):
    rows = [event("e1", amount=float("nan")), event("e2", amount=float("inf")), event("e3", amount=1.5)]
    ops("load", "events", write(tmp_path / "a.parquet", rows))
    assert {r["event_id"]: r["amount"] for r in stored(root, "events")} == {"e1": None, "e3": 1.5}
    assert aside(root, "events")[0]["reason"] == "amount is not a finite number, got inf"


def test_whole_numbers_may_be_floats_and_fractions_are_faults(ops, root, tmp_path):
    ops("load", "events", write(tmp_path / "a.parquet", [event("e1", position=3.0), event("e2", position=3.7)]))
    assert [r["position"] for r in stored(root, "events")] == [3]
    assert aside(root, "events")[0]["reason"] == "position is not a whole number, got 3.7"


@pytest.mark.parametrize(
    "table, row, reason",
    [
        ("orders", {"order_id": "o", "user_id": "u", "paid_at": "2026-01-05", "amount": 5, "refunded": 6}, "refunded is more than amount, got 6.0"),
        ("orders", {"order_id": "o", "user_id": "u", "paid_at": "2026-01-05", "amount": -1}, "amount is below 0, got -1.0"),
        ("campaigns", {"campaign_id": "c", "name": "n", "starts_at": "2026-01-05", "ends_at": "2026-01-05"}, "ends_at is not after starts_at, got 2026-01-05 00:00:00"),
        ("content", {"content_id": "c", "published_at": "2026-01-05", "originality": 1.5}, "originality is above 1, got 1.5"),
        ("feedback", {"feedback_id": "f", "ts": "2026-01-05", "source": "review", "score": 11}, "score is above 10, got 11"),
        ("spend", {"day": "5 January", "channel": "seo", "kind": "free", "cost": 1}, "day is not a date, got 5 January"),
        ("users", user(at="2031-01-01"), "registered_at is more than 24 h ahead of the clock, got 2031-01-01 00:00:00"),
    ],
)  # fmt: skip
def test_every_rule_of_the_contract_is_held(ops, root, tmp_path, table, row, reason):
    code, _ = ops("load", table, write(tmp_path / "rows.jsonl", [row]))
    assert code == 3 and [put["reason"] for put in aside(root, table)] == [reason]


def test_what_is_planned_may_lie_ahead(ops, root, tmp_path):
    row = {"campaign_id": "c", "name": "n", "starts_at": "2031-01-05", "ends_at": "2031-02-05"}
    assert ops("load", "campaigns", write(tmp_path / "rows.jsonl", [row]))[0] == 0


def test_an_empty_table_is_no_fault_and_is_said(ops, root, tmp_path):
    for path in (text(tmp_path / "a.csv", HEAD), tmp_path / "a.parquet"):
        if path.suffix == ".parquet":
            pq.write_table(pa.table({name: pa.array([], pa.string()) for name in HEAD.split(",")}), path)
        assert ops("load", "events", path) == (
            0,
            f"events: read 0 = 0 new + 0 already there + 0 put aside. {path.name} holds no rows; export it again if it should",
        )
    assert not stored(root, "events")


# Texts as they come


ENCODINGS = ["utf-8-sig", "gbk", "utf-16", "utf-16-be-bom"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encodings_and_line_ends_of_other_systems_are_read(ops, root, tmp_path, encoding, end):
    lines = [
        HEAD + ",渠道",
        GOOD + ",微信公众号",
        '"e2",u2,pay,2026-01-05 10:00:00,"小红书,推荐"',
        "",
        "e3,u3,支付,2026-01-05 10:00:00,抖音",
    ]
    path = tmp_path / "导出.csv"
    if encoding == "utf-16-be-bom":
        path.write_bytes(b"\xfe\xff" + end.join(lines).encode("utf-16-be"))
    else:
        text(path, *lines, encoding=encoding, end=end)
    code, said = ops("load", "events", path)
    assert code == 0 and "3 new" in said
    assert {r["渠道"] for r in stored(root, "events")} == {"微信公众号", "小红书,推荐", "抖音"}
    assert ("was read as" in said) == (encoding != "utf-8-sig")


def test_a_broken_line_of_a_utf_8_file_is_put_aside_and_the_others_are_read(ops, root, tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(
        "\n".join([HEAD, GOOD.replace("u1", "用户"), ""]).encode()
        + b"e2,u\xff\xfe,pay,2026-01-05 10:00:00\n"
        + b"e3,u3,pay,2026-01-05 10:00:00\n"
    )
    assert ops("load", "events", path)[0] == 0
    assert {r["event_id"] for r in stored(root, "events")} == {"e1", "e3"}
    put = aside(root, "events")[0]
    assert put["line"] == 3 and put["reason"] == "the line is not valid UTF-8, got byte 0xff" and "e2" in put["row"]


def test_quoted_line_breaks_are_values_and_lines_still_count(ops, root, tmp_path):
    path = text(
        tmp_path / "a.csv",
        HEAD + ",note",
        'e1,u1,pay,2026-01-05 10:00:00,"one\ntwo ""three"",\n\nfour"',
        "e2,,pay,2026-01-05 10:00:00,x",
    )
    ops("load", "events", path)
    assert [r["note"] for r in stored(root, "events")] == ['one\ntwo "three",\n\nfour']
    assert aside(root, "events")[0]["line"] == 6


def test_stray_quotes_break_their_own_line_only(ops, root, tmp_path):
    lines = [
        HEAD + ",note",
        'e1,u1,pay,2026-01-05 10:00:00,5" screen',  # a quote inside a value is a character
        'e2,u2,pay,2026-01-05 10:00:00,7" screen',
        'e3,u3,pay,2026-01-05 10:00:00,"opens and does not close',
        "e4,u4,pay,2026-01-05 10:00:00,good",
        'e5,u5,pay,2026-01-05 10:00:00,"closes" too early',
        "e6,u6,pay,2026-01-05 10:00:00,good",
    ]
    code, said = ops("load", "events", text(tmp_path / "a.csv", *lines))
    assert code == 0 and "read 6 = 4 new + 0 already there + 2 put aside" in said
    assert {r["event_id"]: r["note"] for r in stored(root, "events")} == {
        "e1": '5" screen',
        "e2": '7" screen',
        "e4": "good",
        "e6": "good",
    }
    assert {put["line"]: (put["reason"], put["row"]) for put in aside(root, "events")} == {
        4: ("a quote opens and does not close", lines[3]),
        6: ("a quote stands where none may", lines[5]),
    }


def test_ragged_rows_are_put_aside(ops, root, tmp_path):
    lines = [HEAD, GOOD, "e2,u2,pay", "e3,u3,pay,2026-01-05 10:00:00,more", ",,,"]
    assert ops("load", "events", text(tmp_path / "a.csv", *lines))[0] == 0
    reasons = {put["line"]: put["reason"] for put in aside(root, "events")}
    assert (
        reasons[3] == "the row has 3 fields and the header 4" and reasons[4] == "the row has 5 fields and the header 4"
    )
    assert reasons[5].startswith("event_id is missing; user_id is missing")


def test_lines_that_are_no_json_objects_are_put_aside(ops, root, tmp_path):
    lines = [json.dumps(event("e1")), "{", "null", "5", '"x"', '{"event_id": "\\ud800"}', json.dumps(event("e2")), "  "]
    code, said = ops("load", "events", text(tmp_path / "a.jsonl", *lines))
    assert code == 0 and "read 7 = 2 new + 0 already there + 5 put aside" in said
    assert {put["line"]: put["row"] for put in aside(root, "events")} == dict(zip(range(2, 7), lines[1:6], strict=True))


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_the_delimiter_is_the_header_s(ops, root, tmp_path, delimiter):
    path = text(tmp_path / "a.txt", HEAD.replace(",", delimiter), GOOD.replace(",", delimiter))
    assert ops("load", "events", path)[0] == 0 and len(stored(root, "events")) == 1


def test_a_line_of_200_mb_is_put_aside_whole(ops, root, tmp_path):
    path = tmp_path / "a.csv"
    size = 200 * 2**20
    with path.open("wb") as file:
        file.write(f"{HEAD}\n{GOOD}\ne2,u2,".encode())
        file.write(b"x" * size)
        file.write(b",2026-01-05 10:00:00\ne3,u3,pay,2026-01-05 10:00:00\n")
    code, said = ops("load", "events", path)
    assert code == 0 and "a.csv line 3: the line is longer than 16,777,216 bytes, got 209,715,226" in said
    assert {r["event_id"] for r in stored(root, "events")} == {"e1", "e3"}
    assert len(aside(root, "events")[0]["row"]) == size + 26


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6) | st.sampled_from(
    ['"', '""', ",", "\n", '",', "a\r\nb", "\\", "=1+1"]
)


@settings(max_examples=15)
@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=12))
def test_whatever_a_csv_file_holds_comes_out_as_it_was(tmp_path_factory, cells):
    folder = tmp_path_factory.mktemp("csv")
    rows = [event(f"e{n}", one=one, two=two) for n, (one, two) in enumerate(cells)]
    report = opslib.load("events", write(folder / "a.csv", rows), folder / "w")
    assert report.read == report.new == len(rows)
    plain = {r["event_id"]: (r["one"] or "", r["two"] or "") for r in stored(folder / "w", "events")}
    assert plain == {row["event_id"]: (row["one"], row["two"]) for row in rows}


@settings(max_examples=15)
@given(st.binary(max_size=200), st.sampled_from([".csv", ".jsonl"]))
def test_no_bytes_at_all_make_a_load_fail_otherwise_than_in_one_line(tmp_path_factory, noise, suffix):
    """Every line of the noise is a row, is put aside, or is blank; or the file is refused."""
    folder = tmp_path_factory.mktemp("noise")
    good = GOOD if suffix == ".csv" else json.dumps(event())
    (folder / f"a{suffix}").write_bytes(
        (HEAD + "\n" if suffix == ".csv" else "").encode() + f"{good}\n".encode() + noise
    )
    try:
        report = opslib.load("events", folder / f"a{suffix}", folder / "w")
    except opslib.errors.OpsError as error:
        assert "\n" not in str(error)
    else:
        assert report.read == report.new + report.already_there + report.quarantined >= 1
        assert len(aside(folder / "w", "events")) <= report.quarantined
