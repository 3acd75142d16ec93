"""Channels: what they cost and bring, what does not meet, and the truths planted in the sample."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from conftest import at, bound

from opslib.errors import OpsError, TooLittleError
from opslib.metrics import journeys, spend, value
from opslib.models import channel_checks, channel_response, channels, credits, projected
from opslib.models.clv import customer_history
from opslib.models.ltv import value_curve

DAY0 = dt.date(2026, 1, 1)


def day(n: int) -> dt.date:
    return DAY0 + dt.timedelta(days=n)


def user(name: str, channel: str | None, n: int) -> dict:
    return {"user_id": name, "channel": channel, "registered_at": at(n)}


def order(name: str, who: str, n: int, amount: float, refunded: float = 0.0) -> dict:
    return {"order_id": name, "user_id": who, "paid_at": at(n), "amount": amount, "refunded": refunded}


def paid(channel: str, n: int, cost: float, campaign: str | None = None, kind: str = "paid") -> dict:
    return {"day": day(n), "channel": channel, "kind": kind, "cost": cost, "campaign_id": campaign}


def event(name: str, who: str, n: int, hour: int = 12, amount: float | None = None) -> dict:
    return {"event_id": f"{who}{name}{n}{hour}", "user_id": who, "event": name, "ts": at(n, hour), "amount": amount}


def campaigns(*ids: str):
    rows = [{"campaign_id": i, "name": i, "kind": "promotion", "starts_at": at(0), "ends_at": at(9)} for i in ids]
    return bound("campaigns", rows)


def shown(con, expression) -> pd.DataFrame:
    return con.to_pandas(expression)


# Metrics on hand-made rows


def test_money_of_our_campaigns_stands_apart_and_an_advertisers_own_id_does_not(con):
    rows = [paid("ads", 0, 10), paid("ads", 0, 5, "cmp_sale"), paid("ads", 1, 7, "ad-group-1")]
    got = shown(con, spend.channel_cost(bound("spend", rows), campaigns("cmp_sale"), grain="month"))
    assert got[["cost", "campaign_cost", "days"]].values.tolist() == [[17, 5, 2]]


def test_a_day_without_a_booking_has_no_cost_and_a_day_without_a_sign_up_has_none(con):
    users = bound("users", [user("a", "ads", 1), user("b", None, 1)])
    days = shown(con, spend.channel_days(bound("spend", [paid("ads", 0, 10)]), users, campaigns()))
    cells = {
        (r.channel, (r.day.date() if hasattr(r.day, "date") else r.day)): (r.cost, r.signups) for r in days.itertuples()
    }
    assert cells[("ads", day(0))] == (10, 0) and cells[("ads", day(1))][1] == 1
    assert np.isnan(cells[("ads", day(1))][0]) and np.isnan(cells[("(none)", day(1))][0])


def test_users_whose_day_has_not_come_are_in_no_denominator(con):
    users = bound("users", [user("old", "ads", 0), user("new", "ads", 7)])
    events = [event("activate", "old", 6), event("app_open", "old", 7), event("app_open", "new", 7)]
    daily = bound(
        "daily", [{"user_id": e["user_id"], "day": e["ts"].date(), "event": e["event"], "n": 1} for e in events]
    )
    got = shown(con, spend.channel_users(users, daily, bound("orders", []), grain="month", until="2026-01-08")).iloc[0]
    assert (got.signups, got.activated, got.of_activated, got.d7, got.of_d7, got.of_d1) == (2, 1, 1, 1, 1, 1)


def test_a_cohort_shows_an_age_only_when_its_last_user_has_lived_it(con):
    users = bound("users", [user("a", "ads", 0), user("b", "ads", 10)])
    orders = bound("orders", [order("o1", "a", 0, 30), order("o2", "a", 30, 8), order("o3", "b", 10, 10, 4)])
    cells = shown(con, value.cohort_value(users, orders, until=str(day(39))))
    assert cells[["age", "users", "payers", "revenue"]].values.tolist() == [[0, 2, 2, 36.0]]
    more = shown(con, value.cohort_value(users, orders, until=str(day(69))))
    assert more[["age", "revenue"]].values.tolist() == [[0, 36.0], [1, 8.0]]


def test_value_per_user_has_the_mean_and_variance_of_all_users_with_zeros(con):
    users = bound("users", [user(c, "ads", 0) for c in "abcde"])
    orders = bound("orders", [order("o1", "a", 0, 100), order("o2", "a", 3, 50, 20), order("o3", "b", 2, 40)])
    got = shown(con, value.channel_value(users, orders, ages=1, until=str(day(40)))).iloc[0]
    worth = np.array([130, 40, 0, 0, 0.0])
    assert (got["users"], got["payers"]) == (5, 2)
    assert (got["mean"], got["var"]) == pytest.approx((worth.mean(), worth.var(ddof=1)))


def test_histories_in_the_engine_are_those_of_the_model(con):
    rng = np.random.default_rng(3)
    users = bound("users", [user(f"u{i}", "ads", 0) for i in range(30)])
    rows = [
        order(f"o{i}", f"u{rng.integers(30)}", int(rng.integers(0, 90)), float(rng.integers(1, 99))) for i in range(120)
    ]
    got = shown(con, value.customers(users, bound("orders", rows), end=str(day(60)), until=str(day(90))))
    frame = pd.DataFrame(rows).assign(paid_day=lambda o: pd.to_datetime(o["paid_at"]).dt.normalize())
    want = customer_history(frame, end=str(day(60))).set_index("user_id")
    got = got.set_index("user_id").sort_index()
    assert got[["x", "t_x", "age", "m"]].to_numpy(float) == pytest.approx(
        want.sort_index()[["x", "t_x", "age", "m"]].to_numpy(float), nan_ok=True
    )
    later = (
        frame[frame["paid_day"] > str(day(60))].groupby("user_id")["paid_day"].nunique().reindex(got.index).fillna(0)
    )
    assert got["later"].tolist() == later.tolist()


# Bad input is stated, never a silent number


def test_refunds_over_the_amount_and_orders_of_nobody_are_listed(con):
    users = bound("users", [user("a", "ads", 5), user("b", None, 0)])
    orders = bound("orders", [order("o1", "a", 6, 10, 25), order("o2", "ghost", 6, 99), order("o3", "a", 1, 7)])
    got = shown(con, spend.join_failures(bound("spend", []), users, orders)).set_index("failure")
    assert got["n"].to_dict() == {
        "orders_before_registration": 1, "orders_without_user": 1, "refunds_over_amount": 1, "users_without_channel": 1,
    }  # fmt: skip
    assert got.loc["orders_without_user", ["amount", "example"]].tolist() == [99, "o2"]
    worth = shown(con, value.customers(users, orders))
    assert worth["value"].tolist() == [0.0], "a refund counts up to its amount, what came before the user does not"


def test_money_in_two_currencies_is_refused_by_name(con):
    rows = [paid("ads", 0, 10) | {"currency": "CNY"}, paid("ads", 1, 10) | {"currency": "USD"}]
    found = shown(con, spend.currencies(bound("spend", rows), bound("orders", [])))
    with pytest.raises(OpsError, match="CNY, USD"):
        channels.one_currency(found)
    assert channels.one_currency(found[found["currency"] == "USD"]) == "USD"
    assert (
        channels.one_currency(shown(con, spend.currencies(bound("spend", [paid("ads", 0, 1)]), bound("orders", []))))
        == ""
    )


def test_a_channel_spelled_three_ways_is_named_and_numbered_ones_are_not():
    found = channel_checks.spellings(
        ["Douyin-Feed", "feed_1", "ads"], ["douyin_feed", "ＤＯＵＹＩＮ ＦＥＥＤ", "feed_2", "ads"]
    )
    assert len(found) == 3 and set(found["alike"]) == {"same"}
    near = channel_checks.spellings(["bilibli_kol"], ["bilibili_kol"])
    assert near["alike"].tolist() == ["near"]
    assert channel_checks.spellings(["wechat_ads", "wechat_adz"], ["wechat_ads", "wechat_adz"]).empty, (
        "both have both sides"
    )


def test_conversions_before_their_touches_are_credited_to_nobody(con):
    events = bound("events", [event("pay", "a", 1, amount=9.0)])
    touched = bound("touches", [{"touch_id": "t", "user_id": "a", "ts": at(2), "channel": "ads"}])
    got = shown(con, journeys.credits(events, touched, models=["first", "linear"]))
    assert got["channel"].isna().all() and got["conversions"].tolist() == [1, 1]


def series(cost: list[float], signups: list[int], channel: str = "ads") -> pd.DataFrame:
    days = pd.date_range(DAY0, periods=len(cost))
    return pd.DataFrame({"day": days, "channel": channel, "kind": "paid", "cost": cost, "signups": signups})


def weeks(days: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`channel_cost` and `channel_users` of a series of days."""
    start = pd.to_datetime(days["day"]).dt.to_period("W").dt.start_time
    cost = (
        days.assign(start=start, campaign_cost=0.0)
        .groupby(["start", "channel", "kind"], as_index=False)
        .sum(numeric_only=True)
    )
    users = cost[["start", "channel", "signups"]].assign(
        activated=cost["signups"], of_activated=cost["signups"], payers=0
    )
    return cost.drop(columns="signups"), users


