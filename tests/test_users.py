"""Users: who they are, who slips away, whom to reach; hand-made stories, bad input, and the truths of the sample."""

from __future__ import annotations

import datetime as dt
import inspect

import ibis
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, at, bound
from sampled import HOURS

from opslib import privacy, stats
from opslib.errors import TooLittleError, UsageError
from opslib.metrics import contacts, habits, segments
from opslib.models import behaviour, customers, early, outreach, people, plays, rhythm, slipping, statebook, voices
from opslib.models.personas import Personas
from opslib.sentences import users as statements
from opslib.sentences import users_outreach, users_people
from opslib.sentences import users_risk as leaving
from opslib.sentences import users_value as value
from opslib.text import speaking

DAY0 = dt.date(2026, 1, 1)
PLAN = ROOT / "params" / "outreach.yml"


def day(n: int) -> dt.date:
    return DAY0 + dt.timedelta(days=n)


def user(name: str, n: int = 0, channel: str | None = "ads") -> dict:
    return {"user_id": name, "channel": channel, "platform": "ios", "registered_at": at(n)}


def order(name: str, who: str, n: int, amount: float, refunded: float = 0.0) -> dict:
    return {"order_id": name, "user_id": who, "paid_at": at(n), "amount": amount, "refunded": refunded}


def did(who: str, n: int, event: str = "read", times: int = 1, hour: int = 12) -> dict:
    return {"user_id": who, "day": day(n), "event": event, "n": times, "first_ts": at(n, hour)}


def rows(con, expression) -> dict[str, dict]:
    frame = con.to_pandas(expression)
    return {r["user_id"]: r for r in frame.to_dict("records")}


# Metrics on hand-made rows


def test_rfm_counts_the_window_and_never_a_refund_beyond_its_order(con):
    bought = [order("1", "a", 0, 10), order("2", "a", 9, 20, 5), order("3", "b", 10, 7, 9), order("4", "a", 11, 99)]
    got = rows(con, segments.rfm(bound("orders", bought), until=day(10), days=10))
    assert {k: (v["recency"], v["frequency"], v["monetary"]) for k, v in got.items()} == {
        "a": (1, 1, 15.0),  # day 0 is eleven days back, day 11 has not come
        "b": (0, 1, 0.0),
    }


def test_without_orders_activity_takes_their_place_and_what_was_shown_is_no_action(con):
    daily = [did("a", 3), did("a", 3, "impression", 50), did("a", 8, "like", 2), did("b", 1, "impression", 9)]
    got = rows(con, segments.activity_rfm(bound("daily", daily), until=day(9)))
    assert {k: (v["recency"], v["frequency"], v["monetary"]) for k, v in got.items()} == {
        "a": (1, 2, 3.0),
        "b": (8, 1, 0.0),
    }


def test_a_profile_holds_nothing_that_happened_later_and_tells_local_time(con):
    daily = [
        did("a", 0, hour=15),
        did("a", 40, "pay", hour=23),
        did("a", 45, "like", 3, hour=12),
        did("a", 46, "share", 9),
    ]
    daily += [did("stranger", 45)]
    money = [order("1", "a", 45, 30.0), order("2", "a", 46, 500.0)]
    table = segments.profile(
        bound("users", [user("a", 2), user("late", 46)]),
        bound("daily", daily),
        bound("orders", money),
        until=day(45),
        offset_hours=8,
    )
    got = rows(con, table)
    assert set(got) == {"a"}, "strangers and those who come later have no profile"
    a = got["a"]
    assert (a["tenure_days"], a["days_away"], a["active_7"], a["active_28"], a["active_days"]) == (45, 0, 2, 2, 3)
    assert (a["kinds"], a["actions"], a["social"], a["buying"], a["orders"], a["spent"]) == (3, 5, 3, 1, 1, 30.0)
    # 15, 23 and 12 o'clock UTC are 23, 7 and 20 in Shanghai.
    assert (a["night"], a["morning"], a["evening"], a["seen"]) == (1, 1, 1, 3)


def test_who_is_seen_again_within_the_horizon_has_not_left(con):
    daily = [did(who, 60) for who in ("stays", "leaves", "late", "today")] + [did("today", 95)]
    daily += [did("stays", 80), did("late", 89), did("gone", 40)]
    table = segments.slipping(
        bound("users", [user(w) for w in ("stays", "leaves", "late", "today", "gone")]),
        bound("daily", daily), bound("orders", []), until=day(95), ago=(35, 28, 7), horizon_days=28,
    )  # fmt: skip
    frame = con.to_pandas(table)
    then = frame[frame.ago == 35].set_index("user_id").left.to_dict()
    assert then == {"stays": 0, "leaves": 1, "late": 1, "today": 1}
    assert set(frame.ago) == {35}, "nobody was active in the week before day 67, and seven days ago is not over"


