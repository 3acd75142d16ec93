"""Where tables live: a warehouse folder, or another engine behind a URL; and what of them breaks the contract."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import duckdb
import ibis
import pytest
from loading import NOW, event, user, write

import opslib
from opslib import cli, columns, contract, engine, ledger
from opslib.errors import ContractError, OpsError, TooLittleError, UsageError
from opslib.text import speaking

pytestmark = pytest.mark.usefixtures("quick_disk")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A warehouse with two months of events of two users."""
    root = tmp_path_factory.mktemp("engine") / "warehouse"
    rows = [
        event(f"e{n}", f"u{n % 2}", ts=f"2026-0{1 + n % 2}-{1 + n:02d} 10:00:00", amount=1.5 * n) for n in range(20)
    ]
    opslib.load("events", write(root.parent / "events.csv", rows), root, now=NOW)
    opslib.load("users", write(root.parent / "users.csv", [user("u0"), user("u1")]), root, now=NOW)
    return root


@pytest.fixture
def elsewhere(tmp_path):
    """A database of somebody else: SQL in, the URL out."""

    def make(sql: str) -> str:
        path = tmp_path / "theirs.db"
        with duckdb.connect(str(path)) as con:
            con.execute(sql)
        return f"duckdb://{path}"

    return make


EVENTS = """
CREATE TABLE events AS SELECT 'e' || n AS event_id, 'u' || n % 3 AS user_id, 'pay' AS event,
    TIMESTAMP '2026-01-05' + n * INTERVAL 1 HOUR AS ts, DATE '2026-01-05' AS day, n * 1.0 AS amount FROM range(10) t(n);
"""


# The pinned versions work together


def test_the_engine_connects_lists_creates_drops_caches_and_writes(tmp_path):
    con = ibis.duckdb.connect()
    con.create_table("plain", ibis.memtable({"a": [1, 2, 3]}))
    con.create_view("seen", con.table("plain").filter(ibis._.a > 1))
    assert {"plain", "seen"} <= set(con.list_tables())
    assert con.sql("SELECT sum(a) AS s FROM plain").to_pandas()["s"].tolist() == [6]
    cached = con.table("seen").mutate(b=ibis._.a * 2).cache()
    assert sorted(cached.to_pandas()["b"]) == [4, 6]
    con.table("plain").order_by("a").to_parquet(tmp_path / "a.parquet")
    assert con.read_parquet(tmp_path / "a.parquet").to_pandas()["a"].tolist() == [1, 2, 3]
    con.drop_view("seen")
    con.drop_table("plain")
    assert not {"plain", "seen"} & set(con.list_tables())


# A folder


def test_a_folder_s_tables_have_the_contract_s_types(folder):
    tables = engine.connect(folder)
    for name in contract.TABLES:
        schema = getattr(tables, name).schema()
        for column, kind in contract.types(name).items():
            assert str(schema[column]).replace("timestamp(6)", "timestamp") == kind.replace(
                "timestamp(6)", "timestamp"
            ), (name, column)
    assert tables.events.count().to_pandas() == 20 and tables.orders.count().to_pandas() == 0
    assert tables.has("events", "users", "daily") and not tables.has("events", "orders")


def test_a_folder_s_tables_are_what_the_engine_s_own_reading_finds(folder):
    tables = engine.connect(folder)
    for name in ("events", "users", "daily"):
        assert getattr(tables, name).equals(tables.con.table(name))


def test_users_are_grouped_by_their_numbers_without_a_hash(tmp_path):
    rows = [event(f"e{n}", f"u{n}") for n in range(5000)]  # more than the engine would do so on its own
    opslib.load("events", write(tmp_path / "events.csv", rows), tmp_path / "w", now=NOW)
    tables = opslib.connect(tmp_path / "w")
    for table in (tables.events, contract.marked(tables.daily)):
        counted = table.group_by("user_key").agg(rows=ibis._.count())
        plan = tables.con.raw_sql(f"EXPLAIN {ibis.to_sql(counted)}").fetchall()[0][1]
        assert "PERFECT_HASH_GROUP_BY" in plan
        assert set(counted.to_pandas()["rows"]) == {1}


def test_a_folder_without_a_warehouse_says_how_to_make_one(tmp_path):
    with pytest.raises(ContractError, match="里没有数据仓库；请先载入数据：opslib load events 文件"):
        engine.connect(tmp_path)


def test_a_table_that_there_is_not_is_named(folder):
    with pytest.raises(UsageError, match="did you mean 'events'"):
        _ = engine.connect(folder).evnts


