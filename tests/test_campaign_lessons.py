"""What a campaign's review says where nobody was held out, how it reads its plan back, and what it leaves for the next one."""

from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
import pandas as pd
import pytest
from conftest import at, bound
from hypothesis import given
from hypothesis import strategies as st
from test_campaign_review import act, campaign, touch

from opslib.errors import TooLittleError, UsageError
from opslib.metrics.campaign_effect import event_days, invitation_tree, takings, targeted_change
from opslib.models import campaign_effect, lessons, retrospective
from opslib.models.ltv import Range
from opslib.sentences import campaign as statements
from opslib.sentences import campaign_lessons as told
from opslib.sentences import campaign_origin as origin
from opslib.text import use


def test_days_without_the_event_are_zero_and_people_count_once_a_day(con):
    rows = [act("ann", 1, "pay", None), act("ann", 1, "pay", None, hour=13), act("bob", 2, "app_open", None)]
    got = con.execute(event_days(bound("events", rows), event="pay"))
    assert got.users.to_list() == [1, 0]


def test_a_change_is_measured_from_the_four_weeks_before(con):
    people = [{"user_id": u, "registered_at": at(0)} for u in ("ann", "bob")] + [
        {"user_id": "late", "registered_at": at(30)}
    ]
    rows = [act("ann", d, "pay", None) for d in (5, 12, 40, 41)] + [act("late", 40, "pay", None)]
    got = con.execute(
        targeted_change(
            bound("touches", [touch("ann"), touch("late")]),
            bound("events", rows),
            bound("users", people),
            campaign_id="c",
            start="2026-02-04",
            end="2026-02-17",
        )
    ).set_index(["targeted", "period"])
    # Days 34 to 47 are the campaign: two days in two weeks; of the four weeks before (6 to 33) only day 12 had one.
    assert got.loc[(True, 0), "mean"] == pytest.approx(1.0 - 0.25) and got.loc[(True, 0), "n"] == 1
    assert got.loc[(False, 0), "mean"] == 0 and got.loc[(True, -1), "mean"] == pytest.approx(0 - 1)


def changes(rng: np.random.Generator, effect: float, drift: float = 0.0, n: int = 400) -> pd.DataFrame:
    rows = []
    for touched in (False, True):
        for period, shift in ((0, effect), (-1, drift), (-2, 0.0), (-3, 0.0)):
            x = rng.normal(0.1 + touched * shift, 1.0, n)
            rows.append((touched, period, n, x.mean(), x.var(ddof=1)))
    return pd.DataFrame(rows, columns=["targeted", "period", "n", "mean", "var"])


def test_the_planted_effect_of_touching_is_inside_the_interval_in_ninety_of_a_hundred_seeds():
    held = 0
    for seed in range(100):
        found = campaign_effect.by_touch(changes(np.random.default_rng(seed), 0.5), 14)
        held += found.extra.low <= 0.5 * 400 * 2 <= found.extra.high
    assert held >= 90


def test_groups_that_went_different_ways_before_cannot_be_compared():
    found = campaign_effect.by_touch(changes(np.random.default_rng(1), 0.5, drift=0.6), 14)
    assert not found.sound
    this = retrospective.chosen(pd.DataFrame([campaign()]), "c", observed=dt.date(2026, 3, 1))
    assert told.guessed(found, this, "pay")[0].id == "campaign.unknown"
    with pytest.raises(TooLittleError):
        campaign_effect.by_touch(changes(np.random.default_rng(1), 0.5, n=20), 14)


