"""Experiments that cannot carry a verdict, each through the runner: the page says why and shows no silent number."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from opslib import load
from opslib.runner import batch

START = pd.Timestamp("2026-05-01")
SHARES = '{"a": 0.5, "b": 0.5}'
BAD = {"tiny": ("pay", '{"a": 0.985, "b": 0.015}'), "nobody": ("fly", SHARES), "whale": ("revenue", SHARES), "uneven": ("pay", SHARES)}  # fmt: skip


@pytest.fixture(scope="module")
def trials(warehouse, tmp_path_factory) -> Path:
    """The small sample with four experiments more, on users who were there before."""
    folder = tmp_path_factory.mktemp("tests") / "data"
    shutil.copytree(warehouse, folder)
    experiments, exposures = [], []
    for name, (metric, split) in BAD.items():
        experiments.append((name, name, START, START + dt.timedelta(days=20), "a", split, metric))
        sizes = {"a": 200, "b": 3 if name == "tiny" else 200}
        for variant, first in (("a", 0), ("b", 1000)):
            late = dt.timedelta(days=10 if name == "uneven" and variant == "b" else 0)
            exposures += [(name, f"u{first + i:07d}", variant, START + late) for i in range(sizes[variant])]
    orders = [("o-whale", "u0001001", START + dt.timedelta(days=2), 1e7)]
    columns = {
        "experiments": (["experiment_id", "name", "starts_at", "ends_at", "control", "split", "metric"], experiments),
        "exposures": (["experiment_id", "user_id", "variant", "ts"], exposures),
        "orders": (["order_id", "user_id", "paid_at", "amount"], orders),
    }
    for table, (names, rows) in columns.items():
        path = folder.parent / f"{table}.parquet"
        pd.DataFrame(rows, columns=names).to_parquet(path)
        load(table, [path], folder)
    return folder


def test_each_experiment_without_a_verdict_says_why(project, trials):
    how = {"source": str(trials), "lang": "en", "window_days": "0"}
    records = batch.run(project, ["ab_readout"], how, each={"experiment_id": list(BAD)}, say=lambda line: None)
    assert [(r["status"], r["error"]) for r in records] == [("ok", "")] * 4
    told = {r["identity"]["experiment_id"]: r for r in records}
    words = {"tiny": "Too few users", "nobody": "nobody in any arm", "whale": "single users carry", "uneven": "unequal times"}  # fmt: skip
    for name, record in told.items():
        assert words[name] in record["verdict"]
        found = json.loads((Path(record["folder"]) / "findings.json").read_text(encoding="utf-8"))
        told[name] = {f["id"]: f for f in found}
        assert not any("nan" in f["text"] or "inf" in f["text"].split() for f in found)
        assert not {"experiment.chance", "experiment.sequential.b", "experiment.cuped.b"} & set(told[name])
    assert told["tiny"]["experiment.few"]["level"] == "watch" and told["tiny"]["experiment.effect.b"]["low"] is None
    assert told["whale"]["experiment.whale.revenue"] and told["whale"]["experiment.effect.b"]["low"] is None
    beside = told["whale"]["experiment.without_top.b"]
    assert beside["level"] == "watch" and abs(beside["value"]) < 1_000
    assert told["uneven"]["experiment.windows"]["level"] == "act"
    assert told["uneven"]["experiment.effect.b"]["level"] == "info"
    assert not {"experiment.segments", "experiment.novelty"} & set(told["uneven"])
