"""A table's data as HTML: numbers aligned, an interval's two ends in one cell, all rows as a download."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from opslib import columns, text
from opslib.report import sparks
from opslib.report.tables import ROWS
from opslib.text import say

WORD = 40  # characters without a space that a cell has room for
CELL = 120  # characters of a text that a cell shows; the download has all of them


def draw(data: dict[str, Any], title: str, name: str) -> str:
    """The table with its download.

    Parameters
    ----------
    data : as `tables.payload` gives it
    title : what the table is called for those who cannot see it
    name : file name of the download
    """
    if not data["rows"]:
        return f'<p class="under">{say(zh="没有要列出的行。", en="Nothing to list.")}</p>'
    layout = data.get("layout")
    body = unbroken(_great(data, layout) if layout else _plain(data))
    words = say(zh="表格：{title}", en="Table: {title}", title=title)
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(words)}">{body}</div>{_under(data, name)}'
    )


_TEXT = r"(?=[^<>]*(?:<|$))"  # in a text, never within a tag
_DAY = re.compile(r"(?<![\w-])(\d{4}-\d\d-\d\d)(?![\w-])" + _TEXT)
_AMOUNT = re.compile(r"(?<!\w)([+−][^\s\w+−]?[A-Z]{0,3}[^\s\w<>&+−]\d[\d,.]*)" + _TEXT)
_SPACE = re.compile(
    r"(?:(?<=\d) (?=pp\b|个百分点)|(?<=\bp) (?=(?:&lt;|=) \d)|(?<=\bp &lt;) (?=\d)|(?<=\bp =) (?=\d))" + _TEXT
)


def unbroken(html: str) -> str:
    """Days, signed amounts, a number with its unit and p with its value in one piece: a narrow column does not break them."""
    html = _SPACE.sub("\u00a0", html)
    return _AMOUNT.sub(r'<span class="one">\1</span>', _DAY.sub(r"<time>\1</time>", html))


def _plain(data: dict[str, Any]) -> str:
    shown = _columns(data)
    heads = "".join(f'<th scope="col" class="{_align(c["format"])}">{escape(c["label"])}</th>' for c in shown)
    rows = "".join(f"<tr>{''.join(_td(c, row) for c in shown)}</tr>" for row in data["rows"][:ROWS])
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _columns(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The columns as drawn, each number and amount with its column's decimals."""
    shown, decimals = _merged(data["columns"]), {"money": _digits, "number": _tenths}
    for column in shown:
        if column["format"] in decimals and "to" not in column:
            held = [row[column["at"]] for row in data["rows"][:ROWS]]
            column["digits"] = decimals[column["format"]]([v for v in held if isinstance(v, int | float)])
    return shown


def _tenths(numbers: list[float]) -> int | None:
    """One number of decimals for a column of small numbers, medians above all; None where each may be written as alone."""
    if all(round(float(v), 2).is_integer() for v in numbers) or max(map(abs, numbers)) >= 1000:
        return None
    return 1 if all(abs(v - round(v, 1)) < 0.005 for v in numbers) else 2


def _digits(amounts: list[float]) -> int | None:
    """One number of decimals for a column of amounts; None where each may be written as alone.

    Cents beside thousands are noise, unless an amount is so small that it is nothing without them.
    """
    held = [abs(v) for v in amounts if v]
    small = [v for v in held if v < 1000]
    if all(round(float(v), 2).is_integer() for v in small):
        return None
    return 0 if max(held) >= 1000 and min(small) >= 100 else 2