@pytest.mark.parametrize(
    ("effect", "zh", "en"), [(0.5, "相差约 +", "differs by about +"), (0.0, "没有确定的差异", "no certain difference")]
)
def test_without_a_hold_out_the_headline_is_the_sound_difference_in_differences(effect, zh, en):
    this = retrospective.chosen(pd.DataFrame([campaign()]), "c", observed=dt.date(2026, 3, 1))
    found = campaign_effect.by_touch(changes(np.random.default_rng(2), effect), 14)
    assert found.sound
    for lang, words in (("zh", zh), ("en", en)):
        use(lang)
        said = told.verdict(this, None, "", found, "", "pay")
        assert words in said and ("只作参考" if lang == "zh" else "a hint, no proof") in said
        why = "the hold-out is too small"
        assert told.verdict(this, None, why, found, "", "pay").startswith(why), (
            "there was one, though it cannot be read"
        )
    drifted = campaign_effect.by_touch(changes(np.random.default_rng(2), effect, drift=0.6), 14)
    assert told.caused([], drifted, why, this, "pay")[0].text.startswith(why)
    assert "cannot be known" in told.verdict(this, None, "", drifted, "", "pay")
    assert "cannot be known" in told.verdict(this, None, "", None, "too short a past", "pay")
    running = retrospective.chosen(pd.DataFrame([campaign()]), "c", observed=dt.date(2026, 1, 5))
    assert "no verdict" in told.verdict(running, None, "", found, "", "pay")


def test_a_hold_out_stands_over_any_guess_and_a_refused_series_is_not_drawn():
    this = retrospective.chosen(pd.DataFrame([campaign()]), "c", observed=dt.date(2026, 3, 1))
    found = campaign_effect.by_touch(changes(np.random.default_rng(1), 0.5), 14)
    held = extra(0.2, 1.0, 2.0)
    assert "人天" not in told.verdict(this, held, "", found, "", "pay")
    wild = campaign_effect.by_series(series(steep=0.15), dt.date(2026, 3, 26), dt.date(2026, 4, 8))
    assert not wild.sound and told.picture(wild) is None


def a_plan(**items) -> lessons.Planned:
    usual = {
        "goal_metric": "pay",
        "goal_value": "210.0",
        "budget": "900.0",
        "first": "2026-01-02",
        "last": "2026-01-11",
    }
    return lessons.Planned({k: (v, np.nan, np.nan) for k, v in (usual | items).items()}, run="campaign_plan/r")


def bare_campaign(**more) -> retrospective.Campaign:
    row = campaign(**{"goal_metric": None, "goal_value": None, "budget": None} | more)
    return retrospective.chosen(pd.DataFrame([row]), "c", observed=dt.date(2026, 3, 1))


def test_the_plan_lends_its_goal_and_budget_to_a_campaign_that_has_none():
    this, plan = bare_campaign(), a_plan()
    lent = lessons.as_planned(this, plan)
    assert (lent.goal_metric, lent.goal, lent.budget) == ("pay", 210.0, 900.0)
    half = bare_campaign(goal_metric="pay")
    assert lessons.as_planned(half, plan).goal == 210.0
    assert np.isnan(lessons.as_planned(bare_campaign(goal_metric="read"), plan).goal), "a goal of another event"
    kept = retrospective.chosen(pd.DataFrame([campaign(budget=500.0)]), "c", observed=dt.date(2026, 3, 1))
    nothing = a_plan(goal_value="", budget="10,000 yuan")
    for own, lender in ((kept, plan), (this, lessons.Planned()), (this, nothing)):
        assert repr(lessons.as_planned(own, lender)) == repr(own)  # a blank is not equal to itself
    in_money = lessons.as_planned(this, a_plan(goal_metric="revenue", goal_value="2e5"))
    assert in_money.in_money and in_money.goal == 2e5


def test_a_plan_for_other_days_lends_nothing_and_one_of_another_length_says_so():
    this = bare_campaign()
    elsewhen = a_plan(first="2026-05-01", last="2026-05-10")
    assert elsewhen.apart(this) == "disjoint" and lessons.as_planned(this, elsewhen) == this
    cases = {
        "": a_plan(),
        "shifted": a_plan(first="2026-01-05", last="2026-01-14"),
        "length": a_plan(last="2026-01-05"),
        "disjoint": elsewhen,
    }
    for apart, plan in cases.items():
        assert plan.apart(this) == apart
        lent = lessons.as_planned(this, plan)
        for lang in ("zh", "en"):
            use(lang)
            days = origin.origin(this, lent, plan)[1]
            assert (days.level == "watch") is (apart in ("length", "disjoint")) and "campaign_plan/r" in days.text
    assert a_plan(first="soon").apart(this) == "" and len(origin.origin(this, this, a_plan(first="soon"))) == 1