def test_every_past_day_is_judged_by_its_own_weeks(con):
    daily = [did("a", 10), did("a", 30), did("b", 30), did("b", 40), did("c", 50)]
    table = segments.slipping(
        bound("users", [user(w) for w in "abc"]), bound("daily", daily),
        bound("orders", [order("1", "b", 20, 7)]), until=day(50), ago=(20, 40), horizon_days=10, recent_days=1,
    )  # fmt: skip
    got = con.to_pandas(table)
    columns = ["ago", "user_id", "left", "orders", "spent"]
    assert sorted(tuple(r) for r in got[columns].itertuples(index=False)) == [
        (20, "a", 1, 0, 0.0), (20, "b", 0, 1, 7.0), (40, "a", 1, 0, 0.0)]  # fmt: skip


def test_a_part_of_the_users_is_the_same_on_all_days_where_the_warehouse_has_integers_for_them(con):
    tables = [bound("users", [user(f"u{i}") for i in range(9)])]
    tables += [bound("daily", [did(f"u{i}", n) for i in range(9) for n in (10, 30)])]
    tables += [bound("orders", [order(f"{i}", f"u{i}", 10, 7.0) for i in range(9)])]
    how = {"until": day(50), "ago": (20, 40), "horizon_days": 10, "recent_days": 1}
    keyed = [t.mutate(user_key=t.user_id.replace("u", "").cast("int64")) for t in tables]
    some = con.to_pandas(segments.slipping(*keyed, one_in=4, **how))
    assert sorted(zip(some.ago, some.user_id, strict=True)) == [(k, f"u{i}") for k in (20, 40) for i in (0, 4, 8)]
    assert (some.orders == 1).all()
    assert len(con.to_pandas(segments.slipping(*tables, one_in=4, **how))) == 18, "nothing to divide: everybody"


def test_gaps_lie_within_the_days_asked_for_and_each_user_weighs_one(con):
    daily = [did("a", n) for n in (9, 10, 12, 20, 21)] + [did("b", n) for n in (10, 20)] + [did("c", 20)]
    got = con.to_pandas(habits.usage_gaps(bound("daily", daily), until=day(20), days=11))
    assert [tuple(r) for r in got.itertuples(index=False)] == [(2, 1, 0.5), (8, 1, 0.5), (10, 1, 1.0)]


def test_the_days_looked_back_at_are_those_the_model_learns_from():
    assert list(inspect.signature(segments.slipping).parameters["ago"].default) == slipping.days_ago(28)


def test_states_are_counted_by_the_channel_of_registered_users(con):
    users = [user("new"), user("on"), user("off"), user("gone", channel=""), user("never")]
    daily = [did("new", 40), did("off", 20), did("gone", 1), did("stranger", 40)] + [
        did("on", n) for n in (0, 38, 39, 40)
    ]
    how = {"as_of": day(40), "by": "channel"}
    got = con.to_pandas(habits.group_states(bound("users", users), bound("daily", daily), **how))
    assert [tuple(r) for r in got.itertuples(index=False)] == [
        ("(none)", "churned", 1, 1),
        ("ads", "active", 1, 3),
        ("ads", "new", 1, 3),
        ("ads", "silent", 1, 3),
    ]


def test_further_columns_of_users_are_their_attributes(con):
    got = rows(con, segments.attributes(bound("users", [user("a") | {"age": "31"}, user("b") | {"city": "Wuhan"}])))
    assert set(got["a"]) == {"user_id", "age", "city"}
    assert got["a"]["age"] == "31" and pd.isna(got["b"]["age"]) and got["b"]["city"] == "Wuhan"


def test_who_returned_and_who_was_contacted(con):
    daily = bound("daily", [did("a", 5), did("a", 6), did("a", 6, "like"), did("a", 8), did("a", 9), did("b", 5)])
    paid = [order("1", "c", 7, 9, 20), order("2", "c", 8, 1, 1.5), order("3", "c", 9, 5), order("4", "d", 8, 5)]
    paid[-1]["refunded"] = None  # unknown is taken for none
    got = rows(con, contacts.returned(daily, bound("orders", paid), after=day(5), before=day(8)))
    told = {k: (v["active"], v["bought"], v["spent"]) for k, v in got.items()}
    assert told == {"a": (2, 0, 0.0), "c": (0, 2, 0.0), "d": (0, 1, 5.0)}
    touches = [
        {"touch_id": str(i), "user_id": w, "ts": at(n), "channel": "push", "campaign_id": c}
        for i, (w, n, c) in enumerate([("a", 1, "c1"), ("a", 1, "c1"), ("b", 2, None), ("c", 9, "c1"), ("d", 0, "c1")])
    ]
    got = con.to_pandas(contacts.contacted(bound("touches", touches), until=day(8), days=8))
    assert got.to_dict("records") == [{"user_id": "a", "days_ago": 7}]


def test_every_user_counts_as_one_in_the_usage_interval(con):
    daily = (
        [did("often", n) for n in range(40)] + [did(w, n) for w in ("x", "y", "z") for n in (0, 20)] + [did("once", 3)]
    )
    gaps = con.to_pandas(habits.usage_gaps(bound("daily", daily), until=day(39)))
    assert gaps[["gap", "pairs"]].values.tolist() == [[1, 39], [20, 3]] and gaps.weight.tolist() == pytest.approx(
        [1, 3]
    )
    found = rhythm.interval(gaps).iloc[0]
    assert (found["median"], found["median_pairs"], found["period"]) == (20, 1, "month")
    with speaking("en"), pytest.raises(TooLittleError, match="30 pairs"):
        rhythm.interval(gaps[gaps.gap == 20])


