"""What is published, how good it is, and what is shown on which day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opslib.sample.draws import pick, stream, table_of
from opslib.sample.plan import CATEGORIES, DAY, SECOND, Calendar

LIBRARY_DAYS = 30  # published before the first day
HALF_LIFE = np.array([3.0, 4.0, 28.0, 16.0, 12.0, 20.0, 10.0, 24.0])  # days until an item is shown half as often
PUBLISHED = np.array([0.20, 0.19, 0.11, 0.09, 0.12, 0.06, 0.12, 0.11])  # share of items, by category
OPENED = np.array([0.15, 0.14, 0.16, 0.15, 0.13, 0.15, 0.13, 0.14])  # chance at the top of the algorithm's list
FINISHED = np.array([0.52, 0.46, 0.50, 0.48, 0.50, 0.52, 0.44, 0.48])  # chance once opened
DWELL = np.array([45, 70, 150, 110, 60, 65, 90, 80.0])  # seconds, median
PGC = 0.45
PGC_FINISH = 1.15
AGE_FINISH = (0.6, 25.0)  # finishing falls to this part of its first chance, by e in so many days of age
EXAMINED = np.array([1.0, 0.84, 0.71, 0.61, 0.53, 0.46, 0.41, 0.36, 0.32, 0.29])  # by position
PLACEMENTS = ("algorithm", "editorial", "banner", "search", "following")
OPEN_FACTOR = np.array([1.0, 1 / 1.3, 0.55, 1.15, 1.1])  # algorithm opens 1.3 times as often as editorial
PLACED = (  # editors fill the top of the list, so that a raw comparison is unfair to the algorithm
    [(0.13, 0.61, 0.10, 0.09, 0.07)] * 2 + [(0.38, 0.32, 0.08, 0.12, 0.10)] * 2 + [(0.66, 0.08, 0.02, 0.12, 0.12)] * 6
)
DUD_OPEN, DUD_FINISH, GEM_OPEN, GEM_FINISH = 0.28, 0.45, 2.1, 1.6
RISING = {"category": "旅行", "topic": "毕业旅行"}


@dataclass
class Catalogue:
    """One entry per item, in the order of publication."""

    published: np.ndarray  # UTC microseconds
    day: np.ndarray  # local day, negative before the first one
    category: np.ndarray
    topic: np.ndarray  # number within the category
    author: np.ndarray
    pgc: np.ndarray
    originality: np.ndarray
    opened: np.ndarray  # chance at the top of the algorithm's list
    finished: np.ndarray  # chance once opened, when fresh
    exposure: np.ndarray  # weight when fresh
    half_life: np.ndarray  # days
    dud: np.ndarray
    gem: np.ndarray
    rising: np.ndarray

    def __len__(self) -> int:
        return len(self.day)


def catalogue(seed: int, users: int, calendar: Calendar) -> Catalogue:
    """Every item, among them duds that are shown a lot and gems that hardly anybody sees."""
    rng = stream(seed, "catalogue")
    n = int(min(100_000, max(700, 1_500 * (users / 20_000) ** 0.8)))
    day = np.sort(rng.integers(-LIBRARY_DAYS, calendar.days, n))
    category = rng.choice(len(CATEGORIES), n, p=PUBLISHED / PUBLISHED.sum())
    category[: 4 * len(CATEGORIES)] = np.arange(4 * len(CATEGORIES)) % len(CATEGORIES)  # no category starts empty
    pgc = rng.random(n) < PGC
    originality = np.round(np.clip(rng.beta(5, 3, n), 0.02, 0.99), 2)
    items = Catalogue(
        published=calendar.midnight + day * DAY + (_hours(rng, n) * 3600 * SECOND).astype(np.int64),
        day=day,
        category=category,
        topic=rng.integers(0, 5, n),
        author=_authors(rng, n, pgc),
        pgc=pgc,
        originality=originality,
        opened=OPENED[category] * rng.gamma(30, 1 / 30, n),
        finished=FINISHED[category]
        * rng.gamma(40, 1 / 40, n)
        * np.where(pgc, PGC_FINISH, 1)
        * (0.8 + 0.32 * originality),
        exposure=rng.gamma(1.6, 1 / 1.6, n) + 0.02,
        half_life=HALF_LIFE[category] * rng.gamma(25, 1 / 25, n),
        dud=np.zeros(n, bool),
        gem=np.zeros(n, bool),
        rising=np.zeros(n, bool),
    )
    items.half_life[: 4 * len(CATEGORIES)] = 90.0  # the classics that carry the first weeks
    _plant(rng, calendar, items)
    return items


def _hours(rng: np.random.Generator, n: int) -> np.ndarray:
    centre = np.array([7.5, 11.5, 18.5])[rng.choice(3, n, p=[0.35, 0.25, 0.4])]
    return np.clip(centre + rng.normal(0, 1.3, n), 0, 23.9)


def _authors(rng: np.random.Generator, n: int, pgc: np.ndarray) -> np.ndarray:
    """A few studios write much of the PGC, many users a little of the UGC."""
    studios, writers = max(8, n // 60), max(30, n // 10)
    return np.where(
        pgc, (studios * rng.random(n) ** 2).astype(int), studios + (writers * rng.random(n) ** 1.5).astype(int)
    )


def _plant(rng: np.random.Generator, calendar: Calendar, items: Catalogue) -> None:
    """Turn some recent, long-lived items into duds and gems, and the newest of one category into a rising topic."""
    recent = (items.day >= calendar.days - 45) & (items.day < calendar.days - 20)
    lasting = np.flatnonzero(recent & (HALF_LIFE[items.category] >= 10))
    each = max(6, len(items) // 125)
    chosen = rng.permutation(lasting)[: 2 * each]
    duds, gems = np.sort(chosen[::2]), np.sort(chosen[1::2])
    items.dud[duds], items.gem[gems] = True, True
    items.opened[duds] = OPENED[items.category[duds]] * DUD_OPEN
    items.finished[duds] = FINISHED[items.category[duds]] * DUD_FINISH
    items.opened[gems] = OPENED[items.category[gems]] * GEM_OPEN
    items.finished[gems] = np.minimum(0.9, FINISHED[items.category[gems]] * GEM_FINISH)
    items.exposure[duds], items.exposure[gems] = 2.2, 0.4
    items.half_life[np.concatenate([duds, gems])] = 30.0

    travel = items.category == CATEGORIES.index(RISING["category"])
    items.topic[travel & (items.topic == 4)] = 3  # the rising topic did not exist before
    fresh = travel & (items.day >= calendar.days - 12) & ~items.dud & ~items.gem
    items.rising[fresh], items.topic[fresh], items.exposure[fresh] = True, 4, items.exposure[fresh] + 2.0


@dataclass
class Shelf:
    """What may be shown, laid out by day and category for one search per impression."""

    running: np.ndarray  # cumulative weight, each (day, category) cell running from its number to the next
    item: np.ndarray

    def draw(self, rng: np.random.Generator, day: np.ndarray, category: np.ndarray) -> np.ndarray:
        """An item for each impression, by its weight among those of the category on that day."""
        cell = day.astype(np.int64) * len(CATEGORIES) + category
        return self.item[np.searchsorted(self.running, cell + rng.random(len(cell)) * (1 - 1e-9), side="right")]


def shelf(calendar: Calendar, items: Catalogue) -> Shelf:
    """Each item is shown from the day after its publication, and ever less as its half-lives pass."""
    lasts = np.ceil(items.half_life * 7).astype(int)  # beyond seven half-lives nobody shows it
    last = np.minimum(items.day + lasts, calendar.days - 1)
    first = np.maximum(items.day + 1, 0)
    count = np.maximum(last - first + 1, 0)
    item = np.repeat(np.arange(len(items)), count)
    day = np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())
    weight = items.exposure[item] * 0.5 ** ((day - items.day[item] - 1) / items.half_life[item])
    cell = day * len(CATEGORIES) + items.category[item]
    order = np.lexsort((item, cell))
    cell, item, weight = cell[order], item[order], weight[order]
    total = np.bincount(cell, weight, minlength=calendar.days * len(CATEGORIES))
    if not total.all():
        raise AssertionError("sample: a category has nothing to show on some day")
    running = np.cumsum(weight)
    before = np.concatenate([[0.0], np.cumsum(total)])[cell]
    share = np.minimum((running - before) / total[cell], 1.0)
    share[np.append(cell[1:] != cell[:-1], True)] = 1.0
    return Shelf(cell + share, item)


def placements(rng: np.random.Generator, position: np.ndarray) -> np.ndarray:
    return pick(rng, table_of(PLACED), np.minimum(position, len(EXAMINED) - 1), len(PLACEMENTS))
