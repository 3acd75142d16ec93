"""The campaign retrospective: what its metrics count, the planted campaigns of the sample, and data that cannot carry a verdict."""

from __future__ import annotations

import datetime as dt

import ibis
import pandas as pd
import pytest
from conftest import ROOT, at, bound
from hypothesis import given
from hypothesis import strategies as st

from opslib.errors import TooLittleError, UsageError
from opslib.metrics.campaign import (
    campaign_money,
    invitations,
    newcomers,
    pacing,
    participants,
    participation,
    response,
    risk_signals,
)
from opslib.metrics.experiment import outcome_sums
from opslib.models import abtest, retrospective
from opslib.models.ltv import Range
from opslib.sentences import campaign as statements
from opslib.sentences import campaign_lessons as learnt
from opslib.sentences import campaign_origin as origin
from opslib.sentences import campaign_people as people
from opslib.text import speaking


def act(user: str, day: int, event: str = "join_campaign", campaign: str | None = "c", hour: int = 12, **more) -> dict:
    return {
        "event_id": f"{user}{event}{day}{hour}",
        "user_id": user,
        "event": event,
        "ts": at(day, hour),
        "campaign_id": campaign,
    } | more


def touch(user: str, campaign: str | None = "c") -> dict:
    return {"touch_id": user + str(campaign), "user_id": user, "ts": at(0), "channel": "mail", "campaign_id": campaign}


def campaign(id: str = "c", first: int = 1, days: int = 10, **more) -> dict:
    row = {"campaign_id": id, "name": id, "kind": "promotion", "starts_at": pd.Timestamp(at(first, 0)), "ends_at": pd.Timestamp(at(first + days, 0)),
           "goal_metric": "pay", "goal_value": 100.0, "budget": None, "reward_cost": None}  # fmt: skip
    row |= {"starts_day": row["starts_at"].date(), "ends_day": row["ends_at"].date()}
    return row | more


def test_who_answered_without_being_asked_is_no_answer(con):
    got = con.execute(
        response(
            bound("touches", [touch("ann"), touch("bob"), touch("cy", "d")]),
            bound("events", [act("ann", 1), act("zoe", 1)]),
        )
    )
    rows = got.set_index("campaign_id")
    assert rows.loc["c", ["targeted", "users"]].to_list() == [2, 1]
    assert rows.loc["d", "users"] == 0 and pd.isna(rows.loc["d", "event"])


def test_only_events_in_the_campaign_s_name_take_part(con):
    got = con.execute(
        participation(
            bound("events", [act("ann", 1, amount=2.0), act("ann", 2, amount=3.0), act("bob", 1, campaign=None)])
        )
    )
    assert got[["count", "users", "amount"]].values.tolist() == [[2, 1, 5.0]]
    bare = con.execute(participation(bound("events", [act("ann", 1)])))
    assert bare["count"].to_list() == [1] and bare.amount.isna().all(), "not observed is no 0"


def test_a_user_is_new_to_the_campaign_once(con):
    got = con.execute(pacing(bound("events", [act("ann", 1), act("ann", 2), act("bob", 2)]), campaign_id="c"))
    assert list(got["first"]) == [1, 1] and list(got.users) == [1, 2]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcd"),
            st.integers(1, 6),
            st.sampled_from(["pay", "read"]),
            st.sampled_from(["c", "d", None]),
        )
    )
)
def test_a_participant_counts_once_on_the_day_of_the_first_event_in_the_campaign_s_name(con, rows):
    rows = [*rows, ("z", 3, "pay", "d")]
    got = con.execute(participants(bound("events", [act(*row, hour=i % 24) for i, row in enumerate(rows)]), campaign_id="c"))  # fmt: skip
    firsts: dict[str, int] = {}
    for user, day, _, name in rows:
        if name == "c":
            firsts[user] = min(day, firsts.get(user, day))
    days = [at(day).date() for day in firsts.values()]
    assert {d: int(n) for d, n in zip(pd.to_datetime(got.day).dt.date, got["first"], strict=True)} == {d: days.count(d) for d in days}  # fmt: skip


