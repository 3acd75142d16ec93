"""For each user: active on the first day, and then on which of the further days (only if on the first)."""

import pandas as pd

from opslib.metrics.activity import active_users
from peers import common

KEYS = common.SEGMENT_KEYS | {"days"}


def answer(case):
    days = [pd.Timestamp(day) for day in case["query"]["days"]]
    table = common.events(case)
    users = dict.fromkeys(common.person(case, event["user"]) for event in case["events"])
    return {user: flags(table.filter(table.user_id == user), days) for user in users}


def flags(one_user, days: list[pd.Timestamp]) -> list[bool]:
    seen = active_users(one_user, windows=(1,)).to_pandas()
    active = set(pd.to_datetime(seen.loc[seen["users"] > 0, "end"]))
    return [days[0] in active and day in active for day in days]
