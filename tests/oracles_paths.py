"""Sessions and paths in plain Python: lists and loops, no SQL, no windows.

A row is a dict with `user`, `event`, `ts` (a datetime), `day` (local), `id` (decides between rows of one instant) and
`value` (what a property holds, or None).
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from itertools import groupby, pairwise

GAP = dt.timedelta(minutes=30)


def by_user(rows: list[dict]) -> dict[str, list[dict]]:
    """Each user's rows in time."""
    found = defaultdict(list)
    for row in sorted(rows, key=lambda r: (r["ts"], r["id"])):
        found[row["user"]].append(row)
    return found


def sessionized(rows: list[dict], rule: str, *, cut: bool, start: str, end: str, exclude: tuple[str, ...]) -> dict:
    """Row id → number of its session within the user, None outside of every session; rows that can be in none are absent."""
    numbers = {
        "gap": lambda own: tiled(own, lambda a, b: b["ts"] - a["ts"] >= GAP, cut),
        "property": lambda own: tiled(
            [r for r in own if r["value"] is not None], lambda a, b: a["value"] != b["value"], cut
        ),
        "bounds": lambda own: bounded(own, start, end, cut),
        "separator": lambda own: separated(own, start),
    }[rule]
    kept = [row for row in rows if row["event"] not in exclude]
    return {id: n for own in by_user(kept).values() for id, n in numbers(own).items()}


def tiled(own: list[dict], breaks, cut: bool) -> dict:
    number, found = 0, {}
    for i, row in enumerate(own):
        if i == 0 or breaks(own[i - 1], row) or (cut and own[i - 1]["day"] != row["day"]):
            number += 1
        found[row["id"]] = number
    return found


def bounded(own: list[dict], start: str, end: str, cut: bool) -> dict:
    number, open_, found, day = 0, False, {}, None
    for row in own:
        if cut and row["day"] != day:
            open_, day = False, row["day"]
        if row["event"] == start and not open_:
            number, open_ = number + 1, True
        found[row["id"]] = number if open_ else None
        if row["event"] == end:
            open_ = False
    return found


def separated(own: list[dict], separator: str) -> dict:
    number, opened, found = 0, False, {}
    for row in own:
        if row["event"] == separator:
            opened = True
        else:
            number, opened = number + opened, False
            found[row["id"]] = number or None
    return found


def listed(rows: list[dict], numbers: dict, end: str | None = None) -> dict:
    """(user, session) → (start, end, day of the start, events); the end is None where the end event never came."""
    own = defaultdict(list)
    for row in rows:
        if numbers.get(row["id"]) is not None:
            own[row["user"], numbers[row["id"]]].append(row)
    return {
        key: (
            min(r["ts"] for r in inside),
            max(r["ts"] for r in inside) if end is None or any(r["event"] == end for r in inside) else None,
            min(r["day"] for r in inside),
            len(inside),
        )
        for key, inside in own.items()
    }


def paths(rows: list[dict], *, session: str | None, collapse: str | None, exclude: tuple[str, ...]) -> list[list[dict]]:
    """Every path as its rows: one user's, cut into sessions, one of each run of the same node."""
    found = []
    for own in by_user([row for row in rows if row["event"] not in exclude]).values():
        if session == "gap":
            numbers = tiled(own, lambda a, b: b["ts"] - a["ts"] >= GAP, cut=False)
            cut = [list(part) for _n, part in groupby(own, key=lambda r: numbers[r["id"]])]
        elif session is None:
            cut = [own]
        else:
            values = dict.fromkeys(r["value"] for r in own if r["value"] is not None)
            cut = [[r for r in own if r["value"] == value] for value in values]
        found += [collapsed(path, collapse) for path in cut]
    return found


def collapsed(path: list[dict], how: str | None) -> list[dict]:
    if how is None:
        return path
    runs = [list(run) for _node, run in groupby(path, key=lambda r: r["event"])]
    return [run[-1] if how == "keep_last" else run[0] for run in runs]