def bought(channel: str, values: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"channel": channel, "value": values})


def economics(days: pd.DataFrame, values: list[float]) -> pd.Series:
    return channels.verdicts(channels.economics(*weeks(days), bought("ads", values))).iloc[0]


def test_no_spend_is_no_cost_per_user_and_no_verdict():
    row = economics(series([0.0] * 28, [5] * 28), [10.0] * 20)
    assert row["cac"] == 0 and np.isnan(row["ltv_cac"]) and row["verdict"] == ""
    with pytest.raises(TooLittleError):
        channels.needs_cost(pd.DataFrame({"cost": [0.0, np.nan]}))


def test_spend_that_wins_nobody_has_no_cost_per_user_but_a_lower_bound_and_is_listed():
    days = series([10.0] * 28, [0] * 28)
    row = economics(days, [])
    assert np.isnan(row["cac"]) and row["cac_low"] == pytest.approx(280 / 3.689, rel=1e-3) and row["verdict"] == "test"
    assert channel_checks.unmatched(days)[["channel", "lacks"]].values.tolist() == [["ads", "users"]]


def test_a_cohort_of_five_is_not_judged():
    row = economics(series([10.0] * 28, [1, 0, 0, 0] * 7), [900.0] * 4)
    assert row["verdict"] == "test" and row["reason"] == "unknown" and np.isnan(row["ltv_low"])


