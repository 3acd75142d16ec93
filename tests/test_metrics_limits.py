"""The numbers that a metric takes reach exactly as far as its docstring says: both ends are taken, the next is refused."""

from __future__ import annotations

import inspect

import pytest
from conftest import bound

from opslib.metrics.activity import active_users, dau_mau
from opslib.metrics.campaign import newcomers, risk_signals
from opslib.metrics.contacts import contacted
from opslib.metrics.content import content_cells
from opslib.metrics.content_readers import readings
from opslib.metrics.content_time import content_ages, content_hours, topic_weeks
from opslib.metrics.definitions import retention_definitions
from opslib.metrics.funnel_breakdown import funnel_breakdown
from opslib.metrics.funnel_time import bin_edges, time_histogram
from opslib.metrics.habits import early, usage_gaps
from opslib.metrics.lifecycle import daily_states
from opslib.metrics.newcomers import newcomer_days
from opslib.metrics.path_conversion import path_conversion
from opslib.metrics.paths import path_edges
from opslib.metrics.retention import retention
from opslib.metrics.segments import activity_rfm, profile, rfm, slipping, tastes
from opslib.metrics.spend import channel_users
from opslib.metrics.states import states
from opslib.metrics.staying import survivors
from opslib.metrics.value import cohort_value

CAMPAIGN = {"campaign_id": "c", "start": "2026-01-01", "end": "2026-01-02"}
LIMITS = [
    (active_users, "windows", 1, 366, {}),
    (dau_mau, "window_days", 1, 366, {}),
    (newcomers, "away_days", 1, 365, CAMPAIGN),
    (risk_signals, "later_days", 1, 365, {"campaign_id": "c"}),
    (contacted, "days", 1, 3650, {}),
    (content_cells, "most", 1, 100_000, {}),
    (readings, "most_items", 2, 100_000, {}),
    (readings, "most_users", 2, 100_000, {}),
    (content_ages, "days", 3, 365, {}),
    (content_hours, "days", 1, 60, {}),
    (topic_weeks, "weeks", 2, 53, {}),
    (retention_definitions, "days", 1, 366, {}),
    (funnel_breakdown, "limit", 1, 1000, {"breakdown": "channel"}),
    (time_histogram, "bins", 1, 60, {}),
    (usage_gaps, "days", 2, 3650, {}),
    (early, "stay_to", 21, 365, {}),
    (early, "stay_from", 7, 27, {}),
    (early, "days", 1, 21, {}),
    (daily_states, "month_days", 8, 366, {}),
    (daily_states, "week_days", 1, 29, {}),
    (newcomer_days, "limit", 1, 1000, {}),
    (newcomer_days, "day_n", 1, 366, {}),
    (path_conversion, "within_events", 1, 1_000_000, {}),
    (path_edges, "limit", 1, 10_000, {}),
    (path_edges, "step_limit", 2, 50, {}),
    (retention, "periods", 1, 366, {}),
    (retention, "min_returns", 1, 1000, {}),
    (rfm, "days", 1, 3650, {}),
    (activity_rfm, "days", 1, 3650, {}),
    (profile, "days", 28, 3650, {}),
    (profile, "offset_hours", -12, 14, {}),
    (slipping, "horizon_days", 1, 154, {}),
    (slipping, "recent_days", 1, 90, {}),
    (tastes, "days", 1, 3650, {}),
    (channel_users, "activation_days", 0, 365, {}),
    (states, "churn_days", 8, 3650, {}),
    (states, "silent_days", 7, 29, {}),
    (states, "new_days", 1, 7, {}),
    (states, "active_days", 1, 7, {}),
    (survivors, "step_days", 1, 366, {}),
    (survivors, "ages", 1, 520, {}),
    (survivors, "pause_days", 1, 366, {}),
    (cohort_value, "step_days", 1, 366, {}),
    (cohort_value, "ages", 1, 120, {}),
]


def call(metric, name: str, value: int, more: dict) -> None:
    """The metric on empty tables; lazy, so nothing runs."""
    told = inspect.signature(metric).parameters.values()
    tables = [bound(p.name, []) for p in told if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty]
    metric(*tables, **more, **{name: [value] if name == "windows" else value})


@pytest.mark.parametrize(("metric", "name", "low", "high", "more"), LIMITS, ids=lambda v: getattr(v, "__name__", None))
def test_both_ends_are_taken_and_the_next_number_is_refused(metric, name, low, high, more):
    for value in (low, high):
        call(metric, name, value, more)
    for value in (low - 1, high + 1):
        with pytest.raises(ValueError):
            call(metric, name, value, more)


def test_edges_of_histograms_take_as_many_bins():
    assert bin_edges((0, 100, 8), (20, 90, 0), (0, 100, 8)) == [0, 34, 68, 102]  # 16 samples
    assert len(bin_edges((0, 600, 9), bins=1)) == 2 and len(bin_edges((0, 600, 9), bins=60)) == 61
    for bins in (0, 61):
        with pytest.raises(ValueError, match="bins must be a whole number from 1 to 60"):
            bin_edges((0, 600, 9), bins=bins)
