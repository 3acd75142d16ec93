"""The growth model's state of each user on each of the days asked for."""

import ibis

from opslib.metrics.lifecycle import daily_states
from peers import common

KEYS = common.SEGMENT_KEYS | {"rules", "days"}


def answer(case):
    days = case["query"]["days"]
    assert case["query"]["rules"] == "retentioneering_v5"
    table = common.events(case)
    users = dict.fromkeys(common.person(case, event["user"]) for event in case["events"])
    return {user: [states_of(table.filter(table.user_id == user), day) for day in days] for user in users}


def states_of(one_user: ibis.Table, day: str) -> str | None:
    """The one state that holds the one user."""
    counts = daily_states(one_user, period=(day, day), until=common.ALL_TIME[1]).drop("day").to_pandas()
    return next((str(state) for state, users in counts.iloc[0].items() if users), None)
