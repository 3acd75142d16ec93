"""The daily roll-up of events: one row per user, day and event, and on one of a user's rows of a day, when they came before.

That one row has `first_day`, the user's first active day, and `previous_day`, the active day before this one (null on
the first); on the other rows of the day both are null. So whoever came, and when before, needs no look at other rows:
`contract.marked`. A load writes the months that it touched, and later ones whose users came earlier than these months knew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opslib import contract
from opslib.quoting import literal
from opslib.settle import columns, scan
from opslib.warehouse import Part

if TYPE_CHECKING:
    from opslib.store import Store

_SUMS = "min(first_ts) AS first_ts, sum(amount) AS amount, sum(duration_s) AS duration_s"
_MARKS = columns(contract.MARKS)


def roll_up(store: Store, touched: dict[str, list[Part]], *, anew: bool = False) -> None:
    """Add events to the roll-up of their months, or make it anew for these, and bring what follows in line.

    Parameters
    ----------
    touched : month → the files of its new events; of all its events with `anew`
    """
    held = {part.month: part for part in store.manifest.tables.get("daily", [])}
    bare = _unmarked(store, held)
    since = min([*touched, *bare])
    _seen(store, [part for month, part in held.items() if month < since])
    for month in sorted(m for m in {*held, *touched} if m >= since):
        if month in touched or month in bare or not _in_line(store, month, held[month]):
            old = None if anew and month in touched else held.get(month)
            _rolled(store, touched.get(month, []), old)
            held[month] = store.file("daily", _marked(store), contract.table("daily"), month)
        _seen(store, [held[month]], more=True)
    store.manifest.tables["daily"] = [held[month] for month in sorted(held)]


def _in_line(store: Store, month: str, part: Part) -> bool:
    """Whether the marks of a month still say what `seen` knows of the time before it."""
    opens = f"(previous_day IS NULL OR previous_day < DATE '{month}-01')"  # the user's first day in the month
    found = (
        f"FROM {scan(store.root, [part])} r LEFT JOIN seen s USING (user_key) WHERE r.first_day IS NOT NULL AND {opens} "
        "AND (previous_day IS DISTINCT FROM s.last_day OR r.first_day <> coalesce(s.first_day, r.day))"
    )
    return not store.con.execute(f"SELECT 1 {found} LIMIT 1").fetchall()


def _unmarked(store: Store, held: dict[str, Part]) -> list[str]:
    """Months whose file an earlier version wrote, without the marks."""
    if not held:
        return []
    of = {literal(store.root / part.path): month for month, part in held.items()}
    marked = store.con.execute(
        f"SELECT DISTINCT file_name FROM parquet_schema([{', '.join(of)}]) WHERE name = {literal(contract.MARKS[0])}"
    ).fetchall()
    return [month for path, month in of.items() if path not in {literal(name) for (name,) in marked}]


def _seen(store: Store, parts: list[Part], *, more: bool = False) -> None:
    """Create, or go on with, the table `seen`: each user's first and last active day so far."""
    known = "SELECT user_key, first_day, last_day FROM seen" if more else ""
    if parts:
        new = f"SELECT user_key, first_day, day AS last_day FROM {scan(store.root, parts)} WHERE first_day IS NOT NULL"
        known = f"{known} UNION ALL {new}" if known else new
    known = (
        known or "SELECT 0::BIGINT AS user_key, DATE '1970-01-01' AS first_day, DATE '1970-01-01' AS last_day LIMIT 0"
    )
    store.con.execute(
        "CREATE OR REPLACE TABLE seen AS "
        f"SELECT user_key, min(first_day) AS first_day, max(last_day) AS last_day FROM ({known}) GROUP BY user_key"
    )


def _rolled(store: Store, events: list[Part], old: Part | None) -> None:
    """Create the table `rolled`: a month's rows without their marks."""
    before = ""
    if old:
        have = [name for name in contract.MARKS if name in store.columns_of(scan(store.root, [old]))]
        before = f"SELECT * {f'EXCLUDE ({columns(have)})' if have else ''} FROM {scan(store.root, [old])}"
    # Grouping by the integer, with any of its equal texts, costs less than grouping by both.
    key, user = "user_key, day, event", "any_value(user_id) AS user_id"
    rows = before
    if events:
        source = f"SELECT *, ts AS first_ts FROM {scan(store.root, events)}"
        rows = f"SELECT {user}, day, event, count(*)::BIGINT AS n, {_SUMS}, user_key FROM ({source}) GROUP BY {key}"
        if before:
            both = f"{rows} UNION ALL BY NAME {before}"
            rows = f"SELECT {user}, day, event, sum(n)::BIGINT AS n, {_SUMS}, user_key FROM ({both}) GROUP BY {key}"
    store.con.execute(f"CREATE OR REPLACE TABLE rolled AS {rows}")


def _marked(store: Store) -> str:
    """The rows of `rolled` with their marks, the marked ones first, so that only they need be read where they are enough."""
    in_order = "OVER (PARTITION BY user_key ORDER BY day)"
    # Of a user's rows of a day the event that is first by name, so that the same events give the same rows.
    store.con.execute(
        "CREATE OR REPLACE TABLE marks AS SELECT d.at, coalesce(s.first_day, min(day) "
        f"{in_order}) AS first_day, coalesce(lag(day) {in_order}, s.last_day) AS previous_day "
        "FROM (SELECT user_key, day, arg_min(rowid, event) AS at FROM rolled GROUP BY user_key, day) d "
        "LEFT JOIN seen s USING (user_key)"
    )
    return (
        f"SELECT r.*, {_MARKS} FROM rolled r LEFT JOIN marks m ON m.at = r.rowid "
        "ORDER BY first_day IS NULL, day, user_key"
    )
