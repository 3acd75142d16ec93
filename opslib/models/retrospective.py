"""A campaign looked back on: its goal by day, its money, its extra effect by a hold-out, and its suspects."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from opslib import columns
from opslib.errors import TooLittleError, UsageError
from opslib.models import abtest, abuse
from opslib.models.campaign import roi
from opslib.models.ltv import Range
from opslib.models.referral import k_factor
from opslib.text import Clean, like, missing, say

REWARD = "claim_reward"


@dataclass(frozen=True)
class Campaign:
    """One campaign as it was set up; `first` and `last` are local days, both included."""

    id: str
    name: str
    kind: str
    first: dt.date
    last: dt.date
    running: bool
    goal_metric: str
    goal: float
    budget: float
    rewards: float

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def after(self) -> dt.date:
        """The day after the last one."""
        return self.last + dt.timedelta(days=1)

    @property
    def in_money(self) -> bool:
        """The goal is extra revenue, and no count of an event."""
        return self.goal_metric == abtest.REVENUE

    @property
    def holdout(self) -> str:
        """The experiment that keeps users out of it, if there was one."""
        return f"holdout_{self.id}"


def chosen(
    campaigns: pd.DataFrame, campaign_id: str, *, observed: dt.date, experiments: Collection[str] = ()
) -> Campaign:
    """The campaign of that id, or the newest that has ended and held users out in one of `experiments`, whose effect can be known.

    Without one the newest that has ended, and the newest of all if none has.

    A campaign ends on the local day before `ends_at` when that is a midnight, else on its day.

    Raises
    ------
    UsageError      if there is no campaign of that id; names the near miss.
    TooLittleError  if there is none at all.
    """
    if campaigns.empty:
        raise TooLittleError(say(zh="数据里没有活动", en="there are no campaigns in the data"))
    every = [_campaign(row, observed) for row in campaigns.to_dict("records")]
    if campaign_id:
        found = [c for c in every if c.id == campaign_id]
        if not found:
            raise UsageError(
                say(zh="没有编号为「{id}」的活动", en="no campaign “{id}”", id=campaign_id),
                like(campaign_id, [c.id for c in every]),
            )
        return found[0]
    return max(every, key=lambda c: (not c.running, not c.running and c.holdout in experiments, c.last, c.id))


def _campaign(row: dict, observed: dt.date) -> Campaign:
    def number(name: str) -> float:
        return float("nan") if missing(row.get(name)) else float(row[name])

    def text(name: str) -> str:
        return "" if missing(row.get(name)) else str(row[name])

    first, end = pd.Timestamp(row["starts_day"]).date(), pd.Timestamp(row["ends_day"]).date()
    midnight = (row["ends_at"] - row["starts_at"]) % pd.Timedelta(days=1) == pd.Timedelta(0)
    last = max(first, end - dt.timedelta(days=1)) if midnight else end
    goal = number("goal_value") if text("goal_metric") else float("nan")  # a number of nothing is no goal
    return Campaign(str(row["campaign_id"]), text("name") or str(row["campaign_id"]), text("kind"), first, last, last > observed,
                    text("goal_metric"), goal, number("budget"), number("reward_cost"))  # fmt: skip


def overlapping(campaigns: pd.DataFrame, this: Campaign) -> list[str]:
    """Names of other campaigns that ran on any of its days: what happened cannot be told apart."""
    return meeting(campaigns, this.id, this.first, this.last)


def meeting(campaigns: pd.DataFrame, id: str, first: dt.date, last: dt.date) -> list[str]:
    """Names of the campaigns other than `id` that run on any of these days."""
    others = [_campaign(row, last) for row in campaigns.to_dict("records")]
    return [c.name for c in others if c.id != id and c.first <= last and c.last >= first]


def counted(
    pacing: pd.DataFrame, joined: pd.DataFrame, invited: pd.DataFrame, takings: pd.DataFrame, this: Campaign
) -> pd.DataFrame:
    """The campaign's days with what its goal counts; without a goal, the participants.

    For a goal in money that is what was ordered in its name; for a referral whose goal is to register, the invited who did:
    their events carry no id.
    """
    if not this.goal_metric:
        return joined.assign(event="")
    if this.in_money:
        return takings.assign(event=this.goal_metric)
    if this.kind != "referral" or this.goal_metric != "register" or (pacing.event == "register").any():
        return pacing
    return pd.concat([pacing, invited.assign(event="register")], ignore_index=True)


def progress(pacing: pd.DataFrame, this: Campaign, *, observed: dt.date) -> pd.DataFrame:
    """Users so far who did what the goal counts (took part, without a goal), or money so far, day by day, and an even pace towards the goal.

    One row per day from the first to the last one observed: `day`, `done`, `pace` (absent without a goal).

    Raises
    ------
    TooLittleError  if no event of the goal (no order, for a goal in money; no event at all, without a goal) carries the campaign's id.
    """
    rows = pacing[pacing.event == this.goal_metric]
    if rows.empty and this.in_money:
        raise TooLittleError(
            say(
                zh="没有带该活动编号的订单，无法对照金额目标",
                en="no order carries the campaign's id: a goal in money cannot be followed",
            )
        )
    if rows.empty and not this.goal_metric:
        raise TooLittleError(
            say(zh="没有带该活动编号的事件，也没有登记目标，看不到进度", en="no event carries the campaign's id, and no goal is on record: there is no progress to see")
        )  # fmt: skip
    if rows.empty:
        raise TooLittleError(
            say(
                zh="没有带该活动编号的「{event}」事件，无法对照目标", en="no event {event} carries the campaign's id: the goal cannot be followed",
                event=columns.value_name("event", this.goal_metric),
            )
        )  # fmt: skip
    days = pd.date_range(this.first, min(this.last, observed))
    done = rows.assign(day=pd.to_datetime(rows.day)).set_index("day")["first"].reindex(days).fillna(0).cumsum()
    out = pd.DataFrame({"day": days, "done": done.to_numpy()})
    return out if missing(this.goal) else out.assign(pace=this.goal * np.arange(1, len(days) + 1) / this.days)


def done(pacing: pd.DataFrame, this: Campaign, *, observed: dt.date) -> float:
    """What was done towards the goal by the last day observed; NaN where nothing tells (`progress` says why) or no goal is named."""
    try:
        return float(progress(pacing, this, observed=observed).done.iloc[-1]) if this.goal_metric else float("nan")
    except TooLittleError:
        return float("nan")


@dataclass(frozen=True)
class Money:
    """What the campaign cost and what was ordered in its name; `cost` is rewards and media."""

    rewards: float
    media: float
    revenue: float
    orders: int

    @property
    def cost(self) -> float:
        return self.rewards + self.media


def money(booked: pd.DataFrame, acts: pd.DataFrame, this: Campaign) -> Money:
    """Rewards as booked on the campaign, else the sum of its claims; media and orders that carry its id."""
    row = booked[booked.campaign_id == this.id]
    claims = acts[(acts.campaign_id == this.id) & (acts.event == REWARD)].amount.sum()
    sums = row.iloc[0] if len(row) else pd.Series({"media": 0.0, "revenue": 0.0, "orders": 0})
    return Money(
        float(claims) if missing(this.rewards) else this.rewards,
        float(sums.media),
        float(sums.revenue),
        int(sums.orders),
    )


@dataclass(frozen=True)
class Extra:
    """What the hold-out shows that the campaign brought: extra buyers and money over everybody treated, and ROI on it."""

    treated: int
    held: int
    lift: Range
    buyers: Range
    revenue: Range
    roi: Range | None


def incremental(sums: pd.DataFrame, test: abtest.Test, cost: float) -> Extra:
    """The effect on everybody who was not held out, from the hold-out experiment's sums (`outcome_sums`).

    Definition: difference of the arms by intention to treat × treated users; money adjusted by the users' own past (CUPED)
    where that varies. ROI = (extra revenue − cost) / cost.

    Raises
    ------
    TooLittleError  if an arm is too small to be judged.
    """
    found = abtest.comparisons(sums, test)
    adjusted = abtest.adjusted(sums, test)
    paid = found[found.metric == test.metric].iloc[0]
    worth = found[found.metric == abtest.REVENUE].iloc[0]
    if not (paid.enough and worth.enough):
        raise TooLittleError(
            say(
                zh="留出组太小或由个别用户主导，增量无法判断",
                en="the hold-out is too small, or carried by one user: no extra effect to read",
            )
        )
    better = adjusted[adjusted.metric == abtest.REVENUE] if len(adjusted) else adjusted
    worth = better.iloc[0] if len(better) else worth
    n = int(paid.n)

    def total(row: pd.Series) -> Range:
        return Range(row["diff"] * n, row.low * n, row.high * n)

    back = roi(worth["diff"] * n, cost, se=worth.se * n) if cost > 0 else None
    return Extra(n, int(paid.n_control), Range(paid["diff"], paid.low, paid.high), total(paid), total(worth), back)


def read(sums: pd.DataFrame, test: abtest.Test, cost: float) -> tuple[Extra | None, str]:
    """The effect that the hold-out shows, or None and why it shows none."""
    try:
        return incremental(sums, test, cost), ""
    except TooLittleError as error:
        return None, str(error)


def claimed(acts: pd.DataFrame) -> list[str]:
    """The campaigns that have claim events, the one with the most claimants first."""
    rows = acts[acts.event == REWARD].sort_values(["users", "campaign_id"], ascending=[False, True])
    return [str(id) for id in rows.campaign_id]


def suspects(claims: pd.DataFrame, elsewhere: Sequence[str] = ()) -> pd.DataFrame:
    """The accounts up for review, with their ring, the signals that agree, and the rewards they took.

    `elsewhere` are campaigns that have claim events, to point to where this one has none: its rewards may be booked as a sum.

    One row per account listed: `user_id`, `score`, `ring`, `reasons` (in words), `amount`.

    Raises
    ------
    TooLittleError  if no claim event carries the campaign's id.
    """
    if claims.empty:
        there = say(zh="；有领奖事件的活动如 campaign_id={id}", en="; one that has them is campaign_id={id}", id=elsewhere[0]) if elsewhere else ""  # fmt: skip
        raise TooLittleError(
            say(zh="没有带该活动编号的领奖事件，无从检查{there}", en="no claim event is on record in the campaign's name: nothing to check{there}", there=Clean(there))
        )  # fmt: skip
    scores = abuse.abuse_scores(
        claims,
        user="user_id",
        device="device_id",
        minute="minute",
        later="later_events",
        rewards="rewards",
        inviter="inviter_id",
    )
    listed = scores[scores.score >= abuse.LISTED]
    taken = claims.groupby("user_id").amount.sum()
    return pd.DataFrame({"user_id": listed.user_id, "score": listed.score, "ring": listed.ring,
                         "reasons": [abuse.explained(r) for r in listed.reasons], "amount": listed.user_id.map(taken)})  # fmt: skip


def nobody() -> pd.DataFrame:
    """The list of suspects before anybody was looked for."""
    return pd.DataFrame({"user_id": [], "score": [], "ring": [], "reasons": [], "amount": []})


def taken(listed: pd.DataFrame) -> float:
    """Rewards that the accounts listed took; 0 where nobody is listed."""
    return float(pd.to_numeric(listed.amount).sum()) if len(listed) else 0.0


def rings(listed: pd.DataFrame) -> pd.DataFrame:
    """One row per ring: `ring`, `accounts`, `score` (mean), `amount` (rewards taken), `reasons` (of most)."""
    if listed.empty:
        return pd.DataFrame(columns=["ring", "accounts", "score", "amount", "reasons"])
    grouped = listed.groupby("ring", dropna=False)
    return grouped.agg(accounts=("user_id", "size"), score=("score", "mean"), amount=("amount", "sum"),
                       reasons=("reasons", lambda r: r.mode().iloc[0])).reset_index()  # fmt: skip


def k(inviters: pd.DataFrame, listed: pd.DataFrame) -> tuple[Range, Range]:
    """Accepted invitations per inviter, of everybody and without the accounts listed as suspects.

    Raises
    ------
    TooLittleError  if fewer than two users invited.
    """
    honest = inviters[~inviters.user_id.isin(listed.user_id)]
    return k_factor(inviters.accepted), k_factor(honest.accepted)
