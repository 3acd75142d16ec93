"""The identity map: events of an alias count as the user's, also those loaded earlier."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loading import NOW, aside, daily, event, keys, rolled_up, stored, user, write

import opslib
from opslib import cli, warehouse
from opslib.errors import ContractError

pytestmark = pytest.mark.usefixtures("quick_disk")


@pytest.fixture
def root(tmp_path):
    return tmp_path / "warehouse"


def load(root: Path, rows: list[dict], table: str = "events", **more) -> opslib.LoadReport:
    return opslib.load(table, write(root.parent / "rows.jsonl", rows) if rows else [], root, now=NOW, **more)


def owners(root: Path, table: str = "events", id: str = "event_id") -> dict[str, tuple]:
    found = stored(root, table)
    known = keys(root)
    assert all(row["user_key"] == known[row["user_id"]] for row in found)
    return {row[id]: (row["user_id"], row.get("user_alias")) for row in found}


def test_events_of_an_alias_count_as_the_user_s_in_this_load_and_in_earlier_ones(root):
    load(root, [event("e1", "device"), event("e2", "u1"), event("e3", "other")])
    report = load(root, [event("e4", "device"), event("e5", "u1")], identity={"device": "u1"})
    assert report.new == 2 and "1 earlier rows" in report.notes[0]
    assert owners(root) == {
        "e1": ("u1", "device"), "e2": ("u1", None), "e3": ("other", None), "e4": ("u1", "device"), "e5": ("u1", None),
    }  # fmt: skip
    assert daily(root) == rolled_up(stored(root, "events"))


def test_the_map_is_remembered(root):
    load(root, [event("e1", "u1")], identity={"device": "u1"})
    load(root, [event("e2", "device")])
    assert owners(root)["e2"] == ("u1", "device")


def test_loading_the_same_file_again_after_the_map_changes_nothing(root):
    rows = [event("e1", "device"), event("e2", "device", name="open")]
    load(root, rows)
    report = load(root, rows, identity={"device": "u1"})
    assert (report.new, report.already_there, report.quarantined) == (0, 2, 0)


def test_a_map_alone_may_be_given(root):
    load(root, [event("e1", "device")])
    report = load(root, [], identity={"device": "u1"})
    assert report.read == 0 and owners(root) == {"e1": ("u1", "device")}


def test_a_chain_is_followed_to_its_end_and_a_newer_entry_wins(root):
    load(root, [event("e1", "a"), event("e2", "b"), event("e3", "c")])
    load(root, [], identity={"a": "b"})
    load(root, [], identity={"b": "c"})
    assert owners(root) == {"e1": ("c", "a"), "e2": ("c", "b"), "e3": ("c", None)}
    load(root, [], identity={"b": "d"})
    assert owners(root) == {"e1": ("d", "a"), "e2": ("d", "b"), "e3": ("c", None)}
    load(root, [], identity={"b": "b"})
    assert owners(root) == {"e1": ("b", "a"), "e2": ("b", None), "e3": ("c", None)}
    assert daily(root) == rolled_up(stored(root, "events"))


def test_the_other_tables_of_a_user_follow_and_accounts_stay(root):
    load(root, [user("device"), user("u1")], "users")
    load(root, [{"order_id": "o1", "user_id": "device", "paid_at": "2026-01-05 10:00:00", "amount": 1.0}], "orders")
    load(root, [{"feedback_id": "f1", "ts": "2026-01-05 10:00:00", "source": "review"}], "feedback")
    load(root, [], identity={"device": "u1"})
    assert owners(root, "orders", "order_id") == {"o1": ("u1", "device")}
    assert {row["user_id"] for row in stored(root, "users")} == {"device", "u1"}
    assert stored(root, "feedback")[0]["user_id"] is None
    load(
        root, [{"feedback_id": "f1", "ts": "2026-01-05 10:00:00", "source": "review", "user_id": "device"}], "feedback"
    )
    assert owners(root, "feedback", "feedback_id") == {"f1": ("u1", "device")}


def test_a_user_seen_in_one_variant_under_two_ids_is_there_once(root):
    def seen(id: str, ts: str) -> dict:
        return {"experiment_id": "x", "user_id": id, "variant": "a", "ts": ts}

    load(
        root,
        [seen("u1", "2026-01-06 10:00:00"), seen("device", "2026-01-05 10:00:00"), seen("u2", "2026-01-05 10:00:00")],
        "exposures",
    )
    load(root, [], identity={"device": "u1"})
    found = {row["user_id"]: row["ts"] for row in stored(root, "exposures")}
    assert found == {"u1": dt.datetime(2026, 1, 5, 10), "u2": dt.datetime(2026, 1, 5, 10)}
    assert [row["reason"] for row in aside(root, "exposures")] == [
        "conflict: another row has the key with other values, got experiment_id+user_id+variant x+u1+a"
    ]


def test_only_the_months_of_the_alias_are_rewritten(root):
    load(root, [event("e1", "device", ts="2026-01-05 10:00:00"), event("e2", "u2", ts="2026-02-05 10:00:00")])
    before = warehouse.read(root).tables
    load(root, [], identity={"device": "u1"})
    after = warehouse.read(root).tables
    for table in ("events", "daily"):
        changed = [
            old.month
            for old, new in zip(before[table], sorted(after[table], key=lambda p: p.month), strict=True)
            if old != new
        ]
        assert changed == ["2026-01"]
        assert [(p.rows, p.first_day, p.last_day) for p in sorted(after[table], key=lambda p: p.month)] == [
            (1, "2026-01-05", "2026-01-05"), (1, "2026-02-05", "2026-02-05"),
        ]  # fmt: skip


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_map_comes_as_a_file(root, tmp_path, suffix, capsys):
    path = write(tmp_path / f"same{suffix}", [{"alias": "device", "user_id": "u1", "seen": "x"}])
    rows = write(tmp_path / "rows.csv", [event("e1", "device")])
    assert cli.main(["load", "events", str(rows), "--source", str(root), "--identity", str(path)]) == 0
    assert f"same{suffix}: 1 aliases" in capsys.readouterr().out
    assert owners(root) == {"e1": ("u1", "device")}


@pytest.mark.parametrize(
    "text, words",
    [
        ("alias,user\nd,u1\n", "same.csv: an identity map needs the column 'user_id'"),
        ("alias,user_id\nd,u1\nd,u2\n", "same.csv: the alias 'd' is given to 'u1' and to 'u2'"),
        ("alias,user_id\nd,u1\nx,\n", "same.csv line 3: an id is missing"),
        ("alias,user_id\nd,u1\ne,NaN\n", "same.csv line 3: 'e' → 'NaN' names no user"),
        ("alias,user_id\nd,u1,x\n", "same.csv line 2: the row has 3 fields and the header 2"),
        ("alias,user_id\na,b\nb,c\nc,a\n", "the aliases around 'a' form a circle"),
    ],
)
def test_a_map_that_cannot_be_followed_changes_nothing(root, tmp_path, text, words):
    load(root, [event("e1", "d")])
    before = warehouse.read(root)
    (tmp_path / "same.csv").write_text(text)
    with pytest.raises(ContractError) as error:
        load(root, [event("e2", "d")], identity=tmp_path / "same.csv")
    assert words in str(error.value)
    assert warehouse.read(root) == before


IDS = st.sampled_from("abcd")


@settings(max_examples=12)
@given(
    st.lists(
        st.one_of(
            st.lists(st.tuples(IDS, st.integers(1, 60)), min_size=1, max_size=4),
            st.dictionaries(IDS, IDS, min_size=1, max_size=2),
        ),
        min_size=2,
        max_size=6,
    )
)
def test_any_order_of_events_and_maps_is_the_last_map_over_all_events(steps):
    """Loading, mapping, loading, mapping … ends where loading everything and following the last map would."""
    with tempfile.TemporaryDirectory() as folder:
        root, sent, links = Path(folder) / "w", {}, {}
        for step in steps:
            if isinstance(step, dict):
                if circular(links | step):
                    with pytest.raises(ContractError, match="circle"):
                        load(root, [], identity=step)
                    continue
                links |= step
                load(root, [], identity=step)
            else:
                day = dt.datetime(2026, 1, 1)
                rows = [
                    event(f"e{len(sent) + n}", id, ts=str(day + dt.timedelta(days=d))) for n, (id, d) in enumerate(step)
                ]
                sent |= {row["event_id"]: row["user_id"] for row in rows}
                load(root, rows)
        if sent:
            assert {id: user for id, (user, _) in owners(root).items()} == {id: end(links, u) for id, u in sent.items()}
            assert daily(root) == rolled_up(stored(root, "events"))


def end(links: dict[str, str], id: str) -> str:
    while links.get(id, id) != id:
        id = links[id]
    return id


def circular(links: dict[str, str]) -> bool:
    for id in links:
        seen = [id]
        while links.get(seen[-1], seen[-1]) != seen[-1]:
            seen.append(links[seen[-1]])
            if seen[-1] in seen[:-1]:
                return True
    return False
