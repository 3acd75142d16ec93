"""Sentences, terms and numbers in the reader's language.

Sentences are written in both languages where they are used: `say(zh=…, en=…, **values)`. Shared words (metric names,
units, definitions) live once in `terms.yml`.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import Formatter
from typing import Any

from opslib.errors import UsageError, near, nearest

LANGUAGES = ("zh", "en")
BLANK = "–"  # what has not been observed

_PARTS = Formatter()
_CHINESE = re.compile("[\u3001-\u303f\u4e00-\u9fff\uff01-\uff5e]")  # characters and full-width marks

_lang: ContextVar[str] = ContextVar("opslib_lang", default="zh")
_process_default = "zh"
_money: ContextVar[str] = ContextVar("opslib_currency", default="")
_process_currency = "CNY"

# C0/C1 controls, and the marks that reorder or hide text; line breaks become spaces.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]+")


def use(lang: str, currency: str = "") -> None:
    """Set the language of everything said from here on (`zh` or `en`), and the currency of amounts, in this process.

    Jupyter runs every cell in a context of its own, so the choice must outlive a context.
    """
    global _process_default, _process_currency
    _process_default = checked(lang)
    _lang.set(lang)
    if currency:
        _process_currency = currency
        _money.set(currency)


@contextmanager
def speaking(lang: str, currency: str = "") -> Iterator[None]:
    """Say everything inside the block in `lang`, then go back."""
    token, other = _lang.set(checked(lang)), _money.set(currency or _money.get(""))
    try:
        yield
    finally:
        _lang.reset(token)
        _money.reset(other)


def checked(lang: str) -> str:
    if lang not in LANGUAGES:
        raise UsageError(f"lang must be zh or en, got {lang!r}", near(str(lang), LANGUAGES))
    return lang


def language() -> str:
    return _lang.get(_process_default)


def currency() -> str:
    """The ISO code of the currency in use."""
    return _money.get() or _process_currency


def say(*, zh: str, en: str, **values: Any) -> str:
    """The sentence in the language in use, with `values` filled in (`str.format` fields).

    Texts among the values are shown as plain text (see `shown`); a missing number shows as a dash.
    """
    chinese = language() == "zh"
    given = {name: _fillable(value) for name, value in values.items()}
    sentence = ""
    for literal, name, spec, conversion in _PARTS.parse(zh if chinese else en):
        pieces = [literal]
        if name is not None:
            pieces.append(
                _PARTS.format_field(_PARTS.convert_field(_PARTS.get_field(name, (), given)[0], conversion), spec or "")
            )
        for piece in pieces:
            sentence = _joined(sentence, piece) if chinese else sentence + piece
    return sentence


def _joined(before: str, after: str) -> str:
    """Two pieces of a Chinese sentence. A space parts Chinese from Latin letters and digits, never Chinese from Chinese: the
    template cannot know which of them a value begins or ends with.
    """
    if _CHINESE.match(after) and before.endswith(" ") and _CHINESE.match(before[-2:-1]):
        return before[:-1] + after
    if after.startswith(" ") and _CHINESE.match(after[1:2]) and _CHINESE.match(before[-1:]):
        return before + after[1:]
    return before + after


class Clean(str):
    """Text made of pieces that are clean already; `say` fills it in whole, not cut as a user's text is."""


def names(values: Iterable[Any], most: int = 8) -> Clean:
    """Names out of the data as a list in a sentence, each in quotes; after `most` of them the number of the others."""
    given = [str(value) for value in values]
    quoted = (say(zh="「{name}」", en="“{name}”", name=name) for name in given[:most])
    more = say(zh="等 {n} 个", en=", {n} in all", n=len(given)) if len(given) > most else ""
    return Clean(say(zh="、", en=", ").join(quoted) + more)


def like(name: str, known: Iterable[str]) -> str:
    """`errors.near` for an error on the reader's page: the near miss in the language in use, or all that is known."""
    miss, choices = nearest(name, known)
    if miss:
        return say(zh="是不是「{miss}」？", en="did you mean “{miss}”?", miss=miss)
    return say(zh="现有：{known}", en="known: {known}", known=names(choices, most=15)) if choices else ""


