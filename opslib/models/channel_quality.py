"""Whom each channel brings: who activate, come back, pay, and who look like one person with many accounts."""

from __future__ import annotations

import pandas as pd

from opslib.models import abuse
from opslib.models.moments import divided

SHARES = {
    "activated": ("activated", "of_activated"),
    "d1": ("d1", "of_d1"),
    "d7": ("d7", "of_d7"),
    "d30": ("d30", "of_d30"),
    "paying": ("payers", "signups"),
}


def quality(users: pd.DataFrame, suspects: pd.DataFrame | None = None) -> pd.DataFrame:
    """Each channel's users over the whole period: shares that activated, came back on days 1, 7 and 30, paid, are suspected.

    One row per (channel, measure): hits, of. What has not been observed yet is in neither; `suspects` of `suspected`,
    absent where nobody of the channel was looked at.
    """
    sums = users.groupby("channel").sum(numeric_only=True)
    parts = [
        pd.DataFrame({"channel": sums.index, "measure": name, "hits": sums[hits].values, "of": sums[of].values})
        for name, (hits, of) in SHARES.items()
    ]
    if suspects is not None:
        listed = suspects.assign(measure="suspected", of=suspects["channel"].map(sums["signups"]))
        parts.append(listed.rename(columns={"suspected": "hits"})[["channel", "measure", "hits", "of"]].dropna())
    return pd.concat(parts, ignore_index=True)


def wide(shares: pd.DataFrame) -> pd.DataFrame:
    """One row per channel with a column per measure: the shares of `quality` with a `rate`; blank where none is known."""
    table = shares.pivot(index="channel", columns="measure", values="rate")
    order = [m for m in (*SHARES, "suspected") if m in table]
    table = table[order].sort_values("d7", ascending=False).reset_index().rename_axis(columns=None)
    return table.rename(columns={m: f"{m}_share" for m in ("activated", "suspected")})


def weekly(weeks: pd.DataFrame, users: pd.DataFrame) -> pd.DataFrame:
    """The weeks of `channels.weekly_cac` with each cohort's shares: activated, d1, d7, d30; blank where not observed."""
    names = ("activated", "d1", "d7", "d30")
    shares = {f"{name}_share": divided(users[name], users[f"of_{name}"]) for name in names}
    found = weeks.merge(users[["start", "channel"]].assign(**shares), on=["start", "channel"], how="left")
    return found.drop(columns="of_activated").assign(
        start=pd.to_datetime(found["start"]).dt.date,
        cac_activated=divided(found["cost"], found["activated"]),
        cac_payer=divided(found["cost"], found["payers"]),
    )


def suspected(claims: pd.DataFrame) -> pd.DataFrame | None:
    """How many of each channel's new accounts look like members of a ring of accounts.

    One row per channel of which an account claimed a reward. Columns: channel, claimed (accounts looked at), suspected,
    amount (rewards that those took). None where nobody claimed anything.

    `claims` of `metrics.staying.claims`. Definition: scored campaign by campaign (`models.abuse`), listed from its
    threshold on in any of them. Accounts that claimed nothing cannot be judged, so it is a lower bound.
    """
    if claims.empty:
        return None
    listed: set[str] = set()
    for _, rows in claims.groupby("campaign_id"):
        scores = abuse.abuse_scores(
            rows, user="user_id", device="device_id", minute="minute", inviter="inviter_id", rewards="rewards"
        )
        listed |= set(scores.loc[scores["score"] >= abuse.LISTED, "user_id"])
    fresh = claims[claims["new"] == 1]
    each = fresh.groupby(["channel", "user_id"], as_index=False)["amount"].sum()
    each = each.assign(listed=each["user_id"].isin(listed))
    by = each.assign(taken=each["amount"].where(each["listed"], 0.0)).groupby("channel")
    table = by.agg(claimed=("user_id", "size"), suspected=("listed", "sum"), amount=("taken", "sum"))
    return table.reset_index()
