"""What a funnel is asked: its steps and its rules, checked once and said in whole seconds and step numbers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from opslib.errors import near
from opslib.metrics._filters import Step, Where, step_name
from opslib.metrics._periods import Period, bounds, one_of, whole

STEPS = ("app_open", "register", "activate", "pay")
MOST_STEPS = 20
LONGEST_DAYS = 3660


class Rules(TypedDict, total=False):
    """The keyword arguments that every funnel metric takes, as `funnel` explains them."""

    order: str
    window_days: float | dt.timedelta | None
    entry: str
    count: str
    unit: str | Sequence[str]
    hold: str | Sequence[str]
    exclusions: Sequence[Mapping[str, Any]]
    exclusion_effect: str
    where: Where | None
    period: Period | None
    within_period: bool


@dataclass(frozen=True)
class Exclusion:
    """An event that may not come after step `start` and before step `end`."""

    event: Step
    start: int
    end: int


@dataclass(frozen=True)
class Funnel:
    """The rules, checked. Steps are numbered from 1; windows are whole seconds."""

    metric: str
    steps: tuple[Step, ...]
    optional: tuple[bool, ...]
    step_windows: tuple[int | None, ...]
    window: int | None
    order: str
    entry: str
    attempts: bool
    units: tuple[str, ...]
    hold: tuple[str, ...]
    exclusions: tuple[Exclusion, ...]
    drop_users: bool
    where: Where | None
    period: tuple[dt.date, dt.date] | None
    within_period: bool

    @property
    def numbers(self) -> range:
        return range(1, len(self.steps) + 1)

    @property
    def required(self) -> list[int]:
        return [i for i in self.numbers if not self.optional[i - 1]]

    @property
    def names(self) -> list[str]:
        if self.order == "unordered":
            return [f"any {i} of {len(self.steps)}" for i in self.numbers]
        return [step_name(step) for step in self.steps]

    def anchor(self, step: int) -> int:
        """The required step before a step: it must have been done, and a step's own window is counted from it."""
        return max(i for i in self.required if i < step)

    def step(self, number: int | None, name: str) -> int:
        """A step's number, checked; None is the last one."""
        if number is None:
            return len(self.steps)
        whole(number, 1, len(self.steps), name, self.metric)
        return number

    def during(self, period: Period) -> Funnel:
        return replace(self, period=bounds(period, self.metric))


def events_of(step: Step) -> set[str]:
    """The names of the events that a step can be; empty where they are not all named."""
    event = step.get("event") if isinstance(step, Mapping) else step
    named = [event] if isinstance(event, str) else [] if event is None or isinstance(event, Mapping) else list(event)
    return set(named) if all(isinstance(name, str) for name in named) else set()


def checked(metric: str, steps: Sequence[Step | Mapping[str, Any]], rules: Mapping[str, Any]) -> Funnel:
    """The funnel that the arguments describe.

    Raises
    ------
    ValueError  if a step or a rule cannot be meant; names the argument, the value and what is allowed.
    """
    for unknown in set(rules) - set(Rules.__annotations__):
        hint = near(unknown, Rules.__annotations__)
        raise ValueError(f"{metric}: unknown argument {unknown!r}; {hint}".rstrip("; "))
    if isinstance(steps, str | Mapping) or not 1 <= len(steps) <= MOST_STEPS:
        raise ValueError(f"{metric}: steps must be a list of 1 to {MOST_STEPS} steps, got {steps!r}")
    order, entry, count = rules.get("order", "ordered"), rules.get("entry", "best"), rules.get("count", "users")
    effect = rules.get("exclusion_effect", "stop_user")
    one_of(order, ("ordered", "strict", "unordered"), "order", metric)
    one_of(entry, ("best", "first", "latest"), "entry", metric)
    one_of(count, ("users", "sessions", "attempts"), "count", metric)
    one_of(effect, ("stop_user", "drop_user"), "exclusion_effect", metric)
    if order == "unordered" and entry == "latest":
        raise ValueError(
            f"{metric}: entry 'latest' means the last first step before the second; order 'unordered' has none"
        )
    units = _names(rules.get("unit", "user_id"), "unit", metric)
    if count == "sessions" or units == ("session",):  # a session's number is its user's own
        units = ("user_id", "session")
    if not units:
        raise ValueError(f"{metric}: unit must name at least one column or 'props.NAME', got {rules['unit']!r}")
    each = [_step(step, i, order, metric) for i, step in enumerate(steps, start=1)]
    if any(optional for _, optional, _ in each[:1]):
        raise ValueError(f"{metric}: the first step enters the funnel and cannot be optional")
    funnel = Funnel(
        metric=metric,
        steps=tuple(step for step, _, _ in each),
        optional=tuple(optional for _, optional, _ in each),
        step_windows=tuple(window for _, _, window in each),
        window=seconds(rules.get("window_days", 7), "window_days", metric),
        order=order,
        entry=entry,
        attempts=count == "attempts",
        units=units,
        hold=_names(rules.get("hold", ()), "hold", metric),
        exclusions=(),
        drop_users=effect == "drop_user",
        where=rules.get("where"),
        period=bounds(rules.get("period"), metric),
        within_period=bool(rules.get("within_period", False)),
    )
    return replace(funnel, exclusions=tuple(_exclusion(spec, funnel) for spec in rules.get("exclusions", ())))