def test_where_goal_and_budget_come_from_is_said():
    use("en")
    this, plan = bare_campaign(), a_plan()
    said = origin.origin(this, lessons.as_planned(this, plan), plan)[0].text
    assert said.count("that of the plan campaign_plan/r; so is the budget") == 1 and "210" in said and "900" in said
    lent = lessons.as_planned(kept := bare_campaign(goal_metric="pay", goal_value=5.0), plan)
    assert "the budget of" in (said := origin.origin(kept, lent, plan)[0].text) and "that of the plan" in said
    own = retrospective.chosen(pd.DataFrame([campaign(budget=500.0)]), "c", observed=dt.date(2026, 3, 1))
    said = origin.origin(own, lessons.as_planned(own, plan), plan)[0].text
    assert said.count("the campaign's own") == 2 and "has 210 users" in said and "900" in said
    assert origin.origin(this, this, lessons.Planned())[0].text == "No goal is on record; no budget is on record."
    alike = origin.origin(own, own, a_plan(goal_value="100", budget="500"))[0].text
    assert "the plan" not in alike


def test_what_a_longer_campaign_did_within_the_planned_days_is_told_and_its_numbers_are_not_judged():
    use("en")
    this, plan = bare_campaign(), a_plan(last="2026-01-05")
    lent = lessons.as_planned(this, plan)
    days = pd.DataFrame({"day": pd.date_range("2026-01-02", periods=10), "done": 42.0 * np.arange(1, 11), "pace": 0.0})
    found = origin.by_planned_length(days, lent, plan)
    assert found[0].value == pytest.approx(4 * 42 / 210) and "4 days planned, 168 users" in found[0].text
    assert origin.by_planned_length(days, lent, a_plan()) == []
    rows = pd.DataFrame({"quantity": ["cost"], "plan": [1.0], "plan_low": [1.0], "plan_high": [1.0], "actual": [9.0]})
    assert [f.level for f in told.compared(rows, plan, lent)] == ["info"]
    assert [f.level for f in told.compared(rows, a_plan(), lent)] == ["watch"]


def in_money(goal: float = 1_000.0, **how) -> lessons.Facts:
    this = bare_campaign(goal_metric="revenue", goal_value=goal)
    return lessons.Facts(this, retrospective.Money(400.0, 100.0, 1_500.0, 9), 1_500.0, **how)


@pytest.mark.parametrize(
    ("low", "high", "level", "words"),
    [(1_100.0, 1_900.0, "good", "reached."), (100.0, 900.0, "watch", "missed."), (500.0, 1_500.0, "watch", "not certain")],
)  # fmt: skip
def test_a_goal_in_money_is_held_against_the_extra_revenue(low, high, level, words):
    use("en")
    known = extra(0.0, 0.0, 0.0)
    known = dataclasses.replace(known, revenue=Range((low + high) / 2, low, high))
    facts_ = in_money(extra=known)
    said = origin.money_goal(known, facts_.spent, facts_.this)[0]
    assert said.level == level and words in said.text and said.base == 1_000.0
    assert (facts_.reached[0] >= 1, facts_.reached[1] < 1) == (level == "good", words == "missed.")
    assert (("keep", "goal") in lessons.rules(facts_)) is (level == "good")
    assert (("try", "goal") in lessons.rules(facts_)) is (words == "missed.")


@pytest.mark.parametrize(("done", "words"), [(159.0, "missed: 159 of 250 users (Pay), 63.6%."), (250.0, "reached: 250 against 250 users (Pay), 100.0%."),
                                             (float("nan"), "of 250 users (Pay): what was done cannot be known.")])  # fmt: skip
