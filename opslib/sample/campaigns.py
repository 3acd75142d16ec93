"""Experiments and campaigns as their users live them: exposures, joining, checking in, inviting, rewards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opslib.sample import plan
from opslib.sample.behaviour import Lives, Log, Sessions
from opslib.sample.draws import within
from opslib.sample.people import People
from opslib.sample.plan import CAMPAIGN, CAMPAIGNS, EXPERIMENT, EXPERIMENTS, SECOND, SEGMENTS, Calendar
from opslib.sample.referral import Invitations

TENURE = 7  # days after which an experiment or a campaign for existing users sees somebody


@dataclass
class Arms:
    """Who is in which arm of each experiment: -1 nobody; `ts` of the exposure; `logged` if the row exists."""

    arm: np.ndarray  # [experiment, user]
    ts: np.ndarray
    logged: np.ndarray
    both: np.ndarray  # [user], of the broken test: also seen in the other arm


def first_days(alive: Lives, p: People, start: int, length: int, tenure: int) -> np.ndarray:
    """The first active day of each registered visitor inside the days, as a row of `alive`."""
    inside = (alive.day >= start) & (alive.day < start + length) & (alive.day - p.day[alive.user] >= tenure)
    rows = np.flatnonzero(inside & p.registered[alive.user] & (p.ring[alive.user] < 0))
    return rows[np.unique(alive.user[rows], return_index=True)[1]]


def expose(
    rng: np.random.Generator, calendar: Calendar, p: People, alive: Lives, s: Sessions, registered: np.ndarray
) -> Arms:
    """Put users into the arms of every experiment; the broken one loses half of one arm's android users."""
    shape = (len(EXPERIMENTS), len(p))
    arms = Arms(np.full(shape, -1), np.zeros(shape, np.int64), np.zeros(shape, bool), np.zeros(len(p), bool))
    for number, test in enumerate(EXPERIMENTS):
        start = calendar.back(test.week)
        if test.id == "exp_onboarding":
            user = np.flatnonzero(p.variant >= 0)
            arm, ts = p.variant[user], registered[user]
        elif test.id.startswith("holdout"):
            user = _recently_active(p, alive, start)
            arm = _split(rng, test, len(user))
            ts = np.full(len(user), calendar.midnight + start * plan.DAY + 9 * 3600 * SECOND)
        else:
            rows = first_days(alive, p, start, test.length, TENURE)
            user, ts = alive.user[rows], s.start[rows]
            arm = _split(rng, test, len(user))
        arms.arm[number, user], arms.ts[number, user], arms.logged[number, user] = arm, ts, True
    broken = EXPERIMENT["exp_pay_button"]
    victims = (arms.arm[broken] == 1) & (p.platform == plan.PLATFORMS.index("android"))
    arms.logged[broken] &= ~(victims & (rng.random(len(p)) < plan.LOST_FROM_SPLIT))
    arms.both[:] = arms.logged[broken] & (rng.random(len(p)) < plan.IN_BOTH_ARMS)
    return arms


def _recently_active(p: People, alive: Lives, start: int) -> np.ndarray:
    recent = (alive.day >= start - 28) & (alive.day < start)
    user = np.unique(alive.user[recent])
    return user[p.activated[user] & (p.ring[user] < 0) & (p.day[user] < start - 14)]


def _split(rng: np.random.Generator, test: plan.Experiment, n: int) -> np.ndarray:
    edges = np.cumsum([share for _, share in test.split])[:-1]
    return np.searchsorted(edges, rng.random(n), side="right")


def finish_factor(arms: Arms, s: Sessions) -> np.ndarray:
    """Each session's factor on finishing: raised for one arm of exp_ranking from exposure to the test's end."""
    number = EXPERIMENT["exp_ranking"]
    test, arm, since = EXPERIMENTS[number], arms.arm[number][s.user], arms.ts[number][s.user]
    inside = (arm == 1) & (s.start >= since) & (s.start < since + test.length * plan.DAY)
    return np.where(inside, plan.FINISH_LIFT, 1.0)


@dataclass
class Joined:
    """Who joined each campaign, [campaign, user], and when."""

    member: np.ndarray
    ts: np.ndarray


