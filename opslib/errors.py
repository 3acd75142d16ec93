"""What can go wrong, said in one line: what, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class OpsError(Exception):
    """Something the user can mend: data, parameters, connection.

    `hint` says what to do; `exit_code` is what the command line ends with.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        joint = "；" if "\u4e00" <= hint[:1] <= "\u9fff" else "; "  # data may be Chinese in an English hint
        super().__init__(f"{message}{joint}{hint}" if hint else message)
        self.message = message
        self.hint = hint


class UsageError(OpsError):
    """A command or a parameter that cannot be meant."""

    exit_code = 2


class ContractError(OpsError):
    """Data that does not fit the contract."""

    exit_code = 3


class LockedError(OpsError):
    """Another process is writing here."""

    exit_code = 75


class TooLittleError(OpsError):
    """The data cannot carry the question; a report turns this into an `info` finding, never into a zero."""


def near(name: str, known: Iterable[str]) -> str:
    """The end of an error sentence that names the near miss, or all that is known, or nothing.

    >>> near("window_day", ["window_days", "start"])
    "did you mean 'window_days'?"
    """
    miss, choices = nearest(name, known)
    if miss:
        return f"did you mean '{miss}'?"
    return f"known: {', '.join(choices)}" if choices else ""


def nearest(name: str, known: Iterable[str], *, alike: float = 0.6) -> tuple[str, list[str]]:
    """The known name that `name` misses by little, or ""; and all that is known, or nothing when that is much."""
    choices = sorted(map(str, known))
    by_fold = {c.casefold(): c for c in choices}
    hits = get_close_matches(str(name).casefold(), by_fold, n=1, cutoff=alike)
    return (by_fold[hits[0]] if hits else ""), (choices if len(choices) <= 15 else [])


def capital(words: str) -> str:
    """The words as a sentence begins: those of an error follow a name; the rest stays as it is."""
    return words[:1].upper() + words[1:]
