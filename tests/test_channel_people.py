"""Channels, their people: how long they stay, which accounts are suspected, and attribution by all rules at once."""

from __future__ import annotations

import datetime as dt
import itertools

import numpy as np
import pandas as pd
import pytest
from conftest import at, bound
from hypothesis import given, settings
from hypothesis import strategies as st

from opslib import text
from opslib.errors import TooLittleError
from opslib.metrics import attribution, journeys, staying, value
from opslib.metrics.campaign import REWARD
from opslib.models import channel_quality, channels, credits, projected
from opslib.models.staying import project_staying
from opslib.sentences import channel_people as whom
from opslib.sentences import channels as statements

DAY0 = dt.date(2026, 1, 1)


def day(n: int) -> dt.date:
    return DAY0 + dt.timedelta(days=n)


def people(**days: int):
    rows = [{"user_id": u, "channel": "ads", "registered_at": at(n)} for u, n in days.items()]
    return bound("users", rows)


def active(**days: list[int]):
    return bound("daily", [{"user_id": u, "day": day(n), "event": "open", "n": 1} for u in days for n in days[u]])


# Who is still there


def test_a_user_has_left_when_no_day_follows_and_a_cell_waits_for_the_pause_to_be_over(con):
    users = people(a=0, b=1, c=3, none=2)  # one week: 2025-12-29 to 2026-01-04
    daily = active(a=[0, 7, 21], b=[1, 5], c=[3, 40])
    cells = con.to_pandas(staying.survivors(users, daily, pause_days=14, until=str(day(40))))
    # The last of them came on day 3 and has had 14 days from age k on when 3 + 7k + 13 <= 40.
    assert cells[["age", "users", "there"]].values.tolist() == [[0, 4, 4], [1, 4, 2], [2, 4, 2], [3, 4, 2]]
    earlier = con.to_pandas(staying.survivors(users, daily, pause_days=14, until=str(day(24))))
    assert earlier[["age", "there"]].values.tolist() == [[0, 4], [1, 1]], "what comes after the day asked is not known"


@given(st.lists(st.tuples(st.integers(0, 20), st.lists(st.integers(0, 60), max_size=4)), min_size=1, max_size=8))
def test_counts_of_those_still_there_are_a_direct_count_and_never_rise(con, story):
    users = people(**{f"u{i}": n for i, (n, _) in enumerate(story)})
    daily = active(**{f"u{i}": [n, *(n + d for d in days)] for i, (n, days) in enumerate(story)})
    cells = con.to_pandas(staying.survivors(users, daily, grain="month", pause_days=10, until=str(day(70))))
    for row in cells.itertuples():
        want = sum(row.age == 0 or any(7 * row.age <= d and n + d <= 70 for d in days) for n, days in story)
        assert (row.users, row.there) == (len(story), want)
    assert (np.diff(cells["there"]) <= 0).all()


def leaving(n: int, *, weeks: int, cohorts: int, seed: int, channel: str = "ads", a: float = 0.7, b: float = 1.5):
    """Survivors of cohorts of n users who leave as a shifted beta-geometric has it, each with a week less to be seen."""
    rng, rows = np.random.default_rng(seed), []
    for c in range(cohorts):
        life = rng.geometric(rng.beta(a, b, n))
        for age in range(weeks - c + 1):
            rows.append((day(7 * c), channel, age, n, int((life > age).sum())))
    return pd.DataFrame(rows, columns=["cohort", "channel", "age", "users", "there"])


def test_a_projection_of_who_stays_is_the_planted_one_and_beats_a_constant_rate_of_leaving():
    now, before = (leaving(800, weeks=w, cohorts=8, seed=1) for w in (20, 16))
    found = project_staying(now, before, ahead=26)
    life = np.random.default_rng(0).beta(0.7, 1.5, 200_000)
    planted = ((1 - life) ** 26).mean()
    row = found.channels.iloc[0]
    assert row["stay_low"] < planted < row["stay_high"] and row["stay"] == pytest.approx(planted, rel=0.1)
    assert abs(found.error) < 0.05 < abs(found.naive_error)
    assert row["kept"] == pytest.approx(((1 - life) ** 13).mean(), rel=0.1)
    undiscounted = project_staying(now, before, ahead=26, yearly_discount=0.0).channels.iloc[0]
    assert row["weeks_there"] < undiscounted["weeks_there"]


def test_a_channel_of_a_few_users_is_left_out_and_none_at_all_is_too_little():
    now, before = (pd.concat([leaving(200, weeks=w, cohorts=4, seed=1), leaving(5, weeks=w, cohorts=2, seed=2, channel="tiny")])
                   for w in (12, 8))  # fmt: skip
    assert project_staying(now, before).channels["channel"].tolist() == ["ads"]
    with pytest.raises(TooLittleError):
        project_staying(leaving(5, weeks=6, cohorts=2, seed=2), leaving(5, weeks=4, cohorts=2, seed=2))
    with pytest.raises(TooLittleError):
        project_staying(now, before[before["age"] == 0])


