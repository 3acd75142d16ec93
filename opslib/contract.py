"""The data contract: every table, column, unit and rule, once.

The importers' mapping, the documentation, the sample data, the empty tables of the compile test and `check` are all
read from `TABLES`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opslib.errors import UsageError, near

if TYPE_CHECKING:
    import ibis

IBIS_TYPES = {
    "string": "string",
    "json": "string",  # a JSON object kept verbatim
    "timestamp": "timestamp(6)",
    "date": "date",
    "int": "int64",
    "float": "float64",
}

# Text ids and the integer companions that the warehouse gives them (sorting and joining by text costs half the time).
KEYS = {"user_id": "user_key", "content_id": "content_key"}

# What the warehouse adds to `daily`, on one row of each user and day and null on the others: the user's first active
# day, and the active day before this one, null if there is none (rollup.py).
MARKS = ("first_day", "previous_day")


@dataclass(frozen=True)
class Column:
    """One column: its type, its unit, and the rule that a value must keep."""

    name: str
    type: str
    required: bool = False  # never null
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()  # the usual values; others are kept
    at_most: str | None = None  # another column that this one may not exceed
    after: str | None = None  # another column that this one must come after
    doc: str = ""

    @property
    def day(self) -> str | None:
        """The name of its local-date companion: `ts` → `day`, `paid_at` → `paid_day`."""
        if self.type != "timestamp":
            return None
        return "day" if self.name == "ts" else self.name.removesuffix("_at") + "_day"


@dataclass(frozen=True)
class Table:
    """One table: what a row is, its columns, and its key."""

    name: str
    row: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    updates: bool = False  # rows change in the source system: the newest load wins
    derived: bool = False  # written by the load, never loaded
    required: bool = False
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(c.name for c in self.columns))

    def column(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise UsageError(f"{self.name} has no column {name!r} in the contract", near(name, self.names))

    @property
    def clock(self) -> str | None:
        """The timestamp that places a row in time, if there is one."""
        return next((c.name for c in self.columns if c.type == "timestamp" and c.required), None)

    @property
    def clock_day(self) -> str | None:
        """The table's own date column, or the local day of `clock`."""
        own = next((c.name for c in self.columns if c.type == "date" and c.required), None)
        return own or (self.column(self.clock).day if self.clock else None)


def _text(name: str, doc: str = "", **rules) -> Column:
    return Column(name, "string", doc=doc, **rules)


def _id(name: str, doc: str = "") -> Column:
    return Column(name, "string", required=True, doc=doc)


def _at(name: str, doc: str = "", *, required: bool = True, after: str | None = None) -> Column:
    return Column(name, "timestamp", required=required, unit="UTC", after=after, doc=doc)


PLATFORMS = ("ios", "android", "web", "mini_program")
PLACEMENTS = ("algorithm", "editorial", "banner", "search", "following")
TEAMS = ("operations", "product", "engineering", "marketing", "sales")
EVENTS = [
    "app_open",
    "page_view",
    "register",
    "verify_phone",
    "activate",
    "impression",
    "click",
    "read",
    "complete",
    "like",
    "comment",
    "favorite",
    "share",
    "follow",
    "join_campaign",
    "invite",
    "check_in",
    "claim_reward",
    "add_to_cart",
    "checkout",
    "pay",
]