def test_the_first_sentence_says_goal_and_actual_before_what_the_campaign_brought(done, words):
    use("en")
    this = bare_campaign(goal_metric="pay", goal_value=250.0)
    assert origin.verdict("It brought ten.", this, done, None) == f"Goal {words} It brought ten."
    running = dataclasses.replace(this, running=True)
    without = dataclasses.replace(this, goal=float("nan"))
    assert origin.verdict("So.", running, done, None) == origin.verdict("So.", without, done, None) == "So."


def test_the_first_sentence_says_of_a_goal_in_money_what_the_hold_out_shows():
    use("en")
    known, this = dataclasses.replace(extra(0.0, 0.0, 0.0), revenue=Range(500.0, 100.0, 900.0)), in_money().this
    assert "1,000 of extra revenue" in origin.verdict("So.", this, 1_500.0, known)
    assert origin.verdict("So.", this, 1_500.0, known).endswith("500 by the hold-out: missed. So.")
    assert origin.verdict("So.", this, 1_500.0, None).endswith("cannot be known. So.")


def test_without_a_hold_out_a_goal_in_money_is_never_called_reached():
    use("en")
    facts_ = in_money()
    said = origin.money_goal(None, facts_.spent, facts_.this)[0]
    assert said.level == "watch" and "cannot be called reached" in said.text
    assert not {("keep", "goal"), ("try", "goal")} & set(lessons.rules(facts_))
    assert ("try", "goal") in lessons.rules(in_money(goal=2_000.0)), "not even all that was ordered in its name"
    assert all(np.isnan(v) for v in lessons.unit_costs(facts_)), "money is no number of users"
    days = retrospective.counted(
        pd.DataFrame(),
        pd.DataFrame(),
        pd.DataFrame(),
        pd.DataFrame({"day": [dt.date(2026, 1, 3)], "first": [1_500.0]}),
        facts_.this,
    )
    progress = retrospective.progress(days, facts_.this, observed=dt.date(2026, 3, 1))
    assert progress.done.to_list() == [0.0] + [1_500.0] * 9
    goal = statements.goal(progress, facts_.this)
    assert goal.level == "info" and goal.metric == "campaign.takings" and goal.value == 1.5
    with pytest.raises(TooLittleError, match="order"):
        retrospective.progress(days.iloc[:0], facts_.this, observed=dt.date(2026, 3, 1))


def test_a_planned_revenue_is_compared_with_what_it_promised():
    rows = {"expected_revenue": ("800", 500.0, 1_100.0), "expected_roi": ("1", 0.0, 2.0)}
    gross, net = lessons.Planned(rows), lessons.Planned(rows | {"incremental": ("0.5", 0.4, 0.6)})
    known = in_money(extra=extra(0.0, 1.0, 2.0))
    assert lessons.against(gross, known).set_index("quantity").actual.to_dict() == {"ordered": 1_500.0}
    assert lessons.against(net, known).set_index("quantity").actual.to_dict() == {"roi": 1.0, "revenue": 500.0}
    assert lessons.against(net, in_money()).empty and told.compared(lessons.against(net, in_money()), net, known.this)[0].id == "campaign.plan.nothing"  # fmt: skip


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["c", "d", None]), st.integers(0, 50), st.one_of(st.none(), st.integers(0, 9))), max_size=12)
)  # fmt: skip
def test_takings_are_the_orders_in_its_name_less_refunds(con, orders):
    rows = [
        {
            "order_id": str(i),
            "user_id": "ann",
            "paid_at": at(d),
            "amount": float(a + 9),
            "refunded": r,
            "campaign_id": c,
        }
        for i, (d, c, a, r) in enumerate(orders)
    ]
    expected: dict[dt.date, float] = {}
    for row in rows:
        if row["campaign_id"] == "c":
            day = pd.Timestamp(row["paid_at"]).date()
            expected[day] = expected.get(day, 0.0) + row["amount"] - (row["refunded"] or 0)
    got = con.execute(takings(bound("orders", rows), campaign_id="c"))
    days = [pd.Timestamp(d).date() for d in got.day]
    assert dict(zip(days, got["first"], strict=True)) == expected