def test_early_steps_are_compared_among_equally_active_users(con):
    """Active users do more and stay more; the step itself does nothing."""
    daily, users = [], []
    for i in range(400):
        keen = i % 2 == 0
        users.append(user(f"u{i}"))
        daily += [did(f"u{i}", n, "app_open") for n in range(5 if keen else 1)]
        if (i // 2) % 10 < (8 if keen else 2):
            daily.append(did(f"u{i}", 0, "like"))
        if (i // 20) % 10 < (9 if keen else 1):
            daily.append(did(f"u{i}", 22, "app_open"))
    daily.append(did("u0", 30))
    counts = con.to_pandas(habits.early(bound("users", users), bound("daily", daily), until=day(30)))
    like = counts[counts.event == "like"]
    assert like.did.sum() == 200 and set(like.days_active) == {1, 5}
    found = early.early_signs(counts).set_index("event").loc["like"]
    assert found.rate - found.base > 0.4, "without strata it looks like a cause"
    assert found.low < 0 < found.high


def test_the_mantel_haenszel_difference_of_one_stratum_is_the_plain_one():
    table = pd.DataFrame(
        {"event": ["x"], "days_active": [1], "did": [80], "did_stayed": [40], "others": [100], "others_stayed": [30]}
    )
    found = early.early_signs(table).iloc[0]
    assert found["diff"] == pytest.approx(0.2)
    se = np.sqrt(0.5 * 0.5 / 80 + 0.3 * 0.7 / 100)
    assert found.high - found["diff"] == pytest.approx(1.959964 * se, rel=1e-6)


# States


def flows(*moves: tuple[str, str, int]) -> pd.DataFrame:
    return pd.DataFrame(moves, columns=["from_state", "to_state", "users"])


def stacked(*steps: pd.DataFrame) -> pd.DataFrame:
    """The flows of several steps, the newest first, as one table."""
    return pd.concat([table.assign(step=k) for k, table in enumerate(steps)], ignore_index=True)


def test_the_ledger_closes_and_slipping_away_is_compared_with_the_month_before():
    now = flows(
        ("active", "active", 60),
        ("active", "silent", 40),
        ("silent", "churned", 20),
        ("unseen", "new", 30),
        ("new", "active", 10),
        ("churned", "churned", 50),
    )
    before = flows(("active", "active", 90), ("active", "silent", 10), ("unseen", "active", 10))
    book = statebook.ledger(now)
    assert book["users"].sum() == 210 and book.set_index("state").at["active", "users_change"] == -30
    lost = stats.difference(statebook.lost(now, before), hits="hits", of="of", base_hits="base_hits", base_of="base_of")
    lost = lost.assign(rate_low=0.3, rate_high=0.5)
    found = statements.slipped(lost, 28, book)
    assert found.level == "act" and found.value == 40 / 110 and found.base == 0.1
    assert statements.slipped(lost, 28, book, short=True).level == "watch", "a short threshold raises no alarm"
    ahead = statebook.by_state(statebook.forecast(stacked(now, before)))
    assert ahead.set_index("state").at["new", "expected"] == 30, "as many new users come as came"
    assert ahead["expected"].sum() == pytest.approx(240, abs=3)


def walk(rng: np.random.Generator, steps: int, spread: float) -> list[pd.DataFrame]:
    """Flows of so many steps, the oldest first: in each, users stay active by a chance that differs from step to step."""
    active, gone, story = 3_000, 3_000, []
    for _ in range(steps):
        stay, back = (1 / (1 + np.exp(-rng.normal(mean, spread))) for mean in (0.8, -2.0))
        kept, returned = rng.binomial(active, stay), rng.binomial(gone, back)
        new = rng.poisson(600)
        moves = [("active", "active", kept), ("active", "churned", active - kept), ("churned", "active", returned)]
        story.append(flows(*moves, ("churned", "churned", gone - returned), ("unseen", "active", new)))
        active, gone = kept + returned + new, active - kept + gone - returned
    return story


def test_the_forecast_holds_what_comes_as_often_as_said_where_flows_change():
    rng, held, narrow = np.random.default_rng(4), [], []
    for _ in range(80):
        *past, coming = walk(rng, 6, 0.15)
        came = coming.groupby("to_state")["users"].sum()["active"]
        for kept, steps in ((held, past[::-1]), (narrow, past[:-3:-1])):
            row = statebook.forecast(stacked(*steps)).set_index("state").loc["active"]
            kept.append(row["low"] <= came <= row["high"])
    assert np.mean(held) >= 0.9, "chance and the misses of four earlier forecasts"
    assert np.mean(narrow) < 0.8, "one miss cannot tell how much flows change; the page says so"


def test_the_note_of_the_forecast_says_what_its_interval_holds():
    story = walk(np.random.default_rng(1), 5, 0.1)[::-1]
    with speaking("en"):
        assert "the misses of 4 earlier forecasts" in statements.ahead_note(statebook.forecast(stacked(*story)), 28)
        assert "chance only" in statements.ahead_note(statebook.forecast(stacked(*story[:2])), 28)
    told = statebook.forecast(stacked(*story)).set_index("state")
    assert told.at["here", "users"] == told.loc[["new", "active", "retained"], "users"].sum()
    assert told.at["here", "foretold"] == pytest.approx(
        told.loc[["new", "active", "retained"], "foretold"].sum(), abs=2
    )


def test_a_sentence_withholds_what_its_table_withholds():
    told = statements.standing(statebook.ledger(flows(("unseen", "new", 3), ("active", "active", 60))))
    assert "新增少于 5 人，活跃 60" in told.text
    assert "63" not in told.text and told.value is None and told.n is None, "a sum tells what is withheld"


def test_no_total_of_the_page_tells_the_one_state_that_is_withheld():
    moves = [("unseen", "new", 3), ("active", "active", 597), ("active", "silent", 40), ("retained", "retained", 954)]
    steps = [flows(*moves, ("new", "silent", 2), ("silent", "active", 30))] * 4
    book, ahead = statebook.ledger(steps[0]), statebook.forecast(stacked(*steps))
    lost = stats.difference(statebook.lost(*steps[:2]), hits="hits", of="of", base_hits="base_hits", base_of="base_of")
    risks = pd.DataFrame({"risk": [0.1] * int(book.loc[book["state"].isin(statebook.HERE), "users"].sum())})
    said = [
        statements.slipped(statebook.with_rate(lost, lost), 28, book),
        statements.standing(book),
        statements.ahead(ahead, 4),
        leaving.risk(risks, pd.DataFrame(), pd.DataFrame(), 0.5, 28, book),
    ]
    told = " ".join(
        [*(f"{f.text} {f.n} {f.base} {f.value}" for f in said), users_outreach.headline(book, lost, None, 28)]
    )
    told = told.replace(",", "")
    for whole in ("1584", "1593", "1626"):  # here now, here before, all that were seen
        assert whole not in told
    assert "不少于 1581 人" in told and "不少于 1591 人" in told
    expected = ahead.set_index("state")["expected"]
    assert said[2].value == pytest.approx(expected[["active", "retained"]].sum(), abs=1)
    shares = statements.of_told(book).set_index("state")["share"]
    assert shares[["active", "retained", "silent"]].sum() == pytest.approx(1), "shares are of those told"


def test_counts_with_none_withheld_and_with_all_withheld_have_their_sum():
    assert privacy.together([60, 40, 0]) == "100" and privacy.total([60, 40, 0]) == 100
    assert privacy.together([3, 4]) == "7" and privacy.together([3, 0]) == privacy.withheld()


def test_the_conditions_of_a_play_are_told_in_words(plan):
    told = {play.id: users_outreach.rule(play) for play in plan.plays}
    assert told["recall_buyers"] == "状态为沉默、流失；订单数 ≥ 1" and "流失风险 ≥ 40%" in told["at_risk"]
    with speaking("en"):
        assert users_outreach.rule(plan.plays[1]) == "State: Silent or Churned; orders ≥ 1"


@pytest.mark.parametrize("state", statebook.STATES)
def test_all_users_in_one_state_have_a_ledger_and_no_invented_flow(state):
    book = statebook.ledger(flows(("unseen", state, 50)))
    assert book["users"].sum() == 50
    with speaking("en"), pytest.raises(TooLittleError, match="no flow was observed"):
        statebook.forecast(stacked(flows(("unseen", state, 50)), flows()))
    lost = statebook.lost(flows(("unseen", state, 50)), flows())
    assert lost.iloc[0].tolist() == [0, 0, 0, 0] and statements.slipped(lost, 28, book) is None


def gaps_of(*lengths: int) -> pd.DataFrame:
    """Gaps between active days, ten users for each length."""
    return pd.DataFrame({"gap": lengths, "pairs": 10, "weight": 10.0})


ASKED = {"new_days": 7, "active_days": 3, "silent_days": 0, "churn_days": 0}


@pytest.mark.parametrize(
    ("lengths", "silent", "churn"),
    [((1, 2, 3, 7, 60), 7, 30), ((1, 2, 3, 8, 60), 14, 60), ((9, 9, 9, 15, 60), 31, 120), ((40,) * 5, 31, 120), ((60,), 7, 30)],
    ids=["to a week", "over a week", "over a fortnight", "longer than any", "too few gaps"],
)  # fmt: skip
def test_nobody_is_called_silent_for_coming_as_often_as_users_do(lengths, silent, churn):
    rule = rhythm.rule(gaps_of(*lengths), **ASKED)
    assert (rule["silent_days"], rule["churn_days"]) == (silent, churn)
    assert rhythm.short(gaps_of(*lengths), rule) == (lengths == (40,) * 5)


def test_thresholds_that_were_asked_for_stay_and_the_page_says_where_they_are_short():
    weekly, gaps = rhythm.rule(gaps_of(1), **ASKED), gaps_of(9, 9, 9, 15, 60)
    own = rhythm.rule(gaps, **ASKED | {"silent_days": 10})
    assert (own["silent_days"], own["churn_days"]) == (10, 60)
    assert rhythm.rule(gaps, **ASKED | {"silent_days": 40})["churn_days"] == 160
    assert rhythm.rule(gaps, **ASKED | {"churn_days": 45})["churn_days"] == 45
    table = rhythm.interval(gaps)
    with speaking("en"):
        short = value.thresholds(table, own, 10)
        adapted = value.thresholds(table, rhythm.rule(gaps, **ASKED), 0)
    assert short.level == "watch" and "raise “silent_days”" in short.text
    assert adapted.level == "info" and "silent after 31 days and as churned after 120" in adapted.text
    assert value.thresholds(rhythm.interval(gaps_of(1, 2, 3, 4)), weekly, 0) is None
    assert rhythm.short(gaps, own) and not rhythm.short(gaps, rhythm.rule(gaps, **ASKED))


# Segments and personas


def test_no_customers_and_a_handful_are_no_segments():
    few = pd.DataFrame(
        {"user_id": ["a", "b", "c"], "recency": [1, 2, 3], "frequency": [1, 1, 2], "monetary": [1.0, 2, 3]}
    )
    for table in (few, few.head(0), few.head(1)):
        with pytest.raises(TooLittleError):
            customers.scored(table)
        assert customers.unscored(table)["segment"].isna().all()


def test_segment_sizes_add_up_and_ties_are_told():
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "user_id": [f"u{i}" for i in range(200)],
            "recency": rng.integers(0, 90, 200),
            "frequency": rng.geometric(0.5, 200),
            "monetary": rng.gamma(2, 30, 200),
        }
    )
    now, before = customers.scored(table), customers.scored(table.head(150))
    sizes = customers.sizes(now, before)
    assert sizes["users"].sum() == 200 and sizes["value_share"].sum() == pytest.approx(1)
    assert sizes["users_before"].sum() == 150 and (sizes["stayed"] <= sizes["users_before"]).all()
    assert customers.ties(now) == (table["frequency"] == 1).mean()