def test_a_running_campaign_without_a_goal_is_followed_by_its_participants():
    observed = dt.date(2026, 1, 5)
    this = retrospective.chosen(pd.DataFrame([campaign(goal_metric=None)]), "c", observed=observed)
    assert pd.isna(this.goal), "a hundred of nothing is no goal"
    joined = pd.DataFrame({"day": [dt.date(2026, 1, 2), dt.date(2026, 1, 4)], "first": [30, 1]})
    none = pd.DataFrame()
    got = retrospective.progress(retrospective.counted(none, joined, none, none, this), this, observed=observed)
    assert list(got.done) == [30, 30, 31, 31] and "pace" not in got
    assert origin.by_day(got, this)[["first", "done"]].values.tolist() == [[30, 30], [1, 31]]
    told = statements.goal(got, this)
    assert (told.level, told.value, told.metric) == ("info", 31, "campaign.participants") and "31 人参与" in told.text
    with pytest.raises(TooLittleError, match="没有登记目标"):
        retrospective.progress(joined.iloc[:0].assign(event=""), this, observed=observed)


def test_newcomers_are_told_from_those_there_before_and_those_back_again(con):
    rows = [act("new", 50), act("old", 40, "app_open", None), act("old", 50), act("back", 1, "app_open", None), act("back", 50), act("new", 58, "app_open", None),
            act("other", 51, "app_open", None), act("last", 80, "app_open", None)]  # fmt: skip
    events = bound("events", rows)
    got = con.execute(
        newcomers(events, events, bound("users", []), campaign_id="c", start="2026-02-15", end="2026-02-25")
    )
    told = got.set_index(["took_part", "kind"])[["users", "size", "stayed"]].T.to_dict("list")
    assert told == {
        (True, "new"): [1, 1, 1],
        (True, "existing"): [1, 1, 0],
        (True, "resurrected"): [1, 1, 0],
        (False, "new"): [1, 1, 0],
    }


def test_money_of_a_campaign_without_spend_is_zero_and_refunds_are_taken_off(con):
    orders = [
        {"order_id": "1", "user_id": "ann", "paid_at": at(1), "amount": 10.0, "refunded": 4.0, "campaign_id": "c"}
    ]
    spend = [{"day": dt.date(2026, 1, 1), "channel": "x", "kind": "paid", "cost": 3.0, "campaign_id": "d"}]
    got = con.execute(campaign_money(bound("spend", spend), bound("orders", orders))).set_index("campaign_id")
    assert got.T.to_dict("list") == {"c": [0.0, 1, 6.0], "d": [3.0, 0, 0.0]}


def test_inviters_without_success_count_as_zero(con):
    people = [
        {"user_id": "zoe", "registered_at": at(3), "inviter_id": "ann"},
        {"user_id": "yan", "registered_at": at(40), "inviter_id": "ann"},
    ]
    events = bound("events", [act("ann", 1, "invite"), act("bob", 1, "invite")])
    got = con.execute(invitations(events, bound("users", people), campaign_id="c"))
    assert got.accepted.to_list() == [1, 0]


def test_claims_and_joining_are_no_activity_of_their_own(con):
    rows = [
        act("ann", 1, "claim_reward"),
        act("ann", 2, "join_campaign"),
        act("ann", 3, "read", None),
        act("ann", 30, "read", None),
    ]
    got = con.execute(risk_signals(bound("events", rows), bound("users", []), campaign_id="c"))
    assert got[["later_events", "rewards"]].values.tolist() == [[1, 0.25]]


def test_a_campaign_in_progress_has_progress_and_no_verdict():
    this = retrospective.chosen(pd.DataFrame([campaign()]), "c", observed=dt.date(2026, 1, 5))
    assert this.running and this.days == 10 and this.last == dt.date(2026, 1, 11)
    days = pd.DataFrame({"day": [dt.date(2026, 1, 2)], "event": ["pay"], "first": [30]})
    got = retrospective.progress(days, this, observed=dt.date(2026, 1, 5))
    assert list(got.done) == [30] * 4 and got.pace.iloc[-1] == 40
    assert statements.goal(got, this).level == "watch"
    assert "不下结论" in statements.verdict(this, None)