def test_the_sentences_on_staying_state_both_errors():
    now, before = (leaving(800, weeks=w, cohorts=8, seed=1) for w in (20, 16))
    with text.speaking("en"):
        found = project_staying(now, before)
        first, second = whom.staying(found, 26, 4)
    assert text.percent(found.naive_error, sign=True) in first.text and "–" in second.text, "no other channel to name"


# Who may not be people


def claims(channel: str, users: int, *, ring: bool, campaign: str = "c", new: int = 1) -> pd.DataFrame:
    n = np.arange(users)
    return pd.DataFrame(
        {
            "user_id": [f"{campaign}{channel}{i}" for i in n],
            "device_id": ["one" if ring else f"d{channel}{i}" for i in n],
            "ip": [f"10.0.{len(channel)}.{i}" for i in n],
            "inviter_id": None,
            "minute": n * 1.0 if ring else n * 500.0,
            "amount": 5.0,
            "later_events": 0 if ring else 20,
            "rewards": 1.0 if ring else 0.1,
            "campaign_id": campaign,
            "channel": channel,
            "new": new,
        }
    )


def test_a_ring_is_counted_in_the_channel_that_brought_it_and_old_accounts_are_not():
    rows = pd.concat([claims("referral", 20, ring=True), claims("ads", 60, ring=False), claims("old", 20, ring=True, campaign="b", new=0)])  # fmt: skip
    found = channel_quality.suspected(rows).set_index("channel")
    assert found["suspected"].to_dict() == {"ads": 0, "referral": 20} and found["claimed"].to_dict() == {"ads": 60, "referral": 20}  # fmt: skip
    assert found.loc["referral", "amount"] == 100
    assert channel_quality.suspected(rows.head(0)) is None


def test_a_channel_nobody_of_which_was_looked_at_has_no_suspected_share():
    users = pd.DataFrame({"channel": ["ads", "seo"], "signups": [100, 50]}).assign(
        **dict.fromkeys(("payers", "activated", "of_activated", "d1", "of_d1", "d7", "of_d7", "d30", "of_d30"), 1)
    )
    suspects = pd.DataFrame({"channel": ["ads"], "claimed": [60], "suspected": [20], "amount": [100.0]})
    shares = channel_quality.quality(users, suspects)
    shares = shares.assign(rate=shares["hits"] / shares["of"], low=0.1, high=0.3)
    wide = channel_quality.wide(shares).set_index("channel")
    assert wide.loc["ads", "suspected_share"] == 0.2 and np.isnan(wide.loc["seo", "suspected_share"])
    assert "suspected_share" not in channel_quality.wide(channel_quality.quality(users).assign(rate=0.1))
    with text.speaking("en"):
        assert "20.0%" in whom.quality(shares, suspects)[-1].text


def test_the_planted_rings_are_found_in_the_channels_that_brought_them(sampled, con):
    events, users = sampled.table("events"), sampled.table("users")
    mine = events[events["user_id"].isin(events.loc[events["event"] == REWARD, "user_id"])]
    users = users.assign(registered_day=pd.to_datetime(users["registered_at"]).dt.date)
    planted = {u for ring in sampled.truths["campaigns"]["rings"] for u in ring["members"]}
    ids = mine.loc[mine["campaign_id"].notna(), "campaign_id"].unique().tolist()
    import ibis

    local = ibis.duckdb.connect()
    rows = local.to_pandas(staying.claims(local.create_table("e", mine), local.create_table("u", users), campaigns=ids))
    found = channel_quality.suspected(rows).set_index("channel")["suspected"]
    by = users[users["user_id"].isin(planted)].groupby("channel").size()
    assert found.sum() == pytest.approx(len(planted), rel=0.1)
    assert found["referral"] == pytest.approx(by["referral"], rel=0.1)


# Attribution by all rules at once

stories = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 60), st.sampled_from(["ads", "seo", "direct", "pay"])), max_size=14
)