def join(
    rng: np.random.Generator, log: Log, calendar: Calendar, p: People, alive: Lives, s: Sessions, arms: Arms
) -> Joined:
    """Join campaigns on one's first active day inside them, check in, and claim the reward."""
    shape = (len(CAMPAIGNS), len(p))
    joined = Joined(np.zeros(shape, bool), np.zeros(shape, np.int64))
    for number, c in enumerate(CAMPAIGNS):
        start = calendar.back(c.week)
        rows = first_days(alive, p, start, c.length, 0 if c.newcomers else TENURE)
        user = alive.user[rows]
        chance = c.join * np.array([g.join for g in SEGMENTS])[p.segment[user]] * p.activated[user]
        if c.kind in plan.SELLS:
            chance = chance * np.where(p.payer[user], 3.0, 1.0)
        if c.id == plan.CHECK_IN:
            chance = chance * np.where(arms.arm[EXPERIMENT["exp_reward"], user] == 1, plan.JOIN_CASH_5, 1.0)
        if c.id == plan.MEMBER_DAY:
            chance = chance * (arms.arm[EXPERIMENT[f"holdout_{c.id}"], user] == 1)
        taken = rng.random(len(user)) < np.minimum(chance, 0.95)
        rows, user = rows[taken], user[taken]
        ts = np.maximum(s.start[rows] + 40 * SECOND, p.arrived[user] + 1800 * SECOND)
        joined.member[number, user], joined.ts[number, user] = True, ts
        log.add("join_campaign", rows, ts, campaign=number)
        if c.kind == "check_in":
            _check_in(rng, log, number, c, alive, s, joined, start, arms)
        elif c.kind == "tasks":
            done = rng.random(len(rows)) < 0.6
            ts = ts[done] + (rng.uniform(200, 1500, done.sum()) * SECOND).astype(np.int64)
            log.add("claim_reward", rows[done], ts, campaign=number, amount=c.reward)
    return joined


def _check_in(
    rng: np.random.Generator,
    log: Log,
    number: int,
    c: plan.Campaign,
    alive: Lives,
    s: Sessions,
    joined: Joined,
    start: int,
    arms: Arms,
) -> None:
    """Check in on most active days; the third time pays, in the arm's own amount."""
    inside = joined.member[number, alive.user] & (alive.day >= start) & (alive.day < start + c.length)
    rows = np.flatnonzero(inside & (s.start[: len(alive.user)] + 60 * SECOND > joined.ts[number, alive.user]))
    rows = rows[rng.random(len(rows)) < 0.85]
    log.add("check_in", rows, s.start[rows] + 60 * SECOND, campaign=number)
    _, count = np.unique(alive.user[rows], return_counts=True)
    paid = rows[within(count) == 2]
    reward = np.full(len(paid), c.reward)
    if c.id == plan.CHECK_IN:
        reward = np.where(arms.arm[EXPERIMENT["exp_reward"], alive.user[paid]] == 1, 5.0, 2.0)
    log.add("claim_reward", paid, s.start[paid] + 75 * SECOND, campaign=number, amount=reward)


def invitations(
    rng: np.random.Generator,
    log: Log,
    calendar: Calendar,
    p: People,
    everyone: People,
    s: Sessions,
    sent: Invitations,
    base: int,
) -> Sessions:
    """Sessions of their own for inviting and for fetching the reward; `base` is the chunk's first visitor.

    Inside the referral campaign each accepted invitation pays the inviter, and the invited once activated.
    """
    number = CAMPAIGN[plan.REFERRAL]
    start = calendar.midnight + calendar.back(CAMPAIGNS[number].week) * plan.DAY
    stop = start + CAMPAIGNS[number].length * plan.DAY
    low, high = np.searchsorted(sent.inviter, [base, base + len(p)])
    who, ts, guest = sent.inviter[low:high] - base, sent.ts[low:high], sent.accepted[low:high]
    fresh = np.append(True, (who[1:] != who[:-1]) | (ts[1:] - ts[:-1] > 1500 * SECOND))[: len(who)]
    s, new = s.extended(who[fresh], (ts[fresh] - calendar.midnight) // plan.DAY, ts[fresh] - 20 * SECOND)
    session = new[np.cumsum(fresh) - 1] if len(who) else new
    counts = (ts >= start) & (ts < stop)
    log.add("invite", session, ts, campaign=np.where(counts, number, -1))
    first = np.flatnonzero(fresh & counts)
    first = first[np.unique(who[first], return_index=True)[1]]
    log.add("join_campaign", session[first], ts[first] - 5 * SECOND, campaign=number)

    paid = counts & (guest >= 0)
    when = everyone.arrived[guest[paid]] + (rng.uniform(0.2, 4, paid.sum()) * 3600 * SECOND).astype(np.int64)
    s, new = s.extended(who[paid], (when - calendar.midnight) // plan.DAY, when)
    log.add("claim_reward", new, when + 15 * SECOND, campaign=number, amount=CAMPAIGNS[number].reward)
    came = np.flatnonzero((p.inviter >= 0) & p.activated & (p.arrived >= start) & (p.arrived < stop))
    mine = np.flatnonzero(s.kind == 0)[came]  # first visits are in the order of the visitors
    log.add("join_campaign", mine, p.arrived[came] + 1500 * SECOND, campaign=number)
    log.add("claim_reward", mine, p.arrived[came] + 1510 * SECOND, campaign=number, amount=plan.INVITED_REWARD)
    return s