def series(effect: float = 0.0, steep: float = 0.0, days: int = 98) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    t = np.arange(days)
    y = 200 + 40 * (t % 7 >= 5) + steep * t**2 + rng.normal(0, 8, days)
    y[-14:] += effect
    return pd.DataFrame({"day": pd.date_range("2026-01-01", periods=days).date, "users": y.round()})


def test_a_steady_series_shows_what_was_planted_and_one_that_runs_away_is_refused():
    first, last = dt.date(2026, 3, 26), dt.date(2026, 4, 8)
    steady, why = campaign_effect.guess(pd.DataFrame({"targeted": []}), series(effect=60), first, last)
    assert not why and steady.how == "series" and steady.sound
    assert steady.extra.low < 60 * 14 < steady.extra.high
    steep, _ = campaign_effect.guess(pd.DataFrame({"targeted": []}), series(steep=0.15), first, last)
    assert not steep.sound and steep.tested < 0.8


def test_too_short_a_past_says_how_much_it_takes():
    found, why = campaign_effect.guess(
        pd.DataFrame({"targeted": []}), series(days=30), dt.date(2026, 1, 17), dt.date(2026, 1, 30)
    )
    assert found is None and "16" in why and "33" in why


def test_the_tree_holds_those_who_took_part_and_those_who_came_by_them(con):
    people = [{"user_id": "zoe", "registered_at": at(3), "inviter_id": "ann"}, {"user_id": "old", "registered_at": at(-40), "inviter_id": "ann"}]  # fmt: skip
    events = bound("events", [act("ann", 1, "invite"), act("old", 2)])
    got = con.execute(
        invitation_tree(events, bound("users", people), campaign_id="c", start="2026-01-02", end="2026-01-20")
    )
    assert dict(zip(got.user_id, got.inviter_id.fillna(""), strict=True)) == {"ann": "", "old": "", "zoe": "ann"}


# ── plan against actual, keep, stop and try ─────────────────────────────────


def facts(**how) -> lessons.Facts:
    this = retrospective.chosen(pd.DataFrame([campaign(budget=500.0)]), "c", observed=dt.date(2026, 3, 1))
    usual = {"spent": retrospective.Money(400.0, 100.0, 0.0, 0), "done": 120.0}
    return lessons.Facts(this, **usual | how)


def extra(low: float, value: float, high: float) -> retrospective.Extra:
    zero = Range(0.0, 0.0, 0.0)
    return retrospective.Extra(100, 100, zero, zero, Range(value * 500, None, None), Range(value, low, high))


def test_rules_follow_from_the_facts():
    assert set(lessons.rules(facts())) == {("keep", "goal"), ("try", "holdout")}
    good = set(lessons.rules(facts(extra=extra(0.2, 1.0, 2.0))))
    assert {("keep", "roi"), ("keep", "holdout"), ("try", "bigger")} <= good and ("stop", "roi") not in good
    bad = set(
        lessons.rules(
            facts(
                done=50.0,
                extra=extra(-0.9, -0.5, -0.1),
                claimants=100,
                listed=5,
                spent=retrospective.Money(600.0, 0.0, 0.0, 0),
            )
        )
    )
    assert {("stop", "roi"), ("stop", "budget"), ("stop", "instant_rewards"), ("try", "goal")} <= bad
    assert not {("keep", "goal"), ("keep", "roi")} & bad


def test_what_suspects_took_is_taken_off_the_cost_and_they_off_the_users():
    told_ = facts(extra=extra(0.2, 1.0, 2.0), claimants=100, listed=20, taken=100.0)
    assert lessons.unit_costs(told_) == (500 / 120, 400 / 100)
    assert lessons.honest_roi(told_).value == pytest.approx(2 * 500 / 400 - 1)
    assert lessons.honest_roi(facts(extra=extra(0.2, 1.0, 2.0))) is None