@settings(max_examples=8)
@given(stories)
def test_all_rules_at_once_are_each_rule_alone(con, story):
    seen = [(n, u, d, c) for n, (u, d, c) in enumerate(story)]
    touched = bound("touches", [{"touch_id": f"t{n}", "user_id": u, "ts": at(d, 10, n), "channel": c} for n, u, d, c in seen if c != "pay"])  # fmt: skip
    events = bound("events", [{"event_id": f"e{n}", "user_id": u, "event": "pay", "ts": at(d, 12), "amount": 10.0 + n} for n, u, d, c in seen if c == "pay"])  # fmt: skip
    asked = {"weights": [60.0, 10.0, 30.0], "counted": "first", "lookback_days": 20}
    every = con.to_pandas(journeys.credits(events, touched, **asked))
    for model in (*journeys.RULES, "custom"):
        alone = con.to_pandas(attribution.credit(events, touched, model=model, **asked))
        ours = every[(every["model"] == model) & (every["conversions"] > 1e-12)]
        for measure in ("conversions", "value"):
            want = alone.assign(channel=alone["channel"].fillna("–")).set_index("channel")[measure].to_dict()
            got = ours.assign(channel=ours["channel"].fillna("–")).set_index("channel")[measure].to_dict()
            assert got == pytest.approx(want), model


def test_wrong_rules_are_refused_by_name():
    events, touched = bound("events", []), bound("touches", [])
    for wrong in ({"models": []}, {"models": ["participation"]}, {"models": ["fist"]}, {"weights": [1.0, 2.0]}):
        with pytest.raises(ValueError):
            journeys.credits(events, touched, **wrong)


def test_paths_beyond_the_most_travelled_do_not_lose_their_conversions(monkeypatch):
    ruled = pd.DataFrame({"model": "first", "channel": ["ads", "seo", None], "conversions": [6.0, 4.0, 2.0], "value": 0.0})  # fmt: skip
    paths = pd.DataFrame({"path": ["ads > seo", "ads", "seo > ads", ""], "conversions": [5, 3, 2, 2], "nulls": [4, 4, 9, 0]})  # fmt: skip
    monkeypatch.setattr(credits, "_MOST", 2)
    assert credits.totals(credits.attributed(ruled, paths)).to_numpy() == pytest.approx(12.0)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_markov_of_any_order_reconciles_with_the_rules(order):
    ruled = pd.DataFrame({"model": "first", "channel": ["ads", "seo"], "conversions": [6.0, 4.0], "value": 0.0})
    paths = pd.DataFrame({"path": ["ads > seo > ads", "ads", "seo > ads"], "conversions": [5, 3, 2], "nulls": [4, 4, 9]})  # fmt: skip
    assert credits.totals(credits.attributed(ruled, paths, order=order)).to_numpy() == pytest.approx(10.0)


# Money


def test_cost_per_activated_and_per_payer_have_intervals_that_thin_out_with_the_bursts():
    week = pd.date_range("2026-01-05", periods=8, freq="7D")
    cost = pd.DataFrame({"start": week, "channel": "ads", "kind": "paid", "cost": 100.0, "campaign_cost": 0.0})
    users = pd.DataFrame({"start": week, "channel": "ads", "signups": [5, 60] * 4, "activated": [2, 30] * 4}).assign(
        of_activated=lambda u: u["signups"], payers=2
    )
    row = channels.economics(cost, users, pd.DataFrame({"channel": "ads", "value": [9.0, 10.0] * 8})).iloc[0]
    plain = channels.cost_per(pd.Series([800.0]), pd.Series([row["payers"]])).iloc[0]
    assert row["cac_activated_low"] < row["cac_activated"] < row["cac_activated_high"]
    assert row["cac_payer_low"] < plain["low"] and row["cac_payer_high"] > plain["high"]
    width = {n: row[f"{n}_high"] / row[f"{n}_low"] for n in ("cac", "cac_activated", "cac_payer")}
    assert width["cac"] < width["cac_activated"] < width["cac_payer"]
    assert channels.kinds(pd.DataFrame([row]))["cac"].tolist() == [row["cac"]]


def test_a_channel_that_the_best_split_does_not_raise_is_held():
    row = {"channel": "ads", "cost": 9.0, "ltv_cac_low": 1.2, "ltv_cac_high": 2.0, "cac": 1.0, "marginal": 2.0}
    table = pd.DataFrame([row | {"marginal_low": 1.3, "projected": 3.0, "current": 10.0, "best": b} for b in (9.0, 11.0)])  # fmt: skip
    found = channels.verdicts(table)
    assert found[["verdict", "reason"]].values.tolist() == [["hold", "elsewhere"], ["grow", "room"]]


def test_channels_are_named_by_the_return_of_the_next_unit_of_money():
    base = {"verdict": "grow", "cost": 1.0, "signups": 10, "ltv_cac_low": 1.5}
    table = pd.DataFrame([base | {"channel": c, "marginal": m} for c, m in (("a", 1.2), ("b", 3.0), ("c", np.nan))])
    assert statements.ranked(table, "grow")["channel"].tolist() == ["b", "a", "c"]


