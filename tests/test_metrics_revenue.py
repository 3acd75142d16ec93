"""Money and sign-ups by period: equality with sums in plain Python."""

from __future__ import annotations

import datetime as dt
from statistics import mean, variance

import pandas as pd
import pytest
from conftest import at, bound
from hypothesis import given
from hypothesis import strategies as st

from opslib.metrics.revenue import revenue, signups

D0 = dt.date(2026, 1, 1)
GRAINS, WEEKS = st.sampled_from(["day", "week", "month"]), st.sampled_from(["monday", "sunday"])
orders = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 70), st.integers(1, 50), st.sampled_from([None, 0, 0, 1])),
    min_size=1,
    max_size=15,
)
periods = st.none() | st.tuples(st.integers(0, 60), st.integers(0, 40))


def day(n: int) -> dt.date:
    return D0 + dt.timedelta(n)


def period_of(d: dt.date, grain: str, week_start: str) -> dt.date:
    """The first day of the calendar period that the day lies in."""
    if grain == "month":
        return d.replace(day=1)
    return d - dt.timedelta((d.weekday() + (week_start == "sunday")) % 7 if grain == "week" else 0)


def shown(days: list[dt.date], grain: str, week_start: str, period, until: dt.date) -> list[dt.date]:
    """The complete periods, day by day: of the period asked for, else from the first row on."""
    low, high = period or (min(days), until)
    every = (low + dt.timedelta(i) for i in range((high - low).days + 1))
    starts = sorted({period_of(d, grain, week_start) for d in every})
    ends = [period_of(s + dt.timedelta(40 if grain == "month" else 7), grain, week_start) for s in starts]
    return [s for s, e in zip(starts, ends, strict=True) if (s if grain == "day" else e - dt.timedelta(1)) <= until]


def asked(period) -> tuple[dt.date, dt.date] | None:
    return period and (day(period[0]), day(period[0] + period[1]))


@given(orders, GRAINS, WEEKS, periods, st.sampled_from([None, 40, 75]))
def test_revenue_is_its_definition(con, rows, grain, week_start, period, until):
    table = bound(
        "orders",
        [
            {
                "order_id": str(i),
                "user_id": u,
                "paid_at": at(n),
                "paid_day": day(n),
                "amount": x,
                "refunded": back if back is None else x * back,
            }
            for i, (u, n, x, back) in enumerate(rows)
        ],
    )
    days = [day(n) for _, n, _, _ in rows]
    how = {"grain": grain, "week_start": week_start, "period": asked(period)}
    got = con.to_pandas(revenue(table, **how, until=None if until is None else day(until)))
    starts = shown(days, grain, week_start, asked(period), max(days) if until is None else day(until))
    want = {}
    for start in starts:
        own = [r for r in rows if period_of(day(r[1]), grain, week_start) == start]
        paid = [r[2] for r in own]
        back = [r[2] * r[3] for r in own if r[3] is not None]  # nothing told is not nothing refunded
        sums = (len(own), len({r[0] for r in own}), sum(paid), sum(back) if back or not own else None)
        want[start] = (*sums, mean(paid) if paid else None, variance(paid) if paid[1:] else None)
    found = {
        pd.Timestamp(r.start).date(): (r.orders, r.payers, r.total, *(None if pd.isna(v) else v for v in (r.refunded, r.mean, r.var)))
        for r in got.set_axis([*got.columns[:-2], "mean", "var"], axis=1).itertuples(index=False)
    }  # fmt: skip
    assert list(found) == starts
    assert found == {start: pytest.approx(row) for start, row in want.items()}


@given(st.lists(st.integers(0, 70), min_size=1, max_size=15), GRAINS, WEEKS, periods, st.sampled_from([None, 40, 75]))
def test_signups_are_their_definition(con, rows, grain, week_start, period, until):
    table = bound(
        "users",
        [{"user_id": f"u{i}", "registered_at": at(n), "registered_day": day(n)} for i, n in enumerate(rows)],
    )
    days = [day(n) for n in rows]
    how = {"grain": grain, "week_start": week_start, "period": asked(period)}
    got = con.to_pandas(signups(table, **how, until=None if until is None else day(until)))
    starts = shown(days, grain, week_start, asked(period), max(days) if until is None else day(until))
    want = [(s, sum(period_of(d, grain, week_start) == s for d in days)) for s in starts]
    assert [(pd.Timestamp(s).date(), n) for s, n in zip(got["start"], got["users"], strict=True)] == want
