"""The response model on Robyn's simulated weekly series (Meta, MIT), beside a naive forecast.

The series is read from the folder that OPSLIB_REAL_DATA names.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from opslib.models import response

FILE = Path(os.environ.get("OPSLIB_REAL_DATA", "")) / "robyn" / "robyn_dt_simulated_weekly.csv"
SPEND = ["tv_S", "ooh_S", "print_S", "facebook_S", "search_S"]


@pytest.mark.skipif(not FILE.exists(), reason="OPSLIB_REAL_DATA names no folder with robyn/")
@pytest.mark.parametrize("weeks", [13, 26])
def test_held_out_weeks_of_robyn_s_series_are_foretold_better_than_by_the_last_value(weeks, capsys):
    table = pd.read_csv(FILE)
    controls = table[["competitor_sales_B", "newsletter"]]
    found = response.hold_out_error(table["revenue"], table[SPEND], last=weeks, controls=controls)
    before = table["revenue"].to_numpy()[-weeks - 1]
    last = float((abs(found.actual - before) / found.actual).mean())
    with capsys.disabled():
        print(
            f"\nRobyn, last {weeks} weeks: model {found.model:.1%}, {found.naive_rule} {found.naive:.1%}, last value {last:.1%}"
        )
    assert found.naive_rule == "season before"
    assert found.model < last and found.model < 0.2
