"""The sample product in its default size, read with pandas, for the tests of what is planted in it."""

from __future__ import annotations

import json
from functools import cache, cached_property
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from opslib import contract

HOURS = pd.Timedelta(hours=8)  # Asia/Shanghai


def day(text: str) -> pd.Timestamp:
    return pd.Timestamp(text)


class Sampled:
    """The tables of one sample, events without the rows that were sent twice; `day` is local."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.truths = json.loads((folder / "truths.json").read_text(encoding="utf-8"))
        self.table = cache(self._table)

    def _table(self, name: str) -> pd.DataFrame:
        path = self.folder / f"{name}.parquet"
        if name != "events":
            return pq.read_table(path).to_pandas()
        columns = [c for c in contract.table("events").names if c != "session_id"]
        frame = pq.read_table(path, columns=columns).to_pandas().drop_duplicates("event_id")
        for column in ("event", "placement", "platform", "channel", "campaign_id", "props"):
            frame[column] = frame[column].astype("category")
        frame["day"] = (frame.ts + HOURS).dt.normalize()
        return frame

    @cached_property
    def _by_event(self) -> dict[str, pd.DataFrame]:
        return dict(iter(self.table("events").groupby("event", observed=True)))

    def did(self, event: str) -> pd.DataFrame:
        """The events of one name."""
        return self._by_event[event]

    @cached_property
    def firsts(self) -> pd.DataFrame:
        """Each visitor's first local day, and whether they were active on the day after, the 7th and the 30th day."""
        active = self.table("events")[["user_id", "day"]].drop_duplicates()
        first = active.groupby("user_id").day.min().rename("first")
        after = (active.day - first.reindex(active.user_id).to_numpy()).dt.days
        found = pd.DataFrame({"first": first})
        for n in (1, 7, 30):
            found[f"d{n}"] = found.index.isin(active.user_id[after == n])
        return found

    @cached_property
    def ring_members(self) -> set[str]:
        return {m for ring in self.truths["campaigns"]["rings"] for m in ring["members"]}
