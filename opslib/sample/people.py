"""Who comes, on which day, through which channel, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from opslib.sample import plan
from opslib.sample.draws import pick, stream, table_of, within
from opslib.sample.plan import CHANNEL, CHANNELS, DAY, SECOND, SEGMENTS, Calendar

FAMILY = 0.03  # of visitors share a device with somebody who came before
CARRIER = 60  # visitors behind one address of a mobile carrier


@dataclass
class People:
    """One entry per visitor, in the order of arrival; a registered one is a user."""

    arrived: np.ndarray  # UTC microseconds of the first visit
    day: np.ndarray
    channel: np.ndarray
    platform: np.ndarray
    segment: np.ndarray
    registered: np.ndarray
    verified: np.ndarray
    activated: np.ndarray
    on_release: np.ndarray  # the first visit is on the newest release of that day
    variant: np.ndarray  # of exp_onboarding: -1 not in it, 0 control, 1 one_step
    payer: np.ndarray
    inviter: np.ndarray  # -1 nobody
    ring: np.ndarray  # -1 honest
    device: np.ndarray
    ip: np.ndarray

    def __len__(self) -> int:
        return len(self.day)

    def take(self, rows: np.ndarray | slice) -> People:
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @property
    def new_release_breaks(self) -> np.ndarray:
        """Whose phone verification the newest release breaks."""
        return self.on_release & (self.platform == plan.PLATFORMS.index("android"))


@dataclass
class Demand:
    """What was spent and what it was expected to bring, by day and channel."""

    cost: np.ndarray  # CNY
    signups: np.ndarray  # expected
    scale: float  # sign-ups and CNY for one unit of the plan


def demand(seed: int, users: int, calendar: Calendar) -> Demand:
    """Spend of every day and channel, and the sign-ups it is expected to bring (saturating where it is paid)."""
    rng = stream(seed, "demand")
    days, weeks = calendar.days, calendar.days // 7
    level = np.exp(rng.normal(0, 0.5, (weeks, len(CHANNELS))))
    level[-2 * plan.DROP_WEEK :] = 1 + 0.05 * rng.standard_normal((2 * plan.DROP_WEEK, len(CHANNELS)))
    spend = np.repeat(level, 7, axis=0) * (1 + 0.05 * rng.standard_normal((days, len(CHANNELS))))
    spend[calendar.back(plan.DROP_WEEK) :, CHANNEL["douyin_feed"]] *= plan.FEED_BOOST

    share = np.array([c.share for c in CHANNELS])
    half = np.array([c.half_spend for c in CHANNELS])
    paid = np.array([c.kind == "paid" for c in CHANNELS])
    response = np.where(paid, spend * (1 + half) / (spend + half), _unpaid(calendar))
    expected = share * response * np.array([1, 0.97, 0.96, 0.98, 1.03, 1.1, 1.08])[calendar.weekday(), None]

    scale = users / expected.sum()
    fixed = np.where(paid, spend, 1.0)
    return Demand(fixed * share * np.array([c.cac for c in CHANNELS]) * scale, expected * scale, scale)


def _unpaid(calendar: Calendar) -> np.ndarray:
    """What free and offline channels bring, in ordinary days: growth, campus fairs, the invitation campaign."""
    response = np.ones((calendar.days, len(CHANNELS)))
    settled = calendar.back(9)
    response[:settled] *= np.linspace(0.75, 1.0, settled)[:, None]
    response[:14, CHANNEL["direct"]] *= 2  # people had waited for the launch
    fair = (np.arange(calendar.days) % 14 == 5) | (np.arange(calendar.days) % 14 == 6)
    response[:, CHANNEL["campus"]] *= np.where(fair, 4.6, 0.4)
    start = calendar.back(campaign(plan.REFERRAL).week)
    response[start : start + campaign(plan.REFERRAL).length, CHANNEL["referral"]] *= plan.REFERRAL_BOOST
    return response


def campaign(id: str) -> plan.Campaign:
    return plan.CAMPAIGNS[plan.CAMPAIGN[id]]


def people(seed: int, users: int, calendar: Calendar, expected: np.ndarray) -> People:
    """Everybody who ever came, exactly `users` of them registered."""
    rng = stream(seed, "people")
    sizes = ring_sizes(users)
    cells = rng.multinomial(users - sum(sizes), (expected / expected.sum()).ravel())
    strangers = rng.poisson(expected.ravel() * (1 - plan.REGISTERS) / plan.REGISTERS)
    honest = _honest(rng, calendar, cells, strangers)
    everyone = _joined(honest, _rings(rng, calendar, sizes))
    everyone = everyone.take(np.argsort(everyone.arrived, kind="stable"))
    _settle(rng, calendar, everyone)
    return everyone


def ring_sizes(users: int) -> list[int]:
    rings = plan.scaled(users, 20_000 / plan.RINGS_PER_USERS)
    return [plan.RING_SIZES[i % len(plan.RING_SIZES)] for i in range(rings)]


def _honest(rng: np.random.Generator, calendar: Calendar, cells: np.ndarray, strangers: np.ndarray) -> People:
    where = np.concatenate([np.repeat(np.arange(len(cells)), cells), np.repeat(np.arange(len(cells)), strangers)])
    registered = np.arange(len(where)) < cells.sum()
    day, channel = where // len(CHANNELS), where % len(CHANNELS)
    n = len(where)
    shares = np.array([s.share for s in SEGMENTS])
    on_campus = shares * [0.5, 1.6, 1.1, 1.0]
    segment = pick(rng, table_of([shares, on_campus]), (channel == CHANNEL["campus"]).astype(int), len(SEGMENTS))
    platform = pick(rng, table_of([c.platforms for c in CHANNELS]), channel, len(plan.PLATFORMS))
    arrived = calendar.midnight + day * DAY + (arrival_hours(rng, n) * 3600 * SECOND).astype(np.int64)
    return _newcomers(arrived, day, channel, platform, segment, registered)


def _newcomers(
    arrived: np.ndarray,
    day: np.ndarray,
    channel: np.ndarray,
    platform: np.ndarray,
    segment: np.ndarray,
    registered: np.ndarray,
) -> People:
    """Visitors of whom nothing else is known yet."""
    no, none = np.zeros(len(day), bool), np.full(len(day), -1)
    states = {name: no.copy() for name in ("verified", "activated", "on_release", "payer")}
    numbers = {name: none.copy() for name in ("variant", "inviter", "ring", "device", "ip")}
    return People(arrived, day, channel, platform, segment, registered, **states, **numbers)


def arrival_hours(rng: np.random.Generator, n: int) -> np.ndarray:
    """Local hours of first visits: a lunch peak and a long evening."""
    centre = np.array([9.0, 12.6, 20.6, 16.0])[rng.choice(4, n, p=[0.18, 0.2, 0.42, 0.2])]
    return np.clip(centre + rng.normal(0, 1.6, n), 0.1, 23.3)


def _rings(rng: np.random.Generator, calendar: Calendar, sizes: list[int]) -> People:
    """Cheating rings: a leader, and some hours later a burst of accounts at an almost even beat."""
    size = np.array(sizes)
    ring, place = np.repeat(np.arange(len(size)), size), within(size)
    day0 = calendar.back(plan.RING_WEEK) + rng.integers(0, 8, len(size))
    burst = day0 * DAY + (rng.uniform(1, 6, len(size)) * 3600 * SECOND).astype(np.int64) + DAY
    beat = (rng.uniform(35, 60, len(size)) * SECOND).astype(np.int64)
    jitter = rng.integers(0, 6 * SECOND, len(ring))
    since = np.where(place == 0, -rng.integers(3, 9, len(ring)) * 3600 * SECOND, place * beat[ring] + jitter)
    arrived = calendar.midnight + burst[ring] + since
    n, bargain = len(ring), [s.name for s in SEGMENTS].index("bargain")
    channel = np.where(place == 0, CHANNEL["direct"], CHANNEL["referral"])
    android = np.full(n, plan.PLATFORMS.index("android"))
    day = (arrived - calendar.midnight) // DAY
    found = _newcomers(arrived, day, channel, android, np.full(n, bargain), np.ones(n, bool))
    return replace(found, verified=np.ones(n, bool), activated=np.ones(n, bool), ring=ring)


def _joined(a: People, b: People) -> People:
    return People(**{f.name: np.concatenate([getattr(a, f.name), getattr(b, f.name)]) for f in fields(People)})


def _settle(rng: np.random.Generator, calendar: Calendar, p: People) -> None:
    """Fill in what depends on the order of arrival: release, experiment, states, devices, addresses."""
    release = plan.release_days(calendar)[-1]
    p.on_release[:] = (p.day >= release) & (rng.random(len(p)) * plan.ROLLOUT_DAYS < p.day - release + 1)
    _experiment(rng, calendar, p)
    honest = p.ring < 0
    chance, ok = verify_chance(p), rng.random(len(p))
    p.verified[honest] = (p.registered & (ok < chance))[honest]
    p.activated[honest] = (p.verified & (rng.random(len(p)) < activate_chance(p)))[honest]
    worth = np.array([c.pay for c in CHANNELS])[p.channel] * np.array([s.pay for s in SEGMENTS])[p.segment]
    p.payer[:] = p.activated & honest & (rng.random(len(p)) < 0.085 * worth)
    _places(rng, p)


def _experiment(rng: np.random.Generator, calendar: Calendar, p: People) -> None:
    test = plan.EXPERIMENTS[plan.EXPERIMENT["exp_onboarding"]]
    start = calendar.back(test.week)
    inside = p.registered & (p.day >= start) & (p.day < start + test.length)
    p.variant[:] = np.where(inside, rng.random(len(p)) < 0.5, -1)


def verify_chance(p: People, *, broken: bool = True) -> np.ndarray:
    """Each visitor's chance to pass phone verification once registered; `broken=False` as if the release were sound."""
    return np.where(p.new_release_breaks & broken, plan.VERIFIES_BROKEN, plan.VERIFIES)