def test_a_channel_that_surely_loses_is_cut_one_that_surely_pays_is_held_until_its_margin_is_known():
    losing, paying = ([30.0, 25.0] * 20), ([900.0, 1100.0] * 20)
    days = series([100.0] * 56, [10] * 56)
    assert economics(days, paying)["verdict"] == "hold"
    table = channels.economics(*weeks(days), bought("ads", paying)).assign(
        marginal=2.0, marginal_low=1.2, marginal_high=3.0
    )
    assert channels.verdicts(table).iloc[0]["verdict"] == "grow"
    assert channels.verdicts(table.assign(marginal_low=0.8)).iloc[0][["verdict", "reason"]].tolist() == [
        "hold",
        "saturated",
    ]
    early = channels.economics(*weeks(days), bought("ads", losing))
    for brought, verdict in ((0.0, ["cut", "losing"]), (1e6, ["test", "young"]), (None, ["test", "unforeseen"])):
        told = early if brought is None else early.assign(projected=brought)
        assert channels.verdicts(told).iloc[0][["verdict", "reason"]].tolist() == verdict


def test_the_interval_of_a_count_is_garwoods_and_widens_with_dispersion():
    low, high = channels.count_range([10, 0])
    assert (low[0], high[0], low[1], high[1]) == pytest.approx((4.7954, 18.3904, 0, 3.6889), abs=1e-3)
    wide = channels.count_range([10], 4.0)
    assert wide[0][0] < low[0] and wide[1][0] > high[0]


