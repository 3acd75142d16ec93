"""Channels, contents and voices of the sample tell the planted stories, found by plain counting."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pandas as pd
import pytest
from sampled import HOURS, day

# ── channels ────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def economics(sampled):
    """Cost, sign-ups, CAC and value by channel, from the tables."""
    users, spend = sampled.table("users"), sampled.table("spend")
    orders = sampled.table("orders").merge(users[["user_id", "channel"]], on="user_id")
    cost = spend[spend.campaign_id.isna()].groupby("channel").cost.sum()
    net = (orders.amount - orders.refunded).groupby(orders.channel).sum()
    found = pd.DataFrame({"signups": users.channel.value_counts(), "cost": cost, "net": net}).fillna(0)
    return found.assign(cac=found.cost / found.signups, ltv=found.net / found.signups)


def test_cost_cac_and_value_of_each_channel_are_the_stated_ones(sampled, economics):
    for name, told in sampled.truths["channels"]["by_name"].items():
        row = economics.loc[name]
        assert (row.signups, round(row.cost, 2)) == (told["signups"], told["cost"])
        assert row.cac == pytest.approx(told["cac"]) and row.ltv == pytest.approx(told["ltv"], rel=1e-4)


def test_one_paid_channel_costs_more_than_it_brings_and_the_others_do_not(sampled, economics):
    paid = set(sampled.table("spend").query("kind == 'paid'").channel)
    rate = (economics.ltv / economics.cac)[sorted(paid)]
    assert (
        rate[sampled.truths["channels"]["no_gain"]] < 0.5 < 1.5 < rate.drop(sampled.truths["channels"]["no_gain"]).min()
    )


def test_paid_sign_ups_follow_the_stated_saturation(sampled):
    users, spend = sampled.table("users"), sampled.table("spend")
    broken = sampled.truths["channels"]["tracking_break"]
    registered = (users.registered_at + HOURS).dt.normalize()
    for name, told in sampled.truths["channels"]["by_name"].items():
        if "response" not in told:
            continue
        cost = spend[(spend.channel == name) & spend.campaign_id.isna()].set_index("day").cost
        cost.index = pd.to_datetime(cost.index)
        if name == "wechat_ads":
            cost.loc[day(sampled.truths["channels"]["spend_spike"]["day"])] /= 5
        curve = told["response"]
        expected = curve["max_signups_per_day"] * cost / (cost + curve["half_spend"])
        if name == broken["channel"]:
            expected = expected.drop(pd.date_range(broken["start"], broken["end"]))
        seen = registered[users.channel == name].value_counts().reindex(expected.index, fill_value=0)
        assert abs(seen.sum() / expected.sum() - 1) < 0.08, name
        high = cost.reindex(expected.index) > cost.median()
        assert abs(seen[high].sum() / expected[high].sum() - 1) < 0.1, name


def test_the_tracking_break_and_the_spend_spike_are_where_they_are_said(sampled):
    told = sampled.truths["channels"]["tracking_break"]
    users = sampled.table("users")
    registered = (users.registered_at + HOURS).dt.normalize()
    gone = users[(users.channel == told["channel"]) & registered.between(day(told["start"]), day(told["end"]))]
    assert len(gone) == 0 < told["signups"]
    spend = sampled.table("spend").query("channel == @told['channel']").set_index("day").cost
    assert (spend.loc[dt.date.fromisoformat(told["start"]) : dt.date.fromisoformat(told["end"])] > 0).all()
    spike = sampled.truths["channels"]["spend_spike"]
    cost = sampled.table("spend").query("channel == @spike['channel'] and campaign_id.isna()").set_index("day").cost
    place = list(cost.index).index(dt.date.fromisoformat(spike["day"]))
    assert cost.iloc[place] > 3.5 * cost.iloc[place - 1]


def test_the_last_touch_before_arriving_is_the_channel_of_the_first_visit(sampled):
    touches = sampled.table("touches").sort_values("ts")
    first = sampled.did("app_open").sort_values("ts").drop_duplicates("user_id").set_index("user_id")
    members = sampled.ring_members
    before = touches[touches.ts.to_numpy() < first.ts.reindex(touches.user_id).to_numpy()]
    last = before.drop_duplicates("user_id", keep="last").set_index("user_id").channel
    assert set(first.index) - set(last.index) <= members | set(first.index[:50])
    assert (last == first.channel.reindex(last.index).astype(str)).mean() > 0.999


# ── content ─────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def items(sampled):
    found = {name: sampled.did(name).content_id.value_counts() for name in ("impression", "click", "read", "complete")}
    return pd.DataFrame(found).fillna(0)


def test_duds_are_shown_much_and_opened_little_gems_the_other_way_round(sampled, items):
    rate = items.click / items.impression
    finished = items.complete / items["read"]
    shown = items.impression
    duds, gems = sampled.truths["content"]["duds"], sampled.truths["content"]["gems"]
    usual = items[(shown >= 200) & ~items.index.isin(duds + gems)].index
    assert shown[duds].min() > 1000 and rate[duds].max() < rate[usual].quantile(0.1)
    assert rate[gems].mean() > rate[usual].quantile(0.95) and finished[gems].mean() > finished[usual].quantile(0.85)
    assert shown[gems].median() < 0.3 * shown[duds].median()


def test_at_equal_positions_the_algorithm_beats_the_editor_though_not_in_the_raw_rates(sampled):
    shown, opened = (
        sampled.did(e).groupby(["placement", "position"], observed=True).size() for e in ("impression", "click")
    )
    raw = opened.groupby("placement", observed=True).sum() / shown.groupby("placement", observed=True).sum()
    assert raw["algorithm"] < raw["editorial"]
    total = shown["algorithm"] + shown["editorial"]
    top = (opened["algorithm"] * shown["editorial"] / total).sum()
    bottom = (opened["editorial"] * shown["algorithm"] / total).sum()
    error = math.sqrt(1 / opened["algorithm"].sum() + 1 / opened["editorial"].sum())
    assert abs(math.log(top / bottom / sampled.truths["content"]["algorithm_lift"])) < 3 * error


def test_the_examination_of_each_position_is_the_stated_one(sampled):
    shown, opened = (
        sampled.did(e).groupby(["placement", "position"], observed=True).size() for e in ("impression", "click")
    )
    shown, opened = shown.unstack("placement"), opened.unstack("placement")
    ratio = opened.sum(axis=1) / (shown * (opened / shown).loc[0]).sum(axis=1)
    error = ratio / np.sqrt(opened.sum(axis=1))
    assert ((ratio - sampled.truths["content"]["examination"]).abs() < 4 * error).all() and error.max() < 0.02


def test_exposure_halves_after_the_stated_half_life(sampled):
    content = sampled.table("content").set_index("content_id")
    age = (
        sampled.did("impression").ts - content.published_at.reindex(sampled.did("impression").content_id).to_numpy()
    ).dt.days
    category = content.category.reindex(sampled.did("impression").content_id).to_numpy()
    old = (
        sampled.did("impression").content_id.isin(content.index[:32]).to_numpy()
    )  # the classics that carry the first weeks
    for name, days in sampled.truths["content"]["half_life_days"].items():
        by_age = age[(category == name) & ~old].value_counts().sort_index().loc[1 : int(3 * days)]
        slope = np.polyfit(by_age.index, np.log(by_age), 1, w=np.sqrt(by_age))[0]
        # Long-lived items run into the end of the data, which shortens what is seen of them.
        assert 0.6 < math.log(0.5) / slope / days < 1.25, name


def test_the_rising_topic_rises(sampled):
    told = sampled.truths["content"]["rising_topic"]
    theirs = set(sampled.table("content").query("topic == @told['topic']").content_id)
    assert theirs == set(told["items"])
    days = sampled.did("impression").loc[sampled.did("impression").content_id.isin(theirs), "day"]
    last = day(sampled.truths["end"])
    assert (days > last - pd.Timedelta(days=7)).sum() > 2 * (days <= last - pd.Timedelta(days=7)).sum()


# ── people and what they say ────────────────────────────────────────────────


@pytest.fixture(scope="module")
def people(sampled):
    return pd.read_parquet(sampled.folder / sampled.truths["segments"]["file"]).set_index("user_id")


def test_segments_show_in_what_people_read(sampled, people):
    """The nearest of the segments' tastes tells four users in five of those with enough days."""
    from sklearn.metrics import adjusted_rand_score

    category = (
        sampled.table("content").set_index("content_id").category.reindex(sampled.did("read").content_id).to_numpy()
    )
    taste = pd.crosstab(sampled.did("read").user_id, category, normalize="index")
    known = people[people.active_days >= sampled.truths["segments"]["clusterable"]].join(taste, how="inner")
    columns = list(taste.columns)
    centre = known.groupby("segment")[columns].mean()
    distance = ((known[columns].to_numpy()[:, None] - centre.to_numpy()[None]) ** 2).sum(axis=2)
    assert adjusted_rand_score(known.segment, centre.index[distance.argmin(axis=1)]) > 0.8


