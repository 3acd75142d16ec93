"""User operations: churn calibrated and personas found on samples of other seeds, and the whole page on 100 million events.

How long, on one core: churn and personas fifteen minutes for six samples; the page five for its data (once, 2 GB) and five.
The page's metrics against SQL by hand on that data: `python -m tests.bench --only users_ --events 100000000`.
"""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from opslib import connect, engine, warehouse
from opslib.metrics import habits, segments
from opslib.models import behaviour, rhythm, slipping
from tests import bench
from tests.benches import _users_data
from tests.promise import Measured, cost, project, within

SEEDS, USERS = (21, 22, 23, 24, 25, 26), 20_000  # no design was chosen on these samples
EARLIER = (0, 14, 28, 42)  # days between the end of the sample and the ends that are asked for
DAYS, PERSONA_DAYS = 90, 5  # profile_days and persona_days of the page
POINTS, ALIKE = 3, 0.8
EVENTS, MOST = 100_000_000, 4  # GiB


def promise_users_samples() -> Iterator[Measured]:
    """Churn within 3 points in every tenth of later days, at four ends; planted personas found again: six samples."""
    for seed in SEEDS:
        with _made(seed) as (source, truths):
            tables = connect(source)
            for earlier in EARLIER:
                yield _churn(tables, seed, earlier)
            yield _personas(tables, seed, truths)


@contextmanager
def _made(seed: int) -> Iterator[tuple[Path, Path]]:
    """A sample of that seed, loaded, and the folder of its raw files; gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        raw, source = Path(folder) / "raw", Path(folder) / "warehouse"
        cost("opslib.cli", "sample", str(raw), "--seed", str(seed), "--users", str(USERS), "--source", str(source))
        yield source, raw


def _churn(tables: engine.Tables, seed: int, earlier: int) -> Measured:
    """The worst tenth of the model's later days, as notebooks/user_profile.ipynb fits and judges it."""
    last = tables.span()[1] - dt.timedelta(days=earlier)
    hours = warehouse.utc_hours(tables.manifest.tz, last)
    gaps = habits.usage_gaps(tables.daily, until=str(last), days=DAYS).to_pandas()
    rule = rhythm.rule(gaps, new_days=7, active_days=3, silent_days=0, churn_days=0)
    days = segments.slipping(
        tables.users, tables.daily, tables.orders, until=str(last), days=DAYS, offset_hours=hours,
        ago=slipping.days_ago(28), recent_days=min(rule["silent_days"], DAYS),
    ).to_pandas()  # fmt: skip
    quality = slipping.learn(days).quality
    worst = quality.worst
    chance = f"{100 * quality.gap_by_chance():.2f} by chance alone"
    of = f"AUC {quality.auc:.3f}, {quality.n:,} predictions, worst where {worst['predicted']:.0%} was predicted; {chance}"
    return within(
        f"sample {seed} until {last}, worst tenth ({of})", abs(100 * worst["gap"]), most=POINTS, unit=" points"
    )


def _personas(tables: engine.Tables, seed: int, raw: Path) -> Measured:
    """Personas of the page against the planted ones, of users who have both."""
    from sklearn.metrics import adjusted_rand_score

    last = tables.span()[1]
    hours = warehouse.utc_hours(tables.manifest.tz, last)
    profiles = segments.profile(
        tables.users, tables.daily, tables.orders, until=str(last), days=DAYS, offset_hours=hours
    )
    tastes = segments.tastes(tables.events, tables.content, until=str(last), days=DAYS).to_pandas()
    acts = behaviour.behaviour(profiles.to_pandas().set_index("user_id"), tastes, least_days=PERSONA_DAYS)
    found = pd.Series(behaviour.found(acts).labels, index=acts.shares.index)
    told = json.loads((raw / "truths.json").read_text(encoding="utf-8"))["segments"]
    true = pd.read_parquet(raw / told["file"]).set_index("user_id")["segment"].reindex(found.index)
    both = true.notna()
    alike = adjusted_rand_score(true[both], found[both])
    return within(f"sample {seed}, {found.nunique()} personas of {both.sum():,} users, ARI", alike, least=ALIKE)


def promise_users_page() -> Iterator[Measured]:
    """The page user_profile, run by `opslib run`, on 2 million users and 100 million events; nothing set."""
    cost("tests.benches._users_data", str(EVENTS))
    data = _users_data.warehouse(bench.Data(EVENTS, bench.FOLDER))
    with project() as folder:
        taken = cost("opslib.cli", "run", "user_profile", "-p", f"source={data}", folder=folder)
    yield within(f"largest process of the page, which took {taken.cpu:.0f} CPU s", taken.peak, most=MOST, unit=" GiB")
