"""In which column of its cohort's row one user's last return stands."""

from peers import common, retention

KEYS = retention.KEYS


def answer(case):
    found = retention.ask(case, until=common.ALL_TIME[1])
    return {"column": int(found.loc[found["users"] > 0, "n"].max())}