def test_a_report_says_which_table_it_needs(folder):
    tables = engine.connect(folder)
    tables.need("events", "daily")
    with (
        speaking("en"),
        pytest.raises(TooLittleError, match="needs the table orders, spend; run opslib load orders FILE"),
    ):
        tables.need("events", "orders", "spend")
    with speaking("zh"), pytest.raises(TooLittleError, match="缺少数据表 orders"):
        tables.need("orders")


def test_an_event_that_never_happens_is_refused_with_the_near_miss(folder):
    tables, name = engine.connect(folder), event("e")["event"]
    with speaking("en"):
        called = re.escape(columns.event_name(name))
    tables.need_events(name, {"event": [name]}, {"where": {"platform": "ios"}}, None)
    with pytest.raises(UsageError, match=f"no event “{name}s” in the data; did you mean “{name}”"), speaking("en"):
        tables.need_events(name, {"event": f"{name}s"})
    with pytest.raises(TooLittleError, match=f"no event “zzz” in the data, there are {called}"), speaking("en"):
        tables.need_events("zzz")
    with pytest.raises(TooLittleError, match=f"no event “zzz”, “qqq” in the data, there are {called}"), speaking("en"):
        tables.need_events("zzz", name, "qqq", "zzz")
    with pytest.raises(TooLittleError, match="数据里没有事件「签到（check_in）」，有的是"), speaking("zh"):
        tables.need_events("check_in")


def test_the_head_of_a_page_names_an_event_that_never_happens(folder):
    tables, name = engine.connect(folder), event("e")["event"]
    with speaking("en"):
        assert ledger.freshness(tables, name) == ledger.freshness(tables)
        assert ledger.freshness(tables, f"{name}s").endswith(
            f"; no event “{name}s” in the data; did you mean “{name}”?"
        )
        assert ledger.freshness(tables, "zzz").endswith("; no event “zzz” in the data")


def test_the_span_ends_with_the_last_day_that_was_observed_to_its_end(folder, tmp_path):
    assert engine.connect(folder).span() == (dt.date(2026, 1, 1), dt.date(2026, 2, 20))
    rows = [
        event("e1", ts="2026-02-27 10:00:00"),
        event("e2", ts="2026-03-01 11:00:00"),
        event("e3", ts="2026-03-02 11:00:00"),
    ]
    opslib.load("events", write(tmp_path / "a.csv", rows), tmp_path / "w", now=NOW)  # noon of 1 March, UTC
    assert engine.connect(tmp_path / "w").span() == (dt.date(2026, 2, 27), dt.date(2026, 2, 28))
    with pytest.raises(TooLittleError):
        engine.connect(folder).span("orders")


def test_a_later_load_of_another_table_does_not_make_half_a_day_of_events_whole(tmp_path):
    opslib.load(
        "events",
        write(tmp_path / "a.csv", [event("e1", ts="2026-02-27 10:00:00"), event("e2", ts="2026-03-01 11:00:00")]),
        tmp_path / "w",
        now=NOW,
    )
    opslib.load("users", write(tmp_path / "u.csv", [user("u1")]), tmp_path / "w", now=NOW + dt.timedelta(days=3))
    assert engine.connect(tmp_path / "w").span()[1] == dt.date(2026, 2, 28)


def test_a_table_that_falls_silent_for_longer_than_ever_has_ended_and_a_quiet_one_has_not(tmp_path):
    days = [1, 2, 3, 5, 6, 7, 8, 9, 10]  # never silent for more than a day
    rows = [{"order_id": f"o{d}", "user_id": "u1", "paid_at": f"2026-02-{d:02d} 04:00:00", "amount": 5} for d in days]
    opslib.load("orders", write(tmp_path / "o.csv", rows), tmp_path / "w", now=NOW)
    tables = engine.connect(tmp_path / "w")
    assert tables.observed("orders", dt.date(2026, 2, 12)) == dt.date(2026, 2, 12)
    assert tables.observed("orders", dt.date(2026, 2, 13)) == dt.date(2026, 2, 10)
    assert tables.observed("orders", dt.date(2026, 2, 8)) == dt.date(2026, 2, 8)
    assert tables.observed("spend", dt.date(2026, 2, 13)) == dt.date(2026, 2, 13), (
        "a table that is not there says nothing"
    )


def test_a_period_has_days_in_common_with_the_data_or_is_refused(folder):
    tables = engine.connect(folder)
    tables.within("2026-02-20", "2026-03-31")
    with (
        speaking("en"),
        pytest.raises(
            TooLittleError, match="no data from 2026-03-01 to 2026-03-31; the data runs from 2026-01-01 to 2026-02-20"
        ),
    ):
        tables.within("2026-03-01", "2026-03-31")
    with pytest.raises(UsageError, match="到 2026-01-01 结束，早于开始的 2026-01-31；请对调"):
        tables.within("2026-01-31", "2026-01-01")
    with pytest.raises(UsageError, match="end 要写成 2026-01-31 这样的日期，现在是「2026-02-30」"):
        tables.within("2026-01-01", "2026-02-30")


