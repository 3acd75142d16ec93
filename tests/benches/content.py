"""Content metrics, and the whole way from exposure to lists, against SQL written by hand for the same files.

`--events` is the number of impressions here; there is an item for every thousand of them, and a reader for every 200:
`--only content_ --events 100000000` is 100,000 items and 128 M events, which take minutes to make and minutes a row.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from opslib import engine
from opslib.metrics import content, content_readers, content_time
from opslib.models import content_groups, content_lists, place
from opslib.models import content_readers as readers
from opslib.models import content_time as over_time
from tests.bench import Bench, Data
from tests.benches import _content_data, content_sql

PROMISE = 1.2
START, END, RECENT, SPLIT = "2026-02-05", "2026-04-01", "2026-03-26", "2026-03-19"  # eight weeks, as the report has it
WORTH: dict[str, dict] = {
    "placements": {"algorithm": 1.0, "editorial": 0.77, "banner": 0.75, "search": 0.77},
    "positions": {p: round(0.88 ** max(p, 0), 4) for p in range(-1, 21)},
    "ages": {0: 1.0, 1: 0.97, 3: 0.93, 7: 0.9, 14: 0.8, 30: 0.7, 60: 0.6},
}


def bench_content_items(data: Data) -> Bench:
    """Each item's counts, and what its impressions were worth by place, position and age."""
    return _bench(data, "items")


def bench_content_chain(data: Data) -> Bench:
    return _bench(data, "chain")


def bench_content_places(data: Data) -> Bench:
    return _bench(data, "places")


def bench_content_cells(data: Data) -> Bench:
    """Strata of item, placement, position and age."""
    return _bench(data, "cells")


def bench_content_unknown(data: Data) -> Bench:
    return _bench(data, "unknown")


def bench_content_segments(data: Data) -> Bench:
    """Affinity of segments and categories."""
    return _bench(data, "segments")


def bench_content_readings(data: Data) -> Bench:
    return _bench(data, "readings")


def bench_content_ages(data: Data) -> Bench:
    return _bench(data, "ages")


def bench_content_item_ages(data: Data) -> Bench:
    return _bench(data, "item_ages")


def bench_content_hours(data: Data) -> Bench:
    return _bench(data, "hours")


def bench_content_topics(data: Data) -> Bench:
    return _bench(data, "topics")


def bench_content_report(data: Data) -> Bench:
    """Every metric of the report, then the models: places, shrinkage, lists, groups, authors, fading, the recommender."""
    root = _content_data.warehouse(data)
    ours, by_hand = (lambda: _report(_ours(root))), (lambda: _report(_by_hand(root)))
    return Bench("content, from exposure to lists and candidates", ours, by_hand, PROMISE)


def _bench(data: Data, name: str) -> Bench:
    root = _content_data.warehouse(data)
    return Bench(f"content, {name}", lambda: _seen(_ours(root)(name)), lambda: _seen(_by_hand(root)(name)), PROMISE)


Ask = Callable[..., pd.DataFrame]


def _ours(root: Path) -> Ask:
    """The metrics by name, on one connection, as a report asks them."""
    t = engine.connect(root)
    whole, period = (t.events, t.content), {"period": (START, END)}
    metrics = {
        "items": lambda **how: content.content_items(*whole, recent=RECENT, **(how or WORTH), **period),
        "chain": lambda **how: content.content_chain(*whole, **how, **period),
        "places": lambda: content.content_chain(*whole, by="placement", **period),
        "cells": lambda: content.content_cells(*whole, **period),
        "unknown": lambda: content.content_unknown(*whole, **period),
        "segments": lambda: content_readers.segment_reading(*whole, t.users, **period),
        "readings": lambda: content_readers.readings(*whole, split=SPLIT, **period),
        "ages": lambda: content_time.content_ages(*whole),
        "item_ages": lambda: content_time.item_ages(*whole),
        "hours": lambda: content_time.content_hours(*whole),
        "topics": lambda: content_time.topic_weeks(*whole, until=END),
    }
    return lambda name, **how: metrics[name](**how).to_pandas()


def _by_hand(root: Path) -> Ask:
    """The same by hand."""
    con = duckdb.connect()
    how = {table: _content_data.files(root, table) for table in ("events", "content")}
    how |= {"start": START, "end": END, "recent": RECENT, "split": SPLIT, "by": "category"}

    def ask(name: str, **given: Any) -> pd.DataFrame:
        worth = {k: ", ".join(map(str, v.items())) for k, v in (given or WORTH).items() if isinstance(v, dict)}
        return con.execute(getattr(content_sql, name.upper()).format(**how | given | worth)).df()

    return ask


def _report(ask: Ask) -> Any:
    """What the report makes of its tables."""
    cells = ask("cells")
    worth = place.worth(cells)
    items = ask("items", placements=worth["placement"], positions=worth["position"], ages=worth["age"])
    unknown = ask("unknown")
    content_lists.troubles(unknown, items)
    table = content_lists.judged(content_lists.clean(items))
    lists = [content_lists.chosen(table, decision) for decision in ("cull", "boost")]
    for by in ("category", "source"):
        content_groups.chain(items, by)
    content_groups.supply(ask("chain"), items, "category")
    ask("chain", by="topic"), ask("places")
    place.lifts(cells, "editorial")
    content_groups.leaders(items, hits="completes", of="opens")
    content_groups.dwell(items)
    content_groups.standards(cells, items)
    content_groups.authors(table)
    over_time.fading(ask("ages"))
    over_time.kinds(ask("item_ages"), 28)
    over_time.hours(ask("hours"), "Asia/Shanghai")
    readers.mismatch(ask("segments"))
    told = readers.candidates(ask("readings"))
    weeks = ask("topics")
    over_time.calendar(weeks, over_time.rising(weeks))
    return [_seen(rows, 4) for rows in lists], told.best, _seen(told.quality)  # fits end a hair apart


def _seen(frame: pd.DataFrame, digits: int = 6) -> list[Any]:
    """How many rows, and the sum of every column of numbers in its place: of counts exactly, of others to so many digits."""
    sums = [float(c.sum()) for _, c in frame.items() if pd.api.types.is_numeric_dtype(c)]
    return [len(frame), *(s if s.is_integer() else float(f"{s:.{digits}g}") for s in sums)]