def _merged(heads: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`…low` and `…high` side by side become one interval, of 95 % where the table does not call its low end otherwise."""
    shown: list[dict[str, Any]] = []
    at = 0
    while at < len(heads):
        column = heads[at] | {"at": at}
        follower = heads[at + 1]["name"] if at + 1 < len(heads) else ""
        if column["name"].endswith("low") and follower == f"{column['name'].removesuffix('low')}high":
            label = column["label"] if column.get("own") else say(zh="95% 区间", en="95% interval")
            column |= {"to": at + 1, "label": label}
            at += 1
        shown.append(column)
        at += 1
    return shown


def _td(column: dict[str, Any], row: list[Any]) -> str:
    kind, value = column["format"], row[column["at"]]
    if kind == "trend":
        return f"<td>{sparks.line(value, kind='number', small=True)}</td>"
    words = escape(cell(column, row))
    if kind in ("text", "user") and isinstance(value, str):
        wraps = sum(2 if c > "\u2e80" else 1 for c in words) > 18
        endless = any(len(word) > WORD for word in str(value).split())  # else a file's name is not broken within
        return f'<td class="text{" long" if wraps else ""}{" endless" if endless else ""}" translate="no" dir="auto">{words}</td>'
    return f'<td class="{_align(kind)}">{words}</td>'


def cell(column: dict[str, Any], row: list[Any]) -> str:
    """A cell's words."""
    value, kind = row[column["at"]], column["format"]
    if "to" in column:
        return text.interval(value, row[column["to"]], kind)
    if kind == "text":
        return text.BLANK if text.missing(value) else columns.value_name(column["name"], value, CELL)
    if column.get("digits") is not None and isinstance(value, int | float) and abs(value) < 1e4:
        written = text.money if kind == "money" else text.number
        return written(value, digits=column["digits"])
    return text.write(value, kind, limit=CELL)


def _align(kind: str) -> str:
    return "text" if kind in ("text", "day", "user", "trend") else "number"


def _under(data: dict[str, Any], name: str) -> str:
    """How many rows there are, and all of them as CSV."""
    total, drawn = data["total"], min(len(data["rows"]), ROWS)
    notes = []
    if total > drawn:
        notes.append(
            say(zh="共 {n} 行，显示前 {rows} 行", en="{n} rows, the first {rows} shown", n=f"{total:,}", rows=drawn)
        )
    if total > len(data["rows"]):
        notes.append(say(zh="下载含前 {k} 行", en="the download has the first {k}", k=f"{len(data['rows']):,}"))
    if data.get("withheld"):
        notes.append(say(zh="人数太少的分组不显示数字", en="numbers of very small groups are withheld"))
    if data.get("csv"):
        what = say(zh="下载 CSV", en="Download CSV")
        notes.insert(
            0,
            f'<a class="csv" download="{escape(name)}.csv.gz" href="data:application/gzip;base64,{data["csv"]}">{what}</a>',
        )
    return f'<p class="under">{" · ".join(notes)}</p>' if notes else ""


def _great(data: dict[str, Any], layout: dict[str, Any]) -> str:
    """The table laid out by great-tables, without its style sheet and ids: the page's own style serves all tables."""
    import pandas as pd
    from great_tables import GT

    shown = _columns(data)
    lines: list[str] = []

    def words(column: dict[str, Any], row: list[Any]) -> str:
        if column["format"] != "trend":
            return cell(column, row).replace("\ue000", "")
        lines.append(sparks.line(row[column["at"]], kind="number", small=True))
        return f"\ue000{len(lines) - 1}\ue000"  # great-tables would escape the drawing: it takes its place afterwards

    frame = pd.DataFrame({c["name"]: [words(c, row) for row in data["rows"][:ROWS]] for c in shown}, dtype=str)
    group = layout["group"] or None
    stub = next(c["name"] for c in shown if c["name"] != group)
    table = GT(frame, rowname_col=stub, groupname_col=group)
    table = table.cols_label({c["name"]: c["label"] for c in shown if c["name"] not in (stub, group)})
    table = table.tab_stubhead(next(c["label"] for c in shown if c["name"] == stub))
    present = {c["name"] for c in shown}
    for head, names in layout["spans"].items():
        table = table.tab_spanner(head, [n for n in names if n in present])
    for side, wanted in (("left", "text"), ("right", "number")):
        chosen = [c["name"] for c in shown if _align(c["format"]) == wanted and c["name"] not in (stub, group)]
        table = table.cols_align(side, chosen) if chosen else table
    return re.sub("\ue000(\\d+)\ue000", lambda m: lines[int(m[1])], _stripped(table.as_raw_html()))


_ATTRIBUTES = re.compile(r' (?:id|headers|data-quarto-[a-z-]+|style)="[^"]*"| (?:rowspan|colspan)="1"')
_CLASSES = {"gt_group_heading_row": "group", "gt_left": "text", "gt_right": "number", "gt_center": "middle"}


def _stripped(html: str) -> str:
    """Only the table itself, with this page's class names."""
    found = re.search(r"<table.*</table>", html, re.DOTALL)
    assert found

    def classes(match: re.Match[str]) -> str:
        kept = [_CLASSES[name] for name in match[1].split() if name in _CLASSES]
        return f' class="{" ".join(kept)}"' if kept else ""

    kept = re.sub(r' class="([^"]*)"', classes, _ATTRIBUTES.sub("", found[0]))
    return re.sub(r">\s+<", "><", kept).replace("<table>", '<table class="key">')
