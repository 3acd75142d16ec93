"""Carts, orders and marketing contacts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opslib.sample import plan
from opslib.sample.behaviour import Lives, Log, Sessions
from opslib.sample.campaigns import Arms, Joined
from opslib.sample.draws import stream
from opslib.sample.people import People
from opslib.sample.plan import CAMPAIGN, CAMPAIGNS, CHANNEL, CHANNELS, DAY, EXPERIMENT, SECOND, Calendar

PRICE, PRICE_SPREAD, ORDER_SPREAD = 138.0, 0.35, 0.40
FIRST_DAY_BUYS = 0.28  # of payers
BUYS = 0.13  # a payer's mean chance on an active day
ABANDONS = 0.02  # chance of a cart that is left, on an activated user's active day


@dataclass
class Orders:
    """One entry per order; `session` is where it was paid."""

    user: np.ndarray
    ts: np.ndarray
    session: np.ndarray
    amount: np.ndarray
    refunded: np.ndarray
    campaign: np.ndarray
    lifted: np.ndarray  # would not have happened without the member day


def orders(
    rng: np.random.Generator,
    log: Log,
    calendar: Calendar,
    p: People,
    alive: Lives,
    s: Sessions,
    begin: np.ndarray,
    arms: Arms,
    joined: Joined,
) -> tuple[Orders, Sessions]:
    """Payers' orders on their active days, the orders that the member day brings on top, and carts left standing."""
    n = len(p)
    taste = np.minimum(rng.gamma(2.0, BUYS / 2.0, n), 0.35)
    price = PRICE * np.exp(PRICE_SPREAD * rng.standard_normal(n))
    first = alive.day == p.day[alive.user]
    chance = np.where(first, FIRST_DAY_BUYS, taste[alive.user]) * p.payer[alive.user]
    rows = np.flatnonzero(rng.random(len(alive.user)) < chance)
    user, session = alive.user[rows], rows
    ts = begin[rows] + (rng.uniform(90, 900, len(rows)) * SECOND).astype(np.int64)

    extra, when = _lifted(rng, calendar, arms, user, ts)
    s, new = s.extended(extra, (when - calendar.midnight) // DAY, when - 400 * SECOND)
    member = CAMPAIGN[plan.MEMBER_DAY]
    unseen = ~joined.member[member, extra]
    log.add("join_campaign", new[unseen], when[unseen] - 350 * SECOND, campaign=member)
    joined.member[member, extra[unseen]], joined.ts[member, extra[unseen]] = True, when[unseen] - 350 * SECOND

    user, ts, session = np.concatenate([user, extra]), np.concatenate([ts, when]), np.concatenate([session, new])
    amount = np.round(price[user] * np.exp(ORDER_SPREAD * rng.standard_normal(len(user))), 1)
    lifted = np.arange(len(user)) >= len(rows)
    made = Orders(
        user,
        ts,
        session,
        amount,
        _refunds(rng, amount),
        np.where(lifted, member, _credited(calendar, joined, user, ts)),
        lifted,
    )
    _log(log, made)
    _abandoned(rng, log, p, alive, begin, rows)
    return made, s


def _lifted(
    rng: np.random.Generator, calendar: Calendar, arms: Arms, user: np.ndarray, ts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Treated users who would not have bought on the member day, and do because of it."""
    c = CAMPAIGNS[CAMPAIGN[plan.MEMBER_DAY]]
    start = calendar.midnight + calendar.back(c.week) * DAY
    treated = arms.arm[EXPERIMENT[f"holdout_{c.id}"]] == 1
    treated[user[(ts >= start) & (ts < start + c.length * DAY)]] = False  # buys anyway
    extra = np.flatnonzero(treated & (rng.random(len(treated)) < plan.MEMBER_DAY_LIFT))
    hour = rng.choice([10.5, 12.5, 20.5, 21.5], len(extra)) + rng.uniform(-1, 1, len(extra))
    return extra, start + rng.integers(0, c.length, len(extra)) * DAY + (hour * 3600 * SECOND).astype(np.int64)


def _refunds(rng: np.random.Generator, amount: np.ndarray) -> np.ndarray:
    share = np.where(rng.random(len(amount)) < 0.5, 1.0, 0.5)
    return np.where(rng.random(len(amount)) < 0.04, np.round(amount * share, 1), 0.0)


def _credited(calendar: Calendar, joined: Joined, user: np.ndarray, ts: np.ndarray) -> np.ndarray:
    """The campaign an order belongs to: one that sells, joined before, still on."""
    found = np.full(len(user), -1)
    for number, c in enumerate(CAMPAIGNS):
        stop = calendar.midnight + (calendar.back(c.week) + c.length) * DAY
        if c.kind in plan.SELLS:
            found[joined.member[number, user] & (ts > joined.ts[number, user]) & (ts < stop)] = number
    return found


def _log(log: Log, made: Orders) -> None:
    log.add("add_to_cart", made.session, made.ts - 80 * SECOND, amount=made.amount)
    log.add("checkout", made.session, made.ts - 25 * SECOND, amount=made.amount, campaign=made.campaign)
    log.add("pay", made.session, made.ts, amount=made.amount, campaign=made.campaign)


def _abandoned(
    rng: np.random.Generator, log: Log, p: People, alive: Lives, begin: np.ndarray, bought: np.ndarray
) -> None:
    chance = ABANDONS * p.activated[alive.user]
    chance[bought] = 0
    rows = np.flatnonzero((rng.random(len(chance)) < chance) & (p.ring[alive.user] < 0))
    amount = np.round(PRICE * np.exp(0.6 * rng.standard_normal(len(rows))), 1)
    ts = begin[rows] + (rng.uniform(60, 600, len(rows)) * SECOND).astype(np.int64)
    log.add("add_to_cart", rows, ts, amount=amount)
    went = rng.random(len(rows)) < 0.4
    log.add("checkout", rows[went], ts[went] + 50 * SECOND, amount=amount[went])


# Which channel somebody met before the one that brought them: advertising and content more often than shops.
BEFORE = np.array([0.22, 0.16, 0.08, 0.05, 0.05, 0.12, 0.10, 0.14, 0.04, 0.04, 0.0, 0.0])


@dataclass
class Touches:
    """One entry per marketing contact."""

    user: np.ndarray
    ts: np.ndarray
    channel: np.ndarray
    click: np.ndarray
    campaign: np.ndarray


def touches(seed: int, chunk: int, calendar: Calendar, p: People, made: Orders) -> Touches:
    """The contacts that led to the first visit, and those after it, before orders more than otherwise."""
    rng = stream(seed, "touches", chunk)
    marketed = np.flatnonzero(p.ring < 0)
    last = (marketed, p.arrived[marketed] - 45 * SECOND, p.channel[marketed], np.ones(len(marketed), bool))
    earlier = _contacts(rng, np.repeat(marketed, rng.poisson(0.9, len(marketed))), p.arrived, -4.0)
    inside = np.flatnonzero(p.verified & (p.ring < 0))
    later = _contacts(rng, np.repeat(inside, rng.poisson(0.5, len(inside))), p.arrived, 9.0)
    paid_at = np.zeros(len(p), np.int64)
    paid_at[made.user[::-1]] = made.ts[::-1]
    payers = np.unique(made.user)
    before_order = _contacts(rng, np.repeat(payers, rng.poisson(1.2, len(payers))), paid_at, -3.0)
    user, ts, channel, click = (np.concatenate(x) for x in zip(last, earlier, later, before_order, strict=True))
    keep = (ts >= calendar.midnight) & (ts < calendar.stop)
    keep &= (np.arange(len(user)) < len(marketed) + len(earlier[0])) | (ts > p.arrived[user])
    user, ts, channel, click = user[keep], ts[keep], channel[keep], click[keep]
    member = CAMPAIGNS[CAMPAIGN[plan.MEMBER_DAY]]
    start = calendar.midnight + calendar.back(member.week) * DAY
    promoted = (ts >= start) & (ts < start + member.length * DAY) & (channel == CHANNEL["wechat_mp"])
    order = np.lexsort((channel, user, ts))
    campaign = np.where(promoted, CAMPAIGN[plan.MEMBER_DAY], -1)
    return Touches(user[order], ts[order], channel[order], click[order], campaign[order])


def _contacts(rng: np.random.Generator, user: np.ndarray, at: np.ndarray, mean_days: float) -> tuple[np.ndarray, ...]:
    """One contact for each entry, some days before (negative) or after the user's own moment."""
    away = np.sign(mean_days) * (rng.exponential(abs(mean_days), len(user)) * DAY).astype(np.int64)
    channel = rng.choice(len(CHANNELS), len(user), p=BEFORE / BEFORE.sum())
    return user, at[user] + away.astype(np.int64), channel, rng.random(len(user)) < 0.45
