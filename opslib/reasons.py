"""Why a row was put aside, in the reader's language; the quarantine itself keeps the English words of `importers.rules`."""

from __future__ import annotations

import re

from opslib.text import language

_ZH = (
    (r"^conflict: another row has the key with other values", "冲突：同一个键已有另一行，内容不同"),
    (r"^(\S+) is missing", r"缺少 \1"),
    (r"^(\S+) is no id", r"\1 不是编号"),
    (r"^(\S+) is not a time", r"\1 不是时间"),
    (r"^(\S+) is not a date", r"\1 不是日期"),
    (r"^(\S+) is not a whole number", r"\1 不是整数"),
    (r"^(\S+) is not a finite number", r"\1 不是有限的数"),
    (r"^(\S+) is not a JSON object", r"\1 不是 JSON 对象"),
    (r"^(\S+) is a number and a mapping must say its unit", r"\1 是数字，映射须写明单位"),
    (r"^(\S+) is more than 24 h ahead of the clock", r"\1 比加载时刻晚 24 小时以上"),
    (r"^(\S+) is more than (\S+)", r"\1 大于 \2"),
    (r"^(\S+) is not after (\S+)", r"\1 不晚于 \2"),
    (r"^(\S+) is not before (\d+)", r"\1 不早于 \2 年"),
    (r"^(\S+) is before (\d+)", r"\1 早于 \2 年"),
    (r"^(\S+) is below (\S+)", r"\1 低于 \2"),
    (r"^(\S+) is above (\S+)", r"\1 高于 \2"),
)


def said(reason: str) -> str:
    """A row's reasons (`WHAT, got VALUE`, several joined by "; ") in the language in use; an unknown one stays as it is."""
    if language() == "en":
        return reason
    return "；".join(_one(part) for part in reason.split("; "))


def _one(part: str) -> str:
    for pattern, words in _ZH:
        if re.search(pattern, part):
            return re.sub(pattern, words, part).replace(", got ", "，实为 ")
    return part
