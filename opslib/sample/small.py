"""The tables that hardly grow: content, campaigns, experiments, spend, decisions, a tracker's numbers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from opslib.sample import files, texts
from opslib.sample.draws import stream
from opslib.sample.files import CHANNEL_NAMES, content_ids
from opslib.sample.people import Demand
from opslib.sample.plan import CAMPAIGNS, CATEGORIES, CHANNEL, CHANNELS, DAY, EXPERIMENTS, SELLS, Calendar
from opslib.sample.truths import content_names
from opslib.sample.world import Tally, World

BREAK_WEEK, BREAK_DAYS = 24, 4  # sign-ups of baidu_search were booked as direct
SPIKE_WEEK = 12  # one day's cost of wechat_ads was five times too high


def before(world: World, spent: Demand) -> dict[str, Any]:
    """Flaws of the channels' book-keeping, put in before anybody acts: where they are."""
    calendar, p = world.calendar, world.people
    start = calendar.back(BREAK_WEEK, 1)
    lost = (p.channel == CHANNEL["baidu_search"]) & (p.day >= start) & (p.day < start + BREAK_DAYS)
    p.channel[lost] = CHANNEL["direct"]
    spike = calendar.back(SPIKE_WEEK, 2)
    spent.cost[spike, CHANNEL["wechat_ads"]] *= 5
    return {
        "tracking_break": {
            "channel": "baidu_search", "booked_as": "direct", "start": calendar.iso(start),
            "end": calendar.iso(start + BREAK_DAYS - 1), "signups": int((lost & p.registered).sum()),
        },
        "spend_spike": {"channel": "wechat_ads", "day": calendar.iso(spike), "factor": 5},
    }  # fmt: skip


def write(world: World, spent: Demand, tally: Tally, marks: dict[str, Any], out: files.Writers) -> None:
    """Write them all; `marks` gains the ids of the titles that a careless page would run."""
    marks["titles"] = _write_content(world, out)
    _write_campaigns(world, tally, out)
    _write_experiments(world.calendar, out)
    _write_spend(world, spent, out)
    _write_actions(world.calendar, out)
    _write_daily_stats(world, tally, out)


def _write_content(world: World, out: files.Writers) -> dict[str, str]:
    items, rng = world.items, stream(world.seed, "titles")
    n = len(items)
    form, issue = rng.integers(0, len(texts.TITLES), n), rng.integers(3, 60, n)
    topics = [texts.TOPICS[c][t] for c, t in zip(items.category, items.topic, strict=True)]
    titles = [texts.TITLES[f].format(topic=t, n=i) for f, t, i in zip(form, topics, issue, strict=True)]
    plain = np.flatnonzero(~items.dud & ~items.gem & (items.day >= world.calendar.days - 40))
    hostile = np.concatenate([plain[:2], np.flatnonzero(items.gem)[:1]])  # one of them leads a list
    for place, words in zip(hostile, texts.HOSTILE_TITLES, strict=True):
        titles[place] = words
    out.write(
        "content",
        {
            "content_id": content_ids(n),
            "published_at": files.times(items.published),
            "title": titles,
            "author_id": files.numbered("a", items.author, 5),
            "source": files.words(items.pgc.astype(int), ["UGC", "PGC"]),
            "category": files.words(items.category, list(CATEGORIES)),
            "originality": files.numbers(items.originality),
            "topic": topics,
        },
    )
    return dict(zip(content_names(hostile), texts.HOSTILE_TITLES, strict=True))


def _write_campaigns(world: World, tally: Tally, out: files.Writers) -> None:
    calendar = world.calendar
    start = np.array([calendar.midnight + calendar.back(c.week) * DAY for c in CAMPAIGNS])
    sells = np.array([c.reward if c.kind in SELLS else 0.0 for c in CAMPAIGNS])
    factor = world.users / 20_000
    out.write(
        "campaigns",
        {
            "campaign_id": [c.id for c in CAMPAIGNS],
            "name": [c.name for c in CAMPAIGNS],
            "kind": [c.kind for c in CAMPAIGNS],
            "stage": [c.stage for c in CAMPAIGNS],
            "starts_at": files.times(start),
            "ends_at": files.times(start + np.array([c.length for c in CAMPAIGNS]) * DAY),
            "goal_metric": [c.goal_metric for c in CAMPAIGNS],
            "goal_value": [float(round(c.goal * factor)) for c in CAMPAIGNS],
            "budget": [float(round(c.budget * factor)) for c in CAMPAIGNS],
            "reward_cost": files.numbers(np.round(tally.claimed + sells * tally.sold, 2)),
            "audience": [c.audience for c in CAMPAIGNS],
        },
    )


