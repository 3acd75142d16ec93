"""The plays of outreach as a file says them: whom to reach, why, in what order, and who is left alone."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opslib import yamlfile
from opslib.contract import TEAMS
from opslib.errors import UsageError, near
from opslib.project import resolved
from opslib.text import language

COLUMNS = (
    "state",
    "segment",
    "persona",
    "channel",
    "platform",
    "risk",
    "days_away",
    "active_7",
    "active_28",
    "active_days",
    "tenure_days",
    "orders",
    "spent",
)
_PLAY = {"id", "name", "who", "offer", "reason", "urgent", "team", "assumed"}
_CONTACT = {"goal_days", "holdout", "seed", "quiet_days", "cap", "most"}


@dataclass(frozen=True)
class Play:
    """One play; `who` maps columns to what must hold, texts are in both languages."""

    id: str
    names: Mapping[str, str]
    who: Mapping[str, Any]
    offers: Mapping[str, str]
    reasons: Mapping[str, str]
    urgent: str
    team: str
    assumed: tuple[float, float, float]  # low, likely, high

    @property
    def name(self) -> str:
        return self.names[language()]

    @property
    def offer(self) -> str:
        return self.offers[language()]

    @property
    def reason(self) -> str:
        return self.reasons[language()]


@dataclass(frozen=True)
class Plan:
    """All plays, in order, and the rules of contact."""

    plays: tuple[Play, ...]
    goal_days: int
    holdout: float
    seed: int
    quiet_days: int
    cap_contacts: int
    cap_days: int
    most: int

    @property
    def ids(self) -> list[str]:
        return [play.id for play in self.plays]


def read(path: str | Path) -> Plan:
    """The plan in a YAML file such as `params/outreach.yml`.

    Raises
    ------
    UsageError  naming the play and the line at fault, with the near miss.
    """
    entry = yamlfile.read(resolved(path))
    if not isinstance(entry, Mapping) or not isinstance(entry.get("plays"), list):
        raise UsageError(f"{Path(path).name} must hold `contact` and a list of `plays`", "see params/outreach.yml")
    contact = dict(entry.get("contact") or {})
    _only(contact, _CONTACT, f"{Path(path).name}: contact")
    cap = contact.get("cap") or {}
    plan = Plan(
        tuple(_play(dict(p), Path(path).name) for p in entry["plays"]),
        goal_days=_whole(contact, "goal_days", 28, 1, 365),
        holdout=_share(contact.get("holdout", 0.1), "contact.holdout"),
        seed=_whole(contact, "seed", 0, 0, 2**62),
        quiet_days=_whole(contact, "quiet_days", 7, 0, 365),
        cap_contacts=_whole(cap, "contacts", 4, 1, 1000),
        cap_days=_whole(cap, "days", 28, 1, 365),
        most=_whole(contact, "most", 20_000, 1, 10**9),
    )
    if len(set(plan.ids)) < len(plan.ids):
        raise UsageError(f"{Path(path).name}: two plays have the same id", "the id is the list's file name")
    return plan


def _play(entry: dict[str, Any], where: str) -> Play:
    id = str(entry.get("id", ""))
    at = f"{where}: play {id!r}"
    _only(entry, _PLAY, at)
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,60}", id):
        raise UsageError(f"{at}: an id is lower-case letters, digits, _ and -", "such as recall_buyers")
    for name in (n for n in sorted(_PLAY) if n not in entry):
        raise UsageError(f"{at} lacks {name!r}", "see params/outreach.yml")
    _only(dict(entry["who"]), set(COLUMNS), f"{at}: who")
    urgent = str(entry["urgent"])
    _only({urgent.removeprefix("-"): 0}, set(COLUMNS), f"{at}: urgent")
    if entry["team"] not in TEAMS:
        raise UsageError(f"{at}: no team {entry['team']!r}", near(str(entry["team"]), TEAMS))
    texts = {name: _both(entry[name], f"{at}: {name}") for name in ("name", "offer", "reason")}
    for said in texts["reason"].values():
        _only(dict.fromkeys(f for _, f, _, _ in string.Formatter().parse(said) if f is not None), set(COLUMNS), at)
    low, likely, high = (float(entry["assumed"][k]) for k in ("low", "likely", "high"))
    if not -1 <= low <= likely <= high <= 1:
        raise UsageError(f"{at}: assumed must be shares with low ≤ likely ≤ high, got {entry['assumed']}")
    names, offers, reasons = (texts[n] for n in ("name", "offer", "reason"))
    return Play(id, names, entry["who"], offers, reasons, urgent, entry["team"], (low, likely, high))


def _only(entry: Mapping[str, Any], known: set[str], where: str) -> None:
    for name in entry:
        if name not in known:
            raise UsageError(f"{where} knows no {name!r}", near(str(name), sorted(known)))


def _both(value: Any, where: str) -> dict[str, str]:
    if not isinstance(value, Mapping) or not {"zh", "en"} <= set(value):
        raise UsageError(f"{where} must be given in both languages", "{zh: …, en: …}")
    return {lang: str(value[lang]) for lang in ("zh", "en")}


def _whole(entry: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = entry.get(name, default)
    if type(value) is not int or not low <= value <= high:
        raise UsageError(f"contact: {name} must be a whole number from {low} to {high}, got {value!r}")
    return value


def _share(value: Any, name: str) -> float:
    if not isinstance(value, int | float) or not 0 <= value < 1:
        raise UsageError(f"{name} must be a share from 0 to below 1, got {value!r}")
    return float(value)