def test_margin_scales_value_and_is_checked():
    days = series([100.0] * 28, [10] * 28)
    full, half = (
        channels.economics(*weeks(days), bought("ads", [50.0, 70.0] * 9), margin=m).iloc[0] for m in (1.0, 0.5)
    )
    assert half["ltv"] == pytest.approx(full["ltv"] / 2) and half["ltv_high"] == pytest.approx(full["ltv_high"] / 2)
    with pytest.raises(ValueError, match="margin"):
        channels.economics(*weeks(days), bought("ads", []), margin=1.2)


# Checks on the series


def test_a_quiet_channel_without_sign_ups_for_a_day_is_no_break_and_a_busy_one_is():
    rng = np.random.default_rng(0)
    busy = rng.poisson(15, 60)
    busy[30:33] = 0
    found = channel_checks.tracking_breaks(series([100.0] * 60, busy.tolist()))
    assert found[["days", "cost"]].values.tolist() == [[3, 300.0]] and found["expected"][0] == pytest.approx(
        45, rel=0.1
    )
    assert channel_checks.tracking_breaks(series([100.0] * 60, rng.poisson(0.5, 60).tolist())).empty
    bursts = [40 if i % 10 == 0 else 0 for i in range(60)]
    assert channel_checks.tracking_breaks(series([100.0] * 60, bursts)).empty, "events bring users in bursts"


def test_a_new_budget_is_no_odd_day_and_a_lone_day_is():
    cost = [100.0] * 30 + [300.0] * 30
    assert channel_checks.odd_spend(series(cost, [5] * 60)).empty
    cost[45] = 1500.0
    found = channel_checks.odd_spend(series(cost, [5] * 60))
    assert found["day"].tolist() == [pd.Timestamp(day(45))] and found["times"][0] == pytest.approx(5)


def test_days_without_a_booking_of_a_paid_channel_are_counted_with_their_sign_ups():
    days = series([10.0] * 10, [2] * 10)
    days.loc[[4, 5], "cost"] = np.nan
    assert channel_checks.missing_spend(days).values.tolist() == [["ads", 2, 4]]


def test_payback_waits_for_cohorts_that_are_old_enough(con):
    users = bound("users", [user(f"u{i}", "ads", 0) for i in range(20)])
    orders = bound("orders", [order(f"{i}.{k}", f"u{i}", 30 * k + 1, 10 + i % 3) for i in range(20) for k in range(3)])
    cells = shown(con, value.cohort_value(users, orders, until=str(day(95))))
    moments = shown(con, value.channel_value(users, orders, until=str(day(95))))
    costs = pd.DataFrame({"channel": ["ads"], "cac": [22.0]})
    row = channels.paybacks(cells, moments, costs).iloc[0]
    per_month = value_curve(cells)["value"].iloc[0]
    assert row["seen"] == 3 and row["payback"] == pytest.approx(22 / per_month)
    assert row["payback_low"] < row["payback"] < row["payback_high"]
    assert np.isnan(channels.paybacks(cells, moments, costs.assign(cac=500.0)).iloc[0]["payback"])


def test_a_response_needs_weeks_and_payers():
    table = channels.economics(*weeks(series([10.0] * 20, [3] * 20)), bought("ads", [9.0, 8.0] * 9))
    with pytest.raises(TooLittleError):
        channel_response.responses(series([10.0] * 20, [3] * 20), table)


# What is planted in the sample


