"""Secrets in an engine's URL: a password is named by an environment variable and never written down or shown."""

from __future__ import annotations

import os
import re
from urllib.parse import quote

from opslib.errors import UsageError
from opslib.text import say

HINT = "name an environment variable instead: scheme://user:${PGPASSWORD}@host/db"
_VARIABLE = re.compile(r"\$\{(\w+)\}")
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


def filled(url: str) -> str:
    """The URL with the values of the environment variables that it names, quoted: for the driver, never to be shown.

    Raises
    ------
    UsageError  if one is not set; names it.
    """
    return _VARIABLE.sub(_value, url)


def _value(match: re.Match[str]) -> str:
    if match[1] not in os.environ:
        raise UsageError(
            say(zh="没有设置环境变量 {name}", en="the environment variable {name} is not set", name=match[1]),
            say(zh="数据源地址的密码取自它", en="the engine's URL takes its password from it"),
        )
    return quote(os.environ[match[1]], safe="")