def crowd(n: int, seed: int = 0) -> pd.DataFrame:
    """Profiles of users who all do the same, by chance."""
    rng = np.random.default_rng(seed)
    actions = rng.poisson(40, n) + 5
    table = pd.DataFrame(
        {
            "user_id": [f"u{i:05}" for i in range(n)], "channel": "ads", "platform": "ios", "tenure_days": 60, "days_away": rng.integers(0, 20, n),
            "active_7": 3, "active_28": rng.integers(1, 25, n), "active_days": 20, "kinds": 5, "actions": actions,
            "reads": rng.binomial(actions, 0.4), "finished": rng.binomial(5, 0.3, n), "social": 0, "buying": 0, "tasks": 0,
            "seen": 40, "morning": rng.binomial(40, 0.2, n), "evening": rng.binomial(8, 0.2, n), "night": 0, "orders": 0, "spent": 0.0,
        }
    )  # fmt: skip
    return table.set_index("user_id")


NO_TASTES = pd.DataFrame({"user_id": pd.Series(dtype=str), "category": pd.Series(dtype=str), "n": pd.Series(dtype=int)})


def test_a_continuum_and_a_single_user_have_no_personas():
    acts = behaviour.behaviour(crowd(400), NO_TASTES)
    with speaking("en"), pytest.raises(TooLittleError, match="none is invented"):
        behaviour.found(acts)
    with pytest.raises(TooLittleError):
        behaviour.behaviour(crowd(1), NO_TASTES)
    with pytest.raises(TooLittleError):
        behaviour.needs_groups(pd.Series(dtype=object))