def test_the_fingerprint_is_the_data_s(folder):
    assert engine.connect(folder).fingerprint == engine.connect(folder).fingerprint


def test_the_memory_of_a_report_is_a_number(folder, monkeypatch):
    monkeypatch.setenv(engine.MEMORY, "500")
    con = engine.connect(folder).con
    assert "476" in con.raw_sql("SELECT current_setting('memory_limit')").fetchall()[0][0]
    for asked, held in ((400, "381"), (600, "476")):  # a report may be content with less, never take more
        con = engine.connect(folder, memory_mb=asked).con
        assert held in con.raw_sql("SELECT current_setting('memory_limit')").fetchall()[0][0]
    monkeypatch.setenv(engine.MEMORY, "a lot")
    with pytest.raises(UsageError, match="must be a number of megabytes"):
        engine.connect(folder)


def test_a_report_that_is_told_nothing_stays_below_four_gigabytes(folder, monkeypatch):
    monkeypatch.delenv(engine.MEMORY, raising=False)
    limit = engine.connect(folder).con.raw_sql("SELECT current_setting('memory_limit')").fetchall()[0][0]
    number, unit = limit.split()
    assert unit == "MiB" or (unit == "GiB" and float(number) <= 3.3), limit


# A URL


def test_another_engine_s_tables_are_completed(elsewhere):
    tables = engine.connect(elsewhere(EVENTS))
    assert set(contract.types("events")) <= set(tables.events.columns)
    assert tables.events.campaign_id.notnull().sum().to_pandas() == 0
    assert tables.span() == (dt.date(2026, 1, 5), dt.date(2026, 1, 5))
    assert tables.has("events") and not tables.has("users")
    found = tables.daily.order_by("user_id").to_pandas()
    assert found[["user_id", "n", "amount"]].values.tolist() == [["u0", 4, 18.0], ["u1", 3, 12.0], ["u2", 3, 15.0]]


def test_another_engine_s_table_that_lacks_a_key_is_refused(elsewhere):
    url = elsewhere(EVENTS + "ALTER TABLE events RENAME user_id TO userid")
    with pytest.raises(ContractError, match="数据表 events 缺少列「user_id」；是不是「userid」"):
        _ = engine.connect(url).events


def test_the_fingerprint_of_an_engine_follows_its_data(elsewhere):
    before = engine.connect(elsewhere(EVENTS)).fingerprint
    assert engine.connect(elsewhere("SELECT 1")).fingerprint == before
    assert (
        engine.connect(
            elsewhere("INSERT INTO events SELECT 'e99', user_id, event, ts, day, amount FROM events LIMIT 1")
        ).fingerprint
        != before
    )


SECRET = "s3cr/t@ö"


def test_a_password_comes_from_the_environment(monkeypatch):
    asked = []
    monkeypatch.setenv("PGPASSWORD", SECRET)
    monkeypatch.setattr(ibis, "connect", lambda url, **more: asked.append(url))
    tables = engine.connect("postgres://reader:${PGPASSWORD}@host/db")
    assert asked == ["postgres://reader:s3cr%2Ft%40%C3%B6@host/db"]
    assert SECRET not in tables.source and "s3cr" not in repr(tables)


def test_a_variable_that_is_not_set_is_named(monkeypatch):
    monkeypatch.delenv("PGPASSWORD", raising=False)
    with pytest.raises(UsageError, match="没有设置环境变量 PGPASSWORD；"):
        engine.connect("postgres://reader:${PGPASSWORD}@host/db")


@pytest.mark.parametrize(
    "url", ["postgres://reader:${PGPASSWORD}@host/db?sslmode=require", "clickhouse://${PGPASSWORD}@host/db"]
)
def test_no_message_holds_a_secret(monkeypatch, url):
    def refuse(url: str, **more: object) -> None:
        raise RuntimeError(f"connection to {url} failed, password {SECRET}")

    monkeypatch.setenv("PGPASSWORD", SECRET)
    monkeypatch.setattr(ibis, "connect", refuse)
    with pytest.raises(OpsError) as error:
        engine.connect(url)
    assert "s3cr" not in str(error.value) and error.value.__suppress_context__
    assert str(error.value).startswith(f"连不上 {url.split(':')[0]}://host/db（RuntimeError）；请检查")


@pytest.mark.parametrize(
    "url",
    ["postgres://reader:hunter2@host/db", "postgres://reader:hun/ter2@host/db", "snowflake://host/db?token=hunter2"],
)
def test_a_password_in_the_url_itself_is_refused_and_not_repeated(url):
    with pytest.raises(UsageError, match="holds a password; name an environment variable instead") as error:
        engine.connect(url)
    assert "hunter2" not in str(error.value) and "ter2" not in str(error.value)


