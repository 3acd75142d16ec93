"""What is known about each cause of a change: since when, what else happened then, in which release, and who owns it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from opslib.models.diagnosis import Diagnosis
from opslib.models.kpi_days import since
from opslib.models.timeline import near

MARKETING = ("channel", "campaign", "utm", "source")  # a dimension of these words is about who is brought
LEAST = 30  # users of a version from which its rate is told
FAR = 4.0  # standard errors below the period before from which a version stands out
CLEAR = 3.0  # and below the other versions of the same days


def asked(dimensions: Sequence[str], release: str) -> list[str]:
    """The dimensions to count by: those a cause may lie in, and the release, within which causes are looked at."""
    return list(dict.fromkeys([*dimensions, *([release] if release else [])]))


def facts(
    found: Diagnosis,
    cells: pd.DataFrame,
    days: pd.DataFrame,
    happened: pd.DataFrame,
    span: tuple[Any, Any],
    *,
    steps: Sequence[str],
    release: str = "",
) -> pd.DataFrame:
    """The causes with what is known about each.

    `cells` with the dimensions' names, `days` as `metrics.newcomer_days`, `happened` as `timeline.together`; `span` the first
    and last day of both periods.

    Columns added
    -------------
    since, since_low, since_high : datetime  day of the change of the share (mix) or rate, with its interval; blank where the
                                             level of the segment did not change on a day that stands out
    nearby  : list   (what, name, detail) within three days of it
    version : str    the release in which the rate is lowest and stands out; empty for none
    version_rate, version_n : float   its rate and users; other_rate: the rate of the segment before
    owner   : str    marketing (who came), engineering (a release stands out), else product
    of_change : float  contribution / change
    """
    rows = []
    for cause in found.causes.to_dict("records"):
        moved = _since(cause, days, span)
        around = _relevant(near(happened, None if moved is None else moved.day), cause)
        version = _version(cause, cells, list(steps), release, found.kpi)
        row = {
            "since": None if moved is None else pd.Timestamp(moved.day),
            "since_low": None if moved is None else pd.Timestamp(moved.low_day),
            "since_high": None if moved is None else pd.Timestamp(moved.high_day),
            "nearby": [tuple(r) for r in around[["what", "name", "detail"]].itertuples(index=False)],
            "owner": _owner(cause, version),
            "of_change": cause["contribution"] / found.change if found.change else np.nan,
        }
        rows.append(cause | row | version)
    columns = [*found.causes.columns, "since", "since_low", "since_high", "nearby", "owner", "of_change"]
    return pd.DataFrame(rows, columns=[*columns, "version", "version_rate", "version_n", "other_rate"])


def _since(cause: dict[str, Any], days: pd.DataFrame, span: tuple[Any, Any]) -> Any:
    """Of a segment of one condition only: the others have no daily series."""
    if len(cause["segment"]) != 1:
        return None
    (dimension, value) = next(iter(cause["segment"].items()))
    own = days[days["dimension"] == dimension]
    return since(own, value, cause["kind"], span) if len(own) else None


def _relevant(around: pd.DataFrame, cause: dict[str, Any]) -> pd.DataFrame:
    """Money brings people and does not change how they behave; a release does the opposite."""
    if cause["kind"] != "mix":
        return around[around["what"] != "spend"]
    channels = {str(v) for v in cause["segment"].values()}
    own = (around["what"] == "spend") & (around["name"].isin(channels) | ("channel" not in cause["segment"]))
    return around[own | around["what"].isin(["campaign", "note"])]


def _version(cause: dict[str, Any], cells: pd.DataFrame, steps: list[str], release: str, kpi: str) -> dict[str, Any]:
    """The version with the lowest rate of the cause's step in its segment, if it is far below what was before."""
    blank = {"version": "", "version_rate": np.nan, "version_n": np.nan, "other_rate": np.nan}
    if not release or cause["kind"] == "mix" or release not in cells.columns or release in cause["segment"]:
        return blank
    inside = cells
    for dimension, value in cause["segment"].items():
        inside = inside[inside[dimension] == value]
    table = step_rates(inside, release, steps, cause["step"] if cause["step"] in steps else "")
    now, old = table[table["period"] == "current"], table[table["period"] == "previous"]
    now = now[now["of"] >= LEAST]
    if now.empty or not old["of"].sum():
        return blank
    worst = now.loc[(now["hits"] / now["of"]).idxmin()]
    before = old["hits"].sum() / old["of"].sum()
    rate = worst["hits"] / worst["of"]
    error = np.sqrt(before * (1 - before) * (1 / worst["of"] + 1 / old["of"].sum()))
    if cause["contribution"] >= 0 or error == 0 or (rate - before) / error > -FAR or not _apart(worst, now, release):
        return blank
    if set(old[old["of"] >= LEAST][release]) >= {worst[release]}:
        return blank  # the version was there before: it is not what changed
    return {
        "version": str(worst[release]), "version_rate": float(rate),
        "version_n": float(worst["of"]), "other_rate": float(before),
    }  # fmt: skip


def _apart(worst: pd.Series, now: pd.DataFrame, release: str) -> bool:
    """Whether the other versions of the same days do better; a version that came with the period is else only its name."""
    rest = now[now[release] != worst[release]][["hits", "of"]].sum()
    if rest["of"] < LEAST:
        return False
    pooled = (rest["hits"] + worst["hits"]) / (rest["of"] + worst["of"])
    error = np.sqrt(pooled * (1 - pooled) * (1 / rest["of"] + 1 / worst["of"]))
    return bool(error > 0 and (rest["hits"] / rest["of"] - worst["hits"] / worst["of"]) / error > CLEAR)


def step_rates(cells: pd.DataFrame, by: str, steps: Sequence[str], step: str = "") -> pd.DataFrame:
    """Rate of a step, or of coming back (no step), for each value of a column: period, `by`, hits, of."""
    if step:
        k = list(steps).index(step) + 1
        rows = cells[cells["reached"] >= k - 1]
        hits = rows["users"].where(rows["reached"] >= k, 0)
    else:
        rows = cells
        hits = rows["returned"]
    table = rows.assign(hits=hits, of=rows["users"])
    return table.groupby(["period", by], dropna=False)[["hits", "of"]].sum().reset_index()


def _owner(cause: dict[str, Any], version: dict[str, Any]) -> str:
    names = " ".join(cause["segment"]).lower()
    if cause["kind"] == "mix":
        return "marketing" if any(word in names for word in MARKETING) else "product"
    return "engineering" if version["version"] else "product"
