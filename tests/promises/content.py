"""Content: planted duds, gems and lift over several samples, and the whole page on 100 million impressions.

How long, on one core: lists two minutes; the page four for its data (once, 3.5 GB) and three. That data is laid into the
files of a warehouse by SQL and not loaded, which would take longer than all the rest: see `tests.benches._content_data`.
The page's metrics against SQL by hand on it: `python -m tests.bench --only content_ --events 100000000`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from opslib.metrics import content
from opslib.models import content_lists, place
from tests import bench
from tests.benches import _content_data
from tests.promise import Measured, cost, project, within
from tests.promises import _samples

DEFAULT, OTHERS, USERS = 7, (1, 2, 3, 4, 5, 6, 8, 9, 10, 11), 20_000
IMPRESSIONS, MOST = 100_000_000, 4  # GiB
NAMES = {"cull": "duds", "boost": "gems"}


def promise_content_lists() -> Iterator[Measured]:
    """Planted duds and gems on the lists and the algorithm's lift in its interval: the sample, and ten of other seeds."""
    listed, lift = _found(DEFAULT)
    for decision, hits in listed.items():
        for what, share, least in _shares(hits):
            of = f"{hits['right']} of {hits['listed' if what == 'precision' else 'true']}"
            yield within(f"the sample, {decision}: {what} ({of})", share, least=least, unit="%")
    yield Measured("the sample, planted lift of the algorithm", *lift[1:])
    yield from _others()


def _others() -> Iterator[Measured]:
    """Nothing is promised of one other sample; of ten together what is promised of the one."""
    every: dict[str, Counter] = {decision: Counter() for decision in NAMES}
    inside = 0
    for seed in OTHERS:
        listed, lift = _found(seed)
        inside += lift[3]
        told = [f"{d} {' and '.join(f'{share:.0%}' for _, share, _ in _shares(hits))}" for d, hits in listed.items()]
        yield Measured(f"seed {seed}, precision and recall", "nothing", f"{', '.join(told)}; lift {lift[2]}", True)
        for decision, hits in listed.items():
            every[decision].update(hits)
    for decision, hits in every.items():
        for what, share, least in _shares(hits):
            yield within(f"ten other samples together, {decision}: {what}", share, least=least, unit="%")
    # Of ten intervals of 95 % fewer than eight hold in one of a hundred such rows.
    yield within("ten other samples, lift inside its interval", inside, least=8, unit=" of 10")


def _shares(hits: dict[str, int]) -> list[tuple[str, float, float]]:
    """Precision and recall, with what is promised of each."""
    return [
        ("precision", hits["right"] / max(1, hits["listed"]), 0.9),
        ("recall", hits["right"] / hits["true"], 0.8),
    ]


def _found(seed: int) -> tuple[dict[str, dict[str, int]], tuple[str, str, str, bool]]:
    """By list how many are on it, rightly, and should be; and the planted lift with its interval, as a row has it."""
    with _samples.made(seed, USERS) as (folder, truths):
        table, lift = _judged(folder)
    told, listed = truths["content"], {}
    for decision, name in NAMES.items():
        own, true = set(content_lists.chosen(table, decision)["content_id"]), set(told[name])
        listed[decision] = {"listed": len(own), "right": len(own & true), "true": len(true)}
    planted = told["algorithm_lift"] - 1
    interval = f"{lift['lift']:+.1%} ({lift['low']:+.1%} to {lift['high']:+.1%})"
    return listed, ("lift", f"{planted:+.1%} inside", interval, bool(lift["low"] <= planted <= lift["high"]))


def _judged(folder: Path) -> tuple[pd.DataFrame, Any]:
    """Items as notebooks/content_performance.ipynb judges them, and the algorithm against the editors."""
    with _samples.tables(folder, "events", "content") as t:
        last = pd.Timestamp(t.ask(t.events.day.max()))
        first, recent = (str((last - pd.Timedelta(days=back)).date()) for back in (55, 6))
        period = (first, str(last.date()))
        cells = t.ask(content.content_cells(t.events, t.content, period=period))
        worth = place.worth(cells)
        how = {"placements": worth["placement"], "positions": worth["position"], "ages": worth["age"]}
        items = t.ask(content.content_items(t.events, t.content, period=period, recent=recent, **how))
    lifts, _ = place.lifts(cells, "editorial")
    return content_lists.judged(content_lists.clean(items)), lifts.set_index("placement").loc["algorithm"]


def promise_content_page() -> Iterator[Measured]:
    """The page content_performance, run by `opslib run`, on 100,000 items and 100 million impressions; nothing set."""
    data = bench.Data(IMPRESSIONS, bench.FOLDER)
    cost("tests.benches._content_data", str(IMPRESSIONS))  # the data alone
    with project() as folder:
        taken = cost("opslib.cli", "run", "content_performance", "-p", f"source={_content_data.warehouse(data)}", folder=folder)  # fmt: skip
    yield within(f"largest process of the page, which took {taken.cpu:.0f} CPU s", taken.peak, most=MOST, unit=" GiB")
