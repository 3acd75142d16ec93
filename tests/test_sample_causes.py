"""The planted causes, rings and experiments are in the sample's rows, found by plain counting."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from sampled import HOURS, day


def z_of(hits_a, of_a, hits_b, of_b) -> float:
    """The pooled two-proportion z."""
    pooled = (hits_a + hits_b) / (of_a + of_b)
    return (hits_a / of_a - hits_b / of_b) / math.sqrt(pooled * (1 - pooled) * (1 / of_a + 1 / of_b))


# ── why day-1 retention fell ────────────────────────────────────────────────


@pytest.mark.parametrize("base", ["visitors", "registered"])
def test_day_1_retention_falls_as_planted(sampled, base):
    drop = sampled.truths["d1_drop"] if base == "visitors" else sampled.truths["d1_drop"]["registered"]
    counted = (
        sampled.firsts
        if base == "visitors"
        else sampled.firsts[sampled.firsts.index.isin(sampled.table("users").user_id)]
    )
    seen = {}
    for when in ("before", "after"):
        inside = counted[counted["first"].between(day(drop[when]["start"]), day(drop[when]["end"]))]
        seen[when] = inside.d1.mean()
        assert abs(inside.d1.mean() - drop[when]["d1"]) < 3 * inside.d1.sem()
    assert seen["after"] - seen["before"] < -0.05
    assert abs(sum(c["contribution"] for c in drop["causes"]) - drop["change"]) < 0.01


def test_each_cause_of_the_drop_is_in_the_data_and_explains_its_part(sampled):
    drop = sampled.truths["d1_drop"]
    causes = {c["kind"]: c for c in drop["causes"]}
    arrivals = sampled.did("app_open").sort_values("ts").drop_duplicates("user_id").set_index("user_id")
    found = sampled.firsts.join(arrivals[["channel", "platform", "props"]])
    old, new = (found[found["first"].between(day(drop[w]["start"]), day(drop[w]["end"]))] for w in ("before", "after"))

    mix = causes["mix"]
    assert abs((new.channel == "douyin_feed").mean() - mix["share_after"]) < 0.005
    assert mix["share_after"] > 2 * mix["share_before"]
    shares = [x.channel.value_counts(normalize=True) for x in (old, new)]
    rates = found[found["first"] < day(drop["after"]["start"])].groupby("channel", observed=True).d1.mean()
    assert abs(((shares[1] - shares[0]) * rates).sum() - mix["contribution"]) < 0.01

    fault = causes["rate"]
    registered = new[new.index.isin(sampled.table("users").user_id)]
    verified = registered.index.isin(sampled.did("verify_phone").user_id)
    hit = ((registered.platform == "android") & registered.props.str.contains(fault["version"])).to_numpy(bool)
    assert abs(verified[hit].mean() - fault["rate_broken"]) < 0.04
    assert abs(verified[~hit].mean() - fault["rate_before"]) < 0.03
    share = hit.sum() / len(new)
    lost = share * (fault["rate_before"] - fault["rate_broken"])
    kept = registered.d1[verified].mean() - registered.d1[~verified].mean()
    assert abs(-lost * kept - fault["contribution"]) < 0.015


# ── the cheating rings, and the invitation campaign ─────────────────────────


def test_rings_share_devices_register_in_bursts_and_never_come_back(sampled):
    users, events = sampled.table("users").set_index("user_id"), sampled.table("events")
    rings = sampled.truths["campaigns"]["rings"]
    assert sum(len(r["members"]) for r in rings) == 106
    for ring in rings:
        rows = users.loc[ring["members"]]
        assert rows.device_id.nunique() <= 3
        burst = rows.registered_at[1:]
        assert burst.max() - burst.min() < pd.Timedelta(hours=1)
        assert set(rows.inviter_id[1:]) == {ring["leader"]}
        theirs = events[events.user_id.isin(ring["members"])]
        assert theirs.day.max() - theirs.day.min() <= pd.Timedelta(days=2)
        assert not theirs.event.isin(["read", "pay"]).any()


def test_shared_devices_and_addresses_alone_do_not_convict(sampled):
    """Families share a device, dormitories and carriers an address; one ring hides behind a dormitory."""
    members = sampled.ring_members
    users, opened = sampled.table("users"), sampled.table("events").query("event == 'app_open'")
    per_device = users.groupby("device_id").user_id.transform("size")
    assert ((per_device > 1) & ~users.user_id.isin(members)).mean() > 0.02
    honest = opened[~opened.user_id.isin(members)]
    crowded = honest.groupby("ip").user_id.nunique().sort_values().index[-20:]
    assert honest.groupby("ip").user_id.nunique().max() > 100
    assert set(opened[opened.user_id.isin(members)].ip) & set(crowded)


def test_invitations_give_the_planted_k_with_and_without_rings(sampled):
    told = sampled.truths["campaigns"]["referral"]
    sent = sampled.did("invite")[sampled.did("invite").campaign_id == told["campaign_id"]]
    campaign = sampled.table("campaigns").set_index("campaign_id").loc[told["campaign_id"]]
    members = sampled.ring_members
    came = sampled.table("users").dropna(subset="inviter_id")
    came = came[came.registered_at.between(campaign.starts_at, campaign.ends_at + pd.Timedelta(days=14))]

    def k(honest: bool) -> float:
        hosts = set(sent.user_id) - (members if honest else set())
        return came.inviter_id.isin(hosts).sum() / len(hosts)

    assert abs(k(True) - told["k_honest"]) < 0.1 and abs(k(False) - told["k_all"]) < 0.1
    assert told["k_all"] > told["k_honest"] + 0.05
    claimed = sampled.did("claim_reward")[sampled.did("claim_reward").user_id.isin(members)].amount.sum()
    assert claimed == told["rewards_to_rings"]


# ── experiments ─────────────────────────────────────────────────────────────


def arms_of(sampled, id: str) -> dict[str, set[str]]:
    rows = sampled.table("exposures").query("experiment_id == @id")
    return {variant: set(g.user_id) for variant, g in rows.groupby("variant")}


def split_p(arms: dict[str, set[str]], split: dict[str, float]) -> float:
    """The chi-square test of the split (one degree of freedom for two arms, two for three)."""
    from scipy.stats import chisquare

    n = [len(arms[v]) for v in split]
    return float(chisquare(n, [sum(n) * share for share in split.values()]).pvalue)


def test_only_the_broken_test_has_a_broken_split(sampled):
    for id, told in sampled.truths["experiments"].items():
        arms = arms_of(sampled, id)
        assert json.loads(sampled.table("experiments").set_index("experiment_id").split[id]) == told["split"]
        p = split_p(arms, told["split"])
        assert p < 0.001 if told["broken"] else p > 0.01, id
        both = set.intersection(*arms.values())
        assert bool(both) == told["broken"]


def test_the_onboarding_test_has_its_effect_on_activation(sampled):
    told, arms = sampled.truths["experiments"]["exp_onboarding"], arms_of(sampled, "exp_onboarding")
    activated = set(sampled.did("activate").user_id)
    n, m = len(arms["one_step"]), len(arms["control"])
    a, b = len(arms["one_step"] & activated), len(arms["control"] & activated)
    error = math.sqrt(a / n * (1 - a / n) / n + b / m * (1 - b / m) / m)
    assert abs(a / n - b / m - told["effect"]) < 2.6 * error
    assert z_of(a, n, b, m) > 3


def test_the_ranking_test_lifts_finishing_and_a_pre_period_sharpens_it(sampled):
    told = sampled.truths["experiments"]["exp_ranking"]
    rows = sampled.table("exposures").query("experiment_id == 'exp_ranking'").set_index("user_id")
    test = sampled.table("experiments").set_index("experiment_id").loc["exp_ranking"]
    finished, read = sampled.did("complete"), sampled.did("read")

    def counts(events, since, until) -> pd.Series:
        moved = events[events.user_id.isin(rows.index)]
        start = pd.Series(moved.user_id.map(since).to_numpy(), moved.index)
        stop = until if isinstance(until, pd.Timestamp) else pd.Series(moved.user_id.map(until).to_numpy(), moved.index)
        inside = moved[(moved.ts >= start) & (moved.ts < stop)]
        return inside.user_id.value_counts().reindex(rows.index, fill_value=0)

    after, opened = counts(finished, rows.ts, test.ends_at), counts(read, rows.ts, test.ends_at)
    before = counts(finished, rows.ts - pd.Timedelta(days=28), rows.ts)
    treated = (rows.variant == "finish_rate").to_numpy()
    ratio = after[treated].sum() / opened[treated].sum() / (after[~treated].sum() / opened[~treated].sum())
    assert abs(ratio - told["finish_ratio"]) < 0.1
    theta = np.cov(after, before)[0, 1] / before.var()
    adjusted = after - theta * (before - before.mean())
    assert adjusted.var() < 0.9 * after.var()
    gain = adjusted[treated].mean() - adjusted[~treated].mean()
    assert gain > 2.5 * math.sqrt(adjusted[treated].var() / treated.sum() + adjusted[~treated].var() / (~treated).sum())


def test_more_cash_makes_more_users_join(sampled):
    told, arms = sampled.truths["experiments"]["exp_reward"], arms_of(sampled, "exp_reward")
    joined = set(sampled.did("join_campaign").query("campaign_id == @told['campaign_id']").user_id)
    rates = {v: len(users & joined) / len(users) for v, users in arms.items()}
    assert abs(rates["cash_5"] / rates["cash_2"] - told["join_ratio"]) < 0.35
    n = {v: len(users) for v, users in arms.items()}
    assert z_of(rates["cash_5"] * n["cash_5"], n["cash_5"], rates["cash_2"] * n["cash_2"], n["cash_2"]) > 3


def test_the_copy_test_has_no_effect(sampled):
    arms = arms_of(sampled, "exp_copy")
    exposed = sampled.table("exposures").query("experiment_id == 'exp_copy'").set_index("user_id").ts
    clicks = sampled.did("click")[sampled.did("click").user_id.isin(exposed.index)]
    clicked = set(clicks.user_id[clicks.ts.to_numpy() > exposed.reindex(clicks.user_id).to_numpy()])
    hits = {v: len(users & clicked) for v, users in arms.items()}
    for variant in ("emoji", "question"):
        assert abs(z_of(hits[variant], len(arms[variant]), hits["plain"], len(arms["plain"]))) < 2.6


def test_the_hold_out_shows_the_campaigns_increment(sampled):
    told = sampled.truths["campaigns"]["holdout"]
    arms = arms_of(sampled, told["experiment_id"])
    campaign = sampled.table("campaigns").set_index("campaign_id").loc[told["campaign_id"]]
    orders = sampled.table("orders")
    buyers = set(orders.user_id[orders.paid_at.between(campaign.starts_at, campaign.ends_at)])
    n, m = len(arms["treated"]), len(arms["holdout"])
    a, b = len(arms["treated"] & buyers) / n, len(arms["holdout"] & buyers) / m
    error = math.sqrt(a * (1 - a) / n + b * (1 - b) / m)
    assert n == told["treated"] and told["realised"] == pytest.approx(told["extra_buyers"] / n)
    assert abs(a - b - told["realised"]) < 2.6 * error and (a - b) / error > 2
    assert abs(told["realised"] - told["lift_of_non_buyers"] * (1 - b)) < 0.012
    members = set(sampled.did("join_campaign").query("campaign_id == @told['campaign_id']").user_id)
    assert not members & arms["holdout"]


def test_a_campaign_that_still_runs_ends_after_the_data(sampled):
    campaigns = sampled.table("campaigns").set_index("campaign_id")
    last = day(sampled.truths["end"]) + pd.Timedelta(days=1) - HOURS
    assert sampled.truths["campaigns"]["running"] == list(campaigns.index[campaigns.ends_at > last])


def test_reward_cost_is_what_was_claimed_or_rebated(sampled):
    claimed = sampled.did("claim_reward").groupby("campaign_id", observed=False).amount.sum()
    campaigns = sampled.table("campaigns").set_index("campaign_id")
    for id in ("c02_spring_cards", "c03_invite", "c05_check_in", "c06_summer"):
        assert campaigns.reward_cost[id] == claimed[id] > 0
    sold = sampled.table("orders").campaign_id.value_counts()
    assert campaigns.reward_cost["c04_member_day"] == 8 * sold["c04_member_day"]
