"""The page on users where there is little to say: every section ends in a result or in a reason, and no group is invented."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from unittest.mock import patch

import nbformat
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from opslib import load

NOW = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
DAYS = 80  # the last of them is 2026-03-21


def world(folder: Path, users: int, *, often: float = 0.3, attribute: float = 0.0, texts: bool = False) -> Path:
    """Users who all do the same by chance; `often` is the chance to come on a day."""
    rng = np.random.default_rng(3)
    start = pd.Timestamp("2026-01-01 04:00")
    names = [f"u{i:04}" for i in range(users)]
    came = np.argwhere(rng.random((users, DAYS)) < often)
    came = np.vstack([came, [[i, DAYS - 1] for i in range(users)]]) if often == 1 or users == 1 else came
    rows = np.repeat(came, 3, axis=0)
    events = pd.DataFrame(
        {
            "event_id": [f"e{i}" for i in range(len(rows))],
            "user_id": [names[u] for u in rows[:, 0]],
            "event": rng.choice(["app_open", "read", "like"], len(rows)),
            "ts": start
            + pd.to_timedelta(rows[:, 1], unit="D")
            + pd.to_timedelta(rng.integers(0, 600, len(rows)), unit="m"),
        }
    )
    people = pd.DataFrame({"user_id": names, "registered_at": start, "channel": "ads", "platform": "ios"})
    if attribute:
        people["age_band"] = [("18-24", "25-34")[i % 2] if i < attribute * users else None for i in range(users)]
    tables = {"events": events, "users": people}
    if texts:
        said = {"response_id": [f"r{i}" for i in range(users)], "user_id": names, "ts": start, "question": "why"}
        tables["survey"] = pd.DataFrame(said | {"answer": [f"because {i}" for i in range(users)]})
    for name, frame in tables.items():
        frame.to_parquet(folder / f"{name}.parquet")
        load(name, folder / f"{name}.parquet", folder / "warehouse", now=NOW)
    return folder / "warehouse"


def page(source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """What the notebook's cells publish, run here one after the other."""
    monkeypatch.setenv("OPSLIB_RUN_DIR", str(tmp_path))
    published: list[str] = []
    scope: dict[str, object] = {}
    with patch(
        "IPython.display.publish_display_data",
        lambda data, **_: published.append(json.dumps(data, ensure_ascii=False, default=str)),
    ):
        for cell in nbformat.read(ROOT / "notebooks" / "user_profile.ipynb", as_version=4).cells:
            if cell.cell_type == "code":
                exec(cell.source, scope)
                if "parameters" in cell.metadata.get("tags", []):
                    scope |= {"source": str(source), "plays_file": str(ROOT / "params" / "outreach.yml")}
    return "\n".join(published)


@pytest.mark.usefixtures("quick_disk")
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"users": 300}, ["活跃（没有订单表）", "不硬分"]),
        ({"users": 1}, ["RFM 至少需要 25 位用户，现有 1 位，不硬分", "人群画像需要至少 20 位"]),
        ({"users": 60, "often": 1.0}, ["活跃天数没有拉开"]),
        ({"users": 300, "attribute": 0.1}, ["年龄段 10%", "不参与比较"]),
        ({"users": 300, "texts": True}, ["没有稳定的人群，无从比较"]),
    ],
    ids=["no orders", "one user", "all in one state", "attributes mostly missing", "survey of free texts"],
)
def test_the_page_says_what_is_not_there_and_invents_no_segment(how, said, tmp_path, monkeypatch):
    shown = page(world(tmp_path, **how), monkeypatch, tmp_path)
    for words in said:
        assert words in shown
    assert "行为稳定地分成" not in shown and not list(tmp_path.glob("lists/personas.csv"))
    assert "在用" in shown.splitlines()[-1], "the headline stands"
