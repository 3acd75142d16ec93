"""One row for each user, with everything that outreach decides by."""

from __future__ import annotations

import pandas as pd

from opslib.errors import TooLittleError
from opslib.text import say


def people(
    users: pd.DataFrame,
    states: pd.DataFrame,
    profiles: pd.DataFrame,
    measures: pd.DataFrame,
    *,
    personas: pd.Series,
    risks: pd.DataFrame,
    ordered: bool,
) -> pd.DataFrame:
    """States of registered users joined with what else is known of them; what is not known is blank.

    Parameters
    ----------
    users : user_id, channel, platform
    states : user_id, state, days_away
    profiles : index user_id; users active in the window
    measures : index user_id; frequency, monetary and segment of RFM, of orders where `ordered`
    personas, risks : index user_id

    One row per user (index user_id, in its order): state, days_away, channel, platform, tenure_days, active_7, active_28, active_days,
    orders and spent (0 where there are none), segment, persona, risk.

    Raises
    ------
    TooLittleError  without users.
    """
    table = states.set_index("user_id")[["state", "days_away"]].sort_index()
    table = table.join(users.set_index("user_id")[["channel", "platform"]], how="inner")
    if table.empty:
        raise TooLittleError(
            say(zh="没有有过行为的注册用户可触达", en="outreach needs at least one registered user with an event")
        )
    table = table.join(profiles[["tenure_days", "active_7", "active_28", "active_days"]])
    for name, measure in (("orders", "frequency"), ("spent", "monetary")):
        table[name] = measures[measure].reindex(table.index).fillna(0) if ordered else 0
    table["segment"] = measures["segment"].reindex(table.index)
    table["persona"] = personas.reindex(table.index)
    table["risk"] = risks["risk"].reindex(table.index).astype(float)
    return table


def contacts(touches: pd.DataFrame, earlier: pd.DataFrame | None, *, as_of: str) -> pd.DataFrame:
    """Past contacts: user_id and days_ago, of touches and of the users of earlier lists who were not held out."""
    made = [touches[["user_id", "days_ago"]]]
    if earlier is not None and len(earlier):
        ago = (pd.Timestamp(as_of) - pd.Timestamp(earlier.attrs["end"])).days
        reached = earlier[earlier["holdout"].astype(str).str.lower() != "true"]
        made.append(pd.DataFrame({"user_id": reached["user_id"].to_numpy(), "days_ago": ago}))
    return pd.concat(made, ignore_index=True)


def worth(profiles: pd.DataFrame, *, days: int, goal_days: int) -> float:
    """Net revenue of an active user in `goal_days`, on average; 0 where nobody bought anything."""
    return float(profiles["spent"].sort_index().mean() * goal_days / days) if len(profiles) else 0.0
