"""Rows for any table of the contract, made from its columns: small pools of ids, ties in time, blanks where they may be."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

from opslib import contract

START = dt.datetime(2026, 1, 5)
DAYS = 45
POOLS = {
    "user_id": [f"u{i:02d}" for i in range(25)],
    "inviter_id": [f"u{i:02d}" for i in range(8)],
    "author_id": ["a1", "a2", "a3"],
    "content_id": [f"c{i}" for i in range(6)],
    "campaign_id": ["k1", "k2"],
    "experiment_id": ["x1"],
    "variant": ["A", "B"],
    "control": ["A"],
    "channel": ["seo", "ads", "direct", "push"],
    "event": [*contract.EVENTS, "app_open", "register", "activate", "add_to_cart", "pay", "invite", "join_campaign"],
    "topic": ["price", "speed"],
    "category": ["food", "news"],
    "props": ['{"plan": "pro", "n": 3}', '{"plan": "free"}', '{"n": null, "flag": "yes"}', "{}"],
    "split": ['{"A": 0.5, "B": 0.5}'],
}


def tables(seed: int, events: int = 600, others: int = 60) -> dict[str, list[dict[str, Any]]]:
    """Every table of the contract."""
    pick = random.Random(seed)
    made = {
        name: _rows(contract.table(name), events if name == "events" else others if events else 0, pick)
        for name in contract.LOADABLE
    }
    made["daily"] = _rolled_up(made["events"])
    return made


def _rows(table: contract.Table, n: int, pick: random.Random) -> list[dict[str, Any]]:
    rows: dict[tuple, dict[str, Any]] = {}
    for i in range(n):
        row = {c.name: _value(table, c, i, pick) for c in table.columns}
        for column in table.columns:
            if column.at_most and row[column.name] is not None:
                row[column.name] = min(row[column.name], row[column.at_most])
            if column.day:
                row[column.day] = row[column.name] and (row[column.name] + dt.timedelta(hours=8)).date()
        rows.setdefault(tuple(row[k] for k in table.key), row)
    return list(rows.values())


def _value(table: contract.Table, column: contract.Column, i: int, pick: random.Random) -> Any:
    if not column.required and pick.random() < 0.15:
        return None
    if column.name == table.key[0] and len(table.key) == 1 and column.name != "user_id" and column.name not in POOLS:
        return f"{table.name}{i:04d}"
    if column.name in POOLS or column.choices:
        return pick.choice(POOLS.get(column.name) or list(column.choices))
    if column.type == "timestamp":  # to ten minutes: many events share an instant
        return START + dt.timedelta(minutes=10 * pick.randrange(DAYS * 144))
    if column.type == "date":
        return (START + dt.timedelta(days=pick.randrange(DAYS))).date()
    if column.type == "int":
        return pick.randrange(0, int(column.high or 9) + 1)
    if column.type == "float":
        return round(pick.uniform(0, column.high or 50), 2)
    return pick.choice(["one", "two", "three"])


def _rolled_up(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows: dict[tuple, dict[str, Any]] = {}
    for e in sorted(events, key=lambda e: e["ts"]):
        key = (e["user_id"], e["day"], e["event"])
        first = dict(zip(("user_id", "day", "event"), key, strict=True)) | {"n": 0, "first_ts": e["ts"], "amount": None, "duration_s": None}  # fmt: skip
        row = rows.setdefault(key, first)
        row["n"] += 1
        for name in ("amount", "duration_s"):
            if e[name] is not None:
                row[name] = round((row[name] or 0) + e[name], 2)
    return list(rows.values())
