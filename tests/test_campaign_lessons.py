"""What a campaign's review says where nobody was held out, how it reads its plan back, and what it leaves for the next one."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from conftest import at, bound
from test_campaign_review import act, campaign, touch

from opslib.errors import TooLittleError, UsageError
from opslib.metrics.campaign_effect import event_days, invitation_tree, targeted_change
from opslib.models import campaign_effect, lessons, retrospective
from opslib.models.ltv import Range
from opslib.sentences import campaign_lessons as told
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


def test_the_plan_lends_its_goal_and_budget_to_a_campaign_that_has_none():
    bare = campaign(goal_metric=None, goal_value=None, budget=None)
    this = retrospective.chosen(pd.DataFrame([bare]), "c", observed=dt.date(2026, 3, 1))
    plan = {
        "goal_metric": ("pay", np.nan, np.nan),
        "goal_value": ("210.0", np.nan, np.nan),
        "budget": ("900.0", np.nan, np.nan),
    }
    lent = lessons.as_planned(this, plan)
    assert (lent.goal_metric, lent.goal, lent.budget) == ("pay", 210.0, 900.0)
    kept = retrospective.chosen(pd.DataFrame([campaign(budget=500.0)]), "c", observed=dt.date(2026, 3, 1))
    assert lessons.as_planned(kept, plan) == kept and lessons.as_planned(this, {}) == this
    emptied = plan | {"goal_value": ("", np.nan, np.nan), "budget": ("10,000 yuan", np.nan, np.nan)}
    in_money = {"goal_metric": ("revenue", np.nan, np.nan), "goal_value": ("2e5", np.nan, np.nan)}
    assert lessons.as_planned(this, emptied) == this and lessons.as_planned(this, in_money) == this


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
    assert told.honest(none) == [] and lessons.against({}, none).empty


def test_the_plan_is_read_back_and_judged_by_its_range():
    rows = pd.DataFrame({"item": ["campaign_id", "expected_conversions", "expected_cost"], "value": ["c", "200", "400"], "low": ["", "150", "300"],
                         "high": ["", "260", "450"], "run": "x"})  # fmt: skip
    got = lessons.against(lessons.planned(rows), facts())
    assert got.quantity.to_list() == ["conversions", "cost"]
    assert [f.level for f in told.compared(got)] == ["watch", "watch"]  # too few, and too dear
    assert told.compared(lessons.against({}, facts()))[0].id == "campaign.plan.none"
    with pytest.raises(UsageError, match="column"):
        lessons.planned(rows.drop(columns="low"))


def test_the_template_of_a_review_is_found_by_the_next_plan_of_the_kind():
    from opslib.models import planning
    from opslib.sentences import campaign_plan

    taught = told.lessons(facts())
    rows = told.template(facts(), taught).assign(run="r")
    assert {"keep", "try", "fact"} <= set(rows.lesson)
    plan = planning.Design("n", "", "promotion", "growth", dt.date(2026, 7, 1), 7, "pay", 10.0, 0.0)
    assert campaign_plan.templates(rows, plan).id == "plan.templates"
    assert len(campaign_plan.template_table(rows, plan)) == len(taught)
    other = planning.Design("n", "", "referral", "growth", dt.date(2026, 7, 1), 7, "pay", 10.0, 0.0)
    assert campaign_plan.templates(rows, other).id == "plan.templates.none"
