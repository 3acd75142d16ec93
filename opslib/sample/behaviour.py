"""What people do: the days they live on, their sessions, and the items they see, open, finish and like."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from opslib.contract import EVENTS
from opslib.sample import plan
from opslib.sample.catalogue import AGE_FINISH, DWELL, EXAMINED, OPEN_FACTOR, Catalogue, Shelf, placements
from opslib.sample.draws import pick, running_sum, table_of, within
from opslib.sample.people import People, comes_back_given
from opslib.sample.plan import DAY, SECOND, SEGMENTS, Calendar

EVENT = {name: i for i, name in enumerate(EVENTS)}
LIST = 10  # items a page of the feed shows
LOADS = 0.97  # of clicks end in an opened item
SOCIAL = (
    ("like", 0.10),
    ("favorite", 0.035),
    ("comment", 0.022),
    ("share", 0.026),
    ("follow", 0.012),
)  # of opened items


class Log:
    """Events as they happen: blocks of equal columns, joined once at the end."""

    COLUMNS: ClassVar[dict[str, tuple[type, float]]] = {  # name → (type, value when the event has none)
        "event": (np.int8, 0),
        "session": (np.int32, 0),
        "ts": (np.int64, 0),
        "item": (np.int32, -1),
        "placement": (np.int8, -1),
        "position": (np.int8, -1),
        "campaign": (np.int8, -1),
        "duration": (np.float32, np.nan),
        "amount": (np.float64, np.nan),
    }

    def __init__(self) -> None:
        self.blocks: dict[str, list[np.ndarray]] = {name: [] for name in self.COLUMNS}

    def add(self, event: str | np.ndarray, session: np.ndarray, ts: np.ndarray, **columns) -> None:
        n = len(session)
        given = {"event": EVENT[event] if isinstance(event, str) else event, "session": session, "ts": ts} | columns
        for name, (kind, blank) in self.COLUMNS.items():
            value = given.get(name, blank)
            self.blocks[name].append(np.asarray(value, kind) if np.ndim(value) else np.full(n, value, kind))

    def columns(self) -> dict[str, np.ndarray]:
        return {name: np.concatenate(blocks) for name, blocks in self.blocks.items()}


@dataclass
class Sessions:
    """One entry per session; `user` counts within the chunk."""

    user: np.ndarray
    day: np.ndarray
    start: np.ndarray  # UTC microseconds
    kind: np.ndarray  # 0 the first visit ever, 1 the first of a day, 2 a further one, 3 made by a campaign

    def __len__(self) -> int:
        return len(self.user)

    def extended(self, user: np.ndarray, day: np.ndarray, start: np.ndarray) -> tuple[Sessions, np.ndarray]:
        """These sessions and further ones of kind 3, with the numbers of the new ones."""
        more = Sessions(user, day, start, np.full(len(user), 3))
        names = ("user", "day", "start", "kind")
        joined = Sessions(*(np.concatenate([getattr(self, f), getattr(more, f)]) for f in names))
        return joined, np.arange(len(self), len(joined))


@dataclass
class Lives:
    """The active days of a chunk's visitors, by visitor and day, the first visit included."""

    user: np.ndarray
    day: np.ndarray
    eager: np.ndarray = field(default_factory=lambda: np.empty(0))  # each visitor's own chance to be active on a day


def lives(rng: np.random.Generator, calendar: Calendar, p: People) -> Lives:
    """Active days: some never come back; the others live for a while and are active more or less often."""
    n, days = len(p), calendar.days
    mean = np.array([s.active for s in SEGMENTS])[p.segment]
    mean = np.where(p.payer, np.minimum(mean * 1.4, 0.6), mean)
    eager = rng.beta(plan.EVENNESS * mean, plan.EVENNESS * (1 - mean))
    span = plan.LIFE_SCALE * (rng.random(n) ** (-1 / plan.LIFE_SHAPE) - 1) * np.where(p.payer, 2.5, 1.0)
    returns = rng.random(n) < comes_back_given(p)
    last = np.where(returns, np.minimum(p.day + span, days - 1), p.day).astype(np.int64)

    rows = np.flatnonzero(last > p.day)
    count = (last - p.day)[rows]
    user = np.repeat(rows, count)
    tenure = within(count) + 1
    day = p.day[user] + tenure
    keen = plan.KEEN * np.exp(-(np.arange(days + 1) - 1) / plan.KEEN_DAYS)[tenure]
    chance = eager[user] + (1 - eager[user]) * keen
    chance *= _season(calendar)[p.segment[user], day]
    chance *= np.where((tenure >= 7) & calendar.holiday()[day], 1.15, 1.0)
    awake = rng.random(len(user)) < chance
    user, day = np.concatenate([np.arange(n), user[awake]]), np.concatenate([p.day, day[awake]])
    order = np.lexsort((day, user))
    return Lives(user[order], day[order], eager)