_TABLES = (
    Table(
        "events",
        "one tracked action",
        (
            _id("event_id"),
            _id("user_id"),
            _id("event", "what the user did; `read` is an opened item, `complete` one read or played to its end"),
            _at("ts", "when it happened"),
            _text("session_id"),
            _text("device_id"),
            _text("ip"),
            _text("platform", choices=PLATFORMS),
            _text("channel", "what brought this visit"),
            _text("content_id"),
            _text("placement", "where content was shown", choices=PLACEMENTS),
            Column("position", "int", low=0, doc="place in the list; 0 is the top"),
            _text("campaign_id"),
            Column("duration_s", "float", unit="seconds", low=0, doc="dwell time of a `read`"),
            Column("amount", "float", unit="currency", doc="money that moved with the event"),
            Column("props", "json", doc="whatever else the tracker sent, verbatim"),
        ),
        ("event_id",),
        required=True,
    ),
    Table(
        "users",
        "one registered user",
        (
            _id("user_id"),
            _at("registered_at"),
            _text("channel", "acquisition channel"),
            _text("platform", choices=PLATFORMS),
            _text("device_id"),
            _text("inviter_id", "who invited this user"),
        ),
        ("user_id",),
        updates=True,
        required=True,
    ),
    Table(
        "orders",
        "one paid order",
        (
            _id("order_id"),
            _id("user_id"),
            _at("paid_at"),
            Column("amount", "float", required=True, unit="currency", low=0),
            Column("refunded", "float", unit="currency", low=0, at_most="amount"),
            _text("campaign_id"),
        ),
        ("order_id",),
    ),
    Table(
        "touches",
        "one marketing contact",
        (
            _id("touch_id"),
            _id("user_id"),
            _at("ts"),
            _id("channel"),
            _text("campaign_id"),
            _text("kind", choices=("impression", "click")),
        ),
        ("touch_id",),
    ),
    Table(
        "spend",
        "a channel's cost on a day",
        (
            Column("day", "date", required=True),
            _id("channel"),
            Column("kind", "string", required=True, choices=("paid", "free", "offline")),
            _text("campaign_id"),
            Column("cost", "float", required=True, unit="currency", low=0),
            Column("impressions", "int", unit="times", low=0),
            Column("clicks", "int", unit="times", low=0),
        ),
        ("day", "channel", "kind", "campaign_id"),
    ),
    Table(
        "content",
        "one published item",
        (
            _id("content_id"),
            _at("published_at"),
            _text("title"),
            _text("author_id"),
            _text("source", choices=("PGC", "UGC")),
            _text("category"),
            Column("originality", "float", low=0, high=1),
            _text("topic"),
        ),
        ("content_id",),
        updates=True,
    ),
    Table(
        "campaigns",
        "one campaign",
        (
            _id("campaign_id"),
            _id("name"),
            _text("kind", choices=("referral", "check_in", "tasks", "promotion", "member_day")),
            _text("stage", choices=("launch", "growth", "maturity")),
            _at("starts_at"),
            _at("ends_at", after="starts_at"),
            _text("goal_metric"),
            Column("goal_value", "float"),
            Column("budget", "float", unit="currency", low=0),
            Column("reward_cost", "float", unit="currency", low=0),
            _text("audience"),
        ),
        ("campaign_id",),
        updates=True,
    ),
    Table(
        "experiments",
        "one A/B test",
        (
            _id("experiment_id"),
            _text("name"),
            _at("starts_at"),
            _at("ends_at", required=False),
            _id("control", "the variant that the others are compared with"),
            Column("split", "json", doc="variant → expected share"),
            _text("metric"),
        ),
        ("experiment_id",),
        updates=True,
    ),
    Table(
        "exposures",
        "a user put in a variant",
        (_id("experiment_id"), _id("user_id"), _id("variant"), _at("ts")),
        ("experiment_id", "user_id", "variant"),
    ),
    Table(
        "feedback",
        "one voice of a user",
        (
            _id("feedback_id"),
            _at("ts"),
            _text("user_id"),
            Column(
                "source", "string", required=True, choices=("community", "support", "review", "survey", "interview")
            ),
            _text("text"),
            Column("score", "int", low=0, high=10, doc="0–10, as NPS asks"),
            _text("topic"),
            _text("status", choices=("open", "triaged", "planned", "shipped", "replied", "declined")),
            _at("resolved_at", required=False),
            _at("replied_at", required=False),
        ),
        ("feedback_id",),
        updates=True,
    ),
    Table(
        "survey",
        "one answer",
        (_id("response_id"), _text("user_id"), _at("ts"), _id("question"), _text("answer")),
        ("response_id", "question"),
    ),
    Table(
        "actions",
        "one decision a report proposed",
        (
            _id("action_id"),
            Column("proposed_on", "date", required=True),
            _id("report"),
            Column("team", "string", required=True, choices=TEAMS),
            _id("title"),
            _text("evidence"),
            _text("metric"),
            Column("baseline", "float"),
            Column("target", "float"),
            Column("due_on", "date"),
            Column("status", "string", required=True, choices=("proposed", "accepted", "rejected", "done")),
            Column("outcome", "float"),
        ),
        ("action_id",),
        updates=True,
    ),
    Table(
        "daily_stats",
        "one number that a tracker exports instead of events",
        (
            Column("day", "date", required=True),
            _id("metric"),
            _text("channel"),
            _text("version"),
            Column("value", "float", required=True),
        ),
        ("day", "metric", "channel", "version"),
    ),
    Table(
        "daily",
        "one user's doing of one event on one local day",
        (
            _id("user_id"),
            Column("day", "date", required=True),
            _id("event"),
            Column("n", "int", required=True, low=1),
            Column("first_ts", "timestamp", required=True, unit="UTC"),
            Column("amount", "float", unit="currency"),
            Column("duration_s", "float", unit="seconds"),
        ),
        ("user_id", "day", "event"),
        derived=True,
    ),
)

TABLES: dict[str, Table] = {table.name: table for table in _TABLES}
LOADABLE = tuple(name for name, table in TABLES.items() if not table.derived)


def table(name: str) -> Table:
    """The table of that name.

    Raises
    ------
    UsageError  if the contract has no such table.
    """
    if name not in TABLES:
        raise UsageError(f"no table {name!r} in the contract", near(name, TABLES))
    return TABLES[name]


def types(name: str) -> dict[str, str]:
    """Column → ibis type of the table as the warehouse stores it: with local days, without integer keys."""
    spec = table(name)
    found = {c.name: IBIS_TYPES[c.type] for c in spec.columns}
    if not spec.derived:
        found |= {c.day: "date" for c in spec.columns if c.day}
    return found


def unbound(name: str) -> ibis.Table:
    """The table without data or engine, to compile a metric against."""
    import ibis

    return ibis.table(ibis.schema(types(name)), name=name)


def keyed(*tables: ibis.Table, names: Iterable[str] = ("user_id",)) -> Any:
    """The same tables with text ids replaced by their integer companions, where all of them carry these.

    For metrics that count users and never show one: integers sort and join twice as fast. Tables that are to be joined
    must be keyed in one call, so that either all or none are.
    """
    for name in names:
        having = [t for t in tables if name in t.columns]
        if all(KEYS[name] in t.columns for t in having):
            tables = tuple(t.mutate(**{name: t[KEYS[name]]}) if name in t.columns else t for t in tables)
    return tables[0] if len(tables) == 1 else tables


def marked(table: ibis.Table) -> ibis.Table | None:
    """The rows of `daily` that carry `MARKS`, one per user and day; None for any other table.

    None for a part of `daily`, too, filtered or kept under another name: the marks tell of the whole.
    """
    import ibis.expr.operations as ops

    whole = isinstance(table.op(), ops.PhysicalTable) and table.get_name() == "daily"
    if not whole or not {*MARKS} <= {*table.columns}:
        return None
    # True wherever there is a day; unlike "not null" it is held against the files' statistics, which skips the other rows.
    return table.filter(table.first_day >= dt.date(1900, 1, 1))
