"""Which ids are one person: an alias, such as the device before the sign-up, counts as its user, also in earlier loads.

The map is kept as it was given, a newer entry over an older one, and followed to its end (a → b → c makes all three
one); `a → a` takes an entry back. Rows of a person carry the person's `user_id`; what their tracker sent stays in
`user_alias`, so that a later map can start from it. The table `users` is left alone: an account is an account.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from opslib import contract
from opslib.contract import Column
from opslib.errors import ContractError, near
from opslib.importers import rules
from opslib.importers.mapping import USER_ALIAS
from opslib.importers.stage import LINE, Raw, open_file
from opslib.quoting import literal, quoted
from opslib.rollup import roll_up
from opslib.settle import CONFLICT, columns, scan
from opslib.store import Store
from opslib.warehouse import Part

if TYPE_CHECKING:
    import duckdb

Identity = str | Path | Mapping[str, str]
TABLES = tuple(n for n, t in contract.TABLES.items() if "user_id" in t.names and n not in ("users", "daily"))
_HOPS = 100  # a chain of aliases that is longer is a circle


def take(store: Store, given: Identity | None) -> str:
    """Make the table `identity` (alias, user_id), and give earlier rows to whom a new map says; one sentence about it.

    Parameters
    ----------
    given : a Parquet, CSV or JSON Lines file with the columns alias and user_id, a mapping, or None for the map at hand

    Raises
    ------
    ContractError  if an alias is given to two users, an id is missing, or aliases form a circle.
    """
    con, kept = store.con, store.manifest.identity
    before = (
        f"SELECT alias, user_id FROM {scan(store.root, kept)}" if kept else "SELECT '' AS alias, '' AS user_id LIMIT 0"
    )
    con.execute(f"CREATE TABLE links AS {before}")
    _follow(con, "identity")
    if given is None:
        return ""
    con.execute("ALTER TABLE identity RENAME TO identity_before")
    label = _read(con, given, store.staging)
    con.execute("DELETE FROM links WHERE alias IN (SELECT alias FROM links_given)")
    con.execute("INSERT INTO links SELECT DISTINCT alias, user_id FROM links_given")
    _follow(con, "identity")
    con.execute(
        "CREATE TABLE moved AS SELECT alias AS id FROM identity i FULL JOIN identity_before b USING (alias) "
        "WHERE coalesce(i.user_id, alias) <> coalesce(b.user_id, alias)"
    )
    store.manifest.identity = [store.file("_identity", "FROM links")]
    rows = sum(_move(store, name, label) for name in TABLES if store.manifest.tables.get(name))
    count = con.execute("SELECT count(DISTINCT alias) FROM links_given").fetchall()[0][0]
    return f"{label}: {count:,} aliases; {rows:,} earlier rows count as another user's now"


def resolved(rows: str, sent: str = "r.user_id", old: bool = False) -> str:
    """The rows with the `user_id` of the person; `sent` is the tracker's id, `old` rows were resolved before."""
    drop = f" EXCLUDE ({USER_ALIAS})" if old else ""
    return (
        f"SELECT r.*{drop} REPLACE (coalesce(i.user_id, {sent}) AS user_id), "
        f"CASE WHEN i.alias IS NOT NULL THEN {sent} END AS {USER_ALIAS} "
        f"FROM ({rows}) r LEFT JOIN identity i ON i.alias = {sent}"
    )


def _read(con: duckdb.DuckDBPyConnection, given: Identity, staging: Path) -> str:
    """Create the table `links_given` (alias, user_id, line); what to call it."""
    if isinstance(given, Mapping):
        import pyarrow as pa

        rows = pa.table({"alias": pa.array(given, pa.string()), "user_id": pa.array(given.values(), pa.string())})
        con.register("pairs", rows)
        con.execute(
            "CREATE TABLE links_given AS "
            "SELECT nullif(alias, '') AS alias, nullif(user_id, '') AS user_id, 0 AS line FROM pairs"
        )
        con.unregister("pairs")
        label = "identity map"
    else:
        label = Path(given).name
        raw = open_file(con, Path(given), label, "~identity", staging, None, lambda rows: None)
        con.execute(f"CREATE TABLE links_given AS SELECT {_pair(con, raw)} FROM {quoted(raw.view)}")
    _check(con, label)
    return label


def _pair(con: duckdb.DuckDBPyConnection, raw: Raw) -> str:
    for _, paths in raw.broken:
        line, reason = con.execute(
            f"SELECT {quoted(LINE)}, reason FROM read_parquet({literal(paths[0])}) LIMIT 1"
        ).fetchall()[0]
        raise ContractError(f"{raw.label} line {line}: {reason}", "mend the identity map; nothing was loaded")
    found = []
    for name in ("alias", "user_id"):
        if name not in raw.columns:
            raise ContractError(f"{raw.label}: an identity map needs the column {name!r}", near(name, raw.columns))
        given = rules.Given(quoted(name), raw.columns[name], where=raw.label)
        found.append(f"{rules.typed(Column(name, 'string'), given)} AS {name}")
    return f"{', '.join(found)}, {quoted(LINE)} AS line"


