"""Secrets in an engine's URL: a password is named by an environment variable and never written down or shown."""

from __future__ import annotations

import re

HINT = "name an environment variable instead: scheme://user:${PGPASSWORD}@host/db"
_SECRET = re.compile(
    r"://[^@/\s:]*:(?!\$\{\w+\}@)[^@]+@"
    r"|(?:^|[?&;\s])[\w.-]*(?:password|passwd|pwd|token|secret|api_?key|private_key)[\w.-]*=(?!\$\{)",
    re.I,
)


def holds_one(text: str) -> bool:
    """True for a URL with a password, or a token, in it."""
    return bool(_SECRET.search(text))


def hidden(url: str) -> str:
    """The URL without user, password and options, as it may be shown."""
    return re.sub(r"//.*@", "//", url).split("?")[0]
