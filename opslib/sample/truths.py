"""What was planted, in numbers: the keys of `truths.json`.

Days are local ISO dates, shares and rates between 0 and 1, money in CNY. `expected` is what the plan says, `realised`
what the counterfactual of this very sample says.

- `seed`, `users`, `visitors`, `weeks`, `start`, `end`, `zone`: how it was made; `rows`: rows of each table.
- `d1_drop`: `before` and `after` (first and last day, expected day-1 retention of first visits), `change`, and
  `causes`: each with `dimension`, `value`, `kind` (mix or rate), `starts`, `contribution`, largest first;
  `registered`: the same among those who registered.
- `segments`: `file` (a Parquet of user_id, segment, ring, active_days), their labels, needs and shares;
  `clusterable`: the least number of active days from which behaviour tells a segment.
- `content`: `duds`, `gems` (content ids), `algorithm_lift` (open rate over editorial's, same item and position),
  `examination` by position, `half_life_days` by category, `pgc_finish_ratio`, `mismatch`, `rising_topic`.
- `experiments`: by id its `split`, `metric`, and what was planted: `rates`, `effect`, `broken`, or `null`.
- `campaigns`: `holdout` (`realised`: share of the treated who bought only because of it; their number and revenue),
  `referral` (K with and without rings), `rings`, `running`.
- `channels`: by name its kind, cost, signups, cac, revenue, ltv, response (`max_signups_per_day`, `half_spend`);
  `no_gain`, `tracking_break`, `spend_spike`.
- `feedback`: topics with `before` and `after` shares around a release; `shipped_without_effect`; `wish`.
- `releases`, `quality` (duplicates, late rows), `hostile` (ids → text).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from opslib.sample import plan, texts, voices
from opslib.sample.behaviour import first_day_chance
from opslib.sample.catalogue import EXAMINED, HALF_LIFE, OPEN_FACTOR, PGC_FINISH, RISING
from opslib.sample.people import Demand, People, comes_back
from opslib.sample.plan import CAMPAIGN, CAMPAIGNS, CATEGORIES, CHANNEL, CHANNELS, EXPERIMENTS, SEGMENTS
from opslib.sample.world import Tally, World

USERS_FILE = "truths_users.parquet"


def truths(world: World, demand: Demand, tally: Tally, rows: dict[str, int], marks: dict[str, Any]) -> dict[str, Any]:
    """Every planted truth of this sample; see the module's text for the keys."""
    calendar = world.calendar
    return {
        "seed": world.seed,
        "users": world.users,
        "visitors": len(world.people),
        "weeks": calendar.days // 7,
        "start": calendar.iso(0),
        "end": calendar.iso(calendar.days - 1),
        "zone": plan.ZONE,
        "rows": rows,
        "d1_drop": _drop(world),
        "segments": _segments(),
        "content": _content(world),
        "experiments": _experiments(world),
        "campaigns": _campaigns(world, tally),
        "channels": _channels(world, demand, tally)
        | {"tracking_break": marks["tracking_break"], "spend_spike": marks["spend_spike"]},
        "feedback": _feedback(world),
        "releases": {
            v: {"day": calendar.iso(max(0, d)), "note": n}
            for (v, _, n), d in zip(plan.RELEASES, plan.release_days(calendar), strict=True)
        },
        "quality": {"duplicate_events": tally.twice, "late_events": tally.late},
        "hostile": {"content": marks["titles"], "feedback": tally.hostile},
    }


def _drop(world: World) -> dict[str, Any]:
    """The drop seen on first visits, and the same on those who registered."""
    everyone = _drop_of(world, np.ones(len(world.people), bool))
    return everyone | {"registered": _drop_of(world, world.people.registered)}