def seconds(window: float | dt.timedelta | None, name: str, metric: str) -> int | None:
    """A window in whole seconds, because engines disagree about finer intervals; None is no limit."""
    if window is None:
        return None
    if isinstance(window, bool) or not isinstance(window, int | float | dt.timedelta):
        raise ValueError(f"{metric}: {name} must be a number of days, a timedelta or None, got {window!r}")
    length = window.total_seconds() if isinstance(window, dt.timedelta) else window * 86_400
    if not 0 < length <= LONGEST_DAYS * 86_400:
        raise ValueError(f"{metric}: {name} must be more than 0 and at most {LONGEST_DAYS} days, got {window!r}")
    if abs(length - round(length)) > 1e-6 or round(length) < 1:
        raise ValueError(f"{metric}: {name} must be whole seconds, got {window!r}")
    return round(length)


def _names(given: str | Sequence[str], name: str, metric: str) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else tuple(given)
    if len(set(names)) != len(names) or not all(isinstance(n, str) and n for n in names):
        raise ValueError(f"{metric}: {name} must name columns or 'props.NAME', each once, got {given!r}")
    return names


def _step(spec: Step | Mapping[str, Any], i: int, order: str, metric: str) -> tuple[Step, bool, int | None]:
    """The step itself, whether it may be skipped, and its own window."""
    if not isinstance(spec, Mapping):
        if spec is not None and (not isinstance(spec, str) or not spec):
            raise ValueError(f"{metric}: step {i} must be an event name, a mapping or None, got {spec!r}")
        return spec, False, None
    known = ("event", "where", "optional", "window_days")
    for unknown in set(spec) - set(known):
        raise ValueError(f"{metric}: step {i} has an unknown key {unknown!r}; {near(unknown, known)}")
    optional, window = (
        bool(spec.get("optional", False)),
        seconds(spec.get("window_days"), f"step {i}: window_days", metric),
    )
    if order != "ordered" and (optional or window):
        raise ValueError(f"{metric}: optional steps and windows of single steps need order 'ordered', got {order!r}")
    return {"event": spec.get("event"), "where": spec.get("where")}, optional, window


def _exclusion(spec: Mapping[str, Any], funnel: Funnel) -> Exclusion:
    last = len(funnel.steps)
    known = ("event", "where", "from_step", "to_step")
    if isinstance(spec, str) or set(spec) - set(known) or "event" not in spec:
        raise ValueError(f"{funnel.metric}: an exclusion is a mapping of {', '.join(known)}, got {spec!r}")
    start, end = spec.get("from_step", 1), spec.get("to_step", last)
    for name, number in (("from_step", start), ("to_step", end)):
        whole(number, 1, last, f"exclusions: {name}", funnel.metric)
        if funnel.optional[number - 1]:
            raise ValueError(f"{funnel.metric}: exclusions: {name} must be a required step, got {number}")
    if start >= end:
        raise ValueError(f"{funnel.metric}: exclusions: from_step must come before to_step, got {start} and {end}")
    if funnel.order == "unordered" and (start, end) != (1, last):
        raise ValueError(
            f"{funnel.metric}: exclusions: order 'unordered' knows no single steps; leave from_step and to_step out"
        )
    return Exclusion({"event": spec["event"], "where": spec.get("where")}, start, end)