def activate_chance(p: People) -> np.ndarray:
    return np.where(p.variant == 1, plan.ACTIVATES_ONE_STEP, plan.ACTIVATES)


def comes_back(p: People, *, broken: bool = True) -> np.ndarray:
    """Each visitor's chance to come back at all, before it is known whether verification and activation succeed."""
    back, verified, activated = plan.COMES_BACK, verify_chance(p, broken=broken), activate_chance(p)
    inside = activated * back["activated"] + (1 - activated) * back["verified"]
    inside = verified * inside + (1 - verified) * back["registered"]
    return np.where(p.registered, inside, back["visited"]) * np.array([c.stay for c in CHANNELS])[p.channel]


def _places(rng: np.random.Generator, p: People) -> None:
    """Devices and home addresses; families, campus dormitories and cheating rings share them."""
    n, index = len(p), np.arange(len(p))
    p.device[:], p.ip[:] = index, index
    family = (rng.random(n) < FAMILY) & (index > 0)
    kin = (index * rng.random(n)).astype(np.int64)
    p.device[family], p.ip[family] = p.device[kin[family]], p.ip[kin[family]]
    dormitories = max(2, n // 6_000)
    campus = p.channel == CHANNEL["campus"]
    p.ip[campus] = n + rng.integers(0, dormitories, campus.sum())
    for_ring = p.ring >= 0
    ring = p.ring[for_ring]
    p.device[for_ring] = n + ring * 4 + rng.integers(0, 3, len(ring))
    hidden = ring % len(plan.RING_SIZES) == 0  # the first of three hides behind a dormitory's address
    own = n + dormitories + ring * 2 + rng.integers(0, 2, len(ring))
    p.ip[for_ring] = np.where(hidden, n + ring % dormitories, own)


def carrier_ips(rng: np.random.Generator, visitors: int, n: int) -> np.ndarray:
    """Addresses of mobile carriers, each shared by many; numbered after those of homes, dormitories and rings."""
    return visitors + visitors // 1_000 + 1_000 + rng.integers(0, max(3, visitors // CARRIER), n)


def comes_back_given(p: People) -> np.ndarray:
    """Each visitor's chance to come back at all, now that their state is known; accounts of a ring never do."""
    back = plan.COMES_BACK
    chance = np.where(p.registered, back["registered"], back["visited"])
    chance = np.where(p.verified, back["verified"], chance)
    chance = np.where(p.activated, back["activated"], chance) * np.array([c.stay for c in CHANNELS])[p.channel]
    return np.where(p.ring >= 0, 0.0, chance)