@pytest.mark.parametrize("spent", [0.0, 12.5])
def test_without_orders_no_persona_is_said_to_spend_most(spent):
    table = pd.DataFrame({"persona": ["a", "b"], "share": [0.6, 0.4], "spent": [0.0, spent]})
    found = Personas(k=2, labels=np.zeros(2), stability=0.9, criterion=pd.DataFrame(), clustering=None)
    with speaking("en"):
        told = users_people.personas(found, table, 100).text
    assert ("spends most “b”" in told) == (spent > 0) and told.endswith(".")


def test_three_users_apart_from_all_others_are_no_persona():
    profiles = crowd(400)
    profiles.iloc[:3, profiles.columns.get_indexer(["night", "morning", "evening"])] = [40, 0, 0]
    with pytest.raises(TooLittleError):
        behaviour.found(behaviour.behaviour(profiles, NO_TASTES))


def test_an_attribute_known_of_few_is_told_and_not_compared():
    profiles = crowd(300)
    known = pd.DataFrame(
        {
            "user_id": profiles.index,
            "age": np.where(np.arange(300) % 10 == 0, "18-24", None),
            "city": ["一线", "二线"] * 150,
        }
    )
    known["one"] = "same"
    table = behaviour.compared(profiles, known, None, often=20, rarely=5, least=0.2)
    assert "age" not in table and "city" in table and table["frequent"].nunique() == 2
    assert "one" not in table and "channel" not in table, "what is the same for everybody compares nothing"
    with speaking("en"):
        said = users_people.coverage(known, profiles.index, 0.2)
    assert "10%" in said and "not compared" in said
    assert users_people.feature("income_band") == "收入" and users_people.feature("shoe_size") == "shoe_size"