def test_an_unknown_campaign_is_named_and_overlaps_are_found():
    rows = pd.DataFrame([campaign(), campaign("d", 5), campaign("e", 40)])
    with pytest.raises(UsageError, match="没有编号为「"):
        retrospective.chosen(rows, "x", observed=dt.date(2026, 3, 1))
    this = retrospective.chosen(rows, "c", observed=dt.date(2026, 3, 1))
    assert retrospective.overlapping(rows, this) == ["d"]
    assert retrospective.chosen(rows, "", observed=dt.date(2026, 3, 1)).id == "e"


def test_the_campaign_shown_by_default_is_over_and_held_users_out_where_one_did():
    rows = pd.DataFrame([campaign(), campaign("d", 5), campaign("e", 40), campaign("f", 80)])

    def shown(*experiments: str) -> str:
        return retrospective.chosen(rows, "", observed=dt.date(2026, 3, 1), experiments=experiments).id

    assert shown("holdout_c", "copy") == "c" and shown("holdout_c", "holdout_d") == "d"
    assert shown("copy") == "e" and shown("holdout_f") == "e", "one that still runs shows no effect"


def test_without_cost_there_is_no_return_and_without_a_hold_out_no_effect():
    this = retrospective.chosen(pd.DataFrame([campaign()]), "c", observed=dt.date(2026, 3, 1))
    assert statements.money(retrospective.Money(0.0, 0.0, 5.0, 1), this).value is None
    assert learnt.caused(statements.caused(None, this), None, "no data", this, "pay")[0].id == "campaign.unknown"


def test_nobody_listed_took_nothing():
    assert retrospective.taken(retrospective.nobody()) == 0.0
    assert retrospective.taken(pd.DataFrame({"amount": [2.0, 3.0]})) == 5.0


def test_nobody_to_check_is_said():
    with pytest.raises(TooLittleError):
        retrospective.suspects(pd.DataFrame({"user_id": []}))


def test_a_campaign_without_claim_events_points_to_the_one_with_the_most_claimants():
    acts = pd.DataFrame({"campaign_id": ["a", "b", "c"], "event": ["claim_reward", "claim_reward", "pay"], "users": [3, 9, 99]})  # fmt: skip
    assert retrospective.claimed(acts) == ["b", "a"] and retrospective.claimed(acts.iloc[2:]) == []
    for lang, lack in (("en", "no claim event is on record"), ("zh", "没有带该活动编号的领奖事件")):
        with speaking(lang), pytest.raises(TooLittleError, match=lack) as told:
            retrospective.suspects(pd.DataFrame({"user_id": []}), ["b", "a"])
        assert str(told.value).endswith("campaign_id=b"), "rewards booked as a sum were paid, whoever claimed them"


def test_redemption_rates_of_the_27_published_campaigns(tmp_path):
    """completejourney: targeted households that redeemed a coupon, counted from the published files."""
    from opslib import connect, packs

    folder = ROOT / "data/samples/completejourney"
    packs.load(folder / "pack.yml", tmp_path)
    tables = connect(tmp_path)
    got = response(tables.touches, tables.events).to_pandas().set_index("campaign_id")
    sent, redeemed = (pd.read_csv(folder / f"{name}.csv", dtype=str) for name in ("campaigns", "coupon_redemptions"))
    assert len(got) == 27
    for id, rows in sent.groupby("campaign_id"):
        homes = set(rows.household_id)
        hits = homes & set(redeemed[redeemed.campaign_id == id].household_id)
        assert (got.loc[id, "targeted"], got.loc[id, "users"]) == (len(homes), len(hits)), id


# ── the sample ──────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def planted(sampled):
    con = ibis.duckdb.connect()

    def read(name: str, clock: str, day: str):
        rows = con.read_parquet(str(sampled.folder / f"{name}.parquet"), table_name=name)
        return rows.mutate(**{day: (rows[clock] + ibis.interval(hours=8)).date()})

    names = {
        "events": ("ts", "day"),
        "orders": ("paid_at", "paid_day"),
        "users": ("registered_at", "registered_day"),
        "exposures": ("ts", "day"),
    }
    return con, {name: read(name, *clock) for name, clock in names.items()}


def suspects(planted, campaign: str) -> pd.DataFrame:
    con, tables = planted
    return retrospective.suspects(con.execute(risk_signals(tables["events"], tables["users"], campaign_id=campaign)))


