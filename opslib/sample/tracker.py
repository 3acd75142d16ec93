"""The event rows as a tracker exports them: ids, devices, addresses, versions; late rows and repeats at the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from opslib.contract import EVENTS
from opslib.sample import files, plan
from opslib.sample.behaviour import EVENT, Sessions
from opslib.sample.catalogue import PLACEMENTS
from opslib.sample.draws import stream
from opslib.sample.files import CAMPAIGN_NAMES, CHANNEL_NAMES
from opslib.sample.people import People, carrier_ips
from opslib.sample.plan import CAMPAIGNS, CHANNEL, DAY, PLATFORMS, SECOND, Calendar
from opslib.sample.world import Tally, World

LATE, TWICE = 0.002, 0.001  # shares of events that arrive late, and that arrive twice
NETWORKS = ("wifi", "5g", "4g")


def events(
    world: World,
    number: int,
    p: People,
    ids: pa.Array,
    base: int,
    s: Sessions,
    log: dict[str, np.ndarray],
    tally: Tally,
) -> dict[str, Any]:
    """The event rows in the order of time; at the end those that arrived late, then those sent twice."""
    rng = stream(world.seed, "tracker", number)
    order = np.argsort(log["ts"], kind="stable")
    order = order[: np.searchsorted(log["ts"][order], world.calendar.stop)]
    log = {name: values[order] for name, values in log.items()}
    claims = log["event"] == EVENT["claim_reward"]
    tally.claimed += np.bincount(log["campaign"][claims], log["amount"][claims], minlength=len(CAMPAIGNS))

    n = len(order)
    late = rng.random(n) < LATE
    twice = np.flatnonzero(rng.random(n) < TWICE)
    tally.late, tally.twice = tally.late + int(late.sum()), tally.twice + len(twice)
    place = np.concatenate([np.flatnonzero(~late), np.flatnonzero(late), twice])
    visit = _visits(rng, world, p, base, s)
    props, codes = _props(rng, visit["props"][log["session"]], log["ts"], late)
    event_id = files.numbered(f"e{number:03d}", np.arange(n), 9)

    log = {name: values[place] for name, values in log.items()}
    session = log["session"]
    return {
        "event_id": event_id.take(pa.array(place)),
        "user_id": files.words(s.user[session], ids),
        "event": files.words(log["event"], list(EVENTS)),
        "ts": files.times(log["ts"]),
        "session_id": files.words(session, files.numbered(f"s{number:03d}", np.arange(len(s)), 8)),
        "device_id": files.words(visit["device"][session], visit["devices"]),
        "ip": files.words(visit["ip"][session], visit["ips"]),
        "platform": files.words(p.platform[s.user[session]], list(PLATFORMS)),
        "channel": files.words(visit["channel"][session], CHANNEL_NAMES),
        "content_id": files.words(log["item"], files.content_ids(len(world.items))),
        "placement": files.words(log["placement"], list(PLACEMENTS)),
        "position": files.integers(log["position"]),
        "campaign_id": files.words(log["campaign"], CAMPAIGN_NAMES),
        "duration_s": files.numbers(np.round(log["duration"].astype(np.float64), 1)),
        "amount": files.numbers(log["amount"]),
        "props": files.words(codes[place], props),
    }


def _visits(rng: np.random.Generator, world: World, p: People, base: int, s: Sessions) -> dict[str, Any]:
    """What each session carries: device, address, channel, and the version and network of its `props`."""
    n, visitors, user = len(s), len(world.people), s.user
    ring = p.ring[user] >= 0
    away = (rng.random(n) < 0.35) & ~ring
    ip = np.where(away, carrier_ips(rng, visitors, n), p.ip[user])
    second = (rng.random(len(p)) < 0.06)[user] & (rng.random(n) < 0.3) & (s.kind != 0) & ~ring
    device = np.where(second, 2 * visitors + base + user, p.device[user])
    drawn = rng.random(n)
    channel = np.where(drawn < 0.8, CHANNEL["direct"], np.where(drawn < 0.92, CHANNEL["wechat_mp"], p.channel[user]))
    channel = np.where(s.kind == 0, p.channel[user], channel)
    network = np.where(away, 1 + (rng.random(n) < 0.35), 0)
    lag = rng.exponential(5.0, len(p))
    devices, device = np.unique(device, return_inverse=True)
    ips, ip = np.unique(ip, return_inverse=True)
    return {
        "device": device,
        "devices": files.device_ids(devices),
        "ip": ip,
        "ips": pa.array(files.addresses(ips), pa.string()),
        "channel": channel,
        "props": versions(world.calendar, p, s, lag) * len(NETWORKS) + network,
    }


def versions(calendar: Calendar, p: People, s: Sessions, lag: np.ndarray) -> np.ndarray:
    """The release each session ran: new installs take the newest (the last one was rolled out in steps), others lag."""
    days = plan.release_days(calendar)
    installed = np.searchsorted(days, p.day, side="right") - 1
    installed -= (installed == len(days) - 1) & ~p.on_release
    updated = np.searchsorted(days, s.day - lag[s.user], side="right") - 1
    return np.maximum(installed[s.user], updated)


def _props(
    rng: np.random.Generator, code: np.ndarray, ts: np.ndarray, late: np.ndarray
) -> tuple[list[str], np.ndarray]:
    """The tracker's JSON: version and network; `received_at` on the rows that arrived late."""
    plain = [f'{{"version":"{v}","network":"{w}"}}' for v, _, _ in plan.RELEASES for w in NETWORKS]
    rows = np.flatnonzero(late)
    delay = (rng.uniform(0.6, 3.0, len(rows)) * DAY).astype(np.int64) // SECOND * SECOND
    received = np.datetime_as_string((ts[rows] // SECOND * SECOND + delay).astype("datetime64[us]"), unit="s")
    stamped = [f'{plain[c][:-1]},"received_at":"{t}Z"}}' for c, t in zip(code[rows], received, strict=True)]
    codes = code.astype(np.int32)
    codes[rows] = len(plain) + np.arange(len(rows))
    return plain + stamped, codes