def test_an_engine_that_there_is_not_is_said(capsys):
    assert cli.main(["check", "--source", "oracel://host/db"]) == 1
    assert "cannot connect to oracel://host/db" in capsys.readouterr().err


# Problems


def problems(url: str, name: str) -> dict[str, tuple]:
    with speaking("en"):
        return {p.what: (p.count, p.share, p.examples) for p in engine.check(engine.connect(url), name)}


def test_what_a_load_let_in_has_no_problem(folder, capsys):
    tables = engine.connect(folder)
    assert not [p for name in contract.TABLES if tables.has(name) for p in engine.check(tables, name)]
    assert cli.main(["check", "--source", str(folder)]) == 0
    assert "3 tables checked (events, users, daily): 0 problems" in capsys.readouterr().out


def test_problems_come_with_count_share_and_examples(elsewhere):
    url = elsewhere(
        EVENTS
        + """
        UPDATE events SET event_id = 'e0' WHERE event_id IN ('e1', 'e2');
        UPDATE events SET user_id = NULL WHERE event_id = 'e3';
        ALTER TABLE events ADD COLUMN duration_s DOUBLE;
        UPDATE events SET duration_s = CASE WHEN event_id IN ('e4', 'e5') THEN -amount ELSE 1 END;
        """
    )
    assert problems(url, "events") == {
        "the key event_id is not unique": (2, 0.2, ("e0",)),
        "user_id is missing": (1, 0.1, ()),
        "duration_s is below 0": (2, 0.2, ("-4.0", "-5.0")),
    }


def test_a_key_of_several_columns_and_rules_between_columns(elsewhere):
    url = elsewhere(
        """
        CREATE TABLE spend AS SELECT DATE '2026-01-05' AS day, * FROM (VALUES
            ('a', 'bc', NULL, 1.0, 5), ('ab', 'c', NULL, 1.0, 5), ('a', 'bc', NULL, -2.0, 5), ('a', 'bc', '', 1.0, -1)
        ) t(channel, kind, campaign_id, cost, clicks);
        CREATE TABLE orders AS SELECT 'o1' AS order_id, 'u' AS user_id, TIMESTAMP '2026-01-05' AS paid_at,
            DATE '2026-01-05' AS paid_day, 5.0 AS amount, 6.0 AS refunded;
        """
    )
    assert problems(url, "spend") == {
        "the key day+channel+kind+campaign_id is not unique": (1, 0.25, ("2026-01-05+a+bc+",)),
        "cost is below 0": (1, 0.25, ("-2.0",)),
        "clicks is below 0": (1, 0.25, ("-1",)),
    }
    assert problems(url, "orders") == {"refunded is more than amount": (1, 1.0, ("6.0",))}


def test_a_column_of_another_type_is_a_problem_and_not_a_crash(elsewhere):
    retyped = "ALTER TABLE events ALTER amount TYPE VARCHAR; ALTER TABLE events ADD COLUMN duration_s VARCHAR"
    found = problems(elsewhere(EVENTS + retyped), "events")
    assert list(found) == ["amount is string, not float"]
    count, share, examples = found["amount is string, not float"]
    assert (count, share) == (10, 1.0) and len(examples) == 5 and set(examples) <= {f"{n}.0" for n in range(10)}


def test_a_table_that_is_required_may_not_be_empty(elsewhere):
    url = elsewhere(
        EVENTS
        + "DELETE FROM events; CREATE TABLE touches AS SELECT '' AS touch_id, '' AS user_id, TIMESTAMP '2026-01-05' AS ts, DATE '2026-01-05' AS day, '' AS channel WHERE false"
    )
    assert problems(url, "events") == {"no rows": (0, 0.0, ())} and problems(url, "touches") == {}


def test_a_problem_is_one_sentence_in_the_reader_s_language():
    problem = engine.Problem("events", "amount is below 0", 1234, 0.0123, ("-1", "-2"))
    with speaking("en"):
        assert problem.sentence() == "events: amount is below 0 in 1,234 rows (1.23%), such as -1, -2"
    with speaking("zh"):
        assert problem.sentence() == "events：amount is below 0，1,234 行（1.23%），例如 -1, -2"


def test_a_slip_in_the_name_of_a_warehouse_names_the_one_beside_it(folder):
    with speaking("en"), pytest.raises(ContractError, match=r"holds no warehouse; did you mean .warehouse."):
        engine.connect(folder.parent / "warehuose")
    with speaking("en"), pytest.raises(ContractError, match="load data first"):
        engine.connect(folder.parent / "another")