def test_users_who_came_last_week_cannot_be_frequent_and_are_not_called_rare():
    profiles = crowd(100).assign(tenure_days=5)
    assert behaviour.compared(
        profiles, pd.DataFrame({"user_id": profiles.index}), None, often=20, rarely=5, least=0.2
    ).empty


def test_free_texts_are_no_answers_and_a_closed_question_tells_groups_apart():
    groups = pd.Series([0] * 50 + [1] * 50, index=[f"u{i}" for i in range(100)])
    survey = pd.DataFrame(
        {
            "user_id": groups.index,
            "ts": pd.Timestamp("2026-01-01"),
            "question": "why",
            "answer": [f"text {i}" for i in range(100)],
        }
    )
    with speaking("en"), pytest.raises(TooLittleError, match="free texts"):
        voices.answers(survey, groups)
    later = survey.assign(day=DAY0, answer="yes")
    with pytest.raises(TooLittleError):
        voices.answers(later, groups, until="2025-12-31")
    closed = survey.assign(answer=np.where(np.arange(100) < 40, "news", "deals"))
    told = voices.answers(closed, groups).set_index("group")
    assert told.loc[0, ["answer", "hits", "of", "base_hits", "base_of"]].tolist() == ["news", 40, 50, 0, 50]
    assert told.at[1, "answer"] == "deals"


def test_a_reason_says_which_end_of_a_feature_goes_with_leaving():
    effects = pd.DataFrame(
        {"feature": ["orders", "days_away", "kinds"], "strength": [1.0, 0.8, 0.1], "direction": [-0.9, 0.8, 0.2]}
    )
    with speaking("en"):
        told = [leaving.reason(name, effects) for name in ("orders", "days_away", "kinds", "actions")]
    assert told[:3] == ["orders (low)", "days away (high)", "kinds of events done"] and told[3] == "actions"
    risks = pd.DataFrame(
        {"risk": [0.9, 0.2], "reason_1": ["orders", "kinds"], "reason_2": [None, None]}, index=["a", "b"]
    )
    listed = leaving.risk_list(risks, effects, 0.5)
    assert listed.to_dict("records") == [{"user_id": "a", "risk": 0.9, "reason_1": "订单数偏低", "reason_2": ""}]


# Outreach


@pytest.fixture(scope="module")
def plan() -> plays.Plan:
    return plays.read(PLAN)


def everyone(n: int = 4_000, state: str = "silent") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "state": state, "days_away": 12.0, "channel": "ads", "platform": "ios", "tenure_days": 60.0, "active_7": 0.0, "active_28": 2.0,
            "active_days": np.arange(n) % 9 + 1.0, "orders": 0.0, "spent": 0.0, "segment": None, "persona": None, "risk": np.nan,
        },
        index=pd.Index([f"u{i:05}" for i in range(n)], name="user_id"),
    )  # fmt: skip


NO_CONTACTS = pd.DataFrame({"user_id": pd.Series(dtype=str), "days_ago": pd.Series(dtype=int)})


def test_each_user_is_in_one_list_the_most_urgent_first_with_a_reason(plan):
    table = everyone(90)
    table.loc[table.index[:10], "orders"] = 2.0
    found = outreach.outreach(table, plan, NO_CONTACTS, as_of="2026-06-28")
    listed = pd.concat(found.lists.values())
    assert listed["user_id"].is_unique and len(listed) == 90
    assert len(found.lists["recall_buyers"]) == 10 and len(found.lists["remind_silent"]) == 80
    silent = found.lists["remind_silent"]
    assert list(silent.columns) == ["user_id", "reason", "priority", "holdout"]
    assert silent["priority"].tolist() == list(range(1, 81)) and silent["reason"].iloc[0] == "12 天没来，此前 9 天活跃"
    audit = found.audit.set_index("play")
    assert audit.at["remind_silent", "elsewhere"] == 10
    parts = audit[["elsewhere", "quiet", "capped", "beyond", "listed"]].sum(axis=1)
    assert (parts == audit["fits"]).all(), "everybody who fits is accounted for"


def test_who_was_contacted_lately_or_often_is_left_alone(plan):
    table = everyone(30)
    lately = pd.DataFrame({"user_id": ["u00000", *["u00001"] * 4, "u00002"], "days_ago": [6, 8, 9, 10, 27, 7]})
    found = outreach.outreach(table, plan, lately, as_of="2026-06-28")
    listed = set(found.lists["remind_silent"]["user_id"])
    assert "u00002" in listed and not listed & {"u00000", "u00001"}
    row = found.audit.set_index("play").loc["remind_silent"]
    assert (row["quiet"], row["capped"], row["listed"]) == (1, 1, 28)