def _check(con: duckdb.DuckDBPyConnection, label: str) -> None:
    blank = con.execute("SELECT min(line) FROM links_given WHERE alias IS NULL OR user_id IS NULL").fetchall()[0][0]
    if blank is not None:
        raise ContractError(f"{label} line {blank}: an id is missing", "mend the identity map; nothing was loaded")
    nobody = " OR ".join(rules.is_nobody(name) for name in ("alias", "user_id"))
    if stranger := con.execute(f"SELECT line, alias, user_id FROM links_given WHERE {nobody} ORDER BY 1").fetchone():
        line, alias, user = stranger
        raise ContractError(
            f"{label} line {line}: {alias!r} → {user!r} names no user", "take the line out; nothing was loaded"
        )
    twice = con.execute(
        "SELECT alias, min(user_id) AS one, max(user_id) AS other FROM links_given GROUP BY alias HAVING one <> other"
    ).fetchone()
    if twice:
        alias, one, other = twice
        raise ContractError(f"{label}: the alias {alias!r} is given to {one!r} and to {other!r}", "give it to one user")


def _follow(con: duckdb.DuckDBPyConnection, target: str) -> None:
    """Create the table `target`: every alias of `links` with the user at the end of its chain."""
    con.execute(f"CREATE TABLE {target} AS FROM links WHERE alias <> user_id")
    for _ in range(_HOPS):
        hop = (
            f"UPDATE {target} t SET user_id = l.user_id FROM links l WHERE t.user_id = l.alias AND l.alias <> l.user_id"
        )
        if not con.execute(hop).fetchall()[0][0]:
            return
    alias = con.execute(f"SELECT min(t.alias) FROM {target} t JOIN links l ON t.user_id = l.alias").fetchall()[0][0]
    raise ContractError(f"identity map: the aliases around {alias!r} form a circle", "let every chain end at a user")


def _move(store: Store, name: str, label: str) -> int:
    """Rewrite the parts of a table that hold rows of ids that moved; how many such rows."""
    spec, parts = contract.table(name), store.manifest.tables[name]
    _, sent = _sent(store, parts)
    touched = f"FROM {scan(store.root, parts, ', filename=true')} r SEMI JOIN moved ON {sent} = id"
    rows = dict(store.con.execute(f"SELECT filename, count(*) {touched} GROUP BY filename").fetchall())
    if not rows:
        return 0
    if "user_id" in spec.key:
        store.manifest.tables[name] = [_one_a_key(store, spec, parts, label)]
        return sum(rows.values())
    hit = [part for part in parts if str(store.root / part.path) in rows]
    new = {part.path: store.file(name, _moved(store, name, [part]), spec, part.month) for part in hit}
    store.manifest.tables[name] = [new.get(part.path, part) for part in parts]
    if name == "events":
        months = {part.month for part in hit}
        roll_up(store, {m: [p for p in store.manifest.tables[name] if p.month == m] for m in months}, anew=True)
    return sum(rows.values())


def _sent(store: Store, parts: list[Part]) -> tuple[bool, str]:
    """Whether the parts were resolved before, and the id that the tracker sent."""
    old = USER_ALIAS in store.columns_of(scan(store.root, parts))
    return old, f"coalesce(r.{USER_ALIAS}, r.user_id)" if old else "r.user_id"


def _moved(store: Store, name: str, parts: list[Part]) -> str:
    old, sent = _sent(store, parts)
    rows = resolved(f"SELECT * EXCLUDE (user_key) FROM {scan(store.root, parts)}", sent, old)
    return store.keyed(("user_id",), rows) + (" ORDER BY day" if name == "events" else "")


def _one_a_key(store: Store, spec: contract.Table, parts: list[Part], label: str) -> Part:
    """One user under two ids may hold a key twice: the first row stays, as it does in a load."""
    key, con = columns(spec.key), store.con
    place = f"row_number() OVER (PARTITION BY {key} ORDER BY {quoted(spec.clock or '')}) AS place"
    con.execute(f"CREATE OR REPLACE TABLE placed AS SELECT *, {place} FROM ({_moved(store, spec.name, parts)})")
    con.execute(
        f"CREATE OR REPLACE TABLE aside AS SELECT {literal(label)} AS source, 0::BIGINT AS line, "
        f"concat({literal(CONFLICT + '+'.join(spec.key) + ' ')}, concat_ws('+', {key})) AS reason, "
        f'CAST(to_json(p) AS VARCHAR) AS "row" FROM placed p WHERE place > 1'
    )
    store.quarantine(spec.name)
    return store.file(spec.name, "SELECT * EXCLUDE (place) FROM placed WHERE place = 1", spec)
