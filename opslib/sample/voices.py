"""What people say: feedback in five places, and a survey."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opslib.sample import plan, texts
from opslib.sample.behaviour import Sessions
from opslib.sample.draws import pick, stream, table_of
from opslib.sample.people import People
from opslib.sample.plan import DAY, SECOND, SEGMENTS, Calendar

SPEAKS = 0.012  # chance of feedback in a session
ANSWERS = 0.05  # of active registered users answer the survey once
INTERVIEWED = 6  # of each segment, for 20,000 users
SOURCES = ("community", "support", "review", "survey", "interview")
TOPICS = tuple(texts.TOPIC_SHARE)
STATUS = ("open", "triaged", "planned", "shipped", "replied", "declined")
TELLS = 0.85  # of those asked name the need of their own segment
UNLABELLED = 0.12  # of feedback has not been given a topic


@dataclass
class Voices:
    """One entry per feedback; times are UTC microseconds, 0 is none."""

    user: np.ndarray
    ts: np.ndarray
    source: np.ndarray
    topic: np.ndarray
    labelled: np.ndarray
    text: list[str]
    score: np.ndarray  # -1 none
    status: list[str]
    resolved: np.ndarray
    replied: np.ndarray


def topic_shares(calendar: Calendar) -> np.ndarray:
    """Each topic's share of each day: crashes until they are fixed, missing codes once a release breaks them."""
    shares = np.tile(np.array(list(texts.TOPIC_SHARE.values())), (calendar.days, 1))
    day = np.arange(calendar.days)
    fixed, broken = release_day(calendar, plan.CRASH_FIX), release_day(calendar, plan.BROKEN)
    for topic, share, on in (
        (texts.CRASH_TOPIC, texts.CRASH_SHARE, day < fixed + 3),
        (texts.CODE_TOPIC, texts.CODE_SHARE, day >= broken),
    ):
        column = TOPICS.index(topic)
        rest = shares[on].sum(axis=1) - shares[on, column]
        shares[on] *= ((1 - share) / rest)[:, None]
        shares[on, column] = share
    return shares / shares.sum(axis=1, keepdims=True)


def release_day(calendar: Calendar, version: str) -> int:
    return int(plan.release_days(calendar)[[r[0] for r in plan.RELEASES].index(version)])


def feedback(seed: int, chunk: int, calendar: Calendar, p: People, s: Sessions, users: int) -> Voices:
    """Feedback of sessions drawn at random, and interviews of people who use the product much."""
    rng = stream(seed, "voices", chunk)
    normal = (s.kind < 3) & (p.ring[s.user] < 0)
    rows = np.flatnonzero(normal & (rng.random(len(s)) < SPEAKS))
    topic = pick(rng, table_of(topic_shares(calendar)), s.day[rows], len(TOPICS))
    ts = s.start[rows] + (rng.uniform(300, 1500, len(rows)) * SECOND).astype(np.int64)
    score = np.clip(
        np.round(np.array(list(texts.TOPIC_SCORE.values()))[topic] + 1.3 * rng.standard_normal(len(rows))), 0, 10
    )
    source = rng.choice(4, len(rows), p=[0.38, 0.27, 0.22, 0.13])
    score[source < 2] = -1  # posts and tickets carry no score
    version = [plan.RELEASES[i][0] for i in np.searchsorted(plan.release_days(calendar), s.day[rows], side="right") - 1]
    which = rng.random(len(rows))
    phrases = [texts.FEEDBACK[TOPICS[t]] for t in topic]
    text = [q[int(w * len(q))].format(v=v) for q, w, v in zip(phrases, which, version, strict=True)]
    status, resolved = _outcome(rng, calendar, topic, ts)
    answer = ts + (rng.lognormal(0.2, 0.9, len(rows)) * DAY).astype(np.int64)
    replied = np.where((rng.random(len(rows)) < 0.55) & (answer < calendar.stop), answer, 0)
    labelled = rng.random(len(rows)) >= UNLABELLED
    said = Voices(s.user[rows], ts, source, topic, labelled, text, score.astype(int), status, resolved, replied)
    return _with_interviews(rng, calendar, p, s, users, said)