def first_day_chance(p: People) -> np.ndarray:
    """Each visitor's expected chance to be active on day 1, given that they come back at all."""
    mean = np.array([s.active for s in SEGMENTS])[p.segment]
    alive = (1 + 1 / plan.LIFE_SCALE) ** -plan.LIFE_SHAPE
    weekend = np.array([_week_shape(s) for s in SEGMENTS])[p.segment, (p.day + 1) % 7]
    return alive * (mean + (1 - mean) * plan.KEEN) * weekend


def _week_shape(s: plan.Segment) -> np.ndarray:
    shape = np.array([1.0] * 5 + [s.weekend] * 2)
    return shape / shape.mean()


def _season(calendar: Calendar) -> np.ndarray:
    return np.array([_week_shape(s)[calendar.weekday()] for s in SEGMENTS])


def sessions(rng: np.random.Generator, calendar: Calendar, p: People, alive: Lives) -> Sessions:
    """One session for each active day, and a second one on some; the first ever starts on arrival."""
    n = len(alive.user)
    again = np.flatnonzero(rng.random(n) < 0.12 + 0.3 * alive.eager[alive.user])
    row = np.concatenate([np.arange(n), again])
    user, day = alive.user[row], alive.day[row]
    first = np.arange(len(row)) < n
    weekend = (calendar.weekday()[day] >= 5).astype(int)
    half_hour = pick(rng, table_of(_hour_shares()), p.segment[user] * 2 + weekend, 48)
    start = calendar.midnight + day * DAY + ((half_hour + rng.random(len(row))) * 1800 * SECOND).astype(np.int64)
    arrival = first & (day == p.day[user])
    start[arrival] = p.arrived[user[arrival]]
    late = ~first & (day == p.day[user]) & (start < p.arrived[user] + 3600 * SECOND)
    keep = ~late
    kind = np.where(arrival, 0, np.where(first, 1, 2))
    return Sessions(user[keep], day[keep], start[keep], kind[keep])


def onboard(rng: np.random.Generator, log: Log, p: People, s: Sessions) -> tuple[np.ndarray, np.ndarray]:
    """Onboarding in the first session; returns when each session's list appears, and when each visitor registers."""
    n = len(p)
    registered = p.arrived + (rng.uniform(12, 70, n) * SECOND).astype(np.int64)
    verified = registered + (np.minimum(rng.lognormal(3.4, 0.5, n), 300) * SECOND).astype(np.int64)
    activated = verified + (np.minimum(rng.lognormal(4.7, 0.7, n), 900) * SECOND).astype(np.int64)
    begin = s.start.copy()
    first = np.flatnonzero(s.kind == 0)  # in the order of the visitors
    begin[first] = p.arrived + 5 * SECOND
    for event, ts, done in (
        ("register", registered, p.registered),
        ("verify_phone", verified, p.verified),
        ("activate", activated, p.activated),
    ):
        log.add(event, first[done], ts[done])
        begin[first[done]] = ts[done] + 5 * SECOND
    return begin, registered


def _hour_shares() -> list[np.ndarray]:
    """Shares of the 48 half-hours, for each segment on working days and at weekends."""
    middle = np.arange(48) / 2 + 0.25
    common = _bumps(middle, ((12.5, 1.5, 0.25), (20.8, 1.8, 0.75)))
    rows = []
    for segment in SEGMENTS:
        own = _bumps(middle, segment.peaks)
        for mine in (0.85, 0.65):
            share = mine * own / own.sum() + (1 - mine) * common / common.sum()
            share[47] = 0  # a session does not run into the next day
            rows.append(share)
    return rows


