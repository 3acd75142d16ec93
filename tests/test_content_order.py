"""The content page is the same whichever order rows come in: each of its models, on shuffled rows of the sample."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_content import found_in
from test_post_counts import bunches_of_a_kind, world

from opslib import text
from opslib.metrics import content, content_readers, content_time
from opslib.models import content_groups as groups
from opslib.models import content_lists, place
from opslib.models import content_readers as readers
from opslib.models import content_time as over_time
from opslib.sentences import content as statements

Frames = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def frames(sampled) -> Frames:
    """What the page's models take."""
    con, events, known, period, cells, items = found_in(sampled.folder)
    users = con.read_parquet(str(sampled.folder / "users.parquet"), table_name="users")
    split = str(dt.date.fromisoformat(period[1]) - dt.timedelta(days=13))
    asked = {
        "chain": content.content_chain(events, known, by="category", period=period),
        "ages": content_time.content_ages(events, known, until=period[1]),
        "item_ages": content_time.item_ages(events, known, until=period[1]),
        "hours": content_time.content_hours(events, known),
        "weeks": content_time.topic_weeks(events, known, until=period[1]),
        "reading": content_readers.segment_reading(events, known, users, period=period),
        "readings": content_readers.readings(events, known, split=split, period=period),
    }
    own = {"cells": cells, "items": items, "posts": world(1, bunches_of_a_kind)[0]}
    return own | {name: con.to_pandas(rows) for name, rows in asked.items()}


def judged(f: Frames) -> pd.DataFrame:
    return content_lists.judged(f["items"])


def by_id(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values("content_id").reset_index(drop=True)


def listed(table: pd.DataFrame, outcome: str) -> list[pd.DataFrame]:
    return [content_lists.listed(table, d, statements.evidence(table, d, outcome)) for d in ("cull", "boost")]


def calendar(f: Frames) -> pd.DataFrame:
    return over_time.calendar(f["weeks"], over_time.rising(f["weeks"]))


MODELS: dict[str, Callable[[Frames], Any]] = {
    "the lists": lambda f: [*listed(judged(f), "completes"), by_id(judged(f)), content_lists.leading(judged(f), 30)],
    "posts": lambda f: [by_id(content_lists.judged(f["posts"]))],
    "rates": lambda f: [groups.chain(f["items"], by) for by in ("category", "source", "author_id")],
    "weighted": lambda f: groups.weighted(f["items"], {"like": 1, "share": 3}),
    "supply": lambda f: groups.supply(f["chain"], f["items"], "category"),
    "funnel": lambda f: groups.funnel(f["chain"], "category"),
    "lifts": lambda f: [place.lifts(f["cells"], "editorial")[0]],
    "positions": lambda f: place.positions(f["cells"]),
    "leaders": lambda f: groups.leaders(f["items"], hits="completes", of="opens"),
    "dwell": lambda f: groups.dwell(f["items"]),
    "standards": lambda f: groups.standards(f["cells"], f["items"]),
    "authors": lambda f: groups.authors(judged(f)),
    "fading": lambda f: [over_time.fading(f["ages"]), over_time.kinds(f["item_ages"], 28)],
    "hours": lambda f: over_time.hours(f["hours"], "Asia/Shanghai"),
    "mismatch": lambda f: [readers.mismatch(f["reading"]), readers.likings(f["reading"])],
    "candidates": lambda f: [readers.candidates(f["readings"]).quality, readers.candidates(f["readings"]).candidates],
    "topics": lambda f: [over_time.rising(f["weeks"]), calendar(f)],
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_the_page_says_the_same_of_shuffled_rows(frames, name):
    rng = np.random.default_rng(5)
    mixed = {k: rows.iloc[rng.permutation(len(rows))].reset_index(drop=True) for k, rows in frames.items()}
    with text.speaking("en"):
        found, again = (MODELS[name](f) for f in (frames, mixed))
    one, two = ([x] if isinstance(x, pd.DataFrame) else x for x in (found, again))
    for a, b in zip(one, two, strict=True):
        assert len(a)
        pd.testing.assert_frame_equal(a, b, rtol=1e-6, atol=1e-9)