def _drop_of(world: World, base: np.ndarray) -> dict[str, Any]:
    """Expected day-1 retention of the `base` around the drop: the change of channels, then the broken release on top."""
    calendar, p = world.calendar, world.people
    start = calendar.back(plan.DROP_WEEK)
    length = calendar.days - start
    before = base & (p.day >= start - length) & (p.day < start)
    after = base & (p.day >= start) & (p.day < calendar.days - 1)
    reach = first_day_chance(p)
    sound, broken = comes_back(p, broken=False) * reach, comes_back(p) * reach
    old, new = _shares(p, before), _shares(p, after)
    both = before | after
    people = np.bincount(p.channel[both], minlength=len(CHANNELS))
    rate = np.bincount(p.channel[both], sound[both], minlength=len(CHANNELS)) / np.maximum(people, 1)
    feed = CHANNEL["douyin_feed"]
    android = p.registered & (p.platform == plan.PLATFORMS.index("android"))
    causes: list[dict[str, Any]] = [
        {
            "dimension": "channel", "value": "douyin_feed", "kind": "mix", "starts": calendar.iso(start),
            "share_before": float(old[feed]), "share_after": float(new[feed]),
            "contribution": float(((new - old) * rate).sum()),
        },
        {
            "dimension": "platform", "value": "android", "kind": "rate", "step": "verify_phone", "version": plan.BROKEN,
            "starts": calendar.iso(voices.release_day(calendar, plan.BROKEN)), "rate_before": plan.VERIFIES,
            "rate_broken": plan.VERIFIES_BROKEN, "share_broken": float(p.on_release[android & after].mean()),
            "contribution": float((broken - sound)[after].mean()),
        },
    ]  # fmt: skip
    d1 = float(sound[before].mean()), float(broken[after].mean())
    return {
        "before": {"start": calendar.iso(start - length), "end": calendar.iso(start - 1), "d1": d1[0]},
        "after": {"start": calendar.iso(start), "end": calendar.iso(calendar.days - 2), "d1": d1[1]},
        "change": d1[1] - d1[0],
        "causes": sorted(causes, key=lambda c: c["contribution"]),
    }


def _shares(p: People, rows: np.ndarray) -> np.ndarray:
    return np.asarray(np.bincount(p.channel[rows], minlength=len(CHANNELS)) / rows.sum())


def _segments() -> dict[str, Any]:
    described = {s.name: {"label": s.label, "share": s.share, "need": s.need, "tells": voices.TELLS} for s in SEGMENTS}
    return {"file": USERS_FILE, "clusterable": 5, "named": described}


def _content(world: World) -> dict[str, Any]:
    items = world.items
    return {
        "duds": content_names(np.flatnonzero(items.dud)),
        "gems": content_names(np.flatnonzero(items.gem)),
        "algorithm_lift": float(OPEN_FACTOR[0] / OPEN_FACTOR[1]),
        "examination": EXAMINED.tolist(),
        "half_life_days": dict(zip(CATEGORIES, HALF_LIFE.tolist(), strict=True)),
        "pgc_finish_ratio": PGC_FINISH,
        "mismatch": plan.MISMATCH,
        "rising_topic": RISING | {"items": content_names(np.flatnonzero(items.rising))},
    }


def content_names(numbers: np.ndarray) -> list[str]:
    return [f"p{i:06d}" for i in numbers]


def _experiments(world: World) -> dict[str, Any]:
    planted: dict[str, dict[str, Any]] = {
        "exp_onboarding": {
            "rates": {"control": plan.VERIFIES * plan.ACTIVATES, "one_step": plan.VERIFIES * plan.ACTIVATES_ONE_STEP},
            "effect": plan.VERIFIES * (plan.ACTIVATES_ONE_STEP - plan.ACTIVATES),
        },
        "exp_ranking": {"finish_ratio": plan.FINISH_LIFT},
        "exp_reward": {"join_ratio": plan.JOIN_CASH_5, "campaign_id": plan.CHECK_IN},
        "exp_pay_button": {
            "broken": True, "lost_variant": "orange", "lost_platform": "android", "lost_share": plan.LOST_FROM_SPLIT,
            "in_both_share": plan.IN_BOTH_ARMS, "effect": 0.0,
        },
        "exp_copy": {"effect": 0.0},
        f"holdout_{plan.MEMBER_DAY}": {"campaign_id": plan.MEMBER_DAY},
    }  # fmt: skip
    return {
        e.id: {"split": dict(e.split), "control": e.split[0][0], "metric": e.metric, "broken": False} | planted[e.id]
        for e in EXPERIMENTS
    }


