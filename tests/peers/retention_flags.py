"""For each user: active on the first day, and then on which of the further days (only if on the first)."""

import pandas as pd

from opslib.metrics.retention import retention
from peers import common

KEYS = common.SEGMENT_KEYS | {"days"}


def answer(case):
    days = [pd.Timestamp(day) for day in case["query"]["days"]]
    table = common.events(case)
    users = dict.fromkeys(common.person(case, event["user"]) for event in case["events"])
    return {user: flags(table.filter(table.user_id == user), days) for user in users}


def flags(one_user, days: list[pd.Timestamp]) -> list[bool]:
    found = retention(
        one_user,
        mode="recurring",
        period=(days[0].date(), days[0].date()),
        periods=max(1, (days[-1] - days[0]).days),
        until=common.ALL_TIME[1],
    ).to_pandas()
    active = set(found.loc[found["users"] > 0, "n"])
    return [(day - days[0]).days in active for day in days]