def test_the_hold_out_is_the_share_asked_for_and_can_be_drawn_again_in_any_order(plan):
    table = everyone()
    one = outreach.outreach(table, plan, NO_CONTACTS, as_of="2026-06-28").lists["remind_silent"].set_index("user_id")
    two = outreach.outreach(table.sample(frac=1, random_state=3), plan, NO_CONTACTS, as_of="2026-06-28").lists[
        "remind_silent"
    ]
    assert (one["holdout"] == two.set_index("user_id")["holdout"].reindex(one.index)).all()
    assert abs(one["holdout"].mean() - 0.1) < 4 * np.sqrt(0.09 / 4_000)
    later = outreach.draw(one.index, plan, "remind_silent", "2026-07-26")
    assert abs((later & one["holdout"].to_numpy()).mean() - 0.01) < 0.007, "the next draw does not know this one"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [("days_away}", "days_gone}", "days_away"), ("state:", "stat:", "state"), ("team: marketing", "team: marketin", "marketing"), ("low: 0.0, likely: 0.03", "low: 0.5, likely: 0.03", "low ≤ likely"), ("holdout: 0.1", "holdout: 1.1", "holdout")],
)  # fmt: skip
def test_a_plan_with_a_fault_is_refused_in_one_line(tmp_path, old, new, says):
    text = PLAN.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "outreach.yml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(UsageError, match=says):
        plays.read(path)


