"""The campaign plan: what the past says, what is done where it is silent, and a template that the review reads back."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from conftest import at, bound

from opslib.errors import TooLittleError, UsageError
from opslib.metrics.campaign_history import audience, campaign_load, past_campaigns
from opslib.models import plan_outcome, planning
from opslib.models.campaign import Spread
from opslib.sentences import campaign_plan as told


def act(user: str, day: int, event: str = "app_open", campaign: str | None = None, **more) -> dict:
    row = {"event_id": f"{user}{event}{day}{more.get('ts')}", "user_id": user, "event": event, "ts": at(day)}
    return row | {"campaign_id": campaign} | more


def run(id: str, first: int, days: int, **more) -> dict:
    row = {
        "campaign_id": id,
        "name": id,
        "kind": "promotion",
        "starts_at": at(first, 0),
        "ends_at": at(first + days, 0),
        "goal_metric": "pay",
    }
    return row | more  # fmt: skip


def test_a_past_campaign_has_its_reach_its_participants_and_those_who_did_what_the_goal_counts(con):
    rows = [act("ann", 1), act("ann", 11, "join_campaign", "c"), act("ann", 12, "pay", "c"), act("bob", 12), act("cy", 9), act("bob", 19, "claim_reward", "c", amount=2.0),
            act("ann", 30)]  # fmt: skip
    events = bound("events", rows)
    runs = bound("campaigns", [run("c", 10, 10, reward_cost=5.0, stage="growth"), run("open", 25, 10)])
    got = con.execute(past_campaigns(runs, events, events, bound("users", [])))
    assert got.campaign_id.to_list() == ["c"] and got.stage.to_list() == ["growth"]
    row = got.iloc[0]
    assert (row.days, row.reach, row.participants, row.converted) == (10, 2, 2, 1)
    assert (row.claims, row.booked) == (2.0, 5.0)
    assert pd.isna(row.before), "the ten days before begin before the data do"


def test_invited_users_are_what_a_referral_that_counts_registrations_brought(con):
    rows = [act("ann", 0), act("ann", 2, "invite", "c"), act("ann", 20)]
    people = [{"user_id": u, "registered_at": at(d), "inviter_id": i} for u, d, i in (("x", 3, "ann"), ("y", 9, "ann"), ("z", 3, None))]  # fmt: skip
    runs = bound("campaigns", [run("c", 1, 5, kind="referral", goal_metric="register")])
    events = bound("events", rows)
    got = con.execute(past_campaigns(runs, events, events, bound("users", people)))
    assert got.converted.to_list() == [1]


def test_load_is_counted_in_the_busiest_minute_of_the_campaign_s_days(con):
    rows = [act("ann", 1, ts=at(1, 12, 0, s)) for s in range(3)] + [act("bob", 2), act("bob", 9), act("bob", 9, "x")]
    got = con.execute(campaign_load(bound("campaigns", [run("c", 1, 3)]), bound("events", rows)))
    assert got[["requests", "users", "busiest"]].values.tolist() == [[4, 2, 3]]


def test_the_audience_of_today_is_that_of_the_last_days(con):
    orders = [{"order_id": str(d), "user_id": "a", "paid_at": at(d), "amount": 9.0, "refunded": 1.0} for d in (2, 9)]
    events = bound("events", [act("ann", 1), act("bob", 8, "pay"), act("cy", 9)])
    got = con.execute(audience(events, bound("orders", orders), days=3)).iloc[0]
    assert (got.users, got.did, got.revenue) == (2, 1, 8.0)


# ── assumptions ─────────────────────────────────────────────────────────────


def design(**how) -> planning.Design:
    usual = {"id": "c9", "name": "", "kind": "promotion", "stage": "growth", "start": "2026-07-01", "days": 7, "goal_metric": "pay", "goal": 100.0,
             "goal_change": 0.0, "budget": 1_000.0, "fixed_cost": 0.0, "margin": 1.0, "assumed": {}}  # fmt: skip
    return planning.design(usual | how, observed=dt.date(2026, 6, 28), revenue=5_000.0)


def past(kinds: str = "ppm", goals: str = "pay", stages: str = "maturity") -> pd.DataFrame:
    names = {"p": "promotion", "m": "member_day"}
    n = len(kinds)
    history = pd.DataFrame({"campaign_id": [f"c{i}" for i in range(n)], "kind": [names[k] for k in kinds], "stage": stages.split() if " " in stages else stages, "goal_metric": goals, "last": dt.date(2026, 1, 1),
                            "days": 7, "before": 1_000, "reach": [1_000 + 100 * i for i in range(n)], "participants": [200 + 10 * i for i in range(n)],
                            "converted": [50 + 5 * i for i in range(n)], "claims": 100.0, "booked": None})  # fmt: skip
    money = pd.DataFrame({"campaign_id": history.campaign_id, "media": 50.0, "orders": 60, "revenue": 5_000.0})
    return planning.past(history, money)


def test_two_campaigns_of_the_kind_speak_for_themselves():
    found = planning.assumptions(past(), design(), audience=2_000)
    table = past()
    own = table[table.kind == "promotion"].conversion
    assert found["conversion"].source == "kind" and found["conversion"].n == 2
    assert found["conversion"].spread.mean == pytest.approx(own.mean())
    assert found["reward"].spread.mean == pytest.approx(table[table.kind == "promotion"].reward.mean())
    assert found["reach"].spread.mean == pytest.approx(2_000 * 1.1)


@pytest.mark.parametrize(("kinds", "source", "n"), [("pm", "one", 1), ("mm", "all", 2), ("p", "one", 1)])
def test_a_thin_past_borrows_its_spread_and_says_so(kinds, source, n):
    found = planning.assumptions(past(kinds), design(), audience=2_000)
    assert (found["participation"].source, found["participation"].n) == (source, n)
    assert found["participation"].spread.sd > 0
    assert told.assumed(found)[0].level == "watch"


def test_a_campaign_of_the_stage_says_more_than_one_of_another_stage():
    table = past("pppmm", stages="growth growth launch launch launch")
    of = {name: planning.assumptions(table, design(kind=kind, stage=stage), audience=2_000) for name, kind, stage in (
        ("both", "promotion", "growth"), ("kind", "promotion", "launch"), ("stage", "tasks", "launch"), ("all", "tasks", "maturity"))}  # fmt: skip
    rates = table.set_index("campaign_id").participation
    expected = {"both": ["c0", "c1"], "kind": ["c0", "c1", "c2"], "stage": ["c2", "c3", "c4"], "all": list(rates.index)}
    for source, ids in expected.items():
        found = of[source]["participation"]
        assert (found.source, found.n) == (source, len(ids))
        assert found.spread.mean == pytest.approx(rates[ids].mean())
    assert of["both"]["reach"].spread.mean == pytest.approx(2_000 * 1.05), "what grew in the stage"
    assert of["all"]["reach"].spread.mean == pytest.approx(2_000 * 1.2)
    played = {s: plan_outcome.simulated(f, design()).table.loc["conversions", "median"] for s, f in of.items()}
    assert len(set(played.values())) == 4, "stage and kind change the result"


def test_a_past_campaign_whose_goal_is_revenue_is_read_on_paying(con):
    events = bound("events", [act("ann", 0), act("ann", 2, "pay", "c"), act("bob", 2, "join_campaign", "c"), act("ann", 9)])  # fmt: skip
    runs = bound("campaigns", [run("c", 1, 3, goal_metric="revenue")])
    got = con.execute(past_campaigns(runs, events, events, bound("users", []))).iloc[0]
    assert (got.goal_metric, got.participants, got.converted) == ("pay", 2, 1)


def test_without_any_past_the_assumption_is_asked_for_and_taken_from_hand():
    with pytest.raises(TooLittleError, match=r"assumed=\{conversion: \[0.3, 0.1\], reward: \[0.3, 0.1\]\}"):
        planning.assumptions(past("mm", "join_campaign"), design(), audience=2_000)
    by_hand = {"conversion": [0.2, 0.05], "reward": [3.0, 0.5]}
    found = planning.assumptions(past("mm", "join_campaign"), design(assumed=by_hand), audience=2_000)
    assert found["conversion"].source == "hand" and found["conversion"].spread == Spread(0.2, 0.05, "rate")


def test_what_nobody_knows_is_no_number():
    plan = design()
    table = past().assign(value=np.nan)
    found = planning.assumptions(table, plan, audience=2_000)
    played = plan_outcome.simulated(found, plan)
    assert found["value"].source == "none" and found["incremental"].source == "none"
    findings = told.money(plan, played, found)
    assert [f.id for f in findings] == ["plan.cost", "plan.roi.unknown"]
    assert not {"roi", "revenue", "incremental"} & set(told.result_table(plan, played, found).quantity)
    assert not {"expected_roi", "value"} & set(plan_outcome.written(plan, played, found, holdout=0.1).item)


def test_without_a_hold_out_the_return_is_an_upper_bound():
    plan = design()
    found = planning.assumptions(past(), plan, audience=2_000)
    words = told.money(plan, plan_outcome.simulated(found, plan), found)[1].text
    assert "至多" in words


@pytest.mark.parametrize(
    ("how", "words"),
    [({"days": 0}, "days"), ({"goal": 0.0}, "goal"), ({"assumed": {"conversoin": [1, 0]}}, "did you mean"), ({"assumed": {"reward": [1]}}, "mean, spread")],
)  # fmt: skip
def test_a_plan_that_cannot_be_meant_is_refused(how, words):
    with pytest.raises(UsageError, match=words):
        design(**how)


def test_a_plan_that_starts_in_the_past_knows_nothing_of_what_came_after():
    observed = dt.date(2026, 6, 28)
    assert (
        planning.known_until("", observed=observed) == planning.known_until("2026-07-09", observed=observed) == observed
    )
    back = planning.known_until("2026-06-01", observed=observed)
    assert back == dt.date(2026, 5, 31)
    assert told.known(observed, observed) == "" and "2026-05-31" in told.known(back, observed)
    with pytest.raises(UsageError, match="start"):
        planning.known_until("June", observed=observed)


def test_a_lift_of_revenue_is_a_goal_in_money():
    plan = design(goal_change=0.2)
    assert (plan.quantity, plan.goal, plan.counted) == ("revenue", 1_000.0, "pay")


# ── outcome ─────────────────────────────────────────────────────────────────


def test_the_simulation_is_the_product_of_its_assumptions():
    plan = design()
    found = planning.assumptions(past(), plan, audience=2_000)
    played = plan_outcome.simulated(found, plan)
    want = np.prod([found[n].spread.mean for n in ("reach", "participation", "conversion")])
    assert played.table.loc["conversions", "mean"] == pytest.approx(want, rel=0.02)
    safe = plan_outcome.safe_goal(played, plan)
    assert (played.draws.conversions >= safe).mean() == pytest.approx(0.8, abs=0.03)
    assert plan_outcome.bins(played, plan).share.sum() == pytest.approx(0.995, abs=0.01)


def test_what_has_to_be_decided_is_due_after_the_data_and_by_the_start():
    soon, later = design(start="2026-06-29", goal=1e9), design(start="2026-07-10", goal=1e9)
    for plan, due in ((soon, "2026-06-29"), (later, "2026-07-07")):
        played = plan_outcome.simulated(planning.assumptions(past(), plan, audience=2_000), plan)
        assert [a.due_on for a in told.actions(plan, played, None, dt.date(2026, 6, 28))] == [due]


def test_an_inviter_may_bring_more_than_one():
    plan = design(kind="referral", goal_metric="register", assumed={"conversion": [1.5, 0.2], "reward": [5.0, 1.0], "participation": [0.1, 0.02]})  # fmt: skip
    played = plan_outcome.simulated(planning.assumptions(past(), plan, audience=2_000), plan)
    assert played.table.loc["conversions", "mean"] > played.table.loc["participants", "mean"]


def test_the_hold_out_that_is_asked_for_finds_the_lift_in_eight_of_ten_tests():
    found = plan_outcome.proof(0.05, 60_000, lift=0.2, holdout=0.2)
    rng = np.random.default_rng(4)
    held = found.held
    a, b = rng.binomial(held, 0.05, 4_000), rng.binomial(4 * held, 0.06, 4_000)
    from opslib.models.experiment import proportions

    p = proportions((a, b), (np.full(4_000, held), np.full(4_000, 4 * held))).p
    assert np.mean(p < 0.05) == pytest.approx(0.8, abs=0.03)
    assert plan_outcome.proof(0.0, 60_000, lift=0.2, holdout=0.2) is None


def test_the_forecast_peak_holds_for_the_campaigns_it_was_made_from():
    pressed = pd.DataFrame({"campaign_id": ["a", "b"], "requests": [60_000, 90_000], "users": [1_000, 1_200], "busiest": [120, 300]})  # fmt: skip
    reach = planning.Assumption("reach", Spread(1_200.0, 100.0), 2, "all")
    got = plan_outcome.load(pressed, reach, requests_each=5, headroom=2)
    assert got.past == pytest.approx(300 * 5 / 60)
    assert got.high >= 2 * got.past and got.expected < got.high
    with pytest.raises(TooLittleError):
        plan_outcome.load(pressed.iloc[:0], reach, requests_each=5, headroom=2)
