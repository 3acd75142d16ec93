"""The other tables that grow with the users: users, orders, touches, exposures, feedback, survey."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from opslib.sample import campaigns, files, money, texts, voices
from opslib.sample.behaviour import Sessions
from opslib.sample.draws import stream
from opslib.sample.files import CAMPAIGN_NAMES, CHANNEL_NAMES
from opslib.sample.people import People
from opslib.sample.plan import CAMPAIGNS, CHANNELS, DAY, EXPERIMENTS, PLATFORMS
from opslib.sample.world import Tally, World


def write_users(
    world: World, number: int, p: People, ids: pa.Array, registered: np.ndarray, out: files.Writers
) -> np.ndarray:
    """The registered visitors, with attributes that some did not give; returns everybody's age band."""
    rng = stream(world.seed, "attributes", number)
    young = np.array(
        [[0.18, 0.42, 0.26, 0.14], [0.34, 0.38, 0.18, 0.10], [0.16, 0.36, 0.30, 0.18], [0.30, 0.40, 0.20, 0.10]]
    )
    age = (rng.random(len(p))[:, None] > np.cumsum(young, axis=1)[p.segment]).sum(axis=1).clip(0, 3)
    city = rng.choice(4, len(p), p=[0.22, 0.28, 0.24, 0.26])
    told = rng.random(len(p)) < 0.82
    rows = np.flatnonzero(p.registered)
    inviter = p.inviter[rows]
    out.write(
        "users",
        {
            "user_id": ids.take(pa.array(rows)),
            "registered_at": files.times(registered[rows]),
            "channel": files.words(p.channel[rows], CHANNEL_NAMES),
            "platform": files.words(p.platform[rows], list(PLATFORMS)),
            "device_id": files.device_ids(p.device[rows]),
            "inviter_id": files.nullable(files.numbered("u", np.maximum(inviter, 0), 7), inviter < 0),
            "age_band": files.words(np.where(told[rows], age[rows], -1), list(texts.AGES)),
            "city_tier": files.words(np.where(told[rows], city[rows], -1), list(texts.CITIES)),
        },
    )
    return age


def write_orders(
    world: World, number: int, p: People, ids: pa.Array, made: money.Orders, tally: Tally, out: files.Writers
) -> None:
    keep = np.flatnonzero(made.ts < world.calendar.stop)
    keep = keep[np.argsort(made.ts[keep], kind="stable")]
    user, net = made.user[keep], (made.amount - made.refunded)[keep]
    out.write(
        "orders",
        {
            "order_id": files.numbered(f"o{number:03d}", np.arange(len(keep)), 7),
            "user_id": ids.take(pa.array(user)),
            "paid_at": files.times(made.ts[keep]),
            "amount": files.numbers(made.amount[keep]),
            "refunded": files.numbers(made.refunded[keep]),
            "campaign_id": files.words(made.campaign[keep], CAMPAIGN_NAMES),
        },
    )
    tally.revenue += np.bincount(p.channel[user], net, minlength=len(CHANNELS))
    tally.payers += np.bincount(p.channel[np.unique(user)], minlength=len(CHANNELS))
    inside = made.campaign[keep]
    tally.sold += np.bincount(inside[inside >= 0], minlength=len(CAMPAIGNS))
    lifted = made.lifted[keep]
    tally.lifted["orders"] += int(lifted.sum())
    tally.lifted["revenue"] += float(net[lifted].sum())


def write_touches(world: World, number: int, p: People, ids: pa.Array, made: money.Orders, out: files.Writers) -> None:
    t = money.touches(world.seed, number, world.calendar, p, made)
    out.write(
        "touches",
        {
            "touch_id": files.numbered(f"t{number:03d}", np.arange(len(t.user)), 8),
            "user_id": ids.take(pa.array(t.user)),
            "ts": files.times(t.ts),
            "channel": files.words(t.channel, CHANNEL_NAMES),
            "campaign_id": files.words(t.campaign, CAMPAIGN_NAMES),
            "kind": files.words(t.click.astype(int), ["impression", "click"]),
        },
    )


def write_exposures(p: People, ids: pa.Array, arms: campaigns.Arms, out: files.Writers) -> None:
    for number, test in enumerate(EXPERIMENTS):
        names = [name for name, _ in test.split]
        rows = np.flatnonzero(arms.logged[number])
        arm, ts = arms.arm[number, rows], arms.ts[number, rows]
        if test.id == "exp_pay_button":
            again = arms.both[rows]
            rows, ts = np.concatenate([rows, rows[again]]), np.concatenate([ts, ts[again] + DAY])
            arm = np.concatenate([arm, 1 - arm[again]])
        out.write(
            "exposures",
            {
                "experiment_id": files.words(np.zeros(len(rows), int), [test.id]),
                "user_id": ids.take(pa.array(rows)),
                "variant": files.words(arm, names),
                "ts": files.times(ts),
            },
        )


def write_voices(
    world: World, number: int, p: People, ids: pa.Array, s: Sessions, age: np.ndarray, tally: Tally, out: files.Writers
) -> None:
    said = voices.feedback(world.seed, number, world.calendar, p, s, world.users)
    order = np.argsort(said.ts, kind="stable")
    order = order[said.ts[order] < world.calendar.stop]
    text = [said.text[i] for i in order]
    if number == 0:
        _make_hostile(text, tally)
    out.write(
        "feedback",
        {
            "feedback_id": files.numbered(f"f{number:03d}", np.arange(len(order)), 6),
            "ts": files.times(said.ts[order]),
            "user_id": ids.take(pa.array(said.user[order])),
            "source": files.words(said.source[order], list(voices.SOURCES)),
            "text": text,
            "score": files.integers(said.score[order]),
            "topic": files.words(np.where(said.labelled, said.topic, -1)[order], list(voices.TOPICS)),
            "status": [said.status[i] for i in order],
            "resolved_at": files.times(said.resolved[order]),
            "replied_at": files.times(said.replied[order]),
        },
    )
    _write_survey(world, number, p, ids, s, age, out)


def _make_hostile(text: list[str], tally: Tally) -> None:
    """Words that a careless page would run; spread over the newest feedback."""
    for i, words in enumerate(texts.HOSTILE_FEEDBACK):
        place = len(text) - 1 - 7 * i
        text[place] = words
        tally.hostile[f"f000{place:06d}"] = words


def _write_survey(
    world: World, number: int, p: People, ids: pa.Array, s: Sessions, age: np.ndarray, out: files.Writers
) -> None:
    got = voices.survey(world.seed, number, p, s, age)
    n, questions = len(got.user), len(got.answers)
    keep = np.flatnonzero(np.repeat(got.ts < world.calendar.stop, questions))
    answers = [row for respondent in zip(*got.answers.values(), strict=True) for row in respondent]
    out.write(
        "survey",
        {
            "response_id": files.numbered(f"r{number:03d}", np.repeat(np.arange(n), questions)[keep], 6),
            "user_id": ids.take(pa.array(np.repeat(got.user, questions)[keep])),
            "ts": files.times(np.repeat(got.ts, questions)[keep]),
            "question": files.words(np.tile(np.arange(questions), n)[keep], list(got.answers)),
            "answer": pa.array(answers, pa.string()).take(pa.array(keep)),
        },
    )
