"""Lists of an earlier run, read back by the next one."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opslib.report import earlier, write_list

pytestmark = pytest.mark.filterwarnings("ignore")


def left_behind(root: Path, run: str, frame: pd.DataFrame, monkeypatch, **changed) -> Path:
    """A finished run's folder with the list `recall`."""
    folder = root / changed.pop("module", "users_of_tea") / run
    folder.mkdir(parents=True)
    monkeypatch.setenv("OPSLIB_RUN_DIR", str(folder))
    write_list("recall", frame)
    record = {"status": "ok", "source": "data/tea", "period": "2026-05-04 至 2026-05-31", "started": run[:8]}
    (folder / "run.json").write_text(json.dumps(record | changed), encoding="utf-8")
    return folder


def asking(root: Path, monkeypatch, source: str = "data/tea") -> None:
    """As the runner sets the stage for a run in progress."""
    monkeypatch.setenv("OPSLIB_RUN_DIR", str(root / ".aside" / "users_of_tea-20260701T000000000-abc123-77"))
    monkeypatch.setenv("OPSLIB_RUN_SOURCE", source)


PEOPLE = pd.DataFrame(
    {"user_id": ["007", "=1+1"], "reason": ["久未到访", "-"], "priority": [1, 2], "holdout": [True, False]}
)


def test_a_run_reads_the_list_of_the_last_good_run_before_it(tmp_path, monkeypatch):
    left_behind(tmp_path, "20260501T000000000-a", PEOPLE.head(1), monkeypatch)
    left_behind(tmp_path, "20260601T000000000-b", PEOPLE, monkeypatch)
    left_behind(tmp_path, "20260602T000000000-c", PEOPLE.head(0), monkeypatch, status="failed")
    left_behind(tmp_path, "20260603T000000000-d", PEOPLE.head(0), monkeypatch, source="data/coffee")
    asking(tmp_path, monkeypatch)
    found = earlier("recall")
    assert list(found.user_id) == ["007", "=1+1"] and list(found.reason) == ["久未到访", "-"]
    assert list(found.priority) == [1, 2] and list(found.holdout) == [True, False]
    assert found.attrs["run"] == "20260601T000000000-b" and found.attrs["end"] == "2026-05-31"


def test_a_report_run_twice_does_not_read_itself(tmp_path, monkeypatch):
    left_behind(tmp_path, "20260501T000000000-a", PEOPLE.head(1), monkeypatch, period="2026-04-06 to 2026-05-03")
    left_behind(tmp_path, "20260601T000000000-b", PEOPLE, monkeypatch)
    asking(tmp_path, monkeypatch)
    assert len(earlier("recall", before="2026-05-31")) == 1
    assert len(earlier("recall", before="2026-06-01")) == 2
    assert earlier("recall", before="2026-05-03") is None


def test_without_an_earlier_run_there_is_no_list(tmp_path, monkeypatch):
    asking(tmp_path, monkeypatch)
    assert earlier("recall") is None
    folder = left_behind(tmp_path, "20260601T000000000-b", PEOPLE, monkeypatch)
    (folder / "run.json").write_text("{broken")
    asking(tmp_path, monkeypatch)
    assert earlier("recall") is None
    monkeypatch.delenv("OPSLIB_RUN_DIR")
    assert earlier("recall") is None, "outside a run nothing is guessed"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.lists(st.text("'=+-@0a,\"＝ NA你", min_size=1, max_size=6), min_size=1, max_size=5))
def test_every_id_comes_back_as_it_was(tmp_path_factory, monkeypatch, ids):
    root = tmp_path_factory.mktemp("runs")
    frame = pd.DataFrame({"user_id": ids, "n": range(len(ids))})
    left_behind(root, "20260601T000000000-b", frame, monkeypatch)
    asking(root, monkeypatch)
    assert list(earlier("recall").user_id) == ids