def _write_experiments(calendar: Calendar, out: files.Writers) -> None:
    start = np.array([calendar.midnight + calendar.back(e.week) * DAY for e in EXPERIMENTS])
    out.write(
        "experiments",
        {
            "experiment_id": [e.id for e in EXPERIMENTS],
            "name": [e.name for e in EXPERIMENTS],
            "starts_at": files.times(start),
            "ends_at": files.times(start + np.array([e.length for e in EXPERIMENTS]) * DAY),
            "control": [e.split[0][0] for e in EXPERIMENTS],
            "split": [json.dumps(dict(e.split)) for e in EXPERIMENTS],
            "metric": [e.metric for e in EXPERIMENTS],
        },
    )


def _write_spend(world: World, spent: Demand, out: files.Writers) -> None:
    """Cost by day and channel; `direct` and `referral` cost nothing and have no row; campaigns have their own."""
    calendar, rng = world.calendar, stream(world.seed, "spend")
    bought = [i for i, c in enumerate(CHANNELS) if c.cac > 0]
    day, channel = np.repeat(np.arange(calendar.days), len(bought)), np.tile(bought, calendar.days)
    cost = np.round(spent.cost[day, channel], 2)
    rate = np.array([c.click_rate for c in CHANNELS])[channel]
    clicks = rng.poisson(spent.signups[day, channel] * 3.2)
    shown = np.maximum(rng.poisson(clicks / rate), clicks)
    extra = [(calendar.back(c.week) + d, c) for c in CAMPAIGNS if c.budget for d in range(c.length)]
    extra = [(d, c) for d, c in extra if 0 <= d < calendar.days]
    daily = [round(0.1 * c.budget * world.users / 20_000 / c.length, 2) for _, c in extra]
    mp = CHANNEL["wechat_mp"]
    out.write(
        "spend",
        {
            "day": files.dates(calendar.epoch_day + np.concatenate([day, [d for d, _ in extra]]).astype(int)),
            "channel": files.words(np.concatenate([channel, [mp] * len(extra)]).astype(int), CHANNEL_NAMES),
            "kind": [CHANNELS[int(i)].kind for i in channel] + [CHANNELS[mp].kind] * len(extra),
            "campaign_id": [None] * len(day) + [c.id for _, c in extra],
            "cost": files.numbers(np.concatenate([cost, daily])),
            "impressions": files.integers(np.concatenate([shown, np.full(len(extra), -1)])),
            "clicks": files.integers(np.concatenate([clicks, np.full(len(extra), -1)])),
        },
    )


def _write_actions(calendar: Calendar, out: files.Writers) -> None:
    weeks, reports, teams, titles, evidence, metrics, baselines, targets, statuses, outcomes = zip(
        *texts.ACTIONS, strict=True
    )
    day = np.array([calendar.back(w, 1) for w in weeks])
    out.write(
        "actions",
        {
            "action_id": [f"act{i:03d}" for i in range(1, len(weeks) + 1)],
            "proposed_on": files.dates(calendar.epoch_day + day),
            "report": list(reports),
            "team": list(teams),
            "title": list(titles),
            "evidence": list(evidence),
            "metric": list(metrics),
            "baseline": list(baselines),
            "target": list(targets),
            "due_on": files.dates(calendar.epoch_day + day + 21),
            "status": list(statuses),
            "outcome": list(outcomes),
        },
    )


def _write_daily_stats(world: World, tally: Tally, out: files.Writers) -> None:
    """What a statistics service would show for the same product: totals by day, and new users by channel."""
    calendar, p = world.calendar, world.people
    days = calendar.days
    new = np.zeros((days, len(CHANNELS)), int)
    np.add.at(new, (p.day[p.registered], p.channel[p.registered]), 1)
    day = np.arange(days)
    rows: list[tuple[np.ndarray, str, str | None, np.ndarray]] = [
        (day, "active_users", None, tally.active),
        (day, "launches", None, tally.launches),
        (day, "new_users", None, new.sum(axis=1)),
    ]
    rows += [(day, "new_users", name, new[:, i]) for i, name in enumerate(CHANNEL_NAMES)]
    out.write(
        "daily_stats",
        {
            "day": files.dates(calendar.epoch_day + np.tile(day, len(rows))),
            "metric": [metric for _, metric, _, _ in rows for _ in range(days)],
            "channel": [channel for _, _, channel, _ in rows for _ in range(days)],
            "version": files.words(np.full(days * len(rows), -1), ["-"]),
            "value": files.numbers(np.concatenate([v for *_, v in rows])),
        },
    )
