"""What a funnel is, read aloud: loops and sets over plain rows, no SQL, no windows.

A row is a dict with `user`, `event`, `ts` (a datetime), `id` (decides between rows of one instant) and any properties.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from itertools import pairwise


@dataclass
class Asked:
    """A funnel question. Steps and exclusions are event names; windows are seconds; steps are numbered from 1."""

    steps: list[str]
    order: str = "ordered"
    window: int | None = None
    entry: str = "best"
    attempts: bool = False
    unit: tuple[str, ...] = ("user",)
    hold: tuple[str, ...] = ()
    optional: tuple[int, ...] = ()
    own_windows: dict[int, int] = field(default_factory=dict)
    exclusions: list[tuple[str, int, int]] = field(default_factory=list)
    drop_users: bool = False
    period: tuple[dt.date, dt.date] | None = None

    @property
    def required(self) -> list[int]:
        return [i for i in range(1, len(self.steps) + 1) if i not in self.optional]

    def anchor(self, step: int) -> int:
        return max(i for i in self.required if i < step)


@dataclass
class Try:
    """The rows that a try used, by step; and the row of an excluded event that ended it."""

    entry: dict
    reached: dict[int, dict]
    hit: dict | None = None
    further: bool = False  # after the hit, the next step came in time

    def depth(self, asked: Asked) -> int:
        return sum(i in self.reached for i in asked.required)


def units(rows: list[dict], asked: Asked) -> dict[tuple, list[dict]]:
    """Each counted unit's rows in time; rows that lack the unit or a held property are nobody's."""
    found: dict[tuple, list[dict]] = {}
    for row in sorted(rows, key=lambda r: (r["ts"], r["id"])):
        key = tuple(row.get(name) for name in asked.unit)
        if None not in key and all(row.get(name) is not None for name in asked.hold):
            found.setdefault(key, []).append(row)
    return found


def every_try(rows: list[dict], asked: Asked) -> list[Try]:
    """The tries of one unit, in the order of their entries."""
    return [one_try(rows, i, asked) for i, row in enumerate(rows) if enters(rows, i, asked) and in_period(row, asked)]


def enters(rows: list[dict], i: int, asked: Asked) -> bool:
    if asked.order == "unordered":
        return rows[i]["event"] in asked.steps
    if rows[i]["event"] != asked.steps[0]:
        return False
    if asked.entry == "latest" and len(asked.required) > 1:
        following = asked.steps[asked.required[1] - 1]
        for later in same(rows, i, asked):
            if later["event"] == following:
                return True
            if later["event"] == asked.steps[0]:
                return False
    return True


def in_period(row: dict, asked: Asked) -> bool:
    return asked.period is None or asked.period[0] <= row["ts"].date() <= asked.period[1]


def same(rows: list[dict], i: int, asked: Asked) -> list[dict]:
    """The rows after row i that share what is held."""
    return [r for r in rows[i + 1 :] if all(r[name] == rows[i][name] for name in asked.hold)]


def one_try(rows: list[dict], i: int, asked: Asked) -> Try:
    """Starts at row i and reads on until it is complete, out of time, interrupted or excluded."""
    if asked.order == "unordered":
        return one_try_in_any_order(rows, i, asked)
    entry = rows[i]
    tried = Try(entry, {1: entry})
    last, over = 1, False  # the required step reached last; whether the try can go on
    for row in same(rows, i, asked):
        if late(row, entry, asked.window):
            break
        waiting = [s for s in asked.optional if s not in tried.reached and asked.anchor(s) in tried.reached]
        for step in waiting:
            fits = row["event"] == asked.steps[step - 1]
            if fits and not late(row, tried.reached[asked.anchor(step)], asked.own_windows.get(step)):
                tried.reached[step] = row
        if over or last == asked.required[-1]:
            continue
        following = min(s for s in asked.required if s > last)
        if late(row, tried.reached[last], asked.own_windows.get(following)):
            over = True
        elif row["event"] == asked.steps[following - 1]:
            tried.reached[following], last = row, following
        elif any(row["event"] == name and start <= last < end for name, start, end in asked.exclusions):
            tried.hit = row
            tried.further = asked.order != "strict" and next_came(tried, last, following, same(rows, i, asked), asked)
            break
        elif asked.order == "strict":
            break
    return tried


def next_came(tried: Try, last: int, following: int, rows: list[dict], asked: Asked) -> bool:
    after = rows[next(n for n, row in enumerate(rows) if row is tried.hit) :]
    found = next((row for row in after if row["event"] == asked.steps[following - 1]), None)
    return (
        found is not None
        and not late(found, tried.entry, asked.window)
        and not late(found, tried.reached[last], asked.own_windows.get(following))
    )


def one_try_in_any_order(rows: list[dict], i: int, asked: Asked) -> Try:
    entry = rows[i]
    tried, undone = Try(entry, {1: entry}), list(asked.steps)
    undone.remove(entry["event"])
    for row in same(rows, i, asked):
        if late(row, entry, asked.window) or not undone:
            break
        if row["event"] in undone:
            undone.remove(row["event"])
            tried.reached[len(tried.reached) + 1] = row
        elif any(row["event"] == name for name, _start, _end in asked.exclusions):
            tried.hit = row
            break
    return tried


def late(row: dict, since: dict, window: int | None) -> bool:
    return window is not None and row["ts"] > since["ts"] + dt.timedelta(seconds=window)


def counted(rows: list[dict], asked: Asked) -> dict[tuple, list[Try]]:
    """The tries that count, by unit."""
    return {
        key: kept for key, own in units(rows, asked).items() if (kept := counted_of(every_try(own, asked), own, asked))
    }


def counted_of(tries: list[Try], rows: list[dict], asked: Asked) -> list[Try]:
    if asked.entry == "first":
        tries = tries[:1]
    dropped = asked.exclusions and asked.drop_users
    if asked.attempts:
        return [t for t in one_after_the_other(tries, rows, asked) if not (dropped and t.hit)]
    if dropped:
        tries = clean(tries, asked)
    return [max(tries, key=lambda t: t.depth(asked))] if tries else []  # max takes the first of equals


def clean(tries: list[Try], asked: Asked) -> list[Try]:
    if asked.order == "unordered":
        return [t for t in tries if not t.hit]
    top = max((t.depth(asked) + t.further for t in tries), default=0)
    return [t for t in tries if not t.hit and t.depth(asked) == top]


def one_after_the_other(tries: list[Try], rows: list[dict], asked: Asked) -> list[Try]:
    place = {id(row): n for n, row in enumerate(rows)}
    kept: list[Try] = []
    for t in tries:
        if not kept or starts_after(t, kept[-1], place, asked):
            kept.append(t)
    return kept


def starts_after(new: Try, old: Try, place: dict[int, int], asked: Asked) -> bool:
    depth = old.depth(asked)
    if depth == len(asked.required):
        return place[id(new.entry)] > place[id(old.reached[asked.required[-1]])]
    if old.hit:
        return place[id(new.entry)] > place[id(old.hit)]
    step, following = asked.required[depth - 1], asked.required[depth]
    if asked.order == "strict":
        return place[id(new.entry)] > place[id(old.reached[step])]
    return late(new.entry, old.entry, asked.window) or late(
        new.entry, old.reached[step], asked.own_windows.get(following)
    )


def funnel(rows: list[dict], asked: Asked) -> list[int]:
    """How many counted tries reached each step."""
    tries = [t for own in counted(rows, asked).values() for t in own]
    return [sum(i in t.reached for t in tries) for i in range(1, len(asked.steps) + 1)]


def times(rows: list[dict], asked: Asked, start: int, end: int) -> list[float]:
    """Seconds between two steps, over the counted tries that reached both."""
    tries = [t for own in counted(rows, asked).values() for t in own if start in t.reached and end in t.reached]
    return sorted((t.reached[end]["ts"] - t.reached[start]["ts"]).total_seconds() for t in tries)


NOTHING, OTHER = "(none)", "Other"


def segments(rows: list[dict], asked: Asked, attribution: str, step: int, limit: int) -> dict[str, list[int]]:
    """Value of `item` → how many counted units reached each step; values beyond the largest `limit` are pooled."""
    kept: dict[str, dict[tuple, Try]] = {}
    for key, own in units(rows, asked).items():
        for value, tried in valued(own, asked, attribution, step):
            kept.setdefault(value, {})[key] = tried
    largest = sorted(kept, key=lambda value: (-len(kept[value]), value))[:limit]
    shown: dict[str, dict[tuple, Try]] = {}
    for value, tries in kept.items():
        name = value if value in largest else OTHER
        for key, tried in tries.items():
            before = shown.setdefault(name, {}).get(key)
            shown[name][key] = tried if before is None or deeper(tried, before, asked) else before
    steps = range(1, len(asked.steps) + 1)
    return {name: [sum(i in t.reached for t in tries.values()) for i in steps] for name, tries in shown.items()}


def deeper(new: Try, old: Try, asked: Asked) -> bool:
    return (-new.depth(asked), new.entry["ts"]) < (-old.depth(asked), old.entry["ts"])


def valued(own: list[dict], asked: Asked, attribution: str, step: int) -> list[tuple[str, Try]]:
    """A unit's counted try under each value that it stands under."""

    def best(rows: list[dict]) -> Try | None:
        kept = counted_of(every_try(rows, asked), rows, asked)
        return kept[0] if kept else None

    if attribution == "all_events":
        values = {label(row) for row in own}
        found = [(value, best([row for row in own if label(row) == value])) for value in values]
    elif attribution == "step":
        fits = [row for row in own if row["event"] == asked.steps[step - 1]]
        found = [
            (value, best([row for row in own if row not in fits or label(row) == value])) for value in map(label, fits)
        ]
    else:
        tried = best(own)
        touched = [label(row) for row in own if row["event"] in asked.steps and label(row) != NOTHING] or [NOTHING]
        value = {"first_touch": touched[0], "last_touch": touched[-1]}.get(attribution)
        found = [(value or (label(tried.entry) if tried else ""), tried)]
    return [(value, tried) for value, tried in found if tried]


def label(row: dict) -> str:
    return row["item"] or NOTHING


def trend(rows: list[dict], asked: Asked, first: dt.date, last: dt.date) -> dict[dt.date, tuple[int, int, bool]]:
    """Day of entry → units that entered, those that converted, and whether every window of the day is over."""
    found = {}
    for n in range((last - first).days + 1):
        day = first + dt.timedelta(days=n)
        entered = converted = 0
        for own in units(rows, asked).values():
            tries = counted_of([t for t in every_try(own, asked) if t.entry["ts"].date() == day], own, asked)
            entered += len(tries)
            converted += sum(asked.required[-1] in t.reached for t in tries)
        over = len(asked.required) == 1
        if asked.window is not None:
            end = dt.datetime.combine(day + dt.timedelta(days=1), dt.time()) + dt.timedelta(seconds=asked.window)
            over = end <= dt.datetime.combine(last + dt.timedelta(days=1), dt.time())
        found[day] = (entered, converted, over)
    return found


def histogram(seconds: list[float], edges: list[float]) -> list[int]:
    """How many times lie from each edge up to the next; the last edge holds all beyond."""
    bounds = [*edges, float("inf")]
    return [sum(low <= s < high for s in seconds) for low, high in pairwise(bounds)]
