"""How a report was computed: data, parameters, definitions, versions and code, folded away at its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from opslib.report import render
from opslib.text import number, say, shown

CODE_LIMIT = 40_000  # characters of code on a page; the executed notebook beside it has all


def fold(notebook: Any, run: Mapping[str, Any], terms: Iterable[dict[str, Any]]) -> str:
    """The folded part of the page.

    Parameters
    ----------
    notebook : the executed notebook; its code cells are shown as they ran
    run : the runner's record
    terms : every definition that the page used
    """
    parts = [
        (say(zh="数据", en="Data"), _data(run)),
        (say(zh="参数", en="Parameters"), _pairs(sorted((run.get("parameters") or {}).items()))),
        (say(zh="定义", en="Definitions"), _definitions(terms)),
        (say(zh="版本", en="Versions"), _pairs((run.get("versions") or {}).items())),
        (say(zh="查询", en="Queries"), _queries(run.get("queries") or [])),
        (say(zh="代码", en="Code"), _code(notebook)),
    ]
    words = "、" if say(zh="1", en="") else ", "
    listed = words.join(title for title, body in parts if body)
    body = "".join(f"<h3>{title}</h3>{body}" for title, body in parts if body)
    title = say(zh="这些数是怎么算的", en="How this was computed")
    return (
        f'<section class="method" aria-labelledby="method">{render.heading(title, "method")}'
        f"<details><summary>{listed}</summary>{body}</details></section>"
    )


def _pairs(pairs: Iterable[tuple[Any, Any]]) -> str:
    rows = "".join(
        f"<div><dt>{escape(shown(k))}</dt><dd>{escape(shown(_written(v), 300))}</dd></div>" for k, v in pairs
    )
    return f'<dl translate="no">{rows}</dl>' if rows else ""


def _written(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _data(run: Mapping[str, Any]) -> str:
    """Where the rows came from, how many, up to when, what was put aside, and what breaks the contract."""
    data = run.get("data") or {}
    lines = []
    if run.get("source"):
        lines.append((say(zh="来源", en="Source"), run["source"]))
    if data.get("window"):
        lines.append((say(zh="数据范围", en="Data window"), " – ".join(map(str, data["window"]))))
    if data.get("loaded"):
        lines.append((say(zh="最近加载（UTC）", en="Last load (UTC)"), str(data["loaded"])[:19].replace("T", " ")))
    if data.get("tz"):
        lines.append((say(zh="时区与币种", en="Time zone and currency"), f"{data['tz']} · {data.get('currency', '')}"))
    if data.get("rows"):
        counts = " · ".join(f"{name} {number(rows)}" for name, rows in data["rows"].items())
        lines.append((say(zh="行数", en="Rows"), counts))
    if "quarantined" in data:
        lines.append((say(zh="隔离区行数", en="Rows put aside"), number(data["quarantined"])))
    if run.get("fingerprint"):
        lines.append((say(zh="数据指纹", en="Data fingerprint"), run["fingerprint"]))
    rows = "".join(f'<div><dt>{escape(k)}</dt><dd translate="no">{escape(shown(v, 600))}</dd></div>' for k, v in lines)
    problems = [*(data.get("problems") or []), *(run.get("notes") or [])]
    listed = "".join(f"<li>{escape(shown(p, 400))}</li>" for p in problems[:50])
    return (f"<dl>{rows}</dl>" if rows else "") + (f'<ul translate="no">{listed}</ul>' if listed else "")


def _definitions(terms: Iterable[dict[str, Any]]) -> str:
    once = {term["id"]: term for term in terms}
    return "".join(render.definition(term) for term in once.values())


def _queries(queries: Iterable[Any]) -> str:
    texts = [q if isinstance(q, str) else f"-- {q.get('name', '')}\n{q.get('sql', '')}" for q in queries]
    return _pre("\n\n".join(texts)[:CODE_LIMIT])


def _code(notebook: Any) -> str:
    """Every code cell, plain: colours would cost more bytes than the code."""
    cells = [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]
    found, left = [], CODE_LIMIT
    for cell in cells:
        found.append(_pre(cell.source[:left]))
        left -= len(cell.source)
        if left <= 0:
            found.append(f"<p>{say(zh='其余代码见 executed.ipynb', en='The rest is in executed.ipynb')}</p>")
            break
    return "".join(found)


def _pre(code: str) -> str:
    return f'<pre translate="no" tabindex="0"><code>{escape(code)}</code></pre>' if code.strip() else ""