class _Missing:
    def __format__(self, spec: str) -> str:
        return BLANK


def _fillable(value: Any) -> Any:
    if isinstance(value, str):
        return value if isinstance(value, Clean) else shown(value)
    return _Missing() if missing(value) else value


def missing(value: Any) -> bool:
    """True for None, NaN, NaT and NA."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA refuses to be a bool
        return True


def shown(text: Any, limit: int = 80) -> str:
    """A user's text on one line: control and direction marks out, cut at `limit` characters with an ellipsis.

    Escaping for HTML is the renderer's business; the full text stays in tables and lists.
    """
    plain = " ".join(_CONTROLS.sub(" ", str(text)).split())
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"


@dataclass(frozen=True)
class Term:
    """A shared word: what a metric is called, counted in, defined as, and where the definition comes from."""

    id: str
    name: str
    unit: str
    definition: str
    source: str
    better: str = "up"  # which way is good news: up, down, or neither


@cache
def _terms() -> dict[str, dict[str, Any]]:
    from ruamel.yaml import YAML

    with resources.files("opslib").joinpath("terms.yml").open(encoding="utf-8") as file:
        return dict(YAML(typ="safe", pure=True).load(file))


def terms() -> tuple[str, ...]:
    """Every term id there is."""
    return tuple(_terms())


def term(id: str) -> Term:
    """The term in the language in use.

    Raises
    ------
    UsageError  if there is no such term.
    """
    if id not in _terms():
        raise UsageError(f"no term {id!r} in terms.yml", near(id, _terms()))
    entry, lang = _terms()[id], language()
    return Term(
        id,
        entry["name"][lang],
        entry["unit"][lang],
        entry["definition"][lang],
        entry["source"],
        entry.get("better", "up"),
    )


def number(value: float | None, digits: int | None = None) -> str:
    """A count or amount as people of the language write it: 12.3 万, 1.2 亿; 123,456, 1.23M."""
    if missing(value):
        return BLANK
    assert value is not None
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size, sign = abs(value), "−" if value < 0 else ""
    for unit, suffix in _big():
        if size >= unit:
            return f"{sign}{size / unit:,.{2 if digits is None else digits}f}{suffix}"
    if digits is None:
        # 11.9996 is 12: two zeros would look like a precision that nobody has.
        whole = not size or (size >= 0.005 and round(float(size), 2).is_integer())
        digits = 0 if whole or size >= 1000 else 2
    return f"{sign}{size:,.{digits}f}"


def _big() -> tuple[tuple[float, str], ...]:
    return ((1e8, " 亿"), (1e4, " 万")) if language() == "zh" else ((1e9, "B"), (1e6, "M"))


def some(n: float, noun: str) -> Clean:
    """A count, in English with its noun: 1 user, 2 users; in Chinese the template has the noun."""
    return Clean(number(n) if language() == "zh" else f"{number(n)} {noun}{'' if n == 1 else 's'}")


def percent(value: float | None, digits: int = 1, *, sign: bool = False) -> str:
    """0.381 → 38.1%."""
    if missing(value):
        return BLANK
    return _unsigned_zero(f"{value:{'+' if sign else ''}.{digits}%}")


def points(value: float | None, digits: int = 1) -> str:
    """A difference of two rates in percentage points: −0.059 → −5.9 pp, or −5.9 个百分点."""
    if missing(value):
        return BLANK
    assert value is not None
    unit = "个百分点" if language() == "zh" else "pp"
    return _unsigned_zero(f"{value * 100:+.{digits}f} {unit}")


def _unsigned_zero(words: str) -> str:
    """Nothing has no direction: 0.0 %, not +0.0 % or −0.0 %."""
    return words.replace("-", "−") if re.search("[1-9]", words) else words.lstrip("+-")


def money(value: float | None, code: str = "", digits: int | None = None) -> str:
    """An amount with its currency (`code`, or the one in use): ¥12.30 万, CN¥123,000."""
    if missing(value):
        return BLANK
    code = code or currency()
    mark = {"CNY": "¥", "USD": "$", "EUR": "€", "GBP": "£"}.get(code, f"{code} ")
    if language() == "en" and code == "CNY":
        mark = "CN¥"
    text = number(value, digits)
    return f"−{mark}{text[1:]}" if text.startswith("−") else f"{mark}{text}"


def day(value: dt.date | str | None) -> str:
    """A local day: 2026-11-16 in both languages, because it sorts and cannot be misread."""
    if missing(value):
        return BLANK
    return str(value)[:10]


def p_value(value: float | None) -> str:
    """A p-value to three digits; smaller ones say so."""
    if missing(value):
        return BLANK
    assert value is not None
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _tenths(value: float) -> str:
    return number(value, None if abs(value) < 1 or float(value).is_integer() else 1)  # 42.7, 12, 0.25


def _counted(zh: str, en: str) -> Callable[[float], str]:
    return lambda value: f"{_tenths(value)} {zh if language() == 'zh' else en}"


_TIMES = (("seconds", "秒", "s"), ("minutes", "分钟", "min"), ("hours", "小时", "h"), ("days", "天", "d"))
_WRITERS: dict[str, Callable[[Any], str]] = {
    "number": number,
    "count": lambda v: f"{v:,.0f}".replace("-", "−"),
    "percent": percent,
    "fine": lambda v: percent(v, 2),  # of rates well under 1 %
    "share": lambda v: "<0.1%" if 0 < v < 0.0005 else percent(v),  # of a whole: little is not nothing
    "change": lambda v: percent(v, sign=True),
    "points": points,
    "money": money,
    "day": day,
    "decimal": lambda v: f"{v:,.2f}".replace("-", "−"),
    "p": p_value,
    "times": lambda v: f"{v:,.2f}×".replace("-", "−"),
    "multiple": lambda v: number(v, 1 if abs(v) >= 1 else 2) + (" 倍" if language() == "zh" else "×"),
    "chance": lambda v: "<0.1%" if v < 0.001 else ">99.9%" if v > 0.999 else percent(v),
    **{unit: _counted(zh, en) for unit, zh, en in _TIMES},
}
FORMATS = (*_WRITERS, "text", "user")


def write(value: Any, kind: str, *, sign: bool = False, limit: int = 120) -> str:
    """A value as its format says; what is missing is a dash; `sign` puts a plus before a rise."""
    if missing(value):
        return BLANK
    if kind == "day":
        return day(value)
    if isinstance(value, str) or kind in ("text", "user"):
        return shown(value, limit)
    if isinstance(value, float) and math.isinf(value):
        return number(value)
    words = _WRITERS[kind](value)
    return f"+{words}" if sign and value > 0 and re.match("[^+]*[1-9]", words) else words


_SPACED = ("points", "multiple", *(unit for unit, _, _ in _TIMES))


def _end(value: Any, other: Any, kind: str, sign: bool) -> str:
    """One end of an interval: an amount has cents where the other end has them, and none beside a thousand or more."""
    if kind not in ("number", "money") or not value or abs(value) >= 1000 or math.isinf(other):
        return write(value, kind, sign=sign)
    exact = abs(other) < 1000 and not all(round(float(end), 2).is_integer() for end in (value, other))
    words = (number if kind == "number" else money)(value, digits=2 if exact else 0)
    return f"+{words}" if sign and value > 0 else words


def interval(low: Any, high: Any, kind: str, *, sign: bool = False) -> str:
    """From low to high; the unit stands once, one end is as exact as the other, an open end is said."""
    if missing(low) and missing(high):
        return BLANK
    if missing(low) or missing(high):
        return f"≤ {write(high, kind, sign=sign)}" if missing(low) else f"≥ {write(low, kind, sign=sign)}"
    first, last = _end(low, high, kind, sign), _end(high, low, kind, sign)
    tail = last.split(" ", 1)[1] if " " in last and kind in _SPACED else ""
    if tail and tail not in ("万", "亿") and first.endswith(f" {tail}"):
        first = first.removesuffix(f" {tail}")
    return say(zh="{first} 至 {last}", en="{first} to {last}", first=Clean(first), last=Clean(last))
