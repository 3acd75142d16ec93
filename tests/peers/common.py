"""What every kind of peer case shares: its events as a contract table, its segment, its period, its steps."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import ibis
from conftest import bound

from opslib.metrics._filters import column, where_holds

SEGMENT_KEYS = {"identity", "timezone", "where", "users", "exclude_users", "user_props"}
PERIOD_KEYS = {"date_from", "date_to"}
UNIT_KEYS = SEGMENT_KEYS | {"unit"}
ALL_TIME = ("1900-01-01", "2199-12-31")


def events(case: dict) -> ibis.Table:
    """The case's events: aliases resolved, local days cut in its zone, its segment only; they know their user's properties.

    `event_id` sorts in listing order, which decides between events of one instant.
    """
    query, zone = case["query"], ZoneInfo(case["query"].get("timezone") or "UTC")
    known = {person(case, user): named for user, named in (query.get("user_props") or {}).items()}
    rows = [
        {
            "event_id": f"{i:06d}",
            "user_id": person(case, event["user"]),
            "event": event["event"],
            "ts": utc(event["time"]),
            "day": utc(event["time"]).replace(tzinfo=dt.UTC).astimezone(zone).date(),
            "props": json.dumps(
                (event.get("props") or {})
                | {f"user.{name}": value for name, value in known.get(person(case, event["user"]), {}).items()}
            ),
        }
        for i, event in enumerate(case["events"])
    ]
    table = bound("events", [row for row in rows if in_segment(case, row["user_id"])])
    return table.filter(where_holds(table, props(query["where"]))) if query.get("where") else table


def by_unit(case: dict) -> ibis.Table:
    """The case's events with its unit, where that is a property of the event, in the place of the user."""
    table, unit = events(case), case["query"].get("unit")
    if unit is None:
        return table
    table = table.mutate(user_id=column(table, unit).cast("string"))
    return table.filter(table.user_id.notnull())


def users(case: dict) -> ibis.Table:
    """The case's users with their properties (as text) in columns of the same name."""
    known = case["query"].get("user_props") or {}
    everyone = dict.fromkeys([*(person(case, e["user"]) for e in case["events"]), *(person(case, u) for u in known)])
    rows = {u: {"user_id": u} for u in everyone if in_segment(case, u)}
    for user, properties in known.items():
        if (row := rows.get(person(case, user))) is not None:
            row |= {name: None if value is None else text(value) for name, value in properties.items()}
    return bound("users", list(rows.values()))


def person(case: dict, user: str) -> str:
    return (case["query"].get("identity") or {}).get(user, user)


def in_segment(case: dict, user: str) -> bool:
    query = case["query"]
    wanted, unwanted = query.get("users"), query.get("exclude_users") or []
    return (wanted is None or user in [person(case, w) for w in wanted]) and user not in [
        person(case, u) for u in unwanted
    ]


def utc(time: str) -> dt.datetime:
    """An ISO-8601 time as the contract keeps it: UTC without a zone."""
    return dt.datetime.fromisoformat(time.replace("Z", "+00:00")).astimezone(dt.UTC).replace(tzinfo=None)


def text(value: Any) -> str:
    """A property as the tracker's JSON spells it, without the quotes of a text."""
    return value if isinstance(value, str) else json.dumps(value)


def period(case: dict) -> tuple[str, str] | None:
    """The case's first and last local day, both included; None when it has neither."""
    ends = (case["query"].get("date_from"), case["query"].get("date_to"))
    return None if ends == (None, None) else (ends[0] or ALL_TIME[0], ends[1] or ALL_TIME[1])


def step(spec: dict | str | None) -> dict | str | None:
    """A step of the query vocabulary as the metrics take it: conditions are on the tracker's properties."""
    if not isinstance(spec, dict):
        return spec
    return {"event": spec.get("event"), "where": props(spec.get("where"))}


def props(where: dict | None) -> dict:
    return {f"props.{name.removeprefix('event.')}": value for name, value in (where or {}).items()}


def within(case: dict, table: ibis.Table) -> ibis.Table:
    """The events of the case's own days only, for peers that do not look beyond them."""
    days = period(case)
    return table.filter(table.day.between(*map(ibis.date, days))) if days else table


def decimals(number: float) -> int:
    """The decimals that a number is printed with, a whole one with none: 0.25 has two, 2e-05 has five."""
    return 0 if float(number).is_integer() else -int(Decimal(repr(float(number))).as_tuple().exponent)
