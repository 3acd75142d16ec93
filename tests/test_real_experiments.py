"""Published A/B tests, read from the original files where OPSLIB_REAL_DATA names a folder that has them.

Their licences do not let them be kept here.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from opslib.models import abtest
from opslib.models.experiment import proportions, sample_ratio

FOLDER = Path(os.environ.get("OPSLIB_REAL_DATA", "nowhere")) / "local_only"


def file(name: str) -> pd.DataFrame:
    if not (FOLDER / name).exists():
        pytest.skip(f"{name} is not here: OPSLIB_REAL_DATA may name a folder that has local_only/{name}")
    return pd.read_csv(FOLDER / name)


@pytest.fixture(scope="module")
def cats() -> pd.DataFrame:
    return file("cookie_cats.csv.gz").groupby("version").agg(users=("userid", "nunique"), day_1=("retention_1", "sum"), day_7=("retention_7", "sum"))  # fmt: skip


@pytest.mark.parametrize(
    ("day", "rates", "p", "places"), [("day_1", (0.4482, 0.4423), 0.0744, 4), ("day_7", (0.1902, 0.1820), 0.0016, 4)]
)
def test_cookie_cats_retention_is_as_published(cats, day, rates, p, places):
    gates = cats.loc[["gate_30", "gate_40"]]
    got = proportions(tuple(gates[day]), tuple(gates.users))
    assert (round(got.control, 4), round(got.treatment, 4)) == rates
    assert round(got.p, places) == p


def test_cookie_cats_split_is_uneven_and_the_report_warns(cats):
    from opslib.sentences import experiment as statements

    gates = cats.loc[["gate_30", "gate_40"]].users
    found = sample_ratio(gates.to_list())
    assert gates.to_list() == [44_700, 45_489] and round(found.p, 4) == 0.0086
    test = abtest.Test("cats", "cats", "gate_30", {"gate_30": 0.5, "gate_40": 0.5}, "day_7", None, None, False)
    arms = pd.DataFrame({"variant": gates.index, "users": gates.to_numpy(), "crossed": 0})
    check, sizes = abtest.split_check(arms, test)
    assert statements.split(check, sizes).level == "watch"


@pytest.mark.parametrize(
    ("what", "effect", "low", "high"),
    [("Enrollments", -0.0206, -0.0291, -0.0120), ("Payments", -0.0049, -0.0116, 0.0019)],
)
def test_udacity_free_trial_is_as_published_to_four_decimals(what, effect, low, high):
    """Gross and net conversion a click, over the 23 days that have enrolments; the course's interval pools the variance."""
    arms = [file(f"udacity_free_trial_{arm}.csv").dropna(subset=["Enrollments"]) for arm in ("control", "experiment")]
    assert [len(a) for a in arms] == [23, 23]
    got = proportions([a[what].sum() for a in arms], [a.Clicks.sum() for a in arms])
    assert round(got.value, 4) == effect
    assert round(got.value - 1.96 * got.se, 4) == low and round(got.value + 1.96 * got.se, 4) == high
    assert got.low == pytest.approx(low, abs=2e-4) and got.high == pytest.approx(high, abs=2e-4)