def sent(n: int, back: float, held_back: float, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """An earlier list, and who returned since."""
    rng = np.random.default_rng(seed)
    lists = pd.DataFrame(
        {"list": "remind_silent", "user_id": [f"u{i}" for i in range(n)], "holdout": np.arange(n) % 5 == 0}
    )
    came = rng.random(n) < np.where(lists["holdout"], held_back, back)
    return lists, pd.DataFrame({"user_id": lists["user_id"][came], "active": 1, "bought": 0, "spent": 0.0})


def effects_of(*story: float) -> pd.DataFrame:
    table = outreach.outcomes(*sent(*story))
    return stats.correct(stats.difference(table, hits="hits", of="of", base_hits="base_hits", base_of="base_of"))


def test_the_effect_of_the_last_list_is_that_against_its_hold_out(plan):
    table = effects_of(6_000, 0.30, 0.20)
    assert table.at[0, "low"] < 0.10 < table.at[0, "high"] and table.at[0, "of"] == 4_800
    told = users_outreach.effects(table, plan, "2026-05-31")[0]
    assert told.level == "good"
    same = effects_of(6_000, 0.25, 0.25)
    assert users_outreach.effects(same, plan, "2026-05-31")[0].level == "info"
    found = outreach.outreach(everyone(500), plan, NO_CONTACTS, as_of="2026-06-28")
    assumed, measured = outreach.expected(found, plan, 10.0), outreach.expected(found, plan, 10.0, table)
    assert assumed.at[0, "basis"] == "assumed" and measured.at[0, "basis"] == "measured"
    share = measured.at[0, "extra"] / measured.at[0, "contacted"]
    assert 0.01 < share < table.at[0, "diff"], "between what was assumed and what was measured"
    assert measured.at[0, "high"] - measured.at[0, "low"] < assumed.at[0, "high"] - assumed.at[0, "low"]


def test_without_an_earlier_list_or_without_a_hold_out_no_effect_is_told():
    lists, back = sent(100, 0.3, 0.2)
    for earlier, since in ((None, None), (lists.head(0), back), (lists.assign(holdout=False), back)):
        with pytest.raises(TooLittleError):
            outreach.outcomes(earlier, since)
    with pytest.raises(TooLittleError):
        outreach.made(None)


def test_those_of_the_last_list_count_as_contacted_and_its_hold_out_does_not(plan):
    lists, _ = sent(10, 0.3, 0.2)
    lists.attrs["end"] = "2026-06-24"
    made = people.contacts(NO_CONTACTS, lists, as_of="2026-06-28")
    assert set(made["days_ago"]) == {4} and set(made["user_id"]) == set(lists.loc[~lists["holdout"], "user_id"])


def test_one_user_without_orders_gets_a_list_and_nothing_is_made_up(plan):
    now = pd.DataFrame({"user_id": ["a"], "state": ["new"], "days_away": [0]})
    profiles = crowd(1).rename(index={"u00000": "a"})
    who = pd.DataFrame({"user_id": ["a"], "channel": [None], "platform": [None]})
    measures = customers.unscored(
        pd.DataFrame({"user_id": ["a"], "recency": [0], "frequency": [20], "monetary": [45.0]})
    )
    table = people.people(
        who, now, profiles, measures, personas=pd.Series(dtype=object), risks=slipping.unknown(), ordered=False
    )
    assert table.loc["a", ["orders", "spent"]].tolist() == [0, 0] and pd.isna(table.at["a", "risk"])
    found = outreach.outreach(table, plan, NO_CONTACTS, as_of="2026-06-28")
    assert found.lists["onboarding"]["user_id"].tolist() == ["a"] and sum(map(len, found.lists.values())) == 1
    with pytest.raises(TooLittleError):
        people.people(
            who,
            now.head(0),
            profiles,
            measures,
            personas=pd.Series(dtype=object),
            risks=slipping.unknown(),
            ordered=False,
        )


# The truths of the sample


@pytest.fixture(scope="module")
def lived(sampled):
    """Users, daily, orders, events and content of the sample as contract tables on an engine of their own."""
    con = ibis.duckdb.connect()
    raw = {
        n: con.read_parquet(str(sampled.folder / f"{n}.parquet"), table_name=n) for n in ("users", "orders", "content")
    }
    events = con.create_table(
        "e",
        sampled.table("events")[["user_id", "event", "ts", "day", "content_id", "duration_s", "amount"]].astype(
            {"event": str}
        ),
    )
    events = events.mutate(day=events.day.date())
    daily = con.create_table(
        "d", events.group_by("user_id", "day", "event").agg(n=ibis._.count(), first_ts=ibis._.ts.min())
    )
    hours = ibis.interval(hours=int(HOURS / pd.Timedelta(hours=1)))
    users = raw["users"].mutate(registered_day=(raw["users"].registered_at + hours).date())
    orders = raw["orders"].mutate(paid_day=(raw["orders"].paid_at + hours).date())
    return {"users": users, "daily": daily, "orders": orders, "events": events, "content": raw["content"], "con": con}


def test_planted_segments_are_recovered_as_personas_with_their_needs(sampled, lived):
    end, con = sampled.truths["end"], lived["con"]
    asked = segments.profile(lived["users"], lived["daily"], lived["orders"], until=end, offset_hours=8)
    profiles = con.to_pandas(asked).set_index("user_id")
    tastes = con.to_pandas(segments.tastes(lived["events"], lived["content"], until=end))
    acts = behaviour.behaviour(profiles, tastes, least_days=sampled.truths["segments"]["clusterable"])
    found = behaviour.found(acts)
    from sklearn.metrics import adjusted_rand_score

    planted = pd.read_parquet(sampled.folder / sampled.truths["segments"]["file"]).set_index("user_id").segment
    kinds = pd.Series(found.labels, index=acts.shares.index)
    assert found.k == 4 and adjusted_rand_score(planted.reindex(kinds.index), kinds) >= 0.8
    told = voices.answers(sampled.table("survey"), kinds)
    told = told[told.question == "主要用途"].set_index("group").answer
    need = {name: s["need"] for name, s in sampled.truths["segments"]["named"].items()}
    for group in range(4):
        mostly = planted.reindex(kinds.index[kinds == group]).mode()[0]
        assert told[group] == need[mostly]
    traits = behaviour.traits(acts.shares, found.labels)
    assert (
        set(traits.groupby("group").size().index) == {0, 1, 2, 3} and len(set(users_people.names(traits).values())) == 4
    )


@pytest.fixture(scope="module")
def past(sampled, lived) -> pd.DataFrame:
    """Past days of the sample, a fortnight apart, as far back as there are any."""
    asked = segments.slipping(
        lived["users"], lived["daily"], lived["orders"], until=sampled.truths["end"],
        ago=tuple(range(28, 180, 14)), offset_hours=8,
    )  # fmt: skip
    return lived["con"].to_pandas(asked)


@pytest.mark.parametrize("back", [0, 14, 28])
def test_risks_are_calibrated_in_every_tenth_of_later_days_at_several_ends(past, back):
    days = past.assign(ago=past["ago"] - back)
    found = slipping.learn(days[days["ago"].isin(slipping.days_ago(28))]).quality
    assert found.worst["gap"] <= 0.03 and abs(found.slope - 1) < 0.15
    assert found.days >= 4 and found.users < found.n and found.auc_low > 0.8 and found.lift(0.1) > 3


def test_a_day_is_judged_by_what_was_known_on_it(past):
    """The newest 84 days turn into nonsense: what is predicted on the oldest judged days stays the same."""
    days = past[past["ago"].isin(slipping.days_ago(28))]
    spoiled = days.assign(left=days["left"].where(days["ago"] >= 98 + 28, 1 - days["left"]))
    one, two = slipping.learn(days).quality, slipping.learn(spoiled).quality
    oldest = (days["ago"] == 98).sum()
    assert one.days == 6 and (one.p[-oldest:] == two.p[-oldest:]).all()
    assert (one.p[:oldest] != two.p[:oldest]).any()


def test_a_short_history_is_judged_on_one_day_and_a_shorter_one_has_no_model(past):
    found = slipping.learn(past[past["ago"].isin([28, 56])]).quality
    assert found.days == 1 and found.n == (past["ago"] == 28).sum() == found.users
    with speaking("en"), pytest.raises(TooLittleError, match="history is too short"):
        slipping.learn(past[past["ago"] == 28])
