"""Small tables of a funnel of new users, from the cells in which they were counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from opslib.models.cause_facts import step_rates
from opslib.models.diagnosis import Diagnosis


def funnel_table(cells: pd.DataFrame, steps: Sequence[str]) -> pd.DataFrame:
    """One row per step: step, users and entered (the step before) now, base_users and base_entered before."""
    rows = []
    for k, step in enumerate(steps, 1):
        row: dict[str, object] = {"step": step}
        for period, prefix in (("current", ""), ("previous", "base_")):
            side = cells[cells["period"] == period]
            row[f"{prefix}users"] = int(side.loc[side["reached"] >= k, "users"].sum())
            row[f"{prefix}entered"] = int(side.loc[side["reached"] >= max(k - 1, 1), "users"].sum())
        rows.append(row)
    return pd.DataFrame(rows)


def focus(found: Diagnosis, cells: pd.DataFrame, steps: Sequence[str]) -> str:
    """The step to look at: the one that took most from the rate if it took any for sure, else the one that keeps fewest."""
    table = found.effects.set_index("factor").reindex([s for s in steps[1:] if s in set(found.effects["factor"])])
    sure = table[table["high"] < 0]
    if len(sure):
        return str(sure["contribution"].idxmin())
    funnel = funnel_table(cells, steps).iloc[1:]
    return str(funnel.loc[(funnel["users"] / funnel["entered"].replace(0, np.nan)).idxmin(), "step"])


def by_value(
    cells: pd.DataFrame, dimensions: Sequence[str], steps: Sequence[str], step: str, least: int = 30
) -> pd.DataFrame:
    """The step's rate by the values of each dimension, now and before, the largest fall first.

    One row per (dimension, value) with at least `least` users at the step before in either period: hits, of, base_hits, base_of.
    """
    parts = []
    for dimension in dimensions:
        table = step_rates(cells, dimension, steps, step)
        wide = table.set_index(["period", dimension]).unstack("period", fill_value=0)
        part = pd.DataFrame({"dimension": dimension, "value": wide.index.astype(str)}, index=wide.index)
        for period, prefix in (("current", ""), ("previous", "base_")):
            for column in ("hits", "of"):
                part[prefix + column] = wide[(column, period)] if (column, period) in wide.columns else 0
        parts.append(part.reset_index(drop=True))
    table = pd.concat(parts, ignore_index=True)
    return table[table[["of", "base_of"]].max(axis=1) >= least].reset_index(drop=True)


def traits(
    cells: pd.DataFrame, dimensions: Sequence[str], steps: Sequence[str], step: str, habits: pd.DataFrame
) -> pd.DataFrame:
    """Who took the step and who stopped before it: values they came with, and events they had done by then.

    One row per trait: dimension ("event" for an event), value, passed_did, passed, stayed_did, stayed. Traits of all or of
    nobody are left out, and values of fewer than 30 users.
    """
    k = list(steps).index(step) + 1
    now = cells[(cells["period"] == "current") & (cells["reached"] >= k - 1)]
    passed, stayed = now["users"].where(now["reached"] >= k, 0), now["users"].where(now["reached"] < k, 0)
    rows = []
    for dimension in dimensions:
        sums = now.assign(p=passed, s=stayed).groupby(dimension)[["p", "s"]].sum()
        rows += [(dimension, str(value), r.p, passed.sum(), r.s, stayed.sum()) for value, r in sums.iterrows()]
    columns = ["passed_did", "passed", "stayed_did", "stayed"]
    table = pd.DataFrame(rows, columns=["dimension", "value", *columns])
    events = habits[~habits["event"].isin(list(steps))].assign(dimension="event").rename(columns={"event": "value"})
    table = pd.concat([table, events[["dimension", "value", *columns]]], ignore_index=True)
    did, of = table["passed_did"] + table["stayed_did"], table["passed"] + table["stayed"]
    return table[(did >= 30) & (did < of)].astype(dict.fromkeys(columns, int)).reset_index(drop=True)


def times(now: pd.DataFrame, before: pd.DataFrame, steps: Sequence[str]) -> pd.DataFrame:
    """Times between steps in both periods: from_name, to_name, users, p50_s, p90_s, mean_s, var_s; base_… of the one before."""
    keys = ["from_step", "to_step"]
    columns = ["users", "p50_s", "p90_s", "mean_s", "var_s"]
    table = now[keys + columns].merge(before[keys + columns], on=keys, how="left", suffixes=("", "_base"))
    names = list(steps)
    table["from_name"] = [names[i - 1] for i in table["from_step"]]
    table["to_name"] = [names[i - 1] for i in table["to_step"]]
    return table