@pytest.fixture(scope="module")
def sample(sampled, tmp_path_factory):
    """The metrics of the sample in its default size, and its truths."""
    import ibis

    def table(name: str, *days: tuple[str, str]):
        frame = sampled.table(name).copy()
        for clock, local in days:
            frame[local] = (frame[clock] + pd.Timedelta(hours=8)).dt.normalize()
        return frame

    con = ibis.duckdb.connect()
    users = con.create_table("u", table("users", ("registered_at", "registered_day"))).cast({"registered_day": "date"})
    orders = con.create_table("o", table("orders", ("paid_at", "paid_day"))).cast({"paid_day": "date"})
    money = con.create_table("s", table("spend")).cast({"day": "date"})
    ours = con.create_table("c", table("campaigns")[["campaign_id"]])
    until = sampled.truths["end"]
    before = str(pd.Timestamp(until).date() - dt.timedelta(weeks=4))
    won = users.group_by(users.channel).agg(signups=users.count()).to_pandas()
    cost = spend.channel_cost(money, ours).to_pandas()
    week = users.mutate(start=users.registered_day.truncate("W"))
    counted = (
        week.group_by("start", "channel")
        .agg(signups=week.count())
        .to_pandas()
        .assign(activated=0, of_activated=0, payers=0)
    )
    customers = value.customers(users, orders, until=until).to_pandas()
    held = value.customers(users, orders, end=before, until=until).to_pandas()
    days = spend.channel_days(money, users, ours).to_pandas()
    return {
        "truths": sampled.truths["channels"], "won": won, "cost": cost, "days": days, "held": held, "customers": customers,
        "table": channels.economics(cost, counted, customers),
    }  # fmt: skip


def test_cac_and_ltv_of_every_channel_are_those_planted(sample):
    table = sample["table"].set_index("channel")
    for name, truth in sample["truths"]["by_name"].items():
        assert table.loc[name, "signups"] == truth["signups"]
        assert table.loc[name, "ltv"] == pytest.approx(truth["ltv"], rel=1e-6)
        assert table.loc[name, "ltv_low"] < truth["ltv"] < table.loc[name, "ltv_high"]
        if truth["cost"]:
            assert table.loc[name, "cac"] == pytest.approx(truth["cac"], rel=1e-6)
        else:
            assert np.isnan(table.loc[name, "cac"]), "no cost booked is not a cost of 0"


def test_the_tracking_break_and_the_spike_are_found_and_nothing_else(sample):
    planted = sample["truths"]
    breaks, odd = channel_checks.tracking_breaks(sample["days"]), channel_checks.odd_spend(sample["days"])
    assert [(r.channel, str(r.start.date()), str(r.end.date())) for r in breaks.itertuples()] == [
        (planted["tracking_break"]["channel"], planted["tracking_break"]["start"], planted["tracking_break"]["end"])
    ]
    assert breaks["expected"][0] == pytest.approx(planted["tracking_break"]["signups"], rel=0.35)
    spike = planted["spend_spike"]
    assert [(r.channel, str(r.day.date())) for r in odd.itertuples()] == [(spike["channel"], spike["day"])]
    assert odd["times"][0] == pytest.approx(spike["factor"], rel=0.25)


def test_the_channel_that_does_not_pay_is_the_one_to_cut(sample):
    table = sample["table"]
    forecast = projected.project(table, sample["customers"], sample["held"], weeks=26, check_weeks=4)
    assert abs(forecast.check.error) < 0.25 < abs(forecast.check.naive_error)
    judged = channels.verdicts(
        channels.with_columns(table, forecast.channels, "projected", "projected_low", "projected_high")
    )
    assert judged.loc[judged["verdict"] == "cut", "channel"].tolist() == [sample["truths"]["no_gain"]]


