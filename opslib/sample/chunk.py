"""One chunk of visitors, from their lives to the rows of the tables that grow with the number of users."""

from __future__ import annotations

import numpy as np

from opslib.sample import behaviour, campaigns, files, money, plan, tables, tracker
from opslib.sample.behaviour import Lives, Log, Sessions
from opslib.sample.draws import stream
from opslib.sample.people import People
from opslib.sample.plan import EXPERIMENT, Calendar
from opslib.sample.world import Tally, World


def write(world: World, number: int, base: int, stop: int, tally: Tally, out: files.Writers) -> None:
    """Live through one chunk (visitors `base` to `stop`) and write its rows."""
    p, rng = world.people.take(slice(base, stop)), stream(world.seed, "chunk", number)
    calendar, log = world.calendar, Log()
    alive = behaviour.lives(stream(world.seed, "lives", number), calendar, p)
    s = behaviour.sessions(rng, calendar, p, alive)
    begin, registered = behaviour.onboard(rng, log, p, s)
    arms = campaigns.expose(stream(world.seed, "experiments", number), calendar, p, alive, s, registered)
    joined = campaigns.join(stream(world.seed, "campaigns", number), log, calendar, p, alive, s, arms)
    made, s = money.orders(stream(world.seed, "orders", number), log, calendar, p, alive, s, begin, arms, joined)
    s = campaigns.invitations(
        stream(world.seed, "rewards", number), log, calendar, p, world.people, s, world.sent, base
    )
    begin = np.concatenate([begin, s.start[len(begin) :]])
    finish = campaigns.finish_factor(arms, s)
    behaviour.feed(stream(world.seed, "feed", number), log, p, s, world.shelf, world.items, finish, begin)
    log.add("app_open", np.arange(len(s)), s.start)

    ids = files.numbered("u", np.arange(base, stop), 7)
    out.write("events", tracker.events(world, number, p, ids, base, s, log.columns(), tally))
    age = tables.write_users(world, number, p, ids, registered, out)
    tables.write_orders(world, number, p, ids, made, tally, out)
    tables.write_touches(world, number, p, ids, made, out)
    tables.write_exposures(p, ids, arms, out)
    tables.write_voices(world, number, p, ids, s, age, tally, out)
    _count(tally, calendar, p, alive, s)
    tally.lifted["users"] += int((arms.arm[EXPERIMENT[f"holdout_{plan.MEMBER_DAY}"]] == 1).sum())


def _count(tally: Tally, calendar: Calendar, p: People, alive: Lives, s: Sessions) -> None:
    pair = np.unique(s.user.astype(np.int64) * calendar.days + np.minimum(s.day, calendar.days - 1))
    tally.active += np.bincount(pair % calendar.days, minlength=calendar.days)
    tally.launches += np.bincount(np.minimum(s.day, calendar.days - 1), minlength=calendar.days)
    tally.active_days.append(np.bincount(alive.user, minlength=len(p)))
