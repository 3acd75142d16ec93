"""Every public metric gives on PostgreSQL what it gives on DuckDB, on any data: found by name, registered nowhere."""

from __future__ import annotations

import datetime as dt
import math

import anydata
import ibis
import pandas as pd
import postgres
import pytest
from conftest import bound
from hypothesis import settings
from test_portable import ASKED, required, tables_of

from opslib.metrics import (
    activity,
    campaign,
    campaign_effect,
    experiment,
    first_steps,
    funnel,
    funnel_breakdown,
    funnel_time,
    funnel_trend,
    path_conversion,
    paths,
    sessions,
)

pytestmark = pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())

STEPS = {"steps": ["app_open", "activate", "pay"], "window_days": 20}
ANY_FIRST = STEPS | {"steps": [None, "activate", "pay"]}  # few of the generated users open the app on their first day
DAYS = ("2026-01-12", "2026-02-08")
# Further ways to ask whose plans differ from the default's.
FURTHER = [
    (funnel.funnel, STEPS | {"count": "attempts", "exclusions": [{"event": "invite"}]}),
    (funnel.funnel, STEPS | {"order": "strict", "everyone": True, "period": DAYS, "compare": "previous"}),
    (funnel.funnel, STEPS | {"order": "unordered", "entry": "first", "unit": "props.plan", "within_period": True, "period": DAYS}),
    (funnel.funnel, STEPS | {"count": "sessions", "hold": "platform", "entry": "latest"}),
    (funnel.funnel_tries, STEPS | {"exclusions": [{"event": "invite", "to_step": 2}], "exclusion_effect": "drop_user"}),
    (funnel.funnel_tries, {"steps": ["app_open", {"event": "activate", "optional": True}, {"event": "pay", "window_days": 9}]}),
    (funnel_breakdown.funnel_breakdown, STEPS | {"breakdown": ["users.channel", "platform"], "limit": 3}),
    (funnel_breakdown.funnel_breakdown, STEPS | {"breakdown": "props.plan", "attribution": "step", "attribution_step": 2}),
    (funnel_breakdown.funnel_breakdown, STEPS | {"breakdown": "platform", "attribution": "last_touch"}),
    (funnel_trend.funnel_trend, STEPS | {"interval": "week", "breakdown": "channel", "attribution": "all_events"}),
    (funnel_trend.funnel_trend, STEPS | {"interval": "month", "period": DAYS, "to_step": 2}),
    (funnel_time.time_to_convert, STEPS | {"count": "attempts", "breakdown": "channel", "attribution": "entry"}),
    (funnel_time.time_histogram, STEPS | {"edges": [0, 3600, 86400]}),
    (activity.stickiness, {"grain": "week", "week_start": "sunday", "event": {"event": "pay", "where": {"props.n": 3}}}),
    (activity.stickiness, {"grain": "hour", "event": "app_open"}),
    (activity.active_users, {"event": {"where": {"props.plan": ["pro", None], "amount": {"min": 10}}}}),
    (sessions.session_list, {"rule": "bounds", "start_event": "app_open", "end_event": "pay", "period": DAYS}),
    (sessions.sessions, {"rule": "property", "property": "platform", "cut_at_midnight": True, "exclude": ["read"]}),
    (sessions.sessionized, {"rule": "separator"}),
    (paths.path_edges, {"session": None, "start": "app_open", "end": "pay", "step_limit": 6, "min_edge": 1}),
    (paths.path_edges, {"node": "props.plan", "collapse": "keep_first", "session": "platform", "limit": 4}),
    (paths.path_nodes, {"groups": ["a*n", "c*"], "exclude": ["read"], "session": None, "collapse": None}),
    (paths.path_nodes, {"funnel": STEPS, "relation": "between", "funnel_step": 2}),
    (path_conversion.path_conversion, {"start": "activate", "end": "pay", "start_occurrence": "any", "within_days": 3}),
    (first_steps.step_times, ANY_FIRST),
    (first_steps.step_habits, ANY_FIRST),
    (first_steps.step_instead, ANY_FIRST),
    (campaign_effect.takings, {"campaign_id": "k1"}),
    (campaign.pacing, {"campaign_id": "k1"}),
    (campaign.participants, {"campaign_id": "k1"}),
    (campaign.invitations, {"campaign_id": "k1"}),
    (campaign.risk_signals, {"campaign_id": "k1", "reward": "pay"}),
    (experiment.outcome_sums, {"experiment_id": "x1", "window_days": 7, "by": "platform", "until": "2026-02-15"}),
    (path_conversion.path_conversion, {"start": "pay", "end": "pay", "within_events": 30, "unit": "platform"}),
]  # fmt: skip
# What is empty by default (no campaign or experiment named, no four steps in a week, no id twice): asked further above.
MAY_BE_EMPTY = {"invitations", "pacing", "participants", "risk_signals", "outcome_sums", "time_histogram", "repeats"}
MAY_BE_EMPTY |= {"step_times", "step_habits", "step_instead", "takings"}
MAY_BE_EMPTY |= {"targeted_change", "returned", "ratio_sums", "claims"}  # none of the generated users take part
# OPSLIB_EXAMPLES=500 asks on twenty data sets.
DATA = {f"any{n}": anydata.tables(seed=4 + n) for n in range(max(1, settings().max_examples // 25))}
DATA["nothing"] = anydata.tables(seed=4, events=0)


@pytest.fixture(scope="module")
def engines():
    """Every table on both engines, of each data set."""
    duck = ibis.duckdb.connect()
    with postgres.server() as other:
        yield {
            data: {
                name: (_kept(duck, f"{data}_{name}", name, rows), _kept(other, f"{data}_{name}", name, rows))
                for name, rows in tables.items()
            }
            for data, tables in DATA.items()
        }


def _kept(con, called: str, name: str, rows: list[dict]) -> ibis.Table:
    return con.create_table(called, bound(name, rows))


@pytest.mark.parametrize(
    ("function", "how"), [*ASKED, *FURTHER], ids=lambda x: x.__name__ if callable(x) else ",".join(x) or "-"
)
@pytest.mark.parametrize("data", DATA)
def test_a_metric_is_the_same_on_the_second_engine(function, how, data, engines):
    duck, other = (
        rows(function(*(engines[data][name][side] for name in tables_of(function)), **required(function) | how))
        for side in (0, 1)
    )
    assert len(duck) == len(other) and (duck or data == "nothing" or (function.__name__ in MAY_BE_EMPTY and not how))
    apart = [(a, b) for a, b in zip(duck, other, strict=True) if not _same(a, b)]
    assert apart == []


def rows(result: ibis.Table) -> list[dict]:
    """The result's rows in an order that both engines share, each value as plain Python."""
    found = [{k: _plain(v) for k, v in row.items()} for row in result.to_pandas().to_dict("records")]
    return sorted(found, key=lambda row: [f"{v:.6g}" if isinstance(v, float) else str(v) for v in row.values()])


def _same(a: dict, b: dict) -> bool:
    """Equal, numbers up to the rounding of sums that were added in another order."""
    both = [(a[k], b[k]) for k in a] if a.keys() == b.keys() else [(0, 1)]
    return all(
        math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-9) if isinstance(x, float) and isinstance(y, float) else x == y
        for x, y in both
    )


def _plain(value):
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, dt.date):  # a timestamp, too
        return pd.Timestamp(value).isoformat()
    if isinstance(value, str | bool):
        return value
    return float(value) if hasattr(value, "__float__") else value
