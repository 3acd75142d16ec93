"""The expected bands on the labelled series of the Numenta Anomaly Benchmark, beside the detectors people write first.

NAB's files are not in the repository; OPSLIB_REAL_DATA may name a folder that has them in nab/.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from opslib.models.anomaly import bands
from opslib.models.nab import forest_alerts, nab_score, quieted, rolling_z

FOLDER = Path(os.environ.get("OPSLIB_REAL_DATA", "")) / "nab"
DAY, WEEK = 24, 168  # rows of an hourly series


def read(name: str, windows: list[list[str]]) -> tuple[pd.Series, list[tuple[int, int]], int]:
    """The series (the taxis by day, as a business looks at it; else by hour), its windows as positions, rows of a day."""
    table = pd.read_csv(FOLDER / Path(name).name, parse_dates=["timestamp"]).set_index("timestamp").value
    by_day = "taxi" in name
    series = table.resample("D").sum() if by_day else table
    spans = []
    for first, last in windows:
        start, end = (pd.Timestamp(t).floor("D") if by_day else pd.Timestamp(t) for t in (first, last))
        places = np.flatnonzero((series.index >= start) & (series.index <= end))
        spans.append((int(places[0]), int(places[-1])))
    return series, spans, 1 if by_day else DAY


def alarms(series: pd.Series, rows: int) -> dict[str, np.ndarray]:
    values = series.to_numpy(float)
    if rows == 1:
        ours = bands(values, period=7)["anomaly"].to_numpy()
    else:  # prices vary by ratios; the trend is that of two weeks
        price = np.log(np.maximum(values, np.median(values) / 100))
        ours = bands(price, period=DAY, trend=2 * WEEK + 1)["anomaly"].to_numpy()
    found = {
        "expected band": ours,
        "rolling z > 3": np.abs(rolling_z(values, 28 if rows == 1 else WEEK)) > 3,
        "isolation forest": forest_alerts(values, 0.1 if rows == 1 else 0.01, weekly=rows == 1),
    }
    return {name: quieted(alert, rows) for name, alert in found.items()}


@pytest.mark.skipif(not (FOLDER / "labels.json").exists(), reason="OPSLIB_REAL_DATA names no folder with nab/")
def test_the_bands_find_more_of_nabs_windows_than_a_rolling_z_and_score_higher():
    labels = json.loads((FOLDER / "labels.json").read_text(encoding="utf-8"))
    rows = []
    for name, told in labels.items():
        series, spans, of_day = read(name, told["windows"])
        for detector, alert in alarms(series, of_day).items():
            rows.append({"series": Path(name).stem, "detector": detector, **vars(nab_score(alert, spans))})
    table = pd.DataFrame(rows)
    print("\n" + table.pivot(index="series", columns="detector", values="score").round(1).to_string())
    sums = table.groupby("detector")[["score", "windows", "hit", "alerts", "outside"]].agg(
        {"score": "mean", "windows": "sum", "hit": "sum", "alerts": "sum", "outside": "sum"}
    )
    print(sums.round(1).to_string())
    ours, simple = sums.loc["expected band"], sums.loc["rolling z > 3"]
    assert ours["score"] > simple["score"] and ours["hit"] >= simple["hit"], sums
