"""Which rows of a load are new: one row a key, whatever was loaded before and however files overlap.

In a table whose rows never change, the first row of a key stays and one with other values is a conflict. In a table
that the source system updates, the newest row of a key stays: the last of a load, and a load over earlier ones. Rows
are compared in the columns that the load brings; what it does not speak of is no other value.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from opslib import contract
from opslib.importers.typed import BAD, FILE, LINE, REASON
from opslib.quoting import literal, quoted
from opslib.warehouse import Part

if TYPE_CHECKING:
    import duckdb

CONFLICT = "conflict: another row has the key with other values, got "
_AT = f"{quoted(FILE)}, {quoted(LINE)}"


def scan(root: Path, parts: list[Part], options: str = "") -> str:
    """A table function over the parts' files."""
    return f"read_parquet([{', '.join(literal(root / p.path) for p in parts)}], union_by_name=true{options})"


def settle(
    con: duckdb.DuckDBPyConnection, spec: contract.Table, given: list[str], root: Path, parts: list[Part]
) -> None:
    """Create the view `fresh` (rows to write) and the table `fate` (~file, ~line, status, reason) of the others.

    A row's status is `aside`, `there`, or `update`; the last are fresh too, and replace the row that is there.

    Parameters
    ----------
    given : the columns that the load brings
    parts : what the table holds already
    """
    con.execute(
        f"CREATE TABLE fate AS SELECT {_AT}, 'aside' AS status, {quoted(REASON)} AS reason "
        f"FROM typed WHERE {quoted(BAD)}"
    )
    _view_fresh(con)
    compared = [name for name in given if name not in spec.key]
    # The row that stays is compared first: the one that came first, or, where rows are updated, the last of this load.
    if spec.updates:
        _within(con, spec, compared)
    if parts:
        _against(con, spec, compared, root, parts)
    if not spec.updates:
        _within(con, spec, compared)


def _view_fresh(con: duckdb.DuckDBPyConnection) -> None:
    rows = f"SELECT * EXCLUDE ({quoted(BAD)}, {quoted(REASON)}) FROM typed"
    dropped = "FROM fate WHERE status <> 'update'"
    if con.execute(f"SELECT 1 FROM ({dropped}) LIMIT 1").fetchall():
        rows = f"SELECT t.* FROM ({rows}) t ANTI JOIN ({dropped}) f USING ({_AT})"
    con.execute(f"CREATE OR REPLACE VIEW fresh AS {rows}")


def _within(con: duckdb.DuckDBPyConnection, spec: contract.Table, compared: list[str]) -> None:
    """Repeated keys inside the load: one row stays, equal ones are already there, others are put aside."""
    key = f"hash({columns(spec.key)})"
    rows, keys = con.execute(f"SELECT count(*), count(DISTINCT {key}) FROM fresh").fetchall()[0]
    if rows == keys:
        return
    # Equal hashes are a suspicion, and many times cheaper than equal keys; the exact comparison follows.
    con.execute(f"CREATE TABLE suspects AS SELECT {key} AS h FROM fresh GROUP BY h HAVING count(*) > 1")
    order = "DESC" if spec.updates else "ASC"
    con.execute(
        f"CREATE TABLE twice AS SELECT {columns([*spec.key, *compared, FILE, LINE])}, row_number() OVER "
        f"(PARTITION BY {columns(spec.key)} ORDER BY {quoted(FILE)} {order}, {quoted(LINE)} {order}) AS place "
        f"FROM fresh SEMI JOIN suspects ON {key} = h"
    )
    con.execute(
        f"INSERT INTO fate SELECT {columns([FILE, LINE], 't')}, {_verdict(spec, compared, 'aside')} "
        f"FROM twice t JOIN twice k ON k.place = 1 AND {same_key(spec, 't', 'k')} WHERE t.place > 1"
    )
    _view_fresh(con)


def _against(
    con: duckdb.DuckDBPyConnection, spec: contract.Table, compared: list[str], root: Path, parts: list[Part]
) -> None:
    """Keys that the table holds already. Most loads have none, so the keys are compared before any value is read."""
    con.execute(
        f"CREATE TABLE known AS SELECT {columns([FILE, LINE], 't')}, k.filename FROM fresh t "
        f"JOIN {scan(root, parts, ', filename=true')} k ON {same_key(spec, 't', 'k')}"
    )
    at_hand = {literal(root / part.path): part for part in parts}
    names = [literal(name) for (name,) in con.execute("SELECT DISTINCT filename FROM known").fetchall()]
    if not names:
        return
    existing = scan(root, [at_hand[name] for name in names])
    have = {row[0] for row in con.execute(f"DESCRIBE FROM {existing}").fetchall()}
    select = ", ".join(quoted(n) if n in have else f"NULL AS {quoted(n)}" for n in [*spec.key, *compared])
    con.execute(
        f"INSERT INTO fate SELECT {columns([FILE, LINE], 't')}, "
        f"{_verdict(spec, compared, 'update' if spec.updates else 'aside')} "
        f"FROM (FROM fresh SEMI JOIN known USING ({_AT})) t JOIN (SELECT {select} FROM {existing}) k "
        f"ON {same_key(spec, 't', 'k')}"
    )
    _view_fresh(con)


def _verdict(spec: contract.Table, compared: list[str], other: str) -> str:
    """status, reason of row `t` whose key row `k` has too."""
    same = " AND ".join(f"t.{quoted(n)} IS NOT DISTINCT FROM k.{quoted(n)}" for n in compared) or "true"
    shown = f"replace(left(concat_ws('+', {columns(spec.key, 't')}), 60), ';', ',')"
    reason = f"concat({literal(CONFLICT + '+'.join(spec.key) + ' ')}, {shown})"
    return f"CASE WHEN {same} THEN 'there' ELSE '{other}' END, {reason}"


def columns(names: list[str] | tuple[str, ...], of: str = "") -> str:
    return ", ".join((f"{of}." if of else "") + quoted(name) for name in names)


def same_key(spec: contract.Table, left: str, right: str) -> str:
    def one(name: str) -> str:
        # A null is a value of a key only where the contract allows it; a plain equality joins faster.
        equals = "=" if spec.column(name).required else "IS NOT DISTINCT FROM"
        return f"{left}.{quoted(name)} {equals} {right}.{quoted(name)}"

    return " AND ".join(map(one, spec.key))