def buyers(n: int, seed: int = 4) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Economics, customers of 39 weeks and the same ended 9 weeks earlier, of buyers as the models have them."""
    import ibis

    rng, rows = np.random.default_rng(seed), []
    for i in range(n):
        rate, mean, at_day = rng.gamma(0.8, 1 / 30), rng.gamma(6, 8), int(rng.integers(0, 40))
        stays, rows_of = True, 0
        while stays and at_day < 273:
            rows.append({"order_id": f"{i}.{rows_of}", "user_id": f"u{i}", "paid_at": at(at_day), "amount": round(mean, 2)})  # fmt: skip
            at_day, rows_of = at_day + 1 + int(rng.exponential(1 / rate)), rows_of + 1
            stays = rng.random() > 0.15
    users = bound("users", [{"user_id": f"u{i}", "channel": "ads" if i % 2 else "seo", "registered_at": at(0)} for i in range(n)])  # fmt: skip
    local, orders = ibis.duckdb.connect(), bound("orders", rows)
    now = local.to_pandas(value.customers(users, orders, until=str(day(273))))
    held = local.to_pandas(value.customers(users, orders, end=str(day(210)), until=str(day(273))))
    table = pd.DataFrame({"channel": ["ads", "seo"], "signups": [n, n], "ltv": 10.0, "ltv_se": 1.0})
    return table, now, held


def test_projected_intervals_come_from_drawing_users_anew_and_do_not_depend_on_their_order():
    table, now, held = buyers(400)
    asked = {"weeks": 26, "check_weeks": 9, "draws": 12}
    first = projected.project(table, now, held, **asked).channels
    again = projected.project(table, now.sample(frac=1, random_state=1), held, **asked).channels
    pd.testing.assert_frame_equal(first, again)
    assert (first["projected_low"] < first["projected"]).all() and (first["projected"] < first["projected_high"]).all()
    less = projected.project(table, now, held, yearly_discount=0.5, **asked).channels
    assert (less["future"] < first["future"]).all()


# The whole page, on what people really export


@pytest.fixture(scope="module")
def odd_warehouse(tmp_path_factory):
    """Three spellings of a channel, spend of zero, five users of one channel, and conversions before their touches."""
    from opslib import load

    raw, root = tmp_path_factory.mktemp("odd"), tmp_path_factory.mktemp("odd-warehouse")
    names = ["Douyin-Feed", "douyin_feed", "douyin feed", "free_zero", "tiny"]
    spends = [{"day": str(day(d)), "channel": c, "kind": "paid", "campaign_id": "", "cost": 0 if c == "free_zero" else 50}
              for d, c in itertools.product(range(70), names)]  # fmt: skip
    users = [{"user_id": f"{c}{i}", "channel": c, "platform": "ios", "registered_at": f"{day(i % 70)} 09:00:00"}
             for c in names for i in range(5 if c == "tiny" else 60)]  # fmt: skip
    orders = [{"order_id": f"o{u['user_id']}{k}", "user_id": u["user_id"], "amount": 20 + i % 7, "refunded": 20 if i == 3 else 0,
               "paid_at": f"{dt.date.fromisoformat(u['registered_at'][:10]) + dt.timedelta(days=8 * k)} 12:00:00", "status": "paid"}
              for i, u in enumerate(users) for k in range(1 + i % 3)]  # fmt: skip
    events = [{"event_id": o["order_id"], "user_id": o["user_id"], "event": "pay", "ts": o["paid_at"], "amount": o["amount"]} for o in orders]  # fmt: skip
    touches = [{"touch_id": f"t{u['user_id']}", "user_id": u["user_id"], "channel": u["channel"], "ts": f"{day(90)} 12:00:00"} for u in users]  # fmt: skip
    for name, rows in (
        ("spend", spends),
        ("users", users),
        ("orders", orders),
        ("events", events),
        ("touches", touches),
    ):
        file = raw / f"{name}.csv"
        pd.DataFrame(rows).to_csv(file, index=False)
        load(name, file, root)
    return root


def test_the_page_states_what_is_odd_in_the_data_and_credits_no_touch_that_came_later(odd_warehouse, project):
    import json
    from pathlib import Path

    from opslib.runner import execute, plan

    record = execute.run(plan.job(project, "channel_roi", {"source": str(odd_warehouse), "lang": "en"}))
    assert record["status"] == "ok", record["error"]
    folder = Path(record["folder"])
    found = {f["id"]: f for f in json.loads((folder / "findings.json").read_text(encoding="utf-8"))}
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert sum(id.startswith("channel.spelling.") for id in found) == 3
    assert "No conversion has a touch in the look-back" in page
    listed = pd.read_csv(folder / "lists" / "channels.csv").set_index("channel")
    assert listed.loc["free_zero", "verdict"] != listed.loc["free_zero", "verdict"], "no cost, no verdict"
    assert listed.loc["tiny", "verdict"] in ("test", "hold", "cut")
    assert not any("nan" in f["text"] for f in found.values())