def _campaigns(world: World, tally: Tally) -> dict[str, Any]:
    p, calendar, sent = world.people, world.calendar, world.sent
    number = CAMPAIGN[plan.REFERRAL]
    start = calendar.midnight + calendar.back(CAMPAIGNS[number].week) * plan.DAY
    inside = (sent.ts >= start) & (sent.ts < start + CAMPAIGNS[number].length * plan.DAY)
    honest = inside & (p.ring[sent.inviter] < 0)
    rings = []
    for ring in range(int(p.ring.max()) + 1):
        members = np.flatnonzero(p.ring == ring)
        rings.append(
            {
                "leader": f"u{members[0]:07d}",
                "members": [f"u{m:07d}" for m in members],
                "day": calendar.iso(p.day[members[-1]]),
            }
        )
    return {
        "holdout": {
            "campaign_id": plan.MEMBER_DAY,
            "experiment_id": f"holdout_{plan.MEMBER_DAY}",
            "metric": "pay",
            "lift_of_non_buyers": plan.MEMBER_DAY_LIFT,
            "realised": tally.lifted["orders"] / max(tally.lifted["users"], 1),
            "treated": tally.lifted["users"],
            "extra_buyers": tally.lifted["orders"],
            "extra_revenue": round(tally.lifted["revenue"], 2),
        },
        "referral": {
            "campaign_id": plan.REFERRAL,
            "acceptance": plan.ACCEPTANCE,
            "k_honest": _k(p, sent.inviter[honest], sent.accepted[honest]),
            "k_all": _k(p, sent.inviter[inside], sent.accepted[inside]),
            "rewards_to_rings": float(
                sum((len(r["members"]) - 1) * (CAMPAIGNS[number].reward + plan.INVITED_REWARD) for r in rings)
            ),
        },
        "rings": rings,
        "running": [c.id for c in CAMPAIGNS if c.length > 7 * c.week],
    }


def _k(p: People, inviter: np.ndarray, accepted: np.ndarray) -> float:
    """Invited users who registered, per inviting user."""
    return float(p.registered[accepted[accepted >= 0]].sum() / max(len(np.unique(inviter)), 1))


def _channels(world: World, demand: Demand, tally: Tally) -> dict[str, Any]:
    p = world.people
    signups = np.bincount(p.channel[p.registered], minlength=len(CHANNELS))
    found: dict[str, Any] = {}
    for i, c in enumerate(CHANNELS):
        cost = float(np.round(demand.cost[:, i], 2).sum())
        n = int(signups[i])
        found[c.name] = {
            "kind": c.kind, "cost": round(cost, 2), "signups": n, "payers": int(tally.payers[i]),
            "cac": cost / n if n else None,
            "revenue": round(float(tally.revenue[i]), 2), "ltv": tally.revenue[i] / n if n else None,
        }  # fmt: skip
        if c.kind == "paid":
            ordinary = c.share * demand.scale
            found[c.name]["response"] = {
                "max_signups_per_day": ordinary * (1 + c.half_spend),
                "half_spend": ordinary * c.cac * c.half_spend,
            }
    return {"by_name": found, "no_gain": plan.NO_GAIN}


def _feedback(world: World) -> dict[str, Any]:
    calendar = world.calendar
    shares = voices.topic_shares(calendar)

    def around(topic: str, version: str) -> dict[str, Any]:
        day, column = voices.release_day(calendar, version), voices.TOPICS.index(topic)
        return {
            "topic": topic, "version": version, "day": calendar.iso(day),
            "before": float(shares[day - 14 : day, column].mean()),
            "after": float(shares[day + 3 : day + 17, column].mean()),
        }  # fmt: skip

    return {
        "fixed": around(texts.CRASH_TOPIC, plan.CRASH_FIX),
        "shipped_without_effect": around(texts.SLOW_TOPIC, plan.SLOW_FIX),
        "new_problem": around(texts.CODE_TOPIC, plan.BROKEN),
        "wish": texts.WISH_TOPIC,
        "unlabelled_share": voices.UNLABELLED,
    }
