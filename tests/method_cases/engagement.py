"""Calls for the published examples of engagement."""

from __future__ import annotations

import pandas as pd

from opslib import stats
from opslib.models.engagement import activity, arpu, fit_retention, viral_users
from opslib.models.lifecycle import quick_ratio
from opslib.models.nps import csat, nps, nps_difference


def retention(case, data):
    horizon = case.get("N", 90)
    found = fit_retention(case["t"], case["r"], case.get("n"), horizon=horizon)
    return vars(found) | {f"LT{horizon}": found.lt, "LT": found.lt}


def active(case, data):
    rows = [(user, day) for user, days in case["active_days"].items() for day in days]
    rows += [tuple(case["duplicate_event"])] if "duplicate_event" in case else []
    users, days = zip(*rows, strict=True)
    last = case["window_end"]
    found = activity(users, days, last, window=case.get("window", 28))
    by_day = {f"dau_d{row.day}": row.users for row in found.daily.itertuples()}
    ends = {f"wau_d{last}": found.wau, f"mau_d{last}": found.mau, "L28": found.histogram}
    return by_day | ends | {"mean_dau": found.mean_dau, "stickiness": found.stickiness}


def wilson(case, data):
    frame = pd.DataFrame(case["cases"], columns=["hits", "of"])
    got = stats.proportion(frame, hits="hits", of="of")
    single = [csat(int(x), int(n)) for x, n in case["cases"]]
    assert [s.low for s in single] == list(got.low)
    return {"ci": got[["low", "high"]].to_numpy()}


def differences(case, data):
    frame = pd.DataFrame(case["cases"], columns=["hits", "of", "hits0", "of0"])
    got = stats.difference(frame, hits="hits", of="of", base_hits="hits0", base_of="of0")
    return {"ci": got[["low", "high"]].to_numpy(), "diff": got["diff"].to_list(), "p": got.p.to_list()}


def quick(case, data):
    found = quick_ratio(case["new"], case["resurrected"], case["churned"])
    ends = {"quick_ratio_first": found[0], "quick_ratio_last": found[-1]} if isinstance(case["new"], list) else {}
    return {"quick_ratio": found} | ends


def net_promoters(case, data):
    found = nps(case["promoters"], case["passives"], case["detractors"])
    return vars(found) | {"adj": [found.low, found.high]}


CALLS = {
    "eng_arpu*": lambda case, data: arpu(case["users"], case["payers"], case["orders"], case["revenue"]),
    "eng_dau*": active,
    "eng_nps*": net_promoters,
    "eng_nps_diff*": lambda case, data: nps_difference(tuple(case["a"]), tuple(case["b"])),
    "eng_retention_power*": retention,
    "eng_viral*": lambda case, data: {"users": [viral_users(*row) for row in case["cases"]]},
    "eng_wilson*": wilson,
    "eng_newcombe*": differences,
    "eng_quick*": quick,
}