def test_most_of_those_asked_name_the_need_of_their_segment(sampled, people):
    said = sampled.table("survey").query("question == '主要用途'").set_index("user_id").answer
    need = {name: told["need"] for name, told in sampled.truths["segments"]["named"].items()}
    right = said == people.segment.reindex(said.index).map(need).astype(str)
    assert abs(right.mean() - (0.85 + 0.15 / 4)) < 0.05


def test_one_segment_is_shown_what_it_does_not_finish(sampled, people):
    told = sampled.truths["content"]["mismatch"]
    content = sampled.table("content").set_index("content_id").category
    counts = {}
    for name in ("impression", "read", "complete"):
        rows = sampled.did(name)[sampled.did(name).user_id.isin(people.index[people.segment == told["segment"]])]
        counts[name] = pd.Series(content.reindex(rows.content_id).to_numpy()).value_counts()
    shown = counts["impression"] / counts["impression"].sum()
    finished = counts["complete"] / counts["read"]
    much, little = told["shown_too_much"], told["shown_too_little"]
    assert shown[much] > shown[little] > 0.1 and finished[little] > 2 * finished[much]


def test_a_fix_makes_its_topic_fade_and_another_changes_nothing(sampled):
    told, rows = sampled.truths["feedback"], sampled.table("feedback").dropna(subset="topic")
    local = (rows.ts + HOURS).dt.normalize()

    for name in ("fixed", "shipped_without_effect", "new_problem"):
        story = told[name]
        release = day(story["day"])
        for when, start in (("before", release - pd.Timedelta(days=21)), ("after", release + pd.Timedelta(days=3))):
            inside = rows.topic[(local >= start) & (local < start + pd.Timedelta(days=21))] == story["topic"]
            error = math.sqrt(story[when] * (1 - story[when]) / len(inside))
            assert abs(inside.mean() - story[when]) < 3 * error < 0.1, (name, when)
    shipped = rows[rows.status == "shipped"]
    assert set(shipped.topic) == {told["fixed"]["topic"], told["shipped_without_effect"]["topic"]}
    assert (shipped.resolved_at > shipped.ts).all() and rows[rows.status != "shipped"].resolved_at.isna().all()


def test_user_text_that_a_careless_page_would_run_is_there_as_text(sampled):
    titles, voices = (
        sampled.table("content").set_index("content_id").title,
        sampled.table("feedback").set_index("feedback_id").text,
    )
    for id, words in sampled.truths["hostile"]["content"].items():
        assert titles[id] == words
    for id, words in sampled.truths["hostile"]["feedback"].items():
        assert voices[id] == words
    everything = " ".join(
        [*sampled.truths["hostile"]["content"].values(), *sampled.truths["hostile"]["feedback"].values()]
    )
    assert "<script>" in everything and "=HYPERLINK(" in everything and "\u202e" in everything


def test_past_decisions_carry_outcomes_only_when_done(sampled):
    actions = sampled.table("actions")
    assert set(actions.status) == {"proposed", "accepted", "rejected", "done"}
    assert actions.outcome[actions.status != "done"].isna().all()
