"""Who invited whom, and which invitations came to nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opslib.sample import plan
from opslib.sample.draws import stream, within
from opslib.sample.people import People, campaign
from opslib.sample.plan import CHANNEL, DAY, SECOND, Calendar


@dataclass
class Invitations:
    """One entry per invitation, by inviter and time; `accepted` is the visitor it brought, -1 nobody."""

    inviter: np.ndarray
    ts: np.ndarray
    accepted: np.ndarray


def invite(seed: int, calendar: Calendar, p: People) -> Invitations:
    """Give each referred visitor an inviter (in place) and return every invitation sent.

    Honest inviters are a third of the activated users, and were active themselves within the last 30 days; an
    invitation takes a day or two. A ring's leader invites the whole ring within minutes.
    """
    rng = stream(seed, "referral")
    keen = np.flatnonzero(p.activated & (p.ring < 0) & (rng.random(len(p)) < 0.33))
    guests = np.flatnonzero((p.channel == CHANNEL["referral"]) & (p.ring < 0))
    sent = p.arrived[guests] - (rng.exponential(1.3, len(guests)) * DAY).astype(np.int64) - 120 * SECOND
    newest = np.searchsorted(p.arrived[keen], sent - 3600 * SECOND)
    oldest = np.searchsorted(p.arrived[keen], sent - 30 * DAY)
    found = newest > oldest
    p.channel[guests[~found]] = CHANNEL["direct"]  # nobody was there yet who could have invited them
    guests, sent, newest, oldest = guests[found], sent[found], newest[found], oldest[found]
    hosts = keen[oldest + (rng.random(len(guests)) ** 1.5 * (newest - oldest)).astype(np.int64)]
    p.inviter[guests] = hosts

    missed = rng.poisson((1 - plan.ACCEPTANCE) / plan.ACCEPTANCE * 0.6, len(guests))
    also = np.repeat(np.arange(len(guests)), missed)
    later = sent[also] + (within(missed) + 1) * 25 * SECOND
    rings = _ring_invitations(p)
    honest = Invitations(
        np.concatenate([hosts, hosts[also]]),
        np.concatenate([sent, later]),
        np.concatenate([guests, np.full(len(also), -1)]),
    )
    return _ordered(honest, _in_vain(rng, calendar, p, keen), rings)


def _in_vain(rng: np.random.Generator, calendar: Calendar, p: People, keen: np.ndarray) -> Invitations:
    """Invitations inside the campaign of people who brought nobody."""
    start, length = calendar.back(campaign(plan.REFERRAL).week), campaign(plan.REFERRAL).length
    recent = keen[(p.day[keen] >= start - 14) & (p.day[keen] < start + length - 2)]
    recent = recent[rng.random(len(recent)) < 0.25]
    day = np.maximum(start + rng.integers(0, length, len(recent)), p.day[recent] + 1)
    first = calendar.midnight + day * DAY + (rng.uniform(9, 23, len(recent)) * 3600 * SECOND).astype(np.int64)
    n = 1 + rng.poisson(1.0, len(recent))
    who = np.repeat(recent, n)
    return Invitations(who, np.repeat(first, n) + within(n) * 30 * SECOND, np.full(len(who), -1))


def _ring_invitations(p: People) -> Invitations:
    """Each ring's leader, its first account, invites the others half a minute before they register."""
    members = np.flatnonzero(p.ring >= 0)
    if not len(members):
        return Invitations(*(np.empty(0, np.int64) for _ in range(3)))
    leader = np.full(p.ring.max() + 1, -1)
    leader[p.ring[members[::-1]]] = members[::-1]  # the earliest wins
    guests = members[leader[p.ring[members]] != members]
    p.inviter[guests] = leader[p.ring[guests]]
    return Invitations(p.inviter[guests], p.arrived[guests] - 30 * SECOND, guests)


def _ordered(*parts: Invitations) -> Invitations:
    inviter, ts, accepted = (np.concatenate([getattr(x, f) for x in parts]) for f in ("inviter", "ts", "accepted"))
    order = np.lexsort((ts, inviter))
    return Invitations(inviter[order], ts[order], accepted[order])