def _bumps(at: np.ndarray, peaks: tuple[tuple[float, float, float], ...]) -> np.ndarray:
    """A density with a bump for each (centre, spread, weight)."""
    return np.sum([w * np.exp(-0.5 * ((at - c) / s) ** 2) / s for c, s, w in peaks], axis=0)


def feed(
    rng: np.random.Generator,
    log: Log,
    p: People,
    s: Sessions,
    shelf: Shelf,
    items: Catalogue,
    finish: np.ndarray,
    begin: np.ndarray,
) -> None:
    """Items shown in each session of kind 0 to 2, and what became of them.

    `finish` is each session's factor on finishing (an experiment's), `begin` the moment the list appears.
    """
    user = p.segment[s.user]
    depth = np.array([g.depth for g in SEGMENTS])[user]
    shown = np.where(s.kind == 3, 0, 1 + rng.poisson(np.where(s.kind == 0, 0.5 * depth, depth - 1)))
    shown[p.ring[s.user] >= 0] = 0
    session = np.repeat(np.arange(len(s)), shown)
    segment, place = user[session], within(shown)
    position = place % LIST
    placement = placements(rng, position)
    category = pick(rng, table_of([g.taste for g in SEGMENTS]), segment, len(plan.CATEGORIES))
    item = shelf.draw(rng, s.day[session], category)
    opened = rng.random(len(item)) < np.minimum(items.opened[item] * EXAMINED[position] * OPEN_FACTOR[placement], 0.95)

    rows = np.flatnonzero(opened)
    dwell, finished = _reading(rng, items, item[rows], segment[rows], s.day[session[rows]], finish[session[rows]])
    pause = rng.exponential(4.0, len(item)) + 1.0
    spent = pause.copy()
    spent[rows] += 2 + dwell
    ts = begin[session] + ((running_sum(spent, shown) + pause) * SECOND).astype(np.int64)
    where = {"item": item, "placement": placement, "position": position}
    log.add("impression", session, ts, **where)
    where = {name: value[rows] for name, value in where.items()}
    log.add("click", session[rows], ts[rows] + SECOND, **where)
    stays = rng.random(len(rows)) < LOADS
    rows, dwell, finished = rows[stays], dwell[stays], finished[stays]
    where = {name: value[stays] for name, value in where.items()}
    log.add("read", session[rows], ts[rows] + 2 * SECOND, duration=dwell, **where)
    end = ts[rows] + ((2 + dwell) * SECOND).astype(np.int64)
    log.add("complete", session[rows[finished]], end[finished], **{k: v[finished] for k, v in where.items()})
    _social(rng, log, items, session[rows], end, segment[rows], where)


def _reading(
    rng: np.random.Generator,
    items: Catalogue,
    item: np.ndarray,
    segment: np.ndarray,
    day: np.ndarray,
    factor: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Dwell time in seconds, and whether the item was finished: its quality, the reader's taste, its age."""
    category = items.category[item]
    chance = items.finished[item] * np.array([g.finish for g in SEGMENTS])[segment, category] * factor
    floor, days = AGE_FINISH
    chance *= floor + (1 - floor) * np.exp(-(day - items.day[item]) / days)
    finished = rng.random(len(item)) < np.minimum(chance, 0.97)
    dwell = DWELL[category] * np.exp(0.6 * rng.standard_normal(len(item))) * np.where(finished, 1.25, 0.45)
    return np.clip(dwell, 1.0, 900.0), finished


def _social(
    rng: np.random.Generator,
    log: Log,
    items: Catalogue,
    session: np.ndarray,
    end: np.ndarray,
    segment: np.ndarray,
    where: dict,
) -> None:
    """Likes, favourites, comments, shares and follows of opened items: good items and sociable people have more."""
    quality = (items.opened[where["item"]] / 0.145) ** 0.7
    lean = np.array([g.social for g in SEGMENTS])[segment] * quality
    for place, (event, chance) in enumerate(SOCIAL):
        rows = np.flatnonzero(rng.random(len(session)) < np.minimum(chance * lean, 0.9))
        ts = end[rows] + (place + 1) * SECOND // 2
        log.add(event, session[rows], ts, **{k: v[rows] for k, v in where.items()})
