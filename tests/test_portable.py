"""Every public metric compiles for every engine, without a server: found by name and signature, registered nowhere."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator

import ibis
import pytest

from opslib import contract, metrics

DIALECTS = ("clickhouse", "trino", "bigquery", "snowflake", "postgres", "databricks")

# Modules whose metrics need no order within a day.
DAY_LEVEL = ("activity", "lifecycle", "states", "retention")

# What a metric cannot be asked without; by argument name.
REQUIRED = {
    "campaigns": ["c1", "c2"],
    "before": "2026-01-31",
    "after": "2026-02-28",
    "steps": ["app_open", "register", "pay"],
}

# Further ways to ask whose plans differ from the default's.
FURTHER = {
    "active_users": [
        {"windows": ("week", "month", 28), "week_start": "sunday", "period": ("2026-01-01", "2026-02-01")}
    ],
    "lifecycle": [{"grain": "month", "period": ("2026-01-01", "2026-02-01"), "until": "2026-02-10"}],
    "retention": [
        {"mode": "recurring", "on_or_after": True, "grain": "week", "week_start": "sunday", "min_returns": 2},
        {"clock": "rolling_24h_hour_floored", "breakdown": "platform", "period": ("2026-01-01", "2026-02-01")},
        {"clock": "rolling_7d", "grain": "month", "on_or_after": True, "min_returns": 2},
        {"mode": "first_time", "brackets": (6, 7, 16), "breakdown": "users.channel", "grain": "month"},
        {"start": {"event": "pay", "where": {"amount": {"min": 1}}}, "grain": "hour", "until": "2026-02-10"},
    ],
}


def public_metrics() -> Iterator[Callable]:
    """Functions whose positional arguments are contract tables, in modules that do not start with an underscore."""
    for module in pkgutil.iter_modules(metrics.__path__):
        if module.name.startswith("_"):
            continue
        found = importlib.import_module(f"opslib.metrics.{module.name}")
        for name, function in inspect.getmembers(found, inspect.isfunction):
            if not name.startswith("_") and function.__module__ == found.__name__ and tables_of(function):
                yield function


def tables_of(function: Callable) -> list[str]:
    """The function's positional arguments if all of them are contract tables, else none."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in inspect.signature(function).parameters.values() if p.kind in positional]
    return names if all(name in contract.TABLES for name in names) else []


def required(function: Callable) -> dict:
    parameters = inspect.signature(function).parameters.values()
    needed = [p.name for p in parameters if p.kind == p.KEYWORD_ONLY and p.default is p.empty]
    unknown = [name for name in needed if name not in REQUIRED]
    assert not unknown, f"{function.__name__}: give {unknown} a default, or an example in REQUIRED"
    return {name: REQUIRED[name] for name in needed}


ASKED = [(f, {}) for f in public_metrics()] + [
    (f, how) for f in public_metrics() for how in FURTHER.get(f.__name__, [])
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("function", "how"), ASKED, ids=lambda x: x.__name__ if callable(x) else ",".join(x) or "-")
def test_every_metric_compiles_for_every_engine(function, how, dialect):
    tables = [contract.unbound(name) for name in tables_of(function)]
    expression = function(*tables, **required(function) | how)
    assert ibis.to_sql(expression, dialect=dialect).strip()


def test_every_metric_is_found_and_nothing_is_executed():
    names = {f.__name__ for f in public_metrics()}
    assert {"active_users", "lifecycle", "retention", "states", "transitions"} <= names
    assert set(FURTHER) <= names


@pytest.mark.parametrize("function", [f for f in public_metrics() if f.__module__.rpartition(".")[2] in DAY_LEVEL])
def test_day_level_metrics_take_the_daily_roll_up_as_well(function):
    tables = [contract.unbound("daily"), *(contract.unbound(name) for name in tables_of(function)[1:])]
    assert ibis.to_sql(function(*tables, **required(function)), dialect="duckdb").strip()