def test_zero_conversions_and_no_spend_give_no_number():
    none = facts(done=0.0, spent=retrospective.Money(0.0, 0.0, 0.0, 0), listed=3, claimants=9)
    assert all(np.isnan(v) for v in lessons.unit_costs(none))
    assert told.honest(none) == [] and lessons.against(lessons.Planned(), none).empty


def test_the_plan_is_read_back_and_judged_by_its_range():
    rows = pd.DataFrame({"item": ["campaign_id", "expected_conversions", "expected_cost"], "value": ["c", "200", "400"], "low": ["", "150", "300"],
                         "high": ["", "260", "450"], "run": "x"})  # fmt: skip
    plan = lessons.planned(rows)
    got = lessons.against(plan, facts())
    assert plan.run == "x"
    assert got.quantity.to_list() == ["conversions", "cost"]
    assert [f.level for f in told.compared(got, plan, facts().this)] == ["watch", "watch"]  # too few, and too dear
    none = lessons.Planned()
    assert told.compared(lessons.against(none, facts()), none, facts().this)[0].id == "campaign.plan.none"
    with pytest.raises(UsageError, match="column"):
        lessons.planned(rows.drop(columns="low"))


def test_the_template_of_a_review_is_found_by_the_next_plan_of_the_kind():
    from opslib.models import planning
    from opslib.sentences import campaign_plan

    taught = told.lessons(facts())
    rows = told.template(facts(), taught).assign(run="r", lang="zh")
    assert {"keep", "try", "fact"} <= set(rows.lesson)
    plan = planning.Design("n", "", "promotion", "growth", dt.date(2026, 7, 1), 7, "pay", 10.0, 0.0)
    assert campaign_plan.templates(rows, plan).id == "plan.templates"
    assert len(campaign_plan.template_table(rows, plan)) == len(taught)
    again = pd.concat(
        [
            rows.assign(run="newer", lang="en", advice="in English"),
            rows.assign(run="new"),
            rows,
            rows.assign(campaign_id="d", run="d", lang="en"),
        ]
    )
    kept = lessons.reviewed(again, "promotion", "zh")
    assert list(kept.run.unique()) == ["new", "d"], "one review a campaign, the newest in the language of the page"
    assert len(kept) == 2 * len(rows)
    other = planning.Design("n", "", "referral", "growth", dt.date(2026, 7, 1), 7, "pay", 10.0, 0.0)
    assert campaign_plan.templates(rows, other).id == "plan.templates.none"


def test_what_the_largest_trees_hold_is_said_and_trees_are_drawn_by_size():
    trees = pd.DataFrame(
        {"root": [f"u{k}" for k in range(30)], "invited": [40, 10] + [1] * 28, "direct": 1, "depth": [3, 2] + [1] * 28}
    )
    use("en")
    (said,) = told.grown(trees)
    assert (
        said.text
        == "30 invitation trees brought 78 users; the largest 10 of them hold 74.4%, the deepest reaches generation 3."
    )
    assert (said.value, said.n) == (58 / 78, 78)
    assert "1 28; 10–19 10; ≥ 20 40" in told.forest(trees).alt
    assert told.grown(trees.head(0)) == [] and told.forest(trees.head(0)) is None


def test_no_generation_observed_for_a_whole_cycle_is_not_nobody_invited():
    columns = ["generation", "users", "accepted", "k", "low", "high", "cycle"]
    use("en")
    assert [f.text for f in told.generations(pd.DataFrame(columns=columns))] == [
        "Nobody has been observed for a whole cycle yet, so K is not known."
    ]
    quiet = pd.DataFrame([(0, 40, 0, 0.0, 0.0, 0.0, np.nan)], columns=columns)
    assert [f.text for f in told.generations(quiet)] == ["Nobody registered through an invitation."]