def test_the_rings_are_listed_and_hardly_anybody_else(planted, sampled):
    listed = set(suspects(planted, "c03_invite").user_id)
    hits = listed & sampled.ring_members
    assert len(hits) >= 0.95 * len(listed) and len(hits) >= 0.9 * len(sampled.ring_members)


@pytest.mark.parametrize("campaign", ["c02_spring_cards", "c05_check_in"])
def test_where_there_is_no_ring_hardly_anybody_is_listed(planted, campaign):
    con, tables = planted
    claims = con.execute(risk_signals(tables["events"], tables["users"], campaign_id=campaign))
    assert len(retrospective.suspects(claims)) < 0.01 * claims.user_id.nunique()


def test_the_rings_took_what_was_planted_and_k_is_lower_without_them(planted, sampled):
    con, tables = planted
    told, listed = sampled.truths["campaigns"]["referral"], suspects(planted, "c03_invite")
    assert listed.amount.sum() == pytest.approx(told["rewards_to_rings"], rel=0.1)
    inviters = con.execute(
        invitations(tables["events"], tables["users"], campaign_id="c03_invite", start="2026-02-23", end="2026-03-22")
    )
    every, honest = retrospective.k(inviters, listed)
    assert every.low < told["k_all"] < every.high and honest.low < told["k_honest"] < honest.high
    assert honest.value < every.value


def test_the_hold_out_finds_the_extra_buyers_and_revenue(planted, sampled):
    con, tables = planted
    told = sampled.truths["campaigns"]["holdout"]
    day = dt.date(2026, 4, 13)
    test = abtest.Test(told["experiment_id"], "", "holdout", {"holdout": 0.2, "treated": 0.8}, "pay", day, day, False)
    how = {"experiment_id": test.id, "metrics": ["pay"], "window_days": 7, "until": sampled.truths["end"]}
    got = retrospective.incremental(
        con.execute(outcome_sums(*(tables[n] for n in ("exposures", "events", "orders", "users")), **how)),
        test,
        1_592.0,
    )
    assert got.treated == told["treated"]
    assert got.buyers.low < told["extra_buyers"] < got.buyers.high
    assert got.revenue.low < told["extra_revenue"] < got.revenue.high and got.roi.low > 0


def test_events_that_equally_many_did_are_one_sentence():
    rates = pd.DataFrame({"event": ["pay", "checkout", "click"], "users": [9, 9, 40], "targeted": 271, "rate": [9 / 271, 9 / 271, 40 / 271]})  # fmt: skip
    with speaking("en"):
        told = [f.text for f in people.answered(rates.assign(low=0.01, high=0.2))]
    assert told == [
        "Of 271 users touched, 9 did “Pay”, “Check out”: 3.3%.",
        "Of 271 users touched, 40 did “Click”: 14.8%.",
    ]


def test_a_next_step_is_not_due_before_the_data_that_shows_it():
    last = dt.date(2026, 1, 10)
    this = retrospective.Campaign("c", "c", "tasks", dt.date(2026, 1, 1), last, False, "pay", float("nan"), float("nan"), 0.0)  # fmt: skip
    assert statements.actions(this, None, dt.date(2026, 3, 1))[0].due_on == "2026-03-08"
    assert statements.actions(this, None, last)[0].due_on == "2026-01-17"


def test_a_next_step_says_what_it_rests_on():
    last = dt.date(2026, 1, 10)
    this = retrospective.Campaign("c", "c", "tasks", dt.date(2026, 1, 1), last, False, "pay", 9.0, 9.0, 0.0)
    known = retrospective.Extra(9, 9, *[Range(2.0, 1.0, 3.0)] * 4)
    listed = pd.DataFrame({"user_id": ["ann", "bob", "cy"], "ring": [1, 1, 2], "amount": [2.0, 3.0, 5.0]})
    with speaking("en", "USD"):
        keep = statements.actions(this, known, last)[0]
        assert (keep.evidence, keep.baseline, keep.format) == ("ROI of 1.0× to 3.0×", 2.0, "multiple")
        assert statements.actions(this, None, last, why="56 days only")[0].evidence == "56 days only"
        assert statements.actions(this, None, last)[0].evidence == "Nobody was held out at random"
        step = people.review(this, listed, last)[0]
        assert (step.evidence, step.baseline, step.target) == ("3 accounts in 2 rings, with $10 of rewards", 3, 0)