def test_the_response_curves_know_the_planted_return_of_the_next_unit_of_money(sample):
    days, left_out = sample["days"], channel_checks.doubtful(
        channel_checks.tracking_breaks(sample["days"]), channel_checks.odd_spend(sample["days"])
    )  # fmt: skip
    curves = channel_response.responses(days, sample["table"], left_out=left_out, draws=12)
    found = curves.table.set_index("channel")
    assert found["error"].median() < found["naive"].median()
    assert found.loc[sample["truths"]["no_gain"], "marginal_high"] < 1
    for name, row in found.iterrows():
        truth = sample["truths"]["by_name"][name]
        planted = truth["response"]["max_signups_per_day"] * truth["response"]["half_spend"]
        planted *= truth["ltv"] / (truth["response"]["half_spend"] + row["spend"]) ** 2
        assert row["marginal"] == pytest.approx(planted, rel=0.5)
    risk, plan = channel_response.split(curves)
    assert plan["best"].sum() == pytest.approx(plan["current"].sum(), abs=0.05) and risk.gain > 0 <= risk.regret
    assert plan.set_index("channel").loc[sample["truths"]["no_gain"], "best"] == pytest.approx(0, abs=1)

    def planted_value(column: str) -> float:
        total = 0.0
        for row in plan.to_dict("records"):
            truth = sample["truths"]["by_name"][row["channel"]]
            most, half = truth["response"]["max_signups_per_day"], truth["response"]["half_spend"]
            total += truth["ltv"] * most * row[column] / (row[column] + half)
        return total

    assert planted_value("best") > 1.25 * planted_value("current"), "the split brings what was planted, not only by its own curves"  # fmt: skip


# Attribution


def test_every_model_shares_out_the_same_conversions_and_the_spread_is_that_over_models(con):
    events = bound(
        "events", [event("pay", "a", 5, amount=1.0), event("pay", "b", 5, amount=1.0), event("pay", "c", 5, amount=1.0)]
    )
    seen = [("a", 1, "ads"), ("a", 3, "seo"), ("b", 2, "ads")]
    touched = bound(
        "touches", [{"touch_id": f"t{i}", "user_id": u, "ts": at(d), "channel": c} for i, (u, d, c) in enumerate(seen)]
    )
    ruled = shown(con, journeys.credits(events, touched, models=["first", "last", "linear"]))
    paths = pd.DataFrame({"path": ["ads > seo", "ads", ""], "conversions": [1, 1, 1], "nulls": [0, 1, 0]})
    table = credits.attributed(ruled, paths)
    assert credits.totals(table).to_numpy() == pytest.approx(3.0)
    assert table["channel"].iloc[-1] == "(none)"
    row = table.set_index("channel").loc["ads"]
    assert (row["first"], row["last"], row["linear"], row["low"], row["high"]) == pytest.approx(
        (2, 1, 1.5, row["low"], 2)
    )


def test_attribution_without_any_touch_is_too_little(con):
    ruled = pd.DataFrame({"model": ["first"], "channel": [None], "conversions": [2.0], "value": [2.0]})
    with pytest.raises(TooLittleError):
        credits.attributed(ruled, pd.DataFrame({"path": [""], "conversions": [2], "nulls": [0]}))


def test_paths_to_the_first_payment_are_told_by_persona(con):
    users = bound(
        "users", [user("a", "ads", 0) | {"age": "18"}, user("b", "ads", 0) | {"age": "18"}, user("c", "ads", 0)]
    )
    events = bound("events", [event("pay", u, d) for u in "abc" for d in (5, 6)])
    seen = [("a", 1, "ads"), ("a", 3, "seo"), ("b", 2, "seo"), ("b", 1, "ads")]
    touched = bound(
        "touches", [{"touch_id": f"t{i}", "user_id": u, "ts": at(d), "channel": c} for i, (u, d, c) in enumerate(seen)]
    )
    got = shown(con, journeys.persona_journeys(events, touched, users, by="age"))
    assert got[["persona", "path", "conversions", "of"]].values.tolist() == [
        ["18", "ads > seo", 2, 2],
        ["(none)", "", 1, 1],
    ]
