"""Calls for the published examples of anomaly detection."""

from __future__ import annotations

import numpy as np
import pandas as pd

from opslib.models.anomaly import bands
from opslib.models.nab import global_z
from opslib.models.outliers import generalized_esd, mad_median

# Numenta Anomaly Benchmark, combined_windows.json, realKnownCause/nyc_taxi, by day.
TAXI_WINDOWS = [
    ["2014-10-30", "2014-11-03"],
    ["2014-11-25", "2014-11-29"],
    ["2014-12-23", "2014-12-27"],
    ["2014-12-29", "2015-01-03"],
    ["2015-01-24", "2015-01-29"],
]


def esd(case, data):
    found = generalized_esd(case["x"], case["k"], case.get("alpha", 0.05))
    return {"n_outliers": found.n_outliers, "R": found.statistics, "lam": found.limits, "outliers": found.outliers}


def series(case, data):
    table = pd.read_csv(data(case["file"]))
    return pd.Series(table.iloc[:, 1].to_numpy(float), index=table.iloc[:, 0])


def against_windows(days, windows):
    hit = sum(any(a <= d <= b for d in days) for a, b in windows)
    return {"windows_hit": hit, "outside": sum(not any(a <= d <= b for a, b in windows) for d in days)}


def weekly_stl(case, data):
    given = {k: case[k] for k in ("threshold", "seasonal", "period") if k in case}
    table = bands(series(case, data), trend=None, **given)
    days = list(table.day[table.anomaly].dt.strftime("%Y-%m-%d"))
    return against_windows(days, case.get("windows", TAXI_WINDOWS)) | {"alerts": len(days), "dates": days}


def naive(case, data):
    values, windows = series(case, data), case.get("windows", TAXI_WINDOWS)
    days = list(values.index[np.abs(global_z(values)) > 3])
    ours = weekly_stl(case, data)
    return {
        "naive_hits": against_windows(days, windows)["windows_hit"],
        "required_hits": ours["windows_hit"],
        "max_outside": ours["outside"],
    }


CALLS = {
    "anom_gesd*": esd,
    "anom_mad*": lambda case, data: mad_median(case["x"]),
    "anom_*_stl": weekly_stl,
    "anom_*_naive": naive,
}