def _outcome(
    rng: np.random.Generator, calendar: Calendar, topic: np.ndarray, ts: np.ndarray
) -> tuple[list[str], np.ndarray]:
    """What became of each: shipped with the release that answers the topic, else somewhere on the way."""
    shipped = np.full(len(TOPICS), np.iinfo(np.int64).max)
    for name, version in ((texts.CRASH_TOPIC, plan.CRASH_FIX), (texts.SLOW_TOPIC, plan.SLOW_FIX)):
        shipped[TOPICS.index(name)] = calendar.midnight + release_day(calendar, version) * DAY + 10 * 3600 * SECOND
    done = ts < shipped[topic]
    done &= shipped[topic] < calendar.stop
    drawn = np.array(["open", "triaged", "planned", "replied", "declined"])[
        rng.choice(5, len(ts), p=[0.3, 0.25, 0.1, 0.28, 0.07])
    ]
    status = np.where(done, "shipped", drawn)
    return status.tolist(), np.where(done, shipped[topic], 0)


def _with_interviews(
    rng: np.random.Generator, calendar: Calendar, p: People, s: Sessions, users: int, said: Voices
) -> Voices:
    quota = int(np.ceil(plan.scaled(users, INTERVIEWED) * len(p) / (users / plan.REGISTERS)))
    visits = np.bincount(s.user[s.kind == 1], minlength=len(p))
    last = np.zeros(len(p), np.int64)
    np.maximum.at(last, s.user, s.start)
    chosen, words = [], []
    for number, segment in enumerate(SEGMENTS):
        fit = np.flatnonzero((p.segment == number) & (visits >= 12) & p.activated)
        some = fit[rng.permutation(len(fit))[:quota]]
        quotes = texts.INTERVIEWS[segment.name]
        chosen.append(some)
        words += [quotes[i % len(quotes)] for i in range(len(some))]
    user = np.concatenate(chosen)
    n = len(user)
    ts = np.minimum(last[user] + 14 * 3600 * SECOND, calendar.stop - DAY)
    none, off = np.zeros(n, np.int64), np.zeros(n, bool)
    return Voices(
        np.concatenate([said.user, user]),
        np.concatenate([said.ts, ts]),
        np.concatenate([said.source, np.full(n, SOURCES.index("interview"))]),
        np.concatenate([said.topic, none]),
        np.concatenate([said.labelled, off]),
        said.text + words,
        np.concatenate([said.score, np.full(n, -1)]),
        said.status + ["triaged"] * n,
        np.concatenate([said.resolved, none]),
        np.concatenate([said.replied, none]),
    )


@dataclass
class Answers:
    """One entry per respondent."""

    user: np.ndarray
    ts: np.ndarray
    answers: dict[str, list[str | None]]


def survey(seed: int, chunk: int, p: People, s: Sessions, age: np.ndarray) -> Answers:
    """Five questions in the app, asked once; most name the need of their own segment, some skip a question."""
    rng = stream(seed, "survey", chunk)
    rows = np.flatnonzero((s.kind == 1) & p.activated[s.user])
    rows = rows[np.unique(s.user[rows], return_index=True)[1]]
    rows = rows[rng.random(len(rows)) < ANSWERS * 2]
    user, n = s.user[rows], len(rows)
    named = np.where(rng.random(n) < TELLS, p.segment[user], rng.integers(0, len(SEGMENTS), n))
    active = np.array([g.active for g in SEGMENTS])[p.segment[user]]
    often = np.clip(np.round(3.4 - 6 * active + 0.7 * rng.standard_normal(n)), 0, 3).astype(int)
    score = np.clip(np.round(6.6 + 4 * (active - 0.3) + 2.2 * rng.standard_normal(n)), 0, 10).astype(int)
    words = rng.integers(0, len(texts.FREE_TEXT), n)
    silent = rng.random(n) < 0.35
    answers: dict[str, list[str | None]] = {
        "主要用途": [SEGMENTS[i].need for i in named],
        "使用频率": [texts.OFTEN[i] for i in often],
        "推荐意愿": [str(v) for v in score],
        "年龄段": [texts.AGES[i] for i in age[user]],
        "建议": [None if quiet else texts.FREE_TEXT[i] for i, quiet in zip(words, silent, strict=True)],
    }
    return Answers(user, s.start[rows] + 240 * SECOND, answers)