def cut(path: list[dict], start: str | None, end: str | None, limit: int) -> list[dict] | None:
    """The nodes (and, where the path goes on beyond the limit, one more) of a path as (node, ts); None if it is out."""
    nodes = [(row["event"], row["ts"]) for row in path]
    names = [name for name, _ in nodes]
    if start is not None:
        if start not in names:
            return None
        nodes = nodes[names.index(start) :]
    names = [name for name, _ in nodes]
    if end is None:
        return nodes
    if end not in names:
        return None
    nodes = nodes[: names.index(end) + 1]
    if len(nodes) <= limit:
        return nodes
    if start is None:
        return nodes[-limit:]
    half = limit // 2
    return [*nodes[:half], ("...", nodes[half][1]), *nodes[-half:]]


def edges(rows: list[dict], *, start: str | None, end: str | None, limit: int, **how) -> dict:
    """(position, source, target) → (transitions, users, mean seconds, paths at the source, all paths)."""
    kept = [(path[0]["user"], cut(path, start, end, limit)) for path in paths(rows, **how)]
    kept = [(user, nodes) for user, nodes in kept if nodes]
    longest = limit + 1 if start is not None and end is not None else limit
    seen, at = defaultdict(list), Counter()
    for user, nodes in kept:
        for place, (node, _ts) in enumerate(nodes[:longest], 1):
            at[place, node] += 1
        for place, ((node, left), (target, arrived)) in enumerate(pairwise(nodes[:longest]), 1):
            seen[place, node, target].append((user, (arrived - left).total_seconds()))
    return {
        key: (
            len(found),
            len({user for user, _ in found}),
            sum(seconds for _, seconds in found) / len(found),
            at[key[:2]],
            len(kept),
        )
        for key, found in seen.items()
    }


def nodes(rows: list[dict], *, start: str | None, end: str | None, limit: int, **how) -> dict:
    """(position, node) → (users there, users with a path that ends there, users with one that goes on, paths there)."""
    there = defaultdict(list)
    longest = limit + 1 if start is not None and end is not None else limit
    for path in paths(rows, **how):
        kept = cut(path, start, end, limit) or []
        for place, (node, _ts) in enumerate(kept[:longest], 1):
            there[place, node].append((path[0]["user"], place < len(kept)))
    return {
        key: (
            len({user for user, _ in found}),
            len({user for user, on in found if not on}),
            len({user for user, on in found if on}),
            len(found),
        )
        for key, found in there.items()
    }


def largest(counts: dict, limit: int) -> set:
    """The most frequent edges that can be reached from a path's first node over other such edges."""
    top = sorted(counts, key=lambda key: (-counts[key][0], *key))[:limit]
    kept: set = set()
    for place, source, target in sorted(top):
        if place == 1 or any(p == place - 1 and t == source for p, _s, t in kept):
            kept.add((place, source, target))
    return kept


def converted(rows: list[dict], start: str, end: str, which: str, within_events: int | None, within) -> tuple:
    """Users with the start, of them those with the end after it, users with the end, users."""
    own = by_user(rows)
    with_start = [user for user, seen in own.items() if any(r["event"] == start for r in seen)]
    with_end = [user for user, seen in own.items() if any(r["event"] == end for r in seen)]
    hits = 0
    for user in with_start:
        seen = own[user]
        places = [i for i, r in enumerate(seen) if r["event"] == start]
        places = {"first": places[:1], "last": places[-1:], "any": places}[which]
        hits += any(follows(seen, i, end, within_events, within) for i in places)
    return len(with_start), hits, len(with_end), len(own)


def follows(seen: list[dict], i: int, end: str, within_events: int | None, within: dt.timedelta | None) -> bool:
    return any(
        row["event"] == end
        and (within_events is None or n <= within_events)
        and (within is None or row["ts"] <= seen[i]["ts"] + within)
        for n, row in enumerate(seen[i + 1 :], 1)
    )
